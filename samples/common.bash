# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the sample scripts share. A script sources it with its own arguments, and is then in a folder
# of its own: the one that it was given, which it leaves behind, or a temporary one. The otrp that it
# runs is the one of its own tree, built or installed, or else that of PATH.
#   step TEXT            a headline; names what failed, should it fail
#   say TEXT             why the next thing is done
#   run COMMAND...       a command, shown and run
#   quick_pki OPTION...  a PKI in ./pki with P-256 keys
#   start_tam OPTION...  a TAM on a free port: sets url
#   stop_tam             ends it
#   await_tam            waits for one that ends by itself, such as with --scenario; its exit code
set -euo pipefail

samples=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for bin in "$samples/../bin" "$samples/../../../../bin"; do
    if [ -x "$bin/otrp" ]; then
        PATH=$(cd "$bin" && pwd):$PATH
        break
    fi
done
if ! command -v otrp > /dev/null; then
    echo "there is no otrp: run 'make' first" >&2
    exit 2
fi

tam='' step='start' keep=${1:-}
if [ -n "$keep" ]; then
    mkdir -p "$keep"
    cd "$keep"
    if [ -n "$(ls -A)" ]; then
        echo "$keep is not empty: give a new folder, or none" >&2
        exit 2
    fi
else
    cd "$(mktemp -d)"
fi
work=$PWD

finish() {
    local status=$?
    [ -z "$tam" ] || { kill "$tam" && wait "$tam"; } 2> /dev/null || true
    [ -n "$keep" ] || { cd / && rm -rf "$work"; }
    [ "$status" -eq 0 ] || echo "$(basename "$0"): FAILED at: $step" >&2
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM
exec 2>&1 # what otrp says to a person belongs to the story

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi

step() {
    step=$1
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
}

say() {
    printf '%s\n' "$*"
}

run() {
    local word line='$'
    for word in "$@"; do
        [[ $word =~ ^[A-Za-z0-9_./:=@%+,-]+$ ]] || word=${word@Q}
        line+=" $word"
    done
    printf '%s\n' "$line"
    "$@"
}

quick_pki() {
    run otrp pki-init -q --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256 "$@"
}

# The URL is the first line that it prints; the descriptor stays open for what it prints later.
start_tam() {
    exec {tam_out}< <(exec otrp tam-stub --pki pki --listen 127.0.0.1:0 "$@" 2>> tam.log)
    tam=$!
    if ! read -r -u "$tam_out" url; then
        cat tam.log
        return 1
    fi
    say "the TAM answers at $url (tam-stub $*)"
}

await_tam() {
    local pid=$tam
    tam=''
    wait "$pid"
}

stop_tam() {
    kill "$tam"
    await_tam
}
