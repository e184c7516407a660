# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What --help says: the commands and their options.

applets() {
    otrp help --list
}

# The commands of an applet that has some; nothing for others.
commands_of() {
    otrp help "$1" | sed -n '/^commands:/,/^$/s/^  \([a-z-]*\) .*/\1/p'
}

# The long options and the letters that --help of an applet names, all its commands together.
help_of() {
    local command commands
    commands=$(commands_of "$1")
    for command in ${commands:-''}; do
        otrp help "$1" ${commands:+"$command"}
    done
}

long_options() {
    help_of "$1" | sed -nE 's/^  (-.,|   ) (--[a-z0-9-]+).*/\2/p' | sort -u
}

letters() {
    help_of "$1" | sed -nE 's/^  (-.), --.*/\1/p' | sort -u
}
