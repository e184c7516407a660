/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_client_inside.h: what the files of the module http-client.so share (http_client.h): the
 * client, what of it stands in a request, how a failure is told, and streams.
 */
#ifndef OTRP_NET_HTTP_CLIENT_INSIDE_H
#define OTRP_NET_HTTP_CLIENT_INSIDE_H

#include <curl/curl.h>

#include "net/http_client.h"
#include "util/version.h"

#define HEADER_BYTES 65536 /* of an answer's headers */
#define REDIRECTS    5L
#define USER_AGENT   "otrp/" OTRP_VERSION_SERIES

typedef struct curl_slist curl_slist;
AUTO_DEFINE(curl_slist, curl_slist_free_all)

typedef struct http_client {
    CURL *easy;
    char *name;                      /* the URL as messages call it: without a password */
    char *host, *authority, *target; /* "tam.example", "tam.example:8443", "/tam?x" */
    bool credentials;                /* in the URL */
    struct curl_slist *with_body, *without_body; /* request headers */
    buffer *body, *headers;
    size_t max_bytes;
    long timeout_ms, connect_timeout_ms, wait_ms;
    bool body_too_large, headers_too_large;
    bool cacert, cert, own_host, own_agent;
    bool posted;                  /* before: a connection may have been kept */
    char reason[CURL_ERROR_SIZE]; /* curl's */
} http_client;

/* ---- http_client_module.c ---- */

struct http_client *client_open(const struct http_client_options *options, struct error *err);
void client_close(struct http_client *client); /* accepts NULL */
AUTO_DEFINE(http_client, client_close)

/* curl_easy_perform, without SIGPIPE. */
CURLcode client_perform(CURL *easy);

#define SET(option, value) (curl_easy_setopt(client->easy, option, value) == CURLE_OK)

/* ---- http_client_request.c ---- */

/* Takes from the options what stands in a request: of the URL, and the headers. RC_USAGE. */
bool request_url(struct http_client *client, const char *given, struct error *err) MUST_CHECK;
/* A URL without user and password; owned by the caller, NULL for one that cannot be read. */
char *request_url_name(const char *given);
bool request_headers(struct http_client *client, const struct http_client_options *options,
                     struct error *err) MUST_CHECK;

/* Whether the user gives a header of that name. */
bool header_given(const struct text_list *headers, const char *name);

buffer *request_preview(const struct http_client *client, struct span body);

/* ---- http_client_failure.c ---- */

/* Says why there is no answer: one sentence with the URL and the reason, and what to do next;
 * always false. */
bool failure(const struct http_client *client, CURLcode code, struct error *err);

/* ---- http_client_stream.c: as http_client.h says ---- */

struct http_stream *stream_dial(const struct http_client_options *options, bool *timed_out,
                                struct error *err);
ssize_t stream_send(struct http_stream *stream, struct span data);
ssize_t stream_receive(struct http_stream *stream, void *data, size_t size);
int stream_fd(const struct http_stream *stream);
void stream_hang_up(struct http_stream *stream);

#endif
