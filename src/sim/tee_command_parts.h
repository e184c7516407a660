/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tee_command_parts.h: what the six commands share: tee_command.c reads the fields of a request and
 * finds its SD, tee_command_sd.c and tee_command_ta.c carry it out. Used by these three alone.
 */
#ifndef OTRP_SIM_TEE_COMMAND_PARTS_H
#define OTRP_SIM_TEE_COMMAND_PARTS_H

#include "sim/tee_command.h"

/* The fields that commands share, read once; texts are owned. */
typedef struct fields {
    char *spid, *sdname, *taid; /* NULL: the request has none */
    long long sd;               /* row; 0: none */
} fields;

/* ERR_NONE, or the error code, with err saying why. f->sd is there for all but CreateSD. */
typedef enum error_code_id (*command_function)(device *dev, const request *r, fields *f,
                                               command_result *result, struct error *err);

enum error_code_id command_create_sd(device *dev, const request *r, fields *f,
                                     command_result *result, struct error *err);
enum error_code_id command_update_sd(device *dev, const request *r, fields *f,
                                     command_result *result, struct error *err);
enum error_code_id command_delete_sd(device *dev, const request *r, fields *f,
                                     command_result *result, struct error *err);
enum error_code_id command_install_ta(device *dev, const request *r, fields *f,
                                      command_result *result, struct error *err);
enum error_code_id command_update_ta(device *dev, const request *r, fields *f,
                                     command_result *result, struct error *err);
enum error_code_id command_delete_ta(device *dev, const request *r, fields *f,
                                     command_result *result, struct error *err);

/* Sets err to why, and returns code. */
enum error_code_id refuse(enum error_code_id code, struct error *err, const char *why);

/* For a failing system below, where err says what. */
static inline enum error_code_id broken(void)
{
    return ERR_TEE_FAIL;
}

/* A certificate in BASE64 that can be one of an SD; owned by the caller. */
X509 *sp_certificate(struct span base64, struct error *err) MUST_CHECK;

#endif
