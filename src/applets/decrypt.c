/* SPDX-License-Identifier: Apache-2.0 */
/* otrp decrypt: open a JWE, or the encrypted part of an OTrP message, with a recipient's key. */
#include "applets/common.h"

#include "jose/serialization.h"
#include "otrp/sealed.h"

struct decrypt {
    const char *key, *save_cek, *out, *message;
};

static const struct option_row options[] = {
    OPT_TEXT(decrypt, key, 'k', "KEY", OPT_REQUIRED | OPT_FILE,
             "private key of a recipient, or a content encryption key (JWK of type oct)"),
    OPT_TEXT(decrypt, save_cek, 0, "FILE", OPT_FILE,
             "also write the content encryption key, as a JWK"),
    OPT_TEXT(decrypt, out, 'o', "FILE", OPT_FILE,
             "write the plaintext to FILE (default: standard output)"),
    OPERAND(decrypt, message, "MESSAGE", OPT_FILE, "JWE or OTrP message (default: standard input)"),
    OPT_END};

/* A symmetric key is the CEK itself where the message was not made for a symmetric key. */
static bool is_cek(const jwe *message, const key_set *keys)
{
    struct error ignored;
    for (size_t i = 0; i < message->count; i++) {
        const struct jwa *alg = jwe_alg(message, i, &ignored);
        if (!alg || jwa_is_symmetric(alg))
            return false;
    }
    return keys->count == 1 && keys->keys[0]->oct;
}

static buffer *open_with(const jwe *message, const key_set *keys, buffer **cek, struct error *err)
{
    if (!is_cek(message, keys))
        return jwe_decrypt_set(message, keys, cek, err);
    *cek = buffer_copy(buffer_span(keys->keys[0]->oct));
    return jwe_decrypt_with_cek(message, buffer_span(keys->keys[0]->oct), err);
}

/* What holds nothing encrypted may be for another command. */
static bool not_sealed(const char *path, struct span text, struct error *err)
{
    if (err->rc != RC_MALFORMED || err->hint[0])
        return false;
    if (serialization_kind(text) != SERIALIZED_JWS)
        return error_hint(err, "'otrp inspect' finds messages in logs, mails and dumps");
    error_set(err, RC_MALFORMED, "%s: this is a JWS: nothing in it is encrypted", input_name(path));
    return error_hint(err, "'otrp verify' is for a JWS");
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct decrypt *o = call->options;

    /* inputs */
    AUTO(key_set) *keys = call_keys(call, o->key, KEY_PRIVATE, err);
    AUTO(buffer) *text = keys ? input_read(o->message, limits.encoded_bytes, err) : NULL;
    if (!text || !input_check(o->message, text, err))
        return err->rc;
    AUTO(sealed) *part = sealed_find(buffer_span(text), err);
    if (!part)
        return not_sealed(o->message, buffer_span(text), err), err->rc;

    /* act: of the plaintext nothing exists for anyone before its tag has been checked */
    AUTO(buffer) *cek = NULL;
    AUTO(buffer) *plaintext = open_with(part->jwe, keys, &cek, err);
    if (!plaintext)
        return err->rc;

    /* outputs */
    AUTO(output_set) *outputs = output_set_new(call->common->force);
    if (!outputs)
        return error_memory(err), err->rc;
    if ((o->save_cek && !cek_add(outputs, o->save_cek, cek, err)) ||
        !output_take(outputs, o->out, TAKE(plaintext), OUTPUT_PUBLIC, err) ||
        !output_commit(outputs, err))
        return err->rc;
    return RC_OK;
}

const struct applet applet_decrypt = {
    .uses = USES_KEYS | USES_FORCE | USES_LIMITS,
    .options = options,
    .size = sizeof(struct decrypt),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp decrypt --key pki/tam/tam/tam-mytam-rsa-key.pem response.json",
            "otrp decrypt -k tam.jwk --save-cek cek.jwk -o dsi.json < response.json", NULL},
};
