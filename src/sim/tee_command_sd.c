/* SPDX-License-Identifier: Apache-2.0 */
/* CreateSD, UpdateSD, DeleteSD. */
#include <string.h>

#include "sim/tee_command_parts.h"
#include "util/limits.h"

/* ---- CreateSD ---- */

enum error_code_id command_create_sd(device *dev, const request *r, fields *f,
                                     command_result *result, struct error *err)
{
    long long sds;
    if (f->sd)
        return refuse(ERR_SD_ALREADY_EXIST, err, "there is an SD of that name for this SP");
    AUTO(X509) *cert = sp_certificate(json_member(r->fields, "spcert")->string, err);
    if (!cert)
        return ERR_SPCERT_INVALID;
    if (!sql_number(dev->db, &sds, 0, err, "SELECT count(*) FROM sd WHERE device = ?", "i",
                    dev->id))
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

enum error_code_id command_update_sd(device *dev, const request *r, fields *f,
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

enum error_code_id command_delete_sd(device *dev, const request *r, fields *f,
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
