/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x5c.h: certificates as JSON: an array of standard BASE64 of their DER, as in the x5c header (RFC
 * 7515 section 4.1.6), in a DSI and in the information about a TA.
 *
 *     AUTO(X509_stack) *signers = x5c_to_certs(json_object_get(header, "x5c"), "header.x5c", err);
 */
#ifndef OTRP_PKI_X5C_H
#define OTRP_PKI_X5C_H

#include <jansson.h>

#include "pki/cert.h"

/* One certificate as a string; owned by the caller. */
json_t *x5c_element(const X509 *cert, struct error *err) MUST_CHECK;

/* The certificates from index first on; owned by the caller. */
json_t *x5c_from_certs(const X509_stack *certs, int first, struct error *err) MUST_CHECK;

/* The 1 to LIMIT_CHAIN certificates of an array, in their order; owned by the caller. RC_MALFORMED,
 * naming the element. */
X509_stack *x5c_to_certs(const json_t *x5c, const char *what, struct error *err) MUST_CHECK;

/* Appends the certificate that one element is. */
bool x5c_append(X509_stack *certs, const json_t *element, const char *what,
                struct error *err) MUST_CHECK;

#endif
