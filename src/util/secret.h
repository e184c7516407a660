/* SPDX-License-Identifier: Apache-2.0 */
/* secret.h: passphrases in OpenSSL's form, random bytes, comparison in constant time. */
#ifndef OTRP_UTIL_SECRET_H
#define OTRP_UTIL_SECRET_H

#include "util/buffer.h"

/* The passphrase that argument names: pass:TEXT, env:NAME, file:PATH (first line), fd:N, stdin.
 * Owned by the caller, secret. */
buffer *passphrase_read(const char *argument, struct error *err) MUST_CHECK;

/* The same of one that something is to be encrypted with: RC_USAGE also when it is empty, which an
 * unset variable in pass:$NAME makes it. */
buffer *passphrase_choose(const char *argument, struct error *err) MUST_CHECK;

/* What OpenSSL calls for the passphrase of a PEM block (pem_password_cb): gives the buffer that
 * context points to, or none when that is NULL. With it nothing ever asks on a terminal. */
int give_passphrase(char *to, int size, int writing, void *context);

/* Fills data with size bytes from the system's generator. */
bool random_fill(uint8_t *data, size_t size, struct error *err) MUST_CHECK;

/* Whether size bytes are equal, in a time that depends on size alone. */
bool secret_equal(const uint8_t *a, const uint8_t *b, size_t size);

#endif
