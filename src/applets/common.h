/* SPDX-License-Identifier: Apache-2.0 */
/* common.h: what several applets do alike with their options: keys, one result, JSON arguments. */
#ifndef OTRP_APPLETS_COMMON_H
#define OTRP_APPLETS_COMMON_H

#include "applet.h"
#include "jose/key_set.h"
#include "pki/cert.h"
#include "pki/keygen.h"
#include "util/file.h"
#include "util/json.h"
#include "util/limits.h"
#include "util/output_set.h"

/* The keys of a --key argument, read as the call's --passin says. Owned by the caller. */
key_set *call_keys(const struct applet_call *call, const char *source, enum key_part part,
                   struct error *err) MUST_CHECK;

/* RC_MALFORMED when there is nothing but white space in what was read from path, as at the end of a
 * pipe whose beginning has failed. */
bool input_check(const char *path, const buffer *text, struct error *err) MUST_CHECK;

/* Where there is no hint yet, that of the command which explains the error code of that name; none
 * for a name that the protocol does not have. Always returns false. */
bool error_code_hint(struct error *err, const char *name);

/* The keys of an option that may be given several times; *keys is NULL without any. */
bool call_keys_all(const struct applet_call *call, const struct text_list *sources,
                   enum key_part part, key_set **keys, struct error *err) MUST_CHECK;

/* The certificates of an option that may be given several times, each a file or a folder; *certs is
 * NULL without any. */
bool certs_load_all(const struct text_list *paths, X509_stack **certs,
                    struct error *err) MUST_CHECK;

/* A new key, the caller's; who waits for it at a terminal sees that it is being made. */
EVP_PKEY *call_make_key(const struct applet_call *call, enum key_alg alg,
                        struct error *err) MUST_CHECK;

/* Writes the one result of a command, as --force says. */
enum rc call_put(const struct applet_call *call, const char *path, struct span data,
                 enum output_kind kind, struct error *err) MUST_CHECK;

/* The same, and takes data (also at a failure): a large result is not copied. */
enum rc call_put_buffer(const struct applet_call *call, const char *path, buffer *data,
                        enum output_kind kind, struct error *err) MUST_CHECK;

/* The algorithm that an option names: NULL text gives NULL; RC_USAGE with the known ones for an
 * unknown one. */
bool option_algorithm(const char *option, enum jwa_kind kind, const char *text,
                      const struct jwa **alg, struct error *err) MUST_CHECK;

/* The JSON object that an option gives, or NULL text: *object NULL. Owned by the caller. */
bool option_object(const char *option, const char *text, json_t **object,
                   struct error *err) MUST_CHECK;

/* The TAM that options name: of a PKI directory, or of files that stand for parts of it. */
struct tam_options {
    const char *pki, *tam, *key, *cert, *ocsp;
};

/* Loads its one private key, its chain (own certificate first) and its stapling set (NULL when
 * there is none). RC_USAGE when the key is not the certificate's. All owned by the caller. */
bool tam_identity_load(const struct applet_call *call, const struct tam_options *options,
                       key_set **keys, X509_stack **chain, json_t **ocsp,
                       struct error *err) MUST_CHECK;
/* The command that makes its stapling set anew, for hints; owned by the caller, NULL without
 * memory. */
char *tam_staple_command(const struct tam_options *options);

/* Warns of the chain in the file at path (NULL: of none) when it leads to none of roots, and what
 * comes of it. Where the roots are not known (NULL), a lone certificate is noted: its issuer may be
 * one. */
void call_warn_of_gap(const struct applet_call *call, const char *path, const X509_stack *chain,
                      const X509_stack *roots, const char *consequence);

struct reading; /* otrp/foreign.h */
struct foreign_row;

/* How --profile and --lenient say that messages are read: storage, filled, or NULL when that is
 * strictly. note and context as in struct reading. */
const struct reading *call_reading(const struct applet_call *call, struct reading *storage,
                                   void (*note)(void *context, const struct foreign_row *form,
                                                const char *path),
                                   void *context);
/* The same, saying each foreign form on standard error, as a note. */
const struct reading *call_reading_told(const struct applet_call *call, struct reading *storage);

/* A content encryption key in a JWK of type oct: read, and added to what is written (0600). */
buffer *cek_load(const char *path, struct error *err) MUST_CHECK;
bool cek_add(output_set *outputs, const char *path, const buffer *cek,
             struct error *err) MUST_CHECK;

#endif
