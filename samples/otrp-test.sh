#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# 50 KiB of a random "TA" go from the TAM side to the TEE side: encrypted and signed here, verified and
# decrypted there, through pipes alone, and arrive unchanged.
# usage: samples/otrp-test.sh [PKI]     (makes a quick PKI of its own without one)
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
PATH=$root/bin:$PATH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pki=${1:-}
if [ -z "$pki" ]; then
    pki=$work/pki
    otrp pki-init -q --out "$pki" --root-alg ec-p256 --ca-alg ec-p256 --alg rsa-2048
fi
tam=$pki/tam/tam/tam-mytam-rsa
tee=$pki/tee/tee/tee-mytee-rsa

head -c 51200 /dev/urandom > "$work/ta"

otrp encrypt --to "$tee-cert.pem" < "$work/ta" |
    otrp sign --key "$tam-key.pem" |
    otrp verify -q --key "$tam-cert.pem" -o - |
    otrp decrypt --key "$tee-key.pem" > "$work/received"

cmp "$work/ta" "$work/received"
echo "51200 bytes: encrypted, signed, verified, decrypted, unchanged"
