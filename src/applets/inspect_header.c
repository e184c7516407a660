/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of JOSE as inspect reads them: whatever can be read is, and what is not ours is named. */
#include "applets/inspect_jose.h"

#include "util/base64.h"

void said_free(struct said *h)
{
    json_doc_free(h->doc);
    buffer_free(h->mended);
    buffer_free(h->bytes);
}

buffer *part_decode(look *l, const char *path, struct span text, struct error *err)
{
    struct error ignored;
    buffer *bytes = base64url_decode(text, path, err);
    if (bytes)
        return bytes;
    AUTO(buffer) *plain = buffer_secret(text.size);
    for (size_t i = 0; plain && i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c != '=' && c != '\n' && c != '\r' && c != ' ')
            buffer_put_char(plain, c == '+' ? '-' : c == '/' ? '_' : (char)c);
    }
    if (plain && l->cut)
        plain->size -= plain->size % 4;
    bytes = plain && !plain->failed ? base64url_decode(buffer_span(plain), path, &ignored) : NULL;
    if (bytes && !l->cut)
        deviate(l, path, DEVIATION_BASE64_IN_JOSE);
    return bytes;
}

static bool has_space(struct span text)
{
    bool inside = false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            inside = !inside;
        if (!inside && (text.data[i] == ' ' || text.data[i] == '\n' || text.data[i] == '\t'))
            return true;
    }
    return false;
}

void header_read(look *l, const char *path, const struct json_value *value, struct span encoded,
                 struct said *h)
{
    struct error err;
    if (value && value->kind == JSON_KIND_OBJECT) {
        deviate(l, path, DEVIATION_HEADER_OBJECT);
        h->root = value;
        return;
    }
    if (!encoded.size)
        return;
    h->bytes = part_decode(l, path, encoded, &err);
    if (h->bytes)
        h->doc = read_document(l, buffer_span(h->bytes), path, &h->mended, &err);
    h->root = h->doc ? json_root(h->doc) : NULL;
    if (h->root && h->root->kind != JSON_KIND_OBJECT)
        h->root = NULL;
    if (!h->root)
        deviate(l, path, DEVIATION_HEADER_NOT_JSON);
    else if (has_space(buffer_span(h->bytes)))
        deviate(l, path, DEVIATION_HEADER_SPACE);
}

void header_show(look *l, struct layer *layer, const char *path, const struct said *h)
{
    if (h->root) {
        row_text(layer, path, h->bytes ? buffer_span(h->bytes) : h->root->text, TONE_PLAIN);
        layer->depth++;
        show_members(l, layer, path, h->root);
        layer->depth--;
    } else if (h->bytes) {
        show_bytes(l, layer, path, buffer_span(h->bytes));
    }
}

struct span string_in(const struct json_value *object, const char *name)
{
    const struct json_value *v = json_member(object, name);
    return v && v->kind == JSON_KIND_STRING ? v->string : SPAN(NULL, 0);
}
