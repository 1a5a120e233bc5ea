#!/usr/bin/env bash
# What bash completes of `holdfast`: every verb, every option of each, and the words that some take.
#   completion_test.sh BUILD_DIR
# shellcheck source-path=SCRIPTDIR disable=SC2119
. "$(dirname "$0")/lib.sh"
begin "$1"
export HOLDFAST_SERVERS=127.0.0.1:1 # nobody listens there: no server is asked
# shellcheck source-path=SCRIPTDIR/../..
. "$(dirname "$0")/../../client/cli/completion.bash"

completed() { # WORDS...: the last one is under the cursor; what is offered stands in $tmp/offered
    COMP_WORDS=(holdfast "$@")
    COMP_CWORD=$#
    _holdfast holdfast "${*: -1}" ''
    printf '%s\n' "${COMPREPLY[@]}" > "$tmp/offered"
}

offers() { # WORD...: each of them
    local word
    for word in "$@"; do
        grep -q -x -e "$word" "$tmp/offered" ||
            fail "no $word among: $(tr '\n' ' ' < "$tmp/offered")"
    done
}

offered() { tr '\n' ' ' < "$tmp/offered"; }

claim 'every verb is completed, also behind the options before it'
verbs=$(holdfast --help | sed -n '/^Verbs:/,/^Options/ s/^  \([a-z][a-z]*\).*/\1/p')
[ "$(wc -w <<< "$verbs")" -ge 20 ] || fail "few verbs: $verbs"
completed ''
# shellcheck disable=SC2086 # the words are split on purpose
offers $verbs --servers
completed --servers a:1 --json ''
# shellcheck disable=SC2086
offers $verbs
completed reg
same 'what begins so' 'register ' "$(offered)"
completed help rec
same 'what begins so' 'records record ' "$(offered)"

claim 'every option that the help of a verb explains is completed'
for verb in $verbs; do
    [ "$verb" != help ] || continue
    completed "$verb" -
    offers --json --timeout
    # shellcheck disable=SC2046 # likewise
    offers $(holdfast help "$verb" | sed -n 's/^  \(--[a-z].*\)/\1/p' | sed 's/   .*//' |
        grep -o -e '--[a-z][a-z-]*')
done
completed locks a --old
same 'what begins so' '--older-than ' "$(offered)"

claim 'words are completed where an option takes one of a few'
completed locks --mode ''
same 'modes' 'exclusive shared permits ' "$(offered)"
completed records --state UN
same 'states' 'UNKNOWN ' "$(offered)"
completed lock a --on-revoke ''
same 'what to do' 'ignore term ' "$(offered)"
completed config ''
same 'what of config' 'get set ' "$(offered)"
completed events ''
same 'what of events' 'on off list ' "$(offered)"
completed timer li
same 'what of timer' 'list ' "$(offered)"
completed timer list --state D
same 'states of a timer' 'DELIVERED DELAYED DEAD ' "$(offered)"
completed watch --kinds ''
# shellcheck disable=SC2046 # likewise
offers $(holdfast help watch | sed -n '/--kinds KIND/,/Without it all/p' | tr -c 'a-z-' '\n' |
    grep -x -e lost -e late -e session-expired -e queued -e record -e timer-fired)
completed lock ''
same 'nothing for a name' '' "$(tr -d '\n' < "$tmp/offered")"

claim 'behind -- a command is completed, and no option'
completed lock a -- holdfas
offers holdfast
completed lock a -- --
same 'options' '' "$(tr -d '\n' < "$tmp/offered")"
touch "$tmp/secrets"
completed once k --secrets "$tmp/sec"
same 'the file' "$tmp/secrets " "$(offered)"
