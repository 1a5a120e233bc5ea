#!/usr/bin/env bash
# Real servers, killed, stopped and cut off from each other, under clients that pay, and are killed
# themselves: no claim of the product fails. A failed run's folder is kept. Exit code 77 and a
# sentence where namespaces may not be made.
. "$(dirname "$0")/lib.sh"
begin "$1"
kept=$(mktemp -d) || exit 1

payments() { # RUN NEMESES SECONDS: the run is good, or this says why it did not look
    local status=0
    holdfast-jepsen run --workload payment --nemesis "$2" --seed "${SEED:-11}" --seconds "$3" \
        --out "$kept/$1" || status=$?
    case "$status" in
        0) return ;;
        4) printf 'the machine was too busy for a run that means something\n' ;;
        77) printf 'did not look: the sentence above says why\n' ;;
        *) fail "exit code $status; $kept/$1/report.html, summary.json and logs are kept" ;;
    esac
    rm -rf "$kept"
    exit 77
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
payments all kill,pause,partition,client-kill 40
rm -rf "$kept"
