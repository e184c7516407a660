#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The commands of README.md, as pasted, in their order.

load test_helper

# The indented lines of README.md that are commands: from the tour to the clean-up, without the build.
commands() {
    # shellcheck disable=SC2016 # a backquote of the page
    sed -n '/^## A tour/,/^`bin\/otrp` alone/p' "$ROOT/README.md" | sed -n 's/^    //p' | grep -vx make
}

@test "the README's tour, factory, protocol and field run as pasted, and clean up" {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir bin
    ln -s "$OTRP" bin/otrp
    cp -r "$ROOT/samples" samples
    # an address and ports that no other test has
    local at port=$((20000 + RANDOM % 10000))
    at=127.$((1 + RANDOM % 254)).$((1 + RANDOM % 254)).$((1 + RANDOM % 254))
    {
        echo 'set -euo pipefail'
        echo "trap 'for p in \$(jobs -p); do kill \$p 2> /dev/null || :; done' EXIT"
        commands | sed "s/127\.0\.0\.1:8080/$at:$port/g; s/127\.0\.0\.1:8081/$at:$((port + 1))/g"
    } > tour.sh
    run --separate-stderr timeout 600 bash tour.sh
    # shellcheck disable=SC2154 # set by run
    [ "$status" = 0 ] || fail "$output$stderr"
    run grep -c 'exit code 8' <<< "$output"
    assert_output 2 # the replayed message and the one that is broken
    assert_equal "$(find . -mindepth 1 -maxdepth 1 | sed /separate-stderr/d | sort | tr '\n' ' ')" './bin ./samples ./tour.sh '
}
