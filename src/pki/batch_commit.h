/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_commit.h: rows of a batch that become durable together: their files, then their rows in the
 * ledgers, then those in the result. That is done in a thread, while the next group fills.
 *
 *     batch_commit_put(&c, line, role, entry);
 *     if (batch_commit_due(&c) && !batch_commit_start(&c))
 *         stop(&c.why);
 *     ...
 *     if (!batch_commit_start(&c) || !batch_commit_wait(&c))
 *         stop(&c.why);
 */
#ifndef OTRP_PKI_BATCH_COMMIT_H
#define OTRP_PKI_BATCH_COMMIT_H

#include <pthread.h>
#include <stdatomic.h>

#include "pki/batch.h"

#define GROUP_MS 1000 /* for which a row waits at most until its group is to become durable */

struct batch_group {
    buffer *lines, *entries[ROLE_COUNT]; /* of the result, of the ledgers */
    size_t rows;
    long long since_ms;
};

struct batch_commit {
    const struct batch *batch;
    struct batch_group filling, committing;
    pthread_t thread;
    bool runs, failed;
    atomic_bool ended; /* what the thread has to do */
    struct error why;  /* when failed */
};

/* batch_commit_close is needed also after a failure. */
bool batch_commit_open(struct batch_commit *c, const struct batch *b, struct error *err) MUST_CHECK;
void batch_commit_close(struct batch_commit *c);

/* Adds a row: its line of the result and, unless that is empty, its entry in the role's ledger. */
void batch_commit_put(struct batch_commit *c, struct span line, enum pki_role role,
                      struct span entry);
/* Whether the group is full, or has waited long enough, and the one before it is no longer under
 * way; or whether it is so large that it has to wait for that. */
bool batch_commit_due(const struct batch_commit *c);

/* Has the group made durable; first waits for the one before. After a failure, which c->why
 * describes, nothing is made durable any more. */
bool batch_commit_start(struct batch_commit *c) MUST_CHECK;
bool batch_commit_wait(struct batch_commit *c) MUST_CHECK;

#endif
