/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module http-server.so: http_server.h over libmicrohttpd.
 *
 * libmicrohttpd knows an idle time-out only. The total deadline is ours: every connection that
 * waits for its client stands in one list, ordered by since when it waits, and a thread shuts the
 * sockets at its head down once their time is over. While respond works for a connection it is in
 * no list: our own time is not the client's.
 */
#include "net/http_server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#define DEADLINE_MS   30000
#define CONNECTIONS   1100 /* a thousand devices at once, and some room */
#define THREADS       64   /* at most: they compute, more than cores help nobody */
#define BACKLOG       4096
#define HEADER_BYTES  65536   /* per connection: request line, headers and what is read at once */
#define PEM_BYTES     1048576 /* a certificate chain or a key */
#define ADDRESS_BYTES 80      /* "[IPv6%scope]:port" */
#define OTHER_FILES   64      /* descriptors of the process beside the connections */

/* A client's connection; libmicrohttpd keeps it as the socket's context. */
struct connection {
    struct http_server *server;
    struct connection *before, *after; /* in the list of those that wait */
    bool waits;
    bool busy;   /* between a request's first line and the end of its answer */
    bool served; /* a request before this one */
    long long since_ms;
    int fd;
    char peer[ADDRESS_BYTES];
};

/* A request from its first line to the end of its answer. */
struct request {
    struct timespec begun;
    buffer *body;
    size_t received; /* bytes, kept or not */
    bool opened;     /* its headers are known */
    bool too_large;
};

struct http_server {
    struct http_server_options options;
    struct MHD_Daemon *daemon;
    int listen_fd;
    char *url;
    buffer *cert, *key;
    char refusal[256]; /* libmicrohttpd's reason when it does not start */

    pthread_t sweeper;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t woken; /* the sweeper has to look again */
    pthread_cond_t drained;
    struct connection *first, *last; /* those that wait, the longest first */
    size_t connections;
    bool started, stopping, ended;
};

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct timespec moment(long long ms)
{
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

static double elapsed_ms(const struct timespec *begun)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)(t.tv_sec - begun->tv_sec) * 1e3 + (double)(t.tv_nsec - begun->tv_nsec) / 1e6;
}

/* The list of those that wait; the lock is held. */

static void unlink_waiting(struct connection *c)
{
    if (!c->waits)
        return;
    struct http_server *s = c->server;
    *(c->before ? &c->before->after : &s->first) = c->after;
    *(c->after ? &c->after->before : &s->last) = c->before;
    c->before = c->after = NULL;
    c->waits = false;
}

static void link_waiting(struct connection *c)
{
    unlink_waiting(c);
    struct http_server *s = c->server;
    c->since_ms = now_ms();
    c->before = s->last;
    *(s->last ? &s->last->after : &s->first) = c;
    s->last = c;
    c->waits = true;
}

/* The client has the word, and the whole deadline, from now on. */
static void client_turn(struct connection *c)
{
    pthread_mutex_lock(&c->server->lock);
    link_waiting(c);
    pthread_mutex_unlock(&c->server->lock);
}

static void server_turn(struct connection *c)
{
    pthread_mutex_lock(&c->server->lock);
    unlink_waiting(c);
    pthread_mutex_unlock(&c->server->lock);
}

static void *sweep(void *argument)
{
    struct http_server *s = argument;
    pthread_mutex_lock(&s->lock);
    while (!s->ended) {
        long long now = now_ms();
        while (s->first && s->first->since_ms + s->options.deadline_ms <= now) {
            /* closing is libmicrohttpd's; it wakes up for this */
            shutdown(s->first->fd, SHUT_RDWR);
            unlink_waiting(s->first);
        }
        /* who joins an empty list while we sleep cannot be due before we wake up */
        long long since = s->first ? s->first->since_ms : now;
        struct timespec until = moment(since + s->options.deadline_ms);
        pthread_cond_timedwait(&s->woken, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void peer_name(struct connection *c, const struct sockaddr *address)
{
    char host[64], port[8];
    socklen_t size = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                    : sizeof(struct sockaddr_in);
    if (getnameinfo(address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(c->peer, sizeof c->peer, "?");
    else
        snprintf(c->peer, sizeof c->peer, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static void connection_started(struct http_server *s, struct MHD_Connection *mhd, void **context)
{
    int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct connection *c = calloc(1, sizeof *c);
    if (!c) {
        shutdown(fd, SHUT_RDWR);
        return;
    }
    c->server = s;
    c->fd = fd;
    peer_name(c, MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
    *context = c;
    pthread_mutex_lock(&s->lock);
    s->connections++;
    link_waiting(c);
    if (s->stopping)
        shutdown(fd, SHUT_RD);
    pthread_mutex_unlock(&s->lock);
}

static void connection_notify(void *argument, struct MHD_Connection *mhd, void **context,
                              enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = argument;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_started(s, mhd, context);
        return;
    }
    struct connection *c = *context;
    if (!c)
        return;
    /* the descriptor is closed after this: from here on the sweeper must not know it */
    pthread_mutex_lock(&s->lock);
    unlink_waiting(c);
    if (--s->connections == 0)
        pthread_cond_broadcast(&s->drained);
    pthread_mutex_unlock(&s->lock);
    free(c);
    *context = NULL;
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* The first line of a request is there. The first request of a connection has begun with it; a
 * later one begins here, as the connection may have been idle for long. */
static void *request_begin(void *argument, const char *uri, struct MHD_Connection *mhd)
{
    (void)argument, (void)uri;
    struct connection *c = connection_of(mhd);
    struct request *r = c ? calloc(1, sizeof *r) : NULL;
    if (!r)
        return NULL;
    clock_gettime(CLOCK_MONOTONIC, &r->begun);
    pthread_mutex_lock(&c->server->lock);
    c->busy = true;
    if (c->served && c->waits)
        link_waiting(c);
    pthread_mutex_unlock(&c->server->lock);
    return r;
}

static void request_end(void *argument, struct MHD_Connection *mhd, void **context,
                        enum MHD_RequestTerminationCode code)
{
    (void)argument, (void)code;
    struct request *r = *context;
    if (!r)
        return;
    struct connection *c = connection_of(mhd);
    pthread_mutex_lock(&c->server->lock);
    c->busy = false;
    c->served = true;
    link_waiting(c);
    if (c->server->stopping)
        shutdown(c->fd, SHUT_RD);
    pthread_mutex_unlock(&c->server->lock);
    buffer_free(r->body);
    free(r);
    *context = NULL;
}

static void release_body(void *body)
{
    buffer_free(body);
}

/* A response that owns the reply's body. */
static struct MHD_Response *response_new(struct http_reply *reply)
{
    buffer *body = TAKE(reply->body);
    if (!body)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        body->size, body->data, release_body, body);
    if (!response)
        buffer_free(body);
    return response;
}

static bool put_headers(struct MHD_Response *response, const struct http_reply *reply,
                        bool has_body, bool last)
{
    const struct {
        const char *name, *value;
    } headers[] = {
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Security-Policy", "default-src 'none'"},
        {"Referrer-Policy", "no-referrer"},
        {"Content-Type", has_body ? reply->content_type : NULL},
        {"Allow", reply->allow},
        {"Connection", last ? "close" : NULL},
    };
    for (size_t i = 0; i < COUNT(headers); i++)
        if (headers[i].value &&
            MHD_add_response_header(response, headers[i].name, headers[i].value) != MHD_YES)
            return false;
    return true;
}

/* What can be sent of what respond has filled in. */
static void reply_settle(struct http_reply *reply)
{
    bool wrong = reply->status < 200 || reply->status > 599 || (reply->body && reply->body->failed);
    if (wrong)
        reply->status = 500;
    bool bodiless = wrong || reply->status == 204 || reply->status == 304;
    if (bodiless || (reply->body && reply->body->size == 0))
        buffer_free(TAKE(reply->body));
}

static enum MHD_Result reply_send(struct connection *c, struct MHD_Connection *mhd,
                                  struct http_reply *reply)
{
    pthread_mutex_lock(&c->server->lock);
    bool last = c->server->stopping;
    pthread_mutex_unlock(&c->server->lock);
    bool has_body = reply->body != NULL;
    struct MHD_Response *response = response_new(reply);
    if (!response)
        return MHD_NO;
    enum MHD_Result queued = MHD_NO;
    if (put_headers(response, reply, has_body, last))
        queued = MHD_queue_response(mhd, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return queued;
}

/* Logs before it sends: whoever has the answer finds its line in the log. */
static enum MHD_Result reply_finish(struct connection *c, struct MHD_Connection *mhd,
                                    const struct request *r, const struct http_request *request,
                                    struct http_reply *reply)
{
    const struct http_server_options *o = &c->server->options;
    reply_settle(reply);
    if (o->log)
        o->log(o->context, request, reply->status, r->received, reply->body ? reply->body->size : 0,
               elapsed_ms(&r->begun));
    return reply_send(c, mhd, reply);
}

static const char *header(struct MHD_Connection *mhd, const char *name)
{
    return MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, name);
}

/* Appends one line of Accept: several are one list (RFC 9110 section 5.3). */
static enum MHD_Result join_accept(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    buffer *joined = context;
    (void)kind;
    if (strcasecmp(name, "Accept") == 0 && value)
        buffer_put_format(joined, "%s%s", joined->size ? ", " : "", value);
    return MHD_YES;
}

static enum MHD_Result request_answer(struct connection *c, struct MHD_Connection *mhd,
                                      struct request *r, const char *path, const char *method)
{
    const struct http_server_options *o = &c->server->options;
    AUTO(buffer) *accept = buffer_new(64);
    if (!accept)
        return MHD_NO;
    MHD_get_connection_values(mhd, MHD_HEADER_KIND, join_accept, accept);
    struct http_request request = {
        .method = method,
        .path = path,
        .content_type = header(mhd, "Content-Type"),
        .accept = accept->size ? (const char *)accept->data : NULL,
        .authorization = header(mhd, "Authorization"),
        .peer = c->peer,
        .body = buffer_span(r->body),
    };
    struct http_reply reply = {.status = r->too_large ? 413 : 500};
    server_turn(c);
    if (!r->too_large)
        o->respond(o->context, &request, &reply);
    enum MHD_Result result = reply_finish(c, mhd, r, &request, &reply);
    client_turn(c);
    return result;
}

/* The headers are there: is the body that they announce too large? */
static bool announces_too_much(struct MHD_Connection *mhd, size_t max_bytes)
{
    const char *length = header(mhd, "Content-Length");
    return length && strtoull(length, NULL, 10) > max_bytes;
}

/* False without memory. Of a body that is too large nothing is kept. */
static bool request_collect(struct request *r, const char *data, size_t size, size_t max_bytes)
{
    r->received += size;
    if (r->received > max_bytes)
        r->too_large = true;
    if (r->too_large) {
        buffer_free(TAKE(r->body));
        return true;
    }
    if (!r->body)
        r->body = buffer_new(size);
    if (!r->body)
        return false;
    buffer_put(r->body, data, size);
    return !r->body->failed;
}

/* Called with the headers, with each piece of the body, and once more when it is complete; MHD_NO
 * cuts the connection. */
static enum MHD_Result request_part(void *argument, struct MHD_Connection *mhd, const char *path,
                                    const char *method, const char *version, const char *data,
                                    size_t *size, void **context)
{
    (void)version;
    const struct http_server *s = argument;
    struct connection *c = connection_of(mhd);
    struct request *r = *context;
    if (!c || !r)
        return MHD_NO;
    if (!r->opened) {
        r->opened = true;
        r->too_large = announces_too_much(mhd, s->options.max_bytes);
        return r->too_large ? request_answer(c, mhd, r, path, method) : MHD_YES;
    }
    if (*size == 0)
        return request_answer(c, mhd, r, path, method);
    bool collected = request_collect(r, data, *size, s->options.max_bytes);
    *size = 0;
    return collected ? MHD_YES : MHD_NO;
}

/* Where to listen. */

struct endpoint {
    char *host;       /* as given, without brackets */
    const char *port; /* into the options' text */
};

static bool bad_listen(const char *listen, struct error *err)
{
    error_set(err, RC_USAGE, "'%s' is no address to listen on", listen);
    return error_hint(err, "write it as 127.0.0.1:8080 or [::1]:8080; port 0 picks a free one");
}

static bool endpoint_parse(struct endpoint *e, const char *listen, struct error *err)
{
    bool bracketed = listen[0] == '[';
    const char *colon = strrchr(listen, ':');
    const char *host = listen + bracketed;
    const char *end = bracketed ? strchr(listen, ']') : colon;
    if (!colon || !end || end == host || (bracketed && end + 1 != colon))
        return bad_listen(listen, err);
    if (!bracketed && memchr(host, ':', (size_t)(end - host)))
        return bad_listen(listen, err);
    e->port = colon + 1;
    size_t digits = strspn(e->port, "0123456789");
    if (digits == 0 || digits > 5 || e->port[digits] || strtoul(e->port, NULL, 10) > 65535)
        return bad_listen(listen, err);
    e->host = strndup(host, (size_t)(end - host));
    return e->host || error_memory(err);
}

/* A listening socket, or -1 with errno set. */
static int listen_at(const struct addrinfo *address)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static int endpoint_listen(const struct endpoint *e, const char *name, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *addresses;
    int failure = getaddrinfo(e->host, e->port, &hints, &addresses);
    if (failure) {
        error_set(err, RC_TRANSPORT, "%s: cannot find the address: %s", name,
                  gai_strerror(failure));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *a = addresses; a && fd < 0; a = a->ai_next)
        fd = listen_at(a);
    int reason = errno;
    freeaddrinfo(addresses);
    if (fd >= 0)
        return fd;
    errno = reason;
    error_errno(err, RC_TRANSPORT, "%s: cannot listen", name);
    if (reason == EADDRINUSE)
        error_hint(err, "another program listens there; port 0 picks a free one");
    else if (reason == EACCES)
        error_hint(err, "ports below 1024 need a privilege; port 0 picks a free one");
    return -1;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    char port[8] = "0";
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0)
        getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof port, NI_NUMERICSERV);
    return (unsigned)strtoul(port, NULL, 10);
}

static bool server_listen(struct http_server *s, struct error *err)
{
    struct endpoint e = {0};
    if (!endpoint_parse(&e, s->options.listen, err))
        return false;
    AUTO(char) *host = e.host;
    s->listen_fd = endpoint_listen(&e, s->options.listen, err);
    if (s->listen_fd < 0)
        return false;
    const char *form = strchr(host, ':') ? "%s://[%s]:%u" : "%s://%s:%u";
    if (asprintf(&s->url, form, s->options.tls_cert ? "https" : "http", host,
                 port_of(s->listen_fd)) < 0) {
        s->url = NULL;
        return error_memory(err);
    }
    return true;
}

/* TLS: the files are read and judged here, where they still have a name. */

static buffer *pem_read(const char *path, struct error *err)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        error_errno(err, RC_USAGE, "%s: cannot open", path);
        return NULL;
    }
    AUTO(buffer) *pem = buffer_secret(PEM_BYTES);
    size_t size = pem ? fread(pem->data, 1, PEM_BYTES, file) : 0;
    bool read = pem && !ferror(file) && size < PEM_BYTES;
    if (!pem)
        error_memory(err);
    else if (ferror(file))
        error_errno(err, RC_USAGE, "%s: cannot read", path);
    else if (!read)
        error_set(err, RC_USAGE, "%s: too large for a PEM file", path);
    fclose(file);
    if (!read)
        return NULL;
    pem->data[size] = '\0';
    pem->size = size;
    return TAKE(pem);
}

AUTO_DEFINE(X509, X509_free)
AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(BIO, BIO_free_all)

static int no_passphrase(char *text, int size, int writing, void *argument)
{
    (void)text, (void)size, (void)writing, (void)argument;
    return -1;
}

static bool pair_check(const struct http_server *s, struct error *err)
{
    AUTO(BIO) *cert_bio = BIO_new_mem_buf(s->cert->data, (int)s->cert->size);
    AUTO(BIO) *key_bio = BIO_new_mem_buf(s->key->data, (int)s->key->size);
    if (!cert_bio || !key_bio)
        return error_memory(err);
    AUTO(X509) *cert = PEM_read_bio_X509(cert_bio, NULL, no_passphrase, NULL);
    if (!cert)
        return error_set(err, RC_USAGE, "%s: no certificate in PEM", s->options.tls_cert);
    AUTO(EVP_PKEY) *key = PEM_read_bio_PrivateKey(key_bio, NULL, no_passphrase, NULL);
    if (!key)
        return error_set(err, RC_USAGE, "%s: no unencrypted private key in PEM",
                         s->options.tls_key);
    if (X509_check_private_key(cert, key) != 1)
        return error_set(err, RC_USAGE, "%s: not the private key of the certificate in %s",
                         s->options.tls_key, s->options.tls_cert);
    return true;
}

static bool server_read_tls(struct http_server *s, struct error *err)
{
    const struct http_server_options *o = &s->options;
    if (!o->tls_cert && !o->tls_key)
        return true;
    if (!o->tls_cert || !o->tls_key)
        return error_set(err, RC_USAGE, "TLS needs both a certificate and its key");
    s->cert = pem_read(o->tls_cert, err);
    s->key = s->cert ? pem_read(o->tls_key, err) : NULL;
    return s->key && pair_check(s, err);
}

/* Keeps the first complaint at the start; later ones are about clients and are dropped. */
static void note_refusal(void *argument, const char *format, va_list arguments)
{
    struct http_server *s = argument;
    pthread_mutex_lock(&s->lock);
    if (!s->started && !s->refusal[0])
        vsnprintf(s->refusal, sizeof s->refusal, format, arguments);
    pthread_mutex_unlock(&s->lock);
}

static void server_allow_files(const struct http_server *s)
{
    struct rlimit limit;
    rlim_t wanted = s->options.max_connections + OTHER_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit); /* with fewer, the rest waits in the backlog */
}

static struct MHD_Daemon *daemon_start(struct http_server *s)
{
    const struct http_server_options *o = &s->options;
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    if (s->key)
        flags |= MHD_USE_TLS;
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)note_refusal, s}, /* first, as others complain */
        {MHD_OPTION_LISTEN_SOCKET, s->listen_fd, NULL},
        {MHD_OPTION_THREAD_POOL_SIZE, o->threads, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, o->max_connections, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEADER_BYTES, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)connection_notify, s},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)request_begin, s},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)request_end, s},
        {s->key ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, s->key ? s->cert->data : NULL},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, s->key ? s->key->data : NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(flags, 0, NULL, NULL, request_part, s, MHD_OPTION_ARRAY, items,
                            MHD_OPTION_END);
}

/* Starts the threads with all signals blocked: they are for the threads of the caller. */
static bool server_run(struct http_server *s, struct error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&s->sweeper, NULL, sweep, s);
    if (!failure)
        s->daemon = daemon_start(s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure) {
        errno = failure;
        return error_errno(err, RC_INTERNAL, "cannot start a thread");
    }
    pthread_mutex_lock(&s->lock);
    s->started = true;
    s->ended = s->daemon == NULL;
    pthread_cond_signal(&s->woken);
    pthread_mutex_unlock(&s->lock);
    if (s->daemon)
        return true;
    pthread_join(s->sweeper, NULL);
    s->refusal[strcspn(s->refusal, "\n")] = '\0';
    return error_set(err, RC_TRANSPORT, "%s: cannot start the server: %s", s->options.listen,
                     s->refusal[0] ? s->refusal : "no reason given");
}

static void server_free(struct http_server *s)
{
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    pthread_cond_destroy(&s->drained);
    pthread_cond_destroy(&s->woken);
    pthread_mutex_destroy(&s->lock);
    buffer_free(s->cert);
    buffer_free(s->key);
    free(s->url);
    free(s);
}

static struct http_server *server_new(const struct http_server_options *options)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->options = *options;
    if (!s->options.deadline_ms)
        s->options.deadline_ms = DEADLINE_MS;
    if (!s->options.max_connections)
        s->options.max_connections = CONNECTIONS;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (!s->options.threads)
        s->options.threads = cores > 0 ? (unsigned)cores : 1;
    if (s->options.threads > THREADS)
        s->options.threads = THREADS;
    s->listen_fd = -1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->woken, &monotonic);
    pthread_cond_init(&s->drained, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return s;
}

static struct http_server *server_start(const struct http_server_options *options,
                                        struct error *err)
{
    struct http_server *s = server_new(options);
    if (!s) {
        error_memory(err);
        return NULL;
    }
    server_allow_files(s);
    if (server_read_tls(s, err) && server_listen(s, err) && server_run(s, err))
        return s;
    server_free(s);
    return NULL;
}

static const char *server_url(const struct http_server *s)
{
    return s->url;
}

static void server_stop(struct http_server *s)
{
    if (!s)
        return;
    MHD_quiesce_daemon(s->daemon);
    shutdown(s->listen_fd, SHUT_RDWR); /* refuses, instead of letting clients wait in vain */

    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    /* what has been sent already is still read and answered */
    for (struct connection *c = s->first; c; c = c->after)
        if (!c->busy)
            shutdown(c->fd, SHUT_RD);
    struct timespec until = moment(now_ms() + s->options.deadline_ms);
    int waited = 0;
    while (s->connections && waited == 0)
        waited = pthread_cond_timedwait(&s->drained, &s->lock, &until);
    pthread_mutex_unlock(&s->lock);

    MHD_stop_daemon(s->daemon);
    pthread_mutex_lock(&s->lock);
    s->ended = true;
    pthread_cond_signal(&s->woken);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->sweeper, NULL);
    server_free(s);
}

__attribute__((visibility("default"))) extern const struct http_server_api http_server_api;
const struct http_server_api http_server_api = {
    .start = server_start,
    .url = server_url,
    .stop = server_stop,
};
