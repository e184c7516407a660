/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/dsi_make.h"

#include <stdio.h>
#include <string.h>

#include "jose/signature.h"
#include "pki/x5c.h"

json_t *dsi_make(const struct dsi_draft *d, struct error *err)
{
    AUTO(json_t) *cert = x5c_element(sk_X509_value(d->chain, 0), err);
    AUTO(json_t) *cas = cert ? x5c_from_certs(d->chain, 1, err) : NULL;
    if (!cas)
        return NULL;
    json_t *state = json_pack("{s:{s:s, s:s, s:O, s:O, s:{s:s, s:[]}, s:[]}}", "tee", "name",
                              d->name, "ver", d->version, "cert", cert, "cacert", cas, "sdlist",
                              "cnt", "0", "sd", "teeaiklist");
    if (!state)
        error_set(err, RC_USAGE, "the name or version of the TEE is not UTF-8");
    return state;
}

json_t *dsi_tfwdata(const key *tfw_key, const X509 *tfw_cert, const char *tid, struct error *err)
{
    const struct jwa *alg = jwa_for_signature(tfw_key, err);
    struct span piece = span_text(tid);
    AUTO(buffer) *signature = alg ? signature_make(alg, tfw_key, &piece, 1, err) : NULL;
    AUTO(json_t) *cert = signature ? x5c_element(tfw_cert, err) : NULL;
    if (!cert)
        return NULL;
    return json_pack("{s:o, s:O, s:s, s:o}", "tbs", json_base64(piece), "cert", cert, "sigalg",
                     alg->name, "sig", json_base64(buffer_span(signature)));
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool same(const json_t *entry, const char *name, const char *value)
{
    const char *own = text_of(entry, name);
    return own && value && strcmp(own, value) == 0;
}

/* Where the SD that fields name stands in the list, or -1. */
static int sd_index(const json_t *list, const json_t *fields)
{
    const char *spid = text_of(fields, "spid");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *sd = json_array_get(list, i);
        if (same(sd, "name", text_of(fields, "sdname")) && (!spid || same(sd, "spid", spid)))
            return (int)i;
    }
    return -1;
}

static json_t *sd_list(json_t *state)
{
    return json_object_get(json_object_get(json_object_get(state, "tee"), "sdlist"), "sd");
}

static void recount(json_t *state)
{
    char count[24];
    snprintf(count, sizeof count, "%zu", json_array_size(sd_list(state)));
    json_object_set_new(json_object_get(json_object_get(state, "tee"), "sdlist"), "cnt",
                        json_string(count));
}

/* The AIK of an SP that has got one, or has lost its last SD (aik NULL). */
static bool set_aik(json_t *state, const char *spid, const key *aik, struct error *err)
{
    json_t *list = json_object_get(json_object_get(state, "tee"), "teeaiklist");
    for (size_t i = json_array_size(list); i-- > 0;)
        if (same(json_array_get(list, i), "spid", spid))
            json_array_remove(list, i);
    if (!aik)
        return true;
    json_t *spaik = spaik_encode(aik->pkey, err);
    return spaik &&
           json_array_append_new(list, json_pack("{s:o, s:s, s:s}", "spaik", spaik, "spaiktype",
                                                 spaik_type(aik->pkey), "spid", spid)) == 0;
}

static bool drop_unused_aik(json_t *state, const char *spid, struct error *err)
{
    const json_t *list = sd_list(state);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (same(json_array_get(list, i), "spid", spid))
            return true;
    return set_aik(state, spid, NULL, err);
}

static bool add_sd(json_t *state, const json_t *fields, const key *aik, struct error *err)
{
    const char *spid = text_of(fields, "spid");
    json_t *sd = json_pack("{s:s, s:s, s:[]}", "name", text_of(fields, "sdname"), "spid", spid,
                           "talist");
    return sd && json_array_append_new(sd_list(state), sd) == 0 &&
           (!aik || set_aik(state, spid, aik, err));
}

static bool change_sd(json_t *state, json_t *sd, const json_t *fields, const key *aik,
                      struct error *err)
{
    const json_t *changes = json_object_get(fields, "changes");
    const char *name = text_of(changes, "newsdname"), *spid = text_of(changes, "newspid");
    if (name)
        json_object_set_new(sd, "name", json_string(name));
    if (spid)
        json_object_set_new(sd, "spid", json_string(spid));
    if (aik && !set_aik(state, spid ? spid : text_of(fields, "spid"), aik, err))
        return false;
    return drop_unused_aik(state, text_of(fields, "spid"), err);
}

static bool remove_sd(json_t *state, int at, struct error *err)
{
    AUTO(json_t) *sd = json_incref(json_array_get(sd_list(state), (size_t)at));
    json_array_remove(sd_list(state), (size_t)at);
    return drop_unused_aik(state, text_of(sd, "spid"), err);
}

static void remove_ta(json_t *sd, const char *taid)
{
    json_t *list = json_object_get(sd, "talist");
    for (size_t i = json_array_size(list); i-- > 0;)
        if (same(json_array_get(list, i), "taid", taid))
            json_array_remove(list, i);
}

bool dsi_after(json_t *state, enum message_id type, const json_t *fields, const key *aik,
               struct error *err)
{
    if (!json_is_array(sd_list(state)))
        return error_set(err, RC_MALFORMED, "dsi.tee.sdlist.sd: not an array");
    int at = sd_index(sd_list(state), fields);
    json_t *sd = at < 0 ? NULL : json_array_get(sd_list(state), (size_t)at);
    if (!sd && type != MESSAGE_CREATE_SD && type != MESSAGE_GET_DEVICE_STATE) {
        error_set(err, RC_USAGE, "the device state has no SD \"%s\" to change",
                  text_of(fields, "sdname") ? text_of(fields, "sdname") : "");
        return error_hint(err, "give the state before the request with --device");
    }
    bool done = true;
    switch (type) {
    case MESSAGE_CREATE_SD:
        done = sd || add_sd(state, fields, aik, err);
        break;
    case MESSAGE_UPDATE_SD:
        done = change_sd(state, sd, fields, aik, err);
        break;
    case MESSAGE_DELETE_SD:
        done = remove_sd(state, at, err);
        break;
    case MESSAGE_INSTALL_TA:
        remove_ta(sd, text_of(fields, "taid"));
        json_array_append_new(json_object_get(sd, "talist"),
                              json_pack("{s:s, s:s*}", "taid", text_of(fields, "taid"), "taname",
                                        text_of(fields, "taname")));
        break;
    case MESSAGE_DELETE_TA:
        remove_ta(sd, text_of(fields, "taid"));
        break;
    case MESSAGE_GET_DEVICE_STATE:
    case MESSAGE_UPDATE_TA:
    case MESSAGE_COUNT:
        break;
    }
    recount(state);
    return done;
}
