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

static jws *from_segments(const struct span segments[3], const char *what, struct error *err)
{
    AUTO(jws) *message = jws_new(what, err);
    if (!message)
        return NULL;
    message->serialization = SERIALIZATION_COMPACT;
    message->payload = segments[1];
    message->detached = segments[1].size == 0;
    return add_signature(message, what, segments[0], NULL, segments[2], err) ? TAKE(message) : NULL;
}

jws *jws_parse(struct span text, const char *what, struct error *err)
{
    AUTO(json_doc) *doc = NULL;
    struct span segments[3];
    if (!serialization_read(text, what, &doc, segments, COUNT(segments), err))
        return NULL;
    jws *message = doc ? jws_from_value(json_root(doc), what, err)
                       : from_segments(segments, what, err);
    if (message)
        message->doc = TAKE(doc);
    return message;
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

static void put_compact(buffer *out, const buffer *protected, struct span payload,
                        const buffer *signature)
{
    buffer_put_span(out, buffer_span(protected));
    buffer_put_char(out, '.');
    buffer_put_span(out, payload);
    buffer_put_char(out, '.');
    buffer_put_base64url(out, buffer_span(signature));
}

/* Appends `"protected":"..","header":{..},"signature":".."`. */
static bool put_members(buffer *out, const buffer *protected, const json_t *header,
                        const buffer *signature, struct error *err)
{
    buffer_put_format(out, "\"protected\":\"%s\"", (const char *)protected->data);
    if (json_object_size(header)) {
        AUTO(buffer) *text = json_compact(header);
        if (!text)
            return error_memory(err);
        buffer_put_text(out, ",\"header\":");
        buffer_put_span(out, buffer_span(text));
    }
    buffer_put_text(out, ",\"signature\":\"");
    buffer_put_base64url(out, buffer_span(signature));
    buffer_put_char(out, '"');
    return true;
}

/* Appends what one key says of payload, which is encoded. */
static bool put_signature(buffer *out, const struct jws_how *how, const key *k, struct span payload,
                          struct error *err)
{
    const struct jwa *alg = how->alg ? how->alg : jwa_for_signature(k, err);
    if (!alg || !jwa_fits(alg, k, "sign", err))
        return false;
    AUTO(json_t) *own = json_pack("{s:s}", "alg", alg->name);
    AUTO(buffer) *protected = header_encode(own, how->protected, how->header, err);
    if (!protected)
        return false;
    const struct span pieces[] = {buffer_span(protected), span_text("."), payload};
    AUTO(buffer) *signature = signature_make(alg, k, pieces, COUNT(pieces), err);
    if (!signature)
        return false;
    if (how->serialization != SERIALIZATION_COMPACT)
        return put_members(out, protected, how->header, signature, err);
    put_compact(out, protected, how->detached ? SPAN(NULL, 0) : payload, signature);
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

/* The whole JWS of payload, which is encoded. */
static bool put_jws(buffer *out, const struct jws_how *how, struct span payload, struct error *err)
{
    if (how->serialization == SERIALIZATION_COMPACT)
        return put_signature(out, how, how->keys[0], payload, err);
    buffer_put_char(out, '{');
    if (!how->detached) {
        buffer_put_text(out, "\"payload\":\"");
        buffer_put_span(out, payload);
        buffer_put_text(out, "\",");
    }
    bool put = how->serialization == SERIALIZATION_GENERAL
                   ? put_general(out, how, payload, err)
                   : put_signature(out, how, how->keys[0], payload, err);
    buffer_put_char(out, '}');
    return put;
}

static bool check_how(const struct jws_how *how, struct error *err)
{
    if (how->serialization == SERIALIZATION_COMPACT && how->header)
        return error_set(err, RC_USAGE, "compact serialization has no unprotected header");
    if (how->count == 0 || how->count > LIMIT_RECIPIENTS)
        return error_set(err, RC_USAGE, "general serialization takes 1 to %d signatures, not %zu",
                         LIMIT_RECIPIENTS, how->count);
    if (how->serialization != SERIALIZATION_GENERAL && how->count != 1)
        return error_set(err, RC_USAGE, "several signatures need the general serialization");
    return true;
}

buffer *jws_sign(const struct jws_how *how, struct span payload, struct error *err)
{
    if (!check_how(how, err))
        return NULL;
    AUTO(buffer) *encoded = buffer_new(payload.size / 3 * 4 + 4);
    AUTO(buffer) *out = buffer_new(payload.size / 3 * 4 + 2048);
    if (!encoded || !out) {
        error_memory(err);
        return NULL;
    }
    buffer_put_base64url(encoded, payload);
    if (!put_jws(out, how, buffer_span(encoded), err))
        return NULL;
    if (!encoded->failed && !out->failed)
        return TAKE(out);
    error_memory(err);
    return NULL;
}
