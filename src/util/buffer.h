/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer.h: bytes, borrowed (span) and owned (buffer).
 *
 *     AUTO(buffer) *out = buffer_new(0);
 *     buffer_put_text(out, "{\"payload\":\"");
 *     ...
 *     if (out->failed)
 *         return error_memory(err);
 *
 * A buffer remembers that an allocation failed, so a writer checks once, at the end. A buffer made
 * with buffer_secret is wiped whenever its memory is given back, also when it grows.
 */
#ifndef OTRP_UTIL_BUFFER_H
#define OTRP_UTIL_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/auto.h"
#include "util/error.h"

struct span {
    const uint8_t *data; /* borrowed; NULL only when size is 0 */
    size_t size;         /* bytes */
};

typedef struct buffer {
    uint8_t *data; /* always followed by a NUL that size does not count */
    size_t size;
    size_t capacity;
    bool secret;
    bool failed;
} buffer;

#define SPAN(pointer, length) ((struct span){(const uint8_t *)(pointer), (length)})

struct span span_text(const char *text);  /* the bytes of a C string, without its NUL */
struct span buffer_span(const buffer *b); /* what the buffer holds now; NULL gives an empty span */
bool span_equal(struct span a, struct span b); /* not constant-time: for public bytes */
bool span_is(struct span a, const char *text);
struct span span_trim(struct span text); /* without the white space of JSON around it */
char *span_dup(struct span s);           /* a C string; NULL without memory or with a NUL inside */

/* New buffers with room for capacity bytes; NULL without memory. buffer_free accepts NULL. */
buffer *buffer_new(size_t capacity);
buffer *buffer_secret(size_t capacity);
buffer *buffer_copy(struct span s);
void buffer_free(buffer *b);

/* Room for extra more bytes behind the content; returns where they go, NULL without memory. */
uint8_t *buffer_reserve(buffer *b, size_t extra);
void buffer_put(buffer *b, const void *data, size_t size);
void buffer_put_span(buffer *b, struct span s);
void buffer_put_text(buffer *b, const char *text);
void buffer_put_char(buffer *b, char c);
void buffer_put_format(buffer *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* Appends text as a JSON string, quotes included (RFC 8785 section 3.2.2.2). */
void buffer_put_json_string(buffer *b, struct span text);

/* Appends lower-case hexadecimal. */
void buffer_put_hex(buffer *b, struct span s);

AUTO_DEFINE(buffer, buffer_free)

#endif
