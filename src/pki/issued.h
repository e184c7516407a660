/* SPDX-License-Identifier: Apache-2.0 */
/*
 * issued.h: what was issued, as rows of a result: a CSV with a line for each certificate, or for
 * each row of a manifest that got none.
 *
 *     buffer_put_text(out, ISSUED_HEADER);
 *     if (!issued_put_entity(out, station, e, 1, NULL, err)) ...
 */
#ifndef OTRP_PKI_ISSUED_H
#define OTRP_PKI_ISSUED_H

#include "pki/station.h"

#define ISSUED_HEADER "row,role,name,serial,sha256,did,cert,key,status,message\n"
#define ISSUED_GOOD   "issued"
#define ISSUED_FAILED "failed"

/* A row of the result; what is NULL is empty. */
struct issued {
    size_t row;
    const char *role, *name, *serial, *sha256, *did, *cert, *key, *status, *message;
};

/* Appends it as a line of CSV: unruly characters (utf8.h) become blanks, so it is always one line.
 */
void issued_put(buffer *out, const struct issued *issued);

/* The row of an entity that got its certificate. */
bool issued_put_entity(buffer *out, const struct station *s, const entity *e, size_t row,
                       const char *message, struct error *err) MUST_CHECK;

#endif
