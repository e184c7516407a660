/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server.h: a small HTTP server for the simulators, over libmicrohttpd.
 *
 *     const struct http_server_api *http = http_server_load(err);
 *     struct http_server *server = http->start(&(struct http_server_options){
 *         .listen = "127.0.0.1:0", .respond = respond, .context = &tam, ... }, err);
 *     printf("%s/tam\n", http->url(server));
 *     http->stop(server);
 *
 * A pool of threads; respond is called on any of them with a complete request. A client
 * has deadline_ms for its whole request, whatever it sends in between; then the connection is cut.
 */
#ifndef OTRP_NET_HTTP_SERVER_H
#define OTRP_NET_HTTP_SERVER_H

#include "util/buffer.h"

struct http_request {
    const char *method, *path; /* the path without a query */
    const char *content_type;  /* header values, or NULL */
    const char *accept;
    const char *authorization;
    const char *peer; /* "127.0.0.1:51234" */
    struct span body;
};

struct http_reply {
    int status;
    const char *content_type; /* static text, or NULL */
    const char *allow;        /* Allow header (static text), or NULL */
    const char *location;     /* Location header (text that outlives the server), or NULL */
    buffer *body;             /* taken and freed by the server; NULL: none */
    bool half;                /* a fault: the connection ends in the middle of the body */
    bool silent;              /* a fault: no answer at all, until the deadline */
};

struct http_server_options {
    const char *listen;             /* "ADDR:PORT" or "[ADDR]:PORT"; port 0 picks one */
    unsigned threads;               /* 0: one per core */
    size_t max_bytes;               /* of a request's body; more is answered with 413 */
    size_t max_total;               /* of all bodies held at once; when they are more, a request is
                                       answered with 503; 0: 64 MiB */
    unsigned deadline_ms;           /* for a whole request; 0: 30000 */
    unsigned max_connections;       /* 0: 1100 */
    const char *tls_cert, *tls_key; /* PEM files, or NULL for http */
    /* Fills *reply. Must be thread-safe. */
    void (*respond)(void *context, const struct http_request *request, struct http_reply *reply);
    /* After each answer, for the access log; NULL: none. bytes_in, bytes_out: of the bodies. */
    void (*log)(void *context, const struct http_request *request, int status, size_t bytes_in,
                size_t bytes_out, double elapsed_ms);
    void *context;
};

struct http_server;

struct http_server_api {
    struct http_server *(*start)(const struct http_server_options *options, struct error *err);
    /* "http://127.0.0.1:8080", no slash at the end; owned by the server. */
    const char *(*url)(const struct http_server *server);
    void (*stop)(struct http_server *server); /* finishes what is under way; accepts NULL */
};

#endif
