/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h: the registry of messages: every command of OTrP, its names on the wire and the members
 * of its parts (otrp-messages(7), MEMBERS). Making, checking and explaining messages read these
 * tables.
 *
 *     const struct message_type *type = message_find_request(span_text("CreateSDRequest"));
 *     if (!members_check(tbs, type->request_tbs, "CreateSDTBSRequest", NULL, err)) ...
 */
#ifndef OTRP_OTRP_MESSAGE_H
#define OTRP_OTRP_MESSAGE_H

#include "otrp/member.h"

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

/* The JWS in the value of a message's one member: the value itself, or in an array, as the answer
 * to GetDeviceState is one, that of its first element. NULL when the array has none; nothing else
 * of its form is checked. Part of value. */
const struct json_value *message_jws(const struct json_value *value);

/* A TBS with every member of the tables and a placeholder that tells its form, the sealed member in
 * the clear (content NULL: there is none). Owned by the caller; NULL without memory. */
json_t *message_template(const char *tbs_name, const struct member *tbs, const char *sealed,
                         const struct member *content);

#endif
