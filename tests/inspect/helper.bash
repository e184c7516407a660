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

# shellcheck disable=SC2034 # of the tests
# Verdicts as lines "signature: right"; deviations as lines "path: what (section)".
verdicts='.items[].verdicts[] | "\(.check): \(.verdict)"'
# shellcheck disable=SC2034
deviations='.items[].deviations[] | "\(.path): \(.what) (\(.section))"'

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
