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

bool otrp_jwe(const jwe *message, struct error *err)
{
    if (message->serialization != SERIALIZATION_GENERAL || message->count != 1)
        return error_set(err, RC_MALFORMED,
                         "%s: a JWE in the general serialization with one recipient is needed",
                         message->what);
    const struct jwa *alg = jwe_alg(message, 0, err), *enc = alg ? jwe_enc(message, err) : NULL;
    if (!enc)
        return false;
    return (otrp_algorithm(alg) && otrp_algorithm(enc)) ||
           error_set(err, RC_DECRYPT, "%s: %s with %s is not among the algorithms of OTrP",
                     message->what, alg->name, enc->name);
}

bool otrp_jws(const jws *message, struct error *err)
{
    const struct jwa *alg = jws_alg(message, 0, err);
    return alg && (otrp_algorithm(alg) ||
                   error_set(err, RC_SIGNATURE, "%s: %s is no signing algorithm of OTrP",
                             message->what, alg->name));
}
