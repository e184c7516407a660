/* SPDX-License-Identifier: Apache-2.0 */
/* otrp completion: scripts for bash and zsh, written from the option tables. */
#include "applet.h"

#include <stdio.h>
#include <string.h>

#include "applets/help_topics.h"
#include "pki/layout.h"
#include "util/file.h"

struct completion {
    const char *shell, *names, *pki;
};

static const char *const shells[] = {"bash", "zsh", NULL};

static const struct option_row options[] = {
    OPERAND_CHOICE(completion, shell, "SHELL", shells, 0, "the shell to complete for"),
    OPT_TEXT(completion, names, 0, "ROLE", OPT_HIDDEN, "print the names of that role, one a line"),
    OPT_TEXT(completion, pki, 0, "DIR", OPT_HIDDEN, "PKI directory of the names (default pki)"),
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
            buffer_put_text(out, row->flags & OPT_DIR        ? " kind=dir ;;\n"
                                 : row->flags & OPT_FILE     ? " kind=file ;;\n"
                                 : row->flags & OPT_LISTED   ? " kind=listed ;;\n"
                                 : row->flags & OPT_PKI_NAME ? " kind=name ;;\n"
                                                             : " kind=none ;;\n");
        }
    }
}

static void put_topic(void *context, const char *name)
{
    buffer_put_format(context, " %s", name);
}

static void put_option_words(buffer *out, const struct option_row *rows)
{
    for (const struct option_row *row = rows; row->field; row++) {
        char name[32];
        option_name(row, name);
        if (row->flags & OPT_HIDDEN)
            continue;
        if (row->flags & OPT_TOPIC)
            each_help_topic(put_topic, out);
        else if (!(row->flags & OPT_OPERAND))
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
/* A name such as type:ver is three words to bash (one to zsh), whose last one alone is to be
 * replaced: cur and prev are taken from the line, and what stands before the last colon is cut from
 * each candidate.
 */
static const char function_start[] =
    "_otrp() {\n"
    "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} key=${COMP_WORDS[1]} "
    "words= kind= head= text i\n"
    "  COMPREPLY=()\n"
    "  text=${COMP_LINE:0:$COMP_POINT}\n"
    "  if [[ ${text##* } == *:* && ${COMP_WORDS[COMP_CWORD]} != ?*:* ]]; then\n"
    "    cur=${text##* } head=${cur%:*}: text=${text% *} prev=${text##* }\n"
    "  fi\n";
static const char function_end[] =
    "  case \"$kind\" in\n"
    "    dir) COMPREPLY=( $(compgen -d -- \"$cur\") ) ;;\n"
    "    none) ;;\n"
    "    listed) words=$(\"${COMP_WORDS[0]}\" $key $prev list 2> /dev/null | cut -d ' ' -f 1)\n"
    "       COMPREPLY=( $(compgen -W \"$words\" -- \"$cur\") )\n"
    "       COMPREPLY=( \"${COMPREPLY[@]#\"$head\"}\") ;;\n"
    "    name) local pki=pki\n"
    "       for (( i = 2; i < COMP_CWORD; i++ )); do\n"
    "         [[ ${COMP_WORDS[i]} == --pki ]] && pki=${COMP_WORDS[i+1]}\n"
    "       done\n"
    "       words=$(\"${COMP_WORDS[0]}\" completion --names \"${prev#--}\" --pki \"$pki\" 2> "
    "/dev/null)\n"
    "       COMPREPLY=( $(compgen -W \"$words\" -- \"$cur\") ) ;;\n"
    "    file) COMPREPLY=( $(compgen -f -- \"$cur\") ) ;;\n"
    "    *) COMPREPLY=( $(compgen -W \"$words\" -- \"$cur\") )\n"
    "       [[ -z ${COMPREPLY[*]} && $cur != -* ]] && COMPREPLY=( $(compgen -f -- \"$cur\") ) ;;\n"
    "  esac\n"
    "}\n"
    "complete -o filenames -F _otrp otrp\n";
/* Where compinit has found the script, its first run is itself a completion. */
static const char epilogue_zsh[] =
    "[[ ${funcstack[1]} != _otrp ]] || _bash_complete -o filenames -F _otrp\n";

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

/* What the script asks for while somebody types. */
static enum rc put_names(const struct completion *o, struct error *err)
{
    AUTO(buffer) *out = buffer_new(1000);
    if (!out)
        return error_memory(err), err->rc;
    for (int role = 0; role < ROLE_COUNT; role++) {
        if (strcmp(role_name((enum pki_role)role), o->names) != 0)
            continue;
        AUTO(layout_list) *names = layout_names(o->pki ? o->pki : "pki", (enum pki_role)role, err);
        if (!names)
            return err->rc;
        for (size_t i = 0; i < names->count; i++)
            buffer_put_format(out, "%s\n", names->names[i]);
    }
    return stdout_write(buffer_span(out), err) ? RC_OK : err->rc;
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct completion *o = call->options;
    if (o->names)
        return put_names(o, err);
    if (!o->shell) {
        error_set(err, RC_USAGE, "SHELL is missing: bash or zsh");
        return error_hint(err, "--help shows examples"), err->rc;
    }
    AUTO(buffer) *words = buffer_new(8192);
    AUTO(buffer) *values = buffer_new(8192);
    AUTO(buffer) *out = buffer_new(32768);
    if (!words || !values || !out)
        return error_memory(err), err->rc;
    for (size_t i = 0; i < applet_count; i++)
        put_applet(words, values, applets[i].name, applets[i].applet);
    bool zsh = strcmp(o->shell, "zsh") == 0;
    if (zsh)
        buffer_put_text(out, prologue_zsh);
    put_script(out, words, values);
    if (zsh)
        buffer_put_text(out, epilogue_zsh);
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
