/* SPDX-License-Identifier: Apache-2.0 */
/* unit.h: what the unit tests share: cmocka with what it needs, and checks of a struct error. */
#ifndef OTRP_TESTS_UNIT_H
#define OTRP_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/buffer.h"
#include "util/error.h"

/* The error has that code, and its message holds part. */
#define assert_error(err, code, part)                                                              \
    do {                                                                                           \
        assert_int_equal((err)->rc, (code));                                                       \
        if (!strstr((err)->message, (part)))                                                       \
            fail_msg("'%s' does not say '%s'", (err)->message, (part));                            \
    } while (0)

#define assert_span(span, literal)                                                                 \
    do {                                                                                           \
        assert_int_equal((span).size, sizeof(literal) - 1);                                        \
        assert_memory_equal((span).data, literal, sizeof(literal) - 1);                            \
    } while (0)

/* Bytes in memory of just their size, so that AddressSanitizer sees a read beyond them. */
static inline struct span exactly(const void *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    if (size)
        memcpy(copy, data, size);
    return (struct span){copy, size};
}

static inline void release(struct span s)
{
    free((void *)(uintptr_t)s.data);
}

#endif
