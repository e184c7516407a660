/* SPDX-License-Identifier: Apache-2.0 */
/* Making a JWE: the CEK, its wrapping for each recipient, the content, and the form. */
#include "jose/jwe.h"

#include "jose/content.h"
#include "jose/key_wrap.h"
#include "util/base64.h"
#include "util/secret.h"

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
    AUTO(json_t) *own = json_object();
    bool compact = how->serialization == SERIALIZATION_COMPACT;
    if (json_object_get(how->protected, "zip")) {
        error_set(err, RC_USAGE, "\"zip\" is not supported");
        return NULL;
    }
    if (compact)
        json_object_update(own, w->header[0]);
    json_object_set_new(own, "enc", json_string(enc->name));
    return header_encode(own, how->protected, compact ? NULL : w->header[0], err);
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
