/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h: who is to get a certificate: a CSV whose first record names the columns (role, name,
 * alg, csr, tamid, days; in any order, name at least), a row for each.
 *
 *     AUTO(manifest) *m = manifest_open("devices.csv", err);
 *     struct manifest_row row;
 *     while (manifest_next(m, &row, err) == CSV_RECORD)
 *         use(row.number, row.text[MANIFEST_NAME]);
 */
#ifndef OTRP_PKI_MANIFEST_H
#define OTRP_PKI_MANIFEST_H

#include "pki/csv.h"

enum manifest_column {
    MANIFEST_ROLE,
    MANIFEST_NAME,
    MANIFEST_ALG,
    MANIFEST_CSR,
    MANIFEST_TAMID,
    MANIFEST_DAYS,
    MANIFEST_COLUMNS
};

struct manifest_row {
    size_t number, line;                /* the first row is 1 */
    const char *text[MANIFEST_COLUMNS]; /* until the next row; "" when the column is not there */
    const char *fault;                  /* why it cannot be used, or NULL */
};

typedef struct manifest manifest;

/* RC_USAGE when it cannot be read or a column has no meaning here. */
manifest *manifest_open(const char *path, struct error *err) MUST_CHECK;
void manifest_free(manifest *m);

enum csv_result manifest_next(manifest *m, struct manifest_row *row, struct error *err) MUST_CHECK;

AUTO_DEFINE(manifest, manifest_free)

#endif
