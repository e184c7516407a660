/* SPDX-License-Identifier: Apache-2.0 */
#include "util/work.h"

void (*work_watcher)(const struct work *work);

void work_step(struct work *work, size_t bytes)
{
    work->done += bytes;
    if (work_watcher)
        work_watcher(work);
}

bool work_part(struct work *work, struct span *left, struct span *part)
{
    if (!left->size)
        return false;
    size_t size = left->size < WORK_PART_BYTES ? left->size : WORK_PART_BYTES;
    *part = SPAN(left->data, size);
    *left = SPAN(left->data + size, left->size - size);
    work_step(work, size);
    return true;
}

void work_end(struct work *work)
{
    (void)work;
    if (work_watcher)
        work_watcher(NULL);
}
