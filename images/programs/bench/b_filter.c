// Single precision: a filter of 16 taps over 16,384 samples, then z = z / 2 + a y; n times.
#include "bench.h"
#define SIZE 16384
#define TAPS 16
static float x[SIZE + TAPS], y[SIZE], z[SIZE], tap[TAPS];
int main(int argc, char **argv) {
  long n = bench_begin(argc, argv, 2000);
  for (int i = 0; i < SIZE + TAPS; i++) x[i] = (float)(bench_rng() >> 44) / 1048576.0f - 0.5f;
  for (int k = 0; k < TAPS; k++) tap[k] = (float)(bench_rng() >> 44) / 1048576.0f / TAPS;
  for (long it = 0; it < n; it++) {
    float scale = 0.25f + (float)(it & 7) / 16.0f;
    for (int i = 0; i < SIZE; i++) {
      float s = 0;
      for (int k = 0; k < TAPS; k++) s += tap[k] * x[i + k];
      y[i] = s;
    }
    for (int i = 0; i < SIZE; i++) z[i] = z[i] * 0.5f + y[i] * scale;
    x[(it * 4099) % SIZE] = z[(it * 37) % SIZE];
  }
  uint64_t sum = 0;
  for (int i = 0; i < SIZE; i++) { uint32_t bits; memcpy(&bits, &z[i], 4); sum = sum * 31 + bits; }
  return bench_end("b_filter", n, sum);
}
