/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/foreign_text.h"

#include "util/base64.h"
#include "util/text_form.h"

static void put_base64_of_hex(buffer *out, struct span hex)
{
    AUTO(buffer) *bytes = hex_decode(hex);
    if (bytes)
        buffer_put_base64(out, buffer_span(bytes));
    else
        out->failed = true;
}

/* The same bytes in the other alphabet, padded. */
static void put_base64_of_url(buffer *out, struct span text)
{
    text = base64_unpadded(text);
    if (!buffer_reserve(out, text.size + 3))
        return;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        out->data[out->size + i] = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    out->size += text.size;
    for (size_t i = text.size; i % 4; i++)
        buffer_put_char(out, '=');
}

void put_base64url_of(buffer *out, struct span text)
{
    text = base64_unpadded(text);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        buffer_put_char(out, (char)(c == '+' ? '-' : c == '/' ? '_' : c));
    }
}

enum foreign_form base64_form(struct span s)
{
    if (s.size >= TEXT_HEX_LEAST && text_is_hex(s))
        return FOREIGN_HEX;
    return !text_is_base64(s) && text_is_base64url(s) ? FOREIGN_BASE64URL : FOREIGN_COUNT;
}

void put_as_base64(buffer *out, struct span s)
{
    buffer_put_char(out, '"');
    if (base64_form(s) == FOREIGN_HEX)
        put_base64_of_hex(out, s);
    else
        put_base64_of_url(out, s);
    buffer_put_char(out, '"');
}
