/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http.h"

#include "util/module.h"

const struct http_client_api *http_client_load(struct error *err)
{
    return module_load("http-client", "http_client_api", err);
}

const struct http_server_api *http_server_load(struct error *err)
{
    return module_load("http-server", "http_server_api", err);
}
