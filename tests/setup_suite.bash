# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What all tests share: two certificate hierarchies, made once, that no test changes.
#   $PKI     RSA-2048 throughout, roots of both kinds    $PKI_EC    P-256 throughout
# Both have the SPs xbank and ybank, the TAMs mytam and othertam, the TEEs mytee and othertee.

setup_suite() {
    export LC_ALL=C.UTF-8
    unset SOURCE_DATE_EPOCH NO_COLOR http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
    local who=(--sp xbank --sp ybank --tam mytam --tam othertam --tee mytee --tee othertee)
    local otrp=${OTRP:-${BASH_SOURCE[0]%/*}/../bin/otrp}
    export PKI=$BATS_SUITE_TMPDIR/pki PKI_EC=$BATS_SUITE_TMPDIR/pki-ec
    "$otrp" pki-init -q --out "$PKI" --root-alg ec-p256,rsa-2048 --ca-alg rsa-2048 --alg rsa-2048 "${who[@]}" &&
        "$otrp" pki-init -q --out "$PKI_EC" --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256 "${who[@]}"
}
