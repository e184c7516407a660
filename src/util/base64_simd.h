/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64_simd.h: the bulk of a BASE64 text, 32 characters at a time, where the processor has AVX2;
 * the rest, every fault and every other processor are for the plain loops of base64.c. Used by that
 * file alone.
 *
 * Both return how much of in they have done; out must have room for 32 bytes from where they write.
 * Decoding may be in place: what is written never passes what has been read.
 */
#ifndef OTRP_UTIL_BASE64_SIMD_H
#define OTRP_UTIL_BASE64_SIMD_H

#include <stddef.h>
#include <stdint.h>

/* The last two digits of an alphabet. */
struct base64_tail {
    char digit62, digit63;
};

/* Encodes a multiple of 24 bytes. */
size_t base64_encode_simd(uint8_t *out, const uint8_t *in, size_t size, struct base64_tail tail);

/* Decodes a multiple of 32 characters; stops before those that hold a foreign one. */
size_t base64_decode_simd(uint8_t *out, const uint8_t *in, size_t size, struct base64_tail tail);

#endif
