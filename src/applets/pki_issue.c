/* SPDX-License-Identifier: Apache-2.0 */
/* otrp pki-issue: certificates for end entities, one or as many as a manifest lists. */
#include "applets/pki_issue.h"

#include <stdio.h>
#include <string.h>

#include <openssl/provider.h>

#include "jose/jwk.h"
#include "pki/files.h"
#include "pki/issue.h"
#include "pki/layout.h"
#include "pki/manifest.h"
#include "pki/staple.h"
#include "util/base64.h"
#include "util/install.h"
#include "util/secret.h"

#define PRINT_BYTES 65536

struct pki_issue {
    const char *pki, *role, *name, *alg, *csr, *key, *tamid, *manifest, *out, *ca_key, *templates,
        *passout, *kind;
    long days, jobs;
    bool renew, resume;
};

static const char *const roles[] = {"sp", "tam", "tee", "tfw", NULL};
static const char *const kinds[] = {"entity", "ca", "ocsp-signer", "root-ocsp-signer", NULL};

static const struct option_row options[] = {
    OPT_TEXT(pki_issue, pki, 0, "DIR", OPT_REQUIRED | OPT_DIR, "folder that pki-init made"),
    OPT_CHOICE(pki_issue, role, 0, "ROLE", roles, 0, "what it is for"),
    OPT_TEXT(pki_issue, name, 0, "NAME", 0, "whom it is for"),
    OPT_CHOICE(pki_issue, kind, 0, "KIND", kinds, 0, "what kind of certificate (default: entity)"),
    OPT_TEXT(pki_issue, alg, 0, "ALG", 0, "make a key of this algorithm (default: rsa-2048)"),
    OPT_TEXT(pki_issue, csr, 0, "FILE", OPT_FILE,
             "for the key of a certificate signing request, made elsewhere"),
    OPT_TEXT(pki_issue, key, 0, "KEY", OPT_FILE, "for a key that exists"),
    OPT_TEXT(pki_issue, tamid, 0, "ID", 0,
             "of a TAM: an OID, a URI or a host name (default: its name)"),
    OPT_NUMBER(pki_issue, days, 0, "N", 1, 3652058, "valid for N days (default: as the template)"),
    OPT_FLAG(pki_issue, renew, 0, 0, "replace the certificate that is there; key and tamid stay"),
    OPT_TEXT(pki_issue, manifest, 'm', "FILE", OPT_FILE,
             "a CSV of many: role, name, alg, csr, tamid, days"),
    OPT_TEXT(pki_issue, out, 'o', "DIR", OPT_DIR,
             "folder for keys and certificates, in subfolders (default: in the PKI)"),
    OPT_NUMBER(pki_issue, jobs, 'j', "N", 1, 256, "work with N processes (default: one a core)"),
    OPT_FLAG(pki_issue, resume, 0, 0, "go on with a batch that was interrupted"),
    OPT_TEXT(pki_issue, ca_key, 0, "KEY", OPT_FILE,
             "private key of the CA, where it is not in the PKI: a file, or the URI of a token"),
    OPT_TEXT(pki_issue, passout, 0, "ARG", 0,
             "encrypt the private keys with this passphrase, in the forms of --passin"),
    OPT_TEXT(pki_issue, templates, 0, "DIR", OPT_DIR, "folder of the X.509 templates"),
    OPT_END};

/* The bytes at at that move a terminal's cursor or turn its text around: controls of ASCII and of
 * Unicode (U+0080 to U+009F), and what sets the direction of writing. */
static size_t unprintable(const uint8_t *at, size_t left)
{
    if (at[0] < ' ' || at[0] == 0x7f)
        return 1;
    if (left >= 2 && at[0] == 0xc2 && at[1] < 0xa0)
        return 2;
    bool marks = left >= 3 && at[0] == 0xe2 && at[1] == 0x80 &&
                 (at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xa8 && at[2] <= 0xae));
    bool isolates = left >= 3 && at[0] == 0xe2 && at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9;
    return marks || isolates ? 3 : 0;
}

void issued_put(buffer *out, const struct issued *issued)
{
    char row[24];
    snprintf(row, sizeof row, "%zu", issued->row);
    const char *const fields[ISSUED_FIELDS] = {
        row,         issued->role, issued->name, issued->serial, issued->sha256,
        issued->did, issued->cert, issued->key,  issued->status, issued->message};
    size_t start = out->size;
    for (size_t i = 0; i < ISSUED_FIELDS; i++)
        csv_put(out, fields[i] ? fields[i] : "", i == 0);
    for (size_t i = start; !out->failed && i < out->size; i++)
        memset(out->data + i, ' ', unprintable(out->data + i, out->size - i));
    buffer_put_char(out, '\n');
}

/* The fields of a record that say something, as a JSON object; the number of the row is a number.
 */
static void put_object(buffer *out, const struct csv_record *names, const struct csv_record *row)
{
    for (size_t i = 0; i < row->count && i < names->count; i++) {
        if (!*row->fields[i])
            continue;
        buffer_put_text(out, i ? ", " : "  {");
        buffer_put_json_string(out, span_text(names->fields[i]));
        buffer_put_text(out, ": ");
        if (i)
            buffer_put_json_string(out, span_text(row->fields[i]));
        else
            buffer_put_text(out, row->fields[i]);
    }
    buffer_put_char(out, '}');
}

/* A record as it was read. */
static void put_record(buffer *out, const struct csv_record *row)
{
    for (size_t i = 0; i < row->count; i++)
        csv_put(out, row->fields[i], i == 0);
    buffer_put_char(out, '\n');
}

bool issued_print(const struct applet_call *call, csv *result, struct error *err)
{
    bool json = call->common->json;
    struct csv_record names, row;
    AUTO(buffer) *head = buffer_new(256);
    AUTO(buffer) *out = buffer_new(PRINT_BYTES);
    if (!head || !out)
        return error_memory(err);
    if (csv_next(result, &names, err) != CSV_RECORD)
        return false;
    put_record(head, &names);
    AUTO(csv) *kept = csv_open_text(buffer_span(head), "names",
                                    err); /* names are lost with the next row */
    if (!kept || csv_next(kept, &names, err) != CSV_RECORD)
        return false;
    buffer_put_text(out, json ? "{\"rows\": [" : (const char *)head->data);
    enum csv_result more;
    for (bool first = true; (more = csv_next(result, &row, err)) == CSV_RECORD; first = false) {
        if (json) {
            buffer_put_text(out, first ? "\n" : ",\n");
            put_object(out, &names, &row);
        } else {
            put_record(out, &row);
        }
        if (out->size < PRINT_BYTES / 2)
            continue;
        if (!stdout_write(buffer_span(out), err))
            return false;
        out->size = 0;
    }
    buffer_put_text(out, json ? "\n]}\n" : "");
    return more == CSV_END &&
           (out->failed ? error_memory(err) : stdout_write(buffer_span(out), err));
}

bool issued_put_entity(buffer *out, const struct station *s, const entity *e, size_t row,
                       const char *message, struct error *err)
{
    AUTO(char) *serial = ledger_serial(e->cert);
    uint8_t digest[32];
    AUTO(buffer) *sha256 = buffer_new(80);
    AUTO(buffer) *did = buffer_new(48);
    AUTO(char) *cert = station_path(s, e, "cert.pem");
    AUTO(char) *key_path = e->private ? station_path(s, e, "key.pem") : NULL;
    if (!serial || !sha256 || !did || !cert || (e->private && !key_path) ||
        !EVP_Digest(e->der->data, e->der->size, digest, NULL, EVP_sha256(), NULL))
        return error_memory(err);
    buffer_put_hex(sha256, SPAN(digest, sizeof digest));
    if (e->role == ROLE_TEE)
        buffer_put_base64(did, SPAN(digest, sizeof digest));
    issued_put(out, &(struct issued){.row = row,
                                     .role = role_name(e->role),
                                     .name = e->name,
                                     .serial = serial,
                                     .sha256 = (const char *)sha256->data,
                                     .did = (const char *)did->data,
                                     .cert = cert,
                                     .key = key_path,
                                     .status = ISSUED_GOOD,
                                     .message = message});
    return !(out->failed || sha256->failed || did->failed) || error_memory(err);
}

/* Gives the entity the key that the user, or the certificate that is renewed, has. */
static bool take_key(const struct applet_call *call, entity *e, const char *source,
                     struct error *err)
{
    AUTO(key_set) *keys = call_keys(call, source, KEY_PUBLIC, err);
    if (!keys)
        return false;
    if (keys->count != 1 || !keys->keys[0]->pkey)
        return error_set(err, RC_USAGE, "%s: one key is needed, RSA or EC", source);
    EVP_PKEY *pkey = keys->keys[0]->pkey;
    if (!EVP_PKEY_up_ref(pkey))
        return error_memory(err);
    /* what is in a token stays there */
    bool exportable = keys->keys[0]->private && !strchr(source, ':');
    return entity_set_key(e, pkey, exportable, source, err);
}

/* The certificate that is to be renewed keeps its tamid and, unless told otherwise, its key. */
static bool take_old(const struct applet_call *call, const struct station *s, entity *e,
                     struct error *err)
{
    const struct pki_issue *o = call->options;
    char *found;
    if (!station_taken(s, e, &found, err))
        return false;
    AUTO(char) *path = found;
    if (!path)
        return error_set(err, RC_USAGE, "--renew: %s has no %s '%s'", s->out ? s->out : s->pki,
                         role_title(e->role), e->name);
    AUTO(X509_stack) *old = cert_load(path, err);
    if (!old)
        return false;
    if (e->role == ROLE_TAM) {
        AUTO(char) *tamid = cert_tamid(sk_X509_value(old, 0), err);
        if (!tamid)
            return false;
        if (o->tamid && strcmp(o->tamid, tamid) != 0)
            return error_set(err, RC_USAGE, "--tamid: %s has the tamid '%s', and keeps it", e->name,
                             tamid);
        free(e->tamid);
        e->tamid = TAKE(tamid);
    }
    if (!o->alg && !o->csr && !o->key) {
        AUTO(char) *key_path = strndup(path, strlen(path) - strlen("cert.pem") + strlen("key.pem"));
        if (!key_path)
            return error_memory(err);
        strcpy(key_path + strlen(path) - strlen("cert.pem"), "key.pem");
        if (path_exists(key_path))
            return take_key(call, e, key_path, err);
        EVP_PKEY *pkey = X509_get_pubkey(sk_X509_value(old, 0));
        if (!pkey)
            return error_set(err, RC_MALFORMED, "%s: its key cannot be read", path);
        return entity_set_key(e, pkey, false, path, err);
    }
    AUTO(char) *own = station_path(s, e, "cert.pem");
    if (own && strcmp(own, path) == 0)
        return true;
    error_set(err, RC_USAGE, "%s: a key of another family would stand beside it", path);
    return error_hint(err, "move the files of the old one away, or take another name");
}

/* Whether another TAM of the PKI has that tamid. */
static bool check_tamid(const struct station *s, const entity *e, struct error *err)
{
    AUTO(char) *folder = NULL;
    if (e->role != ROLE_TAM)
        return true;
    if (asprintf(&folder, "%s/tam/tam", s->pki) < 0) {
        folder = NULL;
        return error_memory(err);
    }
    AUTO(char) *owner = layout_tamid_owner(folder, e->tamid, e->name);
    if (!owner)
        return true;
    error_set(err, RC_USAGE, "tamid '%s': %s has it already", e->tamid, owner);
    return error_hint(err, "give another with --tamid");
}

/* A name is taken when there are files of it, or its CA vouches for it elsewhere. */
static bool check_free(const struct station *s, const entity *e, struct error *err)
{
    char *found;
    if (!station_taken(s, e, &found, err))
        return false;
    AUTO(char) *path = found;
    if (path) {
        error_set(err, RC_USAGE, "%s: the name '%s' is taken", path, e->name);
        return error_hint(err, "--renew replaces it");
    }
    const char *ledger_path = s->ca[e->role].ca->ledger_path;
    if (!path_exists(ledger_path))
        return true;
    AUTO(char) *subject = X509_NAME_oneline(X509_get_subject_name(e->cert), NULL, 0);
    AUTO(ledger) *l = subject ? ledger_load(ledger_path, err) : NULL;
    if (!l)
        return subject ? false : error_memory(err);
    for (size_t i = 0; i < ledger_count(l); i++) {
        struct ledger_entry entry;
        if (!ledger_row(l, i, &entry, err))
            return false;
        if (entry.revoked || strcmp(entry.subject, subject) != 0)
            continue;
        error_set(err, RC_USAGE, "%s: the name '%s' is taken, by serial number %s", ledger_path,
                  e->name, entry.serial);
        return error_hint(err, "revoke that one first, or take another name");
    }
    return true;
}

static bool put_file(output_set *outputs, const struct station *s, const entity *e,
                     const char *what, const buffer *content, enum output_kind kind,
                     struct error *err)
{
    AUTO(char) *path = station_path(s, e, what);
    AUTO(char) *folder = path ? strdup(path) : NULL;
    if (!content || !folder)
        return content ? error_memory(err) : false;
    *strrchr(folder, '/') = '\0';
    return output_directory(outputs, folder, err) &&
           output_add(outputs, path, buffer_span(content), kind, err);
}

static bool put_jwk(output_set *outputs, const struct station *s, const entity *e,
                    enum key_part part, struct error *err)
{
    AUTO(json_t) *jwk = jwk_from_pkey(e->pkey, part, err);
    AUTO(buffer) *text = jwk ? json_pretty(jwk) : NULL;
    if (!text)
        return jwk ? error_memory(err) : false;
    return part == KEY_PRIVATE ? put_file(outputs, s, e, "key.jwk", text, OUTPUT_PRIVATE, err)
                               : put_file(outputs, s, e, "pub.jwk", text, OUTPUT_PUBLIC, err);
}

/* The files that pki-init makes of an entity, but its stapling set. */
static bool put_files(output_set *outputs, const struct station *s, const entity *e,
                      struct error *err)
{
    AUTO(buffer) *cert = entity_cert_pem(e, err);
    AUTO(buffer) *bundle = cert ? station_bundle(s, cert, e->role, err) : NULL;
    if (!bundle ||
        !put_file(outputs, s, e, "cert-plus-intermediate-cert.pem", bundle, OUTPUT_PUBLIC, err) ||
        !put_jwk(outputs, s, e, KEY_PUBLIC, err) ||
        !put_file(outputs, s, e, "cert.pem", cert, OUTPUT_PUBLIC, err))
        return false;
    if (!e->private)
        return true;
    AUTO(buffer) *pem = pki_key_pem(e->pkey, s->passphrase, err);
    return pem && put_file(outputs, s, e, "key.pem", pem, OUTPUT_PRIVATE, err) &&
           (s->passphrase || put_jwk(outputs, s, e, KEY_PRIVATE, err));
}

/* A TAM sends its stapling set from the first message on; where the root's key is not at hand, it
 * has to wait. */
static bool put_staple(const struct applet_call *call, output_set *outputs, const struct station *s,
                       const entity *e, struct error *err)
{
    const struct pki_issue *o = call->options;
    struct error why;
    if (e->role != ROLE_TAM)
        return true;
    AUTO(X509) *leaf = cert_from_der(buffer_span(e->der), "the new certificate", err);
    if (!leaf)
        return false;
    AUTO(json_t) *set = staple_set(call, s->pki, leaf, o->ca_key, STAPLE_DAYS, &why);
    if (!set) {
        warn(call, "warning: no stapling set: %s", why.message);
        warn(call, "warning: make it with 'otrp pki-ocsp' where the keys are");
        return true;
    }
    AUTO(buffer) *text = staple_text(set, err);
    return text && put_file(outputs, s, e, "ocsp.json", text, OUTPUT_PUBLIC, err);
}

static bool enter(const struct station *s, const entity *e, struct error *err)
{
    AUTO(char) *file = station_ledger_file(s, e);
    AUTO(buffer) *row = file ? buffer_new(200) : NULL;
    if (!row)
        return error_memory(err);
    return ledger_put_row(row, e->cert, file, err) &&
           ledger_append(s->ca[e->role].ca->ledger_path, buffer_span(row), err);
}

static entity *read_one(const struct pki_issue *o, struct error *err)
{
    char days[24] = "";
    if (o->days)
        snprintf(days, sizeof days, "%ld", o->days);
    AUTO(entity) *e = entity_read(&(struct entity_text){.role = o->role,
                                                        .name = o->name,
                                                        .alg = o->alg,
                                                        .csr = o->csr,
                                                        .tamid = o->tamid,
                                                        .days = days},
                                  err);
    return e ? TAKE(e) : (error_prefix(err, "pki-issue"), NULL);
}

static bool print_one(const struct applet_call *call, const buffer *result, struct error *err)
{
    AUTO(csv) *table = csv_open_text(buffer_span(result), "result", err);
    return table && issued_print(call, table, err);
}

static enum rc issue_one(const struct applet_call *call, struct station *s, struct error *err)
{
    const struct pki_issue *o = call->options;

    /* inputs */
    AUTO(entity) *e = read_one(o, err);
    if (!e || !station_open(s, e->role, err) || (o->key && !take_key(call, e, o->key, err)) ||
        (o->renew && !take_old(call, s, e, err)) || !check_tamid(s, e, err))
        return err->rc;
    AUTO(key_set) *ca_keys = authority_keys(call, s->ca[e->role].ca, o->ca_key, err);
    AUTO(output_set) *outputs = ca_keys ? output_set_new(o->renew) : NULL;
    if (!outputs)
        return ca_keys ? (error_memory(err), err->rc) : err->rc;
    s->ca[e->role].key = ca_keys->keys[0]->pkey;
    if (e->days && (e->role == ROLE_TEE || e->role == ROLE_TFW))
        warn(call,
             "warning: a certificate of a %s is to live as long as the device, without --days",
             role_title(e->role));

    /* act */
    if (!entity_make_key(e, NULL, err) || !station_issue(s, e, err) ||
        (!o->renew && !check_free(s, e, err)))
        return err->rc;

    /* outputs: no certificate is handed out that the ledger does not have */
    AUTO(buffer) *result = buffer_new(512);
    if (!result)
        return error_memory(err), err->rc;
    buffer_put_text(result, ISSUED_HEADER);
    if (!issued_put_entity(result, s, e, 1, NULL, err) || !put_files(outputs, s, e, err) ||
        !enter(s, e, err) || !put_staple(call, outputs, s, e, err) || !output_commit(outputs, err))
        return err->rc;
    return print_one(call, result, err) ? RC_OK : err->rc;
}

/* A certificate that serves a CA: its own, or that of an OCSP signer. */
struct service {
    const char *template; /* which template */
    authority *issuer;
    char *cert_path, *key_path;
    bool is_ca;
};

static void service_close(struct service *v)
{
    authority_free(v->issuer);
    free(v->cert_path);
    free(v->key_path);
}

static bool service_open(const struct pki_issue *o, enum pki_role role, struct service *v,
                         struct error *err)
{
    AUTO(authority) *ca = authority_of(o->pki, role, err);
    if (!ca)
        return false;
    v->is_ca = strcmp(o->kind, "ca") == 0;
    v->template = v->is_ca ? "ca" : "ocsp";
    bool of_ca = strcmp(o->kind, "ocsp-signer") == 0;
    v->issuer = of_ca ? NULL : authority_find(o->pki, ca->cert, err);
    if (!of_ca && !v->issuer)
        return false;
    const authority *whose = v->is_ca || of_ca ? ca : v->issuer;
    v->cert_path = strdup(v->is_ca ? ca->cert_path : whose->ocsp_cert_path);
    v->key_path = strdup(v->is_ca ? ca->key_path : whose->ocsp_key_path);
    if (of_ca)
        v->issuer = TAKE(ca);
    return (v->cert_path && v->key_path) || error_memory(err);
}

/* Its key: given, that of the certificate that is renewed, or a new one. */
static bool service_key(const struct applet_call *call, const struct service *v, entity *e,
                        struct error *err)
{
    const struct pki_issue *o = call->options;
    if (path_exists(v->cert_path) && !o->renew) {
        error_set(err, RC_USAGE, "%s: exists already", v->cert_path);
        return error_hint(err, "--renew replaces it");
    }
    if (o->key)
        return take_key(call, e, o->key, err);
    if (o->renew && !o->alg && !o->csr) {
        AUTO(X509_stack) *old = cert_load(v->cert_path, err);
        EVP_PKEY *pkey = old ? X509_get_pubkey(sk_X509_value(old, 0)) : NULL;
        if (old && !pkey)
            error_set(err, RC_MALFORMED, "%s: its key cannot be read", v->cert_path);
        return pkey && entity_set_key(e, pkey, false, v->cert_path, err);
    }
    return entity_make_key(e, NULL, err);
}

/* A key file that would not be that of the new certificate is the user's to take away. */
static bool service_check_key(const struct applet_call *call, const struct service *v,
                              const entity *e, struct error *err)
{
    if (e->private || !path_exists(v->key_path))
        return true;
    AUTO(key_set) *keys = call_keys(call, v->key_path, KEY_PRIVATE, err);
    if (!keys)
        return false;
    if (EVP_PKEY_eq(keys->keys[0]->pkey, e->pkey) == 1)
        return true;
    error_set(err, RC_USAGE, "%s: is not the key of the new certificate", v->key_path);
    return error_hint(err, "move it away first");
}

static X509 *service_cert(const struct station *s, const struct service *v, const entity *e,
                          EVP_PKEY *issuer_key, struct error *err)
{
    AUTO(profile) *look = profile_load(s->templates, v->template, err);
    if (!look)
        return NULL;
    return issue(&(struct issue_order){.profile = look,
                                       .use = {e->role, key_alg_family(e->alg), NULL, e->days},
                                       .requested = e->requested,
                                       .pkey = e->pkey,
                                       .issuer = v->issuer->cert,
                                       .issuer_key = issuer_key,
                                       .now = clock_now(s->clock)},
                 err);
}

static bool service_put(const struct station *s, const struct service *v, entity *e, buffer *result,
                        struct error *err)
{
    AUTO(output_set) *outputs = output_set_new(true);
    AUTO(buffer) *cert = cert_to_pem(e->cert, err);
    AUTO(buffer) *pem = cert && e->private ? pki_key_pem(e->pkey, s->passphrase, err) : NULL;
    AUTO(buffer) *row = buffer_new(200);
    AUTO(char) *serial = ledger_serial(e->cert);
    AUTO(char) *sha256 = cert_sha256_hex(e->cert, err);
    if (!cert || (e->private && !pem) || !sha256)
        return false;
    if (!outputs || !row || !serial)
        return error_memory(err);
    issued_put(result, &(struct issued){.row = 1,
                                        .role = role_name(e->role),
                                        .name = e->name,
                                        .serial = serial,
                                        .sha256 = sha256,
                                        .cert = v->cert_path,
                                        .key = e->private ? v->key_path : NULL,
                                        .status = ISSUED_GOOD});
    size_t dir = strlen(s->pki);
    const char *file = v->cert_path + dir + (s->pki[dir - 1] != '/');
    return output_add(outputs, v->cert_path, buffer_span(cert), OUTPUT_PUBLIC, err) &&
           (!pem || output_add(outputs, v->key_path, buffer_span(pem), OUTPUT_PRIVATE, err)) &&
           ledger_put_row(row, e->cert, file, err) &&
           ledger_append(v->issuer->ledger_path, buffer_span(row), err) &&
           output_commit(outputs, err);
}

static enum rc issue_service(const struct applet_call *call, const struct station *s,
                             struct error *err)
{
    const struct pki_issue *o = call->options;
    struct service v = {.issuer = NULL};
    char days[24] = "";
    if (o->days)
        snprintf(days, sizeof days, "%ld", o->days);
    struct entity_text text = {
        .role = o->role, .name = o->kind, .alg = o->alg, .csr = o->csr, .days = days};
    AUTO(entity) *e = entity_read(&text, err);
    AUTO(buffer) *result = buffer_new(512);
    bool done = e && result && service_open(o, e->role, &v, err) && service_key(call, &v, e, err) &&
                service_check_key(call, &v, e, err);
    AUTO(key_set) *keys = done ? authority_keys(call, v.issuer, o->ca_key, err) : NULL;
    if (keys)
        e->cert = service_cert(s, &v, e, keys->keys[0]->pkey, err);
    if (result)
        buffer_put_text(result, ISSUED_HEADER);
    done = keys && e->cert && service_put(s, &v, e, result, err) && print_one(call, result, err);
    service_close(&v);
    return done ? RC_OK : err->rc;
}

/* The keys of the CAs that a manifest needs. *lists owns them. */
static bool load_ca_keys(const struct applet_call *call, struct station *s,
                         const bool needed[ROLE_COUNT], key_set *lists[ROLE_COUNT],
                         struct error *err)
{
    const struct pki_issue *o = call->options;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++) {
        if (!needed[role])
            continue;
        if (!station_open(s, role, err) ||
            !(lists[role] = authority_keys(call, s->ca[role].ca, o->ca_key, err)))
            return false;
        s->ca[role].key = lists[role]->keys[0]->pkey;
    }
    return true;
}

/* Goes through the manifest once: its form is checked, and what it needs known, before anything is
 * made. */
static bool survey(const struct pki_issue *o, bool needed[ROLE_COUNT], struct error *err)
{
    AUTO(manifest) *m = manifest_open(o->manifest, err);
    struct manifest_row row;
    if (!m)
        return false;
    enum csv_result result;
    while ((result = manifest_next(m, &row, err)) == CSV_RECORD) {
        const char *name = *row.text[MANIFEST_ROLE] ? row.text[MANIFEST_ROLE] : o->role;
        for (enum pki_role role = 0; name && role < ROLE_COUNT; role++)
            needed[role] |= strcmp(name, role_name(role)) == 0;
    }
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

static enum rc issue_many(const struct applet_call *call, struct station *s, struct error *err)
{
    const struct pki_issue *o = call->options;
    bool needed[ROLE_COUNT] = {false};
    key_set *lists[ROLE_COUNT] = {NULL};
    enum rc rc = RC_OK;
    if (!survey(o, needed, err) || !load_ca_keys(call, s, needed, lists, err))
        rc = err->rc;
    else
        rc = batch_run(call, s,
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

static bool is_service(const struct pki_issue *o)
{
    return o->kind && strcmp(o->kind, "entity") != 0;
}

/* What goes together, and what does not. */
static bool check_entity(const struct pki_issue *o, struct error *err)
{
    if (o->manifest && (o->name || o->csr || o->key || o->tamid || o->renew)) {
        error_set(err, RC_USAGE, "--manifest: names, keys and tamids stand in the manifest");
        return error_hint(err, "without --name, --csr, --key, --tamid and --renew");
    }
    if (!o->manifest && (!o->role || !o->name)) {
        error_set(err, RC_USAGE, "whom the certificate is for is missing");
        return error_hint(err, "give --role and --name, or --manifest");
    }
    return o->manifest || !(o->resume || o->jobs) ||
           error_set(err, RC_USAGE, "--resume and --jobs are for --manifest");
}

static bool check_kind(const struct pki_issue *o, struct error *err)
{
    if (!o->role || o->name || o->manifest || o->tamid || o->out) {
        error_set(err, RC_USAGE, "--kind %s: there is one of each role", o->kind);
        return error_hint(err, "with --role; without --name, --tamid, --manifest and --out");
    }
    return true;
}

static bool check_options(const struct pki_issue *o, struct error *err)
{
    if (is_service(o) && !check_kind(o, err))
        return false;
    if (!is_service(o) && !check_entity(o, err))
        return false;
    if (o->csr && o->key)
        return error_set(err, RC_USAGE, "--csr and --key: there is one key in a certificate");
    if (o->key && o->alg)
        return error_set(err, RC_USAGE, "--key and --alg: the key has its algorithm");
    return !(o->csr && o->passout) ||
           error_set(err, RC_USAGE, "--passout: with --csr no private key is written");
}
static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct pki_issue *o = call->options;
    if (!check_options(o, err) || !layout_check(o->pki, err))
        return err->rc;
    AUTO(char) *looks = o->templates ? strdup(o->templates) : install_templates(err);
    AUTO(buffer) *passphrase = looks && o->passout ? passphrase_read(o->passout, err) : NULL;
    if (!looks || (o->passout && !passphrase))
        return err->rc;
    struct station station = {.pki = o->pki,
                              .templates = looks,
                              .out = o->out,
                              .clock = &call->clock,
                              .passphrase = passphrase};
    enum rc rc = is_service(o) ? issue_service(call, &station, err)
                 : o->manifest ? issue_many(call, &station, err)
                               : issue_one(call, &station, err);
    station_close(&station);
    return rc;
}

const struct applet applet_pki_issue = {
    .uses = USES_KEYS | USES_NOW | USES_JSON,
    .options = options,
    .size = sizeof(struct pki_issue),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp pki-issue --pki pki --role tee --name device1 --alg ec-p256",
            "otrp pki-issue --pki pki --role tam --name mytam --renew --days 365",
            "otrp pki-issue --pki pki --manifest devices.csv --out devices > devices.result.csv",
            "otrp pki-issue --pki pki --manifest devices.csv --out devices --resume",
            "otrp pki-issue --pki pki --role tam --kind ocsp-signer --alg ec-p256",
            "otrp pki-issue --pki pki --role tee --name device2 --csr device2.csr "
            "--ca-key handle:0x81000001 --provider tpm2",
            NULL},
};
