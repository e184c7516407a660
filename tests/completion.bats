#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Completion, asked for by itself and by keys that are typed into bash and zsh.
# shellcheck disable=SC2030,SC2031 # status: set by run

load test_helper
load help/helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir path
    ln -s "$(realpath "$OTRP")" path/otrp
}

@test "both scripts parse, and bash completes every applet, command and option" {
    otrp completion bash > otrp.bash
    run bash -n otrp.bash
    assert_success
    ! command -v zsh > /dev/null || zsh -n <(otrp completion zsh)
    # shellcheck source=/dev/null
    source otrp.bash
    complete_words() {
        # shellcheck disable=SC2034 # what bash gives to a completion
        COMP_WORDS=(otrp "$@") COMP_CWORD=$#
        _otrp || true # its status says nothing
        printf '%s\n' "${COMPREPLY[@]}" | sort
    }
    run comm -23 <(applets | sort) <(complete_words '')
    assert_output ""
    local applet command
    for applet in $(applets); do
        if [ -z "$(commands_of "$applet")" ]; then
            run diff <(complete_words "$applet" --) <(long_options "$applet")
            assert_success
            continue
        fi
        run diff <(complete_words "$applet" '') <(commands_of "$applet" | sort)
        assert_success
        for command in $(commands_of "$applet"); do
            run diff <(complete_words "$applet" "$command" --) \
                <(otrp help "$applet" "$command" | sed -nE 's/^  (-.,|   ) (--[a-z0-9-]+).*/\2/p' | sort)
            assert_success
        done
    done
}

@test "bash: the words of a choice, and files where a file is meant" {
    otrp completion bash > otrp.bash
    # shellcheck source=/dev/null
    source otrp.bash
    touch key.pem
    # shellcheck disable=SC2034 # what bash gives to a completion
    COMP_WORDS=(otrp sign --serialization '') COMP_CWORD=3
    _otrp || true
    assert_equal "${COMPREPLY[*]}" "flattened compact general"
    COMP_WORDS=(otrp sign --key k)
    _otrp || true
    assert_equal "${COMPREPLY[*]}" key.pem
    # shellcheck disable=SC2034
    COMP_WORDS=(otrp make-request inst) COMP_CWORD=2
    _otrp || true
    assert_equal "${COMPREPLY[*]}" install-ta
    # each command has the algorithms that it takes
    COMP_WORDS=(otrp make-request --enc '') COMP_CWORD=3
    _otrp || true
    assert_equal "${COMPREPLY[*]}" "A128CBC-HS256 A256CBC-HS512"
    # shellcheck disable=SC2034
    COMP_WORDS=(/some/where/otrp-encrypt --enc A128) COMP_CWORD=2
    _otrp || true
    assert_equal "${COMPREPLY[*]}" "A128CBC-HS256 A128GCM"
}

@test "bash: the names in a PKI directory, broken messages, and topics of help" {
    otrp pki-init -q --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256 --tam one --tam two --out fleet
    otrp completion bash > otrp.bash
    # shellcheck source=/dev/null
    source otrp.bash
    # shellcheck disable=SC2034 # what bash gives to a completion
    COMP_WORDS=("$OTRP" make-request --pki fleet --tam '') COMP_CWORD=5
    _otrp || true
    assert_equal "${COMPREPLY[*]}" "one two"
    # shellcheck disable=SC2034
    COMP_WORDS=("$OTRP" make-request --break con) COMP_CWORD=3
    _otrp || true
    assert_equal "${COMPREPLY[*]}" "content-alg content-enc content-flattened content-key content-tag"
    # shellcheck disable=SC2034 # a colon parts words
    COMP_LINE='otrp make-request --break missing:content.sd' COMP_POINT=${#COMP_LINE}
    # shellcheck disable=SC2034
    COMP_WORDS=("$OTRP" make-request --break missing : content.sd) COMP_CWORD=5
    _otrp || true
    assert_equal "${COMPREPLY[*]}" content.sdname
    unset COMP_LINE
    # shellcheck disable=SC2034
    COMP_WORDS=("$OTRP" help ERR_SD_) COMP_CWORD=2
    _otrp || true
    assert_equal "${COMPREPLY[*]}" "ERR_SD_ALREADY_EXIST ERR_SD_ALREADY_EXISTS ERR_SD_NOT_EMPTY ERR_SD_NOT_FOUND"
}

# Lines as they are typed, with \t for the tab key, and what otrp is called with when they are
# entered, from one of each kind of thing that is completed.
typed() {
    cat << 'END'
otrp pki-in\t|pki-init
otrp make-request create\t|make-request create-sd
otrp make-request --pki pki --tam my\t|make-request --pki pki --tam mytam
otrp make-request --pki=pki --tam=oth\t|make-request --pki=pki --tam=othertam
otrp sign --seri\tcomp\t --det\t|sign --serialization compact --detached
otrp sign --serialization=gen\t|sign --serialization=general
otrp sign -s flat\t|sign -s flattened
otrp make-request --break content-al\t|make-request --break content-alg
otrp make-request --break missing:content.sdna\t|make-request --break missing:content.sdname
otrp tam-stub --fault signatu\t|tam-stub --fault signature
otrp tee-sim pro\t--sta\tdev\t|tee-sim process --state device
otrp help ERR_TA_INV\t|help ERR_TA_INVALID
otrp help polic\t|help policy
otrp help tee-sim exp\tt\t|help tee-sim export-ta
otrp verify -k pki/tam/tam/tam-mytam-rsa-pu\t|verify -k pki/tam/tam/tam-mytam-rsa-pub.jwk
otrp verify --trust=pki/ta\t|verify --trust=pki/tam
otrp pki-issue --name xyz\t|pki-issue --name xyz
otrp sign --alg ES3\t|sign --alg ES384
otrp encrypt -a RSA-OAEP-\t -e A192C\t|encrypt -a RSA-OAEP-256 -e A192CBC-HS384
otrp make-request --alg=ECDH-ES+A2\t --enc A2\t|make-request --alg=ECDH-ES+A256KW --enc A256CBC-HS512
otrp tee-sim init --algorithms RS256,RSA\t|tee-sim init --algorithms RS256,RSA1_5
otrp pki-init --ca-alg rsa-3\t --root-alg=ec-p256,rsa-4\t|pki-init --ca-alg rsa-3072 --root-alg=ec-p256,rsa-4096
otrp jwk --generate ec-p3\t|jwk --generate ec-p384
otrp make-response --error ERR_TA_I\t|make-response --error ERR_TA_INVALID
otrp verify -m TAQ\t|verify -m TAQuery
otrp tam-stub --report ju\t|tam-stub --report junit
otrp-sign --seri\tcomp\t --det\t|sign --serialization compact --detached
otrp-tee-sim pro\t--sta\tdev\t|tee-sim process --state device
otrp-make-request --pki=pki --tam=oth\t|make-request --pki=pki --tam=othertam
otrp-make-request --break missing:content.sdna\t|make-request --break missing:content.sdname
END
}

# type_into SETUP SHELL...: types the lines into the shell at a terminal. There, otrp is a function
# that notes its arguments in the file words, but answers what the completion itself asks.
type_into() {
    command -v script > /dev/null || skip "script is not installed"
    cp -r "$PKI" pki
    mkdir device
    typed | sed 's/.*|//' > expected
    {
        cat << 'END'
otrp() { case "$*" in *list|completion*) command otrp "$@" ;; *) echo "$*" >> words ;; esac; }
END
        applets | sed 's/.*/otrp-&() { otrp & "$@"; }/'
        echo "$1"
        # shellcheck disable=SC2059 # for the tabs
        printf "$(typed | sed 's/|.*//')\nexit\n"
    } > keys
    PATH=$PWD/path:$PATH TERM=dumb timeout 300 script -qec "${*:2}" /dev/null < keys > screen 3>&-
    run diff expected <(sed 's,/$,,' words) # bash has a slash behind a folder
    [ "$status" -eq 0 ] || cat screen
    assert_success
}

@test "typed into bash" {
    otrp completion bash > otrp.bash
    type_into 'source ./otrp.bash' bash --norc --noprofile -i
}

@test "typed into zsh, which finds the script in its folder of functions" {
    command -v zsh > /dev/null || skip "zsh is not installed"
    mkdir functions
    otrp completion zsh > functions/_otrp
    # shellcheck disable=SC2016 # for zsh
    type_into 'fpath=($PWD/functions $fpath); autoload -U compinit; compinit -u -D' zsh -f -i
}

@test "typed into zsh, which has read the script" {
    command -v zsh > /dev/null || skip "zsh is not installed"
    otrp completion zsh > otrp.zsh
    type_into 'autoload -U compinit; compinit -u -D; source ./otrp.zsh' zsh -f -i
}
