// 128x128 matrix product of 64-bit integers (multiplied one by one: SSE2 has no such product), n times.
#include "bench.h"
#define D 128
static uint64_t a[D][D], b[D][D], c[D][D];
int main(int argc, char **argv) {
  long n = bench_begin(argc, argv, 120);
  for (int i = 0; i < D; i++) for (int j = 0; j < D; j++) { a[i][j] = bench_rng() >> 20; b[i][j] = bench_rng() >> 20; }
  uint64_t sum = 0;
  for (long it = 0; it < n; it++) {
    for (int i = 0; i < D; i++)
      for (int j = 0; j < D; j++) {
        uint64_t s = 0;
        for (int k = 0; k < D; k++) s += a[i][k] * b[k][j];
        c[i][j] = s;
      }
    a[it % D][(it * 7) % D] = c[it % D][it % D];
    sum = sum * 31 + c[(it * 5) % D][(it * 3) % D];
  }
  return bench_end("a_intmatmul", n, sum);
}
