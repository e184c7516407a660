/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/ec_key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>

#include "pki/asn1.h"
#include "pki/der.h"

#define CURVE_BYTES 66  /* of P-521 */
#define PKCS8_BYTES 300 /* of a key on it, and some */

static const uint8_t zero = 0, one = 1;

static int curve_of(const EVP_PKEY *pkey)
{
    char name[32];
    if (!EVP_PKEY_is_a(pkey, "EC") || !EVP_PKEY_get_group_name(pkey, name, sizeof name, NULL))
        return NID_undef;
    int nid = OBJ_txt2nid(name);
    bool known = nid == NID_X9_62_prime256v1 || nid == NID_secp384r1 || nid == NID_secp521r1;
    return known ? nid : NID_undef;
}

bool ec_point_of(const EVP_PKEY *pkey, struct ec_point *point)
{
    *point = (struct ec_point){.curve = curve_of(pkey)};
    bool read = point->curve != NID_undef &&
                EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point->bytes,
                                                sizeof point->bytes, &point->size) == 1;
    ERR_clear_error();
    if (!read || point->bytes[0] != POINT_CONVERSION_UNCOMPRESSED)
        point->size = 0;
    return point->size != 0;
}

/* AlgorithmIdentifier (RFC 5480 section 2.1.1). */
static void put_algorithm(buffer *out, const struct ec_point *point)
{
    size_t start = out->size;
    der_put_nid(out, NID_X9_62_id_ecPublicKey);
    der_put_nid(out, point->curve);
    der_wrap(out, start, DER_SEQUENCE);
}

void ec_point_put(buffer *out, const struct ec_point *point)
{
    size_t start = out->size;
    put_algorithm(out, point);
    der_put_bits(out, SPAN(point->bytes, point->size));
    der_wrap(out, start, DER_SEQUENCE);
}

/* ECPrivateKey (RFC 5915 section 3), without the parameters: they stand in the
 * AlgorithmIdentifier. */
static void put_private(buffer *out, struct span scalar, const struct ec_point *point)
{
    size_t start = out->size;
    der_put(out, DER_INTEGER, SPAN(&one, 1));
    der_put(out, DER_OCTET_STRING, scalar);
    size_t inner = out->size;
    der_put_bits(out, SPAN(point->bytes, point->size));
    der_wrap(out, inner, DER_CONTEXT | 1);
    der_wrap(out, start, DER_SEQUENCE);
}

/* OneAsymmetricKey (RFC 5958 section 2). */
static void put_pkcs8(buffer *out, struct span scalar, const struct ec_point *point)
{
    size_t start = out->size;
    der_put(out, DER_INTEGER, SPAN(&zero, 1));
    put_algorithm(out, point);
    size_t inner = out->size;
    put_private(out, scalar, point);
    der_wrap(out, inner, DER_OCTET_STRING);
    der_wrap(out, start, DER_SEQUENCE);
}

buffer *ec_key_pem(const EVP_PKEY *pkey, const struct ec_point *point)
{
    uint8_t scalar[CURVE_BYTES];
    int size = (EVP_PKEY_get_bits(pkey) + 7) / 8;
    BIGNUM *number = NULL;
    AUTO(buffer) *der = buffer_secret(PKCS8_BYTES);
    AUTO(buffer) *pem = buffer_secret(2 * PKCS8_BYTES);
    bool filled = der && pem && point->size && size <= CURVE_BYTES &&
                  EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &number) &&
                  BN_bn2binpad(number, scalar, size) == size;
    BN_clear_free(number);
    ERR_clear_error();
    if (filled) {
        put_pkcs8(der, SPAN(scalar, (size_t)size), point);
        pem_put(pem, "PRIVATE KEY", buffer_span(der));
    }
    OPENSSL_cleanse(scalar, sizeof scalar);
    return filled && !der->failed && !pem->failed ? TAKE(pem) : NULL;
}
