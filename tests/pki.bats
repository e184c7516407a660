#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# pki-init and pki-ocsp. openssl, jose and jq are the witnesses.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

bats_load_library bats-support
bats_load_library bats-assert
load test_helper
bats_require_minimum_version 1.5.0

QUICK=(--root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256)

# $EC: all keys EC, three TAMs with a tamid of each kind. $MIXED: RSA and EC side by side, its report beside it.
setup_file() {
    export EC="$BATS_FILE_TMPDIR/ec" MIXED="$BATS_FILE_TMPDIR/mixed"
    otrp pki-init -q --out "$EC" "${QUICK[@]}" --sp xbank --tee mytee --tam mytam \
        --tam oid=1.3.6.1.4.1.99999.7 --tam uri=urn:example:tam
    otrp pki-init -q --out "$MIXED" --root-alg rsa-2048,ec-p384 --ca-alg ec-p521 --alg rsa-2048 --json \
        > "$MIXED.json"
}

setup() {
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return
}

text_of() {
    openssl x509 -in "$1" -noout -text
}

# The value of an extension, as openssl shows it, white space squeezed.
extension() {
    openssl x509 -in "$1" -noout -ext "$2" | tail -n +2 | tr -s ' \n' ' ' | sed 's/^ //; s/ $//'
}

not_after() {
    openssl x509 -in "$1" -noout -enddate
}

# Writes each response of a stapling set to response-N.der, the certificate's own first.
split_staples() {
    local i=0 one
    while read -r one; do
        base64 -d <<< "$one" > "response-$i.der"
        i=$((i + 1))
    done < <(jq -er '.[]' "$1")
}

# What openssl says of the response in $1 for certificate $2 issued by $3 under root $4.
ocsp_says() {
    openssl ocsp -respin "$1" -issuer "$3" -cert "$2" -CAfile "$4" -no_nonce 2>&1
}

# A configuration for "openssl ca" on the ledger and keys of the TAM CA in folder $1.
ca_config() {
    cat << EOF
[ca]
default_ca = tam
[tam]
database = $1/tam/tam-ca/tam-ca-1-ec-index.txt
certificate = $1/tam/tam-ca/tam-ca-1-ec-cert.pem
private_key = $1/tam/tam-ca/tam-ca-1-ec-key.pem
default_md = sha256
default_crl_days = 7
EOF
}

copy_templates() {
    mkdir templates
    cp "$BATS_TEST_DIRNAME/../pki-templates/"*.cnf templates
}

nothing_written() {
    run find . -mindepth 1 -not -path './templates*' -not -name '*.txt'
    assert_output ""
}

@test "every end entity verifies under its own root with its CA, and under no other role's root" {
    for dir in "$EC" "$MIXED"; do
        for role in sp tam tee tfw; do
            for cert in "$dir/$role/$role/"*-{ec,rsa}-cert.pem; do
                [ -e "$cert" ] || continue
                for other in sp tam tee tfw; do
                    run openssl verify -x509_strict \
                        -CAfile <(cat "$dir/$other/$other-rootca/"*-cert.pem) \
                        -untrusted <(cat "$dir/$role/$role-ca/"*-cert.pem) "$cert"
                    if [ "$role" = "$other" ]; then assert_success; else assert_failure; fi
                done
            done
        done
    done
}

@test "roots and CAs are CAs with path lengths 1 and 0 and sign certificates" {
    for role in sp tam tee tfw; do
        local cert
        for cert in "$MIXED/$role/$role-rootca/"*-cert.pem "$MIXED/$role/$role-ca/"*-cert.pem; do
            local length=0
            case $cert in *rootca*) length=1 ;; esac
            run extension "$cert" basicConstraints
            assert_output "CA:TRUE, pathlen:$length"
            run extension "$cert" keyUsage
            assert_output "Digital Signature, Certificate Sign, CRL Sign"
            run text_of "$cert"
            assert_line --partial 'X509v3 Basic Constraints: critical'
            assert_line --partial 'X509v3 Key Usage: critical'
        done
    done
}

@test "an end entity is no CA, and its key usage follows role and key" {
    usage() {
        run extension "$1" basicConstraints
        assert_output "CA:FALSE"
        run extension "$1" keyUsage
        assert_output "$2"
        run text_of "$1"
        assert_line --partial 'X509v3 Key Usage: critical'
    }
    usage "$EC/tam/tam/tam-mytam-ec-cert.pem" "Digital Signature, Key Agreement"
    usage "$EC/tee/tee/tee-mytee-ec-cert.pem" "Digital Signature, Key Agreement"
    usage "$EC/sp/sp/sp-xbank-ec-cert.pem" "Digital Signature"
    usage "$EC/tfw/tfw/tfw-mytee-ec-cert.pem" "Digital Signature"
    usage "$MIXED/tam/tam/tam-mytam-rsa-cert.pem" "Digital Signature, Key Encipherment"
    usage "$MIXED/tee/tee/tee-mytee-rsa-cert.pem" "Digital Signature, Key Encipherment"
    usage "$MIXED/sp/sp/sp-xbank-rsa-cert.pem" "Digital Signature"
    usage "$MIXED/tfw/tfw/tfw-mytee-rsa-cert.pem" "Digital Signature"
}

@test "authority key identifiers are the issuer's subject key identifier" {
    local root="$EC/tam/tam-rootca/tam-rootca-ec-cert.pem" ca="$EC/tam/tam-ca/tam-ca-1-ec-cert.pem"
    local tam="$EC/tam/tam/tam-mytam-ec-cert.pem"
    issued_by() {
        assert_equal "$(extension "$1" authorityKeyIdentifier)" \
            "$(extension "$2" subjectKeyIdentifier)"
        assert_regex "$(extension "$1" authorityKeyIdentifier)" '^([0-9A-F]{2}:){19}[0-9A-F]{2}$'
    }
    issued_by "$root" "$root"
    issued_by "$ca" "$root"
    issued_by "$tam" "$ca"
}

@test "certificates are version 3, with different serial numbers of at most 159 bits" {
    local cert certs
    mapfile -t certs < <(find "$EC" "$MIXED" -name '*-cert.pem' -not -name '*plus*')
    for cert in "${certs[@]}"; do
        run text_of "$cert"
        assert_line --partial 'Version: 3'
        openssl x509 -in "$cert" -noout -serial >> all.txt
    done
    assert_equal "$(grep -c . all.txt)" 31
    assert_equal "$(sort -u all.txt | grep -c .)" 31
    run grep -vE '^serial=([0-7][0-9A-F]{39}|[0-9A-F]{2,38})$' all.txt
    assert_output ""
}

@test "the hash of a signature is as strong as the issuer's curve" {
    signed_with() {
        run text_of "$1"
        assert_line --partial "Signature Algorithm: $2"
    }
    signed_with "$EC/tam/tam/tam-mytam-ec-cert.pem" ecdsa-with-SHA256
    signed_with "$MIXED/tam/tam/tam-mytam-rsa-cert.pem" ecdsa-with-SHA512
    signed_with "$MIXED/tam/tam-rootca/tam-rootca-ec-cert.pem" ecdsa-with-SHA384
    signed_with "$MIXED/tam/tam-ca/tam-ca-1-rsa-cert.pem" sha256WithRSAEncryption
}

@test "the files are those of the known layout" {
    (cd "$MIXED" && find . -type f | sort) > found.txt
    local role name what family
    for role in sp tam tee tfw; do
        for what in key.pem cert.pem index.txt index.txt.attr; do
            for family in rsa ec; do echo "./$role/$role-rootca/$role-rootca-$family-$what"; done
            echo "./$role/$role-ca/$role-ca-1-rsa-$what"
        done
        case $role in sp) name='xbank ybank' ;; tam) name=mytam ;; *) name=mytee ;; esac
        for name in $name; do
            for what in key.pem cert.pem cert-plus-intermediate-cert.pem key.jwk pub.jwk; do
                echo "./$role/$role/$role-$name-rsa-$what"
            done
        done
    done | cat - <(echo ./tam/tam/tam-mytam-rsa-ocsp.json) | sort > expected.txt
    run diff expected.txt found.txt
    assert_success
}

@test "private keys are readable for their owner only, everything else by the umask" {
    umask 022
    otrp pki-init -q "${QUICK[@]}"
    run find pki -type f \( -name '*-key.pem' -o -name '*-key.jwk' \) -not -perm 600
    assert_output ""
    run find pki -type f -not -name '*-key.pem' -not -name '*-key.jwk' -not -perm 644
    assert_output ""
    run find pki -type d -not -perm 755
    assert_output ""
}

@test "keys are PKCS#8 and belong to their certificates, and so do the JWKs" {
    local key keys
    mapfile -t keys < <(find "$EC" "$MIXED" -name '*-key.pem')
    assert_equal "${#keys[@]}" 31
    for key in "${keys[@]}"; do
        assert_equal "$(head -n 1 "$key")" "-----BEGIN PRIVATE KEY-----"
        run openssl pkey -in "$key" -pubout
        assert_success
        assert_equal "$output" "$(openssl x509 -in "${key%key.pem}cert.pem" -noout -pubkey)"
    done
    local base="$EC/tam/tam/tam-mytam-ec"
    assert_equal "$(jose jwk thp -i "$base-key.jwk")" "$(jose jwk thp -i "$base-pub.jwk")"
    run jq -c 'keys' "$base-pub.jwk"
    refute_output --partial '"d"'
    jose jwk pub -i "$base-key.jwk" -o public.jwk
    local point
    point=$(openssl x509 -in "$base-cert.pem" -noout -pubkey | openssl pkey -pubin -outform DER |
        tail -c 64 | base64 -w 0 | tr -- '+/' '-_' | tr -d =)
    assert_equal "$(jq -r '.x + "=" + .y + "="' public.jwk | tr -- '-_' '+/' |
        sed 's/=/=\n/' | base64 -di | base64 -w 0 | tr -- '+/' '-_' | tr -d =)" "$point"
    assert_equal "$(jq -r .n "$MIXED/tee/tee/tee-mytee-rsa-pub.jwk" | tr -- '-_' '+/' |
        base64 -di 2> /dev/null | xxd -p -c 256 -u)" \
        "$(openssl x509 -in "$MIXED/tee/tee/tee-mytee-rsa-cert.pem" -noout -modulus | cut -d= -f2)"
}

@test "a bundle holds the end entity, then its intermediate" {
    local base="$EC/tam/tam/tam-mytam-ec"
    run cat "$base-cert.pem" "$EC/tam/tam-ca/tam-ca-1-ec-cert.pem"
    assert_equal "$output" "$(cat "$base-cert-plus-intermediate-cert.pem")"
}

@test "devices, their CAs and their roots have no end" {
    for role in tee tfw; do
        for cert in "$EC/$role/"*/*-cert.pem; do
            run not_after "$cert"
            assert_output "notAfter=Dec 31 23:59:59 9999 GMT"
        done
    done
}

@test "the others end, an issuer not before what it issued; --now dates them" {
    otrp pki-init -q "${QUICK[@]}" --now 2026-11-21T10:00:00Z
    run openssl x509 -in pki/tam/tam/tam-mytam-ec-cert.pem -noout -dates
    assert_output "notBefore=Nov 21 10:00:00 2026 GMT
notAfter=Nov 20 10:00:00 2028 GMT"
    run not_after pki/tam/tam-ca/tam-ca-1-ec-cert.pem
    assert_output "notAfter=Nov 20 10:00:00 2036 GMT"
    run not_after pki/tam/tam-rootca/tam-rootca-ec-cert.pem
    assert_output "notAfter=Nov 21 10:00:00 2046 GMT"
    split_staples pki/tam/tam/tam-mytam-ec-ocsp.json
    run openssl ocsp -respin response-0.der -resp_text -noverify
    assert_line --partial 'Produced At: Nov 21 10:00:00 2026 GMT'
    assert_line --partial 'This Update: Nov 21 10:00:00 2026 GMT'
    assert_line --partial 'Next Update: Nov 28 10:00:00 2026 GMT'
}

@test "a tamid is registeredID, URI or dNSName, and a SP, TEE or TFW has none" {
    run extension "$EC/tam/tam/tam-mytam-ec-cert.pem" subjectAltName
    assert_output "DNS:mytam"
    run extension "$EC/tam/tam/tam-oid-ec-cert.pem" subjectAltName
    assert_output "Registered ID:1.3.6.1.4.1.99999.7"
    run extension "$EC/tam/tam/tam-uri-ec-cert.pem" subjectAltName
    assert_output "URI:urn:example:tam"
    for cert in "$EC"/{sp/sp/sp-xbank,tee/tee/tee-mytee,tfw/tfw/tfw-mytee}-ec-cert.pem; do
        run text_of "$cert"
        refute_output --partial 'Subject Alternative Name'
    done
}

@test "--json reports what was made; did and sha256 are those of the certificate" {
    assert_equal "$(jq -r '.files[].path' "$MIXED.json" | sort)" "$(find "$MIXED" -type f | sort)"
    local cert="$MIXED/tee/tee/tee-mytee-rsa-cert.pem"
    local row
    row=$(jq -c --arg path "$cert" '.files[] | select(.path == $path)' "$MIXED.json")
    assert_equal "$(jq -r .did <<< "$row")" \
        "$(openssl x509 -in "$cert" -outform DER | openssl sha256 -binary | base64)"
    assert_equal "$(jq -r .sha256 <<< "$row")" \
        "$(openssl x509 -in "$cert" -outform DER | openssl sha256 -r | cut -d' ' -f1)"
    assert_equal "$(jq -r '[.role, .level, .name, .kind, .subject] | join(" ")' <<< "$row")" \
        "tee entity mytee certificate CN=mytee,OU=TEE,O=OTrP"
    assert_equal "$(jq -r '[.files[].tamid] | unique | map(select(.)) | join(" ")' "$MIXED.json")" mytam
    assert_equal "$(jq '[.files[] | select(.did)] | length' "$MIXED.json")" 1
}

@test "pki-init says one line, with -q none, and nothing on standard output" {
    run --separate-stderr otrp pki-init "${QUICK[@]}"
    assert_success
    assert_equal "$output" ""
    assert_equal "$stderr" "otrp pki-init: pki: 4 roots, 4 CAs, 5 end entities in 58 files"
    run --separate-stderr otrp pki-init -q --out other "${QUICK[@]}"
    assert_success
    assert_equal "$output$stderr" ""
}

@test "openssl ca makes a CRL of a ledger, of the CA and of the root" {
    ca_config "$EC" > ca.txt
    run openssl ca -config ca.txt -gencrl -out crl.pem
    assert_success
    run openssl crl -in crl.pem -noout -text
    assert_line --partial 'No Revoked Certificates'
    sed 's/tam-ca\/tam-ca-1/tam-rootca\/tam-rootca/' ca.txt > root.txt
    run openssl ca -config root.txt -gencrl -out root-crl.pem
    assert_success
    assert_equal "$(cat "$EC/tam/tam-ca/tam-ca-1-ec-index.txt.attr")" "unique_subject = no"
}

@test "a ledger lists what its CA issued, and openssl ocsp answers by it" {
    local ca="$EC/tam/tam-ca/tam-ca-1-ec"
    assert_equal "$(cut -f 1,4,6 "$ca-index.txt" | sort)" "$(
        for name in mytam oid uri; do
            printf 'V\t%s\t/O=OTrP/OU=TAM/CN=%s\n' "$(openssl x509 -noout -serial \
                -in "$EC/tam/tam/tam-$name-ec-cert.pem" | cut -d= -f2)" "$name"
        done | sort)"
    assert_equal "$(cut -f 2 "$EC/tee/tee-ca/tee-ca-1-ec-index.txt")" 99991231235959Z
    local tam="$EC/tam/tam/tam-mytam-ec-cert.pem"
    openssl ocsp -no_nonce -issuer "$ca-cert.pem" -cert "$tam" -reqout request.der
    openssl ocsp -index "$ca-index.txt" -CA "$ca-cert.pem" -rsigner "$ca-cert.pem" \
        -rkey "$ca-key.pem" -reqin request.der -respout response.der
    run ocsp_says response.der "$tam" "$ca-cert.pem" "$EC/tam/tam-rootca/tam-rootca-ec-cert.pem"
    assert_line "$tam: good"
}

@test "a TAM's stapling set says good for it and its CA" {
    for dir in "$EC ec ec" "$MIXED rsa rsa"; do
        read -r dir root own <<< "$dir"
        local tam="$dir/tam/tam/tam-mytam-$own" ca="$dir/tam/tam-ca/tam-ca-1-$root-cert.pem"
        local anchor="$dir/tam/tam-rootca/tam-rootca-$root-cert.pem"
        run jq length "$tam-ocsp.json"
        assert_output 2
        split_staples "$tam-ocsp.json"
        run ocsp_says response-0.der "$tam-cert.pem" "$ca" "$anchor"
        assert_line 'Response verify OK'
        assert_line "$tam-cert.pem: good"
        run ocsp_says response-1.der "$ca" "$anchor" "$anchor"
        assert_line 'Response verify OK'
        assert_line "$ca: good"
    done
}

@test "pki-ocsp makes the set anew, for the days asked" {
    local cert="$EC/tee/tee/tee-mytee-ec-cert.pem" ca="$EC/tee/tee-ca/tee-ca-1-ec-cert.pem"
    local root="$EC/tee/tee-rootca/tee-rootca-ec-cert.pem"
    run --separate-stderr otrp pki-ocsp --pki "$EC" --days 30 "$cert"
    assert_success
    assert_equal "$stderr" ""
    cat <<< "$output" > set.json
    split_staples set.json
    run ocsp_says response-0.der "$cert" "$ca" "$root"
    assert_line "$cert: good"
    run ocsp_says response-1.der "$ca" "$root" "$root"
    assert_line "$ca: good"
    otrp pki-ocsp --pki "$EC" --days 30 --now 2026-01-01 "$cert" > dated.json
    split_staples dated.json
    run openssl ocsp -respin response-0.der -resp_text -noverify
    assert_line --partial 'Next Update: Jan 31 00:00:00 2026 GMT'
}

@test "pki-ocsp takes a bundle, and a CA, which has one response" {
    otrp pki-ocsp --pki "$EC" "$EC/tam/tam/tam-mytam-ec-cert-plus-intermediate-cert.pem" > two.json
    run jq length two.json
    assert_output 2
    otrp pki-ocsp --pki "$EC" "$EC/tam/tam-ca/tam-ca-1-ec-cert.pem" > one.json
    run jq length one.json
    assert_output 1
}

@test "pki-ocsp says revoked, when and why, as the ledger does" {
    cp -r "$EC" pki
    local tam=pki/tam/tam/tam-mytam-ec-cert.pem ca=pki/tam/tam-ca/tam-ca-1-ec-cert.pem
    ca_config pki > ca.txt
    openssl ca -config ca.txt -revoke "$tam" -crl_reason keyCompromise
    local when
    when=$(cut -f 3 pki/tam/tam-ca/tam-ca-1-ec-index.txt | grep keyCompromise | cut -d, -f1)
    run --separate-stderr otrp pki-ocsp --pki pki -o set.json "$tam"
    assert_success
    assert_equal "$stderr" "otrp pki-ocsp: CN=mytam,OU=TAM,O=OTrP is revoked, and its response says so"
    split_staples set.json
    run ocsp_says response-0.der "$tam" "$ca" pki/tam/tam-rootca/tam-rootca-ec-cert.pem
    assert_line 'Response verify OK'
    assert_line "$tam: revoked"
    assert_line --partial 'Reason: keyCompromise'
    run openssl asn1parse -inform DER -in response-0.der -strparse "$(openssl asn1parse -inform DER \
        -in response-0.der | sed -n 's/^ *\([0-9]*\):.*OCTET STRING.*/\1/p' | head -n 1)"
    assert_line --partial "GENERALIZEDTIME   :20$when"
    otrp pki-ocsp --pki pki pki/tam/tam/tam-oid-ec-cert.pem > good.json
    split_staples good.json
    run ocsp_says response-0.der pki/tam/tam/tam-oid-ec-cert.pem "$ca" \
        pki/tam/tam-rootca/tam-rootca-ec-cert.pem
    assert_line 'pki/tam/tam/tam-oid-ec-cert.pem: good'
}

@test "pki-ocsp opens an encrypted CA key with --passin" {
    cp -r "$EC" pki
    local key=pki/tam/tam-ca/tam-ca-1-ec-key.pem
    openssl pkcs8 -topk8 -in "$EC/tam/tam-ca/tam-ca-1-ec-key.pem" -passout pass:secret -out "$key"
    run --separate-stderr otrp pki-ocsp --pki pki pki/tam/tam/tam-mytam-ec-cert.pem
    assert_failure
    assert_equal "$output" ""
    run --separate-stderr otrp pki-ocsp --pki pki --passin pass:secret pki/tam/tam/tam-mytam-ec-cert.pem
    assert_success
    assert_equal "$(jq length <<< "$output")" 2
}

@test "pki-ocsp refuses a root, a stranger, an unknown serial number and an existing file" {
    local tam="$EC/tam/tam/tam-mytam-ec-cert.pem"
    refused() {
        run --separate-stderr otrp pki-ocsp "${@:3}"
        assert_equal "$status" "$1"
        assert_equal "$output" ""
        assert_regex "$stderr" "$2"
    }
    refused 4 'CN=TAM root CA ec.*issued by itself' --pki "$EC" "$EC/tam/tam-rootca/tam-rootca-ec-cert.pem"
    refused 4 'CN=mytam.*no CA in .* has issued it' --pki "$MIXED" "$tam"
    refused 2 'nowhere.pem: cannot open' --pki "$EC" nowhere.pem
    cp -r "$EC" pki
    : > pki/tam/tam-ca/tam-ca-1-ec-index.txt
    refused 4 'CN=mytam.*not in the ledger' --pki pki "$tam"
    echo kept > set.json
    refused 2 'set.json: exists already' --pki "$EC" -o set.json "$tam"
    run cat set.json
    assert_output kept
    otrp pki-ocsp --pki "$EC" -o set.json --force "$tam"
    assert_equal "$(jq length set.json)" 2
}

@test "pki-ocsp goes on without a ledger, and warns" {
    cp -r "$EC" pki
    rm pki/tam/tam-ca/tam-ca-1-ec-index.txt
    run --separate-stderr otrp pki-ocsp -q --pki pki pki/tam/tam/tam-mytam-ec-cert.pem
    assert_success
    assert_equal "$stderr" "otrp pki-ocsp: warning: pki/tam/tam-ca/tam-ca-1-ec-index.txt is missing: \
what is revoked is not known"
}

@test "pki-init refuses bad names, algorithms and tamids, says why and writes nothing" {
    refused() {
        run --separate-stderr otrp pki-init "${@:2}"
        assert_equal "$status" 2
        assert_equal "$output" ""
        assert_regex "$stderr" "$1"
        nothing_written
    }
    refused "--sp: '../x' is no name" --sp ../x
    refused "--tee: '.hidden' is no name" --tee .hidden
    refused "--tee: '-x' is no name" --tee=-x
    refused "--tam: '' is no name" --tam ''
    refused "--tee: '[a]*' is no name" --tee "$(printf 'a%.0s' {1..65})"
    refused "--sp: 'a' is given twice" --sp a --sp b --sp a
    refused "--tam: 'a' is given twice" --tam a --tam a=b
    refused "b and c have the same tamid 'x.example'" --tam b=x.example --tam c=x.example
    refused "a and b have the same tamid 'a'" --tam a --tam b=a
    refused "--tam: b: tamid '1..2': looks like an OID" --tam b=1..2
    refused "tamid '192.0.2.1': looks like an OID" --tam b=192.0.2.1
    refused "tamid '0.99': looks like an OID" --tam 0.99
    refused "tamid '1x:y': looks like a URI" --tam b=1x:y
    refused "tamid 'http:': looks like a URI" --tam b=http:
    refused "tamid 'two words': is no host name" --tam 'b=two words'
    refused "1 to 255 bytes" --tam b=
    refused "1 to 255 bytes, this one 256" --tam "b=$(printf 'a%.0s' {1..256})"
    refused "there is no algorithm 'rsa-1024'" --alg rsa-1024
    refused "did you mean 'rsa-4096'" --ca-alg rsa-4069
    refused "--root-alg: ec-p256 and ec-p384 would have the same file name" --root-alg ec-p256,ec-p384
    refused "there is no algorithm ''" --root-alg ec-p256,
    refused "--jobs: '0'" --jobs 0
    refused "is no time" --now yesterday
}

@test "a tamid of 255 bytes is taken" {
    local id
    id=$(printf 'a%.0s' {1..255})
    otrp pki-init -q "${QUICK[@]}" --tam "t=$id"
    run extension pki/tam/tam/tam-t-ec-cert.pem subjectAltName
    assert_output "DNS:$id"
}

@test "an existing file is refused and kept, with nothing beside it; --force replaces it" {
    mkdir -p pki/tee/tee
    echo kept > pki/tee/tee/tee-mytee-ec-key.pem
    run --separate-stderr otrp pki-init "${QUICK[@]}"
    assert_equal "$status" 2
    assert_regex "$stderr" 'pki/tee/tee/tee-mytee-ec-key.pem: exists already'
    assert_equal "$(find pki -type f -exec cat {} +)" kept
    run otrp pki-init -q --force "${QUICK[@]}"
    assert_success
    run openssl pkey -in pki/tee/tee/tee-mytee-ec-key.pem -noout
    assert_success
    run find pki -name '*~'
    assert_output ""
}

@test "a PKI is not mixed with what is left of another" {
    otrp pki-init -q "${QUICK[@]}" --tam old
    run --separate-stderr otrp pki-init --force "${QUICK[@]}"
    assert_equal "$status" 2
    assert_regex "$stderr" 'tam-old-ec-[a-z-]*.pem: of another PKI'
    run openssl verify -CAfile pki/tam/tam-rootca/tam-rootca-ec-cert.pem \
        -untrusted pki/tam/tam-ca/tam-ca-1-ec-cert.pem pki/tam/tam/tam-old-ec-cert.pem
    assert_success
}

@test "a place that cannot be written to is an error, and no folder remains" {
    echo file > place.txt
    run --separate-stderr otrp pki-init --out place.txt/pki "${QUICK[@]}"
    assert_equal "$status" 1
    assert_regex "$stderr" 'place.txt'
    nothing_written
}

@test "--dry-run lists what would be written and makes nothing" {
    run --separate-stderr otrp pki-init --dry-run
    assert_success
    cat <<< "$output" > list.txt
    nothing_written
    assert_equal "$(grep -c . list.txt)" 74
    run grep -x -e pki/tam/tam-rootca/tam-rootca-rsa-key.pem -e pki/tam/tam-ca/tam-ca-1-ec-cert.pem \
        -e pki/tam/tam/tam-mytam-rsa-ocsp.json -e pki/sp/sp/sp-ybank-rsa-key.jwk list.txt
    assert_equal "${#lines[@]}" 4
    otrp pki-init -q --out real "${QUICK[@]}"
    assert_equal "$(otrp pki-init --dry-run --out real "${QUICK[@]}" --force | sort)" \
        "$(find real -type f | sort)"
    otrp pki-init --dry-run --json > list.json
    assert_equal "$(jq '[.dry_run, (.files | length)] | @text' list.json)" '"[true,74]"'
    run otrp pki-init --dry-run --out real "${QUICK[@]}"
    assert_equal "$status" 2
}

@test "a mistake in a template is reported with file, section and name, before any key is made" {
    broken() {
        rm -rf templates
        copy_templates
        sed -i "$2" "templates/$1"
        run --separate-stderr otrp pki-init --templates templates
        assert_equal "$status" 2
        assert_regex "$stderr" "$3"
        nothing_written
    }
    broken tam.cnf 's/digitalSignature/digitalSignatur/' \
        'templates/tam.cnf: \[extensions_rsa\] keyUsage = .*digitalSignatur.*: unknown'
    broken ca.cnf 's/^basicConstraints/basicConstraint/' 'templates/ca.cnf: \[extensions\] basicConstraint'
    broken sp.cnf 's/^days .*/days = soon/' 'templates/sp.cnf: \[profile\] days = soon'
    broken tee.cnf 's/^not_after .*/not_after = 31.12.9999/' 'templates/tee.cnf: \[profile\] not_after = 31'
    broken tee.cnf 's/^\[subject\]/[subjects]/' 'templates/tee.cnf: \[profile\] subject: .*\[subject\]'
    broken root.cnf 's/^OU /XY /' 'templates/root.cnf: \[subject\] XY: no attribute'
    broken root.cnf 's/{role}/{rolle}/' 'templates/root.cnf: \[subject\] OU: unknown placeholder'
    broken root.cnf 's/^days /dayz /' 'templates/root.cnf: \[profile\] dayz: unknown name'
    broken tfw.cnf 's/^extensions .*//' 'templates/tfw.cnf: \[profile\] extensions: missing'
    broken tee.cnf 's/^not_after.*/&\nrequested = keyUsage, keyUsag/' \
        "templates/tee.cnf: \[profile\] requested: 'keyUsag' is no extension"
    broken tfw.cnf '/^\[subject\]/s/\]//' 'templates/tfw.cnf: line [0-9]+'
    broken tam.cnf 's/^subjectKey.*/&\nsubjectAltName = DNS:x/' 'templates/tam.cnf: .*subjectAltName'
}

@test "templates whose certificates nobody would accept are refused before any key is made" {
    copy_templates
    sed -i 's/CA:TRUE/CA:FALSE/; s/, pathlen:0//' templates/ca.cnf
    run --separate-stderr otrp pki-init --templates templates
    assert_equal "$status" 2
    assert_regex "$stderr" 'nobody accepts: CN=SP CA 1'
    rm -r templates
    copy_templates
    sed -i 's/^not_after.*/days = 3000/' templates/ca.cnf
    run --separate-stderr otrp pki-init --templates templates
    assert_equal "$status" 2
    assert_regex "$stderr" 'templates/tee.cnf: CN=mytee.* would outlive its issuer CN=TEE CA 1'
    nothing_written
}

@test "a missing template is named" {
    copy_templates
    rm templates/tfw.cnf
    run --separate-stderr otrp pki-init --templates templates
    assert_equal "$status" 2
    assert_regex "$stderr" 'templates/tfw.cnf: cannot open'
    nothing_written
}

@test "--templates changes subject and extensions" {
    copy_templates
    sed -i 's/^O .*/O = Bänk \& Söhne/; s/^CN .*/CN = {name}.{family}.example/' templates/sp.cnf
    sed -i 's/^subjectKey.*/&\nextendedKeyUsage = emailProtection/' templates/sp.cnf
    otrp pki-init -q --templates templates "${QUICK[@]}"
    run openssl x509 -in pki/sp/sp/sp-xbank-ec-cert.pem -noout -subject -nameopt RFC2253,-esc_msb
    assert_output "subject=CN=xbank.ec.example,OU=SP,O=Bänk & Söhne"
    run extension pki/sp/sp/sp-xbank-ec-cert.pem extendedKeyUsage
    assert_output "E-mail Protection"
}

@test "--passout encrypts every private key, and no JWK gives one away" {
    otrp pki-init -q --passout pass:secret "${QUICK[@]}"
    local key
    while read -r key; do
        assert_equal "$(head -n 1 "$key")" "-----BEGIN ENCRYPTED PRIVATE KEY-----"
    done < <(find pki -name '*-key.pem')
    run openssl pkey -in pki/tam/tam/tam-mytam-ec-key.pem -passin pass:secret -pubout
    assert_output "$(openssl x509 -in pki/tam/tam/tam-mytam-ec-cert.pem -noout -pubkey)"
    run find pki -name '*-key.jwk'
    assert_output ""
    run --separate-stderr otrp pki-issue --pki pki --role tee --name a --alg ec-p256
    assert_equal "$status" 2
    assert_regex "$stderr" 'tee-ca-1-ec-key.pem: the key is encrypted'
    otrp pki-issue -q --pki pki --role tee --name a --alg ec-p256 --passin pass:secret > /dev/null
    run --separate-stderr otrp pki-check --pki pki --passin pass:secret
    assert_success
}

@test "an empty passphrase encrypts nothing, and is refused in every form" {
    : > empty
    local form command
    for form in pass: env:NONE file:empty fd:3 stdin; do
        for command in "pki-init --dry-run" "pki-issue --pki $EC --role tee --name a --alg ec-p256"; do
            # shellcheck disable=SC2086 # words
            NONE='' run --separate-stderr otrp $command --passout "$form" < empty 3< empty
            assert_equal "$status $output" "2 "
            assert_regex "$stderr" 'the passphrase is empty'
        done
    done
    assert [ ! -e "$EC/tee/tee/tee-a-ec-key.pem" ]
}

@test "jwk: a key made is not thrown away, and a folder that is not there is wrong usage" {
    run --separate-stderr otrp jwk --generate ec-p256 --thumbprint
    assert_equal "$status" 2
    assert_regex "$stderr" 'would throw it away'
    run --separate-stderr otrp jwk --generate ec-p256 -o nowhere/key.jwk
    assert_equal "$status" 2
    assert_regex "$stderr" 'nowhere/key.jwk: cannot be written'
}
