/* SPDX-License-Identifier: Apache-2.0 */
/* The module that brings SQLite along; see sqlite_api.h. */
#include "sim/sqlite_api.h"

__attribute__((visibility("default"))) extern const struct sqlite_api sqlite_api;
const struct sqlite_api sqlite_api = {
#define SQL_FUNCTION(name) .name = sqlite3_##name,
    SQLITE_FUNCTIONS
#undef SQL_FUNCTION
};
