/* SPDX-License-Identifier: Apache-2.0 */
/* foreign_text.h: bytes that stand in a message as base64url or hexadecimal where the draft has
 * BASE64, and the other way round. */
#ifndef OTRP_OTRP_FOREIGN_TEXT_H
#define OTRP_OTRP_FOREIGN_TEXT_H

#include "otrp/foreign.h"

/* FOREIGN_HEX or FOREIGN_BASE64URL when that is what stands where BASE64 should; FOREIGN_COUNT when
 * it is BASE64, or nothing known. */
enum foreign_form base64_form(struct span text);

/* Appends such a text as a JSON string in BASE64. */
void put_as_base64(buffer *out, struct span text);

/* Appends BASE64 or base64url as base64url without padding. */
void put_base64url_of(buffer *out, struct span text);

#endif
