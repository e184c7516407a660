#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tee-sim: what the commands of a TAM do to a device, every error of theirs, and which state a TAM must
# have seen. The order of all checks is in tee_order.bats. jq, jose, openssl and sqlite3 are the
# witnesses.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr
# shellcheck disable=SC2030,SC2031 # every test has variables of its own

load test_helper
load tee/helper

setup_file() {
    furnish
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# ---- CreateSD, DeleteSD ----

@test "CreateSD answers with did, sdname and the new state, or else with the new AIK" {
    for kind in rsa ec; do
        take asked $kind
        accepted request create-sd --sp xbank --sdname one
        assert_equal "$(jq -c '[keys, .sdname]' content.json)" \
            '[["did","dsi","sdname"],"one"]'
        assert_equal "$(jq -r .did content.json)" "$(did "$TEE-cert.pem")"
        accepted request create-sd --sp ybank --sdname two --no-nextdsi
        assert_equal "$(jq -c '[keys, .teespaiktype]' content.json)" \
            "[[\"did\",\"sdname\",\"teespaik\",\"teespaiktype\"],\"$([ $kind = rsa ] && echo RSA || echo ECC)\"]"
        local aik
        aik=$(jq -r .teespaik content.json)
        accepted request get-device-state
        assert_equal "$(dsi | jq -r '.tee.teeaiklist[] | select(.spid == "ybank") | .spaik')" "$aik"
        accepted request create-sd --sp ybank --sdname three --no-nextdsi
        assert_equal "$(jq -c keys content.json)" '["did","sdname"]'
    done
}

@test "the content of an answer has the key of the request's content, a new iv, and is for the TAM" {
    for kind in rsa ec; do
        take asked $kind
        for enc in A128CBC-HS256 A256CBC-HS512; do
            request create-sd --sp xbank --sdname "with-$enc" --enc $enc --force --save-cek "cek-$enc.jwk" > request.json
            accepted request.json
            tbs answer.json | jq -c .content > content.json
            assert_equal "$(jq -r .protected content.json | jose b64 dec -i-)" "{\"enc\":\"$enc\"}"
            refute [ "$(jq -r .iv content.json)" = "$(tbs request.json | jq -r .content.iv)" ]
            jq -c '{protected, iv, ciphertext, tag, header: {alg: "dir"}}' content.json > direct.json
            run jose jwe dec -i direct.json -k "cek-$enc.jwk"
            assert_success
            assert_equal "$(jq -r .sdname <<< "$output")" "with-$enc"
            tbs request.json | jq -c '.content | {protected, iv, ciphertext, tag, header: {alg: "dir"}}' > direct.json
            run jose jwe dec -i direct.json -k "cek-$enc.jwk"
            assert_equal "$(jq -r .sdname <<< "$output")" "with-$enc"
        done
    done
}

@test "a TAM may be EC where the device is RSA, and the other way round" {
    by_hand() {
        otrp make-request "$1" --tam-key "$TAM-key.pem" --tam-cert "$TAM-cert-plus-intermediate-cert.pem" \
            --ocsp "$TAM-ocsp.json" "${@:2}"
    }
    local tam tee
    for tam in rsa ec; do
        [ $tam = rsa ] && tee=ec || tee=rsa
        world "$tee"
        local device=$TEE
        world "$tam"
        TEE=$device
        rm -rf device
        otrp tee-sim init -q --state device --tee-key "$TEE-key.pem" --name mytee --tam-root "$P/tam/tam-rootca" \
            --tee-cert "$TEE-cert-plus-intermediate-cert.pem"
        accepted by_hand get-device-state
        accepted by_hand create-sd --device state.json --spid xbank --spcert "$SP-cert.pem" --sdname a
        echo code | otrp sign --key "$SP-key.pem" > package.json
        accepted by_hand install-ta --device state.json --spid xbank --sdname a --taid t --ta package.json
        run otrp tee-sim export-ta --state device --taid t
        assert_output code
    done
}

@test "the device writes down the hash of the state that it issues" {
    for kind in rsa ec; do
        take filled $kind
        dsi state.json | jq -cjS '{dsi: .}' | openssl sha256 -binary | base64 > hash.txt
        assert_equal "$(otrp tee-sim show --state device --json | jq -r '.devices[0].tams[0].dsihash')" \
            "$(cat hash.txt)"
    done
}

@test "CreateSD: an SD that is there is ERR_SD_ALREADY_EXIST; of another SP or TAM it may have the name" {
    take filled
    recorded yes ERR_SD_ALREADY_EXIST content request create-sd --sp xbank --sdname sd-1
    accepted request create-sd --sp ybank --sdname sd-1
    as_other accepted request get-device-state
    as_other accepted request create-sd --sp xbank --sdname sd-1
    assert_equal "$(holdings | jq -c '[.sds[] | [.tamid, .spid, .name]]')" \
        '[["mytam","xbank","sd-1"],["mytam","ybank","sd-1"],["othertam","xbank","sd-1"]]'
}

@test "CreateSD: a certificate that is none, or whose own signature is wrong, is ERR_SPCERT_INVALID" {
    take asked
    recorded yes ERR_SPCERT_INVALID content request create-sd --sp xbank --sdname a \
        --set 'content.spcert="AAAA"'
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own-key.pem \
        -subj /CN=own -days 30 -out own-cert.pem 2> /dev/null
    local changed
    openssl x509 -in own-cert.pem -outform DER -out own.der
    changed=$(last_byte_changed own.der | base64 -w 0) # of its signature
    refused ERR_SPCERT_INVALID content request create-sd --sp xbank --sdname a \
        --set "content.spcert=\"$changed\""
    new_cert weak "$P/sp/sp-ca/sp-ca-1-ec" 'keyUsage=digitalSignature' -newkey rsa:1024
    refused ERR_SPCERT_INVALID content request create-sd --spid xbank --spcert weak-cert.pem --sdname a
    refused ERR_SPCERT_INVALID content request create-sd --sp xbank --sdname a \
        --set "content.spcert=\"$(der own-cert.pem | base64 -d | cat - <(echo more) | base64 -w 0)\""
    accepted request create-sd --spid xbank --spcert own-cert.pem --sdname a
}

@test "DeleteSD needs an empty SD, or deleteta, and another TAM's SD does not exist" {
    take filled
    recorded yes ERR_SD_NOT_EMPTY content request delete-sd --sdname sd-1
    recorded yes ERR_SD_NOT_FOUND content request delete-sd --sdname sd-2 --delete-ta
    as_other accepted request get-device-state
    assert_equal "$(as_other dsi | jq -c '.tee | [.sdlist, .teeaiklist]')" '[{"cnt":"0","sd":[]},[]]'
    as_other recorded yes ERR_SD_NOT_FOUND content request delete-sd --sdname sd-1 --delete-ta
    accepted request delete-sd --sdname sd-1 --delete-ta
    assert_equal "$(jq -c keys content.json)" '["did","dsi"]'
    assert_equal "$(dsi | jq -c '.tee | [.sdlist, .teeaiklist]')" '[{"cnt":"0","sd":[]},[]]'
    assert_equal "$(holdings)" '{"aiks":[],"sds":[]}'
    run sqlite3 device/state.db 'SELECT count(*) FROM ta; SELECT count(*) FROM sd_cert'
    assert_output $'0\n0'
}

@test "DeleteSD and DeleteTA of a name that two SPs have are ERR_REQUEST_INVALID" {
    take filled
    accepted request create-sd --sp ybank --sdname sd-1
    refused ERR_REQUEST_INVALID content request delete-sd --sdname sd-1 --delete-ta
    refused ERR_REQUEST_INVALID content request delete-ta --sdname sd-1 --taid demo
}

# ---- AIKs ----

aik_of() {
    dsi "${2:-state.json}" | jq -r --arg spid "$1" '.tee.teeaiklist[] | select(.spid == $spid) | .spaik'
}

@test "an SP has one AIK for all its SDs of a TAM, until the last one goes" {
    take filled ec
    local first second
    first=$(aik_of xbank)
    accepted request create-sd --sp xbank --sdname sd-2
    assert_equal "$(aik_of xbank)" "$first"
    as_other accepted request get-device-state
    as_other accepted request create-sd --sp xbank --sdname sd-1
    second=$(as_other aik_of xbank other.json)
    assert [ -n "$second" ]
    refute [ "$second" = "$first" ]
    accepted request delete-sd --sdname sd-1 --delete-ta
    assert_equal "$(aik_of xbank)" "$first"
    accepted request delete-sd --sdname sd-2
    assert_equal "$(aik_of xbank)" ""
    as_other accepted request create-sd --sp ybank --sdname sd-1
    assert_equal "$(as_other aik_of xbank other.json)" "$second"
    accepted request create-sd --sp xbank --sdname sd-1
    assert [ -n "$(aik_of xbank)" ]
    refute [ "$(aik_of xbank)" = "$first" ]
}

@test "UpdateSD renews the AIK: what is encrypted for the old one is ERR_TA_INVALID, what is there stays" {
    take filled ec
    local old
    old=$(aik_of xbank)
    cp state.json old.json
    accepted request update-sd --spid xbank --sdname sd-1 --renew-aik
    assert_equal "$(jq -c keys content.json)" '["did","dsi"]'
    assert [ -n "$(aik_of xbank)" ]
    refute [ "$(aik_of xbank)" = "$old" ]
    KNOWN=old.json request install-ta --sp xbank --sdname sd-1 --taid new --ta ta.bin \
        --set "dsihash=\"$(dsi state.json | jq -cjS '{dsi: .}' | openssl sha256 -binary | base64)\"" > old-key.json
    refused ERR_TA_INVALID content old-key.json
    accepted request install-ta --sp xbank --sdname sd-1 --taid new --ta ta.bin
    run otrp tee-sim export-ta --state device --taid demo
    assert_output "$(cat ta.bin)"
    accepted request update-sd --spid xbank --sdname sd-1 --renew-aik --no-nextdsi
    assert_equal "$(jq -c keys content.json)" '["did","teespaik","teespaiktype"]'
}

# ---- UpdateSD ----

@test "UpdateSD renames an SD and gives it to another SP, whose AIK it then has" {
    take filled ec
    accepted request update-sd --spid xbank --sdname sd-1 --newsdname renamed
    assert_equal "$(dsi | jq -c .tee.sdlist.sd)" \
        '[{"name":"renamed","spid":"xbank","talist":[{"taid":"demo","taname":"Demo"}]}]'
    accepted request update-sd --spid xbank --sdname renamed --newspid ybank --add-spcert "$SP2-cert.pem"
    assert_equal "$(dsi | jq -c '.tee | [.sdlist.sd[0].spid, [.teeaiklist[].spid]]')" '["ybank",["ybank"]]'
    assert_equal "$(holdings | jq -c '[.aiks[].spid]')" '["ybank"]'
    accepted request create-sd --sp xbank --sdname other
    accepted request update-sd --spid xbank --sdname other --newspid ybank --no-nextdsi
    assert_equal "$(jq -c keys content.json)" '["did"]'
    accepted request get-device-state
    accepted request update-sd --spid ybank --sdname other --newspid zbank --newsdname zone --no-nextdsi
    assert_equal "$(jq -c keys content.json)" '["did","teespaik","teespaiktype"]'
    local aik
    aik=$(jq -r .teespaik content.json)
    accepted request get-device-state
    assert_equal "$(aik_of zbank)" "$aik"
    assert_equal "$(holdings | jq -c '[[.sds[] | [.spid, .name]], [.aiks[].spid]]')" \
        '[[["ybank","renamed"],["zbank","zone"]],["ybank","zbank"]]'
}

@test "UpdateSD to a name that is taken is ERR_SDNAME_ALREADY_USED; another SP's or TAM's name is free" {
    take filled ec
    accepted request create-sd --sp xbank --sdname sd-2
    accepted request create-sd --sp ybank --sdname sd-3
    as_other accepted request get-device-state
    as_other accepted request create-sd --sp xbank --sdname sd-4
    recorded yes ERR_SDNAME_ALREADY_USED content request update-sd --spid xbank --sdname sd-1 --newsdname sd-2
    refused ERR_SDNAME_ALREADY_USED content request update-sd --spid xbank --sdname sd-1 --newsdname sd-3 \
        --newspid ybank
    refused ERR_SD_NOT_FOUND content request update-sd --spid ybank --sdname sd-1 --newsdname sd-9
    accepted request update-sd --spid xbank --sdname sd-1 --newsdname sd-1
    accepted request update-sd --spid xbank --sdname sd-1 --newsdname sd-3
    accepted request update-sd --spid xbank --sdname sd-3 --newsdname sd-4
    assert_equal "$(dsi | jq -c '[.tee.sdlist.sd[] | [.spid, .name]]')" \
        '[["xbank","sd-2"],["xbank","sd-4"],["ybank","sd-3"]]'
}

@test "UpdateSD adds and removes SP certificates, but never the last one" {
    take filled ec
    certs() {
        holdings | jq -r '.sds[0].spcerts[]'
    }
    local first second
    first=$(sha256_hex "$SP-cert.pem")
    second=$(sha256_hex "$SP2-cert.pem")
    accepted request update-sd --spid xbank --sdname sd-1 --add-spcert "$SP2-cert.pem"
    assert_equal "$(certs)" "$(printf '%s\n' "$first" "$second" | sort)"
    accepted request update-sd --spid xbank --sdname sd-1 --add-spcert "$SP2-cert.pem" \
        --del-spcert "$TAM-cert.pem"
    assert_equal "$(certs)" "$(printf '%s\n' "$first" "$second" | sort)"
    accepted request update-sd --spid xbank --sdname sd-1 --set "content.changes.deloldspcert=[\"${first^^}\"]"
    assert_equal "$(certs)" "$second"
    recorded yes ERR_SPCERT_INVALID content request update-sd --spid xbank --sdname sd-1 --newsdname n \
        --del-spcert "$SP2-cert.pem"
    refused ERR_SPCERT_INVALID content request update-sd --spid xbank --sdname sd-1 \
        --set 'content.changes.spcert=["AAAA"]' --set 'content.changes.newsdname="n"' \
        --set 'content.changes.newspid="n"' --set 'content.changes.renewteespaik=true'
    accepted request update-sd --spid xbank --sdname sd-1 --add-spcert "$SP-cert.pem" \
        --del-spcert "$SP2-cert.pem"
    assert_equal "$(certs)" "$first"
}

# ---- InstallTA, UpdateTA, DeleteTA ----

@test "InstallTA installs what the SP signed, byte for byte" {
    for kind in rsa ec; do
        take asked $kind
        head -c 100000 /dev/urandom > ta.bin
        printf 'a\0b\n' > pdata.bin
        accepted request create-sd --sp xbank --sdname sd
        accepted request install-ta --sp xbank --sdname sd --taid big --ta ta.bin --pdata pdata.bin
        assert_equal "$(jq -c keys content.json)" '["did","dsi"]'
        assert_equal "$(dsi | jq -c '.tee.sdlist.sd[0].talist')" '[{"taid":"big"}]'
        run otrp tee-sim export-ta --state device --taid big -o exported.bin
        assert_success
        run cmp exported.bin ta.bin
        assert_success
        run otrp tee-sim export-ta --state device --taid big --pdata -o exported-data.bin
        assert_success
        run cmp exported-data.bin pdata.bin
        assert_success
        assert_equal "$(stat -c %a exported-data.bin)" 600
        rm exported*
    done
}

@test "a TA may be in compact form, without taid and version, and brought with its SP's certificate" {
    take filled
    otrp sign --key "$SP-key.pem" --serialization compact ta.bin > package.jws
    accepted request install-ta --spid xbank --sdname sd-1 --taid plain --ta package.jws
    run otrp tee-sim export-ta --state device --taid plain
    assert_output "$(cat ta.bin)"
    otrp sign --key "$SP2-key.pem" ta.bin > package.json
    refused ERR_TA_INVALID content request install-ta --spid xbank --sdname sd-1 --taid new --ta package.json
    accepted request install-ta --spid xbank --sdname sd-1 --taid new --ta package.json \
        --spcert "$SP2-cert.pem"
    assert_equal "$(holdings | jq -r '.sds[0].spcerts[]')" \
        "$(printf '%s\n' "$(sha256_hex "$SP-cert.pem")" "$(sha256_hex "$SP2-cert.pem")" | sort)"
    accepted request install-ta --spid xbank --sdname sd-1 --taid newer --ta package.json
}

@test "a certificate that a refused TA brought does not join the SD" {
    take filled
    refused ERR_TA_INVALID content request install-ta --sp xbank --sdname sd-1 --taid x --ta ta.bin \
        --set 'content.taid="y"' --set "content.spcert=\"$(der "$SP2-cert.pem")\""
    otrp sign --key "$SP2-key.pem" ta.bin > package.json
    refused ERR_TA_INVALID content request install-ta --spid xbank --sdname sd-1 --taid z --ta package.json
}

@test "what is wrong with a TA is always ERR_TA_INVALID with the same message" {
    take filled
    accepted request create-sd --sp ybank --sdname sd-2
    : > reasons.txt
    wrong() {
        recorded yes ERR_TA_INVALID content "$@"
        cat reason.json >> reasons.txt
    }
    local install=(install-ta --spid xbank --sdname sd-1 --taid new)
    otrp sign --key "$SP2-key.pem" ta.bin > foreign.json
    otrp sign --key "$SP-key.pem" --protected '{"taid":"other"}' ta.bin > other.json
    otrp sign --key "$SP-key.pem" --protected '{"taid":7}' ta.bin > number.json
    otrp sign --key "$SP-key.pem" --protected '{"taver":"7"}' ta.bin > text.json
    otrp sign --key "$SP-key.pem" ta.bin | flip_last_byte_of .payload > changed.json
    otrp sign --key "$SP-key.pem" ta.bin | flip_last_byte_of .signature > changed-signature.json
    otrp sign --key "$SP-key.pem" --protected '{"taver":1}' ta.bin > lower.json
    # signed by another SP, for another taid, with attributes of the wrong type, changed
    local package
    for package in foreign other number text changed changed-signature; do
        wrong request "${install[@]}" --ta $package.json
    done
    wrong request "${install[@]}" --ta changed.json --spcert "$SP-cert.pem"
    wrong request "${install[@]}" --ta foreign.json --set 'content.spcert="AAAA"'
    # an SD of that name belongs to another SP
    wrong request install-ta --spid ybank --sdname sd-1 --taid new --ta other.json
    wrong request update-ta --spid ybank --sdname sd-1 --taid demo --ta other.json
    # an older version
    wrong request update-ta --spid xbank --sdname sd-1 --taid demo --ta lower.json
    # the encryption is at fault
    request "${install[@]}" --sp xbank --ta ta.bin > good.json
    local fault n=0
    for fault in '.iv = "00"' '.iv |= .[2:] + "00"' '.ciphertadata = "AAAA"' \
        '.ciphertadata = "AAAAAAAAAAAAAAAAAAAAAA=="' '.cipherpdata = "AAAA"' \
        '.key = {}' '.key.tag = "AAAAAAAAAAAAAAAAAAAAAA"' '.key.recipients[0].encrypted_key = "AAAA"' \
        '.key.recipients[0].header.alg = "ECDH-ES+A128KW"'; do
        wrong resign good.json ".[].rid += \"x$((++n))\" | .[].encrypted_ta |= ($fault)"
    done
    # it is not signed at all
    otrp sign --key "$SP-key.pem" ta.bin > plain.json
    head -c 32 /dev/urandom > key.bin
    aik_of xbank | base64 -d | openssl rsa -RSAPublicKey_in -inform DER -pubout 2> rsa.log | otrp jwk > aik.jwk
    jose jwe enc -I key.bin -i '{"protected":{"enc":"A128CBC-HS256"}}' -r '{"header":{"alg":"RSA1_5"}}' \
        -k aik.jwk | jq -c "$general" > wrapped.json
    openssl enc -aes-256-cbc -K "$(hex < key.bin)" -iv 000102030405060708090a0b0c0d0e0f -in ta.bin -out raw.enc
    openssl enc -aes-256-cbc -K "$(hex < key.bin)" -iv 000102030405060708090a0b0c0d0e0f -in plain.json -out plain.enc
    encrypted() {
        printf '{"key":%s,"iv":"000102030405060708090a0b0c0d0e0f","alg":"AESCBC","ciphertadata":"%s"}' \
            "$(cat wrapped.json)" "$(base64 -w 0 < "$1")"
    }
    wrong resign good.json ".[].rid = \"raw\" | .[].encrypted_ta = $(encrypted raw.enc)"
    assert_equal "$(sort -u reasons.txt | wc -l)" 1
    assert_equal "$(wc -l < reasons.txt)" 21
    accepted resign good.json ".[].encrypted_ta = $(encrypted plain.enc)"
}

@test "an encryption of the TA that is unknown is ERR_UNSUPPORTED_CRYPTO_ALG" {
    take filled
    request install-ta --sp xbank --sdname sd-1 --taid new --ta ta.bin > good.json
    recorded yes ERR_UNSUPPORTED_CRYPTO_ALG content resign good.json '.[].encrypted_ta.alg = "AESGCM"'
}

@test "InstallTA: a TA that is there is ERR_TA_ALREADY_INSTALLED, in another SD it is another TA" {
    take filled
    recorded yes ERR_TA_ALREADY_INSTALLED content request install-ta --sp xbank --sdname sd-1 --taid demo --ta ta.bin
    recorded yes ERR_SD_NOT_FOUND content request install-ta --sp xbank --sdname sd-2 --taid demo --ta ta.bin
    accepted request create-sd --sp xbank --sdname sd-2
    accepted request install-ta --sp xbank --sdname sd-2 --taid demo --ta pdata.bin
    run --separate-stderr otrp tee-sim export-ta --state device --taid demo
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" 'several TAs "demo"'
    run otrp tee-sim export-ta --state device --taid demo --sdname sd-2
    assert_output "$(cat pdata.bin)"
    run --separate-stderr otrp tee-sim export-ta --state device --taid demo --sdname sd-2 --pdata
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" 'has no personalisation data'
    run --separate-stderr otrp tee-sim export-ta --state device --taid nothing
    assert_equal "$status $output" "2 "
    as_other accepted request get-device-state
    as_other accepted request create-sd --sp xbank --sdname sd-1
    as_other accepted request install-ta --sp xbank --sdname sd-1 --taid demo --ta pdata.bin
    run otrp tee-sim export-ta --state device --taid demo --sdname sd-1 --tamid othertam
    assert_output "$(cat pdata.bin)"
}

@test "UpdateTA replaces code, data or both, never by an older version" {
    take filled ec
    content_is() {
        run otrp tee-sim export-ta --state device --taid demo
        assert_output "$1"
        run otrp tee-sim export-ta --state device --taid demo --pdata
        assert_output "$2"
        assert_equal "$(holdings | jq -c '.sds[0].tas')" \
            "[{\"size\":$((${#1} + ${#2})),\"taid\":\"demo\",\"taname\":\"Demo\",\"version\":$3}]"
    }
    local update=(update-ta --sp xbank --sdname sd-1 --taid demo)
    echo -n 'new code' > code2.bin
    echo -n 'new data' > data2.bin
    accepted request "${update[@]}" --ta code2.bin --taver 2
    assert_equal "$(jq -c keys content.json)" '["did","dsi"]'
    content_is 'new code' "$(cat pdata.bin)" 2
    accepted request "${update[@]}" --pdata data2.bin
    content_is 'new code' 'new data' 2
    recorded yes ERR_TA_INVALID content request "${update[@]}" --ta ta.bin --taver 1
    refused ERR_TA_INVALID content request "${update[@]}" --ta ta.bin --pdata pdata.bin --taver 1
    content_is 'new code' 'new data' 2
    accepted request "${update[@]}" --ta ta.bin --pdata pdata.bin --taver 7
    content_is "$(cat ta.bin)" "$(cat pdata.bin)" 7
    refused ERR_TA_NOT_FOUND content request update-ta --sp xbank --sdname sd-1 --taid other --ta ta.bin
    refused ERR_SD_NOT_FOUND content request update-ta --sp xbank --sdname sd-2 --taid demo --ta ta.bin
    request "${update[@]}" --pdata pdata.bin > data.json
    recorded yes ERR_REQUEST_INVALID content resign data.json '.[].encrypted_ta |= del(.ciphernewpdata)'
}

@test "DeleteTA takes a TA away, its bytes too" {
    take filled
    recorded yes ERR_TA_NOT_FOUND content request delete-ta --sdname sd-1 --taid other
    recorded yes ERR_SD_NOT_FOUND content request delete-ta --sdname sd-2 --taid demo
    as_other accepted request get-device-state
    as_other accepted request create-sd --sp xbank --sdname sd-1
    as_other recorded yes ERR_TA_NOT_FOUND content request delete-ta --sdname sd-1 --taid demo
    sqlite3 device/state.db "SELECT hex(code) FROM ta" > code.hex
    accepted request delete-ta --sdname sd-1 --taid demo
    assert_equal "$(jq -c keys content.json)" '["did","dsi"]'
    assert_equal "$(dsi | jq -c '.tee.sdlist.sd')" '[{"name":"sd-1","spid":"xbank","talist":[]}]'
    run sqlite3 device/state.db 'SELECT count(*) FROM ta'
    assert_output 0
    run grep -c "$(tr A-F a-f < code.hex | cut -c 1-60)" <(hex < device/state.db)
    assert_output 0
    refused ERR_TA_NOT_FOUND content request delete-ta --sdname sd-1 --taid demo
}

# ---- replay and the state that a TAM has seen ----

@test "the same request has no second effect, whatever became of the first" {
    take asked
    request create-sd --sp xbank --sdname a > create.json
    accepted create.json
    recorded no ERR_REQUEST_INVALID tbs create.json
    request delete-sd --sdname other > delete.json
    recorded yes ERR_SD_NOT_FOUND content delete.json
    recorded no ERR_REQUEST_INVALID tbs delete.json
    accepted request get-device-state --tid s2
    recorded no ERR_REQUEST_INVALID tbs given.json
}

@test "a CreateSD does not come back after its SD was deleted" {
    for kind in rsa ec; do
        take asked $kind
        request create-sd --sp xbank --sdname a > create.json
        accepted create.json
        accepted request delete-sd --sdname a
        recorded no ERR_REQUEST_INVALID tbs create.json
        assert_equal "$(holdings)" '{"aiks":[],"sds":[]}'
    done
}

@test "rid and tid count together, and for one TAM" {
    take asked ec
    accepted request create-sd --sp xbank --sdname a --rid r --tid t
    accepted request create-sd --sp xbank --sdname b --rid r --tid u
    accepted request create-sd --sp xbank --sdname c --rid s --tid t
    refused ERR_REQUEST_INVALID tbs request create-sd --sp xbank --sdname d --rid r --tid t
    as_other accepted request get-device-state --tid session-1
    as_other accepted request create-sd --sp xbank --sdname e --rid r --tid t
}

@test "a tid of an older session is refused, in GetDeviceState too" {
    take asked ec
    accepted request create-sd --sp xbank --sdname a --tid session-1
    accepted request get-device-state --tid session-2
    recorded yes ERR_REQUEST_INVALID tbs request create-sd --sp xbank --sdname b --tid session-1
    recorded yes ERR_REQUEST_INVALID tbs request get-device-state --tid session-1
    accepted request get-device-state --tid session-2
    accepted request create-sd --sp xbank --sdname b --tid session-2
    as_other accepted request get-device-state --tid session-1
}

@test "a GetDeviceState that fails begins no session" {
    take asked ec
    refused ERR_UNSUPPORTED_CRYPTO_ALG tbs request get-device-state --tid session-2 \
        --set 'supportedsigalgs=["RS256"]'
    accepted request create-sd --sp xbank --sdname a --tid session-1
}

@test "a state is good for one change, and a change without a new one ends it" {
    take asked ec
    request create-sd --sp xbank --sdname a > a.json
    request create-sd --sp xbank --sdname b > b.json
    accepted a.json
    recorded yes ERR_DEV_STATE_MISMATCH tbs b.json
    accepted request create-sd --sp xbank --sdname b --no-nextdsi
    recorded yes ERR_DEV_STATE_MISMATCH tbs request create-sd --sp xbank --sdname c
    accepted request get-device-state
    refused ERR_SD_ALREADY_EXIST content request create-sd --sp xbank --sdname a --no-nextdsi
    accepted request create-sd --sp xbank --sdname c
}

@test "a request that changes nothing in the end makes the old state good no more" {
    take asked ec
    cp state.json first.json
    accepted request create-sd --sp xbank --sdname a
    accepted request delete-sd --sdname a
    KNOWN=first.json request create-sd --sp xbank --sdname a > again.json
    refused ERR_DEV_STATE_MISMATCH tbs again.json
}

@test "without a state that it has told, a device knows none" {
    take blank
    cp "$BATS_FILE_TMPDIR/rsa/asked.json" state.json
    recorded yes ERR_DEV_STATE_MISMATCH tbs request create-sd --sp xbank --sdname a
}

@test "another TAM's work changes nothing for a TAM: neither what it sees nor its dsihash" {
    take filled ec
    as_other accepted request get-device-state
    as_other accepted request create-sd --sp xbank --sdname theirs
    as_other accepted request install-ta --sp xbank --sdname theirs --taid theirs --ta ta.bin
    assert_equal "$(as_other dsi other.json | jq -c '[.tee.sdlist.sd[] | [.name, .talist]]')" \
        '[["theirs",[{"taid":"theirs"}]]]'
    accepted request update-sd --spid xbank --sdname sd-1
    assert_equal "$(dsi | jq -c '[.tee.sdlist.sd[].name]')" '["sd-1"]'
    for what in "update-sd --spid xbank" "delete-sd" "delete-ta --taid theirs" \
        "install-ta --sp xbank --taid x --ta ta.bin" "update-ta --sp xbank --taid theirs --ta ta.bin"; do
        # shellcheck disable=SC2086
        refused ERR_SD_NOT_FOUND content request $what --sdname theirs
        mv reason.json one.txt
        # shellcheck disable=SC2086
        refused ERR_SD_NOT_FOUND content request $what --sdname nobody
        run cmp reason.json one.txt
        assert_success
    done
}

@test "the replay record has an end, and then nothing more goes" {
    world ec
    otrp tee-sim init -q --state device --pki "$P" --max-replays 2
    accepted request get-device-state
    request create-sd --sp xbank --sdname a > create.json
    accepted create.json
    recorded no ERR_TEE_RESOURCE_FULL tbs request delete-sd --sdname a
    recorded no ERR_TEE_RESOURCE_FULL tbs request get-device-state
    recorded no ERR_REQUEST_INVALID tbs create.json
    as_other accepted request get-device-state
    as_other recorded yes ERR_SD_NOT_FOUND content request delete-sd --sdname a
    as_other recorded no ERR_TEE_RESOURCE_FULL tbs request delete-sd --sdname a
}

@test "the replay record does not grow past its end by requests that fail early" {
    world ec
    otrp tee-sim init -q --state device --pki "$P" --max-replays 2
    accepted request get-device-state
    recorded yes ERR_REQUEST_INVALID tbs request create-sd --sp xbank --sdname a --set 'tee="other"'
    process <(request create-sd --sp xbank --sdname a --set 'tee="other"')
    assert_equal "$status" 8
    assert_equal "$(requests mytam)" 2
}
