/* SPDX-License-Identifier: Apache-2.0 */
/*
 * property: what must hold of any key, header and payload. Every combination of algorithm, form and
 * content encryption goes round; of some messages every bit is flipped, and each must be refused;
 * base64 agrees with a plain loop at every length, alignment and foreign byte.
 *
 *     JOSE_SEED=N JOSE_ROUNDS=N property [base64|signatures|encryption]...
 *
 * The seed chooses keys, headers, payloads, AAD, CEKs and places; it is printed. (Nonces, IVs and
 * paddings are OpenSSL's.)
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>

#include "jose/jwe.h"
#include "jose/jws.h"
#include "jose/rsa_key.h"
#include "util/base64.h"
#include "util/base64_simd.h"

static uint64_t seed, state;
static size_t checks;

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("FAILED with JOSE_SEED=%llu: ", (unsigned long long)seed);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    exit(1);
}

#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        checks++;                                                                                  \
        if (!(condition))                                                                          \
            fail(__VA_ARGS__);                                                                     \
    } while (0)

/* splitmix64 */
static uint64_t draw(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t below(size_t limit)
{
    return (size_t)(draw() % limit);
}

static void draw_bytes(uint8_t *to, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)draw();
}

static buffer *drawn(size_t size)
{
    buffer *b = buffer_new(size);
    if (!b)
        fail("no memory");
    draw_bytes(b->data, size);
    b->size = size;
    b->data[size] = '\0';
    return b;
}

/* ---- base64 ---- */

static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The definition, a bit at a time. */
static size_t plain_encode(char *to, const uint8_t *data, size_t size, const char *digits)
{
    size_t count = (size * 8 + 5) / 6;
    for (size_t i = 0; i < count; i++) {
        unsigned value = 0;
        for (size_t bit = 6 * i; bit < 6 * i + 6; bit++)
            value = value << 1 |
                    (bit / 8 < size ? (unsigned)data[bit / 8] >> (7 - bit % 8) & 1u : 0u);
        to[i] = digits[value];
    }
    return count;
}

static bool plain_decode(uint8_t *to, const char *text, size_t count, const char *digits)
{
    size_t size = count * 6 / 8;
    if (count % 4 == 1)
        return false;
    memset(to, 0, size + 1);
    for (size_t i = 0; i < count; i++) {
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
        if (!digit)
            return false;
        for (size_t bit = 0; bit < 6; bit++)
            if ((digit - digits) >> (5 - bit) & 1) {
                if (6 * i + bit >= size * 8)
                    return false;
                to[(6 * i + bit) / 8] |= (uint8_t)(128 >> (6 * i + bit) % 8);
            }
    }
    return true;
}

enum { PAGE = 4096, ROOM = 4 * PAGE, LONGEST = 300 };

/* Memory that ends where the next page cannot be touched. */
static uint8_t *guarded(void)
{
    uint8_t *at = mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                       0);
    if (at == MAP_FAILED || mprotect(at + ROOM, PAGE, PROT_NONE) != 0)
        fail("no guarded memory");
    return at;
}

static void check_encoding(struct span data)
{
    char right[2 * LONGEST];
    buffer *made = buffer_new(0);
    size_t count = plain_encode(right, data.data, data.size, url);
    buffer_put_base64url(made, data);
    MUST(span_equal(buffer_span(made), SPAN(right, count)), "base64url of %zu bytes", data.size);
    made->size = 0;
    buffer_put_base64(made, data);
    count = plain_encode(right, data.data, data.size, standard);
    while (count % 4)
        right[count++] = '=';
    MUST(span_equal(buffer_span(made), SPAN(right, count)), "BASE64 of %zu bytes", data.size);
    buffer_free(made);
}

/* text decodes as by definition, to any place: with a guard right behind the promised room, and in
 * place. */
static void check_decoding(struct span text, uint8_t *room, size_t shift)
{
    uint8_t right[LONGEST];
    struct error err;
    bool good = plain_decode(right, (const char *)text.data, text.size, url);
    size_t size = text.size * 6 / 8, needed = text.size / 4 * 3 + 2;
    uint8_t *to = room + ROOM - needed - shift;
    long long made = base64url_decode_to(to, text, "it", &err);
    MUST((made >= 0) == good, "%zu characters at %zu: %s", text.size, shift,
         good ? err.message : "taken");
    MUST(!good || ((size_t)made == size && memcmp(to, right, size) == 0),
         "%zu characters at %zu decode otherwise", text.size, shift);
    to = room + ROOM - (text.size > needed ? text.size : needed) - shift;
    memcpy(to, text.data, text.size);
    made = base64url_decode_to(to, SPAN(to, text.size), "it", &err);
    MUST((made >= 0) == good && (!good || memcmp(to, right, size) == 0),
         "%zu characters at %zu decode otherwise in place", text.size, shift);
    buffer *owned = base64url_decode(text, "it", &err);
    MUST(!owned == !good && (!good || span_equal(buffer_span(owned), SPAN(right, size))),
         "%zu characters decode otherwise to a buffer", text.size);
    buffer_free(owned);
}

static void check_base64(void)
{
    uint8_t *from = guarded(), *room = guarded();
    char text[2 * LONGEST];
    for (size_t size = 0; size <= 200; size++)
        for (size_t shift = 0; shift < 33; shift++) {
            uint8_t *data = from + ROOM - size - shift;
            draw_bytes(data, size);
            check_encoding(SPAN(data, size));
            size_t count = plain_encode(text, data, size, url);
            uint8_t *at = from + ROOM - count - shift;
            memcpy(at, text, count);
            check_decoding(SPAN(at, count), room, shift % 7);
            if (count % 4 == 3) /* one more or less makes a length that none has */
                check_decoding(SPAN(at + 2, count - 2), room, 0);
        }
    /* every byte at every place of some lengths: below, at and above what goes by blocks */
    static const size_t lengths[] = {4, 31, 32, 47, 48, 64, 79, 80, 96, 112, 130};
    for (size_t l = 0; l < COUNT(lengths); l++)
        for (size_t place = 0; place < lengths[l]; place++)
            for (int c = 0; c < 256; c++) {
                uint8_t *at = from + ROOM - lengths[l];
                memset(at, 'A', lengths[l]);
                at[place] = (uint8_t)c;
                check_decoding(SPAN(at, lengths[l]), room, 0);
            }
    /* the blocks themselves, where the processor has them */
    uint8_t bytes[LONGEST];
    draw_bytes(bytes, sizeof bytes);
    size_t count = plain_encode(text, bytes, 240, url);
    uint8_t out[2 * LONGEST];
    struct base64_tail tail = {'-', '_'};
    size_t done = base64_encode_simd(out, bytes, 240, tail);
    MUST(done % 24 == 0 && done <= 240 && memcmp(out, text, done / 3 * 4) == 0, "encoded blocks");
    done = base64_decode_simd(out, (uint8_t *)text, count, tail);
    MUST(done % 32 == 0 && done <= count && memcmp(out, bytes, done / 4 * 3) == 0,
         "decoded blocks");
    printf("base64: blocks of %s\n", done ? "AVX2" : "the plain loop");
    munmap(from, ROOM + PAGE);
    munmap(room, ROOM + PAGE);
}

/* ---- keys ---- */

static EVP_PKEY *drawn_okp(const char *type, size_t bytes)
{
    uint8_t raw[57];
    draw_bytes(raw, bytes);
    return EVP_PKEY_new_raw_private_key_ex(NULL, type, NULL, raw, bytes);
}

static EVP_PKEY *drawn_ec(const char *name, int nid, size_t bytes)
{
    uint8_t raw[66], point[133];
    draw_bytes(raw, bytes);
    raw[0] = 0; /* below the order */
    raw[bytes - 1] |= 1;
    EC_GROUP *group = EC_GROUP_new_by_curve_name(nid);
    EC_POINT *q = EC_POINT_new(group);
    BIGNUM *d = BN_bin2bn(raw, (int)bytes, NULL);
    EC_POINT_mul(group, q, d, NULL, NULL, NULL);
    size_t size = EC_POINT_point2oct(group, q, POINT_CONVERSION_UNCOMPRESSED, point, sizeof point,
                                     NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, name, 0);
    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, size);
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, d);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_fromdata_init(maker);
    EVP_PKEY_fromdata(maker, &pkey, EVP_PKEY_KEYPAIR, params);
    EVP_PKEY_CTX_free(maker);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    EC_POINT_free(q);
    EC_GROUP_free(group);
    BN_free(d);
    return pkey;
}

static BIGNUM *drawn_prime(BN_CTX *work)
{
    uint8_t raw[128];
    draw_bytes(raw, sizeof raw);
    raw[0] |= 0xc0;
    raw[127] |= 1;
    BIGNUM *p = BN_bin2bn(raw, sizeof raw, NULL);
    while (BN_mod_word(p, 65537) == 1 || BN_check_prime(p, work, NULL) != 1)
        BN_add_word(p, 2);
    return p;
}

static EVP_PKEY *drawn_rsa(void)
{
    BN_CTX *work = BN_CTX_new();
    BIGNUM *v[RSA_NUMBERS];
    for (int i = 0; i < RSA_NUMBERS; i++)
        v[i] = BN_new();
    BN_free(v[RSA_P]);
    BN_free(v[RSA_Q]);
    v[RSA_P] = drawn_prime(work);
    v[RSA_Q] = drawn_prime(work);
    BIGNUM *p1 = BN_dup(v[RSA_P]), *q1 = BN_dup(v[RSA_Q]), *phi = BN_new();
    BN_sub_word(p1, 1);
    BN_sub_word(q1, 1);
    BN_mul(phi, p1, q1, work);
    BN_mul(v[RSA_N], v[RSA_P], v[RSA_Q], work);
    BN_set_word(v[RSA_E], 65537);
    BN_mod_inverse(v[RSA_D], v[RSA_E], phi, work);
    BN_mod(v[RSA_DP], v[RSA_D], p1, work);
    BN_mod(v[RSA_DQ], v[RSA_D], q1, work);
    BN_mod_inverse(v[RSA_QI], v[RSA_Q], v[RSA_P], work);
    EVP_PKEY *pkey = rsa_key_build(v, true);
    for (int i = 0; i < RSA_NUMBERS; i++)
        BN_free(v[i]);
    BN_free(p1);
    BN_free(q1);
    BN_free(phi);
    BN_CTX_free(work);
    return pkey;
}

/* "RSA", a curve, or "oct" of that many bytes. */
static key *drawn_key(const char *type, size_t bytes)
{
    struct error err = {.rc = RC_OK};
    EVP_PKEY *pkey = NULL;
    if (strcmp(type, "oct") == 0) {
        buffer *raw = drawn(bytes);
        key *k = key_from_oct(buffer_span(raw), type, &err);
        buffer_free(raw);
        return k;
    }
    if (strcmp(type, "RSA") == 0)
        pkey = drawn_rsa();
    else if (strcmp(type, "P-256") == 0)
        pkey = drawn_ec("prime256v1", NID_X9_62_prime256v1, 32);
    else if (strcmp(type, "P-384") == 0)
        pkey = drawn_ec("secp384r1", NID_secp384r1, 48);
    else if (strcmp(type, "P-521") == 0)
        pkey = drawn_ec("secp521r1", NID_secp521r1, 66);
    else
        pkey = drawn_okp(type, strcmp(type, "X448") == 0    ? 56
                               : strcmp(type, "ED448") == 0 ? 57
                                                            : 32);
    key *k = pkey ? key_from_pkey(pkey, true, type, &err) : NULL;
    if (!k)
        fail("no key of type %s", type);
    return k;
}

/* ---- headers ---- */

/* Some members whose names begin with prefix, or NULL. */
static json_t *drawn_header(char prefix)
{
    size_t count = below(4);
    if (!count)
        return NULL;
    json_t *header = json_object();
    for (size_t i = 0; i < count; i++) {
        char name[8] = {prefix, (char)('a' + below(26)), (char)('a' + i), '\0'};
        switch (below(4)) {
        case 0:
            json_object_set_new(header, name, json_integer((json_int_t)draw()));
            break;
        case 1:
            json_object_set_new(header, name, json_pack("[s, {s:n}]", "\xc3\xa9\"\\\n", "deep"));
            break;
        case 2:
            json_object_set_new(header, name, json_boolean(below(2)));
            break;
        default:
            json_object_set_new(header, name, json_string("\xf0\x9f\x94\x91"));
        }
    }
    return header;
}

static size_t drawn_size(void)
{
    static const size_t sizes[] = {0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 1000, 5000};
    return below(2) ? sizes[below(COUNT(sizes))] : below(300);
}

static const enum serialization forms[] = {SERIALIZATION_FLATTENED, SERIALIZATION_COMPACT,
                                           SERIALIZATION_GENERAL};

/* ---- signatures ---- */

struct signing {
    const char *alg, *type;
    size_t bytes; /* of an oct key */
    size_t share; /* one bit in so many is flipped: what takes long is sampled */
};

static const struct signing signings[] = {
    {"RS256", "RSA", 0, 1},     {"RS384", "RSA", 0, 1},   {"RS512", "RSA", 0, 1},
    {"PS256", "RSA", 0, 1},     {"PS384", "RSA", 0, 1},   {"PS512", "RSA", 0, 1},
    {"ES256", "P-256", 0, 1},   {"ES384", "P-384", 0, 2}, {"ES512", "P-521", 0, 5},
    {"HS256", "oct", 32, 1},    {"HS384", "oct", 48, 1},  {"HS512", "oct", 64, 1},
    {"EdDSA", "ED25519", 0, 1}, {"EdDSA", "ED448", 0, 3},
};

/* Whether the text is a JWS, and its first signature by k over the payload (or what it holds). */
static bool verified(struct span text, const key *k, const buffer *detached, struct span *payload)
{
    struct error err = {.rc = RC_OK};
    AUTO(jws) *message = jws_parse(text, "JWS", &err);
    if (!message)
        return false;
    if (detached)
        message->payload = buffer_span(detached);
    for (size_t i = 0; i < message->count; i++)
        if (!jws_verify(message, i, k, &err))
            return false;
    AUTO(buffer) *decoded = jws_payload(message, &err);
    if (!decoded)
        return false;
    return !payload || span_equal(buffer_span(decoded), *payload);
}

static void flip_compact_jws(const struct signing *s, const key *k)
{
    struct error err = {.rc = RC_OK};
    struct jws_how how = {.keys = (key *const[]){(key *)(uintptr_t)k},
                          .count = 1,
                          .alg = jwa_find(JWA_SIGNATURE, s->alg),
                          .serialization = SERIALIZATION_COMPACT};
    AUTO(buffer) *payload = drawn(5);
    AUTO(buffer) *text = jws_sign(&how, buffer_span(payload), &err);
    MUST(text && verified(buffer_span(text), k, NULL, NULL), "%s: %s", s->alg, err.message);
    for (size_t bit = 0; bit < 8 * text->size; bit++) {
        if (s->share > 1 && below(s->share))
            continue;
        text->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        MUST(!verified(buffer_span(text), k, NULL, NULL), "%s: taken with bit %zu flipped: %s",
             s->alg, bit, (char *)text->data);
        text->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    MUST(verified(buffer_span(text), k, NULL, NULL), "%s: no longer good", s->alg);
}

static void round_signature(const struct signing *s, enum serialization form, key *k, key *other)
{
    struct error err = {.rc = RC_OK};
    AUTO(json_t) *protected = drawn_header('p');
    AUTO(json_t) *header = form == SERIALIZATION_COMPACT ? NULL : drawn_header('u');
    AUTO(buffer) *payload = drawn(drawn_size());
    key *keys[] = {k, k, k};
    struct jws_how how = {.keys = keys,
                          .count = form == SERIALIZATION_GENERAL ? 1 + below(3) : 1,
                          .alg = jwa_find(JWA_SIGNATURE, s->alg),
                          .protected = protected,
                          .header = header,
                          .serialization = form,
                          .detached = below(3) == 0};
    AUTO(buffer) *text = jws_sign(&how, buffer_span(payload), &err);
    MUST(text, "%s: %s", s->alg, err.message);
    AUTO(buffer) *encoded = buffer_new(0);
    buffer_put_base64url(encoded, buffer_span(payload));
    struct span right = buffer_span(payload);
    const buffer *given = how.detached ? encoded : NULL;
    MUST(verified(buffer_span(text), k, given, &right), "%s: does not come back: %s", s->alg,
         (char *)text->data);
    MUST(!verified(buffer_span(text), other, given, NULL), "%s: taken with another key", s->alg);
    if (how.detached) {
        buffer_put_text(encoded, "AAAA");
        MUST(!verified(buffer_span(text), k, encoded, NULL), "%s: taken with more payload", s->alg);
    }
}

static void check_signatures(size_t rounds)
{
    for (size_t i = 0; i < COUNT(signings); i++) {
        AUTO(key) *k = drawn_key(signings[i].type, signings[i].bytes);
        AUTO(key) *other = drawn_key(signings[i].type, signings[i].bytes);
        for (size_t form = 0; form < COUNT(forms); form++)
            for (size_t round = 0; round < 3 * rounds; round++)
                round_signature(&signings[i], forms[form], k, other);
        flip_compact_jws(&signings[i], k);
    }
}

/* ---- encryption ---- */

struct wrapping {
    const char *alg, *type;
    size_t bytes, share;
};

static const struct wrapping wrappings[] = {
    {"RSA1_5", "RSA", 0, 5},
    {"RSA-OAEP", "RSA", 0, 12},
    {"RSA-OAEP-256", "RSA", 0, 5},
    {"ECDH-ES", "P-256", 0, 1},
    {"ECDH-ES+A128KW", "P-256", 0, 1},
    {"ECDH-ES+A192KW", "P-256", 0, 4},
    {"ECDH-ES+A256KW", "P-256", 0, 4},
    {"ECDH-ES", "P-384", 0, 12},
    {"ECDH-ES+A128KW", "P-384", 0, 12},
    {"ECDH-ES+A192KW", "P-384", 0, 40},
    {"ECDH-ES+A256KW", "P-384", 0, 12},
    {"ECDH-ES", "P-521", 0, 40},
    {"ECDH-ES+A128KW", "P-521", 0, 12},
    {"ECDH-ES+A192KW", "P-521", 0, 40},
    {"ECDH-ES+A256KW", "P-521", 0, 12},
    {"ECDH-ES", "X25519", 0, 1},
    {"ECDH-ES+A128KW", "X25519", 0, 1},
    {"ECDH-ES+A192KW", "X25519", 0, 4},
    {"ECDH-ES+A256KW", "X25519", 0, 4},
    {"ECDH-ES", "X448", 0, 4},
    {"ECDH-ES+A128KW", "X448", 0, 4},
    {"ECDH-ES+A192KW", "X448", 0, 10},
    {"ECDH-ES+A256KW", "X448", 0, 4},
    {"A128KW", "oct", 16, 1},
    {"A192KW", "oct", 24, 1},
    {"A256KW", "oct", 32, 1},
    {"A128GCMKW", "oct", 16, 1},
    {"A192GCMKW", "oct", 24, 1},
    {"A256GCMKW", "oct", 32, 1},
    {"dir", "oct", 0, 1},
};

static const char *const encs[] = {"A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512",
                                   "A128GCM",       "A192GCM",       "A256GCM"};

static buffer *opened(struct span text, key *k, buffer **cek)
{
    struct error err = {.rc = RC_OK};
    AUTO(jwe) *message = jwe_parse(text, "JWE", &err);
    return message ? jwe_decrypt(message, &k, 1, cek, &err) : NULL;
}

static bool opens(struct span text, key *k)
{
    AUTO(buffer) *plaintext = opened(text, k, NULL);
    return plaintext != NULL;
}

static void flip_compact_jwe(const struct wrapping *w, const struct jwa *enc, key *k)
{
    struct error err = {.rc = RC_OK};
    AUTO(buffer) *plaintext = drawn(5);
    struct jwe_how how = {.keys = &k,
                          .count = 1,
                          .alg = jwa_find(JWA_KEY_MANAGEMENT, w->alg),
                          .enc = enc,
                          .serialization = SERIALIZATION_COMPACT};
    AUTO(buffer) *text = jwe_encrypt(&how, buffer_span(plaintext), NULL, &err);
    MUST(text && opens(buffer_span(text), k), "%s: %s", w->alg, err.message);
    for (size_t bit = 0; bit < 8 * text->size; bit++) {
        if (w->share > 1 && below(w->share))
            continue;
        text->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        MUST(!opens(buffer_span(text), k), "%s, %s: opened with bit %zu flipped: %s", w->alg,
             enc->name, bit, (char *)text->data);
        text->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    MUST(opens(buffer_span(text), k), "%s: no longer good", w->alg);
}

/* The base64url value of a member of text, changed in one bit; the rest stays the same. */
static void flip_member(const char *alg, buffer *text, const char *member, key *k, size_t share)
{
    char pattern[40];
    struct error err = {.rc = RC_OK};
    snprintf(pattern, sizeof pattern, "\"%s\":\"", member);
    char *at = strstr((char *)text->data, pattern);
    if (!at)
        return;
    at += strlen(pattern);
    size_t length = strcspn(at, "\"");
    AUTO(buffer) *bytes = base64url_decode(SPAN(at, length), member, &err);
    AUTO(buffer) *saved = buffer_copy(SPAN(at, length));
    if (!bytes || !saved)
        fail("%s: %s", alg, err.message);
    for (size_t bit = 0; bit < 8 * bytes->size; bit++) {
        if (share > 1 && below(share))
            continue;
        bytes->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        plain_encode(at, bytes->data, bytes->size, url);
        MUST(!opens(buffer_span(text), k), "%s: opened with bit %zu of %s flipped", alg, bit,
             member);
        bytes->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    memcpy(at, saved->data, length);
}

static void round_encryption(const struct wrapping *w, const struct jwa *enc,
                             enum serialization form, key *k, key *other, bool flip)
{
    struct error err = {.rc = RC_OK};
    const struct jwa *alg = jwa_find(JWA_KEY_MANAGEMENT, w->alg);
    AUTO(json_t) *protected = drawn_header('p');
    AUTO(buffer) *plaintext = drawn(flip ? 20 : drawn_size());
    AUTO(buffer) *aad = drawn(form == SERIALIZATION_COMPACT ? 0 : below(40));
    AUTO(buffer) *given = drawn(jwa_fixes_cek(alg) || below(2) ? 0 : enc->bytes);
    key *keys[] = {other, k};
    bool several = form == SERIALIZATION_GENERAL && !jwa_fixes_cek(alg);
    struct jwe_how how = {.keys = several ? keys : &k,
                          .count = several ? 2 : 1,
                          .alg = alg,
                          .enc = enc,
                          .cek = buffer_span(given),
                          .aad = buffer_span(aad),
                          .protected = protected,
                          .serialization = form};
    AUTO(buffer) *cek = NULL;
    AUTO(buffer) *text = jwe_encrypt(&how, buffer_span(plaintext), &cek, &err);
    MUST(text && cek, "%s, %s: %s", w->alg, enc->name, err.message);
    MUST(!given->size || span_equal(buffer_span(cek), buffer_span(given)), "%s: another CEK",
         w->alg);
    AUTO(buffer) *found = NULL;
    AUTO(buffer) *back = opened(buffer_span(text), k, &found);
    MUST(back && span_equal(buffer_span(back), buffer_span(plaintext)),
         "%s, %s: does not come back", w->alg, enc->name);
    MUST(span_equal(buffer_span(found), buffer_span(cek)), "%s: another CEK comes back", w->alg);
    MUST(opens(buffer_span(text), other) == several, "%s, %s: of another key", w->alg, enc->name);
    if (!flip || several)
        return;
    static const char *const members[] = {"protected",  "encrypted_key", "iv",
                                          "ciphertext", "tag",           "aad"};
    for (size_t i = 0; i < COUNT(members); i++)
        flip_member(w->alg, text, members[i], k, w->share);
}

static void check_encryption(size_t rounds)
{
    for (size_t i = 0; i < COUNT(wrappings); i++) {
        const struct wrapping *w = &wrappings[i];
        AUTO(key) *same = w->bytes || strcmp(w->type, "oct") != 0 ? drawn_key(w->type, w->bytes)
                                                                  : NULL;
        AUTO(key) *second = same ? drawn_key(w->type, w->bytes) : NULL;
        size_t flipped = below(COUNT(encs));
        for (size_t e = 0; e < COUNT(encs); e++) {
            const struct jwa *enc = jwa_find(JWA_CONTENT, encs[e]);
            AUTO(key) *direct = same ? NULL : drawn_key("oct", enc->bytes);
            AUTO(key) *wrong = same ? NULL : drawn_key("oct", enc->bytes);
            key *k = same ? same : direct, *other = same ? second : wrong;
            for (size_t form = 0; form < COUNT(forms); form++)
                for (size_t round = 0; round < rounds; round++)
                    round_encryption(w, enc, forms[form], k, other,
                                     e == flipped && forms[form] == SERIALIZATION_FLATTENED);
            if (e == flipped)
                flip_compact_jwe(w, enc, k);
        }
    }
}

static bool wanted(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc == 1;
}

int main(int argc, char **argv)
{
    const char *given = getenv("JOSE_SEED"), *times = getenv("JOSE_ROUNDS");
    seed = state = given ? strtoull(given, NULL, 0) : 20240229;
    size_t rounds = times ? strtoul(times, NULL, 0) : 1;
    printf("JOSE_SEED=%llu JOSE_ROUNDS=%zu\n", (unsigned long long)seed, rounds);
    fflush(stdout);
    if (wanted(argc, argv, "base64"))
        check_base64();
    if (wanted(argc, argv, "signatures"))
        check_signatures(rounds);
    if (wanted(argc, argv, "encryption"))
        check_encryption(rounds);
    printf("%zu checks passed\n", checks);
    return 0;
}
