/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/unearth_wire.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "util/text_form.h"

enum {
    HEAD_BYTES = 65536, /* from one line of a head to the body */
    SIZE_DIGITS = 8,    /* of a chunk */
    EXTENSION_BYTES = 256,
    ETHERNET_HEAD = 14,
    COOKED_HEAD = 16, /* of Linux, for captures on all interfaces */
    PROTOCOL_TCP = 6,
};

/* ---- chunks ---- */

size_t chunked_body(struct span text, size_t i)
{
    static const char name[] = "Transfer-Encoding:", word[] = "chunked";
    if (text.size - i < sizeof name ||
        strncasecmp((const char *)text.data + i, name, sizeof name - 1) != 0)
        return 0;
    size_t most = text.size - i < HEAD_BYTES ? text.size : i + HEAD_BYTES;
    bool chunked = false;
    size_t at = i + sizeof name - 1;
    for (; at < most && text.data[at] != '\n'; at++)
        chunked |= most - at >= sizeof word - 1 &&
                   strncasecmp((const char *)text.data + at, word, sizeof word - 1) == 0;
    while (chunked && at < most) { /* at the end of a line */
        size_t line = at + 1;
        size_t end = line < most && text.data[line] == '\r' ? line + 1 : line;
        if (end < most && text.data[end] == '\n')
            return end + 1;
        const uint8_t *newline = end < most ? memchr(text.data + end, '\n', most - end) : NULL;
        at = newline ? (size_t)(newline - text.data) : most;
    }
    return 0;
}

/* The size in the line at *i, which moves behind it; false: it says none. */
static bool chunk_size(struct span text, size_t *i, size_t *size)
{
    size_t at = *i;
    for (*size = 0; at < text.size && isxdigit(text.data[at]) && at - *i < SIZE_DIGITS; at++)
        *size = *size << 4 | (size_t)hex_value(text.data[at]);
    if (at == *i || at == text.size || !strchr("\r\n; \t", text.data[at]) || !text.data[at])
        return false;
    while (at < text.size && text.data[at] != '\n' && at - *i < EXTENSION_BYTES)
        at++;
    if (at == text.size || text.data[at] != '\n')
        return false;
    *i = at + 1;
    return true;
}

size_t chunks_join(struct span text, size_t i, buffer *body)
{
    size_t size;
    while (chunk_size(text, &i, &size)) {
        size_t left = text.size - i;
        buffer_put(body, text.data + i, size < left ? size : left);
        if (size >= left)
            return text.size;
        if (size == 0)
            return i;
        i += size;
        if (text.data[i] == '\r' && i + 1 < text.size)
            i++;
        if (text.data[i] != '\n')
            return 0;
        if (++i == text.size)
            return i;
    }
    return 0;
}

/* ---- packets ---- */

static size_t number16(const uint8_t *p)
{
    return (size_t)p[0] << 8 | p[1];
}

/* The TCP part of a packet, with the addresses in the flow; empty when there is none. */
static struct span tcp_of(struct span packet, uint8_t flow[36])
{
    const uint8_t *p = packet.data;
    const struct span none = SPAN(NULL, 0);
    if (packet.size < 40)
        return none;
    bool six = p[0] >> 4 == 6;
    size_t head = six ? 40 : (size_t)(p[0] & 15) * 4;
    size_t total = six ? 40 + number16(p + 4) : number16(p + 2);
    if ((!six && p[0] >> 4 != 4) || head < 20 || p[six ? 6 : 9] != PROTOCOL_TCP ||
        total < head + 20)
        return none;
    memcpy(flow, p + (six ? 8 : 12), six ? 32 : 8);
    total = total < packet.size ? total : packet.size; /* it may have been captured in part */
    return total >= head + 20 ? SPAN(p + head, total - head) : none;
}

bool segment_read(struct span bytes, struct segment *segment)
{
    static const size_t heads[] = {0, ETHERNET_HEAD, COOKED_HEAD};
    for (size_t i = 0; i < COUNT(heads); i++) {
        if (bytes.size <= heads[i])
            break;
        *segment = (struct segment){.sequence = 0};
        struct span tcp = tcp_of(SPAN(bytes.data + heads[i], bytes.size - heads[i]), segment->flow);
        size_t head = tcp.size ? (size_t)(tcp.data[12] >> 4) * 4 : 0;
        if (head < 20 || head > tcp.size)
            continue;
        memcpy(segment->flow + 32, tcp.data, 4);
        segment->sequence = (uint32_t)(number16(tcp.data + 4) << 16 | number16(tcp.data + 6));
        segment->payload = SPAN(tcp.data + head, tcp.size - head);
        return true;
    }
    return false;
}
