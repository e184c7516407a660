/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words.h: what a shell offers for the values of options that several applets have: the names in
 * the tables of algorithms, keys, messages and error codes.
 *
 *     OPT_WORDS(sign, alg, 'a', "ALG", words_signature, 0, "signature algorithm"),
 */
#ifndef OTRP_APPLETS_WORDS_H
#define OTRP_APPLETS_WORDS_H

#include "util/options.h"

/* Algorithms of JOSE: signature, key management, content encryption. */
option_words words_signature, words_key_management, words_content;
/* Those of OTrP: for content encrypted to a TEE, and all of them. */
option_words words_otrp_key_management, words_otrp_content, words_otrp;

/* Kinds of keys ("ec-p256"), error codes, and outer names of messages. */
option_words words_key_alg, words_error_code, words_message;

#endif
