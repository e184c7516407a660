#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# otrp inspect: what it finds, what it tells of it, and what it never does.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

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
