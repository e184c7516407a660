/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.h: the members of the objects that messages consist of: tables of them, and whether an
 * object has what a table says (otrp-messages(7), MEMBERS).
 *
 *     static const struct member query[] = {{"spid", MEMBER_NAME, true, NULL}, ..., {NULL}};
 *     if (!members_check(object, query, "TAQuery", NULL, err)) ...
 */
#ifndef OTRP_OTRP_MEMBER_H
#define OTRP_OTRP_MEMBER_H

#include "util/json_slice.h"

enum member_type {
    MEMBER_NAME, /* string of 1 to 255 bytes */
    MEMBER_TID,  /* string of 1 to 128 printable ASCII characters */
    MEMBER_TEXT, /* any string */
    MEMBER_BOOLEAN,
    MEMBER_BASE64,      /* string of standard BASE64 */
    MEMBER_HEX,         /* string of hexadecimal */
    MEMBER_BASE64_LIST, /* array of strings of standard BASE64 */
    MEMBER_HEX_LIST,    /* array of strings of hexadecimal */
    MEMBER_TEXT_LIST,   /* array of strings */
    MEMBER_OBJECT,      /* checked further against members, where given */
    MEMBER_OBJECT_LIST  /* array of objects, each checked against members */
};

struct member {
    const char *name; /* NULL ends a table */
    enum member_type type;
    bool mandatory;
    const struct member *members; /* of an object, or of each in a list, when known here */
};

/* All mandatory members there, no unknown ones, the right types and lengths. RC_MALFORMED naming
 * path and member. With novelty, unknown members are accepted, and the first one's path is put
 * there, owned by the caller (NULL before the call; it stays NULL when all are known). */
bool members_check(const struct json_value *object, const struct member *members, const char *path,
                   char **novelty, struct error *err) MUST_CHECK;

/* The member of that name in a table, or NULL. */
const struct member *member_find(const struct member *members, struct span name);

/* What is wrong with text as the value of a member: "longer than 255 bytes"; NULL: nothing. */
const char *member_fault(const struct member *member, struct span text);

/* What a member must be, for people: "BASE64", "1 to 255 bytes". */
const char *member_form(enum member_type type);

/* The string member as a C string, owned by the caller; NULL when absent, no string or without
 * memory. */
char *member_text(const struct json_value *object, const char *name);
bool member_true(const struct json_value *object, const char *name);

/* The strings of an array, what in messages, each decoded from BASE64: at most most, *count of
 * them, each owned by the caller, also those in front of one that is none. RC_MALFORMED. */
bool member_base64_list(const struct json_value *array, const char *what, size_t most,
                        buffer **items, size_t *count, struct error *err) MUST_CHECK;

#endif
