/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/ledger_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct ledger_lock {
    int fd;
};

/* NULL with errno set. */
static ledger_lock *lock_open(const char *path, int flags, int operation)
{
    AUTO(ledger_lock) *lock = malloc(sizeof *lock);
    AUTO(char) *name = NULL;
    if (!lock)
        return NULL;
    lock->fd = -1;
    if (asprintf(&name, "%s.lock", path) < 0) {
        name = NULL;
        errno = ENOMEM;
        return NULL;
    }
    lock->fd = open(name, flags | O_CLOEXEC, 0666);
    int result = -1;
    while (lock->fd >= 0 && (result = flock(lock->fd, operation)) != 0 && errno == EINTR)
        continue;
    return result == 0 ? TAKE(lock) : NULL;
}

ledger_lock *ledger_lock_take(const char *path, struct error *err)
{
    ledger_lock *lock = lock_open(path, O_RDWR | O_CREAT, LOCK_EX);
    if (!lock)
        error_errno(err, RC_INTERNAL, "%s.lock: cannot lock", path);
    return lock;
}

ledger_lock *ledger_lock_share(const char *path)
{
    return lock_open(path, O_RDONLY, LOCK_SH);
}

void ledger_lock_free(ledger_lock *lock)
{
    if (!lock)
        return;
    int reason = errno;
    if (lock->fd >= 0)
        close(lock->fd); /* and with it the lock goes; the file stays: others may wait on it */
    free(lock);
    errno = reason;
}
