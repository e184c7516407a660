/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/staple.h"

#include <stdio.h>

bool staple_add(json_t *set, const struct ocsp_statement *statement, struct error *err)
{
    AUTO(buffer) *der = ocsp_state(statement, err);
    if (!der)
        return false;
    return json_array_append_new(set, json_base64(buffer_span(der))) == 0 || error_memory(err);
}

buffer *staple_text(const json_t *set, struct error *err)
{
    AUTO(buffer) *text = json_compact(set);
    if (text)
        buffer_put_char(text, '\n');
    if (text && !text->failed)
        return TAKE(text);
    error_memory(err);
    return NULL;
}

char *staple_command(const char *pki, const char *path, const char *cert)
{
    char *command;
    int size = asprintf(&command, "otrp pki-ocsp --pki %s --force -o %s %s", pki ? pki : "DIR",
                        path ? path : "SET", cert ? cert : "CERT");
    return size < 0 ? NULL : command;
}
