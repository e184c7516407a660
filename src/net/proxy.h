/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy.h: stands between a device and its TAM, passes HTTP/1 on in both directions, and tells what
 * it passed.
 *
 *     AUTO(proxy) *p = proxy_start(&(struct proxy_options){
 *         .listen = "127.0.0.1:0", .upstream = { .url = "https://tam.example/tam" },
 *         .http = http, .tell = record, ... }, err);
 *     printf("%s\n", proxy_url(p));
 *     proxy_stop(p);
 *
 * Bodies are passed byte for byte, in the pieces they come in, whatever is in them and however
 * large they are; the header fields that are for the other end stay as they are, in their order.
 * Changed are Host (it names the upstream), and what is for one connection alone (Connection,
 * Keep-Alive, Upgrade and the like): each request has a connection to the upstream of its own, so
 * that none is ever repeated. Messages are told when they have passed.
 */
#ifndef OTRP_NET_PROXY_H
#define OTRP_NET_PROXY_H

#include <time.h>

#include "net/http_client.h"
#include "net/transcript.h"

/* A message that has passed, or has not; owned by who is told. */
struct proxy_message {
    enum transcript_direction direction;
    unsigned long exchange; /* that request and response share; from 1 */
    struct timespec at;
    char peer[80];
    char line[256];           /* "POST /tam" of the request, in both */
    int status;               /* of a response; 0: there was none */
    bool own;                 /* the proxy answered in the upstream's place */
    char error[512];          /* what went wrong, or "" */
    buffer *headers;          /* as received, credentials left out; or NULL */
    buffer *body;             /* its beginning */
    unsigned long long bytes; /* of the whole body */
    double elapsed_ms;        /* of a response */
};

struct proxy_options {
    const char *listen; /* "ADDR:PORT" */
    /* url: the upstream. Of the rest, connect_timeout_ms, cacert, cert and key count, and
     * timeout_ms: how long either side may be silent. */
    struct http_client_options upstream;
    const struct http_client_api *http;
    size_t body_bytes;  /* of each body that are kept to be told */
    size_t total_bytes; /* of all bodies that are kept at a time; beyond it, none is */
    /* Takes message; must not wait, and must be thread-safe. */
    void (*tell)(void *context, struct proxy_message *message);
    void *context;
};

typedef struct proxy proxy;

proxy *proxy_start(const struct proxy_options *options, struct error *err) MUST_CHECK;
const char *proxy_url(const proxy *p); /* with the path of the upstream's URL */
/* Takes nothing new, finishes what is under way, and ends. */
void proxy_stop(proxy *p);
/* When it has stopped, and every message has been freed; accepts NULL. */
void proxy_free(proxy *p);

void proxy_message_free(proxy *p, struct proxy_message *message);

AUTO_DEFINE(proxy, proxy_free)

#endif
