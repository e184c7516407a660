#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A payment TA: every phone gets the same wallet, and card data of its own that only its TEE can read.
# A shop asks for proof that the wallet is the bank's; a card is renewed; a stolen phone loses its wallet.
# usage: payment.sh [FOLDER]     (a folder to leave everything in; otherwise nothing stays)
# shellcheck source-path=SCRIPTDIR source=common.bash
. "$(dirname "$0")/common.bash"

step "1. A bank with a TAM, and the phones of Alice and Bob"
quick_pki --sp bank --tam bank --tee alice --tee bob
for owner in alice bob; do
    run otrp tee-sim init -q --state "$owner" --pki pki --name "$owner"
done
# The did names a device: the SHA-256 of its certificate.
did() {
    otrp tee-sim show --state "$1" | sed -n '1s/.* did //p'
}
alice=$(did alice) bob=$(did bob)

step "2. One wallet for all; for each phone a card, as personalisation data"
echo 'the wallet of the bank' > wallet.bin
echo 'PAN 4000 0012 3456 7899 until 11/26' > alice.card
echo 'PAN 4000 0098 7654 3210 until 03/28' > bob.card
# sps CARD: what a phone shall hold
sps() {
    cat << JSON
[{"spid": "bank", "cert": "pki/sp/sp/sp-bank-ec-cert-plus-intermediate-cert.pem",
        "key": "pki/sp/sp/sp-bank-ec-key.pem",
        "sds": [{"name": "cards", "tas": [{"taid": "wallet", "name": "Wallet", "file": "wallet.bin",
                                           "version": 1, "pdata": "$1"}]}]}]
JSON
}
cat > policy.json << JSON
{"require_tfw": true,
 "devices": {"$alice": {"sps": $(sps alice.card)},
             "$bob": {"sps": $(sps bob.card)}}}
JSON
start_tam --tam bank --policy policy.json --state tam
run otrp send --url "$url" --tee alice
run otrp send --url "$url" --tee bob
stop_tam

step "3. A shop asks Alice's phone: is this the bank's wallet, here and now? The TEE signs the shop's number"
nonce=$RANDOM$RANDOM
run otrp tee-sim query --state alice --spid bank --taid wallet --nonce "$nonce" -o proof.json
say "the bank checks it with the key that it knows of that phone's TEE, from the phone's state"
run otrp make-request get-device-state --pki pki --tam bank -o ask.json
run otrp tee-sim process --state alice -o state.json ask.json
run otrp verify --trust pki/tee/tee-rootca --tam-key pki/tam/tam/tam-bank-ec-key.pem --request ask.json state.json
run otrp verify --device state.json --tam-key pki/tam/tam/tam-bank-ec-key.pem -o claims.json proof.json
grep -q "\"nonce\":\"$nonce\"" claims.json

step "4. Alice's card expires: the policy has a new one, the phone gets that and no code"
echo 'PAN 4000 0012 3456 7899 until 11/29' > alice.card
start_tam --tam bank --policy policy.json --state tam
run otrp send --url "$url" --tee alice
stop_tam
run otrp tee-sim export-ta --state alice --taid wallet --pdata -o alice.inside
run cmp alice.inside alice.card

step "5. Bob's phone is stolen: when it asks the next time, it loses wallet and card"
cat > policy.json << JSON
{"require_tfw": true,
 "devices": {"$alice": {"sps": $(sps alice.card)},
             "$bob": {"sps": [], "remove_unlisted": true}}}
JSON
start_tam --tam bank --policy policy.json --state tam
run otrp send --url "$url" --tee bob
run otrp send --url "$url" --tee alice
stop_tam
run otrp tee-sim show --state bob
