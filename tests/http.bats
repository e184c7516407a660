#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The HTTP modules: the server with curl as its client, the client with servers that misbehave.
# VARIANT names the build that is tested (default: release).

# shellcheck disable=SC2030,SC2031,SC2154

load test_helper

setup_file() {
    local root=${BATS_TEST_DIRNAME}/.. variant=${VARIANT:-release}
    local flags=(-O2)
    # shellcheck disable=SC2054
    [[ $variant != asan ]] || flags=(-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all)
    export MODULES=$root/build/$variant/lib/otrp
    [[ -e $MODULES/http-client.so && -e $MODULES/http-server.so ]] ||
        make -s -C "$root" "VARIANT=$variant" \
            "build/$variant/lib/otrp/http-client.so" "build/$variant/lib/otrp/http-server.so"
    export DRIVER=$root/build/$variant/http-driver
    local new=$DRIVER.$$
    # shellcheck disable=SC2046
    compile "${flags[@]}" -std=gnu17 -D_GNU_SOURCE -I"$root/src" -Wall -Wextra -Werror -o "$new" \
        "$root/tests/http/driver.c" "$root/src/net/transcript.c" \
        "$root"/src/util/{error,buffer,base64,base64_simd,clock}.c $(pkg-config --cflags --libs libcrypto) -pthread
    mv "$new" "$DRIVER"

    cd "$BATS_FILE_TMPDIR" || return
    make_certificate here IP:127.0.0.1
    make_certificate elsewhere DNS:elsewhere.example
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
    STARTED=()
}

teardown() {
    local pid parent
    for pid in "${STARTED[@]}"; do
        # the number of one that has ended may be that of a stranger
        parent=$BASHPID
        [ ! -e /proc/self/stat ] || { read -r _ _ _ parent _ < "/proc/$pid/stat" || parent=; } 2> /dev/null
        [ "$parent" != "$BASHPID" ] || kill "$pid" 2> /dev/null || true
        wait "$pid" 2> /dev/null || true
    done
}

make_certificate() { # NAME SUBJECTALTNAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
        -subj "/CN=$1" -addext "subjectAltName=$2" -keyout "$1-key.pem" -out "$1.pem" 2> /dev/null
}

# Starts a role of the driver that prints its URL first: sets URL, PORT, PID, and OUT, a descriptor
# for what else it prints. Its messages go to the file err.
start() {
    exec {OUT}< <(exec "$DRIVER" "$@" 2> err 3>&-)
    PID=$!
    STARTED+=("$PID")
    read -r -u "$OUT" URL || { cat err; return 1; }
    PORT=${URL##*:}
}

serve() {
    start serve "$@"
}

next_line() { # waits for that line of the started role
    local line
    read -r -t 60 -u "$OUT" line
    assert_equal "$line" "$1"
}

connect() { # sets SOCKET
    exec {SOCKET}<> "/dev/tcp/127.0.0.1/$PORT"
}

say() { # FORMAT: sends it to the socket
    # shellcheck disable=SC2059
    printf "$1" >&"$SOCKET"
}

post() { # runs the client; its body is standard input
    run --separate-stderr "$DRIVER" post "$@"
}

elapsed_since() { # START: milliseconds
    echo $(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 1000))
}

# Sends FIRST, then a byte whenever nothing has come back for 20 ms, until the server closes.
# Prints what came, and last how many milliseconds it took, the connecting with it: the server's
# clock may run before we are told that we are connected.
trickle() ( # FIRST [FILLER]
    trap '' PIPE
    start=$EPOCHREALTIME
    connect
    say "$1"
    line=
    while :; do
        rc=0
        IFS= read -r -t 0.02 -u "$SOCKET" piece || rc=$?
        line+=$piece # the time may be over within a line
        if ((rc == 0)); then
            echo "$line"
            line=
        elif ((rc <= 128)) || ! say "${2-x}" 2> /dev/null; then
            break
        fi
    done
    elapsed_since "$start"
)

assert_cut_in_time() { # [DEADLINE]: the last line of output is the time of a deadline, 300 ms unless told
    local deadline=${1:-300}
    assert [ "${lines[-1]}" -ge $((deadline - 50)) ]
    assert [ "${lines[-1]}" -lt 60000 ] # a machine may be slow; without a deadline it is for ever
}

# The server

@test "port 0 picks a port, and its URL says which" {
    serve --listen 127.0.0.1:0
    assert_regex "$URL" '^http://127\.0\.0\.1:[1-9][0-9]*$'
    run curl -s "$URL/x"
    assert_output "GET /x type=- accept=*/* authorization=- bytes=0"
}

@test "two servers do not share a port" {
    serve
    run --separate-stderr "$DRIVER" serve --listen "127.0.0.1:$PORT"
    assert_equal "$status" 7
    assert_regex "$stderr" "error: 127.0.0.1:$PORT: cannot listen: Address already in use"
    assert_regex "$stderr" 'hint: .*port 0'
}

@test "a name or an IPv6 address to listen on is kept in the URL" {
    serve --listen localhost:0
    assert_regex "$URL" '^http://localhost:[1-9][0-9]*$'
    run curl -s -o /dev/null -w '%{http_code}' "$URL/x"
    assert_output 200
    [[ -e /proc/net/if_inet6 ]] && grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 loopback"
    serve --listen '[::1]:0'
    assert_regex "$URL" '^http://\[::1\]:[1-9][0-9]*$'
    run curl -s -g -o /dev/null -w '%{http_code}' "$URL/x"
    assert_output 200
}

@test "what is no address to listen on is a usage error" {
    local listen
    for listen in '' 8080 127.0.0.1 127.0.0.1: :80 127.0.0.1:http 127.0.0.1:70000 127.0.0.1:-1 ::1:80 \
        '[::1]' '[::1]80' '[]:80' '127.0.0.1:8080 '; do
        run --separate-stderr "$DRIVER" serve --listen "$listen"
        assert_equal "$status" 2
        assert_equal "$stderr" "error: '$listen' is no address to listen on
hint: write it as 127.0.0.1:8080 or [::1]:8080; port 0 picks a free one"
    done
}

@test "every answer has the headers that protect it" {
    serve --max 10
    local path
    for path in echo none post-only wrong; do
        run curl -si -d hello "$URL/$path"
        assert_line --regexp '^Cache-Control: no-store.$'
        assert_line --regexp '^X-Content-Type-Options: nosniff.$'
        assert_line --regexp "^Content-Security-Policy: default-src 'none'.\$"
        assert_line --regexp '^Referrer-Policy: no-referrer.$'
    done
    run curl -si -d 'more than ten bytes' "$URL/echo"
    assert_line --regexp '^HTTP/1.1 413 '
    assert_line --regexp '^Cache-Control: no-store.$'
}

@test "Content-Type comes with a body only, Allow where it is given, and 204 without a body" {
    serve
    run curl -si -d hello "$URL/echo"
    assert_line --regexp '^Content-Type: application/otrp\+json.$'
    assert_line hello
    run curl -si -d '' "$URL/echo"
    assert_line --regexp '^HTTP/1.1 200 '
    assert_line --regexp '^Content-Length: 0.$'
    refute_line --regexp '^Content-Type'
    run curl -si "$URL/post-only"
    assert_line --regexp '^HTTP/1.1 405 '
    assert_line --regexp '^Allow: POST.$'
    run curl -si "$URL/none"
    assert_line --regexp '^HTTP/1.1 204 '
    refute_output --partial 'never sent'
    refute_line --regexp '^Content-Type'
}

@test "a reply with an impossible status becomes a 500" {
    serve
    run curl -s -o /dev/null -w '%{http_code}' "$URL/wrong"
    assert_output 500
}

@test "respond sees method, path without query, headers and the whole body" {
    serve
    run curl -s -X PUT -H 'Content-Type: a/b' -H 'Accept: c/d' -H 'Authorization: Bearer x' \
        --data-binary '0123456789' "$URL/some/path?query=1"
    assert_output "PUT /some/path type=a/b accept=c/d authorization=Bearer x bytes=10"
}

@test "the log has a line for each answer, with sizes and the peer" {
    serve
    curl -s -d hello "$URL/echo" > /dev/null
    run cat err
    assert_output --regexp '^127\.0\.0\.1:[0-9]+ POST /echo 200 in=5 out=5 timed$'
}

@test "a connection is kept for the next request" {
    serve
    run curl -s -o /dev/null -w '%{num_connects}' "$URL/a" --next -s -o /dev/null \
        -w '%{num_connects}' -d hello "$URL/echo" --next -s -o /dev/null -w '%{num_connects}' "$URL/none"
    assert_output 100
}

@test "a large body arrives unchanged, with Content-Length and chunked" {
    serve --max 10000000
    head -c 10000000 /dev/urandom > large
    curl -s --data-binary @large "$URL/echo" | cmp - large
    curl -s -H 'Transfer-Encoding: chunked' --data-binary @large "$URL/echo" | cmp - large
}

@test "a body above the limit is answered with 413, announced or chunked" {
    serve --max 1000
    head -c 1000 /dev/zero > fits
    head -c 1001 /dev/zero > too-large
    local how
    for how in 'X-None: 1' 'Transfer-Encoding: chunked'; do
        run curl -s -o /dev/null -w '%{http_code}' -H "$how" --data-binary @fits "$URL/echo"
        assert_output 200
        run curl -s -o /dev/null -w '%{http_code}' -H "$how" --data-binary @too-large "$URL/echo"
        assert_output 413
    done
}

@test "an announced body that is too large is refused before it comes" {
    serve --max 1000
    connect
    say 'POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999\r\n\r\n'
    read -r -t 60 -u "$SOCKET" line
    assert_regex "$line" '^HTTP/1.1 413 '
}

@test "headers are bounded" {
    serve
    run curl -s -o /dev/null -w '%{http_code}' -H "X-Long: $(head -c 80000 /dev/zero | tr '\0' x)" "$URL/x"
    assert_output 431
}

@test "respond is never called with a part of a body" {
    serve
    connect
    say 'POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n12345'
    exec {SOCKET}>&-
    connect
    say 'POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n'
    exec {SOCKET}>&-
    local start=$EPOCHREALTIME
    kill "$PID"
    next_line stopping
    next_line stopped
    assert [ "$(elapsed_since "$start")" -lt 25000 ] # nobody waits for clients that have gone
    run cat err
    assert_output ''
}

@test "the deadline cuts a client that trickles its body" {
    serve --deadline 300
    run trickle 'POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n'
    assert_cut_in_time
    run cat err
    assert_output ''
}

@test "the deadline cuts a client that trickles a chunked body" {
    serve --deadline 300
    run trickle 'POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n' '1\r\nx\r\n'
    assert_cut_in_time
}

@test "the deadline cuts a client that trickles its headers or its first line" {
    serve --deadline 300
    run trickle 'POST /echo HTTP/1.1\r\nX-Long: '
    assert_cut_in_time
    run trickle 'POST /'
    assert_cut_in_time
}

@test "the deadline cuts a connection that says nothing, and one that is kept idle" {
    serve --deadline 300
    run trickle '' ''
    assert_cut_in_time
    serve --deadline 2000 # time to ask on a busy machine
    run trickle 'GET /none HTTP/1.1\r\nHost: t\r\n\r\n' ''
    assert_line --partial 'HTTP/1.1 204 '
    assert_cut_in_time 2000
}

@test "the deadline cuts a second request on a kept connection" {
    serve --deadline 2000
    run trickle 'GET /none HTTP/1.1\r\nHost: t\r\n\r\nPOST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9999\r\n\r\n'
    assert_line --partial 'HTTP/1.1 204 '
    assert_cut_in_time 2000
}

@test "the deadline cuts a client that does not read its answer" {
    serve --deadline 2000
    connect
    local reader=$SOCKET
    say 'GET /bytes/100000000 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n'
    IFS= read -r -N 1 -u "$reader" _
    trickle '' '' > /dev/null # came later than the answer began: when it is cut, so is the other
    assert [ "$(wc -c <&"$reader")" -lt 100000000 ]
}

@test "the deadline is the client's: the time that respond takes does not count" {
    mkfifo fifo
    serve --deadline 2000 --threads 2 --fifo fifo
    curl -s -o held -d hello "$URL/hold" 3>&- &
    local client=$!
    STARTED+=("$client")
    next_line holding
    connect
    IFS= read -r -t 60 -u "$SOCKET" _ || true # a deadline passes
    connect
    IFS= read -r -t 60 -u "$SOCKET" _ || true
    : > fifo
    wait "$client"
    assert_equal "$(< held)" "POST /hold type=application/x-www-form-urlencoded accept=*/* authorization=- bytes=5"
}

@test "two hundred connections at once, all half way, are all answered" {
    serve
    run "$DRIVER" crowd "$PORT" /echo 200
    assert_output 200
    run grep -c ' POST /echo 200 in=5 out=5 ' err
    assert_output 200
}

@test "a thread whose connections all become ready at once answers them all" {
    mkfifo fifo
    serve --threads 1 --fifo fifo
    run timeout 120 "$DRIVER" crowd "$PORT" /echo 128 fifo
    assert_output 128
    run timeout 120 "$DRIVER" crowd "$PORT" /echo 1000 fifo
    assert_output 1000
}

@test "two hundred transfers of curl in parallel" {
    serve --threads 4
    local i
    for ((i = 0; i < 200; i++)); do
        printf 'url = "%s/echo"\noutput = "out-%d"\n' "$URL" "$i"
    done > list
    curl -s --parallel --parallel-immediate --parallel-max 200 -d hello -K list
    run cat out-*
    assert_equal "${#output}" 1000
    run grep -c 200 err
    assert_output 200
}

@test "connections beyond the limit wait until others end" {
    serve --connections 8 --threads 2
    run "$DRIVER" crowd "$PORT" /echo 40
    assert_output 40
}

@test "stop finishes what respond works on, and takes nothing new" {
    mkfifo fifo
    serve --threads 2 --fifo fifo
    curl -s -o held "$URL/hold" 3>&- &
    local client=$!
    STARTED+=("$client")
    next_line holding
    kill "$PID"
    next_line stopping
    local until=$((SECONDS + 60))
    while connect 2> /dev/null && ((SECONDS < until)); do exec {SOCKET}>&-; done
    assert [ "$SECONDS" -lt "$until" ]
    : > fifo
    wait "$client"
    assert_equal "$(< held)" "GET /hold type=- accept=*/* authorization=- bytes=0"
    next_line stopped
    wait "$PID"
}

@test "stop lets a client finish a request that has begun" {
    serve
    connect
    say 'POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n'
    read -r -t 60 -u "$SOCKET" line
    assert_regex "$line" '^HTTP/1.1 100 '
    say 'hello'
    kill "$PID"
    next_line stopping
    say 'world'
    run cat <&"$SOCKET"
    assert_line --regexp '^HTTP/1.1 200 '
    assert_line --regexp '^Connection: close.$'
    assert_output --partial 'helloworld'
    next_line stopped
}

@test "stop does not wait for idle connections, but no longer than the deadline for others" {
    serve --deadline 600000
    connect
    say 'GET /none HTTP/1.1\r\nHost: t\r\n\r\n'
    read -r -t 60 -u "$SOCKET" _
    kill "$PID"
    next_line stopping
    next_line stopped
    serve --deadline 300
    connect
    say 'POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n'
    kill "$PID"
    next_line stopping
    next_line stopped
}

@test "TLS: curl trusts the server by its certificate; a silent client is cut there too" {
    # time for a handshake on a busy machine
    serve --deadline 2000 --tls-cert "$BATS_FILE_TMPDIR/here.pem" --tls-key "$BATS_FILE_TMPDIR/here-key.pem"
    assert_regex "$URL" '^https://'
    run curl -s --cacert "$BATS_FILE_TMPDIR/here.pem" -d hello "$URL/echo"
    assert_output hello
    run trickle '' ''
    assert_cut_in_time 2000
}

@test "TLS: files that cannot serve are usage errors that name the file" {
    local dir=$BATS_FILE_TMPDIR
    openssl pkcs8 -topk8 -in "$dir/here-key.pem" -passout pass:secret -out locked.pem
    : > empty.pem
    refuses() { # CERT KEY MESSAGE
        run --separate-stderr "$DRIVER" serve --tls-cert "$1" --tls-key "$2" < /dev/null
        assert_equal "$status" 2
        assert_equal "$stderr" "error: $3"
    }
    refuses none.pem "$dir/here-key.pem" "none.pem: cannot open: No such file or directory"
    refuses "$dir/here.pem" none.pem "none.pem: cannot open: No such file or directory"
    refuses . "$dir/here-key.pem" ".: cannot read: Is a directory"
    refuses empty.pem "$dir/here-key.pem" "empty.pem: no certificate in PEM"
    refuses "$dir/here.pem" locked.pem "locked.pem: no unencrypted private key in PEM"
    refuses "$dir/here.pem" "$dir/elsewhere-key.pem" \
        "$dir/elsewhere-key.pem: not the private key of the certificate in $dir/here.pem"
    run --separate-stderr "$DRIVER" serve --tls-cert "$dir/here.pem"
    assert_equal "$status" 2
}

# The client

@test "post sends the body with its media type, and reads the answer" {
    printf 'HTTP/1.1 200 OK\r\nContent-Type: application/otrp+json;charset=utf-8\r\nContent-Length: 2\r\n\r\n{}' > answer
    start raw answer
    post "$URL/tam" --show-headers <<< hello
    assert_equal "$status" 0
    assert_line --index 0 'status=200 type=application/otrp+json;charset=utf-8 bytes=2 timed'
    assert_line --index 1 $'HTTP/1.1 200 OK\r'
    assert_line '{}'
    run cat <&"$OUT"
    assert_line --index 0 $'POST /tam HTTP/1.1\r'
    assert_line $'User-Agent: otrp/0.1\r'
    assert_line $'Accept: application/otrp+json\r'
    assert_line $'Content-Type: application/otrp+json\r'
    assert_line $'Content-Length: 6\r'
    refute_line --regexp '^Expect'
    assert_line hello
}

@test "an empty post says Content-Length: 0 and no Content-Type" {
    printf 'HTTP/1.1 204 No Content\r\n\r\n' > answer
    start raw answer
    post "$URL/tam" < /dev/null
    assert_output 'status=204 type= bytes=0 timed'
    run cat <&"$OUT"
    assert_line $'Content-Length: 0\r'
    refute_line --regexp '^Content-Type'
}

@test "headers of the user's replace ours; an empty one takes ours away" {
    printf 'HTTP/1.1 204 No Content\r\n\r\n' > answer
    start raw answer
    post "$URL/tam" --header 'Content-Type: text/plain' --header 'accept:' --header 'X-Mine: 1' <<< hello
    run cat <&"$OUT"
    assert_line $'Content-Type: text/plain\r'
    assert_line $'X-Mine: 1\r'
    refute_line --regexp '^[Aa]ccept'
    refute_line --partial otrp+json
}

@test "the client keeps its connection for the next post" {
    serve
    post "$URL/echo" --repeat 3 <<< hello
    assert_equal "$status" 0
    run cut -d' ' -f1 err
    assert_equal "${#lines[@]}" 3
    assert_equal "${lines[0]} ${lines[1]}" "${lines[2]} ${lines[0]}"
}

@test "an answer of status 4xx or 5xx is an answer" {
    serve
    post "$URL/wrong" <<< hello
    assert_equal "$status" 0
    assert_output 'status=500 type= bytes=0 timed'
}

# Where nobody listens: a port that was free a moment ago may be that of another test now.
NOWHERE=127.0.0.1:1

@test "a refused connection says so" {
    post "http://$NOWHERE/tam" <<< hello
    assert_equal "$status" 7
    assert_equal "$stderr" "error: http://$NOWHERE/tam: connection refused
hint: nothing listens there: is the peer running, is the port right?"
}

@test "a password in the URL is not shown" {
    post "http://me:secret@$NOWHERE/tam" <<< hello
    assert_equal "$status" 7
    assert_regex "$stderr" "^error: http://$NOWHERE/tam: connection refused"
}

@test "a host that has no address" {
    post http://nowhere.invalid/tam <<< hello
    assert_equal "$status" 7
    assert_regex "$stderr" 'error: http://nowhere.invalid/tam: could not resolve host: nowhere.invalid'
}

@test "a server that says nothing runs into the time-out" {
    start silent
    post "$URL/tam" --timeout 2000 <<< hello
    assert_equal "$status" 7
    assert_regex "$stderr" "error: $URL/tam: connected, but no answer within 2000 ms"
}

@test "a host that takes no connection runs into the time-out for connecting" {
    start full
    next_line full
    post "$URL/tam" --connect-timeout 300 <<< hello
    assert_equal "$status" 7
    assert_regex "$stderr" "error: $URL/tam: no connection within 300 ms"
}

@test "an answer that stalls, or ends too early, says how far it came" {
    mkfifo answer
    exec {HELD}<> answer
    printf 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello' >&"$HELD"
    start raw answer
    post "$URL/tam" --timeout 2000 <<< hello
    assert_equal "$status" 7
    assert_regex "$stderr" "error: $URL/tam: the answer was not complete within 2000 ms \(5 bytes came\)"
    printf 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello' > short
    start raw short
    post "$URL/tam" <<< hello
    assert_equal "$status" 7
    assert_regex "$stderr" "error: $URL/tam: the answer ended too early, after 5 bytes"
}

@test "a peer that closes without an answer" {
    : > nothing
    start raw nothing
    post "$URL/tam" <<< hello
    assert_equal "$status" 7
    assert_regex "$stderr" "error: $URL/tam: empty reply: the peer closed the connection"
}

@test "an answer that is not HTTP" {
    printf 'SSH-2.0-OpenSSH_9.2\r\n' > answer
    start raw answer
    post "$URL/tam" <<< hello
    assert_equal "$status" 7
    assert_regex "$stderr" "error: $URL/tam: no HTTP answer: "
}

@test "a body above the limit is malformed, announced or not" {
    serve
    post "$URL/bytes/1000" --max 1000 <<< hello
    assert_equal "$status" 0
    post "$URL/bytes/1001" --max 1000 <<< hello
    assert_equal "$status" 6
    assert_equal "$stderr" "error: $URL/bytes/1001: the answer exceeds the 1000 bytes allowed"
    { printf 'HTTP/1.1 200 OK\r\n\r\n' && head -c 1001 /dev/zero; } > answer
    start raw answer
    post "$URL/tam" --max 1000 <<< hello
    assert_equal "$status" 6
    assert_regex "$stderr" "error: $URL/tam: the answer exceeds the 1000 bytes allowed"
}

@test "headers above the limit are malformed" {
    {
        printf 'HTTP/1.1 200 OK\r\n'
        local i
        for ((i = 0; i < 80; i++)); do printf 'X-%d: %01000d\r\n' "$i" 0; done
        printf '\r\n'
    } > answer
    start raw answer
    post "$URL/tam" <<< hello
    assert_equal "$status" 6
    assert_equal "$stderr" "error: $URL/tam: the answer's headers exceed 65536 bytes"
}

@test "redirects are not followed, or as POST again when asked" {
    serve
    printf 'HTTP/1.1 302 Found\r\nLocation: %s/echo\r\nContent-Length: 0\r\n\r\n' "$URL" > answer
    start raw answer answer
    post "$URL/tam" <<< hello
    assert_output --regexp '^status=302 '
    post "$URL/tam" --follow --show-headers <<< hello
    assert_line --index 0 'status=200 type=application/otrp+json bytes=6 timed'
    assert_line --index 1 $'HTTP/1.1 200 OK\r'
    assert_line hello
    refute_output --partial 'Found'
}

@test "redirects end after five, and never leave HTTP" {
    printf 'HTTP/1.1 307 Again\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' > answer
    start raw answer answer answer answer answer answer
    post "$URL/tam" --follow <<< hello
    assert_equal "$status" 7
    assert_regex "$stderr" "error: $URL/again: more than 5 redirects"
    printf 'HTTP/1.1 307 Away\r\nLocation: file:///etc/hostname\r\nContent-Length: 0\r\n\r\n' > answer
    start raw answer
    post "$URL/tam" --follow <<< hello
    assert_equal "$status" 7
    assert_output ''
}

@test "what is no http or https URL is a usage error" {
    post ftp://127.0.0.1/tam <<< hello
    assert_equal "$status" 2
    assert_equal "$stderr" "error: ftp://127.0.0.1/tam: only http and https are spoken, not ftp"
    local url
    for url in '' tam 127.0.0.1:80/tam http:// 'http://127.0.0.1:99999/' 'http://a b/' $'http://a/\n'; do
        post "$url" <<< hello
        assert_equal "$status" 2
        assert_regex "$stderr" '^error: .*(is no URL|only http and https)'
    done
}

@test "headers that would break the request are usage errors" {
    local header
    for header in 'no colon' ': value' 'a b: value' $'X: a\r\nY: b' $'X: \x01' 'X;'; do
        post http://127.0.0.1:1/ --header "$header" <<< hello
        assert_equal "$status" 2
        assert_regex "$stderr" '^error: --header: '
    done
    post http://127.0.0.1:1/ --accept $'a/b\r\nX: y' <<< hello
    assert_equal "$status" 2
    assert_regex "$stderr" '^error: --accept: '
}

@test "files that cannot be used are usage errors that name the file" {
    : > empty.pem
    local name
    for name in cacert cert key; do
        post https://127.0.0.1:1/ "--$name" none.pem <<< hello
        assert_equal "$status" 2
        assert_equal "$stderr" "error: none.pem: cannot open: No such file or directory"
        post https://127.0.0.1:1/ "--$name" empty.pem <<< hello
        assert_equal "$status" 2
        assert_equal "$stderr" "error: empty.pem: empty, not a PEM file"
    done
    echo nonsense > nonsense.pem
    serve --tls-cert "$BATS_FILE_TMPDIR/here.pem" --tls-key "$BATS_FILE_TMPDIR/here-key.pem"
    for name in cacert cert; do
        post "$URL/echo" "--$name" nonsense.pem <<< hello
        assert_equal "$status" 2
        assert_regex "$stderr" 'nonsense.pem'
    done
}

@test "TLS: the certificate must be trusted and name the host" {
    local dir=$BATS_FILE_TMPDIR
    serve --tls-cert "$dir/here.pem" --tls-key "$dir/here-key.pem"
    post "$URL/echo" --cacert "$dir/here.pem" <<< hello
    assert_equal "$status" 0
    assert_output --partial hello
    post "$URL/echo" <<< hello
    assert_equal "$status" 7
    assert_regex "$stderr" "error: $URL/echo: the TLS certificate is not trusted: self-signed certificate"
    assert_regex "$stderr" 'hint: --cacert FILE'
    serve --tls-cert "$dir/elsewhere.pem" --tls-key "$dir/elsewhere-key.pem"
    post "$URL/echo" --cacert "$dir/elsewhere.pem" <<< hello
    assert_equal "$status" 7
    assert_regex "$stderr" "error: $URL/echo: the TLS certificate names another host: "
}

@test "TLS: https to a port that speaks http, and the other way round" {
    serve
    post "https://127.0.0.1:$PORT/echo" <<< hello
    assert_equal "$status" 7
    assert_regex "$stderr" "error: https://127.0.0.1:$PORT/echo: no TLS connection: "
    assert_regex "$stderr" 'hint: .*http://'
    serve --tls-cert "$BATS_FILE_TMPDIR/here.pem" --tls-key "$BATS_FILE_TMPDIR/here-key.pem"
    post "http://127.0.0.1:$PORT/echo" <<< hello
    assert_equal "$status" 7
}

@test "a proxy of the environment is not asked for this machine" {
    serve
    http_proxy=http://127.0.0.1:1 post "$URL/echo" <<< hello
    assert_equal "$status" 0
}

# Transcripts

@test "a transcript has a line for each message, and only its owner reads it" {
    umask 022
    run "$DRIVER" transcript wire.jsonl
    assert_equal "$status" 0
    assert_equal "$(stat -c %a wire.jsonl)" 600
    run sed -n 1p wire.jsonl
    assert_output '{"time":"2026-11-21T10:00:00.000Z","direction":"request","from":"tee","to":"tam","url":"http://127.0.0.1/tam","body":"{\"a\":\"\\u00e9\"}\n","bytes":15}'
    run jq -c 'del(.time)' wire.jsonl
    assert_line --index 1 '{"direction":"response","from":"tam","to":"tee","url":"http://127.0.0.1/tam","status":200,"headers":["HTTP/1.1 200 OK","X-Latin: é"],"body_base64":"//4=","bytes":2,"elapsed_ms":1.25}'
    run jq -r .time wire.jsonl
    assert_line --index 1 --regexp '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}Z$'
}

@test "a transcript does not replace a file unless forced, and then makes it private" {
    echo keep > wire.jsonl
    chmod 644 wire.jsonl
    run --separate-stderr "$DRIVER" transcript wire.jsonl
    assert_equal "$status" 2
    assert_equal "$stderr" "error: wire.jsonl: exists already
hint: --force overwrites it"
    assert_equal "$(< wire.jsonl)" keep
    run "$DRIVER" transcript wire.jsonl force
    assert_equal "$(wc -l < wire.jsonl)" 2
    assert_equal "$(stat -c %a wire.jsonl)" 600
}

@test "no transcript takes entries too; a full disk does not go unnoticed" {
    run "$DRIVER" transcript ''
    assert_equal "$status" 0
    run --separate-stderr "$DRIVER" transcript /dev/full
    assert_equal "$status" 1
    assert_equal "$stderr" "error: /dev/full: cannot write: No space left on device"
    run --separate-stderr "$DRIVER" transcript none/wire.jsonl
    assert_equal "$status" 2
}
