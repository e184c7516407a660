/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tam_records.h: what a TAM knows of one device beyond its DSI, read from its database
 * (tam_state.h): which TAs it has sent in which version, which certificates the SDs got from it,
 * how old the AIKs are.
 *
 *     known_ta(records, "xbank", "sd-1", "demo")->version
 */
#ifndef OTRP_SIM_TAM_RECORDS_H
#define OTRP_SIM_TAM_RECORDS_H

#include <time.h>

#include "otrp/dsi.h"
#include "sim/sql.h"

struct known_ta {
    char *spid, *sdname, *taid;
    long long version;  /* or TA_NO_VERSION */
    char *sha256;       /* of its bytes; "" when unknown */
    char *pdata_sha256; /* of its personalisation data; "" without */
    bool unsure;        /* sent, and not answered */
};

struct known_cert {
    char *spid, *sdname, *sha256;
};

struct known_aik {
    char *spid, *spaik; /* as in the DSI */
    time_t made;        /* 0: before we knew it */
};

typedef struct tam_records {
    struct known_ta *tas;
    size_t ta_count;
    struct known_cert *certs;
    size_t cert_count;
    struct known_aik *aiks;
    size_t aik_count;
} tam_records;

/* The records of the device in that row of the database. Owned by the caller. */
tam_records *tam_records_read(sqlite3 *db, long long row, struct error *err) MUST_CHECK;

/* Drops, here and in the database, records of what the device does not have (any more). */
bool tam_records_fit(sqlite3 *db, long long row, const dsi *device, tam_records *records,
                     struct error *err) MUST_CHECK;

void tam_records_free(tam_records *records);

/* NULL, or false, when there is none; known_cert with a NULL sha256 asks for any. */
const struct known_ta *known_ta(const tam_records *records, const char *spid, const char *sdname,
                                const char *taid);
bool known_sd(const tam_records *records, const char *spid, const char *sdname);
bool known_cert(const tam_records *records, const char *spid, const char *sdname,
                const char *sha256);
const struct known_aik *known_aik(const tam_records *records, const char *spid);

/* Whether a DSI shows this very AIK of the SP, as spaik has it. */
bool dsi_has_aik(const dsi *device, const char *spid, const char *spaik);

AUTO_DEFINE(tam_records, tam_records_free)

#endif
