/* SPDX-License-Identifier: Apache-2.0 */
/* The module jwt.so: jwt.h over libjwt. */
#include "net/jwt.h"

#include <jwt.h>
#include <limits.h>

AUTO_DEFINE(jwt_t, jwt_free)

static bool verify(const char *token, struct span key, const char **alg)
{
    jwt_t *decoded = NULL;
    *alg = NULL;
    /* to libjwt, no key means that nothing is to be checked */
    if (!key.data || !key.size || key.size > INT_MAX)
        return false;
    int failed = jwt_decode(&decoded, token, key.data, (int)key.size);
    AUTO(jwt_t) *jwt = failed ? NULL : decoded;
    if (!jwt)
        return false;
    *alg = jwt_alg_str(jwt_get_alg(jwt));
    return true;
}

__attribute__((visibility("default"))) extern const struct jwt_api jwt_api;
const struct jwt_api jwt_api = {.verify = verify};
