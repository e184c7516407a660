/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/pki_batch_dispatch.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "applets/pki_batch_crew.h"
#include "pki/batch_commit.h"
#include "pki/batch_csr.h"
#include "pki/batch_earlier.h"
#include "pki/issued.h"
#include "util/terminal.h"
#include "util/text_hash.h"

#define WINDOW 1024 /* rows that are begun and not yet entered */

/* A row between its begin and its entry. */
struct slot {
    bool done;
    uint64_t row;
    uint64_t name;  /* hash of role and name: one after the other */
    buffer *packed; /* batch_row_pack */
    bool issued, adopted;
    enum pki_role role;
    buffer *entry, *line; /* of ledger and result */
};

struct dispatcher {
    const struct batch *batch;
    manifest *manifest;
    struct batch_earlier earlier;
    struct batch_csr csr; /* of row */
    struct crew crew;
    struct batch_commit commit;
    struct slot slots[WINDOW];
    uint64_t base, next; /* slots of the rows begun: from base up to next */
    struct manifest_row row;
    bool row_ready, exhausted, stopped;
    bool settled; /* row is not to be made: the earlier run's is entered anew */
    struct progress progress;
    struct dispatched *how;
    struct error *err;
    bool broken;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static void watch_signals(struct sigaction old[3], bool restore)
{
    static const int numbers[3] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < 3; i++)
        sigaction(numbers[i], restore ? &old[i] : &action, restore ? NULL : &old[i]);
}

static void break_off(struct dispatcher *d, const struct error *why)
{
    if (!d->broken)
        *d->err = *why;
    d->broken = d->stopped = true;
}

static void enter(struct dispatcher *d, struct slot *slot)
{
    bool in_ledger = false;
    if (slot->issued && slot->adopted &&
        !batch_earlier_adopt(&d->earlier, slot->role, slot->entry, &in_ledger)) {
        const struct batch_row row = batch_row_unpack(buffer_span(slot->packed));
        slot->issued = false;
        slot->line->size = 0;
        issued_put(slot->line, &(struct issued){.row = slot->row,
                                                .role = row.text[MANIFEST_ROLE],
                                                .name = row.text[MANIFEST_NAME],
                                                .status = ISSUED_FAILED,
                                                .message = "the name is taken by an earlier row"});
    }
    batch_commit_put(&d->commit, buffer_span(slot->line), slot->role,
                     slot->entry && slot->issued && !in_ledger ? buffer_span(slot->entry)
                                                               : SPAN(NULL, 0));
    d->how->done++;
    d->how->failed += !slot->issued;
}

static void slot_clear(struct slot *slot)
{
    buffer_free(slot->packed);
    buffer_free(slot->entry);
    buffer_free(slot->line);
    *slot = (struct slot){.done = false};
}

/* Enters the rows that are done, in their order; with all, also those behind one that will
 * never be. */
static void enter_done(struct dispatcher *d, bool all)
{
    for (; d->base < d->next; d->base++) {
        struct slot *slot = &d->slots[d->base % WINDOW];
        if (!slot->done && !all)
            break;
        if (slot->done)
            enter(d, slot);
        slot_clear(slot);
    }
    if (batch_commit_due(&d->commit) && !batch_commit_start(&d->commit))
        break_off(d, &d->commit.why);
    progress_update(&d->progress, d->how->done + d->how->kept, d->how->total);
}

/* Reads on to a row that has to be made. */
static bool read_ahead(struct dispatcher *d, struct error *err)
{
    while (!d->row_ready && !d->exhausted) {
        enum csv_result result = manifest_next(d->manifest, &d->row, err);
        if (result == CSV_FAILED)
            return false;
        if (result == CSV_END) {
            d->exhausted = true;
            break;
        }
        if (!*d->row.text[MANIFEST_ROLE] && d->batch->order->role)
            d->row.text[MANIFEST_ROLE] = d->batch->order->role;
        enum batch_earlier_row what;
        if (!batch_csr_read(&d->csr, &d->row, err) ||
            !batch_earlier_has(&d->earlier, d->row.number, d->row.text, &what, err))
            return false;
        d->how->kept += what == EARLIER_KEPT;
        d->settled = what == EARLIER_SETTLED;
        d->row_ready = what != EARLIER_KEPT;
    }
    return true;
}

/* Two rows of one name are done one after the other: the second one fails, whoever is faster. */
static bool is_under_way(const struct dispatcher *d, uint64_t name)
{
    for (uint64_t i = d->base; i < d->next; i++) {
        const struct slot *slot = &d->slots[i % WINDOW];
        if (!slot->done && slot->name == name)
            return true;
    }
    return false;
}

/* A row that cannot even be read, or about which an earlier run has decided. */
static void settle_row(struct dispatcher *d, struct slot *slot)
{
    const struct issued failed = {.row = slot->row,
                                  .role = d->row.text[MANIFEST_ROLE],
                                  .name = d->row.text[MANIFEST_NAME],
                                  .status = ISSUED_FAILED,
                                  .message = d->row.fault};
    const struct issued *line = d->settled ? &d->earlier.settled : &failed;
    slot->line = buffer_new(256);
    slot->issued = strcmp(line->status, ISSUED_GOOD) == 0;
    slot->done = true;
    if (slot->line)
        issued_put(slot->line, line);
}

static buffer *pack_row(const struct dispatcher *d)
{
    struct batch_row row = {.csr = buffer_span(d->csr.text)};
    memcpy(row.text, d->row.text, sizeof row.text);
    AUTO(buffer) *packed = buffer_new(128 + row.csr.size);
    if (packed)
        batch_row_pack(packed, &row);
    return packed && !packed->failed ? TAKE(packed) : NULL;
}

/* Hands out one row; false when there is none, or nobody to take it now. */
static bool hand_out(struct dispatcher *d)
{
    struct error why;
    if (d->stopped || d->next - d->base == WINDOW)
        return false;
    if (!read_ahead(d, &why)) {
        break_off(d, &why);
        return false;
    }
    struct worker *worker = crew_idlest(&d->crew);
    if (!d->row_ready || !worker)
        return false;
    uint64_t name = text_hash(text_hash(TEXT_HASH_START, d->row.text[MANIFEST_ROLE]),
                              d->row.text[MANIFEST_NAME]);
    if (!d->row.fault && !d->settled && is_under_way(d, name))
        return false;
    struct slot *slot = &d->slots[d->next % WINDOW];
    *slot = (struct slot){.row = d->row.number, .name = name};
    slot->packed = pack_row(d);
    d->row_ready = false;
    d->next++;
    if (d->row.fault || d->settled) {
        settle_row(d, slot);
        return true;
    }
    struct frame head = {.kind = FRAME_ROW, .row = d->row.number};
    if (!slot->packed) {
        error_memory(&why);
        break_off(d, &why);
        return false;
    }
    frame_put(&worker->channel, head, buffer_span(slot->packed), SPAN(NULL, 0));
    worker->ahead++;
    worker->ahead_bytes += slot->packed->size;
    return true;
}

/* Hands out what there is to hand out. Nobody is disturbed for one row while he has others. */
static void hand_out_all(struct dispatcher *d)
{
    struct error why;
    while (hand_out(d))
        continue;
    if (!crew_flush(&d->crew)) {
        error_set(&why, RC_INTERNAL, "a worker is gone");
        break_off(d, &why);
    }
}

static struct slot *slot_of(struct dispatcher *d, uint64_t row)
{
    for (uint64_t i = d->base; i < d->next; i++)
        if (d->slots[i % WINDOW].row == row && !d->slots[i % WINDOW].done)
            return &d->slots[i % WINDOW];
    return NULL;
}

/* Gives e the key that a worker has made; that of a CSR it has. */
static bool take_key(entity *e, struct span spki, struct error *err)
{
    const unsigned char *p = spki.data;
    EVP_PKEY *pkey = e->pkey ? NULL : d2i_PUBKEY(NULL, &p, (long)spki.size);
    if (e->pkey || pkey)
        return e->pkey || entity_set_key(e, pkey, false, "the new key", err);
    return error_set(err, RC_INTERNAL, "a worker's key cannot be read");
}

/* Signs for a worker: the key is in a token, which one process talks to. */
static bool sign_for(struct dispatcher *d, struct worker *worker, const struct slot *slot,
                     struct span spki)
{
    struct error why = {.rc = RC_INTERNAL};
    const struct batch_row row = batch_row_unpack(buffer_span(slot->packed));
    AUTO(entity) *e = batch_read_row(d->batch, &row, &why);
    bool signed_ = e && take_key(e, spki, &why) && station_issue(d->batch->station, e, &why);
    struct frame head = {.kind = FRAME_CERT, .row = slot->row, .rc = signed_ ? RC_OK : why.rc};
    return frame_send(&worker->channel, head,
                      signed_ ? buffer_span(e->der) : span_text(why.message), SPAN(NULL, 0));
}

static bool take_report(struct dispatcher *d, struct worker *worker, const struct frame *head,
                        struct span body)
{
    struct slot *slot = slot_of(d, head->row);
    if (!slot || head->first > body.size || head->role >= ROLE_COUNT)
        return false;
    if (head->kind == FRAME_SIGN)
        return sign_for(d, worker, slot, body);
    worker->ahead--;
    worker->ahead_bytes -= slot->packed->size;
    if (head->kind == FRAME_BROKEN) {
        struct error why;
        error_set(&why, (enum rc)head->rc, "%.*s", (int)body.size, (const char *)body.data);
        break_off(d, &why);
        return true;
    }
    slot->issued = head->kind == FRAME_ISSUED;
    slot->adopted = head->adopted;
    slot->role = (enum pki_role)head->role;
    struct span first = SPAN(body.data, head->first);
    struct span second = SPAN(body.data + head->first, body.size - head->first);
    slot->entry = slot->issued ? buffer_copy(first) : NULL;
    slot->line = buffer_copy(slot->issued ? second : first);
    slot->done = slot->line && (slot->entry || !slot->issued);
    return slot->done;
}

static bool take_reports(struct dispatcher *d, struct worker *worker)
{
    struct frame head;
    struct span body;
    bool good = channel_fill(&worker->channel);
    while (good && frame_take(&worker->channel, &head, &body))
        good = take_report(d, worker, &head, body);
    return good;
}

/* Waits for reports, and takes them. */
static void listen_to(struct dispatcher *d)
{
    struct pollfd polled[WORKERS_MOST];
    for (size_t i = 0; i < d->crew.count; i++)
        polled[i] = (struct pollfd){
            .fd = d->crew.workers[i].ahead ? d->crew.workers[i].channel.fd : -1, .events = POLLIN};
    if (poll(polled, d->crew.count, GROUP_MS) <= 0)
        return;
    for (size_t i = 0; i < d->crew.count; i++) {
        if (!polled[i].revents || take_reports(d, &d->crew.workers[i]))
            continue;
        struct error why;
        d->crew.workers[i].ahead = 0;
        if (d->stopped || interrupted)
            continue;
        error_set(&why, RC_INTERNAL, "a worker has ended before its time");
        break_off(d, &why);
    }
}

static void hand_out_and_listen(struct dispatcher *d)
{
    for (;;) {
        d->stopped |= interrupted != 0;
        if (d->stopped)
            crew_dismiss(&d->crew);
        hand_out_all(d);
        enter_done(d, false);
        if (!crew_under_way(&d->crew)) {
            if (d->stopped || (d->exhausted && !d->row_ready))
                break;
            continue;
        }
        listen_to(d);
    }
    enter_done(d, true);
    if (!batch_commit_start(&d->commit) || !batch_commit_wait(&d->commit))
        break_off(d, &d->commit.why);
}

static size_t count_rows(const char *path)
{
    struct error ignored;
    struct manifest_row row;
    size_t count = 0;
    AUTO(manifest) *m = manifest_open(path, &ignored);
    while (m && manifest_next(m, &row, &ignored) == CSV_RECORD)
        count++;
    return count;
}

static bool dispatcher_open(struct dispatcher *d, const struct batch *b, struct error *err)
{
    d->batch = b;
    d->err = err;
    d->how->total = count_rows(b->order->manifest);
    d->manifest = manifest_open(b->order->manifest, err);
    return d->manifest && batch_csr_open(&d->csr, b, err) &&
           batch_earlier_open(&d->earlier, b, err) && batch_commit_open(&d->commit, b, err);
}

static void dispatcher_close(struct dispatcher *d)
{
    manifest_free(d->manifest);
    batch_csr_close(&d->csr);
    batch_earlier_close(&d->earlier);
    batch_commit_close(&d->commit);
}

bool dispatch(const struct batch *b, bool quiet, struct dispatched *how, struct error *err)
{
    struct sigaction old[3];
    size_t jobs = b->order->jobs ? (size_t)b->order->jobs : keygen_cores();
    AUTO(char) *memory = calloc(1, sizeof(struct dispatcher));
    struct dispatcher *d = (struct dispatcher *)(void *)memory;
    *how = (struct dispatched){.total = 0};
    if (!d)
        return error_memory(err);
    d->how = how;
    bool ready = dispatcher_open(d, b, err) && crew_start(&d->crew, b, jobs, err);
    if (ready) {
        watch_signals(old, false);
        progress_start(&d->progress, "certificates", quiet);
        hand_out_and_listen(d);
        progress_end(&d->progress);
        watch_signals(old, true);
    }
    crew_stop(&d->crew);
    how->interrupted = d->stopped;
    how->broken = d->broken;
    dispatcher_close(d);
    return ready;
}
