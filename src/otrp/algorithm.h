/* SPDX-License-Identifier: Apache-2.0 */
/*
 * algorithm.h: which of the algorithms of JOSE are those of OTrP (protocol: Envelope, Algorithms).
 * Never direct ECDH-ES, whose CEK cannot be used again for the answer.
 */
#ifndef OTRP_OTRP_ALGORITHM_H
#define OTRP_OTRP_ALGORITHM_H

#include "jose/jwa.h"

/* Whether OTrP messages may use it. */
bool otrp_algorithm(const struct jwa *alg);

#endif
