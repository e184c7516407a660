#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pki-check: each kind of finding, provoked alone.
# shellcheck disable=SC2013,SC2046,SC2086,SC2154 # paths without blanks; stderr is set by run --separate-stderr

load test_helper

setup_file() {
    export FRESH="$BATS_FILE_TMPDIR/fresh"
    otrp pki-init -q --out "$FRESH" --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256 --sp xbank
}

setup() {
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return
    cp -r "$FRESH" pki
    TEE=pki/tee/tee/tee-mytee-ec SP=pki/sp/sp/sp-xbank-ec TAM=pki/tam/tam/tam-mytam-ec
    CA=pki/tee/tee-ca/tee-ca-1-ec
}

# finds "KIND PATH"... [-- ARGUMENT...]: these findings and no others, each with a message and a hint
finds() {
    local expected=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        expected+=("$1")
        shift
    done
    [ $# = 0 ] || shift
    run --separate-stderr otrp pki-check --pki pki --json "$@"
    assert_equal "$status" 9
    assert_equal "$(jq -r '.findings[] | .kind + " " + .path' <<< "$output")" "$(printf '%s\n' "${expected[@]}")"
    assert_equal "$(jq '[.findings[] | select((.message | length) > 5 and (.hint | length) > 5)] | length' <<< "$output")" "${#expected[@]}"
    assert_equal "$(jq -r .error.class <<< "$stderr")" partial
}

# reissue ROLE EXTENSIONS [ARGUMENT...]: the entity's certificate anew, by openssl, entered in the ledger
reissue() {
    local base=pki/$1/$1/$1-$2-ec ca=pki/$1/$1-ca/$1-ca-1-ec
    printf '%b' "$3" > ext
    openssl req -new -key "$base-key.pem" -subj "/O=OTrP/OU=${1^^}/CN=$2" -out csr
    openssl x509 -req -in csr -CA "$ca-cert.pem" -CAkey "$ca-key.pem" -extfile ext -out "$base-cert.pem" -days 100 "${@:4}" 2> /dev/null
    settle "$1" "$2"
}

# settle ROLE NAME: bundle and ledger as the certificate there is
settle() {
    local base=pki/$1/$1/$1-$2-ec ca=pki/$1/$1-ca/$1-ca-1-ec
    cat "$base-cert.pem" "$ca-cert.pem" > "$base-cert-plus-intermediate-cert.pem"
    printf 'V\t%s\t\t%s\tunknown\t/O=OTrP/OU=%s/CN=%s\n' \
        "$(openssl x509 -in "$base-cert.pem" -noout -enddate -dateopt iso_8601 | sed 's/.*=..//; s/[- :]//g')" \
        "$(openssl x509 -in "$base-cert.pem" -noout -serial | cut -d= -f2)" "${1^^}" "$2" >> "$ca-index.txt"
}

GOOD='basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n'

@test "a fresh PKI is without fault, and pki-check says how much it has seen" {
    run --separate-stderr otrp pki-check --pki pki
    assert_success
    assert_equal "$output" ""
    assert_equal "$stderr" "otrp pki-check: pki: 12 certificates and 20 keys, and nothing to find fault with"
    run --separate-stderr otrp pki-check --pki pki --json
    assert_success
    assert_equal "$(jq -c .findings <<< "$output")" "[]"
    run --separate-stderr otrp pki-check --pki "$PKI"
    assert_success
}

@test "for a person: kind, file, what is wrong, and what to do; control characters do nothing" {
    chmod 640 $TEE-key.pem
    touch "$(printf 'pki/sp/sp/\033[31m')"
    run --separate-stderr otrp pki-check --pki pki
    assert_equal "$status" 9
    assert_line --index 0 'stranger: pki/sp/sp/\x1b[31m: no file of a PKI has such a name'
    assert_line --index 1 '    move it away'
    assert_line --index 2 "key-mode: $TEE-key.pem: mode 640: others than its owner can read or change it"
    assert_equal "$stderr" "otrp pki-check: error: pki: 2 findings"
}

@test "unreadable" {
    echo rubbish > $SP-cert.pem
    finds "unreadable $SP-cert.pem"
    cp "$FRESH/${SP#pki/}-cert.pem" $SP-cert.pem
    echo rubbish > $SP-key.pem
    finds "unreadable $SP-key.pem"
}

# What one may not read without rights beyond one's own: those of the owner alone.
plainly() {
    [ "$(id -u)" != 0 ] || set -- setpriv --bounding-set=-dac_override,-dac_read_search "$@"
    "$@"
}

@test "a file that this user may not open is told once, and whose it is" {
    chmod 000 $TEE-key.pem $SP-cert.pem
    run --separate-stderr plainly "$OTRP" pki-check --pki pki
    assert_equal "$status" 9
    assert_equal "$output" "unreadable: $SP-cert.pem: cannot open: Permission denied
    run it as the owner of the files
unreadable: $TEE-key.pem: cannot open: Permission denied
    run it as the owner of the files"
}

@test "chain-broken: a certificate of nobody, and one of another hierarchy" {
    openssl req -x509 -key $SP-key.pem -subj /CN=xbank -out $SP-cert.pem -days 100 -addext keyUsage=critical,digitalSignature -addext basicConstraints=critical,CA:FALSE
    cp $SP-cert.pem $SP-cert-plus-intermediate-cert.pem
    finds "chain-broken $SP-cert.pem"
}

@test "chain-too-long: a bundle of eleven" {
    for _ in {1..10}; do cat $CA-cert.pem >> $TEE-cert-plus-intermediate-cert.pem; done
    finds "chain-too-long $TEE-cert-plus-intermediate-cert.pem"
}

@test "bundle: missing, in the wrong order, without the CA" {
    rm $TEE-cert-plus-intermediate-cert.pem
    finds "bundle $TEE-cert-plus-intermediate-cert.pem"
    cat $CA-cert.pem $TEE-cert.pem > $TEE-cert-plus-intermediate-cert.pem
    finds "bundle $TEE-cert-plus-intermediate-cert.pem"
    cp $TEE-cert.pem $TEE-cert-plus-intermediate-cert.pem
    finds "bundle $TEE-cert-plus-intermediate-cert.pem"
}

@test "key-mismatch: of a key, a JWK and a CA" {
    cp $SP-key.pem $TEE-key.pem
    cp $SP-pub.jwk $TEE-pub.jwk
    cp $SP-key.pem $CA-key.pem
    finds "key-mismatch $CA-key.pem" "key-mismatch $TEE-key.pem" "key-mismatch $TEE-pub.jwk"
}

@test "an encrypted key is as it should be, and --passin compares it" {
    openssl pkcs8 -topk8 -in $SP-key.pem -passout pass:secret -out other.pem
    install -m 600 other.pem $TEE-key.pem
    run otrp pki-check -q --pki pki
    assert_success
    assert_output ""
    finds "key-mismatch $TEE-key.pem" -- --passin pass:secret
}

@test "key-locked: an encrypted key that was not opened does not count as looked at" {
    openssl pkcs8 -topk8 -in $TEE-key.pem -passout pass:secret -out other.pem
    install -m 600 other.pem $TEE-key.pem
    run --separate-stderr otrp pki-check --pki pki
    assert_success
    assert_equal "$stderr" "otrp pki-check: pki: encrypted keys that were not compared with their certificates: 1 (--passin opens them)
otrp pki-check: pki: 12 certificates and 19 keys, and nothing to find fault with"
    assert_equal "$(otrp pki-check --pki pki --json | jq -c '[.keys, .keys_not_opened]')" "[19,1]"
    assert_equal "$(otrp pki-check --pki pki --json --passin pass:secret | jq -c '[.keys, .keys_not_opened]')" "[20,0]"
    finds "key-locked $TEE-key.pem" -- --passin pass:wrong
    assert_equal "$(jq -c '[.keys, .keys_not_opened]' <<< "$output")" "[19,1]"
    # of many such keys the hint is given once
    cp other.pem $SP-key.pem
    run --separate-stderr otrp pki-check --pki pki --passin pass:wrong
    assert_equal "$(grep -c '^key-locked' <<< "$output")" 2
    assert_equal "$(grep -c 'is the passphrase right?' <<< "$output")" 1
}

@test "expired, expiring and not-yet-valid" {
    finds "expired $SP-cert.pem" "expired $TAM-cert.pem" "staple-expired $TAM-ocsp.json" -- --now $(($(date +%Y) + 4))-01-01
    assert_regex "$(jq -r '.findings[0].hint' <<< "$output")" 'pki-issue --renew; a renewed TEE certificate has another did'
    finds "expiring $SP-cert.pem" "expiring $TAM-cert.pem" -- --soon 800
    reissue sp xbank "$GOOD" -days 20
    finds "expiring $SP-cert.pem"
    cp -r "$FRESH/sp" pki/
    otrp pki-issue -q --pki pki --role sp --name late --alg ec-p256 --now $(($(date +%Y) + 5))-01-01 --days 10 > /dev/null
    finds "not-yet-valid pki/sp/sp/sp-late-ec-cert.pem"
}

@test "usage: a device that may not agree on keys, an end entity that is a CA, a CA that is none" {
    reissue tee mytee "$GOOD"
    finds "usage $TEE-cert.pem"
    cp -r "$FRESH/tee" pki/
    reissue sp xbank 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n'
    finds "usage $SP-cert.pem"
}

@test "weak-key: a small key, and a signature with SHA-1" {
    openssl req -new -newkey rsa:1024 -nodes -keyout small.key -subj /O=OTrP/OU=SP/CN=xbank -out csr 2> /dev/null
    printf '%b' "$GOOD" > ext
    openssl x509 -req -in csr -CA pki/sp/sp-ca/sp-ca-1-ec-cert.pem -CAkey pki/sp/sp-ca/sp-ca-1-ec-key.pem \
        -extfile ext -out $SP-cert.pem -days 100 2> /dev/null
    rm $SP-key.pem $SP-key.jwk $SP-pub.jwk
    settle sp xbank
    finds "weak-key $SP-cert.pem"
    cp -r "$FRESH/sp" pki/
    reissue sp xbank "$GOOD" -sha1
    finds "weak-key $SP-cert.pem"
}

@test "key-unsupported: a TEE and a TAM that cannot sign messages; an SP need not" {
    local role
    for role in tee tam sp; do
        run --separate-stderr otrp pki-issue -q --pki pki --role $role --name wide --alg ec-p521
        assert_success
        if [ $role = sp ]; then
            assert_equal "$stderr" ""
        else
            assert_regex "$stderr" "warning: ec-p521: no OTrP signing algorithm for the key of a .*\(${role^^}\)
otrp pki-issue: hint: choose ec-p256 or ec-p384"
        fi
    done
    finds "key-unsupported pki/tam/tam/tam-wide-ec-cert.pem" "key-unsupported pki/tee/tee/tee-wide-ec-cert.pem"
    # pki-init, a manifest and a key that exists warn, too: once
    run --separate-stderr otrp pki-init -q --out wide --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p521
    assert_success
    assert_equal "$(grep -c 'warning: ec-p521: no OTrP signing algorithm' <<< "$stderr")" 1
    printf 'role,name,alg\ntee,a,ec-p521\ntee,b,ec-p521\ntfw,b,ec-p521\nsp,c,ec-p521\n' > units.csv
    run --separate-stderr otrp pki-issue -q --pki pki --manifest units.csv --out out
    assert_success
    assert_equal "$(grep -c 'warning: ec-p521: no OTrP signing algorithm' <<< "$stderr")" 1
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out own.key
    run --separate-stderr otrp pki-issue -q --pki pki --role tee --name own --key own.key
    assert_success
    assert_regex "$stderr" 'warning: ec-p521: no OTrP signing algorithm'
}

@test "revoked" {
    otrp pki-revoke -q --pki pki $SP-cert.pem
    finds "revoked $SP-cert.pem"
}

@test "staple-missing, staple-bad, staple-expired and staple-expiring" {
    rm $TAM-ocsp.json
    finds "staple-missing $TAM-ocsp.json"
    echo '[]' > $TAM-ocsp.json
    finds "staple-bad $TAM-ocsp.json"
    local broken
    for broken in '{' '{}' '["#"]'; do
        echo "$broken" > $TAM-ocsp.json
        finds "staple-bad $TAM-ocsp.json"
        assert_equal "$(jq -r '.findings[0].hint' <<< "$output")" \
            "make it anew: otrp pki-ocsp --pki pki --force -o $TAM-ocsp.json $TAM-cert.pem"
    done
    local command
    command=$(jq -r '.findings[0].hint | sub("^make it anew: "; "")' <<< "$output")
    $command # as a person pastes it
    run otrp pki-check -q --pki pki
    assert_success
    otrp pki-ocsp --pki pki --days 1 --now 2001-01-01 $TAM-cert.pem > $TAM-ocsp.json
    finds "staple-expired $TAM-ocsp.json"
    cp "$FRESH/${TAM#pki/}-ocsp.json" $TAM-ocsp.json
    finds "staple-expiring $TAM-ocsp.json" -- --staple-soon 200
}

@test "staple-revoked: a set that still says good for what is revoked" {
    run --separate-stderr otrp pki-revoke --pki pki $TAM-cert.pem
    assert_success
    assert_regex "$stderr" "warning: $TAM-ocsp.json still says good, until 20[0-9-]+T[0-9:]+Z"
    local command="otrp pki-ocsp --pki pki --force -o $TAM-ocsp.json $TAM-cert.pem"
    assert_regex "$stderr" "hint: '$command' puts one in its place that says revoked"
    finds "revoked $TAM-cert.pem" "staple-revoked $TAM-ocsp.json"
    assert_equal "$(jq -r '.findings[1].hint' <<< "$output")" "have it say so: $command"
    $command
    finds "revoked $TAM-cert.pem" "staple-bad $TAM-ocsp.json"
    assert_equal "$(jq -r '.findings[1].hint' <<< "$output")" "take it out of use, or issue another one"
    # what has no set, or one that says revoked already, needs no words
    run --separate-stderr otrp pki-revoke --pki pki $SP-cert.pem
    assert_success
    refute_regex "$stderr" 'warning'
}

@test "key-mode: of end entities, JWKs, CAs and roots" {
    chmod 644 $TEE-key.jwk $CA-key.pem pki/tee/tee-rootca/tee-rootca-ec-key.pem
    finds "key-mode pki/tee/tee-rootca/tee-rootca-ec-key.pem" "key-mode $CA-key.pem" "key-mode $TEE-key.jwk"
}

@test "ledger-missing and ledger-broken" {
    rm $CA-index.txt
    finds "ledger-missing $CA-index.txt"
    echo rubbish > $CA-index.txt
    finds "ledger-broken $CA-index.txt"
    cp "$FRESH/${CA#pki/}-index.txt" $CA-index.txt
    printf 'R\t281121000000Z\tsoon\t01\tunknown\t/CN=x\n' >> $CA-index.txt
    finds "ledger-broken $CA-index.txt"
}

@test "ledger-unknown, ledger-differs, ledger-twice and ledger-file" {
    cp $CA-index.txt row
    : > $CA-index.txt
    finds "ledger-unknown $TEE-cert.pem"
    sed 's/CN=mytee/CN=other/' row > $CA-index.txt
    finds "ledger-differs $TEE-cert.pem"
    cat row row > $CA-index.txt
    finds "ledger-twice $CA-index.txt"
    { cat row; printf 'V\t99991231235959Z\t\t0A\ttee/tee/tee-gone-ec-cert.pem\t/CN=gone\n'; } > $CA-index.txt
    finds "ledger-file $CA-index.txt"
}

@test "batch-missing and batch-differs: what the result of a batch names" {
    printf 'role,name,alg\ntee,a,ec-p256\ntee,b,ec-p256\n' > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out > result.csv
    local a b
    a=$(echo out/tee/*/tee-a-ec-key.pem) b=$(echo out/tee/*/tee-b-ec-key.pem)
    a=${a%key.pem} b=${b%key.pem}
    run otrp pki-check -q --pki pki --out out
    assert_success
    cp -r out full
    rm "$a"*
    finds "batch-missing out/units.result.csv" -- --out out
    assert_equal "$(jq -r '.findings[0].message' <<< "$output")" \
        "row 1, tee 'a', serial number $(sed -n 2p result.csv | cut -d, -f4): the certificate ${a}cert.pem is not there"
    # wherever the folder is now
    mv out elsewhere
    finds "batch-missing elsewhere/units.result.csv" -- --out elsewhere
    mv elsewhere out
    # what is revoked need not be there
    otrp pki-revoke -q --pki pki --role tee --serial "$(sed -n 2p result.csv | cut -d, -f4)"
    run otrp pki-check -q --pki pki --out out
    assert_success
    rm "${b}key.pem"
    finds "batch-missing out/units.result.csv" -- --out out
    assert_regex "$(jq -r '.findings[0].message' <<< "$output")" "tee 'b', .*: the key ${b}key.pem is not there"
    cp "${b/out/full}key.pem" "$b"key.pem
    local field
    for field in 4 5 6; do
        awk -F, -v OFS=, -v f=$field 'NR == 3 { $f = "00" } 1' full/units.result.csv > out/units.result.csv
        finds "batch-differs out/units.result.csv" -- --out out
    done
    assert_regex "$(jq -r '.findings[0].message' <<< "$output")" 'has another did'
    echo rubbish > out/units.result.csv
    finds "unreadable out/units.result.csv" -- --out out
}

@test "batch-missing: of a batch that put its files in the PKI" {
    printf 'role,name,alg\ntee,a,ec-p256\n' > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv > result.csv
    run otrp pki-check -q --pki pki
    assert_success
    rm pki/tee/tee/tee-a-ec-key.pem
    finds "batch-missing pki/units.result.csv"
    assert_regex "$(jq -r '.findings[0].message' <<< "$output")" "tee 'a', .*: the key pki/tee/tee/tee-a-ec-key.pem is not there"
    finds "batch-missing pki/units.result.csv" -- --out pki
}

@test "stranger: a file of no name, a key without a certificate, a folder" {
    touch pki/tam/tam-ca/notes.txt
    cp $TEE-key.pem pki/tee/tee/tee-lost-ec-key.pem
    mkdir pki/sp/old
    finds "stranger pki/sp/old" "stranger pki/tam/tam-ca/notes.txt" "cert-missing pki/tee/tee/tee-lost-ec-cert.pem"
}

@test "cert-missing: of a CA whose key and ledger are there, once for all its files" {
    mv $CA-cert.pem away
    finds "ledger-file pki/tee/tee-rootca/tee-rootca-ec-index.txt" "cert-missing $CA-cert.pem" "chain-broken $TEE-cert.pem"
    assert_regex "$(jq -r '.findings[1].message, .findings[1].hint' <<< "$output" | paste -sd ' ')" \
        "the certificate is missing to which $CA-.* belongs restore the certificate"
    refute_regex "$output" stranger
}

@test "key-shared: two names with one key; the renewed certificate of a name keeps its key" {
    otrp pki-issue -q --pki pki --role sp --name xbank --renew > /dev/null
    run otrp pki-check -q --pki pki
    assert_success
    otrp pki-issue -q --pki pki --role sp --name twin --key $SP-key.pem > /dev/null
    finds "key-shared $SP-cert.pem"
    assert_equal "$(jq -r '.findings[0].message' <<< "$output")" "it has the key of pki/sp/sp/sp-twin-ec-cert.pem"
}

@test "each kind of finding has a test here" {
    local kind
    for kind in $(sed -nE 's/^FINDING\([A-Z_]*, "([a-z-]*)".*/\1/p' "$ROOT/src/pki/audit.def"); do
        run grep -cE "finds .*\"$kind " "$BATS_TEST_FILENAME"
        refute_output 0
    done
}

@test "with --out it goes through the folders of batches, too; without a PKI it is wrong usage" {
    printf 'role,name,alg\ntee,a,ec-p256\ntee,b,ec-p256\n' > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out > result.csv
    chmod 644 out/tee/*/tee-a-ec-key.pem
    finds "key-mode $(echo out/tee/*/tee-a-ec-key.pem)" -- --out out
    run --separate-stderr otrp pki-check --pki nowhere
    assert_equal "$status" 2
    run --separate-stderr otrp pki-check --pki pki --out nowhere
    assert_equal "$status" 2
}
