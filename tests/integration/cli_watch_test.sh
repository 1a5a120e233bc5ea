#!/usr/bin/env bash
# `holdfast watch` and `holdfast events` against a real server that is killed under a watch.
#   cli_watch_test.sh BUILD_DIR
# shellcheck source-path=SCRIPTDIR disable=SC2119
. "$(dirname "$0")/lib.sh"
begin "$1"
server_start

lines() { # EXPRESSION: over `d`, the documents in $tmp/out, one a line; prints what it is
    python3 -c 'import json, sys
d = [json.loads(line) for line in open(sys.argv[1])]
print(eval(sys.argv[2]))' "$tmp/out" "$1" || fail "no such JSON: $(cat "$tmp/out")"
}

shown() { [ "$(wc -l < "$tmp/watched")" -ge "$1" ]; }

claim 'prefixes are switched on and off, under a name'
expect 64 holdfast events on accounts/
expect 0 holdfast events on accounts/ --reason 'to be seen' --operator ann
expect 0 holdfast events list --json
same 'the prefix' 'accounts/ ann to be seen' "$(json '" ".join([d["prefixes"][0]["prefix"],
    d["prefixes"][0]["operator"], d["prefixes"][0]["reason"]])')"

claim 'what happened is shown in order, by kind and prefix, from any number on'
expect 0 holdfast lock accounts/1 -- true
expect 0 holdfast lock elsewhere/1 -- true
expect 0 holdfast watch --once --from 1 --json
same 'kinds' 'admin granted released' "$(lines '" ".join(e["kind"] for e in d)')"
same 'the act' 'events switch' "$(lines 'd[0]["what"]')"
same 'one grant' True "$(lines 'd[1]["fencing_token"] == d[2]["fencing_token"] != "0"')"
expect 0 holdfast watch accounts/ --kinds released --once --from 1 --json
same 'of its kind' 'accounts/1' "$(lines '" ".join(e["name"] for e in d)')"
expect 0 holdfast watch --once --from 3
grep -q '  3  released released  accounts/1  token ' "$tmp/out" || fail "$(cat "$tmp/out")"
expect 0 holdfast watch --once
same 'nothing from now on' 0 "$(wc -l < "$tmp/out")"

claim 'a watch goes on over a server that is killed'
background holdfast watch accounts/ --kinds granted --count 2 --from 1 > "$tmp/watched"
watch=$started
eventually 30 shown 1
server_kill
server_start
expect 0 holdfast lock accounts/1 -- true
wait "$watch" || fail "the watch ended with $?"
same 'grants' 2 "$(grep -c 'granted exclusive  accounts/1 ' "$tmp/watched")"

claim 'who looks for a service is told when instances come and go'
last_count() { # COUNT: as the last line says
    [ "$(tail -n 1 "$tmp/found" 2> /dev/null | python3 -c 'import json, sys
print(json.loads(sys.stdin.read() or "{}").get("count"))')" = "$1" ]
}
expect 0 holdfast events on svc --reason 'to be seen' --operator ann
background holdfast discover svc --watch --json > "$tmp/found"
finder=$started
eventually 30 last_count 0
background holdfast register svc --address 10.0.0.1:80 -- sleep 1000
first=$started
background holdfast register svc --address 10.0.0.2:80 --ttl 1000 -- sleep 1000
second=$started
eventually 30 last_count 2
kill -TERM "$first"
eventually 30 last_count 1
server_kill
server_start
kill -9 "$second"
eventually 30 last_count 0
kill -TERM "$finder"
{ wait "$first" "$second" "$finder" || true; } 2> /dev/null
expect 0 holdfast events off svc --reason 'was seen' --operator ann
grep -q '10.0.0.2:80' "$tmp/found" || fail "$(cat "$tmp/found")"

claim 'what is told once is found behind thousands that are not wanted, and behind a gap'
for _ in $(seq 33); do expect 0 holdfast lock accounts/{1..32} -- true; done
expect 0 holdfast lock accounts/last -- true
expect 0 holdfast watch accounts/last --once --from 4 --json
same 'of the last' 'granted released' "$(lines '" ".join(e["kind"] for e in d)')"
expect 0 holdfast config set events_window 1000 --reason 'to see a gap' --operator ann
eventually 30 sh -c 'holdfast watch accounts/last --once --from 4 | grep -q ^GAP'
expect 0 holdfast watch accounts/last --once --from 4 --json
same 'behind it' 'gap granted released' "$(lines '" ".join(e["kind"] for e in d)')"

claim 'who reaches no server at the beginning is told, and does not wait for events'
background env HOLDFAST_SERVERS=127.0.0.1:1 timeout 30 holdfast watch 2> "$tmp/told"
watch=$started
expect 69 env HOLDFAST_SERVERS=127.0.0.1:1 timeout 30 holdfast discover svc --watch
wait "$watch"
same 'how the watch ended' 69 $?
grep -q 'could not watch: no server could be reached' "$tmp/told" || fail "$(cat "$tmp/told")"

claim 'what makes no sense is refused'
expect 64 holdfast watch --kinds granted,nonsense
grep -q '"nonsense" is no kind of event' "$tmp/err" || fail "$(cat "$tmp/err")"
expect 64 holdfast watch --from 99999 --once
expect 64 holdfast events
expect 64 holdfast events maybe accounts/ --reason 'to be seen' --operator ann
expect 0 holdfast events off accounts/ --reason 'was seen' --operator ann
expect 66 holdfast events off accounts/ --reason 'was seen' --operator ann
grep -q '"accounts/" was not switched off: it is not on' "$tmp/err" || fail "$(cat "$tmp/err")"
expect 0 holdfast events list --json
same 'none' 0 "$(json 'len(d["prefixes"])')"
