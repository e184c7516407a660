/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_row.h: what is done for one row of a batch: its key, its certificate and its files, the
 * certificate as the last one. What an earlier run of the same batch left is taken up when it is
 * whole, and made again otherwise.
 *
 *     bool adopted;
 *     if (!batch_row_make(b, e, &(struct batch_bench){.keys = keys}, &adopted, err)) ...
 */
#ifndef OTRP_PKI_BATCH_ROW_H
#define OTRP_PKI_BATCH_ROW_H

#include "pki/batch.h"

/* What a row is made with. */
struct batch_bench {
    keygen *keys; /* or NULL */
    /* Has the certificate of e, which has its key, made elsewhere; NULL: the station makes it. */
    bool (*issue)(void *context, entity *e, struct error *err);
    void *context;
};

/* *adopted: the certificate is that of an earlier run. RC_USAGE when the name is taken, in the
 * folders or in the ledger; RC_INTERNAL when files cannot be written. */
bool batch_row_make(const struct batch *b, entity *e, const struct batch_bench *bench,
                    bool *adopted, struct error *err) MUST_CHECK;

#endif
