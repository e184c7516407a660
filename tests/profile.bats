#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Messages of other implementations: each foreign form taken with --lenient, named, and refused
# without; the profiles aist and thaler. The messages are put together by openssl, jose and jq.
# shellcheck disable=SC2154 # status, output and stderr are set by run
# shellcheck disable=SC2030,SC2031 # every test has variables of its own

load test_helper
load tee/helper

setup_file() {
    world rsa
    cd "$BATS_FILE_TMPDIR" || return
    printf 'code of the TA' > ta.bin
    otrp tee-sim init -q --state device --pki "$P"
    accepted request get-device-state --tid session
    accepted request create-sd --sp xbank --sdname sd-1
    dsi | jq -c . > dsi.json
    request create-sd --sp xbank --sdname sd-2 > create.json
    request install-ta --sp xbank --sdname sd-1 --taid demo --ta ta.bin > install.json
    request update-sd --spid xbank --sdname sd-1 --add-spcert "$SP2-cert.pem" \
        --del-spcert "$SP-cert.pem" --renew-aik > update.json
    request delete-sd --sdname sd-1 --delete-ta > delete.json
}

setup() {
    world rsa
    cd "$BATS_TEST_TMPDIR" || return
    cp "$BATS_FILE_TMPDIR"/{dsi,create,install,update,delete,state}.json .
}

# ---- a workshop without otrp ----

# jws_by KEY.pem PROTECTED HEADER: the flattened JWS of standard input; HEADER may be empty.
jws_by() {
    local protected payload signature
    protected=$(printf %s "$2" | base64url_encode)
    payload=$(base64url_encode)
    signature=$(printf '%s.%s' "$protected" "$payload" | openssl dgst -sha256 -sign "$1" | base64url_encode)
    printf '{"payload":"%s","protected":"%s",%s"signature":"%s"}' "$payload" "$protected" \
        "${3:+\"header\":$3,}" "$signature"
}

# named NAME: standard input as the value of that one member.
named() {
    printf '{"%s":%s}' "$1" "$(cat)"
}

RS256='{"alg":"RS256"}'

# The header of mytam: its chain.
chain() {
    printf '{"x5c":["%s","%s"]}' "$(memo der "$TAM-cert.pem")" "$(memo der "$P/tam/tam-ca/tam-ca-1-ec-cert.pem")"
}

# asked MESSAGE FILTER: its TBS changed by jq and signed by mytam, in asked.json.
asked() {
    payload "$1" | jq -c ".[] |= ($2)" | tr -d '\n' | jws_by "$TAM-key.pem" "$RS256" "$(chain)" |
        named "$(jq -r 'keys[0]' "$1")" > asked.json
}

# jwe_to KEY.jwk header|protected: the flattened JWE of standard input, with alg in that place.
jwe_to() {
    if [ "$2" = header ]; then
        jose jwe enc -I- -i '{"protected":{"enc":"A128CBC-HS256"}}' -r '{"header":{"alg":"RSA1_5"}}' -k "$1"
    else
        jose jwe enc -I- -i '{"protected":{"alg":"RSA1_5","enc":"A128CBC-HS256"}}' -k "$1"
    fi
}

# answered FILTER [JWE-FILTER [JWS-HEADER [PROTECTED]]]: an answer to GetDeviceState, in answer.json:
# the TBS changed by FILTER, which may use $sealed, the DSI in dsi.json sealed for mytam and changed
# by JWE-FILTER.
answered() {
    named dsi < dsi.json > plain.json
    jwe_to "$TAM-pub.jwk" header < plain.json | jq -c "${2:-$general}" > sealed.json
    jq -cn --slurpfile sealed sealed.json '{GetDeviceTEEStateTBSResponse:
        ({ver: "1.0", status: "pass", rid: "r", tid: "session", signerreq: true, edsi: $sealed[0]} | '"${1:-.}"')}' |
        tr -d '\n' | jws_by "$TEE-key.pem" "${4:-$RS256}" "${3:-}" | named GetDeviceTEEStateResponse |
        jq -c '{GetDeviceStateResponse: [.]}' > answer.json
}

# finished NAME CONTENT [FILTER]: an answer NAMEResponse with that plaintext, in answer.json.
finished() {
    printf %s "$2" | jwe_to "$TAM-pub.jwk" header | jq -c "$general" > sealed.json
    jq -cn --slurpfile sealed sealed.json --arg name "$1TBSResponse" '{($name):
        ({ver: "1.0", status: "pass", rid: "r", tid: "session", content: $sealed[0]} | '"${3:-.}"')}' |
        tr -d '\n' | jws_by "$TEE-key.pem" "$RS256" '' | named "$1Response" > answer.json
}

# ---- verdicts ----

by_tam() {
    otrp verify --key "$TAM-cert.pem" "$@"
}
by_chain() {
    otrp verify --trust "$P/tam/tam-rootca" --no-revocation "$@"
}
by_tee() {
    otrp verify --trust "$P/tee/tee-rootca" --tam-key "$TAM-key.pem" "$@"
}
by_tee_key() {
    otrp verify --key "$TEE-cert.pem" --tam-key "$TAM-key.pem" "$@"
}

# deviates COMMAND FILE FORM PATH...: strict reading refuses FILE; lenient reading takes it and names
# these deviations, in any order, and no other.
deviates() {
    local command=$1 file=$2 expected
    shift 2
    run "$command" "$file"
    [ "$status" -ne 0 ] || fail "taken without --lenient: $*"
    refuses_strictly "$status"
    named_leniently "$command" "$file" "$@"
}

# Whatever is foreign, strict reading calls malformed, untrusted or unreadable, never an internal error.
refuses_strictly() {
    case $1 in 3 | 4 | 5 | 6) ;; *) fail "exit code $1: $output" ;; esac
}

# What inspect calls each form that lenient reading takes.
declare -gA CALLED=(
    [boolean-text]='a Boolean as a string' [list-text]='one string instead of an array'
    [icaocspdat]='an older name of ocspdat' [tsmid]='an older name of tamid' [old-name]='an older name of cipher*'
    [base64url]='base64url instead of *' [hex]='hexadecimal instead of BASE64'
    [base64]='BASE64 instead of hexadecimal' [sigalg-base64]='a BASE64 sigalg instead of RS256 or ES256'
    [rid-integer]='a number instead of a string' [count-integer]='a number instead of a string'
    [rid-missing]='missing' [dsi-text]='a string instead of an object' [reason-text]='a string instead of an object'
    [spaik-numbers]='spaik as exponent and modulus' [key-bare]='the wrapped key alone instead of a JWE'
    [signer]='a signer in the header instead of x5c' [kid]='a kid in the header'
    [x5c-protected]='x5c stands in the protected header'
    [x5c-text]='one string instead of an array of certificates'
    [x5c-base64url]='a certificate that is not standard BASE64 of DER'
    [x5c-answer]='a response shows the device'\''s certificate to everyone'
    [quotes]='quotes other than "' [jwe-flattened]='a flattened JWE instead of the general serialisation'
    [jwe-alg]='alg stands in the protected header' [jwe-object]='edsi.protected: *, not a string'
    [jwe-space]='edsi.protected: *' [ta-list]='an older name of talist')

# inspected FILE FORM: inspect tells of it, too.
inspected() {
    local what pattern=${CALLED[$2]}
    while read -r what; do
        # shellcheck disable=SC2053 # a pattern
        [[ $what != $pattern ]] || return 0
    done < <(otrp inspect --json --key "$TAM-key.pem" --key "$TEE-key.pem" "$1" | jq -r '.items[].deviations[].what')
    fail "inspect has no word for $2: $(otrp inspect --json --key "$TAM-key.pem" --key "$TEE-key.pem" "$1" | jq -c ".items[].deviations")"
}

named_leniently() {
    local command=$1 file=$2 expected i
    shift 2
    for ((i = 1; i < $#; i += 2)); do
        inspected "$file" "${!i}"
    done
    run --separate-stderr "$command" --lenient --json "$file"
    [ "$status" -eq 0 ] || fail "$* is refused: $(jq -r .reason <<< "$output")"
    expected=$(printf '%s %s\n' "$@" | sort)
    assert_equal "$(jq -r '.deviations[] | .form + " " + .path' <<< "$output" | sort)" "$expected"
    assert_equal "$(jq -c '[.deviations[] | keys] | unique' <<< "$output")" '[["form","path","rule","title"]]'
}

# ---- the forms ----

@test "each form that lenient reading takes is one that inspect has a word for" {
    local group
    # up to TA_LIST, the last of the group
    group=$(sed -nE 's/^ *FORM\([A-Z0-9_]+, "([a-z0-9-]+)".*/\1/p' "$ROOT/src/otrp/foreign.h" | sed '/^ta-list$/q' | sort)
    assert_equal "$(printf '%s\n' "${!CALLED[@]}" | sort)" "$group"
}

@test "lenient: forms of the members of a request" {
    local tbs=CreateSDTBSRequest filter
    while IFS='|' read -r form path filter; do
        asked create.json "$filter"
        deviates by_tam asked.json "$form" "$tbs$path"
    done << 'END'
boolean-text|.nextdsi|.nextdsi = "true"
boolean-text|.nextdsi|.nextdsi = " false "
boolean-text|.nextdsi|.nextdsi = "1"
boolean-text|.nextdsi|.nextdsi = "0\n"
list-text|.supportedsigalgs|.supportedsigalgs = "RS256"
list-text|.ocspdat|.ocspdat = .ocspdat[0]
icaocspdat|.icaocspdat|.icaocspdat = .ocspdat | del(.ocspdat)
base64url|.dsihash|.dsihash = "k-_kNbu51hJ7tREPFW9lY2S2u8Hwi_zCC5-VTVKB0Xs"
rid-integer|.rid|.rid = 7
rid-missing||del(.rid)
END
    # hexadecimal looks like BASE64 until its bytes are counted
    # shellcheck disable=SC2317 # called by deviates
    by_state() {
        by_tam --device plain.json "$@"
    }
    named dsi < dsi.json > plain.json
    asked create.json ".dsihash = \"$(openssl sha256 -r plain.json | cut -d' ' -f1)\""
    deviates by_state asked.json hex CreateSDTBSRequest.dsihash
    # what is no form stays what it is
    for filter in '.nextdsi = "yes"' '.nextdsi = 1' '.nextdsi = "truefalse"' '.tee = 7' '.rid = 7.5' \
        '.dsihash = "93efe435bbb9d612!"' '.icaocspdat = []' '.tsmid = "x"' 'del(.dsihash)' '.rid = -7'; do
        asked create.json "$filter"
        run by_tam --lenient asked.json
        assert_equal "$filter: $status" "$filter: 6"
    done
}

@test "lenient: forms of encrypted_ta" {
    local tbs=InstallTATBSRequest.encrypted_ta
    while IFS='|' read -r form path filter; do
        asked install.json ".encrypted_ta |= ($filter)"
        deviates by_tam asked.json "$form" "$tbs$path"
    done << 'END'
base64|.iv|.iv = "AAECAwQFBgcICQoLDA0ODw=="
base64url|.iv|.iv = "-_ECAwQFBgcICQoLDA0ODw"
base64url|.ciphertadata|.ciphertadata = "-_ECAwQFBgcICQoLDA0ODw"
old-name|.cipherdata|.cipherdata = .ciphertadata | del(.ciphertadata)
old-name|.encrypted_ta_bin|.encrypted_ta_bin = .ciphertadata | del(.ciphertadata)
old-name|.encrypted_ta_data|.encrypted_ta_data = "AAAA"
key-bare|.key|.key = "AAECAwQFBgcICQoLDA0ODw=="
END
    # two names of one member are two members of one name
    asked install.json '.encrypted_ta |= (.cipherdata = "AAAA" | .encrypted_ta_bin = .ciphertadata | del(.ciphertadata))'
    run by_tam --lenient asked.json
    assert_failure 6
    assert_output --partial '"ciphertadata" stands twice'
}

@test "lenient: forms of the content of a request, which the TEE's key opens" {
    # told MESSAGE FILTER NOTE: make-response says of the content, changed by jq, what it read
    told() {
        local text
        text=$(plaintext "$1" "$TEE-key.jwk" | jq -c "$2")
        sealed "$1" "$text" > changed.json
        run --separate-stderr otrp make-response --pki "$P" --no-dsi --request changed.json -o answer.json --force
        assert_regex "$stderr" 'a TEE refuses this request with ERR_REQUEST_INVALID: content'
        run --separate-stderr otrp make-response --lenient --pki "$P" --no-dsi --request changed.json -o answer.json --force
        assert_success
        assert_equal "$stderr" "otrp make-response: note: $3"
    }
    told delete.json '.deleteta = "true"' 'content.deleteta: a Boolean as a string (OTrP messages)'
    told delete.json '.tsmid = .tamid | del(.tamid)' 'content.tsmid: tsmid for tamid (OTrP messages)'
    told update.json '.changes.spcert = .changes.spcert[0]' \
        'content.changes.spcert: one string where a list of strings stands (OTrP messages)'
    told create.json '.spcert |= (gsub("\\+"; "-") | gsub("/"; "_") | gsub("="; "") | sub("^MI"; "M-"))' \
        'content.spcert: base64url where BASE64 or hex stands (RFC 4648 section 4)'
    told update.json '.changes.deloldspcert[0] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="' \
        'content.changes.deloldspcert[0]: BASE64 where hexadecimal stands (RFC 4648 section 8)'
    told update.json '.changes.renewteespaik = "1"' \
        'content.changes.renewteespaik: a Boolean as a string (OTrP messages)'
}

@test "lenient: where the signer's certificate may be" {
    local url first
    first=$(memo der "$TAM-cert.pem")
    url=$(tr -d = <<< "$first" | tr '+/' '-_')
    local ca url_ca
    ca=$(memo der "$P/tam/tam-ca/tam-ca-1-ec-cert.pem")
    url_ca=$(tr -d = <<< "$ca" | tr '+/' '-_')
    # with PROTECTED HEADER: the request so signed
    with() {
        payload create.json | jws_by "$TAM-key.pem" "$1" "$2" | named CreateSDRequest > asked.json
    }
    with "{\"alg\":\"RS256\",\"x5c\":[\"$first\",\"$ca\"]}" ''
    deviates by_chain asked.json x5c-protected CreateSDRequest.protected.x5c
    with "$RS256" "{\"x5c\":[\"$url\",\"$url_ca\"]}"
    deviates by_chain asked.json x5c-base64url CreateSDRequest.header.x5c
    with "$RS256" "{\"x5c\":[\"$(openssl x509 -in "$TAM-cert.pem" -outform DER | hex)\",\"$ca\"]}"
    deviates by_chain asked.json x5c-base64url CreateSDRequest.header.x5c
    with "$RS256" "{\"signer\":\"$url\"}"
    # shellcheck disable=SC2317 # called by deviates
    by_root() {
        otrp verify --trust one-root.pem --no-revocation "$@"
    }
    # a TAM right below its root, so that one certificate is a chain
    new_cert only "$P/tam/tam-rootca/tam-rootca-ec" \
        $'keyUsage=critical,digitalSignature,keyEncipherment\nsubjectAltName=DNS:mytam' -newkey rsa:2048
    cp "$P/tam/tam-rootca/tam-rootca-ec-cert.pem" one-root.pem
    local TAM=only
    with "$RS256" "{\"x5c\":\"$(der only-cert.pem)\"}"
    deviates by_root asked.json x5c-text CreateSDRequest.header.x5c
    with "$RS256" "{\"signer\":\"$(openssl x509 -in only-cert.pem -outform DER | base64url_encode)\"}"
    deviates by_root asked.json signer CreateSDRequest.header.signer
    # the chain is judged as ever: another root does not do
    run otrp verify --lenient --no-revocation --trust "$P/tee/tee-rootca" asked.json
    assert_failure 4
    # kid names a key, and is no certificate
    with '{"alg":"RS256"}' '{"kid":"mytam"}'
    run otrp verify --lenient --no-revocation --trust one-root.pem asked.json
    assert_failure 6
    assert_output --partial 'x5c: missing'
    run --separate-stderr otrp verify --lenient --key only-cert.pem --json asked.json
    assert_equal "$(jq -c '[.verified, .deviations[].form]' <<< "$output")" '[true,"kid"]'
}

@test "lenient: typographic quotes in a protected header; what is signed is what was sent" {
    payload create.json | jws_by "$TAM-key.pem" '{“alg”:”RS256„}' "$(chain)" | named CreateSDRequest > asked.json
    run by_chain --lenient asked.json # „ is a low quote, which belongs there, too
    assert_success
    deviates by_chain asked.json quotes CreateSDRequest.protected
    # the header as it should have been has another signature
    jq -c ".[].protected = \"$(printf %s "$RS256" | base64url_encode)\"" asked.json > changed.json
    run by_chain --lenient changed.json
    assert_failure 3
}

@test "lenient: forms of a JWE, in an answer that mytam opens" {
    answered . .
    deviates by_tee answer.json jwe-flattened edsi
    answered . "$general | .protected = {enc: \"A128CBC-HS256\"}"
    deviates by_tee answer.json jwe-object edsi.protected
    answered . "$general | .protected |= .[:7] + \"\\n \" + .[7:] + \" \""
    deviates by_tee answer.json jwe-space edsi.protected
    # alg in the protected header is taken strictly as well, in the general serialisation
    named dsi < dsi.json | jwe_to "$TAM-pub.jwk" protected | jq -c . > sealed.json
    jq -cn --slurpfile sealed sealed.json '{GetDeviceTEEStateTBSResponse: {ver: "1.0", status: "pass",
        rid: "r", tid: "session", signerreq: true, edsi: $sealed[0]}}' | tr -d '\n' |
        jws_by "$TEE-key.pem" "$RS256" '' | named GetDeviceTEEStateResponse |
        jq -c '{GetDeviceStateResponse: [.]}' > answer.json
    deviates by_tee answer.json jwe-flattened edsi jwe-alg edsi.protected.alg
}

@test "lenient: forms of an answer and of the device state in it" {
    local cert
    # rewritten FILTER FORM PATH...: the DSI changed by jq
    rewritten() {
        local filter=$1
        shift
        jq -c "$filter" "$BATS_FILE_TMPDIR/dsi.json" > dsi.json
        answered
        deviates by_tee answer.json "$@"
    }
    local url='gsub("\\+"; "-") | gsub("/"; "_") | gsub("="; "")'
    cert=$(openssl x509 -in "$TEE-cert.pem" -outform DER | hex)
    rewritten ".tee.cert |= ($url)" base64url edsi.dsi.tee.cert
    rewritten ".tee.cert = \"$cert\"" hex edsi.dsi.tee.cert
    rewritten '.tee.cacert |= .[0]' list-text edsi.dsi.tee.cacert
    # of sigalg, strict reading asks no more than that it is a name
    jq -c '.tfwdata.sigalg |= @base64' "$BATS_FILE_TMPDIR/dsi.json" > dsi.json
    answered
    named_leniently by_tee answer.json sigalg-base64 edsi.dsi.tfwdata.sigalg
    rewritten '.tee.sdlist.cnt |= tonumber' count-integer edsi.dsi.tee.sdlist.cnt
    rewritten '.tee.sdlist.sd[0] |= (.ta_list = .talist | del(.talist))' \
        ta-list 'edsi.dsi.tee.sdlist.sd[0].ta_list'
    # exponent and modulus of the AIK, told by openssl
    jq -r '.tee.teeaiklist[0].spaik' "$BATS_FILE_TMPDIR/dsi.json" | base64 -d |
        openssl rsa -RSAPublicKey_in -inform DER -modulus -noout | cut -d= -f2 | xxd -r -p > modulus.bin
    rewritten ".tee.teeaiklist[0].spaik = {e: \"AQAB\", n: \"$(base64url_encode < modulus.bin)\"}" \
        spaik-numbers 'edsi.dsi.tee.teeaiklist[0].spaik'
    rewritten ".tee.teeaiklist[0].spaik = [\"AQAB\", \"$(base64 -w 0 < modulus.bin)\"]" \
        spaik-numbers 'edsi.dsi.tee.teeaiklist[0].spaik'
    rewritten ".tee.teeaiklist[0].spaik = {exponent: \"AQAB\", modulus: \"$(base64 -w 0 < modulus.bin)\"}" \
        spaik-numbers 'edsi.dsi.tee.teeaiklist[0].spaik'

    cp "$BATS_FILE_TMPDIR/dsi.json" .
    answered '.signerreq = "true"'
    deviates by_tee answer.json boolean-text GetDeviceTEEStateTBSResponse.signerreq
    answered '.rid = 12'
    deviates by_tee answer.json rid-integer GetDeviceTEEStateTBSResponse.rid
    # a certificate is ignored in strict reading, and told of in lenient
    answered . "$general" "{\"signer\":\"x\",\"x5c\":[\"$(memo der "$TEE-cert.pem")\"]}"
    run by_tee answer.json
    assert_success
    named_leniently by_tee answer.json x5c-answer GetDeviceStateResponse.header.x5c
}

@test "lenient: dsi and reason as strings; such a DSI hashes to what was sent" {
    local did
    did=$(memo did "$TEE-cert.pem")
    finished DeleteSD "$(named dsi < dsi.json | jq -c --arg did "$did" '{did: $did, dsi: tojson}')"
    deviates by_tee answer.json dsi-text content.dsi
    finished DeleteSD "$(jq -c --arg did "$did" '{did: $did, dsi: tojson}' dsi.json)"
    deviates by_tee answer.json dsi-text content.dsi
    # shellcheck disable=SC2317 # called by deviates
    by_state() {
        otrp verify --device state.json --tam-key "$TAM-key.pem" "$@"
    }
    finished DeleteSD "{\"did\":\"$did\",\"reason\":\"ERR_SD_NOT_FOUND\"}" '.status = "fail"'
    deviates by_state answer.json reason-text content.reason
    finished DeleteSD "{\"did\":\"$did\",\"reason\":\"{\\\"error-code\\\":\\\"ERR_SD_NOT_FOUND\\\"}\"}" '.status = "fail"'
    deviates by_state answer.json reason-text content.reason
    run --separate-stderr by_state --lenient answer.json
    assert_regex "$stderr" 'good: DeleteSDResponse, fail ERR_SD_NOT_FOUND'

    # hashed as received: white space, order of members and the string form count
    named dsi < dsi.json | jq . > spread.txt
    finished DeleteSD "$(jq -Rsc --arg did "$did" '{did: $did, dsi: .}' spread.txt)"
    otrp make-request delete-sd --lenient -q --pki "$P" --device answer.json --sdname sd-1 > next.json
    assert_equal "$(tbs next.json | jq -r .dsihash)" "$(openssl sha256 -binary spread.txt | base64)"
    jq -c '.tee.sdlist.cnt |= tonumber' "$BATS_FILE_TMPDIR/dsi.json" > dsi.json
    answered
    otrp make-request delete-sd --lenient -q --pki "$P" --device answer.json --sdname sd-1 > next.json
    assert_equal "$(tbs next.json | jq -r .dsihash)" "$(openssl sha256 -binary plain.json | base64)"
}

@test "lenient: deviations stand in --explain and on standard error, and not in a strict report" {
    asked create.json '.nextdsi = "1" | .rid = 5'
    run --separate-stderr by_tam --lenient --explain asked.json
    assert_success
    assert_regex "$stderr" $'deviation +CreateSDTBSRequest\.nextdsi: a Boolean as a string \(OTrP messages\)\n'
    assert_regex "$stderr" 'good: CreateSDRequest, rid 5, '
    run --separate-stderr by_tam --lenient asked.json
    assert_regex "$stderr" 'note: CreateSDTBSRequest\.rid: rid as a number'
    run --separate-stderr by_tam --lenient -q asked.json
    assert_equal "$status:$stderr" "0:"
    run --separate-stderr by_tam --json create.json
    assert_equal "$(jq 'has("deviations")' <<< "$output")" false
    run --separate-stderr by_tam --lenient --json create.json
    assert_equal "$(jq -c .deviations <<< "$output")" '[]'
}

@test "nothing relaxes duplicates, algorithms, signatures and tags" {
    local how name
    asked create.json '.nextdsi = "1"'
    for how in --lenient '--profile aist' '--profile thaler' '--profile aist --lenient'; do
        # shellcheck disable=SC2086
        refused_with() {
            run otrp verify $how "${@:2}"
            assert_equal "$how: $status" "$how: $1"
        }
        flip_last_byte_of '.[].signature' < asked.json > broken.json
        refused_with 3 --key "$TAM-cert.pem" broken.json
        for name in none HS256 RS1 RS384; do
            payload create.json | jws_by "$TAM-key.pem" "{\"alg\":\"$name\"}" "$(chain)" |
                named CreateSDRequest > broken.json
            refused_with 3 --key "$TAM-cert.pem" broken.json
        done
        payload create.json | sed 's/"nextdsi":/"nextdsi":"1","nextdsi":/' |
            jws_by "$TAM-key.pem" "$RS256" "$(chain)" | named CreateSDRequest > broken.json
        refused_with 6 --key "$TAM-cert.pem" broken.json
        answered '.edsi.tag = "AAAAAAAAAAAAAAAAAAAAAA"'
        refused_with 5 --key "$TEE-cert.pem" --tam-key "$TAM-key.pem" answer.json
        answered '.edsi.recipients[0].header.alg = "RSA-OAEP"'
        refused_with 5 --key "$TEE-cert.pem" --tam-key "$TAM-key.pem" answer.json
    done
}

# ---- profiles ----

# belongs PROFILE COMMAND FILE: PROFILE takes it; without, or with another one, it is refused.
belongs() {
    local other
    run --separate-stderr "$2" --profile "$1" --json "$3"
    [ "$status" -eq 0 ] || fail "$1: $(jq -r .reason <<< "$output")"
    run "$2" "$3"
    [ "$status" -ne 0 ] || fail "taken without a profile: $3"
    for other in ietf aist thaler; do
        [ "$other" != "$1" ] || continue
        run "$2" --profile "$other" "$3"
        [ "$status" -ne 0 ] || fail "taken by $other: $3"
    done
}

# from_aist NAME TBS: a message of its TAM; by_aist: of its agent.
from_aist() {
    printf %s "{\"$1TBSRequest\":$2}" | jws_by "$TAM-key.pem" '{"alg":"RS256","kid":"tam"}' '' | named "$1Request"
}
by_aist() {
    printf %s "{\"$1TBSResponse\":$2}" | jws_by "$TEE-key.pem" "$RS256" '' | named "$1Response"
}

@test "aist: requests as its TAM makes them" {
    from_aist GetDeviceState '{"ver":"1.0","tid":"1","ocspdat":["c2FtcGxlIG9jc3BkYXQgQjY0IGVuY29kZWQgQVNOMQ=="]}' > gds.json
    belongs aist by_tam gds.json
    run --separate-stderr by_tam --profile aist --json gds.json
    assert_equal "$(jq -r '.checks[] | select(.verdict == "waived") | .check' <<< "$output" | xargs)" \
        "revocation replay dsihash sd"
    local package wrapped
    package=$(printf 'code' | jws_by "$SP-key.pem" "$RS256" '')
    wrapped=$(printf %s "$package" | jwe_to "$TEE-pub.jwk" protected | jq -c .)
    from_aist InstallTA '{"ver":"1.0","rid":2,"tid":"1","tee":"aist-otrp","nextdsi":false,"content":{},"encrypted_ta":'"$wrapped}" > install.json
    belongs aist by_tam install.json
    run --separate-stderr by_tam --profile aist --json install.json
    assert_equal "$(jq -r '.deviations[].form' <<< "$output" | sort | xargs)" "kid no-content rid-integer ta-jwe"
    local content
    content=$(printf '{"tamid":"id1.TAMxyz.com","taid":"8d82573a"}' | jwe_to "$TEE-pub.jwk" protected | jq -c '.header.jwk = {kty: "RSA"}')
    from_aist DeleteTA '{"ver":"1.0","rid":3,"tid":"1","tee":"aist-otrp","nextdsi":false,"content":'"$content}" > delete.json
    belongs aist by_tam delete.json
    # without its key there is nobody to believe
    run otrp verify --profile aist --trust "$P/tam/tam-rootca" gds.json
    assert_failure 6
    assert_output --partial 'x5c: missing'
}

@test "aist: answers as its agent makes them" {
    local sealed dsi='{"dsi":{"tee":{"name":"aist-otrp","ver":"1.0","sdlist":{"cnt":1,"sd":[{"ta_list":[{"taid":"8d82573a","taname":"sp-hello-ta-1"}]}]}}}}'
    sealed=$(printf %s "$dsi" | jwe_to "$TAM-pub.jwk" protected | jq -c .)
    printf %s '{"GetDeviceTEEStateTBSResponse":{"ver":"1.0","status":"pass","rid":"1","tid":"1","signerreq":false,"edsi":'"$sealed}}" |
        jws_by "$TEE-key.pem" "$RS256" '' | named GetDeviceTEEStateResponse | jq -c '{GetDeviceStateResponse: [.]}' > state.json
    belongs aist by_tee_key state.json
    run --separate-stderr by_tee_key --profile aist --json state.json
    assert_equal "$(jq -r '.deviations[].form' <<< "$output" | sort | xargs)" \
        "count-integer jwe-alg jwe-flattened ta-list"
    by_aist InstallTA '{"ver":"1.0","status":"pass","rid":"1","tid":"1","content":'"$sealed}" > answer.json
    belongs aist by_tee_key answer.json
    # its rid is always "1", its tid is compared
    otrp make-request get-device-state --profile aist --pki "$P" --rid 9 > gds.json
    run by_tee_key --profile aist --request gds.json state.json
    assert_success
    otrp make-request get-device-state --profile aist --pki "$P" --rid 9 --tid 2 > gds.json
    run by_tee_key --profile aist --request gds.json state.json
    assert_failure 4
    assert_output --partial 'tid: "1", the session has "2"'
    # a TEE without a certificate is known by its pinned key alone
    run by_tee --profile aist state.json
    assert_failure 4
}

@test "thaler: requests as its TAM makes them" {
    local url content
    url=$(openssl x509 -in "$TAM-cert.pem" -outform DER | base64url_encode)
    local header="{\"x5c\":[\"$url\"]}"
    printf %s '{"GetDeviceStateTBSRequest":{"ver":"1.0","rid":"q83vASNFZ4mrze8BI0VniQ","tid":"ASNFZ4mrze8BI0VniavN7w","ocspdat":[]}}' |
        jws_by "$TAM-key.pem" "$RS256" "$header" | named GetDeviceStateRequest > gds.json
    # with its key pinned, x5c is not looked at: nothing is foreign to anyone then
    run by_tam --profile thaler gds.json
    assert_success
    run otrp verify --trust "$P/tam/tam-rootca" gds.json
    assert_failure 6
    # a profile pins a key, it does not make up for a chain
    run otrp verify --profile thaler --trust "$P/tam/tam-rootca" gds.json
    assert_failure 4
    # nor does a CA alone, which no root vouches for; both together are what x5c leaves out
    run otrp verify --profile thaler --trust "$P/tam/tam-ca" gds.json
    assert_failure 4
    run otrp verify --profile thaler --trust "$P/tam/tam-ca" --trust "$P/tam/tam-rootca" gds.json
    assert_success
    cat "$P"/tam/tam-ca/*-cert.pem "$P"/tam/tam-rootca/*-cert.pem > bundle.pem
    run otrp verify --profile thaler --trust bundle.pem gds.json
    assert_success
    content=$(printf '{"tamid":"<TAM ID previously assigned to the SD>","spid":"<SPID value>","sdname":"<SD name for the domain to install the TA>","taid":"38b08738"}' |
        jwe_to "$TEE-pub.jwk" header | jq -c .)
    printf %s '{"InstallTATBSRequest":{"ver":"1.0","rid":"a","tid":"b","ocspdat":[],"tee":"Intel SGX","nextdsi":false,"dsihash":"k-_kNbu51hJ7tREPFW9lY2S2u8Hwi_zCC5-VTVKB0Xs","content":'"$content"',"encrypted_ta":{}}}' |
        jws_by "$TAM-key.pem" "$RS256" "$header" | named InstallTARequest > install.json
    belongs thaler by_tam install.json
    run --separate-stderr by_tam --profile thaler --json install.json
    assert_equal "$(jq -r '.deviations[].form' <<< "$output" | sort | xargs)" \
        "base64url jwe-flattened ta-empty x5c-base64url"
    assert_equal "$(jq -r '.checks[] | select(.verdict == "waived") | .check' <<< "$output" | xargs)" "revocation tamid"
}

@test "thaler: answers as its agent makes them" {
    local url sealed dsi
    url=$(openssl x509 -in "$TEE-cert.pem" -outform DER | base64url_encode)
    dsi='{"dsi": {"tfwdata": {"tbs": "<TFW to be signed data is the tid>", "cert": "<BASE64 encoded TFW certificate>", "sigalg": "Signing method", "sig": "<TFW signed data, BASE64 encoded>"}, "tee": {"name": "Intel SGX", "ver": "<TEE version>", "cert": "'$url'", "cacert": [], "teeaiklist": [{}], "talist": [], "requestedtalist": [{"taid": "38b08738"}]}}}'
    sealed=$(printf %s "$dsi" | jwe_to "$TAM-pub.jwk" header | jq -c .)
    printf %s '{"GetDeviceTEEStateTBSResponse":{"ver":"1.0","status":"pass","rid":"a","tid":"b","signerreq":"true","edsi":'"$sealed}}" |
        jws_by "$TEE-key.pem" "$RS256" '' | named GetDeviceTEEStateResponse | jq -c '{GetDeviceStateResponse: [.]}' > state.json
    belongs thaler by_tee_key state.json
    run --separate-stderr by_tee_key --profile thaler --json state.json
    assert_equal "$(jq -r '.deviations[].form' <<< "$output" | sort | xargs)" \
        "base64url boolean-text jwe-flattened placeholder placeholder"
    local content
    content=$(jq -cn --arg dsi "$dsi" '{did: "<the device id hash>", dsi: $dsi}' | jwe_to "$TAM-pub.jwk" header | jq -c .)
    printf %s '{"InstallTATBSResponse":{"ver":"1.0","status":"pass","rid":"a","tid":"b","content":'"$content}}" |
        jws_by "$TEE-key.pem" "$RS256" '' | named InstallTAResponse > answer.json
    belongs thaler by_tee_key answer.json
    # what its TAM asks next bears the hash of what it got, in base64url
    otrp make-request install-ta --profile thaler -q --pki "$P" --device state.json --tee-cert "$TEE-cert.pem" \
        --taid 38b08738 > next.json
    assert_equal "$(tbs next.json | jq -r .dsihash)" "$(printf %s "$dsi" | openssl sha256 -binary | base64url_encode)"
    # in ours, the CEK of the answer is that of the request
    otrp make-request install-ta --profile thaler -q --pki "$P" --device state.json --tee-cert "$TEE-cert.pem" \
        --taid 38b08738 --rid a --tid b > next.json
    run by_tee_key --profile thaler --request next.json answer.json
    assert_success
}

@test "make-request --profile aist has the shape of its TAM's messages" {
    otrp make-request get-device-state --profile aist --pki "$P" > gds.json
    assert_equal "$(jq -c '[.[] | keys]' gds.json)" '[["payload","protected","signature"]]'
    assert_equal "$(member protected gds.json | jose b64 dec -i- | jq -c '[keys, .alg]')" '[["alg","kid"],"RS256"]'
    assert_equal "$(tbs gds.json | jq -cS 'del(.ocspdat)')" '{"tid":"1","ver":"1.0"}'
    assert_equal "$(tbs gds.json | jq -r '.ocspdat[]' | base64 -d)" 'sample ocspdat B64 encoded ASN1'
    signed_by "$TAM-cert.pem" gds.json

    otrp make-request install-ta --profile aist --pki "$P" --device state.json --rid 2 --sp xbank --taid demo \
        --aik "$TEE-cert.pem" --ta "$BATS_FILE_TMPDIR/ta.bin" > install.json
    assert_equal "$(tbs install.json | jq -cS 'del(.encrypted_ta)')" \
        '{"content":{},"nextdsi":true,"rid":2,"tee":"mytee","tid":"1","ver":"1.0"}'
    tbs install.json | jq -c .encrypted_ta > ta.json
    assert_equal "$(jq -c keys ta.json)" '["ciphertext","encrypted_key","iv","protected","tag"]'
    assert_equal "$(jq -r .protected ta.json | jose b64 dec -i- | jq -cS .)" '{"alg":"RSA1_5","enc":"A128CBC-HS256"}'
    jose jwe dec -i ta.json -k "$TEE-key.jwk" > package.json
    jose b64 dec -i- <<< "$(jq -j .payload package.json)" | cmp - "$BATS_FILE_TMPDIR/ta.bin"
    signed_by "$TAM-cert.pem" install.json

    otrp make-request delete-ta --profile aist --pki "$P" --device state.json --taid demo > delete.json
    assert_equal "$(tbs delete.json | jq -c '[keys, (.rid | type)]')" \
        '[["content","nextdsi","rid","tee","tid","ver"],"number"]'
    assert_equal "$(plaintext delete.json "$TEE-key.jwk" | jq -cS .)" '{"taid":"demo","tamid":"mytam"}'
    assert_equal "$(tbs delete.json | jq -c '.content | [keys, (.protected | @base64d)]' 2> /dev/null | jq -c '.[0]')" \
        '["ciphertext","encrypted_key","iv","protected","tag"]'
    run otrp make-request get-device-state --profile aist --pki "$P" --rid abc
    assert_failure 2
    assert_output --partial 'no whole number'
    for file in gds install delete; do
        run by_tam --profile aist "$file.json"
        assert_success
    done
}

@test "make-request --profile thaler has the shape of its TAM's messages" {
    otrp make-request get-device-state --profile thaler --pki "$P" > gds.json
    assert_equal "$(jq -r '.[].header.x5c[]' gds.json)" "$(openssl x509 -in "$TAM-cert.pem" -outform DER | base64url_encode)"
    assert_equal "$(tbs gds.json | jq -c '[keys, .ocspdat]')" '[["ocspdat","rid","tid","ver"],[]]'
    otrp make-request install-ta --profile thaler --pki "$P" --device state.json --taid demo > install.json
    assert_equal "$(tbs install.json | jq -c '[keys, .encrypted_ta, .ocspdat]')" \
        '[["content","dsihash","encrypted_ta","nextdsi","ocspdat","rid","tee","tid","ver"],{},[]]'
    assert_regex "$(tbs install.json | jq -r .dsihash)" '^[A-Za-z0-9_-]{43}$'
    assert_equal "$(plaintext install.json "$TEE-key.jwk" | jq -cS .)" \
        '{"sdname":"<SD name for the domain to install the TA>","spid":"<SPID value>","taid":"demo","tamid":"mytam"}'
    assert_equal "$(tbs install.json | jq -c '.content | [keys, .header]')" \
        '[["ciphertext","encrypted_key","header","iv","protected","tag"],{"alg":"RSA1_5"}]'
    signed_by "$TAM-cert.pem" install.json
    assert_equal "$(wc -c < install.json | awk '{print ($1 <= 4096)}')" 1
    run otrp make-request install-ta --profile thaler --pki "$P" --device state.json --sp xbank --taid demo \
        --ta "$BATS_FILE_TMPDIR/ta.bin"
    assert_failure 2
    assert_output --partial 'carry no TA'
    run --separate-stderr otrp make-request install-ta --profile thaler --pki "$P" --device state.json \
        --taid "$(printf '%0200d' 0)" --spid "$(printf '%0255d' 0)" --sdname "$(printf '%0255d' 0)" -o long.json
    assert_success
    run by_tam --profile thaler install.json
    assert_success
}

@test "make-response --profile has the shape of their agents' answers" {
    named dsi < dsi.json > plain.json
    otrp make-request get-device-state --profile aist --pki "$P" > gds.json
    otrp make-response --profile aist -q --pki "$P" --tam-cert "$TAM-cert.pem" --device plain.json --request gds.json > answer.json
    payload() {
        jws "$1" | jq -j .payload | jose b64 dec -i-
    }
    assert_equal "$(payload answer.json | jq -cS '.[] | del(.edsi)')" \
        '{"rid":"1","signerreq":false,"status":"pass","tid":"1","ver":"1.0"}'
    plaintext answer.json "$TAM-key.jwk" > state.txt
    assert_equal "$(jq -cS '.dsi.tee.sdlist' state.txt)" '{"cnt":1,"sd":[{"name":"sd-1","spid":"xbank","ta_list":[]}]}'
    run otrp verify --profile aist --key "$TEE-cert.pem" --tam-key "$TAM-key.pem" --request gds.json answer.json
    assert_success

    otrp make-request get-device-state --profile thaler --pki "$P" > gds.json
    otrp make-response --profile thaler -q --pki "$P" --tam-cert "$TAM-cert.pem" --device plain.json --request gds.json > answer.json
    assert_equal "$(payload answer.json | jq -c '.[].signerreq')" '"true"'
    plaintext answer.json "$TAM-key.jwk" > state.txt
    assert_equal "$(jq -c '.dsi.tee | [has("sdlist"), .talist, .requestedtalist]' state.txt)" '[false,[],[]]'
    assert_equal "$(jq -r '.dsi.tee.cert' state.txt)" "$(openssl x509 -in "$TEE-cert.pem" -outform DER | base64url_encode)"
    otrp make-request install-ta --profile thaler --pki "$P" -q --device answer.json --taid demo > install.json
    otrp make-response --profile thaler -q --pki "$P" --tam-cert "$TAM-cert.pem" --request install.json > answer.json
    plaintext answer.json "$TAM-key.jwk" > content.json
    assert_equal "$(jq -c '[.dsi | type, (fromjson | keys)]' content.json)" '["string",["dsi"]]'
    run otrp verify --profile thaler --key "$TEE-cert.pem" --tam-key "$TAM-key.pem" --request install.json answer.json
    assert_success
}

@test "each form and profile of the tables stands in otrp-messages(7)" {
    mandoc -Tutf8 -O width=1000 "$ROOT/man/otrp-messages.7" 2> /dev/null | sed 's/.\x08//g' > page.txt
    tr '\n' ' ' < "$ROOT/src/otrp/foreign.h" | sed 's/\\ / /g' | grep -oE 'FORM\([A-Z0-9_]+, +"[^)]*"\)' > forms.txt
    [ "$(wc -l < forms.txt)" -gt 30 ]
    local name
    while IFS= read -r name; do
        grep -qE "^ +$name( |\$)" page.txt || fail "$name is not in the page"
    done < <(sed -E 's/^FORM\([A-Z0-9_]+, +"([^"]+)".*/\1/' forms.txt)
    for name in ietf aist thaler; do
        grep -qE "^ +$name( |\$)" page.txt || fail "$name is not in the page"
    done
}

@test "the device state may be foreign when a request is verified with --key" {
    jq -c '.tee.cert |= (gsub("\\+"; "-") | gsub("/"; "_") | gsub("="; ""))' "$BATS_FILE_TMPDIR/dsi.json" > dsi.json
    answered
    otrp make-request delete-sd --lenient -q --pki "$P" --device answer.json --sdname sd-1 > next.json
    run otrp verify --lenient --key "$TAM-cert.pem" --tam-key "$TAM-key.pem" --device answer.json next.json
    assert_success
    run otrp verify --key "$TAM-cert.pem" --tam-key "$TAM-key.pem" --device answer.json next.json
    assert_failure 6
}
