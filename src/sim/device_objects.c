/* SPDX-License-Identifier: Apache-2.0 */
/* What a device holds for a TAM: SDs, TAs, AIKs, and the DSI that tells of them. */
#include "sim/device.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "jose/signature.h"
#include "otrp/dsi.h"
#include "pki/keygen.h"
#include "pki/x5c.h"
#include "util/limits.h"

bool device_find_sd(device *dev, const char *tamid, const char *spid, const char *name,
                    long long *sd, int *count, struct error *err)
{
    *sd = 0;
    *count = 0;
    AUTO(sqlite3_stmt) *rows = sql_query(dev->db, err,
                                         "SELECT id FROM sd WHERE device = ?1 AND tamid = ?2 AND "
                                         "name = ?3 AND (?4 IS NULL OR spid = ?4)",
                                         "ittt", dev->id, tamid, name, spid);
    bool more = true;
    while (rows && more) {
        if (!sql_next(dev->db, rows, &more, err))
            return false;
        if (more) {
            *sd = sqlite->column_int64(rows, 0);
            ++*count;
        }
    }
    return rows != NULL;
}

bool device_add_sd(device *dev, const char *tamid, const char *spid, const char *name,
                   long long *sd, struct error *err)
{
    if (!sql_run(dev->db, err, "INSERT INTO sd (device, tamid, spid, name) VALUES (?, ?, ?, ?)",
                 "ittt", dev->id, tamid, spid, name))
        return false;
    *sd = sqlite->last_insert_rowid(dev->db);
    return true;
}

bool device_find_ta(device *dev, long long sd, const char *taid, long long *ta, struct error *err)
{
    return sql_number(dev->db, ta, 0, err, "SELECT id FROM ta WHERE sd = ? AND taid = ?", "it", sd,
                      taid);
}

X509_stack *device_sd_certs(device *dev, long long sd, struct error *err)
{
    AUTO(X509_stack) *certs = sk_X509_new_null();
    AUTO(sqlite3_stmt) *rows = sql_query(
        dev->db, err, "SELECT der FROM sd_cert WHERE sd = ? ORDER BY sha256", "i", sd);
    bool more = true;
    while (certs && rows && more) {
        if (!sql_next(dev->db, rows, &more, err))
            return NULL;
        X509 *cert = more ? cert_from_der(sql_blob(rows, 0), "stored SP certificate", err) : NULL;
        if (more && (!cert || !sk_X509_push(certs, cert)))
            return NULL;
    }
    return rows ? TAKE(certs) : NULL;
}

bool device_add_sd_cert(device *dev, long long sd, const X509 *cert, struct error *err)
{
    AUTO(char) *sha256 = cert_sha256_hex(cert, err);
    AUTO(buffer) *der = sha256 ? cert_to_der(cert, err) : NULL;
    return der &&
           sql_run(dev->db, err, "INSERT OR IGNORE INTO sd_cert (sd, sha256, der) VALUES (?, ?, ?)",
                   "itb", sd, sha256, buffer_span(der));
}

bool sp_cert_check(X509 *cert, const char *what, struct error *err)
{
    bool self_issued = X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
    EVP_PKEY *own = X509_get0_pubkey(cert);
    if (!own || (self_issued && X509_verify(cert, own) != 1))
        return error_set(err, RC_UNTRUSTED, "%s: %s", what,
                         own ? "its own signature is wrong" : "its key cannot be read");
    AUTO(key) *k = key_from_pkey(X509_get_pubkey(cert), false, what, err);
    return k && pkey_check_strength(k->pkey, what, false, err);
}

/* A sealed AIK cannot stand in for that of another SP or TAM. */
static char *aik_label(const char *tamid, const char *spid, struct error *err)
{
    char *label;
    if (asprintf(&label, "SP AIK %zu:%s:%s", strlen(tamid), tamid, spid) >= 0)
        return label;
    error_memory(err);
    return NULL;
}

key *device_aik(device *dev, const char *tamid, const char *spid, struct error *err)
{
    err->rc = RC_OK;
    AUTO(char) *label = aik_label(tamid, spid, err);
    AUTO(sqlite3_stmt) *row =
        label ? sql_query(dev->db, err,
                          "SELECT key FROM aik WHERE device = ? AND tamid = ? AND spid = ?", "itt",
                          dev->id, tamid, spid)
              : NULL;
    bool more;
    if (!row || !sql_next(dev->db, row, &more, err) || !more)
        return NULL;
    return unseal_key(dev->fuse, label, sql_blob(row, 0), err);
}

static bool store_aik(device *dev, const char *tamid, const char *spid, const key *aik,
                      struct error *err)
{
    AUTO(char) *label = aik_label(tamid, spid, err);
    AUTO(buffer) *sealed = label ? seal_key(dev->fuse, label, aik, err) : NULL;
    AUTO(json_t) *spaik = sealed ? spaik_encode(aik->pkey, err) : NULL;
    return spaik && sql_run(dev->db, err,
                            "INSERT OR REPLACE INTO aik (device, tamid, spid, key, spaik, type)"
                            " VALUES (?, ?, ?, ?, ?, ?)",
                            "ittbtt", dev->id, tamid, spid, buffer_span(sealed),
                            json_string_value(spaik), spaik_type(aik->pkey));
}

key *device_make_aik(device *dev, const char *tamid, const char *spid, struct error *err)
{
    bool rsa = EVP_PKEY_is_a(dev->tee_key->pkey, "RSA");
    struct keygen_job job = {.alg = rsa ? KEY_RSA_2048 : KEY_EC_P256};
    if (!keygen_run(&job, 1, &(struct keygen_how){.threads = 1}, err))
        return NULL;
    AUTO(key) *aik = key_from_pkey(job.pkey, true, "SP AIK", err);
    return aik && store_aik(dev, tamid, spid, aik, err) ? TAKE(aik) : NULL;
}

bool device_drop_unused_aik(device *dev, const char *tamid, const char *spid, struct error *err)
{
    return sql_run(dev->db, err,
                   "DELETE FROM aik WHERE device = ?1 AND tamid = ?2 AND spid = ?3 AND NOT EXISTS"
                   " (SELECT 1 FROM sd WHERE device = ?1 AND tamid = ?2 AND spid = ?3)",
                   "itt", dev->id, tamid, spid);
}

/* ---- the default SD ---- */

/* The first common name in the subject of cert, or its SHA-256 where it has none that is a name. */
static char *sp_name(const X509 *cert, struct error *err)
{
    const X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const X509_NAME_ENTRY *entry = at >= 0 ? X509_NAME_get_entry(subject, at) : NULL;
    unsigned char *text = NULL;
    int size = entry ? ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry)) : 0;
    bool good = size > 0 && size <= LIMIT_NAME_BYTES && !memchr(text, '\0', (size_t)size);
    char *name = good ? span_dup(SPAN(text, (size_t)size)) : cert_sha256_hex(cert, err);
    OPENSSL_free(text);
    ERR_clear_error();
    if (good && !name)
        error_memory(err);
    return name;
}

bool device_add_default_sd(device *dev, const char *tamid, const X509 *cert, struct error *err)
{
    long long sd;
    AUTO(char) *spid = sp_name(cert, err);
    if (!spid || !device_add_sd(dev, tamid, spid, DEFAULT_SD, &sd, err) ||
        !device_add_sd_cert(dev, sd, cert, err))
        return false;
    AUTO(key) *aik = device_make_aik(dev, tamid, spid, err);
    return aik != NULL;
}

/* ---- the DSI ---- */

/* ES256 for P-256 firmware keys is R || S; the protocol names RS256 and ES256. */
static json_t *tfwdata(device *dev, const char *tid, struct error *err)
{
    const struct jwa *alg = jwa_for_signature(dev->tfw_key, err);
    struct span piece = span_text(tid);
    AUTO(buffer) *signature = alg ? signature_make(alg, dev->tfw_key, &piece, 1, err) : NULL;
    if (!signature)
        return NULL;
    return json_pack("{s:o, s:o, s:s, s:o}", "tbs", json_base64(piece), "cert",
                     x5c_element(sk_X509_value(dev->tfw_chain, 0), err), "sigalg", alg->name, "sig",
                     json_base64(buffer_span(signature)));
}

static json_t *talist(device *dev, long long sd, struct error *err)
{
    AUTO(json_t) *list = json_array();
    AUTO(sqlite3_stmt) *rows = sql_query(
        dev->db, err, "SELECT taid, taname FROM ta WHERE sd = ? ORDER BY taid", "i", sd);
    bool more = true;
    while (rows && more) {
        if (!sql_next(dev->db, rows, &more, err))
            return NULL;
        if (more)
            json_array_append_new(
                list, json_pack("{s:s, s:s*}", "taid", (const char *)sqlite->column_text(rows, 0),
                                "taname", (const char *)sqlite->column_text(rows, 1)));
    }
    return rows ? TAKE(list) : NULL;
}

static json_t *sdlist(device *dev, const char *tamid, struct error *err)
{
    AUTO(json_t) *list = json_array();
    AUTO(sqlite3_stmt) *rows = sql_query(
        dev->db, err,
        "SELECT id, name, spid FROM sd WHERE device = ? AND tamid = ? ORDER BY spid, name", "it",
        dev->id, tamid);
    bool more = true;
    while (rows && more) {
        if (!sql_next(dev->db, rows, &more, err))
            return NULL;
        json_t *tas = more ? talist(dev, sqlite->column_int64(rows, 0), err) : NULL;
        if (more && !tas)
            return NULL;
        if (more)
            json_array_append_new(
                list,
                json_pack("{s:s, s:s, s:o}", "name", (const char *)sqlite->column_text(rows, 1),
                          "spid", (const char *)sqlite->column_text(rows, 2), "talist", tas));
    }
    char count[24];
    snprintf(count, sizeof count, "%zu", json_array_size(list));
    return rows ? json_pack("{s:s, s:O}", "cnt", count, "sd", list) : NULL;
}

static json_t *aiklist(device *dev, const char *tamid, struct error *err)
{
    AUTO(json_t) *list = json_array();
    AUTO(sqlite3_stmt) *rows = sql_query(
        dev->db, err,
        "SELECT spaik, type, spid FROM aik WHERE device = ? AND tamid = ? ORDER BY spid", "it",
        dev->id, tamid);
    bool more = true;
    while (rows && more) {
        if (!sql_next(dev->db, rows, &more, err))
            return NULL;
        if (more)
            json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s}", "spaik",
                                            (const char *)sqlite->column_text(rows, 0), "spaiktype",
                                            (const char *)sqlite->column_text(rows, 1), "spid",
                                            (const char *)sqlite->column_text(rows, 2)));
    }
    return rows ? TAKE(list) : NULL;
}

json_t *device_dsi(device *dev, const char *tamid, const char *tid, struct error *err)
{
    AUTO(json_t) *cas = x5c_from_certs(dev->tee_chain, 1, err);
    if (!cas)
        return NULL;
    AUTO(json_t) *sds = sdlist(dev, tamid, err);
    AUTO(json_t) *aiks = sds ? aiklist(dev, tamid, err) : NULL;
    AUTO(json_t) *cert = aiks ? x5c_element(sk_X509_value(dev->tee_chain, 0), err) : NULL;
    AUTO(json_t) *tfw = cert && dev->tfw_key ? tfwdata(dev, tid, err) : NULL;
    if (!cert || (dev->tfw_key && !tfw))
        return NULL;
    return json_pack("{s:O*, s:{s:s, s:s, s:O, s:O, s:O, s:O}}", "tfwdata", tfw, "tee", "name",
                     dev->name, "ver", dev->version, "cert", cert, "cacert", cas, "sdlist", sds,
                     "teeaiklist", aiks);
}
