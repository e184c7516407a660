/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auto.h: ownership that can be seen. AUTO(T) declares a pointer that is freed at the end of its
 * scope; TAKE(p) moves it out, to a caller or into a structure.
 *
 *     AUTO(buffer) *out = buffer_new(0);
 *     if (!out || !fill(out))
 *         return NULL;
 *     return TAKE(out);
 */
#ifndef OTRP_UTIL_AUTO_H
#define OTRP_UTIL_AUTO_H

#include <stdlib.h>

#define AUTO(type) __attribute__((cleanup(auto_##type))) type

/* Gives type an AUTO: release is the function that frees a pointer to it and accepts NULL. */
#define AUTO_DEFINE(type, release)                                                                 \
    static inline __attribute__((unused)) void auto_##type(type *const *pointer)                   \
    {                                                                                              \
        release(*pointer);                                                                         \
    }

#ifdef __CPPCHECK__ /* takes the NULL in it for the value */
#define TAKE(pointer) (pointer)
#else
#define TAKE(pointer)                                                                              \
    ({                                                                                             \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })
#endif

AUTO_DEFINE(char, free)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
