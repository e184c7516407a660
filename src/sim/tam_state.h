/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tam_state.h: what a TAM remembers of its devices, in SQLite: what it has sent to which did, in
 * which version. A DSI tells neither the version of a TA, nor the certificates of an SD, nor the
 * age of an AIK.
 *
 *     AUTO(tam_state) *state = tam_state_open("state", tamid, err);     NULL: in memory only
 *     AUTO(tam_records) *known = tam_state_read(state, dsi, now, err);
 *     known_ta(known, "xbank", "sd-1", "demo")->version
 *
 * What is about to be sent is written before, so that an answer that is lost leaves no wrong record
 * behind: it is unsure then, and sent again. Safe to call from several threads.
 */
#ifndef OTRP_SIM_TAM_STATE_H
#define OTRP_SIM_TAM_STATE_H

#include "otrp/dsi.h"
#include "sim/policy.h"

typedef struct tam_state tam_state;

/* Opens dir/tam.db, which is made where it is not there; NULL dir: in memory. */
tam_state *tam_state_open(const char *dir, const char *tamid, struct error *err) MUST_CHECK;
void tam_state_free(tam_state *state);

struct known_ta {
    char *spid, *sdname, *taid;
    long long version; /* or TA_NO_VERSION */
    char *sha256;      /* of its bytes; "" when unknown */
    char *pdata_sha256;
    bool unsure; /* sent, and not answered */
};

struct known_cert {
    char *spid, *sdname, *sha256;
};

struct known_aik {
    char *spid, *spaik; /* as in the DSI */
    time_t made;        /* 0: before we knew it */
};

typedef struct tam_records {
    struct known_ta *tas;
    size_t ta_count;
    struct known_cert *certs;
    size_t cert_count;
    struct known_aik *aiks;
    size_t aik_count;
} tam_records;

/* What is known of the device of that state. Records of what the device does not have (any more)
 * are dropped. at dates the visit. */
tam_records *tam_state_read(tam_state *state, const dsi *device, time_t at,
                            struct error *err) MUST_CHECK;
void tam_records_free(tam_records *records);

/* NULL, or false, when there is none. */
const struct known_ta *known_ta(const tam_records *records, const char *spid, const char *sdname,
                                const char *taid);
bool known_sd(const tam_records *records, const char *spid, const char *sdname);
bool known_cert(const tam_records *records, const char *spid, const char *sdname,
                const char *sha256);
const struct known_aik *known_aik(const tam_records *records, const char *spid);

/* What one request does, as far as it is to be remembered; NULL where it does not apply. */
struct tam_deed {
    const char *did, *spid, *sdname, *taid;
    const struct policy_ta *ta;          /* InstallTA, UpdateTA */
    const json_t *add_certs, *del_certs; /* hexadecimal SHA-256; CreateSD, UpdateSD */
    const dsi *before, *after;           /* to tell which AIKs are new; after may be NULL */
    time_t at;
};

/* Before a request with a TA is sent: the record, if there is one, is unsure from now on. */
bool tam_state_sending_ta(tam_state *state, const struct tam_deed *deed,
                          struct error *err) MUST_CHECK;
/* Before CreateSD is sent: if the SD is there next time, it is ours, with these certificates. */
bool tam_state_sending_sd(tam_state *state, const struct tam_deed *deed,
                          struct error *err) MUST_CHECK;

/* After the device has said pass. */
bool tam_state_done(tam_state *state, const struct tam_deed *deed, struct error *err) MUST_CHECK;

/* How the device's session ended: a line for people. */
bool tam_state_ended(tam_state *state, const char *did, bool well, const char *how, time_t at,
                     struct error *err) MUST_CHECK;

/* An array of all devices with what is known of each (otrp-tam-stub(1), CONTROL INTERFACE). Owned
 * by the caller. */
json_t *tam_state_devices(tam_state *state, struct error *err) MUST_CHECK;

AUTO_DEFINE(tam_state, tam_state_free)
AUTO_DEFINE(tam_records, tam_records_free)

#endif
