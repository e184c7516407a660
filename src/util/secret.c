/* SPDX-License-Identifier: Apache-2.0 */
#include "util/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "util/file.h"

static buffer *first_line(buffer *text, struct error *err)
{
    if (!text)
        return NULL;
    uint8_t *end = memchr(text->data, '\n', text->size);
    if (end)
        text->size = (size_t)(end - text->data);
    text->data[text->size] = '\0';
    if (text->size)
        return text;
    buffer_free(text);
    error_set(err, RC_USAGE, "the passphrase is empty");
    return NULL;
}

static buffer *from_text(const char *text, struct error *err)
{
    buffer *b = buffer_secret(strlen(text));
    if (!b)
        error_memory(err);
    else
        buffer_put_text(b, text);
    return b;
}

buffer *passphrase_read(const char *argument, struct error *err)
{
    if (strncmp(argument, "pass:", 5) == 0)
        return from_text(argument + 5, err);
    if (strncmp(argument, "env:", 4) == 0) {
        const char *value = getenv(argument + 4);
        if (value)
            return from_text(value, err);
        error_set(err, RC_USAGE, "passphrase: the environment has no %s", argument + 4);
        return NULL;
    }
    if (strncmp(argument, "file:", 5) == 0)
        return first_line(input_read(argument + 5, 4096, err), err);
    if (strcmp(argument, "stdin") == 0)
        return first_line(input_read("-", 4096, err), err);
    if (strncmp(argument, "fd:", 3) == 0 && argument[3]) {
        char path[64];
        snprintf(path, sizeof path, "/dev/fd/%.20s", argument + 3);
        return first_line(input_read(path, 4096, err), err);
    }
    error_set(err, RC_USAGE, "passphrase: '%s' is in no known form", argument);
    error_hint(err, "use pass:TEXT, env:NAME, file:PATH, fd:N or stdin");
    return NULL;
}

buffer *passphrase_choose(const char *argument, struct error *err)
{
    buffer *passphrase = passphrase_read(argument, err);
    if (!passphrase || passphrase->size)
        return passphrase;
    buffer_free(passphrase);
    error_set(err, RC_USAGE, "the passphrase is empty");
    error_hint(err, "is the variable set that it comes from?");
    return NULL;
}

int give_passphrase(char *to, int size, int writing, void *context)
{
    (void)writing;
    const buffer *passphrase = context;
    if (!passphrase || passphrase->size > (size_t)size)
        return -1;
    memcpy(to, passphrase->data, passphrase->size);
    return (int)passphrase->size;
}

bool random_fill(uint8_t *data, size_t size, struct error *err)
{
    while (size) {
        int part = size > 1 << 20 ? 1 << 20 : (int)size;
        if (RAND_bytes(data, part) != 1)
            return error_set(err, RC_INTERNAL, "no random bytes to be had");
        data += part;
        size -= (size_t)part;
    }
    return true;
}

bool secret_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}
