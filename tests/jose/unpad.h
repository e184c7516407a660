/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpad.h: the program of unpad_ct.c and unpad_naive.c, to run under valgrind's memcheck: whether a
 * branch or an address of a function that unpads RSA1_5 depends on the bytes that came out of RSA.
 * They are marked as undefined, which memcheck follows through all arithmetic and reports where it
 * decides something; only the result is marked as defined again, and compared.
 *
 *     #define unpad rsa1_5_unpad
 *     #include "unpad.h"
 */
#ifndef OTRP_TESTS_UNPAD_H
#define OTRP_TESTS_UNPAD_H

#include <stdio.h>
#include <string.h>

#include <valgrind/memcheck.h>

#include "util/buffer.h"

enum { LARGEST = 512 };

/* What is wrong with a padded block. */
enum fault {
    RIGHT,
    FIRST,
    TYPE,
    ZERO_EARLY,
    ZERO_AT_ONCE,
    NO_ZERO,
    LONGER,
    SHORTER,
    ZEROS,
    FAULTS
};

static void pad(uint8_t *em, size_t size, size_t bytes, enum fault fault)
{
    for (size_t i = 0; i < size; i++)
        em[i] = (uint8_t)(i * 37 % 255 + 1);
    em[0] = fault == FIRST;
    em[1] = fault == TYPE ? 1 : 2;
    size_t zero = size - bytes - 1;
    if (fault == LONGER)
        zero--;
    if (fault == SHORTER)
        zero++;
    if (fault != NO_ZERO)
        em[zero] = 0;
    if (fault == ZERO_EARLY)
        em[zero - 1] = 0;
    if (fault == ZERO_AT_ONCE)
        em[2] = 0;
    if (fault == ZEROS)
        memset(em, 0, size);
}

int main(void)
{
    static const size_t sizes[] = {256, 384, LARGEST}, keys[] = {16, 24, 32, 48, 64};
    if (!RUNNING_ON_VALGRIND) {
        fprintf(stderr, "run me under valgrind\n");
        return 2;
    }
    for (size_t s = 0; s < COUNT(sizes); s++)
        for (size_t k = 0; k < COUNT(keys); k++)
            for (int fault = RIGHT; fault < FAULTS; fault++) {
                uint8_t em[LARGEST], cek[64], right[64];
                pad(em, sizes[s], keys[k], (enum fault)fault);
                memset(cek, 0x5a, sizeof cek);
                memset(right, 0x5a, sizeof right);
                if (fault == RIGHT)
                    memcpy(right, em + sizes[s] - keys[k], keys[k]);
                (void)VALGRIND_MAKE_MEM_UNDEFINED(em, sizes[s]);
                unpad(em, sizes[s], cek, keys[k]);
                (void)VALGRIND_MAKE_MEM_DEFINED(cek, sizeof cek);
                if (memcmp(cek, right, sizeof right) != 0) {
                    printf("block of %zu, key of %zu, fault %d: another result\n", sizes[s],
                           keys[k], fault);
                    return 1;
                }
            }
    puts("all results right");
    return 0;
}

#endif
