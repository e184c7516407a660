/* SPDX-License-Identifier: Apache-2.0 */
#include "otrp/ta_information.h"

#include <string.h>

#include "jose/jwk.h"
#include "jose/jws.h"
#include "otrp/algorithm.h"
#include "pki/x5c.h"
#include "util/base64.h"

json_t *ta_query_read(struct span text, struct error *err)
{
    struct error other;
    AUTO(json_doc) *doc = json_doc_parse(text, "query", &other);
    const struct json_value *query = doc ? json_member(json_root(doc), "TAQuery") : NULL;
    const struct other_message *type = message_find_other(span_text("TAQuery"));
    err->rc = RC_OK;
    if (!query || json_root(doc)->count != 1 ||
        !members_check(query, type->members, "TAQuery", NULL, err))
        return NULL;
    return json_load_value(query, "TAQuery", err);
}

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

/* ---- verifying ---- */

typedef struct reading_way {
    json_doc *doc, *tbs_doc;
    jws *jws;
    buffer *payload;
    const struct json_value *tbs;
    key *own_aik;     /* of the header */
    const char *spid; /* whose AIK that is, as the device state says; or NULL */
} reading_way;

static void reading_way_free(reading_way *w)
{
    jws_free(w->jws);
    json_doc_free(w->doc);
    json_doc_free(w->tbs_doc);
    buffer_free(w->payload);
    key_free(w->own_aik);
}
AUTO_DEFINE(reading_way, reading_way_free)

static bool read_envelope(reading_way *w, const struct ta_information_question *q,
                          struct error *err)
{
    (void)q;
    const struct json_value *root = json_root(w->doc);
    const struct json_value *value = json_member(root, "TAInformation");
    if (!value || root->count != 1)
        return error_set(err, RC_MALFORMED, "answer: not an object with TAInformation alone");
    w->jws = jws_from_value(value, "TAInformation", err);
    return w->jws && otrp_jws(w->jws, err);
}

/* The AIK that signs: pinned, or one of the device's. Nothing of the payload is read for it. */
static bool check_signer(reading_way *w, const struct ta_information_question *q, struct error *err)
{
    const json_t *header = json_object_get(w->jws->signatures[0].header, "signer");
    if (!json_is_object(header))
        return error_set(err, RC_MALFORMED, "TAInformation.header.signer: no JWK of the SP AIK");
    w->own_aik = jwk_to_key(header, "header.signer", false, err);
    if (!w->own_aik)
        return false;
    if (q->aik && EVP_PKEY_eq(q->aik->pkey, w->own_aik->pkey) == 1)
        return true;
    for (size_t i = 0; !q->aik && i < q->device->aik_count; i++) {
        const key *aik = dsi_aik_key(&q->device->aiks[i], err);
        if (!aik)
            return false;
        if (EVP_PKEY_eq(aik->pkey, w->own_aik->pkey) == 1) {
            w->spid = q->device->aiks[i].spid;
            return true;
        }
    }
    if (!q->aik && q->device->aik_count == 0)
        return error_set(err, RC_UNTRUSTED, "the device state has no SP AIK");
    return error_set(err, RC_UNTRUSTED, "TAInformation.header.signer: %s",
                     q->aik ? "not the key that is given" : "no SP AIK of the device state");
}

static bool check_signature(reading_way *w, const struct ta_information_question *q,
                            struct error *err)
{
    (void)q;
    return jws_verify(w->jws, 0, w->own_aik, err);
}

static bool check_members(reading_way *w, const struct ta_information_question *q,
                          struct error *err)
{
    (void)q;
    const struct other_message *type = message_find_other(span_text("TAInformation"));
    AUTO(char) *novelty = NULL;
    w->payload = jws_payload(w->jws, err);
    w->tbs_doc = w->payload ? json_doc_parse(buffer_span(w->payload), "payload", err) : NULL;
    if (!w->tbs_doc)
        return false;
    w->tbs = json_member(json_root(w->tbs_doc), type->tbs_name);
    if (!w->tbs)
        return error_set(err, RC_MALFORMED, "payload: no %s in it", type->tbs_name);
    return members_check(w->tbs, type->members, type->tbs_name, &novelty, err);
}

static bool check_query(reading_way *w, const struct ta_information_question *q, struct error *err)
{
    const char *const wanted[][2] = {{"taid", q->taid}, {"spid", q->spid}, {"nonce", q->nonce}};
    for (size_t i = 0; i < COUNT(wanted); i++) {
        const struct json_value *told = json_member(w->tbs, wanted[i][0]);
        if (wanted[i][1] && (!told || !span_is(told->string, wanted[i][1])))
            return error_set(err, RC_UNTRUSTED, "%s: not that of the query, \"%.80s\"",
                             wanted[i][0], wanted[i][1]);
    }
    return true;
}

static bool check_tam(reading_way *w, const struct ta_information_question *q, struct error *err)
{
    (void)q;
    AUTO(buffer) *der = base64_decode(json_member(w->tbs, "tamcert")->string, "tamcert", err);
    AUTO(X509) *cert = der ? cert_from_der(buffer_span(der), "tamcert", err) : NULL;
    AUTO(char) *tamid = cert ? cert_tamid(cert, err) : NULL;
    return tamid && (span_is(json_member(w->tbs, "tamid")->string, tamid) ||
                     error_set(err, RC_UNTRUSTED, "tamid: not that of tamcert, \"%s\"", tamid));
}

/* CHECK(name, function, title, section): in this order. */
#define CHECKS                                                                                     \
    CHECK("envelope", read_envelope, "TAInformation, a JWS", "RFC 7515 section 7.2.2")             \
    CHECK("signer", check_signer, "signer is an SP AIK of the device", "OTrP GetTAInformation")    \
    CHECK("signature", check_signature, "JWS signature by the SP AIK", "RFC 7515 section 5.2")     \
    CHECK("members", check_members, "all mandatory members, of the right types",                   \
          "OTrP GetTAInformation")                                                                 \
    CHECK("query", check_query, "spid is the AIK's; taid, spid and nonce are those of the query",  \
          "OTrP GetTAInformation")                                                                 \
    CHECK("tamid", check_tam, "tamid is that of the TAM's certificate", "OTrP GetTAInformation")

const struct response_check ta_information_checks[] = {
#define CHECK(name, function, title, section) {name, title, section},
    CHECKS
#undef CHECK
};
const size_t ta_information_check_count = COUNT(ta_information_checks);

typedef bool (*check_function)(reading_way *w, const struct ta_information_question *q,
                               struct error *err);
static const check_function functions[] = {
#define CHECK(name, function, title, section) function,
    CHECKS
#undef CHECK
};

buffer *ta_information_explain(struct span text, const struct ta_information_question *q,
                               response_report report, void *context, struct error *err)
{
    reading_way way = {.doc = json_doc_parse(text, "answer", err)};
    AUTO(reading_way) *w = &way;
    if (!w->doc)
        return NULL;
    bool passed = true;
    for (size_t i = 0; i < COUNT(functions); i++) {
        bool reached = passed;
        passed = passed && functions[i](w, q, err);
        if (report)
            report(context, &ta_information_checks[i], passed, reached ? err : NULL);
    }
    return passed ? TAKE(w->payload) : NULL;
}
