#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# proxy: what goes through it is what came in, and what is told of it is what went through.
# tam/fake_tam.c is an upstream that says what it is told to; curl and bash are the clients.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell; stderr is set by run --separate-stderr

load test_helper
load tam/helper

setup_file() {
    build_fake_tam
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    world ec
}

# proxy [OPTION]...: one for the server at $URL, which is then the proxy's.
proxy() {
    start_server otrp proxy --upstream "$URL" --transcript wire.jsonl "$@"
}

# answer FILE LINE...: such an answer; CR and LF are added to each line.
answer() {
    printf '%s\r\n' "${@:2}" > "$1"
}

# raw BYTES: what the proxy says to these bytes, until it closes the connection.
raw() {
    exec {conn}<> "/dev/tcp/127.0.0.1/$PORT"
    printf %b "$1" >&"$conn"
    timeout 60 cat <&"$conn"
    exec {conn}>&-
}

# The lines of the header of the n-th request of fake.
head_of() {
    sed '/^\r$/q' "request-$1" | tr -d '\r'
}

# logged REGEX: in the proxy's log, when it has ended.
logged() {
    grep -Eq -- "^otrp proxy: $1\$" server.log || {
        cat server.log
        fail "not in the log: $1"
    }
}

@test "a whole session: nobody notices, and all of it is recorded and logged" {
    device dev
    wants xbank/sd-1/pay
    stub
    assert_regex "$URL" '/tam$'
    tam_url=$URL
    proxy --key "$TAM-key.pem"
    assert_regex "$URL" '^http://127\.0\.0\.1:[1-9][0-9]*/tam$'
    session dev --transcript device.jsonl
    took GetDeviceState CreateSD InstallTA
    stop_server
    run jq -cs 'map([.direction, .from, .to, .via, .exchange, .status, .url])' wire.jsonl
    assert_output "$(jq -cn --arg url "$tam_url" '[range(1; 5) as $i | ["request", "tee", "tam", "proxy", $i, null, $url],
        ["response", "tam", "tee", "proxy", $i, (if $i == 4 then 204 else 200 end), $url]]')"
    run diff <(jq .body wire.jsonl) <(jq .body device.jsonl)
    assert_success
    logged '#1 127\.0\.0\.1:[0-9]+ POST /tam -> 200 GetDeviceStateRequest rid [^ ]+ tid [^ ]+ [0-9]+ bytes [0-9.]+ ms'
    logged '#2 .* GetDeviceStateResponse pass rid .* \(device state: 0 SDs, 0 TAs\) [0-9]+ bytes -> 200 CreateSDRequest .*'
    logged '#4 .* InstallTAResponse pass .* -> 204 [0-9.]+ ms'
    run otrp diagram -t text wire.jsonl
    assert_line --index 0 --partial '(proxy)'
}

@test "header fields for the other end stay as they are; those for one connection, and Host, do not" {
    answer a 'HTTP/1.1 200 Fine, thank you' 'x-UPPER:  two  words ' 'Set-Cookie: a=b' 'X-Twice: 1' 'Keep-Alive: timeout=5' \
        'X-Twice: 2' 'Connection: close, X-Hop' 'X-Hop: mine' 'Content-Type: text/odd' 'Content-Length: 3' '' 'abc'
    fake a
    upstream=${URL#http://}
    proxy
    run raw "PUT /any/path?q=1#f HTTP/1.1\r\nX-b:1\r\nhoSt: here\r\nConnection: close, x-a\r\nX-A: hop\r\nTE: trailers\r\nX-B:  2\r\nUpgrade: h2c\r\nAuthorization: Bearer secret\r\nContent-Length: 4\r\n\r\nbody"
    assert_output "$(printf '%s\r\n' 'HTTP/1.1 200 Fine, thank you' 'x-UPPER:  two  words ' 'Set-Cookie: a=b' 'X-Twice: 1' \
        'X-Twice: 2' 'Content-Type: text/odd' 'Content-Length: 3' 'Connection: close' '')
abc"
    run head_of 1
    assert_output "PUT /any/path?q=1#f HTTP/1.1
X-b:1
hoSt: ${upstream%/tam}
X-B:  2
Authorization: Bearer secret
Content-Length: 4
Connection: close"
    assert_equal "$(body_of 1)" body
    stop_server
    run jq -r '.headers[]' wire.jsonl
    assert_line 'Authorization: (not recorded)'
    assert_line 'Set-Cookie: (not recorded)'
    refute_output --partial secret
    refute_output --partial 'a=b'
}

@test "any bytes pass in both directions, large and in pieces" {
    head -c 300000 /dev/urandom > sent
    head -c 700000 /dev/urandom > said
    { printf 'HTTP/1.1 200 OK\r\nContent-Length: 700000\r\n\r\n' && cat said; } > a
    fake a
    proxy
    curl -s --data-binary @sent "$URL" -o got
    cmp got said
    body_of 1 > passed
    cmp <(tail -c 300000 request-1) sent
    stop_server
    jq -r 'select(.direction == "request") | .body_base64' wire.jsonl | base64 -d | cmp - sent
    jq -r 'select(.direction == "response") | .body_base64' wire.jsonl | base64 -d | cmp - said
}

@test "chunks pass as they are, extensions and trailers too" {
    chunks='3;x="y"\r\nabc\r\n0a\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n'
    printf %b "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n$chunks" > a
    fake a a
    proxy
    run raw "POST /tam HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n$chunks"
    assert_output "$(printf %b "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n$chunks")"
    run curl -s "$URL"
    assert_output abc0123456789
    stop_server
    run jq -r '.body' wire.jsonl
    assert_line --index 0 abc0123456789
    assert_line --index 1 abc0123456789
}

@test "a client of HTTP/1.0 gets no chunks" {
    printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n3\r\nabc\r\n0\r\n\r\n' > a
    fake a
    proxy
    run raw 'GET / HTTP/1.0\r\n\r\n'
    assert_output "$(printf 'HTTP/1.1 200 OK\r\nX-A: b\r\nConnection: close\r\n\r\nabc')"
    run head_of 1
    assert_line --index 0 'GET /tam HTTP/1.1'
}

@test "a body beyond --max-bytes passes whole, and is recorded to there" {
    { printf 'HTTP/1.1 200 OK\r\n\r\n' && head -c 200000 /dev/zero | tr '\0' z; } > a
    fake a
    proxy --max-bytes 1000
    run bash -c "curl -s '$URL' --data-binary @a | wc -c"
    assert_output 200000
    stop_server
    run jq -c '[.bytes, .truncated, (.body | length)]' wire.jsonl
    assert_output "[200019,true,1000]
[200000,true,1000]"
    logged '.* no OTrP message \(not recorded as a whole\) 200019 bytes -> 200 .*'
}

@test "what is no message passes, and the log says why" {
    answer a 'HTTP/1.1 200 OK' 'Content-Length: 9' '' '{"a":[}]'
    fake a
    proxy
    run curl -s --data-binary '{"CreateSDRequest":{"payload":"!"}}' "$URL"
    assert_output "$(printf '{"a":[}]\r')"
    stop_server
    logged '#1 .* CreateSDRequest \(payload: .*\) 35 bytes -> 200 no OTrP message \(body: .*\) 9 bytes .*'
}

@test "an upstream that cannot be had is a 502 without a body, and the reason is told here alone" {
    URL=$NOWHERE
    proxy
    run curl -s -w '%{http_code} %{size_download}' -d something "$URL"
    assert_output '502 0'
    stop_server
    logged '#1 .* -> 502 by the proxy: http://.*: [Cc]onnection refused .*'
    run jq -c '[.direction, .from, .status, (.error // "" | test("refused")), .body]' wire.jsonl
    assert_line --index 0 '["request","tee",null,false,"something"]'
    assert_line --index 1 '["response","proxy",502,true,""]'
}

@test "an upstream that misbehaves: 502, or 504 for silence" {
    : > nothing
    : > silence.part
    printf 'SSH-2.0-x\r\n\r\n' > ssh
    printf 'HTTP/1.1 200 OK\r\nContent-Le' > head.txt
    printf 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n' > both
    fake nothing ssh head.txt both silence.part
    local upstream=$URL
    proxy
    for _ in 1 2 3 4; do
        run curl -s -w '%{http_code} %{size_download}' -d x "$URL"
        assert_output "502 0"
    done
    stop_server
    logged '#1 .*: the upstream closed the connection without an answer .*'
    logged "#2 .*: the upstream's answer is no HTTP: .*"
    logged '#3 .*: the upstream closed the connection within a header .*'
    logged "#4 .*: the upstream's answer: both Content-Length and Transfer-Encoding .*"
    : > server.log
    rm wire.jsonl
    URL=$upstream
    proxy --timeout 3
    run curl -s -w '%{http_code} %{size_download}' -d x "$URL"
    assert_output "504 0"
    stop_server
    logged '#1 .* -> 504 by the proxy: no answer from the upstream in time .*'
}

@test "half an answer is half an answer to the client, too" {
    answer a 'HTTP/1.1 200 OK' 'Content-Length: 100' '' 'half'
    printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab' > b
    fake a b
    proxy
    run curl -s "$URL"
    assert_failure 18
    assert_output --partial half
    run curl -s "$URL"
    assert_failure 18
    stop_server
    logged "#1 .* -> 200 failed: the upstream's answer ended too early .*"
}

@test "an early answer does not wait for the rest of the request" {
    wants
    stub --max-bytes 1024
    proxy
    run raw 'POST /tam HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nhell'
    assert_line --index 0 --partial 'HTTP/1.1 413 '
    stop_server
    logged '#1 .* -> 413 .*'
}

@test "Expect: 100-continue goes through, and so does the 100" {
    answer a 'HTTP/1.1 100 Continue' '' 'HTTP/1.1 200 OK' 'Content-Length: 0' ''
    fake a
    proxy
    run raw 'POST /tam HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi'
    assert_line --index 0 "$(printf 'HTTP/1.1 100 Continue\r')"
    assert_output --partial 'HTTP/1.1 200 OK'
    run head_of 1
    assert_line 'Expect: 100-continue'
}

@test "requests that two readers would read in two ways are refused" {
    fake none
    proxy
    n=0
    for bad in 'POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' \
        'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab' \
        'POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\na' \
        'POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\na' \
        'POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n' \
        'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n' \
        'POST / HTTP/1.1\r\nName : x\r\n\r\n' 'POST / HTTP/1.1\r\n folded: x\r\n\r\n' \
        'POST / HTTP/1.1\r\nA: x\ny: z\r\n\r\n' 'POST  / HTTP/1.1\r\n\r\n' 'POST /\t/ HTTP/1.1\r\n\r\n' 'POST /\x01 HTTP/1.1\r\n\r\n' 'POST / HTTP/2.0\r\n\r\n' 'POST /\r\n\r\n'; do
        n=$((n + 1))
        run raw "$bad"
        assert_equal "$n: ${lines[0]}" "$n: $(printf 'HTTP/1.1 400 Bad Request\r')"
    done
    head -c 70000 /dev/zero | tr '\0' a > long
    run raw "GET / HTTP/1.1\r\nA: $(cat long)\r\n\r\n"
    assert_line --index 0 "$(printf 'HTTP/1.1 431 Request Header Fields Too Large\r')"
    assert [ ! -e request-1 ]
}

@test "a chunk that is none ends the request" {
    : > silence.part
    fake silence.part silence.part silence.part silence.part
    proxy
    for bad in 'x\r\n' '3\r\nabcx' '\r\n' 'ffffffffffffffff\r\n'; do
        run raw "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n$bad"
        assert_line --index 0 "$(printf 'HTTP/1.1 400 Bad Request\r')"
    done
}

@test "a connection is kept for the client's next request, pipelined ones too" {
    answer a 'HTTP/1.1 200 OK' 'Content-Length: 1' ''
    printf 1 >> a
    fake a a a a
    proxy
    run curl -s -w '%{num_connects}' "$URL" "$URL"
    assert_output 1110
    run raw 'GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    assert_equal "$(grep -c 'HTTP/1.1 200' <<< "$output")" 2
}

@test "HEAD is answered without a body" {
    answer a 'HTTP/1.1 200 OK' 'Content-Length: 100' ''
    fake a
    proxy
    run curl -s -I "$URL"
    assert_success
    assert_output --partial 'Content-Length: 100'
}

@test "a client that is slow, or gone, holds nobody up" {
    answer a 'HTTP/1.1 200 OK' 'Content-Length: 2' '' 'ok'
    device dev
    wants xbank/sd-1
    stub
    proxy
    exec {slow}<> "/dev/tcp/127.0.0.1/$PORT"
    printf 'POST /tam HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf' >&"$slow"
    exec {idle}<> "/dev/tcp/127.0.0.1/$PORT"
    session dev
    took GetDeviceState CreateSD
    exec {slow}>&- {idle}>&-
    stop_server
    logged '#[0-9]+ .* failed: the client closed the connection within its request .*'
}

@test "a client that sends a byte now and then does not keep the proxy from ending" {
    answer a 'HTTP/1.1 200 OK' 'Content-Length: 2' '' 'ok'
    fake a
    proxy --timeout 1
    mkfifo never
    exec {slow}<> "/dev/tcp/127.0.0.1/$PORT"
    printf 'POST /tam HTTP/1.1\r\nContent-Length: 100000\r\n\r\nhalf' >&"$slow"
    { while printf x >&"$slow"; do read -r -t 0.2 _ <> never || :; done; } 2> /dev/null 3>&- &
    local trickle=$!
    kill -TERM "$SERVER_PID"
    run -1 read -r -t 60 -u "$SERVER_OUT" # its end, in time
    stop_server
    kill "$trickle" 2> /dev/null || :
    exec {slow}>&-
}

@test "twenty devices at once" {
    wants
    stub
    proxy
    for i in {1..20}; do
        device "dev$i"
    done
    for i in {1..20}; do
        otrp send -q --url "$URL" --tee "dev$i" &
        pids[i]=$!
    done
    for i in {1..20}; do
        wait "${pids[i]}"
    done
    stop_server
    run jq -s 'group_by(.exchange) | map([.[].direction] | sort == ["request", "response"]) | [length, all]' -c wire.jsonl
    assert_output '[40,true]'
}

@test "https to the upstream, whose certificate is checked" {
    wants
    stub --tls-cert "$BATS_FILE_TMPDIR/tls.pem" --tls-key "$BATS_FILE_TMPDIR/tls-key.pem"
    tam_url=$URL
    proxy --cacert "$BATS_FILE_TMPDIR/tls.pem"
    run curl -s -X POST -H "Accept: $OTRP_TYPE" -o gds.json -w '%{http_code}' "$URL"
    assert_output 200
    assert jq -e .GetDeviceStateRequest gds.json
    stop_server
    URL=$tam_url
    proxy --force
    run curl -s -X POST -H "Accept: $OTRP_TYPE" -w '%{http_code}' "$URL"
    assert_output 502
    stop_server
    logged '.* 502 by the proxy: .*the TLS certificate is not trusted.*'
}

@test "a transcript that cannot be written stops nobody" {
    answer a 'HTTP/1.1 200 OK' 'Content-Length: 2' '' 'ok'
    fake a a
    start_server otrp proxy --upstream "$URL" --transcript /dev/full
    run curl -s "$URL"
    assert_output --partial ok
    run curl -s "$URL"
    assert_output --partial ok
    status=0
    stop_server || status=$?
    assert_equal "$status" 1
    logged 'error: /dev/full: cannot write: .*; messages are passed on all the same'
    logged 'error: the transcript is incomplete'
}

@test "--json logs a line of JSON an exchange" {
    answer a 'HTTP/1.1 400 Bad' 'Content-Length: 0' ''
    fake a
    proxy --json
    curl -s -d '{"OTrPBrokerError":{"ver":"1.0","rid":"r","tid":"t","errcode":"ERR_AGENT_TEE_FAIL"}}' "$URL"
    stop_server
    run jq -c '[.exchange, .line, .request.message, .request.tid, .request.code, .response.http_status, .response.bytes, (.elapsed_ms > 0)]' server.log
    assert_output '[1,"POST /tam","OTrPBrokerError","t","ERR_AGENT_TEE_FAIL",400,0,true]'
}

@test "a request line of any bytes is logged in ASCII" {
    answer a 'HTTP/1.1 200 OK' 'Content-Length: 0' ''
    fake a
    proxy --json
    run raw 'GET /\xff\x80[1m HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    stop_server
    run jq -r .line server.log
    assert_output "GET /??[1m"
}

@test "SIGINT ends it as SIGTERM does, and lets what is under way come to its end" {
    printf 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no' > a.part
    fake a.part
    proxy --timeout 5
    curl -s "$URL" -o got &
    client=$!
    until [ -s request-1 ]; do :; done
    kill -INT "$SERVER_PID"
    await_server
    wait "$client" || true
    assert_equal "$(cat got)" o
}

@test "wrong usage is told before anything listens" {
    refused() {
        run --separate-stderr timeout 60 "$OTRP" proxy "${@:3}"
        assert_equal "$status" "$1"
        assert_equal "$output" ""
        assert_regex "$stderr" "$2"
    }
    refused 2 '--upstream'
    refused 2 'only http and https' --upstream ftp://x/
    refused 2 'is no URL' --upstream nowhere
    refused 2 'name and password' --upstream http://a:b@127.0.0.1/ --transcript left.jsonl
    refused 2 'for an upstream with https' --upstream http://127.0.0.1/ --cacert x
    refused 2 'client-cert is for an upstream with https' --upstream http://127.0.0.1/ --client-cert x
    refused 2 'client-key belongs to --client-cert' --upstream https://127.0.0.1/ --client-key x
    refused 2 'none.pem' --upstream https://127.0.0.1/ --cacert none.pem --transcript left.jsonl
    refused 2 'no address to listen on' --upstream http://127.0.0.1/ --listen nowhere
    : > wire.jsonl
    refused 2 'exists already' --upstream http://127.0.0.1/ --transcript wire.jsonl
    fake none
    refused 7 'cannot listen' --upstream http://127.0.0.1/ --listen "127.0.0.1:$PORT" --transcript left.jsonl
    assert [ ! -e left.jsonl ]
}
