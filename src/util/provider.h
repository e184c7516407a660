/* SPDX-License-Identifier: Apache-2.0 */
/*
 * provider.h: keys that are not files live with an OpenSSL provider, which has to be asked for.
 *
 *     EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, pkey_properties(pkey, text), pkey, NULL)
 */
#ifndef OTRP_UTIL_PROVIDER_H
#define OTRP_UTIL_PROVIDER_H

#include <openssl/evp.h>

#include "util/error.h"

/* Loads an OpenSSL provider, and the default one, which OpenSSL then no longer loads itself. */
bool provider_load(const char *name, struct error *err) MUST_CHECK;

/* The property query with which OpenSSL signs where the private key is: NULL for its own provider,
 * others have to be asked for; otherwise written to text. */
const char *pkey_properties(const EVP_PKEY *pkey, char text[128]);

#endif
