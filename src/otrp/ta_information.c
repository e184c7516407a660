/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/ta_information.h"

#include "jose/jwk.h"
#include "jose/jws.h"
#include "pki/x5c.h"
#include "util/json.h"

static json_t *tbs_json(const struct ta_information *a, struct error *err)
{
    AUTO(json_t) *signer = x5c_element(sk_X509_value(a->signer, 0), err);
    AUTO(json_t) *signer_cas = signer ? x5c_from_certs(a->signer, 1, err) : NULL;
    AUTO(json_t) *tam = signer_cas ? x5c_element(sk_X509_value(a->tam, 0), err) : NULL;
    AUTO(json_t) *tam_cas = tam ? x5c_from_certs(a->tam, 1, err) : NULL;
    if (!tam_cas)
        return NULL;
    json_t *tbs = json_pack("{s:{s:s, s:s, s:s, s:s*, s:O, s:O, s:O, s:O}}", "TAInformationTBS",
                            "taid", a->taid, "tamid", a->tamid, "spid", a->spid, "nonce", a->nonce,
                            "signercert", signer, "signercacerts", signer_cas, "tamcert", tam,
                            "tamcacerts", tam_cas);
    if (!tbs)
        error_set(err, RC_MALFORMED, "a name in the TA query is not UTF-8");
    return tbs;
}

buffer *ta_information_make(const struct ta_information *about, key *aik, struct error *err)
{
    AUTO(json_t) *tbs = tbs_json(about, err);
    AUTO(json_t) *jwk = tbs ? jwk_from_key(aik, KEY_PUBLIC, err) : NULL;
    AUTO(json_t) *header = jwk ? json_pack("{s:O}", "signer", jwk) : NULL;
    AUTO(buffer) *payload = header ? json_compact(tbs) : NULL;
    if (!payload)
        return NULL;
    key *keys[] = {aik};
    AUTO(buffer) *message = jws_sign(&(struct jws_how){.keys = keys, .count = 1, .header = header},
                                     buffer_span(payload), err);
    AUTO(buffer) *out = message ? buffer_new(message->size + 40) : NULL;
    if (!out)
        return NULL;
    buffer_put_text(out, "{\"TAInformation\":");
    buffer_put_span(out, buffer_span(message));
    buffer_put_char(out, '}');
    return out->failed ? (error_memory(err), NULL) : TAKE(out);
}
