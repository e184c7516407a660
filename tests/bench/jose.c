/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jose: what signatures and encryption cost, RSA-2048 and A128CBC-HS256, all on one key.
 *
 *     jose OTRP JOSE FOLDER
 *
 * Each table runs its rows in turn, a round after the other, and prints medians: what else the
 * machine does meets all rows alike. "limit" is what the bare primitives of OpenSSL take on the
 * same data: a signature; or RSA, AES-CBC and HMAC, without base64url and without JSON. The last
 * table holds the kinds of failure of RSA1_5 side by side: they must not be told apart.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include "jose/jwe.h"
#include "jose/jwk.h"
#include "jose/jws.h"

enum { KIB = 1024, MIB = 1024 * KIB, MOST_ROWS = 8, MOST_ROUNDS = 4001 };

static const char *otrp, *jose_tool;
static struct error err;

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "jose: %s: %s\n", what, err.message);
    exit(1);
}

#define NEED(condition, what)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            die(what);                                                                             \
    } while (0)

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- rows ---- */

struct row {
    const char *label;
    void (*run)(const void *);
    const void *argument;
    double times[MOST_ROUNDS], median, low, high;
};

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct row *rows, size_t count, size_t rounds)
{
    for (size_t round = 0; round < rounds + 1; round++) /* the first warms up */
        for (size_t i = 0; i < count; i++) {
            /* not always in the same order: what runs before leaves its traces in the caches */
            struct row *r = &rows[(i + round) % count];
            double start = now_ms();
            r->run(r->argument);
            if (round)
                r->times[round - 1] = now_ms() - start;
        }
    for (size_t i = 0; i < count; i++) {
        qsort(rows[i].times, rounds, sizeof rows[i].times[0], by_value);
        rows[i].median = rows[i].times[rounds / 2];
        rows[i].low = rows[i].times[rounds / 4];
        rows[i].high = rows[i].times[rounds * 3 / 4];
    }
}

/* Prints the rows; the ratios are to the first. */
static void print(const char *title, const struct row *rows, size_t count, size_t rounds)
{
    printf("%s (medians of %zu rounds)\n", title, rounds);
    for (size_t i = 0; i < count; i++)
        printf("    %-44s %10.4f ms  [%.4f, %.4f]  %6.3f\n", rows[i].label, rows[i].median,
               rows[i].low, rows[i].high, rows[i].median / rows[0].median);
    fflush(stdout);
}

static void target(const char *what, double value, double limit)
{
    printf("    %s: %.3f, target at most %.3f: %s\n", what, value, limit,
           value <= limit ? "met" : "missed");
}

/* ---- commands ---- */

struct command {
    const char *words[16];
};

/* Output goes to /dev/null; returns the peak of its memory in bytes. */
static size_t run_command(const struct command *c)
{
    struct rusage used;
    int status;
    pid_t pid = vfork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        execv(c->words[0], (char *const *)(uintptr_t)c->words);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &used) != pid || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0) {
        fprintf(stderr, "jose: %s %s fails\n", c->words[0], c->words[1]);
        exit(1);
    }
    return (size_t)used.ru_maxrss * KIB;
}

static void run_command_row(const void *command)
{
    run_command(command);
}

static void save(const char *path, struct span data)
{
    FILE *file = fopen(path, "w");
    if (!file || fwrite(data.data, 1, data.size, file) != data.size || fclose(file) != 0)
        die(path);
}

/* ---- the limit ---- */

struct work {
    key *k;
    struct span data;    /* payload, plaintext or message */
    struct span wrapped; /* encrypted key */
};

static void limit_sign(const void *argument)
{
    const struct work *w = argument;
    uint8_t signature[256];
    size_t size = sizeof signature;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    NEED(EVP_DigestSignInit_ex(md, NULL, "SHA256", NULL, NULL, w->k->pkey, NULL) == 1 &&
             EVP_DigestSign(md, signature, &size, w->data.data, w->data.size) == 1,
         "signature");
    EVP_MD_CTX_free(md);
}

static void limit_rsa(const struct work *w, bool encrypt, uint8_t out[256])
{
    static const uint8_t cek[32] = {1};
    size_t size = 256;
    EVP_PKEY_CTX *rsa = EVP_PKEY_CTX_new_from_pkey(NULL, w->k->pkey, NULL);
    if (encrypt)
        NEED(EVP_PKEY_encrypt_init(rsa) == 1 &&
                 EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_PKCS1_PADDING) == 1 &&
                 EVP_PKEY_encrypt(rsa, out, &size, cek, sizeof cek) == 1,
             "RSA");
    else
        NEED(EVP_PKEY_decrypt_init(rsa) == 1 &&
                 EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_NO_PADDING) == 1 &&
                 EVP_PKEY_decrypt(rsa, out, &size, w->wrapped.data, w->wrapped.size) == 1,
             "RSA");
    EVP_PKEY_CTX_free(rsa);
}

static void limit_hmac(const uint8_t *mac_key, const uint8_t *data, size_t size, uint8_t tag[32])
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        OSSL_PARAM_construct_end()};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);
    size_t made;
    NEED(EVP_MAC_init(mac, mac_key, 16, params) && EVP_MAC_update(mac, data, size) &&
             EVP_MAC_final(mac, tag, &made, 32),
         "HMAC");
    EVP_MAC_CTX_free(mac);
    EVP_MAC_free(hmac);
}

/* out has room for the data and a block more. The memory is there before: a fresh allocation of
 * that size costs as much as half of the AES. */
static uint8_t *scratch;

static void limit_content(const struct work *w, bool encrypt)
{
    static const uint8_t cek[32] = {1}, iv[16] = {2};
    uint8_t tag[32];
    int size, last;
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
    EVP_CIPHER_CTX *aes = EVP_CIPHER_CTX_new();
    if (!encrypt)
        limit_hmac(cek, w->data.data, w->data.size, tag);
    NEED(EVP_CipherInit_ex2(aes, cipher, cek + 16, iv, encrypt, NULL) == 1 &&
             EVP_CIPHER_CTX_set_padding(aes, encrypt) == 1 &&
             EVP_CipherUpdate(aes, scratch, &size, w->data.data, (int)w->data.size) == 1 &&
             EVP_CipherFinal_ex(aes, scratch + size, &last) == 1,
         "AES");
    if (encrypt)
        limit_hmac(cek, scratch, (size_t)(size + last), tag);
    EVP_CIPHER_CTX_free(aes);
    EVP_CIPHER_free(cipher);
}

static void limit_encrypt(const void *argument)
{
    uint8_t wrapped[256];
    limit_rsa(argument, true, wrapped);
    limit_content(argument, true);
}

static void limit_decrypt(const void *argument)
{
    uint8_t unwrapped[256];
    limit_rsa(argument, false, unwrapped);
    limit_content(argument, false);
}

/* ---- the library ---- */

static buffer *encrypted(const struct work *w, enum serialization form)
{
    buffer *made = jwe_encrypt(
        &(struct jwe_how){.keys = &(key *){w->k}, .count = 1, .serialization = form}, w->data, NULL,
        &err);
    NEED(made, "jwe_encrypt");
    return made;
}

static void library_sign(const void *argument)
{
    const struct work *w = argument;
    buffer *made = jws_sign(&(struct jws_how){.keys = &(key *){w->k}, .count = 1}, w->data, &err);
    NEED(made, "jws_sign");
    buffer_free(made);
}

static void library_verify(const void *argument)
{
    const struct work *w = argument;
    jws *message = jws_parse(w->data, "JWS", &err);
    NEED(message && jws_verify(message, 0, w->k, &err), "jws_verify");
    buffer_free(jws_payload(message, &err));
    jws_free(message);
}

static void library_encrypt(const void *argument)
{
    buffer_free(encrypted(argument, SERIALIZATION_GENERAL));
}

static buffer *decrypted(const struct work *w)
{
    jwe *message = jwe_parse(w->data, "JWE", &err);
    NEED(message, "jwe_parse");
    buffer *plaintext = jwe_decrypt(message, &(key *){w->k}, 1, NULL, &err);
    jwe_free(message);
    return plaintext;
}

static void library_decrypt(const void *argument)
{
    buffer *plaintext = decrypted(argument);
    NEED(plaintext, "jwe_decrypt");
    buffer_free(plaintext);
}

static void library_refuse(const void *argument)
{
    buffer *plaintext = decrypted(argument);
    if (plaintext)
        die("what must not open opens");
}

/* ---- tables ---- */

static struct row rows[MOST_ROWS];

static void signatures(key *k)
{
    enum { ROUNDS = 1001, COMMAND_ROUNDS = 101 };
    uint8_t payload[2 * KIB];
    RAND_bytes(payload, sizeof payload);
    save("payload", SPAN(payload, sizeof payload));
    struct work w = {.k = k, .data = SPAN(payload, sizeof payload)};
    rows[0] = (struct row){"limit: EVP_DigestSign", limit_sign, &w, {0}, 0, 0, 0};
    rows[1] = (struct row){"jws_sign, warm key", library_sign, &w, {0}, 0, 0, 0};
    measure(rows, 2, ROUNDS);
    print("RS256 of 2 KiB", rows, 2, ROUNDS);
    target("jws_sign to limit", rows[1].median / rows[0].median, 1.03);

    struct command ours = {{otrp, "sign", "--key", "key.jwk", "payload", NULL}},
                   theirs = {{jose_tool, "jws", "sig", "-I", "payload", "-k", "key.jwk", "-s",
                              "{\"protected\":{\"alg\":\"RS256\"}}", NULL}};
    rows[0] = (struct row){"jose jws sig", run_command_row, &theirs, {0}, 0, 0, 0};
    rows[1] = (struct row){"otrp sign", run_command_row, &ours, {0}, 0, 0, 0};
    measure(rows, 2, COMMAND_ROUNDS);
    print("The same as commands", rows, 2, COMMAND_ROUNDS);

    buffer *message = jws_sign(&(struct jws_how){.keys = &k, .count = 1}, w.data, &err);
    NEED(message, "jws_sign");
    save("jws", buffer_span(message));
    struct work v = {.k = k, .data = buffer_span(message)};
    struct command our_check = {{otrp, "verify", "-q", "--key", "key.jwk", "jws", NULL}},
                   their_check = {
                       {jose_tool, "jws", "ver", "-i", "jws", "-k", "key.jwk", "-O-", NULL}};
    rows[0] = (struct row){"jose jws ver", run_command_row, &their_check, {0}, 0, 0, 0};
    rows[1] = (struct row){"otrp verify", run_command_row, &our_check, {0}, 0, 0, 0};
    rows[2] = (struct row){"jws_parse, jws_verify, jws_payload", library_verify, &v, {0}, 0, 0, 0};
    measure(rows, 3, COMMAND_ROUNDS);
    print("Verifying it", rows, 3, COMMAND_ROUNDS);
    buffer_free(message);
}

static void encryption(key *k, size_t size, size_t rounds, size_t command_rounds)
{
    char title[80];
    uint8_t *plaintext = malloc(size);
    scratch = malloc(size + 16);
    RAND_bytes(plaintext, (int)size);
    memset(scratch, 1, size + 16);
    save("plaintext", SPAN(plaintext, size));
    uint8_t wrapped[256];
    struct work w = {.k = k, .data = SPAN(plaintext, size)};
    limit_rsa(&w, true, wrapped);
    w.wrapped = SPAN(wrapped, sizeof wrapped);
    buffer *message = encrypted(&w, SERIALIZATION_GENERAL);
    save("message", buffer_span(message));
    struct work m = {.k = k, .data = buffer_span(message)};
    struct work limit = w; /* what is decrypted has whole blocks */
    limit.data.size = size / 16 * 16;

    rows[0] = (struct row){"limit: RSA, AES-CBC and HMAC", limit_encrypt, &w, {0}, 0, 0, 0};
    rows[1] = (struct row){"jwe_encrypt", library_encrypt, &w, {0}, 0, 0, 0};
    measure(rows, 2, rounds);
    snprintf(title, sizeof title, "RSA1_5 and A128CBC-HS256 of %zu KiB, encrypting", size / KIB);
    print(title, rows, 2, rounds);
    if (size >= 10 * MIB)
        target("jwe_encrypt to limit", rows[1].median / rows[0].median, 1.5);

    rows[0] = (struct row){"limit: RSA, HMAC and AES-CBC", limit_decrypt, &limit, {0}, 0, 0, 0};
    rows[1] = (struct row){"jwe_parse, jwe_decrypt", library_decrypt, &m, {0}, 0, 0, 0};
    measure(rows, 2, rounds);
    print("Decrypting it", rows, 2, rounds);
    if (size >= 10 * MIB)
        target("jwe_decrypt to limit", rows[1].median / rows[0].median, 1.5);

    struct command our_in = {{otrp, "encrypt", "--to", "key.jwk", "plaintext", NULL}},
                   their_in = {{jose_tool, "jwe", "enc", "-I", "plaintext", "-k", "key.jwk", "-i",
                                "{\"protected\":{\"alg\":\"RSA1_5\",\"enc\":\"A128CBC-HS256\"}}",
                                NULL}},
                   our_out = {{otrp, "decrypt", "--key", "key.jwk", "message", NULL}},
                   their_out = {
                       {jose_tool, "jwe", "dec", "-i", "message", "-k", "key.jwk", "-O-", NULL}};
    rows[0] = (struct row){"jose jwe enc", run_command_row, &their_in, {0}, 0, 0, 0};
    rows[1] = (struct row){"otrp encrypt", run_command_row, &our_in, {0}, 0, 0, 0};
    rows[2] = (struct row){"jose jwe dec", run_command_row, &their_out, {0}, 0, 0, 0};
    rows[3] = (struct row){"otrp decrypt", run_command_row, &our_out, {0}, 0, 0, 0};
    measure(rows, 4, command_rounds);
    print("The same as commands", rows, 4, command_rounds);
    target("otrp encrypt to jose", rows[1].median / rows[0].median, 1);
    target("otrp decrypt to jose", rows[3].median / rows[2].median, 1);
    if (size >= 10 * MIB) {
        target("otrp encrypt in ms", rows[1].median, 60);
        target("otrp decrypt in ms", rows[3].median, 60);
    }
    buffer_free(message);
    free(plaintext);
    free(scratch);
}

/* A JWE with the encrypted key of em, a padded block as RSA takes it. */
static buffer *with_block(key *k, const jwe *message, const uint8_t em[256])
{
    uint8_t wrapped[256];
    size_t size = sizeof wrapped;
    EVP_PKEY_CTX *rsa = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    NEED(EVP_PKEY_encrypt_init(rsa) == 1 &&
             EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_NO_PADDING) == 1 &&
             EVP_PKEY_encrypt(rsa, wrapped, &size, em, 256) == 1,
         "RSA");
    EVP_PKEY_CTX_free(rsa);
    buffer *made = buffer_new(0);
    buffer_put_span(made, message->encoded_protected);
    buffer_put_char(made, '.');
    json_t *text = json_base64url(SPAN(wrapped, size));
    buffer_put_text(made, json_string_value(text));
    json_decref(text);
    const struct span rest[] = {message->iv, message->ciphertext, message->tag};
    for (size_t i = 0; i < COUNT(rest); i++) {
        buffer_put_char(made, '.');
        buffer_put_span(made, rest[i]);
    }
    return made;
}

/* The last character of the tag, which is the last of the message, changed. */
static buffer *with_wrong_tag(const buffer *message)
{
    buffer *made = buffer_copy(buffer_span(message));
    uint8_t *last = &made->data[made->size - 1];
    *last = *last == 'A' ? 'Q' : 'A'; /* 16 bytes leave four bits: A, Q, g or w */
    return made;
}

static void failures(key *k)
{
    enum { ROUNDS = 4001, KINDS = 7 };
    static const char *const labels[KINDS] = {
        "right",        "wrong tag",         "wrong padding: first byte", "wrong padding: type",
        "no zero byte", "a CEK of 31 bytes", "a CEK of 33 bytes"};
    uint8_t plaintext[32] = {0}, em[256];
    struct work w = {.k = k, .data = SPAN(plaintext, sizeof plaintext)};
    buffer *messages[KINDS];
    struct work works[KINDS];
    messages[0] = encrypted(&w, SERIALIZATION_COMPACT);
    messages[1] = with_wrong_tag(messages[0]);
    jwe *message = jwe_parse(buffer_span(messages[0]), "JWE", &err);
    NEED(message, "jwe_parse");
    for (size_t kind = 2; kind < KINDS; kind++) {
        for (size_t i = 0; i < sizeof em; i++)
            do
                RAND_bytes(&em[i], 1);
            while (!em[i]);
        em[0] = kind == 2;
        em[1] = kind == 3 ? 1 : 2;
        size_t bytes = kind == 5 ? 31 : kind == 6 ? 33 : 32;
        if (kind != 4)
            em[sizeof em - 1 - bytes] = 0;
        messages[kind] = with_block(k, message, em);
    }
    for (size_t i = 0; i < KINDS; i++) {
        works[i] = (struct work){.k = k, .data = buffer_span(messages[i])};
        rows[i] = (struct row){
            labels[i], i ? library_refuse : library_decrypt, &works[i], {0}, 0, 0, 0};
    }
    measure(rows, KINDS, ROUNDS);
    print("RSA1_5: what opens and what does not (32 bytes)", rows, KINDS, ROUNDS);
    double least = rows[1].median, most = rows[1].median;
    for (size_t i = 2; i < KINDS; i++) {
        least = rows[i].median < least ? rows[i].median : least;
        most = rows[i].median > most ? rows[i].median : most;
    }
    target("slowest to fastest failure", most / least, 1.01);
    jwe_free(message);
    for (size_t i = 0; i < KINDS; i++)
        buffer_free(messages[i]);
}

/* A command's peak counts what its parent has at that moment, so this comes first. */
static void memory(void)
{
    static const size_t sizes[] = {1 * MIB, 16 * MIB, 64 * MIB, 256 * (size_t)MIB};
    const struct command encrypt = {{otrp, "encrypt", "-f", "--to", "key.jwk", "plaintext", "-o",
                                     "message", NULL}},
                         decrypt = {{otrp, "decrypt", "--key", "key.jwk", "message", NULL}},
                         sign = {{otrp, "sign", "-f", "--key", "key.jwk", "plaintext", "-o", "jws",
                                  NULL}},
                         verify = {{otrp, "verify", "-q", "--key", "key.jwk", "jws", NULL}};
    const struct {
        const char *label;
        const struct command *command;
    } commands[] = {
        {"encrypt", &encrypt}, {"decrypt", &decrypt}, {"sign", &sign}, {"verify", &verify}};
    puts("Peak memory of a command on a payload of N MiB, in MiB");
    for (size_t s = 0; s < COUNT(sizes); s++) {
        double size = (double)sizes[s] / MIB, most = 4 * size + 16;
        int file = open("plaintext", O_RDWR | O_CREAT | O_TRUNC, 0600);
        NEED(file >= 0 && ftruncate(file, (off_t)sizes[s]) == 0 && close(file) == 0, "plaintext");
        for (size_t i = 0; i < COUNT(commands); i++) {
            double peak = (double)run_command(commands[i].command) / MIB;
            printf("    N = %3.0f  %-8s %7.1f  (%.2f N), target at most %.0f: %s\n", size,
                   commands[i].label, peak, peak / size, most, peak <= most ? "met" : "missed");
            fflush(stdout);
        }
    }
    unlink("plaintext");
    unlink("message");
    unlink("jws");
}

int main(int argc, char **argv)
{
    if (argc != 4 || chdir(argv[3]) != 0) {
        fprintf(stderr, "usage: jose OTRP JOSE FOLDER\n");
        return 2;
    }
    otrp = argv[1];
    jose_tool = argv[2];
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    key *k = pkey ? key_from_pkey(pkey, true, "key", &err) : NULL;
    json_t *jwk = k ? jwk_from_key(k, KEY_PRIVATE, &err) : NULL;
    buffer *text = jwk ? json_compact(jwk) : NULL;
    NEED(text, "no key");
    save("key.jwk", buffer_span(text));
    buffer_free(text);
    json_decref(jwk);
    memory();
    signatures(k);
    encryption(k, 50 * KIB, 301, 51);
    encryption(k, 10 * MIB, 31, 11);
    failures(k);
    key_free(k);
    return 0;
}
