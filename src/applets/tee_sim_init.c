/* SPDX-License-Identifier: Apache-2.0 */
/* otrp tee-sim init: make one device, or a fleet of them. */
#include <string.h>

#include "applets/tee_sim_units.h"
#include "applets/words.h"
#include "otrp/algorithm.h"

enum { MOST_DEVICES = 100000 };

const struct option_row tee_init_options[] = {
    OPT_TEXT(tee_init, state, 's', "DIR", OPT_REQUIRED | OPT_DIR,
             "state folder; made where it is not there"),
    OPT_TEXT(tee_init, pki, 0, "DIR", OPT_DIR,
             "PKI directory that has the device's key and certificates"),
    OPT_TEXT(tee_init, name, 'n', "NAME", 0,
             "TEE of the PKI directory, and its name in messages (default mytee)"),
    OPT_NUMBER(tee_init, count, 0, "N", 1, MOST_DEVICES,
               "make N devices; what the PKI directory does not have of them, its CAs issue"),
    OPT_TEXT(tee_init, batch, 0, "CSV", OPT_FILE,
             "result of 'otrp pki-issue --manifest': make its TEEs, or the first N of them"),
    OPT_WORDS(tee_init, alg, 0, "ALG", words_key_alg, 0,
              "key of the devices that are issued (default: as the TEEs of the directory have)"),
    OPT_TEXT(tee_init, templates, 0, "DIR", OPT_DIR, "folder of the X.509 templates for them"),
    OPT_TEXT(tee_init, tee_key, 0, "KEY", OPT_FILE, "private key of the device"),
    OPT_TEXT(tee_init, tee_cert, 0, "CHAIN", OPT_FILE, "its certificate and intermediates"),
    OPT_TEXT(tee_init, tam_root, 0, "ROOTS", OPT_FILE, "TAM roots to trust, a file or folder"),
    OPT_TEXT(tee_init, tam_cert, 0, "CHAIN", OPT_FILE,
             "certificate of the one TAM to listen to, whatever issued it (for --profile)"),
    OPT_TEXT(tee_init, sp_cert, 0, "CERT", OPT_FILE,
             "certificate of the SP whose TAs go to the default SD (for --profile aist)"),
    OPT_TEXT(tee_init, tfw_key, 0, "KEY", OPT_FILE, "private key of the trusted firmware"),
    OPT_TEXT(tee_init, tfw_cert, 0, "CHAIN", OPT_FILE, "its certificate and intermediates"),
    OPT_TEXT(tee_init, tfw_root, 0, "ROOTS", OPT_FILE,
             "firmware roots, a file or folder (default: the root in --tfw-cert; without one the "
             "firmware "
             "is believed)"),
    OPT_FLAG(tee_init, no_tfw, 0, 0, "a device without trusted firmware"),
    OPT_FLAG(
        tee_init, no_signerreq, 0, 0,
        "after the first request, take requests without x5c and ocspdat from signers seen before"),
    OPT_TEXT(tee_init, version, 0, "TEXT", 0, "version of the TEE in its state (default 1.0)"),
    OPT_WORDS(
        tee_init, algorithms, 0, "LIST", words_otrp, OPT_COMMAS,
        "what the device supports, such as RS256,RSA1_5,A128CBC-HS256 (default: all of OTrP)"),
    OPT_NUMBER(tee_init, max_sds, 0, "N", 1, 1000000, "most security domains (default 64)"),
    OPT_NUMBER(tee_init, max_tas, 0, "N", 1, 1000000, "most trusted applications (default 256)"),
    OPT_NUMBER(tee_init, max_bytes, 0, "N", 1, 1L << 40,
               "most bytes of trusted applications (default 256 MiB)"),
    OPT_NUMBER(tee_init, max_replays, 0, "N", 1, 1L << 40,
               "most requests recorded per TAM (default 100000)"),
    OPT_END};

/* ---- what a device supports ---- */

static const struct jwa *otrp_find(const char *name)
{
    for (size_t i = 0; i < jwa_count; i++)
        if (strcmp(jwa_table[i].name, name) == 0 && otrp_algorithm(&jwa_table[i]))
            return &jwa_table[i];
    return NULL;
}

/* A device must be able to sign, to be encrypted to, and to encrypt. */
static bool check_algorithms(const json_t *list, const key *tee_key, struct error *err)
{
    static const char *const lacks[] = {[JWA_SIGNATURE] = "to sign with its key",
                                        [JWA_KEY_MANAGEMENT] = "to be encrypted to its key",
                                        [JWA_CONTENT] = "to encrypt content"};
    static const char *const operations[] = {"sign", "unwrapKey"};
    bool found[COUNT(lacks)] = {false};
    struct error ignored;
    size_t i;
    json_t *name;
    json_array_foreach (list, i, name) {
        const struct jwa *alg = otrp_find(json_string_value(name));
        if (alg->kind == JWA_CONTENT || jwa_fits(alg, tee_key, operations[alg->kind], &ignored))
            found[alg->kind] = true;
    }
    for (size_t kind = 0; kind < COUNT(lacks); kind++)
        if (!found[kind])
            return error_set(err, RC_USAGE, "--algorithms: the device has none %s", lacks[kind]);
    return true;
}

static bool read_algorithms(const char *text, units *u, struct error *err)
{
    if (!text)
        return true;
    AUTO(char) *copy = strdup(text);
    u->algorithms = json_array();
    if (!copy || !u->algorithms)
        return error_memory(err);
    char *rest = NULL;
    for (char *name = strtok_r(copy, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (!otrp_find(name)) {
            error_set(err, RC_USAGE, "--algorithms: '%s' is no algorithm of OTrP", name);
            return error_hint(err, "RS256 ES256 ES384 RSA1_5 ECDH-ES+A128KW ECDH-ES+A256KW "
                                   "A128CBC-HS256 A256CBC-HS512");
        }
        if (json_array_append_new(u->algorithms, json_string(name)) != 0)
            return error_memory(err);
    }
    for (size_t i = 0; i < u->count; i++)
        if (!check_algorithms(u->algorithms, u->units[i].tee.key, err))
            return false;
    return true;
}

/* Other implementations know their TAM beforehand. */
static bool load_pinned(const struct applet_call *call, units *u, struct error *err)
{
    const struct tee_init *o = call->options;
    if (o->tam_cert)
        return (u->pinned = cert_load(o->tam_cert, err)) != NULL;
    if (!profile_find(call->common->profile)->forms)
        return true;
    error_set(err, RC_USAGE, "--profile %s needs --tam-cert: its messages prove no chain",
              call->common->profile);
    return error_hint(err, "the TAM's certificate is pinned, as that implementation does");
}

/* The SP of the default SD. */
static bool load_sp(const struct applet_call *call, units *u, struct error *err)
{
    const struct tee_init *o = call->options;
    if (!o->sp_cert)
        return true;
    if (!profile_find(call->common->profile)->default_sd) {
        error_set(err, RC_USAGE, "--sp-cert: a device of this profile has no default SD");
        return error_hint(err, "that of --profile aist has; others get their SDs by CreateSD");
    }
    u->sp_chain = cert_load(o->sp_cert, err);
    return u->sp_chain && sp_cert_check(sk_X509_value(u->sp_chain, 0), o->sp_cert, err);
}

static bool create(const struct applet_call *call, const units *u, struct error *err)
{
    const struct tee_init *o = call->options;
    struct device_parts *parts = calloc(u->count, sizeof *parts);
    if (!parts)
        return error_memory(err);
    for (size_t i = 0; i < u->count; i++)
        parts[i] = (struct device_parts){.name = u->units[i].name,
                                         .version = o->version ? o->version : "1.0",
                                         .tee_key = u->units[i].tee.key,
                                         .tee_chain = u->units[i].tee.chain,
                                         .tam_anchors = u->tam_roots,
                                         .tfw_key = u->units[i].tfw.key,
                                         .tfw_chain = u->units[i].tfw.chain,
                                         .tfw_anchors = u->tfw_roots,
                                         .limits = {o->max_sds ? o->max_sds : 64,
                                                    o->max_tas ? o->max_tas : 256,
                                                    o->max_bytes ? o->max_bytes : 256L << 20,
                                                    o->max_replays ? o->max_replays : 100000},
                                         .signerreq = !o->no_signerreq,
                                         .algorithms = u->algorithms,
                                         .profile = profile_find(call->common->profile),
                                         .pinned = u->pinned,
                                         .sp_cert = sk_X509_value(u->sp_chain, 0)};
    bool created = device_create(o->state, parts, u->count, err);
    free(parts);
    return created;
}

/* The devices that were made. */
static buffer *make_report(const struct tee_init *o, const units *u, struct error *err)
{
    AUTO(json_t) *devices = json_array();
    for (size_t i = 0; devices && i < u->count; i++) {
        const struct unit *unit = &u->units[i];
        char described[40];
        AUTO(char) *did = cert_did(sk_X509_value(unit->tee.chain, 0), err);
        if (!did)
            return NULL;
        json_array_append_new(devices,
                              json_pack("{s:o, s:s, s:s, s:b}", "name", json_text_of(unit->name),
                                        "did", did, "key", key_describe(unit->tee.key, described),
                                        "tfw", unit->tfw.key != NULL));
    }
    AUTO(json_t) *report = json_pack("{s:o, s:O}", "state", json_text_of(o->state), "devices",
                                     devices);
    buffer *text = report ? json_pretty(report) : NULL;
    if (!text)
        error_memory(err);
    return text;
}

static void summarise(const struct applet_call *call, const units *u)
{
    const struct tee_init *o = call->options;
    if (u->count == 1)
        say(call, "device %s in %s", u->units[0].name, o->state);
    else
        say(call, "%zu devices in %s, %s to %s", u->count, o->state, u->units[0].name,
            u->units[u->count - 1].name);
}

/* Where files were given; a PKI has whole chains. */
static void warn_of_chains(const struct applet_call *call, const units *u)
{
    const struct tee_init *o = call->options;
    const struct unit *first = &u->units[0];
    if (!profile_find(call->common->profile)->forms)
        call_warn_of_gap(call, o->tee_cert, first->tee.chain, NULL, NULL);
    if (first->tfw.key && u->tfw_roots)
        call_warn_of_gap(call, o->tfw_cert, first->tfw.chain, u->tfw_roots,
                         "the device will answer ERR_TFW_NOT_TRUSTED");
}

enum rc tee_init_run(const struct applet_call *call, struct error *err)
{
    const struct tee_init *o = call->options;
    const char *name = o->name ? o->name : "mytee";
    if (strlen(name) > LIMIT_NAME_BYTES || !*name)
        return error_set(err, RC_USAGE, "--name: 1 to %d bytes", LIMIT_NAME_BYTES), err->rc;
    units loaded = {NULL};
    AUTO(units) *u = &loaded;
    if (!units_load(call, name, u, err) || !read_algorithms(o->algorithms, u, err) ||
        !load_pinned(call, u, err) || !load_sp(call, u, err))
        return err->rc;
    warn_of_chains(call, u);
    AUTO(buffer) *report = call->common->json ? make_report(o, u, err) : NULL;
    if ((call->common->json && !report) || !create(call, u, err))
        return err->rc;
    summarise(call, u);
    if (!report || stdout_write(buffer_span(report), err))
        return RC_OK;
    error_prefix(err, "%s: has the new devices, but the report is not written", o->state);
    return err->rc;
}
