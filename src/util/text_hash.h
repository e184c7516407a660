/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_hash.h: FNV-1a over texts, each with its end, so that "ab", "c" is not "a", "bc". For tables
 * and filters; whoever chooses the texts can make two collide.
 *
 *     uint64_t h = text_hash(text_hash(TEXT_HASH_START, role), name);
 */
#ifndef OTRP_UTIL_TEXT_HASH_H
#define OTRP_UTIL_TEXT_HASH_H

#include <stdint.h>

#define TEXT_HASH_START UINT64_C(0xcbf29ce484222325)
#define TEXT_HASH_PRIME UINT64_C(0x100000001b3)
#define TEXT_HASH_END   0xff /* a byte that UTF-8 does not have */

static inline uint64_t text_hash(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * TEXT_HASH_PRIME;
    return (h ^ TEXT_HASH_END) * TEXT_HASH_PRIME;
}

#endif
