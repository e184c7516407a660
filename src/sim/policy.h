/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h: what a TAM wants its devices to hold: the desired state, from a JSON file
 * (otrp-policy(5)).
 *
 *     { "sps": [ { "spid": "xbank", "cert": "sp-cert.pem", "key": "sp-key.pem",
 *                  "sds": [ { "name": "sd-1", "tas": [ { "taid": "demo", "file": "ta.bin" } ] } ]
 *              } ], "remove_unlisted": true, "require_tfw": false }
 *
 *     AUTO(json_t) *mistakes = json_array();
 *     AUTO(policy) *p = policy_load("policy.json", NULL, mistakes, err);
 *     const struct policy_rules *rules = policy_rules_for(p, did);
 *
 * Paths are relative to the policy's own folder. Files are read when the policy is, so that a
 * session never waits for them, or fails on them. A policy does not change once it is loaded, and
 * several threads may hold it: policy_hold and policy_free count them.
 */
#ifndef OTRP_SIM_POLICY_H
#define OTRP_SIM_POLICY_H

#include <stdatomic.h>

#include "pki/cert.h"
#include "util/json.h"

enum { SHA256_HEX = 65 }; /* with its NUL */

struct policy_ta {
    const char *taid, *name; /* name may be NULL; borrowed from the file */
    long long version;       /* or TA_NO_VERSION */
    buffer *package;         /* signed by its SP */
    buffer *pdata;           /* or NULL */
    char sha256[SHA256_HEX]; /* of the TA's own bytes */
    char pdata_sha256[SHA256_HEX];
};

struct policy_sd {
    const char *name;
    struct policy_ta *tas;
    size_t ta_count;
};

struct policy_cert {
    char *base64; /* of the DER */
    char *sha256; /* hexadecimal, of the DER */
};

struct policy_sp {
    const char *spid;
    struct policy_cert *certs; /* what its SDs store; the first comes with CreateSD */
    size_t cert_count;
    bool renews_aik;
    time_t renew_aik; /* AIKs made before this time are renewed, from then on */
    long aik_days;    /* AIKs are renewed when they are older; 0: never */
    struct policy_sd *sds;
    size_t sd_count;
};

/* What holds for one device. */
struct policy_rules {
    const struct policy_sp *sps;
    size_t sp_count;
    bool remove_unlisted, require_tfw, update_unknown;
    const json_t *tee_versions; /* array of strings; NULL: any */
    const char *refuse;         /* why the device is refused; NULL: it is not */
};

struct policy_device;

typedef struct policy {
    atomic_uint holders;
    json_t *json; /* the file: texts are borrowed from it */
    struct policy_sp *sps;
    size_t sp_count;
    struct policy_rules rules; /* of a device that the policy does not name */
    struct policy_device *devices;
    size_t device_count;
    X509_stack *tee_roots;   /* NULL: those that the TAM was started with */
    const json_t *sign_algs; /* array of names that may sign, the preferred first; NULL: any */
} policy;

/*
 * Reads and checks a policy; passin opens encrypted keys of SPs (key.h), or is NULL. Every mistake
 * is looked for: mistakes (an array) gets {"path", "reason"} for each, and err the first with its
 * file. RC_USAGE for files that cannot be read, RC_MALFORMED for a mistake, RC_SIGNATURE for a TA
 * that its SP has not signed.
 */
policy *policy_load(const char *path, const char *passin, json_t *mistakes,
                    struct error *err) MUST_CHECK;
/* An empty one: asks a device for its state, and no more. */
policy *policy_empty(struct error *err) MUST_CHECK;

/* One holder more; every holder frees. */
policy *policy_hold(policy *p);
void policy_free(policy *p);

/* What holds for the device of that did (NULL: it has none). */
const struct policy_rules *policy_rules_for(const policy *p, const char *did);

/* Whether a TEE of that version may be managed. */
bool policy_accepts_version(const struct policy_rules *rules, const char *version);

AUTO_DEFINE(policy, policy_free)

/* ---- for the reader of the file ---- */

struct policy_device {
    const char *did;
    struct policy_sp *sps; /* its own, or NULL */
    size_t sp_count;
    struct policy_rules rules;
};

#endif
