/* SPDX-License-Identifier: Apache-2.0 */
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/work.h"

bool path_is_standard(const char *path)
{
    return !path || strcmp(path, "-") == 0;
}

const char *input_name(const char *path)
{
    return path_is_standard(path) ? "standard input" : path;
}

/* The size of what is read from fd, where that is known; else 0. */
static size_t size_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t)st.st_size : 0;
}

static buffer *read_all(int fd, const char *name, size_t max_bytes, struct error *err)
{
    size_t size = size_of(fd);
    AUTO(buffer) *b = buffer_secret(size == 0 ? 4096 : size < max_bytes ? size + 1 : max_bytes + 1);
    if (!b) {
        error_memory(err);
        return NULL;
    }
    WORK(reading, "reading", size);
    for (;;) {
        if (b->capacity - b->size <= 1 && !buffer_reserve(b, b->size < 65536 ? 65536 : b->size)) {
            error_memory(err);
            return NULL;
        }
        size_t room = b->capacity - b->size - 1;
        ssize_t n = read(fd, b->data + b->size, room < WORK_PART_BYTES ? room : WORK_PART_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error_errno(err, RC_USAGE, "%s: cannot read", name);
            return NULL;
        }
        if (n == 0)
            break;
        b->size += (size_t)n;
        work_step(&reading, (size_t)n);
        if (b->size > max_bytes) {
            error_set(err, RC_MALFORMED, "%s: more than the %zu bytes allowed", name, max_bytes);
            return NULL;
        }
    }
    b->data[b->size] = '\0';
    return TAKE(b);
}

/* The names of keys and certificates say their family: there may be one of the other. */
static bool hint_family(const char *path, struct error *err)
{
    static const char *const families[] = {"-rsa-", "-ec-"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < COUNT(families); i++) {
        const char *at = strstr(name, families[i]);
        AUTO(char) *other = NULL;
        if (at &&
            asprintf(&other, "%.*s%s%s", (int)(at - path), path, families[!i],
                     at + strlen(families[i])) >= 0 &&
            path_exists(other))
            return error_hint(err, "there is %s", other);
    }
    return false;
}

buffer *input_read(const char *path, size_t max_bytes, struct error *err)
{
    static bool stdin_used;
    const char *name = input_name(path);
    if (path_is_standard(path)) {
        if (stdin_used) {
            error_set(err, RC_USAGE, "standard input is used twice");
            error_hint(err, "give one of the inputs as a file");
            return NULL;
        }
        stdin_used = true;
        return read_all(STDIN_FILENO, name, max_bytes, err);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        bool missing = errno == ENOENT;
        error_errno(err, RC_USAGE, "%s: cannot open", path);
        if (missing)
            hint_family(path, err);
        return NULL;
    }
    buffer *b = read_all(fd, name, max_bytes, err);
    close(fd);
    return b;
}

bool write_all(int fd, struct span data)
{
    WORK(writing, "writing", data.size);
    while (data.size) {
        ssize_t n = write(fd, data.data, data.size < WORK_PART_BYTES ? data.size : WORK_PART_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data = SPAN(data.data + n, data.size - (size_t)n);
        work_step(&writing, (size_t)n);
    }
    return true;
}

static bool stdout_failed(struct error *err)
{
    bool unread = errno == EPIPE;
    error_errno(err, RC_INTERNAL, "cannot write to standard output");
    return error_cause(err, unread ? CAUSE_UNREAD : CAUSE_OTHER);
}

bool stdout_flush(struct error *err)
{
    return fflush(stdout) == 0 || stdout_failed(err);
}

bool stdout_write(struct span data, struct error *err)
{
    return stdout_flush(err) && (write_all(STDOUT_FILENO, data) || stdout_failed(err));
}

char *path_join(const char *dir, const char *name)
{
    char *path;
    size_t length = strlen(dir);
    const char *slash = length && dir[length - 1] == '/' ? "" : "/";
    return asprintf(&path, "%s%s%s", dir, slash, name) < 0 ? NULL : path;
}

bool path_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}
