/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/error_code.h"

#include <stddef.h>
#include <strings.h>

static const struct error_code codes[ERR_COUNT] = {
    [ERR_NONE] = {ERR_NONE, "none", "", "", "", ""},
#define CODE(id, meaning, sender, cause, remedy)                                                   \
    [ERR_##id] = {ERR_##id, "ERR_" #id, meaning, sender, cause, remedy},
#include "otrp/error_code.def"
#undef CODE
};

const struct error_code *error_code_row(enum error_code_id id)
{
    return &codes[id];
}

const char *error_code_name(enum error_code_id id)
{
    return codes[id].name;
}

const struct error_code *error_code_find(const char *name)
{
    for (int i = ERR_NONE + 1; i < ERR_COUNT; i++)
        if (strcasecmp(codes[i].name, name) == 0)
            return &codes[i];
    return NULL;
}
