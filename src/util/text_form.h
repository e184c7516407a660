/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_form.h: what hexadecimal, BASE64 and base64url look like (RFC 4648): by alphabet, length and
 * padding alone. Whether it is right down to the last bit, base64.h tells.
 *
 *     if (text_is_hex(text))
 *         bytes = hex_decode(text);
 */
#ifndef OTRP_UTIL_TEXT_FORM_H
#define OTRP_UTIL_TEXT_FORM_H

#include "util/buffer.h"

/* Where BASE64 is due, so many hexadecimal digits are taken for what they look like; fewer may as
 * well be BASE64. */
enum { TEXT_HEX_LEAST = 32 };

/* Pairs of digits of either case, at least one. */
bool text_is_hex(struct span text);
/* With the padding that it must have; not empty. */
bool text_is_base64(struct span text);
/* With or without padding; not empty. */
bool text_is_base64url(struct span text);

/* BASE64 or base64url without the padding at its end; borrows text. */
struct span base64_unpadded(struct span text);

/* What a hexadecimal digit stands for; -1: it is none. */
int hex_value(uint8_t digit);
/* What the two digits at i stand for; -1: they are not two. */
int hex_pair(struct span text, size_t i);

/* The bytes that hexadecimal text stands for, secret and owned by the caller; NULL when it is none
 * (an empty one included), or without memory. */
buffer *hex_decode(struct span text) MUST_CHECK;

#endif
