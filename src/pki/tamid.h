/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tamid.h: which kind of alternative name a tamid becomes in a TAM's certificate (otrp-messages(7),
 * ROLES). A dotted OID becomes a registeredID, what has a scheme a URI, anything else a dNSName; so
 * two certificates with the same tamid text also have the same kind of name.
 *
 *     AUTO(GENERAL_NAME) *name = tamid_to_name("1.3.6.1.4.1.99999.7", err);
 */
#ifndef OTRP_PKI_TAMID_H
#define OTRP_PKI_TAMID_H

#include <openssl/x509v3.h>

#include "util/error.h"

/* The name for a subjectAltName, owned by the caller. RC_USAGE when the text is empty, longer than
 * 255 bytes, or neither an OID nor a URI but looks like one. */
GENERAL_NAME *tamid_to_name(const char *tamid, struct error *err) MUST_CHECK;

#endif
