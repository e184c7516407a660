/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/tam_stub_control.h"

#include <pthread.h>
#include <string.h>

#include "net/bearer.h"
#include "net/transcript.h"

#define JSON_TYPE "application/json"

/* One session, with its transcript as JSON objects behind one another. */
struct record {
    struct record *newer, *older;
    char *tid, *did, *how;
    time_t begun, ended;
    bool well, over;
    size_t messages, left_out;
    buffer *entries; /* "{...},{...}" or NULL when it had to go */
};

struct tam_journal {
    pthread_mutex_t lock;
    struct record *newest, *oldest;
    size_t count, bytes;
};

static void record_free(struct record *r)
{
    free(r->tid);
    free(r->did);
    free(r->how);
    buffer_free(r->entries);
    free(r);
}

bool control_open(tam_setup *s, const char *source, struct error *err)
{
    s->control = call_keys(s->call, source, KEY_PUBLIC, err);
    if (!s->control)
        return false;
    if (s->control->count != 1)
        return error_set(err, RC_USAGE, "--control-key: %s: holds %zu keys, not one", source,
                         s->control->count);
    if (!bearer_ready(s->control->keys[0], err))
        return error_prefix(err, "--control-key");
    s->journal = calloc(1, sizeof *s->journal);
    if (!s->journal)
        return error_memory(err);
    pthread_mutex_init(&s->journal->lock, NULL);
    return true;
}

void control_close(tam_setup *s)
{
    struct tam_journal *j = s->journal;
    if (!j)
        return;
    while (j->oldest) {
        struct record *next = j->oldest->newer;
        record_free(j->oldest);
        j->oldest = next;
    }
    pthread_mutex_destroy(&j->lock);
    free(j);
    s->journal = NULL;
}

/* ---- the journal; the lock is held ---- */

static struct record *find(const struct tam_journal *j, const char *tid)
{
    struct record *r = j->newest;
    while (r && strcmp(r->tid, tid) != 0)
        r = r->older;
    return r;
}

static void drop_oldest(struct tam_journal *j)
{
    struct record *r = j->oldest;
    j->oldest = r->newer;
    *(r->newer ? &r->newer->older : &j->newest) = NULL;
    j->bytes -= r->entries ? r->entries->size : 0;
    j->count--;
    record_free(r);
}

static struct record *begin(struct tam_journal *j, const char *tid, time_t now)
{
    struct record *r = calloc(1, sizeof *r);
    if (!r || !(r->tid = strdup(tid)) || !(r->entries = buffer_secret(0))) {
        if (r)
            record_free(r);
        return NULL;
    }
    r->begun = now;
    r->older = j->newest;
    *(j->newest ? &j->newest->newer : &j->oldest) = r;
    j->newest = r;
    if (++j->count > JOURNAL_SESSIONS)
        drop_oldest(j);
    return r;
}

/* Makes room: the transcripts of the oldest sessions go, but not the latest one's. */
static void make_room(struct tam_journal *j)
{
    for (struct record *r = j->oldest; r && r != j->newest && j->bytes > JOURNAL_BYTES;
         r = r->newer) {
        if (!r->entries)
            continue;
        j->bytes -= r->entries->size;
        r->left_out = r->messages;
        buffer_free(TAKE(r->entries));
    }
}

static void put_entry(struct tam_journal *j, struct record *r, const buffer *line)
{
    r->messages++;
    if (!line || !r->entries || r->entries->size + line->size > JOURNAL_SESSION_BYTES) {
        r->left_out++;
        return;
    }
    size_t before = r->entries->size;
    if (before)
        buffer_put_char(r->entries, ',');
    buffer_put(r->entries, line->data, line->size - 1); /* without its newline */
    j->bytes += r->entries->size - before;
}

static buffer *line_of(const tam_setup *s, enum transcript_direction direction, struct span body,
                       int status)
{
    bool asks = direction == TRANSCRIPT_REQUEST;
    return transcript_line(&(struct transcript_entry){.direction = direction,
                                                      .from = asks ? "tee" : "tam",
                                                      .to = asks ? "tam" : "tee",
                                                      .status = asks ? 0 : status,
                                                      .body = body,
                                                      .clock = &s->call->clock});
}

void control_note_exchange(const tam_setup *s, const struct tam_exchange *e, int status)
{
    struct tam_journal *j = s->journal;
    if (!j)
        return;
    AUTO(buffer) *in = line_of(s, TRANSCRIPT_REQUEST, e->message, 0);
    AUTO(buffer) *out = line_of(s, TRANSCRIPT_RESPONSE, e->request, status);
    pthread_mutex_lock(&j->lock);
    struct record *r = find(j, e->tid);
    if (!r)
        r = begin(j, e->tid, clock_now(&s->call->clock));
    if (r) {
        if (!r->did && e->did)
            r->did = strdup(e->did);
        put_entry(j, r, in);
        put_entry(j, r, out);
        make_room(j);
    }
    pthread_mutex_unlock(&j->lock);
}

void control_note_end(const tam_setup *s, const struct tam_note *how, bool well)
{
    struct tam_journal *j = s->journal;
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    struct record *r = find(j, how->tid);
    if (!r)
        r = begin(j, how->tid, clock_now(&s->call->clock));
    if (r && !r->over) {
        r->over = true;
        r->well = well;
        r->how = strdup(how->text);
        r->ended = clock_now(&s->call->clock);
    }
    pthread_mutex_unlock(&j->lock);
}

/* ---- the reports ---- */

static void put_text(buffer *out, const char *name, const char *text)
{
    if (!text)
        return;
    buffer_put_format(out, ",\"%s\":", name);
    buffer_put_json_string(out, span_text(text));
}

static void put_time(buffer *out, const char *name, time_t at)
{
    char text[32];
    time_format(at, text);
    put_text(out, name, text);
}

static void put_record(buffer *out, const struct record *r)
{
    buffer_put_text(out, "{\"tid\":");
    buffer_put_json_string(out, span_text(r->tid));
    put_text(out, "did", r->did);
    put_text(out, "state", !r->over ? "open" : r->well ? "done" : "failed");
    put_text(out, "how", r->how);
    put_time(out, "begun", r->begun);
    if (r->over)
        put_time(out, "ended", r->ended);
    buffer_put_format(out, ",\"messages\":%zu,\"left_out\":%zu,\"transcript\":[", r->messages,
                      r->left_out);
    buffer_put_span(out, buffer_span(r->entries));
    buffer_put_text(out, "]}");
}

static buffer *report_sessions(const tam_setup *s)
{
    struct tam_journal *j = s->journal;
    AUTO(buffer) *out = buffer_secret(4096);
    if (!out)
        return NULL;
    buffer_put_text(out, "{\"sessions\":[");
    pthread_mutex_lock(&j->lock);
    for (const struct record *r = j->newest; r; r = r->older) {
        put_record(out, r);
        if (r->older)
            buffer_put_char(out, ',');
    }
    pthread_mutex_unlock(&j->lock);
    buffer_put_text(out, "]}\n");
    return out->failed ? NULL : TAKE(out);
}

static buffer *report_devices(const tam_setup *s)
{
    struct error err;
    AUTO(json_t) *devices = tam_state_devices(s->state, &err);
    if (!devices) {
        tam_warn(s->call, "control: %s", err.message);
        return NULL;
    }
    AUTO(json_t) *report = json_pack("{s:O}", "devices", devices);
    return report ? json_pretty(report) : NULL;
}

static void reply_with(struct http_reply *reply, buffer *body)
{
    *reply = (struct http_reply){
        .status = body ? 200 : 500, .content_type = body ? JSON_TYPE : NULL, .body = body};
}

bool control_answers(const tam_setup *s, const struct http_request *request,
                     struct http_reply *reply)
{
    static const char prefix[] = "/control";
    struct error err;
    if (!s->control || strncmp(request->path, prefix, sizeof prefix - 1) != 0 ||
        (request->path[sizeof prefix - 1] && request->path[sizeof prefix - 1] != '/'))
        return false;
    if (!bearer_check_header(request->authorization, s->control->keys[0], CONTROL_AUDIENCE,
                             clock_now(&s->call->clock), &err)) {
        tam_say(s->call, "control: refused %s: %s", request->peer ? request->peer : "-",
                err.message);
        *reply = (struct http_reply){.status = 401};
    } else if (strcmp(request->method, "GET") != 0) {
        *reply = (struct http_reply){.status = 405, .allow = "GET"};
    } else if (strcmp(request->path, "/control/devices") == 0) {
        reply_with(reply, report_devices(s));
    } else if (strcmp(request->path, "/control/sessions") == 0) {
        reply_with(reply, report_sessions(s));
    } else {
        *reply = (struct http_reply){.status = 404};
    }
    return true;
}
