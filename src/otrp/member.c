/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/member.h"

#include <stdio.h>
#include <string.h>

#include "util/base64.h"
#include "util/limits.h"
#include "util/text_form.h"

const struct member *member_find(const struct member *members, struct span name)
{
    for (const struct member *m = members; m && m->name; m++)
        if (span_is(name, m->name))
            return m;
    return NULL;
}

const char *member_form(enum member_type type)
{
    static const char *const forms[] = {
        [MEMBER_NAME] = "1 to 255 bytes",
        [MEMBER_TID] = "1 to 128 printable ASCII characters",
        [MEMBER_TEXT] = "text",
        [MEMBER_BOOLEAN] = "true or false",
        [MEMBER_BASE64] = "BASE64",
        [MEMBER_HEX] = "hexadecimal",
        [MEMBER_BASE64_LIST] = "array of BASE64",
        [MEMBER_HEX_LIST] = "array of hexadecimal",
        [MEMBER_TEXT_LIST] = "array of text",
        [MEMBER_OBJECT] = "object",
        [MEMBER_OBJECT_LIST] = "array of objects",
    };
    return forms[type];
}

static bool is_printable(struct span s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] < 0x20 || s.data[i] > 0x7e)
            return false;
    return true;
}

/* What is wrong with a string of that type; NULL when nothing. */
static const char *string_fault(struct span s, enum member_type type)
{
    if (s.size && memchr(s.data, '\0', s.size))
        return "contains a NUL character";
    switch (type) {
    case MEMBER_NAME:
        return s.size == 0 ? "empty" : s.size > LIMIT_NAME_BYTES ? "longer than 255 bytes" : NULL;
    case MEMBER_TID:
        return s.size == 0                ? "empty"
               : s.size > LIMIT_TID_BYTES ? "longer than 128 bytes"
               : !is_printable(s)         ? "not printable ASCII"
                                          : NULL;
    case MEMBER_BASE64:
    case MEMBER_BASE64_LIST:
        return text_is_base64(s) ? NULL : "not standard BASE64";
    case MEMBER_HEX:
    case MEMBER_HEX_LIST:
        return text_is_hex(s) ? NULL : "not hexadecimal";
    default:
        return NULL;
    }
}

const char *member_fault(const struct member *member, struct span text)
{
    return string_fault(text, member->type);
}

static bool wrong_type(const struct json_value *value, const char *path, const char *name,
                       const char *wanted, struct error *err)
{
    return error_set(err, RC_MALFORMED, "%s.%s: %s, not %s", path, name,
                     json_kind_name(value->kind), wanted);
}

static bool check_list(const struct json_value *value, const struct member *m, const char *path,
                       struct error *err)
{
    if (value->kind != JSON_KIND_ARRAY)
        return wrong_type(value, path, m->name, "an array", err);
    size_t i = 0;
    for (const struct json_value *e = value->first; e; e = e->next, i++) {
        const char *fault = e->kind == JSON_KIND_STRING ? string_fault(e->string, m->type)
                                                        : "not a string";
        if (fault)
            return error_set(err, RC_MALFORMED, "%s.%s[%zu]: %s", path, m->name, i, fault);
    }
    return true;
}

static bool check_objects(const struct json_value *value, const struct member *m, const char *path,
                          char **novelty, struct error *err)
{
    if (value->kind != JSON_KIND_ARRAY)
        return wrong_type(value, path, m->name, "an array", err);
    size_t i = 0;
    for (const struct json_value *e = value->first; e; e = e->next, i++) {
        char inner[200];
        snprintf(inner, sizeof inner, "%s.%s[%zu]", path, m->name, i);
        if (!members_check(e, m->members, inner, novelty, err))
            return false;
    }
    return true;
}

static bool check_member(const struct json_value *value, const struct member *m, const char *path,
                         char **novelty, struct error *err)
{
    switch (m->type) {
    case MEMBER_BOOLEAN:
        return value->kind == JSON_KIND_TRUE || value->kind == JSON_KIND_FALSE ||
               wrong_type(value, path, m->name, "true or false", err);
    case MEMBER_OBJECT: {
        if (value->kind != JSON_KIND_OBJECT)
            return wrong_type(value, path, m->name, "an object", err);
        char inner[200];
        snprintf(inner, sizeof inner, "%s.%s", path, m->name);
        return !m->members || members_check(value, m->members, inner, novelty, err);
    }
    case MEMBER_BASE64_LIST:
    case MEMBER_HEX_LIST:
    case MEMBER_TEXT_LIST:
        return check_list(value, m, path, err);
    case MEMBER_OBJECT_LIST:
        return check_objects(value, m, path, novelty, err);
    default: {
        if (value->kind != JSON_KIND_STRING)
            return wrong_type(value, path, m->name, "a string", err);
        const char *fault = string_fault(value->string, m->type);
        return !fault || error_set(err, RC_MALFORMED, "%s.%s: %s", path, m->name, fault);
    }
    }
}

bool members_check(const struct json_value *object, const struct member *members, const char *path,
                   char **novelty, struct error *err)
{
    if (!object || object->kind != JSON_KIND_OBJECT)
        return error_set(err, RC_MALFORMED, "%s: not an object", path);
    for (const struct member *m = members; m->name; m++)
        if (m->mandatory && !json_member(object, m->name))
            return error_set(err, RC_MALFORMED, "%s.%s: missing", path, m->name);
    for (const struct json_value *v = object->first; v; v = v->next) {
        const struct member *m = member_find(members, v->name);
        int shown = (int)(v->name.size < 80 ? v->name.size : 80);
        if (!m && !novelty)
            return error_set(err, RC_MALFORMED, "%s.%.*s: unknown member", path, shown,
                             (const char *)v->name.data);
        if (!m && !*novelty &&
            asprintf(novelty, "%s.%.*s", path, shown, (const char *)v->name.data) < 0) {
            *novelty = NULL;
            return error_memory(err);
        }
        if (m && !check_member(v, m, path, novelty, err))
            return false;
    }
    return true;
}

char *member_text(const struct json_value *object, const char *name)
{
    const struct json_value *value = json_member(object, name);
    return value && value->kind == JSON_KIND_STRING ? span_dup(value->string) : NULL;
}

bool member_true(const struct json_value *object, const char *name)
{
    const struct json_value *value = json_member(object, name);
    return value && value->kind == JSON_KIND_TRUE;
}

bool member_base64_list(const struct json_value *array, const char *what, size_t most,
                        buffer **items, size_t *count, struct error *err)
{
    *count = 0;
    if (!array || array->kind != JSON_KIND_ARRAY)
        return error_set(err, RC_MALFORMED, "%s: not an array", what);
    if (array->count > most)
        return error_set(err, RC_MALFORMED, "%s: %u elements, more than the %zu allowed", what,
                         array->count, most);
    for (const struct json_value *e = array->first; e; e = e->next) {
        char element[200];
        snprintf(element, sizeof element, "%s[%zu]", what, *count);
        if (e->kind != JSON_KIND_STRING)
            return error_set(err, RC_MALFORMED, "%s: not a string", element);
        items[*count] = base64_decode(e->string, element, err);
        if (!items[*count])
            return false;
        ++*count;
    }
    return true;
}
