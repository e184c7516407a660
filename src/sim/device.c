/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/device.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "sim/device_schema.h"
#include "util/file.h"
#include "util/json.h"
#include "util/output_set.h"
#include "util/secret.h"

void device_free(device *dev)
{
    if (!dev)
        return;
    sql_close(dev->db);
    free(dev->name);
    free(dev->version);
    free(dev->did);
    sk_X509_pop_free(dev->pinned, X509_free);
    key_free(dev->pinned_key);
    free(dev->pinned_tamid);
    json_decref(dev->algorithms);
    key_free(dev->tee_key);
    sk_X509_pop_free(dev->tee_chain, X509_free);
    sk_X509_pop_free(dev->tam_anchors, X509_free);
    key_free(dev->tfw_key);
    sk_X509_pop_free(dev->tfw_chain, X509_free);
    sk_X509_pop_free(dev->tfw_anchors, X509_free);
    OPENSSL_cleanse(dev->fuse, sizeof dev->fuse);
    free(dev);
}

/* ---- the folder ---- */

static bool fuse_make(const char *path, struct error *err)
{
    AUTO(buffer) *fuse = buffer_secret(FUSE_BYTES);
    AUTO(output_set) *outputs = output_set_new(false);
    if (!fuse || !outputs || !random_fill(fuse->data, FUSE_BYTES, err))
        return fuse && outputs ? false : error_memory(err);
    fuse->size = FUSE_BYTES;
    return output_add(outputs, path, buffer_span(fuse), OUTPUT_PRIVATE, err) &&
           output_commit(outputs, err);
}

static bool fuse_read(const char *path, uint8_t fuse[FUSE_BYTES], struct error *err)
{
    AUTO(buffer) *bytes = input_read(path, 4096, err);
    if (!bytes)
        return error_hint(err, "fuse.key and state.db of a state folder belong together");
    if (bytes->size != FUSE_BYTES)
        return error_set(err, RC_MALFORMED, "%s: %zu bytes, a fuse key has %d", path, bytes->size,
                         FUSE_BYTES);
    memcpy(fuse, bytes->data, FUSE_BYTES);
    return true;
}

static sqlite3 *state_open(const char *dir, bool create, struct error *err)
{
    AUTO(char) *path = path_join(dir, "state.db");
    if (!path) {
        error_memory(err);
        return NULL;
    }
    sqlite3 *db = sql_open(path, create, DEVICE_SCHEMA, DEVICE_SCHEMA_VERSION, err);
    if (!db && !create && !err->hint[0] && err->cause != CAUSE_DENIED && !path_exists(path))
        error_hint(err, "make a device with 'otrp tee-sim init --state %s --pki PKI'", dir);
    return db;
}

sqlite3 *device_folder_open(const char *dir, struct error *err)
{
    return state_open(dir, false, err);
}

/* ---- making ---- */

/* A fuse that does not open what is there already is the wrong one. */
static bool check_fuse(sqlite3 *db, const uint8_t *fuse, struct error *err)
{
    bool more;
    AUTO(sqlite3_stmt) *row = sql_query(db, err, "SELECT key FROM device LIMIT 1", "");
    if (!row || !sql_next(db, row, &more, err) || !more)
        return row && !more;
    AUTO(key) *known = unseal_key(fuse, "TEE key", sql_blob(row, 0), err);
    return known != NULL;
}

/* Whose objects those of a pinned TAM are: old certificates have no tamid, their owner is their
 * hash. */
static char *owner_of(const X509 *cert, struct error *err)
{
    struct error ignored;
    char *tamid = cert_tamid(cert, &ignored);
    return tamid ? tamid : cert_sha256_hex(cert, err);
}

/* The default SD of the device that was inserted last. */
static bool insert_default_sd(sqlite3 *db, const uint8_t *fuse, const struct device_parts *parts,
                              struct error *err)
{
    if (!parts->sp_cert)
        return true;
    device made = {.db = db, .id = sqlite->last_insert_rowid(db), .tee_key = (key *)parts->tee_key};
    AUTO(char) *tamid = owner_of(sk_X509_value(parts->pinned, 0), err);
    memcpy(made.fuse, fuse, sizeof made.fuse);
    bool added = tamid && device_add_default_sd(&made, tamid, parts->sp_cert, err);
    OPENSSL_cleanse(made.fuse, sizeof made.fuse);
    return added;
}

static bool insert_device(sqlite3 *db, const uint8_t *fuse, const struct device_parts *parts,
                          struct error *err)
{
    AUTO(buffer) *k = seal_key(fuse, "TEE key", parts->tee_key, err);
    AUTO(buffer) *chain = k ? certs_to_pem(parts->tee_chain, err) : NULL;
    AUTO(buffer) *anchors = chain ? certs_to_pem(parts->tam_anchors, err) : NULL;
    if (!anchors)
        return false;
    AUTO(buffer) *algorithms = parts->algorithms ? json_compact(parts->algorithms) : NULL;
    if (!sql_run(db, err,
                 "INSERT INTO device (name, version, key, chain, tam_anchors, max_sds, max_tas,"
                 " max_bytes, max_replays, signerreq, algorithms, profile)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                 "ttbbbiiiiitt", parts->name, parts->version, buffer_span(k), buffer_span(chain),
                 buffer_span(anchors), parts->limits.sds, parts->limits.tas, parts->limits.bytes,
                 parts->limits.replays, (long long)parts->signerreq,
                 algorithms ? (const char *)algorithms->data : NULL,
                 parts->profile ? parts->profile->name : "ietf"))
        return false;
    AUTO(buffer) *pinned = parts->pinned ? certs_to_pem(parts->pinned, err) : NULL;
    if (parts->pinned &&
        (!pinned || !sql_run(db, err, "UPDATE device SET pinned = ? WHERE name = ?", "bt",
                             buffer_span(pinned), parts->name)))
        return false;
    if (!parts->tfw_key)
        return true;
    AUTO(buffer) *tfw_key = seal_key(fuse, "TFW key", parts->tfw_key, err);
    AUTO(buffer) *tfw_chain = tfw_key ? certs_to_pem(parts->tfw_chain, err) : NULL;
    if (!tfw_chain ||
        !sql_run(db, err, "UPDATE device SET tfw_key = ?, tfw_chain = ? WHERE name = ?", "bbt",
                 buffer_span(tfw_key), buffer_span(tfw_chain), parts->name))
        return false;
    if (!parts->tfw_anchors)
        return true;
    AUTO(buffer) *tfw_anchors = certs_to_pem(parts->tfw_anchors, err);
    return tfw_anchors && sql_run(db, err, "UPDATE device SET tfw_anchors = ? WHERE name = ?", "bt",
                                  buffer_span(tfw_anchors), parts->name);
}

static bool add_device(sqlite3 *db, const char *dir, const uint8_t *fuse,
                       const struct device_parts *parts, struct error *err)
{
    long long there;
    if (!sql_number(db, &there, 0, err, "SELECT count(*) FROM device WHERE name = ?", "t",
                    parts->name))
        return false;
    if (!there)
        return insert_device(db, fuse, parts, err) && insert_default_sd(db, fuse, parts, err);
    error_set(err, RC_USAGE, "%s: has a device \"%s\" already", dir, parts->name);
    return error_hint(err,
                      "'otrp tee-sim reset' empties it; another --name or --state makes another");
}

static bool add_devices(const char *dir, const char *fuse_path, const struct device_parts *parts,
                        size_t count, struct error *err)
{
    uint8_t fuse[FUSE_BYTES];
    sqlite3 *db = fuse_read(fuse_path, fuse, err) ? state_open(dir, true, err) : NULL;
    bool added = db && sql_run(db, err, "BEGIN IMMEDIATE", "") && check_fuse(db, fuse, err);
    for (size_t i = 0; added && i < count; i++)
        added = add_device(db, dir, fuse, &parts[i], err);
    added = added && sql_run(db, err, "COMMIT", "");
    OPENSSL_cleanse(fuse, sizeof fuse);
    sql_close(db);
    return added;
}

/* One process at a time makes a device in a folder; closing the descriptor lets the next one in. */
static int lock_folder(const char *dir, struct error *err)
{
    int lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock >= 0 && flock(lock, LOCK_EX) == 0)
        return lock;
    error_errno(err, RC_INTERNAL, "%s: cannot be locked", dir);
    if (lock >= 0)
        close(lock);
    return -1;
}

static const char *const state_files[] = {"fuse.key", "state.db", "state.db-wal", "state.db-shm"};

bool device_create(const char *dir, const struct device_parts *parts, size_t count,
                   struct error *err)
{
    AUTO(char) *fuse_path = path_join(dir, "fuse.key");
    AUTO(output_set) *made = output_set_new(false); /* takes the folder back when this fails */
    if (!fuse_path || !made)
        return error_memory(err);
    if (!output_directory(made, dir, err))
        return false;
    int lock = lock_folder(dir, err);
    if (lock < 0)
        return false;
    AUTO(char) *state = path_join(dir, "state.db");
    bool fresh = !path_exists(fuse_path) && state && !path_exists(state);
    bool created = (!fresh || fuse_make(fuse_path, err)) &&
                   add_devices(dir, fuse_path, parts, count, err);
    for (size_t i = 0; !created && fresh && i < COUNT(state_files); i++) {
        AUTO(char) *path = path_join(dir, state_files[i]);
        if (path)
            unlink(path);
    }
    close(lock);
    return created && output_commit(made, err);
}

/* ---- opening ---- */

static bool load_firmware(device *dev, sqlite3_stmt *row, struct error *err)
{
    if (sqlite->column_type(row, 5) == SQLITE_NULL)
        return true;
    dev->tfw_key = unseal_key(dev->fuse, "TFW key", sql_blob(row, 5), err);
    dev->tfw_chain = dev->tfw_key ? cert_parse(sql_blob(row, 6), "TFW chain", err) : NULL;
    if (!dev->tfw_chain || sqlite->column_type(row, 7) == SQLITE_NULL)
        return dev->tfw_chain != NULL;
    dev->tfw_anchors = cert_parse(sql_blob(row, 7), "TFW roots", err);
    return dev->tfw_anchors != NULL;
}

static bool load_pinned(device *dev, sqlite3_stmt *row, struct error *err)
{
    dev->pinned = cert_parse(sql_blob(row, 16), "pinned TAM", err);
    X509 *cert = dev->pinned ? sk_X509_value(dev->pinned, 0) : NULL;
    EVP_PKEY *pkey = cert ? X509_get_pubkey(cert) : NULL;
    dev->pinned_key = pkey ? key_from_pkey(pkey, false, "pinned TAM", err) : NULL;
    dev->pinned_tamid = cert ? owner_of(cert, err) : NULL;
    return dev->pinned_key && dev->pinned_tamid;
}

static bool load_device(device *dev, sqlite3_stmt *row, struct error *err)
{
    dev->id = sqlite->column_int64(row, 0);
    dev->name = sql_text(row, 1);
    dev->version = sql_text(row, 13);
    dev->tee_key = unseal_key(dev->fuse, "TEE key", sql_blob(row, 2), err);
    dev->tee_chain = dev->tee_key ? cert_parse(sql_blob(row, 3), "TEE chain", err) : NULL;
    dev->tam_anchors = dev->tee_chain ? cert_parse(sql_blob(row, 4), "TAM roots", err) : NULL;
    if (!dev->tam_anchors || !load_firmware(dev, row, err))
        return false;
    dev->limits = (struct device_limits){sqlite->column_int64(row, 8), sqlite->column_int64(row, 9),
                                         sqlite->column_int64(row, 10),
                                         sqlite->column_int64(row, 11)};
    dev->signerreq = sqlite->column_int(row, 12) != 0;
    dev->profile = profile_find((const char *)sqlite->column_text(row, 15));
    if (sqlite->column_type(row, 16) != SQLITE_NULL && !load_pinned(dev, row, err))
        return false;
    if (sqlite->column_type(row, 14) != SQLITE_NULL &&
        !(dev->algorithms = json_load_span(sql_blob(row, 14), "algorithms", err)))
        return false;
    dev->did = cert_did(sk_X509_value(dev->tee_chain, 0), err);
    return dev->did && ((dev->name && dev->version && dev->profile) || error_memory(err));
}

#define DEVICE_COLUMNS                                                                             \
    "SELECT id, name, key, chain, tam_anchors, tfw_key, tfw_chain, tfw_anchors, max_sds, max_tas," \
    " max_bytes, max_replays, signerreq, version, algorithms, profile, pinned FROM device "

static bool choose_device(device *dev, const char *dir, const char *name, struct error *err)
{
    bool more;
    AUTO(sqlite3_stmt) *row = name ? sql_query(dev->db, err, DEVICE_COLUMNS "WHERE name = ?", "t",
                                               name)
                                   : sql_query(dev->db, err, DEVICE_COLUMNS "ORDER BY id LIMIT 2",
                                               "");
    if (!row || !sql_next(dev->db, row, &more, err))
        return false;
    if (!more) {
        error_set(err, RC_USAGE, "%s: no device%s%s%s", dir, name ? " \"" : "", name ? name : "",
                  name ? "\"" : "");
        return error_hint(err, "'otrp tee-sim show --state %s' lists what there is", dir);
    }
    if (!load_device(dev, row, err) || !sql_next(dev->db, row, &more, err))
        return error_prefix(err, "%s", dir);
    if (!more)
        return true;
    error_set(err, RC_USAGE, "%s: holds several devices", dir);
    return error_hint(err, "choose one with --device NAME");
}

device *device_open(const char *dir, const char *name, struct error *err)
{
    AUTO(device) *dev = calloc(1, sizeof *dev);
    AUTO(char) *fuse_path = path_join(dir, "fuse.key");
    if (!dev || !fuse_path) {
        error_memory(err);
        return NULL;
    }
    dev->wait_ms = SQL_BUSY_MS;
    dev->db = state_open(dir, false, err);
    if (!dev->db || !fuse_read(fuse_path, dev->fuse, err) || !choose_device(dev, dir, name, err))
        return NULL;
    return TAKE(dev);
}

void device_wait(device *dev, long wait_ms)
{
    dev->wait_ms = wait_ms;
    sqlite->busy_timeout(dev->db, (int)wait_ms);
}

/* Whether it is this one's turn within that time. */
static bool turn_wait(pthread_mutex_t *turn, long wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return pthread_mutex_timedlock(turn, &until) == 0;
}

static void end_transaction(device *dev)
{
    dev->in_transaction = false;
    if (dev->turn)
        pthread_mutex_unlock(dev->turn);
}

bool device_begin(device *dev, struct error *err)
{
    if (dev->in_transaction)
        return true;
    if (dev->turn && !turn_wait(dev->turn, dev->wait_ms)) {
        dev->busy = true;
        return error_set(err, RC_INTERNAL, "the folder is busy");
    }
    dev->in_transaction = sql_run(dev->db, err, "BEGIN IMMEDIATE", "");
    dev->busy = !dev->in_transaction && sqlite->errcode(dev->db) == SQLITE_BUSY;
    if (dev->turn && !dev->in_transaction)
        pthread_mutex_unlock(dev->turn);
    return dev->in_transaction;
}

bool device_commit(device *dev, struct error *err)
{
    if (!dev->in_transaction)
        return true;
    if (!sql_run(dev->db, err, "COMMIT", ""))
        return false;
    end_transaction(dev);
    return true;
}

void device_roll_back(device *dev)
{
    struct error ignored;
    if (!dev->in_transaction)
        return;
    bool undone = sql_run(dev->db, &ignored, "ROLLBACK", "");
    (void)undone; /* where it fails, SQLite has done it itself, or will when the database closes */
    end_transaction(dev);
}

bool device_supports(const json_t *algorithms, const struct jwa *alg)
{
    size_t i;
    json_t *name;
    json_array_foreach (algorithms, i, name) {
        if (strcmp(json_string_value(name), alg->name) == 0)
            return true;
    }
    return false;
}

json_t *device_names(const char *dir, struct error *err)
{
    sqlite3 *db = state_open(dir, false, err);
    if (!db)
        return NULL;
    AUTO(json_t) *names = json_array();
    sqlite3_stmt *rows = sql_query(db, err, "SELECT name FROM device ORDER BY id", "");
    bool more = true, read = rows != NULL;
    while (read && more) {
        read = sql_next(db, rows, &more, err);
        if (read && more)
            json_array_append_new(names, json_string((const char *)sqlite->column_text(rows, 0)));
    }
    sql_finalize(rows);
    sql_close(db);
    return read ? TAKE(names) : NULL;
}

bool device_reset(device *dev, struct error *err)
{
    return sql_run(dev->db, err, "BEGIN IMMEDIATE", "") &&
           sql_run(dev->db, err, "DELETE FROM sd WHERE device = ? AND name <> ?", "it", dev->id,
                   DEFAULT_SD) &&
           sql_run(dev->db, err, "DELETE FROM ta WHERE sd IN (SELECT id FROM sd WHERE device = ?)",
                   "i", dev->id) &&
           sql_run(dev->db, err,
                   "DELETE FROM aik WHERE device = ?1 AND (tamid, spid) NOT IN"
                   " (SELECT tamid, spid FROM sd WHERE device = ?1)",
                   "i", dev->id) &&
           sql_run(dev->db, err, "DELETE FROM signer WHERE device = ?", "i", dev->id) &&
           sql_run(dev->db, err, "DELETE FROM ocsp WHERE device = ?", "i", dev->id) &&
           sql_run(dev->db, err, "DELETE FROM answer WHERE device = ?", "i", dev->id) &&
           sql_run(dev->db, err, "UPDATE tam SET changed = 1 WHERE device = ?", "i", dev->id) &&
           sql_run(dev->db, err, "COMMIT", "");
}
