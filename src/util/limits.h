/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h: bounds on messages, documents, keys and certificates that come from outside. Those of
 * one form alone stand with it: HTTP in net/http_head.h and net/http_*.c, CSV in pki/csv.h.
 */
#ifndef OTRP_UTIL_LIMITS_H
#define OTRP_UTIL_LIMITS_H

#define LIMIT_FILE_BYTES      (256u << 20) /* a file or stdin: a large TA, nested three times */
#define LIMIT_ENCODED_BYTES   (352u << 20) /* a JWS or JWE of such a file, in base64url */
#define LIMIT_MESSAGE_BYTES   (64u << 20)  /* a message that a simulator accepts over the wire */
#define LIMIT_KEY_BYTES       (1u << 20)   /* a key, certificate bundle or JWK set */
#define LIMIT_SMALL_JSON      (1u << 20) /* what may pass through jansson: headers, contents, DSIs */
#define LIMIT_JSON_DEPTH      64         /* OTrP nests 8 deep at most */
#define LIMIT_JSON_DEPTH_MOST 1024       /* --max-depth: the parser keeps its place in an array */
#define LIMIT_JSON_VALUES     (1u << 18) /* values in one document */
#define LIMIT_RECIPIENTS      32         /* recipients of a JWE, signatures of a JWS */
#define LIMIT_CHAIN           10         /* certificates in a chain or an x5c */
#define LIMIT_OCSP_RESPONSES  16         /* OCSP responses in ocspdat: a chain and some room */
#define LIMIT_SD_CERTS        16 /* SP certificates of an SD: each package is tried with all */
#define LIMIT_ANSWER_BYTES    (4u << 20) /* an answer to a TAM: a DSI, encoded twice, and room */
#define LIMIT_PICTURE_ROWS    5000u      /* of a diagram: more nobody looks at */
#define LIMIT_TOKEN_BYTES     8192       /* a bearer token: libjwt copies it onto the stack */
#define LIMIT_NAME_BYTES      255        /* rid, spid, sdname, taid, tamid, did: of MEMBER_NAME */
#define LIMIT_CERT_DAYS       3652058    /* that a certificate lives: from year 1 to year 9999 */
#define LIMIT_TID_BYTES       128        /* tid: it is signed by the firmware */

/* Those that a user may set for a command; from the start they are as above. */
struct limits {
    unsigned long file_bytes, encoded_bytes; /* of an input, and of one in base64url */
    unsigned json_depth, json_values;        /* of one document */
};
extern struct limits limits;

#endif
