/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server_tls.h: the certificate and key of a server, as PEM for GnuTLS. They are read and
 * judged here, where they still have a name.
 *
 *     if (!tls_files_read(&tls, "server.pem", "server-key.pem", err)) ...
 */
#ifndef OTRP_NET_HTTP_SERVER_TLS_H
#define OTRP_NET_HTTP_SERVER_TLS_H

#include "util/buffer.h"

struct tls_files {
    buffer *cert, *key; /* NULL: no TLS; secret, followed by a NUL */
};

/* Both paths NULL: no TLS. RC_USAGE when one is missing, cannot be read, or does not belong to the
 * other. */
bool tls_files_read(struct tls_files *tls, const char *cert, const char *key,
                    struct error *err) MUST_CHECK;
void tls_files_clear(struct tls_files *tls);

#endif
