/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/csr.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "pki/keygen.h"
#include "util/file.h"
#include "util/limits.h"
#include "util/openssl_error.h"

static X509_REQ *parse(struct span text)
{
    if (memmem(text.data, text.size, "-----BEGIN ", 11)) {
        AUTO(BIO) *bio = BIO_new_mem_buf(text.data, (int)text.size);
        return bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
    }
    const unsigned char *p = text.data;
    AUTO(X509_REQ) *csr = d2i_X509_REQ(NULL, &p, (long)text.size);
    return csr && p == text.data + text.size ? TAKE(csr) : NULL;
}

/* Whoever asks for a certificate must hold the key (RFC 2986 section 3, note 2). */
static bool check(X509_REQ *csr, const char *path, struct error *err)
{
    EVP_PKEY *pkey = X509_REQ_get0_pubkey(csr);
    enum key_alg alg;
    if (!pkey || !key_alg_of(pkey, &alg)) {
        error_openssl(err, RC_MALFORMED, "%s: a key that is not served here", path);
        return error_hint(err,
                          "choose from rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384, ec-p521");
    }
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    bool sound = ctx && EVP_PKEY_public_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (!sound)
        return error_openssl(err, RC_MALFORMED, "%s: its public key is no good", path);
    if (X509_REQ_verify(csr, pkey) == 1)
        return true;
    error_openssl(err, RC_SIGNATURE, "%s: not signed with the key that it is for", path);
    return error_rule(err, "RFC 2986 section 4.2");
}

X509_REQ *csr_parse(struct span text, const char *name, struct error *err)
{
    ERR_clear_error();
    AUTO(X509_REQ) *csr = parse(text);
    if (!csr) {
        error_openssl(err, RC_MALFORMED, "%s: no certificate signing request", name);
        error_rule(err, "RFC 2986");
        return NULL;
    }
    return check(csr, name, err) ? TAKE(csr) : NULL;
}

X509_REQ *csr_load(const char *path, struct error *err)
{
    AUTO(buffer) *text = input_read(path, LIMIT_KEY_BYTES, err);
    return text ? csr_parse(buffer_span(text), input_name(path), err) : NULL;
}

EVP_PKEY *csr_peek_key(struct span text)
{
    AUTO(X509_REQ) *csr = parse(text);
    EVP_PKEY *pkey = csr ? X509_REQ_get_pubkey(csr) : NULL;
    if (pkey && X509_REQ_verify(csr, pkey) != 1) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    ERR_clear_error();
    return pkey;
}

bool csr_extensions(X509_REQ *csr, X509_extensions **extensions, struct error *err)
{
    ERR_clear_error();
    *extensions = X509_REQ_get_extensions(csr);
    if (*extensions || !ERR_peek_error())
        return true;
    return error_openssl(err, RC_MALFORMED, "the extensions that the request asks for");
}
