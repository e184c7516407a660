/* SPDX-License-Identifier: Apache-2.0 */
/* otrp tee-sim: the software TEE, one command for each thing one does with a device. */
#include "applets/common.h"

#include <stdio.h>
#include <string.h>

#include "pki/layout.h"
#include "sim/tee.h"
#include "util/terminal.h"

/* ---- init ---- */

struct tee_init {
    const char *state, *pki, *name, *tee_key, *tee_cert, *tam_root, *tfw_key, *tfw_cert, *tfw_root,
        *version;
    long max_sds, max_tas, max_bytes, max_replays;
    bool no_tfw, no_signerreq;
};

static const struct option_row init_options[] = {
    OPT_TEXT(tee_init, state, 's', "DIR", OPT_REQUIRED | OPT_DIR,
             "state folder; made where it is not there"),
    OPT_TEXT(tee_init, pki, 0, "DIR", OPT_DIR,
             "PKI directory that has the device's key and certificates"),
    OPT_TEXT(tee_init, name, 'n', "NAME", 0,
             "TEE of the PKI directory, and its name in messages (default mytee)"),
    OPT_TEXT(tee_init, tee_key, 0, "KEY", OPT_FILE, "private key of the device"),
    OPT_TEXT(tee_init, tee_cert, 0, "CHAIN", OPT_FILE, "its certificate and intermediates"),
    OPT_TEXT(tee_init, tam_root, 0, "ROOTS", OPT_FILE, "TAM roots to trust, a file or folder"),
    OPT_TEXT(tee_init, tfw_key, 0, "KEY", OPT_FILE, "private key of the trusted firmware"),
    OPT_TEXT(tee_init, tfw_cert, 0, "CHAIN", OPT_FILE, "its certificate and intermediates"),
    OPT_TEXT(tee_init, tfw_root, 0, "ROOTS", OPT_FILE, "firmware roots, a file or folder"),
    OPT_FLAG(tee_init, no_tfw, 0, 0, "a device without trusted firmware"),
    OPT_FLAG(
        tee_init, no_signerreq, 0, 0,
        "after the first request, take requests without x5c and ocspdat from signers seen before"),
    OPT_TEXT(tee_init, version, 0, "TEXT", 0, "version of the TEE in its state (default 1.0)"),
    OPT_NUMBER(tee_init, max_sds, 0, "N", 1, 1000000, "most security domains (default 64)"),
    OPT_NUMBER(tee_init, max_tas, 0, "N", 1, 1000000, "most trusted applications (default 256)"),
    OPT_NUMBER(tee_init, max_bytes, 0, "N", 1, 1L << 40,
               "most bytes of trusted applications (default 256 MiB)"),
    OPT_NUMBER(tee_init, max_replays, 0, "N", 1, 1L << 40,
               "most requests recorded per TAM (default 100000)"),
    OPT_END};

/* The identity of a role: from the PKI directory, or the two files. */
typedef struct tee_parts {
    key_set *tee_keys, *tfw_keys;
    X509_stack *tee_chain, *tam_roots, *tfw_chain, *tfw_roots;
} tee_parts;

static void tee_parts_free(tee_parts *p)
{
    key_set_free(p->tee_keys);
    key_set_free(p->tfw_keys);
    sk_X509_pop_free(p->tee_chain, X509_free);
    sk_X509_pop_free(p->tam_roots, X509_free);
    sk_X509_pop_free(p->tfw_chain, X509_free);
    sk_X509_pop_free(p->tfw_roots, X509_free);
}
AUTO_DEFINE(tee_parts, tee_parts_free)

static bool load_pair(const struct applet_call *call, const char *key_path, const char *chain_path,
                      key_set **keys, X509_stack **chain, struct error *err)
{
    *keys = call_keys(call, key_path, KEY_PRIVATE, err);
    *chain = *keys ? cert_load(chain_path, err) : NULL;
    if (!*chain)
        return false;
    if (EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(*chain, 0)), (*keys)->keys[0]->pkey) == 1)
        return true;
    return error_set(err, RC_USAGE, "%s: is not the key of the certificate in %s", key_path,
                     chain_path);
}

static bool load_from_pki(const struct applet_call *call, const char *name, tee_parts *p,
                          struct error *err)
{
    const struct tee_init *o = call->options;
    AUTO(identity) *tee = identity_find(o->pki, ROLE_TEE, name, err);
    if (!tee || !load_pair(call, tee->key_path, tee->chain_path, &p->tee_keys, &p->tee_chain, err))
        return false;
    p->tam_roots = layout_roots(o->pki, ROLE_TAM, err);
    if (!p->tam_roots || o->no_tfw)
        return p->tam_roots != NULL;
    AUTO(identity) *tfw = identity_find(o->pki, ROLE_TFW, name, err);
    if (!tfw)
        return error_hint(err, "--no-tfw makes a device without trusted firmware");
    p->tfw_roots = load_pair(call, tfw->key_path, tfw->chain_path, &p->tfw_keys, &p->tfw_chain, err)
                       ? layout_roots(o->pki, ROLE_TFW, err)
                       : NULL;
    return p->tfw_roots != NULL;
}

static bool load_from_files(const struct applet_call *call, tee_parts *p, struct error *err)
{
    const struct tee_init *o = call->options;
    if (!o->tee_key || !o->tee_cert || !o->tam_root) {
        error_set(err, RC_USAGE, "no device to make");
        return error_hint(err, "give --pki DIR, or --tee-key, --tee-cert and --tam-root");
    }
    if (!load_pair(call, o->tee_key, o->tee_cert, &p->tee_keys, &p->tee_chain, err))
        return false;
    p->tam_roots = cert_load_many(o->tam_root, err);
    if (!p->tam_roots || !o->tfw_key)
        return p->tam_roots != NULL;
    if (!o->tfw_cert || !o->tfw_root)
        return error_set(err, RC_USAGE, "--tfw-key needs --tfw-cert and --tfw-root");
    p->tfw_roots = load_pair(call, o->tfw_key, o->tfw_cert, &p->tfw_keys, &p->tfw_chain, err)
                       ? cert_load_many(o->tfw_root, err)
                       : NULL;
    return p->tfw_roots != NULL;
}

static enum rc run_init(const struct applet_call *call, struct error *err)
{
    const struct tee_init *o = call->options;
    const char *name = o->name ? o->name : "mytee";
    if (strlen(name) > LIMIT_NAME_BYTES || !*name)
        return error_set(err, RC_USAGE, "--name: 1 to %d bytes", LIMIT_NAME_BYTES), err->rc;
    tee_parts loaded = {NULL};
    AUTO(tee_parts) *p = &loaded;
    if (!(o->pki ? load_from_pki(call, name, p, err) : load_from_files(call, p, err)))
        return err->rc;
    const struct device_parts parts = {.name = name,
                                       .version = o->version ? o->version : "1.0",
                                       .tee_key = p->tee_keys->keys[0],
                                       .tee_chain = p->tee_chain,
                                       .tam_anchors = p->tam_roots,
                                       .tfw_key = p->tfw_keys ? p->tfw_keys->keys[0] : NULL,
                                       .tfw_chain = p->tfw_chain,
                                       .tfw_anchors = p->tfw_roots,
                                       .limits = {o->max_sds ? o->max_sds : 64,
                                                  o->max_tas ? o->max_tas : 256,
                                                  o->max_bytes ? o->max_bytes : 256L << 20,
                                                  o->max_replays ? o->max_replays : 100000},
                                       .signerreq = !o->no_signerreq};
    if (!device_create(o->state, &parts, err))
        return err->rc;
    say(call, "device %s in %s", name, o->state);
    return RC_OK;
}

/* ---- process ---- */

struct tee_run {
    const char *state, *device, *out, *request;
};

static const struct option_row process_options[] = {
    OPT_TEXT(tee_run, state, 's', "DIR", OPT_REQUIRED | OPT_DIR, "state folder"),
    OPT_TEXT(tee_run, device, 0, "NAME", 0, "device of the folder (default: the only one)"),
    OPT_TEXT(tee_run, out, 'o', "FILE", OPT_FILE,
             "write the answer to FILE (default: standard output)"),
    OPERAND(tee_run, request, "REQUEST", OPT_FILE, "OTrP request (default: standard input)"),
    OPT_END};

static device *open_device(const struct applet_call *call, const char *state, const char *name,
                           struct error *err)
{
    device *dev = device_open(state, name, err);
    if (dev)
        dev->clock = call->clock;
    return dev;
}

static enum rc run_process(const struct applet_call *call, struct error *err)
{
    const struct tee_run *o = call->options;
    AUTO(output_set) *check = output_set_new(call->common->force);
    if (!check || !output_possible(check, o->out, err)) /* before the state changes */
        return err->rc;
    AUTO(device) *dev = open_device(call, o->state, o->device, err);
    AUTO(buffer) *text = dev ? input_read(o->request, LIMIT_MESSAGE_BYTES, err) : NULL;
    if (!text)
        return err->rc;
    struct tee_outcome outcome;
    AUTO(buffer) *answer = tee_process(dev, buffer_span(text), &outcome, err);
    if (!answer)
        return err->rc;
    enum rc rc = call_put(call, o->out, buffer_span(answer), OUTPUT_PUBLIC, err);
    if (rc != RC_OK)
        return rc;
    if (outcome.code == ERR_NONE) {
        say(call, "%s: pass", outcome.type->name);
        return RC_OK;
    }
    *err = outcome.error;
    err->rc = RC_PEER;
    error_prefix(err, "%s: %s", outcome.type->name, error_code_name(outcome.code));
    return RC_PEER;
}

/* ---- query ---- */

struct tee_ask {
    const char *state, *device, *spid, *taid, *nonce, *tamid, *out, *query;
};

static const struct option_row query_options[] = {
    OPT_TEXT(tee_ask, state, 's', "DIR", OPT_REQUIRED | OPT_DIR, "state folder"),
    OPT_TEXT(tee_ask, device, 0, "NAME", 0, "device of the folder (default: the only one)"),
    OPT_TEXT(tee_ask, spid, 0, "ID", 0, "service provider"),
    OPT_TEXT(tee_ask, taid, 0, "ID", 0, "trusted application"),
    OPT_TEXT(tee_ask, nonce, 0, "TEXT", 0, "comes back in the signed answer"),
    OPT_TEXT(tee_ask, tamid, 0, "ID", 0, "TAM that installed it, where several did"),
    OPT_TEXT(tee_ask, out, 'o', "FILE", OPT_FILE,
             "write the answer to FILE (default: standard output)"),
    OPERAND(tee_ask, query, "QUERY", OPT_FILE, "a TAQuery as JSON, instead of --spid and --taid"),
    OPT_END};

static buffer *query_text(const struct tee_ask *o, struct error *err)
{
    if (o->query && (o->spid || o->taid)) {
        error_set(err, RC_USAGE, "QUERY stands for --spid and --taid: give the one or the others");
        return NULL;
    }
    if (o->query)
        return input_read(o->query, LIMIT_SMALL_JSON, err);
    if (!o->spid || !o->taid) {
        error_set(err, RC_USAGE, "--spid and --taid say which TA is asked for");
        return NULL;
    }
    AUTO(json_t) *query = json_pack("{s:{s:s, s:s, s:s*, s:s*}}", "TAQuery", "spid", o->spid,
                                    "taid", o->taid, "nonce", o->nonce, "tamid", o->tamid);
    if (!query)
        error_set(err, RC_USAGE, "the query is not UTF-8");
    return query ? json_compact(query) : NULL;
}

static enum rc run_query(const struct applet_call *call, struct error *err)
{
    const struct tee_ask *o = call->options;
    AUTO(device) *dev = open_device(call, o->state, o->device, err);
    AUTO(buffer) *query = dev ? query_text(o, err) : NULL;
    if (!query)
        return err->rc;
    enum error_code_id code;
    AUTO(buffer) *answer = tee_query(dev, buffer_span(query), &code, err);
    if (!answer)
        return err->rc;
    enum rc rc = call_put(call, o->out, buffer_span(answer), OUTPUT_PUBLIC, err);
    if (rc != RC_OK || code == ERR_NONE)
        return rc;
    error_set(err, RC_PEER, "%s: %s", error_code_name(code), error_code_row(code)->meaning);
    error_hint(err, "%s", error_code_row(code)->remedy);
    return RC_PEER;
}

/* ---- show ---- */

struct tee_look {
    const char *state, *device;
};

static const struct option_row look_options[] = {
    OPT_TEXT(tee_look, state, 's', "DIR", OPT_REQUIRED | OPT_DIR, "state folder"),
    OPT_TEXT(tee_look, device, 0, "NAME", 0, "one device of the folder (default: all)"), OPT_END};

static const struct option_row reset_options[] = {
    OPT_TEXT(tee_look, state, 's', "DIR", OPT_REQUIRED | OPT_DIR, "state folder"),
    OPT_TEXT(tee_look, device, 0, "NAME", 0, "device of the folder (default: the only one)"),
    OPT_END};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "-";
}

static void put_tas(buffer *out, const json_t *sd)
{
    size_t i;
    json_t *ta;
    json_array_foreach (json_object_get(sd, "tas"), i, ta) {
        buffer_put_format(out, "    TA %s", text_of(ta, "taid"));
        if (json_is_string(json_object_get(ta, "taname")))
            buffer_put_format(out, " \"%s\"", text_of(ta, "taname"));
        if (json_is_integer(json_object_get(ta, "version")))
            buffer_put_format(out, ", version %lld",
                              (long long)json_integer_value(json_object_get(ta, "version")));
        buffer_put_format(out, ", %lld bytes\n",
                          (long long)json_integer_value(json_object_get(ta, "size")));
    }
}

static void put_device(buffer *out, const json_t *dev)
{
    size_t i;
    json_t *row;
    buffer_put_format(out, "device %s, %s%s, did %s\n", text_of(dev, "name"), text_of(dev, "key"),
                      json_is_true(json_object_get(dev, "tfw")) ? ", trusted firmware" : "",
                      text_of(dev, "did"));
    json_array_foreach (json_object_get(dev, "tams"), i, row) {
        buffer_put_format(out, "  TAM %s: %lld requests, dsihash %s%s\n", text_of(row, "tamid"),
                          (long long)json_integer_value(json_object_get(row, "requests")),
                          text_of(row, "dsihash"),
                          json_is_true(json_object_get(row, "changed")) ? " (changed since)" : "");
    }
    json_array_foreach (json_object_get(dev, "sds"), i, row) {
        buffer_put_format(out, "  SD %s of SP %s, owned by TAM %s\n", text_of(row, "name"),
                          text_of(row, "spid"), text_of(row, "tamid"));
        put_tas(out, row);
    }
    json_array_foreach (json_object_get(dev, "aiks"), i, row) {
        buffer_put_format(out, "  AIK of SP %s for TAM %s\n", text_of(row, "spid"),
                          text_of(row, "tamid"));
    }
    if (json_array_size(json_object_get(dev, "sds")) == 0)
        buffer_put_text(out, "  no security domains\n");
}

/* The names in a report come from messages: a newline in one must not look like a line of ours. */
static json_t *one_line(const json_t *value)
{
    AUTO(buffer) *text = buffer_new(64);
    for (const char *c = json_string_value(value); text && *c; c++)
        if ((unsigned char)*c < 0x20)
            buffer_put_format(text, "\\x%02x", (unsigned char)*c);
        else
            buffer_put_char(text, *c);
    return text ? json_string((const char *)text->data) : NULL;
}

static void flatten(json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;
    json_object_foreach (value, name, member) {
        if (json_is_string(member))
            json_object_set_new(value, name, one_line(member));
        else
            flatten(member);
    }
    json_array_foreach (value, i, member) {
        if (json_is_string(member))
            json_array_set_new(value, i, one_line(member));
        else
            flatten(member);
    }
}

static enum rc run_show(const struct applet_call *call, struct error *err)
{
    const struct tee_look *o = call->options;
    AUTO(json_t) *report = device_report(o->state, o->device, err);
    if (!report)
        return err->rc;
    AUTO(buffer) *text = call->common->json ? json_pretty(report) : buffer_new(1000);
    if (!text)
        return error_memory(err), err->rc;
    if (call->common->json)
        return stdout_write(buffer_span(text), err) ? RC_OK : err->rc;
    flatten(report);
    size_t i;
    json_t *dev;
    json_array_foreach (json_object_get(report, "devices"), i, dev) {
        put_device(text, dev);
    }
    terminal_put(stdout, (const char *)text->data); /* names come from messages */
    return fflush(stdout) == 0
               ? RC_OK
               : (error_errno(err, RC_INTERNAL, "cannot write to standard output"), err->rc);
}

static enum rc run_reset(const struct applet_call *call, struct error *err)
{
    const struct tee_look *o = call->options;
    AUTO(device) *dev = open_device(call, o->state, o->device, err);
    if (!dev || !device_reset(dev, err))
        return err->rc;
    say(call, "device %s is empty; what it has seen stays recorded", dev->name);
    return RC_OK;
}

/* ---- export-ta ---- */

struct tee_export {
    const char *state, *device, *tamid, *spid, *sdname, *taid, *out;
    bool pdata;
};

static const struct option_row export_options[] = {
    OPT_TEXT(tee_export, state, 's', "DIR", OPT_REQUIRED | OPT_DIR, "state folder"),
    OPT_TEXT(tee_export, device, 0, "NAME", 0, "device of the folder (default: the only one)"),
    OPT_TEXT(tee_export, taid, 0, "ID", OPT_REQUIRED, "trusted application"),
    OPT_TEXT(tee_export, spid, 0, "ID", 0, "service provider, where several have such a TA"),
    OPT_TEXT(tee_export, sdname, 0, "NAME", 0, "security domain, where several have such a TA"),
    OPT_TEXT(tee_export, tamid, 0, "ID", 0, "TAM, where several installed such a TA"),
    OPT_FLAG(tee_export, pdata, 0, 0, "write its personalisation data instead"),
    OPT_TEXT(tee_export, out, 'o', "FILE", OPT_FILE,
             "write the bytes to FILE (default: standard output)"),
    OPT_END};

static enum rc run_export(const struct applet_call *call, struct error *err)
{
    const struct tee_export *o = call->options;
    AUTO(device) *dev = open_device(call, o->state, o->device, err);
    AUTO(buffer) *bytes = dev ? tee_export_ta(dev, o->tamid, o->spid, o->sdname, o->taid, o->pdata,
                                              err)
                              : NULL;
    return bytes ? call_put(call, o->out, buffer_span(bytes),
                            o->pdata ? OUTPUT_PRIVATE : OUTPUT_PUBLIC, err)
                 : err->rc;
}

#define EXAMPLES(...)                                                                              \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static const struct applet_command commands[] = {
    {"init",
     "Make a device",
     {.uses = USES_KEYS,
      .options = init_options,
      .size = sizeof(struct tee_init),
      .run = run_init,
      .examples = EXAMPLES(
          "otrp tee-sim init --state device --pki pki",
          "otrp tee-sim init --state small --pki pki --no-tfw --max-sds 2 --max-tas 4")}},
    {"process",
     "Give the device a request; its answer goes to standard output",
     {.uses = USES_NOW | USES_FORCE | USES_JSON,
      .options = process_options,
      .size = sizeof(struct tee_run),
      .run = run_process,
      .examples = EXAMPLES(
          "otrp tee-sim process --state device gds.json > state.json",
          "otrp make-request get-device-state --pki pki | otrp tee-sim process -s device")}},
    {"query",
     "Ask for information about a TA, as a client application does",
     {.uses = USES_FORCE | USES_JSON,
      .options = query_options,
      .size = sizeof(struct tee_ask),
      .run = run_query,
      .examples = EXAMPLES(
          "otrp tee-sim query --state device --spid xbank --taid demo",
          "otrp make-request ta-query --spid xbank --taid demo | otrp tee-sim query -s device -")}},
    {"show",
     "Show what the device holds",
     {.uses = USES_JSON,
      .options = look_options,
      .size = sizeof(struct tee_look),
      .run = run_show,
      .examples = EXAMPLES("otrp tee-sim show --state device",
                           "otrp tee-sim show --state device --json")}},
    {"export-ta",
     "Write the bytes of an installed TA",
     {.uses = USES_FORCE,
      .options = export_options,
      .size = sizeof(struct tee_export),
      .run = run_export,
      .examples = EXAMPLES(
          "otrp tee-sim export-ta --state device --taid demo -o ta.bin",
          "otrp tee-sim export-ta --state device --taid demo --pdata | sha256sum")}},
    {"reset",
     "Empty the device",
     {.uses = 0,
      .options = reset_options,
      .size = sizeof(struct tee_look),
      .run = run_reset,
      .examples = EXAMPLES("otrp tee-sim reset --state device",
                           "otrp tee-sim reset --state device --device mytee")}},
    {NULL, NULL, {0}},
};

const struct applet applet_tee_sim = {.commands = commands};
