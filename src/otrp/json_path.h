/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_path.h: "changes.spcert[0]" in a JSON document: setting and removing one place.
 *
 *     json_path_set(tbs, "ocspdat[0]=\"AAAA\"", err);      what is behind '=' is JSON, or else
 * taken as a string
 */
#ifndef OTRP_OTRP_JSON_PATH_H
#define OTRP_OTRP_JSON_PATH_H

#include "util/json.h"

/* Sets the place that assignment ("PATH=JSON") names; objects on the way are made. RC_USAGE. */
bool json_path_set(json_t *root, const char *assignment, struct error *err) MUST_CHECK;
/* Removes the place; RC_USAGE when there is nothing. */
bool json_path_unset(json_t *root, const char *path, struct error *err) MUST_CHECK;

#endif
