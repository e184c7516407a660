/* SPDX-License-Identifier: Apache-2.0 */
#include "applet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "otrp/profile.h"
#include "util/limits.h"
#include "util/terminal.h"

#define APPLET(group, id, name, summary) extern const struct applet applet_##id;
#include "applets.def"
#undef APPLET

const struct applet_entry applets[] = {
#define APPLET(group, id, name, summary) {group, name, summary, &applet_##id},
#include "applets.def"
#undef APPLET
};
const size_t applet_count = COUNT(applets);

static const char *const when[] = {"auto", "always", "never", NULL};

static const struct option_row options_always[] = {
    OPT_FLAG(common, quiet, 'q', 0, "say nothing but errors"),
    OPT_CHOICE(common, color, 0, "WHEN", when, 0, "colour"),
    OPT_FLAG(common, help, 'h', 0, "show this help"), OPT_END};
static const struct option_row options_json[] = {
    OPT_FLAG(common, json, 0, 0, "report as JSON, errors included"), OPT_END};
static const struct option_row options_now[] = {
    OPT_TEXT(common, now, 0, "TIME", 0,
             "judge and date by this time: 2026-11-21T10:00:00Z or @SECONDS"),
    OPT_END};
static const struct option_row options_force[] = {
    OPT_FLAG(common, force, 'f', 0, "overwrite files that exist"), OPT_END};
static const struct option_row options_keys[] = {
    OPT_TEXT(common, passin, 0, "ARG", 0,
             "passphrase of a private key: pass:TEXT, env:NAME, file:PATH, fd:N or stdin"),
    OPT_LIST(common, provider, 0, "NAME", 0,
             "load an OpenSSL provider for keys that are not files"),
    OPT_END};

static const struct option_row options_limits[] = {
    OPT_NUMBER(common, max_bytes, 0, "N", 1, 1L << 40,
               "refuse larger inputs (default 256 MiB, in base64url 352 MiB)"),
    OPT_NUMBER(common, max_depth, 0, "N", 1, LIMIT_JSON_DEPTH_MOST,
               "refuse JSON that is nested deeper (default 64)"),
    OPT_NUMBER(common, max_values, 0, "N", 1, 1L << 24,
               "refuse JSON of more values (default 262144)"),
    OPT_END};

static const struct option_row options_profile[] = {
    OPT_CHOICE(common, profile, 0, "NAME", profile_names, 0,
               "messages as this implementation has them (default ietf)"),
    OPT_END};
static const struct option_row options_lenient[] = {
    OPT_FLAG(common, lenient, 0, 0, "take older and foreign forms of messages, and name them"),
    OPT_END};

static const struct {
    unsigned use;
    const struct option_row *rows;
} common_tables[COMMON_TABLES] = {
    {USES_PROFILE, options_profile}, {USES_LENIENT, options_lenient},
    {USES_KEYS, options_keys},       {USES_NOW, options_now},
    {USES_LIMITS, options_limits},   {USES_FORCE, options_force},
    {USES_JSON, options_json},       {0, options_always},
};

size_t common_options(const struct applet *applet, struct common *common,
                      struct option_set sets[COMMON_TABLES])
{
    size_t count = 0;
    for (size_t i = 0; i < COUNT(common_tables); i++)
        if ((applet->uses & common_tables[i].use) == common_tables[i].use)
            sets[count++] = (struct option_set){common_tables[i].rows, common};
    return count;
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
    struct option_set sets[COMMON_TABLES];
    size_t count = common_options(applet, &common, sets);
    buffer_put_text(out, "\ncommon options:\n");
    for (size_t i = 0; i < count; i++)
        options_put_help(out, sets[i].rows);
    buffer_put_text(out, "\nexamples:\n");
    for (const char *const *e = applet->examples; e && *e; e++)
        buffer_put_format(out, "  %s\n", *e);
}

const struct applet_entry *applet_find(const char *name)
{
    for (size_t i = 0; i < applet_count; i++)
        if (strcmp(applets[i].name, name) == 0)
            return &applets[i];
    return NULL;
}

/* One write a line, so that those of several threads do not mix. */
static void tell(const struct applet_call *call, const char *format, va_list args)
{
    char *text = NULL, *line = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&line, &size);
    if (out && vasprintf(&text, format, args) >= 0) {
        fprintf(out, "otrp %s: ", call->name);
        terminal_put_line(out, text);
        fputc('\n', out);
        free(text);
    }
    if (out && fclose(out) == 0 && size)
        (void)!write(STDERR_FILENO, line, size);
    free(line);
}

void say(const struct applet_call *call, const char *format, ...)
{
    if (call->common->quiet)
        return;
    va_list args;
    va_start(args, format);
    tell(call, format, args);
    va_end(args);
}

void warn(const struct applet_call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell(call, format, args);
    va_end(args);
}
