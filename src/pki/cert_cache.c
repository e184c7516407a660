/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/cert_cache.h"

#include <pthread.h>
#include <string.h>

enum {
    SETS = 128,
    WAYS = 8,             /* in a set, which the hash chooses */
    MOST_DER_BYTES = 8192 /* a certificate of an OTrP chain has 1,000 to 2,000 */
};

static struct {
    pthread_mutex_t lock;
    struct set {
        struct {
            X509 *cert;
            uint8_t hash[CERT_HASH_BYTES];
        } kept[WAYS];
        size_t next; /* its place is taken next */
    } sets[SETS];
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

X509 *cert_recall(const uint8_t hash[CERT_HASH_BYTES])
{
    X509 *found = NULL;
    pthread_mutex_lock(&cache.lock);
    const struct set *set = &cache.sets[hash[0] % SETS];
    for (size_t i = 0; i < WAYS && !found; i++)
        if (set->kept[i].cert && memcmp(set->kept[i].hash, hash, CERT_HASH_BYTES) == 0 &&
            X509_up_ref(set->kept[i].cert))
            found = set->kept[i].cert;
    pthread_mutex_unlock(&cache.lock);
    return found;
}

void cert_keep(X509 *cert, const uint8_t hash[CERT_HASH_BYTES], size_t der_size)
{
    X509 *displaced = NULL;
    if (der_size > MOST_DER_BYTES || !X509_up_ref(cert))
        return;
    pthread_mutex_lock(&cache.lock);
    struct set *set = &cache.sets[hash[0] % SETS];
    displaced = set->kept[set->next].cert;
    set->kept[set->next].cert = cert;
    memcpy(set->kept[set->next].hash, hash, CERT_HASH_BYTES);
    set->next = (set->next + 1) % WAYS;
    pthread_mutex_unlock(&cache.lock);
    X509_free(displaced);
}

/* At the end of the program, for those who look for leaks. */
__attribute__((destructor)) static void cert_forget(void)
{
    for (size_t i = 0; i < SETS; i++)
        for (size_t k = 0; k < WAYS; k++)
            X509_free(cache.sets[i].kept[k].cert);
}
