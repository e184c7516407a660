/* SPDX-License-Identifier: Apache-2.0 */
#include "net/module.h"

#include <dlfcn.h>

#include "util/install.h"

static const void *module_load(const char *name, const char *symbol, struct error *err)
{
    AUTO(char) *path = install_module(name, err);
    if (!path)
        return NULL;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const void *api = module ? dlsym(module, symbol) : NULL;
    if (!api)
        error_set(err, RC_INTERNAL, "%s", dlerror());
    return api;
}

const struct http_client_api *http_client_load(struct error *err)
{
    return module_load("http-client", "http_client_api", err);
}

const struct http_server_api *http_server_load(struct error *err)
{
    return module_load("http-server", "http_server_api", err);
}
