// A compressor in the manner of LZ4: matches of four bytes and more through a hash table, literals between them.
// Compresses 256 KiB of made-up text, and unpacks it again to compare, n times.
#include "bench.h"
#define SIZE (256 * 1024)
static unsigned char text[SIZE], packed[SIZE + SIZE / 64 + 64], again[SIZE];
static uint32_t last[4096];
static inline uint32_t load32(const unsigned char *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static unsigned char *put_count(unsigned char *out, uint32_t count) {
  for (; count >= 255; count -= 255) *out++ = 255;
  *out++ = (unsigned char)count;
  return out;
}
static size_t pack(void) {
  unsigned char *out = packed;
  uint32_t at = 0, literal = 0;
  memset(last, 0, sizeof last);
  while (at + 8 < SIZE) {
    uint32_t *entry = &last[(load32(text + at) * 2654435761u) >> 20], match = *entry;
    *entry = at;
    if (match >= at || at - match > 65535 || load32(text + match) != load32(text + at)) { at++; continue; }
    uint32_t length = 4;
    while (at + length < SIZE && text[match + length] == text[at + length]) length++;
    out = put_count(out, at - literal);
    while (literal < at) *out++ = text[literal++];
    out = put_count(out, length);
    *out++ = (unsigned char)(at - match); *out++ = (unsigned char)((at - match) >> 8);
    at += length; literal = at;
  }
  out = put_count(out, SIZE - literal);
  while (literal < SIZE) *out++ = text[literal++];
  return (size_t)(out - packed);
}
static uint32_t take_count(const unsigned char **in) {
  uint32_t count = 0;
  while (**in == 255) { count += 255; ++*in; }
  return count + *(*in)++;
}
static void unpack(void) {
  const unsigned char *in = packed;
  uint32_t at = 0;
  for (;;) {
    for (uint32_t count = take_count(&in); count > 0; count--) again[at++] = *in++;
    if (at >= SIZE) return;
    uint32_t length = take_count(&in), distance = in[0] | (uint32_t)in[1] << 8;
    in += 2;
    for (; length > 0; length--, at++) again[at] = again[at - distance];
    if (at >= SIZE) return;
  }
}
int main(int argc, char **argv) {
  long n = bench_begin(argc, argv, 60);
  for (size_t at = 0; at < SIZE;) {
    uint64_t word = bench_rng() % 600, length = 2 + word % 9;
    for (uint64_t i = 0; i < length && at < SIZE; i++) text[at++] = (unsigned char)('a' + (word * 7 + i * i * 3 + word / 26) % 26);
    if (at < SIZE) text[at++] = ' ';
  }
  uint64_t sum = 0;
  for (long it = 0; it < n; it++) {
    text[(it * 4099) % SIZE] = (unsigned char)('A' + it % 26);
    size_t size = pack();
    unpack();
    if (memcmp(text, again, SIZE) != 0) bench_die("unpack");
    sum = sum * 31 + size + packed[size / 2];
  }
  return bench_end("a_lz", n, sum);
}
