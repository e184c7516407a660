# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# JOSE as openssl's own commands do it, to check otrp with. Bytes are hexadecimal unless a name says
# otherwise.

to_hex() {
    xxd -p | tr -d '\n'
}

to_bytes() {
    xxd -r -p
}

hex_to_base64url() {
    to_bytes <<< "$1" | base64url_encode
}

base64url_to_hex() {
    base64url_decode <<< "$1" | to_hex
}

text_to_base64url() {
    printf %s "$1" | base64url_encode
}

# seal ENC CEK IV AAD: encrypts standard input (RFC 7518 section 5.2); AAD is text. Sets CIPHERTEXT and TAG.
seal() {
    local half=$((${#2} / 2)) hash=${1##*-HS} tag
    openssl enc "-aes-$((half * 4))-cbc" -K "${2:half}" -iv "$3" -out sealed.bin
    CIPHERTEXT=$(to_hex < sealed.bin)
    tag=$({ printf %s "$4" | to_hex && printf '%s%s%016x' "$3" "$CIPHERTEXT" $((8 * ${#4})); } | to_bytes |
        openssl dgst "-sha$hash" -mac HMAC -macopt "hexkey:${2:0:half}" -binary | to_hex)
    export CIPHERTEXT TAG=${tag:0:half}
}

# wrap KEK CEK: AES key wrap (RFC 3394 section 2.2.1), a block at a time.
wrap() {
    local a=a6a6a6a6a6a6a6a6 blocks=() i j step=0 out
    for ((i = 0; i < ${#2}; i += 16)); do blocks+=("${2:i:16}"); done
    for ((j = 0; j < 6; j++)); do
        for i in "${!blocks[@]}"; do
            step=$((step + 1))
            out=$(to_bytes <<< "$a${blocks[i]}" | openssl enc "-aes-$((${#1} * 4))-ecb" -nopad -K "$1" | to_hex)
            printf -v a '%016x' $((16#${out:0:16} ^ step))
            blocks[i]=${out:16}
        done
    done
    printf %s "$a" "${blocks[@]}"
}

# concat_kdf SECRET ALGORITHM BYTES: RFC 7518 section 4.6.2, without apu and apv.
concat_kdf() {
    openssl kdf -keylen "$3" -kdfopt digest:SHA256 -kdfopt "hexkey:$1" -binary -kdfopt \
        "hexinfo:$(printf '%08x%s%08x%08x%08x' ${#2} "$(printf %s "$2" | to_hex)" 0 0 $((8 * $3)))" SSKDF | to_hex
}

# okp_public CURVE X, okp_private CURVE D: an octet key pair of RFC 8037, X and D in base64url, as PEM
# (RFC 8410).
okp_oid() {
    case $1 in X25519) echo 6e ;; X448) echo 6f ;; Ed25519) echo 70 ;; Ed448) echo 71 ;; esac
}

okp_public() {
    local x
    x=$(base64url_to_hex "$2")
    printf '30%02x300506032b65%s03%02x00%s' $((${#x} / 2 + 10)) "$(okp_oid "$1")" $((${#x} / 2 + 1)) "$x" |
        to_bytes | openssl pkey -pubin -inform DER
}

okp_private() {
    local d
    d=$(base64url_to_hex "$2")
    printf '30%02x020100300506032b65%s04%02x04%02x%s' $((${#d} / 2 + 14)) "$(okp_oid "$1")" $((${#d} / 2 + 2)) \
        $((${#d} / 2)) "$d" | to_bytes | openssl pkey -inform DER
}

# okp_jwk CURVE: a private key of openssl's, PEM on standard input, as JWK.
okp_jwk() {
    local pem
    pem=$(cat)
    jq -cn --arg crv "$1" --arg d "$(okp_bytes priv <<< "$pem")" --arg x "$(okp_bytes pub <<< "$pem")" \
        '{kty: "OKP", crv: $crv, x: $x, d: $d}'
}

okp_bytes() {
    openssl pkey -noout -text | sed -n "/^$1:/,/^[^ ]/{/^ /p}" | tr -d ' :\n' | to_bytes | base64url_encode
}

# raw_to_der: r and s of an ECDSA signature, hexadecimal, as the DER that openssl wants.
raw_to_der() {
    local half=$((${#1} / 2))
    printf 'asn1=SEQUENCE:s\n[s]\nr=INTEGER:0x%s\ns=INTEGER:0x%s\n' "${1:0:half}" "${1:half}" > asn1.cnf
    openssl asn1parse -genconf asn1.cnf -noout -out /dev/stdout
}

# jose_program NAME ARGUMENT...: a program of tests/jose, of the build that VARIANT names.
jose_program() {
    local variant=${VARIANT:-release}
    [ -x "$ROOT/build/$variant/jose/$1" ] || make -s -C "$ROOT" "VARIANT=$variant" "build/$variant/jose/$1" >&2
    "$ROOT/build/$variant/jose/$1" "${@:2}"
}
