/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server_reply.h: a reply on its way out: what can be sent of it, its headers
 * (otrp-messages(7), HTTP), and its body, which is freed when it has been sent.
 *
 *     reply_settle(&reply);
 *     return reply_send(mhd, &reply, last, &held);
 */
#ifndef OTRP_NET_HTTP_SERVER_REPLY_H
#define OTRP_NET_HTTP_SERVER_REPLY_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "net/http_server.h"

/* Makes of what respond has filled in something that can be sent. */
void reply_settle(struct http_reply *reply);

/* Queues it; takes its body, which counts in *held until it is freed. last: the connection is
 * closed behind it. */
enum MHD_Result reply_send(struct MHD_Connection *mhd, struct http_reply *reply, bool last,
                           atomic_size_t *held);

#endif
