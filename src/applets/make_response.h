/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_response.h: the parts of otrp make-response: make_response.c makes answers,
 * make_response_materials.c loads what they are made of.
 */
#ifndef OTRP_APPLETS_MAKE_RESPONSE_H
#define OTRP_APPLETS_MAKE_RESPONSE_H

#include "applets/broken.h"
#include "applets/common.h"
#include "otrp/json_path.h"
#include "otrp/profile.h"
#include "otrp/request.h"

struct make_response {
    const char *request, *pki, *tee, *tee_key, *tee_cert, *tfw_key, *tfw_cert, *device, *tam_cert,
        *aik, *spcert, *tamid, *status, *error, *reason, *name, *tee_version, *rid, *tid, *save_cek,
        *out;
    struct text_list set, unset, break_;
    bool no_tfw, no_signerreq, no_dsi, plain, tbs, template;
};

/* What an answer is made of; freed at the end of the command. */
typedef struct response_materials {
    const struct profile *profile;

    /* of the options */
    request *request;             /* as far as it can be read */
    json_t *fields;               /* its decrypted content, or NULL */
    key_set *tee_keys, *tfw_keys; /* of the TEE; of its firmware, or NULL */
    X509_stack *tee_chain, *tfw_chain;
    key *tam_key;  /* public: the recipient; NULL: nobody knows it */
    key_set *aiks; /* of --aik, or NULL */
    broken *broken;

    /* of the answer */
    json_t *state;        /* the inner object of the device state, after the request */
    json_t *content;      /* the plaintext; NULL: the answer has none */
    json_changes changes; /* of --set and --unset, to the payload */
} response_materials;

/* Loads the first part into m, a structure of zeros; text is the request, borrowed by m. */
bool response_materials_load(const struct applet_call *call, struct span text,
                             response_materials *m, struct error *err) MUST_CHECK;
/* The device state before the request, in m->state: that of --device, or one with nothing in it. */
bool response_state_load(const struct applet_call *call, response_materials *m,
                         struct error *err) MUST_CHECK;
/* Frees what it holds, not the structure. */
void response_materials_free(response_materials *m);

AUTO_DEFINE(response_materials, response_materials_free)

#endif
