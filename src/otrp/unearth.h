/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unearth.h: finds what inspect can show in whatever it is buried in: logs, mails, hexadecimal and
 * BASE64 dumps, JSON in a string of JSON, several things in a row.
 *
 *     if (!unearth(text, take, context, err)) ...      take is called for each thing, in order
 *
 * On the way, lines that were wrapped are joined (a hyphen at the end of a line is a digit of
 * base64url and stays), prefixes of lines ("> ", a time and a host) are left out, typographic
 * quotes are made straight, and what ends too early is closed.
 *
 * The time is linear in the size: a place is read again only within a budget that is a multiple of
 * the whole, and each level of decoding is smaller than the one around it (UNEARTH_LEVELS at most).
 */
#ifndef OTRP_OTRP_UNEARTH_H
#define OTRP_OTRP_UNEARTH_H

#include "util/buffer.h"
#include "util/json_slice.h"

enum { UNEARTH_LEVELS = 5 };

enum unearthed_kind {
    UNEARTHED_JSON,    /* an object or array */
    UNEARTHED_COMPACT, /* a JWS or JWE in compact serialisation */
    UNEARTHED_PEM,     /* a block with its BEGIN and END lines */
    UNEARTHED_DER      /* what begins like a DER sequence and reaches to its end */
};

/* How it came to light: bits. */
enum unearthed_how {
    UNEARTHED_JOINED = 1 << 0,
    UNEARTHED_PREFIXED = 1 << 1,
    UNEARTHED_QUOTES = 1 << 2,
    UNEARTHED_IN_STRING = 1 << 3,
    UNEARTHED_HEX = 1 << 4,
    UNEARTHED_BASE64 = 1 << 5,
    UNEARTHED_QUOTED_PRINTABLE = 1 << 6,
    UNEARTHED_UTF16 = 1 << 7,
    UNEARTHED_PERCENT = 1 << 8,
    UNEARTHED_CUT = 1 << 9,
    UNEARTHED_COMMA = 1 << 10,
    UNEARTHED_NESTED = 1 << 11,
    UNEARTHED_CHUNKS = 1 << 12,
    UNEARTHED_DUMPS = 1 << 13
};

/* What a bit is called: "lines joined"; NULL behind the last one. */
const char *unearthed_how_name(unsigned bit_number);

struct unearthed {
    enum unearthed_kind kind;
    struct span text; /* mended where how says so; valid during the call */
    size_t offset;    /* bytes from the beginning of the outermost text */
    size_t line;      /* counted from 1 */
    unsigned how;
};

/* Returns whether it knows the thing: an object or array of JSON that it does not is searched
 * itself. */
typedef bool (*unearth_take)(void *context, const struct unearthed *found);

/* False without memory only. */
bool unearth(struct span text, unearth_take take, void *context, struct error *err) MUST_CHECK;

/* The same for what was inside found, such as a body in a transcript. */
bool unearth_inside(struct span text, const struct unearthed *found, unsigned how,
                    unearth_take take, void *context, struct error *err) MUST_CHECK;

/* Whether text that cannot be read as JSON has words of ours in it. */
bool unearth_knows(struct span text);

#endif
