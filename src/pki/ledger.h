/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.h: what a CA has issued and revoked, in the index.txt format of OpenSSL, so that "openssl
 * ca" and "openssl ocsp" work on it too. Beside it stands a file of the same name with ".attr".
 *
 *     AUTO(ledger) *l = ledger_new(err);
 *     if (!l || !ledger_add(l, cert, "tee-device1-ec-cert.pem", err)) ...
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

/* Enters a certificate as valid; file is where it is, NULL: "unknown". */
bool ledger_add(ledger *l, const X509 *cert, const char *file, struct error *err) MUST_CHECK;

/* The file's content, owned by the caller. */
buffer *ledger_text(const ledger *l, struct error *err) MUST_CHECK;

/* What a row says of a certificate, but for where it is; OpenSSL's memory. */
struct ledger_facts {
    char *expiry, *serial, *subject;
};

/* False without memory. */
bool ledger_facts_of(const X509 *cert, struct ledger_facts *facts) MUST_CHECK;
void ledger_facts_free(struct ledger_facts *facts);

/*
 * Processes that write to a ledger at once wait for one another (ledger_lock.h). A row is durable
 * when the call that writes it returns; at a failure (RC_INTERNAL, such as a full disk) the file is
 * as it was.
 *
 * ledger_append adds rows that ledger_put_row or ledger_put_facts has made, without reading what is
 * there: its time does not grow with the ledger. ledger_edit is ledger_load, and keeps all others
 * out until ledger_free; ledger_save puts the changed ledger in place.
 */
bool ledger_put_facts(buffer *out, const struct ledger_facts *facts, const char *file,
                      struct error *err) MUST_CHECK;
bool ledger_put_row(buffer *out, const X509 *cert, const char *file, struct error *err) MUST_CHECK;
bool ledger_append(const char *path, struct span rows, struct error *err) MUST_CHECK;
ledger *ledger_edit(const char *path, struct error *err) MUST_CHECK;
bool ledger_save(ledger *l, struct error *err) MUST_CHECK;

struct ledger_entry {
    bool known; /* the ledger has the serial number */
    bool revoked;
    time_t revoked_at, expires_at;
    int reason;                          /* CRLReason, or -1 when the ledger does not say */
    const char *serial, *file, *subject; /* borrowed from the ledger; NULL when not known */
};

/* The rows from 0 to ledger_count - 1. RC_MALFORMED when one cannot be understood. */
size_t ledger_count(const ledger *l);
bool ledger_row(const ledger *l, size_t index, struct ledger_entry *entry,
                struct error *err) MUST_CHECK;

/* The common name in a row's subject, wherever it stands there; owned by the caller, NULL when it
 * has none. */
char *ledger_common_name(const struct ledger_entry *entry);

/* What the ledger says of a certificate of its CA. RC_MALFORMED when its row makes no sense. */
bool ledger_find(const ledger *l, const X509 *cert, struct ledger_entry *entry,
                 struct error *err) MUST_CHECK;

/* The row of a serial number in hexadecimal; ledger_count when there is none. */
size_t ledger_index(const ledger *l, const char *serial);
/* The serial number as in a row; owned by the caller, NULL without memory. */
char *ledger_serial(const X509 *cert);

/* Marks a row as revoked; a reason of removeFromCRL makes it valid again. */
bool ledger_revoke(ledger *l, size_t index, time_t at, int reason, struct error *err) MUST_CHECK;

/* "keyCompromise" and so on, as in an index and in RFC 5280 section 5.3.1, and their numbers; NULL
 * and -1 for others. */
const char *ledger_reason_name(int reason);
int ledger_reason(const char *word);

AUTO_DEFINE(ledger, ledger_free)

#endif
