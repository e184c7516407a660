/* SPDX-License-Identifier: Apache-2.0 */
/* Local questions to a device: GetTAInformation, the bytes of a TA, an SP AIK. */
#include "sim/tee.h"

#include <stdio.h>
#include <string.h>

#include "jose/jwk.h"
#include "otrp/dsi.h"
#include "otrp/response.h"
#include "otrp/ta_information.h"
#include "sim/tee_command.h"

static const char found_ta[] = "SELECT ta.id, sd.tamid, sd.spid, ta.signer, ta.tam_chain, ta.code, "
                               "ta.pdata FROM ta JOIN sd ON sd.id = ta.sd"
                               " WHERE sd.device = ?1 AND ta.taid = ?2 AND (?3 IS NULL OR sd.spid "
                               "= ?3) AND (?4 IS NULL OR sd.tamid = ?4)"
                               " AND (?5 IS NULL OR sd.name = ?5) LIMIT 2";

/* What the row tells, signed by the AIK of its SP. */
static buffer *information(device *dev, sqlite3_stmt *row, const char *taid, const char *nonce,
                           struct error *err)
{
    const char *tamid = (const char *)sqlite->column_text(row, 1);
    const char *spid = (const char *)sqlite->column_text(row, 2);
    AUTO(X509_stack) *signer = cert_parse(sql_blob(row, 3), "stored certificates", err);
    AUTO(X509_stack) *tam = signer ? cert_parse(sql_blob(row, 4), "stored certificates", err)
                                   : NULL;
    AUTO(key) *aik = tam ? device_aik(dev, tamid, spid, err) : NULL;
    return aik ? ta_information_make(
                     &(struct ta_information){taid, tamid, spid, nonce, signer, tam}, aik, err)
               : NULL;
}

static const char *query_text(const json_t *query, const char *name)
{
    return json_string_value(json_object_get(query, name));
}

buffer *tee_query(device *dev, struct span text, enum error_code_id *code, struct error *err)
{
    *code = ERR_NONE;
    AUTO(json_t) *query = ta_query_read(text, err);
    if (!query && err->rc == RC_OK)
        error_set(err, RC_MALFORMED, "query: not an object with TAQuery as its one member");
    if (!query)
        return NULL;
    const char *taid = query_text(query, "taid");
    AUTO(sqlite3_stmt) *row = sql_query(dev->db, err, found_ta, "itttt", dev->id, taid,
                                        query_text(query, "spid"), query_text(query, "tamid"),
                                        NULL);
    bool more;
    if (!row || !sql_next(dev->db, row, &more, err))
        return NULL;
    if (!more)
        *code = ERR_TA_NOT_FOUND;
    AUTO(buffer) *answer = more ? information(dev, row, taid, query_text(query, "nonce"), err)
                                : NULL;
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

json_t *tee_export_aik(device *dev, const char *tamid, const char *spid, struct error *err)
{
    AUTO(sqlite3_stmt) *row = sql_query(
        dev->db, err,
        "SELECT spaik FROM aik WHERE device = ?1 AND (?2 IS NULL OR tamid = ?2)"
        " AND (?3 IS NULL OR spid = ?3) LIMIT 2",
        "itt", dev->id, tamid, spid);
    bool more;
    if (!row || !sql_next(dev->db, row, &more, err))
        return NULL;
    if (!more) {
        error_set(err, RC_USAGE, "the device \"%s\" has no such SP AIK", dev->name);
        error_hint(err, "'otrp tee-sim show' lists what the device holds");
        return NULL;
    }
    AUTO(key) *aik = spaik_decode((const char *)sqlite->column_text(row, 0), "spaik", err);
    AUTO(json_t) *jwk = aik ? jwk_from_key(aik, KEY_PUBLIC, err) : NULL;
    if (!jwk || !sql_next(dev->db, row, &more, err))
        return NULL;
    if (!more)
        return TAKE(jwk);
    error_set(err, RC_USAGE, "the device \"%s\" has several SP AIKs", dev->name);
    error_hint(err, "say which with --spid or --tamid");
    return NULL;
}
