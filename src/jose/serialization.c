/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/serialization.h"

#include <stdio.h>
#include <string.h>

#include "util/base64.h"
#include "util/limits.h"

const char *const serialization_names[] = {"flattened", "compact", "general", NULL};

enum serialization serialization_find(const char *name)
{
    for (int i = 0; serialization_names[i]; i++)
        if (strcmp(serialization_names[i], name) == 0)
            return (enum serialization)i;
    return SERIALIZATION_FLATTENED;
}

bool compact_split(struct span text, const char *what, size_t count, struct span *segments,
                   struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *dot = text.size ? memchr(text.data, '.', text.size) : NULL;
        if ((dot != NULL) != (i + 1 < count)) {
            error_set(err, RC_MALFORMED,
                      "%s: compact serialization needs exactly %zu segments, "
                      "there are %s",
                      what, count, dot ? "more" : "fewer");
            return error_rule(err, "RFC 7515 section 5.2, RFC 7516 section 9");
        }
        size_t length = dot ? (size_t)(dot - text.data) : text.size;
        segments[i] = SPAN(text.data, length);
        if (dot)
            text = SPAN(dot + 1, text.size - length - 1);
    }
    return true;
}

bool serialization_read(struct span text, const char *what, json_doc **doc, struct span *segments,
                        size_t count, struct error *err)
{
    text = span_trim(text);
    *doc = NULL;
    if (text.size == 0 || text.data[0] != '{')
        return compact_split(text, what, count, segments, err);
    *doc = json_doc_parse(text, what, err);
    return *doc != NULL;
}

/* By its dots, when all else is of base64url. */
static enum serialized compact_kind(struct span text)
{
    size_t dots = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i], letter = c | 0x20;
        dots += c == '.';
        if (c != '.' && c != '-' && c != '_' && !(c >= '0' && c <= '9') &&
            !(letter >= 'a' && letter <= 'z'))
            return SERIALIZED_NOTHING;
    }
    return dots == 2 ? SERIALIZED_JWS : dots == 4 ? SERIALIZED_JWE : SERIALIZED_NOTHING;
}

enum serialized serialization_kind(struct span text)
{
    text = span_trim(text);
    if (text.size == 0 || text.data[0] != '{')
        return compact_kind(text);
    struct error ignored;
    AUTO(json_doc) *doc = json_doc_parse(text, "message", &ignored);
    const struct json_value *root = doc ? json_root(doc) : NULL;
    if (json_member(root, "ciphertext"))
        return SERIALIZED_JWE;
    return json_member(root, "signature") || json_member(root, "signatures") ? SERIALIZED_JWS
                                                                             : SERIALIZED_NOTHING;
}

json_t *header_decode(struct span encoded, const char *what, struct error *err)
{
    if (encoded.size == 0)
        return json_object();
    if (encoded.size > LIMIT_SMALL_JSON) {
        error_set(err, RC_MALFORMED, "%s: larger than %u bytes", what, LIMIT_SMALL_JSON);
        return NULL;
    }
    AUTO(buffer) *text = base64url_decode(encoded, what, err);
    if (!text)
        return NULL;
    AUTO(json_t) *header = json_load_span(buffer_span(text), what, err);
    if (!header)
        return NULL;
    if (json_is_object(header))
        return TAKE(header);
    error_set(err, RC_MALFORMED, "%s: not a JSON object", what);
    return NULL;
}

json_t *header_load(const struct json_value *value, const char *what, struct error *err)
{
    if (!value)
        return json_object();
    if (value->kind == JSON_KIND_OBJECT)
        return json_load_value(value, what, err);
    error_set(err, RC_MALFORMED, "%s: %s, not an object", what, json_kind_name(value->kind));
    return NULL;
}

bool member_string(const struct json_value *object, const char *what, const char *name,
                   bool required, struct span *string, struct error *err)
{
    const struct json_value *value = json_member(object, name);
    *string = SPAN(NULL, 0);
    if (!value)
        return !required || error_set(err, RC_MALFORMED, "%s.%s: missing", what, name);
    if (value->kind != JSON_KIND_STRING)
        return error_set(err, RC_MALFORMED, "%s.%s: %s, not a string", what, name,
                         json_kind_name(value->kind));
    *string = value->string;
    return true;
}

static bool disjoint(const json_t *a, const json_t *b, const char *what, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)a, name, value) {
        if (!b || !json_object_get(b, name))
            continue;
        error_set(err, RC_MALFORMED, "%s: \"%s\" stands in more than one header", what, name);
        return error_rule(err, "RFC 7515 section 7.2.1, RFC 7516 section 7.2.1");
    }
    return true;
}

/* "crit" (RFC 7515 section 4.1.11): we implement no extension, so that every sound one names one
 * that we do not. */
static bool check_crit(const json_t *header, bool protected, const char *what, struct error *err)
{
    const json_t *crit = json_object_get(header, "crit");
    const char *first = json_string_value(json_array_get(crit, 0));
    if (!crit)
        return true;
    if (!protected)
        error_set(err, RC_MALFORMED, "%s: \"crit\" stands in an unprotected header", what);
    else if (!json_is_array(crit) || json_array_size(crit) == 0 || !first)
        error_set(err, RC_MALFORMED, "%s: \"crit\" is not a list of names", what);
    else
        error_set(err, RC_MALFORMED, "%s: \"crit\" asks for \"%.40s\", which is not implemented",
                  what, first);
    return error_rule(err, "RFC 7515 section 4.1.11");
}

static bool check_b64(const json_t *header, const char *what, struct error *err)
{
    const json_t *b64 = json_object_get(header, "b64");
    if (!b64 || json_is_true(b64))
        return true;
    error_set(err, RC_MALFORMED,
              json_is_false(b64) ? "%s: \"b64\": false is not supported"
                                 : "%s: \"b64\" is neither true nor false",
              what);
    return error_rule(err, "RFC 7797");
}

bool headers_check(const json_t *protected, const json_t *shared, const json_t *own,
                   const char *what, struct error *err)
{
    return disjoint(protected, shared, what, err) && disjoint(protected, own, what, err) &&
           disjoint(shared, own, what, err) && check_crit(protected, true, what, err) &&
           check_crit(shared, false, what, err) && check_crit(own, false, what, err) &&
           check_b64(protected, what, err) && check_b64(shared, what, err) &&
           check_b64(own, what, err);
}

buffer *header_encode(json_t *own, const json_t *further, const json_t *unprotected,
                      struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)further, name, value) {
        const json_t *said = json_object_get(own, name);
        if (said && !json_equal(said, value)) {
            error_set(err, RC_USAGE, "the protected header says \"%s\" otherwise than the options",
                      name);
            return NULL;
        }
        json_object_set(own, name, value);
    }
    if (!headers_check(own, unprotected, NULL, "header", err)) {
        err->rc = RC_USAGE;
        return NULL;
    }
    AUTO(buffer) *text = json_compact(own);
    AUTO(buffer) *encoded = text ? buffer_new(text->size * 2) : NULL;
    if (encoded)
        buffer_put_base64url(encoded, buffer_span(text));
    if (encoded && !encoded->failed)
        return TAKE(encoded);
    error_memory(err);
    return NULL;
}

const json_t *headers_value(const json_t *const *headers, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (json_object_get(headers[i], name))
            return json_object_get(headers[i], name);
    return NULL;
}

const char *headers_text(const json_t *const *headers, size_t count, const char *name, bool *wrong)
{
    const json_t *value = headers_value(headers, count, name);
    *wrong = value && !json_is_string(value);
    return json_string_value(value);
}

buffer *headers_bytes(const json_t *const *headers, size_t count, const char *name, bool required,
                      struct error *err)
{
    const json_t *value = headers_value(headers, count, name);
    if (!value && !required)
        return buffer_new(0);
    if (!json_is_string(value)) {
        error_set(err, RC_MALFORMED, "header.%s: %s", name, value ? "not a string" : "missing");
        return NULL;
    }
    return base64url_decode(SPAN(json_string_value(value), json_string_length(value)), name, err);
}
