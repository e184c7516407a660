/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/config.h"

#include <stdio.h>
#include <string.h>

#include "util/file.h"
#include "util/limits.h"

bool config_open(config *in, const char *path, const char *passin, json_t *mistakes,
                 struct error *err)
{
    AUTO(buffer) *text = input_read(path, LIMIT_SMALL_JSON, err);
    const char *slash = strrchr(path, '/');
    *in = (config){.file = path,
                   .folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup("."),
                   .passin = passin,
                   .mistakes = mistakes,
                   .first = {.rc = RC_OK}};
    if (!text)
        return false;
    if (!in->folder)
        return error_memory(err);
    in->json = json_load_span(buffer_span(text), path, err);
    return in->json != NULL;
}

void config_close(config *in)
{
    free(in->folder);
    json_decref(in->json);
}

struct place place_at(struct place outer, const char *member)
{
    struct place inner;
    snprintf(inner.text, sizeof inner.text, "%.280s%s%.100s", outer.text, *outer.text ? "." : "",
             member);
    return inner;
}

struct place place_index(struct place outer, const char *member, size_t index)
{
    struct place inner = place_at(outer, member);
    size_t length = strlen(inner.text);
    snprintf(inner.text + length, sizeof inner.text - length, "[%zu]", index);
    return inner;
}

void config_mistake_error(config *in, struct place place, struct error *why)
{
    json_array_append_new(in->mistakes,
                          json_pack("{s:s, s:s}", "path", place.text, "reason", why->message));
    if (in->first.rc != RC_OK)
        return;
    in->first = *why;
    if (*place.text)
        error_prefix(&in->first, "%s", place.text);
    error_prefix(&in->first, "%s", in->file);
}

void config_mistake(config *in, struct place place, const char *reason)
{
    struct error why;
    error_set(&why, RC_MALFORMED, "%s", reason);
    config_mistake_error(in, place, &why);
}

bool config_object(config *in, const json_t *object, struct place place, const char *const *known)
{
    const char *name;
    json_t *value;
    if (!json_is_object(object)) {
        config_mistake(in, place, "not an object");
        return false;
    }
    json_object_foreach ((json_t *)object, name, value) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], name) != 0)
            i++;
        if (!known[i])
            config_mistake(in, place_at(place, name), "unknown member");
    }
    return true;
}

const char *config_text(config *in, const json_t *object, struct place place, const char *member,
                        bool required)
{
    const json_t *value = json_object_get(object, member);
    if (!value && required)
        config_mistake(in, place_at(place, member), "missing");
    if (value && !json_is_string(value))
        config_mistake(in, place_at(place, member), "not a string");
    return json_string_value(value);
}

const char *config_name(config *in, const json_t *object, struct place place, const char *member,
                        bool required)
{
    const char *text = config_text(in, object, place, member, required);
    size_t length = text ? strlen(text) : 1;
    if (length >= 1 && length <= LIMIT_NAME_BYTES)
        return text;
    config_mistake(in, place_at(place, member), "not 1 to 255 bytes long");
    return NULL;
}

char *config_resolve(const config *in, const char *text)
{
    return text[0] == '/' ? strdup(text) : path_join(in->folder, text);
}

char *config_path(config *in, const json_t *object, struct place place, const char *member,
                  bool required)
{
    const char *text = config_text(in, object, place, member, required);
    return text ? config_resolve(in, text) : NULL;
}

void config_flag(config *in, const json_t *object, struct place place, const char *member,
                 bool *flag)
{
    const json_t *value = json_object_get(object, member);
    if (!value)
        return;
    *flag = json_is_true(value);
    if (!json_is_boolean(value))
        config_mistake(in, place_at(place, member), "neither true nor false");
}

const json_t *config_array(config *in, const json_t *object, struct place place, const char *member)
{
    const json_t *array = json_object_get(object, member);
    if (!array || json_is_array(array))
        return array;
    config_mistake(in, place_at(place, member), "not an array");
    return NULL;
}

long long config_number(config *in, const json_t *object, struct place place, const char *member,
                        long long low, long long high, long long fallback)
{
    const json_t *value = json_object_get(object, member);
    if (!value)
        return fallback;
    long long number = json_integer_value(value);
    if (json_is_integer(value) && number >= low && number <= high)
        return number;
    struct error why;
    error_set(&why, RC_MALFORMED, "not a whole number from %lld to %lld", low, high);
    config_mistake_error(in, place_at(place, member), &why);
    return fallback;
}

bool config_repeated(const char *name, const void *first, size_t index, size_t stride)
{
    for (size_t i = 0; name && i < index; i++) {
        const char *other = *(const char *const *)((const char *)first + i * stride);
        if (other && strcmp(other, name) == 0)
            return true;
    }
    return false;
}
