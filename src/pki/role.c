/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/role.h"

#include <string.h>

static const struct {
    const char *name, *title;
} roles[ROLE_COUNT] = {
    [ROLE_SP] = {"sp", "service provider (SP)"},
    [ROLE_TAM] = {"tam", "trusted application manager (TAM)"},
    [ROLE_TEE] = {"tee", "trusted execution environment (TEE)"},
    [ROLE_TFW] = {"tfw", "trusted firmware (TFW)"},
};

const char *role_name(enum pki_role role)
{
    return roles[role].name;
}

bool role_find(const char *name, enum pki_role *role)
{
    for (*role = 0; *role < ROLE_COUNT; ++*role)
        if (strcmp(name, roles[*role].name) == 0)
            return true;
    return false;
}

const char *role_title(enum pki_role role)
{
    return roles[role].title;
}

bool role_signs(enum pki_role role)
{
    return role == ROLE_TAM || role == ROLE_TEE;
}
