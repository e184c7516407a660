/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help_messages.h: the registry of messages as text for people and as a block of the man page.
 *
 *     put_messages(out, false);          a line for each message
 *     put_message(out, "CreateSD");      the members of CreateSDRequest and CreateSDResponse
 */
#ifndef OTRP_APPLETS_HELP_MESSAGES_H
#define OTRP_APPLETS_HELP_MESSAGES_H

#include "util/buffer.h"

/* The overview of all messages; as mdoc: the members of each. */
void put_messages(buffer *out, bool mdoc);

/* The members of the messages that name stands for: a type ("create-sd", "CreateSD") or an outer
 * name ("CreateSDRequest", "TAQuery"); false when it stands for none. */
bool put_message(buffer *out, const char *name);

#endif
