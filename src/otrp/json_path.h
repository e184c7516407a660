/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_path.h: "changes.spcert[0]" in a JSON document: setting and removing one place.
 *
 *     json_path_set(tbs, "ocspdat[0]=\"AAAA\"", err);
 *                                  what is behind '=' is JSON, or else taken as a string
 *     json_path_edit(&payload, "CreateSDTBSRequest.encrypted_ta.iv", "7", err);
 *                                  in a text of any size, of which nothing else changes
 */
#ifndef OTRP_OTRP_JSON_PATH_H
#define OTRP_OTRP_JSON_PATH_H

#include "util/json.h"
#include "util/json_slice.h"

/* Sets the place that assignment ("PATH=JSON") names; objects on the way are made. RC_USAGE. */
bool json_path_set(json_t *root, const char *assignment, struct error *err) MUST_CHECK;
/* Removes the place; RC_USAGE when there is nothing. */
bool json_path_unset(json_t *root, const char *path, struct error *err) MUST_CHECK;

/* Replaces *text, owned by the caller, by one with json (NULL: nothing) at path. Only the last step
 * may be absent: then json is added. RC_USAGE for a place that is not there, RC_MALFORMED for what
 * is no JSON. */
bool json_path_edit(buffer **text, const char *path, const char *json,
                    struct error *err) MUST_CHECK;

/* What --set gives behind '=': JSON text, or the text as a JSON string. Owned by the caller. */
buffer *json_path_value(const char *text);

#endif
