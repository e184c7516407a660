/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/issued.h"

#include <stdio.h>
#include <string.h>

#include "pki/csv.h"
#include "pki/ledger.h"
#include "pki/result.h"
#include "util/base64.h"
#include "util/utf8.h"

/* Blanks for what is unruly from start on. */
static void blank_unruly(buffer *out, size_t start)
{
    for (size_t i = start, length; i < out->size; i += length ? length : 1) {
        length = utf8_length(out->data + i, out->size - i);
        if (length && utf8_is_unruly(out->data + i, length))
            memset(out->data + i, ' ', length);
    }
}

void issued_put(buffer *out, const struct issued *issued)
{
    char row[24];
    snprintf(row, sizeof row, "%zu", issued->row);
    const char *const fields[RESULT_FIELDS] = {
        row,         issued->role, issued->name, issued->serial, issued->sha256,
        issued->did, issued->cert, issued->key,  issued->status, issued->message};
    size_t start = out->size;
    for (size_t i = 0; i < RESULT_FIELDS; i++)
        csv_put(out, fields[i] ? fields[i] : "", i == 0);
    if (!out->failed)
        blank_unruly(out, start);
    buffer_put_char(out, '\n');
}

bool issued_put_entity(buffer *out, const struct station *s, const entity *e, size_t row,
                       const char *message, struct error *err)
{
    uint8_t digest[32];
    AUTO(buffer) *sha256 = buffer_new(80);
    AUTO(buffer) *did = buffer_new(48);
    AUTO(char) *cert = station_path(s, e, "cert.pem");
    AUTO(char) *key_path = e->private ? station_path(s, e, "key.pem") : NULL;
    if (!sha256 || !did || !cert || (e->private && !key_path) ||
        !EVP_Digest(e->der->data, e->der->size, digest, NULL, EVP_sha256(), NULL))
        return error_memory(err);
    buffer_put_hex(sha256, SPAN(digest, sizeof digest));
    if (e->role == ROLE_TEE)
        buffer_put_base64(did, SPAN(digest, sizeof digest));
    issued_put(out, &(struct issued){.row = row,
                                     .role = role_name(e->role),
                                     .name = e->name,
                                     .serial = e->facts.serial,
                                     .sha256 = (const char *)sha256->data,
                                     .did = (const char *)did->data,
                                     .cert = cert,
                                     .key = key_path,
                                     .status = ISSUED_GOOD,
                                     .message = message});
    return !(out->failed || sha256->failed || did->failed) || error_memory(err);
}
