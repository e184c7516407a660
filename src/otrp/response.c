/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/response.h"

#include <stdio.h>
#include <string.h>

#include "otrp/algorithm.h"
#include "pki/chain.h"
#include "util/base64.h"

void response_free(response *r)
{
    if (!r)
        return;
    free(r->rid);
    free(r->tid);
    free(r->code);
    free(r->reason);
    free(r->novelty);
    buffer_free(r->plaintext);
    buffer_free(r->payload);
    json_decref(r->content);
    dsi_free(r->device);
    free(r);
}

/* What is read on the way to an answer that is believed. */
typedef struct opening {
    json_doc *doc, *tbs_doc;
    jws *jws;
    buffer *payload;
    buffer *tbs_text; /* of tbs_doc, when the TBS came in another form; or NULL */
    const struct json_value *tbs;
    const char *path; /* of the TBS, for messages */
} opening;

static void opening_free(opening *o)
{
    jws_free(o->jws);
    json_doc_free(o->doc);
    json_doc_free(o->tbs_doc);
    buffer_free(o->tbs_text);
    buffer_free(o->payload);
}
AUTO_DEFINE(opening, opening_free)

static bool required_text(const struct json_value *object, const char *path, const char *name,
                          char **text, struct error *err)
{
    *text = member_text(object, name);
    if (*text)
        return true;
    return error_set(err, RC_MALFORMED, "%s.%s: %s", path, name,
                     json_member(object, name) ? "not a string" : "missing");
}

static bool check_ids(opening *o, response *r, const struct response_question *q,
                      struct error *err);

static response *read_broker_error(const struct json_value *error,
                                   const struct response_question *q, struct error *err)
{
    AUTO(response) *r = calloc(1, sizeof *r);
    if (!r) {
        error_memory(err);
        return NULL;
    }
    AUTO(char) *ver = NULL;
    return required_text(error, "OTrPBrokerError", "ver", &ver, err) &&
                   required_text(error, "OTrPBrokerError", "rid", &r->rid, err) &&
                   required_text(error, "OTrPBrokerError", "tid", &r->tid, err) &&
                   required_text(error, "OTrPBrokerError", "errcode", &r->code, err) &&
                   check_ids(NULL, r, q, err)
               ? TAKE(r)
               : NULL;
}

/* The JWS of an answer: of GetDeviceState, that of the one TEE in the array. */
static const struct json_value *signed_part(const struct json_value *outer,
                                            const struct message_type *type, struct error *err)
{
    if (type->id != MESSAGE_GET_DEVICE_STATE)
        return outer;
    if (outer->kind != JSON_KIND_ARRAY || outer->count != 1) {
        error_set(err, RC_MALFORMED, "%s: not an array of one TEE's answer", type->response);
        return NULL;
    }
    const struct json_value *element = outer->first->count == 1 ? message_jws(outer) : NULL;
    if (!element)
        error_set(err, RC_MALFORMED, "%s[0]: not an object with " GET_DEVICE_STATE_ELEMENT,
                  type->response);
    return element;
}

/* Brings the TBS into our form. */
static bool adapt_tbs(opening *o, const response *r, const struct response_question *q,
                      struct error *err)
{
    if (!foreign_read(o->tbs, r->type->response_tbs, o->path, q->reading, &o->tbs_text, err))
        return false;
    if (!o->tbs_text)
        return true;
    json_doc_free(o->tbs_doc);
    o->tbs_doc = json_doc_parse(buffer_span(o->tbs_text), o->path, err);
    o->tbs = o->tbs_doc ? json_root(o->tbs_doc) : NULL;
    return o->tbs != NULL;
}

static bool read_tbs(opening *o, const struct json_value *outer, response *r,
                     const struct response_question *q, struct error *err)
{
    const struct json_value *value = signed_part(outer, r->type, err);
    o->jws = value ? foreign_jws(value, r->type->response, true, q->reading, err) : NULL;
    if (!o->jws)
        return false;
    if (o->jws->serialization != SERIALIZATION_FLATTENED)
        return error_set(err, RC_MALFORMED, "%s: a flattened JWS is needed", r->type->response);
    if (!otrp_jws(o->jws, err))
        return false;
    r->sign_alg = jws_alg(o->jws, 0, err);
    o->payload = jws_payload(o->jws, err);
    o->tbs_doc = o->payload ? json_doc_parse(buffer_span(o->payload), "payload", err) : NULL;
    if (!o->tbs_doc)
        return false;
    o->path = r->type->response_tbs_name;
    o->tbs = json_member(json_root(o->tbs_doc), o->path);
    if (!o->tbs || json_root(o->tbs_doc)->count != 1)
        return error_set(err, RC_MALFORMED, "payload: not an object with %s as its one member",
                         o->path);
    return adapt_tbs(o, r, q, err);
}

static bool read_reason(const json_t *reason, response *r, struct error *err)
{
    const char *code = json_string_value(json_object_get(reason, "error-code"));
    const char *message = json_string_value(json_object_get(reason, "error-message"));
    if (!code)
        return error_set(err, RC_MALFORMED, "reason.error-code: missing, or not a string");
    r->code = strdup(code);
    r->reason = message ? strdup(message) : NULL;
    return r->code || error_memory(err);
}

static bool read_common(opening *o, response *r, const struct response_question *q,
                        struct error *err)
{
    AUTO(char) *status = NULL;
    AUTO(char) *ver = NULL;
    /* the four first, for their messages; unknown members of an answer are accepted, and told */
    if (!required_text(o->tbs, o->path, "ver", &ver, err) ||
        !required_text(o->tbs, o->path, "status", &status, err) ||
        !required_text(o->tbs, o->path, "rid", &r->rid, err) ||
        !required_text(o->tbs, o->path, "tid", &r->tid, err))
        return false;
    if (strcmp(ver, "1.0") != 0)
        return error_set(err, RC_MALFORMED, "%s.ver: \"%.20s\", not \"1.0\"", o->path, ver);
    r->passed = strcmp(status, "pass") == 0;
    if (!r->passed && strcmp(status, "fail") != 0)
        return error_set(err, RC_MALFORMED, "%s.status: \"%.20s\", neither pass nor fail", o->path,
                         status);
    if (!reading_check(q->reading, o->tbs, r->type->response_tbs, o->path, &r->novelty, err))
        return false;
    r->signerreq = member_true(o->tbs, "signerreq");
    const struct json_value *reason = json_member(o->tbs, "reason");
    if (!reason)
        return true;
    AUTO(json_t) *json = json_load_value(reason, "reason", err);
    return json && read_reason(json, r, err);
}

static bool check_ids(opening *o, response *r, const struct response_question *q, struct error *err)
{
    (void)o;
    if (q->rid && strcmp(q->rid, r->rid) != 0 && !reading_profile(q->reading)->any_rid)
        return error_set(err, RC_UNTRUSTED, "rid: \"%.80s\", the request has \"%.80s\"", r->rid,
                         q->rid);
    if (q->tid && strcmp(q->tid, r->tid) != 0)
        return error_set(err, RC_UNTRUSTED, "tid: \"%.80s\", the session has \"%.80s\"", r->tid,
                         q->tid);
    return true;
}

static bool decrypt(opening *o, response *r, const struct response_question *q, struct error *err)
{
    const char *name = r->type->sealed;
    const struct json_value *value = json_member(o->tbs, name);
    if (!value)
        return true;
    AUTO(jwe) *sealed = foreign_jwe(value, name, q->reading, err);
    if (!sealed || !otrp_jwe(sealed, err))
        return false;
    if (!q->cek.size && !q->tam_key)
        return error_set(err, RC_DECRYPT, "%s: no key of the TAM to open it with", name);
    bool fresh = q->tam_key && foreign_accepts(q->reading, FOREIGN_FRESH_CEK);
    key *keys[] = {q->tam_key};
    AUTO(buffer) *cek = NULL;
    r->plaintext = q->cek.size && !fresh ? jwe_decrypt_with_cek(sealed, q->cek, err)
                                         : jwe_decrypt(sealed, keys, 1, &cek, err);
    if (r->plaintext && cek && q->cek.size && !span_equal(buffer_span(cek), q->cek))
        foreign_found(q->reading, FOREIGN_FRESH_CEK, name);
    return r->plaintext != NULL;
}

/* The DSI of a content; plain: the content is as the TEE encrypted it. What it hashes to is what
 * was received. */
static dsi *read_dsi(const response *r, const struct response_question *q, json_t *inner,
                     bool plain, struct error *err)
{
    bool start = r->type->id == MESSAGE_GET_DEVICE_STATE;
    bool nameless = reading_profile(q->reading)->no_certificate;
    if (plain && !nameless && (start || !q->reading))
        return start ? dsi_parse(buffer_span(r->plaintext), err) : dsi_from_json(inner, err);
    if (start)
        return dsi_from_foreign(inner, buffer_span(r->plaintext), nameless, err);
    AUTO(json_doc) *doc = json_doc_parse(buffer_span(r->plaintext), r->type->sealed, err);
    const struct json_value *value = doc ? json_member(json_root(doc), "dsi") : NULL;
    AUTO(buffer) *hashed = value ? buffer_new(value->text.size + 16) : NULL;
    if (!hashed)
        return NULL;
    if (value->kind == JSON_KIND_STRING) {
        buffer_put_span(hashed, value->string);
    } else {
        buffer_put_text(hashed, "{\"dsi\":");
        buffer_put_span(hashed, value->text);
        buffer_put_char(hashed, '}');
    }
    return dsi_from_foreign(inner, buffer_span(hashed), nameless, err);
}

static bool read_content(opening *o, response *r, const struct response_question *q,
                         struct error *err)
{
    (void)o;
    if (!r->plaintext)
        return true;
    const char *name = r->type->sealed;
    const struct member *members = r->type->response_content;
    AUTO(json_doc) *received = json_doc_parse(buffer_span(r->plaintext), name, err);
    AUTO(buffer) *ours = NULL;
    if (!received || !foreign_read(json_root(received), members, name, q->reading, &ours, err))
        return false;
    AUTO(json_doc) *adapted = ours ? json_doc_parse(buffer_span(ours), name, err) : NULL;
    const json_doc *doc = ours ? adapted : received;
    r->content = doc && reading_check(q->reading, json_root(doc), members, name, &r->novelty, err)
                     ? json_load_value(json_root(doc), name, err)
                     : NULL;
    if (!r->content)
        return false;
    const json_t *reason = json_object_get(r->content, "reason");
    if (reason && !r->code && !read_reason(reason, r, err))
        return false;
    json_t *inner = json_object_get(r->content, "dsi");
    if (!inner)
        return true;
    r->device = read_dsi(r, q, inner, !ours, err);
    return r->device != NULL;
}

/* The certificate that speaks for this answer: the one remembered, or the DSI's own; NULL when
 * there is none. */
static X509 *tee_certificate(const response *r, const struct response_question *q)
{
    if (q->tee_cert)
        return q->tee_cert;
    return r->device ? sk_X509_value(r->device->tee_chain, 0) : NULL;
}

/* A failed GetDeviceState comes before any certificate: it stays unauthenticated, and r says so. */
static bool cannot_be_authenticated(const response *r)
{
    return r->type->id == MESSAGE_GET_DEVICE_STATE && !r->passed;
}

static bool check_tee_chain(opening *o, response *r, const struct response_question *q,
                            struct error *err)
{
    (void)o;
    X509 *cert = tee_certificate(r, q);
    if (!cert && q->for_state) {
        error_set(err, RC_MALFORMED, "%s%s%s carries no device state", r->type->response,
                  r->code ? " " : "", r->code ? r->code : "");
        return error_hint(err,
                          "use the answer to a get-device-state, or to a request with nextdsi");
    }
    if (!cert && !q->tee_key && !cannot_be_authenticated(r)) {
        error_set(err, RC_UNTRUSTED, "%s: no TEE certificate to verify it with", r->type->response);
        return error_hint(err, reading_profile(q->reading)->no_certificate
                                   ? "devices of this profile name none: pin the TEE's key with "
                                     "--key"
                                   : "give the device's state with --device");
    }
    if (!cert || !q->tee_anchors || q->tee_key)
        return true;
    AUTO(X509_stack) *path = chain_verify(
        &(struct chain_question){.leaf = cert,
                                 .others = r->device ? r->device->tee_chain : q->tee_others,
                                 .anchors = q->tee_anchors,
                                 .role = ROLE_TEE,
                                 .at = q->at},
        err);
    return path != NULL;
}

static bool check_signature(opening *o, response *r, const struct response_question *q,
                            struct error *err)
{
    X509 *cert = tee_certificate(r, q);
    if (!cert && !q->tee_key)
        return true;
    AUTO(key) *own = q->tee_key
                         ? NULL
                         : key_from_pkey(X509_get_pubkey(cert), false, "TEE certificate", err);
    const key *k = q->tee_key ? q->tee_key : own;
    r->authenticated = k && k->pkey && jws_verify(o->jws, 0, k, err);
    return r->authenticated;
}

/* A pass must carry what its type promises, and be for a device that is the certificate's. */
static bool check_content(opening *o, response *r, const struct response_question *q,
                          struct error *err)
{
    (void)o;
    if (!r->passed)
        return r->code || error_set(err, RC_MALFORMED, "reason: missing in a failure");
    if (r->type->id == MESSAGE_GET_DEVICE_STATE && !r->device)
        return error_set(err, RC_MALFORMED, "edsi: missing, or without a DSI");
    if (q->tee_cert && r->device && r->device->did &&
        X509_cmp(q->tee_cert, sk_X509_value(r->device->tee_chain, 0)) != 0)
        return error_set(err, RC_UNTRUSTED, "dsi: of another device than the session's");
    if (r->type->id == MESSAGE_GET_DEVICE_STATE)
        return true;
    const char *did;
    if (!r->content)
        return error_set(err, RC_MALFORMED, "content: missing");
    if (!json_object_get(r->content, "did") && reading_spares(q->reading, "did"))
        return true;
    if (!json_get_text(r->content, "content", "did", &did, err))
        return false;
    X509 *cert = tee_certificate(r, q);
    AUTO(char) *own = cert ? cert_did(cert, err) : NULL;
    if (cert && !own)
        return false;
    if (own && strcmp(own, did) != 0)
        return error_set(err, RC_UNTRUSTED, "content.did: not that of the TEE certificate");
    return true;
}

/* The outer name; for a broker's error there is nothing behind it to check. */
static bool read_outer(opening *o, response *r, const struct response_question *q,
                       struct error *err)
{
    const struct json_value *root = json_root(o->doc);
    if (root->kind != JSON_KIND_OBJECT || root->count != 1)
        return error_set(err, RC_MALFORMED, "answer: not an object with one member");
    r->type = message_find_response(root->first->name);
    if (!r->type)
        return error_set(err, RC_MALFORMED, "answer: \"%.*s\" is no response of OTrP",
                         (int)(root->first->name.size < 60 ? root->first->name.size : 60),
                         (const char *)root->first->name.data);
    return read_tbs(o, root->first, r, q, err);
}

typedef bool (*response_function)(opening *o, response *r, const struct response_question *q,
                                  struct error *err);

/* CHECK(name, function, title, section): what a TAM does with a response, in this order. */
#define CHECKS                                                                                     \
    CHECK("envelope", read_outer, "one known member, flattened JWS, matching inner name",          \
          "RFC 7515 section 7.2.2")                                                                \
    CHECK("members", read_common, "ver, status, rid and tid there", "OTrP common members")         \
    CHECK("session", check_ids, "rid and tid are those of the request", "OTrP common members")     \
    CHECK("decryption", decrypt, "edsi or content opens", "RFC 7516 section 5.2")                  \
    CHECK("content", read_content, "the plaintext has its members", "OTrP messages")               \
    CHECK("trust", check_tee_chain, "the TEE certificate chains to a TEE root",                    \
          "RFC 5280 section 6")                                                                    \
    CHECK("signature", check_signature, "JWS signature by the TEE's key", "RFC 7515 section 5.2")  \
    CHECK("device", check_content, "did and DSI are the TEE's, the answer is complete",            \
          "OTrP messages")

const struct response_check response_checks[] = {
#define CHECK(name, function, title, section) {name, title, section},
    CHECKS
#undef CHECK
};
const size_t response_check_count = COUNT(response_checks);

static const response_function functions[] = {
#define CHECK(name, function, title, section) function,
    CHECKS
#undef CHECK
};

response *response_explain(struct span text, const struct response_question *q,
                           response_report report, void *context, struct error *err)
{
    opening way = {.doc = json_doc_parse(text, "answer", err)};
    AUTO(opening) *o = &way;
    AUTO(response) *r = o->doc ? calloc(1, sizeof *r) : NULL;
    if (!r)
        return o->doc ? (error_memory(err), NULL) : NULL;
    const struct json_value *root = json_root(o->doc);
    if (root->kind == JSON_KIND_OBJECT && root->count == 1 &&
        span_is(root->first->name, "OTrPBrokerError"))
        return read_broker_error(root->first, q, err);
    bool passed = true;
    for (size_t i = 0; i < COUNT(functions); i++) {
        bool reached = passed;
        passed = passed && functions[i](o, r, q, err);
        if (report)
            report(context, &response_checks[i], passed, reached ? err : NULL);
    }
    r->payload = TAKE(o->payload);
    return passed ? TAKE(r) : NULL;
}

response *response_open(struct span text, const struct response_question *q, struct error *err)
{
    return response_explain(text, q, NULL, NULL, err);
}

char *response_claim(struct span text, const char *name)
{
    struct error ignored;
    AUTO(json_doc) *doc = json_doc_parse(text, "answer", &ignored);
    const struct json_value *root = doc ? json_root(doc) : NULL;
    if (!root || root->kind != JSON_KIND_OBJECT || root->count != 1)
        return NULL;
    if (span_is(root->first->name, "OTrPBrokerError"))
        return member_text(root->first, name);
    const struct message_type *type = message_find_response(root->first->name);
    const struct json_value *value = type ? signed_part(root->first, type, &ignored) : NULL;
    struct span encoded;
    if (!value || !member_string(value, "answer", "payload", true, &encoded, &ignored))
        return NULL;
    AUTO(buffer) *payload = base64url_decode(encoded, "payload", &ignored);
    AUTO(json_doc) *tbs = payload ? json_doc_parse(buffer_span(payload), "payload", &ignored)
                                  : NULL;
    return tbs ? member_text(json_member(json_root(tbs), type->response_tbs_name), name) : NULL;
}

char *response_tid(struct span text)
{
    return response_claim(text, "tid");
}
