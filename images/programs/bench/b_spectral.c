// Spectral norm of the infinite matrix 1/((i+j)(i+j+1)/2+i+1), its first 120 rows: doubles, divisions, int to double.
#include "bench.h"
#define D 120
static double u[D], v[D], t[D];
static inline double element(int i, int j) { return 1.0 / (double)((i + j) * (i + j + 1) / 2 + i + 1); }
static void multiply(const double *from, double *to) {
  for (int i = 0; i < D; i++) { double s = 0; for (int j = 0; j < D; j++) s += element(i, j) * from[j]; to[i] = s; }
}
static void multiply_transposed(const double *from, double *to) {
  for (int i = 0; i < D; i++) { double s = 0; for (int j = 0; j < D; j++) s += element(j, i) * from[j]; to[i] = s; }
}
int main(int argc, char **argv) {
  long n = bench_begin(argc, argv, 700);
  for (int i = 0; i < D; i++) u[i] = 1.0 + i / 1024.0;
  for (long it = 0; it < n; it++) {
    multiply(u, t); multiply_transposed(t, v);
    multiply(v, t); multiply_transposed(t, u);
    if ((it & 63) == 63) for (int i = 0; i < D; i++) u[i] = v[i] / v[0]; // else it would leave the range of doubles
  }
  uint64_t sum = 0;
  for (int i = 0; i < D; i++) { uint64_t bits; memcpy(&bits, &u[i], 8); sum = sum * 31 + bits; }
  return bench_end("b_spectral", n, sum);
}
