/* SPDX-License-Identifier: Apache-2.0 */
/* Local questions to a device: GetTAInformation, the bytes of a TA. */
#include "sim/tee.h"

#include <stdio.h>
#include <string.h>

#include "jose/jwk.h"
#include "jose/jws.h"
#include "otrp/response.h"
#include "pki/x5c.h"
#include "sim/tee_command.h"
#include "util/file.h"

static const char found_ta[] = "SELECT ta.id, sd.tamid, sd.spid, ta.signer, ta.tam_chain, ta.code, "
                               "ta.pdata FROM ta JOIN sd ON sd.id = ta.sd"
                               " WHERE sd.device = ?1 AND ta.taid = ?2 AND (?3 IS NULL OR sd.spid "
                               "= ?3) AND (?4 IS NULL OR sd.tamid = ?4)"
                               " AND (?5 IS NULL OR sd.name = ?5) LIMIT 2";

/* The certificates of a PEM text. */
static json_t *certs_json(struct span pem, struct error *err)
{
    AUTO(X509_stack) *certs = cert_parse(pem, "stored certificates", err);
    return certs ? x5c_from_certs(certs, 0, err) : NULL;
}

static json_t *information(sqlite3_stmt *row, const char *taid, const char *nonce,
                           struct error *err)
{
    AUTO(json_t) *signers = certs_json(sql_blob(row, 3), err);
    AUTO(json_t) *tam = signers ? certs_json(sql_blob(row, 4), err) : NULL;
    if (!tam)
        return NULL;
    AUTO(json_t) *signer = json_incref(json_array_get(signers, 0));
    AUTO(json_t) *tam_cert = json_incref(json_array_get(tam, 0));
    json_array_remove(signers, 0);
    json_array_remove(tam, 0);
    return json_pack("{s:{s:s, s:s, s:s, s:s*, s:O, s:O, s:O, s:O}}", "TAInformationTBS", "taid",
                     taid, "tamid", (const char *)sqlite->column_text(row, 1), "spid",
                     (const char *)sqlite->column_text(row, 2), "nonce", nonce, "signercert",
                     signer, "signercacerts", signers, "tamcert", tam_cert, "tamcacerts", tam);
}

/* Signed by the SP AIK, whose public half stands in the header. */
static buffer *sign_information(device *dev, sqlite3_stmt *row, const json_t *tbs,
                                struct error *err)
{
    AUTO(key) *aik = device_aik(dev, (const char *)sqlite->column_text(row, 1),
                                (const char *)sqlite->column_text(row, 2), err);
    AUTO(json_t) *jwk = aik ? jwk_from_key(aik, KEY_PUBLIC, err) : NULL;
    AUTO(json_t) *header = jwk ? json_pack("{s:O}", "signer", jwk) : NULL;
    AUTO(buffer) *payload = header ? json_compact(tbs) : NULL;
    if (!payload)
        return NULL;
    key *keys[] = {aik};
    AUTO(buffer) *signed_ = jws_sign(&(struct jws_how){.keys = keys, .count = 1, .header = header},
                                     buffer_span(payload), err);
    AUTO(buffer) *out = signed_ ? buffer_new(signed_->size + 40) : NULL;
    if (!out)
        return NULL;
    buffer_put_text(out, "{\"TAInformation\":");
    buffer_put_span(out, buffer_span(signed_));
    buffer_put_char(out, '}');
    return TAKE(out);
}

static const char *query_text(const json_t *query, const char *name)
{
    return json_string_value(json_object_get(query, name));
}

static bool query_is_sound(const json_t *json, struct error *err)
{
    static const char *const known[] = {"spid", "taid", "nonce", "tamid"};
    const json_t *query = json_object_get(json, "TAQuery");
    const char *name;
    json_t *value;
    if (!json_is_object(query) || json_object_size(json) != 1)
        return error_set(err, RC_MALFORMED, "query: not an object with TAQuery as its one member");
    json_object_foreach ((json_t *)query, name, value) {
        size_t i = 0;
        while (i < COUNT(known) && strcmp(known[i], name) != 0)
            i++;
        if (i == COUNT(known) || !json_is_string(value))
            return error_set(err, RC_MALFORMED, "TAQuery.%.40s: %s", name,
                             i == COUNT(known) ? "unknown member" : "not a string");
    }
    for (size_t i = 0; i < 2; i++)
        if (!query_text(query, known[i]))
            return error_set(err, RC_MALFORMED, "TAQuery.%s: missing", known[i]);
    return true;
}

buffer *tee_query(device *dev, struct span text, enum error_code_id *code, struct error *err)
{
    *code = ERR_NONE;
    AUTO(json_t) *json = json_load_span(text, "query", err);
    if (!json || !query_is_sound(json, err))
        return NULL;
    const json_t *query = json_object_get(json, "TAQuery");
    const char *taid = query_text(query, "taid");
    AUTO(sqlite3_stmt) *row = sql_query(dev->db, err, found_ta, "itttt", dev->id, taid,
                                        query_text(query, "spid"), query_text(query, "tamid"),
                                        NULL);
    bool more;
    if (!row || !sql_next(dev->db, row, &more, err))
        return NULL;
    if (!more)
        *code = ERR_TA_NOT_FOUND;
    AUTO(json_t) *tbs = more ? information(row, taid, query_text(query, "nonce"), err) : NULL;
    AUTO(buffer) *answer = tbs ? sign_information(dev, row, tbs, err) : NULL;
    if (more && (!answer || !sql_next(dev->db, row, &more, err)))
        return NULL;
    if (more)
        *code = ERR_REQUEST_INVALID; /* several TAs fit */
    return *code == ERR_NONE ? TAKE(answer) : broker_error_make("", "", *code);
}

buffer *tee_export_ta(device *dev, const char *tamid, const char *spid, const char *sdname,
                      const char *taid, bool pdata, struct error *err)
{
    AUTO(sqlite3_stmt) *row = sql_query(dev->db, err, found_ta, "itttt", dev->id, taid, spid, tamid,
                                        sdname);
    bool more;
    char label[64];
    if (!row || !sql_next(dev->db, row, &more, err))
        return NULL;
    if (!more || sqlite->column_type(row, pdata ? 6 : 5) == SQLITE_NULL) {
        error_set(err, RC_USAGE,
                  more ? "the TA \"%s\" has no personalisation data" : "no TA \"%s\" is installed",
                  taid);
        error_hint(err, "'otrp tee-sim show' lists what the device holds");
        return NULL;
    }
    ta_label(sqlite->column_int64(row, 0), pdata ? "pdata" : "code", label);
    AUTO(buffer) *bytes = unseal(dev->fuse, label, sql_blob(row, pdata ? 6 : 5), err);
    if (!bytes || !sql_next(dev->db, row, &more, err))
        return NULL;
    if (!more)
        return TAKE(bytes);
    error_set(err, RC_USAGE, "several TAs \"%s\" are installed", taid);
    error_hint(err, "say which with --spid, --sdname or --tamid");
    return NULL;
}
