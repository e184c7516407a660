/* SPDX-License-Identifier: Apache-2.0 */
/* Opens content with what the arguments say, in hexadecimal (AAD: text): ENC CEK IV AAD CIPHERTEXT
 * TAG. The plaintext goes to standard output. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "jose/content.h"

static struct span from_hex(const char *text)
{
    long size = 0;
    uint8_t *bytes = OPENSSL_hexstr2buf(text, &size);
    return SPAN(bytes, (size_t)size);
}

int main(int argc, char **argv)
{
    struct error err = {.rc = RC_USAGE};
    const struct jwa *enc = argc == 7 ? jwa_find(JWA_CONTENT, argv[1]) : NULL;
    if (!enc)
        return RC_USAGE;
    struct span cek = from_hex(argv[2]), iv = from_hex(argv[3]), aad = span_text(argv[4]),
                ciphertext = from_hex(argv[5]), tag = from_hex(argv[6]);
    AUTO(buffer) *text = buffer_copy(ciphertext);
    bool opened = text && content_open(enc, cek, &aad, 1, iv, tag, text, &err);
    if (opened)
        fwrite(text->data, 1, text->size, stdout);
    else
        fprintf(stderr, "%s\n", err.message);
    OPENSSL_free((void *)(uintptr_t)cek.data);
    OPENSSL_free((void *)(uintptr_t)iv.data);
    OPENSSL_free((void *)(uintptr_t)ciphertext.data);
    OPENSSL_free((void *)(uintptr_t)tag.data);
    return opened ? 0 : (int)err.rc;
}
