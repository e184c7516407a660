/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_check.h: what the rows of the table of checks (request.h) have in common; for
 * request_check.c, which has the table, and request_check_signer.c alone.
 *
 * A row is a function. It returns ERR_NONE when the check has passed, NOT_CHECKED when the view has
 * nothing to check it with, or the error code that the TEE answers, with the reason in err.
 */
#ifndef OTRP_OTRP_REQUEST_CHECK_H
#define OTRP_OTRP_REQUEST_CHECK_H

#include "otrp/request.h"

enum { NOT_CHECKED = -1 };

typedef int (*check_function)(request *r, const struct tee_view *view, struct error *err);

/* A row fails with code; the message says why. */
static inline int fail(enum error_code_id code)
{
    return (int)code;
}

/* Whether the device of the view, of which there may be none, can do an algorithm. */
bool tee_supports(const struct tee_view *view, const struct jwa *alg, const char *what,
                  struct error *err) MUST_CHECK;

/* Rows of request_check_signer.c. */
int check_algorithm(request *r, const struct tee_view *view, struct error *err);
int check_signer(request *r, const struct tee_view *view, struct error *err);
int check_trust(request *r, const struct tee_view *view, struct error *err);
int check_signature(request *r, const struct tee_view *view, struct error *err);
int check_revocation(request *r, const struct tee_view *view, struct error *err);

#endif
