/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/algorithm.h"

#include <string.h>

bool otrp_algorithm(const struct jwa *alg)
{
    static const char *const names[] = {"RS256",         "ES256",          "ES384",
                                        "RSA1_5",        "ECDH-ES+A128KW", "ECDH-ES+A256KW",
                                        "A128CBC-HS256", "A256CBC-HS512"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(names[i], alg->name) == 0)
            return true;
    return false;
}
