/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/batch_commit.h"

#include "pki/ledger.h"
#include "pki/place.h"
#include "util/clock.h"

#define GROUP_ROWS 1024
#define GROUP_MOST (8 * GROUP_ROWS) /* while a slow disk has the one before */

static bool group_new(struct batch_group *g)
{
    bool made = (g->lines = buffer_new(4096)) != NULL;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        made = (g->entries[role] = buffer_new(64)) && made;
    return made;
}

static void group_clear(struct batch_group *g)
{
    g->lines->size = 0;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        g->entries[role]->size = 0;
    g->rows = 0;
}

static void group_free(struct batch_group *g)
{
    buffer_free(g->lines);
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        buffer_free(g->entries[role]);
}

bool batch_commit_open(struct batch_commit *c, const struct batch *b, struct error *err)
{
    *c = (struct batch_commit){.batch = b};
    return (group_new(&c->filling) && group_new(&c->committing)) || error_memory(err);
}

void batch_commit_close(struct batch_commit *c)
{
    group_free(&c->filling);
    group_free(&c->committing);
}

void batch_commit_put(struct batch_commit *c, struct span line, enum pki_role role,
                      struct span entry)
{
    struct batch_group *g = &c->filling;
    if (!g->rows++)
        g->since_ms = clock_elapsed_ms();
    buffer_put_span(g->lines, line);
    buffer_put_span(g->entries[role], entry);
}

bool batch_commit_due(const struct batch_commit *c)
{
    const struct batch_group *g = &c->filling;
    bool ripe = g->rows >= GROUP_ROWS || (g->rows && clock_elapsed_ms() - g->since_ms >= GROUP_MS);
    return ripe && (!c->runs || atomic_load(&c->ended) || g->rows >= GROUP_MOST);
}

/* Makes a group durable: files, ledgers, result, in this order. */
static bool commit_group(struct batch_commit *c, struct error *err)
{
    const struct station *s = c->batch->station;
    const struct batch_group *g = &c->committing;
    bool made = false;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        made = made || g->entries[role]->size;
    if (made && !place_sync(s->out ? s->out : s->pki, err))
        return false;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        if (g->entries[role]->size &&
            !ledger_append(s->ca[role].ca->ledger_path, buffer_span(g->entries[role]), err))
            return false;
    return journal_append(c->batch->journal, buffer_span(g->lines), err);
}

static void *commit_thread(void *context)
{
    struct batch_commit *c = context;
    c->failed = !commit_group(c, &c->why);
    atomic_store(&c->ended, true);
    return NULL;
}

bool batch_commit_wait(struct batch_commit *c)
{
    if (c->runs)
        pthread_join(c->thread, NULL);
    c->runs = false;
    return !c->failed;
}

bool batch_commit_start(struct batch_commit *c)
{
    if (!batch_commit_wait(c))
        return false;
    if (!c->filling.rows)
        return true;
    struct batch_group empty = c->committing;
    c->committing = c->filling;
    c->filling = empty;
    group_clear(&c->filling);
    atomic_store(&c->ended, false);
    if (pthread_create(&c->thread, NULL, commit_thread, c) == 0)
        c->runs = true;
    else
        commit_thread(c);
    return true;
}
