#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tam-stub: what it asks devices for, and what they make of it. jq, jose, openssl and sqlite3 are the
# witnesses. What it believes is in tam_answers.bats, how it serves in tam_server.bats.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell; stderr is set by run --separate-stderr

load test_helper
load tam/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# ---- from a device's state to the policy's ----

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
    local set=$P/tam/tam/tam-mytam-ec-ocsp.json bundle=$P/tam/tam/tam-mytam-ec-cert-plus-intermediate-cert.pem
    assert_output --partial "hint: make the stapling set anew with 'otrp pki-ocsp --pki $P --force -o $set $bundle', and send SIGHUP"
}

@test "the TAM whose certificate is revoked needs another certificate, not another stapling set" {
    world ec
    wants xbank/sd-1
    cp -r "$P" pki-copy
    P=$PWD/pki-copy
    cp "$P/tam/tam/tam-mytam-ec-ocsp.json" good.json
    otrp pki-revoke -q --pki "$P" "$P/tam/tam/tam-mytam-ec-cert.pem"
    otrp pki-ocsp -q --pki "$P" --force -o "$P/tam/tam/tam-mytam-ec-ocsp.json" "$P/tam/tam/tam-mytam-ec-cert.pem"
    stub
    logged 'warning: devices will refuse this TAM: CN=mytam,OU=TAM,O=OTrP: revoked at .*; it cannot be renewed: CN=mytam.* is revoked'
    run sed -n 2p server.log
    assert_output --partial "hint: what is revoked stays revoked: have a new certificate issued"
    # also where only the ledger knows
    cp good.json "$P/tam/tam/tam-mytam-ec-ocsp.json"
    : > server.log
    stub --now "@$((EPOCHSECONDS + 7 * 86400 - 3600))"
    logged 'warning: devices will refuse this TAM from .*; it cannot be renewed: CN=mytam.* is revoked'
    run sed -n 2p server.log
    assert_output --partial "hint: what is revoked stays revoked"
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
    sed -i -E $'s/^V(\t[^\t]*)\t\t(.*CN=mytam)$/R\\1\t200101000000Z\t\\2/' pki-copy/tam/tam-ca/*-index.txt
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
