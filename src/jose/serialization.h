/* SPDX-License-Identifier: Apache-2.0 */
/* serialization.h: the three forms of a JWS (RFC 7515 section 7) or JWE (RFC 7516 section 7), and
 * headers. */
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

/* Refuses a parameter that stands in two of the headers (the last two are unprotected; any may be
 * NULL), every crit, and b64 false (RFC 7515 sections 4 and 4.1.11). */
bool headers_check(const json_t *protected, const json_t *shared, const json_t *own,
                   const char *what, struct error *err) MUST_CHECK;

/* The first string of that name in the headers, NULL when none has it; sets *wrong when it is no
 * string. */
const char *headers_text(const json_t *const *headers, size_t count, const char *name, bool *wrong);

#endif
