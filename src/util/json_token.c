/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json_token.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <openssl/crypto.h>

#include "util/text_form.h"
#include "util/utf8.h"

/* A string that had escapes, without them. */
struct json_resolved {
    struct json_resolved *next;
    size_t size;
    uint8_t text[];
};

void json_resolved_free(struct json_resolved *resolved)
{
    while (resolved) {
        struct json_resolved *next = resolved->next;
        OPENSSL_cleanse(resolved->text, resolved->size); /* keys pass through here as text */
        free(resolved);
        resolved = next;
    }
}

bool json_refuse(struct json_cursor *in, const char *what)
{
    error_set(in->err, RC_MALFORMED, "%s: %s at offset %zu", in->name, what,
              (size_t)(in->at - in->start));
    return error_rule(in->err, "RFC 8259");
}

/* Moves on to the first byte that is a quote, a backslash, a control character or not ASCII. */
static void skip_plain(struct json_cursor *in)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\'),
                  space = _mm_set1_epi8(0x20);
    while (in->end - in->at >= 16) {
        __m128i c = _mm_loadu_si128((const __m128i *)in->at);
        /* as signed bytes, what is not ASCII is below the space, too */
        __m128i found = _mm_or_si128(
            _mm_cmplt_epi8(c, space),
            _mm_or_si128(_mm_cmpeq_epi8(c, quote), _mm_cmpeq_epi8(c, back)));
        int mask = _mm_movemask_epi8(found);
        if (mask) {
            in->at += __builtin_ctz((unsigned)mask);
            return;
        }
        in->at += 16;
    }
#endif
    while (in->at < in->end && *in->at >= 0x20 && *in->at < 0x80 && *in->at != '"' &&
           *in->at != '\\')
        in->at++;
}

static int hex4(const uint8_t *p)
{
    int v = 0;
    for (int i = 0; i < 4 && v >= 0; i++) {
        int digit = hex_value(p[i]);
        v = digit < 0 ? -1 : v << 4 | digit;
    }
    return v;
}

static size_t put_utf8(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (uint8_t)(0xc0 | c >> 6);
        to[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (uint8_t)(0xe0 | c >> 12);
        to[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        to[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | c >> 18);
    to[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    to[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

/* The escape at in->at (behind the backslash) as a character; false when it is none. */
static bool read_escape(struct json_cursor *in, uint32_t *c)
{
    if (in->at >= in->end)
        return json_refuse(in, "text ends inside a string");
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *found = *in->at ? strchr(letters, *in->at) : NULL;
    if (found) {
        *c = (uint8_t)meant[found - letters];
        in->at++;
        return true;
    }
    int high = in->end - in->at >= 5 && *in->at == 'u' ? hex4(in->at + 1) : -1;
    if (high < 0)
        return json_refuse(in, "bad escape in a string");
    in->at += 5;
    *c = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff)
        return true;
    int low = in->end - in->at >= 6 && in->at[0] == '\\' && in->at[1] == 'u' ? hex4(in->at + 2)
                                                                             : -1;
    if (high > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return json_refuse(in, "half a surrogate pair in a string");
    in->at += 6;
    *c = 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    return true;
}

/* The string whose content begins at start and whose first escape is at in->at. */
static bool resolve_string(struct json_cursor *in, const uint8_t *start, struct span *string)
{
    const uint8_t *close = in->at;
    while (close < in->end && *close != '"')
        close += *close == '\\' && in->end - close > 1 ? 2 : 1;
    struct json_resolved *r = malloc(sizeof *r + (size_t)(close - start));
    if (!r)
        return error_memory(in->err);
    r->next = *in->resolved;
    *in->resolved = r;
    r->size = (size_t)(in->at - start);
    memcpy(r->text, start, r->size);
    while (in->at < in->end && *in->at != '"') {
        const uint8_t *run = in->at;
        if (*in->at == '\\') {
            uint32_t c = 0;
            in->at++;
            if (!read_escape(in, &c))
                return false;
            r->size += put_utf8(r->text + r->size, c);
            continue;
        }
        size_t length = utf8_length(in->at, (size_t)(in->end - in->at));
        if (length == 0)
            return json_refuse(in, "a byte that is not UTF-8");
        if (*in->at < 0x20)
            return json_refuse(in, "a control character in a string");
        in->at += length;
        memcpy(r->text + r->size, run, length);
        r->size += length;
    }
    *string = SPAN(r->text, r->size);
    return true;
}

/* in->at is behind the opening quote; left behind the closing one. */
bool json_read_string(struct json_cursor *in, struct span *string)
{
    const uint8_t *start = in->at;
    for (;;) {
        skip_plain(in);
        if (in->at >= in->end)
            return json_refuse(in, "text ends inside a string");
        if (*in->at == '"')
            break;
        if (*in->at == '\\') {
            if (!resolve_string(in, start, string))
                return false;
            if (in->at >= in->end)
                return json_refuse(in, "text ends inside a string");
            in->at++;
            return true;
        }
        if (*in->at < 0x20)
            return json_refuse(in, "a control character in a string");
        size_t length = utf8_length(in->at, (size_t)(in->end - in->at));
        if (length == 0)
            return json_refuse(in, "a byte that is not UTF-8");
        in->at += length;
    }
    *string = SPAN(start, (size_t)(in->at - start));
    in->at++;
    return true;
}

static bool digits(struct json_cursor *in)
{
    const uint8_t *start = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9')
        in->at++;
    return in->at > start;
}

bool json_read_number(struct json_cursor *in)
{
    if (in->at < in->end && *in->at == '-')
        in->at++;
    const uint8_t *whole = in->at;
    if (!digits(in) || (*whole == '0' && in->at - whole > 1))
        return json_refuse(in, "not a JSON number");
    if (in->at < in->end && *in->at == '.') {
        in->at++;
        if (!digits(in))
            return json_refuse(in, "not a JSON number");
    }
    if (in->at < in->end && (*in->at | 0x20) == 'e') {
        in->at++;
        if (in->at < in->end && (*in->at == '+' || *in->at == '-'))
            in->at++;
        if (!digits(in))
            return json_refuse(in, "not a JSON number");
    }
    return true;
}

bool json_read_word(struct json_cursor *in, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length) != 0)
        return json_refuse(in, "not a JSON value");
    in->at += length;
    return true;
}
