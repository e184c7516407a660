/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a policy file (policy.h, otrp-policy(5)). A mistake does not end the reading: the next one
 * is looked for, so that a file is mended in one go.
 */
#include "sim/policy.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "jose/key_set.h"
#include "otrp/algorithm.h"
#include "otrp/ta_package.h"
#include "sim/config.h"
#include "util/base64.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/limits.h"

static void hash_hex(struct span data, char hex[SHA256_HEX])
{
    uint8_t hash[32] = {0};
    EVP_Digest(data.data, data.size, hash, NULL, EVP_sha256(), NULL);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
}

/* ---- service providers ---- */

/* An SP while its SDs are read: what signs its raw TAs, and who may have signed packages. */
typedef struct signing {
    bool key_given; /* whether it could be read or not */
    key_set *keys;
    X509_stack *chain; /* its own certificate, with what is above it */
    X509_stack *candidates;
} signing;

static void signing_free(signing *s)
{
    key_set_free(s->keys);
    x509_stack_free(s->chain);
    x509_stack_free(s->candidates);
}
AUTO_DEFINE(signing, signing_free)

/* Adds the first certificate of a file to what the SP's SDs store. */
static X509_stack *add_cert(config *in, const char *path, struct place place, signing *s,
                            struct policy_sp *sp)
{
    struct error why;
    error_memory(&why);
    AUTO(X509_stack) *chain = cert_load(path, &why);
    X509 *cert = chain ? sk_X509_value(chain, 0) : NULL;
    AUTO(buffer) *der = cert ? cert_to_der(cert, &why) : NULL;
    AUTO(char) *sha256 = der ? cert_sha256_hex(cert, &why) : NULL;
    AUTO(buffer) *text = sha256 ? buffer_new(der->size * 2) : NULL;
    if (!text) {
        config_mistake_error(in, place, &why);
        return NULL;
    }
    for (size_t i = 0; i < sp->cert_count; i++)
        if (strcmp(sp->certs[i].sha256, sha256) == 0) {
            config_mistake(in, place, "the same certificate as another one of this SP");
            return NULL;
        }
    buffer_put_base64(text, buffer_span(der));
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (X509_up_ref(sk_X509_value(chain, i)))
            sk_X509_push(s->candidates, sk_X509_value(chain, i));
    sp->certs[sp->cert_count].base64 = span_dup(buffer_span(text));
    sp->certs[sp->cert_count++].sha256 = TAKE(sha256);
    return TAKE(chain);
}

static void read_key(config *in, const json_t *json, struct place place, signing *s)
{
    struct error why;
    AUTO(char) *path = config_path(in, json, place, "key", false);
    s->key_given = json_object_get(json, "key") != NULL;
    if (!path)
        return;
    s->keys = key_set_load(path, &(struct key_how){.part = KEY_PRIVATE, .passin = in->passin},
                           &why);
    if (!s->keys)
        config_mistake_error(in, place_at(place, "key"), &why);
    else if (s->chain &&
             EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(s->chain, 0)), s->keys->keys[0]->pkey) != 1)
        config_mistake(in, place, "key is not that of cert");
}

static void read_sp_files(config *in, const json_t *json, struct place place, signing *s,
                          struct policy_sp *sp)
{
    const json_t *more = config_array(in, json, place, "more_certs");
    sp->certs = calloc(json_array_size(more) + 1, sizeof *sp->certs);
    s->candidates = sk_X509_new_null();
    AUTO(char) *cert = config_path(in, json, place, "cert", true);
    if (!sp->certs || !s->candidates)
        return config_mistake(in, place, "out of memory");
    if (cert)
        s->chain = add_cert(in, cert, place_at(place, "cert"), s, sp);
    if (json_array_size(more) >= LIMIT_SD_CERTS)
        return config_mistake(in, place_at(place, "more_certs"), "more than an SD can store");
    for (size_t i = 0; i < json_array_size(more); i++) {
        const char *text = json_string_value(json_array_get(more, i));
        AUTO(char) *path = text ? config_resolve(in, text) : NULL;
        if (path)
            x509_stack_free(add_cert(in, path, place_index(place, "more_certs", i), s, sp));
        else
            config_mistake(in, place_index(place, "more_certs", i), "not a string");
    }
    read_key(in, json, place, s);
}

static void read_renewal(config *in, const json_t *json, struct place place, struct policy_sp *sp)
{
    const char *text = config_text(in, json, place, "renew_aik", false);
    struct clock clock;
    struct error why;
    if (text && !clock_open(&clock, text, &why))
        config_mistake(in, place_at(place, "renew_aik"),
                       "not a time; write it as 2026-11-21T10:00:00Z or 2026-11-21");
    else if (text)
        sp->renews_aik = true, sp->renew_aik = clock.at;
    sp->aik_days = (long)config_number(in, json, place, "aik_days", 1, 36500, 0);
}

/* ---- trusted applications ---- */

/* A package that the device would refuse is better refused here. */
static void check_package(config *in, struct place place, const signing *sp, struct policy_ta *ta)
{
    struct error why;
    if (!sk_X509_num(sp->candidates))
        return; /* said already */
    AUTO(ta_package) *package = ta_package_open(buffer_span(ta->package), sp->candidates, &why);
    if (!package) {
        error_prefix(&why, "not signed with the SP's cert");
        return config_mistake_error(in, place_at(place, "file"), &why);
    }
    if (package->taid && ta->taid && strcmp(package->taid, ta->taid) != 0)
        config_mistake(in, place, "the package is for another taid");
    if (ta->version != TA_NO_VERSION && ta->version != package->version)
        config_mistake(in, place, "version is not that of the package");
    ta->version = package->version;
    hash_hex(buffer_span(package->ta), ta->sha256);
}

static void sign_package(config *in, struct place place, const signing *sp, const buffer *bytes,
                         struct policy_ta *ta)
{
    struct error why;
    if (!sp->keys && sp->key_given)
        return; /* said already */
    if (!sp->keys) {
        error_set(&why, RC_MALFORMED, "the file is no TA package signed by its SP");
        error_hint(&why, "sign it with 'otrp sign', or give the SP's private key as \"key\"");
        return config_mistake_error(in, place, &why);
    }
    ta->package = ta_package_sign(buffer_span(bytes), sp->keys->keys[0], sp->chain, ta->taid,
                                  ta->version, &why);
    if (!ta->package)
        config_mistake_error(in, place, &why);
    hash_hex(buffer_span(bytes), ta->sha256);
}

static void read_package(config *in, const json_t *json, struct place place, const signing *sp,
                         struct policy_ta *ta)
{
    struct error why;
    AUTO(char) *path = config_path(in, json, place, "file", true);
    AUTO(buffer) *bytes = path ? input_read(path, LIMIT_FILE_BYTES, &why) : NULL;
    if (path && !bytes)
        config_mistake_error(in, place_at(place, "file"), &why);
    if (!bytes)
        return;
    if (!ta_package_is(buffer_span(bytes)))
        return sign_package(in, place, sp, bytes, ta);
    ta->package = TAKE(bytes);
    check_package(in, place, sp, ta);
}

static void read_ta(config *in, const json_t *json, struct place place, const signing *sp,
                    struct policy_ta *ta)
{
    static const char *const known[] = {"taid", "name", "file", "version", "pdata", NULL};
    ta->version = TA_NO_VERSION;
    if (!config_object(in, json, place, known))
        return;
    ta->taid = config_name(in, json, place, "taid", true);
    ta->name = config_name(in, json, place, "name", false);
    const json_t *version = json_object_get(json, "version");
    if (version && json_is_integer(version) && json_integer_value(version) >= 0)
        ta->version = json_integer_value(version);
    else if (version)
        config_mistake(in, place, "version is no whole number from 0 on");
    read_package(in, json, place, sp, ta);
    struct error why;
    AUTO(char) *pdata = config_path(in, json, place, "pdata", false);
    ta->pdata = pdata ? input_read(pdata, LIMIT_FILE_BYTES, &why) : NULL;
    if (ta->pdata)
        hash_hex(buffer_span(ta->pdata), ta->pdata_sha256);
    else if (pdata)
        config_mistake_error(in, place_at(place, "pdata"), &why);
}

static void read_sd(config *in, const json_t *json, struct place place, const signing *sp,
                    struct policy_sd *sd)
{
    static const char *const known[] = {"name", "tas", NULL};
    if (!config_object(in, json, place, known))
        return;
    sd->name = config_name(in, json, place, "name", true);
    const json_t *tas = config_array(in, json, place, "tas");
    sd->tas = calloc(json_array_size(tas) + 1, sizeof *sd->tas);
    for (size_t i = 0; sd->tas && i < json_array_size(tas); i++) {
        struct place inner = place_index(place, "tas", i);
        sd->ta_count++;
        read_ta(in, json_array_get(tas, i), inner, sp, &sd->tas[i]);
        if (config_repeated(sd->tas[i].taid, &sd->tas[0].taid, i, sizeof *sd->tas))
            config_mistake(in, inner, "the SD lists this taid twice");
    }
}

static void read_sp(config *in, const json_t *json, struct place place, struct policy_sp *sp)
{
    static const char *const known[] = {"spid",      "cert",     "more_certs", "key",
                                        "renew_aik", "aik_days", "sds",        NULL};
    signing files = {.keys = NULL};
    AUTO(signing) *s = &files;
    if (!config_object(in, json, place, known))
        return;
    sp->spid = config_name(in, json, place, "spid", true);
    read_sp_files(in, json, place, s, sp);
    read_renewal(in, json, place, sp);
    const json_t *sds = config_array(in, json, place, "sds");
    sp->sds = calloc(json_array_size(sds) + 1, sizeof *sp->sds);
    for (size_t i = 0; sp->sds && i < json_array_size(sds); i++) {
        struct place inner = place_index(place, "sds", i);
        sp->sd_count++;
        read_sd(in, json_array_get(sds, i), inner, s, &sp->sds[i]);
        if (config_repeated(sp->sds[i].name, &sp->sds[0].name, i, sizeof *sp->sds))
            config_mistake(in, inner, "the SP lists this SD twice");
    }
}

static void read_sps(config *in, const json_t *json, struct place place, struct policy_sp **sps,
                     size_t *count)
{
    const json_t *array = config_array(in, json, place, "sps");
    *sps = calloc(json_array_size(array) + 1, sizeof **sps);
    for (size_t i = 0; *sps && i < json_array_size(array); i++) {
        struct place inner = place_index(place, "sps", i);
        ++*count;
        read_sp(in, json_array_get(array, i), inner, &(*sps)[i]);
        if (config_repeated((*sps)[i].spid, &(*sps)[0].spid, i, sizeof **sps))
            config_mistake(in, inner, "the policy lists this spid twice");
    }
}

/* ---- what holds beside the SPs ---- */

static void read_rules(config *in, const json_t *json, struct place place,
                       struct policy_rules *rules)
{
    config_flag(in, json, place, "remove_unlisted", &rules->remove_unlisted);
    config_flag(in, json, place, "require_tfw", &rules->require_tfw);
    config_flag(in, json, place, "update_unknown", &rules->update_unknown);
    const json_t *versions = config_array(in, json, place, "tee_versions");
    if (versions)
        rules->tee_versions = versions;
    for (size_t i = 0; i < json_array_size(versions); i++)
        if (!json_is_string(json_array_get(versions, i)))
            config_mistake(in, place_index(place, "tee_versions", i), "not a string");
}

static void read_device(config *in, const json_t *json, const policy *p,
                        struct policy_device *device)
{
    static const char *const known[] = {
        "sps", "remove_unlisted", "require_tfw", "tee_versions", "update_unknown", "refuse", NULL};
    struct place place;
    snprintf(place.text, sizeof place.text, "devices[\"%.64s\"]", device->did);
    device->rules = p->rules;
    struct error why;
    AUTO(buffer) *hash = base64_decode(span_text(device->did), "did", &why);
    if (!hash || hash->size != 32)
        config_mistake(in, place, "no did: it is BASE64 of a SHA-256");
    if (!config_object(in, json, place, known))
        return;
    read_rules(in, json, place, &device->rules);
    /* not that of the policy: to be named in it is to be let in */
    device->rules.refuse = config_text(in, json, place, "refuse", false);
    if (!json_object_get(json, "sps"))
        return;
    read_sps(in, json, place, &device->sps, &device->sp_count);
    device->rules.sps = device->sps;
    device->rules.sp_count = device->sp_count;
}

static void read_devices(config *in, policy *p)
{
    json_t *devices = json_object_get(p->json, "devices"), *value;
    const char *did;
    if (devices && !json_is_object(devices))
        return config_mistake(in, (struct place){"devices"}, "not an object");
    p->devices = calloc(json_object_size(devices) + 1, sizeof *p->devices);
    if (!p->devices)
        return config_mistake(in, (struct place){"devices"}, "out of memory");
    json_object_foreach (devices, did, value) {
        p->devices[p->device_count].did = did;
        read_device(in, value, p, &p->devices[p->device_count++]);
    }
}

static void read_tee_roots(config *in, policy *p)
{
    const json_t *roots = config_array(in, p->json, (struct place){""}, "tee_roots");
    if (!roots)
        return;
    p->tee_roots = sk_X509_new_null();
    for (size_t i = 0; p->tee_roots && i < json_array_size(roots); i++) {
        struct place place = place_index((struct place){""}, "tee_roots", i);
        struct error why;
        const char *text = json_string_value(json_array_get(roots, i));
        AUTO(char) *path = text ? config_resolve(in, text) : NULL;
        AUTO(X509_stack) *certs = path ? cert_load_many(path, &why) : NULL;
        if (!path)
            config_mistake(in, place, "not a string");
        else if (!certs)
            config_mistake_error(in, place, &why);
        for (X509 *cert; certs && (cert = sk_X509_shift(certs));)
            if (!sk_X509_push(p->tee_roots, cert))
                X509_free(cert);
    }
    if (p->tee_roots && json_array_size(roots) == 0)
        config_mistake(in, (struct place){"tee_roots"}, "empty: no device would be trusted");
}

static void read_algorithms(config *in, policy *p)
{
    p->sign_algs = config_array(in, p->json, (struct place){""}, "sign_algs");
    for (size_t i = 0; i < json_array_size(p->sign_algs); i++) {
        const char *name = json_string_value(json_array_get(p->sign_algs, i));
        const struct jwa *alg = name ? jwa_find(JWA_SIGNATURE, name) : NULL;
        if (!alg || !otrp_algorithm(alg))
            config_mistake(in, place_index((struct place){""}, "sign_algs", i),
                           "no signing algorithm of OTrP: RS256, ES256, ES384");
    }
    if (p->sign_algs && json_array_size(p->sign_algs) == 0)
        config_mistake(in, (struct place){"sign_algs"}, "empty: nothing could be signed");
}

static void read_policy(config *in, policy *p)
{
    static const char *const known[] = {
        "sps",          "remove_unlisted", "require_tfw", "update_unknown", "tee_roots",
        "tee_versions", "sign_algs",       "devices",     "refuse",         NULL};
    struct place top = {""};
    if (!config_object(in, p->json, top, known))
        return;
    read_sps(in, p->json, top, &p->sps, &p->sp_count);
    p->rules.sps = p->sps;
    p->rules.sp_count = p->sp_count;
    read_rules(in, p->json, top, &p->rules);
    p->rules.refuse = config_text(in, p->json, top, "refuse", false);
    read_tee_roots(in, p);
    read_algorithms(in, p);
    read_devices(in, p);
}

policy *policy_load(const char *path, const char *passin, json_t *mistakes, struct error *err)
{
    config file = {.json = NULL};
    AUTO(config) *in = &file;
    AUTO(policy) *p = policy_empty(err);
    if (!p || !config_open(in, path, passin, mistakes, err))
        return NULL;
    p->json = json_incref(in->json);
    read_policy(in, p);
    if (in->first.rc == RC_OK)
        return TAKE(p);
    *err = in->first;
    return NULL;
}
