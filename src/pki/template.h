/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h: what a certificate of a kind looks like, read from a template in OpenSSL's
 * configuration syntax (openssl-config(5), x509v3_config(5)); the templates themselves explain
 * their sections.
 *
 *     AUTO(cert_template) *t = template_load("pki-templates", "tam", err);
 *     struct template_use use = {.role = ROLE_TAM, .family = "rsa", .name = "mytam"};
 *     if (!t || !template_apply(t, &use, cert, issuer, now, err)) ...
 *
 * What differs from certificate to certificate (a name, a key) never becomes configuration text:
 * {name}, {role} and {family} stand for it in the subject only, and are put into the parsed value.
 */
#ifndef OTRP_PKI_TEMPLATE_H
#define OTRP_PKI_TEMPLATE_H

#include <openssl/x509.h>

#include "pki/role.h"
#include "util/auto.h"
#include "util/error.h"

typedef struct cert_template cert_template;

/* DIR/KIND.cnf, where kind is "root", "ca", "ocsp" or a role. A mistake in it is RC_USAGE with
 * file, section and name; all of it is looked at, so that none shows up after keys have been made.
 */
cert_template *template_load(const char *dir, const char *kind, struct error *err) MUST_CHECK;
void template_free(cert_template *t);

/* The path of the template, for messages; borrowed. */
const char *template_path(const cert_template *t);

/* For whom a template is used. */
struct template_use {
    enum pki_role role;
    const char *family; /* of the subject's key: "rsa" or "ec" */
    const char *name;   /* of an entity; NULL: "" */
    long days;          /* how long the certificate lives; 0: as the template says */
};

/* Sets subject, times and extensions of cert, whose key is set already; issuer is cert itself for a
 * root. */
bool template_apply(const cert_template *t, const struct template_use *use, X509 *cert,
                    X509 *issuer, time_t now, struct error *err) MUST_CHECK;

/* The parts that differ from certificate to certificate, owned by the caller. */
X509_NAME *template_subject(const cert_template *t, const struct template_use *use,
                            struct error *err) MUST_CHECK;
ASN1_TIME *template_end(const cert_template *t, const struct template_use *use, time_t now,
                        struct error *err) MUST_CHECK;

/* Makes the subject that of another use with the same role: its attributes are those of the new
 * one, while what OpenSSL keeps of it as a whole (i2d_X509_NAME) stays that of the old one. */
bool template_rename(const cert_template *t, const struct template_use *use, X509_NAME *subject,
                     struct error *err) MUST_CHECK;

/* Whether certificates of a role and family, under one issuer, differ in nothing but these parts,
 * the key and what identifies it. */
bool template_is_uniform(const cert_template *t, const struct template_use *use);

/* Whether cert has the subject and the end that the template gives such a certificate. */
bool template_made(const cert_template *t, const struct template_use *use, const X509 *cert);

/* Whether a certificate request may bring the extension nid (the template's "requested"). */
bool template_allows(const cert_template *t, enum pki_role role, int nid);

AUTO_DEFINE(cert_template, template_free)

#endif
