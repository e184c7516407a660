/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_parts.h: what the parts of an audit share: audit.c goes through the folders, audit_ledger.c
 * has the CAs and what they issued, audit_cert.c judges a certificate, audit_files.c the files
 * beside it, audit_batch.c the results of batches. For these files alone.
 */
#ifndef OTRP_PKI_AUDIT_PARTS_H
#define OTRP_PKI_AUDIT_PARTS_H

#include "pki/audit.h"
#include "pki/key_index.h"
#include "pki/ledger.h"
#include "pki/role.h"

#define BUNDLE_END "cert-plus-intermediate-cert.pem"

/* A CA or root: its certificate and what it has issued. */
struct issuer {
    X509 *cert;
    char *cert_path, *ledger_path;
    ledger *issued; /* NULL: cannot be read, and a finding says so */
    struct row {
        const char *serial;
        size_t index;
    } * rows; /* by serial number */
    bool is_root;
};

/* Who has which key, in all roles. */
struct holders {
    key_index *keys;
    struct holder {
        char *name, *path;
    } * list;
    size_t count;
};

struct walk {
    struct audit *audit;
    struct holders *holders;
    enum pki_role role;
    struct issuer *issuers;
    size_t issuer_count;
    X509_stack *roots, *cas;
    struct error *err;
    bool failed; /* of memory */
};

/* What a folder of the layout may hold. */
enum folder { FOLDER_ROOT, FOLDER_CA, FOLDER_ENTITY, FOLDERS };

/* A finding. */
void audit_tell(const struct walk *w, enum audit_kind kind, const char *path, const char *format,
                ...) PRINTF_LIKE(4, 5);
/* The same of an error that names path itself, or not; an error that has a hint of its own cause
 * (no permission, revoked) gets that. */
void audit_tell_error(const struct walk *w, enum audit_kind kind, const char *path,
                      const struct error *why);
/* FOLDER/STEM and end, where the first length bytes of stem count; owned by the caller. */
char *audit_path(const char *folder, const char *stem, size_t length, const char *end);

/* The CAs and roots of a role with their ledgers, which are checked. False without memory. */
bool audit_find_issuers(struct walk *w) MUST_CHECK;
void audit_forget_issuers(struct walk *w);
const struct issuer *audit_issuer_of(const struct walk *w, X509 *cert);
/* Whether the ledger of its issuer has it as revoked, or any ledger of the role the number. */
bool audit_says_revoked(const struct issuer *issuer, const X509 *cert);
bool audit_is_revoked(const struct walk *w, const char *serial);
/* Whether the ledger of its issuer says the same as the certificate. */
void audit_check_row(const struct walk *w, const struct issuer *issuer, X509 *cert,
                     const char *path);

/* False when what is wrong makes further judgement idle. */
bool audit_check_times(const struct walk *w, X509 *cert, const char *path);
bool audit_check_strength(const struct walk *w, X509 *cert, const char *path);
/* Whether its holder can sign what it has to say. */
void audit_check_algorithm(const struct walk *w, X509 *cert, const char *path);
bool audit_check_usage(const struct walk *w, X509 *cert, enum folder folder, const char *path);
void audit_check_chain(const struct walk *w, X509 *cert, const struct issuer *issuer,
                       enum folder folder, const char *path);
/* A key is one holder's; TEE and firmware of a device, and what is renewed, have one name. */
void audit_check_shared(struct walk *w, X509 *cert, const char *path);
void audit_holders_free(struct holders *h);

/* The files beside a certificate, whose names begin with stem. */
void audit_check_key(const struct walk *w, const char *folder, const char *stem, size_t length,
                     const char *end, const X509 *cert, bool private);
void audit_check_bundle(const struct walk *w, const char *folder, const char *stem, size_t length,
                        const X509 *cert, const struct issuer *issuer);
void audit_check_staple(const struct walk *w, const char *folder, const char *stem, size_t length,
                        X509 *cert, const struct issuer *issuer);
void audit_check_signer(const struct walk *w, const char *folder, const char *stem, size_t length,
                        X509 *ca);

/* What the results of batches in folder have issued in this role is there, and is the same. False
 * without memory. */
bool audit_check_results(const struct walk *w, const char *folder) MUST_CHECK;

#endif
