#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What no message is, and what is too large for one: each command that reads messages says so.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    otrp pki-init -q --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
    otrp tee-sim init -q --state device --pki pki
    otrp make-request get-device-state --pki pki -o gds.json
    : > empty
    head -c 200000 /dev/urandom > random
    printf 'text\n' > text
    printf '\xef\xbb\xbf%s' "$(< gds.json)" > bom
    { head -c 1000 /dev/zero | tr '\0' '['; } > open
    { printf '{"CreateSDRequest":'; head -c 1000 /dev/zero | tr '\0' '['; head -c 1000 /dev/zero | tr '\0' ']'; printf '}'; } > deep
    { printf '{"CreateSDRequest":{"payload":"'; head -c 3000000 /dev/zero | tr '\0' 'A'; printf '"}}'; } > large
    printf '{"CreateSDRequest":{"payload":"e30","protected":"e30","header":{"x5c":[]},"signature":"AA"}}' > hollow
    printf '{"CreateSDRequest":null}' > null
    printf '{"a":1,"a":2}' > twice
    jq -c '.[].payload = 7' gds.json > number
}

setup() {
    cd "$BATS_FILE_TMPDIR" || return
}

# says FILE COMMAND...: it ends with the code for malformed input, a reason, and no result. A TEE may
# have an answer to what begins like a request: the code is 8 then.
says() {
    local file="$1"
    shift
    run --separate-stderr "$@"
    [[ $status == 6 || ($2 == tee-sim && $status == 8) ]] || fail "$* < $file: exit $status: $stderr"
    [[ $status == 8 || -z $output ]] || fail "$* < $file: $output"
    assert_regex "$stderr" "error: .{10}"
}

@test "what no message is, is said by every command that reads messages" {
    local file device=$BATS_TEST_TMPDIR/device
    cp -r device "$device" # others copy it meanwhile
    for file in empty random text open deep large hollow null twice number; do
        says "$file" otrp verify --trust pki/tam/tam-rootca "$file"
        says "$file" otrp decrypt --key pki/tee/tee/tee-mytee-ec-key.pem "$file"
        says "$file" otrp tee-sim process --state "$device" "$file"
        case $file in
        # what can be told apart as a request has an answer
        deep | large | hollow | null | number) otrp make-response -q -r "$file" --pki pki --error ERR_REQUEST_INVALID -o "$BATS_TEST_TMPDIR/$file" ;;
        *) says "$file" otrp make-response -r "$file" --pki pki ;;
        esac
    done
}

@test "a message above the limit is refused, one at the limit is judged" {
    local size
    size=$(stat -c %s gds.json)
    otrp verify -q --trust pki/tam/tam-rootca --max-bytes "$size" gds.json
    says gds.json otrp verify --trust pki/tam/tam-rootca --max-bytes "$((size - 1))" gds.json
    assert_regex "$stderr" "larger than|more than|at most|exceeds"
}

@test "a message of 40 MB is made, judged and opened in memory that is a few times its size" {
    [[ ${VARIANT-} != asan ]] || skip "the sanitizer takes memory of its own"
    cd "$BATS_TEST_TMPDIR" || return
    local P=$BATS_FILE_TMPDIR/pki
    cp -r "$BATS_FILE_TMPDIR/device" .
    otrp tee-sim process -q --state device -o state.json "$BATS_FILE_TMPDIR/gds.json"
    otrp make-request create-sd --pki "$P" -d state.json --sp xbank --sdname s |
        otrp tee-sim process -q --state device -o state2.json
    head -c 17000000 /dev/urandom > ta.bin
    otrp make-request install-ta --pki "$P" -d state2.json --sp xbank --sdname s --taid t --ta ta.bin -o install.json
    assert [ "$(stat -c %s install.json)" -gt 40000000 ]
    (
        ulimit -v 700000 # KiB
        otrp verify -q --trust "$P/tam/tam-rootca" install.json
        otrp tee-sim process -q --state device -o answer.json install.json
    )
    otrp tee-sim export-ta --state device --taid t -o back.bin
    cmp ta.bin back.bin
}

@test "a dump that claims to stand for gigabytes is not believed" {
    [[ ${VARIANT-} != asan ]] || skip "the sanitizer takes memory of its own"
    local i
    for ((i = 0; i < 1500; i++)); do
        printf '%08x  7b 22 61 61\n*\n' $((i << 20))
    done > "$BATS_TEST_TMPDIR/stars"
    (
        ulimit -v 300000 # KiB
        otrp inspect "$BATS_TEST_TMPDIR/stars" > "$BATS_TEST_TMPDIR/shown" 2>&1 || [ $? = 6 ]
    )
    refute grep -q 'out of memory' "$BATS_TEST_TMPDIR/shown"
}
