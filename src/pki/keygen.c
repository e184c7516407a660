/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/keygen.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "util/auto.h"
#include "util/openssl_error.h"
#include "util/options.h"

static const struct {
    const char *name, *family;
    unsigned rsa_bits;
    const char *curve;
    unsigned cost; /* relative time to make one */
    bool signs;    /* OTrP signs with it: RS256, ES256, ES384 */
} algs[KEY_ALG_COUNT] = {
    [KEY_RSA_2048] = {"rsa-2048", "rsa", 2048, NULL, 1000, true},
    [KEY_RSA_3072] = {"rsa-3072", "rsa", 3072, NULL, 4000, true},
    [KEY_RSA_4096] = {"rsa-4096", "rsa", 4096, NULL, 12000, true},
    [KEY_EC_P256] = {"ec-p256", "ec", 0, "P-256", 1, true},
    [KEY_EC_P384] = {"ec-p384", "ec", 0, "P-384", 9, true},
    [KEY_EC_P521] = {"ec-p521", "ec", 0, "P-521", 20, false},
};

const char *const key_families[KEY_FAMILY_COUNT] = {"rsa", "ec"};

const char *key_alg_name(enum key_alg alg)
{
    return algs[alg].name;
}

const char *key_alg_family(enum key_alg alg)
{
    return algs[alg].family;
}

bool key_alg_of(const EVP_PKEY *pkey, enum key_alg *alg)
{
    char curve[32] = "";
    bool rsa = EVP_PKEY_is_a(pkey, "RSA");
    if (!rsa &&
        (!EVP_PKEY_is_a(pkey, "EC") || !EVP_PKEY_get_group_name(pkey, curve, sizeof curve, NULL)))
        return false;
    int nid = rsa ? NID_undef : OBJ_txt2nid(curve);
    const char *name = nid == NID_undef ? NULL : EC_curve_nid2nist(nid);
    for (size_t i = 0; i < KEY_ALG_COUNT; i++)
        if (rsa ? (int)algs[i].rsa_bits == EVP_PKEY_get_bits(pkey)
                : algs[i].curve && name && strcmp(algs[i].curve, name) == 0) {
            *alg = (enum key_alg)i;
            return true;
        }
    return false;
}

bool key_alg_signs(enum key_alg alg)
{
    return algs[alg].signs;
}

bool key_alg_parse(const char *text, const char *option, enum key_alg *alg, struct error *err)
{
    const char *names[KEY_ALG_COUNT];
    for (size_t i = 0; i < KEY_ALG_COUNT; i++) {
        names[i] = algs[i].name;
        if (strcmp(text, names[i]) == 0) {
            *alg = (enum key_alg)i;
            return true;
        }
    }
    error_set(err, RC_USAGE, "%s: there is no algorithm '%s'", option, text);
    const char *near = nearest(text, names, KEY_ALG_COUNT);
    return near ? error_hint(err, "did you mean '%s'?", near)
                : error_hint(err,
                             "choose from rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384, ec-p521");
}

/* Keys that are to become files: never those of a token whose provider is loaded, too. */
#define IN_MEMORY "?provider=default"

/* A context that makes keys of the algorithm; NULL with OpenSSL's reason queued. */
static EVP_PKEY_CTX *maker_new(enum key_alg alg)
{
    const char *curve = algs[alg].curve;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, curve ? "EC" : "RSA", IN_MEMORY);
    if (maker && EVP_PKEY_keygen_init(maker) == 1 &&
        (curve ? EVP_PKEY_CTX_set_group_name(maker, curve)
               : EVP_PKEY_CTX_set_rsa_keygen_bits(maker, (int)algs[alg].rsa_bits)) == 1)
        return maker;
    EVP_PKEY_CTX_free(maker);
    return NULL;
}

/* maker: of that algorithm, or NULL when it could not be had. */
static EVP_PKEY *maker_key(EVP_PKEY_CTX *maker, enum key_alg alg, struct error *err)
{
    EVP_PKEY *pkey = NULL;
    if (maker && EVP_PKEY_generate(maker, &pkey) == 1)
        return pkey;
    error_openssl(err, RC_INTERNAL, "cannot make a key of %s", algs[alg].name);
    return NULL;
}

struct workshop {
    struct keygen_job **order; /* the longest first */
    size_t count, next, done;
    const struct keygen_how *how;
    struct error *err;
    bool failed;
    pthread_mutex_t lock;
};

static struct keygen_job *next_job(struct workshop *w)
{
    pthread_mutex_lock(&w->lock);
    struct keygen_job *job = w->failed || w->next == w->count ? NULL : w->order[w->next++];
    pthread_mutex_unlock(&w->lock);
    return job;
}

static void tell(struct workshop *w, size_t more)
{
    pthread_mutex_lock(&w->lock);
    w->done += more;
    if (w->how->progress)
        w->how->progress(w->how->context, w->done, w->count);
    pthread_mutex_unlock(&w->lock);
}

/* What OpenSSL calls at each number that it tries: an RSA key takes seconds. */
static int tell_trial(EVP_PKEY_CTX *maker)
{
    tell(EVP_PKEY_CTX_get_app_data(maker), 0);
    return 1;
}

static void *work(void *context)
{
    struct workshop *w = context;
    for (struct keygen_job *job; (job = next_job(w));) {
        struct error why;
        EVP_PKEY_CTX *maker = maker_new(job->alg);
        if (maker) {
            EVP_PKEY_CTX_set_app_data(maker, w);
            EVP_PKEY_CTX_set_cb(maker, tell_trial);
        }
        job->pkey = maker_key(maker, job->alg, &why);
        EVP_PKEY_CTX_free(maker);
        if (!job->pkey) {
            pthread_mutex_lock(&w->lock);
            if (!w->failed)
                *w->err = why;
            w->failed = true;
            pthread_mutex_unlock(&w->lock);
        }
        tell(w, 1);
    }
    return NULL;
}

static int by_cost(const void *a, const void *b)
{
    unsigned x = algs[(*(struct keygen_job *const *)a)->alg].cost;
    unsigned y = algs[(*(struct keygen_job *const *)b)->alg].cost;
    return (x < y) - (x > y);
}

struct keygen {
    EVP_PKEY_CTX *maker[KEY_ALG_COUNT];
};

keygen *keygen_new(void)
{
    return calloc(1, sizeof(keygen));
}

void keygen_free(keygen *k)
{
    for (size_t i = 0; k && i < KEY_ALG_COUNT; i++)
        EVP_PKEY_CTX_free(k->maker[i]);
    free(k);
}

EVP_PKEY *keygen_next(keygen *k, enum key_alg alg, struct error *err)
{
    if (!k->maker[alg])
        k->maker[alg] = maker_new(alg);
    return maker_key(k->maker[alg], alg, err);
}

size_t keygen_cores(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? (size_t)count : 1;
}

/* This thread works too; when others cannot be had, it does all the work. */
static void work_together(struct workshop *w, size_t threads)
{
    pthread_t *others = calloc(threads, sizeof *others);
    size_t started = 0;
    while (others && started + 1 < threads && pthread_create(&others[started], NULL, work, w) == 0)
        started++;
    work(w);
    while (started)
        pthread_join(others[--started], NULL);
    free(others);
}

bool keygen_run(struct keygen_job *jobs, size_t count, const struct keygen_how *how,
                struct error *err)
{
    struct workshop w = {.count = count, .how = how, .err = err, .lock = PTHREAD_MUTEX_INITIALIZER};
    size_t threads = how->threads ? how->threads : keygen_cores();
    if (!count)
        return true;
    w.order = calloc(count, sizeof *w.order);
    if (!w.order)
        return error_memory(err);
    for (size_t i = 0; i < count; i++)
        w.order[i] = &jobs[i];
    qsort(w.order, count, sizeof *w.order, by_cost);
    work_together(&w, threads < count ? threads : count);
    free(w.order);
    pthread_mutex_destroy(&w.lock);
    return !w.failed;
}
