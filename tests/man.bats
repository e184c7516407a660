#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The manual is as the program is: its pages, their options, tables and examples.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper
load help/helper

MAN=$ROOT/man

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir path
    ln -s "$(realpath "$OTRP")" path/otrp
}

# Text of mdoc as it is shown, as far as the pages use escapes.
plain() {
    sed -e 's/\\-/-/g; s/\\(aq/'"'"'/g; s/\\(ti/~/g; s/\\(ha/^/g; s/\\(ga/`/g; s/\\&//g; s/\\e/\\/g'
}

# The literal blocks of a section of a page (EXAMPLES unless told), unescaped.
examples() {
    awk -v section=".Sh ${2:-EXAMPLES}" '
        /^\.Sh/ { inside = $0 == section }
        /^\.Bd -literal/ { literal = 1; next }
        /^\.Ed/ { literal = 0 }
        inside && literal
        inside && /^\.Dl / { sub(/^\.Dl /, ""); print }' "$MAN/$1" | plain
}

# Runs the examples of a page as they stand, in a folder with a PKI in ./pki. Where they start a
# server, in another terminal as the page says, it gets a free port, and the URL that they give to
# send is its own.
play() {
    cat > play.sh << 'END'
set -euo pipefail
tam= url= proxy= via=
stop() {
    local pid
    for pid in $proxy $tam; do
        ! kill "$pid" 2> /dev/null || wait "$pid"
    done
    tam= proxy=
}
trap stop EXIT
otrp() {
    local argument arguments=() skip=
    for argument; do
        case $skip$argument in
            --listen) skip=next: ;;
            next:*) skip= ;;
            *)
                argument=${argument/#http:\/\/127.0.0.1:8080\/tam/$url}
                arguments+=("${argument/#http:\/\/127.0.0.1:8081\/tam/$via}")
                ;;
        esac
    done
    if [ "$1" = proxy ]; then
        exec {out}< <(exec otrp "${arguments[@]}" --listen 127.0.0.1:0 3>&-)
        proxy=$!
        read -r -t 60 -u "$out" via
        return
    fi
    if [ "$1" != tam-stub ]; then
        command otrp "${arguments[@]}"
        return
    fi
    stop
    exec {out}< <(exec otrp "${arguments[@]}" --listen 127.0.0.1:0 3>&-)
    tam=$!
    read -r -t 60 -u "$out" url
}
END
    examples "$1" >> play.sh
    PATH=$PWD/path:$PATH HOME=$PWD run --separate-stderr bash play.sh
    [ "$status" -eq 0 ] || cat play.sh <(echo "$stderr")
    assert_success
}

with_pki() {
    cp -r "$PKI" pki
}

# For the examples: pki-init alone makes RSA-2048 keys where it would make RSA-4096 ones, which take long.
shrink_pki_init() {
    rm path/otrp
    cat > path/otrp << END
#!/bin/sh
[ "\$*" != pki-init ] || set -- pki-init --root-alg ec-p256,rsa-2048 --ca-alg rsa-2048
exec "$(realpath "$OTRP")" "\$@"
END
    chmod +x path/otrp
}

@test "every applet has a page, and every page of a command has its applet" {
    local applet
    for applet in $(applets); do
        run head -n 3 "$MAN/otrp-$applet.1"
        assert_line --regexp "^\.Dt OTRP-${applet^^} 1$"
    done
    run diff <(applets | sort) <(cd "$MAN" && printf '%s\n' otrp-*.1 | sed 's/^otrp-//; s/\.1$//' | sort)
    assert_success
}

@test "each OPTIONS block is what the program says of its options (make man renews it)" {
    local applet
    for applet in $(applets); do
        run diff <(sed -n '/^\.\\" OPTIONS BEGIN/,/^\.\\" OPTIONS END/p' "$MAN/otrp-$applet.1" |
            sed '1d;$d') <(otrp help "$applet" --mdoc)
        assert_success
    done
}

@test "mandoc finds nothing to warn of" {
    run mandoc -Tlint -Wwarning "$MAN"/*.[1-8]
    assert_output ""
    assert_success
}

@test "man shows the pages" {
    command -v man > /dev/null || skip "man is not installed"
    local page
    for page in otrp.1 otrp-tee-sim.1 otrp-messages.7; do
        MANWIDTH=80 run man "$MAN/$page"
        assert_success
        assert_line --regexp '^N.*A.*M.*E'
    done
}

@test "every page has the sections of its kind, and otrp(1) the table of exit codes" {
    local applet section
    for applet in $(applets); do
        for section in NAME SYNOPSIS DESCRIPTION OPTIONS 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
            run grep -c "^\.Sh $section$" "$MAN/otrp-$applet.1"
            assert_output 1
        done
    done
    run awk '/^\.It [0-9] Ta / { split($0, part, / Ta /); sub(/^\.It /, "", part[1])
        printf "%d  %-10s %s\n", part[1], part[2], part[3] }' "$MAN/otrp.1"
    assert_output "$(otrp help exit-codes)"
}

@test "the overview, otrp(1) and the pages summarise a command in the same words" {
    local applet summary
    for applet in $(applets); do
        summary=$(otrp help | sed -n "s/^  $applet  *//p")
        summary=${summary,}
        run sed -n 's/^\.Nd //p' "$MAN/otrp-$applet.1"
        assert_output "$summary"
        run sed -n "/^\.It Xr otrp-$applet 1/{n;p;}" "$MAN/otrp.1"
        assert_output "$summary"
    done
}

@test "every option of --help stands in the page, and every option of the page in --help" {
    local applet page
    for applet in $(applets); do
        page=$MAN/otrp-$applet.1
        run diff <(long_options "$applet") \
            <(grep -oE '(Fl|^\.Fl) \\-[a-z0-9\\-]+' "$page" | plain | sed 's/.*Fl -/--/' | sort -u)
        assert_success
        run comm -13 <(letters "$applet") \
            <(grep -oE 'Fl [A-Za-z]( |$)' "$page" | sed 's/Fl \(.\).*/-\1/' | sort -u)
        assert_output ""
    done
}

@test "references to pages of otrp lead somewhere, and its error codes exist" {
    local name code
    while read -r name section; do
        assert [ -e "$MAN/$name.$section" ]
    done < <(sed -nE 's/.*Xr (otrp[a-z-]*) ([1-8]).*/\1 \2/p' "$MAN"/* | sort -u)
    while read -r code; do
        run otrp help "$code"
        assert_success
    done < <(grep -ohE 'ERR_[A-Z_]+' "$MAN"/* | sort -u)
}

@test "otrp(1) lists the commands of the program" {
    run diff <(sed -n '/^\.\\" COMMANDS BEGIN/,/^\.\\" COMMANDS END/p' "$MAN/otrp.1" | sed '1d;$d') <(otrp help --mdoc)
    assert_success
}

@test "otrp-messages(7) has the members of the registry" {
    run diff <(sed -n '/^\.\\" MESSAGES BEGIN/,/^\.\\" MESSAGES END/p' "$MAN/otrp-messages.7" | sed '1d;$d') \
        <(otrp help messages --mdoc)
    assert_success
    run otrp help CreateSDRequest
    assert_line --regexp '^    spcert +mandatory +BASE64$'
}

@test "otrp-messages(7) has the checks of the program, in their order" {
    with_pki
    documented() {
        awk -v section=".Sh $1" '/^\.Sh/ { inside = $0 == section } inside && /^\.It Li / { print $3 }' \
            "$MAN/otrp-messages.7" | plain
    }
    otrp make-request get-device-state --pki pki -o gds.json
    otrp tee-sim init -q --state device --pki pki
    otrp tee-sim process -q --state device -o state.json gds.json
    otrp verify -q --trust pki/tam/tam-rootca --json gds.json > request.report
    run documented 'CHECKS OF A TEE'
    assert_output "$(jq -r '.checks[].check' request.report)"
    otrp verify -q --trust pki/tee/tee-rootca --tam-key pki/tam/tam/tam-mytam-rsa-key.pem --json \
        state.json > response.report
    run documented 'CHECKS OF A TAM'
    assert_output "$(jq -r '.checks[].check' response.report)"
}

@test "otrp-tam-stub(1) has the faults of the server, in their order" {
    run diff <(sed -n '/^\.Sh FAULTS/,/^\.Sh OPTIONS/s/^\.It Cm //p' "$MAN/otrp-tam-stub.1" | plain) \
        <(otrp tam-stub --fault list --json | jq -r '.[] | select(.types | not).name')
    assert_success
}

@test "the limits of otrp(1) are those of the program" {
    limit() { # NAME: its value
        echo $(($(sed -nE "s/^#define LIMIT_$1 +(\(?[0-9u< ]+\)?).*/\1/p" "$ROOT/src/util/limits.h" | tr -d u)))
    }
    local text
    text=$(sed -n '/^\.Ss Limits/,/^\.Sh/p' "$MAN/otrp.1" | tr '\n' ' ')
    assert_regex "$text" "standard input: $(($(limit FILE_BYTES) >> 20)) MiB"
    assert_regex "$text" "simulator accepts: $(($(limit MESSAGE_BYTES) >> 20)) MiB"
    assert_regex "$text" "key or certificate file: $(($(limit KEY_BYTES) >> 20)) MiB"
    assert_regex "$text" "plaintext of a message: $(($(limit SMALL_JSON) >> 20)) MiB"
    assert_regex "$text" "at most $(limit JSON_DEPTH) deep and has at most $(limit JSON_VALUES) values"
    assert_regex "$text" "$(limit RECIPIENTS) signatures, a JWE $(limit RECIPIENTS) recipients"
    assert_regex "$text" "chain $(limit CHAIN) certificates, a stapling set $(limit OCSP_RESPONSES) responses"
}

@test "the policies of otrp-policy(5) are policies" {
    with_pki
    echo bytes > ta.bin
    awk -v RS= '{ print > ("policy-" ++n ".json") }' <(examples otrp-policy.5 |
        sed 's/^{/\n{/')
    local policy
    for policy in policy-1.json policy-2.json policy-3.json; do
        start_server otrp tam-stub --pki pki --policy "$policy" --listen 127.0.0.1:0
        stop_server
    done
}

@test "the members of otrp-policy(5) and otrp-scenario(5) are those that the program reads" {
    documented_members() {
        awk '/^\.Sh/ { inside = $2 == "DESCRIPTION" } inside && /^\.It Li /' "$MAN/otrp-$1.5" |
            sed 's/^\.It Li //; s/ , /\n/g' | sort -u
    }
    read_members() {
        sed -n '/ known\[\] = {/,/};/p' "$ROOT/src/sim/$1" | grep -oE '"[a-z_]+"' | tr -d '"' | sort -u
    }
    run diff <(documented_members policy) <(read_members policy_read.c)
    assert_success
    run diff <(documented_members scenario) <(read_members scenario.c)
    assert_success
    # and the program says so itself
    with_pki
    documented_members scenario | grep -vxE 'steps' |
        jq -Rcn '{steps: [reduce inputs as $m ({bogus: 1}; .[$m] = {})]}' > scenario.json
    run otrp tam-stub --pki pki --scenario scenario.json --listen 127.0.0.1:0
    assert_failure 6
    assert_equal "$(grep -c 'unknown member' <<< "$output")" 1
    assert_line --partial 'steps[0].bogus: unknown member'
}

@test "the scenario of otrp-scenario(5) is one" {
    with_pki
    examples otrp-scenario.5 > scenario.json
    start_server otrp tam-stub --pki pki --scenario scenario.json --listen 127.0.0.1:0
}

@test "the template of otrp-templates(5) is a template" {
    cp -r "$ROOT/pki-templates" templates
    examples otrp-templates.5 > templates/sp.cnf
    otrp pki-init -q --templates templates --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
    run openssl x509 -in pki/sp/sp/sp-xbank-ec-cert.pem -noout -subject -nameopt RFC2253
    assert_output "subject=CN=xbank,OU=SP,O=Example Bank"
}

@test "the lines of otrp-transcript(5) have the members of a transcript" {
    with_pki
    start_server otrp tam-stub --pki pki --listen 127.0.0.1:0
    otrp send -q --url "$URL" --transcript session.jsonl -o gds.json
    run jq -r 'keys_unsorted | join(" ")' session.jsonl
    assert_line --index 0 "time direction from to url body bytes"
    assert_line --index 1 "time direction from to url status headers body bytes elapsed_ms"
    run jq -cs 'map(keys_unsorted)' <(examples otrp-transcript.5 | sed '/^jq/d; s/{\.\.\.}/{}/')
    assert_output "$(jq -cs 'map(keys_unsorted)' session.jsonl)"
    otrp tee-sim init -q --state device --pki pki
    otrp send -q --url "$URL" --tee device --transcript session.jsonl --force
    run bash -c "$(examples otrp-transcript.5 | grep '^jq')"
    assert_output --regexp '^\{"GetDeviceStateResponse":[^[:space:]]*$'
}

@test "the examples of every page are run by a test of this file" {
    local page
    for page in $(cd "$MAN" && grep -l '^\.Sh EXAMPLES' ./*.[1-8] | sed 's,^\./,,'); do
        run grep -cE "^ +(play|.*examples) $page( |\)|\$)" "$BATS_TEST_FILENAME"
        refute_output 0
    done
}

@test "the examples of otrp-doctor(1) and otrp-report(5) run" {
    with_pki
    play otrp-doctor.1
    assert_line --regexp '^  ok  '
    otrp make-request get-device-state --pki pki -o gds.json
    play otrp-report.5
    assert_output good
}

@test "the lines of otrp-ledger(5) have the columns of a ledger" {
    with_pki
    otrp pki-revoke -q --pki pki --reason keyCompromise pki/tam/tam/tam-mytam-rsa-cert.pem
    shape() { # its first columns, all digits alike
        cut -f 1-3 | sed 's/[0-9]/9/g'
    }
    run shape < <(examples otrp-ledger.5)
    assert_line --index 0 "$(grep mytee pki/tee/tee-ca/tee-ca-1-ec-index.txt | shape)"
    assert_line --index 1 "$(grep 'CN=mytam$' pki/tam/tam-ca/tam-ca-1-ec-index.txt | shape)"
    run awk -F '\t' '{ print NF }' <(examples otrp-ledger.5)
    assert_output $'6\n6'
}

@test "the examples of otrp(1) run" {
    shrink_pki_init
    play otrp.1
    assert_output --partial '"tfwdata"'
}

@test "the examples of otrp-pki-init(1) run" {
    shrink_pki_init
    play otrp-pki-init.1
    assert_output --regexp '^mytee [A-Za-z0-9+/]{43}=$'
    run ls fleet/tee/tee/tee-device1-ec-cert.pem fleet/tee/tee/tee-device2-ec-cert.pem
    assert_success
}

@test "the examples of otrp-pki-ocsp(1) run" {
    with_pki
    play otrp-pki-ocsp.1
    assert_output --regexp '^\["[A-Za-z0-9+/=]+","[A-Za-z0-9+/=]+"\]'
}

@test "the examples of otrp-pki-issue(1) run" {
    with_pki
    play otrp-pki-issue.1
    assert_output --partial "name,status
unit1,issued
unit2,issued"
    run openssl x509 -in pki/tee/tee/tee-device2-ec-cert.pem -noout -subject -nameopt RFC2253
    assert_output "subject=CN=device2,OU=TEE,O=OTrP"
}

@test "the examples of otrp-pki-crl(1), otrp-pki-check(1) and otrp-pki-revoke(1) run" {
    with_pki
    play otrp-pki-crl.1
    assert_output --partial "pki/tee/tee/tee-mytee-rsa-cert.pem: OK"
    # findings are what the examples look for, so they fail
    sed 's/^set -euo pipefail/set -u/' <(declare -f play) > play.bash
    # shellcheck source=/dev/null
    source play.bash
    play otrp-pki-check.1
    assert_output --partial "key-mode pki/tee/tee/tee-mytee-rsa-key.pem"
    play otrp-pki-revoke.1
    run cut -c 1 pki/tee/tee-ca/tee-ca-1-ec-index.txt
    assert_line R
}

@test "the manifest of otrp-manifest(5) is a manifest" {
    with_pki
    examples otrp-manifest.5 > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out > result.csv
    run cut -d , -f 3,9 result.csv
    assert_output "name,status
unit1,issued
unit1,issued
backup,issued"
}

@test "otrp-pki-check(1) has the findings of the program" {
    run diff <(sed -n '/^\.It Li /s/^\.It Li //p' "$MAN/otrp-pki-check.1" | plain) \
        <(sed -nE 's/^FINDING\([A-Z_]*, "([a-z-]*)".*/\1/p' "$ROOT/src/pki/audit.def")
    assert_success
}

@test "the examples of otrp-jwk(1) run" {
    with_pki
    play otrp-jwk.1
    assert_output --regexp '-----END PUBLIC KEY-----.[A-Za-z0-9_-]{43}$'
    run jq -r .kid sp.jwk
    assert_output sp-1
}

@test "the examples of otrp-sign(1) run" {
    with_pki
    play otrp-sign.1
    run jq -r .payload jws.json
    assert_output "$(base64url_encode < tbs.json)"
}

@test "the examples of otrp-encrypt(1) run" {
    with_pki
    play otrp-encrypt.1
    otrp decrypt -k pki/tee/tee/tee-mytee-rsa-key.pem jwe.json > plaintext
    run cmp plaintext content.json
    assert_success
}

@test "the examples of otrp-decrypt(1) run" {
    with_pki
    play otrp-decrypt.1
    run jq -r .dsi.tee.name dsi.json
    assert_output mytee
}

@test "the examples of otrp-make-response(1) run" {
    with_pki
    play otrp-make-response.1
}

@test "the examples of otrp-inspect(1) run" {
    with_pki
    play otrp-inspect.1
    assert_output --partial 'GetDeviceStateResponse'
    assert_regex "$output" 'signature +right: RS256 by the certificate in the device state'
}

@test "the examples of otrp-make-request(1) run" {
    with_pki
    play otrp-make-request.1
    assert_regex "$stderr" 'DeleteSD: pass'
    assert_regex "$stderr" 'ERR_UNSUPPORTED_MSG_VERSION'
    assert_output --partial '"deleteta"'
}

@test "the examples of otrp-verify(1) run" {
    with_pki
    # the last one looks at a message that fails, so its pipe does, too
    sed 's/^set -euo pipefail/set -eu/' <(declare -f play) > play.bash
    # shellcheck source=/dev/null
    source play.bash
    play otrp-verify.1
    assert_regex "$stderr" 'good: GetDeviceStateResponse, pass'
    assert_output --partial "trust anchor"
    run cat payload
    assert_output hello
}

@test "the examples of otrp-send(1) run" {
    with_pki
    play otrp-send.1
    assert_regex "$stderr" 'the session has ended'
    run grep -c . session.jsonl
    assert_output 4
}

@test "the examples of otrp-diagram(1) run" {
    with_pki
    play otrp-diagram.1
    assert_output --partial GetDeviceStateResponse
    assert [ -s session.svg ]
}

@test "the examples of otrp-proxy(1) run" {
    with_pki
    play otrp-proxy.1
    run jq -r .via wire.jsonl
    assert_line --index 0 proxy
    assert [ -s wire.svg ]
}

@test "the examples of otrp-token(1) run" {
    play otrp-token.1
    run jq -r .aud <<< "$output"
    assert_output otrp-control
    run stat -c %a control.jwt
    assert_output 600
}

@test "the examples of otrp-tee-sim(1) run" {
    with_pki
    play otrp-tee-sim.1
    assert_output --partial 'TA demo "Demo", version 1'
    assert_regex "$stderr" 'good: TAInformation'
}

@test "the examples of otrp-tam-stub(1) run" {
    with_pki
    play otrp-tam-stub.1
    assert_regex "$stderr" 'InstallTA: pass'
    run otrp tee-sim export-ta --state device --taid demo
    assert_output 'the bytes of a TA'
}

@test "the examples of otrp-help(1) and otrp-completion(1) run" {
    play otrp-help.1
    play otrp-completion.1
    run head -n 1 .zsh/completions/_otrp
    assert_output --regexp "^#compdef otrp "
}
