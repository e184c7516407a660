/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fleet.h"

#include <string.h>

#include "jose/key_set.h"
#include "pki/issue.h"
#include "pki/layout.h"
#include "pki/ledger.h"
#include "util/file.h"
#include "util/install.h"

/* The CA that issues: its certificate, its key, its ledger. */
typedef struct issuer {
    X509_stack *certs;
    key_set *keys;
    char *ledger_path;
} issuer;

static void issuer_free(issuer *ca)
{
    sk_X509_pop_free(ca->certs, X509_free);
    key_set_free(ca->keys);
    free(ca->ledger_path);
}
AUTO_DEFINE(issuer, issuer_free)

static bool issuer_open(issuer *ca, const struct fleet_order *order, struct error *err)
{
    /* not as key_families: a fleet takes a signature a device, and those of EC are made sooner */
    static const char *const families[] = {"ec", "rsa"};
    for (size_t i = 0; i < COUNT(families) && !ca->certs; i++) {
        AUTO(char) *cert = layout_ca_path(order->pki, order->role, families[i], "cert.pem");
        AUTO(char) *key_path = layout_ca_path(order->pki, order->role, families[i], "key.pem");
        if (!cert || !key_path)
            return error_memory(err);
        if (!path_exists(cert))
            continue;
        ca->ledger_path = layout_ca_path(order->pki, order->role, families[i], "index.txt");
        ca->certs = ca->ledger_path ? cert_load(cert, err) : NULL;
        if (!ca->certs)
            return ca->ledger_path ? false : error_memory(err);
        const struct key_how how = {.part = KEY_PRIVATE, .passin = order->passin};
        ca->keys = key_set_load(key_path, &how, err);
    }
    if (ca->certs)
        return ca->keys != NULL;
    error_set(err, RC_USAGE, "%s: there is no CA of a %s to issue certificates", order->pki,
              role_title(order->role));
    return error_hint(err, "'otrp pki-init --out %s' makes one", order->pki);
}

static void tell(const struct fleet_order *order, const char *what, size_t done)
{
    if (order->progress)
        order->progress(order->context, what, done, order->count);
}

static void key_made(void *context, size_t done, size_t total)
{
    (void)total;
    tell(context, "keys", done);
}

static bool make_keys(const struct fleet_order *order, struct fleet_member *members,
                      struct error *err)
{
    struct keygen_job *jobs = calloc(order->count, sizeof *jobs);
    if (!jobs)
        return error_memory(err);
    for (size_t i = 0; i < order->count; i++)
        jobs[i].alg = order->alg;
    bool made = keygen_run(jobs, order->count,
                           &(struct keygen_how){.progress = key_made, .context = (void *)order},
                           err);
    for (size_t i = 0; i < order->count; i++) {
        if (made)
            made = (members[i].key = key_from_pkey(TAKE(jobs[i].pkey), true, order->names[i],
                                                   err)) != NULL;
        EVP_PKEY_free(jobs[i].pkey);
    }
    free(jobs);
    return made;
}

static bool make_chain(const struct fleet_order *order, const cert_template *look, const issuer *ca,
                       size_t i, struct fleet_member *member, struct error *err)
{
    X509 *own = sk_X509_value(ca->certs, 0);
    AUTO(X509) *cert = issue(
        &(struct issue_order){.template = look,
                              .use = {order->role, key_alg_family(order->alg), order->names[i]},
                              .pkey = member->key->pkey,
                              .issuer = own,
                              .issuer_key = ca->keys->keys[0]->pkey,
                              .now = order->now},
        err);
    if (!cert)
        return false;
    member->chain = sk_X509_new_null();
    return (member->chain && X509_add_cert(member->chain, cert, X509_ADD_FLAG_UP_REF) &&
            X509_add_cert(member->chain, own, X509_ADD_FLAG_UP_REF)) ||
           error_memory(err);
}

static bool enter(const char *path, const struct fleet_member *members, size_t count,
                  struct error *err)
{
    AUTO(buffer) *rows = buffer_new(200 * count);
    if (!rows)
        return error_memory(err);
    for (size_t i = 0; i < count; i++)
        if (!ledger_put_row(rows, sk_X509_value(members[i].chain, 0), NULL, err))
            return false;
    return ledger_append(path, buffer_span(rows), err);
}

bool fleet_issue(const struct fleet_order *order, struct fleet_member *members, struct error *err)
{
    issuer found = {NULL};
    AUTO(issuer) *ca = &found;
    AUTO(char) *folder = order->templates ? strdup(order->templates) : install_templates(err);
    AUTO(cert_template) *look = folder ? template_load(folder, role_name(order->role), err) : NULL;
    if (!look || !issuer_open(ca, order, err) || !make_keys(order, members, err))
        return false;
    for (size_t i = 0; i < order->count; i++) {
        if (!make_chain(order, look, ca, i, &members[i], err))
            return false;
        tell(order, "certificates", i + 1);
    }
    return enter(ca->ledger_path, members, order->count, err);
}
