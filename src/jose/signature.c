/* SPDX-License-Identifier: Apache-2.0 */
/* Raw signatures over pieces: EVP does the mathematics, the form of JOSE is ours (RFC 7518 section
 * 3). */
#include "jose/jws.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "util/openssl_error.h"
#include "util/provider.h"
#include "util/secret.h"

AUTO_DEFINE(EVP_MD_CTX, EVP_MD_CTX_free)
AUTO_DEFINE(EVP_MAC, EVP_MAC_free)
AUTO_DEFINE(EVP_MAC_CTX, EVP_MAC_CTX_free)
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

static buffer *hmac(const struct jwa *alg, const key *k, const struct span *pieces, size_t count,
                    struct error *err)
{
    AUTO(EVP_MAC) *method = EVP_MAC_fetch(NULL, "HMAC", NULL);
    AUTO(EVP_MAC_CTX) *mac = method ? EVP_MAC_CTX_new(method) : NULL;
    AUTO(buffer) *made = buffer_secret(EVP_MAX_MD_SIZE);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)alg->digest, 0),
        OSSL_PARAM_construct_end()};
    bool making = mac && made && EVP_MAC_init(mac, k->oct->data, k->oct->size, params);
    for (size_t i = 0; making && i < count; i++)
        making = EVP_MAC_update(mac, pieces[i].data, pieces[i].size);
    if (making && EVP_MAC_final(mac, made->data, &made->size, EVP_MAX_MD_SIZE))
        return TAKE(made);
    error_openssl(err, RC_INTERNAL, "%s: cannot make an HMAC", k->name);
    return NULL;
}

/* EdDSA takes its message in one piece. */
static buffer *join(const struct span *pieces, size_t count, struct error *err)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += pieces[i].size;
    AUTO(buffer) *whole = buffer_new(size);
    for (size_t i = 0; whole && i < count; i++)
        buffer_put_span(whole, pieces[i]);
    if (whole)
        return TAKE(whole);
    error_memory(err);
    return NULL;
}

/* RSASSA-PSS with a salt of the size of the hash (RFC 7518 section 3.5). */
static bool set_padding(const struct jwa *alg, EVP_PKEY_CTX *pctx)
{
    return alg->family != JWA_RSA_PSS ||
           (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static buffer *sign_pieces(const struct jwa *alg, const key *k, const struct span *pieces,
                           size_t count, struct error *err)
{
    AUTO(EVP_MD_CTX) *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL; /* of md */
    char wanted[128];
    size_t size = (size_t)EVP_PKEY_get_size(k->pkey);
    AUTO(buffer) *made = buffer_new(size);
    bool signing = md && made &&
                   EVP_DigestSignInit_ex(md, &pctx, alg->digest, NULL,
                                         pkey_properties(k->pkey, wanted), k->pkey, NULL) == 1 &&
                   set_padding(alg, pctx);
    if (signing && alg->family == JWA_EDDSA) {
        AUTO(buffer) *whole = join(pieces, count, err);
        signing = whole && EVP_DigestSign(md, made->data, &size, whole->data, whole->size) == 1;
    } else {
        for (size_t i = 0; signing && i < count; i++)
            signing = EVP_DigestSignUpdate(md, pieces[i].data, pieces[i].size) == 1;
        signing = signing && EVP_DigestSignFinal(md, made->data, &size) == 1;
    }
    if (signing) {
        made->size = size;
        return TAKE(made);
    }
    error_openssl(err, RC_INTERNAL, "%s: cannot sign", k->name);
    return NULL;
}

buffer *signature_make(const struct jwa *alg, const key *k, const struct span *pieces, size_t count,
                       struct error *err)
{
    if (alg->family == JWA_HMAC)
        return hmac(alg, k, pieces, count, err);
    AUTO(buffer) *made = sign_pieces(alg, k, pieces, count, err);
    if (made && alg->family == JWA_ECDSA)
        return ecdsa_from_der(buffer_span(made), alg->bytes, err);
    return TAKE(made);
}

/* Fixed sizes are checked before any mathematics. */
static bool size_fits(const struct jwa *alg, const key *k, size_t size, struct error *err)
{
    size_t wanted = alg->family == JWA_ECDSA ? alg->bytes
                    : alg->family == JWA_HMAC
                        ? alg->bytes /* the hash is as long as its least key */
                        : (size_t)EVP_PKEY_get_size(k->pkey);
    if (size == wanted)
        return true;
    error_set(err, RC_SIGNATURE, "a signature of %zu bytes, %s with this key has %zu", size,
              alg->name, wanted);
    return error_rule(err, alg->section);
}

/* r and s from 1 to below the order of the curve (RFC 7518 section 3.4). */
static bool ecdsa_in_range(const key *k, struct span raw, struct error *err)
{
    BIGNUM *order = NULL;
    int half = (int)raw.size / 2;
    BIGNUM *r = BN_bin2bn(raw.data, half, NULL), *s = BN_bin2bn(raw.data + half, half, NULL);
    bool known = r && s && EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_EC_ORDER, &order);
    bool inside = known && !BN_is_zero(r) && !BN_is_zero(s) && BN_cmp(r, order) < 0 &&
                  BN_cmp(s, order) < 0;
    BN_free(r);
    BN_free(s);
    BN_free(order);
    if (inside)
        return true;
    error_set(err, known ? RC_SIGNATURE : RC_INTERNAL, "r or s of the signature is %s",
              known ? "zero or out of range" : "not to be had");
    return error_rule(err, "RFC 7518 section 3.4");
}

static bool verify_pieces(const struct jwa *alg, const key *k, const struct span *pieces,
                          size_t count, struct span signature, bool *right, struct error *err)
{
    AUTO(EVP_MD_CTX) *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL; /* of md */
    bool able = md &&
                EVP_DigestVerifyInit_ex(md, &pctx, alg->digest, NULL, NULL, k->pkey, NULL) == 1 &&
                set_padding(alg, pctx);
    if (able && alg->family == JWA_EDDSA) {
        AUTO(buffer) *whole = join(pieces, count, err);
        if (!whole)
            return false;
        *right = EVP_DigestVerify(md, signature.data, signature.size, whole->data, whole->size) ==
                 1;
        return true;
    }
    for (size_t i = 0; able && i < count; i++)
        able = EVP_DigestVerifyUpdate(md, pieces[i].data, pieces[i].size) == 1;
    if (!able)
        return error_openssl(err, RC_INTERNAL, "%s: cannot check a signature", k->name);
    *right = EVP_DigestVerifyFinal(md, signature.data, signature.size) == 1;
    return true;
}

bool signature_check(const struct jwa *alg, const key *k, const struct span *pieces, size_t count,
                     struct span signature, struct error *err)
{
    bool right = false;
    if (!size_fits(alg, k, signature.size, err))
        return false;
    if (alg->family == JWA_HMAC) {
        AUTO(buffer) *own = hmac(alg, k, pieces, count, err);
        if (!own)
            return false;
        right = secret_equal(own->data, signature.data, signature.size);
    } else if (alg->family == JWA_ECDSA) {
        AUTO(buffer) *der = ecdsa_in_range(k, signature, err) ? ecdsa_to_der(signature, err) : NULL;
        if (!der || !verify_pieces(alg, k, pieces, count, buffer_span(der), &right, err))
            return false;
    } else if (!verify_pieces(alg, k, pieces, count, signature, &right, err)) {
        return false;
    }
    ERR_clear_error();
    return right || error_set(err, RC_SIGNATURE, "the signature is not of this content and key");
}
