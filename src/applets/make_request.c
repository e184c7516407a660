/* SPDX-License-Identifier: Apache-2.0 */
/* otrp make-request: a TAM's request from a few fields, or a client application's TA query. */
#include "applets/make_request.h"
#include "applets/words.h"

#include <string.h>

#include "otrp/algorithm.h"
#include "otrp/json_path.h"
#include "otrp/profile.h"
#include "otrp/request_make.h"

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
    OPT_WORDS(make_request, alg, 0, "ALG", words_otrp_key_management, 0,
              "key management of content (default: what fits the TEE's key)"),
    OPT_WORDS(make_request, enc, 0, "ENC", words_otrp_content, 0,
              "content encryption (default A128CBC-HS256)"),
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

/* encrypted_ta is made when the request is sealed: what is to be changed in it waits until then. */
static bool is_late(const char *path, const json_t *tbs)
{
    return strncmp(path, "encrypted_ta.", 13) == 0 && !json_object_get(tbs, "encrypted_ta");
}

/* One --set or --unset: in the TBS, or (content.PATH) in the plaintext. */
static bool apply_change(const char *path, bool set, json_changes *late, json_t *tbs,
                         json_t *content, struct error *err)
{
    if (late && is_late(path, tbs))
        return json_changes_add(late, path, set, err);
    bool inside = content && strncmp(path, "content.", 8) == 0;
    json_t *root = inside ? content : tbs;
    const char *place = inside ? path + 8 : path;
    return set ? json_path_set(root, place, err) : json_path_unset(root, place, err);
}

/* --set and --unset; late (NULL: none are) gets those that are for the finished payload. */
static bool apply_changes(const struct make_request *o, json_changes *late, json_t *tbs,
                          json_t *content, struct error *err)
{
    for (size_t i = 0; i < o->set.count; i++)
        if (!apply_change(o->set.items[i], true, late, tbs, content, err))
            return error_prefix(err, "--set");
    for (size_t i = 0; i < o->unset.count; i++) {
        const char *path = o->unset.items[i];
        if (apply_change(path, false, late, tbs, content, err))
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
    AUTO(buffer) *text = value ? json_pretty(value) : NULL;
    return text ? call_put(call, o->out, buffer_span(text), OUTPUT_PUBLIC, err)
                : (error_memory(err), err->rc);
}

/* The TBS as it would be signed, content in the clear. */
static enum rc put_tbs(const struct applet_call *call, const struct request_draft *draft,
                       json_t *tbs, json_t *content, struct error *err)
{
    if (content)
        json_object_set(tbs, "content", content);
    AUTO(json_t) *named = json_pack("{s:O}", draft->type->request_tbs_name, tbs);
    return put_json(call, named, err);
}

static enum rc put_message(const struct applet_call *call, const struct request_draft *draft,
                           const json_t *tbs, const json_t *content, struct error *err)
{
    const struct make_request *o = call->options;
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

static enum rc put_request(const struct applet_call *call, struct request_draft *draft,
                           struct error *err)
{
    const struct make_request *o = call->options;
    json_changes changes = {.items = NULL};
    AUTO(json_changes) *late = &changes;
    AUTO(json_t) *tbs = request_tbs(draft, err);
    AUTO(json_t) *content = tbs ? request_content(draft, err) : NULL;
    if (!tbs || (!content && err->rc != RC_OK) || !apply_changes(o, late, tbs, content, err))
        return err->rc;
    draft->changes = late;
    return o->tbs ? put_tbs(call, draft, tbs, content, err)
                  : put_message(call, draft, tbs, content, err);
}

/* ---- options that do not go with each other ---- */

static bool has_member(const struct member *members, const char *name)
{
    for (const struct member *m = members; m && m->name; m++)
        if (strcmp(m->name, name) == 0 || has_member(m->members, name))
            return true;
    return false;
}

/* An option whose member the request (name, its TBS and content) does not have is a mistake, not
 * something to pass over. */
static bool check_fields(const struct make_request *o, const char *name, const struct member *tbs,
                         const struct member *content, struct error *err)
{
    const struct {
        const char *option, *member;
        bool given;
    } fields[] = {{"--rid", "rid", o->rid != NULL},
                  {"--tid", "tid", o->tid != NULL},
                  {"--sdname", "sdname", o->sdname != NULL},
                  {"--taid", "taid", o->taid != NULL},
                  {"--taname", "taname", o->taname != NULL},
                  {"--spcert", "spcert", o->spcert != NULL},
                  {"--nonce", "nonce", o->nonce != NULL},
                  {"--ta", "encrypted_ta", o->ta != NULL},
                  {"--pdata", "encrypted_ta", o->pdata != NULL},
                  {"--newsdname", "newsdname", o->newsdname != NULL},
                  {"--newspid", "newspid", o->newspid != NULL},
                  {"--add-spcert", "changes", o->add_spcert.count > 0},
                  {"--del-spcert", "changes", o->del_spcert.count > 0},
                  {"--renew-aik", "changes", o->renew_aik},
                  {"--delete-ta", "deleteta", o->delete_ta},
                  {"--nextdsi", "nextdsi", o->nextdsi},
                  {"--no-nextdsi", "nextdsi", o->no_nextdsi}};
    for (size_t i = 0; i < COUNT(fields); i++)
        if (fields[i].given && !has_member(tbs, fields[i].member) &&
            !has_member(content, fields[i].member)) {
            error_set(err, RC_USAGE, "%s: %s has no such member", fields[i].option, name);
            return error_hint(err, "'otrp make-request %s --template' shows what it has", o->type);
        }
    return !(o->nextdsi && o->no_nextdsi) ||
           error_set(err, RC_USAGE, "--nextdsi and --no-nextdsi exclude each other");
}

static bool read_algorithms(const struct make_request *o, struct request_draft *draft,
                            struct error *err)
{
    if (!option_algorithm("--alg", JWA_KEY_MANAGEMENT, o->alg, &draft->key_alg, err) ||
        !option_algorithm("--enc", JWA_CONTENT, o->enc, &draft->enc, err))
        return false;
    const struct jwa *chosen[] = {draft->enc, draft->key_alg};
    for (size_t i = 0; i < COUNT(chosen); i++)
        if (chosen[i] && !otrp_algorithm(chosen[i]))
            return error_set(err, RC_USAGE, "%s is not among the algorithms of OTrP",
                             chosen[i]->name);
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
static broken *load_broken(const struct applet_call *call, const struct message_type *type,
                           const request_materials *m, struct error *err)
{
    const struct make_request *o = call->options;
    AUTO(broken) *b = broken_new(&o->break_, MUTATION_REQUEST, type->id, err);
    if (!b) {
        error_prefix(err, "--break");
        return NULL;
    }
    b->plan.now = clock_now(&call->clock);
    b->plan.seen_rid = m->seen_rid;
    b->plan.seen_tid = m->seen_tid;
    return broken_take_ca(call, b, o->pki, sk_X509_value(m->tam_chain, 0), err) ? TAKE(b) : NULL;
}

/* Fills in what options and materials say; the draft borrows from both. */
static void fill_draft(const struct applet_call *call, const request_materials *m,
                       struct request_draft *draft)
{
    const struct make_request *o = call->options;
    draft->profile = profile_find(call->common->profile);
    draft->tam_key = m->tam_keys->keys[0];
    draft->tam_chain = m->tam_chain;
    draft->tamid = m->tamid;
    draft->ocspdat = m->ocsp;
    draft->rid = o->rid;
    draft->tid = o->tid;
    draft->device = m->device;
    draft->tee_key = m->tee_keys ? m->tee_keys->keys[0] : NULL;
    draft->aik = m->aiks ? m->aiks->keys[0] : NULL;
    draft->nextdsi = !o->no_nextdsi;
    draft->spid = o->spid ? o->spid : o->sp;
    draft->sdname = o->sdname;
    draft->spcert = m->spcert;
    draft->taid = o->taid;
    draft->taname = o->taname;
    draft->newsdname = o->newsdname;
    draft->newspid = o->newspid;
    draft->add_spcert = m->add;
    draft->del_spcert = m->del;
    draft->renew_aik = o->renew_aik;
    draft->delete_ta = o->delete_ta;
    draft->package = m->package;
    draft->pdata = m->pdata;
    draft->cek = buffer_span(m->cek);
}

static enum rc make_request(const struct applet_call *call, const struct message_type *type,
                            struct error *err)
{
    const struct make_request *o = call->options;
    struct request_draft draft = {.type = type};
    if (!check_fields(o, type->name, type->request_tbs, type->request_content, err) ||
        !read_algorithms(o, &draft, err))
        return err->rc;
    if (o->template) {
        AUTO(json_t) *template = message_template(type->request_tbs_name, type->request_tbs,
                                                  "content", type->request_content);
        return put_json(call, template, err);
    }

    /* inputs */
    request_materials loaded = {NULL};
    AUTO(request_materials) *m = &loaded;
    if (!request_materials_load(call, m, err))
        return err->rc;
    AUTO(broken) *wrong = load_broken(call, type, m, err);
    if (!wrong)
        return err->rc;
    warn_of_values(call, type);

    /* act and outputs */
    fill_draft(call, m, &draft);
    draft.broken = broken_plan(wrong);
    return put_request(call, &draft, err);
}

/* A TA query is not signed, and no TAM has a part in it. */
static enum rc make_query(const struct applet_call *call, struct error *err)
{
    const struct make_request *o = call->options;
    const struct member *members = message_find_other(span_text("TAQuery"))->members;
    const char *spid = o->spid ? o->spid : o->sp;
    if (o->break_.count)
        return error_set(err, RC_USAGE, "--break: a TA query is not signed: change it by hand"),
               err->rc;
    if (!check_fields(o, "TAQuery", members, NULL, err))
        return err->rc;
    if (o->template) {
        AUTO(json_t) *template = message_template("TAQuery", members, NULL, NULL);
        return put_json(call, template, err);
    }
    if (!spid || !o->taid)
        return error_set(err, RC_USAGE, "a TA query needs --spid and --taid"), err->rc;
    AUTO(json_t) *query = json_pack("{s:s, s:s, s:s*, s:s*}", "spid", spid, "taid", o->taid,
                                    "nonce", o->nonce, "tamid", o->tamid);
    if (query && !apply_changes(o, NULL, query, NULL, err))
        return err->rc;
    AUTO(json_t) *named = query ? json_pack("{s:O}", "TAQuery", query) : NULL;
    AUTO(buffer) *text = named ? json_compact(named) : NULL;
    return text ? call_put(call, o->out, buffer_span(text), OUTPUT_PUBLIC, err)
                : (error_memory(err), err->rc);
}

static enum rc type_missing(struct error *err)
{
    error_set(err, RC_USAGE, "TYPE is missing: what to ask for");
    error_hint(err, "get-device-state, create-sd, update-sd, delete-sd, install-ta, update-ta, "
                    "delete-ta or ta-query");
    return err->rc;
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct make_request *o = call->options;
    const struct message_type *type = o->type ? message_find_option(o->type) : NULL;
    if (broken_is_list(&o->break_))
        return broken_list(call, MUTATION_REQUEST, type, err);
    if (!o->type)
        return type_missing(err);
    return type ? make_request(call, type, err) : make_query(call, err);
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
