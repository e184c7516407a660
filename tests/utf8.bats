#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Names that are not UTF-8, and texts that are cut within a character, spoil no report.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$PKI_EC" pki
    EURO=$(printf '\xe2\x82\xac')
}

# times COUNT TEXT
times() {
    printf "%0$1d" 0 | sed "s/0/$2/g"
}

# The code that an error in JSON has.
told() {
    run --separate-stderr otrp "$@"
    assert_equal "$(jq -r '.error.exit' <<< "$stderr")" "$status"
    jq -e '.error.message | length > 0' <<< "$stderr"
}

# foreign FILE: an answer whose algorithm has a name of many characters of three bytes.
foreign() {
    jq --arg header "$(printf '{"alg":"%s"}' "$(times 20 "$EURO")" | base64url_encode)" \
        'walk(if type == "object" and has("protected") and has("payload") then .protected = $header else . end)' "$1"
}

@test "an error about a path that is not UTF-8 is whole in JSON" {
    told verify --json $'no\xffsuch'
    assert_regex "$(jq -r .error.message <<< "$stderr")" 'no\\xffsuch: cannot open'
    told pki-check --json --pki $'no\xffsuch'
    local i
    for i in '' x xx; do
        told inspect --json "nowhere/$i$(times 600 "$EURO")"
    done
}

@test "pki-check --json finds a file whose name is not UTF-8" {
    touch "$(printf 'pki/tee/tee/x\xffy')"
    run --separate-stderr otrp pki-check --pki pki --json
    assert_equal "$status" 9
    assert_equal "$(jq -r '.findings[] | select(.kind == "stranger") | .path' <<< "$output")" 'pki/tee/tee/x\xffy'
}

@test "verify --json reports an answer that names an algorithm of long characters" {
    otrp tee-sim init -q --state device --pki pki
    otrp make-request get-device-state --pki pki -o request.json
    otrp tee-sim process -q --state device -o answer.json request.json
    foreign answer.json > foreign.json
    run --separate-stderr otrp verify --json --trust pki/tee/tee-rootca \
        --tam-key pki/tam/tam/tam-mytam-ec-key.pem foreign.json
    assert_equal "$status" 3
    assert_equal "$(jq -c '[.verified, .exit]' <<< "$output")" '[false,3]'
    jq -e 'any(.checks[]; .verdict == "failed" and (.reason | contains("€€€")))' <<< "$output"
}

@test "a scenario's reports are whole where a device sends such an answer" {
    otrp tee-sim init -q --state device --pki pki
    echo '{"name": "s", "steps": [{"request": "get-device-state", "expect": "pass"}]}' > scenario.json
    local form
    for form in json junit tap; do
        start_server otrp tam-stub --pki pki --listen 127.0.0.1:0 --scenario scenario.json --report "$form:report" --once
        curl -s -X POST -H 'Accept: application/otrp+json' -o request.json "$URL"
        otrp tee-sim process -q --state device --force -o answer.json request.json
        foreign answer.json > foreign.json
        curl -s -X POST -H 'Content-Type: application/otrp+json' --data-binary @foreign.json -o /dev/null "$URL"
        stop_server || true
        iconv -f UTF-8 -t UTF-8 report > again
        cmp report again
        grep -q 'signature algorithm' report
        mv report "report.$form"
    done
    jq -e '.passed == false and (.steps | length) == 1' report.json
}
