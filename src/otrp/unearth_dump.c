/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/unearth_dump.h"

#include <ctype.h>
#include <string.h>

#include "otrp/unearth_form.h"
#include "otrp/unearth_json.h"
#include "otrp/unearth_wire.h"
#include "util/base64.h"
#include "util/text_form.h"

enum {
    DUMP_COLUMNS = 64,     /* bytes a line at most */
    DUMP_INDENT = 96,      /* where a line of a dump may begin: behind a time and a host */
    DUMP_LEAST = 4,        /* bytes a line, but for the last */
    DIGITS_LEAST = 40,     /* a shorter token is a name */
    REPEAT_MOST = 1 << 20, /* bytes that one "*" may stand for */
    REPEAT_COST = 8,       /* of such a byte, which is looked at and was not there */
    BETWEEN_LINES = 8,     /* from one dump to the next */
    REQUEST_LINE = 400,    /* bytes in which HTTP shows */
};

/* A line of a dump: its offset and up to DUMP_COLUMNS bytes. */
struct dump_line {
    size_t offset;
    uint8_t bytes[DUMP_COLUMNS];
    size_t count;
};

/* Reads "0010: 7b22 ..." or "00000010  7b 22 ...": offset, blanks, groups of pairs. A gap of two
 * blanks stands in the middle (hexdump -C) or before the column of characters. */
static bool read_dump_line(struct span line, size_t at, struct dump_line *out)
{
    size_t start = at;
    if (at + 1 < line.size && line.data[at] == '0' && line.data[at + 1] == 'x')
        start = at += 2;
    out->offset = out->count = 0;
    while (at < line.size && isxdigit(line.data[at]) && at - start < 16)
        out->offset = out->offset << 4 | (size_t)hex_value(line.data[at++]);
    size_t digits = at - start;
    if (digits < 4 || at >= line.size)
        return false;
    if (line.data[at] == ':')
        at++;
    if (at >= line.size || (line.data[at] != ' ' && line.data[at] != '\t'))
        return false;
    while (at < line.size && (line.data[at] == ' ' || line.data[at] == '\t'))
        at++;
    while (out->count < DUMP_COLUMNS && hex_pair(line, at) >= 0) {
        out->bytes[out->count++] = (uint8_t)hex_pair(line, at);
        at += 2;
        size_t gap = 0;
        while (at + gap < line.size && (line.data[at + gap] == ' ' || line.data[at + gap] == '-'))
            gap++;
        if (gap > 2 || (gap == 2 && out->count != 8))
            break;
        if (gap == 0 && at < line.size && !isxdigit(line.data[at]))
            return line.data[at] == '\r' && out->count;
        at += gap;
    }
    return out->count > 0;
}

static struct span line_at(struct span text, size_t at)
{
    const uint8_t *end = at < text.size ? memchr(text.data + at, '\n', text.size - at) : NULL;
    return SPAN(text.data + at, end ? (size_t)(end - text.data) - at : text.size - at);
}

/* The line of a dump at or behind line, at one of its first columns; *column where it begins. */
static bool find_dump_line(struct span line, size_t *column, struct dump_line *out)
{
    bool boundary = true;
    for (size_t i = 0; i < line.size && i < DUMP_INDENT; i++) {
        uint8_t c = line.data[i];
        if (boundary && isxdigit(c) && read_dump_line(line, i, out)) {
            *column = i;
            return true;
        }
        boundary = c == ' ' || c == '\t' || c == '>' || c == '|';
    }
    return false;
}

/* What "*" stands for: the line before, over and over, up to offset. */
static bool repeat_line(buffer *bytes, const struct dump_line *last, size_t from, size_t to,
                        size_t *budget)
{
    if (to <= from || to - from > REPEAT_MOST || !last->count)
        return false;
    size_t cost = (to - from) * REPEAT_COST;
    if (cost > *budget)
        return false;
    *budget -= cost;
    for (size_t at = from; at < to; at += last->count)
        buffer_put(bytes, last->bytes, to - at < last->count ? to - at : last->count);
    return true;
}

bool hex_dump_read(struct span text, size_t start, size_t *budget, struct dump *dump)
{
    *dump = (struct dump){.bytes = NULL};
    struct dump_line line, next;
    size_t column, lines = 1;
    struct span raw = line_at(text, start);
    if (!find_dump_line(raw, &column, &line) || line.count < DUMP_LEAST)
        return true;
    AUTO(buffer) *bytes = buffer_secret(1024);
    if (!bytes)
        return false;
    size_t at = start + raw.size, width = 0;
    for (;; lines++) {
        bool star = false;
        size_t from = at + 1;
        raw = from < text.size ? line_at(text, from) : SPAN(text.data, 0);
        if (raw.size && raw.data[raw.size - 1] == '*') {
            star = true;
            from += raw.size + 1;
            raw = from < text.size ? line_at(text, from) : SPAN(text.data, 0);
        }
        bool more = from < text.size && find_dump_line(raw, &column, &next) &&
                    next.offset > line.offset;
        size_t delta = more ? next.offset - line.offset : 0;
        if (more && !star && delta <= line.count)
            width = line.count = delta; /* the rest was the column of characters */
        else if (more && !star)
            more = false;
        else if (width && line.count > width)
            line.count = width;
        buffer_put(bytes, line.bytes, line.count);
        if (star &&
            !(more && repeat_line(bytes, &line, line.offset + line.count, next.offset, budget)))
            more = false;
        if (!more)
            break;
        at = from + raw.size;
        line = next;
    }
    if (bytes->failed)
        return false;
    if (lines == 1 && bytes->size > 16)
        bytes->size = 16;
    *dump = (struct dump){.bytes = TAKE(bytes), .end = at, .joined = lines > 1};
    return true;
}

/* ---- dumps in a row ---- */

/* Whether what was read so far promises more: JSON that is not closed, or a head of HTTP. */
static bool is_open(struct span bytes)
{
    size_t stopped;
    const uint8_t *brace = bytes.size ? memchr(bytes.data, '{', bytes.size) : NULL;
    if (brace)
        return json_plain_end(bytes, (size_t)(brace - bytes.data), &stopped) == 0;
    return bytes.size &&
           memmem(bytes.data, bytes.size < REQUEST_LINE ? bytes.size : REQUEST_LINE, "HTTP/1.", 7);
}

/* The dump that begins within a few lines behind at. False without memory. */
static bool next_dump(struct span text, size_t at, size_t *budget, struct dump *dump)
{
    *dump = (struct dump){.bytes = NULL};
    for (size_t lines = 0; lines < BETWEEN_LINES; lines++) {
        const uint8_t *newline = at < text.size ? memchr(text.data + at, '\n', text.size - at)
                                                : NULL;
        if (!newline)
            return true;
        at = (size_t)(newline - text.data) + 1;
        if (!hex_dump_read(text, at, budget, dump))
            return false;
        if (dump->bytes)
            return true;
    }
    return true;
}

enum fit { FIT_GOES_ON, FIT_PASS, FIT_STOP };

/* How a dump goes with what was joined up to now; *part what it adds. */
static enum fit fits_on(const struct segment *before, bool packets, struct span bytes,
                        struct segment *part)
{
    bool packet = segment_read(bytes, part);
    if (packet != packets)
        return FIT_STOP;
    if (!packet) {
        part->payload = bytes;
        return FIT_GOES_ON;
    }
    if (part->payload.size == 0)
        return FIT_PASS;
    if (memcmp(part->flow, before->flow, sizeof part->flow) != 0)
        return FIT_STOP;
    uint32_t ahead = part->sequence - before->sequence - (uint32_t)before->payload.size;
    return ahead == 0 ? FIT_GOES_ON : ahead > UINT32_MAX / 2 ? FIT_PASS : FIT_STOP;
}

bool hex_dumps_join(struct span text, const struct dump *first, size_t *budget, struct dump *all)
{
    *all = (struct dump){.bytes = NULL};
    struct segment last;
    bool packets = segment_read(buffer_span(first->bytes), &last);
    if (!packets)
        last.payload = buffer_span(first->bytes);
    AUTO(buffer) *joined = buffer_secret(last.payload.size + 64);
    if (!joined)
        return false;
    buffer_put_span(joined, last.payload);
    bool open = is_open(last.payload);
    size_t end = first->end, count = 1;
    while (open && joined->size < *budget) {
        struct dump next;
        struct segment part;
        if (!next_dump(text, end, budget, &next))
            return false;
        AUTO(buffer) *bytes = next.bytes;
        enum fit fit = bytes ? fits_on(&last, packets, buffer_span(bytes), &part) : FIT_STOP;
        if (fit == FIT_STOP)
            break;
        end = next.end;
        if (fit == FIT_PASS)
            continue;
        buffer_put_span(joined, part.payload);
        last = part;
        count++;
        *budget -= bytes->size < *budget ? bytes->size : *budget;
        if (memchr(part.payload.data, '}', part.payload.size)) {
            *budget -= joined->size < *budget ? joined->size : *budget;
            open = is_open(buffer_span(joined));
        }
    }
    if (joined->failed)
        return false;
    if (count > 1)
        *all = (struct dump){.bytes = TAKE(joined), .end = end, .joined = true};
    return true;
}

/* ---- tokens of digits ---- */

static bool is_digit64(uint8_t c)
{
    return isalnum(c) || c == '+' || c == '/' || c == '-' || c == '_';
}

/* Appends the digits of a token; returns where it ends. */
static size_t take_token(struct span text, size_t at, buffer *digits)
{
    size_t start = at;
    while (at < text.size && is_digit64(text.data[at]))
        at++;
    buffer_put(digits, text.data + start, at - start);
    return at;
}

/* Both alphabets; what is behind the last whole byte is passed over. NULL: it is neither, or
 * there is no memory. */
static buffer *decode_64(buffer *digits)
{
    for (size_t i = 0; i < digits->size; i++)
        digits->data[i] = digits->data[i] == '+'   ? '-'
                          : digits->data[i] == '/' ? '_'
                                                   : digits->data[i];
    if (digits->size % 4 == 1)
        digits->size--;
    AUTO(buffer) *bytes = buffer_secret(digits->size / 4 * 3 + 3);
    struct error ignored;
    size_t whole = digits->size / 4 * 4;
    long long size = !bytes ? -1
                            : base64url_decode_to(bytes->data, SPAN(digits->data, whole), "dump",
                                                  &ignored);
    if (size < 0)
        return NULL;
    bytes->size = (size_t)size;
    uint8_t rest[4] = {'A', 'A', 'A', 'A'}, last[8];
    memcpy(rest, digits->data + whole, digits->size - whole);
    if (digits->size > whole && base64url_decode_to(last, SPAN(rest, 4), "dump", &ignored) == 3)
        buffer_put(bytes, last, digits->size - whole - 1);
    return bytes->failed ? NULL : TAKE(bytes);
}

/* Appends the line behind end, too, when it is digits alone; returns where it ends, or end. */
static size_t take_line(struct span text, size_t end, struct span prefix, buffer *digits)
{
    size_t line = end + 1, before = digits->size;
    if (text.data[end] == '\r' && line < text.size && text.data[line] == '\n')
        line++;
    size_t next = prefix_skip(text, line, prefix);
    size_t stop = take_token(text, next, digits), tail = stop;
    while (tail < text.size && text.data[tail] == '=')
        tail++;
    bool whole = tail == text.size || text.data[tail] == '\n' || text.data[tail] == '\r' ||
                 text.data[tail] == '"';
    if (stop > next && whole)
        return stop;
    digits->size = before;
    return end;
}

bool digits_read(struct span text, size_t start, struct dump *dump, bool *hex)
{
    *dump = (struct dump){.bytes = NULL};
    AUTO(buffer) *digits = buffer_secret(256);
    if (!digits)
        return false;
    struct span prefix = prefix_of(text, start);
    size_t end = take_token(text, start, digits);
    dump->end = end;
    if (digits->size < DIGITS_LEAST)
        return !digits->failed;
    while (end < text.size && (text.data[end] == '\n' || text.data[end] == '\r')) {
        size_t stop = take_line(text, end, prefix, digits);
        if (stop == end)
            break;
        dump->joined = true;
        end = stop;
    }
    while (end < text.size && text.data[end] == '=')
        end++;
    if (digits->failed)
        return false;
    dump->end = end;
    *hex = text_is_hex(buffer_span(digits));
    dump->bytes = *hex ? hex_decode(buffer_span(digits)) : decode_64(digits);
    return true;
}
