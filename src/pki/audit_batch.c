/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/audit_parts.h"

#include <string.h>

#include "pki/result.h"

/* What the result of a batch has issued in this role must be there, and be the same. */
static void check_result(const struct walk *w, const char *folder, const char *path)
{
    struct error why;
    struct csv_record record;
    enum csv_result more = CSV_FAILED;
    AUTO(csv) *table = csv_open(path, &why);
    while (table && (more = csv_next(table, &record, &why)) == CSV_RECORD) {
        char message[640];
        if (!result_is_row(&record) && w->role == 0)
            audit_tell(w, AUDIT_UNREADABLE, path, "line %zu: not a row of a result", record.line);
        if (!result_is_issued(&record) ||
            strcmp(record.fields[RESULT_ROLE], role_name(w->role)) != 0 ||
            audit_is_revoked(w, record.fields[RESULT_SERIAL]))
            continue;
        enum result_state state = result_judge(folder, record.fields, NULL, message);
        if (state != RESULT_SOUND)
            audit_tell(w, state == RESULT_GONE ? AUDIT_BATCH_MISSING : AUDIT_BATCH_DIFFERS, path,
                       "row %s, %s '%s', serial number %s: %s", record.fields[RESULT_ROW],
                       record.fields[RESULT_ROLE], record.fields[RESULT_NAME],
                       record.fields[RESULT_SERIAL], message);
    }
    if (more == CSV_FAILED && w->role == 0)
        audit_tell_error(w, AUDIT_UNREADABLE, path, &why);
}

bool audit_check_results(const struct walk *w, const char *folder)
{
    AUTO(result_list) *files = result_files(folder, w->err);
    for (size_t i = 0; files && i < files->count; i++)
        check_result(w, folder, files->paths[i]);
    return files != NULL;
}
