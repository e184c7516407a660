/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.h: goes through the folder of a PKI and tells what is wrong in it.
 *
 *     struct audit audit = {
 *         .pki = "pki", .at = now, .soon_days = 30, .load_key = load, .find = tell };
 *     if (!audit_run(&audit, err)) ...
 *
 * The kinds of findings are a table (audit_kind): the command, its manual and its tests go by it.
 */
#ifndef OTRP_PKI_AUDIT_H
#define OTRP_PKI_AUDIT_H

#include "pki/cert.h"
#include "util/buffer.h"

enum audit_kind {
#define FINDING(id, name, hint) AUDIT_##id,
#include "pki/audit.def"
#undef FINDING
    AUDIT_KINDS
};

/* "chain-broken" and so on. */
const char *audit_kind_name(enum audit_kind kind);

/* What is wrong with what, and what is to be done about it; borrowed for the call. */
struct audit_finding {
    enum audit_kind kind;
    const char *path, *message, *hint;
};

struct audit {
    const char *pki;
    const char *out; /* also the sharded folder of batches; or NULL */
    time_t at;
    int soon_days, staple_soon_hours; /* what ends before then ends soon */
    void *context;
    /* The key of a file, owned by the caller; err->cause is CAUSE_ENCRYPTED where it is encrypted
     * and there is no passphrase, CAUSE_PASSPHRASE where the passphrase does not open it. */
    EVP_PKEY *(*load_key)(void *context, const char *path, struct error *err);
    void (*find)(void *context, const struct audit_finding *finding);
    size_t certificates, keys; /* results: looked at */
    size_t keys_not_opened;    /* encrypted ones, of which only the mode could be looked at */
};

/* RC_USAGE when there is no PKI; what is wrong inside it are findings. */
bool audit_run(struct audit *audit, struct error *err) MUST_CHECK;

#endif
