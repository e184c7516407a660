/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/describe.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "pki/asn1.h"
#include "pki/csr.h"
#include "util/clock.h"
#include "util/json.h"

enum { SINGLES_MOST = 20, SERIALS_MOST = 5 };

bool cert_times(const X509 *cert, time_t *from, time_t *to)
{
    return asn1_time_read(X509_get0_notBefore(cert), from) &&
           asn1_time_read(X509_get0_notAfter(cert), to);
}

static json_t *time_text(time_t at)
{
    char text[32];
    time_format(at, text);
    return json_string(text);
}

static json_t *asn1_text(const ASN1_TIME *time)
{
    time_t at;
    return asn1_time_read(time, &at) ? time_text(at) : NULL;
}

static json_t *name_text(const X509_NAME *name)
{
    AUTO(BIO) *bio = BIO_new(BIO_s_mem());
    if (!bio || X509_NAME_print_ex(bio, name, 0,
                                   XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) < 0)
        return NULL;
    AUTO(buffer) *text = bio_text(bio, false);
    json_t *value = text ? json_span(buffer_span(text)) : NULL;
    return value ? value : json_string("(not UTF-8)");
}

static json_t *serial_text(const ASN1_INTEGER *serial)
{
    AUTO(BIGNUM) *number = serial ? ASN1_INTEGER_to_BN(serial, NULL) : NULL;
    char *hex = number ? BN_bn2hex(number) : NULL;
    json_t *text = hex ? json_string(hex) : NULL;
    OPENSSL_free(hex);
    return text;
}

static json_t *key_text(const EVP_PKEY *key)
{
    char group[64] = "";
    size_t size;
    if (!key)
        return json_string("unreadable");
    if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, &size))
        return json_sprintf("EC %s", strcmp(group, "prime256v1") == 0  ? "P-256"
                                     : strcmp(group, "secp384r1") == 0 ? "P-384"
                                     : strcmp(group, "secp521r1") == 0 ? "P-521"
                                                                       : group);
    return json_sprintf("%s-%d", EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
}

/* A certificate with an alternative name is a TAM's; another one to which can be encrypted is a
 * TEE's. */
static void put_identity(json_t *facts, X509 *cert, bool ca)
{
    struct error ignored;
    bool sealed = X509_get_key_usage(cert) & (KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT);
    AUTO(char) *tamid = ca ? NULL : cert_tamid(cert, &ignored);
    AUTO(char) *did = ca || tamid || !sealed ? NULL : cert_did(cert, &ignored);
    if (tamid)
        json_object_set_new(facts, "tamid", json_string(tamid));
    if (did)
        json_object_set_new(facts, "did", json_string(did));
}

json_t *cert_facts(X509 *cert)
{
    struct error ignored;
    AUTO(char) *sha256 = cert_sha256_hex(cert, &ignored);
    bool ca = X509_check_ca(cert) == 1;
    json_t *facts = json_pack(
        "{s:o*, s:o*, s:o*, s:o*, s:o*, s:o*, s:b}", "subject",
        name_text(X509_get_subject_name(cert)), "issuer", name_text(X509_get_issuer_name(cert)),
        "serial", serial_text(X509_get0_serialNumber(cert)), "not_before",
        asn1_text(X509_get0_notBefore(cert)), "not_after", asn1_text(X509_get0_notAfter(cert)),
        "key", key_text(X509_get0_pubkey(cert)), "ca", (int)ca);
    if (facts) {
        put_identity(facts, cert, ca);
        json_object_set_new(facts, "sha256", json_string(sha256 ? sha256 : ""));
    }
    ERR_clear_error();
    return facts;
}

json_t *crl_facts(struct span der)
{
    const unsigned char *p = der.data;
    AUTO(X509_CRL) *crl = d2i_X509_CRL(NULL, &p, (long)der.size);
    if (!crl || p != der.data + der.size) {
        ERR_clear_error();
        return NULL;
    }
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
    const STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(crl);
    int count = revoked ? sk_X509_REVOKED_num(revoked) : 0;
    json_t *serials = json_array();
    for (int i = 0; i < count && i < SERIALS_MOST; i++)
        json_array_append_new(serials, serial_text(X509_REVOKED_get0_serialNumber(
                                           sk_X509_REVOKED_value(revoked, i))));
    json_t *facts = json_pack("{s:o*, s:o*, s:o*, s:o*, s:i, s:o*}", "issuer",
                              name_text(X509_CRL_get_issuer(crl)), "number", serial_text(number),
                              "this_update", asn1_text(X509_CRL_get0_lastUpdate(crl)),
                              "next_update", asn1_text(X509_CRL_get0_nextUpdate(crl)), "entries",
                              count, "serials", serials);
    ASN1_INTEGER_free(number);
    ERR_clear_error();
    return facts;
}

json_t *csr_facts(struct span der)
{
    const unsigned char *p = der.data;
    AUTO(X509_REQ) *csr = d2i_X509_REQ(NULL, &p, (long)der.size);
    if (!csr || p != der.data + der.size) {
        ERR_clear_error();
        return NULL;
    }
    EVP_PKEY *pkey = X509_REQ_get0_pubkey(csr);
    json_t *facts = json_pack("{s:o*, s:o*, s:b}", "subject",
                              name_text(X509_REQ_get_subject_name(csr)), "key", key_text(pkey),
                              "possession", pkey && X509_REQ_verify(csr, pkey) == 1);
    ERR_clear_error();
    return facts;
}

static const char *status_name(int status)
{
    return status == V_OCSP_CERTSTATUS_GOOD      ? "good"
           : status == V_OCSP_CERTSTATUS_REVOKED ? "revoked"
                                                 : "unknown";
}

static json_t *single_facts(OCSP_SINGLERESP *single, time_t *updated)
{
    int reason = -1;
    ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *to = NULL;
    ASN1_INTEGER *serial = NULL;
    int status = OCSP_single_get0_status(single, &reason, &revoked, &from, &to);
    OCSP_id_get0_info(NULL, NULL, NULL, &serial,
                      (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single));
    time_t at;
    if (updated && asn1_time_read(from, &at) && at > *updated)
        *updated = at;
    bool told = status == V_OCSP_CERTSTATUS_REVOKED && reason >= 0;
    return json_pack("{s:o*, s:s, s:o*, s:o*, s:o*, s:s*}", "serial", serial_text(serial), "status",
                     status_name(status), "this_update", asn1_text(from), "next_update",
                     asn1_text(to), "revoked_at",
                     status == V_OCSP_CERTSTATUS_REVOKED ? asn1_text(revoked) : NULL, "reason",
                     told ? OCSP_crl_reason_str(reason) : NULL);
}

static void put_basic(json_t *facts, OCSP_BASICRESP *basic, time_t *updated)
{
    const ASN1_OCTET_STRING *key_hash = NULL;
    const X509_NAME *name = NULL;
    OCSP_resp_get0_id(basic, &key_hash, &name);
    json_object_set_new(facts, "produced_at", asn1_text(OCSP_resp_get0_produced_at(basic)));
    json_object_set_new(facts, "responder",
                        name ? name_text(name) : json_string("(by the hash of its key)"));
    json_t *list = json_array();
    for (int i = 0; i < OCSP_resp_count(basic) && i < SINGLES_MOST; i++)
        json_array_append_new(list, single_facts(OCSP_resp_get0(basic, i), updated));
    json_object_set_new(facts, "responses", list);
}

json_t *ocsp_facts(struct span der, time_t *updated)
{
    const unsigned char *p = der.data;
    if (updated)
        *updated = 0;
    AUTO(OCSP_RESPONSE) *response = der.size ? d2i_OCSP_RESPONSE(NULL, &p, (long)der.size) : NULL;
    if (!response || p != der.data + der.size) {
        ERR_clear_error();
        return NULL;
    }
    int status = OCSP_response_status(response);
    json_t *facts = json_pack("{s:s}", "status", OCSP_response_status_str(status));
    AUTO(OCSP_BASICRESP) *basic = status == OCSP_RESPONSE_STATUS_SUCCESSFUL
                                      ? OCSP_response_get1_basic(response)
                                      : NULL;
    if (basic && facts)
        put_basic(facts, basic, updated);
    ERR_clear_error();
    return facts;
}
