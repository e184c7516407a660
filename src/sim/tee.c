/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tee.h"

#include <stdio.h>
#include <string.h>

#include "jose/jwk.h"
#include "otrp/algorithm.h"
#include "otrp/response.h"
#include "otrp/ta_package.h"
#include "pki/chain.h"
#include "pki/ocsp.h"
#include "sim/tee_command.h"
#include "util/base64.h"
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

static bool firmware_trusted(void *context, struct error *err)
{
    device *dev = context;
    if (!dev->tfw_key)
        return true; /* optional as a whole */
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
                            "SELECT count(*) FROM replay WHERE device = ? AND tamid = ?", "it",
                            dev->id, r->tamid);
    *room = asked && count < dev->limits.replays;
    return asked;
}

static bool record(device *dev, const request *r, struct error *err)
{
    return sql_run(dev->db, err, "INSERT OR IGNORE INTO tam (device, tamid) VALUES (?, ?)", "it",
                   dev->id, r->tamid) &&
           sql_run(dev->db, err,
                   "INSERT OR IGNORE INTO replay (device, tamid, tid, rid) VALUES (?, ?, ?, ?)",
                   "ittt", dev->id, r->tamid, r->tid, r->rid);
}

static enum replay replay(void *context, const request *r)
{
    device *dev = context;
    struct error ignored;
    long long seen;
    bool current, room;
    if (!sql_number(
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

/* A request that failed before its row, or in it, is recorded all the same, as long as there is
 * room. */
static bool record_refused(device *dev, const request *r, struct error *err)
{
    bool room;
    if (!r->authenticated || r->recorded || !r->rid[0] || !r->tid[0])
        return true;
    return record_has_room(dev, r, &room, err) && (!room || record(dev, r, err));
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

/* ---- after the checks ---- */

static bool remember_signer(device *dev, const request *r, struct error *err)
{
    AUTO(char) *sha256 = cert_sha256_hex(sk_X509_value(r->path, 0), err);
    AUTO(buffer) *chain = sha256 ? certs_to_pem(r->path, err) : NULL;
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

/* Keeps the OCSP answers that spoke for the signer's path, for requests without ocspdat. */
static bool remember_revocation(device *dev, const request *r, struct error *err)
{
    buffer *items[LIMIT_OCSP_RESPONSES];
    struct span responses[LIMIT_OCSP_RESPONSES];
    size_t count = 0;
    const struct json_value *list = json_member(r->tbs, "ocspdat");
    bool kept = true;
    if (list && !member_base64_list(list, "ocspdat", LIMIT_OCSP_RESPONSES, items, &count, err))
        kept = false;
    for (size_t i = 0; i < count; i++)
        responses[i] = buffer_span(items[i]);
    for (int i = 0; kept && count && i + 1 < sk_X509_num(r->path); i++) {
        X509 *cert = sk_X509_value(r->path, i);
        size_t index;
        struct error unused;
        if (!ocsp_check(responses, count, cert, sk_X509_value(r->path, i + 1),
                        clock_now(&dev->clock), NULL, &index, &unused))
            continue;
        AUTO(char) *sha256 = cert_sha256_hex(cert, err);
        kept = sha256 &&
               sql_run(dev->db, err,
                       "INSERT OR REPLACE INTO ocsp (device, sha256, response) VALUES (?, ?, ?)",
                       "itb", dev->id, sha256, responses[index]);
    }
    for (size_t i = 0; i < count; i++)
        buffer_free(items[i]);
    return kept;
}

/* A GetDeviceState begins a session: its tid is the current one from here on, its list of
 * algorithms holds. */
static bool begin_session(device *dev, const request *r, struct error *err)
{
    const struct json_value *list = json_member(r->tbs, "supportedsigalgs");
    AUTO(char) *algorithms = list ? span_dup(list->text) : NULL;
    return sql_run(
        dev->db, err,
        "UPDATE tam SET session_tid = ?3, sigalgs = ?4, session_start ="
        " (SELECT id FROM replay WHERE device = ?1 AND tamid = ?2 AND tid = ?3 AND rid = ?5)"
        " WHERE device = ?1 AND tamid = ?2",
        "itttt", dev->id, r->tamid, r->tid, algorithms, r->rid);
}

/* The DSI that an answer carries; its hash is what the TAM must send back. */
static json_t *issue_dsi(device *dev, const request *r, struct error *err)
{
    AUTO(sqlite3_stmt) *row = sql_query(
        dev->db, err, "SELECT coalesce(session_tid, ?3) FROM tam WHERE device = ?1 AND tamid = ?2",
        "itt", dev->id, r->tamid, r->tid);
    bool more;
    if (!row || !sql_next(dev->db, row, &more, err) || !more)
        return NULL;
    AUTO(json_t) *inner = device_dsi(dev, r->tamid, (const char *)sqlite->column_text(row, 0), err);
    AUTO(json_t) *outer = inner ? json_pack("{s:O}", "dsi", inner) : NULL;
    AUTO(buffer) *text = outer ? json_canonical(outer) : NULL;
    uint8_t hash[32];
    if (!text || !EVP_Digest(text->data, text->size, hash, NULL, EVP_sha256(), NULL)) {
        if (inner)
            error_memory(err);
        return NULL;
    }
    return sql_run(dev->db, err,
                   "UPDATE tam SET dsi_hash = ?, changed = 0 WHERE device = ? AND tamid = ?", "bit",
                   SPAN(hash, sizeof hash), dev->id, r->tamid)
               ? TAKE(inner)
               : NULL;
}

static bool add_state(device *dev, const request *r, command_result *result, struct error *err)
{
    if (r->type->id == MESSAGE_GET_DEVICE_STATE || member_true(r->tbs, "nextdsi")) {
        json_t *inner = issue_dsi(dev, r, err);
        return inner &&
               (json_object_set_new(result->content, "dsi", inner) == 0 || error_memory(err));
    }
    if (!sql_run(dev->db, err, "UPDATE tam SET changed = 1 WHERE device = ? AND tamid = ?", "it",
                 dev->id, r->tamid))
        return false;
    if (!result->new_aik)
        return true;
    json_t *spaik = spaik_encode(result->new_aik->pkey, err);
    return spaik && json_object_set_new(result->content, "teespaik", spaik) == 0 &&
           json_object_set_new(result->content, "teespaiktype",
                               json_string(spaik_type(result->new_aik->pkey))) == 0;
}

static enum error_code_id act(device *dev, const request *r, command_result *result,
                              struct error *err)
{
    if (!remember_signer(dev, r, err) || !remember_revocation(dev, r, err) ||
        (r->type->id == MESSAGE_GET_DEVICE_STATE && !begin_session(dev, r, err)))
        return ERR_TEE_FAIL;
    enum error_code_id code = tee_command(dev, r, result, err);
    if (code == ERR_NONE && !add_state(dev, r, result, err))
        code = ERR_TEE_FAIL;
    return code;
}

static json_t *supported_algorithms(const device *dev)
{
    struct error ignored;
    AUTO(json_t) *list = json_array();
    for (size_t i = 0; i < jwa_count; i++)
        if (jwa_table[i].kind == JWA_SIGNATURE && otrp_algorithm(&jwa_table[i]) &&
            jwa_fits(&jwa_table[i], dev->tee_key, "sign", &ignored))
            json_array_append_new(list, json_string(jwa_table[i].name));
    return TAKE(list);
}

static buffer *answer(device *dev, const request *r, const struct tee_outcome *outcome,
                      const command_result *result, struct error *err)
{
    bool state = r->type->id == MESSAGE_GET_DEVICE_STATE, passed = outcome->code == ERR_NONE;
    AUTO(json_t) *supported = outcome->code == ERR_UNSUPPORTED_CRYPTO_ALG
                                  ? supported_algorithms(dev)
                                  : NULL;
    AUTO(json_t) *refusal = !passed && r->fields ? json_pack("{s:s}", "did", dev->did) : NULL;
    AUTO(json_t) *edsi = state && passed
                             ? json_pack("{s:O}", "dsi", json_object_get(result->content, "dsi"))
                             : NULL;
    const json_t *content = edsi ? edsi : passed ? result->content : refusal;
    return response_make(
        &(struct response_draft){.type = r->type,
                                 .tee_key = dev->tee_key,
                                 .sign_alg = r->answer_alg,
                                 .rid = r->rid,
                                 .tid = r->tid,
                                 .code = outcome->code,
                                 .message = passed ? NULL : error_code_row(outcome->code)->meaning,
                                 .supported = supported,
                                 .content = content,
                                 .tam_key = r->signer_key,
                                 .cek = buffer_span(r->cek),
                                 .enc = r->content_enc,
                                 .signerreq = dev->signerreq},
        err);
}

static void result_free(command_result *result)
{
    json_decref(result->content);
    key_free(result->new_aik);
}
AUTO_DEFINE(command_result, result_free)

/* Inside the transaction: checks, acts, and makes the answer. */
static buffer *decide(device *dev, request *r, struct tee_outcome *outcome, struct error *err)
{
    /* a device that asks for the signer each time asks for ocspdat as well, but in GetDeviceState
     * [] is fine */
    bool use_cache = !dev->signerreq || (r->type && r->type->id == MESSAGE_GET_DEVICE_STATE);
    const struct tee_view view = {.device = dev,
                                  .now = clock_now(&dev->clock),
                                  .anchors = dev->tam_anchors,
                                  .cached_signer = dev->signerreq ? NULL : cached_signer,
                                  .known_responses = use_cache ? cached_response : NULL,
                                  .firmware_trusted = firmware_trusted,
                                  .tee_name = dev->name,
                                  .did = dev->did,
                                  .replay = replay,
                                  .dsihash_current = dsihash_current,
                                  .session_algorithms = session_algorithms,
                                  .device_key = dev->tee_key,
                                  .sd_count = sd_count};
    command_result made = {NULL};
    AUTO(command_result) *result = &made;
    struct check_result checked = request_check(r, &view, NULL, NULL);
    outcome->code = checked.code;
    outcome->error = checked.error;
    if (!record_refused(dev, r, err))
        return NULL;
    if (checked.code == ERR_NONE) {
        if (!sql_run(dev->db, err, "SAVEPOINT command", ""))
            return NULL;
        outcome->code = act(dev, r, result, &outcome->error);
        if (!sql_run(dev->db, err,
                     outcome->code == ERR_NONE ? "RELEASE command" : "ROLLBACK TO command", ""))
            return NULL;
    }
    return answer(dev, r, outcome, result, err);
}

buffer *tee_process(device *dev, struct span text, struct tee_outcome *outcome, struct error *err)
{
    *outcome = (struct tee_outcome){.code = ERR_NONE};
    AUTO(request) *r = request_new(text);
    if (!r) {
        error_memory(err);
        return NULL;
    }
    snprintf(outcome->rid, sizeof outcome->rid, "%s", r->rid);
    snprintf(outcome->tid, sizeof outcome->tid, "%s", r->tid);
    outcome->type = r->type;
    if (!r->type) {
        error_set(err, RC_MALFORMED,
                  "the message is no request of OTrP: it has none of the seven names");
        error_hint(err, "a TEE gives no answer to it; the broker would say ERR_AGENT_TEE_FAIL");
        return NULL;
    }
    if (!sql_run(dev->db, err, "BEGIN IMMEDIATE", ""))
        return NULL;
    AUTO(buffer) *made = decide(dev, r, outcome, err);
    struct error rolled_back;
    if (made && sql_run(dev->db, err, "COMMIT", ""))
        return TAKE(made);
    if (!sql_run(dev->db, &rolled_back, "ROLLBACK", ""))
        return NULL;
    return NULL;
}
