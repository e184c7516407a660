/* SPDX-License-Identifier: Apache-2.0 */
/*
 * send.h: the parts of otrp send: send.c reads options and posts one message, send_session.c is the
 * broker of a whole session, send_fleet.c runs many of them, send_trace.c shows what goes by.
 */
#ifndef OTRP_APPLETS_SEND_H
#define OTRP_APPLETS_SEND_H

#include "applets/common.h"
#include "net/http.h"
#include "net/transcript.h"
#include "otrp/profile.h"
#include "sim/tee_host.h"

struct send {
    const char *url, *tee, *device, *device_url, *accept, *cacert, *cert, *key, *transcript, *out,
        *profile, *message;
    struct text_list header;
    long timeout, connect_timeout, wait, max_bytes, repeat, jobs;
    bool location, trace, offline;
};

/* What all sessions of a call share. */
typedef struct sending {
    const struct applet_call *call;
    const struct send *options;
    const struct profile *profile;
    char *url; /* of the TAM, with the profile's path where the user gave none */
    const struct http_client_api *http;
    transcript *transcript;
    tee_host *host; /* of --tee, when there are many sessions; or NULL */
} sending;

/* The connections of one session, and its TEE: one of dev, host with name, or remote. */
typedef struct send_session {
    const sending *sending;
    struct http_client *tam, *remote;
    device *dev;
    const char *name;     /* of the host's device */
    unsigned long number; /* of the session, where there are many; or 0 */
    bool quiet;           /* one of many: its steps are not told */
} send_session;

/* Connects to nobody yet. */
bool send_session_open(send_session *session, const sending *s, struct error *err) MUST_CHECK;
void send_session_free(send_session *session);

/* Loads the HTTP client and makes the transcript, when all else has been found right. */
bool send_prepare(sending *s, struct error *err) MUST_CHECK;

/* How the TAM is spoken to. */
struct http_client_options send_http_options(const sending *s);

/* Posts body to the TAM; *message is what it says, empty at the end of the session, valid until the
 * next post. */
bool send_session_post(send_session *session, struct span body, struct span *message,
                       struct error *err) MUST_CHECK;

/* The TEE's answer to a message of the TAM. NULL: none; then *silent, or err says why. */
struct device_reply {
    buffer *body;       /* owned by the caller */
    bool failed;        /* it says fail, or is the broker's */
    struct error error; /* why */
    bool silent;        /* the TEE has nothing to say */
};
bool send_session_ask_tee(send_session *session, struct span message, struct device_reply *reply,
                          struct error *err) MUST_CHECK;

/* A whole session: RC_PEER when the TEE's last answer was a failure. */
enum rc send_session_run(send_session *session, struct error *err) MUST_CHECK;

/* --repeat: body is posted by each, or a whole session is run. Prints the summary. */
enum rc send_many(sending *s, struct span body, struct error *err) MUST_CHECK;

/* --trace: the head of a request as it is going to be sent, or of an answer, and what is in the
 * body. Credentials are not shown. */
void trace_message(const char *arrow, struct span head, struct span body);

AUTO_DEFINE(send_session, send_session_free)

#endif
