/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/file.h"

/* A file while it is written: without a name where the file system has that (then nothing remains
 * of it after a kill), else with a '~' behind its name. */
struct draft {
    int fd;
    char *aside; /* NULL: it has no name */
};

/* Makes the folder of path, and those above it. */
static bool make_folder(const char *path)
{
    AUTO(char) *walk = strdup(path);
    if (!walk)
        return false;
    for (char *c = walk + 1; (c = strchr(c, '/')); c++) {
        *c = '\0';
        if (mkdir(walk, 0777) != 0 && errno != EEXIST)
            return false;
        *c = '/';
    }
    return true;
}

static bool open_aside(const char *path, mode_t mode, struct draft *draft)
{
    if (!draft->aside && asprintf(&draft->aside, "%s~", path) < 0) {
        draft->aside = NULL;
        errno = ENOMEM;
        return false;
    }
    unlink(draft->aside); /* of an interrupted run */
    draft->fd = open(draft->aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    return draft->fd >= 0;
}

static bool draft_open(const char *path, mode_t mode, struct draft *draft)
{
    static _Thread_local bool unnamed_fails;
    AUTO(char) *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (!folder)
        return false;
    if (slash)
        *slash = '\0';
    if (!unnamed_fails) {
        draft->fd = open(slash ? folder : ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, mode);
        if (draft->fd >= 0)
            return true;
        unnamed_fails = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL;
        if (!unnamed_fails)
            return false;
    }
    return open_aside(path, mode, draft);
}

/* Names what has no name yet. By its descriptor alone where the system allows this user to, which
 * is the faster way (linkat(2), AT_EMPTY_PATH). */
static bool link_unnamed(int fd, const char *path)
{
    char unnamed[40];
    if (linkat(fd, "", AT_FDCWD, path, AT_EMPTY_PATH) == 0)
        return true;
    if (errno != ENOENT && errno != EPERM && errno != EINVAL)
        return false;
    snprintf(unnamed, sizeof unnamed, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, unnamed, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0;
}

/* link never replaces; where a name may be left over, it is taken away first. */
static bool draft_name(const struct draft *draft, const char *path)
{
    if (!draft->aside)
        return link_unnamed(draft->fd, path);
    if (linkat(AT_FDCWD, draft->aside, AT_FDCWD, path, 0) != 0)
        return false;
    unlink(draft->aside);
    return true;
}

static void draft_drop(struct draft *draft)
{
    int reason = errno;
    if (draft->fd >= 0)
        close(draft->fd);
    if (draft->aside)
        unlink(draft->aside);
    free(draft->aside);
    errno = reason;
}

/* Puts the draft where there is something already, which is whole until then. */
static bool draft_replace(struct draft *draft, const char *path)
{
    AUTO(char) *beside = NULL;
    if (asprintf(&beside, "%s.new", path) < 0) {
        beside = NULL;
        return false;
    }
    if (unlink(beside) != 0 && errno != ENOENT)
        return false;
    return draft_name(draft, beside) && rename(beside, path) == 0;
}

bool place_file(const char *path, struct span data, enum place_how how, mode_t mode,
                struct error *err)
{
    struct draft draft = {.fd = -1};
    bool opened = draft_open(path, mode, &draft);
    if (!opened && errno == ENOENT)
        opened = make_folder(path) && draft_open(path, mode, &draft);
    bool written = opened && write_all(draft.fd, data);
    bool named = written && draft_name(&draft, path);
    if (written && !named && errno == EEXIST && how == PLACE_INSTEAD)
        named = draft_replace(&draft, path);
    draft_drop(&draft);
    if (named)
        return true;
    if (written && errno == EEXIST)
        return error_set(err, RC_USAGE, "%s: exists already", path);
    return error_errno(err, RC_INTERNAL, "%s: cannot write", path);
}

bool place_sync(const char *folder, struct error *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && syncfs(fd) == 0;
    if (!synced)
        error_errno(err, RC_INTERNAL, "%s: cannot be made durable", folder);
    if (fd >= 0)
        close(fd);
    return synced;
}
