/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/ledger_filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BITS_LOG2 25 /* 4 MiB: of a million rows, one lookup in fifty is in vain */
#define PROBES    5

struct ledger_filter {
    char *path;
    uint64_t bits[(1u << BITS_LOG2) / 64];
};

/* FNV-1a, then mixed so that all of its bits are good. */
static uint64_t hash(const char *text, uint64_t kind)
{
    uint64_t h = 0xcbf29ce484222325 ^ kind;
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 0x100000001b3;
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

enum { SUBJECT = 's', SERIAL = 'n' };

/* Takes a line of six columns apart: its type, serial number and subject. */
static bool take_apart(char *line, char *type, char **serial, char **subject)
{
    char *columns[6];
    line[strcspn(line, "\n")] = '\0';
    for (size_t i = 0; i < 6; i++)
        if (!(columns[i] = strsep(&line, "\t")))
            return false;
    *type = columns[0][0];
    *serial = columns[3];
    *subject = columns[5];
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
    char *line = NULL, *serial, *subject, type;
    size_t room = 0;
    while (getline(&line, &room, file) >= 0)
        if (take_apart(line, &type, &serial, &subject)) {
            add(f, serial, SERIAL);
            if (type != 'R')
                add(f, subject, SUBJECT);
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

/* What the filter only suspects. */
static bool look(const ledger_filter *f, const char *text, int kind)
{
    FILE *file = fopen(f->path, "re");
    char *line = NULL, *serial, *subject, type;
    size_t room = 0;
    bool found = false;
    while (file && !found && getline(&line, &room, file) >= 0)
        if (take_apart(line, &type, &serial, &subject))
            found = kind == SERIAL ? strcmp(serial, text) == 0
                                   : type != 'R' && strcmp(subject, text) == 0;
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
