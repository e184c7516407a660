#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test with the builds that "make check" has made, and counts: the last line is
# "N passed, M failed". A suite that does not get to its end, and every report of a sanitizer,
# count as failures.
set -u
cd "$(dirname "$0")/.." || exit 1

# More than there are processors: a test waits for processes to begin and end half of its time.
jobs=${JOBS:-$((2 * $(nproc)))}
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
passed=0 failed=0 skipped=0

# A report goes to a file of its own: what a server or a program that a test expects to fail says
# would go unnoticed. The exit code is one that otrp does not have.
export ASAN_OPTIONS=exitcode=99:log_path=$reports/asan:detect_stack_use_after_return=1
export UBSAN_OPTIONS=exitcode=99:log_path=$reports/ubsan:print_stacktrace=1
export BATS_LIB_PATH=${BATS_LIB_PATH:-/usr/lib/bats:/usr/share/bats:/usr/local/lib/bats:/usr/local/lib:/usr/lib:/opt/homebrew/lib}

# The tests of a file one after the other, the files side by side: bats polls once a second for the
# turn of a test where those of a file run side by side.
# suite VARIANT BINARY FILE...
suite() {
    local variant=$1 tap=build/$1/tests.tap planned ok bad skip lost start=$SECONDS status=0
    OTRP=$PWD/$2 VARIANT=$variant bats --tap --jobs "$jobs" --no-parallelize-within-files \
        "${@:3}" < /dev/null > "$tap" 2>&1 ||
        status=$?
    planned=$(sed -n 's/^1\.\.\([0-9][0-9]*\)$/\1/p;T;q' "$tap")
    skip=$(grep -cE '^ok [0-9]+ .* # skip' "$tap")
    ok=$(($(grep -cE '^ok [0-9]+ ' "$tap") - skip))
    bad=$(grep -cE '^not ok [0-9]+ ' "$tap")
    lost=$((${planned:-1} - ok - bad - skip))
    awk '/^(ok|not ok) / { shown = /^not/ } shown' "$tap"
    if ((lost > 0 || (status && !bad))); then
        echo "$variant: the suite did not get to its end (exit code $status); its last lines:"
        tail -n 20 "$tap"
        ((lost > 0)) || lost=1
    else
        lost=0
    fi
    awk '/^ok .* # skip/' "$tap"
    echo "$variant: $ok passed, $((bad + lost)) failed, $skip skipped in $((SECONDS - start)) s"
    passed=$((passed + ok)) failed=$((failed + bad + lost)) skipped=$((skipped + skip))
}

# the longest first, so that they are not what is left at the end
longest="break|message|tee_commands|tee|response|tee_fault|jose_strict|jose_rfc|samples|send|profile|tee_model|readme"
mapfile -t files < <(printf '%s\n' tests/*.bats | grep -E "/($longest)\.bats$"
    printf '%s\n' tests/*.bats | grep -vE "/($longest)\.bats$")
suite release bin/otrp "${files[@]}"
suite clang build/clang/bin/otrp tests/unit.bats
# what looks at sources and texts, or builds and installs by itself, needs no second time
mapfile -t sanitized < <(printf '%s\n' "${files[@]}" |
    grep -vE '/(install.*|layers|man|help|completion)\.bats$')
suite asan build/asan/bin/otrp "${sanitized[@]}"

for report in "$reports"/*; do
    [ -e "$report" ] || continue
    echo "$report:"
    cat "$report"
    # nothing in it: a test has killed who was about to write it
    [ ! -s "$report" ] || failed=$((failed + 1))
done

echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
