/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/file.h"

#define LOCK_TRIES    30
#define LOCK_PAUSE_NS 100000000

struct journal {
    char *path, *header;
    int lock, fd;
    off_t end;
    size_t lines;
    struct timespec begun;
};

void journal_free(journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    if (j->lock >= 0)
        close(j->lock);
    free(j->path);
    free(j->header);
    free(j);
}

/* The processes of a run that was killed hold its lock until they are gone, which is soon. */
static bool wait_for_lock(int fd)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        nanosleep(&(struct timespec){0, LOCK_PAUSE_NS}, NULL);
    }
    return false;
}

static bool take_lock(journal *j, struct error *err)
{
    AUTO(char) *path = NULL;
    struct stat st;
    if (asprintf(&path, "%s.lock", j->path) < 0) {
        path = NULL;
        return error_memory(err);
    }
    j->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (j->lock < 0)
        return error_errno(err, RC_INTERNAL, "%s: cannot create", path);
    if (!wait_for_lock(j->lock)) {
        error_set(err, RC_USAGE, "%s: another run works on this batch", j->path);
        return error_hint(err, "wait until it has ended");
    }
    if (fstat(j->lock, &st) != 0)
        return error_errno(err, RC_INTERNAL, "%s", path);
    j->begun = st.st_mtim;
    return true;
}

/* Cuts off a line whose writer did not live to end it. */
static bool cut_tail(journal *j, struct error *err)
{
    char part[4096];
    off_t end = lseek(j->fd, 0, SEEK_END), whole = 0;
    for (off_t at = end; at > 0 && !whole;) {
        size_t size = at < (off_t)sizeof part ? (size_t)at : sizeof part;
        at -= (off_t)size;
        if (pread(j->fd, part, size, at) != (ssize_t)size)
            return error_errno(err, RC_INTERNAL, "%s: cannot read", j->path);
        const char *last = memrchr(part, '\n', size);
        if (last)
            whole = at + (last + 1 - part);
    }
    j->end = whole;
    return ftruncate(j->fd, whole) == 0 ||
           error_errno(err, RC_INTERNAL, "%s: cannot write", j->path);
}

/* One of the two runs in a file, line by line. */
struct reader {
    FILE *file;
    char *line;
    size_t room;
    size_t row; /* of line */
    long end;   /* where the run ends */
    bool done;
};

static void reader_next(struct reader *r)
{
    r->done = ftell(r->file) >= r->end || getline(&r->line, &r->room, r->file) < 0;
    r->row = r->done ? 0 : strtoul(r->line, NULL, 10);
}

static bool reader_open(struct reader *r, const char *path, long start, long end)
{
    *r = (struct reader){.file = fopen(path, "re"), .end = end};
    if (!r->file || fseek(r->file, start, SEEK_SET) != 0)
        return false;
    reader_next(r);
    return true;
}

static void reader_close(struct reader *r)
{
    if (r->file)
        fclose(r->file);
    free(r->line);
}

/* Where the numbers go back, which is where a later run begins; the end when they never do. */
static bool find_second_run(const journal *j, long *start)
{
    struct reader r;
    bool opened = reader_open(&r, j->path, (long)strlen(j->header), (long)j->end);
    size_t last = 0;
    long at = (long)strlen(j->header);
    for (; opened && !r.done && r.row > last; reader_next(&r)) {
        last = r.row;
        at = ftell(r.file);
    }
    *start = at;
    reader_close(&r);
    return opened;
}

static bool merge(const journal *j, long second, FILE *out, size_t *lines)
{
    struct reader a, b = {.file = NULL};
    bool good = reader_open(&a, j->path, (long)strlen(j->header), second) &&
                reader_open(&b, j->path, second, (long)j->end) && fputs(j->header, out) >= 0;
    for (*lines = 0; good && !(a.done && b.done); ++*lines) {
        bool take_b = a.done || (!b.done && b.row <= a.row);
        if (take_b && !a.done && a.row == b.row)
            reader_next(&a);
        struct reader *from = take_b ? &b : &a;
        good = fputs(from->line, out) >= 0;
        reader_next(from);
    }
    reader_close(&a);
    reader_close(&b);
    return good;
}

static bool sync_folder_of(const char *path)
{
    AUTO(char) *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash)
        *slash = '\0';
    int fd = folder ? open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return synced;
}

/* Replaces the journal by aside, and goes on with that. */
static bool put_in_place(journal *j, const char *aside, struct error *err)
{
    if (rename(aside, j->path) != 0)
        return error_errno(err, RC_INTERNAL, "%s: cannot put in place", j->path);
    (void)sync_folder_of(j->path);
    close(j->fd);
    j->fd = open(j->path, O_RDWR | O_CLOEXEC);
    j->end = j->fd < 0 ? -1 : lseek(j->fd, 0, SEEK_END);
    return j->end >= 0 || error_errno(err, RC_INTERNAL, "%s: cannot open", j->path);
}

bool journal_tidy(journal *j, struct error *err)
{
    long second;
    if (!find_second_run(j, &second))
        return error_errno(err, RC_INTERNAL, "%s: cannot read", j->path);
    AUTO(char) *aside = NULL;
    if (asprintf(&aside, "%s~", j->path) < 0) {
        aside = NULL;
        return error_memory(err);
    }
    FILE *out = fopen(aside, "we");
    bool written = out && merge(j, second, out, &j->lines) && fflush(out) == 0 &&
                   fsync(fileno(out)) == 0;
    if (!written)
        error_errno(err, RC_INTERNAL, "%s: cannot write", aside);
    if (out && fclose(out) != 0 && written)
        written = error_errno(err, RC_INTERNAL, "%s: cannot write", aside);
    if (written && put_in_place(j, aside, err))
        return true;
    unlink(aside);
    return false;
}

/* The journal of a batch that was begun before. */
static bool take_up(journal *j, struct error *err)
{
    char first[256] = "";
    size_t size = strlen(j->header);
    if (!cut_tail(j, err))
        return false;
    if (j->end == 0) /* it was killed before there was a header */
        return true;
    if (size >= sizeof first || pread(j->fd, first, size, 0) != (ssize_t)size ||
        strcmp(first, j->header) != 0)
        return error_set(err, RC_USAGE, "%s: is not the result of a batch", j->path);
    return journal_tidy(j, err);
}

/* Asked before the lock, so that nothing is made for a batch that was begun, and with it, since
 * another may have begun it meanwhile. */
static bool is_new(const char *path, bool resume, struct error *err)
{
    if (resume || !path_exists(path))
        return true;
    error_set(err, RC_USAGE, "%s: this batch has been begun already", path);
    return error_hint(err, "--resume goes on with it; for another batch, give the manifest another "
                           "name or --out");
}

journal *journal_open(const char *path, const char *header, bool resume, struct error *err)
{
    AUTO(journal) *j = calloc(1, sizeof *j);
    if (!j) {
        error_memory(err);
        return NULL;
    }
    j->lock = j->fd = -1;
    j->path = strdup(path);
    j->header = strdup(header);
    if (!j->path || !j->header) {
        error_memory(err);
        return NULL;
    }
    if (!is_new(path, resume, err) || !take_lock(j, err) || !is_new(path, resume, err))
        return NULL;
    j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (j->fd < 0) {
        error_errno(err, RC_INTERNAL, "%s: cannot create", path);
        return NULL;
    }
    if (!take_up(j, err) || (j->end == 0 && !journal_append(j, span_text(header), err)))
        return NULL;
    return TAKE(j);
}

const char *journal_path(const journal *j)
{
    return j->path;
}

struct timespec journal_begun(const journal *j)
{
    return j->begun;
}

size_t journal_lines(const journal *j)
{
    return j->lines;
}

static bool write_lines(journal *j, struct span lines)
{
    for (off_t at = j->end; lines.size;) {
        ssize_t n = pwrite(j->fd, lines.data, lines.size, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        at += n;
        lines = SPAN(lines.data + n, lines.size - (size_t)n);
    }
    return true;
}

bool journal_append(journal *j, struct span lines, struct error *err)
{
    if (write_lines(j, lines) && fdatasync(j->fd) == 0) {
        j->end += (off_t)lines.size;
        return true;
    }
    error_errno(err, RC_INTERNAL, "%s: cannot write", j->path);
    (void)!ftruncate(j->fd, j->end);
    return false;
}
