/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/key.h"

#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>

#include "jose/rsa_key.h"
#include "util/openssl_auto.h"
#include "util/openssl_error.h"

void key_free(key *k)
{
    if (!k)
        return;
    EVP_PKEY_free(k->pkey);
    buffer_free(k->oct);
    free(k->kid);
    free(k->alg);
    free(k->use);
    json_decref(k->key_ops);
    free(k->name);
    free(k);
}

key *key_from_pkey(EVP_PKEY *pkey, bool private, const char *name, struct error *err)
{
    AUTO(key) *k = calloc(1, sizeof *k);
    if (!k) {
        EVP_PKEY_free(pkey);
        error_memory(err);
        return NULL;
    }
    k->pkey = pkey;
    k->private = private;
    k->name = strdup(name);
    if (k->name)
        return TAKE(k);
    error_memory(err);
    return NULL;
}

key *key_from_oct(struct span bytes, const char *name, struct error *err)
{
    AUTO(key) *k = key_from_pkey(NULL, true, name, err);
    if (!k)
        return NULL;
    k->oct = buffer_secret(bytes.size);
    if (!k->oct) {
        error_memory(err);
        return NULL;
    }
    buffer_put_span(k->oct, bytes);
    return TAKE(k);
}

const char *pkey_curve(const EVP_PKEY *pkey)
{
    static const struct {
        const char *group, *curve;
    } curves[] = {{"prime256v1", "P-256"}, {"P-256", "P-256"},     {"secp384r1", "P-384"},
                  {"P-384", "P-384"},      {"secp521r1", "P-521"}, {"P-521", "P-521"}};
    char group[64];
    if (!pkey || !EVP_PKEY_is_a(pkey, "EC") ||
        !EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL))
        return NULL;
    for (size_t i = 0; i < COUNT(curves); i++)
        if (strcmp(curves[i].group, group) == 0)
            return curves[i].curve;
    return NULL;
}

const char *key_describe(const key *k, char text[40])
{
    if (k->oct)
        snprintf(text, 40, "oct %zu", 8 * k->oct->size);
    else if (EVP_PKEY_is_a(k->pkey, "RSA"))
        snprintf(text, 40, "RSA-%d", EVP_PKEY_get_bits(k->pkey));
    else if (pkey_curve(k->pkey))
        snprintf(text, 40, "EC %s", pkey_curve(k->pkey));
    else
        snprintf(text, 40, "%.30s", EVP_PKEY_get0_type_name(k->pkey));
    return text;
}

static bool check_rsa(const EVP_PKEY *pkey, const char *name, bool small, struct error *err)
{
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < 2048 && !small) {
        error_set(err, RC_MALFORMED, "%s: an RSA key of %d bits is too small, 2048 are needed",
                  name, bits);
        return error_rule(err, "RFC 7518 section 3.3");
    }
    BIGNUM *e = NULL, *n = NULL;
    bool read = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) &&
                EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n);
    bool sound = true;
    if (!read || !BN_is_odd(e) || BN_is_one(e))
        sound = error_set(err, RC_MALFORMED, "%s: the RSA exponent is even or one", name);
    else if (rsa_modulus_is_roca(n)) {
        error_set(err, RC_MALFORMED,
                  "%s: the RSA modulus has the ROCA fingerprint: it can be factored", name);
        sound = error_rule(err, "CVE-2017-15361");
    }
    BN_free(e);
    BN_free(n);
    return sound;
}

bool pkey_check_strength(const EVP_PKEY *pkey, const char *name, bool small, struct error *err)
{
    if (EVP_PKEY_is_a(pkey, "RSA"))
        return check_rsa(pkey, name, small, err);
    if (!EVP_PKEY_is_a(pkey, "EC"))
        return true;
    if (!pkey_curve(pkey))
        return error_set(err, RC_MALFORMED, "%s: not on one of the curves P-256, P-384, P-521",
                         name);
    EVP_PKEY_CTX *check = EVP_PKEY_CTX_new_from_pkey(NULL, (EVP_PKEY *)pkey, NULL);
    bool sound = check && EVP_PKEY_public_check_quick(check) == 1;
    EVP_PKEY_CTX_free(check);
    return sound ||
           error_openssl(err, RC_MALFORMED, "%s: not a sound point on %s", name, pkey_curve(pkey));
}

/* A decoder that is told what to expect is three times as fast as one that must find out. */
EVP_PKEY *pkey_decode(struct span der, const char *structure, const char *type, int selection)
{
    EVP_PKEY *pkey = NULL;
    AUTO(OSSL_DECODER_CTX) *decoder = OSSL_DECODER_CTX_new_for_pkey(&pkey, "DER", structure, type,
                                                                    selection, NULL, NULL);
    const uint8_t *p = der.data;
    size_t left = der.size;
    if (decoder && OSSL_DECODER_from_data(decoder, &p, &left) && left == 0)
        return pkey;
    EVP_PKEY_free(pkey);
    return NULL;
}

EVP_PKEY *pkey_build(const char *type, OSSL_PARAM_BLD *builder, bool private)
{
    AUTO(OSSL_PARAM) *params = OSSL_PARAM_BLD_to_param(builder);
    AUTO(EVP_PKEY_CTX) *maker = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;
    if (params && maker && EVP_PKEY_fromdata_init(maker) == 1 &&
        EVP_PKEY_fromdata(maker, &pkey, private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) ==
            1)
        return pkey;
    return NULL;
}

EVP_PKEY *pkey_from_pkcs8(struct span der)
{
    const uint8_t *p = der.data;
    AUTO(PKCS8_PRIV_KEY_INFO) *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)der.size);
    const ASN1_OBJECT *algorithm;
    const uint8_t *inner;
    int size;
    if (!info || !PKCS8_pkey_get0(&algorithm, &inner, &size, NULL, info))
        return NULL;
    int nid = OBJ_obj2nid(algorithm);
    EVP_PKEY *rsa = nid == NID_rsaEncryption ? rsa_key_from_der(SPAN(inner, (size_t)size), true)
                                             : NULL;
    if (rsa)
        return rsa;
    const char *type = nid == NID_rsaEncryption          ? "RSA"
                       : nid == NID_X9_62_id_ecPublicKey ? "EC"
                                                         : NULL;
    return pkey_decode(der, "PrivateKeyInfo", type, EVP_PKEY_KEYPAIR);
}
