/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/x5c.h"

#include <stdio.h>

#include "util/base64.h"
#include "util/json.h"
#include "util/limits.h"

json_t *x5c_element(const X509 *cert, struct error *err)
{
    AUTO(buffer) *der = cert_to_der(cert, err);
    return der ? json_base64(buffer_span(der)) : NULL;
}

json_t *x5c_from_certs(const X509_stack *certs, int first, struct error *err)
{
    AUTO(json_t) *x5c = json_array();
    for (int i = first; i < sk_X509_num(certs); i++) {
        json_t *element = x5c_element(sk_X509_value(certs, i), err);
        if (!element || json_array_append_new(x5c, element))
            return NULL;
    }
    return TAKE(x5c);
}

bool x5c_append(X509_stack *certs, const json_t *element, const char *what, struct error *err)
{
    if (!json_is_string(element))
        return error_set(err, RC_MALFORMED, "%s: not a string", what);
    AUTO(buffer) *der = base64_decode(SPAN(json_string_value(element), json_string_length(element)),
                                      what, err);
    X509 *cert = der ? cert_from_der(buffer_span(der), what, err) : NULL;
    if (!cert || sk_X509_push(certs, cert))
        return cert != NULL;
    X509_free(cert);
    return error_memory(err);
}

X509_stack *x5c_to_certs(const json_t *x5c, const char *what, struct error *err)
{
    size_t count = json_array_size(x5c);
    if (!json_is_array(x5c) || count == 0 || count > LIMIT_CHAIN) {
        error_set(err, RC_MALFORMED, "%s: not an array of 1 to %d certificates", what, LIMIT_CHAIN);
        error_rule(err, "RFC 7515 section 4.1.6");
        return NULL;
    }
    AUTO(X509_stack) *certs = sk_X509_new_null();
    if (!certs) {
        error_memory(err);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        char element[80];
        snprintf(element, sizeof element, "%s[%zu]", what, i);
        if (!x5c_append(certs, json_array_get(x5c, i), element, err))
            return NULL;
    }
    return TAKE(certs);
}
