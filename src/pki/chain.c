/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/chain.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "pki/asn1.h"
#include "pki/chain_cache.h"
#include "util/clock.h"
#include "util/limits.h"

#define AUTH_LEVEL 2 /* 112 bits: RSA 2048, P-224, SHA-2 */

/* OpenSSL takes a stack that it only reads without const. */
static X509_stack *borrowed(const X509_stack *stack)
{
    return (X509_stack *)(uintptr_t)stack;
}

static const char *reason_of(int code)
{
    switch (code) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "its issuer is neither given nor a trust anchor";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "self-signed and not a trust anchor";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return "the root of the chain is not a trust anchor";
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return "its signature is wrong";
    case X509_V_ERR_INVALID_CA:
        return "it issued a certificate, but is no CA";
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
        return "more CAs below it than its path length allows";
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
        return "its key is weaker than 112 bits";
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return "its signature uses a hash weaker than 112 bits";
    default:
        return X509_verify_cert_error_string(code);
    }
}

static void tell_time(const X509 *cert, const char *subject, int code, struct error *err)
{
    bool expired = code == X509_V_ERR_CERT_HAS_EXPIRED;
    time_t at;
    char text[32] = "?";
    if (asn1_time_read(expired ? X509_get0_notAfter(cert) : X509_get0_notBefore(cert), &at))
        time_format(at, text);
    error_set(err, RC_UNTRUSTED, "%s: %s %s", subject,
              expired ? "expired since" : "not valid before", text);
    error_rule(err, "RFC 5280 section 4.1.2.5");
}

static void tell_failure(X509_STORE_CTX *ctx, const X509 *leaf, struct error *err)
{
    int code = X509_STORE_CTX_get_error(ctx);
    const X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
    if (!cert)
        cert = leaf;
    AUTO(char) *subject = cert_subject(cert);
    const char *who = subject ? subject : "certificate";
    if (code == X509_V_ERR_CERT_HAS_EXPIRED || code == X509_V_ERR_CERT_NOT_YET_VALID) {
        tell_time(cert, who, code, err);
    } else {
        error_set(err, RC_UNTRUSTED, "%s: %s", who, reason_of(code));
        if (code == X509_V_ERR_PATH_LENGTH_EXCEEDED)
            error_cause(err, CAUSE_PATH_LENGTH);
        error_rule(err, "RFC 5280 section 6");
    }
    ERR_clear_error();
}

/* OpenSSL also takes for a CA what RFC 5280 does not: a certificate without basicConstraints. */
static bool check_cas(const X509_stack *path, struct error *err)
{
    for (int i = 1; i < sk_X509_num(path) - 1; i++) {
        X509 *cert = sk_X509_value(path, i);
        if (X509_check_ca(cert) == 1)
            continue;
        AUTO(char) *subject = cert_subject(cert);
        error_set(err, RC_UNTRUSTED, "%s: it issued a certificate, but is no CA",
                  subject ? subject : "certificate");
        return error_rule(err, "RFC 5280 section 6.1.4");
    }
    return true;
}

/* One of certs (NULL: none) that has issued cert; it may be cert itself. */
static X509 *find_issuer(const X509_stack *certs, X509 *cert)
{
    for (int i = 0; i < sk_X509_num(certs); i++)
        if (X509_check_issued(sk_X509_value(certs, i), cert) == X509_V_OK)
            return sk_X509_value(certs, i);
    return NULL;
}

X509 *chain_gap(const X509_stack *certs, const X509_stack *roots)
{
    X509 *cert = sk_X509_value(certs, 0);
    for (int depth = 0; depth < LIMIT_CHAIN && !find_issuer(roots, cert); depth++) {
        X509 *issuer = find_issuer(certs, cert);
        if (issuer == cert)
            return roots ? cert : NULL;
        if (!issuer)
            return cert;
        cert = issuer;
    }
    return NULL;
}

static bool check_usage(X509 *leaf, enum pki_role role, struct error *err)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } bits[] = {{KU_DIGITAL_SIGNATURE, "digitalSignature"},
                {KU_KEY_ENCIPHERMENT, "keyEncipherment"},
                {KU_KEY_AGREEMENT, "keyAgreement"}};
    uint32_t needed = KU_DIGITAL_SIGNATURE;
    if (role == ROLE_TAM || role == ROLE_TEE)
        needed |= EVP_PKEY_is_a(X509_get0_pubkey(leaf), "EC") ? KU_KEY_AGREEMENT
                                                              : KU_KEY_ENCIPHERMENT;
    uint32_t allowed = X509_get_key_usage(leaf); /* all bits when it does not say */
    for (size_t i = 0; i < COUNT(bits); i++) {
        if (!(needed & bits[i].bit & ~allowed))
            continue;
        AUTO(char) *subject = cert_subject(leaf);
        error_set(err, RC_UNTRUSTED, "%s: its key usage lacks %s, which a %s needs",
                  subject ? subject : "certificate", bits[i].name, role_title(role));
        return error_rule(err, "RFC 5280 section 4.2.1.3");
    }
    return true;
}

static X509_stack *verify(const struct chain_question *question, struct error *err)
{
    AUTO(X509_STORE) *store = X509_STORE_new();
    AUTO(X509_STORE_CTX) *ctx = X509_STORE_CTX_new();
    if (!store || !ctx ||
        !X509_STORE_CTX_init(ctx, store, question->leaf, borrowed(question->others))) {
        error_memory(err);
        return NULL;
    }
    X509_STORE_CTX_set0_trusted_stack(ctx, borrowed(question->anchors));
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, question->at);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    X509_VERIFY_PARAM_set_depth(param, LIMIT_CHAIN);
    if (X509_verify_cert(ctx) != 1) {
        tell_failure(ctx, question->leaf, err);
        return NULL;
    }
    AUTO(X509_stack) *path = X509_STORE_CTX_get1_chain(ctx);
    if (!path) {
        error_memory(err);
        return NULL;
    }
    if (!check_cas(path, err) || !check_usage(question->leaf, question->role, err))
        return NULL;
    return TAKE(path);
}

X509_stack *chain_verify(const struct chain_question *question, struct error *err)
{
    X509_stack *path = chain_recall(question);
    if (!path && (path = verify(question, err)))
        chain_keep(question, path);
    return path;
}
