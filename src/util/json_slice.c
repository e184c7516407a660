/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json_slice.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "util/json.h"
#include "util/limits.h"
#include "util/utf8.h"

enum { BLOCK_VALUES = 64 };

/* Values live in blocks, so that pointers to them stay right while the document grows. */
struct block {
    struct block *next;
    size_t used;
    struct json_value values[BLOCK_VALUES];
};

struct resolved {
    struct resolved *next;
    size_t size;
    uint8_t text[];
};

struct json_doc {
    struct block *blocks;
    struct resolved *resolved;
    size_t count;
    const struct json_value *root;
};

struct open_container {
    struct json_value *value;
    struct json_value *last; /* its last child so far */
};

struct parser {
    json_doc *doc;
    const uint8_t *start, *at, *end;
    const char *name;
    struct error *err;
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
    for (struct resolved *r = doc->resolved; r;) {
        struct resolved *next = r->next;
        free(r);
        r = next;
    }
    free(doc);
}

const struct json_value *json_root(const json_doc *doc)
{
    return doc->root;
}

static bool refuse(struct parser *p, const char *what)
{
    error_set(p->err, RC_MALFORMED, "%s: %s at offset %zu", p->name, what,
              (size_t)(p->at - p->start));
    return error_rule(p->err, "RFC 8259");
}

static struct json_value *new_value(struct parser *p)
{
    json_doc *doc = p->doc;
    if (++doc->count > limits.json_values) {
        refuse(p, "more values than allowed");
        return NULL;
    }
    if (!doc->blocks || doc->blocks->used == BLOCK_VALUES) {
        struct block *b = malloc(sizeof *b);
        if (!b) {
            error_memory(p->err);
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

static void skip_space(struct parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\r' || *p->at == '\t'))
        p->at++;
}

/* Moves on to the first byte that is a quote, a backslash, a control character or not ASCII. */
static void skip_plain(struct parser *p)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\'),
                  space = _mm_set1_epi8(0x20);
    while (p->end - p->at >= 16) {
        __m128i c = _mm_loadu_si128((const __m128i *)p->at);
        /* as signed bytes, what is not ASCII is below the space, too */
        __m128i found = _mm_or_si128(
            _mm_cmplt_epi8(c, space),
            _mm_or_si128(_mm_cmpeq_epi8(c, quote), _mm_cmpeq_epi8(c, back)));
        int mask = _mm_movemask_epi8(found);
        if (mask) {
            p->at += __builtin_ctz((unsigned)mask);
            return;
        }
        p->at += 16;
    }
#endif
    while (p->at < p->end && *p->at >= 0x20 && *p->at < 0x80 && *p->at != '"' && *p->at != '\\')
        p->at++;
}

static int hex4(const uint8_t *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i], lower = c | 0x20;
        if (c >= '0' && c <= '9')
            v = v << 4 | (c - '0');
        else if (lower >= 'a' && lower <= 'f')
            v = v << 4 | (lower - 'a' + 10);
        else
            return -1;
    }
    return v;
}

static size_t put_utf8(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (uint8_t)(0xc0 | c >> 6);
        to[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (uint8_t)(0xe0 | c >> 12);
        to[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        to[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | c >> 18);
    to[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    to[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

/* The escape at p->at (behind the backslash) as a character; false when it is none. */
static bool read_escape(struct parser *p, uint32_t *c)
{
    if (p->at >= p->end)
        return refuse(p, "text ends inside a string");
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    const char *found = *p->at ? strchr(letters, *p->at) : NULL;
    if (found) {
        *c = (uint8_t)meant[found - letters];
        p->at++;
        return true;
    }
    int high = p->end - p->at >= 5 && *p->at == 'u' ? hex4(p->at + 1) : -1;
    if (high < 0)
        return refuse(p, "bad escape in a string");
    p->at += 5;
    *c = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff)
        return true;
    int low = p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u' ? hex4(p->at + 2) : -1;
    if (high > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return refuse(p, "half a surrogate pair in a string");
    p->at += 6;
    *c = 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    return true;
}

/* The string whose content begins at start and whose first escape is at p->at. */
static bool resolve_string(struct parser *p, const uint8_t *start, struct span *string)
{
    const uint8_t *close = p->at;
    while (close < p->end && *close != '"')
        close += *close == '\\' && p->end - close > 1 ? 2 : 1;
    struct resolved *r = malloc(sizeof *r + (size_t)(close - start));
    if (!r)
        return error_memory(p->err);
    r->next = p->doc->resolved;
    p->doc->resolved = r;
    r->size = (size_t)(p->at - start);
    memcpy(r->text, start, r->size);
    while (p->at < p->end && *p->at != '"') {
        const uint8_t *run = p->at;
        if (*p->at == '\\') {
            uint32_t c = 0;
            p->at++;
            if (!read_escape(p, &c))
                return false;
            r->size += put_utf8(r->text + r->size, c);
            continue;
        }
        size_t length = utf8_length(p->at, (size_t)(p->end - p->at));
        if (length == 0)
            return refuse(p, "a byte that is not UTF-8");
        if (*p->at < 0x20)
            return refuse(p, "a control character in a string");
        p->at += length;
        memcpy(r->text + r->size, run, length);
        r->size += length;
    }
    *string = SPAN(r->text, r->size);
    return true;
}

/* p->at is behind the opening quote; left behind the closing one. */
static bool read_string(struct parser *p, struct span *string)
{
    const uint8_t *start = p->at;
    for (;;) {
        skip_plain(p);
        if (p->at >= p->end)
            return refuse(p, "text ends inside a string");
        if (*p->at == '"')
            break;
        if (*p->at == '\\') {
            if (!resolve_string(p, start, string))
                return false;
            if (p->at >= p->end)
                return refuse(p, "text ends inside a string");
            p->at++;
            return true;
        }
        if (*p->at < 0x20)
            return refuse(p, "a control character in a string");
        size_t length = utf8_length(p->at, (size_t)(p->end - p->at));
        if (length == 0)
            return refuse(p, "a byte that is not UTF-8");
        p->at += length;
    }
    *string = SPAN(start, (size_t)(p->at - start));
    p->at++;
    return true;
}

static bool digits(struct parser *p)
{
    const uint8_t *start = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
        p->at++;
    return p->at > start;
}

static bool read_number(struct parser *p)
{
    if (p->at < p->end && *p->at == '-')
        p->at++;
    const uint8_t *whole = p->at;
    if (!digits(p) || (*whole == '0' && p->at - whole > 1))
        return refuse(p, "not a JSON number");
    if (p->at < p->end && *p->at == '.') {
        p->at++;
        if (!digits(p))
            return refuse(p, "not a JSON number");
    }
    if (p->at < p->end && (*p->at | 0x20) == 'e') {
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-'))
            p->at++;
        if (!digits(p))
            return refuse(p, "not a JSON number");
    }
    return true;
}

static bool read_word(struct parser *p, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(p->end - p->at) < length || memcmp(p->at, word, length) != 0)
        return refuse(p, "not a JSON value");
    p->at += length;
    return true;
}

/* A value that is no object or array; sets its kind. */
static bool read_scalar(struct parser *p, struct json_value *v)
{
    switch (*p->at) {
    case '"':
        v->kind = JSON_KIND_STRING;
        p->at++;
        return read_string(p, &v->string);
    case 't':
        v->kind = JSON_KIND_TRUE;
        return read_word(p, "true");
    case 'f':
        v->kind = JSON_KIND_FALSE;
        return read_word(p, "false");
    case 'n':
        v->kind = JSON_KIND_NULL;
        return read_word(p, "null");
    case '-':
    case '0' ... '9':
        v->kind = JSON_KIND_NUMBER;
        return read_number(p);
    default:
        return refuse(p, "not a JSON value");
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
        return error_memory(p->err);
    size_t n = 0;
    for (const struct json_value *m = object->first; m; m = m->next)
        names[n++] = m->name;
    qsort(names, n, sizeof *names, compare_names);
    bool unique = true;
    struct error *told = p->twice ? p->twice : p->err;
    for (size_t i = 1; unique && i < n; i++)
        if (compare_names(&names[i - 1], &names[i]) == 0) {
            error_set(told, RC_MALFORMED, "%s: member \"%.*s\" stands twice in one object", p->name,
                      (int)(names[i].size < 80 ? names[i].size : 80), (const char *)names[i].data);
            unique = error_rule(told, "RFC 7515 section 4, RFC 7159 section 4");
        }
    if (names != few)
        free(names);
    return unique || p->twice;
}

static bool read_name(struct parser *p, struct span *name)
{
    skip_space(p);
    if (p->at >= p->end || *p->at != '"')
        return refuse(p, "a member name was expected");
    p->at++;
    if (!read_string(p, name))
        return false;
    skip_space(p);
    if (p->at >= p->end || *p->at != ':')
        return refuse(p, "a ':' was expected");
    p->at++;
    return true;
}

/* After a complete value: closes what ends here. *more: another value follows in the innermost
 * container that is still open. */
static bool close_containers(struct parser *p, bool *more)
{
    for (*more = false; p->depth; p->depth--) {
        struct json_value *container = p->stack[p->depth - 1].value;
        bool object = container->kind == JSON_KIND_OBJECT;
        skip_space(p);
        if (p->at < p->end && *p->at == ',') {
            p->at++;
            *more = true;
            return true;
        }
        if (p->at >= p->end)
            return refuse(p, "text ends too early");
        if (*p->at != (object ? '}' : ']'))
            return refuse(p, object ? "',' or '}' was expected" : "',' or ']' was expected");
        p->at++;
        container->text.size = (size_t)(p->at - container->text.data);
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

/* p->at is at the bracket. *opened: it has children, which come next. */
static bool open_container(struct parser *p, struct json_value *v, bool *opened)
{
    if (p->depth >= limits.json_depth)
        return refuse(p, "nested deeper than allowed");
    v->kind = *p->at == '{' ? JSON_KIND_OBJECT : JSON_KIND_ARRAY;
    uint8_t closing = *p->at++ == '{' ? '}' : ']';
    skip_space(p);
    if (p->at >= p->end)
        return refuse(p, "text ends too early");
    *opened = *p->at != closing;
    if (*opened) {
        p->stack[p->depth++] = (struct open_container){v, NULL};
        return true;
    }
    p->at++;
    v->text.size = (size_t)(p->at - v->text.data);
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
    skip_space(p);
    if (p->at >= p->end)
        return refuse(p, "text ends too early");
    if (parent)
        link_child(parent, v);
    else
        p->doc->root = v;
    v->text.data = p->at;
    if (*p->at == '{' || *p->at == '[')
        return open_container(p, v, opened);
    *opened = false;
    if (!read_scalar(p, v))
        return false;
    v->text.size = (size_t)(p->at - v->text.data);
    return true;
}

static bool read_document(struct parser *p)
{
    bool opened = false, more = true;
    while (opened || more)
        if (!read_value(p, &opened) || (!opened && !close_containers(p, &more)))
            return false;
    skip_space(p);
    return p->at == p->end || refuse(p, "something follows the JSON value");
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
    p.start = p.at = text.data;
    p.end = text.data + text.size;
    p.name = name;
    p.err = err;
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
    return json_load_span(value->text, name, err);
}
