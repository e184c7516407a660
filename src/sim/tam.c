/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tam.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "otrp/request_make.h"

struct session {
    struct session *next;
    char *rid, *tid;                 /* of the request that waits for its answer */
    const struct message_type *type; /* of that request */
    char what[1000];                 /* the same for people: "InstallTA demo into xbank/sd-1" */
    buffer *cek;                     /* of that request; NULL for GetDeviceState */
    dsi *device;                     /* the last state; NULL before the first answer */
    X509 *tee_cert;                  /* remembered from the first answer */
    long long touched_ms;
    unsigned steps;
    bool asked_again; /* GetDeviceState was repeated after ERR_DEV_STATE_MISMATCH */
};

struct tam {
    struct tam_parts parts;
    char *tamid;
    pthread_mutex_t lock; /* guards sessions */
    struct session *sessions;
    size_t count;
};

static void session_free(struct session *s)
{
    if (!s)
        return;
    free(s->rid);
    free(s->tid);
    buffer_free(s->cek);
    dsi_free(s->device);
    X509_free(s->tee_cert);
    free(s);
}

typedef struct session session;
AUTO_DEFINE(session, session_free)

tam *tam_open(const struct tam_parts *parts, struct error *err)
{
    AUTO(tam) *t = calloc(1, sizeof *t);
    if (!t) {
        error_memory(err);
        return NULL;
    }
    pthread_mutex_init(&t->lock, NULL);
    t->parts = *parts;
    t->tamid = cert_tamid(sk_X509_value(parts->chain, 0), err);
    return t->tamid ? TAKE(t) : NULL;
}

void tam_free(tam *t)
{
    if (!t)
        return;
    while (t->sessions) {
        struct session *next = t->sessions->next;
        session_free(t->sessions);
        t->sessions = next;
    }
    pthread_mutex_destroy(&t->lock);
    free(t->tamid);
    free(t);
}

static void tell(const tam *t, const struct session *s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(const tam *t, const struct session *s, const char *format, ...)
{
    char line[1600];
    int length = snprintf(line, sizeof line, "%.22s ", s ? s->tid : "-");
    va_list args;
    va_start(args, format);
    vsnprintf(line + length, sizeof line - (size_t)length, format, args);
    va_end(args);
    if (t->parts.log)
        t->parts.log(t->parts.context, line);
}

/* ---- the sessions that wait for an answer ---- */

/* Takes sessions out that are too old, or one too many; the caller holds the lock. */
static struct session *collect_expired(tam *t, long long now)
{
    struct session *expired = NULL;
    for (struct session **at = &t->sessions; *at;) {
        bool too_many = t->count >= TAM_SESSIONS && !(*at)->next;
        if (now - (*at)->touched_ms < TAM_SESSION_MS && !too_many) {
            at = &(*at)->next;
            continue;
        }
        struct session *s = *at;
        *at = s->next;
        s->next = expired;
        expired = s;
        t->count--;
    }
    return expired;
}

/* New and answered ones go to the front, so that the last is the one that has waited longest. */
static void session_put(tam *t, struct session *s)
{
    s->touched_ms = clock_elapsed_ms();
    pthread_mutex_lock(&t->lock);
    struct session *expired = collect_expired(t, s->touched_ms);
    s->next = t->sessions;
    t->sessions = s;
    t->count++;
    pthread_mutex_unlock(&t->lock);
    while (expired) {
        struct session *next = expired->next;
        tell(t, expired, "forgotten: no answer to %s", expired->what);
        session_free(expired);
        expired = next;
    }
}

/* Takes the session out: while its answer is looked at, a second answer finds none. */
static struct session *session_take(tam *t, const char *tid)
{
    long long now = clock_elapsed_ms();
    struct session *found = NULL;
    pthread_mutex_lock(&t->lock);
    for (struct session **at = &t->sessions; *at; at = &(*at)->next)
        if (strcmp((*at)->tid, tid) == 0) {
            found = *at;
            *at = found->next;
            t->count--;
            break;
        }
    pthread_mutex_unlock(&t->lock);
    if (found && now - found->touched_ms >= TAM_SESSION_MS) {
        tell(t, found, "the answer to %s comes too late", found->what);
        session_free(found);
        found = NULL;
    }
    return found;
}

/* ---- requests ---- */

static void describe(struct session *s, const struct policy_step *step)
{
    if (step->taid)
        snprintf(s->what, sizeof s->what, "%s %s in %s/%s", s->type->name, step->taid, step->spid,
                 step->sdname);
    else if (step->sdname)
        snprintf(s->what, sizeof s->what, "%s %s/%s", s->type->name, step->spid, step->sdname);
    else
        snprintf(s->what, sizeof s->what, "%s", s->type->name);
}

static enum tam_outcome ask(tam *t, session *s, const struct policy_step *step, buffer **request)
{
    struct error err = {.rc = RC_OK};
    free(s->rid);
    s->rid = random_id(&err);
    buffer_free(TAKE(s->cek));
    s->type = message_type(step->type);
    describe(s, step);
    if (!s->rid || ++s->steps > TAM_STEPS) {
        tell(t, s, "ended: %s", s->rid ? "too many requests in one session" : err.message);
        return TAM_FAILED;
    }
    const struct request_draft draft = {.type = s->type,
                                        .tam_key = t->parts.key,
                                        .tam_chain = t->parts.chain,
                                        .tamid = t->tamid,
                                        .ocspdat = t->parts.ocspdat,
                                        .rid = s->rid,
                                        .tid = s->tid,
                                        .device = s->device,
                                        .nextdsi = true,
                                        .spid = step->spid,
                                        .sdname = step->sdname,
                                        .spcert = step->type == MESSAGE_CREATE_SD ? step->sp->cert
                                                                                  : NULL,
                                        .taid = step->taid,
                                        .taname = step->ta ? step->ta->name : NULL,
                                        .package = step->ta ? step->ta->package : NULL,
                                        .pdata = step->ta ? step->ta->pdata : NULL};
    AUTO(json_t) *tbs = request_tbs(&draft, &err);
    AUTO(json_t) *content = tbs ? request_content(&draft, &err) : NULL;
    *request = tbs && err.rc == RC_OK ? request_seal(&draft, tbs, content, &s->cek, &err) : NULL;
    if (*request)
        return TAM_REQUEST;
    tell(t, s, "ended: %s cannot be made: %s", s->what, err.message);
    return TAM_FAILED;
}

static enum tam_outcome start(tam *t, buffer **request)
{
    struct error err = {.rc = RC_OK};
    AUTO(session) *s = calloc(1, sizeof *s);
    if (!s || !(s->tid = random_id(&err)))
        return TAM_FAILED;
    enum tam_outcome outcome = ask(t, s, &(struct policy_step){.type = MESSAGE_GET_DEVICE_STATE},
                                   request);
    tell(t, s, "begins");
    if (outcome == TAM_REQUEST)
        session_put(t, TAKE(s));
    return outcome;
}

/* ---- answers ---- */

static bool remember_device(const tam *t, session *s, response *r, struct error *err)
{
    if (!r->device)
        return s->device ? true : error_set(err, RC_MALFORMED, "no device state in the answer");
    if (t->parts.policy->require_tfw && !dsi_check_firmware(r->device, s->tid, t->parts.tfw_anchors,
                                                            clock_now(&t->parts.clock), err))
        return false;
    dsi_free(s->device);
    s->device = TAKE(r->device);
    if (s->tee_cert)
        return true;
    s->tee_cert = sk_X509_value(s->device->tee_chain, 0);
    return X509_up_ref(s->tee_cert) == 1;
}

/* Whether the state shows what the request was for: a device that says pass and does nothing must
 * not loop. */
static bool same_step(const struct session *s, const struct policy_step *next)
{
    struct session as_next = {.type = message_type(next->type)};
    describe(&as_next, next);
    return strcmp(as_next.what, s->what) == 0;
}

static enum tam_outcome go_on(tam *t, session *s, buffer **request)
{
    struct policy_step next = policy_next(t->parts.policy, s->device);
    if (next.done) {
        tell(t, s, "done: device %s is as the policy wants it", s->device->did);
        return TAM_DONE;
    }
    if (same_step(s, &next)) {
        tell(t, s, "ended: the device says pass to %s, but its state does not show it", s->what);
        return TAM_DONE;
    }
    return ask(t, s, &next, request);
}

static enum tam_outcome after_failure(tam *t, session *s, const response *r, buffer **request)
{
    tell(t, s, "%s: %s%s%s", s->what, r->code ? r->code : "fail", r->reason ? ": " : "",
         r->reason ? r->reason : "");
    bool mismatch = r->authenticated && r->code &&
                    strcmp(r->code, error_code_name(ERR_DEV_STATE_MISMATCH)) == 0;
    if (!mismatch || s->asked_again) {
        tell(t, s, "ended: the device does not do what the policy wants");
        return TAM_DONE;
    }
    s->asked_again = true;
    return ask(t, s, &(struct policy_step){.type = MESSAGE_GET_DEVICE_STATE}, request);
}

static response *open_answer(const tam *t, const session *s, struct span message, struct error *err)
{
    AUTO(response) *r = response_open(
        message,
        &(struct response_question){.tam_key = t->parts.key,
                                    .cek = buffer_span(s->cek),
                                    .tee_cert = s->tee_cert,
                                    .tee_others = s->device ? s->device->tee_chain : NULL,
                                    .tee_anchors = t->parts.tee_anchors,
                                    .rid = s->rid,
                                    .tid = s->tid,
                                    .at = clock_now(&t->parts.clock)},
        err);
    if (r && r->type && r->type != s->type) {
        error_set(err, RC_MALFORMED, "it answers another request, with %s", r->type->response);
        return NULL;
    }
    return TAKE(r);
}

enum tam_outcome tam_answer(tam *t, struct span message, buffer **request)
{
    struct error err = {.rc = RC_OK};
    *request = NULL;
    if (message.size == 0)
        return start(t, request);
    AUTO(char) *tid = response_tid(message);
    AUTO(session) *s = tid ? session_take(t, tid) : NULL;
    if (!s) {
        tell(t, NULL, "refused: a message that belongs to no session");
        return TAM_STRANGER;
    }
    AUTO(response) *r = open_answer(t, s, message, &err);
    if (!r) {
        tell(t, s, "refused the answer to %s: %s", s->what, err.message);
        return TAM_REFUSED;
    }
    enum tam_outcome outcome;
    if (!r->passed) {
        outcome = after_failure(t, s, r, request);
    } else if (!remember_device(t, s, r, &err)) {
        tell(t, s, "refused the answer to %s: %s", s->what, err.message);
        return TAM_REFUSED;
    } else {
        tell(t, s, "%s: pass", s->what);
        outcome = go_on(t, s, request);
    }
    if (outcome == TAM_REQUEST)
        session_put(t, TAKE(s));
    return outcome;
}
