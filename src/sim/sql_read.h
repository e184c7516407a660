/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sql_read.h: a database for who may not write to it or to its folder: another user, or a medium
 * that is read-only. sql_open needs to write, as SQLite keeps a journal beside the database.
 *
 *     struct sql_reading reading = {NULL};
 *     if (sql_read_open(&reading, path, VERSION, err) && ... && sql_read_holds(&reading, err))
 *         use(what_was_read);
 *     sql_read_close(&reading);
 */
#ifndef OTRP_SIM_SQL_READ_H
#define OTRP_SIM_SQL_READ_H

#include <sys/stat.h>

#include "sim/sql.h"

struct sql_reading {
    sqlite3 *db;
    char *path;
    bool alone; /* there is no journal, so nobody had it open; who comes now does not see us */
    struct stat before;
};

/* Opens the database at path. RC_USAGE when it cannot be read, or has another version than this;
 * RC_INTERNAL when its journal is needed and cannot be read. */
bool sql_read_open(struct sql_reading *reading, const char *path, int version,
                   struct error *err) MUST_CHECK;

/* Whether what was read is of one moment: RC_INTERNAL when somebody has written meanwhile. */
bool sql_read_holds(const struct sql_reading *reading, struct error *err) MUST_CHECK;

/* Frees what sql_read_open has filled; also after a failure, and what is all zero. */
void sql_read_close(struct sql_reading *reading);

#endif
