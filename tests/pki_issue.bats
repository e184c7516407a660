#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pki-issue: one certificate, and batches of them. openssl, jose and jq are the witnesses.
# shellcheck disable=SC2016,SC2154 # hostile values; stderr is set by run --separate-stderr

load test_helper

QUICK=(--root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256)

setup_file() {
    export FRESH="$BATS_FILE_TMPDIR/fresh"
    otrp pki-init -q --out "$FRESH" "${QUICK[@]}" --sp xbank --tam mytam --tee mytee
}

setup() {
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return
    cp -r "$FRESH" pki
    LEDGER=pki/tee/tee-ca/tee-ca-1-ec-index.txt
}

# verified ROLE CERT: it leads to the root of that role.
verified() {
    run openssl verify -x509_strict -CAfile "pki/$1/$1-rootca/$1-rootca-ec-cert.pem" \
        -untrusted "pki/$1/$1-ca/$1-ca-1-ec-cert.pem" "$2"
    assert_success
}

# issue ARGUMENT...: pki-issue, quietly
issue() {
    otrp pki-issue -q --pki pki "$@"
}

# refused CODE STDERR ARGUMENT...: nothing is issued, and why.
refused() {
    find pki -type f -exec sha256sum {} + | grep -v '\.lock$' | sort > before.sum
    run --separate-stderr otrp pki-issue --pki pki "${@:3}"
    assert_equal "$status" "$1"
    assert_equal "$output" ""
    assert_regex "$stderr" "$2"
    run diff before.sum <(find pki -type f -exec sha256sum {} + | grep -v '\.lock$' | sort)
    assert_success
}

# begin CERT: when it begins, as messages have it
begin() {
    openssl x509 -in "$1" -noout -startdate -dateopt iso_8601 | sed 's/.*=//; s/ /T/'
}

serial() {
    openssl x509 -in "$1" -noout -serial | cut -d= -f2
}

# day N: the beginning of the day in N days, in seconds; gmt SECONDS: such a time as openssl shows it.
day() {
    echo $(((EPOCHSECONDS / 86400 + $1) * 86400))
}

gmt() {
    date -u -d "@$1" '+%b %e %T %Y GMT'
}

# column NAME FILE: that column of a result
column() {
    awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next } { print $c }' "$2"
}

# rows ROLE ALG FIRST LAST: rows of a manifest, for unit-FIRST to unit-LAST
rows() {
    local i
    for ((i = $3; i <= $4; i++)); do echo "$1,unit-$i,$2"; done
}

@test "a device gets a key, a certificate without an end, and all its files; the ledger has it" {
    issue --role tee --name device1 --alg ec-p256 > result.csv
    local base=pki/tee/tee/tee-device1-ec
    verified tee $base-cert.pem
    assert_equal "$(openssl x509 -in $base-cert.pem -noout -enddate)" "notAfter=Dec 31 23:59:59 9999 GMT"
    assert_equal "$(openssl x509 -in $base-cert.pem -noout -subject -nameopt RFC2253)" \
        "subject=CN=device1,OU=TEE,O=OTrP"
    assert_equal "$(openssl pkey -in $base-key.pem -pubout)" "$(openssl x509 -in $base-cert.pem -noout -pubkey)"
    run openssl pkey -in $base-key.pem
    assert_output "$(cat $base-key.pem)"
    assert_equal "$(cat $base-cert-plus-intermediate-cert.pem)" \
        "$(cat $base-cert.pem pki/tee/tee-ca/tee-ca-1-ec-cert.pem)"
    assert_equal "$(stat -c %a $base-key.pem $base-key.jwk $base-cert.pem | paste -sd ' ')" "600 600 644"
    assert_equal "$(jose jwk thp -i $base-key.jwk)" "$(jose jwk thp -i $base-pub.jwk)"
    run tail -n 1 "$LEDGER"
    assert_output "V	99991231235959Z		$(serial $base-cert.pem)	tee/tee/tee-device1-ec-cert.pem	/O=OTrP/OU=TEE/CN=device1"
    local sha256
    sha256=$(openssl x509 -in $base-cert.pem -outform DER | sha256sum | cut -c 1-64)
    run cat result.csv
    assert_output "row,role,name,serial,sha256,did,cert,key,status,message
1,tee,device1,$(serial $base-cert.pem),$sha256,$(xxd -r -p <<< "$sha256" | base64),$base-cert.pem,$base-key.pem,issued,"
}

@test "each algorithm makes its key" {
    local alg bits curve
    while read -r alg bits curve; do
        issue --role sp --name "x-$alg" --alg "$alg" > result.csv
        run openssl pkey -noout -text -in "$(column key result.csv)"
        assert_line --partial "Private-Key: ($bits bit"
        [ -z "$curve" ] || assert_line --partial "NIST CURVE: $curve"
        verified sp "$(column cert result.csv)"
    done << END
rsa-2048 2048
rsa-3072 3072
ec-p256 256 P-256
ec-p384 384 P-384
ec-p521 521 P-521
END
}

@test "key usages follow role and key, and a TAM has its tamid and a stapling set" {
    usage() {
        openssl x509 -in "$1" -noout -ext keyUsage | tail -n 1 | tr -s ' '
    }
    issue --role tee --name a --alg rsa-2048 > /dev/null
    issue --role tfw --name a --alg ec-p256 > /dev/null
    issue --role tam --name a --alg ec-p256 --tamid urn:example:a > /dev/null
    assert_equal "$(usage pki/tee/tee/tee-a-rsa-cert.pem)" " Digital Signature, Key Encipherment"
    assert_equal "$(usage pki/tfw/tfw/tfw-a-ec-cert.pem)" " Digital Signature"
    assert_equal "$(usage pki/tam/tam/tam-a-ec-cert.pem)" " Digital Signature, Key Agreement"
    run openssl x509 -in pki/tam/tam/tam-a-ec-cert.pem -noout -ext subjectAltName
    assert_line --partial URI:urn:example:a
    jq -r '.[0]' pki/tam/tam/tam-a-ec-ocsp.json | base64 -d > response.der
    run openssl ocsp -respin response.der -issuer pki/tam/tam-ca/tam-ca-1-ec-cert.pem -no_nonce \
        -cert pki/tam/tam/tam-a-ec-cert.pem -CAfile pki/tam/tam-rootca/tam-rootca-ec-cert.pem
    assert_line "pki/tam/tam/tam-a-ec-cert.pem: good"
}

@test "the identities are used by name: a new TAM and a new device talk" {
    issue --role tam --name newtam --alg ec-p256 > /dev/null
    issue --role tee --name newtee --alg ec-p256 > /dev/null
    issue --role tfw --name newtee --alg ec-p256 > /dev/null
    otrp tee-sim init -q --state device --pki pki --name newtee
    otrp make-request get-device-state --pki pki --tam newtam -o gds.json
    otrp tee-sim process -q --state device -o state.json gds.json
    run --separate-stderr otrp verify --trust pki/tee/tee-rootca \
        --tam-key pki/tam/tam/tam-newtam-ec-key.pem --request gds.json state.json
    assert_success
}

@test "--days and --now date a certificate" {
    local at
    at=$(day 10)
    issue --role sp --name s --alg ec-p256 --days 10 --now "$(date -u -d "@$at" +%FT%TZ)" > /dev/null
    run openssl x509 -in pki/sp/sp/sp-s-ec-cert.pem -noout -dates
    assert_output "notBefore=$(gmt "$at")
notAfter=$(gmt $((at + 10 * 86400)))"
}

@test "a request brings its key; neither its subject nor its extensions count" {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -out own.csr \
        -subj '/CN=admin' -addext 'basicConstraints=CA:TRUE' -addext 'extendedKeyUsage=codeSigning' 2> /dev/null
    issue --role tee --name device1 --csr own.csr > result.csv
    local cert=pki/tee/tee/tee-device1-ec-cert.pem
    verified tee $cert
    assert_equal "$(openssl x509 -in $cert -noout -pubkey)" "$(openssl pkey -in own.key -pubout)"
    run openssl x509 -in $cert -noout -subject -ext basicConstraints,extendedKeyUsage -nameopt RFC2253
    assert_line "subject=CN=device1,OU=TEE,O=OTrP"
    assert_line --partial CA:FALSE
    refute_output --partial 'Code Signing'
    assert [ ! -e pki/tee/tee/tee-device1-ec-key.pem ]
    assert_equal "$(column key result.csv)" ""
    openssl req -in own.csr -outform DER -out own.der
    issue --role tee --name device2 --csr own.der > /dev/null
    verified tee pki/tee/tee/tee-device2-ec-cert.pem
}

@test "a template allows what a request may bring, and what it sets itself stays" {
    cp -r "$ROOT/pki-templates" templates
    sed -i 's/^\[subject\]/requested = extendedKeyUsage, keyUsage\n\n&/' templates/tee.cnf
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -out own.csr \
        -subj '/CN=x' -addext 'keyUsage=cRLSign' -addext 'extendedKeyUsage=codeSigning' \
        -addext 'subjectAltName=DNS:x' 2> /dev/null
    issue --role tee --name device1 --csr own.csr --templates templates > /dev/null
    run openssl x509 -in pki/tee/tee/tee-device1-ec-cert.pem -noout -text
    assert_output --partial 'Code Signing'
    assert_output --partial 'Digital Signature, Key Agreement'
    refute_output --partial 'CRL Sign'
    refute_output --partial 'DNS:x'
}

@test "a request that is not signed with its key, or holds a weak one, is refused" {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own.key -out own.csr \
        -subj /CN=x 2> /dev/null
    openssl req -in own.csr -outform DER -out own.der
    last_byte_changed own.der > broken.csr # of the signature
    refused 3 'broken.csr: not signed with the key that it is for' --role tee --name a --csr broken.csr
    openssl req -new -newkey rsa:1024 -nodes -keyout weak.key -out weak.csr -subj /CN=x 2> /dev/null
    refused 6 'weak.csr: a key that is not served here' --role tee --name a --csr weak.csr
    openssl req -new -newkey ed25519 -nodes -keyout ed.key -out ed.csr -subj /CN=x 2> /dev/null
    refused 6 'ed.csr: a key that is not served here' --role tee --name a --csr ed.csr
    refused 6 'own.key: no certificate signing request' --role tee --name a --csr own.key
    refused 2 '--csr and --alg: the key has its algorithm' --role tee --name a --csr own.csr --alg rsa-2048
}

@test "a key that exists gets a certificate, out of PKCS#12, too" {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out own.key
    openssl pkcs12 -export -nocerts -inkey own.key -passout pass:secret -out own.p12
    issue --role sp --name s --key own.p12 --passin pass:secret > /dev/null
    assert_equal "$(openssl x509 -in pki/sp/sp/sp-s-ec-cert.pem -noout -pubkey)" "$(openssl pkey -in own.key -pubout)"
    assert_equal "$(openssl pkey -in pki/sp/sp/sp-s-ec-key.pem)" "$(openssl pkey -in own.key)"
    openssl pkey -in own.key -pubout -out own.pub
    issue --role sp --name t --key own.pub > result.csv
    verified sp pki/sp/sp/sp-t-ec-cert.pem
    assert [ ! -e pki/sp/sp/sp-t-ec-key.pem ]
}

@test "a private key in a file is written beside its certificate, however the file is named" {
    local form name=a
    mkdir its:keys
    for form in own.key ./its:keys/own.key ./its:own.key file:own.key "FILE://$PWD/its:keys/own.key"; do
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out own.key
        cp own.key its:keys/
        cp own.key its:own.key
        issue --role sp --name $name --key "$form" > /dev/null
        assert_equal "$(openssl pkey -in pki/sp/sp/sp-$name-ec-key.pem)" "$(openssl pkey -in own.key)"
        name+=a
    done
}

@test "--passout encrypts the private key, and no JWK gives it away" {
    issue --role tee --name device1 --alg ec-p256 --passout pass:secret > /dev/null
    local base=pki/tee/tee/tee-device1-ec
    assert_equal "$(head -n 1 $base-key.pem)" "-----BEGIN ENCRYPTED PRIVATE KEY-----"
    assert_equal "$(openssl pkey -in $base-key.pem -passin pass:secret -pubout)" \
        "$(openssl x509 -in $base-cert.pem -noout -pubkey)"
    run openssl pkey -in $base-key.pem -passin pass:wrong -noout
    assert_failure
    assert [ ! -e $base-key.jwk ]
}

@test "an encrypted CA key is opened with --passin, and --ca-key names one elsewhere" {
    local ca=pki/tee/tee-ca/tee-ca-1-ec-key.pem
    openssl pkcs8 -topk8 -in $ca -passout pass:secret -out moved.pem
    rm $ca
    refused 2 'tee-ca-1-ec-key.pem: the private key of the CA is not there' --role tee --name a --alg ec-p256
    refused 2 'moved.pem: the key is encrypted' --role tee --name a --alg ec-p256 --ca-key moved.pem
    refused 2 'sp-ca-1-ec-key.pem: is not the key of the certificate in .*tee-ca-1-ec-cert.pem' \
        --role tee --name a --alg ec-p256 --ca-key pki/sp/sp-ca/sp-ca-1-ec-key.pem
    issue --role tee --name a --alg ec-p256 --ca-key moved.pem --passin pass:secret > /dev/null
    verified tee pki/tee/tee/tee-a-ec-cert.pem
}

@test "a renewed TAM keeps tamid and key, and gets a new serial number and stapling set" {
    issue --role tam --name a --alg ec-p256 --tamid 1.3.6.1.4.1.99999.7 > /dev/null
    local base=pki/tam/tam/tam-a-ec
    cp $base-cert.pem old.pem
    cp $base-key.pem old.key
    cp $base-ocsp.json old.json
    issue --role tam --name a --renew > /dev/null
    refute [ "$(serial old.pem)" = "$(serial $base-cert.pem)" ]
    run openssl x509 -in $base-cert.pem -noout -ext subjectAltName
    assert_line --partial "Registered ID:1.3.6.1.4.1.99999.7"
    assert_equal "$(openssl x509 -in old.pem -noout -pubkey)" "$(openssl x509 -in $base-cert.pem -noout -pubkey)"
    run cmp old.key $base-key.pem
    assert_success
    run cmp old.json $base-ocsp.json
    assert_failure
    run grep -c '^V' pki/tam/tam-ca/tam-ca-1-ec-index.txt
    assert_output 3
    issue --role tam --name a --renew --alg ec-p384 > /dev/null
    run openssl x509 -in $base-cert.pem -noout -text
    assert_line --partial "Registered ID:1.3.6.1.4.1.99999.7"
    assert_line --partial "NIST CURVE: P-384"
    run --separate-stderr otrp pki-check --pki pki
    assert_success
    refused 2 "--tamid: a has the tamid '1.3.6.1.4.1.99999.7', and keeps it" --role tam --name a --renew --tamid b
    refused 2 'a key of another family would stand beside it' --role tam --name a --renew --alg rsa-2048
    refused 2 "--renew: pki has no .* 'nobody'\$" --role tam --name nobody --renew
    issue --role tee --name away --alg ec-p256 --out out > /dev/null
    refused 2 "hint: it was issued into another folder: name that with --out" --role tee --name away --renew
    issue --role tee --name away --renew --out out > /dev/null
}

@test "names and tamids that are taken are refused, also those that only the ledger knows" {
    refused 2 "tee-mytee-ec-cert.pem: the name 'mytee' is taken" --role tee --name mytee --alg ec-p256
    refused 2 "the name 'mytee' is taken" --role tee --name mytee --alg rsa-2048
    refused 2 "tamid 'mytam': .*tam-mytam-ec-cert.pem has it already" --role tam --name b --tamid mytam --alg ec-p256
    issue --role tee --name far --alg ec-p256 --out elsewhere > /dev/null
    rm -r elsewhere
    refused 2 "tee-ca-1-ec-index.txt: the name 'far' is taken, by serial number [0-9A-F]*" \
        --role tee --name far --alg ec-p256
    otrp pki-revoke -q --pki pki --role tee --serial "$(tail -n 1 "$LEDGER" | cut -f 4)"
    issue --role tee --name far --alg ec-p256 > /dev/null
    verified tee pki/tee/tee/tee-far-ec-cert.pem
}

@test "what cannot be is refused, and says why" {
    refused 2 "sp.cnf: CN=s.* would outlive its issuer CN=SP CA 1" --role sp --name s --alg ec-p256 --days 36500
    refused 2 "tamid: for a TAM only" --role tee --name a --alg ec-p256 --tamid x
    refused 2 "name: '../x' is no name" --role tee --name ../x --alg ec-p256
    refused 2 "there is no algorithm 'rsa-1024'" --role tee --name a --alg rsa-1024
    refused 2 "role" --role ocsp --name a
    refused 2 "whom the certificate is for is missing" --role tee
    refused 2 "pki-issue: error: name: '-x' is no name" --role tee --name -x
    refused 2 "pki-issue: error: tamid: for a TAM only" --role tee --name a --tamid x
    refused 2 "pki-issue: error: mix.csv: cannot" --role tee --name a --csr mix.csv
    refused 2 "--key and --alg" --role tee --name a --key x --alg ec-p256
    refused 2 "it is 2001-01-01T00:00:00Z by the clock, and the CA in pki/tee/tee-ca/tee-ca-1-ec-cert.pem begins at $(begin pki/tee/tee-ca/tee-ca-1-ec-cert.pem)" \
        --role tee --name a --alg ec-p256 --now 2001-01-01
    refused 2 "exclude|there is one key" --role tee --name a --csr x --key y
    run --separate-stderr otrp pki-issue --pki nowhere --role tee --name a
    assert_equal "$status" 2
    assert_regex "$stderr" 'nowhere: there is no such folder'
    cp -r "$ROOT/pki-templates" templates
    sed -i 's/digitalSignature, keyAgreement/cRLSign/' templates/tee.cnf
    refused 2 "templates/tee.cnf: makes a certificate that nobody accepts: .*digitalSignature" \
        --role tee --name a --alg ec-p256 --templates templates
    sed -i 's/^not_after.*/dayz = 1/' templates/tee.cnf
    refused 2 'templates/tee.cnf: \[profile\] dayz: unknown name' \
        --role tee --name a --alg ec-p256 --templates templates
}

@test "a batch issues every row, says so in order, and its files are in 256 folders" {
    { echo name,role,alg; for i in {1..40}; do echo "unit-$i,tee,ec-p256"; done; } > units.csv
    issue --manifest units.csv --out out > result.csv
    assert_equal "$(head -n 1 result.csv)" "row,role,name,serial,sha256,did,cert,key,status,message"
    assert_equal "$(column row result.csv | paste -sd ' ')" "$(seq 40 | paste -sd ' ')"
    assert_equal "$(column status result.csv | sort -u)" issued
    assert_equal "$(column serial result.csv | sort -u | grep -c .)" 40
    local name cert key serial shard
    while IFS=, read -r _ _ name serial _ did cert key _; do
        shard=$(printf %s "$name" | sha256sum | cut -c 1-2)
        assert_equal "$cert" "out/tee/$shard/tee-$name-ec-cert.pem"
        assert_equal "$(serial "$cert")" "$serial"
        assert_equal "$(stat -c %a "$key")" 600
        assert_equal "$(openssl x509 -in "$cert" -outform DER | openssl sha256 -binary | base64)" "$did"
        assert_equal "$(openssl pkey -in "$key" -pubout)" "$(openssl x509 -in "$cert" -noout -pubkey)"
        # of its own key, also when it was made out of the one before
        assert_equal "$(openssl x509 -in "$cert" -noout -ext subjectKeyIdentifier | tail -n 1 | tr -d ' :')" \
            "$(openssl pkey -in "$key" -pubout -outform DER | tail -c 65 | sha1sum | cut -c 1-40 | tr a-f A-F)"
        assert_equal "$(openssl x509 -in "$cert" -noout -subject -nameopt RFC2253)" "subject=CN=$name,OU=TEE,O=OTrP"
        assert_equal "$(openssl x509 -in "$cert" -noout -text | grep -c 'X509v3 ')" 5
    done < <(sed -n '2,6p' result.csv)
    find out -name '*-cert.pem' ! -name '*plus*' -exec openssl verify \
        -CAfile pki/tee/tee-rootca/tee-rootca-ec-cert.pem \
        -untrusted pki/tee/tee-ca/tee-ca-1-ec-cert.pem {} + > verified.txt
    assert_equal "$(grep -c ': OK$' verified.txt)" 40
    assert_equal "$(cut -f 4 "$LEDGER" | tail -n +2 | sort)" "$(column serial result.csv | sort)"
    run cmp result.csv out/units.result.csv
    assert_success
    run --separate-stderr otrp pki-check --pki pki --out out
    assert_success
}

@test "a bad row does not stop the others: it is named, with its reason, and the exit code is 9" {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out good.csr -subj /CN=x 2> /dev/null
    cat > units.csv << 'END'
role,name,alg,csr,tamid,days
tee,one,ec-p256,,,
tea,two,ec-p256,,,
tee,../three,ec-p256,,,
tee,four,rsa-1000,,,
tee,five,,missing.csr,,
tee,six,,good.csr,,
tee,one,ec-p256,,,
tee,seven,ec-p256,,x,
sp,eight,ec-p256,,,soon
sp,nine,ec-p256,,,99999
sp,ten,ec-p256
tee,mytee,ec-p256,,,
tfw,one,ec-p256,,,
END
    run --separate-stderr otrp pki-issue --pki pki --manifest units.csv --out out
    assert_equal "$status" 9
    echo "$output" > result.csv
    assert_equal "$(column status result.csv | paste -sd ' ')" \
        "issued failed failed failed failed issued failed failed failed failed failed failed issued"
    assert_regex "$stderr" '10 of 13 rows failed'
    assert_regex "$(sed -n 3p result.csv)" "role: 'tea' is none"
    assert_regex "$(sed -n 4p result.csv)" "is no name"
    assert_regex "$(sed -n 5p result.csv)" "no algorithm 'rsa-1000'"
    assert_regex "$(sed -n 6p result.csv)" "missing.csr: cannot open"
    assert_regex "$(sed -n 8p result.csv)" "the name 'one' is taken"
    assert_regex "$(sed -n 9p result.csv)" "tamid: for a TAM only"
    assert_regex "$(sed -n 10p result.csv)" "days: 'soon'"
    assert_regex "$(sed -n 11p result.csv)" "would outlive its issuer"
    assert_regex "$(sed -n 12p result.csv)" "fewer fields"
    assert_regex "$(sed -n 13p result.csv)" "tee-mytee-ec-cert.pem: the name 'mytee' is taken|the name 'mytee' is taken"
    assert_equal "$(find out -name '*-cert.pem' ! -name '*plus*' | grep -c .)" 3
}

@test "a manifest is a CSV of RFC 4180: quotes, CRLF, a byte order mark, any order of columns" {
    printf '\xef\xbb\xbfdays,"name",role,alg\r\n"10","unit.1",sp,ec-p256\r\n\r\n,unit_2,"sp","ec-p256"' > units.csv
    local at
    at=$(day 10)
    issue --manifest units.csv --out out --now "$(date -u -d "@$at" +%F)" > result.csv
    assert_equal "$(column name result.csv | paste -sd ' ')" "unit.1 unit_2"
    run openssl x509 -noout -enddate -in "$(sed -n 2p result.csv | cut -d, -f7)"
    assert_output "notAfter=$(gmt $((at + 10 * 86400)))"
}

@test "a manifest that is none is refused before anything is made" {
    rejected() {
        printf '%b' "$3" > units.csv
        refused "$1" "$2" --manifest units.csv --out out
        assert [ ! -e out ]
    }
    rejected 2 'units.csv: empty' ''
    rejected 2 "unknown column 'nam'" 'role,nam\ntee,a\n'
    rejected 2 "two columns 'name'" 'name,name\na,b\n'
    rejected 2 "no column 'name'" 'role,alg\ntee,ec-p256\n'
    rejected 6 'line 2: a quote is never closed' 'role,name\ntee,"a\ntee,b\n'
    rejected 2 'units.csv: line 1: unknown column' 'role;name\n'
    refused 2 'nowhere.csv: cannot open' --manifest nowhere.csv --out out
    refused 2 'names, keys and tamids stand in the manifest' --manifest units.csv --name x
}

@test "hostile values change nothing but their own row" {
    {
        printf 'role,name,alg,tamid\n'
        printf 'tee,"a\nCN=b",ec-p256,\n'
        printf 'tee,"a,OU=root",ec-p256,\n'
        printf 'tee,$ENV::HOME,ec-p256,\n'
        printf 'tee,"a""b",ec-p256,\n'
        printf 'tee,a/b,ec-p256,\n'
        printf 'tee,a\tb,ec-p256,\n'
        printf 'tam,t1,ec-p256,"x,DNS:evil"\n'
        printf 'tam,t2,ec-p256,urn:x:$ENV::HOME\n'
        printf 'tam,t3,ec-p256,"x\nURI:evil"\n'
        printf 'tam,t4,ec-p256,"urn:x:a,email:evil"\n'
        printf 'tee,\xff\xfe,ec-p256,\n'
        printf 'tee,\x1b[31m,ec-p256,\n'
        printf 'tee,good,ec-p256,\n'
    } > units.csv
    run --separate-stderr otrp pki-issue --pki pki --manifest units.csv --out out
    assert_equal "$status" 9
    echo "$output" > result.csv
    run grep -c . result.csv
    assert_output 14
    run grep -cE ',issued,$' result.csv
    assert_output 3
    run grep -c "$(printf '\033')" result.csv
    assert_output 0
    run openssl x509 -noout -ext subjectAltName -in out/tam/*/tam-t2-ec-cert.pem
    assert_output --partial 'URI:urn:x:$ENV::HOME'
    run openssl x509 -noout -ext subjectAltName -in out/tam/*/tam-t4-ec-cert.pem
    assert_equal "$(tail -n 1 <<< "$output" | tr -d ' ')" 'URI:urn:x:a,email:evil'
    assert_equal "$(openssl asn1parse -in out/tam/*/tam-t4-ec-cert.pem | grep -c "HEX DUMP]:30148612$(printf 'urn:x:a,email:evil' | xxd -p | tr a-f A-F)\$")" 1
    run cut -f 6 pki/tam/tam-ca/tam-ca-1-ec-index.txt
    assert_output "/O=OTrP/OU=TAM/CN=mytam
/O=OTrP/OU=TAM/CN=t2
/O=OTrP/OU=TAM/CN=t4"
}

@test "a batch is not begun twice, but resumed: done rows stay, failed rows are tried again" {
    { echo role,name,csr; echo tee,one,one.csr; echo tee,two,two.csr; } > units.csv
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out one.csr -subj /CN=x 2> /dev/null
    run otrp pki-issue -q --pki pki --manifest units.csv --out out
    assert_equal "$status" 9
    cp out/units.result.csv first.csv
    refused 2 'units.result.csv: this batch has been begun already' --manifest units.csv --out out
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k2 -out two.csr -subj /CN=y 2> /dev/null
    issue --manifest units.csv --out out --resume > second.csv
    assert_equal "$(column status second.csv | paste -sd ' ')" "issued issued"
    assert_equal "$(sed -n 2p first.csv)" "$(sed -n 2p second.csv)"
    assert_equal "$(grep -c . "$LEDGER")" 3
    issue --manifest units.csv --out out --resume > third.csv
    run cmp second.csv third.csv
    assert_success
    sed -i 's/one,/uno,/' units.csv
    refused 2 "row 1 was tee 'one' there, and is tee 'uno' in units.csv" --manifest units.csv --out out --resume
}

@test "without --out a batch fills the PKI, and devices are found by their names" {
    { echo role,name,alg; echo tee,unit,ec-p256; echo tfw,unit,ec-p256; } > units.csv
    issue --manifest units.csv > /dev/null
    otrp tee-sim init -q --state device --pki pki --name unit
    run --separate-stderr otrp pki-check --pki pki
    assert_success
}

@test "two stations issue under one CA, and their ledgers are merged by concatenation" {
    cp -r pki station-a
    cp -r pki station-b
    { echo role,name,alg; rows tee ec-p256 1 20; } > a.csv
    { echo role,name,alg; rows tee ec-p256 21 40; } > b.csv
    otrp pki-issue -q --pki station-a --manifest a.csv --out out-a > a.result &
    otrp pki-issue -q --pki station-b --manifest b.csv --out out-b > b.result
    wait $!
    cat "$LEDGER" <(tail -n +2 "station-a/${LEDGER#pki/}") <(tail -n +2 "station-b/${LEDGER#pki/}") > merged
    mv merged "$LEDGER"
    assert_equal "$(cut -f 4 "$LEDGER" | sort -u | grep -c .)" 41
    run --separate-stderr otrp pki-check --pki pki --out out-a
    assert_success
    otrp pki-revoke -q --pki pki "$(column cert b.result | tail -n 1)"
    run --separate-stderr otrp pki-check --pki pki --out out-b
    assert_equal "$status" 9
    assert_equal "$(grep -c '^revoked: ' <<< "$output")" 1
}

@test "--json tells the same as the CSV" {
    printf 'role,name,alg\ntee,"a,b",ec-p256\ntee,good,ec-p256\n' > units.csv
    run --separate-stderr otrp pki-issue --pki pki --manifest units.csv --out out --json
    assert_equal "$status" 9
    assert_equal "$(jq -r .error.message <<< "$stderr")" "1 of 2 rows failed"
    assert_equal "$(jq -c '.rows[0] | [.row, .name, .status, has("serial")]' <<< "$output")" '[1,"a,b","failed",false]'
    assert_equal "$(jq -r '.rows[1] | [.row, .role, .name, .serial, .sha256, .did, .cert, .key, .status, .message // ""] | map(tostring) | join(",")' <<< "$output")" \
        "$(tail -n 1 out/units.result.csv)"
    otrp pki-issue --pki pki --role sp --name s --alg ec-p256 --json > one.json
    assert_equal "$(jq -r '.rows[0].serial' one.json)" "$(serial pki/sp/sp/sp-s-ec-cert.pem)"
}

@test "a key in the clear beside an encrypted one is warned of" {
    openssl pkcs8 -topk8 -in pki/tee/tee-ca/tee-ca-1-ec-key.pem -passout pass:secret -out ca.key
    install -m 600 ca.key pki/tee/tee-ca/tee-ca-1-ec-key.pem
    local tee=(pki-issue --pki pki --role tee --passin pass:secret) warning="warning: a private key is written in the clear, and pki/tee/tee-ca/tee-ca-1-ec-key.pem is encrypted"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out x.csr -subj /CN=x 2> /dev/null
    { echo name,csr; echo m1,x.csr; } > csrs.csv
    { echo name,csr; echo m2,; } > keys.csv
    # quiet: encrypted, too; made elsewhere
    for words in "--name a --alg ec-p256 --passout pass:x" "--name b --csr x.csr" "--manifest csrs.csv --out out"; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr otrp "${tee[@]}" $words
        assert_success
        refute_regex "$stderr" 'in the clear'
    done
    for words in "--name c --alg ec-p256" "--kind ocsp-signer --alg ec-p256" "--manifest keys.csv --alg ec-p256 --out out"; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr otrp "${tee[@]}" $words
        assert_success
        assert_regex "$stderr" "$warning"
        assert_regex "$stderr" 'hint: --passout encrypts it'
    done
}

@test "a result that cannot be written does not hide that the certificate is issued" {
    local cert=pki/tee/tee/tee-new-ec-cert.pem
    run --separate-stderr -1 bash -c '"$OTRP" pki-issue --pki pki --role tee --name new --alg ec-p256 > /dev/full'
    verified tee $cert
    assert_regex "$stderr" "error: $cert, serial number $(serial $cert): issued, but the result .*No space left on device"
    assert_regex "$stderr" 'hint: it need not be issued again'
    grep -q "^V.*$(serial $cert)" "$LEDGER"
    run --separate-stderr -1 bash -c '"$OTRP" pki-issue --pki pki --role tee --kind ocsp-signer --alg ec-p256 > /dev/full'
    cert=pki/tee/tee-ca/tee-ca-1-ec-ocsp-cert.pem
    assert_regex "$stderr" "error: $cert, serial number $(serial $cert): issued, but"
    { echo role,name,alg; rows tee ec-p256 1 2; } > units.csv
    run --separate-stderr -1 bash -c '"$OTRP" pki-issue --pki pki --manifest units.csv --out out > /dev/full'
    assert_regex "$stderr" 'the batch is done, but its result is not written: .*No space left on device.*hint: out/units.result.csv has it'
    assert_equal "$(column status out/units.result.csv)" $'issued\nissued'
}

@test "a key that another name has is told, and one that is compromised gets no certificate" {
    local what='its key is that of pki/tee/tee/tee-one-ec-cert.pem, too' id
    openssl ecparam -name prime256v1 -genkey -noout -out own.key
    openssl req -new -key own.key -subj /CN=x -out own.csr
    openssl ec -in own.key -conv_form compressed -out short.key 2> /dev/null
    openssl req -new -key short.key -subj /CN=x -out short.csr
    run --separate-stderr otrp pki-issue --pki pki --role tee --name one --csr own.csr
    assert_equal "$stderr" ""
    run --separate-stderr otrp pki-issue --pki pki --role tfw --name one --csr own.csr # of the same device
    assert_equal "$stderr" ""
    run --separate-stderr otrp pki-issue --pki pki --role tee --name two --csr short.csr # however it is written
    assert_equal "$status" 0
    assert_regex "$stderr" "warning: short.csr: $what"
    # which nobody has to be able to read (RFC 5480 section 2.2)
    assert_equal "$(openssl x509 -in pki/tee/tee/tee-two-ec-cert.pem -noout -pubkey)" "$(openssl pkey -in own.key -pubout)"
    run --separate-stderr otrp pki-issue --pki pki --role sp --name three --key own.key
    assert_equal "$status" 0
    assert_regex "$stderr" "warning: own.key: its key is that of pki/t.*-cert.pem, too"
    run --separate-stderr otrp pki-issue --pki pki --role tee --name one --renew
    assert_equal "$status" 0
    # one of them is lost to others, and with it the key
    id=$(serial pki/tee/tee/tee-two-ec-cert.pem)
    otrp pki-revoke -q --pki pki --reason keyCompromise pki/tee/tee/tee-two-ec-cert.pem
    refused 4 "own.csr: its key is compromised: certificate $id of CN=two,.*RFC 5280 section 5.3.1.*needs a new key" \
        --role tam --name other --csr own.csr
    refused 4 'short.key: its key is compromised' --role tee --name other --key short.key
    refused 4 'one: its key is compromised' --role tee --name one --renew
    issue --role tee --name one --renew --alg ec-p256 > /dev/null
    # superseded is not lost
    otrp pki-revoke -q --pki pki --reason superseded pki/sp/sp/sp-xbank-ec-cert.pem
    issue --role sp --name xbank --renew > /dev/null
    # the key of a CA, and one whose certificate went to another folder
    otrp pki-revoke -q --pki pki --reason CACompromise pki/sp/sp-ca/sp-ca-1-ec-cert.pem
    refused 4 'its key is compromised: certificate .* of CN=SP CA 1' --role sp --kind ca --renew
    issue --role sp --kind ca --renew --alg ec-p256 > /dev/null
    openssl req -new -newkey rsa:2048 -nodes -keyout far.key -out far.csr -subj /CN=x 2> /dev/null
    issue --role tee --name far --csr far.csr --out out > /dev/null
    run --separate-stderr otrp pki-issue --pki pki --role tee --name farther --csr far.csr --out out
    assert_regex "$stderr" 'warning: far.csr: its key is that of out/tee/../tee-far-rsa-cert.pem, too'
    otrp pki-revoke -q --pki pki --reason keyCompromise out/tee/*/tee-far-rsa-cert.pem
    refused 4 'far.csr: its key is compromised' --role tee --name farthest --csr far.csr --out out
}

@test "a certificate in another folder is found by its name, wherever that stands in the subject" {
    cp -r "$ROOT/pki-templates" looks
    sed -i -e '/^CN = {name}$/d' -e 's/^O  = OTrP$/CN = {name}\nO = OTrP/' looks/tee.cnf
    openssl req -new -newkey rsa:2048 -nodes -keyout far.key -out far.csr -subj /CN=x 2> /dev/null
    issue --role tee --name far --csr far.csr --out out --templates looks > /dev/null
    assert_equal "$(openssl x509 -in out/tee/*/tee-far-rsa-cert.pem -noout -subject -nameopt RFC2253)" 'subject=OU=TEE,O=OTrP,CN=far'
    refused 2 "has no trusted.* 'far'.*name that with --out" --role tee --name far --renew
    otrp pki-revoke -q --pki pki --reason keyCompromise out/tee/*/tee-far-rsa-cert.pem
    refused 4 'far.csr: its key is compromised' --role tee --name farther --csr far.csr --out out
}
