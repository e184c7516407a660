/* SPDX-License-Identifier: Apache-2.0 */
/* otrp pki-issue: certificates for end entities, one or as many as a manifest lists. */
#include "applets/pki_issue.h"

#include <stdio.h>
#include <string.h>

#include "applets/words.h"
#include "jose/jwk.h"
#include "pki/files.h"
#include "pki/layout.h"
#include "pki/result.h"
#include "pki/staple.h"
#include "util/install.h"
#include "util/secret.h"

static const char *const roles[] = {"sp", "tam", "tee", "tfw", NULL};
static const char *const kinds[] = {"entity", "ca", "ocsp-signer", "root-ocsp-signer", NULL};

static const struct option_row options[] = {
    OPT_TEXT(pki_issue, pki, 0, "DIR", OPT_REQUIRED | OPT_DIR, "folder that pki-init made"),
    OPT_CHOICE(pki_issue, role, 0, "ROLE", roles, 0, "what it is for"),
    OPT_TEXT(pki_issue, name, 0, "NAME", 0, "whom it is for"),
    OPT_CHOICE(pki_issue, kind, 0, "KIND", kinds, 0, "what kind of certificate (default: entity)"),
    OPT_WORDS(pki_issue, alg, 0, "ALG", words_key_alg, 0,
              "make a key of this algorithm (default: rsa-2048)"),
    OPT_TEXT(pki_issue, csr, 0, "FILE", OPT_FILE,
             "for the key of a certificate signing request, made elsewhere"),
    OPT_TEXT(pki_issue, key, 0, "KEY", OPT_FILE, "for a key that exists"),
    OPT_TEXT(pki_issue, tamid, 0, "ID", 0,
             "of a TAM: an OID, a URI or a host name (default: its name)"),
    OPT_NUMBER(pki_issue, days, 0, "N", 1, LIMIT_CERT_DAYS,
               "valid for N days (default: as the template)"),
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

/* Whether the ledger has a valid certificate of e's name whose files are in no PKI. */
static bool is_elsewhere(const struct station *s, const entity *e)
{
    struct error ignored;
    struct ledger_entry entry;
    AUTO(ledger) *l = ledger_load(s->ca[e->role].ca->ledger_path, &ignored);
    for (size_t i = 0; l && i < ledger_count(l); i++) {
        if (!ledger_row(l, i, &entry, &ignored) || entry.revoked || !entry.file ||
            strcmp(entry.file, "unknown") != 0)
            continue;
        AUTO(char) *name = ledger_common_name(&entry);
        if (name && strcmp(name, e->name) == 0)
            return true;
    }
    return false;
}

static bool miss_old(const struct station *s, const entity *e, struct error *err)
{
    error_set(err, RC_USAGE, "--renew: %s has no %s '%s'", s->out ? s->out : s->pki,
              role_title(e->role), e->name);
    if (is_elsewhere(s, e))
        error_hint(err, "it was issued into another folder: name that with --out");
    return false;
}

/* The certificate that is to be renewed keeps its tamid and, unless told otherwise, its key.
 * *replaced gets it, the caller's. */
static bool take_old(const struct applet_call *call, const struct station *s, entity *e,
                     X509_stack **replaced, struct error *err)
{
    const struct pki_issue *o = call->options;
    char *found;
    if (!station_taken(s, e, &found, err))
        return false;
    AUTO(char) *path = found;
    if (!path)
        return miss_old(s, e, err);
    X509_stack *old = *replaced = cert_load(path, err);
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
            return issue_take_key(call, e, key_path, err);
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
    if (e->role != ROLE_TAM)
        return true;
    AUTO(char) *folder = layout_entity_folder(s->pki, ROLE_TAM);
    if (!folder)
        return error_memory(err);
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
    AUTO(ledger) *l = ledger_load(ledger_path, err);
    if (!l)
        return false;
    for (size_t i = 0; i < ledger_count(l); i++) {
        struct ledger_entry entry;
        if (!ledger_row(l, i, &entry, err))
            return false;
        if (entry.revoked || strcmp(entry.subject, e->facts.subject) != 0)
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
    AUTO(buffer) *pem = station_key_pem(s, e, err);
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
    AUTO(json_t) *set = staple_set(
        call,
        &(struct staple_order){
            .pki = s->pki, .cert = leaf, .ca_key = o->ca_key, .days = STAPLE_DAYS, .fresh = true},
        &why);
    if (!set) {
        warn(call, "warning: no stapling set: %s", why.message);
        AUTO(char) *set_path = station_path(s, e, "ocsp.json");
        AUTO(char) *cert_path = station_path(s, e, "cert.pem");
        AUTO(char) *command = staple_command(s->pki, set_path, cert_path);
        if (command)
            warn(call, "hint: where the keys are, '%s' makes it", command);
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
    return ledger_put_facts(row, &e->facts, file, err) &&
           ledger_append(s->ca[e->role].ca->ledger_path, buffer_span(row), err);
}

static entity *read_one(const struct pki_issue *o, struct error *err)
{
    char days[24] = "";
    if (o->days)
        snprintf(days, sizeof days, "%ld", o->days);
    return entity_read(&(struct entity_text){.role = o->role,
                                             .name = o->name,
                                             .alg = o->alg,
                                             .csr = o->csr,
                                             .tamid = o->tamid,
                                             .days = days},
                       err);
}

static bool is_encrypted(const char *path)
{
    struct error ignored;
    AUTO(buffer) *text = path_exists(path) ? input_read(path, LIMIT_KEY_BYTES, &ignored) : NULL;
    return text && memmem(text->data, text->size, "ENCRYPTED", strlen("ENCRYPTED"));
}

void issue_warn_of_clear(const struct applet_call *call, const struct station *s,
                         const char *beside)
{
    if (s->passphrase || !is_encrypted(beside))
        return;
    warn(call, "warning: a private key is written in the clear, and %s is encrypted", beside);
    warn(call, "hint: --passout encrypts it");
}

static enum rc issue_one(const struct applet_call *call, struct station *s, struct error *err)
{
    const struct pki_issue *o = call->options;

    /* inputs */
    AUTO(entity) *e = read_one(o, err);
    if (!e || !station_open(s, e->role, err) || (o->key && !issue_take_key(call, e, o->key, err)))
        return err->rc;
    X509_stack *replaced = NULL;
    bool taken = !o->renew || take_old(call, s, e, &replaced, err);
    AUTO(X509_stack) *old = replaced;
    if (!taken || !check_tamid(s, e, err) || !issue_check_brought_key(call, s, e, err))
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
    pki_warn_of_alg(call, e->role, e->alg);

    /* act */
    if (!issue_make_key(call, e, err) || !station_issue(s, e, err) ||
        (!o->renew && !check_free(s, e, err)))
        return err->rc;

    AUTO(char) *own_key = station_path(s, e, "key.pem");
    if (e->private && own_key)
        issue_warn_of_clear(call, s, is_encrypted(own_key) ? own_key : s->ca[e->role].ca->key_path);

    /* outputs: no certificate is handed out that the ledger does not have; and the ledger comes
     * when all the files are written aside, as a disk may be full */
    AUTO(buffer) *result = buffer_new(512);
    if (!result)
        return error_memory(err), err->rc;
    buffer_put_text(result, ISSUED_HEADER);
    result_edit *of_batch = NULL;
    if (old && !result_renew(s->out ? s->out : s->pki, sk_X509_value(old, 0), buffer_span(e->der),
                             &of_batch, err))
        return err->rc;
    AUTO(result_edit) *edit = of_batch;
    if (edit && !output_add(outputs, edit->path, buffer_span(edit->text), OUTPUT_PUBLIC, err))
        return err->rc;
    if (!issued_put_entity(result, s, e, 1, NULL, err) || !put_files(outputs, s, e, err) ||
        !put_staple(call, outputs, s, e, err) || !enter(s, e, err) || !output_commit(outputs, err))
        return err->rc;
    return issued_print_text(call, result, err) || issued_unprinted(result, err) ? RC_OK : err->rc;
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
    if (o->alg && (o->csr || o->key))
        return error_set(err, RC_USAGE, "%s and --alg: the key has its algorithm",
                         o->key ? "--key" : "--csr");
    return !(o->csr && o->passout) ||
           error_set(err, RC_USAGE, "--passout: with --csr no private key is written");
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct pki_issue *o = call->options;
    if (!check_options(o, err) || !layout_check(o->pki, err))
        return err->rc;
    AUTO(char) *looks = o->templates ? strdup(o->templates) : install_templates(err);
    AUTO(buffer) *passphrase = looks && o->passout ? passphrase_choose(o->passout, err) : NULL;
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
