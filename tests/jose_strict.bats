#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What must be refused: each with its exit code, its own reason, and nothing on standard output. The
# messages are right in all else (openssl signs and encrypts them), so that nothing else refuses them.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper
load jose/witness

OCT=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
IV=a0a1a2a3a4a5a6a7a8a9aaabacadaeaf

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    local curve bytes
    otrp jwk "$PKI/tam/tam/tam-mytam-rsa-key.pem" > rsa.jwk
    otrp jwk "$PKI/tam/tam/tam-othertam-rsa-key.pem" > rsa2.jwk
    otrp jwk "$PKI_EC/tam/tam/tam-othertam-ec-key.pem" > P-256b.jwk
    for curve in P-256 P-384 P-521; do
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:$curve | otrp jwk > $curve.jwk
    done
    for curve in Ed25519 Ed448 X25519 X448; do
        openssl genpkey -algorithm $curve | otrp jwk > $curve.jwk
    done
    for bytes in 15 16 17 24 31 32 33 47 48 63 64; do
        jq -cn --arg k "$(hex_to_base64url "$(printf "%0$((2 * bytes))d" 1)")" '{kty: "oct", k: $k}' > oct$bytes.jwk
    done
    jq -cn --arg k "$(hex_to_base64url $OCT)" '{kty: "oct", k: $k}' > oct.jwk
    for key in rsa rsa2 P-256 P-256b P-384 P-521 Ed25519 Ed448 X25519 X448; do
        jq -c 'with_entries(select(.key | IN("kty", "n", "e", "crv", "x", "y")))' $key.jwk > $key-public.jwk
    done
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp "$BATS_FILE_TMPDIR"/*.jwk .
    printf payload > payload
}

# ---- helpers ----

# refused EXIT REGEX ARGUMENT...: nothing on standard output, no file made or changed.
refused() {
    local before
    before=$(find . -type f -not -name 'separate-stderr*' -exec cksum {} + | sort)
    run --separate-stderr otrp "${@:3}"
    assert_equal "$output" ""
    assert_regex "$stderr" "$2"
    assert_regex "$status" "^($1)\$"
    assert_equal "$(find . -type f -not -name 'separate-stderr*' -exec cksum {} + | sort)" "$before"
}

# hs256 HEADER: a compact JWS of that protected header and the payload, with the key oct.jwk.
hs256() {
    local input
    input=$(text_to_base64url "$1").$(base64url_encode < payload)
    printf %s "$input.$(printf %s "$input" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$OCT" -binary | base64url_encode)"
}

# flattened HEADER [UNPROTECTED]: the same in the flattened form.
flattened() {
    local segments
    IFS=. read -r -a segments < <(hs256 "$1" && echo)
    jq -cn --arg protected "${segments[0]}" --arg payload "${segments[1]}" --arg signature "${segments[2]}" \
        --argjson header "${2:-null}" '{payload: $payload, protected: $protected, signature: $signature}
            + if $header then {header: $header} else {} end'
}

# sealed HEADER: a compact JWE (dir, A128CBC-HS256) of that protected header, with the key oct.jwk.
sealed() {
    local protected
    protected=$(text_to_base64url "$1")
    seal A128CBC-HS256 $OCT $IV "$protected" < payload
    printf %s "$protected..$(hex_to_base64url $IV).$(hex_to_base64url "$CIPHERTEXT").$(hex_to_base64url "$TAG")"
}

DIR='"alg":"dir","enc":"A128CBC-HS256"'

# sealed_json HEADER [MEMBERS]: the same in the flattened form, with further members (a JSON object).
sealed_json() {
    local segments
    IFS=. read -r -a segments < <(sealed "$1" && echo)
    jq -cn --arg protected "${segments[0]}" --arg iv "${segments[2]}" --arg ciphertext "${segments[3]}" \
        --arg tag "${segments[4]}" --argjson more "${2:-"{}"}" \
        '{protected: $protected, iv: $iv, ciphertext: $ciphertext, tag: $tag} + $more'
}

# ec_signed KEY HEADER: a compact JWS on P-256; sets R and S, in hexadecimal, and SIGNED, its first segments.
ec_signed() {
    SIGNED=$(text_to_base64url "$2").$(base64url_encode < payload)
    otrp jwk --pem "$1" > signer.pem
    local numbers
    mapfile -t numbers < <(printf %s "$SIGNED" | openssl dgst -sha256 -sign signer.pem | openssl asn1parse -inform DER |
        sed -n 's/.*INTEGER *:\(.*\)/\1/p')
    R=$(printf %64s "${numbers[0]}" | tr ' ' 0) S=$(printf %64s "${numbers[1]}" | tr ' ' 0)
    rm signer.pem
}

ec_jws() {
    printf %s "$SIGNED.$(hex_to_base64url "$1")" > jws
}

@test "the messages that these tests change are good before" {
    assert_equal "$(otrp verify -q --key oct.jwk -o - <(hs256 '{"alg":"HS256"}'))" payload
    assert_equal "$(otrp verify -q --key oct.jwk -o - <(flattened '{"alg":"HS256"}' '{"x":1}'))" payload
    assert_equal "$(otrp verify -q --key oct.jwk -o - <(flattened '{"typ":"x"}' '{"alg":"HS256"}'))" payload
    assert_equal "$(otrp decrypt --key oct.jwk <(sealed "{$DIR}"))" payload
    assert_equal "$(otrp decrypt --key oct.jwk <(sealed_json "{$DIR}"))" payload
    ec_signed P-256.jwk '{"alg":"ES256"}'
    ec_jws "$R$S"
    assert_equal "$(otrp verify -q --key P-256-public.jwk -o - jws)" payload
    # unknown parameters are ignored, and kid and typ are no reason to refuse
    assert_equal "$(otrp verify -q --key oct.jwk -o - <(hs256 '{"alg":"HS256","typ":"JWT","kid":"any","cty":"x","foo":[1]}'))" payload
    assert_equal "$(otrp decrypt --key oct.jwk <(sealed "{$DIR,\"typ\":\"x\",\"foo\":{}}"))" payload
    # b64 true is what is always done
    assert_equal "$(otrp verify -q --key oct.jwk -o - <(hs256 '{"alg":"HS256","b64":true}'))" payload
}

# ---- alg and enc ----

@test "alg none, in any form and with any signature" {
    local signature
    for signature in '' AAAA "$(hs256 '{"alg":"none"}' | cut -d. -f3)"; do
        printf %s "$(hs256 '{"alg":"none"}' | cut -d. -f1,2).$signature" > jws
        refused 3 '"none" signs nothing and is refused' verify --key oct.jwk -o out jws
    done
    flattened '{"typ":"x"}' '{"alg":"none"}' > jws
    refused 3 '"none" signs nothing and is refused' verify --key oct.jwk -o out jws
    refused 2 "'none' is no algorithm" sign --key oct.jwk --alg none payload
    refused 2 'the protected header says "alg" otherwise' sign --key oct.jwk --protected '{"alg":"none"}' payload
    sealed '{"alg":"none","enc":"A128CBC-HS256"}' > jwe
    refused 5 '"alg": "none"' decrypt --key oct.jwk jwe
}

@test "alg and enc that are unknown, or another's" {
    local alg
    for alg in None NONE hs256 HS257 'HS256 ' ' HS256' RS1 HS1 ES521 A128KW RSA1_5 dir A128CBC-HS256 ''; do
        hs256 "{\"alg\":\"$alg\"}" > jws
        refused 3 "signature algorithm \"$alg\" is not supported" verify --key oct.jwk -o out jws
    done
    for alg in Dir DIR RSA-OAEP-512 HS256 A128CBC-HS256 ES256 A128GCM; do
        sealed "{\"alg\":\"$alg\",\"enc\":\"A128CBC-HS256\"}" > jwe
        refused 5 "\"alg\": \"$alg\" is not supported" decrypt --key oct.jwk jwe
    done
    for alg in a128cbc-hs256 A128CBC HS256 dir A128KW ''; do
        sealed "{\"alg\":\"dir\",\"enc\":\"$alg\"}" > jwe
        refused 5 "\"enc\": \"$alg\" is not supported" decrypt --key oct.jwk jwe
    done
    # a NUL ends a C string, not a name
    hs256 '{"alg":"HS256\u0000"}' > jws
    refused "3|6" . verify --key oct.jwk -o out jws
}

@test "alg and enc that are missing or no string" {
    local alg
    for alg in null true 256 '["HS256"]' '{"HS256":1}'; do
        hs256 "{\"alg\":$alg}" > jws
        refused 6 '"alg" is not a string' verify --key oct.jwk -o out jws
        sealed "{\"alg\":$alg,\"enc\":\"A128CBC-HS256\"}" > jwe
        refused 6 '"alg" is not a string' decrypt --key oct.jwk jwe
        sealed "{\"alg\":\"dir\",\"enc\":$alg}" > jwe
        refused 6 '"enc" is not a string' decrypt --key oct.jwk jwe
    done
    hs256 '{}' > jws
    refused 6 '"alg" is missing' verify --key oct.jwk -o out jws
    sealed '{"enc":"A128CBC-HS256"}' > jwe
    refused 6 '"alg" is missing' decrypt --key oct.jwk jwe
    sealed '{"alg":"dir"}' > jwe
    refused 6 '"enc" is missing' decrypt --key oct.jwk jwe
}

# ---- alg and key ----

@test "a signature algorithm of another type of key" {
    local alg key
    for alg in RS256 PS512; do
        for key in P-256 Ed25519; do
            refused 2 "$key.jwk: $alg does not fit a key of type" sign --key $key.jwk --alg "$alg" payload
            otrp sign --key rsa.jwk --alg "$alg" payload > jws
            refused 3 "$key-public.jwk: $alg does not fit a key of type" verify --key $key-public.jwk -o out jws
        done
    done
    for key in rsa P-256 X25519; do
        refused 2 "$key.jwk: EdDSA does not fit a key of type" sign --key $key.jwk --alg EdDSA payload
    done
    otrp sign --key Ed25519.jwk payload > jws
    refused 3 'EdDSA does not fit a key of type' verify --key rsa-public.jwk jws
    refused 2 'no algorithm fits a key of type' sign --key X25519.jwk payload
}

@test "ES256, ES384 and ES512 each with another curve than its own" {
    local alg key pairs='ES256:P-256 ES384:P-384 ES512:P-521' pair
    for pair in $pairs; do
        alg=${pair%:*}
        otrp sign --key "${pair#*:}.jwk" --alg "$alg" payload > jws
        for key in P-256 P-384 P-521 Ed25519 rsa; do
            [ $key != "${pair#*:}" ] || continue
            refused 2 "$key.jwk: $alg needs a key on ${pair#*:}, this is of type" sign --key $key.jwk --alg "$alg" payload
            refused 3 "$key-public.jwk: $alg needs a key on ${pair#*:}" verify --key $key-public.jwk -o out jws
        done
    done
}

@test "HS256, HS384 and HS512 with anything but a symmetric key" {
    local alg key hash
    for key in rsa P-256 Ed25519; do
        otrp jwk --public --pem $key.jwk > public.pem
        for alg in HS256 HS384 HS512; do
            refused 2 "$key.jwk: $alg needs a symmetric key, never one of type" sign --key $key.jwk --alg "$alg" payload
            # an HMAC with the text of the public key as its secret
            hash=sha${alg#HS}
            printf %s "$(text_to_base64url "{\"alg\":\"$alg\"}").$(base64url_encode < payload)" > signed
            printf %s "$(cat signed).$(openssl dgst "-$hash" -mac HMAC -macopt "hexkey:$(to_hex < public.pem)" -binary signed | base64url_encode)" > jws
            refused 3 "public.pem: $alg needs a symmetric key, never one of type" verify --key public.pem -o out jws
        done
        rm public.pem
    done
    refused 2 'does not fit a key of type oct' sign --key oct.jwk --alg RS256 payload
    otrp sign --key rsa.jwk payload > jws
    refused 3 'RS256 does not fit a key of type oct' verify --key oct.jwk jws
}

@test "HMAC keys shorter than the hash" {
    local pair alg key
    for pair in HS256:31 HS256:16 HS384:47 HS384:32 HS512:63 HS512:48; do
        alg=${pair%:*} key=oct${pair#*:}.jwk
        refused 2 "$key: $alg needs a key of $((8 * ${alg: -3} / 8)) bits or more" sign --key "$key" --alg "$alg" payload
        printf %s "$(text_to_base64url "{\"alg\":\"$alg\"}").$(base64url_encode < payload)" > signed
        printf %s "$(cat signed).$(openssl dgst "-sha${alg: -3}" -mac HMAC -macopt "hexkey:$(base64url_to_hex "$(jq -r .k "$key")")" -binary signed | base64url_encode)" > jws
        refused 3 "$key: $alg needs a key of ${alg: -3} bits or more" verify --key "$key" -o out jws
    done
    otrp sign --key oct33.jwk --alg HS256 payload > jws # a longer one will do
    otrp verify -q --key oct33.jwk jws
}

@test "a key management algorithm of another type, curve or size of key" {
    local pair alg key
    for pair in RSA1_5:P-256 RSA-OAEP:X25519 RSA-OAEP-256:P-521 ECDH-ES:rsa ECDH-ES+A128KW:rsa; do
        alg=${pair%:*} key=${pair#*:}
        refused 2 "$key-public.jwk: ${alg/+/\\+} does not fit a key of type" encrypt --to "$key-public.jwk" --alg "$alg" payload
        jq -cn --arg alg "$alg" --arg p "$(text_to_base64url '{"enc":"A128CBC-HS256"}')" \
            '{protected: $p, header: {alg: $alg}, iv: "AAAAAAAAAAAAAAAAAAAAAA", ciphertext: "AAAA", tag: "AAAA", encrypted_key: "AAAA"}' > jwe
        refused 5 "$key.jwk: ${alg/+/\\+} does not fit a key of type" decrypt --key "$key.jwk" jwe
    done
    for key in Ed25519 Ed448; do # they sign, and agree on nothing
        refused 2 "$key-public.jwk: ECDH-ES\+A256KW does not fit a key of type" encrypt --to $key-public.jwk --alg ECDH-ES+A256KW payload
    done
    for pair in A128KW:rsa A256GCMKW:P-256 dir:rsa; do
        alg=${pair%:*} key=${pair#*:}
        refused 2 "$key-public.jwk: $alg needs a symmetric key, never one of type" encrypt --to "$key-public.jwk" --alg "$alg" payload
    done
    for pair in A128KW:15 A128KW:17 A128KW:32 A192KW:16 A256KW:31 A256KW:33 A128GCMKW:24 A192GCMKW:16 A256GCMKW:16; do
        alg=${pair%:*}
        refused 2 "oct${pair#*:}.jwk: $alg needs a key of exactly ${alg:1:3} bits" encrypt --to "oct${pair#*:}.jwk" --alg "$alg" payload
    done
    for alg in RSA1_5 ECDH-ES; do
        refused 2 "oct16.jwk: $alg does not fit a key of type oct" encrypt --to oct16.jwk --alg "$alg" payload
    done
}

@test "the alg of a key, obeyed by all four" {
    jq -c '. + {alg: "RS512"}' rsa.jwk > key.jwk
    otrp sign --key rsa.jwk --alg RS256 payload > jws
    refused 3 'the key is for RS512 alone, not for RS256' verify --key key.jwk -o out jws
    refused 2 'the key is for RS512 alone, not for RS256' sign --key key.jwk --alg RS256 payload
    refused 2 'the key is for RS512 alone, not for RSA1_5' encrypt --to key.jwk --alg RSA1_5 payload
    otrp encrypt --to rsa.jwk payload > jwe
    refused 5 'the key is for RS512 alone, not for RSA1_5' decrypt --key key.jwk jwe
    jq -c '. + {alg: "RSA-OAEP"}' rsa.jwk > key.jwk
    refused 2 'the key is for RSA-OAEP alone, not for RSA1_5' encrypt --to key.jwk --alg RSA1_5 payload
    refused 5 'the key is for RSA-OAEP alone, not for RSA1_5' decrypt --key key.jwk jwe
    refused 2 'the key is for RSA-OAEP alone' sign --key key.jwk payload
    # it chooses where nobody else does
    assert_equal "$(otrp encrypt --to key.jwk payload | jq -r '.recipients[0].header.alg')" RSA-OAEP
}

@test "for dir, the alg of a key names the content encryption" {
    jq -c '. + {alg: "A128CBC-HS256"}' oct.jwk > key.jwk
    otrp encrypt --to key.jwk --alg dir payload > jwe
    assert_equal "$(otrp decrypt --key key.jwk jwe)" payload
    refused 2 'the key is for A128CBC-HS256 alone, not for A256GCM' encrypt --to key.jwk --alg dir --enc A256GCM payload
    otrp encrypt --to oct.jwk --alg dir --enc A256GCM payload > jwe
    refused 5 'the key is for A128CBC-HS256 alone, not for A256GCM' decrypt --key key.jwk jwe
    jq -c '. + {alg: "HS256"}' oct.jwk > key.jwk
    sealed "{$DIR}" > jwe
    refused 5 'the key is for HS256 alone, not for A128CBC-HS256' decrypt --key key.jwk jwe
    refused 2 'the key is for HS256 alone, not for A128CBC-HS256' encrypt --to key.jwk --alg dir payload
    jq -c '. + {alg: "A256KW"}' oct.jwk > key.jwk
    refused 5 'the key is for A256KW alone, not for A128CBC-HS256' decrypt --key key.jwk jwe
}

@test "a key meant for encryption used to sign, and the reverse" {
    local key
    for key in rsa P-256; do
        jq -c '. + {use: "enc"}' $key.jwk > enc.jwk
        jq -c '. + {use: "sig"}' $key.jwk > sig.jwk
        refused 2 'enc.jwk: its use is "enc", so it is not for' sign --key enc.jwk payload
        otrp sign --key sig.jwk payload > jws
        refused 3 'enc.jwk: its use is "enc", so it is not for' verify --key enc.jwk -o out jws
        refused 2 'sig.jwk: its use is "sig", so it is not for' encrypt --to sig.jwk payload
        otrp encrypt --to enc.jwk payload > jwe
        refused 5 'sig.jwk: its use is "sig", so it is not for' decrypt --key sig.jwk jwe
        rm enc.jwk sig.jwk jws jwe
    done
    jq -c '. + {use: "enc"}' oct.jwk > enc.jwk
    hs256 '{"alg":"HS256"}' > jws
    refused 3 'its use is "enc"' verify --key enc.jwk -o out jws
    jq -c '. + {use: "sig"}' oct.jwk > sig.jwk
    sealed "{$DIR}" > jwe
    refused 5 'its use is "sig"' decrypt --key sig.jwk jwe
    jq -c '. + {use: 1}' oct.jwk > wrong.jwk
    refused 6 'wrong.jwk.use: ' verify --key wrong.jwk jws
}

@test "key_ops, obeyed by all four" {
    jq -c '. + {key_ops: ["verify"]}' P-256.jwk > verify.jwk
    jq -c '. + {key_ops: ["sign"]}' P-256.jwk > sign.jwk
    jq -c '. + {key_ops: []}' P-256.jwk > nothing.jwk
    refused 2 'verify.jwk: its key_ops do not allow "sign"' sign --key verify.jwk payload
    refused 2 'nothing.jwk: its key_ops do not allow "sign"' sign --key nothing.jwk payload
    otrp sign --key sign.jwk payload > jws
    otrp verify -q --key verify.jwk jws
    refused 3 'sign.jwk: its key_ops do not allow "verify"' verify --key sign.jwk -o out jws
    refused 2 'sign.jwk: its key_ops do not allow "wrapKey"' encrypt --to sign.jwk payload
    otrp encrypt --to P-256.jwk payload > jwe
    refused 5 'sign.jwk: its key_ops do not allow "unwrapKey"' decrypt --key sign.jwk jwe
    jq -c '. + {key_ops: ["wrapKey"]}' rsa.jwk > wrap.jwk
    jq -c '. + {key_ops: ["unwrapKey"]}' rsa.jwk > unwrap.jwk
    otrp encrypt --to wrap.jwk payload > jwe
    refused 5 'wrap.jwk: its key_ops do not allow "unwrapKey"' decrypt --key wrap.jwk jwe
    assert_equal "$(otrp decrypt --key unwrap.jwk jwe)" payload
    refused 2 'unwrap.jwk: its key_ops do not allow "wrapKey"' encrypt --to unwrap.jwk payload
    jq -c '. + {key_ops: "sign"}' P-256.jwk > wrong.jwk
    refused 6 'key_ops: not an array' sign --key wrong.jwk payload
    jq -c '. + {key_ops: [1]}' P-256.jwk > wrong.jwk
    refused 6 'key_ops\[0\]: not a string' sign --key wrong.jwk payload
}

# ---- signatures ----

@test "ECDSA signatures that are not exactly twice the size of the field" {
    ec_signed P-256.jwk '{"alg":"ES256"}'
    local hex
    for hex in "${R}${S}00" "00$R$S" "$R$S$R" "${R:2}${S:2}" "$R${S:2}" "$R" ''; do
        ec_jws "$hex"
        refused 3 "a signature of $((${#hex} / 2)) bytes, ES256 with this key has 64" verify --key P-256-public.jwk -o out jws
    done
    # and as X.509 has them
    ec_jws "$(raw_to_der "$R$S" | to_hex)"
    rm asn1.cnf
    refused 3 'a signature of [0-9]* bytes, ES256 with this key has 64' verify --key P-256-public.jwk -o out jws
    local pair
    for pair in ES384:P-384:96 ES512:P-521:132; do
        IFS=: read -r alg curve size <<< "$pair"
        otrp sign --key "$curve.jwk" -s compact payload > jws
        printf %s "$(cut -d. -f1,2 jws).$(cut -d. -f3 jws | base64url_decode | head -c -1 | base64url_encode)" > short
        refused 3 "a signature of $((size - 1)) bytes, $alg with this key has $size" verify --key "$curve.jwk" -o out short
    done
}

@test "ECDSA signatures with r or s zero or out of range" {
    ec_signed P-256.jwk '{"alg":"ES256"}'
    local zero n=ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551 ones hex
    zero=$(printf %064d 0)
    ones=${zero//0/f}
    for hex in "$zero$zero" "$zero$S" "$R$zero" "$n$S" "$R$n" "$n$n" "$ones$S" "$R$ones"; do
        ec_jws "$hex"
        refused 3 'r or s of the signature is zero or out of range' verify --key P-256-public.jwk -o out jws
    done
    # one below the order is in range, and simply wrong
    ec_jws "${n%51}50$S"
    refused 3 'the signature is not of this content and key' verify --key P-256-public.jwk -o out jws
}

@test "RSA, HMAC and EdDSA signatures of another size" {
    local pair key size change
    for pair in rsa:256 oct:32 Ed25519:64 Ed448:114; do
        key=${pair%:*} size=${pair#*:}
        otrp sign --key "$key.jwk" -s compact payload > jws
        for change in 'head -c -1' 'head -c 16' "cat - $ROOT/Makefile"; do
            printf %s "$(cut -d. -f1,2 jws).$(cut -d. -f3 jws | base64url_decode | $change | base64url_encode)" > changed
            refused 3 "a signature of [0-9]* bytes, [A-Za-z0-9]* with this key has $size" verify --key "$key.jwk" -o out changed
        done
        printf %s "$(cut -d. -f1,2 jws)." > changed
        refused 3 "a signature of 0 bytes, .* has $size" verify --key "$key.jwk" -o out changed
    done
}

# ---- keys ----

@test "RSA moduli under 2048 bits, unless asked otherwise" {
    local bits
    for bits in 1024 2047; do
        openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:$bits -out small.pem 2> /dev/null ||
            openssl genrsa -out small.pem $bits 2> /dev/null
        openssl pkey -in small.pem -pubout -out small-public.pem
        openssl pkey -in small.pem -outform DER -out small.der
        openssl req -new -x509 -key small.pem -subj /CN=small -out small-cert.pem
        for key in small.pem small.der; do
            refused 6 "$key: an RSA key of $bits bits is too small, 2048 are needed" sign --key $key payload
            refused 6 "$key: an RSA key of $bits bits is too small" jwk $key
        done
        for key in small-public.pem small-cert.pem; do
            refused 6 "$key: an RSA key of $bits bits is too small" encrypt --to $key payload
        done
        printf %s "$(text_to_base64url '{"alg":"RS256"}').$(base64url_encode < payload)" > signed
        printf %s "$(cat signed).$(openssl dgst -sha256 -sign small.pem -binary signed | base64url_encode)" > jws
        refused 6 "an RSA key of $bits bits is too small" verify --key small-public.pem -o out jws
        otrp verify -q --insecure-small-keys --key small-public.pem jws
        jq -cn --arg n "$(openssl rsa -in small.pem -noout -modulus | cut -d= -f2 | to_bytes | base64url_encode)" \
            '{kty: "RSA", n: $n, e: "AQAB"}' > small.jwk
        refused 6 "small.jwk: an RSA key of $bits bits is too small" verify --key small.jwk -o out jws
        otrp verify -q --insecure-small-keys --key small.jwk jws
        rm small*
    done
}

@test "RSA exponents that are even or one" {
    otrp sign --key rsa.jwk payload > jws
    local e
    for e in AQ Ag AQAA AAAAAQ; do # 1, 2, 65536, 1 with zeros before it
        jq -c --arg e $e '.e = $e' rsa-public.jwk > key.jwk
        refused 6 'key.jwk: the RSA exponent is even or one' verify --key key.jwk -o out jws
        refused 6 'key.jwk: the RSA exponent is even or one' encrypt --to key.jwk payload
    done
    # and in PEM
    printf 'asn1=SEQUENCE:k\n[k]\nn=INTEGER:0x%s\ne=INTEGER:2\n' "$(base64url_to_hex "$(jq -r .n rsa-public.jwk)")" > rsa.cnf
    openssl asn1parse -genconf rsa.cnf -noout -out rsa.der
    openssl rsa -RSAPublicKey_in -inform DER -in rsa.der -pubout -out even.pem 2> /dev/null
    rm rsa.cnf rsa.der
    refused 6 'even.pem: the RSA exponent is even or one' encrypt --to even.pem payload
}

@test "RSA keys with the ROCA fingerprint" {
    # a multiple of the product of the fingerprint's primes, and a power of 65537
    local n
    n=837bf49bc64bc8132adee3fbf8a$(printf %0485d 0)
    n=${n:0:${#n}-21}10005000a000a00050001
    jq -cn --arg n "$(hex_to_base64url "$n")" '{kty: "RSA", n: $n, e: "AQAB"}' > roca.jwk
    otrp sign --key rsa.jwk payload > jws
    refused 6 'roca.jwk: the RSA modulus has the ROCA fingerprint' verify --key roca.jwk -o out jws
    refused 6 'roca.jwk: the RSA modulus has the ROCA fingerprint' encrypt --to roca.jwk payload
    # a remainder that is no power of 65537 modulo 11 (2) has not
    jq -cn --arg n "$(hex_to_base64url "${n:0:${#n}-1}3")" '{kty: "RSA", n: $n, e: "AQAB"}' > other.jwk
    otrp jwk other.jwk > /dev/null
}

@test "EC points that are not on the curve, or at infinity" {
    otrp sign --key P-256.jwk payload > jws
    local zero ones p=ffffffff00000001000000000000000000000000ffffffffffffffffffffffff
    zero=$(hex_to_base64url "$(printf %064d 0)")
    ones=$(hex_to_base64url "$(printf %064d 1)")
    jq -c --arg y "$ones" '.y = $y' P-256-public.jwk > off.jwk
    jq -c --arg z "$zero" '.x = $z | .y = $z' P-256-public.jwk > zero.jwk
    jq -c --slurpfile other P-384-public.jwk '. + {crv: "P-384"}' P-256-public.jwk > crv.jwk
    jq -c --arg p "$(hex_to_base64url $p)" '.x = $p' P-256-public.jwk > prime.jwk
    jq -c '(.x, .y) |= .[:-2]' P-256-public.jwk > short.jwk
    local key
    for key in off zero prime; do
        refused 6 "$key.jwk: not a sound (EC key|key on P-256): .*(point|encoding|coordinates|range)" verify --key $key.jwk -o out jws
        refused 6 "$key.jwk: not a sound (EC key|key on P-256)" encrypt --to $key.jwk payload
    done
    refused 6 'crv.jwk: x and y must be 48 bytes long on P-384' verify --key crv.jwk -o out jws
    refused 6 'short.jwk' verify --key short.jwk -o out jws
    # as the ephemeral key of a message: the attack on the recipient's key
    otrp encrypt --to P-256.jwk -s flattened payload > jwe
    for key in off zero; do
        jq -c --slurpfile k $key.jwk '.header.epk = $k[0]' jwe > invalid
        refused 6 'epk: not a sound (EC key|key on P-256)' decrypt --key P-256.jwk invalid
    done
    jq -c --slurpfile k P-384-public.jwk '.header.epk = $k[0]' jwe > other
    refused 5 'epk: not on the curve of the key' decrypt --key P-256.jwk other
    jq -c --slurpfile k rsa-public.jwk '.header.epk = $k[0]' jwe > other
    refused 5 'epk: not on the curve of the key' decrypt --key P-256.jwk other
    jq -c 'del(.header.epk)' jwe > other
    refused 6 'epk: missing' decrypt --key P-256.jwk other
}

@test "the same in PEM: infinity, and off the curve" {
    otrp sign --key P-256.jwk payload > jws
    local hex spki=301306072a8648ce3d020106082a8648ce3d030107
    for hex in "3019${spki}03020000" "3059${spki}03420004$(printf %0128d 1)"; do
        { echo '-----BEGIN PUBLIC KEY-----' && to_bytes <<< "$hex" | base64 && echo '-----END PUBLIC KEY-----'; } > bad.pem
        refused 6 'bad.pem: ' verify --key bad.pem -o out jws
        refused 6 'bad.pem: ' encrypt --to bad.pem payload
    done
}

@test "low-order points of X25519 and X448" {
    local curve x
    for curve in X25519 X448; do
        otrp encrypt --to $curve.jwk -s flattened payload > jwe
        for x in 00 01; do
            x=$x$(printf "%0$(($(jq -r .x $curve.jwk | base64url_decode | wc -c) * 2 - 2))d" 0)
            jq -c --arg x "$(hex_to_base64url "$x")" '.header.epk.x = $x' jwe > low
            refused 5 'the two keys do not agree on a secret' decrypt --key $curve.jwk low
        done
    done
}

@test "a JWK whose private part does not belong to its public part" {
    local pair
    for pair in P-256:P-256b Ed25519:X25519; do
        jq -c --slurpfile other "${pair#*:}.jwk" '.d = $other[0].d' "${pair%:*}.jwk" > mixed.jwk
        refused 6 'mixed.jwk: .*(private part does not belong|sound key on P-256)' sign --key mixed.jwk payload
        refused 6 'mixed.jwk: .*(private part does not belong|sound key on P-256)' jwk mixed.jwk
    done
    jq -c --slurpfile other Ed25519.jwk '.d = $other[0].d' X25519.jwk > mixed.jwk
    refused 6 'mixed.jwk: its private part does not belong to its public part' jwk mixed.jwk
    local member
    for member in n d p q dp dq qi; do
        jq -c --slurpfile other rsa2.jwk ".$member = \$other[0].$member" rsa.jwk > mixed.jwk
        refused 6 'mixed.jwk: its private part does not belong to its public part' sign --key mixed.jwk payload
    done
    jq -c '.e = "Aw"' rsa.jwk > mixed.jwk
    refused 6 'mixed.jwk: its private part does not belong to its public part' sign --key mixed.jwk payload
    jq -c '(.p, .q) |= "AA"' rsa.jwk > mixed.jwk
    refused 6 'mixed.jwk: its private part does not belong to its public part' sign --key mixed.jwk payload
    jq -c '.d = "AA"' P-256.jwk > mixed.jwk
    refused 6 'mixed.jwk: ' sign --key mixed.jwk payload
    for member in p q dp dq qi n e; do
        jq -c "del(.$member)" rsa.jwk > partial.jwk
        refused 6 "partial.jwk.$member: missing" sign --key partial.jwk payload
    done
}

# ---- headers ----

@test "crit that names what is not implemented, is empty, or stands unprotected" {
    local crit
    hs256 '{"alg":"HS256","crit":["exp"],"exp":1}' > jws
    refused 6 '"crit" asks for "exp", which is not implemented' verify --key oct.jwk -o out jws
    hs256 '{"alg":"HS256","crit":["b64"],"b64":true}' > jws
    refused 6 '"crit" asks for "b64", which is not implemented' verify --key oct.jwk -o out jws
    for crit in '[]' '{}' '"exp"' null '[1]' '[null,"exp"]' true; do
        hs256 "{\"alg\":\"HS256\",\"crit\":$crit,\"exp\":1}" > jws
        refused 6 '"crit" is not a list of names' verify --key oct.jwk -o out jws
        sealed "{$DIR,\"crit\":$crit}" > jwe
        refused 6 '"crit" is not a list of names' decrypt --key oct.jwk jwe
    done
    for crit in '["exp"]' '[]' '["alg"]'; do
        flattened '{"alg":"HS256"}' "{\"crit\":$crit,\"exp\":1}" > jws
        refused 6 '"crit" stands in an unprotected header' verify --key oct.jwk -o out jws
        sealed_json "{$DIR}" "{\"header\":{\"crit\":$crit}}" > jwe
        refused 6 '"crit" stands in an unprotected header' decrypt --key oct.jwk jwe
        sealed_json "{$DIR}" "{\"unprotected\":{\"crit\":$crit}}" > jwe
        refused 6 '"crit" stands in an unprotected header' decrypt --key oct.jwk jwe
    done
    sealed "{$DIR,\"crit\":[\"foo\"],\"foo\":1}" > jwe
    refused 6 '"crit" asks for "foo", which is not implemented' decrypt --key oct.jwk jwe
}

@test "crit in what is made, which we could not read ourselves" {
    refused 2 '"crit"' sign --key oct.jwk --protected '{"crit":["foo"],"foo":1}' payload
    refused 2 '"crit"' sign --key oct.jwk --header '{"crit":["foo"],"foo":1}' payload
    local form
    for form in flattened general compact; do
        refused 2 '"crit"' encrypt --to oct.jwk --alg dir -s $form --protected '{"crit":["foo"],"foo":1}' payload
    done
}

@test "crit in one of several signatures spoils the message" {
    jq -cn --argjson a "$(flattened '{"alg":"HS256"}')" --argjson b "$(flattened '{"alg":"HS256","crit":["x"],"x":1}')" \
        '{payload: $a.payload, signatures: [($a | del(.payload)), ($b | del(.payload))]}' > jws
    refused 6 'signatures\[1\]: "crit" asks for "x"' verify --key oct.jwk -o out jws
}

@test "b64: false" {
    hs256 '{"alg":"HS256","b64":false}' > jws
    refused 6 '"b64": false is not supported' verify --key oct.jwk -o out jws
    hs256 '{"alg":"HS256","b64":false,"crit":["b64"]}' > jws
    refused 6 '"(crit|b64)"' verify --key oct.jwk -o out jws
    flattened '{"alg":"HS256"}' '{"b64":false}' > jws
    refused 6 '"b64": false is not supported' verify --key oct.jwk -o out jws
    refused 2 '"b64": false is not supported' sign --key oct.jwk --protected '{"b64":false}' payload
}

@test "b64 that is neither true nor false" {
    local value
    for value in 0 '"false"' null; do
        hs256 "{\"alg\":\"HS256\",\"b64\":$value}" > jws
        refused 6 '"b64"' verify --key oct.jwk -o out jws
    done
}

@test "zip, with a clear word" {
    sealed "{$DIR,\"zip\":\"DEF\"}" > jwe
    refused 6 '"zip" is not supported' decrypt --key oct.jwk jwe
}

@test "zip in an unprotected header" {
    sealed_json "{$DIR}" '{"unprotected":{"zip":"DEF"}}' > jwe
    refused 6 '"zip" is not supported' decrypt --key oct.jwk jwe
    sealed_json "{$DIR}" '{"header":{"zip":"DEF"}}' > jwe
    refused 6 '"zip" is not supported' decrypt --key oct.jwk jwe
}

@test "zip in what is made" {
    local form
    for form in flattened general compact; do
        refused 2 '"zip" is not supported' encrypt --to oct.jwk --alg dir -s $form --protected '{"zip":"DEF"}' payload
    done
}

@test "PBES2, with a clear word" {
    local alg
    for alg in PBES2-HS256+A128KW PBES2-HS384+A192KW PBES2-HS512+A256KW; do
        sealed "{\"alg\":\"$alg\",\"enc\":\"A128CBC-HS256\",\"p2s\":\"AAAAAAAAAAA\",\"p2c\":1000}" > jwe
        refused 5 "\"${alg/+/\\+}\" is not supported: passwords make weak keys" decrypt --key oct.jwk jwe
        refused 2 'not supported' encrypt --to oct.jwk --alg "$alg" payload
    done
}

@test "a parameter in more than one of the headers" {
    flattened '{"alg":"HS256"}' '{"alg":"HS256"}' > jws
    refused 6 '"alg" stands in more than one header' verify --key oct.jwk -o out jws
    flattened '{"alg":"HS256","x":1}' '{"x":2}' > jws
    refused 6 '"x" stands in more than one header' verify --key oct.jwk -o out jws
    sealed_json "{$DIR}" '{"header":{"enc":"A128CBC-HS256"}}' > jwe
    refused 6 '"enc" stands in more than one header' decrypt --key oct.jwk jwe
    sealed_json "{$DIR}" '{"unprotected":{"alg":"dir"}}' > jwe
    refused 6 '"alg" stands in more than one header' decrypt --key oct.jwk jwe
    sealed_json "{$DIR}" '{"unprotected":{"x":1},"header":{"x":1}}' > jwe
    refused 6 '"x" stands in more than one header' decrypt --key oct.jwk jwe
    sealed_json "{$DIR}" '{"recipients":[{"header":{"alg":"dir"}}]}' > jwe
    refused 6 'recipients\[0\]: "alg" stands in more than one header' decrypt --key oct.jwk jwe
    refused 2 '"x" stands in more than one header' sign --key oct.jwk --protected '{"x":1}' --header '{"x":1}' payload
    refused 2 '"alg" stands in more than one header' sign --key oct.jwk --header '{"alg":"HS256"}' payload
}

@test "duplicate members" {
    local good
    hs256 '{"alg":"HS256","alg":"HS256"}' > jws
    refused 6 'JWS.protected: .*duplicate' verify --key oct.jwk -o out jws
    hs256 '{"alg":"HS256","\u0061lg":"HS256"}' > jws
    refused 6 'JWS.protected: .*duplicate' verify --key oct.jwk -o out jws
    hs256 '{"alg":"HS256","x":{"y":[{"a":1,"a":1}]}}' > jws
    refused 6 'JWS.protected: .*duplicate' verify --key oct.jwk -o out jws
    good=$(flattened '{"alg":"HS256"}')
    printf %s "${good%?},\"payload\":\"AAAA\"}" > jws
    refused 6 'twice|duplicate' verify --key oct.jwk -o out jws
    printf %s "${good%?},\"\\u0070ayload\":\"AAAA\"}" > jws
    refused 6 'twice|duplicate' verify --key oct.jwk -o out jws
    printf %s "${good%?},\"header\":{\"a\":1,\"a\":1}}" > jws
    refused 6 'twice|duplicate' verify --key oct.jwk -o out jws
    good=$(sealed_json "{$DIR}")
    printf %s "${good%?},\"tag\":\"AAAA\"}" > jwe
    refused 6 'twice|duplicate' decrypt --key oct.jwk jwe
    sealed "{$DIR,\"enc\":\"A128CBC-HS256\"}" > jwe
    refused 6 'JWE.protected: .*duplicate' decrypt --key oct.jwk jwe
    good=$(cat oct.jwk)
    printf %s "${good%?},\"kty\":\"oct\"}" > twice.jwk
    refused 6 'twice.jwk: .*duplicate' sign --key twice.jwk payload
    refused 2 '--protected: .*duplicate' sign --key oct.jwk --protected '{"x":1,"x":1}' payload
}

# ---- encoding ----

# spoilt TEXT: what is no base64url any more, a line each: padding, white space, + and /, trailing bits,
# a length that none has.
spoilt() {
    printf '%s=\n%s==\n%s%%0A\n %s\n%s \n%s+%s\n%s/%s\n' "$1" "$1" "$1" "$1" "$1" "${1:0:2}" "${1:3}" "${1:0:2}" "${1:3}"
}

@test "base64url with padding, white space, + or /, or non-zero trailing bits, in each part of a JWS" {
    local good part bad
    good=$(flattened '{"alg":"HS256"}')
    for part in protected signature; do
        while IFS= read -r bad; do
            jq -cn --argjson good "$good" --arg part $part --arg bad "${bad//%0A/$'\n'}" '$good | .[$part] = $bad' > jws
            refused 6 "$part: .*(padding|is no digit)" verify --key oct.jwk -o out jws
        done < <(spoilt "$(jq -r .$part <<< "$good")")
    done
    # 32 bytes leave two bits, 7 bytes leave four
    jq -c '.signature |= .[:-1] + (if .[-1:] == "A" then "B" elif .[-1:] == "E" then "F" elif .[-1:] == "I" then "J" else "x" end)' <<< "$good" > jws
    refused 6 'signature: non-zero bits after the end' verify --key oct.jwk -o out jws
    local protected
    protected=$(text_to_base64url '{"alg":"HS256" }') # 16 bytes
    printf %s "${protected%?}B.$(base64url_encode < payload).$(hs256 '{"alg":"HS256" }' | cut -d. -f3)" > jws
    refused 6 'protected: non-zero bits after the end' verify --key oct.jwk -o out jws
    hs256 '{"alg":"HS256"}' | sed 's/\./=./' > jws
    refused 6 'protected: padding at offset' verify --key oct.jwk -o out jws
    # the signature holds for the payload as it is written, so that nothing else refuses these
    while IFS= read -r bad; do
        bad=${bad//%0A/$'\n'}
        printf '%s.%s' "$(text_to_base64url '{"alg":"HS256"}')" "$bad" > signed
        jq -cn --arg payload "$bad" --arg protected "$(text_to_base64url '{"alg":"HS256"}')" --arg signature \
            "$(openssl dgst -sha256 -mac HMAC -macopt hexkey:$OCT -binary signed | base64url_encode)" \
            '{payload: $payload, protected: $protected, signature: $signature}' > jws
        refused 6 'JWS.payload: ' verify --key oct.jwk -o out jws
    done < <(spoilt cGF5bG9hZA && printf '%s\n' cGF5bG9hZB cGF5b)
}

@test "the same in each part of a JWE" {
    local good part bad
    otrp encrypt --to oct16.jwk --alg A128KW -s flattened --aad payload payload > good
    good=$(cat good)
    for part in protected encrypted_key iv ciphertext tag; do
        while IFS= read -r bad; do
            jq -cn --argjson good "$good" --arg part $part --arg bad "${bad//%0A/$'\n'}" '$good | .[$part] = $bad' > jwe
            refused 6 "$part: .*(padding|is no digit)" decrypt --key oct16.jwk jwe
        done < <(spoilt "$(jq -r .$part <<< "$good")")
        [ $part = encrypted_key ] || [ "$(jq -r ".$part | length % 4" <<< "$good")" = 0 ] && continue
        jq -cn --argjson good "$good" --arg part $part '$good | .[$part] |= .[:-1] + (.[-1:] |
            if . == "A" then "B" elif . == "Q" then "R" elif . == "g" then "h" elif . == "w" then "x" else . + "AA" end)' > jwe
        [ "$(jq -r ".$part | length % 4" jwe)" = 1 ] || refused 6 "$part: non-zero bits" decrypt --key oct16.jwk jwe
    done
    printf %s "$(sealed "{$DIR}")=" > jwe
    refused 6 'tag: padding' decrypt --key oct.jwk jwe
}

@test "the same in the AAD" {
    # the tag holds for the AAD as it is written, so that nothing else refuses these
    local protected bad
    protected=$(text_to_base64url "{$DIR}")
    while IFS= read -r bad; do
        bad=${bad//%0A/$'\n'}
        seal A128CBC-HS256 $OCT $IV "$protected.$bad" < payload
        jq -cn --arg protected "$protected" --arg aad "$bad" --arg iv "$(hex_to_base64url $IV)" --arg ciphertext \
            "$(hex_to_base64url "$CIPHERTEXT")" --arg tag "$(hex_to_base64url "$TAG")" '$ARGS.named' > jwe
        refused 6 'JWE.aad: ' decrypt --key oct.jwk jwe
    done < <(spoilt cGF5bG9hZA && printf '%s\n' cGF5bG9hZB cGF5b)
}

@test "the same in each member of a key" {
    local key part bad
    for key in oct:k P-256:x P-256:y P-256:d Ed25519:x Ed25519:d rsa:n rsa:e rsa:d rsa:qi; do
        part=${key#*:} key=${key%:*}
        for bad in = ' ' + /; do
            jq -c --arg bad "$bad" ".$part += \$bad" "$key.jwk" > bad.jwk
            refused 6 "bad.jwk.$part: " sign --key bad.jwk payload
        done
    done
    jq -c '.k |= .[:-1] + "9"' oct.jwk > bad.jwk
    refused 6 'bad.jwk.k: non-zero bits' sign --key bad.jwk payload
}

@test "segments missing or left over" {
    local good
    good=$(hs256 '{"alg":"HS256"}')
    local bad
    for bad in "${good%.*}" "${good%%.*}" "$good." "$good.AAAA" ".$good"; do
        printf %s "$bad" > jws
        refused 6 'compact serialization needs exactly 3 segments, there are (more|fewer)' verify --key oct.jwk -o out jws
    done
    for bad in "${good%.*}." ".${good#*.}" ..; do
        printf %s "$bad" > jws
        refused "3|6" . verify --key oct.jwk -o out jws
    done
    good=$(sealed "{$DIR}")
    for bad in "${good%.*}" "$good." "$good.AAAA" ".$good" "${good/../.}"; do
        printf %s "$bad" > jwe
        refused 6 'compact serialization needs exactly 5 segments, there are (more|fewer)' decrypt --key oct.jwk jwe
    done
}

@test "members missing, of a wrong type, or of two forms at once" {
    local good part
    good=$(flattened '{"alg":"HS256"}')
    jq -c 'del(.signature)' <<< "$good" > jws
    refused 6 'signature: missing' verify --key oct.jwk -o out jws
    jq -c 'del(.payload)' <<< "$good" > jws
    refused 6 'payload: missing' verify --key oct.jwk -o out jws
    for part in payload protected signature; do
        jq -c ".$part = 1" <<< "$good" > jws
        refused 6 "$part: a number, not a string" verify --key oct.jwk -o out jws
    done
    jq -c '.header = []' <<< "$good" > jws
    refused 6 'header: an array, not an object' verify --key oct.jwk -o out jws
    jq -c '. + {signatures: [{protected, signature}]}' <<< "$good" > jws
    refused 6 'both "signature" and "signatures"' verify --key oct.jwk -o out jws
    jq -c '{payload, signatures: []}' <<< "$good" > jws
    refused 6 'signatures: not an array of 1 to' verify --key oct.jwk -o out jws
    jq -c '{payload, signatures: [1]}' <<< "$good" > jws
    refused 6 'signatures\[0\]' verify --key oct.jwk -o out jws

    good=$(sealed_json "{$DIR}")
    for part in iv ciphertext tag; do
        jq -c "del(.$part)" <<< "$good" > jwe
        refused 6 "$part: missing" decrypt --key oct.jwk jwe
        jq -c ".$part = null" <<< "$good" > jwe
        refused 6 "$part: .*, not a string" decrypt --key oct.jwk jwe
    done
    jq -c '. + {recipients: [{}], header: {}}' <<< "$good" > jwe
    refused 6 '"recipients" beside a recipient of its own' decrypt --key oct.jwk jwe
    jq -c '. + {recipients: []}' <<< "$good" > jwe
    refused 6 'recipients: not an array of 1 to' decrypt --key oct.jwk jwe
    jq -c '. + {encrypted_key: "AAAA"}' <<< "$good" > jwe
    refused 6 'encrypted_key: must be empty with dir' decrypt --key oct.jwk jwe
    otrp encrypt --to P-256.jwk --alg ECDH-ES -s flattened payload | jq -c '. + {encrypted_key: "AAAA"}' > jwe
    refused 6 'encrypted_key: must be empty with ECDH-ES' decrypt --key P-256.jwk jwe
}

# ---- sets of keys ----

# set KEY...: a JWK set of these objects
set_of() {
    jq -cn '{keys: [inputs]}' <<< "$*" > set.jwk
}

same_kid() { # KEY...: a set of these, all with the kid "same"
    jq -c '. + {kid: "same"}' "$@" | jq -cs '{keys: .}' > set.jwk
}

@test "several keys with the same kid" {
    same_kid P-256.jwk P-256b.jwk
    otrp sign --key P-256.jwk --header '{"kid":"same"}' payload > jws
    refused '3|6' 'have the same kid "same"' verify --key set.jwk -o out jws
    otrp sign --key P-256.jwk --header '{"kid":"other"}' payload > jws
    refused '3|6' . verify --key set.jwk -o out jws
}

@test "several keys with the same kid, of different types" {
    same_kid P-256.jwk rsa.jwk
    otrp sign --key P-256.jwk --header '{"kid":"same"}' payload > jws
    refused '3|6' 'have the same kid "same"' verify --key set.jwk -o out jws
}

@test "several keys with the same kid, to decrypt with" {
    same_kid P-256.jwk P-256b.jwk
    otrp encrypt --to P-256.jwk payload > jwe
    refused '5|6' 'have the same kid "same"' decrypt --key set.jwk jwe
}

@test "a set from which kid and alg do not choose one key" {
    local a b
    a=$(jq -c '. + {kid: "a"}' P-256.jwk) b=$(jq -c '. + {kid: "b"}' P-256b.jwk)
    set_of "$a" "$b"
    otrp sign --key P-256.jwk payload > jws
    refused 3 'several keys fit ES256' verify --key set.jwk -o out jws
    otrp sign --key P-256.jwk --header '{"kid":"c"}' payload > jws
    refused 3 'no key has the kid "c"' verify --key set.jwk -o out jws
    otrp sign --key rsa.jwk payload > jws
    refused 3 'RS256 does not fit a key of type' verify --key set.jwk -o out jws
    otrp sign --key P-256.jwk --header '{"kid":7}' payload > jws
    refused "3|6" '("kid" is not a string|several keys fit)' verify --key set.jwk -o out jws
    # two keys without a kid that both fit
    set_of "$(cat P-256.jwk)" "$(cat P-256b.jwk)"
    otrp sign --key P-256.jwk --header '{"kid":"a"}' payload > jws
    refused 3 'several keys fit ES256' verify --key set.jwk -o out jws
}

@test "a set from which kid and alg do not choose one key to decrypt with" {
    set_of "$(cat P-256.jwk)" "$(cat P-256b.jwk)"
    otrp encrypt --to P-256.jwk payload > jwe
    refused 5 'several keys fit' decrypt --key set.jwk jwe
}

@test "a set from which alg, or kid, chooses one key is as good as that key" {
    otrp sign --key P-256.jwk payload > jws
    otrp encrypt --to P-256.jwk payload > jwe
    set_of "$(cat P-256.jwk)" "$(cat rsa.jwk)" "$(cat P-384.jwk)"
    otrp verify -q --key set.jwk jws
    assert_equal "$(otrp decrypt --key set.jwk jwe)" payload
}

@test "symmetric and asymmetric candidates mixed" {
    set_of "$(cat P-256.jwk)" "$(cat oct.jwk)"
    otrp sign --key P-256.jwk payload > jws
    refused 3 'symmetric and asymmetric keys are mixed' verify --key set.jwk -o out jws
    hs256 '{"alg":"HS256"}' > jws
    refused 3 'symmetric and asymmetric keys are mixed' verify --key set.jwk -o out jws
}

@test "symmetric and asymmetric candidates mixed, to decrypt with" {
    set_of "$(cat P-256.jwk)" "$(cat oct.jwk)"
    otrp encrypt --to P-256.jwk payload > jwe
    refused 5 'symmetric and asymmetric keys are mixed' decrypt --key set.jwk jwe
    sealed "{$DIR}" > jwe
    refused 5 'symmetric and asymmetric keys are mixed' decrypt --key set.jwk jwe
}

# ---- content ----

@test "a CEK of the wrong length" {
    local bytes
    for bytes in 15 16 31 33 48 64; do
        refused 2 "the CEK has $bytes bytes, A128CBC-HS256 needs 32" encrypt --to P-256.jwk --cek oct$bytes.jwk payload
        refused 2 'oct.*: A128CBC-HS256 needs a key of 256 bits, this has' encrypt --to oct$bytes.jwk --alg dir payload
    done
    otrp encrypt --to P-256.jwk payload > jwe
    refused 5 'A128CBC-HS256 needs a key of 32 bytes, this one has 16' decrypt --key oct16.jwk jwe
    sealed "{$DIR}" > jwe
    refused 5 'A128CBC-HS256 needs a key of 256 bits, this has 264' decrypt --key oct33.jwk jwe
    refused 2 'makes the content encryption key itself' encrypt --to P-256.jwk --alg ECDH-ES --cek oct32.jwk payload
    refused 2 'a content encryption key is one JWK of type oct' encrypt --to P-256.jwk --cek rsa.jwk payload
    echo '{"kty":"oct","k":""}' > none.jwk
    refused 2 'none.jwk: the key is empty' encrypt --to P-256.jwk --cek none.jwk payload
    # one that is wrapped: told from a wrong tag by nothing
    otrp jwk --pem rsa.jwk > rsa.pem
    otrp encrypt --to rsa.jwk -s flattened payload > good
    refused 5 'the authentication tag is wrong' decrypt --key rsa2.jwk good
    local wrong=$stderr
    for bytes in 16 31 33; do
        jq -r .k oct$bytes.jwk | base64url_decode | openssl pkeyutl -encrypt -inkey rsa.pem -out encrypted
        jq -c --arg key "$(base64url_encode < encrypted)" '.encrypted_key = $key' good > jwe
        refused 5 'the authentication tag is wrong' decrypt --key rsa.jwk jwe
        assert_equal "$stderr" "${wrong//rsa2/rsa}"
    done
    for bytes in 16 24 48; do
        jq -cn --argjson good "$(otrp encrypt --to oct32.jwk --alg A256KW -s flattened payload)" --arg key \
            "$(hex_to_base64url "$(wrap "$(base64url_to_hex "$(jq -r .k oct32.jwk)")" "$(base64url_to_hex "$(jq -r .k oct$bytes.jwk)")")")" \
            '$good | .encrypted_key = $key' > jwe
        refused 5 'the authentication tag is wrong' decrypt --key oct32.jwk jwe
    done
}

@test "an encrypted key of a wrong size, for RSA: told from a wrong tag by nothing" {
    otrp encrypt --to rsa.jwk -s flattened payload > good
    local key size
    key=$(base64url_to_hex "$(jq -r .encrypted_key good)")
    for size in "" 00 "${key:2}" "00$key" "${key}00" "$(printf %0512d 0)" "${key//?/f}"; do
        jq -c --arg key "$(hex_to_base64url "$size")" '.encrypted_key = $key' good > jwe
        refused 5 'the authentication tag is wrong' decrypt --key rsa.jwk jwe
        jq -c '.header.alg = "RSA-OAEP"' jwe > oaep
        refused 5 'the authentication tag is wrong' decrypt --key rsa.jwk oaep
    done
}

@test "an IV of the wrong length" {
    local enc size
    for enc in A128CBC-HS256:16 A256CBC-HS512:16 A128GCM:12 A256GCM:12; do
        size=${enc#*:} enc=${enc%:*}
        otrp encrypt --to P-256.jwk --enc "$enc" -s flattened payload > good
        local bytes
        for bytes in 0 1 $((size - 1)) $((size + 1)) 32; do
            jq -c --arg iv "$(head -c $bytes /dev/zero | base64url_encode)" '.iv = $iv' good > jwe
            refused 6 "iv: $bytes bytes, $enc needs $size" decrypt --key P-256.jwk jwe
        done
    done
    # and of the wrapped key
    otrp encrypt --to oct16.jwk --alg A128GCMKW -s flattened payload > good
    jq -c '.header.iv = "AAAA"' good > jwe
    refused 6 'iv has 3 bytes .*A128GCMKW needs 12' decrypt --key oct16.jwk jwe
    jq -c '.header.tag |= .[:16]' good > jwe
    refused 6 'tag 12, A128GCMKW needs 12 and 16' decrypt --key oct16.jwk jwe
    jq -c 'del(.header.tag)' good > jwe
    refused 6 'header.tag: missing' decrypt --key oct16.jwk jwe
}

@test "a tag that is truncated or too long, at every length" {
    local enc size hex length
    for enc in A128CBC-HS256:16 A192CBC-HS384:24 A256CBC-HS512:32 A128GCM:16 A256GCM:16; do
        size=${enc#*:} enc=${enc%:*}
        otrp encrypt --to P-256.jwk --enc "$enc" -s flattened payload > good
        hex=$(base64url_to_hex "$(jq -r .tag good)")0000
        for ((length = 0; length <= size + 1; length++)); do
            [ "$length" != "$size" ] || continue
            jq -c --arg tag "$(hex_to_base64url "${hex:0:2 * length}")" '.tag = $tag' good > jwe
            refused 6 "tag: $length bytes, $enc needs $size" decrypt --key P-256.jwk jwe
        done
    done
}

@test "bad PKCS#7 padding is seen only after the tag is right" {
    local protected last tag
    protected=$(text_to_base64url "{$DIR}")
    for last in 00 11 02 ff 10; do
        # a block whose last byte says so, and the right tag over it
        printf '%030d%s' 0 $last | to_bytes | openssl enc -aes-128-cbc -nopad -K ${OCT:32} -iv $IV -out ciphertext
        tag=$({ printf %s "$protected" | to_hex && printf '%s%s%016x' $IV "$(to_hex < ciphertext)" $((8 * ${#protected})); } |
            to_bytes | openssl dgst -sha256 -mac HMAC -macopt hexkey:${OCT:0:32} -binary | head -c 16 | base64url_encode)
        printf %s "$protected..$(hex_to_base64url $IV).$(base64url_encode < ciphertext).$tag" > jwe
        refused 5 'the padding of the content is wrong' decrypt --key oct.jwk jwe
        printf %s "$protected..$(hex_to_base64url $IV).$(base64url_encode < ciphertext).$(hex_to_base64url $IV)" > jwe
        refused 5 'the authentication tag is wrong' decrypt --key oct.jwk jwe
    done
    # no whole block at all, rightly tagged
    local size
    for size in 0 1 15 17; do
        head -c $size /dev/zero > ciphertext
        tag=$({ printf %s "$protected" | to_hex && printf '%s%s%016x' $IV "$(to_hex < ciphertext)" $((8 * ${#protected})); } |
            to_bytes | openssl dgst -sha256 -mac HMAC -macopt hexkey:${OCT:0:32} -binary | head -c 16 | base64url_encode)
        printf %s "$protected..$(hex_to_base64url $IV).$(base64url_encode < ciphertext).$tag" > jwe
        refused 5 'the padding of the content is wrong' decrypt --key oct.jwk jwe
    done
}

# ---- bounds ----

nested() { # N: arrays in each other
    printf "%0$1d" 0 | tr 0 '['
    printf "%0$1d" 0 | tr 0 ']'
}

@test "nesting deeper than allowed" {
    # the header is one object, the message holds it in another
    assert_equal "$(otrp verify -q --key oct.jwk -o - <(flattened '{"alg":"HS256"}' "{\"x\":$(nested 60)}"))" payload
    printf %s "$(flattened '{"alg":"HS256"}' '{"x":0}' | sed "s/\"x\":0/\"x\":$(nested 70)/")" > jws
    refused 6 'nested deeper than allowed' verify --key oct.jwk -o out jws
    head -c 1000000 /dev/zero | tr '\0' '[' > jws
    refused 6 . verify --key oct.jwk -o out jws
}

@test "nesting deeper than allowed in a header or a key" {
    hs256 "{\"alg\":\"HS256\",\"x\":$(nested 70)}" > jws
    refused 6 'JWS.protected: .*deeper than' verify --key oct.jwk -o out jws
    hs256 "{\"alg\":\"HS256\",\"x\":$(nested 3000)}" > jws
    refused 6 'JWS.protected: .*depth|deeper than' verify --key oct.jwk -o out jws
    sealed "{$DIR,\"x\":$(nested 70)}" > jwe
    refused 6 'JWE.protected: .*deeper than' decrypt --key oct.jwk jwe
    jq -c ". + {x: 0}" oct.jwk | sed "s/\"x\":0/\"x\":$(nested 70)/" > deep.jwk
    refused 6 'deep.jwk: .*deeper than' sign --key deep.jwk payload
}

@test "headers, keys and messages larger than allowed" {
    { printf '{"alg":"HS256","x":"' && head -c 1048576 /dev/zero | tr '\0' x && printf '"}'; } > header
    printf '%s.%s' "$(base64url_encode < header)" "$(base64url_encode < payload)" > signed
    printf '%s.%s' "$(cat signed)" "$(openssl dgst -sha256 -mac HMAC -macopt hexkey:$OCT -binary signed | base64url_encode)" > jws
    refused 6 'JWS.protected: larger than 1048576 bytes' verify --key oct.jwk -o out jws
    { printf '{"kty":"oct","k":"' && head -c 1048576 /dev/zero | tr '\0' A && printf '"}'; } > big.jwk
    refused "2|6" 'big.jwk: .*(1048576|larger)' sign --key big.jwk payload
    rm header signed jws big.jwk
    truncate -s 369098753 huge
    refused "2|6" 'huge: .*(369098752|larger)' verify --key oct.jwk huge
    refused "2|6" 'huge: .*(268435456|larger)' encrypt --to oct.jwk --alg dir huge
}

@test "more signatures, recipients, keys or values than allowed" {
    flattened '{"alg":"HS256"}' | jq -c '{payload, signatures: [range(33) as $i | {protected, signature}]}' > jws
    refused 6 'signatures: not an array of 1 to 32' verify --key oct.jwk -o out jws
    otrp encrypt --to P-256.jwk payload | jq -c '.recipients = [range(33) as $i | .recipients[0]]' > jwe
    refused 6 'recipients: not an array of 1 to 32' decrypt --key P-256.jwk jwe
    local to=() i
    for ((i = 0; i < 33; i++)); do to+=(--to P-256.jwk); done
    refused 2 '1 to 32 recipients, not 33' encrypt "${to[@]}" payload
    flattened '{"alg":"HS256"}' | jq -c '.x = [range(262144) | 0]' > jws
    refused 6 'more than .*values|values' verify --key oct.jwk -o out jws
}

@test "more signatures made than allowed" {
    local key=() i
    for ((i = 0; i < 33; i++)); do key+=(--key P-256.jwk); done
    refused 2 '1 to 32 (signatures|keys), not 33' sign -s general "${key[@]}" payload
}

@test "the bounds are documented" {
    run sed -n '/^.Ss Limits/,/^.S[hs] [^L]/p' "$ROOT/man/otrp.1"
    local bound
    for bound in '64 deep' '262144 values' '32 signatures' '32 recipients' '256 MiB' '1 MiB'; do
        assert_output --partial "$bound"
    done
}

@test "bounds of size, depth and count can be set" {
    flattened '{"alg":"HS256"}' '{"x":[[1]]}' > jws
    otrp verify -q --key oct.jwk --max-depth 4 --max-values 9 --max-bytes 400 jws
    refused 6 'nested deeper than allowed' verify --key oct.jwk --max-depth 3 jws
    refused 6 'more values than allowed' verify --key oct.jwk --max-values 4 jws
    refused 6 'jws: more than the 60 bytes allowed' verify --key oct.jwk --max-bytes 60 jws
    refused 2 'from 1 to 1024' verify --key oct.jwk --max-depth 5000 jws
    head -c 65 /dev/zero > payload65
    refused 6 'payload65: more than the 64 bytes allowed' sign --key oct.jwk --max-bytes 64 payload65
}
