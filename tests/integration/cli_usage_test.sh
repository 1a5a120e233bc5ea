#!/usr/bin/env bash
# What the command line says without a server: help, usage errors, nobody there.
#   cli_usage_test.sh BUILD_DIR
# shellcheck source-path=SCRIPTDIR disable=SC2119
. "$(dirname "$0")/lib.sh"
begin "$1"
export HOLDFAST_SERVERS=127.0.0.1:1 # nobody listens there

one_sentence() { # on standard error, and nothing on standard output
    same 'lines on standard error' 1 "$(wc -l < "$tmp/err")"
    same 'bytes on standard output' 0 "$(wc -c < "$tmp/out")"
    grep -q '^holdfast: .*\.$' "$tmp/err" || fail "no sentence: $(cat "$tmp/err")"
}

verbs=(status locks records record resolve reopen erase derive export sessions lock permit
    elect register discover once bench config audit freeze thaw frozen force revoke timer
    branches branch watch events)

claim 'help is printed for the whole and for each verb'
expect 0 holdfast --help
for verb in "${verbs[@]}"; do
    grep -q -e "^  $verb " -e "^  $verb\$" "$tmp/out" || fail "no $verb in --help"
done
for code in 64 65 66 69 70 71 74 75 76 126 127; do
    grep -q "\b$code  " "$tmp/out" || fail "exit code $code is not documented"
done
for verb in "${verbs[@]}"; do
    expect 0 holdfast "$verb" --help
    cp "$tmp/out" "$tmp/help"
    expect 0 holdfast help "$verb"
    cmp -s "$tmp/out" "$tmp/help" || fail "two helps for $verb"
done
expect 0 holdfast --version

claim 'what makes no sense is refused with 64 and one sentence'
while read -r words; do
    # shellcheck disable=SC2086 # the words are split on purpose
    expect 64 holdfast $words
    one_sentence
done << 'END'

unknown
--unknown status
--servers
--servers nonsense status
--servers= status
--timeout x status
--timeout 0 status
status more
locks a b
elect
elect e -- true
elect e --value v
elect e f --value v -- true
elect e --value= -- true
elect e --observe --show
elect e --observe --value v
elect e --show --wait 1
elect e --show --on-revoke term
elect e --value v --on-revoke no -- true
elect --show
elect e --observe --every 99
elect e --show -- true
register s -- true
register s --address a
register s --address= -- true
register s t --address a -- true
discover
discover s t
locks --queue
locks --mode none
locks --session 0
locks --client
locks a --queue --held
records --state NONSENSE
records --older-than -1
records --older-than 1w
records --derive=
records --derive charge
record
record k -- true
resolve
resolve k --token 1 --done
resolve k --token 1 --evidence e --operator o
resolve k --token 1 --done --failed --evidence e --operator o
resolve k --token 0 --done --evidence e --operator o
resolve k --token 1 --retryable --code 1 --evidence e --operator o
reopen k
reopen k --token 1 --reason r
reopen k --token 1 --operator o
reopen k --token 0 --reason r --operator o
reopen k --reason r --operator o
erase
erase k --reason r
config
config list
audit more
freeze
freeze p
freeze p --reason r
thaw p --operator o
frozen more
force n
force n --token 1 --reason r --operator o
force n --reason long-enough --operator o
force n --token 0 --reason long-enough --operator o
revoke n
revoke n --token 1 --grace 1 --reason r --operator o
revoke n --token 1 --reason long-enough --operator o
revoke n --grace 1 --reason long-enough --operator o
revoke n --token 1 --grace 1 --then what --reason long-enough --operator o
lock n --on-revoke what -- true
audit --since x
config get a b
config get a --was 1
config set grace_ms
config set grace_ms 3000 --reason r
config set grace_ms x --reason r --operator o
config set grace_ms 3000 --was x --reason r --operator o
erase k --token 1 --reason r --operator o
derive k
derive k charge
derive k charge --secrets /nonexistent
once k --derive charge -- true
export a b
export --state NONSENSE
export --derive charge
lock
lock name
lock name --
lock name --ttl 499 -- true
lock name --wait 86400001 -- true
lock name --wait 1e3 -- true
lock -- true
lock a b a -- true
lock 0 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p q r s t u v w -- true
lock a --limit 2 -- true
permit --limit 2 -- true
permit a -- true
permit a --limit 2
permit a --limit 0 -- true
permit a --limit 1000001 -- true
permit a --limit 2 --permits 0 -- true
permit a --limit 2 --permits 3 -- true
permit a --limit 2 --shared -- true
once k
once k --retain 59999 -- true
once k --fingerprint -- true
once k --unknown -- true
bench
bench nonsense
bench lock --clients 0
bench lock --clients 1025
bench record --clients 2049 --connections 2
help unknown
END
expect 64 holdfast resolve k --done
grep -q 'lacks: --token T --evidence TEXT --operator NAME; use: holdfast resolve KEY' "$tmp/err" ||
    fail "not all that is missing: $(cat "$tmp/err")"
expect 64 holdfast lock "$(printf 'x%.0s' $(seq 256))" -- true
one_sentence
expect 64 holdfast record "$(printf 'a\xff')"
one_sentence
grep -q 'not UTF-8: "a\\xff"' "$tmp/err" || fail "no reason: $(cat "$tmp/err")"

claim 'secrets that others may read, or that are none, are refused, and never printed'
printf '# ours\n\nold 000102030405060708090a0b0c0d0e0f\n' > "$tmp/secrets"
chmod 640 "$tmp/secrets"
expect 64 holdfast derive k charge --secret old --secrets "$tmp/secrets"
one_sentence
grep -q 'chmod 600' "$tmp/err" || fail "nothing to do: $(cat "$tmp/err")"
chmod 604 "$tmp/secrets"
expect 64 holdfast derive k charge --secret old --secrets "$tmp/secrets"
chmod 600 "$tmp/secrets"
expect 0 holdfast derive k charge --secret old --secrets "$tmp/secrets"
same 'the documented HMAC' "$(python3 -c '
import hashlib, hmac
data = b"holdfast/derive/1\0" + b"\0\0\0\1k" + b"\0\0\0\6charge"
print(hmac.new(bytes(range(16)), data, hashlib.sha256).hexdigest())')" "$(cat "$tmp/out")"
expect 71 holdfast derive k charge --secret new --secrets "$tmp/secrets"
expect 64 holdfast derive k charge --secret old --secrets "$tmp"
for line in 'x' 'x 0001' 'x zz0102030405060708090a0b0c0d0e0f' \
    'old 000102030405060708090a0b0c0d0e0f' 'x 000102030405060708090a0b0c0d0e0f y'; do
    printf 'old 000102030405060708090a0b0c0d0e0f\n%s\n' "$line" > "$tmp/secrets"
    expect 64 holdfast derive k charge --secret old --secrets "$tmp/secrets"
    one_sentence
    grep -q 'line 2' "$tmp/err" || fail "no line is named: $(cat "$tmp/err")"
    grep -q '0102' "$tmp/err" && fail "a secret is printed: $(cat "$tmp/err")"
done
: > "$tmp/secrets"
expect 64 holdfast derive k charge --secret old --secrets "$tmp/secrets"

claim 'nobody there is 69, with the addresses that were tried, and no command is run'
expect 69 holdfast --timeout 300 status
one_sentence
grep -q '127.0.0.1:1' "$tmp/err" || fail "no address: $(cat "$tmp/err")"
for verb in locks 'locks a --queue' records 'record k' export sessions; do
    # shellcheck disable=SC2086 # the words are split on purpose
    expect 69 holdfast --timeout 200 $verb
    one_sentence
    # shellcheck disable=SC2086
    expect 69 holdfast --timeout 200 --json $verb
    one_sentence
done
expect 69 holdfast --timeout 200 bench lock --seconds 1 --clients 1
one_sentence
grep -q 'no server could be reached' "$tmp/err" || fail "no reason: $(cat "$tmp/err")"
expect 69 holdfast lock name --timeout=300 -- touch "$tmp/ran"
expect 69 holdfast permit name --limit 2 --timeout=300 -- touch "$tmp/ran"
expect 69 holdfast --timeout 300 once k -- touch "$tmp/ran"
[ ! -e "$tmp/ran" ] || fail 'the command was run'
