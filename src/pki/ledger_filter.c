/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/ledger_filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/text_hash.h"

#define BITS_LOG2 25 /* 4 MiB: of a million rows, one lookup in fifty is in vain */
#define PROBES    5

struct ledger_filter {
    char *path;
    uint64_t bits[(1u << BITS_LOG2) / 64];
};

/* Mixed so that all bits are good. */
static uint64_t hash(const char *text, uint64_t kind)
{
    uint64_t h = text_hash(TEXT_HASH_START ^ kind, text);
    h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53;
    return h ^ h >> 33;
}

static uint64_t probe(uint64_t h, unsigned i)
{
    uint64_t step = h >> 32 | 1;
    return (h + i * step) & ((1u << BITS_LOG2) - 1);
}

static void add(ledger_filter *f, const char *text, uint64_t kind)
{
    uint64_t h = hash(text, kind);
    for (unsigned i = 0; i < PROBES; i++)
        f->bits[probe(h, i) / 64] |= UINT64_C(1) << probe(h, i) % 64;
}

static bool may_have(const ledger_filter *f, const char *text, uint64_t kind)
{
    uint64_t h = hash(text, kind);
    for (unsigned i = 0; i < PROBES; i++)
        if (!(f->bits[probe(h, i) / 64] >> probe(h, i) % 64 & 1))
            return false;
    return true;
}

/* What can be asked for. */
enum kind { SUBJECT = 's', SERIAL = 'n', REVOKED = 'r' };

/* What a row of a ledger says here. */
struct row {
    bool revoked;
    const char *serial, *subject;
};

/* Takes a line of six columns apart. */
static bool row_read(char *line, struct row *row)
{
    char *columns[6];
    line[strcspn(line, "\n")] = '\0';
    for (size_t i = 0; i < 6; i++)
        if (!(columns[i] = strsep(&line, "\t")))
            return false;
    *row = (struct row){columns[0][0] == 'R', columns[3], columns[5]};
    return true;
}

ledger_filter *ledger_filter_load(const char *path, struct error *err)
{
    AUTO(ledger_filter) *f = calloc(1, sizeof *f);
    if (!f || !(f->path = strdup(path))) {
        error_memory(err);
        return NULL;
    }
    FILE *file = fopen(path, "re");
    if (!file) {
        if (errno == ENOENT)
            return TAKE(f);
        error_errno(err, RC_USAGE, "%s: cannot open", path);
        return NULL;
    }
    char *line = NULL;
    size_t room = 0;
    struct row row;
    while (getline(&line, &room, file) >= 0)
        if (row_read(line, &row)) {
            add(f, row.serial, SERIAL);
            add(f, row.revoked ? row.serial : row.subject, row.revoked ? REVOKED : SUBJECT);
        }
    free(line);
    fclose(file);
    return TAKE(f);
}

void ledger_filter_free(ledger_filter *f)
{
    if (f)
        free(f->path);
    free(f);
}

static bool says(const struct row *row, const char *text, enum kind kind)
{
    if (kind == SUBJECT)
        return !row->revoked && strcmp(row->subject, text) == 0;
    return (kind == SERIAL || row->revoked) && strcmp(row->serial, text) == 0;
}

/* What the filter only suspects. */
static bool look(const ledger_filter *f, const char *text, enum kind kind)
{
    FILE *file = fopen(f->path, "re");
    char *line = NULL;
    size_t room = 0;
    struct row row;
    bool found = false;
    while (file && !found && getline(&line, &room, file) >= 0)
        found = row_read(line, &row) && says(&row, text, kind);
    free(line);
    if (file)
        fclose(file);
    return found;
}

bool ledger_filter_has_subject(const ledger_filter *f, const char *subject)
{
    return may_have(f, subject, SUBJECT) && look(f, subject, SUBJECT);
}

bool ledger_filter_has_serial(const ledger_filter *f, const char *serial)
{
    return may_have(f, serial, SERIAL) && look(f, serial, SERIAL);
}

bool ledger_filter_has_revoked(const ledger_filter *f, const char *serial)
{
    return may_have(f, serial, REVOKED) && look(f, serial, REVOKED);
}

bool file_has_line(const char *path, const char *text)
{
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    while (file && !found && getline(&line, &room, file) >= 0)
        found = strstr(line, text) != NULL;
    free(line);
    if (file)
        fclose(file);
    return found;
}
