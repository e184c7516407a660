/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/unearth_form.h"

#include <string.h>

#include "util/text_form.h"

/* A tag and a length at i, which must lie within end; returns where the content begins, 0: none. */
static size_t der_head(struct span text, size_t i, size_t end, size_t *size)
{
    if (end - i < 2)
        return 0;
    size_t first = text.data[i + 1], at = i + 2;
    *size = first;
    if (first & 0x80) {
        size_t count = first & 0x7f;
        if (count < 1 || count > 4 || end - at < count)
            return 0;
        for (*size = 0; count; count--)
            *size = *size << 8 | text.data[at++];
    }
    return *size <= end - at ? at : 0;
}

/* The size of the DER value that begins at i, when it begins like a certificate, an OCSP response
 * or a key; 0 when not. Much text has the tag of a sequence in it, which is that of the digit 0. */
size_t der_size(struct span text, size_t i)
{
    size_t size, inner;
    size_t at = der_head(text, i, text.size, &size);
    if (!at || size < 16)
        return 0;
    size_t end = at + size;
    uint8_t tag = text.data[at];
    size_t content = der_head(text, at, end, &inner);
    if (!content || (tag != 0x30 && tag != 0x02 && tag != 0x0a) || (tag == 0x0a && inner != 1))
        return 0;
    uint8_t next = content < end ? text.data[content] : 0;
    if (tag == 0x30 && next != 0x06 && next != 0x02 && next != 0xa0)
        return 0;
    return end - i;
}

buffer *from_utf16(struct span text)
{
    bool little = text.data[0] == 0xff;
    AUTO(buffer) *out = buffer_secret(text.size);
    for (size_t i = 2; out && i + 1 < text.size; i += 2) {
        unsigned c = (unsigned)text.data[i + little] << 8 | text.data[i + !little];
        if (c < 0x80) {
            buffer_put_char(out, (char)c);
        } else if (c < 0x800) {
            buffer_put_char(out, (char)(0xc0 | c >> 6));
            buffer_put_char(out, (char)(0x80 | (c & 63)));
        } else {
            buffer_put_char(out, (char)(0xe0 | c >> 12));
            buffer_put_char(out, (char)(0x80 | (c >> 6 & 63)));
            buffer_put_char(out, (char)(0x80 | (c & 63)));
        }
    }
    return out && !out->failed ? TAKE(out) : NULL;
}

buffer *from_quoted_printable(struct span text)
{
    AUTO(buffer) *out = buffer_secret(text.size);
    for (size_t i = 0; out && i < text.size; i++) {
        uint8_t c = text.data[i];
        size_t left = text.size - i;
        if (c == '=' && left > 1 && text.data[i + 1] == '\n') {
            i++;
        } else if (c == '=' && left > 2 && text.data[i + 1] == '\r' && text.data[i + 2] == '\n') {
            i += 2;
        } else if (c == '=' && hex_pair(text, i + 1) >= 0) {
            buffer_put_char(out, (char)hex_pair(text, i + 1));
            i += 2;
        } else {
            buffer_put_char(out, (char)c);
        }
    }
    return out && !out->failed ? TAKE(out) : NULL;
}

bool is_quoted_printable(struct span text)
{
    struct span head = SPAN(text.data, text.size < 65536 ? text.size : 65536);
    static const char word[] = "quoted-printable";
    return head.size && memmem(head.data, head.size, word, sizeof word - 1) &&
           memmem(head.data, head.size, "=3D", 3);
}
