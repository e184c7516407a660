#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job, end to end: a device gets a trusted application from a TAM, and loses it again.
# usage: demo.sh [FOLDER]     (a folder to leave everything in; otherwise nothing stays)
# shellcheck source-path=SCRIPTDIR source=common.bash
. "$(dirname "$0")/common.bash"

step "1. A factory: keys and certificates for service providers, the TAM, a device and its firmware"
otrp pki-init --out pki

step "2. Service provider xbank signs its trusted application, a real binary"
cp "$(command -v otrp)" wallet.bin
otrp sign --key pki/sp/sp/sp-xbank-rsa-key.pem --protected '{"taid":"wallet","taver":1}' \
    --cert pki/sp/sp/sp-xbank-rsa-cert-plus-intermediate-cert.pem -o wallet.ta wallet.bin
echo "wallet.ta: $(wc -c < wallet.bin) bytes of code, signed: $(wc -c < wallet.ta) bytes"

step "3. The TAM's policy: devices shall have the wallet in an SD of xbank"
cat > install.json <<'JSON'
{"sps": [{"spid": "xbank", "cert": "pki/sp/sp/sp-xbank-rsa-cert.pem",
          "sds": [{"name": "payments", "tas": [{"taid": "wallet", "name": "Wallet", "file": "wallet.ta"}]}]}],
 "require_tfw": true}
JSON
start_tam --policy install.json

step "4. A device leaves the factory, and asks the TAM what there is to do"
otrp tee-sim init --state device --pki pki
otrp send --url "$url" --tee device --transcript session.jsonl
stop_tam

step "5. The wallet is there: the device says so, signed, and its bytes are those that were sent"
otrp tee-sim show --state device
otrp tee-sim query --state device --spid xbank --taid wallet --nonce "$RANDOM" -o info.json
otrp tee-sim export-ta --state device --taid wallet -o exported.bin
cmp exported.bin wallet.bin && echo "exported.bin is byte for byte the wallet"

step "6. The messages by hand: a request checked as a TEE does, its answer checked as a TAM does, and decoded"
otrp make-request get-device-state --pki pki -o gds.json
otrp verify --trust pki/tam/tam-rootca gds.json
otrp tee-sim process --state device -o state.json gds.json
otrp verify --trust pki/tee/tee-rootca --tam-key pki/tam/tam/tam-mytam-rsa-key.pem --request gds.json state.json
otrp decrypt --key pki/tam/tam/tam-mytam-rsa-key.pem state.json |
    sed -E 's/"(MII[A-Za-z0-9+\/]{12})[^"]*"/"\1..."/g; s/"([A-Za-z0-9+\/]{16})[A-Za-z0-9+\/]{300,}=*"/"\1..."/g'
echo

otrp verify --device state.json --tam-key pki/tam/tam/tam-mytam-rsa-key.pem info.json

step "7. Another policy: nothing shall be left; a second session removes the wallet and its SD"
echo '{"sps": [], "remove_unlisted": true}' > remove.json
start_tam --policy remove.json
otrp send --url "$url" --tee device
stop_tam

step "8. It is gone"
otrp tee-sim show --state device
if otrp tee-sim query --state device --spid xbank --taid wallet > answer.json 2> /dev/null; then
    echo "the wallet is still there" >&2
    exit 1
fi
cat answer.json
printf '\n\nThe demo is done: every step worked.\n'
