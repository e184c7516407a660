/* SPDX-License-Identifier: Apache-2.0 */
/* The foreign forms of envelopes: headers of a JWS, and how a JWE is written. */
#include "otrp/foreign.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "otrp/foreign_text.h"
#include "util/base64.h"

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
    if (!json_is_string(element) || base64_form(s) == FOREIGN_COUNT)
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
