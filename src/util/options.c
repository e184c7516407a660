/* SPDX-License-Identifier: Apache-2.0 */
#include "util/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/utf8.h"

void option_name(const struct option_row *row, char name[32])
{
    snprintf(name, 32, "%s", row->field);
    size_t length = strlen(name);
    if (name[length - 1] == '_') /* break_: the word alone is C's */
        name[length - 1] = '\0';
    for (char *c = name; *c; c++)
        if (*c == '_')
            *c = '-';
}

static size_t distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b), row[64];
    if (la >= COUNT(row) || lb >= COUNT(row))
        return SIZE_MAX; /* no name is that long */
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t shift = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = change < shift ? change : shift;
        }
    }
    return row[lb];
}

const char *nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    size_t least = strlen(word) / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, candidates[i]);
        if (strlen(word) > 2 && strncmp(word, candidates[i], strlen(word)) == 0)
            d = 1;
        if (d < least) {
            least = d;
            best = candidates[i];
        }
    }
    return best;
}

/* A row and the place where its value goes. */
struct slot {
    const struct option_row *row;
    void *value;
};

static struct slot slot_of(const struct option_set *set, const struct option_row *row)
{
    return (struct slot){row, (char *)set->storage + row->offset};
}

/* Not isdigit, which asks the locale. */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What no option can mean: an empty path, or text that no message could carry. */
static bool check_value(const struct option_row *row, const char *shown, const char *value,
                        struct error *err)
{
    if (row->kind != OPTION_TEXT && row->kind != OPTION_LIST)
        return true;
    if (row->flags & (OPT_FILE | OPT_DIR))
        return *value || error_set(err, RC_USAGE, "%s: the path is empty", shown);
    const uint8_t *p = (const uint8_t *)value;
    for (size_t left = strlen(value), length; left; p += length, left -= length)
        if (!(length = utf8_length(p, left)))
            return error_set(err, RC_USAGE, "%s: '%s' is not UTF-8", shown, value);
    return true;
}

static bool slot_store(struct slot slot, const char *shown, const char *value, struct error *err)
{
    const struct option_row *row = slot.row;
    if (!check_value(row, shown, value, err))
        return false;
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)slot.value = true;
        return true;
    case OPTION_TEXT:
        if (*(const char **)slot.value)
            return error_set(err, RC_USAGE, "%s is given twice", shown);
        *(const char **)slot.value = value;
        return true;
    case OPTION_LIST: {
        struct text_list *list = slot.value;
        const char **items = realloc(list->items, (list->count + 1) * sizeof *items);
        if (!items)
            return error_memory(err);
        items[list->count++] = value;
        list->items = items;
        return true;
    }
    case OPTION_NUMBER: {
        char *end;
        errno = 0;
        long number = strtol(value, &end, 10);
        if (errno || !is_digit(value[value[0] == '-']) || *end || number < row->min ||
            number > row->max)
            return error_set(err, RC_USAGE, "%s: '%s' is not a whole number from %ld to %ld", shown,
                             value, row->min, row->max);
        if (*(long *)slot.value)
            return error_set(err, RC_USAGE, "%s is given twice", shown);
        *(long *)slot.value = number;
        return true;
    }
    case OPTION_CHOICE: {
        size_t count = 0;
        for (; row->choices[count]; count++) {
            if (strcmp(row->choices[count], value))
                continue;
            if (*(const char **)slot.value)
                return error_set(err, RC_USAGE, "%s is given twice", shown);
            *(const char **)slot.value = row->choices[count];
            return true;
        }
        error_set(err, RC_USAGE, "%s: '%s' is none of the choices", shown, value);
        const char *near = nearest(value, row->choices, count);
        if (near)
            return error_hint(err, "did you mean '%s'?", near);
        buffer *all = buffer_new(200);
        if (all) {
            for (size_t i = 0; i < count; i++)
                buffer_put_format(all, "%s%s", i ? ", " : "choose from ", row->choices[i]);
            error_hint(err, "%s", (const char *)all->data);
        }
        buffer_free(all);
        return false;
    }
    }
    return false;
}

static bool find_long(const struct option_set *sets, size_t count, const char *name, size_t length,
                      struct slot *found)
{
    for (size_t s = 0; s < count; s++)
        for (const struct option_row *row = sets[s].rows; row->field; row++) {
            char own[32];
            option_name(row, own);
            if (row->flags & OPT_OPERAND || strlen(own) != length || strncmp(own, name, length))
                continue;
            *found = slot_of(&sets[s], row);
            return true;
        }
    return false;
}

static bool find_letter(const struct option_set *sets, size_t count, char letter,
                        struct slot *found)
{
    for (size_t s = 0; s < count; s++)
        for (const struct option_row *row = sets[s].rows; row->field; row++)
            if (row->letter == letter && letter) {
                *found = slot_of(&sets[s], row);
                return true;
            }
    return false;
}

static bool unknown_option(const struct option_set *sets, size_t count, const char *argument,
                           size_t length, struct error *err)
{
    enum { MOST = 64 };
    char names[MOST][32];
    const char *candidates[MOST];
    size_t known = 0;
    for (size_t s = 0; s < count; s++)
        for (const struct option_row *row = sets[s].rows; row->field && known < MOST; row++)
            if (!(row->flags & (OPT_OPERAND | OPT_HIDDEN))) {
                option_name(row, names[known]);
                candidates[known] = names[known];
                known++;
            }
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)(length > 2 ? length - 2 : 0), argument + 2);
    const char *near = length > 2 && argument[1] == '-' ? nearest(word, candidates, known) : NULL;
    error_set(err, RC_USAGE, "unknown option %.*s", (int)length, argument);
    return near ? error_hint(err, "did you mean --%s?", near)
                : error_hint(err, "--help lists the options");
}

/* The next operand that has no value yet; a list takes all that follow. */
static bool store_operand(const struct option_set *sets, size_t count, const char *argument,
                          struct error *err)
{
    for (size_t s = 0; s < count; s++)
        for (const struct option_row *row = sets[s].rows; row->field; row++) {
            struct slot slot = slot_of(&sets[s], row);
            if (!(row->flags & OPT_OPERAND) ||
                (row->kind != OPTION_LIST && *(const char **)slot.value))
                continue;
            return slot_store(slot, row->value, argument, err);
        }
    error_set(err, RC_USAGE, "unexpected operand '%s'", argument);
    return error_hint(err, "--help shows what the command takes");
}

static bool check_required(const struct option_set *sets, size_t count, struct error *err)
{
    for (size_t s = 0; s < count; s++)
        for (const struct option_row *row = sets[s].rows; row->field; row++) {
            const void *value = slot_of(&sets[s], row).value;
            if (!(row->flags & OPT_REQUIRED))
                continue;
            if (row->kind == OPTION_LIST ? ((const struct text_list *)value)->count > 0
                                         : *(const char *const *)value != NULL)
                continue;
            char name[32];
            option_name(row, name);
            if (row->flags & OPT_OPERAND)
                error_set(err, RC_USAGE, "%s is missing: %s", row->value, row->help);
            else
                error_set(err, RC_USAGE, "--%s %s is missing: %s", name, row->value, row->help);
            return error_hint(err, "--help shows examples");
        }
    return true;
}

bool options_parse(const struct option_set *sets, size_t count, int argc, char **argv,
                   const bool *help, struct error *err)
{
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        const char *argument = argv[i];
        if (only_operands || argument[0] != '-' || argument[1] == '\0') {
            if (!store_operand(sets, count, argument, err))
                return false;
            continue;
        }
        if (strcmp(argument, "--") == 0) {
            only_operands = true;
            continue;
        }
        struct slot slot;
        const char *value = NULL, *rest = NULL;
        char shown[40];
        if (argument[1] == '-') {
            const char *equals = strchr(argument, '=');
            size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
            if (!find_long(sets, count, argument + 2, length - 2, &slot))
                return unknown_option(sets, count, argument, length, err);
            snprintf(shown, sizeof shown, "%.*s", (int)length, argument);
            value = equals ? equals + 1 : NULL;
            if (value && slot.row->kind == OPTION_FLAG)
                return error_set(err, RC_USAGE, "%s takes no value", shown);
        } else {
            if (!find_letter(sets, count, argument[1], &slot))
                return unknown_option(sets, count, argument, 2, err);
            snprintf(shown, sizeof shown, "%.2s", argument);
            if (argument[2] && slot.row->kind == OPTION_FLAG)
                rest = argument + 2; /* -qf: two flags */
            else if (argument[2])
                value = argument + 2;
        }
        if (slot.row->kind != OPTION_FLAG && !value) {
            if (i + 1 == argc)
                return error_set(err, RC_USAGE, "%s needs a value (%s)", shown, slot.row->value);
            value = argv[++i];
        }
        if (!slot_store(slot, shown, value, err))
            return false;
        for (; rest && *rest; rest++) {
            if (!find_letter(sets, count, *rest, &slot) || slot.row->kind != OPTION_FLAG)
                return error_set(err, RC_USAGE, "unknown option -%c in '%s'", *rest, argument);
            if (!slot_store(slot, argument, NULL, err))
                return false;
        }
    }
    return *help || check_required(sets, count, err);
}

void options_free(const struct option_set *sets, size_t count)
{
    for (size_t s = 0; s < count; s++)
        for (const struct option_row *row = sets[s].rows; row->field; row++)
            if (row->kind == OPTION_LIST)
                free(((struct text_list *)slot_of(&sets[s], row).value)->items);
}

static bool shown(const struct option_row *row)
{
    return !(row->flags & OPT_HIDDEN);
}

void options_put_synopsis(buffer *out, const struct option_row *rows)
{
    bool optional = false;
    char name[32];
    for (const struct option_row *row = rows; row->field; row++) {
        if (row->flags & OPT_OPERAND || !shown(row))
            continue;
        option_name(row, name);
        if (row->flags & OPT_REQUIRED)
            buffer_put_format(out, " --%s %s", name, row->value);
        else
            optional = true;
    }
    if (optional)
        buffer_put_text(out, " [OPTION]...");
    for (const struct option_row *row = rows; row->field; row++)
        if (row->flags & OPT_OPERAND && shown(row))
            buffer_put_format(out, row->flags & OPT_REQUIRED ? " %s" : " [%s]", row->value);
}

/* The choices behind a help line: " (a, b, c)". */
static void put_choices(buffer *out, const struct option_row *row)
{
    if (row->kind != OPTION_CHOICE)
        return;
    for (size_t i = 0; row->choices[i]; i++)
        buffer_put_format(out, "%s%s", i ? ", " : ": ", row->choices[i]);
}

/* Appends text wrapped at 96 columns, continuation lines indented; column is where it starts. */
static void put_wrapped(buffer *out, const char *text, size_t column)
{
    size_t indent = column, at = column;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (at > indent && at + 1 + word > 96) {
            buffer_put_format(out, "\n%*s", (int)indent, "");
            at = indent;
        } else if (at > indent) {
            buffer_put_char(out, ' ');
            at++;
        }
        buffer_put(out, text, word);
        at += word;
        text += word;
        text += strspn(text, " ");
    }
    buffer_put_char(out, '\n');
}

void options_put_help(buffer *out, const struct option_row *rows)
{
    enum { COLUMN = 28 };
    for (const struct option_row *row = rows; row->field; row++) {
        if (!shown(row))
            continue;
        char name[32], left[80];
        option_name(row, name);
        if (row->flags & OPT_OPERAND)
            snprintf(left, sizeof left, "  %s", row->value);
        else
            snprintf(left, sizeof left, "  %c%c%s --%s%s%s", row->letter ? '-' : ' ',
                     row->letter ? row->letter : ' ', row->letter ? "," : " ", name,
                     row->value ? " " : "", row->value ? row->value : "");
        buffer *text = buffer_new(100);
        if (!text) {
            out->failed = true;
            return;
        }
        buffer_put_text(text, row->help);
        put_choices(text, row);
        buffer_put_text(out, left);
        if (strlen(left) + 2 > COLUMN)
            buffer_put_format(out, "\n%*s", COLUMN, "");
        else
            buffer_put_format(out, "%*s", COLUMN - (int)strlen(left), "");
        put_wrapped(out, (const char *)text->data, COLUMN);
        buffer_free(text);
    }
}

/* Text in mdoc: a backslash is escaped, and a line never begins with a control character. */
static void put_mdoc_text(buffer *out, const char *text)
{
    for (; *text; text++)
        if (*text == '\\')
            buffer_put_text(out, "\\e");
        else if (*text == '-')
            buffer_put_text(out, "\\-");
        else
            buffer_put_char(out, *text);
}

void options_put_mdoc(buffer *out, const struct option_row *rows)
{
    for (const struct option_row *row = rows; row->field; row++) {
        if (!shown(row))
            continue;
        char name[32];
        option_name(row, name);
        if (row->flags & OPT_OPERAND) {
            buffer_put_format(out, ".It Ar %s\n", row->value);
        } else {
            buffer_put_text(out, ".It ");
            if (row->letter)
                buffer_put_format(out, "Fl %c , ", row->letter);
            buffer_put_text(out, "Fl \\-");
            put_mdoc_text(out, name);
            if (row->value)
                buffer_put_format(out, " Ar %s", row->value);
            buffer_put_char(out, '\n');
        }
        put_mdoc_text(out, row->help);
        if (row->kind == OPTION_CHOICE)
            for (size_t i = 0; row->choices[i]; i++) {
                buffer_put_text(out, i ? ", " : ": ");
                put_mdoc_text(out, row->choices[i]);
            }
        buffer_put_text(out, row->flags & OPT_REQUIRED ? " (required).\n" : ".\n");
    }
}
