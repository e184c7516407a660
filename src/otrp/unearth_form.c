/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/unearth_form.h"

#include <ctype.h>
#include <string.h>

#include "util/text_form.h"

enum {
    PREFIX_BYTES = 256,   /* of what stands before a thing on its line */
    SIGNATURE_LEAST = 40, /* digits of the shortest signature, HS256 */
    PEM_LINE = 100        /* bytes at most: RFC 7468 has 64, and some write 76 */
};

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

/* ---- pieces of a text ---- */

struct span prefix_of(struct span text, size_t at)
{
    size_t start = at;
    while (start && text.data[start - 1] != '\n' && at - start < PREFIX_BYTES)
        start--;
    return SPAN(text.data + start, at - start);
}

size_t prefix_skip(struct span text, size_t line, struct span prefix)
{
    size_t common = 0;
    while (common < prefix.size && line + common < text.size) {
        uint8_t a = prefix.data[common], b = text.data[line + common];
        if (a != b && !(isdigit(a) && isdigit(b)))
            break;
        common++;
    }
    /* back to where a field of the prefix ends: data has none of these */
    while (common && !strchr(" \t>|:", prefix.data[common - 1]))
        common--;
    size_t at = line + common;
    while (at < text.size &&
           (text.data[at] == ' ' || text.data[at] == '\t' || text.data[at] == '\r'))
        at++;
    return at;
}

buffer *from_escapes(struct span text, size_t start, size_t *end)
{
    static const char letters[] = "nrtbf", meant[] = "\n\r\t\b\f";
    AUTO(buffer) *out = buffer_secret(256);
    size_t at = start;
    while (out && at < text.size && text.data[at] != '"' && text.data[at] != '\n') {
        uint8_t c = text.data[at++];
        if (c == '\\' && at < text.size) {
            c = text.data[at++];
            const char *found = c ? strchr(letters, c) : NULL;
            if (c == 'u') { /* of the string inside: stays as it is */
                buffer_put_text(out, "\\u");
                continue;
            }
            c = found ? (uint8_t)meant[found - letters] : c;
        }
        buffer_put_char(out, (char)c);
    }
    *end = at;
    return out && !out->failed ? TAKE(out) : NULL;
}

buffer *from_percent(struct span text, size_t start, size_t *end)
{
    AUTO(buffer) *out = buffer_secret(256);
    size_t at = start;
    while (out && at < text.size && !isspace(text.data[at]) && text.data[at] != '"' &&
           text.data[at] != '&') {
        uint8_t c = text.data[at];
        int byte = c == '%' ? hex_pair(text, at + 1) : c == '+' ? ' ' : c;
        buffer_put_char(out, (char)(byte < 0 ? c : byte));
        at += c == '%' && byte >= 0 ? 3 : 1;
    }
    *end = at;
    return out && !out->failed ? TAKE(out) : NULL;
}

buffer *pem_block(struct span text, size_t start, size_t *end, bool *prefixed, bool *ended)
{
    struct span prefix = prefix_of(text, start);
    AUTO(buffer) *out = buffer_secret(2048);
    size_t at = start;
    *prefixed = prefix.size > 0;
    *ended = false;
    while (out && !*ended && at < text.size) {
        const uint8_t *newline = memchr(text.data + at, '\n', text.size - at);
        size_t stop = newline ? (size_t)(newline - text.data) : text.size;
        struct span line = SPAN(text.data + at, stop - at);
        while (line.size && isspace(line.data[line.size - 1]))
            line.size--;
        if (line.size > PEM_LINE ||
            (at > start && line.size > 10 && !memcmp(line.data, "-----BEGIN", 10)))
            break;
        buffer_put_span(out, line);
        buffer_put_char(out, '\n');
        *ended = line.size > 9 && memcmp(line.data, "-----END ", 9) == 0;
        at = stop < text.size ? prefix_skip(text, stop + 1, prefix) : stop;
    }
    *end = at;
    return out && !out->failed ? TAKE(out) : NULL;
}

bool is_token(uint8_t c)
{
    return isalnum(c) || c == '-' || c == '_' || c == '.' || c == '+' || c == '/';
}

buffer *compact_read(struct span text, size_t start, size_t *end, bool *joined)
{
    struct span prefix = prefix_of(text, start);
    AUTO(buffer) *token = buffer_secret(256);
    *joined = false;
    for (*end = start; token;) {
        size_t from = *end;
        while (*end < text.size && is_token(text.data[*end]))
            ++*end;
        buffer_put(token, text.data + from, *end - from);
        size_t line = *end;
        while (line < text.size && text.data[line] == '\r')
            line++;
        if (line >= text.size || text.data[line] != '\n' || token->size < COMPACT_LEAST)
            break;
        size_t next = prefix_skip(text, line + 1, prefix), stop = next;
        while (stop < text.size && is_token(text.data[stop]))
            stop++;
        bool whole = stop > next && (stop == text.size || text.data[stop] == '\n' ||
                                     text.data[stop] == '\r' || text.data[stop] == '"');
        if (!whole || (stop - next > 4 && memcmp(text.data + next, "eyJ", 3) == 0))
            break;
        *joined = true;
        *end = next;
    }
    return token && !token->failed ? TAKE(token) : NULL;
}

bool is_compact(struct span token)
{
    struct span parts[5];
    size_t dots = 0, from = 0;
    for (size_t i = 0; i <= token.size; i++) {
        if (i < token.size && token.data[i] != '.')
            continue;
        if (dots > 4)
            return false;
        parts[dots++] = SPAN(token.data + from, i - from);
        from = i + 1;
    }
    if (token.size < COMPACT_LEAST || (dots != 3 && dots != 5) || parts[0].size < 8)
        return false;
    if (memcmp(parts[0].data, "eyJ", 3) == 0 || memcmp(parts[0].data, "eyA", 3) == 0)
        return true;
    return parts[dots - 1].size >= SIGNATURE_LEAST / 2 && parts[dots - 2].size &&
           (dots == 5 || parts[2].size >= SIGNATURE_LEAST) && parts[0].size >= 16;
}
