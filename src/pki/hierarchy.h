/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hierarchy.h: the four hierarchies of a device fleet as a whole (otrp-messages(7), ROLES): for SP,
 * TAM, TEE and TFW the roots, a CA under the first root, and end entities under the CA.
 *
 *     AUTO(hierarchy) *h = hierarchy_plan(&order, err);     names and algorithms, nothing made yet
 *     AUTO(templates) *t = templates_load("pki-templates", err);
 *     if (!hierarchy_rehearse(h, t, now, err) || !hierarchy_make_keys(h, &how, err) ||
 *         !hierarchy_issue(h, t, now, err)) ...
 *
 * files.h tells what there is of it on disk.
 */
#ifndef OTRP_PKI_HIERARCHY_H
#define OTRP_PKI_HIERARCHY_H

#include "pki/cert.h"
#include "pki/keygen.h"
#include "pki/template.h"
#include "pki/role.h"
#include "util/options.h"

enum pki_level { LEVEL_ROOT, LEVEL_CA, LEVEL_ENTITY, LEVEL_COUNT };

/* "root", "ca", "entity". */
const char *pki_level_name(enum pki_level level);

/* A key and its certificate. */
struct pki_member {
    enum pki_level level;
    enum pki_role role;
    char *name;  /* of an entity */
    char *tamid; /* of a TAM */
    enum key_alg alg;
    const char *family; /* in file names: of its own key, of a CA that of its root */
    size_t issuer;      /* index of a member; its own for a root */
    EVP_PKEY *pkey;     /* NULL until made */
    X509 *cert;
};

typedef struct hierarchy {
    struct pki_member *members; /* a member stands behind its issuer */
    size_t count;
    const buffer *passphrase; /* the caller's: of the key files; NULL: they are not encrypted */
} hierarchy;

struct hierarchy_order {
    const char *root_alg;     /* "ec-p256,rsa-4096": the first signs the CA */
    const char *ca_alg, *alg; /* alg: of end entities */
    const struct text_list *sp;
    const struct text_list *tam; /* NAME or NAME=TAMID */
    const struct text_list *tee; /* each also has a TFW of its name */
};

/* RC_USAGE for an unknown algorithm, two roots of one family, a bad name or tamid, or one that is
 * given twice. */
hierarchy *hierarchy_plan(const struct hierarchy_order *order, struct error *err) MUST_CHECK;
void hierarchy_free(hierarchy *h);

/* The templates of all levels and roles. */
typedef struct templates {
    cert_template *root, *ca, *entity[ROLE_COUNT];
} templates;

templates *templates_load(const char *dir, struct error *err) MUST_CHECK;
void templates_free(templates *t);

/* Issues everything with one throw-away key: so a template that is no good is found before the real
 * keys, which take long, are made. */
bool hierarchy_rehearse(hierarchy *h, const templates *t, time_t now, struct error *err) MUST_CHECK;

bool hierarchy_make_keys(hierarchy *h, const struct keygen_how *how, struct error *err) MUST_CHECK;

/* Issues all certificates, and checks each end entity's chain. */
bool hierarchy_issue(hierarchy *h, const templates *t, time_t now, struct error *err) MUST_CHECK;

AUTO_DEFINE(hierarchy, hierarchy_free)
AUTO_DEFINE(templates, templates_free)

#endif
