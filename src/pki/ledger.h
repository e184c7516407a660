/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.h: what a CA has issued and revoked, in the index.txt format of OpenSSL, so that "openssl
 * ca" and "openssl ocsp" work on it too. Beside it stands a file of the same name with ".attr".
 *
 *     AUTO(ledger) *l = ledger_new(err);
 *     if (!l || !ledger_add(l, cert, err)) ...
 *     AUTO(buffer) *text = ledger_text(l, err);
 */
#ifndef OTRP_PKI_LEDGER_H
#define OTRP_PKI_LEDGER_H

#include "pki/cert.h"

/* The content of the ".attr" file: a renewed certificate has the subject of the old one. */
#define LEDGER_ATTRIBUTES "unique_subject = no\n"

typedef struct ledger ledger;

/* An empty one, and one from a file (RC_USAGE when it cannot be read, RC_MALFORMED with the line at
 * fault). */
ledger *ledger_new(struct error *err) MUST_CHECK;
ledger *ledger_load(const char *path, struct error *err) MUST_CHECK;
void ledger_free(ledger *l);

/* Enters a certificate as valid. */
bool ledger_add(ledger *l, const X509 *cert, struct error *err) MUST_CHECK;

/* The file's content, owned by the caller. */
buffer *ledger_text(const ledger *l, struct error *err) MUST_CHECK;

struct ledger_entry {
    bool known; /* the ledger has the serial number */
    bool revoked;
    time_t revoked_at;
    int reason; /* CRLReason, or -1 when the ledger does not say */
};

/* What the ledger says of a certificate of its CA. RC_MALFORMED when its row cannot be understood.
 */
bool ledger_find(const ledger *l, const X509 *cert, struct ledger_entry *entry,
                 struct error *err) MUST_CHECK;

AUTO_DEFINE(ledger, ledger_free)

#endif
