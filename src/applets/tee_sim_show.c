/* SPDX-License-Identifier: Apache-2.0 */
/* otrp tee-sim show, reset, export-ta and export-aik: what a device holds. */
#include "applets/tee_sim.h"

#include <stdio.h>
#include <string.h>

#include "util/terminal.h"

/* ---- show ---- */

const struct option_row tee_show_options[] = {
    OPT_TEXT(tee_look, state, 's', "DIR", OPT_REQUIRED | OPT_DIR, "state folder"),
    OPT_TEXT(tee_look, device, 0, "NAME", 0, "one device of the folder (default: all)"), OPT_END};

const struct option_row tee_reset_options[] = {
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
        const char *name = text_of(row, "name");
        buffer_put_format(out, "  %s%s of SP %s, owned by TAM %s\n", *name ? "SD " : "default SD",
                          name, text_of(row, "spid"), text_of(row, "tamid"));
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

enum rc tee_show_run(const struct applet_call *call, struct error *err)
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
    return stdout_flush(err) ? RC_OK : err->rc;
}

enum rc tee_reset_run(const struct applet_call *call, struct error *err)
{
    const struct tee_look *o = call->options;
    AUTO(device) *dev = tee_sim_open(call, o->state, o->device, 0, err);
    if (!dev || !device_reset(dev, err))
        return err->rc;
    say(call, "device %s is empty; what it has seen stays recorded", dev->name);
    return RC_OK;
}

/* ---- export-ta ---- */

const struct option_row tee_export_options[] = {
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

enum rc tee_export_run(const struct applet_call *call, struct error *err)
{
    const struct tee_export *o = call->options;
    AUTO(device) *dev = tee_sim_open(call, o->state, o->device, 0, err);
    AUTO(buffer) *bytes = dev ? tee_export_ta(dev, o->tamid, o->spid, o->sdname, o->taid, o->pdata,
                                              err)
                              : NULL;
    return bytes ? call_put(call, o->out, buffer_span(bytes),
                            o->pdata ? OUTPUT_PRIVATE : OUTPUT_PUBLIC, err)
                 : err->rc;
}

/* ---- export-aik ---- */

const struct option_row tee_export_aik_options[] = {
    OPT_TEXT(tee_export_aik, state, 's', "DIR", OPT_REQUIRED | OPT_DIR, "state folder"),
    OPT_TEXT(tee_export_aik, device, 0, "NAME", 0, "device of the folder (default: the only one)"),
    OPT_TEXT(tee_export_aik, spid, 0, "ID", 0, "service provider, where several have an AIK"),
    OPT_TEXT(tee_export_aik, tamid, 0, "ID", 0, "TAM, where that of several has one"),
    OPT_TEXT(tee_export_aik, out, 'o', "FILE", OPT_FILE,
             "write the JWK to FILE (default: standard output)"),
    OPT_END};

enum rc tee_export_aik_run(const struct applet_call *call, struct error *err)
{
    const struct tee_export_aik *o = call->options;
    AUTO(device) *dev = tee_sim_open(call, o->state, o->device, 0, err);
    AUTO(json_t) *jwk = dev ? tee_export_aik(dev, o->tamid, o->spid, err) : NULL;
    if (!jwk)
        return err->rc;
    AUTO(buffer) *text = json_pretty(jwk);
    return text ? call_put(call, o->out, buffer_span(text), OUTPUT_PUBLIC, err)
                : (error_memory(err), err->rc);
}
