/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h: reading a JSON file that a person has written: every mistake in it is found and told
 * with its place, and a member that nobody knows is one.
 *
 *     static const char *const known[] = {"name", "tas", NULL};
 *     if (!config_object(in, json, place, known))
 *         return;
 *     sd->name = config_name(in, json, place, "name", true);
 *
 * A mistake does not end the reading. What a function cannot read is NULL, and its mistake noted.
 */
#ifndef OTRP_SIM_CONFIG_H
#define OTRP_SIM_CONFIG_H

#include "util/json.h"

/* A place in the file: "sps[0].sds[1].name". */
struct place {
    char text[400];
};

/* Where the reader is, and what it has found. */
typedef struct config {
    const char *file;
    char *folder; /* paths in the file are relative to it; owned */
    json_t *json; /* the file; owned */
    const char *passin;
    json_t *mistakes;   /* array of {"path", "reason"}; borrowed */
    struct error first; /* the first mistake, with the file's name */
} config;

/* Reads the file. RC_USAGE: it cannot be read, RC_MALFORMED: it is no JSON object or array. */
bool config_open(config *in, const char *path, const char *passin, json_t *mistakes,
                 struct error *err) MUST_CHECK;
void config_close(config *in);

struct place place_at(struct place outer, const char *member);
struct place place_index(struct place outer, const char *member, size_t index);

/* Notes a mistake; the second form takes the reason from why. */
void config_mistake(config *in, struct place place, const char *reason);
void config_mistake_error(config *in, struct place place, struct error *why);

/* Whether it is an object; members that are none of known (NULL-terminated) are mistakes. */
bool config_object(config *in, const json_t *object, struct place place, const char *const *known);

/* A member as a string, one of 1 to 255 bytes, or one of choices (NULL-terminated). Borrowed. */
const char *config_text(config *in, const json_t *object, struct place place, const char *member,
                        bool required);
const char *config_name(config *in, const json_t *object, struct place place, const char *member,
                        bool required);

/* A member, or any text, as the path of a file; owned by the caller. */
char *config_path(config *in, const json_t *object, struct place place, const char *member,
                  bool required);
char *config_resolve(const config *in, const char *text);

/* Sets flag when the member is there. */
void config_flag(config *in, const json_t *object, struct place place, const char *member,
                 bool *flag);

/* An array member; NULL when it is absent or no array. */
const json_t *config_array(config *in, const json_t *object, struct place place,
                           const char *member);

/* A whole number from low to high, or fallback when the member is absent. */
long long config_number(config *in, const json_t *object, struct place place, const char *member,
                        long long low, long long high, long long fallback);

/* Whether a name is that of an earlier one: each stands first in an element of stride bytes. */
bool config_repeated(const char *name, const void *first, size_t index, size_t stride);

AUTO_DEFINE(config, config_close)

#endif
