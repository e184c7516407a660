#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tam-stub --scenario: explicit steps, expected outcomes, reports.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell; stderr is set by run --separate-stderr

load test_helper
load tam/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    world ec
    device device
}

# play FILE OPTION...: a TAM that walks a session through FILE, and the device that asks it. Sets RC, the
# exit code of the TAM; its report is in report.
play() {
    start_server otrp tam-stub --pki "$P" --scenario "$1" --listen 127.0.0.1:0 "${@:2}"
    run --separate-stderr otrp send --url "$URL" --tee device
    RC=0
    await_server || RC=$?
    cat <&"$SERVER_OUT" > report
}

# steps JSON...: scenario.json
steps() {
    printf '%s\n' "$@" | jq -s '{steps: .}' > scenario.json
}

GDS='{"request": "get-device-state"}'
create() {
    jq -nc --arg c "$SP-cert.pem" --arg n "$1" '{request: "create-sd", spid: "xbank", sdname: $n, spcert: $c}'
}

# The samples with this world's keys.
sample() {
    mkdir -p pki/sp samples
    cp -r "$ROOT/samples/scenarios" "$ROOT/samples/ta" samples
    cp -r "$P/sp/sp" pki/sp/sp
    sed -i "s/-rsa-/-$K-/g" samples/scenarios/*.json
}

@test "the samples go as they say: the life of a TA" {
    sample
    play samples/scenarios/lifecycle.json --report tap
    assert_equal "$RC" 0
    assert_equal "$(head -n 2 report)" 'TAP version 13
1..11'
    assert_equal "$(grep -c '^ok ' report)" 11
    assert_equal "$(sed -n 5p report)" 'ok 3 - create-sd xbank/payments (expects ERR_SD_ALREADY_EXIST): an SD is made once'
    holds device
}

@test "the samples go as they say: what a TEE must refuse" {
    sample
    play samples/scenarios/refusals.json --report json
    assert_equal "$RC" 0
    assert_equal "$(jq -r '.passed, (.steps | length), ([.steps[].passed] | all)' report | xargs)" 'true 14 true'
    assert_equal "$(jq -r '.steps[].found' report | sort | uniq -c | sort -k2 | awk '{ print $2 ":" $1 }' | xargs)" \
        'ERR_DEV_STATE_MISMATCH:1 ERR_REQUEST_INVALID:4 ERR_TAM_NOT_AUTHORIZED:1 ERR_TAM_NOT_TRUSTED:2 ERR_TA_INVALID:2 ERR_UNSUPPORTED_CRYPTO_ALG:1 pass:3'
}

@test "a step that goes otherwise than expected is exit code 9, and the others go on" {
    steps "$GDS" "$(create sd-1 | jq -c '.expect = "ERR_SPCERT_INVALID"')" "$(create sd-2)"
    play scenario.json --report tap
    assert_equal "$RC" 9
    assert_equal "$(< report)" 'TAP version 13
1..3
ok 1 - get-device-state
not ok 2 - create-sd xbank/sd-1 (expects ERR_SPCERT_INVALID)
  ---
  expected: "ERR_SPCERT_INVALID"
  found: "pass"
  ...
ok 3 - create-sd xbank/sd-2'
    holds device 'mytam xbank/sd-1' 'mytam xbank/sd-2'
    logged 'error: the scenario went otherwise than expected: 1 of 3 steps'
}

@test "without a report, and with -q, standard error names each step that went otherwise" {
    steps "$GDS" "$(create sd-1 | jq -c '.expect = "ERR_SPCERT_INVALID"')" \
        "$(create sd-1 | jq -c '.name = "once more"')" "$(create sd-2)"
    play scenario.json -q
    assert_equal "$RC" 9
    assert_equal "$(< report)" ""
    assert_equal "$(sed -E 's/(SD_ALREADY_EXIST: ).+/\1WHY/' server.log)" \
        'otrp tam-stub: warning: step 2, create-sd xbank/sd-1 (expects ERR_SPCERT_INVALID): expected ERR_SPCERT_INVALID, found pass
otrp tam-stub: warning: step 3, create-sd xbank/sd-1: once more: expected pass, found ERR_SD_ALREADY_EXIST: WHY
otrp tam-stub: error: the scenario went otherwise than expected: 2 of 4 steps'
}

@test "standard error names the first step that was not reached, and counts those behind it" {
    steps "$GDS" "$GDS" "$GDS"
    start_server otrp tam-stub -q --pki "$P" --scenario scenario.json --listen 127.0.0.1:0
    next '' request.json
    answers device request.json answer.json
    next answer.json request.json
    RC=0
    stop_server || RC=$?
    assert_equal "$RC" 9
    assert_equal "$(< server.log)" 'otrp tam-stub: warning: step 2, get-device-state: expected pass, found not reached
otrp tam-stub: error: the scenario went otherwise than expected: 2 of 3 steps'
}

@test "junit: one suite, a case a step, failures with what was expected and found" {
    steps "$GDS" "$(create 'a<b>&"c' | jq -c '.expect = "ERR_TEE_FAIL" | .name = "odd"')"
    jq '.name = "x & y"' scenario.json > named.json
    play named.json --report junit:report.xml
    assert_equal "$RC" 9
    assert_equal "$(< report)" ""
    sed -E 's/ time="[0-9.]+"/ time=""/g' report.xml > shown
    assert_equal "$(< shown)" '<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="x &#38; y" tests="2" failures="1" errors="0" skipped="0" time="">
  <testcase classname="otrp.scenario" name="get-device-state" time=""/>
  <testcase classname="otrp.scenario" name="create-sd xbank/a&#60;b&#62;&#38;&#34;c (expects ERR_TEE_FAIL): odd" time="">
    <failure message="expected ERR_TEE_FAIL, found pass"/>
  </testcase>
</testsuite>'
}

@test "junit: a scenario that never ran is an error, not all skipped" {
    steps "$GDS" "$(create sd-1)" "$(create sd-2)"
    start_server otrp tam-stub --pki "$P" --scenario scenario.json --listen 127.0.0.1:0 --report junit
    RC=0
    stop_server || RC=$?
    cat <&"$SERVER_OUT" > report.xml
    xmllint --noout report.xml
    assert_equal "$(xmllint --xpath 'concat(/*/@tests, " ", /*/@failures, " ", /*/@errors, " ", /*/@skipped)' report.xml)" \
        '3 0 1 2'
    assert_equal "$(xmllint --xpath 'concat(count(//error), " ", count(//skipped))' report.xml)" '1 2'
    assert_equal "$(xmllint --xpath 'string(//testcase[1]/error/@message)' report.xml)" \
        'expected pass, found not reached'
}

@test "an answer that is not believed is the outcome refused, and ends the session" {
    steps "$GDS" '{"request": "get-device-state", "expect": "refused"}' "$GDS"
    start_server otrp tam-stub --pki "$P" --scenario scenario.json --listen 127.0.0.1:0 --report json
    next '' request.json
    answers device request.json answer.json
    next answer.json request.json
    answers device request.json answer.json
    resigned answer.json '.[].rid = "another"' > forged.json
    run tam forged.json -w '%{http_code}'
    assert_output 400
    RC=0
    await_server || RC=$?
    assert_equal "$RC" 9
    cat <&"$SERVER_OUT" > report
    assert_equal "$(jq -c '[.steps[] | [.found, .passed]]' report)" '[["pass",true],["refused",true],[null,false]]'
}

@test "a device that does not answer in time is the outcome none" {
    steps '{"request": "get-device-state", "expect": "none"}'
    start_server otrp tam-stub --pki "$P" --scenario scenario.json --listen 127.0.0.1:0 --report json --session-timeout 1
    next '' request.json
    RC=0
    await_server || RC=$?
    assert_equal "$RC" 0
    cat <&"$SERVER_OUT" > report
    assert_equal "$(jq -r '.passed, .steps[0].found' report | xargs)" 'true none'
}

@test "a step that cannot be made is an error, not a pass" {
    printf code > ta.bin
    steps "$GDS" "$(jq -nc --arg k "$SP-key.pem" \
        '{request: "install-ta", spid: "xbank", sdname: "sd-1", taid: "demo", ta: "ta.bin", sp_key: $k}')"
    play scenario.json --report json
    assert_equal "$RC" 9
    assert_equal "$(jq -r '.steps[1].found' report)" error
    assert_regex "$(jq -r '.steps[1].reason' report)" \
        'InstallTA demo in xbank/sd-1 cannot be made: the device state has no AIK of SP "xbank"'
}

@test "a run is for one session; the next one is told that there is nothing to say" {
    steps "$GDS" "$GDS"
    start_server otrp tam-stub --pki "$P" --scenario scenario.json --listen 127.0.0.1:0
    next '' request.json
    run tam '' -w '%{http_code}'
    assert_output 204
    logged '- refused: the scenario is for one session'
}

@test "SIGTERM in the middle: what was not reached is in the report" {
    steps "$GDS" "$GDS"
    start_server otrp tam-stub --pki "$P" --scenario scenario.json --listen 127.0.0.1:0 --report tap
    next '' request.json
    answers device request.json answer.json
    next answer.json request.json
    RC=0
    stop_server || RC=$?
    assert_equal "$RC" 9
    cat <&"$SERVER_OUT" > report
    assert_equal "$(sed -n '3,7p' report)" 'ok 1 - get-device-state
not ok 2 - get-device-state
  ---
  expected: "pass"
  found: "not reached"'
}

@test "set and unset reach the TBS and the content" {
    steps "$GDS" "$(create sd-1 | jq -c '.set = {"content.sdname": "sd-9", "nextdsi": false}')" "$GDS" \
        "$(create sd-2 | jq -c '.unset = ["content.did"] | .expect = "ERR_REQUEST_INVALID"')" \
        "$(create sd-2 | jq -c '.unset = ["tee"] | .expect = "fail"')"
    play scenario.json --report tap
    assert_equal "$RC" 0
    holds device 'mytam xbank/sd-9'
}

# mistake FILTER MESSAGE
mistake() {
    steps "$GDS" "$(create sd-1)"
    jq "$1" scenario.json > changed.json
    run --separate-stderr otrp tam-stub --pki "$P" --scenario changed.json --listen 127.0.0.1:0
    assert_equal "$stderr" "otrp tam-stub: error: changed.json: $2"
    assert_equal "$status" "${3:-6}"
    assert_equal "$output" ""
}

@test "mistakes in a scenario are told with their place" {
    mistake '.step = []' 'step: unknown member'
    mistake '.steps = []' 'steps: there is none'
    mistake '.steps[1] = 7' 'steps[1]: not an object'
    mistake '.steps[1].request = "make-sd"' 'steps[1].request: none of get-device-state, create-sd, update-sd, delete-sd, install-ta, update-ta, delete-ta'
    mistake 'del(.steps[1].request)' 'steps[1].request: missing'
    mistake '.steps[1].expect = "ERR_FOO"' 'steps[1].expect: neither pass, fail, none, refused nor an error code'
    mistake '.steps[1].sdnam = "x"' 'steps[1].sdnam: unknown member'
    mistake '.steps[1].spcert = "none.pem"' 'steps[1].spcert: ./none.pem: cannot open: No such file or directory' 2
    mistake '.steps[1].set = []' 'steps[1].set: not an object'
    mistake '.steps[1].unset = [1]' 'steps[1].unset[0]: not a string'
    mistake '.steps[1].delete_ta = 1' 'steps[1].delete_ta: neither true nor false'
    mistake '.steps[1].version = -1' 'steps[1].version: not a whole number from 0 to 9223372036854775807'
    mistake '.steps[1].break = [1]' 'steps[1].break[0]: not a string'
}

@test "what no device could make up for is told before anything is served" {
    local needs='needs the state of the device: no get-device-state that is to pass comes before it'
    mistake 'del(.steps[0])' "steps[0].request: $needs"
    mistake '.steps[0].expect = "ERR_TEE_FAIL"' "steps[1].request: $needs"
    mistake 'del(.steps[1].spcert)' 'steps[1]: CreateSD: its content needs spcert'
    mistake '.steps[1] = {"request": "install-ta", "spid": "x", "sdname": "s", "taid": "t"}' 'steps[1].ta: missing'
    mistake '.steps[0].set = {"content.did": "x"}' 'steps[0].set.content.did: the request has no content'
    mistake '.steps[0].unset = ["rid", "content.did"]' 'steps[0].unset[1]: the request has no content'
}

@test "what a profile has no use for need not be there" {
    steps "$GDS" '{"request": "delete-ta", "taid": "demo"}' "$GDS"
    start_server otrp tam-stub --pki "$P" --scenario scenario.json --listen 127.0.0.1:0 --profile aist \
        --tee-key "$TEE-cert.pem"
    run --separate-stderr otrp tam-stub --pki "$P" --scenario scenario.json --listen 127.0.0.1:0
    assert_equal "$status" 6
    assert_equal "$stderr" 'otrp tam-stub: error: scenario.json: steps[1]: DeleteTA: its content needs sdname'
}

@test "a mutation must fit the request" {
    steps "$GDS" "$(create sd-1 | jq -c '.break = "ta-unsigned"')"
    run --separate-stderr otrp tam-stub --pki "$P" --scenario scenario.json --listen 127.0.0.1:0
    assert_equal "$status" 2
    assert_regex "$stderr" 'scenario.json: steps\[1\]\.break: .*ta-unsigned'
}

@test "options that do not go together" {
    steps "$GDS"
    run --separate-stderr otrp tam-stub --pki "$P" --scenario scenario.json --policy policy.json
    assert_equal "$status" 2
    run --separate-stderr otrp tam-stub --pki "$P" --report tap
    assert_equal "$status" 2
    assert_equal "$stderr" 'otrp tam-stub: error: --report is for a --scenario'
    run --separate-stderr otrp tam-stub --pki "$P" --scenario scenario.json --report xml
    assert_equal "$status" 2
    assert_regex "$stderr" "'xml' is no format: choose from tap, junit, json"
    run --separate-stderr otrp tam-stub --pki "$P" --scenario scenario.json --fault silence --fault signature
    assert_equal "$status" 2
    assert_regex "$stderr" 'error: --fault: a scenario says itself which of its requests are wrong'
    : > there
    run --separate-stderr otrp tam-stub --pki "$P" --scenario scenario.json --report tap:there --listen 127.0.0.1:0
    assert_equal "$status" 2
    assert_equal "$output" ""
    assert_regex "$stderr" 'there: exists already'
}
