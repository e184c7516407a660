/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_worker.h: the life of a process that makes rows of a batch: it takes them from its channel
 * and reports what it has made, or what went wrong. Where the CA's key is in a token it has the
 * process at the other end sign (FRAME_SIGN), which is the only one that talks to the token.
 *
 *     if (fork() == 0) {
 *         batch_work(b, fd, parent);
 *         _exit(0);
 *     }
 */
#ifndef OTRP_PKI_BATCH_WORKER_H
#define OTRP_PKI_BATCH_WORKER_H

#include <sys/types.h>

#include "pki/batch.h"

/* Ends when the socket does, and the process with its parent; on SIGTERM behind the row that is
 * being made. SIGINT and SIGHUP, which a terminal sends to all its processes, are the parent's. */
void batch_work(const struct batch *b, int fd, pid_t parent);

#endif
