/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_log.h: what a server says on standard error while it serves: lines for people, or with
 * --json lines of JSON.
 */
#ifndef OTRP_APPLETS_SERVER_LOG_H
#define OTRP_APPLETS_SERVER_LOG_H

#include "applet.h"
#include "net/http_server.h"
#include "util/json.h"

/* One line of JSON: the time, the event and these members, which are taken. One write, so that the
 * lines of threads do not mix. */
void server_log_json(const struct applet_call *call, const char *event, json_t *members);

/* A line about an answer, unless quiet: bytes of both bodies; the time is that of http_server.h. */
void server_log_access(const struct applet_call *call, const struct http_request *request,
                       int status, size_t in, size_t out, double elapsed_ms);

#endif
