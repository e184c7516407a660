/* SPDX-License-Identifier: Apache-2.0 */
#include "util/provider.h"

#include <stdio.h>
#include <string.h>

#include <openssl/provider.h>

#include "util/openssl_error.h"

const char *pkey_properties(const EVP_PKEY *pkey, char text[128])
{
    const OSSL_PROVIDER *provider = EVP_PKEY_get0_provider(pkey);
    const char *name = provider ? OSSL_PROVIDER_get0_name(provider) : "default";
    if (strcmp(name, "default") == 0)
        return NULL;
    snprintf(text, 128, "?provider=%.100s", name);
    return text;
}

bool provider_load(const char *name, struct error *err)
{
    if (!OSSL_PROVIDER_try_load(NULL, "default", 1) || !OSSL_PROVIDER_load(NULL, name))
        return error_openssl(err, RC_USAGE, "--provider %s: cannot be loaded", name);
    return true;
}
