/* SPDX-License-Identifier: Apache-2.0 */
/* otrp completion: scripts for bash and zsh, written from the option tables. */
#include "applet.h"

#include <stdio.h>
#include <string.h>

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

/* How the scripts find what to offer for a value of this option. */
static const char *value_kind(const struct option_row *row)
{
    return row->flags & OPT_DIR        ? "dir"
           : row->flags & OPT_FILE     ? "file"
           : row->flags & OPT_LISTED   ? "listed"
           : row->flags & OPT_PKI_NAME ? "name"
                                       : "none";
}

static void put_word(void *context, const char *word)
{
    buffer_put_format(context, " %s", word);
}

/* What to offer behind each option that takes a value: a branch of the script's case. */
static void put_value_cases(buffer *out, const char *key, const struct option_row *rows)
{
    for (const struct option_row *row = rows; row->field; row++) {
        char name[32];
        option_name(row, name);
        if (row->flags & (OPT_OPERAND | OPT_HIDDEN) || row->kind == OPTION_FLAG)
            continue;
        const char *pattern = row->letter ? "    '%s --%s'|'%s -%c')" : "    '%s --%s')";
        buffer_put_format(out, pattern, key, name, key, row->letter);
        if (row->kind != OPTION_CHOICE && !row->words) {
            buffer_put_format(out, " kind=%s ;;\n", value_kind(row));
            continue;
        }
        buffer_put_text(out, row->flags & OPT_COMMAS ? " kind=words commas=1 offered='"
                                                     : " kind=words offered='");
        for (size_t i = 0; row->choices && row->choices[i]; i++)
            put_word(out, row->choices[i]);
        if (row->words)
            row->words(put_word, out);
        buffer_put_text(out, "' ;;\n");
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
        else if (row->words)
            row->words(put_word, out);
        else
            for (size_t i = 0; row->kind == OPTION_CHOICE && row->choices[i]; i++)
                put_word(out, row->choices[i]);
    }
}

static void put_applet(buffer *words, buffer *values, const char *key, const struct applet *applet)
{
    struct common common;
    struct option_set sets[8];
    size_t count = common_options(applet, &common, sets);
    buffer_put_format(words, "    '%s') offered='", key);
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

/*
 * Both scripts say with the same tables what to offer: at, key and prev tell where the word stands,
 * kind and offered what it can be, commas whether there can be several of these. Of kind "words"
 * there is nothing else, "" may also be a file. line is the command line, of a link "otrp-sign" as
 * if it were "otrp sign".
 */
static void put_tables(buffer *out, const buffer *words, const buffer *values)
{
    buffer_put_text(out, "  if (( at == 1 )); then\n    kind=words offered='");
    for (size_t i = 0; i < applet_count; i++)
        buffer_put_format(out, "%s ", applets[i].name);
    buffer_put_text(out, "--version --help'\n  fi\n");
    for (size_t i = 0; i < applet_count; i++)
        if (applets[i].applet->commands)
            buffer_put_format(out,
                              "  [[ $key == %s ]] && (( at > 2 )) && key=\"$key $second\"\n"
                              "  [[ \"$key $second\" == 'help %s' ]] && (( at == 3 )) && key=%s\n",
                              applets[i].name, applets[i].name, applets[i].name);
    buffer_put_text(out, "  (( at == 1 )) || case \"$key $prev\" in\n");
    buffer_put_span(out, buffer_span(values));
    buffer_put_text(out, "    *) case \"$key\" in\n");
    buffer_put_span(out, buffer_span(words));
    buffer_put_text(out, "    esac ;;\n  esac\n");
}

/* To bash, --trust=pki is three words, and so is type:ver. Behind '=' the last one is completed as
 * the value of the first. Behind ':' cur and prev are taken from the line, and what stands before
 * the last colon is cut from each candidate. */
static const char bash_start[] =
    "_otrp() {\n"
    "  local own=${COMP_WORDS[0]##*/} at=$COMP_CWORD offered= kind= commas= head= text i pki=pki\n"
    "  local -a line=(\"${COMP_WORDS[@]}\") all\n"
    "  if [[ $own == otrp-* ]]; then\n"
    "    line=(\"${line[0]%\"$own\"}otrp\" \"${own#otrp-}\" \"${line[@]:1}\") at=$(( at + 1 ))\n"
    "  fi\n"
    "  local cur=${line[at]} prev=${line[at-1]} key=${line[1]} second=${line[2]}\n"
    "  COMPREPLY=()\n"
    "  text=${COMP_LINE:0:$COMP_POINT}\n"
    "  if [[ ${text##* } == *:* && ${line[at]} != ?*:* ]]; then\n"
    "    cur=${text##* } head=${cur%:*}: text=${text% *} prev=${text##* }\n"
    "  elif [[ $cur == = ]]; then\n"
    "    cur=\n"
    "  elif [[ $prev == = ]]; then\n"
    "    prev=${line[at-2]}\n"
    "  fi\n";
static const char bash_end[] =
    "  case \"$kind\" in\n"
    "    none) return ;;\n"
    "    dir) COMPREPLY=( $(compgen -d -- \"$cur\") ); return ;;\n"
    "    file) COMPREPLY=( $(compgen -f -- \"$cur\") ); return ;;\n"
    "    listed) offered=$(\"${line[0]}\" $key $prev list 2> /dev/null | cut -d ' ' -f 1) ;;\n"
    "    name)\n"
    "      for (( i = 2; i < at; i++ )); do\n"
    "        [[ ${line[i]} == --pki ]] && pki=${line[i+1]}\n"
    "        [[ $pki == = ]] && pki=${line[i+2]}\n"
    "      done\n"
    "      offered=$(\"${line[0]}\" completion --names \"${prev#--}\" --pki \"$pki\" "
    "2> /dev/null) ;;\n"
    "  esac\n"
    "  all=($offered)\n"
    "  [[ -n $commas && $cur == *,* ]] && offered=${all[*]/#/${cur%,*},}\n"
    "  COMPREPLY=( $(compgen -W \"$offered\" -- \"$cur\") )\n"
    "  COMPREPLY=( \"${COMPREPLY[@]#\"$head\"}\" )\n"
    "  [[ -n $kind || -n ${COMPREPLY[*]} || $cur == -* ]] ||\n"
    "    COMPREPLY=( $(compgen -f -- \"$cur\") )\n"
    "}\n"
    "complete -o filenames -F _otrp";

static const char zsh_start[] =
    "\n"
    "_otrp() {\n"
    "  local -a line=(\"${words[@]}\")\n"
    "  local own=${words[1]:t} offered= kind= commas= pki=pki\n"
    "  integer at=$(( CURRENT - 1 ))\n"
    "  if [[ $own == otrp-* ]]; then\n"
    "    line=(\"${line[1]%$own}otrp\" \"${own#otrp-}\" \"${(@)line[2,-1]}\") at=$(( at + 1 ))\n"
    "  fi\n"
    "  local cur=$line[at+1] prev=$line[at] key=$line[2] second=$line[3] command=${~line[1]}\n"
    "  if [[ $cur == --*=* ]]; then\n"
    "    prev=${cur%%=*} cur=${cur#*=}\n"
    "    compset -P '*='\n"
    "  fi\n";
/* Where compinit has found the script, its first run is itself a completion. */
static const char zsh_end[] =
    "  case $kind in\n"
    "    none) _message 'a value'; return ;;\n"
    "    dir) _files -/; return ;;\n"
    "    file) _files; return ;;\n"
    "    listed) offered=$($command ${=key} $prev list 2> /dev/null | cut -d ' ' -f 1) ;;\n"
    "    name)\n"
    "      (( $line[(I)--pki] )) && pki=${~line[$line[(I)--pki]+1]}\n"
    "      (( $line[(I)--pki=*] )) && pki=${~line[$line[(I)--pki=*]]#--pki=}\n"
    "      offered=$($command completion --names ${prev#--} --pki $pki 2> /dev/null) ;;\n"
    "  esac\n"
    "  [[ -n $commas ]] && compset -P '*,'\n"
    "  compadd -- ${=offered} && return\n"
    "  [[ -n $kind || $cur == -* ]] || _files\n"
    "}\n"
    "if [[ ${funcstack[1]} == _otrp ]]; then _otrp; else compdef _otrp";

/* What is completed: otrp and its links. */
static void put_commands(buffer *out)
{
    buffer_put_text(out, " otrp");
    for (size_t i = 0; i < applet_count; i++)
        buffer_put_format(out, " otrp-%s", applets[i].name);
}

static void put_script(buffer *out, bool zsh, const buffer *words, const buffer *values)
{
    if (zsh) {
        buffer_put_text(out, "#compdef");
        put_commands(out);
    }
    buffer_put_text(out, zsh ? zsh_start : bash_start);
    put_tables(out, words, values);
    buffer_put_text(out, zsh ? zsh_end : bash_end);
    put_commands(out);
    buffer_put_text(out, zsh ? "; fi\n" : "\n");
}

/* What the scripts ask for while somebody types. */
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
    put_script(out, strcmp(o->shell, "zsh") == 0, words, values);
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
