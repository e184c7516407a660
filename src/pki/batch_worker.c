/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/batch_worker.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "pki/batch_channel.h"
#include "pki/batch_row.h"
#include "pki/issued.h"
#include "pki/ledger.h"
#include "util/clock.h"

/* Rows that are reported together: a few, and those of a moment. */
#define REPORT_BYTES 8192
#define REPORT_MS    100

struct worker {
    const struct batch *batch;
    struct channel *channel; /* to the process that hands out the rows */
    keygen *keys;
};

struct worker_row {
    const struct worker *worker;
    uint64_t row;
};

/* Has the certificate made by the process that holds the token. */
static bool issue_elsewhere(void *context, entity *e, struct error *err)
{
    const struct worker_row *r = context;
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(e->pkey, &der);
    struct frame head = {.kind = FRAME_SIGN, .row = r->row};
    bool sent = size > 0 &&
                frame_send(r->worker->channel, head, SPAN(der, (size_t)size), SPAN(NULL, 0));
    OPENSSL_free(der);
    AUTO(buffer) *answer = sent ? frame_await(r->worker->channel, FRAME_CERT, &head) : NULL;
    if (!answer)
        return error_set(err, RC_INTERNAL, "the signing process does not answer");
    if (head.rc != RC_OK)
        return error_set(err, (enum rc)head.rc, "%s", (const char *)answer->data);
    return station_take(e, buffer_span(answer), err);
}

/* What went wrong with a row; what went wrong with the machine concerns them all. */
static bool report_failure(const struct worker *w, uint64_t row,
                           const char *const text[MANIFEST_COLUMNS], const struct error *why)
{
    struct frame head = {.kind = FRAME_FAILED, .row = row, .rc = why->rc};
    if (why->rc == RC_INTERNAL) {
        head.kind = FRAME_BROKEN;
        frame_put(w->channel, head, span_text(why->message), SPAN(NULL, 0));
        return true;
    }
    AUTO(buffer) *line = buffer_new(256);
    AUTO(buffer) *message = buffer_new(256);
    if (!line || !message)
        return false;
    buffer_put_format(message, "%s%s%s", why->message, why->hint[0] ? ": " : "", why->hint);
    issued_put(line, &(struct issued){.row = row,
                                      .role = text[MANIFEST_ROLE],
                                      .name = text[MANIFEST_NAME],
                                      .status = ISSUED_FAILED,
                                      .message = (const char *)message->data});
    frame_put(w->channel, head, buffer_span(line), SPAN(NULL, 0));
    return !line->failed;
}

static bool report(const struct worker *w, uint64_t row, const entity *e, bool adopted,
                   struct error *err)
{
    struct frame head = {.kind = FRAME_ISSUED, .row = row, .role = e->role, .adopted = adopted};
    AUTO(char) *file = station_ledger_file(w->batch->station, e);
    AUTO(buffer) *entry = file ? buffer_new(256) : NULL;
    AUTO(buffer) *line = buffer_new(512);
    if (!entry || !line)
        return error_memory(err);
    if (!ledger_put_facts(entry, &e->facts, file, err) ||
        !issued_put_entity(line, w->batch->station, e, row, NULL, err))
        return false;
    frame_put(w->channel, head, buffer_span(entry), buffer_span(line));
    return true;
}

static bool work_row(const struct worker *w, const struct frame *head, struct span body)
{
    struct error err = {.rc = RC_INTERNAL};
    bool adopted = false;
    AUTO(buffer) *packed = buffer_copy(body); /* a signature may come in its place */
    if (!packed)
        return false;
    const struct batch_row row = batch_row_unpack(buffer_span(packed));
    AUTO(entity) *e = batch_read_row(w->batch, &row, &err);
    struct batch_bench bench = {.keys = w->keys,
                                .issue = w->batch->order->token ? issue_elsewhere : NULL,
                                .context = &(struct worker_row){w, head->row}};
    if (e && batch_row_make(w->batch, e, &bench, &adopted, &err) &&
        report(w, head->row, e, adopted, &err))
        return true;
    return report_failure(w, head->row, row.text, &err);
}

static volatile sig_atomic_t dismissed;

static void on_dismissal(int number)
{
    (void)number;
    dismissed = 1;
}

static void set_signals(void)
{
    struct sigaction action = {.sa_handler = on_dismissal, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &action, NULL);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Makes the rows that are there. False when it cannot go on. */
static bool work_rows(const struct worker *w)
{
    struct frame head;
    struct span body;
    bool alive = true;
    long long reported_ms = clock_elapsed_ms();
    while (alive && !dismissed && frame_take(w->channel, &head, &body)) {
        alive = work_row(w, &head, body);
        long long now = clock_elapsed_ms();
        if (w->channel->out->size <= REPORT_BYTES && now - reported_ms < REPORT_MS)
            continue;
        alive = alive && channel_flush(w->channel);
        reported_ms = now;
    }
    return alive && channel_flush(w->channel);
}

void batch_work(const struct batch *b, int fd, pid_t parent)
{
    struct channel channel;
    if (!channel_open(&channel, fd))
        return;
    AUTO(keygen) *keys = keygen_new();
    const struct worker *w = &(struct worker){b, &channel, keys};
    set_signals();
    if (w->keys && getppid() == parent)
        while (work_rows(w) && !dismissed && channel_fill(w->channel))
            continue;
    channel_close(&channel);
}
