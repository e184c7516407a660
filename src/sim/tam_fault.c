/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tam_fault.h"

#include <string.h>

#include "sim/fault.h"

const struct server_fault_row server_faults[] = {
    {FAULT_WRONG_STATUS, "wrong-status", "the next message comes with status 500"},
    {FAULT_WRONG_TYPE, "wrong-type", "the next message comes as text/html"},
    {FAULT_REDIRECT_LOOP, "redirect-loop", "every POST is redirected to where it went"},
    {FAULT_HALF_ANSWER, "half-answer", "the connection ends in the middle of the body"},
    {FAULT_SILENCE, "silence", "a POST is never answered"},
    {FAULT_OTHER_SESSION, "other-session", "an answer is answered with another session's request"},
    {FAULT_ENDLESS_SESSION, "endless-session", "the state is asked for again and again"},
};
const size_t server_fault_count = COUNT(server_faults);

void tam_faults_free(tam_faults *faults)
{
    if (!faults)
        return;
    mutations_free(faults->known);
    free(faults);
}

bool tam_faults_of_messages(const tam_faults *faults)
{
    size_t count = 0;
    for (enum message_id id = 0; id < MESSAGE_COUNT; id++)
        count += faults->counts[id];
    return count > 0;
}

static bool unknown(const tam_faults *faults, const char *name, struct error *err)
{
    const char *own[COUNT(server_faults)];
    for (size_t i = 0; i < server_fault_count; i++)
        own[i] = server_faults[i].name;
    return fault_unknown(name, own, server_fault_count, faults->known, err);
}

/* A mutation of requests, for each type of message that it fits. */
static bool add_mutation(tam_faults *faults, const char *name, struct error *err)
{
    bool fits = false;
    for (enum message_id id = 0; id < MESSAGE_COUNT; id++) {
        const struct mutation *m = mutation_find(faults->known, id, name, err);
        if (!m)
            continue;
        fits = true;
        faults->items[id][faults->counts[id]++] = m;
    }
    return fits || unknown(faults, name, err);
}

static bool add_fault(tam_faults *faults, const char *name, struct error *err)
{
    for (size_t i = 0; i < server_fault_count; i++)
        if (strcmp(server_faults[i].name, name) == 0) {
            if (faults->server != FAULT_NONE)
                return error_set(err, RC_USAGE, "--fault: %s: one fault of the server at a time",
                                 name);
            faults->server = server_faults[i].id;
            return true;
        }
    return add_mutation(faults, name, err);
}

tam_faults *tam_faults_new(const char *const *names, size_t count, struct error *err)
{
    AUTO(tam_faults) *faults = calloc(1, sizeof *faults);
    if (!faults) {
        error_memory(err);
        return NULL;
    }
    if (count > FAULTS_MOST) {
        error_set(err, RC_USAGE, "--fault: more than %d", FAULTS_MOST);
        return NULL;
    }
    if (!(faults->known = mutations_new(MUTATION_REQUEST, err)))
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (!add_fault(faults, names[i], err))
            return NULL;
    return TAKE(faults);
}
