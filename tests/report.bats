#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Every report in JSON has the members that its manual page says, no more and no fewer.
# shellcheck disable=SC2016,SC2154 # a command for another shell; stderr is set by run --separate-stderr

load test_helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$PKI" pki
    TAM_KEY=pki/tam/tam/tam-mytam-rsa-key.pem
}

# page FILE SECTION: the lines of a section (.Sh) or subsection (.Ss) of a manual page, unescaped.
page() {
    awk -v name="$2" '/^\.S[hs] / { inside = substr($0, 5) == name } inside' "$ROOT/man/$1" | sed 's/\\-/-/g'
}

# The members that a page names in its lists and examples.
documented() {
    sed -nE -e 's/^\.It (Li )?([a-z_0-9]+( , [a-z_0-9]+)*)$/\2/p' <<< "$1" | sed 's/ , /\n/g'
    grep -oE '"[a-z_0-9]+":' <<< "$1" | tr -d '":'
}

# The members of the objects on standard input.
members() {
    jq -r '.. | objects | keys[]' | sort -u
}

# same_members FILE SECTION: as page. The objects are on standard input.
same_members() {
    run diff <(documented "$(page "$1" "$2")" | sort -u) <(members)
    assert_success
}

# Runs a command that fails; its standard output goes to the file out, standard error to err.
fails() {
    ! otrp "$@" > out 2> err
}

@test "errors" {
    otrp make-request get-device-state --pki pki -o gds.json
    local chain=pki/tam/tam/tam-mytam-rsa-cert-plus-intermediate-cert.pem
    otrp sign --key "$TAM_KEY" --cert "$chain" -o jws.json <<< payload
    fails verify -q --trust pki/tam/tam-rootca --json jws.json
    cat err > errors
    fails verify -q --trust pki/tam/tam-rootca --no-such --json gds.json
    cat err >> errors
    same_members otrp-report.5 Errors < errors
    assert_equal "$(jq -cs '[.[].error | .exit, .class]' errors)" '[4,"untrusted",2,"usage"]'
}

@test "verify" {
    otrp make-request get-device-state --pki pki -o gds.json
    otrp make-request get-device-state --pki pki --profile thaler -o thaler.json
    otrp make-request get-device-state --pki pki --unset ocspdat -o none.json
    {
        otrp verify -q --trust pki/tam/tam-rootca --json gds.json
        ! otrp verify -q --trust pki/tam/tam-rootca --json none.json 2> err
        otrp verify -q --trust pki/tam/tam-rootca --json --profile thaler --no-revocation thaler.json || true
    } > reports
    same_members otrp-report.5 verify < reports
    assert_equal "$(jq -cs 'map(.verified)[:2]' reports)" '[true,false]'
}

@test "tee-sim show" {
    echo bytes > ta.bin
    otrp tee-sim init -q --state device --pki pki
    otrp make-request get-device-state --pki pki | otrp tee-sim process -q --state device -o state.json
    otrp make-request create-sd --pki pki -d state.json --sp xbank --sdname s |
        otrp tee-sim process -q --state device -o created.json
    otrp make-request install-ta --pki pki -d created.json --sp xbank --sdname s --taid t --ta ta.bin |
        otrp tee-sim process -q --state device -o installed.json
    otrp tee-sim show --state device --json > report
    same_members otrp-report.5 "tee-sim show" < report
}

@test "tee-sim init" {
    otrp tee-sim init -q --state device --pki pki --json > report
    same_members otrp-report.5 "tee-sim init" < report
    otrp tee-sim init -q --state fleet --pki pki --count 2 --no-tfw --json > fleet.json
    assert_equal "$(jq -c '[.state, (.devices[] | .name, .tfw)]' fleet.json)" '["fleet","othertee",false,"mytee-1",false]'
    # the identifier is that of the certificate
    assert_equal "$(jq -r '.devices[0].did' report)" \
        "$(openssl x509 -in pki/tee/tee/tee-mytee-rsa-cert.pem -outform DER | openssl dgst -sha256 -binary | base64)"
    run -1 --separate-stderr bash -c '"$OTRP" tee-sim init -q --state other --pki pki --json > /dev/full'
    assert_equal "$(jq -r .error.message <<< "$stderr")" \
        "other: has the new devices, but the report is not written: cannot write to standard output: No space left on device"
    otrp tee-sim show --state other > shown # which is so
}

@test "pki-init" {
    otrp pki-init -q --out quick --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256 --json > report
    same_members otrp-report.5 pki-init < report
    otrp pki-init -q --out none --dry-run --json > dry
    assert_equal "$(jq .dry_run dry)" true
    assert_equal "$(jq -c '[.files[] | has("sha256")] | any' dry)" false
}

@test "pki-issue" {
    printf 'role,name\ntee,unit1\ntee,no/name\n' > units.csv
    fails pki-issue -q --pki pki --manifest units.csv --out out.d --alg ec-p256 --json
    # the members of a row are the columns of the result
    run diff <(head -n 1 <(otrp pki-issue -q --pki pki --manifest units.csv --out other --alg ec-p256 2> err) |
        tr , '\n' | sort) <(jq -r '.rows[] | keys[]' out | sort -u)
    assert_success
    run documented "$(page otrp-report.5 pki-issue)"
    assert_line status
    refute grep -vxFf <(jq -r '"rows", (.rows[] | keys[])' out) <<< "$output"
}

@test "pki-check" {
    chmod 644 pki/tee/tee/tee-mytee-rsa-key.pem
    fails pki-check -q --pki pki --json
    same_members otrp-report.5 pki-check < out
}

@test "pki-revoke" {
    local cert=pki/tam/tam/tam-mytam-rsa-cert.pem tee at
    at=$(date -u -d '1 hour' +%Y-%m-%dT%H:%M:%SZ)
    otrp pki-revoke -q --pki pki --reason keyCompromise --now "$at" --json $cert > report 2> err
    same_members otrp-report.5 pki-revoke < report
    assert_equal "$(jq -r '.status, .revoked_at, .reason, .cert, .subject, .serial' report)" \
        "$(printf '%s\n' revoked "$at" keyCompromise $cert CN=mytam,OU=TAM,O=OTrP \
            "$(openssl x509 -in $cert -noout -serial | cut -d= -f2)")"
    # in the ledger, and what is said of it elsewhere
    grep -q "^R.*$(jq -r .serial report)" "$(jq -r .ledger report)"
    assert_equal "$(jq -r .still_good.path report)" pki/tam/tam/tam-mytam-rsa-ocsp.json
    tee=$(openssl x509 -in pki/tee/tee/tee-mytee-rsa-cert.pem -noout -serial | cut -d= -f2)
    otrp pki-revoke -q --pki pki --role tee --serial "$tee" --json > report
    assert_equal "$(jq -c keys report)" '["cert","ledger","revoked_at","serial","status"]'
    otrp pki-revoke -q --pki pki --reason certificateHold pki/tee/tee/tee-othertee-rsa-cert.pem
    otrp pki-revoke -q --pki pki --reason removeFromCRL --json pki/tee/tee/tee-othertee-rsa-cert.pem > report
    assert_equal "$(jq -c '.status, .revoked_at' report)" $'"valid"\nnull'
}

@test "the thumbprints of jwk" {
    jose jwk gen -i '{"alg": "ES256", "kid": "one"}' -o one.jwk
    jose jwk gen -i '{"alg": "RS256"}' -o two.jwk
    jq -s '{keys: .}' one.jwk two.jwk > set.json
    otrp jwk --thumbprint --json set.json > report
    same_members otrp-report.5 jwk < report
    assert_equal "$(jq -r '.keys[] | .thumbprint, .kid' report)" \
        "$(jose jwk thp -a S256 -i one.jwk; echo; echo one; jose jwk thp -a S256 -i two.jwk; echo; echo null)"
}

@test "send" {
    fails send -q --url http://127.0.0.1:1/ --repeat 2 --json
    cp out reports
    start_server otrp tam-stub --pki pki --listen 127.0.0.1:0
    otrp tee-sim init -q --state device --pki pki
    otrp send -q --url "$URL" --tee device --repeat 2 --json >> reports
    same_members otrp-report.5 send < reports
}

@test "proxy" {
    otrp tee-sim init -q --state device --pki pki
    start_server otrp tam-stub --pki pki --listen 127.0.0.1:0
    local tam=$SERVER_PID
    exec {PROXY_OUT}< <(exec "$OTRP" proxy --listen 127.0.0.1:0 --upstream "$URL" --transcript wire.jsonl \
        --key "$TAM_KEY" --json 2> log 3>&-)
    SERVERS+=("$!")
    local via
    read -r -t 60 -u "$PROXY_OUT" via
    otrp send -q --url "$via" --tee device
    otrp make-request get-device-state --pki pki -o gds.json
    otrp make-response -r gds.json --pki pki --error ERR_TAM_NOT_TRUSTED --reason why -o refused.json
    local post=(curl -s -H 'Content-Type: application/otrp+json' -H 'Accept: application/otrp+json')
    "${post[@]}" --data-binary @refused.json "$via" > answer
    "${post[@]}" --data-binary nonsense "$via" > answer
    stop_server "$tam"
    "${post[@]}" --data-binary @gds.json "$via" > answer
    stop_server "${SERVERS[-1]}"
    same_members otrp-report.5 proxy < <(grep '^{"exchange"' log)
}

@test "the log of tam-stub" {
    otrp tee-sim init -q --state device --pki pki
    start_server otrp tam-stub --pki pki --listen 127.0.0.1:0 --json
    otrp send -q --url "$URL" --tee device
    stop_server
    local text event
    text=$(page otrp-tam-stub.1 DESCRIPTION; page otrp-tam-stub.1 Log)
    for event in $(jq -r .event server.log | sort -u); do
        run grep -E "^\.It Li ([a-z]+ , )*$event( , [a-z]+)*$" <<< "$text"
        assert_success
    done
    # every member of a line stands in the list
    run comm -13 <(grep -E '^\.Li ' <<< "$text" | sed 's/^\.Li //; s/ , /\n/g; s/ *[,:]$//' | sort -u) \
        <(jq -r keys[] server.log | sort -u)
    assert_output ""
}

@test "tee-sim serve" {
    otrp tee-sim init -q --state device --pki pki
    otrp make-request get-device-state --pki pki -o good.json
    otrp make-request get-device-state --pki pki --break signature -o bad.json
    start_server otrp tee-sim serve --state device --json
    local request name
    name=$(otrp tee-sim show --state device --json | jq -r '.devices[0].name')
    for request in good.json bad.json; do
        curl -sf -H 'Content-Type: application/otrp+json' --data-binary @$request -o /dev/null "${URL%/}/$name"
    done
    stop_server
    same_members otrp-report.5 "tee-sim serve" < server.log
    assert_equal "$(jq -r 'select(.event == "answer") | .message + " " + (.code // "pass")' server.log)" \
        $'GetDeviceState pass\nGetDeviceState ERR_REQUEST_INVALID'
    assert_equal "$(jq -c 'select(.event == "access") | [.method, .path, .status]' server.log | sort -u)" \
        "[\"POST\",\"/$name\",200]"
}

@test "the control interface of tam-stub" {
    otrp jwk --generate ec-p256 -o control.jwk
    otrp help policy | sed -n '/^  {/,/^  }/p' > policy.json
    echo bytes > ta.bin
    start_server otrp tam-stub --pki pki --policy policy.json --control-key control.jwk --listen 127.0.0.1:0
    otrp tee-sim init -q --state device --pki pki
    otrp send -q --url "$URL" --tee device
    local token what
    token=$(otrp token --key control.jwk --aud otrp-control)
    for what in devices sessions; do
        curl -sf -H "Authorization: Bearer $token" "http://127.0.0.1:$PORT/control/$what" > $what.json
    done
    # the entries of a transcript are those of otrp-transcript(5)
    run comm -13 <(page otrp-tam-stub.1 "CONTROL INTERFACE" | sed -nE 's/^\.(It |Pq )?Li //p' |
        grep -oE '[a-z_0-9]+' | sort -u) <(jq 'del(.sessions[]?.transcript[])' devices.json sessions.json | members)
    assert_output ""
    assert_equal "$(jq -c '[.devices[0].sds[0].spid, .sessions[0].state] | map(values)' devices.json sessions.json)" \
        $'["xbank"]\n["done"]'
}

@test "inspect" {
    otrp tee-sim init -q --state device --pki pki
    otrp make-request get-device-state --pki pki --tid t -o gds.json
    otrp tee-sim process -q --state device -o state.json gds.json
    otrp make-request create-sd --pki pki -d state.json --sp xbank --sdname s --profile thaler -o create.json
    otrp pki-revoke -q --pki pki pki/tam/tam/tam-mytam-rsa-cert.pem
    otrp pki-crl -q --pki pki --role tam -o tam.crl
    otrp pki-ocsp -q --pki pki -o revoked.json pki/tam/tam/tam-mytam-rsa-cert.pem 2> err
    openssl req -new -key "$TAM_KEY" -subj /CN=x -out csr.pem
    {
        sed 's/^/Nov 21 host: /' gds.json && echo
        cat state.json "$TAM_KEY" create.json
        openssl crl -in tam.crl
        cat csr.pem revoked.json
    } > dump
    otrp inspect --pki pki --json dump > report.json
    run comm -13 <({ page otrp-inspect.1 REPORT | sed -nE 's/^\.(It )?Li //p' | sed 's/ , /\n/g; s/ *[,:.;)]*$//'
        documented "$(page otrp-inspect.1 REPORT)"; } | sort -u) <(members < report.json)
    assert_output ""
    run members < report.json
    local member
    for member in certificate crl csr ocsp revoked_at; do
        assert_line "$member" # such values were among them
    done
}

@test "doctor, the list of broken messages, and the report of a scenario" {
    named() { # PAGE SECTION: what stands in .Li of a section
        page "$@" | sed -nE 's/^\.(It )?Li //p' | sed 's/ , /\n/g; s/ *[,:.)]*$//' | sort -u
    }
    chmod 644 "$TAM_KEY"
    otrp doctor --pki pki --json > doctor.json || true
    run comm -13 <(named otrp-doctor.1 DESCRIPTION) <(members < doctor.json)
    assert_output ""
    assert_equal "$(members < doctor.json | tr '\n' ' ')" "detail findings group hint name optional sound state "
    otrp make-request --break list --json > breaks.json
    run comm -13 <(named otrp-make-request.1 "Breaking a request") <(members < breaks.json)
    assert_output ""
    assert_equal "$(members < breaks.json | tr '\n' ' ')" "check code name needs title types "
    echo '{"name": "one", "steps": [{"request": "get-device-state"}, {"request": "get-device-state",
        "break": "signature", "expect": "ERR_TAM_NOT_TRUSTED"}, {"request": "get-device-state"}]}' > scenario.json
    start_server otrp tam-stub --pki pki --scenario scenario.json --listen 127.0.0.1:0 --report json:report.json
    otrp tee-sim init -q --state device --pki pki
    otrp send -q --url "$URL" --tee device || true
    wait "$SERVER_PID" || true
    run comm -13 <(page otrp-scenario.5 "REPORTS" | sed -n '/^\.It Cm json/,$p' | sed -nE 's/^\.(It )?Li //p' |
        sed 's/ , /\n/g; s/ *[,:.)]*$//' | sort -u) <(members < report.json)
    assert_output ""
}
