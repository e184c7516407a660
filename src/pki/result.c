/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/result.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "pki/issued.h"
#include "pki/ledger.h"
#include "pki/ledger_filter.h"
#include "util/file.h"

static int is_result(const struct dirent *entry)
{
    static const char end[] = ".result.csv";
    size_t length = strlen(entry->d_name);
    return length >= sizeof end - 1 && strcmp(entry->d_name + length - (sizeof end - 1), end) == 0;
}

result_list *result_files(const char *folder, struct error *err)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_result, alphasort);
    AUTO(result_list) *list = calloc(1, sizeof *list);
    bool good = list && (list->paths = calloc((size_t)(count > 0 ? count : 0) + 1, sizeof(char *)));
    for (int i = 0; i < count; i++) {
        if (good)
            good = (list->paths[list->count++] = path_join(folder, entries[i]->d_name)) != NULL;
        free(entries[i]);
    }
    free(entries);
    if (good)
        return TAKE(list);
    error_memory(err);
    return NULL;
}

void result_list_free(result_list *list)
{
    for (size_t i = 0; list && list->paths && i < list->count; i++)
        free(list->paths[i]);
    if (list)
        free(list->paths);
    free(list);
}

bool result_is_row(const struct csv_record *record)
{
    return !record->fault && record->count == RESULT_FIELDS;
}

bool result_is_issued(const struct csv_record *record)
{
    return result_is_row(record) && strcmp(record->fields[RESULT_STATUS], ISSUED_GOOD) == 0;
}

/* The last three parts of a path, below the folder. */
static char *here(const char *folder, const char *path)
{
    const char *p = path + strlen(path);
    for (int slashes = 0; p > path; p--)
        if (p[-1] == '/' && ++slashes == 3)
            break;
    return path_join(folder, p);
}

/* Serial number, SHA-256 and did as a row has them. */
struct marks {
    char *serial, *sha256, *did;
};

static void marks_free(struct marks *m)
{
    free(m->serial);
    free(m->sha256);
    free(m->did);
}

static bool marks_of(const X509 *cert, struct marks *m, struct error *err)
{
    *m = (struct marks){.serial = ledger_serial(cert)};
    m->sha256 = cert_sha256_hex(cert, err);
    m->did = m->sha256 ? cert_did(cert, err) : NULL;
    return m->did && (m->serial || error_memory(err));
}

enum result_state result_judge(const char *folder, const char *const fields[RESULT_FIELDS],
                               X509_stack **kept, char message[640])
{
    struct error why;
    struct marks m = {.serial = NULL};
    const char *wrong = NULL;
    AUTO(char) *path = here(folder, fields[RESULT_CERT]);
    AUTO(char) *key = here(folder, fields[RESULT_KEY]);
    snprintf(message, 640, "no memory");
    if (!path || !key)
        return RESULT_DIFFERS;
    if (!*fields[RESULT_CERT] || !path_exists(path)) {
        snprintf(message, 640, "the certificate %.500s is not there", path);
        return RESULT_GONE;
    }
    if (*fields[RESULT_KEY] && !path_exists(key)) {
        snprintf(message, 640, "the key %.500s is not there", key);
        return RESULT_GONE;
    }
    AUTO(X509_stack) *certs = cert_load(path, &why);
    if (!certs || !marks_of(sk_X509_value(certs, 0), &m, &why))
        wrong = why.message;
    else if (strcasecmp(m.serial, fields[RESULT_SERIAL]) != 0)
        wrong = "has another serial number";
    else if (strcasecmp(m.sha256, fields[RESULT_SHA256]) != 0)
        wrong = "has another SHA-256";
    else if (*fields[RESULT_DID] && strcmp(m.did, fields[RESULT_DID]) != 0)
        wrong = "has another did";
    if (wrong)
        snprintf(message, 640, certs ? "%.500s %.100s" : "%.0s%.600s", path, wrong);
    marks_free(&m);
    if (kept && !wrong)
        *kept = TAKE(certs);
    return wrong ? RESULT_DIFFERS : RESULT_SOUND;
}

void result_edit_free(result_edit *edit)
{
    if (!edit)
        return;
    if (edit->lock >= 0)
        close(edit->lock);
    free(edit->path);
    buffer_free(edit->text);
    free(edit);
}

/* The lock that a batch holds; where there is none, no batch works here. */
static bool take_lock(result_edit *edit, struct error *err)
{
    AUTO(char) *path = NULL;
    if (asprintf(&path, "%s.lock", edit->path) < 0) {
        path = NULL;
        return error_memory(err);
    }
    edit->lock = open(path, O_RDWR | O_CLOEXEC);
    if (edit->lock < 0 || flock(edit->lock, LOCK_EX | LOCK_NB) == 0)
        return true;
    error_set(err, RC_USAGE, "%s: a batch works on it", edit->path);
    return error_hint(err, "wait until it has ended");
}

/* Copies the result with the new marks in the row of the old ones; *found tells whether there is
 * one. */
static bool rewrite(result_edit *edit, const struct marks *old, const struct marks *new,
                    bool *found, struct error *err)
{
    AUTO(csv) *table = csv_open(edit->path, err);
    struct csv_record record;
    enum csv_result more;
    edit->text->size = 0;
    *found = false;
    if (!table)
        return false;
    while ((more = csv_next(table, &record, err)) == CSV_RECORD) {
        if (!result_is_row(&record))
            return error_set(err, RC_MALFORMED, "%s: line %zu: not a row of a result", edit->path,
                             record.line);
        if (strcmp(record.fields[RESULT_SHA256], old->sha256) == 0) {
            *found = true;
            record.fields[RESULT_SERIAL] = new->serial;
            record.fields[RESULT_SHA256] = new->sha256;
            if (*record.fields[RESULT_DID])
                record.fields[RESULT_DID] = new->did;
        }
        for (size_t i = 0; i < record.count; i++)
            csv_put(edit->text, record.fields[i], i == 0);
        buffer_put_char(edit->text, '\n');
    }
    return more == CSV_END && (!edit->text->failed || error_memory(err));
}

static bool find(const result_list *files, const struct marks *old, const struct marks *new,
                 result_edit **found, struct error *err)
{
    for (size_t i = 0; i < files->count; i++) {
        AUTO(result_edit) *edit = calloc(1, sizeof *edit);
        bool has = false;
        if (!edit)
            return error_memory(err);
        edit->lock = -1;
        edit->path = strdup(files->paths[i]);
        edit->text = buffer_new(4096);
        if (!edit->path || !edit->text)
            return error_memory(err);
        if (!file_has_line(edit->path, old->sha256))
            continue;
        if (!take_lock(edit, err) || !rewrite(edit, old, new, &has, err))
            return false;
        if (has) {
            *found = TAKE(edit);
            return true;
        }
    }
    return true;
}

bool result_renew(const char *folder, const X509 *old, struct span renewed, result_edit **edit,
                  struct error *err)
{
    struct marks before = {.serial = NULL}, after = {.serial = NULL};
    AUTO(result_list) *files = result_files(folder, err);
    AUTO(X509) *cert = files ? cert_from_der(renewed, "the new certificate", err) : NULL;
    *edit = NULL;
    bool good = cert && marks_of(old, &before, err) && marks_of(cert, &after, err) &&
                find(files, &before, &after, edit, err);
    marks_free(&before);
    marks_free(&after);
    return good;
}
