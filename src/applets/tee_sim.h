/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tee_sim.h: the commands of otrp tee-sim, a file for each family of them; tee_sim.c has the table.
 *
 *     AUTO(device) *dev = tee_sim_open(call, o->state, o->device, o->wait, err);
 */
#ifndef OTRP_APPLETS_TEE_SIM_H
#define OTRP_APPLETS_TEE_SIM_H

#include "applets/common.h"
#include "sim/tee.h"

/* Opens a device of the folder (NULL: the only one), with the clock of the call; wait is in
 * seconds, 0 the default. */
device *tee_sim_open(const struct applet_call *call, const char *state, const char *name, long wait,
                     struct error *err) MUST_CHECK;

/* For commands that need no --state to list their faults: RC_USAGE when there is none. */
bool tee_sim_state_given(const char *state, struct error *err) MUST_CHECK;

/* What --fault list writes. */
enum rc tee_sim_fault_list(const struct applet_call *call, struct error *err);

/* The longest that --wait takes, in seconds. */
enum { TEE_SIM_MOST_WAIT = 86400 };

/* tee_sim_init.c */
struct tee_init {
    const char *state, *pki, *name, *tee_key, *tee_cert, *tam_root, *tam_cert, *tfw_key, *tfw_cert,
        *tfw_root, *version, *alg, *batch, *algorithms, *templates, *sp_cert;
    long count, max_sds, max_tas, max_bytes, max_replays;
    bool no_tfw, no_signerreq;
};
extern const struct option_row tee_init_options[];
enum rc tee_init_run(const struct applet_call *call, struct error *err);

/* tee_sim_process.c */
struct tee_run {
    const char *state, *device, *out, *request;
    struct text_list fault;
    long wait;
};
extern const struct option_row tee_run_options[];
enum rc tee_run_run(const struct applet_call *call, struct error *err);

struct tee_again {
    const char *state, *device, *tamid, *rid, *out;
};
extern const struct option_row tee_again_options[];
enum rc tee_again_run(const struct applet_call *call, struct error *err);

struct tee_ask {
    const char *state, *device, *spid, *taid, *nonce, *tamid, *out, *query;
};
extern const struct option_row tee_ask_options[];
enum rc tee_ask_run(const struct applet_call *call, struct error *err);

/* tee_sim_show.c */
struct tee_look {
    const char *state, *device;
};
extern const struct option_row tee_show_options[], tee_reset_options[];
enum rc tee_show_run(const struct applet_call *call, struct error *err);
enum rc tee_reset_run(const struct applet_call *call, struct error *err);

struct tee_export {
    const char *state, *device, *tamid, *spid, *sdname, *taid, *out;
    bool pdata;
};
extern const struct option_row tee_export_options[];
enum rc tee_export_run(const struct applet_call *call, struct error *err);

struct tee_export_aik {
    const char *state, *device, *tamid, *spid, *out;
};
extern const struct option_row tee_export_aik_options[];
enum rc tee_export_aik_run(const struct applet_call *call, struct error *err);

/* tee_sim_serve.c */
struct tee_serve {
    const char *state, *device, *listen, *tls_cert, *tls_key;
    struct text_list fault;
    long wait, deadline, max_bytes;
};
extern const struct option_row tee_serve_options[];
enum rc tee_serve_run(const struct applet_call *call, struct error *err);

#endif
