/* SPDX-License-Identifier: Apache-2.0 */
/* A picture as text of 80 columns, and for Mermaid. */
#include "net/picture.h"

#include <math.h>
#include <string.h>

enum {
    TIME_COLUMNS = 12,  /* before the device's line */
    INNER_COLUMNS = 64, /* between the two lines */
    MERMAID_COLUMNS = 120
};

static void put_repeated(buffer *out, char c, size_t count)
{
    while (count--)
        buffer_put_char(out, c);
}

static void put_time(buffer *out, double at_ms)
{
    if (isnan(at_ms))
        put_repeated(out, ' ', TIME_COLUMNS);
    else
        buffer_put_format(out, "%*s%+9.3f s", TIME_COLUMNS - 11, "", at_ms / 1000);
}

/* What stands behind the arrow's title: its facts, in one text. */
static buffer *facts_of(const struct picture_row *row, const char *separator)
{
    buffer *text = buffer_new(128);
    for (size_t i = 0; text && i < PICTURE_FACTS && row->facts[i]; i++)
        buffer_put_format(text, "%s%s", i ? separator : "", row->facts[i]);
    return text;
}

/* "--- title ------->", "<-- title --------", with "x" for the head of what failed. */
static void put_arrow(buffer *out, const struct picture_row *row)
{
    bool right = row->to_tam;
    char dash = row->lost ? '.' : '-', head = row->failed ? 'x' : right ? '>' : '<';
    size_t at = 0;
    if (right)
        put_repeated(out, dash, 3);
    else
        buffer_put_format(out, "%c%c%c", head, dash, dash);
    buffer_put_char(out, ' ');
    at = 4 + picture_put_clean(out, row->title, INNER_COLUMNS - 10);
    if (row->from_proxy)
        at += picture_put_clean(out, ", said by the proxy", INNER_COLUMNS - 6 - at);
    buffer_put_char(out, ' ');
    put_repeated(out, dash, INNER_COLUMNS - at - 2);
    buffer_put_char(out, right ? head : dash);
}

static void put_line(buffer *out, const char *text)
{
    put_repeated(out, ' ', TIME_COLUMNS + 1);
    buffer_put_text(out, "|    ");
    size_t taken = picture_put_clean(out, text, INNER_COLUMNS - 5);
    put_repeated(out, ' ', INNER_COLUMNS - 4 - taken);
    buffer_put_text(out, "|\n");
}

buffer *picture_text(const picture *p)
{
    AUTO(buffer) *out = buffer_new(4096);
    if (!out)
        return NULL;
    put_repeated(out, ' ', TIME_COLUMNS - 2);
    size_t gap = p->has_proxy ? (INNER_COLUMNS - 12) / 2 : INNER_COLUMNS - 5;
    buffer_put_text(out, "device");
    put_repeated(out, ' ', gap);
    if (p->has_proxy) {
        buffer_put_text(out, "(proxy)");
        put_repeated(out, ' ', gap);
    }
    buffer_put_text(out, "TAM\n");
    for (size_t i = 0; i < p->count; i++) {
        const struct picture_row *row = &p->rows[i];
        AUTO(buffer) *facts = facts_of(row, ", ");
        if (!facts)
            return NULL;
        put_time(out, row->at_ms);
        buffer_put_text(out, " |");
        put_arrow(out, row);
        buffer_put_text(out, "|\n");
        if (row->peer)
            put_line(out, row->peer);
        if (facts->size)
            put_line(out, (const char *)facts->data);
        if (row->note)
            put_line(out, row->note);
    }
    put_repeated(out, ' ', TIME_COLUMNS + 1);
    picture_put_total(out, p);
    buffer_put_text(out, p->cut ? "; the transcript is cut off\n" : "\n");
    return out->failed ? NULL : TAKE(out);
}

/* Mermaid takes any character as an entity of its own, and its own marks in no other way. */
static void put_mermaid(buffer *out, const char *text)
{
    AUTO(buffer) *clean = buffer_new(256);
    if (!clean) {
        out->failed = true;
        return;
    }
    picture_put_clean(clean, text, MERMAID_COLUMNS);
    for (size_t i = 0; i < clean->size; i++) {
        uint8_t c = clean->data[i];
        bool letter = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
        if (letter || c >= 0x80 || strchr(" _.,()/-+", c))
            buffer_put_char(out, (char)c);
        else
            buffer_put_format(out, "#%u;", c);
    }
}

buffer *picture_mermaid(const picture *p)
{
    AUTO(buffer) *out = buffer_new(4096);
    if (!out)
        return NULL;
    buffer_put_text(out, "sequenceDiagram\n    participant D as Device\n");
    if (p->has_proxy)
        buffer_put_text(out, "    participant P as Proxy\n");
    buffer_put_text(out, "    participant T as TAM\n");
    for (size_t i = 0; i < p->count; i++) {
        const struct picture_row *row = &p->rows[i];
        AUTO(buffer) *facts = facts_of(row, ", ");
        if (!facts)
            return NULL;
        const char *answer = row->to_tam ? "-" : "--", *head = row->failed ? "x" : ">>";
        const char *far = row->from_proxy ? "P" : "T";
        buffer_put_format(out, "    %s%s%s%s: ", row->to_tam ? "D" : far, answer, head,
                          row->to_tam ? far : "D");
        put_mermaid(out, row->title);
        const char *const more[] = {row->peer, facts->size ? (const char *)facts->data : NULL,
                                    row->note};
        for (size_t k = 0; k < COUNT(more); k++)
            if (more[k]) {
                buffer_put_text(out, "<br/>");
                put_mermaid(out, more[k]);
            }
        buffer_put_char(out, '\n');
    }
    return out->failed ? NULL : TAKE(out);
}
