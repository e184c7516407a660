/* SPDX-License-Identifier: Apache-2.0 */
#include "net/summary.h"

#include <stdio.h>
#include <string.h>

#include "jose/jwe.h"
#include "otrp/message.h"
#include "otrp/sealed.h"
#include "util/base64.h"
#include "util/utf8.h"

/* As much of text as there is room for, never half a character. */
static void put_text(char *to, size_t size, struct span text)
{
    size_t kept = 0;
    while (kept < text.size && text.data[kept]) {
        size_t length = utf8_length(text.data + kept, text.size - kept);
        if (length == 0 || kept + length >= size)
            break;
        kept += length;
    }
    if (kept)
        memcpy(to, text.data, kept);
    to[kept] = '\0';
}

static void put_member(char *to, size_t size, const struct json_value *object, const char *name)
{
    const struct json_value *value = json_member(object, name);
    if (value && value->kind == JSON_KIND_STRING)
        put_text(to, size, value->string);
    else if (value && value->kind == JSON_KIND_NUMBER) /* some have integers for rid */
        put_text(to, size, value->text);
}
#define PUT(field, object, member) put_member(s->field, sizeof s->field, object, member)

static void read_broker_error(struct summary *s, const struct json_value *error)
{
    s->kind = SUMMARY_BROKER_ERROR;
    snprintf(s->status, sizeof s->status, "fail");
    PUT(rid, error, "rid");
    PUT(tid, error, "tid");
    PUT(code, error, "errcode");
}

static void read_reason(struct summary *s, const struct json_value *object)
{
    const struct json_value *reason = json_member(object, "reason");
    PUT(code, reason, "error-code");
    PUT(reason, reason, "error-message");
}

static void read_tbs(struct summary *s, const struct json_value *tbs)
{
    PUT(rid, tbs, "rid");
    PUT(tid, tbs, "tid");
    if (s->kind != SUMMARY_RESPONSE)
        return;
    PUT(status, tbs, "status");
    read_reason(s, tbs);
}

static bool read_signed(struct summary *s, const struct json_value *outer, struct error *err)
{
    const struct json_value *encoded = json_member(message_jws(outer), "payload");
    if (!encoded || encoded->kind != JSON_KIND_STRING)
        return error_set(err, RC_MALFORMED, "%s: no JWS with a payload", s->name);
    AUTO(buffer) *payload = base64url_decode(encoded->string, "payload", err);
    AUTO(json_doc) *doc = payload ? json_doc_parse(buffer_span(payload), "payload", err) : NULL;
    if (!doc)
        return false;
    const struct json_value *root = json_root(doc);
    if (root->kind != JSON_KIND_OBJECT || root->count != 1)
        return error_set(err, RC_MALFORMED, "payload: not an object with one member");
    read_tbs(s, root->first);
    return true;
}

static bool read_message(struct summary *s, struct span body, struct error *err)
{
    AUTO(json_doc) *doc = json_doc_parse(body, "body", err);
    if (!doc)
        return false;
    const struct json_value *root = json_root(doc), *outer = root->first;
    if (root->kind != JSON_KIND_OBJECT || root->count != 1)
        return error_set(err, RC_MALFORMED, "body: not an object with one member");
    put_text(s->name, sizeof s->name, outer->name);
    if (span_is(outer->name, "OTrPBrokerError")) {
        read_broker_error(s, outer);
        return true;
    }
    if (message_find_request(outer->name))
        s->kind = SUMMARY_REQUEST;
    else if (message_find_response(outer->name))
        s->kind = SUMMARY_RESPONSE;
    else
        return error_set(err, RC_MALFORMED, "body: no message of OTrP is called that");
    return read_signed(s, outer, err);
}

/* What is in the encrypted part. */

static void put_names(buffer *out, const struct json_value *object)
{
    static const char *const names[] = {"spid", "sdname", "taid", "taname"};
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct json_value *value = json_member(object, names[i]);
        if (!value || value->kind != JSON_KIND_STRING)
            continue;
        buffer_put_format(out, "%s%s ", out->size ? ", " : "", names[i]);
        buffer_put_span(out, value->string);
    }
}

static void put_device(buffer *out, const struct json_value *state)
{
    const struct json_value *tee = json_member(state, "tee");
    const struct json_value *list = json_member(tee, "sdlist");
    if (!list)
        return;
    size_t sds = 0, tas = 0;
    for (const struct json_value *sd = json_member(list, "sd") ? json_member(list, "sd")->first
                                                               : NULL;
         sd; sd = sd->next, sds++)
        tas += json_member(sd, "talist") ? json_member(sd, "talist")->count : 0;
    buffer_put_format(out, "%sdevice state: %zu SD%s, %zu TA%s", out->size ? ", " : "", sds,
                      sds == 1 ? "" : "s", tas, tas == 1 ? "" : "s");
}

static buffer *open_with_any(struct span body, const key_set *keys)
{
    struct error ignored;
    AUTO(sealed) *part = sealed_find(body, &ignored);
    buffer *plaintext = NULL;
    for (size_t i = 0; part && i < keys->count && !plaintext; i++)
        plaintext = keys->keys[i]->oct
                        ? jwe_decrypt_with_cek(part->jwe, buffer_span(keys->keys[i]->oct), &ignored)
                        : jwe_decrypt(part->jwe, &keys->keys[i], 1, NULL, &ignored);
    return plaintext;
}

static void read_content(struct summary *s, struct span body, const key_set *keys)
{
    struct error ignored;
    AUTO(buffer) *plaintext = open_with_any(body, keys);
    AUTO(json_doc) *doc = plaintext ? json_doc_parse(buffer_span(plaintext), "content", &ignored)
                                    : NULL;
    AUTO(buffer) *line = doc ? buffer_new(256) : NULL;
    if (!line)
        return;
    put_names(line, json_root(doc));
    put_device(line, json_member(json_root(doc), "dsi"));
    put_text(s->content, sizeof s->content, buffer_span(line));
    if (s->kind == SUMMARY_RESPONSE && !s->code[0])
        read_reason(s, json_root(doc));
}

void summary_read(struct summary *s, struct span body, const key_set *keys)
{
    *s = (struct summary){.kind = SUMMARY_EMPTY};
    if (body.size == 0)
        return;
    struct error err;
    s->kind = SUMMARY_UNKNOWN;
    if (!read_message(s, body, &err))
        put_text(s->problem, sizeof s->problem, span_text(err.message));
    else if (keys && s->kind != SUMMARY_BROKER_ERROR)
        read_content(s, body, keys);
}

bool summary_failed(const struct summary *s)
{
    return s->code[0] || strcmp(s->status, "fail") == 0;
}

void summary_put_line(buffer *out, const struct summary *s)
{
    if (s->kind == SUMMARY_EMPTY)
        buffer_put_text(out, "empty");
    else if (s->kind == SUMMARY_UNKNOWN)
        buffer_put_text(out, "no OTrP message");
    else
        buffer_put_format(out, "%s%s%s%s%s", s->name, s->status[0] ? " " : "", s->status,
                          s->code[0] ? " " : "", s->code);
}
