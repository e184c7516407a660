/* SPDX-License-Identifier: Apache-2.0 */
/* otrp inspect: shows messages, JOSE objects, keys, certificates and transcripts layer by layer,
 * out of whatever they are buried in. It never trusts anything, and shows what it can of what is
 * wrong. */
#include "applets/inspect.h"

#include <stdio.h>
#include <string.h>

#include "util/terminal.h"

enum { VALUE_BYTES = 72, JSON_VALUE_BYTES = 4096 };

static const struct option_row options[] = {
    OPT_LIST(inspect_options, key, 'k', "KEY", OPT_FILE,
             "key or certificate that may verify or open something (repeatable)"),
    OPT_LIST(inspect_options, trust, 't', "ROOTS", OPT_FILE,
             "file or folder of roots for the verdicts on chains (repeatable)"),
    OPT_TEXT(inspect_options, pki, 'p', "DIR", OPT_DIR,
             "PKI directory: its keys, certificates and roots"),
    OPT_TEXT(inspect_options, device, 'd', "FILE", OPT_FILE,
             "device state: gives the TEE's certificate, did and dsihash"),
    OPT_FLAG(inspect_options, full, 0, 0, "do not cut long values"),
    OPT_FLAG(inspect_options, show_secrets, 0, 0, "also show private keys and CEKs"),
    OPERAND(inspect_options, text, "FILE", OPT_FILE,
            "message, key, certificate, transcript, log, mail, dump (default: standard input)"),
    OPT_END};

AUTO_DEFINE(look, look_free)

static bool put_span(look *l, struct span text)
{
    if (stdout_write(text, l->err))
        return true;
    l->failed = true;
    return false;
}

static bool put(look *l, const buffer *text)
{
    if (text)
        return put_span(l, buffer_span(text));
    error_memory(l->err);
    l->failed = true;
    return false;
}

/* One item as a line of the report. Everything but ASCII is escaped: it may go to a terminal. */
static void put_json(look *l)
{
    AUTO(buffer) *item = json_ascii(l->report.item);
    if (!item || put_span(l, span_text(l->report.items > 1 ? ",\n" : "{\"items\":[\n")))
        put(l, item);
}

static void put_text(look *l)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        item_print(&l->report, out, l->colours);
        if (fclose(out) != 0)
            size = 0;
    }
    AUTO(char) *own = text;
    if (!size)
        l->failed = !error_memory(l->err);
    else
        put_span(l, SPAN(own, size));
}

static void put_names(json_t *item, unsigned how)
{
    json_t *names = json_array();
    for (unsigned bit = 0; unearthed_how_name(bit); bit++)
        if (how & 1u << bit)
            json_array_append_new(names, json_string(unearthed_how_name(bit)));
    json_object_set_new(item, "found", names);
}

/* What the text itself broke, before anything in it was looked at. */
static void tell_mending(look *l, unsigned how)
{
    static const struct {
        unsigned bit;
        enum deviation id;
    } rows[] = {{UNEARTHED_QUOTES, DEVIATION_QUOTES},
                {UNEARTHED_CUT, DEVIATION_CUT},
                {UNEARTHED_COMMA, DEVIATION_COMMA}};
    for (size_t i = 0; i < COUNT(rows); i++)
        if (how & rows[i].bit)
            deviate(l, "text", rows[i].id);
}

void item_end(look *l, const struct unearthed *found)
{
    if (l->failed)
        return;
    l->report.items++;
    tell_mending(l, found->how);
    l->report.deviations += json_array_size(json_object_get(l->report.item, "deviations"));
    json_object_set_new(l->report.item, "line", json_integer((json_int_t)found->line));
    json_object_set_new(l->report.item, "offset", json_integer((json_int_t)found->offset));
    json_object_set_new(l->report.item, "bytes", json_integer((json_int_t)found->text.size));
    put_names(l->report.item, found->how);
    if (l->call->common->json)
        put_json(l);
    else
        put_text(l);
}

static bool put_words(look *l, const char *format, size_t a, size_t b)
{
    AUTO(buffer) *text = buffer_new(200);
    if (text)
        buffer_put_format(text, format, a, b);
    return put(l, text);
}

/* What is not opened here, by its first bytes, and what opens it. */
static const struct wrapping {
    const char *first, *name, *command;
} wrappings[] = {{"\x1f\x8b", "gzip data", "zcat"},
                 {"BZh", "bzip2 data", "bzcat"},
                 {"\xfd\x37zXZ", "xz data", "xzcat"},
                 {"\x28\xb5\x2f\xfd", "zstd data", "zstdcat"},
                 {"PK\x03\x04", "a zip archive", "unzip -p"},
                 {"\xd4\xc3\xb2\xa1", "a capture of packets", "tcpdump -xx -r"},
                 {"\x0a\x0d\x0d\x0a", "a capture of packets", "tcpdump -xx -r"}};

static const struct wrapping *wrapping_of(struct span text)
{
    for (size_t i = 0; i < COUNT(wrappings); i++) {
        size_t size = strlen(wrappings[i].first);
        if (text.size > size && memcmp(text.data, wrappings[i].first, size) == 0)
            return &wrappings[i];
    }
    return NULL;
}

static enum rc nothing_found(const look *l, const struct wrapping *wrapping, struct error *err)
{
    const char *name = input_name(l->options->text);
    if (wrapping) {
        error_set(err, RC_MALFORMED, "%s: %s: nothing can be seen through it", name,
                  wrapping->name);
        return error_hint(err, "unpack it first: %s FILE | otrp inspect", wrapping->command),
               err->rc;
    }
    error_set(err, RC_MALFORMED, "%s: nothing in it that can be shown", name);
    error_hint(err,
               "messages, JWS, JWE, JWK, certificates, OCSP responses, DSIs and transcripts are "
               "known, also inside logs, mails and dumps");
    return err->rc;
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct inspect_options *o = call->options;
    bool json = call->common->json;

    /* inputs */
    look state = {.err = err,
                  .colours = terminal_colours(stdout, call->common->color),
                  .report = {.value_bytes = o->full ? SIZE_MAX
                                            : json  ? JSON_VALUE_BYTES
                                                    : VALUE_BYTES,
                             .secrets = o->show_secrets}};
    AUTO(look) *l = &state;
    if (!look_load(l, call, err))
        return err->rc;
    AUTO(buffer) *text = input_read(o->text, limits.encoded_bytes, err);
    if (!text)
        return err->rc;
    if (call->common->max_depth == 0)
        limits.json_depth = LIMIT_JSON_DEPTH_MOST; /* to be shown, not to be believed */

    /* act, and output as it comes: a log may be long */
    if (!unearth(buffer_span(text), item_take, l, err) || l->failed)
        return err->rc;
    const struct wrapping *wrapping = wrapping_of(buffer_span(text));
    if (l->report.items == 0)
        return nothing_found(l, wrapping, err);
    if (wrapping)
        warn(call, "note: %s is %s: '%s FILE | otrp inspect' shows more", input_name(o->text),
             wrapping->name, wrapping->command);
    if (json && !put_words(l, "\n],\"summary\":{\"items\":%zu,\"deviations\":%zu}}\n",
                           l->report.items, l->report.deviations))
        return err->rc;
    return RC_OK;
}

const struct applet applet_inspect = {
    .uses = USES_KEYS | USES_NOW | USES_LIMITS | USES_JSON,
    .options = options,
    .size = sizeof(struct inspect_options),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp inspect --pki pki request.json",
            "otrp inspect --key pki/tam/tam/tam-mytam-rsa-key.pem --trust pki/tee/tee-rootca "
            "session.jsonl",
            "grep CreateSD /var/log/broker.log | otrp inspect --json", NULL},
};
