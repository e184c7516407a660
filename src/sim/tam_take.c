/* SPDX-License-Identifier: Apache-2.0 */
/* What a session makes of an answer, in the order of otrp-messages(7), CHECKS OF A TAM. */
#include <string.h>

#include "otrp/error_code.h"
#include "sim/tam_inside.h"
#include "sim/tam_plan.h"
#include "sim/tam_request.h"

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
    tam_tell(of->t, of->s, "%s: %s deviates: %s", of->s->what, path, form->title);
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
    if (r && r->authenticated && !tam_may_sign(s->policy, r->sign_alg)) {
        error_set(err, RC_UNTRUSTED, "signed with %s, which the policy does not allow",
                  r->sign_alg->name);
        return NULL;
    }
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
        tam_finish(t, s, false, "ended: the policy refuses device %s: %s", s->device->did,
                   rules->refuse);
    else if (!policy_accepts_version(rules, version))
        tam_finish(t, s, false, "ended: the policy does not accept TEE version \"%.60s\"", version);
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
        tam_finish(t, s, false, "ended: %s", err.message);
        return TAM_FAILED;
    }
    if (next->done && tam_is_endless(&t->parts))
        return tam_ask_state(t, s, request);
    if (next->done) {
        AUTO(char) *obstacle = s->known ? tam_plan_obstacle(&plan) : NULL;
        if (obstacle)
            tam_tell(t, s, "%s", obstacle);
        tam_finish(t, s, true, "done: device %s is as the policy wants it",
                   s->device->did ? s->device->did : "without a did");
        return TAM_DONE;
    }
    if (same_step(s, next)) {
        tam_finish(t, s, false, "ended: the device says pass to %s, but its state does not show it",
                   s->what);
        return TAM_DONE;
    }
    return tam_ask(t, s, TAKE(next), request);
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
    const struct tam_identity *other = tam_choose_identity(t, s->policy, true, told);
    return other == s->self ? NULL : other;
}

static bool state_is_old(const session *s, const response *r)
{
    return r->authenticated && r->code && !s->asked_again &&
           strcmp(r->code, error_code_name(ERR_DEV_STATE_MISMATCH)) == 0;
}

static enum tam_outcome after_failure(tam *t, session *s, const response *r, buffer **request)
{
    tam_tell(t, s, "%s: %s%s%s", s->what, r->code ? r->code : "fail", r->reason ? ": " : "",
             r->reason ? r->reason : "");
    const struct tam_identity *other = other_identity(t, s, r);
    if (other) {
        s->other_key = true;
        s->self = other;
        tam_tell(t, s, "asks again, with its other key");
        return tam_ask_state(t, s, request);
    }
    if (state_is_old(s, r)) {
        s->asked_again = true;
        return tam_ask_state(t, s, request);
    }
    tam_finish(t, s, false, "ended: the device does not do what the policy wants");
    return TAM_DONE;
}

/* Goes on after an answer that has been believed. */
static enum tam_outcome after_answer(tam *t, session *s, response *r, buffer **request)
{
    struct error err = {.rc = RC_OK};
    if (!r->passed && !t->parts.scenario)
        return after_failure(t, s, r, request);
    if (r->passed && !record(t, s, r, &err)) {
        tam_finish(t, s, false, "ended: %s", err.message);
        return TAM_FAILED;
    }
    if ((r->passed || r->device) && !remember_device(t, s, r, &err)) {
        s->found = SCENARIO_REFUSED;
        tam_finish(t, s, false, "refused the answer to %s: %s", s->what, err.message);
        return TAM_REFUSED;
    }
    if (!recall(t, s, &err)) {
        tam_finish(t, s, false, "ended: %s", err.message);
        return TAM_FAILED;
    }
    const char *outcome = r->passed ? "pass" : r->code ? r->code : "fail";
    tam_tell(t, s, "%s: %s%s%s", s->what, outcome, r->reason ? ": " : "",
             r->reason ? r->reason : "");
    if (!t->parts.scenario)
        return go_on(t, s, request);
    scenario_run_put(t->parts.scenario, s->scenario_step++, outcome, r->reason);
    return tam_ask_scripted(t, s, request);
}

enum tam_outcome tam_take_answer(tam *t, session *s, struct span message, buffer **request)
{
    struct error err = {.rc = RC_OK};
    AUTO(response) *r = open_answer(t, s, message, &err);
    if (r)
        return after_answer(t, s, r, request);
    s->found = SCENARIO_REFUSED;
    tam_finish(t, s, false, "refused the answer to %s: %s", s->what, err.message);
    return TAM_REFUSED;
}
