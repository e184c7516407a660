#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# make install and make uninstall: what is put where, that it works from there, and that nothing
# else is touched. Everything is staged below a folder with a space in its name.

# shellcheck disable=SC2154 # status, output: set by run

load test_helper

variant=${VARIANT:-release}

# do_make TARGET [VARIABLE=VALUE]...: without what an outer make has left in the environment.
do_make() {
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -s -C "$ROOT" "VARIANT=$variant" "$@" 3>&-
}

setup_file() {
    export STAGE="$BATS_FILE_TMPDIR/st age"
    do_make install DESTDIR="$STAGE" PREFIX="/opt/my tools"
    export TOOLS="$STAGE/opt/my tools"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

@test "everything has its place, and only programs can be run" {
    cd "$TOOLS"
    local folder
    for folder in bin lib/otrp share/otrp/pki-templates share/man/man{1,5,7} share/doc/otrp \
        share/bash-completion/completions share/zsh/site-functions; do
        assert [ -d "$folder" ]
    done
    run diff -r "$ROOT/pki-templates" share/otrp/pki-templates
    assert_success
    run diff -r "$ROOT/samples" share/doc/otrp/samples
    assert_success
    run diff <(cd "$ROOT/man" && ls) <(find share/man -type f -printf '%f\n' | LC_ALL=C sort)
    assert_success
    run find . -type f -perm /111 ! -name '*.sh' ! -name '*.so'
    assert_output ./bin/otrp
    run find . -type f ! -perm -444
    assert_output ""
    run find . ! -type l -perm /022
    assert_output ""
}

@test "each command has its link, which is that command" {
    local applet
    while read -r applet _; do
        assert_equal "$(readlink "$TOOLS/bin/otrp-$applet")" otrp
    done < <(otrp help --list)
    run "$TOOLS/bin/otrp-sign" --help
    assert_line --partial "otrp sign"
}

@test "the installed program finds its templates and modules, also through a link and once moved" {
    mkdir -p elsewhere bin
    cp -r "$TOOLS" "elsewhere/moved tools"
    ln -s "../elsewhere/moved tools/bin/otrp" bin/otrp
    cd bin
    env -i PATH="$PWD:/usr/bin:/bin" otrp pki-init -q --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
    openssl verify -CAfile pki/tam/tam-rootca/tam-rootca-ec-cert.pem \
        -untrusted pki/tam/tam-ca/tam-ca-1-ec-cert.pem pki/tam/tam/tam-mytam-ec-cert.pem
    start_server env -i PATH="$PWD:/usr/bin:/bin" "$PWD/otrp" tam-stub --pki pki --listen 127.0.0.1:0
    env -i ./otrp send -q --url "$URL" -o gds.json
    assert_equal "$(jq -r keys[] gds.json)" GetDeviceStateRequest
    env -i ./otrp tee-sim init -q --state device --pki pki
    env -i ./otrp send -q --url "$URL" --tee device
    assert_equal "$(env -i ./otrp help policy | sed -n 's/^  man //p')" \
        "$(realpath "../elsewhere/moved tools")/share/man/man5/otrp-policy.5"
    rm "../elsewhere/moved tools/lib/otrp/sqlite.so"
    run -1 --separate-stderr env -i ./otrp tee-sim show --state device
    assert_regex "$stderr" "error: $(realpath "../elsewhere/moved tools")/lib/otrp/sqlite.so is missing.*hint: run 'make install'"
}

@test "a sample that was installed runs the otrp that was installed with it" {
    cp -r "$TOOLS" tools
    printf '#!/bin/sh\necho "not this one" >&2\nexit 99\n' > otrp
    chmod +x otrp
    run env -i PATH="$PWD:/usr/bin:/bin" tools/share/doc/otrp/samples/door-lock.sh lock
    assert_success
    otrp tee-sim export-ta --state lock/lock --taid bolt | cmp - lock/bolt-2.bin
}

@test "completion is written by the build, with another program where that cannot run, not by the installation" {
    run do_make -n install DESTDIR="$PWD/root"
    assert_success
    refute_output --partial ' completion '
    run do_make -n -W "build/$variant/bin/otrp" "build/$variant/otrp.zsh" HOST_OTRP=/native/otrp
    assert_success
    assert_output --regexp '^/native/otrp completion zsh >'
}

@test "bash completes with what was installed, where bash-completion looks for it" {
    run bash -c 'source "$1"; COMP_WORDS=(otrp pki-in) COMP_CWORD=1; _otrp; echo "${COMPREPLY[@]}"; complete -p otrp' \
        - "$TOOLS/share/bash-completion/completions/otrp"
    assert_line pki-init
    assert_line --regexp '^complete .* otrp$'
    # which looks for that of a link by its name
    run bash -c 'source "$1"; COMP_WORDS=(otrp-sign --det) COMP_CWORD=1; _otrp; echo "${COMPREPLY[@]}"; complete -p otrp-sign' \
        - "$TOOLS/share/bash-completion/completions/otrp-sign"
    assert_line -- --detached
    assert_line --regexp '^complete .* otrp-sign$'
}

@test "zsh loads the completion from its folder of functions" {
    command -v zsh > /dev/null || skip "zsh is not installed"
    # shellcheck disable=SC2016
    run env -i HOME="$PWD" PATH=/usr/bin:/bin zsh -fc \
        'fpath=("$1" $fpath); autoload -U compinit; compinit -D -u; echo ${_comps[otrp]} ${_comps[otrp-sign]}; whence -v _otrp' - \
        "$TOOLS/share/zsh/site-functions"
    assert_line "_otrp _otrp"
}

@test "uninstall takes back what install made, and nothing else" {
    local prefix="/usr/my local" top="$PWD/root/usr/my local"
    mkdir -p "$top/bin" "$top/share/man/man5" "$top/lib/otrp"
    echo theirs > "$top/bin/otrp-ish"
    echo theirs > "$top/lib/otrp/plugin.so"
    chmod -R g-s root
    find root -printf '%y %m %p\n' | LC_ALL=C sort > before
    do_make install DESTDIR="$PWD/root" PREFIX="$prefix"
    assert [ -x "$top/bin/otrp" ]
    echo "a note" > "$top/share/doc/otrp/note"
    do_make uninstall DESTDIR="$PWD/root" PREFIX="$prefix"
    run find root/usr -newer before -type f
    assert_output "root/usr/my local/share/doc/otrp/note"
    rm -r "$top/share/doc"
    find root -printf '%y %m %p\n' | LC_ALL=C sort > after
    run diff before after
    assert_success
    run do_make uninstall DESTDIR="$PWD/root" PREFIX="$prefix"
    assert_success
    assert_output --partial "nothing is installed"
}

@test "uninstall leaves nothing of a folder that was not there before" {
    do_make install DESTDIR="$PWD/root" PREFIX=/opt/otrp
    do_make uninstall DESTDIR="$PWD/root" PREFIX=/opt/otrp
    run find root
    assert_output root
}

@test "a later version takes an earlier one's place: what is no longer part of it goes" {
    local top=$PWD/root/opt/otrp
    do_make install DESTDIR="$PWD/root" PREFIX=/opt/otrp
    cp "$top/share/otrp/installed" first
    mkdir "$top/share/old"
    touch "$top/share/old/file" "$top/share/theirs"
    printf '/opt/otrp/share/old/\n/opt/otrp/share/old/file\n/opt/otrp/../../theirs\n' >> "$top/share/otrp/installed"
    touch theirs root/theirs
    do_make install DESTDIR="$PWD/root" PREFIX=/opt/otrp
    assert [ ! -e "$top/share/old" ]
    assert [ -e "$top/share/theirs" ]
    run diff <(LC_ALL=C sort first) <(LC_ALL=C sort "$top/share/otrp/installed")
    assert_success
    rm "$top/share/theirs"
    do_make uninstall DESTDIR="$PWD/root" PREFIX=/opt/otrp
    run find root
    assert_output $'root\nroot/theirs'
}

@test "an installation that failed half way is taken back, too" {
    mkdir -p root/opt/otrp/share
    touch root/opt/otrp/share/man
    run do_make install DESTDIR="$PWD/root" PREFIX=/opt/otrp
    assert_failure
    assert [ -e root/opt/otrp/bin/otrp ]
    do_make uninstall DESTDIR="$PWD/root" PREFIX=/opt/otrp
    run find root
    assert_output $'root\nroot/opt\nroot/opt/otrp\nroot/opt/otrp/share\nroot/opt/otrp/share/man'
}
