/* SPDX-License-Identifier: Apache-2.0 */
/* otrp help: the overview of commands, the help of one, and the topics of help_topics.h. */
#include "applet.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "applets/help_messages.h"
#include "applets/help_topics.h"
#include "util/file.h"

struct help {
    const char *topic, *command;
    bool list, mdoc;
};

static const struct option_row options[] = {
    OPT_FLAG(help, list, 0, 0, "list the commands, one a line"),
    OPT_FLAG(help, mdoc, 0, OPT_HIDDEN, "print the OPTIONS block of the man page"),
    OPERAND_WORDS(
        help, topic, "TOPIC", each_help_topic, 0,
        "a command, exit-codes, one of them, errors, algorithms, messages, a message such as "
        "CreateSDRequest, an error code such as ERR_SD_NOT_FOUND, a file (policy, scenario, "
        "manifest, transcript, "
        "templates, ledger), or json"),
    OPERAND(help, command, "COMMAND", 0, "a command of that command, such as tee-sim process"),
    OPT_END};

static const char *group_name(enum applet_group group)
{
    static const char *const names[] = {"Provision", "Make",     "Look",
                                        "Exchange",  "Simulate", "About itself"};
    return names[group];
}

static void put_mdoc_options(buffer *out, const struct applet *applet)
{
    struct common common;
    struct option_set sets[COMMON_TABLES];
    size_t count = common_options(applet, &common, sets);
    buffer_put_text(out, ".Bl -tag -width Ds\n");
    options_put_mdoc(out, applet->options);
    for (size_t i = 0; i < count; i++)
        options_put_mdoc(out, sets[i].rows);
    buffer_put_text(out, ".El\n");
}

static void put_mdoc(buffer *out, const struct applet_entry *entry)
{
    if (!entry->applet->commands) {
        put_mdoc_options(out, entry->applet);
        return;
    }
    for (const struct applet_command *c = entry->applet->commands; c->name; c++) {
        buffer_put_format(out, ".Ss otrp %s %s\n%s.\n", entry->name, c->name, c->summary);
        put_mdoc_options(out, &c->applet);
    }
}

static void put_overview(buffer *out)
{
    buffer_put_text(out, "otrp: a workbench for the Open Trust Protocol\n\n"
                         "usage: otrp COMMAND [OPTION]...\n");
    for (size_t i = 0; i < applet_count; i++) {
        if (i == 0 || applets[i].group != applets[i - 1].group)
            buffer_put_format(out, "\n%s\n", group_name(applets[i].group));
        buffer_put_format(out, "  %-14s %s\n", applets[i].name, applets[i].summary);
    }
    buffer_put_text(
        out, "\nTo begin with:\n"
             "  otrp pki-init                                 certificates and keys in ./pki\n"
             "  otrp tee-sim init --state device --pki pki    a device in ./device\n"
             "  otrp tam-stub --pki pki                       a TAM; it prints its URL, for\n"
             "  otrp send --tee device --url URL              the device; in another terminal\n"
             "\n'otrp COMMAND --help' explains a command; 'otrp help help' tells of more.\n");
}

/* The same for otrp(1). */
static void put_mdoc_overview(buffer *out)
{
    for (size_t i = 0; i < applet_count; i++) {
        const struct applet_entry *a = &applets[i];
        if (i == 0 || a->group != applets[i - 1].group)
            buffer_put_format(out,
                              "%s.Pp\n%s:\n.Bl -tag -width \"otrp-make-response(1)\" -compact\n",
                              i ? ".El\n" : "", group_name(a->group));
        buffer_put_format(out, ".It Xr otrp-%s 1\n%c%s\n", a->name, tolower(a->summary[0]),
                          a->summary + 1);
    }
    buffer_put_text(out, ".El\n");
}

static bool no_topic(const char *word, struct error *err)
{
    const char *near = help_topic_nearest(word);
    error_set(err, RC_USAGE, "no help for '%s'", word);
    if (near)
        return error_hint(err, "did you mean '%s'?", near);
    return error_hint(
        err, "topics are the commands, exit-codes, errors, algorithms, messages, the files "
             "(policy, scenario, manifest, transcript, templates, ledger), json, the name "
             "of a message and the ERR_ codes");
}

static bool put_command(buffer *out, const struct applet_entry *entry, const char *command,
                        struct error *err)
{
    if (!command) {
        applet_put_help(out, entry->name, entry->summary, entry->applet);
        return true;
    }
    for (const struct applet_command *c = entry->applet->commands; c && c->name; c++)
        if (strcmp(c->name, command) == 0) {
            char name[64];
            snprintf(name, sizeof name, "%s %s", entry->name, c->name);
            applet_put_help(out, name, c->summary, &c->applet);
            return true;
        }
    error_set(err, RC_USAGE, "%s has no command '%s'", entry->name, command);
    return entry->applet->commands ? error_hint(err, "'otrp %s --help' lists them", entry->name)
                                   : false;
}

static bool put_topic(buffer *out, const struct help *o, struct error *err)
{
    const struct applet_entry *entry = applet_find(o->topic);
    if (entry && o->mdoc) {
        put_mdoc(out, entry);
        return true;
    }
    if (entry)
        return put_command(out, entry, o->command, err);
    if (o->command)
        return error_set(err, RC_USAGE, "%s: only a command has commands", o->topic);
    if (strcmp(o->topic, "messages") == 0)
        put_messages(out, o->mdoc);
    else if (!put_help_topic(out, o->topic) && !put_message(out, o->topic))
        return no_topic(o->topic, err);
    return true;
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct help *o = call->options;
    AUTO(buffer) *out = buffer_new(4096);
    if (!out)
        return error_memory(err), err->rc;
    if (o->list)
        for (size_t i = 0; i < applet_count; i++)
            buffer_put_format(out, "%s\n", applets[i].name);
    else if (!o->topic && o->mdoc)
        put_mdoc_overview(out);
    else if (!o->topic)
        put_overview(out);
    else if (!put_topic(out, o, err))
        return err->rc;
    return stdout_write(buffer_span(out), err) ? RC_OK : err->rc;
}

const struct applet applet_help = {
    .options = options,
    .size = sizeof(struct help),
    .run = run,
    .examples = (const char *const[]){"otrp help tee-sim process",
                                      "otrp help ERR_DEV_STATE_MISMATCH", "otrp help exit-codes",
                                      "otrp help policy", NULL},
};
