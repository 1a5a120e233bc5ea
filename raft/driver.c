/* The driver's core: one event in, what libraft asks for out, in the order that keeps Raft's
 * promises (raft/driver.h). Starting is in driver_start.c, messages are in driver_message.c. */
#include "raft/driver.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/planted.h"
#include "base/status.h"
#include "raft/configuration.h"
#include "raft/driver_private.h"

enum { APPEND_AT_ONCE = 64 };

static const uint8_t barrier_bytes[LOG_BARRIER_BYTES];

_Static_assert((int)LOG_COMMAND == (int)RAFT_COMMAND, "entry types are libraft's");
_Static_assert((int)LOG_BARRIER == (int)RAFT_BARRIER, "entry types are libraft's");
_Static_assert((int)LOG_CHANGE == (int)RAFT_CHANGE, "entry types are libraft's");
_Static_assert((int)DRIVER_FOLLOWER == (int)RAFT_FOLLOWER, "states are libraft's");
_Static_assert((int)DRIVER_CANDIDATE == (int)RAFT_CANDIDATE, "states are libraft's");
_Static_assert((int)DRIVER_LEADER == (int)RAFT_LEADER, "states are libraft's");

int driver_fault(struct driver *d, int status, const char *what)
{
    HF_ASSERT(status != HF_OK);
    if (d->fault == HF_OK) {
        d->fault = status;
        log_error("the consensus driver cannot go on",
                  "what=\"%s\" status=%s term=%" PRIu64 " last=%" PRIu64 " commit=%" PRIu64
                  " applied=%" PRIu64 " libraft=\"%s\"",
                  what, status_name(status), d->term, entries_last(d->entries), d->commit_index,
                  d->applied_index, raft_errmsg(&d->raft));
    }
    return d->fault;
}

/* ------------------------------------------------------------------ an update */

/* Term and vote are durable before anything that follows from them leaves. */
static int take_term_and_vote(struct driver *d)
{
    uint64_t term = raft_current_term(&d->raft);
    uint64_t voted_for = raft_voted_for(&d->raft);
    if (term == d->term && voted_for == d->voted_for) return HF_OK;
    if (term < d->term) return driver_fault(d, HF_EINTERNAL, "the term fell");
    int rv = HF_OK;
    if (voted_for != 0 || !planted(TERM_NOT_SAVED))
        rv = d->config.ports.persist_term_vote(d->config.ports.data, term, voted_for);
    if (rv != HF_OK) return driver_fault(d, rv, "term and vote could not be saved");
    d->changed |= term != d->term;
    d->term = term;
    d->voted_for = voted_for;
    return HF_OK;
}

static int truncate_log(struct driver *d, uint64_t index)
{
    if (index <= d->commit_index || index <= d->applied_index) {
        return driver_fault(d, HF_EINTERNAL, "libraft truncates what is committed");
    }
    int rv = d->config.ports.truncate(d->config.ports.data, index);
    if (rv != HF_OK) return driver_fault(d, rv, "the log could not be truncated");
    entries_truncate(d->entries, index);
    if (d->durable_index >= index) d->durable_index = index - 1;
    if (d->in_force.index >= index) {
        driver_configuration_set(&d->in_force, d->committed.index,
                                 buffer_slice(&d->committed.bytes));
        driver_count_voters(d);
    }
    return HF_OK;
}

/* Into memory first, then to the log: the slices that the log is given stay good for the call. */
static int append_log(struct driver *d, const struct raft_entry *batch, uint32_t count)
{
    struct log_entry chunk[APPEND_AT_ONCE];
    size_t waiting = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct log_entry entry = {
            .index = entries_last(d->entries) + 1,
            .term = batch[i].term,
            .type = (uint8_t)batch[i].type,
            .data = slice_make(batch[i].buf.base, batch[i].buf.len),
        };
        entries_append(d->entries, &entry);
        chunk[waiting++] = entries_get(d->entries, entry.index);
        if (entry.type == LOG_CHANGE) {
            driver_configuration_set(&d->in_force, entry.index, entry.data);
            driver_count_voters(d);
        }
        if (waiting < APPEND_AT_ONCE && i + 1 < count) continue;
        int rv = d->config.ports.append(d->config.ports.data, chunk, waiting);
        if (rv != HF_OK) return driver_fault(d, rv, "entries could not be queued for the log");
        waiting = 0;
    }
    return HF_OK;
}

static int take_entries(struct driver *d)
{
    uint64_t index = d->update.entries.index;
    struct raft_entry *batch = d->update.entries.batch;
    uint32_t count = d->update.entries.n;
    uint32_t fed = d->fed_count > 1 ? d->fed_count : 1; /* an election's barrier was not fed */
    if (count < 1 || count > fed || index <= d->applied_index ||
        index > entries_last(d->entries) + 1) {
        return driver_fault(d, HF_EINTERNAL, "libraft hands out entries that it was not given");
    }
    int rv = HF_OK;
    if (index <= entries_last(d->entries)) rv = truncate_log(d, index);
    return rv == HF_OK ? append_log(d, batch, count) : rv;
}

/* What a step hands out is ours from then on, also if the step ends in a fault. */
static void free_entries(struct driver *d)
{
    const struct raft_update *u = &d->update;
    bool any = (u->flags & (RAFT_UPDATE_ENTRIES)) != 0 && u->entries.n > 0;
    if (any && !d->borrowed) raft_free(u->entries.batch[0].batch);
}

/* Becoming leader with an entry of the new term means that libraft appended its barrier. */
static void take_state(struct driver *d)
{
    d->changed = true;
    d->term_start_index = 0;
    if (raft_state(&d->raft) != RAFT_LEADER) return;
    uint64_t last = entries_last(d->entries);
    if (entries_term(d->entries, last) == d->term) d->term_start_index = last;
}

static bool majority_holds(const struct driver *d, uint64_t index)
{
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    size_t count = configuration_decode(buffer_slice(&d->in_force.bytes), servers);
    uint32_t voters = 0;
    uint32_t yes = 0;
    for (size_t i = 0; i < count; i++) {
        if (servers[i].role != SERVER_VOTER) continue;
        voters += 1;
        yes += driver_match_index(d, servers[i].id) >= index;
    }
    return yes * 2 > voters;
}

static uint64_t commit_index(const struct driver *d)
{
    uint64_t index = raft_commit_index(&d->raft);
    if (!planted(OLD_TERMS_COUNTED)) return index;
    if (index < d->commit_index) index = d->commit_index; /* libraft has not heard of it */
    while (index < entries_last(d->entries) && majority_holds(d, index + 1)) index++;
    return index;
}

int driver_step(struct driver *d, struct raft_event *event, int *refused)
{
    if (d->fault != HF_OK) return d->fault;
    event->time = d->now_ms;
    event->capacity = 0; /* counts only with a threshold, which is never set */
    int code = raft_step(&d->raft, event, &d->update);
    if (refused != NULL) *refused = code;
    if (code != 0 && refused != NULL) return HF_OK;
    if (code != 0) return driver_fault(d, HF_EINTERNAL, raft_strerror(code));

    unsigned flags = d->update.flags;
    int rv = take_term_and_vote(d);
    if (rv == HF_OK && (flags & (RAFT_UPDATE_SNAPSHOT)) != 0)
        rv = driver_fault(d, HF_EINTERNAL, "libraft installs an image that it was not given");
    if (rv == HF_OK && (flags & (RAFT_UPDATE_ENTRIES)) != 0) rv = take_entries(d);
    free_entries(d);
    if (rv != HF_OK) return rv;
    if ((flags & (RAFT_UPDATE_STATE)) != 0) take_state(d);
    for (unsigned i = 0; i < d->update.messages.n; i++) {
        driver_send(d, &d->update.messages.batch[i]);
    }
    d->commit_index = commit_index(d);
    return HF_OK;
}

/* ------------------------------------------------------------------ after an update */

/* A submit into an idle pipe goes out at once: for that one step every peer's heartbeat is due, so
 * that one which missed a heartbeat, and is being probed, gets the entry now. */
static int submit(struct driver *d, uint8_t type, struct slice data, int *refused)
{
    struct raft_entry entry = {
        .term = raft_current_term(&d->raft),
        .type = (enum raft_entry_type)type,
        .buf = {.base = (void *)(uintptr_t)data.data, .len = data.size},
        .batch = (void *)(uintptr_t)data.data, /* libraft only hands it back */
    };
    struct raft_event event = {.type = RAFT_SUBMIT};
    event.submit.entries = &entry;
    event.submit.n = 1;
    bool idle = d->commit_index == entries_last(d->entries);
    if (idle) raft_set_heartbeat_timeout(&d->raft, 0);
    d->fed_count = 1;
    d->borrowed = true;
    int rv = driver_step(d, &event, refused);
    d->borrowed = false;
    d->fed_count = 0;
    if (idle) raft_set_heartbeat_timeout(&d->raft, d->config.heartbeat_ms);
    return rv;
}

static int open_term(struct driver *d)
{
    if (raft_state(&d->raft) != RAFT_LEADER || d->term_start_index != 0) return HF_OK;
    uint64_t index = entries_last(d->entries) + 1;
    int rv = submit(d, LOG_BARRIER, slice_make(barrier_bytes, sizeof barrier_bytes), NULL);
    if (rv == HF_OK) d->term_start_index = index;
    return rv;
}

int driver_feed_committed(struct driver *d, uint64_t index, struct slice bytes)
{
    struct raft_event event = {.type = RAFT_CONFIGURATION};
    event.configuration.index = index;
    driver_configuration_decode(bytes, &event.configuration.conf);
    if (index > d->committed.index) driver_configuration_set(&d->committed, index, bytes);
    return driver_step(d, &event, NULL);
}

static int apply_committed(struct driver *d)
{
    uint64_t last = d->commit_index;
    if (planted(APPLIED_BEFORE_COMMIT) && raft_state(&d->raft) == RAFT_LEADER)
        last = d->durable_index;
    while (d->applied_index < last) {
        uint64_t index = d->applied_index + 1;
        if (!entries_has(d->entries, index)) {
            return driver_fault(d, HF_EINTERNAL, "a committed entry is not in memory");
        }
        struct log_entry entry = entries_get(d->entries, index);
        int rv = d->config.ports.apply(d->config.ports.data, &entry);
        if (rv == HF_ETOOBUSY) break;
        if (rv != HF_OK) return driver_fault(d, rv, "an entry could not be applied");
        d->applied_index = index;
        if (entry.type != LOG_CHANGE) continue;
        rv = driver_feed_committed(d, index, entry.data);
        if (rv != HF_OK) return rv;
    }
    uint64_t floor = d->applied_index < d->durable_index ? d->applied_index : d->durable_index;
    entries_trim(d->entries, floor);
    return HF_OK;
}

/* libraft's account of the log and ours are the same, or one of the two is wrong. */
static int compare_accounts(struct driver *d)
{
    struct raft *r = &d->raft;
    if (raft_last_index(r) != entries_last(d->entries)) {
        return driver_fault(d, HF_EINTERNAL, "libraft's last index differs");
    }
    if (r->last_stored != d->durable_index) {
        return driver_fault(d, HF_EINTERNAL, "libraft's last stored index differs");
    }
    if (r->snapshot.installing) {
        return driver_fault(d, HF_EINTERNAL, "libraft believes that an image is installed");
    }
    uint64_t index = r->configuration_uncommitted_index != 0 ? r->configuration_uncommitted_index
                                                             : r->configuration_committed_index;
    if (index != d->in_force.index) {
        return driver_fault(d, HF_EINTERNAL, "libraft's configuration is another entry's");
    }
    if (d->commit_index > entries_last(d->entries)) {
        return driver_fault(d, HF_EINTERNAL, "more is committed than there is");
    }
    return HF_OK;
}

int driver_settle(struct driver *d)
{
    int rv = d->fault;
    if (rv == HF_OK) rv = open_term(d);
    if (rv == HF_OK) rv = apply_committed(d);
    if (rv == HF_OK) rv = open_term(d); /* a configuration may have made it leader */
    if (rv == HF_OK) rv = compare_accounts(d);
    if (d->changed && d->config.ports.changed != NULL) {
        d->changed = false;
        d->config.ports.changed(d->config.ports.data);
    }
    return rv;
}

/* ------------------------------------------------------------------ calls */

int driver_submit(struct driver *d, uint64_t now_ms, struct slice data, uint64_t *index)
{
    HF_ASSERT(d->started);
    HF_ASSERT(data.size >= 1 && data.data != NULL);
    d->now_ms = now_ms;
    if (data.size > LOG_ENTRY_BYTES_MAX) return HF_ETOOLARGE;
    if (d->fault != HF_OK) return d->fault;
    if (raft_state(&d->raft) != RAFT_LEADER) return HF_ENOTLEADER;
    if (d->entries->bytes + data.size > d->entries->bytes_max) {
        uint64_t floor = d->applied_index < d->durable_index ? d->applied_index : d->durable_index;
        entries_trim(d->entries, floor);
        if (d->entries->bytes > d->entries->bytes_max) return HF_ETOOBUSY;
    }
    int refused;
    int rv = submit(d, LOG_COMMAND, data, &refused);
    if (rv != HF_OK) return rv;
    if (refused == RAFT_NOTLEADER) return HF_ENOTLEADER;
    if (refused != 0) return driver_fault(d, HF_EINTERNAL, raft_strerror(refused));
    *index = entries_last(d->entries);
    return driver_settle(d);
}

int driver_persisted(struct driver *d, uint64_t now_ms, uint64_t index)
{
    HF_ASSERT(d->started);
    HF_ASSERT(index <= entries_last(d->entries));
    d->now_ms = now_ms;
    if (index <= d->durable_index) return d->fault;
    struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES};
    event.persisted_entries.index = index;
    d->durable_index = index;
    int rv = driver_step(d, &event, NULL);
    return rv == HF_OK ? driver_settle(d) : rv;
}

int driver_tick(struct driver *d, uint64_t now_ms)
{
    HF_ASSERT(d->started);
    d->now_ms = now_ms;
    if (d->fault != HF_OK) return d->fault;
    if (now_ms < raft_timeout(&d->raft)) return HF_OK;
    int rv = driver_open_lone_term(d);
    if (rv != HF_OK) return rv;
    struct raft_event event = {.type = RAFT_TIMEOUT};
    rv = driver_step(d, &event, NULL);
    return rv == HF_OK ? driver_settle(d) : rv;
}

uint64_t driver_next_timeout(const struct driver *d)
{
    /* Nobody to send to, nobody to hear from: an idle server alone must sleep. */
    if (d->lone_voter && d->raft.configuration.n == 1 && driver_state(d) == DRIVER_LEADER)
        return UINT64_MAX;
    return raft_timeout(&d->raft);
}

/* libraft would ask at the first answer that brings the peer on, whether or not it covers the log,
 * and the peer then does nothing (docs/decisions.md): so only a peer that has everything is named.
 */
int driver_hand_over(struct driver *d, uint64_t now_ms, uint64_t id)
{
    HF_ASSERT(d->started);
    HF_ASSERT(id != 0);
    d->now_ms = now_ms;
    if (d->fault != HF_OK) return d->fault;
    if (raft_state(&d->raft) != RAFT_LEADER) return HF_ENOTLEADER;
    if (driver_is_handing_over(d)) return HF_ETOOBUSY;
    if (driver_match_index(d, id) != entries_last(d->entries)) return HF_ETOOBUSY;
    struct raft_event event = {.type = RAFT_TRANSFER};
    event.transfer.server_id = id;
    int refused;
    int rv = driver_step(d, &event, &refused);
    if (rv != HF_OK) return rv;
    if (refused != 0) return refused == RAFT_NOTLEADER ? HF_ENOTLEADER : HF_EINVAL;
    return driver_settle(d);
}

bool driver_is_handing_over(const struct driver *d)
{
    return d->raft.state == RAFT_LEADER && raft_transferee(&d->raft) != 0;
}

uint64_t driver_match_index(const struct driver *d, uint64_t id)
{
    raft_index match = 0;
    if (d->raft.state != RAFT_LEADER) return 0;
    if (id == d->config.id) return d->durable_index;
    return raft_match_index(&d->raft, id, &match) == 0 ? match : 0;
}

int driver_resume(struct driver *d, uint64_t now_ms)
{
    HF_ASSERT(d->started);
    d->now_ms = now_ms;
    return driver_settle(d);
}

int driver_compact(struct driver *d, uint64_t now_ms, const struct driver_mark *mark,
                   uint32_t trailing)
{
    HF_ASSERT(d->started);
    HF_ASSERT(mark->index <= d->applied_index);
    d->now_ms = now_ms;
    if (mark->index <= d->mark_index || d->fault != HF_OK) return d->fault;
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    event.snapshot.metadata.index = mark->index;
    event.snapshot.metadata.term = mark->term;
    event.snapshot.metadata.configuration_index = mark->configuration_index;
    driver_configuration_decode(mark->configuration, &event.snapshot.metadata.configuration);
    event.snapshot.trailing = trailing;
    d->mark_index = mark->index;
    d->mark_term = mark->term;
    int rv = driver_step(d, &event, NULL);
    return rv == HF_OK ? driver_settle(d) : rv;
}

/* ------------------------------------------------------------------ questions */

enum driver_state driver_state(const struct driver *d)
{
    return (enum driver_state)d->raft.state;
}

bool driver_is_ready(const struct driver *d)
{
    bool committed = d->applied_index >= d->term_start_index || planted(READY_BEFORE_OWN_ENTRY);
    return driver_state(d) == DRIVER_LEADER && d->term_start_index != 0 && committed &&
           d->fault == HF_OK;
}

uint64_t driver_term_start(const struct driver *d)
{
    return d->term_start_index;
}

uint64_t driver_leader(const struct driver *d)
{
    if (d->raft.state == RAFT_LEADER) return d->config.id;
    return d->raft.state == RAFT_FOLLOWER ? d->raft.follower_state.current_leader.id : 0;
}

uint64_t driver_term(const struct driver *d)
{
    return d->term;
}

uint64_t driver_commit_index(const struct driver *d)
{
    return d->commit_index;
}

uint64_t driver_applied_index(const struct driver *d)
{
    return d->applied_index;
}

uint64_t driver_last_index(const struct driver *d)
{
    return entries_last(d->entries);
}

uint64_t driver_term_of(const struct driver *d, uint64_t index)
{
    uint64_t term = entries_term(d->entries, index);
    if (term == 0 && index == d->mark_index) term = d->mark_term;
    return term;
}

uint64_t driver_configuration(const struct driver *d, struct slice *bytes)
{
    *bytes = buffer_slice(&d->in_force.bytes);
    return d->in_force.index;
}
