/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/batch.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "pki/issued.h"
#include "util/file.h"
#include "util/output_set.h"

#define TICK_NS 20000000 /* longer than a tick of the file system's clock */

/* "out/devices.result.csv" for a manifest at some/where/devices.csv. */
static char *result_path(const char *folder, const char *given)
{
    const char *slash = strrchr(given, '/');
    const char *name = slash ? slash + 1 : given;
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, ".csv") == 0)
        length -= 4;
    char *path;
    return asprintf(&path, "%s/%.*s.result.csv", folder, (int)length, name) < 0 ? NULL : path;
}

static bool make_folder(const char *path, struct error *err)
{
    AUTO(output_set) *outputs = output_set_new(false);
    if (!outputs)
        return error_memory(err);
    return output_directory(outputs, path, err) && output_commit(outputs, err);
}

bool batch_open(struct batch *b, struct station *station, const struct batch_order *order,
                struct error *err)
{
    const struct station *s = station;
    *b = (struct batch){.station = station, .order = order};
    const char *folder = s->out ? s->out : s->pki;
    const char *slash = strrchr(b->order->manifest, '/');
    b->manifest_folder = slash
                             ? strndup(b->order->manifest, (size_t)(slash - b->order->manifest) + 1)
                             : strdup(".");
    AUTO(char) *path = result_path(folder, b->order->manifest);
    if (!path || !b->manifest_folder)
        return error_memory(err);
    if (!make_folder(folder, err) ||
        !(b->journal = journal_open(path, ISSUED_HEADER, b->order->resume, err)))
        return false;
    b->begun = journal_begun(b->journal);
    clock_gettime(CLOCK_REALTIME, &b->resumed);
    if (order->resume) /* new files are to be later than that */
        nanosleep(&(struct timespec){0, TICK_NS}, NULL);
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        if (s->ca[role].ca &&
            !(b->known[role] = ledger_filter_load(s->ca[role].ca->ledger_path, err)))
            return false;
    return station_read_names(station, err);
}

void batch_close(struct batch *b)
{
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        ledger_filter_free(b->known[role]);
    journal_free(b->journal);
    free(b->manifest_folder);
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

EVP_PKEY *batch_csr_key(const struct batch *b, const char *const text[MANIFEST_COLUMNS])
{
    AUTO(char) *path = *text[MANIFEST_CSR] ? csr_path(b, text[MANIFEST_CSR]) : NULL;
    struct error ignored;
    return path && may_be_read(path, &ignored) ? csr_peek_key(path) : NULL;
}

entity *batch_read_row(const struct batch *b, const char *const text[MANIFEST_COLUMNS],
                       struct error *err)
{
    char days[24] = "";
    if (b->order->days)
        snprintf(days, sizeof days, "%ld", b->order->days);
    AUTO(char) *csr = csr_path(b, text[MANIFEST_CSR]);
    if (!csr) {
        error_memory(err);
        return NULL;
    }
    if (!may_be_read(csr, err))
        return NULL;
    const char *alg = *csr || !b->order->alg ? "" : b->order->alg;
    return entity_read(
        &(struct entity_text){.role = text[MANIFEST_ROLE],
                              .name = text[MANIFEST_NAME],
                              .alg = *text[MANIFEST_ALG] ? text[MANIFEST_ALG] : alg,
                              .csr = csr,
                              .tamid = text[MANIFEST_TAMID],
                              .days = *text[MANIFEST_DAYS] ? text[MANIFEST_DAYS] : days},
        err);
}

void columns_pack(buffer *out, const char *const text[MANIFEST_COLUMNS])
{
    for (size_t i = 0; i < MANIFEST_COLUMNS; i++)
        buffer_put(out, text[i], strlen(text[i]) + 1);
}

void columns_unpack(const char *packed, const char *text[MANIFEST_COLUMNS])
{
    for (size_t i = 0; i < MANIFEST_COLUMNS; i++) {
        text[i] = packed;
        packed += strlen(packed) + 1;
    }
}
