#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# bin/install-deps, with package managers that only write down what they are asked for.
# shellcheck disable=SC2016,SC2154 # scripts in quotes; stderr is set by run --separate-stderr

load test_helper

# An empty machine: the folder tools is all that is on its PATH, and has what every system has.
setup() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir tools
    local tool
    for tool in sh env sed mktemp cat chmod rm ln; do
        ln -s "$(command -v "$tool")" "tools/$tool"
    done
    script id "echo ${ID:-0}"
}

# script NAME LINE...: a command of the empty machine.
script() {
    printf '%s\n' '#!/bin/sh' "${@:2}" > "tools/$1"
    chmod +x "tools/$1"
}

# A package manager that writes its arguments to the file asked and brings all that is looked for.
manager() {
    script "$1" "echo \"$1 \$*\" >> asked" "${@:2}" \
        'printf "#!/bin/sh\necho /lib/found\n" > tools/gcc && chmod +x tools/gcc' \
        'for c in make pkg-config clang clang-format cppcheck shellcheck mandoc bash zsh bats parallel jose openssl jq sqlite3 curl valgrind xmllint xxd diff bzip2 xz strace swtpm tpm2_evictcontrol; do ln -sf ../tools/gcc "tools/$c"; done'
}

install_deps() {
    PATH=$PWD/tools run --separate-stderr sh "$ROOT/bin/install-deps" "$@"
}

@test "where nothing is missing it says nothing, and asks no package manager" {
    local name
    rm -r tools && mkdir tools
    for name in apt-get dpkg dnf rpm apk pacman brew sudo; do
        script "$name" "echo \"$name \$*\" >> asked"
    done
    PATH=$PWD/tools:$PATH run "$ROOT/bin/install-deps"
    assert_success
    assert_output ""
    assert [ ! -e asked ]
}

@test "on an empty machine it installs with apt-get, without asking anything" {
    manager apt-get '[ "$DEBIAN_FRONTEND" = noninteractive ] || exit 1' 'read -r line && exit 1'
    install_deps
    assert_success
    assert_equal "$stderr" ""
    assert_equal "${#lines[@]}" 1
    assert_regex "$output" '^install-deps: apt-get: installing gcc .*make pkg-config libssl-dev .*jose'
    run cat asked
    assert_equal "${#lines[@]}" 1
    assert_output --regexp '^apt-get install -qq --no-install-recommends gcc .*libmicrohttpd-dev .*shellcheck .*bats '
    install_deps
    assert_success
    assert_equal "$output$stderr" ""
}

@test "--build leaves the tools of tests and lint away" {
    manager apt-get
    install_deps --build
    assert_success
    run cat asked
    assert_output --partial ' libjansson-dev '
    refute_output --regexp 'bats|clang|shellcheck|jose'
}

@test "only what is missing is installed" {
    manager apt-get
    install_deps
    rm asked tools/jq tools/cppcheck
    install_deps
    assert_success
    assert_output "install-deps: apt-get: installing cppcheck jq"
}

@test "lists of packages that are too old are read anew" {
    manager apt-get 'case $1 in update) : > updated ;; install) [ -e updated ] || exit 100 ;; esac'
    install_deps
    assert_success
    assert_line --index 1 "install-deps: apt-get: reading the lists of packages anew"
    run cut -d ' ' -f 1-2 asked
    assert_output "apt-get install
apt-get update
apt-get install"
}

@test "a package that cannot be had is named" {
    manager apt-get 'case $* in *libcmocka-dev*) echo "E: no such thing"; exit 100 ;; esac'
    install_deps
    assert_failure
    assert_regex "$stderr" 'E: no such thing.install-deps: error: apt-get cannot install: libcmocka-dev$'
}

@test "a command that is missing although its package was installed is named" {
    manager apt-get
    script apt-get-all "$(cat tools/apt-get)"
    script apt-get 'tools/apt-get-all "$@"; rm tools/jose'
    install_deps
    assert_failure
    assert_equal "$stderr" "install-deps: error: still missing after the installation: jose"
}

@test "who is not root needs sudo" {
    script id 'echo 1000'
    manager apt-get
    install_deps
    assert_failure
    assert_equal "$output" ""
    assert_regex "$stderr" '^install-deps: error: not root and no sudo: install these packages first: gcc [a-z0-9 -]*$'
    assert [ ! -e asked ]
    script sudo 'echo "sudo $*" >> asked' 'exec "$@"'
    install_deps
    assert_success
    run head -n 1 asked
    assert_output --regexp '^sudo env DEBIAN_FRONTEND=noninteractive apt-get install '
}

@test "other package managers get the names that they know" {
    asks() {
        setup_again
        manager "$1"
        install_deps
        assert_success
        run cat asked
        assert_output --regexp "$2"
    }
    setup_again() {
        rm -rf tools asked
        setup
    }
    asks dnf '^dnf install -q -y gcc .*openssl-devel .*ShellCheck'
    asks apk '^apk add -q gcc .*openssl-dev .*clang-extra-tools'
    asks pacman '^pacman -S --noconfirm --needed gcc .*openssl .*cmocka'
    ID=1000
    asks brew '^brew install -q gcc .*openssl@3 .*bats-core'
}

@test "without a package manager it names what is missing" {
    install_deps --build
    assert_failure
    assert_regex "$stderr" '^install-deps: error: missing: gcc .*openssl>=3 .*; no package manager that is known'
}

@test "an option that it does not have is refused" {
    install_deps --everything
    assert_failure
    assert_equal "$stderr" "install-deps: error: usage: bin/install-deps [--build]"
}
