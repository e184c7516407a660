/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h: the software TEE's device: its identity and what it holds, in SQLite.
 *
 *     AUTO(device) *dev = device_open("device", NULL, err);
 *     AUTO(buffer) *answer = tee_process(dev, request, &outcome, err);
 *
 * A state folder holds state.db and fuse.key. Private keys and TA bytes are sealed under the fuse
 * (seal.h). Objects belong to a TAM by its tamid; a query without it is a mistake.
 */
#ifndef OTRP_SIM_DEVICE_H
#define OTRP_SIM_DEVICE_H

#include <pthread.h>

#include "jose/jwa.h"
#include "jose/key.h"
#include <jansson.h>

#include "otrp/profile.h"
#include "pki/cert.h"
#include "sim/seal.h"
#include "sim/sql.h"
#include "util/clock.h"

struct tee_faults;

struct device_limits {
    long long sds, tas, bytes, replays; /* SDs; TAs; bytes of all TAs; recorded requests per TAM */
};

typedef struct device {
    sqlite3 *db;
    long long id;
    char *name, *version; /* dsi.tee.name and ver */
    char *did;
    key *tee_key;
    X509_stack *tee_chain; /* own certificate first */
    X509_stack *tam_anchors;
    key *tfw_key;          /* NULL: no trusted firmware */
    X509_stack *tfw_chain; /* firmware's certificate first */
    X509_stack *tfw_anchors;
    struct device_limits limits;
    bool signerreq;
    json_t *algorithms;            /* names of those that it supports; NULL: all of OTrP */
    const struct profile *profile; /* how it speaks */
    X509_stack *pinned;            /* the certificates of the one TAM it listens to, or NULL */
    key *pinned_key;
    char *pinned_tamid;
    uint8_t fuse[FUSE_BYTES];
    struct clock clock;
    const struct tee_faults *faults; /* borrowed; NULL: a device that does as it should */
    long wait_ms;                    /* for others on the folder */
    pthread_mutex_t *turn; /* of all handles on the folder in this process, or NULL: SQLite's own
                              waiting is for processes, it sleeps longer and longer */
    bool in_transaction;
    bool busy;     /* the transaction could not begin in time */
    bool recorded; /* this request is new to the replay record */
} device;

/* What a new device is made of; everything is borrowed. */
struct device_parts {
    const char *name, *version;
    const key *tee_key;
    const X509_stack *tee_chain, *tam_anchors;
    const key *tfw_key; /* NULL: none, with its chain and anchors */
    const X509_stack *tfw_chain, *tfw_anchors;
    struct device_limits limits;
    bool signerreq;
    const json_t *algorithms;      /* NULL: all of OTrP */
    const struct profile *profile; /* NULL: ietf */
    const X509_stack *pinned; /* of the one TAM that it is to listen to, or NULL: any trusted */
    const X509 *sp_cert; /* of the SP of its default SD, which is that TAM's; NULL: it has none */
};

/* The name of the default SD: no request can name it, as a name has a byte at least. */
#define DEFAULT_SD ""

/* Makes count devices in the state folder, which is made where it is not there; all or none.
 * RC_USAGE when it has a device of such a name. */
bool device_create(const char *dir, const struct device_parts *parts, size_t count,
                   struct error *err) MUST_CHECK;

/* Opens the device of that name, or the only one with NULL. */
device *device_open(const char *dir, const char *name, struct error *err) MUST_CHECK;
void device_free(device *dev);

/* How long a request waits for another process to leave the folder (at first SQL_BUSY_MS). */
void device_wait(device *dev, long wait_ms);

/* The transaction of a request: begun when it is first needed, at most once. */
bool device_begin(device *dev, struct error *err) MUST_CHECK;
bool device_commit(device *dev, struct error *err) MUST_CHECK; /* fine where none was begun */
void device_roll_back(device *dev);

/* Whether a list of algorithms has this one. */
bool device_supports(const json_t *algorithms, const struct jwa *alg);

/* Empties the device of everything but its identity; the replay record and the proofs of
 * revocation stay, and a default SD, empty, with its AIK. */
bool device_reset(device *dev, struct error *err) MUST_CHECK;

/* The database of a state folder, for what concerns all its devices; sql_close it. */
sqlite3 *device_folder_open(const char *dir, struct error *err) MUST_CHECK;

/* The names of the devices of a state folder, an array of strings. Owned by the caller. */
json_t *device_names(const char *dir, struct error *err) MUST_CHECK;

/* {"devices":[...]}: what is on the devices of a state folder, or on the one of that name; nothing
 * is unsealed for it. Owned by the caller. RC_USAGE when there is none. */
json_t *device_report(const char *dir, const char *name, struct error *err) MUST_CHECK;

/* ---- what a device holds; tamid is always that of the asking TAM ---- */

/* Row of the SD, 0 when there is none. spid NULL: any; *count gets how many fit. */
bool device_find_sd(device *dev, const char *tamid, const char *spid, const char *name,
                    long long *sd, int *count, struct error *err) MUST_CHECK;
/* Makes an SD; *sd gets its row. */
bool device_add_sd(device *dev, const char *tamid, const char *spid, const char *name,
                   long long *sd, struct error *err) MUST_CHECK;
/* Row of the TA in the SD, 0 when there is none. */
bool device_find_ta(device *dev, long long sd, const char *taid, long long *ta,
                    struct error *err) MUST_CHECK;
/* The SP certificates that an SD stores. */
X509_stack *device_sd_certs(device *dev, long long sd, struct error *err) MUST_CHECK;
bool device_add_sd_cert(device *dev, long long sd, const X509 *cert, struct error *err) MUST_CHECK;
/* Whether an SP certificate can be one of an SD: its key is strong enough, and a self-issued one
 * carries its own right signature. RC_UNTRUSTED or RC_MALFORMED. */
bool sp_cert_check(X509 *cert, const char *what, struct error *err) MUST_CHECK;
/* The default SD, which takes what cert's SP signs, with its AIK; the spid is the common name in
 * cert, or else its SHA-256. */
bool device_add_default_sd(device *dev, const char *tamid, const X509 *cert,
                           struct error *err) MUST_CHECK;

/* The private SP AIK; NULL with err->rc RC_OK when there is none. */
key *device_aik(device *dev, const char *tamid, const char *spid, struct error *err) MUST_CHECK;
/* Makes one: RSA-2048 or P-256, as the device key is. One that is there is replaced. */
key *device_make_aik(device *dev, const char *tamid, const char *spid,
                     struct error *err) MUST_CHECK;
/* Removes the AIK when the SP has no SD left. */
bool device_drop_unused_aik(device *dev, const char *tamid, const char *spid,
                            struct error *err) MUST_CHECK;

/* The "dsi" object for a TAM: tfwdata over tid, the TEE, the SDs and AIKs of that TAM. */
json_t *device_dsi(device *dev, const char *tamid, const char *tid, struct error *err) MUST_CHECK;

AUTO_DEFINE(device, device_free)

#endif
