/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/batch_channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_BYTES (1u << 20)
#define PACK_BYTES  65536

bool channel_open(struct channel *c, int fd)
{
    *c = (struct channel){.fd = fd, .out = buffer_new(4096), .in = buffer_new(PACK_BYTES)};
    return c->out && c->in;
}

void channel_close(struct channel *c)
{
    if (c->fd >= 0)
        close(c->fd);
    buffer_free(c->out);
    buffer_free(c->in);
    *c = (struct channel){.fd = -1};
}

bool channel_flush(struct channel *c)
{
    const uint8_t *p = c->out->data;
    size_t size = c->out->size;
    if (c->out->failed)
        return false;
    while (size) {
        ssize_t n = send(c->fd, p, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    c->out->size = 0;
    return true;
}

bool channel_fill(struct channel *c)
{
    memmove(c->in->data, c->in->data + c->taken, c->in->size - c->taken);
    c->in->size -= c->taken;
    c->taken = 0;
    if (c->in->size > FRAME_BYTES || !buffer_reserve(c->in, PACK_BYTES))
        return false;
    for (;;) {
        ssize_t n = recv(c->fd, c->in->data + c->in->size, PACK_BYTES, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        c->in->size += (size_t)n;
        return true;
    }
}

void frame_put(struct channel *c, struct frame head, struct span first, struct span second)
{
    head.first = (uint32_t)first.size;
    head.size = (uint32_t)(first.size + second.size);
    buffer_put(c->out, &head, sizeof head);
    buffer_put_span(c->out, first);
    buffer_put_span(c->out, second);
}

bool frame_send(struct channel *c, struct frame head, struct span first, struct span second)
{
    frame_put(c, head, first, second);
    return channel_flush(c);
}

bool frame_take(struct channel *c, struct frame *head, struct span *body)
{
    size_t there = c->in->size - c->taken;
    if (there < sizeof *head)
        return false;
    memcpy(head, c->in->data + c->taken, sizeof *head);
    if (there - sizeof *head < head->size)
        return false;
    *body = SPAN(c->in->data + c->taken + sizeof *head, head->size);
    c->taken += sizeof *head + head->size;
    return true;
}

buffer *frame_await(struct channel *c, enum frame_kind kind, struct frame *head)
{
    size_t at = c->taken;
    for (;;) {
        struct span body;
        size_t keep = c->taken;
        c->taken = at;
        while (frame_take(c, head, &body)) {
            if (head->kind == kind) {
                buffer *answer = buffer_copy(body);
                size_t size = sizeof *head + head->size, start = c->taken - size;
                memmove(c->in->data + start, c->in->data + c->taken, c->in->size - c->taken);
                c->in->size -= size;
                c->taken = keep;
                return answer;
            }
            at = c->taken;
        }
        c->taken = keep;
        at -= keep;
        if (!channel_fill(c))
            return NULL;
    }
}
