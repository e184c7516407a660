/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h: a manifest that is worked through: the order, the station where the certificates are
 * made, the journal that becomes the result, and what the ledgers knew when it began.
 *
 *     struct batch b;
 *     if (batch_open(&b, &station, &order, err)) ...
 *     batch_close(&b);
 *
 * One process reads rows and hands them to workers, processes of its own (threads of OpenSSL 3.0
 * wait for one another), and enters what they have made in the ledgers and in the result, in the
 * order of the rows and many at a time. A worker's life is batch_worker.h and what it does for a
 * row batch_row.h; they talk in the frames of batch_channel.h. What is entered becomes durable by
 * batch_commit.h; batch_earlier.h knows what an earlier run has done, and batch_csr.h reads CSRs.
 *
 * The order that a kill at any moment respects: a row's files (the certificate as the last), then
 * all of a group's files made durable, then its rows in the ledger, then those in the result. So
 * what the result says is true, and a row that is not in it is done again; when its files are there
 * already, they are taken up. A row's certificate is in the ledger before anyone is told of it.
 */
#ifndef OTRP_PKI_BATCH_H
#define OTRP_PKI_BATCH_H

#include <time.h>

#include "pki/journal.h"
#include "pki/ledger_filter.h"
#include "pki/manifest.h"
#include "pki/station.h"

struct batch_order {
    const char *manifest;
    const char *role, *alg; /* of rows that do not say; or NULL */
    long days, jobs;        /* 0: the template's; one a core */
    bool resume;
    bool token; /* the CA's key is in a token: one process signs */
};

struct batch {
    struct station *station;
    const struct batch_order *order;
    char *manifest_folder; /* where a CSR may be, too */
    journal *journal;
    ledger_filter *known[ROLE_COUNT];
    struct timespec begun, resumed; /* what was made between these may be taken up */
};

/* The station has the CAs that the manifest needs, with their keys. batch_close is needed also
 * after a failure. Errors are those of journal_open and ledger_filter_load. */
bool batch_open(struct batch *b, struct station *station, const struct batch_order *order,
                struct error *err) MUST_CHECK;
void batch_close(struct batch *b);

/* A row as it is handed out: its columns, and what is in its CSR. */
struct batch_row {
    const char *text[MANIFEST_COLUMNS];
    struct span csr;
};

/* The entity that a row asks for, the order's words where the row has none. As entity_read. */
entity *batch_read_row(const struct batch *b, const struct batch_row *row,
                       struct error *err) MUST_CHECK;

/* A row, packed: each column with its NUL, then the CSR. The unpacked one borrows from packed. */
void batch_row_pack(buffer *out, const struct batch_row *row);
struct batch_row batch_row_unpack(struct span packed);

#endif
