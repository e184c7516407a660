/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h: reading whole inputs, writing to what is open already, and paths. Results that are to be
 * there whole or not at all are for output_set.h.
 *
 *     AUTO(buffer) *text = input_read("-", limits.file_bytes, err);
 */
#ifndef OTRP_UTIL_FILE_H
#define OTRP_UTIL_FILE_H

#include "util/buffer.h"

/* The whole of a file ("-" or NULL: standard input), at most max_bytes. RC_USAGE when it cannot be
 * read, RC_MALFORMED when it is larger. Returns an owned, secret buffer. */
buffer *input_read(const char *path, size_t max_bytes, struct error *err) MUST_CHECK;

/* What an input is called in messages: its path, or "standard input". */
const char *input_name(const char *path);

/* Writes all of data; false with errno set, when some of it may be written. */
bool write_all(int fd, struct span data) MUST_CHECK;

/* Writes what was printed. RC_INTERNAL, with CAUSE_UNREAD when nobody reads it any more. */
bool stdout_flush(struct error *err) MUST_CHECK;

/* Writes all of data to standard output, behind what was printed before; errors as above. */
bool stdout_write(struct span data, struct error *err) MUST_CHECK;

/* dir + "/" + name, owned by the caller; NULL without memory. */
char *path_join(const char *dir, const char *name);

/* Whether there is something of that name, be it a link that leads nowhere. */
bool path_exists(const char *path);

/* Whether an option's path means standard input or output: NULL or "-". */
bool path_is_standard(const char *path);

#endif
