/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h: the files of a hierarchy: which there are, where, and what is in them.
 *
 *     AUTO(pki_files) *files = pki_files_plan(h, "pki", err);
 *     ... keys and certificates are made (hierarchy.h)
 *     AUTO(buffer) *pem = pki_file_make(h, &files->files[0], now, err);
 *
 * layout.h gives the paths.
 */
#ifndef OTRP_PKI_FILES_H
#define OTRP_PKI_FILES_H

#include "pki/hierarchy.h"

#define STAPLE_DAYS 7 /* thisUpdate to nextUpdate of a stapling set, unless said otherwise */

enum pki_file_kind {
    PKI_KEY,
    PKI_CERT,
    PKI_BUNDLE,
    PKI_PRIVATE_JWK,
    PKI_PUBLIC_JWK,
    PKI_OCSP,
    PKI_LEDGER,
    PKI_LEDGER_ATTRIBUTES,
    PKI_FILE_KIND_COUNT
};

struct pki_file {
    enum pki_file_kind kind;
    size_t member; /* index */
    char *path;
};

typedef struct pki_files {
    struct pki_file *files;
    size_t count;
} pki_files;

pki_files *pki_files_plan(const hierarchy *h, const char *dir, struct error *err) MUST_CHECK;
void pki_files_free(pki_files *files);

/* Whether only its owner may read such a file. */
bool pki_file_private(enum pki_file_kind kind);
/* "private-key", "certificate", ...: in reports. */
const char *pki_file_kind_name(enum pki_file_kind kind);
/* RC_USAGE when dir has a key or certificate of another PKI that files would not replace: two
 * hierarchies in one folder would trust each other's roots. */
bool pki_files_check_strangers(const pki_files *files, const char *dir,
                               struct error *err) MUST_CHECK;

/* The content of a file, secret where it is private; of all kinds but the JWKs, which the caller
 * makes. */
buffer *pki_file_make(const hierarchy *h, const struct pki_file *file, time_t now,
                      struct error *err) MUST_CHECK;

/* A private key as PKCS#8 in PEM, secret; encrypted (AES-256-CBC) unless passphrase is NULL. */
buffer *pki_key_pem(const EVP_PKEY *pkey, const buffer *passphrase, struct error *err) MUST_CHECK;

AUTO_DEFINE(pki_files, pki_files_free)

#endif
