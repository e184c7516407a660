/* SPDX-License-Identifier: Apache-2.0 */
/* otrp proxy: stand between a device and its TAM, change nothing, and tell what was said. */
#include "applets/common.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/http.h"
#include "net/proxy.h"
#include "net/summary.h"
#include "net/transcript.h"

enum {
    DEFAULT_KEPT = 16 << 20, /* bytes of a body that are recorded */
    TOTAL_KEPT = 256 << 20,  /* of all bodies that wait to be recorded */
    QUEUE_MESSAGES = 20000   /* that wait to be recorded */
};

struct proxy_options_given {
    const char *listen, *upstream, *transcript, *cacert, *client_cert, *client_key;
    struct text_list key;
    long timeout, connect_timeout, max_bytes;
};

static const struct option_row options[] = {
    OPT_TEXT(proxy_options_given, listen, 'l', "ADDR:PORT", 0,
             "where to listen; port 0 picks one (default 127.0.0.1:0)"),
    OPT_TEXT(proxy_options_given, upstream, 'u', "URL", OPT_REQUIRED, "the TAM, http or https"),
    OPT_TEXT(proxy_options_given, transcript, 0, "FILE", OPT_FILE,
             "record what goes over the wire, as JSON lines"),
    OPT_LIST(proxy_options_given, key, 'k', "KEY", OPT_FILE,
             "private key of the TAM or the TEE: tell what is in the messages that it opens; "
             "repeatable"),
    OPT_NUMBER(proxy_options_given, timeout, 0, "SECONDS", 1, 86400,
               "how long either side may be silent (default 60)"),
    OPT_NUMBER(proxy_options_given, connect_timeout, 0, "SECONDS", 1, 86400,
               "wait so long for a connection to the TAM (default 10)"),
    OPT_NUMBER(proxy_options_given, max_bytes, 0, "N", 1, LIMIT_FILE_BYTES,
               "record and decode so much of a body; all of it is passed on (default 16 MiB)"),
    OPT_TEXT(proxy_options_given, cacert, 0, "FILE", OPT_FILE, "trust these CAs for https"),
    OPT_TEXT(proxy_options_given, client_cert, 0, "FILE", OPT_FILE, "client certificate for https"),
    OPT_TEXT(proxy_options_given, client_key, 0, "FILE", OPT_FILE, "its private key"),
    OPT_END};

/* What is told waits here for one thread that records, decodes and logs it, so that nobody who
 * passes messages on waits for a disk or a decoder. */
struct item {
    struct item *next;
    struct proxy_message *message;
};

typedef struct recorder {
    const struct applet_call *call;
    transcript *transcript;
    const key_set *keys;
    proxy *proxy;
    pthread_t thread;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    struct item *first, **last;
    size_t waiting, lost;
    bool ended;
    /* of the recording thread alone */
    struct told *told; /* requests whose answers are to come */
    bool failed;
} recorder;

/* A request, remembered for the line of its answer. */
struct told {
    struct told *next;
    unsigned long exchange;
    unsigned long long bytes;
    struct summary summary;
};

static void tell(void *context, struct proxy_message *message)
{
    recorder *r = context;
    struct item *item = malloc(sizeof *item);
    pthread_mutex_lock(&r->lock);
    bool kept = item && r->waiting < QUEUE_MESSAGES;
    if (kept) {
        *item = (struct item){.message = message};
        *r->last = item;
        r->last = &item->next;
        r->waiting++;
        pthread_cond_signal(&r->changed);
    } else {
        r->lost++;
    }
    pthread_mutex_unlock(&r->lock);
    if (kept)
        return;
    free(item);
    proxy_message_free(r->proxy, message);
}

static void record(recorder *r, const struct proxy_message *m)
{
    const struct proxy_options_given *o = r->call->options;
    bool request = m->direction == TRANSCRIPT_REQUEST;
    struct error err;
    struct transcript_entry entry = {
        .direction = m->direction,
        .from = request  ? "tee"
                : m->own ? "proxy"
                         : "tam",
        .to = request ? "tam" : "tee",
        .via = "proxy",
        .peer = m->peer,
        .exchange = m->exchange,
        .url = o->upstream,
        .status = m->status,
        .error = m->error[0] ? m->error : NULL,
        .headers = buffer_span(m->headers),
        .body = buffer_span(m->body),
        .bytes = (size_t)m->bytes,
        .elapsed_ms = m->elapsed_ms,
        .clock = &r->call->clock,
        .at = m->at,
    };
    if (transcript_put(r->transcript, &entry, &err))
        return;
    if (!r->failed)
        warn(r->call, "error: %s; messages are passed on all the same", err.message);
    r->failed = true;
}

/* Logging: a line an exchange. */

static void put_side(buffer *line, const struct summary *s, unsigned long long bytes)
{
    if (s->kind != SUMMARY_EMPTY || bytes)
        buffer_put_char(line, ' ');
    if (s->kind != SUMMARY_EMPTY)
        summary_put_line(line, s);
    if (s->rid[0] || s->tid[0])
        buffer_put_format(line, " rid %s tid %s", s->rid, s->tid);
    if (s->content[0])
        buffer_put_format(line, " (%s)", s->content);
    if (s->problem[0])
        buffer_put_format(line, " (%s)", s->problem);
    if (bytes)
        buffer_put_format(line, " %llu bytes", bytes);
}

static json_t *side_json(const struct summary *s, unsigned long long bytes)
{
    const struct {
        const char *name, *value;
    } texts[] = {{"message", s->name},    {"rid", s->rid},        {"tid", s->tid},
                 {"status", s->status},   {"code", s->code},      {"reason", s->reason},
                 {"content", s->content}, {"problem", s->problem}};
    json_t *side = json_pack("{s:I}", "bytes", (json_int_t)bytes);
    for (size_t i = 0; side && i < COUNT(texts); i++)
        if (texts[i].value[0])
            json_object_set_new(side, texts[i].name, json_text_of(texts[i].value));
    return side;
}

static void log_json(const struct told *request, const struct proxy_message *m,
                     const struct summary *answer)
{
    json_t *response = side_json(answer, m->bytes);
    if (m->status)
        json_object_set_new(response, "http_status", json_integer(m->status));
    if (m->own)
        json_object_set_new(response, "from", json_string("proxy"));
    if (m->error[0])
        json_object_set_new(response, "error", json_text_of(m->error));
    AUTO(json_t) *entry = json_pack(
        "{s:I, s:s, s:o, s:o, s:o, s:f}", "exchange", (json_int_t)m->exchange, "peer", m->peer,
        "line", json_text_of(m->line), "request", side_json(&request->summary, request->bytes),
        "response", response, "elapsed_ms", m->elapsed_ms);
    AUTO(buffer) *text = entry ? json_terse(entry) : NULL;
    if (text)
        fprintf(stderr, "%s\n", (const char *)text->data);
}

static void log_text(const struct applet_call *call, const struct told *request,
                     const struct proxy_message *m, const struct summary *answer)
{
    AUTO(buffer) *line = buffer_new(256);
    if (!line)
        return;
    buffer_put_format(line, "#%lu %s %s", m->exchange, m->peer, m->line);
    put_side(line, &request->summary, request->bytes);
    buffer_put_text(line, " ->");
    if (m->status)
        buffer_put_format(line, " %d", m->status);
    if (m->error[0])
        buffer_put_format(line, "%s %s",
                          m->own && m->status ? " by the proxy:" : " failed:", m->error);
    else
        put_side(line, answer, m->bytes);
    buffer_put_format(line, " %.1f ms", m->elapsed_ms);
    say(call, "%s", (const char *)line->data);
}

static void summarise(const recorder *r, const struct proxy_message *m, struct summary *s)
{
    if (m->body && m->body->size == m->bytes) {
        summary_read(s, buffer_span(m->body), r->keys);
        return;
    }
    *s = (struct summary){.kind = m->bytes ? SUMMARY_UNKNOWN : SUMMARY_EMPTY};
    if (m->bytes)
        snprintf(s->problem, sizeof s->problem, "not recorded as a whole");
}

static void take_note(recorder *r, const struct proxy_message *m)
{
    struct told *told = calloc(1, sizeof *told);
    if (!told)
        return;
    told->exchange = m->exchange;
    told->bytes = m->bytes;
    summarise(r, m, &told->summary);
    told->next = r->told;
    r->told = told;
}

static void log_exchange(recorder *r, const struct proxy_message *m)
{
    static const struct told unknown;
    struct told **at = &r->told;
    while (*at && (*at)->exchange != m->exchange)
        at = &(*at)->next;
    struct told *request = *at;
    if (request)
        *at = request->next;
    struct summary answer;
    summarise(r, m, &answer);
    if (!r->call->common->json)
        log_text(r->call, request ? request : &unknown, m, &answer);
    else if (!r->call->common->quiet)
        log_json(request ? request : &unknown, m, &answer);
    free(request);
}

static void *record_all(void *argument)
{
    recorder *r = argument;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (!r->first && !r->ended)
            pthread_cond_wait(&r->changed, &r->lock);
        struct item *item = r->first;
        if (!item)
            break;
        r->first = item->next;
        if (!r->first)
            r->last = &r->first;
        r->waiting--;
        pthread_mutex_unlock(&r->lock);
        record(r, item->message);
        if (item->message->direction == TRANSCRIPT_REQUEST)
            take_note(r, item->message);
        else
            log_exchange(r, item->message);
        proxy_message_free(r->proxy, item->message);
        free(item);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void recorder_end(recorder *r)
{
    pthread_mutex_lock(&r->lock);
    r->ended = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    while (r->told) {
        struct told *next = r->told->next;
        free(r->told);
        r->told = next;
    }
}

static sigset_t end_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

/* Prints the URL and waits for the signal to end; a second one ends at once. */
static bool wait_for_end(const proxy *p, struct error *err)
{
    sigset_t set = end_signals();
    int number;
    AUTO(buffer) *line = buffer_new(80);
    if (!line)
        return error_memory(err);
    buffer_put_format(line, "%s\n", proxy_url(p));
    if (!stdout_write(buffer_span(line), err))
        return false;
    sigwait(&set, &number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return true;
}

static struct proxy_options proxy_options_of(const struct proxy_options_given *o)
{
    long timeout = o->timeout ? o->timeout : 60,
         connect = o->connect_timeout ? o->connect_timeout : 10;
    return (struct proxy_options){
        .listen = o->listen ? o->listen : "127.0.0.1:0",
        .upstream = {.url = o->upstream,
                     .timeout_ms = timeout * 1000,
                     .connect_timeout_ms = connect * 1000,
                     .max_bytes = LIMIT_MESSAGE_BYTES,
                     .cacert = o->cacert,
                     .cert = o->client_cert,
                     .key = o->client_key},
        .body_bytes = o->max_bytes ? (size_t)o->max_bytes : DEFAULT_KEPT,
        .total_bytes = TOTAL_KEPT,
        .tell = tell,
    };
}

static enum rc pass_on(recorder *r, struct proxy_options *how, struct error *err)
{
    AUTO(proxy) *p = proxy_start(how, err);
    if (!p) {
        transcript_drop(r->transcript);
        return err->rc;
    }
    r->proxy = p;
    bool started = pthread_create(&r->thread, NULL, record_all, r) == 0;
    bool waited = started && wait_for_end(p, err);
    proxy_stop(p);
    if (!started)
        return error_set(err, RC_INTERNAL, "cannot start a thread"), err->rc;
    recorder_end(r);
    if (!waited)
        return err->rc;
    if (r->lost)
        error_set(err, RC_INTERNAL, "%zu messages were passed on and not recorded", r->lost);
    else if (r->failed)
        error_set(err, RC_INTERNAL, "the transcript is incomplete");
    return r->lost || r->failed ? err->rc : RC_OK;
}

/* Options that would be without effect are refused: who gives them expects one. */
static bool check_options(const struct proxy_options_given *o, struct error *err)
{
    bool https = strncasecmp(o->upstream, "https:", 6) == 0;
    if (!https && o->cacert)
        return error_set(err, RC_USAGE, "--cacert is for an upstream with https");
    if (!https && o->client_cert)
        return error_set(err, RC_USAGE, "--client-cert is for an upstream with https");
    if (o->client_key && !o->client_cert)
        return error_set(err, RC_USAGE, "--client-key belongs to --client-cert");
    return true;
}

static enum rc run(const struct applet_call *call, struct error *err)
{
    const struct proxy_options_given *o = call->options;
    if (!check_options(o, err))
        return err->rc;
    AUTO(key_set) *keys = NULL;
    if (!call_keys_all(call, &o->key, KEY_PRIVATE, &keys, err))
        return err->rc;
    const struct http_client_api *http = http_client_load(err);
    AUTO(transcript) *wire = http ? transcript_open(o->transcript, call->common->force, err) : NULL;
    if (!http || (o->transcript && !wire))
        return err->rc;
    recorder r = {.call = call, .transcript = wire, .keys = keys, .last = &r.first};
    pthread_mutex_init(&r.lock, NULL);
    pthread_cond_init(&r.changed, NULL);
    struct proxy_options how = proxy_options_of(o);
    how.http = http;
    how.context = &r;
    sigset_t set = end_signals();
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* in all threads */
    return pass_on(&r, &how, err);
}

const struct applet applet_proxy = {
    .uses = USES_KEYS | USES_NOW | USES_FORCE | USES_JSON,
    .options = options,
    .size = sizeof(struct proxy_options_given),
    .run = run,
    .examples =
        (const char *const[]){
            "otrp proxy --upstream https://tam.example/tam --transcript wire.jsonl",
            "otrp proxy --listen 127.0.0.1:8081 --upstream http://127.0.0.1:8080/tam "
            "--transcript wire.jsonl --key pki/tam/tam/tam-mytam-rsa-key.pem",
            NULL},
};
