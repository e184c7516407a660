/* SPDX-License-Identifier: Apache-2.0 */
/* pki_issue.h: what one certificate and a batch of them have in common: rows of the result. */
#ifndef OTRP_APPLETS_PKI_ISSUE_H
#define OTRP_APPLETS_PKI_ISSUE_H

#include "applets/pki.h"
#include "pki/csv.h"
#include "pki/station.h"

#define ISSUED_HEADER "row,role,name,serial,sha256,did,cert,key,status,message\n"
#define ISSUED_FIELDS 10
#define ISSUED_STATUS 8 /* index of the field */
#define ISSUED_GOOD   "issued"
#define ISSUED_FAILED "failed"

/* A row of the result; what is NULL is empty. */
struct issued {
    size_t row;
    const char *role, *name, *serial, *sha256, *did, *cert, *key, *status, *message;
};

/* Appends it as a line of CSV: control characters become blanks, so it is always one line. */
void issued_put(buffer *out, const struct issued *issued);

/* The row of an entity that got its certificate. */
bool issued_put_entity(buffer *out, const struct station *s, const entity *e, size_t row,
                       const char *message, struct error *err) MUST_CHECK;

/* Writes a result to standard output, as --json says. */
bool issued_print(const struct applet_call *call, csv *result, struct error *err) MUST_CHECK;

struct batch_order {
    const char *manifest;
    const char *role, *alg; /* of rows that do not say; or NULL */
    long days, jobs;        /* 0: the template's; one a core */
    bool resume;
    bool token; /* the CA's key is in a token: one process signs */
};

/* Works through a manifest. RC_PARTIAL when rows failed or it was interrupted. */
enum rc batch_run(const struct applet_call *call, struct station *station,
                  const struct batch_order *order, struct error *err);

#endif
