/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a state folder. Nothing is unsealed for it. */
#include "sim/device.h"

#include <unistd.h>

#include "jose/jwa.h"
#include "otrp/algorithm.h"
#include "sim/device_schema.h"
#include "sim/sql_read.h"
#include "util/file.h"

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

/* A row as an object whose members are the columns, or as the value of its only column. */
static json_t *row_object(sqlite3_stmt *row)
{
    json_t *object = json_object();
    for (int i = 0; i < sqlite->column_count(row); i++)
        json_object_set_new(object, sqlite->column_name(row, i), column_json(row, i));
    return object;
}

static json_t *row_value(sqlite3_stmt *row)
{
    return column_json(row, 0);
}

/* An array of the rows of a query about one parent row. */
static json_t *rows_json(sqlite3 *db, const char *query, long long parent,
                         json_t *(*row_json)(sqlite3_stmt *row), struct error *err)
{
    AUTO(json_t) *list = json_array();
    AUTO(sqlite3_stmt) *rows = sql_query(db, err, query, "i", parent);
    bool more = true;
    while (rows && more) {
        if (!sql_next(db, rows, &more, err))
            return NULL;
        if (more)
            json_array_append_new(list, row_json(rows));
    }
    return rows ? TAKE(list) : NULL;
}

/* Adds to an SD its certificates, its TAs, and the bytes of these. */
static bool complete_sd(sqlite3 *db, json_t *sd, struct error *err)
{
    long long id = json_integer_value(json_object_get(sd, "id"));
    json_int_t bytes = 0;
    size_t i;
    json_t *ta;
    AUTO(json_t) *certs = rows_json(db, "SELECT sha256 FROM sd_cert WHERE sd = ? ORDER BY sha256",
                                    id, row_value, err);
    AUTO(json_t) *tas = certs ? rows_json(db,
                                          "SELECT taid, taname, version, size FROM ta"
                                          " WHERE sd = ? ORDER BY taid",
                                          id, row_object, err)
                              : NULL;
    if (!tas)
        return false;
    json_array_foreach (tas, i, ta) {
        bytes += json_integer_value(json_object_get(ta, "size"));
    }
    json_object_del(sd, "id");
    AUTO(json_t) *more = json_pack("{s:I, s:O, s:O}", "bytes", bytes, "spcerts", certs, "tas", tas);
    return (more && json_object_update(sd, more) == 0) || error_memory(err);
}

static json_t *sds_json(sqlite3 *db, long long id, struct error *err)
{
    AUTO(json_t) *sds = rows_json(
        db, "SELECT id, tamid, spid, name FROM sd WHERE device = ? ORDER BY tamid, spid, name", id,
        row_object, err);
    size_t i;
    json_t *sd;
    json_array_foreach (sds, i, sd) {
        if (!complete_sd(db, sd, err))
            return NULL;
    }
    return TAKE(sds);
}

/* The algorithms that a device supports: those it was made with, or all of OTrP. */
static json_t *algorithms_json(sqlite3_stmt *row, int column, struct error *err)
{
    if (sqlite->column_type(row, column) != SQLITE_NULL)
        return json_load_span(sql_blob(row, column), "algorithms", err);
    json_t *list = json_array();
    for (size_t i = 0; i < jwa_count; i++)
        if (otrp_algorithm(&jwa_table[i]))
            json_array_append_new(list, json_string(jwa_table[i].name));
    return list;
}

/* What a device is: name, key and what it was made for. */
static json_t *identity_json(sqlite3_stmt *row, struct error *err)
{
    AUTO(X509_stack) *chain = cert_parse(sql_blob(row, 3), "TEE chain", err);
    AUTO(char) *did = chain ? cert_did(sk_X509_value(chain, 0), err) : NULL;
    AUTO(key) *k = did ? key_from_pkey(X509_get_pubkey(sk_X509_value(chain, 0)), false, "TEE", err)
                       : NULL;
    AUTO(json_t) *algorithms = k ? algorithms_json(row, 11, err) : NULL;
    char described[40];
    if (!algorithms)
        return NULL;
    json_t *report = json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:O, s:{s:I, s:I, s:I, s:I}}", "name",
        (const char *)sqlite->column_text(row, 1), "version",
        (const char *)sqlite->column_text(row, 2), "did", did, "key", key_describe(k, described),
        "tfw", sqlite->column_int(row, 4), "signerreq", sqlite->column_int(row, 5), "profile",
        (const char *)sqlite->column_text(row, 6), "algorithms", algorithms, "limits", "sds",
        (json_int_t)sqlite->column_int64(row, 7), "tas", (json_int_t)sqlite->column_int64(row, 8),
        "bytes", (json_int_t)sqlite->column_int64(row, 9), "requests",
        (json_int_t)sqlite->column_int64(row, 10));
    if (!report)
        error_memory(err);
    return report;
}

static json_t *tams_json(sqlite3 *db, long long id, struct error *err)
{
    json_t *tams = rows_json(db,
                             "SELECT tamid, session_tid AS tid, dsi_hash AS dsihash, changed,"
                             " requests FROM tam WHERE device = ? ORDER BY tamid",
                             id, row_object, err);
    size_t i;
    json_t *tam;
    json_array_foreach (tams, i, tam) {
        long long changed = json_integer_value(json_object_get(tam, "changed"));
        json_object_set_new(tam, "changed", json_boolean(changed));
    }
    return tams;
}

/* What its SDs take of the limits. */
static json_t *used_json(const json_t *sds)
{
    json_int_t tas = 0, bytes = 0;
    size_t i;
    json_t *sd;
    json_array_foreach (sds, i, sd) {
        tas += (json_int_t)json_array_size(json_object_get(sd, "tas"));
        bytes += json_integer_value(json_object_get(sd, "bytes"));
    }
    return json_pack("{s:I, s:I, s:I}", "sds", (json_int_t)json_array_size(sds), "tas", tas,
                     "bytes", bytes);
}

static json_t *one_report(sqlite3 *db, sqlite3_stmt *row, struct error *err)
{
    long long id = sqlite->column_int64(row, 0);
    AUTO(json_t) *report = identity_json(row, err);
    AUTO(json_t) *sds = report ? sds_json(db, id, err) : NULL;
    AUTO(json_t) *aiks =
        sds ? rows_json(db,
                        "SELECT tamid, spid, type FROM aik WHERE device = ? ORDER BY tamid, spid",
                        id, row_object, err)
            : NULL;
    AUTO(json_t) *tams = aiks ? tams_json(db, id, err) : NULL;
    if (!tams)
        return NULL;
    AUTO(json_t) *used = used_json(sds);
    AUTO(json_t) *more = json_pack("{s:O*, s:O, s:O, s:O}", "used", used, "sds", sds, "aiks", aiks,
                                   "tams", tams);
    if (more && json_object_update(report, more) == 0)
        return TAKE(report);
    error_memory(err);
    return NULL;
}

/* Within one transaction, so that it is of one moment. */
static json_t *read_folder(sqlite3 *db, const char *name, struct error *err)
{
    AUTO(json_t) *devices = json_array();
    AUTO(sqlite3_stmt) *rows = sql_query(
        db, err,
        "SELECT id, name, version, chain, tfw_key IS NOT NULL, signerreq, profile, max_sds,"
        " max_tas, max_bytes, max_replays, algorithms FROM device"
        " WHERE ?1 IS NULL OR name = ?1 ORDER BY id",
        "t", name);
    bool more = true;
    while (rows && more) {
        if (!sql_next(db, rows, &more, err))
            return NULL;
        json_t *report = more ? one_report(db, rows, err) : NULL;
        if (more && !report)
            return NULL;
        if (more)
            json_array_append_new(devices, report);
    }
    return rows ? TAKE(devices) : NULL;
}

/* All devices, or the one of that name. */
static json_t *read_whole(const char *dir, const char *name, struct error *err)
{
    sqlite3 *db = device_folder_open(dir, err);
    json_t *devices = db && sql_run(db, err, "BEGIN", "") ? read_folder(db, name, err) : NULL;
    sql_close(db);
    return devices;
}

/* The same of a folder in which one may only read. */
static json_t *read_only(const char *path, const char *name, struct error *err)
{
    struct sql_reading reading = {NULL};
    AUTO(json_t) *devices = sql_read_open(&reading, path, DEVICE_SCHEMA_VERSION, err) &&
                                    sql_run(reading.db, err, "BEGIN", "")
                                ? read_folder(reading.db, name, err)
                                : NULL;
    bool holds = devices && sql_read_holds(&reading, err);
    sql_read_close(&reading);
    return holds ? TAKE(devices) : NULL;
}

json_t *device_report(const char *dir, const char *name, struct error *err)
{
    AUTO(char) *path = path_join(dir, "state.db");
    if (!path) {
        error_memory(err);
        return NULL;
    }
    bool writable = access(path, W_OK) == 0 && access(dir, W_OK) == 0;
    AUTO(json_t) *devices = writable || !path_exists(path) ? read_whole(dir, name, err)
                                                           : read_only(path, name, err);
    if (devices && json_array_size(devices) == 0) {
        error_set(err, RC_USAGE, "%s: no device%s%s%s", dir, name ? " \"" : "", name ? name : "",
                  name ? "\"" : "");
        return NULL;
    }
    return devices ? json_pack("{s:O}", "devices", devices) : NULL;
}
