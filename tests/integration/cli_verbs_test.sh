#!/usr/bin/env bash
# The command line against a real server: locks, records, sessions, status, lock, once, resolve.
#   cli_verbs_test.sh BUILD_DIR
# shellcheck source-path=SCRIPTDIR disable=SC2119
. "$(dirname "$0")/lib.sh"
begin "$1"
server_start

output() { cat "$tmp/out"; }

claim 'status names the leader, the members and how far the log has come'
expect 0 holdfast status
expect 0 holdfast status --json
same 'members of the document' True "$(json '{"leader", "members", "term", "commit_index",
    "applied_index", "cluster_time_ms"} <= set(d)')"
same 'what was refused' "['cap', 'load', 'rate', 'space'] 0 ''" \
    "$(json '" ".join([str(sorted(d["refused"])), str(sum(d["refused"].values())),
    repr(d["short_of_space"])])')"
same 'the leader' "[1, '$HOLDFAST_SERVERS']" \
    "$(json '[d["leader"]["id"], d["leader"]["client"]]')"
same 'the member' "['client', 'id', 'peer', 'reachable', 'role'] voter True" \
    "$(json 'str(sorted(d["members"][0])) + " voter " + str(d["members"][0]["reachable"])')"

# ---------------------------------------------------------------- lock

claim 'a command runs while the lock is held, with its token, and its exit code is ours'
# shellcheck disable=SC2016 # the inner shell expands it
expect 7 holdfast lock a -- sh -c 'holdfast --json locks a; echo "$HOLDFAST_TOKEN" >&2; exit 7'
same 'the holder' "a exclusive 1 $(cat "$tmp/err")" "$(json '" ".join([d["locks"][0]["name"],
    d["locks"][0]["mode"], str(d["locks"][0]["holders"]), d["locks"][0]["fencing_token"]])')"
expect 0 holdfast locks --json
same 'locks after the release' '[]' "$(json 'd["locks"]')"
expect 143 holdfast lock a -- sh -c 'kill -TERM $$'
expect 127 holdfast lock a -- /nonexistent/command
expect 0 holdfast locks a --queue
same 'a free lock' '0 holding, 0 waiting' "$(output)"

claim 'what cannot be acquired is 75, and waiting is in the order of arrival'
background holdfast lock b -- sh -c "touch $tmp/held; while [ ! -e $tmp/go ]; do sleep 0.02; done"
holder=$started
eventually 10 test -e "$tmp/held"
expect 75 holdfast lock b -- touch "$tmp/never"
grep -q 'session [0-9]* holds it under token [0-9]*, .* of its lease left, 0 waiting' \
    "$tmp/err" || fail "told: $(cat "$tmp/err")"
expect 75 holdfast lock b --wait 100 -- touch "$tmp/never"
expect 75 holdfast lock b --shared -- touch "$tmp/never"
background holdfast lock b --wait 60000 -- sh -c "echo first >> $tmp/order"
first=$started
eventually 10 sh -c 'holdfast --json locks b --queue | grep -q "\"queue_length\": 1"'
background holdfast lock b --wait 60000 -- sh -c "echo second >> $tmp/order"
second=$started
eventually 10 sh -c 'holdfast --json locks b --queue | grep -q "\"queue_length\": 2"'
expect 0 holdfast locks b --queue
grep -q '^1 holding, 2 waiting$' "$tmp/out" || fail "queue shown as: $(output)"
touch "$tmp/go"
wait "$holder" "$first" "$second" || fail 'one of the three failed'
same 'the order' 'first second' "$(tr '\n' ' ' < "$tmp/order" | sed 's/ $//')"
[ ! -e "$tmp/never" ] || fail 'a command ran without the lock'

claim 'a lock is shown with its permits, its grants of several names, its queue and its past'
background holdfast permit look/p look/q --limit 5 --permits 2 -- sh -c \
    "touch $tmp/look; while [ ! -e $tmp/look_go ]; do sleep 0.02; done"
holder=$started
eventually 10 test -e "$tmp/look"
background holdfast lock look/p --wait 60000 -- true
first=$started
eventually 10 sh -c 'holdfast --json locks look/p --queue | grep -q "\"queue_length\": 1"'
expect 0 holdfast locks look/p --queue
grep -q '^permits: 2 of 5 taken$' "$tmp/out" || fail "shown as: $(output)"
grep -q '2 permits, 2 names' "$tmp/out" || fail "shown as: $(output)"
grep -q ' granted ' "$tmp/out" || fail "shown as: $(output)"
expect 0 holdfast --json locks look/p --queue
same 'the document' "5 2 2 2 True exclusive granted True" "$(json '" ".join(str(x) for x in [
    d["limit"], d["units_taken"], d["holders"][0]["permits"], d["holders"][0]["names"],
    d["queue"][0]["since_ms"] <= d["now_ms"], d["queue"][0]["mode"], d["transitions"][0]["what"],
    d["transitions"][0]["fencing_token"] == d["holders"][0]["fencing_token"]])')"
session=$(json 'd["holders"][0]["session"]')
client=$(json 'd["holders"][0]["client_name"]')

claim 'a list of locks is filtered by state, mode and holder'
names() { awk 'NR > 1 { print $1 }' "$tmp/out" | tr '\n' ' '; }
expect 0 holdfast locks look/ --held --mode Permits
same 'the permits' 'look/p look/q ' "$(names)"
grep -q ' 2/5 ' "$tmp/out" || fail "shown as: $(output)"
expect 0 holdfast locks look/ --waited
same 'what is waited for' 'look/p ' "$(names)"
expect 0 holdfast locks --session "$session" --client "$client"
same 'what it holds' 'look/p look/q ' "$(names)"
for filter in '--mode exclusive' '--delayed' '--client nobody' '--session 999999' \
    '--older-than 3600000'; do
    # shellcheck disable=SC2086 # the words are split on purpose
    expect 0 holdfast locks look/ $filter
    same "locks with $filter" '' "$(names)"
done
touch "$tmp/look_go"
wait "$holder" "$first" || fail 'one of the two failed'

claim 'shared holders hold together'
expect 0 holdfast lock s --shared -- holdfast lock s --shared -- true
expect 75 holdfast lock s --shared -- holdfast lock s -- true

claim 'several locks are held all at once or not at all'
expect 0 holdfast lock m2 m1 -- sh -c "holdfast --json locks m; ! holdfast lock m1 -- true &&
    ! holdfast lock m0 m2 -- true && holdfast lock m0 -- true" 2> "$tmp/err2"
same 'both under one token' '2 1' "$(json '" ".join([str(len(d["locks"])),
    str(len({l["fencing_token"] for l in d["locks"]}))])')"
expect 75 holdfast lock m1 -- holdfast lock m0 m1 -- touch "$tmp/never"
grep -q 'others hold some of the locks "m0" and 1 more' "$tmp/err" || fail "told: $(cat "$tmp/err")"

claim 'permits are given out up to the limit and no further'
expect 0 holdfast permit p --limit 3 -- holdfast permit p --limit 3 --permits 2 -- true
expect 75 holdfast permit p --limit 3 -- holdfast permit p --limit 3 --permits 3 -- touch \
    "$tmp/never"
grep -q 'others hold the permits of "p"' "$tmp/err" || fail "told: $(cat "$tmp/err")"
expect 75 holdfast permit p --limit 3 -- holdfast permit p --limit 4 -- touch "$tmp/never"
grep -q 'use one --limit everywhere' "$tmp/err" || fail "told: $(cat "$tmp/err")"
expect 75 holdfast permit p --limit 3 -- holdfast lock p -- touch "$tmp/never"
[ ! -e "$tmp/never" ] || fail 'a command ran without the lock'

# ---------------------------------------------------------------- elect, register

claim 'candidates lead one after the other, under rising terms, and observers see each of them'
expect 66 holdfast elect el --show
background sh -c "exec holdfast elect el --observe --every 100 > $tmp/changes"
observer=$started
eventually 10 grep -q '^nobody leads$' "$tmp/changes"
# shellcheck disable=SC2016 # the inner shell expands it
leads='echo "$HOLDFAST_TOKEN" >> $1; while [ ! -e $1.$2 ]; do sleep 0.02; done; exit $2'
background holdfast elect el --value one:80 -- sh -c "$leads" sh "$tmp/terms" 3
first=$started
eventually 10 grep -q ': one:80$' "$tmp/changes"
background holdfast elect el --value "$(printf 'two\033[31m')" -- sh -c "$leads" sh "$tmp/terms" 4
second=$started
eventually 10 sh -c 'holdfast --json locks el --queue | grep -q "\"queue_length\": 1"'
expect 75 holdfast elect el --value three --wait 0 -- touch "$tmp/never"
expect 75 holdfast elect el --value three --wait 50 -- touch "$tmp/never"
expect 0 holdfast elect el --show
grep -q ' one:80 ' "$tmp/out" || fail "shown as: $(output)"
expect 0 holdfast --json elect el --show
same 'the leader' "el one:80 $(cat "$tmp/terms")" \
    "$(json '" ".join(d[k] for k in ("name", "value", "term"))')"
touch "$tmp/terms.3"
status=0
wait "$first" || status=$?
same 'the first leader' 3 "$status"
eventually 10 grep -q ': two\\x1b\[31m$' "$tmp/changes"
touch "$tmp/terms.4"
wait "$second" || status=$?
same 'the second leader' 4 "$status"
eventually 10 sh -c "[ \$(grep -c '^nobody leads' $tmp/changes) = 2 ]"
sort -n -C "$tmp/terms" || fail "terms that do not rise: $(cat "$tmp/terms")"
same 'changes seen' "$(sed 's/^/term /' "$tmp/terms" | tr '\n' ' ')" \
    "$(sed -n 's/^\(term [0-9]*\),.*/\1/p' "$tmp/changes" | tr '\n' ' ')"
kill -TERM "$observer"
status=0
wait "$observer" || status=$?
same 'the exit code of the observer' 143 "$status"

claim 'one that is interrupted while it campaigns leaves the queue'
background holdfast elect el --value one -- sh -c "touch $tmp/el; exec sleep 60"
first=$started
eventually 10 test -e "$tmp/el"
background holdfast elect el --value two -- touch "$tmp/never"
second=$started
eventually 10 sh -c 'holdfast --json locks el --queue | grep -q "\"queue_length\": 1"'
kill -TERM "$second"
wait "$second" || status=$?
same 'the exit code' 143 "$status"
kill -TERM "$first"
status=0
wait "$first" || status=$?
same 'the exit code of the leader that resigns' 143 "$status"
expect 66 holdfast elect el --show
[ ! -e "$tmp/never" ] || fail 'a candidate that never led ran its command'

claim 'instances are discovered while they run, and an exclusive lock keeps new ones out'
expect 0 holdfast discover svc
same 'lines' 1 "$(wc -l < "$tmp/out")"
expect 0 holdfast register svc --address 10.0.0.1:80 -- holdfast register svc \
    --address 10.0.0.2:80 -- holdfast discover svc
same 'the addresses' '10.0.0.1:80 10.0.0.2:80 ' "$(awk 'NR > 1 { print $1 }' "$tmp/out" | sort |
    tr '\n' ' ')"
expect 0 holdfast register svc --address a:1 -- holdfast --json discover svc
same 'the document' '1 a:1' "$(json 'str(d["count"]) + " " + d["instances"][0]["address"]')"
expect 75 holdfast lock svc -- holdfast register svc --address a:1 -- touch "$tmp/never"
expect 0 holdfast lock svc -- holdfast discover svc --json
same 'no instance' '0 []' "$(json 'str(d["count"]) + " " + str(d["instances"])')"
[ ! -e "$tmp/never" ] || fail 'an instance ran beside the exclusive holder'

claim 'a signal for the command line is one for its command'
background holdfast lock c -- sh -c "trap 'exit 9' TERM; touch $tmp/c; while :; do sleep 0.02; done"
eventually 10 test -e "$tmp/c"
kill -TERM "$started"
status=0
wait "$started" || status=$?
same 'the exit code' 9 "$status"

claim 'one that is interrupted while it waits leaves the queue at once'
background holdfast lock i -- sh -c "touch $tmp/i; while [ ! -e $tmp/i_go ]; do sleep 0.02; done"
holder=$started
eventually 10 test -e "$tmp/i"
background holdfast lock i --ttl 600000 --wait 600000 -- touch "$tmp/never"
eventually 10 sh -c 'holdfast --json locks i --queue | grep -q "\"queue_length\": 1"'
kill -TERM "$started"
status=0
wait "$started" || status=$?
same 'the exit code' 143 "$status"
expect 0 holdfast locks i --queue
grep -q '^1 holding, 0 waiting$' "$tmp/out" || fail "queue shown as: $(output)"
touch "$tmp/i_go"
wait "$holder" || fail 'the holder failed'
[ ! -e "$tmp/never" ] || fail 'a command ran without the lock'

claim 'names with control bytes do not reach the terminal'
expect 0 holdfast lock "$(printf 'x\033[31m')" -- holdfast locks x
grep -q 'x\\x1b\[31m' "$tmp/out" || fail "shown as: $(output)"

claim 'a client that is gone holds its lock until its lease is over, and no longer'
background holdfast lock d --ttl 4000 -- sh -c "touch $tmp/d; sleep 5"
eventually 10 test -e "$tmp/d"
expect 0 holdfast sessions
grep -q 'holdfast@' "$tmp/out" || fail "no session: $(output)"
kill -KILL "$started"
expect 75 holdfast lock d -- true
expect 0 holdfast lock d --wait 30000 -- true

# ---------------------------------------------------------------- once

claim 'a command is run once, and its output and exit code are replayed'
expect 0 holdfast once k1 -- sh -c "echo x >> $tmp/k1; echo receipt; echo aside >&2"
same 'the output' receipt "$(output)"
expect 0 holdfast once k1 -- sh -c "echo y >> $tmp/k1; echo another"
same 'the replay' receipt "$(output)"
same 'the effects' x "$(cat "$tmp/k1")"
expect 3 holdfast once k2 -- sh -c 'printf partial; exit 3'
expect 3 holdfast once k2 -- true
same 'the replay' partial "$(output)"
expect 0 holdfast --json record k2
same 'the record' "FAILED 3 partial" "$(json '" ".join([d["state"], str(d["code"]), d["body"]])')"
expect 0 holdfast records k --state FAILED
same 'records of that state' k2 "$(awk 'NR > 1 { print $1 }' "$tmp/out")"
expect 66 holdfast record k9

claim 'another fingerprint is 65 and runs nothing'
expect 0 holdfast once k3 --fingerprint 'to A: 10' -- true
expect 65 holdfast once k3 --fingerprint 'to A: 11' -- touch "$tmp/never"
expect 65 holdfast once k3 -- touch "$tmp/never"
[ ! -e "$tmp/never" ] || fail 'the command ran'

claim 'a failure is not kept with --retry-on-failure'
expect 5 holdfast once k4 --retry-on-failure -- sh -c 'exit 5'
expect 0 holdfast once k4 --retry-on-failure -- echo now
same 'the output' now "$(output)"
expect 127 holdfast once k4b -- /nonexistent/command
expect 0 holdfast once k4b -- true

claim 'bytes come back as they were, and an output beyond 64 KiB is 74'
printf 'a\000b\377c' > "$tmp/bytes"
expect 0 holdfast once k5 -- cat "$tmp/bytes"
expect 0 holdfast once k5 -- true
cmp -s "$tmp/bytes" "$tmp/out" || fail 'the replay differs'
head -c 65536 /dev/zero > "$tmp/64k"
expect 0 holdfast once k6 -- cat "$tmp/64k"
expect 0 holdfast once k6 -- true
same 'bytes of the replay' 65536 "$(wc -c < "$tmp/out")"
expect 0 holdfast once k7 -- sh -c "cat $tmp/64k; echo more"
same 'bytes for the first caller' 65541 "$(wc -c < "$tmp/out")"
grep -q '65541 bytes' "$tmp/err" || fail 'the first caller was not warned'
expect 74 holdfast once k7 -- true
same 'bytes of the replay' 65536 "$(wc -c < "$tmp/out")"

claim 'a reader that leaves does not undo the work'
holdfast once k8 -- sh -c 'echo a; sleep 0.2; echo b' | true
expect 0 holdfast once k8 -- true
same 'the stored output' 'a b' "$(tr '\n' ' ' < "$tmp/out" | sed 's/ $//')"

# ---------------------------------------------------------------- UNKNOWN

claim 'a runner that dies leaves its key UNKNOWN, everywhere, until it is resolved'
background holdfast once u1 --ttl 1000 -- sh -c "echo x >> $tmp/u1; touch $tmp/u1.on; sleep 5"
eventually 10 test -e "$tmp/u1.on"
kill -KILL "$started"
expect 69 holdfast once u1 -- sh -c "echo y >> $tmp/u1"
token=$(sed -n 's/.*--token \([0-9]*\).*/\1/p' "$tmp/err")
[ -n "$token" ] || fail "no token to resolve it with: $(cat "$tmp/err")"
expect 69 holdfast once u1 -- sh -c "echo y >> $tmp/u1"
expect 0 holdfast records --state UNKNOWN
same 'what is UNKNOWN' u1 "$(awk 'NR > 1 { print $1 }' "$tmp/out")"
expect 65 holdfast resolve u1 --token 1 --done --evidence guess --operator me
expect 66 holdfast resolve u0 --token 1 --done --evidence guess --operator me
expect 0 holdfast resolve u1 --token "$token" --done --code 4 --body 'found it' \
    --evidence 'the provider says so' --operator me
expect 4 holdfast once u1 -- sh -c "echo y >> $tmp/u1"
same 'the resolved output' 'found it' "$(output)"
same 'the effects' x "$(cat "$tmp/u1")"
expect 65 holdfast resolve u1 --token "$token" --failed --evidence late --operator me
expect 0 holdfast --json record u1
same 'the evidence' 'the provider says so me' "$(json 'd["evidence"] + " " + d["operator"]')"

claim 'a command that a signal ended is UNKNOWN; resolved as retryable it runs again'
expect 69 holdfast once u2 -- sh -c 'kill -KILL $$'
token=$(sed -n 's/.*--token \([0-9]*\).*/\1/p' "$tmp/err")
[ -n "$token" ] || fail "no token to resolve it with: $(cat "$tmp/err")"
expect 69 holdfast once u2 -- true
expect 65 holdfast resolve u2 --token 4000000000 --retryable --evidence guess --operator me
expect 0 holdfast resolve u2 --token "$token" --retryable --evidence 'it was not done' --operator me
expect 0 holdfast once u2 -- echo again
same 'the output' again "$(output)"

claim 'a failure that an operator told is a failure for every later caller'
expect 69 holdfast once u3 -- sh -c 'kill -KILL $$'
expect 69 holdfast once u3 -- true
token=$(sed -n 's/.*--token \([0-9]*\).*/\1/p' "$tmp/err")
expect 64 holdfast resolve u3 --token "$token" --failed --code 0 --evidence asked --operator me
expect 0 holdfast resolve u3 --token "$token" --failed --evidence asked --operator me
expect 1 holdfast once u3 -- true

claim 'a failure is reopened by its token, with who and why, and runs again; a success never is'
expect 3 holdfast once f1 -- sh -c 'exit 3'
expect 0 holdfast --json record f1
token=$(json 'd["fencing_token"]')
expect 65 holdfast reopen f1 --token 4000000000 --reason why --operator ann
expect 66 holdfast reopen f0 --token 1 --reason why --operator ann
expect 0 holdfast reopen f1 --token "$token" --reason 'the network was down' --operator ann
expect 0 holdfast --json record f1
same 'what was noted' 'RETRYABLE reopen ann the network was down' \
    "$(json 'd["state"] + " " + d["act"] + " " + d["operator"] + " " + d["evidence"]')"
expect 0 holdfast once f1 -- echo works
same 'the output' works "$(output)"
expect 0 holdfast --json record f1
token=$(json 'd["fencing_token"]')
expect 65 holdfast reopen f1 --token "$token" --reason why --operator ann

claim 'an erased result has gone for good, and the command is not run again'
expect 0 holdfast once e1 -- echo 'Jane, Elm St'
expect 66 holdfast erase e0 --reason 'she asked' --operator eve
expect 0 holdfast erase e1 --reason 'she asked' --operator eve
expect 66 holdfast once e1 -- touch "$tmp/e1"
[ ! -e "$tmp/e1" ] || fail 'the command was run'
same 'bytes of output' 0 "$(wc -c < "$tmp/out")"
expect 0 holdfast --json record e1
same 'what is left' 'DONE erased  she asked eve' "$(json \
    '" ".join(d[k] for k in ["state", "body_kind", "body", "evidence", "operator"])')"
expect 69 holdfast once e2 -- sh -c 'kill -KILL $$'
expect 65 holdfast erase e2 --reason 'she asked' --operator eve

claim 'the derived key is that of the first runner, whoever runs it again'
printf 's1 %s\n' 0123456789abcdef0123456789abcdef > "$tmp/s1"
printf 's2 %s\n' fedcba9876543210fedcba9876543210 | cat - "$tmp/s1" > "$tmp/s2"
printf 's2 %s\n' fedcba9876543210fedcba9876543210 > "$tmp/s3"
chmod 600 "$tmp/s1" "$tmp/s2" "$tmp/s3"
run=(--rerun --retry-on-failure --derive charge)
expect 1 holdfast once d1 "${run[@]}" --secrets "$tmp/s1" -- \
    sh -c "echo \$HOLDFAST_DERIVED_KEY > $tmp/d1; exit 1"
expect 71 holdfast once d1 "${run[@]}" --secrets "$tmp/s3" -- touch "$tmp/d1.ran"
[ ! -e "$tmp/d1.ran" ] || fail 'the command was run without its key'
# shellcheck disable=SC2016 # it is the command's shell that expands it
expect 0 holdfast once d1 "${run[@]}" --secrets "$tmp/s2" -- sh -c 'echo $HOLDFAST_DERIVED_KEY'
same 'the key at the second run' "$(cat "$tmp/d1")" "$(output)"
export HOLDFAST_SECRETS=$tmp/s2
expect 0 holdfast derive d1 charge
same 'the key for reconciling' "$(cat "$tmp/d1")" "$(output)"
expect 0 holdfast --json derive d1 refund
same 'which secret' s1 "$(json 'd["secret_id"]')"
expect 66 holdfast derive d0 charge
expect 66 holdfast derive k1 charge

claim 'what waits for a decision is one call: owner, checkpoint, and the key at the provider'
expect 69 holdfast once d2 --derive charge -- sh -c 'kill -KILL $$'
expect 69 holdfast once d2 --derive charge -- true
expect 0 holdfast derive d2 charge
key=$(output)
expect 0 holdfast records d --state unknown --older-than 0s --derive charge
same 'its line' "d2 UNKNOWN $key" "$(awk 'NR > 1 { print $1, $2, $NF }' "$tmp/out")"
grep -q '  command started  holdfast@' "$tmp/out" || fail "shown as: $(output)"
expect 0 holdfast --json records d --state unknown --derive charge
same 'the document' "d2 $key" "$(json '" ".join(d["records"][0][k] for k in ("key",
    "derived_key"))')"
expect 0 holdfast records d --state unknown --older-than 1h --derive charge
same 'lines: the heading' 1 "$(wc -l < "$tmp/out")"
expect 0 holdfast records d2 --derive charge --secrets "$tmp/s3"
same 'its line' "d2 $key" "$(awk 'NR > 1 { print $1, $NF }' "$tmp/out")"
expect 0 holdfast records d1 --derive charge --secrets "$tmp/s3"
same 'no key without the secret' 'd1 -' "$(awk 'NR > 1 { print $1, $NF }' "$tmp/out")"
expect 0 holdfast records d1
same 'columns without keys' 8 "$(awk 'NR == 1 { print NF }' "$tmp/out")"
unset HOLDFAST_SECRETS

claim 'an export tells every record under a prefix whole, and goes on behind any key'
for i in 1 2 3 4; do expect 0 holdfast once "x/$i" -- echo "out $i"; done
expect 0 holdfast export x/
same 'its keys and results' 'x/1 DONE out 1;x/2 DONE out 2;x/3 DONE out 3;x/4 DONE out 4' \
    "$(python3 -c '
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
print(";".join("%s %s %s" % (r["key"], r["state"], r["body"].strip()) for r in rows))' "$tmp/out")"
expect 0 holdfast export x/ --from x/2
same 'the keys behind x/2' 'x/3 x/4' "$(python3 -c '
import json, sys
print(*[json.loads(line)["key"] for line in open(sys.argv[1])])' "$tmp/out")"
expect 0 holdfast export x/ --state UNKNOWN
same 'bytes' 0 "$(wc -c < "$tmp/out")"
expect 0 holdfast export d1 --derive charge --secrets "$tmp/s2"
same 'the derived key' "$(cat "$tmp/d1")" "$(json 'd["derived_key"]')"
expect 0 holdfast export d1 --derive charge --secrets "$tmp/s3"
same 'no key without the secret' '' "$(json 'd["derived_key"]')"

claim 'what is printed to resolve a key can be typed as it stands, whatever the key'
expect 69 holdfast once "it's  4" -- sh -c 'kill -KILL $$'
expect 0 holdfast record "it's  4"
order=$(sed -n 's/^ *\(holdfast resolve .*\) --done.*/\1/p' "$tmp/out")
expect 0 sh -c "$order --done --evidence asked --operator me"

claim 'with --rerun the next caller takes over from a dead runner'
background holdfast once r1 --rerun --ttl 1000 -- sh -c "touch $tmp/r1; sleep 5"
eventually 10 test -e "$tmp/r1"
kill -KILL "$started"
expect 0 holdfast once r1 --rerun -- echo taken over
same 'the output' 'taken over' "$(output)"

claim 'one that is interrupted while it waits for another runner runs nothing'
background holdfast once i1 -- sh -c "touch $tmp/i1; while [ ! -e $tmp/i1_go ]; do sleep 0.02; done"
holder=$started
eventually 10 test -e "$tmp/i1"
background holdfast once i1 -- touch "$tmp/never"
sleep 0.5
kill -TERM "$started"
status=0
wait "$started" || status=$?
same 'the exit code' 143 "$status"
touch "$tmp/i1_go"
wait "$holder" || fail 'the runner failed'
[ ! -e "$tmp/never" ] || fail 'a command ran that another had run'

claim 'a waiting caller gives up after --wait with 75'
background holdfast once w1 -- sh -c "touch $tmp/w1; while [ ! -e $tmp/w1.go ]; do sleep 0.02; done"
eventually 10 test -e "$tmp/w1"
expect 75 holdfast once w1 --wait 100 -- true
touch "$tmp/w1.go"
wait "$started" || fail 'the runner failed'

claim 'a setting is shown, set with who and why, and guarded against a change that was not seen'
expect 0 holdfast config get tombstone_factor
grep -q '^tombstone_factor  *10  *10  *1  *100  *0 ' "$tmp/out" || fail "shown as: $(output)"
expect 66 holdfast config get nothing_such
expect 64 holdfast config set tombstone_factor 101 --reason why --operator ann
grep -q 'takes 1 to 100' "$tmp/err" || fail "no range: $(cat "$tmp/err")"
expect 0 holdfast config set tombstone_factor 12 --was 10 --reason why --operator ann
expect 65 holdfast config set tombstone_factor 13 --was 10 --reason why --operator bob
expect 0 holdfast config get --json
same 'the setting' '12 10 1' "$(json '" ".join(str(s[k]) for s in d["settings"]
    if s["name"] == "tombstone_factor" for k in ("value", "default", "changes"))')"

claim 'under a frozen prefix nothing new begins, and the thaw lets it'
expect 0 holdfast freeze fr/ --reason drill --operator ann
expect 75 holdfast lock fr/1 -- touch "$tmp/never"
expect 75 holdfast once fr/1 -- touch "$tmp/never"
expect 0 holdfast lock fr -- true
expect 0 holdfast frozen --json
same 'the frozen' 'fr/ ann drill' "$(json '" ".join(d["frozen"][0][k] for k in
    ("prefix", "operator", "reason"))')"
expect 0 holdfast frozen
grep -q '^fr/ .* ann  *drill' "$tmp/out" || fail "shown as: $(output)"
expect 0 holdfast locks fr/1 --queue
grep -q '^frozen: ' "$tmp/out" || fail "shown as: $(output)"
expect 66 holdfast thaw fr --reason drill --operator ann
expect 0 holdfast thaw fr/ --reason drill --operator ann
expect 0 holdfast lock fr/1 -- true
[ ! -e "$tmp/never" ] || fail 'a command ran under a frozen prefix'

claim 'a grant is forced by its token alone; at once if so told'
background holdfast lock fo -- sh -c "touch $tmp/forced; exec sleep 60"
holder=$started
eventually 10 test -e "$tmp/forced"
expect 0 holdfast locks fo --json
token=$(json 'd["locks"][0]["fencing_token"]')
expect 65 holdfast force fo --token 1 --reason 'it hangs, says bob' --operator ann
expect 65 holdfast force fo --token 4000000000 --reason 'it hangs, says bob' --operator ann
expect 0 holdfast force fo --token "$token" --now --reason 'it hangs, says bob' --operator ann
expect 0 holdfast lock fo -- true
status=0
wait "$holder" || status=$?
same 'the exit code of the one that lost it' 70 "$status"

# ask_back NAME GRACE THEN: its holder's grant; the token is in $token
ask_back() {
    expect 0 holdfast locks "$1" --json
    token=$(json 'd["locks"][0]["fencing_token"]')
    expect 0 holdfast revoke "$1" --token "$token" --grace "$2" --then "$3" \
        --reason 'its host is drained' --operator ann
}

claim 'a holder that gives back when it is asked ends its command, and the lock goes on'
background holdfast lock re --ttl 6000 --on-revoke term -- sh -c "touch $tmp/re1; exec sleep 60" \
    2> "$tmp/re1.err"
holder=$started
eventually 10 test -e "$tmp/re1"
ask_back re 3600000 force
expect 0 holdfast lock re --wait 30000 -- true
status=0
wait "$holder" || status=$?
same 'the exit code of the one that gave it back' 70 "$status"
grep -q 'asks the lock "re" back, .* gets TERM' "$tmp/re1.err" || fail "told: $(cat "$tmp/re1.err")"
grep -q 'was asked back' "$tmp/re1.err" || fail "told: $(cat "$tmp/re1.err")"

claim 'one that ignores it goes on, and is forced when its grace is over'
background holdfast lock re --ttl 6000 -- sh -c "touch $tmp/re2; exec sleep 60" \
    2> "$tmp/re2.err"
holder=$started
eventually 10 test -e "$tmp/re2"
ask_back re 3600000 force
eventually 10 grep -q 'goes on: --on-revoke term' "$tmp/re2.err"
expect 0 holdfast locks re --queue
grep -q 'in [0-9]' "$tmp/out" || fail "shown as: $(output)"
expect 75 holdfast lock re -- true
ask_back re 1 force
expect 0 holdfast lock re --wait 30000 -- true
status=0
wait "$holder" || status=$?
same 'the exit code of the one that lost it' 70 "$status"

claim 'one that is stopped is forced, and waited for as long as its lease'
background holdfast lock re --ttl 3000 -- sh -c "touch $tmp/re3; exec sleep 60" \
    2> "$tmp/re3.err"
holder=$started
eventually 10 test -e "$tmp/re3"
kill -STOP "$holder"
ask_back re 1 force
expect 0 holdfast lock re --wait 30000 -- true
kill -CONT "$holder"
status=0
wait "$holder" || status=$?
same 'the exit code of the one that was stopped' 70 "$status"

claim 'an alarm leaves the grant, and is shown, logged and in the audit'
background holdfast lock re --ttl 6000 -- sh -c "touch $tmp/re4; exec sleep 60" \
    2> "$tmp/re4.err"
holder=$started
eventually 10 test -e "$tmp/re4"
ask_back re 1 alarm
expect 65 holdfast revoke re --token 1 --grace 1 --reason 'its host is drained' --operator ann
eventually 10 grep -q 'level=warn msg="a lock was asked back.* lock="re" alarms=1' "$tmp/server.log"
expect 0 holdfast locks re --queue --json
same 'what is shown' 'overdue 0' "$(json '"%s %d" % (d["holders"][0]["asked_back"],
    d["holders"][0]["asked_left_ms"])')"
expect 75 holdfast lock re -- true
kill -TERM "$holder"
eventually 10 holdfast lock re -- true
expect 0 holdfast audit --json
same 'the ends' 'released forced forced ALARM released' "$(json '" ".join(
    word for a in d["acts"] if a["act"] == "revoke" and "over: " in a["after"]
    for word in ("released", "forced", "ALARM") if word in a["after"])')"

claim 'the audit tells who did what, and why, also of records'
expect 0 holdfast audit --json
same 'the acts' 'resolve reopen erase config set freeze thaw force revoke' \
    "$(json '" ".join(dict.fromkeys(a["act"] for a in d["acts"]))')"
same 'the thaw' 'thaw fr/ frozen open drill ann anonymous' "$(json '" ".join(
    [a for a in d["acts"] if a["act"] == "thaw"][0][k] for k in
    ("act", "name", "before", "after", "reason", "operator", "principal"))')"
last=$(json 'd["acts"][-1]["number"]')
expect 0 holdfast audit --since $((last - 1))
same 'lines: the heading and one' 2 "$(wc -l < "$tmp/out")"

claim 'bench prints one JSON line'
expect 0 holdfast bench record --clients 2 --connections 2 --seconds 1 --body 10
same 'its members' \
    'acquire_us cycles_per_s errors gap_us reconnects release_us requests_repeated 0' \
    "$(json '" ".join(sorted(d)) + " " + str(d["errors"])')"

# A stall may bring what was due in the two seconds before into the one that is counted.
claim 'bench keeps a rate, with threads and without'
for how in --threads --json; do
    expect 0 holdfast bench record --clients 4 --rate 20 --retain 70s --seconds 1 "$how"
    same 'no more than was due' True "$(json '0 < d["cycles_per_s"] <= 64')"
done

claim 'what was asked and answered is appended to $HOLDFAST_HISTORY'
export HOLDFAST_HISTORY=$tmp/history
expect 0 holdfast lock h1 -- true
expect 0 holdfast once h2 -- true
same 'its operations' 'None acquire release begin checkpoint complete' "$(python3 -c '
import json, sys
print(*[json.loads(line).get("op") for line in open(sys.argv[1])])' "$tmp/history")"
export HOLDFAST_HISTORY=/dev/full
expect 71 holdfast lock h1 -- true
unset HOLDFAST_HISTORY

claim 'everything acknowledged is there after kill -9'
server_kill
server_start
expect 0 holdfast once k1 -- false
same 'the replay' receipt "$(output)"
server_stop
