/* SPDX-License-Identifier: Apache-2.0 */
/* To be preloaded: who opens first.csr puts second.csr in its place. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static int open_once(const char *path, int flags, int mode, const char *own)
{
    int (*open_it)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, own);
    int fd = open_it(path, flags, mode);
    if (strcmp(path, "first.csr") == 0)
        rename("second.csr", path);
    return fd;
}

int open(const char *path, int flags, int mode)
{
    return open_once(path, flags, mode, "open");
}

int open64(const char *path, int flags, int mode)
{
    return open_once(path, flags, mode, "open64");
}
