#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# samples/messages: every message is valid, can be made anew, and stands in otrp-messages(7).
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper
load inspect/helper

TAM=$SAMPLES/pki/tam/tam/tam-mytam-rsa
TEE=$SAMPLES/pki/tee/tee/tee-mytee-rsa
NAMES=(create-sd update-sd install-ta update-ta delete-ta delete-sd)

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# valid FOLDER: each request would be taken by a TEE, each answer believed by its TAM.
valid() {
    local name device
    set -- "$1" "$1/pki/tam/tam/tam-mytam-rsa-key.pem"
    device=$1/get-device-state-response.json
    otrp verify -q --now "$NOW" --trust "$1/pki/tam/tam-rootca" "$1/get-device-state-request.json"
    otrp verify -q --now "$NOW" --trust "$1/pki/tee/tee-rootca" --tam-key "$2" \
        --request "$1/get-device-state-request.json" "$device"
    for name in "${NAMES[@]}"; do
        otrp verify -q --now "$NOW" --trust "$1/pki/tam/tam-rootca" --device "$device" --tam-key "$2" \
            "$1/$name-request.json"
        otrp verify -q --now "$NOW" --trust "$1/pki/tee/tee-rootca" --tam-key "$2" \
            --request "$1/$name-request.json" "$1/$name-response.json"
        device=$1/$name-response.json
    done
}

@test "the sample messages are valid, and their keys open them" {
    valid "$SAMPLES"
    local name
    for name in "${NAMES[@]}"; do
        run bash -c 'jq -r ".[].payload" "$1" | jose b64 dec -i- | jq -c ".[].content" |
            jose jwe dec -i- -k "$2" | jq -r ".tamid"' - "$SAMPLES/$name-request.json" "$TEE-key.jwk"
        assert_output mytam
        run bash -c 'jq -r ".[].payload" "$1" | jose b64 dec -i- | jq -c ".[].content" |
            jose jwe dec -i- -k "$2" | jq -r ".did"' - "$SAMPLES/$name-response.json" "$TAM-key.jwk"
        assert_output "$(openssl x509 -in "$TEE-cert.pem" -outform DER | openssl sha256 -binary | base64)"
    done
    run jq -r .OTrPBrokerError.errcode "$SAMPLES/broker-error.json"
    assert_output ERR_AGENT_TEE_BUSY
}

@test "the sample messages can be made anew" {
    mkdir -p tree/bin tree/samples
    cp -r "$SAMPLES" tree/samples/messages
    ln -s "$OTRP" tree/bin/otrp
    run tree/samples/messages/make.sh new
    assert_success
    run diff <(cd "$SAMPLES" && find . -name '*.json' | sort) <(cd new && find . -name '*.json' | sort)
    assert_success
    valid new
}

@test "otrp-messages(7) shows the samples" {
    mkdir -p tree/bin
    ln -s "$OTRP" tree/bin/otrp
    cp -r "$ROOT/samples" tree
    run diff <(sed -n '/^\.\\" SAMPLES BEGIN/,/^\.\\" SAMPLES END/p' "$ROOT/man/otrp-messages.7" | sed '1d;$d') \
        <(tree/samples/messages/page.sh)
    assert_success
}
