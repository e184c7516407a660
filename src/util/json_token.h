/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_token.h: strings, numbers and words of JSON (RFC 8259 sections 3, 6 and 7), out of which
 * json_slice.c makes a document. Used by that file alone.
 *
 * Each reader begins at the cursor and leaves it behind what it has read, or refuses
 * (RC_MALFORMED, with the offset).
 */
#ifndef OTRP_UTIL_JSON_TOKEN_H
#define OTRP_UTIL_JSON_TOKEN_H

#include "util/buffer.h"

struct json_resolved;

/* A place in a text. */
struct json_cursor {
    const uint8_t *start, *at, *end;
    const char *name;                /* what messages call the text */
    struct json_resolved **resolved; /* gets the strings that had escapes; the caller's to free */
    struct error *err;
};

/* Sets the error, at the cursor's offset. Always false. */
bool json_refuse(struct json_cursor *in, const char *what);

/* The string whose opening quote is behind the cursor: a slice of the text, or of *in->resolved. */
bool json_read_string(struct json_cursor *in, struct span *string) MUST_CHECK;
bool json_read_number(struct json_cursor *in) MUST_CHECK;
/* "true", "false" or "null", as word says. */
bool json_read_word(struct json_cursor *in, const char *word) MUST_CHECK;

static inline void json_skip_space(struct json_cursor *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\n' || *in->at == '\r' || *in->at == '\t'))
        in->at++;
}

void json_resolved_free(struct json_resolved *resolved);

#endif
