/* SPDX-License-Identifier: Apache-2.0 */
#include "util/install.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/auto.h"

/* Relative to the folder of the executable: installed; built in bin/; a build variant. */
static const char *const template_places[] = {"../share/otrp/pki-templates", "../pki-templates",
                                              "../../../pki-templates"};
static const char *const module_places[] = {"../lib/otrp", "../build/release/lib/otrp"};
static const char *const page_places[] = {"../share/man/man5", "../man", "../../../man"};

/* The folder of the executable, in which no link and no ".." is left; or NULL. */
static char *find_own_folder(struct error *err)
{
    char exe[4096];
    ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (length <= 0) {
        error_errno(err, RC_INTERNAL, "/proc/self/exe: cannot tell where the program is");
        return NULL;
    }
    exe[length] = '\0';
    *strrchr(exe, '/') = '\0';
    char *folder = strdup(exe);
    if (!folder)
        error_memory(err);
    return folder;
}

/* folder, out of it for each "../" of place, and down to what is left of place, and name. */
static char *join(const char *folder, const char *place, const char *name, struct error *err)
{
    size_t length = strlen(folder);
    for (; strncmp(place, "../", 3) == 0; place += 3)
        while (length && folder[--length] != '/')
            ;
    char *path;
    if (asprintf(&path, "%.*s/%s%s", (int)length, folder, place, name) >= 0)
        return path;
    error_memory(err);
    return NULL;
}

static char *find(const char *const *places, size_t count, const char *name, struct error *err)
{
    AUTO(char) *folder = find_own_folder(err);
    AUTO(char) *first = folder ? join(folder, places[0], name, err) : NULL;
    if (!first || access(first, R_OK) == 0)
        return TAKE(first);
    for (size_t i = 1; i < count; i++) {
        AUTO(char) *path = join(folder, places[i], name, err);
        if (!path || access(path, R_OK) == 0)
            return TAKE(path);
    }
    error_set(err, RC_INTERNAL, "%s is missing", first);
    error_hint(err, "run 'make install', or call the program where it was built");
    return NULL;
}

char *install_templates(struct error *err)
{
    return find(template_places, COUNT(template_places), "", err);
}

char *install_module(const char *name, struct error *err)
{
    char file[64];
    snprintf(file, sizeof file, "/%s.so", name);
    return find(module_places, COUNT(module_places), file, err);
}

char *install_file_page(const char *name, struct error *err)
{
    char file[64];
    snprintf(file, sizeof file, "/%s.5", name);
    return find(page_places, COUNT(page_places), file, err);
}
