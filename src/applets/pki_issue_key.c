/* SPDX-License-Identifier: Apache-2.0 */
/* The key that pki-issue certifies: brought, kept or made, and whether it may be. */
#include "applets/pki_issue.h"

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "pki/key_owner.h"

/* What is in a token stays there, and what only a provider can use, such as a key that a TPM has
 * wrapped, in its file. */
static bool is_exportable(const key *k, const char *source)
{
    const char *secret = EVP_PKEY_is_a(k->pkey, "EC") ? OSSL_PKEY_PARAM_PRIV_KEY
                                                      : OSSL_PKEY_PARAM_RSA_D;
    BIGNUM *number = NULL;
    bool readable = k->private && key_source_is_file(source) &&
                    EVP_PKEY_get_bn_param(k->pkey, secret, &number) == 1;
    BN_clear_free(number);
    ERR_clear_error();
    return readable;
}

bool issue_take_key(const struct applet_call *call, entity *e, const char *source,
                    struct error *err)
{
    AUTO(key_set) *keys = call_keys(call, source, KEY_PUBLIC, err);
    if (!keys)
        return false;
    if (keys->count != 1 || !keys->keys[0]->pkey)
        return error_set(err, RC_USAGE, "%s: one key is needed, RSA or EC", source);
    EVP_PKEY *pkey = keys->keys[0]->pkey;
    if (!EVP_PKEY_up_ref(pkey))
        return error_memory(err);
    return entity_set_key(e, pkey, is_exportable(keys->keys[0], source), source, err);
}

bool issue_check_compromise(const struct station *s, const entity *e, const char *what,
                            struct error *err)
{
    AUTO(X509_stack) *lost = e->pkey ? certs_compromised(s->pki, s->out, err) : NULL;
    if (e->pkey && !lost)
        return false;
    for (int i = 0; i < sk_X509_num(lost); i++) {
        X509 *cert = sk_X509_value(lost, i);
        if (EVP_PKEY_eq(X509_get0_pubkey(cert), e->pkey) != 1)
            continue;
        AUTO(char) *subject = cert_subject(cert);
        AUTO(char) *serial = ledger_serial(cert);
        error_set(err, RC_UNTRUSTED,
                  "%s: its key is compromised: certificate %s of %s was revoked for that", what,
                  serial ? serial : "", subject ? subject : "another");
        error_rule(err, "RFC 5280 section 5.3.1");
        return error_hint(err, "a new certificate needs a new key");
    }
    return true;
}

bool issue_check_brought_key(const struct applet_call *call, const struct station *s,
                             const entity *e, struct error *err)
{
    const struct pki_issue *o = call->options;
    const char *what = o->csr ? o->csr : o->key ? o->key : e->name;
    if (!e->pkey)
        return true;
    if (!issue_check_compromise(s, e, what, err))
        return false;
    AUTO(char) *owner = key_owner_path(s->pki, s->out, e->pkey, e->name);
    if (!owner)
        return true;
    warn(call, "warning: %s: its key is that of %s, too", what, owner);
    warn(call, "hint: who has the one private key can pass for the other: each is to have its own");
    return true;
}

bool issue_make_key(const struct applet_call *call, entity *e, struct error *err)
{
    if (e->pkey)
        return true;
    EVP_PKEY *pkey = call_make_key(call, e->alg, err);
    return pkey && entity_set_key(e, pkey, true, "the new key", err);
}
