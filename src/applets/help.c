/* SPDX-License-Identifier: Apache-2.0 */
/* otrp help: the overview of commands, the help of one, the exit codes, the error codes. */
#include "applet.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "applets/help_messages.h"
#include "jose/jwa.h"
#include "otrp/error_code.h"
#include "otrp/message.h"
#include "util/file.h"

struct help {
    const char *topic, *command;
    bool list, mdoc;
};

static const struct option_row options[] = {
    OPT_FLAG(help, list, 0, 0, "list the commands, one a line"),
    OPT_FLAG(help, mdoc, 0, OPT_HIDDEN, "print the OPTIONS block of the man page"),
    OPERAND(
        help, topic, "TOPIC", OPT_TOPIC,
        "a command, exit-codes, errors, algorithms, messages, a message such as CreateSDRequest, "
        "or an error code such as ERR_SD_NOT_FOUND"),
    OPERAND(help, command, "COMMAND", 0, "a command of that command, such as tee-sim process"),
    OPT_END};

const char *applet_group_name(enum applet_group group)
{
    static const char *const names[] = {"Provision", "Make",     "Look",
                                        "Exchange",  "Simulate", "About itself"};
    return names[group];
}

static void put_commands(buffer *out, const char *name, const struct applet *applet)
{
    buffer_put_format(out, "usage: otrp %s COMMAND [OPTION]...\n\ncommands:\n", name);
    for (const struct applet_command *c = applet->commands; c->name; c++)
        buffer_put_format(out, "  %-12s %s\n", c->name, c->summary);
    buffer_put_format(out, "\n'otrp %s COMMAND --help' explains one of them.\n", name);
}

void applet_put_help(buffer *out, const char *name, const char *summary,
                     const struct applet *applet)
{
    buffer_put_format(out, "%s\n\n", summary);
    if (applet->commands) {
        put_commands(out, name, applet);
        return;
    }
    buffer_put_format(out, "usage: otrp %s", name);
    options_put_synopsis(out, applet->options);
    buffer_put_text(out, "\n\n");
    options_put_help(out, applet->options);
    struct common common;
    struct option_set sets[8];
    size_t count = common_options(applet, &common, sets);
    for (size_t i = 0; i < count; i++)
        options_put_help(out, sets[i].rows);
    buffer_put_text(out, "\nexamples:\n");
    for (const char *const *e = applet->examples; e && *e; e++)
        buffer_put_format(out, "  %s\n", *e);
}

static void put_mdoc_options(buffer *out, const struct applet *applet)
{
    struct common common;
    struct option_set sets[8];
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
            buffer_put_format(out, "\n%s\n", applet_group_name(applets[i].group));
        buffer_put_format(out, "  %-14s %s\n", applets[i].name, applets[i].summary);
    }
    buffer_put_text(
        out, "\nTo begin with:\n"
             "  otrp pki-init                                 certificates and keys in ./pki\n"
             "  otrp tee-sim init --state device --pki pki    a device in ./device\n"
             "  otrp tam-stub --pki pki --policy POLICY       a TAM to send it to\n"
             "\n'otrp COMMAND --help' explains a command.\n");
}

/* The same for otrp(1). */
static void put_mdoc_overview(buffer *out)
{
    for (size_t i = 0; i < applet_count; i++) {
        const struct applet_entry *a = &applets[i];
        if (i == 0 || a->group != applets[i - 1].group)
            buffer_put_format(out,
                              "%s.Pp\n%s:\n.Bl -tag -width \"otrp-make-response(1)\" -compact\n",
                              i ? ".El\n" : "", applet_group_name(a->group));
        buffer_put_format(out, ".It Xr otrp-%s 1\n%c%s\n", a->name, tolower(a->summary[0]),
                          a->summary + 1);
    }
    buffer_put_text(out, ".El\n");
}

static void put_exit_codes(buffer *out)
{
    for (int rc = RC_OK; rc <= RC_PARTIAL; rc++)
        buffer_put_format(out, "%d  %-10s %s\n", rc, rc_name((enum rc)rc), rc_meaning((enum rc)rc));
}

static void put_algorithms(buffer *out)
{
    static const char *const kinds[] = {"signature", "key management", "content encryption"};
    for (size_t i = 0; i < jwa_count; i++)
        buffer_put_format(
            out, "%-16s %-20s %-14s %s\n", jwa_table[i].name, kinds[jwa_table[i].kind],
            jwa_available(&jwa_table[i]) ? "available" : "not available", jwa_table[i].section);
}

static bool put_error_code(buffer *out, const char *name)
{
    const struct error_code *code = error_code_find(name);
    if (code)
        buffer_put_format(out, "%s: %s\n\nSent by: %s\nUsual cause: %s\nWhat to try: %s\n",
                          code->name, code->meaning, code->sender, code->cause, code->remedy);
    return code != NULL;
}

static void put_error_codes(buffer *out)
{
    for (int id = ERR_NONE + 1; id < ERR_COUNT; id++) {
        const struct error_code *code = error_code_row((enum error_code_id)id);
        buffer_put_format(out, "%-28s %s\n", code->name, code->meaning);
    }
}

/* ---- topics that there are not ---- */

enum { TOPICS_MOST = 160, TOPIC_BYTES = 48 };

/* Every topic, in small letters for the comparison. */
struct topics {
    const char *names[TOPICS_MOST], *small[TOPICS_MOST];
    char text[TOPICS_MOST][TOPIC_BYTES];
    size_t count;
};

static void small_letters(char out[TOPIC_BYTES], const char *text)
{
    size_t i = 0;
    for (; text[i] && i + 1 < TOPIC_BYTES; i++)
        out[i] = (char)tolower((unsigned char)text[i]);
    out[i] = '\0';
}

static void add_topic(struct topics *t, const char *name)
{
    if (t->count == TOPICS_MOST)
        return;
    small_letters(t->text[t->count], name);
    t->small[t->count] = t->text[t->count];
    t->names[t->count++] = name;
}

/* The topic that was meant, or NULL. */
static const char *nearest_topic(const char *word)
{
    static const char *const others[] = {"exit-codes", "errors", "algorithms", "messages"};
    struct topics t = {.count = 0};
    for (size_t i = 0; i < applet_count; i++)
        add_topic(&t, applets[i].name);
    for (size_t i = 0; i < COUNT(others); i++)
        add_topic(&t, others[i]);
    for (int i = 0; i < MESSAGE_COUNT; i++) {
        const struct message_type *type = message_type((enum message_id)i);
        add_topic(&t, type->option);
        add_topic(&t, type->request);
        add_topic(&t, type->response);
    }
    for (size_t i = 0; i < other_message_count; i++)
        add_topic(&t, other_messages[i].name);
    for (int id = ERR_NONE + 1; id < ERR_COUNT; id++)
        add_topic(&t, error_code_name((enum error_code_id)id));
    char small[TOPIC_BYTES];
    small_letters(small, word);
    const char *near = nearest(small, t.small, t.count);
    for (size_t i = 0; near && i < t.count; i++)
        if (near == t.small[i])
            return t.names[i];
    return NULL;
}

static bool no_topic(const char *word, struct error *err)
{
    const char *near = nearest_topic(word);
    error_set(err, RC_USAGE, "no help for '%s'", word);
    if (near)
        return error_hint(err, "did you mean '%s'?", near);
    return error_hint(err,
                      "topics are the commands, exit-codes, errors, algorithms, messages, the name "
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
    return error_set(err, RC_USAGE, "%s has no command '%s'", entry->name, command);
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
    if (strcmp(o->topic, "exit-codes") == 0)
        put_exit_codes(out);
    else if (strcmp(o->topic, "algorithms") == 0)
        put_algorithms(out);
    else if (strcmp(o->topic, "messages") == 0)
        put_messages(out, o->mdoc);
    else if (strcmp(o->topic, "errors") == 0)
        put_error_codes(out);
    else if (!put_error_code(out, o->topic) && !put_message(out, o->topic))
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
                                      NULL},
};
