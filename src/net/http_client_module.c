/* SPDX-License-Identifier: Apache-2.0 */
/* The module http-client.so: http_client.h over libcurl. */
#include "net/http_client.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <openssl/x509_vfy.h>

#define HEADER_BYTES 65536 /* of an answer's headers */
#define REDIRECTS    5L
#define PROTOCOLS    "http,https"
#define USER_AGENT   "otrp/0.1"

typedef struct curl_slist curl_slist;
typedef char curl_text;

AUTO_DEFINE(curl_slist, curl_slist_free_all)
AUTO_DEFINE(CURLU, curl_url_cleanup)
AUTO_DEFINE(curl_text, curl_free)

struct http_client {
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
};

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

/* The URL without what a log must not show. */
static char *url_name(CURLU *url, const char *given)
{
    AUTO(curl_text) *user = NULL;
    AUTO(curl_text) *shown = NULL;
    if (curl_url_get(url, CURLUPART_USER, &user, 0) != CURLUE_OK)
        return strdup(given);
    if (curl_url_set(url, CURLUPART_USER, NULL, 0) != CURLUE_OK ||
        curl_url_set(url, CURLUPART_PASSWORD, NULL, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_URL, &shown, 0) != CURLUE_OK)
        return NULL;
    return strdup(shown);
}

/* What of the URL stands in a request. */
static bool url_parts(struct http_client *client, CURLU *url, const char *scheme, const char *host)
{
    AUTO(curl_text) *port = NULL;
    AUTO(curl_text) *path = NULL;
    AUTO(curl_text) *query = NULL;
    AUTO(curl_text) *user = NULL;
    client->credentials = curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK;
    bool named = curl_url_get(url, CURLUPART_PORT, &port, 0) == CURLUE_OK &&
                 strcmp(port, strcasecmp(scheme, "https") == 0 ? "443" : "80") != 0;
    if (curl_url_get(url, CURLUPART_PATH, &path, 0) != CURLUE_OK)
        return false;
    bool asks = curl_url_get(url, CURLUPART_QUERY, &query, 0) == CURLUE_OK;
    if (asprintf(&client->authority, "%s%s%s", host, named ? ":" : "", named ? port : "") < 0)
        client->authority = NULL;
    if (asprintf(&client->target, "%s%s%s", path, asks ? "?" : "", asks ? query : "") < 0)
        client->target = NULL;
    return client->authority && client->target;
}

static bool url_check(struct http_client *client, const char *given, struct error *err)
{
    AUTO(CURLU) *url = curl_url();
    AUTO(curl_text) *scheme = NULL;
    AUTO(curl_text) *host = NULL;
    if (!url)
        return error_memory(err);
    CURLUcode code = curl_url_set(url, CURLUPART_URL, given, CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OUT_OF_MEMORY)
        return error_memory(err);
    if (code != CURLUE_OK || curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK) {
        error_set(err, RC_USAGE, "'%s' is no URL: %s", given,
                  code ? curl_url_strerror(code) : "it has no scheme");
        return error_hint(err, "write it as http://HOST:PORT/PATH or https://...");
    }
    if (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0)
        return error_set(err, RC_USAGE, "%s: only http and https are spoken, not %s", given,
                         scheme);
    if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK || !*host)
        return error_set(err, RC_USAGE, "'%s' is no URL: it names no host", given);
    client->host = strdup(host);
    client->name = url_name(url, given);
    return (client->host && client->name && url_parts(client, url, scheme, host)) ||
           error_memory(err);
}

static bool is_loopback(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "[::1]") == 0;
}

static bool header_check(const char *header, struct error *err)
{
    static const char separators[] = "()<>@,;:\\\"/[]?={} ";
    for (const char *c = header; *c; c++)
        if (iscntrl((unsigned char)*c))
            return error_set(err, RC_USAGE, "--header: control character at offset %td",
                             c - header);
    const char *colon = strchr(header, ':');
    if (!colon || colon == header || strcspn(header, separators) < (size_t)(colon - header)) {
        error_set(err, RC_USAGE, "--header: '%s' is no header", header);
        return error_hint(err, "write it as 'Name: value'");
    }
    return true;
}

static bool is_given(const struct text_list *headers, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; headers && i < headers->count; i++)
        if (strncasecmp(headers->items[i], name, length) == 0 && headers->items[i][length] == ':')
            return true;
    return false;
}

static bool list_put(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer;
}

/* The request headers; a header of ours gives way to the user's. An empty value takes curl's own
 * header away. */
static struct curl_slist *headers_make(const struct http_client_options *options,
                                       const char *content_type)
{
    const struct {
        const char *name, *value;
    } ours[] = {
        {"Accept", options->accept ? options->accept : OTRP_MEDIA_TYPE},
        {"Content-Type", content_type},
        {"Expect", ""}, /* no wait for a 100 that few servers send */
    };
    AUTO(curl_slist) *list = NULL;
    for (size_t i = 0; i < COUNT(ours); i++) {
        if (is_given(options->headers, ours[i].name))
            continue;
        AUTO(char) *line = NULL;
        if (asprintf(&line, "%s: %s", ours[i].name, ours[i].value) < 0)
            line = NULL;
        if (!line || !list_put(&list, line))
            return NULL;
    }
    for (size_t i = 0; options->headers && i < options->headers->count; i++)
        if (!list_put(&list, options->headers->items[i]))
            return NULL;
    return TAKE(list);
}

static bool headers_set(struct http_client *client, const struct http_client_options *options,
                        struct error *err)
{
    AUTO(char) *accept = NULL;
    if (asprintf(&accept, "Accept: %s", options->accept ? options->accept : "") < 0)
        accept = NULL;
    if (!accept)
        return error_memory(err);
    if (!header_check(accept, err))
        return error_set(err, RC_USAGE, "--accept: control character in the media type");
    for (size_t i = 0; options->headers && i < options->headers->count; i++)
        if (!header_check(options->headers->items[i], err))
            return false;
    client->with_body = headers_make(options, OTRP_MEDIA_TYPE);
    client->without_body = headers_make(options, "");
    return (client->with_body && client->without_body) || error_memory(err);
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

#define SET(option, value) (curl_easy_setopt(client->easy, option, value) == CURLE_OK)

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

static void client_close(struct http_client *client)
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

typedef struct http_client http_client;
AUTO_DEFINE(http_client, client_close)

static struct http_client *client_open(const struct http_client_options *options, struct error *err)
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
    client->own_host = !is_given(options->headers, "Host");
    client->own_agent = !is_given(options->headers, "User-Agent");
    client->cacert = options->cacert != NULL;
    client->cert = options->cert != NULL;
    if (!url_check(client, options->url, err) || !headers_set(client, options, err) ||
        !file_check(options->cacert, err) || !file_check(options->cert, err) ||
        !file_check(options->key, err))
        return NULL;
    if (!transfer_set(client, options) || !tls_set(client, options)) {
        error_memory(err);
        return NULL;
    }
    return TAKE(client);
}

/* Errors: one sentence with the URL and the reason, and what to do next. */

/* The text as it stands after a colon: with a small first letter, unless its first word is a name
 * such as OpenSSL. */
static void put_reason(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", strncmp(text, "SSL: ", 5) == 0 ? text + 5 : text);
    to[strcspn(to, "\r\n")] = '\0';
    size_t word = strcspn(to, " ");
    if (word > 1 && strspn(to + 1, "abcdefghijklmnopqrstuvwxyz") >= word - 1)
        to[0] = (char)tolower((unsigned char)to[0]);
}

static bool fail_connect(const struct http_client *client, const char *url, const char *reason,
                         struct error *err)
{
    long number = 0;
    curl_easy_getinfo(client->easy, CURLINFO_OS_ERRNO, &number);
    char text[CURL_ERROR_SIZE];
    put_reason(text, sizeof text, number ? strerror((int)number) : reason);
    error_set(err, RC_TRANSPORT, "%s: %s", url, text);
    if (number == ECONNREFUSED)
        return error_hint(err, "nothing listens there: is the peer running, is the port right?");
    return error_hint(err, "check the address and the network between here and %s", client->host);
}

static bool fail_time(const struct http_client *client, const char *url, struct error *err)
{
    /* also set for a kept connection, unlike the time of connecting */
    curl_off_t ready_us = 0, received = 0;
    curl_easy_getinfo(client->easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
    curl_easy_getinfo(client->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
    if (ready_us == 0) {
        long ms = client->connect_timeout_ms;
        if (client->timeout_ms && client->timeout_ms < ms)
            ms = client->timeout_ms;
        error_set(err, RC_TRANSPORT, "%s: no connection within %ld ms", url, ms);
        return error_hint(err, "is the host up, and does a firewall let the port through?");
    }
    if (client->headers->size == 0) {
        error_set(err, RC_TRANSPORT, "%s: connected, but no answer within %ld ms", url,
                  client->timeout_ms);
        return error_hint(err, "the peer took the request and said nothing; a longer time-out "
                               "helps if it is only slow");
    }
    error_set(err, RC_TRANSPORT, "%s: the answer was not complete within %ld ms (%lld bytes came)",
              url, client->timeout_ms, (long long)received);
    return error_hint(err, "a longer time-out helps if the peer is only slow");
}

static bool fail_certificate(const struct http_client *client, const char *url, const char *reason,
                             struct error *err)
{
    /* the name is judged before the chain: then there is no verdict on the chain */
    long verdict = X509_V_ERR_UNSPECIFIED;
    curl_easy_getinfo(client->easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
    bool judged = verdict != X509_V_OK && verdict != X509_V_ERR_UNSPECIFIED;
    if (!judged && strstr(reason, "host name")) {
        error_set(err, RC_TRANSPORT, "%s: the TLS certificate names another host: %s", url, reason);
        error_rule(err, "RFC 6125 section 6");
        return error_hint(err, "use a name from the certificate's subjectAltName in the URL");
    }
    error_set(err, RC_TRANSPORT, "%s: the TLS certificate is not trusted: %s", url,
              judged ? X509_verify_cert_error_string(verdict) : reason);
    if (verdict == X509_V_ERR_CERT_HAS_EXPIRED || verdict == X509_V_ERR_CERT_NOT_YET_VALID)
        return error_hint(err, "the server needs a new one, or the clock of this machine is wrong");
    return error_hint(err, client->cacert ? "is the file given with --cacert the issuer's?"
                                          : "--cacert FILE names the certificate to trust");
}

static bool fail_tls(const struct http_client *client, const char *url, const char *reason,
                     struct error *err)
{
    bool closed = strstr(reason, "SSL_ERROR_SYSCALL") || strstr(reason, "unexpected eof");
    error_set(err, RC_TRANSPORT, "%s: no TLS connection: %s", url,
              closed ? "the peer closed it during the handshake" : reason);
    if (closed || strstr(reason, "wrong version number") || strstr(reason, "packet length"))
        return error_hint(err, "does the peer speak TLS on this port, or is it http://?");
    if (!client->cert)
        return error_hint(err, "if the peer asks for a client certificate: --cert and --key");
    return false;
}

/* How a connection ended that was there, without a whole answer. */
static bool fail_answer(const struct http_client *client, CURLcode code, const char *url,
                        const char *reason, struct error *err)
{
    if (strstr(reason, "certificate required")) { /* of TLS 1.3, behind the handshake */
        error_set(err, RC_TRANSPORT, "%s: the peer asks for a client certificate%s", url,
                  client->cert ? ", and does not take this one" : "");
        return error_hint(err, "--cert and --key give one");
    }
    switch (code) {
    case CURLE_GOT_NOTHING:
        error_set(err, RC_TRANSPORT, "%s: empty reply: the peer closed the connection", url);
        return error_hint(err, "it may have crashed, refuse what it was sent, or speak https only");
    case CURLE_PARTIAL_FILE:
        error_set(err, RC_TRANSPORT, "%s: the answer ended too early, after %zu bytes", url,
                  client->body->size);
        return error_hint(err, "the peer closed the connection before all it had announced");
    case CURLE_TOO_MANY_REDIRECTS:
        return error_set(err, RC_TRANSPORT, "%s: more than %ld redirects", url, REDIRECTS);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        error_set(err, RC_TRANSPORT, "%s: no HTTP answer: %s", url, reason);
        return error_hint(err, "is this the port of an HTTP server?");
    default:
        return error_set(err, RC_TRANSPORT, "%s: %s", url, reason);
    }
}

static bool fail_size(const struct http_client *client, const char *url, struct error *err)
{
    if (client->headers_too_large)
        return error_set(err, RC_MALFORMED, "%s: the answer's headers exceed %d bytes", url,
                         HEADER_BYTES);
    return error_set(err, RC_MALFORMED, "%s: the answer exceeds the %zu bytes allowed", url,
                     client->max_bytes);
}

static bool fail(const struct http_client *client, CURLcode code, struct error *err)
{
    long redirects = 0;
    const char *effective = NULL, *url = client->name;
    curl_easy_getinfo(client->easy, CURLINFO_REDIRECT_COUNT, &redirects);
    if (redirects && curl_easy_getinfo(client->easy, CURLINFO_EFFECTIVE_URL, &effective) == 0)
        url = effective ? effective : url;
    char reason[CURL_ERROR_SIZE];
    put_reason(reason, sizeof reason,
               client->reason[0] ? client->reason : curl_easy_strerror(code));
    if (client->body_too_large || client->headers_too_large || code == CURLE_FILESIZE_EXCEEDED)
        return fail_size(client, url, err);
    if (client->body->failed || client->headers->failed)
        return error_memory(err);
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return error_memory(err);
    case CURLE_COULDNT_CONNECT:
        return fail_connect(client, url, reason, err);
    case CURLE_COULDNT_RESOLVE_HOST:
        error_set(err, RC_TRANSPORT, "%s: %s", url, reason);
        return error_hint(err, "is the name right, and does DNS answer?");
    case CURLE_COULDNT_RESOLVE_PROXY:
        error_set(err, RC_TRANSPORT, "%s: %s", url, reason);
        return error_hint(err, "the proxy comes from http_proxy or https_proxy");
    case CURLE_OPERATION_TIMEDOUT:
        return fail_time(client, url, err);
    case CURLE_PEER_FAILED_VERIFICATION:
        return fail_certificate(client, url, reason, err);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return error_set(err, RC_USAGE, "%s: %s", url, reason);
    case CURLE_SSL_CONNECT_ERROR:
        return fail_tls(client, url, reason, err);
    default:
        return fail_answer(client, code, url, reason, err);
    }
}

/* Posting. */

/* OpenSSL writes to sockets without MSG_NOSIGNAL: a peer that has gone must not end the program. */
static CURLcode perform(CURL *easy)
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
    CURLcode code = perform(client->easy);
    for (long waited = 0; code == CURLE_COULDNT_CONNECT && waited < client->wait_ms;
         waited += PAUSE_MS) {
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
        code = perform(client->easy);
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
    return perform(client->easy);
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
        return fail(client, code, err);
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

static buffer *client_preview(const struct http_client *client, struct span body)
{
    AUTO(buffer) *out = buffer_new(512);
    if (!out)
        return NULL;
    buffer_put_format(out, "POST %s HTTP/1.1\r\n", client->target);
    if (client->own_host)
        buffer_put_format(out, "Host: %s\r\n", client->authority);
    if (client->credentials)
        buffer_put_text(out, "Authorization: Basic (not shown)\r\n");
    if (client->own_agent)
        buffer_put_text(out, "User-Agent: " USER_AGENT "\r\n");
    for (const struct curl_slist *line = body.size ? client->with_body : client->without_body; line;
         line = line->next) {
        const char *value = strchr(line->data, ':');
        if (value && value[1 + strspn(value + 1, " \t")]) /* an empty one takes a header away */
            buffer_put_format(out, "%s\r\n", line->data);
    }
    buffer_put_format(out, "Content-Length: %zu\r\n\r\n", body.size);
    return out->failed ? NULL : TAKE(out);
}

/* Streams: curl finds the host, connects, and checks the certificate; what goes over it is not its
 * concern. */

struct http_stream {
    struct http_client *client;
    int fd;
};

static struct http_stream *stream_dial(const struct http_client_options *options, bool *timed_out,
                                       struct error *err)
{
    *timed_out = false;
    AUTO(http_client) *client = client_open(options, err);
    struct http_stream *stream = client ? calloc(1, sizeof *stream) : NULL;
    if (!stream) {
        if (client)
            error_memory(err);
        return NULL;
    }
    CURLcode code = SET(CURLOPT_CONNECT_ONLY, 1L) && SET(CURLOPT_HTTPPROXYTUNNEL, 1L)
                        ? perform(client->easy)
                        : CURLE_OUT_OF_MEMORY;
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (code == CURLE_OK)
        code = curl_easy_getinfo(client->easy, CURLINFO_ACTIVESOCKET, &fd);
    if (code != CURLE_OK || fd == CURL_SOCKET_BAD) {
        *timed_out = code == CURLE_OPERATION_TIMEDOUT;
        fail(client, code == CURLE_OK ? CURLE_COULDNT_CONNECT : code, err);
        free(stream);
        return NULL;
    }
    *stream = (struct http_stream){.client = TAKE(client), .fd = fd};
    return stream;
}

static ssize_t stream_result(CURLcode code, size_t size)
{
    return code == CURLE_AGAIN ? STREAM_AGAIN : code == CURLE_OK ? (ssize_t)size : STREAM_FAILED;
}

static ssize_t stream_send(struct http_stream *stream, struct span data)
{
    size_t sent = 0;
    CURLcode code = curl_easy_send(stream->client->easy, data.data, data.size, &sent);
    return stream_result(code, sent);
}

static ssize_t stream_receive(struct http_stream *stream, void *data, size_t size)
{
    size_t received = 0;
    CURLcode code = curl_easy_recv(stream->client->easy, data, size, &received);
    return stream_result(code, received);
}

static int stream_fd(const struct http_stream *stream)
{
    return stream->fd;
}

static void stream_hang_up(struct http_stream *stream)
{
    if (!stream)
        return;
    client_close(stream->client);
    free(stream);
}

__attribute__((visibility("default"))) extern const struct http_client_api http_client_api;
const struct http_client_api http_client_api = {
    .open = client_open,
    .post = client_post,
    .preview = client_preview,
    .close = client_close,
    .dial = stream_dial,
    .send = stream_send,
    .receive = stream_receive,
    .fd = stream_fd,
    .hang_up = stream_hang_up,
};
