/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_head.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/text_form.h"

enum { OVERHEAD_BYTES = 65536 }; /* of all chunk extensions and trailers of a body */

size_t http_head_size(struct span text)
{
    const uint8_t *end = text.size ? memmem(text.data, text.size, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end - text.data) + 4 : 0;
}

bool http_name_is(struct span name, const char *text)
{
    return name.size == strlen(text) && strncasecmp((const char *)name.data, text, name.size) == 0;
}

static struct span trim(struct span s)
{
    while (s.size && (*s.data == ' ' || *s.data == '\t'))
        s = SPAN(s.data + 1, s.size - 1);
    while (s.size && (s.data[s.size - 1] == ' ' || s.data[s.size - 1] == '\t'))
        s.size--;
    return s;
}

static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!isalnum(s.data[i]) && (!s.data[i] || !strchr("!#$%&'*+-.^_`|~", s.data[i])))
            return false;
    return s.size > 0;
}

/* The line at the beginning of *text, which is moved behind it. */
static struct span take_line(struct span *text)
{
    const uint8_t *end = memmem(text->data, text->size, "\r\n", 2);
    size_t size = end ? (size_t)(end - text->data) : text->size, used = end ? size + 2 : size;
    struct span line = SPAN(text->data, size);
    *text = SPAN(text->data + used, text->size - used);
    return line;
}

/* A lone CR, LF or NUL means different things to different readers. */
static bool is_sound(struct span line)
{
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] == '\r' || line.data[i] == '\n' || line.data[i] == '\0')
            return false;
    return true;
}

/* Something, without what a lax reader takes for white space. */
static bool is_target(struct span target)
{
    for (size_t i = 0; i < target.size; i++)
        if (target.data[i] <= ' ' || target.data[i] == 0x7f)
            return false;
    return target.size > 0;
}

static bool field_parse(struct http_head *head, struct span line, struct error *err)
{
    const uint8_t *colon = memchr(line.data, ':', line.size);
    size_t length = colon ? (size_t)(colon - line.data) : 0;
    struct span name = SPAN(line.data, length);
    if (!is_sound(line) || !is_token(name))
        return error_set(err, RC_MALFORMED, "header line %zu is none", head->count + 1);
    if (head->count == HTTP_FIELDS)
        return error_set(err, RC_MALFORMED, "more than %d header lines", HTTP_FIELDS);
    head->fields[head->count++] = (struct http_field){
        .name = name, .value = trim(SPAN(colon + 1, line.size - length - 1)), .line = line};
    return true;
}

static bool fields_parse(struct http_head *head, struct span text, struct error *err)
{
    head->text = text;
    head->count = 0;
    head->first = take_line(&text);
    if (!is_sound(head->first))
        return error_set(err, RC_MALFORMED, "the first line is none of HTTP");
    while (text.size > 2)
        if (!field_parse(head, take_line(&text), err))
            return false;
    return true;
}

/* "HTTP/1.0" or "HTTP/1.1"; -1 for anything else. */
static int minor_of(struct span version)
{
    if (version.size != 8 || memcmp(version.data, "HTTP/1.", 7) != 0)
        return -1;
    return version.data[7] == '0' ? 0 : version.data[7] == '1' ? 1 : -1;
}

bool http_request_parse(struct http_head *head, struct span text, struct error *err)
{
    if (!fields_parse(head, text, err))
        return false;
    struct span line = head->first;
    const uint8_t *one = line.size ? memchr(line.data, ' ', line.size) : NULL;
    const uint8_t *two = one ? memrchr(line.data, ' ', line.size) : NULL;
    if (!one || one == two)
        return error_set(err, RC_MALFORMED, "the first line is none of an HTTP request");
    head->method = SPAN(line.data, (size_t)(one - line.data));
    head->target = SPAN(one + 1, (size_t)(two - one - 1));
    head->minor = minor_of(SPAN(two + 1, line.size - (size_t)(two + 1 - line.data)));
    head->status = 0;
    if (!is_token(head->method) || !is_target(head->target) || head->minor < 0)
        return error_set(err, RC_MALFORMED, "the first line is none of an HTTP/1 request");
    return true;
}

bool http_response_parse(struct http_head *head, struct span text, struct error *err)
{
    if (!fields_parse(head, text, err))
        return false;
    struct span line = head->first;
    head->minor = line.size >= 12 ? minor_of(SPAN(line.data, 8)) : -1;
    head->method = head->target = SPAN(NULL, 0);
    head->status = 0;
    for (size_t i = 9; i < 12 && head->minor >= 0; i++)
        head->status = isdigit(line.data[i]) ? head->status * 10 + (line.data[i] - '0') : -1000;
    if (head->minor < 0 || line.data[8] != ' ' || head->status < 100 ||
        (line.size > 12 && line.data[12] != ' '))
        return error_set(err, RC_MALFORMED, "the first line is none of an HTTP/1 response");
    return true;
}

const struct http_field *http_field_find(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->count; i++)
        if (http_name_is(head->fields[i].name, name))
            return &head->fields[i];
    return NULL;
}

/* Calls for each element of the lists of that name, until found. */
static bool list_has(const struct http_head *head, const char *name, struct span token)
{
    for (size_t i = 0; i < head->count; i++) {
        struct span list = head->fields[i].value;
        if (!http_name_is(head->fields[i].name, name))
            continue;
        while (list.size) {
            const uint8_t *comma = memchr(list.data, ',', list.size);
            size_t size = comma ? (size_t)(comma - list.data) : list.size;
            struct span one = trim(SPAN(list.data, size));
            if (one.size == token.size &&
                strncasecmp((const char *)one.data, (const char *)token.data, one.size) == 0)
                return true;
            size += comma ? 1 : 0;
            list = SPAN(list.data + size, list.size - size);
        }
    }
    return false;
}

bool http_field_has(const struct http_head *head, const char *name, const char *token)
{
    return list_has(head, name, span_text(token));
}

bool http_name_is_secret(struct span name)
{
    static const char *const secret[] = {"Authorization", "Proxy-Authorization", "Cookie",
                                         "Set-Cookie"};
    for (size_t i = 0; i < COUNT(secret); i++)
        if (http_name_is(name, secret[i]))
            return true;
    return false;
}

bool http_field_is_hop(const struct http_head *head, size_t i)
{
    static const char *const hop[] = {
        "Connection",          "Keep-Alive", "Proxy-Connection",  "TE",
        "Proxy-Authorization", "Upgrade",    "Proxy-Authenticate"};
    struct span name = head->fields[i].name;
    for (size_t k = 0; k < COUNT(hop); k++)
        if (http_name_is(name, hop[k]))
            return true;
    /* what frames the body cannot be taken away by a list */
    return list_has(head, "Connection", name) && !http_name_is(name, "Content-Length") &&
           !http_name_is(name, "Transfer-Encoding") && !http_name_is(name, "Host");
}

/* Bodies. */

/* The one Content-Length: equal ones count as one. False when there is none that is sound. */
static bool length_of(const struct http_head *head, unsigned long long *length)
{
    struct span text = SPAN(NULL, 0);
    for (size_t i = 0; i < head->count; i++) {
        if (!http_name_is(head->fields[i].name, "Content-Length"))
            continue;
        struct span value = head->fields[i].value;
        if (text.data && !span_equal(text, value))
            return false;
        text = value;
    }
    *length = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (!isdigit(text.data[i]))
            return false;
        *length = *length * 10 + (text.data[i] - '0');
    }
    return text.size > 0 && text.size < 19;
}

/* What its fields say of a body's end; without any, otherwise. */
static bool frame(struct http_body *body, const struct http_head *head, enum http_framing otherwise,
                  struct error *err)
{
    *body = (struct http_body){.framing = otherwise};
    const struct http_field *coding = http_field_find(head, "Transfer-Encoding");
    const struct http_field *length = http_field_find(head, "Content-Length");
    if (coding && length)
        return error_set(err, RC_MALFORMED, "both Content-Length and Transfer-Encoding");
    size_t codings = 0;
    for (size_t i = 0; i < head->count; i++)
        codings += http_name_is(head->fields[i].name, "Transfer-Encoding");
    if (coding && (codings > 1 || !http_name_is(coding->value, "chunked") || head->minor == 0))
        return error_set(err, RC_MALFORMED, "a transfer coding other than chunked");
    if (length && !length_of(head, &body->left))
        return error_set(err, RC_MALFORMED, "Content-Length is no length");
    if (coding)
        body->framing = HTTP_CHUNKED;
    if (length)
        body->framing = HTTP_LENGTH;
    body->done = body->framing == HTTP_NO_BODY || (length && body->left == 0);
    return true;
}

bool http_body_of_request(struct http_body *body, const struct http_head *head, struct error *err)
{
    return frame(body, head, HTTP_NO_BODY, err);
}

bool http_body_of_response(struct http_body *body, const struct http_head *head, bool to_head,
                           struct error *err)
{
    if (to_head || head->status < 200 || head->status == 204 || head->status == 304) {
        *body = (struct http_body){.framing = HTTP_NO_BODY, .done = true};
        return true;
    }
    return frame(body, head, HTTP_UNTIL_CLOSE, err);
}

static void copy_content(struct http_body *body, struct span content)
{
    body->bytes += content.size;
    if (!body->copy || body->copy->size >= body->copy_bytes)
        return;
    size_t room = body->copy_bytes - body->copy->size;
    buffer_put(body->copy, content.data, content.size < room ? content.size : room);
}

static bool bad_chunk(struct error *err)
{
    error_set(err, RC_MALFORMED, "the body's chunks are broken");
    return error_rule(err, "RFC 9112 section 7.1");
}

/* A byte of an extension or a trailer, which ends with a CR. */
static bool overhead_step(struct http_body *b, uint8_t c, enum chunk_state behind,
                          struct error *err)
{
    if (c == '\r')
        b->state = behind;
    return (c != '\n' && ++b->overhead < OVERHEAD_BYTES) || bad_chunk(err);
}

static bool size_step(struct http_body *b, uint8_t c, struct error *err)
{
    int digit = hex_value(c);
    if (digit >= 0 && b->digits < 15) {
        b->left = b->left << 4 | (unsigned)digit;
        b->digits++;
        return true;
    }
    if (b->digits == 0 || !c || !strchr("\r; \t", c))
        return bad_chunk(err);
    b->state = CHUNK_EXTENSION;
    return overhead_step(b, c, CHUNK_SIZE_LF, err);
}

/* One byte of what stands around the chunks' data. */
static bool chunk_step(struct http_body *b, uint8_t c, struct error *err)
{
    switch (b->state) {
    case CHUNK_SIZE:
        return size_step(b, c, err);
    case CHUNK_EXTENSION:
        return overhead_step(b, c, CHUNK_SIZE_LF, err);
    case CHUNK_SIZE_LF:
        b->state = b->left ? CHUNK_DATA : CHUNK_TRAILER_START;
        return c == '\n' || bad_chunk(err);
    case CHUNK_DATA_CR:
        b->state = CHUNK_DATA_LF;
        return c == '\r' || bad_chunk(err);
    case CHUNK_DATA_LF:
        b->state = CHUNK_SIZE;
        b->digits = 0;
        return c == '\n' || bad_chunk(err);
    case CHUNK_TRAILER_START:
        b->state = CHUNK_TRAILER;
        return overhead_step(b, c, CHUNK_LAST_LF, err);
    case CHUNK_TRAILER:
        return overhead_step(b, c, CHUNK_TRAILER_LF, err);
    case CHUNK_TRAILER_LF:
        b->state = CHUNK_TRAILER_START;
        return c == '\n' || bad_chunk(err);
    case CHUNK_LAST_LF:
        b->done = true;
        return c == '\n' || bad_chunk(err);
    case CHUNK_DATA:
        break;
    }
    return true;
}

static long long pass_chunks(struct http_body *b, struct span data, buffer *out, struct error *err)
{
    size_t at = 0;
    while (at < data.size && !b->done) {
        if (b->state != CHUNK_DATA) {
            if (!chunk_step(b, data.data[at], err))
                return -1;
            if (!b->decode)
                buffer_put_char(out, (char)data.data[at]);
            at++;
            continue;
        }
        size_t size = data.size - at < b->left ? data.size - at : (size_t)b->left;
        copy_content(b, SPAN(data.data + at, size));
        buffer_put(out, data.data + at, size);
        at += size;
        b->left -= size;
        if (b->left == 0)
            b->state = CHUNK_DATA_CR;
    }
    return (long long)at;
}

long long http_body_pass(struct http_body *body, struct span data, buffer *out, struct error *err)
{
    if (body->done)
        return 0;
    if (body->framing == HTTP_CHUNKED)
        return pass_chunks(body, data, out, err);
    size_t size = data.size;
    if (body->framing == HTTP_LENGTH && size > body->left)
        size = (size_t)body->left;
    copy_content(body, SPAN(data.data, size));
    buffer_put(out, data.data, size);
    if (body->framing == HTTP_LENGTH) {
        body->left -= size;
        body->done = body->left == 0;
    }
    return (long long)size;
}
