/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_request.h: the parts of otrp make-request: make_request.c checks the options and makes the
 * message, make_request_materials.c loads what it is made of.
 */
#ifndef OTRP_APPLETS_MAKE_REQUEST_H
#define OTRP_APPLETS_MAKE_REQUEST_H

#include "applets/broken.h"
#include "applets/common.h"
#include "otrp/dsi.h"

struct make_request {
    const char *type, *pki, *tam, *tam_key, *tam_cert, *ocsp, *device, *rid, *tid, *spid, *sdname,
        *spcert, *taid, *taname, *ta, *sp, *pdata, *tamid, *nonce, *newsdname, *newspid, *taver,
        *alg, *enc, *cek, *save_cek, *tee_cert, *aik, *out;
    struct text_list add_spcert, del_spcert, set, unset, break_;
    bool nextdsi, no_nextdsi, renew_aik, delete_ta, tbs, template;
};

/* What the options name, loaded; freed at the end of the command. */
typedef struct request_materials {
    key_set *tam_keys;        /* the one private key of the TAM */
    key_set *tee_keys, *aiks; /* of --tee-cert and --aik; or NULL */
    X509_stack *tam_chain;    /* own certificate first */
    json_t *ocsp;             /* stapling set, or NULL */
    json_t *add, *del; /* of --add-spcert and --del-spcert, as they stand in the request; or NULL */
    char *tamid;
    char *spcert; /* BASE64, where the request is to bring it; or NULL */
    dsi *device;
    char *seen_rid, *seen_tid; /* of the answer that --device is */
    buffer *package, *pdata, *cek;
} request_materials;

/* Loads it into m, a structure of zeros; what is odd about it is said, and used nevertheless. */
bool request_materials_load(const struct applet_call *call, request_materials *m,
                            struct error *err) MUST_CHECK;
/* Frees what it holds, not the structure. */
void request_materials_free(request_materials *m);

AUTO_DEFINE(request_materials, request_materials_free)

#endif
