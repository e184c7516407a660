# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of otrp inspect share: the messages of samples/messages, which are of the time NOW.

SAMPLES=$ROOT/samples/messages
NOW=2026-11-21T10:00:00Z
export SAMPLES NOW

inspect() {
    otrp inspect --now "$NOW" "$@"
}

# report FILTER [OPTION...] [FILE]: what jq makes of the report.
report() {
    inspect --json "${@:2}" > report.json || return
    jq -cr "$1" report.json
}

# Verdicts as lines "signature: right"; deviations as lines "path: what (section)".
# shellcheck disable=SC2034 # the tests use it
VERDICTS='.items[].verdicts[] | "\(.check): \(.verdict)"'
# shellcheck disable=SC2034
DEVIATIONS='.items[].deviations[] | "\(.path): \(.what) (\(.section))"'

# value PATH: of the first row of that path in report.json.
value() {
    jq -r --arg path "$1" '[.items[].layers[].rows[] | select(.path == $path)][0].value' report.json
}

# The JWS of a message.
jws_of() {
    jq -c '.[] | if type == "array" then .[0][] else . end' "$1"
}

# wrapped WIDTH: base64url on standard input in lines of that width, indented as in a mail.
in_mail() {
    printf 'From: tam@example.org\nSubject: it does not work\n\nHello, the device got\n\n'
    fold -w 70 | sed 's/^/> /'
    printf '\n\nand says nothing.\n'
}

# signed NAME FILTER [PROTECTED [HEADER]]: a message of that name by hand: jq makes the payload of
# nothing, jose signs it with the key $SIGNER.
signed() {
    jq -cn "$2" > "$1.tbs"
    jose jws sig -I "$1.tbs" -k "$SIGNER" -o "$1.jws" \
        -s "{\"protected\":${3:-{\"alg\":\"RS256\"\}}${4:+,\"header\":$4}}"
    jq -c "{\"$1\": .}" "$1.jws"
}

# sealed TEXT KEY [PROTECTED [HEADER]]: TEXT as a flattened JWE by jose; general: as a general one.
sealed() {
    printf %s "$1" | jose jwe enc -I- -k "$2" -i "{\"protected\":${3:-{\"enc\":\"A128CBC-HS256\"\}}}" \
        -r "{\"header\":${4:-{\"alg\":\"RSA1_5\"\}}}"
}
general() {
    jq -c '{protected, recipients: [{header, encrypted_key}], iv, ciphertext, tag}'
}
