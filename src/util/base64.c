/* SPDX-License-Identifier: Apache-2.0 */
#include "util/base64.h"

#include <string.h>

#include "util/base64_simd.h"

static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char std_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { BAD = 0xff };

/* clang-format off: a table of digit values reads best as ranges */
/* Each digit's value plus one, so that what is not named is 0. */
static const uint8_t values_plus_one[256] = {
    ['-'] = 63, ['_'] = 64, ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,
    ['G'] = 7,  ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
    ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22,
    ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30,
    ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38,
    ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46,
    ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54,
    ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62,
};
/* clang-format on */

static inline uint8_t value_of(uint8_t c, bool url)
{
    if (url)
        return (uint8_t)(values_plus_one[c] - 1);
    if (c == '-' || c == '_')
        return BAD;
    return (uint8_t)(values_plus_one[c == '+' ? '-' : c == '/' ? '_' : c] - 1);
}

static void encode(buffer *out, struct span data, const char *digits, bool pad)
{
    size_t whole = data.size / 3, rest = data.size % 3;
    char *to = (char *)buffer_reserve(out, 4 * (whole + 1));
    if (!to)
        return;
    const uint8_t *p = data.data;
    size_t done = base64_encode_simd((uint8_t *)to, p, data.size,
                                     (struct base64_tail){digits[62], digits[63]});
    p += done;
    to += done / 3 * 4;
    for (size_t i = done / 3; i < whole; i++, p += 3, to += 4) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        to[0] = digits[v >> 18];
        to[1] = digits[v >> 12 & 63];
        to[2] = digits[v >> 6 & 63];
        to[3] = digits[v & 63];
    }
    if (rest) {
        uint32_t v = (uint32_t)p[0] << 16 | (rest == 2 ? (uint32_t)p[1] << 8 : 0);
        *to++ = digits[v >> 18];
        *to++ = digits[v >> 12 & 63];
        if (rest == 2)
            *to++ = digits[v >> 6 & 63];
        for (size_t i = rest; pad && i < 3; i++)
            *to++ = '=';
    }
    out->size = (size_t)((uint8_t *)to - out->data);
    *to = '\0';
}

void buffer_put_base64url(buffer *out, struct span data)
{
    encode(out, data, url_digits, false);
}

void buffer_put_base64(buffer *out, struct span data)
{
    encode(out, data, std_digits, true);
}

/* Why the text is refused, at the first place that is wrong. */
static void explain(struct span text, bool url, const char *what, struct error *err)
{
    const char *form = url ? "base64url" : "BASE64";
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (value_of(c, url) != BAD)
            continue;
        if (c == '=')
            error_set(err, RC_MALFORMED, "%s: padding at offset %zu of %s", what, i, form);
        else
            error_set(err, RC_MALFORMED, "%s: byte 0x%02x at offset %zu is no digit of %s", what, c,
                      i, form);
        error_rule(err, url ? "RFC 7515 section 2" : "RFC 4648 section 4");
        return;
    }
    if (text.size % 4 == 1)
        error_set(err, RC_MALFORMED, "%s: %zu characters are no whole %s text", what, text.size,
                  form);
    else
        error_set(err, RC_MALFORMED, "%s: non-zero bits after the end of the %s text", what, form);
    error_rule(err, "RFC 4648 section 3.5");
}

static long long decode_to(uint8_t *out, struct span text, bool url)
{
    const uint8_t *p = text.data;
    uint8_t *to = out;
    size_t whole = text.size / 4, rest = text.size % 4;
    const char *digits = url ? url_digits : std_digits;
    size_t done = base64_decode_simd(to, p, text.size,
                                     (struct base64_tail){digits[62], digits[63]});
    p += done;
    to += done / 4 * 3;
    for (size_t i = done / 4; i < whole; i++, p += 4, to += 3) {
        uint8_t a = value_of(p[0], url), b = value_of(p[1], url), c = value_of(p[2], url),
                d = value_of(p[3], url);
        if ((a | b | c | d) & 0x80)
            return -1;
        uint32_t v = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | d;
        to[0] = (uint8_t)(v >> 16);
        to[1] = (uint8_t)(v >> 8);
        to[2] = (uint8_t)v;
    }
    if (rest == 1)
        return -1;
    if (rest) {
        uint8_t a = value_of(p[0], url), b = value_of(p[1], url),
                c = rest == 3 ? value_of(p[2], url) : 0;
        if ((a | b | c) & 0x80 || (rest == 2 ? b & 15 : c & 3))
            return -1;
        *to++ = (uint8_t)(a << 2 | b >> 4);
        if (rest == 3)
            *to++ = (uint8_t)(b << 4 | c >> 2);
    }
    return to - out;
}

long long base64url_decode_to(uint8_t *out, struct span text, const char *what, struct error *err)
{
    long long size = decode_to(out, text, true);
    if (size < 0) {
        if (out == text.data) {
            error_set(err, RC_MALFORMED, "%s: not base64url", what);
            error_rule(err, "RFC 7515 section 2");
        } else {
            explain(text, true, what, err);
        }
    }
    return size;
}

static buffer *decode(struct span text, bool url, const char *what, struct error *err)
{
    AUTO(buffer) *b = buffer_secret(text.size / 4 * 3 + 3);
    if (!b) {
        error_memory(err);
        return NULL;
    }
    struct span digits = text;
    if (!url) {
        size_t pads = 0;
        while (pads < 2 && digits.size && digits.data[digits.size - 1] == '=')
            digits.size--, pads++;
        if (text.size % 4 || (pads && digits.size % 4 != 4 - pads)) {
            error_set(err, RC_MALFORMED, "%s: %zu characters are no padded BASE64", what,
                      text.size);
            error_rule(err, "RFC 4648 section 4");
            return NULL;
        }
    }
    long long size = decode_to(b->data, digits, url);
    if (size < 0) {
        explain(digits, url, what, err);
        return NULL;
    }
    b->size = (size_t)size;
    b->data[b->size] = '\0';
    return TAKE(b);
}

buffer *base64url_decode(struct span text, const char *what, struct error *err)
{
    return decode(text, true, what, err);
}

buffer *base64_decode(struct span text, const char *what, struct error *err)
{
    return decode(text, false, what, err);
}
