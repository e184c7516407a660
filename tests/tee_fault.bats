#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tee-sim --fault: a device that misbehaves on purpose. otrp verify is the TAM that must not believe it;
# jq, jose and curl tell what is on the wire.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper
load tee/helper

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    world ec
    otrp tee-sim init -q --state device --pki "$P"
    request get-device-state --tid t > gds.json
    cp -r device blank
    otrp tee-sim process -q --state device gds.json > state.json
    request create-sd --sp xbank --sdname a --tid t > create.json
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    world ec
    cp -r "$BATS_FILE_TMPDIR"/{blank,device,gds.json,state.json,create.json} .
}

# believes REQUEST ANSWER: whether a TAM does.
believes() {
    otrp verify -q --trust "$P/tee/tee-rootca" --tam-key "$TAM-key.pem" --request "$1" --device state.json "$2"
}

@test "--fault list names what can be wrong with an answer, and needs no state" {
    run --separate-stderr otrp tee-sim process --fault list
    assert_success
    assert_line --regexp '^signature +refused +every message: the signature is changed'
    assert_line --regexp '^no-answer '
    assert_line --regexp '^fail:ERR_SD_NOT_FOUND '
    refute_line --regexp '^fail:ERR_AGENT'
    otrp tee-sim serve --fault list --json > list.json
    assert_equal "$(jq -r '.[] | select(.name == "slow") | .title' list.json)" \
        'the answer comes after 5 seconds, or slow:SECONDS'
    assert_equal "$(jq '[.[].name] | length - (unique | length)' list.json)" 0
    run --separate-stderr otrp tee-sim process --fault signatur --state device gds.json
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" "no fault 'signatur'.*did you mean 'signature'"
    run --separate-stderr otrp tee-sim process --fault fail:ERR_AGENT_TEE_BUSY --state device gds.json
    assert_equal "$status $output" "2 "
    run --separate-stderr otrp tee-sim process
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" '--state DIR is missing'
}

@test "no TAM believes an answer with a fault in it, and the answer is only a little wrong" {
    local type=$1 name
    believes gds.json state.json
    cp -r device before
    for type in get-device-state:gds:blank create-sd:create:before; do
        IFS=: read -r type message folder <<< "$type"
        for name in $(otrp tee-sim process --fault list --json |
            jq -r --arg type "$type" '.[] | select(.types) | select(.types | index($type)) | .name'); do
            case $name in
            cek) continue ;; # seen by who has kept it
            *reason* | value:status | *supportedsigalgs | *teespaik*) continue ;; # not in an answer that passes
            esac
            rm -rf device
            cp -r "$folder" device
            run --separate-stderr otrp tee-sim process --state device --fault "$name" "$message.json"
            assert_equal "$name $status" "$name 0"
            printf %s "$output" > answer.json
            run believes "$message.json" answer.json
            assert_regex "$name $status" "^$name [34568]$"
        done
    done
    assert_equal "$(holdings | jq -c '[.sds[].name]')" '["a"]' # all the same it was carried out
}

@test "a fault that does not fit the message is a usage error, and nothing happens" {
    run --separate-stderr otrp tee-sim process --state device --fault missing:edsi.dsi create.json
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" 'does not fit an answer to CreateSD'
    otrp tee-sim process -q --state device create.json > answer.json
    believes create.json answer.json
}

@test "fail:CODE is answered to what would pass, and nothing is carried out" {
    local code
    for code in $(otrp tee-sim process --fault list | sed -n 's/^fail:\([A-Z_]*\).*/\1/p'); do
        request create-sd --sp xbank --sdname a --tid t --rid "$code" > create.json
        run --separate-stderr otrp tee-sim process --state device --fault "fail:$code" create.json
        assert_equal "$code $status" "$code 8"
        assert_equal "$(plaintext <(echo "$output") "$TAM-key.jwk" 2> /dev/null | jq -r '.reason."error-code"')" "$code"
    done
    assert_equal "$(holdings | jq -c .sds)" '[]'
    run --separate-stderr otrp tee-sim process --state blank --fault fail:ERR_TEE_FAIL gds.json
    assert_equal "$status" 8
    echo "$output" > answer.json
    assert_equal "$(tbs answer.json | jq -c '[.status, .reason."error-code"]')" '["fail","ERR_TEE_FAIL"]'
}

@test "no answer, a late one, one that is no JSON, and the broker's" {
    run --separate-stderr otrp tee-sim process --state device --fault no-answer create.json
    assert_equal "$status $output" "6 "
    assert_equal "$(holdings | jq -c '[.sds[].name]')" '["a"]'
    otrp tee-sim answer --state device -o answer.json # it was made, and went astray
    believes create.json answer.json
    rm -r device
    cp -r "$BATS_FILE_TMPDIR/device" .
    run --separate-stderr otrp tee-sim process --state device --fault not-json create.json
    assert_equal "$status" 0
    run jq . <<< "$output"
    assert_failure
    rm -r device
    cp -r "$BATS_FILE_TMPDIR/device" .
    local start=${EPOCHREALTIME/./}
    otrp tee-sim process -q --state device --fault slow:1 create.json > answer.json
    assert [ $((${EPOCHREALTIME/./} - start)) -ge 1000000 ]
    believes create.json answer.json
    rm -r device
    cp -r "$BATS_FILE_TMPDIR/device" .
    local name
    for name in unknown busy fail; do
        run --separate-stderr otrp tee-sim process --state device --fault "broker-$name" create.json
        assert_equal "$status" 8
        assert_equal "$(jq -r '.OTrPBrokerError | .errcode + " " + .tid' <<< "$output")" "ERR_AGENT_TEE_${name^^} t"
    done
    assert_equal "$(holdings | jq -c .sds)" '[]'
    assert_equal "$(requests mytam)" 1
}

@test "serve misbehaves, too: where an answer has no place for a fault, it is as it should be" {
    post() {
        curl -s -o answer.json -w '%{http_code}' -H 'Accept: application/otrp+json' \
            -H 'Content-Type: application/otrp+json' --data-binary "@$1" "$URL"
    }
    start_server otrp tee-sim serve --state blank --fault value:edsi.dsi.tee.cert
    assert_equal "$(post gds.json)" 200
    run believes gds.json answer.json
    assert_failure
    stop_server
    start_server otrp tee-sim serve --state device --fault missing:edsi.dsi --fault other-hierarchy
    request create-sd --sp xbank --sdname b --tid t --no-nextdsi > plain.json
    assert_equal "$(post plain.json)" 200
    believes plain.json answer.json
    stop_server
    start_server otrp tee-sim serve --state device --fault no-answer
    assert_equal "$(post plain.json)" 204
    assert_equal "$(wc -c < answer.json)" 0
    stop_server
    start_server otrp tee-sim serve --state device --fault truncated
    assert_equal "$(post plain.json)" 200
    run jq . answer.json
    assert_failure
}
