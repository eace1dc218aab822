// CRC-32 of a 64 KiB buffer with the usual table of 256 entries, n times, chained.
#include "bench.h"
static uint32_t table[256];
static unsigned char buffer[65536];
int main(int argc, char **argv) {
  long n = bench_begin(argc, argv, 1500);
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  for (size_t i = 0; i < sizeof buffer; i++) buffer[i] = (unsigned char)(bench_rng() >> 33);
  uint32_t crc = 0xffffffffu;
  for (long it = 0; it < n; it++)
    for (size_t i = 0; i < sizeof buffer; i++) crc = table[(crc ^ buffer[i]) & 255] ^ (crc >> 8);
  return bench_end("a_crc", n, crc);
}
