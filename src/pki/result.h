/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result.h: the result of a batch, "devices.result.csv" in the folder of its files: a row for each
 * of the manifest, and whether the files there are still those that it names.
 *
 *     AUTO(result_list) *files = result_files("out", err);
 *     if (result_judge("out", record.fields, message) != RESULT_SOUND) ...
 */
#ifndef OTRP_PKI_RESULT_H
#define OTRP_PKI_RESULT_H

#include "pki/cert.h"
#include "pki/csv.h"

/* The fields of a row (issued.h). */
enum result_field {
    RESULT_ROW,
    RESULT_ROLE,
    RESULT_NAME,
    RESULT_SERIAL,
    RESULT_SHA256,
    RESULT_DID,
    RESULT_CERT,
    RESULT_KEY,
    RESULT_STATUS,
    RESULT_MESSAGE,
    RESULT_FIELDS
};

/* The paths of the results in a folder, in their order. */
typedef struct result_list {
    char **paths;
    size_t count;
} result_list;

result_list *result_files(const char *folder, struct error *err) MUST_CHECK;
void result_list_free(result_list *list);

/* Whether a record is a row of a result, and one of an issued certificate. */
bool result_is_row(const struct csv_record *record);
bool result_is_issued(const struct csv_record *record);

enum result_state { RESULT_SOUND, RESULT_GONE, RESULT_DIFFERS };

/*
 * Whether certificate and key of an issued row are in the folder and the certificate is the one
 * that the row tells of; message says what is not so. *kept, unless kept is NULL, gets the
 * certificate when all is so, the caller's. A row's paths are as they were when the batch
 * was run: only what stands below the folder counts (tee/4f/NAME), so it may have been moved.
 */
enum result_state result_judge(const char *folder, const char *const fields[RESULT_FIELDS],
                               X509_stack **kept, char message[640]);

/* A result in which a certificate is replaced. */
typedef struct result_edit {
    int lock;
    char *path;
    buffer *text; /* the whole of it */
} result_edit;

/*
 * The result in folder that has the old certificate, with the new one in its place (DER): *edit,
 * the caller's, which keeps batches out until it is freed; NULL when no result has it. RC_USAGE
 * while a batch works on it.
 */
bool result_renew(const char *folder, const X509 *old, struct span renewed, result_edit **edit,
                  struct error *err) MUST_CHECK;
void result_edit_free(result_edit *edit);

AUTO_DEFINE(result_list, result_list_free)
AUTO_DEFINE(result_edit, result_edit_free)

#endif
