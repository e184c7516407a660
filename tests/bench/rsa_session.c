/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rsa_session: the private-key operations of a TAM's full session, and nothing else: three RS256
 * signatures and one RSA decryption without padding.
 *
 *     rsa_session KEY.pem SESSIONS
 *
 * Prints the processor time of one session in milliseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int sign(EVP_PKEY *key)
{
    static const unsigned char payload[2048];
    unsigned char signature[512];
    size_t size = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int done = context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
               EVP_DigestSign(context, signature, &size, payload, sizeof payload) == 1;
    EVP_MD_CTX_free(context);
    return done;
}

static int decrypt(EVP_PKEY *key)
{
    unsigned char in[512] = {0}, out[512];
    size_t size = sizeof out;
    in[sizeof in - 1] = 2;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    int done = context && EVP_PKEY_decrypt_init(context) == 1 &&
               EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) == 1 &&
               EVP_PKEY_decrypt(context, out, &size, in + sizeof in - EVP_PKEY_get_size(key),
                                (size_t)EVP_PKEY_get_size(key)) == 1;
    EVP_PKEY_CTX_free(context);
    return done;
}

int main(int argc, char **argv)
{
    FILE *file = argc == 3 ? fopen(argv[1], "r") : NULL;
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    int sessions = argc == 3 ? atoi(argv[2]) : 0;
    if (!key || sessions < 1 || !sign(key)) {
        fprintf(stderr, "usage: rsa_session KEY.pem SESSIONS\n");
        return 1;
    }
    double start = cpu_ms();
    for (int i = 0; i < sessions; i++)
        if (!sign(key) || !sign(key) || !sign(key) || !decrypt(key))
            return 1;
    printf("%.4f\n", (cpu_ms() - start) / sessions);
    EVP_PKEY_free(key);
    fclose(file);
    return 0;
}
