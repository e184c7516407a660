/* SPDX-License-Identifier: Apache-2.0 */
#include "pki/ocsp.h"

#include <pthread.h>
#include <string.h>

#include <openssl/err.h>

#include "pki/asn1.h"
#include "util/clock.h"
#include "util/openssl_error.h"

#define SKEW_SECONDS 300
#define DEFAULT_DAYS 7 /* a response without nextUpdate */

/*
 * OCSP_basic_sign would date the response by the wall clock. OpenSSL lends the field for reading
 * only, but it is in the response that we own and have not signed yet.
 */
static bool set_produced_at(OCSP_BASICRESP *basic, time_t at)
{
    const ASN1_GENERALIZEDTIME *field = OCSP_resp_get0_produced_at(basic);
    return ASN1_GENERALIZEDTIME_set((ASN1_GENERALIZEDTIME *)(uintptr_t)field, at) != NULL;
}

static bool add_status(OCSP_BASICRESP *basic, const struct ocsp_statement *s)
{
    /* SHA-1 names the issuer here as in RFC 5019 and proves nothing: clients look for it. */
    AUTO(OCSP_CERTID) *id = OCSP_cert_to_id(EVP_sha1(), s->cert, s->issuer);
    AUTO(ASN1_TIME) *from = ASN1_GENERALIZEDTIME_set(NULL, s->at);
    AUTO(ASN1_TIME) *to = ASN1_GENERALIZEDTIME_adj(NULL, s->at, s->days, 0);
    AUTO(ASN1_TIME) *revoked = s->revoked ? ASN1_GENERALIZEDTIME_set(NULL, s->revoked_at) : NULL;
    return id && from && to && (revoked || !s->revoked) &&
           OCSP_basic_add1_status(basic, id,
                                  s->revoked ? V_OCSP_CERTSTATUS_REVOKED : V_OCSP_CERTSTATUS_GOOD,
                                  s->reason, revoked, from, to);
}

buffer *ocsp_state(const struct ocsp_statement *s, struct error *err)
{
    AUTO(OCSP_BASICRESP) *basic = OCSP_BASICRESP_new();
    const X509 *signer = s->signer ? s->signer : s->issuer;
    /* The signer's certificate goes along: not everyone looks for it in the chain. */
    AUTO(EVP_MD_CTX) *signature = signature_begin(s->signer_key);
    if (!basic || !signature || !add_status(basic, s) || !set_produced_at(basic, s->at) ||
        !OCSP_basic_sign_ctx(basic, (X509 *)(uintptr_t)signer, signature, NULL, OCSP_NOTIME)) {
        AUTO(char) *subject = cert_subject(s->cert);
        error_openssl(err, RC_INTERNAL, "%s: cannot make an OCSP response",
                      subject ? subject : "certificate");
        return NULL;
    }
    AUTO(OCSP_RESPONSE) *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    int size = response ? i2d_OCSP_RESPONSE(response, NULL) : 0;
    AUTO(buffer) *der = size > 0 ? buffer_new((size_t)size) : NULL;
    if (!der) {
        error_memory(err);
        return NULL;
    }
    unsigned char *p = der->data;
    der->size = (size_t)i2d_OCSP_RESPONSE(response, &p);
    der->data[der->size] = '\0';
    return TAKE(der);
}

/* What is asked, by every part of the check. */
struct question {
    X509 *cert, *issuer;
    time_t at;
    const char *subject; /* of cert, for messages */
    uint8_t who[2][32];  /* SHA-256 of both, when known */
    bool hashed;
};

static bool refuse(const struct question *q, const char *reason, struct error *err)
{
    error_set(err, RC_UNTRUSTED, "%s: %s", q->subject, reason);
    return error_rule(err, "RFC 6960 section 3.2");
}

static bool refuse_at(const struct question *q, const char *reason, time_t at, struct error *err)
{
    char text[32];
    time_format(at, text);
    error_set(err, RC_UNTRUSTED, "%s: %s %s", q->subject, reason, text);
    return error_rule(err, "RFC 6960 section 3.2");
}

/* NULL unless der is a whole, successful response of the basic type. */
static OCSP_BASICRESP *parse(struct span der)
{
    const unsigned char *p = der.data;
    AUTO(OCSP_RESPONSE) *response = der.size ? d2i_OCSP_RESPONSE(NULL, &p, (long)der.size) : NULL;
    if (!response || p != der.data + der.size ||
        OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return NULL;
    return OCSP_response_get1_basic(response);
}

/* Whether single speaks of the certificate: its CertID is made anew with the hash that it uses. */
static bool matches(const OCSP_SINGLERESP *single, const struct question *q)
{
    const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
    ASN1_OBJECT *algorithm;
    ASN1_INTEGER *serial;
    if (!OCSP_id_get0_info(NULL, &algorithm, NULL, &serial, (OCSP_CERTID *)(uintptr_t)id) ||
        ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(q->cert)) != 0)
        return false;
    const EVP_MD *digest = EVP_get_digestbyobj(algorithm);
    AUTO(OCSP_CERTID) *own = digest ? OCSP_cert_to_id(digest, q->cert, q->issuer) : NULL;
    return own && OCSP_id_cmp(own, id) == 0;
}

static OCSP_SINGLERESP *find_single(OCSP_BASICRESP *basic, const struct question *q)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++)
        if (matches(OCSP_resp_get0(basic, i), q))
            return OCSP_resp_get0(basic, i);
    return NULL;
}

/* Whether the issuer has delegated its answers to signer (RFC 6960 section 4.2.2.2). */
static bool check_delegate(X509 *signer, const struct question *q, struct error *err)
{
    if (X509_check_issued(q->issuer, signer) != X509_V_OK ||
        X509_verify(signer, X509_get0_pubkey(q->issuer)) != 1)
        return refuse(q, "its OCSP response is signed by neither its issuer nor a delegate", err);
    if (!(X509_get_extension_flags(signer) & EXFLAG_XKUSAGE) ||
        !(X509_get_extended_key_usage(signer) & XKU_OCSP_SIGN) ||
        !(X509_get_key_usage(signer) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)))
        return refuse(q, "the signer of its OCSP response lacks the extended key usage OCSPSigning",
                      err);
    time_t from, to;
    if (!asn1_time_read(X509_get0_notBefore(signer), &from) ||
        !asn1_time_read(X509_get0_notAfter(signer), &to) || q->at < from || q->at > to)
        return refuse(q, "the signer of its OCSP response has expired or is not valid yet", err);
    if (!signature_is_strong(X509_get_signature_nid(signer)) ||
        EVP_PKEY_get_security_bits(X509_get0_pubkey(signer)) < 112)
        return refuse(q, "the signer of its OCSP response is weaker than 112 bits", err);
    return true;
}

/* The certificates in a response are not signed: one that poses as the issuer is a sign of
 * tampering. */
static bool has_false_issuer(const OCSP_BASICRESP *basic, const struct question *q)
{
    const X509_stack *certs = OCSP_resp_get0_certs(basic);
    for (int i = 0; i < sk_X509_num(certs); i++)
        if (X509_issuer_and_serial_cmp(sk_X509_value(certs, i), q->issuer) == 0 &&
            X509_cmp(sk_X509_value(certs, i), q->issuer) != 0)
            return true;
    return false;
}

/* direct (or NULL) gets whether the issuer itself has signed, which holds at any time. */
static bool check_signature(OCSP_BASICRESP *basic, const struct question *q, bool *direct,
                            struct error *err)
{
    AUTO(X509_stack) *given = sk_X509_new_null();
    if (!given || !X509_add_cert(given, q->issuer, X509_ADD_FLAG_UP_REF))
        return error_memory(err);
    if (has_false_issuer(basic, q))
        return refuse(q, "its OCSP response brings a changed certificate of its issuer", err);
    X509 *signer;
    if (!OCSP_resp_get0_signer(basic, &signer, given))
        return refuse(q, "its OCSP response is signed by neither its issuer nor a delegate", err);
    if (direct)
        *direct = X509_cmp(signer, q->issuer) == 0;
    if (X509_cmp(signer, q->issuer) != 0) {
        if (!check_delegate(signer, q, err))
            return false;
        X509_free(sk_X509_pop(given));
        if (!X509_add_cert(given, signer, X509_ADD_FLAG_UP_REF))
            return error_memory(err);
    }
    const ASN1_OBJECT *algorithm;
    X509_ALGOR_get0(&algorithm, NULL, NULL, OCSP_resp_get0_tbs_sigalg(basic));
    if (!signature_is_strong(OBJ_obj2nid(algorithm)))
        return refuse(q, "its OCSP response is signed with a hash weaker than 112 bits", err);
    if (OCSP_basic_verify(basic, given, NULL, OCSP_NOVERIFY | OCSP_NOINTERN) != 1)
        return refuse(q, "the signature of its OCSP response is wrong", err);
    return true;
}

static bool read_times(const ASN1_GENERALIZEDTIME *this_update,
                       const ASN1_GENERALIZEDTIME *next_update, const struct question *q,
                       time_t *from, time_t *to, struct error *err)
{
    if (!asn1_time_read(this_update, from))
        return refuse(q, "its OCSP response has no proper thisUpdate", err);
    *to = *from + DEFAULT_DAYS * DAY_SECONDS;
    if (next_update && (!asn1_time_read(next_update, to) || *to < *from))
        return refuse(q, "its OCSP response has no proper nextUpdate", err);
    return true;
}

/* Until when it counts; refuses one from the future and a stale one. */
static bool check_times(time_t from, time_t to, const struct question *q, time_t *until,
                        struct error *err)
{
    if (from > q->at + SKEW_SECONDS)
        return refuse_at(q, "its OCSP response is from the future: not valid before", from, err);
    if (to + SKEW_SECONDS < q->at) {
        refuse_at(q, "its OCSP response is stale since", to, err);
        return error_cause(err, CAUSE_STALE);
    }
    *until = to + SKEW_SECONDS;
    return true;
}

static bool refuse_revoked(const struct question *q, const ASN1_GENERALIZEDTIME *revoked,
                           int reason, struct error *err)
{
    time_t at = 0;
    char text[32] = "an unknown time";
    if (asn1_time_read(revoked, &at))
        time_format(at, text);
    bool told = reason != OCSP_REVOKED_STATUS_NOSTATUS;
    error_set(err, RC_UNTRUSTED, "%s: revoked at %s%s%s", q->subject, text, told ? ", reason " : "",
              told ? OCSP_crl_reason_str(reason) : "");
    error_cause(err, CAUSE_REVOKED);
    return error_rule(err, "RFC 6960 section 2.2");
}

enum verdict { SILENT, MALFORMED, REFUSED, GOOD, REVOKED }; /* the greater one decides */

/*
 * What was found out about a response, a certificate and its issuer, by a hash over all three: a
 * server judges the same staples again and again, and decoding them costs more than the rest of a
 * request. Only what depends on nothing else is kept: that a response does not speak of the
 * certificate, or says "good" under the signature of the issuer itself, and from when to when.
 */
struct finding {
    uint8_t key[32];
    enum verdict verdict; /* SILENT or GOOD */
    time_t from, to;
};

static struct {
    pthread_mutex_t lock;
    struct finding findings[64];
    size_t count, next;
} known = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool finding_key(struct span der, const struct question *q, uint8_t key[32])
{
    uint8_t parts[3][32];
    memcpy(parts, q->who, sizeof q->who);
    return q->hashed && EVP_Digest(der.data, der.size, parts[2], NULL, EVP_sha256(), NULL) == 1 &&
           EVP_Digest(parts, sizeof parts, key, NULL, EVP_sha256(), NULL) == 1;
}

static bool finding_recall(struct finding *f)
{
    bool found = false;
    pthread_mutex_lock(&known.lock);
    for (size_t i = 0; i < known.count && !found; i++)
        if (memcmp(known.findings[i].key, f->key, sizeof f->key) == 0) {
            *f = known.findings[i];
            found = true;
        }
    pthread_mutex_unlock(&known.lock);
    return found;
}

static void finding_keep(const struct finding *f)
{
    pthread_mutex_lock(&known.lock);
    known.findings[known.next] = *f;
    known.next = (known.next + 1) % COUNT(known.findings);
    if (known.count < COUNT(known.findings))
        known.count++;
    pthread_mutex_unlock(&known.lock);
}

static enum verdict examine(struct span der, const struct question *q, struct finding *f,
                            bool *lasting, time_t *until, struct error *err);

static enum verdict judge(struct span der, const struct question *q, time_t *until,
                          struct error *err)
{
    struct finding f;
    bool keyed = finding_key(der, q, f.key), lasting = false;
    if (keyed && finding_recall(&f)) {
        if (f.verdict == SILENT)
            return SILENT;
        return check_times(f.from, f.to, q, until, err) ? GOOD : REFUSED;
    }
    enum verdict verdict = examine(der, q, &f, &lasting, until, err);
    f.verdict = verdict;
    if (keyed && lasting)
        finding_keep(&f);
    return verdict;
}

/* *lasting: the verdict is a finding worth keeping. */
static enum verdict examine(struct span der, const struct question *q, struct finding *f,
                            bool *lasting, time_t *until, struct error *err)
{
    AUTO(OCSP_BASICRESP) *basic = parse(der);
    if (!basic) {
        refuse(q, "no OCSP response for it, and one is not well-formed", err);
        return MALFORMED;
    }
    OCSP_SINGLERESP *single = find_single(basic, q);
    *lasting = !single;
    f->from = f->to = 0;
    if (!single)
        return SILENT;
    bool direct;
    if (!check_signature(basic, q, &direct, err))
        return REFUSED;
    int reason;
    ASN1_GENERALIZEDTIME *revoked, *from, *to;
    int status = OCSP_single_get0_status(single, &reason, &revoked, &from, &to);
    if (!read_times(from, to, q, &f->from, &f->to, err) ||
        !check_times(f->from, f->to, q, until, err))
        return REFUSED;
    *lasting = status == V_OCSP_CERTSTATUS_GOOD && direct;
    if (status == V_OCSP_CERTSTATUS_GOOD)
        return GOOD;
    if (status != V_OCSP_CERTSTATUS_REVOKED) {
        refuse(q, "its issuer does not know it: OCSP status unknown", err);
        return REFUSED;
    }
    refuse_revoked(q, revoked, reason, err);
    return REVOKED;
}

/* A fresh "revoked" outweighs any "good", whichever comes first. */
bool ocsp_check(const struct span *responses, size_t count, X509 *cert, X509 *issuer, time_t at,
                time_t *until, size_t *index, struct error *err)
{
    AUTO(char) *subject = cert_subject(cert);
    struct question q = {
        .cert = cert, .issuer = issuer, .at = at, .subject = subject ? subject : "certificate"};
    enum verdict best = SILENT;
    q.hashed = X509_digest(cert, EVP_sha256(), q.who[0], NULL) == 1 &&
               X509_digest(issuer, EVP_sha256(), q.who[1], NULL) == 1;
    struct error failure, reason;
    time_t best_until = 0, counts_until = 0;
    size_t best_index = 0;
    refuse(&q, count ? "none of the OCSP responses is for it" : "no OCSP response for it",
           &failure);
    for (size_t i = 0; i < count; i++) {
        enum verdict verdict = judge(responses[i], &q, &counts_until, &reason);
        bool longer = verdict == GOOD && counts_until > best_until;
        if (verdict < best || (verdict == best && !longer))
            continue;
        best = verdict;
        if (verdict == GOOD) {
            best_until = counts_until;
            best_index = i;
        } else {
            failure = reason;
        }
    }
    ERR_clear_error();
    if (best != GOOD) {
        *err = failure;
        return false;
    }
    if (until)
        *until = best_until;
    if (index)
        *index = best_index;
    return true;
}

static bool is_revoked(const OCSP_SINGLERESP *single)
{
    return OCSP_single_get0_status((OCSP_SINGLERESP *)(uintptr_t)single, NULL, NULL, NULL, NULL) ==
           V_OCSP_CERTSTATUS_REVOKED;
}

bool ocsp_find_revoked(const struct span *responses, size_t count,
                       const struct ocsp_question *question, size_t *index)
{
    const struct question q = {.cert = question->cert,
                               .issuer = question->issuer,
                               .at = question->at,
                               .subject = "certificate"};
    struct error ignored;
    bool found = false;
    for (size_t i = 0; i < count && !found; i++) {
        AUTO(OCSP_BASICRESP) *basic = parse(responses[i]);
        OCSP_SINGLERESP *single = basic ? find_single(basic, &q) : NULL;
        found = single && is_revoked(single) && check_signature(basic, &q, NULL, &ignored);
        *index = i;
    }
    ERR_clear_error();
    return found;
}

/* Whether responses have a fresh "good" that was told later than from. */
static bool has_later_good(const struct span *responses, size_t count, const struct question *q,
                           time_t from)
{
    struct error ignored;
    time_t until, told;
    for (size_t i = 0; i < count; i++) {
        AUTO(OCSP_BASICRESP) *basic = parse(responses[i]);
        OCSP_SINGLERESP *single = basic ? find_single(basic, q) : NULL;
        ASN1_GENERALIZEDTIME *this_update = NULL;
        if (single && judge(responses[i], q, &until, &ignored) == GOOD &&
            OCSP_single_get0_status(single, NULL, NULL, &this_update, NULL) >= 0 &&
            asn1_time_read(this_update, &told) && told > from)
            return true;
    }
    return false;
}

bool ocsp_still_revoked(struct span proof, const struct ocsp_question *question,
                        const struct span *responses, size_t count, struct error *err)
{
    AUTO(char) *subject = cert_subject(question->cert);
    const struct question q = {.cert = question->cert,
                               .issuer = question->issuer,
                               .at = question->at,
                               .subject = subject ? subject : "certificate"};
    AUTO(OCSP_BASICRESP) *basic = parse(proof);
    OCSP_SINGLERESP *single = basic ? find_single(basic, &q) : NULL;
    if (!single || !is_revoked(single))
        return false;
    int reason = OCSP_REVOKED_STATUS_NOSTATUS;
    ASN1_GENERALIZEDTIME *revoked, *from;
    OCSP_single_get0_status(single, &reason, &revoked, &from, NULL);
    time_t told;
    bool lifted = reason == OCSP_REVOKED_STATUS_CERTIFICATEHOLD && asn1_time_read(from, &told) &&
                  has_later_good(responses, count, &q, told);
    ERR_clear_error();
    return !lifted && !refuse_revoked(&q, revoked, reason, err);
}
