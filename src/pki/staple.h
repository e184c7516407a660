/* SPDX-License-Identifier: Apache-2.0 */
/*
 * staple.h: the stapling set of a certificate: OCSP responses for it and the CAs below its root, as
 * the JSON array of BASE64 that becomes `ocspdat` (otrp-messages(7), COMMON MEMBERS).
 *
 *     AUTO(json_t) *set = json_array();
 *     if (!staple_add(set, &(struct ocsp_statement){...}, err)) ...
 *     AUTO(buffer) *text = staple_text(set, err);
 */
#ifndef OTRP_PKI_STAPLE_H
#define OTRP_PKI_STAPLE_H

#include "pki/ocsp.h"
#include "util/json.h"

/* Makes the response and appends it. */
bool staple_add(json_t *set, const struct ocsp_statement *statement, struct error *err) MUST_CHECK;

/* One line with a newline at its end, owned by the caller. */
buffer *staple_text(const json_t *set, struct error *err) MUST_CHECK;

/* The command that puts a new set at path for the certificate at cert, for hints: "otrp pki-ocsp
 * --pki PKI --force -o PATH CERT". NULL stands for what is not known. Owned by the caller; NULL
 * without memory. */
char *staple_command(const char *pki, const char *path, const char *cert);

#endif
