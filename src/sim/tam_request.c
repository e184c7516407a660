/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tam_request.h"

#include <string.h>

#include "otrp/request.h"
#include "otrp/request_make.h"

bool tam_is_foreign(const struct tam_parts *parts)
{
    return parts->profile && parts->profile->forms;
}

bool tam_is_endless(const struct tam_parts *parts)
{
    return parts->faults && parts->faults->server == FAULT_ENDLESS_SESSION;
}

static struct request_draft draft_of(const session *s, const json_t *ocspdat)
{
    const tam_step *step = s->step;
    bool creates = step->type == MESSAGE_CREATE_SD && step->sp;
    return (struct request_draft){.type = s->type,
                                  .tam_key = s->self->key,
                                  .tam_chain = s->self->chain,
                                  .tamid = s->tamid,
                                  .ocspdat = ocspdat,
                                  .rid = s->rid,
                                  .tid = s->tid,
                                  .device = s->device,
                                  .nextdsi = true,
                                  .spid = step->spid,
                                  .sdname = step->sdname,
                                  .spcert = creates ? step->sp->certs[0].base64 : NULL,
                                  .taid = step->taid,
                                  .taname = step->ta ? step->ta->name : NULL,
                                  .add_spcert = step->add_certs,
                                  .del_spcert = step->del_hashes,
                                  .renew_aik = step->renew_aik,
                                  .package = step->with_code ? step->ta->package : NULL,
                                  .pdata = step->with_pdata ? step->ta->pdata : NULL};
}

struct tam_deed tam_request_deed(const struct tam_parts *parts, const session *s)
{
    const tam_step *step = s->step;
    return (struct tam_deed){.did = s->device->did,
                             .spid = step->spid,
                             .sdname = step->sdname,
                             .taid = step->taid,
                             .ta = step->ta,
                             .add_certs = step->add_hashes,
                             .del_certs = step->del_hashes,
                             .before = s->device,
                             .at = clock_now(&parts->clock)};
}

/* Writes down what is about to be sent. */
static bool announce(const struct tam_parts *parts, const session *s, struct error *err)
{
    if (tam_is_foreign(parts))
        return true;
    struct tam_deed deed = s->device ? tam_request_deed(parts, s) : (struct tam_deed){NULL};
    if (s->step->ta)
        return tam_state_sending_ta(parts->state, &deed, err);
    if (s->step->type == MESSAGE_CREATE_SD && s->step->add_hashes)
        return tam_state_sending_sd(parts->state, &deed, err);
    return true;
}

/* What is to go wrong with the request. */
static struct mutation_plan mutations_of(const struct tam_parts *parts, const session *s)
{
    const struct scenario_step *scripted = scenario_step_at(parts->scenario, s->scenario_step);
    const tam_faults *faults = parts->faults;
    struct mutation_plan plan = {.now = clock_now(&parts->clock),
                                 .ca_key = parts->ca_key,
                                 .seen_rid = s->seen,
                                 .seen_tid = s->seen ? s->tid : NULL};
    if (scripted) {
        plan.items = scripted->broken;
        plan.count = scripted->broken_count;
    } else if (faults) {
        plan.items = faults->items[s->type->id];
        plan.count = faults->counts[s->type->id];
    }
    return plan;
}

/* The rid and tid that a TEE can read in a request that is wrong on purpose: these it echoes. */
static bool expect_echo(session *s, const buffer *message, struct error *err)
{
    AUTO(request) *sent = request_new(buffer_span(message));
    char *rid = sent ? strdup(sent->rid) : NULL, *tid = sent ? strdup(sent->tid) : NULL;
    if (!rid || !tid) {
        free(rid);
        free(tid);
        return error_memory(err);
    }
    free(s->rid);
    free(s->echo);
    s->rid = rid;
    s->echo = tid;
    return true;
}

bool tam_request_make(const struct tam_parts *parts, session *s, const json_t *ocspdat,
                      buffer **message, struct error *err)
{
    struct mutation_plan wrong = mutations_of(parts, s);
    struct request_draft draft = draft_of(s, ocspdat);
    const struct scenario_step *scripted = scenario_step_at(parts->scenario, s->scenario_step);
    if (scripted)
        scenario_fill(scripted, &draft);
    draft.profile = parts->profile;
    draft.tee_key = parts->tee_key;
    draft.aik = parts->aik;
    if (parts->profile && parts->profile->make.ta == TA_FORM_EMPTY)
        draft.package = draft.pdata = NULL;
    if (wrong.count)
        draft.broken = &wrong;
    AUTO(json_t) *tbs = request_tbs(&draft, err);
    if (!tbs)
        return false;
    if (s->policy->sign_algs)
        json_object_set(tbs, "supportedsigalgs", (json_t *)s->policy->sign_algs);
    AUTO(json_t) *content = request_content(&draft, err);
    if (err->rc != RC_OK || (scripted && !scenario_change(scripted, tbs, content, err)) ||
        !announce(parts, s, err))
        return false;
    AUTO(buffer) *sealed = request_seal(&draft, tbs, content, &s->cek, err);
    if (!sealed || ((scripted || wrong.count) && !expect_echo(s, sealed, err)))
        return false;
    *message = TAKE(sealed);
    return true;
}
