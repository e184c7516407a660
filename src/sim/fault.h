/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault.h: what the faults of a TEE (tee_fault.h) and those of a TAM (tam_fault.h) have in common:
 * a name that is neither one of their own nor a mutation.
 *
 *     return fault_unknown("expird", own_names, own_count, all, err);
 */
#ifndef OTRP_SIM_FAULT_H
#define OTRP_SIM_FAULT_H

#include "otrp/mutation.h"

/* RC_USAGE, with the nearest of all names as hint; always false. own: count names besides those of
 * the mutations. */
bool fault_unknown(const char *name, const char *const *own, size_t count, const mutations *all,
                   struct error *err);

#endif
