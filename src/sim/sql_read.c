/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sql_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/file.h"

static bool open_name(struct sql_reading *r, const char *name, int version, struct error *err)
{
    long long found;
    r->db = sql_connect(name, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, r->path, err);
    if (r->db && sql_version(r->db, r->path, version, &found, err))
        return true;
    sql_close(r->db);
    r->db = NULL;
    return false;
}

/* "file:/PATH?TAIL", without the characters that mean something in a URI. */
static char *uri_of(const char *path, const char *tail)
{
    AUTO(char) *whole = realpath(path, NULL);
    AUTO(buffer) *uri = buffer_new(256);
    if (!whole || !uri)
        return NULL;
    buffer_put_text(uri, "file:");
    for (const char *c = whole; *c; c++)
        buffer_put_format(uri, strchr("?#%", *c) ? "%%%02X" : "%c", *c);
    buffer_put_text(uri, tail);
    return uri->failed ? NULL : strdup((const char *)uri->data);
}

/* SQLite takes the word for it that nobody writes, and looks for no journal. */
static bool open_alone(struct sql_reading *r, int version, struct error *err)
{
    AUTO(char) *uri = uri_of(r->path, "?immutable=1");
    if (!uri)
        return error_memory(err);
    if (stat(r->path, &r->before) != 0)
        return error_errno(err, RC_USAGE, "%s: cannot open", r->path);
    r->alone = true;
    return open_name(r, uri, version, err);
}

bool sql_read_open(struct sql_reading *r, const char *path, int version, struct error *err)
{
    AUTO(char) *journal = NULL;
    r->path = strdup(path);
    if (!r->path || asprintf(&journal, "%s-wal", path) < 0) {
        journal = NULL;
        return error_memory(err);
    }
    if (access(path, R_OK) != 0)
        return error_errno(err, RC_USAGE, "%s: cannot open", path);
    if (!path_exists(journal))
        return open_alone(r, version, err);
    AUTO(char) *uri = uri_of(path, "?mode=ro");
    if (!uri)
        return error_memory(err);
    bool opened = open_name(r, uri, version, err);
    if (!opened && err->rc == RC_INTERNAL)
        error_hint(err, "its last changes are in %s, which only who may write there can read",
                   journal);
    return opened;
}

bool sql_read_holds(const struct sql_reading *r, struct error *err)
{
    struct stat after;
    if (!r->alone ||
        (stat(r->path, &after) == 0 && after.st_ino == r->before.st_ino &&
         after.st_size == r->before.st_size && after.st_mtim.tv_sec == r->before.st_mtim.tv_sec &&
         after.st_mtim.tv_nsec == r->before.st_mtim.tv_nsec))
        return true;
    error_set(err, RC_INTERNAL, "%s: somebody has written to it while it was read", r->path);
    return error_hint(err, "try again");
}

void sql_read_close(struct sql_reading *r)
{
    sql_close(r->db);
    free(r->path);
    *r = (struct sql_reading){NULL};
}
