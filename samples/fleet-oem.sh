#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A fleet, the first way: the device maker (OEM) manages the security domains and the TAs in them.
# It is TAM and service provider in one: its policy has its SP key, and signs the TAs on the way.
# usage: fleet-oem.sh [FOLDER]     (a folder to leave everything in; otherwise nothing stays)
# shellcheck source-path=SCRIPTDIR source=common.bash
. "$(dirname "$0")/common.bash"

step "1. The OEM makes its certificates, and three phones that trust its TAM"
quick_pki --sp oem --tam oem --tee phone
run otrp tee-sim init -q --state fleet --pki pki --name phone --count 3

step "2. Every phone shall have an updater in an SD of the OEM, and nothing else"
echo 'the updater, version 1' > updater.bin
cat > policy.json << 'JSON'
{"sps": [{"spid": "oem", "cert": "pki/sp/sp/sp-oem-ec-cert.pem", "key": "pki/sp/sp/sp-oem-ec-key.pem",
          "sds": [{"name": "platform",
                   "tas": [{"taid": "updater", "file": "updater.bin", "version": 1}]}]}],
 "remove_unlisted": true, "require_tfw": true}
JSON
start_tam --tam oem --policy policy.json --state tam
for phone in phone-1 phone-2 phone-3; do
    run otrp send --url "$url" --tee fleet --device "$phone"
done
stop_tam

step "3. Version 2: the same policy with a new file. The TAM remembers who has what (--state)"
echo 'the updater, version 2' > updater.bin
sed -i 's/"version": 1/"version": 2/' policy.json
start_tam --tam oem --policy policy.json --state tam
say "phone-3 is switched off; the others ask, and are updated"
run otrp send --url "$url" --tee fleet --device phone-1
run otrp send --url "$url" --tee fleet --device phone-2
say "phone-1 asks again: there is nothing left to do"
run otrp send --url "$url" --tee fleet --device phone-1
stop_tam

step "4. The fleet"
run otrp tee-sim show --state fleet
run otrp tee-sim export-ta --state fleet --device phone-1 --taid updater -o updated.bin
run cmp updated.bin updater.bin
