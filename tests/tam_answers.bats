#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tam-stub: which answers it believes, and what becomes of a session when it does not. jq, jose and
# openssl make the answers.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell; stderr is set by run --separate-stderr

load test_helper
load tam/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# The sessions of others have not noticed.
others_go_on() {
    next waiting.json request.json
    answers bystander request.json waiting.json
    next waiting.json request.json
    answers bystander request.json waiting.json
    ends waiting.json
    holds bystander 'mytam xbank/sd-1' 'mytam xbank/sd-1/demo'
    holds device
    device fresh
    session fresh
    took GetDeviceState CreateSD InstallTA
}

GDS='.GetDeviceStateResponse[0].GetDeviceTEEStateResponse'

# a_changed_byte_in_each_part: of the answer to a GetDeviceState.
a_changed_byte_in_each_part() {
    two_sessions
    local member reason
    for member in protected signature; do
        flip_last_byte_of "$GDS.$member" < sound.json > forged.json
        case $member in
        protected) reason='.*\.protected: line 1: .*' ;;
        signature) reason='.*signature.*' ;;
        esac
        disbelieved forged.json "$reason"
        unclaimed sound.json
        another
    done
    for member in tag iv ciphertext 'recipients[0].encrypted_key'; do
        payload sound.json | flip_last_byte_of ".[].edsi.$member" | jose b64 enc -I- -o payload.b64
        jq -c --rawfile payload payload.b64 "$GDS.payload = (\$payload | rtrimstr(\"\n\"))" sound.json > forged.json
        disbelieved forged.json 'edsi: .*'
        unclaimed sound.json
        another
    done
    # what only the signature tells
    altered sound.json '.[].signerreq |= not' > forged.json
    disbelieved forged.json '.*signature.*'
    another
    altered sound.json '.[].unknown = 1' > forged.json
    disbelieved forged.json '.*signature.*'
    others_go_on
}

@test "an answer with a changed byte in any part ends its session, and no other: RSA" {
    world rsa
    a_changed_byte_in_each_part
}

@test "an answer with a changed byte in any part ends its session, and no other: EC" {
    world ec
    a_changed_byte_in_each_part
}

@test "what cannot be matched to a session ends none" {
    world ec
    two_sessions
    local filter
    jq -c 'with_entries(.key = "CreateSDRequest")' sound.json > forged.json
    unclaimed forged.json
    for filter in '. + {x: 1}' '.GetDeviceStateResponse += .GetDeviceStateResponse' \
        '.GetDeviceStateResponse = []' '[.]' "$GDS.payload = 1" "del($GDS.payload)" "$GDS.payload += \"=\"" \
        "$GDS.payload = \"\"" '{OTrPBrokerError: {ver: "1.0", rid: "", tid: "", errcode: "ERR_AGENT_TEE_FAIL"}}'; do
        jq -c "$filter" sound.json > forged.json
        unclaimed forged.json
    done
    altered sound.json '.[].tid = "another"' > forged.json
    unclaimed forged.json
    altered sound.json 'with_entries(.key = "CreateSDTBSResponse")' > forged.json
    unclaimed forged.json
    resigned sound.json '.[].tid = "another"' > forged.json
    unclaimed forged.json
    next sound.json request.json
    others_go_on
}

@test "a sound signature does not help a message that is wrong" {
    world ec
    two_sessions
    local filter reason
    while IFS='|' read -r filter reason; do
        resigned sound.json "$filter" > forged.json
        disbelieved forged.json "$reason"
        another
    done << 'END'
.[].ver = "2.0"|.*\.ver: "2\.0", not "1\.0"
.[].ver = 1|.*\.ver: not a string
del(.[].ver)|.*\.ver: missing
.[].status = "PASS"|.*\.status: "PASS", neither pass nor fail
.[].rid = "another"|rid: "another", the request has ".*"
del(.[].rid)|.*\.rid: missing
. + {x: 1}|payload: .*
del(.[].edsi)|.*no TEE certificate to verify it with
.[].edsi = {}|edsi.*
END
    others_go_on
}

@test "an answer must be signed by the device whose state it tells" {
    world ec
    two_sessions
    resigned sound.json . "$P/tee/tee/tee-othertee-$K-key.jwk" > forged.json
    disbelieved forged.json '.*signature.*'
    another
    # the other way round: its own signature, another one's certificate
    plaintext sound.json "$TAM-key.jwk" |
        jq -cjS --arg cert "$(der "$P/tee/tee/tee-othertee-$K-cert.pem")" '.dsi.tee.cert = $cert' |
        sealed "$TAM-pub.jwk" > edsi.json
    resigned sound.json ".[].edsi = $(< edsi.json)" > forged.json
    disbelieved forged.json '.*signature.*'
    another
    # its own key, in a certificate that nobody has issued
    openssl req -x509 -key "$TEE-key.pem" -subj /O=OTrP/OU=TEE/CN=mytee -days 2 \
        -addext keyUsage=critical,digitalSignature,keyAgreement -out own.pem 2> /dev/null
    plaintext sound.json "$TAM-key.jwk" | jq -cjS --arg cert "$(der own.pem)" '.dsi.tee.cert = $cert' |
        sealed "$TAM-pub.jwk" > edsi.json
    resigned sound.json ".[].edsi = $(< edsi.json)" > forged.json
    disbelieved forged.json 'CN=mytee,OU=TEE,O=OTrP: .*'
    others_go_on
}

@test "an answer without a signature, or with one that needs no private key, is not believed" {
    world rsa
    two_sessions
    jq -c "$GDS.protected = (\"{\\\"alg\\\":\\\"none\\\"}\" | @base64 | rtrimstr(\"=\") | rtrimstr(\"=\")) | $GDS.signature = \"\"" \
        sound.json > forged.json
    disbelieved forged.json '.*none.*'
    another
    openssl x509 -in "$TEE-cert.pem" -noout -pubkey > public.pem
    payload sound.json > payload.json
    jose jws sig -I payload.json -s '{"protected":{"alg":"HS256"}}' -o jws.json \
        -k <(jq -Rs '{kty: "oct", k: (@base64 | gsub("\\+"; "-") | gsub("/"; "_") | gsub("="; ""))}' public.pem)
    jq -c --slurpfile signed jws.json "$GDS = \$signed[0]" sound.json > forged.json
    disbelieved forged.json '.*HS256.*'
    another
    jq -c "del($GDS.signature)" sound.json > forged.json
    disbelieved forged.json '.*'
    others_go_on
}

@test "a device of another hierarchy gets nothing" {
    world rsa
    wants xbank/sd-1
    otrp tee-sim init -q --state foreign --tee-key "$PKI_EC/tee/tee/tee-mytee-ec-key.pem" \
        --tee-cert "$PKI_EC/tee/tee/tee-mytee-ec-cert-plus-intermediate-cert.pem" --tam-root "$P/tam/tam-rootca"
    stub
    next '' request.json
    answers foreign request.json answer.json
    disbelieved answer.json 'CN=TEE CA 1,OU=TEE,O=OTrP: its issuer is .*'
    but '.require_tfw = false'
    stub --tee-root "$PKI_EC/tee/tee-rootca"
    session foreign
    took GetDeviceState CreateSD
}

@test "an answer that comes again, or to another request of its session, is not believed" {
    world ec
    two_sessions
    next sound.json request.json
    disbelieved sound.json 'rid: ".*", the request has ".*"'
    unclaimed sound.json
    answers device request.json late.json
    unclaimed late.json
    holds device 'mytam xbank/sd-1'
    # the right rid, tid and key, but not the right kind of answer
    another
    next sound.json request.json
    assert_equal "$(jq -r 'keys[]' request.json)" InstallTARequest
    resigned late.json ".[].rid = \"$(tbs request.json | jq -r .rid)\" | .[].tid = \"$(tbs request.json | jq -r .tid)\"" > forged.json
    recontented request.json forged.json . > made.json
    disbelieved made.json 'it answers another request, with CreateSDResponse'
}

@test "the answer of one session does not go into another" {
    world ec
    wants xbank/sd-1
    device device
    device other --name othertee
    stub
    next '' a.json
    next '' b.json
    answers device a.json answer-a.json
    answers other b.json answer-b.json
    # the state of one device, in the session of the other
    altered answer-a.json ".[].tid = \"$(tbs b.json | jq -r .tid)\" | .[].rid = \"$(tbs b.json | jq -r .rid)\"" > forged.json
    disbelieved forged.json '.*signature.*'
    unclaimed answer-b.json
    next answer-a.json request.json
    # another device goes on in the session of the first
    next '' b.json
    answers other b.json answer-b.json
    next answer-b.json request-b.json
    answers other request-b.json answer-b.json
    altered answer-b.json ".[].tid = \"$(tbs request.json | jq -r .tid)\" | .[].rid = \"$(tbs request.json | jq -r .rid)\"" > forged.json
    disbelieved forged.json 'content: .*'
    ends answer-b.json
}

# recontented REQUEST ANSWER FILTER: ANSWER with the plaintext of its content changed by jq and
# encrypted under the key of REQUEST, signed anew.
recontented() {
    otrp decrypt -q --force --key "$TEE-key.pem" --save-cek cek.jwk "$1" > /dev/null
    plaintext "$2" "$TAM-key.jwk" | jq -cj "$3" |
        otrp encrypt --to "$TAM-cert.pem" --cek cek.jwk > content.json
    resigned "$2" ".[].content = $(< content.json)"
}

@test "a device cannot speak for another one in mid-session" {
    world ec
    wants xbank/sd-1
    device device
    stub
    local filter reason other
    other=$(openssl x509 -in "$P/tee/tee/tee-othertee-$K-cert.pem" -outform DER | openssl sha256 -binary | base64)
    while IFS='|' read -r filter reason; do
        otrp tee-sim reset --state device > /dev/null 2>&1
        next '' request.json
        answers device request.json answer.json
        next answer.json request.json
        answers device request.json answer.json
        recontented request.json answer.json "$filter" > forged.json
        disbelieved forged.json "$reason"
    done << END
.did = "$other"|content\\.did: not that of the TEE certificate
.dsi.tee.cert = "$(der "$P/tee/tee/tee-othertee-$K-cert.pem")"|dsi: of another device than the session's
del(.did)|content\\.did: missing
.dsi = {}|content\\.dsi\\.tee: missing
END
}

@test "a device that says pass and does nothing is not asked for ever" {
    world ec
    wants xbank/sd-1
    device device
    stub
    next '' request.json
    answers device request.json answer.json
    plaintext answer.json "$TAM-key.jwk" > before.json
    next answer.json request.json
    answers device request.json answer.json
    recontented request.json answer.json ".dsi = $(jq -c .dsi before.json)" > lazy.json
    ends lazy.json
    logged "$TID ended: the device says pass to CreateSD xbank/sd-1, but its state does not show it"
}

@test "a failed GetDeviceState, which nobody has signed, ends the session" {
    world ec
    two_sessions
    altered sound.json '.[] |= {ver, status: "fail", rid, tid, reason: {"error-code": "ERR_TEE_FAIL"}}' > failed.json
    ends failed.json
    logged "$TID GetDeviceState: ERR_TEE_FAIL"
    unclaimed sound.json
    another
    altered sound.json '.[] |= {ver, status: "fail", rid, tid}' > failed.json
    disbelieved failed.json 'reason: missing in a failure'
    another
    # later failures have a signature
    next sound.json request.json
    answers device request.json answer.json
    altered answer.json '.[] |= {ver, status: "fail", rid, tid, reason: {"error-code": "ERR_TEE_FAIL"}}' > failed.json
    disbelieved failed.json '.*signature.*'
    otrp tee-sim reset --state device > /dev/null 2>&1
    others_go_on
}

# A broker's error for the waiting request request.json.
broker_error() {
    tbs request.json | jq -c '{OTrPBrokerError: {ver: "1.0", rid, tid, errcode: "ERR_AGENT_TEE_FAIL"}}'
}

@test "a broker's error ends its session" {
    world ec
    two_sessions
    broker_error > error.json
    ends error.json
    logged "$TID GetDeviceState: ERR_AGENT_TEE_FAIL"
    unclaimed sound.json
    others_go_on
}

@test "a broker's error must be for the request that waits" {
    world ec
    two_sessions
    broker_error | jq -c '.[].rid = "another"' > error.json
    disbelieved error.json 'rid: .*'
    others_go_on
}

@test "a broker's error has all its members" {
    world ec
    two_sessions
    local member
    for member in ver rid errcode; do
        broker_error | jq -c "del(.[].$member)" > error.json
        disbelieved error.json ".*$member: missing"
        another
    done
    others_go_on
}

@test "nothing that a peer says can forge lines of the log" {
    world ec
    two_sessions
    broker_error | jq -c '.[].errcode = "ERR\notrp tam-stub: forged\u001b[2J"' > error.json
    ends error.json
    another
    altered sound.json '.[] |= {ver, status: "fail", rid, tid, reason: {"error-code": "ERR",
        "error-message": "no\notrp tam-stub: forged"}}' > failed.json
    ends failed.json
    another
    altered sound.json '.[].rid = "no\notrp tam-stub: forged"' > forged.json
    run tam forged.json -w '%{http_code}'
    assert_output 400
    run curl -s -o /dev/null -w '%{http_code}' "${URL%/tam}/%0Aotrp%20tam-stub:%20forged"
    assert_output 404
    run grep -c '^otrp tam-stub: forged' server.log
    assert_output 0
    run grep -c $'\033' server.log
    assert_output 0
}

@test "the session that waits longest gives way to the one above --max-sessions" {
    world ec
    wants
    device device
    stub --max-sessions 64
    next '' first.json
    next '' second.json
    curl -s -X POST -H "Accept: $OTRP_TYPE" -o /dev/null "$URL?[1-63]"
    logged "$(tbs first.json | jq -r .tid) forgotten: no answer to GetDeviceState, and too many sessions"
    answers device first.json answer.json
    unclaimed answer.json
    answers device second.json answer.json
    ends answer.json
}
