/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h: a TAM's request as a TEE sees it, and the table of checks that it goes through
 * (otrp-messages(7), CHECKS OF A TEE).
 *
 *     AUTO(request) *request = request_new(text);
 *     struct check_result result = request_check(request, &view, NULL, NULL);
 *     if (result.code != ERR_NONE) ...            the first failing row names the error
 *     json_member(request->fields, "sdname") ...  of the decrypted content
 *
 * Nothing of the payload is interpreted, beyond echoing rid and tid, before the signature has
 * passed. The first failing row decides; no row before the signature depends on the device's state.
 */
#ifndef OTRP_OTRP_REQUEST_H
#define OTRP_OTRP_REQUEST_H

#include "jose/jwe.h"
#include "jose/jws.h"
#include "otrp/error_code.h"
#include "otrp/message.h"
#include "otrp/profile.h"
#include "pki/cert.h"

typedef struct request {
    struct span text;                /* borrowed: the whole message */
    const struct message_type *type; /* NULL: not one of the seven */
    char *rid, *tid; /* for the answer; "" when not to be had; believed only after the checks */
    json_doc *doc;
    jws *jws;
    buffer *payload;
    json_doc *tbs_doc;
    const struct json_value *tbs; /* the member XTBSRequest, in our form once it is checked */
    buffer *tbs_text;             /* of tbs_doc, when the TBS came in another form; or NULL */
    X509_stack *signers;          /* x5c, or a cached signer: signer first */
    X509_stack *path;             /* verified: signer first, anchor last */
    key *signer_key;
    char *tamid;           /* from the signer's certificate */
    bool signature_passed; /* and the chain */
    bool authenticated;    /* signature, chain and revocation have passed */
    bool recorded;         /* (rid, tid) is in the replay record */
    /* For the answer, as supportedsigalgs allows; NULL: what fits the key. */
    const struct jwa *answer_alg;
    jwe *content;
    const struct jwa *content_enc;
    buffer *cek;         /* of the content, for the response */
    buffer *plaintext;   /* as decrypted */
    buffer *fields_text; /* in our form, when it came in another; or NULL */
    json_doc *content_doc;
    const struct json_value *fields; /* the decrypted content */
} request;

/* What the replay record says of a (rid, tid). */
enum replay { REPLAY_NEW, REPLAY_SEEN, REPLAY_OLD_SESSION, REPLAY_FULL, REPLAY_FAILED };

/*
 * What the checks ask of a device. A function that is NULL, or a value that is absent, makes the
 * rows that need it "not checked": so verify uses the same table with what it has.
 */
struct tee_view {
    void *device;
    time_t now;
    const X509_stack *anchors;     /* TAM roots */
    const key *signer;             /* pinned by the user: no certificate is asked, or NULL */
    const char *signer_tamid;      /* whose key that is; NULL: not known */
    const struct reading *reading; /* NULL: strict */
    /* Certificate chain of the cached signer of that index, owned by the caller; NULL behind the
     * last. */
    X509_stack *(*cached_signer)(void *device, size_t index);
    /* OCSP responses known from elsewhere that may speak for cert, at most LIMIT_OCSP_RESPONSES,
     * each owned by the caller; returns their number. */
    size_t (*known_responses)(void *device, X509 *cert, buffer **responses);
    /* Whether a proof from before that cert was revoked stands against these responses; err says
     * so. */
    bool (*known_revoked)(void *device, X509 *cert, X509 *issuer, const struct span *responses,
                          size_t count, struct error *err);
    bool no_revocation; /* do not ask for revocation status at all */
    bool (*firmware_trusted)(void *device, struct error *err);
    const char *tee_name, *did;
    /* Looks (rid, tid) up and records it. */
    enum replay (*replay)(void *device, const struct request *request);
    /* Whether hash is that of the last DSI that tamid got, and nothing of it has changed since. */
    bool (*dsihash_current)(void *device, const char *tamid, const uint8_t hash[32]);
    /* The algorithms that tamid accepts in this session, as its GetDeviceState said; owned by the
     * caller, NULL: any. */
    json_t *(*session_algorithms)(void *device, const char *tamid);
    key *device_key;
    /* Whether the device can do an algorithm of OTrP. */
    bool (*supports)(void *device, const struct jwa *alg);
    /* SDs of tamid with that name, and with spid unless NULL: their number, or -1 at a failure. */
    int (*sd_count)(void *device, const char *tamid, const char *spid, const char *sdname);
};

struct request_check {
    const char *name;           /* "signature", for reports */
    const char *title;          /* "JWS signature by the signer's key" */
    enum error_code_id failure; /* what it usually answers */
    const char *section;        /* "RFC 7515 section 5.2"; OTrP: of otrp-messages(7) */
};
extern const struct request_check request_checks[];
extern const size_t request_check_count;

enum check_verdict { CHECK_PASSED, CHECK_FAILED, CHECK_NOT_CHECKED, CHECK_NOT_REACHED };

struct check_result {
    enum error_code_id code; /* ERR_NONE: all passed */
    size_t row;              /* that failed */
    struct error error;      /* why; rc is the exit code for a person who asked */
};

/* Called for each row in order; reason is NULL unless it failed or was not checked. */
typedef void (*check_report)(void *context, const struct request_check *row,
                             enum check_verdict verdict, const struct check_result *result);

/* Reads the outer name, and rid and tid where they can be had; text is borrowed. NULL only without
 * memory. */
request *request_new(struct span text);
void request_free(request *r);

/* Brings the TBS, which nobody has vouched for yet, into our form, as a reading takes it. */
bool request_adapt(request *r, const struct reading *reading, struct error *err) MUST_CHECK;

/* Runs the table. report may be NULL. */
struct check_result request_check(request *r, const struct tee_view *view, check_report report,
                                  void *context);

AUTO_DEFINE(request, request_free)

#endif
