/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy_parts.h: what the parts of the proxy share: proxy.c starts and stops it, proxy_client.c has
 * the connections of clients, proxy_exchange.c passes a request and its answer on, proxy_tell.c
 * tells of them. For these files alone.
 */
#ifndef OTRP_NET_PROXY_PARTS_H
#define OTRP_NET_PROXY_PARTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "net/http_head.h"
#include "net/proxy.h"

enum { PROXY_PIECE_BYTES = 16 << 10 }; /* read at once */

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
    bool told;       /* the request has been */
    bool keep;       /* the client's connection, for another request */
} exchange;

/* How long either side may say nothing. */
long proxy_silence_ms(const proxy *p);
bool proxy_is_stopping(const proxy *p);

/* Takes connections, each with a thread, until the proxy stops; argument is the proxy. */
void *clients_accept(void *argument);
/* Whether the client's exchange has had its time, or the time that is left after a stop. */
bool client_overdue(const struct client *c);
/* Appends what the client sends: bytes, 0 at its end, -1 when nothing is there. */
ssize_t client_read(struct client *c);
/* Waits for events of poll(2); false after the time-out. */
bool client_wait(const struct client *c, short events, long timeout_ms);
bool client_send(const struct client *c, struct span data);
/* Between requests, a stop ends the connection. */
void client_idle(struct client *c, bool idle);

/* One request; whether there may be another on this connection. */
bool exchange_serve(struct client *c);
/* Tell once of the request, and of its answer; own: the proxy's, in the upstream's place. */
void exchange_tell_request(exchange *x);
void exchange_tell_response(exchange *x, int status, bool own, const char *error);

#endif
