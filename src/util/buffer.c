/* SPDX-License-Identifier: Apache-2.0 */
#include "util/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <openssl/crypto.h>

struct span span_text(const char *text)
{
    return SPAN(text, text ? strlen(text) : 0);
}

struct span buffer_span(const buffer *b)
{
    return b ? SPAN(b->data, b->size) : SPAN(NULL, 0);
}

bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool span_is(struct span a, const char *text)
{
    return span_equal(a, span_text(text));
}

struct span span_trim(struct span text)
{
    while (text.size && text.data[0] && strchr(" \t\r\n", text.data[0]))
        text = SPAN(text.data + 1, text.size - 1);
    while (text.size && text.data[text.size - 1] && strchr(" \t\r\n", text.data[text.size - 1]))
        text.size--;
    return text;
}

char *span_dup(struct span s)
{
    if (s.size && memchr(s.data, '\0', s.size))
        return NULL;
    char *text = malloc(s.size + 1);
    if (!text)
        return NULL;
    if (s.size)
        memcpy(text, s.data, s.size);
    text[s.size] = '\0';
    return text;
}

static buffer *buffer_make(size_t capacity, bool secret)
{
    buffer *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->secret = secret;
    if (!buffer_reserve(b, capacity)) {
        free(b);
        return NULL;
    }
    return b;
}

buffer *buffer_new(size_t capacity)
{
    return buffer_make(capacity, false);
}

buffer *buffer_secret(size_t capacity)
{
    return buffer_make(capacity, true);
}

buffer *buffer_copy(struct span s)
{
    buffer *b = buffer_new(s.size);
    if (b)
        buffer_put_span(b, s);
    return b;
}

void buffer_free(buffer *b)
{
    if (!b)
        return;
    if (b->secret && b->data)
        OPENSSL_cleanse(b->data, b->capacity);
    free(b->data);
    free(b);
}

uint8_t *buffer_reserve(buffer *b, size_t extra)
{
    if (b->failed)
        return NULL;
    if (extra < SIZE_MAX - b->size - 1 && b->capacity >= b->size + extra + 1)
        return b->data + b->size;
    size_t wanted = b->size + extra + 1;
    if (wanted < extra) {
        b->failed = true;
        return NULL;
    }
    size_t capacity = b->capacity + b->capacity / 2;
    if (capacity < wanted)
        capacity = wanted;
    uint8_t *data = NULL;
    if (!b->secret) {
        data = realloc(b->data, capacity);
    } else if ((data = malloc(capacity))) {
        if (b->size)
            memcpy(data, b->data, b->size);
        if (b->data)
            OPENSSL_cleanse(b->data, b->capacity);
        free(b->data);
    }
    if (!data) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->capacity = capacity;
    b->data[b->size] = '\0';
    return b->data + b->size;
}

void buffer_put(buffer *b, const void *data, size_t size)
{
    uint8_t *to = buffer_reserve(b, size);
    if (!to)
        return;
    if (size)
        memcpy(to, data, size);
    b->size += size;
    b->data[b->size] = '\0';
}

void buffer_put_span(buffer *b, struct span s)
{
    buffer_put(b, s.data, s.size);
}

void buffer_put_text(buffer *b, const char *text)
{
    buffer_put(b, text, strlen(text));
}

void buffer_put_char(buffer *b, char c)
{
    buffer_put(b, &c, 1);
}

void buffer_put_format(buffer *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        b->failed = true;
    } else {
        char *to = (char *)buffer_reserve(b, (size_t)length);
        if (to) {
            vsnprintf(to, (size_t)length + 1, format, again);
            b->size += (size_t)length;
        }
    }
    va_end(again);
}

/* How many bytes from at on stand in a JSON string as they are. */
static size_t plain_bytes(struct span text, size_t at)
{
    size_t i = at;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\'),
                  control = _mm_set1_epi8(0x1f);
    for (; text.size - i >= 16; i += 16) {
        __m128i c = _mm_loadu_si128((const __m128i *)(text.data + i));
        __m128i found = _mm_or_si128(
            _mm_cmpeq_epi8(_mm_min_epu8(c, control), c),
            _mm_or_si128(_mm_cmpeq_epi8(c, quote), _mm_cmpeq_epi8(c, back)));
        int mask = _mm_movemask_epi8(found);
        if (mask)
            return i - at + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (i < text.size && text.data[i] >= 0x20 && text.data[i] != '"' && text.data[i] != '\\')
        i++;
    return i - at;
}

void buffer_put_json_string(buffer *b, struct span text)
{
    buffer_put_char(b, '"');
    size_t start = 0;
    for (size_t i = 0; (i += plain_bytes(text, i)) < text.size; i++) {
        uint8_t c = text.data[i];
        buffer_put(b, text.data + start, i - start);
        start = i + 1;
        static const char shorts[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
        const char *found = c ? strchr(shorts, c) : NULL;
        if (found)
            buffer_put_format(b, "\\%c", letters[found - shorts]);
        else
            buffer_put_format(b, "\\u%04x", c);
    }
    if (text.size > start)
        buffer_put(b, text.data + start, text.size - start);
    buffer_put_char(b, '"');
}

void buffer_put_hex(buffer *b, struct span s)
{
    static const char digits[] = "0123456789abcdef";
    char *to = (char *)buffer_reserve(b, 2 * s.size);
    if (!to)
        return;
    for (size_t i = 0; i < s.size; i++) {
        to[2 * i] = digits[s.data[i] >> 4];
        to[2 * i + 1] = digits[s.data[i] & 15];
    }
    b->size += 2 * s.size;
    b->data[b->size] = '\0';
}
