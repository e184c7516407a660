/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/signature.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "util/hmac.h"
#include "util/openssl_auto.h"
#include "util/openssl_error.h"
#include "util/provider.h"
#include "util/secret.h"
#include "util/work.h"

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

/* Feeds the pieces to a signature (EVP_DigestSignUpdate) or a check (EVP_DigestVerifyUpdate). */
static bool feed(int (*update)(EVP_MD_CTX *, const void *, size_t), EVP_MD_CTX *md,
                 const char *what, const struct span *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct span left = pieces[i];
        WORK(hashing, what, left.size);
        for (struct span part; work_part(&hashing, &left, &part);)
            if (update(md, part.data, part.size) != 1)
                return false;
    }
    return true;
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
    } else if (signing) {
        signing = feed(EVP_DigestSignUpdate, md, "signing", pieces, count) &&
                  EVP_DigestSignFinal(md, made->data, &size) == 1;
    }
    if (signing) {
        made->size = size;
        return TAKE(made);
    }
    error_openssl(err, RC_INTERNAL, "%s: cannot sign", k->name);
    return NULL;
}

static bool hmac_of(const struct jwa *alg, const key *k, const struct span *pieces, size_t count,
                    uint8_t mac[EVP_MAX_MD_SIZE], size_t *size, struct error *err)
{
    return hmac_make(alg->digest, buffer_span(k->oct), pieces, count, mac, size, err) ||
           error_prefix(err, "%s", k->name);
}

buffer *signature_make(const struct jwa *alg, const key *k, const struct span *pieces, size_t count,
                       struct error *err)
{
    if (alg->family == JWA_HMAC) {
        AUTO(buffer) *mac = buffer_secret(EVP_MAX_MD_SIZE);
        if (!mac)
            error_memory(err);
        return mac && hmac_of(alg, k, pieces, count, mac->data, &mac->size, err) ? TAKE(mac) : NULL;
    }
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
    if (!able || !feed(EVP_DigestVerifyUpdate, md, "verifying", pieces, count))
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
        uint8_t own[EVP_MAX_MD_SIZE];
        size_t size;
        if (!hmac_of(alg, k, pieces, count, own, &size, err))
            return false;
        right = secret_equal(own, signature.data, signature.size);
        OPENSSL_cleanse(own, sizeof own);
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
