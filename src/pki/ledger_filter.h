/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger_filter.h: whether a ledger knows a name or a serial number, in memory that does not grow
 * with the ledger: a Bloom filter says no, or that it is worth while to look into the file.
 *
 *     AUTO(ledger_filter) *filter = ledger_filter_load("index.txt", err);
 *     if (ledger_filter_has_subject(filter, "/CN=device1")) ...
 */
#ifndef OTRP_PKI_LEDGER_FILTER_H
#define OTRP_PKI_LEDGER_FILTER_H

#include "util/buffer.h"

typedef struct ledger_filter ledger_filter;

/* Of a ledger that need not exist yet. It is what the ledger holds now: rows that others add later
 * are not in it. */
ledger_filter *ledger_filter_load(const char *path, struct error *err) MUST_CHECK;
void ledger_filter_free(ledger_filter *filter);

/* Whether a certificate that is not revoked has that subject. */
bool ledger_filter_has_subject(const ledger_filter *filter, const char *subject);
/* Whether there is a row of that serial number, and one of a revoked certificate. Of what is
 * revoked later a filter that has the number knows nothing, either. */
bool ledger_filter_has_serial(const ledger_filter *filter, const char *serial);
bool ledger_filter_has_revoked(const ledger_filter *filter, const char *serial);

/* Whether a file has a line that holds text, looking through all of it. */
bool file_has_line(const char *path, const char *text);

AUTO_DEFINE(ledger_filter, ledger_filter_free)

#endif
