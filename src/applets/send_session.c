/* SPDX-License-Identifier: Apache-2.0 */
/* send: the broker of a session: the TAM's message to the TEE, its answer to the TAM, and so on. */
#include "applets/send.h"

#include <stdio.h>
#include <string.h>

#include "net/otrp_http.h"
#include "net/summary.h"
#include "otrp/response.h"

enum { MOST_STEPS = 1000, MOST_SAME = 8 };

struct http_client_options send_http_options(const sending *s)
{
    const struct send *o = s->options;
    return (struct http_client_options){
        .url = s->url,
        .accept = o->accept,
        .timeout_ms = (o->timeout ? o->timeout : 30) * 1000,
        .connect_timeout_ms = (o->connect_timeout ? o->connect_timeout : 10) * 1000,
        .wait_ms = o->wait * 1000,
        .max_bytes = o->max_bytes ? (size_t)o->max_bytes : LIMIT_MESSAGE_BYTES,
        .cacert = o->cacert,
        .cert = o->cert,
        .key = o->key,
        .headers = &o->header,
        .follow_redirects = o->location};
}

/* The remote TEE is asked as a TAM asks it: what the user said of headers is for the TAM. */
static struct http_client_options remote_options(const sending *s)
{
    struct http_client_options options = send_http_options(s);
    options.url = s->options->device_url;
    options.accept = NULL;
    options.headers = NULL;
    return options;
}

bool send_session_open(send_session *session, const sending *s, struct error *err)
{
    session->sending = s;
    struct http_client_options tam = send_http_options(s), remote = remote_options(s);
    session->tam = s->http->open(&tam, err);
    if (session->tam && s->options->device_url)
        session->remote = s->http->open(&remote, err);
    return session->tam && (session->remote || !s->options->device_url);
}

void send_session_free(send_session *session)
{
    if (!session->sending)
        return;
    session->sending->http->close(session->tam);
    session->sending->http->close(session->remote);
    device_free(session->dev);
}

/* One side of a post, or why it has no other (error). */
static bool record(const send_session *session, bool asks, bool to_tam, struct span body,
                   const struct http_answer *answer, const char *error, struct error *err)
{
    const sending *s = session->sending;
    bool from_tee = asks == to_tam;
    struct transcript_entry entry = {.direction = asks ? TRANSCRIPT_REQUEST : TRANSCRIPT_RESPONSE,
                                     .from = from_tee ? "tee" : "tam",
                                     .to = from_tee ? "tam" : "tee",
                                     .exchange = session->number,
                                     .url = s->http->name(to_tam ? session->tam : session->remote),
                                     .status = answer ? answer->status : 0,
                                     .error = error,
                                     .headers = answer ? buffer_span(answer->headers)
                                                       : SPAN(NULL, 0),
                                     .body = body,
                                     .elapsed_ms = answer ? answer->elapsed_ms : 0,
                                     .clock = &s->call->clock};
    return transcript_put(s->transcript, &entry, err);
}

/* Posts to the TAM or to the remote TEE, recorded and traced. */
static bool post(const send_session *session, struct http_client *to, struct span body,
                 struct http_answer *answer, struct error *err)
{
    const sending *s = session->sending;
    bool to_tam = to == session->tam;
    struct error ignored;
    if (s->options->trace) {
        AUTO(buffer) *head = s->http->preview(to, body);
        trace_message(">", buffer_span(head), body);
    }
    if (!record(session, true, to_tam, body, NULL, NULL, err))
        return false;
    if (!s->http->post(to, body, answer, err)) {
        (void)!record(session, false, to_tam, SPAN(NULL, 0), NULL, err->message, &ignored);
        return false;
    }
    if (s->options->trace)
        trace_message("<", buffer_span(answer->headers), buffer_span(answer->body));
    return record(session, false, to_tam, buffer_span(answer->body), answer, NULL, err);
}

static bool bad_status(const struct http_answer *answer, const char *url, struct error *err)
{
    error_set(err, RC_TRANSPORT, "%s: HTTP status %d", url, answer->status);
    switch (answer->status) {
    case 400:
        return error_hint(err,
                          "the TAM could not parse or believe the message; its log may say why");
    case 404:
        return error_hint(err, "is the path of the URL right?");
    case 406:
    case 415:
        return error_hint(err, "the TAM speaks another format than %s", OTRP_MEDIA_TYPE);
    case 301 ... 308:
        return error_hint(err, "--location follows redirects");
    default:
        return false;
    }
}

static bool check_type(const struct http_answer *answer, const char *wanted, const char *url,
                       struct error *err)
{
    AUTO(char) *type = strndup(answer->content_type, strcspn(answer->content_type, "; "));
    return (type && accept_includes(wanted, type)) ||
           error_set(err, RC_TRANSPORT, "%s: the answer is of type \"%.60s\", not %.80s", url,
                     answer->content_type, wanted);
}

bool send_session_post(send_session *session, struct span body, struct span *message,
                       struct error *err)
{
    const sending *s = session->sending;
    struct http_answer answer;
    unsigned long most = s->profile->http.message_bytes;
    if (most && body.size > most)
        return error_set(err, RC_MALFORMED, "%zu bytes, more than the %lu that a TAM of %s takes",
                         body.size, most, s->profile->name);
    if (!post(session, session->tam, body, &answer, err)) {
        if (s->profile->http.silent_failure && err->rc == RC_TRANSPORT)
            error_hint(err, "a TAM of %s gives no HTTP answer to what it does not take",
                       s->profile->name);
        return false;
    }
    if (answer.status < 200 || answer.status > 299)
        return bad_status(&answer, s->http->name(session->tam), err);
    *message = buffer_span(answer.body);
    if (message->size == 0) {
        if (answer.status != s->profile->http.end_status && !session->quiet && s->options->profile)
            say(s->call, "the TAM ends with status %d; a TAM of %s does with %d", answer.status,
                s->profile->name, s->profile->http.end_status);
        return true;
    }
    const char *wanted = s->options->accept ? s->options->accept : OTRP_MEDIA_TYPE;
    return check_type(&answer, wanted, s->http->name(session->tam), err) ||
           error_hint(err, "is this the URL of a TAM?");
}

/* The TEE. */

static bool step(const send_session *session, const struct tee_outcome *outcome)
{
    bool passed = outcome->code == ERR_NONE;
    if (!session->quiet)
        say(session->sending->call, "%s: %s%s%s", outcome->type->name,
            passed ? "pass" : error_code_name(outcome->code), passed ? "" : ": ",
            passed ? "" : outcome->error.message);
    return passed;
}

static bool fail_with(struct device_reply *reply, const struct tee_outcome *outcome)
{
    reply->failed = true;
    reply->error = outcome->error;
    error_prefix(&reply->error, "%s: %s", outcome->type ? outcome->type->name : "a message",
                 error_code_name(outcome->code));
    error_code_hint(&reply->error, error_code_name(outcome->code));
    reply->error.rc = RC_PEER;
    return true;
}

static bool broker_speaks(const send_session *session, struct device_reply *reply, const char *rid,
                          const char *tid, const struct error *why, struct error *err)
{
    if (!session->quiet)
        say(session->sending->call, "the TEE gives no answer: %s", why->message);
    reply->failed = true;
    reply->error = *why;
    reply->body = broker_error_make(rid, tid, ERR_AGENT_TEE_FAIL);
    return reply->body || error_memory(err);
}

static bool ask_local(send_session *session, struct span message, struct device_reply *reply,
                      struct error *err)
{
    struct tee_outcome outcome = {.code = ERR_NONE};
    struct error why = {.rc = RC_OK};
    if (!session->dev) { /* the host is the broker as well */
        reply->body = tee_host_answer(session->sending->host, session->name, message, &outcome,
                                      err);
        if (!reply->body)
            return outcome.silent ? reply->silent = true : false;
        return outcome.code == ERR_NONE || fail_with(reply, &outcome);
    }
    reply->body = tee_process(session->dev, message, &outcome, &why);
    if (reply->body)
        return step(session, &outcome) || fail_with(reply, &outcome);
    if (outcome.silent)
        return reply->silent = true;
    return broker_speaks(session, reply, outcome.rid, outcome.tid, &why, err);
}

static bool ask_remote(send_session *session, struct span message, struct device_reply *reply,
                       struct error *err)
{
    const char *url = session->sending->http->name(session->remote);
    struct http_answer answer;
    struct error why = {.rc = RC_OK};
    struct summary asked, said;
    summary_read(&asked, message, NULL);
    bool answered = post(session, session->remote, message, &answer, &why);
    if (answered && (answer.status < 200 || answer.status > 299))
        answered = error_set(&why, RC_TRANSPORT, "%s: HTTP status %d", url, answer.status);
    if (answered && answer.body->size && !check_type(&answer, OTRP_MEDIA_TYPE, url, &why))
        answered = false;
    if (!answered)
        return broker_speaks(session, reply, asked.rid, asked.tid, &why, err);
    if (answer.body->size == 0)
        return reply->silent = true;
    reply->body = buffer_copy(buffer_span(answer.body));
    if (!reply->body)
        return error_memory(err);
    summary_read(&said, buffer_span(answer.body), NULL);
    reply->failed = summary_failed(&said);
    AUTO(buffer) *line = buffer_new(128);
    if (line)
        summary_put_line(line, &said);
    if (line && !session->quiet)
        say(session->sending->call, "%s", (const char *)line->data);
    if (reply->failed) {
        error_set(&reply->error, RC_PEER, "%s", line ? (const char *)line->data : "fail");
        error_code_hint(&reply->error, said.code);
    }
    return true;
}

bool send_session_ask_tee(send_session *session, struct span message, struct device_reply *reply,
                          struct error *err)
{
    *reply = (struct device_reply){.body = NULL};
    return session->remote ? ask_remote(session, message, reply, err)
                           : ask_local(session, message, reply, err);
}

/* What the TAM said last, and how often one after the other. */
typedef struct repetition {
    buffer *message;
    unsigned count;
} repetition;

/* A TAM may ask again where the TEE was busy, but not for ever. */
static bool note_repetition(repetition *last, struct span message, struct error *err)
{
    if (last->count && span_equal(buffer_span(last->message), message)) {
        if (++last->count < MOST_SAME)
            return true;
        error_set(err, RC_TRANSPORT, "the TAM sends the same request again and again: %d times",
                  MOST_SAME);
        return error_hint(err, "its log may say what it finds wrong with the answer");
    }
    buffer_free(last->message);
    *last = (repetition){buffer_copy(message), 1};
    return last->message || error_memory(err);
}

static void repetition_end(repetition *last)
{
    buffer_free(last->message);
}
AUTO_DEFINE(repetition, repetition_end)

enum rc send_session_run(send_session *session, struct error *err)
{
    const struct applet_call *call = session->sending->call;
    struct device_reply reply = {.failed = false};
    AUTO(buffer) *body = buffer_new(0);
    repetition nothing = {NULL, 0};
    AUTO(repetition) *last = &nothing;
    for (unsigned steps = 0; body && steps < MOST_STEPS; steps++) {
        struct span message;
        bool unanswered = reply.failed && reply.error.rc != RC_PEER;
        if (!send_session_post(session, buffer_span(body), &message, err)) {
            if (unanswered) /* says more than the TAM's 400 to that */
                *err = reply.error;
            return err->rc;
        }
        if (unanswered)
            return *err = reply.error, err->rc;
        if (message.size == 0 && !session->quiet)
            say(call, "the session has ended");
        if (message.size == 0)
            return reply.failed ? *err = reply.error, err->rc : RC_OK;
        if (!note_repetition(last, message, err) ||
            !send_session_ask_tee(session, message, &reply, err))
            return err->rc;
        buffer_free(body);
        body = reply.body;
        if (reply.silent) {
            if (!session->quiet)
                say(call, "the TEE has nothing to say: the session has ended");
            return RC_OK;
        }
    }
    if (!body)
        return error_memory(err), err->rc;
    return error_set(err, RC_TRANSPORT, "the session does not end: %d messages", MOST_STEPS),
           err->rc;
}
