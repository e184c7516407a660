/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/dsi.h"

#include <stdio.h>
#include <string.h>

#include <openssl/encoder.h>

#include "jose/rsa_key.h"
#include "jose/signature.h"
#include "pki/chain.h"
#include "pki/x5c.h"
#include "util/base64.h"
#include "util/limits.h"
#include "util/openssl_auto.h"
#include "util/openssl_error.h"

void dsi_free(dsi *state)
{
    if (!state)
        return;
    for (size_t i = 0; i < state->sd_count; i++)
        free(state->sds[i].tas);
    for (size_t i = 0; i < state->aik_count; i++)
        key_free(state->aiks[i].key);
    free(state->sds);
    free(state->aiks);
    free(state->did);
    sk_X509_pop_free(state->tee_chain, X509_free);
    json_decref(state->json);
    free(state);
}

static bool read_chain(dsi *state, const json_t *tee, struct error *err)
{
    state->tee_chain = sk_X509_new_null();
    if (!state->tee_chain)
        return error_memory(err);
    if (state->nameless && !json_object_get(tee, "cert"))
        return true;
    if (!x5c_append(state->tee_chain, json_object_get(tee, "cert"), "dsi.tee.cert", err))
        return false;
    const json_t *cas = json_object_get(tee, "cacert");
    if (cas && (!json_is_array(cas) || json_array_size(cas) > LIMIT_CHAIN))
        return error_set(err, RC_MALFORMED, "dsi.tee.cacert: not an array of at most %d",
                         LIMIT_CHAIN);
    for (size_t i = 0; i < json_array_size(cas); i++) {
        char what[64];
        snprintf(what, sizeof what, "dsi.tee.cacert[%zu]", i);
        if (!x5c_append(state->tee_chain, json_array_get(cas, i), what, err))
            return false;
    }
    state->did = cert_did(sk_X509_value(state->tee_chain, 0), err);
    return state->did != NULL;
}

/* A name of an SD, which a nameless one lacks. */
static bool sd_text(const json_t *json, const char *what, const char *member, bool nameless,
                    const char **text, struct error *err)
{
    *text = "";
    return (nameless && !json_object_get(json, member)) ||
           json_get_text(json, what, member, text, err);
}

static bool read_sd(struct dsi_sd *sd, const json_t *json, const char *what, bool nameless,
                    struct error *err)
{
    if (!sd_text(json, what, "name", nameless, &sd->name, err) ||
        !sd_text(json, what, "spid", nameless, &sd->spid, err))
        return false;
    const json_t *list = json_object_get(json, "talist");
    if (list && !json_is_array(list))
        return error_set(err, RC_MALFORMED, "%s.talist: not an array", what);
    sd->tas = calloc(json_array_size(list) + 1, sizeof *sd->tas);
    if (!sd->tas)
        return error_memory(err);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *ta = json_array_get(list, i);
        char path[96];
        snprintf(path, sizeof path, "%s.talist[%zu]", what, i);
        if (!json_get_text(ta, path, "taid", &sd->tas[i].taid, err))
            return false;
        sd->tas[i].taname = json_string_value(json_object_get(ta, "taname"));
        sd->ta_count++;
    }
    return true;
}

static bool read_sds(dsi *state, const json_t *tee, struct error *err)
{
    const json_t *list = json_object_get(json_object_get(tee, "sdlist"), "sd");
    if (!list)
        return true;
    if (!json_is_array(list))
        return error_set(err, RC_MALFORMED, "dsi.tee.sdlist.sd: not an array");
    state->sds = calloc(json_array_size(list) + 1, sizeof *state->sds);
    if (!state->sds)
        return error_memory(err);
    for (size_t i = 0; i < json_array_size(list); i++) {
        char what[64];
        snprintf(what, sizeof what, "dsi.tee.sdlist.sd[%zu]", i);
        state->sd_count++;
        if (!read_sd(&state->sds[i], json_array_get(list, i), what, state->nameless, err))
            return false;
    }
    return true;
}

static bool read_aiks(dsi *state, const json_t *tee, struct error *err)
{
    const json_t *list = json_object_get(tee, "teeaiklist");
    if (list && !json_is_array(list))
        return error_set(err, RC_MALFORMED, "dsi.tee.teeaiklist: not an array");
    state->aiks = calloc(json_array_size(list) + 1, sizeof *state->aiks);
    if (!state->aiks)
        return error_memory(err);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *aik = json_array_get(list, i);
        char what[64];
        snprintf(what, sizeof what, "dsi.tee.teeaiklist[%zu]", i);
        if (!json_get_text(aik, what, "spid", &state->aiks[i].spid, err) ||
            !json_get_text(aik, what, "spaik", &state->aiks[i].spaik, err))
            return false;
        state->aik_count++;
    }
    return true;
}

static dsi *dsi_read(json_t *inner, struct span hashed, bool nameless, struct error *err)
{
    AUTO(dsi) *state = calloc(1, sizeof *state);
    if (!state || !EVP_Digest(hashed.data, hashed.size, state->hash, NULL, EVP_sha256(), NULL)) {
        error_memory(err);
        return NULL;
    }
    state->json = json_incref(inner);
    state->nameless = nameless;
    state->has_tfwdata = json_object_get(inner, "tfwdata") != NULL;
    const json_t *tee = json_object_get(inner, "tee");
    if (!json_is_object(tee)) {
        error_set(err, RC_MALFORMED, "dsi.tee: %s", tee ? "not an object" : "missing");
        return NULL;
    }
    if (!json_get_text(tee, "dsi.tee", "name", &state->tee_name, err))
        return NULL;
    state->tee_version = json_string_value(json_object_get(tee, "ver"));
    return read_chain(state, tee, err) && read_sds(state, tee, err) && read_aiks(state, tee, err)
               ? TAKE(state)
               : NULL;
}

dsi *dsi_parse(struct span text, struct error *err)
{
    AUTO(json_t) *json = json_load_span(text, "dsi", err);
    if (!json)
        return NULL;
    json_t *inner = json_object_get(json, "dsi");
    if (json_is_object(inner) && json_object_size(json) == 1)
        return dsi_read(inner, text, false, err);
    error_set(err, RC_MALFORMED, "dsi: not an object with \"dsi\" as its one member");
    return NULL;
}

dsi *dsi_from_json(json_t *inner, struct error *err)
{
    AUTO(json_t) *outer = json_pack("{s:O}", "dsi", inner);
    AUTO(buffer) *text = outer ? json_canonical(outer) : NULL;
    if (!text) {
        error_set(err, RC_MALFORMED, "dsi: has no canonical form");
        return NULL;
    }
    return dsi_read(inner, buffer_span(text), false, err);
}

dsi *dsi_from_foreign(json_t *inner, struct span hashed, bool nameless, struct error *err)
{
    return dsi_read(inner, hashed, nameless, err);
}

const struct dsi_sd *dsi_find_sd(const dsi *state, const char *spid, const char *name)
{
    for (size_t i = 0; i < state->sd_count; i++)
        if (strcmp(state->sds[i].name, name) == 0 &&
            (!spid || strcmp(state->sds[i].spid, spid) == 0))
            return &state->sds[i];
    return NULL;
}

const struct dsi_ta *dsi_find_ta(const struct dsi_sd *sd, const char *taid)
{
    for (size_t i = 0; i < sd->ta_count; i++)
        if (strcmp(sd->tas[i].taid, taid) == 0)
            return &sd->tas[i];
    return NULL;
}

key *dsi_aik_key(struct dsi_aik *aik, struct error *err)
{
    if (!aik->key)
        aik->key = spaik_decode(aik->spaik, "dsi.tee.teeaiklist", err);
    return aik->key;
}

struct dsi_aik *dsi_find_aik(const dsi *state, const char *spid)
{
    for (size_t i = 0; i < state->aik_count; i++)
        if (strcmp(state->aiks[i].spid, spid) == 0)
            return &state->aiks[i];
    return NULL;
}

static bool check_firmware_signature(const json_t *tfw, X509 *cert, const char *tid,
                                     struct error *err)
{
    const char *tbs, *sig, *name;
    if (!json_get_text(tfw, "tfwdata", "tbs", &tbs, err) ||
        !json_get_text(tfw, "tfwdata", "sig", &sig, err) ||
        !json_get_text(tfw, "tfwdata", "sigalg", &name, err))
        return false;
    AUTO(buffer) *said = base64_decode(span_text(tbs), "tfwdata.tbs", err);
    AUTO(buffer) *signature = said ? base64_decode(span_text(sig), "tfwdata.sig", err) : NULL;
    if (!signature)
        return false;
    if (!span_is(buffer_span(said), tid))
        return error_set(err, RC_UNTRUSTED, "tfwdata.tbs: not the tid of this session");
    const struct jwa *alg = jwa_find(JWA_SIGNATURE, name);
    AUTO(key) *k = key_from_pkey(X509_get_pubkey(cert), false, "tfwdata.cert", err);
    if (!k)
        return false;
    if (!alg)
        return error_set(err, RC_UNTRUSTED, "tfwdata.sigalg: \"%.20s\" is not supported", name);
    struct span piece = buffer_span(said);
    return jwa_fits(alg, k, "verify", err) &&
           signature_check(alg, k, &piece, 1, buffer_span(signature), err);
}

bool dsi_check_firmware(const dsi *state, const char *tid, const X509_stack *anchors, time_t at,
                        struct error *err)
{
    const json_t *tfw = json_object_get(state->json, "tfwdata");
    const char *text;
    if (!tfw)
        return error_set(err, RC_UNTRUSTED, "tfwdata: the device sent none");
    if (!json_get_text(tfw, "tfwdata", "cert", &text, err))
        return false;
    AUTO(buffer) *der = base64_decode(span_text(text), "tfwdata.cert", err);
    AUTO(X509) *cert = der ? cert_from_der(buffer_span(der), "tfwdata.cert", err) : NULL;
    if (!cert)
        return false;
    /* the DSI carries the firmware's own certificate alone: its CAs are among the anchors'
     * intermediates */
    AUTO(X509_stack) *path = chain_verify(
        &(struct chain_question){
            .leaf = cert, .others = anchors, .anchors = anchors, .role = ROLE_TFW, .at = at},
        err);
    return path && check_firmware_signature(tfw, cert, tid, err);
}

const char *spaik_type(const EVP_PKEY *pkey)
{
    return EVP_PKEY_is_a(pkey, "RSA") ? "RSA" : "ECC";
}

json_t *spaik_encode(const EVP_PKEY *pkey, struct error *err)
{
    const char *structure = EVP_PKEY_is_a(pkey, "RSA") ? "type-specific" : "SubjectPublicKeyInfo";
    AUTO(OSSL_ENCODER_CTX) *encoder = OSSL_ENCODER_CTX_new_for_pkey(
        pkey, OSSL_KEYMGMT_SELECT_PUBLIC_KEY | OSSL_KEYMGMT_SELECT_ALL_PARAMETERS, "DER", structure,
        NULL);
    unsigned char *der = NULL;
    size_t size = 0;
    json_t *text = NULL;
    if (encoder && OSSL_ENCODER_to_data(encoder, &der, &size) == 1)
        text = json_base64(SPAN(der, size));
    OPENSSL_free(der);
    if (!text)
        error_openssl(err, RC_INTERNAL, "an SP AIK cannot be encoded");
    return text;
}

key *spaik_decode(const char *base64, const char *what, struct error *err)
{
    AUTO(buffer) *der = base64_decode(span_text(base64), what, err);
    if (!der)
        return NULL;
    EVP_PKEY *pkey = rsa_key_from_der(buffer_span(der), false);
    if (!pkey)
        pkey = pkey_decode(buffer_span(der), "SubjectPublicKeyInfo", NULL, EVP_PKEY_PUBLIC_KEY);
    if (pkey && pkey_check_strength(pkey, what, false, err))
        return key_from_pkey(pkey, false, what, err);
    if (pkey) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    error_openssl(err, RC_MALFORMED, "%s.spaik: no public key", what);
    return NULL;
}
