/* SPDX-License-Identifier: Apache-2.0 */
/* What otrp verify has to go by: keys, roots, OCSP responses, a device, a request. */
#include "applets/verify.h"

#include <string.h>

#include "otrp/request.h"
#include "otrp/response.h"
#include "otrp/sealed.h"
#include "otrp/ta_information.h"

void evidence_free(evidence *e)
{
    key_set_free(e->keys);
    key_set_free(e->tam_keys);
    sk_X509_pop_free(e->anchors, X509_free);
    for (size_t i = 0; i < e->ocsp_count; i++)
        buffer_free(e->ocsp[i]);
    buffer_free(e->attached);
    buffer_free(e->cek);
    dsi_free(e->device);
    free(e->rid);
    free(e->tid);
    json_decref(e->query);
    json_decref(e->checks);
    json_decref(e->deviations);
    buffer_free(e->payload);
}

static bool load_ocsp(evidence *e, const char *path, struct error *err)
{
    if (!path)
        return true;
    AUTO(buffer) *text = input_read(path, LIMIT_SMALL_JSON, err);
    AUTO(json_doc) *doc = text ? json_doc_parse(buffer_span(text), path, err) : NULL;
    return doc && member_base64_list(json_root(doc), path, LIMIT_OCSP_RESPONSES, e->ocsp,
                                     &e->ocsp_count, err);
}

static bool load_request(evidence *e, const char *path, struct error *err)
{
    if (!path)
        return true;
    AUTO(buffer) *text = input_read(path, limits.file_bytes, err);
    if (!text)
        return false;
    e->query = ta_query_read(buffer_span(text), err);
    if (e->query || err->rc != RC_OK)
        return e->query || error_prefix(err, "%s", input_name(path));
    AUTO(request) *r = request_new(buffer_span(text));
    if (!r)
        return error_memory(err);
    struct reading quiet = e->how;
    quiet.note = NULL;
    if (!request_adapt(r, e->reading ? &quiet : NULL, err))
        return error_prefix(err, "%s", input_name(path));
    if (!r->type || !r->rid[0])
        return error_set(err, RC_MALFORMED, "%s: is no request of OTrP", input_name(path));
    e->rid = strdup(r->rid);
    e->tid = strdup(r->tid);
    return (e->rid && e->tid) || error_memory(err);
}

/* A foreign form that was met, once each. */
static void note_deviation(void *context, const struct foreign_row *form, const char *path)
{
    const evidence *e = context;
    AUTO(json_t) *deviation = json_pack("{s:s, s:s, s:s, s:s}", "form", form->name, "path", path,
                                        "title", form->title, "rule", form->section);
    for (size_t i = 0; i < json_array_size(e->deviations); i++)
        if (json_equal(json_array_get(e->deviations, i), deviation))
            return;
    json_array_append(e->deviations, deviation);
}

/* --key is of who signed the message; of a TEE that names no certificate, nothing else is known. */
static dsi *load_device(evidence *e, const char *path, struct error *err)
{
    AUTO(buffer) *text = input_read(path, limits.file_bytes, err);
    if (!text)
        return NULL;
    struct reading quiet = e->how;
    quiet.note = NULL;
    bool pinned = e->keys && e->reading && e->how.profile->no_certificate;
    struct response_question question = {.tam_key = e->tam_keys ? e->tam_keys->keys[0] : NULL,
                                         .tee_key = pinned ? e->keys->keys[0] : NULL,
                                         .reading = e->reading ? &quiet : NULL,
                                         .at = e->now};
    dsi *device = device_state_read(buffer_span(text), &question, err);
    if (!device)
        error_prefix(err, "%s", input_name(path));
    return device;
}

bool evidence_load(const struct applet_call *call, evidence *e, struct error *err)
{
    const struct verify *o = call->options;
    e->options = o;
    e->call = call;
    e->now = clock_now(&call->clock);
    e->checks = json_array();
    e->deviations = json_array();
    e->reading = call_reading(call, &e->how, note_deviation, e);
    struct key_how how = {
        .part = KEY_PUBLIC, .passin = call->common->passin, .small_keys = o->insecure_small_keys};
    if (o->key && o->trust.count) {
        error_set(err, RC_USAGE, "--key and --trust exclude each other");
        return error_hint(
            err, "--key pins one key; --trust takes the key from the message and checks its chain");
    }
    if ((o->key && !(e->keys = key_set_load(o->key, &how, err))) ||
        !certs_load_all(&o->trust, &e->anchors, err))
        return false;
    how.part = KEY_PRIVATE;
    if ((o->tam_key && !(e->tam_keys = key_set_load(o->tam_key, &how, err))) ||
        (o->cek && !(e->cek = cek_load(o->cek, err))) || !load_ocsp(e, o->ocsp, err) ||
        !load_request(e, o->request, err))
        return false;
    e->device = o->device ? load_device(e, o->device, err) : NULL;
    return !o->device || e->device;
}

/* A TA query is answered by TAInformation, and nothing else is. */
static bool request_counts(const evidence *e, enum verify_kind kind, struct error *err)
{
    if (!e->options->request || (e->query != NULL) == (kind == KIND_INFORMATION))
        return true;
    error_set(err, RC_USAGE, "--request: %s is %s", e->options->request,
              e->query ? "a TAQuery, and MESSAGE no TAInformation"
                       : "no TAQuery, which a TAInformation answers");
    return error_hint(err, "give what MESSAGE answers, or leave --request out");
}

bool evidence_counts(const evidence *e, enum verify_kind kind, struct error *err)
{
    const struct verify *o = e->options;
    const struct {
        bool given;
        unsigned kinds;
        const char *option, *use, *hint;
    } rows[] = {
        {o->trust.count > 0, KIND_REQUEST | KIND_ANSWER | KIND_JWS, "--trust",
         "a message whose signer has a certificate",
         "give --device, whose state has the SP AIK, or --key"},
        {o->ocsp, KIND_REQUEST | KIND_JWS, "--ocsp", "a request or a JWS",
         "leave it out: an answer needs no OCSP response"},
        {o->device, KIND_REQUEST | KIND_ANSWER | KIND_INFORMATION, "--device", "a message of OTrP",
         "leave it out: nothing in a JWS by itself is of a device"},
        {o->request, KIND_ANSWER | KIND_INFORMATION, "--request", "an answer",
         "give the answer as MESSAGE, or leave --request out"},
        {o->tam_key && !o->device, KIND_ANSWER, "--tam-key", "an answer",
         "leave it out: nothing is opened with it"},
        {o->cek, KIND_ANSWER, "--cek", "an answer", "leave it out: nothing is opened with it"},
        {o->detached, KIND_JWS, "--detached", "a JWS by itself",
         "leave it out: a message of OTrP has its payload in it"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].given && !(rows[i].kinds & kind)) {
            error_set(err, RC_USAGE, "%s is for %s, and this is %s", rows[i].option, rows[i].use,
                      kind == KIND_REQUEST       ? "a request"
                      : kind == KIND_ANSWER      ? "an answer"
                      : kind == KIND_INFORMATION ? "a TAInformation"
                                                 : "a JWS by itself");
            return error_hint(err, "%s", rows[i].hint);
        }
    return request_counts(e, kind, err);
}
