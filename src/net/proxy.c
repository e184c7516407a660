/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy_parts.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listen.h"
#include "util/clock.h"

long proxy_silence_ms(const proxy *p)
{
    return p->options.upstream.timeout_ms;
}

bool proxy_is_stopping(const proxy *p)
{
    return atomic_load(&p->stop_ms) != 0;
}

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
        if (pthread_create(&p->acceptor, NULL, clients_accept, p) == 0)
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
    atomic_store(&p->stop_ms, (long long)clock_precise_ms() + proxy_silence_ms(p));
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
