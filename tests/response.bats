#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# make-response: each answer is believed by verify, and by nobody once it is broken.

load test_helper

TAM=pki/tam/tam/tam-mytam-ec

# The seven requests of one TAM, each with the device state before it.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    otrp pki-init -q --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
    otrp jwk -q --generate ec-p256 -o aik.jwk
    head -c 2000 /dev/urandom > ta.bin
    ask get-device-state
    respond get-device-state -o empty.json
    ask create-sd -d empty.json --sp xbank --sdname sd-1
    respond create-sd -d empty.dsi --aik aik.jwk -o sd.json
    ask update-sd -d sd.json --sp xbank --sdname sd-1 --newsdname sd-2
    ask delete-sd -d sd.json --sdname sd-1
    ask install-ta -d sd.json --sp xbank --sdname sd-1 --taid demo --taname Demo --ta ta.bin
    respond install-ta -d sd.dsi -o ta.json
    ask update-ta -d ta.json --sp xbank --sdname sd-1 --taid demo --ta ta.bin
    ask delete-ta -d ta.json --sdname sd-1 --taid demo
}

setup() {
    cp -r "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR/world"
    cd "$BATS_TEST_TMPDIR/world" || return
}

# ask TYPE [ARGUMENT]...: TYPE.request and TYPE.cek
ask() {
    local type="$1"
    shift
    [ "$type" = get-device-state ] || set -- --save-cek "$type.cek" "$@"
    otrp make-request "$type" -q --pki pki -o "$type.request" "$@"
}

# respond TYPE [ARGUMENT]...: what make-response says to it; -o FILE leaves FILE's plain DSI as well.
respond() {
    local type="$1" out
    shift
    otrp make-response -q --force -r "$type.request" --pki pki "$@" || return
    out=${*: -1}
    if [[ $out == *.json ]]; then
        otrp decrypt -q --force --key "$TAM-key.pem" "$out" | jq -cj '{dsi: .dsi}' > "${out%.json}.dsi"
    fi
}

# The device state before a request of that type.
before() {
    case "$1" in
    get-device-state | create-sd) echo empty ;;
    update-sd | delete-sd | install-ta) echo sd ;;
    update-ta | delete-ta) echo ta ;;
    esac
}

# believed TYPE FILE: by one who has the TEE roots, the request, its CEK, and the state before.
believed() {
    local options=(--trust pki/tee/tee-rootca --tam-key "$TAM-key.pem" --request "$1.request")
    [ "$1" = get-device-state ] || options+=(--device "$(before "$1").json" --cek "$1.cek")
    otrp verify -q "${options[@]}" "$2"
}

@test "each answer is believed, pass and fail, and tells the state after the request" {
    local type got
    while IFS='|' read -r type expected; do
        respond "$type" -d "$(before "$type").dsi" -o answer.json
        believed "$type" answer.json
        got=$(otrp decrypt -q --key "$TAM-key.pem" answer.json |
            jq -c '.dsi.tee | [.sdlist.cnt, [.sdlist.sd[] | .name, .spid, (.talist[].taid)], [.teeaiklist[].spid]]')
        assert_equal "$got" "$expected"
        respond "$type" --status fail -o refused
        [ "$type" = get-device-state ] || believed "$type" refused
    done << 'END'
get-device-state|["0",[],[]]
create-sd|["1",["sd-1","xbank"],[]]
update-sd|["1",["sd-2","xbank"],["xbank"]]
delete-sd|["0",[],[]]
install-ta|["1",["sd-1","xbank","demo"],["xbank"]]
update-ta|["1",["sd-1","xbank","demo"],["xbank"]]
delete-ta|["1",["sd-1","xbank"],["xbank"]]
END
}

@test "a pass without a state tells the AIK that was made; openssl reads it" {
    ask create-sd --force --no-nextdsi -d empty.json --sp xbank --sdname sd-1
    otrp make-response -r create-sd.request --pki pki --aik aik.jwk -o answer.json
    otrp decrypt -q --key "$TAM-key.pem" answer.json > content.json
    assert_equal "$(jq -c 'keys' content.json)" '["did","sdname","teespaik","teespaiktype"]'
    jq -r .teespaik content.json | base64 -d | openssl pkey -pubin -inform DER -pubout > told.pem
    otrp jwk --public --pem aik.jwk > made.pem
    assert_equal "$(openssl pkey -pubin -in told.pem -text)" "$(openssl pkey -pubin -in made.pem -text)"
}

@test "a failure has its reason where the protocol puts it" {
    local code
    for code in ERR_REQUEST_INVALID ERR_TAM_NOT_TRUSTED ERR_DEV_STATE_MISMATCH; do
        run otrp make-response -r create-sd.request --pki pki --error "$code" --tbs
        assert_equal "$(jq -r '.[] | .reason["error-code"], (.content | type)' <<< "$output" | tr '\n' ' ')" "$code null "
    done
    for code in ERR_SD_ALREADY_EXIST ERR_TEE_RESOURCE_FULL ERR_TAM_NOT_AUTHORIZED ERR_SPCERT_INVALID; do
        run otrp make-response -r create-sd.request --pki pki --error "$code" --tbs
        assert_equal "$(jq -r '.[] | .content.reason["error-code"], (.reason | type)' <<< "$output" | tr '\n' ' ')" "$code null "
    done
    run otrp make-response -r create-sd.request --pki pki --error ERR_TEE_RESOURCE_FULL --plain --tbs
    assert_equal "$(jq -r '.[].reason["error-code"]' <<< "$output")" ERR_TEE_RESOURCE_FULL
}

@test "the broker's codes make its error, with the ids of the request" {
    run otrp make-response -r create-sd.request --error ERR_AGENT_TEE_BUSY
    assert_equal "$(jq -c 'keys' <<< "$output")" '["OTrPBrokerError"]'
    local ids
    ids=$(jq -r '.[].payload' create-sd.request | base64url_decode | jq -c '.[] | [.rid, .tid]')
    assert_equal "$(jq -c '.[] | [.rid, .tid]' <<< "$output")" "$ids"
    assert_equal "$(jq -r '.[].errcode' <<< "$output")" ERR_AGENT_TEE_BUSY
    # it is as it is: what would change it is refused, not passed over
    for changed in '--set rid=7' '--unset tid' '--break signature'; do
        # shellcheck disable=SC2086 # an option and its value
        run --separate-stderr -2 otrp make-response --request create-sd.request --error ERR_AGENT_TEE_BUSY $changed
        assert_equal "$output" ""
    done
}

@test "a TA query is answered by the AIK, whose signature jose takes" {
    otrp make-request ta-query --spid xbank --taid demo --nonce n-1 -o query.json
    otrp make-response -r query.json --aik aik.jwk --tam-cert "$TAM-cert.pem" \
        --spcert pki/sp/sp/sp-xbank-ec-cert-plus-intermediate-cert.pem -o information.json
    # also one that comes on standard input
    otrp make-request ta-query --spid xbank --taid demo |
        otrp make-response -r - --aik aik.jwk --tam-cert "$TAM-cert.pem" --spcert pki/sp/sp/sp-xbank-ec-cert.pem |
        jq -e .TAInformation.signature > /dev/null
    jq -c .TAInformation information.json > jws.json
    jose jws ver -i jws.json -k <(otrp jwk --public aik.jwk) -O payload.json
    run jq -c '.TAInformationTBS | [.taid, .spid, .tamid, .nonce, (.signercacerts | length)]' payload.json
    assert_output '["demo","xbank","mytam","n-1",1]'
    assert_equal "$(jq -r .TAInformationTBS.signercert payload.json)" \
        "$(openssl x509 -in pki/sp/sp/sp-xbank-ec-cert.pem -outform DER | base64 -w 0)"
}

@test "verify takes the information about a TA from the AIK of the device state alone, for its own query" {
    otrp make-request ta-query --spid xbank --taid demo --nonce n-1 -o query.json
    otrp make-request ta-query --spid xbank --taid demo --nonce n-2 -o other-query.json
    local make=(otrp make-response --tam-cert "$TAM-cert.pem" --spcert pki/sp/sp/sp-xbank-ec-cert.pem)
    "${make[@]}" -r query.json --aik aik.jwk -o information.json
    run otrp verify --device sd.dsi --request query.json information.json
    assert_success
    assert_output --partial 'good: TAInformation, signed by the AIK of the SP'
    otrp verify -q --key <(otrp jwk --public aik.jwk) information.json
    run -4 otrp verify --device sd.dsi --request other-query.json information.json
    assert_output --partial 'nonce: not that of the query, "n-2"'
    run -4 otrp verify --device empty.dsi information.json
    assert_output --partial 'the device state has no SP AIK'
    otrp jwk -q --generate ec-p256 -o stranger.jwk
    "${make[@]}" -r query.json --aik stranger.jwk -o forged.json
    run -4 otrp verify --device sd.dsi --request query.json forged.json
    assert_output --partial 'no SP AIK of the device state'
    flip_last_byte_of .TAInformation.signature < information.json > broken.json
    run -3 otrp verify --device sd.dsi broken.json
    run -2 otrp verify information.json
    assert_output --partial 'nothing to verify the information with'
    "${make[@]}" -r query.json --tamid another --aik aik.jwk -o wrong.json
    run -4 otrp verify --device sd.dsi --json wrong.json
    assert_output --partial '"verdict": "failed"'
    assert_output --partial 'tamid: not that of tamcert'
}

@test "members of the TBS and of the plaintext can be set and left out" {
    run otrp make-response -r create-sd.request --pki pki --set status=maybe --set 'content.sdname="x"' \
        --set content.more='{"a":1}' --unset content.did --unset ver --tbs
    assert_equal "$(jq -c '.[] | del(.content.dsi, .rid, .tid)' <<< "$output")" \
        '{"status":"maybe","content":{"sdname":"x","more":{"a":1}}}'
    run otrp make-response -r get-device-state.request --pki pki --set edsi.dsi.tee.name=other -o answer.json
    assert_equal "$(otrp decrypt -q --key "$TAM-key.pem" answer.json | jq -r .dsi.tee.name)" other
}

@test "what make-response cannot do is said" {
    run -2 otrp make-response --pki pki
    assert_output --partial 'no request to answer is given'
    run -2 otrp make-response -r create-sd.request
    assert_output --partial 'give --pki DIR, or --tee-key and --tee-cert'
    run -2 otrp make-response -r create-sd.request --pki pki --error ERR_NOT_KNOWN
    assert_output --partial "'ERR_NOT_KNOWN' is no error code of OTrP"
    run -2 otrp make-response -r update-sd.request --pki pki
    assert_output --partial 'the device state has no SD "sd-1" to change'
    run -6 otrp make-response -r sd.json --pki pki
    assert_output --partial 'is no request of OTrP'
    run -2 otrp make-response -r create-sd.request --pki pki --break no-such
    assert_output --partial "there is no mutation 'no-such'"
    refute [ -e answer.json ]
}

# refused TYPE: each way of breaking the answers to that type makes one that is not believed. What is
# not in a pass is broken in a failure.
refused() {
    local type="$1" name state failed=0 count=0
    local failure=(--error ERR_TEE_RESOURCE_FULL)
    [ "$type" != get-device-state ] || failure=(--error ERR_TFW_NOT_TRUSTED)
    state=$(before "$type").dsi
    while read -r name; do
        rm -f broken.json
        if ! respond "$type" -d "$state" --break "$name" -o broken 2> said; then
            respond "$type" -d "$state" --break "$name" --plain "${failure[@]}" -o broken 2> said ||
                respond "$type" --break "$name" "${failure[@]}" -o broken 2> said ||
                respond "$type" -d "$state" --aik aik.jwk --no-dsi --break "$name" -o broken 2> said || {
                echo "$type $name cannot be made: $(< said)"
                failed=1
                continue
            }
        fi
        count=$((count + 1))
        if believed "$type" broken 2> said; then
            echo "$type $name is believed"
            failed=1
        fi
    done < <(otrp make-response --break list --json |
        jq -r --arg type "$type" '.[] | select(.types | index($type)) | .name')
    assert [ "$count" -gt 50 ]
    return "$failed"
}

@test "no broken answer to GetDeviceState is believed" {
    refused get-device-state
}

@test "no broken answer to CreateSD is believed" {
    refused create-sd
}

@test "no broken answer to UpdateSD is believed" {
    refused update-sd
}

@test "no broken answer to InstallTA is believed" {
    refused install-ta
}
