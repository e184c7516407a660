/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/der.h"

#include <string.h>

#include <openssl/objects.h>

#include "util/base64.h"

#define HEAD_BYTES     (2 + sizeof(size_t)) /* of an element, at most */
#define PEM_LINE_BYTES 48                   /* 64 characters */

/* Tag and length (X.690 section 8.1.3); returns their size. */
static size_t make_head(uint8_t head[HEAD_BYTES], uint8_t tag, size_t length)
{
    size_t more = 0;
    head[0] = tag;
    for (size_t rest = length; length > 127 && rest; rest >>= 8)
        more++;
    head[1] = (uint8_t)(more ? 0x80 | more : length);
    for (size_t i = 0; i < more; i++)
        head[2 + i] = (uint8_t)(length >> 8 * (more - 1 - i));
    return 2 + more;
}

void der_put(buffer *out, uint8_t tag, struct span content)
{
    uint8_t head[HEAD_BYTES];
    buffer_put(out, head, make_head(head, tag, content.size));
    buffer_put_span(out, content);
}

void der_wrap(buffer *out, size_t start, uint8_t tag)
{
    uint8_t head[HEAD_BYTES];
    size_t length = out->size - start, size = make_head(head, tag, length);
    if (!buffer_reserve(out, size))
        return;
    memmove(out->data + start + size, out->data + start, length + 1);
    memcpy(out->data + start, head, size);
    out->size += size;
}

void der_put_nid(buffer *out, int nid)
{
    const ASN1_OBJECT *object = OBJ_nid2obj(nid);
    der_put(out, DER_OBJECT, SPAN(OBJ_get0_data(object), OBJ_length(object)));
}

void der_put_bits(buffer *out, struct span bytes)
{
    size_t start = out->size;
    buffer_put_char(out, '\0'); /* no bits of the last byte are unused */
    buffer_put_span(out, bytes);
    der_wrap(out, start, DER_BIT_STRING);
}

void pem_put(buffer *out, const char *label, struct span der)
{
    buffer_put_format(out, "-----BEGIN %s-----\n", label);
    while (der.size) {
        size_t size = der.size < PEM_LINE_BYTES ? der.size : PEM_LINE_BYTES;
        buffer_put_base64(out, SPAN(der.data, size));
        buffer_put_char(out, '\n');
        der = SPAN(der.data + size, der.size - size);
    }
    buffer_put_format(out, "-----END %s-----\n", label);
}
