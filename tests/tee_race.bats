#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tee-sim: many processes on one folder, and processes that are killed. Nothing that was answered is
# lost, nothing is half done. sqlite3 and jq are the witnesses.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr
# shellcheck disable=SC2317 # at_once calls its argument

load test_helper
load tee/helper

MANY=16

# A PKI with 16 TAMs, and for each one what it knows of the device in the folder "asked".
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    local i tams=()
    for i in $(seq $MANY); do
        tams+=(--tam "tam$i")
    done
    otrp pki-init -q --out many --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256 --tee mytee --tee second "${tams[@]}"
    otrp tee-sim init -q --state asked --pki many
    for i in $(seq $MANY); do
        otrp make-request get-device-state --pki many --tam "tam$i" --tid "session-$i" |
            otrp tee-sim process -q --state asked > "state-$i.json"
    done
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR/asked" device
    cp "$BATS_FILE_TMPDIR"/state-*.json .
    many=$BATS_FILE_TMPDIR/many
}

# by N TYPE OPTION...: a request of the TAM of that number.
by() {
    otrp make-request "$2" --pki "$many" --tam "tam$1" --device "state-$1.json" "${@:3}"
}

# at_once COMMAND...: runs COMMAND with 1 to 16 appended, all at the same time; its output goes to
# out-N, its exit codes, in order, into the array CODES.
at_once() {
    local i pids=()
    CODES=()
    for i in $(seq $MANY); do
        "$@" "$i" > "out-$i" 2> "err-$i" 3>&- &
        pids+=($!)
    done
    for i in "${pids[@]}"; do
        local code=0
        wait "$i" || code=$?
        CODES+=("$code")
    done
}

give() { # sixteen may have to wait for each other, on a slow disk for long
    otrp tee-sim process --state device --wait 300 "request-$1.json"
}

sound() {
    run sqlite3 device/state.db 'PRAGMA integrity_check; PRAGMA foreign_key_check'
    assert_output ok
}

all() { # WHAT: 16 times
    local i text=
    for i in $(seq $MANY); do
        text+="$1 "
    done
    echo "${text% }"
}

@test "sixteen TAMs at once: every one's work is done, and none of it twice" {
    local i
    for i in $(seq $MANY); do
        by "$i" create-sd --sp xbank --sdname "sd-$i" > "request-$i.json"
    done
    at_once give
    assert_equal "${CODES[*]}" "$(all 0)"
    for i in $(seq $MANY); do
        plaintext "out-$i" "$many/tam/tam/tam-tam$i-ec-key.jwk" | jq -r '.dsi.tee.sdlist.sd[].name' >> told.txt
    done
    run cat told.txt
    assert_output "$(seq -f 'sd-%g' $MANY)"
    assert_equal "$(otrp tee-sim show --state device --json | jq -r '.devices[0].sds[] | .tamid + " " + .name' | sort)" \
        "$(for i in $(seq $MANY); do echo "tam$i sd-$i"; done | sort)"
    at_once give
    assert_equal "${CODES[*]}" "$(all 8)"
    for i in $(seq $MANY); do
        payload "out-$i" | jq -r '.[].reason."error-code"' >> refusals.txt
    done
    run sort -u refusals.txt
    assert_output ERR_REQUEST_INVALID
    assert_equal "$(holdings | jq '[(.sds | length), (.aiks | length)] | @text')" '"[16,16]"'
    assert_equal "$(otrp tee-sim show --state device --json | jq -c '[.devices[0].tams[].requests] | unique')" '[2]'
    sound
}

@test "one request sixteen times at once is carried out once" {
    local i
    by 1 create-sd --sp xbank --sdname once > request-1.json
    for i in $(seq 2 $MANY); do
        cp request-1.json "request-$i.json"
    done
    at_once give
    assert_equal "$(printf '%s\n' "${CODES[@]}" | sort | uniq -c | tr -s ' \n' ' ')" ' 1 0 15 8 '
    assert_equal "$(requests tam1)" 2
    sound
}

@test "sixteen changes of one state at once: one is made, the others must look again" {
    local i
    for i in $(seq $MANY); do
        by 1 create-sd --sp xbank --sdname "sd-$i" > "request-$i.json"
    done
    at_once give
    assert_equal "$(printf '%s\n' "${CODES[@]}" | sort | uniq -c | tr -s ' \n' ' ')" ' 1 0 15 8 '
    for i in $(seq $MANY); do
        payload "out-$i" | jq -r '.[].reason."error-code" // "pass"' >> codes.txt
    done
    assert_equal "$(sort codes.txt | uniq -c | tr -s ' \n' ' ')" ' 15 ERR_DEV_STATE_MISMATCH 1 pass '
    assert_equal "$(holdings | jq '.sds | length')" 1
    assert_equal "$(requests tam1)" $((MANY + 1))
    sound
}

@test "readers see whole states while others write" {
    local i
    echo code > ta.bin
    by 1 create-sd --sp xbank --sdname sd > request.json
    otrp tee-sim process -q --state device request.json > state-1.json
    by 1 install-ta --sp xbank --sdname sd --taid demo --ta ta.bin > request.json
    otrp tee-sim process -q --state device request.json > state-1.json
    for i in $(seq $MANY); do
        [ "$i" = 1 ] || by "$i" create-sd --sp ybank --sdname "sd-$i" > "request-$i.json"
    done
    by 1 create-sd --sp ybank --sdname sd-1 > request-1.json
    work() {
        case $(($1 % 4)) in
        0) otrp tee-sim show --state device --json | jq -e '.devices[0].sds | length >= 1' ;;
        1) otrp tee-sim query --state device --spid xbank --taid demo ;;
        2) otrp tee-sim export-ta --state device --taid demo ;;
        3) give "$1" ;;
        esac
    }
    at_once work
    assert_equal "${CODES[*]}" "$(all 0)"
    run cat out-2
    assert_output code
    assert_equal "$(holdings | jq '.sds | length')" 5
    sound
}

@test "inits at once: none is lost" {
    rm -r device
    init() {
        otrp tee-sim init -q --state device --name "tee-$1" --tee-key "$many/tee/tee/tee-mytee-ec-key.pem" \
            --tee-cert "$many/tee/tee/tee-mytee-ec-cert.pem" --tam-root "$many/tam/tam-rootca"
    }
    at_once init
    cat err-*
    assert_equal "${CODES[*]}" "$(all 0)"
    assert_equal "$(otrp tee-sim show --state device --json | jq -r '.devices[].name' | sort)" \
        "$(seq -f 'tee-%g' $MANY | sort)"
    sound
}

@test "inits of one name at once make one device" {
    rm -r device
    init() {
        otrp tee-sim init -q --state device --pki "$many"
    }
    at_once init
    cat err-*
    assert_equal "$(printf '%s\n' "${CODES[@]}" | sort | uniq -c | tr -s ' \n' ' ')" ' 1 0 15 2 '
    otrp make-request get-device-state --pki "$many" --tam tam1 > gds.json
    process gds.json
    assert_success
    sound
}

# How long COMMAND takes, in microseconds.
duration_of() {
    local start=$EPOCHREALTIME
    "$@" > duration.log 2>&1
    local end=$EPOCHREALTIME
    echo $((${end/./} - ${start/./}))
}

# killed MICROSECONDS COMMAND...: COMMAND, killed after a random part of that time, and dead when this
# returns. Its exit code, 137 when it was killed.
killed() {
    local pid code=0 end=$((${EPOCHREALTIME/./} + RANDOM * $1 / 32768))
    "${@:2}" 3>&- &
    pid=$!
    while [ "${EPOCHREALTIME/./}" -lt "$end" ]; do
        :
    done
    kill -KILL $pid 2> /dev/null || : # it may have ended
    { wait $pid || code=$?; } 2> /dev/null
    return "$code"
}

@test "a process that is killed has done its work or not, and what it answered is kept" {
    local round time code
    otrp make-request get-device-state --pki "$many" --tam tam1 --tid first > gds.json
    otrp tee-sim process -q --state device gds.json > state-1.json
    by 1 create-sd --sp xbank --sdname sd-0 > request.json
    time=$(duration_of otrp tee-sim process --state device request.json)
    for round in $(seq 20); do
        otrp make-request get-device-state --pki "$many" --tam tam1 | otrp tee-sim process -q --state device > state-1.json
        by 1 create-sd --sp "xbank" --spid "sp-$round" --sdname "sd-$round" --rid "rid-$round" > request.json
        code=0
        killed $((time * 3 / 2)) "$OTRP" tee-sim process -q --state device request.json > answer.json || code=$?
        run sqlite3 device/state.db 'PRAGMA integrity_check' \
            "SELECT count(*) FROM sd WHERE name = 'sd-$round'" "SELECT count(*) FROM replay WHERE rid = 'rid-$round'" \
            "SELECT count(*) FROM aik WHERE spid = 'sp-$round'"
        assert_equal "${lines[0]}" ok
        assert_regex "${lines[*]:1}" '^(0 0 0|1 1 1)$'
        if [ "$code" = 0 ]; then
            assert_equal "${lines[*]:1}" '1 1 1'
            plaintext answer.json "$many/tam/tam/tam-tam1-ec-key.jwk" | jq -e '.dsi' > dsi.json
        else
            assert_equal "$code" 137
        fi
        if [ "${lines[1]}" = 1 ]; then
            echo "sd-$round" >> kept.txt
            process request.json
            assert_equal "$status" 8
        fi
    done
    otrp make-request get-device-state --pki "$many" --tam tam1 > gds.json
    process gds.json
    assert_success
    plaintext answer.json "$many/tam/tam/tam-tam1-ec-key.jwk" | jq -r '.dsi.tee.sdlist.sd[].name' | sort > found.txt
    run diff found.txt <(cat <(echo sd-0) kept.txt | sort)
    assert_success
    sound
}

@test "sixteen processes of which some are killed leave a sound folder, and the others' work" {
    local i time
    by 1 create-sd --sp xbank --sdname first > request.json
    time=$(duration_of otrp tee-sim process --state device request.json)
    otrp make-request get-device-state --pki "$many" --tam tam1 | otrp tee-sim process -q --state device > state-1.json
    for i in $(seq $MANY); do
        by "$i" create-sd --sp xbank --sdname "sd-$i" > "request-$i.json"
    done
    some_killed() {
        if [ $(($1 % 2)) = 0 ]; then
            give "$1"
        else
            killed $((time * 4)) "$OTRP" tee-sim process --state device --wait 300 "request-$1.json"
        fi
    }
    at_once some_killed
    for i in $(seq $MANY); do
        case ${CODES[i - 1]} in
        0) echo "sd-$i" >> done.txt ;;
        *)
            cat "err-$i"
            assert_equal "$((i % 2)) ${CODES[i - 1]}" "1 137"
            ;;
        esac
    done
    assert [ "$(grep -c . done.txt)" -ge 8 ]
    otrp tee-sim show --state device --json | jq -r '.devices[0].sds[].name' > there.txt
    run grep -vxFf there.txt done.txt
    assert_output ""
    sound
}

@test "an init that is killed can be done again" {
    local round time
    rm -r device
    time=$(duration_of otrp tee-sim init --state device --pki "$many")
    otrp make-request get-device-state --pki "$many" --tam tam1 > gds.json
    for round in $(seq 12); do
        rm -r device
        killed "$time" "$OTRP" tee-sim init -q --state device --pki "$many" || [ $? = 137 ]
        run --separate-stderr otrp tee-sim init -q --state device --pki "$many"
        [ "$status" = 0 ] || assert_regex "$status $stderr" '^2 .*has a device "mytee" already'
        process gds.json
        assert_success
    done
    sound
}
