/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json_slice.h"

#include <string.h>

#include "util/json_token.h"
#include "util/limits.h"

enum { BLOCK_VALUES = 64 };

/* Values live in blocks, so that pointers to them stay right while the document grows. */
struct block {
    struct block *next;
    size_t used;
    struct json_value values[BLOCK_VALUES];
};

struct json_doc {
    struct block *blocks;
    struct json_resolved *resolved;
    size_t count;
    const struct json_value *root;
};

struct open_container {
    struct json_value *value;
    struct json_value *last; /* its last child so far */
};

struct parser {
    json_doc *doc;
    struct json_cursor in;
    struct error *twice; /* told of members that stand twice; NULL: they are refused */
    struct open_container stack[LIMIT_JSON_DEPTH_MOST];
    size_t depth;
};

void json_doc_free(json_doc *doc)
{
    if (!doc)
        return;
    for (struct block *b = doc->blocks; b;) {
        struct block *next = b->next;
        free(b);
        b = next;
    }
    json_resolved_free(doc->resolved);
    free(doc);
}

const struct json_value *json_root(const json_doc *doc)
{
    return doc->root;
}

static struct json_value *new_value(struct parser *p)
{
    json_doc *doc = p->doc;
    if (++doc->count > limits.json_values) {
        json_refuse(&p->in, "more values than allowed");
        return NULL;
    }
    if (!doc->blocks || doc->blocks->used == BLOCK_VALUES) {
        struct block *b = malloc(sizeof *b);
        if (!b) {
            error_memory(p->in.err);
            return NULL;
        }
        b->next = doc->blocks;
        b->used = 0;
        doc->blocks = b;
    }
    struct json_value *v = &doc->blocks->values[doc->blocks->used++];
    memset(v, 0, sizeof *v);
    return v;
}

/* A value that is no object or array; sets its kind. */
static bool read_scalar(struct parser *p, struct json_value *v)
{
    switch (*p->in.at) {
    case '"':
        v->kind = JSON_KIND_STRING;
        p->in.at++;
        return json_read_string(&p->in, &v->string);
    case 't':
        v->kind = JSON_KIND_TRUE;
        return json_read_word(&p->in, "true");
    case 'f':
        v->kind = JSON_KIND_FALSE;
        return json_read_word(&p->in, "false");
    case 'n':
        v->kind = JSON_KIND_NULL;
        return json_read_word(&p->in, "null");
    case '-':
    case '0' ... '9':
        v->kind = JSON_KIND_NUMBER;
        return json_read_number(&p->in);
    default:
        return json_refuse(&p->in, "not a JSON value");
    }
}

static int compare_names(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    size_t common = x->size < y->size ? x->size : y->size;
    int order = common ? memcmp(x->data, y->data, common) : 0;
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static bool check_duplicates(struct parser *p, const struct json_value *object)
{
    if (object->count < 2)
        return true;
    struct span few[16], *names = few;
    if (object->count > COUNT(few) && !(names = malloc(object->count * sizeof *names)))
        return error_memory(p->in.err);
    size_t n = 0;
    for (const struct json_value *m = object->first; m; m = m->next)
        names[n++] = m->name;
    qsort(names, n, sizeof *names, compare_names);
    bool unique = true;
    struct error *told = p->twice ? p->twice : p->in.err;
    for (size_t i = 1; unique && i < n; i++)
        if (compare_names(&names[i - 1], &names[i]) == 0) {
            error_set(told, RC_MALFORMED, "%s: member \"%.*s\" stands twice in one object",
                      p->in.name, (int)(names[i].size < 80 ? names[i].size : 80),
                      (const char *)names[i].data);
            unique = error_rule(told, "RFC 7515 section 4, RFC 8259 section 4");
        }
    if (names != few)
        free(names);
    return unique || p->twice;
}

static bool read_name(struct parser *p, struct span *name)
{
    json_skip_space(&p->in);
    if (p->in.at >= p->in.end || *p->in.at != '"')
        return json_refuse(&p->in, "a member name was expected");
    p->in.at++;
    if (!json_read_string(&p->in, name))
        return false;
    json_skip_space(&p->in);
    if (p->in.at >= p->in.end || *p->in.at != ':')
        return json_refuse(&p->in, "a ':' was expected");
    p->in.at++;
    return true;
}

/* After a complete value: closes what ends here. *more: another value follows in the innermost
 * container that is still open. */
static bool close_containers(struct parser *p, bool *more)
{
    for (*more = false; p->depth; p->depth--) {
        struct json_value *container = p->stack[p->depth - 1].value;
        bool object = container->kind == JSON_KIND_OBJECT;
        json_skip_space(&p->in);
        if (p->in.at < p->in.end && *p->in.at == ',') {
            p->in.at++;
            *more = true;
            return true;
        }
        if (p->in.at >= p->in.end)
            return json_refuse(&p->in, "text ends too early");
        if (*p->in.at != (object ? '}' : ']'))
            return json_refuse(&p->in,
                               object ? "',' or '}' was expected" : "',' or ']' was expected");
        p->in.at++;
        container->text.size = (size_t)(p->in.at - container->text.data);
        if (object && !check_duplicates(p, container))
            return false;
    }
    return true;
}

static void link_child(struct open_container *parent, struct json_value *v)
{
    if (parent->last)
        parent->last->next = v;
    else
        parent->value->first = v;
    parent->last = v;
    parent->value->count++;
}

/* p->in.at is at the bracket. *opened: it has children, which come next. */
static bool open_container(struct parser *p, struct json_value *v, bool *opened)
{
    if (p->depth >= limits.json_depth)
        return json_refuse(&p->in, "nested deeper than allowed");
    v->kind = *p->in.at == '{' ? JSON_KIND_OBJECT : JSON_KIND_ARRAY;
    uint8_t closing = *p->in.at++ == '{' ? '}' : ']';
    json_skip_space(&p->in);
    if (p->in.at >= p->in.end)
        return json_refuse(&p->in, "text ends too early");
    *opened = *p->in.at != closing;
    if (*opened) {
        p->stack[p->depth++] = (struct open_container){v, NULL};
        return true;
    }
    p->in.at++;
    v->text.size = (size_t)(p->in.at - v->text.data);
    return true;
}

static bool read_value(struct parser *p, bool *opened)
{
    struct json_value *v = new_value(p);
    if (!v)
        return false;
    struct open_container *parent = p->depth ? &p->stack[p->depth - 1] : NULL;
    if (parent && parent->value->kind == JSON_KIND_OBJECT && !read_name(p, &v->name))
        return false;
    json_skip_space(&p->in);
    if (p->in.at >= p->in.end)
        return json_refuse(&p->in, "text ends too early");
    if (parent)
        link_child(parent, v);
    else
        p->doc->root = v;
    v->text.data = p->in.at;
    if (*p->in.at == '{' || *p->in.at == '[')
        return open_container(p, v, opened);
    *opened = false;
    if (!read_scalar(p, v))
        return false;
    v->text.size = (size_t)(p->in.at - v->text.data);
    return true;
}

static bool read_document(struct parser *p)
{
    bool opened = false, more = true;
    while (opened || more)
        if (!read_value(p, &opened) || (!opened && !close_containers(p, &more)))
            return false;
    json_skip_space(&p->in);
    return p->in.at == p->in.end || json_refuse(&p->in, "something follows the JSON value");
}

json_doc *json_doc_parse(struct span text, const char *name, struct error *err)
{
    return json_doc_read(text, name, NULL, err);
}

json_doc *json_doc_read(struct span text, const char *name, struct error *twice, struct error *err)
{
    AUTO(json_doc) *doc = calloc(1, sizeof *doc);
    if (!doc) {
        error_memory(err);
        return NULL;
    }
    struct parser p; /* its stack is large, and needs no beginning */
    p.doc = doc;
    p.in = (struct json_cursor){.start = text.data,
                                .at = text.data,
                                .end = text.data + text.size,
                                .name = name,
                                .resolved = &doc->resolved,
                                .err = err};
    p.twice = twice;
    p.depth = 0;
    if (text.size == 0) {
        error_set(err, RC_MALFORMED, "%s: empty", name);
        return NULL;
    }
    return read_document(&p) ? TAKE(doc) : NULL;
}

const struct json_value *json_member(const struct json_value *object, const char *name)
{
    if (!object || object->kind != JSON_KIND_OBJECT)
        return NULL;
    for (const struct json_value *m = object->first; m; m = m->next)
        if (span_is(m->name, name))
            return m;
    return NULL;
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {"an object", "an array", "a string", "a number",
                                        "true",      "false",    "null"};
    return names[kind];
}

json_t *json_load_value(const struct json_value *value, const char *name, struct error *err)
{
    if (!json_is_small(value->text, name, err))
        return NULL;
    json_t *plain = json_plain_value(value);
    return plain ? plain : json_load_span(value->text, name, err);
}
