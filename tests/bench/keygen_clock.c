/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keygen_clock: loaded before libcrypto, tells what part of a program's processor time is spent in
 * making keys. RSA key generation takes a random time, so two runs cannot be compared; within one
 * run, what is left beside the generation can. At the end it writes to the file that KEYGEN_CLOCK
 * names, in milliseconds: processor time in key generation, all processor time, wall time.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* Stands before libcrypto's own, which EVP_RSA_gen and EVP_EC_gen are names for. */
__attribute__((visibility("default"))) EVP_PKEY *
EVP_PKEY_Q_keygen(OSSL_LIB_CTX *ctx, const char *properties, const char *type, ...)
{
    EVP_PKEY *(*own)(OSSL_LIB_CTX *, const char *, const char *, ...) = NULL;
    *(void **)&own = dlsym(RTLD_NEXT, "EVP_PKEY_Q_keygen");
    va_list args;
    va_start(args, type);
    long long start = now_ns(CLOCK_THREAD_CPUTIME_ID);
    EVP_PKEY *key = strcmp(type, "RSA") == 0 ? own(ctx, properties, type, va_arg(args, size_t))
                                             : own(ctx, properties, type, va_arg(args, char *));
    generating_ns += now_ns(CLOCK_THREAD_CPUTIME_ID) - start;
    va_end(args);
    return key;
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
