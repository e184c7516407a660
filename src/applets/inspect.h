/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.h: the parts of otrp inspect: inspect.c reads options and finds things, inspect_item.c
 * tells them apart, inspect_message.c knows OTrP, inspect_jws.c and inspect_jwe.c (with
 * inspect_jose.h between them) JOSE, inspect_signer.c what a signer's certificate says,
 * inspect_value.c values, certificates and keys, inspect_evidence.c what the user and earlier
 * things tell. All of it goes into a report (inspect_report.h).
 */
#ifndef OTRP_APPLETS_INSPECT_H
#define OTRP_APPLETS_INSPECT_H

#include "applets/common.h"
#include "applets/inspect_report.h"
#include "otrp/deviation.h"
#include "otrp/message.h"
#include "otrp/unearth.h"
#include "pki/role.h"

struct inspect_options {
    struct text_list key, trust;
    const char *pki, *device, *text;
    bool full, show_secrets;
};

enum { KNOWN_MOST = 64 }; /* of each kind, of earlier things in the same input */

/* A device state that was seen, by its hash. */
struct known_state {
    uint8_t hash[32];
    char from[60];
};

/* The CEK of a request that was opened. */
struct known_cek {
    buffer *cek;
    char from[60];
};

struct known_request {
    char *rid, *tid;
    const struct message_type *type;
    size_t item;
    buffer *cek; /* of its content, when it was opened */
};

typedef struct look {
    const struct applet_call *call;
    const struct inspect_options *options;
    report report;
    bool colours;
    struct error *err;
    bool cut;                            /* the thing at hand ends too early */
    bool failed;                         /* without memory, or unable to write: err says so */
    time_t now, message_time;            /* of the thing at hand as far as it is known, or 0 */
    time_t entry_time;                   /* of the entry of a transcript that it is in, or 0 */
    unsigned nesting;                    /* layers inside layers */
    const struct json_value *tbs;        /* of the message at hand */
    const struct known_request *request; /* that it answers, when it was seen */
    char *said_did, *said_tamid;         /* in its content */

    key_set *keys;                   /* --key, and those of --pki */
    X509_stack *anchors[ROLE_COUNT]; /* --trust, and the roots of --pki */
    X509_stack *certs;               /* of --pki: signers and CAs */
    X509_stack *tee_chain;           /* of the last device state */
    X509_stack *path;                /* of the signer at hand, once its chain is right */
    buffer *last_cek;                /* of what was opened last */
    bool opened_cek;                 /* the content of the request at hand was opened */
    struct known_state states[KNOWN_MOST];
    struct known_cek ceks[KNOWN_MOST];
    struct known_request requests[KNOWN_MOST];
    size_t state_count, cek_count, request_count;
} look;

/* ---- inspect_evidence.c ---- */

/* Loads what the options of call name into l; look_free frees what it holds. */
bool look_load(look *l, const struct applet_call *call, struct error *err) MUST_CHECK;
void look_free(look *l);

/* Remembers a state by the hash of {"dsi":...}; earlier ones are forgotten when there are many. */
void look_know_state(look *l, const uint8_t hash[32], const char *from);
/* The CEK of the request at hand: it opens the answer, too. */
void look_know_cek(look *l, struct span cek);
/* Remembers a request, and tells when its ids were used before. */
void look_know_request(look *l, const struct message_type *type, const struct json_value *tbs);
const struct known_request *look_find_request(const look *l, const struct message_type *type,
                                              const struct json_value *tbs);
/* The chain of the device that speaks, taken. */
void look_know_tee(look *l, X509_stack *chain);

/* "item 3", for what is told of earlier things. */
void look_name_item(const look *l, char text[60]);

/* ---- inspect_value.c ---- */

/* Rows for a value and what is in it, as far as it is JSON, a certificate, a key, ... */
void show_value(look *l, struct layer *layer, const char *path, const struct json_value *value);
void show_members(look *l, struct layer *layer, const char *path, const struct json_value *object);
void show_jwk(look *l, struct layer *layer, const char *path, const struct json_value *jwk);
void show_cert(struct layer *layer, const char *path, X509 *cert);
/* DER of whatever kind; false when it is none that is known. */
bool show_der(look *l, struct layer *layer, const char *path, struct span der);

/* Bytes in standard BASE64, base64url or hexadecimal, of at most LIMIT_KEY_BYTES; NULL: none of
 * them. *form gets DEVIATION_COUNT for standard BASE64. */
buffer *decode_loosely(struct span text, enum deviation *form);

/* A document that may break rules which are told as deviations of path; the text that it points
 * into is *mended when not NULL. NULL: it cannot be read, and err says why. */
json_doc *read_document(look *l, struct span text, const char *path, buffer **mended,
                        struct error *err);

void deviate(look *l, const char *path, enum deviation id);
void report_deviation(void *look_, const char *path, const char *section, const char *what);

/* ---- inspect_jws.c, inspect_jwe.c ---- */

/* What a JWS is signed for. */
struct signed_as {
    enum { SIGNED_BARE, SIGNED_REQUEST, SIGNED_RESPONSE, SIGNED_INFORMATION, SIGNED_PACKAGE } kind;
    const struct message_type *type; /* or NULL */
    const char *inner;               /* name of the TBS that it must have, or NULL */
};

bool value_is_jws(const struct json_value *value);
bool value_is_jwe(const struct json_value *value);
void show_jws(look *l, const char *path, const struct json_value *jws, struct signed_as as);
void show_compact(look *l, const char *path, struct span text);

/* What is encrypted; the plaintext, when a key opens it, owned by the caller. */
buffer *show_jwe(look *l, const char *path, const struct json_value *jwe, bool otrp);

/* Shows bytes that were signed or encrypted as what they are. */
void show_bytes(look *l, struct layer *layer, const char *path, struct span bytes);
/* The same, and JSON with all that is in it. */
void show_bytes_deeply(look *l, struct layer *layer, const char *path, struct span bytes);

/* ---- inspect_message.c ---- */

/* The TBS of a message: members, encrypted parts, deviations, hints. */
void show_tbs(look *l, const struct json_value *tbs, struct signed_as as, struct layer *layer);
/* A device state: text is {"dsi":...} as received, or NULL when inner stands in another content. */
void show_dsi(look *l, struct layer *layer, const struct json_value *inner, struct span text);

/* ---- inspect_signer.c ---- */

/* What is told about the signer's certificate and what the signed part says of it. */
void show_signer(look *l, X509 *signer, struct signed_as as);

/* ---- inspect_item.c ---- */

/* Makes a whole item of what was found; false when it is nothing that is known. */
bool item_take(void *look_, const struct unearthed *found);

/* ---- inspect.c ---- */

/* Completes the item of what was found, and writes it. */
void item_end(look *l, const struct unearthed *found);

#endif
