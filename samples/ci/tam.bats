#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# For the CI of a TAM: a device that keeps to the specification, and then devices that do not, talk to
# it. Copy it, and set where the TAM is, whom the device trusts, and who the device is:
#
#   TAM_URL=https://tam.example/otrp TAM_ROOT=tam-root.pem TEE_KEY=device-key.pem TEE_CERT=device-chain.pem \
#       bats --report-formatter junit samples/ci/tam.bats
#
# TAM_ROOT is a file or a folder; the TAM has to trust the root of TEE_CERT. It needs otrp, curl and jq.

# shellcheck disable=SC2154 # status, output: set by run

setup_file() {
    : "${TAM_URL:?is not set: see the head of this file}"
    : "${TAM_ROOT:?is not set: see the head of this file}"
    : "${TEE_KEY:?is not set: see the head of this file}"
    : "${TEE_CERT:?is not set: see the head of this file}"
    export DEVICE=$BATS_FILE_TMPDIR/device
    TAM_ROOT=$(realpath "$TAM_ROOT") # each test is in a folder of its own
    export TAM_ROOT
    otrp tee-sim init --state "$DEVICE" --tee-key "$TEE_KEY" --tee-cert "$TEE_CERT" --tam-root "$TAM_ROOT"
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true # there is one device
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# begin: a session; the TAM's first request is in request.json
begin() {
    otrp send --force --url "$TAM_URL" -o request.json
}

# status_of ACCEPT OPTION...: of an HTTP request that curl makes
status_of() {
    curl -s -o /dev/null -w '%{http_code}' -H "Accept: $1" "${@:2}" "$TAM_URL"
}

# id tid|rid FILE: what stands in the payload of a request
id() {
    jq -r '.GetDeviceStateRequest.payload' "$2" | tr -- '-_' '+/' |
        { base64 -d 2> /dev/null || true; } | jq -r ".GetDeviceStateTBSRequest.$1"
}

@test "a session begins with GetDeviceState, signed by a TAM that the device trusts" {
    begin
    [ "$(jq -r 'keys[]' request.json)" = GetDeviceStateRequest ]
    otrp verify --trust "$TAM_ROOT" request.json
}

@test "each session has a tid and a rid of its own" {
    begin
    mv request.json first.json
    begin
    [ "$(id tid first.json)" != "$(id tid request.json)" ]
    [ "$(id rid first.json)" != "$(id rid request.json)" ]
}

@test "HTTP: only POST, only application/otrp+json" {
    [ "$(status_of application/otrp+json -X GET)" = 405 ]
    [ "$(status_of application/otrp+json -H 'Content-Type: text/plain' -d '{}')" = 415 ]
    [ "$(status_of text/html -X POST)" = 406 ]
}

@test "HTTP: a message has its type, and no cache keeps it" {
    curl -s -D headers -o /dev/null -H 'Accept: application/otrp+json' -X POST "$TAM_URL"
    grep -i '^content-type: *application/otrp+json' headers
    grep -i '^cache-control: *no-store' headers
    grep -i '^x-content-type-options: *nosniff' headers
}

@test "what is no message is refused, and nothing is said about it" {
    run curl -s -w '%{http_code}' -H 'Accept: application/otrp+json' \
        -H 'Content-Type: application/otrp+json' -d '{"GetDeviceStateResponse":' "$TAM_URL"
    [ "$output" = 400 ]
}

@test "an answer that is not authentic, or not to this request, is not believed" {
    local fault failed=0
    for fault in signature other-key other-hierarchy alg-none alg-hs256 content-tag content-key \
        value:rid value:tid duplicate-member truncated trailing inner-name; do
        begin
        otrp tee-sim process --force --state "$DEVICE" --fault "$fault" -o answer.json request.json || true
        run otrp send --url "$TAM_URL" answer.json
        if [ "$status" -ne 7 ]; then
            echo "$fault: the TAM goes on: exit code $status, $output"
            failed=1
        fi
    done
    [ "$failed" -eq 0 ]
}

@test "an answer counts once" {
    begin
    otrp tee-sim process --state "$DEVICE" -o answer.json request.json
    otrp send --url "$TAM_URL" -o next.json answer.json
    run otrp send --url "$TAM_URL" answer.json
    [ "$status" -eq 7 ]
}

@test "a device that keeps to the specification gets to the end of its session" {
    otrp tee-sim reset --state "$DEVICE"
    otrp send --url "$TAM_URL" --tee "$DEVICE" --transcript session.jsonl || {
        otrp diagram --format text session.jsonl
        return 1
    }
}
