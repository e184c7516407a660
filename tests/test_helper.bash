# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What tests share. $OTRP is the program under test (default: bin/otrp), $ROOT the source tree.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
OTRP=${OTRP:-$ROOT/bin/otrp}
export ROOT OTRP

bats_require_minimum_version 1.5.0
BATS_LIB_PATH=${BATS_LIB_PATH:-/usr/lib/bats}:/usr/share/bats:/usr/local/lib/bats:/usr/local/lib:/usr/lib:/opt/homebrew/lib
# The libraries ask for the folder of each of their twenty files, for each test: not with a process.
# shellcheck disable=SC2317 # they call it
dirname() { printf '%s\n' "${1%/*}"; }
bats_load_library bats-support
bats_load_library bats-assert
unset -f dirname

otrp() {
    "$OTRP" "$@"
}

# The compiler of make, which may be more than a word: CC="ccache gcc".
compile() {
    local cc
    read -ra cc <<< "${CC:-cc}"
    "${cc[@]}" "$@"
}

# flip_last_byte_of PATH: the JSON on standard input with the last byte of the base64url value at a
# path of jq's changed in one bit. What the last character does not say of that byte stays zero.
flip_last_byte_of() {
    jq -c "def digits: \"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_\";
        $1 |= ((length % 4) as \$rest
            | (if \$rest == 2 then 16 elif \$rest == 3 then 4 else 1 end) as \$bit
            | .[-1:] as \$last | (digits | index(\$last)) as \$i
            | (if (\$i / \$bit | floor) % 2 == 0 then \$i + \$bit else \$i - \$bit end) as \$j
            | .[:-1] + digits[\$j:\$j + 1])"
}

# last_byte_changed FILE: its bytes, the last of them another.
last_byte_changed() {
    head -c -1 "$1"
    tail -c 1 "$1" | tr '\000-\377' '\001-\377\000'
}

# base64url, without padding, from standard input to standard output
base64url_encode() {
    base64 -w 0 | tr -- '+/' '-_' | tr -d =
}

base64url_decode() {
    local text
    text=$(tr -- '-_' '+/')
    case $((${#text} % 4)) in 2) text+='==' ;; 3) text+='=' ;; esac
    base64 -d <<< "$text"
}

# start_server COMMAND...: starts it in the background and waits for its first line, the URL that it
# answers on: sets URL, PORT, SERVER_PID, and SERVER_OUT, a descriptor for what else it prints.
# Its messages are appended to the file server.log.
SERVERS=()
start_server() {
    [ "$1" != otrp ] || set -- "$OTRP" "${@:2}"
    exec {SERVER_OUT}< <(exec "$@" 2>> server.log 3>&-)
    SERVER_PID=$!
    SERVERS+=("$SERVER_PID")
    if ! read -r -t 60 -u "$SERVER_OUT" URL; then
        cat server.log
        return 1
    fi
    PORT=${URL#*://*:}
    PORT=${PORT%%/*}
    export PORT SERVER_OUT
}

# stop_server [PID]: SIGTERM, and its exit code. The last one that was started, unless told more.
# await_server [PID]: the same for one that ends by itself.
# Never under `run`: only the shell that started a process can wait for it.
stop_server() {
    if is_child "${1:-$SERVER_PID}"; then
        kill "${1:-$SERVER_PID}" 2> /dev/null || true
    fi
    await_server "$@"
}

# is_child PID: one of this shell's. The number of one that has ended may be that of a stranger.
is_child() {
    local parent
    [ -e /proc/self/stat ] || return 0 # no telling
    { read -r _ _ _ parent _ < "/proc/$1/stat"; } 2> /dev/null && [ "$parent" = "$BASHPID" ]
}

await_server() {
    local pid=${1:-$SERVER_PID} status=0 i
    for i in "${!SERVERS[@]}"; do
        [ "${SERVERS[i]}" != "$pid" ] || unset "SERVERS[$i]"
    done
    wait "$pid" || status=$?
    return "$status"
}

stop_servers() {
    local pid
    for pid in "${SERVERS[@]}"; do
        stop_server "$pid" || true
    done
}

# A test file with a teardown of its own calls stop_servers there.
teardown() {
    stop_servers
}
