/* SPDX-License-Identifier: Apache-2.0 */
/* otrp pki-revoke: mark a certificate as revoked in the ledger of its CA. */
#include "applets/pki.h"

#include <string.h>

#include "pki/staple.h"
#include "sim/tam_staple.h"
#include "util/json.h"

struct pki_revoke {
    const char *pki, *reason, *serial, *role, *cert;
};

static const char *const reasons[] = {"unspecified",        "keyCompromise", "CACompromise",
                                      "affiliationChanged", "superseded",    "cessationOfOperation",
                                      "certificateHold",    "removeFromCRL", NULL};
static const char *const roles[] = {"sp", "tam", "tee", "tfw", NULL};

static const struct option_row options[] = {
    OPT_TEXT(pki_revoke, pki, 0, "DIR", OPT_REQUIRED | OPT_DIR, "folder that pki-init made"),
    OPT_CHOICE(pki_revoke, reason, 0, "R", reasons, 0, "why"),
    OPT_TEXT(pki_revoke, serial, 0, "HEX", 0, "in place of CERT: its serial number"),
    OPT_CHOICE(pki_revoke, role, 0, "ROLE", roles, 0, "with --serial: whose CA issued it"),
    OPERAND(pki_revoke, cert, "CERT", OPT_FILE, "certificate that was issued in DIR"),
    OPT_END};

/* What is to be revoked, and by whom. */
struct target {
    authority *issuer;
    X509_stack *certs; /* NULL with --serial */
    char *serial;
    char *name; /* for messages */
};

static void target_free(struct target *t)
{
    authority_free(t->issuer);
    x509_stack_free(t->certs);
    free(t->serial);
    free(t->name);
}

static bool find_cert(const struct pki_revoke *o, struct target *t, struct error *err)
{
    t->certs = cert_load(o->cert, err);
    X509 *cert = t->certs ? sk_X509_value(t->certs, 0) : NULL;
    t->issuer = cert ? authority_find(o->pki, cert, err) : NULL;
    if (!t->issuer)
        return false;
    t->serial = ledger_serial(cert);
    t->name = cert_subject(cert);
    return (t->serial && t->name) || error_memory(err);
}

static bool find_serial(const struct pki_revoke *o, struct target *t, struct error *err)
{
    enum pki_role role;
    if (!*o->serial || o->serial[strspn(o->serial, "0123456789abcdefABCDEF")])
        return error_set(err, RC_USAGE, "--serial: '%s' is no hexadecimal number", o->serial);
    t->issuer = role_find(o->role, &role) ? authority_of(o->pki, role, err) : NULL;
    if (!t->issuer)
        return false;
    t->serial = strdup(o->serial);
    t->name = strdup(o->serial);
    return (t->serial && t->name) || error_memory(err);
}

/* The row of the target; one that the ledger lost, or of another station, is added. */
static bool find_row(const struct applet_call *call, ledger *l, const struct target *t,
                     size_t *index, struct error *err)
{
    *index = ledger_index(l, t->serial);
    if (*index < ledger_count(l))
        return true;
    if (!t->certs)
        return error_set(err, RC_USAGE, "%s has no serial number %s", t->issuer->ledger_path,
                         t->serial);
    warn(call, "warning: %s: not in the ledger %s, and now added", t->name, t->issuer->ledger_path);
    return ledger_add(l, sk_X509_value(t->certs, 0), NULL, err);
}

/* What is revoked stays so, but a hold can be lifted or become final (RFC 5280 section 5.3.1). */
static bool check_change(const ledger *l, const struct target *t, size_t index, int reason,
                         struct error *err)
{
    struct ledger_entry entry;
    char when[32];
    if (!ledger_row(l, index, &entry, err))
        return false;
    bool lift = reason == ledger_reason("removeFromCRL");
    bool held = entry.revoked && entry.reason == ledger_reason("certificateHold");
    if (lift && !held) {
        error_set(err, RC_USAGE, "%s: is not on hold", t->name);
        return error_hint(err, "removeFromCRL lifts a certificateHold, and nothing else");
    }
    if (lift || !entry.revoked || (held && reason != entry.reason))
        return true;
    time_format(entry.revoked_at, when);
    const char *why = ledger_reason_name(entry.reason);
    return error_set(err, RC_USAGE, "%s: revoked already, at %s%s%s", t->name, when,
                     why ? ", reason " : "", why ? why : "");
}

/* A stapling set that devices believe until it lapses, although it says good. */
struct stale_set {
    char *path, *cert; /* NULL: there is none */
    time_t until;
};

static void stale_set_free(struct stale_set *set)
{
    free(set->path);
    free(set->cert);
}

/* The one beside the certificate in the PKI, if there is one. */
static void find_stale_set(const struct applet_call *call, const authority *issuer,
                           const struct ledger_entry *entry, struct stale_set *found)
{
    static const char end[] = "cert.pem";
    const struct pki_revoke *o = call->options;
    const char *file = entry->file ? entry->file : "";
    size_t length = strlen(file), stem = length < sizeof end ? 0 : length - (sizeof end - 1);
    AUTO(char) *cert = path_join(o->pki, file);
    AUTO(char) *set_path = NULL;
    if (asprintf(&set_path, "%s/%.*socsp.json", o->pki, (int)stem, file) < 0) {
        set_path = NULL;
        return;
    }
    if (!cert || !stem || strcmp(file + stem, end) != 0 || !path_exists(set_path))
        return;
    struct error ignored;
    AUTO(X509_stack) *chain = cert_load(cert, &ignored);
    AUTO(buffer) *text = chain ? input_read(set_path, LIMIT_SMALL_JSON, &ignored) : NULL;
    AUTO(json_t) *set = text ? json_load_span(buffer_span(text), set_path, &ignored) : NULL;
    if (!set || !X509_add_cert(chain, issuer->cert, X509_ADD_FLAG_UP_REF) ||
        !staple_judge(set, chain, NULL, clock_now(&call->clock), &found->until, &ignored))
        return;
    found->path = TAKE(set_path);
    found->cert = TAKE(cert);
}

static void warn_of(const struct applet_call *call, const struct stale_set *set)
{
    const struct pki_revoke *o = call->options;
    char when[32];
    time_format(set->until, when);
    warn(call, "warning: %s still says good, until %s", set->path, when);
    AUTO(char) *command = staple_command(o->pki, set->path, set->cert);
    if (command)
        warn(call, "hint: '%s' puts one in its place that says revoked", command);
}

/* What the ledger now says, and the set (path NULL: none) that still says otherwise. */
static json_t *make_report(const struct pki_revoke *o, const struct target *t,
                           const struct ledger_entry *entry, const struct stale_set *set)
{
    char revoked_at[32], until[32];
    time_format(entry->revoked_at, revoked_at);
    time_format(set->until, until);
    bool placed = entry->file && strcmp(entry->file, "unknown") != 0;
    AUTO(char) *cert = placed ? path_join(o->pki, entry->file) : NULL;
    json_t *still_good = set->path ? json_pack("{s:o, s:s}", "path", json_text_of(set->path),
                                               "until", until)
                                   : NULL;
    return json_pack("{s:o, s:s, s:s*, s:o*, s:s, s:s*, s:s*, s:o*}", "ledger",
                     json_text_of(t->issuer->ledger_path), "serial", entry->serial, "subject",
                     t->certs ? t->name : NULL, "cert", json_text_of(cert), "status",
                     entry->revoked ? "revoked" : "valid", "revoked_at",
                     entry->revoked ? revoked_at : NULL, "reason",
                     entry->revoked ? ledger_reason_name(entry->reason) : NULL, "still_good",
                     still_good);
}

static bool tell(const struct applet_call *call, const struct target *t,
                 const struct ledger_entry *entry, struct error *err)
{
    const char *now_is = entry->revoked ? "revoked" : "no longer on hold";
    struct stale_set set = {.path = NULL};
    say(call, "%s: %s in %s", t->name, now_is, t->issuer->ledger_path);
    if (entry->revoked)
        find_stale_set(call, t->issuer, entry, &set);
    if (set.path)
        warn_of(call, &set);
    AUTO(json_t) *report = call->common->json ? make_report(call->options, t, entry, &set) : NULL;
    stale_set_free(&set);
    if (!call->common->json)
        return true;
    AUTO(buffer) *text = report ? json_pretty(report) : NULL;
    if (!text)
        return error_memory(err);
    return stdout_write(buffer_span(text), err) ||
           error_prefix(err, "%s: %s, but the report is not written", t->name, now_is);
}

static bool revoke(const struct applet_call *call, const struct target *t, struct error *err)
{
    const struct pki_revoke *o = call->options;
    int reason = o->reason ? ledger_reason(o->reason) : -1;
    AUTO(ledger) *l = ledger_edit(t->issuer->ledger_path, err);
    struct ledger_entry entry;
    size_t index;
    return l && find_row(call, l, t, &index, err) && check_change(l, t, index, reason, err) &&
           ledger_revoke(l, index, clock_now(&call->clock), reason, err) && ledger_save(l, err) &&
           ledger_row(l, index, &entry, err) && tell(call, t, &entry, err);
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct pki_revoke *o = call->options;
    if (!o->serial == !o->cert || (o->serial && !o->role)) {
        error_set(err, RC_USAGE,
                  o->serial && o->cert ? "CERT and --serial: one of them says what to revoke"
                  : o->serial          ? "--serial needs --role"
                                       : "what is to be revoked is missing: CERT, or --serial HEX "
                                         "with --role");
        error_hint(err, "--help shows examples");
        return err->rc;
    }
    struct target target = {.issuer = NULL};
    bool done = (o->serial ? find_serial(o, &target, err) : find_cert(o, &target, err)) &&
                revoke(call, &target, err);
    target_free(&target);
    return done ? RC_OK : err->rc;
}

const struct applet applet_pki_revoke = {
    .uses = USES_NOW | USES_JSON,
    .options = options,
    .size = sizeof(struct pki_revoke),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp pki-revoke --pki pki --reason keyCompromise "
            "pki/tee/tee/tee-mytee-rsa-cert.pem",
            "otrp pki-revoke --pki pki --role tam --serial 4F2A9C31 --reason superseded", NULL},
};
