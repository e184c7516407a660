/* SPDX-License-Identifier: Apache-2.0 */
#include "net/bearer.h"

#include <math.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <strings.h>

#include "jose/jws.h"
#include "net/jwt.h"
#include "util/base64.h"
#include "util/clock.h"
#include "util/limits.h"
#include "util/module.h"
#include "util/openssl_error.h"

/* What libjwt 1.10 can check. */
static bool is_known(const struct jwa *alg)
{
    return alg->family == JWA_RSA_PKCS1 || alg->family == JWA_HMAC || alg->family == JWA_ECDSA;
}

/* The one algorithm of tokens of this key. */
static const struct jwa *alg_of(const key *k, const char *operation, struct error *err)
{
    const struct jwa *alg = jwa_for_signature(k, err);
    if (!alg || !jwa_fits(alg, k, operation, err))
        return NULL;
    if (is_known(alg))
        return alg;
    error_set(err, RC_USAGE, "%s: tokens are not signed with %s", k->name, alg->name);
    error_hint(err, "use an RSA key, one on P-256, P-384 or P-521, or an oct JWK of 32 bytes");
    return NULL;
}

char *bearer_make(const key *k, const char *aud, long ttl_s, time_t now, struct error *err)
{
    const struct jwa *alg = alg_of(k, "sign", err);
    if (!alg)
        return NULL;
    if (!k->private) {
        error_set(err, RC_USAGE, "%s: a public key cannot sign", k->name);
        return NULL;
    }
    AUTO(json_t) *claims = json_pack("{s:s, s:I, s:I}", "aud", aud, "iat", (json_int_t)now, "exp",
                                     (json_int_t)now + ttl_s);
    AUTO(json_t) *protected = json_pack("{s:s, s:s*}", "typ", "JWT", "kid", k->kid);
    AUTO(buffer) *payload = claims ? json_compact(claims) : NULL;
    if (!payload || !protected) {
        error_memory(err);
        return NULL;
    }
    const struct jws_how how = {.keys = (key *const[]){(key *)(uintptr_t)k},
                                .count = 1,
                                .alg = alg,
                                .protected = protected,
                                .serialization = SERIALIZATION_COMPACT};
    AUTO(buffer) *token = jws_sign(&how, buffer_span(payload), err);
    if (!token)
        return NULL;
    char *text = span_dup(buffer_span(token));
    if (!text)
        error_memory(err);
    return text;
}

/* Checking. */

static const struct jwt_api *jwt_load(struct error *err)
{
    static const struct jwt_api *loaded;
    const struct jwt_api *api = __atomic_load_n(&loaded, __ATOMIC_ACQUIRE);
    if (!api && (api = module_load("jwt", "jwt_api", err)))
        __atomic_store_n(&loaded, api, __ATOMIC_RELEASE);
    return api;
}

bool bearer_ready(const key *k, struct error *err)
{
    return alg_of(k, "verify", err) && jwt_load(err);
}

/* The key as libjwt takes it: the bytes of a symmetric key, or a public key in PEM. */
static buffer *key_material(const key *k, struct error *err)
{
    if (k->oct)
        return buffer_copy(buffer_span(k->oct));
    BIO *bio = BIO_new(BIO_s_mem());
    AUTO(buffer) *pem = NULL;
    if (bio && PEM_write_bio_PUBKEY(bio, k->pkey) == 1) {
        char *data = NULL;
        long size = BIO_get_mem_data(bio, &data);
        pem = buffer_copy(SPAN(data, (size_t)size));
    }
    BIO_free(bio);
    if (!pem)
        error_openssl(err, RC_USAGE, "%s: its public key cannot be had", k->name);
    return TAKE(pem);
}

static bool check_header(struct span encoded, const struct jwa *alg, struct error *err)
{
    AUTO(json_t) *header = header_decode(encoded, "token", err);
    if (!header || !headers_check(header, NULL, NULL, "token", err))
        return false;
    const char *named, *type = json_string_value(json_object_get(header, "typ"));
    if (!json_get_text(header, "token header", "alg", &named, err))
        return false;
    if (strcmp(named, alg->name) != 0) {
        error_set(err, RC_SIGNATURE, "token: signed with \"%.40s\", and the key is for %s", named,
                  alg->name);
        return error_rule(err, "RFC 8725 section 3.1");
    }
    if (json_object_get(header, "typ") && (!type || strcasecmp(type, "JWT") != 0))
        return error_set(err, RC_MALFORMED, "token header: its typ is not \"JWT\"");
    return true;
}

static bool check_signature(struct span token, const key *k, const struct jwa *alg,
                            struct error *err)
{
    const struct jwt_api *jwt = jwt_load(err);
    AUTO(buffer) *material = jwt ? key_material(k, err) : NULL;
    AUTO(char) *text = material ? span_dup(token) : NULL;
    if (!text)
        return jwt && material ? error_memory(err) : false;
    const char *used;
    ERR_set_mark();
    bool good = jwt->verify(text, buffer_span(material), &used);
    ERR_pop_to_mark();
    if (!good)
        return error_set(err, RC_SIGNATURE, "token: %s did not sign it", k->name);
    if (!used || strcmp(used, alg->name) != 0) /* as check_header, of what was really used */
        return error_set(err, RC_SIGNATURE, "token: checked as %s, and the key is for %s",
                         used ? used : "none", alg->name);
    return true;
}

/* A NumericDate (RFC 7519 section 2), which may have a fraction. */
static bool get_date(const json_t *claims, const char *name, bool required, double *at,
                     struct error *err)
{
    const json_t *value = json_object_get(claims, name);
    if (!value && required)
        return error_set(err, RC_UNTRUSTED, "token: it has no %s", name);
    if (value && (!json_is_number(value) || !isfinite(json_number_value(value))))
        return error_set(err, RC_MALFORMED, "token: %s is no number", name);
    if (value)
        *at = json_number_value(value);
    return true;
}

static bool check_times(const json_t *claims, time_t now, struct error *err)
{
    double until = 0, from = -HUGE_VAL;
    char text[32];
    time_format(now, text);
    if (!get_date(claims, "exp", true, &until, err) || !get_date(claims, "nbf", false, &from, err))
        return false;
    if ((double)now >= until) {
        error_set(err, RC_UNTRUSTED, "token: expired %.0f s ago (it is %s)", (double)now - until,
                  text);
        return error_rule(err, "RFC 7519 section 4.1.4");
    }
    if ((double)now < from)
        return error_set(err, RC_UNTRUSTED, "token: not valid for another %.0f s (it is %s)",
                         from - (double)now, text);
    return true;
}

static bool check_audience(const json_t *claims, const char *aud, struct error *err)
{
    const json_t *value = json_object_get(claims, "aud");
    if (!value)
        return error_set(err, RC_UNTRUSTED, "token: it has no aud");
    bool found = json_is_string(value) && strcmp(json_string_value(value), aud) == 0;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *one = json_string_value(json_array_get(value, i));
        if (!one)
            return error_set(err, RC_MALFORMED, "token: aud[%zu] is no string", i);
        found |= strcmp(one, aud) == 0;
    }
    if (!json_is_string(value) && !json_is_array(value))
        return error_set(err, RC_MALFORMED, "token: aud is neither a string nor an array");
    if (found)
        return true;
    error_set(err, RC_UNTRUSTED, "token: it is for another audience than \"%s\"", aud);
    return error_rule(err, "RFC 7519 section 4.1.3");
}

bool bearer_check(struct span token, const key *k, const char *aud, time_t now, struct error *err)
{
    const struct jwa *alg = alg_of(k, "verify", err);
    struct span segment[3];
    if (!alg)
        return false;
    if (token.size > LIMIT_TOKEN_BYTES) /* libjwt takes room for it on the stack */
        return error_set(err, RC_MALFORMED, "token: more than the %u bytes allowed",
                         LIMIT_TOKEN_BYTES);
    if (!compact_split(token, "token", 3, segment, err) || !check_header(segment[0], alg, err))
        return false;
    AUTO(buffer) *payload = base64url_decode(segment[1], "token payload", err);
    AUTO(buffer) *signature = payload ? base64url_decode(segment[2], "token signature", err) : NULL;
    if (!signature || !check_signature(token, k, alg, err))
        return false;
    AUTO(json_t) *claims = json_load_span(buffer_span(payload), "token payload", err);
    if (!claims)
        return false;
    if (!json_is_object(claims))
        return error_set(err, RC_MALFORMED, "token payload: not a JSON object");
    return check_times(claims, now, err) && check_audience(claims, aud, err);
}

bool bearer_check_header(const char *authorization, const key *k, const char *aud, time_t now,
                         struct error *err)
{
    if (!authorization)
        return error_set(err, RC_UNTRUSTED, "no token");
    if (strncasecmp(authorization, "Bearer ", 7) != 0)
        return error_set(err, RC_UNTRUSTED, "an Authorization header without a bearer token");
    return bearer_check(span_trim(span_text(authorization + 7)), k, aud, now, err);
}
