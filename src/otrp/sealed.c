/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/sealed.h"

#include "otrp/message.h"
#include "otrp/response.h"
#include "util/base64.h"

void sealed_free(sealed *s)
{
    if (!s)
        return;
    jwe_free(s->jwe);
    json_doc_free(s->tbs_doc);
    json_doc_free(s->doc);
    buffer_free(s->payload);
    free(s);
}

/* The JWS of an OTrP message; NULL when root is none, or the answers of several TEEs. */
static const struct json_value *only_jws(const struct json_value *root)
{
    const struct json_value *value = root->kind == JSON_KIND_OBJECT && root->count == 1
                                         ? root->first
                                         : NULL;
    if (!value || (value->kind == JSON_KIND_ARRAY && value->count != 1))
        return NULL;
    const struct json_value *inner = message_jws(value);
    return json_member(inner, "payload") ? inner : NULL;
}

static const struct json_value *encrypted_member(const struct json_value *tbs_root)
{
    static const char *const names[] = {"edsi", "content"};
    const struct json_value *tbs = tbs_root->kind == JSON_KIND_OBJECT && tbs_root->count == 1
                                       ? tbs_root->first
                                       : NULL;
    for (size_t i = 0; tbs && i < COUNT(names); i++) {
        const struct json_value *member = json_member(tbs, names[i]);
        if (member)
            return member;
    }
    return NULL;
}

static bool find_in_message(sealed *s, const struct json_value *message, struct error *err)
{
    struct span payload;
    if (!member_string(message, "message", "payload", true, &payload, err))
        return false;
    s->payload = base64url_decode(payload, "payload", err);
    s->tbs_doc = s->payload ? json_doc_parse(buffer_span(s->payload), "payload", err) : NULL;
    if (!s->tbs_doc)
        return false;
    const struct json_value *member = encrypted_member(json_root(s->tbs_doc));
    if (!member) {
        error_set(err, RC_MALFORMED, "message: no edsi and no content in it: nothing is encrypted");
        return error_hint(err, "'otrp inspect' shows what is in it");
    }
    s->jwe = jwe_from_value(member, span_is(member->name, "edsi") ? "edsi" : "content", err);
    return s->jwe != NULL;
}

sealed *sealed_find(struct span text, struct error *err)
{
    AUTO(sealed) *s = calloc(1, sizeof *s);
    if (!s) {
        error_memory(err);
        return NULL;
    }
    text = span_trim(text);
    if (text.size == 0 || text.data[0] != '{') {
        s->jwe = jwe_parse(text, "JWE", err);
        return s->jwe ? TAKE(s) : NULL;
    }
    s->doc = json_doc_parse(text, "message", err);
    if (!s->doc)
        return NULL;
    const struct json_value *message = only_jws(json_root(s->doc));
    if (message)
        return find_in_message(s, message, err) ? TAKE(s) : NULL;
    s->jwe = jwe_from_value(json_root(s->doc), "JWE", err);
    return s->jwe ? TAKE(s) : NULL;
}

/* A plain DSI; hashed as it is. */
static dsi *plain_state(struct span text, const json_doc *doc, const struct reading *reading,
                        struct error *err)
{
    const struct member *members = message_type(MESSAGE_GET_DEVICE_STATE)->response_content;
    AUTO(buffer) *ours = NULL;
    if (!reading)
        return dsi_parse(text, err);
    if (!foreign_read(json_root(doc), members, "device state", reading, &ours, err))
        return NULL;
    AUTO(json_t) *outer = json_load_span(ours ? buffer_span(ours) : text, "device state", err);
    json_t *inner = json_object_get(outer, "dsi");
    if (outer && !json_is_object(inner))
        error_set(err, RC_MALFORMED, "dsi: not an object");
    return json_is_object(inner)
               ? dsi_from_foreign(inner, text, reading_profile(reading)->no_certificate, err)
               : NULL;
}

dsi *device_state_read(struct span text, const struct response_question *q, struct error *err)
{
    AUTO(json_doc) *doc = json_doc_parse(text, "device state", err);
    if (!doc)
        return NULL;
    if (json_member(json_root(doc), "dsi"))
        return plain_state(span_trim(text), doc, q->reading, err);
    struct response_question question = *q;
    question.for_state = true;
    AUTO(response) *answer = response_open(text, &question, err);
    if (!answer)
        return NULL;
    if (!answer->device)
        error_set(err, RC_MALFORMED, "device state: the answer holds none%s%s",
                  answer->code ? ", it is " : "", answer->code ? answer->code : "");
    return TAKE(answer->device);
}

dsi *device_state_open(struct span text, key *tam_key, const X509_stack *anchors, time_t at,
                       struct error *err)
{
    return device_state_read(
        text, &(struct response_question){.tam_key = tam_key, .tee_anchors = anchors, .at = at},
        err);
}
