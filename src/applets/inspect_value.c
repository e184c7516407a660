/* SPDX-License-Identifier: Apache-2.0 */
/* Values of JSON, and the certificates, keys and OCSP responses that stand in them. */
#include "applets/inspect.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/sha.h>

#include "jose/jwk.h"
#include "otrp/unearth_json.h"
#include "pki/describe.h"
#include "util/base64.h"
#include "util/text_form.h"
#include "util/utf8.h"

enum { DEPTH_SHOWN = 12, BINARY_LEAST = 44 };

void deviate(look *l, const char *path, enum deviation id)
{
    const struct deviation_row *row = deviation_row(id);
    deviation_add(&l->report, path, row->section, "%s", row->what);
}

void report_deviation(void *look_, const char *path, const char *section, const char *what)
{
    look *l = look_;
    if (!l->cut || strcmp(what, "missing") != 0) /* it may have been there */
        deviation_add(&l->report, path, section, "%s", what);
}

/* ---- documents ---- */

/* A copy in which what is no UTF-8 is U+FFFD; NULL when all of it is. */
static buffer *mend_utf8(struct span text)
{
    AUTO(buffer) *out = NULL;
    size_t start = 0;
    for (size_t i = 0, length; i < text.size; i += length) {
        length = utf8_length(text.data + i, text.size - i);
        if (length)
            continue;
        if (!out && !(out = buffer_secret(text.size + 64)))
            return NULL;
        buffer_put(out, text.data + start, i - start);
        buffer_put_text(out, "\xef\xbf\xbd");
        start = i + 1;
        length = 1;
    }
    if (out)
        buffer_put(out, text.data + start, text.size - start);
    return out && !out->failed ? TAKE(out) : NULL;
}

/* The text with its quotes made straight and, when the whole is cut off, closed. */
static json_doc *read_mended(look *l, struct span text, const char *path, buffer **mended,
                             struct error *twice)
{
    struct mended attempt;
    struct error ignored;
    if (!text.size || (text.data[0] != '{' && text.data[0] != '[') || !json_mend(text, 0, &attempt))
        return NULL;
    bool cut = attempt.how & UNEARTHED_CUT;
    bool whole = attempt.end >= text.size ||
                 span_trim(SPAN(text.data + attempt.end, text.size - attempt.end)).size == 0;
    json_doc *doc = cut == l->cut && (whole || cut)
                        ? json_doc_read(buffer_span(attempt.text), path, twice, &ignored)
                        : NULL;
    if (!doc) {
        buffer_free(attempt.text);
        return NULL;
    }
    if (attempt.how & UNEARTHED_QUOTES)
        deviate(l, path, DEVIATION_QUOTES);
    if (attempt.how & UNEARTHED_COMMA)
        deviate(l, path, DEVIATION_COMMA);
    buffer_free(*mended);
    *mended = attempt.text;
    return doc;
}

json_doc *read_document(look *l, struct span text, const char *path, buffer **mended,
                        struct error *err)
{
    struct error twice = {.rc = RC_OK};
    *mended = NULL;
    json_doc *doc = json_doc_read(text, path, &twice, err);
    if (doc == NULL && (*mended = mend_utf8(text)))
        doc = json_doc_read(buffer_span(*mended), path, &twice, err);
    bool utf8 = *mended == NULL;
    if (!doc)
        doc = read_mended(l, utf8 ? text : buffer_span(*mended), path, mended, &twice);
    if (doc && !utf8)
        deviate(l, path, DEVIATION_NOT_UTF8);
    if (doc && twice.rc != RC_OK)
        deviation_add(&l->report, path, deviation_row(DEVIATION_DUPLICATE)->section, "%s",
                      twice.message + strlen(path) + 2);
    return doc;
}

/* ---- bytes as text ---- */

buffer *decode_loosely(struct span text, enum deviation *form)
{
    struct error ignored;
    if (!text.size || text.size > LIMIT_KEY_BYTES * 2)
        return NULL;
    *form = DEVIATION_HEX;
    buffer *bytes = hex_decode(text);
    if (bytes)
        return bytes;
    *form = DEVIATION_COUNT;
    if ((bytes = base64_decode(text, "", &ignored)))
        return bytes;
    *form = DEVIATION_BASE64URL;
    return base64url_decode(text, "", &ignored);
}

/* ---- certificates, keys, OCSP responses ---- */

static const char *fact(const json_t *facts, const char *name)
{
    const char *text = json_string_value(json_object_get(facts, name));
    return text ? text : "?";
}

void show_cert(struct layer *layer, const char *path, X509 *cert)
{
    json_t *facts = cert_facts(cert);
    if (!facts)
        return;
    const char *tamid = json_string_value(json_object_get(facts, "tamid"));
    const char *did = json_string_value(json_object_get(facts, "did"));
    bool whole = layer->report->value_bytes == SIZE_MAX;
    json_t *row = row_words(layer, path, TONE_PLAIN,
                            "%s; issuer %s; %.10s to %.10s; %s%s%s%s; sha256 %.*s%s",
                            fact(facts, "subject"), fact(facts, "issuer"),
                            fact(facts, "not_before"), fact(facts, "not_after"), fact(facts, "key"),
                            tamid ? "; tamid "
                            : did ? "; did "
                                  : "",
                            tamid ? tamid
                            : did ? did
                                  : "",
                            json_is_true(json_object_get(facts, "ca")) ? "; CA" : "",
                            whole ? 64 : 16, fact(facts, "sha256"), whole ? "" : "...");
    if (row)
        json_object_set(row, "certificate", facts);
    json_decref(facts);
}

static void show_ocsp(look *l, struct layer *layer, const char *path, json_t *facts, time_t updated)
{
    if (updated > l->message_time)
        l->message_time = updated;
    const json_t *single = json_array_get(json_object_get(facts, "responses"), 0);
    json_t *row =
        single ? row_words(layer, path, TONE_PLAIN,
                           "OCSP response: serial %s is %s%s%s; %s to %s; responder %s",
                           fact(single, "serial"), fact(single, "status"),
                           json_object_get(single, "revoked_at") ? " since " : "",
                           json_object_get(single, "revoked_at") ? fact(single, "revoked_at") : "",
                           fact(single, "this_update"), fact(single, "next_update"),
                           fact(facts, "responder"))
               : row_words(layer, path, TONE_PLAIN, "OCSP response: %s", fact(facts, "status"));
    if (row)
        json_object_set(row, "ocsp", facts);
}

static void show_crl(struct layer *layer, const char *path, json_t *facts)
{
    char serials[400] = "";
    size_t i, length = 0;
    const json_t *serial, *list = json_object_get(facts, "serials");
    json_int_t count = json_integer_value(json_object_get(facts, "entries"));
    json_array_foreach (list, i, serial)
        length += (size_t)snprintf(serials + length, sizeof serials - length, "%s%.42s",
                                   i ? ", " : ": ", json_string_value(serial));
    json_t *row = row_words(
        layer, path, TONE_PLAIN, "revocation list %s; issuer %s; %s to %s; %lld revoked%s%s",
        fact(facts, "number"), fact(facts, "issuer"), fact(facts, "this_update"),
        fact(facts, "next_update"), (long long)count, serials,
        count > (json_int_t)json_array_size(list) ? ", ..." : "");
    if (row)
        json_object_set(row, "crl", facts);
}

static void show_csr(struct layer *layer, const char *path, json_t *facts)
{
    bool possession = json_is_true(json_object_get(facts, "possession"));
    json_t *row = row_words(
        layer, path, possession ? TONE_PLAIN : TONE_BAD, "signing request; %s; %s; %s",
        fact(facts, "subject"), fact(facts, "key"),
        possession ? "signed with its own key" : "not signed with the key that it is for");
    if (row)
        json_object_set(row, "csr", facts);
}

static bool show_key_der(look *l, struct layer *layer, const char *path, struct span der)
{
    char about[40];
    struct error ignored;
    bool private = false;
    EVP_PKEY *pkey = pkey_decode(der, "SubjectPublicKeyInfo", NULL, EVP_PKEY_PUBLIC_KEY);
    if (!pkey)
        pkey = pkey_decode(der, "type-specific", "RSA", EVP_PKEY_PUBLIC_KEY);
    if (!pkey) {
        private = true;
        pkey = pkey_from_pkcs8(der);
    }
    if (!pkey)
        pkey = pkey_decode(der, NULL, NULL, EVP_PKEY_KEYPAIR);
    ERR_clear_error();
    AUTO(key) *k = pkey ? key_from_pkey(pkey, private, path, &ignored) : NULL;
    if (!k)
        return false;
    row_words(layer, path, TONE_PLAIN, "%s key, %s", private ? "private" : "public",
              key_describe(k, about));
    if (private && l->report.secrets)
        row_bytes(layer, path, der, TONE_NOTE);
    return true;
}

bool show_der(look *l, struct layer *layer, const char *path, struct span der)
{
    struct error ignored;
    time_t updated;
    if (der.size < 16 || der.size > LIMIT_KEY_BYTES || der.data[0] != 0x30)
        return false;
    AUTO(X509) *cert = cert_from_der(der, path, &ignored);
    if (cert) {
        show_cert(layer, path, cert);
        return true;
    }
    AUTO(json_t) *facts = ocsp_facts(der, &updated);
    if (facts) {
        show_ocsp(l, layer, path, facts, updated);
        return true;
    }
    AUTO(json_t) *crl = crl_facts(der);
    AUTO(json_t) *csr = crl ? NULL : csr_facts(der);
    if (crl)
        show_crl(layer, path, crl);
    if (csr)
        show_csr(layer, path, csr);
    if (crl || csr)
        return true;
    return show_key_der(l, layer, path, der);
}

/* ---- JWK ---- */

static bool is_secret_member(struct span name)
{
    static const char *const names[] = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (span_is(name, names[i]))
            return true;
    return false;
}

/* Whether the bits of the key make one, and what they are. */
static void show_key(struct layer *layer, const char *path, const struct json_value *jwk)
{
    char about[40];
    struct error err;
    AUTO(json_t) *json = json_load_value(jwk, path, &err);
    AUTO(key) *k = json ? jwk_to_key(json, path, true, &err) : NULL;
    AUTO(char) *thumbprint = k ? jwk_thumbprint(json, &err) : NULL;
    if (!k) {
        row_words(layer, path, TONE_BAD, "JWK that is no key: %s", err.message);
        return;
    }
    row_words(layer, path, TONE_PLAIN, "JWK: %s key, %s%s%s",
              k->oct       ? "symmetric"
              : k->private ? "private"
                           : "public",
              key_describe(k, about), thumbprint ? "; thumbprint " : "",
              thumbprint ? thumbprint : "");
}

void show_jwk(look *l, struct layer *layer, const char *path, const struct json_value *jwk)
{
    show_key(layer, path, jwk);
    layer->depth++;
    for (const struct json_value *v = jwk->first; v; v = v->next) {
        char name[400];
        snprintf(name, sizeof name, "%s.%.*s", path, (int)(v->name.size < 80 ? v->name.size : 80),
                 (const char *)v->name.data);
        if (is_secret_member(v->name))
            row_secret(layer, name, v->kind == JSON_KIND_STRING ? v->string : v->text);
        else if (v->kind == JSON_KIND_STRING)
            row_text(layer, name, v->string, TONE_PLAIN);
        else
            show_value(l, layer, name, v);
    }
    layer->depth--;
}

/* ---- values ---- */

static bool is_jwk(const struct json_value *object)
{
    const struct json_value *kty = json_member(object, "kty");
    return kty && kty->kind == JSON_KIND_STRING;
}

static bool is_compact(struct span s)
{
    size_t dots = 0;
    if (s.size < 40 || s.size > LIMIT_SMALL_JSON || memcmp(s.data, "eyJ", 3) != 0)
        return false;
    for (size_t i = 0; i < s.size; i++)
        dots += s.data[i] == '.';
    return dots == 2 || dots == 4;
}

static void show_string(look *l, struct layer *layer, const char *path, struct span s)
{
    enum deviation form;
    if (is_compact(s) && l->nesting < 8) {
        row_words(layer, path, TONE_DIM, "JOSE in compact serialisation: below");
        show_compact(l, path, s);
        return;
    }
    AUTO(buffer) *bytes = s.size >= BINARY_LEAST ? decode_loosely(s, &form) : NULL;
    if (bytes && show_der(l, layer, path, buffer_span(bytes)))
        return;
    row_text(layer, path, s, TONE_PLAIN);
}

static void show_elements(look *l, struct layer *layer, const char *path,
                          const struct json_value *array)
{
    size_t i = 0;
    if (array->count == 0) {
        row_text(layer, path, span_text("[]"), TONE_DIM);
        return;
    }
    row_words(layer, path, TONE_DIM, "array of %u", array->count);
    layer->depth++;
    for (const struct json_value *v = array->first; v && layer->left; v = v->next) {
        char name[420];
        snprintf(name, sizeof name, "%s[%zu]", path, i++);
        show_value(l, layer, name, v);
    }
    layer->depth--;
}

void show_members(look *l, struct layer *layer, const char *path, const struct json_value *object)
{
    for (const struct json_value *v = object->first; v && layer->left; v = v->next) {
        char name[400];
        snprintf(name, sizeof name, "%.300s%s%.*s", path, *path ? "." : "",
                 (int)(v->name.size < 80 ? v->name.size : 80), (const char *)v->name.data);
        show_value(l, layer, name, v);
    }
}

static void show_object(look *l, struct layer *layer, const char *path,
                        const struct json_value *object)
{
    if (is_jwk(object)) {
        show_jwk(l, layer, path, object);
    } else if (l->nesting < 8 && value_is_jws(object)) {
        row_words(layer, path, TONE_DIM, "JWS: below");
        show_jws(l, path, object, (struct signed_as){.kind = SIGNED_BARE});
    } else if (l->nesting < 8 && value_is_jwe(object)) {
        row_words(layer, path, TONE_DIM, "JWE: below");
        buffer_free(show_jwe(l, path, object, false));
    } else if (object->count == 0) {
        row_text(layer, path, span_text("{}"), TONE_DIM);
    } else {
        row_words(layer, path, TONE_DIM, "object of %u", object->count);
        layer->depth++;
        show_members(l, layer, path, object);
        layer->depth--;
    }
}

void show_value(look *l, struct layer *layer, const char *path, const struct json_value *value)
{
    bool container = value->kind == JSON_KIND_OBJECT || value->kind == JSON_KIND_ARRAY;
    if (container && layer->depth >= DEPTH_SHOWN)
        row_text(layer, path, value->text, TONE_PLAIN);
    else if (value->kind == JSON_KIND_OBJECT)
        show_object(l, layer, path, value);
    else if (value->kind == JSON_KIND_ARRAY)
        show_elements(l, layer, path, value);
    else if (value->kind == JSON_KIND_STRING)
        show_string(l, layer, path, value->string);
    else
        row_text(layer, path, value->text, TONE_PLAIN);
}

/* Whether all of it can be read as text. */
static bool is_text(struct span bytes)
{
    for (size_t i = 0, length; i < bytes.size; i += length) {
        length = utf8_length(bytes.data + i, bytes.size - i);
        if (!length || bytes.data[i] == 0)
            return false;
    }
    return bytes.size > 0;
}

/* Raw bytes as long as a key are taken for one. */
static bool may_be_key(struct span bytes)
{
    return bytes.size == 16 || bytes.size == 24 || bytes.size == 32 || bytes.size == 48 ||
           bytes.size == 64;
}

void show_bytes(look *l, struct layer *layer, const char *path, struct span bytes)
{
    if (bytes.size == 0)
        row_words(layer, path, TONE_DIM, "(empty)");
    else if (is_text(bytes))
        row_text(layer, path, bytes, TONE_PLAIN);
    else if (show_der(l, layer, path, bytes))
        return;
    else if (may_be_key(bytes) && !l->report.secrets)
        row_secret(layer, path, bytes);
    else
        row_bytes(layer, path, bytes, TONE_PLAIN);
}
