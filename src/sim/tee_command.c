/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "sim/tee_command_parts.h"
#include "util/base64.h"

static void fields_free(fields *f)
{
    free(f->spid);
    free(f->sdname);
    free(f->taid);
}
AUTO_DEFINE(fields, fields_free)

enum error_code_id refuse(enum error_code_id code, struct error *err, const char *why)
{
    error_set(err, RC_PEER, "%s", why);
    return code;
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

X509 *sp_certificate(struct span base64, struct error *err)
{
    AUTO(buffer) *der = base64_decode(base64, "spcert", err);
    AUTO(X509) *cert = der ? cert_from_der(buffer_span(der), "spcert", err) : NULL;
    return cert && sp_cert_check(cert, "spcert", err) ? TAKE(cert) : NULL;
}

static const command_function commands[MESSAGE_COUNT] = {
    [MESSAGE_CREATE_SD] = command_create_sd, [MESSAGE_UPDATE_SD] = command_update_sd,
    [MESSAGE_DELETE_SD] = command_delete_sd, [MESSAGE_INSTALL_TA] = command_install_ta,
    [MESSAGE_UPDATE_TA] = command_update_ta, [MESSAGE_DELETE_TA] = command_delete_ta,
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
