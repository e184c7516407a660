/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bearer.h: bearer tokens (RFC 6750) that are signed JWTs (RFC 7519), for interfaces of our own.
 *
 *     AUTO(char) *token = bearer_make(key, "otrp-control", 3600, now, err);
 *
 *     if (!bearer_ready(key, err)) ...                        once, when the server starts
 *     if (!bearer_check_header(request->authorization, key, "otrp-control", now, err))
 *         ...                                                 401, and err for the log alone
 *
 * The key alone decides the algorithm (RFC 8725 section 3.1): RS256, RS384, RS512, ES256, ES384,
 * ES512 or HS256, HS384, HS512, whatever of these the key says or fits first. Tokens are made with
 * jose/jws.h and checked with libjwt, which is loaded by the first check. libjwt 1.10 believes the
 * algorithm that a token names, so the token is looked at before and after.
 */
#ifndef OTRP_NET_BEARER_H
#define OTRP_NET_BEARER_H

#include <time.h>

#include "jose/key.h"

/* A token for aud, issued at now, that expires ttl_s seconds later; owned by the caller. RC_USAGE
 * when the key cannot sign one. */
char *bearer_make(const key *k, const char *aud, long ttl_s, time_t now,
                  struct error *err) MUST_CHECK;

/* Whether tokens can be checked with the key: RC_USAGE when it does not fit, RC_INTERNAL without
 * libjwt. */
bool bearer_ready(const key *k, struct error *err) MUST_CHECK;

/* Whether the token was signed with the key, is for aud, and is valid at now: RC_MALFORMED when it
 * is no JWT, RC_SIGNATURE when the key did not sign it, RC_UNTRUSTED when it is for another
 * audience, has expired or is not valid yet, or lacks exp or aud. Thread-safe. */
bool bearer_check(struct span token, const key *k, const char *aud, time_t now,
                  struct error *err) MUST_CHECK;

/* The same of the value of an Authorization header (NULL: absent): "Bearer TOKEN". */
bool bearer_check_header(const char *authorization, const key *k, const char *aud, time_t now,
                         struct error *err) MUST_CHECK;

#endif
