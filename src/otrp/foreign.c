/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/foreign.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "jose/jwk.h"
#include "otrp/dsi.h"
#include "otrp/profile.h"
#include "util/base64.h"

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
    struct error *err;
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

/* ---- what bytes are written as ---- */

enum { HEX_LEAST = 32 }; /* shorter text of these digits alone may as well be BASE64 */

static bool all_hex(struct span s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!isxdigit(s.data[i]))
            return false;
    return s.size > 0 && s.size % 2 == 0;
}

/* s without the padding at its end. */
static struct span unpadded(struct span s)
{
    for (int i = 0; i < 2 && s.size && s.data[s.size - 1] == '='; i++)
        s.size--;
    return s;
}

/* Whether s is of one alphabet: letters, digits and the two others. */
static bool of_alphabet(struct span s, char other, char another)
{
    for (size_t i = 0; i < s.size; i++)
        if (!isalnum(s.data[i]) && s.data[i] != (uint8_t)other && s.data[i] != (uint8_t)another)
            return false;
    return s.size > 0 && s.size % 4 != 1;
}

static bool is_base64(struct span s)
{
    return s.size % 4 == 0 && of_alphabet(unpadded(s), '+', '/');
}

static bool is_base64url(struct span s)
{
    return of_alphabet(unpadded(s), '-', '_');
}

static int nibble(uint8_t digit)
{
    return isdigit(digit) ? digit - '0' : (digit | 0x20) - 'a' + 10;
}

static void put_base64_of_hex(buffer *out, struct span hex)
{
    AUTO(buffer) *bytes = buffer_new(hex.size / 2 + 1);
    if (!bytes) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < hex.size; i += 2)
        buffer_put_char(bytes, (char)(nibble(hex.data[i]) << 4 | nibble(hex.data[i + 1])));
    buffer_put_base64(out, buffer_span(bytes));
}

/* The same bytes in the other alphabet, padded. */
static void put_base64_of_url(buffer *out, struct span text)
{
    text = unpadded(text);
    if (!buffer_reserve(out, text.size + 3))
        return;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        out->data[out->size + i] = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    out->size += text.size;
    for (size_t i = text.size; i % 4; i++)
        buffer_put_char(out, '=');
}

/* base64url of either alphabet, without padding. */
static void put_url(buffer *out, struct span text)
{
    text = unpadded(text);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        buffer_put_char(out, (char)(c == '+' ? '-' : c == '/' ? '_' : c));
    }
}

/* The form that a string has which should be BASE64; FOREIGN_COUNT when it is that, or unknown. */
static enum foreign_form form_for_base64(struct span s)
{
    if (s.size >= HEX_LEAST && all_hex(s))
        return FOREIGN_HEX;
    return !is_base64(s) && is_base64url(s) ? FOREIGN_BASE64URL : FOREIGN_COUNT;
}

static void put_as_base64(buffer *out, struct span s)
{
    buffer_put_char(out, '"');
    if (form_for_base64(s) == FOREIGN_HEX)
        put_base64_of_hex(out, s);
    else
        put_base64_of_url(out, s);
    buffer_put_char(out, '"');
}

static void put_base64_member(struct adapter *a, const struct json_value *v, const char *path)
{
    enum foreign_form form = v->kind == JSON_KIND_STRING ? form_for_base64(v->string)
                                                         : FOREIGN_COUNT;
    if (form != FOREIGN_COUNT && take(a, form, path))
        put_as_base64(a->out, v->string);
    else
        buffer_put_span(a->out, v->text);
}

static void put_hex_member(struct adapter *a, const struct json_value *v, const char *path)
{
    struct error ignored;
    struct span s = v->string;
    bool foreign = v->kind == JSON_KIND_STRING && !all_hex(s);
    enum foreign_form form = foreign && is_base64(s)      ? FOREIGN_BASE64
                             : foreign && is_base64url(s) ? FOREIGN_BASE64URL
                                                          : FOREIGN_COUNT;
    AUTO(buffer) *url = form != FOREIGN_COUNT ? buffer_new(s.size + 4) : NULL;
    if (url)
        put_url(url, s);
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
    AUTO(buffer) *text = is_base64(v->string) ? base64_decode(v->string, path, &ignored) : NULL;
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
    put_url(text, number->string);
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
    if ((!is_base64(v->string) && !is_base64url(v->string)) || !take(a, FOREIGN_KEY_BARE, path))
        return false;
    buffer_put_text(a->out, "{\"encrypted_key\":\"");
    put_url(a->out, v->string);
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
    struct adapter a = {.reading = reading, .out = out, .err = err};
    put_object(&a, object, members, path);
    if (out->failed)
        return error_memory(err);
    if (a.changed)
        *text = TAKE(out);
    return true;
}

/* ---- envelopes ---- */

/* The protected header of encoded, with plain quotes for typographic ones, encoded again; NULL
 * when there are none. */
static buffer *plain_quotes(struct span encoded)
{
    struct error ignored;
    AUTO(buffer) *text = base64url_decode(encoded, "protected", &ignored);
    AUTO(buffer) *plain = text ? buffer_new(text->size) : NULL;
    bool found = false;
    for (size_t i = 0; plain && i < text->size; i++) {
        /* U+201C to U+201F */
        bool quote = text->size - i >= 3 && text->data[i] == 0xe2 && text->data[i + 1] == 0x80 &&
                     text->data[i + 2] >= 0x9c && text->data[i + 2] <= 0x9f;
        buffer_put_char(plain, quote ? '"' : (char)text->data[i]);
        i += quote ? 2 : 0;
        found |= quote;
    }
    AUTO(buffer) *again = found ? buffer_new(plain->size * 2) : NULL;
    if (again)
        buffer_put_base64url(again, buffer_span(plain));
    return again && !again->failed ? TAKE(again) : NULL;
}

static const struct json_value *text_member(const struct json_value *value, const char *name)
{
    const struct json_value *member = json_member(value, name);
    return member && member->kind == JSON_KIND_STRING ? member : NULL;
}

/* A flattened JWS whose protected header is JSON but for its quotes. What is signed stays what was
 * received: its slices are put back. */
static jws *jws_of_quotes(const struct json_value *value, const char *what,
                          const struct reading *reading, struct error *err)
{
    const struct json_value *payload = text_member(value, "payload"),
                            *protected = text_member(value, "protected"),
                            *signature = text_member(value, "signature"),
                            *header = json_member(value, "header");
    AUTO(buffer) *plain = protected ? plain_quotes(protected->string) : NULL;
    AUTO(buffer) *text = plain && payload && signature ? buffer_new(plain->size + 64) : NULL;
    if (!text)
        return NULL;
    buffer_put_format(text, "{\"payload\":\"\",\"signature\":\"\",\"protected\":\"%s\"",
                      (const char *)plain->data);
    if (header) {
        buffer_put_text(text, ",\"header\":");
        buffer_put_span(text, header->text);
    }
    buffer_put_char(text, '}');
    AUTO(json_doc) *doc = json_doc_parse(buffer_span(text), what, err);
    AUTO(jws) *message = doc ? jws_from_value(json_root(doc), what, err) : NULL;
    if (!message)
        return NULL;
    message->payload = payload->string;
    message->signatures[0].encoded_protected = protected->string;
    message->signatures[0].signature = signature->string;
    char path[300];
    snprintf(path, sizeof path, "%s.protected", what);
    foreign_found(reading, FOREIGN_QUOTES, path);
    return TAKE(message);
}

/* Where a signer's certificates were found. */
struct signer_place {
    const json_t *certificates; /* NULL: nowhere */
    enum foreign_form form;     /* FOREIGN_COUNT: where they belong */
    const char *path;
};

static struct signer_place find_signer(const struct jws_signature *s, const struct reading *reading)
{
    const struct signer_place places[] = {
        {json_object_get(s->header, "x5c"), FOREIGN_COUNT, "header.x5c"},
        {json_object_get(s->protected, "x5c"), FOREIGN_X5C_PROTECTED, "protected.x5c"},
        {json_object_get(s->header, "signer"), FOREIGN_SIGNER, "header.signer"},
    };
    for (size_t i = 0; i < COUNT(places); i++)
        if (places[i].certificates &&
            (places[i].form == FOREIGN_COUNT || foreign_accepts(reading, places[i].form)))
            return places[i];
    return (struct signer_place){.form = FOREIGN_COUNT};
}

/* One certificate of x5c as BASE64; *foreign when it was something else. */
static json_t *certificate_text(const json_t *element, bool *foreign)
{
    struct span s = SPAN(json_string_value(element), json_string_length(element));
    if (!json_is_string(element) || form_for_base64(s) == FOREIGN_COUNT)
        return json_deep_copy(element);
    AUTO(buffer) *text = buffer_new(s.size + 8);
    if (!text)
        return NULL;
    *foreign = true;
    put_as_base64(text, s);
    return json_span(SPAN(text->data + 1, text->size - 2));
}

/* Puts the signer's certificates, wherever and however they came, into header.x5c. */
static bool settle_signer(jws *message, bool answer, const struct reading *reading,
                          struct error *err)
{
    struct jws_signature *s = &message->signatures[0];
    struct signer_place place = find_signer(s, reading);
    char path[300];
    if (!place.certificates) {
        bool protected = json_object_get(s->protected, "kid") != NULL;
        snprintf(path, sizeof path, "%s.%s.kid", message->what, protected ? "protected" : "header");
        if ((protected || json_object_get(s->header, "kid")) &&
            foreign_accepts(reading, FOREIGN_KID))
            foreign_found(reading, FOREIGN_KID, path);
        return true;
    }
    snprintf(path, sizeof path, "%s.%s", message->what, place.path);
    if (answer && foreign_accepts(reading, FOREIGN_X5C_ANSWER))
        foreign_found(reading, FOREIGN_X5C_ANSWER, path);
    if (place.form != FOREIGN_COUNT)
        foreign_found(reading, place.form, path);
    bool text = json_is_string(place.certificates), foreign = false;
    if (text && place.form != FOREIGN_SIGNER && !foreign_accepts(reading, FOREIGN_X5C_TEXT))
        return true;
    AUTO(json_t) *x5c = json_array();
    size_t count = text ? 1 : json_array_size(place.certificates);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            x5c, certificate_text(text ? place.certificates : json_array_get(place.certificates, i),
                                  &foreign));
    if (json_array_size(x5c) != count)
        return error_memory(err);
    if (foreign && place.form != FOREIGN_SIGNER && !foreign_accepts(reading, FOREIGN_X5C_BASE64URL))
        return true;
    if (text && place.form != FOREIGN_SIGNER)
        foreign_found(reading, FOREIGN_X5C_TEXT, path);
    if (foreign && place.form != FOREIGN_SIGNER)
        foreign_found(reading, FOREIGN_X5C_BASE64URL, path);
    return count == 0 || json_object_set(s->header, "x5c", x5c) == 0 || error_memory(err);
}

jws *foreign_jws(const struct json_value *value, const char *what, bool answer,
                 const struct reading *reading, struct error *err)
{
    AUTO(jws) *message = jws_from_value(value, what, err);
    if (!message && foreign_accepts(reading, FOREIGN_QUOTES)) {
        struct error other;
        message = jws_of_quotes(value, what, reading, &other);
    }
    if (!message || !reading)
        return TAKE(message);
    return settle_signer(message, answer, reading, err) ? TAKE(message) : NULL;
}

/* The protected header of a JWE in base64url, when it came in another form; NULL otherwise. */
static buffer *foreign_protected(const struct json_value *protected, const struct reading *reading,
                                 enum foreign_form *form)
{
    *form = FOREIGN_COUNT;
    if (!protected)
        return NULL;
    if (protected->kind == JSON_KIND_OBJECT && foreign_accepts(reading, FOREIGN_JWE_OBJECT)) {
        AUTO(buffer) *encoded = buffer_new(protected->text.size * 2);
        if (!encoded)
            return NULL;
        buffer_put_base64url(encoded, protected->text);
        *form = FOREIGN_JWE_OBJECT;
        return TAKE(encoded);
    }
    if (protected->kind != JSON_KIND_STRING)
        return NULL;
    AUTO(buffer) *packed = buffer_new(protected->string.size);
    for (size_t i = 0; packed && i < protected->string.size; i++)
        if (!isspace(protected->string.data[i]))
            buffer_put_char(packed, (char)protected->string.data[i]);
    if (packed && packed->size < protected->string.size &&
        foreign_accepts(reading, FOREIGN_JWE_SPACE)) {
        *form = FOREIGN_JWE_SPACE;
        return TAKE(packed);
    }
    buffer *plain = foreign_accepts(reading, FOREIGN_QUOTES) ? plain_quotes(protected->string)
                                                             : NULL;
    if (plain)
        *form = FOREIGN_QUOTES;
    return plain;
}

/* A JWE of value with that protected header. Its ciphertext, which may be large, is not copied. */
static jwe *jwe_with_protected(const struct json_value *value, const buffer *protected,
                               const char *what, struct error *err)
{
    const struct json_value *ciphertext = text_member(value, "ciphertext");
    AUTO(buffer) *text = buffer_new(1024);
    if (!text || !ciphertext)
        return NULL;
    buffer_put_format(text, "{\"protected\":\"%s\"", (const char *)protected->data);
    for (const struct json_value *v = value->first; v; v = v->next) {
        if (span_is(v->name, "protected"))
            continue;
        buffer_put_char(text, ',');
        buffer_put_json_string(text, v->name);
        buffer_put_char(text, ':');
        if (v == ciphertext)
            buffer_put_text(text, "\"\"");
        else
            buffer_put_span(text, v->text);
    }
    buffer_put_char(text, '}');
    jwe *message = text->failed ? NULL : jwe_parse(buffer_span(text), what, err);
    if (!message)
        return NULL;
    message->text = TAKE(text);
    message->ciphertext = ciphertext->string;
    return message;
}

/* Names what is foreign about a JWE that has been read, and puts it right. */
static void settle_jwe(jwe *message, const struct reading *reading)
{
    char path[300];
    if (message->count != 1)
        return;
    if (!json_object_get(message->recipients[0].header, "alg") &&
        json_object_get(message->protected, "alg") && foreign_accepts(reading, FOREIGN_JWE_ALG)) {
        snprintf(path, sizeof path, "%s.protected.alg", message->what);
        foreign_found(reading, FOREIGN_JWE_ALG, path);
    }
    if (message->serialization == SERIALIZATION_FLATTENED &&
        foreign_accepts(reading, FOREIGN_JWE_FLATTENED)) {
        foreign_found(reading, FOREIGN_JWE_FLATTENED, message->what);
        message->serialization = SERIALIZATION_GENERAL;
    }
}

jwe *foreign_jwe(const struct json_value *value, const char *what, const struct reading *reading,
                 struct error *err)
{
    enum foreign_form form;
    if (!reading)
        return jwe_from_value(value, what, err);
    const struct json_value *protected = json_member(value, "protected");
    AUTO(buffer) *encoded = foreign_protected(protected, reading, &form);
    jwe *message = encoded ? jwe_with_protected(value, encoded, what, err) : NULL;
    if (message) {
        char path[300];
        snprintf(path, sizeof path, "%s.protected", what);
        foreign_found(reading, form, path);
        if (form == FOREIGN_QUOTES) /* authenticated as received */
            message->encoded_protected = protected->string;
    } else {
        message = jwe_from_value(value, what, err);
    }
    if (message)
        settle_jwe(message, reading);
    return message;
}
