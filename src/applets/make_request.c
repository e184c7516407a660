/* SPDX-License-Identifier: Apache-2.0 */
/* otrp make-request: a TAM's request from a few fields, or a client application's TA query. */
#include "applets/broken.h"
#include "applets/common.h"

#include <errno.h>
#include <string.h>

#include "otrp/algorithm.h"
#include "otrp/json_path.h"
#include "otrp/profile.h"
#include "otrp/request_make.h"
#include "otrp/response.h"
#include "otrp/sealed.h"
#include "otrp/ta_package.h"
#include "pki/layout.h"
#include "sim/tam_staple.h"
#include "util/base64.h"

struct make_request {
    const char *type, *pki, *tam, *tam_key, *tam_cert, *ocsp, *device, *rid, *tid, *spid, *sdname,
        *spcert, *taid, *taname, *ta, *sp, *pdata, *tamid, *nonce, *newsdname, *newspid, *taver,
        *alg, *enc, *cek, *save_cek, *tee_cert, *aik, *out;
    struct text_list add_spcert, del_spcert, set, unset, break_;
    bool nextdsi, no_nextdsi, renew_aik, delete_ta, tbs, template;
};

static const char *const types[] = {"get-device-state", "create-sd",  "update-sd",
                                    "delete-sd",        "install-ta", "update-ta",
                                    "delete-ta",        "ta-query",   NULL};

static const struct option_row options[] = {
    OPERAND_CHOICE(make_request, type, "TYPE", types, 0, "what to ask for"),
    OPT_TEXT(make_request, pki, 0, "DIR", OPT_DIR,
             "PKI directory that has the TAM's key, chain and stapling set"),
    OPT_TEXT(make_request, tam, 0, "NAME", OPT_PKI_NAME,
             "TAM of the PKI directory (default mytam)"),
    OPT_TEXT(make_request, tam_key, 0, "KEY", OPT_FILE, "private key of the TAM"),
    OPT_TEXT(make_request, tam_cert, 0, "CHAIN", OPT_FILE,
             "certificate of the TAM and what is above it"),
    OPT_TEXT(make_request, ocsp, 0, "FILE", OPT_FILE,
             "stapling set: a JSON array of OCSP responses in BASE64"),
    OPT_TEXT(make_request, device, 'd', "FILE", OPT_FILE,
             "device state: an answer with a DSI, or a DSI"),
    OPT_TEXT(make_request, tee_cert, 0, "CERT", OPT_FILE,
             "certificate of a device whose state names none"),
    OPT_TEXT(make_request, aik, 0, "KEY", OPT_FILE, "SP AIK of a device whose state names none"),
    OPT_TEXT(make_request, rid, 0, "ID", 0, "request ID (default: random)"),
    OPT_TEXT(make_request, tid, 0, "ID", 0, "transaction ID (default: random)"),
    OPT_FLAG(make_request, nextdsi, 0, 0,
             "ask for the device state in the answer (this is the default)"),
    OPT_FLAG(make_request, no_nextdsi, 0, 0, "do not ask for the device state in the answer"),
    OPT_TEXT(make_request, spid, 0, "ID", 0,
             "service provider (default: the name given with --sp)"),
    OPT_TEXT(make_request, sdname, 0, "NAME", 0, "security domain"),
    OPT_TEXT(make_request, spcert, 0, "CERT", OPT_FILE,
             "certificate of the SP (default: that of --sp)"),
    OPT_TEXT(make_request, sp, 0, "NAME", OPT_PKI_NAME, "SP of the PKI directory; signs a raw TA"),
    OPT_TEXT(make_request, taid, 0, "ID", 0, "trusted application"),
    OPT_TEXT(make_request, taname, 0, "NAME", 0, "name of the TA, for people"),
    OPT_TEXT(make_request, ta, 0, "FILE", OPT_FILE,
             "TA package signed by its SP, or a raw TA with --sp"),
    OPT_TEXT(make_request, taver, 0, "N", 0, "version of a raw TA, a whole number from 0 on"),
    OPT_TEXT(make_request, pdata, 0, "FILE", OPT_FILE, "personalisation data of the TA"),
    OPT_TEXT(make_request, tamid, 0, "ID", 0, "tamid (default: that of the TAM's certificate)"),
    OPT_TEXT(make_request, nonce, 0, "TEXT", 0, "ta-query: comes back in the signed answer"),
    OPT_TEXT(make_request, newsdname, 0, "NAME", 0, "update-sd: rename the SD"),
    OPT_TEXT(make_request, newspid, 0, "ID", 0, "update-sd: give the SD to another SP"),
    OPT_LIST(make_request, add_spcert, 0, "CERT", OPT_FILE,
             "update-sd: add an SP certificate; repeatable"),
    OPT_LIST(make_request, del_spcert, 0, "CERT", OPT_FILE,
             "update-sd: remove this SP certificate; repeatable"),
    OPT_FLAG(make_request, renew_aik, 0, 0, "update-sd: have the SP AIK renewed"),
    OPT_FLAG(make_request, delete_ta, 0, 0, "delete-sd: delete the TAs in it, too"),
    OPT_LIST(
        make_request, set, 0, "PATH=JSON", 0,
        "set a member of the TBS, or content.PATH of the plaintext, to JSON or else to a string"),
    OPT_LIST(make_request, unset, 0, "PATH", 0,
             "leave a member out of the TBS, or content.PATH of the plaintext"),
    OPT_LIST(make_request, break_, 0, "NAME", OPT_LISTED,
             "make the message wrong in this way; repeatable; 'list' names them all"),
    OPT_TEXT(make_request, alg, 0, "ALG", 0,
             "key management of content (default: what fits the TEE's key)"),
    OPT_TEXT(make_request, enc, 0, "ENC", 0, "content encryption (default A128CBC-HS256)"),
    OPT_TEXT(make_request, cek, 0, "FILE", OPT_FILE,
             "use this content encryption key (a JWK of type oct)"),
    OPT_TEXT(make_request, save_cek, 0, "FILE", OPT_FILE,
             "also write the content encryption key, which opens the answer"),
    OPT_FLAG(make_request, tbs, 0, 0,
             "print the unsigned TBS instead, content in the clear and without encrypted_ta"),
    OPT_FLAG(
        make_request, template, 0, 0,
        "show the members of the TBS and content instead, to fill in with --set; needs no keys"),
    OPT_TEXT(make_request, out, 'o', "FILE", OPT_FILE, "write to FILE (default: standard output)"),
    OPT_END};

/* What the options name, loaded; freed at the end of the command. */
typedef struct materials {
    key_set *tam_keys, *tee_keys, *aiks;
    X509_stack *tam_chain, *sp_chain;
    json_t *ocsp, *add, *del;
    char *tamid, *spcert;
    dsi *device;
    char *seen_rid, *seen_tid; /* of the answer that --device is */
    buffer *package, *pdata, *cek;
    broken *broken;
    json_changes changes; /* of --set and --unset, to what is sealed */
} materials;

static void materials_free(materials *m)
{
    key_set_free(m->tam_keys);
    key_set_free(m->tee_keys);
    key_set_free(m->aiks);
    sk_X509_pop_free(m->tam_chain, X509_free);
    sk_X509_pop_free(m->sp_chain, X509_free);
    json_decref(m->ocsp);
    json_decref(m->add);
    json_decref(m->del);
    free(m->tamid);
    free(m->spcert);
    free(m->seen_rid);
    free(m->seen_tid);
    broken_free(m->broken);
    json_changes_free(&m->changes);
    dsi_free(m->device);
    buffer_free(m->package);
    buffer_free(m->pdata);
    buffer_free(m->cek);
}
AUTO_DEFINE(materials, materials_free)

/* A set that devices refuse is no reason not to make the request: it may be meant so. */
static void check_staple(const struct applet_call *call, const materials *m)
{
    struct error why;
    time_t until;
    if (staple_judge(m->ocsp, m->tam_chain, NULL, clock_now(&call->clock), &until, &why))
        return;
    warn(call, "warning: devices will refuse the stapling set: %s", why.message);
    if (why.cause == CAUSE_STALE)
        warn(call, "hint: 'otrp pki-ocsp --force' makes a new one");
}

static bool load_tam(const struct applet_call *call, materials *m, struct error *err)
{
    const struct make_request *o = call->options;
    const struct tam_options tam = {o->pki, o->tam, o->tam_key, o->tam_cert, o->ocsp};
    if (!tam_identity_load(call, &tam, &m->tam_keys, &m->tam_chain, &m->ocsp, err))
        return false;
    if (!m->ocsp && !profile_find(call->common->profile)->forms)
        warn(call,
             "warning: no stapling set: a TEE that has not seen this TAM before will refuse it");
    if (m->ocsp)
        check_staple(call, m);
    m->tamid = o->tamid ? strdup(o->tamid) : cert_tamid(sk_X509_value(m->tam_chain, 0), err);
    return m->tamid != NULL;
}

/* A foreign form in the device state. */
static void note_deviation(void *context, const struct foreign_row *form, const char *path)
{
    say(context, "note: %s: %s (%s)", path, form->title, form->section);
}

/* The keys that a device's state does not name. */
static bool load_device_keys(const struct applet_call *call, materials *m, struct error *err)
{
    const struct make_request *o = call->options;
    m->tee_keys = o->tee_cert ? call_keys(call, o->tee_cert, KEY_PUBLIC, err) : NULL;
    if (o->tee_cert && !m->tee_keys)
        return false;
    m->aiks = o->aik ? call_keys(call, o->aik, KEY_PUBLIC, err) : NULL;
    return !o->aik || m->aiks;
}

static bool load_device(const struct applet_call *call, materials *m, struct error *err)
{
    const struct make_request *o = call->options;
    if (!load_device_keys(call, m, err))
        return false;
    if (!o->device)
        return true;
    AUTO(buffer) *text = input_read(o->device, LIMIT_FILE_BYTES, err);
    if (!text)
        return false;
    struct error ignored;
    AUTO(X509_stack) *roots = o->pki ? layout_roots(o->pki, ROLE_TEE, &ignored) : NULL;
    struct reading how;
    struct response_question question = {
        .tam_key = m->tam_keys->keys[0],
        .tee_key = m->tee_keys ? m->tee_keys->keys[0] : NULL,
        .tee_anchors = roots,
        .reading = call_reading(call, &how, note_deviation, (void *)(uintptr_t)call),
        .at = clock_now(&call->clock)};
    m->device = device_state_read(buffer_span(text), &question, err);
    if (!m->device && roots && err->rc == RC_UNTRUSTED) {
        /* a foreign device is a good reason, but what is encrypted goes to whoever signed its state
         */
        warn(call, "warning: %s", err->message);
        warn(call, "warning: the request is encrypted to a device that this PKI does not know");
        question.tee_anchors = NULL;
        m->device = device_state_read(buffer_span(text), &question, err);
    }
    m->seen_rid = response_claim(buffer_span(text), "rid");
    m->seen_tid = response_claim(buffer_span(text), "tid");
    return m->device || error_prefix(err, "%s", input_name(o->device));
}

static char *cert_base64(const X509 *cert, struct error *err)
{
    AUTO(buffer) *der = cert_to_der(cert, err);
    AUTO(buffer) *text = der ? buffer_new(der->size * 2) : NULL;
    if (!text)
        return NULL;
    buffer_put_base64(text, buffer_span(der));
    return span_dup(buffer_span(text));
}

static bool load_sp(const struct applet_call *call, materials *m, struct error *err)
{
    const struct make_request *o = call->options;
    if (o->sp && !o->pki) {
        error_set(err, RC_USAGE, "--sp names an SP of a PKI directory");
        return error_hint(err, "give --pki DIR as well");
    }
    AUTO(identity) *id = o->sp ? identity_find(o->pki, ROLE_SP, o->sp, err) : NULL;
    if (o->sp && !id)
        return false;
    const char *path = o->spcert ? o->spcert : id ? id->chain_path : NULL;
    m->sp_chain = path ? cert_load(path, err) : NULL;
    if (path && !m->sp_chain)
        return false;
    /* CreateSD needs the certificate; the others bring it only where asked to */
    bool wanted = o->spcert || strcmp(o->type, "create-sd") == 0;
    m->spcert = path && wanted ? cert_base64(sk_X509_value(m->sp_chain, 0), err) : NULL;
    return !path || !wanted || m->spcert;
}

static bool ta_version(const char *text, long long *version, struct error *err)
{
    char *end;
    *version = TA_NO_VERSION;
    if (!text)
        return true;
    errno = 0;
    *version = strtoll(text, &end, 10);
    return (!errno && *text >= '0' && *text <= '9' && !*end) ||
           error_set(err, RC_USAGE, "--taver: '%s' is no whole number from 0 on", text);
}

static bool load_ta(const struct applet_call *call, materials *m, struct error *err)
{
    const struct make_request *o = call->options;
    long long version;
    if (!ta_version(o->taver, &version, err))
        return false;
    m->pdata = o->pdata ? input_read(o->pdata, LIMIT_FILE_BYTES, err) : NULL;
    if (o->pdata && !m->pdata)
        return false;
    AUTO(buffer) *ta = o->ta ? input_read(o->ta, LIMIT_FILE_BYTES, err) : NULL;
    if (!ta)
        return !o->ta;
    if (ta->size == 0)
        warn(call, "warning: --ta: %s: a TA of 0 bytes", input_name(o->ta));
    if (ta_package_is(buffer_span(ta))) {
        m->package = TAKE(ta);
        return true;
    }
    if (!o->sp) {
        error_set(err, RC_USAGE, "%s: not a TA package signed by an SP", o->ta);
        return error_hint(err, "sign it with 'otrp sign', or name the SP that signs it with --sp");
    }
    AUTO(identity) *id = identity_find(o->pki, ROLE_SP, o->sp, err);
    AUTO(key_set) *keys = id ? call_keys(call, id->key_path, KEY_PRIVATE, err) : NULL;
    AUTO(X509_stack) *chain = keys ? cert_load(id->chain_path, err) : NULL;
    m->package = chain
                     ? ta_package_sign(buffer_span(ta), keys->keys[0], chain, o->taid, version, err)
                     : NULL;
    return m->package != NULL;
}

static bool load_changes(const struct make_request *o, materials *m, struct error *err)
{
    m->add = o->add_spcert.count ? json_array() : NULL;
    m->del = o->del_spcert.count ? json_array() : NULL;
    for (size_t i = 0; i < o->add_spcert.count; i++) {
        AUTO(X509_stack) *certs = cert_load(o->add_spcert.items[i], err);
        AUTO(char) *text = certs ? cert_base64(sk_X509_value(certs, 0), err) : NULL;
        if (!text)
            return false;
        json_array_append_new(m->add, json_string(text));
    }
    for (size_t i = 0; i < o->del_spcert.count; i++) {
        AUTO(X509_stack) *certs = cert_load(o->del_spcert.items[i], err);
        AUTO(char) *text = certs ? cert_sha256_hex(sk_X509_value(certs, 0), err) : NULL;
        if (!text)
            return false;
        json_array_append_new(m->del, json_string(text));
    }
    return true;
}

/* encrypted_ta is made when the request is sealed: what is to be changed in it waits until then. */
static bool is_late(const char *path, const json_t *tbs)
{
    return strncmp(path, "encrypted_ta.", 13) == 0 && !json_object_get(tbs, "encrypted_ta");
}

/* One --set or --unset: in the TBS, or (content.PATH) in the plaintext. */
static bool apply_change(const char *path, bool set, materials *m, json_t *tbs, json_t *content,
                         struct error *err)
{
    if (is_late(path, tbs))
        return json_changes_add(&m->changes, path, set, err);
    bool inside = content && strncmp(path, "content.", 8) == 0;
    json_t *root = inside ? content : tbs;
    const char *place = inside ? path + 8 : path;
    return set ? json_path_set(root, place, err) : json_path_unset(root, place, err);
}

static bool apply_changes(const struct make_request *o, materials *m, json_t *tbs, json_t *content,
                          struct error *err)
{
    for (size_t i = 0; i < o->set.count; i++)
        if (!apply_change(o->set.items[i], true, m, tbs, content, err))
            return error_prefix(err, "--set");
    for (size_t i = 0; i < o->unset.count; i++) {
        const char *path = o->unset.items[i];
        if (apply_change(path, false, m, tbs, content, err))
            continue;
        if (content && strcmp(path, "content") == 0) /* it is sealed later */
            error_hint(err, "--break missing:content leaves it out");
        return error_prefix(err, "--unset");
    }
    return true;
}

static enum rc put_json(const struct applet_call *call, const json_t *value, struct error *err)
{
    const struct make_request *o = call->options;
    AUTO(buffer) *text = json_pretty(value);
    return text ? call_put(call, o->out, buffer_span(text), OUTPUT_PUBLIC, err)
                : (error_memory(err), err->rc);
}

static enum rc make_query(const struct applet_call *call, struct error *err)
{
    const struct make_request *o = call->options;
    const char *spid = o->spid ? o->spid : o->sp;
    if (!o->template && (!spid || !o->taid))
        return error_set(err, RC_USAGE, "a TA query needs --spid and --taid"), err->rc;
    AUTO(json_t) *query = json_pack("{s:{s:s, s:s, s:s*, s:s*}}", "TAQuery", "spid",
                                    spid ? spid : "", "taid", o->taid ? o->taid : "", "nonce",
                                    o->nonce, "tamid", o->tamid);
    AUTO(buffer) *text = query ? json_compact(query) : NULL;
    return text ? call_put(call, o->out, buffer_span(text), OUTPUT_PUBLIC, err)
                : (error_memory(err), err->rc);
}

static enum rc seal(const struct applet_call *call, materials *m, struct request_draft *draft,
                    struct error *err)
{
    const struct make_request *o = call->options;
    AUTO(json_t) *tbs = request_tbs(draft, err);
    AUTO(json_t) *content = tbs ? request_content(draft, err) : NULL;
    if (!tbs || (!content && err->rc != RC_OK) || !apply_changes(o, m, tbs, content, err))
        return err->rc;
    draft->changes = &m->changes;
    if (o->tbs) {
        if (content)
            json_object_set(tbs, "content", content);
        AUTO(json_t) *named = json_pack("{s:O}", draft->type->request_tbs_name, tbs);
        return put_json(call, named, err);
    }
    AUTO(buffer) *cek = NULL;
    AUTO(buffer) *message = request_seal(draft, tbs, content, &cek, err);
    AUTO(output_set) *outputs = message ? output_set_new(call->common->force) : NULL;
    if (!outputs)
        return err->rc;
    unsigned long most = draft->profile->http.message_bytes;
    if (most && message->size > most)
        warn(call, "warning: %zu bytes: this implementation refuses more than %lu", message->size,
             most);
    if (o->save_cek && !cek)
        return error_set(err, RC_USAGE, "--save-cek: %s encrypts nothing", draft->type->name),
               err->rc;
    if ((o->save_cek && !cek_add(outputs, o->save_cek, cek, err)) ||
        !output_add(outputs, o->out, buffer_span(message), OUTPUT_PUBLIC, err) ||
        !output_commit(outputs, err))
        return err->rc;
    return RC_OK;
}

static bool has_member(const struct member *members, const char *name)
{
    for (const struct member *m = members; m && m->name; m++)
        if (strcmp(m->name, name) == 0 || has_member(m->members, name))
            return true;
    return false;
}

/* An option whose member the request does not have is a mistake, not something to pass over. */
static bool check_fields(const struct make_request *o, const struct message_type *type,
                         struct error *err)
{
    const struct {
        const char *option, *member;
        bool given;
    } fields[] = {{"--sdname", "sdname", o->sdname != NULL},
                  {"--taid", "taid", o->taid != NULL},
                  {"--taname", "taname", o->taname != NULL},
                  {"--spcert", "spcert", o->spcert != NULL},
                  {"--ta", "encrypted_ta", o->ta != NULL},
                  {"--pdata", "encrypted_ta", o->pdata != NULL},
                  {"--newsdname", "newsdname", o->newsdname != NULL},
                  {"--newspid", "newspid", o->newspid != NULL},
                  {"--add-spcert", "changes", o->add_spcert.count > 0},
                  {"--del-spcert", "changes", o->del_spcert.count > 0},
                  {"--renew-aik", "changes", o->renew_aik},
                  {"--delete-ta", "deleteta", o->delete_ta},
                  {"--nextdsi", "nextdsi", o->nextdsi || o->no_nextdsi}};
    for (size_t i = 0; i < COUNT(fields); i++)
        if (fields[i].given && !has_member(type->request_tbs, fields[i].member) &&
            !has_member(type->request_content, fields[i].member)) {
            error_set(err, RC_USAGE, "%s: %s has no such member", fields[i].option, type->name);
            return error_hint(err, "'otrp make-request %s --template' shows what it has",
                              type->option);
        }
    return true;
}

/* What is asked for is made, also where every TEE will refuse it; but that is said. */
static void warn_of_values(const struct applet_call *call, const struct message_type *type)
{
    const struct make_request *o = call->options;
    const struct {
        const char *member, *value;
    } values[] = {{"rid", o->rid},
                  {"tid", o->tid},
                  {"spid", o->spid},
                  {"sdname", o->sdname},
                  {"taid", o->taid},
                  {"taname", o->taname},
                  {"newsdname", o->newsdname},
                  {"newspid", o->newspid}};
    for (size_t i = 0; i < COUNT(values); i++) {
        struct span name = span_text(values[i].member);
        const struct member *m = member_find(type->request_tbs, name);
        if (!m && type->request_content)
            m = member_find(type->request_content, name);
        const char *fault = m && values[i].value ? member_fault(m, span_text(values[i].value))
                                                 : NULL;
        if (fault)
            warn(call, "warning: --%s: %s: a TEE refuses that: it must be %s", values[i].member,
                 fault, member_form(m->type));
    }
    if (o->tbs && o->break_.count)
        warn(call, "warning: --break shows in the message alone: it is not in this TBS");
}

/* The mutations of --break, with what they take. */
static bool load_broken(const struct applet_call *call, const struct request_draft *draft,
                        materials *m, struct error *err)
{
    const struct make_request *o = call->options;
    m->broken = broken_new(&o->break_, MUTATION_REQUEST, draft->type->id, err);
    if (!m->broken)
        return error_prefix(err, "--break");
    m->broken->plan.now = clock_now(&call->clock);
    m->broken->plan.seen_rid = m->seen_rid;
    m->broken->plan.seen_tid = m->seen_tid;
    return broken_take_ca(call, m->broken, o->pki, sk_X509_value(m->tam_chain, 0), err);
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct make_request *o = call->options;
    if (broken_is_list(&o->break_))
        return broken_list(call, MUTATION_REQUEST, o->type ? message_find_option(o->type) : NULL,
                           err);
    if (!o->type) {
        error_set(err, RC_USAGE, "TYPE is missing: what to ask for");
        error_hint(err, "get-device-state, create-sd, update-sd, delete-sd, install-ta, update-ta, "
                        "delete-ta or ta-query");
        return err->rc;
    }
    if (strcmp(o->type, "ta-query") == 0 && o->break_.count)
        return error_set(err, RC_USAGE, "--break: a TA query is not signed: change it by hand"),
               err->rc;
    if (strcmp(o->type, "ta-query") == 0)
        return make_query(call, err);
    struct request_draft draft = {.type = message_find_option(o->type), .nextdsi = !o->no_nextdsi};
    if (o->nextdsi && o->no_nextdsi)
        return error_set(err, RC_USAGE, "--nextdsi and --no-nextdsi exclude each other"), err->rc;
    if (!check_fields(o, draft.type, err))
        return err->rc;
    if (!option_algorithm("--alg", JWA_KEY_MANAGEMENT, o->alg, &draft.key_alg, err) ||
        !option_algorithm("--enc", JWA_CONTENT, o->enc, &draft.enc, err))
        return err->rc;
    if ((draft.key_alg && !otrp_algorithm(draft.key_alg)) ||
        (draft.enc && !otrp_algorithm(draft.enc)))
        return error_set(err, RC_USAGE, "%s is not among the algorithms of OTrP",
                         draft.enc && !otrp_algorithm(draft.enc) ? o->enc : o->alg),
               err->rc;
    if (o->template) {
        AUTO(json_t) *template = message_template(draft.type->request_tbs_name,
                                                  draft.type->request_tbs, "content",
                                                  draft.type->request_content);
        return template ? put_json(call, template, err) : (error_memory(err), err->rc);
    }

    /* inputs */
    materials loaded = {NULL};
    AUTO(materials) *m = &loaded;
    if (!option_algorithm("--alg", JWA_KEY_MANAGEMENT, o->alg, &draft.key_alg, err) ||
        !option_algorithm("--enc", JWA_CONTENT, o->enc, &draft.enc, err) ||
        !load_tam(call, m, err) || !load_device(call, m, err) || !load_sp(call, m, err) ||
        !load_ta(call, m, err) || !load_changes(o, m, err))
        return err->rc;
    m->cek = o->cek ? cek_load(o->cek, err) : NULL;
    if (o->cek && !m->cek)
        return err->rc;

    /* act and outputs */
    draft.tam_key = m->tam_keys->keys[0];
    draft.tam_chain = m->tam_chain;
    draft.tamid = m->tamid;
    draft.ocspdat = m->ocsp;
    draft.rid = o->rid;
    draft.tid = o->tid;
    draft.device = m->device;
    draft.spid = o->spid ? o->spid : o->sp;
    draft.sdname = o->sdname;
    draft.spcert = m->spcert;
    draft.taid = o->taid;
    draft.taname = o->taname;
    draft.newsdname = o->newsdname;
    draft.newspid = o->newspid;
    draft.add_spcert = m->add;
    draft.del_spcert = m->del;
    draft.renew_aik = o->renew_aik;
    draft.delete_ta = o->delete_ta;
    draft.package = m->package;
    draft.pdata = m->pdata;
    draft.cek = buffer_span(m->cek);
    draft.profile = profile_find(call->common->profile);
    draft.tee_key = m->tee_keys ? m->tee_keys->keys[0] : NULL;
    draft.aik = m->aiks ? m->aiks->keys[0] : NULL;
    if (!load_broken(call, &draft, m, err))
        return err->rc;
    draft.broken = broken_plan(m->broken);
    warn_of_values(call, draft.type);
    return seal(call, m, &draft, err);
}

const struct applet applet_make_request = {
    .uses = USES_PROFILE | USES_LENIENT | USES_KEYS | USES_NOW | USES_FORCE | USES_JSON,
    .options = options,
    .size = sizeof(struct make_request),
    .run = run,
    .examples = (const char *const[]){"otrp make-request get-device-state --pki pki -o gds.json",
                                      "otrp make-request create-sd --pki pki --device state.json "
                                      "--sp xbank --sdname sd-1 -o create.json",
                                      "otrp make-request install-ta --pki pki -d state.json --sp "
                                      "xbank --sdname sd-1 --taid demo --ta ta.bin",
                                      NULL},
};
