#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The exit codes, frozen: one of each.

load test_helper

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    otrp pki-init -q --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
    otrp tee-sim init -q --state device --pki pki
    otrp make-request get-device-state --pki pki -o gds.json
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return
}

@test "0: done" {
    run -0 otrp verify --trust pki/tam/tam-rootca gds.json
}

@test "1: the system does not do what it should" {
    # shellcheck disable=SC2016 # for the other shell
    run -1 bash -c '"$OTRP" jwk --public pki/tam/tam/tam-mytam-ec-key.pem > /dev/full'
    assert_output --partial 'No space left on device'
}

@test "2: wrong usage" {
    run -2 otrp verify --no-such-option
    run -2 otrp no-such-command
    run -2 otrp verify --trust nowhere gds.json
}

@test "3: the signature is wrong" {
    flip_last_byte_of .GetDeviceStateRequest.signature < gds.json > "$BATS_TEST_TMPDIR/changed.json"
    run -3 otrp verify --trust pki/tam/tam-rootca "$BATS_TEST_TMPDIR/changed.json"
}

@test "4: not trusted" {
    run -4 otrp verify --trust pki/tee/tee-rootca gds.json
}

@test "5: cannot be decrypted" {
    otrp encrypt --to pki/tee/tee/tee-mytee-ec-cert.pem gds.json > "$BATS_TEST_TMPDIR/jwe.json"
    run -5 otrp decrypt --key pki/tam/tam/tam-mytam-ec-key.pem "$BATS_TEST_TMPDIR/jwe.json"
}

@test "6: malformed" {
    run -6 otrp verify --trust pki/tam/tam-rootca <<< '{"GetDeviceStateRequest":'
}

@test "7: the network" {
    # port 1 of the loopback interface: nothing listens there
    run -7 otrp send --url http://127.0.0.1:1/tam gds.json
    assert_output --partial 'connection refused'
}

@test "8: the peer says fail" {
    cp -r device "$BATS_TEST_TMPDIR"
    run -8 otrp tee-sim process --state "$BATS_TEST_TMPDIR/device" -o "$BATS_TEST_TMPDIR/answer.json" \
        <(otrp make-request get-device-state --pki pki --break untrusted)
}

@test "9: some of it failed" {
    cp -r pki "$BATS_TEST_TMPDIR"
    chmod 644 "$BATS_TEST_TMPDIR/pki/tam/tam/tam-mytam-ec-key.pem"
    run -9 otrp pki-check --pki "$BATS_TEST_TMPDIR/pki"
}

@test "help, otrp(1) and the README name the same codes" {
    run otrp help exit-codes
    assert_equal "${#lines[@]}" 10
    local code
    for code in 0 1 2 3 4 5 6 7 8 9; do
        assert_line --regexp "^$code  "
        grep -q "^| $code |" "$ROOT/README.md"
        sed -n '/^\.Sh EXIT STATUS/,/^\.Sh EX/p' "$ROOT/man/otrp.1" | grep -qE "^\.It( Li)? $code( |$)"
    done
}
