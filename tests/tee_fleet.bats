#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tee-sim: many devices in one folder, devices of others, limits at init, and serve. curl, jq, openssl
# and sqlite3 are the witnesses.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr
# shellcheck disable=SC2030,SC2031 # every test has variables of its own

load test_helper
load tee/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    world ec
}

# A PKI that a test may change.
own_pki() {
    cp -r "$PKI_EC" pki
    P=$PWD/pki
}

report() {
    otrp tee-sim show --state "${1:-device}" --json
}

# ---- fleets ----

@test "init --count issues what the PKI does not have, under its CAs and in their ledgers" {
    own_pki
    run --separate-stderr otrp tee-sim init --state fleet --pki pki --name unit --count 12
    assert_success
    assert_equal "$output" ""
    assert_regex "$stderr" '12 devices in fleet, unit-1 to unit-12'
    assert_equal "$(report fleet | jq -c '[.devices[].name]')" "$(seq -f 'unit-%g' 12 | jq -Rcn '[inputs]')"
    assert_equal "$(report fleet | jq -r '[.devices[] | [.key, .tfw]] | unique | @text')" '[["EC P-256",true]]'
    assert_equal "$(report fleet | jq '[.devices[].did] | unique | length')" 12
    run grep -c 'CN=unit-' pki/tee/tee-ca/tee-ca-1-ec-index.txt
    assert_output 12
    run grep -c 'CN=unit-' pki/tfw/tfw-ca/tfw-ca-1-ec-index.txt
    assert_output 12
    assert_equal "$(ls pki/tee/tee)" "$(ls "$PKI_EC/tee/tee")"
    otrp make-request get-device-state --pki pki --tid t > gds.json
    otrp tee-sim process -q --state fleet --device unit-7 -o answer.json gds.json
    otrp verify -q --trust pki/tee/tee-rootca --tam-key "$TAM-key.pem" --request gds.json answer.json
    plaintext answer.json "$TAM-key.jwk" > dsi.json
    jq -r '.dsi.tee.cert' dsi.json | base64 -d > cert.der
    assert_equal "$(openssl sha256 -binary cert.der | base64)" "$(report fleet | jq -r '.devices[6].did')"
    run openssl verify -CAfile pki/tee/tee-rootca/tee-rootca-ec-cert.pem -untrusted \
        pki/tee/tee-ca/tee-ca-1-ec-cert.pem <(openssl x509 -inform DER -in cert.der)
    assert_line --regexp 'OK$'
    assert_equal "$(jq -r '.dsi.tee.name' dsi.json)" unit-7
}

@test "a fleet takes the devices that the PKI has, in their natural order" {
    own_pki
    otrp pki-init -q --out batch --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256 \
        --tee d-10 --tee d-9 --tee d-1 --tee mytee
    otrp tee-sim init -q --state three --pki batch --count 3
    assert_equal "$(report three | jq -c '[.devices[].name]')" '["d-1","d-9","d-10"]'
    assert_equal "$(report three | jq -r '.devices[2].did')" "$(did batch/tee/tee/tee-d-10-ec-cert.pem)"
    otrp tee-sim init -q --state five --pki batch --count 5
    assert_equal "$(report five | jq -c '[.devices[].name]')" '["d-1","d-9","d-10","mytee-1","mytee-2"]'
    otrp tee-sim init -q --state named --pki batch --name d --count 2
    assert_equal "$(report named | jq -c '[.devices[].name]')" '["d-1","d-2"]'
    assert_equal "$(report named | jq -r '.devices[0].did')" "$(did batch/tee/tee/tee-d-1-ec-cert.pem)"
    otrp tee-sim init -q --state rsa --pki batch --name r --count 1 --alg rsa-2048 --no-tfw
    assert_equal "$(report rsa | jq -c '.devices[0] | [.name, .key, .tfw]')" '["r-1","RSA-2048",false]'
}

@test "a fleet takes the devices of a batch, with their firmware" {
    own_pki
    printf 'role,name,alg\ntee,d-1,ec-p256\ntfw,d-1,ec-p256\ntam,t,ec-p256\ntee,d-2,ec-p256\n' > m.csv
    otrp pki-issue -q --pki pki --manifest m.csv --out out > result.csv
    otrp tee-sim init -q --state fleet --pki pki --batch out/m.result.csv
    assert_equal "$(report fleet | jq -c '[.devices[] | [.name, .tfw]]')" '[["d-1",true],["d-2",true]]'
    assert_equal "$(report fleet | jq -r '.devices[].did')" \
        "$(did out/tee/*/tee-d-1-ec-cert.pem; did out/tee/*/tee-d-2-ec-cert.pem)"
    otrp make-request get-device-state --pki pki --tid t > gds.json
    otrp tee-sim process -q --state fleet --device d-1 gds.json > answer.json
    assert_equal "$(plaintext answer.json "$TAM-key.jwk" | jq -r .dsi.tfwdata.cert)" \
        "$(der out/tfw/*/tfw-d-1-ec-cert.pem)"
    otrp tee-sim init -q --state one --pki pki --batch out/m.result.csv --count 1
    assert_equal "$(report one | jq -c '[.devices[].name]')" '["d-1"]'
    run --separate-stderr otrp tee-sim init --state three --pki pki --batch out/m.result.csv --count 3
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" 'm.result.csv: has 2 TEEs'
    assert [ ! -e three ]
}

@test "a fleet is made as a whole or not at all" {
    own_pki
    otrp tee-sim init -q --state fleet --pki pki --name unit --count 2
    local before ledger
    before=$(report fleet)
    ledger=$(sha256sum < pki/tee/tee-ca/tee-ca-1-ec-index.txt)
    run --separate-stderr otrp tee-sim init --state fleet --pki pki --name unit --count 3
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" 'fleet: has a device "unit-1" already'
    assert_equal "$(report fleet)" "$before"
    assert_equal "$(sha256sum < pki/tee/tee-ca/tee-ca-1-ec-index.txt)" "$ledger"
    run --separate-stderr otrp tee-sim init --state new --count 2 --tee-key "$TEE-key.pem" \
        --tee-cert "$TEE-cert.pem" --tam-root "$P/tam/tam-rootca"
    assert_equal "$status" 2
    assert [ ! -e new ]
    rm pki/tee/tee-ca/*-key.pem
    run --separate-stderr otrp tee-sim init --state new --pki pki --count 4
    assert_equal "$status" 2
    assert_regex "$stderr" 'tee-ca-1-ec-key.pem'
    assert [ ! -e new ]
}

@test "what one device of a folder does, no other one knows" {
    own_pki
    otrp tee-sim init -q --state fleet --pki pki --name unit --count 3
    otrp make-request get-device-state --pki pki --tid t > gds.json
    local name
    for name in unit-1 unit-3; do
        otrp tee-sim process -q --state fleet --device $name gds.json > $name.json
    done
    otrp make-request create-sd --pki pki --device unit-3.json --sp xbank --sdname a > create.json
    run --separate-stderr otrp tee-sim process --state fleet --device unit-1 create.json
    assert_equal "$status" 8
    assert_regex "$stderr" 'ERR_REQUEST_INVALID: .*the request is for the TEE "unit-3"'
    otrp tee-sim process -q --state fleet --device unit-3 create.json > created.json
    otrp tee-sim reset -q --state fleet --device unit-1
    assert_equal "$(report fleet | jq -c '[.devices[] | [.name, (.sds | length), (.tams[0].requests // 0)]]')" \
        '[["unit-1",0,2],["unit-2",0,0],["unit-3",1,2]]'
    run otrp tee-sim show --state fleet --device unit-3
    assert_line --partial 'SD a of SP xbank'
    refute_line --partial unit-1
    run --separate-stderr otrp tee-sim show --state fleet --device nobody
    assert_equal "$status $output" "2 "
}

# ---- devices of others ----

@test "a device made from another's key, certificate and TAM root stands before that TAM" {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root-key.pem -out root-cert.pem \
        -days 30 -subj "/O=Other/CN=root" -addext 'keyUsage=critical,keyCertSign,cRLSign' 2> req.log
    new_cert mytam root
    new_cert board root $'keyUsage=critical,digitalSignature,keyAgreement'
    new_cert boot root $'keyUsage=critical,digitalSignature'
    cat boot-cert.pem root-cert.pem > boot-chain.pem
    otrp tee-sim init -q --state foreign --name board --version 0.9 --tee-key board-key.pem \
        --tee-cert board-cert.pem --tam-root root-cert.pem --tfw-key boot-key.pem --tfw-cert boot-chain.pem
    cat mytam-cert.pem root-cert.pem > mytam-chain.pem
    touch index.txt
    printf 'V\t%s\t\t%s\tunknown\t/O=Test/CN=mytam\n' 400101000000Z \
        "$(openssl x509 -in mytam-cert.pem -noout -serial | cut -d= -f2)" > index.txt
    openssl ocsp -issuer root-cert.pem -cert mytam-cert.pem -reqout ask.der -no_nonce 2> ocsp.log
    openssl ocsp -index index.txt -CA root-cert.pem -rsigner root-cert.pem -rkey root-key.pem \
        -reqin ask.der -respout staple.der -ndays 5 > ocsp.log 2>&1
    jq -cn --arg der "$(base64 -w 0 staple.der)" '[$der]' > ocsp.json
    otrp make-request get-device-state --tam-key mytam-key.pem --tam-cert mytam-chain.pem --ocsp ocsp.json > gds.json
    run --separate-stderr otrp tee-sim process --state foreign -o answer.json gds.json
    assert_success
    signed_by board-cert.pem answer.json
    otrp decrypt --key mytam-key.pem answer.json | jq -c '.dsi | [.tee.name, .tee.ver, .tfwdata.cert]' > told.json
    assert_equal "$(cat told.json)" "[\"board\",\"0.9\",\"$(der boot-cert.pem)\"]"
    request get-device-state > strange.json
    run --separate-stderr otrp tee-sim process --state foreign strange.json
    assert_equal "$status" 8
    assert_regex "$stderr" ERR_TAM_NOT_TRUSTED
}

@test "firmware that does not chain to its root is ERR_TFW_NOT_TRUSTED; without a root it is believed" {
    local parts=(--tee-key "$TEE-key.pem" --tee-cert "$TEE-cert-plus-intermediate-cert.pem" --tam-root "$P/tam/tam-rootca"
        --tfw-key "$TFW-key.pem" --tfw-cert "$TFW-cert-plus-intermediate-cert.pem")
    otrp tee-sim init -q --state device "${parts[@]}"
    accepted request get-device-state
    assert_equal "$(dsi | jq -r .tfwdata.cert)" "$(der "$TFW-cert.pem")"
    rm -r device
    otrp tee-sim init -q --state device "${parts[@]}" --tfw-root "$P/tam/tam-rootca"
    recorded yes ERR_TFW_NOT_TRUSTED tbs request get-device-state
}

# ---- profiles ----

# foreign PROFILE: a device of that profile, and what it answers to a TAM of it.
foreign() {
    rm -rf device
    otrp tee-sim init -q --state device --pki "$P" --profile "$1" --tam-cert "$TAM-cert.pem"
    otrp make-request get-device-state --pki "$P" --profile "$1" -f -o gds.json
    run --separate-stderr otrp tee-sim process --state device -f -o state.json gds.json
    assert_success
    assert_equal "$(report | jq -r '.devices[0].profile')" "$1"
}

@test "a device of the profile thaler answers as that one does, and waives what it cannot prove" {
    foreign thaler
    assert_equal "$(tbs state.json | jq -c '[.signerreq, (.edsi | keys)]')" \
        '["true",["ciphertext","encrypted_key","header","iv","protected","tag"]]'
    tbs state.json | jq -c .edsi | jose jwe dec -i- -k "$TAM-key.jwk" > dsi.json
    assert_equal "$(jq -c '.dsi.tee | [has("sdlist"), .talist, .requestedtalist]' dsi.json)" '[false,[],[]]'
    assert_equal "$(jq -r '.dsi.tee.cert' dsi.json | jose b64 dec -i- | openssl sha256 -binary | base64)" \
        "$(did "$TEE-cert.pem")"
    otrp verify -q --profile thaler --tam-key "$TAM-key.pem" --trust "$P/tee/tee-rootca" --request gds.json state.json
    otrp make-request create-sd --pki "$P" --profile thaler --device state.json --sp xbank --sdname a > create.json
    otrp tee-sim process -q --state device create.json > created.json
    assert_equal "$(holdings | jq -c '[.sds[] | .name, .tamid]')" '["a","mytam"]'
    # what was seen stays seen, and a signature that is wrong stays wrong
    run --separate-stderr otrp tee-sim process --state device create.json
    assert_equal "$status" 8
    assert_regex "$stderr" 'ERR_REQUEST_INVALID: replay'
    as_other request get-device-state > other.json
    run --separate-stderr otrp tee-sim process --state device other.json
    assert_equal "$status" 8
    assert_regex "$stderr" 'ERR_REQUEST_INVALID: .*signature'
}

@test "a device of the profile aist knows its TAM beforehand and takes messages without x5c" {
    foreign aist
    assert_equal "$(tbs state.json | jq -c '[.rid, .tid, .signerreq]')" '["1","1",false]'
    otrp verify -q --profile aist --tam-key "$TAM-key.pem" --key "$TEE-cert.pem" --request gds.json state.json
    otrp tee-sim process -q --state device gds.json > again.json # tid is always 1: no replay record
    otrp make-request delete-ta --pki "$P" --profile aist --device state.json --taid t > delete.json
    run --separate-stderr otrp tee-sim process --state device delete.json
    assert_equal "$status" 8
    assert_regex "$stderr" 'ERR_SD_NOT_FOUND: the request names no SD'
    run --separate-stderr otrp tee-sim init --state new --pki "$P" --profile aist
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" '--profile aist needs --tam-cert'
    assert [ ! -e new ]
}

# ---- limits ----

@test "limits and algorithms at init are shown" {
    otrp tee-sim init -q --state device --pki "$P" --no-tfw --no-signerreq --version 3.1 --max-sds 2 --max-tas 3 \
        --max-bytes 1000 --max-replays 7 --algorithms ES256,ECDH-ES+A128KW,A128CBC-HS256
    assert_equal "$(report | jq -c '.devices[0] | [.version, .tfw, .signerreq, .profile, .algorithms, .limits, .used]')" \
        '["3.1",false,false,"ietf",["ES256","ECDH-ES+A128KW","A128CBC-HS256"],{"sds":2,"tas":3,"bytes":1000,"requests":7},{"sds":0,"tas":0,"bytes":0}]'
    refuses() {
        run --separate-stderr otrp tee-sim init --state new --pki "$P" --algorithms "$1"
        assert_equal "$status $output" "2 "
        assert_regex "$stderr" "$2"
        assert [ ! -e new ]
    }
    refuses HS256 "'HS256' is no algorithm of OTrP"
    refuses ES256,nonsense "'nonsense' is no"
    refuses RS256,ECDH-ES+A128KW,A128CBC-HS256 'none to sign with its key'
    refuses ES256,RSA1_5,A128CBC-HS256 'none to be encrypted to its key'
    refuses ES256,ECDH-ES+A128KW 'none to encrypt content'
}

@test "a device refuses the algorithms that it does not support, and signs with what it does" {
    otrp tee-sim init -q --state device --pki "$P" --algorithms ES256,ECDH-ES+A128KW,A128CBC-HS256
    accepted request get-device-state --set 'supportedsigalgs=["RS256","ES256"]'
    recorded yes ERR_UNSUPPORTED_CRYPTO_ALG tbs request create-sd --sp xbank --sdname a --enc A256CBC-HS512
    assert_equal "$(jq -c '.[].supportedsigalgs' payload.json)" '["ES256"]'
    accepted request create-sd --sp xbank --sdname a
    rm -r device
    otrp tee-sim init -q --state device --pki "$P" --algorithms ES256,ECDH-ES+A256KW,A128CBC-HS256
    recorded yes ERR_UNSUPPORTED_CRYPTO_ALG tbs request get-device-state # no way to encrypt to the TAM
    world rsa
    rm -r device
    otrp tee-sim init -q --state device --pki "$P" --algorithms RS256,RSA1_5,A256CBC-HS512
    sign_es256() {
        otrp make-request get-device-state --tam-key "$PKI_EC/tam/tam/tam-mytam-ec-key.pem" \
            --tam-cert "$PKI_EC/tam/tam/tam-mytam-ec-cert-plus-intermediate-cert.pem" --ocsp "$TAM-ocsp.json"
    }
    refused ERR_UNSUPPORTED_CRYPTO_ALG tbs sign_es256 now # before its chain is looked at
}

# ---- serve ----

# post PATH FILE: the answer in answer.json; sets CODE and TYPE.
post() {
    run curl -s -o answer.json -w '%{http_code} %{content_type}' -H 'Accept: application/otrp+json' \
        -H 'Content-Type: application/otrp+json' --data-binary "@$2" "${URL%/}/$1"
    CODE=${output%% *} TYPE=${output#* }
}

broker_error() {
    assert_equal "$CODE $TYPE" "200 application/otrp+json"
    assert_equal "$(jq -cS . answer.json)" "{\"OTrPBrokerError\":{\"errcode\":\"$1\",\"rid\":\"$2\",\"tid\":\"$3\",\"ver\":\"1.0\"}}"
}

@test "serve answers what process would, with the rules of OTrP over HTTP" {
    otrp tee-sim init -q --state device --pki "$P"
    start_server otrp tee-sim serve --state device
    assert_regex "$URL" '^http://127\.0\.0\.1:[0-9]+/$'
    request get-device-state --tid t > gds.json
    post '' gds.json
    assert_equal "$CODE $TYPE" "200 application/otrp+json"
    otrp verify -q --trust "$P/tee/tee-rootca" --tam-key "$TAM-key.pem" --request gds.json answer.json
    cp answer.json state.json
    request create-sd --sp xbank --sdname a > create.json
    post '' create.json
    assert_equal "$CODE" 200
    otrp verify -q --device state.json --tam-key "$TAM-key.pem" --request create.json answer.json
    assert_equal "$(holdings | jq -c '[.sds[].name]')" '["a"]'
    post '' create.json
    assert_equal "$CODE" 200
    assert_equal "$(tbs answer.json | jq -r '.reason."error-code"')" ERR_REQUEST_INVALID
    http_code() {
        curl -s -o body -w '%{http_code}' "$@"
    }
    local accept=(-H 'Accept: application/otrp+json') type=(-H 'Content-Type: application/otrp+json')
    assert_equal "$(http_code "${accept[@]}" -X POST "$URL")" 204
    assert_equal "$(http_code "${accept[@]}" "$URL")" 405
    assert_equal "$(http_code "${accept[@]}" -H 'Content-Type: text/plain' -d x "$URL")" 415
    assert_equal "$(http_code -H 'Accept: text/plain' "${type[@]}" -d x "$URL")" 406
    assert_equal "$(http_code "${accept[@]}" "${type[@]}" -d x "${URL}other")" 404
    assert_equal "$(http_code -H 'Accept: */*' -H 'Content-Type: application/otrp+json;charset=utf-8' \
        --data-binary @gds.json "$URL")" 200
    stop_server
    assert_equal "$(grep -c '"POST /' server.log)" 8
    assert_equal "$(grep -c 'CreateSD: pass' server.log)" 1
}

@test "the broker before the devices: unknown, busy and dumb TEEs" {
    own_pki
    otrp tee-sim init -q --state fleet --pki pki --name unit --count 3
    start_server otrp tee-sim serve --state fleet --wait 1
    otrp make-request get-device-state --pki pki --tid t --rid r1 > gds.json
    post unit-2 gds.json
    assert_equal "$CODE" 200
    cp answer.json state.json
    assert_equal "$(plaintext answer.json "$TAM-key.jwk" | jq -r .dsi.tee.name)" unit-2
    post '' gds.json
    broker_error ERR_AGENT_TEE_UNKNOWN r1 t
    post unit-9 gds.json
    assert_equal "$CODE" 404
    otrp make-request create-sd --pki pki --device state.json --sp xbank --sdname a --tid t --rid r2 > create.json
    post unit-3 create.json
    broker_error ERR_AGENT_TEE_UNKNOWN r2 t
    post '' create.json
    assert_equal "$(tbs answer.json | jq -r .status)" pass
    otrp make-request create-sd --pki pki --device state.json --sp xbank --sdname a --tid t --rid r3 --set 'tee="nobody"' > nobody.json
    post '' nobody.json
    broker_error ERR_AGENT_TEE_UNKNOWN r3 t
    echo '{"hello":1}' > hello.json
    post unit-1 hello.json
    broker_error ERR_AGENT_TEE_FAIL '' ''
    echo nonsense > nonsense
    post '' nonsense
    broker_error ERR_AGENT_TEE_FAIL '' ''
    # another process keeps the folder for itself
    mkfifo hold
    sqlite3 fleet/state.db < hold > held.txt &
    local holder=$!
    exec 9> hold
    printf 'BEGIN IMMEDIATE;\n.print held\n' >&9
    until grep -q held held.txt; do :; done
    otrp make-request get-device-state --pki pki --tid t2 --rid r4 > gds2.json
    post unit-1 gds2.json
    broker_error ERR_AGENT_TEE_BUSY r4 t2
    run --separate-stderr otrp tee-sim process --state fleet --device unit-1 --wait 1 gds2.json
    assert_equal "$status" 8
    assert_equal "$(jq -r .OTrPBrokerError.errcode <<< "$output")" ERR_AGENT_TEE_BUSY
    exec 9>&-
    wait $holder
    post unit-1 gds2.json
    assert_equal "$(tbs answer.json | jq -r .status)" pass
    stop_server
}

@test "serve finishes what is under way before it stops" {
    otrp tee-sim init -q --state device --pki "$P"
    start_server otrp tee-sim serve --state device
    request get-device-state > gds.json
    mkfifo body
    curl -sv -o answer.json -w '%{http_code}' -X POST -T - -H 'Accept: application/otrp+json' \
        -H 'Content-Type: application/otrp+json' "$URL" < body > code.txt 2> curl.log 3>&- &
    local client=$!
    exec 9> body
    until grep -q '100 Continue' curl.log; do :; done
    kill -TERM "$SERVER_PID"
    cat gds.json >&9
    exec 9>&-
    wait $client
    assert_equal "$(cat code.txt)" 200
    assert_equal "$(tbs answer.json | jq -r .status)" pass
    stop_server
}

@test "sixteen clients at once: each device's work is done" {
    own_pki
    otrp tee-sim init -q --state fleet --pki pki --name unit --count 4
    start_server otrp tee-sim serve --state fleet
    local i clients=()
    for i in $(seq 16); do
        otrp make-request get-device-state --pki pki --tid "t-$i" > "gds-$i.json"
        curl -s -o "answer-$i.json" -H 'Accept: application/otrp+json' -H 'Content-Type: application/otrp+json' \
            --data-binary "@gds-$i.json" "${URL}unit-$((i % 4 + 1))" 3>&- &
        clients+=($!)
    done
    wait "${clients[@]}"
    for i in $(seq 16); do
        assert_equal "$(tbs "answer-$i.json" | jq -r '.status + " " + .tid')" "pass t-$i"
    done
    assert_equal "$(report fleet | jq -c '[.devices[].tams[0].requests]')" '[4,4,4,4]'
    stop_server
}
