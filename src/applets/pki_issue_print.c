/* SPDX-License-Identifier: Apache-2.0 */
/* The result of pki-issue on standard output: the CSV as it is, or its rows as JSON. */
#include "applets/pki_issue.h"

#include <stdio.h>

#include "pki/csv.h"
#include "pki/result.h"

#define PRINT_BYTES 65536

/* The fields of a record that say something, as a JSON object; the first is a number. */
static void put_object(buffer *out, const struct csv_record *names, const struct csv_record *row)
{
    for (size_t i = 0; i < row->count && i < names->count; i++) {
        if (!*row->fields[i])
            continue;
        buffer_put_text(out, i ? ", " : "  {");
        buffer_put_json_string(out, span_text(names->fields[i]));
        buffer_put_text(out, ": ");
        if (i)
            buffer_put_json_string(out, span_text(row->fields[i]));
        else
            buffer_put_text(out, row->fields[i]);
    }
    buffer_put_char(out, '}');
}

/* Writes the rows of a result as JSON. */
static bool print_json(csv *result, struct error *err)
{
    struct csv_record names, row;
    AUTO(csv) *header = csv_open_text(span_text(ISSUED_HEADER), "header", err);
    AUTO(buffer) *out = header ? buffer_new(PRINT_BYTES) : NULL;
    if (!out)
        return header ? error_memory(err) : false;
    if (csv_next(header, &names, err) != CSV_RECORD || csv_next(result, &row, err) != CSV_RECORD)
        return false;
    buffer_put_text(out, "{\"rows\": [");
    enum csv_result more;
    for (bool first = true; (more = csv_next(result, &row, err)) == CSV_RECORD; first = false) {
        buffer_put_text(out, first ? "\n" : ",\n");
        put_object(out, &names, &row);
        if (out->size < PRINT_BYTES / 2)
            continue;
        if (!stdout_write(buffer_span(out), err))
            return false;
        out->size = 0;
    }
    buffer_put_text(out, "\n]}\n");
    return more == CSV_END &&
           (out->failed ? error_memory(err) : stdout_write(buffer_span(out), err));
}

/* Writes a file as it is, however large. */
static bool print_file(const char *path, struct error *err)
{
    AUTO(buffer) *part = buffer_new(PRINT_BYTES);
    FILE *file = part ? fopen(path, "re") : NULL;
    bool printed = file != NULL;
    while (printed && (part->size = fread(part->data, 1, PRINT_BYTES, file)))
        printed = stdout_write(buffer_span(part), err);
    if (!file || (printed && ferror(file)))
        printed = part ? error_errno(err, RC_INTERNAL, "%s: cannot read", path) : error_memory(err);
    if (file)
        fclose(file);
    return printed;
}

bool issued_print(const struct applet_call *call, const char *path, struct error *err)
{
    if (!call->common->json)
        return print_file(path, err);
    AUTO(csv) *table = csv_open(path, err);
    return table && print_json(table, err);
}

bool issued_print_text(const struct applet_call *call, const buffer *result, struct error *err)
{
    if (!call->common->json)
        return stdout_write(buffer_span(result), err);
    AUTO(csv) *table = csv_open_text(buffer_span(result), "result", err);
    return table && print_json(table, err);
}

bool issued_unprinted(const buffer *result, struct error *err)
{
    struct error ignored;
    struct csv_record row;
    AUTO(csv) *table = csv_open_text(buffer_span(result), "result", &ignored);
    if (!table || csv_next(table, &row, &ignored) != CSV_RECORD ||
        csv_next(table, &row, &ignored) != CSV_RECORD || !result_is_row(&row))
        return false;
    error_prefix(err, "%s, serial number %s: issued, but the result is not written",
                 row.fields[RESULT_CERT], row.fields[RESULT_SERIAL]);
    return error_hint(err, "it need not be issued again: 'otrp inspect' shows it");
}
