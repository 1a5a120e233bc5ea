#!/usr/bin/env bash
# What `once` and `lock` do while the server is killed, stopped and started again.
#   cli_outage_test.sh BUILD_DIR
# shellcheck source-path=SCRIPTDIR disable=SC2119
. "$(dirname "$0")/lib.sh"
begin "$1"
server_start

claim 'twenty processes, a server killed twice: one effect, twenty equal outputs'
callers=()
for i in $(seq 20); do
    background sh -c "holdfast once k -- sh -c 'echo x >> $tmp/effects; touch $tmp/on; sleep 1
        echo receipt' > $tmp/out.$i 2> $tmp/err.$i"
    callers+=("$started")
done
eventually 30 test -e "$tmp/on"
server_kill
sleep 0.3
server_start
sleep 0.5
server_kill
sleep 0.3
server_start
for pid in "${callers[@]}"; do
    wait "$pid" || fail "one of the callers ended with $?: $(cat "$tmp"/err.*)"
done
same 'effects' x "$(cat "$tmp/effects")"
same 'outputs' '20 receipt' "$(cat "$tmp"/out.* | sort | uniq -c | sed 's/^ *//')"

claim 'a lock is held through a restart of the server'
expect 0 holdfast lock a --ttl 10000 -- sh -c "kill -KILL $server_pid; sleep 0.2; touch $tmp/dead" &
running=$!
eventually 10 test -e "$tmp/dead"
server_kill 2> /dev/null
server_start
wait "$running" || fail 'the command or its lock did not survive'

claim 'a lease that cannot be renewed: TERM while there is time, and 70'
background holdfast lock b --ttl 6000 -- sh -c \
    "trap 'echo told > $tmp/b.end; exit 0' TERM; touch $tmp/b; while :; do sleep 0.02; done"
eventually 10 test -e "$tmp/b"
kill -STOP "$server_pid"
status=0
wait "$started" || status=$?
same 'the exit code' 70 "$status"
same 'what the command was told' told "$(cat "$tmp/b.end")"
kill -CONT "$server_pid"

claim 'a command that does not listen is killed with all that it started'
background holdfast lock c --ttl 1500 -- sh -c "trap '' TERM
    (while :; do date +%s%N > $tmp/alive; sleep 0.02; done) & touch $tmp/c; wait; sleep 100"
eventually 10 test -e "$tmp/c"
kill -STOP "$server_pid"
status=0
wait "$started" || status=$?
same 'the exit code' 70 "$status"
last=$(cat "$tmp/alive")
sleep 0.2
same 'the last sign of life' "$last" "$(cat "$tmp/alive")"
kill -CONT "$server_pid"

claim 'with --rerun the command of a lost attempt is ended, and the next caller runs it'
background holdfast once r --rerun --ttl 1500 -- sh -c \
    "trap 'exit 1' TERM; touch $tmp/r; while :; do sleep 0.02; done"
eventually 10 test -e "$tmp/r"
kill -STOP "$server_pid"
status=0
wait "$started" || status=$?
same 'the exit code' 70 "$status"
kill -CONT "$server_pid"
expect 0 holdfast once r --rerun -- echo next
same 'the output' next "$(cat "$tmp/out")"

claim 'without --rerun the command runs on, and its late result stands'
background sh -c "holdfast once late --ttl 1000 -- sh -c 'touch $tmp/late; sleep 3; echo done' \
    > $tmp/late.out"
eventually 10 test -e "$tmp/late"
kill -STOP "$server_pid"
sleep 2
kill -CONT "$server_pid"
wait "$started" || fail "the runner ended with $?"
same 'its output' 'done' "$(cat "$tmp/late.out")"
expect 0 holdfast once late -- false
same 'the replay' 'done' "$(cat "$tmp/out")"
server_stop
