#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An IoT device: the TA of a door lock is updated from version 1 to 2. Going back to 1, whose flaw is
# known by then, is refused: by the TAM, which remembers, and by the lock, whatever a TAM wants.
# usage: door-lock.sh [FOLDER]     (a folder to leave everything in; otherwise nothing stays)
# shellcheck source-path=SCRIPTDIR source=common.bash
. "$(dirname "$0")/common.bash"

step "1. A maker of door locks, its TAM, and a lock that has room for little"
quick_pki --sp locks --tam locks --tee frontdoor
run otrp tee-sim init -q --state lock --pki pki --name frontdoor --no-tfw --max-sds 1 --max-tas 1

# policy VERSION
policy() {
    cat << JSON
{"sps": [{"spid": "locks", "cert": "pki/sp/sp/sp-locks-ec-cert.pem", "key": "pki/sp/sp/sp-locks-ec-key.pem",
          "sds": [{"name": "door", "tas": [{"taid": "bolt", "file": "bolt-$1.bin", "version": $1}]}]}]}
JSON
}

step "2. Version 1 is installed"
echo 'bolt 1: opens also to an old key' > bolt-1.bin
policy 1 > policy-1.json
start_tam --policy policy-1.json --state tam --tam locks
run otrp send --url "$url" --tee lock
stop_tam

step "3. Version 2 takes its place, in one request (UpdateTA): at no time is there no bolt"
echo 'bolt 2: opens to the new key only' > bolt-2.bin
policy 2 > policy-2.json
start_tam --policy policy-2.json --state tam --tam locks
run otrp send --url "$url" --tee lock --transcript update.jsonl
stop_tam
run otrp diagram --format text update.jsonl

step "4. Somebody starts the TAM with the old policy: it knows better, and sends nothing"
start_tam --policy policy-1.json --state tam --tam locks
run otrp send --url "$url" --tee lock
stop_tam
grep 'stays at version' tam.log

step "5. A TAM that insists: the maker did sign version 1 once, and still the lock refuses it"
cat > downgrade.json << 'JSON'
{"name": "back to version 1",
 "steps": [{"request": "get-device-state"},
           {"request": "update-ta", "spid": "locks", "sdname": "door", "taid": "bolt", "ta": "bolt-1.bin",
            "sp_key": "pki/sp/sp/sp-locks-ec-key.pem", "version": 1, "expect": "ERR_TA_INVALID"}]}
JSON
start_tam --tam locks --scenario downgrade.json --report tap:downgrade.tap
run otrp send --url "$url" --tee lock || [ $? -eq 8 ]
await_tam
cat downgrade.tap

step "6. The lock has version 2"
run otrp tee-sim show --state lock
run otrp tee-sim export-ta --state lock --taid bolt -o inside.bin
run cmp inside.bin bolt-2.bin
