/* SPDX-License-Identifier: Apache-2.0 */
/* otrp send: post one message to a TAM, or be the broker between a TAM and a device for a whole
 * session. */
#include "applets/common.h"

#include <stdio.h>
#include <string.h>

#include "net/http.h"
#include "net/otrp_http.h"
#include "net/transcript.h"
#include "otrp/response.h"
#include "sim/tee.h"

enum { MOST_STEPS = 1000 };

struct send {
    const char *url, *tee, *device, *accept, *cacert, *cert, *key, *transcript, *out, *message;
    struct text_list header;
    long timeout, connect_timeout, wait, max_bytes;
    bool location;
};

static const struct option_row options[] = {
    OPT_TEXT(send, url, 'u', "URL", OPT_REQUIRED, "the TAM"),
    OPT_TEXT(send, tee, 0, "STATE", OPT_DIR,
             "run a whole session for the software TEE of this state folder"),
    OPT_TEXT(send, device, 0, "NAME", 0, "device of the state folder (default: the only one)"),
    OPT_TEXT(send, transcript, 0, "FILE", OPT_FILE,
             "record what goes over the wire, as JSON lines"),
    OPT_NUMBER(send, timeout, 0, "SECONDS", 1, 86400, "wait so long for an answer (default 30)"),
    OPT_NUMBER(send, connect_timeout, 0, "SECONDS", 1, 86400,
               "wait so long for a connection (default 10)"),
    OPT_NUMBER(send, wait, 0, "SECONDS", 0, 86400,
               "try again for so long while nothing listens there yet (default 0)"),
    OPT_NUMBER(send, max_bytes, 0, "N", 1024, LIMIT_FILE_BYTES,
               "largest message that is accepted (default 64 MiB)"),
    OPT_TEXT(send, cacert, 0, "FILE", OPT_FILE, "trust these CAs for https"),
    OPT_TEXT(send, cert, 0, "FILE", OPT_FILE, "client certificate for https"),
    OPT_TEXT(send, key, 0, "FILE", OPT_FILE, "its private key"),
    OPT_LIST(send, header, 'H', "NAME:VALUE", 0, "send this header, too; repeatable"),
    OPT_TEXT(send, accept, 0, "TYPE", 0, "Accept header (default application/otrp+json)"),
    OPT_FLAG(send, location, 'L', 0, "follow redirects"),
    OPT_TEXT(send, out, 'o', "FILE", OPT_FILE,
             "write the TAM's message to FILE (default: standard output)"),
    OPERAND(send, message, "MESSAGE", OPT_FILE,
            "what to post (default: nothing, which starts a session)"),
    OPT_END};

/* The connection to the TAM, and what goes over it. */
typedef struct exchange {
    const struct applet_call *call;
    const struct http_client_api *http;
    struct http_client *client;
    transcript *transcript;
} exchange;

static void exchange_free(exchange *x)
{
    if (x->http)
        x->http->close(x->client);
    transcript_close(x->transcript);
}
AUTO_DEFINE(exchange, exchange_free)

static bool exchange_open(exchange *x, struct error *err)
{
    const struct send *o = x->call->options;
    x->transcript = transcript_open(o->transcript, x->call->common->force, err);
    if (o->transcript && !x->transcript)
        return false;
    x->http = http_client_load(err);
    if (!x->http)
        return false;
    x->client = x->http->open(
        &(struct http_client_options){
            .url = o->url,
            .accept = o->accept,
            .timeout_ms = (o->timeout ? o->timeout : 30) * 1000,
            .connect_timeout_ms = (o->connect_timeout ? o->connect_timeout : 10) * 1000,
            .max_bytes = o->max_bytes ? (size_t)o->max_bytes : LIMIT_MESSAGE_BYTES,
            .cacert = o->cacert,
            .cert = o->cert,
            .key = o->key,
            .headers = &o->header,
            .follow_redirects = o->location},
        err);
    return x->client != NULL;
}

static bool record(exchange *x, enum transcript_direction direction, struct span body,
                   const struct http_answer *answer, struct error *err)
{
    const struct send *o = x->call->options;
    bool ours = direction == TRANSCRIPT_REQUEST;
    return transcript_put(
        x->transcript,
        &(struct transcript_entry){.direction = direction,
                                   .from = ours ? "tee" : "tam",
                                   .to = ours ? "tam" : "tee",
                                   .url = o->url,
                                   .status = answer ? answer->status : 0,
                                   .headers = answer ? buffer_span(answer->headers) : SPAN(NULL, 0),
                                   .body = body,
                                   .elapsed_ms = answer ? answer->elapsed_ms : 0,
                                   .clock = &x->call->clock},
        err);
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

/* Posts body; *message is what the TAM says, empty at the end of the session, valid until the next
 * post. */
static bool post(exchange *x, struct span body, struct span *message, struct error *err)
{
    const struct send *o = x->call->options;
    struct http_answer answer;
    if (!record(x, TRANSCRIPT_REQUEST, body, NULL, err) ||
        !x->http->post(x->client, body, &answer, err) ||
        !record(x, TRANSCRIPT_RESPONSE, buffer_span(answer.body), &answer, err))
        return false;
    if (answer.status < 200 || answer.status > 299)
        return bad_status(&answer, o->url, err);
    *message = buffer_span(answer.body);
    AUTO(char) *type = strndup(answer.content_type, strcspn(answer.content_type, "; "));
    const char *wanted = o->accept ? o->accept : OTRP_MEDIA_TYPE;
    if (message->size == 0 || (type && accept_includes(wanted, type)))
        return true;
    error_set(err, RC_TRANSPORT, "%s: the answer is of type \"%.60s\", not %.80s", o->url,
              answer.content_type, wanted);
    return error_hint(err, "is this the URL of a TAM?");
}

static enum rc send_one(exchange *x, struct error *err)
{
    const struct send *o = x->call->options;
    AUTO(buffer) *body = o->message ? input_read(o->message, LIMIT_FILE_BYTES, err) : buffer_new(0);
    struct span message;
    if (!body || !post(x, buffer_span(body), &message, err))
        return err->rc;
    if (message.size == 0) {
        say(x->call, "the TAM has nothing more to say");
        return RC_OK;
    }
    return call_put(x->call, o->out, message, OUTPUT_PUBLIC, err);
}

/* The device's answer to a message of the TAM, or the broker's when the device gives none. */
static buffer *device_answer(exchange *x, device *dev, struct span message,
                             struct tee_outcome *outcome, bool *answered, struct error *err)
{
    buffer *answer = tee_process(dev, message, outcome, err);
    *answered = answer != NULL;
    if (answer) {
        say(x->call, "%s: %s%s%s", outcome->type->name,
            outcome->code == ERR_NONE ? "pass" : error_code_name(outcome->code),
            outcome->code == ERR_NONE ? "" : ": ",
            outcome->code == ERR_NONE ? "" : outcome->error.message);
        return answer;
    }
    say(x->call, "the TEE gives no answer: %s", err->message);
    return broker_error_make(outcome->rid, outcome->tid, ERR_AGENT_TEE_FAIL);
}

static enum rc run_session(exchange *x, device *dev, struct error *err)
{
    struct tee_outcome outcome = {.code = ERR_NONE};
    struct error unanswered = {.rc = RC_OK};
    AUTO(buffer) *body = buffer_new(0);
    for (unsigned step = 0; body && step < MOST_STEPS; step++) {
        struct span message;
        if (!post(x, buffer_span(body), &message, err)) {
            if (unanswered.rc != RC_OK)
                *err = unanswered; /* why the TEE gave no answer says more than the TAM's 400 to
                                      that */
            return err->rc;
        }
        if (unanswered.rc != RC_OK)
            return *err = unanswered, err->rc;
        if (message.size == 0) {
            say(x->call, "the session has ended");
            if (outcome.code == ERR_NONE)
                return RC_OK;
            *err = outcome.error;
            error_prefix(err, "%s: %s", outcome.type->name, error_code_name(outcome.code));
            return err->rc = RC_PEER;
        }
        bool answered;
        buffer_free(body);
        body = device_answer(x, dev, message, &outcome, &answered, err);
        if (!answered)
            unanswered = *err;
    }
    return body ? error_set(err, RC_TRANSPORT, "the session does not end: %d messages", MOST_STEPS),
           err->rc : (error_memory(err), err->rc);
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct send *o = call->options;
    if (o->tee && o->message)
        return error_set(err, RC_USAGE, "--tee runs a whole session, so it takes no MESSAGE"),
               err->rc;
    AUTO(device) *dev = o->tee ? device_open(o->tee, o->device, err) : NULL;
    if (o->tee && !dev)
        return err->rc;
    AUTO(output_set) *check = output_set_new(call->common->force);
    if (!check || !output_possible(check, o->out, err)) /* before the TAM acts on the message */
        return err->rc;
    exchange opened = {.call = call};
    AUTO(exchange) *x = &opened;
    if (!exchange_open(x, err))
        return err->rc;
    if (!dev)
        return send_one(x, err);
    dev->clock = call->clock;
    return run_session(x, dev, err);
}

const struct applet applet_send = {
    .uses = USES_NOW | USES_FORCE | USES_JSON,
    .options = options,
    .size = sizeof(struct send),
    .run = run,
    .examples =
        (const char *const[]){"otrp send --url http://127.0.0.1:8080/tam --tee device",
                              "otrp send --url http://127.0.0.1:8080/tam > gds.json",
                              "otrp send --url http://127.0.0.1:8080/tam state.json -o next.json",
                              NULL},
};
