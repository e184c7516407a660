/* SPDX-License-Identifier: Apache-2.0 */
/*
 * der.h: DER (X.690) put together by hand, and PEM (RFC 7468) of it. OpenSSL's encoders take longer
 * for the key and the certificate of a device than its key generation and its signature together.
 *
 *     size_t start = out->size;
 *     der_put(out, DER_INTEGER, serial);
 *     der_put(out, DER_OCTET_STRING, value);
 *     der_wrap(out, start, DER_SEQUENCE);
 */
#ifndef OTRP_PKI_DER_H
#define OTRP_PKI_DER_H

#include "util/buffer.h"

enum {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_OBJECT = 0x06,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT = 0xa0, /* plus the number, up to 30: constructed */
};

/* Appends an element. */
void der_put(buffer *out, uint8_t tag, struct span content);

/* Makes what out has from start on the content of an element. */
void der_wrap(buffer *out, size_t start, uint8_t tag);

/* Appends an object identifier that OpenSSL has a number for. */
void der_put_nid(buffer *out, int nid);

/* Appends a BIT STRING of whole bytes. */
void der_put_bits(buffer *out, struct span bytes);

/* Appends der in PEM; label: "CERTIFICATE". */
void pem_put(buffer *out, const char *label, struct span der);

#endif
