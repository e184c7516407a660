/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tee_command.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "otrp/dsi.h"
#include "otrp/ta_package.h"
#include "util/base64.h"
#include "util/limits.h"

/* The fields that commands share, read once; texts are owned. */
typedef struct fields {
    char *spid, *sdname, *taid;
    long long sd; /* row; 0: none */
} fields;

static void fields_free(fields *f)
{
    free(f->spid);
    free(f->sdname);
    free(f->taid);
}
AUTO_DEFINE(fields, fields_free)

static enum error_code_id refuse(enum error_code_id code, struct error *err, const char *why)
{
    error_set(err, RC_PEER, "%s", why);
    return code;
}

/* A failing system below: err says what. */
static enum error_code_id broken(void)
{
    return ERR_TEE_FAIL;
}

/* What the profile asks of the default SD: to install what the package names, with content {}, or
 * to delete. */
static bool is_for_default(const device *dev, const request *r)
{
    if (!dev->profile->default_sd || json_member(r->fields, "sdname"))
        return false;
    return r->fields ? r->type->id == MESSAGE_DELETE_TA : r->type->id == MESSAGE_INSTALL_TA;
}

static bool read_fields(device *dev, const request *r, fields *f, struct error *err)
{
    int count;
    f->spid = member_text(r->fields, "spid");
    f->sdname = is_for_default(dev, r) ? strdup(DEFAULT_SD) : member_text(r->fields, "sdname");
    f->taid = member_text(r->fields, "taid");
    if (!f->sdname || !device_find_sd(dev, r->tamid, f->spid, f->sdname, &f->sd, &count, err))
        return f->sdname ? false : error_memory(err);
    if (f->spid || !f->sd)
        return true;
    AUTO(sqlite3_stmt) *row = sql_query(dev->db, err, "SELECT spid FROM sd WHERE id = ?", "i",
                                        f->sd);
    bool more;
    if (!row || !sql_next(dev->db, row, &more, err) || !more)
        return false;
    f->spid = sql_text(row, 0);
    return f->spid || error_memory(err);
}

static bool count_rows(device *dev, const char *query, long long *count, struct error *err)
{
    return sql_number(dev->db, count, 0, err, query, "i", dev->id);
}

/* A certificate in BASE64 that can be one of an SD. */
static X509 *sp_certificate(struct span base64, struct error *err)
{
    AUTO(buffer) *der = base64_decode(base64, "spcert", err);
    AUTO(X509) *cert = der ? cert_from_der(buffer_span(der), "spcert", err) : NULL;
    return cert && sp_cert_check(cert, "spcert", err) ? TAKE(cert) : NULL;
}

/* ---- CreateSD ---- */

static enum error_code_id create_sd(device *dev, const request *r, fields *f,
                                    command_result *result, struct error *err)
{
    long long sds;
    if (f->sd)
        return refuse(ERR_SD_ALREADY_EXIST, err, "there is an SD of that name for this SP");
    AUTO(X509) *cert = sp_certificate(json_member(r->fields, "spcert")->string, err);
    if (!cert)
        return ERR_SPCERT_INVALID;
    if (!count_rows(dev, "SELECT count(*) FROM sd WHERE device = ?", &sds, err))
        return broken();
    if (sds >= dev->limits.sds)
        return refuse(ERR_TEE_RESOURCE_FULL, err, "no room for another SD");
    if (!device_add_sd(dev, r->tamid, f->spid, f->sdname, &f->sd, err) ||
        !device_add_sd_cert(dev, f->sd, cert, err))
        return broken();
    AUTO(key) *there = device_aik(dev, r->tamid, f->spid, err);
    if (!there && err->rc == RC_OK)
        result->new_aik = device_make_aik(dev, r->tamid, f->spid, err);
    if (!there && !result->new_aik)
        return broken();
    json_object_set_new(result->content, "sdname", json_string(f->sdname));
    return ERR_NONE;
}

/* ---- UpdateSD ---- */

/* SP certificates take room, too: at most so many an SD, and their bytes are those of the device's
 * TAs. */
static bool certs_have_room(device *dev, const fields *f, bool *room, struct error *err)
{
    long long count, bytes;
    if (!sql_number(dev->db, &count, 0, err, "SELECT count(*) FROM sd_cert WHERE sd = ?", "i",
                    f->sd) ||
        !sql_number(dev->db, &bytes, 0, err,
                    "SELECT (SELECT coalesce(sum(length(der)), 0) FROM sd_cert JOIN sd ON sd.id = "
                    "sd_cert.sd"
                    " WHERE sd.device = ?1) + (SELECT coalesce(sum(size), 0) FROM ta JOIN sd ON "
                    "sd.id = ta.sd"
                    " WHERE sd.device = ?1)",
                    "i", dev->id))
        return false;
    *room = count <= LIMIT_SD_CERTS && bytes <= dev->limits.bytes + LIMIT_SD_CERTS * 2048LL;
    return true;
}

static enum error_code_id rename_sd(device *dev, const request *r, fields *f,
                                    const struct json_value *changes, struct error *err)
{
    AUTO(char) *newname = member_text(changes, "newsdname");
    AUTO(char) *newspid = member_text(changes, "newspid");
    const char *name = newname ? newname : f->sdname, *spid = newspid ? newspid : f->spid;
    if (strcmp(name, f->sdname) == 0 && strcmp(spid, f->spid) == 0)
        return ERR_NONE;
    long long other;
    int count;
    if (!device_find_sd(dev, r->tamid, spid, name, &other, &count, err))
        return broken();
    if (other)
        return refuse(ERR_SDNAME_ALREADY_USED, err, "there is an SD of the new name");
    if (!sql_run(dev->db, err, "UPDATE sd SET name = ?, spid = ? WHERE id = ?", "tti", name, spid,
                 f->sd))
        return broken();
    if (strcmp(spid, f->spid) != 0 && !device_drop_unused_aik(dev, r->tamid, f->spid, err))
        return broken();
    char *kept = strdup(spid);
    if (!kept)
        return error_memory(err), broken();
    free(f->spid);
    f->spid = kept;
    return ERR_NONE;
}

static enum error_code_id change_certs(device *dev, fields *f, const struct json_value *changes,
                                       struct error *err)
{
    const struct json_value *add = json_member(changes, "spcert");
    const struct json_value *drop = json_member(changes, "deloldspcert");
    long long left;
    for (const struct json_value *e = add ? add->first : NULL; e; e = e->next) {
        AUTO(X509) *cert = sp_certificate(e->string, err);
        if (!cert)
            return ERR_SPCERT_INVALID;
        if (!device_add_sd_cert(dev, f->sd, cert, err))
            return broken();
    }
    for (const struct json_value *e = drop ? drop->first : NULL; e; e = e->next) {
        AUTO(char) *hash = span_dup(e->string);
        if (!hash ||
            !sql_run(dev->db, err, "DELETE FROM sd_cert WHERE sd = ? AND sha256 = lower(?)", "it",
                     f->sd, hash))
            return broken();
    }
    if (!sql_number(dev->db, &left, 0, err, "SELECT count(*) FROM sd_cert WHERE sd = ?", "i",
                    f->sd))
        return broken();
    if (!left)
        return refuse(ERR_SPCERT_INVALID, err, "the last SP certificate of an SD must stay");
    bool room;
    if (!certs_have_room(dev, f, &room, err))
        return broken();
    return room ? ERR_NONE : refuse(ERR_TEE_RESOURCE_FULL, err, "no room for the SP certificates");
}

static enum error_code_id update_sd(device *dev, const request *r, fields *f,
                                    command_result *result, struct error *err)
{
    const struct json_value *changes = json_member(r->fields, "changes");
    enum error_code_id code = rename_sd(dev, r, f, changes, err);
    if (code == ERR_NONE)
        code = change_certs(dev, f, changes, err);
    if (code != ERR_NONE)
        return code;
    AUTO(key) *there = device_aik(dev, r->tamid, f->spid, err);
    if (!there && err->rc != RC_OK)
        return broken();
    if (!there || member_true(changes, "renewteespaik")) {
        result->new_aik = device_make_aik(dev, r->tamid, f->spid, err);
        if (!result->new_aik)
            return broken();
    }
    return ERR_NONE;
}

/* ---- DeleteSD ---- */

static enum error_code_id delete_sd(device *dev, const request *r, fields *f,
                                    command_result *result, struct error *err)
{
    (void)result;
    long long tas;
    if (!sql_number(dev->db, &tas, 0, err, "SELECT count(*) FROM ta WHERE sd = ?", "i", f->sd))
        return broken();
    if (tas && !member_true(r->fields, "deleteta"))
        return refuse(ERR_SD_NOT_EMPTY, err, "there are TAs in the SD, and deleteta is false");
    if (!sql_run(dev->db, err, "DELETE FROM sd WHERE id = ?", "i", f->sd) ||
        !device_drop_unused_aik(dev, r->tamid, f->spid, err))
        return broken();
    return ERR_NONE;
}

/* ---- InstallTA and UpdateTA ---- */

/* One answer for every fault, so that nobody learns which SPs or packages a device accepts: its
 * text goes by the code. The cause is for who stands beside the device. */
static enum error_code_id ta_invalid(const char *cause, struct error *err)
{
    struct error why = *err;
    bool known = !cause && why.rc != RC_OK;
    return refuse(ERR_TA_INVALID, err,
                  known   ? why.message
                  : cause ? cause
                          : "the TA cannot be accepted");
}

/* What a request brings for a TA, opened. */
typedef struct delivery {
    ta_package *package; /* NULL in an UpdateTA of personalisation data alone */
    buffer *pdata;
    X509_stack *candidates; /* certificates of the SD, and spcert */
    X509 *spcert;           /* borrowed from candidates; NULL: not given */
} delivery;

static void delivery_free(delivery *d)
{
    ta_package_free(d->package);
    buffer_free(d->pdata);
    sk_X509_pop_free(d->candidates, X509_free);
}
AUTO_DEFINE(delivery, delivery_free)

static bool read_candidates(device *dev, const request *r, const fields *f, delivery *d,
                            struct error *err)
{
    d->candidates = device_sd_certs(dev, f->sd, err);
    const struct json_value *spcert = json_member(r->fields, "spcert");
    if (!d->candidates || !spcert)
        return d->candidates != NULL;
    d->spcert = sp_certificate(spcert->string, err);
    if (d->spcert && sk_X509_push(d->candidates, d->spcert))
        return true;
    X509_free(d->spcert);
    return false;
}

static enum error_code_id open_delivery(device *dev, const request *r, const fields *f, delivery *d,
                                        struct error *err)
{
    if (!read_candidates(dev, r, f, d, err))
        return ta_invalid(NULL, err);
    AUTO(key) *aik = device_aik(dev, r->tamid, f->spid, err);
    if (!aik)
        return err->rc == RC_OK ? ta_invalid("this SP has no AIK here", err) : broken();
    AUTO(buffer) *text = NULL;
    bool unsupported;
    const struct reading reading = {.profile = dev->profile};
    if (!encrypted_ta_read(json_member(r->tbs, "encrypted_ta"), r->type->id, aik,
                           dev->profile->forms ? &reading : NULL, &text, &d->pdata, &unsupported,
                           err))
        return unsupported ? ERR_UNSUPPORTED_CRYPTO_ALG : ta_invalid(NULL, err);
    if (!text)
        return ERR_NONE;
    d->package = ta_package_open(buffer_span(text), d->candidates, err);
    if (!d->package)
        return ta_invalid(NULL, err);
    if (f->taid && d->package->taid && strcmp(d->package->taid, f->taid) != 0)
        return ta_invalid("the package is for another taid", err);
    return ERR_NONE;
}

/* The taid of a TA whose request has none: what its SP has signed, or else its SHA-256. */
static bool name_ta(fields *f, const ta_package *package, struct error *err)
{
    uint8_t hash[32];
    AUTO(buffer) *text = buffer_new(2 * sizeof hash + 1);
    if (!text)
        return error_memory(err);
    if (package->taid)
        buffer_put_text(text, package->taid);
    else if (EVP_Digest(package->ta->data, package->ta->size, hash, NULL, EVP_sha256(), NULL) == 1)
        buffer_put_hex(text, SPAN(hash, sizeof hash));
    f->taid = text->failed ? NULL : span_dup(buffer_span(text));
    return f->taid || error_memory(err);
}

static bool has_room(device *dev, const delivery *d, long long replaced, bool *room,
                     struct error *err)
{
    long long bytes;
    if (!sql_number(
            dev->db, &bytes, 0, err,
            "SELECT coalesce(sum(size), 0) FROM ta JOIN sd ON sd.id = ta.sd WHERE sd.device = ?"
            " AND ta.id <> ?",
            "ii", dev->id, replaced))
        return false;
    long long code, pdata; /* what an update leaves in place */
    if (!sql_number(dev->db, &code, 0, err,
                    "SELECT coalesce(length(code) - 28, 0) FROM ta WHERE id = ?", "i", replaced) ||
        !sql_number(dev->db, &pdata, 0, err,
                    "SELECT coalesce(length(pdata) - 28, 0) FROM ta WHERE id = ?", "i", replaced))
        return false;
    long long wanted = (d->package ? (long long)d->package->ta->size : code) +
                       (d->pdata ? (long long)d->pdata->size : pdata);
    *room = bytes + wanted <= dev->limits.bytes;
    return true;
}

void ta_label(long long ta, const char *what, char label[64])
{
    snprintf(label, 64, "TA %lld %s", ta, what);
}

static bool put_sealed(device *dev, long long ta, const char *column, const buffer *data,
                       struct error *err)
{
    char label[64], statement[80];
    if (!data)
        return true;
    ta_label(ta, column, label);
    AUTO(buffer) *sealed = seal(dev->fuse, label, buffer_span(data), err);
    snprintf(statement, sizeof statement, "UPDATE ta SET %s = ? WHERE id = ?", column);
    return sealed && sql_run(dev->db, err, statement, "bi", buffer_span(sealed), ta);
}

/* What a package's x5c says of its signer, as far as each certificate has signed the one before:
 * the header is not signed itself, and what is stored here will be vouched for. */
static buffer *signer_pem(const ta_package *package, struct error *err)
{
    X509 *at = package->signer;
    AUTO(buffer) *text = cert_to_pem(at, err);
    for (int i = 0; text && package->signers && i < sk_X509_num(package->signers); i++) {
        X509 *cert = sk_X509_value(package->signers, i);
        if (X509_cmp(cert, at) == 0)
            continue;
        if (X509_check_issued(cert, at) != X509_V_OK ||
            X509_verify(at, X509_get0_pubkey(cert)) != 1)
            break;
        AUTO(buffer) *pem = cert_to_pem(cert, err);
        if (!pem)
            return NULL;
        buffer_put_span(text, buffer_span(pem));
        at = cert;
    }
    ERR_clear_error();
    return text && text->failed ? (error_memory(err), NULL) : TAKE(text);
}

/* Writes what a delivery brings into the row of the TA. */
static bool put_ta(device *dev, const request *r, const fields *f, const delivery *d, long long ta,
                   struct error *err)
{
    if (d->package) {
        AUTO(buffer) *signer = signer_pem(d->package, err);
        if (!signer ||
            !sql_run(dev->db, err, "UPDATE ta SET version = nullif(?, -1), signer = ? WHERE id = ?",
                     "ibi", d->package->version, buffer_span(signer), ta) ||
            !put_sealed(dev, ta, "code", d->package->ta, err))
            return false;
        if (d->package->signer == d->spcert && !device_add_sd_cert(dev, f->sd, d->spcert, err))
            return false;
    }
    AUTO(buffer) *tam = certs_to_pem(r->path ? r->path : dev->pinned, err);
    return tam &&
           sql_run(dev->db, err, "UPDATE ta SET tam_chain = ? WHERE id = ?", "bi", buffer_span(tam),
                   ta) &&
           put_sealed(dev, ta, "pdata", d->pdata, err) &&
           sql_run(dev->db, err,
                   "UPDATE ta SET size = coalesce(length(code) - 28, 0) + coalesce(length(pdata) - "
                   "28, 0)"
                   " WHERE id = ?",
                   "i", ta);
}

static enum error_code_id check_new(device *dev, const fields *f, struct error *err)
{
    long long ta;
    if (!device_find_ta(dev, f->sd, f->taid, &ta, err))
        return broken();
    return ta ? refuse(ERR_TA_ALREADY_INSTALLED, err, "there is a TA of that taid in the SD")
              : ERR_NONE;
}

/* Opens what is to be installed, under a taid that is new. */
static enum error_code_id receive_ta(device *dev, const request *r, fields *f, delivery *d,
                                     struct error *err)
{
    enum error_code_id code = f->taid ? check_new(dev, f, err) : ERR_NONE;
    if (code == ERR_NONE)
        code = open_delivery(dev, r, f, d, err);
    if (code != ERR_NONE || f->taid)
        return code;
    if (!d->package)
        return ta_invalid("no TA that its SP has signed", err);
    if (!name_ta(f, d->package, err))
        return broken();
    size_t size = strlen(f->taid);
    return size && size <= LIMIT_NAME_BYTES
               ? check_new(dev, f, err)
               : ta_invalid("its taid is empty or longer than 255 bytes", err);
}

static enum error_code_id install_ta(device *dev, const request *r, fields *f,
                                     command_result *result, struct error *err)
{
    (void)result;
    long long tas;
    bool room;
    delivery opened = {NULL};
    AUTO(delivery) *d = &opened;
    enum error_code_id code = receive_ta(dev, r, f, d, err);
    if (code != ERR_NONE)
        return code;
    if (!count_rows(dev, "SELECT count(*) FROM ta JOIN sd ON sd.id = ta.sd WHERE sd.device = ?",
                    &tas, err) ||
        !has_room(dev, d, 0, &room, err))
        return broken();
    if (tas >= dev->limits.tas || !room)
        return refuse(ERR_TEE_RESOURCE_FULL, err, "no room for the TA");
    AUTO(char) *taname = member_text(r->fields, "taname");
    if (!sql_run(dev->db, err,
                 "INSERT INTO ta (sd, taid, taname, size, signer, tam_chain) VALUES (?, ?, ?, 0, "
                 "'', '')",
                 "itt", f->sd, f->taid, taname) ||
        !put_ta(dev, r, f, d, sqlite->last_insert_rowid(dev->db), err))
        return broken();
    return ERR_NONE;
}

static enum error_code_id update_ta(device *dev, const request *r, fields *f,
                                    command_result *result, struct error *err)
{
    (void)result;
    const struct json_value *encrypted = json_member(r->tbs, "encrypted_ta");
    long long ta, version;
    bool room;
    if (!json_member(encrypted, "ciphernewtadata") && !json_member(encrypted, "ciphernewpdata"))
        return refuse(ERR_REQUEST_INVALID, err,
                      "encrypted_ta: neither ciphernewtadata nor ciphernewpdata");
    if (!device_find_ta(dev, f->sd, f->taid, &ta, err))
        return broken();
    if (!ta)
        return refuse(ERR_TA_NOT_FOUND, err, "there is no TA of that taid in the SD");
    delivery opened = {NULL};
    AUTO(delivery) *d = &opened;
    enum error_code_id code = open_delivery(dev, r, f, d, err);
    if (code != ERR_NONE)
        return code;
    if (!sql_number(dev->db, &version, TA_NO_VERSION, err,
                    "SELECT coalesce(version, -1) FROM ta WHERE id = ?", "i", ta) ||
        !has_room(dev, d, ta, &room, err))
        return broken();
    if (d->package && d->package->version < version)
        return ta_invalid("its version is lower than the installed one", err);
    if (!room)
        return refuse(ERR_TEE_RESOURCE_FULL, err, "no room for the TA");
    return put_ta(dev, r, f, d, ta, err) ? ERR_NONE : broken();
}

/* ---- DeleteTA ---- */

static enum error_code_id delete_ta(device *dev, const request *r, fields *f,
                                    command_result *result, struct error *err)
{
    (void)r;
    (void)result;
    long long ta;
    if (!device_find_ta(dev, f->sd, f->taid, &ta, err))
        return broken();
    if (!ta)
        return refuse(ERR_TA_NOT_FOUND, err, "there is no TA of that taid in the SD");
    return sql_run(dev->db, err, "DELETE FROM ta WHERE id = ?", "i", ta) ? ERR_NONE : broken();
}

typedef enum error_code_id (*command_function)(device *dev, const request *r, fields *f,
                                               command_result *result, struct error *err);

static const command_function commands[MESSAGE_COUNT] = {
    [MESSAGE_CREATE_SD] = create_sd, [MESSAGE_UPDATE_SD] = update_sd,
    [MESSAGE_DELETE_SD] = delete_sd, [MESSAGE_INSTALL_TA] = install_ta,
    [MESSAGE_UPDATE_TA] = update_ta, [MESSAGE_DELETE_TA] = delete_ta,
};

enum error_code_id tee_command(device *dev, const request *r, command_result *result,
                               struct error *err)
{
    fields read = {NULL};
    AUTO(fields) *f = &read;
    result->content = json_pack("{s:s}", "did", dev->did);
    if (!result->content)
        return error_memory(err), broken();
    if (!commands[r->type->id]) /* GetDeviceState changes nothing */
        return ERR_NONE;
    bool nameless = !json_member(r->fields, "sdname"); /* of a profile that knows no SDs */
    if ((!nameless || is_for_default(dev, r)) && !read_fields(dev, r, f, err))
        return broken();
    if (!f->sd && nameless)
        return refuse(ERR_SD_NOT_FOUND, err, "the request names no SD, and there is no default");
    if (!f->sd && r->type->id != MESSAGE_CREATE_SD)
        return refuse(ERR_SD_NOT_FOUND, err, "this TAM has no such SD");
    return commands[r->type->id](dev, r, f, result, err);
}
