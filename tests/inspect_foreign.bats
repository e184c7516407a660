#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# otrp inspect on messages of other implementations and of older drafts, made by hand with jose and
# jq: all of them are shown, and each deviation is named.
# shellcheck disable=SC2030,SC2031,SC2154 # SIGNER is for one test; the helper sets the filters

load test_helper
load inspect/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    TAM=$SAMPLES/pki/tam/tam/tam-mytam-rsa
    TEE=$SAMPLES/pki/tee/tee/tee-mytee-rsa
    export SIGNER=$TAM-key.jwk
}

# A JWE as the one wants it; the other's is what sealed makes.
ALG_PROTECTED='{"alg":"RSA1_5","enc":"A128CBC-HS256"}'

# base64url, without padding, of the DER of a certificate
cert_url() {
    openssl x509 -in "$1" -outform DER | base64url_encode
}

@test "aist: a request for the device state" {
    signed GetDeviceStateRequest '{GetDeviceStateTBSRequest: {ver: "1.0", tid: "1",
        ocspdat: ["<BASE64 OCSP>"], supportedsigalgs: ["RS256"]}}' '{"alg":"RS256","kid":"tam"}' > gds.json
    run report "$DEVIATIONS" --key "$TAM-cert.pem" gds.json
    assert_output - << 'END'
GetDeviceStateTBSRequest.rid: missing (section 9.1.1)
GetDeviceStateTBSRequest.ocspdat: not standard BASE64 (section 9.1.1)
protected.kid: a kid in the header (section 7.4)
header.x5c: no x5c with the TAM's certificate (section 9.1.1)
END
    run jq -r "$VERDICTS" report.json
    assert_output --partial 'signature: right'
}

@test "aist: a request to install a TA" {
    local package
    package=$(sealed '{"payload":"AA","protected":"AA","signature":"AA"}' "$TEE-pub.jwk" "$ALG_PROTECTED" {})
    signed InstallTARequest "{InstallTATBSRequest: {ver: \"1.0\", rid: 2, tid: \"1\", tee: \"t\",
        nextdsi: true, content: {}, encrypted_ta: $package}}" '{"alg":"RS256","kid":"tam"}' > install.json
    run report "$DEVIATIONS" install.json
    assert_output - << 'END'
InstallTATBSRequest.dsihash: missing (section 9.3.1.1)
InstallTATBSRequest.rid: a number instead of a string (section 9.3.1.1)
content: no JWE at all (section 7.5)
encrypted_ta: a JWE of the TA instead of key, iv, alg and data (section 9.3.1.1)
protected.kid: a kid in the header (section 7.4)
header.x5c: no x5c with the TAM's certificate (section 9.1.1)
END
}

@test "aist: an answer with its device state" {
    local edsi
    edsi=$(sealed '{"dsi":{"tee":{"name":"aist-tee","ver":"1.0","cert":"","cacert":[],"sdlist":{"cnt":1,
        "sd":[{"name":"SP1","spid":"1","ta_list":[{"taid":"a","taname":"b"}]}]},"teeaiklist":[]}}}' \
        "$TAM-pub.jwk" "$ALG_PROTECTED" {})
    export SIGNER=$TEE-key.jwk
    signed GetDeviceTEEStateResponse "{GetDeviceTEEStateTBSResponse: {ver: \"1.0\", status: \"pass\",
        rid: \"1\", tid: \"1\", signerreq: false, edsi: $edsi}}" '{"alg":"RS256","kid":"tee"}' |
        jq -c '{GetDeviceStateResponse: [.]}' > state.json
    run report "$DEVIATIONS" --key "$TEE-pub.jwk" --key "$TAM-key.pem" state.json
    assert_output - << 'END'
edsi: a flattened JWE instead of the general serialisation (section 7.5, RFC 7516 section 7.2.1)
edsi: alg stands in the protected header (section 7.5)
edsi.dsi.tee.cert: not standard BASE64 (section 9.1.5)
edsi.dsi.tee.sdlist.cnt: a number instead of a string (section 9.1.5)
edsi.dsi.tee.sdlist.sd[0].ta_list: an older name of talist (section 9.1.5)
protected.kid: a kid in the header (section 7.4)
END
    run value dsi.tee.name
    assert_output aist-tee
}

@test "thaler: a request with certificates in base64url, and its answer" {
    local x5c edsi
    x5c="{\"x5c\":[\"$(cert_url "$TAM-cert.pem")\"]}"
    signed GetDeviceStateRequest '{GetDeviceStateTBSRequest: {ver: "1.0", rid: "r", tid: "t", ocspdat: []}}' \
        '{"alg":"RS256"}' "$x5c" > gds.json
    edsi=$(sealed "{\"dsi\":{\"tee\":{\"name\":\"Intel SGX TEE\",\"ver\":\"1\",\"cert\":\"$(cert_url "$TEE-cert.pem")\",
        \"cacert\":[],\"talist\":[],\"requestedtalist\":[]}}}" "$TAM-pub.jwk")
    export SIGNER=$TEE-key.jwk
    signed GetDeviceTEEStateResponse "{GetDeviceTEEStateTBSResponse: {ver: \"1.0\", status: \"pass\",
        rid: \"r\", tid: \"t\", signerreq: \"true\", edsi: $edsi}}" '{"alg":"RS256"}' \
        "{\"x5c\":[\"$(cert_url "$TEE-cert.pem")\"]}" |
        jq -c '{GetDeviceStateResponse: [.]}' > state.json
    run report "$DEVIATIONS" --pki "$SAMPLES/pki" <(cat gds.json state.json)
    assert_output - << 'END'
header.x5c[0]: a certificate that is not standard BASE64 of DER (RFC 7515 section 4.1.6)
GetDeviceTEEStateTBSResponse.signerreq: a Boolean as a string (section 9.1.5)
edsi: a flattened JWE instead of the general serialisation (section 7.5, RFC 7516 section 7.2.1)
edsi.dsi.tee.sdlist: missing (section 9.1.5)
edsi.dsi.tee.teeaiklist: missing (section 9.1.5)
edsi.dsi.tee.cert: base64url instead of BASE64 (section 9.1.5)
edsi.dsi.tee.talist: unknown member (section 9.1.5)
edsi.dsi.tee.requestedtalist: unknown member (section 9.1.5)
header.x5c: a response shows the device's certificate to everyone (section 7.4.1)
header.x5c[0]: a certificate that is not standard BASE64 of DER (RFC 7515 section 4.1.6)
END
    run jq -r "$VERDICTS" report.json
    assert_output - << 'END'
signature: right
chain: right
revocation: not checked
session: right
signature: right
chain: right
END
}

@test "thaler: an install request with placeholders, and an answer with a CEK of its own" {
    local content answer
    content=$(sealed '{"tamid":"TODO","spid":"TODO","sdname":"TODO","taid":"a"}' "$TEE-pub.jwk")
    signed InstallTARequest "{InstallTATBSRequest: {ver: \"1.0\", rid: \"r\", tid: \"t\", ocspdat: \"\", tee: \"t\",
        nextdsi: \"false\", dsihash: \"$(printf x | openssl sha256 -binary | base64url_encode)\",
        content: $content, encrypted_ta: {}}}" > install.json
    answer=$(sealed '{"did":"x","dsi":"{}"}' "$TAM-pub.jwk")
    export SIGNER=$TEE-key.jwk
    signed InstallTAResponse "{InstallTATBSResponse: {ver: \"1.0\", status: \"pass\", rid: \"r\", tid: \"t\",
        content: $answer}}" > answer.json
    run report "$DEVIATIONS" --key "$TEE-key.pem" --key "$TAM-key.pem" <(cat install.json answer.json)
    assert_output - << 'END'
InstallTATBSRequest.ocspdat: one string instead of an array (section 9.3.1.1)
InstallTATBSRequest.nextdsi: a Boolean as a string (section 9.3.1.1)
InstallTATBSRequest.dsihash: base64url instead of BASE64 (section 9.3.1.1)
content: a flattened JWE instead of the general serialisation (section 7.5, RFC 7516 section 7.2.1)
encrypted_ta: empty: there is no TA in it (section 9.3.1.1)
header.x5c: no x5c with the TAM's certificate (section 9.1.1)
content: a flattened JWE instead of the general serialisation (section 7.5, RFC 7516 section 7.2.1)
content: the answer has not the CEK of the request (section 9.2.1.2)
content.dsi: a string instead of an object (section 9.3.1.2)
END
}

@test "forms of older drafts, each by its name" {
    local content
    content=$(sealed '{"tsmid":"mytam","spid":"a","sdname":"b","taid":"c","spcert":"'"$(cert_url "$TAM-cert.pem")"'"}' \
        "$TEE-pub.jwk" | general)
    signed InstallTARequest "{InstallTATBSRequest: {ver: \"1.0\", rid: \"r\", tid: \"t\", tee: \"t\",
        nextdsi: \" True \" | ascii_downcase, icaocspdat: \"AAAA\", supportedsigalgs: \"RS256\",
        dsihash: \"$(printf x | sha256sum | cut -d' ' -f1)\", content: $content,
        encrypted_ta: {key: \"AAAA\", iv: \"AAECAwQFBgcICQoLDA0ODw==\", alg: \"AESCBC\", encrypted_ta_bin: \"AAAA\"}}}" \
        '{"alg":"RS256","x5c":["'"$(openssl x509 -in "$TAM-cert.pem" -outform DER | base64 -w 0)"'"]}' > install.json
    run report "$DEVIATIONS" --key "$TEE-key.pem" install.json
    assert_output - << 'END'
InstallTATBSRequest.nextdsi: a Boolean as a string (section 9.3.1.1)
InstallTATBSRequest.icaocspdat: an older name of ocspdat (section 9.3.1.1)
InstallTATBSRequest.supportedsigalgs: one string instead of an array (section 9.3.1.1)
InstallTATBSRequest.dsihash: hexadecimal instead of BASE64 (section 9.3.1.1)
InstallTATBSRequest.encrypted_ta.key: a string instead of an object (section 9.3.1.1)
InstallTATBSRequest.encrypted_ta.iv: BASE64 instead of hexadecimal (section 9.3.1.1)
InstallTATBSRequest.encrypted_ta.encrypted_ta_bin: an older name of ciphertadata (section 9.3.1.1)
content.tsmid: an older name of tamid (section 9.3.1.1)
content.spcert: base64url instead of BASE64 (section 9.3.1.1)
encrypted_ta.key: the wrapped key alone instead of a JWE (section 9.3.1.1)
protected.x5c: x5c stands in the protected header (section 9.1.1)
END
    run jq -r "$VERDICTS" report.json
    assert_line "signature: right"
}

@test "protected headers that are objects, spaced or written by a word processor" {
    local jwe
    jwe=$(sealed '{"x":1}' "$TAM-pub.jwk" | general)
    jq -c '.protected = {"enc": "A128CBC-HS256"}' <<< "$jwe" > object.jwe
    run report "$DEVIATIONS" --key "$TAM-key.pem" object.jwe
    assert_line --index 0 --partial 'not a string'
    run inspect object.jwe
    assert_line --regexp '^ +enc +A128CBC-HS256$'
    jq -c --arg spaced "$(printf '{ "enc" : "A128CBC-HS256" }' | base64url_encode)" '.protected = $spaced' <<< "$jwe" > spaced.jwe
    run report "$DEVIATIONS" spaced.jwe
    assert_output 'envelope: white space in the protected header (section 7.5)'
    jq -c --arg quotes "$(printf '{“alg”:“RS256”}' | base64url_encode)" '.CreateSDRequest.protected = $quotes' \
        "$SAMPLES/create-sd-request.json" > quotes.json
    run report "$DEVIATIONS" quotes.json
    assert_output 'protected: quotes other than " (RFC 8259 section 7)'
}

@test "a device state with a sigalg in BASE64 and a key as numbers, and one in a string" {
    echo '{"dsi":{"tfwdata":{"tbs":"AAAA","cert":"AAAA","sigalg":"UlMyNTY=","sig":"AAAA"},"tee":{"name":"t","ver":"1",
        "cert":"AAAA","cacert":[],"sdlist":{"cnt":"0","sd":[]},
        "teeaiklist":[{"spaik":{"e":"AQAB","n":"AAAA"},"spaiktype":"RSA","spid":"a"}]}}}' > dsi.json
    run report "$DEVIATIONS" dsi.json
    assert_output 'dsi.tfwdata.sigalg: a BASE64 sigalg instead of RS256 or ES256 (section 9.1.3.1)
dsi.tee.teeaiklist[0].spaik: spaik as exponent and modulus (section 9.1.5)'
    local content
    content=$(sealed "{\"did\":\"x\",\"dsi\":$(jq -c .dsi dsi.json | jq -Rs .)}" "$TAM-pub.jwk" | general)
    jq -cn "{DeleteTATBSResponse: {ver: \"1.0\", status: \"pass\", rid: \"r\", tid: \"t\", content: $content}}" > answer.json
    report . --key "$TAM-key.pem" answer.json > /dev/null
    run value dsi.tee.name
    assert_output t
}
