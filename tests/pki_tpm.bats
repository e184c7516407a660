#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A CA whose key never is a file: it is made in a TPM (swtpm), and used there through tpm2-openssl.
# shellcheck disable=SC2013,SC2046,SC2086,SC2154 # paths without blanks; stderr is set by run --separate-stderr

load test_helper
load pki/helper

HANDLE=0x81000001

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    for tool in swtpm tpm2_createprimary tpm2_evictcontrol tpm2_flushcontext; do
        command -v "$tool" > /dev/null || skip "there is no $tool"
    done
    [ -e "$(openssl version -m | sed 's/.*"\(.*\)"/\1/')/tpm2.so" ] || skip "there is no provider tpm2 for OpenSSL"
    export ASAN_OPTIONS=detect_leaks=0 # what the provider and its libraries leave behind is not ours
    mkdir state
    swtpm socket --tpm2 --tpmstate dir="$PWD/state" --server type=unixio,path="$PWD/tpm" \
        --ctrl type=unixio,path="$PWD/tpm.ctrl" --flags not-need-init,startup-clear \
        --pid file="$PWD/swtpm.pid" --daemon > swtpm.log 2>&1 3>&- 4>&-
    export TPM2TOOLS_TCTI="swtpm:path=$PWD/tpm" TPM2OPENSSL_TCTI="swtpm:path=$PWD/tpm"
    tpm2_createprimary -Q -C o -G ecc256:ecdsa-sha256 -c ca.ctx \
        -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'
    tpm2_flushcontext -t
    tpm2_evictcontrol -Q -c ca.ctx $HANDLE
    tpm2_flushcontext -t
    # the CA of the devices gets another key
    otrp pki-init -q --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256 --tee mytee
    rm pki/tee/tee/* pki/tee/tee-ca/*key.pem
    otrp pki-issue -q --pki pki --role tee --kind ca --renew --key "handle:$HANDLE" --provider tpm2 \
        --ca-key pki/tee/tee-rootca/tee-rootca-ec-key.pem > /dev/null
    export BASE=$PWD
}

teardown_file() {
    [ ! -e "$BATS_FILE_TMPDIR/swtpm.pid" ] || kill "$(cat "$BATS_FILE_TMPDIR/swtpm.pid")" || true
}

setup() {
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return
    cp -r "$BASE/pki" .
    ROOT_CERT=pki/tee/tee-rootca/tee-rootca-ec-cert.pem CA_CERT=pki/tee/tee-ca/tee-ca-1-ec-cert.pem
    TOKEN=(--ca-key "handle:$HANDLE" --provider tpm2)
}

@test "pki-issue, pki-ocsp and pki-crl sign with a key in a TPM" {
    run --separate-stderr otrp pki-issue --pki pki --role tee --name device1 --alg ec-p256
    assert_equal "$status" 2
    assert_regex "$stderr" 'tee-ca-1-ec-key.pem: the private key of the CA is not there'
    otrp pki-issue -q --pki pki --role tee --name device1 --alg ec-p256 "${TOKEN[@]}" > result.csv
    local cert=pki/tee/tee/tee-device1-ec-cert.pem
    run openssl verify -CAfile $ROOT_CERT -untrusted $CA_CERT $cert
    assert_output "$cert: OK"
    # the device's key is a file, not another key of the TPM
    run openssl pkey -in pki/tee/tee/tee-device1-ec-key.pem -pubout
    assert_output "$(openssl x509 -in $cert -noout -pubkey)"
    otrp pki-ocsp --pki pki "${TOKEN[@]}" $cert | jq -r '.[0]' | base64 -d > response.der
    run openssl ocsp -respin response.der -issuer $CA_CERT -cert $cert -CAfile $ROOT_CERT -no_nonce
    assert_line "$cert: good"
    otrp pki-revoke -q --pki pki $cert
    otrp pki-crl --pki pki --role tee "${TOKEN[@]}" -o crl.pem
    run openssl verify -CAfile $ROOT_CERT -untrusted $CA_CERT -crl_check -CRLfile crl.pem $cert
    assert_failure
    assert_output --partial 'certificate revoked'
    run find pki/tee/tee-ca -name '*key*'
    assert_output ""
}

@test "a batch: one process signs in the TPM, the others make keys; requests, too" {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -out own.csr -subj /CN=x 2> /dev/null
    { echo role,name,alg,csr; for i in {1..12}; do echo "tee,unit-$i,ec-p256,"; done
        echo tee,rsa,rsa-2048,; echo tee,own,,own.csr; echo tee,bad,ec-p257,; } > units.csv
    run otrp pki-issue -q --pki pki --manifest units.csv --out out --jobs 4 "${TOKEN[@]}"
    assert_equal "$status" 9
    assert_regex "$output" '1 of 15 rows failed'
    run grep -c ',issued,$' out/units.result.csv
    assert_output 14
    run openssl verify -CAfile $ROOT_CERT -untrusted $CA_CERT \
        $(find out -name '*-cert.pem' ! -name '*plus*')
    assert_success
    assert_equal "$(grep -c ': OK$' <<< "$output")" 14
    run openssl x509 -noout -pubkey -in out/tee/*/tee-own-ec-cert.pem
    assert_output "$(openssl pkey -in own.key -pubout)"
}

@test "a batch: a request is read once, what is checked is what is certified" {
    certifies_what_was_checked "${TOKEN[@]}"
}

@test "sign signs with a key in a TPM, and openssl's view of the key verifies" {
    otrp sign --key "handle:$HANDLE" --provider tpm2 -o jws.json <<< 'made in a TPM'
    otrp verify -q --key $CA_CERT -o payload jws.json
    assert_equal "$(< payload)" 'made in a TPM'
}

@test "a key that a TPM has wrapped into a file signs, named by its path or a URI" {
    openssl genpkey -provider tpm2 -provider default -algorithm EC -pkeyopt group:P-256 -out wrapped.pem
    grep -q 'TSS2 PRIVATE KEY' wrapped.pem
    openssl pkey -provider tpm2 -provider default -in wrapped.pem -pubout -out public.pem
    local form
    for form in wrapped.pem file:wrapped.pem "file://$PWD/wrapped.pem"; do
        otrp sign --key "$form" --provider tpm2 -o jws.json <<< "$form"
        otrp verify -q --key public.pem -o payload jws.json
        assert_equal "$(< payload)" "$form"
        rm jws.json payload
    done
    # it stays where it is when it is certified
    "$OTRP" pki-init -q --out other --alg ec-p256 --ca-alg ec-p256 --root-alg ec-p256
    for form in wrapped.pem file:wrapped.pem; do
        "$OTRP" pki-issue --pki other --role sp --name "${form%%:*}" --key "$form" --provider tpm2 > result.csv
        assert_equal "$(openssl x509 -in "other/sp/sp/sp-${form%%:*}-ec-cert.pem" -noout -pubkey)" "$(< public.pem)"
        assert [ ! -e "other/sp/sp/sp-${form%%:*}-ec-key.pem" ]
    done
    run --separate-stderr otrp sign --key wrapped.pem <<< text
    assert_equal "$status" 6
    assert_regex "$stderr" 'wrapped.pem: no key in it.*a file of a provider needs --provider'
}
