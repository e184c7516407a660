/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/key_index.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509.h>

#include "pki/asn1.h"
#include "util/openssl_error.h"

#define ROOM_FIRST 64 /* a power of two */

struct entry {
    uint8_t hash[32]; /* SHA-256 of the SubjectPublicKeyInfo */
    size_t value;
    bool used;
};

struct key_index {
    struct entry *entries; /* open addressing: as hashes, they are spread well */
    size_t room, count;
};

key_index *key_index_new(void)
{
    AUTO(key_index) *index = calloc(1, sizeof *index);
    if (!index || !(index->entries = calloc(ROOM_FIRST, sizeof *index->entries)))
        return NULL;
    index->room = ROOM_FIRST;
    return TAKE(index);
}

void key_index_free(key_index *index)
{
    if (index)
        free(index->entries);
    free(index);
}

/* Where the hash is, or is to be. */
static struct entry *place_of(struct entry *entries, size_t room, const uint8_t hash[32])
{
    size_t at;
    memcpy(&at, hash, sizeof at);
    for (at &= room - 1; entries[at].used && memcmp(entries[at].hash, hash, 32) != 0;)
        at = (at + 1) & (room - 1);
    return &entries[at];
}

static bool grow(key_index *index, struct error *err)
{
    struct entry *larger = calloc(2 * index->room, sizeof *larger);
    if (!larger)
        return error_memory(err);
    for (size_t i = 0; i < index->room; i++)
        if (index->entries[i].used)
            *place_of(larger, 2 * index->room, index->entries[i].hash) = index->entries[i];
    free(index->entries);
    index->entries = larger;
    index->room *= 2;
    return true;
}

/* However it came. A copy is encoded: the key may be that of a certificate which others have. */
static bool hash_key(const EVP_PKEY *pkey, uint8_t hash[32])
{
    EVP_PKEY *own = EVP_PKEY_dup((EVP_PKEY *)(uintptr_t)pkey);
    unsigned char *der = NULL;
    if (own)
        ec_key_normalise(own);
    int size = own ? i2d_PUBKEY(own, &der) : 0;
    bool hashed = size > 0 && EVP_Digest(der, (size_t)size, hash, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    EVP_PKEY_free(own);
    return hashed;
}

bool key_index_enter(key_index *index, const EVP_PKEY *pkey, size_t value, size_t *first,
                     struct error *err)
{
    struct entry new = {.value = value, .used = true};
    if (!hash_key(pkey, new.hash))
        return error_openssl(err, RC_INTERNAL, "cannot encode a public key");
    if (2 * index->count >= index->room && !grow(index, err))
        return false;
    struct entry *entry = place_of(index->entries, index->room, new.hash);
    if (!entry->used) {
        *entry = new;
        index->count++;
    }
    *first = entry->value;
    return true;
}
