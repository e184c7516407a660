/* SPDX-License-Identifier: Apache-2.0 */
/* From json_slice.h's values to jansson's. */
#include <string.h>

#include "util/json_slice.h"

enum {
    NAME_BYTES = 128, /* of a member, with its NUL; longer ones are jansson's affair */
    PLAIN_DIGITS = 18 /* fit into 64 bits */
};

static json_t *plain(const struct json_value *value);

static bool has_nul(struct span text)
{
    return text.size && memchr(text.data, '\0', text.size);
}

/* The text has been found to be a JSON number. */
static json_t *plain_integer(struct span text)
{
    bool negative = text.data[0] == '-';
    json_int_t number = 0;
    if (text.size - negative > PLAIN_DIGITS)
        return NULL;
    for (size_t i = negative; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return NULL;
        number = 10 * number + (text.data[i] - '0');
    }
    return json_integer(negative ? -number : number);
}

static json_t *plain_object(const struct json_value *value)
{
    AUTO(json_t) *object = json_object();
    for (const struct json_value *m = value->first; object && m; m = m->next) {
        char name[NAME_BYTES];
        json_t *member = m->name.size < sizeof name && !has_nul(m->name) ? plain(m) : NULL;
        if (!member)
            return NULL;
        if (m->name.size)
            memcpy(name, m->name.data, m->name.size);
        name[m->name.size] = '\0';
        if (json_object_set_new_nocheck(object, name, member) != 0)
            return NULL;
    }
    /* a name that stood twice, where a document allows that, is for jansson to refuse */
    return object && json_object_size(object) == value->count ? TAKE(object) : NULL;
}

static json_t *plain_array(const struct json_value *value)
{
    AUTO(json_t) *array = json_array();
    for (const struct json_value *v = value->first; array && v; v = v->next) {
        json_t *element = plain(v);
        if (!element || json_array_append_new(array, element) != 0)
            return NULL;
    }
    return TAKE(array);
}

static json_t *plain(const struct json_value *value)
{
    switch (value->kind) {
    case JSON_KIND_OBJECT:
        return plain_object(value);
    case JSON_KIND_ARRAY:
        return plain_array(value);
    case JSON_KIND_STRING:
        return has_nul(value->string)
                   ? NULL
                   : json_stringn_nocheck((const char *)value->string.data, value->string.size);
    case JSON_KIND_NUMBER:
        return plain_integer(value->text);
    case JSON_KIND_TRUE:
        return json_true();
    case JSON_KIND_FALSE:
        return json_false();
    default:
        return json_null();
    }
}

json_t *json_plain_value(const struct json_value *value)
{
    bool container = value->kind == JSON_KIND_OBJECT || value->kind == JSON_KIND_ARRAY;
    return container ? plain(value) : NULL;
}
