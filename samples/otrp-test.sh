#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# 50 KiB of a random "TA" go from the TAM side to the TEE side: encrypted and signed here, verified and
# decrypted there, through pipes alone, and arrive unchanged.
# usage: samples/otrp-test.sh [PKI]     (makes a quick PKI of its own without one)
# shellcheck source-path=SCRIPTDIR source=common.bash
pki=${1:+$(realpath "$1")}
. "$(dirname "$0")/common.bash" ""

if [ -z "$pki" ]; then
    pki=$work/pki
    otrp pki-init -q --out "$pki" --root-alg ec-p256 --ca-alg ec-p256 --alg rsa-2048
fi
signer=$pki/tam/tam/tam-mytam-rsa
device=$pki/tee/tee/tee-mytee-rsa

head -c 51200 /dev/urandom > ta

otrp encrypt --to "$device-cert.pem" < ta |
    otrp sign --key "$signer-key.pem" |
    otrp verify -q --key "$signer-cert.pem" -o - |
    otrp decrypt --key "$device-key.pem" > received

cmp ta received
echo "51200 bytes: encrypted, signed, verified, decrypted, unchanged"
