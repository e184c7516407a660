/* SPDX-License-Identifier: Apache-2.0 */
/* otrp pki-check: audit a PKI. */
#include "applets/pki.h"

#include <stdio.h>

#include "pki/audit.h"
#include "util/terminal.h"

#define SOON_DAYS  30
#define SOON_HOURS 24 /* of a stapling set, which is made for a week */

struct pki_check {
    const char *pki, *out;
    long soon, staple_soon;
};

static const struct option_row options[] = {
    OPT_TEXT(pki_check, pki, 0, "DIR", OPT_REQUIRED | OPT_DIR, "folder that pki-init made"),
    OPT_TEXT(pki_check, out, 'o', "DIR", OPT_DIR, "also the folder that pki-issue --out filled"),
    OPT_NUMBER(pki_check, soon, 0, "DAYS", 1, 36500,
               "find certificates that expire within DAYS (default: 30)"),
    OPT_NUMBER(pki_check, staple_soon, 0, "HOURS", 1, 87600,
               "find stapling sets that expire within HOURS (default: 24)"),
    OPT_END};

struct report {
    const struct applet_call *call;
    json_t *findings; /* with --json */
    size_t count;
    bool locked; /* one key that the passphrase does not open was told: the others, less loudly */
};

static EVP_PKEY *load_key(void *context, const char *path, struct error *err)
{
    const struct report *report = context;
    return pki_audit_key(report->call, path, err);
}

static void find(void *context, const struct audit_finding *finding)
{
    struct report *report = context;
    const char *kind = audit_kind_name(finding->kind);
    report->count++;
    if (report->findings) {
        json_array_append_new(report->findings, json_pack("{s:s, s:o, s:o, s:o}", "kind", kind,
                                                          "path", json_text_of(finding->path),
                                                          "message", json_text_of(finding->message),
                                                          "hint", json_text_of(finding->hint)));
        return;
    }
    bool locked = finding->kind == AUDIT_KEY_LOCKED;
    printf("%s: ", kind);
    terminal_put_line(stdout, finding->path);
    fputs(": ", stdout);
    terminal_put_line(stdout, finding->message);
    putchar('\n');
    if (!locked || !report->locked) {
        fputs("    ", stdout);
        terminal_put_line(stdout, finding->hint);
        putchar('\n');
    }
    report->locked |= locked;
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct pki_check *o = call->options;
    AUTO(json_t) *findings = call->common->json ? json_array() : NULL;
    struct report report = {.call = call, .findings = findings};
    struct audit audit = {.pki = o->pki,
                          .out = o->out,
                          .at = clock_now(&call->clock),
                          .soon_days = o->soon ? (int)o->soon : SOON_DAYS,
                          .staple_soon_hours = o->staple_soon ? (int)o->staple_soon : SOON_HOURS,
                          .context = &report,
                          .load_key = load_key,
                          .find = find};
    if (!audit_run(&audit, err))
        return err->rc;
    if (findings) {
        AUTO(json_t) *whole = json_pack("{s:o, s:I, s:I, s:I, s:O}", "pki", json_text_of(o->pki),
                                        "certificates", (json_int_t)audit.certificates, "keys",
                                        (json_int_t)audit.keys, "keys_not_opened",
                                        (json_int_t)audit.keys_not_opened, "findings", findings);
        AUTO(buffer) *text = whole ? json_pretty(whole) : NULL;
        if (!text)
            return error_memory(err), err->rc;
        if (!stdout_write(buffer_span(text), err))
            return err->rc;
    }
    if (!stdout_flush(err))
        return err->rc;
    if (audit.keys_not_opened && !findings)
        say(call, "%s: encrypted keys that were not compared with their certificates: %zu%s",
            o->pki, audit.keys_not_opened, call->common->passin ? "" : " (--passin opens them)");
    if (!report.count) {
        say(call, "%s: %zu certificates and %zu keys, and nothing to find fault with", o->pki,
            audit.certificates, audit.keys);
        return RC_OK;
    }
    return error_set(err, RC_PARTIAL, "%s: %zu finding%s", o->pki, report.count,
                     report.count == 1 ? "" : "s"),
           err->rc;
}

const struct applet applet_pki_check = {
    .uses = USES_KEYS | USES_NOW | USES_JSON,
    .options = options,
    .size = sizeof(struct pki_check),
    .run = run,
    .examples = (const char *const[]){"otrp pki-check --pki pki",
                                      "otrp pki-check --pki pki --out devices --json", NULL},
};
