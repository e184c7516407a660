/* SPDX-License-Identifier: Apache-2.0 */
/* Many devices at once: named by --count or --batch, furnished by the PKI directory or its CAs. */
#include <stdio.h>
#include <string.h>

#include "applets/tee_sim_units.h"
#include "pki/csv.h"
#include "pki/layout.h"
#include "util/terminal.h"

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
    struct batch_item *more = reallocarray(u->issued, u->issued_count + 1, sizeof *more);
    if (!more)
        return error_memory(err);
    u->issued = more;
    more[u->issued_count] = (struct batch_item){role, strdup(column[0]), strdup(column[2]),
                                                bundle_of(column[1])};
    struct batch_item *row = &more[u->issued_count++];
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

static const struct batch_item *find_issued(const units *u, enum pki_role role, const char *name)
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

/* The progress of an issue: a line for its keys, then one for its certificates. */
struct issue_progress {
    const struct applet_call *call;
    enum pki_role role;
    const char *what; /* NULL: nothing yet */
    char title[80];
    struct progress line;
};

static void show_progress(void *context, const char *what, size_t done, size_t total)
{
    struct issue_progress *p = context;
    if (p->what != what) {
        if (p->what)
            progress_end(&p->line);
        p->what = what;
        snprintf(p->title, sizeof p->title, "%s, %s", role_title(p->role), what);
        progress_start(&p->line, p->title, p->call->common->quiet);
    }
    progress_update(&p->line, done, total);
}

/* Has the CA of the PKI directory issue what these names need. */
static bool issue_missing(const struct applet_call *call, enum pki_role role, enum key_alg alg,
                          const char *const *names, size_t count, struct fleet_member *made,
                          struct error *err)
{
    const struct tee_init *o = call->options;
    struct issue_progress progress = {.call = call, .role = role};
    bool issued = fleet_issue(&(struct fleet_order){.pki = o->pki,
                                                    .templates = o->templates,
                                                    .passin = call->common->passin,
                                                    .role = role,
                                                    .alg = alg,
                                                    .names = names,
                                                    .count = count,
                                                    .now = clock_now(&call->clock),
                                                    .progress = show_progress,
                                                    .context = &progress},
                              made, err);
    if (progress.what)
        progress_end(&progress.line);
    return issued;
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
        const struct batch_item *row = find_issued(u, role, u->units[i].name);
        if (row) {
            done = unit_load_files(call, row->key_path, row->chain_path,
                                   member_of(&u->units[i], role), err);
        } else if (layout_list_has(known, u->units[i].name)) {
            done = unit_load_identity(call, role, u->units[i].name, member_of(&u->units[i], role),
                                      err);
        } else {
            which[missing] = i;
            names[missing++] = u->units[i].name;
        }
    }
    if (done && missing)
        done = issue_missing(call, role, alg, names, missing, made, err);
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

bool units_load_fleet(const struct applet_call *call, const char *name, units *u, struct error *err)
{
    const struct tee_init *o = call->options;
    enum key_alg alg;
    return choose_alg(o, name, &alg, err) &&
           (o->batch ? read_batch(o, u, err) : name_units(o, name, u, err)) &&
           check_names(o, u, err) && furnish(call, ROLE_TEE, alg, u, err) &&
           (o->no_tfw || furnish(call, ROLE_TFW, alg, u, err));
}
