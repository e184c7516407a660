/* SPDX-License-Identifier: Apache-2.0 */
/* openssl_error.h: OpenSSL's own reason at the end of a message. */
#ifndef OTRP_UTIL_OPENSSL_ERROR_H
#define OTRP_UTIL_OPENSSL_ERROR_H

#include "util/error.h"

/* error_set, then ": " and the reason of OpenSSL's oldest queued error; empties the queue. */
bool error_openssl(struct error *err, enum rc rc, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
