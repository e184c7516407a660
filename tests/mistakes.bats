#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Likely mistakes of those who use the program for the first time: each is named, and what to do.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper
load inspect/helper

TAM=$SAMPLES/pki/tam/tam/tam-mytam-rsa
TEE=$SAMPLES/pki/tee/tee/tee-mytee-rsa

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# told CODE REGEX COMMAND...: nothing on standard output, the exit code, and what standard error says.
told() {
    local code=$1 expected=$2
    shift 2
    run --separate-stderr "$@"
    assert_equal "$status" "$code"
    assert_equal "$output" ""
    assert_regex "$stderr" "$expected"
}

@test "verify refuses an option that cannot count for what the message is" {
    local request=$SAMPLES/create-sd-request.json answer=$SAMPLES/create-sd-response.json
    local state=$SAMPLES/get-device-state-response.json query=$SAMPLES/ta-query.json
    local key=$TAM-key.pem information=$SAMPLES/ta-information.json
    local tam=(otrp verify --now "$NOW" --trust "$SAMPLES/pki/tam/tam-rootca")
    local tee=(otrp verify --now "$NOW" --trust "$SAMPLES/pki/tee/tee-rootca" --tam-key "$key")
    echo hello > content
    otrp sign -k "$key" content -o jws.json
    local jws=(otrp verify --key "$TAM-cert.pem" jws.json)
    echo "{\"kty\":\"oct\",\"k\":\"$(head -c 32 /dev/zero | base64url_encode)\"}" > cek.jwk
    "${tam[@]}" -q "$request"
    "${tee[@]}" -q "$answer"
    "${jws[@]}" -q
    otrp verify -q --key "$TAM-cert.pem" <(otrp sign -k "$key" content)

    told 2 '--detached is for a JWS by itself, and this is a request.*hint: ' "${tam[@]}" --detached content "$request"
    told 2 '--request is for an answer, and this is a request.*hint: give the answer' "${tam[@]}" --request "$request" "$request"
    told 2 '--tam-key is for an answer, and this is a request' "${tam[@]}" --tam-key "$key" "$request"
    told 2 '--cek is for an answer, and this is a request' "${tam[@]}" --cek cek.jwk "$request"
    # of the device state, the key may be needed
    "${tam[@]}" -q --tam-key "$key" --device "$state" "$request"

    told 2 '--detached is for a JWS by itself, and this is an answer' "${tee[@]}" --detached content "$answer"
    told 2 '--ocsp is for a request or a JWS, and this is an answer' "${tee[@]}" --ocsp "$TAM-ocsp.json" "$answer"
    told 2 '--request: .*ta-query.json is a TAQuery, and MESSAGE no TAInformation' "${tee[@]}" --request "$query" "$answer"

    told 2 '--request is for an answer, and this is a JWS by itself' "${jws[@]}" --request "$request"
    told 2 '--tam-key is for an answer, and this is a JWS by itself' "${jws[@]}" --tam-key "$key"
    told 2 '--device is for a message of OTrP, and this is a JWS by itself' "${jws[@]}" --device "$state" --tam-key "$key"

    told 2 '--trust is for .* and this is a TAInformation.*hint: .*--device' "${tam[@]}" "$information"
    told 2 '--request: .*create-sd-request.json is no TAQuery' \
        otrp verify --device "$state" --tam-key "$key" --request "$request" "$information"
}

@test "a JWS is not for decrypt, nor a JWE for verify, and a log for neither" {
    local form key=$TAM-key.pem
    echo hello > content
    for form in compact flattened general; do
        otrp sign -k "$key" -s $form content -o jws
        otrp encrypt -t "$TAM-cert.pem" -s $form content -o jwe
        told 6 'jws: this is a JWS: .*hint: .otrp verify. is for a JWS' otrp decrypt -k "$key" jws
        told 6 'jwe: this is a JWE: .*hint: .otrp decrypt. is for a JWE' otrp verify -k "$TAM-cert.pem" jwe
        rm jws jwe
    done
    { echo 'Nov 21 10:00:00 got this:'; cat "$SAMPLES/create-sd-request.json"; } > log
    told 6 "hint: 'otrp inspect' finds messages in logs" otrp decrypt -k "$key" log
    told 6 "hint: 'otrp inspect' finds messages in logs" otrp verify -k "$TAM-cert.pem" log
    told 6 "nothing is encrypted.hint: 'otrp inspect' shows" \
        otrp decrypt -k "$key" "$SAMPLES/get-device-state-request.json"
}

@test "an empty input may come of the command before, which has failed" {
    : > none
    printf '\n\n' > blank
    otrp tee-sim init -q --state device --tee-key "$TEE-key.pem" --no-tfw \
        --tee-cert "$TEE-cert-plus-intermediate-cert.pem" --tam-root "$SAMPLES/pki/tam/tam-rootca"
    told 6 'none: empty.hint: the command that was to write it' otrp verify -k "$TAM-cert.pem" none
    told 6 'blank: empty.hint: the command that was to write it' otrp decrypt -k "$TAM-key.pem" blank
    told 6 'none: empty.hint: the command that was to write it' otrp tee-sim process --state device none
    # shellcheck disable=SC2016 # bash expands it
    run -6 bash -c '"$1" tee-sim process --state device < /dev/null' - "$OTRP"
    assert_output --partial 'standard input: empty'
}

@test "a file of the other family of keys is pointed at" {
    otrp pki-init -q --out pki --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
    mkdir samples
    cp -r "$ROOT/samples/policies" "$ROOT/samples/scenarios" "$ROOT/samples/ta" samples
    local stub=(otrp tam-stub --pki pki --listen 127.0.0.1:0)
    told 2 "sp-xbank-rsa-[a-z-]*.pem: cannot open.*hint: there is .*/pki/sp/sp/sp-xbank-ec-[a-z-]*.pem" \
        "${stub[@]}" --policy samples/policies/install.json
    told 2 "sp-xbank-rsa-[a-z-]*.pem: cannot open.*hint: there is .*/pki/sp/sp/sp-xbank-ec-[a-z-]*.pem" \
        "${stub[@]}" --scenario samples/scenarios/lifecycle.json
    told 2 "hint: there is pki/tam/tam/tam-mytam-ec-key.pem" otrp sign -k pki/tam/tam/tam-mytam-rsa-key.pem /dev/null
    told 2 "hint: there is $TAM-key.pem" otrp sign -k "${TAM/-rsa/-ec}-key.pem" /dev/null
    run -2 otrp sign -k pki/tam/tam/tam-other-rsa-key.pem /dev/null
    refute_output --partial hint
}

@test "options that stand before the command are said to stand behind it" {
    told 2 "there is no option '-q'.hint: options stand after the command: 'otrp inspect -q'" otrp -q inspect x
    told 2 "hint: options stand after the command: 'otrp verify --json'" otrp --json verify
    told 2 "hint: options stand after the command: 'otrp tee-sim show --state'" otrp tee-sim --state device show
    told 2 "there is no option '--nothing'.hint: 'otrp --help' lists the commands" otrp --nothing x
}

@test "a guess at what was meant has something in common with it" {
    told 2 "'fish' is none of the choices.hint: choose from bash" otrp completion fish
    told 2 "'png' is none of the choices.hint: choose from " otrp diagram --format png
    told 2 "hint: did you mean 'bash'" otrp completion bsah
    told 2 "unknown option --url.hint: did you mean --upstream" otrp proxy --url http://127.0.0.1:1/
    told 2 "unknown option --uptream.hint: did you mean --upstream" otrp proxy --uptream http://127.0.0.1:1/
    told 2 "unknown option --file.hint: --help lists the options" otrp sign --file x
}

@test "a reader who has seen enough ends a command, and not a word is said" {
    local words
    echo hello > content
    otrp jwk -q --generate ec-p256 -o key.jwk
    for words in "-h" "sign -k key.jwk content" "inspect $SAMPLES/create-sd-request.json" \
        "doctor" "help errors" "sign --help"; do
        # shellcheck disable=SC2086,SC2016 # a command with its arguments; bash expands the rest
        run --separate-stderr bash -c 'mkfifo gone; exec 3<> gone 4> gone; exec 3>&-; rm gone; "$0" "$@" >&4' "$OTRP" $words
        assert_equal "$status" 141
        assert_equal "$output$stderr" ""
        # shellcheck disable=SC2086,SC2016
        run --separate-stderr bash -c 'trap "" PIPE; mkfifo gone; exec 3<> gone 4> gone; exec 3>&-; rm gone; "$0" "$@" >&4' "$OTRP" $words
        assert_equal "$status" 1
        assert_equal "$output$stderr" ""
    done
}

@test "an error code comes with the command that explains it" {
    local hint="hint: 'otrp help ERR_TAM_NOT_TRUSTED' says what causes it" step
    local init=(otrp tee-sim init -q --tee-key "$TEE-key.pem" --no-tfw --tee-cert "$TEE-cert-plus-intermediate-cert.pem")
    "${init[@]}" --state device --tam-root "$SAMPLES/pki/sp/sp-rootca"
    run --separate-stderr otrp tee-sim process --now "$NOW" --state device "$SAMPLES/get-device-state-request.json"
    assert_equal "$status" 8
    assert_regex "$stderr" "GetDeviceState: ERR_TAM_NOT_TRUSTED: .*$hint"
    otrp help ERR_TAM_NOT_TRUSTED > explained
    start_server otrp tam-stub --pki "$SAMPLES/pki" --now "$NOW" --listen 127.0.0.1:0
    run --separate-stderr otrp send --now "$NOW" --tee device --url "$URL"
    assert_equal "$status" 8
    assert_regex "$stderr" "GetDeviceState: ERR_TAM_NOT_TRUSTED: .*$hint"
    stop_server
    step=$(sed -n 's/^RC(PEER, 8, "peer", "\(.*\)")$/\1/p' "$ROOT/src/util/rc.def")
    run -0 otrp help 8
    assert_output "8  peer       $step"
    told 2 "no help for '10'" otrp help 10
}

@test "inspect tells when a PKI has keys that may not be read, and when it is none" {
    cp -r "$SAMPLES/pki" pki
    local inspect=(otrp inspect --now "$NOW" "$SAMPLES/create-sd-request.json" --pki)
    run --separate-stderr -0 "${inspect[@]}" pki
    assert_equal "$stderr" ""
    run --separate-stderr -0 "${inspect[@]}" pki/tam
    assert_equal "$stderr" "otrp inspect: note: pki/tam is no PKI: it would have sp, tam, tee or tfw in it, with roots"
    chmod 000 pki/tam/tam/*-key.pem pki/tee/tee/*-key.pem
    # root may read all that it has not given up
    [ "$(id -u)" != 0 ] || set -- setpriv --bounding-set=-dac_override,-dac_read_search
    run --separate-stderr -0 "$@" "$OTRP" "${inspect[@]:1}" pki
    assert_equal "$stderr" "otrp inspect: note: 2 keys of pki cannot be read: Permission denied"
    assert_regex "$output" 'CreateSDRequest'
}
