/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_channel.h: what goes between the process that hands out the rows of a batch and its
 * workers: frames, each a head and its texts one after the other.
 *
 *     struct channel c;
 *     if (!channel_open(&c, fd) || !frame_send(&c, head, first, SPAN(NULL, 0))) ...
 *     while (channel_fill(&c))
 *         while (frame_take(&c, &head, &body))
 *             use(&head, body);
 *
 * Frames go in packs, as a call of the system takes as long as a frame.
 */
#ifndef OTRP_PKI_BATCH_CHANNEL_H
#define OTRP_PKI_BATCH_CHANNEL_H

#include "util/buffer.h"

enum frame_kind {
    FRAME_ROW,    /* to a worker: make this one; texts: the columns of the manifest */
    FRAME_SIGN,   /* from a worker: the public key, for which a certificate is to be signed */
    FRAME_CERT,   /* its answer: the certificate in DER, or the error */
    FRAME_ISSUED, /* from a worker: files are in place; texts: row of the ledger, of the result */
    FRAME_FAILED, /* the row cannot be made; text: row of the result */
    FRAME_BROKEN  /* nothing can go on, such as on a full disk; text: the message */
};

struct frame {
    uint32_t kind, size; /* size: of what follows */
    uint64_t row;
    uint32_t role;
    uint32_t adopted; /* FRAME_ISSUED: the files were there */
    uint32_t rc;      /* FRAME_BROKEN, FRAME_CERT */
    uint32_t first;   /* size of the first text, where there are two */
};

/* One end of a connection. */
struct channel {
    int fd;
    buffer *out, *in;
    size_t taken; /* of in */
};

/* Takes fd, also at a failure; channel_close closes it. */
bool channel_open(struct channel *c, int fd) MUST_CHECK;
void channel_close(struct channel *c);

/* Sends what has been put so far. */
bool channel_flush(struct channel *c) MUST_CHECK;
/* Reads what there is, waiting for something; false at the end of the other side. */
bool channel_fill(struct channel *c) MUST_CHECK;

/* Appends a frame to what is to be sent; frame_send also sends it. */
void frame_put(struct channel *c, struct frame head, struct span first, struct span second);
bool frame_send(struct channel *c, struct frame head, struct span first,
                struct span second) MUST_CHECK;

/* Whether a whole frame is there: it is copied to head, and body (with a NUL behind it) is borrowed
 * until the next call. */
bool frame_take(struct channel *c, struct frame *head, struct span *body) MUST_CHECK;
/* The next frame of a kind, waiting for it, with its body, owned by the caller; those before it
 * stay for later. NULL at the end of the other side. */
buffer *frame_await(struct channel *c, enum frame_kind kind, struct frame *head) MUST_CHECK;

#endif
