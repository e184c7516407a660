/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sql.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/module.h"

const struct sqlite_api *sqlite;

enum { STATEMENTS = 96 }; /* kept by a connection; what comes beyond is prepared each time */

/* A connection and the statements that it keeps. */
struct connection {
    struct connection *next;
    sqlite3 *db;
    size_t count;
    struct kept {
        sqlite3_stmt *statement;
        char *text;
        bool used; /* not to be lent again before it ends */
    } kept[STATEMENTS];
};

/* The open ones: one for a TAM, one for each device that a process serves at a time. */
static struct connection *connections;
static pthread_mutex_t connections_lock = PTHREAD_MUTEX_INITIALIZER;

static struct connection *connection_find(const sqlite3 *db)
{
    pthread_mutex_lock(&connections_lock);
    struct connection *c = connections;
    while (c && c->db != db)
        c = c->next;
    pthread_mutex_unlock(&connections_lock);
    return c;
}

static bool connection_add(sqlite3 *db, struct error *err)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        return error_memory(err);
    c->db = db;
    pthread_mutex_lock(&connections_lock);
    c->next = connections;
    connections = c;
    pthread_mutex_unlock(&connections_lock);
    return true;
}

/* Takes it out of the list; NULL when it is not there. */
static struct connection *connection_take(const sqlite3 *db)
{
    pthread_mutex_lock(&connections_lock);
    struct connection **at = &connections;
    while (*at && (*at)->db != db)
        at = &(*at)->next;
    struct connection *c = *at;
    if (c)
        *at = c->next;
    pthread_mutex_unlock(&connections_lock);
    return c;
}

static bool fault(sqlite3 *db, const char *what, struct error *err)
{
    int code = db ? sqlite->errcode(db) : SQLITE_NOMEM;
    error_set(err, RC_INTERNAL, "%s: %s", what, db ? sqlite->errmsg(db) : "out of memory");
    if (code == SQLITE_BUSY)
        error_hint(err, "another process has worked on this state for more than %d s",
                   SQL_BUSY_MS / 1000);
    return false;
}

static bool execute(sqlite3 *db, const char *text, struct error *err)
{
    return sqlite->exec(db, text, NULL, NULL, NULL) == SQLITE_OK || fault(db, "state", err);
}

bool sql_version(sqlite3 *db, const char *path, int version, long long *found, struct error *err)
{
    if (!sql_number(db, found, 0, err, "PRAGMA user_version", ""))
        return error_prefix(err, "%s", path);
    if (*found == version || *found == 0)
        return true;
    error_set(err, RC_USAGE, "%s: made by %s version (schema %lld, this one knows %d)", path,
              *found > version ? "a newer" : "an older", *found, version);
    return error_hint(err, "use that version of otrp, or make a new state");
}

static bool make_schema(sqlite3 *db, const char *path, const char *schema, int version,
                        struct error *err)
{
    long long found;
    if (!sql_version(db, path, version, &found, err) || found)
        return found == version;
    char mark[64];
    snprintf(mark, sizeof mark, "PRAGMA user_version = %d", version);
    /* asked again inside the transaction: another process may have made it meanwhile */
    bool made = execute(db, "BEGIN IMMEDIATE", err) &&
                sql_version(db, path, version, &found, err) &&
                (found || (execute(db, schema, err) && execute(db, mark, err)));
    return made && execute(db, "COMMIT", err);
}

sqlite3 *sql_connect(const char *name, int flags, const char *path, struct error *err)
{
    sqlite3 *db = NULL;
    if (!sqlite && !(sqlite = module_load("sqlite", "sqlite_api", err)))
        return NULL;
    bool opened = sqlite->open_v2(name, &db, flags | SQLITE_OPEN_FULLMUTEX, NULL) == SQLITE_OK;
    if (opened ? connection_add(db, err) : fault(db, path, err)) {
        sqlite->busy_timeout(db, SQL_BUSY_MS);
        return db;
    }
    sql_close(db);
    return NULL;
}

sqlite3 *sql_open(const char *path, bool create, const char *schema, int version, struct error *err)
{
    bool in_file = strcmp(path, SQL_IN_MEMORY) != 0;
    if (in_file && create) {
        /* private from the first byte; SQLite keeps the mode for its journal */
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) {
            error_errno(err, RC_USAGE, "%s: cannot create", path);
            return NULL;
        }
        close(fd);
    } else if (in_file && access(path, R_OK | W_OK) != 0) {
        error_errno(err, RC_USAGE, "%s: cannot open", path);
        return NULL;
    }
    sqlite3 *db = sql_connect(path, SQLITE_OPEN_READWRITE, path, err);
    if (!db)
        return NULL;
    if (execute(db,
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                "PRAGMA secure_delete = ON",
                err) &&
        make_schema(db, path, schema, version, err))
        return db;
    error_prefix(err, "%s", path);
    sql_close(db);
    return NULL;
}

static int bind_value(sqlite3_stmt *s, int at, char type, va_list *args)
{
    switch (type) {
    case 'i':
        return sqlite->bind_int64(s, at, va_arg(*args, long long));
    case 't':
        return sqlite->bind_text(s, at, va_arg(*args, const char *), -1, SQLITE_TRANSIENT);
    default: {
        struct span b = va_arg(*args, struct span);
        return sqlite->bind_blob64(s, at, b.data ? b.data : (const uint8_t *)"", b.size,
                                   SQLITE_STATIC);
    }
    }
}

/* Keeps a new statement of c, when there is room. */
static void statement_keep(struct connection *c, sqlite3_stmt *s, const char *text)
{
    char *own = c->count < STATEMENTS ? strdup(text) : NULL;
    if (own)
        c->kept[c->count++] = (struct kept){s, own, true};
}

/* The statement of that text, kept or new, to be ended with sql_finalize; NULL with the reason in
 * the connection. */
static sqlite3_stmt *statement_lend(sqlite3 *db, const char *text)
{
    struct connection *c = connection_find(db);
    for (size_t i = 0; i < c->count; i++)
        if (!c->kept[i].used && strcmp(c->kept[i].text, text) == 0) {
            c->kept[i].used = true;
            return c->kept[i].statement;
        }
    sqlite3_stmt *s = NULL;
    if (sqlite->prepare_v2(db, text, -1, &s, NULL) == SQLITE_OK && s)
        statement_keep(c, s, text);
    return s;
}

void sql_finalize(sqlite3_stmt *statement)
{
    struct connection *c = statement ? connection_find(sqlite->db_handle(statement)) : NULL;
    for (size_t i = 0; c && i < c->count; i++)
        if (c->kept[i].statement == statement) {
            sqlite->reset(statement); /* its verdict is that of the last step, told already */
            sqlite->clear_bindings(statement);
            c->kept[i].used = false;
            return;
        }
    if (statement)
        sqlite->finalize(statement);
}

void sql_close(sqlite3 *db)
{
    struct connection *c = db ? connection_take(db) : NULL;
    for (size_t i = 0; c && i < c->count; i++) {
        sqlite->finalize(c->kept[i].statement);
        free(c->kept[i].text);
    }
    free(c);
    if (db)
        sqlite->close(db);
}

static sqlite3_stmt *prepare(sqlite3 *db, struct error *err, const char *text, const char *types,
                             va_list *args)
{
    sqlite3_stmt *s = statement_lend(db, text);
    bool ready = s != NULL;
    for (int i = 0; ready && types[i]; i++)
        ready = bind_value(s, i + 1, types[i], args) == SQLITE_OK;
    if (ready)
        return s;
    fault(db, "state", err);
    sql_finalize(s);
    return NULL;
}

sqlite3_stmt *sql_query(sqlite3 *db, struct error *err, const char *text, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *s = prepare(db, err, text, types, &args);
    va_end(args);
    return s;
}

bool sql_next(sqlite3 *db, sqlite3_stmt *rows, bool *more, struct error *err)
{
    int rc = sqlite->step(rows);
    *more = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE || fault(db, "state", err);
}

bool sql_run(sqlite3 *db, struct error *err, const char *text, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    AUTO(sqlite3_stmt) *s = prepare(db, err, text, types, &args);
    va_end(args);
    bool more;
    return s && sql_next(db, s, &more, err);
}

bool sql_number(sqlite3 *db, long long *number, long long fallback, struct error *err,
                const char *text, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    AUTO(sqlite3_stmt) *s = prepare(db, err, text, types, &args);
    va_end(args);
    bool more;
    if (!s || !sql_next(db, s, &more, err))
        return false;
    *number = more ? sqlite->column_int64(s, 0) : fallback;
    return true;
}

struct span sql_blob(sqlite3_stmt *rows, int column)
{
    const void *data = sqlite->column_blob(rows, column);
    return SPAN(data, data ? (size_t)sqlite->column_bytes(rows, column) : 0);
}

char *sql_text(sqlite3_stmt *rows, int column)
{
    const unsigned char *text = sqlite->column_text(rows, column);
    return text ? strdup((const char *)text) : NULL;
}
