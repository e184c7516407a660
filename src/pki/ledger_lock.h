/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger_lock.h: the lock file beside a ledger (".lock"), on which processes that write wait for
 * one another, and readers for them. For ledger.c alone.
 *
 *     AUTO(ledger_lock) *lock = ledger_lock_take("index.txt", err);
 *     if (!lock) ...
 */
#ifndef OTRP_PKI_LEDGER_LOCK_H
#define OTRP_PKI_LEDGER_LOCK_H

#include "util/auto.h"
#include "util/error.h"

typedef struct ledger_lock ledger_lock;

/* For writing, waiting until nobody else writes or reads; the file is made when it is not there.
 * RC_INTERNAL when it cannot be. */
ledger_lock *ledger_lock_take(const char *path, struct error *err) MUST_CHECK;
/* For reading, waiting until nobody writes. NULL, which is as good, without a lock file: who may
 * only read cannot make one, and then nobody has ever written. */
ledger_lock *ledger_lock_share(const char *path);
void ledger_lock_free(ledger_lock *lock);

AUTO_DEFINE(ledger_lock, ledger_lock_free)

#endif
