/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy_parts.h"
#include "util/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A whole exchange has so many times the time-out of a silence: one who sends a byte a second is
 * never silent. */
enum { EXCHANGE_TIMES = 10 };

static void drop(buffer *b, size_t size)
{
    memmove(b->data, b->data + size, b->size - size);
    b->size -= size;
}

/* Appends what the upstream sends: bytes, 0 at its end, -1: nothing is there, -2: a failure. */
static ssize_t up_read(exchange *x)
{
    uint8_t *to = buffer_reserve(x->up_in, PROXY_PIECE_BYTES);
    ssize_t n = to ? x->proxy->options.http->receive(x->up, to, PROXY_PIECE_BYTES) : STREAM_FAILED;
    if (n > 0)
        x->up_in->size += (size_t)n;
    return n;
}

static void put_line(buffer *out, struct span line)
{
    buffer_put_span(out, line);
    buffer_put_text(out, "\r\n");
}

/* The root of this server stands for the path of the upstream's URL; all else passes as it is. */
static void put_request_line(buffer *out, const exchange *x)
{
    const struct http_head *head = &x->request;
    buffer_put_span(out, head->method);
    buffer_put_char(out, ' ');
    if (span_is(head->target, "/"))
        buffer_put_text(out, x->proxy->path);
    else
        buffer_put_span(out, head->target);
    buffer_put_text(out, " HTTP/1.1\r\n");
}

static void put_request_head(buffer *out, const exchange *x)
{
    bool host = false;
    put_request_line(out, x);
    for (size_t i = 0; i < x->request.count; i++) {
        const struct http_field *field = &x->request.fields[i];
        if (http_name_is(field->name, "Host")) {
            if (!host)
                buffer_put_format(out, "%.*s: %s\r\n", (int)field->name.size, field->name.data,
                                  x->proxy->host);
            host = true;
        } else if (!http_field_is_hop(&x->request, i)) {
            put_line(out, field->line);
        }
    }
    if (!host)
        buffer_put_format(out, "Host: %s\r\n", x->proxy->host);
    buffer_put_text(out, "Connection: close\r\n\r\n");
}

static void put_response_head(buffer *out, const exchange *x)
{
    put_line(out, x->response.first);
    for (size_t i = 0; i < x->response.count; i++)
        if (!http_field_is_hop(&x->response, i) &&
            !(x->response_body.decode &&
              http_name_is(x->response.fields[i].name, "Transfer-Encoding")))
            put_line(out, x->response.fields[i].line);
    if (!x->keep && x->response.status >= 200)
        buffer_put_text(out, "Connection: close\r\n");
    buffer_put_text(out, "\r\n");
}

/* The proxy's own answer, when there is none to pass on. Tells why. Always false. */
static bool answer(exchange *x, int status, const char *reason)
{
    char text[160];
    x->keep = false;
    exchange_tell_response(x, status, true, reason);
    snprintf(text, sizeof text, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
             status,
             status == 400   ? "Bad Request"
             : status == 431 ? "Request Header Fields Too Large"
             : status == 501 ? "Not Implemented"
             : status == 504 ? "Gateway Timeout"
                             : "Bad Gateway");
    return client_send(x->client, span_text(text)) && false;
}

/* Nobody is there to be answered. */
static bool abandon(exchange *x, const char *reason)
{
    x->keep = false;
    exchange_tell_response(x, 0, true, reason);
    return false;
}

/* The first byte of a request is there. */
static void begin(exchange *x)
{
    if (x->number)
        return;
    x->number = atomic_fetch_add(&x->proxy->exchanges, 1) + 1;
    x->begun_ms = clock_precise_ms();
}

/* Reads the head of a request, for which its client has the time-out in all. False without one. */
static bool read_request(exchange *x)
{
    struct client *c = x->client;
    struct error err;
    size_t size;
    if (c->in->size)
        begin(x);
    while ((size = http_head_size(buffer_span(c->in))) == 0) {
        if (c->in->size > HTTP_HEAD_BYTES)
            return answer(x, 431, "the client's header is too large");
        long left = proxy_silence_ms(c->proxy);
        left -= x->number ? (long)(clock_precise_ms() - x->begun_ms) : 0;
        ssize_t n = client_read(c);
        if (n < 0 && (left <= 0 || !client_wait(c, POLLIN, left)))
            n = 0;
        if (n == 0) /* the end of a connection is none of a message */
            return c->in->size ? abandon(x, "the client's request is incomplete") : false;
        if (n > 0)
            begin(x);
    }
    x->request_text = buffer_copy(SPAN(c->in->data, size));
    if (!x->request_text || size > HTTP_HEAD_BYTES)
        return answer(x, 431, "the client's header is too large");
    drop(c->in, size);
    x->begun_ms = clock_precise_ms();
    c->until_ms = x->begun_ms + EXCHANGE_TIMES * (double)proxy_silence_ms(c->proxy);
    if (!http_request_parse(&x->request, buffer_span(x->request_text), &err) ||
        !http_body_of_request(&x->request_body, &x->request, &err))
        return answer(x, 400, err.message);
    x->request_body.copy = buffer_new(0);
    x->request_body.copy_bytes = c->proxy->options.body_bytes;
    x->keep = x->request.minor == 1 && !http_field_has(&x->request, "Connection", "close");
    return true;
}

/* What of the request's body is there already: recorded also when nobody can be sent it. */
static void swallow_request(exchange *x)
{
    struct error ignored;
    struct client *c = x->client;
    bool waits = http_field_find(&x->request, "Expect") != NULL;
    while (!x->request_body.done && !waits && !client_overdue(c)) {
        long long used = http_body_pass(&x->request_body, buffer_span(c->in), x->pending, &ignored);
        x->pending->size = 0;
        if (used < 0)
            return;
        drop(c->in, (size_t)used);
        if (x->request_body.done)
            return;
        ssize_t n = client_read(c);
        if (n == 0 || (n < 0 && !client_wait(c, POLLIN, proxy_silence_ms(c->proxy))))
            return;
    }
}

static bool dial(exchange *x)
{
    struct error err = {.rc = RC_OK};
    bool timed_out;
    struct http_client_options options = x->proxy->options.upstream;
    options.timeout_ms = options.connect_timeout_ms;
    x->up = x->proxy->options.http->dial(&options, &timed_out, &err);
    if (x->up)
        return true;
    swallow_request(x);
    return answer(x, timed_out ? 504 : 502, err.message);
}

/* Moves the request on as far as it goes without waiting. False when its body is broken or cannot
 * be sent. */
static bool push_request(exchange *x, bool *moved, const char **reason)
{
    struct client *c = x->client;
    struct error err;
    *moved = false;
    if (x->pending->size < PROXY_PIECE_BYTES && !x->request_body.done && c->in->size) {
        long long used = http_body_pass(&x->request_body, buffer_span(c->in), x->pending, &err);
        if (used < 0) {
            *reason = "the client's chunks are broken";
            return false;
        }
        drop(c->in, (size_t)used);
        *moved = used > 0;
    }
    if (x->pending->size) {
        ssize_t n = x->proxy->options.http->send(x->up, buffer_span(x->pending));
        if (n == STREAM_FAILED || n == 0) {
            *reason = "the upstream closed the connection before it had the request";
            return false;
        }
        if (n > 0) {
            drop(x->pending, (size_t)n);
            *moved = true;
        }
    }
    if (x->request_body.done && !x->pending->size)
        exchange_tell_request(x);
    return true;
}

/* Waits until either side can go on. False after the time-out. */
static bool wait_both(exchange *x, bool client_too)
{
    struct pollfd fds[2] = {
        {.fd = x->proxy->options.http->fd(x->up),
         .events = (short)(POLLIN | (x->pending->size ? POLLOUT : 0))},
        {.fd = client_too ? x->client->fd : -1, .events = POLLIN},
    };
    int ready;
    while ((ready = poll(fds, 2, (int)proxy_silence_ms(x->proxy))) < 0 && errno == EINTR)
        ;
    return ready > 0;
}

enum head_found { HEAD_NONE, HEAD_FINAL, HEAD_BROKEN };

/* The head of the answer, when it is there; those with 1xx are passed on at once. */
static enum head_found take_response(exchange *x, struct error *err)
{
    size_t size;
    while ((size = http_head_size(buffer_span(x->up_in))) != 0 && size <= HTTP_HEAD_BYTES) {
        buffer_free(x->response_text);
        x->response_text = buffer_copy(SPAN(x->up_in->data, size));
        if (!x->response_text) {
            error_memory(err);
            return HEAD_BROKEN;
        }
        drop(x->up_in, size);
        if (!http_response_parse(&x->response, buffer_span(x->response_text), err))
            return HEAD_BROKEN;
        if (x->response.status >= 200)
            return HEAD_FINAL;
        AUTO(buffer) *interim = buffer_new(size);
        if (interim && x->request.minor == 1 && x->response.status != 101) {
            put_response_head(interim, x);
            if (!client_send(x->client, buffer_span(interim)))
                x->keep = false;
        }
    }
    if (x->up_in->size <= HTTP_HEAD_BYTES)
        return HEAD_NONE;
    error_set(err, RC_MALFORMED, "its header is too large");
    return HEAD_BROKEN;
}

/* Sends the request and reads until there is the head of an answer. */
static bool exchange_heads(exchange *x)
{
    struct error err;
    const char *broken = NULL; /* why no more of the request can be sent */
    put_request_head(x->pending, x);
    for (;;) {
        enum head_found found = take_response(x, &err);
        if (found == HEAD_FINAL)
            return true;
        if (found == HEAD_BROKEN) {
            error_prefix(&err, "the upstream's answer is no HTTP");
            return answer(x, 502, err.message);
        }
        if (client_overdue(x->client))
            return x->request_body.done ? answer(x, 504, "no answer from the upstream in time")
                                        : abandon(x, "the client's request did not come to its end "
                                                     "in time");
        bool moved = false;
        if (!broken && !push_request(x, &moved, &broken) && strstr(broken, "chunks"))
            return answer(x, 400, broken);
        ssize_t n = up_read(x);
        if (n == 0 || n == STREAM_FAILED)
            return answer(x, 502,
                          broken           ? broken
                          : x->up_in->size ? "the upstream closed the connection within a header"
                                           : "the upstream closed the connection without an "
                                             "answer");
        if (n > 0 || moved)
            continue;
        bool more = !x->request_body.done && !x->pending->size && !broken;
        ssize_t from_client = more ? client_read(x->client) : STREAM_AGAIN;
        if (from_client == 0)
            return abandon(x, "the client closed the connection within its request");
        if (from_client < 0 && !wait_both(x, more))
            return more ? abandon(x, "the client's request did not come to its end in time")
                        : answer(x, 504, "no answer from the upstream in time");
    }
}

/* Passes the body of the answer on. */
static const char *pass_response(exchange *x)
{
    struct error err;
    for (;;) {
        x->pending->size = 0;
        long long used = http_body_pass(&x->response_body, buffer_span(x->up_in), x->pending, &err);
        if (used < 0)
            return "the upstream's chunks are broken";
        drop(x->up_in, (size_t)used);
        if (!client_send(x->client, buffer_span(x->pending)))
            return "the client did not take the answer";
        if (x->response_body.done)
            return NULL;
        if (client_overdue(x->client))
            return "the upstream's answer did not come to its end in time";
        if (used > 0)
            continue;
        ssize_t n = up_read(x);
        x->pending->size = 0;
        if (n == 0 && x->response_body.framing == HTTP_UNTIL_CLOSE)
            return NULL;
        if (n == 0 || n == STREAM_FAILED)
            return "the upstream's answer ended too early";
        if (n < 0 && !wait_both(x, false))
            return "the upstream's answer did not come to its end in time";
    }
}

static bool answer_through(exchange *x)
{
    struct error err;
    if (!http_body_of_response(&x->response_body, &x->response, span_is(x->request.method, "HEAD"),
                               &err)) {
        error_prefix(&err, "the upstream's answer");
        return answer(x, 502, err.message);
    }
    x->response_body.copy = buffer_new(0);
    x->response_body.copy_bytes = x->proxy->options.body_bytes;
    x->response_body.decode = x->response_body.framing == HTTP_CHUNKED && x->request.minor == 0;
    x->keep &= x->response.minor == 1 && x->response_body.framing != HTTP_UNTIL_CLOSE &&
               x->request_body.done && !x->pending->size;
    x->keep &= !proxy_is_stopping(x->proxy);
    x->pending->size = 0;
    put_response_head(x->pending, x);
    const char *error = client_send(x->client, buffer_span(x->pending))
                            ? pass_response(x)
                            : "the client did not take the answer";
    x->keep &= !error;
    exchange_tell_response(x, x->response.status, false, error ? error : "");
    return x->keep;
}

static void exchange_free(exchange *x)
{
    x->proxy->options.http->hang_up(x->up);
    buffer_free(x->request_body.copy);
    buffer_free(x->response_body.copy);
    buffer_free(x->request_text);
    buffer_free(x->response_text);
    buffer_free(x->up_in);
    buffer_free(x->pending);
    free(x);
}
AUTO_DEFINE(exchange, exchange_free)

bool exchange_serve(struct client *c)
{
    struct exchange *new = calloc(1, sizeof *new);
    if (!new)
        return false;
    new->client = c;
    new->proxy = c->proxy;
    AUTO(exchange) *x = new;
    x->up_in = buffer_new(0);
    x->pending = buffer_new(0);
    if (!x->up_in || !x->pending)
        return false;
    c->until_ms = 0;
    client_idle(c, true);
    if (!c->in->size && !client_wait(c, POLLIN, proxy_silence_ms(c->proxy)))
        return false;
    client_idle(c, false);
    return read_request(x) && dial(x) && exchange_heads(x) && answer_through(x);
}
