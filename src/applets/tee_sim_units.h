/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tee_sim_units.h: the devices that tee-sim init is to make, before they are: their keys and
 * certificates from files, from a PKI directory, from the result of a batch, or issued on the way.
 *
 *     units loaded = {NULL};
 *     AUTO(units) *u = &loaded;
 *     if (!units_load(call, "mytee", u, err)) ...
 */
#ifndef OTRP_APPLETS_TEE_SIM_UNITS_H
#define OTRP_APPLETS_TEE_SIM_UNITS_H

#include "applets/tee_sim.h"
#include "sim/fleet.h"

/* A device to be: its keys and certificates. */
struct unit {
    char *name;
    struct fleet_member tee, tfw; /* tfw.key NULL: no firmware */
};

/* A row of what pki-issue made by the batch. */
struct batch_item {
    enum pki_role role;
    char *name, *key_path, *chain_path;
};

/* All of them, and whom they trust. */
typedef struct units {
    struct unit *units;
    size_t count;
    struct batch_item *issued;
    size_t issued_count;
    X509_stack *tam_roots, *tfw_roots, *pinned, *sp_chain;
    json_t *algorithms;
} units;

/* Loads what the options of tee-sim init name; name is that of the one device, or of the first.
 * What a PKI directory does not have of a fleet is issued, and then in its ledger. */
bool units_load(const struct applet_call *call, const char *name, units *u,
                struct error *err) MUST_CHECK;
void units_free(units *u);

AUTO_DEFINE(units, units_free)

/* ---- for tee_sim_units.c and tee_sim_fleet.c ---- */

bool units_add(units *u, const char *name, struct error *err) MUST_CHECK;

/* A key and its chain into m; RC_USAGE when they do not belong together. */
bool unit_load_files(const struct applet_call *call, const char *key_path, const char *chain_path,
                     struct fleet_member *m, struct error *err) MUST_CHECK;
/* The same from the PKI directory. */
bool unit_load_identity(const struct applet_call *call, enum pki_role role, const char *name,
                        struct fleet_member *m, struct error *err) MUST_CHECK;

/* --count and --batch. */
bool units_load_fleet(const struct applet_call *call, const char *name, units *u,
                      struct error *err) MUST_CHECK;

#endif
