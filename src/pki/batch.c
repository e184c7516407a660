/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/batch.h"

#include <stdio.h>
#include <string.h>

#include "pki/issued.h"
#include "util/output_set.h"

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
        nanosleep(&(struct timespec){0, FILE_TICK_NS}, NULL);
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

entity *batch_read_row(const struct batch *b, const struct batch_row *row, struct error *err)
{
    const char *const *text = row->text;
    char days[24] = "";
    if (b->order->days)
        snprintf(days, sizeof days, "%ld", b->order->days);
    const char *csr = text[MANIFEST_CSR];
    const char *alg = *csr || !b->order->alg ? "" : b->order->alg;
    return entity_read(
        &(struct entity_text){.role = text[MANIFEST_ROLE],
                              .name = text[MANIFEST_NAME],
                              .alg = *text[MANIFEST_ALG] ? text[MANIFEST_ALG] : alg,
                              .csr = csr,
                              .csr_text = row->csr,
                              .tamid = text[MANIFEST_TAMID],
                              .days = *text[MANIFEST_DAYS] ? text[MANIFEST_DAYS] : days},
        err);
}

void batch_row_pack(buffer *out, const struct batch_row *row)
{
    for (size_t i = 0; i < MANIFEST_COLUMNS; i++)
        buffer_put(out, row->text[i], strlen(row->text[i]) + 1);
    buffer_put_span(out, row->csr);
}

struct batch_row batch_row_unpack(struct span packed)
{
    struct batch_row row;
    const char *at = (const char *)packed.data, *end = at + packed.size;
    for (size_t i = 0; i < MANIFEST_COLUMNS; i++) {
        row.text[i] = at;
        at += strlen(at) + 1;
    }
    row.csr = SPAN(at, (size_t)(end - at));
    return row;
}
