#!/usr/bin/env bash
# Neither clients nor strangers at the other servers' door take the descriptors that the log needs:
# with few of them the server goes on to serve, through one log segment after the other.
. "$(dirname "$0")/lib.sh"
begin "$1"

limit=300
flood=250

# Opens connections and holds them; what is refused is opened again, for as long as it runs.
hold() { # HOST:PORT COUNT
    local fds=() fd i
    while :; do
        for ((i = 0; i < $2; i++)); do
            { exec {fd}<> "/dev/tcp/${1%:*}/${1##*:}"; } 2> /dev/null && fds+=("$fd")
        done
        sleep 1
        for fd in "${fds[@]}"; do exec {fd}>&-; done
        fds=()
    done
}

claim 'a port is drawn by a server of its own'
server_start
server_stop
peer=$server_address
server_address=127.0.0.1:0
rm -rf "$tmp/data"

claim "with $limit descriptors fewer clients are taken, and it says so"
ulimit -n "$limit" || fail 'the limit cannot be set'
server_start --id 1 --cluster "1=$peer" --new-cluster
grep -q 'descriptors are short' "$tmp/server.log" || fail 'nothing was said'

claim 'the log goes on while both doors are crowded'
background holdfast bench record --clients 8 --body 60000 --seconds 4
bench=$started
sleep 0.5
background hold "$server_address" "$flood"
background hold "$peer" "$flood"
wait "$bench" || fail "the load ended with $?"
segments=$(find "$tmp/data" -maxdepth 1 -type f -size +3M | wc -l)
[ "$segments" -ge 3 ] || fail "the log has $segments segments: that shows nothing"
open=$(find "/proc/$server_pid/fd" -mindepth 1 | wc -l)
[ "$open" -ge 100 ] || fail "only $open descriptors are open: that shows nothing"

claim 'it stops as asked'
server_stop
