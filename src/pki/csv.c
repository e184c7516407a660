/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/csv.h"

#include <stdio.h>
#include <string.h>

#include "util/file.h"
#include "util/utf8.h"

struct csv {
    FILE *file;
    const char *name;
    size_t line;
    char text[CSV_RECORD_BYTES + 1]; /* the fields of a record, each with its NUL */
    size_t size;
    bool full, nul, stray; /* what was wrong with the record */
};

/* Takes file, also at a failure. */
static csv *csv_new(FILE *file, const char *name, struct error *err)
{
    AUTO(csv) *table = calloc(1, sizeof *table);
    if (!table) {
        if (file != stdin)
            fclose(file);
        error_memory(err);
        return NULL;
    }
    table->name = name;
    table->line = 1;
    table->file = file;
    int c = getc(file);
    if (c == 0xef) {
        if (getc(file) == 0xbb && getc(file) == 0xbf)
            return TAKE(table);
        error_set(err, RC_MALFORMED, "%s: does not begin as UTF-8", name);
        return NULL;
    }
    if (c != EOF)
        ungetc(c, file);
    return TAKE(table);
}

csv *csv_open(const char *path, struct error *err)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (file)
        return csv_new(file, input_name(path), err);
    error_errno(err, RC_USAGE, "%s: cannot open", path);
    return NULL;
}

csv *csv_open_text(struct span text, const char *name, struct error *err)
{
    FILE *file = fmemopen((void *)(uintptr_t)text.data, text.size, "r");
    if (file)
        return csv_new(file, name, err);
    error_errno(err, RC_INTERNAL, "%s: cannot read", name);
    return NULL;
}

void csv_free(csv *table)
{
    if (table && table->file && table->file != stdin)
        fclose(table->file);
    free(table);
}

static void keep(csv *table, char c)
{
    if (table->size == CSV_RECORD_BYTES)
        table->full = true;
    else
        table->text[table->size++] = c;
}

/* The next character; CRLF is one, and a NUL is noticed. */
static int next(csv *table)
{
    int c = getc_unlocked(table->file); /* no other thread reads it */
    if (c == '\r') {
        int following = getc_unlocked(table->file);
        if (following == '\n')
            c = '\n';
        else if (following != EOF)
            ungetc(following, table->file);
    }
    if (c == '\n')
        table->line++;
    if (c == '\0')
        table->nul = true;
    return c;
}

/* What stands between quotes, to behind the second; what ends the field, or EOF when it is never
 * closed. */
static int read_quoted(csv *table)
{
    for (;;) {
        int c = next(table);
        if (c == EOF || table->full)
            return EOF;
        if (c != '"') {
            keep(table, (char)c);
            continue;
        }
        c = next(table);
        if (c == '"') {
            keep(table, '"');
            continue;
        }
        for (; c != ',' && c != '\n' && c != EOF; c = next(table))
            table->stray = true;
        return c == EOF ? '\n' : c;
    }
}

static int read_plain(csv *table, int c)
{
    for (; c != ',' && c != '\n' && c != EOF; c = next(table)) {
        table->stray |= c == '"';
        keep(table, (char)c);
    }
    return c == EOF ? '\n' : c;
}

static bool is_utf8(const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    for (size_t length; size; p += length, size -= length)
        if (!(length = utf8_length(p, size)))
            return false;
    return true;
}

static const char *fault_of(const csv *table, bool many)
{
    if (table->nul)
        return "a NUL byte in it";
    if (table->stray)
        return "a quote in the middle of a field";
    if (table->full)
        return "more than 65536 bytes";
    if (many)
        return "more than 32 fields";
    return is_utf8(table->text, table->size) ? NULL : "not UTF-8";
}

/* One record, whose first character is c. */
static enum csv_result read_record(csv *table, int c, struct csv_record *record, struct error *err)
{
    bool many = false;
    *record = (struct csv_record){.line = table->line};
    table->size = 0;
    table->full = table->nul = table->stray = false;
    for (;; c = next(table)) {
        size_t start = table->size;
        int end = c == '"' ? read_quoted(table) : read_plain(table, c);
        if (end == EOF) {
            error_set(err, RC_MALFORMED, "%s: line %zu: a quote is never closed", table->name,
                      record->line);
            error_rule(err, "RFC 4180 section 2");
            return CSV_FAILED;
        }
        if (record->count < CSV_FIELDS)
            record->fields[record->count++] = table->text + start;
        else
            many = true;
        keep(table, '\0');
        if (end == '\n')
            break;
    }
    record->fault = fault_of(table, many);
    if (record->fault)
        record->count = 0;
    return CSV_RECORD;
}

enum csv_result csv_next(csv *table, struct csv_record *record, struct error *err)
{
    int c;
    do
        c = next(table);
    while (c == '\n');
    if (c == EOF) {
        if (!ferror(table->file))
            return CSV_END;
        error_errno(err, RC_USAGE, "%s: cannot read", table->name);
        return CSV_FAILED;
    }
    return read_record(table, c, record, err);
}

void csv_put(buffer *out, const char *field, bool first)
{
    if (!first)
        buffer_put_char(out, ',');
    size_t length = strlen(field);
    if (!strpbrk(field, ",\"\r\n") && !(length && (*field == ' ' || field[length - 1] == ' '))) {
        buffer_put(out, field, length);
        return;
    }
    buffer_put_char(out, '"');
    for (const char *c = field; *c; c++) {
        if (*c == '"')
            buffer_put_char(out, '"');
        buffer_put_char(out, *c);
    }
    buffer_put_char(out, '"');
}
