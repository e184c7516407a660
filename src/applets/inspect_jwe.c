/* SPDX-License-Identifier: Apache-2.0 */
/* A JWE as inspect shows it: its parts, and its plaintext where a key at hand opens it. */
#include "applets/inspect_jose.h"

#include <stdio.h>
#include <string.h>

#include "otrp/algorithm.h"
#include "otrp/foreign.h"

bool value_is_jwe(const struct json_value *v)
{
    return json_member(v, "ciphertext") && (json_member(v, "tag") || json_member(v, "iv"));
}

/* Whether the recipient's key may be the one: tried in turn. */
static buffer *open_jwe(look *l, const jwe *message, char from[200], buffer **cek)
{
    struct error ignored;
    const struct jwa *enc = jwe_enc(message, &ignored);
    for (size_t i = 0; i < l->cek_count && i < KNOWN_MOST; i++) {
        const struct known_cek *known = &l->ceks[i];
        if (!known->cek || !enc || known->cek->size != enc->bytes)
            continue;
        buffer *text = jwe_decrypt_with_cek(message, buffer_span(known->cek), &ignored);
        if (!text)
            continue;
        snprintf(from, 200, "the CEK of %s", known->from);
        *cek = buffer_copy(buffer_span(known->cek));
        return text;
    }
    for (size_t i = 0; i < l->keys->count; i++) {
        key *k = l->keys->keys[i];
        buffer *text = k->private ? jwe_decrypt(message, &k, 1, cek, &ignored) : NULL;
        if (!text && k->oct && enc && k->oct->size == enc->bytes) {
            text = jwe_decrypt_with_cek(message, buffer_span(k->oct), &ignored);
            *cek = text ? buffer_copy(buffer_span(k->oct)) : NULL;
        }
        if (!text)
            continue;
        snprintf(from, 200, "%s", k->name);
        return text;
    }
    return NULL;
}

static const char *text_in(const json_t *header, const char *name)
{
    return json_string_value(json_object_get(header, name));
}

static void check_jwe_algorithms(look *l, const char *path, const char *alg, const char *enc)
{
    const struct jwa *known = alg ? jwa_find(JWA_KEY_MANAGEMENT, alg) : NULL;
    if (alg && strcmp(alg, "ECDH-ES+A128W") == 0)
        deviate(l, path, DEVIATION_JWE_MISSPELT);
    else if (alg && strcmp(alg, "ECDH-ES") == 0)
        deviate(l, path, DEVIATION_JWE_DIRECT);
    else if (alg && (!known || !otrp_algorithm(known)))
        deviation_add(&l->report, path, deviation_row(DEVIATION_JWE_ALG)->section, "alg %.40s: %s",
                      alg, deviation_row(DEVIATION_JWE_ALG)->what);
    known = enc ? jwa_find(JWA_CONTENT, enc) : NULL;
    if (enc && (!known || !otrp_algorithm(known)))
        deviation_add(&l->report, path, deviation_row(DEVIATION_JWE_ENC)->section, "enc %.40s: %s",
                      enc, deviation_row(DEVIATION_JWE_ENC)->what);
}

static void check_jwe(look *l, const char *path, const jwe *m)
{
    const char *alg = text_in(m->recipients[0].header, "alg");
    if (m->serialization == SERIALIZATION_FLATTENED)
        deviate(l, path, DEVIATION_JWE_FLATTENED);
    else if (m->serialization == SERIALIZATION_COMPACT)
        deviate(l, path, DEVIATION_JWE_COMPACT);
    else if (m->count != 1)
        deviate(l, path, DEVIATION_JWE_RECIPIENTS);
    if (text_in(m->protected, "alg"))
        deviate(l, path, DEVIATION_JWE_ALG_PROTECTED);
    else if (!alg)
        deviate(l, path, DEVIATION_JWE_ALG_SHARED);
    if (!text_in(m->protected, "enc"))
        deviate(l, path, DEVIATION_JWE_ENC_PROTECTED);
    if (m->has_aad)
        deviate(l, path, DEVIATION_JWE_AAD);
    if (!alg)
        alg = text_in(m->protected, "alg") ? text_in(m->protected, "alg")
                                           : text_in(m->unprotected, "alg");
    check_jwe_algorithms(l, path, alg,
                         text_in(m->protected, "enc") ? text_in(m->protected, "enc")
                                                      : text_in(m->unprotected, "enc"));
}

static void put_header(look *l, struct layer *layer, const char *path, const json_t *header)
{
    AUTO(buffer) *text = json_object_size(header) ? json_compact(header) : NULL;
    AUTO(buffer) *mended = NULL;
    struct error err;
    AUTO(json_doc) *doc = text ? read_document(l, buffer_span(text), path, &mended, &err) : NULL;
    if (doc)
        show_value(l, layer, path, json_root(doc));
}

static void show_jwe_parts(look *l, struct layer *layer, const jwe *m)
{
    static const char *const forms[] = {"flattened", "compact", "general"};
    struct error err;
    const struct jwa *alg = jwe_alg(m, 0, &err), *enc = jwe_enc(m, &err);
    row_words(layer, "form", TONE_PLAIN, "%s serialisation, %s, %s, %zu recipient%s",
              forms[m->serialization], alg ? alg->name : "alg unknown",
              enc ? enc->name : "enc unknown", m->count, m->count == 1 ? "" : "s");
    put_header(l, layer, "protected", m->protected);
    put_header(l, layer, "unprotected", m->unprotected);
    for (size_t i = 0; i < m->count; i++) {
        char name[60];
        snprintf(name, sizeof name, "recipients[%zu].header", i);
        put_header(l, layer, name, m->recipients[i].header);
        snprintf(name, sizeof name, "recipients[%zu].encrypted_key", i);
        row_words(layer, name, TONE_PLAIN, "%zu characters", m->recipients[i].encrypted_key.size);
    }
    row_words(layer, "ciphertext", TONE_PLAIN, "%zu characters; iv %zu, tag %zu",
              m->ciphertext.size, m->iv.size, m->tag.size);
}

static buffer *show_opened(look *l, struct layer *layer, const jwe *message)
{
    char from[200];
    buffer *cek = NULL;
    buffer *text = open_jwe(l, message, from, &cek);
    if (!text) {
        row_words(layer, "plaintext", TONE_NOTE, "no key at hand opens it");
        return NULL;
    }
    row_words(layer, "opened", TONE_GOOD, "with %s", from);
    if (cek && l->report.secrets)
        row_bytes(layer, "cek", buffer_span(cek), TONE_NOTE);
    buffer_free(l->last_cek);
    l->last_cek = cek;
    return text;
}

buffer *show_jwe(look *l, const char *path, const struct json_value *v, bool otrp)
{
    struct error err;
    AUTO(jwe) *message = jwe_from_value(v, path, &err);
    struct layer layer = layer_add(&l->report, path, "JWE");
    l->nesting++;
    if (!message) {
        deviation_add(&l->report, path, deviation_row(DEVIATION_JWE_BROKEN)->section, "%s",
                      err.message);
        message = foreign_jwe(v, path, &(struct reading){.lenient = true}, &err);
    } else if (message->encoded_protected.size) {
        said parsed = {.bytes = NULL};
        AUTO(said) *h = &parsed;
        header_read(l, path, NULL, message->encoded_protected, h);
    }
    buffer *text = NULL;
    if (message) {
        if (otrp)
            check_jwe(l, path, message);
        show_jwe_parts(l, &layer, message);
        text = show_opened(l, &layer, message);
    } else {
        layer.depth++;
        for (const struct json_value *m = v->first; m; m = m->next)
            row_words(&layer, "member", TONE_PLAIN, "%.*s, %zu bytes",
                      (int)(m->name.size < 60 ? m->name.size : 60), (const char *)m->name.data,
                      m->text.size);
    }
    if (text && !otrp) {
        struct layer plain = layer_add(&l->report, "plaintext", "%zu bytes", text->size);
        show_bytes_deeply(l, &plain, "plaintext", buffer_span(text));
    }
    l->nesting--;
    return text;
}

void show_compact_jwe(look *l, const char *path, struct span text)
{
    struct error err;
    AUTO(jwe) *message = jwe_parse(text, *path ? path : "JWE", &err);
    struct layer layer = layer_add(&l->report, *path ? path : "envelope",
                                   "JWE, compact serialisation");
    if (!message) {
        row_words(&layer, "problem", TONE_BAD, "%s", err.message);
        return;
    }
    show_jwe_parts(l, &layer, message);
    AUTO(buffer) *opened = show_opened(l, &layer, message);
    if (!opened)
        return;
    struct layer plain = layer_add(&l->report, "plaintext", "%zu bytes", opened->size);
    show_bytes_deeply(l, &plain, "plaintext", buffer_span(opened));
}
