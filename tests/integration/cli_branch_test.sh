#!/usr/bin/env bash
# `holdfast branches` and `branch` against a real server: what a coordinator that died left behind.
#   cli_branch_test.sh BUILD_DIR
# shellcheck source-path=SCRIPTDIR disable=SC2119
. "$(dirname "$0")/lib.sh"
begin "$1"
server_start

claim 'nothing is shown of nothing, and it is no failure'
expect 0 holdfast branches --json
same 'branches' 0 "$(json 'len(d["branches"])')"
expect 66 holdfast branch money/0000 debit
grep -q 'no branch "debit" of "money/0000"' "$tmp/err" || fail "$(cat "$tmp/err")"

claim 'a coordinator that died leaves what nobody ends, and it is found'
mkdir "$tmp/money"
expect 0 tcc_transfer make "$tmp/money" --transfers 4
# shellcheck disable=SC2016
expect 137 sh -c '"$@"; exit $?' sh tcc_transfer run "$tmp/money" --lease 60000 \
    --die-at credit-confirm-asked
expect 0 holdfast branches --json
same 'all' 'credit CONFIRMING done,debit CONFIRMED done' \
    "$(json '",".join(" ".join([b["branch"], b["state"], b["tried"]]) for b in d["branches"])')"
expect 0 holdfast branches money/ --unfinished --json
same 'unfinished' "['credit']" "$(json '[b["branch"] for b in d["branches"]]')"
expect 0 holdfast branches --state CONFIRMED --json
same 'confirmed' "['debit']" "$(json '[b["branch"] for b in d["branches"]]')"
expect 0 holdfast branches elsewhere/ --json
same 'elsewhere' 0 "$(json 'len(d["branches"])')"
expect 0 holdfast branches --older-than 1h --json
same 'older' 0 "$(json 'len(d["branches"])')"
expect 0 holdfast branches
grep -q '^money/0000 *credit .* CONFIRMING *done ' "$tmp/out" || fail "$(cat "$tmp/out")"

claim 'one branch is shown whole'
expect 0 holdfast branch money/0000 debit
grep -q '^state *CONFIRMED$' "$tmp/out" || fail "$(cat "$tmp/out")"
grep -q '^ended at *20' "$tmp/out" || fail "$(cat "$tmp/out")"
expect 0 holdfast branch money/0000 credit --json
same 'its state' 'CONFIRMING False 1' \
    "$(json '" ".join([d["state"], str(d["lapsed"]), str(d["attempt"])])')"
same 'its try is not its phase' True \
    "$(json 'int(d["try_token"]) > 0 and int(d["fencing_token"]) > int(d["try_token"])')"
same 'its fingerprint' 64 "$(json 'len(d["fingerprint"])')"

claim 'what makes no sense is refused before a server is asked'
expect 64 holdfast branch money/0000
expect 64 holdfast branches --state RUNNING
grep -q 'is no state of a branch' "$tmp/err" || fail "$(cat "$tmp/err")"
