/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rsa_key.h: an RSA key and the eight numbers that it is made of (RFC 8017 section 3), as JWK and
 * PKCS#1 have them.
 *
 *     BIGNUM *numbers[RSA_NUMBERS] = {...};
 *     EVP_PKEY *pkey = rsa_key_build(numbers, true);
 */
#ifndef OTRP_JOSE_RSA_KEY_H
#define OTRP_JOSE_RSA_KEY_H

#include <openssl/evp.h>

#include "util/buffer.h"

enum rsa_number { RSA_N, RSA_E, RSA_D, RSA_P, RSA_Q, RSA_DP, RSA_DQ, RSA_QI, RSA_NUMBERS };

/* The OpenSSL parameter of each number. */
extern const char *const rsa_parameters[RSA_NUMBERS];

/* Whether n = p q, and d, dp, dq, qi fit. EVP_PKEY_check proves that with primality tests in 70 ms;
 * this proves, in a thousandth of it, that the private part belongs to the public part. */
bool rsa_key_consistent(BIGNUM *const numbers[RSA_NUMBERS]);

/* Whether e and d undo each other modulo n: all that can be said of a key that came without its
 * primes. */
bool rsa_exponents_fit(const BIGNUM *n, const BIGNUM *e, const BIGNUM *d);

/* The key of these numbers, of which a private one may lack those from p on (RFC 7518
 * section 6.3.2), and of which a public one needs n and e; owned by the caller. NULL with OpenSSL's
 * reason queued. */
EVP_PKEY *rsa_key_build(BIGNUM *const numbers[RSA_NUMBERS], bool private);

/* The key of an RSAPrivateKey in DER (RFC 8017 appendix A.1.2) with two primes, its numbers
 * consistent, or of an RSAPublicKey (appendix A.1.1); owned by the caller, NULL otherwise. It is
 * read here since OpenSSL's own decoders take as long to set up as a signature takes. */
EVP_PKEY *rsa_key_from_der(struct span der, bool private);

/* Whether a modulus has the fingerprint of the keys that a flawed library made (ROCA,
 * CVE-2017-15361): its remainder by each small prime is a power of 65537 modulo that prime. One in
 * 2^28 others has it, too. */
bool rsa_modulus_is_roca(const BIGNUM *n);

#endif
