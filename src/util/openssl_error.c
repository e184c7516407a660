/* SPDX-License-Identifier: Apache-2.0 */
#include "util/openssl_error.h"

#include <stdarg.h>

#include <openssl/err.h>

bool error_openssl(struct error *err, enum rc rc, const char *format, ...)
{
    unsigned long code = ERR_get_error();
    va_list args;
    va_start(args, format);
    error_reason(err, rc, code ? ERR_reason_error_string(code) : NULL, format, args);
    va_end(args);
    ERR_clear_error();
    return false;
}
