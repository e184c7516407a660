/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect_jose.h: what inspect's JWS and JWE share: headers (inspect_header.c), who may have signed
 * and whether it was so (inspect_signature.c). For those files only.
 */
#ifndef OTRP_APPLETS_INSPECT_JOSE_H
#define OTRP_APPLETS_INSPECT_JOSE_H

#include "applets/inspect.h"

/* ---- headers ---- */

/* base64url, or what was meant to be: BASE64, padded. Owned by the caller; NULL: neither. */
buffer *part_decode(look *l, const char *path, struct span text, struct error *err) MUST_CHECK;

/* A protected header: what it says, and how it was written. */
typedef struct said {
    buffer *bytes; /* decoded, or NULL */
    buffer *mended;
    json_doc *doc;                 /* NULL: it is no JSON */
    const struct json_value *root; /* the object, or NULL */
} said;

/* Reads it from its encoded form, or from value, where a member was an object. */
void header_read(look *l, const char *path, const struct json_value *value, struct span encoded,
                 struct said *h);
void header_show(look *l, struct layer *layer, const char *path, const struct said *h);
void said_free(struct said *h);

/* The string member of that name; empty when there is none. */
struct span string_in(const struct json_value *object, const char *name);

/* ---- signatures ---- */

enum { CANDIDATES_MOST = 320 };

struct candidate {
    key *key; /* borrowed, unless own */
    bool own;
    X509 *cert;     /* whose key it is, or NULL; borrowed */
    char from[160]; /* "header.x5c[0]" */
};

/* Who may have signed, the likeliest first. */
typedef struct candidates {
    struct candidate list[CANDIDATES_MOST];
    size_t count;
    X509_stack *certs; /* of the headers: signer first */
} candidates;

struct signature {
    struct span protected, payload, signature; /* as they stand */
    const struct jwa *alg;                     /* NULL: not told, or not known */
    bool told;                                 /* a header names one */
};

candidates *candidates_new(void);
void candidates_free(struct candidates *c);
/* What a header tells of its signer, and what is not ours in that. */
void candidates_of_header(look *l, struct candidates *c, const char *path,
                          const struct json_value *header, bool protected, struct signed_as as);
/* Keys that are at hand, whoever's they are. */
void candidates_of_look(const look *l, struct candidates *c);

/* The verdicts on a signature and on the chain of who made it. */
void signature_judge(look *l, const char *path, const struct signature *s, const struct said *h,
                     struct candidates *c, struct signed_as as);

/* ---- JWE ---- */

void show_compact_jwe(look *l, const char *path, struct span text);

AUTO_DEFINE(said, said_free)
AUTO_DEFINE(candidates, candidates_free)

#endif
