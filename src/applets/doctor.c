/* SPDX-License-Identifier: Apache-2.0 */
/* otrp doctor: what this installation has, and what it lacks, each with a hint. */
#include "applets/pki.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/provider.h>

#include "pki/audit.h"
#include "pki/template.h"
#include "pki/role.h"
#include "util/install.h"
#include "util/module.h"
#include "util/terminal.h"

struct doctor {
    const char *pki;
};

static const struct option_row options[] = {
    OPT_TEXT(doctor, pki, 0, "DIR", OPT_DIR, "look at a PKI directory as well"), OPT_END};

enum state { STATE_OK, STATE_MISSING, STATE_WRONG };

struct report {
    const struct applet_call *call;
    json_t *findings;
    size_t bad; /* what the program needs and does not have */
};

/* Adds a finding; detail and hint may be NULL. What is optional may be missing. */
static void add(struct report *r, const char *group, const char *name, enum state state,
                bool optional, const char *detail, const char *hint)
{
    static const char *const names[] = {"ok", "missing", "wrong"};
    json_array_append_new(r->findings,
                          json_pack("{s:s, s:s, s:s, s:b, s:o*, s:o*}", "group", group, "name",
                                    name, "state", names[state], "optional", optional, "detail",
                                    json_text_of(detail), "hint",
                                    state == STATE_OK || !hint ? NULL : json_text_of(hint)));
    r->bad += state != STATE_OK && !optional;
}

static void look_at_libraries(struct report *r)
{
    char detail[120];
    snprintf(detail, sizeof detail, "%s, built with %s",
             OpenSSL_version(OPENSSL_FULL_VERSION_STRING), OPENSSL_FULL_VERSION_STR);
    bool fits = OPENSSL_version_major() == OPENSSL_VERSION_MAJOR;
    add(r, "libraries", "OpenSSL", fits ? STATE_OK : STATE_WRONG, false, detail,
        "build the program anew with the OpenSSL that is installed");
    snprintf(detail, sizeof detail, "%s, built with %s", jansson_version_str(), JANSSON_VERSION);
    add(r, "libraries", "jansson", STATE_OK, false, detail, NULL);
}

/* A module, the library it is linked to, the function of that library that tells its version (NULL:
 * there is none), and who needs it. The name of libcurl is part of its version. */
struct module {
    const char *name, *symbol, *package, *version, *needed_for;
};

/* Writes "SQLite 3.40.1"; the module has been loaded. */
static void put_module_version(char *out, size_t size, const struct module *m)
{
    struct error ignored;
    const char *(*version)(void) = NULL;
    const void *found = m->version ? module_load(m->name, m->version, &ignored) : NULL;
    memcpy(&version, &found, sizeof version);
    snprintf(out, size, "%s%s%s", m->package, version && *m->package ? " " : "",
             version ? version() : "");
    char *more = strstr(out, " OpenSSL/"); /* what libcurl itself is built with */
    if (more)
        *more = '\0';
}

static void look_at_module(struct report *r, const struct module *m)
{
    struct error why, ignored;
    char text[512];
    if (module_load(m->name, m->symbol, &why)) {
        char version[200];
        put_module_version(version, sizeof version, m);
        snprintf(text, sizeof text, "%s, for %s", version, m->needed_for);
        add(r, "modules", m->name, STATE_OK, false, text, NULL);
        return;
    }
    AUTO(char) *path = install_module(m->name, &ignored);
    snprintf(text, sizeof text, "%.300s: needed for %s alone", why.message, m->needed_for);
    add(r, "modules", m->name, path ? STATE_WRONG : STATE_MISSING, false, NULL, text);
}

static void look_at_modules(struct report *r)
{
    static const struct module modules[] = {
        {"http-client", "http_client_api", "", "curl_version", "send and proxy"},
        {"http-server", "http_server_api", "libmicrohttpd", "MHD_get_version",
         "tam-stub, tee-sim serve and proxy"},
        {"sqlite", "sqlite_api", "SQLite", "sqlite3_libversion", "tee-sim and tam-stub"},
        {"jwt", "jwt_api", "libjwt", NULL, "token --check and the control interface of tam-stub"},
    };
    for (size_t i = 0; i < COUNT(modules); i++)
        look_at_module(r, &modules[i]);
}

static void look_at_algorithms(struct report *r)
{
    for (size_t i = 0; i < jwa_count; i++)
        add(r, "algorithms", jwa_table[i].name,
            jwa_available(&jwa_table[i]) ? STATE_OK : STATE_MISSING, true, jwa_table[i].section,
            "the OpenSSL that is installed does not offer it");
}

static int add_provider(OSSL_PROVIDER *provider, void *context)
{
    add(context, "providers", OSSL_PROVIDER_get0_name(provider), STATE_OK, true, "loaded", NULL);
    return 1;
}

static void look_at_templates(struct report *r)
{
    struct error err;
    AUTO(char) *dir = install_templates(&err);
    if (!dir) {
        add(r, "templates", "pki-templates", STATE_MISSING, false, NULL, err.message);
        return;
    }
    static const char *const others[] = {"root", "ca", "ocsp"};
    for (size_t i = 0; i < COUNT(others) + ROLE_COUNT; i++) {
        const char *kind = i < COUNT(others) ? others[i]
                                             : role_name((enum pki_role)(i - COUNT(others)));
        AUTO(cert_template) *p = template_load(dir, kind, &err);
        add(r, "templates", kind, p ? STATE_OK : STATE_WRONG, false,
            p ? template_path(p) : err.message, "--templates DIR takes a copy of one's own");
    }
}

/* Whether a program of that name is on the PATH. */
static bool on_path(const char *name)
{
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t length = strcspn(path, ":");
        char file[4096];
        snprintf(file, sizeof file, "%.*s/%s", (int)length, path, name);
        if (length && access(file, X_OK) == 0)
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

static void look_at_tools(struct report *r)
{
    static const char *const tools[][2] = {
        {"openssl", "a second opinion on certificates, CRLs and OCSP"},
        {"jose", "a second opinion on JWS, JWE and JWK"},
        {"jq", "the samples read JSON with it"},
        {"curl", "the samples ask the control interface with it"},
        {"man", "the pages: 'man otrp'"},
        {"bats", "tests of one's own against a TAM or a TEE"}};
    for (size_t i = 0; i < COUNT(tools); i++)
        add(r, "tools", tools[i][0], on_path(tools[i][0]) ? STATE_OK : STATE_MISSING, true,
            tools[i][1], "install it where that is wanted");
}

static EVP_PKEY *load_key(void *context, const char *path, struct error *err)
{
    const struct report *r = context;
    return pki_audit_key(r->call, path, err);
}

static void find(void *context, const struct audit_finding *finding)
{
    char detail[600];
    snprintf(detail, sizeof detail, "%.300s: %.280s", finding->path, finding->message);
    add(context, "pki", audit_kind_name(finding->kind), STATE_WRONG, false, detail, finding->hint);
}

/* What pki-check finds with its usual limits. */
static bool look_at_pki(struct report *r, const char *dir, struct error *err)
{
    size_t before = r->bad;
    struct audit audit = {.pki = dir,
                          .at = clock_now(&r->call->clock),
                          .soon_days = 30,
                          .staple_soon_hours = 24,
                          .context = r,
                          .load_key = load_key,
                          .find = find};
    if (!audit_run(&audit, err))
        return false;
    char detail[80];
    snprintf(detail, sizeof detail, "%zu certificates and %zu keys", audit.certificates,
             audit.keys);
    if (r->bad == before)
        add(r, "pki", dir, STATE_OK, false, detail, NULL);
    return true;
}

static const char *text_of(const json_t *finding, const char *member)
{
    return json_string_value(json_object_get(finding, member));
}

static void print_finding(const json_t *f)
{
    const char *detail = text_of(f, "detail"), *hint = text_of(f, "hint");
    printf("  %-8s %-20s ", text_of(f, "state"), text_of(f, "name"));
    if (detail)
        terminal_put_line(stdout, detail);
    putchar('\n');
    if (!hint)
        return;
    printf("%32s", "hint: ");
    terminal_put_line(stdout, hint);
    putchar('\n');
}

static void print(const json_t *findings)
{
    const char *group = "";
    size_t i;
    json_t *f;
    json_array_foreach (findings, i, f) {
        const char *own = text_of(f, "group");
        if (strcmp(own, group) != 0)
            printf("%s%s\n", *group ? "\n" : "", own);
        group = own;
        print_finding(f);
    }
}

static bool print_json(json_t *findings, bool sound, struct error *err)
{
    AUTO(json_t) *whole = json_pack("{s:b, s:O}", "sound", sound, "findings", findings);
    AUTO(buffer) *text = whole ? json_pretty(whole) : NULL;
    return text ? stdout_write(buffer_span(text), err) : error_memory(err);
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct doctor *o = call->options;
    struct report report = {.call = call, .findings = json_array()};
    AUTO(json_t) *findings = report.findings;
    look_at_libraries(&report);
    look_at_modules(&report);
    look_at_templates(&report);
    look_at_algorithms(&report);
    OSSL_PROVIDER_do_all(NULL, add_provider, &report);
    look_at_tools(&report);
    if (o->pki && !look_at_pki(&report, o->pki, err))
        return err->rc;
    if (call->common->json && !print_json(findings, report.bad == 0, err))
        return err->rc;
    if (!call->common->json)
        print(findings);
    if (!stdout_flush(err))
        return err->rc;
    if (report.bad == 0) {
        say(call, "everything that is needed is there");
        return RC_OK;
    }
    error_set(err, RC_PARTIAL, "%zu finding%s: what is needed is missing or wrong", report.bad,
              report.bad == 1 ? "" : "s");
    error_hint(err, "'make install' puts modules and templates where the program finds them");
    return err->rc;
}

const struct applet applet_doctor = {
    .uses = USES_JSON | USES_KEYS | USES_NOW,
    .options = options,
    .size = sizeof(struct doctor),
    .run = run,
    .examples = (const char *const[]){"otrp doctor", "otrp doctor --json | jq .sound", NULL},
};
