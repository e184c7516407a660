/* SPDX-License-Identifier: Apache-2.0 */
#include "net/transcript_read.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/base64.h"
#include "util/json_slice.h"

/* A record with the memory that it points to. */
typedef struct owned_record {
    struct transcript_record record;
    json_doc *doc;
    buffer *body;   /* decoded from BASE64, or NULL */
    char *texts[7]; /* those of the record */
} owned_record;

static void owned_record_free(owned_record *r)
{
    for (size_t i = 0; i < COUNT(r->texts); i++)
        free(r->texts[i]);
    buffer_free(r->body);
    json_doc_free(r->doc);
}
AUTO_DEFINE(owned_record, owned_record_free)

/* Milliseconds since 1970 of "2026-11-21T10:00:00.123Z", NAN for anything else. */
static double parse_time(const char *text)
{
    struct tm tm = {0};
    char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    if (!end)
        return NAN;
    double fraction = 0, unit = 100;
    if (*end == '.')
        for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
            fraction += (*end - '0') * unit;
    return strcmp(end, "Z") == 0 ? (double)timegm(&tm) * 1000 + fraction : NAN;
}

static double number(const struct json_value *object, const char *name)
{
    const struct json_value *value = json_member(object, name);
    char text[40];
    if (!value || value->kind != JSON_KIND_NUMBER || value->text.size >= sizeof text)
        return 0;
    memcpy(text, value->text.data, value->text.size);
    text[value->text.size] = '\0';
    double n = strtod(text, NULL);
    return n >= 0 && n < 1e15 ? n : 0;
}

static bool read_texts(owned_record *r, const struct json_value *root)
{
    struct transcript_record *record = &r->record;
    const struct {
        const char *name, **to;
    } texts[] = {
        {"time", &record->time},   {"from", &record->from}, {"to", &record->to},
        {"via", &record->via},     {"peer", &record->peer}, {"url", &record->url},
        {"error", &record->error},
    };
    _Static_assert(COUNT(texts) == COUNT(r->texts), "a place for each");
    for (size_t i = 0; i < COUNT(texts); i++) {
        const struct json_value *value = json_member(root, texts[i].name);
        if (!value || value->kind != JSON_KIND_STRING)
            continue;
        struct span s = value->string;
        const uint8_t *nul = s.size ? memchr(s.data, '\0', s.size) : NULL;
        if (nul)
            s.size = (size_t)(nul - s.data);
        *texts[i].to = r->texts[i] = span_dup(s);
        if (!r->texts[i])
            return false;
    }
    return true;
}

static bool read_body(owned_record *r, const struct json_value *root, struct error *err)
{
    const struct json_value *text = json_member(root, "body");
    const struct json_value *base64 = json_member(root, "body_base64");
    if (text && text->kind == JSON_KIND_STRING)
        r->record.body = text->string;
    else if (base64 && base64->kind == JSON_KIND_STRING) {
        r->body = base64_decode(base64->string, "body_base64", err);
        r->record.body = buffer_span(r->body);
        return r->body != NULL;
    }
    return true;
}

static bool read_line(owned_record *r, struct span line, struct error *err)
{
    r->doc = json_doc_parse(line, "entry", err);
    const struct json_value *root = r->doc ? json_root(r->doc) : NULL;
    if (!root)
        return false;
    const struct json_value *direction = json_member(root, "direction");
    bool request = direction && span_is(direction->string, "request");
    if (!request && !(direction && span_is(direction->string, "response")))
        return error_set(err, RC_MALFORMED,
                         "not an entry of a transcript: its direction is neither \"request\" nor "
                         "\"response\"");
    if (!read_texts(r, root))
        return error_memory(err);
    struct transcript_record *record = &r->record;
    record->direction = request ? TRANSCRIPT_REQUEST : TRANSCRIPT_RESPONSE;
    record->at_ms = parse_time(record->time);
    record->exchange = (long long)number(root, "exchange");
    record->status = (long long)number(root, "status");
    record->elapsed_ms = number(root, "elapsed_ms");
    if (!read_body(r, root, err))
        return false;
    record->bytes = json_member(root, "bytes") ? (long long)number(root, "bytes")
                                               : (long long)record->body.size;
    const struct json_value *truncated = json_member(root, "truncated");
    record->truncated = truncated && truncated->kind == JSON_KIND_TRUE;
    return true;
}

static bool is_blank(struct span line)
{
    for (size_t i = 0; i < line.size; i++)
        if (!strchr(" \t\r", line.data[i]))
            return false;
    return true;
}

bool transcript_read(struct span text, const char *name,
                     bool (*take)(void *context, const struct transcript_record *record,
                                  struct error *err),
                     void *context, bool *cut, struct error *err)
{
    if (cut)
        *cut = false;
    for (size_t number = 1; text.size; number++) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        struct span line = SPAN(text.data, end ? (size_t)(end - text.data) : text.size);
        text = end ? SPAN(end + 1, text.size - line.size - 1) : SPAN(NULL, 0);
        if (is_blank(line))
            continue;
        owned_record read = {.record = {.line = number}};
        AUTO(owned_record) *r = &read;
        bool sound = read_line(r, line, err);
        if (!sound && !end && cut && err->rc == RC_MALFORMED) {
            *cut = true;
            return true;
        }
        if (!sound)
            return error_prefix(err, "%s:%zu", name, number);
        if (!take(context, &r->record, err))
            return false;
    }
    return true;
}
