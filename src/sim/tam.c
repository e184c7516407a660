/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tam.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "otrp/algorithm.h"
#include "otrp/request_make.h"
#include "sim/tam_request.h"
#include "util/base64.h"

struct tam {
    struct tam_parts parts;
    char *tamid;
    session_table *sessions;
    pthread_mutex_t lock; /* of what follows */
    policy *policy;
    json_t *ocspdat[TAM_IDENTITIES];
    char *scripted; /* the tid of the session that walks through the scenario */
};

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

/* The stapling set to use now; the caller's. */
static json_t *stapling_set(tam *t, const struct tam_identity *self)
{
    pthread_mutex_lock(&t->lock);
    json_t *set = json_incref(t->ocspdat[self - t->parts.identities]);
    pthread_mutex_unlock(&t->lock);
    return set;
}

size_t tam_session_count(tam *t)
{
    return session_table_count(t->sessions);
}

/* ---- the log ---- */

static const char *did_of(const session *s)
{
    return s && s->device ? s->device->did : NULL;
}

static void tell(const tam *t, const session *s, const char *format, ...) PRINTF_LIKE(3, 4);

static void tell(const tam *t, const session *s, const char *format, ...)
{
    char text[1600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (t->parts.listener.log)
        t->parts.listener.log(t->parts.listener.context,
                              &(struct tam_note){s ? s->tid : NULL, did_of(s), text});
}

/* The last word about a session: into the log, the state, the scenario's report. */
static void finish(const tam *t, const session *s, bool well, const char *format, ...)
    PRINTF_LIKE(4, 5);

static void finish(const tam *t, const session *s, bool well, const char *format, ...)
{
    char text[1600];
    struct error err;
    const struct tam_listener *l = &t->parts.listener;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tell(t, s, "%s", text);
    if (s->device && !tam_is_foreign(&t->parts) &&
        !tam_state_ended(t->parts.state, s->device->did, well, text, clock_now(&t->parts.clock),
                         &err))
        tell(t, s, "its end is not recorded: %s", err.message);
    if (l->ended)
        l->ended(l->context, &(struct tam_note){s->tid, did_of(s), text}, well);
    if (t->parts.scenario)
        scenario_run_put(t->parts.scenario, s->scenario_step,
                         s->found ? s->found : SCENARIO_NO_ANSWER, text);
}

/* ---- the sessions that wait for an answer ---- */

static void session_put(tam *t, session *s)
{
    AUTO(session) *displaced = session_table_put(t->sessions, s);
    if (displaced)
        finish(t, displaced, false, "forgotten: no answer to %s, and too many sessions",
               displaced->what);
}

static session *session_take(tam *t, const char *tid)
{
    bool late;
    session *found = session_table_take(t->sessions, tid, &late);
    if (!late)
        return found;
    finish(t, found, false, "the answer to %s comes too late", found->what);
    session_free(found);
    return NULL;
}

void tam_expire(tam *t)
{
    for (session *s; (s = session_table_expired(t->sessions)); session_free(s))
        finish(t, s, false, "forgotten: no answer to %s", s->what);
}

/* ---- who asks ---- */

static bool may_sign(const policy *p, const struct jwa *alg)
{
    for (size_t i = 0; i < json_array_size(p->sign_algs); i++)
        if (strcmp(json_string_value(json_array_get(p->sign_algs, i)), alg->name) == 0)
            return true;
    return !p->sign_algs;
}

/* Whether a list of a device's (NULL: none was sent) names the algorithm. */
static bool names_algorithm(const struct json_value *list, const struct jwa *alg)
{
    const struct json_value *name = list ? list->first : NULL;
    while (name && !(name->kind == JSON_KIND_STRING && span_is(name->string, alg->name)))
        name = name->next;
    return name != NULL;
}

/* The first identity whose algorithm the policy allows and the device, once it has told, knows. */
static const struct tam_identity *choose_identity(const tam *t, const policy *p, bool told,
                                                  const struct json_value *known)
{
    struct error ignored;
    for (size_t i = 0; i < t->parts.identity_count; i++) {
        const struct tam_identity *identity = &t->parts.identities[i];
        const struct jwa *alg = jwa_for_signature(identity->key, &ignored);
        if (alg && may_sign(p, alg) && (!told || names_algorithm(known, alg)))
            return identity;
    }
    return NULL;
}

/* ---- requests ---- */

/* Where a profile has a new tid for each request, the session goes on under that. */
static bool renew_tid(const tam *t, session *s, struct error *err)
{
    if (!t->parts.profile || !t->parts.profile->make.new_tid || s->steps == 0)
        return true;
    char *tid = random_id(err);
    if (tid) {
        free(s->tid);
        s->tid = tid;
    }
    return tid != NULL;
}

/* Where a profile wants numbers, they count. */
static char *new_rid(const tam *t, const session *s, struct error *err)
{
    char *rid;
    if (!t->parts.profile || !t->parts.profile->make.rid_integer)
        return random_id(err);
    return asprintf(&rid, "%u", s->steps + 1) < 0 ? NULL : rid;
}

/* Sends a step, which is taken. */
static enum tam_outcome ask(tam *t, session *s, tam_step *step, buffer **request)
{
    struct error err = {.rc = RC_OK};
    tam_step_free(s->step);
    s->step = step;
    s->type = message_type(step->type);
    free(s->seen);
    free(s->what);
    free(TAKE(s->echo));
    buffer_free(TAKE(s->cek));
    s->seen = s->rid;
    s->rid = new_rid(t, s, &err);
    s->what = tam_step_describe(step);
    if (!s->rid || !s->what || !renew_tid(t, s, &err)) {
        finish(t, s, false, "ended: out of memory, or no random numbers");
        return TAM_FAILED;
    }
    if (++s->steps > TAM_STEPS && !tam_is_endless(&t->parts)) {
        finish(t, s, false, "ended: too many requests in one session");
        return TAM_FAILED;
    }
    AUTO(json_t) *ocspdat = stapling_set(t, s->self);
    if (tam_request_make(&t->parts, s, ocspdat, request, &err))
        return TAM_REQUEST;
    s->found = "error";
    finish(t, s, false, "ended: %s cannot be made: %s", s->what, err.message);
    return TAM_FAILED;
}

static enum tam_outcome ask_state(tam *t, session *s, buffer **request)
{
    struct error err;
    tam_step *step = tam_step_new(MESSAGE_GET_DEVICE_STATE, NULL, NULL, NULL, &err);
    if (step)
        return ask(t, s, step, request);
    finish(t, s, false, "ended: %s", err.message);
    return TAM_FAILED;
}

/* The next step of the scenario, or the end. */
static bool note_scripted(tam *t, const session *s)
{
    pthread_mutex_lock(&t->lock);
    free(t->scripted);
    t->scripted = strdup(s->tid);
    bool noted = t->scripted != NULL;
    pthread_mutex_unlock(&t->lock);
    return noted;
}

/* Owned by the caller; NULL when no session has walked through the scenario. */
static char *scripted_tid(tam *t)
{
    pthread_mutex_lock(&t->lock);
    char *tid = t->scripted ? strdup(t->scripted) : NULL;
    pthread_mutex_unlock(&t->lock);
    return tid;
}

static enum tam_outcome ask_scripted(tam *t, session *s, buffer **request)
{
    struct error err;
    const struct scenario_step *scripted = scenario_step_at(t->parts.scenario, s->scenario_step);
    if (!scripted) {
        finish(t, s, true, "done: the scenario is over");
        return TAM_DONE;
    }
    tam_step *step = tam_step_new(scripted->type, scripted->spid, scripted->sdname, scripted->taid,
                                  &err);
    if (step)
        return ask(t, s, step, request);
    finish(t, s, false, "ended: %s", err.message);
    return TAM_FAILED;
}

/* Where every session has the same tid, there is one at a time. */
static void end_namesake(tam *t, const char *tid)
{
    AUTO(session) *old = tid ? session_take(t, tid) : NULL;
    if (old)
        finish(t, old, false, "forgotten: another session begins, and all have the tid %s", tid);
}

static enum tam_outcome start(tam *t, bool deletes, buffer **request, session **begun)
{
    struct error err = {.rc = RC_OK};
    AUTO(session) *s = calloc(1, sizeof *s);
    const char *only = t->parts.profile ? t->parts.profile->make.tid : NULL;
    if (!s || !(s->tid = only ? strdup(only) : random_id(&err)))
        return TAM_FAILED;
    if (t->parts.scenario && !scenario_run_begin(t->parts.scenario)) {
        tell(t, NULL, "refused: the scenario is for one session");
        return TAM_DONE;
    }
    end_namesake(t, only);
    s->deletes = deletes;
    pthread_mutex_lock(&t->lock);
    s->policy = policy_hold(t->policy);
    pthread_mutex_unlock(&t->lock);
    s->tamid = t->tamid;
    s->self = choose_identity(t, s->policy, false, NULL);
    tell(t, s, "begins");
    if (t->parts.scenario && !note_scripted(t, s))
        return TAM_FAILED;
    enum tam_outcome outcome = TAM_FAILED;
    if (s->self)
        outcome = t->parts.scenario ? ask_scripted(t, s, request) : ask_state(t, s, request);
    else
        finish(t, s, false, "ended: no key of this TAM may sign, as the policy has it");
    *begun = TAKE(s);
    return outcome;
}

/* ---- answers ---- */

static const X509_stack *anchors_of(const tam *t, const session *s)
{
    return s->policy->tee_roots ? s->policy->tee_roots : t->parts.tee_anchors;
}

/* Where an answer deviates, as far as the profile allows it. */
struct deviations {
    const tam *t;
    const session *s;
};

static void note_deviation(void *context, const struct foreign_row *form, const char *path)
{
    const struct deviations *of = context;
    tell(of->t, of->s, "%s: %s deviates: %s", of->s->what, path, form->title);
}

/* The JWS of an answer, in whatever it is wrapped. */
static const struct json_value *jws_of(const struct json_value *value)
{
    while (value && value->first && !json_member(value, "signature"))
        value = value->first;
    return value;
}

/* Whether the policy allows the algorithm that the answer is signed with; it has been verified. */
static bool check_algorithm(const session *s, struct span message, struct error *err)
{
    if (!s->policy->sign_algs)
        return true;
    AUTO(json_doc) *doc = json_doc_parse(message, "answer", err);
    const struct json_value *signed_part = doc ? jws_of(json_root(doc)) : NULL;
    const struct json_value *member = json_member(signed_part, "protected");
    AUTO(buffer) *text = member ? base64url_decode(member->string, "protected", err) : NULL;
    AUTO(json_t) *protected = text ? json_load_span(buffer_span(text), "protected", err) : NULL;
    const char *name = json_string_value(json_object_get(protected, "alg"));
    const struct jwa *alg = name ? jwa_find(JWA_SIGNATURE, name) : NULL;
    return (alg && may_sign(s->policy, alg)) ||
           error_set(err, RC_UNTRUSTED, "signed with %.20s, which the policy does not allow",
                     name ? name : "an unknown algorithm");
}

static response *open_answer(const tam *t, const session *s, struct span message, struct error *err)
{
    struct deviations of = {t, s};
    const struct reading how = {.profile = t->parts.profile,
                                .lenient = t->parts.lenient,
                                .note = note_deviation,
                                .context = &of};
    /* the certificate that a session remembers has led to a root once */
    AUTO(response) *r = response_open(
        message,
        &(struct response_question){.tam_key = s->self->key,
                                    .cek = buffer_span(s->cek),
                                    .tee_cert = s->tee_cert,
                                    .tee_key = t->parts.tee_key,
                                    .reading = tam_is_foreign(&t->parts) || t->parts.lenient ? &how
                                                                                             : NULL,
                                    .tee_others = s->device ? s->device->tee_chain : NULL,
                                    .tee_anchors = s->tee_cert ? NULL : anchors_of(t, s),
                                    .rid = s->rid,
                                    .tid = s->echo ? s->echo : s->tid,
                                    .at = clock_now(&t->parts.clock)},
        err);
    if (r && r->authenticated && !check_algorithm(s, message, err))
        return NULL;
    if (r && r->type && r->type != s->type) {
        error_set(err, RC_MALFORMED, "it answers another request, with %s", r->type->response);
        return NULL;
    }
    return TAKE(r);
}

/* Whether the firmware's word is the one that this session has checked already. */
static bool same_firmware(const session *s, const dsi *device)
{
    const json_t *before = s->device ? json_object_get(s->device->json, "tfwdata") : NULL;
    return before && json_equal(before, json_object_get(device->json, "tfwdata"));
}

/* Takes the new state over, and what is known of the device. */
static bool remember_device(tam *t, session *s, response *r, struct error *err)
{
    if (!r->device)
        return s->device ? true : error_set(err, RC_MALFORMED, "no device state in the answer");
    time_t now = clock_now(&t->parts.clock);
    const struct policy_rules *rules = policy_rules_for(s->policy, r->device->did);
    if (rules->require_tfw && !tam_is_foreign(&t->parts) && !same_firmware(s, r->device) &&
        !dsi_check_firmware(r->device, s->tid, t->parts.tfw_anchors, now, err))
        return false;
    dsi_free(s->device);
    s->device = TAKE(r->device);
    if (s->tee_cert)
        return true;
    s->tee_cert = sk_X509_value(s->device->tee_chain, 0);
    return !s->tee_cert || X509_up_ref(s->tee_cert) == 1;
}

/* Writes down what the device has done; its new state is in r already. */
static bool record(tam *t, session *s, const response *r, struct error *err)
{
    if (s->step->type == MESSAGE_GET_DEVICE_STATE || !s->device || tam_is_foreign(&t->parts))
        return true;
    struct tam_deed deed = tam_request_deed(&t->parts, s);
    deed.after = r->device;
    return tam_state_done(t->parts.state, &deed, err);
}

/* Looks up what is known of the device, and drops what its new state does not show. */
static bool recall(tam *t, session *s, struct error *err)
{
    if (!s->device || tam_is_foreign(&t->parts))
        return true;
    tam_records_free(s->known);
    s->known = tam_state_read(t->parts.state, s->device, clock_now(&t->parts.clock), err);
    return s->known != NULL;
}

/* Whether the next step is the last one again: a device that says pass and does nothing must not
 * loop. */
static bool same_step(const session *s, const tam_step *next)
{
    AUTO(char) *what = tam_step_describe(next);
    return !what || strcmp(what, s->what) == 0;
}

static bool is_acceptable(tam *t, session *s, const struct policy_rules *rules)
{
    const char *version = s->device->tee_version ? s->device->tee_version : "";
    if (rules->refuse)
        finish(t, s, false, "ended: the policy refuses device %s: %s", s->device->did,
               rules->refuse);
    else if (!policy_accepts_version(rules, version))
        finish(t, s, false, "ended: the policy does not accept TEE version \"%.60s\"", version);
    else
        return true;
    return false;
}

static enum tam_outcome go_on(tam *t, session *s, buffer **request)
{
    struct error err = {.rc = RC_OK};
    const struct policy_rules *rules = policy_rules_for(s->policy, s->device->did);
    if (!is_acceptable(t, s, rules))
        return TAM_DONE;
    const struct tam_plan plan = {
        .rules = rules, .device = s->device, .known = s->known, .now = clock_now(&t->parts.clock)};
    AUTO(tam_step) *next = tam_is_foreign(&t->parts)
                               ? tam_plan_foreign(&plan, s->deletes, &s->foreign, &err)
                               : tam_plan_next(&plan, &err);
    if (!next) {
        finish(t, s, false, "ended: %s", err.message);
        return TAM_FAILED;
    }
    if (next->done && tam_is_endless(&t->parts))
        return ask_state(t, s, request);
    if (next->done) {
        AUTO(char) *obstacle = s->known ? tam_plan_obstacle(&plan) : NULL;
        if (obstacle)
            tell(t, s, "%s", obstacle);
        finish(t, s, true, "done: device %s is as the policy wants it",
               s->device->did ? s->device->did : "without a did");
        return TAM_DONE;
    }
    if (same_step(s, next)) {
        finish(t, s, false, "ended: the device says pass to %s, but its state does not show it",
               s->what);
        return TAM_DONE;
    }
    return ask(t, s, TAKE(next), request);
}

/* The list of algorithms that a failed GetDeviceState tells, in doc; NULL: none. */
static const struct json_value *told_algorithms(const response *r, json_doc **doc)
{
    struct error ignored;
    *doc = r->payload ? json_doc_parse(buffer_span(r->payload), "payload", &ignored) : NULL;
    const struct json_value *tbs = *doc ? json_member(json_root(*doc), r->type->response_tbs_name)
                                        : NULL;
    return json_member(tbs, "supportedsigalgs");
}

/* Another identity for a device that does not know the algorithm of this one; NULL: none. Nobody
 * has vouched for what the device says, so it only chooses among what the policy allows. */
static const struct tam_identity *other_identity(const tam *t, const session *s, const response *r)
{
    if (!r->type || r->type->id != MESSAGE_GET_DEVICE_STATE || s->device || s->other_key ||
        !r->code || strcmp(r->code, error_code_name(ERR_UNSUPPORTED_CRYPTO_ALG)) != 0)
        return NULL;
    AUTO(json_doc) *doc = NULL;
    const struct json_value *told = told_algorithms(r, &doc);
    const struct tam_identity *other = choose_identity(t, s->policy, true, told);
    return other == s->self ? NULL : other;
}

static bool state_is_old(const session *s, const response *r)
{
    return r->authenticated && r->code && !s->asked_again &&
           strcmp(r->code, error_code_name(ERR_DEV_STATE_MISMATCH)) == 0;
}

static enum tam_outcome after_failure(tam *t, session *s, const response *r, buffer **request)
{
    tell(t, s, "%s: %s%s%s", s->what, r->code ? r->code : "fail", r->reason ? ": " : "",
         r->reason ? r->reason : "");
    const struct tam_identity *other = other_identity(t, s, r);
    if (other) {
        s->other_key = true;
        s->self = other;
        tell(t, s, "asks again, with its other key");
        return ask_state(t, s, request);
    }
    if (state_is_old(s, r)) {
        s->asked_again = true;
        return ask_state(t, s, request);
    }
    finish(t, s, false, "ended: the device does not do what the policy wants");
    return TAM_DONE;
}

/* Goes on after an answer that has been believed. */
static enum tam_outcome take_answer(tam *t, session *s, response *r, buffer **request)
{
    struct error err = {.rc = RC_OK};
    if (!r->passed && !t->parts.scenario)
        return after_failure(t, s, r, request);
    if (r->passed && !record(t, s, r, &err)) {
        finish(t, s, false, "ended: %s", err.message);
        return TAM_FAILED;
    }
    if ((r->passed || r->device) && !remember_device(t, s, r, &err)) {
        s->found = SCENARIO_REFUSED;
        finish(t, s, false, "refused the answer to %s: %s", s->what, err.message);
        return TAM_REFUSED;
    }
    if (!recall(t, s, &err)) {
        finish(t, s, false, "ended: %s", err.message);
        return TAM_FAILED;
    }
    const char *outcome = r->passed ? "pass" : r->code ? r->code : "fail";
    tell(t, s, "%s: %s%s%s", s->what, outcome, r->reason ? ": " : "", r->reason ? r->reason : "");
    if (!t->parts.scenario)
        return go_on(t, s, request);
    scenario_run_put(t->parts.scenario, s->scenario_step++, outcome, r->reason);
    return ask_scripted(t, s, request);
}

static enum tam_outcome continue_session(tam *t, session *s, struct span message, buffer **request)
{
    struct error err = {.rc = RC_OK};
    AUTO(response) *r = open_answer(t, s, message, &err);
    if (r)
        return take_answer(t, s, r, request);
    s->found = SCENARIO_REFUSED;
    finish(t, s, false, "refused the answer to %s: %s", s->what, err.message);
    return TAM_REFUSED;
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
        tell(t, NULL, "refused: a message that belongs to no session");
        return TAM_STRANGER;
    }
    enum tam_outcome outcome = s ? continue_session(t, s, message, request)
                                 : start(t, deletes, request, &s);
    const struct tam_listener *l = &t->parts.listener;
    if (s && l->exchanged)
        l->exchanged(l->context, &(struct tam_exchange){.tid = s->tid,
                                                        .did = did_of(s),
                                                        .message = message,
                                                        .request = buffer_span(*request),
                                                        .outcome = outcome});
    if (outcome == TAM_REQUEST)
        session_put(t, TAKE(s));
    return outcome;
}
