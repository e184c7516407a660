#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What otrp help and --help show can be pasted, and runs.
# shellcheck disable=SC2030,SC2031,SC2154 # URL: of each test; stderr is set by run --separate-stderr

load test_helper
load help/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir path
    ln -s "$(realpath "$OTRP")" path/otrp
}

with_pki() {
    cp -r "$PKI" pki
}

# The example that 'otrp help TOPIC' shows.
shown_example() {
    otrp help "$1" | sed -n '/^To begin with:$/,/^All of it:$/s/^  //p'
}

@test "help shows of each file an example, which is one" {
    with_pki
    echo bytes > ta.bin
    shown_example policy > policy.json
    shown_example scenario > scenario.json
    shown_example manifest > manifest.csv
    shown_example transcript > transcript.sh
    otrp tee-sim init -q --state device --pki pki
    start_server otrp tam-stub --pki pki --policy policy.json --listen 127.0.0.1:0
    otrp send -q --url "$URL" --tee device --transcript session.jsonl
    assert_equal "$(otrp tee-sim export-ta --state device --taid demo)" bytes
    otrp tee-sim reset -q --state device
    start_server otrp tam-stub --pki pki --scenario scenario.json --report json:report.json --listen 127.0.0.1:0
    otrp send -q --url "$URL" --tee device
    wait "$SERVER_PID"
    assert_equal "$(jq -c '[.passed, (.steps | length)]' report.json)" '[true,4]'
    run otrp pki-issue -q --pki pki --manifest manifest.csv --out out
    assert_success
    assert_equal "$(cut -d , -f 2,3,9 <<< "$output")" $'role,name,status\ntee,unit1,issued\ntfw,unit1,issued'
    PATH=$PWD/path:$PATH run bash -e transcript.sh
    assert_success
    assert_line --partial '"InstallTAResponse"'
    run bash -c "$(shown_example ledger)"
    assert_line --regexp $'^V\t[0-9A-F]+\t/O=OTrP/OU=SP/CN=xbank$'
    cp -r "$ROOT/pki-templates" templates
    shown_example templates > templates/sp.cnf
    otrp pki-init -q --out fleet --templates templates --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
    run openssl x509 -in fleet/sp/sp/sp-xbank-ec-cert.pem -noout -subject -nameopt RFC2253
    assert_output "subject=CN=xbank,O=Example Bank"
}

@test "the commands to begin with that otrp alone shows lead to a session" {
    local first init device tam send
    first=$(otrp | sed -n '/^To begin with:$/,/^$/s/^  otrp \(.*[^ ]\)   *.*/\1/p')
    { read -r init && read -r device && read -r tam && read -r send; } <<< "$first"
    assert_equal "$init" pki-init
    with_pki
    # shellcheck disable=SC2086 # command lines
    {
        otrp $device
        start_server otrp $tam --listen 127.0.0.1:0
        run --separate-stderr otrp ${send/URL/$URL}
    }
    assert_success
    assert_regex "$stderr" 'GetDeviceState: pass'
}

@test "help leads from a file to its page, and names the commands that have --json" {
    local page topic words
    for page in "$ROOT"/man/*.5; do
        topic=$(basename "$page" .5)
        run otrp help "$topic"
        assert_success
        assert_equal "$(realpath "$(sed -n 's/^  man //p' <<< "$output")")" "$page"
        assert_equal "$output" "$(otrp help "${topic#otrp-}")"
    done
    run diff <(otrp help json | sed -n '/^Used by:$/,/^$/s/^  otrp //p') \
        <(applets | while read -r words; do
            commands_of "$words" | sed "s/^/$words /" | grep . || echo "$words"
        done | while read -r words; do
            # shellcheck disable=SC2086 # a command of a command
            ! otrp help $words | grep -q '^ *--json ' || echo "$words"
        done)
    assert_success
}

# The files that the examples of --help name, as they come about.
prepare() {
    mkdir "$1"
    cd "$1" || return
    cp -r "$PKI" pki
    mkdir -p samples roots .local/share/bash-completion/completions .zsh/completions
    cp -r "$ROOT"/samples/{policies,scenarios,ta} samples
    cp pki/tee/tee-rootca/*.pem roots
    local tam=pki/tam/tam/tam-mytam-rsa
    cp $tam-key.pem tam.pem
    cp $tam-cert-plus-intermediate-cert.pem chain.pem
    cp $tam-ocsp.json ocsp.json
    otrp jwk $tam-key.pem -o tam.jwk
    otrp jwk --public pki/tee/tee/tee-mytee-rsa-key.pem > tee.jwk
    otrp jwk --generate ec-p256 -o sp.jwk
    otrp jwk --generate ec-p256 -o control.jwk
    printf 'role,name,alg\ntee,unit1,ec-p256\ntee,unit2,ec-p256\n' > devices.csv
    otrp pki-issue -q --pki pki --manifest devices.csv --out devices > devices.result.csv
    echo '{"a":1}' | tee tbs.json > content.json
    echo bytes > ta.bin
    otrp token --key control.jwk --aud otrp-control -o control.jwt
    otrp sign --key tam.pem tbs.json > jws.json
    otrp tee-sim init -q --state fleet --pki pki --count 2 --alg ec-p256
    otrp tee-sim init -q --state device --pki pki
    otrp make-request get-device-state --pki pki -o gds.json
    otrp tee-sim process -q --state device -o state.json gds.json
    otrp make-request create-sd --pki pki -d state.json --sp xbank --sdname sd-1 -o create.json
    otrp tee-sim process -q --state device -o created.json create.json
    otrp make-request install-ta --pki pki -d created.json --sp xbank --sdname sd-1 --taid demo --ta ta.bin --pdata tbs.json |
        otrp tee-sim process -q --state device -o installed.json
    cp state.json response.json
    cp create.json request.json
    { cat create.json && echo; } > broker.log
    cp -r device before # it has not seen what is answered now
    otrp make-request get-device-state --pki pki --force -o gds.json
    otrp tee-sim process -q --state device --force -o state.json gds.json
    rm -r device
    mv before device
    printf '%s\n' '{"time":"2026-11-21T10:00:00.713Z","direction":"request","from":"tee","to":"tam",
        "url":"http://127.0.0.1/","body":"","bytes":0}' | jq -c . > session.jsonl
    cd ..
}

# Every example of --help, one a line.
help_examples() {
    local applet command commands
    for applet in $(applets); do
        commands=$(commands_of "$applet")
        for command in ${commands:-''}; do
            otrp help "$applet" ${commands:+"$command"} | sed '1,/^examples:$/d; s/^  //'
        done
    done
}

# The same where it can run on this machine: no outside, no TPM, a serial number that exists.
here() {
    local serial
    serial=$(openssl x509 -in "$PKI/tam/tam/tam-mytam-rsa-cert.pem" -noout -serial)
    sed -e '/--provider tpm2/d' -e "s/4F2A9C31/${serial#*=}/" -e "s|/var/log/broker.log|broker.log|" \
        -e "s|https://tam.example/tam|$URL|; s|http://127.0.0.1:8080/tam|$URL|" \
        -e 's/--repeat 1000/--repeat 4/; s/--count 100/--count 3/' \
        -e 's/^otrp pki-init$/& --root-alg ec-p256,rsa-2048 --ca-alg rsa-2048/' -e 's|~|.|g'
}

# What an example needs not to be there, since it makes it.
make_room() {
    case $1 in
        *'> devices.result.csv'*) rm -r devices devices.result.csv && sed -i s/unit/other/ devices.csv ;;
        'otrp pki-init'*) rm -r pki ;;
        'otrp tee-sim init'*) rm -r device fleet ;;
        'otrp jwk --generate'*) rm sp.jwk ;;
        *'-o gds.json') rm gds.json ;;
        *'-o create.json') rm create.json ;;
        *'-o state.json') rm state.json ;;
        *'-o control.jwt') rm control.jwt ;;
        *'-o ta.bin') rm ta.bin ;;
    esac
}

@test "the examples of --help run" {
    prepare prepared
    start_server otrp tam-stub --pki "$PKI" --listen 127.0.0.1:0
    help_examples | here > lines
    local line count=0 expected
    while read -r line; do
        count=$((count + 1))
        cp -r prepared run
        cd run || return
        make_room "$line"
        expected=0
        case $line in
            *'--break signature | otrp verify'*) expected=3 ;;
            'otrp send '*'state.json -o next.json') expected=7 ;; # of none of the TAM's sessions
        esac
        case $line in
            'otrp tam-stub '* | 'otrp tee-sim serve '* | 'otrp proxy '*)
                [[ $line == *--listen* ]] || line+=' --listen 127.0.0.1:0'
                line=${line/127.0.0.1:80[89][01]/127.0.0.1:0}
                # shellcheck disable=SC2086 # words
                start_server $line || fail "$line"
                stop_server || [[ $line == *--scenario* ]] || fail "$line"
                ;;
            *)
                PATH=$BATS_TEST_TMPDIR/path:$PATH HOME=$PWD run --separate-stderr bash -o pipefail -c "$line" < /dev/null
                [ "$status" -eq "$expected" ] || fail "$line: exit code $status
$stderr"
                ;;
        esac
        cd ..
        rm -r run
    done < lines
    assert [ "$count" -ge 60 ]
}
