/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/server_log.h"

#include <stdio.h>

void server_log_json(const struct applet_call *call, const char *event, json_t *members)
{
    AUTO(json_t) *own = members;
    char at[32];
    time_format(clock_now(&call->clock), at);
    AUTO(json_t) *line = json_pack("{s:s, s:s}", "time", at, "event", event);
    if (!own || !line || json_object_update(line, own) != 0)
        return;
    AUTO(buffer) *text = json_terse(line);
    if (!text)
        return;
    buffer_put_char(text, '\n');
    fwrite(text->data, 1, text->size, stderr);
}

void server_log_access(const struct applet_call *call, const struct http_request *request,
                       int status, size_t in, size_t out, double elapsed_ms)
{
    const char *peer = request->peer ? request->peer : "-";
    if (call->common->quiet)
        return;
    if (call->common->json)
        server_log_json(call, "access",
                        json_pack("{s:s, s:o, s:o, s:i, s:I, s:I, s:f}", "peer", peer, "method",
                                  json_text_of(request->method), "path",
                                  json_text_of(request->path), "status", status, "bytes_in",
                                  (json_int_t)in, "bytes_out", (json_int_t)out, "elapsed_ms",
                                  elapsed_ms));
    else
        say(call, "%s \"%s %s\" %d %zu %zu %.1fms", peer, request->method, request->path, status,
            in, out, elapsed_ms);
}
