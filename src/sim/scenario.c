/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario.h"

#include <stdio.h>
#include <string.h>

#include "jose/key_set.h"
#include "otrp/error_code.h"
#include "otrp/json_path.h"
#include "otrp/ta_package.h"
#include "pki/cert.h"
#include "sim/config.h"
#include "util/file.h"
#include "util/limits.h"

void scenario_free(scenario *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        free(s->steps[i].spcert);
        json_decref(s->steps[i].add_spcert);
        json_decref(s->steps[i].del_spcert);
        buffer_free(s->steps[i].package);
        buffer_free(s->steps[i].pdata);
    }
    free(s->steps);
    mutations_free(s->known);
    json_decref(s->json);
    free(s);
}

/* ---- reading ---- */

/* The first certificate of a file, as one of the two forms in which requests name it. */
static json_t *cert_as_json(config *in, const json_t *path, struct place place, bool as_hash)
{
    struct error why;
    const char *text = json_string_value(path);
    if (!text) {
        config_mistake(in, place, "not a string");
        return NULL;
    }
    AUTO(char) *file = config_resolve(in, text);
    AUTO(X509_stack) *certs = file ? cert_load(file, &why) : NULL;
    if (!certs) {
        if (file)
            config_mistake_error(in, place, &why);
        return NULL;
    }
    const X509 *cert = sk_X509_value(certs, 0);
    AUTO(char) *hash = as_hash ? cert_sha256_hex(cert, &why) : NULL;
    AUTO(buffer) *der = as_hash ? NULL : cert_to_der(cert, &why);
    return hash ? json_string(hash) : der ? json_base64(buffer_span(der)) : NULL;
}

static json_t *certs_of(config *in, const json_t *json, struct place place, const char *member,
                        bool as_hash)
{
    const json_t *paths = config_array(in, json, place, member);
    json_t *list = paths ? json_array() : NULL;
    for (size_t i = 0; list && i < json_array_size(paths); i++)
        json_array_append_new(list, cert_as_json(in, json_array_get(paths, i),
                                                 place_index(place, member, i), as_hash));
    return list;
}

static buffer *file_of(config *in, const json_t *json, struct place place, const char *member)
{
    struct error why;
    AUTO(char) *path = config_path(in, json, place, member, false);
    AUTO(buffer) *bytes = path ? input_read(path, LIMIT_FILE_BYTES, &why) : NULL;
    if (path && !bytes)
        config_mistake_error(in, place_at(place, member), &why);
    return TAKE(bytes);
}

/* A package goes as it is, whatever it holds; a raw TA is signed with sp_key, if there is one. */
static void read_package(config *in, const json_t *json, struct place place,
                         struct scenario_step *step)
{
    struct error why;
    AUTO(buffer) *bytes = file_of(in, json, place, "ta");
    long long version = config_number(in, json, place, "version", 0, INT64_MAX, TA_NO_VERSION);
    AUTO(char) *key_path = config_path(in, json, place, "sp_key", false);
    if (!bytes || !key_path) {
        step->package = TAKE(bytes);
        return;
    }
    AUTO(key_set) *keys = key_set_load(
        key_path, &(struct key_how){.part = KEY_PRIVATE, .passin = in->passin}, &why);
    step->package = keys ? ta_package_sign(buffer_span(bytes), keys->keys[0], NULL, step->taid,
                                           version, &why)
                         : NULL;
    if (!step->package)
        config_mistake_error(in, place_at(place, "sp_key"), &why);
}

static void read_type(config *in, const json_t *json, struct place place,
                      struct scenario_step *step)
{
    const char *text = config_text(in, json, place, "request", true);
    for (enum message_id id = 0; text && id < MESSAGE_COUNT; id++)
        if (strcmp(message_type(id)->option, text) == 0) {
            step->type = id;
            return;
        }
    if (text)
        config_mistake(in, place_at(place, "request"),
                       "none of get-device-state, create-sd, update-sd, delete-sd, install-ta, "
                       "update-ta, delete-ta");
}

static void read_expectation(config *in, const json_t *json, struct place place,
                             struct scenario_step *step)
{
    static const char *const words[] = {SCENARIO_PASS, SCENARIO_NO_ANSWER, SCENARIO_REFUSED,
                                        SCENARIO_ANY_FAIL, NULL};
    const char *text = config_text(in, json, place, "expect", false);
    step->expected = text ? text : SCENARIO_PASS;
    for (size_t i = 0; words[i]; i++)
        if (strcmp(words[i], step->expected) == 0)
            return;
    if (!error_code_find(step->expected))
        config_mistake(in, place_at(place, "expect"),
                       "neither pass, fail, none, refused nor an error code");
}

static void read_changes(config *in, const json_t *json, struct place place,
                         struct scenario_step *step)
{
    step->set = json_object_get(json, "set");
    if (step->set && !json_is_object(step->set))
        config_mistake(in, place_at(place, "set"), "not an object");
    step->unset = config_array(in, json, place, "unset");
    for (size_t i = 0; i < json_array_size(step->unset); i++)
        if (!json_is_string(json_array_get(step->unset, i)))
            config_mistake(in, place_index(place, "unset", i), "not a string");
}

/* "break": one name, or an array of them. */
static void read_breaks(config *in, const json_t *json, struct place place, scenario *s,
                        struct scenario_step *step)
{
    const json_t *names = json_object_get(json, "break");
    size_t count = json_is_array(names) ? json_array_size(names) : names ? 1 : 0;
    struct error why;
    if (count > SCENARIO_BREAKS)
        return config_mistake(in, place_at(place, "break"), "more than 16");
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_is_array(names) ? json_array_get(names, i) : names;
        struct place here = json_is_array(names) ? place_index(place, "break", i)
                                                 : place_at(place, "break");
        if (!json_is_string(name)) {
            config_mistake(in, here, "not a string");
            continue;
        }
        if (!s->known)
            s->known = mutations_new(MUTATION_REQUEST, &why);
        const struct mutation *m = s->known ? mutation_find(s->known, step->type,
                                                            json_string_value(name), &why)
                                            : NULL;
        if (m)
            step->broken[step->broken_count++] = m;
        else
            config_mistake_error(in, here, &why);
    }
}

static void read_step(config *in, const json_t *json, struct place place, scenario *s,
                      struct scenario_step *step)
{
    static const char *const known[] = {
        "name",    "request",   "expect",     "rid",        "tid",       "spid",      "sdname",
        "spcert",  "taid",      "taname",     "ta",         "sp_key",    "version",   "pdata",
        "newspid", "newsdname", "add_spcert", "del_spcert", "renew_aik", "delete_ta", "nextdsi",
        "set",     "unset",     "break",      NULL};
    if (!config_object(in, json, place, known))
        return;
    read_type(in, json, place, step);
    read_expectation(in, json, place, step);
    read_changes(in, json, place, step);
    read_breaks(in, json, place, s, step);
    struct {
        const char *member, **text;
    } texts[] = {
        {"name", &step->name},     {"rid", &step->rid},         {"tid", &step->tid},
        {"spid", &step->spid},     {"sdname", &step->sdname},   {"taid", &step->taid},
        {"taname", &step->taname}, {"newspid", &step->newspid}, {"newsdname", &step->newsdname}};
    for (size_t i = 0; i < COUNT(texts); i++)
        *texts[i].text = config_text(in, json, place, texts[i].member, false);
    bool nextdsi = true;
    config_flag(in, json, place, "nextdsi", &nextdsi);
    step->no_nextdsi = !nextdsi;
    config_flag(in, json, place, "renew_aik", &step->renew_aik);
    config_flag(in, json, place, "delete_ta", &step->delete_ta);
    if (json_object_get(json, "spcert")) {
        AUTO(json_t) *cert = cert_as_json(in, json_object_get(json, "spcert"),
                                          place_at(place, "spcert"), false);
        step->spcert = cert ? strdup(json_string_value(cert)) : NULL;
    }
    step->add_spcert = certs_of(in, json, place, "add_spcert", false);
    step->del_spcert = certs_of(in, json, place, "del_spcert", true);
    read_package(in, json, place, step);
    step->pdata = file_of(in, json, place, "pdata");
}

/* ---- whether a step can be made ---- */

static const char content_prefix[] = "content.";

static bool is_of_content(const char *path)
{
    return strncmp(path, content_prefix, sizeof content_prefix - 1) == 0;
}

static void check_content_paths(config *in, struct place place, const struct scenario_step *step)
{
    const char *path;
    json_t *value;
    size_t i;
    json_object_foreach ((json_t *)step->set, path, value) {
        if (is_of_content(path))
            config_mistake(in, place_at(place_at(place, "set"), path),
                           "the request has no content");
    }
    json_array_foreach (step->unset, i, value) {
        if (is_of_content(json_string_value(value)))
            config_mistake(in, place_index(place, "unset", i), "the request has no content");
    }
}

/* What will be missing whatever the device says. state_known: a step before asks for its state. */
static void check_step(config *in, struct place place, const struct scenario_step *step,
                       const struct profile *profile, bool state_known)
{
    struct error why = {.rc = RC_OK};
    dsi nobody = {.did = (char *)""};
    struct request_draft draft = {
        .type = message_type(step->type), .tamid = "", .device = &nobody, .profile = profile};
    if (step->type != MESSAGE_GET_DEVICE_STATE && !state_known)
        config_mistake(in, place_at(place, "request"),
                       "needs the state of the device: no get-device-state that is to pass comes "
                       "before it");
    scenario_fill(step, &draft);
    AUTO(json_t) *content = request_content(&draft, &why);
    if (why.rc != RC_OK)
        config_mistake(in, place, why.message);
    else if (!content)
        check_content_paths(in, place, step);
    bool with_ta = step->type == MESSAGE_INSTALL_TA || step->type == MESSAGE_UPDATE_TA;
    if (with_ta && !step->package && !step->pdata &&
        !(profile && profile->make.ta == TA_FORM_EMPTY))
        config_mistake(in, place_at(place, "ta"), "missing");
}

static void read_scenario(config *in, const struct profile *profile, scenario *s)
{
    static const char *const known[] = {"name", "steps", NULL};
    struct place top = {""};
    bool state_known = false;
    if (!config_object(in, s->json, top, known))
        return;
    s->name = config_text(in, s->json, top, "name", false);
    const json_t *steps = config_array(in, s->json, top, "steps");
    s->steps = calloc(json_array_size(steps) + 1, sizeof *s->steps);
    if (json_array_size(steps) == 0)
        config_mistake(in, place_at(top, "steps"), "there is none");
    for (size_t i = 0; s->steps && i < json_array_size(steps); i++) {
        struct place place = place_index(top, "steps", i);
        struct scenario_step *step = &s->steps[i];
        size_t before = json_array_size(in->mistakes);
        s->count++;
        read_step(in, json_array_get(steps, i), place, s, step);
        bool readable = json_array_size(in->mistakes) == before;
        if (readable)
            check_step(in, place, step, profile, state_known);
        /* a step with mistakes gets the benefit of the doubt, so that they are told once */
        state_known |= !readable || (step->type == MESSAGE_GET_DEVICE_STATE &&
                                     strcmp(step->expected, SCENARIO_PASS) == 0);
    }
}

scenario *scenario_load(const char *path, const char *passin, const struct profile *profile,
                        json_t *mistakes, struct error *err)
{
    config file = {.json = NULL};
    AUTO(config) *in = &file;
    AUTO(scenario) *s = calloc(1, sizeof *s);
    if (!s) {
        error_memory(err);
        return NULL;
    }
    if (!config_open(in, path, passin, mistakes, err))
        return NULL;
    s->json = json_incref(in->json);
    read_scenario(in, profile, s);
    if (in->first.rc == RC_OK)
        return TAKE(s);
    *err = in->first;
    return NULL;
}

/* ---- making requests ---- */

void scenario_fill(const struct scenario_step *step, struct request_draft *d)
{
    if (step->rid)
        d->rid = step->rid;
    if (step->tid)
        d->tid = step->tid;
    d->nextdsi = !step->no_nextdsi;
    d->spid = step->spid;
    d->sdname = step->sdname;
    d->spcert = step->spcert;
    d->taid = step->taid;
    d->taname = step->taname;
    d->newspid = step->newspid;
    d->newsdname = step->newsdname;
    d->add_spcert = step->add_spcert;
    d->del_spcert = step->del_spcert;
    d->renew_aik = step->renew_aik;
    d->delete_ta = step->delete_ta;
    d->package = step->package;
    d->pdata = step->pdata;
}

/* "content.spid" is a place in the content, any other one in the TBS. */
static json_t *part_of(const char **path, json_t *tbs, json_t *content)
{
    if (!is_of_content(*path))
        return tbs;
    *path += sizeof content_prefix - 1;
    return content;
}

bool scenario_change(const struct scenario_step *step, json_t *tbs, json_t *content,
                     struct error *err)
{
    const char *path, *name;
    json_t *value;
    json_object_foreach ((json_t *)step->set, name, value) {
        path = name;
        json_t *part = part_of(&path, tbs, content);
        AUTO(json_t) *wrapped = json_pack("[O]", value);
        AUTO(buffer) *text = wrapped ? json_compact(wrapped) : NULL;
        AUTO(char) *assignment = NULL;
        if (!text || asprintf(&assignment, "%s=%.*s", path, (int)text->size - 2,
                              (const char *)text->data + 1) < 0)
            return error_memory(err);
        if (!part || !json_path_set(part, assignment, err))
            return part ? error_prefix(err, "set")
                        : error_set(err, RC_USAGE, "set: %s: there is no content", path);
    }
    for (size_t i = 0; i < json_array_size(step->unset); i++) {
        path = json_string_value(json_array_get(step->unset, i));
        json_t *part = part_of(&path, tbs, content);
        if (!part || !json_path_unset(part, path, err))
            return part ? error_prefix(err, "unset")
                        : error_set(err, RC_USAGE, "unset: %s: there is no content", path);
    }
    return true;
}
