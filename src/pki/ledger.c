/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/ledger.h"

#include <string.h>

#include <openssl/err.h>

#include "pki/asn1.h"
#include "util/file.h"
#include "util/limits.h"
#include "util/openssl_error.h"

/* The columns of a row, as in openssl-ca(1). */
enum column {
    COLUMN_TYPE,
    COLUMN_EXPIRY,
    COLUMN_REVOKED,
    COLUMN_SERIAL,
    COLUMN_FILE,
    COLUMN_NAME,
    COLUMN_COUNT
};

struct ledger {
    TXT_DB *db;
    char *path; /* for messages */
};

static ledger *ledger_open(BIO *bio, const char *path, struct error *err)
{
    AUTO(ledger) *l = calloc(1, sizeof *l);
    if (!l || !(l->path = strdup(path))) {
        error_memory(err);
        return NULL;
    }
    l->db = TXT_DB_read(bio, COLUMN_COUNT);
    if (l->db)
        return TAKE(l);
    error_openssl(err, RC_MALFORMED, "%s: not an index of %d columns", path, COLUMN_COUNT);
    return NULL;
}

ledger *ledger_new(struct error *err)
{
    AUTO(BIO) *bio = BIO_new(BIO_s_mem());
    if (!bio) {
        error_memory(err);
        return NULL;
    }
    return ledger_open(bio, "new ledger", err);
}

ledger *ledger_load(const char *path, struct error *err)
{
    AUTO(buffer) *text = input_read(path, LIMIT_FILE_BYTES, err);
    if (!text)
        return NULL;
    AUTO(BIO) *bio = BIO_new_mem_buf(text->data, (int)text->size);
    if (!bio) {
        error_memory(err);
        return NULL;
    }
    return ledger_open(bio, path, err);
}

void ledger_free(ledger *l)
{
    if (!l)
        return;
    TXT_DB_free(l->db);
    free(l->path);
    free(l);
}

/* Upper-case hexadecimal of an even length, as OpenSSL writes and seeks it; OpenSSL's memory. */
static char *serial_text(const X509 *cert)
{
    AUTO(BIGNUM) *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    if (!number)
        return NULL;
    return BN_is_zero(number) ? OPENSSL_strdup("00") : BN_bn2hex(number);
}

bool ledger_add(ledger *l, const X509 *cert, struct error *err)
{
    const ASN1_TIME *expiry = X509_get0_notAfter(cert);
    char **row = OPENSSL_zalloc((COLUMN_COUNT + 1) * sizeof *row);
    if (!row)
        return error_memory(err);
    row[COLUMN_TYPE] = OPENSSL_strdup("V");
    row[COLUMN_EXPIRY] = OPENSSL_strndup((const char *)ASN1_STRING_get0_data(expiry),
                                         (size_t)ASN1_STRING_length(expiry));
    row[COLUMN_REVOKED] = OPENSSL_strdup("");
    row[COLUMN_SERIAL] = serial_text(cert);
    row[COLUMN_FILE] = OPENSSL_strdup("unknown");
    row[COLUMN_NAME] = X509_NAME_oneline(X509_get_subject_name(cert), NULL, 0);
    bool complete = true;
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        complete = complete && row[i];
    if (complete && TXT_DB_insert(l->db, row))
        return true;
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        OPENSSL_free(row[i]);
    OPENSSL_free(row);
    return error_memory(err);
}

buffer *ledger_text(const ledger *l, struct error *err)
{
    AUTO(BIO) *bio = BIO_new(BIO_s_mem());
    buffer *text = bio && TXT_DB_write(bio, l->db) >= 0 ? bio_text(bio, false) : NULL;
    if (!text)
        error_memory(err);
    return text;
}

/* OpenSSL's words for a reason in an index; each stands at its number in RFC 5280 section 5.3.1. */
static int reason_of(const char *word)
{
    static const char *const words[] = {
        "unspecified",  "keyCompromise",        "CACompromise",    "affiliationChanged",
        "superseded",   "cessationOfOperation", "certificateHold", NULL,
        "removeFromCRL"};
    static const struct {
        const char *word;
        int reason;
    } more[] = {{"holdInstruction", 6}, {"keyTime", 1}, {"CAkeyTime", 2}};
    for (size_t i = 0; i < COUNT(words); i++)
        if (words[i] && strcasecmp(word, words[i]) == 0)
            return (int)i;
    for (size_t i = 0; i < COUNT(more); i++)
        if (strcasecmp(word, more[i].word) == 0)
            return more[i].reason;
    return -1;
}

/* "260102030405Z,keyCompromise" or "260102030405Z,holdInstruction,OID". */
static bool read_revocation(const char *text, struct ledger_entry *entry)
{
    AUTO(char) *when = strdup(text);
    AUTO(ASN1_TIME) *time = ASN1_TIME_new();
    if (!when || !time)
        return false;
    char *reason = strchr(when, ',');
    if (reason)
        *reason++ = '\0';
    char *end = reason ? strchr(reason, ',') : NULL;
    if (end)
        *end = '\0';
    entry->revoked = true;
    entry->reason = reason ? reason_of(reason) : -1;
    return ASN1_TIME_set_string(time, when) == 1 && asn1_time_read(time, &entry->revoked_at);
}

bool ledger_find(const ledger *l, const X509 *cert, struct ledger_entry *entry, struct error *err)
{
    *entry = (struct ledger_entry){.reason = -1};
    char *serial = serial_text(cert);
    if (!serial)
        return error_memory(err);
    bool good = true;
    for (int i = 0; good && !entry->known && i < sk_OPENSSL_PSTRING_num(l->db->data); i++) {
        char **row = sk_OPENSSL_PSTRING_value(l->db->data, i);
        if (strcasecmp(row[COLUMN_SERIAL], serial) != 0)
            continue;
        entry->known = true;
        if (row[COLUMN_TYPE][0] == 'R' && !read_revocation(row[COLUMN_REVOKED], entry))
            good = error_set(err, RC_MALFORMED, "%s: row %d: '%s' is no time of revocation",
                             l->path, i + 1, row[COLUMN_REVOKED]);
    }
    OPENSSL_free(serial);
    return good;
}
