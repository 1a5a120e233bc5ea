# Completion of `holdfast` for bash: verbs, options, and the words that an option takes. It asks the
# program itself (help VERB, which asks no server), so it knows what the program knows.
# shellcheck shell=bash

# The verbs that `holdfast --help` lists.
_holdfast_verbs() {
    "$1" --help 2> /dev/null | sed -n '/^Verbs:/,/^Options/ s/^  \([a-z][a-z]*\).*/\1/p'
}

# The options in the synopsis of a verb: its help up to the first empty line.
_holdfast_options() {
    "$1" help "$2" 2> /dev/null | sed '/^$/,$ d' | grep -o -e '--[a-z][a-z-]*'
    printf '%s\n' --servers --json --timeout --stale --help
}

# The words that an option (of the verb $2), or a verb's first argument, takes; nothing where
# anything may stand.
_holdfast_values() {
    case $1 in
        --mode) echo exclusive shared permits ;;
        --state)
            case $2 in
                branches) echo TRYING TRIED TRY_FAILED CONFIRMING CONFIRMED CANCELLING CANCELLED ;;
                timer) echo PENDING READY DELIVERED DELAYED DEAD ACKED CANCELLED ;;
                *) echo RUNNING DONE FAILED RETRYABLE UNKNOWN TOMBSTONE ;;
            esac
            ;;
        --on-revoke) echo ignore term ;;
        --then) echo force alarm ;;
        --kinds)
            echo lost forced unknown late timer-dead session-expired admin queued granted released \
                record timer-fired
            ;;
        config) echo get set ;;
        events) echo on off list ;;
        timer) echo set cancel poll ack nack list dead requeue ;;
        bench) echo lock record ;;
    esac
}

# Which word is the verb? Sets verb and at; "" and 0 while there is none.
_holdfast_verb() {
    local i
    verb='' at=0
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --servers | --timeout) i=$((i + 1)) ;;
            -*) ;;
            *)
                verb=${COMP_WORDS[i]} at=$i
                return
                ;;
        esac
    done
}

_holdfast() {
    local verb at i word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} choice=
    COMPREPLY=()
    _holdfast_verb
    for ((i = at + 1; at > 0 && i < COMP_CWORD; i++)); do
        [ "${COMP_WORDS[i]}" = -- ] || continue # what stands behind it is a command
        if declare -F _command_offset > /dev/null; then
            _command_offset $((i + 1))
        else
            mapfile -t COMPREPLY < <(compgen -c -- "$word")
        fi
        return
    done
    case $before in
        --secrets)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return
            ;;
        --mode | --state | --kinds | --on-revoke | --then)
            choice=$(_holdfast_values "$before" "$verb")
            ;;
        *)
            if [ -z "$verb" ] || { [ "$verb" = help ] && [ $((at + 1)) -eq "$COMP_CWORD" ]; }; then
                choice=$(_holdfast_verbs "$1")
                [ -n "$verb" ] || choice+=' --servers --json --timeout --stale --help --version'
            elif [[ $word == -* ]]; then
                choice=$(_holdfast_options "$1" "$verb")
            elif [ $((at + 1)) -eq "$COMP_CWORD" ]; then
                choice=$(_holdfast_values "$verb")
            fi
            ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$choice" -- "$word")
}

complete -F _holdfast holdfast
