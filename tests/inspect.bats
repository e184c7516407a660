#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# otrp inspect: what it finds, what it tells of it, and what it never does.
# shellcheck disable=SC2030,SC2031,SC2154 # stderr is set by run --separate-stderr

load test_helper
load inspect/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# ---- messages ----

@test "every sample is shown, opened and found right" {
    local name found=()
    for name in get-device-state create-sd update-sd install-ta update-ta delete-ta delete-sd; do
        found+=("$SAMPLES/$name-request.json" "$SAMPLES/$name-response.json")
    done
    cat "${found[@]}" > session.txt
    run report '[.items[].name], .summary.deviations, ([.items[].hints[]] | length)' \
        --pki "$SAMPLES/pki" session.txt
    assert_output - << 'END'
["GetDeviceStateRequest","GetDeviceStateResponse","CreateSDRequest","CreateSDResponse","UpdateSDRequest","UpdateSDResponse","InstallTARequest","InstallTAResponse","UpdateTARequest","UpdateTAResponse","DeleteTARequest","DeleteTAResponse","DeleteSDRequest","DeleteSDResponse"]
0
0
END
    run jq -r '.items[] | "\(.name) \([.verdicts[] | "\(.check) \(.verdict)"] | sort | join(", "))"' report.json
    assert_output - << 'END'
GetDeviceStateRequest chain right, revocation right, signature right
GetDeviceStateResponse chain right, session right, signature right
CreateSDRequest chain right, did right, dsihash right, revocation right, signature right
CreateSDResponse chain right, session right, signature right
UpdateSDRequest chain right, dsihash right, revocation right, signature right
UpdateSDResponse chain right, session right, signature right
InstallTARequest chain right, dsihash right, revocation right, signature right
InstallTAResponse chain right, session right, signature right
UpdateTARequest chain right, dsihash right, revocation right, signature right
UpdateTAResponse chain right, session right, signature right
DeleteTARequest chain right, dsihash right, revocation right, signature right
DeleteTAResponse chain right, session right, signature right
DeleteSDRequest chain right, dsihash right, revocation right, signature right
DeleteSDResponse chain right, session right, signature right
END
}

@test "a TA query, its answer and a broker's error are shown" {
    run report '.items[] | "\(.kind) \(.name)", (.verdicts[] | "\(.check) \(.verdict)"), (.hints[])' \
        <(cat "$SAMPLES"/ta-query.json "$SAMPLES"/ta-information.json "$SAMPLES"/broker-error.json)
    assert_output - << 'END'
message TAQuery
message TAInformation
signature right
chain not checked
message OTrPBrokerError
ERR_AGENT_TEE_BUSY: the TEE is busy. Try: try again later
END
}

@test "without keys a message is shown as far as it is open" {
    run inspect "$SAMPLES/create-sd-request.json"
    assert_success
    assert_line --regexp '^CreateSDRequest +\(message, line 1, [0-9]+ bytes\)$'
    assert_line --regexp '^ +tee +mytee$'
    assert_line --regexp '^ +plaintext +no key at hand opens it$'
    assert_line --regexp '^ +signature +right: RS256 by header.x5c\[0\]$'
    assert_line --regexp '^ +chain +not checked: no roots at hand'
    refute_output --partial payments
}

@test "what is found in a certificate is what openssl says" {
    local cert=$SAMPLES/pki/tam/tam/tam-mytam-rsa-cert.pem
    report . "$cert" > /dev/null
    run jq -r '.items[0] | .kind, (.layers[0].rows[0].certificate | .sha256, .serial, .tamid, .key)' report.json
    assert_output "certificate
$(openssl x509 -in "$cert" -outform DER | sha256sum | cut -d' ' -f1)
$(openssl x509 -in "$cert" -noout -serial | cut -d= -f2)
mytam
RSA-2048"
}

@test "nothing that can be shown is exit code 6 and a word" {
    printf 'nothing in particular\n' > nothing.txt
    run --separate-stderr inspect nothing.txt
    assert_equal "$status" 6
    assert_output ""
    assert_regex "$stderr" 'nothing.txt: nothing in it that can be shown'
}

@test "what has to be unpacked first is named, with the command that does it" {
    local pack
    for pack in gzip:zcat bzip2:bzcat xz:xzcat; do
        "${pack%:*}" < "$SAMPLES/create-sd-request.json" > packed
        run --separate-stderr inspect packed
        assert_equal "$status $output" "6 "
        assert_regex "$stderr" "packed: ${pack%:*} data: .*hint: unpack it first: ${pack#*:} FILE \\| otrp inspect"
        run report '.items[].name' <("${pack#*:}" packed)
        assert_output CreateSDRequest
    done
    # a capture shows what is in one packet, in the clear
    { printf '\xd4\xc3\xb2\xa1\2\0\4\0' && cat "$SAMPLES/create-sd-request.json"; } > capture
    run --separate-stderr inspect capture
    assert_success
    assert_regex "$stderr" "note: capture is a capture of packets: 'tcpdump -xx -r FILE"
}

# ---- buried ----

# found_in FILE HOW...: the one message in it is the sample, with a signature that is right, and came
# to light as HOW says.
found_in() {
    run report '.items[] | .name, (.found | join(", ")), (.verdicts[] | select(.check == "signature").verdict)' "$1"
    assert_output "CreateSDRequest
$2
right"
}

@test "a message in a mail, quoted and wrapped" {
    {
        printf 'From: tam@example.org\nSubject: it does not work\n\nHello, the device got\n\n'
        fold -w 70 "$SAMPLES/create-sd-request.json" | sed 's/^/> /'
        printf '\n\nand says "nothing" (see {x}).\n'
    } > mail.txt
    found_in mail.txt "lines joined, prefixes of lines left out"
    run jq '.items[0].line' report.json
    assert_output 6
    sed 's/$/\r/' mail.txt > dos.txt
    found_in dos.txt "lines joined, prefixes of lines left out"
    sed 's/^> /> >   /' mail.txt > twice.txt
    found_in twice.txt "lines joined, prefixes of lines left out"
}

@test "lines of base64url that end in a hyphen keep it" {
    # a line is broken behind each hyphen, and nowhere else
    sed 's/-/-\n      /g' "$SAMPLES/create-sd-request.json" > wrapped.txt
    run grep -c -- '-$' wrapped.txt
    assert [ "$output" -gt 0 ]
    found_in wrapped.txt "lines joined"
}

@test "a message in a log, in one line and in several with times of their own" {
    local text second=10
    text=$(< "$SAMPLES/create-sd-request.json")
    {
        echo '2026-11-21T10:00:09Z host broker[12]: state is {"level": 3, "open": [1, 2]}'
        echo "2026-11-21T10:00:09Z host broker[12]: got $text from 10.0.0.1"
        echo '2026-11-21T10:00:09Z host broker[12]: that was {"it"}'
    } > one.log
    found_in one.log ""
    run jq '.items[0].line' report.json
    assert_output 2
    while [ -n "$text" ]; do
        echo "2026-11-21T10:00:${second}Z host broker[12]: ${text:0:900}"
        text=${text:900}
        second=$((second + 1))
    done > several.log
    found_in several.log "lines joined, prefixes of lines left out"
}

@test "a message in a string of JSON, once and twice" {
    jq -Rsc '{time: "10:00", level: 3, message: ("got " + .)}' "$SAMPLES/create-sd-request.json" > log.json
    found_in log.json "taken out of a string"
    jq -c 'tojson' log.json | sed 's/^/2026 DEBUG /' > twice.log
    found_in twice.log "taken out of a string"
    jq -Rsr '"body=" + tojson + " status=200"' "$SAMPLES/create-sd-request.json" > field.log
    found_in field.log "taken out of a string"
    jq -c '{a: [{b: .}]}' "$SAMPLES/create-sd-request.json" > inside.json
    found_in inside.json "inside other JSON"
}

@test "a message in a dump" {
    local message=$SAMPLES/create-sd-request.json
    xxd "$message" > dump.txt
    found_in dump.txt "lines joined, out of a hexadecimal dump"
    xxd -c 24 "$message" | sed 's/^/10:00:01 DEBUG  /' > dump.txt
    found_in dump.txt "lines joined, out of a hexadecimal dump"
    xxd -p "$message" > dump.txt
    found_in dump.txt "lines joined, out of a hexadecimal dump"
    od -A x -t x1z -v "$message" > dump.txt
    found_in dump.txt "lines joined, out of a hexadecimal dump"
    base64 "$message" > dump.txt
    found_in dump.txt "lines joined, out of BASE64"
    base64 -w 64 "$message" | sed 's/^/> /' > dump.txt
    found_in dump.txt "lines joined, out of BASE64"
    base64url_encode < "$message" > dump.txt
    found_in dump.txt "out of BASE64"
    jq -Rrs '"GET /?m=" + @uri + "&x=1 HTTP/1.1"' "$message" > dump.txt
    found_in dump.txt "out of percent-encoding"
    iconv -f UTF-8 -t UTF-16 "$message" > dump.txt
    found_in dump.txt "out of UTF-16"
}

# chunked SIZE FILE: an answer of HTTP that carries the file in chunks of that size.
chunked() {
    local at=0 size
    printf 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ntransfer-encoding: gzip, chunked\r\n'
    printf 'Server: x\r\n\r\n'
    while size=$(tail -c +$((at + 1)) "$2" | head -c "$1" | wc -c) && [ "$size" -gt 0 ]; do
        printf '%x%s\r\n' "$size" "$3"
        tail -c +$((at + 1)) "$2" | head -c "$1"
        printf '\r\n'
        at=$((at + size))
    done
    printf '0\r\n\r\n'
}

@test "a message that HTTP carries in chunks, once and twice" {
    local message=$SAMPLES/create-sd-request.json
    chunked 1000 "$message" > chunks.txt
    found_in chunks.txt "chunk sizes left out"
    chunked 256 "$message" ';name=value' > chunks.txt
    found_in chunks.txt "chunk sizes left out"
    { chunked 300 "$message" && chunked 3000 "$SAMPLES/delete-sd-request.json"; } > chunks.txt
    run report '.items[] | "\(.name) \(.verdicts[] | select(.check == "signature").verdict)"' chunks.txt
    assert_output "CreateSDRequest right
DeleteSDRequest right"
    # cut off within a chunk
    chunked 256 "$message" | head -c 3000 > chunks.txt
    run report '.items[] | .name, (.found | join(", "))' chunks.txt
    assert_output "CreateSDRequest
it ends too early: closed, chunk sizes left out"
    # it says chunks, but there are none
    { printf 'Transfer-Encoding: chunked\r\n\r\n' && cat "$message"; } > chunks.txt
    found_in chunks.txt ""
}

# packet PORT SEQUENCE: a segment of TCP with what stands on standard input, as tcpdump -X has it.
packet() {
    local data
    data=$(xxd -p | tr -d '\n')
    echo "12:00:00.000001 IP 127.0.0.1.$1 > 127.0.0.1.80: Flags [P.], seq $2, length $((${#data} / 2))"
    printf '4500%04x00004000400600007f0000017f000001%04x0050%08x000000005018020000000000%s' \
        $((40 + ${#data} / 2)) "$1" "$2" "$data" | xxd -r -p | xxd -g 2 | sed 's/^/\t0x/; s/^\t0x0000/\t0x/'
}

@test "a message in several dumps, and in packets" {
    local message=$SAMPLES/create-sd-request.json
    split -b 1448 -d "$message" piece-
    for piece in piece-*; do
        echo "and:"
        xxd "$piece"
    done > dump.txt
    found_in dump.txt "lines joined, out of a hexadecimal dump, several dumps joined"
    # two messages of one dump each stay two
    { xxd "$message" && xxd "$SAMPLES/delete-sd-request.json"; } > dump.txt
    run report '.items[] | "\(.name) \(.line) \(.found | join(", "))"' dump.txt
    assert_output "CreateSDRequest 1 lines joined, out of a hexadecimal dump
DeleteSDRequest $(($(xxd "$message" | wc -l) + 1)) lines joined, out of a hexadecimal dump"

    # the head of HTTP in a segment of its own, an acknowledgement and a segment sent twice
    local head='POST / HTTP/1.1\r\nHost: tam\r\n\r\n' at=4294967000
    {
        printf '%b' "$head" | packet 50000 "$at"
        at=$(((at + 32) % 4294967296))
        for piece in piece-*; do
            packet 50000 "$at" < "$piece"
            packet 40000 7 < /dev/null
            packet 50000 "$at" < "$piece"
            at=$(((at + $(wc -c < "$piece")) % 4294967296))
        done
    } > packets.txt
    found_in packets.txt "lines joined, out of a hexadecimal dump, several dumps joined"
    chunked 700 "$message" > chunks.txt
    split -b 1000 -d chunks.txt chunk-
    at=1
    for piece in chunk-*; do
        packet 50000 "$at" < "$piece"
        at=$((at + $(wc -c < "$piece")))
    done > packets.txt
    found_in packets.txt "lines joined, out of a hexadecimal dump, chunk sizes left out, several dumps joined"
    # where a segment is missing, nothing is made of the rest
    packet 50000 1 < piece-00 > packets.txt
    packet 50000 2897 < piece-02 >> packets.txt
    run report '.items[0] | .name, (.found | join(", "))' packets.txt
    assert_output "CreateSDRequest
lines joined, out of a hexadecimal dump, it ends too early: closed"
}

@test "quotes of a word processor, of HTML and of Python" {
    local message=$SAMPLES/create-sd-request.json
    sed 's/"\([A-Za-z0-9]*\)":/“\1”:/g' "$message" > quotes.txt
    found_in quotes.txt "quotes made straight"
    run jq -r "$DEVIATIONS" report.json
    assert_output 'text: quotes other than " (RFC 8259 section 7)'
    sed 's/"/\&quot;/g' "$message" > quotes.txt
    found_in quotes.txt "quotes made straight"
    sed "s/\"/'/g" "$message" > quotes.txt
    found_in quotes.txt "quotes made straight"
}

@test "a JWS, a JWE, a JWK set, certificates, OCSP responses and a DSI, one after the other" {
    local tam=$SAMPLES/pki/tam/tam/tam-mytam-rsa
    otrp decrypt --key "$tam-key.pem" -o dsi.json "$SAMPLES/get-device-state-response.json"
    jq -c '{keys: [.]}' "$tam-pub.jwk" > set.json
    jq -r .[0] "$tam-ocsp.json" | base64 -d > ocsp.der
    openssl x509 -in "$tam-cert.pem" -outform DER -out cert.der
    jose jws sig -I set.json -c -s '{"protected":{"alg":"RS256"}}' -k "$tam-key.jwk" -o compact.jws
    jose jwe enc -I set.json -c -i '{"protected":{"alg":"RSA1_5","enc":"A256GCM"}}' -k "$tam-pub.jwk" -o compact.jwe
    jws_of "$SAMPLES/delete-ta-request.json" > flattened.jws
    {
        cat compact.jws <(echo) compact.jwe <(echo) flattened.jws set.json
        cat "$tam-cert-plus-intermediate-cert.pem" "$tam-ocsp.json" dsi.json <(echo) ocsp.der cert.der
    } > all
    run report '.items[].kind' --key "$tam-key.pem" all
    assert_output "JWS
JWE
JWS
JWK set
certificate
certificate
array of DER
device state
OCSP response
certificate"
    run jq -r '.items[0].verdicts[] | "\(.check) \(.verdict)"' report.json
    assert_output "signature right
chain not checked"
    run jq -r '.items[1].layers[].rows[] | select(.path == "opened").value' report.json
    assert_output --partial tam-mytam-rsa-key.pem
}

@test "a revocation list and signing requests" {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem \
        -subj '/O=Example/CN=device1' -out device.csr 2> openssl.log
    run inspect device.csr
    assert_success
    assert_line --regexp '^CERTIFICATE REQUEST +\(signing request, line 1, [0-9]+ bytes\)$'
    assert_line --regexp '^ +request +signing request; CN=device1,O=Example; EC P-256; signed with its own key$'
    openssl req -in device.csr -outform DER -out device.der
    run report '.items[0] | .kind, .layers[0].rows[0].csr.possession' device.der
    assert_output 'signing request
true'
    last_byte_changed device.der > changed.der # of the signature
    run report '.items[0].layers[0].rows[0].csr | .subject, .possession' changed.der
    assert_output 'CN=device1,O=Example
false'

    printf '[ca]\ndatabase = index\ncrlnumber = number\ndefault_md = sha256\n' > ca.cnf
    printf 'R\t301231235959Z\t261120000000Z\t%s\tunknown\t/CN=%s\n' 0A a 0B b 0C c 0D d 0E e 0F f > index
    echo 2A > number
    openssl req -x509 -key key.pem -subj '/CN=list maker' -days 30 -out ca.pem
    openssl ca -gencrl -config ca.cnf -name ca -keyfile key.pem -cert ca.pem -crldays 30 -out list.pem 2> openssl.log
    run report '.items[0] | .kind, (.layers[0].rows[0].crl | .issuer, .number, .entries, (.serials | join(" ")))' list.pem
    assert_output 'revocation list
CN=list maker
2A
6
0A 0B 0C 0D 0E'
    run inspect list.pem
    assert_line --regexp '; 6 revoked: 0A, 0B, 0C, 0D, 0E, \.\.\.$'
}

@test "a transcript: its entries, and what is in them" {
    local name
    for name in get-device-state-request get-device-state-response; do
        jq -Rsc '{time: "2026-11-21T10:00:01.000Z", direction: "request", from: "tam", to: "tee",
            url: "http://tam.example.org/", body: .}' "$SAMPLES/$name.json"
    done > session.jsonl
    run report '.items[] | "\(.kind) \(.name) \(.line)"' --pki "$SAMPLES/pki" session.jsonl
    assert_output "transcript entry null 1
message GetDeviceStateRequest 1
transcript entry null 2
message GetDeviceStateResponse 2"
    run jq -r '[.items[3].verdicts[] | "\(.check) \(.verdict)"] | sort | .[]' report.json
    assert_output "chain right
session right
signature right"
}

@test "a message that is cut off is shown as far as it goes" {
    head -c 3000 "$SAMPLES/create-sd-request.json" > cut.json
    run report '.items[] | .name, (.found[]), (.deviations[].what)' cut.json
    assert_output "CreateSDRequest
it ends too early: closed
unknown member
ends too early: what is missing was closed"
    run value rid
    assert_output sample-2
    # what is missing is no reason to accuse anybody
    run report '.items[].verdicts[] | select(.check == "signature") | "\(.verdict): \(.reason)"' \
        --pki "$SAMPLES/pki" cut.json
    assert_output "not checked: cut off: what was signed is not whole"
    # the next line is something else, and the next message is whole
    { head -c 3000 "$SAMPLES/create-sd-request.json" && echo && cat "$SAMPLES/delete-sd-request.json"; } > two.log
    run report '.items[] | .name, (.found | join(" "))' two.log
    assert_output "CreateSDRequest
it ends too early: closed
DeleteSDRequest"
}

# ---- what it tells ----

# changed FILTER: the sample of create-sd with its JWS changed by jq.
changed() {
    jq -c ".CreateSDRequest |= ($1)" "$SAMPLES/create-sd-request.json"
}

@test "a signature that is right over a header that is no JSON is just that" {
    local key=$SAMPLES/pki/tam/tam/tam-mytam-rsa-key.pem protected payload
    protected=$(printf 'RS256, of course' | base64url_encode)
    payload=$(printf '{"what":"is signed"}' | base64url_encode)
    printf %s "$protected.$payload" | openssl dgst -sha256 -sign "$key" | base64url_encode > signature
    echo "$protected.$payload.$(< signature)" > odd.jws
    run inspect --key "$key" odd.jws
    assert_success
    assert_line --regexp '^ +protected +RS256, of course$'
    assert_line --regexp '^ +what +is signed$'
    assert_line --regexp '^ +signature +right: RS256 by .*key.pem, over a protected header that is not JSON: only that$'
    assert_line --regexp '^ +protected: the protected header is not a JSON object \(RFC 7515 section 4\)$'
    # one bit of it, and it is not
    payload=$(printf '{"what":"is siened"}' | base64url_encode)
    echo "$protected.$payload.$(< signature)" > odd.jws
    run report "$VERDICTS" --key "$key" odd.jws
    assert_output "signature: not right"
}

@test "why a signature is wrong: in DER, or over something else" {
    local payload protected
    openssl ecparam -name prime256v1 -genkey -noout -out ec.pem
    openssl pkey -in ec.pem -pubout -out ec-pub.pem
    payload=$(printf '{"what":"is signed"}' | base64url_encode)
    protected=$(printf '{"alg":"ES256"}' | base64url_encode)
    printf %s "$protected.$payload" | openssl dgst -sha256 -sign ec.pem | base64url_encode > signature
    echo "$protected.$payload.$(< signature)" > der.jws
    run report "($VERDICTS), .items[].hints[]" --key ec-pub.pem der.jws
    assert_output "signature: not right
the signature is right by ec-pub.pem, but in DER: JOSE wants R || S"
    protected=$(printf '{"alg":"RS256"}' | base64url_encode)
    printf '{"what":"is signed"}' | openssl dgst -sha256 -sign "$SAMPLES/pki/tam/tam/tam-mytam-rsa-key.pem" |
        base64url_encode > signature
    echo "$protected.$payload.$(< signature)" > raw.jws
    run report '.items[].hints[]' --key "$SAMPLES/pki/tam/tam/tam-mytam-rsa-cert.pem" raw.jws
    assert_output --partial "over the decoded payload alone: JOSE signs the base64url of both"
}

@test "a wrong signature, a strange root and an expired certificate" {
    changed '.payload |= .[:-8] + "AAAA" + .[-4:]' > wrong.json
    run report "$VERDICTS" --trust "$SAMPLES/pki/tee/tee-rootca" wrong.json
    assert_line "signature: wrong"
    assert_line "chain: wrong"
    run jq -r '.items[0].verdicts[] | select(.check == "chain").reason' report.json
    assert_output "CN=TAM CA 1,OU=TAM,O=OTrP: its issuer is neither given nor a trust anchor"
}

@test "the CA that a device state brings along leads to a root of --trust" {
    local tee=$SAMPLES/pki/tee
    run report "$VERDICTS" -k "$SAMPLES/pki/tam/tam/tam-mytam-rsa-key.pem" -t "$tee/tee-rootca" \
        "$SAMPLES/get-device-state-response.json"
    assert_output $'signature: right\nchain: right'
    # only the device state has it: openssl finds no way from the certificate to the root alone
    run openssl verify -CAfile "$tee/tee-rootca/tee-rootca-ec-cert.pem" "$tee/tee/tee-mytee-rsa-cert.pem"
    assert_failure
}

@test "how long before a message its certificate had expired" {
    local cert=$SAMPLES/pki/tam/tam/tam-mytam-rsa-cert.pem end
    end=$(date -u -d "$(openssl x509 -in "$cert" -noout -enddate | cut -d= -f2)" +%s)
    jq -Rsc --arg time "$(date -u -d "@$((end + 3 * 86400))" +%FT%T.000Z)" \
        '{$time, direction: "response", body: .}' "$SAMPLES/delete-ta-request.json" > session.jsonl
    export NOW=@$((end + 10 * 86400))
    run report '.items[].hints[]' session.jsonl
    assert_output "the TAM certificate expired 3 days before this message"
    run report '.items[].hints[]' "$SAMPLES/delete-ta-request.json"
    assert_output "the TAM certificate expired 10 days ago, after this message"
}

@test "stapled responses that were fresh once" {
    export NOW=2027-01-01
    run report '.items[].verdicts[] | select(.check == "revocation").verdict' --pki "$SAMPLES/pki" "$SAMPLES/delete-ta-request.json"
    assert_output wrong
    run jq -r '.items[].hints[]' report.json
    assert_output "the OCSP responses were fresh when the message was made"
}

@test "of which DSI a dsihash is" {
    local tam=$SAMPLES/pki/tam/tam/tam-mytam-rsa-key.pem
    cat "$SAMPLES"/{get-device-state,create-sd}-response.json "$SAMPLES/create-sd-request.json" > order.txt
    run report '.items[2].verdicts[] | select(.check == "dsihash") | .verdict, .reason' --key "$tam" order.txt
    assert_output "wrong
of an older DSI, that of item 1"
    run jq -r '.items[2].hints[]' report.json
    assert_output "dsihash is the hash of the previous DSI: the device answers ERR_DEV_STATE_MISMATCH; ask for its state again"
    # the hash that is shown is that of the plaintext
    otrp decrypt --key "$tam" -o dsi.json "$SAMPLES/get-device-state-response.json"
    run value dsihash
    assert_output "$(openssl sha256 -binary dsi.json | base64)"
    run report '.items[0].verdicts[] | select(.check == "dsihash").verdict' --key "$tam" \
        --device "$SAMPLES/create-sd-response.json" "$SAMPLES/update-sd-request.json"
    assert_output right
    run report '.items[0].verdicts[] | select(.check == "dsihash").verdict' --key "$tam" \
        --device dsi.json "$SAMPLES/update-sd-request.json"
    assert_output wrong
}

@test "a request that stands there twice, and an answer to none" {
    cat "$SAMPLES"/delete-ta-request.json "$SAMPLES"/delete-ta-request.json "$SAMPLES"/delete-sd-response.json > twice.txt
    run report '.items[] | .hints[], (.verdicts[] | select(.check == "session").verdict)' twice.txt
    assert_output "rid sample-6 was used in tid sample-session by item 1 already: a TEE refuses it as a replay
wrong"
}

@test "the CEK of a request opens its answer" {
    cat "$SAMPLES"/delete-ta-request.json "$SAMPLES"/delete-ta-response.json > both.txt
    run report '[.items[].layers[].rows[] | select(.path == "opened").value]' \
        --key "$SAMPLES/pki/tee/tee/tee-mytee-rsa-key.pem" both.txt
    assert_output --regexp '^\["with .*tee-mytee-rsa-key.pem","with the CEK of item 1"\]$'
}

@test "the CEK of a request without a rid is that of no other request" {
    local content key=$SAMPLES/pki/tee/tee/tee-mytee-rsa
    content=$(sealed '{"did":"x"}' "$key-pub.jwk" | general)
    SIGNER=$SAMPLES/pki/tam/tam/tam-mytam-rsa-key.jwk signed CreateSDRequest \
        "{CreateSDTBSRequest: {ver: \"1.0\", tid: \"t\", content: $content}}" > nameless.json
    otrp decrypt --key "$key-key.pem" --save-cek cek.jwk -o plain.json nameless.json
    cat nameless.json "$SAMPLES"/delete-ta-request.json "$SAMPLES"/delete-ta-response.json > all.txt
    run report '.items[2] | [.deviations[].what]' --key cek.jwk --key "$SAMPLES/pki/tam/tam/tam-mytam-rsa-key.pem" all.txt
    assert_output '[]'
    # the first was opened, the second was not
    run jq -c '[.items[].layers[].rows[] | select(.path == "opened" or .path == "plaintext").path]' report.json
    assert_output '["opened","plaintext","opened"]'
}

@test "an error code is explained" {
    jq -n '{DeleteSDTBSResponse: {ver: "1.0", status: "fail", rid: "r", tid: "t",
        reason: {"error-code": "ERR_SD_NOT_EMPTY"}}}' > fail.json
    run report '.items[0].hints[], .items[0].deviations[].what' fail.json
    assert_line --index 0 --regexp '^ERR_SD_NOT_EMPTY: '
    assert_line --index 1 "not signed"
    jq -n '{DeleteSDTBSResponse: {ver: "1.0", status: "maybe", rid: "r", tid: "t", reason: "ERR_OOPS"}}' > fail.json
    run report "$DEVIATIONS" fail.json
    assert_output "DeleteSDTBSResponse: not signed (section 7)
DeleteSDTBSResponse.reason: a string instead of an object (section 9.2.3.3)
status: neither pass nor fail (section 7.6)
reason.error-code: ERR_OOPS: an error code that nobody has defined (section 7.6)"
}

@test "what is wrong with an envelope" {
    changed '. + {extra: 1} | .header.kid = "x" | .header.x5c = .header.x5c[0]' |
        jq -c '. + {another: 1}' > envelope.json
    run report "$DEVIATIONS" envelope.json
    assert_output 'CreateSDRequest: other members stand beside the message (section 7.4)
: extra: a member that a signed message has not (section 7.4)
header.x5c: one string instead of an array of certificates (RFC 7515 section 4.1.6)
header.kid: a kid in the header (section 7.4)'
    jq -c '{DeleteSDRequest: .CreateSDRequest}' "$SAMPLES/create-sd-request.json" > renamed.json
    run report "$DEVIATIONS" renamed.json
    assert_line "payload: the name inside is not that of the outer one: it should be DeleteSDTBSRequest (section 7.4)"
    changed '.protected = ("{\"alg\": \"PS256\"}" | @base64 | sub("=+"; ""))' > alg.json
    run report "$DEVIATIONS" alg.json
    assert_output 'protected: white space in the protected header (section 7.5)
protected: alg PS256: neither RS256 nor ES256 (section 7.5.1)'
    changed '{payload, signatures: [{protected, header, signature}]}' > general.json
    run report "$DEVIATIONS" general.json
    assert_output "signatures: not a flattened JWS (section 7.4, RFC 7515 section 7.2.2)"
    run jq -r "$VERDICTS" report.json
    assert_line "signature: right"
}

@test "text that is not quite JSON" {
    printf '{"TAQuery":{"spid":"a","spid":"b","taid":"c"}}' > twice.json
    run report "$DEVIATIONS" twice.json
    assert_output 'text: member "spid" stands twice in one object (RFC 7515 section 4, RFC 8259 section 4)'
    printf '{"TAQuery":{"spid":"a\xff","taid":"c",},}' > comma.json
    run report "$DEVIATIONS" comma.json
    assert_output 'text: a comma with nothing behind it (RFC 8259 section 4)
text: bytes that are not UTF-8 (RFC 8259 section 8.1)'
    run value spid
    assert_output $'a\ufffd'
}

# ---- what it never does ----

@test "untrusted text cannot move the cursor, colour the terminal or turn its direction" {
    printf '{"TAQuery":{"spid":"\\u001b[31mred\\u009b2J","taid":"\\u202eevil\\r\\n\\u200f\\u061c\\ufeff","\\u001b]0;x\\u0007":"\x1b[0m"}}' > evil.json
    inspect evil.json > evil.out
    openssl req -x509 -key "$SAMPLES/pki/tam/tam/tam-mytam-rsa-key.pem" -utf8 -subj $'/CN=left\u200fright' -out evil.pem
    inspect evil.pem >> evil.out
    assert_regex "$(< evil.out)" 'left\\xe2\\x80\\x8fright'
    run grep -c "[$(printf '\033\r\007')]" evil.out
    assert_output 0
    run grep -cP '[\x{80}-\x{9f}\x{61c}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{feff}]' evil.out
    assert_output 0
    run cat evil.out
    assert_line --regexp '^ +spid +\\x1b\[31mred\\xc2\\x9b2J$'
    inspect --json evil.json > evil.out
    run env LC_ALL=C grep -c '[^ -~]' evil.out
    assert_output 0
}

@test "colours are for terminals, and for who asks for them" {
    local sample=$SAMPLES/ta-query.json escape=$'\033'
    run inspect "$sample"
    refute_output --partial "$escape"
    run inspect --color=always "$sample"
    assert_output --partial "${escape}[1mTAQuery${escape}[0m"
    NO_COLOR=1 run inspect "$sample"
    refute_output --partial "$escape"
    run inspect --color=always --json "$sample"
    refute_output --partial "$escape"
}

@test "private keys are left out unless they are asked for, wherever they stand" {
    local key=$SAMPLES/pki/tam/tam/tam-mytam-rsa secret
    secret=$(jq -r .d "$key-key.jwk")
    jq -c '{CreateSDRequest: {payload: "e30", header: {jwk: .}, signature: "AA"}}' "$key-key.jwk" > inside.json
    jq -Rsc '{TAQuery: {spid: "a", taid: .}}' "$key-key.jwk" > string.json
    head -c 900 "$key-key.jwk" > cut.jwk
    openssl pkey -in "$key-key.pem" -outform DER -out key.der
    jose jws sig -I "$key-key.jwk" -c -s '{"protected":{"alg":"RS256"}}' -k "$key-key.jwk" -o payload.jws
    local file
    for file in "$key-key.jwk" inside.json string.json cut.jwk payload.jws; do
        run inspect --full "$file"
        assert_success
        refute_output --partial "${secret:0:24}"
        run inspect --full --json "$file"
        refute_output --partial "${secret:0:24}"
        run inspect --full --show-secrets "$file"
        assert_output --partial "${secret:0:24}"
    done
    for file in "$key-key.pem" key.der; do
        run inspect --full --json "$file"
        assert_success
        assert_output --partial 'private key, RSA-2048'
        assert [ "${#output}" -lt 700 ]
    done
}

@test "nothing is shown of a key that was encrypted raw, and of the CEK, unless asked for" {
    head -c 32 /dev/urandom > raw.key
    otrp encrypt --to "$SAMPLES/pki/tam/tam/tam-mytam-rsa-cert.pem" -o key.jwe raw.key
    local hex
    hex=$(xxd -p -c 64 raw.key)
    run inspect --full --key "$SAMPLES/pki/tam/tam/tam-mytam-rsa-key.pem" key.jwe
    assert_line --regexp '^ +plaintext +\(secret, 32 bytes; --show-secrets shows it\)$'
    refute_output --partial "${hex:0:16}"
    refute_line --regexp '^ +cek '
    run inspect --full --show-secrets --key "$SAMPLES/pki/tam/tam/tam-mytam-rsa-key.pem" key.jwe
    assert_line --regexp "^ +plaintext +$hex\$"
    assert_line --regexp '^ +cek +[0-9a-f]{64}$'
}

@test "long values are cut with their length, and whole with --full" {
    jq -cn '{TAQuery: {spid: ("x" * 300), taid: "a"}}' > long.json
    run inspect long.json
    assert_line --regexp '^ +spid +x{72}\.\.\. \(300 bytes\)$'
    run inspect --full long.json
    assert_line --regexp '^ +spid +x{300}$'
}

# ---- hostile input ----

# shown STATUS FILE...: inspect ends with that code and no more than a word on standard error.
shown() {
    local expected=$1
    shift
    run --separate-stderr inspect "$@"
    assert_equal "$status" "$expected"
    if [ "$expected" -ne 0 ]; then
        assert_regex "$stderr" '^otrp inspect: error: [^\n]*'
    fi
}

@test "empty, random, deep, open and long inputs get an answer" {
    : > empty
    shown 6 empty
    openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2> /dev/null | head -c 1000000 > random
    shown 6 random
    local open close
    open=$(head -c 1000 /dev/zero | tr '\0' '[') close=$(head -c 1000 /dev/zero | tr '\0' ']')
    echo "{\"a\":$open$close}" > deep
    shown 6 deep
    echo "{\"CreateSDRequest\":$open$close}" > deep-message
    shown 0 deep-message
    assert_line --regexp 'nested deeper than a TEE reads \(section 7.1\)'
    echo "{\"CreateSDRequest\":$open$open$close$close}" > deeper
    shown 0 deeper
    assert_line --partial 'nested deeper than allowed'
    head -c 300000 /dev/zero | tr '\0' '{' > open
    shown 6 open
    head -c 400000 <(yes '{"a": {"payload') > payloads
    shown 6 payloads
    jq -cn '{CreateSDRequest: {payload: ("eyJh" * 500000), protected: "e30", signature: "AA"}}' > long
    shown 0 long
    jq -cn '[range(300000)] | {CreateSDRequest: .}' > many
    shown 0 many
    assert_line --partial 'more values than allowed'
}

@test "limits are those of the options" {
    shown 6 --max-bytes 1000 "$SAMPLES/create-sd-request.json"
    assert_regex "$stderr" '1000'
    shown 0 --max-depth 2 "$SAMPLES/create-sd-request.json"
    assert_line --partial 'nested deeper than allowed'
}

@test "who reads the first lines only gets no complaint" {
    for _ in {1..200}; do
        cat "$SAMPLES/create-sd-request.json"
    done > many.log
    local codes
    inspect many.log 2> stderr | head -n 1 > first.txt
    codes=("${PIPESTATUS[@]}")
    assert_equal "${codes[0]}" 141 # SIGPIPE, as of any tool
    assert_equal "$(< stderr)" ""
    assert_regex "$(< first.txt)" '^CreateSDRequest '
    # a full disk is another thing
    # shellcheck disable=SC2016 # expanded by that shell
    run --separate-stderr bash -c '"$0" inspect "$1" > /dev/full' "$OTRP" "$SAMPLES/create-sd-request.json"
    assert_equal "$status" 1
    assert_regex "$stderr" 'No space left'
}

@test "wrong options and files are exit code 2" {
    shown 2 nowhere.json
    shown 2 --key nowhere.pem "$SAMPLES/ta-query.json"
    shown 2 --pki nowhere "$SAMPLES/ta-query.json"
    shown 2 --trust nowhere "$SAMPLES/ta-query.json"
    run --separate-stderr inspect --json nowhere.json
    assert_equal "$(jq -r .error.exit <<< "$stderr")" 2
    assert_equal "$output" ""
}

# mutated SEED FILE...: the files with some bytes of each changed, left out or doubled.
mutated() {
    perl -e 'srand(shift); local $/; for (@ARGV) { open F, "<", $_ or die; my $t = <F>; close F;
        for (1 .. 1 + rand 6) { my $i = int rand length $t; my $n = 1 + int rand 40; my $w = int rand 5;
            substr($t, $i, 1) = chr(rand 256) if $w < 2; substr($t, $i, $n) = "" if $w == 2;
            substr($t, $i, 0) = substr($t, $i, $n) if $w == 3;
            substr($t, $i, 1) = substr("{}[]\":,\\\n", rand 9, 1) if $w == 4; }
        print $t, "\n" }' "$@"
}

@test "samples changed at random are shown, or not, and never more than that" {
    local seed=${SEED:-1} i files=("$SAMPLES"/*.json) name payload tam=$SAMPLES/pki/tam/tam/tam-mytam-rsa
    echo "SEED=$seed"
    for name in create-sd-request install-ta-request get-device-state-response; do
        payload=$(jq -r '.[] | if type == "array" then .[0][] else . end | .payload' "$SAMPLES/$name.json")
        base64url_decode <<< "$payload" > "$name.tbs"
        files+=("$name.tbs")
    done
    otrp decrypt --key "$tam-key.pem" -o dsi.json "$SAMPLES/create-sd-response.json"
    openssl x509 -in "$tam-cert.pem" -outform DER -out cert.der
    jq -r .[0] "$tam-ocsp.json" | base64 -d > ocsp.der
    xxd "$SAMPLES/ta-information.json" > dump.txt
    fold -w 70 "$SAMPLES/delete-sd-request.json" | sed 's/^/> /' > mail.txt
    files+=(dsi.json cert.der ocsp.der dump.txt mail.txt "$tam-key.jwk" "$tam-cert.pem")
    for i in 1 2 3 4; do
        mutated "$((seed + i))" "${files[@]}" "${files[@]}" > mutated.bin
        run --separate-stderr inspect --json --pki "$SAMPLES/pki" mutated.bin
        assert_equal "$stderr" ""
        assert_equal "$status" 0
        printf %s "$output" | jq -e '.summary.items > 20' > /dev/null
        run --separate-stderr inspect --color=always mutated.bin
        assert_equal "$status$stderr" 0
    done
}
