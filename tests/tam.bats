#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tam-stub: what it asks devices for, what it believes, and how it speaks HTTP. curl, jq, jose, openssl
# and sqlite3 are the witnesses.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell; stderr is set by run --separate-stderr

load test_helper
load tam/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# ---- from a device's state to the policy's ----

# The answers to messages so far: their statuses.
statuses() {
    sed -nE 's/.*"POST \/tam" ([0-9]+) .*/\1/p' server.log | xargs
}

# What the log says that devices have done.
done_so_far() {
    sed -nE "s/^otrp tam-stub: $TID (.*): pass\$/\\1/p" server.log
}

brings_a_blank_device_into_its_state() {
    wants xbank/sd-1/demo
    device device
    stub
    session device
    took GetDeviceState CreateSD InstallTA
    holds device 'mytam xbank/sd-1' 'mytam xbank/sd-1/demo'
    local fingerprint
    fingerprint=$(openssl x509 -in "$SP-cert.pem" -outform DER | openssl sha256 -r | cut -d' ' -f1)
    run sqlite3 device/state.db "SELECT spid, sd_cert.sha256, taid, ta.version, ta.size
        FROM sd JOIN sd_cert ON sd_cert.sd = sd.id JOIN ta ON ta.sd = sd.id"
    assert_output "xbank|$fingerprint|demo|1|14"
    run sqlite3 device/state.db "SELECT tamid, spid FROM aik"
    assert_output "mytam|xbank"
    assert_equal "$(done_so_far)" "GetDeviceState
CreateSD xbank/sd-1
InstallTA demo in xbank/sd-1"
    assert_equal "$(statuses)" "200 200 200 204"
    logged "$TID done: device $(openssl x509 -in "$TEE-cert.pem" -outform DER | openssl sha256 -binary |
        base64 | sed 's/[+]/\\+/g') is as the policy wants it"
}

@test "a session brings a blank device into the policy's state: RSA" {
    world rsa
    brings_a_blank_device_into_its_state
}

@test "a session brings a blank device into the policy's state: EC" {
    world ec
    brings_a_blank_device_into_its_state
}

@test "a device that is in the policy's state is only asked for it" {
    world ec
    wants xbank/sd-1/demo
    device device
    stub
    session device
    assert_success
    : > server.log
    local before
    before=$(sqlite3 device/state.db "SELECT * FROM sd; SELECT id, taid FROM ta; SELECT hex(key) FROM aik")
    session device
    took GetDeviceState
    assert_equal "$(statuses)" "200 204"
    assert_equal "$(sqlite3 device/state.db "SELECT * FROM sd; SELECT id, taid FROM ta; SELECT hex(key) FROM aik")" \
        "$before"
}

takes_everything_away() {
    wants xbank/sd-1/demo
    device device
    stub
    session device
    assert_success
    wants
    stub
    : > server.log
    session device
    took GetDeviceState DeleteTA DeleteSD
    holds device
    assert_equal "$(done_so_far)" "GetDeviceState
DeleteTA demo in xbank/sd-1
DeleteSD xbank/sd-1"
    run sqlite3 device/state.db "SELECT count(*) FROM aik"
    assert_output 0
}

@test "an empty policy that removes takes TAs and SDs away: RSA" {
    world rsa
    takes_everything_away
}

@test "an empty policy that removes takes TAs and SDs away: EC" {
    world ec
    takes_everything_away
}

@test "several SPs, SDs and TAs come in the order of the policy" {
    world ec
    wants xbank/sd-1/b xbank/sd-1/a xbank/sd-2 ybank/sd-1/a ybank/sd-3/c
    device device
    stub
    session device
    assert_success
    assert_equal "$(done_so_far)" "GetDeviceState
CreateSD xbank/sd-1
InstallTA b in xbank/sd-1
InstallTA a in xbank/sd-1
CreateSD xbank/sd-2
CreateSD ybank/sd-1
InstallTA a in ybank/sd-1
CreateSD ybank/sd-3
InstallTA c in ybank/sd-3"
    holds device 'mytam xbank/sd-1' 'mytam xbank/sd-1/a' 'mytam xbank/sd-1/b' 'mytam xbank/sd-2' \
        'mytam ybank/sd-1' 'mytam ybank/sd-1/a' 'mytam ybank/sd-3' 'mytam ybank/sd-3/c'
}

@test "names that share their first eighty bytes are told apart" {
    world ec
    local long
    long=$(printf '%0100d' 0)
    wants "xbank/${long}1" "xbank/${long}2/${long}1" "xbank/${long}2/${long}2"
    device device
    stub
    session device
    assert_success
    holds device "mytam xbank/${long}1" "mytam xbank/${long}2" "mytam xbank/${long}2/${long}1" \
        "mytam xbank/${long}2/${long}2"
}

@test "names of 255 bytes, and in any script, go the whole way" {
    world ec
    local long
    long=$(printf 'é%.0s' {1..127})x
    wants xbank/銀行/デモ "xbank/$long/$long"
    device device
    stub
    session device
    assert_success
    holds device "mytam xbank/銀行" "mytam xbank/銀行/デモ" "mytam xbank/$long" "mytam xbank/$long/$long"
}

@test "what is not listed goes first, what is listed stays" {
    world ec
    wants xbank/sd-1/old xbank/sd-1/kept ybank/sd-2/old
    device device
    stub
    session device
    assert_success
    local kept
    kept=$(sqlite3 device/state.db "SELECT id FROM ta WHERE taid = 'kept'")
    wants xbank/sd-1/kept xbank/sd-1/new
    stub
    session device
    took GetDeviceState DeleteTA DeleteTA DeleteSD InstallTA
    holds device 'mytam xbank/sd-1' 'mytam xbank/sd-1/kept' 'mytam xbank/sd-1/new'
    assert_equal "$(sqlite3 device/state.db "SELECT id FROM ta WHERE taid = 'kept'")" "$kept"
}

@test "without remove_unlisted nothing is taken away" {
    world ec
    wants xbank/sd-1/old ybank/sd-2
    device device
    stub
    session device
    assert_success
    local how
    for how in '.remove_unlisted = false' 'del(.remove_unlisted)'; do
        wants xbank/sd-1/new
        but "$how"
        stub
        session device
        assert_success
        holds device 'mytam xbank/sd-1' 'mytam xbank/sd-1/new' 'mytam xbank/sd-1/old' 'mytam ybank/sd-2'
    done
}

@test "without a policy devices are asked for their state, and keep it" {
    world ec
    wants xbank/sd-1/demo
    device device
    stub
    session device
    assert_success
    start_server otrp tam-stub --pki "$P" --listen 127.0.0.1:0
    session device
    took GetDeviceState
    holds device 'mytam xbank/sd-1' 'mytam xbank/sd-1/demo'
}

@test "another TAM neither sees nor removes what is not its own" {
    world ec
    wants xbank/sd-1/demo
    device device
    stub
    session device
    assert_success
    wants xbank/sd-1/other
    stub --tam othertam
    session device
    took GetDeviceState CreateSD InstallTA
    holds device 'mytam xbank/sd-1' 'mytam xbank/sd-1/demo' 'othertam xbank/sd-1' \
        'othertam xbank/sd-1/other'
    run sqlite3 device/state.db "SELECT count(DISTINCT hex(key)) FROM aik WHERE spid = 'xbank'"
    assert_output 2
    wants
    stub --tam othertam
    session device
    took GetDeviceState DeleteTA DeleteSD
    holds device 'mytam xbank/sd-1' 'mytam xbank/sd-1/demo'
    wants xbank/sd-1/demo
    stub
    session device
    took GetDeviceState
}

# ---- TAs ----

@test "a TA package that its SP has signed needs no key in the policy" {
    world rsa
    otrp sign --key "$SP-key.pem" --protected '{"taid":"flattened","taver":7}' -o flattened.jws ta.bin
    jose jws sig -I ta.bin -k "$SP-key.jwk" -s '{"protected":{"alg":"RS256"}}' -c -o compact.jws
    wants xbank/sd-1/flattened xbank/sd-1/compact
    but 'del(.sps[].key) | .sps[].sds[].tas[] |= {taid, file: (.taid + ".jws")}'
    device device
    stub
    session device
    assert_success
    run sqlite3 device/state.db "SELECT taid, version, size FROM ta ORDER BY taid"
    assert_output "compact||14
flattened|7|14"
}

@test "a TA that devices would refuse is refused with the policy: signed by another SP, or for another taid" {
    world ec
    otrp sign --key "$SP2-key.pem" --protected '{"taid":"demo"}' -o other-sp.jws ta.bin
    otrp sign --key "$SP-key.pem" --protected '{"taid":"another"}' -o other-taid.jws ta.bin
    local file
    for file in other-sp other-taid; do
        wants xbank/sd-1/demo
        but ".sps[].sds[].tas[] |= {taid, file: \"$file.jws\"}"
        run --separate-stderr otrp tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0
        assert_equal "$output" ""
        case $file in
        other-sp) assert_equal "$status" 3 && assert_regex "$stderr" "tas\[0\]\.file: not signed with the SP's cert" ;;
        *) assert_equal "$status" 6 && assert_regex "$stderr" 'tas\[0\]: the package is for another taid' ;;
        esac
    done
}

@test "name and personalisation data of a TA reach the device" {
    world ec
    printf 'account 12345' > pdata.bin
    wants xbank/sd-1/demo
    but '.sps[].sds[].tas[] += {name: "A demo", pdata: "pdata.bin"}'
    device device
    stub
    session device
    assert_success
    run sqlite3 device/state.db "SELECT taname, size, length(pdata) > 13, instr(hex(pdata), hex('account')) FROM ta"
    assert_output "A demo|27|1|0"
}

# A device made by hand: it has an SD, and an AIK that the test knows. What the TAM sends for it is
# opened with jose and openssl.
sends_what_other_programs_open() {
    printf 'account 12345' > pdata.bin
    wants xbank/sd-1/demo
    but '.sps[].sds[].tas[] += {name: "A demo", version: 5, pdata: "pdata.bin"}'
    device device
    stub
    next '' gds.json
    answers device gds.json answer.json
    if [ "$K" = rsa ]; then
        openssl genrsa -out aik.pem 2048 2> /dev/null
        openssl rsa -in aik.pem -RSAPublicKey_out -outform DER -out aik.der 2> /dev/null
    else
        openssl ecparam -name prime256v1 -genkey -noout -out aik.pem
        openssl pkey -in aik.pem -pubout -outform DER -out aik.der
    fi
    plaintext answer.json "$TAM-key.jwk" | jq -cjS --arg aik "$(base64 -w 0 aik.der)" --arg k "$K" '
        .dsi.tee.sdlist = {cnt: "1", sd: [{name: "sd-1", spid: "xbank", talist: []}]}
        | .dsi.tee.teeaiklist = [{spaik: $aik, spaiktype: (if $k == "rsa" then "RSA" else "ECC" end), spid: "xbank"}]
        ' > edsi.json
    resigned answer.json ".[].edsi = $(sealed "$TAM-pub.jwk" < edsi.json)" > made.json
    next made.json install.json
    assert_equal "$(jq -c keys install.json)" '["InstallTARequest"]'

    jose jws ver -i <(jq -c '.InstallTARequest | del(.header)' install.json) -k "$TAM-pub.jwk" -O tbs.json
    assert_equal "$(jq -c 'keys' tbs.json)" '["InstallTATBSRequest"]'
    assert_equal "$(jq -r '.[] | .ver, .tid, .tee, .nextdsi, .encrypted_ta.alg' tbs.json | xargs)" \
        "1.0 $(tbs gds.json | jq -r .tid) mytee true AESCBC"
    assert_equal "$(jq -r '.[].dsihash' tbs.json)" "$(openssl sha256 -binary edsi.json | base64)"
    jq '.[].content' tbs.json | jose jwe dec -i- -k "$TEE-key.jwk" -O content.json
    assert_equal "$(jq -cS . content.json)" \
        '{"sdname":"sd-1","spid":"xbank","taid":"demo","tamid":"mytam","taname":"A demo"}'

    otrp jwk aik.pem > aik.jwk
    jq '.[].encrypted_ta.key' tbs.json | jose jwe dec -i- -k aik.jwk -O key.bin
    assert_equal "$(wc -c < key.bin)" 32
    local iv name
    iv=$(jq -r '.[].encrypted_ta.iv' tbs.json)
    for name in ciphertadata cipherpdata; do
        jq -r ".[].encrypted_ta.$name" tbs.json | base64 -d |
            openssl enc -d -aes-256-cbc -K "$(xxd -p -c 64 key.bin)" -iv "$iv" -out "$name"
    done
    assert_equal "$(< cipherpdata)" 'account 12345'
    jose jws ver -i <(jq -c '{payload, protected, signature}' ciphertadata) -k "$SP-pub.jwk" -O ta.out
    assert_equal "$(< ta.out)" 'code of the TA'
    assert_equal "$(jq -r .protected ciphertadata | jose b64 dec -i- | jq -cS .)" \
        "{\"alg\":\"$ALG\",\"taid\":\"demo\",\"taver\":5}"
    assert_equal "$(jq -r '.header.x5c[0]' ciphertadata)" "$(der "$SP-cert.pem")"
}

@test "what an InstallTA carries opens with jose and openssl: RSA" {
    world rsa
    sends_what_other_programs_open
}

@test "what an InstallTA carries opens with jose and openssl: EC" {
    world ec
    sends_what_other_programs_open
}

@test "every request has its own rid, all of a session one tid, and no two sessions the same" {
    world ec
    wants xbank/sd-1 xbank/sd-2
    device device
    stub
    local i
    for i in 1 2; do
        next '' "request-$i-1.json"
        answers device "request-$i-1.json" "answer-$i-1.json"
        [ "$i" = 1 ] || continue
        next answer-1-1.json request-1-2.json
        answers device request-1-2.json answer-1-2.json
        next answer-1-2.json request-1-3.json
    done
    run jq -r "$JWS jws.payload | @base64d | fromjson | .[] | .rid" request-*.json
    assert_equal "$(sort -u <<< "$output" | wc -l)" 4
    run jq -r "$JWS jws.payload | @base64d | fromjson | .[] | .tid" request-1-*.json
    assert_equal "$(sort -u <<< "$output" | wc -l)" 1
    refute_line "$(tbs request-2-1.json | jq -r .tid)"
}

@test "a device state that has changed meanwhile is asked for anew, and the session goes on" {
    world ec
    wants xbank/sd-1/demo
    device device
    stub
    next '' request.json
    answers device request.json answer.json
    next answer.json request.json
    answers device request.json answer.json
    otrp make-request create-sd --pki "$P" --device answer.json --sp xbank --sdname aside -o aside.json
    otrp tee-sim process -q --state device aside.json > /dev/null
    next answer.json request.json
    assert_equal "$(jq -r 'keys[]' request.json)" InstallTARequest
    run --separate-stderr otrp tee-sim process --state device request.json
    assert_equal "$status" 8
    printf '%s' "$output" > answer.json
    next answer.json request.json
    assert_equal "$(jq -r 'keys[]' request.json)" GetDeviceStateRequest
    answers device request.json answer.json
    next answer.json request.json
    assert_equal "$(jq -r 'keys[]' request.json)" DeleteSDRequest
    answers device request.json answer.json
    next answer.json request.json
    assert_equal "$(jq -r 'keys[]' request.json)" InstallTARequest
    answers device request.json answer.json
    ends answer.json
    holds device 'mytam xbank/sd-1' 'mytam xbank/sd-1/demo'
    logged "$TID InstallTA demo in xbank/sd-1: ERR_DEV_STATE_MISMATCH: .*"
}

# ---- firmware ----

@test "require_tfw: a device without trusted firmware gets nothing" {
    world ec
    wants xbank/sd-1/demo
    device device --no-tfw
    stub
    session device
    assert_equal "$status" 7
    assert_regex "$stderr" 'HTTP status 400'
    holds device
    logged "$TID refused the answer to GetDeviceState: tfwdata: the device sent none"
    but '.require_tfw = false'
    stub
    session device
    took GetDeviceState CreateSD InstallTA
}

@test "require_tfw: firmware of another hierarchy is not trusted" {
    world rsa
    wants xbank/sd-1
    otrp tee-sim init -q --state device --tee-key "$TEE-key.pem" \
        --tee-cert "$TEE-cert-plus-intermediate-cert.pem" --tam-root "$P/tam/tam-rootca" \
        --tfw-key "$PKI_EC/tfw/tfw/tfw-mytee-ec-key.pem" \
        --tfw-cert "$PKI_EC/tfw/tfw/tfw-mytee-ec-cert-plus-intermediate-cert.pem" \
        --tfw-root "$PKI_EC/tfw/tfw-rootca"
    stub
    session device
    assert_equal "$status" 7
    holds device
    logged "$TID refused the answer to GetDeviceState: CN=mytee,OU=TFW,O=OTrP: .*"
    cat "$PKI_EC/tfw/"tfw-{rootca,ca}/*-cert.pem > firmware.pem
    stub --tfw-root firmware.pem
    session device
    took GetDeviceState CreateSD
}

@test "require_tfw: boot evidence of another session is not taken" {
    world rsa
    wants xbank/sd-1
    device device
    stub
    next '' gds.json
    answers device gds.json earlier.json
    next '' gds.json
    answers device gds.json answer.json
    plaintext earlier.json "$TAM-key.jwk" | jq -c .dsi.tfwdata > tfwdata.json
    plaintext answer.json "$TAM-key.jwk" | jq -cjS --slurpfile old tfwdata.json '.dsi.tfwdata = $old[0]' |
        sealed "$TAM-pub.jwk" > edsi.json
    resigned answer.json ".[].edsi = $(< edsi.json)" > made.json
    disbelieved made.json 'tfwdata\.tbs: not the tid of this session'
}

# ---- answers that are not believed ----

# Sets up a stub with a session that waits for waiting.json, and the sound answer sound.json to a
# GetDeviceState of another.
two_sessions() {
    wants xbank/sd-1/demo
    device device
    device bystander
    stub
    next '' request.json
    answers bystander request.json waiting.json
    another
}

# A session of its own for the next forgery.
another() {
    next '' request.json
    answers device request.json sound.json
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

# ---- trust of the device in the TAM ----

# refused_with REASON: the session has ended with the device's refusal.
refused_with() {
    assert_equal "$status" 8
    assert_regex "$stderr" "otrp send: error: GetDeviceState: ERR_TAM_NOT_TRUSTED: CN=mytam,OU=TAM,O=OTrP: $1"
    holds device
    logged "$TID GetDeviceState: ERR_TAM_NOT_TRUSTED: .*"
    logged "$TID ended: .*"
    assert_equal "$(statuses)" "200 204"
}

@test "a device refuses a TAM whose certificate has expired" {
    world ec
    wants xbank/sd-1
    device device
    otrp pki-ocsp --pki "$P" --days 3000 -o ocsp.json "$TAM-cert.pem"
    stub --ocsp ocsp.json
    session device --now "@$((EPOCHSECONDS + 1000 * 86400))"
    refused_with 'expired since 20[0-9-]+T'
    session device
    took GetDeviceState CreateSD
}

@test "a device refuses a TAM whose stapling data is stale" {
    world rsa
    wants xbank/sd-1
    device device
    stub
    session device --now "@$((EPOCHSECONDS + 8 * 86400))"
    refused_with 'its OCSP response is stale since 20[0-9-]+T'
    session device --now "@$((EPOCHSECONDS + 6 * 86400))"
    took GetDeviceState CreateSD
}

@test "a device refuses a TAM without stapling data, and the TAM has said that it would" {
    world ec
    wants xbank/sd-1
    device device
    start_server otrp tam-stub --tam-key "$TAM-key.pem" --tam-cert "$TAM-cert-plus-intermediate-cert.pem" \
        --tee-root "$P/tee/tee-rootca" --tfw-root "$P/tfw/tfw-rootca" --policy policy.json --listen 127.0.0.1:0
    logged 'warning: devices will refuse this TAM: CN=mytam,OU=TAM,O=OTrP: no OCSP response for it'
    session device
    refused_with 'no OCSP response for it'
}

# A copy of the PKI without the keys of the TAM's CAs.
pki_without_ca_keys() {
    cp -r "$P" pki-copy
    rm pki-copy/tam/tam-ca/*-key.pem
    P=$PWD/pki-copy
}

@test "the TAM warns when its stapling data lapses and the key of its CA is not at hand" {
    world ec
    wants xbank/sd-1
    pki_without_ca_keys
    stub --now "@$((EPOCHSECONDS + 6 * 86400))"
    run cat server.log
    assert_output ""
    stub --now "@$((EPOCHSECONDS + 7 * 86400 - 3600))"
    logged 'warning: devices will refuse this TAM from 20[0-9T:-]+Z on: its stapling set lapses; it cannot be renewed: .*tam-ca-1-ec-key.pem: .*'
    : > server.log
    stub --now "@$((EPOCHSECONDS + 8 * 86400))"
    logged 'warning: devices will refuse this TAM: CN=mytam,OU=TAM,O=OTrP: its OCSP response is stale since .*'
    run sed -n 2p server.log
    assert_output --partial "hint: make the stapling set anew with 'otrp pki-ocsp'"
}

@test "stapling data is renewed before it lapses when the key of the CA is at hand" {
    world ec
    wants xbank/sd-1
    device device
    local at=$((EPOCHSECONDS + 8 * 86400))
    stub --now "@$at"
    logged "stapling set renewed, good until $(date -u -d "@$((at + 7 * 86400 + 300))" +%Y-%m-%dT%H:%M:%SZ)"
    session device --now "@$at"
    took GetDeviceState CreateSD
}

@test "a revoked TAM gets no new stapling data" {
    world ec
    wants xbank/sd-1
    cp -r "$P" pki-copy
    P=$PWD/pki-copy
    sed -i -E $'s/^V(\t[^\t]*)\t\t(.*CN=mytam)$/R\\1\t260101000000Z\t\\2/' pki-copy/tam/tam-ca/*-index.txt
    grep -q '^R' pki-copy/tam/tam-ca/*-index.txt
    stub --now "@$((EPOCHSECONDS + 8 * 86400))"
    logged 'warning: devices will refuse this TAM: .*; it cannot be renewed: CN=mytam,OU=TAM,O=OTrP is revoked'
}

@test "a TAM can be made of files alone" {
    world rsa
    wants xbank/sd-1/demo
    device device
    cat "$P/tfw/"tfw-{rootca,ca}/*-cert.pem > firmware.pem
    start_server otrp tam-stub --tam-key "$TAM-key.jwk" --tam-cert "$TAM-cert-plus-intermediate-cert.pem" \
        --ocsp "$TAM-ocsp.json" --tee-root "$P/tee/tee-rootca" --tfw-root firmware.pem \
        --policy policy.json --listen 127.0.0.1:0
    run cat server.log
    assert_output ""
    session device
    took GetDeviceState CreateSD InstallTA
}

@test "a device of another fleet does not know the TAM" {
    world ec
    wants xbank/sd-1
    otrp tee-sim init -q --state device --pki "$PKI"
    stub
    session device
    assert_equal "$status" 8
    assert_regex "$stderr" 'error: GetDeviceState: ERR_TAM_NOT_TRUSTED: '
    holds device
}

# ---- HTTP ----

# asked CURL-OPTION...: what the server answers to that.
asked() {
    run curl -s -o body -w '%{http_code}' "$@" "$URL"
}

@test "only POST, only to its own path" {
    world ec
    wants
    stub
    assert_regex "$URL" '^http://127\.0\.0\.1:[1-9][0-9]*/tam$'
    local method
    for method in GET PUT DELETE OPTIONS PATCH; do
        run curl -si -X "$method" -H "Accept: $OTRP_TYPE" "$URL"
        assert_line --regexp '^HTTP/1\.1 405 '
        assert_line --regexp '^Allow: POST.$'
        assert_line --regexp '^Content-Length: 0.$'
    done
    run curl -sI -H "Accept: $OTRP_TYPE" "$URL"
    assert_line --regexp '^HTTP/1\.1 405 '
    local path
    for path in / /tam/ /tamx /TAM /control; do
        run curl -s -o /dev/null -w '%{http_code}' -X POST -H "Accept: $OTRP_TYPE" "${URL%/tam}$path"
        assert_output 404
    done
    asked -X POST -H "Accept: $OTRP_TYPE"
    assert_output 200
    run curl -s -o /dev/null -w '%{http_code}' -X POST -H "Accept: $OTRP_TYPE" "$URL?query"
    assert_output 200
}

@test "the TAM's messages are for those who accept them" {
    world ec
    wants
    stub
    local accept
    for accept in "$OTRP_TYPE" 'Application/OTrP+JSON' '*/*' 'application/*' "text/html, $OTRP_TYPE" \
        "$OTRP_TYPE;charset=utf-8" "$OTRP_TYPE;q=0.001" "text/*;q=0,application/otrp+json ; q=1.0" \
        "*/*;q=0, $OTRP_TYPE" "*/*;q=0,application/*" "$OTRP_TYPE, application/*;q=0"; do
        asked -X POST -H "Accept: $accept"
        assert_equal "$accept: $output" "$accept: 200"
    done
    for accept in 'text/html' 'application/json' 'application/otrp' 'application/otrp+jsonx' 'text/*' ',' \
        "$OTRP_TYPE;q=0" "$OTRP_TYPE;q=0.000" '*/*;q=0' "application/*;q=0" "*/*, $OTRP_TYPE;q=0" \
        "$OTRP_TYPE ; Q=0"; do
        asked -X POST -H "Accept: $accept"
        assert_equal "$accept: $output" "$accept: 406"
    done
    asked -X POST -H 'Accept:'
    assert_output 406
    asked -X POST -H 'Accept;'
    assert_output 406
}

@test "of media ranges that do not name the type, the most specific one decides" { # RFC 9110 section 12.5.1
    world ec
    wants
    stub
    asked -X POST -H 'Accept: application/*;q=0, */*'
    assert_output 406
    asked -X POST -H 'Accept: */*, application/*;q=0'
    assert_output 406
}

@test "an Accept header in two lines is one list" { # RFC 9110 section 5.3
    world ec
    wants
    stub
    asked -X POST -H 'Accept: text/html' -H "Accept: $OTRP_TYPE"
    assert_output 200
    asked -X POST -H 'Accept: */*' -H "Accept: $OTRP_TYPE;q=0"
    assert_output 406
}

@test "a body must be of the type of OTrP, whatever its parameters" {
    world ec
    two_sessions
    local type
    for type in text/plain application/json 'application/x-www-form-urlencoded' "x$OTRP_TYPE" "$OTRP_TYPE, text/plain"; do
        asked -H "Accept: $OTRP_TYPE" -H "Content-Type: $type" --data-binary @sound.json
        assert_equal "$type: $output" "$type: 415"
    done
    asked -H "Accept: $OTRP_TYPE" -H 'Content-Type:' --data-binary @sound.json
    assert_output 415
    asked -H "Accept: $OTRP_TYPE" -H "Content-Type: Application/OTRP+json ; charset=utf-8" --data-binary @sound.json
    assert_output 200
    assert_equal "$(jq -r 'keys[]' body)" CreateSDRequest
    # of nothing, no type is asked
    asked -X POST -H "Accept: $OTRP_TYPE" -H 'Content-Type: text/plain'
    assert_output 200
}

@test "what is refused by HTTP does not end a session" {
    world ec
    two_sessions
    asked -H "Accept: text/html" -H "Content-Type: $OTRP_TYPE" --data-binary @sound.json
    assert_output 406
    asked -H "Accept: $OTRP_TYPE" -H "Content-Type: text/plain" --data-binary @sound.json
    assert_output 415
    asked -X PUT -H "Accept: $OTRP_TYPE" -H "Content-Type: $OTRP_TYPE" --data-binary @sound.json
    assert_output 405
    next sound.json request.json
}

@test "a message above --max-bytes is refused with 413" {
    world ec
    wants
    stub --max-bytes 2000
    head -c 2001 /dev/zero > large
    run tam large -w '%{http_code} %{size_download}'
    assert_output "413 0"
    head -c 2000 /dev/zero > fits
    run tam fits -w '%{http_code} %{size_download}'
    assert_output "400 0"
}

@test "rubbish is refused with 400 and no word" {
    world ec
    two_sessions
    printf '\xff\xfe\0' > binary
    printf '%s' '{"a":' > cut.json
    printf '%s' '[]' > array
    printf '%s' '{"a":1,"a":2}' > twice
    printf '[%.0s' {1..100000} > deep
    printf ' ' > blank
    jq -c '. + .' sound.json | sed 's/^{\(.*\)}$/{\1,\1}/' > doubled
    local what
    for what in binary cut.json array twice deep blank doubled; do
        unclaimed "$what"
    done
    next sound.json request.json
}

@test "every answer has the headers that protect it, and says nothing more than it must" {
    world ec
    two_sessions
    printf rubbish > rubbish.json
    local how
    for how in 'rubbish.json 400' 'sound.json 200'; do
        run tam "${how% *}" -i
        assert_line --regexp "^HTTP/1\\.1 ${how#* } "
        assert_line --regexp '^Cache-Control: no-store.$'
        assert_line --regexp '^X-Content-Type-Options: nosniff.$'
        assert_line --regexp "^Content-Security-Policy: default-src 'none'.\$"
        assert_line --regexp '^Referrer-Policy: no-referrer.$'
        refute_line --regexp '^(Server|Set-Cookie|X-Powered-By)'
    done
    assert_line --regexp "^Content-Type: ${OTRP_TYPE/+/[+]}.\$"
    wants
    stub
    another
    run tam sound.json -i
    assert_line --index 0 --regexp '^HTTP/1\.1 204 '
    refute_line --regexp '^Content-Type'
    refute_line --partial '{'
}

# ---- starting and stopping ----

@test "port 0 picks a port, and the URL is all that standard output gets" {
    world ec
    wants xbank/sd-1
    device device
    stub
    assert_regex "$URL" '^http://127\.0\.0\.1:[1-9][0-9]*/tam$'
    session device
    assert_success
    stop_server
    run cat <&"$SERVER_OUT"
    assert_output ""
}

@test "a port that is taken is said so" {
    world ec
    wants
    stub
    run --separate-stderr otrp tam-stub --pki "$P" --listen "127.0.0.1:$PORT"
    assert_equal "$status" 7
    assert_equal "$output" ""
    assert_regex "$stderr" "error: 127\.0\.0\.1:$PORT: cannot listen: Address already in use"
}

@test "SIGTERM and SIGINT stop the server with exit code 0, whoever is connected" {
    world ec
    wants xbank/sd-1
    device device
    local signal socket
    for signal in TERM INT; do
        stub --deadline 1
        next '' request.json
        exec {socket}<> "/dev/tcp/127.0.0.1/$PORT"
        printf 'POST /tam HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n123' >&"$socket"
        kill -"$signal" "$SERVER_PID"
        run -1 read -r -t 20 -u "$SERVER_OUT" # its end, in time
        stop_server
        exec {socket}>&-
    done
}

@test "--once ends with the first session" {
    world ec
    wants xbank/sd-1
    device device
    stub --once
    session device
    took GetDeviceState CreateSD
    run -1 read -r -t 20 -u "$SERVER_OUT"
    stop_server
    run --separate-stderr otrp send --url "$URL" --tee device
    assert_equal "$status" 7
}

@test "--once ends with a session that fails" {
    world ec
    wants xbank/sd-1
    device device --no-tfw
    stub --once
    session device
    assert_equal "$status" 7
    assert_regex "$stderr" 'HTTP status 400'
    run -1 read -r -t 20 -u "$SERVER_OUT"
    stop_server
}

@test "--once does not end with what belongs to no session" {
    world ec
    wants xbank/sd-1
    device device
    stub --once
    printf rubbish > rubbish.json
    unclaimed rubbish.json
    asked -X GET
    assert_output 405
    session device
    took GetDeviceState CreateSD
}

@test "the access log has a line for each answer; --quiet has none" {
    world ec
    wants xbank/sd-1
    device device
    stub
    session device --transcript wire.jsonl
    assert_success
    asked
    assert_output 405
    local n='[0-9]+\.[0-9]ms' peer='127\.0\.0\.1:[1-9][0-9]*' sizes
    mapfile -t sizes < <(jq .bytes wire.jsonl)
    run sed -n '/ "/s/^otrp tam-stub: //p' server.log
    assert_equal "${#lines[@]}" 4
    assert_regex "${lines[0]}" "^$peer \"POST /tam\" 200 0 ${sizes[1]} $n\$"
    assert_regex "${lines[1]}" "^$peer \"POST /tam\" 200 ${sizes[2]} ${sizes[3]} $n\$"
    assert_regex "${lines[2]}" "^$peer \"POST /tam\" 204 ${sizes[4]} 0 $n\$"
    assert_regex "${lines[3]}" "^$peer \"GET /tam\" 405 0 0 $n\$"
    : > server.log
    stub --quiet
    session device
    took GetDeviceState
    run cat server.log
    assert_output ""
}

@test "what the options lack is said before the server starts" {
    world ec
    wants
    local options message
    while IFS='|' read -r options message; do
        # shellcheck disable=SC2086 # several options
        run --separate-stderr otrp tam-stub $options --listen 127.0.0.1:0
        assert_equal "$options: $status" "$options: 2"
        assert_equal "$output" ""
        assert_regex "$stderr" "$message"
    done << END
--policy policy.json|error: no TAM to sign with
--pki $P --tam nobody|nobody
--pki none|none
--pki $P --tls-cert x.pem|--tls-cert and --tls-key go together
--pki $P --tls-key x.pem|--tls-cert and --tls-key go together
--pki $P --policy none.json|none\\.json: cannot open
--pki $P --ocsp none.json|none\\.json: cannot open
--pki $P --tee-root none|none: cannot open
--pki $P --tam-key $SP-key.pem|is not the key of the certificate
--tam-key $TAM-key.pem --tam-cert $TAM-cert.pem|no TEE roots to trust
--tam-key $TAM-key.pem --tam-cert $TAM-cert.pem --tee-root $P/tee/tee-rootca --policy policy.json|there are no firmware roots
END
}

# ---- many at once ----

@test "thirty devices at once are all served" {
    world ec
    wants xbank/sd-1/demo ybank/sd-2
    device device
    stub
    local i pids=()
    for i in {1..30}; do
        cp -r device "device-$i"
    done
    for i in {1..30}; do
        "$OTRP" send -q --url "$URL" --tee "device-$i" 2> "send-$i.err" 3>&- &
        pids+=($!)
    done
    for i in {1..30}; do
        status=0
        wait "${pids[i - 1]}" || status=$?
        assert_equal "$i: $status $(< "send-$i.err")" "$i: 0 "
        holds "device-$i" 'mytam xbank/sd-1' 'mytam xbank/sd-1/demo' 'mytam ybank/sd-2'
    done
}

@test "the lines of the log do not mix, however many clients there are" {
    world ec
    wants
    stub
    curl -s --parallel --parallel-max 50 -X POST -H "Accept: $OTRP_TYPE" -o /dev/null "$URL?[1-1000]" 2> curl.err
    run grep -Evc "^otrp tam-stub: ($TID begins|127\\.0\\.0\\.1:[0-9]+ \"POST /tam\" 200 0 [0-9]+ [0-9.]+ms)\$" server.log
    assert_output 0
    assert_equal "$(wc -l < server.log)" 2000
    assert_equal "$(sed -nE "s/^otrp tam-stub: ($TID) begins\$/\\1/p" server.log | sort -u | wc -l)" 1000
}
