/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jwa.h"

#include <string.h>

#include <openssl/err.h>

const struct jwa jwa_table[] = {
    {"RS256", JWA_SIGNATURE, JWA_RSA_PKCS1, "SHA256", NULL, NULL, 0, "RFC 7518 section 3.3"},
    {"RS384", JWA_SIGNATURE, JWA_RSA_PKCS1, "SHA384", NULL, NULL, 0, "RFC 7518 section 3.3"},
    {"RS512", JWA_SIGNATURE, JWA_RSA_PKCS1, "SHA512", NULL, NULL, 0, "RFC 7518 section 3.3"},
    {"ES256", JWA_SIGNATURE, JWA_ECDSA, "SHA256", "P-256", NULL, 64, "RFC 7518 section 3.4"},
    {"ES384", JWA_SIGNATURE, JWA_ECDSA, "SHA384", "P-384", NULL, 96, "RFC 7518 section 3.4"},
    {"ES512", JWA_SIGNATURE, JWA_ECDSA, "SHA512", "P-521", NULL, 132, "RFC 7518 section 3.4"},
    {"PS256", JWA_SIGNATURE, JWA_RSA_PSS, "SHA256", NULL, NULL, 0, "RFC 7518 section 3.5"},
    {"PS384", JWA_SIGNATURE, JWA_RSA_PSS, "SHA384", NULL, NULL, 0, "RFC 7518 section 3.5"},
    {"PS512", JWA_SIGNATURE, JWA_RSA_PSS, "SHA512", NULL, NULL, 0, "RFC 7518 section 3.5"},
    {"HS256", JWA_SIGNATURE, JWA_HMAC, "SHA256", NULL, NULL, 32, "RFC 7518 section 3.2"},
    {"HS384", JWA_SIGNATURE, JWA_HMAC, "SHA384", NULL, NULL, 48, "RFC 7518 section 3.2"},
    {"HS512", JWA_SIGNATURE, JWA_HMAC, "SHA512", NULL, NULL, 64, "RFC 7518 section 3.2"},
    {"EdDSA", JWA_SIGNATURE, JWA_EDDSA, NULL, NULL, NULL, 0, "RFC 8037 section 3.1"},
    {"RSA1_5", JWA_KEY_MANAGEMENT, JWA_RSA1_5, NULL, NULL, NULL, 0, "RFC 7518 section 4.2"},
    {"RSA-OAEP", JWA_KEY_MANAGEMENT, JWA_RSA_OAEP, "SHA1", NULL, NULL, 0, "RFC 7518 section 4.3"},
    {"RSA-OAEP-256", JWA_KEY_MANAGEMENT, JWA_RSA_OAEP, "SHA256", NULL, NULL, 0,
     "RFC 7518 section 4.3"},
    {"ECDH-ES+A128KW", JWA_KEY_MANAGEMENT, JWA_ECDH_KW, NULL, NULL, "AES-128-WRAP", 16,
     "RFC 7518 section 4.6"},
    {"ECDH-ES+A192KW", JWA_KEY_MANAGEMENT, JWA_ECDH_KW, NULL, NULL, "AES-192-WRAP", 24,
     "RFC 7518 section 4.6"},
    {"ECDH-ES+A256KW", JWA_KEY_MANAGEMENT, JWA_ECDH_KW, NULL, NULL, "AES-256-WRAP", 32,
     "RFC 7518 section 4.6"},
    {"ECDH-ES", JWA_KEY_MANAGEMENT, JWA_ECDH, NULL, NULL, NULL, 0, "RFC 7518 section 4.6"},
    {"A128KW", JWA_KEY_MANAGEMENT, JWA_AES_KW, NULL, NULL, "AES-128-WRAP", 16,
     "RFC 7518 section 4.4"},
    {"A192KW", JWA_KEY_MANAGEMENT, JWA_AES_KW, NULL, NULL, "AES-192-WRAP", 24,
     "RFC 7518 section 4.4"},
    {"A256KW", JWA_KEY_MANAGEMENT, JWA_AES_KW, NULL, NULL, "AES-256-WRAP", 32,
     "RFC 7518 section 4.4"},
    {"A128GCMKW", JWA_KEY_MANAGEMENT, JWA_AES_GCMKW, NULL, NULL, "AES-128-GCM", 16,
     "RFC 7518 section 4.7"},
    {"A192GCMKW", JWA_KEY_MANAGEMENT, JWA_AES_GCMKW, NULL, NULL, "AES-192-GCM", 24,
     "RFC 7518 section 4.7"},
    {"A256GCMKW", JWA_KEY_MANAGEMENT, JWA_AES_GCMKW, NULL, NULL, "AES-256-GCM", 32,
     "RFC 7518 section 4.7"},
    {"dir", JWA_KEY_MANAGEMENT, JWA_DIR, NULL, NULL, NULL, 0, "RFC 7518 section 4.5"},
    {"A128CBC-HS256", JWA_CONTENT, JWA_CBC_HMAC, "SHA256", NULL, "AES-128-CBC", 32,
     "RFC 7518 section 5.2.3"},
    {"A192CBC-HS384", JWA_CONTENT, JWA_CBC_HMAC, "SHA384", NULL, "AES-192-CBC", 48,
     "RFC 7518 section 5.2.4"},
    {"A256CBC-HS512", JWA_CONTENT, JWA_CBC_HMAC, "SHA512", NULL, "AES-256-CBC", 64,
     "RFC 7518 section 5.2.5"},
    {"A128GCM", JWA_CONTENT, JWA_GCM, NULL, NULL, "AES-128-GCM", 16, "RFC 7518 section 5.3"},
    {"A192GCM", JWA_CONTENT, JWA_GCM, NULL, NULL, "AES-192-GCM", 24, "RFC 7518 section 5.3"},
    {"A256GCM", JWA_CONTENT, JWA_GCM, NULL, NULL, "AES-256-GCM", 32, "RFC 7518 section 5.3"},
};
const size_t jwa_count = COUNT(jwa_table);

const struct jwa *jwa_find(enum jwa_kind kind, const char *name)
{
    for (size_t i = 0; i < COUNT(jwa_table); i++)
        if (jwa_table[i].kind == kind && strcmp(jwa_table[i].name, name) == 0)
            return &jwa_table[i];
    return NULL;
}

const char *jwa_refusal(const char *name)
{
    if (strcmp(name, "none") == 0)
        return "signs nothing and is refused";
    if (strncmp(name, "PBES2-", 6) == 0)
        return "is not supported: passwords make weak keys";
    return "is not supported";
}

bool jwa_available(const struct jwa *alg)
{
    bool there = true;
    if (alg->digest) {
        EVP_MD *md = EVP_MD_fetch(NULL, alg->digest, NULL);
        there = md != NULL;
        EVP_MD_free(md);
    }
    if (there && alg->cipher) {
        EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, alg->cipher, NULL);
        there = cipher != NULL;
        EVP_CIPHER_free(cipher);
    }
    if (there && alg->family == JWA_EDDSA) {
        EVP_SIGNATURE *signature = EVP_SIGNATURE_fetch(NULL, "ED25519", NULL);
        there = signature != NULL;
        EVP_SIGNATURE_free(signature);
    }
    ERR_clear_error();
    return there;
}

bool jwa_fixes_cek(const struct jwa *alg)
{
    return alg->family == JWA_DIR || alg->family == JWA_ECDH;
}

bool jwa_is_symmetric(const struct jwa *alg)
{
    return alg->family == JWA_HMAC || alg->family == JWA_DIR || alg->family == JWA_AES_KW ||
           alg->family == JWA_AES_GCMKW;
}

static bool is_a(const key *k, const char *type)
{
    return k->pkey && EVP_PKEY_is_a(k->pkey, type);
}

static bool type_fits(const struct jwa *alg, const key *k)
{
    const char *curve = pkey_curve(k->pkey);
    switch (alg->family) {
    case JWA_RSA_PKCS1:
    case JWA_RSA_PSS:
    case JWA_RSA1_5:
    case JWA_RSA_OAEP:
        return is_a(k, "RSA");
    case JWA_ECDSA:
        return curve && strcmp(alg->curve, curve) == 0;
    case JWA_EDDSA:
        return is_a(k, "ED25519") || is_a(k, "ED448");
    case JWA_ECDH:
    case JWA_ECDH_KW:
        return curve || is_a(k, "X25519") || is_a(k, "X448");
    case JWA_HMAC:
        return k->oct && k->oct->size >= alg->bytes;
    case JWA_AES_KW:
    case JWA_AES_GCMKW:
        return k->oct && k->oct->size == alg->bytes;
    case JWA_DIR:
        return k->oct != NULL;
    case JWA_CBC_HMAC:
    case JWA_GCM:
        return k->oct && k->oct->size == alg->bytes;
    }
    return false;
}

/* What is wrong with a key whose type does not fit. */
static bool unfit(const struct jwa *alg, const key *k, struct error *err)
{
    char described[40];
    key_describe(k, described);
    bool symmetric = jwa_is_symmetric(alg);
    if (alg->family == JWA_HMAC && k->oct)
        error_set(err, RC_USAGE, "%s: %s needs a key of %zu bits or more, this is %s", k->name,
                  alg->name, 8 * alg->bytes, described);
    else if (symmetric && k->oct)
        error_set(err, RC_USAGE, "%s: %s needs a key of exactly %zu bits, this is %s", k->name,
                  alg->name, 8 * alg->bytes, described);
    else if (symmetric)
        error_set(err, RC_USAGE, "%s: %s needs a symmetric key, never one of type %s", k->name,
                  alg->name, described);
    else if (alg->curve)
        error_set(err, RC_USAGE, "%s: %s needs a key on %s, this is of type %s", k->name, alg->name,
                  alg->curve, described);
    else
        error_set(err, RC_USAGE, "%s: %s does not fit a key of type %s", k->name, alg->name,
                  described);
    return error_rule(err, alg->section);
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
    if (!type_fits(alg, k))
        return unfit(alg, k, err);
    /* "ES521" is seen in the wild for ES512 */
    const char *own = k->alg && strcmp(k->alg, "ES521") == 0 ? "ES512" : k->alg;
    if (alg->family == JWA_DIR)
        own = NULL; /* it names the content encryption, which is checked where that is known */
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
