/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_earlier.h: what an earlier run of a batch has done, for the run that resumes it: rows that
 * are in the journal stay as they are, and certificates of which nobody was told are taken up.
 *
 *     struct batch_earlier earlier;
 *     if (!batch_earlier_open(&earlier, b, err) ||
 *         !batch_earlier_has(&earlier, row.number, row.text, &kept, err)) ...
 */
#ifndef OTRP_PKI_BATCH_EARLIER_H
#define OTRP_PKI_BATCH_EARLIER_H

#include "pki/batch.h"
#include "pki/issued.h"
#include "pki/result.h"

struct batch_earlier {
    const struct batch *batch;
    csv *table; /* what the journal had, in step with the manifest; NULL: nothing */
    size_t left;
    struct csv_record row;
    bool ready;
    struct issued settled; /* what becomes of the row in the result, without being made */
    char message[1200];
    uint64_t *adopted; /* hashes of serial numbers */
    size_t adopted_count;
};

/* batch_earlier_close is needed also after a failure. RC_MALFORMED for a journal that is none. */
bool batch_earlier_open(struct batch_earlier *e, const struct batch *b,
                        struct error *err) MUST_CHECK;
void batch_earlier_close(struct batch_earlier *e);

enum batch_earlier_row {
    EARLIER_NONE, /* it is to be made; also when what was issued has been revoked, and is gone */
    EARLIER_KEPT, /* it was issued, and its files are there */
    /* It was issued, and its files are gone or changed, or it has been revoked: that fails, as
     * nobody is to get a second certificate unasked. Or the files of such a row are there again.
     * e->settled until the next call. */
    EARLIER_SETTLED
};

/* What an earlier run has made of a row of the manifest. Rows are asked for in their order.
 * RC_USAGE when it was another row there. */
bool batch_earlier_has(struct batch_earlier *e, size_t number,
                       const char *const text[MANIFEST_COLUMNS], enum batch_earlier_row *what,
                       struct error *err) MUST_CHECK;

/* Takes up a certificate that an earlier run has made, by its entry for the ledger: once, and
 * *in_ledger unless it is to be put there. False for a second row of that name, which has found the
 * first one's certificate. */
bool batch_earlier_adopt(struct batch_earlier *e, enum pki_role role, const buffer *entry,
                         bool *in_ledger) MUST_CHECK;

#endif
