/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki-issue --manifest: the keys of the CAs that the manifest needs, and what is said of the batch
 * (pki/batch.h) when it has been worked through.
 */
#include "applets/pki_issue.h"

#include <string.h>
#include <sys/stat.h>

#include <openssl/provider.h>

#include "applets/pki_batch_dispatch.h"
#include "pki/batch.h"

/* What a manifest needs of a role: its CA; whether it has rows for which keys are made; and whether
 * some of an algorithm that OTrP has no signature for. */
struct need {
    bool ca, keys, unsupported;
    enum key_alg unsupported_alg;
};

/* The keys of the CAs that a manifest needs. *lists owns them. */
static bool load_ca_keys(const struct applet_call *call, struct station *s,
                         const struct need needed[ROLE_COUNT], key_set *lists[ROLE_COUNT],
                         struct error *err)
{
    const struct pki_issue *o = call->options;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++) {
        if (!needed[role].ca)
            continue;
        if (!station_open(s, role, err) ||
            !(lists[role] = authority_keys(call, s->ca[role].ca, o->ca_key, err)))
            return false;
        s->ca[role].key = lists[role]->keys[0]->pkey;
        if (needed[role].keys)
            issue_warn_of_clear(call, s, s->ca[role].ca->key_path);
        if (needed[role].unsupported)
            pki_warn_of_alg(call, role, needed[role].unsupported_alg);
    }
    return true;
}

/* Notes what a row needs. */
static void add_need(const struct pki_issue *o, const char *const text[MANIFEST_COLUMNS],
                     struct need needed[ROLE_COUNT])
{
    const char *name = *text[MANIFEST_ROLE] ? text[MANIFEST_ROLE] : o->role;
    const char *alg_name = *text[MANIFEST_ALG] ? text[MANIFEST_ALG] : o->alg;
    enum pki_role role;
    enum key_alg alg;
    struct error ignored;
    if (!name || !role_find(name, &role))
        return;
    needed[role].ca = true;
    if (*text[MANIFEST_CSR])
        return;
    needed[role].keys = true;
    if (alg_name && key_alg_parse(alg_name, "alg", &alg, &ignored) && !key_alg_signs(alg)) {
        needed[role].unsupported = true;
        needed[role].unsupported_alg = alg;
    }
}

/* Goes through the manifest once: its form is checked, and what it needs known, before anything is
 * made. */
static bool survey(const struct pki_issue *o, struct need needed[ROLE_COUNT], struct error *err)
{
    struct stat st;
    if (strcmp(o->manifest, "-") == 0 || (stat(o->manifest, &st) == 0 && !S_ISREG(st.st_mode))) {
        error_set(err, RC_USAGE, "--manifest: %s is no regular file", input_name(o->manifest));
        return error_hint(err, "write it to a file: it is read several times, and by --resume");
    }
    AUTO(manifest) *m = manifest_open(o->manifest, err);
    struct manifest_row row;
    if (!m)
        return false;
    enum csv_result result;
    while ((result = manifest_next(m, &row, err)) == CSV_RECORD)
        add_need(o, row.text, needed);
    return result == CSV_END;
}

/* Whether a key is in a token, which one process is to talk to. */
static bool in_token(const EVP_PKEY *pkey)
{
    const OSSL_PROVIDER *provider = pkey ? EVP_PKEY_get0_provider(pkey) : NULL;
    const char *name = provider ? OSSL_PROVIDER_get0_name(provider) : "default";
    return strcmp(name, "default") != 0 && strcmp(name, "fips") != 0;
}

static bool any_in_token(const struct station *s)
{
    bool any = false;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        any = any || in_token(s->ca[role].key);
    return any;
}

static bool print_result(const struct applet_call *call, const char *path, struct error *err)
{
    if (issued_print(call, path, err))
        return true;
    if (err->cause == CAUSE_UNREAD) /* who read it has seen enough */
        return false;
    error_prefix(err, "the batch is done, but its result is not written");
    return error_hint(err, "%s has it", path);
}

static void say_done(const struct applet_call *call, const char *path, const struct dispatched *how)
{
    if (how->kept)
        say(call, "%s: %zu certificates, and %zu from before", path, how->done, how->kept);
    else
        say(call, "%s: %zu certificates", path, how->done);
}

static enum rc conclude(const struct applet_call *call, const struct batch *b,
                        const struct dispatched *how, struct error *err)
{
    if (how->broken) {
        if (!err->hint[0])
            error_hint(err, "%zu rows are done; --resume goes on with the others",
                       how->done - how->failed + how->kept);
        return err->rc;
    }
    if (how->interrupted) {
        error_set(err, RC_PARTIAL, "interrupted: %zu of %zu rows are done",
                  how->done - how->failed + how->kept, how->total);
        error_hint(err, "--resume goes on with the others");
        return RC_PARTIAL;
    }
    if (!journal_tidy(b->journal, err) || !print_result(call, journal_path(b->journal), err))
        return err->rc;
    if (!how->failed) {
        say_done(call, journal_path(b->journal), how);
        return RC_OK;
    }
    error_set(err, RC_PARTIAL, "%zu of %zu rows failed", how->failed, how->total);
    error_hint(err, "%s says why; --resume tries them again", journal_path(b->journal));
    return RC_PARTIAL;
}

static enum rc run_batch(const struct applet_call *call, struct station *s,
                         const struct batch_order *order, struct error *err)
{
    struct batch b;
    struct dispatched how;
    enum rc rc = RC_OK;
    if (!batch_open(&b, s, order, err) || !dispatch(&b, call->common->quiet, &how, err))
        rc = err->rc;
    else
        rc = conclude(call, &b, &how, err);
    batch_close(&b);
    return rc;
}

enum rc issue_many(const struct applet_call *call, struct station *s, struct error *err)
{
    const struct pki_issue *o = call->options;
    struct need needed[ROLE_COUNT] = {{false}};
    key_set *lists[ROLE_COUNT] = {NULL};
    enum rc rc = RC_OK;
    if (!survey(o, needed, err) || !load_ca_keys(call, s, needed, lists, err))
        rc = err->rc;
    else
        rc = run_batch(call, s,
                       &(struct batch_order){.manifest = o->manifest,
                                             .role = o->role,
                                             .alg = o->alg,
                                             .days = o->days,
                                             .jobs = o->jobs,
                                             .resume = o->resume,
                                             .token = any_in_token(s)},
                       err);
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        key_set_free(lists[role]);
    return rc;
}
