/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broken.h: --break and --fault: the mutations that a user asks for by name.
 *
 *     AUTO(broken) *b = broken_new(&o->break_names, MUTATION_REQUEST, MESSAGE_CREATE_SD, err);
 *     b->plan.now = now;
 *     draft.broken = broken_plan(b);
 */
#ifndef OTRP_APPLETS_BROKEN_H
#define OTRP_APPLETS_BROKEN_H

#include "applet.h"
#include "otrp/mutation.h"

enum { BROKEN_MOST = 16 };

typedef struct broken {
    mutations *all;
    const struct mutation *items[BROKEN_MOST];
    struct mutation_plan plan;
    key *ca_key;
} broken;

/* The mutations of that side that names list for a message of that type. RC_USAGE. */
broken *broken_new(const struct text_list *names, enum mutation_side side, enum message_id type,
                   struct error *err) MUST_CHECK;
void broken_free(broken *b);

/* For a draft: NULL when nothing is to be broken. */
const struct mutation_plan *broken_plan(const broken *b);

/* Gives the plan the key of the CA in the PKI directory that has issued cert, where there is one:
 * mutations that take it say so when it is missing. */
bool broken_take_ca(const struct applet_call *call, broken *b, const char *pki, X509 *cert,
                    struct error *err) MUST_CHECK;

/* Whether the one name asks for the list. */
bool broken_is_list(const struct text_list *names);
/* Writes the list to standard output: of all messages, or of one type (NULL: all). */
enum rc broken_list(const struct applet_call *call, enum mutation_side side,
                    const struct message_type *only, struct error *err);

/* A row that only the applet itself knows. */
struct broken_row {
    const char *name, *title;
};
/* The same, with such rows behind. */
enum rc broken_list_with(const struct applet_call *call, enum mutation_side side,
                         const struct message_type *only, const struct broken_row *own,
                         size_t count, struct error *err);

AUTO_DEFINE(broken, broken_free)

#endif
