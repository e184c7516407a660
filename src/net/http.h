/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h: loads the HTTP libraries for the applets that speak HTTP, and only then: libcurl and
 * libmicrohttpd cost a process 4 to 5 ms to load, more than ten signatures.
 *
 *     const struct http_client_api *http = http_client_load(err);
 *
 * See util/module.h.
 */
#ifndef OTRP_NET_HTTP_H
#define OTRP_NET_HTTP_H

#include "net/http_client.h"
#include "net/http_server.h"

const struct http_client_api *http_client_load(struct error *err) MUST_CHECK;
const struct http_server_api *http_server_load(struct error *err) MUST_CHECK;

#endif
