#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# doctor: what is there is named with its version, what is not is found.

load test_helper

# An installation of one's own, from the program under test.
setup() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir -p usr/bin usr/lib/otrp usr/share/otrp
    cp "$OTRP" usr/bin/otrp
    local lib
    lib=$(dirname "$OTRP")/../lib/otrp
    [ -d "$lib" ] || lib=$ROOT/build/release/lib/otrp
    cp "$lib"/*.so usr/lib/otrp
    cp -r "$ROOT/pki-templates" usr/share/otrp/pki-templates
}

@test "doctor finds a whole installation sound, with the versions that the libraries tell of themselves" {
    usr/bin/otrp doctor --json > report.json
    assert_equal "$(jq .sound report.json)" true
    run jq -r '.findings[] | select(.name == "OpenSSL").detail' report.json
    assert_output --partial "$(openssl version | cut -d ' ' -f 2)"
    run jq -r '.findings[] | select(.name == "http-client").detail' report.json
    assert_output --partial "$(curl --version | grep -o 'libcurl/[0-9.]*')"
    run jq -r '.findings[] | select(.name == "sqlite").detail' report.json
    assert_output --partial "$(sqlite3 --version | cut -d ' ' -f 1)"
    run --separate-stderr usr/bin/otrp doctor
    assert_success
    # shellcheck disable=SC2154 # set by run
    assert_equal "$stderr" "otrp doctor: everything that is needed is there"
    assert_line --regexp '^  ok +tam +.*/share/otrp/pki-templates/tam\.cnf$'
}

@test "a module that is missing and a template that is broken are found, each with a hint" {
    rm usr/lib/otrp/sqlite.so
    echo 'keyUsage = nonsense' > usr/share/otrp/pki-templates/tam.cnf
    run --separate-stderr usr/bin/otrp doctor --json
    assert_equal "$status" 9
    assert_equal "$(jq .sound <<< "$output")" false
    assert_equal "$(jq -r '.findings[] | select(.state != "ok" and (.optional | not)) | .name + " " + .state' <<< "$output")" \
        $'sqlite missing\ntam wrong'
    assert_equal "$(jq -r '[.findings[] | select(.state != "ok") | has("hint")] | all' <<< "$output")" true
    run --separate-stderr usr/bin/otrp doctor
    assert_equal "$status" 9
    assert_regex "$output" 'wrong +tam +.*tam\.cnf'
    assert_regex "$stderr" 'error: 2 findings: what is needed is missing or wrong'
}

@test "a module that is there but is none is wrong, and said to be for what needs it" {
    rm usr/lib/otrp/jwt.so && echo garbage > usr/lib/otrp/jwt.so
    run --separate-stderr usr/bin/otrp doctor --json
    assert_equal "$status" 9
    assert_equal "$(jq -r '.findings[] | select(.name == "jwt") | .state' <<< "$output")" wrong
    assert_regex "$(jq -r '.findings[] | select(.name == "jwt") | .hint' <<< "$output")" \
        'jwt\.so: .*: needed for token --check and the control interface of tam-stub alone$'
    # and so it is: a token is made without it
    jose jwk gen -i '{"alg":"ES256"}' -o key.jwk
    run usr/bin/otrp token --key key.jwk --aud here -o token.jwt
    assert_success
    run usr/bin/otrp token --check --key key.jwk --aud here token.jwt
    assert_failure
}

@test "doctor --pki finds a private key that others can read" {
    usr/bin/otrp pki-init -q --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
    usr/bin/otrp doctor --pki pki --json > report.json
    assert_equal "$(jq -r '.findings[] | select(.group == "pki") | .name + " " + .state' report.json)" 'pki ok'
    chmod 640 pki/tam/tam/tam-mytam-ec-key.pem
    run -9 usr/bin/otrp doctor --pki pki
    assert_line --regexp 'wrong .*tam-mytam-ec-key\.pem'
    run -2 usr/bin/otrp doctor --pki nowhere
}
