/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer is made of: a request, a TEE with its firmware and state, a TAM. */
#include "applets/make_response.h"

#include <string.h>

#include "otrp/dsi_make.h"
#include "otrp/response.h"
#include "otrp/sealed.h"
#include "pki/layout.h"

void response_materials_free(response_materials *m)
{
    request_free(m->request);
    key_set_free(m->tee_keys);
    key_set_free(m->tfw_keys);
    key_set_free(m->aiks);
    sk_X509_pop_free(m->tee_chain, X509_free);
    sk_X509_pop_free(m->tfw_chain, X509_free);
    key_free(m->tam_key);
    json_decref(m->state);
    json_decref(m->fields);
    json_decref(m->content);
    json_changes_free(&m->changes);
    broken_free(m->broken);
}

static bool load_identity(const struct applet_call *call, response_materials *m, enum pki_role role,
                          struct error *err)
{
    const struct make_response *o = call->options;
    bool tee = role == ROLE_TEE;
    const char *key_path = tee ? o->tee_key : o->tfw_key, *cert = tee ? o->tee_cert : o->tfw_cert;
    struct error absent;
    AUTO(identity) *id = o->pki && !(key_path && cert)
                             ? identity_find(o->pki, role, o->tee ? o->tee : "mytee",
                                             tee ? err : &absent)
                             : NULL;
    if (!key_path && id)
        key_path = id->key_path;
    if (!cert && id)
        cert = id->chain_path;
    if (!key_path || !cert) {
        if (!tee || (o->pki && !id))
            return !tee; /* firmware is optional */
        error_set(err, RC_USAGE, "no TEE to answer with");
        return error_hint(err, "give --pki DIR, or --tee-key and --tee-cert");
    }
    key_set **keys = tee ? &m->tee_keys : &m->tfw_keys;
    X509_stack **chain = tee ? &m->tee_chain : &m->tfw_chain;
    *keys = call_keys(call, key_path, KEY_PRIVATE, err);
    *chain = *keys ? cert_load(cert, err) : NULL;
    return *chain != NULL;
}

/* Reads the request as far as it goes: one that a TEE refuses has its answer, too. */
static bool load_request(const struct applet_call *call, struct span text, response_materials *m,
                         struct error *err)
{
    const struct make_response *o = call->options;
    m->request = request_new(text);
    if (!m->request)
        return error_memory(err);
    if (!m->request->type)
        return error_set(err, RC_MALFORMED, "%s: is no request of OTrP", input_name(o->request));
    /* without x5c, the TAM's certificate says whose key must have signed */
    struct reading how;
    const struct tee_view view = {.now = clock_now(&call->clock),
                                  .reading = call_reading_told(call, &how),
                                  .signer = call->common->profile ? m->tam_key : NULL,
                                  .device_key = m->tee_keys->keys[0]};
    struct check_result result = request_check(m->request, &view, NULL, NULL);
    if (result.code != ERR_NONE)
        warn(call, "note: a TEE refuses this request with %s: %s", error_code_name(result.code),
             result.error.message);
    if (m->request->fields)
        m->fields = json_load_value(m->request->fields, "content", err);
    return !m->request->fields || m->fields;
}

/* The TAM's certificate: given, or the PKI's of mytam for a profile whose requests carry none. */
static bool load_tam_cert(const struct applet_call *call, response_materials *m, struct error *err)
{
    const struct make_response *o = call->options;
    bool carried = m->profile->make.x5c != X5C_FORM_NONE;
    AUTO(identity) *id = o->tam_cert || carried || !o->pki
                             ? NULL
                             : identity_find(o->pki, ROLE_TAM, "mytam", err);
    const char *path = o->tam_cert ? o->tam_cert : id ? id->chain_path : NULL;
    AUTO(X509_stack) *chain = path ? cert_load(path, err) : NULL;
    if (chain)
        m->tam_key = key_from_pkey(X509_get_pubkey(sk_X509_value(chain, 0)), false, path, err);
    return !path || m->tam_key;
}

static bool load_tam(response_materials *m, struct error *err)
{
    if (!m->tam_key && m->request->signers)
        m->tam_key = key_from_pkey(X509_get_pubkey(sk_X509_value(m->request->signers, 0)), false,
                                   "x5c", err);
    return m->tam_key || !m->request->signers;
}

bool response_state_load(const struct applet_call *call, response_materials *m, struct error *err)
{
    const struct make_response *o = call->options;
    if (!o->device) {
        const char *name = o->name ? o->name : o->tee ? o->tee : "mytee";
        m->state = dsi_make(
            &(struct dsi_draft){name, o->tee_version ? o->tee_version : "1.0", m->tee_chain}, err);
        return m->state != NULL;
    }
    AUTO(buffer) *text = input_read(o->device, limits.file_bytes, err);
    struct reading how;
    const struct response_question question = {.reading = call_reading_told(call, &how),
                                               .at = clock_now(&call->clock)};
    AUTO(dsi) *before = text ? device_state_read(buffer_span(text), &question, err) : NULL;
    if (!before) {
        if (text && !err->hint[0])
            error_hint(err, "a plain DSI is what 'otrp decrypt' makes of a GetDeviceState answer");
        return text && error_prefix(err, "%s", input_name(o->device));
    }
    m->state = json_deep_copy(before->json);
    return m->state || error_memory(err);
}

bool response_materials_load(const struct applet_call *call, struct span text,
                             response_materials *m, struct error *err)
{
    const struct make_response *o = call->options;
    m->profile = profile_find(call->common->profile);
    if (!load_identity(call, m, ROLE_TEE, err) || !load_identity(call, m, ROLE_TFW, err) ||
        !load_tam_cert(call, m, err) || !load_request(call, text, m, err) || !load_tam(m, err))
        return false;
    m->aiks = o->aik ? call_keys(call, o->aik, KEY_PUBLIC, err) : NULL;
    if (o->aik && !m->aiks)
        return false;
    m->broken = broken_new(&o->break_, MUTATION_RESPONSE, m->request->type->id, err);
    if (!m->broken)
        return error_prefix(err, "--break");
    m->broken->plan.now = clock_now(&call->clock);
    return true;
}
