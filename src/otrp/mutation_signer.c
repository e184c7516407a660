/* SPDX-License-Identifier: Apache-2.0 */
/* Mutations of the signer: certificates and stapling data that are wrong in one way each. */
#include "otrp/mutation_craft.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "otrp/dsi.h"
#include "pki/ocsp.h"
#include "pki/staple.h"
#include "pki/x5c.h"
#include "util/clock.h"
#include "util/openssl_error.h"
#include "util/secret.h"

static bool need_ca(const struct workpiece *w, struct error *err)
{
    if (w->plan->ca_key)
        return true;
    error_set(err, RC_USAGE, "takes the private key of the CA that issued the TAM's certificate");
    return error_hint(err, "give the PKI directory with --pki");
}

static bool new_serial(X509 *cert, struct error *err)
{
    uint8_t bytes[16];
    if (!random_fill(bytes, sizeof bytes, err))
        return false;
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool done = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
    BN_free(number);
    return done || error_memory(err);
}

/* A copy of the signer's certificate with another serial number; NULL without memory. */
static X509 *copy_leaf(const struct workpiece *w, struct error *err)
{
    AUTO(X509) *leaf = X509_dup(sk_X509_value(w->signer->chain, 0));
    if (leaf && new_serial(leaf, err))
        return TAKE(leaf);
    error_memory(err);
    return NULL;
}

/* Puts leaf, signed by the CA (unless alone: it is signed already), before the chain's others. */
static bool take_leaf(struct workpiece *w, X509 *leaf, bool alone, struct error *err)
{
    AUTO(X509) *own = leaf;
    if (!alone && X509_sign(own, w->plan->ca_key->pkey, EVP_sha256()) == 0)
        return error_openssl(err, RC_INTERNAL, "a certificate cannot be signed");
    AUTO(X509_stack) *chain = sk_X509_new_null();
    if (!chain || !sk_X509_push(chain, own))
        return error_memory(err);
    own = NULL;
    for (int i = 1; !alone && i < sk_X509_num(w->signer->chain); i++) {
        X509 *next = sk_X509_value(w->signer->chain, i);
        if (!X509_up_ref(next) || !sk_X509_push(chain, next))
            return error_memory(err);
    }
    sk_X509_pop_free(w->signer->own_chain, X509_free);
    w->signer->own_chain = TAKE(chain);
    w->signer->chain = w->signer->own_chain;
    return true;
}

/* cert as issued by somebody whom nobody knows. */
static bool sign_by_stranger(X509 *cert, struct error *err)
{
    AUTO(EVP_PKEY) *ca = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509_NAME *name = X509_NAME_new();
    bool done = ca && name &&
                X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                           (const unsigned char *)"unknown CA", -1, -1, 0) == 1 &&
                X509_set_issuer_name(cert, name) == 1 && X509_sign(cert, ca, EVP_sha256()) > 0;
    X509_NAME_free(name);
    return done || error_openssl(err, RC_INTERNAL, "a certificate cannot be signed");
}

bool craft_untrusted(struct workpiece *w, struct error *err)
{
    AUTO(X509) *leaf = copy_leaf(w, err);
    if (!leaf || !sign_by_stranger(leaf, err))
        return false;
    return take_leaf(w, TAKE(leaf), true, err);
}

/* The certificate with other times, signed by its CA. */
static bool craft_times(struct workpiece *w, time_t from, time_t until, struct error *err)
{
    AUTO(X509) *leaf = need_ca(w, err) ? copy_leaf(w, err) : NULL;
    if (!leaf)
        return false;
    if (!ASN1_TIME_set(X509_getm_notBefore(leaf), from) ||
        !ASN1_TIME_set(X509_getm_notAfter(leaf), until))
        return error_memory(err);
    return take_leaf(w, TAKE(leaf), false, err);
}

bool craft_expired(struct workpiece *w, struct error *err)
{
    return craft_times(w, w->plan->now - 30 * DAY_SECONDS, w->plan->now - DAY_SECONDS, err);
}

bool craft_not_yet_valid(struct workpiece *w, struct error *err)
{
    return craft_times(w, w->plan->now + DAY_SECONDS, w->plan->now + 30 * DAY_SECONDS, err);
}

static void drop_extension(X509 *cert, int nid)
{
    int at = X509_get_ext_by_NID(cert, nid, -1);
    if (at >= 0)
        X509_EXTENSION_free(X509_delete_ext(cert, at));
}

bool craft_no_tamid(struct workpiece *w, struct error *err)
{
    AUTO(X509) *leaf = need_ca(w, err) ? copy_leaf(w, err) : NULL;
    if (!leaf)
        return false;
    drop_extension(leaf, NID_subject_alt_name);
    return take_leaf(w, TAKE(leaf), false, err);
}

bool craft_wrong_usage(struct workpiece *w, struct error *err)
{
    AUTO(X509) *leaf = need_ca(w, err) ? copy_leaf(w, err) : NULL;
    if (!leaf)
        return false;
    drop_extension(leaf, NID_key_usage);
    X509_EXTENSION *usage = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, "critical,cRLSign");
    bool added = usage && X509_add_ext(leaf, usage, -1) == 1;
    X509_EXTENSION_free(usage);
    if (!added)
        return error_openssl(err, RC_INTERNAL, "a key usage cannot be set");
    return take_leaf(w, TAKE(leaf), false, err);
}

bool craft_other_key(struct workpiece *w, struct error *err)
{
    EVP_PKEY *own = w->signer->with->pkey;
    const char *curve = pkey_curve(own);
    EVP_PKEY *fresh = EVP_PKEY_is_a(own, "RSA")
                          ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)
                          : EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve ? curve : "P-256");
    w->signer->own_key = key_from_pkey(fresh, true, "another key", err);
    w->signer->with = w->signer->own_key;
    return w->signer->own_key != NULL;
}

/* ---- stapling data: the set of a draft is not its own, so a new one stands in the TBS ---- */

static bool put_statement(struct workpiece *w, json_t *set, const struct ocsp_statement *statement,
                          struct error *err)
{
    AUTO(json_t) *own = set;
    return staple_add(own, statement, err) &&
           (json_object_set(w->json, "ocspdat", own) == 0 || error_memory(err));
}

/* What the CA says of the signer's certificate; false when the CA is not at hand. */
static bool statement_of(struct workpiece *w, struct ocsp_statement *s, struct error *err)
{
    if (!need_ca(w, err))
        return false;
    if (sk_X509_num(w->chain) < 2)
        return error_set(err, RC_USAGE, "takes the certificate of the CA in the TAM's chain");
    *s = (struct ocsp_statement){.cert = sk_X509_value(w->chain, 0),
                                 .issuer = sk_X509_value(w->chain, 1),
                                 .signer_key = w->plan->ca_key->pkey,
                                 .at = w->plan->now,
                                 .days = 7};
    return true;
}

bool craft_no_stapling(struct workpiece *w, struct error *err)
{
    return json_object_set_new(w->json, "ocspdat", json_array()) == 0 || error_memory(err);
}

bool craft_stale_stapling(struct workpiece *w, struct error *err)
{
    struct ocsp_statement s;
    if (!statement_of(w, &s, err))
        return false;
    s.at -= 30 * DAY_SECONDS;
    return put_statement(w, json_array(), &s, err);
}

bool craft_other_stapling(struct workpiece *w, struct error *err)
{
    struct ocsp_statement s;
    if (!statement_of(w, &s, err))
        return false;
    AUTO(X509) *other = X509_dup(s.cert);
    if (!other || !new_serial(other, err))
        return error_memory(err);
    s.cert = other;
    return put_statement(w, json_array(), &s, err);
}

bool craft_revoked(struct workpiece *w, struct error *err)
{
    struct ocsp_statement s;
    if (!statement_of(w, &s, err))
        return false;
    s.revoked = true;
    s.revoked_at = w->plan->now - 3600;
    s.reason = OCSP_REVOKED_STATUS_KEYCOMPROMISE;
    const json_t *had = json_object_get(w->json, "ocspdat");
    return put_statement(w, had ? json_deep_copy(had) : json_array(), &s, err);
}

/* ---- a device of another hierarchy: its own key, in a certificate that nobody knows ---- */

bool craft_other_hierarchy(struct workpiece *w, struct error *err)
{
    json_t *tee = json_object_get(json_object_get(w->json, "dsi"), "tee");
    AUTO(X509_stack) *certs = sk_X509_new_null();
    if (!tee || !certs)
        return error_set(err, RC_USAGE, "takes an answer with a DSI in it");
    if (!x5c_append(certs, json_object_get(tee, "cert"), "dsi.tee.cert", err))
        return false;
    X509 *cert = sk_X509_value(certs, 0);
    AUTO(X509) *foreign = X509_dup(cert);
    if (!foreign || !new_serial(foreign, err) || !sign_by_stranger(foreign, err))
        return false;
    AUTO(json_t) *element = x5c_element(foreign, err);
    return element && json_object_set(tee, "cert", element) == 0 &&
           json_object_set_new(tee, "cacert", json_array()) == 0;
}
