/* SPDX-License-Identifier: Apache-2.0 */
/* util/output_set: results are there as a whole, with the right mode, or not at all. */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/file.h"
#include "util/output_set.h"

static char folder[] = "/tmp/otrp-output-XXXXXX";

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void assert_holds(const char *path, const char *text)
{
    struct error err;
    buffer *b = input_read(path, 1000, &err);
    if (!b)
        fail_msg("%s", err.message);
    assert_string_equal(b->data, text);
    buffer_free(b);
}

static void assert_mode(const char *path, unsigned mode)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

/* Fails when the folder holds anything but what names says, NULL-terminated. */
static void assert_only(const char *const *names)
{
    DIR *dir = opendir(".");
    size_t found = 0, expected = 0;
    while (names[expected])
        assert_true(path_exists(names[expected++]));
    for (struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            bool known = false;
            for (size_t i = 0; i < expected; i++)
                known |= strcmp(names[i], e->d_name) == 0;
            if (!known)
                fail_msg("%s is left", e->d_name);
            found++;
        }
    closedir(dir);
    assert_int_equal(found, expected);
}

#define ONLY(...) assert_only((const char *const[]){__VA_ARGS__, NULL})
#define NOTHING() assert_only((const char *const[]){NULL})

static int enter(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/otrp-output-XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void puts_files_in_place_at_commit(void **state)
{
    (void)state;
    struct error err;
    umask(022);
    output_set *set = output_set_new(false);
    assert_true(output_add(set, "public", span_text("one"), OUTPUT_PUBLIC, &err));
    assert_true(output_add(set, "private", span_text("two"), OUTPUT_PRIVATE, &err));
    assert_true(output_add(set, "program", span_text("three"), OUTPUT_EXECUTABLE, &err));
    assert_false(path_exists("public") || path_exists("private") || path_exists("program"));
    assert_true(output_commit(set, &err));
    output_set_free(set);
    assert_holds("public", "one");
    assert_holds("private", "two");
    assert_mode("public", 0644);
    assert_mode("private", 0600);
    assert_mode("program", 0755);
    ONLY("public", "private", "program");
}

static void a_private_file_is_private_from_the_first_byte(void **state)
{
    (void)state;
    struct error err;
    umask(0);
    output_set *set = output_set_new(false);
    assert_true(output_add(set, "key", span_text("secret"), OUTPUT_PRIVATE, &err));
    DIR *dir = opendir(".");
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] == 'k')
            assert_mode(e->d_name, 0600);
    closedir(dir);
    assert_true(output_commit(set, &err));
    output_set_free(set);
    assert_mode("key", 0600);
    put("key", "old");
    chmod("key", 0666); /* the mode of what it replaces is not kept */
    set = output_set_new(true);
    assert_true(output_add(set, "key", span_text("new"), OUTPUT_PRIVATE, &err));
    assert_true(output_commit(set, &err));
    output_set_free(set);
    assert_mode("key", 0600);
    assert_holds("key", "new");
    ONLY("key");
    umask(022);
}

static void without_commit_nothing_remains(void **state)
{
    (void)state;
    struct error err;
    output_set *set = output_set_new(false);
    assert_true(output_add(set, "a", span_text("one"), OUTPUT_PUBLIC, &err));
    assert_true(output_directory(set, "deep/deeper", &err));
    assert_true(output_add(set, "deep/deeper/b", span_text("two"), OUTPUT_PRIVATE, &err));
    output_set_free(set);
    NOTHING();
    output_set_free(NULL);
}

static void an_existing_file_is_refused_without_force(void **state)
{
    (void)state;
    struct error err;
    put("a", "old");
    output_set *set = output_set_new(false);
    assert_false(output_check(set, "a", &err));
    assert_error(&err, RC_USAGE, "a: exists already");
    assert_string_equal(err.hint, "--force overwrites it");
    assert_true(output_add(set, "b", span_text("new"), OUTPUT_PUBLIC, &err));
    assert_false(output_add(set, "a", span_text("new"), OUTPUT_PUBLIC, &err));
    output_set_free(set);
    assert_holds("a", "old");
    ONLY("a");
    assert_int_equal(symlink("nowhere", "link"), 0); /* also one that leads nowhere */
    set = output_set_new(false);
    assert_false(output_add(set, "link", span_text("new"), OUTPUT_PUBLIC, &err));
    output_set_free(set);
    ONLY("a", "link");
}

static void a_file_that_appears_before_commit_is_kept(void **state)
{
    (void)state;
    struct error err;
    output_set *set = output_set_new(false);
    assert_true(output_add(set, "a", span_text("new"), OUTPUT_PUBLIC, &err));
    assert_true(output_add(set, "b", span_text("new"), OUTPUT_PUBLIC, &err));
    put("b", "old");
    assert_false(output_commit(set, &err));
    assert_error(&err, RC_USAGE, "b: cannot put in place");
    output_set_free(set);
    assert_holds("b", "old");
    ONLY("b");
}

static void force_replaces_all_or_none(void **state)
{
    (void)state;
    struct error err;
    put("a", "old a");
    put("b", "old b");
    chmod("a", 0640);
    output_set *set = output_set_new(true);
    assert_true(output_add(set, "a", span_text("new a"), OUTPUT_PUBLIC, &err));
    assert_true(output_add(set, "c", span_text("new c"), OUTPUT_PUBLIC, &err));
    assert_true(output_add(set, "b", span_text("new b"), OUTPUT_PUBLIC, &err));
    assert_true(output_add(set, "/dev/full", span_text("lost"), OUTPUT_PUBLIC, &err));
    assert_false(output_commit(set, &err));
    assert_error(&err, RC_INTERNAL, "/dev/full: cannot write");
    output_set_free(set);
    assert_holds("a", "old a");
    assert_mode("a", 0640);
    assert_holds("b", "old b");
    ONLY("a", "b");

    set = output_set_new(true);
    assert_true(output_add(set, "a", span_text("new a"), OUTPUT_PUBLIC, &err));
    assert_true(output_add(set, "b", span_text("new b"), OUTPUT_PUBLIC, &err));
    assert_int_equal(unlink("b") | mkdir("b", 0777), 0); /* a file cannot take its place */
    assert_false(output_commit(set, &err));
    output_set_free(set);
    assert_holds("a", "old a");
    ONLY("a", "b");
    rmdir("b");

    set = output_set_new(true);
    assert_true(output_add(set, "a", span_text("new a"), OUTPUT_PUBLIC, &err));
    assert_true(output_add(set, "b", span_text("new b"), OUTPUT_PUBLIC, &err));
    assert_true(output_commit(set, &err));
    output_set_free(set);
    assert_holds("a", "new a");
    assert_holds("b", "new b");
    ONLY("a", "b");
}

static void one_file_is_not_written_twice(void **state)
{
    (void)state;
    struct error err;
    for (int force = 0; force < 2; force++) {
        output_set *set = output_set_new(force);
        assert_true(output_add(set, "a", span_text("one"), OUTPUT_PRIVATE, &err));
        assert_false(output_add(set, "a", span_text("two"), OUTPUT_PUBLIC, &err));
        assert_error(&err, RC_USAGE, "a: is to be written twice");
        output_set_free(set);
    }
    NOTHING();
}

static void places_that_cannot_be_written_are_named(void **state)
{
    (void)state;
    struct error err;
    mkdir("folder", 0777);
    put("file", "x");
    output_set *set = output_set_new(true);
    assert_false(output_add(set, "folder", span_text("x"), OUTPUT_PUBLIC, &err));
    assert_error(&err, RC_USAGE, "folder: is a directory");
    assert_false(output_add(set, "nowhere/a", span_text("x"), OUTPUT_PUBLIC, &err));
    assert_error(&err, RC_INTERNAL, "nowhere/a: cannot create: No such file or directory");
    assert_false(output_add(set, "file/a", span_text("x"), OUTPUT_PUBLIC, &err));
    assert_error(&err, RC_INTERNAL, "file/a: cannot create");
    assert_false(output_directory(set, "file/folder", &err));
    assert_error(&err, RC_INTERNAL, "file/folder: cannot make the directory");
    output_set_free(set);
    ONLY("folder", "file");
}

static void directories_are_kept_when_they_were_there_or_are_of_use(void **state)
{
    (void)state;
    struct error err;
    mkdir("old", 0777);
    output_set *set = output_set_new(false);
    assert_true(output_directory(set, "old/new", &err));
    assert_true(output_directory(set, "old/new", &err));
    output_set_free(set);
    assert_true(path_exists("old"));
    assert_false(path_exists("old/new"));
    set = output_set_new(false);
    assert_true(output_directory(set, "old/new//deep/", &err));
    assert_true(output_add(set, "old/new/deep/a", span_text("x"), OUTPUT_PUBLIC, &err));
    assert_true(output_commit(set, &err));
    output_set_free(set);
    assert_holds("old/new/deep/a", "x");
}

static void reads_what_it_is_given_and_no_more(void **state)
{
    (void)state;
    struct error err;
    put("five", "12345");
    buffer *b = input_read("five", 5, &err);
    assert_non_null(b);
    assert_int_equal(b->size, 5);
    assert_true(b->secret);
    buffer_free(b);
    assert_null(input_read("five", 4, &err));
    assert_error(&err, RC_MALFORMED, "five: more than the 4 bytes allowed");
    assert_null(input_read("/dev/zero", 100000, &err));
    assert_error(&err, RC_MALFORMED, "/dev/zero: more than the 100000 bytes allowed");
    assert_null(input_read("none", 5, &err));
    assert_error(&err, RC_USAGE, "none: cannot open: No such file or directory");
    assert_null(input_read(".", 5, &err));
    assert_error(&err, RC_USAGE, ".: cannot read: Is a directory");
    b = input_read("/dev/null", 5, &err);
    assert_non_null(b);
    assert_int_equal(b->size, 0);
    buffer_free(b);
    assert_string_equal(input_name(NULL), "standard input");
    assert_string_equal(input_name("-"), "standard input");
    assert_string_equal(input_name("five"), "five");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(puts_files_in_place_at_commit),
        TEST(a_private_file_is_private_from_the_first_byte),
        TEST(without_commit_nothing_remains),
        TEST(an_existing_file_is_refused_without_force),
        TEST(a_file_that_appears_before_commit_is_kept),
        TEST(force_replaces_all_or_none),
        TEST(one_file_is_not_written_twice),
        TEST(places_that_cannot_be_written_are_named),
        TEST(directories_are_kept_when_they_were_there_or_are_of_use),
        TEST(reads_what_it_is_given_and_no_more),
    };
    return cmocka_run_group_tests_name("output_set", tests, NULL, NULL);
}
