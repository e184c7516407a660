/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h: what went wrong, said once, where it is known.
 *
 *     if (size > LIMIT_MESSAGE_BYTES)
 *         return error_set(err, RC_MALFORMED, "%s: larger than allowed", name);
 *
 * Fallible functions fill a caller's struct error and return false or NULL; callers may put a
 * prefix before the message, and main prints it. Lower layers never print and never exit.
 * The codes are the program's exit codes (otrp(1), EXIT STATUS) and never change meaning.
 */
#ifndef OTRP_UTIL_ERROR_H
#define OTRP_UTIL_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define MUST_CHECK        __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

enum rc {
#define RC(id, number, name, meaning) RC_##id = number,
#include "util/rc.def"
#undef RC
};

/* What a caller acts on, where a code is too coarse: never the words of a message, which may quote
 * untrusted text. */
enum cause {
    CAUSE_OTHER,
    CAUSE_ENCRYPTED,   /* a key that is encrypted, and no passphrase */
    CAUSE_PASSPHRASE,  /* a key that the passphrase does not open */
    CAUSE_PATH_LENGTH, /* a chain with more CAs than one of them allows below it */
    CAUSE_REVOKED,     /* a certificate of which an OCSP response says so */
    CAUSE_UNREAD,      /* standard output that nobody reads any more */
    CAUSE_STALE,       /* an OCSP response past its nextUpdate */
    CAUSE_DENIED,      /* a file that this user may not open */
    CAUSE_NO_KEY,      /* a file of keys in which none is known */
};

struct error {
    enum rc rc;
    enum cause cause;
    char message[1024]; /* what was wrong with what; UTF-8, may quote untrusted text */
    char rule[96];      /* the document and section that say so, or "" */
    char hint[256];     /* what to do next, or "" */
};

/* Sets code and message and clears cause, rule and hint. Always returns false, for `return
 * error_set(...)`. */
bool error_set(struct error *err, enum rc rc, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "prefix: " before the message. Always returns false. */
bool error_prefix(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Adds the rule that was broken, such as "RFC 7515 section 5.2". Always returns false. */
bool error_rule(struct error *err, const char *rule);

/* Says what callers act on. Always returns false. */
bool error_cause(struct error *err, enum cause cause);

/* Adds a next step for the user. Always returns false. */
bool error_hint(struct error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* error_set with somebody else's reason appended, after a colon; reason may be NULL. */
bool error_reason(struct error *err, enum rc rc, const char *reason, const char *format,
                  va_list args) PRINTF_LIKE(4, 0);

/* error_set for a failed system call: appends what errno means. EACCES is CAUSE_DENIED. */
bool error_errno(struct error *err, enum rc rc, const char *format, ...) PRINTF_LIKE(3, 4);

/* The one message for memory that cannot be had. */
bool error_memory(struct error *err);

/* The short name of a code ("malformed") and its meaning, as in otrp(1). */
const char *rc_name(enum rc rc);
const char *rc_meaning(enum rc rc);

#endif
