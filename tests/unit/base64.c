/* SPDX-License-Identifier: Apache-2.0 */
/* util/base64: the vectors of RFC 4648 and RFC 7515, and each way to be refused. */
#include "unit.h"

#include "util/base64.h"

struct vector {
    const char *bytes;
    size_t size;
    const char *standard, *url;
};

static const struct vector vectors[] = {
    /* RFC 4648 section 10 */
    {"", 0, "", ""},
    {"f", 1, "Zg==", "Zg"},
    {"fo", 2, "Zm8=", "Zm8"},
    {"foo", 3, "Zm9v", "Zm9v"},
    {"foob", 4, "Zm9vYg==", "Zm9vYg"},
    {"fooba", 5, "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", 6, "Zm9vYmFy", "Zm9vYmFy"},
    /* RFC 7515 appendix C */
    {"\x03\xec\xff\xe0\xc1", 5, "A+z/4ME=", "A-z_4ME"},
    {"\xff\xff\xff", 3, "////", "____"},
    {"\xfb\xef\xbe", 3, "++++", "----"},
    {"\0\0\0\0", 4, "AAAAAA==", "AAAAAA"},
};

static void encodes_and_decodes_the_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct error err;
        buffer *standard = buffer_new(0), *url = buffer_new(0);
        buffer_put_base64(standard, SPAN(v->bytes, v->size));
        buffer_put_base64url(url, SPAN(v->bytes, v->size));
        assert_string_equal(standard->data, v->standard);
        assert_string_equal(url->data, v->url);
        struct span text = exactly(v->standard, strlen(v->standard));
        buffer *back = base64_decode(text, "it", &err);
        assert_non_null(back);
        assert_int_equal(back->size, v->size);
        assert_memory_equal(back->data, v->bytes, v->size);
        assert_true(back->secret);
        buffer_free(back);
        release(text);
        text = exactly(v->url, strlen(v->url));
        back = base64url_decode(text, "it", &err);
        assert_non_null(back);
        assert_int_equal(back->size, v->size);
        assert_memory_equal(back->data, v->bytes, v->size);
        buffer_free(back);
        release(text);
        buffer_free(standard);
        buffer_free(url);
    }
}

static void comes_back_at_every_size(void **state)
{
    (void)state;
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + (i >> 8));
    for (size_t size = 0; size <= sizeof bytes; size++) {
        struct error err;
        buffer *text = buffer_new(0);
        buffer_put_base64url(text, SPAN(bytes, size));
        assert_int_equal(text->size, (size * 4 + 2) / 3);
        buffer *back = base64url_decode(buffer_span(text), "it", &err);
        assert_true(span_equal(buffer_span(back), SPAN(bytes, size)));
        buffer_free(back);
        /* in place, as the messages are decoded */
        assert_int_equal(base64url_decode_to(text->data, buffer_span(text), "it", &err), size);
        assert_memory_equal(text->data, bytes, size);
        text->size = 0;
        buffer_put_base64(text, SPAN(bytes, size));
        assert_int_equal(text->size, (size + 2) / 3 * 4);
        back = base64_decode(buffer_span(text), "it", &err);
        assert_true(span_equal(buffer_span(back), SPAN(bytes, size)));
        buffer_free(back);
        buffer_free(text);
    }
}

#define REFUSED(decode, literal, why)                                                              \
    do {                                                                                           \
        struct error err = {.rc = RC_OK};                                                          \
        struct span text = exactly(literal, sizeof(literal) - 1);                                  \
        buffer *made = decode(text, "payload", &err);                                              \
        if (made)                                                                                  \
            fail_msg("'%s' was taken", literal);                                                   \
        assert_error(&err, RC_MALFORMED, "payload: ");                                             \
        assert_error(&err, RC_MALFORMED, why);                                                     \
        assert_true(err.rule[0] != '\0');                                                          \
        release(text);                                                                             \
    } while (0)

static void refuses_what_is_not_base64url(void **state)
{
    (void)state;
    REFUSED(base64url_decode, "Zg==", "padding at offset 2");
    REFUSED(base64url_decode, "Zm8=", "padding at offset 3");
    REFUSED(base64url_decode, "=", "padding at offset 0");
    REFUSED(base64url_decode, "Zm9v\n", "byte 0x0a at offset 4");
    REFUSED(base64url_decode, " Zm9v", "byte 0x20 at offset 0");
    REFUSED(base64url_decode, "Zm 9v", "byte 0x20 at offset 2");
    REFUSED(base64url_decode, "A+z_4ME", "byte 0x2b at offset 1");
    REFUSED(base64url_decode, "A-z/4ME", "byte 0x2f at offset 3");
    REFUSED(base64url_decode, "Zm9\0", "byte 0x00 at offset 3");
    REFUSED(base64url_decode, "Zm9\xc3\xa9", "byte 0xc3 at offset 3");
    REFUSED(base64url_decode, "Zm9.", "byte 0x2e at offset 3");
    REFUSED(base64url_decode, "Z", "1 characters are no whole base64url text");
    REFUSED(base64url_decode, "Zm9vY", "5 characters are no whole base64url text");
    REFUSED(base64url_decode, "Zh", "non-zero bits after the end");
    REFUSED(base64url_decode, "Zn", "non-zero bits after the end");
    REFUSED(base64url_decode, "Zm9", "non-zero bits after the end");
    REFUSED(base64url_decode, "Zm9vZm9", "non-zero bits after the end");
}

static void refuses_what_is_not_base64(void **state)
{
    (void)state;
    REFUSED(base64_decode, "Zg", "2 characters are no padded BASE64");
    REFUSED(base64_decode, "Zm8", "3 characters are no padded BASE64");
    REFUSED(base64_decode, "Zg=", "3 characters are no padded BASE64");
    REFUSED(base64_decode, "Zg===", "5 characters are no padded BASE64");
    REFUSED(base64_decode, "Z===", "padding at offset 1");
    REFUSED(base64_decode, "====", "padding at offset 0");
    REFUSED(base64_decode, "Zm9v====", "padding at offset 4");
    REFUSED(base64_decode, "Zg==Zg==", "padding at offset 2");
    REFUSED(base64_decode, "Zm9v\n", "5 characters are no padded BASE64");
    REFUSED(base64_decode, "Zm9\n", "byte 0x0a at offset 3");
    REFUSED(base64_decode, "A-z/4ME=", "byte 0x2d at offset 1");
    REFUSED(base64_decode, "A+z_4ME=", "byte 0x5f at offset 3");
    REFUSED(base64_decode, "Zh==", "non-zero bits after the end");
    REFUSED(base64_decode, "Zm9=", "non-zero bits after the end");
    REFUSED(base64_decode, "Zm9\xff", "byte 0xff at offset 3");
}

/* Every byte that is no digit is refused at every place of a group, and every digit is taken. */
static void knows_all_256_bytes(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        for (size_t place = 0; place < 4; place++) {
            char text[5] = "AAAA";
            text[place] = (char)c;
            struct error err;
            buffer *url = base64url_decode(SPAN(text, 4), "it", &err);
            assert_int_equal(url != NULL, plain || c == '-' || c == '_');
            buffer_free(url);
            buffer *standard = base64_decode(SPAN(text, 4), "it", &err);
            assert_int_equal(standard != NULL,
                             plain || c == '+' || c == '/' || (c == '=' && place == 3));
            buffer_free(standard);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_and_decodes_the_vectors),
        cmocka_unit_test(comes_back_at_every_size),
        cmocka_unit_test(refuses_what_is_not_base64url),
        cmocka_unit_test(refuses_what_is_not_base64),
        cmocka_unit_test(knows_all_256_bytes),
    };
    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
