#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Messages: made by make-request, judged by verify, refused by a device row by row. jq, jose and
# openssl are the witnesses.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr
# shellcheck disable=SC2030,SC2031 # every test has variables of its own

load test_helper
load tee/helper

setup_file() {
    furnish
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# ---- make-request ----

# The names of the members of a JSON object on standard input.
names() {
    jq -c keys
}

@test "make-request: each type under its own names, signed by the TAM, whose chain goes along" {
    for kind in rsa ec; do
        take filled $kind
        local type name fields alg=eyJhbGciOiJSUzI1NiJ9
        [ $kind = rsa ] || alg=eyJhbGciOiJFUzI1NiJ9
        while read -r type name fields; do
            # shellcheck disable=SC2086
            request "$type" $fields > request.json
            assert_equal "$(jq -c '[keys, (.[] | keys), (.[].header | keys), .[].protected]' request.json)" \
                "[[\"${name}Request\"],[\"header\",\"payload\",\"protected\",\"signature\"],[\"x5c\"],\"$alg\"]"
            assert_equal "$(jq -r '.[].header.x5c[]' request.json)" \
                "$(der "$TAM-cert.pem"; echo; der "$P/tam/tam-ca/tam-ca-1-ec-cert.pem")"
            assert_equal "$(payload request.json | names)" "[\"${name}TBSRequest\"]"
            signed_by "$TAM-cert.pem" request.json
            accepted request.json
            assert_equal "$(jq -r 'keys[0]' answer.json)" "${name}Response"
        done << 'END'
get-device-state GetDeviceState
create-sd CreateSD --sp ybank --sdname new
update-sd UpdateSD --spid ybank --sdname new --newsdname newer
install-ta InstallTA --sp ybank --sdname newer --taid t --ta ta.bin
update-ta UpdateTA --sp ybank --sdname newer --taid t --ta ta.bin
delete-ta DeleteTA --sdname newer --taid t
delete-sd DeleteSD --sdname newer
END
    done
}

@test "make-request: the members of the TBS and of the content" {
    for kind in rsa ec; do
        take filled $kind
        local type fields tbs content common='"content","dsihash","nextdsi","ocspdat","rid","tee","tid","ver"'
        while IFS='|' read -r type fields tbs content; do
            # shellcheck disable=SC2086
            request $type $fields > request.json
            assert_equal "$(tbs request.json | names)" "${tbs/COMMON/$common}"
            assert_equal "$(plaintext request.json "$TEE-key.jwk" | jq -cS 'del(.spcert, .did, .changes.spcert)')" "$content"
        done << 'END'
create-sd|--sp ybank --sdname s|[COMMON]|{"sdname":"s","spid":"ybank","tamid":"mytam"}
update-sd|--spid xbank --sdname sd-1|[COMMON]|{"changes":{},"sdname":"sd-1","spid":"xbank","tamid":"mytam"}
update-sd|--spid xbank --sdname sd-1 --newsdname n --newspid m --renew-aik|[COMMON]|{"changes":{"newsdname":"n","newspid":"m","renewteespaik":true},"sdname":"sd-1","spid":"xbank","tamid":"mytam"}
delete-sd|--sdname s|[COMMON]|{"deleteta":false,"sdname":"s","tamid":"mytam"}
delete-sd|--sdname s --delete-ta|[COMMON]|{"deleteta":true,"sdname":"s","tamid":"mytam"}
install-ta|--sp xbank --sdname s --taid t --taname N --ta ta.bin|["content","dsihash","encrypted_ta","nextdsi","ocspdat","rid","tee","tid","ver"]|{"sdname":"s","spid":"xbank","taid":"t","tamid":"mytam","taname":"N"}
update-ta|--sp xbank --sdname s --taid t --ta ta.bin|["content","dsihash","encrypted_ta","nextdsi","ocspdat","rid","tee","tid","ver"]|{"sdname":"s","spid":"xbank","taid":"t","tamid":"mytam"}
delete-ta|--sdname s --taid t|[COMMON]|{"sdname":"s","taid":"t","tamid":"mytam"}
END
    done
}

@test "make-request: certificates and did in the content, tee, dsihash and ocspdat in the TBS" {
    for kind in rsa ec; do
        take filled $kind
        request create-sd --sp ybank --sdname s > request.json
        plaintext request.json "$TEE-key.jwk" > plain.json
        assert_equal "$(jq -r .spcert plain.json)" "$(der "$SP2-cert.pem")"
        assert_equal "$(jq -r .did plain.json)" "$(did "$TEE-cert.pem")"
        assert_equal "$(tbs request.json | jq -c '[.ver, .tee, .nextdsi]')" '["1.0","mytee",true]'
        assert_equal "$(tbs request.json | jq -r .dsihash)" \
            "$(dsi state.json | jq -cjS '{dsi: .}' | openssl sha256 -binary | base64)"
        assert_equal "$(tbs request.json | jq -c .ocspdat)" "$(jq -c . "$TAM-ocsp.json")"
        request update-sd --spid xbank --sdname sd-1 --add-spcert "$SP2-cert.pem" --add-spcert "$SP-cert.pem" \
            --del-spcert "$SP-cert.pem" > request.json
        assert_equal "$(plaintext request.json "$TEE-key.jwk" | jq -r '.changes | .spcert[], .deloldspcert[]')" \
            "$(der "$SP2-cert.pem"; echo; der "$SP-cert.pem"; echo; sha256_hex "$SP-cert.pem")"
        assert_equal "$(request create-sd --sp ybank --sdname s --no-nextdsi --tbs | jq -c '.[].nextdsi')" false
    done
}

@test "make-request get-device-state has ver, rid, tid and ocspdat, and nothing secret" {
    take blank
    request get-device-state > request.json
    assert_equal "$(tbs request.json | names)" '["ocspdat","rid","tid","ver"]'
    request get-device-state > again.json
    local ids
    ids=$(cat request.json again.json > both.json; for f in request again; do tbs $f.json | jq -r '.rid, .tid'; done)
    assert_equal "$(sort -u <<< "$ids" | grep -cE '^[A-Za-z0-9_-]{22}$')" 4
    assert_equal "$(tbs <(request get-device-state --rid 'my rid' --tid 'my tid') | jq -c '[.rid, .tid]')" '["my rid","my tid"]'
    otrp make-request get-device-state --tam-key "$TAM-key.pem" --tam-cert "$TAM-cert.pem" > request.json
    assert_equal "$(tbs request.json | jq -c .ocspdat)" '[]'
    assert_equal "$(jq '.[].header.x5c | length' request.json)" 1
    # which lacks its CA, and that is said: for sure where the roots are known
    local tam=(--tam-key "$TAM-key.pem" --tam-cert "$TAM-cert.pem" --ocsp "$TAM-ocsp.json")
    run --separate-stderr otrp make-request get-device-state "${tam[@]}"
    assert_regex "$stderr" "^otrp make-request: note: $TAM-cert.pem: only the certificate of CN=mytam,[^ ]*: that of its issuer, CN=TAM CA 1,"
    run --separate-stderr otrp make-request get-device-state --pki "$P" "${tam[@]}"
    assert_regex "$stderr" "^otrp make-request: warning: $TAM-cert.pem: the certificate of CN=TAM CA 1,.* is not in it: devices will refuse"
    tam[3]=$TAM-cert-plus-intermediate-cert.pem
    run --separate-stderr otrp make-request get-device-state --pki "$P" "${tam[@]}"
    assert_equal "$stderr" ""
    run --separate-stderr otrp make-request get-device-state --pki "$P" --save-cek cek.jwk
    assert_equal "$status $output" "2 "
}

# A DSI of a device with the SP AIKs of which the files aik-rsa.pem and aik-ec.pem are the private keys.
own_dsi() {
    openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out aik-rsa.pem 2> /dev/null
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out aik-ec.pem
    jq -c --arg pkcs1 "$(openssl rsa -in aik-rsa.pem -RSAPublicKey_out -outform DER 2> /dev/null | base64 -w 0)" \
        --arg spki "$(openssl rsa -in aik-rsa.pem -pubout -outform DER 2> /dev/null | base64 -w 0)" \
        --arg ec "$(openssl pkey -in aik-ec.pem -pubout -outform DER | base64 -w 0)" '
        {dsi: (.tee.teeaiklist = [{spid: "xbank", spaiktype: "RSA", spaik: $pkcs1},
            {spid: "rsabank", spaiktype: "RSA", spaik: $spki}, {spid: "ybank", spaiktype: "ECC", spaik: $ec}])}' \
        <(dsi state.json)
}

@test "make-request: a TA travels signed by its SP, under a fresh key that the SP AIK opens" {
    take filled
    own_dsi > own.json
    local spid key type
    while read -r spid key type; do
        KNOWN=own.json request "$type" --sp xbank --spid "$spid" --sdname s --taid t --taver 3 --ta ta.bin \
            --pdata pdata.bin > request.json
        tbs request.json | jq -c .encrypted_ta > ta.json
        local data=ciphertadata pdata=cipherpdata
        [ "$type" = install-ta ] || data=ciphernewtadata pdata=ciphernewpdata
        assert_equal "$(names < ta.json)" "[\"alg\",\"$pdata\",\"$data\",\"iv\",\"key\"]"
        assert_equal "$(jq -r '.alg, (.key | keys - ["protected","recipients","iv","ciphertext","tag"] | length)' ta.json)" $'AESCBC\n0'
        jq -r .iv ta.json >> ivs.txt
        otrp jwk "aik-$key.pem" > aik.jwk
        jq -c .key ta.json | jose jwe dec -i- -k aik.jwk > key.bin
        hex < key.bin >> keys.txt
        echo >> keys.txt
        assert_equal "$(wc -c < key.bin)" 32
        jq -r ".$data" ta.json | base64 -d |
            openssl enc -d -aes-256-cbc -K "$(hex < key.bin)" -iv "$(jq -r .iv ta.json)" > package.json
        run jose jws ver -i package.json -k "$SP-pub.jwk" -O code.bin
        assert_success
        run cmp code.bin ta.bin
        assert_success
        assert_equal "$(jq -r .protected package.json | jose b64 dec -i- | jq -cS .)" '{"alg":"RS256","taid":"t","taver":3}'
        assert_equal "$(jq -r '.header.x5c[0]' package.json)" "$(der "$SP-cert.pem")"
        jq -r ".$pdata" ta.json | base64 -d |
            openssl enc -d -aes-256-cbc -K "$(hex < key.bin)" -iv "$(jq -r .iv ta.json)" > data.bin
        run cmp data.bin pdata.bin
        assert_success
    done << 'END'
xbank rsa install-ta
rsabank rsa install-ta
ybank ec install-ta
xbank rsa update-ta
END
    assert_equal "$(sort -u ivs.txt | grep -cxE '[0-9a-f]{32}')" 4
    assert_equal "$(sort -u keys.txt | wc -l)" 4
}

@test "make-request passes on a TA package that its SP has signed, byte for byte" {
    take filled
    own_dsi > own.json
    otrp sign --key "$SP2-key.pem" --serialization compact --protected '{"taid":"t"}' ta.bin -o package.jws
    KNOWN=own.json request install-ta --spid xbank --sdname s --taid t --ta package.jws > request.json
    tbs request.json | jq -c .encrypted_ta > ta.json
    otrp jwk aik-rsa.pem > aik.jwk
    jq -c .key ta.json | jose jwe dec -i- -k aik.jwk > key.bin
    jq -r .ciphertadata ta.json | base64 -d |
        openssl enc -d -aes-256-cbc -K "$(hex < key.bin)" -iv "$(jq -r .iv ta.json)" > out.jws
    run cmp out.jws package.jws
    assert_success
    run --separate-stderr request install-ta --spid xbank --sdname s --taid t --ta ta.bin
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" 'not a TA package signed by an SP'
}

@test "make-request: --alg, --enc and --cek say how content is encrypted" {
    take filled ec
    local alg enc
    for alg in ECDH-ES+A128KW ECDH-ES+A256KW; do
        for enc in A128CBC-HS256 A256CBC-HS512; do
            request create-sd --sp ybank --sdname "$alg $enc" --alg $alg --enc $enc > request.json
            assert_equal "$(tbs request.json | jq -c '[.content.recipients[0].header.alg, (.content.protected | length)]')" \
                "[\"$alg\",$(printf '{"enc":"%s"}' $enc | base64url_encode | wc -c)]"
            assert_equal "$(plaintext request.json "$TEE-key.jwk" | jq -r .sdname)" "$alg $enc"
        done
    done
    accepted request.json
    jose jwk gen -i '{"kty":"oct","bytes":32}' -o own.jwk
    request create-sd --sp ybank --sdname own --cek own.jwk --save-cek same.jwk > request.json
    assert_equal "$(jq -r .k same.jwk)" "$(jq -r .k own.jwk)"
    assert_equal "$(stat -c %a same.jwk)" 600
    tbs request.json | jq -c '.content | {protected, iv, ciphertext, tag, header: {alg: "dir"}}' > direct.json
    run jose jwe dec -i direct.json -k own.jwk
    assert_equal "$(jq -r .sdname <<< "$output")" own
    accepted request.json
    for wrong in '--alg RSA1_5' '--alg dir' '--alg ECDH-ES' '--alg A128KW' '--enc A128XYZ' '--cek own.jwk --enc A256CBC-HS512'; do
        # shellcheck disable=SC2086
        run --separate-stderr request create-sd --sp ybank --sdname x $wrong
        assert_equal "$wrong: $status $output" "$wrong: 2 "
    done
}

@test "make-request: --set and --unset change the TBS or the content, --tbs shows both" {
    take filled
    local base=(create-sd --sp ybank --sdname s --rid r --tid t --unset ocspdat)
    run --separate-stderr request "${base[@]}" --tbs
    assert_success
    cat <<< "$output" > tbs.json
    assert_equal "$(jq -c '[keys, (.[] | keys), (.[].content | keys)]' tbs.json)" \
        '[["CreateSDTBSRequest"],["content","dsihash","nextdsi","rid","tee","tid","ver"],["did","sdname","spcert","spid","tamid"]]'
    request "${base[@]}" --tbs --set more=1 --set 'a.b="x"' --set text=plain --set 'content.did=null' \
        --set 'content.list=[1,2]' --unset tee --unset content.spid > changed.json
    assert_equal "$(jq -c '.[] | [.more, .a, .text, has("tee"), .content.did, .content.list, (.content | has("spid"))]' changed.json)" \
        '[1,{"b":"x"},"plain",false,null,[1,2],false]'
    request "${base[@]}" --set more=1 --set 'content.more=2' --unset content.did > request.json
    signed_by "$TAM-cert.pem" request.json
    assert_equal "$(tbs request.json | jq .more)" 1
    assert_equal "$(plaintext request.json "$TEE-key.jwk" | jq -c '[.more, has("did")]')" '[2,false]'
    for wrong in '--set x' '--unset nothing' '--unset content.nothing' '--set =1' '--set a[=1'; do
        # shellcheck disable=SC2086
        run --separate-stderr request "${base[@]}" $wrong
        assert_equal "$wrong: $status $output" "$wrong: 2 "
    done
}

@test "make-request: --template needs no keys and has every member" {
    local type
    for type in get-device-state create-sd update-sd delete-sd install-ta update-ta delete-ta ta-query; do
        run --separate-stderr otrp make-request $type --template
        assert_equal "$type $status" "$type 0"
        cat <<< "$output" > $type.json
    done
    assert_equal "$(jq -c '[keys[0], (.[].content | keys)]' create-sd.json)" \
        '["CreateSDTBSRequest",["did","sdname","spcert","spid","tamid"]]'
    assert_equal "$(jq -c '.[].content.changes | keys' update-sd.json)" \
        '["deloldspcert","newsdname","newspid","renewteespaik","spcert"]'
    assert_equal "$(jq -c '.[].encrypted_ta | keys' install-ta.json)" '["alg","cipherpdata","ciphertadata","iv","key"]'
    assert_equal "$(jq -c '.[].encrypted_ta | keys' update-ta.json)" '["alg","ciphernewpdata","ciphernewtadata","iv","key"]'
    assert_equal "$(jq -c '[keys[0], (.[] | keys)]' get-device-state.json)" \
        '["GetDeviceStateTBSRequest",["ocspdat","rid","supportedsigalgs","tid","ver"]]'
    assert_equal "$(jq -c '[keys[0], (.[] | keys)]' ta-query.json)" '["TAQuery",["nonce","spid","taid","tamid"]]'
}

@test "make-request ta-query" {
    run --separate-stderr otrp make-request ta-query --spid xbank --taid demo
    assert_success
    assert_equal "$(jq -cS . <<< "$output")" '{"TAQuery":{"spid":"xbank","taid":"demo"}}'
    run --separate-stderr otrp make-request ta-query --spid xbank --taid demo --nonce n --tamid m
    assert_equal "$(jq -cS . <<< "$output")" '{"TAQuery":{"nonce":"n","spid":"xbank","taid":"demo","tamid":"m"}}'
    run --separate-stderr otrp make-request ta-query --spid xbank
    assert_equal "$status $output" "2 "
    run --separate-stderr otrp make-request ta-query --spid xbank --taid demo --set nonce=7 --set more.x=true --unset spid
    assert_equal "$(jq -cS . <<< "$output")" '{"TAQuery":{"more":{"x":true},"nonce":7,"taid":"demo"}}'
    run --separate-stderr otrp make-request ta-query --spid xbank --taid demo --unset nonce
    assert_equal "$status $output" "2 "
}

@test "make-request: the device's state comes from any answer that has one, or by itself" {
    take filled
    local hash file
    accepted request get-device-state
    dsi | jq -cjS '{dsi: .}' > plain.json
    hash=$(openssl sha256 -binary < plain.json | base64)
    for file in answer.json plain.json; do
        assert_equal "$(KNOWN=$file request delete-sd --sdname a --tbs | jq -r '.[].dsihash')" "$hash"
    done
    # of another TEE the bytes count as they came
    jq . plain.json > spaced.json
    assert_equal "$(KNOWN=spaced.json request delete-sd --sdname a --tbs | jq -r '.[].dsihash')" \
        "$(printf %s "$(< spaced.json)" | openssl sha256 -binary | base64)"
    unusable() {
        KNOWN=$1 run --separate-stderr request delete-sd --sdname a
        assert_equal "$1: $status $output" "$1: $2 "
    }
    accepted request delete-sd --sdname sd-1 --delete-ta --no-nextdsi
    cp answer.json no-state.json
    unusable no-state.json 6
    KNOWN=state.json request get-device-state > gds.json
    unusable gds.json 6
    flip_last_byte_of .InstallTAResponse.signature < "$BATS_FILE_TMPDIR/rsa/filled.json" > changed.json
    unusable changed.json 3
    unusable nowhere.json 2
    KNOWN=state.json run --separate-stderr otrp make-request delete-sd --pki "$P" --tam othertam --device state.json --sdname a
    assert_equal "$status $output" "5 "
}

@test "make-request: what is missing or does not fit is said, and nothing is written" {
    take filled
    wrong() {
        run --separate-stderr otrp make-request "${@:3}"
        assert_equal "$status" "$1"
        assert_equal "$output" ""
        assert_regex "$stderr" "$2"
    }
    local known=(--pki "$P" --device state.json)
    wrong 2 'none of the choices' no-such-type --pki "$P"
    wrong 2 'TYPE is missing' --pki "$P"
    wrong 2 'no TAM to sign with' get-device-state
    wrong 2 'nobody' get-device-state --pki "$P" --tam nobody
    wrong 2 'is not the key of the certificate' get-device-state --tam-key "$OTHER-key.pem" --tam-cert "$TAM-cert.pem"
    wrong 2 'needs the state of the device' create-sd --pki "$P" --sp xbank --sdname a
    wrong 2 'needs sdname' create-sd "${known[@]}" --sp xbank
    wrong 2 'needs sp' create-sd "${known[@]}" --sdname a
    wrong 2 'needs spcert' create-sd "${known[@]}" --spid xbank --sdname a
    wrong 2 'needs taid' delete-ta "${known[@]}" --sdname a
    wrong 2 'needs a trusted application' install-ta "${known[@]}" --sp xbank --sdname a --taid t
    wrong 2 'no AIK of SP "ybank"' install-ta "${known[@]}" --sp ybank --sdname a --taid t --ta ta.bin
    wrong 2 'exclude each other' create-sd "${known[@]}" --sp xbank --sdname a --nextdsi --no-nextdsi
    # a field that the type does not have
    local field
    for field in '--sdname a' '--taid t' '--nonce n' '--ta ta.bin' '--newspid s' '--add-spcert c' --delete-ta --no-nextdsi; do
        # shellcheck disable=SC2086 # an option and its value
        wrong 2 "${field%% *}: GetDeviceState has no such member" get-device-state --pki "$P" $field
    done
    wrong 2 '--taname: UpdateTA has no such member' update-ta "${known[@]}" --sp xbank --sdname a --taid t --ta ta.bin --taname n
    wrong 2 '--rid: TAQuery has no such member' ta-query --spid xbank --taid t --rid 1
    wrong 2 '--break: a TA query is not signed' ta-query --spid xbank --taid t --break signature
    wrong 2 'nosuch.bin' install-ta "${known[@]}" --sp xbank --sdname a --taid t --ta nosuch.bin
    echo kept > there
    wrong 2 'there: exists already' get-device-state --pki "$P" -o there
    wrong 2 'there: exists already' create-sd "${known[@]}" --sp xbank --sdname a -o new --save-cek there
    assert_equal "$(cat there)" kept
    assert [ ! -e new ]
}

@test "make-request: a P-384 TAM signs ES384, and a device takes it" {
    otrp pki-init -q --out pki --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p384 --tam mytam --tee mytee
    otrp tee-sim init -q --state device --pki pki
    otrp make-request get-device-state --pki pki > gds.json
    jws gds.json > jws.json
    run jose jws ver -i jws.json -k pki/tam/tam/tam-mytam-ec-pub.jwk -O /dev/null
    assert_success
    assert_equal "$(jq -r .protected jws.json | jose b64 dec -i-)" '{"alg":"ES384"}'
    process gds.json
    assert_success
    jws answer.json > jws.json
    run jose jws ver -i jws.json -k pki/tee/tee/tee-mytee-ec-pub.jwk -O /dev/null
    assert_success
    cp answer.json state.json
    otrp make-request create-sd --pki pki --device state.json --sp xbank --sdname a > create.json
    process create.json
    assert_success
    plaintext answer.json pki/tam/tam/tam-mytam-ec-key.jwk > content.json
    # the AIK is P-256 all the same
    dsi | jq -r '.tee.teeaiklist[0].spaik' | base64 -d | openssl pkey -pubin -inform DER -noout -text > aik.txt
    run grep prime256v1 aik.txt
    assert_success
}

# ---- verify ----

# good PATTERN OPTION...: verify says so in one line, and nothing else.
good() {
    run --separate-stderr otrp verify "${@:2}"
    assert_equal "$status $output" "0 "
    assert_equal "${#stderr_lines[@]}" 1
    assert_regex "$stderr" "^otrp verify: good: $1"
}

# bad STATUS PATTERN OPTION...: verify refuses, and writes no payload.
bad() {
    run --separate-stderr otrp verify -o payload.out "${@:3}"
    assert_equal "$status $output" "$1 "
    assert_regex "$stderr" "^otrp verify: error: .*$2"
    assert [ ! -e payload.out ]
}

@test "verify: each type of request, by root or by key, with its payload" {
    for kind in rsa ec; do
        take filled $kind
        local type name fields
        while read -r type name fields; do
            # shellcheck disable=SC2086
            request "$type" --rid r-1 --tid t-1 $fields > request.json
            rm -f payload.out
            good "${name}Request of TAM mytam, rid r-1, tid t-1( |$)" --trust "$P/tam/tam-rootca" -o payload.out request.json
            run cmp payload.out <(payload request.json)
            assert_success
            good "${name}Request, rid r-1, tid t-1( |$)" --key "$TAM-cert.pem" --message "${name}Request" request.json
            good "${name}Request of TAM mytam" --trust "$P/tam/tam-rootca/tam-rootca-ec-cert.pem" --device state.json \
                --tam-key "$TAM-key.pem" request.json
        done << 'END'
get-device-state GetDeviceState
create-sd CreateSD --sp ybank --sdname new
update-sd UpdateSD --spid ybank --sdname new --newsdname newer
install-ta InstallTA --sp xbank --sdname sd-1 --taid t --ta ta.bin
update-ta UpdateTA --sp xbank --sdname sd-1 --taid t --ta ta.bin
delete-ta DeleteTA --sdname newer --taid t
delete-sd DeleteSD --sdname newer
END
    done
}

@test "verify: what a message or a file is called cannot move the cursor, in a report either" {
    take asked ec
    local name wild
    wild=$(printf 'x\033[31m\302\23331m\302\205\342\200\256\342\200\217\330\234\357\273\277y\177')
    # tame FILE: none of that in it, as itself
    tame() {
        refute env LC_ALL=C grep -aqP '\x1b|\xc2[\x80-\x9f]|\xe2\x80[\xae\x8f]|\xd8\x9c|\xef\xbb\xbf|\x7f' "$1"
    }
    request create-sd --sp xbank --sdname a --rid "$wild" > create.json
    jq -c --arg name "$wild" '{($name): .CreateSDRequest}' create.json > named.json
    cp create.json "$wild.json"
    for name in create.json named.json "$wild.json" "no-$wild"; do
        run --separate-stderr otrp verify --key "$TAM-cert.pem" "$name"
        tame <(cat <<< "$output$stderr")
        run --separate-stderr otrp verify --json --message DeleteSDRequest --key "$TAM-cert.pem" "$name"
        tame <(cat <<< "$output$stderr")
    done
    # escaped, the report says the same
    run --separate-stderr otrp verify --json --key "$TAM-cert.pem" create.json
    assert_equal "$(jq -r .message <<< "$output" | grep -cF "$wild")" 1
    run --separate-stderr otrp verify --json --key "$TAM-cert.pem" "no-$wild"
    assert_equal "$(jq -r .error.message <<< "$stderr" | grep -cF "no-$wild: ")" 1
}

@test "verify --explain lists the checks in their order, and what was not reached" {
    take asked ec
    request create-sd --sp xbank --sdname a > create.json
    run --separate-stderr otrp verify --json --trust "$P/tam/tam-rootca" create.json
    assert_success
    assert_equal "$(jq -c '[.verified, .exit]' <<< "$output")" '[true,0]'
    assert_equal "$(jq -r '.checks[] | .check + ": " + .verdict' <<< "$output")" "envelope: passed
algorithm: passed
signer: passed
trust: passed
signature: passed
version-present: passed
version: passed
members: passed
revocation: passed
firmware: not checked
tee: not checked
replay: not checked
dsihash: not checked
answer-algorithm: not checked
content-algorithms: passed
content: not checked
did: not checked
tamid: not checked
sd: not checked"
    flip_last_byte_of .CreateSDRequest.payload < create.json > changed.json
    run --separate-stderr otrp verify --json --trust "$P/tam/tam-rootca" changed.json
    assert_equal "$status" 3
    assert_equal "$(jq -c '[.verified, .exit, .message, (.checks | map(.verdict))]' <<< "$output")" \
        '[false,3,null,["passed","passed","passed","passed","failed","not reached","not reached","not reached","not reached","not reached","not reached","not reached","not reached","not reached","not reached","not reached","not reached","not reached","not reached"]]'
    assert_equal "$(jq -r '.checks[4] | .check, (.reason | length > 0)' <<< "$output")" $'signature\ntrue'
    run --separate-stderr otrp verify --explain --trust "$P/tam/tam-rootca" changed.json
    assert_equal "$status $output" "3 "
    assert_equal "$(grep -cE '^ ?[0-9]+  (passed|failed|not reached) ' <<< "$stderr")" 19
    assert_regex "$stderr" ' 4  passed  .*
 5  failed  .*JWS signature.*\(RFC 7515 section 5.2\)
.*
 6  not reached '
    run --separate-stderr otrp verify --explain --trust "$P/tam/tam-rootca" --device state.json --tam-key "$TAM-key.pem" create.json
    assert_success
    assert_regex "$stderr" '11  passed  .*
12  not checked  .*
13  passed '
}

@test "verify: another hierarchy, another time" {
    for kind in rsa ec; do
        take asked $kind
        request create-sd --sp xbank --sdname a > create.json
        bad 4 'CN=TAM CA 1' --trust "$P/tee/tee-rootca" create.json
        bad 4 '' --trust "$([ $kind = rsa ] && echo "$PKI_EC" || echo "$PKI")/tam/tam-rootca" create.json
        bad 4 'expired since 20' --trust "$P/tam/tam-rootca" --now $(($(date +%Y) + 3))-01-01 create.json
        bad 4 'not valid before 20' --trust "$P/tam/tam-rootca" --now 2001-01-01 create.json
        bad 3 'signature' --key "$OTHER-cert.pem" create.json
        bad 2 'nothing to verify the request with' create.json
        bad 2 'exclude each other' --key "$TAM-cert.pem" --trust "$P/tam/tam-rootca" create.json
        good CreateSDRequest --key "$TAM-pub.jwk" --now 2099-01-01 create.json
    done
}

@test "verify: revocation is asked for, unless told otherwise" {
    take asked ec
    local trust=(--trust "$P/tam/tam-rootca")
    request create-sd --sp xbank --sdname a > with.json
    request create-sd --sp xbank --sdname a --unset ocspdat > without.json
    bad 4 'CN=mytam.*no OCSP response for it' "${trust[@]}" without.json
    assert_regex "$stderr" 'hint: give a stapling set with --ocsp, or --no-revocation'
    good CreateSDRequest "${trust[@]}" --no-revocation without.json
    good CreateSDRequest "${trust[@]}" --ocsp "$TAM-ocsp.json" without.json
    bad 4 'CN=mytam' "${trust[@]}" --ocsp "$OTHER-ocsp.json" without.json
    bad 4 'stale since 20' "${trust[@]}" --now "$(later 691200)" with.json
    assert_regex "$stderr" 'hint: have the stapling set made anew'
    otrp pki-ocsp --pki "$P" --now "$(later 691200)" "$TAM-cert.pem" > newer.json
    good CreateSDRequest "${trust[@]}" --now "$(later 691200)" --ocsp newer.json with.json
    good CreateSDRequest "${trust[@]}" --now "$(later 691200)" --no-revocation with.json
    echo '{}' > object.json
    bad 6 'object.json: not an array' "${trust[@]}" --ocsp object.json with.json
}

@test "verify: the words of a subject choose no hint" {
    take asked ec
    local name='x: revoked at noon' ca=$P/tam/tam-ca/tam-ca-1-ec
    openssl req -new -key "$TAM-key.pem" -subj "/CN=$name" -out odd.csr
    openssl x509 -req -in odd.csr -CA "$ca-cert.pem" -CAkey "$ca-key.pem" -days 30 \
        -extfile <(printf 'keyUsage=critical,digitalSignature,keyAgreement\nsubjectAltName=DNS:mytam\n') -out odd.pem
    cat odd.pem "$ca-cert.pem" > odd-chain.pem
    request create-sd --sp xbank --sdname a --unset ocspdat > plain.json
    otrp verify -q --no-revocation --trust "$P/tam/tam-rootca" -o tbs.json plain.json
    otrp sign --key "$TAM-key.pem" --cert odd-chain.pem --message CreateSDRequest tbs.json > odd.json
    bad 4 "CN=$name" --trust "$P/tam/tam-rootca" odd.json
    assert_regex "$stderr" 'hint: give a stapling set with --ocsp, or --no-revocation'
}

@test "verify: what is wrong with a request, by exit code and message" {
    take asked ec
    local trust=(--trust "$P/tam/tam-rootca")
    request create-sd --sp xbank --sdname a > create.json
    flip_last_byte_of .CreateSDRequest.payload < create.json > changed.json
    bad 3 'signature' "${trust[@]}" changed.json
    flip_last_byte_of .CreateSDRequest.signature < create.json > changed.json
    bad 3 'signature' "${trust[@]}" changed.json
    bad 3 'signature' --key "$TAM-cert.pem" changed.json
    bad 3 'none' "${trust[@]}" <(jq -c '.CreateSDRequest.protected = "eyJhbGciOiJub25lIn0"' create.json)
    bad 6 'x5c: missing' "${trust[@]}" <(jq -c '.CreateSDRequest |= del(.header)' create.json)
    bad 6 'one member' "${trust[@]}" <(jq -c '{DeleteSDRequest: .CreateSDRequest}' create.json)
    bad 6 'is no DeleteSDRequest' "${trust[@]}" --message DeleteSDRequest create.json
    resign create.json '.[].ver = "2.0"' > other.json
    bad 6 'ver: "2.0"' "${trust[@]}" other.json
    resign create.json '.[].more = 1' > other.json
    bad 6 'CreateSDTBSRequest.more: unknown member' "${trust[@]}" other.json
    resign create.json 'del(.[].dsihash)' > other.json
    bad 6 'CreateSDTBSRequest.dsihash: missing' "${trust[@]}" other.json
    bad 6 '' "${trust[@]}" <(head -c 300 create.json)
    bad 6 '' "${trust[@]}" <(cat create.json create.json)
    bad 6 'empty' "${trust[@]}" /dev/null
    bad 2 'nowhere.json' "${trust[@]}" nowhere.json
    run --separate-stderr otrp verify "${trust[@]}" --json --explain other.json
    assert_equal "$(jq -r '.reason' <<< "$output")" 'CreateSDTBSRequest.dsihash: missing'
}

@test "verify --device: a request that is for that device, and for its state" {
    take filled ec
    local known=(--trust "$P/tam/tam-rootca" --device state.json --tam-key "$TAM-key.pem")
    cp state.json old.json
    good CreateSDRequest "${known[@]}" <(request create-sd --sp ybank --sdname a)
    bad 4 'for the TEE "other"' "${known[@]}" <(request create-sd --sp ybank --sdname a --set 'tee="other"')
    accepted request create-sd --sp ybank --sdname a
    bad 4 'dsihash' "${known[@]}" <(KNOWN=old.json request create-sd --sp ybank --sdname b)
    bad 5 'edsi|content' --trust "$P/tam/tam-rootca" --device state.json <(request create-sd --sp ybank --sdname b)
}

@test "verify: answers, by TEE root, device state or key" {
    for kind in rsa ec; do
        take blank $kind
        request get-device-state --rid r-1 --tid t-1 > gds.json
        accepted gds.json
        local trust=(--trust "$P/tee/tee-rootca" --tam-key "$TAM-key.pem")
        good 'GetDeviceStateResponse, pass, rid r-1, tid t-1$' "${trust[@]}" --request gds.json -o payload.got answer.json
        run cmp payload.got <(payload answer.json)
        assert_success
        rm payload.got
        good GetDeviceStateResponse --key "$TEE-cert.pem" --tam-key "$TAM-key.pem" answer.json
        cp answer.json gdsr.json
        request create-sd --sp xbank --sdname a --rid r-2 --tid t-1 > create.json
        accepted create.json
        good 'CreateSDResponse, pass, rid r-2, tid t-1$' "${trust[@]}" --request create.json answer.json
        good CreateSDResponse --device gdsr.json --tam-key "$TAM-key.pem" --request create.json answer.json
        good CreateSDResponse --trust "$P/tee/tee-rootca" --device gdsr.json --tam-key "$TAM-key.pem" answer.json
        bad 4 'rid: "r-2", the request has "r-1"' "${trust[@]}" --request gds.json answer.json
        bad 4 '' --trust "$P/tam/tam-rootca" --tam-key "$TAM-key.pem" answer.json
        bad 5 '' --trust "$P/tee/tee-rootca" --tam-key "$OTHER-key.pem" answer.json
        bad 5 'no key of the TAM' --trust "$P/tee/tee-rootca" answer.json
        bad 2 'nothing to verify the answer with' --tam-key "$TAM-key.pem" answer.json
        bad 6 'is no CreateSDRequest' "${trust[@]}" --message CreateSDRequest answer.json
        flip_last_byte_of .CreateSDResponse.signature < answer.json > changed.json
        bad 3 'signature' "${trust[@]}" changed.json
        bad 3 'signature' --key "$P/tee/tee/tee-othertee-$K-cert.pem" --tam-key "$TAM-key.pem" answer.json
        # an answer without a state needs the device's certificate from elsewhere
        accepted request delete-sd --sdname a --no-nextdsi
        bad 4 'no TEE certificate' "${trust[@]}" answer.json
        good DeleteSDResponse --device gdsr.json --tam-key "$TAM-key.pem" answer.json
    done
}

@test "verify: an answer that was changed and signed by somebody else, or by the device itself" {
    take filled ec
    cp state.json answer.json
    signed_by_tee() {
        payload answer.json | jq -cj "$1" | otrp sign --key "$TEE-key.pem" --message "$(cut -d'"' -f 2 answer.json)"
    }
    local trust=(--trust "$P/tee/tee-rootca" --tam-key "$TAM-key.pem")
    payload answer.json | otrp sign --key "$OTHER-key.pem" --message InstallTAResponse > forged.json
    bad 3 'signature' "${trust[@]}" forged.json
    bad 6 'status: "maybe"' "${trust[@]}" <(signed_by_tee '.[].status = "maybe"')
    bad 6 'ver: "2.0"' "${trust[@]}" <(signed_by_tee '.[].ver = "2.0"')
    bad 6 'rid: missing' "${trust[@]}" <(signed_by_tee 'del(.[].rid)')
    bad 6 'one member' "${trust[@]}" <(signed_by_tee '{CreateSDTBSResponse: .[]}')
    bad 5 '' "${trust[@]}" <(signed_by_tee '.[].content.tag |= "AAAA" + .[4:]')
    bad 6 '' --key "$TEE-cert.pem" <(signed_by_tee 'del(.[].content)')
    good InstallTAResponse "${trust[@]}" <(signed_by_tee .)
    # members that nobody knows are accepted, and told
    run --separate-stderr otrp verify "${trust[@]}" <(signed_by_tee '.[].novelty = 1')
    assert_equal "$status $output" "0 "
    assert_regex "$stderr" novelty
}

@test "verify: failures are answers, too; what nobody signed is not believed" {
    take asked ec
    request delete-sd --sdname nobody --rid r --tid t > delete.json
    refused ERR_SD_NOT_FOUND content delete.json
    good 'DeleteSDResponse, fail ERR_SD_NOT_FOUND, rid r, tid t$' --device state.json --tam-key "$TAM-key.pem" \
        --request delete.json answer.json
    refused ERR_REQUEST_INVALID tbs delete.json
    good 'DeleteSDResponse, fail ERR_REQUEST_INVALID, rid r, tid t$' --device state.json --tam-key "$TAM-key.pem" answer.json
    refused ERR_TAM_NOT_TRUSTED tbs as_other request get-device-state --set 'ocspdat=[]'
    bad 3 'GetDeviceStateResponse ERR_TAM_NOT_TRUSTED: not signed by anyone who could be known' \
        --trust "$P/tee/tee-rootca" --tam-key "$TAM-key.pem" answer.json
    good 'GetDeviceStateResponse, fail ERR_TAM_NOT_TRUSTED' --key "$TEE-cert.pem" answer.json
    echo '{"OTrPBrokerError":{"ver":"1.0","rid":"","tid":"","errcode":"ERR_AGENT_TEE_FAIL"}}' > broker.json
    bad 3 'OTrPBrokerError ERR_AGENT_TEE_FAIL: not signed' --trust "$P/tee/tee-rootca" broker.json
}

@test "verify: TAInformation by the SP AIK that the device's state tells" {
    for kind in rsa ec; do
        take filled $kind
        otrp tee-sim query --state device --spid xbank --taid demo > information.json
        good TAInformation --device state.json --tam-key "$TAM-key.pem" information.json
        flip_last_byte_of .TAInformation.payload < information.json > changed.json
        bad 3 'signature' --device state.json --tam-key "$TAM-key.pem" changed.json
        accepted request update-sd --spid xbank --sdname sd-1 --renew-aik
        bad 4 'no SP AIK of the device state' --device state.json --tam-key "$TAM-key.pem" information.json
        accepted request delete-sd --sdname sd-1 --delete-ta
        bad 4 'no SP AIK' --device state.json --tam-key "$TAM-key.pem" information.json
    done
}

@test "decrypt opens what is encrypted in a message, and only with its key" {
    for kind in rsa ec; do
        take filled $kind
        cp "$BATS_FILE_TMPDIR/$kind/asked.json" .
        request create-sd --sp ybank --sdname a --save-cek cek.jwk --force > create.json
        opens() {
            run --separate-stderr otrp decrypt --key "$1" -o plain.out "$2"
            assert_success
            run cmp plain.out <(plaintext "$2" "$3")
            assert_success
            rm plain.out
        }
        opens "$TAM-key.pem" asked.json "$TAM-key.jwk"
        opens "$TAM-key.jwk" state.json "$TAM-key.jwk"
        opens "$TEE-key.pem" create.json "$TEE-key.jwk"
        opens cek.jwk create.json "$TEE-key.jwk"
        closed() {
            run --separate-stderr otrp decrypt --key "$2" --save-cek no.jwk -o plain.out "$3"
            assert_equal "$status $output" "$1 "
            assert [ ! -e plain.out ]
            assert [ ! -e no.jwk ]
        }
        closed 5 "$OTHER-key.pem" asked.json
        closed 5 "$TAM-key.pem" create.json
        closed 5 cek.jwk asked.json
        payload create.json | flip_last_byte_of '.[].content.tag' > changed-payload.json
        closed 5 "$TEE-key.pem" <(signed_payload create.json "$(cat changed-payload.json)")
        request get-device-state > gds.json
        closed 6 "$TAM-key.pem" gds.json
    done
}

# ---- the rows of the checks, in their order ----

# As refused, of a message of which the device believes nothing: it writes nothing down.
disbelieved() {
    recorded no ERR_REQUEST_INVALID tbs "$@"
}

@test "row envelope: what has none of the seven names in front gets no answer" {
    take asked
    request create-sd --sp xbank --sdname a > create.json
    SAID='given.json: empty' unanswered printf ''
    for text in 'hello' '{' '{}' '[]' '"CreateSDRequest"' '{"CreateSDRequest' '{"createsdrequest":{}}' \
        '{"CreateSDResponse":{}}' '{"CreateSDTBSRequest":{}}' '{"TAQuery":{}}' '{"OTrPBrokerError":{}}' \
        '{"x":1,"CreateSDRequest":{}}' '[{"CreateSDRequest":{}}]' "{'CreateSDRequest':{}}"; do
        unanswered echo "$text"
    done
    unanswered head -c 1000 /dev/urandom
    unanswered printf '\0{"CreateSDRequest":{}}'
    unanswered jq -c '.CreateSDRequest' create.json
}

@test "row envelope: JSON that is cut off, followed by something, or not quite JSON" {
    take asked
    request create-sd --sp xbank --sdname a --rid r --tid t > create.json
    local size
    size=$(wc -c < create.json)
    for at in 18 20 40 200 $((size / 2)) $((size - 2)) $((size - 1)); do
        [ "$(tail -c 1 create.json)" = '}' ] || at=$((at - 1))
        disbelieved head -c "$at" create.json
        assert_equal "$(jq -c '.[] | [.rid, .tid]' payload.json)" '["",""]'
    done
    disbelieved cat create.json <(echo '{}')
    disbelieved sed 's/}$/,}/' create.json
    disbelieved sed "s/\"payload\"/'payload'/" create.json
    disbelieved sed $'s/"payload"/\x01"payload"/' create.json
    disbelieved sed $'s/"header":{/"header":{"\xff":1,/' create.json
    disbelieved sed 's/"header":{/"header":{"\\ud800":1,/' create.json
    accepted cat <(echo) create.json <(echo)
}

@test "row envelope: members twice, beside the one, or of another shape" {
    take asked
    request create-sd --sp xbank --sdname a --rid r --tid t > create.json
    disbelieved jq -c '.more = 1' create.json
    disbelieved sed 's/"payload"/"payload":"AAAA","payload"/' create.json
    disbelieved sed 's/"header":{/"header":{"a":1,"a":2,/' create.json
    disbelieved jq -c '.CreateSDRequest |= {payload, signatures: [{protected, header, signature}]}' create.json
    local filter
    for filter in '{CreateSDRequest: 7}' '.CreateSDRequest |= [.]' '.CreateSDRequest |= del(.payload)' \
        '.CreateSDRequest |= del(.signature)' '.CreateSDRequest |= del(.protected)' '.CreateSDRequest.payload = {}' \
        '.CreateSDRequest.signature = 7' '.CreateSDRequest.header = "x"' '.CreateSDRequest.protected = {"alg":"RS256"}' \
        '.CreateSDRequest.protected = "W10"' '.CreateSDRequest.protected = "%"'; do
        disbelieved jq -c "$filter" create.json
    done
    # shellcheck disable=SC2016
    disbelieved jq -c '.CreateSDRequest.header.deep = reduce range(100) as $i (0; [.])' create.json
}

@test "row algorithm: a signature algorithm that is none, symmetric, or not known" {
    for kind in rsa ec; do
        take asked $kind
        request create-sd --sp xbank --sdname a --rid 'r i d' --tid 't i d' > create.json
        for alg in none NONE HS256 HS384 HS512 XS256; do
            recorded no ERR_UNSUPPORTED_CRYPTO_ALG tbs jq -c \
                ".CreateSDRequest.protected = \"$(printf '{"alg":"%s"}' $alg | base64url_encode)\"" create.json
            assert_equal "$(jq -c '.[] | [.rid, .tid, (.supportedsigalgs | length > 0)]' payload.json)" \
                '["r i d","t i d",true]'
        done
        # the strongest of none: no signature at all
        recorded no ERR_UNSUPPORTED_CRYPTO_ALG tbs jq -c \
            '.CreateSDRequest |= (.protected = "eyJhbGciOiJub25lIn0" | .signature = "")' create.json
        # the public key as the secret of an HMAC
        public_key "$TAM-cert.pem" > secret.pem
        jq -jr '"eyJhbGciOiJIUzI1NiJ9." + .CreateSDRequest.payload' create.json > signed.txt
        recorded no ERR_UNSUPPORTED_CRYPTO_ALG tbs jq -c ".CreateSDRequest |= (.protected = \"eyJhbGciOiJIUzI1NiJ9\"
            | .signature = \"$(openssl dgst -sha256 -hmac "$(cat secret.pem)" -binary signed.txt | base64url_encode)\")" create.json
    done
}

@test "row signature: an algorithm that is known, but is not that of the signer's key" {
    for kind in rsa:ES256 ec:RS256 ec:ES384; do
        IFS=: read -r kind alg <<< "$kind"
        take asked "$kind"
        request create-sd --sp xbank --sdname a > create.json
        disbelieved jq -c ".CreateSDRequest.protected = \"$(printf '{"alg":"%s"}' "$alg" | base64url_encode)\"" create.json
    done
}

# signed_by_hand PROTECTED NAME MESSAGE [HEADER]: MESSAGE with another protected header, signed by openssl
# with mytam's RSA key.
signed_by_hand() {
    local signed
    signed=$(printf %s "$1" | base64url_encode).$(member payload "$3")
    printf '{"%s":{"protected":"%s","payload":"%s","header":%s,"signature":"%s"}}' "$2" "${signed%.*}" "${signed#*.}" \
        "${4:-$(jq -c ".[].header" "$3")}" \
        "$(printf %s "$signed" | openssl dgst -sha256 -sign "$TAM-key.pem" | base64url_encode)"
}

@test "a critical header that nobody knows is refused, and one that is not critical ignored" {
    take asked
    request create-sd --sp xbank --sdname a > create.json
    disbelieved signed_by_hand '{"alg":"RS256","crit":["exp"],"exp":1}' CreateSDRequest create.json
    disbelieved signed_by_hand '{"alg":"RS256","b64":false}' CreateSDRequest create.json
    accepted signed_by_hand '{"alg":"RS256","exp":1}' CreateSDRequest create.json
}

@test "row signer: without a certificate only a signer counts that was believed before" {
    take blank ec
    sqlite3 device/state.db 'UPDATE device SET signerreq = 0' # as init --no-signerreq makes it
    request get-device-state --tid session-1 > gds.json
    disbelieved jq -c '.GetDeviceStateRequest |= del(.header)' gds.json
    local x5c
    for x5c in '[]' '""' 'null' '["AAAA"]' '["%"]' '[7]' '{}' "[range(11) | \"$(der "$TAM-cert.pem")\"]" \
        "\"$(der "$TAM-cert.pem")\""; do
        disbelieved jq -c ".GetDeviceStateRequest.header.x5c = $x5c" gds.json
    done
    accepted jq -c . gds.json
    accepted request create-sd --sp xbank --sdname a
    request delete-sd --sdname a > delete.json
    as_other request get-device-state > other-gds.json
    disbelieved jq -c '.GetDeviceStateRequest |= del(.header)' other-gds.json
    accepted jq -c '.DeleteSDRequest |= del(.header)' delete.json
    request get-device-state --tid session-2 > gds.json
    accepted jq -c '.GetDeviceStateRequest |= del(.header)' gds.json
    request create-sd --sp xbank --sdname b > create.json
    NOW=2099-01-01 refused ERR_TAM_NOT_TRUSTED tbs jq -c '.CreateSDRequest |= del(.header)' create.json
}

@test "row signer: the certificate counts in the unprotected header only" {
    take blank
    request get-device-state > gds.json
    disbelieved signed_by_hand "{\"alg\":\"RS256\",\"x5c\":[\"$(der "$TAM-cert.pem")\",\"$(der "$P/tam/tam-ca/tam-ca-1-ec-cert.pem")\"]}" \
        GetDeviceStateRequest gds.json "{}"
    disbelieved signed_by_hand '{"alg":"RS256"}' GetDeviceStateRequest gds.json "{\"signer\":\"$(der "$TAM-cert.pem")\"}"
    disbelieved signed_by_hand '{"alg":"RS256","kid":"mytam"}' GetDeviceStateRequest gds.json "{}"
    accepted signed_by_hand '{"alg":"RS256"}' GetDeviceStateRequest gds.json
}

# untrusted NAME [CHAIN...]: a GetDeviceState signed with NAME-key.pem, with these certificates, is
# refused.
untrusted() {
    local name=$1
    shift
    [ $# -gt 0 ] || set -- "$name-cert.pem" "$P/tam/tam-ca/tam-ca-1-ec-cert.pem"
    cat "$@" > chain.pem
    otrp sign --key "$name-key.pem" --cert chain.pem --message GetDeviceStateRequest gds-payload.json > gds-untrusted.json
    recorded no ERR_TAM_NOT_TRUSTED tbs gds-untrusted.json
}

@test "row trust: who has no chain to a TAM root, now, is not trusted" {
    take blank ec
    request get-device-state --rid r --tid t > gds.json
    payload gds.json > gds-payload.json
    local ca=$P/tam/tam-ca/tam-ca-1-ec root=$P/tam/tam-rootca/tam-rootca-ec foreign=$PKI/tam/tam/tam-mytam-rsa
    # another PKI's TAM, with its root too; a TEE, firmware and a SP of our own
    untrusted "$foreign" "$foreign-cert-plus-intermediate-cert.pem"
    untrusted "$foreign" "$foreign-cert-plus-intermediate-cert.pem" "$PKI/tam/tam-rootca/tam-rootca-ec-cert.pem"
    untrusted "$TEE" "$TEE-cert-plus-intermediate-cert.pem" "$P/tee/tee-rootca/tee-rootca-ec-cert.pem"
    untrusted "$SP" "$SP-cert-plus-intermediate-cert.pem" "$ca-cert.pem" "$root-cert.pem"
    # self-signed; without the CA; the CA first
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout own-key.pem -subj /CN=mytam \
        -addext 'subjectAltName=DNS:mytam' -days 30 -out own-cert.pem 2> /dev/null
    untrusted own own-cert.pem
    untrusted own own-cert.pem "$ca-cert.pem" "$root-cert.pem"
    untrusted "$TAM" "$TAM-cert.pem"
    untrusted "$ca" "$ca-cert.pem" "$TAM-cert.pem"
    # issued by a TAM, and by a CA under the CA
    new_cert below "$TAM"
    untrusted below below-cert.pem "$TAM-cert.pem" "$ca-cert.pem"
    new_cert subca "$ca" $'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign'
    new_cert deep subca
    untrusted deep deep-cert.pem subca-cert.pem "$ca-cert.pem"
    # expired, not valid yet
    NOW=$(($(date +%Y) + 3))-01-01 untrusted "$TAM"
    assert_regex "$stderr" 'CN=mytam,OU=TAM,O=OTrP: expired since 20'
    NOW=2001-01-01 untrusted "$TAM"
    assert_regex "$stderr" 'not valid before 20'
    # with the root, or without: trusted
    cat "$TAM-cert-plus-intermediate-cert.pem" "$root-cert.pem" > chain.pem
    accepted otrp sign --key "$TAM-key.pem" --cert chain.pem --message GetDeviceStateRequest gds-payload.json
}

@test "row trust: key usage, key strength, and exactly one tamid" {
    take blank ec
    request get-device-state --rid r --tid t > gds.json
    payload gds.json > gds-payload.json
    local ca=$P/tam/tam-ca/tam-ca-1-ec san=subjectAltName=DNS:mytam usage=keyUsage=digitalSignature,keyAgreement
    new_cert plain "$ca" "$san"$'\nkeyUsage=digitalSignature'
    untrusted plain
    new_cert agreeing "$ca" "$san"$'\nkeyUsage=keyAgreement'
    untrusted agreeing
    new_cert nameless "$ca" "$usage"
    untrusted nameless
    new_cert two "$ca" "$usage"$'\nsubjectAltName=DNS:mytam,DNS:othertam'
    untrusted two
    new_cert uris "$ca" "$usage"$'\nsubjectAltName=DNS:mytam,URI:urn:a,URI:urn:b'
    untrusted uris
    new_cert mail "$ca" "$usage"$'\nsubjectAltName=email:mytam@example.org'
    untrusted mail
    new_cert nul "$ca" "$usage"$'\nsubjectAltName=DER:30:0a:82:08:6d:79:74:61:6d:00:6d:65'
    untrusted nul
    new_cert weak "$ca" "$san"$'\nkeyUsage=digitalSignature,keyEncipherment' -newkey rsa:1024
    cat weak-cert.pem "$ca-cert.pem" > chain.pem
    recorded no ERR_TAM_NOT_TRUSTED tbs otrp sign --key "$TAM-key.pem" --cert chain.pem \
        --message GetDeviceStateRequest gds-payload.json
}

@test "a tamid is registeredID, else URI, else dNSName, and owns what it made under a renewed key" {
    otrp pki-init -q --out pki --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256 --tee mytee \
        --tam a=1.3.6.1.4.1.99999.7 --tam b=urn:example:b --tam c=host.example
    otrp tee-sim init -q --state device --pki pki
    for tam in a b c; do
        otrp make-request get-device-state --pki pki --tam $tam > gds.json
        process gds.json
        assert_success
    done
    assert_equal "$(otrp tee-sim show --state device --json | jq -c '[.devices[0].tams[].tamid]')" \
        '["1.3.6.1.4.1.99999.7","host.example","urn:example:b"]'
    cp answer.json state.json
    otrp make-request create-sd --pki pki --tam c --device state.json --sp xbank --sdname kept > create.json
    process create.json
    assert_success
    cp answer.json state.json
    # the same TAM under a new key, with two kinds of names: the URI counts before the dNSName
    new_cert renewed pki/tam/tam-ca/tam-ca-1-ec $'keyUsage=digitalSignature,keyAgreement\nsubjectAltName=DNS:host.example'
    new_cert both pki/tam/tam-ca/tam-ca-1-ec $'keyUsage=digitalSignature,keyAgreement\nsubjectAltName=DNS:host.example,URI:urn:example:b'
    for name in renewed both; do
        openssl ocsp -no_nonce -issuer pki/tam/tam-ca/tam-ca-1-ec-cert.pem -cert $name-cert.pem -reqout $name.req
        {
            cat pki/tam/tam-ca/tam-ca-1-ec-index.txt
            printf 'V\t401231235959Z\t\t%s\tunknown\t/O=Test/CN=%s\n' \
                "$(openssl x509 -in $name-cert.pem -noout -serial | cut -d= -f2)" $name
        } > index.txt
        : > index.txt.attr
        openssl ocsp -index index.txt -CA pki/tam/tam-ca/tam-ca-1-ec-cert.pem -ndays 7 -reqin $name.req \
            -rsigner pki/tam/tam-ca/tam-ca-1-ec-cert.pem -rkey pki/tam/tam-ca/tam-ca-1-ec-key.pem -respout $name.der
        jq -c --arg own "$(base64 -w 0 < $name.der)" '[$own, .[1]]' pki/tam/tam/tam-c-ec-ocsp.json > $name-ocsp.json
        cat $name-cert.pem pki/tam/tam-ca/tam-ca-1-ec-cert.pem > $name-chain.pem
        otrp make-request get-device-state --tam-key $name-key.pem --tam-cert $name-chain.pem \
            --ocsp $name-ocsp.json > gds.json
        process gds.json
        assert_success
        otrp jwk $name-key.pem > $name.jwk
        plaintext answer.json $name.jwk | jq -c '[.dsi.tee.sdlist.sd[].name]' > $name.txt
    done
    assert_equal "$(cat renewed.txt both.txt)" $'["kept"]\n[]'
}

@test "row signature: one bit of payload, protected header, signature or certificate" {
    for kind in rsa ec; do
        take asked $kind
        request create-sd --sp xbank --sdname a --rid r --tid t > create.json
        local path
        for path in payload signature; do
            flip_last_byte_of ".CreateSDRequest.$path" < create.json > changed.json
            disbelieved changed.json
        done
        disbelieved jq -c '.CreateSDRequest.protected += "IA"' create.json
        disbelieved jq -c ".CreateSDRequest.payload = \"$(payload create.json | sed 's/"tid":"t"/"tid":"u"/' |
            base64url_encode)\"" create.json
        assert_equal "$(jq -c '.[] | [.rid, .tid]' payload.json)" '["r","u"]'
        disbelieved jq -c '.CreateSDRequest.signature |= .[:-4]' create.json
        disbelieved jq -c '.CreateSDRequest.signature = ""' create.json
        disbelieved jq -c '.CreateSDRequest.signature += "AAAA"' create.json
        disbelieved jq -c '.CreateSDRequest.signature += "=="' create.json
        # the bits that the last character has too many
        disbelieved jq -c '.CreateSDRequest.signature |= .[:-1] + (if .[-1:] == "A" then "B" elif .[-1:] == "Q" then "R"
            elif .[-1:] == "g" then "h" else "x" end)' create.json
        # a certificate that is changed is trusted no more, or has another key
        jq -r '.CreateSDRequest.header.x5c[0]' create.json | base64 -d > cert.der
        local changed
        changed=$(last_byte_changed cert.der | base64 -w 0)
        recorded no ERR_TAM_NOT_TRUSTED tbs jq -c ".CreateSDRequest.header.x5c[0] = \"$changed\"" create.json
        accepted create.json
    done
}

@test "row signature: another TAM's key under this TAM's certificate, and the other way round" {
    take asked ec
    request create-sd --sp xbank --sdname a > create.json
    payload create.json > create-payload.json
    disbelieved otrp sign --key "$OTHER-key.pem" --cert "$TAM-cert-plus-intermediate-cert.pem" \
        --message CreateSDRequest create-payload.json
    recorded yes ERR_DEV_STATE_MISMATCH tbs otrp sign --key "$TAM-key.pem" \
        --cert "$TAM-cert-plus-intermediate-cert.pem" --message CreateSDRequest \
        <(jq -c '.[].dsihash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="' create-payload.json)
    # othertam signs what is mytam's: it has no state
    ASKER=othertam refused ERR_DEV_STATE_MISMATCH tbs otrp sign --key "$OTHER-key.pem" \
        --cert "$OTHER-cert-plus-intermediate-cert.pem" --message CreateSDRequest \
        <(jq -c --slurpfile set "$OTHER-ocsp.json" '.[].ocspdat = $set[0]' create-payload.json)
}

@test "row ver: present, a string, and 1.0" {
    take asked ec
    request create-sd --sp xbank --sdname a > create.json
    local ver
    for ver in 'del(.[].ver)' '.[].ver = 1.0' '.[].ver = null' '.[].ver = ["1.0"]'; do
        refused ERR_REQUEST_INVALID tbs resign create.json "$ver"
    done
    for ver in 2.0 1 1.0.0 '' ' 1.0' 1.00; do
        refused ERR_UNSUPPORTED_MSG_VERSION tbs resign create.json ".[].ver = \"$ver\""
    done
    refused ERR_UNSUPPORTED_MSG_VERSION tbs request get-device-state --set 'ver="3.0"' --unset rid
    accepted create.json
}

@test "row members: each mandatory one, and no other" {
    take asked ec
    request create-sd --sp xbank --sdname a > create.json
    local member
    for member in rid tid tee nextdsi dsihash content; do
        refused ERR_REQUEST_INVALID tbs resign create.json "del(.[].$member)"
    done
    for member in more Rid edsi encrypted_ta signerreq; do
        refused ERR_REQUEST_INVALID tbs resign create.json ".[].$member = {}"
    done
    for member in rid tid ocspdat; do
        refused ERR_REQUEST_INVALID tbs request get-device-state --unset $member
    done
    for member in tee nextdsi dsihash content; do
        refused ERR_REQUEST_INVALID tbs request get-device-state --set "$member=\"x\""
    done
    accepted create.json
}

@test "row members: types, lengths, alphabets" {
    take asked ec
    request create-sd --sp xbank --sdname a > create.json
    local value
    for value in '.rid = 7' '.rid = ""' '.rid = ("x" * 256)' '.tid = true' '.tid = ""' '.tid = ("x" * 129)' \
        '.tid = "\u00e9"' '.tid = "a\nb"' '.rid = "a\u0000b"' '.nextdsi = "true"' '.nextdsi = 1' '.dsihash = "AAAA"' \
        '.dsihash |= .[:-1]' '.dsihash = 7' '.tee = ["mytee"]' '.content = "x"' '.content = []' '.ocspdat = "AAAA"' \
        '.ocspdat = ["%"]' '.ocspdat = [7]' '.supportedsigalgs = "ES256"' '.supportedsigalgs = [256]'; do
        refused ERR_REQUEST_INVALID tbs resign create.json ".[] |= ($value)"
    done
    # what is echoed is a string of at most 255 bytes, or nothing
    refused ERR_REQUEST_INVALID tbs resign create.json ".[] |= (.rid = (\"x\" * 256) | .tid = 7)"
    assert_equal "$(jq -c '.[] | [.rid, .tid]' payload.json)" '["",""]'
    refused ERR_REQUEST_INVALID tbs resign create.json ".[] |= (.rid = (\"x\" * 255) | .tid = (\"y\" * 200))"
    assert_equal "$(jq -c '.[] | [(.rid | length), (.tid | length)]' payload.json)" '[255,200]'
    accepted resign create.json ".[] |= (.rid = (\"x\" * 255) | .tid = (\"~ \" * 64))"
}

@test "row members: the inner name is the outer one" {
    take filled ec
    request delete-sd --sdname sd-1 --delete-ta > delete.json
    disbelieved jq -c '{DeleteTARequest: .DeleteSDRequest}' delete.json
    assert_equal "$(jq -r keys[0] payload.json)" DeleteTATBSResponse
    assert_equal "$(jq -c '.[] | [.rid, .tid]' payload.json)" "$(tbs delete.json | jq -c '[.rid, .tid]')"
    refused ERR_REQUEST_INVALID tbs resign delete.json '.more = {}'
    refused ERR_REQUEST_INVALID tbs resign delete.json '.[]'
    refused ERR_REQUEST_INVALID tbs resign delete.json '[.]'
    refused ERR_REQUEST_INVALID tbs resign delete.json '{DeleteSDRequest: .[]}'
    disbelieved signed_payload delete.json 'no JSON'
    disbelieved signed_payload delete.json "$(payload delete.json | sed 's/"ver"/"ver":"1.0","ver"/')"
    disbelieved signed_payload delete.json "$(payload delete.json) x"
    disbelieved signed_payload delete.json ''
}

# signed_payload MESSAGE TEXT: MESSAGE with TEXT as its payload.
signed_payload() {
    printf %s "$2" | otrp sign --key "$TAM-key.pem" --cert "$TAM-cert-plus-intermediate-cert.pem" \
        --message "$(cut -d'"' -f 2 "$1")"
}

# A time some seconds from now.
later() {
    echo "@$(($(date +%s) + $1))"
}

@test "row revocation: a good response for each certificate below the root, from its issuer" {
    take blank ec
    local set=$TAM-ocsp.json
    untold() {
        recorded no ERR_TAM_NOT_TRUSTED tbs request get-device-state "$@"
    }
    untold --set 'ocspdat=[]'
    assert_regex "$stderr" 'CN=mytam,OU=TAM,O=OTrP: no OCSP response for it'
    untold --set "ocspdat=$(jq -c '.[:1]' "$set")"
    assert_regex "$stderr" 'CN=TAM CA 1.*none of the OCSP responses is for it'
    untold --set "ocspdat=$(jq -c '.[1:]' "$set")"
    untold --set "ocspdat=$(jq -c . "$OTHER-ocsp.json")"
    untold --set "ocspdat=$(jq -c . "$PKI/tam/tam/tam-mytam-rsa-ocsp.json")"
    untold --set 'ocspdat=["AAAA","MAMKAQE="]'
    # in any order, and beside what is no response
    accepted request get-device-state --set "ocspdat=$(jq -c '[.[1], "AAAA", .[0]]' "$set")"
    take blank ec
    openssl ocsp -no_nonce -issuer "$P/tam/tam-ca/tam-ca-1-ec-cert.pem" -cert "$TAM-cert.pem" -reqout request.der
    # revoked, and said by somebody who may not say it
    sed "s/^V\t\([^\t]*\)\t\t/R\t\1\t$(date -u +%y%m%d000000Z)\t/" "$P/tam/tam-ca/tam-ca-1-ec-index.txt" > index.txt
    echo 'unique_subject = no' > index.txt.attr
    local ca=$P/tam/tam-ca/tam-ca-1-ec
    openssl ocsp -index index.txt -CA "$ca-cert.pem" -rsigner "$ca-cert.pem" -rkey "$ca-key.pem" -ndays 7 \
        -reqin request.der -respout revoked.der
    untold --set "ocspdat=$(jq -c --arg own "$(base64 -w 0 < revoked.der)" '[$own, .[1]]' "$set")"
    assert_regex "$stderr" 'CN=mytam,OU=TAM,O=OTrP: revoked at 20'
    untold --set "ocspdat=$(jq -c --arg own "$(base64 -w 0 < revoked.der)" '[$own] + .' "$set")"
    take blank ec # the device has learned that the certificate is revoked
    cp "$ca-index.txt" index.txt
    openssl ocsp -index index.txt -CA "$ca-cert.pem" -rsigner "$OTHER-cert.pem" -rkey "$OTHER-key.pem" -ndays 7 \
        -reqin request.der -respout other.der
    untold --set "ocspdat=$(jq -c --arg own "$(base64 -w 0 < other.der)" '[$own, .[1]]' "$set")"
    assert_regex "$stderr" 'the signer of its OCSP response lacks'
    # said by openssl in the CA's name: good
    openssl ocsp -index index.txt -CA "$ca-cert.pem" -rsigner "$ca-cert.pem" -rkey "$ca-key.pem" -ndays 7 \
        -reqin request.der -respout good.der
    accepted request get-device-state \
        --set "ocspdat=$(jq -c --arg own "$(base64 -w 0 < good.der)" '[$own, .[1]]' "$set")"
}

@test "row revocation: a response counts from five minutes before to five minutes after its time" {
    take blank ec
    local at=$(($(date +%s) + 8640000))
    otrp pki-ocsp --pki "$P" --now "@$at" --days 1 "$TAM-cert.pem" > set.json
    untold() {
        NOW="@$1" recorded no ERR_TAM_NOT_TRUSTED tbs request get-device-state --set "ocspdat=$(jq -c . set.json)"
        assert_regex "$stderr" "$2"
    }
    untold $((at - 301)) 'from the future: not valid before 20'
    untold $((at + 86400 + 301)) 'stale since 20'
    NOW="@$((at - 299))" accepted request get-device-state --set "ocspdat=$(jq -c . set.json)"
    NOW="@$((at + 86400 + 299))" accepted request get-device-state --set "ocspdat=$(jq -c . set.json)"
}

@test "a TEE that asks for the signer each time takes nothing from memory, but in GetDeviceState" {
    take asked ec
    assert_equal "$(tbs state.json | jq .signerreq)" true
    recorded no ERR_TAM_NOT_TRUSTED tbs request create-sd --sp xbank --sdname a --unset ocspdat
    request create-sd --sp xbank --sdname a > create.json
    disbelieved jq -c '.CreateSDRequest |= del(.header)' create.json
    accepted request get-device-state --set 'ocspdat=[]'
}

@test "row revocation: what was told before counts as long as it would have" {
    take asked ec
    sqlite3 device/state.db 'UPDATE device SET signerreq = 0'
    accepted request get-device-state --set 'ocspdat=[]'
    accepted request create-sd --sp xbank --sdname a --unset ocspdat
    NOW=$(later 691200) recorded no ERR_TAM_NOT_TRUSTED tbs request create-sd --sp xbank --sdname b --unset ocspdat
    NOW=$(later 691200) recorded no ERR_TAM_NOT_TRUSTED tbs request create-sd --sp xbank --sdname b
    as_other recorded no ERR_TAM_NOT_TRUSTED tbs request get-device-state --set 'ocspdat=[]'
    sqlite3 device/state.db 'DELETE FROM ocsp'
    recorded no ERR_TAM_NOT_TRUSTED tbs request create-sd --sp xbank --sdname b --unset ocspdat
}

@test "row revocation: a fresh revoked outweighs a good that was told before" {
    take asked ec
    local ca=$P/tam/tam-ca/tam-ca-1-ec
    openssl ocsp -no_nonce -issuer "$ca-cert.pem" -cert "$TAM-cert.pem" -reqout request.der
    sed "s/^V\t\([^\t]*\)\t\t/R\t\1\t$(date -u +%y%m%d000000Z)\t/" "$ca-index.txt" > index.txt
    echo 'unique_subject = no' > index.txt.attr
    openssl ocsp -index index.txt -CA "$ca-cert.pem" -rsigner "$ca-cert.pem" -rkey "$ca-key.pem" -ndays 7 \
        -reqin request.der -respout revoked.der
    refused ERR_TAM_NOT_TRUSTED tbs request create-sd --sp xbank --sdname a \
        --set "ocspdat=[\"$(base64 -w 0 < revoked.der)\"]"
}

@test "row firmware: when it has no chain to a firmware root, there is no GetDeviceState" {
    world ec
    local parts=(--name mytee --tee-key "$TEE-key.pem" --tee-cert "$TEE-cert-plus-intermediate-cert.pem"
        --tam-root "$P/tam/tam-rootca" --tfw-key "$TFW-key.pem" --tfw-cert "$TFW-cert-plus-intermediate-cert.pem")
    otrp tee-sim init -q --state device "${parts[@]}" --tfw-root "$PKI/tfw/tfw-rootca"
    recorded yes ERR_TFW_NOT_TRUSTED tbs request get-device-state
    # what comes before goes before
    recorded no ERR_TAM_NOT_TRUSTED tbs request get-device-state --set 'ocspdat=[]'
    cp "$BATS_FILE_TMPDIR/ec/asked.json" state.json
    recorded yes ERR_DEV_STATE_MISMATCH tbs request create-sd --sp xbank --sdname a
    rm -r device
    otrp tee-sim init -q --state device "${parts[@]}" --tfw-root "$P/tfw/tfw-rootca"
    accepted request get-device-state
}

@test "row tee: a request for a TEE of another name" {
    take asked
    recorded yes ERR_REQUEST_INVALID tbs request create-sd --sp xbank --sdname a --set 'tee="othertee"'
    recorded yes ERR_REQUEST_INVALID tbs request create-sd --sp xbank --sdname a --set 'tee="MYTEE"'
    recorded yes ERR_REQUEST_INVALID tbs request create-sd --sp xbank --sdname a --set 'tee="mytee "'
    assert_regex "$stderr" 'this is "mytee"'
}

@test "row dsihash: of another state, or of none" {
    take asked
    local hash
    hash=$(tbs <(request create-sd --sp xbank --sdname a) | jq -r .dsihash)
    for hash in "$(printf %032d 0 | base64)" "$(base64 -d <<< "$hash" | hex | tr 0-9a-f 1-9a-f0 | xxd -r -p | base64)"; do
        recorded yes ERR_DEV_STATE_MISMATCH tbs request create-sd --sp xbank --sdname a --set "dsihash=\"$hash\""
    done
    accepted request create-sd --sp xbank --sdname a
}

@test "row JWE algorithms: what is not known, or direct" {
    take asked
    request create-sd --sp xbank --sdname a > create.json
    local fault n=0
    for fault in '.recipients[0].header.alg = "RSA1_6"' '.recipients[0].header.alg = "dir"' \
        '.recipients[0].header.alg = "ECDH-ES"' '.recipients[0].header.alg = "A128KW"' \
        '.recipients[0].header.alg = "A128GCMKW"' '.protected = "eyJlbmMiOiJBMTI4WFlaIn0"'; do
        recorded yes ERR_UNSUPPORTED_CRYPTO_ALG tbs resign create.json ".[] |= (.rid = \"r$((++n))\" | .content |= ($fault))"
        assert_equal "$(jq -c '.[].supportedsigalgs | type' payload.json)" '"array"'
    done
}

@test "row JWE algorithms: a key agreed on directly cannot encrypt the answer" {
    take asked ec
    request create-sd --sp xbank --sdname a > create.json
    plaintext create.json "$TEE-key.jwk" | jose jwe enc -I- -i '{"protected":{"enc":"A128CBC-HS256"}}' \
        -r '{"header":{"alg":"ECDH-ES"}}' -k "$TEE-pub.jwk" -o direct.json
    assert_equal "$(jq -r '.header.alg, has("encrypted_key")' direct.json)" $'ECDH-ES\nfalse'
    refused ERR_UNSUPPORTED_CRYPTO_ALG tbs resign create.json \
        ".[].content = $(jq -c '{protected, recipients: [{header}], iv, ciphertext, tag}' direct.json)"
}

@test "row content: it does not open, whatever the reason, with one message" {
    for kind in rsa ec; do
        take asked $kind
        request create-sd --sp xbank --sdname a > create.json
        payload create.json > create-payload.json
        : > messages.txt
        local part
        # shellcheck disable=SC2016
        for part in tag ciphertext iv 'recipients[0].encrypted_key'; do
            flip_last_byte_of ".CreateSDTBSRequest.content.$part" < create-payload.json |
                jq -cj --arg part "$part" '.[].rid = $part' > changed.json
            recorded yes ERR_REQUEST_INVALID tbs signed_payload create.json "$(cat changed.json)"
            cat reason.json >> messages.txt
            [ "$part" = iv ] || echo "${stderr//$'\n'/ }" >> errors.txt
        done
        # for another device, under the name of this one
        request create-sd --sp xbank --sdname a --rid other \
            --set "content=$(jose jwe enc -I- -i '{"protected":{"enc":"A128CBC-HS256"}}' -k "$P/tee/tee/tee-othertee-$K-pub.jwk" \
                -r "{\"header\":{\"alg\":\"$([ $kind = rsa ] && echo RSA1_5 || echo ECDH-ES+A128KW)\"}}" \
                <<< '{}' | jq -c "$general")" > other.json
        recorded yes ERR_REQUEST_INVALID tbs other.json
        echo "${stderr//$'\n'/ }" >> errors.txt
        cat reason.json >> messages.txt
        # for a key of another kind
        recorded yes ERR_REQUEST_INVALID tbs resign create.json ".[] |= (.rid = \"kind\" | .content.recipients[0].header.alg =
            \"$([ $kind = rsa ] && echo ECDH-ES+A128KW || echo RSA1_5)\")"
        assert_equal "$(sort -u messages.txt | wc -l)" 1
        assert_equal "$(sort -u errors.txt | wc -l)" 1
        rm errors.txt
    done
}

@test "row content: a JWE of another form" {
    take asked
    request create-sd --sp xbank --sdname a > create.json
    local form n=0
    for form in '.recipients += .recipients' '.recipients = []' 'del(.recipients)' \
        '(. + .recipients[0] | del(.recipients))' '.protected |= {"enc":"A128CBC-HS256"}' 'del(.tag)' 'del(.iv)' \
        '.iv = "AA"' '.tag |= .[:-2]' '.ciphertext = ""' '.ciphertext += "="' '.recipients[0].header.crit = ["x"]'; do
        recorded yes ERR_REQUEST_INVALID tbs resign create.json ".[] |= (.rid = \"r$((++n))\" | .content |= ($form))"
    done
    accepted create.json
}

@test "row content: its members" {
    for kind in rsa ec; do
        take asked $kind
        request create-sd --sp xbank --sdname a > create.json
        otrp decrypt --key "$TEE-key.pem" create.json > plain.json
        local change n=0
        for change in '.more = 1' '.did = 7' '.spid = ""' '.sdname = ("x" * 256)' '.sdname = "a\u0000b"' '.spcert = "%"' \
            'del(.sdname)' 'del(.spid)' 'del(.spcert)' 'del(.tamid)' 'del(.did)' '[.]' '"x"' '.content = {}'; do
            request create-sd --sp xbank --sdname a > create.json
            recorded yes ERR_REQUEST_INVALID tbs sealed create.json "$(jq -c "$change" plain.json)"
            [ $kind = rsa ] || break
        done
        request create-sd --sp xbank --sdname a > create.json
        recorded yes ERR_REQUEST_INVALID tbs sealed create.json "$(sed 's/"did"/"did":"x","did"/' plain.json)"
        request create-sd --sp xbank --sdname a > create.json
        recorded yes ERR_REQUEST_INVALID tbs sealed create.json '{'
        request create-sd --sp xbank --sdname a > create.json
        accepted sealed create.json "$(jq . plain.json)"
    done
}

@test "row content: members of every type of request" {
    take filled ec
    wrong() {
        refused ERR_REQUEST_INVALID tbs request "$@"
    }
    local update=(update-sd --spid xbank --sdname sd-1)
    wrong "${update[@]}" --set 'content.changes.more=1'
    wrong "${update[@]}" --set 'content.changes.newsdname=""'
    wrong "${update[@]}" --set 'content.changes.spcert="AAAA"'
    wrong "${update[@]}" --set 'content.changes.deloldspcert=["xx"]'
    wrong "${update[@]}" --set 'content.changes.renewteespaik="true"'
    wrong "${update[@]}" --set 'content.changes=[]'
    wrong "${update[@]}" --unset content.changes
    wrong delete-sd --sdname sd-1 --unset content.deleteta
    wrong delete-sd --sdname sd-1 --set 'content.deleteta="true"'
    wrong delete-sd --sdname sd-1 --set 'content.spid="xbank"'
    wrong delete-ta --sdname sd-1 --taid demo --unset content.taid
    wrong delete-ta --sdname sd-1 --taid demo --set 'content.did="x"'
    local install=(install-ta --sp xbank --sdname sd-1 --taid new --ta ta.bin)
    wrong "${install[@]}" --unset content.spid
    wrong "${install[@]}" --set 'content.taname=7'
    request "${install[@]}" > install.json
    for fault in 'del(.encrypted_ta)' 'del(.encrypted_ta.iv)' '.encrypted_ta.iv = "xx"' 'del(.encrypted_ta.key)' \
        'del(.encrypted_ta.ciphertadata)' '.encrypted_ta.ciphernewtadata = "AAAA"' '.encrypted_ta.more = 1' \
        '.encrypted_ta.key = "AAAA"' '.encrypted_ta.ciphertadata = "%"' '.encrypted_ta.alg = 7'; do
        refused ERR_REQUEST_INVALID tbs resign install.json ".[] |= ($fault)"
    done
    refused ERR_REQUEST_INVALID tbs request update-ta --sp xbank --sdname sd-1 --taid demo --ta ta.bin \
        --set 'content.taname="x"'
    accepted request "${install[@]}"
}

@test "rows did, tamid, SD: for another device, by another TAM, of nobody" {
    take filled
    local did
    did=$(did "$P/tee/tee/tee-othertee-$K-cert.pem")
    recorded yes ERR_REQUEST_INVALID content request create-sd --sp xbank --sdname a --set "content.did=\"$did\""
    # did before tamid
    recorded yes ERR_REQUEST_INVALID content request create-sd --sp xbank --sdname a --set "content.did=\"$did\"" \
        --tamid othertam
    recorded yes ERR_TAM_NOT_AUTHORIZED content request create-sd --sp xbank --sdname a --tamid othertam
    # tamid before SD
    recorded yes ERR_TAM_NOT_AUTHORIZED content request delete-sd --sdname nobody --tamid othertam
    recorded yes ERR_TAM_NOT_AUTHORIZED content request delete-sd --sdname sd-1 --tamid MYTAM --delete-ta
    recorded yes ERR_SD_NOT_FOUND content request delete-sd --sdname nobody
    recorded yes ERR_SD_NOT_FOUND content request delete-sd --sdname SD-1 --delete-ta
    recorded yes ERR_SD_NOT_FOUND content request update-sd --spid ybank --sdname sd-1
}

@test "the first row that fails decides" {
    take asked ec
    request create-sd --sp xbank --sdname a --set 'tee="other"' > create.json
    # signature before ver and members
    disbelieved jq -c ".CreateSDRequest.payload = \"$(payload create.json | jq -cj '.[].ver = "2.0"' | base64url_encode)\"" create.json
    # trust before signature
    NOW=2099-01-01 recorded no ERR_TAM_NOT_TRUSTED tbs jq -c '.CreateSDRequest.signature |= .[:-4]' create.json
    # algorithm before signer
    recorded no ERR_UNSUPPORTED_CRYPTO_ALG tbs jq -c '.CreateSDRequest |= (.protected = "eyJhbGciOiJub25lIn0" | del(.header))' create.json
    # ver before members, members before revocation, revocation before tee, tee before dsihash
    refused ERR_UNSUPPORTED_MSG_VERSION tbs resign create.json '.[] |= (.ver = "2.0" | .more = 1)'
    NOW=$(later 691200) refused ERR_REQUEST_INVALID tbs resign create.json '.[].more = 1'
    NOW=$(later 691200) refused ERR_TAM_NOT_TRUSTED tbs create.json
    refused ERR_REQUEST_INVALID tbs resign create.json '.[].dsihash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="'
    assert_regex "$stderr" 'for the TEE "other"'
    # dsihash before the content
    request create-sd --sp xbank --sdname a > create.json
    refused ERR_DEV_STATE_MISMATCH tbs resign create.json \
        '.[] |= (.dsihash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" | .content.tag = "AAAA")'
    # tamid, SD before the package
    refused ERR_SD_NOT_FOUND content request delete-ta --sdname a --taid t
}

# ---- what verify says besides its verdict ----

@test "verify says how much of a request it could check" {
    # shellcheck disable=SC2153 # of test_helper
    local dir=$ROOT/samples/messages
    verify_sample() {
        run --separate-stderr otrp verify --now 2026-11-21T10:00:00Z --trust "$dir/pki/tam/tam-rootca" \
            "$@" "$dir/create-sd-request.json"
    }
    verify_sample --explain
    local passed all
    passed=$(grep -c '^ *[0-9]*  passed ' <<< "$stderr")
    all=$(grep -c '^ *[0-9]*  [a-z]' <<< "$stderr")
    assert_equal "$all" 19
    assert_regex "$stderr" "good: CreateSDRequest .*, tid sample-session \\($passed of $all checks; the others need the device\\)"
    verify_sample --no-revocation
    assert_equal "$status" 0
    assert_regex "$stderr" "\\($((passed - 1)) of $all checks; the others need the device or OCSP responses\\)"
}

@test "verify names the next step for what it cannot read or open" {
    local dir=$ROOT/samples/messages text
    for text in 'Nov 21 10:00:00 host broker: {"CreateSDRequest":{}}' '{"direction":"request"} {}' \
        '-----BEGIN CERTIFICATE-----' '{"CreateSDRequest":{"payl'; do
        printf %s "$text" > text
        run --separate-stderr otrp verify --trust "$dir/pki/tam/tam-rootca" text
        assert_equal "$status" 6
        assert_regex "$stderr" "hint: 'otrp inspect' finds messages in logs, mails and dumps"
    done
    { printf '\xef\xbb\xbf' && cat "$dir/create-sd-request.json"; } > text
    run --separate-stderr otrp verify --trust "$dir/pki/tam/tam-rootca" text
    assert_equal "$status" 6
    assert_regex "$stderr" 'error: text: begins with a byte order mark'
    assert_regex "$stderr" "hint: 'otrp inspect'"
    run --separate-stderr otrp verify --now 2026-11-21T10:00:00Z --trust "$dir/pki/tee/tee-rootca" \
        "$dir/get-device-state-response.json"
    assert_equal "$status" 5
    assert_regex "$stderr" "hint: give the TAM's private key with --tam-key"
}

# ---- what make-request says besides ----

@test "make-request warns of what every TEE refuses, and makes it" {
    take blank ec
    local long
    long=$(printf '%256s' '' | tr ' ' r)
    warns() {
        run --separate-stderr otrp make-request get-device-state --pki "$P" "${@:2}"
        assert_equal "$status" 0
        assert_regex "$stderr" "$1"
        jq -e .GetDeviceStateRequest <<< "$output" > /dev/null
    }
    warns 'warning: --rid: empty: .* 1 to 255 bytes' --rid ''
    warns 'warning: --rid: longer than 255 bytes' --rid "$long"
    warns 'warning: --tid: longer than 128 bytes: .* 1 to 128 printable ASCII' --tid "$long"
    warns 'warning: --tid: not printable ASCII' --tid 'ä'
    run --separate-stderr otrp make-request get-device-state --pki "$P" --rid "${long:1}" --tid "${long:128}"
    assert_equal "$status" 0
    refute_regex "$stderr" 'warning: --[rt]id'
    run --separate-stderr otrp make-request get-device-state --pki "$P" --break missing:rid --tbs
    assert_equal "$status" 0
    assert_regex "$stderr" 'warning: --break shows in the message alone'
    assert_equal "$(jq '.[] | has("rid")' <<< "$output")" true
}

@test "a query, a content that is to go and an empty TA: what to do is said" {
    take filled ec
    otrp make-request ta-query --spid xbank --taid t > query.json
    run --separate-stderr otrp tee-sim process --state device query.json
    assert_equal "$status" 6
    assert_regex "$stderr" "hint: a TAQuery is for 'otrp tee-sim query'"
    run --separate-stderr otrp make-request create-sd --pki "$P" --device state.json --sp xbank --sdname new --unset content
    assert_equal "$status" 2
    assert_regex "$stderr" 'hint: --break missing:content leaves it out'
    : > empty.bin
    run --separate-stderr otrp make-request install-ta --pki "$P" --device state.json --sp xbank --sdname sd-1 \
        --taid empty --ta empty.bin
    assert_equal "$status" 0
    assert_regex "$stderr" 'warning: --ta: empty\.bin: a TA of 0 bytes'
}
