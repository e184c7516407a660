/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jwk.h"

#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>

#include "jose/rsa_key.h"
#include "util/base64.h"
#include "util/json.h"
#include "util/openssl_auto.h"
#include "util/openssl_error.h"

/* The members of an RSA key, in the order of its numbers (RFC 7518 section 6.3). */
static const char *const rsa_members[RSA_NUMBERS] = {"n", "e", "d", "p", "q", "dp", "dq", "qi"};

static const struct jwk_curve {
    const char *name, *group;
    size_t bytes; /* of a coordinate */
} curves[] = {{"P-256", "prime256v1", 32}, {"P-384", "secp384r1", 48}, {"P-521", "secp521r1", 66}};

static const struct jwk_curve *curve_find(const char *name)
{
    for (size_t i = 0; name && i < COUNT(curves); i++)
        if (strcmp(curves[i].name, name) == 0)
            return &curves[i];
    return NULL;
}

static bool set_bignum(json_t *jwk, const char *name, const EVP_PKEY *pkey, const char *param,
                       size_t bytes)
{
    BIGNUM *number = NULL;
    if (!EVP_PKEY_get_bn_param(pkey, param, &number))
        return false;
    size_t size = bytes ? bytes : (size_t)BN_num_bytes(number);
    AUTO(buffer) *raw = buffer_secret(size);
    bool set = raw && BN_bn2binpad(number, raw->data, (int)size) == (int)size &&
               json_object_set_new(jwk, name, json_base64url(SPAN(raw->data, size))) == 0;
    BN_clear_free(number);
    return set;
}

static bool put_rsa(json_t *jwk, const EVP_PKEY *pkey, enum key_part part)
{
    json_object_set_new(jwk, "kty", json_string("RSA"));
    for (int i = 0; i < (part == KEY_PRIVATE ? RSA_NUMBERS : RSA_D); i++)
        if (!set_bignum(jwk, rsa_members[i], pkey, rsa_parameters[i], 0))
            return i == RSA_P; /* a key that came without its primes is written without them */
    return true;
}

static bool put_ec(json_t *jwk, const EVP_PKEY *pkey, enum key_part part)
{
    const struct jwk_curve *curve = curve_find(pkey_curve(pkey));
    if (!curve)
        return false;
    json_object_set_new(jwk, "kty", json_string("EC"));
    json_object_set_new(jwk, "crv", json_string(curve->name));
    return set_bignum(jwk, "x", pkey, OSSL_PKEY_PARAM_EC_PUB_X, curve->bytes) &&
           set_bignum(jwk, "y", pkey, OSSL_PKEY_PARAM_EC_PUB_Y, curve->bytes) &&
           (part == KEY_PUBLIC ||
            set_bignum(jwk, "d", pkey, OSSL_PKEY_PARAM_PRIV_KEY, curve->bytes));
}

/* The curves of octet key pairs (RFC 8037 section 2) and OpenSSL's names of them. */
static const struct {
    const char *crv, *type;
} okp_curves[] = {
    {"Ed25519", "ED25519"}, {"Ed448", "ED448"}, {"X25519", "X25519"}, {"X448", "X448"}};

static const char *okp_curve(const EVP_PKEY *pkey)
{
    for (size_t i = 0; i < COUNT(okp_curves); i++)
        if (EVP_PKEY_is_a(pkey, okp_curves[i].type))
            return okp_curves[i].crv;
    return NULL;
}

static bool set_raw(json_t *jwk, const char *name, const EVP_PKEY *pkey,
                    int (*get)(const EVP_PKEY *, unsigned char *, size_t *))
{
    uint8_t raw[64];
    size_t size = sizeof raw;
    bool set = get(pkey, raw, &size) == 1 &&
               json_object_set_new(jwk, name, json_base64url(SPAN(raw, size))) == 0;
    OPENSSL_cleanse(raw, sizeof raw);
    return set;
}

static bool put_okp(json_t *jwk, const EVP_PKEY *pkey, enum key_part part)
{
    json_object_set_new(jwk, "kty", json_string("OKP"));
    json_object_set_new(jwk, "crv", json_string(okp_curve(pkey)));
    return set_raw(jwk, "x", pkey, EVP_PKEY_get_raw_public_key) &&
           (part == KEY_PUBLIC || set_raw(jwk, "d", pkey, EVP_PKEY_get_raw_private_key));
}

static json_t *jwk_from_oct(const buffer *oct)
{
    return json_pack("{s:s, s:o}", "kty", "oct", "k", json_base64url(buffer_span(oct)));
}

json_t *jwk_from_pkey(const EVP_PKEY *pkey, enum key_part part, struct error *err)
{
    AUTO(json_t) *jwk = json_object();
    bool put = jwk && (EVP_PKEY_is_a(pkey, "RSA")  ? put_rsa(jwk, pkey, part)
                       : EVP_PKEY_is_a(pkey, "EC") ? put_ec(jwk, pkey, part)
                       : okp_curve(pkey)           ? put_okp(jwk, pkey, part)
                                                   : false);
    if (put)
        return TAKE(jwk);
    error_openssl(err, RC_USAGE, "a key of type %s cannot be written as JWK",
                  EVP_PKEY_get0_type_name(pkey));
    return NULL;
}

json_t *jwk_from_key(const key *k, enum key_part part, struct error *err)
{
    if (k->oct && part == KEY_PUBLIC) {
        error_set(err, RC_USAGE, "%s: a symmetric key has no public part", k->name);
        return NULL;
    }
    AUTO(json_t) *jwk = k->oct ? jwk_from_oct(k->oct) : jwk_from_pkey(k->pkey, part, err);
    if (!jwk)
        return NULL;
    if (k->kid)
        json_object_set_new(jwk, "kid", json_string(k->kid));
    if (k->alg)
        json_object_set_new(jwk, "alg", json_string(k->alg));
    if (k->use)
        json_object_set_new(jwk, "use", json_string(k->use));
    if (k->key_ops)
        json_object_set(jwk, "key_ops", k->key_ops);
    return TAKE(jwk);
}

/* A member as bytes; NULL with err set. */
static buffer *member_bytes(const json_t *jwk, const char *name, const char *member,
                            struct error *err)
{
    const char *text;
    char what[300];
    if (!json_get_text(jwk, name, member, &text, err))
        return NULL;
    snprintf(what, sizeof what, "%s.%s", name, member);
    return base64url_decode(span_text(text), what, err);
}

/* A member as a number; NULL with err set. */
static BIGNUM *member_number(const json_t *jwk, const char *name, const char *member,
                             struct error *err)
{
    AUTO(buffer) *bytes = member_bytes(jwk, name, member, err);
    BIGNUM *number = bytes ? BN_secure_new() : NULL;
    if (number && BN_bin2bn(bytes->data, (int)bytes->size, number))
        return number;
    BN_free(number);
    if (bytes)
        error_memory(err);
    return NULL;
}

/* Either all of p, q, dp, dq and qi are there, or none (RFC 7518 section 6.3.2). */
static int rsa_member_count(const json_t *jwk, bool private)
{
    if (!private)
        return RSA_D;
    for (int i = RSA_P; i < RSA_NUMBERS; i++)
        if (json_object_get(jwk, rsa_members[i]))
            return RSA_NUMBERS;
    return RSA_P;
}

static bool rsa_private_fits(BIGNUM *const numbers[RSA_NUMBERS], int count)
{
    return count == RSA_NUMBERS ? rsa_key_consistent(numbers)
                                : rsa_exponents_fit(numbers[RSA_N], numbers[RSA_E], numbers[RSA_D]);
}

static EVP_PKEY *rsa_from_jwk(const json_t *jwk, const char *name, bool private, struct error *err)
{
    BIGNUM *numbers[RSA_NUMBERS] = {NULL};
    int count = rsa_member_count(jwk, private);
    bool read = true;
    for (int i = 0; read && i < count; i++)
        read = (numbers[i] = member_number(jwk, name, rsa_members[i], err)) != NULL;
    if (read && private && !rsa_private_fits(numbers, count))
        read = error_set(err, RC_MALFORMED,
                         "%s: its private part does not belong to its public part", name);
    EVP_PKEY *pkey = read ? rsa_key_build(numbers, private) : NULL;
    if (read && !pkey)
        error_openssl(err, RC_MALFORMED, "%s: not a sound RSA key", name);
    for (int i = 0; i < RSA_NUMBERS; i++)
        BN_clear_free(numbers[i]);
    return pkey;
}

/* The uncompressed point of members x and y, each exactly a field element long. */
static buffer *ec_point(const json_t *jwk, const char *name, const struct jwk_curve *curve,
                        struct error *err)
{
    AUTO(buffer) *x = member_bytes(jwk, name, "x", err);
    AUTO(buffer) *y = x ? member_bytes(jwk, name, "y", err) : NULL;
    if (!y)
        return NULL;
    if (x->size != curve->bytes || y->size != curve->bytes) {
        error_set(err, RC_MALFORMED, "%s: x and y must be %zu bytes long on %s", name, curve->bytes,
                  curve->name);
        error_rule(err, "RFC 7518 section 6.2.1.2");
        return NULL;
    }
    AUTO(buffer) *point = buffer_new(1 + 2 * curve->bytes);
    if (!point) {
        error_memory(err);
        return NULL;
    }
    buffer_put_char(point, POINT_CONVERSION_UNCOMPRESSED);
    buffer_put_span(point, buffer_span(x));
    buffer_put_span(point, buffer_span(y));
    return TAKE(point);
}

static EVP_PKEY *ec_from_jwk(const json_t *jwk, const char *name, bool private, struct error *err)
{
    const char *crv;
    if (!json_get_text(jwk, name, "crv", &crv, err))
        return NULL;
    const struct jwk_curve *curve = curve_find(crv);
    if (!curve) {
        error_set(err, RC_MALFORMED, "%s.crv: curve '%.20s' is not supported", name, crv);
        return NULL;
    }
    AUTO(buffer) *point = ec_point(jwk, name, curve, err);
    AUTO(OSSL_PARAM_BLD) *params = point ? OSSL_PARAM_BLD_new() : NULL;
    if (!params)
        return NULL;
    BIGNUM *d = private ? member_number(jwk, name, "d", err) : NULL;
    if (private && !d)
        return NULL;
    OSSL_PARAM_BLD_push_utf8_string(params, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0);
    OSSL_PARAM_BLD_push_octet_string(params, OSSL_PKEY_PARAM_PUB_KEY, point->data, point->size);
    if (d)
        OSSL_PARAM_BLD_push_BN(params, OSSL_PKEY_PARAM_PRIV_KEY, d);
    AUTO(EVP_PKEY) *pkey = pkey_build("EC", params, private);
    BN_clear_free(d);
    AUTO(EVP_PKEY_CTX) *check = pkey ? EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL) : NULL;
    if (check && EVP_PKEY_public_check(check) == 1 &&
        (!private || EVP_PKEY_pairwise_check(check) == 1))
        return TAKE(pkey);
    error_openssl(err, RC_MALFORMED, "%s: not a sound key on %s", name, curve->name);
    return NULL;
}

static EVP_PKEY *okp_from_jwk(const json_t *jwk, const char *name, bool private, struct error *err)
{
    const char *crv, *type = NULL;
    if (!json_get_text(jwk, name, "crv", &crv, err))
        return NULL;
    for (size_t i = 0; i < COUNT(okp_curves); i++)
        if (strcmp(okp_curves[i].crv, crv) == 0)
            type = okp_curves[i].type;
    if (!type) {
        error_set(err, RC_MALFORMED, "%s.crv: curve '%.20s' is not supported", name, crv);
        return NULL;
    }
    AUTO(buffer) *x = member_bytes(jwk, name, "x", err);
    AUTO(buffer) *d = x && private ? member_bytes(jwk, name, "d", err) : NULL;
    if (!x || (private && !d))
        return NULL;
    AUTO(EVP_PKEY) *public = EVP_PKEY_new_raw_public_key_ex(NULL, type, NULL, x->data, x->size);
    AUTO(EVP_PKEY) *pkey = private
                               ? EVP_PKEY_new_raw_private_key_ex(NULL, type, NULL, d->data, d->size)
                               : TAKE(public);
    if (!pkey || (private && !public)) {
        error_openssl(err, RC_MALFORMED, "%s: not a sound key on %s", name, crv);
        return NULL;
    }
    if (private && EVP_PKEY_eq(public, pkey) != 1) {
        error_set(err, RC_MALFORMED, "%s: its private part does not belong to its public part",
                  name);
        return NULL;
    }
    return TAKE(pkey);
}

static bool copy_text(const json_t *jwk, const char *name, const char *member, char **to,
                      struct error *err)
{
    const char *text;
    if (!json_object_get(jwk, member))
        return true;
    if (!json_get_text(jwk, name, member, &text, err))
        return false;
    *to = strdup(text);
    return *to || error_memory(err);
}

static bool copy_attributes(key *k, const json_t *jwk, const char *name, struct error *err)
{
    json_t *ops = json_object_get(jwk, "key_ops");
    if (ops && !json_is_array(ops))
        return error_set(err, RC_MALFORMED, "%s.key_ops: not an array", name);
    for (size_t i = 0; i < json_array_size(ops); i++)
        if (!json_is_string(json_array_get(ops, i)))
            return error_set(err, RC_MALFORMED, "%s.key_ops[%zu]: not a string", name, i);
    k->key_ops = json_incref(ops);
    return copy_text(jwk, name, "kid", &k->kid, err) && copy_text(jwk, name, "alg", &k->alg, err) &&
           copy_text(jwk, name, "use", &k->use, err);
}

static key *key_of_type(const json_t *jwk, const char *name, const char *kty, bool small,
                        struct error *err)
{
    if (strcmp(kty, "oct") == 0) {
        AUTO(buffer) *bytes = member_bytes(jwk, name, "k", err);
        return bytes ? key_from_oct(buffer_span(bytes), name, err) : NULL;
    }
    bool private = json_object_get(jwk, "d") != NULL;
    EVP_PKEY *pkey;
    if (strcmp(kty, "RSA") == 0)
        pkey = rsa_from_jwk(jwk, name, private, err);
    else if (strcmp(kty, "EC") == 0)
        pkey = ec_from_jwk(jwk, name, private, err);
    else if (strcmp(kty, "OKP") == 0)
        pkey = okp_from_jwk(jwk, name, private, err);
    else {
        error_set(err, RC_MALFORMED, "%s.kty: type '%.20s' is not supported", name, kty);
        return NULL;
    }
    if (!pkey)
        return NULL;
    if (!pkey_check_strength(pkey, name, small, err)) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    return key_from_pkey(pkey, private, name, err);
}

key *jwk_to_key(const json_t *jwk, const char *name, bool small_keys, struct error *err)
{
    const char *kty;
    if (!json_is_object(jwk)) {
        error_set(err, RC_MALFORMED, "%s: not a JSON object", name);
        return NULL;
    }
    if (!json_get_text(jwk, name, "kty", &kty, err)) {
        error_rule(err, "RFC 7517 section 4.1");
        return NULL;
    }
    AUTO(key) *k = key_of_type(jwk, name, kty, small_keys, err);
    return k && copy_attributes(k, jwk, name, err) ? TAKE(k) : NULL;
}

char *jwk_thumbprint(const json_t *jwk, struct error *err)
{
    static const struct {
        const char *kty;
        const char *members[4];
    } required[] = {{"RSA", {"e", "kty", "n", NULL}},
                    {"EC", {"crv", "kty", "x", "y"}},
                    {"OKP", {"crv", "kty", "x", NULL}},
                    {"oct", {"k", "kty", NULL, NULL}}};
    const char *kty = json_string_value(json_object_get(jwk, "kty"));
    for (size_t t = 0; kty && t < COUNT(required); t++) {
        if (strcmp(required[t].kty, kty) != 0)
            continue;
        AUTO(json_t) *part = json_object();
        for (size_t i = 0; i < 4 && required[t].members[i]; i++)
            json_object_set(part, required[t].members[i],
                            json_object_get(jwk, required[t].members[i]));
        AUTO(buffer) *text = json_canonical(part);
        uint8_t hash[32];
        AUTO(buffer) *encoded = buffer_new(44);
        if (!text || !encoded ||
            !EVP_Digest(text->data, text->size, hash, NULL, EVP_sha256(), NULL)) {
            error_memory(err);
            return NULL;
        }
        buffer_put_base64url(encoded, SPAN(hash, sizeof hash));
        return span_dup(buffer_span(encoded));
    }
    error_set(err, RC_MALFORMED, "no thumbprint for a key of this type");
    return NULL;
}
