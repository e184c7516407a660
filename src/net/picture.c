/* SPDX-License-Identifier: Apache-2.0 */
#include "net/picture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "net/summary.h"
#include "net/transcript_read.h"
#include "util/utf8.h"

enum { SHORT_ID = 14 }; /* characters of a rid or tid in a fact */

static void row_free(struct picture_row *row)
{
    for (size_t i = 0; i < PICTURE_FACTS; i++)
        free(row->facts[i]);
    free(row->note);
    free(row->whole);
    free(row->peer);
}

void picture_free(picture *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        row_free(&p->rows[i]);
    free(p->rows);
    free(p->url);
    free(p->date);
    free(p);
}

/* A text of its own, NULL without memory. */
static char *format(const char *form, ...) PRINTF_LIKE(1, 2);
static char *format(const char *form, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, form);
    int length = vasprintf(&text, form, args);
    va_end(args);
    return length < 0 ? NULL : text;
}

static char *thousands(long long n)
{
    char digits[24], text[32];
    int length = snprintf(digits, sizeof digits, "%lld", n), to = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            text[to++] = ',';
        text[to++] = digits[i];
    }
    text[to] = '\0';
    return format("%s byte%s", text, n == 1 ? "" : "s");
}

static char *duration(double ms)
{
    return ms < 1000 ? format("%.1f ms", ms) : format("%.2f s", ms / 1000);
}

/* An identifier as people tell it from others; it may be cut within a character, so only ASCII is
 * cut. */
static char *short_id(const char *name, const char *id)
{
    size_t length = strlen(id);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)id[i] >= 0x80)
            return format("%s %s", name, id);
    return length <= SHORT_ID ? format("%s %s", name, id)
                              : format("%s %.*s\xe2\x80\xa6", name, SHORT_ID - 2, id);
}

static bool is_error_status(long long status)
{
    return status != 0 && (status < 200 || status > 299);
}

static void put_title(struct picture_row *row, const struct transcript_record *record,
                      const struct summary *s)
{
    size_t size = sizeof row->title;
    bool request = record->direction == TRANSCRIPT_REQUEST;
    if (row->lost)
        snprintf(row->title, size, "no answer");
    else if (s->name[0] && s->kind != SUMMARY_UNKNOWN)
        snprintf(row->title, size, "%s", s->name);
    else if (!request && record->status && (is_error_status(record->status) || !record->bytes))
        snprintf(row->title, size, "HTTP %lld", record->status);
    else if (s->kind == SUMMARY_EMPTY && !record->bytes)
        snprintf(row->title, size, request ? "empty POST" : "empty answer");
    else
        snprintf(row->title, size, "not an OTrP message");
}

/* The note of a row; NULL when there is nothing more to say. */
static char *note_of(const struct picture_row *row, const struct transcript_record *record,
                     const struct summary *s)
{
    bool request = record->direction == TRANSCRIPT_REQUEST;
    if (record->error)
        return strdup(record->error);
    if (s->reason[0])
        return format("%s", s->reason);
    if (s->content[0])
        return strdup(s->content);
    if (record->truncated)
        return strdup("its beginning alone was recorded");
    if (s->problem[0])
        return strdup(s->problem);
    if (s->kind == SUMMARY_EMPTY && !row->failed)
        return strdup(request ? "begins a session" : "ends the session");
    return NULL;
}

static void put_facts(struct picture_row *row, const struct transcript_record *record,
                      const struct summary *s)
{
    char **fact = row->facts;
    bool shown = strncmp(row->title, "HTTP ", 5) == 0;
    if (record->status && !shown)
        *fact++ = format("%lld", record->status);
    if (s->code[0])
        *fact++ = format("fail %s", s->code);
    else if (s->status[0])
        *fact++ = strdup(s->status);
    if (s->tid[0])
        *fact++ = short_id("tid", s->tid);
    if (record->bytes)
        *fact++ = thousands(record->bytes);
    if (record->elapsed_ms > 0)
        *fact++ = duration(record->elapsed_ms);
}

static char *whole_of(const struct picture_row *row, const struct transcript_record *record,
                      const struct summary *s)
{
    AUTO(buffer) *text = buffer_new(256);
    const struct {
        const char *name, *value;
    } lines[] = {{"time", record->time}, {"peer", record->peer},  {"rid", s->rid},
                 {"tid", s->tid},        {"status", s->status},   {"code", s->code},
                 {"reason", s->reason},  {"content", s->content}, {"error", record->error}};
    if (!text)
        return NULL;
    buffer_put_text(text, row->title);
    for (size_t i = 0; i < COUNT(lines); i++)
        if (lines[i].value && lines[i].value[0])
            buffer_put_format(text, "\n%s: %s", lines[i].name, lines[i].value);
    return text->failed ? NULL : strdup((const char *)text->data);
}

/* Who speaks: by name where the transcript says, else a request comes from the device. */
static bool goes_to_tam(const struct transcript_record *record)
{
    bool request = record->direction == TRANSCRIPT_REQUEST;
    if (record->to && strcmp(record->to, "tam") == 0)
        return true;
    if (record->from && strcmp(record->from, "tam") == 0)
        return false;
    return request;
}

struct drawing {
    picture *picture;
    const key_set *keys;
    double first_ms;
};

static struct picture_row *row_add(picture *p)
{
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 16;
        struct picture_row *rows = realloc(p->rows, capacity * sizeof *rows);
        if (!rows)
            return NULL;
        p->rows = rows;
        p->capacity = capacity;
    }
    struct picture_row *row = &p->rows[p->count++];
    *row = (struct picture_row){.at_ms = NAN};
    return row;
}

static bool draw(void *context, const struct transcript_record *record, struct error *err)
{
    struct drawing *d = context;
    picture *p = d->picture;
    if (p->count == LIMIT_PICTURE_ROWS) {
        error_set(err, RC_MALFORMED, "more than the %u entries that a picture has room for",
                  LIMIT_PICTURE_ROWS);
        return error_hint(err,
                          "draw a part of it, such as 'head -n 100 TRANSCRIPT | otrp diagram -'");
    }
    struct picture_row *row = row_add(p);
    if (!row)
        return error_memory(err);
    struct summary s;
    summary_read(&s, record->body, d->keys);
    row->to_tam = goes_to_tam(record);
    row->from_proxy = record->from && strcmp(record->from, "proxy") == 0;
    row->lost = record->error && !record->status;
    row->begins = row->to_tam && s.kind == SUMMARY_EMPTY && !record->bytes;
    row->failed = record->error || is_error_status(record->status) || summary_failed(&s);
    put_title(row, record, &s);
    put_facts(row, record, &s);
    row->note = note_of(row, record, &s);
    row->whole = whole_of(row, record, &s);
    row->peer = record->peer ? strdup(record->peer) : NULL;
    if (isnan(d->first_ms))
        d->first_ms = record->at_ms;
    row->at_ms = record->at_ms - d->first_ms;
    if (!isnan(row->at_ms))
        p->last_ms = row->at_ms;
    p->failures += row->failed;
    p->has_proxy |= record->via || row->from_proxy;
    if (!p->url && record->url)
        p->url = strdup(record->url);
    if (!p->date && record->time && !isnan(record->at_ms))
        p->date = strdup(record->time);
    return true;
}

/* Of one client alone, its address is not worth a word. */
static void drop_single_peer(picture *p)
{
    const char *first = NULL;
    for (size_t i = 0; i < p->count; i++) {
        const char *peer = p->rows[i].peer;
        if (peer && first && strcmp(peer, first) != 0)
            return;
        first = first ? first : peer;
    }
    for (size_t i = 0; i < p->count; i++)
        free(TAKE(p->rows[i].peer));
}

picture *picture_read(struct span text, const char *name, const key_set *keys, struct error *err)
{
    AUTO(picture) *p = calloc(1, sizeof *p);
    if (!p) {
        error_memory(err);
        return NULL;
    }
    struct drawing d = {.picture = p, .keys = keys, .first_ms = NAN};
    if (!transcript_read(text, name, draw, &d, &p->cut, err))
        return NULL;
    if (!p->count) {
        error_set(err, RC_MALFORMED, "%s: no entries", name);
        return NULL;
    }
    drop_single_peer(p);
    return TAKE(p);
}

void picture_put_total(buffer *out, const picture *p)
{
    AUTO(char) *time = duration(p->last_ms);
    buffer_put_format(out, "%zu message%s in %s", p->count, p->count == 1 ? "" : "s",
                      time ? time : "?");
    if (p->failures)
        buffer_put_format(out, ", %zu failed", p->failures);
}
/* Clean text. */

/* Columns that the character at p takes on a terminal, as far as that is to be known: those of East
 * Asia and emoji take two. */
static size_t columns_of(uint32_t character)
{
    return character >= 0x1100 && character != 0x2026 &&
                   !(character >= 0x2000 && character < 0x2e80)
               ? 2
               : 1;
}

size_t picture_put_clean(buffer *out, const char *text, size_t most)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t left = strlen(text), taken = 0;
    while (left) {
        size_t length = utf8_length(p, left);
        bool hidden = length == 0 || utf8_is_unruly(p, length);
        length = length ? length : 1;
        size_t columns = hidden ? 4 * length : columns_of(utf8_character(p, length));
        if (taken + columns + (left > length) > most) {
            if (taken < most)
                buffer_put_text(out, "\xe2\x80\xa6");
            return taken < most ? taken + 1 : taken;
        }
        for (size_t i = 0; hidden && i < length; i++)
            buffer_put_format(out, "\\x%02x", p[i]);
        if (!hidden)
            buffer_put(out, p, length);
        taken += columns;
        p += length, left -= length;
    }
    return taken;
}
