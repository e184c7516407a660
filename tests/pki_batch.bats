#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Batches that are killed, interrupted, or run out of disk; processes that issue and revoke at once.
# shellcheck disable=SC2154 # stderr is set by run --separate-stderr

load test_helper
load pki/helper

setup_file() {
    export FRESH="$BATS_FILE_TMPDIR/fresh"
    otrp pki-init -q --out "$FRESH" --root-alg ec-p256 --ca-alg ec-p256 --alg ec-p256
}

setup() {
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return
    cp -r "$FRESH" pki
    LEDGER=pki/tee/tee-ca/tee-ca-1-ec-index.txt
}

# manifest FIRST LAST [ALG]
manifest() {
    local i
    echo role,name,alg
    for ((i = $1; i <= $2; i++)); do echo "tee,unit-$i,${3-ec-p256}"; done
}

certs() {
    find out -name '*-ec-cert.pem' ! -name '*plus*'
}

# whole COUNT: the result has so many rows, each with its files; the ledger has each once, and nothing
# else has been left behind.
whole() {
    assert_equal "$(grep -c ',issued,$' result.csv)" "$1"
    assert_equal "$(cut -d, -f1 result.csv | tail -n +2 | paste -sd ' ')" "$(seq "$1" | paste -sd ' ')"
    cut -d, -f4 result.csv | tail -n +2 | sort > serials
    assert_equal "$(sort -u serials | grep -c .)" "$1"
    run diff serials <(cut -f4 "$LEDGER" | tail -n +2 | sort)
    assert_success
    run diff serials <(certs | while read -r cert; do openssl x509 -in "$cert" -noout -serial; done | cut -d= -f2 | sort)
    assert_success
    assert_equal "$(find out -type f | grep -c .)" $((3 * $1 + 2))
    run --separate-stderr otrp pki-check --pki pki --out out
    assert_equal "$stderr" "otrp pki-check: pki: $((13 + $1)) certificates and $((23 + $1)) keys, and nothing to find fault with"
    assert_success
}

@test "killed again and again at random moments, a batch is completed by --resume" {
    manifest 1 200 > units.csv
    local i begun=0 pid resume=() time start=${EPOCHREALTIME/[.,]/} end
    cp -r pki other
    otrp pki-issue -q --pki other --manifest units.csv --out other/out > other/result.csv
    time=$((${EPOCHREALTIME/[.,]/} - start))
    for i in {1..10}; do
        "$OTRP" pki-issue -q --pki pki --manifest units.csv --out out "${resume[@]}" > result.csv 2> errors.txt &
        pid=$!
        # of the time that the whole takes, first a tenth at most, then any part
        end=$((${EPOCHREALTIME/[.,]/} + RANDOM * time / (i > 4 ? 32768 : 327680)))
        until [ "${EPOCHREALTIME/[.,]/}" -ge "$end" ]; do :; done
        if kill -9 "$pid" 2> /dev/null; then begun=$((begun + 1)); fi
        wait "$pid" || true
        # what is there is whole, whenever it was
        while read -r cert; do
            openssl x509 -in "$cert" -noout
            openssl pkey -in "${cert/cert.pem/key.pem}" -noout
        done < <(certs | tail -n 3)
        run cat errors.txt
        assert_output ""
        [ ! -e out/units.result.csv ] || resume=(--resume)
    done
    assert [ "$begun" -gt 3 ]
    otrp pki-issue -q --pki pki --manifest units.csv --out out --resume > result.csv
    whole 200
}

@test "a batch that was killed between ledger and result takes up what is there" {
    manifest 1 30 > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out > result.csv
    cp result.csv all.csv
    # as if the last ten rows had not got into the result, and of these five not into the ledger; one
    # has no certificate yet, one is empty, as after a power failure, and a line was being written
    head -n 21 all.csv > out/units.result.csv
    printf '21,tee,unit-2' >> out/units.result.csv
    head -n 26 "$LEDGER" > shorter
    mv shorter "$LEDGER"
    printf 'V\t999912' >> "$LEDGER"
    rm "$(sed -n 31p all.csv | cut -d, -f7)"
    : > "$(sed -n 30p all.csv | cut -d, -f7)"
    run otrp pki-issue -q --pki pki --manifest units.csv --out out --resume
    assert_success
    echo "$output" > result.csv
    whole 30
    run diff <(head -n 29 all.csv) <(head -n 29 result.csv)
    assert_success
}

@test "of two rows of one name the first wins, however often the batch is killed" {
    { manifest 1 20; echo tee,unit-5,ec-p384; echo tee,unit-6,ec-p256; } > units.csv
    run otrp pki-issue -q --pki pki --manifest units.csv --out out --jobs 8
    assert_equal "$status" 9
    sed -i '10,$d' out/units.result.csv
    run --separate-stderr otrp pki-issue -q --pki pki --manifest units.csv --out out --resume --jobs 8
    assert_equal "$status" 9
    assert_equal "$(cut -d, -f9 <<< "$output" | tail -n +2 | uniq -c | tr -s ' ' | paste -sd ' ')" " 20 issued  2 failed"
    assert_equal "$(grep -c . "$LEDGER")" 21
}

@test "what is renewed one by one is in the result of its batch, too" {
    manifest 1 3 > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out > result.csv
    otrp pki-issue -q --pki pki --role tee --name unit-2 --renew --out out > one.csv
    assert_equal "$(cut -d, -f2-7 out/units.result.csv | sed -n 3p)" "$(cut -d, -f2-7 one.csv | sed -n 2p)"
    assert_equal "$(openssl x509 -in "$(sed -n 3p out/units.result.csv | cut -d, -f7)" -noout -serial)" "serial=$(sed -n 3p out/units.result.csv | cut -d, -f4)"
    run diff <(sed 3d result.csv) <(sed 3d out/units.result.csv)
    assert_success
    assert_equal "$(sed -n 3p out/units.result.csv | cut -d, -f1,8,9)" "$(sed -n 3p result.csv | cut -d, -f1,8,9)"
    run --separate-stderr otrp pki-check --pki pki --out out
    assert_success
    otrp pki-issue -q --pki pki --manifest units.csv --out out --resume > again.csv
    run diff out/units.result.csv again.csv
    assert_success
    # not while a batch writes to it
    local lock
    cp "$LEDGER" before
    exec {lock}< out/units.result.csv.lock
    flock -x "$lock"
    run --separate-stderr otrp pki-issue --pki pki --role tee --name unit-3 --renew --out out
    exec {lock}<&-
    assert_equal "$status" 2
    assert_regex "$stderr" 'units.result.csv: a batch works on it'
    run cmp before "$LEDGER"
    assert_success
}

@test "a manifest from a pipe is refused before anything is made" {
    local source
    manifest 1 2 > units.csv
    for source in - /dev/stdin /dev/fd/0 .; do
        run --separate-stderr bash -c "cat units.csv | \"\$0\" pki-issue --pki pki --manifest $source --out out" "$OTRP"
        assert_equal "$status" 2
        assert_equal "$output" ""
        assert_regex "$stderr" '--manifest: (standard input|/dev/stdin|/dev/fd/0|\.) is no regular file'
        assert_regex "$stderr" 'hint: write it to a file'
        assert [ ! -e out ]
    done
    run find pki -name '*.result.csv*'
    assert_output ""
    otrp pki-issue -q --pki pki --manifest /dev/stdin --out out < units.csv > result.csv
    assert_equal "$(grep -c ',issued,$' result.csv)" 2
}

@test "--resume does not vouch for files that are gone, and issues nothing in their place" {
    manifest 1 4 > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out > result.csv
    cp -r out full
    cp "$LEDGER" before
    local gone other lost
    gone=$(sed -n 2p result.csv | cut -d, -f7) lost=$(sed -n 3p result.csv | cut -d, -f8)
    other=$(sed -n 4p result.csv | cut -d, -f7)
    rm "$gone" "$lost"
    cp "$(sed -n 5p result.csv | cut -d, -f7)" "$other"
    for _ in 1 2; do
        run --separate-stderr otrp pki-issue -q --pki pki --manifest units.csv --out out --resume
        assert_equal "$status" 9
        assert_regex "$stderr" '3 of 4 rows failed'
        assert_equal "$(cut -d, -f9 <<< "$output" | tail -n +2 | paste -sd ' ')" "failed failed failed issued"
        assert_equal "$(cut -d, -f1-8 <<< "$output")" "$(cut -d, -f1-8 result.csv)"
        assert_regex "$(sed -n 2p <<< "$output")" "issued before, but the certificate $gone is not there: restore it, or revoke"
        assert_regex "$(sed -n 3p <<< "$output")" "issued before, but the key $lost is not there"
        assert_regex "$(sed -n 4p <<< "$output")" "issued before, but $other has another serial number"
    done
    run cmp before "$LEDGER"
    assert_success
    assert [ ! -e "$gone" ] && assert [ ! -e "$lost" ]
    # restored, they count again
    cp "${gone/out/full}" "$gone"
    cp "${lost/out/full}" "$lost"
    cp "${other/out/full}" "$other"
    run --separate-stderr otrp pki-issue -q --pki pki --manifest units.csv --out out --resume
    assert_success
    run diff result.csv out/units.result.csv
    assert_success
    run cmp before "$LEDGER"
    assert_success
}

@test "--resume takes no certificate for a row that asks for another" {
    printf 'role,name,alg,days,tamid\ntam,a,ec-p256,30,tamid-a\ntam,b,ec-p256,30,\ntee,c,ec-p256,,\n' > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out > result.csv
    cp "$LEDGER" before
    local a b change
    a=$(sed -n 2p result.csv | cut -d, -f7) b=$(sed -n 3p result.csv | cut -d, -f7)
    cp "$a" a.pem
    cp units.csv units.good
    # as if the run had ended before a row was told
    unfinished() {
        sed 1q result.csv > out/units.result.csv
        cp units.good units.csv
    }
    for change in 's/tamid-a/other/' 's/a,ec-p256,30/a,ec-p256,31/' 's/a,ec-p256,30/a,ec-p384,30/'; do
        unfinished
        sed -i "$change" units.csv
        run --separate-stderr otrp pki-issue -q --pki pki --manifest units.csv --out out --resume
        assert_equal "$status" 9
        assert_equal "$(cut -d, -f3,9 <<< "$output" | tail -n +2 | paste -sd ' ')" 'a,failed b,issued c,issued'
        assert_regex "$output" "$a: issued by an earlier run, and not what the row asks for"
        cmp a.pem "$a"
    done
    # the certificate of another row
    unfinished
    cp "$b" "$a"
    cp "${b/-cert/-key}" "${a/-cert/-key}"
    run --separate-stderr otrp pki-issue -q --pki pki --manifest units.csv --out out --resume
    assert_equal "$(cut -d, -f3,9 <<< "$output" | tail -n +2 | paste -sd ' ')" 'a,failed b,issued c,issued'
    run cmp before "$LEDGER"
    assert_success
}

@test "a CSR that its key has not signed takes nothing from the device whose key it is" {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a.key -subj /CN=a -outform DER -out own.csr 2> /dev/null
    last_byte_changed own.csr > stolen.csr # of the signature
    run ! cmp -s own.csr stolen.csr
    printf 'role,name,csr\ntee,thief,stolen.csr\ntee,owner,own.csr\n' > units.csv
    run --separate-stderr otrp pki-issue --pki pki --manifest units.csv --out out
    assert_equal "$status" 9
    assert_equal "$(cut -d, -f3,9 <<< "$output" | tail -n +2)" $'thief,failed\nowner,issued'
    assert_regex "$output" 'thief,.*not signed with the key that it is for'
}

@test "a CSR is read once: what is checked is what is certified" {
    certifies_what_was_checked
}

@test "a CSR that is too large, or with a key that is compromised, gets no certificate" {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a.key -subj /CN=a -out a.csr 2> /dev/null
    printf 'role,name,csr\ntee,a,a.csr\n' > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out > result.csv
    otrp pki-revoke -q --pki pki --reason keyCompromise out/tee/*/tee-a-ec-cert.pem
    { cat a.csr; head -c 40000 /dev/zero | tr '\0' '\n'; } > large.csr
    : > empty.csr
    printf 'role,name,csr\ntee,b,a.csr\ntee,c,large.csr\ntee,d,empty.csr\n' > more.csv
    run --separate-stderr otrp pki-issue --pki pki --manifest more.csv --out out
    assert_equal "$status" 9
    assert_equal "$(cut -d, -f3,9,10 <<< "$output" | tail -n +2)" "b,failed,a.csr: its key is compromised: a certificate was revoked for that
c,failed,large.csr: more than the 32768 bytes allowed
d,failed,empty.csr: empty"
    run find out -name '*-[bcd]-*'
    assert_output ""
}

@test "a CSR is for one device: a second row with its key fails" {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a.key -subj /CN=a -out a.csr 2> /dev/null
    openssl ec -in a.key -conv_form compressed -out short.key 2> /dev/null # the same key, written shorter
    openssl req -new -key short.key -subj /CN=again -outform DER -out again.csr
    openssl ec -in a.key -param_enc explicit -out spelt.key 2> /dev/null # with the numbers of its curve
    openssl req -new -key spelt.key -subj /CN=spelt -out spelt.csr
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout b.key -subj /CN=b -out b.csr 2> /dev/null
    printf 'role,name,csr\ntee,a,a.csr\ntee,b,b.csr\ntee,c,a.csr\ntfw,d,again.csr\ntee,f,spelt.csr\ntee,e,\n' > units.csv
    local resume=()
    for _ in 1 2; do
        run --separate-stderr otrp pki-issue --pki pki --manifest units.csv --alg ec-p256 --out out --jobs 4 "${resume[@]}"
        assert_equal "$status" 9
        assert_equal "$(cut -d, -f2,3,9,10 <<< "$output" | tail -n +2)" "tee,a,issued,
tee,b,issued,
tee,c,failed,its CSR has the key of that of row 1
tfw,d,failed,its CSR has the key of that of row 1
tee,f,failed,its CSR has the key of that of row 1
tee,e,issued,"
        resume=(--resume)
    done
    assert_equal "$(grep -c '^V' "$LEDGER")" 4
}

@test "a key that comes with the numbers of its curve is certified with the name of that" {
    openssl ecparam -name prime256v1 -genkey -noout -param_enc explicit -out spelt.key
    openssl req -new -key spelt.key -subj /CN=x -out spelt.csr
    openssl ec -in spelt.key -param_enc named_curve -out named.key 2> /dev/null
    printf 'role,name,alg,csr\ntee,a,ec-p256,\ntee,b,,spelt.csr\ntee,c,ec-p256,\n' > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out --jobs 1 > result.csv
    assert_equal "$(openssl x509 -in out/tee/*/tee-b-ec-cert.pem -noout -pubkey)" "$(openssl pkey -in named.key -pubout)"
    otrp pki-revoke -q --pki pki --reason keyCompromise out/tee/*/tee-b-ec-cert.pem
    printf 'role,name,csr\ntee,d,spelt.csr\n' > more.csv
    run --separate-stderr otrp pki-issue --pki pki --manifest more.csv --out out
    assert_equal "$status" 9
    assert_regex "$output" 'spelt.csr: its key is compromised'
}

@test "a request for an extension with which nobody accepts a certificate fails, in any row" {
    cp -r "$ROOT/pki-templates" look
    sed -i '0,/^\[profile\]/s//[profile]\nrequested = tlsfeature/' look/tee.cnf
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout a.key -subj /CN=a \
        -addext 'tlsfeature = critical, status_request' -out a.csr 2> /dev/null
    printf 'role,name,alg,csr\ntee,a,ec-p256,\ntee,b,,a.csr\ntee,c,ec-p256,\n' > units.csv
    run --separate-stderr otrp pki-issue --pki pki --templates look --manifest units.csv --out out --jobs 1
    assert_equal "$status" 9
    assert_equal "$(cut -d, -f3,9 <<< "$output" | tail -n +2 | tr '\n' ' ')" "a,issued b,failed c,issued "
    assert_regex "$output" 'CN=b,.*unhandled critical extension'
    run find out -name '*-b-*'
    assert_output ""
}

@test "an interrupt ends a batch cleanly, and --resume goes on" {
    manifest 1 4000 rsa-2048 > units.csv
    "$OTRP" pki-issue -q --pki pki --manifest units.csv --out out --jobs 2 > result.csv 2> errors.txt &
    local pid=$! made
    # interrupted when there is something, which is counted while it stands still
    until [ -d out/tee ]; do kill -0 "$pid"; done
    kill -STOP "$pid"
    made=$(find out -name '*-cert.pem' ! -name '*plus*' | wc -l)
    kill -INT "$pid"
    kill -CONT "$pid"
    local status=0
    wait "$pid" || status=$?
    assert_equal "$status" 9
    run cat errors.txt
    assert_output --regexp 'interrupted: [0-9]+ of 4000 rows are done'
    assert_output --partial '--resume goes on'
    assert_equal "$(cat result.csv)" ""
    local count
    count=$(grep -c ',issued,$' out/units.result.csv)
    assert [ "$count" -lt $((made + 24)) ] # what was being made, and no more
    assert_equal "$(find out -name '*-cert.pem' ! -name '*plus*' | grep -c .)" "$count"
    assert_equal "$(tail -n +2 "$LEDGER" | grep -c .)" "$count"
    run find out -name '*~'
    assert_output ""
}

# tiny SIZE: a file system of so many bytes in the folder small; skips where none can be had.
tiny() {
    mkdir small
    mount -t tmpfs -o "size=$1,nr_inodes=0" none small 2> /dev/null || skip 'a small file system cannot be mounted here'
}

teardown() {
    mountpoint -q small 2> /dev/null && umount small
    stop_servers
}

@test "a full disk is an error that names the file, and the batch goes on where there is room" {
    tiny 300k
    manifest 1 100 > units.csv
    run --separate-stderr otrp pki-issue --pki pki --manifest units.csv --out small/out
    assert_equal "$status" 1
    assert_equal "$output" ""
    assert_regex "$stderr" 'error: small/out/.*: cannot write: No space left on device'
    assert_regex "$stderr" 'rows are done; --resume goes on with the others'
    mount -o remount,size=8m small
    otrp pki-issue -q --pki pki --manifest units.csv --out small/out --resume > result.csv
    cp -r small/out out
    sed -i 's,small/out,out,g' result.csv
    whole 100
}

@test "a full disk leaves no certificate in the ledger whose files could not be written" {
    tiny 600k
    cp -r pki small
    local room left refused=0
    for room in {4..44..4}; do
        left=$(df -k --output=avail small | tail -n 1)
        head -c "$((left - room))k" /dev/zero > small/fill
        run --separate-stderr otrp pki-issue --pki small/pki --role tam --name "tam-$room" --alg ec-p256
        if [ "$status" -ne 0 ]; then
            assert_equal "$status" 1
            assert_regex "$stderr" 'error: small/pki/.*: cannot write: No space left on device'
            refused=$((refused + 1))
        fi
        rm small/fill
    done
    assert [ "$refused" -gt 3 ] && assert [ "$refused" -lt 11 ]
    run otrp pki-check --pki small/pki
    assert_success
    # what was refused can be had when there is room
    otrp pki-issue -q --pki small/pki --role tam --name tam-4 --alg ec-p256 > result.csv
}

@test "where files may not grow, the ledger stays as it was and nothing is handed out" {
    # the limit meets the ledger first: everything else is smaller
    local i=0
    while [ "$(wc -c < "$LEDGER")" -lt 4000 ]; do
        i=$((i + 1))
        printf 'V\t99991231235959Z\t\t%040X\tunknown\t/O=OTrP/CN=filler-%d\n' "$i" "$i" >> "$LEDGER"
    done
    cp "$LEDGER" before
    run --separate-stderr bash -c "ulimit -f 4; trap '' XFSZ; exec \"\$0\" pki-issue --pki pki --role tee --name a --alg ec-p256" "$OTRP"
    assert_equal "$status" 1
    assert_equal "$output" ""
    assert_regex "$stderr" 'tee-ca-1-ec-index.txt: cannot write: File too large'
    run cmp before "$LEDGER"
    assert_success
    run find pki -name 'tee-a-*'
    assert_output ""
}

@test "processes that issue and revoke at once lose nothing" {
    manifest 1 60 > a.csv
    manifest 61 120 > b.csv
    otrp pki-issue -q --pki pki --manifest a.csv --out out-a > a.result &
    local first=$! i
    otrp pki-issue -q --pki pki --manifest b.csv --out out-b > b.result &
    local second=$!
    for i in {1..10}; do
        otrp pki-issue -q --pki pki --role tee --name "single-$i" --alg ec-p256 > one.result
        otrp pki-revoke -q --pki pki "pki/tee/tee/tee-single-$i-ec-cert.pem"
    done
    wait $first
    wait $second
    assert_equal "$(grep -c '^V' "$LEDGER")" 121
    assert_equal "$(grep -c '^R' "$LEDGER")" 10
    assert_equal "$(cut -f4 "$LEDGER" | sort -u | grep -c .)" 131
}

@test "a second run of a batch waits for the first, or is refused" {
    manifest 1 10 > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out > result.csv
    local lock
    exec {lock}< out/units.result.csv.lock
    flock -x "$lock"
    run --separate-stderr otrp pki-issue --pki pki --manifest units.csv --out out --resume
    exec {lock}<&-
    assert_equal "$status" 2
    assert_regex "$stderr" 'units.result.csv: another run works on this batch'
}

@test "a hundred rows do not mean a hundred fsyncs" {
    command -v strace > /dev/null || skip 'there is no strace'
    manifest 1 100 > units.csv
    export ASAN_OPTIONS=detect_leaks=0 # which cannot work under strace
    local start=$SECONDS
    strace -f -e trace=fsync,fdatasync,syncfs,sync_file_range -o calls "$OTRP" pki-issue -q --pki pki --manifest units.csv --out out > result.csv
    local calls
    calls=$(grep -cE '(sync|syncfs)\(' calls)
    assert [ "$calls" -gt 3 ]
    assert [ "$calls" -lt $((20 + 10 * (SECONDS - start))) ] # no row waits for more than a second
}

@test "a batch says what it made, and what an earlier run made only where there is some" {
    manifest 1 3 > units.csv
    run --separate-stderr otrp pki-issue --pki pki --manifest units.csv --out out
    assert_success
    assert_equal "$stderr" "otrp pki-issue: out/units.result.csv: 3 certificates"
    manifest 1 5 > units.csv
    run --separate-stderr otrp pki-issue --pki pki --manifest units.csv --out out --resume
    assert_success
    assert_equal "$stderr" "otrp pki-issue: out/units.result.csv: 2 certificates, and 3 from before"
}

# begin NAME OPTION...: a long batch at a terminal, in the background, what it shows in NAME.shown; its
# process is in NAME.pid.
begin() {
    local name=$1
    shift
    manifest 1 4000 rsa-2048 | sed "s/unit/$name/" > "$name.csv"
    TERM=vt100 script -qefc "echo \$\$ > $name.pid; exec '$OTRP' pki-issue --pki pki --out $name --jobs 1 --manifest $name.csv $*" \
        "$name.shown" < /dev/null > /dev/null &
}

@test "progress is shown on a terminal, and neither with -q nor in a pipe" {
    command -v script > /dev/null || skip 'there is no script'
    local name
    begin quiet -q
    begin piped '2> piped.stderr'
    begin shown
    until [ -d quiet/tee ] && [ -d piped/tee ] && grep -q 'certificates: [0-9]* of 4000' shown.shown; do kill -0 $!; done
    for name in quiet piped shown; do kill -INT "$(< $name.pid)"; done
    wait
    run cat shown.shown
    assert_output --regexp $' of 4000.*\r\033\\[Kotrp pki-issue: .*interrupted: ' # what stood there is gone
    run grep -h 'certificates: ' quiet.shown piped.shown piped.stderr
    assert_output ""
    run grep -l 'interrupted: [0-9]* of 4000' quiet.shown piped.stderr
    assert_output $'quiet.shown\npiped.stderr'
}

@test "a pipe in the place of a signing request fails its row, and keeps nobody waiting" {
    mkfifo pipe
    printf 'role,name,csr\ntee,b1,pipe\ntee,b2,-\ntee,b3,\n' > pipes.csv
    run timeout 120 "$OTRP" pki-issue --pki pki --manifest pipes.csv --out pipes --alg ec-p256
    assert_equal "$status" 9
    assert_output --partial 'pipe: the signing request of a manifest is to be a file'
    assert_output --partial -- '-: the signing request of a manifest is to be a file'
    assert_output --regexp '3,tee,b3,.*issued'
}

@test "rows as long as they may be keep nobody waiting for another" {
    local long
    long=$(printf '%060000d' 0)
    { echo role,name; for ((i = 1; i <= 60; i++)); do echo "tee,$i$long"; done; } > long.csv
    run --separate-stderr timeout --signal KILL 120 "$OTRP" pki-issue --pki pki --manifest long.csv --out out --jobs 1
    assert_equal "$status" 9
    assert_regex "$stderr" '60 of 60 rows failed'
    assert_equal "$(cut -d, -f1,9 out/long.result.csv | tail -n +2)" "$(seq -f '%g,failed' 60)"
}

@test "--resume refuses another algorithm than a row was made with" {
    manifest 1 3 > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out > result.csv
    sed 's/,ec-p256/,ec-p384/' units.csv > changed.csv
    assert_equal "$(grep -c ec-p384 changed.csv)" 3
    cp units.csv same.csv
    cp changed.csv units.csv
    run --separate-stderr otrp pki-issue -q --pki pki --manifest units.csv --out out --resume
    assert_equal "$status $output" "2 "
    assert_regex "$stderr" "out/units.result.csv: row 1, tee '.*', has a key of ec-p256 there, and is to have ec-p384 in units.csv"
    assert_regex "$stderr" 'hint: a batch is resumed with the manifest and --alg that it was begun with'
    # --alg counts where a row says nothing
    cut -d, -f1,2 same.csv > units.csv
    run --separate-stderr otrp pki-issue -q --pki pki --manifest units.csv --out out --resume --role tee
    assert_equal "$status" 2
    assert_regex "$stderr" "has a key of ec-p256 there, and is to have rsa-2048"
    run --separate-stderr otrp pki-issue -q --pki pki --manifest units.csv --out out --resume --alg ec-p256
    assert_success
    assert_equal "$output" "$(cat result.csv)"
}

@test "--resume vouches for nothing that is revoked" {
    manifest 1 4 > units.csv
    echo tee,unit-2,ec-p256 >> units.csv
    run otrp pki-issue -q --pki pki --manifest units.csv --out out
    assert_equal "$status" 9
    head -n 5 <<< "$output" > all.csv
    # as if the last rows had not got into the result: of the third one nobody was told
    head -n 3 all.csv > out/units.result.csv
    local told untold serial
    told=$(sed -n 3p all.csv | cut -d, -f7) untold=$(sed -n 4p all.csv | cut -d, -f7)
    otrp pki-revoke -q --pki pki "$told"
    otrp pki-revoke -q --pki pki "$untold"
    cp "$told" revoked.pem
    for _ in 1 2; do
        run --separate-stderr otrp pki-issue -q --pki pki --manifest units.csv --out out --resume
        assert_equal "$status" 9
        assert_equal "$(cut -d, -f9 <<< "$output" | tail -n +2 | paste -sd ' ')" "issued failed issued issued failed"
        assert_regex "$(sed -n 3p <<< "$output")" "issued before, and revoked since: move $told and its key away, and --resume issues another"
        assert_equal "$(sed -n '2p;5p' <<< "$output")" "$(sed -n '2p;5p' all.csv)"
        assert_regex "$(sed -n 6p <<< "$output")" "the name 'unit-2' is taken"
        run cmp revoked.pem "$told"
        assert_success
    done
    serial=$(sed -n 4p out/units.result.csv | cut -d, -f4)
    assert_equal "$(openssl x509 -in "$untold" -noout -serial)" "serial=$serial"
    assert_equal "$(openssl pkey -in "${untold/cert.pem/key.pem}" -pubout)" "$(openssl x509 -in "$untold" -noout -pubkey)"
    assert_equal "$(awk -F '\t' -v s="$serial" '$4 == s { print $1 }' "$LEDGER")" V
    run --separate-stderr otrp pki-check --pki pki --out out
    assert_equal "$status" 9
    assert_equal "$(grep -c . <<< "$output")" 2
    assert_regex "$output" "^revoked: $told"
    # moved away, as the message says
    mkdir away
    mv "$told" "${told/cert.pem/key.pem}" away
    run --separate-stderr otrp pki-issue -q --pki pki --manifest units.csv --out out --resume
    assert_equal "$status" 9
    assert_equal "$(cut -d, -f9 <<< "$output" | tail -n +2 | paste -sd ' ')" "issued issued issued issued failed"
    serial=$(sed -n 3p <<< "$output" | cut -d, -f4)
    assert_equal "$(openssl x509 -in "$told" -noout -serial)" "serial=$serial"
    assert_equal "$(awk -F '\t' -v s="$serial" '$4 == s { print $1 }' "$LEDGER")" V
    assert_equal "$(grep -c '^R' "$LEDGER")" 2
    run otrp pki-check --pki pki --out out
    assert_success
}

# field FILE OPTION...: what openssl says of a certificate
field() {
    openssl x509 -noout -in "$1" "${@:2}"
}

# differs FILE: what may differ between two certificates of a batch, as openssl has it, is taken away
differs() {
    openssl x509 -noout -text -in "$1" -nameopt RFC2253 |
        sed -E '/Serial Number|Subject:|pub:|Signature Value/{N;d}; /^ *([0-9a-f]{2}:)+([0-9a-f]{2})?$/d; /Subject Key Identifier/{n;d}'
}

@test "the certificates of a batch differ in name, number, key and time, and in nothing else" {
    local names certs cert first=
    {
        manifest 1 6
        manifest 7 24 rsa-2048 | tail -n +2
        printf 'tee,%s,%s\n' a_b ec-p256 "$(printf 'n%.0s' {1..64})" ec-p256 p384 ec-p384 p521 ec-p521 last ec-p256
    } > units.csv
    set -m # in a process group, which stands still for a second when the first six are made
    otrp pki-issue -q --pki pki --manifest units.csv --out out --jobs 1 > result.csv 3>&- &
    local pid=$! at
    set +m
    until compgen -G 'out/tee/*/tee-unit-6-ec-cert.pem' > /dev/null; do kill -0 "$pid"; done
    kill -STOP -- "-$pid"
    at=$EPOCHSECONDS
    until [ "$EPOCHSECONDS" -gt "$at" ]; do :; done
    kill -CONT -- "-$pid"
    wait "$pid"
    assert_equal "$(grep -c ',issued,$' result.csv)" 29
    names=$(cut -d, -f3 result.csv | tail -n +2)
    mapfile -t certs < <(cut -d, -f7 result.csv | grep -- -ec-cert)
    assert_equal ${#certs[@]} 11
    for cert in "${certs[@]}"; do
        run openssl verify -x509_strict -CAfile pki/tee/tee-rootca/tee-rootca-ec-cert.pem -untrusted pki/tee/tee-ca/tee-ca-1-ec-cert.pem "$cert"
        assert_success
        assert_equal "$(field "$cert" -pubkey)" "$(openssl pkey -in "${cert/cert.pem/key.pem}" -pubout)"
        assert_equal "$(field "$cert" -ext subjectKeyIdentifier | tail -n 1 | tr -d ' :')" \
            "$(field "$cert" -pubkey | openssl pkey -pubin -outform DER -ec_conv_form uncompressed | tail -c "$(($(field "$cert" -text | sed -nE 's/.*Public-Key: \((.*) bit\)/\1/p' | awk '{ print int(($1 + 7) / 8) * 2 + 1 }')))" | sha1sum | cut -d ' ' -f 1 | tr a-f A-F)"
        assert_equal "$(field "$cert" -enddate)" "notAfter=Dec 31 23:59:59 9999 GMT"
    done
    for cert in "${certs[@]:0:8}" "${certs[10]}"; do
        run diff <(differs "${certs[0]}" | sed /Before/d) <(differs "$cert" | sed /Before/d)
        assert_success
    done
    assert_equal "$(cut -d, -f7 result.csv | tail -n +2 | while read -r cert; do field "$cert" -subject -nameopt RFC2253; done)" \
        "$(while read -r name; do echo "subject=CN=$name,OU=TEE,O=OTrP"; done <<< "$names")"
    # a second later they begin a second later
    [ "$(date -d "$(field "${certs[10]}" -startdate | cut -d= -f2)" +%s)" -gt "$(date -d "$(field "${certs[5]}" -startdate | cut -d= -f2)" +%s)" ]
}

@test "a batch follows its template where certificates differ in more" {
    cp -r "$ROOT/pki-templates" look
    sed -i -E 's/^not_after .*/days = 30/; s/^CN .*/CN = {name}\nemailAddress = {name}@example.org\nC = DE/
        s/^authorityKeyIdentifier.*/&\nsubjectAltName = email:copy/' look/tee.cnf
    manifest 1 5 > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out --templates look --jobs 1 > result.csv
    for i in 1 2 3 4 5; do
        cert=$(sed -n $((i + 1))p result.csv | cut -d, -f7)
        assert_equal "$(field "$cert" -subject -nameopt RFC2253)" "subject=C=DE,emailAddress=unit-$i@example.org,CN=unit-$i,OU=TEE,O=OTrP"
        assert_equal "$(field "$cert" -email)" "unit-$i@example.org"
        assert_equal $(($(date -d "$(field "$cert" -enddate | cut -d= -f2)" +%s) - $(date -d "$(field "$cert" -startdate | cut -d= -f2)" +%s))) $((30 * 86400))
    done
    # without a key identifier, and for as long as the command says
    sed -i -E '/^(subjectKeyIdentifier|subjectAltName)/d' look/tee.cnf
    manifest 6 10 > more.csv
    otrp pki-issue -q --pki pki --manifest more.csv --out out --templates look --jobs 1 --days 7 > result.csv
    for i in 6 7 8 9 10; do
        cert=$(sed -n $((i - 4))p result.csv | cut -d, -f7)
        assert_equal "$(field "$cert" -subject -nameopt RFC2253)" "subject=C=DE,emailAddress=unit-$i@example.org,CN=unit-$i,OU=TEE,O=OTrP"
        refute_regex "$(field "$cert" -text)" 'Subject Key Identifier|Alternative'
        assert_equal $(($(date -d "$(field "$cert" -enddate | cut -d= -f2)" +%s) - $(date -d "$(field "$cert" -startdate | cut -d= -f2)" +%s))) $((7 * 86400))
        run openssl verify -partial_chain -CAfile pki/tee/tee-ca/tee-ca-1-ec-cert.pem "$cert"
        assert_success
    done
}

@test "a name that the PKI has is taken, and one that it gets during the batch" {
    {
        echo role,name,alg
        echo tee,mytee,ec-p256
        manifest 1 20 rsa-2048 | tail -n +2
        echo tee,late,ec-p256
        echo tee,free,ec-p256
    } > units.csv
    otrp pki-issue -q --pki pki --manifest units.csv --out out --jobs 1 > /dev/null 2>&1 3>&- &
    local pid=$! status=0
    until [ -e out/units.result.csv ]; do kill -0 $pid; done
    cp pki/tee/tee/tee-mytee-ec-cert.pem pki/tee/tee/tee-late-rsa-cert.pem
    wait $pid || status=$?
    assert_equal $status 9
    assert_equal "$(grep ',failed,' out/units.result.csv)" "1,tee,mytee,,,,,,failed,pki/tee/tee/tee-mytee-ec-cert.pem: the name 'mytee' is taken
22,tee,late,,,,,,failed,pki/tee/tee/tee-late-rsa-cert.pem: the name 'late' is taken"
    assert_equal "$(grep -c ',issued,$' out/units.result.csv)" 21
}
