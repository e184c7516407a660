# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # status, output and stderr are set by run
# Messages and devices for tests. What is in a message is told by jq, jose and openssl, never by otrp.

# world rsa|ec: sets P (a PKI), K (the kind of its keys), and TAM, OTHER, TEE, TFW, SP and SP2, the
# beginnings of the names of the files of mytam, othertam, mytee, its firmware, xbank and ybank.
world() {
    K=$1
    case $K in rsa) P=$PKI ;; ec) P=$PKI_EC ;; esac
    TAM=$P/tam/tam/tam-mytam-$K OTHER=$P/tam/tam/tam-othertam-$K
    TEE=$P/tee/tee/tee-mytee-$K TFW=$P/tfw/tfw/tfw-mytee-$K
    SP=$P/sp/sp/sp-xbank-$K SP2=$P/sp/sp/sp-ybank-$K
    export K P TAM OTHER TEE TFW SP SP2
}

# furnish: makes, in the folders $BATS_FILE_TMPDIR/rsa and .../ec, the devices that tests copy:
#   blank    nothing has happened yet
#   asked    mytam has sent GetDeviceState                                 (answer in asked.json)
#   filled   mytam owns SD sd-1 of xbank with the TA demo, version 2       (answer in filled.json)
furnish() {
    local kind
    for kind in rsa ec; do
        world $kind
        mkdir "$BATS_FILE_TMPDIR/$kind"
        cd "$BATS_FILE_TMPDIR/$kind" || return
        printf 'code of the TA, marker-of-the-code' > ta.bin
        printf 'data of the TA, marker-of-the-data' > pdata.bin
        otrp tee-sim init -q --state device --pki "$P"
        cp -r device blank
        accepted request get-device-state --tid session-1
        cp -r device asked
        cp state.json asked.json
        accepted request create-sd --sp xbank --sdname sd-1
        accepted request install-ta --sp xbank --sdname sd-1 --taid demo --taname 'Demo' --taver 2 \
            --ta ta.bin --pdata pdata.bin
        mv given.json installed.json
        mv device filled
        mv state.json filled.json
    done
}

# take blank|asked|filled [rsa|ec]: such a device in the folder "device", and what its TAM knows of it
# in state.json.
take() {
    world "${2:-rsa}"
    rm -rf device state.json
    cp -r "$BATS_FILE_TMPDIR/$K/$1" device
    [ "$1" = blank ] || cp "$BATS_FILE_TMPDIR/$K/$1.json" state.json
    cp "$BATS_FILE_TMPDIR/$K/"{ta,pdata}.bin .
}

# request TYPE OPTION...: a request that fits what the TAM knows.
request() {
    local device=()
    [ "$1" = get-device-state ] || device=(--device "${KNOWN:-state.json}")
    otrp make-request "$1" --pki "$P" --tam "${ASKER:-mytam}" "${device[@]}" "${@:2}"
}

# as_other COMMAND...: with othertam for mytam, which knows what is in other.json.
as_other() {
    local ASKER=othertam KNOWN=other.json
    "$@"
}

# The key of the TAM that asks.
asker_key() {
    echo "$P/tam/tam/tam-${ASKER:-mytam}-$K-key.jwk"
}

# process ARGUMENT...: gives the device a request: sets status and stderr, writes answer.json.
process() {
    run --separate-stderr otrp tee-sim process --state device "$@"
    printf '%s' "$output" > answer.json
}

# given FILE, given COMMAND...: that file, or what the command writes, is now given.json.
given() {
    if [ $# -gt 1 ]; then
        "$@" > given.json
    elif [ "$1" != given.json ]; then
        cp "$1" given.json
    fi
}

# accepted COMMAND...: the device carries out what COMMAND writes (or the file that is its one
# argument). Its answer is in answer.json, the plaintext of that in content.json; when it holds a
# DSI, it becomes state.json.
accepted() {
    given "$@"
    process ${NOW:+--now "$NOW"} given.json
    assert_success
    unpack answer.json
    signature_is "$TEE-cert.pem" signed.bin signature.bin
    jq -c '.[] | ([.ver, .status] | join(" ")), (.edsi // .content)' payload.json > parts.txt
    assert_equal "$(head -n 1 parts.txt)" '"1.0 pass"'
    tail -n 1 parts.txt | jose jwe dec -i- -k "$(asker_key)" > content.json
    if grep -q '"dsi":' content.json; then
        cp answer.json "${KNOWN:-state.json}"
    fi
}

# refused CODE tbs|content COMMAND...: the device answers what COMMAND writes with CODE, in that part
# of an answer that it has signed, and holds what it held before. NOW is its time. The reason is in
# reason.json.
refused() {
    local code=$1 where=$2 parts did
    shift 2
    given "$@"
    otrp tee-sim show --state device --json > before.json
    process ${NOW:+--now "$NOW"} given.json
    assert_equal "$status $code" "8 $code"
    assert_regex "$stderr" ": $code: "
    unpack answer.json
    signature_is "$TEE-cert.pem" signed.bin signature.bin
    otrp tee-sim show --state device --json > after.json
    # shellcheck disable=SC2016
    jq -c --arg tam "${ASKER:-mytam}" --slurpfile before before.json --slurpfile after after.json '
        def requests: [.tams[] | select(.tamid == $tam) | .requests] | add // 0;
        ([$before[0], $after[0]] | map(.devices[0])
            | (map({sds, aiks}) | .[0] == .[1]), (map(requests) | .[1] - .[0])),
        (.[] | keys - ["supportedsigalgs"], .ver, .status, .reason, .content)' payload.json > parts.txt
    mapfile -t parts < parts.txt
    assert_equal "unchanged: ${parts[0]}" "unchanged: true"
    GROWN=${parts[1]}
    assert_equal "${parts[3]} ${parts[4]}" '"1.0" "fail"'
    case $where in
    tbs)
        assert_equal "${parts[2]}" '["reason","rid","status","tid","ver"]'
        echo "${parts[5]}" > reason.json
        ;;
    content)
        assert_equal "${parts[2]}" '["content","rid","status","tid","ver"]'
        jose jwe dec -i- -k "$(asker_key)" <<< "${parts[6]}" > content.json
        did=$(memo did "$TEE-cert.pem")
        assert_regex "$(cat content.json)" "^\{\"did\":\"${did//+/\\+}\",\"reason\":\{.*\}\}\$"
        did=$(< content.json)
        did=${did#*\"reason\":}
        echo "${did%\}}" > reason.json
        ;;
    esac
    assert_regex "$(cat reason.json)" "^\{\"error-code\":\"$code\",\"error-message\":\"[a-z][^\"]*\"\}\$"
}

# recorded yes|no ARGUMENT...: as refused; the device has (not) written the request down.
recorded() {
    local expected=0
    [ "$1" = no ] || expected=1
    refused "${@:2}"
    assert_equal "written down: $GROWN" "written down: $expected"
}

# unanswered COMMAND...: there is no answer to what COMMAND writes, and SAID says why.
unanswered() {
    local before
    given "$@"
    before=$(otrp tee-sim show --state device --json)
    process given.json
    assert_equal "$status" 6
    assert_equal "$output" ""
    assert_regex "$stderr" "^otrp tee-sim process: .*${SAID-no request of OTrP}"
    assert_equal "$(otrp tee-sim show --state device --json)" "$before"
}

# What the device holds, and how many requests of a TAM it has written down.
holdings() {
    otrp tee-sim show --state device --json | jq -cS '.devices[0] | {sds, aiks}'
}
requests() {
    otrp tee-sim show --state device --json |
        jq --arg tam "$1" '[.devices[0].tams[] | select(.tamid == $tam) | .requests] | add // 0'
}

# ---- looking into messages ----

# unpack MESSAGE: writes payload.json, signature.bin, and signed.bin, which that is the signature of.
unpack() {
    member protected "$1" > signed.bin
    printf . >> signed.bin
    member payload "$1" >> signed.bin
    payload "$1" > payload.json
    member signature "$1" | jose b64 dec -i- > signature.bin
}

# member NAME MESSAGE: the value of a member of its JWS, when the message has no white space (jq takes
# long to start).
member() {
    local text
    text=$(< "$2")
    text=${text#*\""$1"\":\"}
    printf %s "${text%%\"*}"
}

# The JWS of a message, its payload, the members of its TBS.
jws() {
    jq -c '.[] | if type == "array" then .[0][] else . end' "$1"
}
payload() {
    member payload "$1" | jose b64 dec -i-
}
tbs() {
    payload "$1" | jq -c '.[]'
}

# plaintext MESSAGE KEY.jwk: of its edsi or content.
plaintext() {
    payload "$1" | jq -c '.[] | .edsi // .content' | jose jwe dec -i- -k "$2"
}

# The DSI in an answer; without its name, in the answer to what was accepted.
dsi() {
    if [ $# -eq 0 ]; then
        jq -c .dsi content.json
    else
        plaintext "$1" "$(asker_key)" | jq -c .dsi
    fi
}

# The BASE64 DER of a certificate; of its SHA-256, the did; that in hexadecimal.
der() {
    openssl x509 -in "$1" -outform DER | base64 -w 0
}
did() {
    openssl x509 -in "$1" -outform DER | openssl sha256 -binary | base64
}
sha256_hex() {
    openssl x509 -in "$1" -outform DER | openssl sha256 -r | cut -d' ' -f1
}
public_key() {
    openssl x509 -in "$1" -noout -pubkey
}

# memo COMMAND FILE: what that writes, the second time from memory.
memo() {
    local kept=$BATS_FILE_TMPDIR/$1${2//\//_}
    [ -e "$kept" ] || { "$1" "$2" > "$kept.$BASHPID" && mv "$kept.$BASHPID" "$kept"; }
    cat "$kept"
}

# signed_by CERT MESSAGE: openssl says that the key of CERT has signed it.
signed_by() {
    unpack "$2"
    signature_is "$1" signed.bin signature.bin
}

# signature_is CERT DATA SIGNATURE: RS256, or ES256 as R || S.
signature_is() {
    local signature=$3
    memo public_key "$1" > signer.pem
    if grep -q ^MFkwEwYHKoZIzj0C signer.pem; then
        der_of_ecdsa "$3" > signature.der
        signature=signature.der
    fi
    run openssl dgst -sha256 -verify signer.pem -signature "$signature" "$2"
    assert_output "Verified OK"
}

# The DER form of an ECDSA signature that is R || S.
der_of_ecdsa() {
    assert_equal "$(wc -c < "$1")" 64
    local hex
    hex=$(xxd -p -c 64 "$1")
    openssl asn1parse -genconf <(
        printf 'asn1=SEQUENCE:pair\n[pair]\nr=INTEGER:0x%s\ns=INTEGER:0x%s\n' "${hex:0:64}" "${hex:64}"
    ) -noout -out /dev/stdout
}

# ---- changing messages ----

# resign MESSAGE FILTER [OPTION...]: MESSAGE with its payload changed by jq, signed anew by mytam.
resign() {
    local name
    name=$(cut -d'"' -f 2 "$1")
    payload "$1" | jq -cj "$2" | otrp sign --key "$TAM-key.pem" \
        --cert "$TAM-cert-plus-intermediate-cert.pem" --message "$name" "${@:3}"
}

# A flattened JWE in the general serialisation.
general='{protected, recipients: [{header, encrypted_key}], iv, ciphertext, tag}'

# sealed MESSAGE TEXT: MESSAGE with TEXT as the plaintext of its content, encrypted by jose.
sealed() {
    local alg=RSA1_5
    [ "$K" = rsa ] || alg=ECDH-ES+A128KW
    printf '%s' "$2" | jose jwe enc -I- -i '{"protected":{"enc":"A128CBC-HS256"}}' \
        -r "{\"header\":{\"alg\":\"$alg\"}}" -k "$TEE-pub.jwk" -o flattened.json
    resign "$1" ".[].content = $(jq -c "$general" flattened.json)"
}

# new_cert NAME ISSUER [EXTENSIONS] [REQ OPTION...]: a P-256 key NAME-key.pem and a certificate
# NAME-cert.pem, issued by ISSUER-cert.pem, which need not be entitled to it. EXTENSIONS are lines for
# openssl; the default is a TAM's.
new_cert() {
    local name=$1 issuer=$2
    local extensions=${3:-$'keyUsage=critical,digitalSignature,keyAgreement\nsubjectAltName=DNS:mytam'}
    shift $(($# < 3 ? $# : 3))
    [ $# -gt 0 ] || set -- -newkey ec -pkeyopt ec_paramgen_curve:P-256
    openssl req -new "$@" -nodes -keyout "$name-key.pem" -subj "/O=Test/CN=$name" -out "$name.csr" 2> req.log
    openssl x509 -req -in "$name.csr" -CA "$issuer-cert.pem" -CAkey "$issuer-key.pem" -days 30 \
        -set_serial "0x$(openssl rand -hex 8)" -extfile <(cat <<< "$extensions") -out "$name-cert.pem" \
        2> x509.log
}

# Bytes in hexadecimal, on one line.
hex() {
    xxd -p | tr -d '\n'
}
