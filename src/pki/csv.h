/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csv.h: comma-separated values (RFC 4180), a record at a time, however many there are.
 *
 *     AUTO(csv) *table = csv_open("devices.csv", err);
 *     struct csv_record record;
 *     while (csv_next(table, &record, err) == CSV_RECORD)
 *         use(record.fields[0]);
 *
 * Lines end with LF or CRLF; a UTF-8 byte order mark is passed over, and so are empty lines. A
 * field in quotes may hold commas, line ends and doubled quotes.
 */
#ifndef OTRP_PKI_CSV_H
#define OTRP_PKI_CSV_H

#include "util/buffer.h"

#define CSV_FIELDS 32 /* in a record */
/* Of a record, with its quotes: an unclosed one must not swallow a whole file. */
#define CSV_RECORD_BYTES 65536

typedef struct csv csv;

struct csv_record {
    size_t line; /* where it begins, from 1 */
    size_t count;
    const char *fields[CSV_FIELDS]; /* until the next call; UTF-8 without NULs */
    const char *fault;              /* what is wrong with it, or NULL; then count is 0 */
};

enum csv_result { CSV_RECORD, CSV_END, CSV_FAILED };

/* A file, or "-". RC_USAGE when it cannot be read. */
csv *csv_open(const char *path, struct error *err) MUST_CHECK;
/* The same of a text, which must outlive the table. */
csv *csv_open_text(struct span text, const char *name, struct error *err) MUST_CHECK;
void csv_free(csv *table);

/* The next record. CSV_FAILED: the file cannot be read, or a quote is never closed (RC_MALFORMED);
 * after a record with a fault there may be others. */
enum csv_result csv_next(csv *table, struct csv_record *record, struct error *err) MUST_CHECK;

/* Appends a field, in quotes where it needs them, after a comma unless it is the first. */
void csv_put(buffer *out, const char *field, bool first);

AUTO_DEFINE(csv, csv_free)

#endif
