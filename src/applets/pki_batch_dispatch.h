/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_batch_dispatch.h: hands out the rows of a batch to its crew, and enters what they report in
 * the order of the rows, whoever was faster. SIGINT, SIGTERM and SIGHUP end it early: the rows that
 * are being made are still entered.
 *
 *     struct dispatched how;
 *     if (dispatch(&batch, quiet, &how, err)) ...
 */
#ifndef OTRP_APPLETS_PKI_BATCH_DISPATCH_H
#define OTRP_APPLETS_PKI_BATCH_DISPATCH_H

#include "pki/batch.h"

/* How it went: rows of the manifest, those done by this run, and of these those that failed; those
 * that an earlier run did. */
struct dispatched {
    size_t total, done, failed, kept;
    bool interrupted, broken; /* broken: nothing could go on, such as on a full disk; as err says */
};

/* False when it could not begin. quiet: progress is not shown. */
bool dispatch(const struct batch *b, bool quiet, struct dispatched *how,
              struct error *err) MUST_CHECK;

#endif
