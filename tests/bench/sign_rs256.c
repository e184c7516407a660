/* SPDX-License-Identifier: Apache-2.0 */
/* sign_rs256 KEY PAYLOAD: the least that makes a flattened JWS, as a program of its own would. */
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

static char *base64url(const unsigned char *data, size_t size, char *text)
{
    int length = EVP_EncodeBlock((unsigned char *)text, data, (int)size);
    while (length && text[length - 1] == '=')
        text[--length] = '\0';
    for (char *c = text; *c; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    return text;
}

int main(int argc, char **argv)
{
    static unsigned char payload[1 << 16], signature[1024];
    static char protected_[64], encoded[1 << 17], input[1 << 18], signed_[2048];
    FILE *key_file = argc == 3 ? fopen(argv[1], "r") : NULL,
         *file = argc == 3 ? fopen(argv[2], "r") : NULL;
    EVP_PKEY *key = key_file ? PEM_read_PrivateKey(key_file, NULL, NULL, NULL) : NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t size = file ? fread(payload, 1, sizeof payload, file) : 0, length = sizeof signature;
    base64url((const unsigned char *)"{\"alg\":\"RS256\"}", 15, protected_);
    int all = snprintf(input, sizeof input, "%s.%s", protected_, base64url(payload, size, encoded));
    if (!key || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(ctx, signature, &length, (unsigned char *)input, (size_t)all) != 1)
        return 1;
    json_t *jws = json_pack("{s:s, s:s, s:s}", "payload", encoded, "protected", protected_,
                            "signature", base64url(signature, length, signed_));
    return json_dumpf(jws, stdout, JSON_COMPACT) || fflush(stdout);
}
