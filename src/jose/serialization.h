/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serialization.h: what a JWS (RFC 7515) and a JWE (RFC 7516) have in common: the three forms of
 * section 7 of both, and headers.
 *
 *     AUTO(json_doc) *doc = NULL;
 *     struct span segments[3];
 *     if (!serialization_read(text, "message", &doc, segments, 3, err))
 *         return NULL;
 */
#ifndef OTRP_JOSE_SERIALIZATION_H
#define OTRP_JOSE_SERIALIZATION_H

#include <jansson.h>

#include "util/json.h"
#include "util/json_slice.h"

enum serialization { SERIALIZATION_FLATTENED, SERIALIZATION_COMPACT, SERIALIZATION_GENERAL };

/* The names as options take them, in the order of the enum, NULL-terminated. */
extern const char *const serialization_names[];
/* The form of that name, which is one of serialization_names. */
enum serialization serialization_find(const char *name);

/* Reads text in any form: a JSON one becomes *doc (owned by the caller, beside text), which is NULL
 * for a compact one, whose count segments are slices of text. RC_MALFORMED. */
bool serialization_read(struct span text, const char *what, json_doc **doc, struct span *segments,
                        size_t count, struct error *err) MUST_CHECK;

/* Whether text is a JWS, a JWE or neither, by its shape alone: for what to say of text that cannot
 * be read as the other one. */
enum serialized { SERIALIZED_NOTHING, SERIALIZED_JWS, SERIALIZED_JWE };
enum serialized serialization_kind(struct span text);

/* Splits compact text at its dots into exactly count segments; false (RC_MALFORMED) when there are
 * fewer or more. */
bool compact_split(struct span text, const char *what, size_t count, struct span *segments,
                   struct error *err) MUST_CHECK;

/* A base64url-encoded protected header as JSON object; an absent one (size 0) is {}. Owned by the
 * caller. */
json_t *header_decode(struct span encoded, const char *what, struct error *err) MUST_CHECK;

/* An unprotected header of a JSON serialisation; NULL value gives {}. Owned by the caller. */
json_t *header_load(const struct json_value *value, const char *what, struct error *err) MUST_CHECK;

/* The strings member of object, or an empty span when absent. False (RC_MALFORMED) when it is no
 * string. */
bool member_string(const struct json_value *object, const char *what, const char *name,
                   bool required, struct span *string, struct error *err) MUST_CHECK;

/* The protected header that is made of own, to which the members of further (or NULL) are added,
 * in base64url; unprotected (or NULL) stands beside it. RC_USAGE when further says anything
 * otherwise than own, or when the headers fail headers_check. Owned by the caller. */
buffer *header_encode(json_t *own, const json_t *further, const json_t *unprotected,
                      struct error *err) MUST_CHECK;

/* Refuses a parameter that stands in two of the headers (the last two are unprotected; any may be
 * NULL), every crit, and b64 false (RFC 7515 sections 4 and 4.1.11). */
bool headers_check(const json_t *protected, const json_t *shared, const json_t *own,
                   const char *what, struct error *err) MUST_CHECK;

/* The first value of that name in the headers, borrowed; NULL when none has it. */
const json_t *headers_value(const json_t *const *headers, size_t count, const char *name);

/* The first string of that name in the headers, NULL when none has it; sets *wrong when it is no
 * string. */
const char *headers_text(const json_t *const *headers, size_t count, const char *name, bool *wrong);

/* The bytes of a parameter in base64url, owned by the caller: none when it is absent and not
 * required; NULL (RC_MALFORMED) when it is not sound. */
buffer *headers_bytes(const json_t *const *headers, size_t count, const char *name, bool required,
                      struct error *err) MUST_CHECK;

#endif
