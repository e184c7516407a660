/* SPDX-License-Identifier: Apache-2.0 */
/*
 * otrp_http.h: the rules that OTrP lays over HTTP (otrp-messages(7), HTTP), apart from any message:
 * its media type, and what a server takes.
 *
 *     if (!otrp_http_accepts(request, "/tam", reply))
 *         return;                       reply says why: 404, 405, 406, 415
 */
#ifndef OTRP_NET_OTRP_HTTP_H
#define OTRP_NET_OTRP_HTTP_H

#include "net/http_server.h"

#define OTRP_MEDIA_TYPE "application/otrp+json"

/* Whether the request is a POST to path with an Accept and a Content-Type that fit; fills reply
 * when not. */
bool otrp_http_accepts(const struct http_request *request, const char *path,
                       struct http_reply *reply);

/* Whether an Accept header (NULL: absent) asks for the media type, by name or by a range, and not
 * with q=0. */
bool accept_includes(const char *accept, const char *media_type);

/* Whether a Content-Type header (NULL: absent) is the media type, whatever parameters it has. */
bool content_type_is(const char *content_type, const char *media_type);

#endif
