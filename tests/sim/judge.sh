#!/usr/bin/env bash
# Record the clients of some seeds and have the checker judge what they were told:
#   judge.sh BIN_DIR FIRST..LAST SECONDS
# Exit code: 0 every history fits every model; 1 one does not, or is undecided: it is kept, and the
# output says how to judge it again.
set -u
bin=$1 seeds=$2 seconds=$3
tmp=$(mktemp -d) || exit 1
"$bin/holdfast-sim" -q --seconds "$seconds" --seeds "$seeds" --history "$tmp/history" || exit 1
bad=0 count=0
for history in "$tmp"/history.*; do
    for model in lock idem fencedreg; do
        count=$((count + 1))
        "$bin/holdfast-jepsen" check --model "$model" "$history" > "$tmp/out" 2>&1 && continue
        cat "$tmp/out"
        echo "FAILED: holdfast-jepsen check --model $model $history"
        bad=$((bad + 1))
    done
done
if [ "$bad" = 0 ] && [ "$count" -gt 0 ]; then
    rm -r "$tmp"
    echo "$count judgements: all fit"
    exit 0
fi
echo "$bad of $count judgements failed"
exit 1
