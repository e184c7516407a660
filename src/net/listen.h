/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen.h: where a server listens: "127.0.0.1:8080", "[::1]:8080", "localhost:0".
 *
 *     int fd = listen_open("127.0.0.1:0", false, &url, err);      url: "http://127.0.0.1:40123"
 */
#ifndef OTRP_NET_LISTEN_H
#define OTRP_NET_LISTEN_H

#include "util/buffer.h"

/* A listening socket, which is the caller's as *url is; -1 with err set: RC_USAGE for what is no
 * address, RC_TRANSPORT for one that cannot be used. */
int listen_open(const char *listen, bool tls, char **url, struct error *err) MUST_CHECK;

struct sockaddr;

/* "127.0.0.1:51234" or "[::1]:51234", the address of a client; "?" when it has none. */
void peer_name(const struct sockaddr *address, char name[80]);

#endif
