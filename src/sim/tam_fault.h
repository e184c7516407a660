/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tam_fault.h: what a TAM does wrong on purpose, by name, so that devices and their brokers can be
 * tested: every mutation of a request (mutation.h), and what only a server can do.
 *
 *     AUTO(tam_faults) *faults = tam_faults_new(names, count, err);
 *     if (faults->server == FAULT_SILENCE) ...
 */
#ifndef OTRP_SIM_TAM_FAULT_H
#define OTRP_SIM_TAM_FAULT_H

#include "otrp/mutation.h"

enum server_fault {
    FAULT_NONE,
    FAULT_WRONG_STATUS,   /* 500, with the message in its body */
    FAULT_WRONG_TYPE,     /* text/html */
    FAULT_REDIRECT_LOOP,  /* 307 to itself */
    FAULT_HALF_ANSWER,    /* the connection ends in the middle of the body */
    FAULT_SILENCE,        /* no answer, until the client gives up */
    FAULT_OTHER_SESSION,  /* the request of another session */
    FAULT_ENDLESS_SESSION /* the state is asked for again and again */
};

struct server_fault_row {
    enum server_fault id;
    const char *name, *title;
};
extern const struct server_fault_row server_faults[];
extern const size_t server_fault_count;

enum { FAULTS_MOST = 16 };

typedef struct tam_faults {
    enum server_fault server;
    mutations *known;
    const struct mutation *items[MESSAGE_COUNT][FAULTS_MOST]; /* those that fit each type */
    size_t counts[MESSAGE_COUNT];
} tam_faults;

/* The faults of those names. RC_USAGE for an unknown one, or two of the server's. */
tam_faults *tam_faults_new(const char *const *names, size_t count, struct error *err) MUST_CHECK;
void tam_faults_free(tam_faults *faults);

/* Whether there are any but the server's. */
bool tam_faults_of_messages(const tam_faults *faults);

AUTO_DEFINE(tam_faults, tam_faults_free)

#endif
