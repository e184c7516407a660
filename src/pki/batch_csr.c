/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/batch_csr.h"

#include <string.h>
#include <sys/stat.h>

#include "pki/csr.h"
#include "pki/key_owner.h"
#include "util/file.h"

#define COMPROMISED 0 /* in place of the number of a row */

bool batch_csr_open(struct batch_csr *c, const struct batch *b, struct error *err)
{
    *c = (struct batch_csr){.batch = b, .keys = key_index_new()};
    return c->keys || error_memory(err);
}

void batch_csr_close(struct batch_csr *c)
{
    key_index_free(c->keys);
    buffer_free(c->text);
}

/* A CSR stands where the manifest says, or beside the manifest. */
static char *csr_path(const struct batch *b, const char *text)
{
    if (!*text || *text == '/' || path_exists(text))
        return strdup(text);
    AUTO(char) *beside = path_join(b->manifest_folder, text);
    return beside && path_exists(beside) ? TAKE(beside) : strdup(text);
}

/* A device, a pipe or standard input would keep a whole batch waiting. */
static bool may_be_read(const char *csr, struct error *err)
{
    struct stat found;
    if (!*csr || (strcmp(csr, "-") != 0 && (stat(csr, &found) != 0 || S_ISREG(found.st_mode))))
        return true;
    return error_set(err, RC_USAGE, "%s: the signing request of a manifest is to be a file", csr);
}

/* Of no bytes without a CSR; owned by the caller. */
static buffer *read_text(const struct batch *b, const char *csr, struct error *err)
{
    AUTO(char) *path = csr_path(b, csr);
    AUTO(buffer) *text = NULL;
    if (path && *csr)
        text = may_be_read(path, err) ? input_read(path, BATCH_CSR_BYTES, err) : NULL;
    else if (!path || !(text = buffer_new(1)))
        error_memory(err);
    if (!text || text->size || !*csr)
        return TAKE(text);
    error_set(err, RC_MALFORMED, "%s: empty", path);
    return NULL;
}

/* Enters the keys that nobody is to have. */
static bool enter_compromised(struct batch_csr *c, struct error *err)
{
    const struct station *s = c->batch->station;
    AUTO(X509_stack) *lost = certs_compromised(s->pki, s->out, err);
    if (!lost)
        return false;
    for (int i = 0; i < sk_X509_num(lost); i++) {
        EVP_PKEY *pkey = X509_get0_pubkey(sk_X509_value(lost, i));
        size_t first;
        if (pkey && !key_index_enter(c->keys, pkey, COMPROMISED, &first, err))
            return false;
    }
    return c->keys_ready = true;
}

static bool check_key(struct batch_csr *c, const struct manifest_row *row, const EVP_PKEY *pkey,
                      struct error *err)
{
    size_t first;
    if ((!c->keys_ready && !enter_compromised(c, err)) ||
        !key_index_enter(c->keys, pkey, row->number, &first, err))
        return false;
    if (first == COMPROMISED)
        error_set(&c->fault, RC_UNTRUSTED,
                  "%s: its key is compromised: a certificate was revoked for that",
                  row->text[MANIFEST_CSR]);
    else if (first != row->number)
        error_set(&c->fault, RC_USAGE, "its CSR has the key of that of row %zu", first);
    return true;
}

bool batch_csr_read(struct batch_csr *c, struct manifest_row *row, struct error *err)
{
    buffer_free(c->text);
    c->text = NULL;
    if (row->fault)
        return true;
    c->fault = (struct error){.rc = RC_OK};
    c->text = read_text(c->batch, row->text[MANIFEST_CSR], &c->fault);
    EVP_PKEY *pkey = c->text && c->text->size ? csr_peek_key(buffer_span(c->text)) : NULL;
    bool checked = !pkey || check_key(c, row, pkey, err);
    EVP_PKEY_free(pkey);
    if (c->fault.rc != RC_OK)
        row->fault = c->fault.message;
    return checked;
}
