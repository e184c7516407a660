#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# pki.sh OTRP FOLDER: what a batch costs beside the keys, signatures and files that it is made of. FOLDER
# has the program issue, which makes these and nothing else. Both run in turn, A B A B ..., in fresh
# folders; figures are medians. Works in the current folder, which should be on a disk.
set -eu
otrp=$1 bench=$2
rows=${ROWS-10000} rounds=${ROUNDS-5} many=${MANY-100000}
TIMEFORMAT='%R %U %S'

"$otrp" pki-init -q --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256

manifest() {
    awk -v n="$1" 'BEGIN { print "role,name,alg"; for (i = 1; i <= n; i++) print "tee,unit-" i ",ec-p256" }'
}

# timed COMMAND...: wall and processor time, in seconds
timed() {
    { time "$@" > /dev/null; } 2>&1 | awk '{ print $1, $2 + $3 }'
}

median() {
    sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

verdict() {
    awk -v what="$1" -v value="$2" -v sense="$3" -v limit="$4" 'BEGIN {
        met = (sense == "at least" ? value >= limit : value <= limit) ? "met" : "missed"
        if (value !~ /^[0-9]/)
            met = "not measured"
        printf "    %s: %.3f, target %s %s: %s\n", what, value, sense, limit, met }'
}

echo "pki-issue: $rows devices with P-256 keys, ledger and files included, and the bare work"
manifest "$rows" > rows.csv
# Nothing is deleted before the end: ext4 does not give an inode away that was freed a moment ago, and
# looking for another one takes it longer than everything that is measured here.
for ((i = 0; i < rounds; i++)); do
    cp -r pki "pki-$i"
    sync -f .
    read -r wall cpu < <(timed "$otrp" pki-issue -q --pki "pki-$i" --manifest rows.csv --out "out-$i")
    sync -f .
    read -r bare_wall bare_cpu < <(timed "$bench/issue" "bare-$i" "$rows")
    echo "$wall $cpu $bare_wall $bare_cpu"
done > timings
awk -v n="$rows" '{ printf "    round %d: %6.0f rows/s, %4.0f us CPU a row; bare %6.0f rows/s, %4.0f us; rate %.2f, CPU %.2f\n",
    NR, n / $1, $2 / n * 1e6, n / $3, $4 / n * 1e6, $3 / $1, $4 / $2 }' timings
verdict 'rate of the batch / of the bare work (median)' "$(awk '{ print $3 / $1 }' timings | median)" 'at least' 0.7
echo "    the same by processor time: $(awk '{ print $4 / $2 }' timings | median)"

echo "RSA-2048: a key takes a random time, so what is measured is what comes on top of it"
read -r wall key_cpu < <(timed "$bench/issue" --rsa 100)
awk '{ print $2 }' timings | median | awk -v n="$rows" -v key="$key_cpu" '{ own = $1 / n; key /= 100
    printf "%.5f %.1f %.3f\n", key / (key + own), key * 1e3, own * 1e3 }' > on-top
read -r share key_ms own_ms < on-top
echo "    a key $key_ms ms CPU; a device of a P-256 batch, its key included, $own_ms ms"
verdict 'rate of the batch / of key generation alone' "$share" 'at least' 0.95

echo "$many devices: memory, and whether the last take longer than the first"
manifest "$many" > rows.csv
"$otrp" pki-issue -q --pki pki --manifest rows.csv --out out > /dev/null &
pid=$!
# samples: rows done, processor time of all processes in ticks
while kill -0 $pid 2> /dev/null; do
    done_rows=$(grep -c . out/rows.result.csv 2> /dev/null || true)
    ticks=0
    for p in $pid $(cat /proc/$pid/task/$pid/children 2> /dev/null); do
        ticks=$((ticks + $(awk '{ print $14 + $15 }' "/proc/$p/stat" 2> /dev/null || echo 0)))
        grep VmHWM "/proc/$p/status" 2> /dev/null | awk -v p="$p" '{ print p, $2 }' >> memory || true
    done
    echo "${done_rows:-0} $ticks" >> samples
    sleep 0.2
done
wait $pid
verdict 'memory of all processes in MiB (highest of each, added up)' \
    "$(awk '{ if ($2 > m[$1]) m[$1] = $2 } END { for (p in m) s += m[p]; print s / 1024 }' memory)" 'at most' 64
verdict 'processor time a row, last tenth / first tenth' "$(awk -v n="$many" '
    $1 > 0 && !r0 { r0 = $1; t0 = $2 } $1 <= n / 10 { r1 = $1; t1 = $2 }
    $1 >= n * 0.9 && !r2 { r2 = $1; t2 = $2 } $1 > r2 && r2 && $1 < n { r3 = $1; t3 = $2 }
    END { print ((t3 - t2) / (r3 - r2)) / ((t1 - t0) / (r1 - r0)) }' samples)" 'at most' 1.1
