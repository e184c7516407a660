/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwt.h: what the module jwt.so takes from libjwt: the signature of a token in compact form. All
 * else that makes a bearer token valid is checked in bearer.c, which is the one user of this.
 */
#ifndef OTRP_NET_JWT_H
#define OTRP_NET_JWT_H

#include "util/buffer.h"

struct jwt_api {
    /* Whether the token was signed with the key: PEM, or the bytes of a symmetric key, never empty.
     * Which algorithm that was is for the token to say, so that a caller must look at *alg, which
     * is static text, or NULL. Thread-safe. */
    bool (*verify)(const char *token, struct span key, const char **alg);
};

#endif
