// Quicksort (Hoare partition, insertion sort for short runs) of 100,000 64-bit keys, n times.
#include "bench.h"
#define COUNT 100000
static uint64_t keys[COUNT];
static void sort(uint64_t *low, uint64_t *high) {
  while (high - low > 16) {
    uint64_t *left = low, *right = high, pivot = low[(high - low) / 2];
    for (;;) {
      while (*left < pivot) left++;
      while (pivot < *right) right--;
      if (left > right) break;
      uint64_t t = *left; *left++ = *right; *right-- = t;
    }
    if (right - low < high - left) { sort(low, right); low = left; }
    else { sort(left, high); high = right; }
  }
  for (uint64_t *i = low + 1; i <= high; i++) {
    uint64_t key = *i, *j = i;
    for (; j > low && j[-1] > key; j--) *j = j[-1];
    *j = key;
  }
}
int main(int argc, char **argv) {
  long n = bench_begin(argc, argv, 30);
  uint64_t sum = 0;
  for (long it = 0; it < n; it++) {
    for (long i = 0; i < COUNT; i++) keys[i] = bench_rng();
    sort(keys, keys + COUNT - 1);
    for (long i = 0; i < COUNT; i += 97) sum = sum * 31 + keys[i];
  }
  return bench_end("a_quicksort", n, sum);
}
