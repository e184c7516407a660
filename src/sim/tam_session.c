/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tam_session.h"

#include <pthread.h>
#include <string.h>

#include "util/clock.h"
#include "util/text_hash.h"

enum { BUCKETS = 4096 };

struct session_table {
    pthread_mutex_t lock; /* of all that follows */
    session *buckets[BUCKETS];
    session *newest, *oldest;
    size_t count, most;
    long long lifetime_ms;
};

void session_free(session *s)
{
    if (!s)
        return;
    free(s->rid);
    free(s->tid);
    free(s->echo);
    free(s->seen);
    free(s->what);
    tam_step_free(s->step);
    buffer_free(s->cek);
    dsi_free(s->device);
    tam_records_free(s->known);
    X509_free(s->tee_cert);
    policy_free(s->policy);
    free(s);
}

session_table *session_table_new(size_t most, long long lifetime_ms, struct error *err)
{
    session_table *table = calloc(1, sizeof *table);
    if (!table) {
        error_memory(err);
        return NULL;
    }
    pthread_mutex_init(&table->lock, NULL);
    table->most = most;
    table->lifetime_ms = lifetime_ms;
    return table;
}

void session_table_free(session_table *table)
{
    if (!table)
        return;
    while (table->oldest) {
        session *s = table->oldest;
        table->oldest = s->newer;
        session_free(s);
    }
    pthread_mutex_destroy(&table->lock);
    free(table);
}

/* A tid in the table is random and ours, so nobody can choose its bucket. */
static session **bucket(session_table *table, const char *tid)
{
    return &table->buckets[text_hash(TEXT_HASH_START, tid) % BUCKETS];
}

/* The lock is held. */
static void unlink_session(session_table *table, session *s)
{
    session **at = bucket(table, s->tid);
    while (*at != s)
        at = &(*at)->after;
    *at = s->after;
    *(s->newer ? &s->newer->older : &table->newest) = s->older;
    *(s->older ? &s->older->newer : &table->oldest) = s->newer;
    s->after = s->newer = s->older = NULL;
    table->count--;
}

session *session_table_put(session_table *table, session *s)
{
    session **at = bucket(table, s->tid), *displaced = NULL;
    s->since_ms = clock_elapsed_ms();
    pthread_mutex_lock(&table->lock);
    if (table->count >= table->most && table->oldest) {
        displaced = table->oldest;
        unlink_session(table, displaced);
    }
    s->after = *at;
    *at = s;
    s->older = table->newest;
    *(table->newest ? &table->newest->newer : &table->oldest) = s;
    table->newest = s;
    table->count++;
    pthread_mutex_unlock(&table->lock);
    return displaced;
}

session *session_table_take(session_table *table, const char *tid, bool *late)
{
    pthread_mutex_lock(&table->lock);
    session *found = *bucket(table, tid);
    while (found && strcmp(found->tid, tid) != 0)
        found = found->after;
    if (found)
        unlink_session(table, found);
    pthread_mutex_unlock(&table->lock);
    *late = found && clock_elapsed_ms() - found->since_ms >= table->lifetime_ms;
    return found;
}

session *session_table_expired(session_table *table)
{
    pthread_mutex_lock(&table->lock);
    session *oldest = table->oldest;
    if (oldest && clock_elapsed_ms() - oldest->since_ms >= table->lifetime_ms)
        unlink_session(table, oldest);
    else
        oldest = NULL;
    pthread_mutex_unlock(&table->lock);
    return oldest;
}
