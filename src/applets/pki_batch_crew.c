/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/pki_batch_crew.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pki/batch_worker.h"

/* What a worker has before it. The bytes fit into the buffers of a socket: who hands out rows never
 * waits for a worker that waits for its reports to be taken. */
#define AHEAD       64
#define AHEAD_BYTES 65536

static bool start_worker(struct crew *c, const struct batch *b, struct error *err)
{
    int pair[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return error_errno(err, RC_INTERNAL, "cannot talk to a process");
    pid_t pid = fork();
    if (pid == 0) {
        for (size_t i = 0; i < c->count; i++)
            close(c->workers[i].channel.fd);
        close(pair[0]);
        batch_work(b, pair[1], parent);
        _exit(0);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return error_errno(err, RC_INTERNAL, "cannot start a process");
    }
    struct worker *worker = &c->workers[c->count++];
    *worker = (struct worker){.pid = pid};
    return channel_open(&worker->channel, pair[0]) || error_memory(err);
}

bool crew_start(struct crew *c, const struct batch *b, size_t jobs, struct error *err)
{
    bool started = true;
    for (size_t i = 0; started && i < jobs && i < WORKERS_MOST; i++)
        started = start_worker(c, b, err);
    return started;
}

void crew_stop(struct crew *c)
{
    for (size_t i = 0; i < c->count; i++)
        channel_close(&c->workers[i].channel);
    for (size_t i = 0; i < c->count; i++)
        while (waitpid(c->workers[i].pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    c->count = 0;
}

void crew_dismiss(struct crew *c)
{
    for (size_t i = 0; !c->dismissed && i < c->count; i++)
        kill(c->workers[i].pid, SIGTERM);
    c->dismissed = true;
}

static bool has_enough(const struct worker *worker)
{
    return worker->ahead >= AHEAD || worker->ahead_bytes >= AHEAD_BYTES;
}

struct worker *crew_idlest(struct crew *c)
{
    struct worker *best = NULL;
    for (size_t i = 0; i < c->count; i++)
        if (!has_enough(&c->workers[i]) && (!best || c->workers[i].ahead < best->ahead))
            best = &c->workers[i];
    return best;
}

size_t crew_under_way(const struct crew *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++)
        count += c->workers[i].ahead;
    return count;
}

bool crew_flush(struct crew *c)
{
    bool sent = true;
    for (size_t i = 0; i < c->count; i++)
        sent = channel_flush(&c->workers[i].channel) && sent;
    return sent;
}
