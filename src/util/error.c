/* SPDX-License-Identifier: Apache-2.0 */
#include "util/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/utf8.h"

enum { TEXT_BYTES = 2 * sizeof(((struct error *)0)->message) };

bool error_reason(struct error *err, enum rc rc, const char *reason, const char *format,
                  va_list args)
{
    char text[TEXT_BYTES];
    err->rc = rc;
    err->cause = CAUSE_OTHER;
    err->rule[0] = err->hint[0] = '\0';
    int length = vsnprintf(text, sizeof text, format, args);
    if (reason && length >= 0 && (size_t)length < sizeof text)
        snprintf(text + length, sizeof text - (size_t)length, ": %s", reason);
    utf8_keep(err->message, sizeof err->message, text);
    return false;
}

bool error_set(struct error *err, enum rc rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error_reason(err, rc, NULL, format, args);
    va_end(args);
    return false;
}

bool error_prefix(struct error *err, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof err->message, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= sizeof err->message)
        return false;
    snprintf(text + length, sizeof text - (size_t)length, ": %s", err->message);
    utf8_keep(err->message, sizeof err->message, text);
    return false;
}

bool error_rule(struct error *err, const char *rule)
{
    snprintf(err->rule, sizeof err->rule, "%s", rule);
    return false;
}

bool error_cause(struct error *err, enum cause cause)
{
    err->cause = cause;
    return false;
}

bool error_hint(struct error *err, const char *format, ...)
{
    va_list args;
    char text[TEXT_BYTES];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    utf8_keep(err->hint, sizeof err->hint, text);
    return false;
}

bool error_errno(struct error *err, enum rc rc, const char *format, ...)
{
    enum cause cause = errno == EACCES ? CAUSE_DENIED : CAUSE_OTHER;
    const char *reason = strerror(errno);
    va_list args;
    va_start(args, format);
    error_reason(err, rc, reason, format, args);
    va_end(args);
    return error_cause(err, cause);
}

bool error_memory(struct error *err)
{
    return error_set(err, RC_INTERNAL, "out of memory");
}

static const struct {
    enum rc rc;
    const char *name, *meaning;
} codes[] = {
#define RC(id, number, name, meaning) {RC_##id, name, meaning},
#include "util/rc.def"
#undef RC
};

const char *rc_name(enum rc rc)
{
    return (size_t)rc < sizeof codes / sizeof codes[0] ? codes[rc].name : "unknown";
}

const char *rc_meaning(enum rc rc)
{
    return (size_t)rc < sizeof codes / sizeof codes[0] ? codes[rc].meaning : "unknown";
}
