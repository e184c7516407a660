/* SPDX-License-Identifier: Apache-2.0 */
/* otrp: finds the applet that argv names, reads its options and runs it. */
#include "applet.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "util/file.h"
#include "util/json.h"
#include "util/limits.h"
#include "util/provider.h"
#include "util/terminal.h"
#include "util/version.h"

/* With --json, an error is one line of JSON on standard error. */
static void print_error_json(const char *name, const struct error *err)
{
    AUTO(json_t) *report = json_pack(
        "{s:{s:o, s:i, s:s, s:o, s:s*, s:o*}}", "error", "applet", json_text_of(name), "exit",
        (int)err->rc, "class", rc_name(err->rc), "message", json_text_of(err->message), "rule",
        err->rule[0] ? err->rule : NULL, "hint", err->hint[0] ? json_text_of(err->hint) : NULL);
    AUTO(buffer) *line = report ? json_terse(report) : NULL;
    fprintf(stderr, "%s\n", line ? (const char *)line->data : "{\"error\":{}}");
}

/* Who reads standard output has seen enough, as in "otrp help | head -1": that is no error to tell,
 * unless there is something to be done about it. */
static bool reader_is_gone;

static void print_error(const char *name, const struct error *err, const struct common *common)
{
    reader_is_gone = err->cause == CAUSE_UNREAD;
    if (reader_is_gone && !err->hint[0])
        return;
    if (common->json) {
        print_error_json(name, err);
        return;
    }
    bool colours = terminal_colours(stderr, common->color);
    fprintf(stderr, "otrp%s%s: %serror:%s ", *name ? " " : "", name, colours ? "\033[1;31m" : "",
            colours ? "\033[0m" : "");
    terminal_put_line(stderr, err->message);
    if (err->rule[0])
        fprintf(stderr, " (%s)", err->rule);
    fputc('\n', stderr);
    if (err->hint[0]) {
        fputs("hint: ", stderr);
        terminal_put_line(stderr, err->hint);
        fputc('\n', stderr);
    }
}

static enum rc print_help(const char *name, const char *summary, const struct applet *applet,
                          struct error *err)
{
    AUTO(buffer) *text = buffer_new(2000);
    if (text)
        applet_put_help(text, name, summary, applet);
    if (!text || text->failed)
        return error_memory(err), err->rc;
    return stdout_write(buffer_span(text), err) ? RC_OK : err->rc;
}

static bool call_prepare(struct applet_call *call, struct error *err)
{
    const struct common *common = call->common;
    if (!clock_open(&call->clock, common->now, err))
        return false;
    if (common->max_bytes)
        limits.file_bytes = limits.encoded_bytes = (unsigned long)common->max_bytes;
    if (common->max_depth)
        limits.json_depth = (unsigned)common->max_depth;
    if (common->max_values)
        limits.json_values = (unsigned)common->max_values;
    for (size_t i = 0; i < common->provider.count; i++)
        if (!provider_load(common->provider.items[i], err))
            return false;
    if (call->applet->uses & USES_LIMITS) /* what reads large inputs */
        progress_watch(common->quiet);
    return true;
}

/* Known before the options are read: errors in what stands before --json are reported so, too. */
static bool asks_for_json(const struct applet *applet, int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if ((applet->uses & USES_JSON) && strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

static enum rc run_applet(const char *name, const char *summary, const struct applet *applet,
                          int argc, char **argv)
{
    struct common common = {.json = asks_for_json(applet, argc, argv)};
    struct error err = {.rc = RC_INTERNAL};
    struct option_set sets[1 + COMMON_TABLES];
    void *options = calloc(1, applet->size ? applet->size : 1);
    if (!options)
        return RC_INTERNAL;
    sets[0] = (struct option_set){applet->options, options};
    size_t count = 1 + common_options(applet, &common, sets + 1);
    struct applet_call call = {
        .name = name, .applet = applet, .options = options, .common = &common};
    enum rc rc;
    if (!options_parse(sets, count, argc, argv, &common.help, &err))
        rc = err.rc;
    else if (common.help)
        rc = print_help(name, summary, applet, &err);
    else
        rc = call_prepare(&call, &err) ? applet->run(&call, &err) : err.rc;
    if (rc != RC_OK && err.message[0])
        print_error(name, &err, &common);
    options_free(sets, count);
    free(options);
    return rc;
}

/* Prints what is wrong before an applet is found; its code. */
static enum rc fail(const char *name, const struct error *err)
{
    print_error(name, err, &(struct common){.json = false});
    return err->rc;
}

enum { COMMANDS_MOST = 64 };

/* The commands of entry, or of otrp itself when it is NULL. */
static size_t list_commands(const struct applet_entry *entry, const char *names[COMMANDS_MOST])
{
    size_t count = 0;
    for (const struct applet_command *c = entry ? entry->applet->commands : NULL;
         c && c->name && count < COMMANDS_MOST; c++)
        names[count++] = c->name;
    for (size_t i = 0; !entry && i < applet_count && count < COMMANDS_MOST - 2; i++)
        names[count++] = applets[i].name;
    if (!entry) {
        names[count++] = "--version";
        names[count++] = "--help";
    }
    return count;
}

/* The first word that is one of names, or NULL. */
static const char *find_word(int argc, char **argv, const char *const *names, size_t count)
{
    for (int i = 0; i < argc; i++)
        for (size_t n = 0; n < count; n++)
            if (strcmp(names[n], argv[i]) == 0)
                return names[n];
    return NULL;
}

/* word is no command of entry (NULL: of otrp); argv is what stands behind it. */
static enum rc no_command(const struct applet_entry *entry, const char *word, int argc, char **argv)
{
    struct error err;
    const char *names[COMMANDS_MOST], *name = entry ? entry->name : "", *space = entry ? " " : "";
    size_t count = list_commands(entry, names);
    bool option = *word == '-';
    const char *near = nearest(word, names, count);
    const char *behind = option && !near ? find_word(argc, argv, names, count) : NULL;
    error_set(&err, RC_USAGE, "there is no %s '%s'", option ? "option" : "command", word);
    if (behind)
        error_hint(&err, "options stand after the command: 'otrp%s%s %s %s'", space, name, behind,
                   word);
    else if (strncmp(word, "ERR_", 4) == 0)
        error_hint(&err, "'otrp help %s' explains it", word);
    else if (near)
        error_hint(&err, "did you mean '%s'?", near);
    else
        error_hint(&err, "'otrp%s%s --help' lists %s", space, name,
                   option ? "the commands" : "them");
    return fail(name, &err);
}

static enum rc run_command(const struct applet_entry *entry, int argc, char **argv)
{
    struct error err;
    if (argc == 0) {
        error_set(&err, RC_USAGE, "a command is missing");
        error_hint(&err, "'otrp %s --help' lists them", entry->name);
        return fail(entry->name, &err);
    }
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
        return print_help(entry->name, entry->summary, entry->applet, &err) == RC_OK
                   ? RC_OK
                   : fail(entry->name, &err);
    for (const struct applet_command *c = entry->applet->commands; c->name; c++) {
        if (strcmp(c->name, argv[0]) != 0)
            continue;
        char name[64];
        snprintf(name, sizeof name, "%s %s", entry->name, c->name);
        return run_applet(name, c->summary, &c->applet, argc - 1, argv + 1);
    }
    return no_command(entry, argv[0], argc - 1, argv + 1);
}

static enum rc print_version(void)
{
    struct error err;
    return stdout_write(span_text("otrp " OTRP_VERSION "\n"), &err) ? RC_OK : fail("", &err);
}

static enum rc run_named(const char *word, int argc, char **argv)
{
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0 || strcmp(word, "version") == 0)
        return print_version();
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = "help";
    const struct applet_entry *entry = applet_find(word);
    if (!entry)
        return no_command(NULL, word, argc, argv);
    if (entry->applet->commands)
        return run_command(entry, argc, argv);
    return run_applet(entry->name, entry->summary, entry->applet, argc, argv);
}

static enum rc run_words(int argc, char **argv)
{
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;
    const char *own = argc ? (slash ? slash + 1 : argv[0]) : "otrp";
    if (strncmp(own, "otrp-", 5) == 0)
        return run_named(own + 5, argc - 1, argv + 1);
    if (argc < 2)
        return run_named("help", 0, NULL);
    return run_named(argv[1], argc - 2, argv + 2);
}

int main(int argc, char **argv)
{
    umask(umask(0) | 022); /* never writable for others, whatever the caller's mask */
    void (*inherited)(int) = signal(SIGPIPE, SIG_IGN);
    json_wipe();
    enum rc rc = run_words(argc, argv);
    if (reader_is_gone) { /* by now, all is cleaned up */
        signal(SIGPIPE, inherited);
        raise(SIGPIPE);
    }
    return (int)rc;
}
