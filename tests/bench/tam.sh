#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tam.sh FOLDER OTRP: the figures of the stub TAM, with rsa_session from FOLDER. A full session is
# GetDeviceState, CreateSD and InstallTA of 50 KiB. Works in the current folder.
set -eu
bench=$1 otrp=$2
devices=20 rounds=5

target() {
    awk -v what="$1" -v value="$2" -v limit="$3" 'BEGIN {
        printf "    %s: %.2f, target at most %s: %s\n", what, value, limit, value <= limit ? "met" : "missed" }'
}

median() {
    sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# cpu_ms PID: processor time of all threads so far.
cpu_ms() {
    cat "/proc/$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.3f", sum / 1e6 }'
}

# policy NAME KEYS: an SD that is there already, so that its SP has an AIK; with "full" the one of the
# session besides.
policy() {
    local more=
    [ "$1" = rest ] || more=', {"name": "sd-1", "tas": [{"taid": "demo", "file": "ta.bin", "version": 1}]}'
    cat > policy.json << END
{"sps": [{"spid": "xbank", "cert": "$2-cert.pem", "key": "$2-key.pem",
          "sds": [{"name": "base"}$more]}], "remove_unlisted": true, "require_tfw": true}
END
}

# start PKI: the TAM. Sets tam and url.
start() {
    : > tam.log
    exec {out}< <(exec "$otrp" tam-stub --pki "$1" --policy policy.json --listen 127.0.0.1:0 2>> tam.log)
    tam=$!
    read -r -u "$out" url
}

reload() {
    local before
    before=$(grep -c 'read anew' tam.log || true)
    kill -HUP "$tam"
    until [ "$(grep -c 'read anew' tam.log)" -gt "$before" ]; do sleep 0.05; done
}

# sessions FLEET COUNT JOBS: runs them; the summary is in summary.json.
sessions() {
    "$otrp" send --url "$url" --tee "$1" --repeat "$2" --jobs "$3" --json --force -q -o summary.json || true
}

head -c 51200 /dev/urandom > ta.bin
"$otrp" pki-init -q --out pki-rsa --root-alg ec-p256 --ca-alg rsa-2048 --alg rsa-2048
"$otrp" tee-sim init -q --state fleet --pki pki-rsa --count "$devices"
sp=pki-rsa/sp/sp/sp-xbank-rsa
policy rest "$sp"
start pki-rsa
sessions fleet "$devices" 2

echo "A full session of the TAM with RSA-2048 on both sides, $devices devices in each of $rounds rounds"
for ((i = 0; i < rounds; i++)); do
    policy full "$sp"
    reload
    before=$(cpu_ms "$tam")
    sessions fleet "$devices" 1
    after=$(cpu_ms "$tam")
    alone=$("$bench/rsa_session" pki-rsa/tam/tam/tam-mytam-rsa-key.pem 100)
    awk -v b="$before" -v a="$after" -v n="$devices" -v r="$alone" \
        'BEGIN { printf "%.4f %.4f %.4f\n", (a - b) / n, r, (a - b) / n / r }' >> cpu
    jq -r '.latency_ms.p50' summary.json >> latency
    policy rest "$sp"
    reload
    sessions fleet "$devices" 2
done
kill "$tam"
awk '{ printf "    round %d: TAM %.2f ms CPU a session, its RSA operations alone %.2f ms: %.2f\n", NR, $1, $2, $3 }' cpu
target 'TAM CPU / RSA operations (median)' "$(cut -d' ' -f3 cpu | median)" 2.0
echo "    latency says something on an idle machine only; its load is now $(cut -d' ' -f1 /proc/loadavg)"
target 'latency of a session in ms (median of medians)' "$(median < latency)" 25

echo "1,000 devices at once: as many sessions wait for an answer, then as many devices are served, 100 side by side"
"$otrp" pki-init -q --out pki-ec --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
"$otrp" tee-sim init -q --state crowd --pki pki-ec --count 1000
policy full pki-ec/sp/sp/sp-xbank-ec
start pki-ec
clients=()
for ((i = 0; i < 4; i++)); do
    curl -s -Z --parallel-max 250 -X POST -H 'Accept: application/otrp+json' -o /dev/null \
        -w '%{http_code}\n' "$url?[1-250]" > "opened-$i" 2> /dev/null &
    clients+=($!)
done
wait "${clients[@]}"
target 'sessions that could not be opened' "$(cat opened-? | grep -vc '^200$')" 0
sessions crowd 1000 100
jq -r '"    \(.sessions) sessions, \(.failed) failed, \(.sessions_per_second) a second"' summary.json
target 'failed sessions' "$(jq .failed summary.json)" 0
target 'memory of the TAM in MiB (VmHWM)' "$(awk '/VmHWM/ { print $2 / 1024 }' "/proc/$tam/status")" 256
kill "$tam"
