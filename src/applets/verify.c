/* SPDX-License-Identifier: Apache-2.0 */
/* otrp verify: a verdict on a JWS or on a whole OTrP message, and on request the list of checks. */
#include "applets/verify.h"
#include "applets/words.h"

#include <stdio.h>
#include <string.h>

#include "jose/serialization.h"
#include "otrp/request.h"
#include "otrp/response.h"
#include "otrp/ta_information.h"
#include "pki/chain.h"
#include "pki/ocsp.h"
#include "pki/x5c.h"
#include "util/base64.h"

static const struct option_row options[] = {
    OPT_TEXT(verify, key, 'k', "KEY", OPT_FILE,
             "public key or certificate that must have signed it"),
    OPT_LIST(verify, trust, 't', "ROOTS", OPT_FILE,
             "file or folder of roots to which the signer's certificate must lead, and of CAs on "
             "the way (repeatable)"),
    OPT_TEXT(verify, ocsp, 0, "FILE", OPT_FILE, "stapling set to use besides the message's own"),
    OPT_FLAG(verify, no_revocation, 0, 0, "do not ask for revocation status"),
    OPT_TEXT(verify, device, 'd', "FILE", OPT_FILE,
             "device state: gives the TEE's certificate, name, did and dsihash"),
    OPT_TEXT(verify, request, 0, "FILE", OPT_FILE,
             "the request that a message answers: rid and tid, taid and nonce must be its own"),
    OPT_TEXT(verify, tam_key, 0, "KEY", OPT_FILE, "private key of the TAM: opens an answer"),
    OPT_TEXT(verify, cek, 0, "FILE", OPT_FILE,
             "content encryption key of the request (--save-cek): the answer must have used it"),
    OPT_WORDS(verify, message, 'm', "NAME", words_message, 0,
              "the outer name that the message must have"),
    OPT_TEXT(verify, detached, 0, "FILE", OPT_FILE, "the payload of a JWS that is not in it"),
    OPT_TEXT(verify, out, 'o', "FILE", OPT_FILE, "write the payload to FILE, once it is verified"),
    OPT_FLAG(verify, insecure_small_keys, 0, 0, "accept RSA keys under 2048 bits"),
    OPT_FLAG(verify, explain, 0, 0, "list all checks, in order, with what each found"),
    OPERAND(verify, text, "MESSAGE", OPT_FILE, "JWS or OTrP message (default: standard input)"),
    OPT_END};

/* ---- a request ---- */

static size_t given_responses(void *context, X509 *cert, buffer **responses)
{
    const evidence *e = context;
    (void)cert;
    for (size_t i = 0; i < e->ocsp_count; i++)
        if (!(responses[i] = buffer_copy(buffer_span(e->ocsp[i]))))
            return i;
    return e->ocsp_count;
}

static bool hash_is_current(void *context, const char *tamid, const uint8_t hash[32])
{
    const evidence *e = context;
    (void)tamid;
    return memcmp(e->device->hash, hash, 32) == 0;
}

static void note_request_check(void *context, const struct request_check *row,
                               enum check_verdict verdict, const struct check_result *result)
{
    static const char *const names[] = {"passed", "failed", "not checked", "not reached"};
    const evidence *e = context;
    bool waived = verdict == CHECK_NOT_CHECKED && reading_waives(e->reading, row->name);
    checks_add(context, row->name, row->title, row->section, waived ? "waived" : names[verdict],
               verdict == CHECK_FAILED ? result->error.message : NULL);
}

/* What a person's exit code is for a row that fails: of the library's reasons, only usage is none
 * here. */
static enum rc request_rc(const struct check_result *result)
{
    return result->error.rc == RC_USAGE ? RC_UNTRUSTED : result->error.rc;
}

/* What helps where the revocation status is not "good". */
static bool hint_revocation(struct error *err)
{
    if (err->cause == CAUSE_REVOKED)
        return error_hint(err, "what is revoked stays revoked: have a new certificate issued");
    if (err->cause == CAUSE_STALE)
        return error_hint(err,
                          "have the stapling set made anew: 'otrp pki-ocsp --pki DIR --force -o "
                          "SET CERT', and give it with --ocsp; or --no-revocation to do "
                          "without");
    return error_hint(err, "give a stapling set with --ocsp, or --no-revocation to do without");
}

static bool verify_request(evidence *e, struct span text, struct error *err)
{
    AUTO(request) *r = request_new(text);
    if (!r)
        return error_memory(err);
    if (!e->anchors && !e->keys) {
        error_set(err, RC_USAGE, "nothing to verify the request with");
        return error_hint(err,
                          "give the TAM roots with --trust, or the TAM's certificate with --key");
    }
    struct tee_view view = {.device = e,
                            .now = e->now,
                            .anchors = e->anchors,
                            .signer = e->keys ? e->keys->keys[0] : NULL,
                            .known_responses = given_responses,
                            .no_revocation = e->options->no_revocation,
                            .reading = e->reading,
                            .tee_name = e->device ? e->device->tee_name : NULL,
                            .did = e->device ? e->device->did : NULL,
                            .dsihash_current = e->device ? hash_is_current : NULL};
    struct check_result result = request_check(r, &view, note_request_check, e);
    if (result.code != ERR_NONE) {
        *err = result.error;
        err->rc = request_rc(&result);
        if (!err->hint[0] && strcmp(request_checks[result.row].name, "revocation") == 0)
            hint_revocation(err);
        else if (!err->hint[0])
            error_hint(err, "a TEE answers %s", error_code_name(result.code));
        return false;
    }
    snprintf(e->subject, sizeof e->subject, "%s%s%s, rid %.60s, tid %.60s", r->type->request,
             r->tamid ? " of TAM " : "", r->tamid ? r->tamid : "", r->rid, r->tid);
    e->payload = TAKE(r->payload);
    return true;
}

/* ---- a response ---- */

static void note_response_check(void *context, const struct response_check *row, bool passed,
                                const struct error *err)
{
    checks_add(context, row->name, row->title, row->section,
               passed ? "passed"
               : err  ? "failed"
                      : "not reached",
               passed || !err ? NULL : err->message);
}

static bool verify_response(evidence *e, struct span text, struct error *err)
{
    struct response_question question = {
        .tam_key = e->tam_keys ? e->tam_keys->keys[0] : NULL,
        .cek = buffer_span(e->cek),
        .tee_key = e->keys ? e->keys->keys[0] : NULL,
        .tee_cert = e->device ? sk_X509_value(e->device->tee_chain, 0) : NULL,
        .tee_others = e->device ? e->device->tee_chain : NULL,
        .tee_anchors = e->anchors,
        .rid = e->rid,
        .tid = e->tid,
        .reading = e->reading,
        .at = e->now};
    if (!e->anchors && !e->keys && !e->device) {
        error_set(err, RC_USAGE, "nothing to verify the answer with");
        return error_hint(err, "give the TEE roots with --trust and the TAM's key with --tam-key, "
                               "or --device, or --key");
    }
    AUTO(response) *r = response_explain(text, &question, note_response_check, e, err);
    if (!r && err->rc == RC_DECRYPT && !e->tam_keys && !e->cek && !err->hint[0])
        error_hint(err, "give the TAM's private key with --tam-key, or the CEK with --cek");
    if (!r)
        return false;
    if (r->novelty)
        warn(e->call, "note: %s: the protocol knows no such member", r->novelty);
    if (!r->authenticated) {
        checks_add(e, "signature", "the answer is signed", "OTrP common members", "failed",
                   "nobody has signed it");
        error_set(err, RC_SIGNATURE, "%s %s: not signed by anyone who could be known",
                  r->type ? r->type->response : "OTrPBrokerError", r->code ? r->code : "");
        return error_hint(
            err, r->type ? "a failed GetDeviceState names no device: give --device or --key"
                         : "a broker's error is never signed");
    }
    snprintf(e->subject, sizeof e->subject, "%s, %s%s%s, rid %.60s, tid %.60s", r->type->response,
             r->passed ? "pass" : "fail", r->code ? " " : "", r->code ? r->code : "", r->rid,
             r->tid);
    e->payload = TAKE(r->payload);
    return true;
}

/* ---- what a client application gets ---- */

static const char *query_text(const evidence *e, const char *name)
{
    return json_string_value(json_object_get(e->query, name));
}

static bool verify_information(evidence *e, struct span text, struct error *err)
{
    const struct ta_information_question question = {.aik = e->keys ? e->keys->keys[0] : NULL,
                                                     .device = e->device,
                                                     .taid = query_text(e, "taid"),
                                                     .spid = query_text(e, "spid"),
                                                     .nonce = query_text(e, "nonce")};
    if (!e->keys && !e->device) {
        error_set(err, RC_USAGE, "nothing to verify the information with");
        return error_hint(err, "give the SP AIK with --key, or the device's state, which has it, "
                               "with --device");
    }
    e->payload = ta_information_explain(text, &question, note_response_check, e, err);
    snprintf(e->subject, sizeof e->subject, "TAInformation, signed by the AIK of the SP");
    return e->payload != NULL;
}

/* ---- a JWS ---- */

static X509_stack *x5c_certs(const jws *message, struct error *err)
{
    const json_t *x5c = json_object_get(message->signatures[0].header, "x5c");
    if (!x5c)
        x5c = json_object_get(message->signatures[0].protected, "x5c");
    if (x5c)
        return x5c_to_certs(x5c, "header.x5c", err);
    error_set(err, RC_UNTRUSTED, "%s: no x5c with the signer's certificate", message->what);
    error_hint(err, "give the signer's key with --key");
    return NULL;
}

/* x5t#S256 says which certificate signed: that of x5c or --key (RFC 7515 section 4.1.8). */
static bool check_thumbprint(const jws *message, const X509 *cert, struct error *err)
{
    const struct jws_signature *s = &message->signatures[0];
    const json_t *headers[] = {s->protected, s->header};
    bool wrong;
    const char *said = headers_text(headers, COUNT(headers), "x5t#S256", &wrong);
    uint8_t hash[32];
    if (!said && !wrong)
        return true;
    AUTO(buffer) *thumbprint = said ? base64url_decode(span_text(said), "x5t#S256", err) : NULL;
    if (thumbprint && X509_digest(cert, EVP_sha256(), hash, NULL) == 1 &&
        span_equal(buffer_span(thumbprint), SPAN(hash, sizeof hash)))
        return true;
    error_set(err, RC_UNTRUSTED, "%s: x5t#S256 is not of the signer's certificate", message->what);
    return error_rule(err, "RFC 7515 section 4.1.8");
}

/* Whether --ocsp speaks well of every certificate below the root. */
static bool path_is_good(const evidence *e, const X509_stack *path, struct error *err)
{
    struct span responses[LIMIT_OCSP_RESPONSES];
    for (size_t i = 0; i < e->ocsp_count; i++)
        responses[i] = buffer_span(e->ocsp[i]);
    for (int i = 0; i + 1 < sk_X509_num(path); i++)
        if (!ocsp_check(responses, e->ocsp_count, sk_X509_value(path, i),
                        sk_X509_value(path, i + 1), e->now, NULL, NULL, err))
            return hint_revocation(err);
    return true;
}

/* With --trust, any of the four hierarchies may have issued the signer: the usage is
 * digitalSignature. */
static key *trusted_signer(evidence *e, const jws *message, struct error *err)
{
    AUTO(X509_stack) *certs = x5c_certs(message, err);
    AUTO(X509_stack) *path = certs ? chain_verify(
                                         &(struct chain_question){.leaf = sk_X509_value(certs, 0),
                                                                  .others = certs,
                                                                  .anchors = e->anchors,
                                                                  .role = ROLE_SP,
                                                                  .at = e->now},
                                         err)
                                   : NULL;
    if (!path || !check_thumbprint(message, sk_X509_value(certs, 0), err))
        return NULL;
    if (!e->options->no_revocation && !path_is_good(e, path, err))
        return NULL;
    checks_add(e, "trust", "chain of x5c to a root", "RFC 5280 section 6", "passed", NULL);
    return key_from_pkey(X509_get_pubkey(sk_X509_value(certs, 0)), false, "x5c", err);
}

/* One good signature by one of the keys is enough. */
static bool verify_with_keys(const jws *message, const key_set *keys, struct error *err)
{
    bool wrong, ambiguous;
    for (size_t i = 0; i < message->count; i++) {
        const json_t *headers[] = {message->signatures[i].protected, message->signatures[i].header};
        const char *kid = headers_text(headers, COUNT(headers), "kid", &wrong);
        const struct jwa *alg = jws_alg(message, i, err);
        const key *k = alg ? key_set_choose(keys, kid, alg, "verify", &ambiguous, err) : NULL;
        if (k && jws_verify(message, i, k, err))
            return true;
        if (alg && !k)
            err->rc = RC_SIGNATURE;
    }
    return false;
}

/* A detached payload is signed in its base64url form. */
static bool attach(evidence *e, jws *message, struct error *err)
{
    const char *path = e->options->detached;
    if (!path)
        return true;
    if (!message->detached)
        return error_set(err, RC_USAGE, "--detached: the payload is in the JWS");
    AUTO(buffer) *payload = input_read(path, limits.file_bytes, err);
    e->attached = payload ? buffer_new(payload->size / 3 * 4 + 4) : NULL;
    if (!e->attached)
        return false;
    buffer_put_base64url(e->attached, buffer_span(payload));
    message->payload = buffer_span(e->attached);
    return true;
}

static bool verify_jws(evidence *e, jws *message, struct error *err)
{
    if (!evidence_counts(e, KIND_JWS, err) || !attach(e, message, err))
        return false;
    if (!e->keys && !e->anchors) {
        error_set(err, RC_USAGE, "nothing to verify the signature with");
        return error_hint(err, "give --key KEY, or --trust ROOTS to take the key from x5c");
    }
    AUTO(key) *signer = e->anchors ? trusted_signer(e, message, err) : NULL;
    bool verified = false;
    if (signer)
        verified = jws_verify(message, 0, signer, err);
    else if (e->keys)
        verified = verify_with_keys(message, e->keys, err);
    bool trusted = e->keys || signer;
    if (!trusted)
        checks_add(e, "trust", "chain of x5c to a root", "RFC 5280 section 6", "failed",
                   err->message);
    checks_add(e, "signature", "JWS signature", "RFC 7515 section 5.2",
               !trusted   ? "not reached"
               : verified ? "passed"
                          : "failed",
               !trusted || verified ? NULL : err->message);
    if (!verified)
        return false;
    const struct jwa *alg = jws_alg(message, 0, err);
    snprintf(e->subject, sizeof e->subject, "%s, %s", message->what, alg ? alg->name : "?");
    e->payload = jws_payload(message, err);
    return e->payload != NULL;
}

/* ---- whatever it is ---- */

/* Name and value of the one member that an OTrP message is; NULL when text is a JWS by itself. */
static const struct json_value *outer_member(const json_doc *doc)
{
    const struct json_value *root = doc ? json_root(doc) : NULL;
    return root && root->kind == JSON_KIND_OBJECT && root->count == 1 ? root->first : NULL;
}

static bool check_name(const struct verify *o, const struct json_value *outer, struct error *err)
{
    if (!o->message || (outer && span_is(outer->name, o->message)))
        return true;
    return error_set(err, RC_MALFORMED, "the message is no %s: it is %s%.*s", o->message,
                     outer ? "" : "a JWS without a name",
                     outer ? (int)(outer->name.size < 60 ? outer->name.size : 60) : 0,
                     outer ? (const char *)outer->name.data : "");
}

/* What is no message by itself may have one in it, or be for another command. */
static bool not_readable(const evidence *e, struct span text, struct error *err)
{
    if (err->rc == RC_MALFORMED && serialization_kind(text) == SERIALIZED_JWE) {
        error_set(err, RC_MALFORMED, "%s: this is a JWE: nobody has signed it",
                  input_name(e->options->text));
        return error_hint(err, "'otrp decrypt' is for a JWE");
    }
    if (err->rc == RC_MALFORMED && !err->hint[0])
        error_hint(err, "'otrp inspect' finds messages in logs, mails and dumps");
    return false;
}

static bool verify_text(evidence *e, struct span text, struct error *err)
{
    struct error not_json = {.rc = RC_OK};
    text = span_trim(text);
    if (text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) {
        error_set(err, RC_MALFORMED, "%s: begins with a byte order mark",
                  input_name(e->options->text));
        error_rule(err, "RFC 8259 section 8.1");
        return not_readable(e, text, err);
    }
    AUTO(json_doc) *doc = text.data[0] == '{' ? json_doc_parse(text, "message", &not_json) : NULL;
    if (text.data[0] == '{' && !doc) {
        *err = not_json;
        return not_readable(e, text, err);
    }
    const struct json_value *outer = outer_member(doc);
    if (!check_name(e->options, outer, err))
        return false;
    if (outer && message_find_request(outer->name))
        return evidence_counts(e, KIND_REQUEST, err) && verify_request(e, text, err);
    if (outer && (message_find_response(outer->name) || span_is(outer->name, "OTrPBrokerError")))
        return evidence_counts(e, KIND_ANSWER, err) && verify_response(e, text, err);
    if (outer && span_is(outer->name, "TAInformation"))
        return evidence_counts(e, KIND_INFORMATION, err) && verify_information(e, text, err);
    if (outer && !evidence_counts(e, KIND_JWS, err)) { /* the name is wrong, not the option */
        err->rc = RC_MALFORMED;
        return false;
    }
    AUTO(char) *name = outer ? span_dup(outer->name) : NULL;
    AUTO(jws) *message = outer ? foreign_jws(outer, name ? name : "message", false, e->reading, err)
                               : jws_parse(text, "JWS", err);
    return message ? verify_jws(e, message, err) : not_readable(e, text, err);
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct verify *o = call->options;
    if (call->common->json && o->out && strcmp(o->out, "-") == 0)
        return error_set(err, RC_USAGE, "--json and -o - both want standard output"), err->rc;

    /* inputs */
    evidence loaded = {.keys = NULL};
    AUTO(evidence) *e = &loaded;
    if (!evidence_load(call, e, err))
        return err->rc;
    AUTO(buffer) *text = input_read(o->text, limits.encoded_bytes, err);
    if (!text || !input_check(o->text, text, err))
        return err->rc;

    /* act */
    bool verified = verify_text(e, buffer_span(text), err);

    /* outputs */
    if (o->explain && !call->common->json)
        checks_print(e);
    if (call->common->json) {
        struct error failure = *err;
        if ((verified || err->rc != RC_USAGE) && !report_print(e, verified, &failure, err))
            return err->rc;
        *err = failure;
    }
    if (!verified)
        return err->rc;
    if (o->out) {
        enum rc rc = call_put_buffer(call, o->out, TAKE(e->payload), OUTPUT_PUBLIC, err);
        if (rc != RC_OK)
            return rc;
    }
    if (!call->common->json && !o->explain)
        deviations_tell(e);
    char extent[120];
    checks_extent(e, extent);
    if (!call->common->json)
        say(call, "good: %s%s", e->subject, extent);
    return RC_OK;
}

const struct applet applet_verify = {
    .uses = USES_PROFILE | USES_LENIENT | USES_KEYS | USES_NOW | USES_FORCE | USES_JSON |
            USES_LIMITS,
    .options = options,
    .size = sizeof(struct verify),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp verify --key pki/tam/tam/tam-mytam-rsa-cert.pem -o payload.json jws.json",
            "otrp verify --trust pki/tam/tam-rootca --explain create.json",
            "otrp verify --trust pki/tee/tee-rootca --tam-key pki/tam/tam/tam-mytam-rsa-key.pem "
            "--request gds.json state.json",
            NULL},
};
