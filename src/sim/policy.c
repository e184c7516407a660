/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/policy.h"

#include <stdio.h>
#include <string.h>

#include "jose/key_set.h"
#include "otrp/ta_package.h"
#include "util/base64.h"
#include "util/file.h"
#include "util/limits.h"

void policy_free(policy *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->sp_count; i++) {
        for (size_t j = 0; j < p->sps[i].sd_count; j++) {
            struct policy_sd *sd = &p->sps[i].sds[j];
            for (size_t k = 0; k < sd->ta_count; k++) {
                buffer_free(sd->tas[k].package);
                buffer_free(sd->tas[k].pdata);
            }
            free(sd->tas);
        }
        free(p->sps[i].sds);
        free(p->sps[i].cert);
    }
    free(p->sps);
    json_decref(p->json);
    free(p);
}

/* Where the reader is: the policy file, its folder, and the JSON path for messages. */
struct reading {
    const char *file;
    char *folder;
    const char *passin;
    struct error *err;
};

static bool mistake(const struct reading *in, const char *path, const char *what)
{
    return error_set(in->err, RC_MALFORMED, "%s: %s%s%s", in->file, path, *path ? ": " : "", what);
}

/* Refuses members that are none of known (NULL-terminated): a misspelt one must not be silently
 * ignored. */
static bool check_known(const struct reading *in, const json_t *object, const char *path,
                        const char *const *known)
{
    const char *name;
    json_t *value;
    if (!json_is_object(object))
        return mistake(in, path, "not an object");
    json_object_foreach ((json_t *)object, name, value) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], name) != 0)
            i++;
        if (known[i])
            continue;
        char inner[256];
        snprintf(inner, sizeof inner, "%s%s%.80s", path, *path ? "." : "", name);
        return mistake(in, inner, "unknown member");
    }
    return true;
}

static bool get_name(const struct reading *in, const json_t *object, const char *path,
                     const char *member, const char **text)
{
    if (!json_get_text(object, path, member, text, in->err))
        return error_prefix(in->err, "%s", in->file);
    size_t length = strlen(*text);
    if (length >= 1 && length <= LIMIT_NAME_BYTES)
        return true;
    char inner[256];
    snprintf(inner, sizeof inner, "%s.%s", path, member);
    return mistake(in, inner, "not 1 to 255 bytes long");
}

/* The path of a file that the policy names; *path NULL when the member is absent. */
static bool get_path(const struct reading *in, const json_t *object, const char *at,
                     const char *member, bool required, char **path)
{
    const char *text;
    *path = NULL;
    if (!required && !json_object_get(object, member))
        return true;
    if (!json_get_text(object, at, member, &text, in->err))
        return error_prefix(in->err, "%s", in->file);
    *path = text[0] == '/' ? strdup(text) : path_join(in->folder, text);
    return *path || error_memory(in->err);
}

static bool get_flag(const struct reading *in, const json_t *object, const char *member, bool *flag)
{
    const json_t *value = json_object_get(object, member);
    *flag = json_is_true(value);
    return !value || json_is_boolean(value) || mistake(in, member, "neither true nor false");
}

/* An array member as its elements; an absent one has none. */
static bool get_array(const struct reading *in, const json_t *object, const char *path,
                      const char *member, const json_t **array)
{
    *array = json_object_get(object, member);
    if (!*array || json_is_array(*array))
        return true;
    char inner[256];
    snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", member);
    return mistake(in, inner, "not an array");
}

/* An SP while its SDs are read: the key and chain that sign its raw TAs. */
typedef struct signing {
    key_set *keys;
    X509_stack *chain;
} signing;

static void signing_free(signing *s)
{
    key_set_free(s->keys);
    sk_X509_pop_free(s->chain, X509_free);
}
AUTO_DEFINE(signing, signing_free)

/* A version in the policy, or TA_NO_VERSION. */
static bool get_version(const struct reading *in, const json_t *ta, const char *path,
                        long long *version)
{
    const json_t *value = json_object_get(ta, "version");
    *version = value ? json_integer_value(value) : TA_NO_VERSION;
    return !value || (json_is_integer(value) && *version >= 0) ||
           mistake(in, path, "version is no whole number from 0 on");
}

/* A package that the device would refuse is better refused here. */
static bool check_package(const struct reading *in, const char *path, const signing *sp,
                          long long version, const struct policy_ta *ta)
{
    AUTO(ta_package) *package = ta_package_open(buffer_span(ta->package), sp->chain, in->err);
    if (!package)
        return error_prefix(in->err, "%s: %s.file: not signed with the SP's cert", in->file, path);
    if (package->taid && strcmp(package->taid, ta->taid) != 0)
        return mistake(in, path, "the package is for another taid");
    return version == TA_NO_VERSION || version == package->version ||
           mistake(in, path, "version is not that of the package");
}

static bool read_package(const struct reading *in, const json_t *json, const char *path,
                         const signing *sp, struct policy_ta *ta)
{
    AUTO(char) *file = NULL;
    long long version;
    if (!get_path(in, json, path, "file", true, &file) || !get_version(in, json, path, &version))
        return false;
    AUTO(buffer) *bytes = input_read(file, LIMIT_FILE_BYTES, in->err);
    if (!bytes)
        return error_prefix(in->err, "%s: %s.file", in->file, path);
    if (ta_package_is(buffer_span(bytes))) {
        ta->package = TAKE(bytes);
        return check_package(in, path, sp, version, ta);
    }
    if (!sp->keys) {
        mistake(in, path, "the file is no TA package signed by its SP");
        return error_hint(in->err,
                          "sign it with 'otrp sign', or give the SP's private key as \"key\"");
    }
    ta->package = ta_package_sign(buffer_span(bytes), sp->keys->keys[0], sp->chain, ta->taid,
                                  version, in->err);
    return ta->package || error_prefix(in->err, "%s: %s", in->file, path);
}

static bool read_ta(const struct reading *in, const json_t *json, const char *path,
                    const signing *sp, struct policy_ta *ta)
{
    static const char *const known[] = {"taid", "name", "file", "version", "pdata", NULL};
    AUTO(char) *pdata = NULL;
    if (!check_known(in, json, path, known) || !get_name(in, json, path, "taid", &ta->taid) ||
        (json_object_get(json, "name") && !get_name(in, json, path, "name", &ta->name)) ||
        !read_package(in, json, path, sp, ta) || !get_path(in, json, path, "pdata", false, &pdata))
        return false;
    ta->pdata = pdata ? input_read(pdata, LIMIT_FILE_BYTES, in->err) : NULL;
    return !pdata || ta->pdata || error_prefix(in->err, "%s: %s.pdata", in->file, path);
}

static bool read_sd(const struct reading *in, const json_t *json, const char *path,
                    const signing *sp, struct policy_sd *sd)
{
    static const char *const known[] = {"name", "tas", NULL};
    const json_t *tas;
    if (!check_known(in, json, path, known) || !get_name(in, json, path, "name", &sd->name) ||
        !get_array(in, json, path, "tas", &tas))
        return false;
    sd->tas = calloc(json_array_size(tas) + 1, sizeof *sd->tas);
    if (!sd->tas)
        return error_memory(in->err);
    for (size_t i = 0; i < json_array_size(tas); i++) {
        char inner[200];
        snprintf(inner, sizeof inner, "%s.tas[%zu]", path, i);
        sd->ta_count++;
        if (!read_ta(in, json_array_get(tas, i), inner, sp, &sd->tas[i]))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(sd->tas[k].taid, sd->tas[i].taid) == 0)
                return mistake(in, inner, "the SD lists this taid twice");
    }
    return true;
}

static bool read_sp_files(const struct reading *in, const json_t *json, const char *path,
                          signing *s, struct policy_sp *sp)
{
    AUTO(char) *cert = NULL;
    AUTO(char) *key_path = NULL;
    if (!get_path(in, json, path, "cert", true, &cert) ||
        !get_path(in, json, path, "key", false, &key_path))
        return false;
    s->chain = cert_load(cert, in->err);
    AUTO(buffer) *der = s->chain ? cert_to_der(sk_X509_value(s->chain, 0), in->err) : NULL;
    AUTO(buffer) *text = der ? buffer_new(der->size * 2) : NULL;
    if (!text)
        return error_prefix(in->err, "%s: %s.cert", in->file, path);
    buffer_put_base64(text, buffer_span(der));
    sp->cert = span_dup(buffer_span(text));
    s->keys = key_path ? key_set_load(key_path,
                                      &(struct key_how){.part = KEY_PRIVATE, .passin = in->passin},
                                      in->err)
                       : NULL;
    if (key_path && !s->keys)
        return error_prefix(in->err, "%s: %s.key", in->file, path);
    if (s->keys &&
        EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(s->chain, 0)), s->keys->keys[0]->pkey) != 1)
        return mistake(in, path, "key is not that of cert");
    return sp->cert || error_memory(in->err);
}

static bool read_sp(const struct reading *in, const json_t *json, const char *path,
                    struct policy_sp *sp)
{
    static const char *const known[] = {"spid", "cert", "key", "sds", NULL};
    signing files = {NULL, NULL};
    AUTO(signing) *s = &files;
    const json_t *sds;
    if (!check_known(in, json, path, known) || !get_name(in, json, path, "spid", &sp->spid) ||
        !read_sp_files(in, json, path, s, sp) || !get_array(in, json, path, "sds", &sds))
        return false;
    sp->sds = calloc(json_array_size(sds) + 1, sizeof *sp->sds);
    if (!sp->sds)
        return error_memory(in->err);
    for (size_t i = 0; i < json_array_size(sds); i++) {
        char inner[100];
        snprintf(inner, sizeof inner, "%s.sds[%zu]", path, i);
        sp->sd_count++;
        if (!read_sd(in, json_array_get(sds, i), inner, s, &sp->sds[i]))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(sp->sds[k].name, sp->sds[i].name) == 0)
                return mistake(in, inner, "the SP lists this SD twice");
    }
    return true;
}

static bool read_policy(const struct reading *in, policy *p)
{
    static const char *const known[] = {"sps", "remove_unlisted", "require_tfw", NULL};
    const json_t *sps;
    if (!check_known(in, p->json, "", known) || !get_array(in, p->json, "", "sps", &sps) ||
        !get_flag(in, p->json, "remove_unlisted", &p->remove_unlisted) ||
        !get_flag(in, p->json, "require_tfw", &p->require_tfw))
        return false;
    p->sps = calloc(json_array_size(sps) + 1, sizeof *p->sps);
    if (!p->sps)
        return error_memory(in->err);
    for (size_t i = 0; i < json_array_size(sps); i++) {
        char path[40];
        snprintf(path, sizeof path, "sps[%zu]", i);
        p->sp_count++;
        if (!read_sp(in, json_array_get(sps, i), path, &p->sps[i]))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(p->sps[k].spid, p->sps[i].spid) == 0)
                return mistake(in, path, "the policy lists this spid twice");
    }
    return true;
}

policy *policy_empty(struct error *err)
{
    policy *p = calloc(1, sizeof *p);
    if (!p)
        error_memory(err);
    return p;
}

policy *policy_load(const char *path, const char *passin, struct error *err)
{
    AUTO(policy) *p = policy_empty(err);
    AUTO(buffer) *text = p ? input_read(path, LIMIT_SMALL_JSON, err) : NULL;
    const char *slash = strrchr(path, '/');
    AUTO(char) *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!text || !folder)
        return text ? (error_memory(err), NULL) : NULL;
    p->json = json_load_span(buffer_span(text), path, err);
    struct reading in = {.file = path, .folder = folder, .passin = passin, .err = err};
    return p->json && read_policy(&in, p) ? TAKE(p) : NULL;
}

/* ---- what to do next ---- */

static const struct policy_sp *find_sp(const policy *p, const char *spid)
{
    for (size_t i = 0; i < p->sp_count; i++)
        if (strcmp(p->sps[i].spid, spid) == 0)
            return &p->sps[i];
    return NULL;
}

static const struct policy_sd *find_sd(const policy *p, const struct dsi_sd *on_device)
{
    const struct policy_sp *sp = find_sp(p, on_device->spid);
    for (size_t i = 0; sp && i < sp->sd_count; i++)
        if (strcmp(sp->sds[i].name, on_device->name) == 0)
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

/* What is on the device and not in the policy: a TA first, then an SD that has none left. */
static bool next_removal(const policy *p, const dsi *device, struct policy_step *step)
{
    for (size_t i = 0; i < device->sd_count; i++) {
        const struct dsi_sd *sd = &device->sds[i];
        const struct policy_sd *wanted = find_sd(p, sd);
        for (size_t k = 0; k < sd->ta_count; k++)
            if (!lists_ta(wanted, sd->tas[k].taid)) {
                *step = (struct policy_step){.type = MESSAGE_DELETE_TA,
                                             .spid = sd->spid,
                                             .sdname = sd->name,
                                             .taid = sd->tas[k].taid};
                return true;
            }
        if (!wanted) {
            *step = (struct policy_step){
                .type = MESSAGE_DELETE_SD, .spid = sd->spid, .sdname = sd->name};
            return true;
        }
    }
    return false;
}

static bool next_in_sd(const struct policy_sp *sp, const struct policy_sd *sd, const dsi *device,
                       struct policy_step *step)
{
    const struct dsi_sd *there = dsi_find_sd(device, sp->spid, sd->name);
    *step = (struct policy_step){.spid = sp->spid, .sdname = sd->name, .sp = sp};
    if (!there) {
        step->type = MESSAGE_CREATE_SD;
        return true;
    }
    for (size_t i = 0; i < sd->ta_count; i++) {
        if (dsi_find_ta(there, sd->tas[i].taid))
            continue;
        step->type = MESSAGE_INSTALL_TA;
        step->taid = sd->tas[i].taid;
        step->ta = &sd->tas[i];
        return true;
    }
    return false;
}

struct policy_step policy_next(const policy *p, const dsi *device)
{
    struct policy_step step;
    if (p->remove_unlisted && next_removal(p, device, &step))
        return step;
    for (size_t i = 0; i < p->sp_count; i++)
        for (size_t k = 0; k < p->sps[i].sd_count; k++)
            if (next_in_sd(&p->sps[i], &p->sps[i].sds[k], device, &step))
                return step;
    return (struct policy_step){.done = true};
}
