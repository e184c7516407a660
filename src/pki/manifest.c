/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/manifest.h"

#include <string.h>

#include "util/options.h"

static const char *const names[MANIFEST_COLUMNS] = {"role", "name", "alg", "csr", "tamid", "days"};

struct manifest {
    csv *table;
    size_t width;                 /* fields in the header */
    size_t rows;                  /* read so far */
    int column[MANIFEST_COLUMNS]; /* which field it is; -1: none */
};

static bool take_column(manifest *m, const char *path, const struct csv_record *header,
                        size_t field, struct error *err)
{
    const char *name = header->fields[field];
    for (size_t c = 0; c < MANIFEST_COLUMNS; c++) {
        if (strcmp(name, names[c]) != 0)
            continue;
        if (m->column[c] >= 0)
            return error_set(err, RC_USAGE, "%s: line %zu: two columns '%s'", path, header->line,
                             name);
        m->column[c] = (int)field;
        return true;
    }
    error_set(err, RC_USAGE, "%s: line %zu: unknown column '%s'", path, header->line, name);
    const char *near = nearest(name, names, MANIFEST_COLUMNS);
    return near ? error_hint(err, "did you mean '%s'?", near)
                : error_hint(err, "the first line names the columns: role,name,alg,csr,tamid,days");
}

static bool read_header(manifest *m, const char *path, struct error *err)
{
    struct csv_record header;
    switch (csv_next(m->table, &header, err)) {
    case CSV_FAILED:
        return false;
    case CSV_END:
        return error_set(err, RC_USAGE, "%s: empty; the first line names the columns", path);
    case CSV_RECORD:
        break;
    }
    if (header.fault)
        return error_set(err, RC_MALFORMED, "%s: line %zu: %s", path, header.line, header.fault);
    for (size_t i = 0; i < header.count; i++)
        if (!take_column(m, path, &header, i, err))
            return false;
    m->width = header.count;
    return m->column[MANIFEST_NAME] >= 0 ||
           error_set(err, RC_USAGE, "%s: line %zu: there is no column 'name'", path, header.line);
}

manifest *manifest_open(const char *path, struct error *err)
{
    AUTO(manifest) *m = calloc(1, sizeof *m);
    if (!m) {
        error_memory(err);
        return NULL;
    }
    for (size_t c = 0; c < MANIFEST_COLUMNS; c++)
        m->column[c] = -1;
    m->table = csv_open(path, err);
    return m->table && read_header(m, path, err) ? TAKE(m) : NULL;
}

void manifest_free(manifest *m)
{
    if (m)
        csv_free(m->table);
    free(m);
}

enum csv_result manifest_next(manifest *m, struct manifest_row *row, struct error *err)
{
    struct csv_record record;
    enum csv_result result = csv_next(m->table, &record, err);
    if (result != CSV_RECORD)
        return result;
    *row = (struct manifest_row){.number = ++m->rows, .line = record.line, .fault = record.fault};
    if (!row->fault && record.count != m->width)
        row->fault = record.count < m->width ? "fewer fields than the first line has columns"
                                             : "more fields than the first line has columns";
    for (size_t c = 0; c < MANIFEST_COLUMNS; c++)
        row->text[c] = m->column[c] >= 0 && (size_t)m->column[c] < record.count
                           ? record.fields[m->column[c]]
                           : "";
    return CSV_RECORD;
}
