/* SPDX-License-Identifier: Apache-2.0 */
/*
 * station.h: a place where end entities get their certificates: the CAs of a PKI with their keys,
 * the templates, and where the files go.
 *
 *     struct station station = {.pki = "pki", .templates = folder, .clock = &clock};
 *     if (!station_open(&station, ROLE_TEE, err)) ...
 *     station.ca[ROLE_TEE].key = ca_key;
 *
 *     AUTO(entity) *e = entity_read(&(struct entity_text){.role = "tee", .name = "device1"}, err);
 *     if (!e || !entity_make_key(e, keys, err) || !station_issue(&station, e, err)) ...
 *
 * The manifest's or the user's texts are checked by entity_read and become typed values there.
 */
#ifndef OTRP_PKI_STATION_H
#define OTRP_PKI_STATION_H

#include "pki/authority.h"
#include "pki/csr.h"
#include "pki/folder_names.h"
#include "pki/keygen.h"
#include "pki/mould.h"
#include "pki/template.h"
#include "util/clock.h"

/* An entity as texts; NULL and "" are the same: not given. */
struct entity_text {
    const char *role, *name, *alg, *csr, *tamid, *days;
    struct span csr_text; /* what is in csr; of no bytes: it is read */
};

typedef struct entity {
    enum pki_role role;
    char *name;
    uint8_t shard; /* of name (layout.h) */
    char *tamid;   /* of a TAM */
    long days;     /* 0: as its template says */
    enum key_alg alg;
    EVP_PKEY *pkey;        /* NULL until made */
    struct ec_point point; /* of pkey, where it is an EC key and the certificate is issued */
    bool private;          /* pkey has its private part, which becomes a file */
    X509_extensions *requested;
    buffer *der;               /* the certificate, when issued */
    struct ledger_facts facts; /* of it */
} entity;

/* RC_USAGE for a text that cannot be what it is to be; else as csr_load. */
entity *entity_read(const struct entity_text *text, struct error *err) MUST_CHECK;
void entity_free(entity *e);

/* A new key of its algorithm, unless it has one. */
bool entity_make_key(entity *e, keygen *keys, struct error *err) MUST_CHECK;
/* Gives it a key that exists; takes pkey, also at a failure. RC_USAGE for a key of another kind. */
bool entity_set_key(entity *e, EVP_PKEY *pkey, bool private, const char *what,
                    struct error *err) MUST_CHECK;

/* What is needed for a role: the CA with its key, and the template. */
struct station_ca {
    authority *ca;
    EVP_PKEY *key;       /* the caller's */
    buffer *pem;         /* of the CA's certificate */
    folder_names *names; /* of the PKI's folder of the role, or NULL */
    cert_template *template;
    bool tried[2]; /* by family: a certificate of this template has been checked */
    mould *mould;  /* for EC keys; NULL until there have been some */
};

struct station {
    const char *pki, *templates;
    const char *out; /* sharded folder for the files; NULL: the PKI itself */
    const struct clock *clock;
    const buffer *passphrase; /* of the private keys that are written, or NULL */
    struct station_ca ca[ROLE_COUNT];
};

/* Loads what a role needs, but the key; once. RC_USAGE also when the clock is before the CA. */
bool station_open(struct station *s, enum pki_role role, struct error *err) MUST_CHECK;
void station_close(struct station *s);

/* Makes the certificate: e->der and e->facts. RC_USAGE when it would outlive its CA or nobody would
 * accept it in its role. */
bool station_issue(struct station *s, entity *e, struct error *err) MUST_CHECK;

/* The same with a certificate that was issued elsewhere for e. */
bool station_take(entity *e, struct span der, struct error *err) MUST_CHECK;

/* Where a file of e is: what as in layout.h. Owned by the caller; NULL without memory. */
char *station_path(const struct station *s, const entity *e, const char *what);
/* The same of the certificate, as its ledger has it: relative to the PKI, "unknown" elsewhere. */
char *station_ledger_file(const struct station *s, const entity *e);

/* Prepares for station_taken to be asked for many entities that go to s->out. */
bool station_read_names(struct station *s, struct error *err) MUST_CHECK;

/* Whether there is a certificate of e's name and role, in either family: its path, owned by the
 * caller, or *path NULL. */
bool station_taken(const struct station *s, const entity *e, char **path,
                   struct error *err) MUST_CHECK;

/* e->der in PEM; owned by the caller. */
buffer *entity_cert_pem(const entity *e, struct error *err) MUST_CHECK;
/* The private key in PEM as the station writes it; secret, owned by the caller. */
buffer *station_key_pem(const struct station *s, const entity *e, struct error *err) MUST_CHECK;
/* The certificate in PEM with that of its CA behind it; owned by the caller. */
buffer *station_bundle(const struct station *s, const buffer *cert_pem, enum pki_role role,
                       struct error *err) MUST_CHECK;

AUTO_DEFINE(entity, entity_free)

#endif
