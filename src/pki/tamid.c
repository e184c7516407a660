/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/tamid.h"

#include <string.h>

#include <openssl/err.h>

#include "pki/asn1.h"
#include "util/limits.h"

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* A scheme and a colon (RFC 3986 section 3.1). */
static bool has_scheme(const char *text)
{
    size_t length = strspn(text, LETTERS DIGITS "+-.");
    return length && strchr(LETTERS, text[0]) && text[length] == ':';
}

static bool is_uri(const char *text)
{
    const char *rest = strchr(text, ':') + 1;
    return *rest && strspn(text, LETTERS DIGITS "-._~:/?#[]@!$&'()*+,;=%") == strlen(text);
}

/* The OID whose canonical text this is, or NULL. */
static ASN1_OBJECT *oid_of(const char *text)
{
    char again[LIMIT_NAME_BYTES + 1];
    AUTO(ASN1_OBJECT) *oid = OBJ_txt2obj(text, 1);
    ERR_clear_error();
    if (!oid || OBJ_obj2txt(again, sizeof again, oid, 1) < 1 || strcmp(again, text) != 0)
        return NULL;
    return TAKE(oid);
}

static GENERAL_NAME *name_of_oid(const char *tamid, struct error *err)
{
    AUTO(ASN1_OBJECT) *oid = oid_of(tamid);
    if (!oid) {
        error_set(err, RC_USAGE, "tamid '%s': looks like an OID, but is none", tamid);
        error_hint(err, "write an OID such as 1.3.6.1.4.1.99999.7, a URI, or a host name");
        return NULL;
    }
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (name)
        GENERAL_NAME_set0_value(name, GEN_RID, TAKE(oid));
    else
        error_memory(err);
    return name;
}

static GENERAL_NAME *name_of_text(int type, const char *tamid, struct error *err)
{
    AUTO(GENERAL_NAME) *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    if (!name || !text || !ASN1_STRING_set(text, tamid, (int)strlen(tamid))) {
        ASN1_IA5STRING_free(text);
        error_memory(err);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, type, text);
    return TAKE(name);
}

GENERAL_NAME *tamid_to_name(const char *tamid, struct error *err)
{
    size_t length = strlen(tamid);
    if (length < 1 || length > LIMIT_NAME_BYTES) {
        error_set(err, RC_USAGE, "a tamid has 1 to %d bytes, this one %zu", LIMIT_NAME_BYTES,
                  length);
        return NULL;
    }
    if (strspn(tamid, DIGITS ".") == length)
        return name_of_oid(tamid, err);
    if (has_scheme(tamid) && is_uri(tamid))
        return name_of_text(GEN_URI, tamid, err);
    if (strspn(tamid, LETTERS DIGITS "-._") == length)
        return name_of_text(GEN_DNS, tamid, err);
    error_set(err, RC_USAGE, "tamid '%s': %s", tamid,
              strchr(tamid, ':') ? "looks like a URI, but is none" : "is no host name");
    error_hint(err, "write an OID such as 1.3.6.1.4.1.99999.7, a URI, or a host name");
    return NULL;
}
