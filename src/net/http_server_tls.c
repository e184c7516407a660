/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_server_tls.h"

#include <stdio.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "util/openssl_auto.h"

#define PEM_BYTES 1048576 /* a certificate chain or a key */

static buffer *pem_read(const char *path, struct error *err)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        error_errno(err, RC_USAGE, "%s: cannot open", path);
        return NULL;
    }
    AUTO(buffer) *pem = buffer_secret(PEM_BYTES);
    size_t size = pem ? fread(pem->data, 1, PEM_BYTES, file) : 0;
    bool read = pem && !ferror(file) && size < PEM_BYTES;
    if (!pem)
        error_memory(err);
    else if (ferror(file))
        error_errno(err, RC_USAGE, "%s: cannot read", path);
    else if (!read)
        error_set(err, RC_USAGE, "%s: too large for a PEM file", path);
    fclose(file);
    if (!read)
        return NULL;
    pem->data[size] = '\0';
    pem->size = size;
    return TAKE(pem);
}

static int no_passphrase(char *text, int size, int writing, void *argument)
{
    (void)text, (void)size, (void)writing, (void)argument;
    return -1;
}

static bool pair_check(const struct tls_files *tls, const char *cert_path, const char *key_path,
                       struct error *err)
{
    AUTO(BIO) *cert_bio = BIO_new_mem_buf(tls->cert->data, (int)tls->cert->size);
    AUTO(BIO) *key_bio = BIO_new_mem_buf(tls->key->data, (int)tls->key->size);
    if (!cert_bio || !key_bio)
        return error_memory(err);
    AUTO(X509) *cert = PEM_read_bio_X509(cert_bio, NULL, no_passphrase, NULL);
    if (!cert)
        return error_set(err, RC_USAGE, "%s: no certificate in PEM", cert_path);
    AUTO(EVP_PKEY) *key = PEM_read_bio_PrivateKey(key_bio, NULL, no_passphrase, NULL);
    if (!key)
        return error_set(err, RC_USAGE, "%s: no unencrypted private key in PEM", key_path);
    if (X509_check_private_key(cert, key) != 1)
        return error_set(err, RC_USAGE, "%s: not the private key of the certificate in %s",
                         key_path, cert_path);
    return true;
}

bool tls_files_read(struct tls_files *tls, const char *cert, const char *key, struct error *err)
{
    if (!cert && !key)
        return true;
    if (!cert || !key)
        return error_set(err, RC_USAGE, "TLS needs both a certificate and its key");
    tls->cert = pem_read(cert, err);
    tls->key = tls->cert ? pem_read(key, err) : NULL;
    return tls->key && pair_check(tls, cert, key, err);
}

void tls_files_clear(struct tls_files *tls)
{
    buffer_free(tls->cert);
    buffer_free(tls->key);
}
