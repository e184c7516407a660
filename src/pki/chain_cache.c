/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/chain_cache.h"

#include <pthread.h>

#include "pki/asn1.h"

enum {
    PLACES = 512,   /* a chain has one, which its leaf chooses */
    MOST_CERTS = 64 /* others and anchors, each */
};

struct chain {
    X509 *leaf; /* NULL: nothing is kept here */
    X509_stack *others, *anchors, *path;
    enum pki_role role;
    time_t from, until; /* the answer holds from then to before then */
};

static struct {
    pthread_mutex_t lock;
    struct chain chains[PLACES];
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct chain *place_of(const X509 *leaf)
{
    uint64_t mixed = ((uint64_t)(uintptr_t)leaf >> 4) * 0x9e3779b97f4a7c15u; /* Fibonacci hashing */
    return &cache.chains[(mixed >> 32) % PLACES];
}

static bool same_certs(const X509_stack *a, const X509_stack *b)
{
    int count = a ? sk_X509_num(a) : 0;
    bool same = count == (b ? sk_X509_num(b) : 0);
    for (int i = 0; same && i < count; i++)
        same = sk_X509_value(a, i) == sk_X509_value(b, i);
    return same;
}

/* The same certificates, held; NULL for none. */
static X509_stack *hold(const X509_stack *certs)
{
    return certs ? X509_chain_up_ref((X509_stack *)(uintptr_t)certs) : NULL;
}

static void chain_clear(struct chain *c)
{
    X509_free(c->leaf);
    x509_stack_free(c->others);
    x509_stack_free(c->anchors);
    x509_stack_free(c->path);
    *c = (struct chain){NULL};
}

/* Narrows the time of c to that in which cert is as valid as it is at that time. */
static bool narrow(struct chain *c, const X509 *cert, time_t at)
{
    time_t begins, ends;
    if (!asn1_time_read(X509_get0_notBefore(cert), &begins) ||
        !asn1_time_read(X509_get0_notAfter(cert), &ends))
        return false;
    const time_t borders[] = {begins, ends};
    for (size_t i = 0; i < COUNT(borders); i++) {
        if (borders[i] <= at && borders[i] > c->from)
            c->from = borders[i];
        if (borders[i] > at && borders[i] < c->until)
            c->until = borders[i];
    }
    return true;
}

static bool narrow_all(struct chain *c, const X509_stack *certs, time_t at)
{
    bool known = true;
    for (int i = 0; certs && known && i < sk_X509_num(certs); i++)
        known = narrow(c, sk_X509_value(certs, i), at);
    return known;
}

static bool is_large(const X509_stack *certs)
{
    return certs && sk_X509_num(certs) > MOST_CERTS;
}

X509_stack *chain_recall(const struct chain_question *question)
{
    X509_stack *path = NULL;
    pthread_mutex_lock(&cache.lock);
    const struct chain *c = place_of(question->leaf);
    if (c->leaf == question->leaf && c->role == question->role && question->at >= c->from &&
        question->at < c->until && same_certs(c->others, question->others) &&
        same_certs(c->anchors, question->anchors))
        path = hold(c->path);
    pthread_mutex_unlock(&cache.lock);
    return path;
}

void chain_keep(const struct chain_question *question, const X509_stack *path)
{
    struct chain c = {.role = question->role, .from = INT64_MIN, .until = INT64_MAX};
    if (is_large(question->others) || is_large(question->anchors) ||
        !narrow(&c, question->leaf, question->at) ||
        !narrow_all(&c, question->others, question->at) ||
        !narrow_all(&c, question->anchors, question->at) || !X509_up_ref(question->leaf))
        return;
    c.leaf = question->leaf;
    c.others = hold(question->others);
    c.anchors = hold(question->anchors);
    c.path = hold(path);
    if (c.path && !c.others == !question->others && !c.anchors == !question->anchors) {
        pthread_mutex_lock(&cache.lock);
        struct chain *place = place_of(c.leaf), displaced = *place;
        *place = c;
        pthread_mutex_unlock(&cache.lock);
        c = displaced;
    }
    chain_clear(&c);
}

/* At the end of the program, for those who look for leaks. */
__attribute__((destructor)) static void chains_forget(void)
{
    for (size_t i = 0; i < PLACES; i++)
        chain_clear(&cache.chains[i]);
}
