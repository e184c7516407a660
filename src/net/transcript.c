/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transcript.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/base64.h"
#include "util/utf8.h"

struct transcript {
    int fd;
    char *path;
    bool made; /* the file was not there before */
};

static bool is_special(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

/* A descriptor, or -1 with errno set. A file that was there may have been readable to all. */
static int file_open(const char *path, bool force, bool *made)
{
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC;
    if (strcmp(path, "-") == 0)
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    int fd = open(path, flags | O_CREAT | O_EXCL, 0600);
    *made = fd >= 0;
    if (fd >= 0 || errno != EEXIST)
        return fd;
    if (is_special(path))
        return open(path, flags);
    errno = EEXIST;
    if (!force)
        return -1;
    fd = open(path, flags | O_TRUNC);
    if (fd >= 0 && fchmod(fd, 0600) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

transcript *transcript_open(const char *path, bool force, struct error *err)
{
    if (!path)
        return NULL;
    AUTO(transcript) *t = malloc(sizeof *t);
    if (!t) {
        error_memory(err);
        return NULL;
    }
    *t = (transcript){.path = strdup(path)};
    t->fd = file_open(path, force, &t->made);
    if (t->fd >= 0 && t->path)
        return TAKE(t);
    if (t->fd >= 0) {
        error_memory(err);
    } else if (errno == EEXIST) {
        error_set(err, RC_USAGE, "%s: exists already", path);
        error_hint(err, "--force overwrites it");
    } else {
        error_errno(err, RC_USAGE, "%s: cannot create", path);
    }
    return NULL;
}

void transcript_drop(const transcript *t)
{
    struct stat st;
    if (t && t->made && fstat(t->fd, &st) == 0 && st.st_size == 0)
        unlink(t->path);
}

void transcript_close(transcript *t)
{
    if (!t)
        return;
    if (t->fd >= 0)
        close(t->fd);
    free(t->path);
    free(t);
}

static bool is_utf8(struct span text)
{
    for (size_t i = 0, length; i < text.size; i += length)
        if ((length = utf8_length(text.data + i, text.size - i)) == 0)
            return false;
    return true;
}

/* As a JSON string; bytes that are no UTF-8 are read as Latin-1, as headers once were. */
static void put_text(buffer *line, struct span text)
{
    if (is_utf8(text)) {
        buffer_put_json_string(line, text);
        return;
    }
    AUTO(buffer) *latin = buffer_new(2 * text.size);
    if (!latin) {
        line->failed = true;
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c >= 0x80)
            buffer_put_char(latin, (char)(0xc0 | c >> 6));
        buffer_put_char(latin, (char)(c < 0x80 ? c : 0x80 | (c & 0x3f)));
    }
    buffer_put_json_string(line, buffer_span(latin));
}

static void put_member(buffer *line, const char *name, const char *text)
{
    if (!text)
        return;
    buffer_put_format(line, ",\"%s\":", name);
    put_text(line, span_text(text));
}

static void put_time(buffer *line, const struct clock *clock, struct timespec now)
{
    if (!now.tv_sec)
        clock_gettime(CLOCK_REALTIME, &now);
    if (clock && clock->fixed)
        now = (struct timespec){.tv_sec = clock->at};
    char text[32];
    time_format(now.tv_sec, text);
    text[strcspn(text, "Z")] = '\0';
    buffer_put_format(line, "{\"time\":\"%s.%03ldZ\"", text, now.tv_nsec / 1000000);
}

static void put_headers(buffer *line, struct span headers)
{
    const char *separator = ",\"headers\":[";
    const uint8_t *at = headers.data, *end = at + headers.size;
    while (at < end) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        const uint8_t *next = stop ? stop + 1 : end;
        size_t size = (size_t)((stop ? stop : end) - at);
        if (size && at[size - 1] == '\r')
            size--;
        if (size) {
            buffer_put_text(line, separator);
            put_text(line, SPAN(at, size));
            separator = ",";
        }
        at = next;
    }
    if (*separator == ',' && !separator[1])
        buffer_put_char(line, ']');
}

static void put_body(buffer *line, struct span body, size_t bytes)
{
    if (is_utf8(body)) {
        buffer_put_text(line, ",\"body\":");
        buffer_put_json_string(line, body);
    } else {
        buffer_put_text(line, ",\"body_base64\":\"");
        buffer_put_base64(line, body);
        buffer_put_char(line, '"');
    }
    bool cut = bytes > body.size;
    buffer_put_format(line, ",\"bytes\":%zu%s", cut ? bytes : body.size,
                      cut ? ",\"truncated\":true" : "");
}

static void put_entry(buffer *line, const struct transcript_entry *entry)
{
    put_time(line, entry->clock, entry->at);
    put_member(line, "direction", entry->direction == TRANSCRIPT_REQUEST ? "request" : "response");
    put_member(line, "from", entry->from);
    put_member(line, "to", entry->to);
    put_member(line, "via", entry->via);
    put_member(line, "peer", entry->peer);
    if (entry->exchange)
        buffer_put_format(line, ",\"exchange\":%lu", entry->exchange);
    put_member(line, "url", entry->url);
    if (entry->status)
        buffer_put_format(line, ",\"status\":%d", entry->status);
    put_member(line, "error", entry->error);
    put_headers(line, entry->headers);
    put_body(line, entry->body, entry->bytes);
    if (entry->elapsed_ms > 0)
        buffer_put_format(line, ",\"elapsed_ms\":%.3f", entry->elapsed_ms);
    buffer_put_text(line, "}\n");
}

buffer *transcript_line(const struct transcript_entry *entry)
{
    /* room for the quotes of JSON in JSON, or for BASE64 */
    AUTO(buffer) *line = buffer_secret(entry->body.size + entry->body.size / 2 + 1024);
    if (line)
        put_entry(line, entry);
    return line && !line->failed ? TAKE(line) : NULL;
}

bool transcript_put(transcript *t, const struct transcript_entry *entry, struct error *err)
{
    if (!t)
        return true;
    AUTO(buffer) *line = transcript_line(entry);
    if (!line)
        return error_memory(err);
    struct span left = buffer_span(line);
    off_t end = lseek(t->fd, 0, SEEK_END); /* -1: no file */
    while (left.size) {                    /* once, unless a signal or a pipe cuts it in two */
        ssize_t n = write(t->fd, left.data, left.size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            error_errno(err, RC_INTERNAL, "%s: cannot write", t->path);
            if (end >= 0 && left.size < line->size && ftruncate(t->fd, end) != 0)
                error_hint(err, "its last line is cut off");
            return false;
        }
        left = SPAN(left.data + n, left.size - (size_t)n);
    }
    return true;
}
