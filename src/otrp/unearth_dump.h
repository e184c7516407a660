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

/* Lines of hexdump, xxd, od or tcpdump, one of which begins at line. What a "*" stands for is taken
 * off *budget; the dump ends at one that is beyond it. False without memory. */
bool hex_dump_read(struct span text, size_t line, size_t *budget, struct dump *dump) MUST_CHECK;

/* Dumps that go on with the first one, whose offsets start again: of a message in pieces, or of the
 * packets of TCP that carry it. bytes NULL: it is whole as it is, or nothing goes on with it. What
 * was looked at is taken off *budget. False without memory. */
bool hex_dumps_join(struct span text, const struct dump *first, size_t *budget,
                    struct dump *all) MUST_CHECK;

/* A token of hexadecimal or BASE64 digits (of both alphabets) at start, and the lines that go on
 * with it. False without memory. */
bool digits_read(struct span text, size_t start, struct dump *dump, bool *hex) MUST_CHECK;

#endif
