/* SPDX-License-Identifier: Apache-2.0 */
/* Raw signatures over pieces: EVP does the mathematics, the form of JOSE is ours (RFC 7518 section
 * 3). */
#include "jose/jws.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>

#include "util/openssl_error.h"

AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_DEFINE(ECDSA_SIG, ECDSA_SIG_free)

/* R || S, each half the size, from OpenSSL's DER. */
static buffer *ecdsa_from_der(struct span der, size_t size, struct error *err)
{
    const uint8_t *p = der.data;
    AUTO(ECDSA_SIG) *pair = d2i_ECDSA_SIG(NULL, &p, (long)der.size);
    AUTO(buffer) *raw = buffer_new(size);
    int half = (int)size / 2;
    if (!pair || !raw || BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw->data, half) != half ||
        BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw->data + half, half) != half) {
        error_openssl(err, RC_INTERNAL, "cannot encode an ECDSA signature");
        return NULL;
    }
    raw->size = size;
    return TAKE(raw);
}

static buffer *ecdsa_to_der(struct span raw, struct error *err)
{
    int half = (int)raw.size / 2;
    BIGNUM *r = BN_bin2bn(raw.data, half, NULL), *s = BN_bin2bn(raw.data + half, half, NULL);
    AUTO(ECDSA_SIG) *pair = ECDSA_SIG_new();
    if (!r || !s || !pair || !ECDSA_SIG_set0(pair, r, s)) {
        BN_free(r);
        BN_free(s);
        error_memory(err);
        return NULL;
    }
    int size = i2d_ECDSA_SIG(pair, NULL);
    AUTO(buffer) *der = size > 0 ? buffer_new((size_t)size) : NULL;
    if (!der) {
        error_memory(err);
        return NULL;
    }
    uint8_t *p = der->data;
    i2d_ECDSA_SIG(pair, &p);
    der->size = (size_t)size;
    return TAKE(der);
}

buffer *signature_make(const struct jwa *alg, const key *k, const struct span *pieces, size_t count,
                       struct error *err)
{
    AUTO(EVP_MD_CTX) *md = EVP_MD_CTX_new();
    bool signing = md && EVP_DigestSignInit_ex(md, NULL, alg->digest, NULL, NULL, k->pkey, NULL);
    for (size_t i = 0; signing && i < count; i++)
        signing = EVP_DigestSignUpdate(md, pieces[i].data, pieces[i].size) == 1;
    size_t size = 0;
    AUTO(buffer) *made = NULL;
    if (signing && EVP_DigestSignFinal(md, NULL, &size) == 1 && (made = buffer_new(size)) &&
        EVP_DigestSignFinal(md, made->data, &size) == 1) {
        made->size = size;
        return alg->family == JWA_ECDSA ? ecdsa_from_der(buffer_span(made), alg->bytes, err)
                                        : TAKE(made);
    }
    error_openssl(err, RC_INTERNAL, "%s: cannot sign", k->name);
    return NULL;
}

/* Fixed sizes are checked before any mathematics (RFC 7518 section 3.4). */
static bool size_fits(const struct jwa *alg, const key *k, size_t size, struct error *err)
{
    size_t wanted = alg->family == JWA_ECDSA ? alg->bytes : (size_t)EVP_PKEY_get_size(k->pkey);
    if (size == wanted)
        return true;
    error_set(err, RC_SIGNATURE, "a signature of %zu bytes, %s with this key has %zu", size,
              alg->name, wanted);
    return error_rule(err,
                      alg->family == JWA_ECDSA ? "RFC 7518 section 3.4" : "RFC 8017 section 8.2.2");
}

bool signature_check(const struct jwa *alg, const key *k, const struct span *pieces, size_t count,
                     struct span signature, struct error *err)
{
    if (!size_fits(alg, k, signature.size, err))
        return false;
    AUTO(buffer) *der = NULL;
    if (alg->family == JWA_ECDSA) {
        der = ecdsa_to_der(signature, err);
        if (!der)
            return false;
        signature = buffer_span(der);
    }
    AUTO(EVP_MD_CTX) *md = EVP_MD_CTX_new();
    bool checking = md && EVP_DigestVerifyInit_ex(md, NULL, alg->digest, NULL, NULL, k->pkey, NULL);
    for (size_t i = 0; checking && i < count; i++)
        checking = EVP_DigestVerifyUpdate(md, pieces[i].data, pieces[i].size) == 1;
    if (!checking)
        return error_openssl(err, RC_INTERNAL, "%s: cannot check a signature", k->name);
    bool right = EVP_DigestVerifyFinal(md, signature.data, signature.size) == 1;
    ERR_clear_error();
    return right || error_set(err, RC_SIGNATURE, "the signature is not of this content and key");
}
