/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/*
 * device_schema.h: the tables of a state folder. A change here is a new DEVICE_SCHEMA_VERSION.
 *
 *     device    identity, what it is made for, limits; algorithms is a JSON array, NULL: all of
 *               OTrP; pinned has the certificates of the one TAM that it listens to, NULL: any
 *     tam       what is known of each TAM that has asked
 *     replay    every authenticated request, never forgotten; requests in tam counts them
 *     answer    the last answer to each TAM: committed with the change, so that it is not lost
 *     ta        AUTOINCREMENT: sealed bytes are bound to the id, which must not come back
 *     aik       the private SP AIKs, sealed; spaik and type as the DSI tells them
 *     signer    signers whose requests were authenticated
 *     ocsp      the OCSP answers that spoke for them
 *     revoked   proofs that a certificate was revoked: they count when they are old, too
 */
#ifndef OTRP_SIM_DEVICE_SCHEMA_H
#define OTRP_SIM_DEVICE_SCHEMA_H

#define DEVICE_SCHEMA_VERSION 2

#define OF_A_DEVICE "device INTEGER NOT NULL REFERENCES device ON DELETE CASCADE, "

#define DEVICE_SCHEMA                                                                              \
    "CREATE TABLE device (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"                      \
    " version TEXT NOT NULL, key BLOB NOT NULL, chain BLOB NOT NULL, tam_anchors BLOB NOT NULL,"   \
    " tfw_key BLOB, tfw_chain BLOB, tfw_anchors BLOB, max_sds INTEGER NOT NULL,"                   \
    " max_tas INTEGER NOT NULL, max_bytes INTEGER NOT NULL, max_replays INTEGER NOT NULL,"         \
    " signerreq INTEGER NOT NULL, algorithms TEXT, profile TEXT NOT NULL DEFAULT 'ietf',"          \
    " pinned BLOB);"                                                                               \
    "CREATE TABLE tam (" OF_A_DEVICE "tamid TEXT NOT NULL, session_tid TEXT,"                      \
    " session_start INTEGER NOT NULL DEFAULT 0, sigalgs TEXT, dsi_hash BLOB,"                      \
    " changed INTEGER NOT NULL DEFAULT 1, requests INTEGER NOT NULL DEFAULT 0,"                    \
    " PRIMARY KEY (device, tamid)) WITHOUT ROWID;"                                                 \
    "CREATE TABLE replay (id INTEGER PRIMARY KEY AUTOINCREMENT, " OF_A_DEVICE                      \
    "tamid TEXT NOT NULL, tid TEXT NOT NULL, rid TEXT NOT NULL);"                                  \
    "CREATE UNIQUE INDEX replay_pair ON replay (device, tamid, tid, rid);"                         \
    "CREATE TABLE answer (" OF_A_DEVICE "tamid TEXT NOT NULL, rid TEXT NOT NULL,"                  \
    " tid TEXT NOT NULL, serial INTEGER NOT NULL, message BLOB NOT NULL,"                          \
    " PRIMARY KEY (device, tamid));"                                                               \
    "CREATE TABLE sd (id INTEGER PRIMARY KEY, " OF_A_DEVICE                                        \
    "tamid TEXT NOT NULL, spid TEXT NOT NULL, name TEXT NOT NULL);"                                \
    "CREATE UNIQUE INDEX sd_key ON sd (device, tamid, name, spid);"                                \
    "CREATE TABLE sd_cert (sd INTEGER NOT NULL REFERENCES sd ON DELETE CASCADE,"                   \
    " sha256 TEXT NOT NULL, der BLOB NOT NULL, PRIMARY KEY (sd, sha256));"                         \
    "CREATE TABLE ta (id INTEGER PRIMARY KEY AUTOINCREMENT,"                                       \
    " sd INTEGER NOT NULL REFERENCES sd ON DELETE CASCADE, taid TEXT NOT NULL, taname TEXT,"       \
    " version INTEGER, size INTEGER NOT NULL, code BLOB, pdata BLOB, signer BLOB NOT NULL,"        \
    " tam_chain BLOB NOT NULL);"                                                                   \
    "CREATE UNIQUE INDEX ta_key ON ta (sd, taid);"                                                 \
    "CREATE TABLE aik (" OF_A_DEVICE "tamid TEXT NOT NULL, spid TEXT NOT NULL,"                    \
    " key BLOB NOT NULL, spaik TEXT NOT NULL, type TEXT NOT NULL,"                                 \
    " PRIMARY KEY (device, tamid, spid)) WITHOUT ROWID;"                                           \
    "CREATE TABLE signer (" OF_A_DEVICE "sha256 TEXT NOT NULL, chain BLOB NOT NULL,"               \
    " used INTEGER NOT NULL, PRIMARY KEY (device, sha256));"                                       \
    "CREATE TABLE ocsp (" OF_A_DEVICE "sha256 TEXT NOT NULL, response BLOB NOT NULL,"              \
    " PRIMARY KEY (device, sha256));"                                                              \
    "CREATE TABLE revoked (" OF_A_DEVICE "sha256 TEXT NOT NULL, response BLOB NOT NULL,"           \
    " PRIMARY KEY (device, sha256));"
/* clang-format on */

#endif
