/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/asn1.h"

#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "util/provider.h"

bool asn1_time_read(const ASN1_TIME *time, time_t *at)
{
    struct tm tm;
    if (!time || ASN1_TIME_to_tm(time, &tm) != 1)
        return false;
    *at = timegm(&tm);
    return true;
}

buffer *bio_text(BIO *bio, bool secret)
{
    char *data;
    long size = BIO_get_mem_data(bio, &data);
    if (size < 0)
        return NULL;
    buffer *b = secret ? buffer_secret((size_t)size) : buffer_new((size_t)size);
    if (b)
        buffer_put(b, data, (size_t)size);
    return b;
}

static const EVP_MD *signature_digest(const EVP_PKEY *pkey)
{
    if (!EVP_PKEY_is_a(pkey, "EC"))
        return EVP_sha256();
    int bits = EVP_PKEY_get_bits(pkey);
    return bits > 384 ? EVP_sha512() : bits > 256 ? EVP_sha384() : EVP_sha256();
}

EVP_MD_CTX *signature_begin(EVP_PKEY *pkey)
{
    char wanted[128];
    const char *digest = EVP_MD_get0_name(signature_digest(pkey));
    AUTO(EVP_MD_CTX) *ctx = EVP_MD_CTX_new();
    return ctx && EVP_DigestSignInit_ex(ctx, NULL, digest, NULL, pkey_properties(pkey, wanted),
                                        pkey, NULL) == 1
               ? TAKE(ctx)
               : NULL;
}

bool signature_is_strong(int nid)
{
    int digest_nid;
    if (!OBJ_find_sigid_algs(nid, &digest_nid, NULL))
        return false;
    if (digest_nid == NID_undef) /* RSA-PSS says it in its parameters, EdDSA has one built in */
        return true;
    const EVP_MD *digest = EVP_get_digestbynid(digest_nid);
    return digest && EVP_MD_get_size(digest) >= 28;
}

void ec_key_normalise(EVP_PKEY *pkey)
{
    static const char *const forms[][2] = {
        {OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
         OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED},
        {OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_GROUP}};
    for (size_t i = 0; EVP_PKEY_is_a(pkey, "EC") && i < COUNT(forms); i++)
        if (!EVP_PKEY_set_utf8_string_param(pkey, forms[i][0], forms[i][1]))
            ERR_clear_error(); /* a key in a token */
}
