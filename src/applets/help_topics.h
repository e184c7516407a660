/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help_topics.h: what 'otrp help' explains besides commands and messages: exit codes, error codes,
 * algorithms, and the files that commands read and write, each with an example and its man page.
 *
 *     put_help_topic(out, "exit-codes");    put_help_topic(out, "ERR_TA_INVALID");
 *     put_help_topic(out, "policy");        also as "otrp-policy", the name of its page
 */
#ifndef OTRP_APPLETS_HELP_TOPICS_H
#define OTRP_APPLETS_HELP_TOPICS_H

#include "util/buffer.h"
#include "util/options.h"

/* Explains a topic; false when there is none of that name. */
bool put_help_topic(buffer *out, const char *name);

/* Calls each for every word that 'otrp help' takes: commands, topics, messages, error codes. The
 * names live as long as the program. */
option_words each_help_topic;

/* The word that was probably meant, in capitals or not; NULL when none is near. */
const char *help_topic_nearest(const char *word);

#endif
