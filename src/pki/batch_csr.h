/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_csr.h: the CSRs of a batch. Each is read once, so that what is checked here is what is
 * certified, and its key is to be one device's alone, and not known to others.
 *
 *     struct batch_csr csr;
 *     if (!batch_csr_open(&csr, b, err) || !batch_csr_read(&csr, &row, err)) ...
 *     if (!row.fault)
 *         hand_out(&row, buffer_span(csr.text));
 */
#ifndef OTRP_PKI_BATCH_CSR_H
#define OTRP_PKI_BATCH_CSR_H

#include "pki/batch.h"
#include "pki/key_index.h"

#define BATCH_CSR_BYTES (32u << 10) /* most of one */

struct batch_csr {
    const struct batch *batch;
    key_index *keys; /* by number of the row that has a key first */
    bool keys_ready; /* those that are compromised are among them */
    buffer *text;    /* of the last row that was read; of no bytes without a CSR */
    struct error fault;
};

/* batch_csr_close is needed also after a failure. */
bool batch_csr_open(struct batch_csr *c, const struct batch *b, struct error *err) MUST_CHECK;
void batch_csr_close(struct batch_csr *c);

/* Reads the CSR of a row into c->text. What is wrong with it becomes the row's fault, which c keeps
 * until the next one: that it cannot be read, that an earlier row has its key, or that this is
 * compromised. Errors are those of certs_compromised. */
bool batch_csr_read(struct batch_csr *c, struct manifest_row *row, struct error *err) MUST_CHECK;

#endif
