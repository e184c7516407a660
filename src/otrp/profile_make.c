/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as other implementations have them, made from ours. */
#include "otrp/profile.h"

#include <string.h>

#include <openssl/rand.h>

#include "jose/jwk.h"
#include "pki/x5c.h"
#include "util/base64.h"

static const struct profile_make *made(const struct profile *profile)
{
    return profile ? &profile->make : &profiles[0].make;
}

/* The compact form brings alg into the protected header; as a flattened one it says the same. */
static buffer *flatten(struct span compact, struct error *err)
{
    static const char *const names[] = {"protected", "encrypted_key", "iv", "ciphertext", "tag"};
    struct span parts[COUNT(names)];
    if (!compact_split(compact, "JWE", COUNT(names), parts, err))
        return NULL;
    AUTO(buffer) *out = buffer_new(compact.size + 128);
    if (!out) {
        error_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < COUNT(names); i++) {
        buffer_put_format(out, "%c\"%s\":\"", i ? ',' : '{', names[i]);
        buffer_put_span(out, parts[i]);
        buffer_put_char(out, '"');
    }
    buffer_put_char(out, '}');
    return out->failed ? (error_memory(err), NULL) : TAKE(out);
}

buffer *profile_encrypt(const struct profile *profile, const struct jwe_how *how,
                        struct span plaintext, buffer **cek, struct error *err)
{
    struct jwe_how own = *how;
    enum jwe_form form = made(profile)->jwe;
    if (form == JWE_FORM_GENERAL)
        return jwe_encrypt(how, plaintext, cek, err);
    own.serialization = form == JWE_FORM_HEADER ? SERIALIZATION_FLATTENED : SERIALIZATION_COMPACT;
    AUTO(buffer) *text = jwe_encrypt(&own, plaintext, cek, err);
    if (!text || form == JWE_FORM_HEADER)
        return TAKE(text);
    return flatten(buffer_span(text), err);
}

static bool key_id(const key *signer, char **kid, struct error *err)
{
    if (signer->kid) {
        *kid = strdup(signer->kid);
        return *kid || error_memory(err);
    }
    AUTO(json_t) *jwk = jwk_from_key(signer, KEY_PUBLIC, err);
    *kid = jwk ? jwk_thumbprint(jwk, err) : NULL;
    return *kid != NULL;
}

/* The signer's certificate alone, as base64url: nobody looks for a chain where it is pinned. */
static json_t *x5c_of_one(const X509_stack *chain, struct error *err)
{
    AUTO(buffer) *der = cert_to_der(sk_X509_value(chain, 0), err);
    AUTO(json_t) *text = der ? json_base64url(buffer_span(der)) : NULL;
    return text ? json_pack("[O]", text) : NULL;
}

bool profile_headers(const struct profile *profile, const key *signer, const X509_stack *chain,
                     json_t **protected, json_t **header, struct error *err)
{
    const struct profile_make *m = made(profile);
    *protected = *header = NULL;
    if (m->kid) {
        AUTO(char) *kid = NULL;
        if (!key_id(signer, &kid, err) || !(*protected = json_pack("{s:s}", "kid", kid)))
            return false;
    }
    if (m->x5c == X5C_FORM_NONE)
        return true;
    AUTO(json_t) *x5c = m->x5c == X5C_FORM_BASE64 ? x5c_from_certs(chain, 0, err)
                                                  : x5c_of_one(chain, err);
    *header = x5c ? json_pack("{s:O}", "x5c", x5c) : NULL;
    return *header != NULL;
}

/* ---- requests ---- */

/* rid as a number: that of the user, or a random one. */
static json_t *integer_rid(const char *given, struct error *err)
{
    uint32_t number = 0;
    if (!given) {
        if (RAND_bytes((unsigned char *)&number, sizeof number) != 1) {
            error_set(err, RC_INTERNAL, "no random numbers can be had");
            return NULL;
        }
        return json_integer(number >> 1);
    }
    if (*given && strlen(given) < 16 && strspn(given, "0123456789") == strlen(given))
        return json_integer(strtoll(given, NULL, 10));
    error_set(err, RC_USAGE, "rid: '%.40s' is no whole number, which this profile needs", given);
    return NULL;
}

static bool make_ids(const struct profile_make *m, bool start, json_t *tbs, const char *rid,
                     const char *tid, struct error *err)
{
    if (m->rid_integer) {
        json_t *number = integer_rid(rid, err);
        if (!number || json_object_set_new(tbs, "rid", number) != 0)
            return false;
    }
    if (m->no_rid_at_start && start && !rid)
        json_object_del(tbs, "rid");
    return tid || !m->tid || json_object_set_new(tbs, "tid", json_string(m->tid)) == 0 ||
           error_memory(err);
}

static bool make_dsihash(const struct profile_make *m, json_t *tbs, struct error *err)
{
    const char *hash = json_string_value(json_object_get(tbs, "dsihash"));
    if (m->dsihash == DSIHASH_NONE)
        json_object_del(tbs, "dsihash");
    if (m->dsihash != DSIHASH_BASE64URL || !hash)
        return true;
    AUTO(buffer) *bytes = base64_decode(span_text(hash), "dsihash", err);
    return bytes && json_object_set_new(tbs, "dsihash", json_base64url(buffer_span(bytes))) == 0;
}

bool profile_contentless(const struct profile *profile, const struct message_type *type)
{
    return type->id == MESSAGE_INSTALL_TA && !made(profile)->install_content;
}

bool profile_request_tbs(const struct profile *profile, const struct message_type *type,
                         json_t *tbs, const char *rid, const char *tid, struct error *err)
{
    const struct profile_make *m = made(profile);
    bool start = type->id == MESSAGE_GET_DEVICE_STATE;
    if (m == &profiles[0].make)
        return true;
    if (!make_ids(m, start, tbs, rid, tid, err) || !make_dsihash(m, tbs, err))
        return false;
    if (m->ocspdat && start)
        json_object_set_new(tbs, "ocspdat", json_pack("[s]", m->ocspdat));
    else if (m->ocspdat_always)
        json_object_set_new(tbs, "ocspdat", json_array());
    else
        json_object_del(tbs, "ocspdat");
    if (profile_contentless(profile, type))
        json_object_set_new(tbs, "content", json_object());
    return true;
}

bool profile_omits(const struct profile *profile, const struct message_type *type,
                   const char *member)
{
    const char *const *names = made(profile)->delete_ta;
    if (type->id != MESSAGE_DELETE_TA || !names)
        return false;
    for (; *names; names++)
        if (strcmp(*names, member) == 0)
            return false;
    return true;
}

const char *profile_placeholder(const struct profile *profile, const struct message_type *type,
                                const char *member)
{
    if (type->id != MESSAGE_INSTALL_TA || made(profile)->ta != TA_FORM_EMPTY)
        return NULL;
    return strcmp(member, "spid") == 0     ? "<SPID value>"
           : strcmp(member, "sdname") == 0 ? "<SD name for the domain to install the TA>"
                                           : NULL;
}

bool profile_encrypted_ta(const struct profile *profile, key *aik, const buffer *package,
                          buffer **text, struct error *err)
{
    enum ta_form form = made(profile)->ta;
    *text = NULL;
    if (form == TA_FORM_KEY)
        return true;
    if (form == TA_FORM_EMPTY && package) {
        error_set(err, RC_USAGE, "messages of the profile %s carry no TA", profile->name);
        return error_hint(err, "leave --ta out");
    }
    if (form == TA_FORM_EMPTY)
        *text = buffer_copy(span_text("{}"));
    else if (package)
        *text = profile_encrypt(profile, &(struct jwe_how){.keys = &aik, .count = 1},
                                buffer_span(package), NULL, err);
    else
        error_set(err, RC_USAGE, "no trusted application is given");
    return *text != NULL;
}

/* ---- answers ---- */

/* cnt as a number, ta_list in each SD; that of the default one is all there is to it. */
static void write_aist(json_t *tee)
{
    json_t *list = json_object_get(tee, "sdlist"), *sds = json_object_get(list, "sd"), *sd;
    size_t i;
    if (list)
        json_object_set_new(list, "cnt", json_integer((json_int_t)json_array_size(sds)));
    json_array_foreach (sds, i, sd) {
        json_object_set(sd, "ta_list", json_object_get(sd, "talist"));
        json_object_del(sd, "talist");
        const char *name = json_string_value(json_object_get(sd, "name"));
        if (!name || *name)
            continue;
        json_object_del(sd, "name");
        json_object_del(sd, "spid");
    }
}

/* The TAs of all SDs in one list, none of them asked for; the certificate in base64url. */
static bool write_thaler(json_t *tee)
{
    struct error ignored;
    AUTO(json_t) *tas = json_array();
    const json_t *sds = json_object_get(json_object_get(tee, "sdlist"), "sd");
    for (size_t i = 0; i < json_array_size(sds); i++)
        json_array_extend(tas, json_object_get(json_array_get(sds, i), "talist"));
    json_object_set(tee, "talist", tas);
    json_object_set_new(tee, "requestedtalist", json_array());
    json_object_del(tee, "sdlist");
    const char *cert = json_string_value(json_object_get(tee, "cert"));
    AUTO(buffer) *der = cert ? base64_decode(span_text(cert), "cert", &ignored) : NULL;
    return !cert ||
           (der && json_object_set_new(tee, "cert", json_base64url(buffer_span(der))) == 0);
}

json_t *profile_dsi(const struct profile *profile, const json_t *inner)
{
    AUTO(json_t) *dsi = json_deep_copy(inner);
    json_t *tee = json_object_get(dsi, "tee");
    switch (made(profile)->answer) {
    case ANSWER_AIST:
        write_aist(tee);
        break;
    case ANSWER_THALER:
        if (!write_thaler(tee))
            return NULL;
        break;
    case ANSWER_IETF:
        break;
    }
    return TAKE(dsi);
}

bool profile_answer_tbs(const struct profile *profile, json_t *tbs)
{
    const struct profile_make *m = made(profile);
    const json_t *signerreq = json_object_get(tbs, "signerreq");
    if (m->answer_id && (json_object_set_new(tbs, "rid", json_string(m->answer_id)) != 0 ||
                         json_object_set_new(tbs, "tid", json_string(m->answer_id)) != 0))
        return false;
    if (!signerreq || m->answer == ANSWER_IETF)
        return true;
    return json_object_set_new(tbs, "signerreq",
                               m->answer == ANSWER_AIST ? json_false() : json_string("true")) == 0;
}

bool profile_answer_content(const struct profile *profile, const struct message_type *type,
                            json_t *content)
{
    json_t *dsi = json_object_get(content, "dsi");
    enum answer_form form = made(profile)->answer;
    if (type->id == MESSAGE_GET_DEVICE_STATE || form == ANSWER_IETF)
        return true;
    if (form == ANSWER_AIST) {
        json_object_del(content, "did");
        return true;
    }
    if (!dsi)
        return true;
    AUTO(json_t) *outer = json_pack("{s:O}", "dsi", dsi);
    AUTO(buffer) *text = outer ? json_canonical(outer) : NULL;
    return text && json_object_set_new(content, "dsi", json_span(buffer_span(text))) == 0;
}
