#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh FOLDER: the figures, with the programs that make has built in FOLDER. Every figure compares two
# commands that run in turn, A B A B ..., and is a median: what else the machine does meets both.
set -eu
bench=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
otrp=$(cd "$(dirname "$0")/../.." && pwd)/bin/otrp
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# target WHAT VALUE LIMIT
target() {
    awk -v what="$1" -v value="$2" -v limit="$3" 'BEGIN {
        printf "    %s: %.2f, target at most %s: %s\n", what, value, limit, value <= limit ? "met" : "missed" }'
}

# medians COMMAND-A COMMAND-B: wall and processor time of both, and the difference and ratio of wall time
medians() {
    "$bench/compare" -n "$rounds" "$label_a" "$1" "$label_b" "$2" | tee figures
    read -r difference ratio < <(sed -nE 's/.*difference ([^ ]*) ms, ratio ([^ ]*) .*/\1 \2/p' figures)
}

"$otrp" jwk --generate rsa-2048 -o key.jwk
"$otrp" jwk --pem key.jwk -o key.pem
printf '{"GetDeviceStateTBSRequest":{"ver":"1.0","rid":"1","tid":"1","ocspdat":"%s","supportedsigalgs":["RS256"]}}' \
    "$(head -c 1500 /dev/zero | base64 -w 0)" > payload.json

echo "Start: otrp --version, and a program that does nothing"
rounds=201 label_a='otrp --version' label_b='empty program'
medians "$otrp --version" "$bench/empty"
target 'difference in ms' "$difference" 1.5

echo "One RS256 signature as a command, and a program of 40 lines that does only that"
rounds=101 label_a='otrp sign' label_b='OpenSSL and jansson, nothing else'
medians "$otrp sign --key key.pem payload.json" "$bench/sign_rs256 key.pem payload.json"
target 'ratio' "$ratio" 1.15

echo "The same, and jose jws sig"
label_b='jose jws sig'
medians "$otrp sign --key key.jwk payload.json" "$(command -v jose) jws sig -I payload.json -k key.jwk"

echo "pki-init with its defaults: what it costs beside the keys themselves"
echo "    RSA keys take a random time to find, so one run says nothing about another. Within each run,"
echo "    the processor time inside key generation is measured by a library that is loaded before"
echo "    OpenSSL; a program that made the same keys alone would take just that."
for i in 1 2 3 4 5; do
    KEYGEN_CLOCK=$work/clock LD_PRELOAD=$bench/keygen_clock.so "$otrp" pki-init -q --out "pki-$i"
    cat clock >> clocks
done
awk '{ printf "    run %d: %8.0f ms wall %8.0f ms CPU, of which %8.0f ms in keys: CPU/keys %.3f, wall/CPU %.2f\n",
       NR, $3, $2, $1, $2 / $1, $3 / $2 }' clocks
target 'CPU/keys (median)' "$(awk '{ print $2 / $1 }' clocks | sort -n | sed -n 3p)" 1.05
echo "    wall/CPU says something on an idle machine only; its load is now $(cut -d " " -f 1 /proc/loadavg)"
target "wall/CPU (median, $(nproc) cores)" "$(awk '{ print $3 / $2 }' clocks | sort -n | sed -n 3p)" 0.6

echo "Libraries of HTTP and of SQLite that a signature loads (tests/layers.bats checks it)"
LD_DEBUG=files LD_DEBUG_OUTPUT=$work/loaded "$otrp" sign --key key.pem payload.json > /dev/null
printf '    %s\n' "$(cat loaded.* | grep -oE 'lib(curl|microhttpd|gnutls|ssl|sqlite3)\.so[.0-9]*' | sort -u | grep . || echo none)"

echo "Signatures and encryption: the library in a loop, the commands, jose, and the bare primitives"
mkdir jose
"$bench/jose" "$otrp" "$(command -v jose)" jose

echo "The software TEE: a request beside its cryptography alone, RSA-2048; storage (SQLite with its fsync) apart"
"$otrp" pki-init -q --out quick --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
"$otrp" tee-sim init -q --state one --pki quick
"$otrp" tee-sim init -q --state fleet --pki quick --count 1000
"$bench/tee" pki-1 measured one fleet mytee-777 quick > tee.txt
grep '^    ' tee.txt
target 'without a TA, worst of five' "$(sed -n 's/^ratio without a TA //p' tee.txt)" 1.3
target 'with a TA of 1 MiB, worst of two' "$(sed -n 's/^ratio with a TA of 1 MiB //p' tee.txt)" 1.5
target 'one of 1,000 devices to one alone' "$(sed -n 's/^ratio of a fleet to one //p' tee.txt)" 1.1

echo "Batches of certificates"
mkdir pki-issue
(cd pki-issue && "$here/pki.sh" "$otrp" "$bench")

echo "The stub TAM"
mkdir tam
(cd tam && "$here/tam.sh" "$bench" "$otrp")
