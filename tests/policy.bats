#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The policy file of tam-stub: every mistake in it is told with file, place and reason, and no server
# starts. What a policy brings about is in tam.bats.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell; stderr is set by run --separate-stderr

load test_helper
load tam/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    world rsa
    wants xbank/sd-1/demo
}

# refused EXIT MESSAGE [OPTION...]: tam-stub does not start with policy.json.
refused() {
    run --separate-stderr timeout 60 "$OTRP" tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0 "${@:3}"
    assert_equal "$stderr" "otrp tam-stub: error: $2"
    assert_equal "$status" "$1"
    assert_equal "$output" ""
}

# mistake FILTER MESSAGE: what jq makes of a sound policy is refused.
mistake() {
    wants xbank/sd-1/demo
    but "$1"
    refused 6 "policy.json: $2"
}

# accepted: a server starts with policy.json.
accepted() {
    stub
    stop_server
}

TA='.sps[0].sds[0].tas[0]'

@test "the policy that all others here are made of is sound" {
    accepted
}

@test "members that nobody knows" {
    mistake '.sp = []' 'sp: unknown member'
    mistake '.remove_unlisted_tas = true' 'remove_unlisted_tas: unknown member'
    mistake '.sps[0].certificate = "x.pem"' 'sps[0].certificate: unknown member'
    mistake '.sps[0].sds[0].spid = "xbank"' 'sps[0].sds[0].spid: unknown member'
    mistake "$TA.taver = 1" 'sps[0].sds[0].tas[0].taver: unknown member'
    mistake "$TA.Name = \"x\"" 'sps[0].sds[0].tas[0].Name: unknown member'
}

@test "members of the wrong type" {
    mistake '.sps = {}' 'sps: not an array'
    mistake '.sps = null' 'sps: not an array'
    mistake '.sps[0] = "xbank"' 'sps[0]: not an object'
    mistake '.sps[0].spid = 1' 'sps[0].spid: not a string'
    mistake '.sps[0].cert = ["x.pem"]' 'sps[0].cert: not a string'
    mistake '.sps[0].key = null' 'sps[0].key: not a string'
    mistake '.sps[0].sds = "sd-1"' 'sps[0].sds: not an array'
    mistake '.sps[0].sds[0] = null' 'sps[0].sds[0]: not an object'
    mistake '.sps[0].sds[0].name = true' 'sps[0].sds[0].name: not a string'
    mistake '.sps[0].sds[0].tas = {}' 'sps[0].sds[0].tas: not an array'
    mistake '.sps[0].sds[0].tas[0] = []' 'sps[0].sds[0].tas[0]: not an object'
    mistake "$TA.taid = 7" 'sps[0].sds[0].tas[0].taid: not a string'
    mistake "$TA.name = 7" 'sps[0].sds[0].tas[0].name: not a string'
    mistake "$TA.file = 7" 'sps[0].sds[0].tas[0].file: not a string'
    mistake "$TA.pdata = {}" 'sps[0].sds[0].tas[0].pdata: not a string'
    mistake '.remove_unlisted = "true"' 'remove_unlisted: neither true nor false'
    mistake '.remove_unlisted = null' 'remove_unlisted: neither true nor false'
    mistake '.refuse = true' 'refuse: not a string'
    mistake '.require_tfw = 1' 'require_tfw: neither true nor false'
}

@test "a version is a whole number from 0 on" {
    local version
    for version in '"1"' 1.5 -1 true null; do
        mistake "$TA.version = $version" 'sps[0].sds[0].tas[0]: version is no whole number from 0 on'
    done
    for version in 0 9007199254740991; do
        wants xbank/sd-1/demo
        but "$TA.version = $version"
        accepted
    done
}

@test "members that are missing" {
    mistake 'del(.sps[0].spid)' 'sps[0].spid: missing'
    mistake 'del(.sps[0].cert)' 'sps[0].cert: missing'
    mistake 'del(.sps[0].sds[0].name)' 'sps[0].sds[0].name: missing'
    mistake "del($TA.taid)" 'sps[0].sds[0].tas[0].taid: missing'
    mistake "del($TA.file)" 'sps[0].sds[0].tas[0].file: missing'
}

@test "members that may be missing" {
    local filter
    for filter in "del($TA.version)" 'del(.sps[0].sds[0].tas)' 'del(.sps[0].sds)' 'del(.sps)' '{}' \
        'del(.remove_unlisted, .require_tfw)' 'del(.sps[0].key, .sps[0].sds)'; do
        wants xbank/sd-1/demo
        but "$filter"
        accepted
    done
}

@test "names that are empty or too long" {
    local name place
    for name in '""' "\"$(printf 'x%.0s' {1..256})\"" "\"$(printf 'é%.0s' {1..128})\""; do
        mistake ".sps[0].spid = $name" 'sps[0].spid: not 1 to 255 bytes long'
        mistake ".sps[0].sds[0].name = $name" 'sps[0].sds[0].name: not 1 to 255 bytes long'
        for place in taid name; do
            mistake "$TA.$place = $name" "sps[0].sds[0].tas[0].$place: not 1 to 255 bytes long"
        done
    done
    wants xbank/sd-1/demo
    but ".sps[0].spid = \"$(printf 'x%.0s' {1..255})\""
    accepted
}

@test "what is there twice" {
    mistake '.sps[1] = .sps[0]' 'sps[1]: the policy lists this spid twice'
    mistake '.sps[0].sds[1:] = [{name: "sd-2"}, {name: "sd-1"}]' 'sps[0].sds[2]: the SP lists this SD twice'
    mistake '.sps[0].sds[0].tas[1] = .sps[0].sds[0].tas[0]' 'sps[0].sds[0].tas[1]: the SD lists this taid twice'
    wants xbank/sd-1/demo xbank/sd-2/demo ybank/sd-1/demo
    accepted
}

@test "files that are not there or cannot be read" {
    local where=(sps[0].cert sps[0].key sps[0].sds[0].tas[0].file sps[0].sds[0].tas[0].pdata) place
    for place in "${where[@]}"; do
        wants xbank/sd-1/demo
        but ".$place = \"none\""
        refused 2 "policy.json: $place: ./none: cannot open: No such file or directory"
        but ".$place = \"$PWD/absolute\""
        refused 2 "policy.json: $place: $PWD/absolute: cannot open: No such file or directory"
    done
    mkdir folder
    for place in "${where[@]}"; do
        wants xbank/sd-1/demo
        but ".$place = \"folder\""
        run --separate-stderr timeout 60 "$OTRP" tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0
        assert_equal "$status" 2
        assert_regex "$stderr" "error: policy\\.json: ${place//[[]/\\[}: \\./folder: "
    done
}

@test "certificates and keys that are none" {
    echo rubbish > rubbish.pem
    : > empty.pem
    local file
    for file in rubbish empty; do
        wants xbank/sd-1/demo
        but ".sps[0].cert = \"$file.pem\""
        run --separate-stderr timeout 60 "$OTRP" tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0
        assert_equal "$status" 6
        assert_regex "$stderr" "error: policy\\.json: sps\\[0\\]\\.cert: \\./$file\\.pem: "
        wants xbank/sd-1/demo
        but ".sps[0].key = \"$file.pem\""
        run --separate-stderr timeout 60 "$OTRP" tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0
        assert_equal "$status" 6
        assert_regex "$stderr" "error: policy\\.json: sps\\[0\\]\\.key: \\./$file\\.pem: "
    done
    # a public key does not sign
    wants xbank/sd-1/demo
    but ".sps[0].key = \"$SP-pub.jwk\""
    run --separate-stderr timeout 60 "$OTRP" tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0
    assert [ "$status" -eq 2 -o "$status" -eq 6 ]
    assert_regex "$stderr" "error: policy\\.json: sps\\[0\\]\\.key: .*sp-xbank-rsa-pub\\.jwk: "
}

@test "a key that is not the certificate's" {
    mistake ".sps[0].key = \"$SP2-key.pem\"" 'sps[0]: key is not that of cert'
    mistake ".sps[0].key = \"$PKI_EC/sp/sp/sp-xbank-ec-key.pem\"" 'sps[0]: key is not that of cert'
}

@test "the certificate of an SP may come with its chain, in DER, its key as a JWK" {
    openssl x509 -in "$SP-cert.pem" -outform DER -out sp.der
    local cert
    for cert in sp.der "$SP-cert-plus-intermediate-cert.pem"; do
        wants xbank/sd-1/demo
        but ".sps[0].cert = \"$cert\" | .sps[0].key = \"$SP-key.jwk\""
        accepted
    done
}

@test "a TA that nobody has signed, and no key to sign it with" {
    local hint="
hint: sign it with 'otrp sign', or give the SP's private key as \"key\""
    mistake 'del(.sps[0].key)' "sps[0].sds[0].tas[0]: the file is no TA package signed by its SP$hint"
    : > ta.bin
    mistake 'del(.sps[0].key)' "sps[0].sds[0].tas[0]: the file is no TA package signed by its SP$hint"
    # a signature with alg none is none
    jq -nc '{payload: "eA", protected: ("{\"alg\":\"none\"}" | @base64 | rtrimstr("=") | rtrimstr("=")), signature: ""}' > ta.bin
    mistake 'del(.sps[0].key)' "sps[0].sds[0].tas[0]: the file is no TA package signed by its SP$hint"
}

@test "what is no JSON object" {
    local text reason
    while IFS='|' read -r text reason; do
        printf '%s' "$text" > policy.json
        run --separate-stderr timeout 60 "$OTRP" tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0
        assert_equal "$text: $status" "$text: 6"
        assert_regex "$stderr" "error: policy\\.json: $reason"
        assert_equal "$output" ""
    done << 'END'
|line 1: 
{|line 1: 
{"sps":[],}|line 1: 
{"sps":[]} x|line 1: 
{"sps":[],"sps":[]}|line 1: duplicate object key
{"sps":[{"spid":"a","spid":"b"}]}|line 1: duplicate object key
{'sps':[]}|line 1: 
{"sps":[{"spid":"x\u0000y"}]}|line 1: 
null|
"sps"|
END
    printf '{\n"sps": [\n{"spid" "x"}]}' > policy.json
    run --separate-stderr timeout 60 "$OTRP" tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0
    assert_equal "$status" 6
    assert_regex "$stderr" 'error: policy\.json: line 3: '
    printf '{"sps":[{"spid":"\xff"}]}' > policy.json
    run --separate-stderr timeout 60 "$OTRP" tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0
    assert_equal "$status" 6
    assert_regex "$stderr" 'error: policy\.json: line 1: '
}

@test "a JSON array is no policy, and that is said in a sentence" {
    echo '[]' > policy.json
    refused 6 'policy.json: not an object'
}

@test "a policy that is not there, is a folder, or is too large" {
    rm policy.json
    refused 2 'policy.json: cannot open: No such file or directory'
    mkdir policy.json
    run --separate-stderr timeout 60 "$OTRP" tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0
    assert_equal "$status" 2
    assert_regex "$stderr" 'error: policy\.json: '
    rmdir policy.json
    { printf '{"sps":['; head -c 1100000 /dev/zero | tr '\0' ' '; printf ']}'; } > policy.json
    run --separate-stderr timeout 60 "$OTRP" tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0
    assert_equal "$status" 6
    assert_regex "$stderr" 'error: policy\.json: '
}

@test "paths are relative to the policy, wherever the server runs" {
    mkdir policies
    mv policy.json ta.bin policies
    cp "$SP-cert.pem" policies/cert.pem
    cp "$SP-key.pem" policies/key.pem
    jq '.sps[0] += {cert: "cert.pem", key: "../policies/key.pem"}' policies/policy.json > policies/relative.json
    start_server otrp tam-stub --pki "$P" --policy policies/relative.json --listen 127.0.0.1:0
    cd policies
    start_server otrp tam-stub --pki "$P" --policy relative.json --listen 127.0.0.1:0
}

@test "files are read when the server starts: a session does not miss them" {
    device device
    mkdir files
    cp ta.bin "$SP-cert.pem" "$SP-key.pem" files
    but ".sps[0] += {cert: \"files/sp-xbank-rsa-cert.pem\", key: \"files/sp-xbank-rsa-key.pem\"} | $TA.file = \"files/ta.bin\""
    stub
    rm -r files policy.json
    session device
    took GetDeviceState CreateSD InstallTA
}

@test "an empty TA, and empty personalisation data, are installed" {
    : > ta.bin
    : > pdata.bin
    but "$TA.pdata = \"pdata.bin\""
    device device
    stub
    session device
    took GetDeviceState CreateSD InstallTA
    run sqlite3 device/state.db "SELECT taid, size FROM ta"
    assert_output "demo|0"
}

@test "the samples are sound" {
    mkdir -p tree/samples
    cp -r "$ROOT/samples/policies" "$ROOT/samples/ta" tree/samples
    cp -r "$P" tree/pki
    local sample
    for sample in tree/samples/policies/*.json; do
        start_server otrp tam-stub --pki "$P" --policy "$sample" --listen 127.0.0.1:0
        stop_server
    done
}
