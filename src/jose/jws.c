/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jws.h"

#include <stdio.h>
#include <string.h>

#include "jose/signature.h"
#include "util/base64.h"

void jws_free(jws *message)
{
    if (!message)
        return;
    for (size_t i = 0; i < message->count; i++) {
        json_decref(message->signatures[i].protected);
        json_decref(message->signatures[i].header);
    }
    json_doc_free(message->doc);
    free(message->what);
    free(message);
}

static jws *jws_new(const char *what, struct error *err)
{
    jws *message = calloc(1, sizeof *message);
    if (message && (message->what = strdup(what)))
        return message;
    free(message);
    error_memory(err);
    return NULL;
}

/* Decodes the headers of the next signature; header is the unprotected one or NULL. */
static bool add_signature(jws *message, const char *what, struct span protected,
                          const struct json_value *header, struct span signature, struct error *err)
{
    struct jws_signature *s = &message->signatures[message->count];
    char part[300];
    s->encoded_protected = protected;
    s->signature = signature;
    message->count++;
    snprintf(part, sizeof part, "%s.protected", what);
    s->protected = header_decode(protected, part, err);
    if (!s->protected)
        return false;
    snprintf(part, sizeof part, "%s.header", what);
    s->header = header_load(header, part, err);
    return s->header && headers_check(s->protected, s->header, NULL, what, err);
}

static bool read_member_signature(jws *message, const char *what, const struct json_value *from,
                                  struct error *err)
{
    struct span protected, signature;
    if (!member_string(from, what, "protected", false, &protected, err) ||
        !member_string(from, what, "signature", true, &signature, err))
        return false;
    return add_signature(message, what, protected, json_member(from, "header"), signature, err);
}

static bool read_general(jws *message, const struct json_value *list, struct error *err)
{
    message->serialization = SERIALIZATION_GENERAL;
    if (list->kind != JSON_KIND_ARRAY || list->count == 0 || list->count > LIMIT_RECIPIENTS)
        return error_set(err, RC_MALFORMED, "%s.signatures: not an array of 1 to %d signatures",
                         message->what, LIMIT_RECIPIENTS);
    for (const struct json_value *s = list->first; s; s = s->next) {
        char what[300];
        snprintf(what, sizeof what, "%s.signatures[%zu]", message->what, message->count);
        if (!read_member_signature(message, what, s, err))
            return false;
    }
    return true;
}

jws *jws_from_value(const struct json_value *value, const char *what, struct error *err)
{
    AUTO(jws) *message = jws_new(what, err);
    if (!message)
        return NULL;
    if (value->kind != JSON_KIND_OBJECT) {
        error_set(err, RC_MALFORMED, "%s: %s, not a JWS", what, json_kind_name(value->kind));
        return NULL;
    }
    const struct json_value *list = json_member(value, "signatures");
    if (list && json_member(value, "signature")) {
        error_set(err, RC_MALFORMED, "%s: both \"signature\" and \"signatures\"", what);
        error_rule(err, "RFC 7515 section 7.2.2");
        return NULL;
    }
    if (!member_string(value, what, "payload", false, &message->payload, err))
        return NULL;
    message->detached = !json_member(value, "payload");
    bool read = list ? read_general(message, list, err)
                     : read_member_signature(message, what, value, err);
    return read ? TAKE(message) : NULL;
}

jws *jws_parse(struct span text, const char *what, struct error *err)
{
    text = span_trim(text);
    if (text.size && text.data[0] == '{') {
        AUTO(json_doc) *doc = json_doc_parse(text, what, err);
        jws *message = doc ? jws_from_value(json_root(doc), what, err) : NULL;
        if (message)
            message->doc = TAKE(doc);
        return message;
    }
    struct span segments[3];
    if (!compact_split(text, what, 3, segments, err))
        return NULL;
    AUTO(jws) *message = jws_new(what, err);
    if (!message)
        return NULL;
    message->serialization = SERIALIZATION_COMPACT;
    message->payload = segments[1];
    message->detached = segments[1].size == 0;
    return add_signature(message, what, segments[0], NULL, segments[2], err) ? TAKE(message) : NULL;
}

const struct jwa *jws_alg(const jws *message, size_t i, struct error *err)
{
    const struct jws_signature *s = &message->signatures[i];
    const json_t *headers[] = {s->protected, s->header};
    bool wrong;
    const char *name = headers_text(headers, COUNT(headers), "alg", &wrong);
    if (!name) {
        error_set(err, RC_MALFORMED, "%s: \"alg\" %s", message->what,
                  wrong ? "is not a string" : "is missing");
        error_rule(err, "RFC 7515 section 4.1.1");
        return NULL;
    }
    const struct jwa *alg = jwa_find(JWA_SIGNATURE, name);
    if (alg)
        return alg;
    error_set(err, RC_SIGNATURE, "%s: signature algorithm \"%.40s\" %s", message->what, name,
              jwa_refusal(name));
    error_rule(err, "RFC 7518 section 3.1");
    return NULL;
}

/* A compact one with an empty payload looks like a detached one, and is as good. */
static bool payload_there(const jws *message, struct error *err)
{
    if (!message->detached || message->payload.data)
        return true;
    error_set(err, RC_MALFORMED, "%s.payload: missing", message->what);
    return error_rule(err, "RFC 7515 section 5.2");
}

bool jws_verify(const jws *message, size_t i, const key *k, struct error *err)
{
    const struct jws_signature *s = &message->signatures[i];
    if (!payload_there(message, err))
        return false;
    const struct jwa *alg = jws_alg(message, i, err);
    if (!alg)
        return false;
    if (!jwa_fits(alg, k, "verify", err)) {
        err->rc = RC_SIGNATURE; /* asked to verify, the answer is no */
        return error_prefix(err, "%s", message->what);
    }
    char what[300];
    snprintf(what, sizeof what, "%s.signature", message->what);
    AUTO(buffer) *signature = base64url_decode(s->signature, what, err);
    if (!signature)
        return false;
    const struct span pieces[] = {s->encoded_protected, span_text("."), message->payload};
    return signature_check(alg, k, pieces, COUNT(pieces), buffer_span(signature), err) ||
           error_prefix(err, "%s", message->what);
}

buffer *jws_payload(const jws *message, struct error *err)
{
    char what[300];
    if (!payload_there(message, err))
        return NULL;
    snprintf(what, sizeof what, "%s.payload", message->what);
    return base64url_decode(message->payload, what, err);
}

/* {"alg":...} and what else was asked for, encoded. */
static buffer *protected_header(const struct jws_how *how, const struct jwa *alg, struct error *err)
{
    AUTO(json_t) *header = json_pack("{s:s}", "alg", alg->name);
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)how->protected, name, value) {
        if (json_object_get(header, name) && !json_equal(json_object_get(header, name), value)) {
            error_set(err, RC_USAGE, "the protected header says \"%s\" otherwise than the options",
                      name);
            return NULL;
        }
        json_object_set(header, name, value);
    }
    if (!headers_check(header, how->header, NULL, "header", err)) {
        err->rc = RC_USAGE;
        return NULL;
    }
    AUTO(buffer) *text = header ? json_compact(header) : NULL;
    AUTO(buffer) *encoded = text ? buffer_new(text->size * 2) : NULL;
    if (!encoded) {
        error_memory(err);
        return NULL;
    }
    buffer_put_base64url(encoded, buffer_span(text));
    return TAKE(encoded);
}

/* Appends `"protected":"..","header":{..},"signature":".."` of one key. */
static bool put_signature(buffer *out, const struct jws_how *how, const key *k, struct span payload,
                          struct error *err)
{
    const struct jwa *alg = how->alg ? how->alg : jwa_for_signature(k, err);
    if (!alg || !jwa_fits(alg, k, "sign", err))
        return false;
    AUTO(buffer) *protected = protected_header(how, alg, err);
    if (!protected)
        return false;
    const struct span pieces[] = {buffer_span(protected), span_text("."), payload};
    AUTO(buffer) *signature = signature_make(alg, k, pieces, COUNT(pieces), err);
    if (!signature)
        return false;
    if (how->serialization == SERIALIZATION_COMPACT) {
        buffer_put_span(out, buffer_span(protected));
        buffer_put_char(out, '.');
        if (!how->detached)
            buffer_put_span(out, payload);
        buffer_put_char(out, '.');
        buffer_put_base64url(out, buffer_span(signature));
        return true;
    }
    buffer_put_format(out, "\"protected\":\"%s\"", (const char *)protected->data);
    if (how->header && json_object_size(how->header)) {
        AUTO(buffer) *header = json_compact(how->header);
        if (!header)
            return error_memory(err);
        buffer_put_text(out, ",\"header\":");
        buffer_put_span(out, buffer_span(header));
    }
    buffer_put_text(out, ",\"signature\":\"");
    buffer_put_base64url(out, buffer_span(signature));
    buffer_put_char(out, '"');
    return true;
}

static bool put_general(buffer *out, const struct jws_how *how, struct span payload,
                        struct error *err)
{
    buffer_put_text(out, "\"signatures\":[");
    for (size_t i = 0; i < how->count; i++) {
        buffer_put_text(out, i ? ",{" : "{");
        if (!put_signature(out, how, how->keys[i], payload, err))
            return false;
        buffer_put_char(out, '}');
    }
    buffer_put_char(out, ']');
    return true;
}

buffer *jws_sign(const struct jws_how *how, struct span payload, struct error *err)
{
    if (how->serialization == SERIALIZATION_COMPACT && how->header) {
        error_set(err, RC_USAGE, "compact serialization has no unprotected header");
        return NULL;
    }
    if (how->count > LIMIT_RECIPIENTS) {
        error_set(err, RC_USAGE, "general serialization takes 1 to %d signatures, not %zu",
                  LIMIT_RECIPIENTS, how->count);
        return NULL;
    }
    if (how->serialization != SERIALIZATION_GENERAL && how->count != 1) {
        error_set(err, RC_USAGE, "several signatures need the general serialization");
        return NULL;
    }
    AUTO(buffer) *encoded = buffer_new(payload.size / 3 * 4 + 4);
    AUTO(buffer) *out = buffer_new(payload.size / 3 * 4 + 2048);
    if (!encoded || !out) {
        error_memory(err);
        return NULL;
    }
    buffer_put_base64url(encoded, payload);
    bool signed_;
    if (how->serialization == SERIALIZATION_COMPACT) {
        signed_ = put_signature(out, how, how->keys[0], buffer_span(encoded), err);
    } else {
        buffer_put_char(out, '{');
        if (!how->detached) {
            buffer_put_text(out, "\"payload\":\"");
            buffer_put_span(out, buffer_span(encoded));
            buffer_put_text(out, "\",");
        }
        signed_ = how->serialization == SERIALIZATION_GENERAL
                      ? put_general(out, how, buffer_span(encoded), err)
                      : put_signature(out, how, how->keys[0], buffer_span(encoded), err);
        buffer_put_char(out, '}');
    }
    if (signed_ && (encoded->failed || out->failed))
        signed_ = error_memory(err);
    return signed_ ? TAKE(out) : NULL;
}
