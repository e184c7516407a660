/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tee_command.h: what the six commands do to a device once all checks have passed, in the order at
 * the end of otrp-messages(7), CHECKS OF A TEE. One function a command, in one table.
 */
#ifndef OTRP_SIM_TEE_COMMAND_H
#define OTRP_SIM_TEE_COMMAND_H

#include "otrp/request.h"
#include "sim/device.h"

/* What a command leaves for the answer. */
typedef struct command_result {
    json_t *content; /* did, and what else belongs there; owned */
    key *new_aik;    /* public half goes into the answer when no DSI does; owned or NULL */
} command_result;

/* Runs the command of request->type. ERR_NONE, or the error code with err saying why. The caller
 * rolls back. */
enum error_code_id tee_command(device *dev, const request *r, command_result *result,
                               struct error *err) MUST_CHECK;

/* A TA's sealed bytes are bound to their row; what is "code" or "pdata". */
void ta_label(long long ta, const char *what, char label[64]);

#endif
