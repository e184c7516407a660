/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/message.h"

#include <stdio.h>
#include <string.h>

static json_t *placeholder(const struct member *m)
{
    if (m->type == MEMBER_BOOLEAN)
        return json_false();
    if (m->type == MEMBER_OBJECT)
        return json_object();
    if (strcmp(m->name, "ver") == 0)
        return json_string("1.0");
    const char *form = member_form(m->type);
    bool list = strncmp(form, "array of ", 9) == 0;
    char text[80];
    snprintf(text, sizeof text, "<%s%s>", list ? form + 9 : form, m->mandatory ? "" : ", optional");
    return list ? json_pack("[s]", text) : json_string(text);
}

static json_t *template_of(const struct member *members, const char *sealed,
                           const struct member *content)
{
    json_t *object = json_object();
    for (const struct member *m = members; m->name; m++) {
        bool is_sealed = content && strcmp(m->name, sealed) == 0;
        const struct member *inner = is_sealed ? content : m->members;
        json_t *value = inner ? template_of(inner, NULL, NULL) : placeholder(m);
        if (m->type == MEMBER_OBJECT_LIST)
            value = json_pack("[o]", value);
        json_object_set_new(object, m->name, value);
    }
    return object;
}

json_t *message_template(const char *tbs_name, const struct member *tbs, const char *sealed,
                         const struct member *content)
{
    return json_pack("{s:o}", tbs_name, template_of(tbs, sealed, content));
}
