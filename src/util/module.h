/* SPDX-License-Identifier: Apache-2.0 */
/*
 * module.h: loads a library for the commands that need it, and only then. A module is
 * lib/otrp/NAME.so and exports one structure of functions; it stays loaded. A library costs a
 * process up to 5 ms to load, more than ten signatures.
 *
 *     const struct http_client_api *http = module_load("http-client", "http_client_api", err);
 */
#ifndef OTRP_UTIL_MODULE_H
#define OTRP_UTIL_MODULE_H

#include "util/error.h"

/* The structure of that name in the module; NULL (RC_INTERNAL) when the module is missing or
 * broken. */
const void *module_load(const char *name, const char *symbol, struct error *err) MUST_CHECK;

#endif
