/* SPDX-License-Identifier: Apache-2.0 */
/* device_schema.h: the tables of a state folder. A change here is a new DEVICE_SCHEMA_VERSION. */
#ifndef OTRP_SIM_DEVICE_SCHEMA_H
#define OTRP_SIM_DEVICE_SCHEMA_H

#define DEVICE_SCHEMA_VERSION 1

#define DEVICE_SCHEMA                                                                                                                                                   \
    "CREATE TABLE device (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, version TEXT NOT "                                                                         \
    "NULL,"                                                                                                                                                             \
    " key BLOB NOT NULL, chain BLOB NOT NULL, tam_anchors BLOB NOT NULL, tfw_key BLOB, tfw_chain "                                                                      \
    "BLOB,"                                                                                                                                                             \
    " tfw_anchors BLOB, max_sds INTEGER NOT NULL, max_tas INTEGER NOT NULL, max_bytes INTEGER "                                                                         \
    "NOT NULL,"                                                                                                                                                         \
    " max_replays INTEGER NOT NULL, signerreq INTEGER NOT NULL);" /* what is known of each TAM                                                                          \
                                                                     that has asked */                                                                                  \
    "CREATE TABLE tam (device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE, tamid TEXT "                                                                        \
    "NOT NULL,"                                                                                                                                                         \
    " session_tid TEXT, session_start INTEGER NOT NULL DEFAULT 0, sigalgs TEXT, dsi_hash BLOB,"                                                                         \
    " changed INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (device, tamid)) WITHOUT ROWID;" /* every                                                                         \
                                                                                          authenticated                                                                 \
                                                                                          request,                                                                      \
                                                                                          never                                                                         \
                                                                                          forgotten                                                                     \
                                                                                        */                                                                              \
    "CREATE TABLE replay (id INTEGER PRIMARY KEY AUTOINCREMENT, device INTEGER NOT NULL "                                                                               \
    "REFERENCES device"                                                                                                                                                 \
    " ON DELETE CASCADE, tamid TEXT NOT NULL, tid TEXT NOT NULL, rid TEXT NOT NULL);"                                                                                   \
    "CREATE UNIQUE INDEX replay_pair ON replay (device, tamid, tid, rid);"                                                                                              \
    "CREATE TABLE sd (id INTEGER PRIMARY KEY, device INTEGER NOT NULL REFERENCES device ON "                                                                            \
    "DELETE CASCADE,"                                                                                                                                                   \
    " tamid TEXT NOT NULL, spid TEXT NOT NULL, name TEXT NOT NULL);"                                                                                                    \
    "CREATE UNIQUE INDEX sd_key ON sd (device, tamid, name, spid);"                                                                                                     \
    "CREATE TABLE sd_cert (sd INTEGER NOT NULL REFERENCES sd ON DELETE CASCADE, sha256 TEXT NOT "                                                                       \
    "NULL,"                                                                                                                                                             \
    " der BLOB NOT NULL, PRIMARY KEY (sd, sha256));" /* AUTOINCREMENT: sealed bytes are bound to                                                                        \
                                                        the id, which must not come back */                                                                             \
    "CREATE TABLE ta (id INTEGER PRIMARY KEY AUTOINCREMENT, sd INTEGER NOT NULL REFERENCES sd ON "                                                                      \
    "DELETE CASCADE,"                                                                                                                                                   \
    " taid TEXT NOT NULL, taname TEXT, version INTEGER, size INTEGER NOT NULL, code BLOB, pdata "                                                                       \
    "BLOB,"                                                                                                                                                             \
    " signer BLOB NOT NULL, tam_chain BLOB NOT NULL);"                                                                                                                  \
    "CREATE UNIQUE INDEX ta_key ON ta (sd, taid);"                                                                                                                      \
    "CREATE TABLE aik (device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE, tamid TEXT "                                                                        \
    "NOT NULL,"                                                                                                                                                         \
    " spid TEXT NOT NULL, key BLOB NOT NULL, PRIMARY KEY (device, tamid, spid)) WITHOUT ROWID;" /* signers whose requests were authenticated, and their OCSP answers */ \
    "CREATE TABLE signer (device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE, sha256 "                                                                         \
    "TEXT NOT NULL,"                                                                                                                                                    \
    " chain BLOB NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (device, sha256));"                                                                                       \
    "CREATE TABLE ocsp (device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE, sha256 TEXT "                                                                      \
    "NOT NULL,"                                                                                                                                                         \
    " response BLOB NOT NULL, PRIMARY KEY (device, sha256));"

#endif
