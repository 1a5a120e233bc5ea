// The load generator for etcd, with its own Go client: the natural one, since a client in C would
// have to go through the HTTP gateway, which costs the server more. Arguments and the JSON line are
// those of load.h; a connection is a clientv3.Client, with all endpoints.
//
// A lock is concurrency.Mutex on a session's lease; a record is a Txn that puts a key if there is
// none, and a Put. Each call has a second: without a limit of its own a client waits out the
// server's, 7 s, when a leader dies (seen; it would only make etcd look worse).
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/concurrency"
)

const callMax = time.Second
const leaseSeconds = 60
const fillBatch = 100

type times struct {
	P50  uint32 `json:"p50"`
	P99  uint32 `json:"p99"`
	P999 uint32 `json:"p999"`
	Max  uint32 `json:"max"`
}

type tally struct {
	first, second []uint32 // microseconds
	errors        int
}

// When anybody was last granted something, for the longest time without.
type gap struct {
	sync.Mutex
	last time.Time
	most time.Duration
}

var (
	record, fill    bool
	servers         []string
	clients         = 1
	connections     = 0
	rate            = 0
	countFrom, stop time.Time
	runID           uint64
	body            = strings.Repeat("x", 200)
	fingerprint     = strings.Repeat("f", 32)
	grants          gap
	fillCount             = 0
	seconds, warmUp int64 = 10, 2
)

func fail(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		fmt.Fprintln(os.Stderr, "a number is wrong; the arguments stand in load.h")
		os.Exit(64)
	}
	return n
}

func readArguments(words []string) {
	if len(words) > 1 && words[0] == "fill" {
		fill, fillCount, words = true, number(words[1]), words[1:]
	} else if len(words) > 0 && words[0] == "record" {
		record = true
	} else if len(words) == 0 || words[0] != "lock" {
		words = nil
	}
	for at := 1; at+1 < len(words); at += 2 {
		value := words[at+1]
		switch words[at] {
		case "--servers":
			servers = strings.Split(value, ",")
		case "--clients":
			clients = number(value)
		case "--connections":
			connections = number(value)
		case "--seconds":
			seconds = int64(number(value))
		case "--warm-up":
			warmUp = int64(number(value))
		case "--rate":
			rate = number(value)
		default:
			servers = nil
		}
	}
	if servers == nil || clients == 0 || len(words)%2 == 0 {
		fmt.Fprintln(os.Stderr, "wrong arguments; they stand in load.h")
		os.Exit(64)
	}
	if connections == 0 {
		connections = clients
	}
}

// Notes that somebody was granted something.
func (g *gap) grant(now time.Time) {
	g.Lock()
	defer g.Unlock()
	since := g.last
	if since.Before(countFrom) {
		since = countFrom
	}
	if now.After(countFrom) && !now.After(stop) && now.Sub(since) > g.most {
		g.most = now.Sub(since)
	}
	g.last = now
}

// One cycle; returns when its first half was answered.
func cycle(session *concurrency.Session, key string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callMax)
	defer cancel()
	client := session.Client()
	if !record {
		mutex := concurrency.NewMutex(session, key)
		err := mutex.Lock(ctx)
		middle := time.Now()
		if err == nil {
			grants.grant(middle)
			err = mutex.Unlock(ctx)
		}
		return middle, err
	}
	lease := clientv3.WithLease(session.Lease())
	answer, err := client.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, fingerprint, lease)).Commit()
	middle := time.Now()
	if err == nil && !answer.Succeeded {
		err = fmt.Errorf("the key was taken")
	}
	if err == nil {
		grants.grant(middle)
		_, err = client.Put(ctx, key, fingerprint+body, lease)
	}
	return middle, err
}

func run(number int, session *concurrency.Session, t *tally) {
	due := time.Now()
	every := time.Duration(0)
	if rate > 0 {
		every = time.Duration(clients) * time.Second / time.Duration(rate)
		due = due.Add(every * time.Duration(number) / time.Duration(clients))
	}
	for i := 0; ; i++ {
		from := time.Now()
		if rate > 0 && from.Before(due) {
			time.Sleep(due.Sub(from))
			from = time.Now()
		} else if rate > 0 {
			from = due
		}
		due = due.Add(every)
		if time.Now().After(stop) {
			return
		}
		middle, err := cycle(session, fmt.Sprintf("bench/%016x/%d/%d", runID, number, i))
		now := time.Now()
		if err != nil {
			time.Sleep(10 * time.Millisecond)
		}
		if now.Before(countFrom) || now.After(stop) {
			continue
		}
		if err != nil {
			t.errors++
			continue
		}
		t.first = append(t.first, uint32(middle.Sub(from).Microseconds()))
		t.second = append(t.second, uint32(now.Sub(middle).Microseconds()))
	}
}

func timesOf(us []uint32) times {
	if len(us) == 0 {
		return times{}
	}
	sort.Slice(us, func(a, b int) bool { return us[a] < us[b] })
	at := func(permille int) uint32 { return us[(len(us)*permille+999)/1000-1] }
	return times{at(500), at(990), at(999), us[len(us)-1]}
}

func open() *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: servers, DialTimeout: 10 * time.Second})
	fail("no client", err)
	return client
}

// Completed records, many a transaction.
func fillAll() {
	client := open()
	for at := 0; at < fillCount; {
		var ops []clientv3.Op
		for ; len(ops) < fillBatch && at < fillCount; at++ {
			ops = append(ops, clientv3.OpPut(fmt.Sprintf("bench/fill/%020d", at), fingerprint+body))
		}
		_, err := client.Txn(context.Background()).Then(ops...).Commit()
		fail("filling", err)
	}
}

func main() {
	readArguments(os.Args[1:])
	if fill {
		fillAll()
		return
	}
	rand.Seed(time.Now().UnixNano())
	runID = rand.Uint64()
	var opened []*clientv3.Client
	for i := 0; i < connections; i++ {
		opened = append(opened, open())
	}
	sessions := make([]*concurrency.Session, clients)
	var ready sync.WaitGroup
	for i := range sessions {
		ready.Add(1)
		go func(i int) {
			defer ready.Done()
			session, err := concurrency.NewSession(opened[i%connections],
				concurrency.WithTTL(leaseSeconds))
			fail("no session", err)
			sessions[i] = session
		}(i)
	}
	ready.Wait()
	countFrom = time.Now().Add(time.Duration(warmUp) * time.Second)
	stop = countFrom.Add(time.Duration(seconds) * time.Second)
	tallies := make([]tally, clients)
	var over sync.WaitGroup
	for i := range sessions {
		over.Add(1)
		go func(i int) {
			defer over.Done()
			run(i, sessions[i], &tallies[i])
		}(i)
	}
	over.Wait()
	grants.grant(stop) // the time since the last one counts, too
	all := tally{}
	for _, t := range tallies {
		all.first = append(all.first, t.first...)
		all.second = append(all.second, t.second...)
		all.errors += t.errors
	}
	line, err := json.Marshal(map[string]interface{}{
		"cycles_per_s": int64(len(all.first)) / seconds,
		"acquire_us":   timesOf(all.first), "release_us": timesOf(all.second),
		"gap_us": grants.most.Microseconds(), "errors": all.errors})
	fail("no JSON", err)
	fmt.Println(string(line))
	if len(all.first) == 0 {
		os.Exit(1)
	}
}
