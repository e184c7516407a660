/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/ec_key.h"

#include <openssl/asn1t.h>
#include <openssl/core_names.h>
#include <openssl/err.h>

#include "pki/asn1.h"

#define POINT_BYTES 133 /* uncompressed, of P-521 */
#define CURVE_BYTES 66

/* RFC 5915 section 3, without the parameters: they stand in the AlgorithmIdentifier. */
typedef struct ec_private {
    int32_t version;
    ASN1_OCTET_STRING *scalar;
    ASN1_BIT_STRING *point;
} ec_private;

/* clang-format off */
ASN1_SEQUENCE(ec_private) = {
    ASN1_EMBED(ec_private, version, INT32),
    ASN1_SIMPLE(ec_private, scalar, ASN1_OCTET_STRING),
    ASN1_EXP(ec_private, point, ASN1_BIT_STRING, 1)
} static_ASN1_SEQUENCE_END(ec_private)
    /* clang-format on */

    static int curve_of(const EVP_PKEY *pkey)
{
    char name[32];
    if (!EVP_PKEY_is_a(pkey, "EC") || !EVP_PKEY_get_group_name(pkey, name, sizeof name, NULL))
        return NID_undef;
    int nid = OBJ_txt2nid(name);
    bool known = nid == NID_X9_62_prime256v1 || nid == NID_secp384r1 || nid == NID_secp521r1;
    return known ? nid : NID_undef;
}

static size_t point_of(const EVP_PKEY *pkey, unsigned char point[POINT_BYTES])
{
    size_t size = 0;
    bool read = EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, POINT_BYTES,
                                                &size) == 1;
    ERR_clear_error();
    return read && point[0] == POINT_CONVERSION_UNCOMPRESSED ? size : 0;
}

bool ec_key_publish(X509 *cert, const EVP_PKEY *pkey)
{
    unsigned char point[POINT_BYTES];
    int curve = curve_of(pkey);
    size_t size = curve == NID_undef ? 0 : point_of(pkey, point);
    unsigned char *copy = size ? OPENSSL_memdup(point, size) : NULL;
    if (copy &&
        X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(cert), OBJ_nid2obj(NID_X9_62_id_ecPublicKey),
                               V_ASN1_OBJECT, OBJ_nid2obj(curve), copy, (int)size))
        return true;
    OPENSSL_free(copy);
    return false;
}

static bool fill(ec_private *key, const EVP_PKEY *pkey, int curve_bytes)
{
    unsigned char point[POINT_BYTES], scalar[CURVE_BYTES];
    size_t size = point_of(pkey, point);
    BIGNUM *number = NULL;
    bool filled = size && EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &number) &&
                  BN_bn2binpad(number, scalar, curve_bytes) == curve_bytes &&
                  ASN1_OCTET_STRING_set(key->scalar, scalar, curve_bytes) &&
                  ASN1_BIT_STRING_set(key->point, point, (int)size);
    key->point->flags |= ASN1_STRING_FLAG_BITS_LEFT; /* no bits are left over */
    OPENSSL_cleanse(scalar, sizeof scalar);
    BN_clear_free(number);
    ERR_clear_error();
    return filled;
}

static unsigned char *to_der(const EVP_PKEY *pkey, int *size)
{
    unsigned char *der = NULL;
    ec_private key = {
        .version = 1, .scalar = ASN1_OCTET_STRING_new(), .point = ASN1_BIT_STRING_new()};
    *size = 0;
    if (key.scalar && key.point && fill(&key, pkey, (EVP_PKEY_get_bits(pkey) + 7) / 8))
        *size = ASN1_item_i2d((const ASN1_VALUE *)&key, &der, ASN1_ITEM_rptr(ec_private));
    ASN1_STRING_clear_free(key.scalar);
    ASN1_BIT_STRING_free(key.point);
    return *size > 0 ? der : NULL;
}

PKCS8_PRIV_KEY_INFO *ec_key_to_pkcs8(const EVP_PKEY *pkey)
{
    int size, curve = curve_of(pkey);
    unsigned char *der = curve == NID_undef ? NULL : to_der(pkey, &size);
    PKCS8_PRIV_KEY_INFO *info = der ? PKCS8_PRIV_KEY_INFO_new() : NULL;
    if (info && PKCS8_pkey_set0(info, OBJ_nid2obj(NID_X9_62_id_ecPublicKey), 0, V_ASN1_OBJECT,
                                OBJ_nid2obj(curve), der, size))
        return info;
    PKCS8_PRIV_KEY_INFO_free(info);
    if (der)
        OPENSSL_clear_free(der, (size_t)size);
    return NULL;
}
