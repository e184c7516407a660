#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The examples of the JOSE RFCs (but PBES2, which otrp refuses), from tests/jose/rfc*.json, and each
# algorithm in both directions against jose or openssl. What jose.bats has is not here again.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr
# shellcheck disable=SC2094 # the part of a vector has the name of the file that it goes to

load test_helper
load jose/witness

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    VECTORS=$ROOT/tests/jose
    printf '{"b":1, "a":"\xc3\xa9"}\n' > payload.json
}

# vector RFC EXAMPLE PART: to standard output; strings without quotes, and no newline.
vector() {
    jq -cj --arg example "$2" --arg part "$3" '.[$example] | getpath($part | split(".")) | values' "$VECTORS/rfc$1.json"
}

rfc7515_payload() {
    printf '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
}

# ---- RFC 7515: signatures ----

@test "RFC 7515 A.1: HS256, to the byte" {
    vector 7515 A.1 key > key.jwk
    vector 7515 A.1 jws > jws
    otrp verify -q --key key.jwk -o payload jws
    rfc7515_payload | cmp - payload
    jose jws ver -i jws -k key.jwk -O - | cmp - payload
    # HMAC leaves no choice: the signature of the same header and payload by openssl
    cut -d. -f1,2 jws | tr -d '\n' > signed
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$(base64url_to_hex "$(jq -r .k key.jwk)")" -binary signed |
        cmp - <(cut -d. -f3 jws | base64url_decode)
}

@test "RFC 7515 A.2 and A.3: the keys of jose.bats make what the appendix has" {
    local example
    for example in A.2 A.3; do
        vector 7515 $example key > key.jwk
        vector 7515 $example jws > jws
        jose jws ver -i jws -k key.jwk -O payload
        rfc7515_payload | cmp - payload
        otrp verify -q --key key.jwk -o verified jws
        cmp payload verified
        rm verified
    done
}

@test "RFC 7515 A.4: ES512" {
    vector 7515 A.4 key > key.jwk
    vector 7515 A.4 jws > jws
    assert_equal "$(otrp verify -q --key key.jwk -o - jws)" Payload
    assert_equal "$(jose jws ver -i jws -k key.jwk -O -)" Payload
    # and the name that is seen in the wild for it, in the key
    jq -c '. + {alg: "ES521"}' key.jwk > wild.jwk
    assert_equal "$(otrp verify -q --key wild.jwk -o - jws)" Payload
    printf Payload | otrp sign --key wild.jwk -s compact -o mine
    assert_equal "$(cut -d. -f1 mine | base64url_decode)" '{"alg":"ES512"}'
    assert_equal "$(jose jws ver -i mine -k key.jwk -O -)" Payload
}

@test "RFC 7515 A.5: an unsecured JWS is refused" {
    vector 7515 A.1 key > key.jwk
    vector 7515 A.5 jws > jws
    run --separate-stderr otrp verify --key key.jwk -o payload jws
    assert_equal "$status" 3
    assert_equal "$output" ""
    assert_regex "$stderr" '"none" signs nothing and is refused'
    assert [ ! -e payload ]
}

@test "RFC 7515 A.6: two signatures in the general form, each good by its key" {
    local i keys=(A.2 A.3)
    vector 7515 A.6 jws > jws
    for i in 0 1; do
        vector 7515 "${keys[i]}" key > key$i.jwk
        otrp verify -q --key key$i.jwk -o - jws | cmp - <(rfc7515_payload)
        jose jws ver -i jws -k key$i.jwk -O - | cmp - <(rfc7515_payload)
        # with one signature spoilt, the other still counts, and alone
        jq -c ".signatures[$i].signature |= (.[1:2] + .[:1] + .[2:])" jws > spoilt
        run otrp verify -q --key key$i.jwk spoilt
        assert_failure 3
        otrp verify -q --key key$i.jwk <(jq -c ".signatures[$((1 - i))].signature |= (.[1:2] + .[:1] + .[2:])" jws)
    done
    # a set with both keys under the kids that the headers name
    jq -cn --slurpfile a key0.jwk --slurpfile b key1.jwk --slurpfile m jws \
        '{keys: [$a[0] + {kid: $m[0].signatures[0].header.kid}, $b[0] + {kid: $m[0].signatures[1].header.kid}]}' > set.jwk
    otrp verify -q --key set.jwk jws
}

@test "RFC 7515 A.7: the flattened form" {
    vector 7515 A.3 key > key.jwk
    vector 7515 A.7 jws > jws
    otrp verify -q --key key.jwk -o - jws | cmp - <(rfc7515_payload)
    jose jws ver -i jws -k key.jwk -O - | cmp - <(rfc7515_payload)
}

@test "RFC 7515 E: a crit that nobody knows is refused" {
    vector 7515 A.1 key > key.jwk
    vector 7515 E jws > jws
    run --separate-stderr otrp verify --key key.jwk jws
    assert_equal "$status" 6
    assert_regex "$stderr" '"crit" asks for "http://example.com/UNDEFINED"'
}

@test "RFC 7515 F: detached content" {
    vector 7515 A.1 key > key.jwk
    vector 7515 A.1 jws | sed 's/\..*\./../' > jws
    rfc7515_payload > content
    otrp verify -q --key key.jwk --detached content jws
    printf ' ' >> content
    run otrp verify -q --key key.jwk --detached content jws
    assert_failure 3
    vector 7515 A.7 jws | jq -c 'del(.payload)' > jws.json
    vector 7515 A.3 key > ec.jwk
    rfc7515_payload > content
    otrp verify -q --key ec.jwk --detached content jws.json
    # what we detach is what jose takes with its content
    otrp sign --key ec.jwk --detached -o mine content
    assert_equal "$(jq -c keys mine)" '["protected","signature"]'
    jose jws ver -i mine -I content -k ec.jwk
}

# ---- RFC 7516: encryption ----

@test "RFC 7516 A.1: RSA-OAEP and A256GCM" {
    vector 7516 A.1 key > key.jwk
    vector 7516 A.1 jwe > jwe
    assert_equal "$(otrp decrypt --key key.jwk --save-cek cek.jwk jwe)" "$(vector 7516 A.1 plaintext)"
    assert_equal "$(base64url_to_hex "$(jq -r .k cek.jwk)")" "$(vector 7516 A.1 cek)"
    otrp jwk --pem key.jwk > key.pem
    cut -d. -f2 jwe | base64url_decode > encrypted_key
    assert_equal "$(openssl pkeyutl -decrypt -inkey key.pem -pkeyopt rsa_padding_mode:oaep -in encrypted_key | to_hex)" \
        "$(vector 7516 A.1 cek)"
    assert_equal "$(otrp decrypt --key cek.jwk jwe)" "$(vector 7516 A.1 plaintext)"
}

@test "RFC 7516 A.2 and A.3: RSA1_5 and A128KW with A128CBC-HS256" {
    local example
    for example in A.2 A.3; do
        vector 7516 $example key > key.jwk
        vector 7516 $example jwe > jwe
        rm -f cek.jwk
        assert_equal "$(otrp decrypt --key key.jwk --save-cek cek.jwk jwe)" "$(vector 7516 $example plaintext)"
        assert_equal "$(base64url_to_hex "$(jq -r .k cek.jwk)")" "$(vector 7516 $example cek)"
        assert_equal "$(jose jwe dec -i jwe -k key.jwk -O -)" "$(vector 7516 $example plaintext)"
    done
}

@test "RFC 7516 A.4 and A.5: two recipients in the general form, and the flattened one" {
    local example i
    vector 7516 A.2 key > key2.jwk
    vector 7516 A.3 key > key3.jwk
    vector 7516 A.4 jwe > general
    vector 7516 A.5 jwe > flattened
    for i in 2 3; do
        assert_equal "$(otrp decrypt --key key$i.jwk general)" 'Live long and prosper.'
        assert_equal "$(jose jwe dec -i general -k key$i.jwk -O -)" 'Live long and prosper.'
    done
    assert_equal "$(otrp decrypt --key key3.jwk flattened)" 'Live long and prosper.'
    assert_equal "$(jose jwe dec -i flattened -k key3.jwk -O -)" 'Live long and prosper.'
    run otrp decrypt --key key2.jwk flattened
    assert_failure 5
}

@test "RFC 7516 B: A128CBC-HS256 in its steps, by openssl" {
    local cek header iv=03163c0c2b4368696c6c69636f746865
    cek=$(vector 7516 A.2 cek)
    header=$(vector 7516 A.2 jwe | cut -d. -f1)
    vector 7516 A.2 plaintext > plaintext
    seal A128CBC-HS256 "$cek" $iv "$header" < plaintext
    assert_equal "$TAG" f611f4be045f6203e700739df2cb64bf # the appendix's
    assert_equal "$header..$(hex_to_base64url $iv).$(hex_to_base64url "$CIPHERTEXT").$(hex_to_base64url "$TAG")" \
        "$(vector 7516 A.2 jwe | sed 's/\.[^.]*\./../')"
}

# ---- RFC 7517 and 7638: keys ----

@test "RFC 7517 A.1 and A.2: public and private keys come through, in a set" {
    vector 7517 A.1 keys | jq -c '{keys: .}' > public.jwks
    vector 7517 A.2 keys | jq -c '{keys: .}' > private.jwks
    otrp jwk public.jwks | cmp - <(jq -S . public.jwks) || assert_equal "$(otrp jwk public.jwks | jq -cS .)" "$(jq -cS . public.jwks)"
    assert_equal "$(otrp jwk private.jwks | jq -cS .)" "$(jq -cS . private.jwks)"
    assert_equal "$(otrp jwk --public private.jwks | jq -cS .)" "$(jq -cS . public.jwks)"
    assert_equal "$(otrp jwk --thumbprint private.jwks | paste -sd ' ')" \
        "$(for i in 0 1; do jq -c ".keys[$i]" private.jwks | jose jwk thp -i - && echo; done | paste -sd ' ')"
    local i
    for i in 0 1; do
        jq -c ".keys[$i]" private.jwks > key.jwk
        otrp jwk --pem key.jwk | openssl pkey -check -noout
        otrp jwk --pem --public key.jwk | cmp - <(otrp jwk --pem key.jwk | openssl pkey -pubout)
    done
}

@test "RFC 7517 A.3: symmetric keys" {
    vector 7517 A.3 keys | jq -c '{keys: .}' > keys.jwks
    assert_equal "$(otrp jwk keys.jwks | jq -cS .)" "$(jq -cS . keys.jwks)"
    run --separate-stderr otrp jwk --public keys.jwks
    assert_equal "$status" 2
    assert_equal "$output" ""
    assert_regex "$stderr" 'no public part'
}

@test "RFC 7517 B: a key with its certificate" {
    vector 7517 B n > n
    jq -c .B "$VECTORS/rfc7517.json" > key.jwk
    assert_equal "$(otrp jwk key.jwk | jq -r '.n + " " + .kid + " " + .use')" "$(cat n) 1b94c sig"
    jq -r '.B.x5c[0]' "$VECTORS/rfc7517.json" | base64 -d > cert.der
    assert_equal "$(otrp jwk cert.der | jq -r .n)" "$(cat n)"
    otrp jwk --pem key.jwk | cmp - <(openssl x509 -inform DER -in cert.der -noout -pubkey)
}

@test "RFC 7517 C: PBES2 is refused, by name" {
    local protected
    protected=$(text_to_base64url '{"alg":"PBES2-HS256+A128KW","p2s":"2WCTcJZ1Rvd_CJuJripQ1w","p2c":4096,"enc":"A128CBC-HS256","cty":"jwk+json"}')
    echo '{"kty":"oct","k":"GawgguFyGrWKav7AX4VKUg"}' > key.jwk
    run --separate-stderr otrp decrypt --key key.jwk <<< "$protected.AAAA.AAAA.AAAA.AAAA"
    assert_equal "$status" 5
    assert_equal "$output" ""
    assert_regex "$stderr" '"PBES2-HS256\+A128KW" is not supported'
    run --separate-stderr otrp encrypt --to key.jwk --alg PBES2-HS256+A128KW payload.json
    assert_equal "$status" 2
    assert_equal "$output" ""
}

@test "RFC 7638: thumbprints of each type, as openssl computes them" {
    local key members
    for key in 'RSA e,kty,n' 'EC crv,kty,x,y' 'OKP crv,kty,x' 'oct k,kty'; do
        case $key in
        RSA*) vector 7515 A.2 key ;;
        EC*) vector 7515 A.4 key ;;
        OKP*) echo '{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}' ;;
        oct*) vector 7515 A.1 key ;;
        esac > key.jwk
        members=${key#* }
        jq -cjS "{${members//,/, }}" key.jwk > canonical
        assert_equal "$(otrp jwk --thumbprint key.jwk)" "$(openssl dgst -sha256 -binary canonical | base64url_encode)"
    done
}

# ---- RFC 7518: algorithms ----

@test "RFC 7518 B: the three CBC-HMAC pairs, by openssl and by content_open" {
    local i enc cek bytes=(32 48 64) encs=(A128CBC-HS256 A192CBC-HS384 A256CBC-HS512)
    local tags=(652c3fa36b0a7c5b3219fab3a30bc1c4 8490ac0e58949bfe51875d733f93ac2075168039ccc733d7
        4dd3b4c088a7f45c216839645b2012bf2e6269a8c56a816dbc1b267761955bc5)
    local aad='The second principle of Auguste Kerckhoffs' iv=1af38c2dc2b96ffdd86694092341bc04
    printf 'A cipher system must not be required to be secret, and it must be able to fall into the hands of the enemy without inconvenience' > plaintext
    for i in 0 1 2; do
        enc=${encs[i]}
        cek=$(for ((byte = 0; byte < bytes[i]; byte++)); do printf %02x $byte; done)
        seal "$enc" "$cek" $iv "$aad" < plaintext
        assert_equal "$TAG" "${tags[i]}" # the appendix's
        run jose_program vectors "$enc" "$cek" $iv "$aad" "$CIPHERTEXT" "$TAG"
        assert_success
        assert_output "$(cat plaintext)"
        run jose_program vectors "$enc" "$cek" $iv "$aad " "$CIPHERTEXT" "$TAG"
        assert_failure 5
    done
}

# ---- RFC 8037: OKP ----

ED25519='{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'

@test "RFC 8037 A.1 to A.3: an Ed25519 key and its thumbprint" {
    echo "$ED25519" > key.jwk
    assert_equal "$(otrp jwk key.jwk | jq -cS .)" "$(jq -cS . key.jwk)"
    assert_equal "$(otrp jwk --public key.jwk | jq -cS .)" "$(jq -cS 'del(.d)' key.jwk)"
    assert_equal "$(otrp jwk --thumbprint key.jwk)" kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k
    otrp jwk --pem key.jwk | cmp - <(okp_private Ed25519 "$(jq -r .d key.jwk)")
    otrp jwk --pem --public key.jwk | cmp - <(okp_public Ed25519 "$(jq -r .x key.jwk)")
}

@test "RFC 8037 A.4 and A.5: Ed25519 signs to the byte" {
    echo "$ED25519" > key.jwk
    printf 'Example of Ed25519 signing' > content
    run otrp sign --key key.jwk --serialization compact content
    assert_output eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg
    printf %s "$output" > jws
    otrp verify -q --key <(jq -c 'del(.d)' key.jwk) -o - jws | cmp - content
    printf %s "$(cut -d. -f1,2 jws)" > signed
    cut -d. -f3 jws | base64url_decode > signature
    okp_public Ed25519 "$(jq -r .x key.jwk)" > public.pem
    openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in signed -sigfile signature
}

# agreed CURVE ALG BITS ENC X EPK Z: of a message to the key X whose private part is in private.pem.
agreed() {
    local curve=$1 alg=$2 bits=$3 enc=$4 x=$5 epk=$6 z=$7 kek cek encrypted
    okp_public "$curve" "$epk" > epk.pem
    assert_equal "$(openssl pkeyutl -derive -inkey private.pem -peerkey epk.pem | to_hex)" "$z"
    okp_jwk "$curve" < private.pem > key.jwk
    assert_equal "$(jq -r .x key.jwk)" "$x"
    kek=$(concat_kdf "$z" "$alg" $((bits / 8)))
    otrp encrypt --to key.jwk --alg "$alg" --enc "$enc" --save-cek cek.jwk -s flattened payload.json > ours
    cek=$(base64url_to_hex "$(jq -r .k cek.jwk)")
    encrypted=$(hex_to_base64url "$(wrap "$kek" "$cek")")
    jq -c --arg epk "$epk" --arg crv "$curve" --arg key "$encrypted" \
        '.header.epk = {kty: "OKP", crv: $crv, x: $epk} | .encrypted_key = $key' ours > jwe
    otrp decrypt --key key.jwk jwe | cmp - payload.json
    # jose knows neither curve, but the key that is agreed on opens the message
    jq -c --arg bits "$bits" '.header = {alg: ("A" + $bits + "KW")}' jwe > wrapped
    jq -cn --arg k "$(hex_to_base64url "$kek")" '{kty: "oct", k: $k}' > kek.jwk
    jose jwe dec -i wrapped -k kek.jwk -O - | cmp - payload.json
}

@test "RFC 8037 A.6: ECDH-ES+A128KW on X25519" {
    # Bob's private key is in RFC 7748 section 6.1
    okp_private X25519 "$(hex_to_base64url 5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb)" > private.pem
    agreed X25519 ECDH-ES+A128KW 128 A128GCM 3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08 \
        hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo \
        4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742
}

@test "RFC 8037 A.7: ECDH-ES+A256KW on X448" {
    # Bob's private key is in RFC 7748 section 6.2
    okp_private X448 "$(hex_to_base64url 1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d)" > private.pem
    agreed X448 ECDH-ES+A256KW 256 A256GCM PreoKbDNIPW8_AtZm2_sz22kYnEHvbDU80W0MCfYuXL8PjT7QjKhPKcG3LV67D2uB73BxnvzNgk \
        mwj3zDG34-Z9ItWuoSEHSic70rg94Jxj-qc9LCLF2bvINmRyQdlT1AxbEtqIEg1TF3-A5TLEH6A \
        07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879d
}

# ---- each algorithm, both ways ----

make_keys() {
    vector 7515 A.2 key > rsa.jwk
    vector 7515 A.3 key > P-256.jwk
    vector 7515 A.4 key > P-521.jwk
    jose jwk gen -i '{"kty":"EC","crv":"P-384"}' -o P-384.jwk
    jq -c 'del(.key_ops)' P-384.jwk > t && mv t P-384.jwk
    local bytes
    for bytes in 16 24 32 48 64; do
        jq -cn --arg k "$(openssl rand $bytes | base64url_encode)" '{kty: "oct", k: $k}' > oct$bytes.jwk
    done
}

@test "each signature algorithm but EdDSA, in each form, both ways with jose" {
    make_keys
    local pair alg key form
    for pair in RS256:rsa RS384:rsa RS512:rsa PS256:rsa PS384:rsa PS512:rsa ES256:P-256 ES384:P-384 ES512:P-521 \
        HS256:oct32 HS384:oct48 HS512:oct64; do
        alg=${pair%:*} key=${pair#*:}.jwk
        for form in compact flattened general; do
            otrp sign --key "$key" --alg "$alg" -s $form payload.json > ours
            jose jws ver -i ours -k "$key" -O - | cmp - payload.json
        done
        jose jws sig -I payload.json -k "$key" -s "{\"protected\":{\"alg\":\"$alg\"}}" -o theirs
        otrp verify -q --key "$key" -o - theirs | cmp - payload.json
        jose jws sig -I payload.json -k "$key" -s "{\"protected\":{\"alg\":\"$alg\"}}" -c -o theirs
        otrp verify -q --key "$key" -o - theirs | cmp - payload.json
    done
}

@test "EdDSA on Ed25519 and Ed448, both ways with openssl" {
    local curve protected
    protected=$(text_to_base64url '{"alg":"EdDSA"}')
    for curve in Ed25519 Ed448; do
        openssl genpkey -algorithm $curve -out key.pem
        openssl pkey -in key.pem -pubout -out public.pem
        otrp sign --key key.pem -s compact payload.json > jws
        assert_equal "$(cut -d. -f1 jws)" "$protected"
        printf %s "$(cut -d. -f1,2 jws)" > signed
        cut -d. -f3 jws | base64url_decode > signature
        openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in signed -sigfile signature
        printf %s "$protected.$(printf '%s theirs' $curve | base64url_encode)" > signed
        openssl pkeyutl -sign -inkey key.pem -rawin -in signed -out signature
        printf %s "$(cat signed).$(base64url_encode < signature)" > theirs
        assert_equal "$(otrp verify -q --key public.pem -o - theirs)" "$curve theirs"
    done
}

# crossed KEY ALG ENC...: otrp to jose in each form, and back.
crossed() {
    local key=$1 alg=$2 enc form
    for enc in "${@:3}"; do
        for form in general flattened compact; do
            otrp encrypt --to "$key" --alg "$alg" --enc "$enc" -s $form payload.json > ours
            jose jwe dec -i ours -k "$key" -O - | cmp - payload.json
        done
        jose jwe enc -i "{\"protected\":{\"alg\":\"$alg\",\"enc\":\"$enc\"}}" -I payload.json -k "$key" -o theirs
        otrp decrypt --key "$key" theirs | cmp - payload.json
        jose jwe enc -i "{\"protected\":{\"alg\":\"$alg\",\"enc\":\"$enc\"}}" -I payload.json -k "$key" -c -o theirs
        otrp decrypt --key "$key" theirs | cmp - payload.json
    done
}

ENCS=(A128CBC-HS256 A192CBC-HS384 A256CBC-HS512 A128GCM A192GCM A256GCM)

@test "RSA1_5 and A128KW with each content encryption, both ways with jose" {
    make_keys
    crossed rsa.jwk RSA1_5 "${ENCS[@]}"
    crossed oct16.jwk A128KW "${ENCS[@]}"
}

@test "the other symmetric key encryptions, both ways with jose" {
    make_keys
    crossed oct24.jwk A192KW A128CBC-HS256 A256GCM
    crossed oct32.jwk A256KW A128CBC-HS256 A256CBC-HS512
    crossed oct16.jwk A128GCMKW A128CBC-HS256 A192GCM
    crossed oct24.jwk A192GCMKW A128GCM A192CBC-HS384
    crossed oct32.jwk A256GCMKW A256CBC-HS512 A256GCM
}

@test "dir with each content encryption, both ways with jose" {
    make_keys
    local i bytes=(32 48 64 16 24 32)
    for i in "${!ENCS[@]}"; do
        crossed "oct${bytes[i]}.jwk" dir "${ENCS[i]}"
    done
}

@test "ECDH-ES in its four ways on each NIST curve, both ways with jose" {
    make_keys
    local curve alg
    for curve in P-256 P-384 P-521; do
        for alg in ECDH-ES ECDH-ES+A128KW ECDH-ES+A192KW ECDH-ES+A256KW; do
            crossed $curve.jwk $alg A128CBC-HS256
        done
        crossed $curve.jwk ECDH-ES A256CBC-HS512 A192GCM
    done
}

@test "RSA-OAEP and RSA-OAEP-256, both ways with openssl" {
    make_keys
    otrp jwk --pem rsa.jwk > rsa.pem
    local alg options cek
    for alg in RSA-OAEP RSA-OAEP-256; do
        options=(-pkeyopt rsa_padding_mode:oaep)
        [ $alg = RSA-OAEP ] || options+=(-pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256)
        rm -f cek.jwk
        otrp encrypt --to rsa.jwk --alg $alg --save-cek cek.jwk -s flattened payload.json > ours
        cek=$(base64url_to_hex "$(jq -r .k cek.jwk)")
        jq -r .encrypted_key ours | base64url_decode > encrypted
        assert_equal "$(openssl pkeyutl -decrypt -inkey rsa.pem "${options[@]}" -in encrypted | to_hex)" "$cek"
        to_bytes <<< "$cek" | openssl pkeyutl -encrypt -inkey rsa.pem "${options[@]}" -out encrypted
        jq -c --arg key "$(base64url_encode < encrypted)" '.encrypted_key = $key' ours > theirs
        refute cmp -s ours theirs
        otrp decrypt --key rsa.jwk theirs | cmp - payload.json
        # the two do not open each other's
        jq -c --arg alg "$([ $alg = RSA-OAEP ] && echo RSA-OAEP-256 || echo RSA-OAEP)" '.header.alg = $alg' ours > swapped
        run otrp decrypt --key rsa.jwk swapped
        assert_failure 5
    done
}

@test "ECDH-ES in its four ways on X25519 and X448, both ways with openssl" {
    local curve alg bits z cek kek
    for curve in X25519 X448; do
        openssl genpkey -algorithm $curve -out bob.pem
        openssl pkey -in bob.pem -pubout -out bob-public.pem
        openssl genpkey -algorithm $curve -out ephemeral.pem
        for alg in ECDH-ES ECDH-ES+A128KW ECDH-ES+A192KW ECDH-ES+A256KW; do
            rm -f cek.jwk
            otrp encrypt --to bob-public.pem --alg $alg --save-cek cek.jwk -s flattened payload.json > ours
            cek=$(base64url_to_hex "$(jq -r .k cek.jwk)")
            assert_equal "$(jq -r .header.epk.crv ours)" $curve
            okp_public $curve "$(jq -r .header.epk.x ours)" > epk.pem
            z=$(openssl pkeyutl -derive -inkey bob.pem -peerkey epk.pem | to_hex)
            if [ $alg = ECDH-ES ]; then
                assert_equal "$(concat_kdf "$z" A128CBC-HS256 32)" "$cek"
                assert_equal "$(jq 'has("encrypted_key")' ours)" false
            else
                bits=${alg//[^0-9]/}
                kek=$(concat_kdf "$z" $alg $((bits / 8)))
                assert_equal "$(hex_to_base64url "$(wrap "$kek" "$cek")")" "$(jq -r .encrypted_key ours)"
            fi
            otrp decrypt --key bob.pem ours | cmp - payload.json

            z=$(openssl pkeyutl -derive -inkey ephemeral.pem -peerkey bob-public.pem | to_hex)
            local epk
            epk=$(okp_jwk $curve < ephemeral.pem | jq -c 'del(.d)')
            if [ $alg = ECDH-ES ]; then
                seal A128CBC-HS256 "$(concat_kdf "$z" A128CBC-HS256 32)" 000102030405060708090a0b0c0d0e0f \
                    "$(jq -r .protected ours)" < payload.json
                jq -c --argjson epk "$epk" --arg c "$(hex_to_base64url "$CIPHERTEXT")" --arg t "$(hex_to_base64url "$TAG")" \
                    '.header.epk = $epk | .iv = "AAECAwQFBgcICQoLDA0ODw" | .ciphertext = $c | .tag = $t' ours > theirs
            else
                kek=$(concat_kdf "$z" $alg $((bits / 8)))
                jq -c --argjson epk "$epk" --arg key "$(hex_to_base64url "$(wrap "$kek" "$cek")")" \
                    '.header.epk = $epk | .encrypted_key = $key' ours > theirs
            fi
            otrp decrypt --key bob.pem theirs | cmp - payload.json
        done
    done
}

# ---- what else a message can carry ----

@test "additional authenticated data, both ways with jose" {
    make_keys
    printf 'in the clear\0' > aad
    local form
    for form in general flattened; do
        otrp encrypt --to P-256.jwk --aad aad -s $form payload.json > ours
        jq -r .aad ours | base64url_decode | cmp - aad
        jose jwe dec -i ours -k P-256.jwk -O - | cmp - payload.json
        run otrp decrypt --key P-256.jwk <(jq -c 'del(.aad)' ours)
        assert_failure 5
        run otrp decrypt --key P-256.jwk <(jq -c '.aad = "AAAA"' ours)
        assert_failure 5
    done
    jose jwe enc -i "{\"aad\":\"$(base64url_encode < aad)\"}" -I payload.json -k P-256.jwk -o theirs
    otrp decrypt --key P-256.jwk theirs | cmp - payload.json
    run otrp encrypt --to P-256.jwk --aad aad -s compact payload.json
    assert_failure 2
}

@test "an empty aad is left out (RFC 7516 section 7.2.1)" {
    make_keys
    : > aad
    otrp encrypt --to oct16.jwk --alg A128KW --aad aad -s flattened payload.json > ours
    assert_equal "$(jq 'has("aad")' ours)" false
    otrp decrypt --key oct16.jwk ours | cmp - payload.json
    jose jwe dec -i ours -k oct16.jwk -O - | cmp - payload.json
    run otrp decrypt --key oct16.jwk <(jq -c '.aad = ""' ours)
    assert_failure
}

@test "one of several recipients of all kinds opens a message, and jose agrees" {
    make_keys
    openssl genpkey -algorithm X25519 -out x.pem
    openssl pkey -in x.pem -pubout -out x-public.pem
    otrp encrypt -t rsa.jwk -t P-256.jwk -t x-public.pem -t P-521.jwk payload.json > jwe
    local key
    for key in rsa.jwk P-256.jwk x.pem P-521.jwk; do
        otrp decrypt --key $key jwe | cmp - payload.json
        [ $key = x.pem ] || jose jwe dec -i jwe -k $key -O - | cmp - payload.json
    done
    run otrp decrypt --key P-384.jwk jwe
    assert_failure 5
}

@test "a CEK used again has a fresh IV, and goes to another recipient" {
    make_keys
    otrp encrypt -t rsa.jwk --save-cek cek.jwk payload.json > first
    otrp encrypt -t P-256.jwk --cek cek.jwk payload.json > second
    otrp encrypt -t rsa.jwk --cek cek.jwk payload.json > third
    assert_equal "$(jq -r .iv first second third | sort -u | wc -l)" 3
    assert_equal "$(jq -r .ciphertext first second third | sort -u | wc -l)" 3
    jose jwe dec -i second -k P-256.jwk -O - | cmp - payload.json
    otrp decrypt --key P-256.jwk --save-cek found.jwk second | cmp - payload.json
    assert_equal "$(jq -r .k found.jwk)" "$(jq -r .k cek.jwk)"
    assert_equal "$(stat -c %a found.jwk)" 600
}

@test "kid, jwk, x5c and x5t#S256 stand in the header, and the last is checked" {
    local base=$PKI/tam/tam/tam-mytam-rsa other=$PKI/tam/tam/tam-othertam-rsa print
    otrp sign -k "$base-key.pem" --kid --jwk -o jws payload.json
    jq -r .protected jws | base64url_decode > header
    assert_equal "$(jq -r .kid header)" "$(otrp jwk --thumbprint "$base-key.pem")"
    assert_equal "$(jq -cS .jwk header)" "$(otrp jwk --public "$base-key.pem" | jq -cS .)"
    # a key in the header is never trusted for being there
    run otrp verify --key "$other-key.pem" jws
    assert_failure 3
    run otrp verify jws
    assert_failure 2

    openssl x509 -in "$base-cert.pem" -out cert.pem
    print=$(openssl x509 -in cert.pem -outform DER | openssl dgst -sha256 -binary | base64url_encode)
    rm -f jws
    otrp sign -k "$base-key.pem" --cert "$base-cert-plus-intermediate-cert.pem" --x5t -o jws payload.json
    assert_equal "$(jq -r .protected jws | base64url_decode | jq -r '."x5t#S256"')" "$print"
    jq -r '.header.x5c[0]' jws | base64 -d | cmp - <(openssl x509 -in cert.pem -outform DER)
    otrp verify -q --trust "$PKI/tam/tam-rootca" --no-revocation -o - jws | cmp - payload.json
    rm -f jws
    otrp sign -k "$base-key.pem" --cert "$base-cert-plus-intermediate-cert.pem" -o jws payload.json \
        --protected "{\"x5t#S256\":\"$(openssl x509 -in "$other-cert.pem" -outform DER | openssl dgst -sha256 -binary | base64url_encode)\"}"
    run --separate-stderr otrp verify --trust "$PKI/tam/tam-rootca" --no-revocation jws
    assert_equal "$status" 4
    assert_regex "$stderr" 'x5t#S256 is not of the signer'
    # what stands behind the check that failed is not reached
    run --separate-stderr otrp verify --json --trust "$PKI/tam/tam-rootca" --no-revocation jws
    assert_equal "$(jq -r '.checks[] | "\(.check): \(.verdict)"' <<< "$output")" $'trust: failed\nsignature: not reached'
}

@test "a kid chooses a key of a set" {
    make_keys
    otrp jwk --kid one P-256.jwk -o one.jwk
    jose jwk gen -i '{"kty":"EC","crv":"P-256"}' | jq -c 'del(.key_ops) + {kid: "two"}' > two.jwk
    jq -cn --slurpfile a one.jwk --slurpfile b two.jwk '{keys: [$a[0], $b[0]]}' > set.jwk
    local kid
    for kid in one two; do
        otrp sign -k $kid.jwk --kid payload.json > jws
        otrp verify -q --key set.jwk -o - jws | cmp - payload.json
    done
    jq -c '.keys |= reverse' set.jwk > reversed.jwk
    otrp verify -q --key reversed.jwk jws
}

@test "keys of each type go to and from PEM, DER, PKCS#8 and PKCS#12" {
    local type
    for type in 'RSA -pkeyopt rsa_keygen_bits:2048' 'EC -pkeyopt ec_paramgen_curve:P-384' ED25519 ED448 X25519 X448; do
        # shellcheck disable=SC2086 # options
        openssl genpkey -quiet -algorithm $type -out key.pem 2> /dev/null || openssl genpkey -algorithm $type -out key.pem
        openssl pkey -in key.pem -pubout -out public.pem
        openssl pkey -in key.pem -outform DER -out key.der
        openssl pkey -in key.pem -pubout -outform DER -out public.der
        otrp jwk key.pem > key.jwk
        otrp jwk --public key.pem > public.jwk
        assert_equal "$(otrp jwk key.der | jq -cS .)" "$(jq -cS . key.jwk)"
        assert_equal "$(otrp jwk public.der | jq -cS .)" "$(jq -cS . public.jwk)"
        assert_equal "$(otrp jwk public.pem | jq -cS .)" "$(jq -cS . public.jwk)"
        otrp jwk --pem key.jwk | cmp - key.pem
        otrp jwk --pem public.jwk | cmp - public.pem
        case $type in
        X*) continue ;; # no certificate can be signed with it
        esac
        openssl req -new -x509 -key key.pem -subj /CN=test -out cert.pem
        openssl pkcs12 -export -inkey key.pem -in cert.pem -passout pass:secret -out key.p12
        assert_equal "$(otrp jwk --passin pass:secret key.p12 | jq -cS .)" "$(jq -cS . key.jwk)"
        run --separate-stderr otrp jwk --passin pass:wrong key.p12
        assert_equal "$status $stderr" "2 otrp jwk: error: key.p12: the PKCS#12 file cannot be opened with this passphrase
hint: give that of this file with --passin"
        run --separate-stderr otrp jwk key.p12
        assert_equal "$status $stderr" "2 otrp jwk: error: key.p12: the PKCS#12 file has a passphrase
hint: give its passphrase with --passin"
        assert_equal "$(otrp jwk cert.pem | jq -cS .)" "$(jq -cS . public.jwk)"
    done
}

@test "what a key says of itself is kept: use, key_ops, alg, kid" {
    make_keys
    local base
    for base in rsa P-256 oct32; do
        jq -c '. + {use: "sig", key_ops: ["sign", "verify"], kid: "a \"kid\" é", alg: "RS256"}' $base.jwk > key.jwk
        assert_equal "$(otrp jwk key.jwk | jq -cS .)" "$(jq -cS . key.jwk)"
    done
}

# ---- what holds of any key and message: tests/jose/property.c ----

property() {
    run jose_program property "$1"
    assert_success
    assert_output --regexp '[0-9]+ checks passed'
}

@test "base64 agrees with its definition at every length, alignment and foreign byte" {
    property base64
}

@test "random keys, headers and payloads: each signature comes back, and no flipped bit is taken" {
    property signatures
}

@test "random keys, headers and payloads: each encryption comes back, and no flipped bit opens" {
    property encryption
}

# ---- RSA1_5 ----

@test "no branch and no address depends on what RSA1_5 unpads, and a branch would be seen" {
    local variant build
    # a sanitized program does not run under valgrind; what each compiler makes is looked at
    for variant in "${VARIANT:-release}" clang; do
        [ "$variant" != asan ] || variant=release
        build=$ROOT/build/$variant/jose
        VARIANT=$variant jose_program unpad_ct || true # says that it wants valgrind, and is built
        VARIANT=$variant jose_program unpad_naive || true
        run valgrind -q --error-exitcode=9 "$build/unpad_ct"
        assert_output 'all results right'
        assert_success
        run valgrind -q --error-exitcode=9 "$build/unpad_naive"
        assert_failure 9
        assert_output --partial 'depends on uninitialised value'
    done
}

@test "RSA1_5: right and wrong padding, length and tag have one message, one exit code and nothing on standard output" {
    make_keys
    otrp jwk --pem rsa.jwk > rsa.pem
    otrp encrypt --to rsa.jwk -s flattened payload.json > good
    local em hex said=()
    local block
    block=$(printf '%0442d' 0 | tr 0 5)
    for em in "0002${block}00$(openssl rand -hex 32)" "0102${block}00$(printf %064d 1)" "0001${block}00$(printf %064d 1)" \
        "0002${block}55$(printf %064d 1 | tr 0 7)" "0002${block:2}00$(printf %066d 1)" "0002${block}0000$(printf %062d 1 | tr 0 7)"; do
        hex=$(printf %0512d 0)$em
        to_bytes <<< "${hex: -512}" > em
        if openssl pkeyutl -encrypt -pubin -inkey <(openssl pkey -in rsa.pem -pubout) -pkeyopt rsa_padding_mode:none -in em -out encrypted; then
            jq -c --arg key "$(base64url_encode < encrypted)" '.encrypted_key = $key' good > bad
            run --separate-stderr otrp decrypt --key rsa.jwk bad
            assert_equal "$status" 5
            assert_equal "$output" ""
            said+=("$stderr")
        fi
    done
    assert [ "${#said[@]}" -ge 5 ]
    assert_equal "$(printf '%s\n' "${said[@]}" | sort -u | wc -l)" 1
}

@test "keys are written as DER and as PKCS#12, and openssl reads them" {
    local type
    for type in 'RSA -pkeyopt rsa_keygen_bits:2048' 'EC -pkeyopt ec_paramgen_curve:P-256' ED25519; do
        # shellcheck disable=SC2086 # options
        openssl genpkey -algorithm $type -out key.pem 2> /dev/null
        openssl pkey -in key.pem -pubout > public.pem
        otrp jwk --der key.pem | openssl pkey -inform DER -pubout | diff - public.pem
        diff <(openssl pkey -pubin -in public.pem -outform DER | xxd) <(otrp jwk --public --der key.pem | xxd)
        otrp jwk --p12 --passout pass:secret key.pem > key.p12
        openssl pkcs12 -in key.p12 -passin pass:secret -nodes -nocerts | openssl pkey -pubout | diff - public.pem
        diff <(otrp jwk --passin pass:secret key.p12) <(otrp jwk key.pem)
        rm key.p12
    done
    run --separate-stderr otrp jwk --p12 key.pem
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" 'passphrase'
    run --separate-stderr otrp jwk --p12 --passout pass: key.pem
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" 'the passphrase is empty'
}
