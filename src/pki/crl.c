/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/crl.h"

#include <openssl/err.h>

#include "pki/asn1.h"
#include "util/openssl_error.h"

#define REASON_UNSPECIFIED 0

static bool set_serial(X509_REVOKED *revoked, const char *text)
{
    BIGNUM *read = NULL;
    if (!BN_hex2bn(&read, text))
        return false;
    AUTO(BIGNUM) *number = read;
    AUTO(ASN1_INTEGER) *serial = BN_to_ASN1_INTEGER(number, NULL);
    return serial && X509_REVOKED_set_serialNumber(revoked, serial);
}

/* A reason that says nothing is left out (section 5.3.1). */
static bool set_reason(X509_REVOKED *revoked, int reason)
{
    if (reason <= REASON_UNSPECIFIED)
        return true;
    AUTO(ASN1_ENUMERATED) *value = ASN1_ENUMERATED_new();
    return value && ASN1_ENUMERATED_set(value, reason) &&
           X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, value, 0, 0) == 1;
}

static bool add_entry(X509_CRL *crl, const struct ledger_entry *entry)
{
    X509_REVOKED *revoked = X509_REVOKED_new();
    AUTO(ASN1_TIME) *at = ASN1_TIME_set(NULL, entry->revoked_at);
    if (revoked && at && set_serial(revoked, entry->serial) &&
        X509_REVOKED_set_revocationDate(revoked, at) && set_reason(revoked, entry->reason) &&
        X509_CRL_add0_revoked(crl, revoked))
        return true;
    X509_REVOKED_free(revoked);
    return false;
}

static bool add_entries(X509_CRL *crl, const ledger *l, struct error *err)
{
    for (size_t i = 0; i < ledger_count(l); i++) {
        struct ledger_entry entry;
        if (!ledger_row(l, i, &entry, err))
            return false;
        if (entry.revoked && !add_entry(crl, &entry))
            return error_openssl(err, RC_INTERNAL, "cannot add %s to a CRL", entry.serial);
    }
    return true;
}

static bool add_times(X509_CRL *crl, const struct crl_order *order)
{
    AUTO(ASN1_TIME) *from = ASN1_TIME_set(NULL, order->at);
    AUTO(ASN1_TIME) *to = ASN1_TIME_adj(NULL, order->at, order->days, 0);
    return from && to && X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, to);
}

static bool add_extensions(X509_CRL *crl, const struct crl_order *order)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, order->issuer, NULL, NULL, crl, 0);
    AUTO(X509_EXTENSION) *key = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier,
                                                    "keyid:always");
    AUTO(ASN1_INTEGER) *number = ASN1_INTEGER_new();
    return key && X509_CRL_add_ext(crl, key, -1) && number &&
           ASN1_INTEGER_set_int64(number, order->at) &&
           X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) == 1;
}

static buffer *crl_der(X509_CRL *crl, struct error *err)
{
    int size = i2d_X509_CRL(crl, NULL);
    AUTO(buffer) *der = size > 0 ? buffer_new((size_t)size) : NULL;
    if (!der) {
        error_memory(err);
        return NULL;
    }
    unsigned char *p = der->data;
    der->size = (size_t)i2d_X509_CRL(crl, &p);
    der->data[der->size] = '\0';
    return TAKE(der);
}

buffer *crl_make(const struct crl_order *order, struct error *err)
{
    AUTO(X509_CRL) *crl = X509_CRL_new();
    ERR_clear_error();
    if (!crl || !X509_CRL_set_version(crl, X509_CRL_VERSION_2) ||
        !X509_CRL_set_issuer_name(crl, X509_get_subject_name(order->issuer)) ||
        !add_times(crl, order) || !add_extensions(crl, order)) {
        error_openssl(err, RC_INTERNAL, "cannot make a CRL");
        return NULL;
    }
    if (!add_entries(crl, order->revoked, err))
        return NULL;
    AUTO(EVP_MD_CTX) *signature = signature_begin(order->issuer_key);
    if (signature && X509_CRL_sort(crl) && X509_CRL_sign_ctx(crl, signature))
        return crl_der(crl, err);
    error_openssl(err, RC_INTERNAL, "cannot sign a CRL");
    return NULL;
}
