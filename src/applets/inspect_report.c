/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/inspect_report.h"

#include <stdarg.h>
#include <string.h>

#include "util/json.h"
#include "util/terminal.h"
#include "util/utf8.h"

enum { ROWS_MOST = 2000, NAME_COLUMN = 30, HEX_SHOWN = 16 };

static const char *const tone_names[] = {"plain", "good", "bad", "note", "dim"};

static json_t *words(const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        return NULL;
    AUTO(char) *own = text;
    return json_text_of(own);
}

void item_begin(report *r, const char *kind, const char *name)
{
    json_decref(r->item);
    r->item = json_pack("{s:s, s:s*, s:[], s:[], s:[], s:[]}", "kind", kind, "name", name, "layers",
                        "verdicts", "deviations", "hints");
}

struct layer layer_add(report *r, const char *title, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_t *note = words(format, args);
    va_end(args);
    json_t *rows = json_array();
    json_t *name = json_text_of(title);
    json_array_append_new(json_object_get(r->item, "layers"),
                          json_pack("{s:o, s:o*, s:o}", "layer", name, "note", note, "rows", rows));
    return (struct layer){.report = r, .rows = rows, .left = ROWS_MOST};
}

/* value is taken. */
static json_t *row_add(struct layer *layer, const char *path, json_t *value, enum tone tone)
{
    if (layer->left == 0) {
        json_decref(value);
        return NULL;
    }
    json_t *row = json_object();
    if (--layer->left == 0) {
        json_object_set_new(row, "path", json_string("..."));
        json_object_set_new(row, "value", json_string("more rows are left out"));
        json_decref(value);
    } else {
        json_object_set_new(row, "path", json_text_of(path));
        json_object_set_new(row, "depth", json_integer(layer->depth));
        if (value)
            json_object_set_new(row, "value", value);
        if (tone != TONE_PLAIN)
            json_object_set_new(row, "tone", json_string(tone_names[tone]));
    }
    json_array_append_new(layer->rows, row);
    return layer->left ? row : NULL;
}

/* Whether text may have a private key in it, in whatever words: then no part of it is shown. */
static bool tells_secret(struct span text)
{
    static const char pem[] = "PRIVATE KEY", jwk[] = "kty";
    if (text.size < sizeof jwk)
        return false;
    if (memmem(text.data, text.size, pem, sizeof pem - 1))
        return true;
    const uint8_t *at = text.data, *end = text.data + text.size - sizeof jwk + 1;
    while (at < end &&
           (at = memmem(at, (size_t)(end - at) + sizeof jwk - 1, jwk, sizeof jwk - 1)) &&
           at < end) {
        at += sizeof jwk - 1;
        if (strchr("\"\\'&", *at) || *at >= 0x80) /* a quote of some kind, not BASE64 */
            return true;
    }
    return false;
}

json_t *row_text(struct layer *layer, const char *path, struct span text, enum tone tone)
{
    report *r = layer->report;
    if (!r->secrets && tells_secret(text)) {
        row_secret(layer, path, text);
        return NULL;
    }
    size_t size = utf8_cut((const char *)text.data, text.size, r->value_bytes);
    json_t *row = row_add(layer, path, json_text(SPAN(text.data, size)), tone);
    if (row && size < text.size)
        json_object_set_new(row, "bytes", json_integer((json_int_t)text.size));
    return row;
}

json_t *row_bytes(struct layer *layer, const char *path, struct span bytes, enum tone tone)
{
    size_t most = layer->report->value_bytes == SIZE_MAX ? SIZE_MAX : HEX_SHOWN;
    size_t size = bytes.size < most ? bytes.size : most;
    AUTO(buffer) *hex = buffer_secret(2 * size);
    if (!hex)
        return NULL;
    buffer_put_hex(hex, SPAN(bytes.data, size));
    json_t *row = row_add(layer, path, json_stringn((const char *)hex->data, hex->size), tone);
    if (!row)
        return NULL;
    json_object_set_new(row, "encoding", json_string("hex"));
    if (size < bytes.size)
        json_object_set_new(row, "bytes", json_integer((json_int_t)bytes.size));
    return row;
}

json_t *row_words(struct layer *layer, const char *path, enum tone tone, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_t *value = words(format, args);
    va_end(args);
    return row_add(layer, path, value, tone);
}

void row_secret(struct layer *layer, const char *path, struct span text)
{
    if (layer->report->secrets) {
        row_add(layer, path, json_text(text), TONE_NOTE);
        return;
    }
    json_t *row = row_words(layer, path, TONE_DIM, "(secret, %zu bytes; --show-secrets shows it)",
                            text.size);
    if (row)
        json_object_set_new(row, "secret", json_true());
}

void verdict_add(report *r, const char *check, const char *verdict, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_t *reason = words(format, args);
    va_end(args);
    json_array_append_new(
        json_object_get(r->item, "verdicts"),
        json_pack("{s:s, s:s, s:o*}", "check", check, "verdict", verdict, "reason", reason));
}

void deviation_add(report *r, const char *path, const char *section, const char *format, ...)
{
    json_t *list = json_object_get(r->item, "deviations");
    if (json_array_size(list) >= ROWS_MOST)
        return;
    va_list args;
    va_start(args, format);
    json_t *what = words(format, args);
    va_end(args);
    json_array_append_new(list, json_pack("{s:o, s:s, s:o*}", "path", json_text_of(path), "section",
                                          section, "what", what));
}

void hint_add(report *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    json_t *hint = words(format, args);
    va_end(args);
    json_t *list = json_object_get(r->item, "hints"), *old;
    size_t i;
    json_array_foreach (list, i, old) {
        if (json_equal(old, hint)) {
            json_decref(hint);
            return;
        }
    }
    json_array_append_new(list, hint);
}

/* ---- text ---- */

struct page {
    FILE *out;
    bool colours;
};

static void put_toned(const struct page *page, const char *tone, const char *text)
{
    static const char *const codes[] = {"", "\033[32m", "\033[31m", "\033[33m", "\033[2m"};
    size_t i = 0;
    while (tone && i < COUNT(tone_names) && strcmp(tone_names[i], tone) != 0)
        i++;
    bool coloured = page->colours && tone && i > 0 && i < COUNT(codes);
    if (coloured)
        fputs(codes[i], page->out);
    terminal_put_line(page->out, text);
    if (coloured)
        fputs("\033[0m", page->out);
}

static void put_title(const struct page *page, const char *indent, const char *text)
{
    fputs(indent, page->out);
    if (page->colours)
        fputs("\033[1m", page->out);
    terminal_put_line(page->out, text);
    if (page->colours)
        fputs("\033[0m", page->out);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* The last part of a path: its parents stand above it. */
static const char *own_name(const char *path, bool nested)
{
    const char *dot = nested ? strrchr(path, '.') : NULL;
    const char *bracket = nested ? strrchr(path, '[') : NULL;
    if (bracket && (!dot || bracket > dot))
        return bracket;
    return dot && dot[1] ? dot + 1 : path;
}

static size_t name_width(const json_t *row)
{
    size_t depth = (size_t)json_integer_value(json_object_get(row, "depth"));
    return 2 * depth + strlen(own_name(text_of(row, "path"), depth > 0));
}

static void put_row(const struct page *page, const json_t *row, size_t column)
{
    int indent = 4 + 2 * (int)json_integer_value(json_object_get(row, "depth"));
    const char *name = own_name(text_of(row, "path"), indent > 4), *value = text_of(row, "value");
    fprintf(page->out, "%*s", indent, "");
    terminal_put_line(page->out, name);
    if (json_object_get(row, "value")) {
        size_t used = name_width(row);
        fprintf(page->out, "%*s", used < column ? (int)(column - used) + 2 : 2, "");
        put_toned(page, text_of(row, "tone"), value);
    }
    const json_t *bytes = json_object_get(row, "bytes");
    if (bytes)
        fprintf(page->out, "... (%lld bytes)", (long long)json_integer_value(bytes));
    fputc('\n', page->out);
}

static void put_layer(const struct page *page, const json_t *layer)
{
    put_title(page, "  ", text_of(layer, "layer"));
    if (*text_of(layer, "note")) {
        fputs(": ", page->out);
        terminal_put_line(page->out, text_of(layer, "note"));
    }
    fputc('\n', page->out);
    const json_t *rows = json_object_get(layer, "rows"), *row;
    size_t i, column = 0;
    json_array_foreach ((json_t *)rows, i, row) {
        size_t width = name_width(row);
        if (width > column && width <= NAME_COLUMN)
            column = width;
    }
    json_array_foreach ((json_t *)rows, i, row) {
        put_row(page, row, column);
    }
}

static const char *verdict_tone(const char *verdict)
{
    return strcmp(verdict, "right") == 0 ? "good" : strcmp(verdict, "wrong") == 0 ? "bad" : "note";
}

static void put_verdicts(const struct page *page, const json_t *list)
{
    size_t i;
    const json_t *v;
    if (json_array_size(list) == 0)
        return;
    put_title(page, "  ", "verdicts");
    fputc('\n', page->out);
    json_array_foreach ((json_t *)list, i, v) {
        const char *verdict = text_of(v, "verdict");
        fputs("    ", page->out);
        terminal_put_line(page->out, text_of(v, "check"));
        size_t used = strlen(text_of(v, "check"));
        fprintf(page->out, "%*s", used < 12 ? (int)(12 - used) + 2 : 2, "");
        put_toned(page, verdict_tone(verdict), verdict);
        if (*text_of(v, "reason")) {
            fputs(": ", page->out);
            terminal_put_line(page->out, text_of(v, "reason"));
        }
        fputc('\n', page->out);
    }
}

static void put_deviations(const struct page *page, const json_t *list)
{
    size_t i;
    const json_t *d;
    if (json_array_size(list) == 0)
        return;
    put_title(page, "  ", "deviations");
    fputc('\n', page->out);
    json_array_foreach ((json_t *)list, i, d) {
        fputs("    ", page->out);
        put_toned(page, "bad", text_of(d, "path"));
        fputs(": ", page->out);
        terminal_put_line(page->out, text_of(d, "what"));
        fprintf(page->out, " (%s)\n", text_of(d, "section"));
    }
}

static void put_hints(const struct page *page, const json_t *list)
{
    size_t i;
    const json_t *hint;
    if (json_array_size(list) == 0)
        return;
    put_title(page, "  ", "hints");
    fputc('\n', page->out);
    json_array_foreach ((json_t *)list, i, hint) {
        fputs("    ", page->out);
        terminal_put_line(page->out, json_string_value(hint));
        fputc('\n', page->out);
    }
}

void item_print(const report *r, FILE *out, bool colours)
{
    const struct page page = {.out = out, .colours = colours};
    const json_t *item = r->item, *how;
    size_t i;
    const char *name = text_of(item, "name");
    if (r->items > 1)
        fputc('\n', out);
    put_title(&page, "", *name ? name : text_of(item, "kind"));
    fprintf(out, "  (%s, line %lld, %lld bytes", text_of(item, "kind"),
            (long long)json_integer_value(json_object_get(item, "line")),
            (long long)json_integer_value(json_object_get(item, "bytes")));
    json_array_foreach (json_object_get(item, "found"), i, how) {
        fprintf(out, "; %s", json_string_value(how));
    }
    fputs(")\n", out);
    const json_t *layers = json_object_get(item, "layers"), *layer;
    json_array_foreach ((json_t *)layers, i, layer) {
        put_layer(&page, layer);
    }
    put_verdicts(&page, json_object_get(item, "verdicts"));
    put_deviations(&page, json_object_get(item, "deviations"));
    put_hints(&page, json_object_get(item, "hints"));
}
