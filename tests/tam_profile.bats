#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tam-stub --profile: the TAM of another implementation, for its devices; make-response is such a device.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell; stderr is set by run --separate-stderr

load test_helper
load tam/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    world rsa
    wants xbank/sd-1/demo
    but 'del(.require_tfw)'
}

# foreign PROFILE [OPTION...]: a stub of that profile, which takes larger messages than it would.
foreign() {
    PROFILE=$1
    stub --profile "$1" --tee-key "$TEE-cert.pem" --max-bytes 65536 "${@:2}"
}

# foreign_answer REQUEST ANSWER [OPTION...]
foreign_answer() {
    otrp make-response -q --force --profile "$PROFILE" --request "$1" --pki "$P" --tee mytee \
        --tam-cert "$TAM-cert.pem" -o "$2" "${@:3}"
}

@test "thaler: other places and forms, a tid for each request, 200 without a body at the end" {
    foreign thaler
    assert_regex "$URL" '^http://127\.0\.0\.1:[0-9]+/TEEP$'
    next '' request.json
    assert_equal "$(payload request.json | jq -c '.[] | keys')" '["ocspdat","rid","tid","ver"]'
    refute [ "$(jq -r '.[].header.x5c[0]' request.json)" = "$(der "$TAM-cert.pem")" ]
    assert_equal "$(jq -r '.[].header.x5c[0]' request.json | base64url_decode | sha256sum)" \
        "$(openssl x509 -in "$TAM-cert.pem" -outform DER | sha256sum)"
    foreign_answer request.json answer.json
    next answer.json install.json
    assert_equal "$(tbs install.json | jq -c '.encrypted_ta')" '{}'
    refute [ "$(tbs install.json | jq -r .tid)" = "$(tbs request.json | jq -r .tid)" ]
    foreign_answer install.json answer.json --no-dsi
    run tam answer.json -w '%{http_code} %{size_download}'
    assert_output '200 0'
    logged "$TID GetDeviceState: edsi deviates: a flattened JWE, not a general one"
    logged "$TID GetDeviceState: edsi.dsi.tee.cert deviates: base64url where BASE64 or hex stands"
    logged "$TID done: .*"
}

@test "aist: pinned keys, tid 1, numbers as rid, a place to delete, silence for failures" {
    openssl genrsa -out aik.pem 2048 2> /dev/null
    foreign aist --aik <(openssl pkey -in aik.pem -pubout)
    assert_regex "$URL" '/api/tam_jose$'
    next '' request.json
    assert_equal "$(jq -c '.[] | keys' request.json)" '["payload","protected","signature"]'
    assert_equal "$(tbs request.json | jq -r .tid)" 1
    foreign_answer request.json answer.json
    next answer.json install.json
    assert_equal "$(tbs install.json | jq -c '[.tid, .rid, .content]')" '["1",2,{}]'
    otrp jwk aik.pem > aik.jwk
    tbs install.json | jq .encrypted_ta | jose jwe dec -i- -k aik.jwk -O package.json
    jose jws ver -i <(jq -c '{payload, protected, signature}' package.json) -k "$SP-pub.jwk" -O ta.out
    assert_equal "$(< ta.out)" 'code of the TA'
    logged '1 GetDeviceState: edsi deviates: a flattened JWE, not a general one'
    local url=$URL
    URL=$URL'_delete'
    next '' request.json
    logged '1 forgotten: another session begins, and all have the tid 1'
    URL=$url
    printf '{}' > nonsense.json
    run tam nonsense.json -m 1 -w '%{http_code}'
    assert_output 000
    run curl -s -m 60 -X POST -H 'Accept: */*' -o /dev/null -w '%{http_code}' "$URL"
    assert_output 406
}

@test "a profile without certificates needs the devices' key pinned" {
    run --separate-stderr otrp tam-stub --pki "$P" --profile aist --listen 127.0.0.1:0
    assert_equal "$status" 2
    assert_equal "$stderr" 'otrp tam-stub: error: devices of profile aist name no certificate
hint: pin their public key with --tee-key'
}

@test "what a profile takes is refused without it, and taken and named with --lenient" {
    device device
    stub
    next '' request.json
    answers device request.json answer.json
    resigned answer.json '.[].signerreq = "true"' > foreign.json
    disbelieved foreign.json '.*signerreq.*'
    stub --lenient
    next '' request.json
    answers device request.json answer.json
    resigned answer.json '.[].signerreq = "true"' > foreign.json
    next foreign.json create.json
    logged "$TID GetDeviceState: .*signerreq deviates: a Boolean as a string"
}

@test "sign_algs of the policy and an answer whose protected header has typographic quotes" {
    but '.sign_algs = ["RS256"]'
    device device
    stub --lenient
    next '' request.json
    answers device request.json answer.json
    local protected input
    protected=$(printf '{“alg”:“RS256”}' | base64url_encode)
    input=$protected.$(payload answer.json | base64url_encode)
    jq -c --arg protected "$protected" \
        --arg signature "$(printf %s "$input" | openssl dgst -sha256 -sign "$TEE-key.pem" | base64url_encode)" \
        "$JWS jws |= (.protected = \$protected | .signature = \$signature)" answer.json > foreign.json
    next foreign.json create.json
    logged "$TID GetDeviceState: .*protected deviates: typographic quotes in a protected header"
}

@test "messages larger than a profile takes are refused" {
    stub --profile thaler --tee-key "$TEE-cert.pem"
    head -c 4097 /dev/zero > large
    run tam large -w '%{http_code}'
    assert_output 413
}
