/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deviation.h: what differs from the draft in a message that was read, and the section that says
 * otherwise. Nothing is refused here: it is all named.
 *
 *     deviations_of_members(tbs, type->request_tbs, "CreateSDTBSRequest",
 *                           message_section(type, false), report, context);
 *
 * Sections are those of draft-ietf-teep-opentrustprotocol-03. Older and foreign forms of a value
 * (otrp-messages(7), OLDER AND FOREIGN FORMS) are told by their names: "a Boolean as a string".
 */
#ifndef OTRP_OTRP_DEVIATION_H
#define OTRP_OTRP_DEVIATION_H

#include "otrp/message.h"

/* Deviations of the envelope and of values: an id, the section, what it is. */
enum deviation {
#define DEVIATION(id, section, what) DEVIATION_##id,
#include "otrp/deviation.def"
#undef DEVIATION
    DEVIATION_COUNT
};

struct deviation_row {
    const char *section, *what;
};
const struct deviation_row *deviation_row(enum deviation id);

typedef void (*deviation_report)(void *context, const char *path, const char *section,
                                 const char *what);

/* The section that shows a message: type NULL is one that is outside the seven. */
const char *message_section(const struct message_type *type, bool response);

/* Reports each member that is missing, unknown or of another form than the table says. */
void deviations_of_members(const struct json_value *object, const struct member *members,
                           const char *path, const char *section, deviation_report report,
                           void *context);

#endif
