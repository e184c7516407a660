/* SPDX-License-Identifier: Apache-2.0 */
#include "util/base64_simd.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

/* Twelve bytes in each half become sixteen values of six bits: the four digits of three bytes lie
 * in their 32 bits, so each triple is spread to four bytes first and then shifted by multiplying.
 */
AVX2 static inline __m256i split_sixes(__m256i bytes)
{
    const __m256i spread = _mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10, 1, 0,
                                            2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
    __m256i v = _mm256_shuffle_epi8(bytes, spread);
    __m256i even = _mm256_mulhi_epu16(_mm256_and_si256(v, _mm256_set1_epi32(0x0fc0fc00)),
                                      _mm256_set1_epi32(0x04000040));
    __m256i odd = _mm256_mullo_epi16(_mm256_and_si256(v, _mm256_set1_epi32(0x003f03f0)),
                                     _mm256_set1_epi32(0x01000010));
    return _mm256_or_si256(even, odd);
}

/* Values to digits: which of the five ranges a value is in says what is to be added. */
AVX2 static inline __m256i to_digits(__m256i values, struct base64_tail tail)
{
    const char d2 = (char)(tail.digit62 - 62), d3 = (char)(tail.digit63 - 63);
    const __m256i add = _mm256_setr_epi8(
        'a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
        '0' - 52, '0' - 52, d2, d3, 'A', 0, 0, 'a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
        '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, d2, d3, 'A', 0, 0);
    __m256i range = _mm256_subs_epu8(values, _mm256_set1_epi8(51)); /* 0 up to 51, then 1 to 12 */
    __m256i upper = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), values);
    range = _mm256_or_si256(range, _mm256_and_si256(upper, _mm256_set1_epi8(13)));
    return _mm256_add_epi8(values, _mm256_shuffle_epi8(add, range));
}

AVX2 static size_t encode(uint8_t *out, const uint8_t *in, size_t size, struct base64_tail tail)
{
    size_t done = 0;
    for (; size - done >= 28;
         done += 24, out += 32) { /* the second load reads four bytes more than it uses */
        __m128i low = _mm_loadu_si128((const __m128i *)(in + done));
        __m128i high = _mm_loadu_si128((const __m128i *)(in + done + 12));
        __m256i values = split_sixes(_mm256_set_m128i(high, low));
        _mm256_storeu_si256((__m256i *)out, to_digits(values, tail));
    }
    return done;
}

/* All ones where low <= c <= high. */
AVX2 static inline __m256i between(__m256i c, char low, char high)
{
    return _mm256_and_si256(_mm256_cmpgt_epi8(c, _mm256_set1_epi8((char)(low - 1))),
                            _mm256_cmpgt_epi8(_mm256_set1_epi8((char)(high + 1)), c));
}

AVX2 static size_t decode(uint8_t *out, const uint8_t *in, size_t size, struct base64_tail tail)
{
    const __m256i order = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1,
                                           2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    const __m256i join = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7);
    size_t done = 0;
    for (; size - done >= 48;
         done += 32, out += 24) { /* so that a store of 32 bytes stays inside the result */
        __m256i c = _mm256_loadu_si256((const __m256i *)(in + done));
        __m256i upper = between(c, 'A', 'Z'), lower = between(c, 'a', 'z'),
                digit = between(c, '0', '9');
        __m256i d62 = _mm256_cmpeq_epi8(c, _mm256_set1_epi8(tail.digit62));
        __m256i d63 = _mm256_cmpeq_epi8(c, _mm256_set1_epi8(tail.digit63));
        __m256i known = _mm256_or_si256(_mm256_or_si256(_mm256_or_si256(upper, lower), digit),
                                        _mm256_or_si256(d62, d63));
        if (_mm256_movemask_epi8(known) != -1)
            break;
        __m256i add = _mm256_or_si256(
            _mm256_or_si256(_mm256_and_si256(upper, _mm256_set1_epi8(-65)),
                            _mm256_and_si256(lower, _mm256_set1_epi8(-71))),
            _mm256_or_si256(
                _mm256_and_si256(digit, _mm256_set1_epi8(4)),
                _mm256_or_si256(
                    _mm256_and_si256(d62, _mm256_set1_epi8((char)(62 - tail.digit62))),
                    _mm256_and_si256(d63, _mm256_set1_epi8((char)(63 - tail.digit63))))));
        __m256i values = _mm256_add_epi8(c, add);
        __m256i pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x01400140));
        __m256i triples = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000));
        __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(triples, order), join);
        _mm256_storeu_si256((__m256i *)out, bytes);
    }
    return done;
}

size_t base64_encode_simd(uint8_t *out, const uint8_t *in, size_t size, struct base64_tail tail)
{
    return __builtin_cpu_supports("avx2") ? encode(out, in, size, tail) : 0;
}

size_t base64_decode_simd(uint8_t *out, const uint8_t *in, size_t size, struct base64_tail tail)
{
    return __builtin_cpu_supports("avx2") ? decode(out, in, size, tail) : 0;
}

#else

size_t base64_encode_simd(uint8_t *out, const uint8_t *in, size_t size, struct base64_tail tail)
{
    (void)out, (void)in, (void)size, (void)tail;
    return 0;
}

size_t base64_decode_simd(uint8_t *out, const uint8_t *in, size_t size, struct base64_tail tail)
{
    (void)out, (void)in, (void)size, (void)tail;
    return 0;
}

#endif
