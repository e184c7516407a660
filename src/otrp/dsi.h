/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsi.h: Device State Information: what a TEE tells a TAM of itself and of what that TAM owns on it
 * (otrp-messages(7), GetDeviceState and dsihash).
 *
 *     AUTO(dsi) *state = dsi_parse(plaintext_of_edsi, err);
 *     state->tee_name, state->did, state->hash, dsi_find_sd(state, "xbank", "sd-1") ...
 */
#ifndef OTRP_OTRP_DSI_H
#define OTRP_OTRP_DSI_H

#include "jose/key.h"
#include "pki/cert.h"
#include "util/json.h"

struct dsi_ta {
    const char *taid, *taname; /* taname may be NULL */
};

struct dsi_sd {
    const char *name, *spid;
    struct dsi_ta *tas;
    size_t ta_count;
};

struct dsi_aik {
    const char *spid;
    const char *spaik; /* as received */
    key *key;          /* public; NULL until dsi_aik_key asks for it; owned by the DSI */
};

typedef struct dsi {
    json_t *json; /* the inner object, {"tfwdata":..., "tee":...}; texts are borrowed from it */
    const char *tee_name, *tee_version;
    X509_stack *tee_chain; /* tee.cert, then tee.cacert */
    char *did;             /* NULL: nameless */
    uint8_t hash[32];      /* of {"dsi":...} as received */
    bool has_tfwdata, nameless;
    struct dsi_sd *sds;
    size_t sd_count;
    struct dsi_aik *aiks;
    size_t aik_count;
} dsi;

/* Reads the plaintext of an edsi, or any text that is {"dsi":{...}}; hashed as received.
 * RC_MALFORMED. */
dsi *dsi_parse(struct span text, struct error *err) MUST_CHECK;
/* Reads the inner object of a "dsi" member; hashed in canonical form. */
dsi *dsi_from_json(json_t *inner, struct error *err) MUST_CHECK;
/* Reads the inner object of a foreign TEE, brought into our form; hashed is what was received.
 * nameless: it may lack the TEE's certificate, so that did is NULL and tee_chain empty, and the
 * names of SDs, which are "" then. */
dsi *dsi_from_foreign(json_t *inner, struct span hashed, bool nameless,
                      struct error *err) MUST_CHECK;
void dsi_free(dsi *state);

const struct dsi_sd *dsi_find_sd(const dsi *state, const char *spid, const char *name);
const struct dsi_ta *dsi_find_ta(const struct dsi_sd *sd, const char *taid);
/* The public SP AIK of an entry; borrowed. Read only when asked for: a list that nobody has vouched
 * for may be long. */
key *dsi_aik_key(struct dsi_aik *aik, struct error *err) MUST_CHECK;
struct dsi_aik *dsi_find_aik(const dsi *state, const char *spid);

/* Whether tfwdata signs tid under one of the firmware anchors at that time. RC_UNTRUSTED. */
bool dsi_check_firmware(const dsi *state, const char *tid, const X509_stack *anchors, time_t at,
                        struct error *err) MUST_CHECK;

/* spaik: DER PKCS#1 RSAPublicKey for RSA, SubjectPublicKeyInfo for ECC; either form is taken on
 * input. */
json_t *spaik_encode(const EVP_PKEY *pkey, struct error *err) MUST_CHECK;
const char *spaik_type(const EVP_PKEY *pkey);
key *spaik_decode(const char *base64, const char *what, struct error *err) MUST_CHECK;

AUTO_DEFINE(dsi, dsi_free)

#endif
