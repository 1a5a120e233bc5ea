#!/usr/bin/env bash
# `holdfast timer` against a real server: set, cancel, poll, ack, nack, list, dead, requeue.
#   cli_timer_test.sh BUILD_DIR
# shellcheck source-path=SCRIPTDIR disable=SC2119
. "$(dirname "$0")/lib.sh"
begin "$1"
server_start

one() { # FIELD: of the only timer in $tmp/out
    same 'timers shown' 1 "$(json 'len(d["timers"])')"
    json "d['timers'][0]['$1']"
}

claim 'a timer is set, shown, delivered under a token, and acknowledged once'
expect 0 holdfast timer set order/1 --group unpaid --delay 1h --payload 'pay!' --version 3
expect 0 holdfast timer list order/ --json
same 'its state' 'PENDING' "$(one state)"
expect 0 holdfast timer set order/1 --group unpaid --version 4 --payload later
expect 0 holdfast timer poll unpaid --lease 1h --wait 10s --json
same 'its payload' later "$(one payload)"
same 'its version' 4 "$(one version)"
token=$(one fencing_token)
expect 0 holdfast timer ack order/1 --token "$token"
expect 0 holdfast timer ack order/1 --token "$token"
expect 65 holdfast timer set order/1 --group unpaid --version 4
expect 0 holdfast timer poll unpaid --lease 1h --json
same 'what is left' 0 "$(json 'len(d["timers"])')"

claim 'a cancelled one never fires, and says so'
expect 66 holdfast timer cancel order/2
grep -q 'could not cancel the timer "order/2": nothing is stored' "$tmp/err" ||
    fail "$(cat "$tmp/err")"
expect 0 holdfast timer set order/2 --group unpaid --delay 1h
expect 0 holdfast timer cancel order/2
expect 65 holdfast timer set order/2 --group unpaid
expect 0 holdfast timer list --state CANCELLED --json
same 'the cancelled one' order/2 "$(one key)"

claim 'a dead one is listed, requeued under a name, and delivered again'
expect 0 holdfast timer set order/3 --group dying --attempts 1
expect 0 holdfast timer poll dying --lease 1h --wait 10s --json
token=$(one fencing_token)
expect 65 holdfast timer requeue order/3 --reason 'too early' --operator ann
expect 0 holdfast timer nack order/3 --token "$token"
expect 65 holdfast timer ack order/3 --token "$token"
expect 0 holdfast timer dead --json
same 'the dead one' order/3 "$(one key)"
expect 64 holdfast timer requeue order/3
expect 0 holdfast timer requeue order/3 --reason 'its consumer is mended' --operator ann
expect 0 holdfast timer poll dying --lease 1h
grep -q '^order/3 .* 1/1 ' "$tmp/out" || fail "shown as: $(cat "$tmp/out")"
expect 0 holdfast audit --json
same 'the act' 'timer requeue ann its consumer is mended' "$(json '" ".join([d["acts"][-1]["act"],
    d["acts"][-1]["operator"], d["acts"][-1]["reason"]])')"

claim 'what makes no sense is refused before a server is asked'
expect 64 holdfast timer
expect 64 holdfast timer set order/4
expect 64 holdfast timer poll
expect 64 holdfast timer poll g
expect 64 holdfast timer ack order/4
expect 64 holdfast timer list --state GONE
expect 64 holdfast timer ring order/4
server_stop
