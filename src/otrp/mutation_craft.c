/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/mutation_craft.h"

#include <string.h>

#include <openssl/pem.h>

#include "jose/signature.h"
#include "otrp/json_path.h"
#include "otrp/ta_package.h"
#include "util/base64.h"
#include "util/secret.h"

#define ALL     ((1u << MESSAGE_COUNT) - 1)
#define STATE   (1u << MESSAGE_GET_DEVICE_STATE)
#define SEALED  (ALL & ~STATE)
#define WITH_TA (1u << MESSAGE_INSTALL_TA | 1u << MESSAGE_UPDATE_TA)

/* Behind the opening of the TBS, or of the whole text: where members can be put in. */
static bool insert(struct workpiece *w, size_t at, struct span text, struct error *err)
{
    struct span old = buffer_span(*w->text);
    AUTO(buffer) *out = buffer_secret(old.size + text.size);
    if (!out || at > old.size)
        return error_memory(err);
    buffer_put(out, old.data, at);
    buffer_put_span(out, text);
    buffer_put(out, old.data + at, old.size - at);
    if (out->failed)
        return error_memory(err);
    buffer_free(*w->text);
    *w->text = TAKE(out);
    return true;
}

/* The size of {"XTBSRequest":{ */
static size_t behind_opening(const struct workpiece *w)
{
    return strlen(w->tbs_name) + sizeof "{\"\":{" - 1;
}

static bool duplicate_member(struct workpiece *w, struct error *err)
{
    return insert(w, behind_opening(w), span_text("\"ver\":\"1.0\","), err);
}

static bool invalid_utf8(struct workpiece *w, struct error *err)
{
    return insert(w, behind_opening(w), span_text("\"x\":\"\xff\","), err);
}

static bool too_deep(struct workpiece *w, struct error *err)
{
    enum { DEPTH = 1000 };
    AUTO(buffer) *nest = buffer_new(2 * DEPTH + 8);
    if (!nest)
        return error_memory(err);
    buffer_put_text(nest, "\"x\":");
    for (int i = 0; i < DEPTH; i++)
        buffer_put_char(nest, '[');
    for (int i = 0; i < DEPTH; i++)
        buffer_put_char(nest, ']');
    buffer_put_char(nest, ',');
    return insert(w, behind_opening(w), buffer_span(nest), err);
}

static bool inner_name(struct workpiece *w, struct error *err)
{
    return insert(w, 2, span_text("X"), err);
}

static bool outer_name(struct workpiece *w, struct error *err)
{
    return insert(w, 2, span_text("X"), err);
}

static bool truncated(struct workpiece *w, struct error *err)
{
    (void)err;
    (*w->text)->size /= 2;
    (*w->text)->data[(*w->text)->size] = '\0';
    return true;
}

static bool trailing(struct workpiece *w, struct error *err)
{
    return insert(w, (*w->text)->size, span_text("{}"), err);
}

/* Another first character in a base64url member. */
static bool change_first(struct workpiece *w, const char *path, struct error *err)
{
    AUTO(json_doc) *doc = json_doc_parse(buffer_span(*w->text), "message", err);
    const struct json_value *value = doc ? json_member(json_root(doc), path) : NULL;
    if (!value || value->kind != JSON_KIND_STRING || value->string.size == 0)
        return doc && error_set(err, RC_USAGE, "there is no %s", path);
    AUTO(buffer) *json = buffer_copy(value->text);
    if (!json)
        return error_memory(err);
    json->data[1] = json->data[1] == 'A' ? 'B' : 'A';
    return json_path_edit(w->text, path, (const char *)json->data, err);
}

static bool change_signature(struct workpiece *w, struct error *err)
{
    return change_first(w, "signature", err);
}

static bool change_tag(struct workpiece *w, struct error *err)
{
    return change_first(w, "tag", err);
}

/* An encrypted key of the same size that does not unwrap; below every modulus. */
static bool change_key(struct workpiece *w, struct error *err)
{
    AUTO(json_doc) *doc = json_doc_parse(buffer_span(*w->text), "content", err);
    const struct json_value *list = doc ? json_member(json_root(doc), "recipients") : NULL;
    const struct json_value *wrapped = list ? json_member(list->first, "encrypted_key") : NULL;
    AUTO(buffer) *old = wrapped ? base64url_decode(wrapped->string, "encrypted_key", err) : NULL;
    if (!old || old->size == 0 || !random_fill(old->data, old->size, err))
        return false;
    old->data[0] &= 0x3f;
    AUTO(buffer) *json = buffer_new(old->size * 2);
    if (!json)
        return error_memory(err);
    buffer_put_char(json, '"');
    buffer_put_base64url(json, buffer_span(old));
    buffer_put_char(json, '"');
    return json_path_edit(w->text, "recipients[0].encrypted_key", (const char *)json->data, err);
}

static bool flattened(struct workpiece *w, struct error *err)
{
    (void)err;
    w->how->serialization = SERIALIZATION_FLATTENED;
    return true;
}

static bool fresh_cek(struct workpiece *w, struct error *err)
{
    (void)err;
    w->how->cek = (struct span){NULL, 0};
    return true;
}

/* A public key used as the secret of an HMAC: a verifier that takes the algorithm from the message
 * alone accepts it (RFC 8725 section 3.1). */
static bool alg_hs256(struct workpiece *w, struct error *err)
{
    static const char protected[] = "eyJhbGciOiJIUzI1NiJ9"; /* {"alg":"HS256"} */
    AUTO(json_doc) *doc = json_doc_parse(buffer_span(*w->text), "message", err);
    const struct json_value *payload = doc ? json_member(json_root(doc), "payload") : NULL;
    BIO *pem = BIO_new(BIO_s_mem());
    char *text = NULL;
    long size = pem && PEM_write_bio_PUBKEY(pem, w->signed_by->pkey) ? BIO_get_mem_data(pem, &text)
                                                                     : 0;
    AUTO(key) *secret = size ? key_from_oct(SPAN(text, (size_t)size), "public key", err) : NULL;
    BIO_free(pem);
    if (!payload || !secret)
        return error_set(err, RC_INTERNAL, "the public key cannot be written");
    struct span pieces[] = {span_text(protected), span_text("."), payload->string};
    AUTO(buffer) *mac = signature_make(jwa_find(JWA_SIGNATURE, "HS256"), secret, pieces,
                                       COUNT(pieces), err);
    AUTO(buffer) *json = mac ? buffer_new(mac->size * 2) : NULL;
    if (!json)
        return false;
    buffer_put_char(json, '"');
    buffer_put_base64url(json, buffer_span(mac));
    buffer_put_char(json, '"');
    return json_path_edit(w->text, "signature", (const char *)json->data, err) &&
           json_path_edit(w->text, "protected", "\"eyJhbGciOiJIUzI1NiJ9\"", err);
}

static bool alg_none(struct workpiece *w, struct error *err)
{
    return json_path_edit(w->text, "signature", "\"\"", err) &&
           json_path_edit(w->text, "protected", "\"eyJhbGciOiJub25lIn0\"", err);
}

/* The same JWS with its signature in a list of one. */
static bool general(struct workpiece *w, struct error *err)
{
    AUTO(json_doc) *doc = json_doc_parse(buffer_span(*w->text), "message", err);
    if (!doc)
        return false;
    AUTO(buffer) *out = buffer_new((*w->text)->size + 40);
    if (!out)
        return error_memory(err);
    buffer_put_text(out, "{\"payload\":");
    buffer_put_span(out, json_member(json_root(doc), "payload")->text);
    buffer_put_text(out, ",\"signatures\":[{");
    bool first = true;
    for (const struct json_value *v = json_root(doc)->first; v; v = v->next) {
        if (span_is(v->name, "payload"))
            continue;
        buffer_put_text(out, first ? "" : ",");
        buffer_put_json_string(out, v->name);
        buffer_put_char(out, ':');
        buffer_put_span(out, v->text);
        first = false;
    }
    buffer_put_text(out, "}]}");
    if (out->failed)
        return error_memory(err);
    buffer_free(*w->text);
    *w->text = TAKE(out);
    return true;
}

static bool seen_ids(struct workpiece *w, struct error *err)
{
    if (!w->plan->seen_rid || !w->plan->seen_tid) {
        error_set(err, RC_USAGE, "there is no earlier message to repeat the rid and tid of");
        return error_hint(err, "give the answer of the device, not a plain DSI, with --device");
    }
    return json_object_set_new(w->json, "rid", json_string(w->plan->seen_rid)) == 0 &&
           json_object_set_new(w->json, "tid", json_string(w->plan->seen_tid)) == 0;
}

static bool unsigned_ta(struct workpiece *w, struct error *err)
{
    if (!*w->text)
        return true;
    buffer *raw = buffer_copy(span_text("the bytes of a TA that nobody has signed"));
    if (!raw)
        return error_memory(err);
    buffer_free(*w->text);
    *w->text = raw;
    return true;
}

static bool other_ta_signer(struct workpiece *w, struct error *err)
{
    if (!*w->text)
        return true;
    AUTO(key) *stranger = key_from_pkey(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), true,
                                        "another SP", err);
    AUTO(jws) *old = stranger ? jws_parse(buffer_span(*w->text), "TA package", err) : NULL;
    AUTO(buffer) *ta = old ? jws_payload(old, err) : NULL;
    buffer *package = ta ? ta_package_sign(buffer_span(ta), stranger, NULL, NULL, TA_NO_VERSION,
                                           err)
                         : NULL;
    if (!package)
        return false;
    buffer_free(*w->text);
    *w->text = package;
    return true;
}

#define CA    "the private key of the CA (--pki)"
#define FRESH "a TEE that has cached no stapling data of this TAM"

const struct craft request_crafts[] = {
    /* envelope */
    {"truncated", ALL, ERR_REQUEST_INVALID, "envelope", "the message ends in the middle", NULL,
     STAGE_MESSAGE, NULL, NULL, truncated},
    {"trailing", ALL, ERR_REQUEST_INVALID, "envelope", "something stands behind the message", NULL,
     STAGE_MESSAGE, NULL, NULL, trailing},
    {"outer-name", ALL, ERR_AGENT_TEE_FAIL, NULL, "the outer name is that of no message", NULL,
     STAGE_MESSAGE, NULL, NULL, outer_name},
    {"two-members", ALL, ERR_REQUEST_INVALID, "envelope", "a second member beside the message",
     NULL, STAGE_MESSAGE, "x-second", "{}", NULL},
    {"general", ALL, ERR_REQUEST_INVALID, "envelope", "the JWS is in the general serialization",
     NULL, STAGE_JWS, NULL, NULL, general},
    {"crit", ALL, ERR_REQUEST_INVALID, "envelope",
     "the protected header demands an extension (crit)", NULL, STAGE_JWS, "protected",
     "\"eyJhbGciOiJSUzI1NiIsImNyaXQiOlsieCJdLCJ4IjoxfQ\"", NULL},
    /* algorithm */
    {"alg-none", ALL, ERR_UNSUPPORTED_CRYPTO_ALG, "algorithm", "not signed, and alg says none",
     NULL, STAGE_JWS, NULL, NULL, alg_none},
    {"alg-hs256", ALL, ERR_UNSUPPORTED_CRYPTO_ALG, "algorithm",
     "an HMAC made with the public key instead of a signature", NULL, STAGE_JWS, NULL, NULL,
     alg_hs256},
    {"alg-unsupported", ALL, ERR_UNSUPPORTED_CRYPTO_ALG, "algorithm",
     "alg is one that OTrP does not use (RS512)", NULL, STAGE_JWS, "protected",
     "\"eyJhbGciOiJSUzUxMiJ9\"", NULL},
    /* signer */
    {"no-signer", STATE, ERR_REQUEST_INVALID, "signer", "no x5c", FRESH, STAGE_JWS, "header", NULL,
     NULL},
    {"x5c-garbage", ALL, ERR_REQUEST_INVALID, "signer", "x5c holds no certificate", NULL, STAGE_JWS,
     "header.x5c[0]", "\"AAAA\"", NULL},
    /* trust */
    {"untrusted", ALL, ERR_TAM_NOT_TRUSTED, "trust", "the certificate is of an unknown CA", NULL,
     STAGE_SIGNER, NULL, NULL, craft_untrusted},
    {"expired", ALL, ERR_TAM_NOT_TRUSTED, "trust", "the certificate has expired", CA, STAGE_SIGNER,
     NULL, NULL, craft_expired},
    {"not-yet-valid", ALL, ERR_TAM_NOT_TRUSTED, "trust", "the certificate is not yet valid", CA,
     STAGE_SIGNER, NULL, NULL, craft_not_yet_valid},
    {"wrong-usage", ALL, ERR_TAM_NOT_TRUSTED, "trust", "the certificate is for no signatures", CA,
     STAGE_SIGNER, NULL, NULL, craft_wrong_usage},
    {"no-tamid", ALL, ERR_TAM_NOT_TRUSTED, "trust", "the certificate has no tamid", CA,
     STAGE_SIGNER, NULL, NULL, craft_no_tamid},
    /* signature */
    {"signature", ALL, ERR_REQUEST_INVALID, "signature", "the signature is changed", NULL,
     STAGE_JWS, NULL, NULL, change_signature},
    {"other-key", ALL, ERR_REQUEST_INVALID, "signature", "signed with another key than x5c says",
     NULL, STAGE_SIGNER, NULL, NULL, craft_other_key},
    /* version-present: what can be read of the payload at all */
    {"duplicate-member", ALL, ERR_REQUEST_INVALID, "version-present", "ver stands twice in the TBS",
     NULL, STAGE_PAYLOAD, NULL, NULL, duplicate_member},
    {"invalid-utf8", ALL, ERR_REQUEST_INVALID, "version-present", "the TBS is not UTF-8", NULL,
     STAGE_PAYLOAD, NULL, NULL, invalid_utf8},
    {"too-deep", ALL, ERR_REQUEST_INVALID, "version-present", "the TBS is nested a thousand deep",
     NULL, STAGE_PAYLOAD, NULL, NULL, too_deep},
    {"inner-name", ALL, ERR_REQUEST_INVALID, "version-present",
     "the inner name is not that of the outer one", NULL, STAGE_PAYLOAD, NULL, NULL, inner_name},
    /* revocation */
    {"no-stapling", STATE, ERR_TAM_NOT_TRUSTED, "revocation", "ocspdat is empty", FRESH, STAGE_TBS,
     NULL, NULL, craft_no_stapling},
    {"stale-stapling", STATE, ERR_TAM_NOT_TRUSTED, "revocation",
     "the OCSP response of the TAM's certificate is out of date", CA ", " FRESH, STAGE_TBS, NULL,
     NULL, craft_stale_stapling},
    {"other-stapling", STATE, ERR_TAM_NOT_TRUSTED, "revocation",
     "the OCSP response is of another certificate", CA ", " FRESH, STAGE_TBS, NULL, NULL,
     craft_other_stapling},
    {"revoked", ALL, ERR_TAM_NOT_TRUSTED, "revocation", "the TAM's certificate is revoked", CA,
     STAGE_TBS, NULL, NULL, craft_revoked},
    /* replay */
    {"replay", ALL, ERR_REQUEST_INVALID, "replay", "rid and tid of an earlier message",
     "an answer of the device (--device)", STAGE_TBS, NULL, NULL, seen_ids},
    /* content-algorithms, content */
    {"content-alg", SEALED, ERR_UNSUPPORTED_CRYPTO_ALG, "content-algorithms",
     "the alg of content is one that OTrP does not use (RSA-OAEP)", NULL, STAGE_SEALED,
     "recipients[0].header.alg", "\"RSA-OAEP\"", NULL},
    {"content-enc", SEALED, ERR_UNSUPPORTED_CRYPTO_ALG, "content-algorithms",
     "the enc of content is one that OTrP does not use (A128GCM)", NULL, STAGE_SEALED, "protected",
     "\"eyJlbmMiOiJBMTI4R0NNIn0\"", NULL},
    {"content-flattened", SEALED, ERR_REQUEST_INVALID, "content-algorithms",
     "content is a JWE in the flattened serialization", NULL, STAGE_SEALING, NULL, NULL, flattened},
    {"content-key", SEALED, ERR_REQUEST_INVALID, "content",
     "the key of content does not unwrap with the device's key", NULL, STAGE_SEALED, NULL, NULL,
     change_key},
    {"content-tag", SEALED, ERR_REQUEST_INVALID, "content", "the tag of content is changed", NULL,
     STAGE_SEALED, NULL, NULL, change_tag},
    /* the TA package */
    {"ta-unsigned", WITH_TA, ERR_TA_INVALID, NULL, "the TA is not signed by an SP", NULL,
     STAGE_PACKAGE, NULL, NULL, unsigned_ta},
    {"ta-other-signer", WITH_TA, ERR_TA_INVALID, NULL, "the TA is signed by another SP", NULL,
     STAGE_PACKAGE, NULL, NULL, other_ta_signer},
};
const size_t request_craft_count = COUNT(request_crafts);

const struct craft response_crafts[] = {
    {"truncated", ALL, ERR_NONE, "envelope", "the message ends in the middle", NULL, STAGE_MESSAGE,
     NULL, NULL, truncated},
    {"trailing", ALL, ERR_NONE, "envelope", "something stands behind the message", NULL,
     STAGE_MESSAGE, NULL, NULL, trailing},
    {"outer-name", ALL, ERR_NONE, "envelope", "the outer name is that of no message", NULL,
     STAGE_MESSAGE, NULL, NULL, outer_name},
    {"two-members", ALL, ERR_NONE, "envelope", "a second member beside the message", NULL,
     STAGE_MESSAGE, "x-second", "{}", NULL},
    {"general", ALL, ERR_NONE, "envelope", "the JWS is in the general serialization", NULL,
     STAGE_JWS, NULL, NULL, general},
    {"crit", ALL, ERR_NONE, "envelope", "the protected header demands an extension (crit)", NULL,
     STAGE_JWS, "protected", "\"eyJhbGciOiJSUzI1NiIsImNyaXQiOlsieCJdLCJ4IjoxfQ\"", NULL},
    {"alg-none", ALL, ERR_NONE, "envelope", "not signed, and alg says none", NULL, STAGE_JWS, NULL,
     NULL, alg_none},
    {"alg-hs256", ALL, ERR_NONE, "envelope",
     "an HMAC made with the public key instead of a signature", NULL, STAGE_JWS, NULL, NULL,
     alg_hs256},
    {"duplicate-member", ALL, ERR_NONE, "envelope", "ver stands twice in the TBS", NULL,
     STAGE_PAYLOAD, NULL, NULL, duplicate_member},
    {"invalid-utf8", ALL, ERR_NONE, "envelope", "the TBS is not UTF-8", NULL, STAGE_PAYLOAD, NULL,
     NULL, invalid_utf8},
    {"too-deep", ALL, ERR_NONE, "envelope", "the TBS is nested a thousand deep", NULL,
     STAGE_PAYLOAD, NULL, NULL, too_deep},
    {"inner-name", ALL, ERR_NONE, "envelope", "the inner name is not that of the outer one", NULL,
     STAGE_PAYLOAD, NULL, NULL, inner_name},
    {"content-alg", ALL, ERR_NONE, "decryption",
     "the encryption has an alg that OTrP does not use (RSA-OAEP)", NULL, STAGE_SEALED,
     "recipients[0].header.alg", "\"RSA-OAEP\"", NULL},
    {"content-enc", ALL, ERR_NONE, "decryption",
     "the encryption has an enc that OTrP does not use (A128GCM)", NULL, STAGE_SEALED, "protected",
     "\"eyJlbmMiOiJBMTI4R0NNIn0\"", NULL},
    {"content-flattened", ALL, ERR_NONE, "decryption",
     "the encrypted part is a JWE in the flattened serialization", NULL, STAGE_SEALING, NULL, NULL,
     flattened},
    {"content-key", STATE, ERR_NONE, "decryption", "the key does not unwrap with the TAM's key",
     NULL, STAGE_SEALED, NULL, NULL, change_key},
    {"content-tag", ALL, ERR_NONE, "decryption", "the tag is changed", NULL, STAGE_SEALED, NULL,
     NULL, change_tag},
    {"cek", SEALED, ERR_NONE, "decryption", "encrypted with another CEK than that of the request",
     NULL, STAGE_SEALING, NULL, NULL, fresh_cek},
    {"other-hierarchy", ALL, ERR_NONE, "trust", "the device's certificate is of an unknown CA",
     "a DSI in the answer", STAGE_CONTENT, NULL, NULL, craft_other_hierarchy},
    {"signature", ALL, ERR_NONE, "signature", "the signature is changed", NULL, STAGE_JWS, NULL,
     NULL, change_signature},
    {"other-key", ALL, ERR_NONE, "signature", "signed with another key than the device's", NULL,
     STAGE_SIGNER, NULL, NULL, craft_other_key},
};
const size_t response_craft_count = COUNT(response_crafts);
