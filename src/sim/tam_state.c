/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tam_state.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "otrp/ta_package.h"
#include "sim/sql.h"
#include "util/clock.h"
#include "util/file.h"

/* A change here is a new TAM_SCHEMA_VERSION. */
#define TAM_SCHEMA_VERSION 1
#define TAM_SCHEMA                                                                                 \
    "CREATE TABLE device (id INTEGER PRIMARY KEY, tamid TEXT NOT NULL, did TEXT NOT NULL,"         \
    " name TEXT NOT NULL, version TEXT NOT NULL, holds TEXT NOT NULL, first_seen INTEGER NOT "     \
    "NULL, last_seen INTEGER NOT NULL, sessions INTEGER NOT NULL DEFAULT 0, well INTEGER,"         \
    " how TEXT, ended INTEGER);"                                                                   \
    "CREATE UNIQUE INDEX device_key ON device (tamid, did);"                                       \
    "CREATE TABLE sd_cert (device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,"           \
    " spid TEXT NOT NULL, sdname TEXT NOT NULL, sha256 TEXT NOT NULL,"                             \
    " PRIMARY KEY (device, spid, sdname, sha256)) WITHOUT ROWID;"                                  \
    "CREATE TABLE ta (device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,"                \
    " spid TEXT NOT NULL, sdname TEXT NOT NULL, taid TEXT NOT NULL, version INTEGER NOT NULL,"     \
    " sha256 TEXT NOT NULL, pdata_sha256 TEXT NOT NULL, unsure INTEGER NOT NULL,"                  \
    " PRIMARY KEY (device, spid, sdname, taid)) WITHOUT ROWID;"                                    \
    "CREATE TABLE aik (device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE,"               \
    " spid TEXT NOT NULL, spaik TEXT NOT NULL, made INTEGER NOT NULL,"                             \
    " PRIMARY KEY (device, spid)) WITHOUT ROWID;"

struct tam_state {
    sqlite3 *db;
    char *tamid;
    pthread_mutex_t lock; /* one transaction at a time */
};

void tam_state_free(tam_state *state)
{
    if (!state)
        return;
    sql_close(state->db);
    pthread_mutex_destroy(&state->lock);
    free(state->tamid);
    free(state);
}

static sqlite3 *open_folder(const char *dir, struct error *err)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        error_errno(err, RC_USAGE, "%s: cannot create", dir);
        return NULL;
    }
    AUTO(char) *path = path_join(dir, "tam.db");
    if (!path) {
        error_memory(err);
        return NULL;
    }
    return sql_open(path, true, TAM_SCHEMA, TAM_SCHEMA_VERSION, err);
}

tam_state *tam_state_open(const char *dir, const char *tamid, struct error *err)
{
    AUTO(tam_state) *state = calloc(1, sizeof *state);
    if (!state || !(state->tamid = strdup(tamid))) {
        error_memory(err);
        return NULL;
    }
    pthread_mutex_init(&state->lock, NULL);
    state->db = dir ? open_folder(dir, err)
                    : sql_open(SQL_IN_MEMORY, true, TAM_SCHEMA, TAM_SCHEMA_VERSION, err);
    return state->db ? TAKE(state) : NULL;
}

static bool begin(tam_state *state, struct error *err)
{
    pthread_mutex_lock(&state->lock);
    if (sql_run(state->db, err, "BEGIN IMMEDIATE", ""))
        return true;
    pthread_mutex_unlock(&state->lock);
    return false;
}

/* Ends the transaction, for good when all went well. */
static bool end(tam_state *state, bool well, struct error *err)
{
    struct error ignored;
    well = well && sql_run(state->db, err, "COMMIT", "");
    if (!well && !sql_run(state->db, &ignored, "ROLLBACK", ""))
        error_prefix(err, "state");
    pthread_mutex_unlock(&state->lock);
    return well;
}

static bool device_row(tam_state *state, const char *did, long long *row, struct error *err)
{
    return sql_number(state->db, row, 0, err, "SELECT id FROM device WHERE tamid = ? AND did = ?",
                      "tt", state->tamid, did);
}

/* ---- a visit ---- */

/* [{"spid","name","tas":[{"taid","name"}]}] */
static json_t *holdings(const dsi *device)
{
    json_t *sds = json_array();
    for (size_t i = 0; i < device->sd_count; i++) {
        const struct dsi_sd *sd = &device->sds[i];
        json_t *tas = json_array();
        for (size_t k = 0; k < sd->ta_count; k++)
            json_array_append_new(
                tas, json_pack("{s:s, s:s*}", "taid", sd->tas[k].taid, "name", sd->tas[k].taname));
        json_array_append_new(
            sds, json_pack("{s:s, s:s, s:o}", "spid", sd->spid, "name", sd->name, "tas", tas));
    }
    return sds;
}

static bool visit(tam_state *state, const dsi *device, time_t at, long long *row, struct error *err)
{
    AUTO(json_t) *sds = holdings(device);
    AUTO(buffer) *text = sds ? json_compact(sds) : NULL;
    if (!text)
        return error_memory(err);
    return sql_number(state->db, row, 0, err,
                      "INSERT INTO device (tamid, did, name, version, holds, first_seen, last_seen)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (tamid, did) DO UPDATE SET"
                      " name = ?3, version = ?4, holds = ?5, last_seen = ?6 RETURNING id",
                      "ttttti", state->tamid, device->did, device->tee_name,
                      device->tee_version ? device->tee_version : "", (const char *)text->data,
                      (long long)at);
}

tam_records *tam_state_read(tam_state *state, const dsi *device, time_t at, struct error *err)
{
    long long row;
    if (!begin(state, err))
        return NULL;
    AUTO(tam_records) *known = visit(state, device, at, &row, err)
                                   ? tam_records_read(state->db, row, err)
                                   : NULL;
    bool well = known && tam_records_fit(state->db, row, device, known, err);
    return end(state, well, err) ? TAKE(known) : NULL;
}

/* ---- what is done ---- */

static bool put_certs(tam_state *state, long long row, const struct tam_deed *d, struct error *err)
{
    for (size_t i = 0; i < json_array_size(d->del_certs); i++)
        if (!sql_run(state->db, err,
                     "DELETE FROM sd_cert WHERE device = ? AND spid = ? AND sdname = ? AND "
                     "sha256 = ?",
                     "ittt", row, d->spid, d->sdname,
                     json_string_value(json_array_get(d->del_certs, i))))
            return false;
    for (size_t i = 0; i < json_array_size(d->add_certs); i++)
        if (!sql_run(state->db, err, "INSERT OR IGNORE INTO sd_cert VALUES (?, ?, ?, ?)", "ittt",
                     row, d->spid, d->sdname, json_string_value(json_array_get(d->add_certs, i))))
            return false;
    return true;
}

static bool put_ta(tam_state *state, long long row, const struct tam_deed *d, bool unsure,
                   struct error *err)
{
    return sql_run(state->db, err, "INSERT OR REPLACE INTO ta VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                   "itttitti", row, d->spid, d->sdname, d->taid, d->ta->version, d->ta->sha256,
                   d->ta->pdata_sha256, (long long)unsure);
}

/* AIKs that the request has brought about are as old as it is. */
static bool put_aiks(tam_state *state, long long row, const struct tam_deed *d, struct error *err)
{
    for (size_t i = 0; d->after && i < d->after->aik_count; i++) {
        const struct dsi_aik *aik = &d->after->aiks[i];
        if (aik->spaik && !dsi_has_aik(d->before, aik->spid, aik->spaik) &&
            !sql_run(state->db, err, "INSERT OR REPLACE INTO aik VALUES (?, ?, ?, ?)", "itti", row,
                     aik->spid, aik->spaik, (long long)d->at))
            return false;
    }
    return true;
}

bool tam_state_sending_ta(tam_state *state, const struct tam_deed *d, struct error *err)
{
    long long row, known;
    if (!begin(state, err))
        return false;
    bool well = device_row(state, d->did, &row, err) &&
                sql_number(state->db, &known, 0, err,
                           "SELECT 1 FROM ta WHERE device = ? AND spid = ? AND sdname = ? AND "
                           "taid = ?",
                           "ittt", row, d->spid, d->sdname, d->taid);
    if (well && known)
        well = sql_run(state->db, err,
                       "UPDATE ta SET unsure = 1 WHERE device = ? AND spid = ? AND sdname = ? AND "
                       "taid = ?",
                       "ittt", row, d->spid, d->sdname, d->taid);
    else if (well)
        well = put_ta(state, row, d, true, err);
    return end(state, well, err);
}

bool tam_state_sending_sd(tam_state *state, const struct tam_deed *d, struct error *err)
{
    long long row;
    if (!begin(state, err))
        return false;
    return end(state, device_row(state, d->did, &row, err) && put_certs(state, row, d, err), err);
}

bool tam_state_done(tam_state *state, const struct tam_deed *d, struct error *err)
{
    long long row;
    if (!begin(state, err))
        return false;
    bool well = device_row(state, d->did, &row, err) &&
                (!d->ta || put_ta(state, row, d, false, err)) && put_certs(state, row, d, err) &&
                put_aiks(state, row, d, err);
    return end(state, well, err);
}

bool tam_state_ended(tam_state *state, const char *did, bool well, const char *how, time_t at,
                     struct error *err)
{
    if (!begin(state, err))
        return false;
    return end(state,
               sql_run(state->db, err,
                       "UPDATE device SET sessions = sessions + 1, well = ?, how = ?, ended = ?"
                       " WHERE tamid = ? AND did = ?",
                       "ititt", (long long)well, how, (long long)at, state->tamid, did),
               err);
}

/* ---- the report ---- */

static void put_time(json_t *object, const char *name, long long at)
{
    char text[32];
    time_format((time_t)at, text);
    json_object_set_new(object, name, json_string(text));
}

/* Adds what is known to what the device holds. */
static void annotate(json_t *sds, const tam_records *known)
{
    size_t i, k;
    json_t *sd, *ta;
    json_array_foreach (sds, i, sd) {
        const char *spid = json_string_value(json_object_get(sd, "spid"));
        const char *name = json_string_value(json_object_get(sd, "name"));
        json_t *certs = json_array();
        for (size_t c = 0; c < known->cert_count; c++)
            if (strcmp(known->certs[c].spid, spid) == 0 &&
                strcmp(known->certs[c].sdname, name) == 0)
                json_array_append_new(certs, json_string(known->certs[c].sha256));
        json_object_set_new(sd, "certs", certs);
        json_array_foreach (json_object_get(sd, "tas"), k, ta) {
            const struct known_ta *record = known_ta(
                known, spid, name, json_string_value(json_object_get(ta, "taid")));
            if (!record)
                continue;
            if (record->version != TA_NO_VERSION)
                json_object_set_new(ta, "version", json_integer(record->version));
            json_object_set_new(ta, "sha256", json_string(record->sha256));
            if (record->unsure)
                json_object_set_new(ta, "unsure", json_true());
        }
    }
}

static json_t *report_device(tam_state *state, sqlite3_stmt *rows, struct error *err)
{
    AUTO(tam_records) *known = tam_records_read(state->db, sqlite->column_int64(rows, 0), err);
    if (!known)
        return NULL;
    AUTO(char) *did = sql_text(rows, 1);
    AUTO(char) *name = sql_text(rows, 2);
    AUTO(char) *version = sql_text(rows, 3);
    AUTO(char) *how = sql_text(rows, 9);
    AUTO(json_t) *sds = json_load_span(sql_blob(rows, 4), "state", err);
    AUTO(json_t) *device = json_pack("{s:s, s:{s:s, s:s}}", "did", did, "tee", "name", name, "ver",
                                     version);
    if (!sds || !device)
        return NULL;
    put_time(device, "first_seen", sqlite->column_int64(rows, 5));
    put_time(device, "last_seen", sqlite->column_int64(rows, 6));
    json_object_set_new(device, "sessions", json_integer(sqlite->column_int64(rows, 7)));
    if (how) {
        json_t *last = json_pack("{s:b, s:s}", "well", sqlite->column_int(rows, 8), "how", how);
        put_time(last, "ended", sqlite->column_int64(rows, 10));
        json_object_set_new(device, "last_session", last);
    }
    annotate(sds, known);
    json_object_set(device, "sds", sds);
    json_t *aiks = json_array();
    for (size_t i = 0; i < known->aik_count; i++) {
        json_t *aik = json_pack("{s:s}", "spid", known->aiks[i].spid);
        put_time(aik, "made", known->aiks[i].made);
        json_array_append_new(aiks, aik);
    }
    json_object_set_new(device, "aiks", aiks);
    return TAKE(device);
}

json_t *tam_state_devices(tam_state *state, struct error *err)
{
    AUTO(json_t) *devices = json_array();
    if (!devices || !begin(state, err))
        return NULL;
    AUTO(sqlite3_stmt) *rows = sql_query(
        state->db, err,
        "SELECT id, did, name, version, holds, first_seen, last_seen, sessions, well, how, ended"
        " FROM device WHERE tamid = ? ORDER BY did",
        "t", state->tamid);
    bool more = rows != NULL;
    while (more && sql_next(state->db, rows, &more, err) && more) {
        json_t *device = report_device(state, rows, err);
        if (!device)
            break;
        json_array_append_new(devices, device);
    }
    bool well = rows && !more;
    sql_finalize(TAKE(rows));
    return end(state, well, err) ? TAKE(devices) : NULL;
}
