/* SPDX-License-Identifier: Apache-2.0 */
/* unearth_wire.h: what a network puts around a message, and between its parts: the chunks of HTTP,
 * the heads of packets. For unearth.c and unearth_dump.c only. */
#ifndef OTRP_OTRP_UNEARTH_WIRE_H
#define OTRP_OTRP_UNEARTH_WIRE_H

#include "util/buffer.h"

/* Where the body of an HTTP message begins whose head says, in the line at i, that it comes in
 * chunks (RFC 9112 section 7.1); 0: that line says no such thing, or no body follows. */
size_t chunked_body(struct span text, size_t i);

/* Puts the chunks at i together; returns where they end, 0: there are none. What ends within a
 * chunk is taken as far as it goes. */
size_t chunks_join(struct span text, size_t i, buffer *body);

/* What a packet of IP carries, when that is TCP. */
struct segment {
    uint8_t flow[36]; /* addresses and ports, in this direction */
    uint32_t sequence;
    struct span payload;
};

/* False: bytes are no such packet, with or without an Ethernet head. */
bool segment_read(struct span bytes, struct segment *segment);

#endif
