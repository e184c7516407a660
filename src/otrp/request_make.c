/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/request_make.h"

#include <stdio.h>
#include <string.h>

#include "jose/jws.h"
#include "otrp/ta_package.h"
#include "util/base64.h"
#include "util/secret.h"

char *random_id(struct error *err)
{
    uint8_t bytes[16];
    AUTO(buffer) *text = buffer_new(24);
    if (!text || !random_fill(bytes, sizeof bytes, err))
        return NULL;
    buffer_put_base64url(text, SPAN(bytes, sizeof bytes));
    return span_dup(buffer_span(text));
}

static bool set_id(json_t *tbs, const char *name, const char *given, struct error *err)
{
    AUTO(char) *made = given ? NULL : random_id(err);
    if (!given && !made)
        return false;
    return json_object_set_new(tbs, name, json_string(given ? given : made)) == 0 ||
           error_set(err, RC_USAGE, "%s is not UTF-8", name);
}

json_t *request_tbs(const struct request_draft *d, struct error *err)
{
    AUTO(json_t) *tbs = json_pack("{s:s}", "ver", "1.0");
    if (!tbs || !set_id(tbs, "rid", d->rid, err) || !set_id(tbs, "tid", d->tid, err))
        return NULL;
    if (d->ocspdat)
        json_object_set(tbs, "ocspdat", (json_t *)d->ocspdat);
    else if (d->type->id == MESSAGE_GET_DEVICE_STATE)
        json_object_set_new(tbs, "ocspdat", json_array());
    if (d->type->id == MESSAGE_GET_DEVICE_STATE)
        return profile_request_tbs(d->profile, d->type, tbs, d->rid, d->tid, err) ? TAKE(tbs)
                                                                                  : NULL;
    if (!d->device) {
        error_set(err, RC_USAGE, "%s needs the state of the device", d->type->name);
        error_hint(err, "give the device's answer to GetDeviceState with --device");
        return NULL;
    }
    json_object_set_new(tbs, "tee", json_string(d->device->tee_name));
    json_object_set_new(tbs, "nextdsi", json_boolean(d->nextdsi));
    json_object_set_new(tbs, "dsihash", json_base64(SPAN(d->device->hash, sizeof d->device->hash)));
    return profile_request_tbs(d->profile, d->type, tbs, d->rid, d->tid, err) ? TAKE(tbs) : NULL;
}

/* The value of a content member as the draft has it; NULL when it has none. */
static json_t *field_value(const struct request_draft *d, const char *name)
{
    const struct {
        const char *name, *text;
    } texts[] = {{"spid", d->spid},       {"sdname", d->sdname},       {"spcert", d->spcert},
                 {"taid", d->taid},       {"taname", d->taname},       {"tamid", d->tamid},
                 {"newspid", d->newspid}, {"newsdname", d->newsdname}, {"did", d->device->did}};
    for (size_t i = 0; i < COUNT(texts); i++)
        if (strcmp(texts[i].name, name) == 0)
            return texts[i].text ? json_string(texts[i].text) : NULL;
    if (strcmp(name, "deleteta") == 0)
        return json_boolean(d->delete_ta);
    if (strcmp(name, "renewteespaik") == 0 && d->renew_aik)
        return json_true();
    if (strcmp(name, "deloldspcert") == 0)
        return json_incref((json_t *)d->del_spcert);
    return NULL;
}

/* The option that gives a member, where it has another name. */
static const char *field_option(const char *name)
{
    return strcmp(name, "tamid") == 0 ? "tam" : name;
}

static json_t *fill(const struct request_draft *d, const struct member *members, struct error *err)
{
    AUTO(json_t) *object = json_object();
    for (const struct member *m = members; m->name; m++) {
        json_t *value = NULL;
        if (m->members)
            value = fill(d, m->members, err);
        else if (m->type == MEMBER_BASE64_LIST)
            value = json_incref((json_t *)d->add_spcert);
        else
            value = field_value(d, m->name);
        if (profile_omits(d->profile, d->type, m->name)) {
            json_decref(value);
            continue;
        }
        const char *placeholder = value ? NULL : profile_placeholder(d->profile, d->type, m->name);
        if (placeholder)
            value = json_string(placeholder);
        if (value && json_object_set_new(object, m->name, value) == 0)
            continue;
        if (!m->mandatory)
            continue;
        error_set(err, RC_USAGE, "%s: its content needs %s", d->type->name, m->name);
        error_hint(err, "give --%s%s", field_option(m->name),
                   strcmp(m->name, "spcert") == 0 || strcmp(m->name, "spid") == 0
                       ? ", or --sp with --pki"
                       : "");
        return NULL;
    }
    return TAKE(object);
}

json_t *request_content(const struct request_draft *d, struct error *err)
{
    err->rc = RC_OK;
    return d->type->request_content && !profile_contentless(d->profile, d->type)
               ? fill(d, d->type->request_content, err)
               : NULL;
}

/* A value that may be made wrong: a copy of its own, unless nothing is. */
static json_t *changeable(const struct request_draft *d, const json_t *value)
{
    return d->broken ? json_deep_copy(value) : json_incref((json_t *)value);
}

static buffer *seal_content(const struct request_draft *d, const json_t *content, buffer **cek,
                            struct error *err)
{
    AUTO(json_t) *changed = changeable(d, content);
    if (!changed || !mutate_content(d->broken, "content", changed, err))
        return NULL;
    AUTO(buffer) *plaintext = json_compact(changed);
    X509 *cert = sk_X509_value(d->device->tee_chain, 0);
    if (!cert && !d->tee_key) {
        error_set(err, RC_USAGE, "the device state names no TEE to encrypt content to");
        error_hint(err, "give its certificate with --tee-cert");
        return NULL;
    }
    AUTO(key) *own = d->tee_key
                         ? NULL
                         : key_from_pkey(X509_get_pubkey(cert), false, "TEE certificate", err);
    key *tee = d->tee_key ? d->tee_key : own;
    if (!plaintext || !tee || !tee->pkey) {
        error_set(err, RC_MALFORMED, "the key of the TEE certificate cannot be read");
        return NULL;
    }
    struct jwe_how how = {.keys = &tee,
                          .count = 1,
                          .alg = d->key_alg,
                          .enc = d->enc,
                          .cek = d->cek,
                          .serialization = SERIALIZATION_GENERAL};
    mutate_sealing(d->broken, &how);
    AUTO(buffer) *sealed = profile_encrypt(d->profile, &how, buffer_span(plaintext), cek, err);
    return sealed && mutate_sealed(d->broken, &sealed, err) ? TAKE(sealed) : NULL;
}

static buffer *seal_ta(const struct request_draft *d, struct error *err)
{
    key *aik = d->aik;
    if (d->profile && d->profile->make.ta == TA_FORM_EMPTY) {
        buffer *text = NULL;
        return profile_encrypted_ta(d->profile, NULL, d->package, &text, err) ? text : NULL;
    }
    if (!d->package && !d->pdata) {
        error_set(err, RC_USAGE, "%s needs a trusted application", d->type->name);
        error_hint(err, "give --ta");
        return NULL;
    }
    if (!aik) {
        struct dsi_aik *known = d->spid ? dsi_find_aik(d->device, d->spid) : NULL;
        if (!known) {
            error_set(err, RC_USAGE, "the device state has no AIK of SP \"%s\"",
                      d->spid ? d->spid : "");
            error_hint(err, d->device->nameless
                                ? "give it with --aik"
                                : "the SP gets one with its first SD: create that, and use the DSI "
                                  "of the answer");
            return NULL;
        }
        if (!(aik = dsi_aik_key(known, err)))
            return NULL;
    }
    AUTO(buffer) *package = d->package && d->broken ? buffer_copy(buffer_span(d->package)) : NULL;
    if (d->broken && !mutate_package(d->broken, &package, err))
        return NULL;
    buffer *text = NULL;
    if (!profile_encrypted_ta(d->profile, aik, package ? package : d->package, &text, err))
        return NULL;
    return text
               ? text
               : encrypted_ta_make(d->type->id, aik, package ? package : d->package, d->pdata, err);
}

/* The members of tbs without the closing brace, and the name that wraps it. */
static bool put_tbs(buffer *out, const struct request_draft *d, const json_t *tbs)
{
    AUTO(buffer) *text = json_compact(tbs);
    if (!text || text->size < 2)
        return false;
    buffer_put_format(out, "{\"%s\":", d->type->request_tbs_name);
    buffer_put(out, text->data, text->size - 1);
    return true;
}

static void put_part(buffer *out, const char *name, const buffer *text, const json_t *tbs)
{
    if (!text || json_object_get(tbs, name))
        return; /* the caller has set one of its own */
    buffer_put_format(out, "%s\"%s\":", out->data[out->size - 1] == '{' ? "" : ",", name);
    buffer_put_span(out, buffer_span(text));
}

/* The flattened JWS of payload with the chain in its header. */
static buffer *sign_payload(const struct request_draft *d, const buffer *payload, struct error *err)
{
    mutation_signer how = {.with = d->tam_key, .chain = d->tam_chain};
    AUTO(mutation_signer) *signer = &how;
    if (!mutate_signer(d->broken, signer, err))
        return NULL;
    AUTO(json_t) *protected = NULL;
    AUTO(json_t) *header = NULL;
    if (!profile_headers(d->profile, signer->with, signer->chain, &protected, &header, err))
        return NULL;
    key *keys[] = {signer->with};
    AUTO(buffer) *message = jws_sign(
        &(struct jws_how){
            .keys = keys, .count = 1, .alg = d->sign_alg, .protected = protected, .header = header},
        buffer_span(payload), err);
    return message && mutate_jws(d->broken, signer->with, &message, err) ? TAKE(message) : NULL;
}

static buffer *sign_request(const struct request_draft *d, const buffer *payload, struct error *err)
{
    AUTO(buffer) *message = sign_payload(d, payload, err);
    AUTO(buffer) *out = message ? buffer_new(message->size + 40) : NULL;
    if (!out)
        return NULL;
    buffer_put_format(out, "{\"%s\":", d->type->request);
    buffer_put_span(out, buffer_span(message));
    buffer_put_char(out, '}');
    if (out->failed)
        return error_memory(err), NULL;
    return mutate_message(d->broken, &out, err) ? TAKE(out) : NULL;
}

/* What is set or broken in the TBS as it is signed. */
static bool change_payload(const struct request_draft *d, buffer **payload, struct error *err)
{
    return json_changes_apply(d->changes, d->type->request_tbs_name, payload, err) &&
           mutate_payload(d->broken, d->type->request_tbs_name, "content", payload, err);
}

buffer *request_seal(const struct request_draft *d, const json_t *tbs, const json_t *content,
                     buffer **cek, struct error *err)
{
    AUTO(buffer) *sealed = content ? seal_content(d, content, cek, err) : NULL;
    if (content && !sealed)
        return NULL;
    bool with_ta = d->type->id == MESSAGE_INSTALL_TA || d->type->id == MESSAGE_UPDATE_TA;
    AUTO(buffer) *ta = with_ta ? seal_ta(d, err) : NULL;
    if (with_ta && !ta)
        return NULL;
    AUTO(buffer) *payload = buffer_new(2048 + (sealed ? sealed->size : 0) + (ta ? ta->size : 0));
    AUTO(json_t) *changed = changeable(d, tbs);
    if (!changed || !mutate_tbs(d->broken, changed, d->tam_chain, err))
        return NULL;
    if (!payload || !put_tbs(payload, d, changed)) {
        error_memory(err);
        return NULL;
    }
    put_part(payload, "content", sealed, tbs);
    put_part(payload, "encrypted_ta", ta, tbs);
    buffer_put_text(payload, "}}");
    if (payload->failed) {
        error_memory(err);
        return NULL;
    }
    return change_payload(d, &payload, err) ? sign_request(d, payload, err) : NULL;
}
