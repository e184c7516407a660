/* SPDX-License-Identifier: Apache-2.0 */
/* unearth_form.h: forms that a whole text, or a piece of one, may have: for unearth.c and its other
 * parts only. */
#ifndef OTRP_OTRP_UNEARTH_FORM_H
#define OTRP_OTRP_UNEARTH_FORM_H

#include "util/buffer.h"

/* ---- whole texts ---- */

/* The size of the DER value that begins at i, when it begins like a certificate, an OCSP response
 * or a key; 0 when not. */
size_t der_size(struct span text, size_t i);

/* UTF-16 with its mark, as UTF-8; NULL without memory. */
buffer *from_utf16(struct span text) MUST_CHECK;

/* Whether a mail says that it is quoted-printable, and that text decoded (NULL without memory). */
bool is_quoted_printable(struct span text);
buffer *from_quoted_printable(struct span text) MUST_CHECK;

/* ---- pieces of a text ---- */

/* Where the next line's own text begins: line is its start, prefix what stood before a thing on
 * its first line. Digits stand for any digits, so that times may differ. */
size_t prefix_skip(struct span text, size_t line, struct span prefix);

/* What stands on the line before offset at. */
struct span prefix_of(struct span text, size_t at);

/* Each begins at start, ends where *end says and is decoded; secret, owned by the caller, NULL
 * without memory. */

/* Text as in a string of JSON, without its backslashes, up to the quote or newline behind it. */
buffer *from_escapes(struct span text, size_t start, size_t *end) MUST_CHECK;
/* Percent-encoding, up to a blank, quote or '&'. */
buffer *from_percent(struct span text, size_t start, size_t *end) MUST_CHECK;
/* A block of PEM without what its lines have in front (*prefixed: there is something), as far as it
 * goes; *ended: up to its END line. */
buffer *pem_block(struct span text, size_t start, size_t *end, bool *prefixed,
                  bool *ended) MUST_CHECK;
/* Digits of base64url, dots and what else a token has, over the ends of lines (*joined: of
 * several).
 */
buffer *compact_read(struct span text, size_t start, size_t *end, bool *joined) MUST_CHECK;

enum { COMPACT_LEAST = 60 }; /* bytes: a shorter token with two dots is a host name */

/* Whether it is a character of such a token. */
bool is_token(uint8_t c);
/* Whether a token has the two dots of a JWS or the four of a JWE, and parts as long as theirs. */
bool is_compact(struct span token);

#endif
