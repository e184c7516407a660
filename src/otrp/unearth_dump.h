/* SPDX-License-Identifier: Apache-2.0 */
/* unearth_dump.h: bytes out of hexadecimal and BASE64 in running text: for unearth.c only. */
#ifndef OTRP_OTRP_UNEARTH_DUMP_H
#define OTRP_OTRP_UNEARTH_DUMP_H

#include "util/buffer.h"

struct dump {
    buffer *bytes; /* owned by the caller; NULL: there is no dump here */
    size_t end;    /* behind what was read */
    bool joined;   /* of several lines */
};

/* Lines of hexdump, xxd, od or tcpdump, one of which begins at line. False without memory. */
bool hex_dump_read(struct span text, size_t line, struct dump *dump) MUST_CHECK;

/* A token of hexadecimal or BASE64 digits (of both alphabets) at start, and the lines that go on
 * with it. False without memory. */
bool digits_read(struct span text, size_t start, struct dump *dump, bool *hex) MUST_CHECK;

#endif
