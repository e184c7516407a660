/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_head.h: the head of an HTTP/1 message (its first line and its fields), and where the body
 * behind it ends (RFC 9112): for a proxy that passes on what it got, byte for byte.
 *
 *     size_t size = http_head_size(bytes);                0: not all of it is there
 *     if (!http_response_parse(&head, SPAN(bytes.data, size), err)) ...
 *     struct http_body body;
 *     if (!http_body_of_response(&body, &head, is_head_request, err)) ...
 *     used = http_body_pass(&body, more, out, err);       until body.done
 *
 * Strict where two readers could read two things: what is ambiguous is refused, not guessed.
 */
#ifndef OTRP_NET_HTTP_HEAD_H
#define OTRP_NET_HTTP_HEAD_H

#include "util/buffer.h"

enum { HTTP_FIELDS = 128, HTTP_HEAD_BYTES = 65536 };

struct http_field {
    struct span name, value, line; /* line: without its end */
};

struct http_head {
    struct span text, first; /* the whole; its first line without its end */
    struct http_field fields[HTTP_FIELDS];
    size_t count;
    struct span method, target; /* of a request */
    int status;                 /* of a response */
    int minor;                  /* of HTTP/1.x */
};

/* Bytes of the head at the beginning of text, the empty line included; 0 when that is not there. */
size_t http_head_size(struct span text);

/* Reads a whole head, which must outlive it. RC_MALFORMED. */
bool http_request_parse(struct http_head *head, struct span text, struct error *err) MUST_CHECK;
bool http_response_parse(struct http_head *head, struct span text, struct error *err) MUST_CHECK;

/* Whether it is that name, whatever its case. */
bool http_name_is(struct span name, const char *text);

/* The first field of that name, or NULL. */
const struct http_field *http_field_find(const struct http_head *head, const char *name);

/* Whether a list-valued field holds the token, whatever its case. */
bool http_field_has(const struct http_head *head, const char *name, const char *token);

/* Whether field i is for the next hop alone (RFC 9110 section 7.6.1). Transfer-Encoding is not
 * counted: a body stays in the coding it came in. */
bool http_field_is_hop(const struct http_head *head, size_t i);

/* Whether the field of that name is a credential: who may read a log must not be who may log in. */
bool http_name_is_secret(struct span name);

enum http_framing { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED, HTTP_UNTIL_CLOSE };

enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER_START,
    CHUNK_TRAILER,
    CHUNK_TRAILER_LF,
    CHUNK_LAST_LF
};

/* A body on its way. */
struct http_body {
    enum http_framing framing;
    bool done;
    bool decode;  /* take the chunks off */
    buffer *copy; /* of its content, at most copy_bytes of it; or NULL */
    size_t copy_bytes;
    unsigned long long bytes; /* of its content so far */
    unsigned long long left;  /* of it, or of the chunk */
    enum chunk_state state;
    unsigned digits, overhead; /* of the chunk's size; of extensions and trailers in all */
};

/* RC_MALFORMED when it cannot be told where the body ends. */
bool http_body_of_request(struct http_body *body, const struct http_head *head,
                          struct error *err) MUST_CHECK;
bool http_body_of_response(struct http_body *body, const struct http_head *head, bool to_head,
                           struct error *err) MUST_CHECK;

/* Takes what belongs to the body from data, appends it to out, and returns how much that was. -1
 * (RC_MALFORMED) for broken chunks. */
long long http_body_pass(struct http_body *body, struct span data, buffer *out, struct error *err);

#endif
