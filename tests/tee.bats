#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tee-sim: how a device is made, what it tells of itself, and how it keeps what it holds. What its
# commands do is in tee_commands.bats. jq, jose, openssl and sqlite3 are the witnesses.
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

# ---- init, show, reset ----

@test "init makes a folder whose files are private, with keys that nobody can read in it" {
    take blank
    run stat -c '%a %s %n' device/fuse.key
    assert_output "600 32 device/fuse.key"
    run stat -c %a device/state.db
    assert_output 600
    local name
    for name in "$TEE" "$TFW"; do
        openssl pkey -in "$name-key.pem" -outform DER > key.der
        run grep -c "$(tail -c 100 key.der | hex)" <(hex < device/state.db)
        assert_output 0
    done
    run grep -c "$(openssl x509 -in "$TEE-cert.pem" | sed -n 5p)" device/state.db
    assert_output 1
}

@test "a folder has several devices, but none twice" {
    take asked
    local before
    before=$(otrp tee-sim show --state device --json)
    run --separate-stderr otrp tee-sim init --state device --pki "$P"
    assert_equal "$status" 2
    assert_regex "$stderr" 'device: has a device "mytee" already'
    assert_equal "$(otrp tee-sim show --state device --json)" "$before"
    otrp tee-sim init -q --state device --pki "$P" --name othertee --version 2.7
    assert_equal "$(otrp tee-sim show --state device --json | jq -c '[.devices[] | [.name, .version]]')" \
        '[["mytee","1.0"],["othertee","2.7"]]'
    assert_equal "$(otrp tee-sim show --state device --json | jq -r '.devices[1].did')" \
        "$(did "$P/tee/tee/tee-othertee-$K-cert.pem")"
    request get-device-state > gds.json
    run --separate-stderr otrp tee-sim process --state device gds.json
    assert_equal "$status" 2
    assert_equal "$output" ""
    assert_regex "$stderr" 'several devices'
    process --device othertee gds.json
    assert_success
    signed_by "$P/tee/tee/tee-othertee-$K-cert.pem" answer.json
    assert_equal "$(dsi answer.json | jq -r '.tee | .name + " " + .ver')" "othertee 2.7"
    process --device nobody gds.json
    assert_equal "$status" 2
    assert_equal "$output" ""
}

@test "init refuses what makes no device, and leaves nothing behind" {
    world rsa
    refuses() {
        run --separate-stderr otrp tee-sim init --state new "${@:2}"
        assert_equal "$status" 2
        assert_equal "$output" ""
        assert_regex "$stderr" "$1"
        assert [ ! -e new ]
    }
    local parts=(--tee-key "$TEE-key.pem" --tam-root "$P/tam/tam-rootca")
    refuses 'no device to make'
    refuses "'nobody'" --pki "$P" --name nobody
    refuses 'is not the key of the certificate' "${parts[@]}" --tee-cert "$TAM-cert.pem"
    refuses 'no-such-file' "${parts[@]}" --tee-cert no-such-file
    refuses 'tfw-cert' "${parts[@]}" --tee-cert "$TEE-cert.pem" --tfw-key "$TFW-key.pem"
    refuses 'name' "${parts[@]}" --tee-cert "$TEE-cert.pem" --name "$(printf 'n%.0s' {1..256})"
    refuses 'max-sds' --pki "$P" --max-sds 0
    echo file > place
    run --separate-stderr otrp tee-sim init --state place --pki "$P"
    assert_failure
    assert_equal "$(cat place)" file
}

@test "a device is made from single files, and without firmware its state has no tfwdata" {
    for kind in rsa ec; do
        world $kind
        rm -rf device
        otrp tee-sim init -q --state device --tee-key "$TEE-key.pem" --name plain \
            --tee-cert "$TEE-cert-plus-intermediate-cert.pem" --tam-root "$P/tam/tam-rootca"
        accepted request get-device-state
        assert_equal "$(dsi | jq -c '[keys, .tee.name]')" '[["tee"],"plain"]'
    done
}

@test "init says where a chain lacks a certificate on the way to a root" {
    local device=(--tee-key "$TEE-key.pem" --tam-root "$P/tam/tam-rootca") firmware=(--tfw-key "$TFW-key.pem")
    local whole=-cert-plus-intermediate-cert.pem
    run --separate-stderr otrp tee-sim init --state whole "${device[@]}" --tee-cert "$TEE$whole" \
        "${firmware[@]}" --tfw-cert "$TFW$whole" --tfw-root "$P/tfw/tfw-rootca"
    assert_equal "$status $stderr" "0 otrp tee-sim init: device mytee in whole"
    run --separate-stderr otrp tee-sim init --state lone "${device[@]}" --tee-cert "$TEE-cert.pem" --no-tfw
    assert_equal "$status" 0
    assert_regex "$stderr" "note: $TEE-cert.pem: only the certificate of CN=mytee,.*, CN=TEE CA 1,OU=TEE,O=OTrP, is needed"
    run --separate-stderr otrp tee-sim init -q --state device "${device[@]}" --tee-cert "$TEE$whole" \
        "${firmware[@]}" --tfw-cert "$TFW-cert.pem" --tfw-root "$P/tfw/tfw-rootca"
    assert_equal "$status" 0
    assert_regex "$stderr" "warning: $TFW-cert.pem: the certificate of CN=TFW CA 1,.*, which issued CN=mytee,.*ERR_TFW_NOT_TRUSTED"
    assert_regex "$stderr" 'hint: a chain is the own certificate, then that of its issuer'
    # and it does what was said
    run otrp tee-sim process -q --state device -o state.json <(request get-device-state)
    assert_equal "$status" 8
    assert_output --partial ERR_TFW_NOT_TRUSTED
    # under other roots
    run --separate-stderr otrp tee-sim init -q --state other "${device[@]}" --tee-cert "$TEE$whole" \
        "${firmware[@]}" --tfw-cert "$TFW$whole" --tfw-root "$P/tam/tam-rootca"
    assert_regex "$stderr" "warning: .*: the certificate of CN=.*, which issued CN=TFW CA 1,.*, is not in it"
}

@test "commands on a folder that holds no device say so" {
    mkdir empty
    for what in show reset process 'query --spid a --taid b' 'export-ta --taid a'; do
        for place in empty nowhere; do
            # shellcheck disable=SC2086
            run --separate-stderr otrp tee-sim $what --state $place
            assert_equal "$what $status $output" "$what 2 "
            assert_regex "$stderr" "$place/state.db: cannot open"
        done
    done
    assert_equal "$(ls -d empty/* nowhere 2> /dev/null)" ""
}

@test "show lists what the device holds, for people and as JSON" {
    take filled
    run otrp tee-sim show --state device
    assert_success
    assert_line "device mytee, RSA-2048, trusted firmware, did $(did "$TEE-cert.pem")"
    assert_line "  SD sd-1 of SP xbank, owned by TAM mytam"
    assert_line '    TA demo "Demo", version 2, 68 bytes'
    assert_line "  AIK of SP xbank for TAM mytam"
    assert_equal "$(holdings)" "$(jq -cnS --arg cert "$(sha256_hex "$SP-cert.pem")" '{
        aiks: [{spid: "xbank", tamid: "mytam", type: "RSA"}],
        sds: [{bytes: 68, name: "sd-1", spid: "xbank", tamid: "mytam", spcerts: [$cert],
               tas: [{size: 68, taid: "demo", taname: "Demo", version: 2}]}]}')"
    assert_equal "$(otrp tee-sim show --state device --json | jq -c '.devices[0].tams | map(del(.dsihash))')" \
        '[{"tamid":"mytam","tid":"session-1","changed":false,"requests":3}]'
    take blank
    run otrp tee-sim show --state device
    assert_line "  no security domains"
}

@test "show needs not write to the folder: at rest, while the device is served, and of a copy" {
    reader() { # root without the right to go past the modes
        [ "$(id -u)" != 0 ] || set -- setpriv --bounding-set=-dac_override,-dac_read_search "$@"
        "$@"
    }
    local expected
    take filled
    mkdir 'a?b%41#c'
    mv device 'a?b%41#c/device'
    cd 'a?b%41#c'
    expected=$(otrp tee-sim show --state device --json)
    chmod a-w device device/*
    ! reader test -w device || skip "modes do not bind this user"
    ls -l device > before
    assert_equal "$(reader "$OTRP" tee-sim show --state device --json)" "$expected"
    run diff before <(ls -l device)
    assert_success
    run --separate-stderr reader "$OTRP" tee-sim reset --state device
    assert_equal "$status" 2
    assert_regex "$stderr" 'device/state.db: cannot open: Permission denied'
    refute_regex "$stderr" 'hint: make a device'

    # what is in the journal counts, too
    chmod u+w device device/*
    start_server otrp tee-sim serve --state device
    request get-device-state | curl -sf -H 'Content-Type: application/otrp+json' --data-binary @- -o answer "$URL"
    assert [ -s device/state.db-wal ]
    cp -r device copy
    chmod a-w device device/*
    assert_equal "$(reader "$OTRP" tee-sim show --state device --json | jq '.devices[0].tams[0].requests')" \
        $(($(jq '.devices[0].tams[0].requests' <<< "$expected") + 1))
    chmod u+w device device/*
    stop_server
    rm copy/state.db-shm
    chmod a-w copy copy/*
    run --separate-stderr reader "$OTRP" tee-sim show --state copy
    assert_equal "$status" 1
    assert_regex "$stderr" 'hint: its last changes are in copy/state.db-wal'
    chmod 700 copy
    chmod 600 copy/*
    sqlite3 copy/state.db 'PRAGMA user_version = 99'
    touch copy/state.db-wal
    chmod 400 copy/state.db
    run --separate-stderr reader "$OTRP" tee-sim show --state copy
    assert_equal "$status" 2
    assert_regex "$stderr" 'copy/state.db: .*99'
    refute_output
    chmod 000 copy/state.db
    run --separate-stderr reader "$OTRP" tee-sim show --state copy
    assert_equal "$status" 2
    assert_regex "$stderr" 'copy/state.db: cannot open: Permission denied'
}

@test "show passes no control characters of a message on to the terminal" {
    take asked
    accepted request create-sd --sp xbank --sdname $'evil\e]0;title\a\e[2J'
    run otrp tee-sim show --state device
    assert_success
    refute_output --partial $'\e'
    refute_output --partial $'\a'
    assert_output --partial evil
}

@test "reset empties the device, but what it has seen stays seen" {
    take filled
    request create-sd --sp xbank --sdname later > later.json
    run --separate-stderr otrp tee-sim reset --state device
    assert_success
    assert_equal "$(holdings)" '{"aiks":[],"sds":[]}'
    run sqlite3 device/state.db 'SELECT count(*) FROM ta; SELECT count(*) FROM sd_cert'
    assert_output $'0\n0'
    assert_equal "$(requests mytam)" 3
    refused ERR_DEV_STATE_MISMATCH tbs later.json
    refused ERR_REQUEST_INVALID tbs "$BATS_FILE_TMPDIR/rsa/installed.json"
    accepted request get-device-state
    assert_equal "$(dsi | jq -c '.tee | [.sdlist, .teeaiklist]')" '[{"cnt":"0","sd":[]},[]]'
}

# ---- GetDeviceState ----

@test "GetDeviceState is answered with an array of one TEE's answer, signed, without certificates" {
    for kind in rsa ec; do
        take blank $kind
        accepted request get-device-state --rid 'r "1" Ä' --tid 't-1 ~'
        assert_equal "$(jq -c '[keys, (.GetDeviceStateResponse | length), (.GetDeviceStateResponse[0] | keys)]' \
            answer.json)" '[["GetDeviceStateResponse"],1,["GetDeviceTEEStateResponse"]]'
        assert_equal "$(jws answer.json | jq -c keys)" '["payload","protected","signature"]'
        case $kind in
        rsa) assert_equal "$(jws answer.json | jq -r .protected)" eyJhbGciOiJSUzI1NiJ9 ;;
        ec) assert_equal "$(jws answer.json | jq -r .protected)" eyJhbGciOiJFUzI1NiJ9 ;;
        esac
        assert_equal "$(payload answer.json | jq -c keys)" '["GetDeviceTEEStateTBSResponse"]'
        assert_equal "$(tbs answer.json | jq -cS 'del(.edsi)')" \
            '{"rid":"r \"1\" Ä","signerreq":true,"status":"pass","tid":"t-1 ~","ver":"1.0"}'
        run grep -c "$(der "$TEE-cert.pem" | cut -c 1-60)" <(payload answer.json)
        assert_output 0
    done
}

@test "edsi is a JWE in the general serialisation with one recipient, its plaintext canonical" {
    for kind in rsa ec; do
        take filled $kind
        cp "$BATS_FILE_TMPDIR/$kind/asked.json" .
        tbs asked.json | jq -c .edsi > edsi.json
        assert_equal "$(jq -c 'keys, (.recipients | length, (.[0] | keys))' edsi.json)" \
            '["ciphertext","iv","protected","recipients","tag"]
1
["encrypted_key","header"]'
        assert_equal "$(jq -r .protected edsi.json)" eyJlbmMiOiJBMTI4Q0JDLUhTMjU2In0
        case $kind in
        rsa) assert_equal "$(jq -c '.recipients[0].header' edsi.json)" '{"alg":"RSA1_5"}' ;;
        ec) assert_equal "$(jq -c '.recipients[0].header | [.alg, .epk.crv, (.epk | keys)]' edsi.json)" \
            '["ECDH-ES+A128KW","P-256",["crv","kty","x","y"]]' ;;
        esac
        plaintext asked.json "$TAM-key.jwk" > plain.json
        run cmp plain.json <(jq -cjS . plain.json)
        assert_success
    done
}

@test "the device state names the TEE, its chain, and what is on it" {
    for kind in rsa ec; do
        local root=ec
        take blank $kind
        accepted request get-device-state
        dsi > dsi.json
        assert_equal "$(jq -c '[keys, (.tee | keys)]' dsi.json)" \
            '[["tee","tfwdata"],["cacert","cert","name","sdlist","teeaiklist","ver"]]'
        assert_equal "$(jq -c '.tee | [.name, .ver, .sdlist, .teeaiklist]' dsi.json)" \
            '["mytee","1.0",{"cnt":"0","sd":[]},[]]'
        assert_equal "$(jq -r .tee.cert dsi.json)" "$(der "$TEE-cert.pem")"
        assert_equal "$(jq -r '.tee.cacert[0]' dsi.json)" "$(der "$P/tee/tee-ca/tee-ca-1-$root-cert.pem")"
        cp "$BATS_FILE_TMPDIR/$kind/filled.json" .
        dsi filled.json > dsi.json
        assert_equal "$(jq -c .tee.sdlist dsi.json)" \
            '{"cnt":"1","sd":[{"name":"sd-1","spid":"xbank","talist":[{"taid":"demo","taname":"Demo"}]}]}'
        assert_equal "$(jq -c '[.tee.teeaiklist[] | [.spid, .spaiktype]]' dsi.json)" \
            "[[\"xbank\",\"$([ $kind = rsa ] && echo RSA || echo ECC)\"]]"
    done
}

@test "the firmware signs the tid of the last GetDeviceState" {
    for kind in rsa ec; do
        take filled $kind
        for tid in session-1 'session two'; do
            [ "$tid" = session-1 ] || accepted request get-device-state --tid "$tid"
            accepted request update-sd --spid xbank --sdname sd-1 --tid 'session two'
            dsi state.json | jq -c .tfwdata > tfw.json
            assert_equal "$(jq -c keys tfw.json)" '["cert","sig","sigalg","tbs"]'
            assert_equal "$(jq -r .cert tfw.json)" "$(der "$TFW-cert.pem")"
            assert_equal "$(jq -r .sigalg tfw.json)" "$([ $kind = rsa ] && echo RS256 || echo ES256)"
            assert_equal "$(jq -r .tbs tfw.json | base64 -d)" "$tid"
            printf '%s' "$tid" > tid.bin
            jq -r .sig tfw.json | base64 -d > sig.bin
            signature_is "$TFW-cert.pem" tid.bin sig.bin
        done
    done
}

@test "the SP AIK is PKCS#1 for RSA and SubjectPublicKeyInfo for EC" {
    take filled rsa
    dsi state.json | jq -r '.tee.teeaiklist[0].spaik' | base64 -d > spaik.der
    run openssl asn1parse -inform DER -in spaik.der
    assert_equal "${#lines[@]}" 3
    run openssl rsa -RSAPublicKey_in -inform DER -in spaik.der -noout -text
    assert_line --partial 'Public-Key: (2048 bit)'
    take filled ec
    dsi state.json | jq -r '.tee.teeaiklist[0].spaik' | base64 -d > spaik.der
    run openssl pkey -pubin -inform DER -in spaik.der -noout -text
    assert_line 'ASN1 OID: prime256v1'
}

@test "an answer is signed with the first algorithm of the TAM that fits the device" {
    for kind in rsa:RS256 ec:ES256; do
        IFS=: read -r kind own <<< "$kind"
        take filled "$kind"
        request get-device-state --tid s2 --set 'supportedsigalgs=["HS256","none","PS999","RS256","ES256"]' > gds.json
        accepted gds.json
        assert_equal "$(member protected answer.json | jose b64 dec -i-)" "{\"alg\":\"$own\"}"
        accepted request create-sd --tid s2 --sp ybank --sdname a
        assert_equal "$(member protected answer.json | jose b64 dec -i-)" "{\"alg\":\"$own\"}"
    done
}

@test "no algorithm in common: the answer is signed with the device's own, and tells what it has" {
    for kind in rsa:ES256:RS256 ec:RS256:ES256; do
        IFS=: read -r kind theirs own <<< "$kind"
        take filled "$kind"
        recorded yes ERR_UNSUPPORTED_CRYPTO_ALG tbs request get-device-state \
            --set "supportedsigalgs=[\"$theirs\"]"
        assert_equal "$(jq -c '.[] | [keys, (.supportedsigalgs | index($own) != null)]' --arg own "$own" \
            payload.json)" '[["reason","rid","status","supportedsigalgs","tid","ver"],true]'
        recorded yes ERR_UNSUPPORTED_CRYPTO_ALG tbs request create-sd --sp ybank --sdname a \
            --set "supportedsigalgs=[\"$theirs\"]"
        accepted request create-sd --sp ybank --sdname a
    done
}

# ---- what is kept ----

@test "TAs are never in the clear in the folder, nor in SQLite's log" {
    take filled
    run grep -rc marker-of-the device
    refute_output --partial ':1'
    echo 'marker-of-the-second' > second.bin
    request install-ta --sp xbank --sdname sd-1 --taid second --ta second.bin --pdata second.bin > install.json
    sqlite3 device/state.db BEGIN 'SELECT count(*) FROM device' \
        ".shell '$OTRP' tee-sim process -q --state device install.json > answer.json" \
        '.shell cp -r device held'
    assert [ -s held/state.db-wal ]
    assert_equal "$(stat -c %a held/state.db-wal)" 600
    run grep -rc -e marker-of-the -e "$(base64 < second.bin | cut -c 1-20)" held device
    refute_output --partial ':1'
    run otrp tee-sim export-ta --state held --taid second
    assert_output marker-of-the-second
}

@test "what is sealed opens only in its own place, under its own fuse" {
    take filled
    accepted request install-ta --sp xbank --sdname sd-1 --taid second --ta pdata.bin --pdata ta.bin
    refuses_all() {
        for what in "export-ta --taid demo" "export-ta --taid demo --pdata"; do
            # shellcheck disable=SC2086
            run --separate-stderr otrp tee-sim $what --state device
            assert_equal "$status $output" "5 "
        done
    }
    cp -r device kept
    sqlite3 device/state.db 'UPDATE ta SET code = (SELECT code FROM ta WHERE taid = "second") WHERE taid = "demo"'
    run --separate-stderr otrp tee-sim export-ta --state device --taid demo
    assert_equal "$status $output" "5 "
    sqlite3 device/state.db 'UPDATE ta SET code = pdata, pdata = code'
    refuses_all
    rm -r device
    cp -r kept device
    head -c 32 /dev/zero > device/fuse.key
    refuses_all
    process "$BATS_FILE_TMPDIR/rsa/installed.json"
    assert_equal "$status $output" "5 "
    head -c 31 /dev/zero > device/fuse.key
    process "$BATS_FILE_TMPDIR/rsa/installed.json"
    assert_equal "$status $output" "6 "
    assert_regex "$stderr" 'fuse.key: 31 bytes'
}

@test "a folder of a newer version, or a file that is no database, is refused and kept" {
    take filled
    sqlite3 device/state.db 'PRAGMA user_version = 99'
    run --separate-stderr otrp tee-sim show --state device
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" 'newer version'
    head -c 10000 /dev/urandom > device/state.db
    cp device/state.db before.db
    run --separate-stderr otrp tee-sim show --state device
    assert_equal "$status $output" "1 "
    run cmp device/state.db before.db
    assert_success
}

@test "limits: what is more than there is room for is ERR_TEE_RESOURCE_FULL" {
    take asked
    local install=(install-ta --sp xbank --sdname a)
    rm -r device
    otrp tee-sim init -q --state device --pki "$P" --max-sds 1 --max-tas 2 --max-bytes 100
    head -c 60 /dev/zero > 60.bin
    head -c 41 /dev/zero > 41.bin
    head -c 40 /dev/zero > 40.bin
    head -c 100 /dev/zero > 100.bin
    head -c 101 /dev/zero > 101.bin
    accepted request get-device-state
    accepted request create-sd --sp xbank --sdname a
    recorded yes ERR_TEE_RESOURCE_FULL content request create-sd --sp xbank --sdname b
    recorded yes ERR_TEE_RESOURCE_FULL content request "${install[@]}" --taid t --ta 101.bin
    refused ERR_TEE_RESOURCE_FULL content request "${install[@]}" --taid t --ta 60.bin --pdata 41.bin
    accepted request "${install[@]}" --taid t --ta 60.bin
    refused ERR_TEE_RESOURCE_FULL content request "${install[@]}" --taid u --ta 41.bin
    accepted request "${install[@]}" --taid u --ta 40.bin
    accepted request update-ta --sp xbank --sdname a --taid u --ta 40.bin
    refused ERR_TEE_RESOURCE_FULL content request update-ta --sp xbank --sdname a --taid u --ta 41.bin
    accepted request delete-ta --sdname a --taid u
    accepted request update-ta --sp xbank --sdname a --taid t --ta 100.bin
    refused ERR_TEE_RESOURCE_FULL content request update-ta --sp xbank --sdname a --taid t --ta 101.bin
    accepted request update-ta --sp xbank --sdname a --taid t --ta 40.bin
    accepted request "${install[@]}" --taid u --ta 40.bin
    refused ERR_TEE_RESOURCE_FULL content request "${install[@]}" --taid v --ta 40.bin
}

@test "limits: an UpdateTA counts what it leaves in place" {
    world ec
    otrp tee-sim init -q --state device --pki "$P" --max-bytes 100
    head -c 60 /dev/zero > 60.bin
    accepted request get-device-state
    accepted request create-sd --sp xbank --sdname a
    accepted request install-ta --sp xbank --sdname a --taid t --ta 60.bin
    refused ERR_TEE_RESOURCE_FULL content request update-ta --sp xbank --sdname a --taid t --pdata 60.bin
    accepted request delete-ta --sdname a --taid t
    head -c 30 /dev/zero > 30.bin
    accepted request install-ta --sp xbank --sdname a --taid t --ta 30.bin --pdata 60.bin
    refused ERR_TEE_RESOURCE_FULL content request update-ta --sp xbank --sdname a --taid t --ta 60.bin
    accepted request update-ta --sp xbank --sdname a --taid t --ta 60.bin --pdata 30.bin
}

# ---- GetTAInformation ----

@test "query is answered with what the AIK of the TA's SP signs" {
    for kind in rsa ec; do
        take filled $kind
        run --separate-stderr otrp tee-sim query --state device --spid xbank --taid demo --nonce 'n "1"'
        assert_success
        cat <<< "$output" > answer.json
        assert_equal "$(jq -c '[keys, (.TAInformation | keys)]' answer.json)" \
            '[["TAInformation"],["header","payload","protected","signature"]]'
        jws answer.json > jws.json
        jq -c .header.signer jws.json > signer.jwk
        assert_equal "$(jq -c 'has("d")' signer.jwk)" false
        run jose jws ver -i jws.json -k signer.jwk -O information.json
        assert_success
        case $kind in
        rsa)
            dsi state.json | jq -r '.tee.teeaiklist[0].spaik' | base64 -d |
                openssl rsa -RSAPublicKey_in -inform DER -noout -modulus > modulus.txt
            assert_equal "Modulus=$(jq -r .n signer.jwk | jose b64 dec -i- | hex | tr a-f A-F)" "$(cat modulus.txt)"
            ;;
        ec)
            assert_equal "$(jq -r '.x, .y' signer.jwk | while read -r part; do
                jose b64 dec -i- <<< "$part" | hex; done)" \
                "$(dsi state.json | jq -r '.tee.teeaiklist[0].spaik' | base64 -d | tail -c 64 | hex)"
            ;;
        esac
        assert_equal "$(jq -c '.[] | keys' information.json)" \
            '["nonce","signercacerts","signercert","spid","taid","tamcacerts","tamcert","tamid"]'
        assert_equal "$(jq -c '.TAInformationTBS | [.taid, .tamid, .spid, .nonce]' information.json)" \
            '["demo","mytam","xbank","n \"1\""]'
        assert_equal "$(jq -r '.[] | .signercert, .signercacerts[]' information.json)" \
            "$(der "$SP-cert.pem"; echo; der "$P/sp/sp-ca/sp-ca-1-ec-cert.pem")"
        assert_equal "$(jq -r '.[] | .tamcert, .tamcacerts[]' information.json)" \
            "$(der "$TAM-cert.pem"; echo; der "$P/tam/tam-ca/tam-ca-1-ec-cert.pem"; echo
                der "$P/tam/tam-rootca/tam-rootca-ec-cert.pem")"
    done
}

@test "query takes a TAQuery as it comes from make-request, and without a nonce tells none" {
    take filled
    otrp make-request ta-query --spid xbank --taid demo > query.json
    run --separate-stderr otrp tee-sim query --state device query.json
    assert_success
    cat <<< "$output" > answer.json
    assert_equal "$(payload answer.json | jq -c '.[] | [.taid, has("nonce")]')" '["demo",false]'
    run --separate-stderr otrp tee-sim query --state device - < query.json
    assert_success
    run --separate-stderr otrp tee-sim query --state device --spid xbank query.json
    assert_equal "$status $output" "2 "
}

@test "query: a TA that is not there, or that several TAMs have, is a broker's error" {
    take filled ec
    broker() {
        run --separate-stderr otrp tee-sim query --state device "${@:2}"
        assert_equal "$status" 8
        assert_equal "$(jq -cS . <<< "$output")" \
            "{\"OTrPBrokerError\":{\"errcode\":\"$1\",\"rid\":\"\",\"tid\":\"\",\"ver\":\"1.0\"}}"
    }
    broker ERR_TA_NOT_FOUND --spid xbank --taid other
    broker ERR_TA_NOT_FOUND --spid ybank --taid demo
    broker ERR_TA_NOT_FOUND --spid xbank --taid demo --tamid othertam
    as_other accepted request get-device-state
    as_other accepted request create-sd --sp xbank --sdname sd-1
    as_other accepted request install-ta --sp xbank --sdname sd-1 --taid demo --ta ta.bin
    broker ERR_REQUEST_INVALID --spid xbank --taid demo
    run --separate-stderr otrp tee-sim query --state device --spid xbank --taid demo --tamid othertam
    assert_success
    cat <<< "$output" > answer.json
    assert_equal "$(payload answer.json | jq -r '.[].tamid')" othertam
}

@test "query: what is no TAQuery has no answer" {
    take filled ec
    local query
    for query in '' '{}' '[]' '{"TAQuery":{"spid":"xbank"}}' '{"TAQuery":{"spid":"xbank","taid":7}}' \
        '{"TAQuery":{"spid":"xbank","taid":"demo","more":""}}' '{"TAQuery":{"spid":"xbank","taid":"demo"},"x":1}' \
        '{"TAQuery":{"spid":"xbank","taid":"demo","taid":"demo"}}'; do
        run --separate-stderr otrp tee-sim query --state device - <<< "$query"
        assert_equal "$query: $status $output" "$query: 6 "
    done
}

# ---- process: files ----

@test "an output that is in the way, or cannot be written, is refused before the state changes" {
    take asked
    request create-sd --sp xbank --sdname a > create.json
    echo kept > there.json
    local before place
    before=$(otrp tee-sim show --state device --json)
    for place in there.json no-such-folder/answer.json; do
        run --separate-stderr otrp tee-sim process --state device -o $place create.json
        assert_failure
        assert_equal "$output" ""
        assert_equal "$(otrp tee-sim show --state device --json)" "$before"
    done
    assert_equal "$(cat there.json)" kept
    run --separate-stderr otrp tee-sim process --state device -o there.json --force create.json
    assert_success
    signed_by "$TEE-cert.pem" there.json
    refused ERR_REQUEST_INVALID tbs create.json
}

@test "process reads standard input, and -o has the answer of a refused request, too" {
    take asked
    request create-sd --sp xbank --sdname a > create.json
    run --separate-stderr otrp tee-sim process --state device < create.json
    assert_success
    assert_equal "$stderr" 'otrp tee-sim process: CreateSD: pass'
    run --separate-stderr otrp tee-sim process -q --state device -o answer.json - < create.json
    assert_equal "$status $output" "8 "
    signed_by "$TEE-cert.pem" answer.json
    assert_equal "$(jq -r '.[].reason."error-code"' payload.json)" ERR_REQUEST_INVALID
}
