/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jws.h: JSON Web Signature (RFC 7515) in its compact, flattened and general serialisations.
 *
 *     AUTO(jws) *message = jws_parse(text, "message", err);
 *     if (!jws_verify(message, 0, key, err))
 *         return NULL; // RC_SIGNATURE: it is not signed by key
 *     AUTO(buffer) *payload = jws_payload(message, err); // only now
 *
 * Nothing but the key decides how a signature is checked: an alg that does not fit it is refused.
 * A payload is signed as slices of the text, never copied for it.
 */
#ifndef OTRP_JOSE_JWS_H
#define OTRP_JOSE_JWS_H

#include "jose/jwa.h"
#include "jose/serialization.h"
#include "util/limits.h"

struct jws_signature {
    struct span encoded_protected; /* base64url, slice of the text */
    struct span signature;         /* base64url, slice of the text */
    json_t *protected;             /* owned; {} when absent */
    json_t *header;                /* unprotected; owned; {} when absent */
};

typedef struct jws {
    enum serialization serialization;
    char *what;          /* what messages call it */
    json_doc *doc;       /* owned, when parsed from JSON text */
    struct span payload; /* base64url, slice of the text; of a detached one, what the caller sets */
    bool detached;       /* the payload is not in it */
    struct jws_signature signatures[LIMIT_RECIPIENTS];
    size_t count; /* at least 1 */
} jws;

/* Reads a JWS in any serialisation; text must outlive it. RC_MALFORMED. */
jws *jws_parse(struct span text, const char *what, struct error *err) MUST_CHECK;
/* The same of a JSON value, whose document must outlive it. */
jws *jws_from_value(const struct json_value *value, const char *what, struct error *err) MUST_CHECK;
void jws_free(jws *message);

/* The algorithm of signature i: RC_SIGNATURE for "none" and what is not supported, RC_MALFORMED
 * when absent. */
const struct jwa *jws_alg(const jws *message, size_t i, struct error *err) MUST_CHECK;

/* Whether signature i was made by the key: RC_SIGNATURE when not, with the reason. */
bool jws_verify(const jws *message, size_t i, const key *k, struct error *err) MUST_CHECK;

/* The payload decoded, owned by the caller. */
buffer *jws_payload(const jws *message, struct error *err) MUST_CHECK;

struct jws_how {
    key *const *keys; /* one for flattened and compact; any number for general */
    size_t count;
    const struct jwa *alg;   /* NULL: what fits each key */
    const json_t *protected; /* further protected parameters, or NULL */
    const json_t *header;    /* unprotected header, or NULL; not with compact */
    enum serialization serialization;
    bool detached; /* leave the payload out */
};

/* Signs payload; the protected header is {"alg":...} unless told more. Owned by the caller. */
buffer *jws_sign(const struct jws_how *how, struct span payload, struct error *err) MUST_CHECK;

AUTO_DEFINE(jws, jws_free)

#endif
