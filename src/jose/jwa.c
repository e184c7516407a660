/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jwa.h"

#include <string.h>

const struct jwa jwa_table[] = {
    {"RS256", JWA_SIGNATURE, JWA_RSA_PKCS1, "SHA256", NULL, NULL, 0, "3.3"},
    {"RS384", JWA_SIGNATURE, JWA_RSA_PKCS1, "SHA384", NULL, NULL, 0, "3.3"},
    {"RS512", JWA_SIGNATURE, JWA_RSA_PKCS1, "SHA512", NULL, NULL, 0, "3.3"},
    {"ES256", JWA_SIGNATURE, JWA_ECDSA, "SHA256", "P-256", NULL, 64, "3.4"},
    {"ES384", JWA_SIGNATURE, JWA_ECDSA, "SHA384", "P-384", NULL, 96, "3.4"},
    {"ES512", JWA_SIGNATURE, JWA_ECDSA, "SHA512", "P-521", NULL, 132, "3.4"},
    {"RSA1_5", JWA_KEY_MANAGEMENT, JWA_RSA1_5, NULL, NULL, NULL, 0, "4.2"},
    {"ECDH-ES+A128KW", JWA_KEY_MANAGEMENT, JWA_ECDH_KW, NULL, NULL, "AES-128-WRAP", 16, "4.6"},
    {"ECDH-ES+A192KW", JWA_KEY_MANAGEMENT, JWA_ECDH_KW, NULL, NULL, "AES-192-WRAP", 24, "4.6"},
    {"ECDH-ES+A256KW", JWA_KEY_MANAGEMENT, JWA_ECDH_KW, NULL, NULL, "AES-256-WRAP", 32, "4.6"},
    {"A128CBC-HS256", JWA_CONTENT, JWA_CBC_HMAC, "SHA256", NULL, "AES-128-CBC", 32, "5.2.3"},
    {"A192CBC-HS384", JWA_CONTENT, JWA_CBC_HMAC, "SHA384", NULL, "AES-192-CBC", 48, "5.2.4"},
    {"A256CBC-HS512", JWA_CONTENT, JWA_CBC_HMAC, "SHA512", NULL, "AES-256-CBC", 64, "5.2.5"},
};
const size_t jwa_count = COUNT(jwa_table);

const struct jwa *jwa_find(enum jwa_kind kind, const char *name)
{
    for (size_t i = 0; i < COUNT(jwa_table); i++)
        if (jwa_table[i].kind == kind && strcmp(jwa_table[i].name, name) == 0)
            return &jwa_table[i];
    return NULL;
}

/* The key type that a family works with, and what to call it. */
static const char *family_type(enum jwa_family family)
{
    return family == JWA_RSA_PKCS1 || family == JWA_RSA1_5 ? "RSA" : "EC";
}

static bool type_fits(const struct jwa *alg, const key *k)
{
    if (!k->pkey || !EVP_PKEY_is_a(k->pkey, family_type(alg->family)))
        return false;
    const char *curve = pkey_curve(k->pkey);
    return !alg->curve || (curve && strcmp(alg->curve, curve) == 0);
}

static bool operation_allowed(const key *k, const char *operation)
{
    if (!k->key_ops)
        return true;
    /* unwrapping may be granted as any of the ways to get at a CEK */
    bool unwrap = strcmp(operation, "unwrapKey") == 0, wrap = strcmp(operation, "wrapKey") == 0;
    for (size_t i = 0; i < json_array_size(k->key_ops); i++) {
        const char *op = json_string_value(json_array_get(k->key_ops, i));
        if (strcmp(op, operation) == 0 || ((unwrap || wrap) && strncmp(op, "derive", 6) == 0) ||
            (unwrap && strcmp(op, "decrypt") == 0) || (wrap && strcmp(op, "encrypt") == 0))
            return true;
    }
    return false;
}

bool jwa_fits(const struct jwa *alg, const key *k, const char *operation, struct error *err)
{
    char described[40];
    if (!type_fits(alg, k))
        return error_set(err, RC_USAGE, "%s: %s does not fit a key of type %s", k->name, alg->name,
                         key_describe(k, described));
    /* "ES521" is seen in the wild for ES512 */
    const char *own = k->alg && strcmp(k->alg, "ES521") == 0 ? "ES512" : k->alg;
    if (own && strcmp(own, alg->name) != 0) {
        error_set(err, RC_USAGE, "%s: the key is for %s alone, not for %s", k->name, own,
                  alg->name);
        return error_rule(err, "RFC 7517 section 4.4");
    }
    const char *use = alg->kind == JWA_SIGNATURE ? "sig" : "enc";
    if (k->use && strcmp(k->use, use) != 0) {
        error_set(err, RC_USAGE, "%s: its use is \"%s\", so it is not for %s", k->name, k->use,
                  alg->name);
        return error_rule(err, "RFC 7517 section 4.2");
    }
    if (operation_allowed(k, operation))
        return true;
    error_set(err, RC_USAGE, "%s: its key_ops do not allow \"%s\"", k->name, operation);
    return error_rule(err, "RFC 7517 section 4.3");
}

static const struct jwa *first_that_fits(enum jwa_kind kind, const key *k, struct error *err)
{
    const struct jwa *named = k->alg ? jwa_find(kind, k->alg) : NULL;
    if (named && type_fits(named, k))
        return named;
    for (size_t i = 0; i < COUNT(jwa_table); i++)
        if (jwa_table[i].kind == kind && type_fits(&jwa_table[i], k))
            return &jwa_table[i];
    char described[40];
    error_set(err, RC_USAGE, "%s: no algorithm fits a key of type %s", k->name,
              key_describe(k, described));
    return NULL;
}

const struct jwa *jwa_for_signature(const key *k, struct error *err)
{
    return first_that_fits(JWA_SIGNATURE, k, err);
}

const struct jwa *jwa_for_encryption(const key *k, struct error *err)
{
    return first_that_fits(JWA_KEY_MANAGEMENT, k, err);
}

const key *key_set_choose(const key_set *set, const char *kid, const struct jwa *alg,
                          const char *operation, struct error *err)
{
    const key *chosen = NULL;
    struct error unfit = {.rc = RC_OK};
    for (size_t i = 0; i < set->count; i++) {
        const key *k = set->keys[i];
        if (set->count > 1 && kid && k->kid && strcmp(kid, k->kid) != 0)
            continue;
        if (!jwa_fits(alg, k, operation, &unfit))
            continue;
        if (chosen) {
            error_set(err, RC_USAGE, "several keys fit %s: %s and %s", alg->name, chosen->name,
                      k->name);
            error_hint(err, "give one key, or keys with a kid that the message names");
            return NULL;
        }
        chosen = k;
    }
    if (!chosen && unfit.rc != RC_OK)
        *err = unfit;
    else if (!chosen)
        error_set(err, RC_USAGE, "no key has the kid \"%.80s\"", kid);
    return chosen;
}
