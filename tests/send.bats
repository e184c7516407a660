#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# send: what it says over HTTP, alone and for a device, and what it makes of TAMs that misbehave.
# tam/fake_tam.c is such a TAM; curl, jq, openssl and sqlite3 are the witnesses.
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

# http NAME STATUS [HEADER]... [@BODY]: the file NAME is such an answer; CR and LF are added.
http() {
    local name=$1 line
    printf 'HTTP/1.1 %s\r\nConnection: close\r\n' "$2" > "$name"
    shift 2
    for line; do
        case $line in
        @*) printf 'Content-Length: %d\r\n\r\n' "$(wc -c < "${line#@}")" ;;
        *) printf '%s\r\n' "$line" ;;
        esac >> "$name"
    done
    case ${line-} in
    @*) cat "${line#@}" >> "$name" ;;
    *) printf 'Content-Length: 0\r\n\r\n' >> "$name" ;;
    esac
}

# What a blank device has, to see that it stays as it is.
state_of() {
    sqlite3 "$1/state.db" .dump
}

# The lines of the headers of request N, without CR.
headers_of() {
    tr -d '\r' < "request-$1" | sed '/^$/q'
}

JSON_TYPE="Content-Type: $OTRP_TYPE"

# ---- one message ----

@test "without a message it starts a session and prints what the TAM says" {
    wants
    stub
    run --separate-stderr otrp send --url "$URL"
    assert_success
    assert_equal "$stderr" ""
    assert_equal "$(jq -c keys <<< "$output")" '["GetDeviceStateRequest"]'
    run -0 otrp send --url "$URL" -o first.json
    assert_output ""
    assert_equal "$(jq -c keys first.json)" '["GetDeviceStateRequest"]'
}

@test "a session, message by message" {
    wants xbank/sd-1/demo
    device device
    stub
    otrp send --url "$URL" -o request.json
    for _ in 1 2 3; do
        answers device request.json answer.json
        run --separate-stderr otrp send -f --url "$URL" -o request.json answer.json
        assert_success
    done
    assert_equal "$stderr" "otrp send: the TAM has nothing more to say"
    holds device 'mytam xbank/sd-1' 'mytam xbank/sd-1/demo'
}

@test "a message comes from a file or standard input, and arrives byte for byte" {
    printf '{"a": "\\u00e9"}\n ' > message.json
    printf '{"b":1}' > said.json
    http answer '200 OK' "$JSON_TYPE; charset=utf-8" @said.json
    fake answer answer
    run -0 otrp send --url "$URL" message.json
    assert_output '{"b":1}'
    body_of 1 | cmp - message.json
    run -0 otrp send --url "$URL" - < message.json
    assert_output '{"b":1}'
    body_of 2 | cmp - message.json
}

@test "the headers are those of the protocol" {
    http end '204 No Content'
    echo '{}' > message.json
    fake end end end
    otrp send -q --url "$URL"
    run headers_of 1
    assert_line --index 0 'POST /tam HTTP/1.1'
    assert_line "Accept: $OTRP_TYPE"
    assert_line 'Content-Length: 0'
    assert_line "Host: 127.0.0.1:$PORT"
    refute_line --regexp '^(Content-Type|Cookie|Expect|Transfer-Encoding|Referer):'
    otrp send -q --url "$URL" message.json
    run headers_of 2
    assert_line "Accept: $OTRP_TYPE"
    assert_line "Content-Type: $OTRP_TYPE"
    assert_line 'Content-Length: 3'
    otrp send -q --url "$URL?a=b" --accept 'text/html' -H 'X-One: 1' -H 'X-Two:2'
    run headers_of 3
    assert_line --index 0 'POST /tam?a=b HTTP/1.1'
    assert_line 'Accept: text/html'
    assert_line 'X-One: 1'
    assert_line --regexp '^X-Two: ?2$'
    refute_line "Accept: $OTRP_TYPE"
}

@test "an Accept header may be a list or a range" {
    wants xbank/sd-1
    stub
    local accept
    for accept in '*/*' "$OTRP_TYPE, */*;q=0.1" "$OTRP_TYPE;q=0.5"; do
        run --separate-stderr otrp send --url "$URL" --accept "$accept"
        assert_equal "$accept: $status" "$accept: 0"
        assert_equal "$(jq -c keys <<< "$output")" '["GetDeviceStateRequest"]'
    done
}

@test "no cookie comes back" {
    wants xbank/sd-1
    device device
    stub
    otrp send --url "$URL" -o request.json
    stop_server
    http first '200 OK' "$JSON_TYPE" 'Set-Cookie: id=1; Path=/' @request.json
    http end '204 No Content'
    fake first end
    session device
    assert_success
    assert [ -s request-2 ]
    run headers_of 2
    refute_line --regexp '^[Cc]ookie:'
}

@test "options that do not fit together, and files, are judged before anything is sent" {
    device device
    local options message
    echo '{}' > message.json
    while IFS='|' read -r options message; do
        # shellcheck disable=SC2086 # several options
        run --separate-stderr otrp send $options
        assert_equal "$options: $status" "$options: 2"
        assert_equal "$output" ""
        assert_regex "$stderr" "$message"
    done << 'END'
message.json|--url
--url ftp://127.0.0.1/tam|only http and https
--url tam|is no URL
--url http://127.0.0.1:1/tam --tee device message.json|--tee .*takes no MESSAGE
--url http://127.0.0.1:1/tam --tee none|none
--url http://127.0.0.1:1/tam --tee device --device other|other
--url http://127.0.0.1:1/tam none.json|none\.json: cannot open
--url http://127.0.0.1:1/tam -o message.json|message\.json: exists already
--url http://127.0.0.1:1/tam --transcript message.json|message\.json: exists already
--url http://127.0.0.1:1/tam --timeout 0|--timeout
--url https://127.0.0.1:1/tam --cacert none.pem|none\.pem: cannot open
--url http://127.0.0.1:1/tam --cacert none.pem|--cacert is for https
--url http://127.0.0.1:1/tam --cert none.pem|--cert is for https
--url https://127.0.0.1:1/tam --key none.pem|--key belongs to --cert
--url http://127.0.0.1:1/tam --tee device -o out|--out: a whole session has no result
--url http://127.0.0.1:1/tam --tee device --device-url http://127.0.0.1:1/|one device
--url http://127.0.0.1:1/tam --device-url ftp://127.0.0.1:1/|only http and https
--url http://127.0.0.1:1/tam --device-url http://127.0.0.1:1/ message.json|takes no MESSAGE
--url http://127.0.0.1:1/tam --device mytee|--device is one of --tee
--url http://127.0.0.1:1/tam --jobs 2|--jobs is of --repeat
--url http://127.0.0.1:1/tam --repeat 2 --trace|--trace shows one session
--url http://127.0.0.1:1/tam --repeat 2 --tee none|none
--url http://127.0.0.1:1/tam --offline --transcript none.jsonl|--offline speaks to nobody
--url http://127.0.0.1:1/tam --profile aist --accept text/plain|a TAM of aist takes nothing but
--url http://127.0.0.1:1/tam -H no-colon|no-colon|--header
END
    assert_equal "$(< message.json)" '{}'
    assert [ ! -e out ]
    assert [ ! -e none.jsonl ]
}

# ---- whole sessions ----

@test "the transcript of a session has every message in its order" {
    wants xbank/sd-1/demo
    device device
    stub
    umask 022
    session device --transcript wire.jsonl
    took GetDeviceState CreateSD InstallTA
    assert_equal "$(stat -c %a wire.jsonl)" 600
    run jq -r --arg url "$URL" 'if .url == $url then "" else "?" end
        + "\(.direction) \(.from)>\(.to) \(.status // "-") \(.body | if . == "" then "-" else fromjson | keys[0] end)"' wire.jsonl
    assert_output 'request tee>tam - -
response tam>tee 200 GetDeviceStateRequest
request tee>tam - GetDeviceStateResponse
response tam>tee 200 CreateSDRequest
request tee>tam - CreateSDResponse
response tam>tee 200 InstallTARequest
request tee>tam - InstallTAResponse
response tam>tee 204 -'
    run jq -s 'all(.[]; .bytes == (.body | utf8bytelength))
        and all(.[]; .time | test("^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[.][0-9]{3}Z$"))
        and ([.[].time] | . == sort)
        and all(.[] | select(.direction == "response"); .elapsed_ms > 0 and (.headers[0] | startswith("HTTP/1.1 ")))
        and all(.[] | select(.direction == "request"); has("elapsed_ms") or has("headers") | not)' wire.jsonl
    assert_output true
    # the messages are those that were sent: the device has recorded each rid
    assert_equal "$(sqlite3 device/state.db "SELECT rid FROM replay ORDER BY id")" \
        "$(jq -r 'select(.status == 200) | .body | fromjson | .[].payload
            | gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson | .[].rid' wire.jsonl)"
}

@test "a transcript is not overwritten unless forced, and a session that fails has one too" {
    wants
    device device --no-tfw
    stub
    session device --transcript wire.jsonl
    assert_equal "$status" 7
    assert_equal "$(jq -c '[.direction, .status]' wire.jsonl | xargs)" '[request,null] [response,200] [request,null] [response,400]'
    session device --transcript wire.jsonl
    assert_equal "$status" 2
    assert_equal "$(wc -l < wire.jsonl)" 4
    session device --transcript wire.jsonl --force
    assert_equal "$status" 7
    assert_equal "$(wc -l < wire.jsonl)" 4
    session device --transcript - --quiet
    assert_equal "$(jq -c .direction <<< "$output" | wc -l)" 4
}

@test "--now dates the transcript" {
    http end '204 No Content'
    fake end
    otrp send -q --url "$URL" --now 2026-11-21T10:00:00Z --transcript wire.jsonl
    run jq -r .time wire.jsonl
    assert_output '2026-11-21T10:00:00.000Z
2026-11-21T10:00:00.000Z'
}

@test "a TAM that ends at once, with 204 or an empty 200, is a success" {
    device device
    http no-content '204 No Content'
    http empty '200 OK' "$JSON_TYPE"
    http untyped '200 OK'
    http other '200 OK' 'Content-Type: text/html'
    local how
    for how in no-content empty untyped other; do
        fake "$how"
        session device
        assert_success
        assert_equal "$stderr" "otrp send: the session has ended"
    done
}

@test "a session goes on until the TAM says nothing more, with 204 or an empty 200" {
    otrp make-request get-device-state --pki "$P" --tam mytam > request.json
    http request '200 OK' "$JSON_TYPE" @request.json
    http no-content '204 No Content'
    http empty '200 OK'
    local how
    for how in no-content empty; do
        device "device-$how"
        fake request "$how"
        session "device-$how"
        took GetDeviceState
        assert_equal "$(body_of 2 | jq -c keys)" '["GetDeviceStateResponse"]'
    done
}

@test "a device that says fail makes the session fail, with its reason" {
    device device
    otrp make-request get-device-state --pki "$P" --tam mytam |
        flip_last_byte_of .GetDeviceStateRequest.signature > broken.json
    http broken '200 OK' "$JSON_TYPE" @broken.json
    http end '204 No Content'
    local before
    before=$(state_of device)
    fake broken end
    session device
    assert_equal "$status" 8
    assert_regex "$stderr" 'otrp send: error: GetDeviceState: ERR_REQUEST_INVALID: .*signature'
    assert_equal "$(body_of 2 | jq -r "$JWS jws.payload" | jose b64 dec -i- |
        jq -r '.[] | .status, .reason."error-code"' | xargs)" 'fail ERR_REQUEST_INVALID'
    assert_equal "$(state_of device)" "$before"
    fake broken end
    session device --quiet
    assert_equal "$status" 8
    assert_regex "$stderr" $'^otrp send: error: [^\n]*\nhint: [^\n]*$'
    fake broken end
    session device --json
    assert_equal "$status" 8
    assert_equal "$(sed '/^{/!d' <<< "$stderr" | jq -c '.error | [.applet, .exit, .class]')" '["send",8,"peer"]'
}

@test "a message that is not OTrP gets the broker's error, and the session fails" {
    device device
    printf 'rubbish' > rubbish.json
    printf '{"SomeRequest":{"payload":"e30","protected":"e30","signature":""}}' > foreign.json
    printf '{"GetDeviceStateResponse":[]}' > response.json
    printf '[]' > array.json
    http end '204 No Content'
    http refusal '400 Bad Request'
    local before what
    before=$(state_of device)
    for what in rubbish foreign response array; do
        http "$what" '200 OK' "$JSON_TYPE" "@$what.json"
        fake "$what" end
        session device
        assert_equal "$what: $status" "$what: 6"
        assert_regex "$stderr" 'otrp send: error: .*no request of OTrP'
        assert_equal "$(body_of 2 | jq -cS .)" \
            '{"OTrPBrokerError":{"errcode":"ERR_AGENT_TEE_FAIL","rid":"","tid":"","ver":"1.0"}}'
        assert_equal "$(state_of device)" "$before"
        # the TAM's opinion of that error does not hide the reason
        fake "$what" refusal
        session device
        assert_equal "$what: $status" "$what: 6"
        assert_regex "$stderr" 'otrp send: error: .*no request of OTrP'
    done
}

@test "a TAM that never ends is left after a thousand messages" {
    device device
    printf '{"GetDeviceStateRequest":{}}' > request.json
    printf '{"GetDeviceStateRequest":{} }' > other.json
    http request '200 OK' "$JSON_TYPE" @request.json
    http other '200 OK' "$JSON_TYPE" @other.json
    # shellcheck disable=SC2046 # a thousand names
    fake $(yes request other | tr ' ' '\n' | head -n 1000)
    session device --quiet
    assert_equal "$status" 7
    assert_regex "$stderr" 'error: the session does not end: 1000 messages'
}

@test "a TAM that says the same again and again is left after eight times, of which the TEE answers seven" {
    device device
    printf '{"GetDeviceStateRequest":{}}' > request.json
    http request '200 OK' "$JSON_TYPE" @request.json
    # shellcheck disable=SC2046 # names
    fake $(yes request | head -n 20)
    session device --transcript session.jsonl
    assert_equal "$status" 7
    assert_regex "$stderr" 'error: the TAM sends the same request again and again: 8 times.hint: '
    assert_equal "$(jq -s 'map(select(.from == "tam")) | length' session.jsonl)" 8
    assert_equal "$(jq -s 'map(select(.from == "tee" and .bytes > 0)) | length' session.jsonl)" 7
}

# ---- TAMs that misbehave ----

# fails EXIT MESSAGE HINT [OPTION...]: a session with $URL does, and the device stays as it is.
fails() {
    local before
    [ -d device ] || device device
    before=$(state_of device)
    session device "${@:4}"
    assert_equal "$status" "$1"
    assert_equal "$output" ""
    assert_regex "$stderr" "^otrp send: error: $URL: $2"
    [ -z "$3" ] || assert_regex "$stderr" "hint: $3"
    assert_equal "$(state_of device)" "$before"
}

@test "a TAM that is down" {
    URL=$NOWHERE
    fails 7 '[Cc]onnection refused' 'nothing listens there: is the peer running, is the port right\?'
    run --separate-stderr otrp send --url "$URL"
    assert_equal "$status" 7
}

@test "a TAM that is silent" {
    : > silence.part
    fake silence.part
    fails 7 'connected, but no answer within 3000 ms' '.*longer time-out' --timeout 3
}

@test "a TAM that closes the connection" {
    : > nothing
    fake nothing
    fails 7 'empty reply: the peer closed the connection' ''
}

@test "half an answer" {
    otrp make-request get-device-state --pki "$P" --tam mytam > request.json
    http whole '200 OK' "$JSON_TYPE" @request.json
    head -c -10 whole > half
    head -c -10 whole > half.part
    head -c 20 whole > headers.part
    fake half
    fails 7 "the answer ended too early, after $(($(wc -c < request.json) - 10)) bytes" ''
    fake half.part
    fails 7 "the answer was not complete within 3000 ms \($(($(wc -c < request.json) - 10)) bytes came\)" '' --timeout 3
    fake headers.part
    fails 7 '.* within 1000 ms' '' --timeout 1
}

@test "what is no HTTP" {
    printf 'SSH-2.0-OpenSSH_9.2\r\n' > ssh
    fake ssh
    fails 7 'no HTTP answer: ' 'is this the port of an HTTP server\?'
}

@test "an answer of another type is not taken" {
    otrp make-request get-device-state --pki "$P" --tam mytam > request.json
    local type
    for type in text/html application/json "$OTRP_TYPE-seq"; do
        http wrong '200 OK' "Content-Type: $type" @request.json
        fake wrong
        fails 7 "the answer is of type \"${type/+/\\+}\", not application/otrp\\+json" 'is this the URL of a TAM\?'
    done
    http wrong '200 OK' @request.json
    fake wrong
    fails 7 'the answer is of type "", not application/otrp\+json' ''
}

@test "HTTP errors name the URL and the status" {
    echo '<html>secret</html>' > page.html
    local how
    while read -r how; do
        http error "${how%%|*}" 'Content-Type: text/html' @page.html
        fake error
        fails 7 "HTTP status ${how%% *}" "${how#*|}"
        refute_regex "$stderr" secret
    done << 'END'
500 Internal Server Error|
503 Service Unavailable|
400 Bad Request|the TAM could not parse or believe the message
404 Not Found|is the path of the URL right\?
406 Not Acceptable|the TAM speaks another format
415 Unsupported Media Type|the TAM speaks another format
405 Method Not Allowed|
END
}

@test "an error in mid-session ends it with failure" {
    otrp make-request get-device-state --pki "$P" --tam mytam > request.json
    http request '200 OK' "$JSON_TYPE" @request.json
    http error '500 Internal Server Error'
    device device
    fake request error
    session device
    assert_equal "$status" 7
    assert_regex "$stderr" "error: $URL: HTTP status 500"
}

@test "redirects are followed only when asked for" {
    wants xbank/sd-1
    device device
    stub
    local tam=$URL status_line
    for status_line in '301 Moved Permanently' '302 Found' '307 Temporary Redirect' '308 Permanent Redirect'; do
        http elsewhere "$status_line" "Location: $tam"
        fake elsewhere
        fails 7 "HTTP status ${status_line%% *}" '--location follows redirects'
    done
    assert_equal "$(cat server.log)" ""
    fake elsewhere elsewhere elsewhere
    session device --location
    took GetDeviceState CreateSD
    assert_equal "$(body_of 3 | jq -c keys)" '["CreateSDResponse"]'
}

@test "who speaks to nobody leaves no transcript" {
    device device
    local given
    for given in ftp://127.0.0.1/tam 'https://127.0.0.1:1/tam --cacert nowhere.pem'; do
        # shellcheck disable=SC2086
        run --separate-stderr otrp send --tee device --transcript none.jsonl --url $given
        assert_equal "$status" 2
        assert [ ! -e none.jsonl ]
    done
    # what was sent is told, also where nobody answers; and what was there stays
    echo kept > none.jsonl
    run --separate-stderr otrp send --transcript none.jsonl --url ftp://127.0.0.1/tam
    assert_equal "$(cat none.jsonl)" kept
    run --separate-stderr otrp send --tee device --transcript asked.jsonl --url http://127.0.0.1:1/tam
    assert_equal "$status" 7
    assert_equal "$(jq -s 'map(.direction)[0]' asked.jsonl)" '"request"'
}

@test "a password in the URL gets into no message and no transcript" {
    device device
    http elsewhere '307 Temporary Redirect' 'Location: /next'
    http error '500 Internal Server Error'
    : > nothing
    local place with
    fake elsewhere nothing
    place=${URL#http://} with=(--tee device --transcript redirected.jsonl --location)
    run --separate-stderr otrp send --url "http://me:hidden@$place" "${with[@]}"
    assert_equal "$status" 7
    assert_regex "$stderr" "error: http://127\\.0\\.0\\.1:$PORT/next: "
    refute_regex "$stderr" hidden
    fake error
    place=${URL#http://}
    run --separate-stderr otrp send --url "http://me:hidden@$place" --tee device --transcript failed.jsonl
    assert_equal "$status" 7
    assert_regex "$stderr" "error: http://$place: HTTP status 500"
    refute_regex "$stderr" hidden
    run grep -l hidden redirected.jsonl failed.jsonl
    assert_failure
    assert_equal "$(jq -r .url failed.jsonl | sort -u)" "http://$place"
}

@test "an answer that is too large is not taken" {
    head -c 3000 /dev/zero | tr '\0' ' ' > large.json
    http large '200 OK' "$JSON_TYPE" @large.json
    fake large
    fails 6 'the answer exceeds the 2000 bytes allowed' '' --max-bytes 2000
}

# ---- TLS ----

@test "https: a whole session with a TAM whose certificate is trusted" {
    wants xbank/sd-1/demo
    device device
    stub --tls-cert "$BATS_FILE_TMPDIR/tls.pem" --tls-key "$BATS_FILE_TMPDIR/tls-key.pem"
    assert_regex "$URL" '^https://127\.0\.0\.1:[1-9][0-9]*/tam$'
    session device --cacert "$BATS_FILE_TMPDIR/tls.pem"
    took GetDeviceState CreateSD InstallTA
    run curl -s --cacert "$BATS_FILE_TMPDIR/tls.pem" -o /dev/null -w '%{http_code} %{scheme}' -X POST \
        -H "Accept: $OTRP_TYPE" "$URL"
    assert_output "200 HTTPS"
}

@test "https: a certificate that is not trusted, or for another host, is refused" {
    wants xbank/sd-1
    stub --tls-cert "$BATS_FILE_TMPDIR/tls.pem" --tls-key "$BATS_FILE_TMPDIR/tls-key.pem"
    fails 7 'the TLS certificate is not trusted: self-signed certificate' '--cacert FILE names the certificate to trust'
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=other \
        -addext subjectAltName=DNS:elsewhere.example -keyout other-key.pem -out other.pem 2> /dev/null
    fails 7 'the TLS certificate is not trusted: ' "is the file given with --cacert the issuer's\?" --cacert other.pem
    run grep -c 'POST' server.log
    assert_output 0
    stub --tls-cert other.pem --tls-key other-key.pem
    fails 7 'the TLS certificate names another host: ' '' --cacert other.pem
    run grep -c 'POST' server.log
    assert_output 0
}

@test "https: a TAM does not start with a key that is not its certificate's, or none" {
    wants
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out other-key.pem
    echo rubbish > rubbish.pem
    local key
    for key in other-key.pem none.pem rubbish.pem; do
        run --separate-stderr timeout 60 "$OTRP" tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0 \
            --tls-cert "$BATS_FILE_TMPDIR/tls.pem" --tls-key "$key"
        assert_equal "$key: $status" "$key: 2"
        assert_regex "$stderr" "error: .*$key"
        assert_equal "$output" ""
    done
}

@test "http to a TAM that speaks https, and the other way round" {
    wants xbank/sd-1
    stub --tls-cert "$BATS_FILE_TMPDIR/tls.pem" --tls-key "$BATS_FILE_TMPDIR/tls-key.pem"
    URL=http${URL#https} fails 7 'empty reply: the peer closed the connection' '.*speak https only'
    stub
    URL=https${URL#http} fails 7 'no TLS connection: ' ''
}

# A certificate for 127.0.0.1 that was valid for a day in 2020.
make_expired() {
    : > index.txt
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=tam -keyout "$1-key.pem" -out csr.pem 2> /dev/null
    printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n[p]\nCN=supplied\n[e]\nsubjectAltName=IP:127.0.0.1\n' > ca.cnf
    openssl ca -batch -selfsign -config ca.cnf -keyfile "$1-key.pem" -in csr.pem -out "$1.pem" -notext \
        -startdate 20200101000000Z -enddate 20200102000000Z 2> /dev/null
}

@test "https: a certificate that has expired is refused" {
    make_expired old
    wants
    stub --tls-cert old.pem --tls-key old-key.pem
    fails 7 'the TLS certificate is not trusted: certificate has expired' 'the server needs a new one' --cacert old.pem
}

@test "https: a TAM that asks for a client certificate gets it" {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=client \
        -keyout client-key.pem -out client.pem 2> /dev/null
    http end '204 No Content'
    mtls() {
        exec {tls}< <(exec openssl s_server -accept 127.0.0.1:0 -cert "$BATS_FILE_TMPDIR/tls.pem" \
            -key "$BATS_FILE_TMPDIR/tls-key.pem" -CAfile client.pem -Verify 1 -verify_return_error -ign_eof \
            -naccept 1 < end 2> /dev/null 3>&-)
        SERVERS+=("$!")
        while read -r -t 30 -u "$tls" line && [[ $line != ACCEPT* ]]; do :; done
        URL=https://${line#ACCEPT }/tam
    }
    mtls
    run --separate-stderr otrp send --url "$URL" --cacert "$BATS_FILE_TMPDIR/tls.pem" --cert client.pem --key client-key.pem
    assert_success
    assert_equal "$stderr" 'otrp send: the TAM has nothing more to say'
    mtls
    run --separate-stderr otrp send --url "$URL" --cacert "$BATS_FILE_TMPDIR/tls.pem"
    assert_equal "$status" 7
    assert_regex "$stderr" 'hint: .*--cert and --key'
}

# ---- connections that are kept, and die ----

@test "a session outlives a TAM that closes kept connections unannounced" {
    otrp make-request get-device-state --pki "$P" --tam mytam > request.json
    otrp make-request get-device-state --pki "$P" --tam mytam > next.json
    http once '200 OK' "$JSON_TYPE" @request.json
    http next '200 OK' "$JSON_TYPE" @next.json
    sed -i '/^Connection:/d' once next
    http end '204 No Content'
    device device
    # shellcheck disable=SC2046
    fake $(yes once next | tr ' ' '\n' | head -n 14) end
    session device
    assert [ -e request-15 ]
    assert_regex "$stderr" 'the session has ended|Replay|ERR_'
}

@test "a post whose answer began is not sent again" {
    otrp make-request get-device-state --pki "$P" --tam mytam > request.json
    http once '200 OK' "$JSON_TYPE" @request.json
    sed -i '/^Connection:/d' once
    head -c 20 once > half
    device device
    fake once half once
    session device
    assert_equal "$status" 7
    assert [ ! -e request-3 ]
}

@test "--wait tries again until somebody listens" {
    wants
    # an address of its own, where nobody else takes the port meanwhile
    start_server otrp tam-stub --pki "$P" --policy policy.json --listen 127.0.0.2:0
    stop_server
    local listen=${URL#http://}
    otrp send --url "$URL" --wait 60 > gds.json 2> send.log &
    local waiting=$!
    start_server otrp tam-stub --pki "$P" --policy policy.json --listen "${listen%/tam}"
    wait "$waiting"
    assert jq -e .GetDeviceStateRequest gds.json
}

# ---- a TEE behind HTTP ----

@test "--device-url: a whole session for a TEE behind HTTP" {
    device device
    wants xbank/sd-1/demo
    start_server otrp tee-sim serve --state device
    local tee=$URL
    stub
    run --separate-stderr otrp send --url "$URL" --device-url "$tee" --transcript wire.jsonl
    assert_success
    assert_equal "$stderr" "otrp send: GetDeviceStateResponse pass
otrp send: CreateSDResponse pass
otrp send: InstallTAResponse pass
otrp send: the session has ended"
    holds device 'mytam xbank/sd-1' 'mytam xbank/sd-1/demo'
    run jq -cs --arg tee "$tee" '[.[] | [.direction, .from, .to, .url == $tee]] | .[:4]' wire.jsonl
    assert_output '[["request","tee","tam",false],["response","tam","tee",false],["request","tam","tee",true],["response","tee","tam",true]]'
}

@test "--device-url: a TEE with nothing to say ends the session, one that fails has the broker speak" {
    otrp make-request get-device-state --pki "$P" --tam mytam --tid t-1 > request.json
    http once '200 OK' "$JSON_TYPE" @request.json
    http end '204 No Content'
    http broken '500 Oops'
    http refused '400 Bad Request'
    http page '200 OK' 'Content-Type: text/html' @request.json
    mkdir tee tam
    asks() {
        (cd tee && rm -f request-*)
        start_server "$FAKE_TAM" "$PWD/$1"
        tee=$URL
        fake once refused
        run --separate-stderr otrp send --url "$URL" --device-url "$tee"
    }
    asks end
    assert_success
    assert_regex "$stderr" 'the TEE has nothing to say'
    for kind in broken page; do
        asks "$kind"
        assert_equal "$status" 7
        assert_regex "$stderr" "error: $tee: "
        assert_equal "$(body_of 2 | jq -c '.OTrPBrokerError | [.tid, .errcode]')" '["t-1","ERR_AGENT_TEE_FAIL"]'
    done
    assert_regex "$stderr" 'the answer is of type "text/html"'
}

@test "--device-url: a failure of the TEE makes the session fail" {
    device device
    wants xbank/sd-1
    start_server otrp tee-sim serve --state device
    tee=$URL
    otrp make-request delete-sd --pki "$P" --tid t --sdname none --device <(
        otrp make-request get-device-state --pki "$P" --tid t | otrp tee-sim process -q --state device -o - |
            otrp decrypt --key "$TAM-key.pem") -o request.json
    http once '200 OK' "$JSON_TYPE" @request.json
    http end '204 No Content'
    fake once end
    run --separate-stderr otrp send --url "$URL" --device-url "$tee"
    assert_equal "$status" 8
    assert_regex "$stderr" 'DeleteSDResponse fail'
}

# ---- looking on ----

@test "--trace shows headers and decoded messages, and no credentials" {
    device device
    wants xbank/sd-1
    stub
    session device --trace -H 'Authorization: Bearer c2VjcmV0' -H 'Cookie: c2VjcmV0'
    assert_success
    assert_equal "$output" ""
    assert_regex "$stderr" '> POST /tam HTTP/1\.1'
    assert_regex "$stderr" '> Authorization: \(not shown\)'
    assert_regex "$stderr" '< HTTP/1\.1 200 OK'
    assert_regex "$stderr" '< [0-9]+ bytes: CreateSDRequest'
    assert_regex "$stderr" '> [0-9]+ bytes: CreateSDResponse pass'
    assert_regex "$stderr" '"CreateSDTBSRequest": \{'
    assert_regex "$stderr" '"dsihash": "'
    refute_regex "$stderr" 'c2VjcmV0'
}

refute_regex() {
    [[ ! $1 =~ $2 ]]
}

@test "--trace: what a TAM says does not reach the terminal raw" {
    printf 'HTTP/1.1 400 \033[31mBad\r\nX: \302\233y\r\nContent-Length: 24\r\n\r\n{"a\\u001b[1m":"\\u001b]"}' > evil
    fake evil
    run bash -c "'$OTRP' send --url '$URL' --trace 2>&1 | LC_ALL=C grep -c \$'[\\x01-\\x08\\x0b-\\x1f\\x7f]'"
    assert_output 0
}

@test "--offline writes the very bytes that would be sent" {
    echo '{"some":"message"}' > message.json
    http end '204 No Content'
    fake end end
    args=(--url "$URL?x=1" -H 'X-One: 1' -H 'Accept: text/x, */*' message.json)
    otrp send --offline "${args[@]}" -o offline.http
    assert [ ! -e request-1 ]
    otrp send -q "${args[@]}"
    cmp offline.http request-1
    otrp send --offline --url "$URL" -o empty.http
    otrp send -q --url "$URL"
    cmp empty.http request-2
}

@test "--offline with a TEE: the TAM's message in, the post that answers it out" {
    device device
    otrp make-request get-device-state --pki "$P" --tam mytam --tid t-1 > request.json
    run --separate-stderr otrp send --offline --url http://127.0.0.1:1/tam --tee device request.json -o next.http
    assert_success
    assert_equal "$stderr" 'otrp send: GetDeviceState: pass'
    assert_equal "$(sed '1,/^\r$/d' next.http | jq -r 'keys[]')" GetDeviceStateResponse
    assert_equal "$(sed -n 's/\r$//; s/^Content-Length: //p' next.http)" "$(sed '1,/^\r$/d' next.http | wc -c)"
}

@test "a post that has no answer has its reason in the transcript" {
    run otrp send --url "$NOWHERE" --transcript wire.jsonl
    assert_equal "$status" 7
    run jq -c '[.direction, .from, .status, (.error // "" | test("refused"))]' wire.jsonl
    assert_output '["request","tee",null,false]
["response","tam",null,true]'
}

# ---- many sessions ----

@test "--repeat: the devices of a folder in turn, several at a time, summed up" {
    otrp tee-sim init -q --state fleet --pki "$P" --count 6
    wants xbank/sd-1
    stub
    run --separate-stderr otrp send --url "$URL" --tee fleet --repeat 12 --jobs 4 --transcript wire.jsonl
    assert_success
    assert_equal "$stderr" ""
    assert_line --index 0 --regexp '^12 sessions, 4 at a time, in [0-9.]+ s: [0-9.]+ a second$'
    assert_line --index 1 '12 succeeded, 0 failed'
    assert_line --index 2 --regexp '^latency: p50 [0-9.]+ ms, p90 [0-9.]+ ms, p99 [0-9.]+ ms, max [0-9.]+ ms$'
    run bash -c "'$OTRP' tee-sim show --state fleet --json | jq -c '[.devices[] | [.sds[].name]]'"
    assert_output '[["sd-1"],["sd-1"],["sd-1"],["sd-1"],["sd-1"],["sd-1"]]'
    # six sessions with CreateSD, six without
    run jq -sc '[group_by(.exchange)[] | length] | sort' wire.jsonl
    assert_output '[4,4,4,4,4,4,6,6,6,6,6,6]'
}

# on_terminal COMMAND...: its standard output and error as a terminal gets them, in one.
on_terminal() {
    script -qec "$(printf '%q ' "$@")" /dev/null < /dev/null
}

@test "--repeat shows on a terminal, and nowhere else, how far it is" {
    command -v script > /dev/null || skip "script is not installed"
    : > silence.part
    fake silence.part silence.part silence.part silence.part silence.part silence.part
    local slow=(send --url "$URL" --repeat 2 --timeout 1) # longer than a second
    on_terminal "$OTRP" "${slow[@]}" -o shown.out > shown.txt || true
    run grep -ao 'sessions: 2 of 2' shown.txt
    assert_output 'sessions: 2 of 2'
    on_terminal "$OTRP" "${slow[@]}" -q -o quiet.out > quiet.txt || true
    run grep -a sessions: quiet.txt
    assert_failure 1
    run --separate-stderr otrp "${slow[@]}"
    assert_equal "$stderr" 'otrp send: error: 2 of 2 sessions failed'
}

@test "--repeat: a device has one session at a time" {
    device device
    wants xbank/sd-1
    stub
    run --separate-stderr otrp send --url "$URL" --tee device --repeat 8 --jobs 4 --transcript wire.jsonl
    assert_success
    # sessions do not overlap: their numbers stand in blocks
    run bash -c "jq .exchange wire.jsonl | uniq | sort | uniq -d"
    assert_output ""
}

@test "--repeat --json, and failures by reason" {
    otrp make-request get-device-state --pki "$P" --tam mytam > request.json
    http good '200 OK' "$JSON_TYPE" @request.json
    http bad '503 Busy'
    fake good bad good bad bad
    run --separate-stderr otrp send --url "$URL" --repeat 5 --json
    assert_equal "$status" 9
    assert_equal "$(jq -c '[.sessions, .jobs, .succeeded, .failed, [.failures[] | [.count, .class]], (.failures[0].reason | endswith("HTTP status 503"))]' <<< "$output")" \
        '[5,1,2,3,[[3,"transport"]],true]'
    assert_equal "$(jq -c '.latency_ms | [.p50 <= .p90, .p90 <= .p99, .p99 <= .max, .p50 > 0]' <<< "$output")" '[true,true,true,true]'
    assert_equal "$(jq -r .error.class <<< "$stderr")" partial
}

@test "--repeat posts a message as often as told" {
    echo '{"OTrPBrokerError":{}}' > message.json
    http end '204 No Content'
    fake end end end
    run --separate-stderr otrp send --url "$URL" --repeat 3 message.json -o summary.txt
    assert_success
    assert_equal "$(body_of 3)" '{"OTrPBrokerError":{}}'
    assert_regex "$(cat summary.txt)" '3 succeeded, 0 failed'
}

# ---- other implementations ----

@test "profile aist: its path, its Accept, and no answer where it fails" {
    : > silence.part
    http end '204 No Content'
    fake end silence.part
    run --separate-stderr otrp send --url "${URL%/tam}" --profile aist
    assert_success
    assert_equal "$(head_line 1)" 'POST /api/tam_jose HTTP/1.1'
    assert_regex "$stderr" 'aist: its TAM is at /api/tam_jose'
    assert_regex "$stderr" 'aist: Accept is application/otrp\+json and nothing else'
    run --separate-stderr otrp send --url "$URL" --profile aist --timeout 3
    assert_equal "$status" 7
    assert_equal "$(head_line 2)" 'POST /tam HTTP/1.1'
    assert_regex "$stderr" 'hint: a TAM of aist gives no HTTP answer to what it does not take'
}

head_line() {
    head -n 1 "request-$1" | tr -d '\r'
}

@test "profile thaler: an empty 200 ends it, and messages are short" {
    http end '200 OK'
    http other '204 No Content'
    fake end other
    run --separate-stderr otrp send --url "${URL%/tam}/" --profile thaler
    assert_success
    assert_equal "$(head_line 1)" 'POST /TEEP HTTP/1.1'
    assert_regex "$stderr" 'thaler: its TAM refuses messages above 4096 bytes'
    run --separate-stderr otrp send --url "$URL" --profile thaler
    assert_success
    assert_regex "$stderr" 'ends with status 204; a TAM of thaler does with 200'
    head -c 4097 /dev/zero | tr '\0' x > long.json
    run --separate-stderr otrp send --url "$URL" --profile thaler long.json
    assert_equal "$status" 6
    assert_regex "$stderr" '4097 bytes, more than the 4096 that a TAM of thaler takes'
    assert [ ! -e request-3 ]
}
