/* SPDX-License-Identifier: Apache-2.0 */
/* otrp make-response: a TEE's answer to a request, or what a broker or client application gets. */
#include "applets/make_response.h"
#include "applets/words.h"

#include <string.h>

#include "otrp/dsi_make.h"
#include "otrp/response.h"
#include "otrp/ta_information.h"

static const char *const statuses[] = {"pass", "fail", NULL};

static const struct option_row options[] = {
    OPT_TEXT(make_response, request, 'r', "FILE", OPT_FILE, "the request that is answered"),
    OPT_TEXT(make_response, pki, 0, "DIR", OPT_DIR,
             "PKI directory that has the TEE's key and chain, and its firmware's"),
    OPT_TEXT(make_response, tee, 0, "NAME", OPT_PKI_NAME,
             "TEE of the PKI directory (default mytee)"),
    OPT_TEXT(make_response, tee_key, 0, "KEY", OPT_FILE, "private key of the TEE"),
    OPT_TEXT(make_response, tee_cert, 0, "CHAIN", OPT_FILE,
             "certificate of the TEE and what is above it"),
    OPT_TEXT(make_response, tfw_key, 0, "KEY", OPT_FILE, "private key of the firmware"),
    OPT_TEXT(make_response, tfw_cert, 0, "CERT", OPT_FILE, "certificate of the firmware"),
    OPT_FLAG(make_response, no_tfw, 0, 0, "get-device-state: no firmware data"),
    OPT_TEXT(make_response, device, 'd', "FILE", OPT_FILE,
             "device state before the request: a DSI (default: a device with nothing on it)"),
    OPT_TEXT(make_response, tam_cert, 0, "CERT", OPT_FILE,
             "certificate of the TAM (default: that in the request's x5c)"),
    OPT_TEXT(make_response, aik, 0, "KEY", OPT_FILE,
             "SP AIK that the request had made; for a TA query, the private one that signs"),
    OPT_TEXT(make_response, spcert, 0, "CHAIN", OPT_FILE, "TA query: signer of the TA"),
    OPT_TEXT(make_response, tamid, 0, "ID", 0, "TA query: tamid (default: that of --tam-cert)"),
    OPT_CHOICE(make_response, status, 0, "STATUS", statuses, 0, "pass or fail (default pass)"),
    OPT_WORDS(make_response, error, 0, "CODE", words_error_code, 0,
              "error code of a failure; one of a broker's makes its unsigned error"),
    OPT_TEXT(make_response, reason, 0, "TEXT", 0, "error-message of a failure"),
    OPT_FLAG(make_response, plain, 0, 0,
             "a failure: reason in the TBS, not in content (default: as the code is)"),
    OPT_TEXT(make_response, name, 0, "NAME", 0, "name of the TEE in a new device state"),
    OPT_TEXT(make_response, tee_version, 0, "VER", 0,
             "version of the TEE in a new device state (default 1.0)"),
    OPT_FLAG(make_response, no_signerreq, 0, 0, "get-device-state: signerreq is false"),
    OPT_FLAG(make_response, no_dsi, 0, 0, "leave the device state out, whatever nextdsi asks"),
    OPT_TEXT(make_response, rid, 0, "ID", 0, "request ID (default: that of the request)"),
    OPT_TEXT(make_response, tid, 0, "ID", 0, "transaction ID (default: that of the request)"),
    OPT_LIST(make_response, set, 0, "PATH=JSON", 0,
             "set a member of the TBS, or content.PATH (edsi.PATH) of the plaintext, to JSON or "
             "else to a string"),
    OPT_LIST(make_response, unset, 0, "PATH", 0,
             "leave a member out of the TBS, or content.PATH (edsi.PATH) of the plaintext"),
    OPT_LIST(make_response, break_, 0, "NAME", OPT_LISTED,
             "make the message wrong in this way; repeatable; 'list' names them all"),
    OPT_TEXT(make_response, save_cek, 0, "FILE", OPT_FILE,
             "also write the content encryption key of the request"),
    OPT_FLAG(make_response, tbs, 0, 0,
             "print the unsigned TBS instead, its plaintext in the clear"),
    OPT_FLAG(make_response, template, 0, 0,
             "show the members of the TBS and of its plaintext instead; needs no keys"),
    OPT_TEXT(make_response, out, 'o', "FILE", OPT_FILE, "write to FILE (default: standard output)"),
    OPT_END};

/* The code of --error and --status: ERR_NONE for a pass. */
static bool read_code(const struct make_response *o, enum error_code_id *code, struct error *err)
{
    *code = ERR_NONE;
    if (o->error && o->status && strcmp(o->status, "pass") == 0)
        return error_set(err, RC_USAGE, "--error goes with --status fail");
    const struct error_code *row = o->error ? error_code_find(o->error) : NULL;
    if (o->error && !row) {
        error_set(err, RC_USAGE, "--error: '%s' is no error code of OTrP", o->error);
        return error_hint(err, "another text can be had with --set reason.error-code=TEXT");
    }
    bool failed = o->status && strcmp(o->status, "fail") == 0;
    if (row || failed)
        *code = row ? row->id : ERR_TEE_FAIL;
    return true;
}

/* Firmware signs the tid of a GetDeviceState, which stays until the next one. */
static bool add_firmware(const struct make_response *o, response_materials *m, const char *tid,
                         struct error *err)
{
    if (m->request->type->id != MESSAGE_GET_DEVICE_STATE || !m->tfw_keys || o->no_tfw)
        return true;
    json_t *tfwdata = dsi_tfwdata(m->tfw_keys->keys[0], sk_X509_value(m->tfw_chain, 0), tid, err);
    return tfwdata && json_object_set_new(m->state, "tfwdata", tfwdata) == 0;
}

static bool add_made_aik(response_materials *m, struct error *err)
{
    if (!m->aiks || json_object_get(m->content, "dsi"))
        return true;
    const EVP_PKEY *pkey = m->aiks->keys[0]->pkey;
    json_t *spaik = spaik_encode(pkey, err);
    return spaik && json_object_set_new(m->content, "teespaik", spaik) == 0 &&
           json_object_set_new(m->content, "teespaiktype", json_string(spaik_type(pkey))) == 0;
}

/* The plaintext of a pass. */
static bool make_content(const struct make_response *o, response_materials *m, const char *tid,
                         struct error *err)
{
    const request *r = m->request;
    const key *aik = m->aiks ? m->aiks->keys[0] : NULL;
    bool state = r->type->id == MESSAGE_GET_DEVICE_STATE;
    /* other implementations tell their state whether asked or not */
    bool wanted = !o->no_dsi && (state || m->profile->forms || member_true(r->tbs, "nextdsi"));
    /* they know no SDs, so that nothing in theirs changes by a request */
    bool changes = m->fields && !m->profile->forms;
    if (wanted && ((changes && !dsi_after(m->state, r->type->id, m->fields, aik, err)) ||
                   !add_firmware(o, m, tid, err)))
        return false;
    AUTO(char) *did = cert_did(sk_X509_value(m->tee_chain, 0), err);
    m->content = state ? json_object() : did ? json_pack("{s:s}", "did", did) : NULL;
    if (!m->content)
        return did ? error_memory(err) : false;
    if (r->type->id == MESSAGE_CREATE_SD && m->fields)
        json_object_set(m->content, "sdname", json_object_get(m->fields, "sdname"));
    if (wanted)
        json_object_set_new(m->content, "dsi", profile_dsi(m->profile, m->state));
    return state || add_made_aik(m, err);
}

/* Failures before and in the check of content have their reason in the TBS (otrp-messages(7),
 * COMMON MEMBERS). Which of the two an ERR_REQUEST_INVALID or ERR_TEE_FAIL was, only --plain can
 * say. */
static bool is_early(enum error_code_id code)
{
    return code == ERR_REQUEST_INVALID || code == ERR_UNSUPPORTED_MSG_VERSION ||
           code == ERR_UNSUPPORTED_CRYPTO_ALG || code == ERR_DEV_STATE_MISMATCH ||
           code == ERR_TAM_NOT_TRUSTED || code == ERR_TFW_NOT_TRUSTED || code == ERR_TEE_FAIL;
}

static bool apply_change(response_materials *m, const char *path, bool set, struct error *err)
{
    const char *member = m->request->type->sealed;
    size_t length = strlen(member);
    bool inside = m->content && strncmp(path, member, length) == 0 && path[length] == '.';
    if (!inside)
        return json_changes_add(&m->changes, path, set, err);
    const char *place = path + length + 1;
    return set ? json_path_set(m->content, place, err) : json_path_unset(m->content, place, err);
}

static bool apply_changes(const struct make_response *o, response_materials *m, struct error *err)
{
    for (size_t i = 0; i < o->set.count; i++)
        if (!apply_change(m, o->set.items[i], true, err))
            return error_prefix(err, "--set");
    for (size_t i = 0; i < o->unset.count; i++)
        if (!apply_change(m, o->unset.items[i], false, err))
            return error_prefix(err, "--unset");
    return true;
}

static enum rc put_text(const struct applet_call *call, const response_materials *m,
                        const buffer *message, struct error *err)
{
    const struct make_response *o = call->options;
    AUTO(output_set) *outputs = output_set_new(call->common->force);
    if (!outputs)
        return error_memory(err), err->rc;
    if (o->save_cek && (!m->request || !m->request->cek))
        return error_set(err, RC_USAGE, "--save-cek: nothing in the request is encrypted"), err->rc;
    if ((o->save_cek && !cek_add(outputs, o->save_cek, m->request->cek, err)) ||
        !output_add(outputs, o->out, buffer_span(message), OUTPUT_PUBLIC, err) ||
        !output_commit(outputs, err))
        return err->rc;
    return RC_OK;
}

/* The TBS as it would be signed, its plaintext in the clear. */
static enum rc put_tbs(const struct applet_call *call, const struct response_draft *draft,
                       struct error *err)
{
    const struct make_response *o = call->options;
    AUTO(json_t) *tbs = response_tbs(draft);
    AUTO(json_t) *plaintext = draft->content ? response_plaintext(draft) : NULL;
    if (!tbs || (plaintext && json_object_set(tbs, draft->type->sealed, plaintext)))
        return error_memory(err), err->rc;
    AUTO(json_t) *named = json_pack("{s:O}", draft->type->response_tbs_name, tbs);
    AUTO(buffer) *text = named ? json_pretty(named) : NULL;
    if (!text)
        return error_memory(err), err->rc;
    if (!json_changes_apply(draft->changes, draft->type->response_tbs_name, &text, err))
        return err->rc;
    return call_put(call, o->out, buffer_span(text), OUTPUT_PUBLIC, err);
}

/* ---- what is no answer of a TEE to a TAM ---- */

static bool check_unchanged(const struct make_response *o, struct error *err)
{
    return !(o->set.count || o->unset.count || o->break_.count) ||
           error_set(err, RC_USAGE, "--set, --unset and --break are for answers of a TEE to a TAM");
}

/* text is the request, or NULL. */
static enum rc put_broker_error(const struct applet_call *call, const buffer *text,
                                enum error_code_id code, struct error *err)
{
    const struct make_response *o = call->options;
    AUTO(request) *r = text ? request_new(buffer_span(text)) : NULL;
    if (text && !r)
        return error_memory(err), err->rc;
    if (!check_unchanged(o, err))
        return err->rc;
    const char *rid = o->rid ? o->rid : r ? r->rid : "", *tid = o->tid ? o->tid : r ? r->tid : "";
    AUTO(buffer) *message = broker_error_make(rid, tid, code);
    if (!message)
        return error_memory(err), err->rc;
    return call_put(call, o->out, buffer_span(message), OUTPUT_PUBLIC, err);
}

static enum rc put_information(const struct applet_call *call, const json_t *query,
                               struct error *err)
{
    const struct make_response *o = call->options;
    if (!o->aik || !o->spcert || !o->tam_cert) {
        error_set(err, RC_USAGE, "the answer to a TA query tells who signed and installed the TA");
        error_hint(err, "give --aik, --spcert and --tam-cert");
        return err->rc;
    }
    if (!check_unchanged(o, err))
        return err->rc;
    AUTO(key_set) *aiks = call_keys(call, o->aik, KEY_PRIVATE, err);
    AUTO(X509_stack) *signer = aiks ? cert_load(o->spcert, err) : NULL;
    AUTO(X509_stack) *tam = signer ? cert_load(o->tam_cert, err) : NULL;
    AUTO(char) *tamid = !tam       ? NULL
                        : o->tamid ? strdup(o->tamid)
                                   : cert_tamid(sk_X509_value(tam, 0), err);
    if (!tamid)
        return err->rc;
    const struct ta_information about = {
        .taid = json_string_value(json_object_get(query, "taid")),
        .tamid = tamid,
        .spid = json_string_value(json_object_get(query, "spid")),
        .nonce = json_string_value(json_object_get(query, "nonce")),
        .signer = signer,
        .tam = tam};
    AUTO(buffer) *message = ta_information_make(&about, aiks->keys[0], err);
    return message ? call_put(call, o->out, buffer_span(message), OUTPUT_PUBLIC, err) : err->rc;
}

/* ---- an answer of a TEE to a TAM ---- */

/* The plaintext of a late failure tells the device alone; the code is added when it is sealed. */
static bool make_failure(response_materials *m, struct error *err)
{
    AUTO(char) *did = cert_did(sk_X509_value(m->tee_chain, 0), err);
    m->content = did ? json_pack("{s:s}", "did", did) : NULL;
    return m->content || (did && error_memory(err));
}

static bool seal_is_possible(const response_materials *m, struct error *err)
{
    if (!m->content)
        return true;
    bool state = m->request->type->id == MESSAGE_GET_DEVICE_STATE;
    if (!m->tam_key) {
        error_set(err, RC_USAGE, "there is no certificate of the TAM to encrypt to");
        return error_hint(err, "the request has no x5c that can be read: give --tam-cert");
    }
    if (state || m->request->cek || m->profile->make.fresh_cek)
        return true;
    error_set(err, RC_USAGE,
              "the content of the request cannot be opened, whose key the answer uses");
    return error_hint(err, "answer it with --status fail --plain");
}

static enum rc answer(const struct applet_call *call, response_materials *m,
                      enum error_code_id code, struct error *err)
{
    const struct make_response *o = call->options;
    const char *rid = o->rid ? o->rid : m->request->rid, *tid = o->tid ? o->tid : m->request->tid;
    bool late = code != ERR_NONE && !o->plain && !is_early(code) &&
                m->request->type->id != MESSAGE_GET_DEVICE_STATE;
    if ((code == ERR_NONE &&
         (!response_state_load(call, m, err) || !make_content(o, m, tid, err))) ||
        (late && !make_failure(m, err)) || !seal_is_possible(m, err) || !apply_changes(o, m, err))
        return err->rc;
    struct response_draft draft = {
        .type = m->request->type,
        .tee_key = m->tee_keys->keys[0],
        .sign_alg = m->request->answer_alg,
        .rid = rid,
        .tid = tid,
        .code = code,
        .message = code != ERR_NONE && !o->reason ? error_code_row(code)->meaning : o->reason,
        .content = m->content,
        .tam_key = m->tam_key,
        .cek = buffer_span(m->request->cek),
        .enc = m->request->content_enc,
        .signerreq = !o->no_signerreq,
        .changes = &m->changes,
        .broken = broken_plan(m->broken),
        .profile = m->profile};
    if (o->tbs)
        return put_tbs(call, &draft, err);
    AUTO(buffer) *message = response_make(&draft, err);
    return message ? put_text(call, m, message, err) : err->rc;
}

/* The type of --template: that of the request. */
static enum rc put_template(const struct applet_call *call, const buffer *text, struct error *err)
{
    const struct make_response *o = call->options;
    AUTO(request) *r = request_new(buffer_span(text));
    if (!r)
        return error_memory(err), err->rc;
    if (!r->type)
        return error_set(err, RC_MALFORMED, "%s: is no request of OTrP", input_name(o->request)),
               err->rc;
    AUTO(json_t) *template = message_template(r->type->response_tbs_name, r->type->response_tbs,
                                              r->type->sealed, r->type->response_content);
    AUTO(buffer) *json = template ? json_pretty(template) : NULL;
    if (!json)
        return error_memory(err), err->rc;
    return call_put(call, o->out, buffer_span(json), OUTPUT_PUBLIC, err);
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct make_response *o = call->options;
    enum error_code_id code;
    if (broken_is_list(&o->break_))
        return broken_list(call, MUTATION_RESPONSE, NULL, err);
    if (!read_code(o, &code, err))
        return err->rc;
    AUTO(buffer) *text = o->request ? input_read(o->request, limits.file_bytes, err) : NULL;
    if (o->request && !text)
        return err->rc;
    if (code != ERR_NONE && strcmp(error_code_row(code)->sender, "the broker") == 0)
        return put_broker_error(call, text, code, err);
    if (!text) {
        error_set(err, RC_USAGE, "no request to answer is given");
        return error_hint(err, "give --request FILE ('-': standard input)"), err->rc;
    }
    if (o->template)
        return put_template(call, text, err);
    AUTO(json_t) *query = ta_query_read(buffer_span(text), err);
    if (query)
        return put_information(call, query, err);
    if (err->rc != RC_OK)
        return err->rc;
    response_materials loaded = {NULL};
    AUTO(response_materials) *m = &loaded;
    return response_materials_load(call, buffer_span(text), m, err) ? answer(call, m, code, err)
                                                                    : err->rc;
}

const struct applet applet_make_response = {
    .uses = USES_PROFILE | USES_LENIENT | USES_KEYS | USES_NOW | USES_FORCE | USES_JSON |
            USES_LIMITS,
    .options = options,
    .size = sizeof(struct make_response),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp make-response --request gds.json --pki pki -o state.json",
            "otrp make-response -r create.json --pki pki --error ERR_SD_ALREADY_EXIST",
            "otrp make-response -r gds.json --pki pki --break signature | otrp verify --trust "
            "pki/tee/tee-rootca --tam-key pki/tam/tam/tam-mytam-rsa-key.pem",
            NULL},
};
