/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/policy.h"

#include <string.h>

static void sd_clear(struct policy_sd *sd)
{
    for (size_t i = 0; i < sd->ta_count; i++) {
        buffer_free(sd->tas[i].package);
        buffer_free(sd->tas[i].pdata);
    }
    free(sd->tas);
}

static void sps_free(struct policy_sp *sps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < sps[i].sd_count; k++)
            sd_clear(&sps[i].sds[k]);
        for (size_t k = 0; k < sps[i].cert_count; k++) {
            free(sps[i].certs[k].base64);
            free(sps[i].certs[k].sha256);
        }
        free(sps[i].sds);
        free(sps[i].certs);
    }
    free(sps);
}

void policy_free(policy *p)
{
    if (!p || atomic_fetch_sub(&p->holders, 1) > 1)
        return;
    sps_free(p->sps, p->sp_count);
    for (size_t i = 0; i < p->device_count; i++)
        sps_free(p->devices[i].sps, p->devices[i].sp_count);
    free(p->devices);
    x509_stack_free(p->tee_roots);
    json_decref(p->json);
    free(p);
}

policy *policy_empty(struct error *err)
{
    policy *p = calloc(1, sizeof *p);
    if (!p) {
        error_memory(err);
        return NULL;
    }
    atomic_init(&p->holders, 1);
    return p;
}

policy *policy_hold(policy *p)
{
    atomic_fetch_add(&p->holders, 1);
    return p;
}

const struct policy_rules *policy_rules_for(const policy *p, const char *did)
{
    for (size_t i = 0; i < p->device_count; i++)
        if (did && strcmp(p->devices[i].did, did) == 0)
            return &p->devices[i].rules;
    return &p->rules;
}

/* "1.*" stands for all versions that begin with "1.". */
static bool version_fits(const char *pattern, const char *version)
{
    size_t length = strlen(pattern);
    if (length && pattern[length - 1] == '*')
        return strncmp(pattern, version, length - 1) == 0;
    return strcmp(pattern, version) == 0;
}

bool policy_accepts_version(const struct policy_rules *rules, const char *version)
{
    for (size_t i = 0; i < json_array_size(rules->tee_versions); i++)
        if (version_fits(json_string_value(json_array_get(rules->tee_versions, i)), version))
            return true;
    return !rules->tee_versions;
}
