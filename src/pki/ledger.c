/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/txt_db.h>

#include "pki/asn1.h"
#include "pki/ledger_lock.h"
#include "util/file.h"
#include "util/limits.h"
#include "util/openssl_error.h"
#include "util/output_set.h"

/* The columns of a row, as in openssl-ca(1). */
enum column {
    COLUMN_TYPE,
    COLUMN_EXPIRY,
    COLUMN_REVOKED,
    COLUMN_SERIAL,
    COLUMN_FILE,
    COLUMN_NAME,
    COLUMN_COUNT
};

struct ledger {
    TXT_DB *db;
    char *path;        /* for messages */
    ledger_lock *lock; /* NULL when it is not to be saved */
};

static ledger *ledger_open(BIO *bio, const char *path, struct error *err)
{
    AUTO(ledger) *l = calloc(1, sizeof *l);
    if (!l || !(l->path = strdup(path))) {
        error_memory(err);
        return NULL;
    }
    l->db = TXT_DB_read(bio, COLUMN_COUNT);
    if (l->db)
        return TAKE(l);
    error_openssl(err, RC_MALFORMED, "%s: not an index of %d columns", path, COLUMN_COUNT);
    return NULL;
}

ledger *ledger_new(struct error *err)
{
    AUTO(BIO) *bio = BIO_new(BIO_s_mem());
    if (!bio) {
        error_memory(err);
        return NULL;
    }
    return ledger_open(bio, "new ledger", err);
}

/* TXT_DB_read would not say which row has other than six columns, and lose its memory over it. */
static bool check_columns(const buffer *text, const char *path, struct error *err)
{
    size_t row = 0;
    for (const char *line = (const char *)text->data, *end; *line; line = end + (*end != '\0')) {
        size_t columns = 1;
        end = line + strcspn(line, "\n");
        if (*line == '#')
            continue;
        row++;
        for (const char *c = line; c < end; c++)
            columns += *c == '\t' && (c == line || c[-1] != '\\');
        if (columns != COLUMN_COUNT)
            return error_set(err, RC_MALFORMED,
                             "%s: row %zu: not an index of %d columns: it has %zu", path, row,
                             COLUMN_COUNT, columns);
    }
    return true;
}

static ledger *ledger_read(const char *path, struct error *err)
{
    AUTO(buffer) *text = input_read(path, LIMIT_FILE_BYTES, err);
    if (!text || !check_columns(text, path, err))
        return NULL;
    AUTO(BIO) *bio = BIO_new_mem_buf(text->data, (int)text->size);
    if (!bio) {
        error_memory(err);
        return NULL;
    }
    return ledger_open(bio, path, err);
}

ledger *ledger_load(const char *path, struct error *err)
{
    ledger_lock *lock = ledger_lock_share(path);
    ledger *l = ledger_read(path, err);
    ledger_lock_free(lock);
    return l;
}

ledger *ledger_edit(const char *path, struct error *err)
{
    AUTO(ledger_lock) *lock = ledger_lock_take(path, err);
    ledger *l = lock ? ledger_read(path, err) : NULL;
    if (l)
        l->lock = TAKE(lock);
    return l;
}

void ledger_free(ledger *l)
{
    if (!l)
        return;
    TXT_DB_free(l->db);
    ledger_lock_free(l->lock);
    free(l->path);
    free(l);
}

/* Upper-case hexadecimal of an even length, as OpenSSL writes and seeks it; OpenSSL's memory. */
static char *serial_text(const X509 *cert)
{
    AUTO(BIGNUM) *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    if (!number)
        return NULL;
    return BN_is_zero(number) ? OPENSSL_strdup("00") : BN_bn2hex(number);
}

void ledger_facts_free(struct ledger_facts *facts)
{
    OPENSSL_free(facts->expiry);
    OPENSSL_free(facts->serial);
    OPENSSL_free(facts->subject);
    *facts = (struct ledger_facts){.serial = NULL};
}

bool ledger_facts_of(const X509 *cert, struct ledger_facts *facts)
{
    const ASN1_TIME *expiry = X509_get0_notAfter(cert);
    *facts = (struct ledger_facts){
        .expiry = OPENSSL_strndup((const char *)ASN1_STRING_get0_data(expiry),
                                  (size_t)ASN1_STRING_length(expiry)),
        .serial = serial_text(cert),
        .subject = X509_NAME_oneline(X509_get_subject_name(cert), NULL, 0)};
    if (facts->expiry && facts->serial && facts->subject)
        return true;
    ledger_facts_free(facts);
    return false;
}

/* A row of an index; each text is OpenSSL's memory. */
static char **row_new(const X509 *cert, const char *file)
{
    struct ledger_facts facts;
    char **row = OPENSSL_zalloc((COLUMN_COUNT + 1) * sizeof *row);
    if (!row || !ledger_facts_of(cert, &facts))
        return row;
    row[COLUMN_TYPE] = OPENSSL_strdup("V");
    row[COLUMN_EXPIRY] = facts.expiry;
    row[COLUMN_REVOKED] = OPENSSL_strdup("");
    row[COLUMN_SERIAL] = facts.serial;
    row[COLUMN_FILE] = OPENSSL_strdup(file ? file : "unknown");
    row[COLUMN_NAME] = facts.subject;
    return row;
}

static void row_free(char **row)
{
    for (size_t i = 0; row && i < COLUMN_COUNT; i++)
        OPENSSL_free(row[i]);
    OPENSSL_free(row);
}

static bool row_complete(char *const *row)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (!row || !row[i])
            return false;
    return true;
}

bool ledger_add(ledger *l, const X509 *cert, const char *file, struct error *err)
{
    char **row = row_new(cert, file);
    if (row_complete(row) && TXT_DB_insert(l->db, row))
        return true;
    row_free(row);
    return error_memory(err);
}

bool ledger_put_facts(buffer *out, const struct ledger_facts *facts, const char *file,
                      struct error *err)
{
    const char *const row[COLUMN_COUNT] = {[COLUMN_TYPE] = "V",
                                           [COLUMN_EXPIRY] = facts->expiry,
                                           [COLUMN_REVOKED] = "",
                                           [COLUMN_SERIAL] = facts->serial,
                                           [COLUMN_FILE] = file ? file : "unknown",
                                           [COLUMN_NAME] = facts->subject};
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        buffer_put_text(out, i ? "\t" : "");
        for (const char *c = row[i], *tab; *c; c = tab) {
            tab = strchrnul(c, '\t');
            buffer_put(out, c, (size_t)(tab - c));
            if (*tab)
                buffer_put_text(out, "\\\t"); /* as TXT_DB_write has it */
            tab += *tab != '\0';
        }
    }
    buffer_put_char(out, '\n');
    return !out->failed || error_memory(err);
}

bool ledger_put_row(buffer *out, const X509 *cert, const char *file, struct error *err)
{
    struct ledger_facts facts;
    if (!ledger_facts_of(cert, &facts))
        return error_memory(err);
    bool put = ledger_put_facts(out, &facts, file, err);
    ledger_facts_free(&facts);
    return put;
}

/*
 * Where the next row is to go: the end of the file, behind a row that its writer did not live to
 * end: that one is cut off when it is not whole. What it spoke of has never been handed out, since
 * that is done when the row is durable.
 */
static bool find_end(int fd, off_t *end, bool *newline)
{
    struct stat st;
    char tail[4096];
    if (fstat(fd, &st) != 0)
        return false;
    *end = st.st_size;
    *newline = false;
    if (!st.st_size)
        return true;
    size_t size = (size_t)st.st_size < sizeof tail ? (size_t)st.st_size : sizeof tail;
    if (pread(fd, tail, size, st.st_size - (off_t)size) != (ssize_t)size)
        return false;
    if (tail[size - 1] == '\n')
        return true;
    const char *last = memrchr(tail, '\n', size);
    const char *row = last ? last + 1 : tail;
    size_t tabs = 0;
    for (const char *c = row; c < tail + size; c++)
        tabs += *c == '\t';
    *newline = tabs == COLUMN_COUNT - 1 || !last;
    if (!*newline)
        *end -= tail + size - row;
    return true;
}

static bool write_at(int fd, struct span data, off_t at)
{
    while (data.size) {
        ssize_t n = pwrite(fd, data.data, data.size, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        at += n;
        data = SPAN(data.data + n, data.size - (size_t)n);
    }
    return true;
}

/* All of rows or nothing. */
static bool append_to(int fd, const char *path, struct span rows, struct error *err)
{
    off_t end;
    bool newline;
    if (!find_end(fd, &end, &newline) || ftruncate(fd, end) != 0)
        return error_errno(err, RC_INTERNAL, "%s: cannot read its end", path);
    if ((!newline || write_at(fd, span_text("\n"), end)) &&
        write_at(fd, rows, newline ? end + 1 : end) && fdatasync(fd) == 0)
        return true;
    error_errno(err, RC_INTERNAL, "%s: cannot write", path);
    (void)!ftruncate(fd, end);
    return false;
}

static bool add_attributes(const char *path, struct error *err)
{
    AUTO(char) *name = NULL;
    if (asprintf(&name, "%s.attr", path) < 0) {
        name = NULL;
        return error_memory(err);
    }
    if (path_exists(name))
        return true;
    AUTO(output_set) *outputs = output_set_new(false);
    return outputs ? output_add(outputs, name, span_text(LEDGER_ATTRIBUTES), OUTPUT_PUBLIC, err) &&
                         output_commit(outputs, err)
                   : error_memory(err);
}

bool ledger_append(const char *path, struct span rows, struct error *err)
{
    AUTO(ledger_lock) *lock = ledger_lock_take(path, err);
    if (!lock || !add_attributes(path, err))
        return false;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return error_errno(err, RC_INTERNAL, "%s: cannot open", path);
    bool appended = append_to(fd, path, rows, err);
    close(fd);
    return appended;
}

bool ledger_save(ledger *l, struct error *err)
{
    AUTO(buffer) *text = ledger_text(l, err);
    AUTO(output_set) *outputs = text ? output_set_new(true) : NULL;
    if (!outputs)
        return text ? error_memory(err) : false;
    return output_add(outputs, l->path, buffer_span(text), OUTPUT_PUBLIC, err) &&
           output_commit(outputs, err);
}

buffer *ledger_text(const ledger *l, struct error *err)
{
    AUTO(BIO) *bio = BIO_new(BIO_s_mem());
    buffer *text = bio && TXT_DB_write(bio, l->db) >= 0 ? bio_text(bio, false) : NULL;
    if (!text)
        error_memory(err);
    return text;
}

/* OpenSSL's words for a reason in an index; each stands at its number in RFC 5280 section 5.3.1. */
static const char *const reasons[] = {
    "unspecified",          "keyCompromise",   "CACompromise", "affiliationChanged", "superseded",
    "cessationOfOperation", "certificateHold", NULL,           "removeFromCRL"};

const char *ledger_reason_name(int reason)
{
    return reason >= 0 && (size_t)reason < COUNT(reasons) ? reasons[reason] : NULL;
}

int ledger_reason(const char *word)
{
    static const struct {
        const char *word;
        int reason;
    } more[] = {{"holdInstruction", 6}, {"keyTime", 1}, {"CAkeyTime", 2}};
    for (size_t i = 0; i < COUNT(reasons); i++)
        if (reasons[i] && strcasecmp(word, reasons[i]) == 0)
            return (int)i;
    for (size_t i = 0; i < COUNT(more); i++)
        if (strcasecmp(word, more[i].word) == 0)
            return more[i].reason;
    return -1;
}

/* "260102030405Z,keyCompromise" or "260102030405Z,holdInstruction,OID". */
static bool read_revocation(const char *text, struct ledger_entry *entry)
{
    AUTO(char) *when = strdup(text);
    AUTO(ASN1_TIME) *time = ASN1_TIME_new();
    if (!when || !time)
        return false;
    char *reason = strchr(when, ',');
    if (reason)
        *reason++ = '\0';
    char *end = reason ? strchr(reason, ',') : NULL;
    if (end)
        *end = '\0';
    entry->revoked = true;
    entry->reason = reason ? ledger_reason(reason) : -1;
    return ASN1_TIME_set_string(time, when) == 1 && asn1_time_read(time, &entry->revoked_at);
}

size_t ledger_count(const ledger *l)
{
    return (size_t)sk_OPENSSL_PSTRING_num(l->db->data);
}

bool ledger_row(const ledger *l, size_t index, struct ledger_entry *entry, struct error *err)
{
    char *const *row = sk_OPENSSL_PSTRING_value(l->db->data, (int)index);
    *entry = (struct ledger_entry){.known = true,
                                   .reason = -1,
                                   .serial = row[COLUMN_SERIAL],
                                   .file = row[COLUMN_FILE],
                                   .subject = row[COLUMN_NAME]};
    AUTO(ASN1_TIME) *expiry = ASN1_TIME_new();
    if (!expiry)
        return error_memory(err);
    const char *type = row[COLUMN_TYPE];
    if (strlen(type) != 1 || !strchr("VRE", type[0]))
        return error_set(err, RC_MALFORMED, "%s: row %zu: '%s' is none of V, R and E", l->path,
                         index + 1, type);
    if (ASN1_TIME_set_string(expiry, row[COLUMN_EXPIRY]) != 1 ||
        !asn1_time_read(expiry, &entry->expires_at))
        return error_set(err, RC_MALFORMED, "%s: row %zu: '%s' is no time of expiry", l->path,
                         index + 1, row[COLUMN_EXPIRY]);
    if (!*entry->serial || entry->serial[strspn(entry->serial, "0123456789ABCDEFabcdef")])
        return error_set(err, RC_MALFORMED, "%s: row %zu: '%s' is no serial number", l->path,
                         index + 1, entry->serial);
    if (type[0] == 'R' && !read_revocation(row[COLUMN_REVOKED], entry))
        return error_set(err, RC_MALFORMED, "%s: row %zu: '%s' is no time of revocation", l->path,
                         index + 1, row[COLUMN_REVOKED]);
    return true;
}

char *ledger_common_name(const struct ledger_entry *entry)
{
    static const char type[] = "/CN=";
    const char *name = entry->subject ? strstr(entry->subject, type) : NULL;
    return name ? strndup(name + strlen(type), strcspn(name + strlen(type), "/")) : NULL;
}

bool ledger_revoke(ledger *l, size_t index, time_t at, int reason, struct error *err)
{
    char **row = sk_OPENSSL_PSTRING_value(l->db->data, (int)index);
    AUTO(ASN1_TIME) *when = ASN1_TIME_set(NULL, at);
    const char *word = ledger_reason_name(reason);
    if (!when)
        return error_memory(err);
    bool back = word && strcmp(word, "removeFromCRL") == 0;
    size_t size = (size_t)ASN1_STRING_length(when) + (word ? strlen(word) : 0) + 2;
    char *text = OPENSSL_malloc(size);
    if (!text)
        return error_memory(err);
    if (back)
        text[0] = '\0';
    else
        snprintf(text, size, "%s%s%s", (const char *)ASN1_STRING_get0_data(when), word ? "," : "",
                 word ? word : "");
    if (!row[COLUMN_COUNT]) /* as in TXT_DB_free: a row that was read is one piece of memory */
        OPENSSL_free(row[COLUMN_REVOKED]);
    row[COLUMN_REVOKED] = text;
    row[COLUMN_TYPE][0] = back ? 'V' : 'R';
    return true;
}

char *ledger_serial(const X509 *cert)
{
    char *serial = serial_text(cert);
    char *copy = serial ? strdup(serial) : NULL;
    OPENSSL_free(serial);
    return copy;
}

size_t ledger_index(const ledger *l, const char *serial)
{
    size_t count = ledger_count(l);
    for (size_t i = 0; i < count; i++) {
        char *const *row = sk_OPENSSL_PSTRING_value(l->db->data, (int)i);
        if (strcasecmp(row[COLUMN_SERIAL], serial) == 0)
            return i;
    }
    return count;
}

bool ledger_find(const ledger *l, const X509 *cert, struct ledger_entry *entry, struct error *err)
{
    *entry = (struct ledger_entry){.reason = -1};
    AUTO(char) *serial = ledger_serial(cert);
    if (!serial)
        return error_memory(err);
    size_t index = ledger_index(l, serial);
    return index == ledger_count(l) || ledger_row(l, index, entry, err);
}
