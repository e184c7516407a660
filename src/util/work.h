/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.h: how far work on many bytes has come, told by the layers that do it. They print nothing;
 * progress_watch (terminal.h) shows it to a person who waits.
 *
 *     WORK(hashing, "signing", data.size);
 *     for (struct span part; work_part(&hashing, &data, &part);)
 *         EVP_DigestSignUpdate(md, part.data, part.size);
 */
#ifndef OTRP_UTIL_WORK_H
#define OTRP_UTIL_WORK_H

#include "util/buffer.h"

enum { WORK_PART_BYTES = 1 << 20 }; /* of what is told of, so that a person sees it move */

struct work {
    const char *what; /* "reading" */
    size_t total;     /* bytes; 0: not known */
    size_t done;      /* bytes */
};

/* Declares work that ends with its scope. */
#define WORK(name, what, total)                                                                    \
    __attribute__((cleanup(work_end))) struct work name = {(what), (total), 0}

/* So many bytes more are done. */
void work_step(struct work *work, size_t bytes);

/* Takes the next part off left, and counts it as done; false when nothing is left. */
bool work_part(struct work *work, struct span *left, struct span *part);

void work_end(struct work *work);

/* Who is told, of each step and with NULL of an end; NULL, as from the start: nobody. To be set
 * before the work begins, by a command whose work is done by one thread. */
extern void (*work_watcher)(const struct work *work);

#endif
