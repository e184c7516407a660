/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keygen.h: private keys, made on all cores at once, those that take longest first.
 *
 *     struct keygen_job jobs[] = {{.alg = KEY_RSA_4096}, {.alg = KEY_EC_P256}};
 *     if (!keygen_run(jobs, 2, &(struct keygen_how){.threads = 0}, err)) ...
 */
#ifndef OTRP_PKI_KEYGEN_H
#define OTRP_PKI_KEYGEN_H

#include <openssl/evp.h>

#include "util/auto.h"
#include "util/error.h"

enum key_alg {
    KEY_RSA_2048,
    KEY_RSA_3072,
    KEY_RSA_4096,
    KEY_EC_P256,
    KEY_EC_P384,
    KEY_EC_P521,
    KEY_ALG_COUNT
};

#define KEY_ALG_USUAL KEY_RSA_2048 /* of an entity for which nothing else is asked */

/* "rsa-4096"; "rsa" or "ec", as in file names. */
const char *key_alg_name(enum key_alg alg);
const char *key_alg_family(enum key_alg alg);
/* Whether OTrP can sign with it, which a TAM and a TEE have to. */
bool key_alg_signs(enum key_alg alg);
/* Both families, RSA first: every TAM and TEE handles it. */
#define KEY_FAMILY_COUNT 2
extern const char *const key_families[KEY_FAMILY_COUNT];

/* Reads a name; option is what messages call where it was given ("--ca-alg"). RC_USAGE with the
 * nearest name. */
bool key_alg_parse(const char *text, const char *option, enum key_alg *alg,
                   struct error *err) MUST_CHECK;

/* The algorithm of a key; false when it is none of these. */
bool key_alg_of(const EVP_PKEY *pkey, enum key_alg *alg) MUST_CHECK;

/* One key after the other, made by this thread and owned by the caller: what making an EC key
 * begins with takes as long as the key itself, and is done once. */
typedef struct keygen keygen;
keygen *keygen_new(void);
void keygen_free(keygen *k);
EVP_PKEY *keygen_next(keygen *k, enum key_alg alg, struct error *err) MUST_CHECK;

/* How many cores there are for this process. */
size_t keygen_cores(void);

struct keygen_job {
    enum key_alg alg;
    EVP_PKEY *pkey; /* result, the caller's; NULL before */
};

struct keygen_how {
    size_t threads; /* 0: as many as there are cores for this process */
    /* NULL, or called with the keys that are done: often, also while one is being made; one call at
     * a time. */
    void (*progress)(void *context, size_t done, size_t total);
    void *context;
};

/* Makes all keys. At a failure the keys that were made stay in the jobs, for the caller to free. */
bool keygen_run(struct keygen_job *jobs, size_t count, const struct keygen_how *how,
                struct error *err) MUST_CHECK;

AUTO_DEFINE(keygen, keygen_free)

#endif
