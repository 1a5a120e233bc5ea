#!/usr/bin/env bash
# Told to stop again and again, a server ends with 0 as if it had been told once.
. "$(dirname "$0")/lib.sh"
begin "$1"

claim 'TERM without a pause until it is gone, at each moment of its end'
for _ in $(seq 1 20); do
    server_start
    expect 0 holdfast lock one -- true
    while kill -TERM "$server_pid" 2> /dev/null; do :; done
    status=0
    wait "$server_pid" || status=$?
    server_pid=
    [ "$status" -eq 0 ] || fail "it ended with $status"
done
