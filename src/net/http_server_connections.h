/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server_connections.h: the connections of a server, each with a total deadline.
 *
 * libmicrohttpd knows an idle time-out only: a client that sends a byte a second lives on. So every
 * connection that waits for its client stands in one list, ordered by since when it waits, and a
 * thread shuts the sockets at its head down once their time is over. While the server itself works
 * for a connection it is in no list: our own time is not the client's.
 *
 *     if (!connections_open(&all, 30000, err)) ...     starts the thread
 *     connection_take_turn(c, false);                  the client's turn, with the whole deadline
 *     connections_drain(&all);                         at the end: waits for what is under way
 *     connections_close(&all);
 */
#ifndef OTRP_NET_HTTP_SERVER_CONNECTIONS_H
#define OTRP_NET_HTTP_SERVER_CONNECTIONS_H

#include <microhttpd.h>
#include <pthread.h>

#include "util/error.h"

enum { ADDRESS_BYTES = 80 }; /* "[IPv6%scope]:port" */

struct connections {
    unsigned deadline_ms;
    pthread_t sweeper;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t woken; /* the sweeper has to look again */
    pthread_cond_t drained;
    struct connection *first, *last; /* those that wait, the longest first */
    size_t count;
    bool stopping, ended;
};

/* A client's connection; libmicrohttpd keeps it as the socket's context. */
struct connection {
    struct connections *all;
    struct connection *before, *after; /* in the list of those that wait */
    struct MHD_Connection *mhd;
    bool waits;
    bool busy;   /* between a request's first line and the end of its answer */
    bool served; /* a request before this one */
    bool silent; /* suspended: it gets no answer */
    long long since_ms;
    int fd;
    char peer[ADDRESS_BYTES];
};

/* Starts the thread that cuts connections off. */
bool connections_open(struct connections *all, unsigned deadline_ms, struct error *err) MUST_CHECK;
/* No request begins any more; waits until those under way are finished, or cut off. */
void connections_drain(struct connections *all);
/* Ends the thread. */
void connections_close(struct connections *all);

/* For libmicrohttpd's notification: *context becomes a connection, or NULL. */
void connection_notify(struct connections *all, struct MHD_Connection *mhd, void **context,
                       enum MHD_ConnectionNotificationCode code);

struct connection *connection_of(struct MHD_Connection *mhd);

void connection_request_begins(struct connection *c);
void connection_request_ends(struct connection *c);

/* Whose turn it is: the server's own time does not count. */
void connection_take_turn(struct connection *c, bool server);

/* Leaves the client without an answer until its deadline. To be called by the handler of the
 * request, which is called once more when the time is over: then it must refuse. */
void connection_silence(struct connection *c);

/* Whether it is to be told that this answer is the last. */
bool connection_is_last(struct connection *c);

#endif
