/* SPDX-License-Identifier: Apache-2.0 */
#include "util/text_form.h"

#include <ctype.h>

int hex_value(uint8_t digit)
{
    return isdigit(digit) ? digit - '0' : isxdigit(digit) ? (digit | 0x20) - 'a' + 10 : -1;
}

int hex_pair(struct span text, size_t i)
{
    int high = i < text.size ? hex_value(text.data[i]) : -1;
    int low = i + 1 < text.size ? hex_value(text.data[i + 1]) : -1;
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool text_is_hex(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (hex_value(text.data[i]) < 0)
            return false;
    return text.size > 0 && text.size % 2 == 0;
}

buffer *hex_decode(struct span text)
{
    buffer *bytes = text_is_hex(text) ? buffer_secret(text.size / 2) : NULL;
    for (size_t i = 0; bytes && i < text.size; i += 2)
        bytes->data[bytes->size++] = (uint8_t)hex_pair(text, i);
    return bytes;
}

struct span base64_unpadded(struct span text)
{
    for (int i = 0; i < 2 && text.size && text.data[text.size - 1] == '='; i++)
        text.size--;
    return text;
}

/* Whether it is of one alphabet: letters, digits and the two others. */
static bool of_alphabet(struct span text, char other, char another)
{
    for (size_t i = 0; i < text.size; i++)
        if (!isalnum(text.data[i]) && text.data[i] != (uint8_t)other &&
            text.data[i] != (uint8_t)another)
            return false;
    return text.size > 0 && text.size % 4 != 1;
}

bool text_is_base64(struct span text)
{
    return text.size % 4 == 0 && of_alphabet(base64_unpadded(text), '+', '/');
}

bool text_is_base64url(struct span text)
{
    return of_alphabet(base64_unpadded(text), '-', '_');
}
