/* SPDX-License-Identifier: Apache-2.0 */
#include "util/provider.h"

#include <stdio.h>
#include <string.h>

#include <openssl/provider.h>

const char *pkey_properties(const EVP_PKEY *pkey, char text[128])
{
    const OSSL_PROVIDER *provider = EVP_PKEY_get0_provider(pkey);
    const char *name = provider ? OSSL_PROVIDER_get0_name(provider) : "default";
    if (strcmp(name, "default") == 0)
        return NULL;
    snprintf(text, 128, "?provider=%.100s", name);
    return text;
}
