# Helpers for tests with a real server: source it, then `begin BUILD_DIR`.
#
#   . "$(dirname "$0")/lib.sh"
#   begin "$1"                 # $bin, $tmp (removed at the end), HOLDFAST_SERVERS once it serves
#   server_start [FLAG...]     # a server of its own directory on a free port; again: the same ones
#   server_kill                # kill -9, waited for
#   server_stop                # TERM; fails unless it ends with 0
#   claim 'a sentence'         # what is shown next; printed if it fails
#   expect CODE COMMAND...     # the command's exit code; its output is in $tmp/out and $tmp/err
#   same WHAT EXPECTED GOT     # equal or fail
#   background COMMAND...      # starts it, its pid is in $started; ended at the end if need be
#   eventually SECONDS COMMAND...  # repeats it until it succeeds
#
# A failure prints the claim, what was seen and the server's last lines, and ends the test with 1.
# shellcheck shell=bash
set -u

sentence='the test begins'
tmp=
server_pid=
server_address=127.0.0.1:0
started=
started_all=()

fail() {
    printf 'FAILED: %s\n  %s\n' "$sentence" "$*" >&2
    if [ -f "$tmp/server.log" ]; then
        printf '  the server said last:\n' >&2
        tail -n 5 "$tmp/server.log" >&2
    fi
    exit 1
}

claim() {
    sentence=$1
    printf -- '- %3d s  %s\n' "$SECONDS" "$sentence"
}

# Ends what was started, by its number, and removes the directory.
finish() {
    local status=$? pid
    trap - EXIT INT TERM HUP
    for pid in "${started_all[@]}" $server_pid; do
        kill -CONT "$pid" 2> /dev/null
        kill -KILL "$pid" 2> /dev/null
    done
    wait 2> /dev/null
    [ -z "$tmp" ] || rm -rf "$tmp"
    exit "$status"
}

begin() { # BUILD_DIR
    bin=$(cd "$1/bin" && pwd) || exit 1
    tmp=$(mktemp -d) || exit 1
    trap finish EXIT
    trap 'exit 130' INT TERM HUP
    PATH=$bin:$PATH
    export PATH
}

server_start() {
    local line
    : > "$tmp/server.log"
    holdfastd --data "$tmp/data" --client "$server_address" --segment-mib 4 "$@" \
        2> "$tmp/server.log" &
    server_pid=$!
    for _ in $(seq 1 600); do
        line=$(grep -m 1 'msg="ready"' "$tmp/server.log")
        if [ -n "$line" ]; then
            server_address=$(printf '%s\n' "$line" | sed 's/.* client=\([^ ]*\).*/\1/')
            export HOLDFAST_SERVERS=$server_address
            return
        fi
        kill -0 "$server_pid" 2> /dev/null || fail 'the server ended instead of serving'
        sleep 0.05
    done
    fail 'the server was not ready within 30 s'
}

server_kill() {
    kill -CONT "$server_pid" 2> /dev/null
    kill -KILL "$server_pid"
    wait "$server_pid" 2> /dev/null
    server_pid=
}

server_stop() {
    local status=0
    kill -TERM "$server_pid"
    wait "$server_pid" || status=$?
    server_pid=
    [ "$status" -eq 0 ] || fail "the server ended with $status after TERM"
}

expect() { # CODE COMMAND...
    local wanted=$1 status=0
    shift
    "$@" > "$tmp/out" 2> "$tmp/err" || status=$?
    [ "$status" -eq "$wanted" ] ||
        fail "exit code $status instead of $wanted from: $*: $(head -c 500 "$tmp/err")"
}

json() { # EXPRESSION: over `d`, the document in $tmp/out; prints what it is
    python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' \
        "$tmp/out" "$1" || fail "no such JSON: $(cat "$tmp/out")"
}

same() { # WHAT EXPECTED GOT
    [ "$2" = "$3" ] || fail "$1: \"$3\" instead of \"$2\""
}

background() { # COMMAND...
    "$@" &
    started=$!
    started_all+=("$started")
}

eventually() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "still not so: $*"
        sleep 0.05
    done
}
