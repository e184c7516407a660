/* SPDX-License-Identifier: Apache-2.0 */
/* otrp tee-sim init: make one device, or a fleet of them. */
#include "applets/tee_sim.h"

#include <stdio.h>
#include <string.h>

#include "otrp/algorithm.h"
#include "pki/csv.h"
#include "pki/layout.h"
#include "sim/fleet.h"
#include "util/terminal.h"

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
    OPT_TEXT(tee_init, alg, 0, "ALG", 0,
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
    OPT_TEXT(tee_init, algorithms, 0, "LIST", 0,
             "what the device supports, such as RS256,RSA1_5,A128CBC-HS256 (default: all of OTrP)"),
    OPT_NUMBER(tee_init, max_sds, 0, "N", 1, 1000000, "most security domains (default 64)"),
    OPT_NUMBER(tee_init, max_tas, 0, "N", 1, 1000000, "most trusted applications (default 256)"),
    OPT_NUMBER(tee_init, max_bytes, 0, "N", 1, 1L << 40,
               "most bytes of trusted applications (default 256 MiB)"),
    OPT_NUMBER(tee_init, max_replays, 0, "N", 1, 1L << 40,
               "most requests recorded per TAM (default 100000)"),
    OPT_END};

/* A device to be: its keys and certificates. */
struct unit {
    char *name;
    struct fleet_member tee, tfw; /* tfw.key NULL: no firmware */
};

/* A row of what pki-issue made by the batch. */
struct issued {
    enum pki_role role;
    char *name, *key_path, *chain_path;
};

/* All of them, and whom they trust. */
typedef struct units {
    struct unit *units;
    size_t count;
    struct issued *issued;
    size_t issued_count;
    X509_stack *tam_roots, *tfw_roots, *pinned, *sp_chain;
    json_t *algorithms;
} units;

static void member_free(struct fleet_member *m)
{
    key_free(m->key);
    sk_X509_pop_free(m->chain, X509_free);
}

static void units_free(units *u)
{
    for (size_t i = 0; i < u->count; i++) {
        free(u->units[i].name);
        member_free(&u->units[i].tee);
        member_free(&u->units[i].tfw);
    }
    free(u->units);
    for (size_t i = 0; i < u->issued_count; i++) {
        free(u->issued[i].name);
        free(u->issued[i].key_path);
        free(u->issued[i].chain_path);
    }
    free(u->issued);
    sk_X509_pop_free(u->tam_roots, X509_free);
    sk_X509_pop_free(u->tfw_roots, X509_free);
    sk_X509_pop_free(u->pinned, X509_free);
    sk_X509_pop_free(u->sp_chain, X509_free);
    json_decref(u->algorithms);
}
AUTO_DEFINE(units, units_free)

static bool units_add(units *u, const char *name, struct error *err)
{
    struct unit *more = reallocarray(u->units, u->count + 1, sizeof *more);
    if (!more)
        return error_memory(err);
    u->units = more;
    u->units[u->count] = (struct unit){.name = strdup(name)};
    return u->units[u->count++].name || error_memory(err);
}

/* ---- from files ---- */

static bool load_pair(const struct applet_call *call, const char *key_path, const char *chain_path,
                      struct fleet_member *m, struct error *err)
{
    AUTO(key_set) *keys = call_keys(call, key_path, KEY_PRIVATE, err);
    m->chain = keys ? cert_load(chain_path, err) : NULL;
    if (!m->chain)
        return false;
    m->key = TAKE(keys->keys[0]);
    if (EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(m->chain, 0)), m->key->pkey) == 1)
        return true;
    return error_set(err, RC_USAGE, "%s: is not the key of the certificate in %s", key_path,
                     chain_path);
}

/* The root at the end of a bundle that has it: *roots stays NULL when not, and the device then
 * believes the firmware that it was made with. */
static bool last_root(const X509_stack *chain, X509_stack **roots, struct error *err)
{
    X509 *last = sk_X509_value(chain, sk_X509_num(chain) - 1);
    if (X509_check_issued(last, last) != X509_V_OK)
        return true;
    *roots = sk_X509_new_null();
    return (*roots && X509_add_cert(*roots, last, X509_ADD_FLAG_UP_REF)) || error_memory(err);
}

static bool load_firmware(const struct applet_call *call, units *u, struct error *err)
{
    const struct tee_init *o = call->options;
    struct fleet_member *tfw = &u->units[0].tfw;
    if (!o->tfw_key && (o->tfw_cert || o->tfw_root))
        return error_set(err, RC_USAGE, "--tfw-cert and --tfw-root need --tfw-key");
    if (!o->tfw_key)
        return true;
    if (o->no_tfw)
        return error_set(err, RC_USAGE, "--tfw-key and --no-tfw exclude each other");
    if (!o->tfw_cert)
        return error_set(err, RC_USAGE, "--tfw-key needs --tfw-cert");
    if (!load_pair(call, o->tfw_key, o->tfw_cert, tfw, err))
        return false;
    if (!o->tfw_root)
        return last_root(tfw->chain, &u->tfw_roots, err);
    u->tfw_roots = cert_load_many(o->tfw_root, err);
    return u->tfw_roots != NULL;
}

static bool load_from_files(const struct applet_call *call, const char *name, units *u,
                            struct error *err)
{
    const struct tee_init *o = call->options;
    if (!o->tee_key || !o->tee_cert || !o->tam_root) {
        error_set(err, RC_USAGE, "no device to make");
        return error_hint(err, "give --pki DIR, or --tee-key, --tee-cert and --tam-root");
    }
    if (o->count || o->batch)
        return error_set(err, RC_USAGE, "--count and --batch need --pki, whose roots are trusted");
    if (!units_add(u, name, err) ||
        !load_pair(call, o->tee_key, o->tee_cert, &u->units[0].tee, err))
        return false;
    u->tam_roots = cert_load_many(o->tam_root, err);
    return u->tam_roots && load_firmware(call, u, err);
}

/* ---- from a PKI directory ---- */

static bool load_identity(const struct applet_call *call, enum pki_role role, const char *name,
                          struct fleet_member *m, struct error *err)
{
    const struct tee_init *o = call->options;
    AUTO(identity) *found = identity_find(o->pki, role, name, err);
    return found && load_pair(call, found->key_path, found->chain_path, m, err);
}

static bool load_one(const struct applet_call *call, const char *name, units *u, struct error *err)
{
    const struct tee_init *o = call->options;
    if (!units_add(u, name, err) || !load_identity(call, ROLE_TEE, name, &u->units[0].tee, err))
        return false;
    return o->no_tfw || load_identity(call, ROLE_TFW, name, &u->units[0].tfw, err) ||
           error_hint(err, "--no-tfw makes a device without trusted firmware");
}

/* ---- from a batch ---- */

/* The bundle beside the certificate: "tee-a-ec-cert.pem" and its intermediate. */
static char *bundle_of(const char *cert_path)
{
    static const char end[] = "cert.pem";
    size_t length = strlen(cert_path);
    char *bundle = NULL;
    if (length < sizeof end || strcmp(cert_path + length - (sizeof end - 1), end) != 0)
        return strdup(cert_path);
    if (asprintf(&bundle, "%.*scert-plus-intermediate-cert.pem", (int)(length - (sizeof end - 1)),
                 cert_path) < 0)
        return NULL;
    return bundle;
}

static bool add_issued(units *u, enum pki_role role, const char *const column[3], struct error *err)
{
    struct issued *more = reallocarray(u->issued, u->issued_count + 1, sizeof *more);
    if (!more)
        return error_memory(err);
    u->issued = more;
    more[u->issued_count] = (struct issued){role, strdup(column[0]), strdup(column[2]),
                                            bundle_of(column[1])};
    struct issued *row = &more[u->issued_count++];
    return (row->name && row->key_path && row->chain_path) || error_memory(err);
}

/* Reads the rows of TEEs and firmware that have a key and a certificate, and names the units. */
static bool read_batch(const struct tee_init *o, units *u, struct error *err)
{
    static const char *const wanted[] = {"role", "name", "cert", "key"};
    size_t at[COUNT(wanted)] = {CSV_FIELDS, CSV_FIELDS, CSV_FIELDS, CSV_FIELDS};
    struct csv_record row;
    enum csv_result result;
    AUTO(csv) *table = csv_open(o->batch, err);
    if (!table || csv_next(table, &row, err) == CSV_FAILED)
        return false;
    for (size_t i = 0; i < row.count; i++)
        for (size_t w = 0; w < COUNT(wanted); w++)
            if (strcmp(row.fields[i], wanted[w]) == 0)
                at[w] = i;
    for (size_t w = 0; w < COUNT(wanted); w++)
        if (at[w] == CSV_FIELDS)
            return error_set(err, RC_MALFORMED, "%s: there is no column '%s'", o->batch, wanted[w]);
    while ((result = csv_next(table, &row, err)) == CSV_RECORD) {
        bool whole = at[0] < row.count && at[1] < row.count && at[2] < row.count &&
                     at[3] < row.count && *row.fields[at[2]] && *row.fields[at[3]];
        bool tee = whole && strcmp(row.fields[at[0]], role_name(ROLE_TEE)) == 0;
        bool tfw = whole && strcmp(row.fields[at[0]], role_name(ROLE_TFW)) == 0;
        const char *const column[3] = {whole ? row.fields[at[1]] : NULL,
                                       whole ? row.fields[at[2]] : NULL,
                                       whole ? row.fields[at[3]] : NULL};
        if ((tee || tfw) && !add_issued(u, tee ? ROLE_TEE : ROLE_TFW, column, err))
            return false;
        if (tee && (!o->count || u->count < (size_t)o->count) && !units_add(u, column[0], err))
            return false;
    }
    if (result == CSV_FAILED)
        return false;
    if (u->count && (!o->count || u->count == (size_t)o->count))
        return true;
    return error_set(err, RC_USAGE, "%s: has %zu TEEs with key and certificate", o->batch,
                     u->count);
}

static const struct issued *find_issued(const units *u, enum pki_role role, const char *name)
{
    for (size_t i = 0; i < u->issued_count; i++)
        if (u->issued[i].role == role && strcmp(u->issued[i].name, name) == 0)
            return &u->issued[i];
    return NULL;
}

/* The names of a fleet. */
static bool name_units(const struct tee_init *o, const char *name, units *u, struct error *err)
{
    size_t count = 0, wanted = (size_t)o->count;
    AUTO(layout_list) *known = o->name ? NULL : layout_names(o->pki, ROLE_TEE, err);
    if (!o->name && !known)
        return false;
    for (size_t i = 0; known && i < known->count && u->count < wanted; i++)
        if (strcmp(known->names[i], name) != 0 && !units_add(u, known->names[i], err))
            return false;
    while (u->count < wanted) {
        AUTO(char) *next = NULL;
        if (asprintf(&next, "%s-%zu", name, ++count) < 0)
            return error_memory(err);
        bool taken = known && layout_list_has(known, next); /* it is among them already */
        if (!taken && !units_add(u, next, err))
            return false;
    }
    return true;
}

/* What key a device gets: as --alg says, or as the TEE called name has, or the first one. */
static bool choose_alg(const struct tee_init *o, const char *name, enum key_alg *alg,
                       struct error *err)
{
    struct error ignored;
    *alg = KEY_RSA_2048;
    if (o->alg)
        return key_alg_parse(o->alg, "--alg", alg, err);
    AUTO(layout_list) *known = layout_names(o->pki, ROLE_TEE, err);
    if (!known || !known->count)
        return known != NULL;
    const char *model = layout_list_has(known, name) ? name : known->names[0];
    AUTO(identity) *found = identity_find(o->pki, ROLE_TEE, model, &ignored);
    AUTO(X509_stack) *chain = found ? cert_load(found->chain_path, &ignored) : NULL;
    if (chain && EVP_PKEY_is_a(X509_get0_pubkey(sk_X509_value(chain, 0)), "EC"))
        *alg = KEY_EC_P256;
    return true;
}

static struct fleet_member *member_of(struct unit *unit, enum pki_role role)
{
    return role == ROLE_TEE ? &unit->tee : &unit->tfw;
}

/* Takes what the PKI directory has of that role, and has its CA issue the rest. */
static bool furnish(const struct applet_call *call, enum pki_role role, enum key_alg alg, units *u,
                    struct error *err)
{
    const struct tee_init *o = call->options;
    AUTO(layout_list) *known = layout_names(o->pki, role, err);
    const char **names = calloc(u->count, sizeof *names);
    struct fleet_member *made = calloc(u->count, sizeof *made);
    size_t *which = calloc(u->count, sizeof *which), missing = 0;
    bool done = (known && names && made && which) || (known ? error_memory(err) : false);
    for (size_t i = 0; done && i < u->count; i++) {
        const struct issued *row = find_issued(u, role, u->units[i].name);
        if (row) {
            done = load_pair(call, row->key_path, row->chain_path, member_of(&u->units[i], role),
                             err);
        } else if (layout_list_has(known, u->units[i].name)) {
            done = load_identity(call, role, u->units[i].name, member_of(&u->units[i], role), err);
        } else {
            which[missing] = i;
            names[missing++] = u->units[i].name;
        }
    }
    struct progress progress;
    progress_start(&progress, role_title(role), call->common->quiet);
    if (done && missing)
        done = fleet_issue(&(struct fleet_order){.pki = o->pki,
                                                 .templates = o->templates,
                                                 .passin = call->common->passin,
                                                 .role = role,
                                                 .alg = alg,
                                                 .names = names,
                                                 .count = missing,
                                                 .now = clock_now(&call->clock),
                                                 .progress = progress_update,
                                                 .context = &progress},
                           made, err);
    progress_end(&progress);
    for (size_t i = 0; i < missing; i++)
        *member_of(&u->units[which[i]], role) = made[i];
    free(names);
    free(made);
    free(which);
    return done;
}

static bool has_unit(const units *u, const char *name)
{
    for (size_t i = 0; i < u->count; i++)
        if (strcmp(u->units[i].name, name) == 0)
            return true;
    return false;
}

/* Before the long work: names that are free. */
static bool check_names(const struct tee_init *o, const units *u, struct error *err)
{
    AUTO(char) *path = path_join(o->state, "state.db");
    if (!path)
        return error_memory(err);
    if (!path_exists(path))
        return true;
    AUTO(json_t) *names = device_names(o->state, err);
    size_t i;
    json_t *name;
    json_array_foreach (names, i, name) {
        if (!has_unit(u, json_string_value(name)))
            continue;
        error_set(err, RC_USAGE, "%s: has a device \"%s\" already", o->state,
                  json_string_value(name));
        return error_hint(err, "another --name or --state makes other devices");
    }
    return names != NULL;
}

static bool load_fleet(const struct applet_call *call, const char *name, units *u,
                       struct error *err)
{
    const struct tee_init *o = call->options;
    enum key_alg alg;
    return choose_alg(o, name, &alg, err) &&
           (o->batch ? read_batch(o, u, err) : name_units(o, name, u, err)) &&
           check_names(o, u, err) && furnish(call, ROLE_TEE, alg, u, err) &&
           (o->no_tfw || furnish(call, ROLE_TFW, alg, u, err));
}

static bool load_from_pki(const struct applet_call *call, const char *name, units *u,
                          struct error *err)
{
    const struct tee_init *o = call->options;
    if (o->tee_key || o->tee_cert || o->tfw_key || o->tfw_cert)
        return error_set(err, RC_USAGE,
                         "--pki stands for --tee-key, --tee-cert, --tfw-key and "
                         "--tfw-cert: give the one or the others");
    if (!(o->count || o->batch ? load_fleet(call, name, u, err) : load_one(call, name, u, err)))
        return false;
    u->tam_roots = o->tam_root ? cert_load_many(o->tam_root, err)
                               : layout_roots(o->pki, ROLE_TAM, err);
    if (!u->tam_roots || o->no_tfw)
        return u->tam_roots != NULL;
    u->tfw_roots = o->tfw_root ? cert_load_many(o->tfw_root, err)
                               : layout_roots(o->pki, ROLE_TFW, err);
    return u->tfw_roots != NULL;
}

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

enum rc tee_init_run(const struct applet_call *call, struct error *err)
{
    const struct tee_init *o = call->options;
    const char *name = o->name ? o->name : "mytee";
    if (strlen(name) > LIMIT_NAME_BYTES || !*name)
        return error_set(err, RC_USAGE, "--name: 1 to %d bytes", LIMIT_NAME_BYTES), err->rc;
    units loaded = {NULL};
    AUTO(units) *u = &loaded;
    if (!(o->pki ? load_from_pki(call, name, u, err) : load_from_files(call, name, u, err)) ||
        !read_algorithms(o->algorithms, u, err) || !load_pinned(call, u, err) ||
        !load_sp(call, u, err) || !create(call, u, err))
        return err->rc;
    if (u->count == 1)
        say(call, "device %s in %s", u->units[0].name, o->state);
    else
        say(call, "%zu devices in %s, %s to %s", u->count, o->state, u->units[0].name,
            u->units[u->count - 1].name);
    return RC_OK;
}
