/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Works through a manifest: this process reads rows and hands them to workers, processes of its own
 * (threads of OpenSSL 3.0 wait for one another), and enters what they have made in the ledgers and
 * in the result, in the order of the rows and many at a time.
 *
 * The order that a kill at any moment respects: a row's files (the certificate as the last), then
 * all of a group's files made durable, then its rows in the ledger, then those in the result. So
 * what the result says is true, and a row that is not in it is done again; when its files are there
 * already, they are taken up. A row's certificate is in the ledger before anyone is told of it.
 */
#include "applets/pki_issue.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "pki/csv.h"
#include "pki/files.h"
#include "pki/journal.h"
#include "pki/layout.h"
#include "pki/ledger_filter.h"
#include "pki/manifest.h"
#include "pki/place.h"
#include "util/terminal.h"

#define WINDOW       1024 /* rows that are begun and not yet entered */
#define AHEAD        32   /* rows that a worker has before it */
#define GROUP_ROWS   1024
#define GROUP_MS     1000
#define FRAME_BYTES  (1u << 20)
#define PACK_BYTES   65536
#define REPORT_BYTES 2048     /* a few rows: nobody waits long for a slow one */
#define TICK_NS      20000000 /* longer than a tick of the file system's clock */
#define WORKERS_MOST 256

/* What goes between this process and a worker: a head, and its texts one after the other. */
enum frame_kind {
    FRAME_ROW,    /* to a worker: make this one; texts: the columns of the manifest */
    FRAME_SIGN,   /* to this process: the public key, for which a certificate is to be signed */
    FRAME_CERT,   /* its answer: the certificate in DER, or the error */
    FRAME_ISSUED, /* to this process: files are in place; texts: row of the ledger, of the result */
    FRAME_FAILED, /* the row cannot be made; text: row of the result */
    FRAME_BROKEN  /* nothing can go on, such as on a full disk; text: the message */
};

struct frame {
    uint32_t kind, size; /* size: of what follows */
    uint64_t row;
    uint32_t role;
    uint32_t adopted; /* FRAME_ISSUED: the files were there */
    uint32_t rc;      /* FRAME_BROKEN, FRAME_CERT */
    uint32_t first;   /* size of the first text, where there are two */
};

/* One end of a connection; frames go in packs, as a call of the system takes as long as a frame. */
struct channel {
    int fd;
    buffer *out, *in;
    size_t taken; /* of in */
};

static bool channel_open(struct channel *c, int fd)
{
    *c = (struct channel){.fd = fd, .out = buffer_new(4096), .in = buffer_new(PACK_BYTES)};
    return c->out && c->in;
}

static void channel_close(struct channel *c)
{
    if (c->fd >= 0)
        close(c->fd);
    buffer_free(c->out);
    buffer_free(c->in);
    *c = (struct channel){.fd = -1};
}

/* Sends what has been put so far. */
static bool channel_flush(struct channel *c)
{
    const uint8_t *p = c->out->data;
    size_t size = c->out->size;
    if (c->out->failed)
        return false;
    while (size) {
        ssize_t n = send(c->fd, p, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    c->out->size = 0;
    return true;
}

static void frame_put(struct channel *c, struct frame head, struct span first, struct span second)
{
    head.first = (uint32_t)first.size;
    head.size = (uint32_t)(first.size + second.size);
    buffer_put(c->out, &head, sizeof head);
    buffer_put_span(c->out, first);
    buffer_put_span(c->out, second);
}

static bool frame_send(struct channel *c, struct frame head, struct span first, struct span second)
{
    frame_put(c, head, first, second);
    return channel_flush(c);
}

/* Whether a whole frame is there: it is copied to head, and body (with a NUL behind it) is borrowed
 * until the next call. */
static bool frame_take(struct channel *c, struct frame *head, struct span *body)
{
    size_t there = c->in->size - c->taken;
    if (there < sizeof *head)
        return false;
    memcpy(head, c->in->data + c->taken, sizeof *head);
    if (there - sizeof *head < head->size)
        return false;
    *body = SPAN(c->in->data + c->taken + sizeof *head, head->size);
    c->taken += sizeof *head + head->size;
    return true;
}

/* Reads what there is, waiting for something; false at the end of the other side. */
static bool channel_fill(struct channel *c)
{
    memmove(c->in->data, c->in->data + c->taken, c->in->size - c->taken);
    c->in->size -= c->taken;
    c->taken = 0;
    if (c->in->size > FRAME_BYTES || !buffer_reserve(c->in, PACK_BYTES))
        return false;
    for (;;) {
        ssize_t n = recv(c->fd, c->in->data + c->in->size, PACK_BYTES, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        c->in->size += (size_t)n;
        return true;
    }
}

/* The columns of a row, packed: each with its NUL. */
static void pack(buffer *out, const char *const text[MANIFEST_COLUMNS])
{
    for (size_t i = 0; i < MANIFEST_COLUMNS; i++)
        buffer_put(out, text[i], strlen(text[i]) + 1);
}

static void unpack(const char *packed, const char *text[MANIFEST_COLUMNS])
{
    for (size_t i = 0; i < MANIFEST_COLUMNS; i++) {
        text[i] = packed;
        packed += strlen(packed) + 1;
    }
}

struct batch {
    const struct applet_call *call;
    struct station *station;
    const struct batch_order *order;
    char *manifest_folder; /* where a CSR may be, too */
    journal *journal;
    ledger_filter *known[ROLE_COUNT];
    struct timespec begun, resumed; /* what was made between these may be taken up */
};

/*
 * In a worker.
 */

struct bench {
    const struct batch *batch;
    struct channel *channel; /* to the process that hands out the rows */
    keygen *keys;
};

/* A CSR stands where the manifest says, or beside the manifest. */
static char *csr_path(const struct batch *b, const char *text)
{
    if (!*text || *text == '/' || path_exists(text))
        return strdup(text);
    AUTO(char) *beside = path_join(b->manifest_folder, text);
    return beside && path_exists(beside) ? TAKE(beside) : strdup(text);
}

static entity *read_row(const struct batch *b, const char *const text[MANIFEST_COLUMNS],
                        struct error *err)
{
    char days[24] = "";
    if (b->order->days)
        snprintf(days, sizeof days, "%ld", b->order->days);
    AUTO(char) *csr = csr_path(b, text[MANIFEST_CSR]);
    if (!csr) {
        error_memory(err);
        return NULL;
    }
    const char *alg = *csr || !b->order->alg ? "" : b->order->alg;
    return entity_read(
        &(struct entity_text){.role = text[MANIFEST_ROLE],
                              .name = text[MANIFEST_NAME],
                              .alg = *text[MANIFEST_ALG] ? text[MANIFEST_ALG] : alg,
                              .csr = csr,
                              .tamid = text[MANIFEST_TAMID],
                              .days = *text[MANIFEST_DAYS] ? text[MANIFEST_DAYS] : days},
        err);
}

/* The next FRAME_CERT; rows that were handed out before it stay for later. */
static buffer *receive_cert(struct channel *c, struct frame *head)
{
    size_t at = c->taken;
    for (;;) {
        struct span body;
        size_t keep = c->taken;
        c->taken = at;
        while (frame_take(c, head, &body)) {
            if (head->kind == FRAME_CERT) {
                buffer *answer = buffer_copy(body);
                size_t size = sizeof *head + head->size, start = c->taken - size;
                memmove(c->in->data + start, c->in->data + c->taken, c->in->size - c->taken);
                c->in->size -= size;
                c->taken = keep;
                return answer;
            }
            at = c->taken;
        }
        c->taken = keep;
        at -= keep;
        if (!channel_fill(c))
            return NULL;
    }
}

/* Has the certificate made by the process that holds the token. */
static bool issue_elsewhere(const struct bench *w, uint64_t row, entity *e, struct error *err)
{
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(e->pkey, &der);
    struct frame head = {.kind = FRAME_SIGN, .row = row};
    bool sent = size > 0 && frame_send(w->channel, head, SPAN(der, (size_t)size), SPAN(NULL, 0));
    OPENSSL_free(der);
    AUTO(buffer) *answer = sent ? receive_cert(w->channel, &head) : NULL;
    if (!answer)
        return error_set(err, RC_INTERNAL, "the signing process does not answer");
    if (head.rc != RC_OK)
        return error_set(err, (enum rc)head.rc, "%s", (const char *)answer->data);
    return station_take(e, buffer_span(answer), err);
}

static bool same_time_or_later(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec >= b.tv_nsec;
}

/* Whether the file was made by an earlier run of this batch. */
static bool is_ours(const struct batch *b, const char *path)
{
    struct stat st;
    return b->order->resume && stat(path, &st) == 0 && same_time_or_later(st.st_ctim, b->begun) &&
           same_time_or_later(b->resumed, st.st_ctim);
}

static int give_passphrase(char *to, int size, int writing, void *context)
{
    (void)writing;
    const buffer *passphrase = context;
    if (!passphrase || passphrase->size > (size_t)size)
        return -1;
    memcpy(to, passphrase->data, passphrase->size);
    return (int)passphrase->size;
}

static EVP_PKEY *read_key(const char *path, const buffer *passphrase)
{
    struct error ignored;
    AUTO(buffer) *text = input_read(path, LIMIT_KEY_BYTES, &ignored);
    BIO *bio = text ? BIO_new_mem_buf(text->data, (int)text->size) : NULL;
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_passphrase,
                                                   (void *)(uintptr_t)passphrase)
                         : NULL;
    BIO_free(bio);
    return pkey;
}

/* Whether the certificate that is there is whole, of the row's CA, and goes with its key. A file
 * may be empty after the machine itself went down. */
static bool is_whole(const struct batch *b, entity *e, const char *cert_path, const char *key_path)
{
    struct error ignored;
    AUTO(X509_stack) *certs = cert_load(cert_path, &ignored);
    X509 *cert = certs ? sk_X509_value(certs, 0) : NULL;
    EVP_PKEY *ca = X509_get0_pubkey(b->station->ca[e->role].ca->cert);
    if (!cert || X509_verify(cert, ca) != 1)
        return false;
    EVP_PKEY *own = e->pkey ? e->pkey : read_key(key_path, b->station->passphrase);
    bool fits = own && EVP_PKEY_eq(X509_get0_pubkey(cert), own) == 1;
    if (own != e->pkey) {
        EVP_PKEY_free(own);
        e->private = fits;
    }
    AUTO(buffer) *der = fits ? cert_to_der(cert, &ignored) : NULL;
    return der && station_take(e, buffer_span(der), &ignored);
}

/* The certificate of the row if an earlier run has made it: *done. What that left unfinished is
 * taken away. */
static bool take_up(const struct batch *b, entity *e, bool *done, struct error *err)
{
    AUTO(char) *cert = station_path(b->station, e, "cert.pem");
    AUTO(char) *key_path = station_path(b->station, e, "key.pem");
    *done = false;
    if (!cert || !key_path)
        return error_memory(err);
    if (!is_ours(b, cert))
        return true;
    *done = is_whole(b, e, cert, key_path);
    if (!*done && unlink(cert) != 0)
        return error_errno(err, RC_INTERNAL, "%s: cannot remove", cert);
    return true;
}

static bool check_free(const struct batch *b, const entity *e, struct error *err)
{
    char *found;
    if (!station_taken(b->station, e, &found, err))
        return false;
    AUTO(char) *path = found;
    if (path)
        return error_set(err, RC_USAGE, "%s: the name '%s' is taken", path, e->name);
    if (e->role != ROLE_TAM)
        return true;
    AUTO(char) *folder = NULL;
    if (asprintf(&folder, "%s/tam/tam", b->station->pki) < 0) {
        folder = NULL;
        return error_memory(err);
    }
    AUTO(char) *owner = layout_tamid_owner(folder, e->tamid, e->name);
    return !owner || error_set(err, RC_USAGE, "tamid '%s': %s has it already", e->tamid, owner);
}

static bool check_ledger(const struct batch *b, const entity *e, struct error *err)
{
    char *subject = X509_NAME_oneline(X509_get_subject_name(e->cert), NULL, 0);
    bool known = subject && ledger_filter_has_subject(b->known[e->role], subject);
    if (!subject)
        error_memory(err);
    if (known)
        error_set(err, RC_USAGE, "the name '%s' is taken: %s has %s", e->name,
                  b->station->ca[e->role].ca->ledger_path, subject);
    OPENSSL_free(subject);
    return subject && !known;
}

static bool place(const struct batch *b, const entity *e, const char *what, const buffer *content,
                  mode_t mode, struct error *err)
{
    AUTO(char) *path = content ? station_path(b->station, e, what) : NULL;
    if (!path)
        return content ? error_memory(err) : false;
    enum place_how how = b->order->resume ? PLACE_INSTEAD : PLACE_NEW;
    return place_file(path, buffer_span(content), how, mode, err);
}

static void take_back(const struct batch *b, const entity *e, const char *what)
{
    AUTO(char) *path = station_path(b->station, e, what);
    if (path)
        unlink(path);
}

/* The certificate comes last: where it is, the others are. */
static bool place_all(const struct batch *b, const entity *e, struct error *err)
{
    static const char bundle_name[] = "cert-plus-intermediate-cert.pem";
    AUTO(buffer) *cert = entity_cert_pem(e, err);
    AUTO(buffer) *bundle = cert ? station_bundle(b->station, cert, e->role, err) : NULL;
    AUTO(buffer) *pem = bundle && e->private ? pki_key_pem(e->pkey, b->station->passphrase, err)
                                             : NULL;
    if (!bundle || (e->private && !pem))
        return false;
    if (pem && !place(b, e, "key.pem", pem, 0600, err))
        return false;
    bool placed = place(b, e, bundle_name, bundle, 0666, err);
    if (placed && place(b, e, "cert.pem", cert, 0666, err))
        return true;
    if (placed)
        take_back(b, e, bundle_name);
    if (pem)
        take_back(b, e, "key.pem");
    return false;
}

static bool make(const struct bench *w, uint64_t row, entity *e, bool *adopted, struct error *err)
{
    const struct batch *b = w->batch;
    struct station *s = b->station;
    if (!s->ca[e->role].key)
        return error_set(err, RC_USAGE, "there is no CA for a %s", role_title(e->role));
    if (b->order->resume && !take_up(b, e, adopted, err))
        return false;
    if (*adopted) {
        AUTO(buffer) *cert = entity_cert_pem(e, err);
        AUTO(buffer) *bundle = cert ? station_bundle(s, cert, e->role, err) : NULL;
        return bundle && place(b, e, "cert-plus-intermediate-cert.pem", bundle, 0666, err);
    }
    return check_free(b, e, err) && entity_make_key(e, w->keys, err) &&
           (b->order->token ? issue_elsewhere(w, row, e, err) : station_issue(s, e, err)) &&
           check_ledger(b, e, err) && place_all(b, e, err);
}

/* What went wrong with a row; what went wrong with the machine concerns them all. */
static bool report_failure(const struct bench *w, uint64_t row,
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

static bool report(const struct bench *w, uint64_t row, const entity *e, bool adopted,
                   struct error *err)
{
    struct frame head = {.kind = FRAME_ISSUED, .row = row, .role = e->role, .adopted = adopted};
    AUTO(char) *file = station_ledger_file(w->batch->station, e);
    AUTO(buffer) *entry = file ? buffer_new(256) : NULL;
    AUTO(buffer) *line = buffer_new(512);
    if (!entry || !line)
        return error_memory(err);
    if (!ledger_put_row(entry, e->cert, file, err) ||
        !issued_put_entity(line, w->batch->station, e, row, NULL, err))
        return false;
    frame_put(w->channel, head, buffer_span(entry), buffer_span(line));
    return true;
}

static bool do_row(const struct bench *w, const struct frame *head, struct span body)
{
    const char *text[MANIFEST_COLUMNS];
    struct error err = {.rc = RC_INTERNAL};
    bool adopted = false;
    AUTO(buffer) *columns = buffer_copy(body); /* a signature may come in its place */
    if (!columns)
        return false;
    unpack((const char *)columns->data, text);
    AUTO(entity) *e = read_row(w->batch, text, &err);
    if (e && make(w, head->row, e, &adopted, &err) && report(w, head->row, e, adopted, &err)) {
        if (!adopted && !w->batch->order->token) /* not one that was read from a file */
            station_reuse(w->batch->station, e);
        return true;
    }
    return report_failure(w, head->row, text, &err);
}

/* The life of a worker; it ends when its socket does, and with the process that made it. */
static void work(const struct bench *w, pid_t parent)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct frame head;
    struct span body;
    bool alive = w->keys && getppid() == parent;
    while (alive) {
        while (alive && frame_take(w->channel, &head, &body)) {
            alive = do_row(w, &head, body);
            if (w->channel->out->size > REPORT_BYTES)
                alive = alive && channel_flush(w->channel);
        }
        alive = alive && channel_flush(w->channel) && channel_fill(w->channel);
    }
}

/*
 * In the process that hands out the rows.
 */

struct worker {
    pid_t pid;
    struct channel channel;
    size_t ahead; /* rows that it has and has not reported */
};

/* A row between its begin and its entry. */
struct slot {
    bool used, done;
    uint64_t row;
    uint64_t name; /* hash of role and name: one after the other */
    buffer *columns;
    bool issued, adopted;
    enum pki_role role;
    buffer *entry, *line; /* of ledger and result */
};

/* Rows that become durable together. */
struct group {
    buffer *lines, *entries[ROLE_COUNT];
    size_t rows;
    long long since_ms;
};

struct dispatcher {
    struct batch *batch;
    manifest *manifest;
    csv *earlier; /* what the journal had, in step with the manifest; NULL: nothing */
    size_t earlier_left;
    struct csv_record earlier_row;
    bool earlier_ready;
    struct worker workers[WORKERS_MOST];
    size_t worker_count;
    struct slot slots[WINDOW];
    uint64_t base, next; /* slots of the rows begun: from base up to next */
    struct manifest_row row;
    bool row_ready, exhausted, stopped;
    uint64_t *adopted; /* hashes of serial numbers */
    size_t adopted_count;
    struct group group, committing;
    pthread_t committer;
    bool committer_runs, commit_failed;
    struct error commit_error;
    struct progress progress;
    size_t total, done, failed, kept;
    struct error *err;
    bool broken;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static uint64_t hash_text(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * 0x100000001b3;
    return (h ^ 0xff) * 0x100000001b3;
}

static void break_off(struct dispatcher *d, const struct error *why)
{
    if (!d->broken)
        *d->err = *why;
    d->broken = d->stopped = true;
}

static bool start_worker(struct dispatcher *d, struct error *err)
{
    int pair[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return error_errno(err, RC_INTERNAL, "cannot talk to a process");
    pid_t pid = fork();
    if (pid == 0) {
        for (size_t i = 0; i < d->worker_count; i++)
            close(d->workers[i].channel.fd);
        close(pair[0]);
        struct channel channel;
        if (channel_open(&channel, pair[1]))
            work(&(struct bench){d->batch, &channel, keygen_new()}, parent);
        _exit(0);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return error_errno(err, RC_INTERNAL, "cannot start a process");
    }
    struct worker *worker = &d->workers[d->worker_count++];
    *worker = (struct worker){.pid = pid};
    return channel_open(&worker->channel, pair[0]) || error_memory(err);
}

static void stop_workers(struct dispatcher *d)
{
    for (size_t i = 0; i < d->worker_count; i++)
        channel_close(&d->workers[i].channel);
    for (size_t i = 0; i < d->worker_count; i++)
        while (waitpid(d->workers[i].pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    d->worker_count = 0;
}

/* Makes a group durable: files, ledgers, result, in this order. */
static bool commit_group(struct dispatcher *d, struct error *err)
{
    const struct station *s = d->batch->station;
    struct group *g = &d->committing;
    bool made = false;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        made = made || g->entries[role]->size;
    if (made && !place_sync(s->out ? s->out : s->pki, err))
        return false;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        if (g->entries[role]->size &&
            !ledger_append(s->ca[role].ca->ledger_path, buffer_span(g->entries[role]), err))
            return false;
    return journal_append(d->batch->journal, buffer_span(g->lines), err);
}

static void *commit_thread(void *context)
{
    struct dispatcher *d = context;
    d->commit_failed = !commit_group(d, &d->commit_error);
    return NULL;
}

static void group_clear(struct group *g)
{
    g->lines->size = 0;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        g->entries[role]->size = 0;
    g->rows = 0;
}

static bool group_new(struct group *g)
{
    bool made = (g->lines = buffer_new(4096)) != NULL;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        made = (g->entries[role] = buffer_new(64)) && made;
    return made;
}

static void group_free(struct group *g)
{
    buffer_free(g->lines);
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        buffer_free(g->entries[role]);
}

static void commit_wait(struct dispatcher *d)
{
    if (d->committer_runs)
        pthread_join(d->committer, NULL);
    d->committer_runs = false;
    if (d->commit_failed)
        break_off(d, &d->commit_error);
}

/* Has the group made durable, while the workers go on. */
static void commit_start(struct dispatcher *d)
{
    commit_wait(d);
    if (d->commit_failed || !d->group.rows)
        return;
    struct group empty = d->committing;
    d->committing = d->group;
    d->group = empty;
    group_clear(&d->group);
    if (pthread_create(&d->committer, NULL, commit_thread, d) == 0)
        d->committer_runs = true;
    else
        commit_thread(d);
}

/* Enters a row that was made by an earlier run: once, and in the ledger unless it is there. A
 * second row of that name has found the first one's certificate. */
static bool enter_adopted(struct dispatcher *d, struct slot *slot, bool *in_ledger)
{
    struct csv_record record = {.count = 0};
    AUTO(buffer) *serial = buffer_new(64);
    const char *start = (const char *)slot->entry->data;
    for (int tabs = 0; *start && tabs < 3; start++)
        tabs += *start == '\t';
    (void)record;
    if (!serial)
        return false;
    buffer_put(serial, start, strcspn(start, "\t"));
    const char *text = (const char *)serial->data;
    uint64_t h = hash_text(0xcbf29ce484222325, text);
    for (size_t i = 0; i < d->adopted_count; i++)
        if (d->adopted[i] == h)
            return false;
    *in_ledger = ledger_filter_has_serial(d->batch->known[slot->role], text);
    if (*in_ledger && file_has_line(journal_path(d->batch->journal), text))
        return false;
    uint64_t *list = realloc(d->adopted, (d->adopted_count + 1) * sizeof *list);
    if (!list)
        return false;
    d->adopted = list;
    list[d->adopted_count++] = h;
    return true;
}

static void enter(struct dispatcher *d, struct slot *slot)
{
    bool in_ledger = false;
    if (slot->issued && slot->adopted && !enter_adopted(d, slot, &in_ledger)) {
        const char *text[MANIFEST_COLUMNS];
        unpack((const char *)slot->columns->data, text);
        slot->issued = false;
        slot->line->size = 0;
        issued_put(slot->line, &(struct issued){.row = slot->row,
                                                .role = text[MANIFEST_ROLE],
                                                .name = text[MANIFEST_NAME],
                                                .status = ISSUED_FAILED,
                                                .message = "the name is taken by an earlier row"});
    }
    if (!d->group.rows++)
        d->group.since_ms = clock_elapsed_ms();
    buffer_put_span(d->group.lines, buffer_span(slot->line));
    if (slot->issued && !in_ledger)
        buffer_put_span(d->group.entries[slot->role], buffer_span(slot->entry));
    d->done++;
    d->failed += !slot->issued;
}

static void slot_clear(struct slot *slot)
{
    buffer_free(slot->columns);
    buffer_free(slot->entry);
    buffer_free(slot->line);
    *slot = (struct slot){.used = false};
}

/* Enters the rows that are done, in their order; at the end (stopped) also those behind one that
 * will never be. */
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
    if (d->group.rows >= GROUP_ROWS ||
        (d->group.rows && clock_elapsed_ms() - d->group.since_ms >= GROUP_MS))
        commit_start(d);
    progress_update(&d->progress, d->done + d->kept, d->total);
}

/* The next record of what the journal had. */
static bool earlier_next(struct dispatcher *d, struct error *err)
{
    d->earlier_ready = false;
    if (!d->earlier || !d->earlier_left)
        return true;
    if (csv_next(d->earlier, &d->earlier_row, err) == CSV_FAILED)
        return false;
    d->earlier_left--;
    if (d->earlier_row.count != ISSUED_FIELDS)
        return error_set(err, RC_MALFORMED, "%s: line %zu: not a row of a result",
                         journal_path(d->batch->journal), d->earlier_row.line);
    d->earlier_ready = true;
    return true;
}

/* Whether the row was issued by an earlier run. */
static bool is_kept(struct dispatcher *d, const char *const text[MANIFEST_COLUMNS], bool *kept,
                    struct error *err)
{
    *kept = false;
    while (d->earlier_ready && strtoul(d->earlier_row.fields[0], NULL, 10) < d->row.number)
        if (!earlier_next(d, err))
            return false;
    const char *const *fields = d->earlier_row.fields;
    if (!d->earlier_ready || strtoul(fields[0], NULL, 10) != d->row.number ||
        strcmp(fields[ISSUED_STATUS], ISSUED_GOOD) != 0)
        return true;
    *kept = true;
    if (strcmp(fields[1], text[MANIFEST_ROLE]) == 0 && strcmp(fields[2], text[MANIFEST_NAME]) == 0)
        return true;
    error_set(err, RC_USAGE, "%s: row %zu was %s '%s' there, and is %s '%s' in %s",
              journal_path(d->batch->journal), d->row.number, fields[1], fields[2],
              text[MANIFEST_ROLE], text[MANIFEST_NAME], d->batch->order->manifest);
    return error_hint(err, "a batch is resumed with the manifest that it was begun with");
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
        bool kept;
        if (!is_kept(d, d->row.text, &kept, err))
            return false;
        d->kept += kept;
        d->row_ready = !kept;
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

static struct worker *idlest(struct dispatcher *d)
{
    struct worker *best = NULL;
    for (size_t i = 0; i < d->worker_count; i++)
        if (d->workers[i].ahead < AHEAD && (!best || d->workers[i].ahead < best->ahead))
            best = &d->workers[i];
    return best;
}

/* A row that cannot even be read. */
static void fail_row(struct dispatcher *d, struct slot *slot)
{
    slot->line = buffer_new(256);
    slot->done = true;
    if (slot->line)
        issued_put(
            slot->line,
            &(struct issued){.row = slot->row, .status = ISSUED_FAILED, .message = d->row.fault});
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
    struct worker *worker = idlest(d);
    if (!d->row_ready || !worker)
        return false;
    uint64_t name = hash_text(hash_text(0xcbf29ce484222325, d->row.text[MANIFEST_ROLE]),
                              d->row.text[MANIFEST_NAME]);
    if (!d->row.fault && is_under_way(d, name))
        return false;
    struct slot *slot = &d->slots[d->next % WINDOW];
    *slot = (struct slot){.used = true, .row = d->row.number, .name = name};
    slot->columns = buffer_new(128);
    if (slot->columns)
        pack(slot->columns, d->row.text);
    d->row_ready = false;
    d->next++;
    if (d->row.fault) {
        fail_row(d, slot);
        return true;
    }
    struct frame head = {.kind = FRAME_ROW, .row = d->row.number};
    if (!slot->columns || slot->columns->failed) {
        error_memory(&why);
        break_off(d, &why);
        return false;
    }
    frame_put(&worker->channel, head, buffer_span(slot->columns), SPAN(NULL, 0));
    worker->ahead++;
    return true;
}

/* Hands out what there is to hand out. Nobody is disturbed for one row while he has others. */
static void hand_out_all(struct dispatcher *d)
{
    struct error why;
    while (hand_out(d))
        continue;
    for (size_t i = 0; i < d->worker_count; i++)
        if (!channel_flush(&d->workers[i].channel)) {
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

/* Signs for a worker: the key is in a token, which one process talks to. */
static bool sign_for(struct dispatcher *d, struct worker *worker, const struct slot *slot,
                     struct span spki)
{
    const char *text[MANIFEST_COLUMNS];
    struct error why = {.rc = RC_INTERNAL};
    unpack((const char *)slot->columns->data, text);
    AUTO(entity) *e = read_row(d->batch, text, &why);
    const unsigned char *p = spki.data;
    bool keyed = e && (e->pkey || entity_set_key(e, d2i_PUBKEY(NULL, &p, (long)spki.size), false,
                                                 "the new key", &why));
    bool signed_ = keyed && station_issue(d->batch->station, e, &why);
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

static size_t under_way(const struct dispatcher *d)
{
    size_t count = 0;
    for (size_t i = 0; i < d->worker_count; i++)
        count += d->workers[i].ahead;
    return count;
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
    for (size_t i = 0; i < d->worker_count; i++)
        polled[i] = (struct pollfd){.fd = d->workers[i].ahead ? d->workers[i].channel.fd : -1,
                                    .events = POLLIN};
    if (poll(polled, d->worker_count, GROUP_MS) <= 0)
        return;
    for (size_t i = 0; i < d->worker_count; i++) {
        if (!polled[i].revents || take_reports(d, &d->workers[i]))
            continue;
        struct error why;
        error_set(&why, RC_INTERNAL, "a worker has ended before its time");
        d->workers[i].ahead = 0;
        break_off(d, &why);
    }
}

static void dispatch(struct dispatcher *d)
{
    for (;;) {
        d->stopped |= interrupted != 0;
        hand_out_all(d);
        enter_done(d, false);
        if (!under_way(d)) {
            if (d->stopped || (d->exhausted && !d->row_ready))
                break;
            continue;
        }
        listen_to(d);
    }
    enter_done(d, true);
    commit_start(d);
    commit_wait(d);
}

static bool open_earlier(struct dispatcher *d, struct error *err)
{
    const char *path = journal_path(d->batch->journal);
    d->earlier_left = journal_lines(d->batch->journal);
    if (!d->earlier_left)
        return true;
    struct csv_record header;
    d->earlier = csv_open(path, err);
    return d->earlier && csv_next(d->earlier, &header, err) == CSV_RECORD && earlier_next(d, err);
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

static bool print_result(const struct applet_call *call, const char *path, struct error *err)
{
    AUTO(csv) *table = csv_open(path, err);
    return table && issued_print(call, table, err);
}

static enum rc conclude(struct dispatcher *d, struct error *err)
{
    struct batch *b = d->batch;
    if (d->broken) {
        if (!err->hint[0])
            error_hint(err, "%zu rows are done; --resume goes on with the others",
                       d->done - d->failed + d->kept);
        return err->rc;
    }
    if (d->stopped) {
        error_set(err, RC_PARTIAL, "interrupted: %zu of %zu rows are done",
                  d->done - d->failed + d->kept, d->total);
        error_hint(err, "--resume goes on with the others");
        return RC_PARTIAL;
    }
    if (!journal_tidy(b->journal, err) || !print_result(b->call, journal_path(b->journal), err))
        return err->rc;
    if (!d->failed) {
        say(b->call, "%s: %zu certificates, and %zu from before", journal_path(b->journal), d->done,
            d->kept);
        return RC_OK;
    }
    error_set(err, RC_PARTIAL, "%zu of %zu rows failed", d->failed, d->total);
    error_hint(err, "%s says why; --resume tries them again", journal_path(b->journal));
    return RC_PARTIAL;
}

static bool watch_signals(struct sigaction old[3], bool restore)
{
    static const int numbers[3] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < 3; i++)
        sigaction(numbers[i], restore ? &old[i] : &action, restore ? NULL : &old[i]);
    return true;
}

static enum rc run_batch(struct batch *b, struct error *err)
{
    AUTO(char) *memory = calloc(1, sizeof(struct dispatcher));
    struct dispatcher *d = (struct dispatcher *)(void *)memory;
    struct sigaction old[3];
    size_t jobs = b->order->jobs ? (size_t)b->order->jobs : keygen_cores();
    if (!d)
        return error_memory(err), err->rc;
    d->batch = b;
    d->err = err;
    d->total = count_rows(b->order->manifest);
    d->manifest = manifest_open(b->order->manifest, err);
    bool ready = d->manifest && open_earlier(d, err) &&
                 ((group_new(&d->group) && group_new(&d->committing)) || error_memory(err));
    for (size_t i = 0; ready && i < jobs && i < WORKERS_MOST; i++)
        ready = start_worker(d, err);
    enum rc rc = err->rc;
    if (ready) {
        watch_signals(old, false);
        progress_start(&d->progress, "certificates", b->call->common->quiet);
        dispatch(d);
        progress_end(&d->progress);
        watch_signals(old, true);
        stop_workers(d);
        rc = conclude(d, err);
    } else {
        stop_workers(d);
    }
    manifest_free(d->manifest);
    csv_free(d->earlier);
    group_free(&d->group);
    group_free(&d->committing);
    free(d->adopted);
    return rc;
}

/* "out/devices.result.csv" for a manifest at some/where/devices.csv. */
static char *result_path(const char *folder, const char *given)
{
    const char *slash = strrchr(given, '/');
    const char *name = slash ? slash + 1 : given;
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, ".csv") == 0)
        length -= 4;
    char *path;
    return asprintf(&path, "%s/%.*s.result.csv", folder, (int)length, name) < 0 ? NULL : path;
}

static bool make_folder(const char *path, struct error *err)
{
    AUTO(output_set) *outputs = output_set_new(false);
    if (!outputs)
        return error_memory(err);
    return output_directory(outputs, path, err) && output_commit(outputs, err);
}

static bool open_batch(struct batch *b, struct error *err)
{
    const struct station *s = b->station;
    const char *folder = s->out ? s->out : s->pki;
    const char *slash = strrchr(b->order->manifest, '/');
    b->manifest_folder = slash
                             ? strndup(b->order->manifest, (size_t)(slash - b->order->manifest) + 1)
                             : strdup(".");
    AUTO(char) *path = result_path(folder, b->order->manifest);
    if (!path || !b->manifest_folder)
        return error_memory(err);
    if (!make_folder(folder, err) ||
        !(b->journal = journal_open(path, ISSUED_HEADER, b->order->resume, err)))
        return false;
    b->begun = journal_begun(b->journal);
    clock_gettime(CLOCK_REALTIME, &b->resumed);
    nanosleep(&(struct timespec){0, TICK_NS}, NULL); /* so that new files are later than that */
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        if (s->ca[role].ca &&
            !(b->known[role] = ledger_filter_load(s->ca[role].ca->ledger_path, err)))
            return false;
    return true;
}

enum rc batch_run(const struct applet_call *call, struct station *station,
                  const struct batch_order *order, struct error *err)
{
    struct batch b = {.call = call, .station = station, .order = order};
    enum rc rc = open_batch(&b, err) ? run_batch(&b, err) : err->rc;
    for (enum pki_role role = 0; role < ROLE_COUNT; role++)
        ledger_filter_free(b.known[role]);
    journal_free(b.journal);
    free(b.manifest_folder);
    return rc;
}
