/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_batch_crew.h: the processes that work for a batch, and how busy each of them is.
 *
 *     struct crew crew = {.count = 0};
 *     if (crew_start(&crew, batch, jobs, err)) ...
 *     crew_stop(&crew);
 */
#ifndef OTRP_APPLETS_PKI_BATCH_CREW_H
#define OTRP_APPLETS_PKI_BATCH_CREW_H

#include <sys/types.h>

#include "pki/batch.h"
#include "pki/batch_channel.h"

#define WORKERS_MOST 256

struct worker {
    pid_t pid;
    struct channel channel;
    size_t ahead, ahead_bytes; /* rows that it has and has not reported, and their columns */
};

struct crew {
    struct worker workers[WORKERS_MOST];
    size_t count;
    bool dismissed;
};

/* Starts jobs workers, WORKERS_MOST at most. crew_stop is needed also after a failure: it tells
 * them that there is no more work, and waits for them. */
bool crew_start(struct crew *c, const struct batch *b, size_t jobs, struct error *err) MUST_CHECK;
void crew_stop(struct crew *c);

/* Has each of them end behind the row that it is making: what it has made it still reports. */
void crew_dismiss(struct crew *c);

/* The worker with the fewest rows before it; NULL when all have enough. */
struct worker *crew_idlest(struct crew *c);
/* How many rows have been handed out and not been reported. */
size_t crew_under_way(const struct crew *c);
/* Sends each worker what has been put for it. False when one of them is gone. */
bool crew_flush(struct crew *c) MUST_CHECK;

#endif
