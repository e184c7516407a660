/* SPDX-License-Identifier: Apache-2.0 */
/* mutation_craft.h: the mutations that no table of members gives: for mutation.c
 * and mutation_signer.c alone. */
#ifndef OTRP_OTRP_MUTATION_CRAFT_H
#define OTRP_OTRP_MUTATION_CRAFT_H

#include "otrp/mutation.h"

enum stage {
    STAGE_TBS,
    STAGE_CONTENT,
    STAGE_SEALING,
    STAGE_SEALED,
    STAGE_PACKAGE,
    STAGE_PAYLOAD,
    STAGE_SIGNER,
    STAGE_JWS,
    STAGE_MESSAGE
};

/* What a stage works on: of the members, those that the stage has. */
struct workpiece {
    const struct mutation_plan *plan;
    json_t *json;            /* TBS, content */
    const X509_stack *chain; /* TBS */
    struct jwe_how *how;     /* sealing */
    buffer **text;           /* sealed, package, payload, JWS, message */
    const char *tbs_name;    /* payload */
    mutation_signer *signer;
    const key *signed_by; /* JWS */
};

struct craft {
    const char *name;
    unsigned fits;
    enum error_code_id code;
    const char *check, *title, *needs; /* needs may be NULL */
    enum stage stage;
    /* One of both: a place in the text and what stands there (NULL: nothing), or a function. */
    const char *path, *json;
    bool (*apply)(struct workpiece *w, struct error *err);
};

extern const struct craft request_crafts[], response_crafts[];
extern const size_t request_craft_count, response_craft_count;

/* The certificates and stapling data of mutation_signer.c. */
bool craft_untrusted(struct workpiece *w, struct error *err);
bool craft_expired(struct workpiece *w, struct error *err);
bool craft_not_yet_valid(struct workpiece *w, struct error *err);
bool craft_wrong_usage(struct workpiece *w, struct error *err);
bool craft_no_tamid(struct workpiece *w, struct error *err);
bool craft_other_key(struct workpiece *w, struct error *err);
bool craft_no_stapling(struct workpiece *w, struct error *err);
bool craft_revoked(struct workpiece *w, struct error *err);
bool craft_stale_stapling(struct workpiece *w, struct error *err);
bool craft_other_stapling(struct workpiece *w, struct error *err);
bool craft_other_hierarchy(struct workpiece *w, struct error *err);

#endif
