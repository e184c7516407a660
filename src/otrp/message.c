/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/message.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "util/base64.h"
#include "util/limits.h"

#define MANDATORY true
#define OPTIONAL  false
#define END                                                                                        \
    {                                                                                              \
        NULL, MEMBER_TEXT, OPTIONAL, NULL                                                          \
    }

/* What every request may carry (protocol: Common members). */
#define COMMON                                                                                     \
    {"ver", MEMBER_TEXT, MANDATORY, NULL}, {"rid", MEMBER_NAME, MANDATORY, NULL},                  \
        {"tid", MEMBER_TID, MANDATORY, NULL},                                                      \
    {                                                                                              \
        "supportedsigalgs", MEMBER_TEXT_LIST, OPTIONAL, NULL                                       \
    }

/* What every request but GetDeviceState carries. */
#define ADDRESSED                                                                                  \
    COMMON, {"ocspdat", MEMBER_BASE64_LIST, OPTIONAL, NULL},                                       \
        {"tee", MEMBER_NAME, MANDATORY, NULL}, {"nextdsi", MEMBER_BOOLEAN, MANDATORY, NULL},       \
        {"dsihash", MEMBER_BASE64, MANDATORY, NULL},                                               \
    {                                                                                              \
        "content", MEMBER_OBJECT, MANDATORY, NULL                                                  \
    }

static const struct member get_device_state_tbs[] = {
    COMMON, {"ocspdat", MEMBER_BASE64_LIST, MANDATORY, NULL}, END};
static const struct member addressed_tbs[] = {ADDRESSED, END};

static const struct member install_encrypted_ta[] = {
    {"key", MEMBER_OBJECT, MANDATORY, NULL},
    {"iv", MEMBER_HEX, MANDATORY, NULL},
    {"alg", MEMBER_TEXT, MANDATORY, NULL},
    {"ciphertadata", MEMBER_BASE64, MANDATORY, NULL},
    {"cipherpdata", MEMBER_BASE64, OPTIONAL, NULL},
    END};
static const struct member update_encrypted_ta[] = {
    {"key", MEMBER_OBJECT, MANDATORY, NULL},
    {"iv", MEMBER_HEX, MANDATORY, NULL},
    {"alg", MEMBER_TEXT, MANDATORY, NULL},
    {"ciphernewtadata", MEMBER_BASE64, OPTIONAL, NULL},
    {"ciphernewpdata", MEMBER_BASE64, OPTIONAL, NULL},
    END};
static const struct member install_tbs[] = {
    ADDRESSED, {"encrypted_ta", MEMBER_OBJECT, MANDATORY, install_encrypted_ta}, END};
static const struct member update_ta_tbs[] = {
    ADDRESSED, {"encrypted_ta", MEMBER_OBJECT, MANDATORY, update_encrypted_ta}, END};

static const struct member create_sd_content[] = {
    {"spid", MEMBER_NAME, MANDATORY, NULL},     {"sdname", MEMBER_NAME, MANDATORY, NULL},
    {"spcert", MEMBER_BASE64, MANDATORY, NULL}, {"tamid", MEMBER_NAME, MANDATORY, NULL},
    {"did", MEMBER_NAME, MANDATORY, NULL},      END};
static const struct member update_sd_changes[] = {{"newsdname", MEMBER_NAME, OPTIONAL, NULL},
                                                  {"newspid", MEMBER_NAME, OPTIONAL, NULL},
                                                  {"spcert", MEMBER_BASE64_LIST, OPTIONAL, NULL},
                                                  {"deloldspcert", MEMBER_HEX_LIST, OPTIONAL, NULL},
                                                  {"renewteespaik", MEMBER_BOOLEAN, OPTIONAL, NULL},
                                                  END};
static const struct member update_sd_content[] = {
    {"tamid", MEMBER_NAME, MANDATORY, NULL},
    {"spid", MEMBER_NAME, MANDATORY, NULL},
    {"sdname", MEMBER_NAME, MANDATORY, NULL},
    {"changes", MEMBER_OBJECT, MANDATORY, update_sd_changes},
    END};
static const struct member delete_sd_content[] = {{"tamid", MEMBER_NAME, MANDATORY, NULL},
                                                  {"sdname", MEMBER_NAME, MANDATORY, NULL},
                                                  {"deleteta", MEMBER_BOOLEAN, MANDATORY, NULL},
                                                  END};
static const struct member install_ta_content[] = {{"tamid", MEMBER_NAME, MANDATORY, NULL},
                                                   {"spid", MEMBER_NAME, MANDATORY, NULL},
                                                   {"sdname", MEMBER_NAME, MANDATORY, NULL},
                                                   {"spcert", MEMBER_BASE64, OPTIONAL, NULL},
                                                   {"taid", MEMBER_NAME, MANDATORY, NULL},
                                                   {"taname", MEMBER_NAME, OPTIONAL, NULL},
                                                   END};
static const struct member update_ta_content[] = {
    {"tamid", MEMBER_NAME, MANDATORY, NULL},  {"spid", MEMBER_NAME, MANDATORY, NULL},
    {"sdname", MEMBER_NAME, MANDATORY, NULL}, {"spcert", MEMBER_BASE64, OPTIONAL, NULL},
    {"taid", MEMBER_NAME, MANDATORY, NULL},   END};
static const struct member delete_ta_content[] = {{"tamid", MEMBER_NAME, MANDATORY, NULL},
                                                  {"sdname", MEMBER_NAME, MANDATORY, NULL},
                                                  {"taid", MEMBER_NAME, MANDATORY, NULL},
                                                  END};

#define TYPE(id, name, option, tbs, content)                                                       \
    [id] = {id,                                                                                    \
            name,                                                                                  \
            option,                                                                                \
            name "Request",                                                                        \
            name "TBSRequest",                                                                     \
            name "Response",                                                                       \
            name "TBSResponse",                                                                    \
            tbs,                                                                                   \
            content}

static const struct message_type types[MESSAGE_COUNT] = {
    [MESSAGE_GET_DEVICE_STATE] = {MESSAGE_GET_DEVICE_STATE, "GetDeviceState", "get-device-state",
                                  "GetDeviceStateRequest", "GetDeviceStateTBSRequest",
                                  "GetDeviceStateResponse", "GetDeviceTEEStateTBSResponse",
                                  get_device_state_tbs, NULL},
    TYPE(MESSAGE_CREATE_SD, "CreateSD", "create-sd", addressed_tbs, create_sd_content),
    TYPE(MESSAGE_UPDATE_SD, "UpdateSD", "update-sd", addressed_tbs, update_sd_content),
    TYPE(MESSAGE_DELETE_SD, "DeleteSD", "delete-sd", addressed_tbs, delete_sd_content),
    TYPE(MESSAGE_INSTALL_TA, "InstallTA", "install-ta", install_tbs, install_ta_content),
    TYPE(MESSAGE_UPDATE_TA, "UpdateTA", "update-ta", update_ta_tbs, update_ta_content),
    TYPE(MESSAGE_DELETE_TA, "DeleteTA", "delete-ta", addressed_tbs, delete_ta_content),
};

const struct message_type *message_type(enum message_id id)
{
    return &types[id];
}

const struct message_type *message_find_request(struct span outer_name)
{
    for (size_t i = 0; i < COUNT(types); i++)
        if (span_is(outer_name, types[i].request))
            return &types[i];
    return NULL;
}

const struct message_type *message_find_response(struct span outer_name)
{
    for (size_t i = 0; i < COUNT(types); i++)
        if (span_is(outer_name, types[i].response))
            return &types[i];
    return NULL;
}

static bool is_printable(struct span s)
{
    for (size_t i = 0; i < s.size; i++)
        if (s.data[i] < 0x20 || s.data[i] > 0x7e)
            return false;
    return true;
}

static bool is_hex(struct span s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!isxdigit(s.data[i]))
            return false;
    return s.size % 2 == 0 && s.size > 0;
}

/* Form alone, without decoding: the alphabet, and padding at the end. */
static bool is_base64(struct span s)
{
    size_t size = s.size;
    while (size && s.size - size < 2 && s.data[size - 1] == '=')
        size--;
    for (size_t i = 0; i < size; i++)
        if (!isalnum(s.data[i]) && s.data[i] != '+' && s.data[i] != '/')
            return false;
    return s.size % 4 == 0 && s.size > 0;
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
        return is_base64(s) ? NULL : "not standard BASE64";
    case MEMBER_HEX:
    case MEMBER_HEX_LIST:
        return is_hex(s) ? NULL : "not hexadecimal";
    default:
        return NULL;
    }
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

static bool check_member(const struct json_value *value, const struct member *m, const char *path,
                         struct error *err)
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
        return !m->members || members_check(value, m->members, inner, err);
    }
    case MEMBER_BASE64_LIST:
    case MEMBER_HEX_LIST:
    case MEMBER_TEXT_LIST:
        return check_list(value, m, path, err);
    default: {
        if (value->kind != JSON_KIND_STRING)
            return wrong_type(value, path, m->name, "a string", err);
        const char *fault = string_fault(value->string, m->type);
        return !fault || error_set(err, RC_MALFORMED, "%s.%s: %s", path, m->name, fault);
    }
    }
}

bool members_check(const struct json_value *object, const struct member *members, const char *path,
                   struct error *err)
{
    if (!object || object->kind != JSON_KIND_OBJECT)
        return error_set(err, RC_MALFORMED, "%s: not an object", path);
    for (const struct member *m = members; m->name; m++)
        if (m->mandatory && !json_member(object, m->name))
            return error_set(err, RC_MALFORMED, "%s.%s: missing", path, m->name);
    for (const struct json_value *v = object->first; v; v = v->next) {
        const struct member *m = members;
        while (m->name && !span_is(v->name, m->name))
            m++;
        if (!m->name)
            return error_set(err, RC_MALFORMED, "%s.%.*s: unknown member", path,
                             (int)(v->name.size < 80 ? v->name.size : 80),
                             (const char *)v->name.data);
        if (!check_member(v, m, path, err))
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
