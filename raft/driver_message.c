/* Messages from and to other servers. What comes in is checked against the limits first, since
 * libraft checks nothing; then an append is put into the form in which libraft takes it right. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/planted.h"
#include "base/status.h"
#include "raft/configuration.h"
#include "raft/driver.h"
#include "raft/driver_private.h"

_Static_assert((int)MESSAGE_APPEND == (int)RAFT_APPEND_ENTRIES, "message types are libraft's");
_Static_assert((int)MESSAGE_APPEND_RESULT == (int)RAFT_APPEND_ENTRIES_RESULT, "they are libraft's");
_Static_assert((int)MESSAGE_VOTE == (int)RAFT_REQUEST_VOTE, "message types are libraft's");
_Static_assert((int)MESSAGE_VOTE_RESULT == (int)RAFT_REQUEST_VOTE_RESULT, "they are libraft's");
_Static_assert((int)MESSAGE_TIMEOUT_NOW == (int)RAFT_TIMEOUT_NOW, "message types are libraft's");

enum { VOTE_VERSION = 2, RESULT_VERSION = 2 }; /* libraft 0.22.1's */

/* ------------------------------------------------------------------ out */

/* The entries are ours to fill in: libraft only says which. */
static void send_append(struct driver *d, const struct raft_message *from, struct message *m)
{
    const struct raft_append_entries *a = &from->append_entries;
    m->term = a->term;
    m->append = (struct message_append){
        .previous_index = a->prev_log_index,
        .previous_term = a->prev_log_term,
        .commit_index = a->leader_commit,
        .count = a->n_entries,
    };
    struct log_entry entries[DRIVER_INFLIGHT_MAX];
    HF_ASSERT(a->n_entries <= DRIVER_INFLIGHT_MAX);
    if (a->n_entries > 0 && entries_has(d->entries, a->prev_log_index + 1)) {
        for (uint32_t i = 0; i < a->n_entries; i++) {
            entries[i] = entries_get(d->entries, a->prev_log_index + 1 + i);
        }
        m->append.entries = entries;
    }
    d->config.ports.send(d->config.ports.data, m);
}

void driver_send(struct driver *d, const struct raft_message *from)
{
    struct message m = {
        .type = (uint8_t)from->type,
        .peer = from->server_id,
        .address = from->server_address,
    };
    switch (from->type) {
    case RAFT_APPEND_ENTRIES: send_append(d, from, &m); return;
    case RAFT_APPEND_ENTRIES_RESULT:
        m.term = from->append_entries_result.term;
        m.append_result.rejected_index = from->append_entries_result.rejected;
        /* libraft leaves it unset when it answers an older term's leader: no bytes of our stack */
        m.append_result.last_index = d->older_term ? 0 : from->append_entries_result.last_log_index;
        if (planted(ACK_AT_LAST_INDEX) && m.append_result.rejected_index == 0)
            m.append_result.last_index = entries_last(d->entries);
        m.append_result.features = from->append_entries_result.features;
        m.append_result.capacity = from->append_entries_result.capacity;
        break;
    case RAFT_REQUEST_VOTE:
        m.term = from->request_vote.term;
        m.vote.last_index = from->request_vote.last_log_index;
        m.vote.last_term = from->request_vote.last_log_term;
        m.vote.disrupt_leader = from->request_vote.disrupt_leader;
        m.vote.pre_vote = from->request_vote.pre_vote;
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        m.term = from->request_vote_result.term;
        m.vote_result.granted = from->request_vote_result.vote_granted;
        /* libraft says the asked term even if ours is later: then whoever has the longer log, and
         * is needed for a majority, would never come to a term that we can vote in */
        if (!m.vote_result.granted && m.term < d->term) m.term = d->term;
        m.vote_result.pre_vote = from->request_vote_result.pre_vote;
        m.vote_result.features = from->request_vote_result.features;
        m.vote_result.capacity = from->request_vote_result.capacity;
        break;
    case RAFT_TIMEOUT_NOW:
        m.term = from->timeout_now.term;
        m.timeout_now.last_index = from->timeout_now.last_log_index;
        m.timeout_now.last_term = from->timeout_now.last_log_term;
        break;
    default: return; /* images are moved by another way: the message is lost, as any may be */
    }
    d->config.ports.send(d->config.ports.data, &m);
}

/* ------------------------------------------------------------------ in: the check */

static bool entry_is_sound(const struct log_entry *entry)
{
    if (!log_type_is_known(entry->type)) return false;
    if (entry->data.size == 0 || entry->data.size > LOG_ENTRY_BYTES_MAX) return false;
    return entry->type != LOG_CHANGE || configuration_check(entry->data);
}

/* An entry that we know to be committed cannot be another one at a leader. */
static bool contradicts(const struct driver *d, uint64_t index, uint64_t term)
{
    uint64_t known = index <= d->commit_index ? driver_term_of(d, index) : 0;
    return known != 0 && known != term;
}

static int check_append(const struct driver *d, const struct message *m)
{
    const struct message_append *a = &m->append;
    if (a->count > MESSAGE_ENTRIES_MAX || (a->count > 0 && a->entries == NULL))
        return HF_EBADREQUEST;
    if (a->previous_index > UINT64_MAX / 2 || a->previous_term > m->term) return HF_EBADREQUEST;
    if ((a->previous_index == 0) != (a->previous_term == 0)) return HF_EBADREQUEST;
    if (m->term == d->term && d->raft.state == RAFT_LEADER) {
        return HF_EBADREQUEST; /* two leaders in one term */
    }
    bool stale = m->term < d->term; /* will be rejected by its term alone */
    if (!stale && a->previous_index > 0 && contradicts(d, a->previous_index, a->previous_term)) {
        return HF_EBADREQUEST;
    }
    uint64_t term = a->previous_term;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct log_entry *entry = &a->entries[i];
        if (entry->index != a->previous_index + 1 + i) return HF_EBADREQUEST;
        if (entry->term < term || entry->term == 0 || entry->term > m->term) return HF_EBADREQUEST;
        if (!entry_is_sound(entry)) return HF_EBADREQUEST;
        if (!stale && contradicts(d, entry->index, entry->term)) return HF_EBADREQUEST;
        term = entry->term;
    }
    bool full = d->entries->bytes > 2 * d->entries->bytes_max;
    return full && a->count > 0 ? HF_ETOOBUSY : HF_OK;
}

static int check(const struct driver *d, const struct message *m)
{
    if (m->peer == 0 || m->peer == d->config.id || m->term == 0) return HF_EBADREQUEST;
    if (m->term > d->term && m->term - d->term > DRIVER_TERM_JUMP_MAX) return HF_EBADREQUEST;
    switch (m->type) {
    case MESSAGE_APPEND: return check_append(d, m);
    case MESSAGE_APPEND_RESULT:
        /* to an earlier life of ours it may be true: that led this term and lost entries since */
        if (m->append_result.rejected_index == 0 && m->term == d->term &&
            d->raft.state == RAFT_LEADER &&
            m->append_result.last_index > entries_last(d->entries)) {
            return HF_EBADREQUEST;
        }
        return HF_OK;
    case MESSAGE_VOTE: return m->vote.last_term > m->term ? HF_EBADREQUEST : HF_OK;
    case MESSAGE_VOTE_RESULT:
    case MESSAGE_TIMEOUT_NOW: return HF_OK;
    default: return HF_EBADREQUEST; /* pings are not the driver's */
    }
}

/* ------------------------------------------------------------------ in: an append */

/* What is committed here stands in the leader's log as well: an append that begins below it is
 * anchored there. libraft would answer one below its mark so that the leader never sends again,
 * would take one anchored at 0 for new, and would take back its commit index for one that ends
 * below it. Not for a leader of an older term, which is rejected by its term alone. */
static struct message_append anchor_at_commit(const struct driver *d, const struct message *m)
{
    const struct message_append *a = &m->append;
    struct message_append anchored = *a;
    uint64_t anchor = d->commit_index;
    uint64_t term = driver_term_of(d, anchor);
    if (a->previous_index >= anchor || term == 0 || m->term < d->term) return anchored;
    HF_ASSERT(anchor >= d->raft.trail.snapshot.index);
    uint64_t drop = anchor - a->previous_index;
    anchored.previous_index = anchor;
    anchored.previous_term = term;
    anchored.count = a->count > drop ? a->count - (uint32_t)drop : 0;
    if (anchored.count > 0) anchored.entries = a->entries + drop;
    return anchored;
}

/* How many entries go into one step: up to the next configuration, which must be a step's first
 * entry, because libraft books every one at the index of the first. */
static uint32_t piece_count(const struct message_append *a, uint32_t from)
{
    uint32_t to = from + 1;
    while (to < a->count && a->entries[to].type != LOG_CHANGE) to += 1;
    return to - from;
}

/* One change at a time: if a configuration arrives behind one that we hold as uncommitted, and our
 * log agrees up to there, the older one is committed. libraft must know before it books the new
 * one, or a truncation of that would bring back the configuration before both. */
static int commit_older_change(struct driver *d, const struct message *m, uint64_t index,
                               uint64_t previous_term)
{
    uint64_t held = d->raft.configuration_uncommitted_index;
    if (held == 0 || held >= index || m->term < d->term) return HF_OK;
    if (entries_term(d->entries, index - 1) != previous_term) return HF_OK;
    HF_ASSERT(held == d->in_force.index);
    return driver_feed_committed(d, held, buffer_slice(&d->in_force.bytes));
}

/* The entries of one step, copied into one block that libraft may hand back or free. */
static void copy_piece(struct driver *d, const struct log_entry *entries, uint32_t count)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) bytes += entries[i].data.size;
    uint8_t *block = raft_malloc(bytes);
    uint8_t *at = block;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(at, entries[i].data.data, entries[i].data.size);
        d->pieces[i] = (struct raft_entry){
            .term = entries[i].term,
            .type = (enum raft_entry_type)entries[i].type,
            .buf = {.base = at, .len = entries[i].data.size},
            .batch = block,
        };
        at += entries[i].data.size;
    }
}

static int receive_piece(struct driver *d, const struct message *m, const struct message_append *a,
                         uint32_t from, uint32_t count)
{
    HF_ASSERT(count <= DRIVER_INFLIGHT_MAX);
    uint64_t previous_term = from == 0 ? a->previous_term : a->entries[from - 1].term;
    if (planted(CONFLICT_UNCHECKED) && entries_has(d->entries, a->previous_index + from))
        previous_term = entries_term(d->entries, a->previous_index + from);
    if (count > 0 && a->entries[from].type == LOG_CHANGE) {
        int rv = commit_older_change(d, m, a->entries[from].index, previous_term);
        if (rv != HF_OK) return rv;
    }
    if (count > 0) copy_piece(d, a->entries + from, count);
    struct raft_message received = {
        .type = RAFT_APPEND_ENTRIES,
        .server_id = m->peer,
        .server_address = m->address,
    };
    received.append_entries = (struct raft_append_entries){
        .term = m->term,
        .prev_log_index = a->previous_index + from,
        .prev_log_term = previous_term,
        .leader_commit = a->commit_index,
        .entries = count > 0 ? d->pieces : NULL,
        .n_entries = count,
    };
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = &received;
    d->fed_count = count;
    int rv = driver_step(d, &event, NULL);
    d->fed_count = 0;
    return rv == HF_OK ? driver_settle(d) : rv;
}

static int receive_append(struct driver *d, const struct message *m)
{
    struct message_append a = anchor_at_commit(d, m);
    uint32_t from = 0;
    do {
        uint32_t count = a.count > 0 ? piece_count(&a, from) : 0;
        int rv = receive_piece(d, m, &a, from, count);
        if (rv != HF_OK) return rv;
        from += count;
    } while (from < a.count);
    return HF_OK;
}

/* ------------------------------------------------------------------ in: the rest */

/* A rejection at or below what the peer is known to hold is an echo; libraft would take it for
 * news. */
static bool is_stale_rejection(const struct driver *d, const struct message *m)
{
    if (m->append_result.rejected_index == 0 || m->term != d->term) return false;
    if (d->raft.state != RAFT_LEADER) return false;
    raft_index match;
    int code = raft_match_index(&d->raft, m->peer, &match);
    return code == 0 && m->append_result.rejected_index <= match;
}

static void fill(const struct message *m, struct raft_message *r)
{
    switch (m->type) {
    case MESSAGE_APPEND_RESULT:
        r->append_entries_result = (struct raft_append_entries_result){
            .version = RESULT_VERSION,
            .term = m->term,
            .rejected = m->append_result.rejected_index,
            .last_log_index = m->append_result.last_index,
            .features = m->append_result.features,
            .capacity = m->append_result.capacity,
        };
        break;
    case MESSAGE_VOTE:
        r->request_vote = (struct raft_request_vote){
            .version = VOTE_VERSION,
            .term = m->term,
            .candidate_id = m->peer,
            .last_log_index = m->vote.last_index,
            .last_log_term = m->vote.last_term,
            .disrupt_leader = m->vote.disrupt_leader,
            .pre_vote = m->vote.pre_vote,
        };
        break;
    case MESSAGE_VOTE_RESULT:
        r->request_vote_result = (struct raft_request_vote_result){
            .version = VOTE_VERSION,
            .term = m->term,
            .vote_granted = m->vote_result.granted,
            .pre_vote = m->vote_result.pre_vote,
            .features = m->vote_result.features,
            .capacity = m->vote_result.capacity,
        };
        break;
    case MESSAGE_TIMEOUT_NOW:
        r->timeout_now = (struct raft_timeout_now){
            .term = m->term,
            .last_log_index = m->timeout_now.last_index,
            .last_log_term = m->timeout_now.last_term,
        };
        break;
    default: HF_UNREACHABLE();
    }
}

int driver_receive(struct driver *d, uint64_t now_ms, const struct message *m)
{
    HF_ASSERT(d->started);
    HF_ASSERT(m->address != NULL);
    d->now_ms = now_ms;
    d->older_term = m->term < d->term;
    if (d->fault != HF_OK) return d->fault;
    int rv = check(d, m);
    if (rv != HF_OK) return rv;
    if (m->type == MESSAGE_APPEND) return receive_append(d, m);
    if (m->type == MESSAGE_APPEND_RESULT && is_stale_rejection(d, m)) return HF_OK;
    /* libraft looks at a candidate's state before it looks whether it is one: a late answer to a
     * pre-vote, which names the next term, may then depose a leader. It has no use but for a
     * candidate. */
    if (m->type == MESSAGE_VOTE_RESULT && d->raft.state != RAFT_CANDIDATE) return HF_OK;
    /* there is nobody to hand over to a lone voter, which must open its terms itself */
    if (m->type == MESSAGE_TIMEOUT_NOW && d->lone_voter) return HF_OK;

    struct raft_message received = {
        .type = (enum raft_message_type)m->type,
        .server_id = m->peer,
        .server_address = m->address,
    };
    fill(m, &received);
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = &received;
    rv = driver_step(d, &event, NULL);
    return rv == HF_OK ? driver_settle(d) : rv;
}
