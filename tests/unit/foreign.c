/* SPDX-License-Identifier: Apache-2.0 */
/* otrp/foreign: what forms become, that our own is left alone, and that nothing else changes. */
#include "unit.h"

#include "otrp/foreign.h"
#include "otrp/profile.h"
#include "otrp/ta_package.h"
#include "util/json.h"

#include <openssl/rsa.h>

struct notes {
    char text[512];
};

static void note(void *context, const struct foreign_row *form, const char *path)
{
    struct notes *notes = context;
    size_t used = strlen(notes->text);
    snprintf(notes->text + used, sizeof notes->text - used, "%s%s@%s", used ? " " : "", form->name,
             path);
}

static const struct member *content_of(enum message_id id)
{
    return message_type(id)->request_content;
}

/* What text becomes, in memory of the caller's; "" when there is nothing foreign in it. */
static void adapt(const char *text, const struct member *members, const char *profile, bool lenient,
                  char *ours, size_t size, struct notes *notes)
{
    struct error err = {.rc = RC_OK};
    struct span given = exactly(text, strlen(text));
    json_doc *doc = json_doc_parse(given, "it", &err);
    assert_non_null(doc);
    *notes = (struct notes){""};
    struct reading how = {
        .profile = profile_find(profile), .lenient = lenient, .note = note, .context = notes};
    buffer *out = NULL;
    assert_true(foreign_read(json_root(doc), members, "it", &how, &out, &err));
    snprintf(ours, size, "%s", out ? (const char *)out->data : "");
    buffer_free(out);
    json_doc_free(doc);
    release(given);
}

static void becomes(const char *text, const struct member *members, const char *expected,
                    const char *expected_notes)
{
    char ours[4096], again[4096];
    struct notes notes;
    adapt(text, members, NULL, true, ours, sizeof ours, &notes);
    assert_string_equal(ours, expected);
    assert_string_equal(notes.text, expected_notes);
    /* in our form, there is nothing foreign left; and strictly, there never is */
    if (*expected) {
        adapt(expected, members, NULL, true, again, sizeof again, &notes);
        assert_string_equal(again, "");
    }
    adapt(text, members, NULL, false, again, sizeof again, &notes);
    assert_string_equal(again, "");
    assert_string_equal(notes.text, "");
}

static void names_and_values(void **state)
{
    (void)state;
    const struct member *delete_sd = content_of(MESSAGE_DELETE_SD);
    becomes("{ \"tamid\" : \"a\\u0041\\n\", \"sdname\":\"s\", \"deleteta\":true}", delete_sd, "",
            "");
    becomes("{\"tsmid\":\"t\\u0022\",\"sdname\":\"s\",\"deleteta\":\" true\\t\"}", delete_sd,
            "{\"tamid\":\"t\\u0022\",\"sdname\":\"s\",\"deleteta\":true}",
            "tsmid@it.tsmid boolean-text@it.deleteta");
    /* the right name is there: the old one is a stranger */
    becomes("{\"tamid\":\"t\",\"tsmid\":\"u\"}", delete_sd, "", "");
    /* a stranger of any kind is passed on as it is */
    becomes("{\"deleteta\":\"0\",\"new\\u0022\":{\"deleteta\":\"1\"}}", delete_sd,
            "{\"deleteta\":false,\"new\\\"\":{\"deleteta\":\"1\"}}", "boolean-text@it.deleteta");
    becomes("{\"deleteta\":\"2\"}", delete_sd, "", "");
    becomes("{\"deleteta\":\"\"}", delete_sd, "", "");
    becomes("{\"deleteta\":[\"1\"]}", delete_sd, "", "");
}

static void bytes(void **state)
{
    (void)state;
    const struct member *create_sd = content_of(MESSAGE_CREATE_SD);
    /* the test vectors of RFC 4648 section 10, and bytes that tell the alphabets apart */
    becomes("{\"spcert\":\"Zm9vYg\"}", create_sd, "{\"spcert\":\"Zm9vYg==\"}",
            "base64url@it.spcert");
    becomes("{\"spcert\":\"-_-_\"}", create_sd, "{\"spcert\":\"+/+/\"}", "base64url@it.spcert");
    becomes("{\"spcert\":\"-_8=\"}", create_sd, "{\"spcert\":\"+/8=\"}", "base64url@it.spcert");
    becomes("{\"spcert\":\"Zm9v\\/+==\"}", create_sd, "", "");
    becomes("{\"spcert\":\"+-AA\"}", create_sd, "", "");
    becomes("{\"spcert\":\"A\"}", create_sd, "", "");
    becomes("{\"spcert\":\"===\"}", create_sd, "", "");
    becomes("{\"spcert\":7}", create_sd, "", "");
    becomes("{\"spcert\":\"000102030405060708090a0b0c0d0e0F\"}", create_sd,
            "{\"spcert\":\"AAECAwQFBgcICQoLDA0ODw==\"}", "hex@it.spcert");
    becomes("{\"spcert\":\"00010203\"}", create_sd, "", ""); /* as good as BASE64 */
    becomes("{\"did\":\"k-_kNbu51hJ7tREPFW9lY2S2u8Hwi_zCC5-VTVKB0Xs\"}", create_sd,
            "{\"did\":\"k+/kNbu51hJ7tREPFW9lY2S2u8Hwi/zCC5+VTVKB0Xs=\"}", "base64url@it.did");
    becomes("{\"did\":\"device-1\"}", create_sd, "", "");
    const struct member *update_sd = content_of(MESSAGE_UPDATE_SD);
    becomes("{\"changes\":{\"spcert\":\"-_-_\",\"deloldspcert\":[\"00ff\",\"AP8=\",\"AP_\"]}}",
            update_sd,
            "{\"changes\":{\"spcert\":[\"+/+/\"],\"deloldspcert\":[\"00ff\",\"00ff\",\"AP_\"]}}",
            "list-text@it.changes.spcert base64url@it.changes.spcert "
            "base64@it.changes.deloldspcert[1]");
}

static void answers(void **state)
{
    (void)state;
    const struct member *answer = message_type(MESSAGE_DELETE_SD)->response_content;
    becomes("{\"dsi\":\"{\\\"tee\\\":{\\\"cacert\\\":\\\"AAAA\\\"}}\"}", answer,
            "{\"dsi\":{\"tee\":{\"cacert\":[\"AAAA\"]}}}",
            "dsi-text@it.dsi list-text@it.dsi.tee.cacert");
    becomes("{\"dsi\":\"{\\\"dsi\\\":{}}\"}", answer, "{\"dsi\":{}}", "dsi-text@it.dsi");
    becomes("{\"dsi\":\"{\\\"a\\\":1,\\\"a\\\":2}\"}", answer, "", ""); /* duplicates */
    becomes("{\"dsi\":\"[]\"}", answer, "", "");
    becomes("{\"dsi\":\"\"}", answer, "", "");
    becomes("{\"reason\":\"no \\\"room\\\"\"}", answer,
            "{\"reason\":{\"error-code\":\"no \\\"room\\\"\"}}", "reason-text@it.reason");
}

/* What only a profile takes, lenient reading does not. */
static void profiles_differ(void **state)
{
    (void)state;
    char ours[512];
    struct notes notes;
    const char *text = "{\"did\":\"<id>\",\"dsi\":{\"tfwdata\":{\"sig\":\"<sig>\"},\"tee\":{"
                       "\"teeaiklist\":[{},{\"spid\":\"s\"}]}}}";
    const struct member *answer = message_type(MESSAGE_DELETE_SD)->response_content;
    adapt(text, answer, NULL, true, ours, sizeof ours, &notes);
    assert_string_equal(ours, "");
    adapt(text, answer, "aist", true, ours, sizeof ours, &notes);
    assert_string_equal(ours, "");
    adapt(text, answer, "thaler", false, ours, sizeof ours, &notes);
    assert_string_equal(ours, "{\"dsi\":{\"tee\":{\"teeaiklist\":[{\"spid\":\"s\"}]}}}");
    assert_string_equal(notes.text, "placeholder@it.did placeholder@it.dsi.tfwdata "
                                    "placeholder@it.dsi.tee.teeaiklist[0]");
    /* a profile takes its own forms alone */
    text = "{\"tsmid\":\"t\",\"deleteta\":\"1\"}";
    adapt(text, content_of(MESSAGE_DELETE_SD), "thaler", false, ours, sizeof ours, &notes);
    assert_string_equal(ours, "{\"tsmid\":\"t\",\"deleteta\":true}");
    adapt(text, content_of(MESSAGE_DELETE_SD), "aist", false, ours, sizeof ours, &notes);
    assert_string_equal(ours, "");
}

/* What encrypted_ta, in that text, opens to: TA_PACKAGE, other bytes, or nothing. */
enum opened { TA_PACKAGE, TA_OTHER, TA_NOTHING };
static enum opened open_ta(const char *text, key *aik, const struct reading *how)
{
    struct error err = {.rc = RC_OK};
    struct span given = exactly(text, strlen(text));
    json_doc *doc = json_doc_parse(given, "it", &err);
    assert_non_null(doc);
    buffer *ours = NULL, *found = NULL, *pdata = NULL;
    bool unsupported;
    const struct member *members = member_find(message_type(MESSAGE_INSTALL_TA)->request_tbs,
                                               span_text("encrypted_ta"))
                                       ->members;
    assert_true(foreign_read(json_root(doc), members, "encrypted_ta", how, &ours, &err));
    json_doc *adapted = ours ? json_doc_parse(buffer_span(ours), "it", &err) : NULL;
    enum opened opened = TA_NOTHING;
    if (encrypted_ta_read(json_root(adapted ? adapted : doc), MESSAGE_INSTALL_TA, aik, how, &found,
                          &pdata, &unsupported, &err))
        opened = span_is(buffer_span(found), "package") ? TA_PACKAGE : TA_OTHER;
    else
        assert_error(&err, RC_DECRYPT, "encrypted_ta: ");
    json_doc_free(adapted);
    json_doc_free(doc);
    buffer_free(ours);
    buffer_free(found);
    buffer_free(pdata);
    release(given);
    return opened;
}

/* The ways in which a TA may come, each opened only by a reading that takes it. */
static void trusted_applications(void **state)
{
    (void)state;
    struct error err = {.rc = RC_OK};
    key *aik = key_from_pkey(EVP_RSA_gen(2048), true, "AIK", &err);
    assert_non_null(aik);
    buffer *package = buffer_copy(span_text("package"));
    const struct reading lenient = {.lenient = true}, aist = {.profile = profile_find("aist")},
                         thaler = {.profile = profile_find("thaler")};

    buffer *ours = encrypted_ta_make(MESSAGE_INSTALL_TA, aik, package, NULL, &err);
    assert_non_null(ours);
    assert_int_equal(open_ta((const char *)ours->data, aik, NULL), TA_PACKAGE);
    assert_int_equal(open_ta((const char *)ours->data, aik, &lenient), TA_PACKAGE);

    /* of the same, the wrapped key alone, as OpenSSL wraps it, and that with a bit changed */
    json_t *bare = json_load_span(buffer_span(ours), "it", &err);
    buffer *key_jwe = json_compact(json_object_get(bare, "key"));
    jwe *message = jwe_parse(buffer_span(key_jwe), "it", &err);
    buffer *ta_key = jwe_decrypt(message, &aik, 1, NULL, &err);
    assert_int_equal(ta_key->size, 32);
    buffer *wrapped = buffer_new(256);
    wrapped->size = 256;
    EVP_PKEY_CTX *rsa = EVP_PKEY_CTX_new(aik->pkey, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(rsa), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_PKCS1_PADDING), 1);
    assert_int_equal(
        EVP_PKEY_encrypt(rsa, wrapped->data, &wrapped->size, ta_key->data, ta_key->size), 1);
    EVP_PKEY_CTX_free(rsa);
    jwe_free(message);
    buffer_free(key_jwe);
    buffer_free(ta_key);
    json_object_set_new(bare, "key", json_base64(buffer_span(wrapped)));
    buffer *text = json_compact(bare);
    assert_int_equal(open_ta((const char *)text->data, aik, &lenient), TA_PACKAGE);
    /* AESCBC has no tag: of the random keys that stand for one that does not unwrap, one in 256
     * leaves a padding that looks right */
    unsigned refused = 0;
    for (unsigned bit = 0; bit < 8; bit++) {
        wrapped->data[100] ^= (uint8_t)(1U << bit);
        json_object_set_new(bare, "key", json_base64(buffer_span(wrapped)));
        buffer_free(text);
        text = json_compact(bare);
        enum opened opened = open_ta((const char *)text->data, aik, &lenient);
        assert_int_not_equal(opened, TA_PACKAGE);
        refused += opened == TA_NOTHING;
    }
    assert_in_range(refused, 4, 8);
    json_decref(bare);
    buffer_free(text);

    /* a JWE of the package */
    buffer *sealed = profile_encrypt(aist.profile, &(struct jwe_how){.keys = &aik, .count = 1},
                                     buffer_span(package), NULL, &err);
    assert_non_null(sealed);
    assert_int_equal(open_ta((const char *)sealed->data, aik, &aist), TA_PACKAGE);
    assert_int_equal(open_ta((const char *)sealed->data, aik, &lenient), TA_NOTHING);
    assert_int_equal(open_ta((const char *)sealed->data, aik, NULL), TA_NOTHING);

    /* nothing at all */
    static const char *const nothing[] = {"{}", "{\"key\":\"AAAA\"}", "{\"ciphertext\":\"\"}",
                                          "{\"alg\":\"AESCBC\",\"key\":{},\"iv\":\"00\"}"};
    const struct reading *const readings[] = {NULL, &lenient, &aist, &thaler};
    for (size_t i = 0; i < COUNT(nothing); i++)
        for (size_t k = 0; k < COUNT(readings); k++)
            assert_int_equal(open_ta(nothing[i], aik, readings[k]), TA_NOTHING);
    buffer_free(wrapped);
    buffer_free(sealed);
    buffer_free(ours);
    buffer_free(package);
    key_free(aik);
}

/* A long path is cut, not overrun; a large value costs a copy. */
static void long_ones(void **state)
{
    (void)state;
    char text[2048], ours[4096];
    struct notes notes;
    snprintf(text, sizeof text, "{\"%0500d\":1,\"deleteta\":\"1\"}", 7);
    adapt(text, content_of(MESSAGE_DELETE_SD), NULL, true, ours, sizeof ours, &notes);
    assert_int_equal(strlen(ours), strlen(text) + 1);
    assert_string_equal(notes.text, "boolean-text@it.deleteta");

    size_t size = 1 << 20;
    buffer *large = buffer_new(size + 64);
    assert_non_null(large);
    buffer_put_text(large, "{\"spcert\":\"");
    for (size_t i = 0; i < size; i++)
        buffer_put_char(large, i % 64 ? 'A' : '-');
    buffer_put_text(large, "\"}");
    struct error err = {.rc = RC_OK};
    json_doc *doc = json_doc_parse(buffer_span(large), "it", &err);
    buffer *out = NULL;
    struct reading how = {.lenient = true};
    assert_true(
        foreign_read(json_root(doc), content_of(MESSAGE_CREATE_SD), "it", &how, &out, &err));
    assert_int_equal(out->size, large->size);
    assert_int_equal(out->data[11], '+');
    assert_null(memchr(out->data, '-', out->size));
    buffer_free(out);
    buffer_free(large);
    json_doc_free(doc);
}

static void every_row_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < FOREIGN_COUNT; i++) {
        assert_true(foreign_forms[i].name && *foreign_forms[i].title && *foreign_forms[i].section);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(foreign_forms[i].name, foreign_forms[k].name);
    }
    for (size_t i = 0; i < profile_count; i++) {
        assert_ptr_equal(profile_find(profiles[i].name), &profiles[i]);
        assert_string_equal(profile_names[i], profiles[i].name);
    }
    assert_null(profile_names[profile_count]);
    assert_null(profile_find("aist2"));
    assert_ptr_equal(profile_find(NULL), &profiles[0]);
    assert_false(foreign_accepts(NULL, FOREIGN_TSMID));
    assert_false(foreign_accepts(&(struct reading){.profile = NULL}, FOREIGN_TSMID));
    assert_true(foreign_accepts(&(struct reading){.lenient = true}, FOREIGN_TA_LIST));
    assert_false(foreign_accepts(&(struct reading){.lenient = true}, FOREIGN_PLACEHOLDER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values),
        cmocka_unit_test(bytes),
        cmocka_unit_test(answers),
        cmocka_unit_test(profiles_differ),
        cmocka_unit_test(trusted_applications),
        cmocka_unit_test(long_ones),
        cmocka_unit_test(every_row_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
