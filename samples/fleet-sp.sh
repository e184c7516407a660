#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A fleet, the third way: a service provider manages its security domains and its TAs. It runs a TAM
# of its own, whose certificate the devices trust like that of the OEM's. Neither sees the other's.
# usage: fleet-sp.sh [FOLDER]     (a folder to leave everything in; otherwise nothing stays)
# shellcheck source-path=SCRIPTDIR source=common.bash
. "$(dirname "$0")/common.bash"

step "1. One TAM root, two TAMs: the OEM's and the bank's, each with a tamid in its certificate"
quick_pki --sp oem --sp bank --tam oem=tam.oem.example --tam bank=tam.bank.example --tee phone
run otrp tee-sim init -q --state phone --pki pki --name phone

# policy SP SD TA FILE: of a TAM that is its own service provider
policy() {
    cat << JSON
{"sps": [{"spid": "$1", "cert": "pki/sp/sp/sp-$1-ec-cert.pem", "key": "pki/sp/sp/sp-$1-ec-key.pem",
          "sds": [{"name": "$2", "tas": [{"taid": "$3", "file": "$4", "version": 1}]}]}],
 "remove_unlisted": true}
JSON
}

step "2. The OEM's TAM puts an updater on the phone"
echo 'the updater' > updater.bin
policy oem platform updater updater.bin > oem.json
start_tam --tam oem --policy oem.json
run otrp send --url "$url" --tee phone
stop_tam

step "3. The bank's TAM makes an SD of its own and puts its wallet there"
echo 'the wallet' > wallet.bin
policy bank cards wallet wallet.bin > bank.json
start_tam --tam bank --policy bank.json
run otrp send --url "$url" --tee phone
stop_tam

step "4. Both policies say that what is not listed goes. The OEM's TAM looks again, and removes nothing:"
say "a device tells a TAM of what that TAM owns, and of nothing else"
start_tam --tam oem --policy oem.json
run otrp send --url "$url" --tee phone
stop_tam

step "5. It knows the bank's names by chance, and tries: for this TAM there is no such SD"
cat > trespass.json << 'JSON'
{"name": "the OEM's TAM at the bank's SD",
 "steps": [{"request": "get-device-state"},
           {"request": "delete-ta", "sdname": "cards", "taid": "wallet", "expect": "ERR_SD_NOT_FOUND"},
           {"request": "delete-sd", "sdname": "cards", "delete_ta": true, "expect": "ERR_SD_NOT_FOUND"},
           {"name": "its own is still there", "request": "delete-sd", "sdname": "platform",
            "expect": "ERR_SD_NOT_EMPTY"}]}
JSON
start_tam --tam oem --scenario trespass.json --report tap:trespass.tap
run otrp send --url "$url" --tee phone || [ $? -eq 8 ]
await_tam
cat trespass.tap

step "6. The phone has both, each with its owner"
run otrp tee-sim show --state phone
