/* SPDX-License-Identifier: Apache-2.0 */
/* The module http-client.so: http_client.h over libcurl. */
#include "net/http_client_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define PROTOCOLS "http,https"

/* Opening. */

static CURLcode global_state;

static void global_init(void)
{
    global_state = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static CURL *easy_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
    return global_state == CURLE_OK ? curl_easy_init() : NULL;
}

static bool is_loopback(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0;
}

/* curl would tell a file that is not there from one that is no PEM only when it connects. */
static bool file_check(const char *path, struct error *err)
{
    if (!path)
        return true;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char byte;
    ssize_t size = fd < 0 ? -1 : read(fd, &byte, 1);
    if (size < 0)
        error_errno(err, RC_USAGE, "%s: cannot %s", path, fd < 0 ? "open" : "read");
    else if (size == 0)
        error_set(err, RC_USAGE, "%s: empty, not a PEM file", path);
    if (fd >= 0)
        close(fd);
    return size > 0;
}

static void buffer_empty(buffer *b)
{
    b->size = 0;
    if (b->data)
        b->data[0] = '\0';
}

static size_t receive_body(char *data, size_t size, size_t count, void *argument)
{
    struct http_client *client = argument;
    size_t bytes = size * count;
    if (bytes > client->max_bytes - client->body->size) {
        client->body_too_large = true;
        return 0;
    }
    buffer_put(client->body, data, bytes);
    return client->body->failed ? 0 : bytes;
}

static size_t receive_header(char *data, size_t size, size_t count, void *argument)
{
    struct http_client *client = argument;
    size_t bytes = size * count;
    if (bytes > 5 && memcmp(data, "HTTP/", 5) == 0)
        buffer_empty(client->headers); /* what came before was a 1xx or a redirect */
    if (bytes > HEADER_BYTES - client->headers->size) {
        client->headers_too_large = true;
        return 0;
    }
    buffer_put(client->headers, data, bytes);
    return client->headers->failed ? 0 : bytes;
}

static bool transfer_set(struct http_client *client, const struct http_client_options *options)
{
    /* an announced size is judged before the body comes; 0 would be no limit to curl */
    curl_off_t announced = options->max_bytes > INT64_MAX ? 0 : (curl_off_t)options->max_bytes;
    return SET(CURLOPT_URL, options->url) && SET(CURLOPT_PROTOCOLS_STR, PROTOCOLS) &&
           SET(CURLOPT_REDIR_PROTOCOLS_STR, PROTOCOLS) && SET(CURLOPT_NOSIGNAL, 1L) &&
           SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           SET(CURLOPT_USERAGENT, USER_AGENT) && SET(CURLOPT_ERRORBUFFER, client->reason) &&
           SET(CURLOPT_TIMEOUT_MS, options->timeout_ms) &&
           SET(CURLOPT_CONNECTTIMEOUT_MS, client->connect_timeout_ms) &&
           SET(CURLOPT_FOLLOWLOCATION, options->follow_redirects ? 1L : 0L) &&
           SET(CURLOPT_MAXREDIRS, REDIRECTS) && SET(CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL) &&
           SET(CURLOPT_MAXFILESIZE_LARGE, announced) && SET(CURLOPT_WRITEFUNCTION, receive_body) &&
           SET(CURLOPT_WRITEDATA, client) && SET(CURLOPT_HEADERFUNCTION, receive_header) &&
           SET(CURLOPT_HEADERDATA, client) &&
           (!is_loopback(client->host) || SET(CURLOPT_PROXY, ""));
}

/* With --cacert these certificates are trusted and no others, not even the system's folder. */
static bool tls_set(struct http_client *client, const struct http_client_options *options)
{
    return (!options->cacert ||
            (SET(CURLOPT_CAINFO, options->cacert) && SET(CURLOPT_CAPATH, NULL))) &&
           (!options->cert || SET(CURLOPT_SSLCERT, options->cert)) &&
           (!options->key || SET(CURLOPT_SSLKEY, options->key)) &&
           SET(CURLOPT_KEYPASSWD, ""); /* or OpenSSL asks at the terminal */
}

void client_close(struct http_client *client)
{
    if (!client)
        return;
    if (client->easy)
        curl_easy_cleanup(client->easy);
    curl_slist_free_all(client->with_body);
    curl_slist_free_all(client->without_body);
    buffer_free(client->body);
    buffer_free(client->headers);
    free(client->name);
    free(client->host);
    free(client->authority);
    free(client->target);
    free(client);
}

struct http_client *client_open(const struct http_client_options *options, struct error *err)
{
    AUTO(http_client) *client = calloc(1, sizeof *client);
    if (client) {
        client->easy = easy_new();
        client->body = buffer_new(0);
        client->headers = buffer_new(0);
    }
    if (!client || !client->easy || !client->body || !client->headers) {
        error_memory(err);
        return NULL;
    }
    client->max_bytes = options->max_bytes;
    client->timeout_ms = options->timeout_ms;
    client->wait_ms = options->wait_ms;
    client->connect_timeout_ms = options->connect_timeout_ms ? options->connect_timeout_ms
                                                             : options->timeout_ms;
    client->own_host = !header_given(options->headers, "Host");
    client->own_agent = !header_given(options->headers, "User-Agent");
    client->cacert = options->cacert != NULL;
    client->cert = options->cert != NULL;
    if (!request_url(client, options->url, err) || !request_headers(client, options, err) ||
        !file_check(options->cacert, err) || !file_check(options->cert, err) ||
        !file_check(options->key, err))
        return NULL;
    if (!transfer_set(client, options) || !tls_set(client, options)) {
        error_memory(err);
        return NULL;
    }
    return TAKE(client);
}

/* Posting. */

/* OpenSSL writes to sockets without MSG_NOSIGNAL: a peer that has gone must not end the program. */
CURLcode client_perform(CURL *easy)
{
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    CURLcode code = curl_easy_perform(easy);
    if (!sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe, NULL, &(struct timespec){0}) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

/* A peer that is just starting refuses connections: where the user says so, that is waited for. */
static CURLcode perform_when_there(struct http_client *client)
{
    enum { PAUSE_MS = 20 };
    CURLcode code = client_perform(client->easy);
    for (long waited = 0; code == CURLE_COULDNT_CONNECT && waited < client->wait_ms;
         waited += PAUSE_MS) {
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
        code = client_perform(client->easy);
    }
    return code;
}

static bool is_lost(CURLcode code)
{
    return code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING;
}

/* curl posts again on a new connection when a kept one is dead, but it counts how often over the
 * life of a handle, and gives up after five times: a session may be longer. A fresh handle has no
 * connections, and counts from the start. */
static CURLcode perform_again(struct http_client *client, CURLcode code)
{
    long connects = 0;
    curl_easy_getinfo(client->easy, CURLINFO_NUM_CONNECTS, &connects);
    bool kept = client->posted && (connects == 0 || strstr(client->reason, "Connection died"));
    if (!is_lost(code) || !kept || client->headers->size || client->body->size)
        return code;
    CURL *fresh = curl_easy_duphandle(client->easy);
    if (!fresh)
        return CURLE_OUT_OF_MEMORY;
    curl_easy_cleanup(client->easy);
    client->easy = fresh;
    client->reason[0] = '\0';
    return client_perform(client->easy);
}

/* curl takes the end of a connection for the end of headers, too. */
static bool check_headers(const struct http_client *client, struct error *err)
{
    struct span end = buffer_span(client->headers);
    size_t kept = end.size < 4 ? end.size : 4;
    end = SPAN(end.data + end.size - kept, kept);
    if (span_is(end, "\r\n\r\n") || (kept >= 2 && memcmp(end.data + kept - 2, "\n\n", 2) == 0))
        return true;
    error_set(err, RC_TRANSPORT, "%s: the answer ended too early, within its headers",
              client->name);
    return error_hint(err, "the peer closed the connection before all it had announced");
}

static bool client_post(struct http_client *client, struct span body, struct http_answer *answer,
                        struct error *err)
{
    buffer_empty(client->body);
    buffer_empty(client->headers);
    client->body_too_large = client->headers_too_large = false;
    client->reason[0] = '\0';
    if (!SET(CURLOPT_POST, 1L) ||
        !SET(CURLOPT_POSTFIELDS, body.size ? (const char *)body.data : "") ||
        !SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size) ||
        !SET(CURLOPT_HTTPHEADER, body.size ? client->with_body : client->without_body))
        return error_memory(err);
    CURLcode code = perform_when_there(client);
    if (code != CURLE_OK)
        code = perform_again(client, code);
    client->posted = true;
    if (code != CURLE_OK)
        return failure(client, code, err);
    if (!check_headers(client, err))
        return false;

    long status = 0;
    const char *type = NULL;
    curl_off_t elapsed_us = 0;
    curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(client->easy, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(client->easy, CURLINFO_TOTAL_TIME_T, &elapsed_us);
    *answer = (struct http_answer){.status = (int)status,
                                   .body = client->body,
                                   .headers = client->headers,
                                   .elapsed_ms = (double)elapsed_us / 1e3};
    snprintf(answer->content_type, sizeof answer->content_type, "%s", type ? type : "");
    return true;
}

static const char *client_name(const struct http_client *client)
{
    return client->name;
}

__attribute__((visibility("default"))) extern const struct http_client_api http_client_api;
const struct http_client_api http_client_api = {
    .open = client_open,
    .post = client_post,
    .preview = request_preview,
    .name = client_name,
    .close = client_close,
    .dial = stream_dial,
    .send = stream_send,
    .receive = stream_receive,
    .fd = stream_fd,
    .hang_up = stream_hang_up,
};
