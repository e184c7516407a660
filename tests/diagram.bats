#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Diagrams: each form says what the transcript says, and nothing in a transcript breaks its form.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper
load tam/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# entry JSON: an entry of a transcript, wire.jsonl, with these members besides those it needs.
entry() {
    jq -cn --argjson more "$1" '{time: "2026-11-21T10:00:00.000Z", direction: "request", from: "tee",
        to: "tam", url: "http://tam.example/tam", body: "", bytes: 0} + $more' >> wire.jsonl
}

# answer NAME TBS: the text of a message, signed by nobody.
answer() {
    jq -cn --arg name "$1" --arg payload "$(printf %s "$2" | base64url_encode)" \
        '{($name): {payload: $payload, protected: "e30", signature: "AA"}}'
}

# A session of three posts, written out.
session_by_hand() {
    entry '{}'
    entry "$(jq -n --arg body "$(answer CreateSDRequest '{"CreateSDTBSRequest":{"rid":"r-1","tid":"t-1"}}')" \
        '{time: "2026-11-21T10:00:00.025Z", direction: "response", from: "tam", to: "tee", status: 200,
          body: $body, bytes: 1234, elapsed_ms: 25}')"
    entry "$(jq -n --arg body "$(answer CreateSDResponse '{"CreateSDTBSResponse":{"rid":"r-1","tid":"t-1","status":"fail","reason":{"error-code":"ERR_SD_ALREADY_EXIST","error-message":"sd-1 is there"}}}')" \
        '{time: "2026-11-21T10:00:01.525Z", body: $body, bytes: 77}')"
    entry '{"time":"2026-11-21T10:00:01.600Z","direction":"response","from":"tam","to":"tee","status":204,"elapsed_ms":75}'
}

@test "text: every message with its time, status, verdict, size and duration, in 80 columns" {
    session_by_hand
    run otrp diagram --format text wire.jsonl
    assert_output "          device                                                           TAM
    +0.000 s |--- empty POST ------------------------------------------------>|
             |    begins a session                                            |
    +0.025 s |<-- CreateSDRequest --------------------------------------------|
             |    200, tid t-1, 1,234 bytes, 25.0 ms                          |
    +1.525 s |--- CreateSDResponse ------------------------------------------x|
             |    fail ERR_SD_ALREADY_EXIST, tid t-1, 77 bytes                |
             |    sd-1 is there                                               |
    +1.600 s |<-- HTTP 204 ---------------------------------------------------|
             |    75.0 ms                                                     |
             |    ends the session                                            |
             4 messages in 1.60 s, 1 failed"
}

@test "mermaid: the same, one line an arrow" {
    session_by_hand
    run otrp diagram --format mermaid wire.jsonl
    assert_output 'sequenceDiagram
    participant D as Device
    participant T as TAM
    D->>T: empty POST<br/>begins a session
    T-->>D: CreateSDRequest<br/>200, tid t-1, 1,234 bytes, 25.0 ms
    D-xT: CreateSDResponse<br/>fail ERR_SD_ALREADY_EXIST, tid t-1, 77 bytes<br/>sd-1 is there
    T-->>D: HTTP 204<br/>75.0 ms<br/>ends the session'
}

# The texts of an SVG, a line each.
texts_of() {
    xmllint --xpath '//*[local-name()="text"]' "$1" | sed 's/<[^>]*>//g'
}

@test "svg: well-formed, with the same texts, a title and a description" {
    session_by_hand
    otrp diagram wire.jsonl -o wire.svg
    run xmllint --noout wire.svg
    assert_success
    assert_output ""
    run texts_of wire.svg
    assert_line "http://tam.example/tam"
    assert_line "2026-11-21T10:00:00.000Z · 4 messages in 1.60 s, 1 failed"
    assert_line "fail ERR_SD_ALREADY_EXIST · tid t-1 · 77 bytes"
    assert_line "+1.525 s"
    run xmllint --xpath 'string(/*/*[local-name()="desc"])' wire.svg
    assert_output "4 messages in 1.60 s, 1 failed. 1. Device to TAM: empty POST. 2. TAM to device: CreateSDRequest. 3. Device to TAM: CreateSDResponse, failed. 4. TAM to device: HTTP 204."
    run xmllint --xpath 'string(/*/@aria-labelledby)' wire.svg
    assert_output "otrp-title otrp-description"
}

@test "svg: it stands alone, and has colours for dark screens" {
    session_by_hand
    otrp diagram wire.jsonl > wire.svg
    run grep -E 'href|url\(|@import|<script|<image|<foreignObject|<\?xml-stylesheet| on[a-z]+=' wire.svg
    assert_failure
    run grep -c 'prefers-color-scheme:dark' wire.svg
    assert_output 1
    # a reader that knows no media queries gets the light colours
    run sed -n '/^<style>/,/^@media/p' wire.svg
    assert_line '.page{fill:#fff}'
}

@test "a real session: its messages in their order, and with keys what is in them" {
    world ec
    device dev
    wants xbank/sd-one/pay
    stub
    otrp send -q --url "$URL" --tee dev --transcript wire.jsonl
    run otrp diagram -t mermaid wire.jsonl
    assert_equal "$(sed -nE 's/^ +[DT]-+>>[DT]: ([A-Za-z0-9 ]+).*/\1/p' <<< "$output")" \
        "$(printf '%s\n' 'empty POST' GetDeviceState{Request,Response} CreateSD{Request,Response} InstallTA{Request,Response} 'HTTP 204')"
    refute_output --partial sd-one
    run otrp diagram -t text --key "$TAM-key.pem" --key "$TEE-key.pem" wire.jsonl
    assert_output --partial "|    device state: 0 SDs, 0 TAs "
    assert_output --partial "|    spid xbank, sdname sd-one, taid pay "
    assert_output --partial "|    device state: 1 SD, 1 TA "
}

@test "with the TAM's key, the reason of a failure is told" {
    world ec
    device dev
    otrp tee-sim process -q --state dev -o state.json \
        <(otrp make-request get-device-state --pki "$P" --tid t1)
    otrp make-request delete-sd --pki "$P" --device <(otrp decrypt --key "$TAM-key.pem" state.json) \
        --tid t1 --sdname none -o request.json
    run otrp tee-sim process -q --state dev -o answer.json request.json
    entry "$(jq -Rs '{body: ., bytes: length}' answer.json)"
    run otrp diagram -t text wire.jsonl
    assert_output --partial "|    fail, tid t1, "
    run otrp diagram -t text --key "$TAM-key.pem" wire.jsonl
    assert_output --partial "|    fail ERR_SD_NOT_FOUND, tid t1, "
}

@test "hostile text stays text in every form" {
    entry "$(jq -n --arg body "$(answer CreateSDResponse "$(jq -cn '{CreateSDTBSResponse: {rid: "r",
        tid: "</text><script>alert(1)</script>&amp;\"'\'']]>",
        status: "fail", reason: {"error-code": "ERR_X;%%{init}%%\n  A->>B: forged", "error-message": "\u001b[31m\u202e\u0000\ufffe<b>"}}}')")" \
        '{body: $body, bytes: 1, url: "http://x/\u001b]0;t\u0007<&\">"}')"
    entry '{"direction":"response","from":"<x onload=\"1\">","to":"--><","error":"]]>\u0085<![CDATA[","status":0,"peer":"a&b"}'
    entry '{"direction":"response","peer":"<p>","body_base64":"//79/A==","body":null}'
    otrp diagram wire.jsonl > wire.svg
    run xmllint --noout wire.svg
    assert_success
    assert_output ""
    run xmllint --xpath 'count(//*[local-name()="script" or local-name()="b" or local-name()="x"])' wire.svg
    assert_output 0
    for form in text mermaid svg; do
        run bash -c "'$OTRP' diagram -t $form wire.jsonl | LC_ALL=C grep -c \$'[\\x01-\\x08\\x0b-\\x1f\\x7f]'"
        assert_output 0
    done
    run otrp diagram -t mermaid wire.jsonl
    assert_equal "$(grep -c '^    [DT]-' <<< "$output")" 3
    refute_output --regexp '<[^b]|<b[^r]|[;]%|forged$'
    run otrp diagram -t text wire.jsonl
    refute_line --regexp '.{81}'
}

@test "long and wide text is cut, not the form" {
    entry "$(jq -n --arg body "$(answer CreateSDRequest "{\"CreateSDTBSRequest\":{\"rid\":\"r\",\"tid\":\"$(printf '漢%.0s' {1..60})\"}}")" '{body: $body, bytes: 9}')"
    entry "$(jq -n '{direction: "response", from: "tam", to: "tee", error: ("why " * 99)}')"
    run otrp diagram -t text wire.jsonl
    assert_output --partial '漢… |'
    assert_output --partial 'why wh… |'
    refute_line --regexp '^.{81}'
    run xmllint --noout <(otrp diagram wire.jsonl)
    assert_success
}

@test "no answer, an answer of the proxy, and the addresses of several clients" {
    entry '{"via":"proxy","peer":"192.0.2.1:5000","exchange":1}'
    entry '{"via":"proxy","peer":"192.0.2.2:5000","exchange":2}'
    entry '{"direction":"response","from":"proxy","to":"tee","via":"proxy","peer":"192.0.2.1:5000","status":502,"error":"connection refused"}'
    entry '{"direction":"response","from":"tam","to":"tee","via":"proxy","peer":"192.0.2.2:5000","error":"no answer within 30000 ms"}'
    run otrp diagram -t text wire.jsonl
    assert_line --index 0 "          device                          (proxy)                          TAM"
    assert_output --partial "|x-- HTTP 502, said by the proxy -"
    assert_output --partial "|x.. no answer ..."
    assert_output --partial "|    192.0.2.2:5000 "
    run otrp diagram -t mermaid wire.jsonl
    assert_line --partial 'P--xD: HTTP 502'
    assert_line --partial 'participant P as Proxy'
    grep -v 0.2.2 wire.jsonl > one.jsonl
    run otrp diagram -t text one.jsonl
    refute_output --partial 192.0.2.1
}

@test "where the TAM is the client, its requests go to the device" {
    entry '{"from":"tam","to":"tee"}'
    run otrp diagram -t mermaid wire.jsonl
    assert_line --partial 'T-->>D: empty POST'
}

@test "from standard input, to standard output; nothing is overwritten" {
    session_by_hand
    run bash -c "'$OTRP' diagram -t text - < wire.jsonl"
    assert_output --partial CreateSDRequest
    echo keep > out.svg
    run otrp diagram wire.jsonl -o out.svg
    assert_failure 2
    assert_equal "$(cat out.svg)" keep
    run otrp diagram --force wire.jsonl -o out.svg
    assert_success
}

@test "what is no transcript is malformed, with its line" {
    session_by_hand
    for bad in '{}' '[]' 'x' '{"direction":"up"}' '{"direction":"request","direction":"request"}' '7'; do
        { cat wire.jsonl; echo "$bad"; } > bad.jsonl
        run --separate-stderr otrp diagram bad.jsonl
        assert_failure 6
        assert_equal "$output" ""
        assert_regex "$stderr" 'bad\.jsonl:5: '
    done
    run --separate-stderr otrp diagram /dev/null
    assert_failure 6
    assert_regex "$stderr" 'no entries'
    run --separate-stderr otrp diagram none.jsonl
    assert_failure 2
}

@test "a recording that was cut off is drawn to its end" {
    session_by_hand
    head -c -20 wire.jsonl > cut.jsonl
    run --separate-stderr otrp diagram -t text cut.jsonl
    assert_success
    assert_output --partial '3 messages in 1.52 s, 1 failed; the transcript is cut off'
    assert_regex "$stderr" 'warning: cut.jsonl ends within a line'
}

@test "a picture has an end" {
    entry '{}'
    yes "$(cat wire.jsonl)" | head -n 5001 > many.jsonl || true
    run --separate-stderr otrp diagram -t text many.jsonl
    assert_failure 6
    assert_regex "$stderr" '5001?|5000'
    head -n 5000 many.jsonl > most.jsonl
    run otrp diagram -t text most.jsonl
    assert_success
}
