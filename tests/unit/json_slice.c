/* SPDX-License-Identifier: Apache-2.0 */
/* util/json_slice: what is JSON and what is not, and where its parts are. */
#include "unit.h"

#include "util/json_slice.h"
#include "util/limits.h"

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

struct text {
    const char *text;
    size_t size;
};

static void assert_valid(const char *text, size_t size)
{
    struct error err = {.rc = RC_OK};
    struct span s = exactly(text, size);
    json_doc *doc = json_doc_parse(s, "it", &err);
    if (!doc)
        fail_msg("'%.*s': %s", (int)size, text, err.message);
    json_doc_free(doc);
    release(s);
}

static void assert_refused(const char *text, size_t size, const char *why)
{
    struct error err = {.rc = RC_OK};
    struct span s = exactly(text, size);
    json_doc *doc = json_doc_parse(s, "it", &err);
    if (doc)
        fail_msg("'%.*s' was taken", (int)size, text);
    assert_error(&err, RC_MALFORMED, "it: ");
    assert_error(&err, RC_MALFORMED, why);
    release(s);
}

#define VALID(literal)        assert_valid(literal, sizeof(literal) - 1)
#define REFUSED(literal, why) assert_refused(literal, sizeof(literal) - 1, why)

static void takes_what_is_json(void **state)
{
    (void)state;
    VALID("{}");
    VALID("[]");
    VALID("\"\"");
    VALID(" \t\r\n{ \"a\" : [ 1 , true , false , null , \"x\" , { } , [ ] ] } \n");
    VALID("null");
    VALID("{\"\":1}");
    VALID("\"\x7f\"");
    VALID("[\"\\u0000\"]");
    static const char *const numbers[] = {
        "0",   "-0",   "1",    "10",  "1.5",      "0.0",
        "1e5", "1E+5", "1e-5", "0e0", "-1.25E10", "123456789012345678901234567890"};
    for (size_t i = 0; i < COUNT(numbers); i++)
        assert_valid(numbers[i], strlen(numbers[i]));
}

static void refuses_what_is_not(void **state)
{
    (void)state;
    REFUSED("", "empty");
    REFUSED(" ", "too early");
    REFUSED("{}{}", "something follows the JSON value at offset 2");
    REFUSED("1 2", "something follows");
    REFUSED("[1,]", "not a JSON value at offset 3");
    REFUSED("[,1]", "not a JSON value");
    REFUSED("[1 2]", "',' or ']' was expected at offset 3");
    REFUSED("[1}", "',' or ']' was expected");
    REFUSED("{\"a\":1]", "',' or '}' was expected");
    REFUSED("{\"a\":1,}", "a member name was expected");
    REFUSED("{,}", "a member name was expected");
    REFUSED("{a:1}", "a member name was expected");
    REFUSED("{'a':1}", "a member name was expected");
    REFUSED("{1:1}", "a member name was expected");
    REFUSED("{\"a\"}", "a ':' was expected");
    REFUSED("{\"a\" 1}", "a ':' was expected");
    REFUSED("{\"a\":}", "not a JSON value");
    REFUSED("]", "not a JSON value");
    REFUSED("tru", "not a JSON value");
    REFUSED("True", "not a JSON value");
    REFUSED("nul", "not a JSON value");
    REFUSED("truefalse", "something follows");
    REFUSED("NaN", "not a JSON value");
    REFUSED("Infinity", "not a JSON value");
    REFUSED("// c\n{}", "not a JSON value");
    REFUSED("{} /* c */", "something follows");
    REFUSED("\xef\xbb\xbf{}", "not a JSON value");
    REFUSED("\x0b{}", "not a JSON value");
    REFUSED("\xc2\xa0{}", "not a JSON value");
    REFUSED("{}\0", "something follows");
    static const char *const numbers[] = {"01",  "-",   "1.", "-01",   "1.e1", "1e",
                                          "1e+", "--1", "-a", "1.5.5", "0x1",  "1_0"};
    for (size_t i = 0; i < COUNT(numbers); i++)
        assert_refused(numbers[i], strlen(numbers[i]), "offset");
    REFUSED(".5", "not a JSON value");
    REFUSED("+1", "not a JSON value");
}

static void refuses_every_truncation(void **state)
{
    (void)state;
    static const char whole[] =
        " {\"a\":[1,-2.5e+3,true,false,null,\"x\\n\\ud83d\\ude00\xc3\xa9\"],\"b\\u0063\":{\"\":{}},"
        "\"long\":\"abcdefghijklmnopqrstuvwxyz0123456789\"}";
    VALID(whole);
    for (size_t size = 0; size < sizeof whole - 1; size++)
        assert_refused(whole, size, "");
}

static void refuses_members_that_stand_twice(void **state)
{
    (void)state;
    static const char twice[] = "stands twice in one object";
    REFUSED("{\"a\":1,\"a\":1}", twice);
    REFUSED("{\"a\":1,\"b\":2,\"a\":3}", "member \"a\" stands twice");
    REFUSED("{\"a\":1,\"\\u0061\":2}", twice);
    REFUSED("{\"\\u0061\":1,\"\\u0061\":2}", twice);
    REFUSED("{\"\\/\":1,\"/\":2}", twice);
    REFUSED("{\"\xc3\xa9\":1,\"\\u00e9\":2}", twice);
    REFUSED("{\"\xf0\x9f\x98\x80\":1,\"\\uD83D\\uDE00\":2}", twice);
    REFUSED("{\"\":1,\"\":2}", twice);
    REFUSED("{\"a\\u0000b\":1,\"a\\u0000b\":2}", twice);
    REFUSED("[{\"x\":{\"a\":1,\"a\":2}}]", twice);
    VALID("{\"a\":{\"a\":{\"a\":1}}}");
    VALID("[{\"a\":1},{\"a\":1}]");
    VALID("{\"a\":1,\"A\":2,\"aa\":3,\"\":4}");
    VALID("{\"a\\u0000b\":1,\"a\\u0000c\":2,\"a\":3}");
    VALID("{\"\xc3\xa9\":1,\"e\xcc\x81\":2}"); /* the same to the eye, not to RFC 8259 */

    buffer *many = buffer_new(0);
    buffer_put_char(many, '{');
    for (int i = 0; i < 40; i++)
        buffer_put_format(many, "%s\"m%d\":%d", i ? "," : "", i, i);
    size_t unique = many->size;
    buffer_put_char(many, '}');
    assert_valid((const char *)many->data, many->size);
    many->size = unique;
    buffer_put_text(many, ",\"m\\u0030\":0}");
    assert_refused((const char *)many->data, many->size, "member \"m0\" stands twice");
    buffer_free(many);
}

/* depth times open, then inner, then depth times close. */
static buffer *nested(size_t depth, const char *open, const char *inner, const char *close)
{
    buffer *text = buffer_new(0);
    for (size_t i = 0; i < depth; i++)
        buffer_put_text(text, open);
    buffer_put_text(text, inner);
    for (size_t i = 0; i < depth; i++)
        buffer_put_text(text, close);
    return text;
}

static void bounds_the_depth(void **state)
{
    (void)state;
    static const struct {
        const char *open, *inner, *close;
    } forms[] = {{"[", "", "]"},
                 {"[", "1", "]"},
                 {"{\"a\":", "{}", "}"},
                 {"{\"a\":", "[]", "}"},
                 {" [ ", "null", " ] "}};
    for (size_t i = 0; i < COUNT(forms); i++) {
        bool container = forms[i].inner[0] == '{' || forms[i].inner[0] == '[';
        size_t most = (size_t)LIMIT_JSON_DEPTH - container;
        buffer *text = nested(most, forms[i].open, forms[i].inner, forms[i].close);
        assert_valid((const char *)text->data, text->size);
        buffer_free(text);
        text = nested(most + 1, forms[i].open, forms[i].inner, forms[i].close);
        assert_refused((const char *)text->data, text->size, "nested deeper than allowed");
        buffer_free(text);
    }
    buffer *text = nested(1000000, "[", "", "");
    assert_refused((const char *)text->data, text->size, "nested deeper than allowed");
    buffer_free(text);
}

static void bounds_the_number_of_values(void **state)
{
    (void)state;
    buffer *text = buffer_new(0);
    buffer_put_text(text, "[0");
    for (size_t i = 2; i < LIMIT_JSON_VALUES; i++)
        buffer_put_text(text, ",0");
    size_t fits = text->size;
    buffer_put_char(text, ']');
    assert_valid((const char *)text->data, text->size);
    text->size = fits;
    buffer_put_text(text, ",0]");
    assert_refused((const char *)text->data, text->size, "more values than allowed");
    buffer_free(text);
}

static void refuses_what_is_not_utf_8(void **state)
{
    (void)state;
    static const struct text bad[] = {TEXT("\x80"),
                                      TEXT("\xbf"),
                                      TEXT("\xc0\x80"),
                                      TEXT("\xc1\xbf"),
                                      TEXT("\xc2"),
                                      TEXT("\xc2\x41"),
                                      TEXT("\xe0\x80\x80"),
                                      TEXT("\xe0\x9f\xbf"),
                                      TEXT("\xe2\x82"),
                                      TEXT("\xed\xa0\x80"),
                                      TEXT("\xed\xbf\xbf"),
                                      TEXT("\xf0\x80\x80\x80"),
                                      TEXT("\xf0\x8f\xbf\xbf"),
                                      TEXT("\xf0\x9f\x98"),
                                      TEXT("\xf4\x90\x80\x80"),
                                      TEXT("\xf5\x80\x80\x80"),
                                      TEXT("\xfe"),
                                      TEXT("\xff"),
                                      TEXT("\xe9")};
    static const struct text good[] = {TEXT("\xc2\x80"),         TEXT("\xdf\xbf"),
                                       TEXT("\xe0\xa0\x80"),     TEXT("\xed\x9f\xbf"),
                                       TEXT("\xee\x80\x80"),     TEXT("\xef\xbf\xbf"),
                                       TEXT("\xf0\x90\x80\x80"), TEXT("\xf4\x8f\xbf\xbf")};
    static const char *const forms[] = {"\"%s\"", "[\"12345%s67890\"]", "{\"\\n%s\":1}",
                                        "{\"%s\":1}", "\"a very plain beginning \\t %s\""};
    char text[80];
    for (size_t f = 0; f < COUNT(forms); f++) {
        for (size_t i = 0; i < COUNT(bad); i++)
            assert_refused(text, (size_t)snprintf(text, sizeof text, forms[f], bad[i].text),
                           "a byte that is not UTF-8");
        for (size_t i = 0; i < COUNT(good); i++)
            assert_valid(text, (size_t)snprintf(text, sizeof text, forms[f], good[i].text));
    }
    REFUSED("[\xc3\xa9]", "not a JSON value");
}

/* The scan goes by eight bytes: a special byte is seen at each place of them. */
static void sees_special_bytes_at_every_place(void **state)
{
    (void)state;
    for (size_t before = 0; before < 24; before++) {
        char text[64];
        for (int control = 0; control < 0x20; control++) {
            memset(text, 'x', sizeof text);
            text[0] = '"';
            text[1 + before] = (char)control;
            text[40] = '"';
            assert_refused(text, 41, "a control character in a string");
            text[1] = '\\', text[2] = 'n'; /* with an escape, another loop reads it */
            if (before >= 2)
                assert_refused(text, 41, "a control character in a string");
        }
        memset(text, 'x', sizeof text);
        text[0] = '"';
        text[1 + before] = '"';
        assert_valid(text, before + 2);
        assert_refused(text, before + 3, "something follows");
        text[1 + before] = '\\';
        assert_refused(text, 41, "bad escape");
        text[1 + before] = (char)0xff;
        assert_refused(text, 41, "not UTF-8");
        text[1 + before] = 0x7f;
        text[40] = '"';
        assert_valid(text, 41);
    }
}

static void refuses_bad_escapes(void **state)
{
    (void)state;
    static const char *const bad[] = {"\\a",     "\\x41",   "\\'",     "\\0",
                                      "\\u",     "\\u1",    "\\u12",   "\\u123",
                                      "\\u123g", "\\u 123", "\\u+123", "\\U0041"};
    char text[64];
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(text, (size_t)snprintf(text, sizeof text, "\"%s\"", bad[i]),
                       "bad escape in a string");
    static const char *const half[] = {"\\ud800",         "\\udbff",        "\\udc00",
                                       "\\udfff",         "\\ud800x",       "\\ud800\\u0041",
                                       "\\ud800\\n",      "\\ud800\\ud800", "\\udc00\\ud800",
                                       "\\uD83D \\uDE00", "\\ud800\\udbff", "\\ud800\\u"};
    for (size_t i = 0; i < COUNT(half); i++) {
        assert_refused(text, (size_t)snprintf(text, sizeof text, "\"%s\"", half[i]),
                       "half a surrogate pair");
        assert_refused(text, (size_t)snprintf(text, sizeof text, "{\"%s\":1}", half[i]),
                       "half a surrogate pair");
    }
    REFUSED("\"\\", "text ends inside a string");
    REFUSED("\"\\\"", "text ends inside a string");
}

static void resolves_escapes(void **state)
{
    (void)state;
    struct error err;
    static const char text[] =
        "{\"\\u006e\":\"\\\"\\\\\\/"
        "\\b\\f\\n\\r\\t\",\"two\":\"a\\u0041b\\u00e9c\\u20acd\\ud83d\\ude00e\","
        "\"nul\":\"\\u0000x\",\"most\":\"\\udbff\\udfff\\uffff\\u07ff\\u0800\"}";
    json_doc *doc = json_doc_parse(SPAN(text, sizeof text - 1), "it", &err);
    assert_non_null(doc);
    const struct json_value *root = json_root(doc);
    assert_span(root->first->name, "n");
    assert_span(json_member(root, "n")->string, "\"\\/\b\f\n\r\t");
    assert_span(json_member(root, "n")->text, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"");
    assert_span(json_member(root, "two")->string, "aAb\xc3\xa9"
                                                  "c\xe2\x82\xac"
                                                  "d\xf0\x9f\x98\x80"
                                                  "e");
    assert_span(json_member(root, "nul")->string, "\0x");
    assert_span(json_member(root, "most")->string,
                "\xf4\x8f\xbf\xbf\xef\xbf\xbf\xdf\xbf\xe0\xa0\x80");
    json_doc_free(doc);
}

static void shows_the_parts_where_they_are(void **state)
{
    (void)state;
    struct error err;
    static const char text[] =
        " { \"a\" : [ 1 , \"two\" , [ ] ] , \"b\" : { \"c\" : null } , \"d\":-1.5e3 } ";
    json_doc *doc = json_doc_parse(SPAN(text, sizeof text - 1), "it", &err);
    assert_non_null(doc);
    const struct json_value *root = json_root(doc);
    assert_int_equal(root->kind, JSON_KIND_OBJECT);
    assert_int_equal(root->count, 3);
    assert_null(root->next);
    assert_span(root->text,
                "{ \"a\" : [ 1 , \"two\" , [ ] ] , \"b\" : { \"c\" : null } , \"d\":-1.5e3 }");
    const struct json_value *a = json_member(root, "a");
    assert_int_equal(a->kind, JSON_KIND_ARRAY);
    assert_int_equal(a->count, 3);
    assert_span(a->text, "[ 1 , \"two\" , [ ] ]");
    assert_int_equal(a->first->kind, JSON_KIND_NUMBER);
    assert_span(a->first->text, "1");
    const struct json_value *two = a->first->next;
    assert_int_equal(two->kind, JSON_KIND_STRING);
    assert_span(two->string, "two");
    assert_ptr_equal(two->string.data, strstr(text, "two")); /* a slice, not a copy */
    assert_int_equal(two->next->kind, JSON_KIND_ARRAY);
    assert_int_equal(two->next->count, 0);
    assert_span(two->next->text, "[ ]");
    assert_null(two->next->next);
    assert_int_equal(json_member(json_member(root, "b"), "c")->kind, JSON_KIND_NULL);
    assert_span(json_member(root, "d")->text, "-1.5e3");
    assert_null(json_member(root, "e"));
    assert_null(json_member(a, "a"));
    assert_null(json_member(NULL, "a"));
    json_t *loaded = json_load_value(json_member(root, "b"), "it.b", &err);
    assert_true(json_is_null(json_object_get(loaded, "c")));
    json_decref(loaded);
    json_doc_free(doc);
    assert_string_equal(json_kind_name(JSON_KIND_OBJECT), "an object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_json),
        cmocka_unit_test(refuses_what_is_not),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(refuses_members_that_stand_twice),
        cmocka_unit_test(bounds_the_depth),
        cmocka_unit_test(bounds_the_number_of_values),
        cmocka_unit_test(refuses_what_is_not_utf_8),
        cmocka_unit_test(sees_special_bytes_at_every_place),
        cmocka_unit_test(refuses_bad_escapes),
        cmocka_unit_test(resolves_escapes),
        cmocka_unit_test(shows_the_parts_where_they_are),
    };
    return cmocka_run_group_tests_name("json_slice", tests, NULL, NULL);
}
