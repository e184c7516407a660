/* SPDX-License-Identifier: Apache-2.0 */
/* InstallTA, UpdateTA, DeleteTA. */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "otrp/ta_package.h"
#include "sim/tee_command_parts.h"
#include "util/limits.h"

void ta_label(long long ta, const char *what, char label[64])
{
    snprintf(label, 64, "TA %lld %s", ta, what);
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
                    "SELECT coalesce(length(code) - ?2, 0) FROM ta WHERE id = ?1", "ii", replaced,
                    (long long)SEAL_BYTES) ||
        !sql_number(dev->db, &pdata, 0, err,
                    "SELECT coalesce(length(pdata) - ?2, 0) FROM ta WHERE id = ?1", "ii", replaced,
                    (long long)SEAL_BYTES))
        return false;
    long long wanted = (d->package ? (long long)d->package->ta->size : code) +
                       (d->pdata ? (long long)d->pdata->size : pdata);
    *room = bytes + wanted <= dev->limits.bytes;
    return true;
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
                   "UPDATE ta SET size = coalesce(length(code) - ?2, 0)"
                   " + coalesce(length(pdata) - ?2, 0) WHERE id = ?1",
                   "ii", ta, (long long)SEAL_BYTES);
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

enum error_code_id command_install_ta(device *dev, const request *r, fields *f,
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
    if (!sql_number(dev->db, &tas, 0, err,
                    "SELECT count(*) FROM ta JOIN sd ON sd.id = ta.sd WHERE sd.device = ?", "i",
                    dev->id) ||
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

enum error_code_id command_update_ta(device *dev, const request *r, fields *f,
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

enum error_code_id command_delete_ta(device *dev, const request *r, fields *f,
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
