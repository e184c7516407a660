/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_index.h: who has a public key first, among as many as there are.
 *
 *     AUTO(key_index) *seen = key_index_new();
 *     if (!key_index_enter(seen, pkey, row, &first, err)) ...
 *     if (first != row) ... row `first` has it already
 */
#ifndef OTRP_PKI_KEY_INDEX_H
#define OTRP_PKI_KEY_INDEX_H

#include <openssl/evp.h>

#include "util/auto.h"
#include "util/error.h"

typedef struct key_index key_index;

key_index *key_index_new(void); /* NULL without memory */
void key_index_free(key_index *index);

/* Enters a key, the same one however it is encoded; *first gets the value with which it was entered
 * first, which may be this one. */
bool key_index_enter(key_index *index, const EVP_PKEY *pkey, size_t value, size_t *first,
                     struct error *err) MUST_CHECK;

AUTO_DEFINE(key_index, key_index_free)

#endif
