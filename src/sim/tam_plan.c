/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tam_plan.h"

#include <stdio.h>
#include <string.h>

#include "util/clock.h"

void tam_step_free(tam_step *step)
{
    if (!step)
        return;
    free(step->spid);
    free(step->sdname);
    free(step->taid);
    json_decref(step->add_certs);
    json_decref(step->add_hashes);
    json_decref(step->del_hashes);
    free(step);
}

static bool copy(char **to, const char *text)
{
    *to = text ? strdup(text) : NULL;
    return *to || !text;
}

tam_step *tam_step_new(enum message_id type, const char *spid, const char *sdname, const char *taid,
                       struct error *err)
{
    AUTO(tam_step) *step = calloc(1, sizeof *step);
    if (!step || !copy(&step->spid, spid) || !copy(&step->sdname, sdname) ||
        !copy(&step->taid, taid)) {
        error_memory(err);
        return NULL;
    }
    step->type = type;
    return TAKE(step);
}

char *tam_step_describe(const tam_step *step)
{
    const char *name = message_type(step->type)->name;
    const char *spid = step->spid ? step->spid : "?";
    char *text = NULL;
    int made = step->taid && step->sdname
                   ? asprintf(&text, "%s %s in %s/%s", name, step->taid, spid, step->sdname)
               : step->sdname ? asprintf(&text, "%s %s/%s", name, spid, step->sdname)
                              : asprintf(&text, "%s", name);
    return made < 0 ? NULL : text;
}

/* ---- what is there and not wanted ---- */

static const struct policy_sp *find_sp(const struct policy_rules *rules, const char *spid)
{
    for (size_t i = 0; i < rules->sp_count; i++)
        if (strcmp(rules->sps[i].spid, spid) == 0)
            return &rules->sps[i];
    return NULL;
}

static const struct policy_sd *find_sd(const struct policy_rules *rules, const struct dsi_sd *there)
{
    const struct policy_sp *sp = find_sp(rules, there->spid);
    for (size_t i = 0; sp && i < sp->sd_count; i++)
        if (strcmp(sp->sds[i].name, there->name) == 0)
            return &sp->sds[i];
    return NULL;
}

static bool lists_ta(const struct policy_sd *sd, const char *taid)
{
    for (size_t i = 0; sd && i < sd->ta_count; i++)
        if (strcmp(sd->tas[i].taid, taid) == 0)
            return true;
    return false;
}

/* A TA first, then an SD that has none left; *step stays NULL when there is nothing. */
static bool next_removal(const struct tam_plan *plan, tam_step **step, struct error *err)
{
    for (size_t i = 0; i < plan->device->sd_count; i++) {
        const struct dsi_sd *sd = &plan->device->sds[i];
        const struct policy_sd *wanted = find_sd(plan->rules, sd);
        for (size_t k = 0; k < sd->ta_count; k++)
            if (!lists_ta(wanted, sd->tas[k].taid)) {
                *step = tam_step_new(MESSAGE_DELETE_TA, sd->spid, sd->name, sd->tas[k].taid, err);
                return *step != NULL;
            }
        if (!wanted) {
            *step = tam_step_new(MESSAGE_DELETE_SD, sd->spid, sd->name, NULL, err);
            return *step != NULL;
        }
    }
    return true;
}

/* ---- what is wanted of an SD ---- */

/* Its certificates, as far as it is known which it has. */
static bool change_certs(const struct tam_plan *plan, const struct policy_sp *sp, tam_step *step)
{
    for (size_t i = 0; i < sp->cert_count; i++)
        if (!known_cert(plan->known, sp->spid, step->sdname, sp->certs[i].sha256) &&
            (json_array_append_new(step->add_certs, json_string(sp->certs[i].base64)) != 0 ||
             json_array_append_new(step->add_hashes, json_string(sp->certs[i].sha256)) != 0))
            return false;
    for (size_t i = 0; i < plan->known->cert_count; i++) {
        const struct known_cert *there = &plan->known->certs[i];
        bool wanted = strcmp(there->spid, sp->spid) != 0 ||
                      strcmp(there->sdname, step->sdname) != 0;
        for (size_t k = 0; k < sp->cert_count && !wanted; k++)
            wanted = strcmp(sp->certs[k].sha256, there->sha256) == 0;
        if (!wanted && json_array_append_new(step->del_hashes, json_string(there->sha256)) != 0)
            return false;
    }
    return true;
}

static bool aik_is_due(const struct tam_plan *plan, const struct policy_sp *sp)
{
    if (!dsi_find_aik(plan->device, sp->spid))
        return false;
    const struct known_aik *known = known_aik(plan->known, sp->spid);
    time_t made = known ? known->made : 0;
    if (sp->renews_aik && plan->now >= sp->renew_aik && made < sp->renew_aik)
        return true;
    return sp->aik_days && plan->now - made >= (time_t)sp->aik_days * DAY_SECONDS;
}

/* Leaves out what is empty: an absent member and an empty list are not the same to a TEE. */
static void drop_empty(json_t **list)
{
    if (json_array_size(*list) == 0) {
        json_decref(*list);
        *list = NULL;
    }
}

static bool next_update_sd(const struct tam_plan *plan, const struct policy_sp *sp,
                           const struct policy_sd *sd, tam_step **next, struct error *err)
{
    AUTO(tam_step) *step = tam_step_new(MESSAGE_UPDATE_SD, sp->spid, sd->name, NULL, err);
    if (!step)
        return false;
    step->add_certs = json_array();
    step->add_hashes = json_array();
    step->del_hashes = json_array();
    bool judged = known_sd(plan->known, sp->spid, sd->name) || plan->rules->update_unknown;
    if (!step->add_certs || !step->add_hashes || !step->del_hashes ||
        (judged && !change_certs(plan, sp, step)))
        return error_memory(err);
    step->renew_aik = aik_is_due(plan, sp);
    drop_empty(&step->add_certs);
    drop_empty(&step->add_hashes);
    drop_empty(&step->del_hashes);
    if (step->add_certs || step->del_hashes || step->renew_aik)
        *next = TAKE(step);
    return true;
}

static bool next_create_sd(const struct policy_sp *sp, const struct policy_sd *sd, tam_step **next,
                           struct error *err)
{
    AUTO(tam_step) *step = tam_step_new(MESSAGE_CREATE_SD, sp->spid, sd->name, NULL, err);
    if (!step)
        return false;
    step->sp = sp;
    step->add_hashes = json_pack("[s]", sp->certs[0].sha256);
    if (!step->add_hashes)
        return error_memory(err);
    *next = TAKE(step);
    return true;
}

/* ---- what is wanted of a TA ---- */

enum ta_work { TA_NOTHING, TA_CODE = 1, TA_PDATA = 2 };

/* What of a TA that is there is to be sent anew. */
static unsigned outdated(const struct tam_plan *plan, const struct known_ta *known,
                         const struct policy_ta *ta)
{
    unsigned pdata = ta->pdata ? TA_PDATA : 0;
    if (!known)
        return plan->rules->update_unknown ? TA_CODE | pdata : TA_NOTHING;
    if (known->version > ta->version && !known->unsure)
        return TA_NOTHING; /* a TEE takes no lower version; see tam_plan_obstacle */
    if (known->unsure)
        return TA_CODE | pdata;
    unsigned work = TA_NOTHING;
    if (known->version != ta->version || strcmp(known->sha256, ta->sha256) != 0)
        work |= TA_CODE;
    if (ta->pdata && strcmp(known->pdata_sha256, ta->pdata_sha256) != 0)
        work |= TA_PDATA;
    return work;
}

static bool next_ta(const struct tam_plan *plan, const struct policy_sp *sp,
                    const struct policy_sd *sd, const struct dsi_sd *there, tam_step **next,
                    struct error *err)
{
    for (size_t i = 0; i < sd->ta_count; i++) {
        const struct policy_ta *ta = &sd->tas[i];
        bool installed = dsi_find_ta(there, ta->taid) != NULL;
        unsigned work = TA_CODE | (ta->pdata ? TA_PDATA : 0);
        if (installed)
            work = outdated(plan, known_ta(plan->known, sp->spid, sd->name, ta->taid), ta);
        if (!work)
            continue;
        *next = tam_step_new(installed ? MESSAGE_UPDATE_TA : MESSAGE_INSTALL_TA, sp->spid, sd->name,
                             ta->taid, err);
        if (!*next)
            return false;
        (*next)->sp = sp;
        (*next)->ta = ta;
        (*next)->with_code = work & TA_CODE;
        (*next)->with_pdata = work & TA_PDATA;
        return true;
    }
    return true;
}

static bool next_in_sd(const struct tam_plan *plan, const struct policy_sp *sp,
                       const struct policy_sd *sd, tam_step **next, struct error *err)
{
    const struct dsi_sd *there = dsi_find_sd(plan->device, sp->spid, sd->name);
    if (!there)
        return next_create_sd(sp, sd, next, err);
    return next_update_sd(plan, sp, sd, next, err) &&
           (*next || next_ta(plan, sp, sd, there, next, err));
}

tam_step *tam_plan_next(const struct tam_plan *plan, struct error *err)
{
    tam_step *next = NULL;
    const struct policy_rules *rules = plan->rules;
    if (rules->remove_unlisted && !next_removal(plan, &next, err))
        return NULL;
    for (size_t i = 0; i < rules->sp_count && !next; i++)
        for (size_t k = 0; k < rules->sps[i].sd_count && !next; k++)
            if (!next_in_sd(plan, &rules->sps[i], &rules->sps[i].sds[k], &next, err))
                return NULL;
    if (next)
        return next;
    next = tam_step_new(MESSAGE_GET_DEVICE_STATE, NULL, NULL, NULL, err);
    if (next)
        next->done = true;
    return next;
}

static bool shows_ta(const dsi *device, const char *taid)
{
    for (size_t i = 0; i < device->sd_count; i++)
        if (dsi_find_ta(&device->sds[i], taid))
            return true;
    return false;
}

static tam_step *foreign_step(const struct policy_sp *sp, const struct policy_sd *sd,
                              const struct policy_ta *ta, bool deletes, struct error *err)
{
    tam_step *step = tam_step_new(deletes ? MESSAGE_DELETE_TA : MESSAGE_INSTALL_TA, sp->spid,
                                  sd->name, ta->taid, err);
    if (!step || deletes)
        return step;
    step->sp = sp;
    step->ta = ta;
    step->with_code = true;
    step->with_pdata = ta->pdata != NULL;
    return step;
}

tam_step *tam_plan_foreign(const struct tam_plan *plan, bool deletes, size_t *index,
                           struct error *err)
{
    size_t seen = 0;
    for (size_t i = 0; i < plan->rules->sp_count; i++)
        for (size_t k = 0; k < plan->rules->sps[i].sd_count; k++) {
            const struct policy_sp *sp = &plan->rules->sps[i];
            const struct policy_sd *sd = &sp->sds[k];
            for (size_t n = 0; n < sd->ta_count; n++) {
                if (seen++ < *index)
                    continue;
                ++*index;
                if (shows_ta(plan->device, sd->tas[n].taid) == deletes)
                    return foreign_step(sp, sd, &sd->tas[n], deletes, err);
            }
        }
    tam_step *step = tam_step_new(MESSAGE_GET_DEVICE_STATE, NULL, NULL, NULL, err);
    if (step)
        step->done = true;
    return step;
}

char *tam_plan_obstacle(const struct tam_plan *plan)
{
    for (size_t i = 0; i < plan->known->ta_count; i++) {
        const struct known_ta *known = &plan->known->tas[i];
        const struct policy_sp *sp = find_sp(plan->rules, known->spid);
        const struct policy_sd *sd = sp ? find_sd(plan->rules,
                                                  &(struct dsi_sd){.spid = known->spid,
                                                                   .name = known->sdname})
                                        : NULL;
        for (size_t k = 0; sd && k < sd->ta_count; k++) {
            char *text;
            if (strcmp(sd->tas[k].taid, known->taid) != 0 || known->unsure ||
                known->version <= sd->tas[k].version)
                continue;
            if (asprintf(&text,
                         "%s in %s/%s stays at version %lld: the policy wants an older one, "
                         "which a TEE does not take",
                         known->taid, known->spid, known->sdname, known->version) < 0)
                return NULL;
            return text;
        }
    }
    return NULL;
}
