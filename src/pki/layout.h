/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h: where the files of a PKI directory are (otrp-pki-init(1), FILES), and what a command
 * needs of them.
 *
 *     pki/tam/tam-rootca/tam-rootca-ec-cert.pem
 *     pki/tam/tam-ca/tam-ca-1-ec-cert.pem
 *     pki/tam/tam/tam-mytam-rsa-key.pem
 *     pki/tam/tam/tam-mytam-rsa-cert-plus-intermediate-cert.pem
 *     pki/tam/tam/tam-mytam-rsa-ocsp.json    (the stapling set: a JSON array of BASE64)
 */
#ifndef OTRP_PKI_LAYOUT_H
#define OTRP_PKI_LAYOUT_H

#include "pki/cert.h"
#include "pki/role.h"
#include "util/options.h"

/* Paths; each owned by the caller, NULL without memory. family is "rsa" or "ec", what "key.pem",
 * "cert.pem", "cert-plus-intermediate-cert.pem", "ocsp.json", ... */
char *layout_root_path(const char *dir, enum pki_role role, const char *family, const char *what);
char *layout_ca_path(const char *dir, enum pki_role role, const char *family, const char *what);
char *layout_entity_folder(const char *dir, enum pki_role role);
char *layout_entity_path(const char *dir, enum pki_role role, const char *name, const char *family,
                         const char *what);

/* The same of a batch's folder, where the entities of a role are spread over 256 folders, named by
 * the first byte of SHA-256 of their name: DIR/tee/4f/tee-NAME-ec-cert.pem. */
struct layout_sharded {
    enum pki_role role;
    uint8_t shard; /* from layout_shard */
    const char *name, *family;
};
bool layout_shard(const char *name, uint8_t *shard, struct error *err) MUST_CHECK;
char *layout_shard_path(const char *dir, const struct layout_sharded *e, const char *what);

/* The path of a certificate in folder of a TAM that is not called name and has that tamid, owned by
 * the caller; NULL when there is none, or without memory. */
char *layout_tamid_owner(const char *folder, const char *tamid, const char *name);

/* RC_USAGE unless dir is a folder with a PKI in it. */
bool layout_check(const char *dir, struct error *err) MUST_CHECK;

/* The files of one end entity that exists in dir. */
typedef struct identity {
    char *key_path;   /* private key */
    char *chain_path; /* bundle: end entity first, then the intermediate */
    char *ocsp_path;  /* TAM: stapling set; NULL when there is none */
} identity;

/* Finds role/name in dir, whatever its family (RSA first, when it has both). RC_USAGE naming what
 * is missing, with the names that exist as hint. */
identity *identity_find(const char *dir, enum pki_role role, const char *name,
                        struct error *err) MUST_CHECK;
void identity_free(identity *id);

/* The names of the end entities of a role that have a key in dir, in their natural order: device-9
 * before device-10. */
typedef struct layout_list {
    char **names;
    size_t count;
} layout_list;

layout_list *layout_names(const char *dir, enum pki_role role, struct error *err) MUST_CHECK;
bool layout_list_has(const layout_list *list, const char *name);
void layout_list_free(layout_list *list);

/* All root certificates of a role in dir; at least one. */
X509_stack *layout_roots(const char *dir, enum pki_role role, struct error *err) MUST_CHECK;

/* Whether name may be part of a file name and a subject here. */
#define LAYOUT_NAME_FORM "1 to 64 of A-Z a-z 0-9 . _ -, not beginning with '.' or '-'"
bool layout_name_valid(const char *name);

AUTO_DEFINE(identity, identity_free)
AUTO_DEFINE(layout_list, layout_list_free)

#endif
