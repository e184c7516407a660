/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/batch_earlier.h"

#include <stdio.h>
#include <string.h>

#include "util/text_hash.h"

/* The next record of what the journal had. */
static bool earlier_next(struct batch_earlier *e, struct error *err)
{
    e->ready = false;
    if (!e->table || !e->left)
        return true;
    if (csv_next(e->table, &e->row, err) == CSV_FAILED)
        return false;
    e->left--;
    if (e->row.count != RESULT_FIELDS)
        return error_set(err, RC_MALFORMED, "%s: line %zu: not a row of a result",
                         journal_path(e->batch->journal), e->row.line);
    e->ready = true;
    return true;
}

bool batch_earlier_open(struct batch_earlier *e, const struct batch *b, struct error *err)
{
    *e = (struct batch_earlier){.batch = b};
    const char *path = journal_path(e->batch->journal);
    e->left = journal_lines(e->batch->journal);
    if (!e->left)
        return true;
    struct csv_record header;
    e->table = csv_open(path, err);
    return e->table && csv_next(e->table, &header, err) == CSV_RECORD && earlier_next(e, err);
}

void batch_earlier_close(struct batch_earlier *e)
{
    csv_free(e->table);
    free(e->adopted);
}

/* The row anew, as issued or as failed. Of a failed row only one whose files went has a serial
 * number. */
static void settle(struct batch_earlier *e, size_t number, const char *message)
{
    const char *const *fields = e->row.fields;
    e->settled = (struct issued){.row = number,
                                 .role = fields[RESULT_ROLE],
                                 .name = fields[RESULT_NAME],
                                 .serial = fields[RESULT_SERIAL],
                                 .sha256 = fields[RESULT_SHA256],
                                 .did = fields[RESULT_DID],
                                 .cert = fields[RESULT_CERT],
                                 .key = fields[RESULT_KEY],
                                 .status = message ? ISSUED_FAILED : ISSUED_GOOD,
                                 .message = message};
}

static bool is_revoked(const struct batch_earlier *e)
{
    enum pki_role role;
    return role_find(e->row.fields[RESULT_ROLE], &role) && e->batch->known[role] &&
           ledger_filter_has_revoked(e->batch->known[role], e->row.fields[RESULT_SERIAL]);
}

/* *kept gets the certificate of a row that is issued, with its file there; the caller's. */
static enum batch_earlier_row judge(struct batch_earlier *e, size_t number, X509_stack **kept)
{
    const struct station *s = e->batch->station;
    char why[640];
    bool issued = result_is_issued(&e->row);
    if (!issued && !*e->row.fields[RESULT_SERIAL])
        return EARLIER_NONE;
    enum result_state state = result_judge(s->out ? s->out : s->pki, e->row.fields, kept, why);
    bool revoked = is_revoked(e);
    if (revoked && state == RESULT_GONE)
        return EARLIER_NONE;
    if (state == RESULT_SOUND && !revoked) {
        settle(e, number, NULL);
        return issued ? EARLIER_KEPT : EARLIER_SETTLED;
    }
    if (revoked)
        snprintf(e->message, sizeof e->message,
                 "issued before, and revoked since: move %.640s and its key away, and --resume "
                 "issues another",
                 e->row.fields[RESULT_CERT]);
    else
        snprintf(
            e->message, sizeof e->message,
            "issued before, but %s: restore it, or revoke the certificate (pki-revoke --serial "
            "%.80s)",
            why, e->row.fields[RESULT_SERIAL]);
    settle(e, number, e->message);
    return EARLIER_SETTLED;
}

/* Whether the row's certificate has a key of the kind that the manifest asks for; of a CSR the key
 * is the applicant's. */
static bool check_alg(const struct batch_earlier *e, const X509 *cert,
                      const char *const text[MANIFEST_COLUMNS], struct error *err)
{
    const char *given = *text[MANIFEST_ALG] ? text[MANIFEST_ALG] : e->batch->order->alg;
    const char *wanted = given ? given : key_alg_name(KEY_ALG_USUAL);
    enum key_alg alg;
    if (*text[MANIFEST_CSR] || !key_alg_of(X509_get0_pubkey(cert), &alg) ||
        strcmp(key_alg_name(alg), wanted) == 0)
        return true;
    error_set(err, RC_USAGE, "%s: row %s, %s '%s', has a key of %s there, and is to have %s in %s",
              journal_path(e->batch->journal), e->row.fields[RESULT_ROW],
              e->row.fields[RESULT_ROLE], e->row.fields[RESULT_NAME], key_alg_name(alg), wanted,
              e->batch->order->manifest);
    return error_hint(err, "a batch is resumed with the manifest and --alg that it was begun with; "
                           "a key that --renew made since goes into the manifest");
}

bool batch_earlier_has(struct batch_earlier *e, size_t number,
                       const char *const text[MANIFEST_COLUMNS], enum batch_earlier_row *what,
                       struct error *err)
{
    *what = EARLIER_NONE;
    while (e->ready && strtoul(e->row.fields[RESULT_ROW], NULL, 10) < number)
        if (!earlier_next(e, err))
            return false;
    const char *const *fields = e->row.fields;
    if (!e->ready || strtoul(fields[RESULT_ROW], NULL, 10) != number)
        return true;
    X509_stack *kept = NULL;
    *what = judge(e, number, &kept);
    AUTO(X509_stack) *certs = kept;
    if (*what == EARLIER_NONE || (strcmp(fields[RESULT_ROLE], text[MANIFEST_ROLE]) == 0 &&
                                  strcmp(fields[RESULT_NAME], text[MANIFEST_NAME]) == 0))
        return !certs || check_alg(e, sk_X509_value(certs, 0), text, err);
    error_set(err, RC_USAGE, "%s: row %zu was %s '%s' there, and is %s '%s' in %s",
              journal_path(e->batch->journal), number, fields[RESULT_ROLE], fields[RESULT_NAME],
              text[MANIFEST_ROLE], text[MANIFEST_NAME], e->batch->order->manifest);
    return error_hint(err, "a batch is resumed with the manifest that it was begun with");
}

bool batch_earlier_adopt(struct batch_earlier *e, enum pki_role role, const buffer *entry,
                         bool *in_ledger)
{
    AUTO(buffer) *serial = buffer_new(64);
    const char *start = (const char *)entry->data;
    for (int tabs = 0; *start && tabs < 3; start++)
        tabs += *start == '\t';
    if (!serial)
        return false;
    buffer_put(serial, start, strcspn(start, "\t"));
    const char *text = (const char *)serial->data;
    uint64_t h = text_hash(TEXT_HASH_START, text);
    for (size_t i = 0; i < e->adopted_count; i++)
        if (e->adopted[i] == h)
            return false;
    *in_ledger = ledger_filter_has_serial(e->batch->known[role], text);
    if (*in_ledger && file_has_line(journal_path(e->batch->journal), text))
        return false;
    uint64_t *list = realloc(e->adopted, (e->adopted_count + 1) * sizeof *list);
    if (!list)
        return false;
    e->adopted = list;
    list[e->adopted_count++] = h;
    return true;
}
