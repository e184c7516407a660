/* SPDX-License-Identifier: Apache-2.0 */
#include "util/output_set.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/file.h"

struct output {
    char *path;    /* NULL: standard output */
    char *aside;   /* where it is written until commit; NULL once it is in place */
    char *old;     /* the file that it replaced, until all outputs are in place */
    bool replaced; /* something was there */
    bool placed;
    buffer *text; /* for standard output and what is no regular file */
};

struct output_set {
    bool force;
    bool shielded;   /* signals wait, see shield */
    sigset_t before; /* those that waited before */
    struct output *outputs;
    size_t count;
    char **directories; /* made by us, in order */
    size_t directory_count;
};

/* From the first byte that is written aside until all is in place or taken back, an interrupt
 * waits: it would leave private keys behind under names that nobody knows. Long work, such as
 * making keys, is done before. */
static void shield(output_set *set)
{
    sigset_t stop;
    if (set->shielded)
        return;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGHUP);
    set->shielded = pthread_sigmask(SIG_BLOCK, &stop, &set->before) == 0;
}

static void unshield(output_set *set)
{
    if (set->shielded)
        pthread_sigmask(SIG_SETMASK, &set->before, NULL);
    set->shielded = false;
}

output_set *output_set_new(bool force)
{
    output_set *set = calloc(1, sizeof *set);
    if (set)
        set->force = force;
    return set;
}

void output_set_free(output_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++) {
        struct output *o = &set->outputs[i];
        if (o->aside)
            unlink(o->aside);
        if (o->old)
            unlink(o->old);
        free(o->aside);
        free(o->old);
        free(o->path);
        buffer_free(o->text);
    }
    for (size_t i = set->directory_count; i-- > 0;) {
        rmdir(set->directories[i]); /* keeps what holds something */
        free(set->directories[i]);
    }
    unshield(set); /* now that nothing of it is left, or all is in place */
    free(set->directories);
    free(set->outputs);
    free(set);
}

/* Devices, pipes and the like are written through, not replaced. */
static bool is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Two options may name one file. What writes many files chooses their names itself, so that not
 * all of them are looked at. */
static bool is_added(const output_set *set, const char *path)
{
    for (size_t i = 0; i < set->count && i < 16; i++)
        if (set->outputs[i].aside && strcmp(set->outputs[i].path, path) == 0)
            return true;
    return false;
}

static bool stdout_is_added(const output_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (!set->outputs[i].path)
            return true;
    return false;
}

bool output_check(const output_set *set, const char *path, struct error *err)
{
    if (path_is_standard(path))
        return !stdout_is_added(set) ||
               error_set(err, RC_USAGE, "two results cannot both go to standard output");
    if (is_directory(path))
        return error_set(err, RC_USAGE, "%s: is a directory", path);
    if (is_added(set, path))
        return error_set(err, RC_USAGE, "%s: is to be written twice", path);
    if (set->force || !path_exists(path) || is_special(path))
        return true;
    error_set(err, RC_USAGE, "%s: exists already", path);
    return error_hint(err, "--force overwrites it");
}

bool output_possible(const output_set *set, const char *path, struct error *err)
{
    if (!output_check(set, path, err))
        return false;
    if (path_is_standard(path) || is_special(path))
        return true;
    const char *slash = strrchr(path, '/');
    AUTO(char) *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!folder)
        return error_memory(err);
    return access(folder, W_OK | X_OK) == 0 ||
           error_errno(err, RC_USAGE, "%s: cannot be written", path);
}

static struct output *output_slot(output_set *set, struct error *err)
{
    struct output *outputs = realloc(set->outputs, (set->count + 1) * sizeof *outputs);
    if (!outputs) {
        error_memory(err);
        return NULL;
    }
    set->outputs = outputs;
    outputs[set->count] = (struct output){.path = NULL};
    return &outputs[set->count++];
}

static mode_t mode_of(enum output_kind kind)
{
    static const mode_t modes[] = {
        [OUTPUT_PUBLIC] = 0666, [OUTPUT_PRIVATE] = 0600, [OUTPUT_EXECUTABLE] = 0777};
    return modes[kind];
}

static bool write_aside(struct output *o, struct span data, enum output_kind kind,
                        struct error *err)
{
    unsigned long long random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return error_errno(err, RC_INTERNAL, "no random bytes");
    if (asprintf(&o->aside, "%s.%016llx~", o->path, random) < 0) {
        o->aside = NULL;
        return error_memory(err);
    }
    int fd = open(o->aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_of(kind));
    if (fd < 0) {
        error_errno(err, RC_INTERNAL, "%s: cannot create", o->path);
        free(TAKE(o->aside));
        return false;
    }
    bool written = write_all(fd, data) && fsync(fd) == 0;
    if (!written)
        error_errno(err, RC_INTERNAL, "%s: cannot write", o->path);
    if (close(fd) != 0 && written)
        written = error_errno(err, RC_INTERNAL, "%s: cannot write", o->path);
    return written;
}

bool output_take(output_set *set, const char *path, buffer *data, enum output_kind kind,
                 struct error *err)
{
    AUTO(buffer) *own = data;
    struct output *o = output_check(set, path, err) ? output_slot(set, err) : NULL;
    if (!o)
        return false;
    if (!path_is_standard(path) && !(o->path = strdup(path)))
        return error_memory(err);
    if (o->path && !is_special(path))
        return shield(set), write_aside(o, buffer_span(own), kind, err);
    o->text = TAKE(own);
    return true;
}

bool output_add(output_set *set, const char *path, struct span data, enum output_kind kind,
                struct error *err)
{
    buffer *copy = buffer_secret(data.size);
    if (!copy)
        return error_memory(err);
    buffer_put_span(copy, data);
    return output_take(set, path, copy, kind, err);
}

/* Gives the file that is about to be replaced a second name, so that there is a way back. Not every
 * file system and owner allows it; then there is none. */
static void keep_old(struct output *o)
{
    if (asprintf(&o->old, "%s~", o->aside) < 0)
        o->old = NULL;
    else if (link(o->path, o->old) != 0)
        free(TAKE(o->old));
}

/* Renames without ever replacing; a link where the file system cannot do that in one step. */
static bool rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
    return link(from, to) == 0 && unlink(from) == 0;
}

static bool put_in_place(struct output *o, bool force, struct error *err)
{
    o->replaced = force && path_exists(o->path);
    if (o->replaced)
        keep_old(o);
    if (force ? rename(o->aside, o->path) != 0 : !rename_new(o->aside, o->path)) {
        bool taken = errno == EEXIST;
        error_errno(err, taken ? RC_USAGE : RC_INTERNAL, "%s: cannot put in place", o->path);
        return taken ? error_hint(err, "--force overwrites it") : false;
    }
    free(TAKE(o->aside));
    o->placed = true;
    return true;
}

/* What is in place goes; what it replaced comes back, where there is a way back. */
static void take_back(struct output *o)
{
    if (!o->replaced)
        unlink(o->path);
    else if (o->old && rename(o->old, o->path) == 0)
        free(TAKE(o->old));
}

static void sync_directory_of(const char *path)
{
    char *dir = strdup(path);
    if (!dir)
        return;
    char *slash = strrchr(dir, '/');
    if (slash)
        *(slash == dir ? slash + 1 : slash) = '\0';
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* the files themselves are durable; not every file system can do this */
        close(fd);
    }
    free(dir);
}

static bool same_directory(const char *a, const char *b)
{
    const char *sa = strrchr(a, '/'), *sb = strrchr(b, '/');
    size_t la = sa ? (size_t)(sa - a) : 0, lb = sb ? (size_t)(sb - b) : 0;
    return la == lb && strncmp(a, b, la) == 0;
}

static bool write_special(const struct output *o, struct error *err)
{
    if (!o->path) {
        if (o->text->size && o->text->data[o->text->size - 1] != '\n' && isatty(STDOUT_FILENO))
            buffer_put_char(o->text, '\n'); /* so that the prompt does not stick to it */
        return stdout_write(buffer_span(o->text), err);
    }
    int fd = open(o->path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write_all(fd, buffer_span(o->text));
    if (!written)
        error_errno(err, RC_INTERNAL, "%s: cannot write", o->path);
    if (fd >= 0)
        close(fd);
    return written;
}

bool output_commit(output_set *set, struct error *err)
{
    bool done = true;
    for (size_t i = 0; done && i < set->count; i++)
        if (set->outputs[i].aside)
            done = put_in_place(&set->outputs[i], set->force, err);
    for (size_t i = 0; done && i < set->count; i++)
        if (set->outputs[i].text)
            done = write_special(&set->outputs[i], err);
    const char *synced = NULL;
    for (size_t i = 0; i < set->count; i++) {
        struct output *o = &set->outputs[i];
        if (!o->placed)
            continue;
        if (!done) {
            take_back(o);
        } else if (!synced || !same_directory(synced, o->path)) {
            sync_directory_of(o->path);
            synced = o->path;
        }
    }
    if (done)
        while (set->directory_count)
            free(set->directories[--set->directory_count]);
    return done;
}

static bool remember_directory(output_set *set, const char *path, struct error *err)
{
    char **list = realloc(set->directories, (set->directory_count + 1) * sizeof *list);
    if (!list)
        return error_memory(err);
    set->directories = list;
    list[set->directory_count] = strdup(path);
    return list[set->directory_count] ? (set->directory_count++, true) : error_memory(err);
}

bool output_directory(output_set *set, const char *path, struct error *err)
{
    AUTO(char) *walk = strdup(path);
    if (!walk)
        return error_memory(err);
    for (char *c = walk + 1;; c++) {
        if (*c != '/' && *c != '\0')
            continue;
        char end = *c;
        *c = '\0';
        if (mkdir(walk, 0777) == 0) {
            if (!remember_directory(set, walk, err))
                return false;
        } else if (errno != EEXIST) {
            return error_errno(err, RC_INTERNAL, "%s: cannot make the directory", walk);
        }
        *c = end;
        if (!end)
            return true;
    }
}
