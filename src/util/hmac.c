/* SPDX-License-Identifier: Apache-2.0 */
#include "util/hmac.h"

#include <openssl/core_names.h>

#include "util/openssl_auto.h"
#include "util/openssl_error.h"
#include "util/work.h"

bool hmac_make(const char *digest, struct span key, const struct span *pieces, size_t count,
               uint8_t mac[EVP_MAX_MD_SIZE], size_t *size, struct error *err)
{
    AUTO(EVP_MAC) *method = EVP_MAC_fetch(NULL, "HMAC", NULL);
    AUTO(EVP_MAC_CTX) *ctx = method ? EVP_MAC_CTX_new(method) : NULL;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_end()};
    bool able = ctx && EVP_MAC_init(ctx, key.data, key.size, params);
    for (size_t i = 0; able && i < count; i++) {
        struct span left = pieces[i];
        WORK(authenticating, "authenticating", left.size);
        for (struct span part; able && work_part(&authenticating, &left, &part);)
            able = EVP_MAC_update(ctx, part.data, part.size);
    }
    return (able && EVP_MAC_final(ctx, mac, size, EVP_MAX_MD_SIZE)) ||
           error_openssl(err, RC_INTERNAL, "HMAC with %s fails", digest);
}
