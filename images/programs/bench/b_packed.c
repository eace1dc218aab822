// Packed SSE2 integers, as picture and sound code uses them: bytes averaged and compared, words multiplied and
// saturated, sums of absolute differences, shuffles; over two pictures of 64 KiB, n times.
#include "bench.h"
#include <emmintrin.h>
#define SIZE 65536
static unsigned char a[SIZE] __attribute__((aligned(16))), b[SIZE] __attribute__((aligned(16)));
int main(int argc, char **argv) {
  long n = bench_begin(argc, argv, 8000);
  for (size_t i = 0; i < SIZE; i++) { a[i] = (unsigned char)(bench_rng() >> 33); b[i] = (unsigned char)(bench_rng() >> 33); }
  __m128i difference = _mm_setzero_si128(), mixed = difference, zero = difference;
  for (long it = 0; it < n; it++) {
    __m128i weight = _mm_set1_epi16((short)(77 + (it & 63)));
    for (size_t i = 0; i < SIZE; i += 16) {
      __m128i p = _mm_load_si128((const __m128i *)(a + i)), q = _mm_load_si128((const __m128i *)(b + i));
      difference = _mm_add_epi64(difference, _mm_sad_epu8(p, q));
      __m128i low = _mm_mullo_epi16(_mm_unpacklo_epi8(p, zero), weight), high = _mm_mullo_epi16(_mm_unpackhi_epi8(q, zero), weight);
      __m128i narrow = _mm_packus_epi16(_mm_srli_epi16(low, 8), _mm_srli_epi16(high, 8));
      __m128i mask = _mm_cmpgt_epi8(p, q), chosen = _mm_or_si128(_mm_and_si128(mask, narrow), _mm_andnot_si128(mask, _mm_avg_epu8(p, q)));
      mixed = _mm_add_epi32(_mm_shuffle_epi32(mixed, 0x39), _mm_madd_epi16(_mm_unpacklo_epi8(chosen, p), weight));
      _mm_store_si128((__m128i *)(a + i), _mm_adds_epu8(chosen, _mm_subs_epu8(p, narrow)));
    }
  }
  uint64_t lanes[4], sum = 0;
  _mm_storeu_si128((__m128i *)lanes, difference); _mm_storeu_si128((__m128i *)(lanes + 2), mixed);
  for (int i = 0; i < 4; i++) sum = sum * 31 + lanes[i];
  for (size_t i = 0; i < SIZE; i++) sum = sum * 31 + a[i];
  return bench_end("b_packed", n, sum);
}
