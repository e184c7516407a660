#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tam-stub: how it speaks HTTP, starts, stops, logs, and serves many at once. curl is the witness.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell; stderr is set by run --separate-stderr

load test_helper
load tam/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# ---- HTTP ----

# asked CURL-OPTION...: what the server answers to that.
asked() {
    run curl -s -o body -w '%{http_code}' "$@" "$URL"
}

@test "only POST, only to its own path" {
    world ec
    wants
    stub
    assert_regex "$URL" '^http://127\.0\.0\.1:[1-9][0-9]*/tam$'
    local method
    for method in GET PUT DELETE OPTIONS PATCH; do
        run curl -si -X "$method" -H "Accept: $OTRP_TYPE" "$URL"
        assert_line --regexp '^HTTP/1\.1 405 '
        assert_line --regexp '^Allow: POST.$'
        assert_line --regexp '^Content-Length: 0.$'
    done
    run curl -sI -H "Accept: $OTRP_TYPE" "$URL"
    assert_line --regexp '^HTTP/1\.1 405 '
    local path
    for path in / /tam/ /tamx /TAM /control; do
        run curl -s -o /dev/null -w '%{http_code}' -X POST -H "Accept: $OTRP_TYPE" "${URL%/tam}$path"
        assert_output 404
    done
    asked -X POST -H "Accept: $OTRP_TYPE"
    assert_output 200
    run curl -s -o /dev/null -w '%{http_code}' -X POST -H "Accept: $OTRP_TYPE" "$URL?query"
    assert_output 200
}

@test "the TAM's messages are for those who accept them" {
    world ec
    wants
    stub
    local accept
    for accept in "$OTRP_TYPE" 'Application/OTrP+JSON' '*/*' 'application/*' "text/html, $OTRP_TYPE" \
        "$OTRP_TYPE;charset=utf-8" "$OTRP_TYPE;q=0.001" "text/*;q=0,application/otrp+json ; q=1.0" \
        "*/*;q=0, $OTRP_TYPE" "*/*;q=0,application/*" "$OTRP_TYPE, application/*;q=0"; do
        asked -X POST -H "Accept: $accept"
        assert_equal "$accept: $output" "$accept: 200"
    done
    for accept in 'text/html' 'application/json' 'application/otrp' 'application/otrp+jsonx' 'text/*' ',' \
        "$OTRP_TYPE;q=0" "$OTRP_TYPE;q=0.000" '*/*;q=0' "application/*;q=0" "*/*, $OTRP_TYPE;q=0" \
        "$OTRP_TYPE ; Q=0"; do
        asked -X POST -H "Accept: $accept"
        assert_equal "$accept: $output" "$accept: 406"
    done
    asked -X POST -H 'Accept:'
    assert_output 406
    asked -X POST -H 'Accept;'
    assert_output 406
}

@test "of media ranges that do not name the type, the most specific one decides" { # RFC 9110 section 12.5.1
    world ec
    wants
    stub
    asked -X POST -H 'Accept: application/*;q=0, */*'
    assert_output 406
    asked -X POST -H 'Accept: */*, application/*;q=0'
    assert_output 406
}

@test "an Accept header in two lines is one list" { # RFC 9110 section 5.3
    world ec
    wants
    stub
    asked -X POST -H 'Accept: text/html' -H "Accept: $OTRP_TYPE"
    assert_output 200
    asked -X POST -H 'Accept: */*' -H "Accept: $OTRP_TYPE;q=0"
    assert_output 406
}

@test "a body must be of the type of OTrP, whatever its parameters" {
    world ec
    two_sessions
    local type
    for type in text/plain application/json 'application/x-www-form-urlencoded' "x$OTRP_TYPE" "$OTRP_TYPE, text/plain"; do
        asked -H "Accept: $OTRP_TYPE" -H "Content-Type: $type" --data-binary @sound.json
        assert_equal "$type: $output" "$type: 415"
    done
    asked -H "Accept: $OTRP_TYPE" -H 'Content-Type:' --data-binary @sound.json
    assert_output 415
    asked -H "Accept: $OTRP_TYPE" -H "Content-Type: Application/OTRP+json ; charset=utf-8" --data-binary @sound.json
    assert_output 200
    assert_equal "$(jq -r 'keys[]' body)" CreateSDRequest
    # of nothing, no type is asked
    asked -X POST -H "Accept: $OTRP_TYPE" -H 'Content-Type: text/plain'
    assert_output 200
}

@test "what is refused by HTTP does not end a session" {
    world ec
    two_sessions
    asked -H "Accept: text/html" -H "Content-Type: $OTRP_TYPE" --data-binary @sound.json
    assert_output 406
    asked -H "Accept: $OTRP_TYPE" -H "Content-Type: text/plain" --data-binary @sound.json
    assert_output 415
    asked -X PUT -H "Accept: $OTRP_TYPE" -H "Content-Type: $OTRP_TYPE" --data-binary @sound.json
    assert_output 405
    next sound.json request.json
}

@test "a message above --max-bytes is refused with 413" {
    world ec
    wants
    stub --max-bytes 2000
    head -c 2001 /dev/zero > large
    run tam large -w '%{http_code} %{size_download}'
    assert_output "413 0"
    head -c 2000 /dev/zero > fits
    run tam fits -w '%{http_code} %{size_download}'
    assert_output "400 0"
}

@test "rubbish is refused with 400 and no word" {
    world ec
    two_sessions
    printf '\xff\xfe\0' > binary
    printf '%s' '{"a":' > cut.json
    printf '%s' '[]' > array
    printf '%s' '{"a":1,"a":2}' > twice
    printf '[%.0s' {1..100000} > deep
    printf ' ' > blank
    jq -c '. + .' sound.json | sed 's/^{\(.*\)}$/{\1,\1}/' > doubled
    local what
    for what in binary cut.json array twice deep blank doubled; do
        unclaimed "$what"
    done
    next sound.json request.json
}

@test "every answer has the headers that protect it, and says nothing more than it must" {
    world ec
    two_sessions
    printf rubbish > rubbish.json
    local how
    for how in 'rubbish.json 400' 'sound.json 200'; do
        run tam "${how% *}" -i
        assert_line --regexp "^HTTP/1\\.1 ${how#* } "
        assert_line --regexp '^Cache-Control: no-store.$'
        assert_line --regexp '^X-Content-Type-Options: nosniff.$'
        assert_line --regexp "^Content-Security-Policy: default-src 'none'.\$"
        assert_line --regexp '^Referrer-Policy: no-referrer.$'
        refute_line --regexp '^(Server|Set-Cookie|X-Powered-By)'
    done
    assert_line --regexp "^Content-Type: ${OTRP_TYPE/+/[+]}.\$"
    wants
    stub
    another
    run tam sound.json -i
    assert_line --index 0 --regexp '^HTTP/1\.1 204 '
    refute_line --regexp '^Content-Type'
    refute_line --partial '{'
}

# ---- starting and stopping ----

@test "port 0 picks a port, and the URL is all that standard output gets" {
    world ec
    wants xbank/sd-1
    device device
    stub
    assert_regex "$URL" '^http://127\.0\.0\.1:[1-9][0-9]*/tam$'
    session device
    assert_success
    stop_server
    run cat <&"$SERVER_OUT"
    assert_output ""
}

@test "a port that is taken is said so" {
    world ec
    wants
    stub
    run --separate-stderr otrp tam-stub --pki "$P" --listen "127.0.0.1:$PORT"
    assert_equal "$status" 7
    assert_equal "$output" ""
    assert_regex "$stderr" "error: 127\.0\.0\.1:$PORT: cannot listen: Address already in use"
}

@test "SIGTERM and SIGINT stop the server with exit code 0, whoever is connected" {
    world ec
    wants xbank/sd-1
    device device
    local signal socket
    for signal in TERM INT; do
        stub --deadline 3
        next '' request.json
        exec {socket}<> "/dev/tcp/127.0.0.1/$PORT"
        printf 'POST /tam HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n123' >&"$socket"
        kill -"$signal" "$SERVER_PID"
        run -1 read -r -t 60 -u "$SERVER_OUT" # its end, in time
        stop_server
        exec {socket}>&-
    done
}

@test "--once ends with the first session" {
    world ec
    wants xbank/sd-1
    device device
    stub --once
    session device
    took GetDeviceState CreateSD
    await_server
}

@test "--once ends with a session that fails" {
    world ec
    wants xbank/sd-1
    device device --no-tfw
    stub --once
    session device
    assert_equal "$status" 7
    assert_regex "$stderr" 'HTTP status 400'
    await_server
}

@test "--once does not end with what belongs to no session" {
    world ec
    wants xbank/sd-1
    device device
    stub --once
    printf rubbish > rubbish.json
    unclaimed rubbish.json
    asked -X GET
    assert_output 405
    session device
    took GetDeviceState CreateSD
}

@test "the access log has a line for each answer; --quiet has none" {
    world ec
    wants xbank/sd-1
    device device
    stub
    session device --transcript wire.jsonl
    assert_success
    asked
    assert_output 405
    local n='[0-9]+\.[0-9]ms' peer='127\.0\.0\.1:[1-9][0-9]*' sizes
    mapfile -t sizes < <(jq .bytes wire.jsonl)
    run sed -n '/ "/s/^otrp tam-stub: //p' server.log
    assert_equal "${#lines[@]}" 4
    assert_regex "${lines[0]}" "^$peer \"POST /tam\" 200 0 ${sizes[1]} $n\$"
    assert_regex "${lines[1]}" "^$peer \"POST /tam\" 200 ${sizes[2]} ${sizes[3]} $n\$"
    assert_regex "${lines[2]}" "^$peer \"POST /tam\" 204 ${sizes[4]} 0 $n\$"
    assert_regex "${lines[3]}" "^$peer \"GET /tam\" 405 0 0 $n\$"
    : > server.log
    stub --quiet
    session device
    took GetDeviceState
    run cat server.log
    assert_output ""
}

@test "what the options lack is said before the server starts" {
    world ec
    wants
    local options message
    while IFS='|' read -r options message; do
        # shellcheck disable=SC2086 # several options
        run --separate-stderr otrp tam-stub $options --listen 127.0.0.1:0
        assert_equal "$options: $status" "$options: 2"
        assert_equal "$output" ""
        assert_regex "$stderr" "$message"
    done << END
--policy policy.json|error: no TAM to sign with
--pki $P --tam nobody|nobody
--pki none|none
--pki $P --tls-cert x.pem|--tls-cert and --tls-key go together
--pki $P --tls-key x.pem|--tls-cert and --tls-key go together
--pki $P --policy none.json|none\\.json: cannot open
--pki $P --ocsp none.json|none\\.json: cannot open
--pki $P --tee-root none|none: cannot open
--pki $P --tam-key $SP-key.pem|is not the key of the certificate
--tam-key $TAM-key.pem --tam-cert $TAM-cert.pem|no TEE roots to trust
--tam-key $TAM-key.pem --tam-cert $TAM-cert.pem --tee-root $P/tee/tee-rootca --policy policy.json|there are no firmware roots
END
}

# ---- many at once ----

@test "thirty devices at once are all served" {
    world ec
    wants xbank/sd-1/demo ybank/sd-2
    device device
    stub
    local i pids=()
    for i in {1..30}; do
        cp -r device "device-$i"
    done
    for i in {1..30}; do
        "$OTRP" send -q --url "$URL" --tee "device-$i" 2> "send-$i.err" 3>&- &
        pids+=($!)
    done
    for i in {1..30}; do
        status=0
        wait "${pids[i - 1]}" || status=$?
        assert_equal "$i: $status $(< "send-$i.err")" "$i: 0 "
        holds "device-$i" 'mytam xbank/sd-1' 'mytam xbank/sd-1/demo' 'mytam ybank/sd-2'
    done
}

@test "the lines of the log do not mix, however many clients there are" {
    world ec
    wants
    stub
    curl -s --parallel --parallel-max 50 -X POST -H "Accept: $OTRP_TYPE" -o /dev/null "$URL?[1-1000]" 2> curl.err
    run grep -Evc "^otrp tam-stub: ($TID begins|127\\.0\\.0\\.1:[0-9]+ \"POST /tam\" 200 0 [0-9]+ [0-9.]+ms)\$" server.log
    assert_output 0
    assert_equal "$(wc -l < server.log)" 2000
    assert_equal "$(sed -nE "s/^otrp tam-stub: ($TID) begins\$/\\1/p" server.log | sort -u | wc -l)" 1000
}
