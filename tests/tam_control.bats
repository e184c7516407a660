#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tam-stub's control interface, its log, its bounds, and what it does wrong on purpose. curl, jq and jose
# are the witnesses.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell; stderr is set by run --separate-stderr

load test_helper
load tam/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    world ec
    wants xbank/sd-1/demo
}

# guarded: a TAM with a control interface for tokens of control.jwk.
guarded() {
    otrp jwk --generate ec-p256 --force -o control.jwk
    otrp jwk --public --force -o control-pub.jwk control.jwk
    stub --control-key control-pub.jwk
}

token() {
    otrp token --key "${1:-control.jwk}" --aud "${2:-otrp-control}" "${@:3}"
}

# control PATH [CURL-OPTION...]: status and size, the body in the file body.
control() {
    rm -f body
    curl -s -o body -w '%{http_code} %{size_download}' "${@:2}" "${URL%/tam}$1"
}

# ---- the control interface ----

@test "devices: what each holds, in which version, and how its last session went" {
    device device
    guarded
    run control /control/devices -H "Authorization: Bearer $(token)"
    assert_equal "${output% *}" 200
    assert_equal "$(jq -c . body)" '{"devices":[]}'
    session device
    assert_success
    run control /control/devices -H "Authorization: Bearer $(token)"
    assert_equal "${output% *}" 200
    assert_equal "$(jq -r '.devices[0].did' body)" \
        "$(openssl x509 -in "$TEE-cert.pem" -outform DER | openssl sha256 -binary | base64)"
    assert_equal "$(jq -c '.devices[0] | [.tee, .sessions, .last_session.well]' body)" \
        '[{"name":"mytee","ver":"1.0"},1,true]'
    assert_equal "$(jq -c '.devices[0].sds' body)" "$(jq -nc \
        --arg c "$(openssl x509 -in "$SP-cert.pem" -outform DER | openssl sha256 -r | cut -d' ' -f1)" \
        --arg t "$(sha256sum < ta.bin | cut -d' ' -f1)" \
        '[{spid: "xbank", name: "sd-1", tas: [{taid: "demo", version: 1, sha256: $t}], certs: [$c]}]')"
    assert_equal "$(jq -c '.devices[0].aiks[0].spid' body)" '"xbank"'
}

@test "sessions: each with its transcript, which otrp and curl have seen, too" {
    device device
    guarded
    session device --transcript wire.jsonl
    assert_success
    next '' request.json
    run control /control/sessions -H "Authorization: Bearer $(token)"
    assert_equal "${output% *}" 200
    assert_equal "$(jq -c '[.sessions[] | [.state, .messages, .left_out]]' body)" '[["open",2,0],["done",8,0]]'
    assert_equal "$(jq -r '.sessions[0].tid' body)" "$(tbs request.json | jq -r .tid)"
    assert_equal "$(jq -c '.sessions[1].transcript[] | [.direction, .status, .body]' body)" \
        "$(jq -c '[.direction, .status, .body]' wire.jsonl)"
    assert_regex "$(jq -r '.sessions[1].how' body)" '^done: device .* is as the policy wants it$'
}

# refused_control CURL-OPTION...: 401 and nothing else.
refused_control() {
    local path
    for path in /control/devices /control/sessions /control /control/ /control/nothing; do
        run control "$path" "$@"
        assert_output '401 0'
    done
}

@test "no token, a wrong, expired or confused one: 401 and nothing else" {
    guarded
    refused_control
    refused_control -X POST
    refused_control -H 'Authorization: Bearer'
    refused_control -H 'Authorization: Bearer x.y.z'
    refused_control -H "Authorization: Basic $(token)"
    refused_control -H "Authorization: Bearer $(token control.jwk another)"
    refused_control -H "Authorization: Bearer $(token control.jwk otrp-control --ttl 1 --now 2001-01-01)"
    otrp jwk --generate ec-p256 -o other.jwk
    refused_control -H "Authorization: Bearer $(token other.jwk)"
    # HMAC with the public key as its secret
    jq -cj . control-pub.jwk > public.txt
    local unsigned
    unsigned=$(printf '{"alg":"HS256","typ":"JWT"}' | base64url_encode).$(
        printf '{"aud":"otrp-control","exp":%d}' $((EPOCHSECONDS + 600)) | base64url_encode)
    refused_control -H "Authorization: Bearer $unsigned.$(printf %s "$unsigned" |
        openssl dgst -sha256 -hmac "$(< public.txt)" -binary | base64url_encode)"
    refused_control -H "Authorization: Bearer $(printf '{"alg":"none"}' | base64url_encode).${unsigned#*.}."
    run control /control/devices -H "Authorization: Bearer $(token)"
    assert_output --regexp '^200 '
}

@test "with a token: GET alone, and only what there is" {
    guarded
    run control /control/devices -X POST -H "Authorization: Bearer $(token)"
    assert_output '405 0'
    run control /control/nothing -H "Authorization: Bearer $(token)"
    assert_output '404 0'
    run control /controls -H "Authorization: Bearer $(token)"
    assert_output '404 0'
}

@test "without --control-key there is no control interface" {
    stub
    run control /control/devices
    assert_output '404 0'
}

@test "a key that no token can be checked with is a usage error" {
    otrp jwk --generate rsa-2048 -o one.jwk
    jq -s '{keys: [., .] | flatten}' one.jwk > two.jwk
    run --separate-stderr otrp tam-stub --pki "$P" --control-key two.jwk --listen 127.0.0.1:0
    assert_equal "$status" 2
    assert_equal "$output" ""
    run --separate-stderr otrp tam-stub --pki "$P" --control-key none.jwk --listen 127.0.0.1:0
    assert_equal "$status" 2
}

# ---- the log ----

@test "--json: every line of the log is a JSON object" {
    device device
    stub --json
    session device
    assert_success
    run jq -r .event server.log
    assert_equal "$(sort -u <<< "$output" | xargs)" 'access session'
    assert_equal "$(jq -c 'select(.event == "access") | [.method, .path, .status]' server.log | sort | uniq -c |
        awk '{ print $1 $2 }')" '3["POST","/tam",200]
1["POST","/tam",204]'
    assert_equal "$(jq -r 'select(.event == "session") | .text' server.log | sed -n 2p)" 'GetDeviceState: pass'
    assert_equal "$(jq -r 'select(.event == "session") | .did // empty' server.log | sort -u)" \
        "$(openssl x509 -in "$TEE-cert.pem" -outform DER | openssl sha256 -binary | base64)"
}

@test "--json: a policy's mistakes and the error are JSON, too" {
    but '.a = 1 | .b = 2'
    run --separate-stderr otrp tam-stub --pki "$P" --policy policy.json --json
    assert_equal "$status" 6
    assert_equal "$(jq -r '.text // .error.message' <<< "$stderr")" 'policy.json: a: unknown member
policy.json: b: unknown member
policy.json: 2 mistakes'
}

@test "--quiet says warnings only" {
    device device
    stub --quiet
    session device
    assert_success
    assert_equal "$(< server.log)" ""
}

# ---- bounds ----

@test "bodies are bounded together: 503 when there are too many, and then again service" {
    stub --max-total 100000 --max-bytes 200000
    head -c 150000 /dev/zero > large
    run curl -s -o /dev/null -w '%{http_code}' -H "Accept: $OTRP_TYPE" -H "Content-Type: $OTRP_TYPE" \
        --data-binary @large "$URL"
    assert_output 503
    run curl -s -o /dev/null -w '%{http_code}' -H "Accept: $OTRP_TYPE" -H "Content-Type: $OTRP_TYPE" \
        -H 'Transfer-Encoding: chunked' --data-binary @large "$URL"
    assert_output 503
    head -c 60000 /dev/zero > half
    for _ in 1 2 3; do
        run curl -s -o /dev/null -w '%{http_code}' -H "Accept: $OTRP_TYPE" -H "Content-Type: $OTRP_TYPE" \
            --data-binary @half "$URL"
        assert_output 400
    done
    run tam '' -o /dev/null -w '%{http_code}'
    assert_output 200
}

# ---- faults ----

@test "--fault list names what a server, and what a message can do wrong" {
    run --separate-stderr otrp tam-stub --fault list
    assert_success
    assert_equal "$(tail -n 7 <<< "$output" | cut -d' ' -f1 | xargs)" \
        'wrong-status wrong-type redirect-loop half-answer silence other-session endless-session'
    assert_line --regexp '^signature +[A-Z_]+ +every message: the signature is changed$'
    # a name that stands there twice is of different messages
    assert_equal "$(head -n -7 <<< "$output")" "$(otrp make-request --break list)"
    assert_equal "$(awk '{ print $1, $3 }' <<< "$output" | sort | uniq -d)" ""
    run --separate-stderr otrp tam-stub --fault list --json
    assert_equal "$(jq -r '[.[] | select(.types | not)] | length' <<< "$output")" 7
}

@test "faults that there are not, or that exclude each other" {
    run --separate-stderr otrp tam-stub --pki "$P" --fault nonsense
    assert_equal "$status" 2
    assert_equal "$stderr" "otrp tam-stub: error: --fault: there is no fault 'nonsense'
hint: --fault list names them all"
    run --separate-stderr otrp tam-stub --pki "$P" --fault silense
    assert_equal "$stderr" "otrp tam-stub: error: --fault: there is no fault 'silense'
hint: did you mean 'silence'? --fault list names them all"
    run --separate-stderr otrp tam-stub --pki "$P" --fault expird
    assert_regex "$stderr" "hint: did you mean 'expired'\?"
    run --separate-stderr otrp tam-stub --pki "$P" --fault silence --fault half-answer
    assert_equal "$status" 2
    assert_regex "$stderr" 'error: --fault: half-answer: one fault of the server at a time'
}

@test "a mutation breaks each request that it fits, and the device refuses it" {
    device device
    stub --fault signature
    logged 'warning: does wrong on purpose: signature'
    session device
    assert_equal "$status" 8
    assert_regex "$stderr" 'GetDeviceState: ERR_REQUEST_INVALID'
    holds device
    stub --fault content-tag
    session device
    assert_equal "$status" 8
    assert_regex "$stderr" 'CreateSD: ERR_REQUEST_INVALID'
    holds device
}

@test "faults of the server: status, type, redirect" {
    stub --fault wrong-status
    run tam '' -o /dev/null -w '%{http_code} %{content_type}'
    assert_output "500 $OTRP_TYPE"
    stub --fault wrong-type
    run tam '' -o /dev/null -w '%{http_code} %{content_type}'
    assert_output '200 text/html'
    stub --fault redirect-loop
    run tam '' -o /dev/null -w '%{http_code} %{redirect_url}'
    assert_output "307 $URL"
    run tam '' -o /dev/null -L --max-redirs 5 -w '%{num_redirects}'
    assert_equal "$status" 47
    assert_output 5
}

@test "faults of the server: half an answer" {
    stub --fault half-answer
    run tam '' -o half.json -w '%{http_code}'
    assert_equal "$status" 18
    assert_output 200
    run jq . half.json
    refute [ "$status" = 0 ]
}

@test "faults of the server: silence, until the client gives up or the deadline comes, and it stops at once" {
    stub --fault silence --deadline 1
    run tam '' -o /dev/null -w '%{http_code}'
    assert_output 000
    assert_equal "$status" 52
    stop_server
    stub --fault silence --deadline 3600
    : > server.log
    tam '' -o /dev/null -m 60 &
    local client=$!
    until grep -q '"POST /tam" 0 ' server.log; do
        curl -s -o /dev/null "$URL"
    done
    stop_server
    wait "$client" || assert_equal "$?" 52
}

@test "faults of the server: an answer to another session" {
    device device
    stub --fault other-session
    next '' request.json
    answers device request.json answer.json
    next answer.json other.json
    assert_equal "$(jq -r 'keys[]' other.json)" GetDeviceStateRequest
    refute [ "$(tbs other.json | jq -r .tid)" = "$(tbs request.json | jq -r .tid)" ]
}

@test "faults of the server: an endless session" {
    wants
    device device
    stub --fault endless-session
    next '' request.json
    for _ in 1 2 3; do
        answers device request.json answer.json
        next answer.json request.json
        assert_equal "$(jq -r 'keys[]' request.json)" GetDeviceStateRequest
    done
}
