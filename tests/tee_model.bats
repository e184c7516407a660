#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tee-sim: random requests of two TAMs, right ones and wrong ones, against a simple model of what
# becomes of each (tests/tee/model.c). TEE_SEED and TEE_STEPS choose others.

load test_helper

setup_file() {
    MODEL=$ROOT/build/${VARIANT:-release}/tee/model
    STEPS=${TEE_STEPS:-700}
    [ "${VARIANT:-}" != asan ] || STEPS=${TEE_STEPS:-150}
    export MODEL STEPS
}

# walk SEED: and it has met success and nearly all errors on its way.
walk() {
    cd "$BATS_TEST_TMPDIR" || return
    run "$MODEL" "$PKI_EC" device "$1" "$STEPS"
    assert_success
    assert_line --regexp "^seed $1: $STEPS steps, [1-9][0-9]* of them again, [1-9][0-9]+ passed\$"
    assert_line --regexp '^ERR_DEV_STATE_MISMATCH [1-9]'
    assert_line --regexp '^ERR_TA_INVALID [1-9]'
    assert_line --regexp '^ERR_TEE_RESOURCE_FULL [1-9]'
}

@test "random requests are answered as the model says, and leave what it says (first seed)" {
    walk "${TEE_SEED:-1}"
}

@test "random requests are answered as the model says, and leave what it says (second seed)" {
    walk 20261121
}

@test "random requests are answered as the model says, and leave what it says (third seed)" {
    walk 3
}

@test "random requests are answered as the model says, and leave what it says (fourth seed)" {
    walk 4711
}
