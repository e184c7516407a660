/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/issue.h"

#include <openssl/err.h>

#include "pki/asn1.h"
#include "pki/tamid.h"
#include "util/openssl_error.h"

#define SERIAL_BITS 159 /* positive in 20 bytes, the most that RFC 5280 section 4.1.2.2 allows */

static bool set_serial(X509 *cert)
{
    AUTO(BIGNUM) *number = BN_new();
    do {
        if (!number || !BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY))
            return false;
    } while (BN_is_zero(number));
    return BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
}

static bool add_tamid(X509 *cert, const struct issue_order *order, struct error *err)
{
    if (X509_get_ext_by_NID(cert, NID_subject_alt_name, -1) >= 0)
        return error_set(err, RC_USAGE,
                         "%s: subjectAltName: set from the tamid, not by the template",
                         template_path(order->template));
    GENERAL_NAME *name = tamid_to_name(order->tamid, err);
    AUTO(GENERAL_NAMES) *names = name ? sk_GENERAL_NAME_new_null() : NULL;
    if (!name)
        return false;
    if (!names || !sk_GENERAL_NAME_push(names, name)) {
        GENERAL_NAME_free(name);
        return error_memory(err);
    }
    return X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1 ||
           error_openssl(err, RC_INTERNAL, "cannot add a subjectAltName");
}

static bool add_requested(X509 *cert, const struct issue_order *order, struct error *err)
{
    for (int i = 0; i < sk_X509_EXTENSION_num(order->requested); i++) {
        X509_EXTENSION *extension = sk_X509_EXTENSION_value(order->requested, i);
        const ASN1_OBJECT *name = X509_EXTENSION_get_object(extension);
        if (!template_allows(order->template, order->use.role, OBJ_obj2nid(name)) ||
            X509_get_ext_by_OBJ(cert, name, -1) >= 0)
            continue;
        if (!X509_add_ext(cert, extension, -1))
            return error_openssl(err, RC_INTERNAL, "cannot add an extension");
    }
    return true;
}

static bool check_end(const X509 *cert, const struct issue_order *order, struct error *err)
{
    int days, seconds;
    if (!ASN1_TIME_diff(&days, &seconds, X509_get0_notAfter(cert),
                        X509_get0_notAfter(order->issuer)))
        return error_openssl(err, RC_INTERNAL, "cannot compare times");
    if (days >= 0 && seconds >= 0)
        return true;
    AUTO(char) *subject = cert_subject(cert);
    AUTO(char) *issuer = cert_subject(order->issuer);
    error_set(err, RC_USAGE, "%s: %s would outlive its issuer %s", template_path(order->template),
              subject ? subject : "the certificate", issuer ? issuer : "");
    return error_hint(err, "give the issuer a later end, or the certificate an earlier one, in the "
                           "templates (days, not_after) or with --days");
}

X509 *issue(const struct issue_order *order, struct error *err)
{
    AUTO(X509) *cert = X509_new();
    X509 *issuer = order->issuer ? order->issuer : cert;
    EVP_PKEY *signer = order->issuer ? order->issuer_key : order->pkey;
    ERR_clear_error();
    if (!cert || !X509_set_version(cert, X509_VERSION_3) || !set_serial(cert) ||
        !X509_set_pubkey(cert, order->pkey)) {
        error_openssl(err, RC_INTERNAL, "cannot make a certificate");
        return NULL;
    }
    if (!template_apply(order->template, &order->use, cert, issuer, order->now, err) ||
        (order->tamid && !add_tamid(cert, order, err)) || !add_requested(cert, order, err) ||
        (order->issuer && !check_end(cert, order, err)))
        return NULL;
    AUTO(EVP_MD_CTX) *signature = signature_begin(signer);
    if (signature && X509_set_issuer_name(cert, X509_get_subject_name(issuer)) &&
        X509_sign_ctx(cert, signature))
        return TAKE(cert);
    AUTO(char) *subject = cert_subject(cert);
    error_openssl(err, RC_INTERNAL, "%s: cannot sign the certificate", subject ? subject : "?");
    return NULL;
}
