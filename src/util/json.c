/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "util/base64.h"
#include "util/json_slice.h"
#include "util/limits.h"
#include "util/utf8.h"

/* Each block remembers its size in front of it, as far as alignment asks for. */
enum { BLOCK_HEAD = 16 };

static void *wiping_malloc(size_t size)
{
    uint8_t *block = size < SIZE_MAX - BLOCK_HEAD ? malloc(size + BLOCK_HEAD) : NULL;
    if (!block)
        return NULL;
    memcpy(block, &size, sizeof size);
    return block + BLOCK_HEAD;
}

static void wiping_free(void *pointer)
{
    size_t size;
    if (!pointer)
        return;
    uint8_t *block = (uint8_t *)pointer - BLOCK_HEAD;
    memcpy(&size, block, sizeof size);
    OPENSSL_cleanse(block, size + BLOCK_HEAD);
    free(block);
}

void json_wipe(void)
{
    json_set_alloc_funcs(wiping_malloc, wiping_free);
}

/* jansson has a bound of its own, far above ours, that cannot be set. */
static bool check_depth(struct span text, const char *name, struct error *err)
{
    size_t depth = 0;
    bool inside = false; /* a string */
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (inside && c == '\\')
            i++;
        else if (c == '"')
            inside = !inside;
        else if (!inside && (c == '[' || c == '{') && ++depth > limits.json_depth)
            return error_set(err, RC_MALFORMED, "%s: nested deeper than the %u levels allowed",
                             name, limits.json_depth);
        else if (!inside && (c == ']' || c == '}') && depth)
            depth--;
    }
    return true;
}

/* By jansson itself: what is not plain, and what is wrong, of which it says where and why. */
static json_t *load_with_jansson(struct span text, const char *name, struct error *err)
{
    if (!check_depth(text, name, err))
        return NULL;
    json_error_t reason;
    json_t *value = json_loadb((const char *)(text.data ? text.data : (const uint8_t *)""),
                               text.size, JSON_REJECT_DUPLICATES, &reason);
    if (value)
        return value;
    error_set(err, RC_MALFORMED, "%s: line %d: %s", name, reason.line, reason.text);
    error_rule(err, "RFC 8259");
    return NULL;
}

bool json_is_small(struct span text, const char *name, struct error *err)
{
    return text.size <= LIMIT_SMALL_JSON ||
           error_set(err, RC_MALFORMED, "%s: %zu bytes, more than the %u allowed", name, text.size,
                     LIMIT_SMALL_JSON);
}

json_t *json_load_span(struct span text, const char *name, struct error *err)
{
    struct error ignored;
    if (!json_is_small(text, name, err))
        return NULL;
    AUTO(json_doc) *doc = json_doc_parse(text, name, &ignored);
    json_t *value = doc ? json_plain_value(json_root(doc)) : NULL;
    return value ? value : load_with_jansson(text, name, err);
}

/* Where the first byte that differs puts a name in the order of UTF-16, which is that of UTF-8 but
 * for U+E000 to U+FFFF: they stand behind all that takes four bytes (RFC 8785 section 3.2.3). */
static int utf16_order(unsigned char c)
{
    return c == 0xee || c == 0xef ? c + 0x10 : c;
}

static int compare_keys(const void *a, const void *b)
{
    const unsigned char *x = *(const unsigned char *const *)a,
                        *y = *(const unsigned char *const *)b;
    while (*x && *x == *y)
        x++, y++;
    return utf16_order(*x) - utf16_order(*y);
}

static void put_value(buffer *out, const json_t *value, bool sorted);

static void put_object(buffer *out, const json_t *object, bool sorted)
{
    size_t count = json_object_size(object), n = 0;
    const char **keys = calloc(count ? count : 1, sizeof *keys);
    if (!keys) {
        out->failed = true;
        return;
    }
    for (void *i = json_object_iter((json_t *)object); i;
         i = json_object_iter_next((json_t *)object, i))
        keys[n++] = json_object_iter_key(i);
    if (sorted)
        qsort(keys, n, sizeof *keys, compare_keys);
    buffer_put_char(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buffer_put_char(out, ',');
        buffer_put_json_string(out, span_text(keys[i]));
        buffer_put_char(out, ':');
        put_value(out, json_object_get(object, keys[i]), sorted);
    }
    buffer_put_char(out, '}');
    free(keys);
}

static void put_value(buffer *out, const json_t *value, bool sorted)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(out, value, sorted);
        break;
    case JSON_ARRAY:
        buffer_put_char(out, '[');
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i)
                buffer_put_char(out, ',');
            put_value(out, json_array_get(value, i), sorted);
        }
        buffer_put_char(out, ']');
        break;
    case JSON_STRING:
        buffer_put_json_string(out, SPAN(json_string_value(value), json_string_length(value)));
        break;
    case JSON_INTEGER:
        buffer_put_format(out, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        out->failed = true;
        break;
    case JSON_TRUE:
        buffer_put_text(out, "true");
        break;
    case JSON_FALSE:
        buffer_put_text(out, "false");
        break;
    case JSON_NULL:
        buffer_put_text(out, "null");
        break;
    }
}

/* NULL without memory or with a real number inside. */
static buffer *write_value(const json_t *value, bool sorted)
{
    AUTO(buffer) *out = buffer_secret(2048);
    if (!out)
        return NULL;
    put_value(out, value, sorted);
    return out->failed ? NULL : TAKE(out);
}

buffer *json_canonical(const json_t *value)
{
    return write_value(value, true);
}

static int put_chunk(const char *data, size_t size, void *context)
{
    buffer *out = context;
    buffer_put(out, data, size);
    return out->failed ? -1 : 0;
}

static buffer *dump(const json_t *value, size_t flags, const char *end)
{
    AUTO(buffer) *out = buffer_secret(1024);
    if (!out || json_dump_callback(value, put_chunk, out,
                                   flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)))
        return NULL;
    buffer_put_text(out, end);
    return out->failed ? NULL : TAKE(out);
}

json_t *json_text(struct span text)
{
    AUTO(buffer) *out = buffer_secret(text.size);
    for (size_t i = 0, length; out && i < text.size; i += length) {
        length = utf8_length(text.data + i, text.size - i);
        if (length && text.data[i]) {
            buffer_put(out, text.data + i, length);
        } else {
            buffer_put_format(out, "\\x%02x", text.data[i]);
            length = 1;
        }
    }
    return out && !out->failed ? json_stringn((const char *)out->data, out->size) : NULL;
}

buffer *json_compact(const json_t *value)
{
    buffer *text = write_value(value, false);
    return text ? text : dump(value, JSON_COMPACT, "");
}

buffer *json_ascii(const json_t *value)
{
    return dump(value, JSON_COMPACT | JSON_ENSURE_ASCII, "");
}

/* text with unruly characters, which stand in strings alone, as \uNNNN. Those below U+0020 are so
 * already, and the white space between values stays. */
static buffer *escape_unruly(const buffer *text)
{
    AUTO(buffer) *out = text ? buffer_secret(text->size + 64) : NULL;
    size_t start = 0;
    for (size_t i = 0, length; out && i < text->size; i += length) {
        const uint8_t *c = text->data + i;
        length = utf8_length(c, text->size - i);
        bool unruly = length && *c >= 0x20 && utf8_is_unruly(c, length);
        length = length ? length : 1;
        if (!unruly)
            continue;
        buffer_put(out, text->data + start, i - start);
        buffer_put_format(out, "\\u%04x", (unsigned)utf8_character(c, length));
        start = i + length;
    }
    if (out)
        buffer_put(out, text->data + start, text->size - start);
    return out && !out->failed ? TAKE(out) : NULL;
}

buffer *json_pretty(const json_t *value)
{
    AUTO(buffer) *text = dump(value, JSON_INDENT(2), "\n");
    return escape_unruly(text);
}

buffer *json_terse(const json_t *value)
{
    AUTO(buffer) *text = dump(value, JSON_COMPACT, "");
    return escape_unruly(text);
}

bool json_get_text(const json_t *object, const char *path, const char *member, const char **text,
                   struct error *err)
{
    const json_t *value = json_object_get(object, member);
    const char *dot = *path ? "." : "";
    if (!value)
        return error_set(err, RC_MALFORMED, "%s%s%s: missing", path, dot, member);
    *text = json_string_value(value);
    if (!*text || strlen(*text) != json_string_length(value))
        return error_set(err, RC_MALFORMED, "%s%s%s: not a string", path, dot, member);
    return true;
}

static json_t *encoded(struct span data, void (*put)(buffer *, struct span))
{
    AUTO(buffer) *text = buffer_secret(data.size / 3 * 4 + 8);
    if (!text)
        return NULL;
    put(text, data);
    return text->failed ? NULL : json_stringn((const char *)text->data, text->size);
}

json_t *json_base64(struct span data)
{
    return encoded(data, buffer_put_base64);
}

json_t *json_base64url(struct span data)
{
    return encoded(data, buffer_put_base64url);
}

json_t *json_span(struct span text)
{
    return json_stringn(text.data ? (const char *)text.data : "", text.size);
}
