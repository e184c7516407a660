/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki_issue.h: what pki-issue does, a file for each: one certificate of an entity (pki_issue.c),
 * one that serves a CA (pki_issue_service.c), a manifest of many (pki_batch.c); and what they
 * share: keys (pki_issue_key.c), results (pki_issue_print.c).
 */
#ifndef OTRP_APPLETS_PKI_ISSUE_H
#define OTRP_APPLETS_PKI_ISSUE_H

#include "applets/pki.h"
#include "pki/issued.h"
#include "pki/station.h"

struct pki_issue {
    const char *pki, *role, *name, *alg, *csr, *key, *tamid, *manifest, *out, *ca_key, *templates,
        *passout, *kind;
    long days, jobs;
    bool renew, resume;
};

/* For --kind: the certificate of a CA, or of an OCSP signer. */
enum rc issue_service(const struct applet_call *call, const struct station *s, struct error *err);

/* For --manifest. RC_PARTIAL when rows failed or it was interrupted. */
enum rc issue_many(const struct applet_call *call, struct station *s, struct error *err);

/* Warns of a private key that gets into the clear while the key in the file beside is encrypted. */
void issue_warn_of_clear(const struct applet_call *call, const struct station *s,
                         const char *beside);

/* Gives the entity the key at source: the user's, or that of the certificate that is renewed. */
bool issue_take_key(const struct applet_call *call, entity *e, const char *source,
                    struct error *err) MUST_CHECK;

/* Refuses the key of e (NULL: none), which the user names as what, where a certificate for it was
 * revoked because others know it: RC_UNTRUSTED. */
bool issue_check_compromise(const struct station *s, const entity *e, const char *what,
                            struct error *err) MUST_CHECK;

/* The same, and a warning where a certificate of another name has that key: each is to have its
 * own. */
bool issue_check_brought_key(const struct applet_call *call, const struct station *s,
                             const entity *e, struct error *err) MUST_CHECK;

/* Gives it a new key, unless it has one. */
bool issue_make_key(const struct applet_call *call, entity *e, struct error *err) MUST_CHECK;

/* Writes a result, in a file or a text, to standard output, as --json says. */
bool issued_print(const struct applet_call *call, const char *path, struct error *err) MUST_CHECK;
bool issued_print_text(const struct applet_call *call, const buffer *result,
                       struct error *err) MUST_CHECK;

/* Adds to the error of a result of one row that could not be written that its certificate is issued
 * all the same. Always returns false. */
bool issued_unprinted(const buffer *result, struct error *err);

#endif
