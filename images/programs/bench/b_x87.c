// long double, so x87 with its 80 bits: a harmonic sum with alternating signs and a Horner polynomial, 1,000 terms, n times.
#include "bench.h"
int main(int argc, char **argv) {
  long n = bench_begin(argc, argv, 100000);
  long double total = 0, x = 0.9990234375L;
  for (long it = 0; it < n; it++) {
    long double sum = 0, polynomial = 1, sign = 1;
    for (long k = 1; k <= 1000; k++) {
      sum += sign / (long double)(k + (it & 15));
      sign = -sign;
      polynomial = polynomial * x + 1 / 1024.0L;
    }
    total += sum * polynomial;
  }
  unsigned char bytes[16] = {0};
  memcpy(bytes, &total, 10);
  uint64_t low, high;
  memcpy(&low, bytes, 8); memcpy(&high, bytes + 8, 8);
  return bench_end("b_x87", n, low * 31 + high);
}
