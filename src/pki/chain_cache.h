/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain_cache.h: chains that chain_verify has found good, so that a server need not verify the
 * signatures of the same certificates for every message.
 *
 *     X509_stack *path = chain_recall(question);
 *     if (!path && (path = ...))
 *         chain_keep(question, path);
 *
 * Why it is sound: what chain_verify says follows from the leaf, the other certificates, the
 * anchors, the role and the time, and from nothing else. A chain is recalled for the very same
 * certificates in the same order (the cache holds a reference to each, and they never change) and
 * role, and only as long as each of them, anchors included, is as valid or invalid as it was then:
 * no notBefore or notAfter lies between the two times. Other anchors, such as those of a policy
 * that was read anew, are another question. Of revocation neither knows anything.
 *
 * Bounded, as strangers send certificates. Safe to call from several threads.
 */
#ifndef OTRP_PKI_CHAIN_CACHE_H
#define OTRP_PKI_CHAIN_CACHE_H

#include "pki/chain.h"

/* The path of that question, of the caller's; NULL: it is to be verified. */
X509_stack *chain_recall(const struct chain_question *question) MUST_CHECK;

/* Keeps path (borrowed), which answers the question. */
void chain_keep(const struct chain_question *question, const X509_stack *path);

#endif
