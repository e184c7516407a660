/* SPDX-License-Identifier: Apache-2.0 */
/* otrp jwk: keys from and to JWK, PEM and thumbprints. */
#include "applets/common.h"
#include "applets/words.h"

#include <string.h>

#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "jose/jwk.h"
#include "util/openssl_auto.h"
#include "util/openssl_error.h"
#include "util/secret.h"

struct jwk_options {
    bool public, pem, der, p12, thumbprint;
    const char *kid, *generate, *passout, *out, *file;
};

static const struct option_row options[] = {
    OPT_FLAG(jwk_options, public, 'p', 0, "write the public part only"),
    OPT_FLAG(jwk_options, pem, 0, 0, "write PEM instead of a JWK"),
    OPT_FLAG(jwk_options, der, 0, 0, "write DER: PKCS#8, or SubjectPublicKeyInfo of a public key"),
    OPT_FLAG(jwk_options, p12, 0, 0, "write the private key as PKCS#12"),
    OPT_TEXT(jwk_options, passout, 0, "ARG", 0, "passphrase for --p12, in the forms of --passin"),
    OPT_TEXT(jwk_options, kid, 0, "ID", 0, "set the key's kid"),
    OPT_FLAG(jwk_options, thumbprint, 0, 0,
             "write the SHA-256 thumbprint (RFC 7638) instead of the key"),
    OPT_WORDS(jwk_options, generate, 0, "ALG", words_key_alg, 0,
              "make a new key: rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384 or ec-p521"),
    OPT_TEXT(jwk_options, out, 'o', "FILE", OPT_FILE, "write to FILE (default: standard output)"),
    OPERAND(jwk_options, file, "FILE", OPT_FILE,
            "key, JWK, JWK set or certificate (default: standard input)"),
    OPT_END};

static key_set *generated(const struct applet_call *call, const char *name, struct error *err)
{
    enum key_alg alg;
    EVP_PKEY *pkey = key_alg_parse(name, "--generate", &alg, err) ? call_make_key(call, alg, err)
                                                                  : NULL;
    return pkey ? key_set_of(key_from_pkey(pkey, true, name, err), err) : NULL;
}

static bool put_pem(buffer *out, const key *k, enum key_part part, struct error *err)
{
    AUTO(BIO) *bio = BIO_new(BIO_s_secmem());
    if (k->oct)
        return error_set(err, RC_USAGE, "%s: a symmetric key has no PEM form", k->name);
    bool written = bio && (part == KEY_PRIVATE ? PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL,
                                                                               NULL, 0, NULL, NULL)
                                               : PEM_write_bio_PUBKEY(bio, k->pkey));
    char *text;
    long size = written ? BIO_get_mem_data(bio, &text) : 0;
    if (size <= 0)
        return error_openssl(err, RC_INTERNAL, "%s: cannot be written as PEM", k->name);
    buffer_put(out, text, (size_t)size);
    return true;
}

static bool put_der(buffer *out, const key *k, enum key_part part, struct error *err)
{
    PKCS8_PRIV_KEY_INFO *info = k->pkey && part == KEY_PRIVATE ? EVP_PKEY2PKCS8(k->pkey) : NULL;
    uint8_t *der = NULL;
    int size = 0;
    if (info)
        size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    else if (k->pkey && part == KEY_PUBLIC)
        size = i2d_PUBKEY(k->pkey, &der);
    PKCS8_PRIV_KEY_INFO_free(info);
    if (size <= 0)
        return error_openssl(err, RC_USAGE, "%s: cannot be written as DER", k->name);
    buffer_put(out, der, (size_t)size);
    OPENSSL_clear_free(der, (size_t)size);
    return true;
}

static bool put_p12(buffer *out, const key *k, enum key_part part, const char *passout,
                    struct error *err)
{
    if (!k->pkey || part != KEY_PRIVATE)
        return error_set(err, RC_USAGE, "%s: PKCS#12 is for private keys", k->name);
    AUTO(buffer) *passphrase = passout ? passphrase_choose(passout, err) : NULL;
    if (!passphrase) {
        if (!passout)
            error_set(err, RC_USAGE, "--p12 needs a passphrase");
        return passout ? false : error_hint(err, "give it with --passout");
    }
    PKCS12 *p12 = PKCS12_create((const char *)passphrase->data, k->kid, k->pkey, NULL, NULL, 0, 0,
                                0, 0, 0);
    uint8_t *der = NULL;
    int size = p12 ? i2d_PKCS12(p12, &der) : 0;
    PKCS12_free(p12);
    if (size <= 0)
        return error_openssl(err, RC_INTERNAL, "%s: cannot be written as PKCS#12", k->name);
    buffer_put(out, der, (size_t)size);
    OPENSSL_clear_free(der, (size_t)size);
    return true;
}

static char *thumbprint(const key *k, struct error *err)
{
    AUTO(json_t) *jwk = jwk_from_key(k, k->oct ? KEY_PRIVATE : KEY_PUBLIC, err);
    return jwk ? jwk_thumbprint(jwk, err) : NULL;
}

static bool put_thumbprint(buffer *out, const key *k, struct error *err)
{
    AUTO(char) *print = thumbprint(k, err);
    if (print)
        buffer_put_format(out, "%s\n", print);
    return print != NULL;
}

static bool put_thumbprints_json(buffer *out, const key_set *keys, struct error *err)
{
    AUTO(json_t) *list = json_array();
    for (size_t i = 0; list && i < keys->count; i++) {
        const key *k = keys->keys[i];
        char described[40];
        AUTO(char) *print = thumbprint(k, err);
        if (!print)
            return false;
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o*}", "thumbprint", print, "key",
                                        key_describe(k, described), "kid", json_text_of(k->kid)));
    }
    AUTO(json_t) *report = json_pack("{s:O*}", "keys", list);
    AUTO(buffer) *text = list && report ? json_pretty(report) : NULL;
    if (!text)
        return error_memory(err);
    buffer_put_span(out, buffer_span(text));
    return true;
}

/* What is written of a key. */
static enum key_part part_of(const struct jwk_options *o, const key *k)
{
    return o->public || !k->private ? KEY_PUBLIC : KEY_PRIVATE;
}

/* One key is a JWK, several are a JWK set. */
static bool put_jwks(buffer *out, const key_set *keys, const struct jwk_options *o,
                     struct error *err)
{
    AUTO(json_t) *list = json_array();
    for (size_t i = 0; i < keys->count; i++) {
        json_t *jwk = jwk_from_key(keys->keys[i], part_of(o, keys->keys[i]), err);
        if (!jwk)
            return false;
        if (o->kid)
            json_object_set_new(jwk, "kid", json_string(o->kid));
        json_array_append_new(list, jwk);
    }
    AUTO(json_t) *set = keys->count > 1 ? json_pack("{s:O}", "keys", list) : NULL;
    AUTO(buffer) *text = json_pretty(set ? set : json_array_get(list, 0));
    if (!text)
        return error_memory(err);
    buffer_put_span(out, buffer_span(text));
    return true;
}

static bool put_keys(buffer *out, const key_set *keys, const struct applet_call *call,
                     struct error *err)
{
    const struct jwk_options *o = call->options;
    if (o->thumbprint && call->common->json)
        return put_thumbprints_json(out, keys, err);
    if (!o->thumbprint && !o->pem && !o->der && !o->p12)
        return put_jwks(out, keys, o, err);
    bool put = true;
    for (size_t i = 0; put && i < keys->count; i++) {
        const key *k = keys->keys[i];
        put = o->thumbprint ? put_thumbprint(out, k, err)
              : o->pem      ? put_pem(out, k, part_of(o, k), err)
              : o->der      ? put_der(out, k, part_of(o, k), err)
                            : put_p12(out, k, part_of(o, k), o->passout, err);
    }
    return put;
}

static enum output_kind kind_of(const key_set *keys, const struct jwk_options *o)
{
    for (size_t i = 0; !o->thumbprint && i < keys->count; i++)
        if (part_of(o, keys->keys[i]) == KEY_PRIVATE)
            return OUTPUT_PRIVATE;
    return OUTPUT_PUBLIC;
}

static bool check_options(const struct jwk_options *o, struct error *err)
{
    if (o->generate && o->public)
        return error_set(err, RC_USAGE,
                         "--generate makes a private key: --public would throw it away");
    if (o->pem + o->der + o->p12 + o->thumbprint > 1)
        return error_set(err, RC_USAGE, "--pem, --der, --p12 and --thumbprint exclude each other");
    if (o->passout && !o->p12)
        return error_set(err, RC_USAGE, "--passout is for --p12");
    if (o->kid && (o->pem || o->der || o->p12 || o->thumbprint))
        return error_set(err, RC_USAGE, "--kid: only a JWK has a place for it");
    if (o->generate && o->thumbprint)
        return error_set(err, RC_USAGE,
                         "--generate makes a private key: --thumbprint would throw it away");
    if (o->generate && o->file)
        return error_set(err, RC_USAGE, "--generate makes a key, so it takes no FILE");
    return true;
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct jwk_options *o = call->options;
    if (!check_options(o, err))
        return err->rc;

    /* inputs */
    AUTO(key_set) *keys = o->generate ? generated(call, o->generate, err)
                                      : call_keys(call, o->file ? o->file : "-", KEY_PUBLIC, err);
    if (!keys)
        return err->rc;
    if ((o->der || o->p12) && keys->count > 1)
        return error_set(err, RC_USAGE, "%s: DER and PKCS#12 hold one key, there are %zu",
                         input_name(o->file), keys->count),
               err->rc;

    /* act */
    AUTO(buffer) *out = buffer_secret(4096);
    if (!out)
        return error_memory(err), err->rc;
    if (!put_keys(out, keys, call, err))
        return err->rc;

    /* outputs */
    return call_put_buffer(call, o->out, TAKE(out), kind_of(keys, o), err);
}

const struct applet applet_jwk = {
    .uses = USES_KEYS | USES_FORCE | USES_JSON,
    .options = options,
    .size = sizeof(struct jwk_options),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp jwk --public pki/tam/tam/tam-mytam-rsa-key.pem > tam-public.jwk",
            "otrp jwk --generate ec-p256 --kid sp-1 -o sp.jwk",
            "otrp jwk --thumbprint pki/tee/tee/tee-mytee-rsa-cert.pem", NULL},
};
