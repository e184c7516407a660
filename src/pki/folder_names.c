/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/folder_names.h"

#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "util/clock.h"
#include "util/text_hash.h"

struct folder_names {
    char *path;
    struct stat state;
    uint64_t *hashes; /* sorted */
    size_t count, room;
};

void folder_names_free(folder_names *names)
{
    if (!names)
        return;
    free(names->path);
    free(names->hashes);
    free(names);
}

static bool add(folder_names *names, const char *file)
{
    if (names->count == names->room) {
        size_t room = names->room ? 2 * names->room : 64;
        uint64_t *larger = realloc(names->hashes, room * sizeof *larger);
        if (!larger)
            return false;
        names->hashes = larger;
        names->room = room;
    }
    names->hashes[names->count++] = text_hash(TEXT_HASH_START, file);
    return true;
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Whether a change from now on gives the folder another time than it has. */
static bool is_settled(const struct stat *state)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (now.tv_sec - state->st_ctim.tv_sec) * 1000000000LL + now.tv_nsec -
               state->st_ctim.tv_nsec >
           FILE_TICK_NS;
}

folder_names *folder_names_read(const char *path)
{
    AUTO(folder_names) *names = calloc(1, sizeof *names);
    if (!names || !(names->path = strdup(path)) || stat(path, &names->state) != 0 ||
        !is_settled(&names->state))
        return NULL;
    DIR *dir = opendir(path);
    bool added = dir != NULL;
    for (const struct dirent *entry; added && (entry = readdir(dir));)
        added = add(names, entry->d_name);
    if (dir)
        closedir(dir);
    if (!added)
        return NULL;
    qsort(names->hashes, names->count, sizeof *names->hashes, compare);
    return TAKE(names);
}

bool folder_names_hold(const folder_names *names)
{
    struct stat now;
    const struct stat *then = &names->state;
    return stat(names->path, &now) == 0 && now.st_ino == then->st_ino &&
           now.st_dev == then->st_dev && now.st_ctim.tv_sec == then->st_ctim.tv_sec &&
           now.st_ctim.tv_nsec == then->st_ctim.tv_nsec;
}

bool folder_names_has(const folder_names *names, const char *file)
{
    uint64_t hash = text_hash(TEXT_HASH_START, file);
    return bsearch(&hash, names->hashes, names->count, sizeof hash, compare) != NULL;
}
