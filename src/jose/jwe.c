/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jwe.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "jose/content.h"
#include "jose/key_wrap.h"
#include "util/base64.h"

void jwe_free(jwe *message)
{
    if (!message)
        return;
    for (size_t i = 0; i < message->count; i++)
        json_decref(message->recipients[i].header);
    json_decref(message->protected);
    json_decref(message->unprotected);
    json_doc_free(message->doc);
    buffer_free(message->text);
    free(message->what);
    free(message);
}

static jwe *jwe_new(const char *what, struct error *err)
{
    jwe *message = calloc(1, sizeof *message);
    if (message && (message->what = strdup(what)))
        return message;
    free(message);
    error_memory(err);
    return NULL;
}

static bool read_headers(jwe *message, const struct json_value *unprotected, struct error *err)
{
    char part[300];
    snprintf(part, sizeof part, "%s.protected", message->what);
    message->protected = header_decode(message->encoded_protected, part, err);
    if (!message->protected)
        return false;
    snprintf(part, sizeof part, "%s.unprotected", message->what);
    message->unprotected = header_load(unprotected, part, err);
    return message->unprotected != NULL;
}

enum { JWE_HEADERS = 3 };

/* The headers that speak of recipient r. */
static void headers_of(const jwe *message, size_t r, const json_t *headers[JWE_HEADERS])
{
    headers[0] = message->recipients[r].header;
    headers[1] = message->protected;
    headers[2] = message->unprotected;
}

static const struct jwa *algorithm(const jwe *message, size_t r, enum jwa_kind kind,
                                   const char *parameter, struct error *err)
{
    const json_t *headers[JWE_HEADERS];
    headers_of(message, r, headers);
    bool wrong;
    const char *name = headers_text(headers, COUNT(headers), parameter, &wrong);
    if (!name) {
        error_set(err, RC_MALFORMED, "%s: \"%s\" %s", message->what, parameter,
                  wrong ? "is not a string" : "is missing");
        error_rule(err, "RFC 7516 section 4.1");
        return NULL;
    }
    const struct jwa *found = jwa_find(kind, name);
    if (!found)
        error_set(err, RC_DECRYPT, "%s: \"%s\": \"%.40s\" %s", message->what, parameter, name,
                  jwa_refusal(name));
    return found;
}

const struct jwa *jwe_alg(const jwe *message, size_t recipient, struct error *err)
{
    const struct jwa *alg = message->recipients[recipient].alg;
    return alg ? alg : algorithm(message, recipient, JWA_KEY_MANAGEMENT, "alg", err);
}

const struct jwa *jwe_enc(const jwe *message, struct error *err)
{
    return message->enc ? message->enc : algorithm(message, 0, JWA_CONTENT, "enc", err);
}

static bool check_zip(const json_t *const headers[JWE_HEADERS], const char *what, struct error *err)
{
    return !headers_value(headers, JWE_HEADERS, "zip") ||
           error_set(err, RC_MALFORMED, "%s: \"zip\" is not supported", what);
}

/* from: the object with header and encrypted_key, or NULL in compact form. */
static bool add_recipient(jwe *message, const char *what, const struct json_value *from,
                          struct span encrypted_key, struct error *err)
{
    size_t index = message->count++;
    struct jwe_recipient *r = &message->recipients[index];
    char part[300];
    snprintf(part, sizeof part, "%s.header", what);
    r->header = header_load(json_member(from, "header"), part, err);
    if (!r->header)
        return false;
    r->encrypted_key = encrypted_key;
    if (from && !member_string(from, what, "encrypted_key", false, &r->encrypted_key, err))
        return false;
    const json_t *headers[JWE_HEADERS];
    headers_of(message, index, headers);
    if (!headers_check(message->protected, message->unprotected, r->header, what, err) ||
        !check_zip(headers, what, err))
        return false;
    struct error ignored; /* jwe_alg and jwe_enc tell it to who asks */
    r->alg = algorithm(message, index, JWA_KEY_MANAGEMENT, "alg", &ignored);
    if (index == 0)
        message->enc = algorithm(message, index, JWA_CONTENT, "enc", &ignored);
    return true;
}

static bool read_recipients(jwe *message, const struct json_value *list, struct error *err)
{
    message->serialization = SERIALIZATION_GENERAL;
    if (list->kind != JSON_KIND_ARRAY || list->count == 0 || list->count > LIMIT_RECIPIENTS)
        return error_set(err, RC_MALFORMED, "%s.recipients: not an array of 1 to %d recipients",
                         message->what, LIMIT_RECIPIENTS);
    for (const struct json_value *r = list->first; r; r = r->next) {
        char what[300];
        snprintf(what, sizeof what, "%s.recipients[%zu]", message->what, message->count);
        if (r->kind != JSON_KIND_OBJECT)
            return error_set(err, RC_MALFORMED, "%s: %s, not an object", what,
                             json_kind_name(r->kind));
        if (!add_recipient(message, what, r, SPAN(NULL, 0), err))
            return false;
    }
    return true;
}

jwe *jwe_from_value(const struct json_value *value, const char *what, struct error *err)
{
    AUTO(jwe) *message = jwe_new(what, err);
    if (!message)
        return NULL;
    if (value->kind != JSON_KIND_OBJECT) {
        error_set(err, RC_MALFORMED, "%s: %s, not a JWE", what, json_kind_name(value->kind));
        return NULL;
    }
    if (!member_string(value, what, "protected", false, &message->encoded_protected, err) ||
        !member_string(value, what, "ciphertext", true, &message->ciphertext, err) ||
        !member_string(value, what, "iv", true, &message->iv, err) ||
        !member_string(value, what, "tag", true, &message->tag, err) ||
        !member_string(value, what, "aad", false, &message->aad, err) ||
        !read_headers(message, json_member(value, "unprotected"), err))
        return NULL;
    message->has_aad = json_member(value, "aad") != NULL;
    const struct json_value *list = json_member(value, "recipients");
    if (list && (json_member(value, "encrypted_key") || json_member(value, "header"))) {
        error_set(err, RC_MALFORMED, "%s: \"recipients\" beside a recipient of its own", what);
        error_rule(err, "RFC 7516 section 7.2.2");
        return NULL;
    }
    bool read = list ? read_recipients(message, list, err)
                     : add_recipient(message, what, value, SPAN(NULL, 0), err);
    return read ? TAKE(message) : NULL;
}

static jwe *from_segments(const struct span segments[5], const char *what, struct error *err)
{
    AUTO(jwe) *message = jwe_new(what, err);
    if (!message)
        return NULL;
    message->serialization = SERIALIZATION_COMPACT;
    message->encoded_protected = segments[0];
    message->iv = segments[2];
    message->ciphertext = segments[3];
    message->tag = segments[4];
    return read_headers(message, NULL, err) && add_recipient(message, what, NULL, segments[1], err)
               ? TAKE(message)
               : NULL;
}

jwe *jwe_parse(struct span text, const char *what, struct error *err)
{
    AUTO(json_doc) *doc = NULL;
    struct span segments[5];
    if (!serialization_read(text, what, &doc, segments, COUNT(segments), err))
        return NULL;
    jwe *message = doc ? jwe_from_value(json_root(doc), what, err)
                       : from_segments(segments, what, err);
    if (message)
        message->doc = TAKE(doc);
    return message;
}

static buffer *part_decode(const jwe *message, struct span text, const char *part,
                           struct error *err)
{
    char what[300];
    snprintf(what, sizeof what, "%s.%s", message->what, part);
    return base64url_decode(text, what, err);
}

buffer *jwe_decrypt_with_cek(const jwe *message, struct span cek, struct error *err)
{
    const struct jwa *enc = jwe_enc(message, err);
    AUTO(buffer) *iv = enc ? part_decode(message, message->iv, "iv", err) : NULL;
    AUTO(buffer) *tag = iv ? part_decode(message, message->tag, "tag", err) : NULL;
    /* what is authenticated is its encoded form, which must be a sound one all the same */
    AUTO(buffer) *unused = tag ? part_decode(message, message->aad, "aad", err) : NULL;
    AUTO(buffer) *text = unused ? part_decode(message, message->ciphertext, "ciphertext", err)
                                : NULL;
    if (!text)
        return NULL;
    const struct span aad[] = {message->encoded_protected, span_text("."), message->aad};
    size_t pieces = message->has_aad ? COUNT(aad) : 1;
    if (content_open(enc, cek, aad, pieces, buffer_span(iv), buffer_span(tag), text, err))
        return TAKE(text);
    error_prefix(err, "%s", message->what);
    return NULL;
}

static buffer *recipient_cek(const jwe *message, size_t r, const struct jwa *enc, const key *k,
                             struct error *err)
{
    const struct jwa *alg = jwe_alg(message, r, err);
    if (!alg)
        return NULL;
    if (!jwa_fits(alg, k, "unwrapKey", err)) {
        err->rc = RC_DECRYPT;
        error_prefix(err, "%s", message->what);
        return NULL;
    }
    AUTO(buffer) *encrypted = part_decode(message, message->recipients[r].encrypted_key,
                                          "encrypted_key", err);
    if (!encrypted)
        return NULL;
    const json_t *headers[JWE_HEADERS];
    headers_of(message, r, headers);
    buffer *cek = key_unwrap(alg, enc, k, buffer_span(encrypted), headers, COUNT(headers), err);
    if (!cek)
        error_prefix(err, "%s", message->what);
    return cek;
}

/* The plaintext when k is the key of recipient r; cek as in jwe_decrypt. */
static buffer *open_as(const jwe *message, size_t r, const key *k, buffer **cek, struct error *err)
{
    const struct jwa *enc = jwe_enc(message, err);
    AUTO(buffer) *found = enc ? recipient_cek(message, r, enc, k, err) : NULL;
    buffer *text = found ? jwe_decrypt_with_cek(message, buffer_span(found), err) : NULL;
    if (text && cek)
        *cek = TAKE(found);
    return text;
}

buffer *jwe_decrypt(const jwe *message, key *const *keys, size_t count, buffer **cek,
                    struct error *err)
{
    error_set(err, RC_DECRYPT, "%s: no key to open it with", message->what);
    for (size_t r = 0; r < message->count; r++)
        for (size_t i = 0; i < count; i++) {
            buffer *text = open_as(message, r, keys[i], cek, err);
            if (text)
                return text;
        }
    return NULL;
}

/* Whether a key is on the curve of the sender's ephemeral key: another one cannot be meant. */
static bool on_curve_of(const key *k, const json_t *epk)
{
    const char *crv = json_string_value(json_object_get(epk, "crv"));
    const char *own = pkey_curve(k->pkey);
    if (!crv || !k->pkey)
        return true;
    return strcasecmp(own ? own : EVP_PKEY_get0_type_name(k->pkey), crv) == 0;
}

/* The keys of the set that may be meant: none when none is on the curve of the sender's ephemeral
 * key. Their array is the caller's, the keys are the set's. */
static key_set candidates(const json_t *const headers[JWE_HEADERS], const key_set *keys)
{
    const json_t *epk = headers_value(headers, JWE_HEADERS, "epk");
    key_set some = {.keys = calloc(keys->count, sizeof *some.keys)};
    for (size_t i = 0; some.keys && i < keys->count; i++)
        if (!epk || on_curve_of(keys->keys[i], epk))
            some.keys[some.count++] = keys->keys[i];
    return some;
}

/* The one key that kid and alg of recipient r choose; NULL with err set. */
static const key *choose_key(const jwe *message, size_t r, const key_set *keys, bool *ambiguous,
                             struct error *err)
{
    const json_t *headers[JWE_HEADERS];
    headers_of(message, r, headers);
    bool wrong;
    const char *kid = headers_text(headers, COUNT(headers), "kid", &wrong);
    const struct jwa *alg = jwe_alg(message, r, err);
    *ambiguous = false;
    if (!alg)
        return NULL;
    key_set some = candidates(headers, keys);
    const key *k = key_set_choose(some.count ? &some : keys, kid, alg, "unwrapKey", ambiguous, err);
    free(some.keys);
    if (k)
        return k;
    err->rc = RC_DECRYPT; /* asked to open it, the answer is no */
    error_prefix(err, "%s", message->what);
    return NULL;
}

buffer *jwe_decrypt_set(const jwe *message, const key_set *keys, buffer **cek, struct error *err)
{
    error_set(err, RC_DECRYPT, "%s: no key to open it with", message->what);
    for (size_t r = 0; r < message->count; r++) {
        bool ambiguous;
        const key *k = choose_key(message, r, keys, &ambiguous, err);
        buffer *text = k ? open_as(message, r, k, cek, err) : NULL;
        if (text || (!k && ambiguous))
            return text;
    }
    return NULL;
}
