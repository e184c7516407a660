/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output_set.h: the results of a command, written so that nothing is ever half there.
 *
 *     AUTO(output_set) *outputs = output_set_new(force);
 *     if (!output_add(outputs, "key.pem", span, OUTPUT_PRIVATE, err) ||
 *         !output_add(outputs, "-", span, OUTPUT_PUBLIC, err))
 *         return err->rc;
 *     return output_commit(outputs, err) ? RC_OK : err->rc;
 *
 * Each file is written aside (O_EXCL, 0600 for private ones from the first byte), made durable and
 * put in place when all are complete. Without commit, or when it fails, nothing remains.
 */
#ifndef OTRP_UTIL_OUTPUT_SET_H
#define OTRP_UTIL_OUTPUT_SET_H

#include "util/buffer.h"

enum output_kind {
    OUTPUT_PUBLIC,    /* mode 0666 less the umask */
    OUTPUT_PRIVATE,   /* mode 0600: private keys, content encryption keys */
    OUTPUT_EXECUTABLE /* mode 0777 less the umask */
};

typedef struct output_set output_set;

/* force: existing files are replaced; otherwise they are refused. NULL without memory. Freed
 * without commit, it takes back all that was written. */
output_set *output_set_new(bool force);
void output_set_free(output_set *set);

/* Refuses path now if it is there already, so that long work is not done in vain. */
bool output_check(const output_set *set, const char *path, struct error *err) MUST_CHECK;

/* As output_check, and refuses a folder that is not there or cannot be written to: for what must be
 * known before something lasting happens. */
bool output_possible(const output_set *set, const char *path, struct error *err) MUST_CHECK;

/* Writes data aside for path ("-" or NULL: standard output). */
bool output_add(output_set *set, const char *path, struct span data, enum output_kind kind,
                struct error *err) MUST_CHECK;

/* As output_add, and takes data (also at a failure): a large result is not copied. */
bool output_take(output_set *set, const char *path, buffer *data, enum output_kind kind,
                 struct error *err) MUST_CHECK;

/* Puts all files in place, then writes what goes to standard output; all or nothing. */
bool output_commit(output_set *set, struct error *err) MUST_CHECK;

/* mkdir -p; each directory made is remembered, and removed again without commit. */
bool output_directory(output_set *set, const char *path, struct error *err) MUST_CHECK;

AUTO_DEFINE(output_set, output_set_free)

#endif
