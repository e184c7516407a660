/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/ta_package.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "jose/jwe.h"
#include "jose/key_wrap.h"
#include "otrp/algorithm.h"
#include "otrp/foreign.h"
#include "pki/x5c.h"
#include "util/base64.h"
#include "util/openssl_auto.h"
#include "util/openssl_error.h"
#include "util/secret.h"
#include "util/text_form.h"

enum { TA_KEY_BYTES = 32, TA_IV_BYTES = 16 };

buffer *ta_package_sign(struct span ta, key *sp_key, const X509_stack *chain, const char *taid,
                        long long version, struct error *err)
{
    AUTO(json_t) *protected = json_object();
    AUTO(json_t) *x5c = chain ? x5c_from_certs(chain, 0, err) : NULL;
    AUTO(json_t) *header = x5c ? json_pack("{s:O}", "x5c", x5c) : NULL;
    if (chain && !header)
        return NULL;
    if (taid)
        json_object_set_new(protected, "taid", json_string(taid));
    if (version != TA_NO_VERSION)
        json_object_set_new(protected, "taver", json_integer(version));
    return jws_sign(
        &(struct jws_how){.keys = &sp_key, .count = 1, .protected = protected, .header = header},
        ta, err);
}

void ta_package_free(ta_package *package)
{
    if (!package)
        return;
    buffer_free(package->ta);
    free(package->taid);
    sk_X509_pop_free(package->signers, X509_free);
    free(package);
}

bool ta_package_is(struct span text)
{
    struct error ignored;
    AUTO(jws) *message = jws_parse(text, "TA", &ignored);
    return message && jws_alg(message, 0, &ignored);
}

static bool read_attributes(ta_package *package, const jws *message, struct error *err)
{
    const json_t *header = message->signatures[0].protected;
    const json_t *taid = json_object_get(header, "taid"), *taver = json_object_get(header, "taver");
    package->version = TA_NO_VERSION;
    if (taid && !json_is_string(taid))
        return error_set(err, RC_MALFORMED, "TA package: taid is not a string");
    if (taver && (!json_is_integer(taver) || json_integer_value(taver) < 0))
        return error_set(err, RC_MALFORMED, "TA package: taver is not a whole number");
    if (taver)
        package->version = json_integer_value(taver);
    if (taid && !(package->taid = strdup(json_string_value(taid))))
        return error_memory(err);
    return true;
}

static void read_signers(ta_package *package, const jws *message)
{
    struct error ignored;
    const json_t *x5c = json_object_get(message->signatures[0].header, "x5c");
    package->signers = x5c ? x5c_to_certs(x5c, "x5c", &ignored) : NULL;
}

ta_package *ta_package_open(struct span text, const X509_stack *candidates, struct error *err)
{
    AUTO(jws) *message = jws_parse(text, "TA package", err);
    AUTO(ta_package) *package = message ? calloc(1, sizeof *package) : NULL;
    if (!package)
        return NULL;
    if (message->serialization == SERIALIZATION_GENERAL) {
        error_set(err, RC_MALFORMED, "TA package: a JWS in flattened or compact form is needed");
        return NULL;
    }
    error_set(err, RC_SIGNATURE, "TA package: the SD knows no certificate of an SP");
    for (int i = 0; i < sk_X509_num(candidates) && !package->signer; i++) {
        X509 *cert = sk_X509_value(candidates, i);
        AUTO(key) *k = key_from_pkey(X509_get_pubkey(cert), false, "SP certificate", err);
        if (k && k->pkey && jws_verify(message, 0, k, err))
            package->signer = cert;
    }
    if (!package->signer || !read_attributes(package, message, err))
        return NULL;
    read_signers(package, message);
    package->ta = jws_payload(message, err);
    return package->ta ? TAKE(package) : NULL;
}

/* AES-256-CBC with PKCS#7 padding. */
static buffer *aes_cbc(struct span in, const uint8_t *k, const uint8_t *iv, bool encrypt)
{
    AUTO(EVP_CIPHER_CTX) *aes = EVP_CIPHER_CTX_new();
    AUTO(buffer) *out = in.size < INT32_MAX - 64 ? buffer_secret(in.size + 32) : NULL;
    int size = 0, last = 0;
    if (!aes || !out || EVP_CipherInit_ex2(aes, EVP_aes_256_cbc(), k, iv, encrypt, NULL) != 1 ||
        EVP_CipherUpdate(aes, out->data, &size, in.data, (int)in.size) != 1 ||
        EVP_CipherFinal_ex(aes, out->data + size, &last) != 1) {
        ERR_clear_error();
        return NULL;
    }
    out->size = (size_t)size + (size_t)last;
    return TAKE(out);
}

static bool put_encrypted(buffer *out, const char *name, const buffer *data, const uint8_t *k,
                          const uint8_t *iv, struct error *err)
{
    if (!data)
        return true;
    AUTO(buffer) *cipher = aes_cbc(buffer_span(data), k, iv, true);
    if (!cipher)
        return error_openssl(err, RC_INTERNAL, "cannot encrypt the TA");
    buffer_put_format(out, ",\"%s\":\"", name);
    buffer_put_base64(out, buffer_span(cipher));
    buffer_put_char(out, '"');
    return true;
}

static const char *ta_data_name(enum message_id type)
{
    return type == MESSAGE_UPDATE_TA ? "ciphernewtadata" : "ciphertadata";
}

static const char *pdata_name(enum message_id type)
{
    return type == MESSAGE_UPDATE_TA ? "ciphernewpdata" : "cipherpdata";
}

buffer *encrypted_ta_make(enum message_id type, key *aik, const buffer *package,
                          const buffer *pdata, struct error *err)
{
    AUTO(buffer) *k = buffer_secret(TA_KEY_BYTES);
    uint8_t iv[TA_IV_BYTES];
    if (!k || !random_fill(k->data, TA_KEY_BYTES, err) || !random_fill(iv, sizeof iv, err))
        return NULL;
    k->size = TA_KEY_BYTES;
    AUTO(buffer) *wrapped = jwe_encrypt(
        &(struct jwe_how){.keys = &aik, .count = 1, .serialization = SERIALIZATION_GENERAL},
        buffer_span(k), NULL, err);
    if (!wrapped)
        return NULL;
    size_t size = (package ? package->size : 0) + (pdata ? pdata->size : 0);
    AUTO(buffer) *out = buffer_new(size / 3 * 4 + wrapped->size + 512);
    if (!out) {
        error_memory(err);
        return NULL;
    }
    buffer_put_text(out, "{\"key\":");
    buffer_put_span(out, buffer_span(wrapped));
    buffer_put_text(out, ",\"iv\":\"");
    buffer_put_hex(out, SPAN(iv, sizeof iv));
    buffer_put_text(out, "\",\"alg\":\"AESCBC\"");
    if (!put_encrypted(out, ta_data_name(type), package, k->data, iv, err) ||
        !put_encrypted(out, pdata_name(type), pdata, k->data, iv, err))
        return NULL;
    buffer_put_char(out, '}');
    if (out->failed) {
        error_memory(err);
        return NULL;
    }
    return TAKE(out);
}

static bool read_iv(const struct json_value *encrypted, uint8_t iv[TA_IV_BYTES])
{
    AUTO(buffer) *bytes = hex_decode(json_member(encrypted, "iv")->string);
    if (!bytes || bytes->size != TA_IV_BYTES)
        return false;
    memcpy(iv, bytes->data, TA_IV_BYTES);
    return true;
}

static bool open_data(const struct json_value *encrypted, const char *name, const buffer *k,
                      const uint8_t *iv, buffer **data)
{
    struct error ignored;
    const struct json_value *member = json_member(encrypted, name);
    *data = NULL;
    if (!member)
        return true;
    AUTO(buffer) *cipher = base64_decode(member->string, name, &ignored);
    *data = cipher && k->size == TA_KEY_BYTES ? aes_cbc(buffer_span(cipher), k->data, iv, false)
                                              : NULL;
    return *data != NULL;
}

/* The TA key that encrypted_ta.key holds, 32 bytes when it is right. */
static buffer *open_ta_key(const struct json_value *value, key *aik, const struct reading *reading)
{
    struct error ignored;
    const struct json_value *bare = json_member(value, "encrypted_key");
    if (bare && value->count == 1 && foreign_accepts(reading, FOREIGN_KEY_BARE)) {
        /* RSA1_5, as nothing says otherwise; a random key where it does not unwrap */
        const struct jwa *alg = jwa_find(JWA_KEY_MANAGEMENT, "RSA1_5");
        AUTO(buffer) *wrapped = base64url_decode(bare->string, "encrypted_ta.key", &ignored);
        return wrapped && jwa_fits(alg, aik, "unwrapKey", &ignored)
                   ? key_unwrap(alg, jwa_find(JWA_CONTENT, "A128CBC-HS256"), aik,
                                buffer_span(wrapped), NULL, 0, &ignored)
                   : NULL;
    }
    AUTO(jwe) *wrapped = foreign_jwe(value, "encrypted_ta.key", reading, &ignored);
    return wrapped && otrp_jwe(wrapped, &ignored) ? jwe_decrypt(wrapped, &aik, 1, NULL, &ignored)
                                                  : NULL;
}

/* encrypted_ta that is a JWE of the package itself. */
static bool open_ta_jwe(const struct json_value *encrypted, key *aik, const struct reading *reading,
                        buffer **package)
{
    struct error ignored;
    AUTO(jwe) *sealed = foreign_jwe(encrypted, "encrypted_ta", reading, &ignored);
    *package = sealed && otrp_jwe(sealed, &ignored) ? jwe_decrypt(sealed, &aik, 1, NULL, &ignored)
                                                    : NULL;
    return *package != NULL;
}

/* What a profile lets stand for encrypted_ta has not had its members checked. */
static bool is_whole(const struct json_value *encrypted)
{
    static const char *const names[] = {"key", "iv", "alg"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (!json_member(encrypted, names[i]))
            return false;
    return true;
}

static bool open_ta(const struct json_value *encrypted, enum message_id type, key *aik,
                    const struct reading *reading, buffer **package, buffer **pdata)
{
    uint8_t iv[TA_IV_BYTES];
    AUTO(buffer) *k = open_ta_key(json_member(encrypted, "key"), aik, reading);
    return k && read_iv(encrypted, iv) &&
           open_data(encrypted, ta_data_name(type), k, iv, package) &&
           open_data(encrypted, pdata_name(type), k, iv, pdata);
}

bool encrypted_ta_read(const struct json_value *encrypted, enum message_id type, key *aik,
                       const struct reading *reading, buffer **package, buffer **pdata,
                       bool *unsupported, struct error *err)
{
    *package = *pdata = NULL;
    *unsupported = false;
    if (encrypted->count == 0 && foreign_accepts(reading, FOREIGN_TA_EMPTY))
        return error_set(err, RC_DECRYPT, "encrypted_ta: there is no TA in it");
    bool sealed = json_member(encrypted, "ciphertext") && foreign_accepts(reading, FOREIGN_TA_JWE);
    if (!sealed && !is_whole(encrypted))
        return error_set(err, RC_DECRYPT, "encrypted_ta: does not open with the SP AIK");
    *unsupported = !sealed && !span_is(json_member(encrypted, "alg")->string, "AESCBC");
    if (*unsupported)
        return error_set(err, RC_MALFORMED, "encrypted_ta.alg: only AESCBC is supported");
    if (sealed ? open_ta_jwe(encrypted, aik, reading, package)
               : open_ta(encrypted, type, aik, reading, package, pdata))
        return true;
    buffer_free(TAKE(*package));
    buffer_free(TAKE(*pdata));
    return error_set(err, RC_DECRYPT, "encrypted_ta: does not open with the SP AIK");
}

bool encrypted_ta_open(const struct json_value *encrypted, enum message_id type, key *aik,
                       buffer **package, buffer **pdata, bool *unsupported, struct error *err)
{
    return encrypted_ta_read(encrypted, type, aik, NULL, package, pdata, unsupported, err);
}
