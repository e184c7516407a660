/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki/chain and what it remembers (pki/chain_cache, pki/cert_cache): an answer that is recalled is
 * the one that a fresh check gives. The witness is OpenSSL, with certificates that it decodes anew
 * for every question.
 */
#include "unit.h"

#include <pthread.h>

#include "pki/chain.h"

enum { T = 1700000000, CERTS = 9, QUESTIONS = 300, THREADS = 4 };

static struct kept {
    X509 *cert; /* as a server has it: read by cert_from_der */
    uint8_t der[2048];
    size_t size;
} certs[CERTS];

/* Who is who. Two CAs have one name, two roots another. */
enum { ROOT, OTHER_ROOT, CA, OTHER_CA, SHORT_CA, LEAF, SHORT_CA_LEAF, OTHER_CA_LEAF, SIGNING_LEAF };

static const struct plan {
    const char *subject;
    int key, issuer, from, until; /* seconds from T */
    const char *usage;
} plans[CERTS] = {
    [ROOT] = {"root", 0, ROOT, -1000, 1000, "keyCertSign"},
    [OTHER_ROOT] = {"root", 1, OTHER_ROOT, -1000, 1000, "keyCertSign"},
    [CA] = {"CA", 2, ROOT, -500, 500, "keyCertSign"},
    [OTHER_CA] = {"CA", 3, OTHER_ROOT, -500, 300, "keyCertSign"},
    [SHORT_CA] = {"short CA", 4, ROOT, -50, 50, "keyCertSign"},
    [LEAF] = {"leaf", 5, CA, -100, 100, "digitalSignature,keyAgreement"},
    [SHORT_CA_LEAF] = {"leaf", 5, SHORT_CA, -400, 400, "digitalSignature,keyAgreement"},
    [OTHER_CA_LEAF] = {"leaf", 5, OTHER_CA, -100, 400, "digitalSignature,keyAgreement"},
    [SIGNING_LEAF] = {"firmware", 5, CA, -100, 100, "digitalSignature"},
};

static EVP_PKEY *keys[6];

static void name_it(X509_NAME *name, const char *text)
{
    assert_int_equal(
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)text, -1, -1, 0), 1);
}

static void extend(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

static void make(int which)
{
    const struct plan *p = &plans[which];
    X509 *cert = X509_new();
    bool ca = strcmp(p->usage, "keyCertSign") == 0;
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), which + 1);
    name_it(X509_get_subject_name(cert), p->subject);
    name_it(X509_get_issuer_name(cert), plans[p->issuer].subject);
    ASN1_TIME_set(X509_getm_notBefore(cert), T + p->from);
    ASN1_TIME_set(X509_getm_notAfter(cert), T + p->until);
    X509_set_pubkey(cert, keys[p->key]);
    extend(cert, NID_basic_constraints, ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extend(cert, NID_key_usage, p->usage);
    assert_true(X509_sign(cert, keys[plans[p->issuer].key], EVP_sha256()) > 0);
    struct kept *k = &certs[which];
    uint8_t *to = k->der;
    k->size = (size_t)i2d_X509(cert, &to);
    assert_in_range(k->size, 1, sizeof k->der);
    X509_free(cert);
    struct error err;
    k->cert = cert_from_der(SPAN(k->der, k->size), "made", &err);
    assert_non_null(k->cert);
}

static int make_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++)
        keys[i] = EVP_EC_gen("P-256");
    for (int i = 0; i < CERTS; i++)
        make(i);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    for (int i = 0; i < CERTS; i++)
        X509_free(certs[i].cert);
    for (size_t i = 0; i < COUNT(keys); i++)
        EVP_PKEY_free(keys[i]);
    return 0;
}

/* Certificates by number, -1 behind the last. */
struct question {
    int leaf, others[4], anchors[4];
    enum pki_role role;
    int at; /* seconds from T */
};

static X509_stack *gather(const int *numbers, bool anew)
{
    X509_stack *stack = sk_X509_new_null();
    for (; *numbers >= 0; numbers++) {
        const struct kept *k = &certs[*numbers];
        const uint8_t *p = k->der;
        X509 *cert = anew ? d2i_X509(NULL, &p, (long)k->size) : k->cert;
        if (!anew)
            X509_up_ref(cert);
        sk_X509_push(stack, cert);
    }
    return stack;
}

static bool verified(const struct question *q, struct error *err)
{
    AUTO(X509_stack) *others = gather(q->others, false);
    AUTO(X509_stack) *anchors = gather(q->anchors, false);
    AUTO(X509_stack) *path = chain_verify(&(struct chain_question){.leaf = certs[q->leaf].cert,
                                                                   .others = others,
                                                                   .anchors = anchors,
                                                                   .role = q->role,
                                                                   .at = T + q->at},
                                          err);
    return path != NULL;
}

/* OpenSSL's own word on the path; of roles it knows nothing. */
static bool witnessed(const struct question *q)
{
    AUTO(X509_stack) *leaf = gather((const int[]){q->leaf, -1}, true);
    AUTO(X509_stack) *others = gather(q->others, true);
    AUTO(X509_stack) *anchors = gather(q->anchors, true);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool good = X509_STORE_CTX_init(ctx, store, sk_X509_value(leaf, 0), others) == 1;
    X509_STORE_CTX_set0_trusted_stack(ctx, anchors);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), T + q->at);
    good = good && X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return good;
}

static void expect(struct question q, bool good)
{
    struct error err = {.rc = RC_OK};
    bool found = verified(&q, &err);
    assert_int_equal(found, good);
    if (!good)
        assert_int_equal(err.rc, RC_UNTRUSTED);
}

static struct question at_time(int leaf, int ca, int at)
{
    return (struct question){leaf, {ca, -1}, {ROOT, -1}, ROLE_TEE, at};
}

static void a_chain_that_was_good_is_good_while_all_of_it_is_valid(void **state)
{
    (void)state;
    expect(at_time(LEAF, CA, 0), true);
    expect(at_time(LEAF, CA, 99), true);
    expect(at_time(LEAF, CA, 100), false);
    expect(at_time(LEAF, CA, 600), false);
    expect(at_time(LEAF, CA, -100), true);
    expect(at_time(LEAF, CA, -101), false);
    expect(at_time(LEAF, CA, 0), true);
}

static void it_ends_with_the_certificate_that_ends_first(void **state)
{
    (void)state;
    expect(at_time(SHORT_CA_LEAF, SHORT_CA, 0), true);
    expect(at_time(SHORT_CA_LEAF, SHORT_CA, 49), true);
    expect(at_time(SHORT_CA_LEAF, SHORT_CA, 50), false);
    expect(at_time(SHORT_CA_LEAF, SHORT_CA, -51), false);
    expect(at_time(SHORT_CA_LEAF, SHORT_CA, -50), true);
}

static void the_same_leaf_with_other_certificates_is_another_question(void **state)
{
    (void)state;
    const struct question good = at_time(LEAF, CA, 0);
    struct question q = good;
    expect(good, true);
    q.others[0] = OTHER_CA; /* of the same name */
    expect(q, false);
    q.others[0] = -1;
    expect(q, false);
    expect(good, true);
    q = good;
    q.anchors[0] = OTHER_ROOT; /* of the same name */
    expect(q, false);
    q.anchors[0] = -1;
    expect(q, false);
    expect(good, true);
}

static void the_same_chain_in_another_role_is_another_question(void **state)
{
    (void)state;
    struct question q = at_time(SIGNING_LEAF, CA, 0);
    q.role = ROLE_TFW;
    expect(q, true);
    q.role = ROLE_TEE; /* which needs keyAgreement */
    expect(q, false);
    q.role = ROLE_TFW;
    expect(q, true);
}

static int pick(unsigned *seed, int below)
{
    return rand_r(seed) % below;
}

static void pick_certs(unsigned *seed, int to[4], int first, int count)
{
    int n = pick(seed, 4);
    for (int i = 0; i < n; i++)
        to[i] = first + pick(seed, count);
    to[n] = -1;
}

/* Asks at random, each question at three times; how many answers are not the witness's. */
static void *ask_at_random(void *argument)
{
    static const int borders[] = {-1000, -500, -400, -100, -50, 0, 50, 100, 300, 400, 500, 1000};
    unsigned *seed = argument, wrong = 0;
    for (int i = 0; i < QUESTIONS; i++) {
        struct question q = {.leaf = LEAF + pick(seed, 3), .role = ROLE_TEE};
        struct error ignored;
        pick_certs(seed, q.others, 0, LEAF);
        pick_certs(seed, q.anchors, 0, CA);
        for (int k = 0; k < 3; k++) {
            q.at = borders[pick(seed, COUNT(borders))] + pick(seed, 3) - 1;
            wrong += verified(&q, &ignored) != witnessed(&q);
        }
    }
    return (void *)(uintptr_t)wrong;
}

static void what_is_recalled_is_what_openssl_says_anew(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = i + 1;
        assert_int_equal(pthread_create(&threads[i], NULL, ask_at_random, &seeds[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_int_equal((uintptr_t)wrong, 0);
    }
}

static void a_certificate_with_something_behind_it_is_refused_however_often_it_comes(void **state)
{
    (void)state;
    struct error err;
    uint8_t longer[2049];
    memcpy(longer, certs[LEAF].der, certs[LEAF].size);
    longer[certs[LEAF].size] = 0;
    for (int i = 0; i < 2; i++) {
        assert_null(cert_from_der(SPAN(longer, certs[LEAF].size + 1), "it", &err));
        assert_error(&err, RC_MALFORMED, "it: 1 bytes behind the certificate");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_that_was_good_is_good_while_all_of_it_is_valid),
        cmocka_unit_test(it_ends_with_the_certificate_that_ends_first),
        cmocka_unit_test(the_same_leaf_with_other_certificates_is_another_question),
        cmocka_unit_test(the_same_chain_in_another_role_is_another_question),
        cmocka_unit_test(what_is_recalled_is_what_openssl_says_anew),
        cmocka_unit_test(a_certificate_with_something_behind_it_is_refused_however_often_it_comes),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
