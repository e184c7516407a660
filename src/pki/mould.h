/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mould.h: certificates for EC keys that differ by their name, key, serial number and times alone,
 * as those of a batch do. issue.h makes the first one; the others are cast: DER that is put
 * together around what stays as it is (RFC 5280 section 4.1).
 *
 *     AUTO(mould) *m = mould_new(&order, cert);
 *     ...
 *     struct ec_point point;
 *     struct ledger_facts facts;
 *     if (m && ec_point_of(order.pkey, &point) && (der = mould_cast(m, &order, &point, &facts)))
 *
 * What cannot be cast is for issue.h to make, or to say why not.
 */
#ifndef OTRP_PKI_MOULD_H
#define OTRP_PKI_MOULD_H

#include "pki/ec_key.h"
#include "pki/issue.h"
#include "pki/ledger.h"

typedef struct mould mould;

/* From a certificate that was issued by that order, whose template and issuer are borrowed. NULL
 * when others would differ in more, or when what is cast in it is not that certificate. */
mould *mould_new(const struct issue_order *order, const X509 *cert);
void mould_free(mould *m);

/* The DER of a certificate for another name and key, owned by the caller, with its facts (for
 * ledger_facts_free). NULL when it cannot be had from this mould. */
buffer *mould_cast(mould *m, const struct issue_order *order, const struct ec_point *point,
                   struct ledger_facts *facts) MUST_CHECK;

AUTO_DEFINE(mould, mould_free)

#endif
