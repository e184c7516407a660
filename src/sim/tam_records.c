/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/tam_records.h"

#include <string.h>

static void ta_clear(const struct known_ta *ta)
{
    free(ta->spid);
    free(ta->sdname);
    free(ta->taid);
    free(ta->sha256);
    free(ta->pdata_sha256);
}

static void cert_clear(const struct known_cert *cert)
{
    free(cert->spid);
    free(cert->sdname);
    free(cert->sha256);
}

static void aik_clear(const struct known_aik *aik)
{
    free(aik->spid);
    free(aik->spaik);
}

void tam_records_free(tam_records *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->ta_count; i++)
        ta_clear(&r->tas[i]);
    for (size_t i = 0; i < r->cert_count; i++)
        cert_clear(&r->certs[i]);
    for (size_t i = 0; i < r->aik_count; i++)
        aik_clear(&r->aiks[i]);
    free(r->tas);
    free(r->certs);
    free(r->aiks);
    free(r);
}

const struct known_ta *known_ta(const tam_records *r, const char *spid, const char *sdname,
                                const char *taid)
{
    for (size_t i = 0; i < r->ta_count; i++)
        if (strcmp(r->tas[i].taid, taid) == 0 && strcmp(r->tas[i].sdname, sdname) == 0 &&
            strcmp(r->tas[i].spid, spid) == 0)
            return &r->tas[i];
    return NULL;
}

bool known_cert(const tam_records *r, const char *spid, const char *sdname, const char *sha256)
{
    for (size_t i = 0; i < r->cert_count; i++)
        if (strcmp(r->certs[i].sdname, sdname) == 0 && strcmp(r->certs[i].spid, spid) == 0 &&
            (!sha256 || strcmp(r->certs[i].sha256, sha256) == 0))
            return true;
    return false;
}

bool known_sd(const tam_records *r, const char *spid, const char *sdname)
{
    return known_cert(r, spid, sdname, NULL);
}

const struct known_aik *known_aik(const tam_records *r, const char *spid)
{
    for (size_t i = 0; i < r->aik_count; i++)
        if (strcmp(r->aiks[i].spid, spid) == 0)
            return &r->aiks[i];
    return NULL;
}

/* Room for one more behind count. */
static void *grown(void *array, size_t count, size_t size)
{
    return count & (count - 1) ? array : reallocarray(array, count ? 2 * count : 1, size);
}

static bool read_tas(sqlite3 *db, long long row, tam_records *r, struct error *err)
{
    AUTO(sqlite3_stmt) *rows = sql_query(db, err,
                                         "SELECT spid, sdname, taid, version, sha256, "
                                         "pdata_sha256, unsure FROM ta WHERE device = ?",
                                         "i", row);
    bool more = rows != NULL;
    while (more && sql_next(db, rows, &more, err) && more) {
        struct known_ta *tas = grown(r->tas, r->ta_count, sizeof *tas);
        if (!tas)
            return error_memory(err);
        r->tas = tas;
        struct known_ta *ta = &tas[r->ta_count++];
        *ta = (struct known_ta){.spid = sql_text(rows, 0),
                                .sdname = sql_text(rows, 1),
                                .taid = sql_text(rows, 2),
                                .version = sqlite->column_int64(rows, 3),
                                .sha256 = sql_text(rows, 4),
                                .pdata_sha256 = sql_text(rows, 5),
                                .unsure = sqlite->column_int(rows, 6) != 0};
        if (!ta->spid || !ta->sdname || !ta->taid || !ta->sha256 || !ta->pdata_sha256)
            return error_memory(err);
    }
    return rows && !more;
}

static bool read_certs(sqlite3 *db, long long row, tam_records *r, struct error *err)
{
    AUTO(sqlite3_stmt) *rows = sql_query(
        db, err, "SELECT spid, sdname, sha256 FROM sd_cert WHERE device = ?", "i", row);
    bool more = rows != NULL;
    while (more && sql_next(db, rows, &more, err) && more) {
        struct known_cert *certs = grown(r->certs, r->cert_count, sizeof *certs);
        if (!certs)
            return error_memory(err);
        r->certs = certs;
        struct known_cert *cert = &certs[r->cert_count++];
        *cert = (struct known_cert){sql_text(rows, 0), sql_text(rows, 1), sql_text(rows, 2)};
        if (!cert->spid || !cert->sdname || !cert->sha256)
            return error_memory(err);
    }
    return rows && !more;
}

static bool read_aiks(sqlite3 *db, long long row, tam_records *r, struct error *err)
{
    AUTO(sqlite3_stmt) *rows = sql_query(
        db, err, "SELECT spid, spaik, made FROM aik WHERE device = ?", "i", row);
    bool more = rows != NULL;
    while (more && sql_next(db, rows, &more, err) && more) {
        struct known_aik *aiks = grown(r->aiks, r->aik_count, sizeof *aiks);
        if (!aiks)
            return error_memory(err);
        r->aiks = aiks;
        struct known_aik *aik = &aiks[r->aik_count++];
        *aik = (struct known_aik){sql_text(rows, 0), sql_text(rows, 1),
                                  (time_t)sqlite->column_int64(rows, 2)};
        if (!aik->spid || !aik->spaik)
            return error_memory(err);
    }
    return rows && !more;
}

tam_records *tam_records_read(sqlite3 *db, long long row, struct error *err)
{
    AUTO(tam_records) *known = calloc(1, sizeof *known);
    if (!known) {
        error_memory(err);
        return NULL;
    }
    return read_tas(db, row, known, err) && read_certs(db, row, known, err) &&
                   read_aiks(db, row, known, err)
               ? TAKE(known)
               : NULL;
}

/* ---- what the device does not have is not known either ---- */

static bool drop_tas(sqlite3 *db, long long row, const dsi *device, tam_records *r,
                     struct error *err)
{
    for (size_t i = r->ta_count; i-- > 0;) {
        const struct known_ta *ta = &r->tas[i];
        const struct dsi_sd *sd = dsi_find_sd(device, ta->spid, ta->sdname);
        if (sd && dsi_find_ta(sd, ta->taid))
            continue;
        if (!sql_run(db, err,
                     "DELETE FROM ta WHERE device = ? AND spid = ? AND sdname = ? AND taid = ?",
                     "ittt", row, ta->spid, ta->sdname, ta->taid))
            return false;
        ta_clear(&r->tas[i]);
        r->tas[i] = r->tas[--r->ta_count];
    }
    return true;
}

static bool drop_sds(sqlite3 *db, long long row, const dsi *device, tam_records *r,
                     struct error *err)
{
    for (size_t i = r->cert_count; i-- > 0;) {
        const struct known_cert *cert = &r->certs[i];
        if (dsi_find_sd(device, cert->spid, cert->sdname))
            continue;
        if (!sql_run(db, err, "DELETE FROM sd_cert WHERE device = ? AND spid = ? AND sdname = ?",
                     "itt", row, cert->spid, cert->sdname))
            return false;
        cert_clear(&r->certs[i]);
        r->certs[i] = r->certs[--r->cert_count];
    }
    return true;
}

bool dsi_has_aik(const dsi *device, const char *spid, const char *spaik)
{
    const struct dsi_aik *there = dsi_find_aik(device, spid);
    return there && there->spaik && strcmp(there->spaik, spaik) == 0;
}

static bool drop_aiks(sqlite3 *db, long long row, const dsi *device, tam_records *r,
                      struct error *err)
{
    for (size_t i = r->aik_count; i-- > 0;) {
        if (dsi_has_aik(device, r->aiks[i].spid, r->aiks[i].spaik))
            continue;
        if (!sql_run(db, err, "DELETE FROM aik WHERE device = ? AND spid = ?", "it", row,
                     r->aiks[i].spid))
            return false;
        aik_clear(&r->aiks[i]);
        r->aiks[i] = r->aiks[--r->aik_count];
    }
    return true;
}

bool tam_records_fit(sqlite3 *db, long long row, const dsi *device, tam_records *known,
                     struct error *err)
{
    return drop_tas(db, row, device, known, err) && drop_sds(db, row, device, known, err) &&
           drop_aiks(db, row, device, known, err);
}
