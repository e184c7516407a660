/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/deviation.h"

#include <stdio.h>
#include <string.h>

#include "util/text_form.h"

static const struct deviation_row rows[] = {
#define DEVIATION(id, section, what) {section, what},
#include "otrp/deviation.def"
#undef DEVIATION
};

const struct deviation_row *deviation_row(enum deviation id)
{
    return &rows[id];
}

const char *message_section(const struct message_type *type, bool response)
{
    static const char *const sections[MESSAGE_COUNT][2] = {
        [MESSAGE_GET_DEVICE_STATE] = {"section 9.1.1", "section 9.1.5"},
        [MESSAGE_CREATE_SD] = {"section 9.2.1.1", "section 9.2.1.3"},
        [MESSAGE_UPDATE_SD] = {"section 9.2.2.1", "section 9.2.2.3"},
        [MESSAGE_DELETE_SD] = {"section 9.2.3.1", "section 9.2.3.3"},
        [MESSAGE_INSTALL_TA] = {"section 9.3.1.1", "section 9.3.1.2"},
        [MESSAGE_UPDATE_TA] = {"section 9.3.2.1", "section 9.3.2.2"},
        [MESSAGE_DELETE_TA] = {"section 9.3.3.1", "section 9.3.3.3"},
    };
    return type ? sections[type->id][response] : "section 6.4.2";
}

/* Names that earlier drafts and other implementations use. */
static const struct {
    const char *old, *now;
} old_names[] = {{"tsmid", "tamid"},
                 {"icaocspdat", "ocspdat"},
                 {"cipherdata", "ciphertadata"},
                 {"encrypted_ta_bin", "ciphertadata"},
                 {"encrypted_ta_data", "cipherpdata"},
                 {"ta_list", "talist"},
                 {"tsmcert", "tamcert"},
                 {"tsmcacerts", "tamcacerts"}};

static const char *name_now(struct span name)
{
    for (size_t i = 0; i < COUNT(old_names); i++)
        if (span_is(name, old_names[i].old))
            return old_names[i].now;
    return NULL;
}

static bool has_old_name(const struct json_value *object, const char *now)
{
    for (size_t i = 0; i < COUNT(old_names); i++)
        if (strcmp(old_names[i].now, now) == 0 && json_member(object, old_names[i].old))
            return true;
    return false;
}

/* ---- forms of values ---- */

static bool is_boolean_text(struct span s)
{
    static const char *const texts[] = {"true", "false", "1", "0"};
    s = span_trim(s);
    for (size_t i = 0; i < COUNT(texts); i++)
        if (span_is(s, texts[i]))
            return true;
    return false;
}

static enum deviation form_of_string(struct span s, enum member_type type)
{
    switch (type) {
    case MEMBER_BOOLEAN:
        return is_boolean_text(s) ? DEVIATION_BOOLEAN_STRING : DEVIATION_COUNT;
    case MEMBER_BASE64:
    case MEMBER_BASE64_LIST:
        return text_is_hex(s) && s.size >= TEXT_HEX_LEAST ? DEVIATION_HEX
               : text_is_base64url(s)                     ? DEVIATION_BASE64URL
                                                          : DEVIATION_COUNT;
    case MEMBER_HEX:
    case MEMBER_HEX_LIST:
        return text_is_base64(s)      ? DEVIATION_IV_BASE64
               : text_is_base64url(s) ? DEVIATION_IV_BASE64URL
                                      : DEVIATION_COUNT;
    case MEMBER_OBJECT:
        return DEVIATION_TEXT_FOR_OBJECT;
    default:
        return DEVIATION_COUNT;
    }
}

/* The name of an older or foreign form; DEVIATION_COUNT when it is none of them. */
static enum deviation form_of(const struct json_value *v, enum member_type type)
{
    bool list = type == MEMBER_BASE64_LIST || type == MEMBER_HEX_LIST || type == MEMBER_TEXT_LIST;
    if (v->kind == JSON_KIND_STRING)
        return list ? DEVIATION_ONE_STRING : form_of_string(v->string, type);
    if (type == MEMBER_BASE64 && (v->kind == JSON_KIND_OBJECT || v->kind == JSON_KIND_ARRAY))
        return DEVIATION_SPAIK;
    bool text = type == MEMBER_NAME || type == MEMBER_TID || type == MEMBER_TEXT;
    if (v->kind == JSON_KIND_NUMBER && text)
        return DEVIATION_INTEGER;
    if (v->kind != JSON_KIND_ARRAY || !list)
        return DEVIATION_COUNT;
    for (const struct json_value *e = v->first; e; e = e->next) {
        enum deviation form = e->kind == JSON_KIND_STRING ? form_of_string(e->string, type)
                                                          : DEVIATION_COUNT;
        if (form != DEVIATION_COUNT)
            return form;
    }
    return DEVIATION_COUNT;
}

/* ---- members ---- */

struct audit {
    const char *path, *section;
    deviation_report report;
    void *context;
};

static void tell(const struct audit *a, struct span name, const char *section, const char *what)
{
    char path[300];
    snprintf(path, sizeof path, "%s.%.*s", a->path, (int)(name.size < 80 ? name.size : 80),
             (const char *)name.data);
    a->report(a->context, path, section, what);
}

static void audit_value(const struct audit *a, const struct json_value *v, const struct member *m)
{
    char path[300];
    if (m->type == MEMBER_OBJECT && v->kind == JSON_KIND_OBJECT) {
        snprintf(path, sizeof path, "%s.%s", a->path, m->name);
        /* what is empty, or encrypted as a whole, is told by who looks into it */
        if (m->members && v->count && !json_member(v, "ciphertext"))
            deviations_of_members(v, m->members, path, a->section, a->report, a->context);
        return;
    }
    if (m->type == MEMBER_OBJECT_LIST && v->kind == JSON_KIND_ARRAY) {
        size_t i = 0;
        for (const struct json_value *e = v->first; e; e = e->next) {
            snprintf(path, sizeof path, "%s.%s[%zu]", a->path, m->name, i++);
            deviations_of_members(e, m->members, path, a->section, a->report, a->context);
        }
        return;
    }
    if (m->type == MEMBER_BASE64 && v->kind == JSON_KIND_STRING &&
        v->string.size >= TEXT_HEX_LEAST &&
        text_is_hex(v->string)) { /* its digits are digits of BASE64, too */
        tell(a, v->name, a->section, rows[DEVIATION_HEX].what);
        return;
    }
    /* the one judge of a member is members_check: it is asked about this one alone */
    struct json_value alone = *v, object = {.kind = JSON_KIND_OBJECT, .count = 1, .first = &alone};
    const struct member table[] = {*m, {.name = NULL}};
    struct error why;
    alone.next = NULL;
    if (members_check(&object, table, a->path, NULL, &why))
        return;
    enum deviation form = form_of(v, m->type);
    const char *reason = strstr(why.message, ": ");
    tell(a, v->name, a->section,
         form != DEVIATION_COUNT ? rows[form].what
         : reason                ? reason + 2
                                 : why.message);
}

void deviations_of_members(const struct json_value *object, const struct member *members,
                           const char *path, const char *section, deviation_report report,
                           void *context)
{
    const struct audit a = {path, section, report, context};
    if (!object || object->kind != JSON_KIND_OBJECT) {
        report(context, path, section, "not an object");
        return;
    }
    for (const struct member *m = members; m->name; m++)
        if (m->mandatory && !json_member(object, m->name) && !has_old_name(object, m->name))
            tell(&a, span_text(m->name), section, "missing");
    for (const struct json_value *v = object->first; v; v = v->next) {
        const char *now = name_now(v->name);
        const struct member *m = member_find(members, v->name);
        if (m) {
            audit_value(&a, v, m);
        } else if (now) {
            char what[80];
            snprintf(what, sizeof what, "an older name of %s", now);
            tell(&a, v->name, section, what);
        } else {
            tell(&a, v->name, section, "unknown member");
        }
    }
}
