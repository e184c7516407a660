#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The unit tests of tests/unit, a program each. VARIANT names the build (default: release).

load test_helper

setup() {
    UNIT=$ROOT/build/${VARIANT:-release}/unit
    cd "$BATS_TEST_TMPDIR" || return
}

unit() {
    [ -x "$UNIT/$1" ] || make -s -C "$ROOT" "VARIANT=${VARIANT:-release}" "build/${VARIANT:-release}/unit/$1"
    run "$UNIT/$1"
    assert_success
    assert_output --partial '[  PASSED  ]'
}

@test "base64" {
    unit base64
}

@test "a chain that is recalled is as good as a fresh check finds it" {
    unit chain
}

@test "clock" {
    unit clock
}

@test "foreign" {
    unit foreign
}

@test "json" {
    unit json
}

@test "json_slice" {
    unit json_slice
}

@test "keygen" {
    unit keygen
}

@test "options" {
    unit options
}

@test "output_set" {
    unit output_set
}

@test "each program of tests/unit has its test here" {
    for file in "$ROOT"/tests/unit/*.c; do
        assert grep -qx "    unit $(basename "$file" .c)" "$BATS_TEST_FILENAME"
    done
}
