/* SPDX-License-Identifier: Apache-2.0 */
#include "util/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

enum { NEAR_BYTES = 64 }; /* no name is longer */

/* How many letters have to be put in, left out, changed or swapped with the next. */
static size_t distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b), rows[3][NEAR_BYTES];
    if (la >= NEAR_BYTES || lb >= NEAR_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= la; i++) {
        const size_t *above = rows[(i - 1) % 3], *swapped = rows[(i + 1) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t change = above[j - 1] + (a[i - 1] != b[j - 1]);
            size_t shift = 1 + (above[j] < row[j - 1] ? above[j] : row[j - 1]);
            row[j] = change < shift ? change : shift;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                swapped[j - 2] + 1 < row[j])
                row[j] = swapped[j - 2] + 1;
        }
    }
    return rows[la % 3][lb];
}

/* Of short words, a few changes make any other: less than half of the longer one may differ. */
static bool is_like(const char *a, const char *b, size_t d)
{
    size_t la = strlen(a), lb = strlen(b);
    return d < SIZE_MAX / 2 && 2 * d < (la > lb ? la : lb);
}

const char *nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    size_t least = strlen(word) / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, candidates[i]);
        bool begins = strlen(word) > 2 && strncmp(word, candidates[i], strlen(word)) == 0;
        if (begins)
            d = 1;
        if (d < least && (begins || is_like(word, candidates[i], d))) {
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

static bool given_twice(const char *shown, struct error *err)
{
    return error_set(err, RC_USAGE, "%s is given twice", shown);
}

static bool store_text(const char **to, const char *shown, const char *value, struct error *err)
{
    if (*to)
        return given_twice(shown, err);
    *to = value;
    return true;
}

static bool store_item(struct text_list *list, const char *value, struct error *err)
{
    const char **items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items)
        return error_memory(err);
    items[list->count++] = value;
    list->items = items;
    return true;
}

static bool store_number(struct slot slot, const char *shown, const char *value, struct error *err)
{
    const struct option_row *row = slot.row;
    long *to = slot.value;
    char *end;
    errno = 0;
    long number = strtol(value, &end, 10);
    if (errno || !is_digit(value[value[0] == '-']) || *end || number < row->min ||
        number > row->max)
        return error_set(err, RC_USAGE, "%s: '%s' is not a whole number from %ld to %ld", shown,
                         value, row->min, row->max);
    if (*to)
        return given_twice(shown, err);
    *to = number;
    return true;
}

static bool store_choice(struct slot slot, const char *shown, const char *value, struct error *err)
{
    const char *const *choices = slot.row->choices;
    size_t count = 0;
    for (; choices[count]; count++)
        if (strcmp(choices[count], value) == 0)
            return store_text(slot.value, shown, choices[count], err);
    error_set(err, RC_USAGE, "%s: '%s' is none of the choices", shown, value);
    const char *near = nearest(value, choices, count);
    if (near)
        return error_hint(err, "did you mean '%s'?", near);
    AUTO(buffer) *all = buffer_new(200);
    if (!all)
        return false;
    for (size_t i = 0; i < count; i++)
        buffer_put_format(all, "%s%s", i ? ", " : "choose from ", choices[i]);
    return error_hint(err, "%s", (const char *)all->data);
}

/* shown: the option as it was given, or what the operand is called. value: NULL for a flag. */
static bool slot_store(struct slot slot, const char *shown, const char *value, struct error *err)
{
    if (!check_value(slot.row, shown, value, err))
        return false;
    switch (slot.row->kind) {
    case OPTION_FLAG:
        *(bool *)slot.value = true;
        return true;
    case OPTION_TEXT:
        return store_text(slot.value, shown, value, err);
    case OPTION_LIST:
        return store_item(slot.value, value, err);
    case OPTION_NUMBER:
        return store_number(slot, shown, value, err);
    case OPTION_CHOICE:
        return store_choice(slot, shown, value, err);
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

/* The one option whose value is called so: "--url" for "--upstream URL". FILE says little. */
static const struct option_row *find_by_value(const struct option_set *sets, size_t count,
                                              const char *word)
{
    const struct option_row *found = NULL;
    for (size_t s = 0; s < count; s++)
        for (const struct option_row *row = sets[s].rows; row->field; row++) {
            if (row->flags & (OPT_OPERAND | OPT_HIDDEN | OPT_FILE | OPT_DIR) || !row->value ||
                strcasecmp(row->value, word) != 0)
                continue;
            if (found)
                return NULL;
            found = row;
        }
    return found;
}

/* word: what was given behind the hyphens. */
static bool hint_option(const struct option_set *sets, size_t count, const char *word,
                        struct error *err)
{
    enum { MOST = 64 };
    char names[MOST][32];
    const char *candidates[MOST] = {NULL};
    size_t known = 0;
    for (size_t s = 0; s < count; s++)
        for (const struct option_row *row = sets[s].rows; row->field && known < MOST; row++)
            if (!(row->flags & (OPT_OPERAND | OPT_HIDDEN))) {
                option_name(row, names[known]);
                candidates[known] = names[known];
                known++;
            }
    const char *near = nearest(word, candidates, known);
    const struct option_row *meant = near ? NULL : find_by_value(sets, count, word);
    if (meant)
        option_name(meant, names[0]);
    return near || meant ? error_hint(err, "did you mean --%s?", near ? near : names[0])
                         : error_hint(err, "--help lists the options");
}

static bool unknown_option(const struct option_set *sets, size_t count, const char *argument,
                           size_t length, struct error *err)
{
    char word[NEAR_BYTES] = "";
    if (argument[1] == '-')
        snprintf(word, sizeof word, "%.*s", (int)(length - 2), argument + 2);
    error_set(err, RC_USAGE, "unknown option %.*s", (int)length, argument);
    return hint_option(sets, count, word, err);
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

/* The arguments that are still to be read. */
struct arguments {
    char **next, **end;
};

/* The value of an option: what stands behind it in its own argument (attached, or NULL), else the
 * next argument. */
static bool store_value(struct slot slot, const char *shown, const char *attached,
                        struct arguments *left, struct error *err)
{
    if (attached)
        return slot_store(slot, shown, attached, err);
    if (left->next == left->end)
        return error_set(err, RC_USAGE, "%s needs a value (%s)", shown, slot.row->value);
    return slot_store(slot, shown, *left->next++, err);
}

/* "--name", "--name=value" */
static bool parse_long(const struct option_set *sets, size_t count, const char *argument,
                       struct arguments *left, struct error *err)
{
    struct slot slot;
    char shown[40];
    const char *equals = strchr(argument, '=');
    size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
    if (!find_long(sets, count, argument + 2, length - 2, &slot))
        return unknown_option(sets, count, argument, length, err);
    snprintf(shown, sizeof shown, "%.*s", (int)length, argument);
    if (slot.row->kind != OPTION_FLAG)
        return store_value(slot, shown, equals ? equals + 1 : NULL, left, err);
    if (equals)
        return error_set(err, RC_USAGE, "%s takes no value", shown);
    return slot_store(slot, shown, NULL, err);
}

/* "-o", "-ovalue", "-qf" of two flags */
static bool parse_letters(const struct option_set *sets, size_t count, const char *argument,
                          struct arguments *left, struct error *err)
{
    struct slot slot;
    if (!find_letter(sets, count, argument[1], &slot))
        return unknown_option(sets, count, argument, 2, err);
    if (slot.row->kind != OPTION_FLAG) {
        const char shown[] = {'-', argument[1], '\0'};
        return store_value(slot, shown, argument[2] ? argument + 2 : NULL, left, err);
    }
    for (const char *c = argument + 1; *c; c++) {
        if (!find_letter(sets, count, *c, &slot) || slot.row->kind != OPTION_FLAG)
            return error_set(err, RC_USAGE, "unknown option -%c in '%s'", *c, argument);
        if (!slot_store(slot, argument, NULL, err))
            return false;
    }
    return true;
}

bool options_parse(const struct option_set *sets, size_t count, int argc, char **argv,
                   const bool *help, struct error *err)
{
    bool only_operands = false, parsed = true;
    struct arguments left = {argv, argv + argc};
    while (parsed && left.next < left.end) {
        const char *argument = *left.next++;
        if (only_operands || argument[0] != '-' || argument[1] == '\0')
            parsed = store_operand(sets, count, argument, err);
        else if (strcmp(argument, "--") == 0)
            only_operands = true;
        else if (argument[1] == '-')
            parsed = parse_long(sets, count, argument, &left, err);
        else
            parsed = parse_letters(sets, count, argument, &left, err);
    }
    return parsed && (*help || check_required(sets, count, err));
}

void options_free(const struct option_set *sets, size_t count)
{
    for (size_t s = 0; s < count; s++)
        for (const struct option_row *row = sets[s].rows; row->field; row++)
            if (row->kind == OPTION_LIST)
                free(((struct text_list *)slot_of(&sets[s], row).value)->items);
}
