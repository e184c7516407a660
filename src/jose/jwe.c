/* SPDX-License-Identifier: Apache-2.0 */
#include "jose/jwe.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "jose/content.h"
#include "jose/key_wrap.h"
#include "util/base64.h"
#include "util/secret.h"

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

/* from: the object with header and encrypted_key, or NULL in compact form. */
static bool add_recipient(jwe *message, const char *what, const struct json_value *from,
                          struct span encrypted_key, struct error *err)
{
    struct jwe_recipient *r = &message->recipients[message->count++];
    char part[300];
    snprintf(part, sizeof part, "%s.header", what);
    r->header = header_load(json_member(from, "header"), part, err);
    if (!r->header)
        return false;
    r->encrypted_key = encrypted_key;
    if (from && !member_string(from, what, "encrypted_key", false, &r->encrypted_key, err))
        return false;
    if (!headers_check(message->protected, message->unprotected, r->header, what, err))
        return false;
    if (!json_object_get(message->protected, "zip") &&
        !json_object_get(message->unprotected, "zip") && !json_object_get(r->header, "zip"))
        return true;
    return error_set(err, RC_MALFORMED, "%s: \"zip\" is not supported", what);
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

jwe *jwe_parse(struct span text, const char *what, struct error *err)
{
    text = span_trim(text);
    if (text.size && text.data[0] == '{') {
        AUTO(json_doc) *doc = json_doc_parse(text, what, err);
        jwe *message = doc ? jwe_from_value(json_root(doc), what, err) : NULL;
        if (message)
            message->doc = TAKE(doc);
        return message;
    }
    struct span s[5];
    if (!compact_split(text, what, 5, s, err))
        return NULL;
    AUTO(jwe) *message = jwe_new(what, err);
    if (!message)
        return NULL;
    message->serialization = SERIALIZATION_COMPACT;
    message->encoded_protected = s[0];
    message->iv = s[2];
    message->ciphertext = s[3];
    message->tag = s[4];
    return read_headers(message, NULL, err) && add_recipient(message, what, NULL, s[1], err)
               ? TAKE(message)
               : NULL;
}

static const struct jwa *algorithm(const jwe *message, const json_t *const *headers, size_t count,
                                   enum jwa_kind kind, const char *parameter, struct error *err)
{
    bool wrong;
    const char *name = headers_text(headers, count, parameter, &wrong);
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
    const json_t *headers[] = {message->recipients[recipient].header, message->protected,
                               message->unprotected};
    return algorithm(message, headers, COUNT(headers), JWA_KEY_MANAGEMENT, "alg", err);
}

const struct jwa *jwe_enc(const jwe *message, struct error *err)
{
    const json_t *headers[] = {message->protected, message->unprotected,
                               message->recipients[0].header};
    return algorithm(message, headers, COUNT(headers), JWA_CONTENT, "enc", err);
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
    AUTO(buffer) *decoded_aad = tag ? part_decode(message, message->aad, "aad", err) : NULL;
    if (!decoded_aad)
        return NULL;
    AUTO(buffer) *text = tag ? part_decode(message, message->ciphertext, "ciphertext", err) : NULL;
    if (!text)
        return NULL;
    const struct span aad[] = {message->encoded_protected, span_text("."), message->aad};
    size_t pieces = message->has_aad ? COUNT(aad) : 1;
    if (content_open(enc, cek, aad, pieces, buffer_span(iv), buffer_span(tag), text, err))
        return TAKE(text);
    error_prefix(err, "%s", message->what);
    return NULL;
}

static buffer *recipient_cek(const jwe *message, size_t i, const struct jwa *enc, const key *k,
                             struct error *err)
{
    const struct jwa *alg = jwe_alg(message, i, err);
    if (!alg)
        return NULL;
    if (!jwa_fits(alg, k, "unwrapKey", err)) {
        err->rc = RC_DECRYPT;
        error_prefix(err, "%s", message->what);
        return NULL;
    }
    const struct jwe_recipient *r = &message->recipients[i];
    AUTO(buffer) *encrypted = part_decode(message, r->encrypted_key, "encrypted_key", err);
    const json_t *headers[] = {r->header, message->protected, message->unprotected};
    buffer *cek = encrypted ? key_unwrap(alg, enc, k, buffer_span(encrypted), headers,
                                         COUNT(headers), err)
                            : NULL;
    if (encrypted && !cek)
        error_prefix(err, "%s", message->what);
    return cek;
}

buffer *jwe_decrypt(const jwe *message, key *const *keys, size_t count, buffer **cek,
                    struct error *err)
{
    const struct jwa *enc = jwe_enc(message, err);
    if (!enc)
        return NULL;
    error_set(err, RC_DECRYPT, "%s: no key to open it with", message->what);
    for (size_t r = 0; r < message->count; r++)
        for (size_t i = 0; i < count; i++) {
            AUTO(buffer) *found = recipient_cek(message, r, enc, keys[i], err);
            buffer *text = found ? jwe_decrypt_with_cek(message, buffer_span(found), err) : NULL;
            if (!text)
                continue;
            if (cek)
                *cek = TAKE(found);
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

/* The keys of the set that may be meant for recipient r; their array is the caller's, the keys are
 * the set's. */
static key_set candidates(const jwe *message, size_t r, const key_set *keys)
{
    const json_t *epk = json_object_get(message->recipients[r].header, "epk");
    key_set some = {.keys = calloc(keys->count, sizeof *some.keys)};
    if (!epk)
        epk = json_object_get(message->protected, "epk");
    for (size_t i = 0; some.keys && i < keys->count; i++)
        if (!epk || on_curve_of(keys->keys[i], epk))
            some.keys[some.count++] = keys->keys[i];
    if (some.count)
        return some;
    free(some.keys);
    return (key_set){.keys = NULL};
}

/* The one key that kid and alg of recipient r choose; NULL with err set. */
static const key *choose_key(const jwe *message, size_t r, const key_set *keys, bool *ambiguous,
                             struct error *err)
{
    const json_t *headers[] = {message->recipients[r].header, message->protected,
                               message->unprotected};
    bool wrong;
    const char *kid = headers_text(headers, COUNT(headers), "kid", &wrong);
    const struct jwa *alg = jwe_alg(message, r, err);
    *ambiguous = false;
    if (!alg)
        return NULL;
    key_set some = candidates(message, r, keys);
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
        if (!k && ambiguous)
            return NULL;
        const struct jwa *enc = k ? jwe_enc(message, err) : NULL;
        AUTO(buffer) *found = enc ? recipient_cek(message, r, enc, k, err) : NULL;
        buffer *text = found ? jwe_decrypt_with_cek(message, buffer_span(found), err) : NULL;
        if (!text)
            continue;
        if (cek)
            *cek = TAKE(found);
        return text;
    }
    return NULL;
}

static buffer *cek_for(const struct jwe_how *how, const struct jwa *enc, struct error *err)
{
    AUTO(buffer) *cek = buffer_secret(enc->bytes);
    if (!cek) {
        error_memory(err);
        return NULL;
    }
    if (how->cek.size == 0) {
        cek->size = enc->bytes;
        return random_fill(cek->data, cek->size, err) ? TAKE(cek) : NULL;
    }
    if (how->cek.size != enc->bytes) {
        error_set(err, RC_USAGE, "the CEK has %zu bytes, %s needs %zu", how->cek.size, enc->name,
                  enc->bytes);
        return NULL;
    }
    buffer_put_span(cek, how->cek);
    return TAKE(cek);
}

/* The recipients of a message that is being made: their headers and encrypted keys. */
struct wrapped {
    json_t *header[LIMIT_RECIPIENTS];
    buffer *key[LIMIT_RECIPIENTS];
    size_t count;
};

static void wrapped_free(struct wrapped *w)
{
    for (size_t i = 0; i < w->count; i++) {
        json_decref(w->header[i]);
        buffer_free(w->key[i]);
    }
}

/* An algorithm that fixes the CEK leaves no room for other recipients, nor for a given CEK. */
static bool check_alone(const struct jwe_how *how, const struct jwa *alg, struct error *err)
{
    if (!jwa_fixes_cek(alg) || (how->count == 1 && how->cek.size == 0))
        return true;
    return error_set(err, RC_USAGE, "%s makes the content encryption key itself: %s", alg->name,
                     how->count > 1 ? "there can be one recipient only" : "none can be given");
}

static bool wrap_all(const struct jwe_how *how, const struct jwa *enc, buffer **cek,
                     struct wrapped *w, struct error *err)
{
    for (size_t i = 0; i < how->count; i++) {
        const struct jwa *alg = how->alg ? how->alg : jwa_for_encryption(how->keys[i], err);
        if (!alg || !jwa_fits(alg, how->keys[i], "wrapKey", err) || !check_alone(how, alg, err))
            return false;
        if (!*cek && !jwa_fixes_cek(alg) && !(*cek = cek_for(how, enc, err)))
            return false;
        w->header[i] = json_pack("{s:s}", "alg", alg->name);
        w->key[i] = NULL;
        w->count = i + 1;
        w->key[i] = w->header[i] ? key_wrap(alg, enc, how->keys[i], cek, w->header[i], err) : NULL;
        if (!w->key[i])
            return false;
    }
    return true;
}

/* {"enc":...}, what was asked for and, in compact form, the recipient's header; encoded. */
static buffer *protected_header(const struct jwe_how *how, const struct jwa *enc,
                                const struct wrapped *w, struct error *err)
{
    AUTO(json_t) *header = json_object();
    if (how->serialization == SERIALIZATION_COMPACT)
        json_object_update(header, w->header[0]);
    json_object_set_new(header, "enc", json_string(enc->name));
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)how->protected, name, value) {
        const json_t *own = json_object_get(header, name);
        if (own && !json_equal(own, value)) {
            error_set(err, RC_USAGE, "the protected header says \"%s\" otherwise than the options",
                      name);
            return NULL;
        }
        json_object_set(header, name, value);
    }
    if (json_object_get(header, "zip")) {
        error_set(err, RC_USAGE, "\"zip\" is not supported");
        return NULL;
    }
    bool compact = how->serialization == SERIALIZATION_COMPACT;
    if (!headers_check(header, compact ? NULL : w->header[0], NULL, "header", err)) {
        err->rc = RC_USAGE;
        return NULL;
    }
    AUTO(buffer) *text = json_compact(header);
    AUTO(buffer) *encoded = text ? buffer_new(text->size * 2) : NULL;
    if (!encoded) {
        error_memory(err);
        return NULL;
    }
    buffer_put_base64url(encoded, buffer_span(text));
    return TAKE(encoded);
}

static void put_recipient(buffer *out, const struct wrapped *w, size_t i)
{
    AUTO(buffer) *header = json_compact(w->header[i]);
    if (!header) {
        out->failed = true;
        return;
    }
    buffer_put_text(out, "\"header\":");
    buffer_put_span(out, buffer_span(header));
    if (w->key[i]->size == 0)
        return;
    buffer_put_text(out, ",\"encrypted_key\":\"");
    buffer_put_base64url(out, buffer_span(w->key[i]));
    buffer_put_char(out, '"');
}

static void put_json(buffer *out, const struct jwe_how *how, const buffer *protected,
                     const buffer *aad, const struct wrapped *w,
                     const struct content_sealed *sealed)
{
    buffer_put_format(out, "{\"protected\":\"%s\",", (const char *)protected->data);
    if (how->serialization == SERIALIZATION_GENERAL) {
        buffer_put_text(out, "\"recipients\":[");
        for (size_t i = 0; i < w->count; i++) {
            buffer_put_text(out, i ? ",{" : "{");
            put_recipient(out, w, i);
            buffer_put_char(out, '}');
        }
        buffer_put_char(out, ']');
    } else {
        put_recipient(out, w, 0);
    }
    if (aad->size)
        buffer_put_format(out, ",\"aad\":\"%s\"", (const char *)aad->data);
    buffer_put_text(out, ",\"iv\":\"");
    buffer_put_base64url(out, SPAN(sealed->iv, sealed->iv_bytes));
    buffer_put_text(out, "\",\"ciphertext\":\"");
    buffer_put_base64url(out, buffer_span(sealed->ciphertext));
    buffer_put_text(out, "\",\"tag\":\"");
    buffer_put_base64url(out, SPAN(sealed->tag, sealed->tag_bytes));
    buffer_put_text(out, "\"}");
}

static void put_compact(buffer *out, const buffer *protected, const struct wrapped *w,
                        const struct content_sealed *sealed)
{
    buffer_put_span(out, buffer_span(protected));
    buffer_put_char(out, '.');
    buffer_put_base64url(out, buffer_span(w->key[0]));
    buffer_put_char(out, '.');
    buffer_put_base64url(out, SPAN(sealed->iv, sealed->iv_bytes));
    buffer_put_char(out, '.');
    buffer_put_base64url(out, buffer_span(sealed->ciphertext));
    buffer_put_char(out, '.');
    buffer_put_base64url(out, SPAN(sealed->tag, sealed->tag_bytes));
}

static buffer *encrypt_for(const struct jwe_how *how, const struct jwa *enc,
                           const struct wrapped *w, struct span cek, struct span plaintext,
                           struct error *err)
{
    AUTO(buffer) *protected = protected_header(how, enc, w, err);
    AUTO(buffer) *encoded_aad = protected ? buffer_new(how->aad.size * 2 + 4) : NULL;
    if (!encoded_aad)
        return protected ? (error_memory(err), NULL) : NULL;
    buffer_put_base64url(encoded_aad, how->aad);
    struct content_sealed sealed;
    const struct span aad[] = {buffer_span(protected), span_text("."), buffer_span(encoded_aad)};
    if (!content_seal(enc, cek, aad, how->aad.size ? COUNT(aad) : 1, plaintext, &sealed, err))
        return NULL;
    AUTO(buffer) *ciphertext = sealed.ciphertext;
    AUTO(buffer) *out = buffer_new(ciphertext->size / 3 * 4 + encoded_aad->size + 4096);
    if (!out) {
        error_memory(err);
        return NULL;
    }
    if (how->serialization == SERIALIZATION_COMPACT)
        put_compact(out, protected, w, &sealed);
    else
        put_json(out, how, protected, encoded_aad, w, &sealed);
    if (out->failed) {
        error_memory(err);
        return NULL;
    }
    return TAKE(out);
}

buffer *jwe_encrypt(const struct jwe_how *how, struct span plaintext, buffer **cek,
                    struct error *err)
{
    size_t most = how->serialization == SERIALIZATION_GENERAL ? LIMIT_RECIPIENTS : 1;
    if (how->count == 0 || how->count > most) {
        error_set(err, RC_USAGE, "%s serialization takes 1 to %zu recipients, not %zu",
                  serialization_names[how->serialization], most, how->count);
        return NULL;
    }
    if (how->aad.size && how->serialization == SERIALIZATION_COMPACT) {
        error_set(err, RC_USAGE,
                  "compact serialization has no place for additional authenticated data");
        return NULL;
    }
    const struct jwa *enc = how->enc ? how->enc : jwa_find(JWA_CONTENT, "A128CBC-HS256");
    AUTO(buffer) *own = NULL;
    struct wrapped w = {.count = 0};
    buffer *out = wrap_all(how, enc, &own, &w, err)
                      ? encrypt_for(how, enc, &w, buffer_span(own), plaintext, err)
                      : NULL;
    wrapped_free(&w);
    if (out && cek)
        *cek = TAKE(own);
    return out;
}
