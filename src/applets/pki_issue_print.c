/* SPDX-License-Identifier: Apache-2.0 */
/* The result of pki-issue on standard output: the CSV as it is, or its rows as JSON. */
#include "applets/pki_issue.h"

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

/* A record as it was read. */
static void put_record(buffer *out, const struct csv_record *row)
{
    for (size_t i = 0; i < row->count; i++)
        csv_put(out, row->fields[i], i == 0);
    buffer_put_char(out, '\n');
}

bool issued_print(const struct applet_call *call, csv *result, struct error *err)
{
    bool json = call->common->json;
    struct csv_record names, row;
    AUTO(buffer) *head = buffer_new(256);
    AUTO(buffer) *out = buffer_new(PRINT_BYTES);
    if (!head || !out)
        return error_memory(err);
    if (csv_next(result, &names, err) != CSV_RECORD)
        return false;
    put_record(head, &names);
    AUTO(csv) *kept = csv_open_text(buffer_span(head), "names",
                                    err); /* names are lost with the next row */
    if (!kept || csv_next(kept, &names, err) != CSV_RECORD)
        return false;
    buffer_put_text(out, json ? "{\"rows\": [" : (const char *)head->data);
    enum csv_result more;
    for (bool first = true; (more = csv_next(result, &row, err)) == CSV_RECORD; first = false) {
        if (json) {
            buffer_put_text(out, first ? "\n" : ",\n");
            put_object(out, &names, &row);
        } else {
            put_record(out, &row);
        }
        if (out->size < PRINT_BYTES / 2)
            continue;
        if (!stdout_write(buffer_span(out), err))
            return false;
        out->size = 0;
    }
    buffer_put_text(out, json ? "\n]}\n" : "");
    return more == CSV_END &&
           (out->failed ? error_memory(err) : stdout_write(buffer_span(out), err));
}

bool issued_print_text(const struct applet_call *call, const buffer *result, struct error *err)
{
    AUTO(csv) *table = csv_open_text(buffer_span(result), "result", err);
    return table && issued_print(call, table, err);
}
