/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_client.h: one HTTP POST after another to a TAM or a device (otrp-messages(7), HTTP), over
 * libcurl.
 *
 *     const struct http_client_api *http = http_client_load(err);
 *     struct http_client *client = http->open(&(struct http_client_options){
 *         .url = "http://127.0.0.1:8080/tam", .timeout_ms = 30000,
 *         .max_bytes = LIMIT_MESSAGE_BYTES }, err);
 *     struct http_answer answer;
 *     if (!http->post(client, body, &answer, err)) ...     RC_TRANSPORT: no answer, and why
 *     http->close(client);
 *
 * The connection is kept for the next post. HTTPS certificates are checked (RFC 6125). Redirects
 * are followed only when asked for; other protocols than http and https are refused; cookies are
 * not kept.
 */
#ifndef OTRP_NET_HTTP_CLIENT_H
#define OTRP_NET_HTTP_CLIENT_H

#include <sys/types.h>

#include "util/buffer.h"
#include "util/options.h"

struct http_client_options {
    const char *url;
    const char *accept;              /* Accept header; NULL: application/otrp+json */
    long timeout_ms;                 /* for a whole answer; 0: no limit */
    long connect_timeout_ms;         /* 0: as timeout_ms */
    long wait_ms;                    /* while nothing listens there yet, try again for so long */
    size_t max_bytes;                /* of an answer's body */
    const char *cacert, *cert, *key; /* PEM files, or NULL */
    const struct text_list *headers; /* further request headers "Name: value", or NULL */
    bool follow_redirects;           /* at most 5, as POST again */
};

struct http_answer {
    int status;             /* such as 200 */
    char content_type[128]; /* as received, "" when absent */
    const buffer *body;     /* owned by the client, valid until the next post; never NULL */
    const buffer *headers;  /* the status line and headers as received; owned by the client */
    double elapsed_ms;
};

struct http_client;

/* A connection to the host of a URL, TLS included where it is https, that carries any bytes. */
struct http_stream;
enum { STREAM_AGAIN = -1, STREAM_FAILED = -2 };

struct http_client_api {
    struct http_client *(*open)(const struct http_client_options *options, struct error *err);
    /* Posts body with Content-Type application/otrp+json, or nothing with an empty body (then
     * without Content-Type). False only when there was no HTTP answer: RC_TRANSPORT with the
     * network's reason and a hint, RC_USAGE for an URL or a file that cannot be used, RC_MALFORMED
     * for a body above max_bytes.
     * A kept connection that turns out to be dead, before a byte of an answer came, is replaced by
     * a new one, and the body posted again; one whose answer began never is. */
    bool (*post)(struct http_client *client, struct span body, struct http_answer *answer,
                 struct error *err);
    /* The head of the request that post would send, without what is secret in the URL. Owned by the
     * caller; NULL without memory. */
    buffer *(*preview)(const struct http_client *client, struct span body);
    /* The URL without user and password, for messages and records; the client's. */
    const char *(*name)(const struct http_client *client);
    void (*close)(struct http_client *client); /* accepts NULL */

    /* Connects within connect_timeout_ms. *timed_out: that was what failed. */
    struct http_stream *(*dial)(const struct http_client_options *options, bool *timed_out,
                                struct error *err);
    /* Bytes sent or received, at the end of the connection 0, or STREAM_AGAIN: wait until fd is
     * ready. */
    ssize_t (*send)(struct http_stream *stream, struct span data);
    ssize_t (*receive)(struct http_stream *stream, void *data, size_t size);
    int (*fd)(const struct http_stream *stream);
    void (*hang_up)(struct http_stream *stream); /* accepts NULL */
};

#endif
