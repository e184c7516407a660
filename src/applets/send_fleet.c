/* SPDX-License-Identifier: Apache-2.0 */
/* send --repeat: many sessions, side by side, and what came of them. */
#include "applets/send.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/terminal.h"

enum {
    MOST_REASONS = 20,       /* that are told apart */
    STACK_BYTES = 512 << 10, /* of a job: curl and OpenSSL need some */
    REASON_BYTES = 300
};

/* Why sessions failed. */
struct reason {
    char text[REASON_BYTES];
    enum rc rc;
    size_t count;
};

typedef struct fleet {
    sending *sending;
    struct span body; /* that each posts, without a TEE */
    json_t *names;    /* of the devices, taken in turn; or NULL */
    size_t sessions, jobs, devices;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t freed; /* a device: each has one session at a time */
    bool *busy;           /* by device */
    size_t next, done, failed;
    double *latency_ms; /* of those that succeeded */
    size_t succeeded;
    struct reason reasons[MOST_REASONS];
    size_t reason_count, more_reasons;
    struct progress progress;
} fleet;

static enum rc session(fleet *f, size_t number, struct error *err)
{
    send_session opened = {.quiet = true, .number = number + 1};
    AUTO(send_session) *session = &opened;
    if (!send_session_open(session, f->sending, err))
        return err->rc;
    if (f->names)
        session->name = json_string_value(json_array_get(f->names, number % f->devices));
    struct span message;
    if (!f->names && !session->remote)
        return send_session_post(session, f->body, &message, err) ? RC_OK : err->rc;
    return send_session_run(session, err);
}

static void count_reason(fleet *f, const struct error *err)
{
    for (size_t i = 0; i < f->reason_count; i++)
        if (strncmp(f->reasons[i].text, err->message, REASON_BYTES - 1) == 0) {
            f->reasons[i].count++;
            return;
        }
    if (f->reason_count == MOST_REASONS) {
        f->more_reasons++;
        return;
    }
    struct reason *r = &f->reasons[f->reason_count++];
    snprintf(r->text, sizeof r->text, "%.*s", REASON_BYTES - 1, err->message);
    r->rc = err->rc;
    r->count = 1;
}

static void *work(void *argument)
{
    fleet *f = argument;
    for (;;) {
        pthread_mutex_lock(&f->lock);
        size_t number = f->next++;
        bool *busy = f->busy && number < f->sessions ? &f->busy[number % f->devices] : NULL;
        while (busy && *busy)
            pthread_cond_wait(&f->freed, &f->lock);
        if (busy)
            *busy = true;
        pthread_mutex_unlock(&f->lock);
        if (number >= f->sessions)
            return NULL;
        struct error err = {.rc = RC_INTERNAL};
        double begun = clock_precise_ms();
        enum rc rc = session(f, number, &err);
        double elapsed = clock_precise_ms() - begun;
        pthread_mutex_lock(&f->lock);
        if (busy)
            *busy = false;
        pthread_cond_broadcast(&f->freed);
        f->done++;
        if (rc == RC_OK)
            f->latency_ms[f->succeeded++] = elapsed;
        else
            f->failed++, count_reason(f, &err);
        progress_update(&f->progress, f->done, f->sessions);
        pthread_mutex_unlock(&f->lock);
    }
}

/* Runs all jobs; returns how many there could be. */
static size_t run_jobs(fleet *f)
{
    pthread_t *threads = calloc(f->jobs, sizeof *threads);
    pthread_attr_t attributes;
    size_t started = 0;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    while (threads && started < f->jobs &&
           pthread_create(&threads[started], &attributes, work, f) == 0)
        started++;
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attributes);
    free(threads);
    return started;
}

/* The summary. */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The latency that so many in a hundred of those that succeeded did not exceed (nearest rank);
 * sorted. */
static double percentile(const fleet *f, size_t percent)
{
    size_t rank = (percent * f->succeeded + 99) / 100;
    return f->succeeded ? f->latency_ms[rank ? rank - 1 : 0] : 0;
}

static const struct {
    const char *name;
    size_t percent;
} percentiles[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"max", 100}};

static double thousandths(double value)
{
    return (double)(long long)(value * 1000 + 0.5) / 1000;
}

static buffer *summary_json(const fleet *f, double elapsed_ms)
{
    AUTO(json_t) *latency = json_object();
    AUTO(json_t) *failures = json_array();
    for (size_t i = 0; i < COUNT(percentiles); i++)
        json_object_set_new(latency, percentiles[i].name,
                            f->succeeded
                                ? json_real(thousandths(percentile(f, percentiles[i].percent)))
                                : json_null());
    for (size_t i = 0; i < f->reason_count; i++)
        json_array_append_new(failures,
                              json_pack("{s:I, s:s, s:o}", "count", (json_int_t)f->reasons[i].count,
                                        "class", rc_name(f->reasons[i].rc), "reason",
                                        json_text_of(f->reasons[i].text)));
    if (f->more_reasons)
        json_array_append_new(failures,
                              json_pack("{s:I, s:s, s:s}", "count", (json_int_t)f->more_reasons,
                                        "class", "other", "reason", "other reasons"));
    AUTO(json_t) *report = json_pack(
        "{s:I, s:I, s:I, s:I, s:f, s:f, s:O, s:O}", "sessions", (json_int_t)f->sessions, "jobs",
        (json_int_t)f->jobs, "succeeded", (json_int_t)f->succeeded, "failed", (json_int_t)f->failed,
        "seconds", thousandths(elapsed_ms / 1000), "sessions_per_second",
        thousandths((double)f->done / elapsed_ms * 1000), "latency_ms", latency, "failures",
        failures);
    return report ? json_pretty(report) : NULL;
}

static buffer *summary_text(const fleet *f, double elapsed_ms)
{
    buffer *out = buffer_new(512);
    if (!out)
        return NULL;
    buffer_put_format(out, "%zu session%s, %zu at a time, in %.2f s: %.1f a second\n", f->sessions,
                      f->sessions == 1 ? "" : "s", f->jobs, elapsed_ms / 1000,
                      (double)f->done / elapsed_ms * 1000);
    buffer_put_format(out, "%zu succeeded, %zu failed\n", f->succeeded, f->failed);
    if (f->succeeded) {
        buffer_put_text(out, "latency:");
        for (size_t i = 0; i < COUNT(percentiles); i++)
            buffer_put_format(out, "%s %s %.1f ms", i ? "," : "", percentiles[i].name,
                              percentile(f, percentiles[i].percent));
        buffer_put_char(out, '\n');
    }
    for (size_t i = 0; i < f->reason_count; i++)
        buffer_put_format(out, "%8zu  %s\n", f->reasons[i].count, f->reasons[i].text);
    if (f->more_reasons)
        buffer_put_format(out, "%8zu  other reasons\n", f->more_reasons);
    return out;
}

/* Foreign text in a summary is shown as it may be on a terminal. */
static bool print(const fleet *f, const buffer *text, struct error *err)
{
    const struct applet_call *call = f->sending->call;
    char *shown = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&shown, &size);
    if (!out)
        return error_memory(err);
    terminal_put(out, (const char *)text->data);
    fclose(out);
    enum rc rc = call_put(call, f->sending->options->out, SPAN(shown, size), OUTPUT_PUBLIC, err);
    free(shown);
    return rc == RC_OK;
}

static enum rc finish(fleet *f, double elapsed_ms, struct error *err)
{
    qsort(f->latency_ms, f->succeeded, sizeof *f->latency_ms, compare);
    AUTO(buffer) *text = f->sending->call->common->json ? summary_json(f, elapsed_ms)
                                                        : summary_text(f, elapsed_ms);
    if (!text)
        return error_memory(err), err->rc;
    if (!print(f, text, err))
        return err->rc;
    if (!f->failed)
        return RC_OK;
    error_set(err, RC_PARTIAL, "%zu of %zu sessions failed", f->failed, f->sessions);
    return err->rc;
}

/* The device of that name, or all. */
static json_t *names_of(const struct send *o, struct error *err)
{
    if (!o->device)
        return device_names(o->tee, err);
    json_t *names = json_pack("[o]", json_text_of(o->device));
    if (!names)
        error_memory(err);
    return names;
}

enum rc send_many(sending *s, struct span body, struct error *err)
{
    const struct send *o = s->options;
    size_t sessions = (size_t)(o->repeat ? o->repeat : 1), jobs = (size_t)(o->jobs ? o->jobs : 1);
    fleet f = {.sending = s,
               .body = body,
               .sessions = sessions,
               .jobs = jobs < sessions ? jobs : sessions};
    AUTO(json_t) *names = o->tee ? names_of(o, err) : NULL;
    AUTO(tee_host) *host = names ? tee_host_open(o->tee, o->device, s->call->clock, 0, err) : NULL;
    if ((o->tee && !host) || !send_prepare(s, err))
        return err->rc;
    AUTO(char) *latency = calloc(sessions, sizeof *f.latency_ms);
    if (!latency)
        return error_memory(err), err->rc;
    f.latency_ms = (double *)(void *)latency;
    f.names = names;
    f.devices = json_array_size(names);
    AUTO(char) *busy = names ? calloc(f.devices, sizeof *f.busy) : NULL;
    f.busy = (bool *)(void *)busy;
    if (names && !busy)
        return error_memory(err), err->rc;
    s->host = host;
    pthread_mutex_init(&f.lock, NULL);
    pthread_cond_init(&f.freed, NULL);
    progress_start(&f.progress, "sessions", s->call->common->quiet || s->call->common->json);
    double begun = clock_precise_ms();
    size_t started = run_jobs(&f);
    double elapsed = clock_precise_ms() - begun;
    progress_end(&f.progress);
    pthread_cond_destroy(&f.freed);
    pthread_mutex_destroy(&f.lock);
    s->host = NULL;
    if (started < f.jobs)
        warn(s->call, "warning: %zu jobs at a time, for want of threads", started);
    if (f.done < f.sessions)
        return error_set(err, RC_INTERNAL, "cannot start a thread"), err->rc;
    return finish(&f, elapsed, err);
}
