/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sql.h: SQLite with bound values and errors that say what failed.
 *
 *     AUTO(sqlite3_stmt) *rows = sql_query(
 *         db, err, "SELECT name FROM sd WHERE device = ? AND tamid = ?", "it", id, tamid);
 *     for (bool more; rows && sql_next(db, rows, &more, err) && more;)
 *         use(sqlite->column_text(rows, 0));
 *
 * Types of values: 'i' long long, 't' const char * (NULL: NULL), 'b' struct span.
 *
 * A connection keeps its statements, as preparing one takes longer than running it: a text that
 * stands in the program is prepared once. One thread at a time uses a connection and its
 * statements.
 */
#ifndef OTRP_SIM_SQL_H
#define OTRP_SIM_SQL_H

#include "sim/sqlite_api.h"
#include "util/buffer.h"

/* SQLite's functions; there once a database has been opened. */
extern const struct sqlite_api *sqlite;

/* A database that nobody else sees, and that ends with its connection. */
#define SQL_IN_MEMORY ":memory:"

/* How long a process waits for another one that writes, in milliseconds. */
enum { SQL_BUSY_MS = 10000 };

/* Opens the database at path (made 0600 with create). schema is run where user_version is 0, which
 * then gets version; a newer one is refused. Commits are durable before they return. */
sqlite3 *sql_open(const char *path, bool create, const char *schema, int version,
                  struct error *err) MUST_CHECK;

/* A statement with its values bound, before its first row; the caller ends it with sql_finalize. */
sqlite3_stmt *sql_query(sqlite3 *db, struct error *err, const char *text, const char *types,
                        ...) MUST_CHECK;

/* Moves to the next row; *more is false behind the last. */
bool sql_next(sqlite3 *db, sqlite3_stmt *rows, bool *more, struct error *err) MUST_CHECK;

/* For sql_read.c: a connection to the database that SQLite has by that name, with its flags; path
 * is for messages. And whether a database has this version, or is empty. */
sqlite3 *sql_connect(const char *name, int flags, const char *path, struct error *err) MUST_CHECK;
bool sql_version(sqlite3 *db, const char *path, int version, long long *found,
                 struct error *err) MUST_CHECK;

/* Runs a statement that gives no rows. */
bool sql_run(sqlite3 *db, struct error *err, const char *text, const char *types, ...) MUST_CHECK;

/* The integer in the first column of the first row; fallback when there is no row. False at a
 * failure. */
bool sql_number(sqlite3 *db, long long *number, long long fallback, struct error *err,
                const char *text, const char *types, ...) MUST_CHECK;

/* A column as borrowed bytes, or as the caller's C string (NULL: NULL, or without memory). */
struct span sql_blob(sqlite3_stmt *rows, int column);
char *sql_text(sqlite3_stmt *rows, int column);

/* Ends a statement, and lets go of its values and rows; accepts NULL. */
void sql_finalize(sqlite3_stmt *statement);

/* Closes a database, of which no statement is in use any more; accepts NULL. */
void sql_close(sqlite3 *db);

AUTO_DEFINE(sqlite3_stmt, sql_finalize)

#endif
