/* SPDX-License-Identifier: Apache-2.0 */
/* install.h: finds what belongs to the program, from the installed place and from a checkout. */
#ifndef OTRP_UTIL_INSTALL_H
#define OTRP_UTIL_INSTALL_H

#include "util/error.h"

/* The folder of the X.509 templates, the path of the module lib/otrp/NAME.so, or that of a man page
 * of section 5, such as "otrp-policy". Owned by the caller; NULL with err set (it says where was
 * looked) when there is none. */
char *install_templates(struct error *err) MUST_CHECK;
char *install_module(const char *name, struct error *err) MUST_CHECK;
char *install_file_page(const char *name, struct error *err) MUST_CHECK;

#endif
