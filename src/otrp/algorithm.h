/* SPDX-License-Identifier: Apache-2.0 */
/*
 * algorithm.h: which of the algorithms of JOSE are those of OTrP (otrp-messages(7), ALGORITHMS).
 * Never direct ECDH-ES, whose CEK cannot be used again for the answer.
 */
#ifndef OTRP_OTRP_ALGORITHM_H
#define OTRP_OTRP_ALGORITHM_H

#include "jose/jwe.h"
#include "jose/jws.h"

/* Whether OTrP messages may use it. */
bool otrp_algorithm(const struct jwa *alg);

/* Whether a JWE has the form and the algorithms of OTrP: general serialization, one recipient.
 * RC_MALFORMED for the form, RC_DECRYPT for the algorithms. */
bool otrp_jwe(const jwe *message, struct error *err) MUST_CHECK;

/* Whether signature 0 of a JWS has a signing algorithm of OTrP. RC_SIGNATURE. */
bool otrp_jws(const jws *message, struct error *err) MUST_CHECK;

#endif
