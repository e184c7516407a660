/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/json_path.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* The next step of a path: a member name or an index. */
struct step {
    char name[128];
    size_t index;
    bool is_index;
};

/* Takes one step off *path; false when it is malformed. */
static bool next_step(const char **path, struct step *step)
{
    const char *p = *path;
    *step = (struct step){.is_index = *p == '['};
    if (step->is_index) {
        char *end;
        if (!isdigit((unsigned char)p[1]))
            return false;
        step->index = strtoul(p + 1, &end, 10);
        p = end;
        if (*p++ != ']')
            return false;
    } else {
        size_t length = strcspn(p, ".[");
        if (length == 0 || length >= sizeof step->name)
            return false;
        memcpy(step->name, p, length);
        p += length;
    }
    if (*p == '.' && p[1])
        p++;
    *path = p;
    return true;
}

static json_t *child(json_t *at, const struct step *step)
{
    return step->is_index ? json_array_get(at, step->index) : json_object_get(at, step->name);
}

static bool bad_path(const char *path, struct error *err)
{
    error_set(err, RC_USAGE, "'%s' is no path", path);
    return error_hint(err, "paths look like nextdsi, content.sdname or ocspdat[0]");
}

/* Walks to the parent of the last step; makes objects on the way with make. */
static json_t *walk(json_t *root, const char *path, bool make, struct step *last, struct error *err)
{
    const char *rest = path;
    json_t *at = root;
    if (!next_step(&rest, last)) {
        bad_path(path, err);
        return NULL;
    }
    while (*rest) {
        json_t *next = child(at, last);
        if (!next && make && !last->is_index) {
            json_object_set_new(at, last->name, json_object());
            next = child(at, last);
        }
        if (!next || !next_step(&rest, last)) {
            error_set(err, RC_USAGE, "'%s': there is no such place", path);
            return NULL;
        }
        at = next;
    }
    return at;
}

/* JSON, or else a string as it stands: so that --set rid=abc does what it says. */
static json_t *value_of(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    return value ? value : json_string(text);
}

bool json_path_set(json_t *root, const char *assignment, struct error *err)
{
    const char *equals = strchr(assignment, '=');
    if (!equals || equals == assignment)
        return error_set(err, RC_USAGE, "'%s' is not PATH=JSON", assignment);
    AUTO(char) *path = strndup(assignment, (size_t)(equals - assignment));
    struct step last;
    json_t *parent = path ? walk(root, path, true, &last, err) : NULL;
    if (!parent)
        return path ? false : error_memory(err);
    json_t *value = value_of(equals + 1);
    int failed;
    if (last.is_index && last.index == json_array_size(parent))
        failed = json_array_append_new(parent, value);
    else if (last.is_index)
        failed = json_array_set_new(parent, last.index, value);
    else
        failed = json_object_set_new(parent, last.name, value);
    return !failed || error_set(err, RC_USAGE, "'%s': cannot be set there", path);
}

bool json_path_unset(json_t *root, const char *path, struct error *err)
{
    struct step last;
    json_t *parent = walk(root, path, false, &last, err);
    if (!parent)
        return false;
    int failed = last.is_index ? json_array_remove(parent, last.index)
                               : json_object_del(parent, last.name);
    return !failed || error_set(err, RC_USAGE, "'%s': there is no such place", path);
}

static bool is_step(const struct json_value *value, size_t index, const struct step *step)
{
    return step->is_index ? index == step->index : span_is(value->name, step->name);
}

static const struct json_value *slice_child(const struct json_value *at, const struct step *step)
{
    if (at->kind != (step->is_index ? JSON_KIND_ARRAY : JSON_KIND_OBJECT))
        return NULL;
    size_t i = 0;
    for (const struct json_value *v = at->first; v; v = v->next, i++)
        if (is_step(v, i, step))
            return v;
    return NULL;
}

static void put_place(buffer *out, bool first, const struct step *step, struct span name,
                      struct span value)
{
    if (!first)
        buffer_put_char(out, ',');
    if (!step->is_index) {
        buffer_put_json_string(out, name);
        buffer_put_char(out, ':');
    }
    buffer_put_span(out, value);
}

/* The object or array at, with json (NULL: nothing) at the step. */
static void put_edited(buffer *out, const struct json_value *at, const struct step *step,
                       const char *json)
{
    bool found = false, first = true;
    size_t i = 0;
    buffer_put_char(out, step->is_index ? '[' : '{');
    for (const struct json_value *v = at->first; v; v = v->next, i++) {
        bool here = is_step(v, i, step);
        found |= here;
        if (here && !json)
            continue;
        put_place(out, first, step, v->name, here ? span_text(json) : v->text);
        first = false;
    }
    if (!found && json)
        put_place(out, first, step, span_text(step->name), span_text(json));
    buffer_put_char(out, step->is_index ? ']' : '}');
}

bool json_path_edit(buffer **text, const char *path, const char *json, struct error *err)
{
    struct span whole = buffer_span(*text);
    AUTO(json_doc) *doc = json_doc_parse(whole, "message", err);
    const struct json_value *at = doc ? json_root(doc) : NULL;
    const char *rest = path;
    struct step step;
    if (!doc)
        return false;
    if (!next_step(&rest, &step))
        return bad_path(path, err);
    while (at && *rest) {
        at = slice_child(at, &step);
        if (!next_step(&rest, &step))
            return bad_path(path, err);
    }
    if (!at || at->kind != (step.is_index ? JSON_KIND_ARRAY : JSON_KIND_OBJECT) ||
        (!json && !slice_child(at, &step)))
        return error_set(err, RC_USAGE, "'%s': there is no such place", path);
    AUTO(buffer) *out = buffer_secret(whole.size + (json ? strlen(json) : 0) + sizeof step.name);
    if (!out)
        return error_memory(err);
    const uint8_t *end = at->text.data + at->text.size;
    buffer_put(out, whole.data, (size_t)(at->text.data - whole.data));
    put_edited(out, at, &step, json);
    buffer_put(out, end, (size_t)(whole.data + whole.size - end));
    if (out->failed)
        return error_memory(err);
    buffer_free(*text);
    *text = TAKE(out);
    return true;
}

/* JSON text of what stands behind '='. */
static buffer *value_text(const char *text)
{
    AUTO(json_t) *value = value_of(text);
    return value ? json_compact(value) : NULL;
}

bool json_changes_add(json_changes *changes, const char *text, bool set, struct error *err)
{
    const char *equals = set ? strchr(text, '=') : NULL;
    if (set && !equals)
        return error_set(err, RC_USAGE, "'%s' is not PATH=JSON", text);
    struct json_change *items = realloc(changes->items, (changes->count + 1) * sizeof *items);
    if (!items)
        return error_memory(err);
    changes->items = items;
    struct json_change *change = &items[changes->count++];
    change->path = strndup(text, set ? (size_t)(equals - text) : strlen(text));
    change->json = set ? value_text(equals + 1) : NULL;
    return (change->path && (change->json || !set)) || error_memory(err);
}

bool json_changes_apply(const json_changes *changes, const char *member, buffer **text,
                        struct error *err)
{
    for (size_t i = 0; changes && i < changes->count; i++) {
        const struct json_change *change = &changes->items[i];
        char path[300];
        snprintf(path, sizeof path, "%s.%.200s", member, change->path);
        if (!json_path_edit(text, path, change->json ? (const char *)change->json->data : NULL,
                            err))
            return false;
    }
    return true;
}

void json_changes_free(json_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        free(changes->items[i].path);
        buffer_free(changes->items[i].json);
    }
    free(changes->items);
}
