#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the messages of this folder anew: a whole session between a TAM and a device, one message of
# each kind, with the PKI whose keys open them. They are dated 2026-11-21T10:00:00Z, and valid then.
# page.sh prints what otrp-messages(7) shows of them: renew that page, too.
#
#     samples/messages/make.sh [FOLDER]        default: the folder of this script
#
# Look at them with
#     otrp inspect --pki samples/messages/pki --now 2026-11-21T10:00:00Z samples/messages/create-sd-request.json
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:-$here}"
out=$(cd "${1:-$here}" && pwd)
PATH=$here/../../bin:$PATH
export SOURCE_DATE_EPOCH=1795255200 # 2026-11-21T10:00:00Z
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

otrp pki-init -q --out pki --root-alg ec-p256 --ca-alg ec-p256 --alg rsa-2048 --sp xbank --sp ybank
otrp tee-sim init -q --state device --pki pki
printf 'the code of a trusted application\n' > hello.ta
printf 'its second version\n' > hello-2.ta
printf 'what only this device is to know\n' > hello.data

# ask NAME OPTION...: the request and the device's answer to it, whose state the next request is based on.
number=0
state=()
ask() {
    number=$((number + 1))
    otrp make-request "$1" --pki pki "${state[@]}" --tid sample-session --rid "sample-$number" "${@:2}" \
        -o "$1-request.json"
    otrp tee-sim process -q --state device -o "$1-response.json" "$1-request.json"
    state=(--device "$1-response.json")
}

ask get-device-state
ask create-sd --sp xbank --sdname payments
ask update-sd --spid xbank --sdname payments --newsdname wallet --add-spcert pki/sp/sp/sp-ybank-rsa-cert.pem
ask install-ta --sp xbank --sdname wallet --taid hello --taname "Hello" --ta hello.ta --taver 1 --pdata hello.data
otrp make-request ta-query --spid xbank --taid hello --nonce c2FtcGxl -o ta-query.json
otrp tee-sim query --state device -o ta-information.json ta-query.json
ask update-ta --sp xbank --sdname wallet --taid hello --ta hello-2.ta --taver 2
ask delete-ta --spid xbank --sdname wallet --taid hello
ask delete-sd --spid xbank --sdname wallet
printf '{"OTrPBrokerError":{"ver":"1.0","rid":"sample-8","tid":"sample-session","errcode":"ERR_AGENT_TEE_BUSY"}}\n' \
    > broker-error.json

rm -rf "$out/pki"
cp -r pki "$out/pki"
cp ./*.json "$out"
