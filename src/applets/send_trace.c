/* SPDX-License-Identifier: Apache-2.0 */
/* send --trace: heads and messages, decoded as far as that goes without a key. */
#include "applets/send.h"

#include <stdio.h>
#include <string.h>

#include "net/http_head.h"
#include "net/summary.h"
#include "util/base64.h"
#include "util/terminal.h"

enum { SHOWN_TEXT = 72, SHOWN_BYTES = LIMIT_SMALL_JSON };

/* A line of a head whose value is not shown. */
static bool is_credential(const char *line)
{
    return http_name_is_secret(SPAN(line, strcspn(line, ":")));
}

static void put_head(FILE *out, const char *arrow, struct span head)
{
    while (head.size) {
        const uint8_t *end = memchr(head.data, '\n', head.size);
        size_t size = end ? (size_t)(end - head.data) : head.size, used = size + (end ? 1 : 0);
        if (size && head.data[size - 1] == '\r')
            size--;
        AUTO(char) *line = strndup((const char *)head.data, size);
        if (line && is_credential(line))
            strcpy(strchr(line, ':'), ":"); /* shorter than what it replaces */
        if (line && size) {
            fprintf(out, "%s ", arrow);
            terminal_put_line(out, line);
            fputs(is_credential(line) ? " (not shown)\n" : "\n", out);
        }
        head = SPAN(head.data + used, head.size - used);
    }
}

static json_t *shown(const json_t *value, unsigned depth);

/* A header or payload in base64url, as JSON where it is. */
static json_t *decoded(const char *text, unsigned depth)
{
    struct error ignored;
    AUTO(buffer) *bytes = base64url_decode(span_text(text), "part", &ignored);
    AUTO(json_t) *inside = bytes && bytes->size && (*bytes->data == '{' || *bytes->data == '[')
                               ? json_load_span(buffer_span(bytes), "part", &ignored)
                               : NULL;
    return inside ? shown(inside, depth) : NULL;
}

static json_t *shortened(const char *text)
{
    size_t length = strlen(text), kept = 24;
    if (length <= SHOWN_TEXT)
        return json_string(text);
    while (kept && ((unsigned char)text[kept] & 0xc0) == 0x80)
        kept--;
    char cut[128];
    snprintf(cut, sizeof cut, "%.*s\xe2\x80\xa6 (%zu characters)", (int)kept, text, length);
    return json_string(cut);
}

static json_t *trace_text(const char *name, const json_t *value, unsigned depth)
{
    const char *text = json_string_value(value);
    bool layer = name && (strcmp(name, "payload") == 0 || strcmp(name, "protected") == 0);
    json_t *inside = layer ? decoded(text, depth + 1) : NULL;
    return inside ? inside : shortened(text);
}

/* A copy of value with its layers decoded and its long texts cut; owned by the caller. */
static json_t *shown(const json_t *value, unsigned depth)
{
    const char *name;
    json_t *each;
    size_t i;
    if (depth > LIMIT_JSON_DEPTH)
        return json_string("\xe2\x80\xa6");
    if (json_is_string(value))
        return trace_text(NULL, value, depth);
    if (!json_is_object(value) && !json_is_array(value))
        return json_copy((json_t *)(uintptr_t)value);
    json_t *copy = json_is_object(value) ? json_object() : json_array();
    json_object_foreach ((json_t *)(uintptr_t)value, name, each) {
        json_object_set_new(copy, name,
                            json_is_string(each) ? trace_text(name, each, depth)
                                                 : shown(each, depth + 1));
    }
    json_array_foreach (value, i, each) {
        json_array_append_new(copy, shown(each, depth + 1));
    }
    return copy;
}

static void put_body(FILE *out, const char *arrow, struct span body)
{
    struct error ignored;
    struct summary s;
    summary_read(&s, body, NULL);
    AUTO(buffer) *line = buffer_new(128);
    if (!line)
        return;
    summary_put_line(line, &s);
    fprintf(out, "%s %zu bytes: ", arrow, body.size);
    terminal_put_line(out, (const char *)line->data);
    fputc('\n', out);
    AUTO(json_t) *message = body.size <= SHOWN_BYTES && body.size
                                ? json_load_span(body, "body", &ignored)
                                : NULL;
    AUTO(json_t) *copy = message ? shown(message, 0) : NULL;
    AUTO(buffer) *text = copy ? json_pretty(copy) : NULL;
    if (text)
        terminal_put(out, (const char *)text->data);
}

void trace_message(const char *arrow, struct span head, struct span body)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return;
    put_head(out, arrow, head);
    put_body(out, arrow, body);
    if (fclose(out) == 0)
        fwrite(text, 1, size, stderr); /* at once: sessions may run side by side */
    free(text);
}
