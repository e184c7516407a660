/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsi_make.h: Device State Information for an answer that is made by hand: a new one, and one as it
 * is after a request has succeeded (otrp-messages(7), GetDeviceState).
 *
 *     AUTO(json_t) *dsi = dsi_make(&(struct dsi_draft){.name = "mytee", .version = "1.0",
 *                                                      .chain = chain}, err);
 *     if (!dsi_after(dsi, MESSAGE_CREATE_SD, fields, aik, err)) ...
 */
#ifndef OTRP_OTRP_DSI_MAKE_H
#define OTRP_OTRP_DSI_MAKE_H

#include "otrp/dsi.h"
#include "otrp/message.h"

struct dsi_draft {
    const char *name, *version; /* of the TEE */
    const X509_stack *chain;    /* of the TEE, own certificate first */
};

/* The inner object, with no SD and no AIK. Owned by the caller. */
json_t *dsi_make(const struct dsi_draft *draft, struct error *err) MUST_CHECK;

/* What firmware says for the tid of a session: it signs the bytes of tid (ES256: R || S). Owned by
 * the caller. */
json_t *dsi_tfwdata(const key *tfw_key, const X509 *tfw_cert, const char *tid,
                    struct error *err) MUST_CHECK;

/* Changes the inner object as the request with that decrypted content does. aik (or NULL) is the
 * public SP AIK that the request had the TEE make. */
bool dsi_after(json_t *state, enum message_id type, const json_t *fields, const key *aik,
               struct error *err) MUST_CHECK;

#endif
