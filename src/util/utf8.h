/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h: well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF;
 * and what of it no terminal should get. */
#ifndef OTRP_UTIL_UTF8_H
#define OTRP_UTIL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* How much of a text stays when it is cut to most bytes: no character is left in halves. What is
 * not UTF-8 is cut where it must be. */
static inline size_t utf8_cut(const char *text, size_t size, size_t most)
{
    if (size <= most)
        return size;
    size_t kept = most;
    while (kept && most - kept < 4 && ((uint8_t)text[kept] & 0xc0) == 0x80)
        kept--;
    return kept;
}

/* Writes as much of a text as there is room for, with its end, to to: never half a character, and
 * \xNN for each byte that is none. */
static inline void utf8_keep(char *to, size_t room, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = (const uint8_t *)text;
    size_t at = 0;
    for (size_t left = strlen(text), length; left; p += length, left -= length) {
        length = utf8_length(p, left);
        if (at + (length ? length : 4) >= room)
            break;
        if (length) {
            memcpy(to + at, p, length);
            at += length;
        } else {
            memcpy(to + at, (char[]){'\\', 'x', digits[*p >> 4], digits[*p & 15]}, 4);
            at += 4;
            length = 1;
        }
    }
    to[at] = '\0';
}

/* The character of that length at p. */
static inline uint32_t utf8_character(const uint8_t *p, size_t length)
{
    uint32_t character = length == 1 ? p[0] : p[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++)
        character = character << 6 | (p[i] & 0x3fu);
    return character;
}

/* Whether the character of that length moves the cursor, turns the direction of the text or cannot
 * be seen, and so could make a line say what it does not say; or is none that XML allows. All of
 * them are below U+10000. */
static inline bool utf8_is_unruly(const uint8_t *p, size_t length)
{
    static const struct {
        uint32_t first, last;
    } rows[] = {{0, 0x1f},        {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},
                {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff},
                {0xfff9, 0xfffb}, {0xfffe, 0xffff}};
    uint32_t character = utf8_character(p, length);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && rows[i].first <= character; i++)
        if (character <= rows[i].last)
            return true;
    return false;
}

#endif
