/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/issued.h"

#include <stdio.h>
#include <string.h>

#include "pki/csv.h"
#include "pki/ledger.h"
#include "pki/result.h"
#include "util/base64.h"

/* The bytes at at that move a terminal's cursor or turn its text around: controls of ASCII and of
 * Unicode (U+0080 to U+009F), and what sets the direction of writing. */
static size_t unprintable(const uint8_t *at, size_t left)
{
    if (at[0] < ' ' || at[0] == 0x7f)
        return 1;
    if (left >= 2 && at[0] == 0xc2 && at[1] < 0xa0)
        return 2;
    bool marks = left >= 3 && at[0] == 0xe2 && at[1] == 0x80 &&
                 (at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xa8 && at[2] <= 0xae));
    bool isolates = left >= 3 && at[0] == 0xe2 && at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9;
    return marks || isolates ? 3 : 0;
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
    for (size_t i = start; !out->failed && i < out->size; i++)
        memset(out->data + i, ' ', unprintable(out->data + i, out->size - i));
    buffer_put_char(out, '\n');
}

bool issued_put_entity(buffer *out, const struct station *s, const entity *e, size_t row,
                       const char *message, struct error *err)
{
    AUTO(char) *serial = ledger_serial(e->cert);
    uint8_t digest[32];
    AUTO(buffer) *sha256 = buffer_new(80);
    AUTO(buffer) *did = buffer_new(48);
    AUTO(char) *cert = station_path(s, e, "cert.pem");
    AUTO(char) *key_path = e->private ? station_path(s, e, "key.pem") : NULL;
    if (!serial || !sha256 || !did || !cert || (e->private && !key_path) ||
        !EVP_Digest(e->der->data, e->der->size, digest, NULL, EVP_sha256(), NULL))
        return error_memory(err);
    buffer_put_hex(sha256, SPAN(digest, sizeof digest));
    if (e->role == ROLE_TEE)
        buffer_put_base64(did, SPAN(digest, sizeof digest));
    issued_put(out, &(struct issued){.row = row,
                                     .role = role_name(e->role),
                                     .name = e->name,
                                     .serial = serial,
                                     .sha256 = (const char *)sha256->data,
                                     .did = (const char *)did->data,
                                     .cert = cert,
                                     .key = key_path,
                                     .status = ISSUED_GOOD,
                                     .message = message});
    return !(out->failed || sha256->failed || did->failed) || error_memory(err);
}
