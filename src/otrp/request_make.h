/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_make.h: a TAM's requests, made from a few fields and what is known of the device.
 *
 *     struct request_draft draft = { .type = message_type(MESSAGE_CREATE_SD), ... };
 *     AUTO(json_t) *tbs = request_tbs(&draft, err);           without content and encrypted_ta
 *     AUTO(json_t) *content = request_content(&draft, err);   the plaintext of content
 *     AUTO(buffer) *message = request_seal(&draft, tbs, content, &cek, err);
 *
 * Both JSON values may be changed in between: what is signed is what they say then.
 */
#ifndef OTRP_OTRP_REQUEST_MAKE_H
#define OTRP_OTRP_REQUEST_MAKE_H

#include "jose/jwe.h"
#include "otrp/dsi.h"
#include "otrp/json_path.h"
#include "otrp/message.h"
#include "otrp/mutation.h"
#include "otrp/profile.h"

struct request_draft {
    const struct message_type *type;
    key *tam_key;
    const X509_stack *tam_chain; /* x5c, signer first */
    const char *tamid;
    const json_t *ocspdat; /* array of BASE64, or NULL */
    const char *rid, *tid; /* NULL: random ones */
    const dsi *device;     /* NULL for GetDeviceState */
    bool nextdsi;
    /* Each may be NULL. spcert: BASE64 of the DER. */
    const char *spid, *sdname, *spcert, *taid, *taname;
    const char *newsdname, *newspid;
    const json_t *add_spcert, *del_spcert; /* arrays of BASE64, of hex; or NULL */
    bool renew_aik, delete_ta;
    const buffer *package, *pdata; /* of a TA; or NULL */
    key *aik;                      /* public SP AIK; NULL: that of spid in the device's DSI */
    struct span cek;               /* for content; empty: a random one */
    const struct jwa *sign_alg, *key_alg, *enc; /* NULL: what fits the keys */
    const json_changes *changes; /* to the TBS once content and encrypted_ta are in it; or NULL */
    const struct mutation_plan *broken; /* to be made wrong, or NULL */
    const struct profile *profile;      /* whose form the request has; NULL: ietf */
    key *tee_key; /* public: of a device whose state names no certificate, or NULL */
};

/* The members of the TBS, ver to dsihash. rid and tid are random when the draft has none. */
json_t *request_tbs(const struct request_draft *draft, struct error *err) MUST_CHECK;

/* The plaintext of content; NULL with err->rc RC_OK for GetDeviceState. RC_USAGE naming a field
 * that is missing. */
json_t *request_content(const struct request_draft *draft, struct error *err) MUST_CHECK;

/* Encrypts, assembles, signs. cek (or NULL) gets the content encryption key, which opens the
 * response. */
buffer *request_seal(const struct request_draft *draft, const json_t *tbs, const json_t *content,
                     buffer **cek, struct error *err) MUST_CHECK;

/* 128 random bits in base64url, for rid and tid; owned by the caller. */
char *random_id(struct error *err) MUST_CHECK;

#endif
