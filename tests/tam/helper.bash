# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # status, output and stderr are set by run
# A TAM, its policies and its devices, for tests. What is in a message is told by jq, jose and openssl.

# world rsa|ec: sets P (a PKI), K (the kind of its keys), ALG, and TAM, TEE, SP and SP2, the beginnings
# of the names of the files of mytam, mytee, xbank and ybank. Makes ta.bin.
world() {
    K=$1
    case $K in
    rsa) P=$PKI ALG=RS256 ;;
    ec) P=$PKI_EC ALG=ES256 ;;
    esac
    TAM=$P/tam/tam/tam-mytam-$K TEE=$P/tee/tee/tee-mytee-$K
    SP=$P/sp/sp/sp-xbank-$K SP2=$P/sp/sp/sp-ybank-$K
    export K P ALG TAM TEE SP SP2
    printf 'code of the TA' > ta.bin
}

# device STATE [OPTION...]: a blank one.
device() {
    otrp tee-sim init -q --state "$1" --pki "$P" "${@:2}"
}

# wants [SPID/SDNAME[/TAID]]...: policy.json, which wants exactly these on a device with trusted
# firmware. Its TAs are the raw file ta.bin, to be signed on the way.
wants() {
    printf '%s\n' "$@" | jq -Rn --arg sp "$P/sp/sp/sp-" --arg k "$K" '
        [inputs | select(. != "") | split("/")] | group_by(.[0])
        | {sps: map({spid: .[0][0], cert: "\($sp)\(.[0][0])-\($k)-cert.pem",
                     key: "\($sp)\(.[0][0])-\($k)-key.pem",
                     sds: (group_by(.[1]) | map({name: .[0][1],
                         tas: [.[] | select(.[2]) | {taid: .[2], file: "ta.bin", version: 1}]}))}),
           remove_unlisted: true, require_tfw: true}' > policy.json
}

# but FILTER: changes policy.json with jq.
but() {
    jq "$1" policy.json > changed.json
    mv changed.json policy.json
}

# stub [OPTION...]: starts mytam with policy.json.
stub() {
    start_server otrp tam-stub --pki "$P" --policy policy.json --listen 127.0.0.1:0 "$@"
}

# session STATE [OPTION...]: a whole one, with the TAM at $URL.
session() {
    run --separate-stderr otrp send --url "$URL" --tee "$@"
}

# took STEP...: the session was a success, and these were its steps.
took() {
    assert_success
    assert_equal "$output" ""
    assert_equal "$stderr" "$(printf 'otrp send: %s: pass\n' "$@")
otrp send: the session has ended"
}

# What is on the device, a line each.
holdings() {
    otrp tee-sim show --state "$1" --json | jq -r '.devices[0].sds[]
        | "\(.tamid) \(.spid)/\(.name)" as $sd | $sd, (.tas[] | "\($sd)/\(.taid)")' | sort
}

# holds STATE [TAMID SPID/SDNAME[/TAID]]...: exactly these are on the device.
holds() {
    assert_equal "$(holdings "$1")" "$(printf '%s\n' "${@:2}" | sort)"
}

# logged REGEX: a line of the server's log, behind "otrp tam-stub: ".
logged() {
    grep -Eq -- "^otrp tam-stub: $1\$" server.log || {
        cat server.log
        fail "not in the log: $1"
    }
}

# The answers to messages so far: their statuses.
statuses() {
    sed -nE 's/.*"POST \/tam" ([0-9]+) .*/\1/p' server.log | xargs
}

# ---- servers that are told what to say ----

# build_fake_tam: for setup_file: FAKE_TAM, the program of tam/fake_tam.c, and tls-key.pem and tls.pem,
# for 127.0.0.1, in the folder of the file.
build_fake_tam() {
    export FAKE_TAM=$BATS_FILE_TMPDIR/fake_tam
    compile -O2 -Wall -Wextra -Werror -o "$FAKE_TAM" "$BATS_TEST_DIRNAME/tam/fake_tam.c"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=tam \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$BATS_FILE_TMPDIR/tls-key.pem" \
        -out "$BATS_FILE_TMPDIR/tls.pem" 2> /dev/null
}

# Where nobody listens: a port that was free a moment ago may be that of another test now.
NOWHERE=http://127.0.0.1:1/tam
export NOWHERE

# fake FILE...: starts a server that answers with the bytes of these files, one after the other, and
# keeps what it was sent as request-1, request-2 and so on.
fake() {
    start_server "$FAKE_TAM" "$@"
}

# body_of N: of request N.
body_of() {
    sed '1,/^\r$/d' "request-$1"
}

# ---- sessions by hand ----

TID='[A-Za-z0-9_-]{22}'
OTRP_TYPE='application/otrp+json'

# tam BODY CURL-OPTION...: posts the file BODY; empty: starts a session.
tam() {
    local body=(-X POST)
    [ -z "$1" ] || body=(-H "Content-Type: $OTRP_TYPE" --data-binary "@$1")
    curl -s -H "Accept: $OTRP_TYPE" "${body[@]}" "${@:2}" "$URL"
}

# next ANSWER REQUEST: to ANSWER ("": to nothing) the TAM says REQUEST.
next() {
    rm -f "$2"
    run tam "$1" -o "$2" -w '%{http_code} %{content_type}'
    assert_output "200 $OTRP_TYPE"
}

# ends ANSWER: to ANSWER the TAM has nothing more to say.
ends() {
    run tam "$1" -w '%{http_code} %{size_download}'
    assert_output "204 0"
}

# disbelieved ANSWER REASON: ANSWER ends its session; the reason is in the log only.
disbelieved() {
    : > server.log
    run tam "$1" -w '%{http_code} %{size_download}'
    assert_output "400 0"
    logged "$TID refused the answer to [A-Za-z]+( [^ ]+)?( in [^ ]+)?: $2"
}

# unclaimed ANSWER: ANSWER belongs to no session.
unclaimed() {
    : > server.log
    run tam "$1" -w '%{http_code} %{size_download}'
    assert_output "400 0"
    logged '- refused: a message that belongs to no session'
}

# answers STATE REQUEST ANSWER: what the device says to REQUEST, pass.
answers() {
    otrp tee-sim process -q --force --state "$1" -o "$3" "$2"
}

# another: a session of its own, for the next forgery: sound.json is the answer to its GetDeviceState.
another() {
    next '' request.json
    answers device request.json sound.json
}

# two_sessions [OPTION...]: sets up a stub with a session that waits for waiting.json, and the sound
# answer sound.json to a GetDeviceState of another.
two_sessions() {
    wants xbank/sd-1/demo
    device device
    device bystander
    stub "$@"
    next '' request.json
    answers bystander request.json waiting.json
    another
}

# ---- looking into messages, and changing them ----

# For jq: the JWS of a message.
# shellcheck disable=SC2034
JWS='def jws: if has("GetDeviceStateResponse") then .GetDeviceStateResponse[0].GetDeviceTEEStateResponse
    else .[] end;'

payload() {
    jq -r "$JWS jws.payload" "$1" | jose b64 dec -i-
}
tbs() {
    payload "$1" | jq -c '.[]'
}

# plaintext MESSAGE KEY.jwk: of its edsi or content.
plaintext() {
    tbs "$1" | jq -c '.edsi // .content' | jose jwe dec -i- -k "$2"
}

# altered MESSAGE FILTER: its payload changed by jq, its signature left alone.
altered() {
    jq -c --arg payload "$(payload "$1" | jq -cj "$2" | jose b64 enc -I-)" "$JWS jws.payload = \$payload" "$1"
}

# resigned MESSAGE FILTER [KEY.jwk]: its payload changed by jq, signed anew by jose, for mytee.
resigned() {
    payload "$1" | jq -cj "$2" > payload.json
    jose jws sig -I payload.json -k "${3:-$TEE-key.jwk}" -s "{\"protected\":{\"alg\":\"$ALG\"}}" -o jws.json
    jq -c --slurpfile signed jws.json "$JWS jws = \$signed[0]" "$1"
}

# sealed KEY.jwk [CEK.jwk]: standard input as a JWE of jose's for KEY, in the general serialization.
sealed() {
    local alg=RSA1_5
    [ "$K" = rsa ] || alg=ECDH-ES+A128KW
    jose jwe enc -I- -i '{"protected":{"enc":"A128CBC-HS256"}}' -r "{\"header\":{\"alg\":\"$alg\"}}" -k "$1" |
        jq -c '{protected, recipients: [{header, encrypted_key}], iv, ciphertext, tag}'
}

# The BASE64 DER of a certificate.
der() {
    openssl x509 -in "$1" -outform DER | base64 -w 0
}
