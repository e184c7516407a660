/* SPDX-License-Identifier: Apache-2.0 */
#include "applets/words.h"

#include "otrp/algorithm.h"
#include "otrp/error_code.h"
#include "otrp/message.h"
#include "pki/keygen.h"

typedef void each_word(void *context, const char *word);

static void each_jwa(enum jwa_kind kind, bool of_otrp, each_word *each, void *context)
{
    for (size_t i = 0; i < jwa_count; i++)
        if (jwa_table[i].kind == kind && (!of_otrp || otrp_algorithm(&jwa_table[i])))
            each(context, jwa_table[i].name);
}

void words_signature(each_word *each, void *context)
{
    each_jwa(JWA_SIGNATURE, false, each, context);
}

void words_key_management(each_word *each, void *context)
{
    each_jwa(JWA_KEY_MANAGEMENT, false, each, context);
}

void words_content(each_word *each, void *context)
{
    each_jwa(JWA_CONTENT, false, each, context);
}

void words_otrp_key_management(each_word *each, void *context)
{
    each_jwa(JWA_KEY_MANAGEMENT, true, each, context);
}

void words_otrp_content(each_word *each, void *context)
{
    each_jwa(JWA_CONTENT, true, each, context);
}

void words_otrp(each_word *each, void *context)
{
    each_jwa(JWA_SIGNATURE, true, each, context);
    words_otrp_key_management(each, context);
    words_otrp_content(each, context);
}

void words_key_alg(each_word *each, void *context)
{
    for (int alg = 0; alg < KEY_ALG_COUNT; alg++)
        each(context, key_alg_name((enum key_alg)alg));
}

void words_error_code(each_word *each, void *context)
{
    for (int id = ERR_NONE + 1; id < ERR_COUNT; id++)
        each(context, error_code_name((enum error_code_id)id));
}

void words_message(each_word *each, void *context)
{
    for (int i = 0; i < MESSAGE_COUNT; i++) {
        each(context, message_type((enum message_id)i)->request);
        each(context, message_type((enum message_id)i)->response);
    }
    for (size_t i = 0; i < other_message_count; i++)
        each(context, other_messages[i].name);
}
