/* SPDX-License-Identifier: Apache-2.0 */
/* otrp send: post one message to a TAM, or be the broker between a TAM and a device for a whole
 * session, or for many. */
#include "applets/send.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/otrp_http.h"
#include "net/summary.h"

enum { MOST_JOBS = 1024, MOST_SESSIONS = 10000000 };

static const struct option_row options[] = {
    OPT_TEXT(send, url, 'u', "URL", OPT_REQUIRED, "the TAM"),
    OPT_TEXT(send, tee, 0, "STATE", OPT_DIR,
             "run a whole session for the software TEE of this state folder"),
    OPT_TEXT(send, device, 0, "NAME", 0, "device of the state folder (default: the only one)"),
    OPT_TEXT(send, device_url, 0, "URL", 0, "run a whole session for the TEE behind this URL"),
    OPT_TEXT(send, transcript, 0, "FILE", OPT_FILE,
             "record what goes over the wire, as JSON lines"),
    OPT_FLAG(send, trace, 0, 0, "show headers and decoded messages on standard error"),
    OPT_FLAG(send, offline, 0, 0,
             "speak to nobody: write the HTTP request that would be sent; with --tee, MESSAGE is "
             "the TAM's"),
    OPT_NUMBER(send, repeat, 'n', "N", 1, MOST_SESSIONS,
               "run so many sessions, the devices of the state folder in turn, and sum up"),
    OPT_NUMBER(send, jobs, 'j', "M", 1, MOST_JOBS, "so many sessions at a time (default 1)"),
    OPT_CHOICE(send, profile, 0, "NAME", profile_names, 0,
               "speak to a TAM of this implementation (default ietf)"),
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
             "write the TAM's message, or the summary, to FILE (default: standard output)"),
    OPERAND(send, message, "MESSAGE", OPT_FILE,
            "what to post (default: nothing, which starts a session)"),
    OPT_END};

/* Options that would be without effect are refused: who gives them expects one. */
static bool check_options(const struct send *o, struct error *err)
{
    bool session = o->tee || o->device_url;
    bool https = strncasecmp(o->url, "https:", 6) == 0 ||
                 (o->device_url && strncasecmp(o->device_url, "https:", 6) == 0);
    const struct {
        bool wrong;
        const char *why;
    } rules[] = {
        {o->tee && o->device_url, "--tee and --device-url: a session has one device"},
        {o->tee && o->message && !o->offline, "--tee runs a whole session, so it takes no MESSAGE"},
        {o->device_url && o->message, "--device-url runs a whole session, so it takes no MESSAGE"},
        {session && o->out && !o->repeat && !o->offline,
         "--out: a whole session has no result to write; --transcript records it"},
        {o->device && !o->tee, "--device is one of --tee"},
        {!https && o->cacert, "--cacert is for https, and the URL is not"},
        {!https && o->cert, "--cert is for https, and the URL is not"},
        {o->key && !o->cert, "--key belongs to --cert"},
        {o->jobs && !o->repeat, "--jobs is of --repeat"},
        {o->repeat && o->trace, "--trace shows one session, not many"},
        {o->offline && (o->device_url || o->repeat || o->transcript || o->trace || o->wait),
         "--offline speaks to nobody: it takes no --device-url, --repeat, --transcript, --trace "
         "and --wait"},
    };
    for (size_t i = 0; i < COUNT(rules); i++)
        if (rules[i].wrong)
            return error_set(err, RC_USAGE, "%s", rules[i].why);
    return true;
}

/* What is different with a TAM of the profile is said, since it is not what the draft has. */
static bool take_profile(sending *s, struct error *err)
{
    const struct send *o = s->options;
    s->profile = profile_find(o->profile);
    const struct profile_http *http = &s->profile->http;
    size_t root = strcspn(o->url, ":");
    root += strncmp(o->url + root, "://", 3) == 0 ? 3 : 0;
    root += strcspn(o->url + root, "/?#");
    bool pathless = !o->url[root] || strcmp(o->url + root, "/") == 0;
    if (asprintf(&s->url, "%.*s%s", (int)root, o->url,
                 pathless && http->path ? http->path : o->url + root) < 0)
        s->url = NULL;
    if (!s->url)
        return error_memory(err);
    if (http->accept_exact && o->accept && strcmp(o->accept, OTRP_MEDIA_TYPE) != 0)
        return error_set(err, RC_USAGE, "--accept: a TAM of %s takes nothing but %s",
                         s->profile->name, OTRP_MEDIA_TYPE);
    const char *name = s->profile->name;
    if (http->path && strcmp(s->url, o->url) != 0)
        say(s->call, "%s: its TAM is at %s", name, http->path);
    if (http->accept_exact)
        say(s->call, "%s: Accept is %s and nothing else", name, OTRP_MEDIA_TYPE);
    if (http->silent_failure)
        say(s->call, "%s: its TAM gives no HTTP answer to a failure; --timeout ends the wait",
            name);
    if (http->end_status != profile_find(NULL)->http.end_status)
        say(s->call, "%s: status %d without a body ends a session", name, http->end_status);
    if (http->message_bytes)
        say(s->call, "%s: its TAM refuses messages above %lu bytes", name, http->message_bytes);
    return true;
}

bool send_prepare(sending *s, struct error *err)
{
    const char *path = s->options->transcript;
    s->http = http_client_load(err);
    if (!s->http)
        return false;
    s->transcript = transcript_open(path, s->call->common->force, err);
    return !path || s->transcript;
}

static enum rc send_one(send_session *session, struct span body, struct error *err)
{
    const struct applet_call *call = session->sending->call;
    struct span message;
    if (!send_session_post(session, body, &message, err))
        return err->rc;
    if (message.size == 0) {
        say(call, "the TAM has nothing more to say");
        return RC_OK;
    }
    return call_put(call, session->sending->options->out, message, OUTPUT_PUBLIC, err);
}

/* The request that would be sent, head and body. */
static enum rc show_request(send_session *session, struct span body, struct error *err)
{
    const sending *s = session->sending;
    AUTO(buffer) *shown = s->http->preview(session->tam, body);
    if (!shown)
        return error_memory(err), err->rc;
    buffer_put_span(shown, body);
    return call_put_buffer(s->call, s->options->out, TAKE(shown), OUTPUT_PUBLIC, err);
}

/* With a TEE, MESSAGE is the TAM's: its answer is what would be sent. */
static enum rc offline(send_session *session, struct span message, struct error *err)
{
    struct device_reply reply = {.body = NULL};
    if (!session->dev || message.size == 0)
        return show_request(session, message, err);
    if (!send_session_ask_tee(session, message, &reply, err))
        return err->rc;
    AUTO(buffer) *body = reply.body;
    if (reply.silent)
        return RC_OK;
    enum rc rc = show_request(session, buffer_span(body), err);
    return rc == RC_OK && reply.failed ? *err = reply.error, err->rc : rc;
}

static enum rc run_one(sending *s, struct span body, struct error *err)
{
    const struct send *o = s->options;
    AUTO(device) *dev = o->tee ? device_open(o->tee, o->device, err) : NULL;
    if ((o->tee && !dev) || !send_prepare(s, err))
        return err->rc;
    send_session opened = {.sending = NULL};
    AUTO(send_session) *session = &opened;
    if (!send_session_open(session, s, err))
        return err->rc;
    session->dev = TAKE(dev);
    if (session->dev)
        session->dev->clock = s->call->clock;
    if (o->offline)
        return offline(session, body, err);
    return session->dev || session->remote ? send_session_run(session, err)
                                           : send_one(session, body, err);
}

static void sending_end(sending *s)
{
    transcript_drop(s->transcript); /* where nobody was spoken to */
    transcript_close(s->transcript);
    free(s->url);
}
AUTO_DEFINE(sending, sending_end)

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct send *o = call->options;
    if (!check_options(o, err))
        return err->rc;
    sending made = {.call = call, .options = o};
    AUTO(sending) *s = &made;
    if (!take_profile(s, err))
        return err->rc;
    AUTO(output_set) *check = output_set_new(call->common->force);
    if (!check || !output_possible(check, o->out, err)) /* before the TAM acts on the message */
        return err->rc;
    AUTO(buffer) *body = o->message ? input_read(o->message, LIMIT_FILE_BYTES, err) : buffer_new(0);
    if (!body)
        return err->rc;
    return o->repeat ? send_many(s, buffer_span(body), err) : run_one(s, buffer_span(body), err);
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
                              "otrp send --url http://127.0.0.1:8080/tam --tee fleet --repeat 1000 "
                              "--jobs 50",
                              NULL},
};
