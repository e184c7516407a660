/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/response.h"

#include <string.h>

static json_t *reason_json(const struct response_draft *d)
{
    return json_pack("{s:s, s:s*}", "error-code", error_code_name(d->code), "error-message",
                     d->message);
}

json_t *response_tbs(const struct response_draft *d)
{
    json_t *tbs = json_pack("{s:s, s:s, s:s, s:s}", "ver", "1.0", "status",
                            d->code == ERR_NONE ? "pass" : "fail", "rid", d->rid, "tid", d->tid);
    if (tbs && d->code != ERR_NONE && !d->content)
        json_object_set_new(tbs, "reason", reason_json(d));
    if (tbs && d->supported)
        json_object_set(tbs, "supportedsigalgs", (json_t *)d->supported);
    if (tbs && d->type->id == MESSAGE_GET_DEVICE_STATE && d->code == ERR_NONE)
        json_object_set_new(tbs, "signerreq", json_boolean(d->signerreq));
    if (tbs && !profile_answer_tbs(d->profile, tbs)) {
        json_decref(tbs);
        return NULL;
    }
    return tbs;
}

json_t *response_plaintext(const struct response_draft *d)
{
    json_t *content = json_deep_copy(d->content);
    if (content && d->code != ERR_NONE)
        json_object_set_new(content, "reason", reason_json(d));
    if (content && !profile_answer_content(d->profile, d->type, content)) {
        json_decref(content);
        return NULL;
    }
    return content;
}

static buffer *seal_content(const struct response_draft *d, struct error *err)
{
    AUTO(json_t) *content = response_plaintext(d);
    if (content && !mutate_content(d->broken, d->type->sealed, content, err))
        return NULL;
    AUTO(buffer) *plaintext = content ? json_canonical(content) : NULL;
    if (!plaintext) {
        error_memory(err);
        return NULL;
    }
    key *keys[] = {d->tam_key};
    struct jwe_how how = {.keys = keys,
                          .count = 1,
                          .enc = d->enc,
                          .cek = d->profile && d->profile->make.fresh_cek ? SPAN(NULL, 0) : d->cek,
                          .serialization = SERIALIZATION_GENERAL};
    mutate_sealing(d->broken, &how);
    AUTO(buffer) *sealed = profile_encrypt(d->profile, &how, buffer_span(plaintext), NULL, err);
    return sealed && mutate_sealed(d->broken, &sealed, err) ? TAKE(sealed) : NULL;
}

static buffer *payload_text(const struct response_draft *d, struct error *err)
{
    if (!d->content && !mutate_unsealed(d->broken, d->type->sealed, err))
        return NULL;
    AUTO(json_t) *tbs = response_tbs(d);
    AUTO(buffer) *text = tbs ? json_compact(tbs) : NULL;
    AUTO(buffer) *sealed = text && d->content ? seal_content(d, err) : NULL;
    AUTO(buffer) *out = text ? buffer_new(text->size + (sealed ? sealed->size : 0) + 100) : NULL;
    if (!out || (d->content && !sealed)) {
        if (!out)
            error_memory(err);
        return NULL;
    }
    buffer_put_format(out, "{\"%s\":", d->type->response_tbs_name);
    buffer_put(out, text->data, text->size - 1);
    if (sealed) {
        buffer_put_format(out, ",\"%s\":", d->type->sealed);
        buffer_put_span(out, buffer_span(sealed));
    }
    buffer_put_text(out, "}}");
    if (out->failed)
        return error_memory(err), NULL;
    return json_changes_apply(d->changes, d->type->response_tbs_name, &out, err) &&
                   mutate_payload(d->broken, d->type->response_tbs_name, d->type->sealed, &out, err)
               ? TAKE(out)
               : NULL;
}

/* The flattened JWS of payload. */
static buffer *sign_payload(const struct response_draft *d, const buffer *payload,
                            struct error *err)
{
    mutation_signer how = {.with = d->tee_key};
    AUTO(mutation_signer) *signer = &how;
    if (!mutate_signer(d->broken, signer, err))
        return NULL;
    key *keys[] = {signer->with};
    AUTO(buffer) *message = jws_sign(
        &(struct jws_how){.keys = keys, .count = 1, .alg = d->sign_alg}, buffer_span(payload), err);
    return message && mutate_jws(d->broken, signer->with, &message, err) ? TAKE(message) : NULL;
}

buffer *response_make(const struct response_draft *d, struct error *err)
{
    AUTO(buffer) *payload = payload_text(d, err);
    if (!payload)
        return NULL;
    AUTO(buffer) *message = sign_payload(d, payload, err);
    AUTO(buffer) *out = message ? buffer_new(message->size + 100) : NULL;
    if (!out)
        return message ? (error_memory(err), NULL) : NULL;
    bool array = d->type->id == MESSAGE_GET_DEVICE_STATE;
    buffer_put_format(out, "{\"%s\":", d->type->response);
    if (array)
        buffer_put_text(out, "[{\"" GET_DEVICE_STATE_ELEMENT "\":");
    buffer_put_span(out, buffer_span(message));
    buffer_put_text(out, array ? "}]}" : "}");
    if (out->failed)
        return error_memory(err), NULL;
    return mutate_message(d->broken, &out, err) ? TAKE(out) : NULL;
}

buffer *broker_error_make(const char *rid, const char *tid, enum error_code_id code)
{
    AUTO(json_t) *error = json_pack("{s:{s:s, s:s, s:s, s:s}}", "OTrPBrokerError", "ver", "1.0",
                                    "rid", rid, "tid", tid, "errcode", error_code_name(code));
    return error ? json_compact(error) : NULL;
}
