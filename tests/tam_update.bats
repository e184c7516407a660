#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tam-stub over the life of a fleet: what it remembers, and what it brings up to date. sqlite3, openssl
# and jq are the witnesses.
# shellcheck disable=SC2030,SC2031,SC2154 # each test is a subshell; stderr is set by run --separate-stderr

load test_helper
load tam/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    world ec
}

# reload: SIGHUP, and waits until the TAM has said what came of it.
reload() {
    local before
    before=$(grep -cE 'read anew|stays as it was' server.log || true)
    kill -HUP "$SERVER_PID"
    until [ "$(grep -cE 'read anew|stays as it was' server.log)" -gt "$before" ]; do
        curl -s -o /dev/null "$URL"
    done
}

# tas: taid|version|size of each TA on the device.
tas() {
    sqlite3 "$1/state.db" 'SELECT taid, version, size FROM ta ORDER BY taid'
}

# certs: the SHA-256 of the certificates that the device's SDs store.
certs() {
    sqlite3 "$1/state.db" 'SELECT sd.name, sha256 FROM sd JOIN sd_cert ON sd_cert.sd = sd.id ORDER BY 1, 2'
}

fingerprint() {
    openssl x509 -in "$1" -outform DER | openssl sha256 -r | cut -d' ' -f1
}

did() {
    openssl x509 -in "$1" -outform DER | openssl sha256 -binary | base64
}

known() {
    sqlite3 state/tam.db "$1"
}

# ---- versions ----

@test "a newer version is brought by UpdateTA, also by the next TAM with that state" {
    wants xbank/sd-1/demo
    device device
    stub --state state
    session device
    took GetDeviceState CreateSD InstallTA
    run known 'SELECT taid, version, unsure FROM ta'
    assert_output 'demo|1|0'
    session device
    took GetDeviceState
    stop_server
    printf 'newer code of the TA' > ta.bin
    but '.sps[].sds[].tas[].version = 2'
    stub --state state
    session device
    took GetDeviceState UpdateTA
    assert_equal "$(tas device)" 'demo|2|20'
    run known "SELECT version, sha256 FROM ta"
    assert_output "2|$(sha256sum < ta.bin | cut -d' ' -f1)"
    session device
    took GetDeviceState
}

@test "other bytes of the same version are brought, too" {
    wants xbank/sd-1/demo
    device device
    stub
    session device
    assert_success
    printf 'mended code' > ta.bin
    reload
    session device
    took GetDeviceState UpdateTA
    assert_equal "$(tas device)" 'demo|1|11'
}

@test "new personalisation data goes alone" {
    printf 'account 1' > pdata.bin
    wants xbank/sd-1/demo
    but '.sps[].sds[].tas[].pdata = "pdata.bin"'
    device device
    stub
    session device
    assert_success
    local code
    code=$(otrp tee-sim export-ta --state device --taid demo)
    printf 'account 2' > pdata.bin
    reload
    session device
    took GetDeviceState UpdateTA
    assert_equal "$(otrp tee-sim export-ta --state device --taid demo --pdata)" 'account 2'
    assert_equal "$(otrp tee-sim export-ta --state device --taid demo)" "$code"
    logged "127.*\"POST /tam\" 200 .*"
    session device
    took GetDeviceState
}

@test "an older version is not sent, as no TEE takes it, and the log says so" {
    wants xbank/sd-1/demo
    but '.sps[].sds[].tas[].version = 7'
    device device
    stub
    session device
    assert_success
    but '.sps[].sds[].tas[].version = 6'
    reload
    session device
    took GetDeviceState
    logged "$TID demo in xbank/sd-1 stays at version 7: the policy wants an older one, which a TEE does not take"
    assert_equal "$(tas device)" 'demo|7|14'
}

@test "a TA of which nothing is known stays, unless the policy says update_unknown" {
    wants xbank/sd-1/demo
    device device
    stub --state state
    session device
    assert_success
    rm -r state
    stub --state state
    session device
    took GetDeviceState
    but '.update_unknown = true'
    reload
    session device
    took GetDeviceState UpdateSD UpdateTA
    session device
    took GetDeviceState
}

@test "a TA whose answer was lost is sent again" {
    wants xbank/sd-1/demo
    device device
    stub --state state
    next '' request.json
    answers device request.json answer.json
    next answer.json request.json
    answers device request.json answer.json
    next answer.json request.json
    assert_equal "$(jq -r 'keys[]' request.json)" InstallTARequest
    answers device request.json lost.json
    run known 'SELECT taid, version, unsure FROM ta'
    assert_output 'demo|1|1'
    session device
    took GetDeviceState UpdateTA
    run known 'SELECT taid, version, unsure FROM ta'
    assert_output 'demo|1|0'
}

@test "a TA that never arrived leaves no record" {
    wants xbank/sd-1/demo
    device device
    stub --state state
    next '' request.json
    answers device request.json answer.json
    next answer.json request.json
    answers device request.json answer.json
    next answer.json request.json
    assert_equal "$(jq -r 'keys[]' request.json)" InstallTARequest
    wants
    reload
    session device
    took GetDeviceState DeleteSD
    run known 'SELECT (SELECT count(*) FROM ta), (SELECT count(*) FROM sd_cert), (SELECT count(*) FROM aik)'
    assert_output '0|0|0'
}

@test "what is deleted is forgotten; a device that was reset gets everything again" {
    wants xbank/sd-1/demo
    device device
    stub --state state
    session device
    assert_success
    otrp tee-sim reset -q --state device
    session device
    took GetDeviceState CreateSD InstallTA
    run known 'SELECT count(*) FROM ta'
    assert_output 1
}

@test "two devices are two: each gets what it lacks" {
    wants xbank/sd-1/demo
    device one
    device two --name othertee
    stub --state state
    session one
    took GetDeviceState CreateSD InstallTA
    printf 'newer' > ta.bin
    but '.sps[].sds[].tas[].version = 2'
    reload
    session two
    took GetDeviceState CreateSD InstallTA
    session one
    took GetDeviceState UpdateTA
    run known 'SELECT count(*), min(ta.version), max(sessions) FROM device JOIN ta ON ta.device = device.id'
    assert_output '2|2|2'
}

# ---- certificates and AIKs ----

@test "certificates of an SP are added to its SDs, and taken from them" {
    wants xbank/sd-1/demo xbank/sd-2
    device device
    stub --state state
    session device
    took GetDeviceState CreateSD InstallTA CreateSD
    local first second
    first=$(fingerprint "$SP-cert.pem") second=$(fingerprint "$SP2-cert.pem")
    assert_equal "$(certs device)" "sd-1|$first
sd-2|$first"
    but ".sps[].more_certs = [\"$SP2-cert.pem\"]"
    reload
    session device
    took GetDeviceState UpdateSD UpdateSD
    assert_equal "$(certs device | sort)" "$(printf 'sd-1|%s\nsd-1|%s\nsd-2|%s\nsd-2|%s\n' "$first" "$second" "$first" "$second" | sort)"
    session device
    took GetDeviceState
    but ".sps[] |= (.cert = \"$SP2-cert.pem\" | .key = \"$SP2-key.pem\" | del(.more_certs))"
    reload
    session device
    took GetDeviceState UpdateSD UpdateSD
    assert_equal "$(certs device)" "sd-1|$second
sd-2|$second"
    session device
    took GetDeviceState
}

@test "a new SD gets all certificates of its SP before its TAs" {
    otrp sign --key "$SP2-key.pem" --protected '{"taid":"demo"}' -o demo.jws ta.bin
    wants xbank/sd-1/demo
    but ".sps[].more_certs = [\"$SP2-cert.pem\"] | .sps[].sds[].tas[] |= {taid, file: \"demo.jws\"}"
    device device
    stub
    session device
    took GetDeviceState CreateSD UpdateSD InstallTA
}

# aik: the AIKs of the device, as it holds them
aik() {
    sqlite3 device/state.db 'SELECT spid, hex(key) FROM aik'
}

@test "an AIK from before a time is renewed once that time has come" {
    wants xbank/sd-1 xbank/sd-2
    device device
    local old now=$((EPOCHSECONDS + 60)) day=86400
    stub --state state --now "@$now"
    session device --now "@$now"
    took GetDeviceState CreateSD CreateSD
    old=$(aik)
    but ".sps[].renew_aik = \"$(date -u -d "@$((now + day))" +%Y-%m-%dT%H:%M:%SZ)\""
    reload
    session device --now "@$now"
    took GetDeviceState
    stop_server
    stub --state state --now "@$((now + day))"
    session device --now "@$((now + day))"
    took GetDeviceState UpdateSD
    refute [ "$(aik)" = "$old" ]
    session device --now "@$((now + day))"
    took GetDeviceState
}

@test "an AIK older than aik_days is renewed" {
    wants xbank/sd-1
    but '.sps[].aik_days = 3'
    device device
    local now=$((EPOCHSECONDS + 60)) day=86400
    stub --state state --now "@$now"
    session device --now "@$now"
    took GetDeviceState CreateSD
    stop_server
    stub --state state --now "@$((now + 3 * day - 1))"
    session device --now "@$((now + 3 * day - 1))"
    took GetDeviceState
    stop_server
    stub --state state --now "@$((now + 3 * day))"
    session device --now "@$((now + 3 * day))"
    took GetDeviceState UpdateSD
    session device --now "@$((now + 3 * day))"
    took GetDeviceState
}

# ---- which devices ----

@test "rules for one device replace those for all" {
    wants xbank/sd-1/demo
    but ".devices = {\"$(did "$TEE-cert.pem")\": {sps: [], remove_unlisted: true}}"
    device one
    device two --name othertee
    stub
    session one
    took GetDeviceState
    session two
    took GetDeviceState CreateSD InstallTA
}

@test "a device that the policy refuses gets nothing, and the log says why" {
    wants xbank/sd-1
    but ".devices = {\"$(did "$TEE-cert.pem")\": {refuse: \"stolen\"}}"
    device device
    stub --state state
    session device
    took GetDeviceState
    holds device
    logged "$TID ended: the policy refuses device .*: stolen"
}

@test "a policy that refuses all devices lets in those that it names" {
    wants xbank/sd-1
    but ".refuse = \"not of the pilot\" | .devices = {\"$(did "$TEE-cert.pem")\": {}}"
    device one
    device two --name othertee
    stub
    session one
    took GetDeviceState CreateSD
    session two
    took GetDeviceState
    holds two
    logged "$TID ended: the policy refuses device .*: not of the pilot"
}

@test "a TEE version that the policy does not accept gets nothing" {
    wants xbank/sd-1
    but '.tee_versions = ["2.*", "1.0.7"]'
    device device
    stub
    session device
    took GetDeviceState
    holds device
    logged "$TID ended: the policy does not accept TEE version \"1.0\""
    but '.tee_versions = ["2.*", "1.*"]'
    reload
    session device
    took GetDeviceState CreateSD
}

@test "TEE roots of the policy stand for those of the command line" {
    wants xbank/sd-1
    but ".tee_roots = [\"$PKI/tee/tee-rootca\"]"
    device device
    stub
    session device
    assert_equal "$status" 7
    logged "$TID refused the answer to GetDeviceState: CN=TEE CA 1,OU=TEE,O=OTrP: its issuer is neither given nor a trust anchor"
    but ".tee_roots += [\"$P/tee/tee-rootca\"]"
    reload
    session device
    took GetDeviceState CreateSD
}

@test "a device that was let in is refused once the policy has other TEE roots, and let in again with its own" {
    wants xbank/sd-1
    device device
    stub
    session device
    took GetDeviceState CreateSD
    but ".tee_roots = [\"$PKI/tee/tee-rootca\"]"
    reload
    session device
    assert_equal "$status" 7
    logged "$TID refused the answer to GetDeviceState: CN=TEE CA 1,OU=TEE,O=OTrP: its issuer is neither given nor a trust anchor"
    but 'del(.tee_roots)'
    reload
    session device
    took GetDeviceState
}

# ---- reloading ----

@test "a bad policy leaves the old one, and says every mistake" {
    wants xbank/sd-1
    device device
    stub
    but '.spz = 1 | .sps[0].spid = ""'
    reload
    logged 'policy\.json: spz: unknown member'
    logged 'policy\.json: sps\[0\]\.spid: not 1 to 255 bytes long'
    logged 'warning: the policy stays as it was: policy\.json: 2 mistakes'
    session device
    took GetDeviceState CreateSD
}

@test "a session goes on by the policy that it began with" {
    wants xbank/sd-1 xbank/sd-2
    device device
    stub
    next '' request.json
    answers device request.json answer.json
    next answer.json request.json
    wants
    reload
    answers device request.json answer.json
    next answer.json request.json
    assert_equal "$(jq -r 'keys[]' request.json)" CreateSDRequest
    answers device request.json answer.json
    ends answer.json
    holds device 'mytam xbank/sd-1' 'mytam xbank/sd-2'
    session device
    took GetDeviceState DeleteSD DeleteSD
}

@test "SIGHUP reads a new stapling set" {
    wants xbank/sd-1
    device device
    otrp pki-ocsp --pki "$P" --days 1 -o ocsp.json "$TAM-cert.pem"
    start_server otrp tam-stub --tam-key "$TAM-key.pem" --tam-cert "$TAM-cert-plus-intermediate-cert.pem" \
        --ocsp ocsp.json --tee-root "$P/tee/tee-rootca" --tfw-root <(cat "$P"/tfw/tfw-{rootca,ca}/*-cert.pem) \
        --policy policy.json --listen 127.0.0.1:0 --now "@$((EPOCHSECONDS + 2 * 86400))"
    logged 'warning: devices will refuse this TAM: .*stale.*'
    otrp pki-ocsp --pki "$P" --days 9 --force -o ocsp.json "$TAM-cert.pem"
    reload
    session device --now "@$((EPOCHSECONDS + 2 * 86400))"
    took GetDeviceState CreateSD
}

# ---- sessions ----

@test "a session without an answer is forgotten after --session-timeout, and the next one begins" {
    wants
    device device
    stub --session-timeout 1
    next '' request.json
    answers device request.json answer.json
    local tid
    tid=$(tbs request.json | jq -r .tid)
    until grep -q "$tid forgotten: no answer to GetDeviceState" server.log; do
        curl -s -o /dev/null "$URL"
    done
    unclaimed answer.json
    next '' request.json
}

# says_unsupported REQUEST: a device that knows these algorithms only.
says_unsupported() {
    tbs "$1" | jq -c --argjson algs "$2" '{GetDeviceTEEStateTBSResponse: {ver: "1.0", status: "fail", rid, tid,
        reason: {"error-code": "ERR_UNSUPPORTED_CRYPTO_ALG"}, supportedsigalgs: $algs}}' > payload.json
    jose jws sig -I payload.json -k "$TEE-key.jwk" -s "{\"protected\":{\"alg\":\"$ALG\"}}" |
        jq -c '{GetDeviceStateResponse: [{GetDeviceTEEStateResponse: .}]}' > unsupported.json
}

# A TAM with a key of each kind, the RSA one first.
two_keys() {
    start_server otrp tam-stub --tam-key "$PKI/tam/tam/tam-mytam-rsa-key.pem" \
        --tam-cert "$PKI/tam/tam/tam-mytam-rsa-cert-plus-intermediate-cert.pem" \
        --ocsp "$PKI/tam/tam/tam-mytam-rsa-ocsp.json" --alt-key "$TAM-key.pem" \
        --alt-cert "$TAM-cert-plus-intermediate-cert.pem" --alt-ocsp "$TAM-ocsp.json" \
        --tee-root "$P/tee/tee-rootca" --policy policy.json --listen 127.0.0.1:0
}

# alg MESSAGE
alg() {
    jq -r "$JWS jws.protected" "$1" | jose b64 dec -i- | jq -r .alg
}

@test "a device that does not know the TAM's algorithm is asked once more with the other key" {
    wants xbank/sd-1
    but 'del(.require_tfw)'
    device device
    two_keys
    next '' request.json
    assert_equal "$(alg request.json)" RS256
    says_unsupported request.json '["ES384", "ES256"]'
    next unsupported.json again.json
    assert_equal "$(alg again.json)" ES256
    assert_equal "$(tbs again.json | jq -r .tid)" "$(tbs request.json | jq -r .tid)"
    answers device again.json answer.json
    next answer.json request.json
    assert_equal "$(alg request.json)" ES256
    answers device request.json answer.json
    ends answer.json
    logged "$TID asks again, with its other key"
}

@test "it is asked once only, and only with what the policy allows" {
    wants xbank/sd-1
    but 'del(.require_tfw)'
    two_keys
    next '' request.json
    says_unsupported request.json '["ES256"]'
    next unsupported.json again.json
    says_unsupported again.json '["RS256"]'
    ends unsupported.json
    local algs
    for algs in '["RS256"]' '["PS256"]' '[]' '[1, null]' '"ES256"' null; do
        next '' request.json
        says_unsupported request.json "$algs"
        run tam unsupported.json -w '%{http_code}'
        assert_output --regexp '^(204|400)$'
    done
    but '.sign_algs = ["RS256"]'
    reload
    next '' request.json
    assert_equal "$(tbs request.json | jq -c .supportedsigalgs)" '["RS256"]'
    says_unsupported request.json '["ES256"]'
    ends unsupported.json
}

@test "the preferred algorithm of the policy decides which key begins" {
    wants xbank/sd-1
    but '.sign_algs = ["ES256"] | del(.require_tfw)'
    device device
    two_keys
    next '' request.json
    assert_equal "$(alg request.json)" ES256
    assert_equal "$(tbs request.json | jq -c .supportedsigalgs)" '["ES256"]'
    session device
    took GetDeviceState CreateSD
}

@test "an answer that is signed with what the policy does not allow is not believed" {
    wants xbank/sd-1
    but '.sign_algs = ["RS256"] | del(.require_tfw)'
    two_keys
    next '' request.json
    assert_equal "$(tbs request.json | jq -c .supportedsigalgs)" '["RS256"]'
    # a device that does not care for that
    altered request.json 'del(.[].supportedsigalgs)' > uncaring.json
    otrp make-response -q --request uncaring.json --pki "$P" --tee mytee \
        --tam-cert "$PKI/tam/tam/tam-mytam-rsa-cert.pem" -o answer.json
    assert_equal "$(alg answer.json)" ES256
    disbelieved answer.json 'signed with ES256, which the policy does not allow'
}

@test "the second key must be of the same TAM" {
    run --separate-stderr otrp tam-stub --pki "$P" --listen 127.0.0.1:0 \
        --alt-key "$P/tam/tam/tam-othertam-ec-key.pem" \
        --alt-cert "$P/tam/tam/tam-othertam-ec-cert-plus-intermediate-cert.pem"
    assert_equal "$status" 2
    assert_regex "$stderr" 'the two keys are of different TAMs: mytam and othertam'
}

# ---- the state ----

@test "the state is for its owner alone, and of one TAM" {
    wants xbank/sd-1/demo
    device device
    umask 022
    stub --state state
    session device
    assert_success
    assert_equal "$(stat -c %a state state/tam.db | xargs)" '700 600'
    stop_server
    stub --state state --tam othertam
    session device
    took GetDeviceState CreateSD InstallTA
    run known 'SELECT tamid FROM device ORDER BY 1'
    assert_output 'mytam
othertam'
}

@test "a state that cannot be opened is said before anything is served" {
    wants
    : > file
    run --separate-stderr otrp tam-stub --pki "$P" --policy policy.json --state file --listen 127.0.0.1:0
    assert_equal "$status" 2
    assert_equal "$output" ""
    assert_regex "$stderr" 'error: file/tam.db: cannot create: Not a directory'
    mkdir state
    sqlite3 state/tam.db 'PRAGMA user_version = 99'
    run --separate-stderr otrp tam-stub --pki "$P" --policy policy.json --state state --listen 127.0.0.1:0
    assert_equal "$status" 2
    assert_regex "$stderr" 'made by a newer version'
}
