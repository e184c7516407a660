/* SPDX-License-Identifier: Apache-2.0 */
/*
 * issue: what a batch of P-256 devices costs without otrp: the same keys, signatures and files, and
 * nothing else.
 *
 *     issue FOLDER ROWS [PROCESSES]     default: one a core
 *     issue --rsa COUNT                 RSA-2048 keys, and nothing else
 *
 * A process makes a key, signs 450 bytes with another one, and creates the three files of a device,
 * of the sizes that they have, in one of 256 folders. The curve is set up once, as otrp does it: to
 * do that for each key takes as long as the key.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

static const struct {
    const char *name;
    size_t size;
    mode_t mode;
} files[] = {{"key.pem", 241, 0600}, {"bundle.pem", 1364, 0644}, {"cert.pem", 672, 0644}};

static void die(const char *what)
{
    perror(what);
    _exit(1);
}

static void create(const char *folder, unsigned row)
{
    static const char content[2048];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%02x/tee-device-%u-ec-%s", folder, row & 255, row,
                 files[i].name);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, files[i].mode);
        if (fd < 0 || write(fd, content, files[i].size) != (ssize_t)files[i].size || close(fd) != 0)
            die(path);
    }
}

static void sign(EVP_PKEY *ca)
{
    static const unsigned char content[450];
    unsigned char signature[80];
    size_t size = sizeof signature;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, ca) != 1 ||
        EVP_DigestSign(ctx, signature, &size, content, sizeof content) != 1)
        die("sign");
    EVP_MD_CTX_free(ctx);
}

static EVP_PKEY_CTX *maker_new(void)
{
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!maker || EVP_PKEY_keygen_init(maker) != 1 ||
        EVP_PKEY_CTX_set_group_name(maker, "P-256") != 1)
        die("P-256");
    return maker;
}

/* The rows of one process. */
static void work(const char *folder, EVP_PKEY *ca, unsigned first, unsigned rows, unsigned step)
{
    EVP_PKEY_CTX *maker = maker_new();
    for (unsigned row = first; row < rows; row += step) {
        EVP_PKEY *pkey = NULL;
        if (EVP_PKEY_generate(maker, &pkey) != 1)
            die("key");
        sign(ca);
        create(folder, row);
        EVP_PKEY_free(pkey);
    }
    EVP_PKEY_CTX_free(maker);
}

/* RSA-2048 keys, and nothing else. */
static int make_rsa(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        EVP_PKEY *pkey = EVP_RSA_gen(2048);
        if (!pkey)
            return 1;
        EVP_PKEY_free(pkey);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--rsa") == 0)
        return make_rsa((unsigned)atoi(argv[2]));
    unsigned rows = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    long processes = argc > 3 ? atol(argv[3]) : sysconf(_SC_NPROCESSORS_ONLN);
    EVP_PKEY *ca = EVP_EC_gen("P-256");
    if (!ca || !rows)
        return 2;
    for (unsigned i = 0; i < 256; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%02x", argv[1], i);
        if (i == 0 && mkdir(argv[1], 0777) != 0)
            die(argv[1]);
        if (mkdir(path, 0777) != 0)
            die(path);
    }
    for (long p = 0; p < processes; p++) {
        if (fork() != 0)
            continue;
        work(argv[1], ca, (unsigned)p, rows, (unsigned)processes);
        _exit(0);
    }
    int status, bad = 0;
    while (wait(&status) > 0)
        bad |= status != 0;
    return bad;
}
