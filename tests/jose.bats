#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# sign, verify, encrypt, decrypt and jwk, with jose and openssl as witnesses in both directions.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    RSA=$PKI/tam/tam/tam-mytam-rsa EC=$PKI_EC/tam/tam/tam-mytam-ec
    OTHER_RSA=$PKI/tam/tam/tam-othertam-rsa OTHER_EC=$PKI_EC/tam/tam/tam-othertam-ec
    printf '{"b":1, "a":"\xc3\xa9"}\n' > payload.json
}

# ---- helpers ----

to_hex() {
    xxd -p | tr -d '\n'
}

to_bytes() {
    xxd -r -p
}

# r and s of a raw ECDSA signature as openssl wants them, and back (P-256).
raw_to_der() {
    local hex
    hex=$(to_hex)
    printf 'asn1=SEQUENCE:s\n[s]\nr=INTEGER:0x%s\ns=INTEGER:0x%s\n' "${hex:0:64}" "${hex:64}" > asn1.cnf
    openssl asn1parse -genconf asn1.cnf -noout -out /dev/stdout
}

der_to_raw() {
    openssl asn1parse -inform DER | sed -n 's/.*INTEGER *:\(.*\)/\1/p' | while read -r number; do
        printf '%64s' "$number" | tr ' ' 0
    done | to_bytes
}

# seal CEK IV AAD: standard input with A128CBC-HS256 as openssl does it (RFC 7518 section 5.2), keys in
# hexadecimal; sets CIPHERTEXT and TAG, in base64url.
seal() {
    openssl enc -aes-128-cbc -K "${1:32}" -iv "$2" -out sealed.bin
    printf %s "$3" > aad.bin
    { printf '%s%s%s%016x' "$(to_hex < aad.bin)" "$2" "$(to_hex < sealed.bin)" $((8 * ${#3})) | to_bytes; } > authenticated.bin
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:${1:0:32}" -binary authenticated.bin | head -c 16 > tag.bin
    CIPHERTEXT=$(base64url_encode < sealed.bin) TAG=$(base64url_encode < tag.bin)
}

# wrap KEK CEK, in hexadecimal: AES key wrap (RFC 3394 section 2.2.1), a block at a time.
wrap() {
    local kek=$1 a=a6a6a6a6a6a6a6a6 blocks=() j i step=0 out
    for ((i = 0; i < ${#2}; i += 16)); do blocks+=("${2:i:16}"); done
    for ((j = 0; j < 6; j++)); do
        for i in "${!blocks[@]}"; do
            step=$((step + 1))
            out=$(printf %s "$a${blocks[i]}" | to_bytes | openssl enc -aes-128-ecb -nopad -K "$kek" | to_hex)
            printf -v a '%016x' $((16#${out:0:16} ^ step))
            blocks[i]=${out:16}
        done
    done
    printf %s "$a" "${blocks[@]}"
}

files() {
    find . -type f -not -name 'separate-stderr*' | sort
}

# refused EXIT REGEX ARGUMENT...: nothing on standard output, no file made.
refused() {
    local before
    before=$(files)
    run --separate-stderr otrp "${@:3}"
    assert_equal "$status" "$1"
    assert_equal "$output" ""
    assert_regex "$stderr" "$2"
    assert_equal "$(files)" "$before"
}

rfc7515_payload() {
    printf '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
}

RFC7515_PAYLOAD=eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ

# ---- vectors ----

@test "RFC 7515 A.2: RS256, to the byte" {
    cat > key.jwk << 'END'
{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
 "e":"AQAB",
 "d":"Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
 "p":"4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
 "q":"uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
 "dp":"BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
 "dq":"h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
 "qi":"IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U"}
END
    local signature=cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw
    run otrp sign --key key.jwk --serialization compact <(rfc7515_payload)
    assert_success
    assert_output "eyJhbGciOiJSUzI1NiJ9.$RFC7515_PAYLOAD.$signature"
    printf %s "$output" > jws
    otrp verify -q --key key.jwk -o payload jws
    rfc7515_payload | cmp - payload
    jose jws ver -i jws -k key.jwk -O - | cmp - payload
}

@test "RFC 7515 A.3: ES256" {
    echo '{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}' > key.jwk
    echo "eyJhbGciOiJFUzI1NiJ9.$RFC7515_PAYLOAD.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q" |
        tr -d '\n' > jws
    otrp verify -q --key key.jwk -o payload jws
    rfc7515_payload | cmp - payload
    jose jws ver -i jws -k key.jwk -O - | cmp - payload
    otrp sign --key key.jwk --serialization compact -o mine payload
    jose jws ver -i mine -k key.jwk -O - | cmp - payload
    refute cmp -s jws mine
}

@test "RFC 7516 A.2: RSA1_5 and A128CBC-HS256" {
    cat > key.jwk << 'END'
{"kty":"RSA","n":"sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BTYuyvVRdhS8exSZEy_c4gs_7svlJJQ4H9_NxsiIoLwAEk7-Q3UXERGYw_75IDrGA84-lA_-Ct4eTlXHBIY2EaV7t7LjJaynVJCpkv4LKjTTAumiGUIuQhrNhZLuF_RJLqHpM2kgWFLU7-VTdL1VbC2tejvcI2BlMkEpk1BzBZI0KQB0GaDWFLN-aEAw3vRw",
 "e":"AQAB",
 "d":"VFCWOqXr8nvZNyaaJLXdnNPXZKRaWCjkU5Q2egQQpTBMwhprMzWzpR8Sxq1OPThh_J6MUD8Z35wky9b8eEO0pwNS8xlh1lOFRRBoNqDIKVOku0aZb-rynq8cxjDTLZQ6Fz7jSjR1Klop-YKaUHc9GsEofQqYruPhzSA-QgajZGPbE_0ZaVDJHfyd7UUBUKunFMScbflYAAOYJqVIVwaYR5zWEEceUjNnTNo_CVSj-VvXLO5VZfCUAVLgW4dpf1SrtZjSt34YLsRarSb127reG_DUwg9Ch-KyvjT1SkHgUWRVGcyly7uvVGRSDwsXypdrNinPA4jlhoNdizK2zF2CWQ",
 "p":"9gY2w6I6S6L0juEKsbeDAwpd9WMfgqFoeA9vEyEUuk4kLwBKcoe1x4HG68ik918hdDSE9vDQSccA3xXHOAFOPJ8R9EeIAbTi1VwBYnbTp87X-xcPWlEPkrdoUKW60tgs1aNd_Nnc9LEVVPMS390zbFxt8TN_biaBgelNgbC95sM",
 "q":"uKlCKvKv_ZJMVcdIs5vVSU_6cPtYI1ljWytExV_skstvRSNi9r66jdd9-yBhVfuG4shsp2j7rGnIio901RBeHo6TPKWVVykPu1iYhQXw1jIABfw-MVsN-3bQ76WLdt2SDxsHs7q7zPyUyHXmps7ycZ5c72wGkUwNOjYelmkiNS0",
 "dp":"w0kZbV63cVRvVX6yk3C8cMxo2qCM4Y8nsq1lmMSYhG4EcL6FWbX5h9yuvngs4iLEFk6eALoUS4vIWEwcL4txw9LsWH_zKI-hwoReoP77cOdSL4AVcraHawlkpyd2TWjE5evgbhWtOxnZee3cXJBkAi64Ik6jZxbvk-RR3pEhnCs",
 "dq":"o_8V14SezckO6CNLKs_btPdFiO9_kC1DsuUTd2LAfIIVeMZ7jn1Gus_Ff7B7IVx3p5KuBGOVF8L-qifLb6nQnLysgHDh132NDioZkhH7mI7hPG-PYE_odApKdnqECHWw0J-F0JWnUd6D2B_1TvF9mXA2Qx-iGYn8OVV1Bsmp6qU",
 "qi":"eNho5yRBEBxhGBtQRww9QirZsB66TrfFReG_CcteI1aCneT0ELGhYlRlCtUkTRclIfuEPmNsNDPbLoLqqCVznFbvdB7x-Tl-m0l_eFTj2KiqwGqE9PZB9nNTwMVvH3VRRSLWACvPnSiwP8N5Usy-WRXS-V7TbpxIhvepTfE0NNo"}
END
    tr -d '\n' > jwe << 'END'
eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.UGhIOguC7IuEvf_NPVaXsGMoLOmwvc1GyqlIKOK1nN94nHPoltGRhWhw7Zx0-kFm1NJn8LE9XShH59_i8J0PH5ZZyNfGy2xGdULU7sHNF6Gp2vPLgNZ__deLKxGHZ7PcHALUzoOegEI-8E66jX2E4zyJKx-YxzZIItRzC5hlRirb6Y5Cl_p-ko3YvkkysZIFNPccxRU7qve1WYPxqbb2Yw8kZqa2rMWI5ng8OtvzlV7elprCbuPhcCdZ6XDP0_F8rkXds2vE4X-ncOIM8hAYHHi29NX0mcKiRaD0-D-ljQTP-cFPgwCp6X-nZZd9OHBv-B3oWh2TbqmScqXMR4gp_A.AxY8DCtDaGlsbGljb3RoZQ.KDlTtXchhZTGufMYmOYGS4HffxPSUrfmqCHXaI9wOGY.9hH0vgRfYgPnAHOd8stkvw
END
    run otrp decrypt --key key.jwk --save-cek cek.jwk jwe
    assert_success
    assert_output 'Live long and prosper.'
    assert_equal "$(jose jwe dec -i jwe -k key.jwk -O -)" 'Live long and prosper.'
    assert_equal "$(jq -r .k cek.jwk | base64url_decode | to_hex)" \
        04d31fc5549dfcfe0b649dfa3faa6ace6b7cd42d6f6b09dbc8b100f08f9c2ccf
}

@test "RFC 7518 C: the key that ECDH-ES derives, and a message made with it" {
    # Bob's key, and the ephemeral one of Alice; their secret and the derived key are the appendix's
    echo '{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}' > bob.jwk
    local alice='{"kty":"EC","crv":"P-256","x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0","y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"}'
    local secret=9e56d91d817135d372834283bf84269cfb316ea3da806a48f6daa7798cfe90c4
    derive() { # ALGORITHM: 128 bits for Alice and Bob
        local info
        info=$(printf '%08x%s%08x%s%08x%s%08x' ${#1} "$(printf %s "$1" | to_hex)" 5 "$(printf Alice | to_hex)" \
            3 "$(printf Bob | to_hex)" 128)
        openssl kdf -keylen 16 -kdfopt digest:SHA256 -kdfopt hexkey:$secret -kdfopt "hexinfo:$info" -binary SSKDF
    }
    assert_equal "$(derive A128GCM | base64url_encode)" VqqN6vgjbSBcIijNcacQGg
    otrp jwk --pem bob.jwk > bob.pem
    otrp jwk --pem <<< "$alice" > alice.pem
    assert_equal "$(openssl pkeyutl -derive -inkey bob.pem -peerkey alice.pem | to_hex)" $secret

    local cek protected
    cek=$(openssl rand -hex 32)
    protected=$(jq -cn --argjson epk "$alice" '{alg: "ECDH-ES+A128KW", enc: "A128CBC-HS256", epk: $epk,
        apu: "QWxpY2U", apv: "Qm9i"}' | tr -d '\n' | base64url_encode)
    seal "$cek" 000102030405060708090a0b0c0d0e0f "$protected" < payload.json
    printf %s "$protected.$(wrap "$(derive ECDH-ES+A128KW | to_hex)" "$cek" | to_bytes | base64url_encode).AAECAwQFBgcICQoLDA0ODw.$CIPHERTEXT.$TAG" > jwe
    otrp decrypt --key bob.jwk jwe | cmp - payload.json
    jose jwe dec -i jwe -k bob.jwk -O - | cmp - payload.json
}

@test "RFC 7638 3.1: a thumbprint" {
    echo '{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}' > key.jwk
    run otrp jwk --thumbprint key.jwk
    assert_output NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs
}

# ---- sign and verify ----

@test "what otrp signs, jose verifies, in all forms" {
    for base in "$RSA" "$EC"; do
        for form in compact flattened general; do
            otrp sign --key "$base-key.pem" --serialization $form payload.json > jws
            jose jws ver -i jws -k "$base-pub.jwk" -O - | cmp - payload.json
        done
    done
    jq -e 'keys == ["payload", "signatures"] and (.signatures | length) == 1' jws
    assert_equal "$(otrp sign --key "$EC-key.pem" payload.json | jq -c keys)" '["payload","protected","signature"]'
}

@test "what jose signs, otrp verifies, in all forms" {
    local alg base
    for alg in RS256 ES256; do
        [ $alg = RS256 ] && base=$RSA || base=$EC
        jose jws sig -I payload.json -k "$base-key.jwk" -s "{\"protected\":{\"alg\":\"$alg\"}}" -c -o compact.jws
        jose jws sig -I payload.json -k "$base-key.jwk" -s "{\"protected\":{\"alg\":\"$alg\"}}" -o flattened.jws
        jq '{payload, signatures: [{protected, signature}]}' flattened.jws > general.jws
        for form in compact flattened general; do
            run --separate-stderr otrp verify --key "$base-pub.jwk" -o payload $form.jws
            assert_success
            assert_equal "$output" ""
            assert_equal "$stderr" "otrp verify: good: JWS, $alg"
            cmp payload payload.json
            rm payload
        done
    done
}

@test "what otrp signs, openssl verifies, and the other way round" {
    local alg base header signature
    for alg in RS256 ES256; do
        [ $alg = RS256 ] && base=$RSA || base=$EC
        openssl pkey -in "$base-key.pem" -pubout -out public.pem
        otrp sign -k "$base-key.pem" --serialization compact payload.json > jws
        cut -d. -f1-2 jws | tr -d '\n' > signed.txt
        cut -d. -f3 jws | base64url_decode > signature.bin
        [ $alg = RS256 ] || raw_to_der < signature.bin > signature.der
        [ $alg = RS256 ] && mv signature.bin signature.der
        openssl dgst -sha256 -verify public.pem -signature signature.der signed.txt
        header=$(printf '{"alg":"%s","typ":"x"}' $alg | base64url_encode)
        printf %s "$header.$(base64url_encode < payload.json)" > signed.txt
        openssl dgst -sha256 -sign "$base-key.pem" -out signature.der signed.txt
        [ $alg = RS256 ] && signature=$(base64url_encode < signature.der)
        [ $alg = ES256 ] && signature=$(der_to_raw < signature.der | base64url_encode)
        otrp verify -q --key "$base-cert.pem" -o payload <<< "$(cat signed.txt).$signature"
        cmp payload payload.json
        rm payload
    done
}

@test "a payload is signed byte for byte, and the protected header is alg alone" {
    head -c 100000 /dev/urandom > random
    : > empty
    for file in payload.json random empty; do
        otrp sign --key "$EC-key.pem" $file > jws
        assert_equal "$(jq -r .protected jws | base64url_decode)" '{"alg":"ES256"}'
        jq -r .payload jws | base64url_decode | cmp - $file
        otrp verify -q --key "$EC-pub.jwk" -o back jws
        cmp back $file
        rm back
    done
    assert_equal "$(otrp sign -k "$RSA-key.pem" payload.json | jq -r .protected | base64url_decode)" '{"alg":"RS256"}'
}

@test "--message, --cert, --protected and --header put things where they belong" {
    otrp sign --key "$RSA-key.pem" --cert "$RSA-cert-plus-intermediate-cert.pem" --message CreateSDRequest \
        --header '{"kid":"k"}' --protected '{"typ":"t"}' payload.json > message.json
    assert_equal "$(jq -c '[keys, (.CreateSDRequest | keys)]' message.json)" \
        '[["CreateSDRequest"],["header","payload","protected","signature"]]'
    assert_equal "$(jq -r .CreateSDRequest.protected message.json | base64url_decode | jq -cS .)" '{"alg":"RS256","typ":"t"}'
    assert_equal "$(jq -c '.CreateSDRequest.header | [.kid, (.x5c | length)]' message.json)" '["k",2]'
    assert_equal "$(jq -r '.CreateSDRequest.header.x5c[0]' message.json)" \
        "$(openssl x509 -in "$RSA-cert.pem" -outform DER | base64 -w 0)"
    assert_equal "$(jq -r '.CreateSDRequest.header.x5c[1]' message.json)" \
        "$(openssl x509 -in "$PKI/tam/tam-ca/tam-ca-1-ec-cert.pem" -outform DER | base64 -w 0)"
    jq -c .CreateSDRequest message.json > jws
    jose jws ver -i jws -k "$RSA-pub.jwk" -O - | cmp - payload.json
    otrp verify -q --key "$RSA-pub.jwk" -o - jws | cmp - payload.json
    otrp verify -q --trust "$PKI/tam/tam-rootca" --no-revocation -o - jws | cmp - payload.json
}

@test "several keys make several signatures, and each of them is good" {
    otrp sign -k "$RSA-key.pem" -k "$EC-key.pem" --serialization general payload.json > jws
    assert_equal "$(jq '.signatures | length' jws)" 2
    for base in "$RSA" "$EC"; do
        jose jws ver -i jws -k "$base-pub.jwk" -O - | cmp - payload.json
        otrp verify -q --key "$base-pub.jwk" -o - jws | cmp - payload.json
    done
    refused 3 . verify --key "$OTHER_EC-pub.jwk" jws
    refused 2 . sign -k "$RSA-key.pem" -k "$EC-key.pem" --serialization compact payload.json
}

@test "a detached payload is left out" {
    otrp sign -k "$EC-key.pem" --detached payload.json > jws
    assert_equal "$(jq -c keys jws)" '["protected","signature"]'
    jq -c --arg payload "$(base64url_encode < payload.json)" '. + {payload: $payload}' jws > whole
    jose jws ver -i whole -k "$EC-pub.jwk" -O - | cmp - payload.json
    assert_equal "$(otrp sign -k "$EC-key.pem" --detached -s compact payload.json | cut -d. -f2)" ""
}

@test "one changed bit in any part makes a signature bad" {
    for base in "$RSA" "$EC"; do
        otrp sign -k "$base-key.pem" payload.json > jws
        for part in payload signature; do
            flip_last_byte_of .$part < jws > broken
            refused 3 . verify --key "$base-pub.jwk" broken
            refused 3 . verify --key "$base-pub.jwk" -o payload broken
        done
        flip_last_byte_of .protected < jws > broken # its JSON is broken too
        run --separate-stderr otrp verify --key "$base-pub.jwk" -o payload broken
        assert [ "$status" = 3 ] || [ "$status" = 6 ]
        assert [ ! -e payload ]
        jq -c --arg p "$(printf '{"alg":"%s" }' "$(otrp sign -k "$base-key.pem" payload.json | jq -r .protected |
            base64url_decode | jq -r .alg)" | base64url_encode)" '.protected = $p' jws > broken
        refused 3 . verify --key "$base-pub.jwk" broken
        for change in '.signature = ""' '.signature |= .[:-4]' '.payload += "="' '.payload |= "+" + .[1:]' '.payload |= " " + .'; do
            jq -c "$change" jws > broken
            run --separate-stderr otrp verify --key "$base-pub.jwk" -o payload broken
            assert [ "$status" = 3 ] || [ "$status" = 6 ]
            assert [ ! -e payload ]
        done
    done
    local zeros
    zeros=$(head -c 64 /dev/zero | base64url_encode)
    jq -c --arg s "$zeros" '.signature = $s' jws > broken
    refused 3 . verify --key "$EC-pub.jwk" broken
}

@test "only the right key verifies, and the key decides the algorithm" {
    otrp sign -k "$RSA-key.pem" payload.json > rsa
    otrp sign -k "$EC-key.pem" payload.json > ec
    refused 3 . verify --key "$OTHER_RSA-pub.jwk" rsa
    refused 3 . verify --key "$OTHER_EC-pub.jwk" ec
    refused 3 . verify --key "$EC-pub.jwk" rsa
    refused 3 . verify --key "$RSA-pub.jwk" ec
    # what the header says in place of the algorithm that made the signature
    local alg text
    for alg in none None HS256 RS512 PS256 ES384 '' XX; do
        text=$(printf '{"alg":"%s"}' "$alg" | base64url_encode)
        jq -c --arg p "$text" '.protected = $p' rsa > broken
        refused 3 . verify --key "$RSA-pub.jwk" broken
    done
    # the public key as a secret
    text=$(printf '{"alg":"HS256"}' | base64url_encode).$(base64url_encode < payload.json)
    openssl pkey -in "$RSA-key.pem" -pubout -out public.pem
    refused 3 . verify --key "$RSA-pub.jwk" <(printf %s "$text.$(printf %s "$text" | openssl dgst -sha256 -mac HMAC \
        -macopt "hexkey:$(to_hex < public.pem)" -binary | base64url_encode)")
    refused 3 . verify --key "$RSA-pub.jwk" <(printf '%s.%s.' "$(printf '{"alg":"none"}' | base64url_encode)" "$(base64url_encode < payload.json)")
    refused 2 . sign --key "$RSA-key.pem" --alg ES256 payload.json
    refused 2 'choose from .*RS256' sign --key "$RSA-key.pem" --alg none payload.json
    refused 2 . sign --key "$RSA-pub.jwk" payload.json
}

@test "what a JWK says of its use is obeyed" {
    jq -c '. + {use: "enc"}' "$EC-key.jwk" > enc.jwk
    jq -c '. + {key_ops: ["verify"]}' "$EC-key.jwk" > verify.jwk
    jq -c '. + {alg: "ES384"}' "$EC-key.jwk" > alg.jwk
    for key in enc verify alg; do refused 2 "$key.jwk" sign --key $key.jwk payload.json; done
    jq -c '. + {use: "sig", kid: "mine"}' "$EC-pub.jwk" > sig.jwk
    refused 2 sig.jwk encrypt --to sig.jwk payload.json
    jq -cn --slurpfile a sig.jwk --slurpfile b "$OTHER_EC-pub.jwk" '{keys: [$b[0] + {kid: "other"}, $a[0]]}' > set.jwk
    otrp sign -k "$EC-key.pem" --header '{"kid":"mine"}' payload.json > jws
    otrp verify -q --key set.jwk -o - jws | cmp - payload.json
}

@test "a JWS that is malformed is refused as such" {
    otrp sign -k "$EC-key.pem" payload.json > jws
    malformed() { # FILTER: of jq's
        jq -c "$1" jws > broken
        refused 6 . verify --key "$EC-pub.jwk" broken
    }
    malformed '.signature += "="'
    malformed '.protected += "="'
    malformed '.protected |= "e30"'
    malformed '.protected |= "bm8gSlNPTg"'
    malformed '.protected |= "W10"'
    malformed 'del(.signature)'
    malformed '.signature = 1'
    malformed '.payload = null'
    malformed '.header = []'
    malformed '.header = {alg: "ES256"}' # in both headers
    malformed '. + {signatures: []}'
    malformed '{payload, signatures: []}'
    malformed '{payload, signatures: {}}'
    malformed '[.]'
    malformed '{}'
    sed 's/^{/{"payload":"e30",/' jws > broken
    refused 6 'payload.*twice' verify --key "$EC-pub.jwk" broken
    sed 's/^{/{"pa\\u0079load":"e30",/' jws > broken
    refused 6 'payload.*twice' verify --key "$EC-pub.jwk" broken
    jq -c --arg p "$(printf '{"alg":"ES256","alg":"ES256"}' | base64url_encode)" '.protected = $p' jws > broken
    refused 6 . verify --key "$EC-pub.jwk" broken
    local length
    length=$(stat -c %s jws)
    for cut in 1 2 10 $((length / 2)) $((length - 2)); do
        head -c "$cut" jws > broken
        refused 6 . verify --key "$EC-pub.jwk" broken
    done
    : > broken
    refused 6 . verify --key "$EC-pub.jwk" broken
    for text in a.b a.b.c.d .. 'e30.e30.e30' 'nonsense'; do
        refused 6 . verify --key "$EC-pub.jwk" <(echo "$text")
    done
}

@test "extensions that are not understood are refused" {
    local header
    for header in '{"alg":"ES256","crit":["exp"],"exp":1}' '{"alg":"ES256","b64":false,"crit":["b64"]}' '{"alg":"ES256","b64":false}'; do
        printf %s "$(printf %s "$header" | base64url_encode).$(base64url_encode < payload.json)" > signed.txt
        openssl dgst -sha256 -sign "$EC-key.pem" -out signature.der signed.txt
        run --separate-stderr otrp verify --key "$EC-pub.jwk" -o payload <<< "$(cat signed.txt).$(der_to_raw < signature.der | base64url_encode)"
        assert [ "$status" = 3 ] || [ "$status" = 6 ]
        assert [ ! -e payload ]
    done
}

# ---- encrypt and decrypt ----

@test "what otrp encrypts, jose decrypts, in all forms" {
    for base in "$RSA" "$EC"; do
        for form in compact flattened general; do
            otrp encrypt --to "$base-cert.pem" --serialization $form payload.json > jwe
            jose jwe dec -i jwe -k "$base-key.jwk" -O - | cmp - payload.json
            otrp decrypt --key "$base-key.pem" jwe | cmp - payload.json
        done
    done
    jq -e '.recipients | length == 1' jwe
    otrp encrypt --to "$RSA-cert.pem" payload.json > jwe
    assert_equal "$(jq -r .protected jwe | base64url_decode | jq -cS '[.enc, (keys | length > 0)]')" '["A128CBC-HS256",true]'
}

@test "what jose encrypts, otrp decrypts, in all forms" {
    local alg base
    for alg in RSA1_5 ECDH-ES+A128KW; do
        [ $alg = RSA1_5 ] && base=$RSA || base=$EC
        jose jwe enc -I payload.json -k "$base-pub.jwk" -i "{\"protected\":{\"alg\":\"$alg\",\"enc\":\"A128CBC-HS256\"}}" -c -o compact.jwe
        jose jwe enc -I payload.json -k "$base-pub.jwk" -i "{\"protected\":{\"alg\":\"$alg\",\"enc\":\"A128CBC-HS256\"}}" -o flattened.jwe
        jq '{protected, unprotected, iv, ciphertext, tag, aad, recipients: [{header, encrypted_key} | with_entries(select(.value))]}
            | with_entries(select(.value))' flattened.jwe > general.jwe
        for form in compact flattened general; do
            run --separate-stderr otrp decrypt --key "$base-key.pem" -o plain $form.jwe
            assert_success
            assert_equal "$output$stderr" ""
            cmp plain payload.json
            rm plain
        done
    done
}

@test "what otrp encrypts, openssl decrypts, and the other way round" {
    otrp encrypt --to "$RSA-cert.pem" --serialization compact payload.json > jwe
    local protected key iv ciphertext tag cek
    IFS=. read -r protected key iv ciphertext tag <<< "$(cat jwe)"
    cek=$(base64url_decode <<< "$key" | openssl pkeyutl -decrypt -inkey "$RSA-key.pem" -pkeyopt rsa_padding_mode:pkcs1 | to_hex)
    assert_equal ${#cek} 64
    iv=$(base64url_decode <<< "$iv" | to_hex)
    base64url_decode <<< "$ciphertext" | openssl enc -d -aes-128-cbc -K "${cek:32}" -iv "$iv" | cmp - payload.json
    seal "$cek" "$iv" "$protected" < payload.json
    assert_equal "$CIPHERTEXT.$TAG" "$ciphertext.$tag"

    cek=$(openssl rand -hex 32)
    key=$(printf %s "$cek" | to_bytes | openssl pkeyutl -encrypt -certin -inkey "$RSA-cert.pem" -pkeyopt rsa_padding_mode:pkcs1 | base64url_encode)
    protected=$(printf '{"alg":"RSA1_5","enc":"A128CBC-HS256"}' | base64url_encode)
    head -c 100000 /dev/urandom > random
    seal "$cek" 0102030405060708090a0b0c0d0e0f10 "$protected" < random
    echo "$protected.$key.AQIDBAUGBwgJCgsMDQ4PEA.$CIPHERTEXT.$TAG" > jwe
    otrp decrypt --key "$RSA-key.pem" --save-cek cek.jwk jwe | cmp - random
    assert_equal "$(jq -r .k cek.jwk | base64url_decode | to_hex)" "$cek"
}

@test "several recipients have one message, and each of them opens it" {
    otrp encrypt -t "$RSA-cert.pem" -t "$EC-pub.jwk" payload.json > jwe
    assert_equal "$(jq '.recipients | length' jwe)" 2
    for base in "$RSA" "$EC"; do
        otrp decrypt --key "$base-key.pem" jwe | cmp - payload.json
        jose jwe dec -i jwe -k "$base-key.jwk" -O - | cmp - payload.json
    done
    refused 5 . decrypt --key "$OTHER_EC-key.pem" jwe
    refused 2 . encrypt -t "$RSA-cert.pem" -t "$EC-pub.jwk" --serialization compact payload.json
}

@test "a content encryption key is saved, used again, and opens what it made" {
    otrp encrypt -t "$EC-pub.jwk" --save-cek cek.jwk payload.json > first
    assert_equal "$(jq -r '.kty + " " + (.k | length | tostring)' cek.jwk)" "oct 43"
    assert_equal "$(stat -c %a cek.jwk)" 600
    otrp encrypt -t "$RSA-cert.pem" --cek cek.jwk payload.json > second
    otrp decrypt --key "$RSA-key.pem" --save-cek again.jwk second | cmp - payload.json
    assert_equal "$(jq -r .k again.jwk)" "$(jq -r .k cek.jwk)"
    otrp decrypt --key cek.jwk second | cmp - payload.json
    refute cmp -s <(jq .iv first) <(jq .iv second)
    jq -c '.k += "="' cek.jwk > bad.jwk
    refused 6 bad.jwk encrypt -t "$RSA-cert.pem" --cek bad.jwk payload.json
    refused 2 . encrypt -t "$RSA-cert.pem" --cek "$EC-key.jwk" payload.json
    printf '{"kty":"oct","k":"%s"}' "$(head -c 16 /dev/zero | base64url_encode)" > short.jwk
    run --separate-stderr otrp encrypt -t "$RSA-cert.pem" --cek short.jwk payload.json
    assert_failure
    assert_equal "$output" ""
}

@test "one changed bit in any part makes a message unreadable, and nothing is printed" {
    for base in "$RSA" "$EC"; do
        otrp encrypt -t "$base-pub.jwk" payload.json > jwe
        for part in .iv .ciphertext .tag '.recipients[0].encrypted_key'; do
            flip_last_byte_of "$part" < jwe > broken
            refused 5 . decrypt --key "$base-key.pem" broken
            refused 5 . decrypt --key "$base-key.pem" -o plain --save-cek cek.jwk broken
        done
        flip_last_byte_of .protected < jwe > broken
        run --separate-stderr otrp decrypt --key "$base-key.pem" -o plain broken
        assert [ "$status" = 5 ] || [ "$status" = 6 ]
        assert_equal "$output" ""
        assert [ ! -e plain ]
        jq -c '.aad = "e30"' jwe > broken
        refused 5 . decrypt --key "$base-key.pem" broken
    done
}

@test "a wrong key and a wrong tag cannot be told apart" {
    otrp encrypt -t "$RSA-cert.pem" payload.json > jwe
    run --separate-stderr otrp decrypt --key "$OTHER_RSA-key.pem" jwe
    assert_equal "$status" 5
    local told=$stderr
    for part in .tag '.recipients[0].encrypted_key'; do
        flip_last_byte_of "$part" < jwe > broken
        run --separate-stderr otrp decrypt --key "$RSA-key.pem" broken
        assert_equal "$status" 5
        assert_equal "$output" ""
        assert_equal "$stderr" "$told"
    done
    # a key whose padding is right, and its length wrong
    jq -c --arg k "$(printf 'too short' | openssl pkeyutl -encrypt -certin -inkey "$RSA-cert.pem" -pkeyopt rsa_padding_mode:pkcs1 |
        base64url_encode)" '.recipients[0].encrypted_key = $k' jwe > broken
    run --separate-stderr otrp decrypt --key "$RSA-key.pem" broken
    assert_equal "$status" 5
    assert_equal "$stderr" "$told"
}

@test "a tag that was cut, or an IV of a wrong length, opens nothing" {
    otrp encrypt -t "$EC-pub.jwk" payload.json > jwe
    for change in '.tag = ""' '.tag |= .[:2] + "A"' '.tag += "AAAA"' '.iv = ""' '.iv |= .[:16]' '.iv += "AAAAA"' \
        '.ciphertext = ""' '.ciphertext |= .[:20]'; do
        jq -c "$change" jwe > broken
        run --separate-stderr otrp decrypt --key "$EC-key.pem" -o plain broken
        assert [ "$status" = 5 ] || [ "$status" = 6 ]
        assert [ ! -e plain ]
    done
}

@test "a point that is not on the curve is refused" {
    otrp encrypt -t "$EC-pub.jwk" --serialization general payload.json > jwe
    # epk stands where the form puts it: in the recipient's header or in the protected one
    jq -c '.recipients[0].header.epk.x = .recipients[0].header.epk.y' jwe > broken
    run --separate-stderr otrp decrypt --key "$EC-key.pem" broken
    assert [ "$status" = 5 ] || [ "$status" = 6 ]
    assert_equal "$output" ""
    refused 6 . jwk <(jq -c '.x = .y' "$EC-pub.jwk")
}

@test "a JWE that is malformed is refused as such" {
    otrp encrypt -t "$EC-pub.jwk" payload.json > jwe
    malformed() {
        jq -c "$1" jwe > broken
        refused 6 . decrypt --key "$EC-key.pem" broken
    }
    malformed '.iv += "="'
    malformed '.tag += "="'
    malformed '.ciphertext |= "+" + .[1:]'
    malformed '.recipients[0].encrypted_key |= "/" + .[1:]'
    malformed '.protected = "bm8gSlNPTg"'
    malformed 'del(.ciphertext)'
    malformed 'del(.iv)'
    malformed '.recipients = []'
    malformed '.recipients = {}'
    malformed '.tag = 1'
    malformed '{}'
    sed 's/^{/{"tag":"AAAA",/' jwe > broken
    refused 6 'tag.*twice' decrypt --key "$EC-key.pem" broken
    for cut in 1 20 300; do
        head -c $cut jwe > broken
        refused 6 . decrypt --key "$EC-key.pem" broken
    done
    for text in a.b.c a.b.c.d.e.f ....; do
        refused 6 . decrypt --key "$EC-key.pem" <(echo "$text")
    done
}

@test "algorithms that otrp does not know are refused, by name" {
    for alg in RSA2 none ES256; do
        jq -cn --arg p "$(printf '{"alg":"%s","enc":"A128CBC-HS256"}' $alg | base64url_encode)" \
            '{protected: $p, encrypted_key: "AAAA", iv: "AAAAAAAAAAAAAAAAAAAAAA", ciphertext: "AAAA", tag: "AAAA"}' > jwe
        refused 5 "$alg" decrypt --key "$EC-key.pem" jwe
    done
    jq -cn --arg p "$(printf '{"alg":"ECDH-ES+A128KW","enc":"A100CBC"}' | base64url_encode)" \
        '{protected: $p, encrypted_key: "AAAA", iv: "AAAAAAAAAAAAAAAAAAAAAA", ciphertext: "AAAA", tag: "AAAA"}' > jwe
    refused 5 A100CBC decrypt --key "$EC-key.pem" jwe
    refused 2 'choose from .*RSA1_5' encrypt --to "$RSA-cert.pem" --alg RSA2 payload.json
    refused 2 'choose from .*A128CBC-HS256' encrypt --to "$RSA-cert.pem" --enc A100CBC payload.json
    refused 2 . encrypt --to "$RSA-cert.pem" --alg ECDH-ES+A128KW payload.json
}

# ---- keys ----

@test "jwk and openssl agree on keys, in both directions" {
    for base in "$RSA" "$EC"; do
        otrp jwk --pem "$base-key.jwk" | cmp - "$base-key.pem"
        otrp jwk --pem --public "$base-key.jwk" | cmp - <(openssl pkey -in "$base-key.pem" -pubout)
        otrp jwk --pem "$base-cert.pem" | cmp - <(openssl x509 -in "$base-cert.pem" -noout -pubkey)
        openssl pkey -in "$base-key.pem" -outform DER -out key.der
        assert_equal "$(otrp jwk key.der | jq -cS .)" "$(jq -cS 'del(.kid)' "$base-key.jwk" | jq -cS .)"
        assert_equal "$(otrp jwk --thumbprint "$base-cert.pem")" "$(jose jwk thp -i "$base-pub.jwk")"
        assert_equal "$(otrp jwk --public "$base-key.pem" | jq -c '[has("d"), has("p"), has("q")]')" '[false,false,false]'
        assert_equal "$(otrp jwk --public --kid mine "$base-key.pem" | jq -r .kid)" mine
        otrp jwk "$base-key.pem" > mine.jwk
        jose jws sig -I payload.json -k mine.jwk -o jws
        otrp verify -q -k "$base-pub.jwk" -o - jws | cmp - payload.json
    done
}

@test "jwk generates keys of each kind, and keeps them private" {
    umask 022
    for alg in rsa-2048 ec-p256 ec-p384 ec-p521; do
        otrp jwk --generate $alg -o $alg.jwk
        assert_equal "$(stat -c %a $alg.jwk)" 600
        run jose jwk use -i $alg.jwk -u sign
        otrp jwk --pem $alg.jwk | openssl pkey -noout -check
        otrp jwk --pem $alg.jwk -o $alg.pem
        assert_equal "$(stat -c %a $alg.pem)" 600
        otrp jwk --public $alg.jwk -o $alg.pub
        assert_equal "$(stat -c %a $alg.pub)" 644
    done
    assert_equal "$(jq -r .crv ec-p256.jwk ec-p384.jwk ec-p521.jwk | tr '\n' ' ')" "P-256 P-384 P-521 "
    refused 2 ec-p25 jwk --generate ec-p25
}

@test "keys come as PEM, DER, JWK, JWK set and certificate, and encrypted" {
    otrp sign -k "$EC-key.pem" payload.json > jws
    openssl pkey -in "$EC-key.pem" -pubout -out public.pem
    openssl pkey -in "$EC-key.pem" -pubout -outform DER -out public.der
    openssl x509 -in "$EC-cert.pem" -outform DER -out cert.der
    jq -cn --slurpfile a "$EC-pub.jwk" '{keys: [$a[0]]}' > set.jwk
    for key in public.pem public.der "$EC-cert.pem" cert.der "$EC-pub.jwk" set.jwk "$EC-key.pem" "$EC-key.jwk"; do
        otrp verify -q --key "$key" -o - jws | cmp - payload.json
    done
    openssl ec -in "$EC-key.pem" -out sec1.pem
    openssl pkcs8 -topk8 -in "$EC-key.pem" -passout pass:secret -out locked.pem
    echo secret > word
    SECRET=secret
    export SECRET
    otrp sign -k sec1.pem payload.json | otrp verify -q -k public.pem -o - | cmp - payload.json
    for passin in pass:secret env:SECRET file:word; do
        otrp sign -k locked.pem --passin $passin payload.json | otrp verify -q -k public.pem -o - | cmp - payload.json
    done
    otrp sign -k locked.pem --passin fd:5 payload.json 5< word | otrp verify -q -k public.pem -o - | cmp - payload.json
    otrp sign -k locked.pem --passin stdin payload.json < word | otrp verify -q -k public.pem -o - | cmp - payload.json
    for line in '--passin pass:wrong' ''; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr otrp sign -k locked.pem $line payload.json < /dev/null
        assert_failure
        assert_equal "$output" ""
        assert_regex "$stderr" 'locked.pem'
    done
}

@test "every encrypted key of a PEM file is read" {
    local i
    for i in 1 2 3; do
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out plain$i.pem
        jose jwk thp -i <(otrp jwk plain$i.pem) -a S256 >> thumbprints
        echo >> thumbprints
    done
    openssl pkcs8 -topk8 -in plain1.pem -passout pass:secret -out locked1.pem
    openssl ec -in plain3.pem -aes128 -passout pass:secret -out locked3.pem
    cat locked1.pem plain2.pem locked3.pem > keys.pem
    run otrp jwk --thumbprint --passin pass:secret keys.pem
    assert_success
    assert_output "$(cat thumbprints)"
    # and the passphrase, which may come but once, is asked for once
    run otrp jwk --thumbprint --passin stdin keys.pem <<< secret
    assert_success
    assert_output "$(cat thumbprints)"
}

@test "what is no key is refused, by name" {
    : > empty
    echo nonsense > nonsense
    echo '{"kty":"EC"}' > part.jwk
    echo '{"keys":[]}' > none.jwk
    for key in empty nonsense part.jwk none.jwk; do refused 6 "$key" verify -k "$key" payload.json; done
    refused 2 'nowhere.pem.*No such file' verify -k nowhere.pem payload.json
    refused 2 '[Dd]irectory' verify -k . payload.json
    refused 2 'no-such-scheme' sign -k no-such-scheme:key payload.json
    openssl genrsa -out small.pem 1024
    refused 6 'small.pem' sign -k small.pem payload.json
    jq -c '.d = "AAAA"' "$EC-key.jwk" > wrong.jwk
    run --separate-stderr otrp sign -k wrong.jwk payload.json
    assert_failure
    assert_equal "$output" ""
}

@test "a key file that is named by a file: URI is read, or refused, as one that is named by its path" {
    local key=$PWD/own.pem form
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out own.pem
    openssl pkcs8 -topk8 -in own.pem -passout pass:secret -out locked.pem
    openssl genrsa -out small.pem 1024
    sed 5q "$RSA-key.pem" > cut.pem
    echo '{"kty":"EC"}' > part.jwk
    for form in "file:$key" "file://$key" "FILE://localhost$key" file:own.pem; do
        assert_equal "$(otrp jwk --public --pem "$form")" "$(openssl pkey -in own.pem -pubout)"
    done
    assert_equal "$(otrp jwk --pem --passin pass:secret file:locked.pem)" "$(openssl pkey -in own.pem)"
    for form in locked.pem 'locked.pem --passin pass:wrong' small.pem cut.pem part.jwk nowhere.pem .; do
        # shellcheck disable=SC2086
        run --separate-stderr otrp jwk $form
        local plain="$status ${stderr%%$'\n'*}" named
        # shellcheck disable=SC2086
        run --separate-stderr otrp jwk file:$form
        named="$status ${stderr%%$'\n'*}"
        assert_equal "${named/ file:/ }" "$plain"
    done
    for form in file://elsewhere/key.pem file:- file:; do
        refused 2 'names no file of this host' jwk "$form" < own.pem
    done
}

@test "a pipe without a key is read once" {
    mkfifo pipe
    local form
    for form in pipe file:pipe; do
        echo 'no key' > pipe &
        run --separate-stderr timeout 60 "$OTRP" jwk "$form"
        assert_equal "$status" 6
        assert_regex "$stderr" "$form: no key in it"
        wait
    done
}

# ---- files ----

@test "missing and unreadable inputs are usage errors that name the file" {
    refused 2 'nowhere.json: cannot open: No such file' sign -k "$EC-key.pem" nowhere.json
    refused 2 'nowhere.json: cannot open: No such file' verify -k "$EC-pub.jwk" nowhere.json
    refused 2 'nowhere.json: cannot open: No such file' encrypt -t "$EC-pub.jwk" nowhere.json
    refused 2 'nowhere.json: cannot open: No such file' decrypt -k "$EC-key.pem" nowhere.json
    refused 2 '\.: cannot read: Is a directory' decrypt -k "$EC-key.pem" .
    refused 2 'nowhere.pem' sign -k "$EC-key.pem" --cert nowhere.pem payload.json
}

@test "an existing output is kept without --force, and replaced with it" {
    otrp sign -k "$EC-key.pem" -o jws payload.json
    otrp encrypt -t "$EC-pub.jwk" -o jwe payload.json
    for line in "sign -k $EC-key.pem payload.json" "verify -k $EC-pub.jwk jws" "encrypt -t $EC-pub.jwk payload.json" \
        "decrypt -k $EC-key.pem jwe" "jwk --public $EC-key.pem"; do
        echo kept > there
        # shellcheck disable=SC2086 # words
        refused 2 'there: exists already.*--force' $line -o there
        assert_equal "$(cat there)" kept
        # shellcheck disable=SC2086 # words
        run --separate-stderr otrp $line -o there --force
        assert_success
        assert_equal "$output" ""
        refute [ "$(cat there)" = kept ]
    done
    # all of the results, or none
    echo kept > there
    refused 2 'there: exists already' decrypt -k "$EC-key.pem" --save-cek there -o plain jwe
    refused 2 'there: exists already' decrypt -k "$EC-key.pem" --save-cek cek.jwk -o there jwe
    refused 1 'no/plain' decrypt -k "$EC-key.pem" --save-cek cek.jwk -o no/plain jwe
    refused 1 '/dev/full: cannot write' decrypt -k "$EC-key.pem" --save-cek cek.jwk -o /dev/full jwe
    assert_equal "$(cat there)" kept
}

@test "a large payload goes through all four" {
    head -c 20000000 /dev/urandom > large
    otrp sign -k "$RSA-key.pem" large > jws
    otrp verify -q -k "$RSA-cert.pem" -o - jws | cmp - large
    otrp encrypt -t "$RSA-cert.pem" large > jwe
    otrp decrypt -k "$RSA-key.pem" jwe | cmp - large
}
