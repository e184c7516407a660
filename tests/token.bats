#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bearer tokens: what is made is a JWT to others, and what others forge is refused.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper

NOW=1795255200

# A key of each kind, made by others, for the whole file.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem
    openssl pkey -in rsa.pem -pubout -out rsa-public.pem
    jose jwk gen -i '{"kty":"EC","crv":"P-256"}' -o p256.jwk
    jose jwk gen -i '{"kty":"EC","crv":"P-384"}' -o p384.jwk
    jose jwk gen -i '{"kty":"oct","bytes":32}' -o oct.jwk
    jose jwk pub -i p256.jwk -o p256-public.jwk
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp "$BATS_FILE_TMPDIR"/* .
}

claims() {
    printf '{"aud":"otrp-control","iat":%d,"exp":%d}' "$NOW" $((NOW + 60))
}

# rs256 HEADER [PAYLOAD [DIGEST]]: a token signed by openssl with rsa.pem.
rs256() {
    local text
    text=$(printf %s "$1" | base64url_encode).$(printf %s "${2-$(claims)}" | base64url_encode)
    echo "$text.$(printf %s "$text" | openssl dgst "-${3:-sha256}" -sign rsa.pem -binary | base64url_encode)"
}

# hs256 HEADER HEXKEY: a token with an HMAC by openssl.
hs256() {
    local text
    text=$(printf %s "$1" | base64url_encode).$(claims | base64url_encode)
    echo "$text.$(printf %s "$text" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$2" -binary | base64url_encode)"
}

# jose_token KEY [PROTECTED]: a token signed by jose.
jose_token() {
    claims | jose jws sig -I- -k "$1" ${2:+-s "{\"protected\":$2}"} -c -o-
}

# check KEY [OPTION]...: of the token on standard input.
check() {
    run --separate-stderr otrp token --check --key "$1" --aud otrp-control --now "@$NOW" "${@:2}" < <(cat)
}

# refused STATUS REASON: the last check said no, and nothing else on standard output.
refused() {
    assert_equal "$status" "$1"
    assert_equal "$output" ""
    assert_regex "$stderr" "$2"
}

@test "a token is three segments that say what was asked for" {
    otrp token --key rsa.pem --aud otrp-control --ttl 300 --now "@$NOW" > made.jwt
    assert_equal "$(wc -l < made.jwt)" 1
    IFS=. read -r header payload _ < made.jwt
    assert_equal "$(base64url_decode <<< "$header")" '{"alg":"RS256","typ":"JWT"}'
    assert_equal "$(base64url_decode <<< "$payload")" '{"aud":"otrp-control","iat":1795255200,"exp":1795255500}'
}

@test "it is valid for an hour unless told, and says the key's kid" {
    jq '.kid = "k1"' p256.jwk > kid.jwk
    otrp token --key kid.jwk --aud x --now "@$NOW" > made.jwt
    IFS=. read -r header payload _ < made.jwt
    assert_equal "$(base64url_decode <<< "$header" | jq -c .)" '{"alg":"ES256","typ":"JWT","kid":"k1"}'
    assert_equal "$(base64url_decode <<< "$payload" | jq '.exp - .iat')" 3600
}

@test "openssl verifies the signature of RS256, jose those of ES256, ES384 and HS256" {
    otrp token --key rsa.pem --aud x > made.jwt
    IFS=. read -r header payload signature < made.jwt
    base64url_decode <<< "$signature" > made.sig
    run openssl dgst -sha256 -verify rsa-public.pem -signature made.sig <(printf %s "$header.$payload")
    assert_output "Verified OK"
    for key in p256 p384 oct; do
        run bash -c "'$OTRP' token --key $key.jwk --aud x | tr -d '\n' | jose jws ver -i- -k $key.jwk -O- | jq -r .aud"
        assert_output x
    done
}

@test "what a JWK says of its algorithm is obeyed" {
    jose jwk gen -i '{"alg":"HS512"}' -o hs512.jwk
    otrp token --key hs512.jwk --aud x -o token
    assert_equal "$(cut -d. -f1 token | base64url_decode | jq -r .alg)" HS512
    run otrp token --check --key hs512.jwk --aud x token
    assert_success
    jq '.use = "enc"' p256.jwk > enc.jwk
    run --separate-stderr otrp token --key enc.jwk --aud x
    refused 2 'its use is "enc"'
    jq '.key_ops = ["verify"]' p256.jwk > verify.jwk
    run --separate-stderr otrp token --key verify.jwk --aud x
    refused 2 'key_ops do not allow "sign"'
}

@test "keys that cannot sign tokens are refused: public, short, several, Ed25519, PS256" {
    run --separate-stderr otrp token --key rsa-public.pem --aud x
    refused 2 'private'
    jose jwk gen -i '{"kty":"oct","bytes":31}' -o short.jwk
    run --separate-stderr otrp token --key short.jwk --aud x
    refused 2 'no algorithm fits|needs a key of 256 bits'
    jq -s '{keys:.}' p256.jwk p384.jwk > set.jwk
    run --separate-stderr otrp token --key set.jwk --aud x
    refused 2 '2 keys, where one is needed'
    openssl genpkey -algorithm ed25519 -out ed.pem
    run --separate-stderr otrp token --key ed.pem --aud x
    refused 2 'not signed with EdDSA'
    jose jwk gen -i '{"alg":"PS256"}' -o ps.jwk
    run --separate-stderr otrp token --key ps.jwk --aud x
    refused 2 'not signed with PS256'
}

@test "a token file is a secret, and is not overwritten" {
    otrp token --key p256.jwk --aud x -o token
    assert_equal "$(stat -c %a token)" 600
    run --separate-stderr otrp token --key p256.jwk --aud x -o token
    refused 2 'exists'
}

@test "options that do not go together are refused" {
    run --separate-stderr otrp token --check --ttl 5 --key p256.jwk --aud x
    refused 2 '--ttl'
    run --separate-stderr otrp token --key p256.jwk --aud x token
    refused 2 'without .token.'
    run --separate-stderr otrp token --key p256.jwk --aud ''
    refused 2 '--aud'
    run --separate-stderr otrp token --key p256.jwk
    refused 2 '--aud'
}

@test "tokens made by openssl and jose are good, checked with the public key too" {
    check rsa.pem < <(rs256 '{"alg":"RS256","typ":"JWT"}')
    assert_success
    assert_equal "$(jq -c . <<< "$output")" "$(claims)"
    check rsa-public.pem < <(rs256 '{"alg":"RS256"}')
    assert_success
    check p256-public.jwk < <(jose_token p256.jwk)
    assert_success
    check p384.jwk < <(jose_token p384.jwk)
    assert_success
    check oct.jwk < <(jose_token oct.jwk)
    assert_success
}

@test "a public key is not taken for a shared secret" {
    for pem in rsa-public.pem <(openssl pkey -pubin -in rsa-public.pem -outform DER); do
        secret=$(xxd -p < "$pem" | tr -d '\n')
        check rsa-public.pem < <(hs256 '{"alg":"HS256","typ":"JWT"}' "$secret")
        refused 3 'signed with "HS256", and the key is for RS256'
        check rsa-public.pem < <(hs256 '{"alg":"RS256","typ":"JWT"}' "$secret")
        refused 3 'did not sign it'
    done
    otrp jwk --public --pem p256.jwk > p256.pem
    check p256.jwk < <(hs256 '{"alg":"HS256"}' "$(xxd -p < p256.pem | tr -d '\n')")
    refused 3 'the key is for ES256'
}

@test "no algorithm is no signature, however it is spelt" {
    for alg in none None NONE nOnE; do
        token=$(printf '{"alg":"%s"}' $alg | base64url_encode).$(claims | base64url_encode).
        for key in rsa.pem p256.jwk oct.jwk; do
            check $key <<< "$token"
            refused 3 "signed with \"$alg\""
            check $key <<< "${token}c2ln"
            refused 3 "signed with \"$alg\""
        done
    done
}

@test "the key has one algorithm" {
    check rsa.pem < <(rs256 '{"alg":"RS512"}' "$(claims)" sha512)
    refused 3 'RS512.*for RS256'
    check p384.jwk < <(jose_token p256.jwk)
    refused 3 'ES256.*for ES384'
    check rsa.pem < <(jose_token oct.jwk)
    refused 3 'HS256.*for RS256'
    check oct.jwk < <(rs256 '{"alg":"RS256"}')
    refused 3 'RS256.*for HS256'
    check p256.jwk < <(rs256 '{"alg":"ES256"}')
    refused 3 'did not sign it'
    check rsa.pem < <(rs256 '{"alg":"HS256"}')
    refused 3 'HS256.*for RS256'
}

@test "the key of another, or one that the token brings along, counts for nothing" {
    jose jwk gen -i '{"kty":"EC","crv":"P-256"}' -o other.jwk
    check p256.jwk < <(jose_token other.jwk)
    refused 3 'did not sign it'
    check p256.jwk < <(jose_token other.jwk "{\"jwk\":$(jose jwk pub -i other.jwk -o-)}")
    refused 3 'did not sign it'
    check p256.jwk < <(jose_token other.jwk '{"kid":"../../other.jwk"}')
    refused 3 'did not sign it'
    jose jwk gen -i '{"kty":"oct","bytes":32}' -o other.jwk
    check oct.jwk < <(jose_token other.jwk)
    refused 3 'did not sign it'
}

@test "a symmetric key counts to its end, zero bytes included" {
    printf '{"kty":"oct","k":"%s"}' "$(printf 'secret\0%025d' 1 | base64url_encode)" > zero.jwk
    printf '{"kty":"oct","k":"%s"}' "$(printf 'secret\0%025d' 2 | base64url_encode)" > other.jwk
    check zero.jwk < <(jose_token zero.jwk)
    assert_success
    check zero.jwk < <(jose_token other.jwk)
    refused 3 'did not sign it'
}

@test "one changed bit of any segment, and the token is nothing" {
    token=$(rs256 '{"alg":"RS256","typ":"JWT"}')
    IFS=. read -r header payload signature <<< "$token"
    other=$(printf %s "{\"aud\":\"otrp-control\",\"exp\":9999999999}" | base64url_encode)
    check rsa.pem <<< "$header.$other.$signature"
    refused 3 'did not sign it'
    check rsa.pem <<< "$header.$payload.$(rs256 '{"alg":"RS256","typ":"JWT"}' '{}' | cut -d. -f3)"
    refused 3 'did not sign it'
    check rsa.pem <<< "$(printf '{"alg":"RS256"}' | base64url_encode).$payload.$signature"
    refused 3 'did not sign it'
}

@test "what is no token is malformed" {
    token=$(rs256 '{"alg":"RS256"}')
    IFS=. read -r header payload signature <<< "$token"
    for bad in '' . .. x "$header.$payload" "$token." "$token.x" ".$payload.$signature" \
        "$header.$payload.$signature=" "$header.$payload$(printf '\n').*$signature" \
        "{\"payload\":\"$payload\",\"protected\":\"$header\",\"signature\":\"$signature\"}"; do
        check rsa.pem <<< "$bad"
        refused 6 'token'
    done
    check rsa.pem < <(rs256 'null')
    refused 6 'token'
    check rsa.pem < <(rs256 '{"typ":"JWT"}')
    refused 6 'alg'
    check rsa.pem < <(rs256 '{"alg":7}')
    refused 6 'alg'
    check rsa.pem < <(rs256 '{"alg":"none","alg":"RS256"}')
    refused 6 'duplicate|twice|alg'
    check rsa.pem < <(rs256 '{"alg":"RS256","crit":["exp"],"exp":1}')
    refused 6 'crit'
    check rsa.pem < <(rs256 '{"alg":"RS256","typ":"at+jwt"}')
    refused 6 'typ'
    check rsa.pem < <(rs256 '{"alg":"RS256"}' '["otrp-control"]')
    refused 6 'not a JSON object'
    check rsa.pem < <(rs256 '{"alg":"RS256"}' '{"aud":"other","aud":"otrp-control","exp":1795255260}')
    refused 6 'duplicate|twice|aud'
}

@test "a token beyond 8192 bytes is refused before anything else is done with it" {
    check rsa.pem < <(rs256 '{"alg":"RS256"}' "{\"aud\":\"otrp-control\",\"exp\":1795255260,\"x\":\"$(printf %07000d 0)\"}")
    refused 6 'more than the 8192 bytes'
    check rsa.pem < <(rs256 '{"alg":"RS256"}' "{\"aud\":\"otrp-control\",\"exp\":1795255260,\"x\":\"$(printf %05000d 0)\"}")
    assert_success
}

@test "exp is needed, and ends it to the second" {
    check_exp() {
        check rsa.pem < <(rs256 '{"alg":"RS256"}' "{\"aud\":\"otrp-control\"$1}")
    }
    check_exp ',"exp":1795255201'
    assert_success
    check_exp ',"exp":1795255200.5'
    assert_success
    check_exp ',"exp":1795255200'
    refused 4 'expired 0 s ago'
    check_exp ',"exp":1795251600'
    refused 4 'expired 3600 s ago .it is 2026-11-21T10:00:00Z'
    check_exp ''
    refused 4 'it has no exp'
    check_exp ',"exp":"1795255260"'
    refused 6 'exp is no number'
    check_exp ',"exp":null'
    refused 6 'exp is no number'
    check_exp ',"exp":-1'
    refused 4 'expired'
    check_exp ',"exp":1795255260,"nbf":1795255201'
    refused 4 'not valid for another 1 s'
    check_exp ',"exp":1795255260,"nbf":1795255200'
    assert_success
    check_exp ',"exp":1795255260,"nbf":"0"'
    refused 6 'nbf is no number'
}

@test "aud is needed, and is the whole name or one of several" {
    check_aud() {
        check rsa.pem < <(rs256 '{"alg":"RS256"}' "{\"exp\":1795255260$1}")
    }
    check_aud ',"aud":["other","otrp-control"]'
    assert_success
    for aud in '"otrp"' '"otrp-control2"' '"OTRP-CONTROL"' '""' '[]' '["other"]' '"otrp-control\u0000"'; do
        check_aud ",\"aud\":$aud"
        assert [ "$status" -ne 0 ]
        assert_equal "$output" ""
    done
    check_aud ''
    refused 4 'it has no aud'
    check_aud ',"aud":{"otrp-control":1}'
    refused 6 'aud is neither'
    check_aud ',"aud":["otrp-control",7]'
    refused 6 'aud\[1\] is no string'
}

@test "with --json a refusal is one line" {
    check rsa.pem --json < <(jose_token p256.jwk)
    assert_equal "$status" 3
    assert_equal "$(jq -r .error.class <<< "$stderr")" signature
}

@test "what a token says does not reach the terminal raw" {
    check rsa.pem < <(rs256 '{"alg":"\u001b[31m"}')
    refused 3 'signed with "\\x1b\[31m"'
}
