/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures as inspect judges them: each is tried with every key at hand. */
#include "applets/inspect_jose.h"

#include <stdio.h>
#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/err.h>

#include "jose/jwk.h"
#include "jose/signature.h"
#include "util/base64.h"
#include "pki/chain.h"

enum { LARGE_BYTES = 1 << 20, LARGE_TRIES = 8 };

candidates *candidates_new(void)
{
    AUTO(candidates) *c = calloc(1, sizeof *c);
    if (c)
        c->certs = sk_X509_new_null();
    return c && c->certs ? TAKE(c) : NULL;
}

void candidates_free(struct candidates *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++)
        if (c->list[i].own)
            key_free(c->list[i].key);
    sk_X509_pop_free(c->certs, X509_free);
    free(c);
}

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

void candidates_of_header(look *l, struct candidates *c, const char *path,
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

void candidates_of_look(const look *l, struct candidates *c)
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

/* Whether the signer's certificate leads to a root at hand; given are those of the headers. */
static void tell_chain(look *l, X509 *leaf, const X509_stack *given, struct signed_as as)
{
    struct error why;
    enum pki_role role = role_of(as);
    if (!l->anchors[role]) {
        verdict_add(&l->report, "chain", "not checked", "no roots at hand (--trust, --pki)");
        return;
    }
    AUTO(X509_stack) *others = NULL;
    AUTO(X509_stack) *path = NULL;
    if (certs_append(&others, given, &why) && certs_append(&others, l->tee_chain, &why) &&
        certs_append(&others, l->certs, &why))
        path = chain_verify(&(struct chain_question){.leaf = leaf,
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

/* ---- why not ---- */

/* An ECDSA signature in DER as R || S of that many bytes; NULL when it is none. */
static buffer *plain_ecdsa(struct span der, size_t bytes)
{
    const unsigned char *p = der.data;
    ECDSA_SIG *signature = der.size ? d2i_ECDSA_SIG(NULL, &p, (long)der.size) : NULL;
    ERR_clear_error();
    AUTO(buffer) *plain = signature ? buffer_new(bytes) : NULL;
    int half = (int)bytes / 2;
    bool fits = plain && BN_bn2binpad(ECDSA_SIG_get0_r(signature), plain->data, half) == half &&
                BN_bn2binpad(ECDSA_SIG_get0_s(signature), plain->data + half, half) == half;
    ECDSA_SIG_free(signature);
    if (!fits)
        return NULL;
    plain->size = bytes;
    return TAKE(plain);
}

static bool is_over(const struct jwa *alg, const key *k, const struct span *pieces, size_t count,
                    struct span bytes)
{
    struct error ignored;
    return jwa_fits(alg, k, "verify", &ignored) &&
           signature_check(alg, k, pieces, count, bytes, &ignored);
}

/* The mistakes that are usual: a signature in another form, or over something else. */
static bool explain_key(look *l, const struct signature *s, const struct candidate *by,
                        struct span bytes, struct span payload, struct span header)
{
    const struct span dot = span_text(".");
    const struct span ours[] = {s->protected, dot, s->payload},
                      raw[] = {s->protected, dot, payload}, both[] = {header, dot, payload};
    const struct {
        const char *what;
        const struct span *pieces;
        size_t count;
    } mistakes[] = {{"the decoded payload, behind the protected header", raw, 3},
                    {"the decoded payload alone", &raw[2], 1},
                    {"the payload alone, without the protected header", &ours[2], 1},
                    {"the decoded header and payload", both, 3}};
    AUTO(buffer) *plain = s->alg->family == JWA_ECDSA ? plain_ecdsa(bytes, s->alg->bytes) : NULL;
    if (plain && is_over(s->alg, by->key, ours, COUNT(ours), buffer_span(plain))) {
        hint_add(&l->report, "the signature is right by %s, but in DER: JOSE wants R || S",
                 by->from);
        return true;
    }
    for (size_t i = 0; i < COUNT(mistakes); i++)
        if (is_over(s->alg, by->key, mistakes[i].pieces, mistakes[i].count, bytes)) {
            hint_add(&l->report,
                     "the signature is right by %s over %s: JOSE signs the base64url of "
                     "both, with a dot between",
                     by->from, mistakes[i].what);
            return true;
        }
    return false;
}

static void explain(look *l, const struct signature *s, const struct said *h,
                    const struct candidates *c, struct span bytes)
{
    struct error ignored;
    AUTO(buffer) *payload = s->alg && s->payload.size <= LARGE_BYTES
                                ? base64url_decode(s->payload, "payload", &ignored)
                                : NULL;
    for (size_t i = 0; payload && i < c->count && i < LARGE_TRIES; i++)
        if (explain_key(l, s, &c->list[i], bytes, buffer_span(payload), buffer_span(h->bytes)))
            return;
}

void signature_judge(look *l, const char *path, const struct signature *s, const struct said *h,
                     struct candidates *c, struct signed_as as)
{
    struct error err;
    AUTO(buffer) *bytes = part_decode(l, path, s->signature, &err);
    if (!bytes && !l->cut) {
        verdict_add(&l->report, "signature", "wrong", "%s", err.message);
        return;
    }
    size_t tries = s->payload.size > LARGE_BYTES ? LARGE_TRIES : c->count;
    for (size_t i = 0; bytes && i < c->count && i < tries; i++) {
        const struct jwa *alg = try_algorithms(s, c->list[i].key, buffer_span(bytes));
        if (!alg)
            continue;
        tell_right(l, s, &c->list[i], alg, h);
        X509 *cert = cert_of(l, c, &c->list[i]);
        if (cert) {
            tell_chain(l, cert, c->certs, as);
            show_signer(l, cert, as);
        } else {
            verdict_add(&l->report, "chain", "not checked", "the key comes without a certificate");
        }
        return;
    }
    if (!l->cut)
        explain(l, s, h, c, buffer_span(bytes));
    if (l->cut)
        verdict_add(&l->report, "signature", "not checked",
                    "cut off: what was signed is not whole");
    else if (c->count == 0)
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
