#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Command lines: what all applets have in common.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    KEY=$PKI_EC/tam/tam/tam-mytam-ec-key.pem
}

# Every command line that has options of its own, one a line: "sign", "tee-sim process".
commands() {
    local name
    otrp help --list | while read -r name; do
        if otrp "$name" --help | grep -q '^commands:$'; then
            otrp "$name" --help | sed -n "/^commands:\$/,/^\$/s/^  \([a-z-]*\) .*/$name \1/p"
        else
            echo "$name"
        fi
    done
}

# refused STDERR ARGUMENT...: a usage error with that on standard error, and nothing else.
refused() {
    run --separate-stderr otrp "${@:2}"
    assert_equal "$status" 2
    assert_equal "$output" ""
    assert_equal "$stderr" "$1"
}

@test "without an argument, otrp lists its commands in groups" {
    run --separate-stderr otrp
    assert_success
    assert_equal "$stderr" ""
    for group in Provision Make Look Simulate 'About itself'; do assert_line "$group"; done
    for name in $(otrp help --list); do assert_line --regexp "^  $name  *[A-Z]"; done
    assert_equal "$output" "$(otrp --help)"
    assert_equal "$output" "$(otrp -h)"
    assert_equal "$output" "$(otrp help)"
    refute_line --regexp '.{81}'
}

@test "--version" {
    run --separate-stderr otrp --version
    assert_success
    assert_output --regexp '^otrp [0-9]+\.[0-9]+\.[0-9]+$'
    assert_equal "$stderr" ""
}

@test "an unknown command is refused, with the nearest one" {
    refused "otrp: error: there is no command 'sing'
hint: did you mean 'sign'?" sing
    refused "otrp: error: there is no command 'decript'
hint: did you mean 'decrypt'?" decript --key x
    refused "otrp: error: there is no command 'xyzzy'
hint: 'otrp --help' lists them" xyzzy
    refused "otrp tee-sim: error: there is no command 'proces'
hint: did you mean 'process'?" tee-sim proces
    refused "otrp: error: there is no command ''
hint: 'otrp --help' lists them" ''
    refused "otrp: error: there is no option '--verson'
hint: did you mean '--version'?" --verson
    refused "otrp: error: there is no option '-x'
hint: 'otrp --help' lists the commands" -x
}

@test "an unknown option is refused by every command, on standard error only" {
    while read -r -a words; do
        refused "otrp ${words[*]}: error: unknown option --no-such-option
hint: --help lists the options" "${words[@]}" --no-such-option
        run --separate-stderr otrp "${words[@]}" --no-such-option=x --help
        assert_equal "$status" 2
        assert_equal "$output" ""
    done < <(commands)
}

@test "the nearest option is named" {
    refused "otrp sign: error: unknown option --kye
hint: did you mean --key?" sign --kye x
    refused "otrp sign: error: unknown option --serialisation
hint: did you mean --serialization?" sign --key "$KEY" --serialisation compact
    refused "otrp pki-init: error: unknown option --root_alg
hint: did you mean --root-alg?" pki-init --root_alg=ec-p256
    refused "otrp sign: error: unknown option -z
hint: --help lists the options" sign -z
}

@test "a value stands behind = or as a word of its own, with a letter right behind it too" {
    for form in "--key=$KEY" "--key $KEY" "-k$KEY" "-k $KEY"; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr otrp sign $form --serialization=compact <<< '{}'
        assert_success
        assert_equal "$(cut -d. -f1-2 <<< "$output")" eyJhbGciOiJFUzI1NiJ9.e30K
    done
}

@test "options stand before or after operands, and -- ends them" {
    echo '{}' > payload.json
    cp payload.json ./--detached
    for line in "payload.json -k $KEY -s compact" "-k $KEY payload.json -s compact" "-k $KEY -s compact payload.json" \
        "-k $KEY -s compact -- payload.json" "-k $KEY -s compact -- --detached"; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr otrp sign $line
        assert_success
        assert_equal "$(cut -d. -f1-2 <<< "$output")" eyJhbGciOiJFUzI1NiJ9.e30K
    done
    refused "otrp sign: error: unexpected operand 'two'
hint: --help shows what the command takes" sign -k "$KEY" payload.json two
}

@test "- is standard input and standard output" {
    run --separate-stderr otrp sign -k "$KEY" -s compact -o - - <<< '{}'
    assert_success
    assert_equal "$(cut -d. -f1-2 <<< "$output")" eyJhbGciOiJFUzI1NiJ9.e30K
    assert [ ! -e ./- ]
}

@test "a missing value, a missing option and a value too many are refused" {
    refused "otrp sign: error: --key needs a value (KEY)" sign --key
    refused "otrp sign: error: -o needs a value (FILE)" sign -k "$KEY" -o
    run --separate-stderr otrp sign payload.json
    assert_equal "$status" 2
    assert_regex "$stderr" '^otrp sign: error: --key KEY is missing: private key.*hint: --help shows examples$'
    refused "otrp sign: error: --detached takes no value" sign -k "$KEY" --detached=yes
    run --separate-stderr otrp pki-ocsp --pki "$PKI_EC"
    assert_equal "$status" 2
    assert_regex "$stderr" '^otrp pki-ocsp: error: CERT is missing'
}

@test "what can be given once is refused when it is given twice" {
    refused "otrp sign: error: --alg is given twice" sign -k "$KEY" --alg ES256 --alg ES256
    refused "otrp sign: error: --serialization is given twice" sign -k "$KEY" -s compact --serialization compact
    refused "otrp pki-init: error: --jobs is given twice" pki-init -j 2 --jobs 2
    run otrp pki-init --dry-run --dry-run -q --quiet --sp a --sp b
    assert_success
}

@test "numbers have a range, and are numbers" {
    for number in 0 -1 1.5 x '' 0x1 ' 1' 1e3 99999999999999999999; do
        run --separate-stderr otrp pki-ocsp --pki "$PKI_EC" --days "$number" cert.pem
        assert_equal "$status" 2
        assert_equal "$output" ""
        assert_equal "$stderr" "otrp pki-ocsp: error: --days: '$number' is not a whole number from 1 to 3650"
    done
}

@test "choices are named" {
    refused "otrp sign: error: --serialization: 'compakt' is none of the choices
hint: did you mean 'compact'?" sign -k "$KEY" --serialization compakt
    refused "otrp sign: error: --color: 'mauve' is none of the choices
hint: choose from auto, always, never" sign -k "$KEY" --color=mauve
}

@test "every command has --help on standard output, with two examples or more" {
    while read -r -a words; do
        run --separate-stderr otrp "${words[@]}" --help
        assert_success
        assert_equal "$stderr" ""
        assert_line --index 0 --regexp '^[A-Z].*[^.]$'
        assert_line --regexp "^usage: otrp ${words[*]}( |\$)"
        assert_line --regexp '^examples:$'
        examples=$(sed '1,/^examples:$/d' <<< "$output")
        assert [ "$(grep -c . <<< "$examples")" -ge 2 ]
        refute grep -v "^  \(.*[|] \)\?otrp ${words[*]}\( \|\$\)" <<< "$examples"
        assert_equal "$output" "$(otrp "${words[@]}" -h)"
        assert_equal "$output" "$(otrp help "${words[@]}")"
    done < <(commands)
}

@test "a command of commands lists them, also in help" {
    run --separate-stderr otrp tee-sim --help
    assert_success
    assert_line --regexp '^  process  +[A-Z]'
    assert_equal "$output" "$(otrp help tee-sim)"
}

@test "--help asks for nothing else, and leaves everything as it is" {
    run --separate-stderr otrp sign --help
    assert_success
    mkdir work && cd work
    run otrp pki-init --out pki --help
    assert_success
    run find . -mindepth 1
    assert_output ""
}

@test "every option of a table is in --help" {
    local table
    for name in $(otrp help --list); do
        table=$ROOT/src/applets/${name//-/_}.c
        help=$(commands | grep -x -e "$name" -e "$name .*" | while read -r -a words; do otrp "${words[@]}" --help; done)
        while read -r option; do
            grep -qE -e "^  (-.,|   ) --$option( |\$)" <<< "$help" || fail "$name --help does not have --$option"
        done < <(grep -oE 'OPT_(TEXT|FLAG|LIST|NUMBER|CHOICE)\([a-z_]+, [a-z_0-9]+' "$table" |
            sed 's/.*, //; s/_$//; s/_/-/g' | grep -vxE 'mdoc|names' | # those are hidden
            { [ "$name" = completion ] && grep -vx pki || cat; })
    done
}

@test "help lines fit a terminal of 80 columns, but for examples, which are for pasting" {
    while read -r -a words; do
        run bash -c '"$@" | sed "/^examples:$/,\$d" | grep -E ".{81}"' - "$OTRP" "${words[@]}" --help
        assert_output ""
    done < <(commands)
}

@test "a link named otrp-APPLET is that applet" {
    while read -r name; do
        ln -s "$OTRP" "otrp-$name"
        run --separate-stderr "./otrp-$name" --help
        assert_success
        assert_equal "$output" "$(otrp "$name" --help)"
    done < <(otrp help --list)
    run --separate-stderr ./otrp-sign -k "$KEY" --serialization compact <<< '{}'
    assert_success
    assert_equal "$(cut -d. -f1-2 <<< "$output")" eyJhbGciOiJFUzI1NiJ9.e30K
    run --separate-stderr ./otrp-sign --kye
    assert_equal "$status" 2
    assert_regex "$stderr" '^otrp sign: error: unknown option --kye'
    ln -s "$OTRP" otrp-xyzzy
    run --separate-stderr ./otrp-xyzzy
    assert_equal "$status" 2
    assert_regex "$stderr" "there is no command 'xyzzy'"
}

@test "the build has a link for every applet" {
    for name in $(otrp help --list); do
        assert_equal "$(readlink "$ROOT/bin/otrp-$name")" otrp
    done
}

@test "with --json an error is a line of JSON on standard error" {
    local found=0
    while read -r -a words; do
        otrp "${words[@]}" --help | grep -q '^ *--json ' || continue
        found=$((found + 1))
        for order in '--json --no-such-option' '--no-such-option --json'; do
            # shellcheck disable=SC2086 # words
            run --separate-stderr otrp "${words[@]}" $order
            assert_equal "$status" 2
            assert_equal "$output" ""
            assert_equal "$(jq -c '.error | [.applet, .exit, .class, .message]' <<< "$stderr")" \
                "[\"${words[*]}\",2,\"usage\",\"unknown option --no-such-option\"]"
        done
    done < <(commands)
    assert [ "$found" -gt 0 ]
}

@test "terminal escapes of an argument do not reach the terminal" {
    local bad=$'\e]0;title\a\e[31m\x7f\u009b2J' file
    for words in "sign -k" "verify --key" "decrypt -k" "jwk" "pki-ocsp --pki x --days" "help" "sign -k $KEY --alg"; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr otrp $words "$bad" < /dev/null
        assert_equal "$status" 2
        assert_equal "$output" ""
        assert [ "$(tr -d '\n' <<< "$stderr" | LC_ALL=C grep -c '[[:cntrl:]]')" = 0 ]
        refute_regex "$stderr" $'\u009b'
        assert_regex "$stderr" '\\x1b'
    done
    file=$bad.json
    echo '{' > "$file"
    run --separate-stderr otrp verify --key "$KEY" "$file"
    assert_equal "$status" 6
    refute_regex "$stderr" $'\e'
    printf '{"\e[31m":1,"\\u001b[31m":2}' > twice.json
    run --separate-stderr otrp verify --key "$KEY" twice.json
    assert_equal "$status" 6
    refute_regex "$stderr" $'\e'
}

@test "colour is for terminals, or when it is asked for" {
    run --separate-stderr otrp sign --nothing
    refute_regex "$stderr" $'\e'
    run --separate-stderr otrp sign --color=always --nothing
    assert_regex "$stderr" $'\e\\[1;31merror:\e\\[0m'
    NO_COLOR=1 run --separate-stderr otrp sign --color=never --nothing
    refute_regex "$stderr" $'\e'
}

@test "help for what there is not names what is near, in capitals or not" {
    local word meant
    while read -r word meant; do
        run --separate-stderr otrp help "$word"
        assert_equal "$status" 2
        assert_equal "$output" ""
        assert_regex "$stderr" "hint: did you mean '$meant'\\?"
    done << 'END'
ERR_TA_INVALD ERR_TA_INVALID
err_ta_invald ERR_TA_INVALID
EXIT-CODES exit-codes
creat-sd create-sd
CreateSDReqest CreateSDRequest
inspekt inspect
erors errors
END
    run --separate-stderr otrp help 'something else altogether'
    assert_equal "$status" 2
    assert_regex "$stderr" 'hint: topics are the commands, exit-codes, errors,'
}

@test "help knows the exit codes, the algorithms and the error codes" {
    run --separate-stderr otrp help exit-codes
    assert_success
    assert_equal "$(cut -c 1-13 <<< "$output" | tr -s ' ' | sed 's/ $//')" "0 ok
1 internal
2 usage
3 signature
4 untrusted
5 decrypt
6 malformed
7 transport
8 peer
9 partial"
    run otrp help algorithms
    for alg in RS256 ES256 RSA1_5 ECDH-ES+A128KW A128CBC-HS256; do
        assert_line --regexp "^${alg//+/\\+} .*RFC 7518 section [0-9.]+\$"
    done
    run otrp help ERR_DEV_STATE_MISMATCH
    assert_success
    assert_output --partial 'Sent by'
    # one a line, and each is explained
    otrp help errors > codes
    assert_equal "$(cut -d' ' -f1 codes)" "$(sed -n 's/^CODE(\([A-Z_]*\),.*/ERR_\1/p' "$ROOT/src/otrp/error_code.def")"
    assert_equal "$(grep -vcE '^ERR_[A-Z_]+ +[^ ]' codes)" 0
    assert_equal "$(grep '^ERR_SD_NOT_FOUND ' codes | tr -s ' ' | cut -d' ' -f2-)" \
        "$(otrp help ERR_SD_NOT_FOUND | sed -n '1s/^ERR_SD_NOT_FOUND: //p')"
    run --separate-stderr otrp help ERR_NO_SUCH_CODE
    assert_equal "$status" 2
    assert_equal "$output" ""
}

@test "help and version that cannot be written say so" {
    for command in --version 'sign --help' 'tee-sim --help' 'tee-sim init --help' 'help exit-codes'; do
        # shellcheck disable=SC2016,SC2086 # bash expands; words
        run --separate-stderr bash -c '"$0" "$@" > /dev/full' "$OTRP" $command
        assert_equal "$status" 1
        assert_regex "$stderr" '^otrp.*: error: cannot write to standard output: No space left on device$'
    done
}

# typed SOURCE SIGN...: signs, with these options, at a terminal what comes slowly from a command, and
# prints what the terminal was sent.
typed() {
    script -qefc "$1 | '$OTRP' sign -k '$KEY' -o signed.json -f ${*:2}" typescript < /dev/null > /dev/null
    sed '1d;$d' typescript # when it began and ended
}

@test "long work shows on a terminal how far it is, and on nothing else" {
    # a byte at a time, until it is shown
    run typed "timeout 60 sh -c 'until grep -qs readin[g]: typescript; do echo; done'"
    assert_success
    assert_output --partial 'reading: '
    assert_output --partial ' MB/s'
    assert_equal "${output: -3}" $'\e[K' # the line is gone at the end
    local slow='timeout 1.5 dd if=/dev/zero bs=1 2> /dev/null'
    run typed "$slow" -q
    assert_success
    assert_output ''
    run typed "$slow" '2> said'
    assert_success
    assert_output ''
    assert_equal "$(cat said)" ''
    # what is done at once does not flicker
    run typed 'echo fast'
    assert_success
    assert_output ''
}
