/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h: well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#ifndef OTRP_UTIL_UTF8_H
#define OTRP_UTIL_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at p, 1 to 4; 0 when the left bytes do not begin with a well-formed one.
 */
static inline size_t utf8_length(const uint8_t *p, size_t left)
{
    if (left == 0)
        return 0;
    uint8_t c = p[0];
    if (c < 0x80)
        return 1;
    size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || left < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
        (c == 0xf4 && p[1] > 0x8f))
        return 0;
    return length;
}

#endif
