/* SPDX-License-Identifier: Apache-2.0 */
/* version.h: the version of otrp (semver.org), for --version and for what it calls itself to peers.
 */
#ifndef OTRP_UTIL_VERSION_H
#define OTRP_UTIL_VERSION_H

#define OTRP_VERSION_SERIES "0.1" /* major and minor: all that a peer is told */
#define OTRP_VERSION        OTRP_VERSION_SERIES ".0"

#endif
