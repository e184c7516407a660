/* SPDX-License-Identifier: Apache-2.0 */
/* otrp encrypt: a plaintext becomes a JWE for one or more recipients. */
#include "applets/common.h"
#include "applets/words.h"

#include "jose/jwe.h"

struct encrypt {
    struct text_list to;
    const char *alg, *enc, *serialization, *cek, *protected, *save_cek, *aad, *out, *plaintext;
};

/* Of serialization_names, the default first. */
static const char *const forms[] = {"general", "flattened", "compact", NULL};

static const struct option_row options[] = {
    OPT_LIST(encrypt, to, 't', "KEY", OPT_REQUIRED | OPT_FILE,
             "public key or certificate of a recipient; repeatable"),
    OPT_WORDS(encrypt, alg, 'a', "ALG", words_key_management, 0,
              "key management (default: RSA1_5 or ECDH-ES+A128KW, as the key is)"),
    OPT_WORDS(encrypt, enc, 'e', "ENC", words_content, 0,
              "content encryption (default A128CBC-HS256)"),
    OPT_CHOICE(encrypt, serialization, 's', "FORM", forms, 0, "form of the JWE (default general)"),
    OPT_TEXT(encrypt, cek, 0, "FILE", OPT_FILE,
             "use this content encryption key (a JWK of type oct) again"),
    OPT_TEXT(encrypt, save_cek, 0, "FILE", OPT_FILE,
             "also write the content encryption key, as a JWK"),
    OPT_TEXT(encrypt, aad, 0, "FILE", OPT_FILE,
             "authenticate these data, too; they travel in the clear"),
    OPT_TEXT(encrypt, protected, 0, "JSON", 0, "further members of the protected header"),
    OPT_TEXT(encrypt, out, 'o', "FILE", OPT_FILE,
             "write the JWE to FILE (default: standard output)"),
    OPERAND(encrypt, plaintext, "PLAINTEXT", OPT_FILE,
            "what is encrypted (default: standard input)"),
    OPT_END};

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct encrypt *o = call->options;
    struct jwe_how how = {.serialization = o->serialization ? serialization_find(o->serialization)
                                                            : SERIALIZATION_GENERAL};

    /* inputs */
    AUTO(json_t) *protected = NULL;
    AUTO(key_set) *keys = NULL;
    if (!call_keys_all(call, &o->to, KEY_PUBLIC, &keys, err) ||
        !option_algorithm("--alg", JWA_KEY_MANAGEMENT, o->alg, &how.alg, err) ||
        !option_algorithm("--enc", JWA_CONTENT, o->enc, &how.enc, err) ||
        !option_object("--protected", o->protected, &protected, err))
        return err->rc;
    AUTO(buffer) *given = o->cek ? cek_load(o->cek, err) : NULL;
    if (o->cek && !given)
        return err->rc;
    AUTO(buffer) *plaintext = input_read(o->plaintext, limits.file_bytes, err);
    AUTO(buffer) *aad = plaintext && o->aad ? input_read(o->aad, LIMIT_SMALL_JSON, err) : NULL;
    if (!plaintext || (o->aad && !aad))
        return err->rc;

    /* act */
    how.keys = keys->keys;
    how.count = keys->count;
    how.protected = protected;
    how.cek = buffer_span(given);
    how.aad = buffer_span(aad);
    AUTO(buffer) *cek = NULL;
    AUTO(buffer) *message = jwe_encrypt(&how, buffer_span(plaintext), &cek, err);
    if (!message)
        return err->rc;

    /* outputs */
    AUTO(output_set) *outputs = output_set_new(call->common->force);
    if (!outputs)
        return error_memory(err), err->rc;
    if ((o->save_cek && !cek_add(outputs, o->save_cek, cek, err)) ||
        !output_take(outputs, o->out, TAKE(message), OUTPUT_PUBLIC, err) ||
        !output_commit(outputs, err))
        return err->rc;
    return RC_OK;
}

const struct applet applet_encrypt = {
    .uses = USES_KEYS | USES_FORCE | USES_LIMITS,
    .options = options,
    .size = sizeof(struct encrypt),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp encrypt --to pki/tee/tee/tee-mytee-rsa-cert.pem content.json > jwe.json",
            "otrp encrypt -t tee.jwk -t tam.jwk --save-cek cek.jwk < content.json > jwe.json",
            "otrp encrypt -t pki/tee/tee/tee-mytee-rsa-cert.pem -s compact content.json -o "
            "content.jwe",
            NULL},
};
