/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unearth_json.h: reads an object or array out of running text, and mends it on the way: for the
 * parts of unearth.h, and for inspect where a value may be JSON.
 */
#ifndef OTRP_OTRP_UNEARTH_JSON_H
#define OTRP_OTRP_UNEARTH_JSON_H

#include "otrp/unearth.h"

/* Whether what stands at i begins like an object with a name, or an array of strings or objects;
 * behind a newline, prefixes of lines may stand before them. */
bool json_begins(struct span text, size_t i);

/* The end of the object or array at start, when it is sound as it stands; 0 when it is not, with
 * *stopped where that showed. */
size_t json_plain_end(struct span text, size_t start, size_t *stopped);

struct mended {
    buffer *text; /* owned by the caller */
    size_t end;   /* behind what was read */
    unsigned how; /* of enum unearthed_how */
    size_t ahead; /* bytes that were looked at besides */
};

/* Reads with all tolerance; what ends too early is closed (UNEARTHED_CUT). False without memory. */
bool json_mend(struct span text, size_t start, struct mended *mended) MUST_CHECK;

#endif
