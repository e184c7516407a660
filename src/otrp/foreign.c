/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/foreign.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "jose/jwk.h"
#include "otrp/dsi.h"
#include "otrp/foreign_text.h"
#include "otrp/profile.h"
#include "util/base64.h"
#include "util/text_form.h"

const struct foreign_row foreign_forms[FOREIGN_COUNT] = {
#define FORM(id, name, section, title) {name, section, title},
    FOREIGN_FORMS
#undef FORM
};

/* A text in our form on its way out. */
struct adapter {
    const struct reading *reading;
    buffer *out;
    bool changed; /* something foreign was met */
};

bool foreign_accepts(const struct reading *reading, enum foreign_form form)
{
    if (!reading)
        return false;
    unsigned long long forms = reading_profile(reading)->forms;
    if (reading->lenient)
        forms |= FOREIGN_LENIENT;
    return forms >> form & 1;
}

void foreign_found(const struct reading *reading, enum foreign_form form, const char *path)
{
    if (reading->note)
        reading->note(reading->context, &foreign_forms[form], path);
}

/* Whether form, found at path, is one that the reading takes; tells it. */
static bool take(struct adapter *a, enum foreign_form form, const char *path)
{
    if (!foreign_accepts(a->reading, form))
        return false;
    a->changed = true;
    foreign_found(a->reading, form, path);
    return true;
}

static void put_base64_member(struct adapter *a, const struct json_value *v, const char *path)
{
    enum foreign_form form = v->kind == JSON_KIND_STRING ? base64_form(v->string) : FOREIGN_COUNT;
    if (form != FOREIGN_COUNT && take(a, form, path))
        put_as_base64(a->out, v->string);
    else
        buffer_put_span(a->out, v->text);
}

static void put_hex_member(struct adapter *a, const struct json_value *v, const char *path)
{
    struct error ignored;
    struct span s = v->string;
    bool foreign = v->kind == JSON_KIND_STRING && !text_is_hex(s);
    enum foreign_form form = foreign && text_is_base64(s)      ? FOREIGN_BASE64
                             : foreign && text_is_base64url(s) ? FOREIGN_BASE64URL
                                                               : FOREIGN_COUNT;
    AUTO(buffer) *url = form != FOREIGN_COUNT ? buffer_new(s.size + 4) : NULL;
    if (url)
        put_base64url_of(url, s);
    AUTO(buffer) *bytes = url ? base64url_decode(buffer_span(url), path, &ignored) : NULL;
    if (!bytes || !take(a, form, path)) {
        buffer_put_span(a->out, v->text);
        return;
    }
    buffer_put_char(a->out, '"');
    buffer_put_hex(a->out, buffer_span(bytes));
    buffer_put_char(a->out, '"');
}

/* ---- members with forms of their own ---- */

static void put_boolean(struct adapter *a, const struct json_value *v, const char *path)
{
    struct span s = v->kind == JSON_KIND_STRING ? span_trim(v->string) : SPAN(NULL, 0);
    bool yes = span_is(s, "true") || span_is(s, "1"), no = span_is(s, "false") || span_is(s, "0");
    if ((yes || no) && take(a, FOREIGN_BOOLEAN_TEXT, path))
        buffer_put_text(a->out, yes ? "true" : "false");
    else
        buffer_put_span(a->out, v->text);
}

static bool is_integer(const struct json_value *v)
{
    for (size_t i = 0; i < v->text.size; i++)
        if (!isdigit(v->text.data[i]))
            return false;
    return v->kind == JSON_KIND_NUMBER && v->text.size <= 20;
}

/* sigalg in BASE64: only when what it decodes to is an algorithm. */
static bool put_sigalg(struct adapter *a, const struct json_value *v, const char *path)
{
    struct error ignored;
    AUTO(buffer) *text = text_is_base64(v->string) ? base64_decode(v->string, path, &ignored)
                                                   : NULL;
    AUTO(char) *name = text ? span_dup(buffer_span(text)) : NULL;
    if (!name || !jwa_find(JWA_SIGNATURE, name) || !take(a, FOREIGN_SIGALG_BASE64, path))
        return false;
    buffer_put_json_string(a->out, buffer_span(text));
    return true;
}

/* Texts that are names: rid and cnt may come as numbers, did is a hash. */
static void put_name(struct adapter *a, const struct member *m, const struct json_value *v,
                     const char *path)
{
    bool rid = strcmp(m->name, "rid") == 0, count = strcmp(m->name, "cnt") == 0;
    if ((rid || count) && is_integer(v) &&
        take(a, rid ? FOREIGN_RID_INTEGER : FOREIGN_COUNT_INTEGER, path)) {
        buffer_put_json_string(a->out, v->text);
        return;
    }
    if (v->kind == JSON_KIND_STRING && strcmp(m->name, "did") == 0 && v->string.size >= 43) {
        put_base64_member(a, v, path);
        return;
    }
    if (v->kind == JSON_KIND_STRING && strcmp(m->name, "sigalg") == 0 && put_sigalg(a, v, path))
        return;
    buffer_put_span(a->out, v->text);
}

/* One of the two numbers of an RSA key, by either name or its place in an array of both. */
static json_t *rsa_number(const struct json_value *v, const char *name, const char *long_name,
                          size_t index)
{
    const struct json_value *number = json_member(v, name);
    if (!number)
        number = json_member(v, long_name);
    if (v->kind == JSON_KIND_ARRAY && v->count == 2)
        number = index ? v->first->next : v->first;
    AUTO(buffer) *text = number && number->kind == JSON_KIND_STRING
                             ? buffer_new(number->string.size + 1)
                             : NULL;
    if (!text)
        return NULL;
    put_base64url_of(text, number->string);
    return json_span(buffer_span(text));
}

static bool put_spaik(struct adapter *a, const struct json_value *v, const char *path)
{
    struct error ignored;
    AUTO(json_t) *e = rsa_number(v, "e", "exponent", 0), *n = rsa_number(v, "n", "modulus", 1);
    AUTO(json_t) *jwk = e && n ? json_pack("{s:s, s:O, s:O}", "kty", "RSA", "e", e, "n", n) : NULL;
    AUTO(key) *k = jwk ? jwk_to_key(jwk, path, false, &ignored) : NULL;
    AUTO(json_t) *der = k ? spaik_encode(k->pkey, &ignored) : NULL;
    if (!der || !take(a, FOREIGN_SPAIK_NUMBERS, path))
        return false;
    buffer_put_format(a->out, "\"%s\"", json_string_value(der));
    return true;
}

static void put_object(struct adapter *a, const struct json_value *object,
                       const struct member *members, const char *path);

/* dsi as a string that is JSON: {"dsi":{...}} or what is inside. */
static bool put_dsi_text(struct adapter *a, const struct json_value *v, const struct member *m,
                         const char *path)
{
    struct error ignored;
    if (!foreign_accepts(a->reading, FOREIGN_DSI_TEXT))
        return false;
    AUTO(json_doc) *doc = json_doc_parse(v->string, path, &ignored);
    const struct json_value *inner = doc ? json_root(doc) : NULL;
    if (inner && inner->count == 1 && json_member(inner, "dsi"))
        inner = inner->first;
    if (!inner || inner->kind != JSON_KIND_OBJECT || !take(a, FOREIGN_DSI_TEXT, path))
        return false;
    put_object(a, inner, m->members, path);
    return true;
}

/* reason as a string: an object in JSON, or else the code. */
static bool put_reason_text(struct adapter *a, const struct json_value *v, const struct member *m,
                            const char *path)
{
    struct error ignored;
    if (!take(a, FOREIGN_REASON_TEXT, path))
        return false;
    AUTO(json_doc) *doc = json_doc_parse(v->string, path, &ignored);
    if (doc && json_root(doc)->kind == JSON_KIND_OBJECT) {
        put_object(a, json_root(doc), m->members, path);
        return true;
    }
    buffer_put_text(a->out, "{\"error-code\":");
    buffer_put_json_string(a->out, v->string);
    buffer_put_char(a->out, '}');
    return true;
}

/* encrypted_ta.key as the wrapped key alone: a JWE of which nothing else is there. */
static bool put_bare_key(struct adapter *a, const struct json_value *v, const char *path)
{
    if ((!text_is_base64(v->string) && !text_is_base64url(v->string)) ||
        !take(a, FOREIGN_KEY_BARE, path))
        return false;
    buffer_put_text(a->out, "{\"encrypted_key\":\"");
    put_base64url_of(a->out, v->string);
    buffer_put_text(a->out, "\"}");
    return true;
}

static void put_object_member(struct adapter *a, const struct member *m, const struct json_value *v,
                              const char *path)
{
    if (v->kind == JSON_KIND_OBJECT && m->members) {
        put_object(a, v, m->members, path);
        return;
    }
    if (v->kind == JSON_KIND_STRING &&
        ((strcmp(m->name, "dsi") == 0 && put_dsi_text(a, v, m, path)) ||
         (strcmp(m->name, "reason") == 0 && put_reason_text(a, v, m, path)) ||
         (strcmp(m->name, "key") == 0 && put_bare_key(a, v, path))))
        return;
    buffer_put_span(a->out, v->text);
}

static bool is_placeholder(const struct json_value *v)
{
    struct span s = v->string;
    return v->kind == JSON_KIND_STRING && s.size > 1 && s.data[0] == '<' &&
           s.data[s.size - 1] == '>';
}

/* Whether a binary member of an object is a placeholder, or there is nothing in it at all. */
static bool is_filler(const struct json_value *object, const struct member *members)
{
    if (object->kind != JSON_KIND_OBJECT)
        return false;
    for (const struct json_value *v = object->first; v; v = v->next) {
        const struct member *m = member_find(members, v->name);
        if (m && m->type == MEMBER_BASE64 && is_placeholder(v))
            return true;
    }
    return object->count == 0;
}

/* Whether a member stands for nothing, so that it may be left out. */
static bool left_out(struct adapter *a, const struct member *m, const struct json_value *v,
                     const char *path)
{
    if (!m || !foreign_accepts(a->reading, FOREIGN_PLACEHOLDER))
        return false;
    bool spared = !m->mandatory || strcmp(m->name, "did") == 0;
    bool filler = m->type == MEMBER_OBJECT && m->members && is_filler(v, m->members);
    return spared && (filler || is_placeholder(v)) && take(a, FOREIGN_PLACEHOLDER, path);
}

static void put_element(struct adapter *a, const struct member *m, const struct json_value *v,
                        const char *path)
{
    switch (m->type) {
    case MEMBER_BASE64_LIST:
        put_base64_member(a, v, path);
        return;
    case MEMBER_HEX_LIST:
        put_hex_member(a, v, path);
        return;
    case MEMBER_OBJECT_LIST:
        if (v->kind == JSON_KIND_OBJECT) {
            put_object(a, v, m->members, path);
            return;
        }
        break;
    default:
        break;
    }
    buffer_put_span(a->out, v->text);
}

static void put_list(struct adapter *a, const struct member *m, const struct json_value *v,
                     const char *path)
{
    if (v->kind == JSON_KIND_STRING && m->type != MEMBER_OBJECT_LIST &&
        take(a, FOREIGN_LIST_TEXT, path)) {
        buffer_put_char(a->out, '[');
        put_element(a, m, v, path);
        buffer_put_char(a->out, ']');
        return;
    }
    if (v->kind != JSON_KIND_ARRAY) {
        buffer_put_span(a->out, v->text);
        return;
    }
    size_t i = 0, written = 0;
    buffer_put_char(a->out, '[');
    for (const struct json_value *e = v->first; e; e = e->next, i++) {
        char inner[300];
        snprintf(inner, sizeof inner, "%.270s[%zu]", path, i);
        if (m->type == MEMBER_OBJECT_LIST && is_filler(e, m->members) &&
            take(a, FOREIGN_PLACEHOLDER, inner))
            continue;
        if (written++)
            buffer_put_char(a->out, ',');
        put_element(a, m, e, inner);
    }
    buffer_put_char(a->out, ']');
}

static void put_member(struct adapter *a, const struct member *m, const struct json_value *v,
                       const char *path)
{
    switch (m->type) {
    case MEMBER_BOOLEAN:
        put_boolean(a, v, path);
        return;
    case MEMBER_BASE64:
        if (v->kind == JSON_KIND_OBJECT || v->kind == JSON_KIND_ARRAY) {
            if (!put_spaik(a, v, path))
                buffer_put_span(a->out, v->text);
            return;
        }
        put_base64_member(a, v, path);
        return;
    case MEMBER_HEX:
        put_hex_member(a, v, path);
        return;
    case MEMBER_BASE64_LIST:
    case MEMBER_HEX_LIST:
    case MEMBER_TEXT_LIST:
    case MEMBER_OBJECT_LIST:
        put_list(a, m, v, path);
        return;
    case MEMBER_OBJECT:
        put_object_member(a, m, v, path);
        return;
    case MEMBER_NAME:
    case MEMBER_TID:
    case MEMBER_TEXT:
        put_name(a, m, v, path);
        return;
    }
}

/* The member that an unknown name stands for, where that is not there already; NULL: none. Two old
 * names of one member give it twice, which the strict reading refuses. */
static const struct member *renamed(struct adapter *a, const struct json_value *object,
                                    const struct member *members, struct span name,
                                    const char *path)
{
    static const struct {
        const char *from, *to;
        enum foreign_form form;
    } names[] = {{"icaocspdat", "ocspdat", FOREIGN_ICAOCSPDAT},
                 {"tsmid", "tamid", FOREIGN_TSMID},
                 {"ta_list", "talist", FOREIGN_TA_LIST},
                 {"cipherdata", "ciphertadata", FOREIGN_OLD_NAME},
                 {"cipherdata", "ciphernewtadata", FOREIGN_OLD_NAME},
                 {"encrypted_ta_bin", "ciphertadata", FOREIGN_OLD_NAME},
                 {"encrypted_ta_bin", "ciphernewtadata", FOREIGN_OLD_NAME},
                 {"encrypted_ta_data", "cipherpdata", FOREIGN_OLD_NAME},
                 {"encrypted_ta_data", "ciphernewpdata", FOREIGN_OLD_NAME}};
    for (size_t i = 0; i < COUNT(names); i++) {
        if (!span_is(name, names[i].from) || json_member(object, names[i].to))
            continue;
        const struct member *m = member_find(members, span_text(names[i].to));
        if (m && take(a, names[i].form, path))
            return m;
    }
    return NULL;
}

static void put_object(struct adapter *a, const struct json_value *object,
                       const struct member *members, const char *path)
{
    const char *separator = "";
    buffer_put_char(a->out, '{');
    for (const struct json_value *v = object->first; v; v = v->next) {
        char inner[300];
        snprintf(inner, sizeof inner, "%.200s.%.*s", path,
                 (int)(v->name.size < 80 ? v->name.size : 80), (const char *)v->name.data);
        const struct member *m = member_find(members, v->name);
        if (!m)
            m = renamed(a, object, members, v->name, inner);
        if (left_out(a, m, v, inner))
            continue;
        buffer_put_text(a->out, separator);
        buffer_put_json_string(a->out, m ? span_text(m->name) : v->name);
        buffer_put_char(a->out, ':');
        if (m)
            put_member(a, m, v, inner);
        else
            buffer_put_span(a->out, v->text);
        separator = ",";
    }
    const struct member *rid = member_find(members, span_text("rid"));
    if (rid && rid->mandatory && !json_member(object, "rid") && take(a, FOREIGN_RID_MISSING, path))
        buffer_put_format(a->out, "%s\"rid\":\"1\"", separator);
    buffer_put_char(a->out, '}');
}

bool foreign_read(const struct json_value *object, const struct member *members, const char *path,
                  const struct reading *reading, buffer **text, struct error *err)
{
    *text = NULL;
    if (!reading || !object || object->kind != JSON_KIND_OBJECT)
        return true;
    AUTO(buffer) *out = buffer_secret(object->text.size + 64);
    if (!out)
        return error_memory(err);
    struct adapter a = {.reading = reading, .out = out};
    put_object(&a, object, members, path);
    if (out->failed)
        return error_memory(err);
    if (a.changed)
        *text = TAKE(out);
    return true;
}
