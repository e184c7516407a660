/* SPDX-License-Identifier: Apache-2.0 */
/* Tells apart what was found, and makes an item of it. */
#include "applets/inspect.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "otrp/error_code.h"
#include "util/base64.h"
#include "util/json.h"
#include "util/openssl_auto.h"

enum { ARRAY_TRIED = 3 };

/* ---- messages ---- */

static void show_jws_of(look *l, const struct json_value *value, struct signed_as as)
{
    if (json_member(value, "payload") || json_member(value, "signature")) {
        show_jws(l, "", value, as);
        return;
    }
    struct layer layer = layer_add(&l->report, "envelope", "no JWS");
    deviate(l, "envelope", DEVIATION_NO_VALUE);
    show_value(l, &layer, "value", value);
}

static void show_response_array(look *l, const struct json_value *array,
                                const struct message_type *type)
{
    const struct signed_as as = {
        .kind = SIGNED_RESPONSE, .type = type, .inner = type->response_tbs_name};
    if (array->kind != JSON_KIND_ARRAY) {
        deviate(l, type->response, DEVIATION_STATE_ARRAY);
        show_jws_of(l, array, as);
        return;
    }
    for (const struct json_value *e = array->first; e; e = e->next) {
        const struct json_value *jws = json_member(e, GET_DEVICE_STATE_ELEMENT);
        if (!jws || e->count != 1)
            deviate(l, type->response, DEVIATION_STATE_ARRAY);
        if (jws)
            show_jws_of(l, jws, as);
    }
}

static void show_plain(look *l, const struct json_value *value)
{
    const struct other_message *other = message_find_other(value->name);
    struct layer layer = layer_add(&l->report, "members", "unsigned");
    show_members(l, &layer, "", value);
    deviations_of_members(value, other->members, other->name,
                          strcmp(other->name, "TAQuery") == 0 ? "section 6.4.2" : "section 10",
                          report_deviation, l);
    const struct json_value *code = json_member(value, "errcode");
    AUTO(char) *name = code && code->kind == JSON_KIND_STRING ? span_dup(code->string) : NULL;
    const struct error_code *row = name ? error_code_find(name) : NULL;
    if (row)
        hint_add(&l->report, "%s: %s. Try: %s", row->name, row->meaning, row->remedy);
    else if (name)
        deviate(l, "errcode", DEVIATION_ERROR_CODE);
}

/* The type whose signed part has that name, unsigned; *response tells which of the two. */
static const struct message_type *find_tbs(struct span name, bool *response)
{
    for (int id = 0; id < MESSAGE_COUNT; id++) {
        const struct message_type *type = message_type((enum message_id)id);
        *response = span_is(name, type->response_tbs_name);
        if (*response || span_is(name, type->request_tbs_name))
            return type;
    }
    return NULL;
}

static bool show_unsigned(look *l, const struct json_value *member, const char *name)
{
    bool response;
    const struct message_type *type = find_tbs(member->name, &response);
    bool information = span_is(member->name, "TAInformationTBS");
    if (!type && !information)
        return false;
    item_begin(&l->report, "unsigned message", name);
    deviate(l, name, DEVIATION_UNSIGNED);
    struct layer layer = layer_add(&l->report, "payload", "unsigned, %zu bytes", member->text.size);
    show_tbs(l, member,
             (struct signed_as){.kind = information ? SIGNED_INFORMATION
                                        : response  ? SIGNED_RESPONSE
                                                    : SIGNED_REQUEST,
                                .type = type},
             &layer);
    return true;
}

/* An object with the name of a message, which other members may stand beside. */
static bool show_message(look *l, const struct json_value *root)
{
    for (const struct json_value *m = root->first; m; m = m->next) {
        const struct message_type *request = message_find_request(m->name),
                                  *response = message_find_response(m->name);
        bool information = span_is(m->name, "TAInformation"),
             element = span_is(m->name, GET_DEVICE_STATE_ELEMENT),
             query = span_is(m->name, "TAQuery"), broker = span_is(m->name, "OTrPBrokerError");
        AUTO(char) *name = span_dup(m->name);
        bool known = request || response || information || element || query || broker;
        if (!name || (!known && !(root->count == 1 && show_unsigned(l, m, name))))
            continue;
        if (!known)
            return true;
        item_begin(&l->report, "message", name);
        if (root->count != 1)
            deviate(l, name, DEVIATION_MEMBERS);
        if (element)
            deviate(l, name, DEVIATION_STATE_ARRAY);
        if (query || broker)
            show_plain(l, m);
        else if (response && response->id == MESSAGE_GET_DEVICE_STATE)
            show_response_array(l, m, response);
        else if (information)
            show_jws_of(
                l, m, (struct signed_as){.kind = SIGNED_INFORMATION, .inner = "TAInformationTBS"});
        else {
            const struct message_type *type = request   ? request
                                              : element ? message_type(MESSAGE_GET_DEVICE_STATE)
                                                        : response;
            show_jws_of(l, m,
                        (struct signed_as){.kind = request ? SIGNED_REQUEST : SIGNED_RESPONSE,
                                           .type = type,
                                           .inner = request ? type->request_tbs_name
                                                            : type->response_tbs_name});
        }
        return true;
    }
    return false;
}

/* ---- transcripts ---- */

static struct span text_in(const struct json_value *object, const char *name)
{
    const struct json_value *v = json_member(object, name);
    return v && v->kind == JSON_KIND_STRING ? v->string : SPAN(NULL, 0);
}

static time_t time_in(const struct json_value *entry)
{
    struct tm tm = {0};
    AUTO(char) *text = span_dup(text_in(entry, "time"));
    return text && strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) ? timegm(&tm) : 0;
}

static bool is_entry(const struct json_value *root)
{
    return json_member(root, "direction") && json_member(root, "time") &&
           (json_member(root, "body") || json_member(root, "body_base64"));
}

static bool show_entry(look *l, const struct json_value *root, const struct unearthed *found)
{
    struct span body = text_in(root, "body"), encoded = text_in(root, "body_base64");
    struct error ignored;
    AUTO(buffer) *decoded = encoded.size ? base64_decode(encoded, "body_base64", &ignored) : NULL;
    item_begin(&l->report, "transcript entry", NULL);
    struct layer layer = layer_add(&l->report, "entry", "%zu bytes of body",
                                   decoded ? decoded->size : body.size);
    for (const struct json_value *v = root->first; v; v = v->next) {
        AUTO(char) *name = span_dup(v->name);
        if (name && !span_is(v->name, "body") && !span_is(v->name, "body_base64"))
            show_value(l, &layer, name, v);
    }
    l->entry_time = time_in(root);
    item_end(l, found);
    json_decref(l->report.item);
    l->report.item = NULL;
    bool good = unearth_inside(decoded ? buffer_span(decoded) : body, found, UNEARTHED_IN_STRING,
                               item_take, l, l->err);
    l->failed |= !good;
    l->entry_time = 0;
    return true;
}

/* ---- JSON ---- */

static bool show_keys(look *l, const struct json_value *root)
{
    const struct json_value *list = json_member(root, "keys");
    if (!list || list->kind != JSON_KIND_ARRAY || !list->first || !json_member(list->first, "kty"))
        return false;
    item_begin(&l->report, "JWK set", NULL);
    struct layer layer = layer_add(&l->report, "keys", "%u keys", list->count);
    size_t i = 0;
    for (const struct json_value *v = list->first; v; v = v->next) {
        char name[40];
        snprintf(name, sizeof name, "keys[%zu]", i++);
        show_value(l, &layer, name, v);
    }
    return true;
}

static bool show_object(look *l, const struct json_value *root, const struct unearthed *found)
{
    if (show_message(l, root))
        return true;
    if (is_entry(root))
        return show_entry(l, root, found);
    const struct json_value *state = json_member(root, "dsi"), *kty = json_member(root, "kty");
    if (state && state->kind == JSON_KIND_OBJECT) {
        item_begin(&l->report, "device state", NULL);
        struct layer layer = layer_add(&l->report, "dsi", "%zu bytes", found->text.size);
        show_members(l, &layer, "", root);
        show_dsi(l, &layer, state, found->text);
        const struct member *dsi = member_find(
            message_type(MESSAGE_GET_DEVICE_STATE)->response_content, span_text("dsi"));
        deviations_of_members(state, dsi->members, "dsi", "section 9.1.5", report_deviation, l);
        return true;
    }
    if (kty && kty->kind == JSON_KIND_STRING) {
        item_begin(&l->report, "JWK", NULL);
        struct layer layer = layer_add(&l->report, "key", "%u members", root->count);
        show_jwk(l, &layer, "jwk", root);
        return true;
    }
    if (value_is_jws(root)) {
        item_begin(&l->report, "JWS", NULL);
        show_jws(l, "", root, (struct signed_as){.kind = SIGNED_BARE});
        return true;
    }
    if (value_is_jwe(root)) {
        item_begin(&l->report, "JWE", NULL);
        buffer_free(show_jwe(l, "envelope", root, false));
        return true;
    }
    return show_keys(l, root);
}

/* An array of certificates or OCSP responses: x5c, ocspdat, a stapling set. */
static bool show_array(look *l, const struct json_value *root)
{
    enum deviation form;
    size_t tried = 0, known = 0, i = 0;
    for (const struct json_value *v = root->first; v && tried < ARRAY_TRIED; v = v->next, tried++) {
        AUTO(buffer) *der = v->kind == JSON_KIND_STRING && v->string.size >= 40
                                ? decode_loosely(v->string, &form)
                                : NULL;
        known += der && der->size > 16 && der->data[0] == 0x30;
    }
    if (!known || known != tried)
        return false;
    item_begin(&l->report, "array of DER", NULL);
    struct layer layer = layer_add(&l->report, "array", "%u elements", root->count);
    for (const struct json_value *v = root->first; v && layer.left; v = v->next) {
        char name[40];
        snprintf(name, sizeof name, "[%zu]", i++);
        show_value(l, &layer, name, v);
    }
    return true;
}

/* What cannot be read as JSON, but was one of ours: what it began with. A JWK might be in it. */
static bool show_broken(look *l, struct span text, const struct error *why)
{
    if (!unearth_knows(text))
        return false;
    item_begin(&l->report, "broken JSON", NULL);
    struct layer layer = layer_add(&l->report, "text", "%zu bytes", text.size);
    row_text(&layer, "begins", text, TONE_PLAIN);
    deviation_add(&l->report, "text", deviation_row(DEVIATION_BROKEN)->section, "%s", why->message);
    return true;
}

static size_t depth_of(const struct json_value *value)
{
    size_t most = 0;
    for (const struct json_value *v = value->first; v; v = v->next) {
        size_t depth = v->first ? depth_of(v) : 0;
        most = depth > most ? depth : most;
    }
    return most + 1;
}

static bool take_json(look *l, const struct unearthed *found)
{
    struct error err;
    struct span text = found->text;
    AUTO(buffer) *mended = NULL;
    item_begin(&l->report, "JSON", NULL);
    AUTO(json_doc) *doc = read_document(l, text, "text", &mended, &err);
    json_t *noted = json_incref(json_object_get(l->report.item, "deviations"));
    bool known = false;
    if (doc) {
        const struct json_value *root = json_root(doc);
        if (depth_of(root) > LIMIT_JSON_DEPTH)
            deviate(l, "text", DEVIATION_DEEP);
        known = root->kind == JSON_KIND_OBJECT ? show_object(l, root, found) : show_array(l, root);
    } else if (found->how & UNEARTHED_CUT || mended || err.rc == RC_MALFORMED) {
        known = show_broken(l, text, &err);
    }
    if (known && l->report.item)
        json_array_extend(json_object_get(l->report.item, "deviations"), noted);
    json_decref(noted);
    return known;
}

/* ---- PEM, DER, compact ---- */

static bool take_pem(look *l, const struct unearthed *found)
{
    AUTO(BIO) *bio = BIO_new_mem_buf(found->text.data, (int)found->text.size);
    char *label = NULL, *header = NULL;
    unsigned char *data = NULL;
    long size = 0;
    if (!bio || !PEM_read_bio(bio, &label, &header, &data, &size)) {
        ERR_clear_error();
        return false;
    }
    struct span der = SPAN(data, (size_t)size);
    bool private = strstr(label, "PRIVATE KEY") != NULL;
    bool request = strstr(label, "CERTIFICATE REQUEST") != NULL;
    bool certificate = strstr(label, "CERTIFICATE") != NULL && !request;
    bool list = strcmp(label, "X509 CRL") == 0;
    item_begin(&l->report,
               certificate ? "certificate"
               : request   ? "signing request"
               : list      ? "revocation list"
               : private   ? "private key"
                           : "PEM",
               label);
    struct layer layer = layer_add(&l->report, "PEM", "%s, %ld bytes", label, size);
    if (strstr(header, "ENCRYPTED") || strcmp(label, "ENCRYPTED PRIVATE KEY") == 0)
        row_words(&layer, "key", TONE_NOTE, "encrypted");
    else if (!show_der(l, &layer,
                       certificate ? "certificate"
                       : request   ? "request"
                       : list      ? "crl"
                                   : "key",
                       der)) {
        if (private)
            row_secret(&layer, "key", der);
        else
            row_bytes(&layer, "bytes", der, TONE_PLAIN);
    }
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, (size_t)size);
    return true;
}

static bool take_der(look *l, const struct unearthed *found)
{
    item_begin(&l->report, "DER", NULL);
    struct layer layer = layer_add(&l->report, "DER", "%zu bytes", found->text.size);
    if (!show_der(l, &layer, "value", found->text))
        return false;
    const json_t *row = json_array_get(layer.rows, 0);
    const char *kind = json_object_get(row, "certificate") ? "certificate"
                       : json_object_get(row, "ocsp")      ? "OCSP response"
                       : json_object_get(row, "crl")       ? "revocation list"
                       : json_object_get(row, "csr")       ? "signing request"
                                                           : "key";
    json_object_set_new(l->report.item, "kind", json_string(kind));
    return true;
}

static bool take_compact(look *l, const struct unearthed *found)
{
    size_t dots = 0;
    for (size_t i = 0; i < found->text.size; i++)
        dots += found->text.data[i] == '.';
    item_begin(&l->report, dots == 2 ? "JWS" : "JWE", NULL);
    show_compact(l, "", found->text);
    return true;
}

bool item_take(void *look_, const struct unearthed *found)
{
    look *l = look_;
    bool known = false;
    l->message_time = l->entry_time;
    free(TAKE(l->said_did));
    free(TAKE(l->said_tamid));
    l->tbs = NULL;
    l->opened_cek = false;
    l->cut = found->how & UNEARTHED_CUT;
    switch (found->kind) {
    case UNEARTHED_JSON:
        known = take_json(l, found);
        break;
    case UNEARTHED_COMPACT:
        known = take_compact(l, found);
        break;
    case UNEARTHED_PEM:
        known = take_pem(l, found);
        break;
    case UNEARTHED_DER:
        known = take_der(l, found);
        break;
    }
    if (known && l->report.item)
        item_end(l, found);
    json_decref(l->report.item);
    l->report.item = NULL;
    return known;
}
