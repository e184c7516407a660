/* SPDX-License-Identifier: Apache-2.0 */
/* A function that branches on what it unpads: memcheck must see it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static void unpad(const uint8_t *em, size_t size, uint8_t *cek, size_t bytes)
{
    size_t zero = 2;
    if (em[0] != 0 || em[1] != 2)
        return;
    while (zero < size && em[zero])
        zero++;
    if (size - zero - 1 == bytes)
        memcpy(cek, em + zero + 1, bytes);
}

#include "unpad.h"
