/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy_parts.h"
#include "util/clock.h"

#include <stdio.h>
#include <string.h>

static void message_body(proxy *p, struct proxy_message *m, struct http_body *body)
{
    m->bytes = body->bytes;
    m->body = TAKE(body->copy);
    if (!m->body)
        return;
    size_t size = m->body->size, most = p->options.total_bytes;
    if (atomic_fetch_add(&p->kept, size) + size <= most && !m->body->failed)
        return;
    atomic_fetch_sub(&p->kept, size);
    buffer_free(TAKE(m->body));
}

void proxy_message_free(proxy *p, struct proxy_message *message)
{
    if (!message)
        return;
    if (message->body)
        atomic_fetch_sub(&p->kept, message->body->size);
    buffer_free(message->body);
    buffer_free(message->headers);
    free(message);
}

/* A head as it may be recorded. */
static buffer *without_credentials(const struct http_head *head)
{
    buffer *out = buffer_new(head->text.size);
    if (!out || !head->first.size)
        return out;
    buffer_put_span(out, head->first);
    for (size_t i = 0; i < head->count; i++) {
        const struct http_field *f = &head->fields[i];
        bool hide = http_name_is_secret(f->name);
        buffer_put_text(out, "\r\n");
        buffer_put_span(out, hide ? f->name : f->line);
        if (hide)
            buffer_put_text(out, ": (not recorded)");
    }
    return out;
}

static struct proxy_message *message_new(const exchange *x, enum transcript_direction direction)
{
    struct proxy_message *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->direction = direction;
    m->exchange = x->number;
    clock_gettime(CLOCK_REALTIME, &m->at);
    snprintf(m->peer, sizeof m->peer, "%s", x->client->peer);
    snprintf(m->line, sizeof m->line, "%.*s %.*s",
             (int)(x->request.method.size < 40 ? x->request.method.size : 40),
             x->request.method.size ? (const char *)x->request.method.data : "-",
             (int)(x->request.target.size < 180 ? x->request.target.size : 180),
             x->request.target.size ? (const char *)x->request.target.data : "");
    for (char *c = m->line; *c; c++) /* a target is ASCII (RFC 9112 section 3.2) */
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    return m;
}

void exchange_tell_request(exchange *x)
{
    struct proxy_message *m = x->told ? NULL : message_new(x, TRANSCRIPT_REQUEST);
    if (!m)
        return;
    x->told = true;
    m->headers = without_credentials(&x->request);
    message_body(x->proxy, m, &x->request_body);
    x->proxy->options.tell(x->proxy->options.context, m);
}

void exchange_tell_response(exchange *x, int status, bool own, const char *error)
{
    exchange_tell_request(x);
    struct proxy_message *m = message_new(x, TRANSCRIPT_RESPONSE);
    if (!m)
        return;
    m->status = status;
    m->own = own;
    snprintf(m->error, sizeof m->error, "%s", error);
    m->elapsed_ms = clock_precise_ms() - x->begun_ms;
    if (!own && status)
        m->headers = without_credentials(&x->response);
    message_body(x->proxy, m, &x->response_body);
    x->proxy->options.tell(x->proxy->options.context, m);
}
