/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tee.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "otrp/algorithm.h"
#include "otrp/response.h"
#include "sim/tee_command.h"
#include "sim/tee_fault.h"
#include "sim/tee_memory.h"

/* The DSI that an answer carries; its hash is what the TAM must send back. */
static json_t *issue_dsi(device *dev, const request *r, struct error *err)
{
    AUTO(sqlite3_stmt) *row = sql_query(
        dev->db, err, "SELECT coalesce(session_tid, ?3) FROM tam WHERE device = ?1 AND tamid = ?2",
        "itt", dev->id, r->tamid, r->tid);
    bool more;
    if (!row || !sql_next(dev->db, row, &more, err) || !more)
        return NULL;
    AUTO(json_t) *own = device_dsi(dev, r->tamid, (const char *)sqlite->column_text(row, 0), err);
    AUTO(json_t) *inner = own ? profile_dsi(dev->profile, own) : NULL;
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
    if (r->type->id == MESSAGE_GET_DEVICE_STATE || dev->profile->forms ||
        member_true(r->tbs, "nextdsi")) {
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
            (!dev->algorithms || device_supports(dev->algorithms, &jwa_table[i])) &&
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
    struct response_draft draft = {.type = r->type,
                                   .tee_key = dev->tee_key,
                                   .sign_alg = r->answer_alg,
                                   .rid = r->rid,
                                   .tid = r->tid,
                                   .code = outcome->code,
                                   .message = passed ? NULL
                                                     : error_code_row(outcome->code)->meaning,
                                   .supported = supported,
                                   .content = edsi     ? edsi
                                              : passed ? result->content
                                                       : refusal,
                                   .tam_key = dev->pinned_key ? dev->pinned_key : r->signer_key,
                                   .profile = dev->profile,
                                   .cek = buffer_span(r->cek),
                                   .enc = r->content_enc,
                                   .signerreq = dev->signerreq};
    const struct tee_faults *faults = dev->faults;
    if (faults && faults->plans[r->type->id].plan.count)
        draft.broken = &faults->plans[r->type->id].plan;
    buffer *message = response_make(&draft, err);
    if (message || !draft.broken || !faults->where_fit || err->rc != RC_USAGE)
        return message;
    draft.broken = NULL;
    return response_make(&draft, err);
}

static void result_free(command_result *result)
{
    json_decref(result->content);
    key_free(result->new_aik);
}
AUTO_DEFINE(command_result, result_free)

static enum error_code_id pretend(enum error_code_id code, struct error *err)
{
    error_set(err, RC_PEER, "for no reason (--fault)");
    return code;
}

static bool busy(const device *dev, struct error *err)
{
    error_set(err, RC_INTERNAL, "the device \"%s\" is busy: others work on its folder", dev->name);
    return error_hint(err, "--wait sets how long a request waits for them");
}

/* Checks, acts, and makes the answer. */
static buffer *decide(device *dev, request *r, struct tee_outcome *outcome, struct error *err)
{
    struct tee_view view;
    struct reading reading;
    tee_view_fill(dev, &view, &reading);
    /* a device that asks for the signer each time asks for ocspdat as well, but in GetDeviceState
     * [] is fine */
    if (dev->signerreq && r->type->id != MESSAGE_GET_DEVICE_STATE)
        view.known_responses = NULL;
    command_result made = {NULL};
    AUTO(command_result) *result = &made;
    struct check_result checked = request_check(r, &view, NULL, NULL);
    outcome->code = checked.code;
    outcome->error = checked.error;
    if (dev->busy || !remember_refused(dev, r, err) ||
        (checked.code == ERR_TAM_NOT_TRUSTED && r->signature_passed &&
         !remember_revoked(dev, r, err)))
        return dev->busy ? (busy(dev, err), NULL) : NULL;
    if (checked.code == ERR_NONE) {
        if (!remember_tam(dev, r, err) || !sql_run(dev->db, err, "SAVEPOINT command", ""))
            return NULL;
        outcome->code = dev->faults && dev->faults->fail
                            ? pretend(dev->faults->fail, &outcome->error)
                            : act(dev, r, result, &outcome->error);
        if (!sql_run(dev->db, err,
                     outcome->code == ERR_NONE ? "RELEASE command" : "ROLLBACK TO command", ""))
            return NULL;
    }
    AUTO(buffer) *message = answer(dev, r, outcome, result, err);
    return message && remember_answer(dev, r, buffer_span(message), err) ? TAKE(message) : NULL;
}

/* An answer on its way out of a faulty device. */
static buffer *deliver(const struct tee_faults *faults, buffer *message,
                       struct tee_outcome *outcome, struct error *err)
{
    struct timespec left = {.tv_sec = faults->delay_ms / 1000,
                            .tv_nsec = faults->delay_ms % 1000 * 1000000};
    while (faults->delay_ms && nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
    if (!faults->no_answer && !faults->not_json)
        return message;
    buffer_free(message);
    if (faults->not_json)
        return buffer_copy(span_text("the TEE is not in the mood"));
    outcome->silent = true;
    error_set(err, RC_MALFORMED, "the device gives no answer (--fault no-answer)");
    return NULL;
}

buffer *tee_process(device *dev, struct span text, struct tee_outcome *outcome, struct error *err)
{
    *outcome = (struct tee_outcome){.code = ERR_NONE};
    AUTO(request) *r = request_new(text);
    if (r)
        return tee_answer(dev, r, outcome, err);
    error_memory(err);
    return NULL;
}

buffer *tee_answer(device *dev, request *r, struct tee_outcome *outcome, struct error *err)
{
    *outcome = (struct tee_outcome){.code = ERR_NONE};
    dev->recorded = dev->busy = false;
    snprintf(outcome->rid, sizeof outcome->rid, "%s", r->rid);
    snprintf(outcome->tid, sizeof outcome->tid, "%s", r->tid);
    outcome->type = r->type;
    if (!r->type) {
        error_set(err, RC_MALFORMED,
                  "the message is no request of OTrP: it has none of the seven names");
        error_hint(err, "a TEE gives no answer to it; the broker would say ERR_AGENT_TEE_FAIL");
        return NULL;
    }
    if (dev->faults && dev->faults->broker) {
        outcome->code = dev->faults->broker;
        error_set(&outcome->error, RC_PEER, "for no reason (--fault)");
        return broker_error_make(outcome->rid, outcome->tid, outcome->code);
    }
    AUTO(buffer) *made = decide(dev, r, outcome, err);
    if (made && device_commit(dev, err))
        return dev->faults ? deliver(dev->faults, TAKE(made), outcome, err) : TAKE(made);
    outcome->busy = dev->busy;
    device_roll_back(dev);
    return NULL;
}

buffer *tee_last_answer(device *dev, const char *tamid, const char *rid, struct error *err)
{
    AUTO(sqlite3_stmt) *row = sql_query(
        dev->db, err,
        "SELECT message FROM answer WHERE device = ?1 AND (?2 IS NULL OR tamid = ?2)"
        " AND (?3 IS NULL OR rid = ?3) ORDER BY serial DESC LIMIT 1",
        "itt", dev->id, tamid, rid);
    bool more;
    if (!row || !sql_next(dev->db, row, &more, err))
        return NULL;
    if (more) {
        buffer *message = buffer_copy(sql_blob(row, 0));
        if (!message)
            error_memory(err);
        return message;
    }
    error_set(err, RC_USAGE, "the device \"%s\" has no such answer", dev->name);
    error_hint(err, "it keeps the last one for each TAM");
    return NULL;
}
