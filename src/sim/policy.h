/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h: what a TAM wants its devices to hold: the desired state, from a JSON file
 * (otrp-policy(5)).
 *
 *     { "sps": [ { "spid": "xbank", "cert": "sp-cert.pem", "key": "sp-key.pem",
 *                  "sds": [ { "name": "sd-1", "tas": [ { "taid": "demo", "file": "ta.bin",
 * "version": 1 } ] } ] } ], "remove_unlisted": true, "require_tfw": false }
 *
 *     struct policy_step step = policy_next(policy, device);
 *
 * Paths are relative to the policy's own folder. Files are read when the policy is, so that a
 * session never waits for them, or fails on them.
 */
#ifndef OTRP_SIM_POLICY_H
#define OTRP_SIM_POLICY_H

#include "otrp/dsi.h"
#include "otrp/message.h"

struct policy_ta {
    const char *taid, *name; /* name may be NULL; borrowed from the file */
    buffer *package;         /* signed by its SP */
    buffer *pdata;           /* or NULL */
};

struct policy_sd {
    const char *name;
    struct policy_ta *tas;
    size_t ta_count;
};

struct policy_sp {
    const char *spid;
    char *cert; /* BASE64 of the DER */
    struct policy_sd *sds;
    size_t sd_count;
};

typedef struct policy {
    json_t *json; /* the file: texts are borrowed from it */
    struct policy_sp *sps;
    size_t sp_count;
    bool remove_unlisted, require_tfw;
} policy;

/* Reads and checks a policy; passin opens encrypted keys of SPs (key.h), or is NULL. RC_USAGE for
 * files that cannot be read, RC_MALFORMED with path and reason for a mistake. */
policy *policy_load(const char *path, const char *passin, struct error *err) MUST_CHECK;
/* An empty one: asks a device for its state, and no more. */
policy *policy_empty(struct error *err) MUST_CHECK;
void policy_free(policy *p);

/* The next request on the way from a device's state to the policy's. Texts are borrowed from both.
 */
struct policy_step {
    bool done; /* nothing is left to do */
    enum message_id type;
    const char *spid, *sdname, *taid;
    const struct policy_sp *sp; /* CreateSD, InstallTA */
    const struct policy_ta *ta; /* InstallTA */
};
struct policy_step policy_next(const policy *p, const dsi *device);

AUTO_DEFINE(policy, policy_free)

#endif
