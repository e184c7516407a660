/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed.h: the encrypted part of whatever text is given: a JWE in any serialisation, or the edsi
 * or content inside an OTrP message.
 *
 *     AUTO(sealed) *part = sealed_find(text, err);
 *     AUTO(buffer) *plaintext = jwe_decrypt(part->jwe, keys->keys, keys->count, &cek, err);
 */
#ifndef OTRP_OTRP_SEALED_H
#define OTRP_OTRP_SEALED_H

#include "jose/jwe.h"
#include "otrp/dsi.h"
#include "otrp/profile.h"

typedef struct sealed {
    jwe *jwe;
    json_doc *doc, *tbs_doc; /* what jwe points into */
    buffer *payload;
} sealed;

/* Finds it; text must outlive it. The signature of a message is not looked at. RC_MALFORMED. */
sealed *sealed_find(struct span text, struct error *err) MUST_CHECK;
void sealed_free(sealed *s);

/* The device state in text: a plain DSI, or an answer that holds one, opened with the TAM key
 * (which may be NULL for a plain one) and verified with the certificate inside it; anchors (or
 * NULL) are the TEE roots for its chain. */
dsi *device_state_open(struct span text, key *tam_key, const X509_stack *anchors, time_t at,
                       struct error *err) MUST_CHECK;

/* The same with more to say: q opens and verifies an answer; its reading (or NULL: strict) may take
 * foreign forms. */
struct response_question;
dsi *device_state_read(struct span text, const struct response_question *q,
                       struct error *err) MUST_CHECK;

AUTO_DEFINE(sealed, sealed_free)

#endif
