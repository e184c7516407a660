/* SPDX-License-Identifier: Apache-2.0 */
/* Local questions to a device: GetTAInformation, the bytes of a TA, the report of a state folder.
 */
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

/* ---- the report ---- */

static json_t *column_json(sqlite3_stmt *row, int column)
{
    switch (sqlite->column_type(row, column)) {
    case SQLITE_INTEGER:
        return json_integer(sqlite->column_int64(row, column));
    case SQLITE_NULL:
        return json_null();
    case SQLITE_BLOB:
        return json_base64(sql_blob(row, column));
    default:
        return json_string((const char *)sqlite->column_text(row, column));
    }
}

/* The rows of a query about one parent row, as objects whose members are the columns. */
static json_t *rows_json(sqlite3 *db, const char *query, long long parent, struct error *err)
{
    AUTO(json_t) *list = json_array();
    AUTO(sqlite3_stmt) *rows = sql_query(db, err, query, "i", parent);
    bool more = true;
    while (rows && more) {
        if (!sql_next(db, rows, &more, err))
            return NULL;
        json_t *object = more ? json_object() : NULL;
        for (int i = 0; more && i < sqlite->column_count(rows); i++)
            json_object_set_new(object, sqlite->column_name(rows, i), column_json(rows, i));
        if (more)
            json_array_append_new(list, object);
    }
    return rows ? TAKE(list) : NULL;
}

/* The first column of the rows, as an array. */
static json_t *column_list(sqlite3 *db, const char *query, long long parent, struct error *err)
{
    AUTO(json_t) *list = json_array();
    AUTO(sqlite3_stmt) *rows = sql_query(db, err, query, "i", parent);
    bool more = true;
    while (rows && more) {
        if (!sql_next(db, rows, &more, err))
            return NULL;
        if (more)
            json_array_append_new(list, column_json(rows, 0));
    }
    return rows ? TAKE(list) : NULL;
}

static json_t *sds_json(device *dev, struct error *err)
{
    AUTO(json_t) *sds = rows_json(
        dev->db, "SELECT id, tamid, spid, name FROM sd WHERE device = ? ORDER BY tamid, spid, name",
        dev->id, err);
    for (size_t i = 0; i < json_array_size(sds); i++) {
        json_t *sd = json_array_get(sds, i);
        long long id = json_integer_value(json_object_get(sd, "id"));
        json_t *certs = column_list(
            dev->db, "SELECT sha256 FROM sd_cert WHERE sd = ? ORDER BY sha256", id, err);
        json_t *tas = rows_json(
            dev->db, "SELECT taid, taname, version, size FROM ta WHERE sd = ? ORDER BY taid", id,
            err);
        if (!certs || !tas)
            return NULL;
        json_object_del(sd, "id");
        json_object_set_new(sd, "spcerts", certs);
        json_object_set_new(sd, "tas", tas);
    }
    return TAKE(sds);
}

static json_t *one_report(device *dev, struct error *err)
{
    AUTO(json_t) *sds = sds_json(dev, err);
    AUTO(json_t) *aiks =
        sds ? rows_json(dev->db,
                        "SELECT tamid, spid FROM aik WHERE device = ? ORDER BY tamid, spid",
                        dev->id, err)
            : NULL;
    AUTO(json_t) *tams =
        aiks
            ? rows_json(
                  dev->db,
                  "SELECT tamid, session_tid AS tid, dsi_hash AS dsihash, changed,"
                  " (SELECT count(*) FROM replay WHERE replay.device = tam.device AND"
                  " replay.tamid = tam.tamid) AS requests FROM tam WHERE device = ? ORDER BY tamid",
                  dev->id, err)
            : NULL;
    if (!tams)
        return NULL;
    for (size_t i = 0; i < json_array_size(tams); i++) {
        json_t *changed = json_object_get(json_array_get(tams, i), "changed");
        json_object_set_new(json_array_get(tams, i), "changed",
                            json_boolean(json_integer_value(changed)));
    }
    char described[40];
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:O, s:O, s:O}", "name", dev->name, "version",
                     dev->version, "did", dev->did, "key", key_describe(dev->tee_key, described),
                     "tfw", dev->tfw_key != NULL, "sds", sds, "aiks", aiks, "tams", tams);
}

json_t *device_report(const char *dir, const char *name, struct error *err)
{
    AUTO(json_t) *names = device_names(dir, err);
    AUTO(json_t) *reports = names ? json_array() : NULL;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *own = json_string_value(json_array_get(names, i));
        if (name && strcmp(name, own) != 0)
            continue;
        AUTO(device) *dev = device_open(dir, own, err);
        json_t *report = dev ? one_report(dev, err) : NULL;
        if (!report)
            return NULL;
        json_array_append_new(reports, report);
    }
    if (names && json_array_size(reports) == 0) {
        error_set(err, RC_USAGE, "%s: no device%s%s", dir, name ? " named " : "", name ? name : "");
        return NULL;
    }
    return reports ? json_pack("{s:O}", "devices", reports) : NULL;
}
