/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tee: what a request costs the software TEE, beside its cryptography alone and with its storage
 * apart.
 *
 *     tee PKI FOLDER [ONE FLEET DEVICE TAM-PKI]
 *
 * "cryptography" does on the bytes of the very request what OpenSSL and base64 have to do for it:
 * the signatures of certificates, message and package verified, keys unwrapped and wrapped,
 * contents decrypted and encrypted, the answer signed; no JSON, no certificate parsed, and no OCSP
 * response, since a process judges each of them once. "storage" is
 * the time inside SQLite, its commit and fsync with it; "apart" is what is left without it. Both
 * are taken in turn with the requests.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "../tee/world.h"
#include "otrp/request_make.h"
#include "otrp/response.h"
#include "otrp/ta_package.h"
#include "pki/x5c.h"
#include "util/base64.h"

enum { ROUNDS = 25, TA_BYTES = 1 << 20, KINDS = 7 };

static struct error err;

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "tee: %s: %s\n", what, err.message);
    exit(1);
}

#define NEED(condition, what)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            die(what);                                                                             \
    } while (0)

static double clock_ms(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

/* Of this thread alone: what else the machine does is not in it. */
static double cpu_ms(void)
{
    return clock_ms(CLOCK_THREAD_CPUTIME_ID);
}

/* ---- the clock around SQLite ---- */

static double storage_ms, storage_cpu_ms;
static unsigned storage_calls;
static double meter_ms; /* what reading the clocks around one call costs outside of it */
static const struct sqlite_api *plain;
static struct sqlite_api timed;

static void storage_ends(double start, double cpu)
{
    storage_cpu_ms += cpu_ms() - cpu;
    storage_ms += now_ms() - start;
    storage_calls++;
}

static void weigh_clocks(void)
{
    enum { CALLS = 20000 };
    double before = cpu_ms();
    for (int i = 0; i < CALLS; i++) {
        double start = now_ms(), cpu = cpu_ms();
        storage_ends(start, cpu);
    }
    meter_ms = (cpu_ms() - before - storage_cpu_ms) / CALLS;
}

static int timed_step(sqlite3_stmt *s)
{
    double start = now_ms(), cpu = cpu_ms();
    int rc = plain->step(s);
    storage_ends(start, cpu);
    return rc;
}

static int timed_prepare(sqlite3 *db, const char *text, int size, sqlite3_stmt **s,
                         const char **tail)
{
    double start = now_ms(), cpu = cpu_ms();
    int rc = plain->prepare_v2(db, text, size, s, tail);
    storage_ends(start, cpu);
    return rc;
}

static int timed_finalize(sqlite3_stmt *s)
{
    double start = now_ms(), cpu = cpu_ms();
    int rc = plain->finalize(s);
    storage_ends(start, cpu);
    return rc;
}

static int timed_reset(sqlite3_stmt *s)
{
    double start = now_ms(), cpu = cpu_ms();
    int rc = plain->reset(s);
    storage_ends(start, cpu);
    return rc;
}

static void time_sqlite(void)
{
    plain = sqlite;
    timed = *plain;
    timed.step = timed_step;
    timed.prepare_v2 = timed_prepare;
    timed.finalize = timed_finalize;
    timed.reset = timed_reset;
    sqlite = &timed;
}

/* ---- cryptography alone ---- */

static struct world_tam tam;
static device *dev;
static X509_stack *tam_path; /* leaf, CA, root */
static X509_stack *tfw_path;
static key *sp_key;

static void verify(EVP_PKEY *pkey, struct span data, const uint8_t *signature, size_t size)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    NEED(EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, pkey) == 1 &&
             EVP_DigestVerify(md, signature, size, data.data, data.size) >= 0,
         "verify");
    EVP_MD_CTX_free(md);
}

static void sign(EVP_PKEY *pkey, struct span data)
{
    uint8_t signature[512];
    size_t size = sizeof signature;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    NEED(EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, pkey) == 1 &&
             EVP_DigestSign(md, signature, &size, data.data, data.size) == 1,
         "sign");
    EVP_MD_CTX_free(md);
}

/* The private operation of RSA1_5, unpadded elsewhere. */
static void unwrap(EVP_PKEY *pkey)
{
    uint8_t in[256] = {1}, out[256];
    size_t size = sizeof out;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    NEED(EVP_PKEY_decrypt_init(ctx) == 1 &&
             EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1 &&
             EVP_PKEY_decrypt(ctx, out, &size, in, sizeof in) == 1,
         "unwrap");
    EVP_PKEY_CTX_free(ctx);
}

static void wrap(EVP_PKEY *pkey)
{
    uint8_t in[32] = {0}, out[512];
    size_t size = sizeof out;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    NEED(EVP_PKEY_encrypt_init(ctx) == 1 &&
             EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
             EVP_PKEY_encrypt(ctx, out, &size, in, sizeof in) == 1,
         "wrap");
    EVP_PKEY_CTX_free(ctx);
}

static void cipher(const EVP_CIPHER *which, struct span data)
{
    uint8_t k[32] = {0}, iv[16] = {0};
    uint8_t *out = malloc(data.size + 32);
    int size = 0, last = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    NEED(EVP_EncryptInit_ex(ctx, which, NULL, k, iv) == 1 &&
             EVP_EncryptUpdate(ctx, out, &size, data.data, (int)data.size) == 1 &&
             EVP_EncryptFinal_ex(ctx, out + size, &last) == 1,
         "cipher");
    EVP_CIPHER_CTX_free(ctx);
    free(out);
}

/* A128CBC-HS256 in one direction. */
static void content(struct span data)
{
    uint8_t k[16] = {0}, mac[32];
    unsigned size = sizeof mac;
    cipher(EVP_aes_128_cbc(), data);
    NEED(HMAC(EVP_sha256(), k, sizeof k, data.data, data.size, mac, &size), "HMAC");
}

static struct span jws_member(const json_doc *doc, const char *name)
{
    const struct json_value *outer = json_root(doc)->first;
    if (outer->kind == JSON_KIND_ARRAY)
        outer = outer->first->first;
    const struct json_value *value = json_member(outer, name);
    return value ? value->string : SPAN("", 0);
}

/* The sizes that count, of one request and its answer. */
struct work {
    bool state, ta;
    buffer *message, *signed_part, *payload, *answer;
    struct span content_text, answer_text; /* ciphertexts, decoded sizes */
    buffer *package;                       /* of the TA, or NULL */
    struct span ta_text;                   /* ciphertadata */
};

/* The chains are counted for each request, though the TEE verifies the same one but once. */
static void run_crypto(const struct work *w)
{
    uint8_t signature[256] = {0};
    struct error ignored;
    EVP_PKEY *tam_public = X509_get0_pubkey(sk_X509_value(tam_path, 0));
    for (int i = 0; i + 1 < sk_X509_num(tam_path); i++) {
        X509 *cert = sk_X509_value(tam_path, i), *issuer = sk_X509_value(tam_path, i + 1);
        NEED(X509_verify(cert, X509_get0_pubkey(issuer)) == 1, "chain");
    }
    verify(tam_public, buffer_span(w->signed_part), signature, sizeof signature);
    AUTO(json_doc) *doc = json_doc_parse(buffer_span(w->message), "message", &err);
    AUTO(buffer) *payload = base64url_decode(jws_member(doc, "payload"), "payload", &ignored);
    if (w->state)
        for (int i = 0; i + 1 < sk_X509_num(tfw_path); i++)
            NEED(X509_verify(sk_X509_value(tfw_path, i),
                             X509_get0_pubkey(sk_X509_value(tfw_path, i + 1))) == 1,
                 "firmware");
    if (!w->state) {
        unwrap(dev->tee_key->pkey);
        content(w->content_text);
    }
    if (w->ta) {
        unwrap(dev->tee_key->pkey);
        AUTO(buffer) *text = base64_decode(w->ta_text, "ciphertadata", &ignored);
        cipher(EVP_aes_256_cbc(), buffer_span(text));
        verify(sp_key->pkey, buffer_span(w->package), signature, sizeof signature);
        AUTO(json_doc) *inner = json_doc_parse(buffer_span(w->package), "package", &ignored);
        AUTO(buffer) *ta = base64url_decode(json_member(json_root(inner), "payload")->string, "ta",
                                            &ignored);
        cipher(EVP_aes_256_gcm(), buffer_span(ta)); /* at rest */
    }
    sign(dev->tfw_key->pkey, span_text("a tid"));
    wrap(tam_public);
    content(w->answer_text);
    AUTO(buffer) *encoded = buffer_new(w->answer->size * 2);
    buffer_put_base64url(encoded, w->answer_text);
    buffer_put_base64url(encoded, buffer_span(encoded));
    sign(dev->tee_key->pkey, buffer_span(w->answer));
}

/* ---- requests ---- */

struct kind {
    const char *label;
    enum message_id type;
    const char *sdname;
    bool ta;
};
/* A round of them, each leaving what the next one needs. */
static const struct kind kinds[KINDS] = {
    {"GetDeviceState", MESSAGE_GET_DEVICE_STATE, NULL, false},
    {"CreateSD", MESSAGE_CREATE_SD, "sd-2", false},
    {"UpdateSD", MESSAGE_UPDATE_SD, "sd-2", false},
    {"InstallTA, 1 MiB", MESSAGE_INSTALL_TA, "sd-1", true},
    {"UpdateTA, 1 MiB", MESSAGE_UPDATE_TA, "sd-1", true},
    {"DeleteTA", MESSAGE_DELETE_TA, "sd-1", false},
    {"DeleteSD", MESSAGE_DELETE_SD, "sd-3", false},
};

static dsi *known;
static char *spcert;
static buffer *package;
static double all[KINDS][ROUNDS], stored[KINDS][ROUNDS], apart[KINDS][ROUNDS], bare[KINDS][ROUNDS];

static buffer *make(const struct kind *k, buffer **cek)
{
    struct request_draft d = {.type = message_type(k->type),
                              .tam_key = tam.keys->keys[0],
                              .tam_chain = tam.chain,
                              .tamid = tam.tamid,
                              .ocspdat = tam.ocspdat,
                              .device = k->type == MESSAGE_GET_DEVICE_STATE ? NULL : known,
                              .tid = "measured",
                              .nextdsi = true,
                              .spid = "xbank",
                              .sdname = k->sdname,
                              .spcert = k->type == MESSAGE_CREATE_SD ? spcert : NULL,
                              .newsdname = k->type == MESSAGE_UPDATE_SD ? "sd-3" : NULL,
                              .taid = "ta",
                              .package = k->ta ? package : NULL};
    AUTO(json_t) *tbs = request_tbs(&d, &err);
    AUTO(json_t) *plain_content = tbs ? request_content(&d, &err) : NULL;
    buffer *message = tbs ? request_seal(&d, tbs, plain_content, cek, &err) : NULL;
    NEED(message, "request");
    return message;
}

static struct span ciphertext(const json_doc *doc, const char *name, buffer **decoded)
{
    const struct json_value *tbs = json_root(doc)->first;
    const struct json_value *value = json_member(json_member(tbs, name), "ciphertext");
    *decoded = value ? base64url_decode(value->string, name, &err) : buffer_new(0);
    return buffer_span(*decoded);
}

/* The bare work of that request and its answer. */
static double time_crypto(const struct kind *k, buffer *message, buffer *answer)
{
    AUTO(json_doc) *doc = json_doc_parse(buffer_span(message), "message", &err);
    AUTO(json_doc) *reply = json_doc_parse(buffer_span(answer), "answer", &err);
    AUTO(buffer) *payload = base64url_decode(jws_member(doc, "payload"), "payload", &err);
    AUTO(buffer) *told = base64url_decode(jws_member(reply, "payload"), "payload", &err);
    AUTO(json_doc) *tbs = json_doc_parse(buffer_span(payload), "payload", &err);
    AUTO(json_doc) *told_tbs = json_doc_parse(buffer_span(told), "payload", &err);
    AUTO(buffer) *signed_part = buffer_new(message->size);
    buffer_put_span(signed_part, jws_member(doc, "protected"));
    buffer_put_char(signed_part, '.');
    buffer_put_span(signed_part, jws_member(doc, "payload"));
    AUTO(buffer) *in = NULL, *out = NULL;
    bool with_state = k->type == MESSAGE_GET_DEVICE_STATE;
    struct work w = {.state = with_state,
                     .ta = k->ta,
                     .message = message,
                     .signed_part = signed_part,
                     .payload = payload,
                     .answer = answer,
                     .content_text = ciphertext(tbs, "content", &in),
                     .answer_text = ciphertext(told_tbs, with_state ? "edsi" : "content", &out),
                     .package = package};
    if (k->ta) {
        const struct json_value *ta = json_member(json_root(tbs)->first, "encrypted_ta");
        const struct json_value *data = json_member(ta, "ciphertadata");
        w.ta_text = (data ? data : json_member(ta, "ciphernewtadata"))->string;
    }
    double start = cpu_ms();
    run_crypto(&w);
    return cpu_ms() - start;
}

static void send(int index, int round)
{
    const struct kind *k = &kinds[index];
    struct tee_outcome outcome;
    AUTO(buffer) *cek = NULL;
    AUTO(buffer) *message = make(k, &cek);
    storage_ms = storage_cpu_ms = 0;
    storage_calls = 0;
    double start = now_ms(), cpu = cpu_ms();
    AUTO(buffer) *answer = tee_process(dev, buffer_span(message), &outcome, &err);
    double took = now_ms() - start, used = cpu_ms() - cpu - storage_cpu_ms;
    used -= storage_calls * meter_ms;
    if (answer && outcome.code != ERR_NONE)
        err = outcome.error;
    NEED(answer && outcome.code == ERR_NONE, k->label);
    all[index][round] = took;
    stored[index][round] = storage_ms;
    apart[index][round] = used;
    bare[index][round] = time_crypto(k, message, answer);
    AUTO(response) *r = response_open(buffer_span(answer),
                                      &(struct response_question){.tam_key = tam.keys->keys[0],
                                                                  .cek = buffer_span(cek),
                                                                  .tee_key = dev->tee_key,
                                                                  .at = time(NULL)},
                                      &err);
    NEED(r && r->device, "answer");
    dsi_free(known);
    known = TAKE(r->device);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times)
{
    qsort(times, ROUNDS, sizeof *times, by_size);
    return times[ROUNDS / 2];
}

static void measure(void)
{
    struct tee_outcome outcome;
    static const struct kind first = {"CreateSD", MESSAGE_CREATE_SD, "sd-1", false};
    send(0, 0);
    AUTO(buffer) *cek = NULL;
    AUTO(buffer) *message = make(&first, &cek);
    AUTO(buffer) *answer = tee_process(dev, buffer_span(message), &outcome, &err);
    NEED(answer && outcome.code == ERR_NONE, "the first SD");
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < KINDS; i++)
            send(i, round);
    printf("    %-18s %9s %9s %9s %9s   (ms, medians of %d; the last two of processor time)\n", "",
           "all", "storage", "apart", "crypto", ROUNDS);
    double worst = 0, worst_ta = 0;
    for (int i = 0; i < KINDS; i++) {
        double own = median(apart[i]), alone = median(bare[i]), ratio = own / alone;
        printf("    %-18s %9.2f %9.2f %9.2f %9.2f   ratio %.2f\n", kinds[i].label, median(all[i]),
               median(stored[i]), own, alone, ratio);
        double *most = kinds[i].ta ? &worst_ta : &worst;
        *most = ratio > *most ? ratio : *most;
    }
    printf("ratio without a TA %.3f\nratio with a TA of 1 MiB %.3f\n", worst, worst_ta);
}

/* ---- one device, and one of many ---- */

static double open_and_answer(const char *folder, const char *name, const struct world_tam *asker)
{
    struct tee_outcome outcome;
    struct request_draft d = {.type = message_type(MESSAGE_GET_DEVICE_STATE),
                              .tam_key = asker->keys->keys[0],
                              .tam_chain = asker->chain,
                              .tamid = asker->tamid,
                              .ocspdat = asker->ocspdat};
    AUTO(json_t) *tbs = request_tbs(&d, &err);
    AUTO(buffer) *cek = NULL;
    AUTO(buffer) *message = request_seal(&d, tbs, NULL, &cek, &err);
    double start = now_ms();
    AUTO(device) *opened = device_open(folder, name, &err);
    NEED(opened, folder);
    AUTO(buffer) *answer = tee_process(opened, buffer_span(message), &outcome, &err);
    NEED(answer && outcome.code == ERR_NONE, folder);
    return now_ms() - start;
}

static void compare_folders(char **argv)
{
    static double one[ROUNDS * 4], many[ROUNDS * 4];
    struct world_tam asker;
    NEED(world_tam(&asker, argv[3], "mytam", &err), argv[3]);
    for (int i = 0; i < ROUNDS * 4; i++) {
        one[i] = open_and_answer(argv[0], NULL, &asker);
        many[i] = open_and_answer(argv[1], argv[2], &asker);
    }
    qsort(one, COUNT(one), sizeof *one, by_size);
    qsort(many, COUNT(many), sizeof *many, by_size);
    double a = one[COUNT(one) / 2], b = many[COUNT(many) / 2];
    printf("    open and answer: %.2f ms alone in its folder, %.2f ms as one of a fleet\n", a, b);
    printf("ratio of a fleet to one %.3f\n", b / a);
    world_tam_free(&asker);
}

int main(int argc, char **argv)
{
    NEED(argc == 3 || argc == 7, "usage: tee PKI FOLDER [ONE FLEET DEVICE TAM-PKI]");
    NEED(world_tam(&tam, argv[1], "mytam", &err), "TAM");
    dev = world_device(argv[1], argv[2], &(struct device_limits){8, 8, 64 << 20, 100000}, &err);
    NEED(dev, "device");
    weigh_clocks();
    time_sqlite();
    AUTO(X509_stack) *roots = layout_roots(argv[1], ROLE_TAM, &err);
    tam_path = X509_chain_up_ref(tam.chain);
    for (int i = 0; i < sk_X509_num(roots); i++)
        if (X509_check_issued(sk_X509_value(roots, i),
                              sk_X509_value(tam_path, sk_X509_num(tam_path) - 1)) == X509_V_OK &&
            sk_X509_num(tam_path) == 2)
            X509_add_cert(tam_path, sk_X509_value(roots, i), X509_ADD_FLAG_UP_REF);
    tfw_path = X509_chain_up_ref(dev->tfw_chain);
    for (int i = 0; i < sk_X509_num(dev->tfw_anchors); i++)
        if (X509_check_issued(sk_X509_value(dev->tfw_anchors, i), sk_X509_value(tfw_path, 1)) ==
                X509_V_OK &&
            sk_X509_num(tfw_path) == 2)
            X509_add_cert(tfw_path, sk_X509_value(dev->tfw_anchors, i), X509_ADD_FLAG_UP_REF);
    AUTO(identity) *sp = identity_find(argv[1], ROLE_SP, "xbank", &err);
    AUTO(key_set) *sp_keys = sp ? world_key(sp->key_path, &err) : NULL;
    AUTO(X509_stack) *sp_chain = sp_keys ? cert_load(sp->chain_path, &err) : NULL;
    NEED(sp_chain, "SP");
    sp_key = sp_keys->keys[0];
    AUTO(json_t) *element = x5c_element(sk_X509_value(sp_chain, 0), &err);
    spcert = strdup(json_string_value(element));
    AUTO(buffer) *ta = buffer_new(TA_BYTES);
    for (int i = 0; i < TA_BYTES; i++)
        buffer_put_char(ta, (char)(i * 7 + i / 251));
    package = ta_package_sign(buffer_span(ta), sp_key, NULL, "ta", 1, &err);
    NEED(package, "package");
    measure();
    if (argc == 7)
        compare_folders(argv + 3);
    return 0;
}
