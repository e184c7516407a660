/* SPDX-License-Identifier: Apache-2.0 */
/* util/json: canonical text to the byte, and what jansson is not to take. */
#include "unit.h"

#include "util/json.h"
#include "util/limits.h"

static void assert_canonical(const char *text, const char *expected)
{
    struct error err;
    json_t *value = json_load_span(span_text(text), "it", &err);
    if (!value)
        fail_msg("%s: %s", text, err.message);
    buffer *out = json_canonical(value);
    assert_non_null(out);
    assert_string_equal(out->data, expected);
    assert_true(out->secret);
    buffer_free(out);
    json_decref(value);
}

static void canonical_text_is_sorted_and_without_white_space(void **state)
{
    (void)state;
    assert_canonical(" { } ", "{}");
    assert_canonical("[ ]", "[]");
    assert_canonical("{\"b\": [3, true, false, null, {}], \"a\": {\"d\": 1, \"c\": \"x\"}}",
                     "{\"a\":{\"c\":\"x\",\"d\":1},\"b\":[3,true,false,null,{}]}");
    assert_canonical("{\"B\":1,\"a\":2,\"A\":3,\"aa\":4,\"\":5,\"_\":6,\"10\":7,\"9\":8}",
                     "{\"\":5,\"10\":7,\"9\":8,\"A\":3,\"B\":1,\"_\":6,\"a\":2,\"aa\":4}");
    assert_canonical("[-0, 0, -1, 9007199254740991, 123]", "[0,0,-1,9007199254740991,123]");
}

/* RFC 8785 section 3.2.2.2: the short escapes, \u00xx in lower case, and nothing else. */
static void canonical_strings_are_escaped_one_way(void **state)
{
    (void)state;
    assert_canonical("[\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\"]",
                     "[\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"]");
    assert_canonical("[\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\\u0080\"]",
                     "[\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\xc2\x80\"]");
    assert_canonical("[\"\\ud83d\\ude00\"]", "[\"\xf0\x9f\x98\x80\"]");
}

/* The example of RFC 8785 section 3.2.3: names are in the order of UTF-16. */
static void canonical_names_are_in_the_order_of_utf_16(void **state)
{
    (void)state;
    assert_canonical(
        "{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\",\"\\ufb33\":\"Hebrew Letter Dalet "
        "With Dagesh\","
        "\"1\":\"One\",\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\","
        "\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}",
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\","
        "\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\",\"\xe2\x82\xac\":\"Euro Sign\","
        "\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\",\"\xef\xac\xb3\":\"Hebrew Letter Dalet With "
        "Dagesh\"}");
}

static void a_number_with_a_fraction_has_no_canonical_text(void **state)
{
    (void)state;
    struct error err;
    static const char *const texts[] = {"[1.5]", "{\"a\":1e2}", "[[[0.0]]]"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        json_t *value = json_load_span(span_text(texts[i]), "it", &err);
        assert_non_null(value);
        assert_null(json_canonical(value));
        json_decref(value);
    }
}

static void refuses_what_json_load_must_not_take(void **state)
{
    (void)state;
    struct error err;
    static const char *const bad[] = {
        "",  "{",     "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "[\"\\u0000\"]", "{} {}",
        "1", "\"x\"", "[\"\xc0\x80\"]",    "[\"\\ud800\"]",           "{'a':1}",       "[1,]"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        json_t *value = json_load_span(span_text(bad[i]), "header", &err);
        if (value)
            fail_msg("'%s' was taken", bad[i]);
        assert_error(&err, RC_MALFORMED, "header: line 1: ");
    }
    assert_null(json_load_span(SPAN(NULL, 0), "header", &err));
    buffer *large = buffer_new(LIMIT_SMALL_JSON + 16);
    buffer_put_char(large, '"');
    memset(buffer_reserve(large, LIMIT_SMALL_JSON), 'x', LIMIT_SMALL_JSON);
    large->size += LIMIT_SMALL_JSON;
    assert_null(json_load_span(buffer_span(large), "header", &err));
    assert_error(&err, RC_MALFORMED, "header: 1048577 bytes, more than the 1048576 allowed");
    /* what jansson takes at all must not exhaust the stack of what walks through it */
    memset(large->data, '[', 100000);
    assert_null(json_load_span(SPAN(large->data, 100000), "header", &err));
    buffer_free(large);
}

/* jansson is the witness: what it takes is taken, for the same, and written as it writes it. */
static void reads_and_writes_what_jansson_does(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        " [ ] ",
        "[1, -1, 0, -0, 999999999999999999, -999999999999999999]",
        "[9223372036854775807, -9223372036854775808]",
        "[9223372036854775808]",
        "[1.5, 1e3, 2.0, -0.0, 1E-2]",
        "[01]",
        "[-]",
        "[1.]",
        "[true, false, null, [], {}, [[]], {\"a\": {\"b\": []}}]",
        "[tru]",
        "{\"b\": 1, \"a\": 2, \"\": 3, \"0\": 4}",
        "{\"a\": 1, \"a\": 1}",
        "{\"a\": 1, \"\\u0061\": 2}",
        "{\"a\\u0000b\": 1}",
        "[\"a\\u0000b\"]",
        "[\"\\u00e4\\u20ac\\ud83d\\ude00\\/\\\\\\\"\\b\\f\\n\\r\\t\\u0001\"]",
        "[\"\\ud800\"]",
        "[\"\\x\"]",
        "[\"\x01\"]",
        "[\"\x7f\xc3\xa4\xef\xbf\xbf\xf4\x8f\xbf\xbf\"]",
        "[\"\xc0\x80\"]",
        "[\"\xed\xa0\x80\"]",
        "[\"\xf4\x90\x80\x80\"]",
        "[\"0123456789abcdef\\\"0123456789abcdef\\\\0123456789abcdef0123456789\\n\"]",
        "[1] 2",
        "[1,]",
        "{\"a\"}",
        "\"a\"",
        "1",
        "",
        "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct error err;
        json_t *own = json_load_span(span_text(texts[i]), "it", &err);
        json_t *theirs = json_loads(texts[i], JSON_REJECT_DUPLICATES, NULL);
        if (!own != !theirs || (own && !json_equal(own, theirs)))
            fail_msg("not as jansson reads it: %s", texts[i]);
        buffer *written = own ? json_compact(own) : NULL;
        char *dumped = own ? json_dumps(theirs, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
        if (own)
            assert_string_equal(written->data, dumped);
        free(dumped);
        buffer_free(written);
        json_decref(own);
        json_decref(theirs);
    }
}

static void names_the_member_that_is_wrong(void **state)
{
    (void)state;
    struct error err;
    const char *text = NULL;
    json_t *object = json_load_span(span_text("{\"a\":\"x\",\"b\":1}"), "it", &err);
    assert_true(json_get_text(object, "header", "a", &text, &err));
    assert_string_equal(text, "x");
    assert_false(json_get_text(object, "header", "b", &text, &err));
    assert_error(&err, RC_MALFORMED, "header.b: not a string");
    assert_false(json_get_text(object, "", "c", &text, &err));
    assert_error(&err, RC_MALFORMED, "c: missing");
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_text_is_sorted_and_without_white_space),
        cmocka_unit_test(canonical_strings_are_escaped_one_way),
        cmocka_unit_test(canonical_names_are_in_the_order_of_utf_16),
        cmocka_unit_test(a_number_with_a_fraction_has_no_canonical_text),
        cmocka_unit_test(refuses_what_json_load_must_not_take),
        cmocka_unit_test(reads_and_writes_what_jansson_does),
        cmocka_unit_test(names_the_member_that_is_wrong),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
