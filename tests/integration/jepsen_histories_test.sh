#!/usr/bin/env bash
# holdfast-jepsen check over histories written by hand: the exit code of each, and the sentence.
#   jepsen_histories_test.sh BUILD_DIR
# shellcheck source-path=SCRIPTDIR disable=SC2119
. "$(dirname "$0")/lib.sh"
begin "$1"

# Lines come as "CLIENT CALL RET OP ARGS OUTCOME [RESULT]", times in ms, RET - = unknown; OUTCOME is
# ok, unknown or an error. The key is k, but OP/KEY has another; ids count up.
history() { # VERSION, lines on standard input
    local id=0 client call ret op key args outcome result rest
    while read -r client call ret op args outcome result; do
        [ -n "$client" ] || continue
        id=$((id + 1))
        key=k
        case $op in */*) key=${op#*/} op=${op%/*} ;; esac
        case $outcome in
            ok) rest="\"ret\":${ret}000000,\"outcome\":\"ok\",\"result\":${result:-{\}}" ;;
            unknown) rest='"ret":null,"outcome":"unknown"' ;;
            *) rest="\"ret\":${ret}000000,\"outcome\":\"fail\",\"error\":\"$outcome\""
               rest="$rest,\"result\":${result:-{\}}" ;;
        esac
        printf '{"v":%d,"id":%d,"client":"%s","op":"%s","key":"%s",' \
            "$1" "$id" "$client" "$op" "$key"
        printf '"args":%s,"call":%d000000,%s}\n' "$args" "$call" "$rest"
    done > "$tmp/history"
}

judged() { # CODE MODEL [WORDS...]: the exit code, and what must be in the output
    local code=$1 model=$2
    shift 2
    expect "$code" holdfast-jepsen check --model "$model" "$tmp/history"
    local words
    for words in "$@"; do
        cat "$tmp/out" "$tmp/err" | grep -q -e "$words" ||
            fail "no \"$words\": $(cat "$tmp/out" "$tmp/err")"
    done
}

claim 'the example of the format fits: an unknown release explains nothing wrong'
history 1 << 'END'
a 1 5 acquire {"ttl_ms":1000} ok {"token":7}
b 6 9 acquire {"ttl_ms":1000} busy {"owner":"a","token":7}
b 10 1004 acquire {"ttl_ms":5000} ok {"token":9}
b 1010 - release {"token":9} unknown
END
judged 0 lock 'fits'

claim 'a grant within the lease of another does not'
history 1 << 'END'
a 1 5 acquire {"ttl_ms":1000} ok {"token":7}
b 10 900 acquire {"ttl_ms":5000} ok {"token":9}
END
judged 1 lock 'key "k"' 'b had token 9 (line 2) at 0.900000000, while a held token 7 (line 1)'

claim 'after a release it does, also if nobody knows whether the release was done'
history 1 << 'END'
a 1 5 acquire {"ttl_ms":1000} ok {"token":7}
a 10 - release {"token":7} unknown
b 20 30 acquire {"ttl_ms":5000} ok {"token":9}
END
judged 0 lock

claim 'tokens rise in real time'
history 1 << 'END'
a 1 5 acquire {"ttl_ms":1} ok {"token":7}
b 10 20 acquire {"ttl_ms":1} ok {"token":6}
END
judged 1 lock 'was given token 6 (line 2) after a had token 7'

claim 'a token has one owner'
history 1 << 'END'
a 1 5 acquire {"ttl_ms":1} ok {"token":7}
b 10 20 acquire {"ttl_ms":1} ok {"token":7}
END
judged 1 lock 'given to two owners'

claim 'a read of the past is found by the search, and the report ends where it stands'
history 1 << 'END'
a 1 2 acquire {"ttl_ms":1000} ok {"token":1}
a 3 4 release {"token":1} ok
b 5 6 query {} ok {"held":true,"owner":"a","token":1}
c 7 8 acquire {"ttl_ms":1000} ok {"token":2}
END
judged 1 lock 'no order of its operations explains what was answered at 0.006000000 (line 3)' \
    'its operations up to then, by call: 3' 'ends with: free; greatest token 1'

claim 'a lapse needs no line, but time'
history 1 << 'END'
a 1 2 acquire {"ttl_ms":50} ok {"token":1}
a 60 61 renew {"token":1,"ttl_ms":50} not_held
END
judged 0 lock
history 1 << 'END'
a 1 2 acquire {"ttl_ms":100} ok {"token":1}
a 60 61 renew {"token":1,"ttl_ms":50} not_held
END
judged 1 lock

claim 'what gives back whatever there is may come before what it gives back, or behind'
history 2 << 'END'
x 1 5 acquire {"ttl_ms":3000,"owner":"1/1"} ok {"token":1,"count":1}
y 4 8 release {"token":1,"owner":"1/1","all":1,"if_any":1} ok
z 10 12 acquire {"ttl_ms":3000,"owner":"2/2"} ok {"token":2,"count":1}
END
judged 0 lock
history 2 << 'END'
x 1 5 acquire {"ttl_ms":3000,"owner":"1/1"} ok {"token":1,"count":1}
y 4 8 release {"owner":"1/1"} ok
z 10 12 acquire {"ttl_ms":3000,"owner":"2/2"} ok {"token":2,"count":1}
END
judged 0 lock
history 2 << 'END'
x 1 5 begin {"ttl_ms":3000,"fingerprint":"f"} ok {"status":"started","token":1,"attempt":1}
y 4 8 abandon {"token":1,"if_any":1} ok
z 10 12 begin {"ttl_ms":3000,"fingerprint":"f"} ok {"status":"takeover","token":2,"attempt":2}
END
judged 0 idem
history 2 << 'END'
x 1 5 begin {"ttl_ms":1000,"fingerprint":"f"} ok {"status":"started","token":1,"attempt":1}
x 2000 3000 renew {"token":1,"ttl_ms":60000} ok
y 1900 3100 abandon {"token":1} ok
z 4000 4100 begin {"ttl_ms":3000,"fingerprint":"f"} ok {"status":"takeover","token":2,"attempt":2}
END
judged 0 idem

claim 'readers share, a writer does not; a reentrant release counts down'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000,"mode":"shared","owner":"1/1"} ok {"token":1,"count":1}
b 3 4 acquire {"ttl_ms":1000,"mode":"shared","owner":"2/1"} ok {"token":2,"count":1}
a 5 6 acquire {"ttl_ms":1000,"mode":"shared","reentrant":1,"owner":"1/1"} ok {"token":1,"count":2}
c 7 8 acquire {"ttl_ms":1000,"owner":"3/1"} busy {"owner":"1/1","token":1}
b 9 10 release {"token":2,"owner":"2/1"} ok {"count":0}
a 11 12 release {"token":1,"owner":"1/1"} ok {"count":1}
c 13 14 check {"token":2} ok {"status":"stale"}
a 15 16 release {"token":1,"all":1,"owner":"1/1"} ok
c 17 18 acquire {"ttl_ms":1000,"owner":"3/1"} ok {"token":3,"count":1}
END
judged 0 lock
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000,"mode":"shared","owner":"1/1"} ok {"token":1,"count":1}
c 3 4 acquire {"ttl_ms":1000,"owner":"3/1"} ok {"token":2,"count":1}
END
judged 1 lock

claim 'permits: as many as there are, and not one more'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000,"mode":"permits","permits":2,"limit":3} ok {"token":1}
b 3 4 acquire {"ttl_ms":1000,"mode":"permits","permits":1,"limit":3} ok {"token":2}
a 5 6 release {"token":1} ok
c 7 8 acquire {"ttl_ms":1000,"mode":"permits","permits":2,"limit":3} ok {"token":3}
d 9 1010 acquire {"ttl_ms":1000,"mode":"permits","permits":1,"limit":3} ok {"token":4}
e 11 2500 acquire {"ttl_ms":1000} ok {"token":5}
END
judged 0 lock
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000,"mode":"permits","permits":2,"limit":3} ok {"token":1}
c 7 8 acquire {"ttl_ms":1000,"mode":"permits","permits":2,"limit":3} ok {"token":3}
END
judged 1 lock '4 permits of 3 were surely out at 0.008000000, when c had token 3'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":50,"mode":"permits","permits":2,"limit":3} ok {"token":1}
b 40 100 acquire {"ttl_ms":50,"mode":"permits","permits":2,"limit":3} ok {"token":2}
a 110 115 renew {"token":1,"ttl_ms":50} ok
END
judged 1 lock 'no order'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000,"mode":"permits","permits":1,"limit":3} ok {"token":1}
b 3 4 acquire {"ttl_ms":1000,"mode":"permits","permits":1,"limit":4} ok {"token":2}
END
judged 1 lock 'b had token 2'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000,"mode":"permits","permits":1,"limit":3} ok {"token":1}
b 3 4 acquire {"ttl_ms":1000,"mode":"shared"} ok {"token":2}
END
judged 1 lock 'b had token 2'

claim 'several names: each of them is held, under a token above the last of each'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000,"names":["k","l"]} ok {"token":1}
b 3 4 acquire {"ttl_ms":1000} busy {"token":1}
a 5 6 release {"token":1,"names":["k","l"]} ok
b 7 8 acquire {"ttl_ms":1000} ok {"token":2}
c 9 20 acquire {"ttl_ms":1000,"names":["k","l"]} ok {"token":3}
b 10 11 release {"token":2} ok
END
judged 0 lock '2 keys'
history 2 << 'END'
b 1 2 acquire {"ttl_ms":1000} ok {"token":1}
a 3 4 acquire {"ttl_ms":1000,"names":["k","l"]} ok {"token":2}
END
judged 1 lock 'key "k": a had token 2 (line 2) at 0.004000000, while b held token 1'
history 2 << 'END'
b 1 2 acquire {"ttl_ms":50,"names":["k","m"]} ok {"token":4}
a 80 81 acquire {"ttl_ms":50,"names":["k","l"]} ok {"token":3}
END
judged 1 lock 'key "k": a was given token 3'

claim 'downgraded it is shared, upgraded it is alone'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000} ok {"token":1}
a 3 4 downgrade {"token":1} ok
b 3 5 acquire {"ttl_ms":1000,"mode":"shared"} ok {"token":2}
a 6 7 upgrade {"token":1} busy
b 8 9 release {"token":2} ok
a 10 11 upgrade {"token":1} ok
b 12 13 acquire {"ttl_ms":1000,"mode":"shared"} busy {"token":1}
END
judged 0 lock
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000,"mode":"shared"} ok {"token":1}
b 3 4 acquire {"ttl_ms":1000,"mode":"shared"} ok {"token":2}
a 5 6 upgrade {"token":1} ok
END
judged 1 lock 'while b held token 2'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000,"mode":"shared"} ok {"token":1}
a 3 4 upgrade {"token":1} ok
b 5 6 acquire {"ttl_ms":1000,"mode":"shared"} ok {"token":2}
END
judged 1 lock 'while a held token 1'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000} ok {"token":1}
a 3 - downgrade {"token":1} unknown
b 5 6 acquire {"ttl_ms":1000,"mode":"shared"} ok {"token":2}
END
judged 0 lock
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000,"mode":"shared"} ok {"token":1}
a 3 4 upgrade {"token":1} busy
END
judged 1 lock 'line 2'

claim 'who is told of a deadlock held something, and the circle was one'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000} ok {"token":1}
b 3 4 acquire/l {"ttl_ms":1000} ok {"token":2}
a 5 90 acquire/l {"ttl_ms":1000} ok {"token":3}
b 10 20 acquire {"ttl_ms":1000} deadlock {"cycle":["b","a"]}
b 30 40 release/l {"token":2} ok
END
judged 0 lock '2 keys'
sed -i 's/"cycle":\["b","a"\]//' "$tmp/history"
judged 0 lock
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000} ok {"token":1}
b 3 4 acquire/l {"ttl_ms":1000} ok {"token":2}
b 5 6 release/l {"token":2} ok
b 10 20 acquire {"ttl_ms":1000} deadlock
END
judged 1 lock 'b was told of a deadlock at 0.020000000 (line 4), but b can have held nothing'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000} ok {"token":1}
b 3 4 acquire/l {"ttl_ms":1000} ok {"token":2}
b 10 20 acquire {"ttl_ms":1000} deadlock {"cycle":["b","a"]}
a 25 90 acquire/l {"ttl_ms":1000} busy {"token":2}
END
judged 1 lock 'but a can not have waited for the next'
sed -i 's/"cycle":\["b","a"\]/&,"cut":1/' "$tmp/history"
judged 0 lock # what a waits for, and who waits for b, is not told
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000} ok {"token":1}
b 3 4 acquire/l {"ttl_ms":1000} ok {"token":2}
a 5 22 acquire/l {"ttl_ms":1000} canceled
b 10 20 acquire {"ttl_ms":1000} deadlock {"cycle":["b","a"]}
END
judged 0 lock '1 more that show nothing'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000} ok {"token":1}
b 3 4 acquire/l {"ttl_ms":1000,"mode":"permits","permits":1,"limit":2} ok {"token":2}
a 5 90 acquire/l {"ttl_ms":1000} busy {"token":2}
b 10 20 acquire {"ttl_ms":1000} deadlock {"cycle":["b","a"]}
END
judged 1 lock 'can have held nothing'

claim 'an early end that the client learnt of is a failed renewal, and is seen'
history 2 << 'END'
a 1 2 acquire {"ttl_ms":1000,"owner":"1/1"} ok {"token":1,"count":1}
a 300 310 renew {"token":1,"ttl_ms":0,"owner":"1/1"} not_held
END
judged 1 lock 'line 2'

claim 'a record is completed once'
history 1 << 'END'
a 1 2 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"started","token":1}
b 3 4 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"in_progress"}
b 60 61 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"started","token":2}
a 62 63 complete {"token":1,"response":"x"} stale_token
b 64 65 complete {"token":2,"response":"y"} ok
a 66 67 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"completed","response":"y"}
END
judged 0 idem
sed -i 's/"stale_token"/"conflict"/' "$tmp/history"
judged 1 idem
history 1 << 'END'
a 1 2 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"started","token":1}
a 3 4 complete {"token":1,"response":"x"} ok
b 60 61 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"started","token":2}
END
judged 1 idem 'no order'
history 1 << 'END'
a 1 2 complete {"token":1,"response":"x"} ok
b 3 4 get {} ok {"status":"completed","response":"y"}
END
judged 1 idem 'line 1 has the response "x", and line 2 "y"'

claim 'an attempt that died past mark 1 is unknown, and nobody runs it again'
history 2 << 'END'
a 1 2 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"started","token":1,"attempt":1}
a 3 4 checkpoint {"token":1,"number":1,"mark":1} ok
b 60 61 begin {"ttl_ms":50,"fingerprint":"f"} unknown_record {"token":1}
o 62 63 resolve {"token":1,"outcome":"retryable"} ok
b 64 65 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"started","token":2,"attempt":2}
END
sed -i 's/"unknown_record"/"unknown"/' "$tmp/history"
judged 0 idem
history 2 << 'END'
a 1 2 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"started","token":1,"attempt":1}
a 3 4 checkpoint {"token":1,"number":1,"mark":1} ok
b 60 61 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"takeover","token":2,"attempt":2}
END
judged 1 idem

claim 'what has failed may be reopened, and runs again; what is done may not'
history 2 << 'END'
a 1 2 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"started","token":1,"attempt":1}
a 3 4 complete {"token":1,"outcome":"failed","response":"x"} ok
o 5 6 reopen {"token":1,"outcome":"failed"} ok
b 7 8 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"started","token":2,"attempt":2}
a 9 10 complete {"token":1,"outcome":"failed","response":"x"} stale_token
b 11 12 complete {"token":2,"response":"y"} ok
o 13 14 reopen {"token":1,"outcome":"failed"} stale_token
o 15 16 reopen {"token":2,"outcome":"done"} bad_state
a 17 18 begin {"ttl_ms":50,"fingerprint":"f"} ok {"status":"completed","response":"y"}
END
judged 0 idem
sed -i 's/"outcome":"failed","response"/"outcome":"done","response"/' "$tmp/history"
judged 1 idem 'line 3'
history 2 << 'END'
a 1 2 begin {"ttl_ms":9,"retain_ms":10,"fingerprint":"f"} ok {"status":"started","token":1}
a 3 4 checkpoint {"token":1,"number":5} ok
a 5 6 complete {"token":1,"outcome":"failed","response":"x"} ok
b 30 31 begin {"ttl_ms":9,"retain_ms":10,"fingerprint":"f"} key_expired
o 32 33 reopen {"token":1,"outcome":"failed"} ok
b 34 35 begin {"ttl_ms":9,"retain_ms":10,"fingerprint":"f"} ok {"status":"started","token":2}
b 36 37 checkpoint {"token":2,"number":1} ok
END
judged 0 idem

claim 'a late write is refused'
history 1 << 'END'
a 1 2 write {"token":2,"value":"x"} ok
b 3 4 write {"token":1,"value":"y"} stale_token
c 5 6 read {} ok {"value":"x"}
END
judged 0 fencedreg
sed -i 's/"value":"x"},"call":1/"value":"z"},"call":1/' "$tmp/history"
judged 1 fencedreg

claim 'what breaks the format is told with its line; so are arguments'
printf '{"v":1}\n' > "$tmp/history"
judged 2 lock 'line 1: "op" is needed'
printf '{"v":1,"type":"note"}\nnot json\n' > "$tmp/history"
judged 2 lock 'line 2: not JSON'
printf '{"v":1,"type":"note"}' > "$tmp/history"
judged 2 lock 'line 1: the file ends within it'
head -c 100000 /dev/zero | tr '\0' ' ' > "$tmp/history"
judged 2 lock 'longer than'
: > "$tmp/history"
judged 0 lock '0 operations'
expect 64 holdfast-jepsen
expect 64 holdfast-jepsen fly
expect 64 holdfast-jepsen check --model odd "$tmp/history"
expect 64 holdfast-jepsen check --model lock
expect 64 holdfast-jepsen check --model lock --seconds 0 "$tmp/history"
expect 66 holdfast-jepsen check --model lock "$tmp/none"
expect 0 holdfast-jepsen --help
expect 0 holdfast-jepsen check --help

claim 'what cannot be decided is told so: forty writes of unknown outcome in any order'
{
    i=0
    while [ $i -lt 40 ]; do
        i=$((i + 1))
        printf 'u%d %d - write {"token":5,"value":"v%d"} unknown\n' $i $i $i
    done
    i=0
    while [ $i -lt 39 ]; do
        i=$((i + 1))
        printf 'r %d %d read {} ok {"value":"v%d"}\n' $((100 + 2 * i)) $((101 + 2 * i)) $i
    done
    printf 'r 900 901 read {} ok {"value":"never"}\n'
} | history 1
expect 3 holdfast-jepsen check --model fencedreg --seconds 600 --memory-mib 4 "$tmp/history"
grep -q 'undecided: out of memory' "$tmp/out" || fail "$(cat "$tmp/out")"
