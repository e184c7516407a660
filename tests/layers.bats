#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Who may use whom: an arrow points to what a layer may include, and never the other way.

load test_helper

# What the files of a folder of src may include, besides its own.
declare -gA MAY_USE=(
    [util]=''
    [jose]='util'
    [pki]='util'
    [net]='otrp jose util'
    [otrp]='jose pki util'
    [sim]='otrp jose pki util'
    [applets]='sim net otrp jose pki util applet.h'
    [.]='applets sim net otrp jose pki util applet.h applets.def'
)

# Prints each line of the C files under $1 that breaks a rule.
wrong_arrows() {
    local file line number text layer target
    local include='#[[:space:]]*include[[:space:]]*["<]([^">]+)[">]'
    while IFS=: read -r file number text; do
        layer=$(dirname "$file")
        [[ $text =~ $include ]] || continue
        line="$file:$number: ${text#"${text%%[![:space:]]*}"}"
        target=${BASH_REMATCH[1]}
        case $target in
        curl/* | microhttpd.h | jwt.h)
            [[ $file == net/*_module.c || $file == net/http_client_*.[ch] || $file == net/http_server_*.[ch] ]] ||
                echo "$line: only the modules of net use it"
            continue
            ;;
        sqlite3.h)
            [[ $file == sim/sqlite_*.[ch] ]] || echo "$line: only the SQLite module of sim uses it"
            continue
            ;;
        esac
        [[ $text == *\"* ]] || continue
        [[ $target != */* ]] || target=${target%%/*}
        [[ $target == "$layer" || " ${MAY_USE[$layer]-} " == *" $target "* ]] ||
            echo "$line: $layer must not use it"
    done < <(cd "$1" && grep -rnE '^[[:space:]]*#[[:space:]]*include' --include='*.[ch]' . | sed 's|^\./||')
}

# Prints each line under $1 where a layer below the applets speaks or ends the program.
speaking_layers() {
    (cd "$1" && grep -nE '(^|[^[:alnum:]_])(printf|vprintf|puts|putchar|perror|exit|_exit|abort)\(|fprintf\(std|fput[sc]\([^)]*std(out|err)\)' \
        util/*.[ch] jose/*.[ch] pki/*.[ch] otrp/*.[ch] sim/*.[ch] net/*.[ch] 2> /dev/null) |
        grep -v -e '^util/terminal\.c:' -e '^[^:]*:[0-9]*:[[:space:]]*\(/\*\|\*\)'
}

# A tree with one file: tree FILE LINE...
tree() {
    rm -rf tree
    mkdir -p "tree/$(dirname "$1")"
    printf '%s\n' "${@:2}" > "tree/$1"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

@test "every arrow between the layers runs the right way" {
    run wrong_arrows "$ROOT/src"
    assert_output ""
}

@test "every folder of src is a layer with a rule" {
    for dir in "$ROOT"/src/*/; do
        dir=$(basename "$dir")
        assert [ -n "${MAY_USE[$dir]+x}" ]
    done
}

@test "nothing below the applets prints or exits" {
    run speaking_layers "$ROOT/src"
    assert_output ""
}

@test "an arrow that runs the wrong way is found" {
    found() {
        tree "$1" "$2"
        run wrong_arrows tree
        assert_output --regexp "^$1:1: ${2#"${2%%[! ]*}"}: .*(must not use it|only the .*)\$"
    }
    found util/file.c '#include "jose/key.h"'
    found jose/jws.c '#include "pki/cert.h"'
    found pki/cert.c '#include "otrp/message.h"'
    found otrp/message.c '#include "sim/tee.h"'
    found otrp/message.c '#include "net/module.h"'
    found sim/tee.c '#include "net/module.h"'
    found net/module.c '#include "pki/cert.h"'
    found applets/token.c '#include <jwt.h>'
    found net/module.c '#include <curl/curl.h>'
    found applets/send.c '#include <curl/curl.h>'
    found net/module.c '#include <microhttpd.h>'
    found sim/tee.c '#include <sqlite3.h>'
    found sim/tee.c '#include "applet.h"'
    found util/file.h '  #  include "applets/common.h"'
    found brand-new/file.c '#include "util/file.h"'
}

@test "an arrow that runs the right way is not" {
    right() {
        tree "$1" "${@:2}"
        run wrong_arrows tree
        assert_output ""
    }
    right applets/sign.c '#include "applet.h"' '#include "jose/jws.h"' '#include <stdio.h>' '#include "applets/common.h"'
    right net/http_client_module.c '#include <curl/curl.h>' '#include "util/error.h"'
    right net/bearer.c '#include "jose/jws.h"'
    right main.c '#include "applets.def"' '#include "applet.h"' '#include "util/file.h"'
    right sim/tee.c '#include "otrp/message.h"' '#include "sim/device.h"'
}

@test "a layer that prints or exits is found, and one that formats is not" {
    found() {
        tree jose/jws.c "$1"
        run speaking_layers tree
        assert_output "jose/jws.c:1:$1"
    }
    found '    printf("%s", text);'
    found '    exit(1);'
    found '    fprintf(stderr, "no");'
    found '    fputs("no", stdout);'
    found '    perror("no");'
    tree jose/jws.c '    snprintf(text, 3, "");' '    buffer_put_format(out, "");' '    fprintf(file, "x");'
    run speaking_layers tree
    assert_output ""
}

@test "a signature is made without the libraries of HTTP and SQLite" {
    if [[ $(head -c 4 "$OTRP") != $'\x7fELF' ]] || ! command -v ldd > /dev/null; then
        skip "no dynamic linker to ask"
    fi
    run ldd "$OTRP"
    refute_output --regexp 'libcurl|libmicrohttpd|libgnutls|libssl|libsqlite|libjwt'
    LD_DEBUG=files LD_DEBUG_OUTPUT=loaded otrp sign --key "$PKI_EC/tam/tam/tam-mytam-ec-key.pem" -o jws.json <<< '{}'
    run cat loaded.*
    assert_output --partial 'libcrypto'
    refute_output --regexp 'libcurl|libmicrohttpd|libgnutls|libssl|libsqlite|libjwt'
    assert [ -s jws.json ]
}
