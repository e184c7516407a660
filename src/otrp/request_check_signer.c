/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of who has signed a request: algorithm, certificate, chain, signature, revocation. */
#include "otrp/request_check.h"

#include <string.h>

#include "otrp/algorithm.h"
#include "pki/chain.h"
#include "pki/ocsp.h"
#include "pki/x5c.h"
#include "util/limits.h"

bool tee_supports(const struct tee_view *view, const struct jwa *alg, const char *what,
                  struct error *err)
{
    return !view->supports || view->supports(view->device, alg) ||
           error_set(err, RC_UNTRUSTED, "%s: this device does not support %s", what, alg->name);
}

int check_algorithm(request *r, const struct tee_view *view, struct error *err)
{
    if (otrp_jws(r->jws, err))
        return tee_supports(view, jws_alg(r->jws, 0, err), r->type->request, err)
                   ? ERR_NONE
                   : fail(ERR_UNSUPPORTED_CRYPTO_ALG);
    return fail(err->rc == RC_SIGNATURE ? ERR_UNSUPPORTED_CRYPTO_ALG : ERR_REQUEST_INVALID);
}

static key *signer_key(const X509_stack *signers, struct error *err)
{
    EVP_PKEY *pkey = X509_get_pubkey(sk_X509_value(signers, 0));
    if (pkey)
        return key_from_pkey(pkey, false, "signer certificate", err);
    error_set(err, RC_MALFORMED, "header.x5c[0]: its public key cannot be read");
    return NULL;
}

/* The cached signer whose key made this signature. */
static bool find_cached_signer(request *r, const struct tee_view *view)
{
    struct error ignored;
    for (size_t i = 0;; i++) { /* a device has but a few */
        AUTO(X509_stack) *chain = view->cached_signer(view->device, i);
        if (!chain)
            return false;
        AUTO(key) *k = signer_key(chain, &ignored);
        if (k && jws_verify(r->jws, 0, k, &ignored)) {
            r->signers = TAKE(chain);
            r->signer_key = TAKE(k);
            return true;
        }
    }
}

int check_signer(request *r, const struct tee_view *view, struct error *err)
{
    if (view->signer)
        return NOT_CHECKED;
    const json_t *x5c = json_object_get(r->jws->signatures[0].header, "x5c");
    if (!x5c && view->cached_signer && find_cached_signer(r, view))
        return ERR_NONE;
    if (!x5c) {
        error_set(err, RC_MALFORMED, "%s.header.x5c: missing, and no signer seen before fits",
                  r->type->request);
        if (reading_profile(view->reading)->make.x5c == X5C_FORM_NONE)
            error_hint(err, "messages of this profile name no signer: pin the TAM's key");
        return fail(ERR_REQUEST_INVALID);
    }
    r->signers = x5c_to_certs(x5c, "header.x5c", err);
    r->signer_key = r->signers ? signer_key(r->signers, err) : NULL;
    return r->signer_key ? ERR_NONE : fail(ERR_REQUEST_INVALID);
}

int check_trust(request *r, const struct tee_view *view, struct error *err)
{
    if (view->signer && view->signer_tamid && !(r->tamid = strdup(view->signer_tamid))) {
        error_memory(err);
        return fail(ERR_TEE_FAIL);
    }
    if (!view->anchors || view->signer)
        return NOT_CHECKED;
    r->path = chain_verify(&(struct chain_question){.leaf = sk_X509_value(r->signers, 0),
                                                    .others = r->signers,
                                                    .anchors = view->anchors,
                                                    .role = ROLE_TAM,
                                                    .at = view->now},
                           err);
    r->tamid = r->path ? cert_tamid(sk_X509_value(r->signers, 0), err) : NULL;
    return r->tamid ? ERR_NONE : fail(ERR_TAM_NOT_TRUSTED);
}

int check_signature(request *r, const struct tee_view *view, struct error *err)
{
    const key *k = view->signer ? view->signer : r->signer_key;
    r->signature_passed = jws_verify(r->jws, 0, k, err);
    return r->signature_passed ? ERR_NONE : fail(ERR_REQUEST_INVALID);
}

static bool certificate_good(request *r, const struct tee_view *view, int i,
                             const struct span *responses, size_t count, struct error *err)
{
    X509 *cert = sk_X509_value(r->path, i), *issuer = sk_X509_value(r->path, i + 1);
    /* judged together: a fresh "revoked" outweighs a "good" that was told before */
    struct span all[2 * LIMIT_OCSP_RESPONSES];
    buffer *known[LIMIT_OCSP_RESPONSES];
    size_t more = view->known_responses ? view->known_responses(view->device, cert, known) : 0;
    for (size_t k = 0; k < count; k++)
        all[k] = responses[k];
    for (size_t k = 0; k < more; k++)
        all[count + k] = buffer_span(known[k]);
    bool good = !(view->known_revoked &&
                  view->known_revoked(view->device, cert, issuer, all, count + more, err)) &&
                ocsp_check(all, count + more, cert, issuer, view->now, NULL, NULL, err);
    for (size_t k = 0; k < more; k++)
        buffer_free(known[k]);
    return good;
}

int check_revocation(request *r, const struct tee_view *view, struct error *err)
{
    if (view->signer || (r->path && reading_waives(view->reading, "revocation")))
        r->authenticated = true; /* by a key that is trusted as it is */
    if (!r->path || view->no_revocation || r->authenticated)
        return NOT_CHECKED;
    buffer *items[LIMIT_OCSP_RESPONSES];
    struct span responses[LIMIT_OCSP_RESPONSES];
    size_t count = 0;
    const struct json_value *list = json_member(r->tbs, "ocspdat");
    bool good = true;
    bool sound = !list ||
                 member_base64_list(list, "ocspdat", LIMIT_OCSP_RESPONSES, items, &count, err);
    for (size_t i = 0; i < count; i++)
        responses[i] = buffer_span(items[i]);
    for (int i = 0; sound && good && i + 1 < sk_X509_num(r->path); i++)
        good = certificate_good(r, view, i, responses, count, err);
    for (size_t i = 0; i < count; i++)
        buffer_free(items[i]);
    if (!sound)
        return fail(ERR_REQUEST_INVALID);
    r->authenticated = good;
    return good ? ERR_NONE : fail(ERR_TAM_NOT_TRUSTED);
}
