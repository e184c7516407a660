/* SPDX-License-Identifier: Apache-2.0 */
#include "util/module.h"

#include <dlfcn.h>

#include "util/auto.h"
#include "util/install.h"

const void *module_load(const char *name, const char *symbol, struct error *err)
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
