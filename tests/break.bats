#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Every mutation of --break list, fed to the TEE: the answer must be the code that the list promises.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    world
}

# A copy of the world of one's own.
setup() {
    cp -r "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR/world"
    cd "$BATS_TEST_TMPDIR/world" || return
}

# world: an EC PKI, a TEE for each state that a request needs, and the device's answers as --device.
# fresh: nothing seen; state: GetDeviceState seen; sd: with an SD; ta: with a TA in it.
world() {
    otrp pki-init -q --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
    head -c 2000 /dev/urandom > ta.bin
    otrp tee-sim init -q --state fresh --pki pki
    cp -r fresh state
    otrp make-request get-device-state --pki pki -o gds.json
    otrp tee-sim process -q --state state -o state.json gds.json
    cp -r state sd
    otrp make-request create-sd --pki pki -d state.json --sp xbank --sdname sd-1 -o create.json
    otrp tee-sim process -q --state sd -o sd.json create.json
    cp -r sd ta
    otrp make-request install-ta --pki pki -d sd.json --sp xbank --sdname sd-1 --taid demo \
        --ta ta.bin --taver 1 -o install.json
    otrp tee-sim process -q --state ta -o ta.json install.json
}

# request TYPE [ARGUMENT]...: the arguments that make a request of that type which succeeds.
request() {
    local type="$1"
    shift
    case "$type" in
    get-device-state) set -- "$@" ;;
    create-sd) set -- -d state.json --sp xbank --sdname sd-1 "$@" ;;
    update-sd) set -- -d sd.json --sp xbank --sdname sd-1 --newsdname sd-2 "$@" ;;
    delete-sd) set -- -d sd.json --sdname sd-1 "$@" ;;
    install-ta) set -- -d sd.json --sp xbank --sdname sd-1 --taid demo --ta ta.bin --pdata ta.bin "$@" ;;
    update-ta) set -- -d ta.json --sp xbank --sdname sd-1 --taid demo --ta ta.bin --taver 2 --pdata ta.bin "$@" ;;
    delete-ta) set -- -d ta.json --sdname sd-1 --taid demo "$@" ;;
    esac
    otrp make-request "$type" -q --force --pki pki -o request.json "$@"
}

device_of() {
    case "$1" in
    get-device-state) echo fresh ;;
    create-sd) echo state ;;
    update-sd | delete-sd | install-ta) echo sd ;;
    update-ta | delete-ta) echo ta ;;
    esac
}

# answer_code: the error code of answer.json, wherever the protocol puts it, by means of jq alone where
# the reason is in the TBS.
answer_code() {
    local tbs code
    tbs=$(jq -r '.. | .payload? // empty' answer.json | base64url_decode)
    code=$(jq -r '.[].reason["error-code"] // empty' <<< "$tbs")
    if [ -z "$code" ] && [ "$(jq -r '.[].status' <<< "$tbs")" = fail ]; then
        code=$(otrp decrypt -q --key pki/tam/tam/tam-mytam-ec-key.pem answer.json | jq -r '.reason["error-code"]')
    fi
    echo "${code:-pass}"
}

# fed TYPE: feeds every mutation of that type to a copy of the TEE in its state.
fed() {
    local type="$1" name expected device got failed=0 count=0
    device=$(device_of "$type")
    request "$type"
    cp -r "$device" copy
    otrp tee-sim process -q --state copy -o answer.json request.json
    assert_equal "$(answer_code)" pass
    while IFS=$'\t' read -r name expected; do
        [ "$type $name" != "get-device-state replay" ] || continue # has no answer to take it from
        rm -rf copy answer.json
        cp -r "$device" copy
        got=nothing
        request "$type" --break "$name"
        otrp tee-sim process -q --state copy -o answer.json request.json 2> said || :
        if [ -s answer.json ]; then
            got=$(answer_code)
        elif grep -q 'the broker would say ERR_AGENT_TEE_FAIL' said; then
            got=ERR_AGENT_TEE_FAIL
        fi
        count=$((count + 1))
        if [ "$got" != "$expected" ]; then
            echo "$type $name: expected $expected, got $got"
            failed=1
        fi
    done < <(otrp make-request "$type" --break list --json | jq -r '.[] | [.name, .code] | @tsv')
    assert [ "$count" -gt 20 ]
    return "$failed"
}

@test "the TEE answers each broken GetDeviceState with the code that the list promises" {
    fed get-device-state
}

@test "the TEE answers each broken CreateSD with the code that the list promises" {
    fed create-sd
}

@test "the TEE answers each broken UpdateSD with the code that the list promises" {
    fed update-sd
}

@test "the TEE answers each broken DeleteSD with the code that the list promises" {
    fed delete-sd
}

@test "the TEE answers each broken InstallTA with the code that the list promises" {
    fed install-ta
}

@test "the TEE answers each broken UpdateTA with the code that the list promises" {
    fed update-ta
}

@test "the TEE answers each broken DeleteTA with the code that the list promises" {
    fed delete-ta
}

@test "every row of the TEE's checks but the firmware's has a message that fails there first" {
    otrp verify -q --trust pki/tam/tam-rootca --json gds.json | jq -r '.checks[].check' | sort > rows
    otrp make-request --break list --json | jq -r '.[].check // empty' | sort -u > broken
    run comm -23 rows broken
    assert_output firmware
}

@test "why a TA is invalid is said beside the device, and not in its answer" {
    local name why
    while IFS='|' read -r name why; do
        rm -rf copy answer.json
        cp -r sd copy
        request install-ta --break "$name"
        run otrp tee-sim process --state copy -o answer.json request.json
        assert_output --partial "ERR_TA_INVALID: $why"
        otrp decrypt -q --key pki/tam/tam/tam-mytam-ec-key.pem answer.json | jq -c .reason >> reasons
    done << 'END'
ta-unsigned|TA package
ta-other-signer|TA package: the signature
value:content.taid|the package is for another taid
END
    assert_equal "$(sort -u reasons | wc -l)" 1
}

@test "--break of what there is not names what is near" {
    run --separate-stderr otrp make-request get-device-state --pki pki --break expird
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" "there is no mutation 'expird'"
    assert_regex "$stderr" "hint: did you mean 'expired'\\? '--break list' names them all"
}
