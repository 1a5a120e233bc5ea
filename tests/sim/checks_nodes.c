/* Claims about servers; see tests/sim/checks.h. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/status.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum {
    LAST_FLUSHES_MAX = 2,   /* one that was under way, and the stop's own */
    PASS_LATE_MS_MAX = 200, /* BUGGIFY makes passes late */
};

/* What apply goes by is what the log has set, on every server. */
static void look_at_settings(const struct sim_node *n)
{
    const struct history *h = &n->sim->history;
    for (unsigned i = 0; i < SETTING_COUNT; i++) {
        const struct setting_info *info = setting_find((enum setting)i);
        uint64_t value = machine_setting(n->replica->machine, (enum setting)i, info->initial);
        if (value != h->settings[i])
            sim_fail("server %u takes %s for %" PRIu64 " at entry %" PRIu64
                     ", and the log has set %" PRIu64,
                     n->index + 1, info->name, value, h->count, h->settings[i]);
    }
}

static void apply_seen(struct sim_node *n)
{
    const struct replica *r = n->replica;
    struct history *h = &n->sim->history;
    if (r->applied_index == n->seen.applied) return;
    if (r->applied_index < n->seen.applied)
        sim_fail("server %u has applied less than before", n->index + 1);
    while (n->seen.applied < r->applied_index) {
        uint64_t index = ++n->seen.applied;
        struct log_entry entry = entries_get(&r->entries, index);
        history_entry(h, n->index, driver_term(r->driver), &entry);
    }
    struct hash128 digest = store_digest(n->store);
    history_at(h, n->index, r->applied_index, digest);
    if (r->applied_index == h->count) look_at_settings(n);
    trace_mix(&n->sim->trace, r->applied_index);
    trace_mix(&n->sim->trace, digest.low);
}

static void look_at_vote(struct sim_node *n)
{
    const struct vote_state *v = &n->replica->vote.state;
    struct node_seen *seen = &n->seen;
    if (v->term < seen->term)
        sim_fail("server %u: its term fell from %" PRIu64 " to %" PRIu64, n->index + 1, seen->term,
                 v->term);
    if (v->term == seen->term && seen->voted_for != 0 && v->voted_for != seen->voted_for)
        sim_fail("server %u: its vote in term %" PRIu64 " changed from %" PRIu64 " to %" PRIu64,
                 n->index + 1, v->term, seen->voted_for, v->voted_for);
    if (driver_term(n->replica->driver) != v->term)
        sim_fail("server %u is in a term that its vote file does not know", n->index + 1);
    seen->term = v->term;
    seen->voted_for = v->voted_for;
}

/* All that was committed in earlier terms is in a new leader's log. An entry of an earlier term may
 * have been committed in a later one: a server may hear late that it was elected, when the next
 * leader is at work, and needs nothing of what that one has committed. */
static void look_at_completeness(const struct sim_node *n, uint64_t term)
{
    const struct history *h = &n->sim->history;
    uint64_t index = h->count;
    while (index > 0 && h->entries[index - 1].committed_by >= term) index--;
    if (index == 0) return;
    const struct entries *log = &n->replica->entries;
    uint64_t known = entries_term(log, index);
    if (index == n->replica->applied_index) known = n->replica->applied_term;
    if (entries_last(log) < index || (known != 0 && known != h->entries[index - 1].term))
        sim_fail("server %u leads term %" PRIu64 " without entry %" PRIu64
                 ", which was committed before",
                 n->index + 1, term, index);
}

/* A leader commits an entry of its own term, and all before it with it: whoever has that one is
 * elected rather than who has not. Counted by itself an older entry may still be replaced (Ongaro's
 * dissertation, 3.6.2). */
static void look_at_committed(const struct sim_node *n, uint64_t term)
{
    const struct replica *r = n->replica;
    uint64_t commit = driver_commit_index(r->driver);
    uint64_t known = driver_term_of(r->driver, commit);
    if (commit == r->applied_index) known = r->applied_term;
    if (commit > n->seen.commit && known != 0 && known != term)
        sim_fail("server %u leads term %" PRIu64 ", and has committed entry %" PRIu64
                 " of term %" PRIu64 " by itself",
                 n->index + 1, term, commit, known);
}

static void look_at_leader(struct sim_node *n)
{
    struct checks *k = &n->sim->checks;
    if (driver_state(n->replica->driver) != DRIVER_LEADER) return;
    uint64_t term = driver_term(n->replica->driver);
    if (n->seen.lead_term == term) {
        look_at_committed(n, term);
        return;
    }
    n->seen.lead_term = term;
    struct check_term *t = checks_term(k, term);
    if (t->leader != 0 && t->leader != n->index + 1)
        sim_fail("servers %u and %u both lead term %" PRIu64, t->leader, n->index + 1, term);
    if (t->leader == 0) k->leader_count++;
    t->leader = n->index + 1;
    trace_line(&n->sim->trace, 'n', n->index + 1, "leads", "term %" PRIu64, term);
    trace_mix(&n->sim->trace, term << 8 | n->index);
    look_at_completeness(n, term);
}

static void look_at_progress(struct sim_node *n)
{
    const struct replica *r = n->replica;
    struct node_seen *seen = &n->seen;
    uint64_t commit = driver_commit_index(r->driver);
    uint64_t time_ms = machine_time_ms(r->machine);
    if (commit < seen->commit)
        sim_fail("server %u: its commit index fell from %" PRIu64 " to %" PRIu64, n->index + 1,
                 seen->commit, commit);
    if (time_ms < seen->time_ms) sim_fail("server %u: cluster time went back", n->index + 1);
    if (r->applied_index > commit)
        sim_fail("server %u has applied what is not committed", n->index + 1);
    if (store_mark(n->store)->index > wal_durable_index(r->wal))
        sim_fail("server %u: its store is ahead of its log", n->index + 1);
    seen->commit = commit;
    seen->time_ms = time_ms;
}

/* A stop's parts end within their limits. */
static void look_at_stop(const struct sim_node *n)
{
    const struct replica *r = n->replica;
    uint64_t now_ms = node_now(n).elapsed_ms;
    if (!stopping_begun(&n->stop) || now_ms >= n->stop.until_ms) return;
    bool hands_over = !n->stop.handed_over && replica_is_idle(r) && r->hand_over_until_ms != 0;
    if (hands_over && now_ms >= r->hand_over_until_ms)
        sim_fail("server %u still hands over, %" PRIu64 " ms too late", n->index + 1,
                 now_ms - r->hand_over_until_ms);
    if (n->last_flushes > LAST_FLUSHES_MAX)
        sim_fail("server %u stops, and flushes for the %uth time", n->index + 1, n->last_flushes);
}

/* What it takes for held by everybody, and lets its log forget, everybody holds. */
static void look_at_held(struct sim_node *n)
{
    const struct replica *r = n->replica;
    uint64_t durable = wal_durable_index(r->wal);
    uint64_t commit = driver_commit_index(r->driver);
    uint64_t held = durable < commit ? durable : commit;
    if (durable > n->seen.durable) n->seen.durable = durable;
    if (held > n->seen.held) n->seen.held = held;
    uint64_t first = wal_first_index(r->wal);
    for (uint32_t i = 0; i < n->sim->swarm.node_count; i++) {
        if (n->sim->nodes[i].seen.durable + 1 < first)
            sim_fail("server %u has cut its log in front of entry %" PRIu64 ", and server %u had "
                     "entries up to %" PRIu64 " at most",
                     n->index + 1, first, i + 1, n->sim->nodes[i].seen.durable);
        if (n->sim->nodes[i].seen.durable < r->held_index)
            sim_fail("server %u takes entry %" PRIu64 " for held by all, and server %u had %" PRIu64
                     " at most",
                     n->index + 1, r->held_index, i + 1, n->sim->nodes[i].seen.durable);
    }
}

/* It has forgotten its votes and its log: nobody asks it for one, or tells it what is in the other.
 * Its own first entry and the term of that are all that it comes to. */
static void look_at_anew(const struct sim_node *n)
{
    uint64_t term = driver_term(n->replica->driver);
    uint64_t commit = driver_commit_index(n->replica->driver);
    if (n->anew && (term > 1 || commit > 1))
        sim_fail("server %u was made anew under its old number, and is taken for the one before: "
                 "it has come to term %" PRIu64 ", entry %" PRIu64,
                 n->index + 1, term, commit);
}

void checks_node(struct sim_node *n)
{
    look_at_anew(n);
    look_at_held(n);
    look_at_vote(n);
    apply_seen(n);
    look_at_leader(n);
    look_at_progress(n);
    look_at_stop(n);
    checks_time(n);
    checks_rounds(n);
    checks_memory(n);
}

void checks_node_started(struct sim_node *n)
{
    uint64_t last = wal_last_index(n->replica->wal);
    n->seen.applied = store_mark(n->store)->index;
    if (last < n->seen.held && n->seen.applied < n->seen.held)
        sim_fail("server %u starts with entries up to %" PRIu64 ", and entry %" PRIu64
                 " was durable there and committed",
                 n->index + 1, last, n->seen.held);
    n->seen.commit = 0;
    n->seen.time_ms = 0;
    n->seen.lead_term = 0;
    n->seen.time.term = 0;
    n->seen.round = (struct node_round){0};
    if (n->replica->applied_index == n->seen.applied)
        history_at(&n->sim->history, n->index, n->seen.applied, store_digest(n->store));
    checks_node(n);
}

void checks_node_stopped(const struct sim_node *n, enum stopping_state how)
{
    const struct replica *r = n->replica;
    uint64_t held_ns = n->held_ns > n->busy_ns ? n->held_ns : n->busy_ns;
    uint64_t late_ms = node_now(n).elapsed_ms - n->stop.until_ms;
    trace_line(&n->sim->trace, 'n', n->index + 1, "stop", "%s%s",
               how == STOPPING_DONE ? "as asked" : "time is up",
               n->stop.handed_over ? "" : ", not handed over");
    if (how == STOPPING_LATE && late_ms > PASS_LATE_MS_MAX &&
        n->sim->trace.now_ns - held_ns > PASS_LATE_MS_MAX * UINT64_C(1000000))
        sim_fail("server %u stops %" PRIu64 " ms too late", n->index + 1, late_ms);
    if (how == STOPPING_LATE) return;
    if (n->flushing || store_mark(n->store)->index < r->last_index || r->last_index == 0)
        sim_fail("server %u ended in order, and its store does not hold what it had applied",
                 n->index + 1);
    if (!replica_is_idle(r) || !list_empty(&n->door.connections))
        sim_fail("server %u ended in order, and left requests or clients behind", n->index + 1);
}

bool checks_converged(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        const struct sim_node *n = &sim->nodes[i];
        if (n->state == NODE_OUT || n->anew) continue;
        if (n->state != NODE_UP || n->replica->applied_index != sim->history.count) return false;
    }
    return true; /* the digests were looked at as each came to that entry */
}

void checks_close(struct checks *k)
{
    free(k->terms);
    checks_timers_close(k);
    *k = (struct checks){0};
}
