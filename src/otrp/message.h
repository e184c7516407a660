/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h: the registry of messages: every command of OTrP, its names on the wire and the members
 * of its parts. Making, checking and explaining messages read these tables (protocol: Messages).
 *
 *     const struct message_type *type = message_find_request("CreateSDRequest");
 *     if (!members_check(tbs, type->request_tbs, "CreateSDTBSRequest", err)) ...
 */
#ifndef OTRP_OTRP_MESSAGE_H
#define OTRP_OTRP_MESSAGE_H

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

enum message_id {
    MESSAGE_GET_DEVICE_STATE,
    MESSAGE_CREATE_SD,
    MESSAGE_UPDATE_SD,
    MESSAGE_DELETE_SD,
    MESSAGE_INSTALL_TA,
    MESSAGE_UPDATE_TA,
    MESSAGE_DELETE_TA,
    MESSAGE_COUNT
};

struct message_type {
    enum message_id id;
    const char *name;                       /* "CreateSD" */
    const char *option;                     /* "create-sd" */
    const char *request, *request_tbs_name; /* "CreateSDRequest", "CreateSDTBSRequest" */
    const char *response, *response_tbs_name;
    const char *section;                   /* of the draft */
    const struct member *request_tbs;      /* members of the signed part */
    const struct member *request_content;  /* of the decrypted content; NULL: none */
    const char *sealed;                    /* the encrypted member of the response */
    const struct member *response_tbs;     /* of the signed part */
    const struct member *response_content; /* of the decrypted member of the response */
};

/* What is no command of a TAM: the local query of a client application, and the broker's error. */
struct other_message {
    const char *name;             /* its one member: "TAQuery" */
    const char *tbs_name;         /* of a signed one: "TAInformationTBS"; NULL: it is plain */
    const char *direction;        /* "client application to TEE" */
    const char *section;          /* of the draft */
    const struct member *members; /* of the plain value, or of the signed part */
};
extern const struct other_message other_messages[];
extern const size_t other_message_count;

const struct message_type *message_type(enum message_id id);
/* The type whose request (response) has that outer name, or NULL. */
const struct message_type *message_find_request(struct span outer_name);
const struct message_type *message_find_response(struct span outer_name);
/* The type of that option ("create-sd"), or NULL. */
const struct message_type *message_find_option(const char *option);
const struct other_message *message_find_other(struct span outer_name);

#define GET_DEVICE_STATE_ELEMENT "GetDeviceTEEStateResponse" /* of the response's array */

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

/* A TBS with every member of the tables and a placeholder that tells its form, the sealed member in
 * the clear (content NULL: there is none). Owned by the caller; NULL without memory. */
json_t *message_template(const char *tbs_name, const struct member *tbs, const char *sealed,
                         const struct member *content);

/* The string member as a C string, owned by the caller; NULL when absent, no string or without
 * memory. */
char *member_text(const struct json_value *object, const char *name);
bool member_true(const struct json_value *object, const char *name);

/* The strings of an array member; each decoded from BASE64. RC_MALFORMED. At most most; *count gets
 * their number. */
bool member_base64_list(const struct json_value *array, const char *what, size_t most,
                        buffer **items, size_t *count, struct error *err) MUST_CHECK;

#endif
