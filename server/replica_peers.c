/* The other servers: what comes from them and goes to them beside the client's requests.
 *
 * Most of it is the driver's: messages go through as they are. Pings are the replica's own. A
 * leader tells the time (so that a new leader begins where the old one was, not where its last
 * entry was), how much of the log everybody holds, and a number; the answer brings that number
 * back with the durable term of who answers. That confirms reads (server/rounds.h), tells who is
 * short of disk space, and whether all have the same state (server/digests.h).
 *
 * Failure modes: what breaks a rule closes its connection; a ping or its answer may be lost and is
 * sent again; a member whose incarnation is not the recorded one is refused in the handshake. */
#include <inttypes.h>

#include "base/buggify.h"
#include "base/log.h"
#include "base/planted.h"
#include "base/status.h"
#include "raft/configuration.h"
#include "raft/directory.h"
#include "server/replica_parts.h"

enum { IDLE_PINGS = 10, HAND_OVER_MS_MAX = 1000, RECHECK_MS = 1000 };

/* The servers of the latest configuration in the log, committed or not. */
static size_t read_members(const struct replica *r, struct configuration_server *servers)
{
    struct slice bytes = {0};
    (void)driver_configuration(r->driver, &bytes);
    return bytes.size > 0 ? configuration_decode(bytes, servers) : 0;
}

/* ------------------------------------------------------------------ messages in */

static struct member_state *member_of(struct replica *r, uint64_t id)
{
    struct member_state *free_place = NULL;
    for (unsigned i = 0; i < HF_ARRAY_COUNT(r->members); i++) {
        if (r->members[i].id == id) return &r->members[i];
        if (r->members[i].id == 0 && free_place == NULL) free_place = &r->members[i];
    }
    if (free_place != NULL) *free_place = (struct member_state){.id = id};
    return free_place;
}

/* Looked at when something was said, not for each request that wants to know. */
static void count_short(struct replica *r)
{
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    size_t count = read_members(r, servers);
    uint32_t voters = 0;
    uint32_t short_of_space = 0;
    for (size_t i = 0; i < count; i++) {
        if (servers[i].role != SERVER_VOTER) continue;
        voters += 1;
        for (unsigned k = 0; k < HF_ARRAY_COUNT(r->members); k++) {
            if (r->members[k].id == servers[i].id) short_of_space += r->members[k].space_short;
        }
    }
    r->members_short = short_of_space * 2 > voters;
}

/* Whatever this server would answer from now on may be wrong, and after a restart, too. */
static int diverge(struct replica *r, uint64_t index)
{
    int rv = directory_condemn(r->disk);
    log_error("this server's state is not the majority's: it stops, and will not start again",
              "index=%" PRIu64 " marked=%s", index, status_name(rv));
    return HF_EDIVERGED;
}

static int take_ping(struct replica *r, const struct message *m)
{
    uint64_t term = driver_term(r->driver);
    bool far = m->term > term && m->term - term > DRIVER_TERM_JUMP_MAX;
    if (far || m->ping.cluster_time_ms > TIME_MS_MAX) return HF_EBADREQUEST;
    bool trusted = m->term >= term || planted(PING_OF_OLDER_TERM);
    if (trusted) { /* of a leader that is not known to be deposed */
        bool newer = m->term > r->ping_term || m->ping.cluster_time_ms > r->ping_time_ms;
        if ((m->term >= r->ping_term || planted(PING_OF_OLDER_TERM)) && newer) {
            r->ping_term = m->term;
            r->ping_time_ms = m->ping.cluster_time_ms;
        }
        if (m->ping.held_index > r->held_index) r->held_index = m->ping.held_index;
    }
    enum digest_verdict verdict =
        digests_compare(&r->digests, m->ping.digest_index, m->ping.digest);
    if (verdict == DIGEST_OTHER && m->ping.digest_agreed && trusted)
        return diverge(r, m->ping.digest_index);
    struct message answer = {
        .type = MESSAGE_PONG,
        .peer = m->peer,
        .address = m->address,
        /* durable: the driver saves it before it goes on */
        .term = planted(PONG_ECHOES_TERM) ? m->term : term,
        .pong = {.nonce = m->ping.nonce,
                 .space_short = !replica_has_space(r),
                 .digest_index = m->ping.digest_index,
                 .digest = (uint8_t)verdict},
    };
    peers_send(r->peers, &answer);
    return HF_OK;
}

static int take_pong(struct replica *r, const struct message *m)
{
    struct member_state *member = member_of(r, m->peer);
    if (member != NULL && member->space_short != m->pong.space_short) {
        member->space_short = m->pong.space_short;
        count_short(r);
    }
    bool confirms = m->term == driver_term(r->driver) || planted(PONG_OF_ANY_TERM);
    if (!r->leads || !confirms) return HF_OK;
    struct slice configuration = {0};
    (void)driver_configuration(r->driver, &configuration);
    rounds_answer(&r->rounds, m->peer, m->pong.nonce);
    rounds_count(&r->rounds, configuration, r->vote.state.node_id);
    digests_answer(&r->digests, m->peer, m->pong.digest_index, m->pong.digest);
    if (digests_count(&r->digests, configuration, r->vote.state.node_id)) return HF_OK;
    return diverge(r, m->pong.digest_index);
}

/* Entries that there is no room for are left out: what remains is a heartbeat, so that the leader
 * is not taken for lost; it sends them again. */
static int take_message(struct replica *r, const struct message *m)
{
    struct message bare = *m;
    bool entries = m->type == MESSAGE_APPEND && m->append.count > 0;
    if (entries) {
        bare.append.count = 0;
        bare.append.entries = NULL;
    }
    if (entries && (!wal_has_room(r->wal) || HF_BUGGIFY(NO_ROOM))) {
        m = &bare;
        (void)replica_has_space(r); /* looks again: nobody else may, while no leader is ready */
    }
    int rv = driver_receive(r->driver, r->now.elapsed_ms, m);
    if (rv == HF_ETOOBUSY && entries) rv = driver_receive(r->driver, r->now.elapsed_ms, &bare);
    return rv;
}

static int receive(void *data, const struct message *m)
{
    struct replica *r = data;
    HF_ASSERT(m->peer != r->vote.state.node_id);
    if (m->type == MESSAGE_PING) return take_ping(r, m);
    if (m->type == MESSAGE_PONG) return take_pong(r, m);
    return take_message(r, m);
}

/* The incarnation that an entry of the log records of a member, if it does. */
static void look_for_member(struct slice data, uint64_t id, uint64_t *incarnation)
{
    struct entry_header header;
    struct entry_reader reader;
    struct entry_op op;
    struct msg_member member;
    if (entry_open(data, &header, &reader) != HF_OK) return; /* a fault, found again */
    while (entry_next(&reader, &op) == HF_OK) {
        if (op.op != OP_CODE_MEMBER) continue;
        if (codec_decode(&msg_member_type, op.body, NULL, &member) != HF_OK) return;
        if (member.id == id && *incarnation == 0) *incarnation = member.incarnation;
    }
}

/* What is recorded of a member, 0 = nothing. What was not applied yet counts, too: a server that
 * starts from an older state and took an emptied directory for the first one would give it a vote
 * that it may have given before. */
static int find_incarnation(const struct replica *r, uint64_t id, uint64_t *incarnation)
{
    int rv = machine_member(r->machine, id, incarnation);
    uint64_t last = entries_last(&r->entries);
    for (uint64_t i = r->applied_index + 1; rv == HF_OK && *incarnation == 0 && i <= last; i++) {
        if (!entries_has(&r->entries, i)) continue;
        struct log_entry entry = entries_get(&r->entries, i);
        if (entry.type == LOG_COMMAND) look_for_member(entry.data, id, incarnation);
    }
    return rv;
}

static bool admit(void *data, uint64_t peer, uint64_t incarnation)
{
    struct replica *r = data;
    uint64_t known = 0;
    if (find_incarnation(r, peer, &known) != HF_OK) return false; /* a fault, found again */
    return known == 0 || known == incarnation || planted(INCARNATION_UNCHECKED);
}

int replica_peer_input(struct replica *r, struct replica_now now, struct peer_in *in,
                       struct slice bytes)
{
    r->now = now;
    int rv = peers_input(r->peers, in, bytes, now.elapsed_ms);
    return rv == HF_OK ? replica_after_driver(r) : rv;
}

/* ------------------------------------------------------------------ messages out */

void replica_send(void *data, const struct message *message)
{
    struct replica *r = data;
    peers_send(r->peers, message);
}

static void ping_all(struct replica *r)
{
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    size_t count = read_members(r, servers);
    bool agreed = false;
    struct digest_mark mark = digests_offer(&r->digests, &agreed);
    struct message ping = {
        .type = MESSAGE_PING,
        .term = driver_term(r->driver),
        .ping = {.nonce = r->rounds.number,
                 .cluster_time_ms = r->clock.time_ms,
                 .held_index = replica_held_index(r),
                 .digest_index = mark.index,
                 .digest = mark.digest,
                 .digest_agreed = agreed},
    };
    for (size_t i = 0; i < count; i++) {
        if (servers[i].id == r->vote.state.node_id) continue;
        ping.peer = servers[i].id;
        ping.address = servers[i].address;
        peers_send(r->peers, &ping);
    }
    bool deadlines = machine_next_deadline_ms(r->machine) != UINT64_MAX;
    uint64_t period_ms = r->limits.ping_ms * (uint64_t)(deadlines ? 1 : IDLE_PINGS);
    if (r->rounds.under_way) period_ms = (r->limits.ping_ms + 1) / 2; /* it may be lost */
    r->ping_due_ms = r->now.elapsed_ms + period_ms;
}

/* ------------------------------------------------------------------ a leader's duties */

void replica_confirm_alone(struct replica *r)
{
    struct slice configuration = {0};
    (void)driver_configuration(r->driver, &configuration);
    if (r->alone && rounds_begin(&r->rounds))
        rounds_count(&r->rounds, configuration, r->vote.state.node_id);
}

/* Have an op proposed for each member of whom an incarnation is heard and none is recorded. */
static int record_members(struct replica *r)
{
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    size_t count = read_members(r, servers);
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        uint64_t known = 0;
        int rv = machine_member(r->machine, servers[i].id, &known);
        if (rv != HF_OK) return rv;
        if (known != 0) continue;
        all = false;
        struct msg_member member = {.id = servers[i].id};
        bool self = member.id == r->vote.state.node_id;
        member.incarnation =
            self ? r->vote.state.incarnation : peers_incarnation(r->peers, member.id);
        if (member.incarnation == 0) continue;
        buffer_clear(&r->answer);
        rv = codec_encode(&msg_member_type, &member, &r->answer);
        if (rv != HF_OK) return rv;
        if (replica_write_own(r, OP_CODE_MEMBER, buffer_slice(&r->answer)) != HF_OK)
            return HF_OK; /* no memory for it: at the next ping */
    }
    if (all) r->recorded_index = r->members_index;
    return HF_OK;
}

void replica_recheck_members(struct replica *r)
{
    if (r->alone || r->now.elapsed_ms - r->rechecked_ms < RECHECK_MS) return;
    r->rechecked_ms = r->now.elapsed_ms;
    peers_recheck(r->peers, r->now.elapsed_ms);
}

int replica_lead_members(struct replica *r)
{
    if (!r->leads || r->alone) return HF_OK;
    bool due = r->ping_due_ms <= r->now.elapsed_ms;
    if (rounds_begin(&r->rounds) || due) ping_all(r);
    if (!due || r->recorded_index == r->members_index) return HF_OK;
    return record_members(r);
}

uint64_t replica_members_when(const struct replica *r)
{
    uint64_t when_ms = peers_next_wake(r->peers);
    if (r->hand_over_until_ms != 0 && r->hand_over_until_ms < when_ms)
        when_ms = r->hand_over_until_ms;
    if (!r->leads || r->alone) return when_ms;
    return r->ping_due_ms < when_ms ? r->ping_due_ms : when_ms;
}

uint64_t replica_time_to_lead(const struct replica *r)
{
    uint64_t time_ms = machine_time_ms(r->machine);
    uint64_t start = driver_term_start(r->driver);
    HF_ASSERT(start > 0);
    bool trusted =
        r->ping_term >= driver_term_of(r->driver, start - 1) || planted(PING_OF_OLDER_TERM);
    return trusted && r->ping_time_ms > time_ms ? r->ping_time_ms : time_ms;
}

uint64_t replica_held_index(struct replica *r)
{
    if (driver_state(r->driver) != DRIVER_LEADER) return r->held_index;
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    size_t count = read_members(r, servers);
    uint64_t held = driver_commit_index(r->driver);
    for (size_t i = 0; i < count; i++) {
        uint64_t match = driver_match_index(r->driver, servers[i].id);
        if (match < held) held = match;
    }
    if (held > r->held_index) r->held_index = held; /* what is held once stays held */
    return r->held_index;
}

/* ------------------------------------------------------------------ who is there */

int replica_open_peers(struct replica *r, uint64_t seed)
{
    struct peers_config config = {
        .id = r->vote.state.node_id,
        .incarnation = r->vote.state.incarnation,
        .client_address = r->client_address,
        .wal = r->wal,
        .seed = seed,
        .ports = {.receive = receive, .admit = admit, .data = r},
    };
    memcpy(config.cluster_id, r->vote.state.cluster_id, sizeof config.cluster_id);
    rounds_init(&r->rounds, seed);
    return peers_new(&config, &r->peers);
}

void replica_follow_members(struct replica *r)
{
    struct slice bytes = {0};
    uint64_t index = driver_configuration(r->driver, &bytes);
    if (index == r->members_index || bytes.size == 0) return;
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    size_t count = configuration_decode(bytes, servers);
    peers_set_members(r->peers, servers, count, r->now.elapsed_ms);
    r->alone = count == 1 && servers[0].id == r->vote.state.node_id;
    r->members_index = index;
    replica_size_ring(r);
    count_short(r);
}

const char *replica_client_of(const struct replica *r, uint64_t id)
{
    if (id == r->vote.state.node_id) return r->client_address;
    return id != 0 ? peers_client_address(r->peers, id) : "";
}

struct peers *replica_peers(struct replica *r)
{
    return r->peers;
}

/* ------------------------------------------------------------------ leadership handed over */

/* A voter that holds the whole log. \return 0: none now; *any says whether one may come. */
static uint64_t find_successor(const struct replica *r, bool *any)
{
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    size_t count = read_members(r, servers);
    *any = false;
    for (size_t i = 0; i < count; i++) {
        uint64_t id = servers[i].id;
        if (id == r->vote.state.node_id || servers[i].role != SERVER_VOTER) continue;
        if (!peers_is_open(r->peers, id) || !peers_is_heard(r->peers, id)) continue;
        *any = true;
        if (driver_match_index(r->driver, id) == driver_last_index(r->driver)) return id;
    }
    return 0;
}

bool replica_hand_over(struct replica *r, struct replica_now now, int *status)
{
    *status = HF_OK;
    r->now = now;
    if (r->alone || driver_state(r->driver) != DRIVER_LEADER) return false;
    if (r->hand_over_until_ms == 0) r->hand_over_until_ms = now.elapsed_ms + HAND_OVER_MS_MAX;
    if (now.elapsed_ms >= r->hand_over_until_ms) return false;
    if (driver_is_handing_over(r->driver)) return true;
    bool any = false;
    uint64_t successor = find_successor(r, &any);
    if (successor == 0) return any;
    int rv = driver_hand_over(r->driver, now.elapsed_ms, successor);
    if (rv == HF_OK) rv = replica_after_driver(r);
    if (rv != HF_OK && status_kind(rv) == STATUS_FAULT) *status = rv;
    return rv == HF_OK || rv == HF_ETOOBUSY;
}
