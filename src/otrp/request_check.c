/* SPDX-License-Identifier: Apache-2.0 */
/* The table of checks that a request goes through: a row is a name, a function, an error code, a
 * section. */
#include "otrp/request_check.h"

#include <string.h>

#include "otrp/algorithm.h"
#include "util/base64.h"

static int check_envelope(request *r, const struct tee_view *view, struct error *err)
{
    if (!r->doc) {
        json_doc_free(json_doc_parse(r->text, "message", err)); /* again, for its reason */
        return fail(ERR_REQUEST_INVALID);
    }
    const struct json_value *root = json_root(r->doc);
    if (root->kind != JSON_KIND_OBJECT || root->count != 1 || !r->type) {
        error_set(err, RC_MALFORMED,
                  "message: not an object with the name of a request as its one member");
        return fail(ERR_REQUEST_INVALID);
    }
    r->jws = foreign_jws(root->first, r->type->request, false, view->reading, err);
    if (!r->jws)
        return fail(ERR_REQUEST_INVALID);
    if (r->jws->serialization == SERIALIZATION_FLATTENED)
        return ERR_NONE;
    error_set(err, RC_MALFORMED, "%s: a flattened JWS is needed", r->type->request);
    error_rule(err, "RFC 7515 section 7.2.2");
    return fail(ERR_REQUEST_INVALID);
}

static int check_version_there(request *r, const struct tee_view *view, struct error *err)
{
    (void)view;
    if (!r->tbs_doc && r->payload) {
        json_doc_free(json_doc_parse(buffer_span(r->payload), "payload", err));
        return fail(ERR_REQUEST_INVALID);
    }
    if (!r->payload) {
        buffer_free(jws_payload(r->jws, err));
        return fail(ERR_REQUEST_INVALID);
    }
    const struct json_value *root = json_root(r->tbs_doc);
    if (!r->tbs || root->count != 1) {
        error_set(err, RC_MALFORMED, "payload: not an object with %s as its one member",
                  r->type->request_tbs_name);
        error_hint(err, "the inner name must be that of the outer one, %s", r->type->request);
        return fail(ERR_REQUEST_INVALID);
    }
    const struct json_value *ver = json_member(r->tbs, "ver");
    if (ver && ver->kind == JSON_KIND_STRING)
        return ERR_NONE;
    error_set(err, RC_MALFORMED, "%s.ver: %s", r->type->request_tbs_name,
              ver ? "not a string" : "missing");
    return fail(ERR_REQUEST_INVALID);
}

static int check_version(request *r, const struct tee_view *view, struct error *err)
{
    (void)view;
    struct span ver = json_member(r->tbs, "ver")->string;
    if (span_is(ver, "1.0"))
        return ERR_NONE;
    error_set(err, RC_MALFORMED, "%s.ver: \"%.*s\", not \"1.0\"", r->type->request_tbs_name,
              (int)(ver.size < 20 ? ver.size : 20), (const char *)ver.data);
    return fail(ERR_UNSUPPORTED_MSG_VERSION);
}

static int check_members(request *r, const struct tee_view *view, struct error *err)
{
    return request_adapt(r, view->reading, err) &&
                   reading_check(view->reading, r->tbs, r->type->request_tbs,
                                 r->type->request_tbs_name, NULL, err)
               ? ERR_NONE
               : fail(ERR_REQUEST_INVALID);
}

static int check_firmware(request *r, const struct tee_view *view, struct error *err)
{
    if (r->type->id != MESSAGE_GET_DEVICE_STATE || !view->firmware_trusted)
        return NOT_CHECKED;
    return view->firmware_trusted(view->device, err) ? ERR_NONE : fail(ERR_TFW_NOT_TRUSTED);
}

/* What a member says of the device or the signer, against what is known of it. */
static int compare(const struct json_value *said, const char *known, enum error_code_id code)
{
    if (!said || !known)
        return NOT_CHECKED;
    return span_is(said->string, known) ? ERR_NONE : fail(code);
}

static int check_tee(request *r, const struct tee_view *view, struct error *err)
{
    const struct json_value *tee = json_member(r->tbs, "tee");
    int found = compare(tee, view->tee_name, ERR_REQUEST_INVALID);
    if (found > 0)
        error_set(err, RC_UNTRUSTED, "%s.tee: the request is for the TEE \"%.*s\", this is \"%s\"",
                  r->type->request_tbs_name, (int)tee->string.size, (const char *)tee->string.data,
                  view->tee_name);
    return found;
}

static int check_replay(request *r, const struct tee_view *view, struct error *err)
{
    if (!view->replay)
        return NOT_CHECKED;
    switch (view->replay(view->device, r)) {
    case REPLAY_NEW:
        r->recorded = true;
        return ERR_NONE;
    case REPLAY_SEEN:
        r->recorded = true;
        error_set(err, RC_UNTRUSTED, "replay: rid \"%s\" was used in tid \"%s\" before", r->rid,
                  r->tid);
        return fail(ERR_REQUEST_INVALID);
    case REPLAY_OLD_SESSION:
        error_set(err, RC_UNTRUSTED, "replay: tid \"%s\" belongs to an older session", r->tid);
        return fail(ERR_REQUEST_INVALID);
    case REPLAY_FULL:
        error_set(err, RC_UNTRUSTED, "the replay record of this TAM is full");
        return fail(ERR_TEE_RESOURCE_FULL);
    case REPLAY_FAILED:
        break;
    }
    error_set(err, RC_INTERNAL, "the replay record cannot be used");
    return fail(ERR_TEE_FAIL);
}

static int check_dsihash(request *r, const struct tee_view *view, struct error *err)
{
    const struct json_value *value = json_member(r->tbs, "dsihash");
    if (!value || !view->dsihash_current)
        return NOT_CHECKED;
    AUTO(buffer) *hash = base64_decode(value->string, "dsihash", err);
    if (!hash || hash->size != 32) {
        if (hash)
            error_set(err, RC_MALFORMED, "dsihash: %zu bytes, SHA-256 has 32", hash->size);
        return fail(ERR_REQUEST_INVALID);
    }
    if (view->dsihash_current(view->device, r->tamid, hash->data))
        return ERR_NONE;
    error_set(err, RC_UNTRUSTED, "dsihash: not the hash of the device state as it is now");
    return fail(ERR_DEV_STATE_MISMATCH);
}

/* supportedsigalgs of the request, or of its session, oblige the TEE to answer with one of them. */
static int check_answer_algorithm(request *r, const struct tee_view *view, struct error *err)
{
    if (!view->device_key)
        return NOT_CHECKED;
    const struct json_value *own = json_member(r->tbs, "supportedsigalgs");
    AUTO(json_t) *list = own ? json_load_value(own, "supportedsigalgs", err) : NULL;
    if (own && !list)
        return fail(ERR_REQUEST_INVALID);
    if (!own && view->session_algorithms && r->tamid && r->type->id != MESSAGE_GET_DEVICE_STATE)
        list = view->session_algorithms(view->device, r->tamid);
    struct error ignored;
    for (size_t i = 0; i < json_array_size(list) && !r->answer_alg; i++) {
        const struct jwa *alg = jwa_find(JWA_SIGNATURE, json_string_value(json_array_get(list, i)));
        if (alg && otrp_algorithm(alg) && tee_supports(view, alg, "answer", &ignored) &&
            jwa_fits(alg, view->device_key, "sign", &ignored))
            r->answer_alg = alg;
    }
    const struct jwa *wrap = r->signer_key ? jwa_for_encryption(r->signer_key, err) : NULL;
    if (wrap && !tee_supports(view, wrap, "the signer's key", err))
        return fail(ERR_UNSUPPORTED_CRYPTO_ALG);
    if (!list || r->answer_alg)
        return ERR_NONE;
    error_set(err, RC_UNTRUSTED, "supportedsigalgs: none of them fits the device's key");
    return fail(ERR_UNSUPPORTED_CRYPTO_ALG);
}

static int check_content_algorithms(request *r, const struct tee_view *view, struct error *err)
{
    const struct json_value *value = json_member(r->tbs, "content");
    if (!value)
        return NOT_CHECKED;
    if (value->count == 0 && foreign_accepts(view->reading, FOREIGN_NO_CONTENT)) {
        foreign_found(view->reading, FOREIGN_NO_CONTENT, "content");
        return NOT_CHECKED;
    }
    r->content = foreign_jwe(value, "content", view->reading, err);
    if (!r->content)
        return fail(ERR_REQUEST_INVALID);
    if (otrp_jwe(r->content, err)) {
        r->content_enc = jwe_enc(r->content, err);
        return tee_supports(view, r->content_enc, "content", err) &&
                       tee_supports(view, jwe_alg(r->content, 0, err), "content", err)
                   ? ERR_NONE
                   : fail(ERR_UNSUPPORTED_CRYPTO_ALG);
    }
    return fail(err->rc == RC_DECRYPT ? ERR_UNSUPPORTED_CRYPTO_ALG : ERR_REQUEST_INVALID);
}

/* Brings the decrypted content into our form. */
static bool adapt_content(request *r, const struct reading *reading, struct error *err)
{
    if (!foreign_read(json_root(r->content_doc), r->type->request_content, "content", reading,
                      &r->fields_text, err))
        return false;
    if (!r->fields_text)
        return true;
    json_doc_free(r->content_doc);
    r->content_doc = json_doc_parse(buffer_span(r->fields_text), "content", err);
    return r->content_doc != NULL;
}

static int check_content(request *r, const struct tee_view *view, struct error *err)
{
    if (!r->content || !view->device_key)
        return NOT_CHECKED;
    key *keys[] = {view->device_key};
    r->plaintext = jwe_decrypt(r->content, keys, 1, &r->cek, err);
    if (!r->plaintext)
        return fail(ERR_REQUEST_INVALID);
    r->content_doc = json_doc_parse(buffer_span(r->plaintext), "content", err);
    if (!r->content_doc || !adapt_content(r, view->reading, err) ||
        !reading_check(view->reading, json_root(r->content_doc), r->type->request_content,
                       "content", NULL, err))
        return fail(ERR_REQUEST_INVALID);
    r->fields = json_root(r->content_doc);
    return ERR_NONE;
}

static int check_did(request *r, const struct tee_view *view, struct error *err)
{
    int found = compare(json_member(r->fields, "did"), view->did, ERR_REQUEST_INVALID);
    if (found > 0)
        error_set(err, RC_UNTRUSTED, "content.did: the request is for another device");
    return found;
}

static int check_tamid(request *r, const struct tee_view *view, struct error *err)
{
    (void)view;
    const struct json_value *tamid = json_member(r->fields, "tamid");
    int found = compare(tamid, r->tamid, ERR_TAM_NOT_AUTHORIZED);
    if (found > 0)
        error_set(err, RC_UNTRUSTED, "content.tamid: \"%.*s\", but the signer is \"%s\"",
                  (int)tamid->string.size, (const char *)tamid->string.data, r->tamid);
    return found;
}

static int check_sd(request *r, const struct tee_view *view, struct error *err)
{
    if (!r->fields || !view->sd_count || r->type->id == MESSAGE_CREATE_SD)
        return NOT_CHECKED;
    AUTO(char) *sdname = member_text(r->fields, "sdname");
    AUTO(char) *spid = member_text(r->fields, "spid");
    int count = sdname ? view->sd_count(view->device, r->tamid, spid, sdname) : -1;
    /* A TA for an sdname under another spid must not tell that SD's existence apart from a wrong
     * package. */
    bool for_ta = r->type->id == MESSAGE_INSTALL_TA || r->type->id == MESSAGE_UPDATE_TA;
    if (count == 0 && for_ta && view->sd_count(view->device, r->tamid, NULL, sdname) > 0) {
        error_set(err, RC_UNTRUSTED, "content.spid: the SD \"%s\" belongs to another SP", sdname);
        return fail(ERR_TA_INVALID);
    }
    if (count == 1)
        return ERR_NONE;
    if (count == 0) {
        error_set(err, RC_UNTRUSTED, "content.sdname: this TAM has no SD \"%s\"", sdname);
        return fail(ERR_SD_NOT_FOUND);
    }
    if (count > 1) {
        error_set(err, RC_UNTRUSTED, "content.sdname: \"%s\" fits SDs of several SPs", sdname);
        return fail(ERR_REQUEST_INVALID);
    }
    error_set(err, RC_INTERNAL, "the SDs cannot be looked up");
    return fail(ERR_TEE_FAIL);
}

/* CHECK(name, function, usual failure, title, section): the rows of otrp-messages(7), CHECKS OF A
 * TEE, in their order. */
#define CHECKS                                                                                     \
    CHECK("envelope", check_envelope, REQUEST_INVALID,                                             \
          "one JSON object, one known member, flattened JWS", "RFC 7515 section 7.2.2")            \
    CHECK("algorithm", check_algorithm, UNSUPPORTED_CRYPTO_ALG, "signing algorithm supported",     \
          "RFC 7518 section 3.1")                                                                  \
    CHECK("signer", check_signer, REQUEST_INVALID, "signer certificate present",                   \
          "RFC 7515 section 4.1.6")                                                                \
    CHECK("trust", check_trust, TAM_NOT_TRUSTED,                                                   \
          "chain to a TAM root, times, usage, strength; one tamid", "RFC 5280 section 6")          \
    CHECK("signature", check_signature, REQUEST_INVALID, "JWS signature by the signer's key",      \
          "RFC 7515 section 5.2")                                                                  \
    CHECK("version-present", check_version_there, REQUEST_INVALID, "ver present and a string",     \
          "OTrP common members")                                                                   \
    CHECK("version", check_version, UNSUPPORTED_MSG_VERSION, "ver is \"1.0\"",                     \
          "OTrP common members")                                                                   \
    CHECK("members", check_members, REQUEST_INVALID,                                               \
          "all mandatory members, no unknown ones, right types and lengths", "OTrP messages")      \
    CHECK("revocation", check_revocation, TAM_NOT_TRUSTED,                                         \
          "a fresh, valid, good OCSP response per certificate", "RFC 6960")                        \
    CHECK("firmware", check_firmware, TFW_NOT_TRUSTED, "firmware trustworthy",                     \
          "OTrP GetDeviceState")                                                                   \
    CHECK("tee", check_tee, REQUEST_INVALID, "tee names this TEE", "OTrP common members")          \
    CHECK("replay", check_replay, REQUEST_INVALID, "(rid, tid) new, tid current",                  \
          "OTrP common members")                                                                   \
    CHECK("dsihash", check_dsihash, DEV_STATE_MISMATCH, "dsihash is that of the state",            \
          "OTrP common members")                                                                   \
    CHECK("answer-algorithm", check_answer_algorithm, UNSUPPORTED_CRYPTO_ALG,                      \
          "a signing algorithm in common for the answer", "OTrP common members")                   \
    CHECK("content-algorithms", check_content_algorithms, UNSUPPORTED_CRYPTO_ALG,                  \
          "JWE alg and enc supported", "RFC 7518 sections 4.1 and 5.1")                            \
    CHECK("content", check_content, REQUEST_INVALID, "content decrypts and has its members",       \
          "RFC 7516 section 5.2")                                                                  \
    CHECK("did", check_did, REQUEST_INVALID, "did is this device's", "OTrP CreateSD")              \
    CHECK("tamid", check_tamid, TAM_NOT_AUTHORIZED, "tamid is the signer's", "OTrP messages")      \
    CHECK("sd", check_sd, SD_NOT_FOUND, "the SD exists for this TAM", "OTrP messages")

const struct request_check request_checks[] = {
#define CHECK(name, function, failure, title, section) {name, title, ERR_##failure, section},
    CHECKS
#undef CHECK
};
const size_t request_check_count = COUNT(request_checks);

static const check_function functions[] = {
#define CHECK(name, function, failure, title, section) function,
    CHECKS
#undef CHECK
};

static void tell(check_report report, void *context, size_t row, enum check_verdict verdict,
                 const struct check_result *result)
{
    if (report)
        report(context, &request_checks[row], verdict, result);
}

struct check_result request_check(request *r, const struct tee_view *view, check_report report,
                                  void *context)
{
    struct check_result result = {.code = ERR_NONE};
    for (size_t row = 0; row < request_check_count; row++) {
        if (result.code != ERR_NONE) {
            tell(report, context, row, CHECK_NOT_REACHED, &result);
            continue;
        }
        bool waived = reading_waives(view->reading, request_checks[row].name) &&
                      functions[row] != check_revocation;
        int found = waived ? NOT_CHECKED : functions[row](r, view, &result.error);
        if (found <= 0) {
            tell(report, context, row, found == NOT_CHECKED ? CHECK_NOT_CHECKED : CHECK_PASSED,
                 &result);
            continue;
        }
        result.code = (enum error_code_id)found;
        result.row = row;
        tell(report, context, row, CHECK_FAILED, &result);
    }
    return result;
}
