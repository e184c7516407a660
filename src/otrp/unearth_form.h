/* SPDX-License-Identifier: Apache-2.0 */
/* unearth_form.h: forms that a whole text, or a piece of one, may have: for unearth.c only. */
#ifndef OTRP_OTRP_UNEARTH_FORM_H
#define OTRP_OTRP_UNEARTH_FORM_H

#include "util/buffer.h"

/* The size of the DER value that begins at i, when it begins like a certificate, an OCSP response
 * or a key; 0 when not. */
size_t der_size(struct span text, size_t i);

/* UTF-16 with its mark, as UTF-8; NULL without memory. */
buffer *from_utf16(struct span text) MUST_CHECK;

/* Whether a mail says that it is quoted-printable, and that text decoded (NULL without memory). */
bool is_quoted_printable(struct span text);
buffer *from_quoted_printable(struct span text) MUST_CHECK;

#endif
