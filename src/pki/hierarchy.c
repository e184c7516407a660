/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/hierarchy.h"

#include <string.h>

#include "pki/asn1.h"
#include "pki/chain.h"
#include "pki/issue.h"
#include "pki/layout.h"
#include "pki/tamid.h"
#include "util/openssl_error.h"

static struct pki_member *add_member(hierarchy *h, struct error *err)
{
    struct pki_member *members = realloc(h->members, (h->count + 1) * sizeof *members);
    if (!members) {
        error_memory(err);
        return NULL;
    }
    h->members = members;
    members[h->count] = (struct pki_member){.issuer = h->count};
    return &members[h->count++];
}

static bool plan_root(hierarchy *h, enum pki_role role, const char *name, size_t first,
                      struct error *err)
{
    enum key_alg alg;
    if (!key_alg_parse(name, "--root-alg", &alg, err))
        return false;
    for (size_t i = first; i < h->count; i++)
        if (strcmp(h->members[i].family, key_alg_family(alg)) == 0)
            return error_set(err, RC_USAGE, "--root-alg: %s and %s would have the same file name",
                             key_alg_name(h->members[i].alg), key_alg_name(alg));
    struct pki_member *root = add_member(h, err);
    if (!root)
        return false;
    root->level = LEVEL_ROOT;
    root->role = role;
    root->alg = alg;
    root->family = key_alg_family(alg);
    return true;
}

static bool plan_authorities(hierarchy *h, enum pki_role role, const struct hierarchy_order *order,
                             struct error *err)
{
    size_t first = h->count;
    AUTO(char) *list = strdup(order->root_alg);
    if (!list)
        return error_memory(err);
    for (char *rest = list, *name; (name = strsep(&rest, ","));)
        if (!plan_root(h, role, name, first, err))
            return false;
    struct pki_member *ca = add_member(h, err);
    if (!ca)
        return false;
    ca->level = LEVEL_CA;
    ca->role = role;
    ca->family = h->members[first].family;
    ca->issuer = first;
    return key_alg_parse(order->ca_alg, "--ca-alg", &ca->alg, err);
}

static bool check_new(const hierarchy *h, const struct pki_member *m, const char *option,
                      struct error *err)
{
    for (const struct pki_member *other = h->members; other < m; other++) {
        if (other->level != LEVEL_ENTITY || other->role != m->role)
            continue;
        if (strcmp(other->name, m->name) == 0)
            return error_set(err, RC_USAGE, "--%s: '%s' is given twice", option, m->name);
        if (m->tamid && strcmp(other->tamid, m->tamid) == 0) {
            error_set(err, RC_USAGE, "--%s: %s and %s have the same tamid '%s'", option,
                      other->name, m->name, m->tamid);
            return error_hint(err, "give one of them another: --tam NAME=TAMID");
        }
    }
    return true;
}

static bool plan_tamid(struct pki_member *m, struct error *err)
{
    char *equals = strchr(m->name, '=');
    if (equals)
        *equals = '\0';
    m->tamid = strdup(equals ? equals + 1 : m->name);
    if (!m->tamid)
        return error_memory(err);
    AUTO(GENERAL_NAME) *name = tamid_to_name(m->tamid, err);
    return name || error_prefix(err, "--tam: %s", m->name);
}

static bool plan_entity(hierarchy *h, enum pki_role role, const char *name,
                        const struct hierarchy_order *order, struct error *err)
{
    const char *option = role_name(role == ROLE_TFW ? ROLE_TEE : role);
    size_t ca = h->count;
    while (h->members[--ca].level != LEVEL_CA)
        continue;
    struct pki_member *m = add_member(h, err);
    if (!m)
        return false;
    m->level = LEVEL_ENTITY;
    m->role = role;
    m->issuer = ca;
    m->name = strdup(name);
    if (!m->name)
        return error_memory(err);
    size_t length = role == ROLE_TAM ? strcspn(name, "=") : strlen(name);
    AUTO(char) *plain = strndup(name, length);
    if (!plain)
        return error_memory(err);
    if (!layout_name_valid(plain)) {
        error_set(err, RC_USAGE, "--%s: '%s' is no name", option, plain);
        return error_hint(err, LAYOUT_NAME_FORM);
    }
    if (!key_alg_parse(order->alg, "--alg", &m->alg, err))
        return false;
    m->family = key_alg_family(m->alg);
    if (role == ROLE_TAM && !plan_tamid(m, err))
        return false;
    return check_new(h, m, option, err);
}

hierarchy *hierarchy_plan(const struct hierarchy_order *order, struct error *err)
{
    const struct text_list *const names[ROLE_COUNT] = {[ROLE_SP] = order->sp,
                                                       [ROLE_TAM] = order->tam,
                                                       [ROLE_TEE] = order->tee,
                                                       [ROLE_TFW] = order->tee};
    AUTO(hierarchy) *h = calloc(1, sizeof *h);
    if (!h) {
        error_memory(err);
        return NULL;
    }
    for (enum pki_role role = 0; role < ROLE_COUNT; role++) {
        if (!plan_authorities(h, role, order, err))
            return NULL;
        for (size_t i = 0; i < names[role]->count; i++)
            if (!plan_entity(h, role, names[role]->items[i], order, err))
                return NULL;
    }
    return TAKE(h);
}

void hierarchy_free(hierarchy *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->count; i++) {
        struct pki_member *m = &h->members[i];
        free(m->name);
        free(m->tamid);
        EVP_PKEY_free(m->pkey);
        X509_free(m->cert);
    }
    free(h->members);
    free(h);
}

const char *pki_level_name(enum pki_level level)
{
    static const char *const names[LEVEL_COUNT] = {"root", "ca", "entity"};
    return names[level];
}

templates *templates_load(const char *dir, struct error *err)
{
    AUTO(templates) *t = calloc(1, sizeof *t);
    if (!t) {
        error_memory(err);
        return NULL;
    }
    if (!(t->root = template_load(dir, "root", err)) || !(t->ca = template_load(dir, "ca", err)))
        return NULL;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        if (!(t->entity[role] = template_load(dir, role_name(role), err)))
            return NULL;
    return TAKE(t);
}

void templates_free(templates *t)
{
    if (!t)
        return;
    template_free(t->root);
    template_free(t->ca);
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        template_free(t->entity[role]);
    free(t);
}

static const cert_template *template_of(const templates *t, const struct pki_member *m)
{
    return m->level == LEVEL_ROOT ? t->root : m->level == LEVEL_CA ? t->ca : t->entity[m->role];
}

/* pkey stands in for every key in a rehearsal; NULL: each has its own. */
static bool issue_all(hierarchy *h, const templates *t, EVP_PKEY *pkey, time_t now,
                      struct error *err)
{
    for (size_t i = 0; i < h->count; i++) {
        struct pki_member *m = &h->members[i];
        const struct pki_member *issuer = &h->members[m->issuer];
        bool is_root = m->level == LEVEL_ROOT;
        X509_free(m->cert);
        m->cert = issue(&(struct issue_order){.template = template_of(t, m),
                                              .use = {m->role, key_alg_family(m->alg), m->name, 0},
                                              .tamid = m->tamid,
                                              .pkey = pkey ? pkey : m->pkey,
                                              .issuer = is_root ? NULL : issuer->cert,
                                              .issuer_key = pkey ? pkey : issuer->pkey,
                                              .now = now},
                        err);
        if (!m->cert)
            return false;
    }
    return true;
}

/* A new stack that holds cert too. */
static X509_stack *stack_of(X509 *cert)
{
    AUTO(X509_stack) *stack = sk_X509_new_null();
    return stack && X509_add_cert(stack, cert, X509_ADD_FLAG_UP_REF) ? TAKE(stack) : NULL;
}

/* Judges by what every role needs when the keys are not the real ones. */
static bool check_chains(const hierarchy *h, const templates *t, bool rehearsal, time_t now,
                         struct error *err)
{
    for (size_t i = 0; i < h->count; i++) {
        const struct pki_member *m = &h->members[i];
        if (m->level != LEVEL_ENTITY)
            continue;
        const struct pki_member *ca = &h->members[m->issuer];
        AUTO(X509_stack) *others = stack_of(ca->cert);
        AUTO(X509_stack) *anchors = stack_of(h->members[ca->issuer].cert);
        if (!others || !anchors)
            return error_memory(err);
        AUTO(X509_stack) *path = chain_verify(
            &(struct chain_question){.leaf = m->cert,
                                     .others = others,
                                     .anchors = anchors,
                                     .role = rehearsal ? ROLE_SP : m->role,
                                     .at = now},
            err);
        if (path)
            continue;
        err->rc = RC_USAGE;
        return error_prefix(err, "the templates beside %s make certificates that nobody accepts",
                            template_path(template_of(t, m)));
    }
    return true;
}

bool hierarchy_rehearse(hierarchy *h, const templates *t, time_t now, struct error *err)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    if (!pkey)
        return error_openssl(err, RC_INTERNAL, "cannot make a key");
    bool good = issue_all(h, t, pkey, now, err) && check_chains(h, t, true, now, err);
    for (size_t i = 0; i < h->count; i++)
        X509_free(TAKE(h->members[i].cert));
    EVP_PKEY_free(pkey);
    return good;
}

bool hierarchy_make_keys(hierarchy *h, const struct keygen_how *how, struct error *err)
{
    struct keygen_job *jobs = calloc(h->count, sizeof *jobs);
    if (!jobs)
        return error_memory(err);
    for (size_t i = 0; i < h->count; i++)
        jobs[i].alg = h->members[i].alg;
    bool done = keygen_run(jobs, h->count, how, err);
    for (size_t i = 0; i < h->count; i++)
        h->members[i].pkey = jobs[i].pkey;
    free(jobs);
    return done;
}

bool hierarchy_issue(hierarchy *h, const templates *t, time_t now, struct error *err)
{
    return issue_all(h, t, NULL, now, err) && check_chains(h, t, false, now, err);
}
