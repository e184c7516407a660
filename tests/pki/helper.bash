# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the tests of batches share.

# certifies_what_was_checked [OPTION]...: a batch of the PKI in pki, of a CSR that another one takes the
# place of as soon as it has been opened.
certifies_what_was_checked() {
    local name
    for name in first second; do
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key -out $name.csr \
            -subj /CN=x 2> /dev/null
    done
    compile -D_GNU_SOURCE -shared -fPIC -w -o replace.so "$ROOT/tests/pki/replace.c"
    printf 'role,name,csr\ntee,own,first.csr\n' > units.csv
    ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 LD_PRELOAD=$PWD/replace.so \
        run "$OTRP" pki-issue -q --pki pki --manifest units.csv --out out "$@"
    assert_success
    assert [ ! -e second.csr ]
    assert_equal "$(openssl x509 -noout -pubkey -in out/tee/*/tee-own-ec-cert.pem)" \
        "$(openssl pkey -in first.key -pubout)"
}
