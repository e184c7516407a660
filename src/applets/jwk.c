/* SPDX-License-Identifier: Apache-2.0 */
/* otrp jwk: keys from and to JWK, PEM and thumbprints. */
#include "applets/common.h"

#include <string.h>

#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "jose/jwk.h"
#include "pki/keygen.h"
#include "util/openssl_auto.h"
#include "util/openssl_error.h"
#include "util/secret.h"
#include "util/terminal.h"

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
    OPT_TEXT(jwk_options, generate, 0, "ALG", 0,
             "make a new key: rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384 or ec-p521"),
    OPT_TEXT(jwk_options, out, 'o', "FILE", OPT_FILE, "write to FILE (default: standard output)"),
    OPERAND(jwk_options, file, "FILE", OPT_FILE,
            "key, JWK, JWK set or certificate (default: standard input)"),
    OPT_END};

static bool make_key(const struct applet_call *call, struct keygen_job *job, struct error *err)
{
    struct progress progress;
    progress_start(&progress, "keys", call->common->quiet);
    bool made = keygen_run(
        job, 1,
        &(struct keygen_how){.threads = 1, .progress = progress_update, .context = &progress}, err);
    progress_end(&progress);
    return made;
}

static key_set *generated(const struct applet_call *call, const char *name, struct error *err)
{
    struct keygen_job job = {.pkey = NULL};
    if (!key_alg_parse(name, "--generate", &job.alg, err) || !make_key(call, &job, err))
        return NULL;
    AUTO(key_set) *set = calloc(1, sizeof *set);
    key *k = key_from_pkey(job.pkey, true, name, err);
    if (set && k && (set->keys = calloc(1, sizeof *set->keys))) {
        set->keys[set->count++] = k;
        return TAKE(set);
    }
    key_free(k);
    error_memory(err);
    return NULL;
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
    AUTO(buffer) *passphrase = passout ? passphrase_read(passout, err) : NULL;
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

static bool put_thumbprint(buffer *out, const key *k, struct error *err)
{
    AUTO(json_t) *jwk = jwk_from_key(k, k->oct ? KEY_PRIVATE : KEY_PUBLIC, err);
    AUTO(char) *print = jwk ? jwk_thumbprint(jwk, err) : NULL;
    if (print)
        buffer_put_format(out, "%s\n", print);
    return print != NULL;
}

static bool put_jwks(buffer *out, const key_set *keys, const struct jwk_options *o, bool *private,
                     struct error *err)
{
    AUTO(json_t) *list = json_array();
    for (size_t i = 0; i < keys->count; i++) {
        const key *k = keys->keys[i];
        enum key_part part = o->public || !k->private ? KEY_PUBLIC : KEY_PRIVATE;
        json_t *jwk = jwk_from_key(k, part, err);
        if (!jwk)
            return false;
        if (o->kid)
            json_object_set_new(jwk, "kid", json_string(o->kid));
        *private |= part == KEY_PRIVATE;
        json_array_append_new(list, jwk);
    }
    AUTO(json_t) *set = keys->count > 1 ? json_pack("{s:O}", "keys", list) : NULL;
    AUTO(buffer) *text = json_pretty(set ? set : json_array_get(list, 0));
    if (!text)
        return error_memory(err);
    buffer_put_span(out, buffer_span(text));
    return true;
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct jwk_options *o = call->options;
    if (o->generate && o->public)
        return error_set(err, RC_USAGE,
                         "--generate makes a private key: --public would throw it away"),
               err->rc;
    if (o->pem + o->der + o->p12 + o->thumbprint > 1)
        return error_set(err, RC_USAGE, "--pem, --der, --p12 and --thumbprint exclude each other"),
               err->rc;
    if (o->passout && !o->p12)
        return error_set(err, RC_USAGE, "--passout is for --p12"), err->rc;
    if (o->kid && (o->pem || o->der || o->p12 || o->thumbprint))
        return error_set(err, RC_USAGE, "--kid: only a JWK has a place for it"), err->rc;
    if (o->generate && o->thumbprint)
        return error_set(err, RC_USAGE,
                         "--generate makes a private key: --thumbprint would throw it away"),
               err->rc;
    if (o->generate && o->file)
        return error_set(err, RC_USAGE, "--generate makes a key, so it takes no FILE"), err->rc;

    /* inputs */
    AUTO(key_set) *keys = o->generate ? generated(call, o->generate, err)
                                      : call_keys(call, o->file ? o->file : "-", KEY_PUBLIC, err);
    AUTO(buffer) *out = keys ? buffer_secret(4096) : NULL;
    if (!out)
        return err->rc;

    if ((o->der || o->p12) && keys->count > 1)
        return error_set(err, RC_USAGE, "%s: DER and PKCS#12 hold one key, there are %zu",
                         input_name(o->file), keys->count),
               err->rc;

    /* act */
    bool private = false, put = true;
    bool encoded = o->thumbprint || o->pem || o->der || o->p12;
    for (size_t i = 0; encoded && put && i < keys->count; i++) {
        const key *k = keys->keys[i];
        enum key_part part = o->public || !k->private ? KEY_PUBLIC : KEY_PRIVATE;
        put = o->thumbprint ? put_thumbprint(out, k, err)
              : o->pem      ? put_pem(out, k, part, err)
              : o->der      ? put_der(out, k, part, err)
                            : put_p12(out, k, part, o->passout, err);
        private |= !o->thumbprint && part == KEY_PRIVATE;
    }
    if (!encoded) {
        put = put_jwks(out, keys, o, &private, err);
    }

    /* outputs */
    return put ? call_put(call, o->out, buffer_span(out), private ? OUTPUT_PRIVATE : OUTPUT_PUBLIC,
                          err)
               : err->rc;
}

const struct applet applet_jwk = {
    .uses = USES_KEYS | USES_FORCE,
    .options = options,
    .size = sizeof(struct jwk_options),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp jwk --public pki/tam/tam/tam-mytam-rsa-key.pem > tam-public.jwk",
            "otrp jwk --generate ec-p256 --kid sp-1 -o sp.jwk",
            "otrp jwk --thumbprint pki/tee/tee/tee-mytee-rsa-cert.pem", NULL},
};
