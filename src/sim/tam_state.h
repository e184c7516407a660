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

#include "sim/policy.h"
#include "sim/tam_records.h"

typedef struct tam_state tam_state;

/* Opens dir/tam.db, which is made where it is not there; NULL dir: in memory. */
tam_state *tam_state_open(const char *dir, const char *tamid, struct error *err) MUST_CHECK;
void tam_state_free(tam_state *state);

/* What is known of the device of that state. Records of what the device does not have (any more)
 * are dropped. at dates the visit. */
tam_records *tam_state_read(tam_state *state, const dsi *device, time_t at,
                            struct error *err) MUST_CHECK;

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

#endif
