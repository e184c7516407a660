/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tee_fault.h"

#include <string.h>

#include "sim/fault.h"

enum { SLOW_SECONDS = 5, MOST_SECONDS = 3600 };

static const struct tee_fault rows[] = {
    {"no-answer", "the request is carried out, and nothing is answered"},
    {"slow", "the answer comes after 5 seconds, or slow:SECONDS"},
    {"not-json", "the request is carried out, and the answer is no JSON"},
    {"broker-unknown", "the broker answers ERR_AGENT_TEE_UNKNOWN, the TEE does nothing"},
    {"broker-busy", "the broker answers ERR_AGENT_TEE_BUSY, the TEE does nothing"},
    {"broker-fail", "the broker answers ERR_AGENT_TEE_FAIL, the TEE does nothing"},
};

/* Codes that a TEE answers, not the broker: fail:ERR_... */
#define FAIL       "fail:"
#define FAIL_TITLE "what would pass is answered with this code, and not carried out"

static bool of_broker(enum error_code_id code)
{
    return strncmp(error_code_name(code), "ERR_AGENT_", 10) == 0;
}

size_t tee_fault_count(void)
{
    size_t count = COUNT(rows);
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++)
        count += !of_broker((enum error_code_id)code);
    return count;
}

struct tee_fault tee_fault_row(size_t index)
{
#define CODE(id, meaning, sender, cause, remedy) FAIL "ERR_" #id,
    static const char *const names[] = {
        NULL,
#include "otrp/error_code.def"
    };
#undef CODE
    if (index < COUNT(rows))
        return rows[index];
    index -= COUNT(rows);
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++)
        if (!of_broker((enum error_code_id)code) && index-- == 0)
            return (struct tee_fault){names[code], FAIL_TITLE};
    return (struct tee_fault){"", ""};
}

void tee_faults_free(tee_faults *faults)
{
    if (!faults)
        return;
    mutations_free(faults->all);
    free(faults);
}

static bool read_delay(tee_faults *f, const char *seconds, struct error *err)
{
    char *end;
    long value = *seconds ? strtol(seconds + 1, &end, 10) : SLOW_SECONDS;
    if (*seconds &&
        (*seconds != ':' || end == seconds + 1 || *end || value < 0 || value > MOST_SECONDS))
        return error_set(err, RC_USAGE, "--fault slow:SECONDS: a number up to %d", MOST_SECONDS);
    f->delay_ms = value * 1000;
    return true;
}

static bool read_fail(tee_faults *f, const char *name, struct error *err)
{
    for (int code = ERR_NONE + 1; code < ERR_COUNT; code++)
        if (strcmp(error_code_name((enum error_code_id)code), name) == 0 &&
            !of_broker((enum error_code_id)code)) {
            f->fail = (enum error_code_id)code;
            return true;
        }
    error_set(err, RC_USAGE, "--fault: '%s' is no error code of a TEE", name);
    return error_hint(err, "'otrp help' and a code explain them; --fault list has their names");
}

/* 1: it is one of the device's own, 0: not, -1: it is wrong. */
static int read_own(tee_faults *f, const char *name, struct error *err)
{
    static const struct {
        const char *name;
        enum error_code_id code;
    } broker[] = {{"broker-unknown", ERR_AGENT_TEE_UNKNOWN},
                  {"broker-busy", ERR_AGENT_TEE_BUSY},
                  {"broker-fail", ERR_AGENT_TEE_FAIL}};
    if (strncmp(name, FAIL, sizeof FAIL - 1) == 0)
        return read_fail(f, name + sizeof FAIL - 1, err) ? 1 : -1;
    if (strcmp(name, "slow") == 0 || strncmp(name, "slow:", 5) == 0)
        return read_delay(f, name + 4, err) ? 1 : -1;
    for (size_t i = 0; i < COUNT(broker); i++)
        if (strcmp(name, broker[i].name) == 0) {
            f->broker = broker[i].code;
            return 1;
        }
    f->no_answer |= strcmp(name, "no-answer") == 0;
    f->not_json |= strcmp(name, "not-json") == 0;
    return strcmp(name, "no-answer") == 0 || strcmp(name, "not-json") == 0;
}

static bool unknown(const tee_faults *f, const char *name, struct error *err)
{
    size_t count = tee_fault_count();
    const char **own = calloc(count, sizeof *own);
    if (!own)
        return error_memory(err);
    for (size_t i = 0; i < count; i++)
        own[i] = tee_fault_row(i).name;
    fault_unknown(name, own, count, f->all, err);
    free(own);
    return false;
}

/* A mutation of answers, for each type of message that it fits. */
static bool read_mutation(tee_faults *f, const char *name, struct error *err)
{
    bool fits = false;
    for (int type = 0; type < MESSAGE_COUNT; type++) {
        struct tee_fault_plan *p = &f->plans[type];
        const struct mutation *m = mutation_find(f->all, (enum message_id)type, name, err);
        if (m)
            p->items[p->plan.count++] = m;
        fits |= m != NULL;
    }
    return fits || unknown(f, name, err);
}

tee_faults *tee_faults_new(const struct text_list *names, time_t now, struct error *err)
{
    AUTO(tee_faults) *f = calloc(1, sizeof *f);
    if (!f || !(f->all = mutations_new(MUTATION_RESPONSE, err))) {
        if (!f)
            error_memory(err);
        return NULL;
    }
    if (names->count > TEE_FAULTS_MOST) {
        error_set(err, RC_USAGE, "--fault: more than %d", TEE_FAULTS_MOST);
        return NULL;
    }
    for (size_t i = 0; i < names->count; i++) {
        int own = read_own(f, names->items[i], err);
        if (own < 0 || (own == 0 && !read_mutation(f, names->items[i], err)))
            return NULL;
    }
    for (int type = 0; type < MESSAGE_COUNT; type++) {
        f->plans[type].plan.items = f->plans[type].items;
        f->plans[type].plan.now = now;
    }
    return TAKE(f);
}

bool tee_faults_fit(const tee_faults *f, enum message_id type, struct error *err)
{
    if (f->plans[type].plan.count || f->fail || f->broker || f->no_answer || f->not_json ||
        f->delay_ms)
        return true;
    return error_set(err, RC_USAGE, "--fault: it does not fit an answer to %s",
                     message_type(type)->name);
}
