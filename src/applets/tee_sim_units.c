/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/tee_sim_units.h"

#include <string.h>

#include "pki/layout.h"

static void member_free(struct fleet_member *m)
{
    key_free(m->key);
    sk_X509_pop_free(m->chain, X509_free);
}

void units_free(units *u)
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
bool units_add(units *u, const char *name, struct error *err)
{
    struct unit *more = reallocarray(u->units, u->count + 1, sizeof *more);
    if (!more)
        return error_memory(err);
    u->units = more;
    u->units[u->count] = (struct unit){.name = strdup(name)};
    return u->units[u->count++].name || error_memory(err);
}

/* ---- from files ---- */

bool unit_load_files(const struct applet_call *call, const char *key_path, const char *chain_path,
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
    if (!unit_load_files(call, o->tfw_key, o->tfw_cert, tfw, err))
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
        !unit_load_files(call, o->tee_key, o->tee_cert, &u->units[0].tee, err))
        return false;
    u->tam_roots = cert_load_many(o->tam_root, err);
    return u->tam_roots && load_firmware(call, u, err);
}

/* ---- from a PKI directory ---- */

bool unit_load_identity(const struct applet_call *call, enum pki_role role, const char *name,
                        struct fleet_member *m, struct error *err)
{
    const struct tee_init *o = call->options;
    AUTO(identity) *found = identity_find(o->pki, role, name, err);
    return found && unit_load_files(call, found->key_path, found->chain_path, m, err);
}

static bool load_one(const struct applet_call *call, const char *name, units *u, struct error *err)
{
    const struct tee_init *o = call->options;
    if (!units_add(u, name, err) ||
        !unit_load_identity(call, ROLE_TEE, name, &u->units[0].tee, err))
        return false;
    return o->no_tfw || unit_load_identity(call, ROLE_TFW, name, &u->units[0].tfw, err) ||
           error_hint(err, "--no-tfw makes a device without trusted firmware");
}

static bool load_from_pki(const struct applet_call *call, const char *name, units *u,
                          struct error *err)
{
    const struct tee_init *o = call->options;
    if (o->tee_key || o->tee_cert || o->tfw_key || o->tfw_cert)
        return error_set(err, RC_USAGE,
                         "--pki stands for --tee-key, --tee-cert, --tfw-key and "
                         "--tfw-cert: give the one or the others");
    if (!(o->count || o->batch ? units_load_fleet(call, name, u, err)
                               : load_one(call, name, u, err)))
        return false;
    u->tam_roots = o->tam_root ? cert_load_many(o->tam_root, err)
                               : layout_roots(o->pki, ROLE_TAM, err);
    if (!u->tam_roots || o->no_tfw)
        return u->tam_roots != NULL;
    u->tfw_roots = o->tfw_root ? cert_load_many(o->tfw_root, err)
                               : layout_roots(o->pki, ROLE_TFW, err);
    return u->tfw_roots != NULL;
}

bool units_load(const struct applet_call *call, const char *name, units *u, struct error *err)
{
    const struct tee_init *o = call->options;
    return o->pki ? load_from_pki(call, name, u, err) : load_from_files(call, name, u, err);
}
