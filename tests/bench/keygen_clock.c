/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keygen_clock: loaded before libcrypto, tells what part of a program's processor time is spent in
 * making keys. RSA key generation takes a random time, so two runs cannot be compared; within one
 * run, what is left beside the generation can. At the end it writes to the file that KEYGEN_CLOCK
 * names, in milliseconds: processor time in key generation, all processor time, wall time.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <openssl/evp.h>

static _Atomic long long generating_ns;
static long long started_ns;

static long long now_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Stands before libcrypto's own. */
__attribute__((visibility("default"))) int EVP_PKEY_generate(EVP_PKEY_CTX *ctx, EVP_PKEY **key)
{
    int (*own)(EVP_PKEY_CTX *, EVP_PKEY **) = NULL;
    *(void **)&own = dlsym(RTLD_NEXT, "EVP_PKEY_generate");
    long long start = now_ns(CLOCK_THREAD_CPUTIME_ID);
    int made = own(ctx, key);
    generating_ns += now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
    return made;
}

__attribute__((constructor)) static void begin(void)
{
    started_ns = now_ns(CLOCK_MONOTONIC);
}

static double milliseconds(struct timeval t)
{
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("KEYGEN_CLOCK");
    FILE *file = path ? fopen(path, "w") : NULL;
    struct rusage used;
    if (!file)
        return;
    getrusage(RUSAGE_SELF, &used);
    fprintf(file, "%.3f %.3f %.3f\n", (double)generating_ns / 1e6,
            milliseconds(used.ru_utime) + milliseconds(used.ru_stime),
            (double)(now_ns(CLOCK_MONOTONIC) - started_ns) / 1e6);
    fclose(file);
}
