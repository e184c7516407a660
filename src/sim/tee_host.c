/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tee_host.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "otrp/response.h"

/* Devices that stay open between requests: to open one costs about as much as a signature. */
enum { MOST_IDLE = 64 };

struct tee_host {
    char *dir;
    json_t *names;    /* of the devices served, in an object for look-up */
    const char *only; /* its name, when it is one; borrowed from names */
    struct clock clock;
    long wait_ms;
    const struct tee_faults *faults; /* or NULL */
    pthread_mutex_t turn;            /* of the folder */
    pthread_mutex_t idle_key;        /* guards idle and count */
    device *idle[MOST_IDLE];         /* the one used last is at the end */
    size_t count;
};

void tee_host_free(tee_host *host)
{
    if (!host)
        return;
    for (size_t i = 0; i < host->count; i++)
        device_free(host->idle[i]);
    pthread_mutex_destroy(&host->turn);
    pthread_mutex_destroy(&host->idle_key);
    json_decref(host->names);
    free(host->dir);
    free(host);
}

void tee_host_break(tee_host *host, const struct tee_faults *faults)
{
    host->faults = faults;
}

bool tee_host_has(const tee_host *host, const char *name)
{
    return json_object_get(host->names, name) != NULL;
}

/* An idle handle of that device, or a new one. */
static device *take(tee_host *host, const char *name, struct error *err)
{
    device *found = NULL;
    pthread_mutex_lock(&host->idle_key);
    for (size_t i = host->count; i-- > 0 && !found;)
        if (strcmp(host->idle[i]->name, name) == 0) {
            found = host->idle[i];
            memmove(host->idle + i, host->idle + i + 1, (host->count - i - 1) * sizeof *host->idle);
            host->count--;
        }
    pthread_mutex_unlock(&host->idle_key);
    if (found)
        return found;
    device *dev = device_open(host->dir, name, err);
    if (!dev)
        return NULL;
    dev->clock = host->clock;
    dev->turn = &host->turn;
    dev->faults = host->faults;
    device_wait(dev, host->wait_ms ? host->wait_ms : SQL_BUSY_MS);
    return dev;
}

static void give_back(tee_host *host, device *dev)
{
    device *oldest = NULL;
    pthread_mutex_lock(&host->idle_key);
    if (host->count == MOST_IDLE) {
        oldest = host->idle[0];
        memmove(host->idle, host->idle + 1, (MOST_IDLE - 1) * sizeof *host->idle);
        host->count--;
    }
    host->idle[host->count++] = dev;
    pthread_mutex_unlock(&host->idle_key);
    device_free(oldest);
}

tee_host *tee_host_open(const char *dir, const char *name, struct clock clock, long wait_ms,
                        struct error *err)
{
    AUTO(device) *first = name ? device_open(dir, name, err) : NULL; /* says what is wrong */
    AUTO(json_t) *names = name && !first ? NULL : device_names(dir, err);
    AUTO(tee_host) *host = names ? calloc(1, sizeof *host) : NULL;
    if (!host) {
        if (names)
            error_memory(err);
        return NULL;
    }
    pthread_mutex_init(&host->turn, NULL);
    pthread_mutex_init(&host->idle_key, NULL);
    host->dir = strdup(dir);
    host->names = json_object();
    host->clock = clock;
    host->wait_ms = wait_ms;
    size_t i;
    json_t *each;
    json_array_foreach (names, i, each) {
        const char *text = json_string_value(each);
        if (!name || strcmp(name, text) == 0)
            json_object_set_new(host->names, text, json_true());
    }
    if (json_object_size(host->names) == 1)
        host->only = json_object_iter_key(json_object_iter(host->names));
    if (host->dir && json_object_size(host->names))
        return TAKE(host);
    error_set(err, RC_USAGE, "%s: no device", dir);
    return NULL;
}

/* The TEE that a message names. The broker believes it without a signature: it is a way to go, and
 * the TEE looks again. */
static char *named_tee(const request *r)
{
    return r->type ? member_text(r->tbs, "tee") : NULL;
}

static buffer *broker_says(enum error_code_id code, struct tee_outcome *outcome, struct error *err)
{
    buffer *answer = broker_error_make(outcome->rid, outcome->tid, code);
    outcome->code = code;
    outcome->error = *err;
    if (!answer)
        error_memory(err);
    return answer;
}

buffer *tee_host_answer(tee_host *host, const char *name, struct span message,
                        struct tee_outcome *outcome, struct error *err)
{
    *outcome = (struct tee_outcome){.code = ERR_NONE};
    AUTO(request) *r = request_new(message);
    if (!r) {
        error_memory(err);
        return NULL;
    }
    snprintf(outcome->rid, sizeof outcome->rid, "%s", r->rid);
    snprintf(outcome->tid, sizeof outcome->tid, "%s", r->tid);
    outcome->type = r->type;
    if (!r->type) {
        error_set(err, RC_MALFORMED, "the message is no request of OTrP");
        return broker_says(ERR_AGENT_TEE_FAIL, outcome, err);
    }
    AUTO(char) *tee = named_tee(r);
    const char *wanted = name ? name : host->only ? host->only : tee;
    if (!wanted || !tee_host_has(host, wanted) || (tee && strcmp(tee, wanted) != 0)) {
        error_set(err, RC_UNTRUSTED,
                  tee ? "there is no TEE \"%s\" here"
                      : "there are several TEEs, and the message names none%s",
                  tee ? tee : "");
        return broker_says(ERR_AGENT_TEE_UNKNOWN, outcome, err);
    }
    device *dev = take(host, wanted, err);
    if (!dev)
        return broker_says(ERR_AGENT_TEE_FAIL, outcome, err);
    buffer *answer = tee_answer(dev, r, outcome, err);
    bool busy = outcome->busy;
    give_back(host, dev);
    if (answer || outcome->silent)
        return answer;
    return broker_says(busy ? ERR_AGENT_TEE_BUSY : ERR_AGENT_TEE_FAIL, outcome, err);
}
