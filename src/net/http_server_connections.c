/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_server_connections.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "net/listen.h"

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

/* ---- the list of those that wait; the lock is held ---- */

static void unlink_waiting(struct connection *c)
{
    if (!c->waits)
        return;
    struct connections *all = c->all;
    *(c->before ? &c->before->after : &all->first) = c->after;
    *(c->after ? &c->after->before : &all->last) = c->before;
    c->before = c->after = NULL;
    c->waits = false;
}

static void link_waiting(struct connection *c)
{
    unlink_waiting(c);
    struct connections *all = c->all;
    c->since_ms = now_ms();
    c->before = all->last;
    *(all->last ? &all->last->after : &all->first) = c;
    all->last = c;
    c->waits = true;
}

/* Closing is libmicrohttpd's; it wakes up for this. */
static void cut(struct connection *c)
{
    shutdown(c->fd, SHUT_RDWR);
    unlink_waiting(c);
    if (c->silent)
        MHD_resume_connection(c->mhd);
}

static void *sweep(void *argument)
{
    struct connections *all = argument;
    pthread_mutex_lock(&all->lock);
    while (!all->ended) {
        long long now = now_ms();
        while (all->first && all->first->since_ms + all->deadline_ms <= now)
            cut(all->first);
        /* who joins an empty list while we sleep cannot be due before we wake up */
        long long since = all->first ? all->first->since_ms : now;
        struct timespec until = moment(since + all->deadline_ms);
        pthread_cond_timedwait(&all->woken, &all->lock, &until);
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

/* ---- all of them ---- */

static void destroy(struct connections *all)
{
    pthread_cond_destroy(&all->drained);
    pthread_cond_destroy(&all->woken);
    pthread_mutex_destroy(&all->lock);
}

bool connections_open(struct connections *all, unsigned deadline_ms, struct error *err)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    *all = (struct connections){.deadline_ms = deadline_ms};
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->woken, &monotonic);
    pthread_cond_init(&all->drained, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int failure = pthread_create(&all->sweeper, NULL, sweep, all);
    if (!failure)
        return true;
    destroy(all);
    errno = failure;
    return error_errno(err, RC_INTERNAL, "cannot start a thread");
}

void connections_drain(struct connections *all)
{
    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    for (struct connection *c = all->first, *after; c; c = after) {
        after = c->after;
        if (c->silent)
            cut(c);
        else if (!c->busy)
            shutdown(c->fd, SHUT_RD); /* what has been sent already is still read and answered */
    }
    struct timespec until = moment(now_ms() + all->deadline_ms);
    int waited = 0;
    while (all->count && waited == 0)
        waited = pthread_cond_timedwait(&all->drained, &all->lock, &until);
    pthread_mutex_unlock(&all->lock);
}

void connections_close(struct connections *all)
{
    pthread_mutex_lock(&all->lock);
    all->ended = true;
    pthread_cond_signal(&all->woken);
    pthread_mutex_unlock(&all->lock);
    pthread_join(all->sweeper, NULL);
    destroy(all);
}

/* ---- one ---- */

static void started(struct connections *all, struct MHD_Connection *mhd, void **context)
{
    int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct connection *c = calloc(1, sizeof *c);
    if (!c) {
        shutdown(fd, SHUT_RDWR);
        return;
    }
    c->all = all;
    c->mhd = mhd;
    c->fd = fd;
    peer_name(MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
              c->peer);
    *context = c;
    pthread_mutex_lock(&all->lock);
    all->count++;
    link_waiting(c);
    if (all->stopping)
        shutdown(fd, SHUT_RD);
    pthread_mutex_unlock(&all->lock);
}

void connection_notify(struct connections *all, struct MHD_Connection *mhd, void **context,
                       enum MHD_ConnectionNotificationCode code)
{
    struct connection *c = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        return started(all, mhd, context);
    if (!c)
        return;
    /* the descriptor is closed after this: from here on the sweeper must not know it */
    pthread_mutex_lock(&all->lock);
    unlink_waiting(c);
    if (--all->count == 0)
        pthread_cond_broadcast(&all->drained);
    pthread_mutex_unlock(&all->lock);
    free(c);
    *context = NULL;
}

struct connection *connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* The first request of a connection has begun with it; a later one begins here, as the connection
 * may have been idle for long. */
void connection_request_begins(struct connection *c)
{
    pthread_mutex_lock(&c->all->lock);
    c->busy = true;
    if (c->served && c->waits)
        link_waiting(c);
    pthread_mutex_unlock(&c->all->lock);
}

void connection_request_ends(struct connection *c)
{
    pthread_mutex_lock(&c->all->lock);
    c->busy = false;
    c->served = true;
    link_waiting(c);
    if (c->all->stopping)
        shutdown(c->fd, SHUT_RD);
    pthread_mutex_unlock(&c->all->lock);
}

void connection_take_turn(struct connection *c, bool server)
{
    pthread_mutex_lock(&c->all->lock);
    if (server)
        unlink_waiting(c);
    else
        link_waiting(c);
    pthread_mutex_unlock(&c->all->lock);
}

void connection_silence(struct connection *c)
{
    pthread_mutex_lock(&c->all->lock);
    c->silent = true;
    MHD_suspend_connection(c->mhd);
    link_waiting(c);
    if (c->all->stopping)
        cut(c);
    pthread_mutex_unlock(&c->all->lock);
}

bool connection_is_last(struct connection *c)
{
    pthread_mutex_lock(&c->all->lock);
    bool last = c->all->stopping;
    pthread_mutex_unlock(&c->all->lock);
    return last;
}
