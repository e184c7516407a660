/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/cert.h"
#include "pki/template.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/conf.h>
#include <openssl/err.h>

#include "pki/asn1.h"
#include "pki/keygen.h"
#include "util/file.h"
#include "util/limits.h"
#include "util/openssl_error.h"

struct cert_template {
    CONF *conf;
    char *path;
};

/* A line of a template: where it stands, and what it says. */
struct entry {
    const char *section, *name, *value;
};

static bool fault(const cert_template *t, const struct entry *at, const char *what,
                  struct error *err)
{
    return error_set(err, RC_USAGE, "%s: [%s] %s: %s", t->path, at->section, at->name, what);
}

static bool fault_openssl(const cert_template *t, const struct entry *at, struct error *err)
{
    return error_openssl(err, RC_USAGE, "%s: [%s] %s = %s", t->path, at->section, at->name,
                         at->value);
}

static STACK_OF(CONF_VALUE) * section_of(const cert_template *t, const char *section)
{
    STACK_OF(CONF_VALUE) *rows = NCONF_get_section(t->conf, section);
    ERR_clear_error();
    return rows;
}

/* NCONF_get_string would fall back to the default section. */
static const char *value_of(const cert_template *t, const char *section, const char *name)
{
    STACK_OF(CONF_VALUE) *rows = section_of(t, section);
    for (int i = 0; rows && i < sk_CONF_VALUE_num(rows); i++)
        if (strcmp(sk_CONF_VALUE_value(rows, i)->name, name) == 0)
            return sk_CONF_VALUE_value(rows, i)->value;
    return NULL;
}

/* The first of the names (the second may be NULL) that is there, in [profile_ROLE], else in
 * [profile]. at->section is in room. */
static bool find_entry(const cert_template *t, enum pki_role role, const char *const names[2],
                       char room[32], struct entry *at)
{
    for (int general = 0; general < 2; general++) {
        snprintf(room, 32, general ? "profile" : "profile_%s", role_name(role));
        for (size_t i = 0; i < 2 && names[i]; i++) {
            *at = (struct entry){room, names[i], value_of(t, room, names[i])};
            if (at->value)
                return true;
        }
    }
    return false;
}

/* Appends value with {name}, {role} and {family} replaced. */
static bool expand(const cert_template *t, const struct entry *at, const struct template_use *use,
                   buffer *out, struct error *err)
{
    for (const char *c = at->value; *c; c++) {
        if (*c != '{') {
            buffer_put_char(out, *c);
            continue;
        }
        if (strncmp(c, "{name}", 6) == 0) {
            buffer_put_text(out, use->name ? use->name : "");
        } else if (strncmp(c, "{family}", 8) == 0) {
            buffer_put_text(out, use->family);
        } else if (strncmp(c, "{role}", 6) == 0) {
            for (const char *r = role_name(use->role); *r; r++)
                buffer_put_char(out, (char)toupper((unsigned char)*r));
        } else {
            fault(t, at, "unknown placeholder", err);
            return error_hint(err, "there are {name}, {role} and {family}");
        }
        c = strchr(c, '}');
    }
    return !out->failed || error_memory(err);
}

/* The attribute that a line stands for, in a new entry or, with one given, in that. */
static bool set_attribute(const cert_template *t, const struct entry *at,
                          const struct template_use *use, X509_NAME_ENTRY **entry,
                          struct error *err)
{
    const char *dot = strchr(at->name, '.'); /* "2.OU": a second OU */
    int nid = OBJ_txt2nid(dot ? dot + 1 : at->name);
    if (nid == NID_undef)
        return fault(t, at, "no attribute of a distinguished name", err);
    AUTO(buffer) *text = buffer_new(64);
    if (!text)
        return error_memory(err);
    return expand(t, at, use, text, err) &&
           (X509_NAME_ENTRY_create_by_NID(entry, nid, MBSTRING_UTF8, text->data, (int)text->size) ||
            fault_openssl(t, at, err));
}

static bool add_attribute(const cert_template *t, const struct entry *at,
                          const struct template_use *use, X509_NAME *subject, struct error *err)
{
    X509_NAME_ENTRY *entry = NULL;
    bool added = set_attribute(t, at, use, &entry, err) &&
                 (X509_NAME_add_entry(subject, entry, -1, 0) || error_memory(err));
    X509_NAME_ENTRY_free(entry);
    return added;
}

/* The lines of a role's subject, and the name of their section; NULL with err set. */
static STACK_OF(CONF_VALUE) * subject_lines(const cert_template *t, enum pki_role role,
                                            const char **section, struct error *err)
{
    static const char *const names[2] = {"subject", NULL};
    char room[32];
    struct entry at;
    if (!find_entry(t, role, names, room, &at)) {
        error_set(err, RC_USAGE, "%s: [profile] subject: missing", t->path);
        return NULL;
    }
    STACK_OF(CONF_VALUE) *lines = section_of(t, at.value);
    if (!lines)
        error_set(err, RC_USAGE, "%s: [%s] %s: there is no section [%s]", t->path, at.section,
                  at.name, at.value);
    *section = at.value;
    return lines;
}

X509_NAME *template_subject(const cert_template *t, const struct template_use *use,
                            struct error *err)
{
    const char *section;
    STACK_OF(CONF_VALUE) *lines = subject_lines(t, use->role, &section, err);
    if (!lines)
        return NULL;
    AUTO(X509_NAME) *subject = X509_NAME_new();
    if (!subject) {
        error_memory(err);
        return NULL;
    }
    for (int i = 0; i < sk_CONF_VALUE_num(lines); i++) {
        const CONF_VALUE *line = sk_CONF_VALUE_value(lines, i);
        if (!add_attribute(t, &(struct entry){section, line->name, line->value}, use, subject, err))
            return NULL;
    }
    return TAKE(subject);
}

bool template_rename(const cert_template *t, const struct template_use *use, X509_NAME *subject,
                     struct error *err)
{
    const char *section;
    STACK_OF(CONF_VALUE) *lines = subject_lines(t, use->role, &section, err);
    for (int i = 0; i < sk_CONF_VALUE_num(lines); i++) {
        const CONF_VALUE *line = sk_CONF_VALUE_value(lines, i);
        const struct entry at = {section, line->name, line->value};
        X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, i);
        if (strchr(line->value, '{') && !set_attribute(t, &at, use, &entry, err))
            return false;
    }
    return lines != NULL;
}

static ASN1_TIME *make_end_in(const cert_template *t, long days, time_t now, struct error *err)
{
    ASN1_TIME *end = X509_time_adj_ex(NULL, (int)days, 0, &now);
    if (!end) {
        ERR_clear_error();
        error_set(err, RC_USAGE, "%s: %ld days from now are behind the year 9999", t->path, days);
    }
    return end;
}

ASN1_TIME *template_end(const cert_template *t, const struct template_use *use, time_t now,
                        struct error *err)
{
    static const char *const names[2] = {"days", "not_after"};
    char room[32];
    struct entry at;
    if (use->days)
        return make_end_in(t, use->days, now, err);
    if (!find_entry(t, use->role, names, room, &at)) {
        error_set(err, RC_USAGE, "%s: [profile] days: missing, and so is not_after", t->path);
        return NULL;
    }
    AUTO(ASN1_TIME) *end = ASN1_TIME_new();
    if (!end) {
        error_memory(err);
        return NULL;
    }
    if (strcmp(at.name, "not_after") == 0) {
        if (ASN1_TIME_set_string_X509(end, at.value))
            return TAKE(end);
        fault_openssl(t, &at, err);
        error_hint(err, "write it as 99991231235959Z");
        return NULL;
    }
    char *rest;
    errno = 0;
    long days = strtol(at.value, &rest, 10);
    if (!errno && rest != at.value && !*rest && days >= 1 && days <= LIMIT_CERT_DAYS &&
        ASN1_TIME_adj(end, now, (int)days, 0))
        return TAKE(end);
    ERR_clear_error();
    error_set(err, RC_USAGE, "%s: [%s] days = %s: not a number of days that ends before year 10000",
              t->path, at.section, at.value);
    return NULL;
}

/* Adds the extensions to cert, or with cert NULL only parses them. */
static bool add_extensions(const cert_template *t, const struct template_use *use, X509V3_CTX *ctx,
                           X509 *cert, struct error *err)
{
    char room[32], own[32];
    const char *const names[2] = {own, "extensions"};
    struct entry at;
    snprintf(own, sizeof own, "extensions_%s", use->family);
    if (!find_entry(t, use->role, names, room, &at))
        return error_set(err, RC_USAGE, "%s: [profile] extensions: missing", t->path);
    STACK_OF(CONF_VALUE) *rows = section_of(t, at.value);
    if (!rows)
        return error_set(err, RC_USAGE, "%s: [%s] %s: there is no section [%s]", t->path,
                         at.section, at.name, at.value);
    for (int i = 0; i < sk_CONF_VALUE_num(rows); i++) {
        const CONF_VALUE *row = sk_CONF_VALUE_value(rows, i);
        struct entry line = {at.value, row->name, row->value};
        ERR_clear_error();
        AUTO(X509_EXTENSION) *extension = X509V3_EXT_nconf(t->conf, ctx, row->name, row->value);
        if (!extension || (cert && !X509_add_ext(cert, extension, -1)))
            return fault_openssl(t, &line, err);
    }
    return true;
}

static bool check_names(const cert_template *t, const char *section, struct error *err)
{
    static const char *const known[] = {"subject",    "days",           "not_after",
                                        "extensions", "extensions_rsa", "extensions_ec",
                                        "requested"};
    STACK_OF(CONF_VALUE) *rows = section_of(t, section);
    bool days = false, not_after = false;
    for (int i = 0; rows && i < sk_CONF_VALUE_num(rows); i++) {
        const char *name = sk_CONF_VALUE_value(rows, i)->name;
        size_t k = 0;
        while (k < COUNT(known) && strcmp(name, known[k]) != 0)
            k++;
        struct entry at = {section, name, NULL};
        if (k == COUNT(known))
            return fault(t, &at, "unknown name", err);
        days = days || strcmp(name, "days") == 0;
        not_after = not_after || strcmp(name, "not_after") == 0;
        if (days && not_after)
            return fault(t, &at, "either days or not_after, not both", err);
    }
    return true;
}

/* The extension that the first word of *list names, or NID_undef; *list moves on. */
static int next_requested(const char **list, size_t *length)
{
    char name[64];
    *list += strspn(*list, ", \t");
    *length = strcspn(*list, ", \t");
    if (!*length || *length >= sizeof name)
        return NID_undef;
    snprintf(name, sizeof name, "%.*s", (int)*length, *list);
    return OBJ_txt2nid(name);
}

static bool find_requested(const cert_template *t, enum pki_role role, char room[32],
                           struct entry *at)
{
    static const char *const names[2] = {"requested", NULL};
    return find_entry(t, role, names, room, at);
}

static bool check_requested(const cert_template *t, enum pki_role role, struct error *err)
{
    char room[32];
    struct entry at;
    if (!find_requested(t, role, room, &at))
        return true;
    size_t length;
    for (const char *list = at.value;; list += length) {
        int nid = next_requested(&list, &length);
        if (!length)
            return true;
        if (nid == NID_undef)
            return error_set(err, RC_USAGE, "%s: [%s] requested: '%.*s' is no extension", t->path,
                             at.section, (int)length, list);
    }
}

bool template_allows(const cert_template *t, enum pki_role role, int nid)
{
    char room[32];
    struct entry at;
    size_t length;
    if (nid == NID_undef || !find_requested(t, role, room, &at))
        return false;
    for (const char *list = at.value;; list += length) {
        int allowed = next_requested(&list, &length);
        if (!length || allowed == nid)
            return length != 0;
    }
}

/* Goes through all that use of the template will need, short of a key. */
static bool check_use(const cert_template *t, const struct template_use *use, struct error *err)
{
    AUTO(X509_NAME) *subject = template_subject(t, use, err);
    AUTO(ASN1_TIME) *end = subject ? template_end(t, use, 0, err) : NULL;
    if (!end)
        return false;
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, NULL, NULL, NULL, NULL, X509V3_CTX_TEST);
    X509V3_set_nconf(&ctx, t->conf);
    return add_extensions(t, use, &ctx, NULL, err);
}

static bool check(const cert_template *t, struct error *err)
{
    if (!check_names(t, "profile", err))
        return false;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++) {
        char section[32];
        snprintf(section, sizeof section, "profile_%s", role_name(role));
        if (!check_names(t, section, err))
            return false;
        for (size_t i = 0; i < KEY_FAMILY_COUNT; i++)
            if (!check_use(t, &(struct template_use){role, key_families[i], "name", 0}, err))
                return false;
        if (!check_requested(t, role, err))
            return false;
    }
    return true;
}

cert_template *template_load(const char *dir, const char *kind, struct error *err)
{
    AUTO(cert_template) *t = calloc(1, sizeof *t);
    if (!t || asprintf(&t->path, "%s/%s.cnf", dir, kind) < 0 || !(t->conf = NCONF_new(NULL))) {
        error_memory(err);
        return NULL;
    }
    AUTO(buffer) *text = input_read(t->path, LIMIT_KEY_BYTES, err);
    if (!text)
        return NULL;
    AUTO(BIO) *bio = BIO_new_mem_buf(text->data, (int)text->size);
    long line = 0;
    if (!bio || NCONF_load_bio(t->conf, bio, &line) <= 0) {
        error_openssl(err, RC_USAGE, "%s: line %ld", t->path, line);
        return NULL;
    }
    return check(t, err) ? TAKE(t) : NULL;
}

void template_free(cert_template *t)
{
    if (!t)
        return;
    NCONF_free(t->conf);
    free(t->path);
    free(t);
}

const char *template_path(const cert_template *t)
{
    return t->path;
}

/* Subject and times. */
static bool fill(const cert_template *t, const struct template_use *use, X509 *cert, time_t now,
                 struct error *err)
{
    AUTO(X509_NAME) *subject = template_subject(t, use, err);
    AUTO(ASN1_TIME) *end = subject ? template_end(t, use, now, err) : NULL;
    if (!end)
        return false;
    return (X509_set_subject_name(cert, subject) && X509_set1_notAfter(cert, end) &&
            ASN1_TIME_set(X509_getm_notBefore(cert), now)) ||
           error_openssl(err, RC_INTERNAL, "%s: cannot fill a certificate", t->path);
}

bool template_made(const cert_template *t, const struct template_use *use, const X509 *cert)
{
    struct error ignored;
    time_t begin;
    AUTO(X509) *same = X509_new();
    return same && asn1_time_read(X509_get0_notBefore(cert), &begin) &&
           fill(t, use, same, begin, &ignored) &&
           X509_NAME_cmp(X509_get_subject_name(same), X509_get_subject_name(cert)) == 0 &&
           ASN1_TIME_compare(X509_get0_notAfter(same), X509_get0_notAfter(cert)) == 0;
}

bool template_apply(const cert_template *t, const struct template_use *use, X509 *cert,
                    X509 *issuer, time_t now, struct error *err)
{
    if (!fill(t, use, cert, now, err))
        return false;
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509V3_set_nconf(&ctx, t->conf);
    return add_extensions(t, use, &ctx, cert, err);
}

bool template_is_uniform(const cert_template *t, const struct template_use *use)
{
    /* those that depend on the issuer or the key alone, or on nothing */
    static const char *const uniform[] = {"basicConstraints", "keyUsage", "extendedKeyUsage",
                                          "authorityKeyIdentifier", "subjectKeyIdentifier"};
    char room[32], own[32];
    const char *const names[2] = {own, "extensions"};
    struct entry at;
    snprintf(own, sizeof own, "extensions_%s", use->family);
    if (!find_entry(t, use->role, names, room, &at))
        return false;
    STACK_OF(CONF_VALUE) *rows = section_of(t, at.value);
    for (int i = 0; i < sk_CONF_VALUE_num(rows); i++) {
        size_t k = 0;
        while (k < COUNT(uniform) && strcmp(sk_CONF_VALUE_value(rows, i)->name, uniform[k]) != 0)
            k++;
        if (k == COUNT(uniform))
            return false;
    }
    return true;
}
