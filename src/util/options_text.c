/* SPDX-License-Identifier: Apache-2.0 */
/* What a table of options looks like: in --help and in the man page. */
#include "util/options.h"

#include <string.h>

static bool is_shown(const struct option_row *row)
{
    return !(row->flags & OPT_HIDDEN);
}

void options_put_synopsis(buffer *out, const struct option_row *rows)
{
    bool optional = false;
    char name[32];
    for (const struct option_row *row = rows; row->field; row++) {
        if (row->flags & OPT_OPERAND || !is_shown(row))
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
        if (row->flags & OPT_OPERAND && is_shown(row))
            buffer_put_format(out, row->flags & OPT_REQUIRED ? " %s" : " [%s]", row->value);
}

/* Appends text wrapped at 80 columns; column is where it starts, and where its further lines do. */
static void put_wrapped(buffer *out, const char *text, size_t column)
{
    size_t at = column;
    while (*text) {
        size_t word = strcspn(text, " ");
        if (at > column && at + 1 + word > 80) {
            buffer_put_format(out, "\n%*s", (int)column, "");
            at = column;
        } else if (at > column) {
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

/* "  -o, --out FILE", or "  FILE" for an operand. */
static void put_left(buffer *out, const struct option_row *row)
{
    if (row->flags & OPT_OPERAND) {
        buffer_put_format(out, "  %s", row->value);
        return;
    }
    char name[32];
    option_name(row, name);
    if (row->letter)
        buffer_put_format(out, "  -%c, --%s", row->letter, name);
    else
        buffer_put_format(out, "      --%s", name);
    if (row->value)
        buffer_put_format(out, " %s", row->value);
}

static void put_help_row(buffer *out, const struct option_row *row)
{
    enum { COLUMN = 26 };
    AUTO(buffer) *text = buffer_new(100);
    if (!text) {
        out->failed = true;
        return;
    }
    buffer_put_text(text, row->help);
    for (size_t i = 0; row->choices && row->choices[i]; i++)
        buffer_put_format(text, "%s%s", i ? ", " : ": ", row->choices[i]);
    size_t start = out->size;
    put_left(out, row);
    size_t width = out->size - start;
    if (width + 2 > COLUMN)
        buffer_put_format(out, "\n%*s", COLUMN, "");
    else
        buffer_put_format(out, "%*s", COLUMN - (int)width, "");
    put_wrapped(out, (const char *)text->data, COLUMN);
}

void options_put_help(buffer *out, const struct option_row *rows)
{
    for (const struct option_row *row = rows; row->field; row++)
        if (is_shown(row))
            put_help_row(out, row);
}

/* Text in mdoc, where a backslash begins an escape and a bare '-' is a hyphen. */
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

static void put_mdoc_item(buffer *out, const struct option_row *row)
{
    if (row->flags & OPT_OPERAND) {
        buffer_put_format(out, ".It Ar %s\n", row->value);
        return;
    }
    char name[32];
    option_name(row, name);
    buffer_put_text(out, ".It ");
    if (row->letter)
        buffer_put_format(out, "Fl %c , ", row->letter);
    buffer_put_text(out, "Fl \\-");
    put_mdoc_text(out, name);
    if (row->value)
        buffer_put_format(out, " Ar %s", row->value);
    buffer_put_char(out, '\n');
}

void options_put_mdoc(buffer *out, const struct option_row *rows)
{
    for (const struct option_row *row = rows; row->field; row++) {
        if (!is_shown(row))
            continue;
        put_mdoc_item(out, row);
        put_mdoc_text(out, row->help);
        for (size_t i = 0; row->choices && row->choices[i]; i++) {
            buffer_put_text(out, i ? ", " : ": ");
            put_mdoc_text(out, row->choices[i]);
        }
        buffer_put_text(out, row->flags & OPT_REQUIRED ? " (required).\n" : ".\n");
    }
}
