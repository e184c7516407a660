/* SPDX-License-Identifier: Apache-2.0 */
#include "util/openssl_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

bool error_openssl(struct error *err, enum rc rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    err->rc = rc;
    err->cause = CAUSE_OTHER;
    err->rule[0] = err->hint[0] = '\0';
    int length = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    if (reason && length >= 0 && (size_t)length < sizeof err->message)
        snprintf(err->message + length, sizeof err->message - (size_t)length, ": %s", reason);
    ERR_clear_error();
    return false;
}
