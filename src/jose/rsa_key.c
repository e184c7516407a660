/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/rsa_key.h"

#include <openssl/asn1t.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "jose/key.h"
#include "util/openssl_auto.h"

const char *const rsa_parameters[RSA_NUMBERS] = {
    [RSA_N] = OSSL_PKEY_PARAM_RSA_N,          [RSA_E] = OSSL_PKEY_PARAM_RSA_E,
    [RSA_D] = OSSL_PKEY_PARAM_RSA_D,          [RSA_P] = OSSL_PKEY_PARAM_RSA_FACTOR1,
    [RSA_Q] = OSSL_PKEY_PARAM_RSA_FACTOR2,    [RSA_DP] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
    [RSA_DQ] = OSSL_PKEY_PARAM_RSA_EXPONENT2, [RSA_QI] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

bool rsa_key_consistent(BIGNUM *const v[RSA_NUMBERS])
{
    BN_CTX *work = BN_CTX_secure_new();
    BIGNUM *t = BN_secure_new(), *p1 = BN_secure_new(), *q1 = BN_secure_new();
    bool fits = work && t && p1 && q1 && BN_mul(t, v[RSA_P], v[RSA_Q], work) &&
                BN_cmp(t, v[RSA_N]) == 0 && BN_sub(p1, v[RSA_P], BN_value_one()) &&
                BN_sub(q1, v[RSA_Q], BN_value_one()) && !BN_is_zero(p1) && !BN_is_zero(q1) &&
                BN_mod_mul(t, v[RSA_E], v[RSA_D], p1, work) && BN_is_one(t) &&
                BN_mod_mul(t, v[RSA_E], v[RSA_D], q1, work) && BN_is_one(t) &&
                BN_mod(t, v[RSA_D], p1, work) && BN_cmp(t, v[RSA_DP]) == 0 &&
                BN_mod(t, v[RSA_D], q1, work) && BN_cmp(t, v[RSA_DQ]) == 0 &&
                BN_mod_mul(t, v[RSA_QI], v[RSA_Q], v[RSA_P], work) && BN_is_one(t);
    BN_clear_free(t);
    BN_clear_free(p1);
    BN_clear_free(q1);
    BN_CTX_free(work);
    return fits;
}

bool rsa_exponents_fit(const BIGNUM *n, const BIGNUM *e, const BIGNUM *d)
{
    BN_CTX *work = BN_CTX_secure_new();
    BIGNUM *two = BN_new(), *there = BN_new(), *back = BN_secure_new(), *secret = BN_secure_new();
    bool able = work && two && there && back && secret && BN_set_word(two, 2) && BN_copy(secret, d);
    if (able)
        BN_set_flags(secret, BN_FLG_CONSTTIME);
    bool fits = able && BN_is_odd(n) && BN_mod_exp(there, two, e, n, work) &&
                BN_mod_exp(back, there, secret, n, work) && BN_cmp(back, two) == 0;
    BN_free(two);
    BN_free(there);
    BN_clear_free(back);
    BN_clear_free(secret);
    BN_CTX_free(work);
    return fits;
}

EVP_PKEY *rsa_key_build(BIGNUM *const numbers[RSA_NUMBERS], bool private)
{
    AUTO(OSSL_PARAM_BLD) *builder = OSSL_PARAM_BLD_new();
    bool pushed = builder != NULL;
    for (int i = 0; pushed && i < (private ? RSA_NUMBERS : RSA_D); i++)
        pushed = !numbers[i] || OSSL_PARAM_BLD_push_BN(builder, rsa_parameters[i], numbers[i]);
    return pushed ? pkey_build("RSA", builder, private) : NULL;
}

/* The elements from first on are the numbers in our order, each above zero. */
static bool read_numbers(const ASN1_SEQUENCE_ANY *sequence, int first, int count,
                         BIGNUM *numbers[RSA_NUMBERS])
{
    if (sk_ASN1_TYPE_num(sequence) != first + count)
        return false;
    for (int i = 0; i < count; i++) {
        const ASN1_TYPE *element = sk_ASN1_TYPE_value(sequence, first + i);
        if (ASN1_TYPE_get(element) != V_ASN1_INTEGER)
            return false;
        numbers[i] = BN_secure_new();
        if (!numbers[i] || !ASN1_INTEGER_to_BN(element->value.integer, numbers[i]) ||
            BN_is_negative(numbers[i]) || BN_is_zero(numbers[i]))
            return false;
    }
    return true;
}

/* Whether the first element is the version of a key of two primes, which is 0. */
static bool has_two_primes(const ASN1_SEQUENCE_ANY *sequence)
{
    const ASN1_TYPE *version = sk_ASN1_TYPE_value(sequence, 0);
    return version && ASN1_TYPE_get(version) == V_ASN1_INTEGER &&
           ASN1_INTEGER_get(version->value.integer) == 0;
}

static void wipe_sequence(ASN1_SEQUENCE_ANY *sequence)
{
    while (sk_ASN1_TYPE_num(sequence) > 0) {
        ASN1_TYPE *element = sk_ASN1_TYPE_pop(sequence);
        if (ASN1_TYPE_get(element) == V_ASN1_INTEGER)
            OPENSSL_cleanse(element->value.integer->data, (size_t)element->value.integer->length);
        ASN1_TYPE_free(element);
    }
    sk_ASN1_TYPE_free(sequence);
}

EVP_PKEY *rsa_key_from_der(struct span der, bool private)
{
    const uint8_t *p = der.data;
    BIGNUM *numbers[RSA_NUMBERS] = {NULL};
    ASN1_SEQUENCE_ANY *sequence = d2i_ASN1_SEQUENCE_ANY(NULL, &p, (long)der.size);
    bool whole = sequence && p == der.data + der.size;
    bool read = whole && (private ? has_two_primes(sequence) &&
                                        read_numbers(sequence, 1, RSA_NUMBERS, numbers) &&
                                        rsa_key_consistent(numbers)
                                  : read_numbers(sequence, 0, RSA_D, numbers));
    EVP_PKEY *pkey = read ? rsa_key_build(numbers, private) : NULL;
    for (int i = 0; i < RSA_NUMBERS; i++)
        BN_clear_free(numbers[i]);
    wipe_sequence(sequence);
    return pkey;
}

bool rsa_modulus_is_roca(const BIGNUM *n)
{
    static const unsigned char primes[] = {11, 13, 17,  19,  37,  53,  61,  71, 73,
                                           79, 97, 103, 107, 109, 127, 151, 157};
    for (size_t i = 0; i < sizeof primes; i++) {
        unsigned prime = primes[i], remainder = (unsigned)BN_mod_word(n, prime), power = 1;
        bool found = false;
        do { /* the powers of 65537 form a cycle that begins at 1 */
            found |= power == remainder;
            power = power * (65537 % prime) % prime;
        } while (power != 1);
        if (!found)
            return false;
    }
    return true;
}
