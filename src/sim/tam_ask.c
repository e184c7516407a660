/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of a session, and who signs them. */
#include <stdio.h>
#include <string.h>

#include "otrp/request_make.h"
#include "sim/tam_inside.h"
#include "sim/tam_request.h"

/* ---- who asks ---- */

bool tam_may_sign(const policy *p, const struct jwa *alg)
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

const struct tam_identity *tam_choose_identity(const tam *t, const policy *p, bool told,
                                               const struct json_value *known)
{
    struct error ignored;
    for (size_t i = 0; i < t->parts.identity_count; i++) {
        const struct tam_identity *identity = &t->parts.identities[i];
        const struct jwa *alg = jwa_for_signature(identity->key, &ignored);
        if (alg && tam_may_sign(p, alg) && (!told || names_algorithm(known, alg)))
            return identity;
    }
    return NULL;
}

/* ---- requests ---- */

/* The stapling set to use now; the caller's. */
static json_t *stapling_set(tam *t, const struct tam_identity *self)
{
    pthread_mutex_lock(&t->lock);
    json_t *set = json_incref(t->ocspdat[self - t->parts.identities]);
    pthread_mutex_unlock(&t->lock);
    return set;
}

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

enum tam_outcome tam_ask(tam *t, session *s, tam_step *step, buffer **request)
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
        tam_finish(t, s, false, "ended: out of memory, or no random numbers");
        return TAM_FAILED;
    }
    if (++s->steps > TAM_STEPS && !tam_is_endless(&t->parts)) {
        tam_finish(t, s, false, "ended: too many requests in one session");
        return TAM_FAILED;
    }
    AUTO(json_t) *ocspdat = stapling_set(t, s->self);
    if (tam_request_make(&t->parts, s, ocspdat, request, &err))
        return TAM_REQUEST;
    s->found = "error";
    tam_finish(t, s, false, "ended: %s cannot be made: %s", s->what, err.message);
    return TAM_FAILED;
}

enum tam_outcome tam_ask_state(tam *t, session *s, buffer **request)
{
    struct error err;
    tam_step *step = tam_step_new(MESSAGE_GET_DEVICE_STATE, NULL, NULL, NULL, &err);
    if (step)
        return tam_ask(t, s, step, request);
    tam_finish(t, s, false, "ended: %s", err.message);
    return TAM_FAILED;
}

enum tam_outcome tam_ask_scripted(tam *t, session *s, buffer **request)
{
    struct error err;
    const struct scenario_step *scripted = scenario_step_at(t->parts.scenario, s->scenario_step);
    if (!scripted) {
        tam_finish(t, s, true, "done: the scenario is over");
        return TAM_DONE;
    }
    tam_step *step = tam_step_new(scripted->type, scripted->spid, scripted->sdname, scripted->taid,
                                  &err);
    if (step)
        return tam_ask(t, s, step, request);
    tam_finish(t, s, false, "ended: %s", err.message);
    return TAM_FAILED;
}
