#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The samples: each script runs and leaves what it says, which is looked at by other means.

# shellcheck disable=SC2154 # status, output: set by run

load test_helper

setup_file() {
    # A tree of one's own, with the program under test: that is the one which a sample finds.
    export TREE=$BATS_FILE_TMPDIR/tree
    mkdir -p "$TREE/bin" "$TREE/lib"
    cp "$OTRP" "$TREE/bin/otrp"
    local lib
    lib=$(dirname "$OTRP")/../lib/otrp
    [ -d "$lib" ] || lib=$ROOT/build/release/lib/otrp
    ln -s "$(realpath "$lib")" "$TREE/lib/otrp"
    ln -s "$ROOT/pki-templates" "$TREE/pki-templates"
    cp -r "$ROOT/samples" "$TREE/samples"
    # Keys that are quick to make: those of the demo take half a minute.
    sed -i 's/^otrp pki-init .*/& --root-alg ec-p256 --ca-alg ec-p256 --alg rsa-2048/' "$TREE/samples/demo.sh"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# sample NAME: runs it in a folder of that name, which is where we are then. No TAM answers any more.
sample() {
    run "$TREE/samples/$1.sh" "$1"
    assert_success
    gone
    cd "$1" || return
}

# The output names a TAM, and of the otrp that the sample has started none runs any more. (The port of
# a TAM that has ended may be that of another test.)
gone() {
    local process
    [[ $output == *"the TAM answers at http"* ]] || return 1
    while read -r process; do
        [[ $(readlink "$process/cwd") != "$(realpath "$BATS_TEST_TMPDIR")"/* ]] || return 1
    done < <(find /proc -maxdepth 2 -name exe -lname '*/otrp' -printf '%h\n' 2> /dev/null)
}

# holds DEVICE: TAs as tamid|spid|SD|taid|version, of all devices of a state folder
holds() {
    otrp tee-sim show --state "$1" --json |
        jq -r '.devices[] | .name as $d | .sds[] as $s | $s.tas[] |
            [$d, $s.tamid, $s.spid, $s.name, .taid, (.version | tostring)] | join("|")'
}

@test "the OEM manages SDs and TAs" {
    sample fleet-oem
    run holds fleet
    assert_output "phone-1|oem|oem|platform|updater|2
phone-2|oem|oem|platform|updater|2
phone-3|oem|oem|platform|updater|1"
    otrp tee-sim export-ta --state fleet --device phone-2 --taid updater | cmp - updater.bin
    run otrp tee-sim export-ta --state fleet --device phone-3 --taid updater
    assert_output "the updater, version 1"
}

@test "the OEM manages SDs, an SP its TAs" {
    sample fleet-oem-sp
    assert_line --partial "UpdateTA: ERR_TA_INVALID"
    run holds phone
    assert_output "phone|oem|bank|bank-sd|wallet|2"
    otrp tee-sim export-ta --state phone --taid wallet | cmp - bank/wallet.bin
    # What the device stores is the bank's certificate, and the OEM's folder has no key.
    assert_equal "$(otrp tee-sim show --state phone --json | jq -r '.devices[].sds[].spcerts[]')" \
        "$(openssl x509 -in pki/sp/sp/sp-bank-ec-cert.pem -outform DER | openssl dgst -sha256 -r | cut -d ' ' -f 1)"
    run grep -rl "PRIVATE KEY" oem
    assert_output ""
    run cat spy.tap
    assert_line "1..2"
    refute_line --partial "not ok"
}

@test "an SP manages SDs and TAs beside the OEM, and neither sees the other's" {
    sample fleet-sp
    run holds phone
    assert_output "phone|tam.bank.example|bank|cards|wallet|1
phone|tam.oem.example|oem|platform|updater|1"
    assert_equal "$(grep -c '^ok ' trespass.tap)" 4
    # That is what the device tells the OEM's TAM.
    otrp make-request get-device-state --pki pki --tam oem | otrp tee-sim process -q --state phone |
        otrp decrypt --key pki/tam/tam/tam-oem-ec-key.pem -o state.json
    assert_equal "$(jq -r '[.dsi.tee.sdlist.sd[].name] | join(" ")' state.json)" platform
}

@test "a wallet with card data for one phone each, until it is stolen" {
    sample payment
    run holds alice
    assert_output "alice|bank|bank|cards|wallet|1"
    otrp tee-sim export-ta --state alice --taid wallet | cmp - wallet.bin
    otrp tee-sim export-ta --state alice --taid wallet --pdata | cmp - alice.card
    assert_equal "$(cat alice.card)" "PAN 4000 0012 3456 7899 until 11/29"
    run holds bob
    assert_output ""
    # The wallet's signer is the bank.
    assert_equal "$(jq -r '.TAInformationTBS.signercert' claims.json)" \
        "$(openssl x509 -in pki/sp/sp/sp-bank-ec-cert.pem -outform DER | base64 -w 0)"
}

@test "a door lock is updated, and does not go back" {
    sample door-lock
    assert_line --partial "UpdateTA: ERR_TA_INVALID"
    run holds lock
    assert_output "frontdoor|locks|locks|door|bolt|2"
    otrp tee-sim export-ta --state lock --taid bolt | cmp - bolt-2.bin
    run grep -c '^ok ' downgrade.tap
    assert_output 2
}

@test "the demo: a wallet comes and goes" {
    sample demo
    cmp exported.bin "$OTRP"
    assert_equal "$(jq -r '.OTrPBrokerError.errcode' answer.json)" ERR_TA_NOT_FOUND
    run holds device
    assert_output ""
}

@test "without a folder nothing stays, and one that is in use is left alone" {
    mkdir tmp full
    touch full/file
    TMPDIR=$PWD/tmp run "$TREE/samples/door-lock.sh"
    assert_success
    run find . -type f
    assert_output ./full/file
    run "$TREE/samples/door-lock.sh" full
    assert_failure 2
    assert_output --partial "full is not empty"
}

@test "a sample that fails says where, and ends its TAM" {
    cp -r "$TREE" broken
    sed -i 's/"expect": "ERR_TA_INVALID"/"expect": "pass"/' broken/samples/door-lock.sh
    TMPDIR=$PWD run broken/samples/door-lock.sh lock
    assert_failure 9
    assert_line --regexp '^door-lock.sh: FAILED at: 5\.'
    gone
    cp "$TREE/samples/door-lock.sh" broken/samples/door-lock.sh
    sed -i '/^run otrp send/s/ --tee lock.*/ --tee nowhere/' broken/samples/door-lock.sh
    run broken/samples/door-lock.sh again
    assert_failure 2
    assert_line --regexp '^door-lock.sh: FAILED at: 2\.'
    gone
}

@test "bytes go through the JOSE commands unchanged, with a PKI that is given, too" {
    run "$TREE/samples/otrp-test.sh" "$PKI"
    assert_success
    assert_output --partial "51200 bytes"
}

# run_ci FILE VARIABLE=VALUE...: as in a CI of somebody else's
run_ci() {
    run env -i PATH="$TREE/bin:/usr/local/bin:/usr/bin:/bin" HOME="$PWD" "${@:2}" bats --tap "$TREE/samples/ci/$1.bats"
}

foreign_tam() {
    start_server "$TREE/bin/otrp" tam-stub --pki "$PKI" --listen 127.0.0.1:0 "$@"
    run_ci tam TAM_URL="$URL" TAM_ROOT="$PKI/tam/tam-rootca" TEE_KEY="$PKI/tee/tee/tee-mytee-rsa-key.pem" \
        TEE_CERT="$PKI/tee/tee/tee-mytee-rsa-cert-plus-intermediate-cert.pem"
}

@test "CI of a TAM: a good one passes all tests" {
    foreign_tam
    assert_success
    assert_line 1..8
}

@test "CI of a TAM and of a TEE: paths may be relative to where the tests are started" {
    cp -r "$PKI" pki
    start_server "$TREE/bin/otrp" tam-stub --pki pki --listen 127.0.0.1:0
    run_ci tam TAM_URL="$URL" TAM_ROOT=pki/tam/tam-rootca TEE_KEY=pki/tee/tee/tee-mytee-rsa-key.pem \
        TEE_CERT=pki/tee/tee/tee-mytee-rsa-cert-plus-intermediate-cert.pem
    assert_success
    assert_line 1..8
    otrp tee-sim init -q --state device --pki pki
    run_ci tee PKI=pki TEE_ROOT=pki/tee/tee-rootca DEVICE="otrp send --tee $PWD/device --url"
    assert_success
    assert_line 1..2
}

@test "CI of a TAM: one that signs wrongly fails" {
    foreign_tam --fault signature
    assert_failure
    assert_line --regexp '^not ok 1 '
    assert_line --regexp '^not ok 8 '
    assert_line --regexp '^ok 3 HTTP'
}

@test "CI: what is not set is named" {
    run_ci tam TAM_URL=http://127.0.0.1:1/ TAM_ROOT=roots TEE_KEY=key
    assert_failure
    assert_output --partial "TEE_CERT: is not set: see the head of this file"
    run_ci tee PKI="$PKI"
    assert_failure
    assert_output --partial "DEVICE: is not set: see the head of this file"
}

@test "CI of a TEE: a good one passes both scenarios, one without room for a TA fails at that" {
    otrp tee-sim init -q --state device --pki "$PKI"
    run_ci tee PKI="$PKI" DEVICE="otrp send --tee $PWD/device --url"
    assert_success
    assert_line 1..2
    otrp tee-sim init -q --state small --pki "$PKI" --max-bytes 1
    run_ci tee PKI="$PKI" TEE_ROOT="$PKI/tee/tee-rootca" DEVICE="otrp send --tee $PWD/small --url"
    assert_failure
    assert_line --regexp '^# not ok 4 - install-ta hello xbank/payments'
    assert_line --partial 'found: "ERR_TEE_RESOURCE_FULL"'
}

unit=otrp-tam-stub.service

@test "systemd accepts the unit, and finds it safe" {
    command -v systemd-analyze > /dev/null || skip "systemd is not installed"
    sed "s|^ExecStart=otrp|ExecStart=$TREE/bin/otrp|" "$TREE/samples/systemd/$unit" > "$unit"
    run systemd-analyze verify --man=no "./$unit"
    assert_success
    assert_output ""
    # Of 100; what has no protection at all has 96.
    run systemd-analyze security --no-pager --offline=true --threshold=15 "./$unit"
    assert_success
}

@test "the command of the unit is a TAM, with the files that the unit names" {
    mkdir -p etc/otrp run var/lib
    cp "$PKI/tam/tam/tam-mytam-rsa-key.pem" run/tam-key.pem
    cp "$PKI/tam/tam/tam-mytam-rsa-cert-plus-intermediate-cert.pem" etc/otrp/tam-chain.pem
    cp "$PKI/tam/tam/tam-mytam-rsa-ocsp.json" etc/otrp/tam-ocsp.json
    cp -r "$PKI/tee/tee-rootca" etc/otrp/tee-roots
    echo '{}' > etc/otrp/policy.json
    local command
    command=$(sed -n '/^ExecStart=/,/[^\\]$/p' "$TREE/samples/systemd/$unit" |
        sed -e 's/^ExecStart=//; s/\\$//' -e "s|%d|$PWD/run|g; s|%S|$PWD/var/lib|g; s|/etc/otrp|$PWD/etc/otrp|g; s|:8080|:0|")
    mkdir -m 700 var/lib/otrp-tam-stub # StateDirectory
    # shellcheck disable=SC2086 # a command with its arguments
    PATH=$TREE/bin:$PATH start_server $command
    otrp tee-sim init -q --state device --pki "$PKI"
    otrp send -q --url "$URL" --tee device
    stop_server
    assert [ -e var/lib/otrp-tam-stub/tam.db ]
}
