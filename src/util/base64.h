/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.h: base64url without padding (RFC 7515 section 2) and standard BASE64 with padding
 * (RFC 4648 section 4), strict: no white space, no foreign characters, no non-zero trailing bits.
 */
#ifndef OTRP_UTIL_BASE64_H
#define OTRP_UTIL_BASE64_H

#include "util/buffer.h"

/* Appends data encoded. */
void buffer_put_base64url(buffer *out, struct span data);
void buffer_put_base64(buffer *out, struct span data);

/* Decodes text; what ("payload", "recipients[0].encrypted_key") names it in RC_MALFORMED messages.
 * The result is owned by the caller and secret. */
buffer *base64url_decode(struct span text, const char *what, struct error *err) MUST_CHECK;
buffer *base64_decode(struct span text, const char *what, struct error *err) MUST_CHECK;

/* As base64url_decode into out, which must have room for text.size / 4 * 3 + 2 bytes and may be
 * where text itself begins (the result is never longer). Returns the size, or -1 with err set. */
long long base64url_decode_to(uint8_t *out, struct span text, const char *what,
                              struct error *err) MUST_CHECK;

#endif
