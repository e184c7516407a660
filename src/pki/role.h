/* SPDX-License-Identifier: Apache-2.0 */
/* role.h: the four hierarchies (otrp-messages(7), ROLES). */
#ifndef OTRP_PKI_ROLE_H
#define OTRP_PKI_ROLE_H

#include <stdbool.h>

enum pki_role { ROLE_SP, ROLE_TAM, ROLE_TEE, ROLE_TFW, ROLE_COUNT };

/* "sp", "tam", "tee", "tfw": in file names, options and templates. */
const char *role_name(enum pki_role role);
/* The role of such a name; false when it is none's. */
bool role_find(const char *name, enum pki_role *role);
/* "service provider (SP)" and so on, for messages. */
const char *role_title(enum pki_role role);
/* Whether it sends messages, which it signs: a TAM, a TEE. */
bool role_signs(enum pki_role role);

#endif
