/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.h: other implementations, as rows of data: which forms of theirs are taken on reading,
 * which checks they make impossible, and how a message must look so that they take it
 * (otrp-messages(7), PROFILES).
 *
 *     const struct profile *profile = profile_find("thaler");
 *     view.reading = &(struct reading){.profile = profile, .lenient = false};
 *     if (profile->make.dsihash == DSIHASH_NONE) ...
 *
 * A profile relaxes its own rows only. None relaxes algorithms, duplicates, tags or signatures: a
 * profile whose messages carry no chain needs the signer's key pinned.
 */
#ifndef OTRP_OTRP_PROFILE_H
#define OTRP_OTRP_PROFILE_H

#include "otrp/foreign.h"
#include "pki/cert.h"

enum jwe_form {
    JWE_FORM_GENERAL,   /* one recipient, alg in its header */
    JWE_FORM_HEADER,    /* flattened, alg in header */
    JWE_FORM_PROTECTED, /* flattened, alg and enc in the protected header */
};
enum x5c_form { X5C_FORM_BASE64, X5C_FORM_BASE64URL, X5C_FORM_NONE };
enum dsihash_form { DSIHASH_BASE64, DSIHASH_BASE64URL, DSIHASH_NONE };
enum ta_form { TA_FORM_KEY, TA_FORM_JWE, TA_FORM_EMPTY };
enum answer_form { ANSWER_IETF, ANSWER_AIST, ANSWER_THALER };

/* How the messages of a profile are made. */
struct profile_make {
    enum jwe_form jwe;
    enum x5c_form x5c;
    bool kid;                     /* in the protected header of a JWS, which then is {alg, kid} */
    bool rid_integer;             /* a number */
    bool no_rid_at_start;         /* GetDeviceState has none */
    const char *tid;              /* always this one; NULL: as asked for */
    bool new_tid;                 /* each request has a tid of its own */
    const char *ocspdat;          /* the one element of ocspdat in GetDeviceState; NULL: the set */
    bool ocspdat_always;          /* in every request, [] when there is none */
    enum dsihash_form dsihash;    /* in a request */
    bool install_content;         /* false: InstallTA has content {}, in the clear */
    enum ta_form ta;              /* of encrypted_ta */
    const char *const *delete_ta; /* members of DeleteTA's content; NULL: all */
    enum answer_form answer;      /* what its device's answers look like */
    const char *answer_id;        /* rid and tid of its answers; NULL: those of the request */
    bool fresh_cek;               /* its answers do not use the request's */
};

/* How its TAM and its device speak HTTP. */
struct profile_http {
    const char *path, *delete_path; /* of its TAM; NULL: any */
    bool accept_exact;              /* Accept must be the media type and nothing else */
    int end_status;                 /* of an answer that ends a session, which has no body */
    bool silent_failure;            /* its TAM gives no HTTP answer at all to a failure */
    unsigned long message_bytes;    /* larger messages are refused; 0: no such limit */
};

struct profile {
    const char *name, *summary;
    unsigned long long forms;         /* FOREIGN_BITs that it takes on reading */
    const char *const *absent;        /* members that a request may lack, NULL-terminated */
    const char *const *absent_answer; /* members that an answer may lack */
    const char *const *waived;        /* rows of the requests' and the answers' tables */
    bool any_rid;                     /* the rid of an answer is not that of its request */
    bool no_certificate;              /* its DSI names no TEE certificate: its key must be pinned */
    bool default_sd;                  /* InstallTA and DeleteTA name no SD: its device has one */
    struct profile_make make;
    struct profile_http http;
};

extern const struct profile profiles[];
extern const size_t profile_count;
extern const char *const profile_names[]; /* NULL-terminated, for options */

/* The profile of that name; NULL gives ietf, an unknown name NULL. */
const struct profile *profile_find(const char *name);

/* The profile that a reading goes by; ietf for NULL. */
const struct profile *reading_profile(const struct reading *reading);

/* Whether the reading's profile waives that row. */
bool reading_waives(const struct reading *reading, const char *row);
/* Whether it lets a member of that name be missing in an answer. */
bool reading_spares(const struct reading *reading, const char *member);

/* As members_check, without asking for the members that the reading's profile lets a request, or
 * with novelty an answer, lack. */
bool reading_check(const struct reading *reading, const struct json_value *object,
                   const struct member *members, const char *path, char **novelty,
                   struct error *err) MUST_CHECK;

/* ---- making messages as a profile has them; NULL is ietf ---- */

/* jwe_encrypt in the profile's form. */
buffer *profile_encrypt(const struct profile *profile, const struct jwe_how *how,
                        struct span plaintext, buffer **cek, struct error *err) MUST_CHECK;

/* The headers of a request's JWS, beside alg; owned by the caller, NULL where there are none. */
bool profile_headers(const struct profile *profile, const key *signer, const X509_stack *chain,
                     json_t **protected, json_t **header, struct error *err) MUST_CHECK;

/* Changes the TBS of a request, as ietf has it; rid and tid: as the user gave them, or NULL. */
bool profile_request_tbs(const struct profile *profile, const struct message_type *type,
                         json_t *tbs, const char *rid, const char *tid,
                         struct error *err) MUST_CHECK;
/* Whether content of that type does not have the member; whether it has no content at all. */
bool profile_omits(const struct profile *profile, const struct message_type *type,
                   const char *member);
bool profile_contentless(const struct profile *profile, const struct message_type *type);
/* What stands for a member that nobody gave, or NULL. */
const char *profile_placeholder(const struct profile *profile, const struct message_type *type,
                                const char *member);
/* The text of encrypted_ta where it has a form of its own; *text stays NULL where it is ietf's.
 * package may be NULL. */
bool profile_encrypted_ta(const struct profile *profile, key *aik, const buffer *package,
                          buffer **text, struct error *err) MUST_CHECK;

/* The inner object of a DSI as its device writes it: what the dsihash is of. Owned by the caller;
 * NULL without memory. */
json_t *profile_dsi(const struct profile *profile, const json_t *inner);
/* Changes the TBS, and the plaintext of edsi or content, of an answer; false without memory. */
bool profile_answer_tbs(const struct profile *profile, json_t *tbs);
bool profile_answer_content(const struct profile *profile, const struct message_type *type,
                            json_t *content);

#endif
