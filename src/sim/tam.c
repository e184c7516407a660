/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "otrp/request_make.h"
#include "sim/tam_inside.h"
#include "sim/tam_request.h"
#include "util/utf8.h"

tam *tam_open(const struct tam_parts *parts, struct error *err)
{
    AUTO(tam) *t = calloc(1, sizeof *t);
    if (!t) {
        policy_free(parts->policy);
        error_memory(err);
        return NULL;
    }
    pthread_mutex_init(&t->lock, NULL);
    t->parts = *parts;
    t->policy = parts->policy;
    t->sessions = session_table_new(parts->sessions ? parts->sessions : TAM_SESSIONS,
                                    parts->session_ms ? parts->session_ms : TAM_SESSION_MS, err);
    t->tamid = cert_tamid(sk_X509_value(parts->identities[0].chain, 0), err);
    return t->tamid && t->sessions ? TAKE(t) : NULL;
}

void tam_free(tam *t)
{
    if (!t)
        return;
    session_table_free(t->sessions);
    policy_free(t->policy);
    for (size_t i = 0; i < TAM_IDENTITIES; i++)
        json_decref(t->ocspdat[i]);
    pthread_mutex_destroy(&t->lock);
    free(t->scripted);
    free(t->tamid);
    free(t);
}

void tam_follow(tam *t, policy *p)
{
    pthread_mutex_lock(&t->lock);
    policy *old = t->policy;
    t->policy = p;
    pthread_mutex_unlock(&t->lock);
    policy_free(old);
}

void tam_staple(tam *t, size_t identity, json_t *ocspdat)
{
    pthread_mutex_lock(&t->lock);
    json_t *old = t->ocspdat[identity];
    t->ocspdat[identity] = ocspdat;
    pthread_mutex_unlock(&t->lock);
    json_decref(old);
}

/* ---- the log ---- */

const char *session_did(const session *s)
{
    return s && s->device ? s->device->did : NULL;
}

enum { NOTE_BYTES = 1600 };

/* A note may quote what a device has sent, and goes to reports that are UTF-8. */
static void put_note(char text[NOTE_BYTES], const char *format, va_list args)
{
    char raw[NOTE_BYTES];
    vsnprintf(raw, sizeof raw, format, args);
    utf8_keep(text, NOTE_BYTES, raw);
}

void tam_tell(const tam *t, const session *s, const char *format, ...)
{
    char text[NOTE_BYTES];
    va_list args;
    va_start(args, format);
    put_note(text, format, args);
    va_end(args);
    if (t->parts.listener.log)
        t->parts.listener.log(t->parts.listener.context,
                              &(struct tam_note){s ? s->tid : NULL, session_did(s), text});
}

void tam_finish(const tam *t, const session *s, bool well, const char *format, ...)
{
    char text[NOTE_BYTES];
    struct error err;
    const struct tam_listener *l = &t->parts.listener;
    va_list args;
    va_start(args, format);
    put_note(text, format, args);
    va_end(args);
    tam_tell(t, s, "%s", text);
    if (s->device && !tam_is_foreign(&t->parts) &&
        !tam_state_ended(t->parts.state, s->device->did, well, text, clock_now(&t->parts.clock),
                         &err))
        tam_tell(t, s, "its end is not recorded: %s", err.message);
    if (l->ended)
        l->ended(l->context, &(struct tam_note){s->tid, session_did(s), text}, well);
    if (t->parts.scenario)
        scenario_run_put(t->parts.scenario, s->scenario_step,
                         s->found ? s->found : SCENARIO_NO_ANSWER, text);
}

/* ---- the sessions that wait for an answer ---- */

/* Remembers which session walks through the scenario; its tid may have changed. */
static void note_scripted(tam *t, const session *s)
{
    pthread_mutex_lock(&t->lock);
    free(t->scripted);
    t->scripted = strdup(s->tid);
    pthread_mutex_unlock(&t->lock);
}

/* Owned by the caller; NULL: none does. */
static char *scripted_tid(tam *t)
{
    pthread_mutex_lock(&t->lock);
    char *tid = t->scripted ? strdup(t->scripted) : NULL;
    pthread_mutex_unlock(&t->lock);
    return tid;
}

static void session_put(tam *t, session *s)
{
    if (t->parts.scenario)
        note_scripted(t, s);
    AUTO(session) *displaced = session_table_put(t->sessions, s);
    if (displaced)
        tam_finish(t, displaced, false, "forgotten: no answer to %s, and too many sessions",
                   displaced->what);
}

static session *session_take(tam *t, const char *tid)
{
    bool late;
    session *found = session_table_take(t->sessions, tid, &late);
    if (!late)
        return found;
    tam_finish(t, found, false, "the answer to %s comes too late", found->what);
    session_free(found);
    return NULL;
}

void tam_expire(tam *t)
{
    for (session *s; (s = session_table_expired(t->sessions)); session_free(s))
        tam_finish(t, s, false, "forgotten: no answer to %s", s->what);
}

/* ---- sessions ---- */

/* Where every session has the same tid, there is one at a time. */
static void end_namesake(tam *t, const char *tid)
{
    AUTO(session) *old = tid ? session_take(t, tid) : NULL;
    if (old)
        tam_finish(t, old, false, "forgotten: another session begins, and all have the tid %s",
                   tid);
}

static enum tam_outcome start(tam *t, bool deletes, buffer **request, session **begun)
{
    struct error err = {.rc = RC_OK};
    AUTO(session) *s = calloc(1, sizeof *s);
    const char *only = t->parts.profile ? t->parts.profile->make.tid : NULL;
    if (!s || !(s->tid = only ? strdup(only) : random_id(&err)))
        return TAM_FAILED;
    if (t->parts.scenario && !scenario_run_begin(t->parts.scenario)) {
        tam_tell(t, NULL, "refused: the scenario is for one session");
        return TAM_DONE;
    }
    end_namesake(t, only);
    s->deletes = deletes;
    pthread_mutex_lock(&t->lock);
    s->policy = policy_hold(t->policy);
    pthread_mutex_unlock(&t->lock);
    s->tamid = t->tamid;
    s->self = tam_choose_identity(t, s->policy, false, NULL);
    tam_tell(t, s, "begins");
    enum tam_outcome outcome = TAM_FAILED;
    if (s->self)
        outcome = t->parts.scenario ? tam_ask_scripted(t, s, request)
                                    : tam_ask_state(t, s, request);
    else
        tam_finish(t, s, false, "ended: no key of this TAM may sign, as the policy has it");
    *begun = TAKE(s);
    return outcome;
}

enum tam_outcome tam_answer(tam *t, struct span message, bool deletes, buffer **request)
{
    AUTO(char) *tid = message.size ? response_tid(message) : NULL;
    AUTO(session) *s = tid ? session_take(t, tid) : NULL;
    *request = NULL;
    AUTO(char) *scripted = message.size && !s ? scripted_tid(t) : NULL;
    if (scripted) /* in answer to what could not be read */
        s = session_take(t, scripted);
    if (message.size && !s) {
        tam_tell(t, NULL, "refused: a message that belongs to no session");
        return TAM_STRANGER;
    }
    enum tam_outcome outcome = s ? tam_take_answer(t, s, message, request)
                                 : start(t, deletes, request, &s);
    const struct tam_listener *l = &t->parts.listener;
    if (s && l->exchanged)
        l->exchanged(l->context, &(struct tam_exchange){.tid = s->tid,
                                                        .did = session_did(s),
                                                        .message = message,
                                                        .request = buffer_span(*request),
                                                        .outcome = outcome});
    if (outcome == TAM_REQUEST)
        session_put(t, TAKE(s));
    return outcome;
}
