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
