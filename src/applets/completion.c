/* SPDX-License-Identifier: Apache-2.0 */
/* otrp completion: scripts for bash and zsh, written from the option tables. */
#include "applet.h"

#include <stdio.h>
#include <string.h>

#include "util/file.h"

struct completion {
    const char *shell;
};

static const char *const shells[] = {"bash", "zsh", NULL};

static const struct option_row options[] = {
    OPERAND_CHOICE(completion, shell, "SHELL", shells, OPT_REQUIRED, "the shell to complete for"),
    OPT_END};

/* What to offer for a value: the words of a case pattern, on one line of the script each. */
static void put_value_cases(buffer *out, const char *key, const struct option_row *rows)
{
    for (const struct option_row *row = rows; row->field; row++) {
        char name[32];
        option_name(row, name);
        if (row->flags & (OPT_OPERAND | OPT_HIDDEN) || row->kind == OPTION_FLAG)
            continue;
        buffer_put_format(out, "    '%s --%s')", key, name);
        if (row->kind == OPTION_CHOICE) {
            buffer_put_text(out, " words='");
            for (size_t i = 0; row->choices[i]; i++)
                buffer_put_format(out, "%s%s", i ? " " : "", row->choices[i]);
            buffer_put_text(out, "' ;;\n");
        } else {
            buffer_put_text(out, row->flags & OPT_DIR    ? " kind=dir ;;\n"
                                 : row->flags & OPT_FILE ? " kind=file ;;\n"
                                                         : " kind=none ;;\n");
        }
    }
}

static void put_option_words(buffer *out, const struct option_row *rows)
{
    for (const struct option_row *row = rows; row->field; row++) {
        char name[32];
        option_name(row, name);
        if (row->flags & OPT_HIDDEN)
            continue;
        if (!(row->flags & OPT_OPERAND))
            buffer_put_format(out, " --%s", name);
        else
            for (size_t i = 0; row->kind == OPTION_CHOICE && row->choices[i]; i++)
                buffer_put_format(out, " %s", row->choices[i]);
    }
}

static void put_applet(buffer *words, buffer *values, const char *key, const struct applet *applet)
{
    struct common common;
    struct option_set sets[8];
    size_t count = common_options(applet, &common, sets);
    buffer_put_format(words, "    '%s') words='", key);
    if (applet->commands)
        for (const struct applet_command *c = applet->commands; c->name; c++)
            buffer_put_format(words, "%s%s", c == applet->commands ? "" : " ", c->name);
    else
        put_option_words(words, applet->options);
    for (size_t i = 0; !applet->commands && i < count; i++)
        put_option_words(words, sets[i].rows);
    buffer_put_text(words, "' ;;\n");
    if (applet->options)
        put_value_cases(values, key, applet->options);
    for (size_t i = 0; !applet->commands && i < count; i++)
        put_value_cases(values, key, sets[i].rows);
    for (const struct applet_command *c = applet->commands; c && c->name; c++) {
        char inner[64];
        snprintf(inner, sizeof inner, "%s %s", key, c->name);
        put_applet(words, values, inner, &c->applet);
    }
}

/* zsh runs bash's completion through bashcompinit: one script, one set of tables. */
static const char prologue_zsh[] = "#compdef otrp\nautoload -U +X bashcompinit && bashcompinit\n";
static const char function_start[] =
    "_otrp() {\n"
    "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} key=${COMP_WORDS[1]} "
    "words= kind=\n"
    "  COMPREPLY=()\n";
static const char function_end[] =
    "  case \"$kind\" in\n"
    "    dir) COMPREPLY=( $(compgen -d -- \"$cur\") ) ;;\n"
    "    none) ;;\n"
    "    file) COMPREPLY=( $(compgen -f -- \"$cur\") ) ;;\n"
    "    *) COMPREPLY=( $(compgen -W \"$words\" -- \"$cur\") )\n"
    "       [[ -z ${COMPREPLY[*]} && $cur != -* ]] && COMPREPLY=( $(compgen -f -- \"$cur\") ) ;;\n"
    "  esac\n"
    "}\n"
    "complete -o filenames -F _otrp otrp\n";

static void put_script(buffer *out, const buffer *words, const buffer *values)
{
    buffer_put_text(out, function_start);
    buffer_put_text(out, "  if (( COMP_CWORD == 1 )); then\n    COMPREPLY=( $(compgen -W '");
    for (size_t i = 0; i < applet_count; i++)
        buffer_put_format(out, "%s ", applets[i].name);
    buffer_put_text(out, "--version --help' -- \"$cur\") )\n    return\n  fi\n");
    for (size_t i = 0; i < applet_count; i++)
        if (applets[i].applet->commands)
            buffer_put_format(
                out, "  [[ $key == %s && $COMP_CWORD -gt 2 ]] && key=\"$key ${COMP_WORDS[2]}\"\n",
                applets[i].name);
    buffer_put_text(out, "  case \"$key $prev\" in\n");
    buffer_put_span(out, buffer_span(values));
    buffer_put_text(out, "    *) case \"$key\" in\n");
    buffer_put_span(out, buffer_span(words));
    buffer_put_text(out, "    esac ;;\n  esac\n");
    buffer_put_text(out, function_end);
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct completion *o = call->options;
    AUTO(buffer) *words = buffer_new(8192);
    AUTO(buffer) *values = buffer_new(8192);
    AUTO(buffer) *out = buffer_new(32768);
    if (!words || !values || !out)
        return error_memory(err), err->rc;
    for (size_t i = 0; i < applet_count; i++)
        put_applet(words, values, applets[i].name, applets[i].applet);
    if (strcmp(o->shell, "zsh") == 0)
        buffer_put_text(out, prologue_zsh);
    put_script(out, words, values);
    return out->failed                           ? (error_memory(err), err->rc)
           : stdout_write(buffer_span(out), err) ? RC_OK
                                                 : err->rc;
}

const struct applet applet_completion = {
    .options = options,
    .size = sizeof(struct completion),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp completion bash > ~/.local/share/bash-completion/completions/otrp",
            "otrp completion zsh > ~/.zsh/completions/_otrp", NULL},
};
