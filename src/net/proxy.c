/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_head.h"
#include "net/listen.h"

enum {
    CONNECTIONS = 256,       /* clients at once; more wait in the queue of the socket */
    STACK_BYTES = 256 << 10, /* of a client's thread */
    LINGER_MS = 2000,        /* for a client to take what it was sent */
    PIECE_BYTES = 16 << 10   /* read at once */
};

/* A client's connection, with a thread of its own. */
struct client {
    struct proxy *proxy;
    struct client *before, *after;
    int fd;
    bool idle; /* between requests: a stop need not wait for it */
    char peer[80];
    buffer *in;      /* read, not yet used */
    double until_ms; /* when its exchange must be over, by the monotonic clock; 0: none is on */
};

struct proxy {
    struct proxy_options options;
    int listen_fd;
    char *url, *host, *path; /* of the upstream: "tam.example:8443", "/tam" */
    pthread_t acceptor;
    atomic_ulong exchanges;
    atomic_size_t kept;   /* bytes of bodies that are told */
    atomic_llong stop_ms; /* when what is under way must be over; 0: no stop is asked for */
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    struct client *clients;
    size_t count;
    bool stopping;
};

/* One request and its answer. */
typedef struct exchange {
    struct client *client;
    proxy *proxy;
    unsigned long number;
    double begun_ms;
    buffer *request_text, *response_text; /* their heads */
    struct http_head request, response;
    struct http_body request_body, response_body;
    struct http_stream *up;
    buffer *up_in;   /* read from upstream, not yet used */
    buffer *pending; /* to be sent on */
    buffer *piece;   /* what is read next */
    bool told;       /* the request has been */
    bool keep;       /* the client's connection, for another request */
} exchange;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Telling. */

static void message_body(proxy *p, struct proxy_message *m, struct http_body *body)
{
    m->bytes = body->bytes;
    m->body = TAKE(body->copy);
    if (!m->body)
        return;
    size_t size = m->body->size, most = p->options.total_bytes;
    if (atomic_fetch_add(&p->kept, size) + size <= most && !m->body->failed)
        return;
    atomic_fetch_sub(&p->kept, size);
    buffer_free(TAKE(m->body));
}

void proxy_message_free(proxy *p, struct proxy_message *message)
{
    if (!message)
        return;
    if (message->body)
        atomic_fetch_sub(&p->kept, message->body->size);
    buffer_free(message->body);
    buffer_free(message->headers);
    free(message);
}

/* A head as it may be recorded: who may read a log must not be who may log in. */
static buffer *without_credentials(const struct http_head *head)
{
    static const char *const secret[] = {"Authorization", "Proxy-Authorization", "Cookie",
                                         "Set-Cookie"};
    buffer *out = buffer_new(head->text.size);
    if (!out || !head->first.size)
        return out;
    buffer_put_span(out, head->first);
    for (size_t i = 0; i < head->count; i++) {
        const struct http_field *f = &head->fields[i];
        bool hide = false;
        for (size_t k = 0; k < COUNT(secret); k++)
            hide |= f->name.size == strlen(secret[k]) &&
                    strncasecmp((const char *)f->name.data, secret[k], f->name.size) == 0;
        buffer_put_text(out, "\r\n");
        buffer_put_span(out, hide ? f->name : f->line);
        if (hide)
            buffer_put_text(out, ": (not recorded)");
    }
    return out;
}

static struct proxy_message *message_new(const exchange *x, enum transcript_direction direction)
{
    struct proxy_message *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->direction = direction;
    m->exchange = x->number;
    clock_gettime(CLOCK_REALTIME, &m->at);
    snprintf(m->peer, sizeof m->peer, "%s", x->client->peer);
    snprintf(m->line, sizeof m->line, "%.*s %.*s",
             (int)(x->request.method.size < 40 ? x->request.method.size : 40),
             x->request.method.size ? (const char *)x->request.method.data : "-",
             (int)(x->request.target.size < 180 ? x->request.target.size : 180),
             x->request.target.size ? (const char *)x->request.target.data : "");
    for (char *c = m->line; *c; c++) /* a target is ASCII (RFC 9112 section 3.2) */
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    return m;
}

static void tell_request(exchange *x)
{
    struct proxy_message *m = x->told ? NULL : message_new(x, TRANSCRIPT_REQUEST);
    if (!m)
        return;
    x->told = true;
    m->headers = without_credentials(&x->request);
    message_body(x->proxy, m, &x->request_body);
    x->proxy->options.tell(x->proxy->options.context, m);
}

static void tell_response(exchange *x, int status, bool own, const char *error)
{
    tell_request(x);
    struct proxy_message *m = message_new(x, TRANSCRIPT_RESPONSE);
    if (!m)
        return;
    m->status = status;
    m->own = own;
    snprintf(m->error, sizeof m->error, "%s", error);
    m->elapsed_ms = now_ms() - x->begun_ms;
    if (!own && status)
        m->headers = without_credentials(&x->response);
    message_body(x->proxy, m, &x->response_body);
    x->proxy->options.tell(x->proxy->options.context, m);
}

/* Reading and writing. Waiting ends after the time-out, with the reason in err. */

static void drop(buffer *b, size_t size)
{
    memmove(b->data, b->data + size, b->size - size);
    b->size -= size;
}

static long silence_ms(const proxy *p)
{
    return p->options.upstream.timeout_ms;
}

/* A whole exchange has so many times the time-out of a silence: one who sends a byte a second is
 * never silent. */
enum { EXCHANGE_TIMES = 10 };

/* Whether the client's exchange has had its time, or the time that is left after a stop. */
static bool overdue(const struct client *c)
{
    double now = now_ms(), stop = (double)atomic_load(&c->proxy->stop_ms);
    return (c->until_ms > 0 && now > c->until_ms) || (stop > 0 && now > stop);
}

/* Appends what the client sends: bytes, 0 at its end, -1 when nothing is there. */
static ssize_t client_read(struct client *c)
{
    uint8_t *to = buffer_reserve(c->in, PIECE_BYTES);
    ssize_t n = to ? recv(c->fd, to, PIECE_BYTES, 0) : 0;
    if (n > 0)
        c->in->size += (size_t)n;
    return n < 0 && errno != EAGAIN && errno != EINTR ? 0 : n;
}

static bool client_wait(const struct client *c, short events, long timeout_ms)
{
    struct pollfd fd = {.fd = c->fd, .events = events};
    int ready;
    while ((ready = poll(&fd, 1, (int)timeout_ms)) < 0 && errno == EINTR)
        ;
    return ready > 0;
}

static bool client_send(const struct client *c, struct span data)
{
    while (data.size) {
        ssize_t n = send(c->fd, data.data, data.size, MSG_NOSIGNAL);
        if (n > 0)
            data = SPAN(data.data + n, data.size - (size_t)n);
        else if (errno == EAGAIN && (overdue(c) || !client_wait(c, POLLOUT, silence_ms(c->proxy))))
            return false;
        else if (errno != EAGAIN && errno != EINTR)
            return false;
    }
    return true;
}

/* Appends what the upstream sends: bytes, 0 at its end, -1 when nothing is there, -2 at a failure.
 */
static ssize_t up_read(exchange *x)
{
    uint8_t *to = buffer_reserve(x->up_in, PIECE_BYTES);
    ssize_t n = to ? x->proxy->options.http->receive(x->up, to, PIECE_BYTES) : STREAM_FAILED;
    if (n > 0)
        x->up_in->size += (size_t)n;
    return n;
}

/* Heads on their way. */

static void put_line(buffer *out, struct span line)
{
    buffer_put_span(out, line);
    buffer_put_text(out, "\r\n");
}

static bool is_named(const struct http_field *field, const char *name)
{
    return field->name.size == strlen(name) &&
           strncasecmp((const char *)field->name.data, name, field->name.size) == 0;
}

/* The root of this server stands for the path of the upstream's URL; all else is passed as it is.
 */
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
        if (is_named(field, "Host")) {
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
            !(x->response_body.decode && is_named(&x->response.fields[i], "Transfer-Encoding")))
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
    tell_response(x, status, true, reason);
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
    tell_response(x, 0, true, reason);
    return false;
}

/* The first byte of a request is there. */
static void begin(exchange *x)
{
    if (x->number)
        return;
    x->number = atomic_fetch_add(&x->proxy->exchanges, 1) + 1;
    x->begun_ms = now_ms();
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
        long left = silence_ms(c->proxy);
        left -= x->number ? (long)(now_ms() - x->begun_ms) : 0;
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
    x->begun_ms = now_ms();
    c->until_ms = x->begun_ms + EXCHANGE_TIMES * (double)silence_ms(c->proxy);
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
    while (!x->request_body.done && !waits && !overdue(c)) {
        long long used = http_body_pass(&x->request_body, buffer_span(c->in), x->pending, &ignored);
        x->pending->size = 0;
        if (used < 0)
            return;
        drop(c->in, (size_t)used);
        if (x->request_body.done)
            return;
        ssize_t n = client_read(c);
        if (n == 0 || (n < 0 && !client_wait(c, POLLIN, silence_ms(c->proxy))))
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
    if (x->pending->size < PIECE_BYTES && !x->request_body.done && c->in->size) {
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
        tell_request(x);
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
    while ((ready = poll(fds, 2, (int)silence_ms(x->proxy))) < 0 && errno == EINTR)
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
        if (overdue(x->client))
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
        if (overdue(x->client))
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
    pthread_mutex_lock(&x->proxy->lock);
    x->keep &= !x->proxy->stopping;
    pthread_mutex_unlock(&x->proxy->lock);
    x->pending->size = 0;
    put_response_head(x->pending, x);
    const char *error = client_send(x->client, buffer_span(x->pending))
                            ? pass_response(x)
                            : "the client did not take the answer";
    x->keep &= !error;
    tell_response(x, x->response.status, false, error ? error : "");
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

static void client_idle(struct client *c, bool idle)
{
    pthread_mutex_lock(&c->proxy->lock);
    c->idle = idle;
    if (idle && c->proxy->stopping)
        shutdown(c->fd, SHUT_RD);
    pthread_mutex_unlock(&c->proxy->lock);
}

/* One request; whether there may be another on this connection. */
static bool serve(struct client *c)
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
    if (!c->in->size && !client_wait(c, POLLIN, silence_ms(c->proxy)))
        return false;
    client_idle(c, false);
    return read_request(x) && dial(x) && exchange_heads(x) && answer_through(x);
}

static void client_end(struct client *c)
{
    proxy *p = c->proxy;
    /* with bytes on their way, close would reset the connection, and take the answer with it */
    shutdown(c->fd, SHUT_WR);
    char bytes[4096];
    double until = now_ms() + LINGER_MS;
    for (ssize_t n = -1; n != 0 && now_ms() < until;) {
        n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n < 0 && (errno != EAGAIN || !client_wait(c, POLLIN, LINGER_MS)))
            break;
    }
    pthread_mutex_lock(&p->lock);
    *(c->before ? &c->before->after : &p->clients) = c->after;
    if (c->after)
        c->after->before = c->before;
    p->count--;
    close(c->fd);
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    buffer_free(c->in);
    free(c);
}

static void *client_run(void *argument)
{
    struct client *c = argument;
    while (serve(c))
        ;
    client_end(c);
    return NULL;
}

static void client_start(proxy *p, int fd, const struct sockaddr *address)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c || !(c->in = buffer_new(0))) {
        free(c);
        close(fd);
        return;
    }
    c->proxy = p;
    c->fd = fd;
    peer_name(address, c->peer);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    pthread_mutex_lock(&p->lock);
    c->after = p->clients;
    if (c->after)
        c->after->before = c;
    p->clients = c;
    p->count++;
    pthread_mutex_unlock(&p->lock);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    if (pthread_create(&thread, &attributes, client_run, c) != 0)
        client_end(c);
    pthread_attr_destroy(&attributes);
}

static void *accept_all(void *argument)
{
    proxy *p = argument;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        while (p->count >= CONNECTIONS && !p->stopping)
            pthread_cond_wait(&p->changed, &p->lock);
        bool stopping = p->stopping;
        pthread_mutex_unlock(&p->lock);
        if (stopping)
            return NULL;
        struct pollfd ready = {.fd = p->listen_fd, .events = POLLIN};
        poll(&ready, 1, -1);
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof address;
        int fd = accept4(p->listen_fd, (struct sockaddr *)&address, &size,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            client_start(p, fd, (const struct sockaddr *)&address);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
}

/* Starting and stopping. */

/* "https://tam.example:8443/tam?x#y": host "tam.example:8443", path "/tam?x". */
static bool split_url(proxy *p, struct error *err)
{
    const char *url = p->options.upstream.url, *start = strstr(url, "://");
    if (!start)
        return error_set(err, RC_USAGE, "'%s' is no URL: it has no scheme", url) ||
               error_hint(err, "write it as http://HOST:PORT/PATH or https://...");
    start += 3;
    size_t length = strcspn(start, "/?#");
    const char *user = memrchr(start, '@', length);
    if (user)
        return error_set(err, RC_USAGE, "--upstream: a name and password in the URL are not used");
    const char *path = start + length;
    p->host = strndup(start, length);
    if (asprintf(&p->path, "%s%.*s", *path == '/' ? "" : "/", (int)strcspn(path, "#"), path) < 0)
        p->path = NULL;
    return (p->host && p->path) || error_memory(err);
}

static bool listen_there(proxy *p, struct error *err)
{
    AUTO(char) *root = NULL;
    p->listen_fd = listen_open(p->options.listen, false, &root, err);
    if (p->listen_fd < 0)
        return false;
    if (asprintf(&p->url, "%s%s", root, p->path) < 0)
        p->url = NULL;
    return p->url || error_memory(err);
}

void proxy_free(proxy *p)
{
    if (!p)
        return;
    if (p->listen_fd >= 0)
        close(p->listen_fd);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->changed);
    free(p->url);
    free(p->host);
    free(p->path);
    free(p);
}

/* An upstream that cannot be spoken to at all is told now, not with the first request. */
static bool check_upstream(const proxy *p, struct error *err)
{
    struct http_client *client = p->options.http->open(&p->options.upstream, err);
    p->options.http->close(client);
    return client != NULL;
}

proxy *proxy_start(const struct proxy_options *options, struct error *err)
{
    proxy *p = calloc(1, sizeof *p);
    if (!p) {
        error_memory(err);
        return NULL;
    }
    p->options = *options;
    p->listen_fd = -1;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    if (check_upstream(p, err) && split_url(p, err) && listen_there(p, err)) {
        if (pthread_create(&p->acceptor, NULL, accept_all, p) == 0)
            return p;
        error_set(err, RC_INTERNAL, "cannot start a thread");
    }
    proxy_free(p);
    return NULL;
}

const char *proxy_url(const proxy *p)
{
    return p->url;
}

void proxy_stop(proxy *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    atomic_store(&p->stop_ms, (long long)now_ms() + silence_ms(p));
    for (struct client *c = p->clients; c; c = c->after)
        if (c->idle)
            shutdown(c->fd, SHUT_RD);
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    shutdown(p->listen_fd, SHUT_RDWR);
    pthread_join(p->acceptor, NULL);
    /* what is under way has one time-out more, and a silence at the end of it another */
    pthread_mutex_lock(&p->lock);
    while (p->count)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}
