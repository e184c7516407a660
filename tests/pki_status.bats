#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pki-revoke, pki-crl and pki-ocsp: what openssl makes of them, and they of what openssl wrote.
# shellcheck disable=SC2013,SC2046,SC2086,SC2154 # paths without blanks; stderr is set by run --separate-stderr

load test_helper

setup_file() {
    export FRESH="$BATS_FILE_TMPDIR/fresh"
    otrp pki-init -q --out "$FRESH" --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
}

setup() {
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return
    cp -r "$FRESH" pki
    CA=pki/tam/tam-ca/tam-ca-1-ec ROOT_CA=pki/tam/tam-rootca/tam-rootca-ec TAM=pki/tam/tam/tam-mytam-ec-cert.pem
    cat > ca.cnf << END
[ca]
default_ca = tam
[tam]
database = $CA-index.txt
certificate = $CA-cert.pem
private_key = $CA-key.pem
default_md = sha256
default_crl_days = 7
END
}

serial() {
    openssl x509 -in "$1" -noout -serial | cut -d= -f2
}

# crl_checked CRL...: what openssl says of the TAM, with these lists
crl_checked() {
    cat "$@" > lists.pem
    run openssl verify -CAfile $ROOT_CA-cert.pem -untrusted $CA-cert.pem -crl_check_all -CRLfile lists.pem $TAM
}

# The row of the TAM in the ledger, but its serial number.
row() {
    grep CN=mytam $CA-index.txt | cut -f 1,3
}

@test "a revoked certificate is in the list, with time and reason, and openssl verify refuses it" {
    otrp pki-crl --pki pki --role tam --root -o root-crl.pem
    otrp pki-crl --pki pki --role tam -o before.pem
    crl_checked before.pem root-crl.pem
    assert_output "$TAM: OK"
    run --separate-stderr otrp pki-revoke --pki pki --reason keyCompromise --now 2026-11-21T10:00:00Z $TAM
    assert_success
    assert_equal "$output" ""
    assert_equal "$(head -n 1 <<< "$stderr")" "otrp pki-revoke: CN=mytam,OU=TAM,O=OTrP: revoked in $CA-index.txt"
    run row
    assert_output "R	261121100000Z,keyCompromise"
    otrp pki-crl --pki pki --role tam --days 3 --now 2026-11-21T12:00:00Z -o crl.pem
    run openssl crl -in crl.pem -CAfile $CA-cert.pem -noout -text
    assert_line --partial 'verify OK'
    assert_line --partial "Serial Number: $(serial $TAM)"
    assert_line --partial 'Revocation Date: Nov 21 10:00:00 2026 GMT'
    assert_line --partial 'Key Compromise'
    assert_line --partial 'Last Update: Nov 21 12:00:00 2026 GMT'
    assert_line --partial 'Next Update: Nov 24 12:00:00 2026 GMT'
    assert_line --partial 'X509v3 CRL Number'
    otrp pki-crl --pki pki --role tam -o after.pem
    crl_checked after.pem root-crl.pem
    assert_failure
    assert_output --partial 'certificate revoked'
    otrp pki-crl --pki pki --role tam --der -o crl.der
    run openssl crl -inform DER -in crl.der -noout -crlnumber
    assert_success
}

@test "openssl ca and openssl ocsp work on the ledger as it is, and pki-crl on what they write" {
    otrp pki-issue -q --pki pki --role tam --name other --alg ec-p256 > /dev/null
    otrp pki-revoke -q --pki pki --reason superseded $TAM
    openssl ca -config ca.cnf -gencrl -out openssl.pem
    run openssl crl -in openssl.pem -noout -text
    assert_line --partial "Serial Number: $(serial $TAM)"
    assert_line --partial Superseded
    openssl ca -config ca.cnf -revoke pki/tam/tam/tam-other-ec-cert.pem -crl_reason cessationOfOperation
    otrp pki-crl --pki pki --role tam | openssl crl -noout -text > ours.txt
    run grep -c 'Serial Number' ours.txt
    assert_output 2
    run grep -c 'Cessation Of Operation' ours.txt
    assert_output 1
    openssl ocsp -index $CA-index.txt -CA $CA-cert.pem -rsigner $CA-cert.pem -rkey $CA-key.pem \
        -issuer $CA-cert.pem -serial "0x$(serial $TAM)" -no_nonce -respout response.der > /dev/null
    run openssl ocsp -respin response.der -issuer $CA-cert.pem -cert $TAM -CAfile $ROOT_CA-cert.pem -no_nonce
    assert_line "$TAM: revoked"
    assert_line --partial 'Reason: superseded'
}

@test "a hold is lifted or becomes final; other revocations stay" {
    otrp pki-revoke -q --pki pki --reason certificateHold $TAM
    run --separate-stderr otrp pki-revoke --pki pki --reason certificateHold $TAM
    assert_equal "$status" 2
    assert_regex "$stderr" 'revoked already, at .*reason certificateHold'
    otrp pki-revoke -q --pki pki --reason removeFromCRL $TAM
    run row
    assert_output "V	"
    run --separate-stderr otrp pki-revoke --pki pki --reason removeFromCRL $TAM
    assert_equal "$status" 2
    assert_regex "$stderr" 'is not on hold'
    otrp pki-revoke -q --pki pki --reason certificateHold $TAM
    otrp pki-revoke -q --pki pki --reason keyCompromise $TAM
    run --separate-stderr otrp pki-revoke --pki pki --reason superseded $TAM
    assert_equal "$status" 2
    assert_regex "$stderr" 'revoked already, at .*reason keyCompromise'
    run openssl ca -config ca.cnf -gencrl
    assert_success
}

@test "a certificate is revoked by its serial number, and one that the ledger lost is entered" {
    otrp pki-revoke -q --pki pki --role tam --serial "$(serial $TAM | tr A-F a-f)"
    run row
    assert_output --regexp '^R	[0-9]{12}Z$'
    run --separate-stderr otrp pki-revoke --pki pki --role tam --serial 12345
    assert_equal "$status" 2
    assert_regex "$stderr" 'has no serial number 12345'
    : > $CA-index.txt
    run --separate-stderr otrp pki-revoke --pki pki $TAM
    assert_success
    assert_regex "$stderr" 'warning: CN=mytam.*: not in the ledger .*, and now added'
    run cut -f 1,4,6 $CA-index.txt
    assert_output "R	$(serial $TAM)	/O=OTrP/OU=TAM/CN=mytam"
}

@test "a CA revoked by its root is in the root's list" {
    otrp pki-revoke -q --pki pki --reason CACompromise $CA-cert.pem
    otrp pki-crl --pki pki --role tam --root | openssl crl -noout -text > list.txt
    run grep -E 'Serial Number|CA Compromise' list.txt
    assert_line --partial "Serial Number: $(serial $CA-cert.pem)"
    assert_line --partial 'CA Compromise'
}

@test "strangers, broken ledgers and wrong usage are refused, and the ledger stays" {
    refused() {
        cp $CA-index.txt before
        run --separate-stderr otrp "${@:3}"
        assert_equal "$status" "$1"
        assert_equal "$output" ""
        assert_regex "$stderr" "$2"
        run cmp before $CA-index.txt
        assert_success
    }
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out own.pem -subj /CN=x 2> /dev/null
    refused 4 'CN=x: issued by itself' pki-revoke --pki pki own.pem
    refused 4 'no CA in .* has issued it' pki-revoke --pki pki "$PKI_EC/tam/tam/tam-mytam-ec-cert.pem"
    refused 2 'nowhere: there is no such folder' pki-revoke --pki nowhere $TAM
    refused 2 'nowhere: there is no such folder' pki-ocsp --pki nowhere $TAM
    refused 2 'nowhere: there is no such folder' pki-crl --pki nowhere --role tam
    refused 2 'what is to be revoked is missing: CERT, or --serial HEX with --role' pki-revoke --pki pki
    refused 2 'CERT and --serial: one of them' pki-revoke --pki pki --role tam --serial 01 $TAM
    refused 2 "'xyz' is no hexadecimal number" pki-revoke --pki pki --role tam --serial xyz
    refused 2 'reason' pki-revoke --pki pki --reason because $TAM
    echo "R	281121000000Z	soon	01	unknown	/CN=x" >> $CA-index.txt
    refused 6 "row 2: 'soon' is no time of revocation" pki-crl --pki pki --role tam
    echo "V	one	two" >> $CA-index.txt
    refused 6 'tam-ca-1-ec-index.txt: row 3: not an index of 6 columns: it has 3' pki-revoke --pki pki $TAM
}

@test "an OCSP signer answers for the CA, whose key is not at hand" {
    otrp pki-issue -q --pki pki --role tam --kind ocsp-signer --alg ec-p256 > result.csv
    otrp pki-issue -q --pki pki --role tam --kind root-ocsp-signer --alg ec-p256 > /dev/null
    run openssl x509 -in $CA-ocsp-cert.pem -noout -text
    assert_line --partial 'OCSP Signing'
    assert_line --partial 'OCSP No Check'
    assert_line --partial 'CA:FALSE'
    assert_equal "$(stat -c %a $CA-ocsp-key.pem)" 600
    run openssl verify -CAfile $ROOT_CA-cert.pem -untrusted $CA-cert.pem -purpose ocsphelper $CA-ocsp-cert.pem
    assert_success
    run --separate-stderr otrp pki-check --pki pki
    assert_success
    rm $CA-key.pem $ROOT_CA-key.pem
    otrp pki-ocsp --pki pki $TAM > set.json
    jq -r '.[0]' set.json | base64 -d > response.der
    jq -r '.[1]' set.json | base64 -d > ca-response.der
    run openssl ocsp -respin response.der -resp_text -noverify
    assert_line --partial 'CN = TAM OCSP signer'
    run openssl ocsp -respin response.der -issuer $CA-cert.pem -cert $TAM -CAfile $ROOT_CA-cert.pem \
        -verify_other $CA-cert.pem -no_nonce
    assert_line 'Response verify OK'
    assert_line "$TAM: good"
    run openssl ocsp -respin ca-response.der -issuer $ROOT_CA-cert.pem -cert $CA-cert.pem -CAfile $ROOT_CA-cert.pem -no_nonce
    assert_line "$CA-cert.pem: good"
    # and a TEE takes it
    mv set.json pki/tam/tam/tam-mytam-ec-ocsp.json
    otrp tee-sim init -q --state device --pki pki --name mytee
    otrp make-request get-device-state --pki pki --tam mytam -o gds.json
    run --separate-stderr otrp tee-sim process --state device -o state.json gds.json
    assert_success
}

@test "a CA is renewed with its key, and what it issued still leads to the root" {
    cp $CA-cert.pem old.pem
    run --separate-stderr otrp pki-issue --pki pki --role tam --kind ca
    assert_equal "$status" 2
    assert_regex "$stderr" 'tam-ca-1-ec-cert.pem: exists already'
    otrp pki-issue -q --pki pki --role tam --kind ca --renew > result.csv
    refute [ "$(serial old.pem)" = "$(serial $CA-cert.pem)" ]
    run openssl verify -CAfile $ROOT_CA-cert.pem -untrusted $CA-cert.pem $TAM
    assert_output "$TAM: OK"
    assert_equal "$(cut -f 4 $ROOT_CA-index.txt | tail -n 1)" "$(serial $CA-cert.pem)"
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | openssl pkey -pubout -out other.pub
    run --separate-stderr otrp pki-issue --pki pki --role tam --kind ca --renew --key other.pub
    assert_equal "$status" 2
    assert_regex "$stderr" 'tam-ca-1-ec-key.pem: is not the key of the new certificate'
}

@test "who relies on a stapling set that is no good is told what helps" {
    local trust=(--trust pki/tam/tam-rootca)
    local request=(make-request get-device-state --pki pki --tam mytam)
    local at=$EPOCHSECONDS lapsed
    lapsed=$(date -u -d "@$((at + 86400))" +%FT%TZ)
    otrp pki-ocsp --pki pki --days 1 --now "@$at" $TAM > old.json
    otrp pki-revoke -q --pki pki $TAM
    otrp pki-ocsp -q --pki pki $TAM > revoked.json
    run --separate-stderr otrp "${request[@]}" --ocsp old.json --now "@$((at + 3600))" -o fresh.otrp
    assert_success
    assert_equal "$stderr" ""
    # make-request says that devices will not take it, verify why
    run --separate-stderr otrp "${request[@]}" --ocsp old.json --now "@$((at + 40 * 86400))" -o stale.otrp
    assert_success
    assert_regex "$stderr" "warning: devices will refuse the stapling set: CN=mytam.* is stale since $lapsed"
    assert_regex "$stderr" "hint: 'otrp pki-ocsp --pki pki --force -o old.json pki/tam/tam/tam-mytam-ec-cert-plus-intermediate-cert.pem' makes a new one"
    run --separate-stderr otrp verify "${trust[@]}" --now "@$((at + 40 * 86400))" stale.otrp
    assert_equal "$status" 4
    assert_regex "$stderr" "is stale since $lapsed"
    assert_regex "$stderr" "hint: .*'otrp pki-ocsp --pki DIR --force -o SET CERT'"
    run --separate-stderr otrp "${request[@]}" --ocsp revoked.json -o revoked.otrp
    assert_success
    assert_regex "$stderr" 'warning: devices will refuse the stapling set: CN=mytam.*: revoked at'
    refute_regex "$stderr" 'pki-ocsp'
    run --separate-stderr otrp verify "${trust[@]}" revoked.otrp
    assert_equal "$status" 4
    assert_regex "$stderr" ': revoked at'
    refute_regex "$stderr" '--no-revocation'
    assert_regex "$stderr" 'hint: what is revoked stays revoked: have a new certificate issued'
}
