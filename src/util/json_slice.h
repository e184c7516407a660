/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_slice.h: the JSON of whole messages, read in one pass and never copied (RFC 8259).
 *
 *     AUTO(json_doc) *doc = json_doc_parse(text, "request", err);
 *     const struct json_value *jws = json_member(json_root(doc), "CreateSDRequest");
 *     const struct json_value *payload = json_member(jws, "payload");
 *     if (payload && payload->kind == JSON_KIND_STRING)
 *         use(payload->string);
 *
 * Checked on the way: UTF-8, duplicate members (after escapes are resolved), depth and number of
 * values. Strings are slices of the input, which must outlive the document; a string with escapes
 * is resolved once, into memory of the document. Small parts go on to jansson with json_load_value.
 */
#ifndef OTRP_UTIL_JSON_SLICE_H
#define OTRP_UTIL_JSON_SLICE_H

#include "util/buffer.h"
#include "util/json.h"

enum json_kind {
    JSON_KIND_OBJECT,
    JSON_KIND_ARRAY,
    JSON_KIND_STRING,
    JSON_KIND_NUMBER,
    JSON_KIND_TRUE,
    JSON_KIND_FALSE,
    JSON_KIND_NULL
};

typedef struct json_doc json_doc;

struct json_value {
    enum json_kind kind;
    uint32_t count;     /* members of an object, elements of an array */
    struct span name;   /* as a member: its name, escapes resolved */
    struct span text;   /* the whole value in the input, quotes and brackets included */
    struct span string; /* of a string: its content, escapes resolved */
    const struct json_value *first, *next; /* child; sibling */
};

/* Parses the one JSON value that text must be. name is what messages call it. */
json_doc *json_doc_parse(struct span text, const char *name, struct error *err) MUST_CHECK;

/* The same, but a member that stands twice is no fault: both are there, and twice (whose rc was set
 * to RC_OK) says which. For telling what is wrong with a text, never for believing it. */
json_doc *json_doc_read(struct span text, const char *name, struct error *twice,
                        struct error *err) MUST_CHECK;
void json_doc_free(json_doc *doc);
const struct json_value *json_root(const json_doc *doc);

/* The member of that name, or NULL when there is none or object is NULL or no object. */
const struct json_value *json_member(const struct json_value *object, const char *name);

/* What a kind is called in messages: "an object". */
const char *json_kind_name(enum json_kind kind);

/* The value, which must be small (LIMIT_SMALL_JSON), as jansson's; owned by the caller. */
json_t *json_load_value(const struct json_value *value, const char *name,
                        struct error *err) MUST_CHECK;

/* An object or array as jansson's, owned by the caller: several times as fast as jansson reads it.
 * NULL for what jansson must judge (a NUL character, a number that is no integer of 18 digits, a
 * scalar), and without memory. */
json_t *json_plain_value(const struct json_value *value) MUST_CHECK;

AUTO_DEFINE(json_doc, json_doc_free)

#endif
