/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listen.h"
#include "util/clock.h"

enum {
    CONNECTIONS = 256,       /* clients at once; more wait in the queue of the socket */
    STACK_BYTES = 256 << 10, /* of a client's thread */
    LINGER_MS = 2000         /* for a client to take what it was sent */
};

bool client_overdue(const struct client *c)
{
    double now = clock_precise_ms(), stop = (double)atomic_load(&c->proxy->stop_ms);
    return (c->until_ms > 0 && now > c->until_ms) || (stop > 0 && now > stop);
}

ssize_t client_read(struct client *c)
{
    uint8_t *to = buffer_reserve(c->in, PROXY_PIECE_BYTES);
    ssize_t n = to ? recv(c->fd, to, PROXY_PIECE_BYTES, 0) : 0;
    if (n > 0)
        c->in->size += (size_t)n;
    return n < 0 && errno != EAGAIN && errno != EINTR ? 0 : n;
}

bool client_wait(const struct client *c, short events, long timeout_ms)
{
    struct pollfd fd = {.fd = c->fd, .events = events};
    int ready;
    while ((ready = poll(&fd, 1, (int)timeout_ms)) < 0 && errno == EINTR)
        ;
    return ready > 0;
}

bool client_send(const struct client *c, struct span data)
{
    while (data.size) {
        ssize_t n = send(c->fd, data.data, data.size, MSG_NOSIGNAL);
        if (n > 0)
            data = SPAN(data.data + n, data.size - (size_t)n);
        else if (errno == EAGAIN &&
                 (client_overdue(c) || !client_wait(c, POLLOUT, proxy_silence_ms(c->proxy))))
            return false;
        else if (errno != EAGAIN && errno != EINTR)
            return false;
    }
    return true;
}

void client_idle(struct client *c, bool idle)
{
    pthread_mutex_lock(&c->proxy->lock);
    c->idle = idle;
    if (idle && proxy_is_stopping(c->proxy))
        shutdown(c->fd, SHUT_RD);
    pthread_mutex_unlock(&c->proxy->lock);
}

static void client_end(struct client *c)
{
    proxy *p = c->proxy;
    /* with bytes on their way, close would reset the connection, and take the answer with it */
    shutdown(c->fd, SHUT_WR);
    char bytes[4096];
    double until = clock_precise_ms() + LINGER_MS;
    for (ssize_t n = -1; n != 0 && clock_precise_ms() < until;) {
        n = recv(c->fd, bytes, sizeof bytes, 0);
        if (n < 0 && (errno != EAGAIN || !client_wait(c, POLLIN, LINGER_MS)))
            break;
    }
    pthread_mutex_lock(&p->lock);
    *(c->before ? &c->before->after : &p->clients) = c->after;
    if (c->after)
        c->after->before = c->before;
    p->count--;
    close(c->fd);
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    buffer_free(c->in);
    free(c);
}

static void *client_run(void *argument)
{
    struct client *c = argument;
    while (exchange_serve(c))
        ;
    client_end(c);
    return NULL;
}

static void client_start(proxy *p, int fd, const struct sockaddr *address)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c || !(c->in = buffer_new(0))) {
        free(c);
        close(fd);
        return;
    }
    c->proxy = p;
    c->fd = fd;
    peer_name(address, c->peer);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    pthread_mutex_lock(&p->lock);
    c->after = p->clients;
    if (c->after)
        c->after->before = c;
    p->clients = c;
    p->count++;
    pthread_mutex_unlock(&p->lock);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    if (pthread_create(&thread, &attributes, client_run, c) != 0)
        client_end(c);
    pthread_attr_destroy(&attributes);
}

void *clients_accept(void *argument)
{
    proxy *p = argument;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        while (p->count >= CONNECTIONS && !proxy_is_stopping(p))
            pthread_cond_wait(&p->changed, &p->lock);
        bool stopping = proxy_is_stopping(p);
        pthread_mutex_unlock(&p->lock);
        if (stopping)
            return NULL;
        struct pollfd ready = {.fd = p->listen_fd, .events = POLLIN};
        poll(&ready, 1, -1);
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof address;
        int fd = accept4(p->listen_fd, (struct sockaddr *)&address, &size,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            client_start(p, fd, (const struct sockaddr *)&address);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
}
