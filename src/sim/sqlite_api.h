/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sqlite_api.h: the functions of SQLite that the simulators use, by way of a module, so that only
 * their processes load the library (util/module.h). SQL_FUNCTION(name) is one row: sqlite3_NAME.
 */
#ifndef OTRP_SIM_SQLITE_API_H
#define OTRP_SIM_SQLITE_API_H

#include <sqlite3.h>

#define SQLITE_FUNCTIONS                                                                           \
    SQL_FUNCTION(bind_blob64)                                                                      \
    SQL_FUNCTION(bind_int64)                                                                       \
    SQL_FUNCTION(bind_text)                                                                        \
    SQL_FUNCTION(busy_timeout)                                                                     \
    SQL_FUNCTION(changes)                                                                          \
    SQL_FUNCTION(clear_bindings)                                                                   \
    SQL_FUNCTION(close)                                                                            \
    SQL_FUNCTION(column_blob)                                                                      \
    SQL_FUNCTION(column_bytes)                                                                     \
    SQL_FUNCTION(column_count)                                                                     \
    SQL_FUNCTION(column_int)                                                                       \
    SQL_FUNCTION(column_int64)                                                                     \
    SQL_FUNCTION(column_name)                                                                      \
    SQL_FUNCTION(column_text)                                                                      \
    SQL_FUNCTION(column_type)                                                                      \
    SQL_FUNCTION(db_handle)                                                                        \
    SQL_FUNCTION(errcode)                                                                          \
    SQL_FUNCTION(errmsg)                                                                           \
    SQL_FUNCTION(exec)                                                                             \
    SQL_FUNCTION(finalize)                                                                         \
    SQL_FUNCTION(last_insert_rowid)                                                                \
    SQL_FUNCTION(open_v2)                                                                          \
    SQL_FUNCTION(prepare_v2)                                                                       \
    SQL_FUNCTION(reset)                                                                            \
    SQL_FUNCTION(step)

struct sqlite_api {
#define SQL_FUNCTION(name) __typeof__(sqlite3_##name) *name;
    SQLITE_FUNCTIONS
#undef SQL_FUNCTION
};

#endif
