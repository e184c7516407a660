/* SPDX-License-Identifier: Apache-2.0 */
/* JWS and JWE as inspect shows them: whatever can be read is, and a signature is tried with every
 * key at hand. */
#include "applets/inspect.h"

#include <stdio.h>
#include <string.h>

#include "jose/jwk.h"
#include "jose/jws.h"
#include "otrp/algorithm.h"
#include "otrp/foreign.h"
#include "otrp/ta_package.h"
#include "pki/chain.h"
#include "pki/describe.h"
#include "pki/x5c.h"
#include "util/base64.h"

enum { LARGE_BYTES = 1 << 20, LARGE_TRIES = 8 };

/* ---- headers ---- */

/* base64url, or what was meant to be: BASE64, padded. Owned by the caller; NULL: neither. */
static buffer *decode_part(look *l, const char *path, struct span text, struct error *err)
{
    struct error ignored;
    buffer *bytes = base64url_decode(text, path, err);
    if (bytes)
        return bytes;
    AUTO(buffer) *plain = buffer_secret(text.size);
    for (size_t i = 0; plain && i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c != '=' && c != '\n' && c != '\r' && c != ' ')
            buffer_put_char(plain, c == '+' ? '-' : c == '/' ? '_' : (char)c);
    }
    if (plain && l->cut)
        plain->size -= plain->size % 4;
    bytes = plain && !plain->failed ? base64url_decode(buffer_span(plain), path, &ignored) : NULL;
    if (bytes && !l->cut)
        deviate(l, path, DEVIATION_BASE64_IN_JOSE);
    return bytes;
}

/* A protected header: what it says, and how it was written. */
struct said {
    buffer *bytes; /* decoded, or NULL */
    buffer *mended;
    json_doc *doc; /* NULL: it is no JSON */
    const struct json_value *root;
};

static void said_free(struct said *h)
{
    json_doc_free(h->doc);
    buffer_free(h->mended);
    buffer_free(h->bytes);
}
typedef struct said said;
AUTO_DEFINE(said, said_free)

static bool has_space(struct span text)
{
    bool inside = false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            inside = !inside;
        if (!inside && (text.data[i] == ' ' || text.data[i] == '\n' || text.data[i] == '\t'))
            return true;
    }
    return false;
}

static void read_header(look *l, const char *path, const struct json_value *value,
                        struct span encoded, struct said *h)
{
    struct error err;
    if (value && value->kind == JSON_KIND_OBJECT) {
        deviate(l, path, DEVIATION_HEADER_OBJECT);
        h->root = value;
        return;
    }
    if (!encoded.size)
        return;
    h->bytes = decode_part(l, path, encoded, &err);
    if (h->bytes)
        h->doc = read_document(l, buffer_span(h->bytes), path, &h->mended, &err);
    h->root = h->doc ? json_root(h->doc) : NULL;
    if (h->root && h->root->kind != JSON_KIND_OBJECT)
        h->root = NULL;
    if (!h->root)
        deviate(l, path, DEVIATION_HEADER_NOT_JSON);
    else if (has_space(buffer_span(h->bytes)))
        deviate(l, path, DEVIATION_HEADER_SPACE);
}

static void show_header(look *l, struct layer *layer, const char *path, const struct said *h)
{
    if (h->root) {
        row_text(layer, path, h->bytes ? buffer_span(h->bytes) : h->root->text, TONE_PLAIN);
        layer->depth++;
        show_members(l, layer, path, h->root);
        layer->depth--;
    } else if (h->bytes) {
        show_bytes(l, layer, path, buffer_span(h->bytes));
    }
}

static struct span string_of(const struct json_value *object, const char *name)
{
    const struct json_value *v = json_member(object, name);
    return v && v->kind == JSON_KIND_STRING ? v->string : SPAN(NULL, 0);
}

/* ---- candidates for a signature ---- */

struct candidate {
    key *key; /* borrowed, unless own */
    bool own;
    X509 *cert;     /* whose key it is, or NULL; borrowed */
    char from[160]; /* "header.x5c[0]" */
};

enum { CANDIDATES_MOST = 320 };

struct candidates {
    struct candidate list[CANDIDATES_MOST];
    size_t count;
    X509_stack *certs; /* of the headers: signer first */
};

static void candidates_free(struct candidates *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->list[i].own)
            key_free(c->list[i].key);
    sk_X509_pop_free(c->certs, X509_free);
    free(c);
}
typedef struct candidates candidates;
AUTO_DEFINE(candidates, candidates_free)

static void add_key(struct candidates *c, key *k, bool own, X509 *cert, const char *from)
{
    if (!k)
        return;
    if (c->count == CANDIDATES_MOST) {
        if (own)
            key_free(k);
        return;
    }
    struct candidate *new = &c->list[c->count++];
    *new = (struct candidate){.key = k, .own = own, .cert = cert};
    snprintf(new->from, sizeof new->from, "%s", from);
}

static void add_cert(struct candidates *c, X509 *cert, const char *from)
{
    struct error ignored;
    EVP_PKEY *pkey = X509_get_pubkey(cert);
    if (pkey)
        add_key(c, key_from_pkey(pkey, false, from, &ignored), true, cert, from);
}

/* A certificate of a header, in whatever form. */
static void read_cert(look *l, struct candidates *c, const char *path, struct span text)
{
    enum deviation form;
    struct error ignored;
    AUTO(buffer) *der = decode_loosely(text, &form);
    X509 *cert = der ? cert_from_der(buffer_span(der), path, &ignored) : NULL;
    if (!cert || form != DEVIATION_COUNT)
        deviate(l, path, DEVIATION_X5C_FORM);
    if (!cert)
        return;
    if (sk_X509_num(c->certs) >= LIMIT_CHAIN || !sk_X509_push(c->certs, cert)) {
        X509_free(cert);
        return;
    }
    if (sk_X509_num(c->certs) == 1)
        add_cert(c, cert, path);
}

static void read_x5c(look *l, struct candidates *c, const char *path, const struct json_value *x5c)
{
    size_t i = 0;
    if (x5c->kind == JSON_KIND_STRING) {
        deviate(l, path, DEVIATION_X5C_STRING);
        read_cert(l, c, path, x5c->string);
        return;
    }
    for (const struct json_value *v = x5c->first; v && i < LIMIT_CHAIN; v = v->next) {
        char element[120];
        snprintf(element, sizeof element, "%.80s[%zu]", path, i++);
        read_cert(l, c, element, v->kind == JSON_KIND_STRING ? v->string : SPAN(NULL, 0));
    }
}

static void read_jwk(struct candidates *c, const char *path, const struct json_value *jwk)
{
    struct error ignored;
    AUTO(json_t) *json = json_load_value(jwk, path, &ignored);
    if (json)
        add_key(c, jwk_to_key(json, path, true, &ignored), true, NULL, path);
}

/* What a header tells of its signer. information: a JWK as signer is what is asked for. */
static void read_signers(look *l, struct candidates *c, const char *path,
                         const struct json_value *header, bool protected, struct signed_as as)
{
    char name[100];
    bool otrp = as.kind == SIGNED_REQUEST || as.kind == SIGNED_RESPONSE;
    const struct json_value *x5c = json_member(header, "x5c"), *jwk = json_member(header, "jwk"),
                            *signer = json_member(header, "signer");
    if (x5c) {
        snprintf(name, sizeof name, "%.60s.x5c", path);
        if (protected && otrp)
            deviate(l, name, DEVIATION_X5C_PROTECTED);
        if (as.kind == SIGNED_RESPONSE)
            deviate(l, name, DEVIATION_X5C_RESPONSE);
        read_x5c(l, c, name, x5c);
    }
    if (signer) {
        snprintf(name, sizeof name, "%.60s.signer", path);
        if (otrp)
            deviate(l, name, DEVIATION_SIGNER);
        if (signer->kind == JSON_KIND_STRING)
            read_cert(l, c, name, signer->string);
        else
            read_jwk(c, name, signer);
    }
    if (jwk) {
        snprintf(name, sizeof name, "%.60s.jwk", path);
        if (otrp)
            deviate(l, name, DEVIATION_JWK);
        read_jwk(c, name, jwk);
    }
    if (otrp && json_member(header, "kid")) {
        snprintf(name, sizeof name, "%.60s.kid", path);
        deviate(l, name, DEVIATION_KID);
    }
}

/* Keys that are at hand, whoever's they are. */
static void add_evidence(const look *l, struct candidates *c)
{
    if (l->tee_chain && sk_X509_num(l->tee_chain) > 0)
        add_cert(c, sk_X509_value(l->tee_chain, 0), "the certificate in the device state");
    for (size_t i = 0; i < l->keys->count; i++)
        add_key(c, l->keys->keys[i], false, NULL, l->keys->keys[i]->name);
    for (int i = 0; i < sk_X509_num(l->certs); i++) {
        AUTO(char) *subject = cert_subject(sk_X509_value(l->certs, i));
        add_cert(c, sk_X509_value(l->certs, i), subject ? subject : "certificate");
    }
}

/* ---- signatures ---- */

struct signature {
    struct span protected, payload, signature; /* as they stand */
    const struct jwa *alg;                     /* NULL: not told, or not known */
    bool told;                                 /* a header names one */
};

static bool try_key(const struct signature *s, const struct jwa *alg, const key *k,
                    struct span bytes)
{
    struct error ignored;
    const struct span pieces[] = {s->protected, span_text("."), s->payload};
    return jwa_fits(alg, k, "verify", &ignored) &&
           signature_check(alg, k, pieces, COUNT(pieces), bytes, &ignored);
}

/* The algorithm with which the key made the signature, or NULL. A header that names none leaves all
 * that fit the key. */
static const struct jwa *try_algorithms(const struct signature *s, const key *k, struct span bytes)
{
    if (s->alg)
        return try_key(s, s->alg, k, bytes) ? s->alg : NULL;
    for (size_t i = 0; !s->told && i < jwa_count; i++)
        if (jwa_table[i].kind == JWA_SIGNATURE && try_key(s, &jwa_table[i], k, bytes))
            return &jwa_table[i];
    return NULL;
}

static enum pki_role role_of(struct signed_as as)
{
    return as.kind == SIGNED_REQUEST ? ROLE_TAM : as.kind == SIGNED_RESPONSE ? ROLE_TEE : ROLE_SP;
}

static void tell_chain(look *l, X509 *leaf, const X509_stack *given, struct signed_as as)
{
    struct error why;
    enum pki_role role = role_of(as);
    if (!l->anchors[role]) {
        verdict_add(&l->report, "chain", "not checked", "no roots at hand (--trust, --pki)");
        return;
    }
    AUTO(X509_stack) *others = X509_chain_up_ref(l->certs ? l->certs : l->anchors[role]);
    AUTO(X509_stack) *more = given ? X509_chain_up_ref((X509_stack *)(uintptr_t)given) : NULL;
    while (others && more && sk_X509_num(more) > 0) {
        X509 *cert = sk_X509_shift(more);
        if (!sk_X509_push(others, cert))
            X509_free(cert);
    }
    AUTO(X509_stack) *path = chain_verify(&(struct chain_question){.leaf = leaf,
                                                                   .others = others,
                                                                   .anchors = l->anchors[role],
                                                                   .role = role,
                                                                   .at = l->now},
                                          &why);
    if (!path) {
        verdict_add(&l->report, "chain", "wrong", "%s", why.message);
        return;
    }
    AUTO(char) *root = cert_subject(sk_X509_value(path, sk_X509_num(path) - 1));
    verdict_add(&l->report, "chain", "right", "leads to %s", root ? root : "a root");
    sk_X509_pop_free(l->path, X509_free);
    l->path = TAKE(path);
}

static void tell_right(look *l, const struct signature *s, const struct candidate *by,
                       const struct jwa *alg, const struct said *h)
{
    if (!h->root)
        verdict_add(&l->report, "signature", "right",
                    "%s by %s, over a protected header that is not JSON: only that", alg->name,
                    by->from);
    else
        verdict_add(&l->report, "signature", "right", "%s by %s%s", alg->name, by->from,
                    s->told ? "" : ", though no header names an algorithm");
}

/* What the cert of a key without one is: that of the PKI or of the header with the same key. */
static X509 *cert_of(const look *l, const struct candidates *c, const struct candidate *by)
{
    const X509_stack *stacks[] = {c->certs, l->tee_chain, l->certs};
    for (size_t i = 0; !by->cert && i < COUNT(stacks); i++)
        for (int k = 0; k < sk_X509_num(stacks[i]); k++)
            if (by->key->pkey &&
                EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(stacks[i], k)), by->key->pkey) == 1)
                return sk_X509_value(stacks[i], k);
    return by->cert;
}

static void judge(look *l, const char *path, const struct signature *s, const struct said *h,
                  struct candidates *c, struct signed_as as)
{
    struct error err;
    AUTO(buffer) *bytes = decode_part(l, path, s->signature, &err);
    if (!bytes) {
        verdict_add(&l->report, "signature", "wrong", "%s", err.message);
        return;
    }
    size_t tries = s->payload.size > LARGE_BYTES ? LARGE_TRIES : c->count;
    for (size_t i = 0; i < c->count && i < tries; i++) {
        const struct jwa *alg = try_algorithms(s, c->list[i].key, buffer_span(bytes));
        if (!alg)
            continue;
        tell_right(l, s, &c->list[i], alg, h);
        X509 *cert = cert_of(l, c, &c->list[i]);
        if (cert) {
            tell_chain(l, cert, c->certs ? c->certs : l->tee_chain, as);
            show_signer(l, cert, as);
        } else {
            verdict_add(&l->report, "chain", "not checked", "the key comes without a certificate");
        }
        return;
    }
    if (c->count == 0)
        verdict_add(&l->report, "signature", "not checked",
                    "no key at hand (--key, --pki, --device)");
    else if (s->told && !s->alg)
        verdict_add(&l->report, "signature", "wrong", "its algorithm is none that is known");
    else
        verdict_add(&l->report, "signature", sk_X509_num(c->certs) > 0 ? "wrong" : "not right",
                    "by none of the %zu keys tried, %s first", c->count, c->list[0].from);
    if (sk_X509_num(c->certs) > 0) {
        tell_chain(l, sk_X509_value(c->certs, 0), c->certs, as);
        show_signer(l, sk_X509_value(c->certs, 0), as);
    }
}

static void check_alg(look *l, const char *path, const struct said *h,
                      const struct json_value *unprotected, struct signature *s, bool otrp)
{
    const struct json_value *in = json_member(h->root, "alg"),
                            *out = json_member(unprotected, "alg");
    const struct json_value *told = in ? in : out;
    s->told = told != NULL;
    AUTO(char) *name = told && told->kind == JSON_KIND_STRING ? span_dup(told->string) : NULL;
    s->alg = name ? jwa_find(JWA_SIGNATURE, name) : NULL;
    if (!in && out && otrp)
        deviate(l, path, DEVIATION_ALG_UNPROTECTED);
    else if (!in && h->root)
        deviate(l, path, DEVIATION_ALG_MISSING);
    if (otrp && told && (!s->alg || !otrp_algorithm(s->alg)))
        deviation_add(&l->report, path, deviation_row(DEVIATION_SIGNING_ALG)->section,
                      "alg %.40s: %s", name ? name : "of another type than a string",
                      deviation_row(DEVIATION_SIGNING_ALG)->what);
    for (const struct json_value *v = otrp && h->root ? h->root->first : NULL; v; v = v->next)
        if (!span_is(v->name, "alg") && !span_is(v->name, "x5c") && !span_is(v->name, "kid") &&
            !span_is(v->name, "jwk") && !span_is(v->name, "signer"))
            deviation_add(&l->report, path, deviation_row(DEVIATION_HEADER_MORE)->section,
                          "%.*s: %s", (int)(v->name.size < 60 ? v->name.size : 60),
                          (const char *)v->name.data, deviation_row(DEVIATION_HEADER_MORE)->what);
}

/* ---- a JWS ---- */

/* One signature with its headers; holder has protected, header and signature. */
static void show_signature(look *l, struct layer *layer, const char *path,
                           const struct json_value *holder, struct span payload,
                           struct signed_as as, const struct signature *compact)
{
    char name[120];
    bool otrp = as.kind == SIGNED_REQUEST || as.kind == SIGNED_RESPONSE ||
                as.kind == SIGNED_INFORMATION;
    said parsed = {.bytes = NULL};
    AUTO(said) *h = &parsed;
    AUTO(candidates) *c = calloc(1, sizeof *c);
    if (!c || !(c->certs = sk_X509_new_null()))
        return;
    struct signature s = compact ? *compact
                                 : (struct signature){.protected = string_of(holder, "protected"),
                                                      .payload = payload,
                                                      .signature = string_of(holder, "signature")};
    const struct json_value *unprotected = json_member(holder, "header");
    snprintf(name, sizeof name, "%.80sprotected", path);
    read_header(l, name, json_member(holder, "protected"), s.protected, h);
    if (!l->cut && !h->root && !s.protected.size && !json_member(holder, "protected"))
        deviate(l, name, DEVIATION_ALG_MISSING);
    show_header(l, layer, name, h);
    check_alg(l, name, h, unprotected, &s, otrp);
    if (unprotected) {
        snprintf(name, sizeof name, "%.80sheader", path);
        show_value(l, layer, name, unprotected);
        read_signers(l, c, name, unprotected, false, as);
    }
    snprintf(name, sizeof name, "%.80sprotected", path);
    read_signers(l, c, name, h->root, true, as);
    snprintf(name, sizeof name, "%.80ssignature", path);
    row_words(layer, name, TONE_PLAIN, "%zu characters of base64url", s.signature.size);
    if (!l->cut && as.kind == SIGNED_REQUEST && sk_X509_num(c->certs) == 0)
        deviate(l, "header.x5c", DEVIATION_X5C_MISSING);
    add_evidence(l, c);
    judge(l, name, &s, h, c, as);
}

static void show_payload(look *l, const char *path, struct span encoded, struct signed_as as,
                         buffer **bytes, json_doc **doc)
{
    struct error err;
    buffer *mended = NULL;
    bool otrp = as.kind != SIGNED_BARE && as.kind != SIGNED_PACKAGE;
    char name[200];
    snprintf(name, sizeof name, "%.150spayload", path);
    *doc = NULL;
    *bytes = decode_part(l, name, encoded, &err);
    if (!*bytes) {
        struct layer layer = layer_add(&l->report, name, "%zu characters", encoded.size);
        row_words(&layer, name, TONE_BAD, "%s", err.message);
        return;
    }
    struct span text = buffer_span(*bytes);
    bool json = text.size && (text.data[0] == '{' || text.data[0] == '[');
    *doc = json ? read_document(l, text, name, &mended, &err) : NULL;
    if (mended && json) {
        buffer_free(*bytes);
        *bytes = mended;
        text = buffer_span(mended);
    }
    if (otrp && !*doc)
        deviate(l, name, DEVIATION_JWS_PAYLOAD);
    struct layer layer = layer_add(&l->report, name, "%zu bytes%s%s", text.size,
                                   json && !*doc ? "; " : "", json && !*doc ? err.message : "");
    if (!*doc) {
        show_bytes(l, &layer, "data", text);
    } else if (!otrp) {
        show_value(l, &layer, "payload", json_root(*doc));
    } else {
        const struct json_value *root = json_root(*doc);
        if (root->kind != JSON_KIND_OBJECT || root->count != 1 ||
            (as.inner && !span_is(root->first->name, as.inner))) {
            const struct deviation_row *row = deviation_row(DEVIATION_INNER_NAME);
            deviation_add(&l->report, name, row->section, "%s%s%s", row->what,
                          as.inner ? ": it should be " : "", as.inner ? as.inner : "");
        }
        show_tbs(l, root->kind == JSON_KIND_OBJECT && root->count == 1 ? root->first : root, as,
                 &layer);
    }
}

bool value_is_jws(const struct json_value *v)
{
    return json_member(v, "payload") &&
           (json_member(v, "signature") || json_member(v, "signatures"));
}

static void check_envelope(look *l, const char *path, const struct json_value *v,
                           struct signed_as as)
{
    static const char *const known[] = {"payload", "protected", "header", "signature",
                                        "signatures"};
    if (as.kind == SIGNED_BARE || as.kind == SIGNED_PACKAGE)
        return;
    if (json_member(v, "signatures"))
        deviate(l, *path ? path : "signatures", DEVIATION_JWS_SERIALIZATION);
    for (const struct json_value *m = v->first; m; m = m->next) {
        size_t i = 0;
        while (i < COUNT(known) && !span_is(m->name, known[i]))
            i++;
        const struct deviation_row *row = deviation_row(DEVIATION_JWS_MEMBER);
        if (i == COUNT(known))
            deviation_add(&l->report, path, row->section, "%.*s: %s",
                          (int)(m->name.size < 60 ? m->name.size : 60), (const char *)m->name.data,
                          row->what);
    }
}

/* Titles of layers inside others begin with the path of what they are in. */
static void prefix_of_layers(const char *path, char prefix[160])
{
    snprintf(prefix, 160, "%.150s%s", path, *path ? "." : "");
}

void show_jws(look *l, const char *path, const struct json_value *v, struct signed_as as)
{
    char prefix[160];
    AUTO(buffer) *bytes = NULL;
    AUTO(json_doc) *doc = NULL;
    const struct json_value *list = json_member(v, "signatures");
    prefix_of_layers(path, prefix);
    l->nesting++;
    check_envelope(l, path, v, as);
    struct layer layer = layer_add(&l->report, *path ? path : "envelope", "JWS, %s serialisation%s",
                                   list ? "general" : "flattened",
                                   json_member(v, "payload") ? "" : ", payload detached");
    struct span payload = string_of(v, "payload");
    if (json_member(v, "payload"))
        show_payload(l, prefix, payload, as, &bytes, &doc);
    if (!list)
        show_signature(l, &layer, "", v, payload, as, NULL);
    size_t i = 0;
    for (const struct json_value *s = list ? list->first : NULL; s && i < LIMIT_RECIPIENTS;
         s = s->next) {
        char name[60];
        snprintf(name, sizeof name, "signatures[%zu].", i++);
        show_signature(l, &layer, name, s, payload, as, NULL);
    }
    l->nesting--;
}

static void show_compact_jws(look *l, const char *path, const struct span parts[3])
{
    char prefix[160];
    AUTO(buffer) *bytes = NULL;
    AUTO(json_doc) *doc = NULL;
    const struct signed_as as = {.kind = SIGNED_BARE};
    const struct signature s = {.protected = parts[0], .payload = parts[1], .signature = parts[2]};
    prefix_of_layers(path, prefix);
    struct layer layer = layer_add(&l->report, *path ? path : "envelope",
                                   "JWS, compact serialisation");
    show_payload(l, prefix, parts[1], as, &bytes, &doc);
    show_signature(l, &layer, "", NULL, parts[1], as, &s);
}

/* ---- a JWE ---- */

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
        read_header(l, path, NULL, message->encoded_protected, h);
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

static void show_compact_jwe(look *l, const char *path, struct span text)
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

void show_bytes_deeply(look *l, struct layer *layer, const char *path, struct span bytes)
{
    struct error err;
    AUTO(buffer) *mended = NULL;
    bool json = bytes.size && (bytes.data[0] == '{' || bytes.data[0] == '[');
    AUTO(json_doc) *doc = json ? read_document(l, bytes, path, &mended, &err) : NULL;
    if (doc)
        show_value(l, layer, path, json_root(doc));
    else
        show_bytes(l, layer, path, bytes);
}

void show_compact(look *l, const char *path, struct span text)
{
    struct span parts[3];
    size_t dots = 0;
    l->nesting++;
    for (size_t i = 0; i < text.size; i++)
        dots += text.data[i] == '.';
    struct error ignored;
    if (dots == 2 && compact_split(text, "JWS", 3, parts, &ignored))
        show_compact_jws(l, path, parts);
    else
        show_compact_jwe(l, path, text);
    l->nesting--;
}
