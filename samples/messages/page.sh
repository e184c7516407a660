#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints the section of otrp-messages(7) that shows the messages of this folder: what is signed, with
# what is encrypted opened in its place. Long values are cut, and what was shown before is left out.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
PATH=$here/../../bin:$PATH
cd "$here"

# Pretty JSON on standard input as a literal block of mdoc.
literal() {
    echo '.Bd -literal -offset indent'
    sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^\\([.']\\)/\\\\\&\\1/"
    echo '.Ed'
}

# title NAME FILE
title() {
    printf '.Pp\n.Li %s ,\n.Pa %s.json :\n' "$1" "${2//-/\\-}"
}

cut='def cut: walk(if type == "string" and length > 30 then .[:26] + "..." else . end)'
digits='gsub("-"; "+") | gsub("_"; "/") | @base64d | fromjson'

# show NAME KEY TITLE: the signed part of a message with its plaintext in place; of a device state,
# what is new to the reader.
show() {
    local plaintext='null'
    [ -z "$2" ] || plaintext=$(otrp decrypt --key "pki/$2" "$1.json")
    title "$3" "$1"
    jq --argjson plaintext "$plaintext" "$cut"';
        def seen: if .dsi.tee? then .dsi |= {tee: {sdlist: .tee.sdlist, teeaiklist: .tee.teeaiklist, "...": "..."}} else . end;
        [.[]] | .[0] | if type == "array" then .[0][] else . end | .payload | '"$digits"'
        | map_values(if .edsi then .edsi = $plaintext elif .content then .content = ($plaintext | seen) else . end)
        | cut' "$1.json" | literal
}

title CreateSDRequest create-sd-request
jq "$cut; cut" create-sd-request.json | literal
tam=tam/tam/tam-mytam-rsa-key.pem tee=tee/tee/tee-mytee-rsa-key.pem
show get-device-state-request '' 'GetDeviceStateRequest'
show get-device-state-response "$tam" 'GetDeviceStateResponse'
for name in CreateSD UpdateSD DeleteSD InstallTA UpdateTA DeleteTA; do
    file=$(sed -E 's/([a-z])([A-Z])/\1-\2/; s/.*/\L&/' <<< "$name")
    show "$file-request" "$tee" "${name}Request"
    show "$file-response" "$tam" "${name}Response"
done
for name in ta-query ta-information broker-error; do
    if [ "$name" = ta-information ]; then
        show "$name" '' TAInformation
    else
        title "$(jq -r 'keys[0]' "$name.json")" "$name"
        jq "$cut; cut" "$name.json" | literal
    fi
done
