/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.h: the result of a batch while it grows: a CSV of one line a row, each line beginning
 * with its row's number. Lines are appended in the order of the rows and are durable when that
 * returns. A run that is taken up again appends once more from a lower number on: journal_tidy
 * brings the lines of both into one order, the later line of a row in place of the earlier.
 *
 *     AUTO(journal) *j = journal_open("out/devices.result.csv", HEADER, resume, err);
 *     if (!j || !journal_append(j, lines, err) || !journal_tidy(j, err)) ...
 *
 * A lock file beside it (".lock") keeps a second run out. It is made once: what has been made in
 * the folder since belongs to this batch.
 */
#ifndef OTRP_PKI_JOURNAL_H
#define OTRP_PKI_JOURNAL_H

#include <time.h>

#include "util/buffer.h"

typedef struct journal journal;

/* RC_USAGE when there is one already and it is not to be resumed, or another run works on it. A
 * journal that is resumed is tidied first. */
journal *journal_open(const char *path, const char *header, bool resume,
                      struct error *err) MUST_CHECK;
void journal_free(journal *j);

const char *journal_path(const journal *j); /* borrowed */
/* When the batch was begun. */
struct timespec journal_begun(const journal *j);
/* How many lines there were when it was opened, but the header. */
size_t journal_lines(const journal *j);

/* All of the lines or none (RC_INTERNAL). */
bool journal_append(journal *j, struct span lines, struct error *err) MUST_CHECK;
bool journal_tidy(journal *j, struct error *err) MUST_CHECK;

AUTO_DEFINE(journal, journal_free)

#endif
