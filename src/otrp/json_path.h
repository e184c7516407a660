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

/* Changes that wait until a text is made. */
struct json_change {
    char *path;
    buffer *json; /* NULL: nothing is to stand there */
};

typedef struct json_changes {
    struct json_change *items;
    size_t count;
} json_changes;

/* Adds what --set ("PATH=JSON") or --unset ("PATH") says. RC_USAGE. */
bool json_changes_add(json_changes *changes, const char *text, bool set,
                      struct error *err) MUST_CHECK;
/* Makes them in *text, below the member of that name. NULL changes are none. */
bool json_changes_apply(const json_changes *changes, const char *member, buffer **text,
                        struct error *err) MUST_CHECK;
/* Frees what they hold, not the structure. */
void json_changes_free(json_changes *changes);

AUTO_DEFINE(json_changes, json_changes_free)

#endif
