/* SPDX-License-Identifier: Apache-2.0 */
/* error_code.h: the error codes of OTrP, what they mean and what to do about them; one table. */
#ifndef OTRP_OTRP_ERROR_CODE_H
#define OTRP_OTRP_ERROR_CODE_H

enum error_code_id {
    ERR_NONE,
#define CODE(id, meaning, sender, cause, remedy) ERR_##id,
#include "otrp/error_code.def"
#undef CODE
    ERR_COUNT
};

struct error_code {
    enum error_code_id id;
    const char *name; /* "ERR_REQUEST_INVALID" */
    const char *meaning, *sender, *cause, *remedy;
};

/* The row of a code (not ERR_NONE). */
const struct error_code *error_code_row(enum error_code_id id);
const char *error_code_name(enum error_code_id id);

/* The row of that name, in any case; NULL when there is none. */
const struct error_code *error_code_find(const char *name);

#endif
