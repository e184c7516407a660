/* SPDX-License-Identifier: Apache-2.0 */
/* The module http-server.so: http_server.h over libmicrohttpd. */
#include "net/http_server.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/http_server_connections.h"
#include "net/listen.h"
#include "net/http_server_reply.h"
#include "net/http_server_tls.h"

#define DEADLINE_MS  30000
#define CONNECTIONS  1100  /* a thousand devices at once, and some room */
#define THREADS      64    /* at most: they compute, more than cores help nobody */
#define HEADER_BYTES 65536 /* per connection: request line, headers and what is read at once */
#define HELD_BYTES   (64u << 20) /* of all bodies at once */
#define OTHER_FILES  64          /* descriptors of the process beside the connections */
#define KEPT_MEMORY  (2 << 20)   /* freed bytes that a thread does not give back to the system */

/* A request from its first line to the end of its answer. */
struct request {
    struct timespec begun;
    buffer *body;
    size_t received; /* bytes, kept or not */
    bool opened;     /* its headers are known */
    bool answered;
    int refusal; /* status with which it is refused, or 0 */
};

struct http_server {
    struct http_server_options options;
    struct MHD_Daemon *daemon;
    int listen_fd;
    char *url;
    struct tls_files tls;
    struct connections connections;
    atomic_size_t held;   /* bytes of all bodies, in and out */
    pthread_mutex_t lock; /* of what follows */
    bool started;
    char refusal[256]; /* libmicrohttpd's reason when it does not start */
};

static double elapsed_ms(const struct timespec *begun)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)(t.tv_sec - begun->tv_sec) * 1e3 + (double)(t.tv_nsec - begun->tv_nsec) / 1e6;
}

static void notify_connection(void *argument, struct MHD_Connection *mhd, void **context,
                              enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = argument;
    connection_notify(&s->connections, mhd, context, code);
}

/* The first line of a request is there. */
static void *request_begin(void *argument, const char *uri, struct MHD_Connection *mhd)
{
    (void)argument, (void)uri;
    struct connection *c = connection_of(mhd);
    struct request *r = c ? calloc(1, sizeof *r) : NULL;
    if (!r)
        return NULL;
    clock_gettime(CLOCK_MONOTONIC, &r->begun);
    connection_request_begins(c);
    return r;
}

/* Of a body nothing is kept any more. */
static void request_drop(struct http_server *s, struct request *r)
{
    if (r->body)
        atomic_fetch_sub(&s->held, r->body->capacity);
    buffer_free(TAKE(r->body));
}

static void request_end(void *argument, struct MHD_Connection *mhd, void **context,
                        enum MHD_RequestTerminationCode code)
{
    (void)code;
    struct request *r = *context;
    if (!r)
        return;
    connection_request_ends(connection_of(mhd));
    request_drop(argument, r);
    free(r);
    *context = NULL;
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

/* Logs before it sends: whoever has the answer finds its line in the log. */
static enum MHD_Result request_finish(struct http_server *s, struct connection *c,
                                      const struct request *r, const struct http_request *request,
                                      struct http_reply *reply)
{
    const struct http_server_options *o = &s->options;
    reply_settle(reply);
    if (o->log)
        o->log(o->context, request, reply->silent ? 0 : reply->status, r->received,
               reply->body && !reply->silent ? reply->body->size : 0, elapsed_ms(&r->begun));
    if (!reply->silent)
        return reply_send(c->mhd, reply, connection_is_last(c), &s->held);
    buffer_free(TAKE(reply->body));
    connection_silence(c);
    return MHD_YES;
}

static enum MHD_Result request_answer(struct http_server *s, struct connection *c,
                                      struct request *r, const char *path, const char *method)
{
    AUTO(buffer) *accept = buffer_new(64);
    if (!accept)
        return MHD_NO;
    MHD_get_connection_values(c->mhd, MHD_HEADER_KIND, join_accept, accept);
    struct http_request request = {
        .method = method,
        .path = path,
        .content_type = header(c->mhd, "Content-Type"),
        .accept = accept->size ? (const char *)accept->data : NULL,
        .authorization = header(c->mhd, "Authorization"),
        .peer = c->peer,
        .body = buffer_span(r->body),
    };
    struct http_reply reply = {.status = r->refusal ? r->refusal : 500};
    r->answered = true;
    connection_take_turn(c, true);
    if (!r->refusal)
        s->options.respond(s->options.context, &request, &reply);
    request_drop(s, r);
    enum MHD_Result result = request_finish(s, c, r, &request, &reply);
    if (!c->silent)
        connection_take_turn(c, false);
    return result;
}

/* The headers are there: is the body that they announce too large, or one too many? */
static int refusal_of_headers(const struct http_server *s, struct MHD_Connection *mhd)
{
    const char *length = header(mhd, "Content-Length");
    size_t announced = length ? strtoull(length, NULL, 10) : 0;
    if (announced > s->options.max_bytes)
        return 413;
    size_t held = atomic_load(&s->held);
    return announced && (held >= s->options.max_total || s->options.max_total - held < announced)
               ? 503
               : 0;
}

/* False without memory. Of a body that is too large nothing is kept. */
static bool request_collect(struct http_server *s, struct request *r, const char *data, size_t size)
{
    r->received += size;
    if (r->received > s->options.max_bytes)
        r->refusal = 413;
    if (r->refusal) {
        request_drop(s, r);
        return true;
    }
    size_t before = r->body ? r->body->capacity : 0;
    if (!r->body && !(r->body = buffer_new(size)))
        return false;
    buffer_put(r->body, data, size);
    size_t grown = r->body->capacity - before;
    if (atomic_fetch_add(&s->held, grown) + grown > s->options.max_total) {
        r->refusal = 503;
        request_drop(s, r);
        return true;
    }
    return !r->body->failed;
}

/* Called with the headers, with each piece of the body, and once more when it is complete; MHD_NO
 * cuts the connection. */
static enum MHD_Result request_part(void *argument, struct MHD_Connection *mhd, const char *path,
                                    const char *method, const char *version, const char *data,
                                    size_t *size, void **context)
{
    (void)version;
    struct http_server *s = argument;
    struct connection *c = connection_of(mhd);
    struct request *r = *context;
    if (!c || !r || r->answered) /* an answered one comes again when its silence is over */
        return MHD_NO;
    if (!r->opened) {
        r->opened = true;
        r->refusal = refusal_of_headers(s, mhd);
        return r->refusal ? request_answer(s, c, r, path, method) : MHD_YES;
    }
    if (*size == 0)
        return request_answer(s, c, r, path, method);
    bool collected = request_collect(s, r, data, *size);
    *size = 0;
    return collected ? MHD_YES : MHD_NO;
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
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG |
                     MHD_ALLOW_SUSPEND_RESUME;
    if (s->tls.key)
        flags |= MHD_USE_TLS;
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)note_refusal, s}, /* first, as others complain */
        {MHD_OPTION_LISTEN_SOCKET, s->listen_fd, NULL},
        {MHD_OPTION_THREAD_POOL_SIZE, o->threads, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, o->max_connections, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEADER_BYTES, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)notify_connection, s},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)request_begin, s},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)request_end, s},
        {s->tls.key ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0,
         s->tls.key ? s->tls.cert->data : NULL},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, s->tls.key ? s->tls.key->data : NULL},
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
    bool open = connections_open(&s->connections, s->options.deadline_ms, err);
    if (open)
        s->daemon = daemon_start(s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!open)
        return false;
    pthread_mutex_lock(&s->lock);
    s->started = true;
    pthread_mutex_unlock(&s->lock);
    if (s->daemon)
        return true;
    connections_close(&s->connections);
    s->refusal[strcspn(s->refusal, "\n")] = '\0';
    return error_set(err, RC_TRANSPORT, "%s: cannot start the server: %s", s->options.listen,
                     s->refusal[0] ? s->refusal : "no reason given");
}

static void server_free(struct http_server *s)
{
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    pthread_mutex_destroy(&s->lock);
    tls_files_clear(&s->tls);
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
    if (!s->options.max_total)
        s->options.max_total = HELD_BYTES;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (!s->options.threads)
        s->options.threads = cores > 0 ? (unsigned)cores : 1;
    if (s->options.threads > THREADS)
        s->options.threads = THREADS;
    s->listen_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

/* Every message takes buffers of the same sizes: memory that goes back to the system with each of
 * them costs more page faults than the work that is done in it. */
static void keep_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, KEPT_MEMORY);
    mallopt(M_TRIM_THRESHOLD, KEPT_MEMORY);
#endif
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
    keep_memory();
    if (tls_files_read(&s->tls, options->tls_cert, options->tls_key, err)) {
        s->listen_fd = listen_open(options->listen, options->tls_cert, &s->url, err);
        if (s->listen_fd >= 0 && server_run(s, err))
            return s;
    }
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

    connections_drain(&s->connections);
    MHD_stop_daemon(s->daemon);
    connections_close(&s->connections);
    server_free(s);
}

__attribute__((visibility("default"))) extern const struct http_server_api http_server_api;
const struct http_server_api http_server_api = {
    .start = server_start,
    .url = server_url,
    .stop = server_stop,
};
