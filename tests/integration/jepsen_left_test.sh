#!/usr/bin/env bash
# holdfast-jepsen leaves nothing behind, however it ends: after Ctrl-C, TERM and kill -9 no process
# of it lives, and the machine's links, namespaces and rules are what they were before; two runs at
# once do not meet. Exit code 77 and a sentence where namespaces may not be made.
. "$(dirname "$0")/lib.sh"
begin "$1"
PATH=$PATH:/usr/sbin:/sbin

machine() { # what anybody on this machine could see of a run
    ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/\1/'
    ip netns list
    ls /dev/shm
    ! command -v nft > /dev/null || nft list tables 2> /dev/null
}

children() { # PID: its processes, one a line
    grep -ls "^PPid:[[:space:]]*$1\$" /proc/[0-9]*/status | sed 's|/proc/\([0-9]*\)/.*|\1|'
}

none_lives() { # PID...
    local pid
    for pid in "$@"; do
        [ ! -e "/proc/$pid" ] || return 1
    done
}

has_history() { [ -s "$1/history.jsonl" ] && [ "$(wc -l < "$1/history.jsonl")" -gt 50 ]; }

run_start() { # DIR
    background holdfast-jepsen run --nemesis partition --seconds 600 --seed 5 --out "$1" \
        2> "$1.err"
}

claim 'namespaces may be made here'
status=0
holdfast-jepsen run --nemesis none --seconds 1 --clients 1 --out "$tmp/first" \
    > "$tmp/out" 2>&1 || status=$?
if [ "$status" -eq 77 ]; then
    printf 'did not look: %s\n' "$(tail -n 1 "$tmp/out")"
    exit 77
fi
machine > "$tmp/before"

for signal in INT TERM KILL; do
    claim "after $signal nothing is left, and the other run goes on"
    run_start "$tmp/one-$signal"
    one=$started
    run_start "$tmp/two-$signal"
    two=$started
    eventually 60 has_history "$tmp/one-$signal"
    eventually 60 has_history "$tmp/two-$signal"
    mapfile -t processes < <(children "$one")
    mapfile -t others < <(children "$two")
    [ "${#processes[@]}" -ge 9 ] || fail "only ${#processes[@]} processes of the run were found"
    machine > "$tmp/during"
    same 'the machine while they run' "$(cat "$tmp/before")" "$(cat "$tmp/during")"
    kill "-$signal" "$one"
    status=0
    wait "$one" || status=$?
    same 'its exit code' "$((128 + $(kill -l "$signal")))" "$status"
    eventually 10 none_lives "${processes[@]}"
    kill -0 "$two" || fail 'the other run has ended, too'
    kill -TERM "$two"
    wait "$two"
    eventually 10 none_lives "${others[@]}"
    machine > "$tmp/after"
    same 'the machine afterwards' "$(cat "$tmp/before")" "$(cat "$tmp/after")"
done
