/* SPDX-License-Identifier: Apache-2.0 */
/* What a request is made of: a TAM, a device, an SP, a TA. */
#include "applets/make_request.h"

#include <errno.h>
#include <string.h>

#include "otrp/profile.h"
#include "otrp/response.h"
#include "otrp/sealed.h"
#include "otrp/ta_package.h"
#include "pki/layout.h"
#include "sim/tam_staple.h"
#include "util/base64.h"

void request_materials_free(request_materials *m)
{
    key_set_free(m->tam_keys);
    key_set_free(m->tee_keys);
    key_set_free(m->aiks);
    sk_X509_pop_free(m->tam_chain, X509_free);
    json_decref(m->ocsp);
    json_decref(m->add);
    json_decref(m->del);
    free(m->tamid);
    free(m->spcert);
    free(m->seen_rid);
    free(m->seen_tid);
    dsi_free(m->device);
    buffer_free(m->package);
    buffer_free(m->pdata);
    buffer_free(m->cek);
}

/* A set that devices refuse is no reason not to make the request: it may be meant so. */
static void check_staple(const struct applet_call *call, const struct tam_options *tam,
                         const request_materials *m)
{
    struct error why;
    time_t until;
    if (staple_judge(m->ocsp, m->tam_chain, NULL, clock_now(&call->clock), &until, &why))
        return;
    warn(call, "warning: devices will refuse the stapling set: %s", why.message);
    if (why.cause != CAUSE_STALE)
        return;
    AUTO(char) *command = tam_staple_command(tam);
    if (command)
        warn(call, "hint: '%s' makes a new one", command);
}

/* Its chain is in the request for who trusts its root alone. */
static void check_chain(const struct applet_call *call, const request_materials *m)
{
    const struct make_request *o = call->options;
    struct error ignored;
    AUTO(X509_stack) *roots = o->pki ? layout_roots(o->pki, ROLE_TAM, &ignored) : NULL;
    if (!profile_find(call->common->profile)->forms)
        call_warn_of_gap(call, o->tam_cert, m->tam_chain, roots, "devices will refuse the request");
}

static bool load_tam(const struct applet_call *call, request_materials *m, struct error *err)
{
    const struct make_request *o = call->options;
    const struct tam_options tam = {o->pki, o->tam, o->tam_key, o->tam_cert, o->ocsp};
    if (!tam_identity_load(call, &tam, &m->tam_keys, &m->tam_chain, &m->ocsp, err))
        return false;
    if (!m->ocsp && !profile_find(call->common->profile)->forms)
        warn(call,
             "warning: no stapling set: a TEE that has not seen this TAM before will refuse it");
    if (m->ocsp)
        check_staple(call, &tam, m);
    check_chain(call, m);
    m->tamid = o->tamid ? strdup(o->tamid) : cert_tamid(sk_X509_value(m->tam_chain, 0), err);
    return m->tamid != NULL;
}

/* The keys that a device's state does not name. */
static bool load_device_keys(const struct applet_call *call, request_materials *m,
                             struct error *err)
{
    const struct make_request *o = call->options;
    m->tee_keys = o->tee_cert ? call_keys(call, o->tee_cert, KEY_PUBLIC, err) : NULL;
    if (o->tee_cert && !m->tee_keys)
        return false;
    m->aiks = o->aik ? call_keys(call, o->aik, KEY_PUBLIC, err) : NULL;
    return !o->aik || m->aiks;
}

static bool load_device(const struct applet_call *call, request_materials *m, struct error *err)
{
    const struct make_request *o = call->options;
    if (!load_device_keys(call, m, err))
        return false;
    if (!o->device)
        return true;
    AUTO(buffer) *text = input_read(o->device, LIMIT_FILE_BYTES, err);
    if (!text)
        return false;
    struct error ignored;
    AUTO(X509_stack) *roots = o->pki ? layout_roots(o->pki, ROLE_TEE, &ignored) : NULL;
    struct reading how;
    struct response_question question = {.tam_key = m->tam_keys->keys[0],
                                         .tee_key = m->tee_keys ? m->tee_keys->keys[0] : NULL,
                                         .tee_anchors = roots,
                                         .reading = call_reading_told(call, &how),
                                         .at = clock_now(&call->clock)};
    m->device = device_state_read(buffer_span(text), &question, err);
    if (!m->device && roots && err->rc == RC_UNTRUSTED) {
        /* a foreign device is a good reason, but whoever signed its state can read the request */
        warn(call, "warning: %s", err->message);
        warn(call, "warning: the request is encrypted to a device that this PKI does not know");
        question.tee_anchors = NULL;
        m->device = device_state_read(buffer_span(text), &question, err);
    }
    m->seen_rid = response_claim(buffer_span(text), "rid");
    m->seen_tid = response_claim(buffer_span(text), "tid");
    return m->device || error_prefix(err, "%s", input_name(o->device));
}

static char *cert_base64(const X509 *cert, struct error *err)
{
    AUTO(buffer) *der = cert_to_der(cert, err);
    AUTO(buffer) *text = der ? buffer_new(der->size * 2) : NULL;
    if (!text)
        return NULL;
    buffer_put_base64(text, buffer_span(der));
    return span_dup(buffer_span(text));
}

static bool load_sp(const struct applet_call *call, request_materials *m, struct error *err)
{
    const struct make_request *o = call->options;
    if (o->sp && !o->pki) {
        error_set(err, RC_USAGE, "--sp names an SP of a PKI directory");
        return error_hint(err, "give --pki DIR as well");
    }
    AUTO(identity) *id = o->sp ? identity_find(o->pki, ROLE_SP, o->sp, err) : NULL;
    if (o->sp && !id)
        return false;
    const char *path = o->spcert ? o->spcert : id ? id->chain_path : NULL;
    AUTO(X509_stack) *chain = path ? cert_load(path, err) : NULL;
    if (path && !chain)
        return false;
    /* CreateSD needs the certificate; the others bring it only where asked to */
    bool wanted = o->spcert || strcmp(o->type, "create-sd") == 0;
    m->spcert = path && wanted ? cert_base64(sk_X509_value(chain, 0), err) : NULL;
    return !path || !wanted || m->spcert;
}

static bool ta_version(const char *text, long long *version, struct error *err)
{
    char *end;
    *version = TA_NO_VERSION;
    if (!text)
        return true;
    errno = 0;
    *version = strtoll(text, &end, 10);
    return (!errno && *text >= '0' && *text <= '9' && !*end) ||
           error_set(err, RC_USAGE, "--taver: '%s' is no whole number from 0 on", text);
}

static bool load_ta(const struct applet_call *call, request_materials *m, struct error *err)
{
    const struct make_request *o = call->options;
    long long version;
    if (!ta_version(o->taver, &version, err))
        return false;
    m->pdata = o->pdata ? input_read(o->pdata, LIMIT_FILE_BYTES, err) : NULL;
    if (o->pdata && !m->pdata)
        return false;
    AUTO(buffer) *ta = o->ta ? input_read(o->ta, LIMIT_FILE_BYTES, err) : NULL;
    if (!ta)
        return !o->ta;
    if (ta->size == 0)
        warn(call, "warning: --ta: %s: a TA of 0 bytes", input_name(o->ta));
    if (ta_package_is(buffer_span(ta))) {
        m->package = TAKE(ta);
        return true;
    }
    if (!o->sp) {
        error_set(err, RC_USAGE, "%s: not a TA package signed by an SP", o->ta);
        return error_hint(err, "sign it with 'otrp sign', or name the SP that signs it with --sp");
    }
    AUTO(identity) *id = identity_find(o->pki, ROLE_SP, o->sp, err);
    AUTO(key_set) *keys = id ? call_keys(call, id->key_path, KEY_PRIVATE, err) : NULL;
    AUTO(X509_stack) *chain = keys ? cert_load(id->chain_path, err) : NULL;
    m->package = chain
                     ? ta_package_sign(buffer_span(ta), keys->keys[0], chain, o->taid, version, err)
                     : NULL;
    return m->package != NULL;
}

static bool load_changes(const struct make_request *o, request_materials *m, struct error *err)
{
    m->add = o->add_spcert.count ? json_array() : NULL;
    m->del = o->del_spcert.count ? json_array() : NULL;
    for (size_t i = 0; i < o->add_spcert.count; i++) {
        AUTO(X509_stack) *certs = cert_load(o->add_spcert.items[i], err);
        AUTO(char) *text = certs ? cert_base64(sk_X509_value(certs, 0), err) : NULL;
        if (!text)
            return false;
        json_array_append_new(m->add, json_string(text));
    }
    for (size_t i = 0; i < o->del_spcert.count; i++) {
        AUTO(X509_stack) *certs = cert_load(o->del_spcert.items[i], err);
        AUTO(char) *text = certs ? cert_sha256_hex(sk_X509_value(certs, 0), err) : NULL;
        if (!text)
            return false;
        json_array_append_new(m->del, json_string(text));
    }
    return true;
}

static bool load_cek(const struct make_request *o, request_materials *m, struct error *err)
{
    m->cek = o->cek ? cek_load(o->cek, err) : NULL;
    return !o->cek || m->cek;
}

bool request_materials_load(const struct applet_call *call, request_materials *m, struct error *err)
{
    const struct make_request *o = call->options;
    return load_tam(call, m, err) && load_device(call, m, err) && load_sp(call, m, err) &&
           load_ta(call, m, err) && load_changes(o, m, err) && load_cek(o, m, err);
}
