#!/usr/bin/env bash
# Real servers, killed, stopped and cut off from each other, under clients that pay, or ask for
# locks in every way that there is, and are killed themselves: no claim of the product fails. A
# failed run keeps its folder. Exit code 77 and a sentence where namespaces may not be made.
. "$(dirname "$0")/lib.sh"
begin "$1"
kept=$(mktemp -d) || exit 1

start() { # WORKLOAD RUN NEMESES SECONDS
    holdfast-jepsen run --workload "$1" --nemesis "$3" --seed "${SEED:-11}" --seconds "$4" \
        --out "$kept/$2"
}

look_at() { # RUN EXIT-CODE: the run was good, or this says why it did not look
    case "$2" in
        0) return ;;
        4) printf 'the machine was too busy for a run that means something\n' ;;
        77) printf 'did not look: the sentence above says why\n' ;;
        *) fail "exit code $2; $kept/$1/report.html, summary.json and logs are kept" ;;
    esac
    rm -rf "$kept"
    exit 77
}

payments() { # RUN NEMESES SECONDS
    local status=0
    start payment "$@" || status=$?
    look_at "$1" "$status"
}

number() { # RUN NAME: of its summary
    sed -n "s/.*\"$2\": \([0-9]*\).*/\1/p" "$kept/$1/summary.json"
}

claim 'callers are killed in the middle of payments, and each payment happens once'
payments deaths client-kill 8
same 'double effects' 0 "$(number deaths double_effects)"
same 'effects' "$(number deaths begun)" "$(number deaths effects)"
same 'early expiries' 0 "$(number deaths early_expiries)"
[ "$(number deaths client_kills)" -gt 0 ] || fail "no client was killed: see $kept"
[ "$(number deaths cut_by_death)" -gt 0 ] || fail "no payment was cut: see $kept"

claim 'nothing wrong is seen under kill, pause, partition and client-kill'
payments all kill,pause,partition,client-kill 30

claim 'nor of permits, several names, changed modes and reopened records, at the same time'
for workload in permits several modes reopen; do
    start "$workload" "$workload" kill,pause,partition,client-kill 8 > "$tmp/$workload" 2>&1 &
    running[$!]=$workload
done
for pid in "${!running[@]}"; do
    ended[pid]=0
    wait "$pid" || ended[pid]=$?
    cat "$tmp/${running[pid]}"
done
for pid in "${!running[@]}"; do
    look_at "${running[pid]}" "${ended[pid]}"
    [ "$(number "${running[pid]}" leases)" -gt 0 ] || fail "nothing was granted: see $kept"
done
rm -rf "$kept"
