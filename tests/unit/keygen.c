/* SPDX-License-Identifier: Apache-2.0 */
/* pki/keygen: who waits for keys is told how far they are, also while one is being made. */
#include "unit.h"

#include "pki/keygen.h"

struct told {
    size_t total, last;
    size_t between[3]; /* calls with so many keys done */
    bool backwards;
};

static void tell(void *context, size_t done, size_t total)
{
    struct told *told = context;
    told->total = total;
    told->backwards |= done < told->last;
    told->last = done;
    told->between[done]++;
}

static void progress_is_told_while_an_rsa_key_is_made(void **state)
{
    (void)state;
    struct error err;
    struct told told = {.total = 0};
    struct keygen_job jobs[] = {{.alg = KEY_RSA_2048}, {.alg = KEY_EC_P256}};
    if (!keygen_run(jobs, 2, &(struct keygen_how){.threads = 1, .progress = tell, .context = &told},
                    &err))
        fail_msg("%s", err.message);
    assert_int_equal(EVP_PKEY_get_bits(jobs[0].pkey), 2048);
    assert_int_equal(EVP_PKEY_get_bits(jobs[1].pkey), 256);
    assert_int_equal(told.total, 2);
    assert_false(told.backwards);
    assert_true(told.between[0] > 1); /* numbers that may be prime are tried one after the other */
    assert_true(told.between[1] > 0);
    assert_int_equal(told.between[2], 1);
    for (size_t i = 0; i < 2; i++)
        EVP_PKEY_free(jobs[i].pkey);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_is_told_while_an_rsa_key_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
