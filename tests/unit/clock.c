/* SPDX-License-Identifier: Apache-2.0 */
/* util/clock: which times are taken, and which one counts. */
#include "unit.h"

#include "util/clock.h"

static void reads_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        time_t at;
    } times[] = {
        {"2026-11-21T10:00:00Z", 1795255200},
        {"2026-11-21", 1795219200},
        {"@1795255200", 1795255200},
        {"1970-01-01T00:00:00Z", 0},
        {"@0", 0},
        {"2024-02-29T23:59:59Z", 1709251199},
        {"2038-01-19T03:14:08Z", 2147483648},
        {"9999-12-31", 253402214400},
    };
    for (size_t i = 0; i < COUNT(times); i++) {
        struct clock clock;
        struct error err;
        if (!clock_open(&clock, times[i].text, &err))
            fail_msg("%s: %s", times[i].text, err.message);
        assert_true(clock.fixed);
        assert_true(clock_now(&clock) == times[i].at);
    }
}

static void refuses_what_is_no_time(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "yesterday",
                                      "@",
                                      "@-1",
                                      "@1.5",
                                      "@ 1",
                                      "@+1",
                                      "@1x",
                                      "1795255200",
                                      "2026-11-21T10:00:00",
                                      "2026-11-21T",
                                      "2026-11-21 10:00:00",
                                      "2026-11-21T10:00:00z",
                                      "2026-13-01",
                                      "2026-00-01",
                                      "2026-11-31",
                                      "2026-02-29",
                                      "2026-11-00",
                                      "2026-1-2",
                                      "26-11-21",
                                      " 2026-11-21",
                                      "2026-11-21 ",
                                      "20261121100000Z",
                                      "2026-11-21T24:00:00Z",
                                      "2026-11-21T10:60:00Z",
                                      "2026-11-21T10:00:60Z",
                                      "2026-11-21T10:00:00+01:00",
                                      "2026-11-21T10:00:00.5Z",
                                      "",
                                      "1969-12-31"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct clock clock;
        struct error err;
        if (clock_open(&clock, bad[i], &err))
            fail_msg("'%s' was taken", bad[i]);
        assert_error(&err, RC_USAGE, "is no time");
        assert_true(strstr(err.hint, "2026-11-21T10:00:00Z") != NULL);
    }
}

static void now_goes_before_the_environment_and_that_before_the_wall(void **state)
{
    (void)state;
    struct clock clock;
    struct error err;
    setenv("SOURCE_DATE_EPOCH", "1000000000", 1);
    assert_true(clock_open(&clock, NULL, &err));
    assert_true(clock.fixed && clock_now(&clock) == 1000000000);
    assert_true(clock_open(&clock, "@5", &err));
    assert_true(clock_now(&clock) == 5);
    static const char *const bad[] = {"x", "-1", "1.5", " 1", "2026-11-21"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        setenv("SOURCE_DATE_EPOCH", bad[i], 1);
        assert_false(clock_open(&clock, NULL, &err));
        assert_error(&err, RC_USAGE, "SOURCE_DATE_EPOCH");
    }
    setenv("SOURCE_DATE_EPOCH", "", 1);
    assert_true(clock_open(&clock, NULL, &err));
    assert_false(clock.fixed);
    unsetenv("SOURCE_DATE_EPOCH");
    time_t before = time(NULL);
    assert_true(clock_open(&clock, NULL, &err));
    assert_false(clock.fixed);
    assert_true(clock_now(&clock) >= before && clock_now(&clock) <= time(NULL));
}

static void writes_times(void **state)
{
    (void)state;
    char text[32];
    time_format(1795255200, text);
    assert_string_equal(text, "2026-11-21T10:00:00Z");
    time_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    time_format(253402300799, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    time_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    unsetenv("TZ");
    long long first = clock_elapsed_ms();
    assert_true(clock_elapsed_ms() >= first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_times),
        cmocka_unit_test(refuses_what_is_no_time),
        cmocka_unit_test(now_goes_before_the_environment_and_that_before_the_wall),
        cmocka_unit_test(writes_times),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
