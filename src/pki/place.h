/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place.h: files that come into being whole, one at a time and by the ten thousand. A file gets its
 * name when all of it is written, so that a kill leaves none half there; that it is durable is for
 * place_sync, once for many.
 *
 *     if (!place_file("out/tee/4f/tee-device1-ec-cert.pem", span, PLACE_NEW, 0666, err)) ...
 *     if (!place_sync("out", err)) ...
 *
 * util/output_set.h is for a few files that belong together.
 */
#ifndef OTRP_PKI_PLACE_H
#define OTRP_PKI_PLACE_H

#include <sys/types.h>

#include "util/buffer.h"

enum place_how {
    PLACE_NEW,    /* RC_USAGE when the name is taken */
    PLACE_INSTEAD /* of what an interrupted run may have left */
};

/* Folders that are missing are made. RC_INTERNAL when it cannot be written (a full disk). */
bool place_file(const char *path, struct span data, enum place_how how, mode_t mode,
                struct error *err) MUST_CHECK;

/* Makes all that was written on the file system of folder durable. */
bool place_sync(const char *folder, struct error *err) MUST_CHECK;

#endif
