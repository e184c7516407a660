/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_server_reply.h"

#include <string.h>

/* A body that is being sent, and what it counts in. */
struct outgoing {
    buffer *body;
    size_t cut; /* where it ends too early; the whole size: not at all */
    atomic_size_t *held;
};

void reply_settle(struct http_reply *reply)
{
    bool wrong = reply->status < 200 || reply->status > 599 || (reply->body && reply->body->failed);
    if (wrong)
        reply->status = 500;
    bool bodiless = wrong || reply->status == 204 || reply->status == 304;
    if (bodiless || (reply->body && reply->body->size == 0))
        buffer_free(TAKE(reply->body));
}

static void outgoing_free(void *context)
{
    struct outgoing *out = context;
    atomic_fetch_sub(out->held, out->body->size);
    buffer_free(out->body);
    free(out);
}

/* The next piece; the connection is broken where the body is to end too early. */
static ssize_t outgoing_read(void *context, uint64_t position, char *to, size_t most)
{
    const struct outgoing *out = context;
    size_t left = position < out->cut ? out->cut - (size_t)position : 0;
    if (left == 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t size = left < most ? left : most;
    memcpy(to, out->body->data + position, size);
    return (ssize_t)size;
}

static struct MHD_Response *response_new(struct http_reply *reply, atomic_size_t *held)
{
    buffer *body = TAKE(reply->body);
    if (!body)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    struct outgoing *out = malloc(sizeof *out);
    if (!out) {
        buffer_free(body);
        return NULL;
    }
    *out = (struct outgoing){
        .body = body, .cut = reply->half ? body->size / 2 : body->size, .held = held};
    atomic_fetch_add(held, body->size);
    struct MHD_Response *response = reply->half
                                        ? MHD_create_response_from_callback(
                                              body->size, 4096, outgoing_read, out, outgoing_free)
                                        : MHD_create_response_from_buffer_with_free_callback_cls(
                                              body->size, body->data, outgoing_free, out);
    if (!response)
        outgoing_free(out);
    return response;
}

static bool put_headers(struct MHD_Response *response, const struct http_reply *reply,
                        bool has_body, bool last)
{
    const struct {
        const char *name, *value;
    } headers[] = {
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"Content-Security-Policy", "default-src 'none'"},
        {"Referrer-Policy", "no-referrer"},
        {"Content-Type", has_body ? reply->content_type : NULL},
        {"Allow", reply->allow},
        {"Location", reply->location},
        {"WWW-Authenticate", reply->status == 401 ? "Bearer" : NULL},
        {"Retry-After", reply->status == 503 ? "1" : NULL},
        {"Connection", last ? "close" : NULL},
    };
    for (size_t i = 0; i < COUNT(headers); i++)
        if (headers[i].value &&
            MHD_add_response_header(response, headers[i].name, headers[i].value) != MHD_YES)
            return false;
    return true;
}

enum MHD_Result reply_send(struct MHD_Connection *mhd, struct http_reply *reply, bool last,
                           atomic_size_t *held)
{
    bool has_body = reply->body != NULL;
    struct MHD_Response *response = response_new(reply, held);
    if (!response)
        return MHD_NO;
    enum MHD_Result queued = MHD_NO;
    if (put_headers(response, reply, has_body, last))
        queued = MHD_queue_response(mhd, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return queued;
}
