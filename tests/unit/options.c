/* SPDX-License-Identifier: Apache-2.0 */
/* util/options: how a command line is read, and what a table says of itself. */
#include "unit.h"

#include "util/options.h"

struct thing {
    bool force, dry_run;
    const char *key, *form, *message, *second;
    struct text_list header;
    long jobs;
};

static const char *const forms[] = {"compact", "flattened", "general", NULL};

static const struct option_row rows[] = {
    OPT_TEXT(thing, key, 'k', "KEY", OPT_REQUIRED, "private key"),
    OPT_FLAG(thing, force, 'f', 0, "overwrite"),
    OPT_FLAG(thing, dry_run, 'n', 0, "make nothing"),
    OPT_CHOICE(thing, form, 0, "FORM", forms, 0, "form"),
    OPT_LIST(thing, header, 'H', "TEXT", 0, "header"),
    OPT_NUMBER(thing, jobs, 'j', "N", 1, 64, "jobs"),
    OPERAND(thing, message, "MESSAGE", 0, "message"),
    OPERAND(thing, second, "SECOND", 0, "second"),
    OPT_END};

static struct thing got;
static struct error err;
static bool help;

/* Parses the words, NULL-terminated, into got. */
static bool parse(const char *const *words)
{
    struct option_set set = {rows, &got};
    options_free(&set, 1);
    got = (struct thing){.key = NULL};
    err = (struct error){.rc = RC_OK};
    int argc = 0;
    while (words[argc])
        argc++;
    return options_parse(&set, 1, argc, (char **)(uintptr_t)words, &help, &err);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

#define REFUSED(message_, hint_, ...)                                                              \
    do {                                                                                           \
        assert_false(PARSE(__VA_ARGS__));                                                          \
        assert_int_equal(err.rc, RC_USAGE);                                                        \
        assert_string_equal(err.message, message_);                                                \
        assert_string_equal(err.hint, hint_);                                                      \
    } while (0)

static int forget(void **state)
{
    (void)state;
    return PARSE("--key", "k") ? 0 : -1;
}

static void takes_values_in_four_forms(void **state)
{
    (void)state;
    static const char *const lines[][3] = {
        {"--key=value"}, {"--key", "value"}, {"-kvalue"}, {"-k", "value"}};
    for (size_t i = 0; i < COUNT(lines); i++) {
        assert_true(parse(lines[i]));
        assert_string_equal(got.key, "value");
    }
    assert_true(PARSE("--key="));
    assert_string_equal(got.key, "");
    assert_true(PARSE("--key=a=b"));
    assert_string_equal(got.key, "a=b");
    assert_true(PARSE("--key", "--force"));
    assert_string_equal(got.key, "--force");
    assert_true(PARSE("-k", "-"));
    assert_string_equal(got.key, "-");
}

static void takes_operands_anywhere(void **state)
{
    (void)state;
    assert_true(PARSE("one", "-k", "x", "two"));
    assert_string_equal(got.message, "one");
    assert_string_equal(got.second, "two");
    assert_true(PARSE("-k", "x", "-"));
    assert_string_equal(got.message, "-");
    assert_true(PARSE("-k", "x", "--", "--force", "--"));
    assert_string_equal(got.message, "--force");
    assert_string_equal(got.second, "--");
    assert_false(got.force);
    assert_true(PARSE("-k", "x", ""));
    assert_string_equal(got.message, "");
    REFUSED("unexpected operand 'three'", "--help shows what the command takes", "-k", "x", "one",
            "two", "three");
}

static void takes_flags_together(void **state)
{
    (void)state;
    assert_true(PARSE("-fn", "-kx"));
    assert_true(got.force && got.dry_run);
    assert_true(PARSE("-f", "--force", "--dry-run", "-kx")); /* once more changes nothing */
    assert_true(got.force && got.dry_run);
    REFUSED("unknown option -x in '-fx'", "", "-kx", "-fx");
    REFUSED("unknown option -k in '-fk'", "", "-fk", "value");
    REFUSED("--force takes no value", "", "-kx", "--force=yes");
}

static void lists_keep_their_order(void **state)
{
    (void)state;
    assert_true(PARSE("-kx", "-H", "a", "--header=b", "-Hc"));
    assert_int_equal(got.header.count, 3);
    assert_string_equal(got.header.items[0], "a");
    assert_string_equal(got.header.items[1], "b");
    assert_string_equal(got.header.items[2], "c");
}

static void names_what_is_unknown_and_what_is_near(void **state)
{
    (void)state;
    REFUSED("unknown option --kye", "did you mean --key?", "--kye", "x");
    REFUSED("unknown option --froce", "did you mean --force?", "-kx", "--froce");
    REFUSED("unknown option --dry_run", "did you mean --dry-run?", "-kx", "--dry_run");
    REFUSED("unknown option --head", "did you mean --header?", "-kx", "--head=x");
    REFUSED("unknown option --completely-different", "--help lists the options", "-kx",
            "--completely-different");
    REFUSED("unknown option -z", "--help lists the options", "-kx", "-z");
    REFUSED("unknown option -z", "--help lists the options", "-kx", "-zoo");
    REFUSED("unknown option --", "--help lists the options", "-kx", "--=x");
    REFUSED("unknown option --message", "--help lists the options", "-kx", "--message",
            "x"); /* an operand */
}

static void asks_for_what_is_missing(void **state)
{
    (void)state;
    REFUSED("--key KEY is missing: private key", "--help shows examples", "message");
    REFUSED("--key needs a value (KEY)", "", "--key");
    REFUSED("-k needs a value (KEY)", "", "-f", "-k");
    help = true; /* who asks for help may leave it out */
    assert_true(PARSE("message"));
    help = false;
}

static void refuses_what_is_given_twice(void **state)
{
    (void)state;
    REFUSED("--key is given twice", "", "-ka", "--key", "b");
    REFUSED("-k is given twice", "", "--key", "a", "-ka");
    REFUSED("--form is given twice", "", "-kx", "--form=compact", "--form=general");
    REFUSED("--jobs is given twice", "", "-kx", "--jobs=1", "--jobs=2");
}

static void bounds_numbers(void **state)
{
    (void)state;
    assert_true(PARSE("-kx", "-j1"));
    assert_int_equal(got.jobs, 1);
    assert_true(PARSE("-kx", "--jobs", "64"));
    assert_int_equal(got.jobs, 64);
    static const char *const bad[] = {"0",
                                      "65",
                                      "-1",
                                      "",
                                      "x",
                                      "1x",
                                      "1.5",
                                      "0x10",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "--",
                                      "1e1",
                                      "99999999999999999999",
                                      "-99999999999999999999"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        char message[100];
        snprintf(message, sizeof message, "--jobs: '%s' is not a whole number from 1 to 64",
                 bad[i]);
        REFUSED(message, "", "-kx", "--jobs", bad[i]);
    }
}

static void knows_the_choices(void **state)
{
    (void)state;
    assert_true(PARSE("-kx", "--form", "flattened"));
    assert_string_equal(got.form, "flattened");
    REFUSED("--form: 'flatened' is none of the choices", "did you mean 'flattened'?", "-kx",
            "--form", "flatened");
    REFUSED("--form: 'Compact' is none of the choices", "did you mean 'compact'?", "-kx",
            "--form=Compact");
    REFUSED("--form: 'xyzzy' is none of the choices", "choose from compact, flattened, general",
            "-kx", "--form=xyzzy");
}

static void finds_the_nearest_word(void **state)
{
    (void)state;
    static const char *const words[] = {"sign", "verify", "encrypt", "decrypt", "tee-sim"};
    assert_string_equal(nearest("sing", words, COUNT(words)), "sign");
    assert_string_equal(nearest("decript", words, COUNT(words)), "decrypt");
    assert_string_equal(nearest("veri", words, COUNT(words)), "verify");
    assert_string_equal(nearest("teesim", words, COUNT(words)), "tee-sim");
    assert_null(nearest("xyzzy", words, COUNT(words)));
    assert_null(nearest("", words, COUNT(words)));
    char longer[200];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_null(nearest(longer, words, COUNT(words)));
}

static void one_table_is_synopsis_help_and_man_page(void **state)
{
    (void)state;
    static const struct option_row few[] = {
        OPT_TEXT(thing, key, 'k', "KEY", OPT_REQUIRED, "private key"),
        OPT_FLAG(thing, dry_run, 0, 0, "make nothing"),
        OPT_CHOICE(thing, form, 0, "FORM", forms, 0, "form"),
        OPT_FLAG(thing, force, 0, OPT_HIDDEN, "not shown"),
        OPERAND(thing, message, "MESSAGE", 0, "message"),
        OPT_END};
    buffer *out = buffer_new(0);
    options_put_synopsis(out, few);
    assert_string_equal(out->data, " --key KEY [OPTION]... [MESSAGE]");
    out->size = 0;
    options_put_help(out, few);
    assert_string_equal(out->data, "  -k, --key KEY           private key\n"
                                   "      --dry-run           make nothing\n"
                                   "      --form FORM         form: compact, flattened, general\n"
                                   "  MESSAGE                 message\n");
    out->size = 0;
    options_put_mdoc(out, few);
    assert_string_equal(out->data, ".It Fl k , Fl \\-key Ar KEY\nprivate key (required).\n"
                                   ".It Fl \\-dry\\-run\nmake nothing.\n"
                                   ".It Fl \\-form Ar FORM\nform: compact, flattened, general.\n"
                                   ".It Ar MESSAGE\nmessage.\n");
    buffer_free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_values_in_four_forms),
        cmocka_unit_test(takes_operands_anywhere),
        cmocka_unit_test(takes_flags_together),
        cmocka_unit_test(lists_keep_their_order),
        cmocka_unit_test(names_what_is_unknown_and_what_is_near),
        cmocka_unit_test(asks_for_what_is_missing),
        cmocka_unit_test(refuses_what_is_given_twice),
        cmocka_unit_test(bounds_numbers),
        cmocka_unit_test(knows_the_choices),
        cmocka_unit_test(finds_the_nearest_word),
        cmocka_unit_test(one_table_is_synopsis_help_and_man_page),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, forget);
}
