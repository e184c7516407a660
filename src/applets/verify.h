/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.h: the parts of otrp verify: verify.c knows the checks and decides, verify_evidence.c
 * loads what the options name, verify_report.c tells what was found.
 */
#ifndef OTRP_APPLETS_VERIFY_H
#define OTRP_APPLETS_VERIFY_H

#include "applets/common.h"
#include "otrp/dsi.h"
#include "otrp/foreign.h"

struct verify {
    struct text_list trust;
    const char *key, *ocsp, *device, *request, *tam_key, *cek, *message, *detached, *out, *text;
    bool no_revocation, insecure_small_keys, explain;
};

/* What a message is held against, and what came of it. */
typedef struct evidence {
    const struct applet_call *call;
    const struct verify *options;
    time_t now;

    /* of the options */
    key_set *keys, *tam_keys;
    X509_stack *anchors; /* roots, and CAs on the way to them */
    buffer *cek;
    buffer *ocsp[LIMIT_OCSP_RESPONSES];
    size_t ocsp_count;
    dsi *device;
    char *rid, *tid; /* of --request */
    json_t *query;   /* of --request, when that is a TA query */
    struct reading how;
    const struct reading *reading; /* how; NULL: strict */

    /* of the message */
    buffer *attached;   /* a detached payload, encoded */
    json_t *checks;     /* array: what --explain and --json tell */
    json_t *deviations; /* array: the foreign forms that were met */
    buffer *payload;    /* once it is verified */
    char subject[256];  /* the verdict's object: "CreateSDRequest, tamid mytam" */
} evidence;

/* ---- verify_evidence.c ---- */

/* Loads what the options of call name into e, a structure of zeros. */
bool evidence_load(const struct applet_call *call, evidence *e, struct error *err) MUST_CHECK;
/* Frees what it holds, not the structure. */
void evidence_free(evidence *e);

/* What a message is; each bit is a set of checks. */
enum verify_kind { KIND_REQUEST = 1, KIND_ANSWER = 2, KIND_INFORMATION = 4, KIND_JWS = 8 };

/* Whether each option that was given can count for such a message: one that would be passed over
 * makes a verdict that says less than was asked for. RC_USAGE. */
bool evidence_counts(const evidence *e, enum verify_kind kind, struct error *err) MUST_CHECK;

/* ---- verify_report.c ---- */

/* Adds a row to what --explain and --json tell; reason may be NULL. */
void checks_add(evidence *e, const char *name, const char *title, const char *section,
                const char *verdict, const char *reason);
/* The rows, a line each, and the foreign forms that were met, on standard error. */
void checks_print(const evidence *e);
/* " (10 of 19 checks; ...)" where not everything could be checked; else "". */
void checks_extent(const evidence *e, char text[120]);
/* What was foreign about a message that is good otherwise, a line each. */
void deviations_tell(const evidence *e);
/* The report of --json (otrp-report(5)) on standard output. */
bool report_print(const evidence *e, bool verified, const struct error *failure,
                  struct error *err) MUST_CHECK;

AUTO_DEFINE(evidence, evidence_free)

#endif
