/* See server/replica.h. Open and close, the driver's ports, passes, numbers.
 * Opening in order: vote file (is this directory ours?), log (is it whole, does it join the
 * store?), machine, driver. A store that stands ahead of its own log is refused: the log has lost
 * what it had acknowledged, and going on would hide that. */
#include "server/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/planted.h"
#include "base/status.h"
#include "raft/configuration.h"
#include "raft/directory.h"
#include "server/replica_parts.h"

enum { ARENA_BYTES = 256 * 1024, RING_BYTES_ALONE = 16 * 1024 * 1024 };

const struct replica_limits REPLICA_LIMITS_DEFAULT = {
    .batch_bytes_max = 256 * 1024,
    .batch_ops_max = ENTRY_OPS_MAX,
    .in_flight_max = 8,
    .keep_wait_ms = 20,
    .grace_ms = CLOCK_GRACE_MS_DEFAULT,
    .idle_entry_ms = 300000,
    .waiting_bytes_max = 4 * 1024 * 1024,
    .waiting_exempt_max = 16 * 1024 * 1024,
    .pending_max = 1024 * 1024,
    .reads_max = 4096,
    .pages_max = 4,
    .checkpoint_bytes = 16 * 1024 * 1024,
    .checkpoint_bytes_max = 64 * 1024 * 1024,
    .checkpoint_age_ms = 1000,
    .trail_bytes = 64 * 1024 * 1024,
    .trail_bytes_max = (uint64_t)8 * 1024 * 1024 * 1024,
    .election_ms = DRIVER_ELECTION_MS_DEFAULT,
    .heartbeat_ms = DRIVER_HEARTBEAT_MS_DEFAULT,
    .ping_ms = 100,
    .digest_every = 256,
    .reserve_percent = 5,
    .reserve_bytes_min = 64 * 1024 * 1024,
    .reserve_bytes_max = (uint64_t)4 * 1024 * 1024 * 1024,
};

/* ------------------------------------------------------------------ the driver's ports */

static int persist_term_vote(void *data, uint64_t term, uint64_t voted_for)
{
    struct replica *r = data;
    uint64_t durable = wal_durable_index(r->wal);
    uint64_t mark = r->applied_index < durable ? r->applied_index : durable;
    if (mark < r->vote.state.log_index_min) mark = r->vote.state.log_index_min;
    return vote_save(&r->vote, term, voted_for, mark);
}

static int append(void *data, const struct log_entry *entries, size_t count)
{
    struct replica *r = data;
    for (size_t i = 0; i < count; i++) {
        int rv = wal_append(r->wal, &entries[i]);
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

static int truncate_from(void *data, uint64_t index)
{
    struct replica *r = data;
    return wal_truncate(r->wal, index);
}

/* ------------------------------------------------------------------ open and close */

static int open_vote(struct replica *r, const struct replica_config *config, struct refusal *why)
{
    struct directory_expected expected = {
        .node_id = config->node_id,
        .knows_cluster = config->cluster_id != NULL,
    };
    if (config->cluster_id != NULL)
        memcpy(expected.cluster_id, config->cluster_id, sizeof expected.cluster_id);
    return directory_open(r->disk, &expected, &r->vote, why);
}

/* The newest file of the log, if it were taken away, would leave no gap behind: its number is kept
 * in the vote file, from before anything in it is told. One more sync for a whole segment. */
static int note_newest_segment(struct replica *r)
{
    uint64_t newest = wal_newest_segment(r->wal);
    HF_ASSERT(newest >= r->vote.state.log_segment_min);
    if (newest == r->vote.state.log_segment_min) return HF_OK;
    return vote_save_segment(&r->vote, newest);
}

/* Alone, nobody will ask for what the store holds already. */
static bool stands_alone(const struct store_mark *mark)
{
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    return mark->index > 0 && configuration_check(mark->configuration) &&
           configuration_decode(mark->configuration, servers) == 1;
}

static int open_log(struct replica *r, const struct replica_config *config, struct refusal *why)
{
    const struct store_mark *mark = store_mark(r->store);
    r->alone = stands_alone(mark);
    uint64_t trail = r->alone ? 0 : UINT64_MAX;
    struct wal_config wal_config = {
        .segment_bytes = config->segment_bytes,
        .segment_min = r->vote.state.log_segment_min,
        .may_create = false,
    };
    memcpy(wal_config.cluster_id, r->vote.state.cluster_id, WAL_CLUSTER_ID_BYTES);
    entries_init(&r->entries, mark->index + 1, ENTRIES_BYTES_MAX_DEFAULT);
    int rv = wal_open(r->disk, &wal_config, mark->index + 1, trail, &r->entries, &r->wal, why);
    if (rv != HF_OK) return rv;

    uint64_t last = wal_last_index(r->wal);
    if (last < mark->index)
        return refuse(
            why, HF_ECORRUPT,
            "the store stands at entry %llu, but the log ends at %llu: the log has lost "
            "what was acknowledged; restore the log's files, or this directory as a whole",
            (unsigned long long)mark->index, (unsigned long long)last);
    rv = directory_check_log(&r->vote, last, mark->index, why);
    if (rv != HF_OK) return rv;
    rv = note_newest_segment(r);
    if (rv != HF_OK) return refuse(why, rv, "The vote file cannot be written.");
    r->applied_index = mark->index;
    r->applied_term = mark->term;
    r->configuration_index = mark->configuration_index;
    r->checkpoint_index = mark->index;
    return buffer_append(&r->configuration, mark->configuration.data, mark->configuration.size);
}

static int open_machine(struct replica *r, struct refusal *why)
{
    int rv = machine_open(r->store, &r->machine);
    if (rv == HF_EVERSION)
        return refuse(why, rv, "the store was written by a later version of holdfast");
    if (rv != HF_OK) return refuse(why, rv, "the store does not open: %s", status_text(rv));
    return HF_OK;
}

/* The server's own address among the configuration's, as the driver wants to know it. */
static const char *own_address(const struct replica *r)
{
    static const char unknown[] = "-";
    struct slice bytes =
        r->configuration.size > 0 ? buffer_slice(&r->configuration) : (struct slice){0};
    uint64_t change = entries_last_change(&r->entries, entries_last(&r->entries));
    if (change != 0) bytes = entries_get(&r->entries, change).data;
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    if (!configuration_check(bytes)) return unknown;
    size_t count = configuration_decode(bytes, servers);
    for (size_t i = 0; i < count; i++) {
        if (servers[i].id == r->vote.state.node_id) return servers[i].address;
    }
    return unknown;
}

void replica_size_ring(struct replica *r)
{
    r->entries.bytes_max = r->alone ? RING_BYTES_ALONE : ENTRIES_BYTES_MAX_DEFAULT;
}

static int start_driver(struct replica *r, uint64_t seed, struct refusal *why)
{
    struct driver_config config = {
        .id = r->vote.state.node_id,
        .address = own_address(r),
        .seed = (uint32_t)(seed ^ (seed >> 32)),
        .election_ms = r->limits.election_ms,
        .heartbeat_ms = r->limits.heartbeat_ms,
        .entries = &r->entries,
        .ports = {.persist_term_vote = persist_term_vote,
                  .append = append,
                  .truncate = truncate_from,
                  .send = replica_send,
                  .apply = replica_apply,
                  .data = r},
    };
    int rv = driver_new(&config, &r->driver);
    if (rv != HF_OK)
        return refuse(why, rv, "the consensus core does not start: %s", status_text(rv));
    struct driver_mark mark = {
        .index = r->applied_index,
        .term = r->applied_term,
        .configuration_index = r->configuration_index,
        .configuration = buffer_slice(&r->configuration),
    };
    rv = driver_start(r->driver, r->now.elapsed_ms, r->vote.state.term, r->vote.state.voted_for,
                      &mark);
    if (rv != HF_OK)
        return refuse(why, rv, "vote file, log and store do not fit together: %s", status_text(rv));
    return HF_OK;
}

static int open_parts(struct replica *r, const struct replica_config *config, struct refusal *why)
{
    buffer_init(&r->answer, FRAME_BYTES_MAX - FRAME_HEADER_BYTES);
    buffer_init(&r->configuration, STORE_CONFIG_BYTES_MAX);
    batches_init(&r->batches, r->limits.batch_bytes_max, r->limits.batch_ops_max);
    int rv = pending_init(&r->pending, r->limits.pending_max);
    if (rv == HF_OK) rv = arena_init(&r->arena, ARENA_BYTES);
    if (rv != HF_OK) return refuse(why, rv, "out of memory");
    rv = open_vote(r, config, why);
    if (rv == HF_OK) rv = open_log(r, config, why);
    if (rv == HF_OK) rv = open_machine(r, why);
    if (rv == HF_OK) replica_check_space(r);
    if (rv == HF_OK && replica_open_peers(r, config->seed) != HF_OK)
        rv = refuse(why, HF_ENOMEM, "out of memory");
    if (rv == HF_OK) rv = start_driver(r, config->seed, why);
    if (rv == HF_OK) rv = replica_after_driver(r);
    return rv;
}

int replica_open(const struct replica_config *config, struct replica_now now,
                 struct replica **replica, struct refusal *why)
{
    HF_ASSERT(config->limits.in_flight_max >= 1);
    HF_ASSERT(strlen(config->client_address) < REPLICA_ADDRESS_BYTES);
    struct replica *r = calloc(1, sizeof *r);
    if (r == NULL) return refuse(why, HF_ENOMEM, "out of memory");
    r->disk = config->disk;
    r->store = config->store;
    r->ports = config->ports;
    r->limits = config->limits;
    r->segment_bytes = config->segment_bytes;
    r->now = now;
    list_init(&r->reads);
    list_init(&r->pages);
    list_init(&r->stale_pages);
    list_init(&r->seeking);
    snprintf(r->client_address, sizeof r->client_address, "%s", config->client_address);

    int rv = replica_polls_init(r);
    if (rv == HF_OK) rv = replica_watches_init(r);
    if (rv == HF_OK) rv = open_parts(r, config, why);
    if (rv != HF_OK) {
        replica_close(r);
        return rv;
    }
    *replica = r;
    return HF_OK;
}

void replica_close(struct replica *r)
{
    if (r == NULL) return;
    LIST_FOR_SAFE(link, &r->reads) free(HF_CONTAINER_OF(link, struct waiting_read, link));
    LIST_FOR_SAFE(link, &r->pages) free(HF_CONTAINER_OF(link, struct waiting_read, link));
    LIST_FOR_SAFE(link, &r->stale_pages) free(HF_CONTAINER_OF(link, struct waiting_read, link));
    replica_seeking_close(r);
    replica_polls_close(r);
    replica_watches_close(r);
    driver_free(r->driver);
    machine_close(r->machine);
    wal_close(r->wal); /* forgets the reads that the links wait for */
    peers_free(r->peers);
    entries_close(&r->entries);
    vote_close(&r->vote);
    batches_close(&r->batches);
    pending_close(&r->pending);
    buffer_close(&r->answer);
    buffer_close(&r->configuration);
    arena_close(&r->arena);
    free(r);
}

/* ------------------------------------------------------------------ passes */

static bool anything_under_way(const struct replica *r)
{
    return !list_empty(&r->batches.in_flight) || !list_empty(&r->batches.waiting);
}

/* A deadline is stored, or may be by what is under way: then the loop is due back in time. */
static bool deadlines_stored(const struct replica *r)
{
    return machine_next_deadline_ms(r->machine) != UINT64_MAX || anything_under_way(r);
}

/* The cluster's setting, or this server's own where nobody has set it. */
static void set_grace(struct replica *r)
{
    r->clock.grace_ms = (uint32_t)machine_setting(r->machine, SETTING_GRACE_MS, r->limits.grace_ms);
}

int replica_after_driver(struct replica *r)
{
    uint64_t term = driver_term(r->driver);
    bool leader = driver_state(r->driver) == DRIVER_LEADER;
    bool ready = leader && driver_is_ready(r->driver);
    if (r->leads && (!ready || term != r->lead_term)) {
        cluster_clock_stop(&r->clock);
        r->leads = false;
    }
    if (!leader || term != r->lead_term) {
        rounds_forget(&r->rounds);
        int rv = replica_disown(r);
        if (rv != HF_OK) return rv;
    }
    r->lead_term = term;
    replica_follow_members(r);
    if (ready && !r->leads) {
        uint64_t time_ms = replica_time_to_lead(r);
        set_grace(r);
        cluster_clock_start(&r->clock, r->now.elapsed_ms, time_ms, deadlines_stored(r));
        r->proposed_time_ms = time_ms;
        r->proposed_ms = r->now.elapsed_ms;
        r->ping_due_ms = r->now.elapsed_ms;
        digests_forget(&r->digests);
        r->leads = true;
        bool waited = r->read_count > 0 || r->watches.count > 0;
        if (waited) (void)rounds_join(&r->rounds); /* for those of an earlier term */
    }
    replica_confirm_alone(r);
    int rv = replica_tell_leader(r);
    return rv == HF_OK ? replica_serve_reads(r) : rv;
}

int replica_pass_end(struct replica *r, struct replica_now now)
{
    r->now = now;
    r->pages_left = r->limits.pages_max;
    peers_tick(r->peers, now.elapsed_ms);
    replica_recheck_members(r);
    if (driver_next_timeout(r->driver) <= now.elapsed_ms) {
        int rv = driver_tick(r->driver, now.elapsed_ms);
        if (rv != HF_OK) return rv;
        rv = replica_after_driver(r);
        if (rv != HF_OK) return rv;
    }
    set_grace(r);
    if (r->leads && cluster_clock_pass(&r->clock, now.elapsed_ms, deadlines_stored(r)))
        r->counts.stall_count++;
    int rv = replica_watches_end(r);
    if (rv == HF_OK) rv = replica_lead_members(r);
    if (rv == HF_OK) rv = replica_polls_pass(r);
    if (rv == HF_OK) rv = replica_propose(r);
    if (rv == HF_OK) rv = replica_after_driver(r);
    if (rv == HF_OK) rv = replica_watches_serve(r);
    if (rv == HF_OK) rv = replica_checkpoint(r, false);
    if (replica_space_when(r) <= now.elapsed_ms) (void)replica_has_space(r);
    return rv;
}

int replica_log_progress(struct replica *r, struct replica_now now)
{
    r->now = now;
    int rv = note_newest_segment(r);
    uint64_t durable = wal_durable_index(r->wal);
    if (planted(ACK_BEFORE_WRITTEN)) durable = wal_last_index(r->wal);
    if (rv == HF_OK) rv = driver_persisted(r->driver, now.elapsed_ms, durable);
    if (rv == HF_OK && r->paused && !replica_generations_full(r)) {
        r->paused = false;
        rv = driver_resume(r->driver, now.elapsed_ms);
    }
    return rv == HF_OK ? replica_after_driver(r) : rv;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t leader_wake(const struct replica *r)
{
    uint64_t wake_ms = UINT64_MAX;
    const struct batch *first = batches_first_waiting(&r->batches);
    if (first != NULL && r->batches.in_flight_count < r->limits.in_flight_max)
        wake_ms = first->opened_ms + r->limits.keep_wait_ms;
    if (deadlines_stored(r)) wake_ms = earlier(wake_ms, r->clock.pass_ms + CLOCK_WAKE_MS);

    uint64_t due_ms = machine_next_deadline_ms(r->machine);
    if (due_ms == UINT64_MAX || r->sweep_index != 0) return wake_ms;
    uint64_t when_ms = cluster_clock_when(&r->clock, due_ms);
    if (when_ms < r->clock.frozen_until_ms) when_ms = r->clock.frozen_until_ms;
    return earlier(wake_ms, when_ms);
}

/* A page could be served at once, but for this pass's share of them. */
static bool page_is_due(const struct replica *r)
{
    if (list_empty(&r->pages)) return false;
    const struct waiting_read *first = HF_CONTAINER_OF(r->pages.next, struct waiting_read, link);
    return first->index != 0 && first->index <= r->applied_index &&
           first->round <= r->rounds.confirmed;
}

uint64_t replica_next_wake(const struct replica *r)
{
    uint64_t wake_ms = driver_next_timeout(r->driver);
    wake_ms = earlier(wake_ms, replica_checkpoint_when(r));
    wake_ms = earlier(wake_ms, replica_space_when(r));
    wake_ms = earlier(wake_ms, replica_members_when(r));
    wake_ms = earlier(wake_ms, replica_seeking_when(r));
    wake_ms = earlier(wake_ms, replica_polls_when(r));
    wake_ms = earlier(wake_ms, replica_watches_when(r));
    if (!list_empty(&r->stale_pages)) return r->now.elapsed_ms;
    if (!r->leads) return wake_ms;
    if (page_is_due(r)) return r->now.elapsed_ms;
    uint64_t leader_ms = leader_wake(r);
    /* What was due in the last pass and did not go then is blocked: come back, but do not spin. */
    if (leader_ms <= r->clock.pass_ms) leader_ms = r->clock.pass_ms + 1;
    return earlier(wake_ms, leader_ms);
}

void replica_stop(struct replica *r)
{
    r->stopping = true;
}

bool replica_is_idle(const struct replica *r)
{
    return !anything_under_way(r) && r->read_count == 0;
}

/* ------------------------------------------------------------------ numbers */

struct wal *replica_wal(struct replica *r)
{
    return r->wal;
}

bool replica_is_ready(const struct replica *r)
{
    return r->leads ||
           (driver_state(r->driver) == DRIVER_FOLLOWER && driver_leader(r->driver) != 0);
}

bool replica_is_alone(const struct replica *r)
{
    return r->alone;
}

struct slice replica_overdue(const struct replica *r)
{
    return slice_make(r->overdue, r->overdue_bytes);
}

const struct replica_counts *replica_count(const struct replica *r)
{
    return &r->counts;
}

uint64_t replica_node_id(const struct replica *r)
{
    return r->vote.state.node_id;
}

const uint8_t *replica_cluster_id(const struct replica *r)
{
    return r->vote.state.cluster_id;
}

enum driver_state replica_role(const struct replica *r)
{
    return driver_state(r->driver);
}

uint64_t replica_leader(const struct replica *r)
{
    return driver_leader(r->driver);
}

uint64_t replica_term(const struct replica *r)
{
    return driver_term(r->driver);
}

static uint32_t fill_members(const struct replica *r, struct member *members)
{
    struct slice bytes = {0};
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    (void)driver_configuration(r->driver, &bytes);
    if (!configuration_check(bytes)) return 0;
    size_t count = configuration_decode(bytes, servers);
    HF_ASSERT(count <= CONFIGURATION_SERVERS_MAX);
    for (size_t i = 0; i < count; i++) {
        uint64_t id = servers[i].id;
        bool self = id == r->vote.state.node_id;
        members[i] = (struct member){
            .id = id,
            .peer = slice_of(servers[i].address),
            .client = slice_of(replica_client_of(r, id)),
            .role = servers[i].role == SERVER_VOTER     ? MEMBER_VOTER
                    : servers[i].role == SERVER_STANDBY ? MEMBER_STANDBY
                                                        : MEMBER_SPARE,
            .reachable = self || (peers_is_open(r->peers, id) && peers_is_heard(r->peers, id)),
        };
    }
    return (uint32_t)count;
}

int replica_status(struct replica *r, struct replica_now now, struct msg_status_reply *out,
                   struct member *members)
{
    _Static_assert((int)REPLICA_MEMBERS_MAX >= (int)CONFIGURATION_SERVERS_MAX, "all are shown");
    enum driver_state state = driver_state(r->driver);
    struct hash128 digest = store_digest(r->store);
    struct machine_counts counts;
    machine_count(r->machine, &counts);
    put_hash128(r->digest, digest);
    *out = (struct msg_status_reply){
        .node_id = r->vote.state.node_id,
        .role = state == DRIVER_LEADER      ? ROLE_LEADER
                : state == DRIVER_CANDIDATE ? ROLE_CANDIDATE
                                            : ROLE_FOLLOWER,
        .leader_id = driver_leader(r->driver),
        .leader_client = slice_of(replica_client_of(r, driver_leader(r->driver))),
        .term = driver_term(r->driver),
        .commit_index = driver_commit_index(r->driver),
        .applied_index = r->applied_index,
        .durable_index = wal_durable_index(r->wal),
        .cluster_time_ms = machine_time_ms(r->machine),
        .wall_ms = now.wall_ms,
        .cluster_id = slice_make(r->vote.state.cluster_id, CLUSTER_ID_BYTES),
        .digest = slice_make(r->digest, sizeof r->digest),
        .members = {.items = members, .count = fill_members(r, members)},
        .session_count = counts.session_count,
        .lock_count = counts.lock_count,
        .waiter_count = counts.waiter_count,
        .record_count = counts.record_count,
        .deadlock_unknown_count = counts.deadlock_unknown_count,
    };
    const char *shortage = replica_shortage(r);
    if (shortage != NULL) out->shortage = slice_of(shortage);
    return HF_OK;
}
