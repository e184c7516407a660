/* SPDX-License-Identifier: Apache-2.0 */
/*
 * applet.h: a command of otrp. An applet is a structure of its options, a table of them, and a
 * function in four short phases (options, inputs, act, outputs). src/applets/ has a file or a
 * family of files for each, and src/applets.def is the list. Only applets own argv, print results
 * and decide an exit code.
 */
#ifndef OTRP_APPLET_H
#define OTRP_APPLET_H

#include "util/buffer.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/options.h"

enum applet_group {
    GROUP_PROVISION,
    GROUP_MAKE,
    GROUP_LOOK,
    GROUP_EXCHANGE,
    GROUP_SIMULATE,
    GROUP_SELF
};

/* Options that mean the same wherever they stand; an applet says which it obeys. */
enum common_use {
    USES_JSON = 1,
    USES_NOW = 2,
    USES_FORCE = 4,
    USES_KEYS = 8,
    USES_LIMITS = 16,
    USES_PROFILE = 32, /* messages of other implementations, made or read */
    USES_LENIENT = 64  /* foreign forms of messages, read */
};

struct common {
    bool help, quiet, json, force, lenient;
    const char *color, *now, *passin, *profile;
    struct text_list provider;
    long max_bytes, max_depth, max_values; /* 0: as in limits.h */
};

struct applet_call;

struct applet {
    unsigned uses;                    /* of enum common_use */
    const struct option_row *options; /* NULL when it has commands */
    size_t size;                      /* bytes of the structure that options store into */
    enum rc (*run)(const struct applet_call *call, struct error *err);
    const char *const *examples; /* NULL-terminated, runnable */
    /* Of a command with commands of its own, such as tee-sim. */
    const struct applet_command *commands;
};

/* A command of an applet: "otrp tee-sim process". */
struct applet_command {
    const char *name; /* NULL ends a list */
    const char *summary;
    struct applet applet;
};

/* A row of applets.def. */
struct applet_entry {
    enum applet_group group;
    const char *name;
    const char *summary;
    const struct applet *applet;
};

struct applet_call {
    const char *name; /* "tee-sim process", for messages */
    const struct applet *applet;
    const void *options; /* the applet's own structure */
    const struct common *common;
    struct clock clock;
};

extern const struct applet_entry applets[];
extern const size_t applet_count;
const struct applet_entry *applet_find(const char *name); /* or NULL */

enum { COMMON_TABLES = 8 };

/* The option tables that an applet obeys besides its own; returns their number. */
size_t common_options(const struct applet *applet, struct common *common,
                      struct option_set sets[COMMON_TABLES]);

/* Appends what --help prints; name is "sign" or "tee-sim process". */
void applet_put_help(buffer *out, const char *name, const char *summary,
                     const struct applet *applet);

/* Tells a person something on standard error: "otrp sign: ...". Nothing with --quiet. */
void say(const struct applet_call *call, const char *format, ...) PRINTF_LIKE(2, 3);

/* As say, also with --quiet: what must not be missed. */
void warn(const struct applet_call *call, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
