/* SPDX-License-Identifier: Apache-2.0 */
/* otrp tee-sim serve: devices behind HTTP, for a TAM that is the client. */
#include "applets/tee_sim.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "applets/broken.h"
#include "applets/server_log.h"
#include "net/http.h"
#include "net/otrp_http.h"
#include "sim/tee_fault.h"
#include "sim/tee_host.h"

const struct option_row tee_serve_options[] = {
    OPT_TEXT(tee_serve, state, 's', "DIR", OPT_DIR, "state folder (required)"),
    OPT_TEXT(tee_serve, device, 0, "NAME", 0,
             "device of the folder (default: all; POST /NAME is to one of them)"),
    OPT_TEXT(tee_serve, listen, 'l', "ADDR:PORT", 0,
             "where to listen; port 0 picks one (default 127.0.0.1:0)"),
    OPT_TEXT(tee_serve, tls_cert, 0, "FILE", OPT_FILE, "PEM chain: serve https"),
    OPT_TEXT(tee_serve, tls_key, 0, "FILE", OPT_FILE, "PEM key for --tls-cert"),
    OPT_NUMBER(tee_serve, wait, 0, "S", 1, TEE_SIM_MOST_WAIT,
               "wait so many seconds for others on the folder, then answer ERR_AGENT_TEE_BUSY "
               "(default 10)"),
    OPT_LIST(tee_serve, fault, 0, "NAME", OPT_LISTED,
             "misbehave in this way; repeatable; 'list' names them all"),
    OPT_NUMBER(tee_serve, deadline, 0, "SECONDS", 1, 3600,
               "time a client has for a whole request (default 30)"),
    OPT_NUMBER(tee_serve, max_bytes, 0, "N", 1024, LIMIT_FILE_BYTES,
               "largest message that is accepted (default 64 MiB)"),
    OPT_END};

struct service {
    const struct applet_call *call;
    tee_host *host;
};

/* A line about what a device made of a message. */
static void tell(const struct service *s, const char *name, const struct tee_outcome *outcome)
{
    const char *type = outcome->type ? outcome->type->name : "message";
    bool passed = outcome->code == ERR_NONE;
    if (s->call->common->quiet)
        return;
    if (s->call->common->json)
        server_log_json(s->call, "answer",
                        json_pack("{s:o*, s:s, s:s*, s:o*}", "device", json_text_of(name),
                                  "message", type, "code",
                                  passed ? NULL : error_code_name(outcome->code), "text",
                                  passed ? NULL : json_text_of(outcome->error.message)));
    else if (passed)
        say(s->call, "%s%s%s: pass", name ? name : "", name ? ": " : "", type);
    else
        say(s->call, "%s%s%s: %s: %s", name ? name : "", name ? ": " : "", type,
            error_code_name(outcome->code), outcome->error.message);
}

static void respond(void *context, const struct http_request *asked, struct http_reply *reply)
{
    struct service *s = context;
    const char *name = asked->path[0] == '/' && asked->path[1] ? asked->path + 1 : NULL;
    bool known = !name || tee_host_has(s->host, name);
    if (!otrp_http_accepts(asked, known ? asked->path : "/", reply))
        return;
    *reply = (struct http_reply){.status = 204};
    if (asked->body.size == 0) /* a TEE has nothing to say by itself */
        return;
    struct tee_outcome outcome;
    struct error err;
    buffer *answer = tee_host_answer(s->host, name, asked->body, &outcome, &err);
    if (answer)
        *reply = (struct http_reply){
            .status = 200, .content_type = OTRP_MEDIA_TYPE, .body = answer};
    else if (!outcome.silent)
        *reply = (struct http_reply){.status = 500};
    tell(s, name, &outcome);
}

static void access_log(void *context, const struct http_request *asked, int status, size_t in,
                       size_t out, double elapsed_ms)
{
    const struct service *s = context;
    server_log_access(s->call, asked, status, in, out, elapsed_ms);
}

/* Prints the URL, and serves until it is asked to stop. */
static bool wait_for_stop(const struct http_server_api *http, const struct http_server *server,
                          const sigset_t *stop, struct error *err)
{
    int signal_number = 0;
    printf("%s/\n", http->url(server));
    if (!stdout_flush(err))
        return false;
    return sigwait(stop, &signal_number) == 0 ||
           error_set(err, RC_INTERNAL, "cannot wait for signals");
}

enum rc tee_serve_run(const struct applet_call *call, struct error *err)
{
    const struct tee_serve *o = call->options;
    if (broken_is_list(&o->fault))
        return tee_sim_fault_list(call, err);
    if (!tee_sim_state_given(o->state, err))
        return err->rc;
    if (!o->tls_cert != !o->tls_key)
        return error_set(err, RC_USAGE, "--tls-cert and --tls-key go together"), err->rc;
    AUTO(tee_host) *host = tee_host_open(o->state, o->device, call->clock, o->wait * 1000, err);
    const struct http_server_api *http = host ? http_server_load(err) : NULL;
    if (!http)
        return err->rc;
    AUTO(tee_faults) *faults = NULL;
    if (o->fault.count) {
        if (!(faults = tee_faults_new(&o->fault, clock_now(&call->clock), err)))
            return err->rc;
        faults->where_fit = true;
        tee_host_break(host, faults);
    }
    struct service service = {.call = call, .host = host};
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    struct http_server *server = http->start(
        &(struct http_server_options){
            .listen = o->listen ? o->listen : "127.0.0.1:0",
            .max_bytes = o->max_bytes ? (size_t)o->max_bytes : LIMIT_MESSAGE_BYTES,
            .deadline_ms = o->deadline ? (unsigned)o->deadline * 1000 : 30000,
            .tls_cert = o->tls_cert,
            .tls_key = o->tls_key,
            .respond = respond,
            .log = access_log,
            .context = &service},
        err);
    if (!server)
        return err->rc;
    bool served = wait_for_stop(http, server, &stop, err);
    http->stop(server);
    return served ? RC_OK : err->rc;
}
