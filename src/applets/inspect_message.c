/* SPDX-License-Identifier: Apache-2.0 */
/* What inspect knows of OTrP: members and encrypted parts of messages, device states, and what one
 * thing tells of another. */
#include "applets/inspect.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "otrp/dsi.h"
#include "otrp/error_code.h"
#include "otrp/ta_package.h"
#include "util/base64.h"

/* ---- device states ---- */

static void sha256(struct span text, uint8_t hash[32])
{
    EVP_Digest(text.data, text.size, hash, NULL, EVP_sha256(), NULL);
}

/* The hash of {"dsi":...}: as received, or of an inner object in its canonical form. */
static bool hash_state(const struct json_value *inner, struct span text, uint8_t hash[32])
{
    struct error ignored;
    if (text.size) {
        sha256(text, hash);
        return true;
    }
    AUTO(json_t) *json = json_load_value(inner, "dsi", &ignored);
    AUTO(json_t) *whole = json ? json_pack("{s:O}", "dsi", json) : NULL;
    AUTO(buffer) *canonical = whole ? json_canonical(whole) : NULL;
    if (canonical)
        sha256(buffer_span(canonical), hash);
    return canonical != NULL;
}

/* The device's certificate and those of its CAs, as far as they can be read. */
static X509_stack *state_chain(const struct json_value *inner)
{
    struct error ignored;
    enum deviation form;
    const struct json_value *tee = json_member(inner, "tee"), *cert = json_member(tee, "cert"),
                            *cas = json_member(tee, "cacert");
    AUTO(X509_stack) *chain = sk_X509_new_null();
    if (!chain || !cert || cert->kind != JSON_KIND_STRING)
        return NULL;
    const struct json_value *next = cert;
    for (size_t i = 0; next && i < LIMIT_CHAIN; i++) {
        AUTO(buffer) *der = next->kind == JSON_KIND_STRING ? decode_loosely(next->string, &form)
                                                           : NULL;
        X509 *one = der ? cert_from_der(buffer_span(der), "dsi", &ignored) : NULL;
        if (one && !sk_X509_push(chain, one))
            X509_free(one);
        next = i == 0 ? (cas ? cas->first : NULL) : next->next;
    }
    return sk_X509_num(chain) > 0 ? TAKE(chain) : NULL;
}

void show_dsi(look *l, struct layer *layer, const struct json_value *inner, struct span text)
{
    uint8_t hash[32];
    char from[60];
    if (hash_state(inner, text, hash)) {
        AUTO(buffer) *encoded = buffer_new(64);
        if (encoded) {
            buffer_put_base64(encoded, SPAN(hash, 32));
            row_words(layer, "dsihash", TONE_NOTE, "%s", (const char *)encoded->data);
        }
        look_name_item(l, from);
        look_know_state(l, hash, from);
    }
    X509_stack *chain = state_chain(inner);
    if (chain)
        look_know_tee(l, chain);
    const struct json_value *sigalg = json_member(json_member(inner, "tfwdata"), "sigalg");
    if (sigalg && sigalg->kind == JSON_KIND_STRING && !span_is(sigalg->string, "RS256") &&
        !span_is(sigalg->string, "ES256"))
        deviate(l, "dsi.tfwdata.sigalg", DEVIATION_SIGALG);
}

/* A device state that was put into a string, with or without the name around it. */
static void show_dsi_text(look *l, struct span text)
{
    struct error err;
    AUTO(buffer) *mended = NULL;
    AUTO(json_doc) *doc = read_document(l, text, "dsi", &mended, &err);
    const struct json_value *root = doc ? json_root(doc) : NULL;
    const struct json_value *inner = json_member(root, "dsi") ? json_member(root, "dsi") : root;
    if (!inner || inner->kind != JSON_KIND_OBJECT)
        return;
    struct layer layer = layer_add(&l->report, "dsi", "from a string of %zu bytes", text.size);
    show_members(l, &layer, "dsi", inner);
    show_dsi(l, &layer, inner, SPAN(NULL, 0));
}

static buffer *hash_of_text(look *l, const char *path, const struct json_value *value)
{
    enum deviation form;
    AUTO(buffer) *hash = value->kind == JSON_KIND_STRING ? decode_loosely(value->string, &form)
                                                         : NULL;
    if (hash && hash->size == 32)
        return TAKE(hash);
    deviate(l, path, DEVIATION_DSIHASH);
    return NULL;
}

/* Which of the states that were seen dsihash is of. The last one is the right one. */
static void judge_dsihash(look *l, const char *path, const struct json_value *value)
{
    AUTO(buffer) *hash = hash_of_text(l, path, value);
    size_t known = l->state_count < KNOWN_MOST ? l->state_count : KNOWN_MOST;
    if (!hash)
        return;
    if (known == 0) {
        verdict_add(&l->report, "dsihash", "not checked", "no device state at hand (--device)");
        return;
    }
    for (size_t back = 1; back <= known; back++) {
        const struct known_state *state = &l->states[(l->state_count - back) % KNOWN_MOST];
        if (memcmp(state->hash, hash->data, 32) != 0)
            continue;
        if (back == 1) {
            verdict_add(&l->report, "dsihash", "right", "of the last DSI, that of %s", state->from);
            return;
        }
        verdict_add(&l->report, "dsihash", "wrong", "of an older DSI, that of %s", state->from);
        hint_add(
            &l->report,
            "dsihash is the hash of %s: the device answers ERR_DEV_STATE_MISMATCH; ask for its "
            "state again",
            back == 2 ? "the previous DSI" : "a DSI before the previous one");
        return;
    }
    verdict_add(&l->report, "dsihash", "wrong", "of none of the %zu DSIs at hand", known);
}

/* ---- contents ---- */

static void keep_text(char **kept, const struct json_value *object, const char *name)
{
    free(*kept);
    *kept = member_text(object, name);
}

/* A request for another device than the one whose state is known. */
static void judge_did(look *l)
{
    struct error ignored;
    if (!l->said_did || !l->tee_chain || sk_X509_num(l->tee_chain) == 0)
        return;
    AUTO(char) *did = cert_did(sk_X509_value(l->tee_chain, 0), &ignored);
    if (!did)
        return;
    bool same = strcmp(did, l->said_did) == 0;
    verdict_add(&l->report, "did", same ? "right" : "wrong",
                same ? "that of the device at hand" : "of another device than that at hand");
}

static void explain_reason(look *l, const struct json_value *reason)
{
    if (!reason)
        return;
    const struct json_value *named = json_member(reason, "error-code");
    struct span name = named && named->kind == JSON_KIND_STRING ? named->string
                       : reason->kind == JSON_KIND_STRING       ? reason->string
                                                                : SPAN(NULL, 0);
    AUTO(char) *text = span_dup(name);
    const struct error_code *code = text && *text ? error_code_find(text) : NULL;
    if (code)
        hint_add(&l->report, "%s: %s. Try: %s", code->name, code->meaning, code->remedy);
    else if (text && *text)
        deviation_add(&l->report, "reason.error-code", deviation_row(DEVIATION_ERROR_CODE)->section,
                      "%.60s: %s", text, deviation_row(DEVIATION_ERROR_CODE)->what);
}

/* ---- members ---- */

/* What a pass must carry besides what every answer does. */
static void require(look *l, const struct json_value *tbs, const char *name, const char *section)
{
    if (!json_member(tbs, name))
        deviation_add(&l->report, name, section, "missing in a pass");
}

static void audit_tbs(look *l, const struct json_value *tbs, struct signed_as as)
{
    const char *section = message_section(as.type, as.kind == SIGNED_RESPONSE);
    if (as.kind == SIGNED_INFORMATION) {
        const struct other_message *other = message_find_other(span_text("TAInformation"));
        deviations_of_members(tbs, other->members, other->tbs_name, section, report_deviation, l);
    } else if (as.type && as.kind == SIGNED_REQUEST) {
        deviations_of_members(tbs, as.type->request_tbs, as.type->request_tbs_name, section,
                              report_deviation, l);
    } else if (as.type) {
        const struct json_value *status = json_member(tbs, "status");
        deviations_of_members(tbs, as.type->response_tbs, as.type->response_tbs_name, section,
                              report_deviation, l);
        bool passed = status && span_is(status->string, "pass");
        if (passed)
            require(l, tbs, as.type->sealed, section);
        if (passed && as.type->id == MESSAGE_GET_DEVICE_STATE)
            require(l, tbs, "signerreq", section);
    }
}

static void audit_content(look *l, const struct json_value *root, const char *name,
                          struct signed_as as)
{
    const struct member *members = !as.type                    ? NULL
                                   : as.kind == SIGNED_REQUEST ? as.type->request_content
                                                               : as.type->response_content;
    if (members)
        deviations_of_members(root, members, name,
                              message_section(as.type, as.kind == SIGNED_RESPONSE),
                              report_deviation, l);
}

/* The plaintext of content or edsi. */
static void show_content(look *l, const char *name, struct span text, struct signed_as as)
{
    struct error err;
    AUTO(buffer) *mended = NULL;
    AUTO(json_doc) *doc = read_document(l, text, name, &mended, &err);
    struct layer layer = layer_add(&l->report, name, "plaintext, %zu bytes%s%s", text.size,
                                   doc ? "" : "; ", doc ? "" : err.message);
    if (!doc) {
        show_bytes(l, &layer, name, text);
        return;
    }
    const struct json_value *root = json_root(doc), *state = json_member(root, "dsi");
    bool edsi = strcmp(name, "edsi") == 0;
    show_members(l, &layer, "", root);
    if (state && state->kind == JSON_KIND_STRING)
        show_dsi_text(l, state->string);
    else if (state && state->kind == JSON_KIND_OBJECT)
        show_dsi(l, &layer, state, edsi ? text : SPAN(NULL, 0));
    explain_reason(l, json_member(root, "reason"));
    keep_text(&l->said_did, root, "did");
    keep_text(&l->said_tamid, root, json_member(root, "tamid") ? "tamid" : "tsmid");
    if (as.kind == SIGNED_REQUEST)
        judge_did(l);
    audit_content(l, root, name, as);
}

/* edsi or content, in whatever form. */
static void show_sealed(look *l, const struct json_value *value, struct signed_as as)
{
    const char *name = span_is(value->name, "edsi") ? "edsi" : "content";
    if (value->kind == JSON_KIND_STRING) {
        deviate(l, name, DEVIATION_JWE_STRING);
        return;
    }
    if (value->kind != JSON_KIND_OBJECT)
        return;
    if (value->count == 0) {
        deviate(l, name, DEVIATION_JWE_EMPTY);
        return;
    }
    if (!value_is_jwe(value)) {
        bool parts = json_member(value, "ciphertext") || json_member(value, "recipients");
        deviate(l, name, parts ? DEVIATION_JWE_BROKEN : DEVIATION_JWE_PLAIN);
        if (!parts)
            show_content(l, name, value->text, as);
        return;
    }
    AUTO(buffer) *text = show_jwe(l, name, value, true);
    if (!text)
        return;
    const struct known_request *asked = l->request;
    if (as.kind == SIGNED_REQUEST && l->last_cek)
        look_know_cek(l, buffer_span(l->last_cek));
    else if (as.kind == SIGNED_RESPONSE && asked && asked->cek && l->last_cek &&
             !span_equal(buffer_span(asked->cek), buffer_span(l->last_cek)))
        deviate(l, name, DEVIATION_FRESH_CEK);
    show_content(l, name, buffer_span(text), as);
}

/* The TA package, once its key is at hand. */
static void open_ta(look *l, const struct json_value *value, const struct message_type *type)
{
    struct error ignored;
    bool unsupported;
    const struct member *m = type ? member_find(type->request_tbs, span_text("encrypted_ta"))
                                  : NULL;
    for (size_t i = 0; m && i < l->keys->count; i++) {
        key *k = l->keys->keys[i];
        AUTO(buffer) *package = NULL;
        AUTO(buffer) *pdata = NULL;
        if (!k->private || !k->pkey || !members_check(value, m->members, "", NULL, &ignored) ||
            !encrypted_ta_open(value, type->id, k, &package, &pdata, &unsupported, &ignored))
            continue;
        struct layer layer = layer_add(&l->report, "encrypted_ta", "opened with %s", k->name);
        if (package)
            show_bytes_deeply(l, &layer, "package", buffer_span(package));
        if (pdata)
            row_secret(&layer, "pdata", buffer_span(pdata));
        return;
    }
}

static void show_encrypted_ta(look *l, const struct json_value *value,
                              const struct message_type *type)
{
    const struct json_value *k = json_member(value, "key");
    if (value->kind != JSON_KIND_OBJECT)
        return;
    if (value->count == 0) {
        deviate(l, "encrypted_ta", DEVIATION_TA_EMPTY);
    } else if (value_is_jwe(value)) {
        deviate(l, "encrypted_ta", DEVIATION_TA_JWE);
        buffer_free(show_jwe(l, "encrypted_ta", value, false));
    } else if (k && k->kind == JSON_KIND_STRING) {
        deviate(l, "encrypted_ta.key", DEVIATION_TA_KEY_BARE);
    } else if (k && value_is_jwe(k)) {
        buffer_free(show_jwe(l, "encrypted_ta.key", k, true));
        open_ta(l, value, type);
    }
    if (type && type->id == MESSAGE_UPDATE_TA && value->count &&
        !json_member(value, "ciphernewtadata") && !json_member(value, "ciphernewpdata"))
        deviate(l, "encrypted_ta", DEVIATION_NO_DATA);
}

/* ---- the signed part ---- */

static bool is_sealed(const struct json_value *v)
{
    return span_is(v->name, "edsi") || span_is(v->name, "content");
}

/* Rows for all members but those that have layers of their own. */
static void show_tbs_members(look *l, struct layer *layer, const struct json_value *tbs)
{
    for (const struct json_value *v = tbs->first; v && layer->left; v = v->next) {
        char name[120];
        snprintf(name, sizeof name, "%.*s", (int)(v->name.size < 80 ? v->name.size : 80),
                 (const char *)v->name.data);
        if (v->kind == JSON_KIND_OBJECT && is_sealed(v))
            row_words(layer, name, TONE_DIM, "encrypted, %zu bytes: below", v->text.size);
        else if (v->kind == JSON_KIND_OBJECT && span_is(v->name, "encrypted_ta") && value_is_jwe(v))
            row_words(layer, name, TONE_DIM, "JWE, %zu bytes: below", v->text.size);
        else if (v->kind == JSON_KIND_OBJECT && span_is(v->name, "encrypted_ta")) {
            row_words(layer, name, TONE_DIM, "object of %u", v->count);
            layer->depth++;
            for (const struct json_value *m = v->first; m; m = m->next) {
                char inner[220];
                snprintf(inner, sizeof inner, "encrypted_ta.%.*s",
                         (int)(m->name.size < 80 ? m->name.size : 80), (const char *)m->name.data);
                if (value_is_jwe(m))
                    row_words(layer, inner, TONE_DIM, "JWE, %zu bytes: below", m->text.size);
                else
                    show_value(l, layer, inner, m);
            }
            layer->depth--;
        } else
            show_value(l, layer, name, v);
    }
}

static void judge_common(look *l, const struct json_value *tbs, struct signed_as as)
{
    const struct json_value *ver = json_member(tbs, "ver"), *status = json_member(tbs, "status");
    if (ver && ver->kind == JSON_KIND_STRING && !span_is(ver->string, "1.0"))
        deviate(l, "ver", DEVIATION_VERSION);
    if (as.kind == SIGNED_RESPONSE && status && !span_is(status->string, "pass") &&
        !span_is(status->string, "fail"))
        deviate(l, "status", DEVIATION_STATUS);
    if (json_member(tbs, "dsihash"))
        judge_dsihash(l, "dsihash", json_member(tbs, "dsihash"));
}

/* Whether an answer is one to a request that was seen in the same input. */
static void judge_session(look *l, const struct json_value *tbs, const struct message_type *type)
{
    l->request = look_find_request(l, type, tbs);
    if (l->request_count == 0 || !type)
        return;
    if (l->request)
        verdict_add(&l->report, "session", "right", "rid and tid are those of item %zu",
                    l->request->item);
    else
        verdict_add(&l->report, "session", "wrong", "rid and tid are of no %s in this input",
                    type->request);
}

void show_tbs(look *l, const struct json_value *tbs, struct signed_as as, struct layer *layer)
{
    l->tbs = tbs;
    l->request = NULL;
    if (tbs->kind != JSON_KIND_OBJECT) {
        show_value(l, layer, "payload", tbs);
        return;
    }
    show_tbs_members(l, layer, tbs);
    audit_tbs(l, tbs, as);
    judge_common(l, tbs, as);
    if (as.kind == SIGNED_RESPONSE)
        judge_session(l, tbs, as.type);
    explain_reason(l, json_member(tbs, "reason"));
    for (const struct json_value *v = tbs->first; v; v = v->next)
        if (is_sealed(v))
            show_sealed(l, v, as);
        else if (span_is(v->name, "encrypted_ta"))
            show_encrypted_ta(l, v, as.type);
    if (as.kind == SIGNED_REQUEST && as.type)
        look_know_request(l, as.type, tbs);
}
