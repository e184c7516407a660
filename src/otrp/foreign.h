/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign.h: older and foreign forms of messages, brought into ours before the strict reading
 * (otrp-messages(7), OLDER AND FOREIGN FORMS). Nothing is judged here, and nothing is relaxed: what
 * a form does not explain stays as it is and fails where it always fails. What is signed, or
 * authenticated by a JWE, stays the bytes that were received.
 *
 *     struct reading how = {.lenient = true, .note = print_deviation};
 *     AUTO(buffer) *ours = NULL;
 *     if (!foreign_read(tbs, type->request_tbs, "CreateSDTBSRequest", &how, &ours, err)) ...
 *     if (ours) ...                 some of it was foreign: this text says the same in our form
 *
 * A reading that is NULL is the strict one: everything is read as the draft has it.
 */
#ifndef OTRP_OTRP_FOREIGN_H
#define OTRP_OTRP_FOREIGN_H

#include "jose/jwe.h"
#include "jose/jws.h"
#include "otrp/message.h"

/* FORM(id, name, where it stands in the draft or an RFC, what it is). The first group is what
 * lenient reading takes, the second what a profile must ask for. Here stands what is read as
 * something else: deviation.def names all that differs, for inspect, which reads nothing into it.
 * Each form of the first group is a deviation there, too (tests/profile.bats). */
#define FOREIGN_FORMS                                                                              \
    FORM(BOOLEAN_TEXT, "boolean-text", "OTrP messages", "a Boolean as a string")                   \
    FORM(LIST_TEXT, "list-text", "OTrP messages", "one string where a list of strings stands")     \
    FORM(ICAOCSPDAT, "icaocspdat", "OTrP common members", "icaocspdat for ocspdat")                \
    FORM(TSMID, "tsmid", "OTrP messages", "tsmid for tamid")                                       \
    FORM(OLD_NAME, "old-name", "OTrP InstallTA",                                                   \
         "cipherdata, encrypted_ta_bin or encrypted_ta_data for the data of encrypted_ta")         \
    FORM(BASE64URL, "base64url", "RFC 4648 section 4", "base64url where BASE64 or hex stands")     \
    FORM(HEX, "hex", "RFC 4648 section 4", "hexadecimal where BASE64 stands")                      \
    FORM(BASE64, "base64", "RFC 4648 section 8", "BASE64 where hexadecimal stands")                \
    FORM(SIGALG_BASE64, "sigalg-base64", "OTrP GetDeviceState", "sigalg in BASE64")                \
    FORM(RID_INTEGER, "rid-integer", "OTrP common members", "rid as a number")                     \
    FORM(RID_MISSING, "rid-missing", "OTrP common members", "no rid: taken for \"1\"")             \
    FORM(DSI_TEXT, "dsi-text", "OTrP messages", "dsi as a string that is JSON")                    \
    FORM(REASON_TEXT, "reason-text", "OTrP common members", "reason as a string")                  \
    FORM(SPAIK_NUMBERS, "spaik-numbers", "OTrP GetDeviceState",                                    \
         "spaik as exponent and modulus of an RSA key")                                            \
    FORM(KEY_BARE, "key-bare", "OTrP InstallTA",                                                   \
         "encrypted_ta.key as the wrapped key alone, without a JWE around it")                     \
    FORM(SIGNER, "signer", "RFC 7515 section 4.1.6", "header.signer, a certificate, for x5c")      \
    FORM(KID, "kid", "RFC 7515 section 4.1.4", "kid in the header")                                \
    FORM(X5C_PROTECTED, "x5c-protected", "RFC 7515 section 4.1.6", "x5c in the protected header")  \
    FORM(X5C_TEXT, "x5c-text", "RFC 7515 section 4.1.6", "x5c as one string")                      \
    FORM(X5C_BASE64URL, "x5c-base64url", "RFC 7515 section 4.1.6", "x5c in base64url or hex")      \
    FORM(X5C_ANSWER, "x5c-answer", "OTrP common members",                                          \
         "a certificate in the header of an answer, where none belongs")                           \
    FORM(QUOTES, "quotes", "RFC 8259 section 7", "typographic quotes in a protected header")       \
    FORM(JWE_FLATTENED, "jwe-flattened", "RFC 7516 section 7.2",                                   \
         "a flattened JWE, not a general one")                                                     \
    FORM(JWE_ALG, "jwe-alg", "OTrP messages", "alg of a JWE in its protected header")              \
    FORM(JWE_OBJECT, "jwe-object", "RFC 7516 section 7.2.1",                                       \
         "protected header of a JWE as an object, not encoded")                                    \
    FORM(JWE_SPACE, "jwe-space", "RFC 7516 section 7.2.1",                                         \
         "white space in the protected header of a JWE")                                           \
    FORM(COUNT_INTEGER, "count-integer", "OTrP GetDeviceState", "sdlist.cnt as a number")          \
    FORM(TA_LIST, "ta-list", "OTrP GetDeviceState", "ta_list for talist")                          \
    FORM(PLACEHOLDER, "placeholder", "OTrP messages",                                              \
         "an empty entry, or \"<...>\" for a value: left out")                                     \
    FORM(NO_CONTENT, "no-content", "OTrP messages", "content {} for a JWE: nothing is asked")      \
    FORM(TA_JWE, "ta-jwe", "OTrP InstallTA", "encrypted_ta as a JWE of the TA package itself")     \
    FORM(TA_EMPTY, "ta-empty", "OTrP InstallTA", "encrypted_ta {}: no TA in it")                   \
    FORM(FRESH_CEK, "fresh-cek", "OTrP common members",                                            \
         "an answer that is not encrypted with the CEK of its request")

enum foreign_form {
#define FORM(id, name, section, title) FOREIGN_##id,
    FOREIGN_FORMS
#undef FORM
        FOREIGN_COUNT
};
#define FOREIGN_BIT(id) (1ULL << FOREIGN_##id)
#define FOREIGN_LENIENT (FOREIGN_BIT(PLACEHOLDER) - 1) /* the first group: up to TA_LIST */

struct foreign_row {
    const char *name, *section, *title;
};
extern const struct foreign_row foreign_forms[FOREIGN_COUNT];

struct profile;

/* Told for each place where a form was found; path is as in messages, "InstallTATBSRequest.rid". */
typedef void (*foreign_note)(void *context, const struct foreign_row *form, const char *path);

/* How a message is read: by a profile (NULL: ietf), and leniently besides. */
struct reading {
    const struct profile *profile;
    bool lenient;
    foreign_note note; /* or NULL */
    void *context;     /* of note */
};

/* Whether a reading takes a form. */
bool foreign_accepts(const struct reading *reading, enum foreign_form form);

/* Tells the reading's note of a form at path. */
void foreign_found(const struct reading *reading, enum foreign_form form, const char *path);

/* The text of object in our form, as members say; *text stays NULL when there is nothing foreign
 * in it. Owned by the caller. False without memory only. */
bool foreign_read(const struct json_value *object, const struct member *members, const char *path,
                  const struct reading *reading, buffer **text, struct error *err) MUST_CHECK;

/* A JWS, or a JWE inside a message, in any of the forms that the reading takes; otherwise as
 * jws_from_value and jwe_from_value. The signer's certificates stand in header.x5c, wherever they
 * came from; answer: none belong there. */
jws *foreign_jws(const struct json_value *value, const char *what, bool answer,
                 const struct reading *reading, struct error *err) MUST_CHECK;
jwe *foreign_jwe(const struct json_value *value, const char *what, const struct reading *reading,
                 struct error *err) MUST_CHECK;

#endif
