#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tee-sim --profile aist: the default SD, for requests that name none. openssl, jose and jq are the
# witnesses.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr
# shellcheck disable=SC2030,SC2031 # every test has variables of its own

load test_helper
load tee/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    world ec
    printf 'code of the TA' > ta.bin
}

# device OPTION...: of the profile aist, which knows mytam.
device() {
    rm -rf device
    otrp tee-sim init -q --state device --pki "$P" --profile aist --tam-cert "$TAM-cert.pem" "$@"
}

# ask TYPE OPTION...: a request as the TAM of aist makes it.
ask() {
    request "$1" -q --profile aist "${@:2}"
}

# A device with a default SD of xbank, whose state and AIK its TAM knows.
ready() {
    device --sp-cert "$SP-cert.pem"
    accepted ask get-device-state
    otrp tee-sim export-aik --state device -o aik.jwk --force
}

packed() {
    ask install-ta --aik aik.jwk --sp xbank --ta ta.bin "$@"
}

# What the answer says of the SDs: as that implementation does, without their names.
sds() {
    dsi | jq -cS .tee.sdlist
}

sha256_of() {
    openssl sha256 -r "$1" | cut -d' ' -f1
}

# The public key of an AIK in the device state, as numbers in base64url: modulus, or x and y.
numbers() {
    dsi | jq -r '.tee.teeaiklist[0].spaik' | base64 -d > spaik.der
    if [ "$K" = rsa ]; then
        openssl rsa -RSAPublicKey_in -inform DER -in spaik.der -modulus -noout | cut -d= -f2 | xxd -r -p | base64url_encode
    else
        openssl pkey -pubin -inform DER -in spaik.der -outform DER | tail -c 64 > point.bin
        printf '%s %s' "$(head -c 32 point.bin | base64url_encode)" "$(tail -c 32 point.bin | base64url_encode)"
    fi
}

# ---- the life of a TA ----

# The whole of it, with keys of either kind.
whole_life() {
    world "$1"
    ready
    assert_equal "$(sds)" '{"cnt":1,"sd":[{"ta_list":[]}]}'
    assert_equal "$(dsi | jq -c '[.tee.teeaiklist[].spid]')" '["xbank"]'
    assert_equal "$(jq -r '[.n // empty, .x // empty, .y // empty] | join(" ")' aik.jwk)" "$(numbers)"
    assert_equal "$(jq -c '[.d, .p] | unique' aik.jwk)" '[null]'

    accepted packed --taid demo
    assert_equal "$(jq -c '.[] | [.rid, .tid]' payload.json)" '["1","1"]'
    assert_equal "$(jq -c keys content.json)" '["dsi"]'
    assert_equal "$(sds)" '{"cnt":1,"sd":[{"ta_list":[{"taid":"demo"}]}]}'
    otrp verify -q --profile aist --key "$TEE-cert.pem" --tam-key "$TAM-key.pem" --request given.json answer.json
    otrp tee-sim export-ta --state device --taid demo | cmp - ta.bin
    assert_equal "$(holdings | jq -c '.sds[] | [.tamid, .spid, .name, .spcerts, [.tas[].taid]]')" \
        "[\"mytam\",\"xbank\",\"\",[\"$(memo sha256_hex "$SP-cert.pem")\"],[\"demo\"]]"
    run otrp tee-sim show --state device
    assert_line '  default SD of SP xbank, owned by TAM mytam'
    refused ERR_TA_ALREADY_INSTALLED tbs packed --taid demo

    # the AIK in the state does as well
    printf 'another TA' > other.bin
    accepted ask install-ta --sp xbank --taid other --ta other.bin
    accepted ask delete-ta --taid demo
    assert_equal "$(plaintext given.json "$TEE-key.jwk" | jq -cS .)" '{"taid":"demo","tamid":"mytam"}'
    assert_equal "$(sds)" '{"cnt":1,"sd":[{"ta_list":[{"taid":"other"}]}]}'
    run otrp tee-sim export-ta --state device --taid demo
    assert_failure 2
    process given.json # there is no replay record: it is not there any more
    assert_equal "$status" 8
    assert_regex "$stderr" 'ERR_TA_NOT_FOUND: there is no TA'
    plaintext answer.json "$TAM-key.jwk" > content.json
    assert_equal "$(jq -c '[keys, .reason."error-code"]' content.json)" '[["reason"],"ERR_TA_NOT_FOUND"]'
}

@test "aist: a TA goes to the default SD, and is deleted there (RSA)" {
    whole_life rsa
}

@test "aist: a TA goes to the default SD, and is deleted there (EC)" {
    whole_life ec
}

# jws_by KEY.pem PROTECTED: the flattened JWS of standard input, by RS256.
jws_by() {
    local protected payload
    protected=$(printf %s "$2" | base64url_encode)
    payload=$(base64url_encode)
    printf '{"payload":"%s","protected":"%s","signature":"%s"}' "$payload" "$protected" \
        "$(printf '%s.%s' "$protected" "$payload" | openssl dgst -sha256 -sign "$1" | base64url_encode)"
}

# by_hand PACKAGE: InstallTA with that package, made without otrp.
by_hand() {
    local sealed
    sealed=$(jose jwe enc -I "$1" -i '{"protected":{"alg":"RSA1_5","enc":"A128CBC-HS256"}}' -k public.jwk | jq -c .)
    printf '{"InstallTATBSRequest":{"ver":"1.0","rid":2,"tid":"1","tee":"mytee","nextdsi":false,"content":{},"encrypted_ta":%s}}' \
        "$sealed" | jws_by "$TAM-key.pem" '{"alg":"RS256","kid":"tam"}' | jq -c '{InstallTARequest: .}'
}

@test "aist: what openssl and jose have made; a package without taid is known by its hash" {
    world rsa
    ready
    jq -c '{kty, n, e}' aik.jwk > public.jwk
    jws_by "$SP-key.pem" '{"alg":"RS256"}' < ta.bin > package.json
    accepted by_hand package.json
    assert_equal "$(sds)" "{\"cnt\":1,\"sd\":[{\"ta_list\":[{\"taid\":\"$(sha256_of ta.bin)\"}]}]}"
    otrp tee-sim export-ta --state device --taid "$(sha256_of ta.bin)" | cmp - ta.bin
    refused ERR_TA_ALREADY_INSTALLED tbs by_hand package.json
    printf 'more' | jws_by "$SP-key.pem" '{"alg":"RS256","taid":"8d82573a"}' > package.json
    accepted by_hand package.json
    otrp tee-sim export-ta --state device --taid 8d82573a > out.bin
    assert_equal "$(< out.bin)" more
    accepted ask delete-ta --taid "$(sha256_of ta.bin)"
    assert_equal "$(sds)" '{"cnt":1,"sd":[{"ta_list":[{"taid":"8d82573a"}]}]}'
    # a taid that is no name
    local taid
    for taid in '' "$(printf '%0256d' 0)"; do
        printf 'more' | jws_by "$SP-key.pem" "{\"alg\":\"RS256\",\"taid\":\"$taid\"}" > package.json
        refused ERR_TA_INVALID tbs by_hand package.json
    done
    # signed by nobody that the device knows, by nobody at all, and changed behind the signature
    jws_by "$SP2-key.pem" '{"alg":"RS256"}' < ta.bin > package.json
    refused ERR_TA_INVALID tbs by_hand package.json
    refused ERR_TA_INVALID tbs by_hand ta.bin
    jws_by "$SP-key.pem" '{"alg":"RS256"}' < ta.bin | flip_last_byte_of .signature > package.json
    refused ERR_TA_INVALID tbs by_hand package.json
    jws_by "$SP-key.pem" '{"alg":"RS256"}' < ta.bin | jq -c '.payload = "bW9yZQ"' > package.json
    refused ERR_TA_INVALID tbs by_hand package.json
    # encrypted to another key
    jq -c '{kty, n, e}' "$TEE-pub.jwk" > public.jwk
    jws_by "$SP-key.pem" '{"alg":"RS256"}' < ta.bin > package.json
    refused ERR_TA_INVALID tbs by_hand package.json
}

# ---- refusals ----

@test "aist: a stranger's package and a stranger's request are refused" {
    ready
    refused ERR_TA_INVALID tbs ask install-ta --aik aik.jwk --sp ybank --taid demo --ta ta.bin
    # the certificate of the stranger in the request makes him no SP of the SD
    accepted ask create-sd --sp ybank --sdname a
    refused ERR_TA_INVALID tbs ask install-ta --aik aik.jwk --sp ybank --taid demo --ta ta.bin
    cp content.json other.json
    as_other ask install-ta --aik aik.jwk --sp xbank --taid demo --ta ta.bin > stranger.json
    refused ERR_REQUEST_INVALID tbs stranger.json
    assert_equal "$(holdings | jq '[.sds[].tas[]] | length')" 0
}

@test "aist: without --sp-cert there is no default SD" {
    device
    accepted ask get-device-state
    assert_equal "$(sds)" '{"cnt":0,"sd":[]}'
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2> /dev/null | openssl pkey -pubout > aik.jwk
    refused ERR_SD_NOT_FOUND tbs packed --taid demo
    process <(ask delete-ta --taid demo)
    assert_equal "$status" 8
    assert_regex "$stderr" 'ERR_SD_NOT_FOUND: the request names no SD, and there is no default'
    run --separate-stderr otrp tee-sim export-aik --state device
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" 'the device "mytee" has no such SP AIK'
}

@test "aist: requests for the default SD mean nothing to a device of ietf, pinned TAM or not" {
    local pinned
    ready
    packed --taid demo > install.json
    ask delete-ta --taid demo > delete.json
    for pinned in '' "$TAM-cert.pem"; do
        rm -rf device
        otrp tee-sim init -q --state device --pki "$P" ${pinned:+--tam-cert "$pinned"}
        refused ERR_REQUEST_INVALID tbs install.json
        refused ERR_REQUEST_INVALID tbs delete.json
        assert_equal "$(holdings)" '{"aiks":[],"sds":[]}'
    done
    # a request of ours that names no SD is refused as ever
    accepted request get-device-state
    accepted request create-sd --sp xbank --sdname a
    refused ERR_REQUEST_INVALID tbs request delete-ta --sdname a --taid demo --unset content.sdname
    refused ERR_REQUEST_INVALID tbs request delete-ta --sdname a --taid demo --set 'content.sdname=""'
}

@test "aist: no request names, changes or deletes the default SD" {
    local before type
    ready
    accepted packed --taid demo
    before=$(holdings | jq -c '.aiks, (.sds[] | select(.name == ""))')
    # another SD of that SP comes and goes, the AIK stays
    accepted ask create-sd --sp xbank --sdname a
    assert_equal "$(sds)" '{"cnt":2,"sd":[{"ta_list":[{"taid":"demo"}]},{"name":"a","spid":"xbank","ta_list":[]}]}'
    accepted ask delete-sd --sdname a
    assert_equal "$(holdings | jq -c '.aiks, (.sds[] | select(.name == ""))')" "$before"
    accepted ask create-sd --sp xbank --sdname a
    not_taken() {
        process <("$@")
        assert_equal "$status" 8
        assert_regex "$stderr" "ERR_(SD_NOT_FOUND|REQUEST_INVALID): "
        assert_equal "$(holdings | jq -c '.aiks, (.sds[] | select(.name == ""))')" "$before"
    }
    for type in --unset=content.sdname '--set=content.sdname=""'; do
        not_taken ask delete-sd --sdname a --delete-ta "$type"
        not_taken ask update-sd --spid xbank --sdname a --renew-aik "$type"
        not_taken ask create-sd --sp xbank --sdname b "$type"
    done
    not_taken ask update-sd --spid xbank --sdname a --newsdname b --set 'content.changes.newsdname=""'
    not_taken ask delete-ta --taid demo --set content.sdname=a --set content.taid=other --set content.spid=ybank
}

# ---- init, reset, export-aik ----

@test "aist: what --sp-cert takes" {
    refuses() {
        run --separate-stderr otrp tee-sim init --state new --pki "$P" --tam-cert "$TAM-cert.pem" "${@:3}"
        assert_equal "$status $output" "$1 "
        assert_regex "$stderr" "$2"
        assert [ ! -e new ]
    }
    refuses 2 '--sp-cert: a device of this profile has no default SD' --sp-cert "$SP-cert.pem"
    refuses 2 '--sp-cert: a device of this profile' --sp-cert "$SP-cert.pem" --profile thaler
    refuses 2 'nothing.pem' --sp-cert nothing.pem --profile aist
    refuses 6 'ta.bin' --sp-cert ta.bin --profile aist
    openssl req -x509 -newkey rsa:1024 -nodes -keyout weak-key.pem -subj /CN=weak -out weak.pem 2> /dev/null
    refuses 6 'weak.pem: .*1024' --sp-cert weak.pem --profile aist
    # the SP is called as in its certificate, or by that's hash
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own-key.pem -subj /O=nobody \
        -out own.pem 2> /dev/null
    device --sp-cert own.pem
    assert_equal "$(holdings | jq -r '.sds[].spid, .aiks[].spid' | uniq)" "$(sha256_hex own.pem)"
    device --sp-cert "$SP-cert.pem"
    assert_equal "$(holdings | jq -r '.sds[].spid, .aiks[].spid' | uniq)" xbank
}

@test "aist: reset empties the default SD, which stays with its AIK" {
    ready
    accepted packed --taid demo
    accepted ask create-sd --sp ybank --sdname a
    otrp tee-sim reset -q --state device
    assert_equal "$(holdings | jq -c '[[.sds[] | .name, .tas], [.aiks[].spid]]')" '[["",[]],["xbank"]]'
    otrp tee-sim export-aik --state device | cmp - aik.jwk
    accepted packed --taid demo
}

@test "aist: each device of a fleet has a default SD and an AIK of its own; export-aik tells which" {
    cp -r "$P" pki
    P=$PWD/pki
    device --sp-cert "$SP-cert.pem" --name unit --count 2
    assert_equal "$(otrp tee-sim show --state device --json | jq -c '[.devices[] | .name, .used.sds, (.aiks | length)]')" \
        '["unit-1",1,1,"unit-2",1,1]'
    otrp tee-sim export-aik --state device --device unit-1 > 1.jwk
    otrp tee-sim export-aik --state device --device unit-2 --spid xbank --tamid mytam > 2.jwk
    run cmp -s 1.jwk 2.jwk
    assert_failure 1
    run otrp tee-sim export-aik --state device
    assert_failure 2
    run otrp tee-sim export-aik --state device --device unit-1 --spid ybank
    assert_failure 2
    run otrp tee-sim export-aik --state device --device unit-1 --tamid othertam
    assert_failure 2
    run otrp tee-sim export-aik --state device --device unit-1 -o 1.jwk
    assert_failure 2
    assert_output --partial '1.jwk'
}

@test "export-aik asks which, where a device has several" {
    otrp tee-sim init -q --state device --pki "$P"
    accepted request get-device-state
    accepted request create-sd --sp xbank --sdname a
    otrp tee-sim export-aik --state device > only.jwk
    assert_equal "$(jq -r '[.x, .y] | join(" ")' only.jwk)" "$(numbers)"
    accepted request create-sd --sp ybank --sdname b
    run --separate-stderr otrp tee-sim export-aik --state device
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" 'has several SP AIKs'
    otrp tee-sim export-aik --state device --spid xbank | cmp - only.jwk
}

# ---- with a TAM ----

# over_http PATH: a whole session of the device at that place of its TAM.
over_http() {
    run --separate-stderr otrp send --url "${URL%/api/*}$1" --profile aist --tee device --timeout 60
    assert_success
    steps=$(grep ': pass' <<< "$stderr" | cut -d: -f2 | xargs)
}

@test "aist: its TAM installs a TA over HTTP, and deletes it" {
    ready
    printf '%s' "$SP" | jq -R '{require_tfw: false, remove_unlisted: true, sps: [{spid: "xbank",
        cert: (. + "-cert.pem"), key: (. + "-key.pem"),
        sds: [{name: "any", tas: [{taid: "demo", file: "ta.bin", version: 1}]}]}]}' > policy.json
    start_server otrp tam-stub --pki "$P" --policy policy.json --profile aist --tee-key "$TEE-cert.pem" \
        --aik aik.jwk --listen 127.0.0.1:0
    over_http /api/tam_jose
    assert_equal "$steps" 'GetDeviceState InstallTA'
    otrp tee-sim export-ta --state device --taid demo | cmp - ta.bin
    over_http /api/tam_jose # nothing is left to do
    assert_equal "$steps" GetDeviceState
    over_http /api/tam_jose_delete
    assert_equal "$steps" 'GetDeviceState DeleteTA'
    assert_equal "$(holdings | jq -c '[.sds[].tas]')" '[[]]'
}
