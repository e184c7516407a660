#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# For the CI of a TEE, or of the agent in front of it: a TAM walks it through scenarios, each of them a
# list of requests and of the answers that the specification demands. Copy it, and set
#
#   PKI      the folder that otrp pki-init has made (with RSA keys, as by default): who the TAM and the
#            service providers are; the device has to trust the root in tam/tam-rootca
#   TEE_ROOT the root certificates of the device, a file or a folder (default: that of PKI)
#   DEVICE   a command that lets the device begin a session with the TAM whose URL it gets as its last
#            word, and ends with it, such as "my-agent --once --tam"
#
#   PKI=pki DEVICE="my-agent --once --tam" bats --report-formatter junit samples/ci/tee.bats
#
# A scenario needs a device that has nothing of this TAM, and leaves it so.

# shellcheck disable=SC2154 # status, output: set by run

setup_file() {
    : "${PKI:?is not set: see the head of this file}"
    : "${DEVICE:?is not set: see the head of this file}"
    PKI=$(realpath "$PKI")
    [ -z "${TEE_ROOT:-}" ] || TEE_ROOT=$(realpath "$TEE_ROOT")
    export PKI TEE_ROOT
    export BATS_NO_PARALLELIZE_WITHIN_FILE=true # there is one device
    # Scenarios name files relative to their own folder.
    mkdir "$BATS_FILE_TMPDIR/samples"
    cp -R "$BATS_TEST_DIRNAME/../scenarios" "$BATS_TEST_DIRNAME/../ta" "$BATS_FILE_TMPDIR/samples"
    cp -R "$PKI" "$BATS_FILE_TMPDIR/pki"
}

# walk SCENARIO: what was otherwise than expected is shown.
walk() {
    local url tam status=0
    exec {out}< <(exec otrp tam-stub --pki "$PKI" ${TEE_ROOT:+--tee-root "$TEE_ROOT"} --listen 127.0.0.1:0 \
        --scenario "$BATS_FILE_TMPDIR/samples/scenarios/$1.json" --report tap 2> "$BATS_TEST_TMPDIR/tam.log" 3>&-)
    tam=$!
    read -r -u "$out" url || status=1
    # shellcheck disable=SC2086 # a command with its arguments
    [ "$status" -ne 0 ] || $DEVICE "$url" || true # that a request was refused may be what is expected
    cat <&"$out"
    wait "$tam" || status=$?
    cat "$BATS_TEST_TMPDIR/tam.log"
    return "$status"
}

@test "the life of an SD and its TA" {
    walk lifecycle
}

@test "what a TEE must refuse" {
    walk refusals
}
