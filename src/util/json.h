/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h: jansson for small documents (headers, keys, contents, policies, DSIs, reports):
 * duplicates refused, size and depth bounded, canonical output, typed access with a path in the
 * error.
 */
#ifndef OTRP_UTIL_JSON_H
#define OTRP_UTIL_JSON_H

#include <jansson.h>

#include "util/buffer.h"

/* Has jansson wipe what it frees: keys pass through it as text. To be called once, before anything
 * else of it. */
void json_wipe(void);

/* Whether text is small enough for jansson (LIMIT_SMALL_JSON); RC_MALFORMED. */
bool json_is_small(struct span text, const char *name, struct error *err) MUST_CHECK;

/* Parses an object or array; name is what messages call it. Owned by the caller. */
json_t *json_load_span(struct span text, const char *name, struct error *err) MUST_CHECK;

/* A string of bytes that may be no UTF-8, such as a path or a message that quotes one: \xNN stands
 * for those that are none. NULL without memory. */
json_t *json_text(struct span text);
/* The same of a C string; NULL for NULL. */
static inline json_t *json_text_of(const char *text)
{
    return text ? json_text(span_text(text)) : NULL;
}

/* UTF-8 with sorted members and no white space (RFC 8785), for values without fractions. Owned by
 * the caller, secret; NULL without memory or with a real number inside. */
buffer *json_canonical(const json_t *value);

/* One line, members in their order; owned by the caller, secret; NULL without memory. */
buffer *json_compact(const json_t *value);

/* The same with every character beyond ASCII escaped. */
buffer *json_ascii(const json_t *value);

/* For people: indented, with a newline at the end, or in one line without. Unruly characters
 * (utf8.h) are escaped. */
buffer *json_pretty(const json_t *value);
buffer *json_terse(const json_t *value);

/* The member as a string: false (RC_MALFORMED, naming path.member) when it is absent or no string.
 * *text is borrowed from object. */
bool json_get_text(const json_t *object, const char *path, const char *member, const char **text,
                   struct error *err) MUST_CHECK;

/* A new string of the bytes in BASE64 or base64url; NULL without memory. */
json_t *json_base64(struct span data);
json_t *json_base64url(struct span data);

/* A new string of a span; NULL when it is not UTF-8 or without memory. */
json_t *json_span(struct span text);

static inline void json_release(json_t *value)
{
    json_decref(value);
}
AUTO_DEFINE(json_t, json_release)

#endif
