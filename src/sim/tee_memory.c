/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tee_memory.h"

#include <stdio.h>

#include "pki/chain.h"
#include "pki/ocsp.h"
#include "util/limits.h"

enum { MOST_CACHED_SIGNERS = 16 };

/* ---- what the checks ask of the device ---- */

static X509_stack *cached_signer(void *context, size_t index)
{
    device *dev = context;
    struct error ignored;
    bool more;
    AUTO(sqlite3_stmt) *row = sql_query(
        dev->db, &ignored,
        "SELECT chain FROM signer WHERE device = ? ORDER BY used DESC LIMIT 1 OFFSET ?", "ii",
        dev->id, (long long)index);
    if (!row || !sql_next(dev->db, row, &more, &ignored) || !more)
        return NULL;
    return cert_parse(sql_blob(row, 0), "cached signer", &ignored);
}

static size_t cached_response(void *context, X509 *cert, buffer **responses)
{
    device *dev = context;
    struct error ignored;
    bool more;
    AUTO(char) *sha256 = cert_sha256_hex(cert, &ignored);
    AUTO(sqlite3_stmt) *row = sha256
                                  ? sql_query(
                                        dev->db, &ignored,
                                        "SELECT response FROM ocsp WHERE device = ? AND sha256 = ?",
                                        "it", dev->id, sha256)
                                  : NULL;
    if (!row || !sql_next(dev->db, row, &more, &ignored) || !more)
        return 0;
    responses[0] = buffer_copy(sql_blob(row, 0));
    return responses[0] ? 1 : 0;
}

/* A stored proof that cert was revoked, unless what the responses say lifts it. */
static bool known_revoked(void *context, X509 *cert, X509 *issuer, const struct span *responses,
                          size_t count, struct error *err)
{
    device *dev = context;
    struct error ignored;
    bool more;
    AUTO(char) *sha256 = cert_sha256_hex(cert, &ignored);
    AUTO(sqlite3_stmt) *row =
        sha256 ? sql_query(dev->db, &ignored,
                           "SELECT response FROM revoked WHERE device = ? AND sha256 = ?", "it",
                           dev->id, sha256)
               : NULL;
    return row && sql_next(dev->db, row, &more, &ignored) && more &&
           ocsp_still_revoked(sql_blob(row, 0),
                              &(struct ocsp_question){cert, issuer, clock_now(&dev->clock)},
                              responses, count, err);
}

static bool firmware_trusted(void *context, struct error *err)
{
    device *dev = context;
    if (!dev->tfw_key || !dev->tfw_anchors)
        return true; /* optional as a whole; without a root it is believed */
    AUTO(X509_stack) *path = chain_verify(
        &(struct chain_question){.leaf = sk_X509_value(dev->tfw_chain, 0),
                                 .others = dev->tfw_chain,
                                 .anchors = dev->tfw_anchors,
                                 .role = ROLE_TFW,
                                 .at = clock_now(&dev->clock)},
        err);
    return path != NULL;
}

static bool tid_is_current(device *dev, const request *r, bool *current, struct error *err)
{
    long long old;
    bool asked = sql_number(dev->db, &old, 0, err,
                            "SELECT count(*) FROM replay JOIN tam USING (device, tamid) WHERE "
                            "device = ? AND tamid = ? AND"
                            " tid = ? AND replay.id < tam.session_start AND tid <> tam.session_tid",
                            "itt", dev->id, r->tamid, r->tid);
    *current = old == 0;
    return asked;
}

/* Whether the record of this TAM has room for one more. */
static bool record_has_room(device *dev, const request *r, bool *room, struct error *err)
{
    long long count;
    bool asked = sql_number(dev->db, &count, 0, err,
                            "SELECT requests FROM tam WHERE device = ? AND tamid = ?", "it",
                            dev->id, r->tamid);
    *room = asked && count < dev->limits.replays;
    return asked;
}

bool remember_tam(device *dev, const request *r, struct error *err)
{
    return device_begin(dev, err) &&
           sql_run(dev->db, err, "INSERT OR IGNORE INTO tam (device, tamid) VALUES (?, ?)", "it",
                   dev->id, r->tamid);
}

static bool record(device *dev, const request *r, struct error *err)
{
    if (!remember_tam(dev, r, err) ||
        !sql_run(dev->db, err,
                 "INSERT OR IGNORE INTO replay (device, tamid, tid, rid) VALUES (?, ?, ?, ?)",
                 "ittt", dev->id, r->tamid, r->tid, r->rid))
        return false;
    dev->recorded = sqlite->changes(dev->db) == 1;
    return !dev->recorded ||
           sql_run(dev->db, err,
                   "UPDATE tam SET requests = requests + 1 WHERE device = ? AND tamid = ?", "it",
                   dev->id, r->tamid);
}

static enum replay replay(void *context, const request *r)
{
    device *dev = context;
    struct error ignored;
    long long seen;
    bool current, room;
    if (!device_begin(dev, &ignored) ||
        !sql_number(
            dev->db, &seen, 0, &ignored,
            "SELECT count(*) FROM replay WHERE device = ? AND tamid = ? AND tid = ? AND rid = ?",
            "ittt", dev->id, r->tamid, r->tid, r->rid) ||
        !tid_is_current(dev, r, &current, &ignored) || !record_has_room(dev, r, &room, &ignored))
        return REPLAY_FAILED;
    if (seen)
        return REPLAY_SEEN;
    if (!current)
        return REPLAY_OLD_SESSION;
    if (!room)
        return REPLAY_FULL;
    return record(dev, r, &ignored) ? REPLAY_NEW : REPLAY_FAILED;
}

bool remember_refused(device *dev, const request *r, struct error *err)
{
    bool room;
    if (!r->authenticated || r->recorded || !r->rid[0] || !r->tid[0])
        return true;
    return device_begin(dev, err) && record_has_room(dev, r, &room, err) &&
           (!room || record(dev, r, err));
}

static bool dsihash_current(void *context, const char *tamid, const uint8_t hash[32])
{
    device *dev = context;
    struct error ignored;
    bool more;
    AUTO(sqlite3_stmt) *row = sql_query(
        dev->db, &ignored,
        "SELECT dsi_hash FROM tam WHERE device = ? AND tamid = ? AND changed = 0", "it", dev->id,
        tamid);
    return row && sql_next(dev->db, row, &more, &ignored) && more &&
           span_equal(sql_blob(row, 0), SPAN(hash, 32));
}

static int sd_count(void *context, const char *tamid, const char *spid, const char *sdname)
{
    struct error ignored;
    long long sd;
    int count;
    return device_find_sd(context, tamid, spid, sdname, &sd, &count, &ignored) ? count : -1;
}

/* The algorithms that the TAM accepts for answers in this session; NULL: any. */
static json_t *session_algorithms(void *context, const char *tamid)
{
    device *dev = context;
    struct error ignored;
    bool more;
    AUTO(sqlite3_stmt) *row = sql_query(dev->db, &ignored,
                                        "SELECT sigalgs FROM tam WHERE device = ? AND tamid = ?",
                                        "it", dev->id, tamid);
    if (!row || !sql_next(dev->db, row, &more, &ignored) || !more ||
        sqlite->column_type(row, 0) == SQLITE_NULL)
        return NULL;
    return json_load_span(sql_blob(row, 0), "sigalgs", &ignored);
}

static bool supports(void *context, const struct jwa *alg)
{
    const device *dev = context;
    return !dev->algorithms || device_supports(dev->algorithms, alg);
}

void tee_view_fill(device *dev, struct tee_view *view, struct reading *reading)
{
    *reading = (struct reading){.profile = dev->profile};
    *view = (struct tee_view){.device = dev,
                              .now = clock_now(&dev->clock),
                              .anchors = dev->tam_anchors,
                              .signer = dev->pinned_key,
                              .signer_tamid = dev->pinned_tamid,
                              .reading = dev->profile->forms ? reading : NULL,
                              .cached_signer = dev->signerreq ? NULL : cached_signer,
                              .known_responses = cached_response,
                              .known_revoked = known_revoked,
                              .firmware_trusted = firmware_trusted,
                              .tee_name = dev->name,
                              .did = dev->did,
                              .replay = replay,
                              .dsihash_current = dsihash_current,
                              .session_algorithms = session_algorithms,
                              .supports = supports,
                              .device_key = dev->tee_key,
                              .sd_count = sd_count};
}

/* ---- what it remembers after the checks ---- */

bool remember_signer(device *dev, const request *r, struct error *err)
{
    if (!r->path) /* it is pinned */
        return true;
    long long latest;
    AUTO(char) *sha256 = cert_sha256_hex(sk_X509_value(r->path, 0), err);
    if (!sha256 || !sql_number(dev->db, &latest, 0, err,
                               "SELECT sha256 = ? FROM signer WHERE device = ? ORDER BY used DESC"
                               " LIMIT 1",
                               "ti", sha256, dev->id))
        return false;
    if (latest)
        return true;
    AUTO(buffer) *chain = certs_to_pem(r->path, err);
    return chain &&
           sql_run(dev->db, err,
                   "INSERT OR REPLACE INTO signer (device, sha256, chain, used) VALUES (?1, ?2, ?3,"
                   " (SELECT coalesce(max(used), 0) + 1 FROM signer WHERE device = ?1))",
                   "itb", dev->id, sha256, buffer_span(chain)) &&
           sql_run(dev->db, err,
                   "DELETE FROM signer WHERE device = ?1 AND sha256 NOT IN"
                   " (SELECT sha256 FROM signer WHERE device = ?1 ORDER BY used DESC LIMIT ?2)",
                   "ii", dev->id, (long long)MOST_CACHED_SIGNERS);
}

/* The responses in the ocspdat of a request. */
struct stapled {
    buffer *items[LIMIT_OCSP_RESPONSES];
    struct span responses[LIMIT_OCSP_RESPONSES];
    size_t count;
};
typedef struct stapled stapled;

static void stapled_free(stapled *s)
{
    for (size_t i = 0; i < s->count; i++)
        buffer_free(s->items[i]);
}
AUTO_DEFINE(stapled, stapled_free)

static bool stapled_read(stapled *s, const request *r, struct error *err)
{
    const struct json_value *list = json_member(r->tbs, "ocspdat");
    if (list &&
        !member_base64_list(list, "ocspdat", LIMIT_OCSP_RESPONSES, s->items, &s->count, err))
        return false;
    for (size_t i = 0; i < s->count; i++)
        s->responses[i] = buffer_span(s->items[i]);
    return true;
}

static bool keep_response(device *dev, const char *table, const X509 *cert, struct span response,
                          struct error *err)
{
    AUTO(char) *sha256 = cert_sha256_hex(cert, err);
    AUTO(char) *statement = NULL;
    if (asprintf(&statement,
                 "INSERT OR REPLACE INTO %s (device, sha256, response) VALUES (?, ?, ?)",
                 table) < 0)
        return error_memory(err);
    return sha256 && sql_run(dev->db, err, statement, "itb", dev->id, sha256, response);
}

/* Whether what is kept for cert is among the responses: then it is as good as new. */
static bool is_kept(device *dev, const stapled *s, X509 *cert)
{
    buffer *kept[1];
    bool same = false;
    if (!cached_response(dev, cert, kept))
        return false;
    for (size_t i = 0; i < s->count && !same; i++)
        same = span_equal(s->responses[i], buffer_span(kept[0]));
    buffer_free(kept[0]);
    return same;
}

bool remember_revocation(device *dev, const request *r, struct error *err)
{
    if (!r->path)
        return true;
    stapled read = {.count = 0};
    AUTO(stapled) *s = &read;
    struct error unused;
    size_t index;
    if (!stapled_read(s, r, err))
        return false;
    for (int i = 0; s->count && i + 1 < sk_X509_num(r->path); i++) {
        X509 *cert = sk_X509_value(r->path, i);
        if (!is_kept(dev, s, cert) &&
            ocsp_check(s->responses, s->count, cert, sk_X509_value(r->path, i + 1),
                       clock_now(&dev->clock), NULL, &index, &unused) &&
            !keep_response(dev, "ocsp", cert, s->responses[index], err))
            return false;
    }
    return true;
}

bool remember_revoked(device *dev, const request *r, struct error *err)
{
    stapled read = {.count = 0};
    AUTO(stapled) *s = &read;
    struct error unused;
    size_t index;
    if (!stapled_read(s, r, &unused))
        return true;
    for (int i = 0; i + 1 < sk_X509_num(r->path); i++) {
        X509 *cert = sk_X509_value(r->path, i);
        const struct ocsp_question question = {cert, sk_X509_value(r->path, i + 1),
                                               clock_now(&dev->clock)};
        if (ocsp_find_revoked(s->responses, s->count, &question, &index) &&
            (!device_begin(dev, err) ||
             !keep_response(dev, "revoked", cert, s->responses[index], err)))
            return false;
    }
    return true;
}

bool begin_session(device *dev, const request *r, struct error *err)
{
    const struct json_value *list = json_member(r->tbs, "supportedsigalgs");
    AUTO(char) *algorithms = list ? span_dup(list->text) : NULL;
    return sql_run(
        dev->db, err,
        "UPDATE tam SET session_tid = ?3, sigalgs = ?4, session_start ="
        " coalesce((SELECT id FROM replay WHERE device = ?1 AND tamid = ?2 AND tid = ?3 AND"
        " rid = ?5), 0)"
        " WHERE device = ?1 AND tamid = ?2",
        "itttt", dev->id, r->tamid, r->tid, algorithms, r->rid);
}

bool remember_answer(device *dev, const request *r, struct span message, struct error *err)
{
    return !dev->recorded ||
           sql_run(dev->db, err,
                   "INSERT OR REPLACE INTO answer (device, tamid, rid, tid, serial, message)"
                   " VALUES (?1, ?2, ?3, ?4, (SELECT coalesce(max(serial), 0) + 1 FROM answer"
                   " WHERE device = ?1), ?5)",
                   "itttb", dev->id, r->tamid, r->rid, r->tid, message);
}
