#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A fleet, the second way: the OEM manages the security domains, a service provider its TAs in them.
# The bank signs its TAs and hands over packages; the OEM's TAM delivers them without the bank's key.
# usage: fleet-oem-sp.sh [FOLDER]     (a folder to leave everything in; otherwise nothing stays)
# shellcheck source-path=SCRIPTDIR source=common.bash
. "$(dirname "$0")/common.bash"

step "1. An OEM with a TAM and a phone; a bank that is a service provider"
quick_pki --sp bank --sp oem --tam oem --tee phone
run otrp tee-sim init -q --state phone --pki pki --name phone
mkdir bank oem
cp pki/sp/sp/sp-bank-ec-cert.pem oem/bank-cert.pem

step "2. The bank signs its wallet, with its name and version in the signature"
echo 'the wallet of the bank, version 1' > bank/wallet.bin
run otrp sign --key pki/sp/sp/sp-bank-ec-key.pem --cert pki/sp/sp/sp-bank-ec-cert-plus-intermediate-cert.pem \
    --protected '{"taid":"wallet","taver":1}' -o oem/wallet.ta bank/wallet.bin
say "the OEM has the package and the bank's certificate, no key: $(echo oem/*)"

step "3. The OEM gives the bank an SD on each phone, and puts the package in"
cat > oem/policy.json << 'JSON'
{"sps": [{"spid": "bank", "cert": "bank-cert.pem",
          "sds": [{"name": "bank-sd", "tas": [{"taid": "wallet", "file": "wallet.ta"}]}]}],
 "remove_unlisted": true, "require_tfw": true}
JSON
start_tam --tam oem --policy oem/policy.json --state tam
run otrp send --url "$url" --tee phone
stop_tam

step "4. Could the OEM put something else there in the bank's name? It signs a wallet of its own"
echo 'a wallet that tells the OEM' > oem/spy.bin
run otrp sign --key pki/sp/sp/sp-oem-ec-key.pem --protected '{"taid":"wallet","taver":2}' \
    -o oem/spy.ta oem/spy.bin
say "a TAM that is honest does not even begin:"
sed 's/wallet.ta/spy.ta/' oem/policy.json > oem/spy-policy.json
code=0
run otrp tam-stub --pki pki --tam oem --policy oem/spy-policy.json --listen 127.0.0.1:0 || code=$?
[ "$code" -eq 3 ]
say "one that is not sends it; the phone refuses what the SD's owner has not signed:"
cat > oem/spy.json << 'JSON'
{"name": "a wallet that the bank did not sign",
 "steps": [{"request": "get-device-state"},
           {"request": "update-ta", "spid": "bank", "sdname": "bank-sd", "taid": "wallet",
            "ta": "spy.ta", "expect": "ERR_TA_INVALID"}]}
JSON
start_tam --tam oem --scenario oem/spy.json --report tap:spy.tap
run otrp send --url "$url" --tee phone || [ $? -eq 8 ]
await_tam
cat spy.tap

step "5. The bank's version 2: a new package, the same policy"
echo 'the wallet of the bank, version 2' > bank/wallet.bin
run otrp sign --force --key pki/sp/sp/sp-bank-ec-key.pem \
    --cert pki/sp/sp/sp-bank-ec-cert-plus-intermediate-cert.pem \
    --protected '{"taid":"wallet","taver":2}' -o oem/wallet.ta bank/wallet.bin
start_tam --tam oem --policy oem/policy.json --state tam
run otrp send --url "$url" --tee phone
stop_tam
run otrp tee-sim show --state phone
run otrp tee-sim export-ta --state phone --taid wallet -o delivered.bin
run cmp delivered.bin bank/wallet.bin
