/* SPDX-License-Identifier: Apache-2.0 */
/* otrp tam-stub: a TAM over HTTP that brings devices into the state its policy describes, or walks
 * one through a scenario. */
#include "applets/broken.h"
#include "applets/server_log.h"
#include "applets/tam_stub_control.h"
#include "applets/tam_stub_setup.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/http.h"
#include "net/otrp_http.h"

enum { TICK_MS = 250 }; /* how often what waits is looked at */

static void words_format(void (*each)(void *context, const char *word), void *context)
{
    for (size_t i = 0; scenario_formats[i]; i++)
        each(context, scenario_formats[i]);
}

static const struct option_row options[] = {
    OPT_TEXT(tam_stub, pki, 0, "DIR", OPT_DIR,
             "PKI directory: the TAM's identity, TEE and firmware roots"),
    OPT_TEXT(tam_stub, tam, 0, "NAME", OPT_PKI_NAME, "TAM of the PKI directory (default mytam)"),
    OPT_TEXT(tam_stub, tam_key, 0, "KEY", OPT_FILE, "private key of the TAM"),
    OPT_TEXT(tam_stub, tam_cert, 0, "CHAIN", OPT_FILE,
             "certificate of the TAM and what is above it"),
    OPT_TEXT(tam_stub, ocsp, 0, "FILE", OPT_FILE, "stapling set, as made by pki-ocsp"),
    OPT_TEXT(tam_stub, alt_key, 0, "KEY", OPT_FILE,
             "second key of the TAM, for devices that do not know the first one's algorithm"),
    OPT_TEXT(tam_stub, alt_cert, 0, "CHAIN", OPT_FILE, "certificate for --alt-key"),
    OPT_TEXT(tam_stub, alt_ocsp, 0, "FILE", OPT_FILE, "stapling set for --alt-cert"),
    OPT_TEXT(tam_stub, tee_root, 0, "ROOTS", OPT_FILE, "TEE roots to trust, a file or folder"),
    OPT_TEXT(tam_stub, tfw_root, 0, "ROOTS", OPT_FILE, "firmware roots and CAs, a file or folder"),
    OPT_TEXT(tam_stub, tee_key, 0, "KEY", OPT_FILE,
             "public key of the devices, pinned, for a profile without certificates"),
    OPT_TEXT(tam_stub, aik, 0, "KEY", OPT_FILE,
             "public SP AIK, pinned, for devices whose state names none"),
    OPT_TEXT(tam_stub, policy, 'p', "FILE", OPT_FILE,
             "desired state of the devices (default: only ask for their state)"),
    OPT_TEXT(tam_stub, scenario, 0, "FILE", OPT_FILE,
             "walk the first session through these steps, then stop"),
    OPT_WORDS(tam_stub, report, 0, "FORMAT[:FILE]", words_format, 0,
              "report the scenario as tap, junit or json (default: standard output)"),
    OPT_TEXT(tam_stub, state, 0, "DIR", OPT_DIR,
             "remember there what devices were sent (default: until the end)"),
    OPT_TEXT(tam_stub, listen, 'l', "ADDR:PORT", 0,
             "where to listen; port 0 picks one (default 127.0.0.1:8080)"),
    OPT_TEXT(tam_stub, tls_cert, 0, "FILE", OPT_FILE, "PEM chain: serve https"),
    OPT_TEXT(tam_stub, tls_key, 0, "FILE", OPT_FILE, "PEM key for --tls-cert"),
    OPT_NUMBER(tam_stub, deadline, 0, "SECONDS", 1, 3600,
               "time a client has for a whole request (default 30)"),
    OPT_NUMBER(tam_stub, max_bytes, 0, "N", 1024, LIMIT_FILE_BYTES,
               "largest message that is accepted (default 4 MiB)"),
    OPT_NUMBER(tam_stub, max_total, 0, "N", 1024, 1L << 40,
               "bytes of all messages held at once; more is answered with 503 (default 64 MiB)"),
    OPT_NUMBER(tam_stub, session_timeout, 0, "SECONDS", 1, 86400,
               "a session without an answer for so long is forgotten (default 300)"),
    OPT_NUMBER(tam_stub, max_sessions, 0, "N", 1, 1000000,
               "sessions that wait for an answer at once (default 4096)"),
    OPT_TEXT(tam_stub, control_key, 0, "KEY", OPT_FILE,
             "serve /control to bearer tokens of this key (see otrp token)"),
    OPT_LIST(tam_stub, fault, 0, "NAME", OPT_LISTED,
             "do this wrong on purpose: a name, or list (repeatable)"),
    OPT_FLAG(tam_stub, once, 0, 0, "stop when the first session has ended"),
    OPT_END};

/* Stops the server as if it had been asked to: what is under way is finished. */
static void stop_server(void)
{
    kill(getpid(), SIGTERM);
}

/* ---- what the TAM tells ---- */

static void on_log(void *context, const struct tam_note *note)
{
    const tam_setup *s = context;
    tam_log(s->call, "session", note);
}

static void on_end(void *context, const struct tam_note *how, bool well)
{
    const tam_setup *s = context;
    const struct tam_stub *o = s->call->options;
    control_note_end(s, how, well);
    if (o->once || s->run)
        stop_server();
}

static int status_of(enum tam_outcome outcome)
{
    static const int statuses[] = {[TAM_REQUEST] = 200,
                                   [TAM_DONE] = 204,
                                   [TAM_REFUSED] = 400,
                                   [TAM_STRANGER] = 400,
                                   [TAM_FAILED] = 500};
    return statuses[outcome];
}

static void on_exchange(void *context, const struct tam_exchange *exchange)
{
    control_note_exchange(context, exchange, status_of(exchange->outcome));
}

/* ---- HTTP ---- */

static const char *tam_path(const tam_setup *s)
{
    return s->profile->http.path ? s->profile->http.path : "/tam";
}

/* Does wrong what --fault asks for, with a reply that would be right. */
static void spoil(tam_setup *s, const struct http_request *request, struct http_reply *reply)
{
    buffer *other = NULL;
    if (!s->faults || (s->faults->server != FAULT_REDIRECT_LOOP && !reply->body))
        return;
    switch (s->faults->server) {
    case FAULT_WRONG_STATUS:
        reply->status = 500;
        break;
    case FAULT_WRONG_TYPE:
        reply->content_type = "text/html";
        break;
    case FAULT_REDIRECT_LOOP:
        reply->status = 307;
        reply->location = tam_path(s);
        buffer_free(TAKE(reply->body));
        break;
    case FAULT_HALF_ANSWER:
        reply->half = true;
        break;
    case FAULT_SILENCE:
        reply->silent = true;
        break;
    case FAULT_OTHER_SESSION:
        if (request->body.size && tam_answer(s->tam, SPAN(NULL, 0), false, &other) == TAM_REQUEST) {
            buffer_free(reply->body);
            reply->body = other;
        }
        break;
    default:
        break;
    }
}

/* Whether the request may be answered; *deletes: it went where the profile deletes TAs. */
static bool accepts(const tam_setup *s, const struct http_request *request, bool *deletes,
                    struct http_reply *reply)
{
    const struct profile_http *http = &s->profile->http;
    *deletes = http->delete_path && strcmp(request->path, http->delete_path) == 0;
    if (!otrp_http_accepts(request, *deletes ? http->delete_path : tam_path(s), reply))
        return false;
    if (!http->accept_exact || strcmp(request->accept, OTRP_MEDIA_TYPE) == 0)
        return true;
    *reply = (struct http_reply){.status = 406};
    return false;
}

static void respond(void *context, const struct http_request *request, struct http_reply *reply)
{
    tam_setup *s = context;
    bool deletes;
    if (control_answers(s, request, reply) || !accepts(s, request, &deletes, reply))
        return;
    buffer *message = NULL;
    enum tam_outcome outcome = tam_answer(s->tam, request->body, deletes, &message);
    *reply = (struct http_reply){.status = status_of(outcome),
                                 .content_type = message ? OTRP_MEDIA_TYPE : NULL,
                                 .body = message};
    if (outcome == TAM_DONE)
        reply->status = s->profile->http.end_status;
    reply->silent = s->profile->http.silent_failure && reply->status >= 400;
    spoil(s, request, reply);
}

static void access_log(void *context, const struct http_request *request, int status, size_t in,
                       size_t out, double elapsed_ms)
{
    const tam_setup *s = context;
    server_log_access(s->call, request, status, in, out, elapsed_ms);
}

/* ---- the run ---- */

/* "tap:FILE": the format, and where the report goes. */
struct report_target {
    const char *format, *path;
};

static bool parse_report(const struct tam_stub *o, struct report_target *target, struct error *err)
{
    *target = (struct report_target){NULL, "-"};
    if (!o->report)
        return true;
    if (!o->scenario)
        return error_set(err, RC_USAGE, "--report is for a --scenario");
    size_t length = strcspn(o->report, ":");
    for (size_t i = 0; scenario_formats[i]; i++)
        if (strlen(scenario_formats[i]) == length &&
            strncmp(scenario_formats[i], o->report, length) == 0)
            target->format = scenario_formats[i];
    if (o->report[length])
        target->path = o->report + length + 1;
    return target->format ||
           error_set(err, RC_USAGE, "--report: '%.*s' is no format: choose from tap, junit, json",
                     (int)length, o->report);
}

static void say_difference(void *context, const char *line)
{
    tam_warn(context, "%s", line);
}

static enum rc report_scenario(tam_setup *s, const struct report_target *target, struct error *err)
{
    if (target->format) {
        AUTO(buffer) *text = scenario_report(s->run, target->format, err);
        enum rc rc = text ? call_put(s->call, target->path, buffer_span(text), OUTPUT_PUBLIC, err)
                          : err->rc;
        if (rc != RC_OK)
            return rc;
    }
    size_t different = scenario_differences(s->run, say_difference, (void *)s->call);
    if (!different)
        return RC_OK;
    error_set(err, RC_PARTIAL, "the scenario went otherwise than expected: %zu of %zu steps",
              different, s->scenario->count);
    return err->rc;
}

/* Does what is to be done now and then, until a signal says to stop; false at a system error. */
static bool tend_until_stopped(tam_setup *s, const sigset_t *signals)
{
    const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
    for (;;) {
        int number = sigtimedwait(signals, NULL, &tick);
        if (number == SIGINT || number == SIGTERM)
            return true;
        if (number == SIGHUP)
            tam_setup_reload(s);
        else if (number < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        tam_expire(s->tam);
        tam_setup_tend(s);
    }
}

/* Every fault: of the server, and of the messages. */
static enum rc list_faults(const struct applet_call *call, struct error *err)
{
    struct broken_row *own = calloc(server_fault_count, sizeof *own);
    if (!own)
        return error_memory(err), err->rc;
    for (size_t i = 0; i < server_fault_count; i++)
        own[i] = (struct broken_row){server_faults[i].name, server_faults[i].title};
    enum rc rc = broken_list_with(call, MUTATION_REQUEST, NULL, own, server_fault_count, err);
    free(own);
    return rc;
}

static bool check_options(const struct tam_stub *o, struct error *err)
{
    if (!o->tls_cert != !o->tls_key)
        return error_set(err, RC_USAGE, "--tls-cert and --tls-key go together");
    if (o->policy && o->scenario)
        return error_set(err, RC_USAGE, "--policy and --scenario exclude each other");
    return true;
}

/* Serves over HTTP, from the URL on standard output to a signal that says to stop. */
static bool serve(tam_setup *s, const struct http_server_api *http, struct error *err)
{
    const struct tam_stub *o = s->call->options;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    struct http_server *server = http->start(
        &(struct http_server_options){
            .listen = o->listen ? o->listen : "127.0.0.1:8080",
            .max_bytes = o->max_bytes                     ? (size_t)o->max_bytes
                         : s->profile->http.message_bytes ? s->profile->http.message_bytes
                                                          : LIMIT_ANSWER_BYTES,
            .max_total = (size_t)o->max_total,
            .deadline_ms = o->deadline ? (unsigned)o->deadline * 1000 : 30000,
            .tls_cert = o->tls_cert,
            .tls_key = o->tls_key,
            .respond = respond,
            .log = access_log,
            .context = s},
        err);
    if (!server)
        return false;
    printf("%s%s\n", http->url(server), tam_path(s));
    bool served = stdout_flush(err);
    if (served && !tend_until_stopped(s, &signals))
        served = error_errno(err, RC_INTERNAL, "cannot wait for signals");
    http->stop(server);
    return served;
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct tam_stub *o = call->options;
    struct report_target report;
    if (broken_is_list(&o->fault))
        return list_faults(call, err);
    tam_setup loaded = {.call = call, .profile = profile_find(call->common->profile)};
    AUTO(tam_setup) *s = &loaded;
    const struct tam_listener listener = {
        .log = on_log, .exchanged = on_exchange, .ended = on_end, .context = s};
    if (!check_options(o, err) || !parse_report(o, &report, err) ||
        !tam_setup_load(s, &listener, err))
        return err->rc;
    AUTO(output_set) *check = output_set_new(call->common->force);
    if (!check || !output_possible(check, report.path, err))
        return err->rc;
    const struct http_server_api *http = http_server_load(err);
    if (!http || !serve(s, http, err))
        return err->rc;
    return s->run ? report_scenario(s, &report, err) : RC_OK;
}

const struct applet applet_tam_stub = {
    .uses = USES_KEYS | USES_NOW | USES_JSON | USES_FORCE | USES_PROFILE | USES_LENIENT,
    .options = options,
    .size = sizeof(struct tam_stub),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp tam-stub --pki pki --policy samples/policies/install.json",
            "otrp tam-stub --tam-key tam.pem --tam-cert chain.pem --ocsp "
            "ocsp.json --tee-root roots/ "
            "--listen 127.0.0.1:0",
            "otrp tam-stub --pki pki --scenario samples/scenarios/lifecycle.json --report "
            "junit:report.xml",
            NULL},
};
