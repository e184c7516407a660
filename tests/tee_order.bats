#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tee-sim: every error code that a request alone brings about, and the order of the checks: of two
# faults in one message, the row that comes first decides. What a code is for is written out here.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr
# shellcheck disable=SC2030,SC2031 # every test has variables of its own

load test_helper
load tee/helper

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    world ec
    printf 'code of the TA' > ta.bin
    otrp tee-sim init -q --state device --pki "$P" --max-sds 3
    request get-device-state --tid t | otrp tee-sim process -q --state device > state.json
    request create-sd --tid t --sp xbank --sdname a | otrp tee-sim process -q --state device > one.json
    mv one.json state.json
    request install-ta --tid t --sp xbank --sdname a --taid t --ta ta.bin | otrp tee-sim process -q --state device > two.json
    mv two.json state.json
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    world ec
    cp -r "$BATS_FILE_TMPDIR"/{device,state.json,ta.bin} .
    cp -r device kept
}

# answers PATTERN COMMAND...: the device, as it was, answers what COMMAND writes, and says why.
answers() {
    "${@:2}" > given.json
    rm -rf device
    cp -r kept device
    run --separate-stderr otrp tee-sim process --state device given.json
    assert_equal "$status ${*:2}" "8 ${*:2}"
    [[ $stderr =~ ^"otrp tee-sim process: error: "[A-Za-z]+": "$1 ]] || fail "$1 expected of ${*:2}: $stderr"
}

# The rows of otrp-messages(7), CHECKS OF A TEE, for InstallTA, in their order: name, how it is broken, what is said.
rows=(
    'envelope        trailing               ERR_REQUEST_INVALID: message: something follows'
    'algorithm       alg-unsupported        ERR_UNSUPPORTED_CRYPTO_ALG: InstallTARequest: RS512'
    'signer          x5c-garbage            ERR_REQUEST_INVALID: header.x5c\[0\]: not a certificate'
    'trust           untrusted              ERR_TAM_NOT_TRUSTED: CN=mytam.*its issuer is neither given'
    'signature       signature              ERR_REQUEST_INVALID: InstallTARequest: the signature'
    'version-present inner-name             ERR_REQUEST_INVALID: payload: not an object with'
    'version         value:ver              ERR_UNSUPPORTED_MSG_VERSION: InstallTATBSRequest.ver: "9.9"'
    'members         unknown:x-unknown      ERR_REQUEST_INVALID: InstallTATBSRequest.x-unknown: unknown'
    'revocation      revoked                ERR_TAM_NOT_TRUSTED: CN=mytam.*revoked at'
    'tee             value:tee              ERR_REQUEST_INVALID: InstallTATBSRequest.tee: '
    'replay          replay                 ERR_REQUEST_INVALID: replay: rid '
    'dsihash         value:dsihash          ERR_DEV_STATE_MISMATCH: dsihash: '
    'answer-alg      value:supportedsigalgs ERR_UNSUPPORTED_CRYPTO_ALG: supportedsigalgs: '
    'content-algs    content-alg            ERR_UNSUPPORTED_CRYPTO_ALG: content: RSA-OAEP'
    'content         content-tag            ERR_REQUEST_INVALID: content: the authentication tag'
    'tamid           value:content.tamid    ERR_TAM_NOT_AUTHORIZED: content.tamid: '
    'sd              value:content.sdname   ERR_SD_NOT_FOUND: content.sdname: '
)

# The same TA once more: what is wrong with it when nothing else is.
install() {
    request install-ta --tid t --sp xbank --sdname a --taid t --ta ta.bin "$@"
}

@test "of two faults in a request, the row that comes first decides: every pair" {
    local row later break said how # not i: "run" has one of its own
    answers 'ERR_TA_ALREADY_INSTALLED: ' install
    for row in "${!rows[@]}"; do
        read -r _ break said <<< "${rows[row]}"
        answers "$said" install --break "$break" # and the TA is there already
        for later in "${!rows[@]}"; do
            read -r _ how _ <<< "${rows[later]}"
            [ "$later" -gt "$row" ] || continue
            [ "${VARIANT:-}" != asan ] || [ "$later" = $((row + 1)) ] || continue # that takes long
            answers "$said" install --break "$break" --break "$how"
        done
    done
}

@test "the rows that InstallTA does not have: firmware, did, and what the commands look at" {
    create() {
        request create-sd --tid t --sp xbank --sdname a "$@"
    }
    answers 'ERR_REQUEST_INVALID: content: the authentication tag' create --break content-tag --break value:content.did
    answers 'ERR_REQUEST_INVALID: content.did: ' create --break value:content.did --break value:content.tamid
    answers 'ERR_TAM_NOT_AUTHORIZED: content.tamid: ' create --break value:content.tamid
    answers 'ERR_SD_ALREADY_EXIST: ' create --break value:content.spcert
    otrp tee-sim init -q --state doubted --tee-key "$TEE-key.pem" --tee-cert "$TEE-cert-plus-intermediate-cert.pem" \
        --tam-root "$P/tam/tam-rootca" --tfw-key "$TFW-key.pem" --tfw-cert "$TFW-cert-plus-intermediate-cert.pem" \
        --tfw-root "$P/tam/tam-rootca"
    rm -rf kept
    mv doubted kept
    answers 'ERR_TAM_NOT_TRUSTED: .*no OCSP response' request get-device-state --break no-stapling
    answers 'ERR_TFW_NOT_TRUSTED: ' request get-device-state --break value:supportedsigalgs
}

@test "the commands look in this order: is it there, its certificate and package, room" {
    # CreateSD: there already, certificate, room
    answers 'ERR_SD_ALREADY_EXIST: ' request create-sd --tid t --sp xbank --sdname a --break value:content.spcert
    local name
    for name in b c; do
        accepted request create-sd --tid t --sp xbank --sdname $name
    done
    rm -rf kept
    cp -r device kept
    answers 'ERR_TEE_RESOURCE_FULL: ' request create-sd --tid t --sp xbank --sdname d
    answers 'ERR_SPCERT_INVALID: ' request create-sd --tid t --sp xbank --sdname d --break value:content.spcert
    answers 'ERR_SD_ALREADY_EXIST: ' request create-sd --tid t --sp xbank --sdname c
    # UpdateSD: the new name, certificates
    answers 'ERR_SDNAME_ALREADY_USED: ' request update-sd --tid t --spid xbank --sdname a --newsdname b \
        --del-spcert "$SP-cert.pem"
    answers 'ERR_SPCERT_INVALID: ' request update-sd --tid t --spid xbank --sdname a --newsdname z \
        --del-spcert "$SP-cert.pem"
    # InstallTA: there already, package; UpdateTA: there, package
    answers 'ERR_TA_ALREADY_INSTALLED: ' install --break ta-unsigned
    answers 'ERR_TA_INVALID: ' request install-ta --tid t --sp xbank --sdname a --taid u --ta ta.bin --break ta-unsigned
    answers 'ERR_TA_NOT_FOUND: ' request update-ta --tid t --sp xbank --sdname a --taid u --ta ta.bin --break ta-unsigned
    answers 'ERR_TA_INVALID: ' request update-ta --tid t --sp xbank --sdname a --taid t --ta ta.bin --break ta-unsigned
}

@test "every error code of a TEE that a request alone can bring about" {
    local code
    reached() {
        answers "$1: " "${@:2}"
        assert_equal "$({ tbs <(echo "$output") | jq -r '.reason."error-code" // empty'
            plaintext <(echo "$output") "$TAM-key.jwk" 2> /dev/null | jq -r '.reason."error-code"'; } | head -n 1)" "$1"
        echo "$1" >> codes.txt
    }
    reached ERR_REQUEST_INVALID install --break signature
    reached ERR_UNSUPPORTED_MSG_VERSION install --break value:ver
    reached ERR_UNSUPPORTED_CRYPTO_ALG install --break content-enc
    reached ERR_TAM_NOT_TRUSTED install --break expired
    reached ERR_DEV_STATE_MISMATCH install --break value:dsihash
    reached ERR_TAM_NOT_AUTHORIZED install --break value:content.tamid
    reached ERR_SD_NOT_FOUND request delete-sd --tid t --sdname nowhere
    reached ERR_SD_ALREADY_EXIST request create-sd --tid t --sp xbank --sdname a
    reached ERR_SPCERT_INVALID request create-sd --tid t --sp xbank --sdname b --break value:content.spcert
    reached ERR_SD_NOT_EMPTY request delete-sd --tid t --sdname a
    reached ERR_TA_ALREADY_INSTALLED install
    reached ERR_TA_INVALID request update-ta --tid t --sp xbank --sdname a --taid t --ta ta.bin --break ta-other-signer
    reached ERR_TA_NOT_FOUND request delete-ta --tid t --sdname a --taid nothing
    accepted request create-sd --tid t --sp xbank --sdname b
    accepted request create-sd --tid t --sp ybank --sdname c
    rm -rf kept
    cp -r device kept
    reached ERR_SDNAME_ALREADY_USED request update-sd --tid t --spid xbank --sdname a --newsdname b
    reached ERR_TEE_RESOURCE_FULL request create-sd --tid t --sp xbank --sdname d
    otrp tee-sim init -q --state doubted --tee-key "$TEE-key.pem" --tee-cert "$TEE-cert-plus-intermediate-cert.pem" \
        --tam-root "$P/tam/tam-rootca" --tfw-key "$TFW-key.pem" --tfw-cert "$TFW-cert-plus-intermediate-cert.pem" \
        --tfw-root "$P/tam/tam-rootca"
    rm -rf kept
    mv doubted kept
    reached ERR_TFW_NOT_TRUSTED request get-device-state
    # the rest is the broker's, another name of a code, and what is unforeseen
    while read -r code; do
        case $code in
        ERR_AGENT_* | ERR_SD_ALREADY_EXISTS | ERR_TEE_FAIL) continue ;;
        esac
        run grep -cx "$code" codes.txt
        assert_equal "$code $output" "$code 1"
    done < <(sed -n 's/^CODE(\([A-Z_]*\).*/ERR_\1/p' "$ROOT/src/otrp/error_code.def")
}

# ---- what a device remembers ----

# told STATUS [REASON] AT: an OCSP response for mytam, by its CA, of that time.
told() {
    local ca=$P/tam/tam-ca/tam-ca-1-ec
    openssl ocsp -no_nonce -issuer "$ca-cert.pem" -cert "$TAM-cert.pem" -reqout ask.der 2> ocsp.log
    cp "$ca-index.txt" index.txt
    [ "$1" = good ] ||
        sed -i "s/^V\t\([^\t]*\)\t\t/R\t\1\t$(date -u +%y%m%d%H%M%SZ)${2:+,$2}\t/" index.txt
    echo 'unique_subject = no' > index.txt.attr
    openssl ocsp -index index.txt -CA "$ca-cert.pem" -rsigner "$ca-cert.pem" -rkey "$ca-key.pem" -ndays 7 \
        -reqin ask.der -respout told.der > ocsp.log 2>&1
    jq -c --arg own "$(base64 -w 0 < told.der)" '[$own, .[1]]' "$TAM-ocsp.json"
}

@test "a certificate that was revoked once stays so, whatever is fresh and says good" {
    local revoked good
    good=$(jq -c . "$TAM-ocsp.json") # older, and fresh for days
    revoked=$(told revoked)
    accepted request get-device-state --set "ocspdat=$good"
    refused_with() {
        run --separate-stderr otrp tee-sim process --state device "${@:2}" \
            <(request get-device-state --set "ocspdat=$1")
        assert_equal "$status" 8
        assert_regex "$stderr" 'ERR_TAM_NOT_TRUSTED: CN=mytam,OU=TAM,O=OTrP: revoked at 20'
    }
    refused_with "$revoked"
    refused_with "$good"
    refused_with "$(told good)"
    refused_with '[]'
    otrp tee-sim reset -q --state device
    refused_with "$good"
    # with a right signature only, and only of the certificate that it names
    rm -rf device
    cp -r kept device
    run --separate-stderr otrp tee-sim process --state device <(request get-device-state --set "ocspdat=$revoked" --break signature)
    assert_equal "$status" 8
    accepted request get-device-state --set "ocspdat=$good"
}

@test "a certificate that was on hold comes back by a newer good, not by an older one" {
    local hold good
    good=$(jq -c . "$TAM-ocsp.json")
    hold=$(told revoked certificateHold)
    run --separate-stderr otrp tee-sim process --state device <(request get-device-state --set "ocspdat=$hold")
    assert_equal "$status" 8
    assert_regex "$stderr" 'revoked at .*certificateHold'
    run --separate-stderr otrp tee-sim process --state device <(request get-device-state --set "ocspdat=$good")
    assert_equal "$status" 8
    local newer
    otrp pki-ocsp --pki "$P" --now "@$(($(date +%s) + 100))" -o newer.json "$TAM-cert.pem"
    newer=$(jq -c . newer.json)
    accepted request get-device-state --set "ocspdat=$newer"
}

@test "an answer that was lost is told again, byte for byte, and changes nothing" {
    request create-sd --tid t --rid lost --sp ybank --sdname b > create.json
    run --separate-stderr otrp tee-sim process --state device -o /dev/full create.json
    assert_equal "$status" 1
    assert_regex "$stderr" "otrp tee-sim answer --state device"
    assert_equal "$(holdings | jq -c '[.sds[].name]')" '["a","b"]'
    run --separate-stderr otrp tee-sim process --state device create.json # seen: no way to ask again
    assert_equal "$status" 8
    otrp tee-sim answer --state device --rid lost -o answer.json
    otrp verify -q --device state.json --tam-key "$TAM-key.pem" --request create.json answer.json
    assert_equal "$(plaintext answer.json "$TAM-key.jwk" | jq -r .sdname)" b
    cp answer.json state.json
    request delete-sd --tid t --rid next --sdname b > delete.json
    otrp tee-sim process -q --state device delete.json > deleted.json
    otrp tee-sim answer --state device --tamid mytam > again.json
    run cmp deleted.json again.json
    assert_success
    run --separate-stderr otrp tee-sim answer --state device --rid lost
    assert_equal "$status $output" "2 "
    run --separate-stderr otrp tee-sim answer --state device --tamid othertam
    assert_equal "$status $output" "2 "
    assert_equal "$(requests mytam)" 5
}
