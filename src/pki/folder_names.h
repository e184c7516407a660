/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder_names.h: the names in a folder, for as long as nobody changes it. To ask the file system
 * for a file that is not there takes as long as a tenth of what is made for a device, so for many
 * it is asked once.
 *
 *     AUTO(folder_names) *names = folder_names_read("pki/tee/tee");
 *     if (names && folder_names_hold(names) && !folder_names_has(names, "tee-unit1-ec-cert.pem"))
 */
#ifndef OTRP_PKI_FOLDER_NAMES_H
#define OTRP_PKI_FOLDER_NAMES_H

#include <stdbool.h>

#include "util/auto.h"

typedef struct folder_names folder_names;

/* NULL when it cannot be read, or has been changed so lately that a change now would not show. */
folder_names *folder_names_read(const char *path);
void folder_names_free(folder_names *names);

/* Whether the folder still is as it was when it was read. */
bool folder_names_hold(const folder_names *names);
/* Whether it had such a file then. */
bool folder_names_has(const folder_names *names, const char *file);

AUTO_DEFINE(folder_names, folder_names_free)

#endif
