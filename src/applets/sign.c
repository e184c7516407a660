/* SPDX-License-Identifier: Apache-2.0 */
/* otrp sign: a payload becomes a JWS, byte for byte. */
#include "applets/common.h"
#include "applets/words.h"

#include "jose/jwk.h"
#include "jose/jws.h"
#include "pki/x5c.h"
#include "util/limits.h"

struct sign {
    struct text_list key;
    const char *alg, *cert, *serialization, *protected, *header, *message, *out, *payload;
    bool detached, kid, jwk, x5t;
};

static const struct option_row options[] = {
    OPT_LIST(sign, key, 'k', "KEY", OPT_REQUIRED | OPT_FILE,
             "private key; several make several signatures (general serialization)"),
    OPT_WORDS(sign, alg, 'a', "ALG", words_signature, 0,
              "signature algorithm (default: what fits the key, such as RS256)"),
    OPT_TEXT(sign, cert, 0, "CHAIN", OPT_FILE,
             "put these certificates into the header as x5c, signer first"),
    OPT_FLAG(
        sign, x5t, 0, 0,
        "put the SHA-256 thumbprint of the first certificate of --cert into the protected header"),
    OPT_FLAG(sign, kid, 0, 0,
             "put the key's kid, or else its thumbprint (RFC 7638), into the protected header"),
    OPT_FLAG(sign, jwk, 0, 0, "put the public key into the protected header"),
    OPT_CHOICE(sign, serialization, 's', "FORM", serialization_names, 0,
               "form of the JWS (default flattened)"),
    OPT_TEXT(sign, protected, 0, "JSON", 0, "further members of the protected header"),
    OPT_TEXT(sign, header, 0, "JSON", 0, "members of the unprotected header"),
    OPT_WORDS(sign, message, 0, "NAME", words_message, 0,
              "wrap the JWS into an object with this one member"),
    OPT_FLAG(sign, detached, 0, 0, "leave the payload out of the JWS"),
    OPT_TEXT(sign, out, 'o', "FILE", OPT_FILE, "write the JWS to FILE (default: standard output)"),
    OPERAND(sign, payload, "PAYLOAD", OPT_FILE, "what is signed (default: standard input)"),
    OPT_END};

/* The unprotected header that --header and --cert ask for; *header NULL when neither does. */
static bool unprotected_header(const struct sign *o, const X509_stack *chain, json_t **header,
                               struct error *err)
{
    if (!option_object("--header", o->header, header, err))
        return false;
    if (!chain)
        return true;
    json_t *x5c = x5c_from_certs(chain, 0, err);
    if (!x5c)
        return false;
    if (!*header)
        *header = json_object();
    return json_object_set_new(*header, "x5c", x5c) == 0 || error_memory(err);
}

static json_t *key_id(const key *k, const json_t *jwk, struct error *err)
{
    if (k->kid)
        return json_string(k->kid);
    AUTO(char) *print = jwk_thumbprint(jwk, err);
    return print ? json_string(print) : NULL;
}

static json_t *cert_thumbprint(const X509_stack *chain, struct error *err)
{
    uint8_t hash[32];
    if (!chain) {
        error_set(err, RC_USAGE, "--x5t needs --cert");
        return NULL;
    }
    if (X509_digest(sk_X509_value(chain, 0), EVP_sha256(), hash, NULL) == 1)
        return json_base64url(SPAN(hash, sizeof hash));
    error_memory(err);
    return NULL;
}

/* What --protected, --kid, --jwk and --x5t ask for; *protected NULL when none of them does. */
static bool protected_header(const struct sign *o, const key *k, const X509_stack *chain,
                             json_t **protected, struct error *err)
{
    if (!option_object("--protected", o->protected, protected, err))
        return false;
    if (!o->kid && !o->jwk && !o->x5t)
        return true;
    AUTO(json_t) *jwk = jwk_from_key(k, k->oct ? KEY_PRIVATE : KEY_PUBLIC, err);
    if (!jwk)
        return false;
    if (k->oct && o->jwk)
        return error_set(err, RC_USAGE, "--jwk: a symmetric key must not stand in a header");
    if (!*protected)
        *protected = json_object();
    return (!o->kid || json_object_set_new(*protected, "kid", key_id(k, jwk, err)) == 0) &&
           (!o->jwk || json_object_set(*protected, "jwk", jwk) == 0) &&
           (!o->x5t ||
            json_object_set_new(*protected, "x5t#S256", cert_thumbprint(chain, err)) == 0);
}

/* {"name": content} */
static buffer *wrap_message(const char *name, const buffer *content, struct error *err)
{
    AUTO(buffer) *out = buffer_new(content->size + 80);
    if (out) {
        buffer_put_char(out, '{');
        buffer_put_json_string(out, span_text(name));
        buffer_put_char(out, ':');
        buffer_put_span(out, buffer_span(content));
        buffer_put_char(out, '}');
    }
    if (out && !out->failed)
        return TAKE(out);
    error_memory(err);
    return NULL;
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct sign *o = call->options;
    struct jws_how how = {.detached = o->detached};
    if (o->serialization)
        how.serialization = serialization_find(o->serialization);
    if (o->message && how.serialization == SERIALIZATION_COMPACT)
        return error_set(err, RC_USAGE, "--message needs a JSON serialization"), err->rc;
    if (o->key.count > 1 && (o->kid || o->jwk || o->x5t))
        return error_set(err, RC_USAGE, "--kid, --jwk and --x5t go with one key"), err->rc;

    /* inputs */
    AUTO(json_t) *protected = NULL;
    AUTO(json_t) *header = NULL;
    AUTO(key_set) *keys = NULL;
    if (!call_keys_all(call, &o->key, KEY_PRIVATE, &keys, err))
        return err->rc;
    AUTO(X509_stack) *chain = o->cert ? cert_load(o->cert, err) : NULL;
    if (chain && EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(chain, 0)), keys->keys[0]->pkey) != 1)
        warn(call, "warning: %s: its first certificate is not that of the key in %s", o->cert,
             o->key.items[0]);
    if ((o->cert && !chain) || !option_algorithm("--alg", JWA_SIGNATURE, o->alg, &how.alg, err) ||
        !protected_header(o, keys->keys[0], chain, &protected, err) ||
        !unprotected_header(o, chain, &header, err))
        return err->rc;
    AUTO(buffer) *payload = input_read(o->payload, limits.file_bytes, err);
    if (!payload)
        return err->rc;

    /* act */
    how.keys = keys->keys;
    how.count = keys->count;
    how.protected = protected;
    how.header = header;
    AUTO(buffer) *made = jws_sign(&how, buffer_span(payload), err);
    buffer *message = made && o->message ? wrap_message(o->message, made, err) : TAKE(made);

    /* outputs */
    return message ? call_put_buffer(call, o->out, message, OUTPUT_PUBLIC, err) : err->rc;
}

const struct applet applet_sign = {
    .uses = USES_KEYS | USES_FORCE | USES_LIMITS,
    .options = options,
    .size = sizeof(struct sign),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp sign --key pki/tam/tam/tam-mytam-rsa-key.pem tbs.json > jws.json",
            "otrp sign -k pki/tam/tam/tam-mytam-rsa-key.pem --cert "
            "pki/tam/tam/tam-mytam-rsa-cert-plus-intermediate-cert.pem --message CreateSDRequest "
            "tbs.json",
            "otrp sign -k sp.jwk --serialization compact --protected '{\"taid\":\"demo\"}' ta.bin "
            "-o ta.jws",
            NULL},
};
