/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h: one row per option is its parser, its storage, its line in --help, its entry in the
 * man page and its completion.
 *
 *     struct decrypt { const char *key, *message; bool force; };
 *
 *     static const struct option_row options[] = {
 *         OPT_TEXT(decrypt, key, 'k', "KEY", OPT_REQUIRED | OPT_FILE, "a private key"),
 *         OPT_FLAG(decrypt, force, 'f', 0, "overwrite"),
 *         OPERAND(decrypt, message, "MESSAGE", OPT_FILE, "JWE or OTrP message"),
 *         OPT_END
 *     };
 *
 * The name is the field's, with '-' for '_'. Options may stand before or after operands; "--" ends
 * them; "--name=value", "--name value", "-nvalue" and "-n value" are the same.
 */
#ifndef OTRP_UTIL_OPTIONS_H
#define OTRP_UTIL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buffer.h"
#include "util/error.h"

struct text_list {
    const char **items; /* borrowed from argv */
    size_t count;
};

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_LIST, OPTION_NUMBER, OPTION_CHOICE };

enum option_flags {
    OPT_REQUIRED = 1,
    OPT_OPERAND = 2,
    OPT_FILE = 4,    /* completes file names */
    OPT_DIR = 8,     /* completes directory names */
    OPT_HIDDEN = 16, /* for the build and the shells, not for users */
    /* what a shell offers for the value: */
    OPT_LISTED = 32,   /* the first words of the lines that the value 'list' prints */
    OPT_PKI_NAME = 64, /* the names that a PKI directory has of the role named as the option */
    OPT_COMMAS = 128   /* several words, with commas between them */
};

/* Calls each for every word that a shell offers for a value; they live as long as the program. */
typedef void option_words(void (*each)(void *context, const char *word), void *context);

struct option_row {
    const char *field; /* NULL ends the table */
    char letter;       /* or 0 */
    enum option_kind kind;
    unsigned flags;
    size_t offset;
    const char *value;          /* what the value is called in help */
    const char *help;           /* one line, no full stop */
    const char *const *choices; /* OPTION_CHOICE: NULL-terminated */
    long min, max;              /* OPTION_NUMBER, inclusive */
    option_words *words;        /* OPTION_TEXT: what it usually is; NULL: nothing to offer */
};

#define OPT_ROW(type, name, letter_, kind_, value_, flags_, help_, ...)                            \
    {                                                                                              \
        .field = #name, .letter = (letter_), .kind = (kind_), .flags = (flags_),                   \
        .offset = offsetof(struct type, name), .value = (value_), .help = (help_), __VA_ARGS__     \
    }

#define OPT_FLAG(type, name, letter, flags, help)                                                  \
    OPT_ROW(type, name, letter, OPTION_FLAG, NULL, flags, help, .min = 0)
#define OPT_TEXT(type, name, letter, value, flags, help)                                           \
    OPT_ROW(type, name, letter, OPTION_TEXT, value, flags, help, .min = 0)
#define OPT_WORDS(type, name, letter, value, words_, flags, help)                                  \
    OPT_ROW(type, name, letter, OPTION_TEXT, value, flags, help, .words = (words_))
#define OPT_LIST(type, name, letter, value, flags, help)                                           \
    OPT_ROW(type, name, letter, OPTION_LIST, value, flags, help, .min = 0)
#define OPT_NUMBER(type, name, letter, value, low, high, help)                                     \
    OPT_ROW(type, name, letter, OPTION_NUMBER, value, 0, help, .min = (low), .max = (high))
#define OPT_CHOICE(type, name, letter, value, list, flags, help)                                   \
    OPT_ROW(type, name, letter, OPTION_CHOICE, value, flags, help, .choices = (list))
#define OPERAND(type, name, value, flags, help)                                                    \
    OPT_ROW(type, name, 0, OPTION_TEXT, value, (flags) | OPT_OPERAND, help, .min = 0)
#define OPERAND_WORDS(type, name, value, words_, flags, help)                                      \
    OPT_ROW(type, name, 0, OPTION_TEXT, value, (flags) | OPT_OPERAND, help, .words = (words_))
#define OPERAND_CHOICE(type, name, value, list, flags, help)                                       \
    OPT_ROW(type, name, 0, OPTION_CHOICE, value, (flags) | OPT_OPERAND, help, .choices = (list))
#define OPT_END                                                                                    \
    {                                                                                              \
        .field = NULL                                                                              \
    }

/* A table and the structure that its rows store into. */
struct option_set {
    const struct option_row *rows;
    void *storage; /* of the structure that the rows were made for, zeroed */
};

/*
 * Parses argv[0..argc) into the sets, looking a name up in each in turn. Lists are allocated; the
 * caller frees them with options_free. A fault is RC_USAGE with the nearest option as its hint.
 * help: what --help, one of the options, stores into; with it, what is missing is no fault.
 */
bool options_parse(const struct option_set *sets, size_t count, int argc, char **argv,
                   const bool *help, struct error *err) MUST_CHECK;
void options_free(const struct option_set *sets, size_t count);

/* The long name of a row ("del-spcert"), written to name. */
void option_name(const struct option_row *row, char name[32]);

/* The candidate that is nearest to word, or NULL when none is near; for "did you mean". */
const char *nearest(const char *word, const char *const *candidates, size_t count);

/* Renderings of a table: the synopsis behind the command, the lines of --help, mdoc. */
void options_put_synopsis(buffer *out, const struct option_row *rows);
void options_put_help(buffer *out, const struct option_row *rows);
void options_put_mdoc(buffer *out, const struct option_row *rows);

#endif
