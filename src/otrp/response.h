/* SPDX-License-Identifier: Apache-2.0 */
/*
 * response.h: a TEE's answers: made by a TEE, and believed by a TAM only when everything about them
 * is right (otrp-messages(7), COMMON MEMBERS and CHECKS OF A TAM).
 *
 *     AUTO(buffer) *answer = response_make(&(struct response_draft){...}, err);
 *
 *     AUTO(response) *r = response_open(buffer_span(answer), &(struct response_question){
 *         .tam_key = key, .tee_anchors = roots, .rid = rid, .tid = tid, .at = now }, err);
 *
 * What differs between a wrong key, a wrong tag and a wrong signature is for the log, never for the
 * peer.
 */
#ifndef OTRP_OTRP_RESPONSE_H
#define OTRP_OTRP_RESPONSE_H

#include "jose/jwe.h"
#include "jose/jws.h"
#include "otrp/dsi.h"
#include "otrp/error_code.h"
#include "otrp/json_path.h"
#include "otrp/message.h"
#include "otrp/mutation.h"
#include "otrp/profile.h"

struct response_draft {
    const struct message_type *type;
    key *tee_key;
    const struct jwa *sign_alg; /* NULL: what fits the key */
    const char *rid, *tid;
    enum error_code_id code;            /* ERR_NONE: pass */
    const char *message;                /* error-message, or NULL */
    const json_t *supported;            /* supportedsigalgs to tell with a failure, or NULL */
    const json_t *content;              /* to be encrypted; NULL: reason goes into the TBS */
    key *tam_key;                       /* public; recipient of content */
    struct span cek;                    /* of the request; empty for GetDeviceState */
    const struct jwa *enc;              /* of the request; NULL for GetDeviceState */
    bool signerreq;                     /* GetDeviceState */
    const json_changes *changes;        /* to the TBS once it has its sealed member, or NULL */
    const struct mutation_plan *broken; /* to be made wrong, or NULL */
    /* Whose form the answer has (profile_dsi made its DSI); NULL: ietf. */
    const struct profile *profile;
};

/* The TBS of a draft without its sealed member, and the plaintext of that (NULL: it has none); for
 * people. Owned by the caller; NULL without memory. */
json_t *response_tbs(const struct response_draft *draft);
json_t *response_plaintext(const struct response_draft *draft);

/* The whole message; content's member is edsi for GetDeviceState. Owned by the caller. */
buffer *response_make(const struct response_draft *draft, struct error *err) MUST_CHECK;

/* The broker's own answer; rid and tid may be "". Owned by the caller. */
buffer *broker_error_make(const char *rid, const char *tid, enum error_code_id code) MUST_CHECK;

struct response_question {
    key *tam_key;                  /* opens edsi, and content without cek */
    struct span cek;               /* of the request, or empty */
    key *tee_key;                  /* pinned by the user: no certificate is asked, or NULL */
    X509 *tee_cert;                /* remembered for this session, or NULL: take it from the DSI */
    const X509_stack *tee_others;  /* intermediates of tee_cert, or NULL */
    const X509_stack *tee_anchors; /* NULL: the chain is not checked */
    const char *rid, *tid;         /* expected; NULL: any */
    time_t at;
    const struct reading *reading; /* NULL: strict */
    bool for_state; /* it is asked for the state in it, so that one without is no use */
};

typedef struct response {
    const struct message_type *type; /* NULL: an OTrPBrokerError */
    char *rid, *tid;
    bool passed;  /* status "pass" */
    char *code;   /* error-code of a failure, or NULL */
    char *reason; /* error-message, or NULL */
    bool signerreq;
    const struct jwa *sign_alg; /* of its JWS, NULL of a broker error */
    buffer *payload;            /* the JWS payload, NULL of a broker error */
    bool authenticated;         /* false for a broker error and a failed GetDeviceState */
    buffer *plaintext;          /* of edsi or content, or NULL */
    json_t *content;            /* the same parsed, or NULL */
    dsi *device;                /* when there is a DSI in it, or NULL */
    char *novelty; /* a member that the protocol does not know, by its path; NULL: none */
} response;

/* A row of the table that an answer goes through. */
struct response_check {
    const char *name, *title, *section;
};
extern const struct response_check response_checks[];
extern const size_t response_check_count;

/* Called for each row in order: passed, and err where it failed or NULL behind the failing row. */
typedef void (*response_report)(void *context, const struct response_check *row, bool passed,
                                const struct error *err);

/* As response_open, with a report of each row; report may be NULL. */
response *response_explain(struct span text, const struct response_question *question,
                           response_report report, void *context, struct error *err) MUST_CHECK;

/* Reads, decrypts, verifies an answer. RC_MALFORMED, RC_DECRYPT, RC_SIGNATURE, RC_UNTRUSTED. */
response *response_open(struct span text, const struct response_question *question,
                        struct error *err) MUST_CHECK;
void response_free(response *r);

/* A string of an answer's TBS as it stands there, believed for nothing. Owned by the caller; NULL
 * when there is none. */
char *response_claim(struct span text, const char *name);

/* The tid that an answer claims, to find the session that it may belong to: not believed for
 * anything else. Owned by the caller; NULL when there is none. */
char *response_tid(struct span text);

AUTO_DEFINE(response, response_free)

#endif
