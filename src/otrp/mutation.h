/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutation.h: named ways to make an outgoing message wrong, each in one known way, for testing TEEs
 * and TAMs: 'make-request --break', 'tee-sim --fault' and 'tam-stub --fault' share them.
 *
 *     AUTO(mutations) *known = mutations_new(MUTATION_REQUEST, err);
 *     const struct mutation *m = mutation_find(known, MESSAGE_CREATE_SD, "type:content.did", err);
 *     draft.broken = &(struct mutation_plan){.items = &m, .count = 1, .now = now};
 *
 * Most are derived from the registry of messages: missing:PATH leaves a mandatory member out,
 * type:PATH gives one another type, value:PATH a wrong value, unknown:PATH adds one. The others are
 * rows of their own, at least one for each row of the checks of a TEE (request.h). Paths are those
 * of --set: members of the TBS, and "content." or "edsi." for those of the plaintext.
 *
 * request_make.c and response_make.c call the mutate_ functions on the way of a message; each
 * changes something only for the mutations of its stage.
 */
#ifndef OTRP_OTRP_MUTATION_H
#define OTRP_OTRP_MUTATION_H

#include <time.h>

#include "jose/jwe.h"
#include "jose/jws.h"
#include "otrp/error_code.h"
#include "otrp/message.h"
#include "pki/cert.h"
#include "util/json.h"

enum mutation_side { MUTATION_REQUEST, MUTATION_RESPONSE };

enum mutation_kind {
    MUTATION_MISSING,
    MUTATION_TYPE,
    MUTATION_VALUE,
    MUTATION_UNKNOWN,
    MUTATION_CRAFTED
};

struct mutation {
    char name[96]; /* "missing:content.spid", "expired" */
    enum mutation_kind kind;
    unsigned fits;           /* a bit for each message_id */
    enum error_code_id code; /* that a correct TEE answers; ERR_NONE: a correct TAM refuses it */
    const char *check; /* the row of its checks that fails first; NULL: one of the command's */
    const char *path;  /* of a member; inside name. NULL: crafted */
    const char *json;  /* what stands there instead; NULL: nothing */
    const struct craft *craft; /* of a crafted one */
};

typedef struct mutations {
    struct mutation *rows;
    size_t count;
} mutations;

/* All of one side, owned by the caller. */
mutations *mutations_new(enum mutation_side side, struct error *err) MUST_CHECK;
void mutations_free(mutations *all);

/* The one of that name that fits the type. RC_USAGE, with the nearest names as hint. */
const struct mutation *mutation_find(const mutations *all, enum message_id type, const char *name,
                                     struct error *err) MUST_CHECK;

/* What it does, for people: "the member is left out". */
const char *mutation_title(const struct mutation *m);
/* What it needs besides the message, or NULL: "the key of the CA", "no stapling data cached". */
const char *mutation_needs(const struct mutation *m);

/* What is to be done to one message, and what that takes. */
struct mutation_plan {
    const struct mutation *const *items;
    size_t count;
    time_t now;
    key *ca_key;                     /* of the CA that issued the TAM's certificate, or NULL */
    const char *seen_rid, *seen_tid; /* of a message that the peer has seen already, or NULL */
};

/* Signing: both may be replaced by the plan's own, which live as long as the caller wants. */
typedef struct mutation_signer {
    key *with;
    const X509_stack *chain; /* of a request; NULL for a response */
    key *own_key;            /* freed by mutation_signer_free */
    X509_stack *own_chain;
} mutation_signer;
void mutation_signer_free(mutation_signer *s);

/* The stages in their order. A NULL plan changes nothing. RC_USAGE when a place is not in the
 * message or something that it takes is not at hand. */
bool mutate_tbs(const struct mutation_plan *plan, json_t *tbs, const X509_stack *chain,
                struct error *err) MUST_CHECK;
bool mutate_content(const struct mutation_plan *plan, const char *sealed, json_t *content,
                    struct error *err) MUST_CHECK;
/* In place of the stages of the sealed member, of a message that has none: RC_USAGE when one of
 * them was to be broken. */
bool mutate_unsealed(const struct mutation_plan *plan, const char *sealed,
                     struct error *err) MUST_CHECK;
void mutate_sealing(const struct mutation_plan *plan, struct jwe_how *how);
bool mutate_sealed(const struct mutation_plan *plan, buffer **text, struct error *err) MUST_CHECK;
/* Before encryption, on the TA package: NULL package gives NULL. */
bool mutate_package(const struct mutation_plan *plan, buffer **package,
                    struct error *err) MUST_CHECK;
bool mutate_payload(const struct mutation_plan *plan, const char *tbs_name, const char *sealed,
                    buffer **payload, struct error *err) MUST_CHECK;
bool mutate_signer(const struct mutation_plan *plan, mutation_signer *s,
                   struct error *err) MUST_CHECK;
/* The flattened JWS, and then the whole message. */
bool mutate_jws(const struct mutation_plan *plan, const key *signer, buffer **text,
                struct error *err) MUST_CHECK;
bool mutate_message(const struct mutation_plan *plan, buffer **message,
                    struct error *err) MUST_CHECK;

AUTO_DEFINE(mutations, mutations_free)
AUTO_DEFINE(mutation_signer, mutation_signer_free)

#endif
