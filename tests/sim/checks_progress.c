/* Claims that something comes in time, looked at twenty times a second.
 *
 * The cluster is well while one server leads and it and so many others that they are a majority are
 * up, not held up by any fault, and reach each other; not at once, but from a grace after that has
 * come about, for so long leases stand still. Then:
 *   - a dead client's session is over when the cluster has been well for its time-to-live and two
 *     seconds more since the death, and since the last request of its that came late (P4); time
 *     that a new leader did not hear of is not counted
 *   - no session is lost whose client was well, too, for its time-to-live and three seconds: it
 *     runs, and its connection to that leader is open and goes both ways, nothing on it much late
 * And a majority that is up and connected has a leader within some seconds. */
#include <inttypes.h>

#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum {
    MILLION = 1000000,
    SETTLE_MS = 500,
    DEAD_SLACK_MS = 2000,
    LOST_SLACK_MS = 3000,
    WAY_MS_MAX = 50,
    LEADER_MS_MAX = 5000,
    LEADER_ELECTIONS_MAX = 10
};

static const uint64_t MS = 1000000;

/* Nothing holds it up, and nothing has since the last look; it was not told to end. */
static bool is_well(const struct sim *sim, const struct sim_node *n)
{
    const struct network *net = &sim->network;
    uint64_t since_ns = sim->checks.progress.looked_ns;
    bool lags = net->lag_until_ns[n->index] + net->lag_ns[n->index] > since_ns;
    return !lags && n->state == NODE_UP && !n->anew && !n->paused && !stopping_begun(&n->stop) &&
           n->hurt_ns <= since_ns && n->disk.bytes_max == n->full_bytes_max &&
           !n->replica->paused && net->clog_ns[n->index] <= since_ns;
}

static bool reach(const struct sim *sim, uint32_t a, uint32_t b)
{
    const struct network *n = &sim->network;
    return (n->cut[a] >> b & 1) == 0 && (n->cut[b] >> a & 1) == 0;
}

/* ------------------------------------------------------------------ is the cluster well? */

static bool has_majority(const struct sim *sim, const struct sim_node *leader)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sim->swarm.voter_count; i++) {
        const struct sim_node *n = &sim->nodes[i];
        if (!is_well(sim, n)) continue;
        bool follows = reach(sim, leader->index, i) && peers_is_open(leader->replica->peers, i + 1);
        count += n == leader || follows;
    }
    return count * 2 > sim->swarm.voter_count;
}

static struct sim_node *find_leader(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        struct sim_node *n = &sim->nodes[i];
        if (is_well(sim, n) && n->replica->leads && has_majority(sim, n)) return n;
    }
    return NULL;
}

/* Another leader: what of the time it never heard of is the dead sessions' to live. */
static void change_leader(struct sim *sim, const struct sim_node *leader)
{
    struct checks_progress *p = &sim->checks.progress;
    uint64_t time_ms = leader->replica->clock.time_ms;
    for (uint32_t i = 0; i < p->dead_count && time_ms < p->time_ms; i++)
        p->dead[i].until_ns += (p->time_ms - time_ms) * MS;
    p->term = driver_term(leader->replica->driver);
    p->time_ms = time_ms;
}

/* \return the leader of a cluster that is well now and was at the last look; NULL: it is not. */
static struct sim_node *look_at_cluster(struct sim *sim)
{
    struct checks_progress *p = &sim->checks.progress;
    uint64_t now_ns = sim->trace.now_ns;
    struct sim_node *leader = find_leader(sim);
    bool same = leader != NULL && driver_term(leader->replica->driver) == p->term;
    if (leader != NULL && !same) change_leader(sim, leader);
    if (!same) {
        p->well_ns = now_ns + (uint64_t)sim->swarm.limits.grace_ms * MS * 9 / 8 + SETTLE_MS * MS;
        return NULL;
    }
    p->time_ms = leader->replica->clock.time_ms;
    if (p->well_ns > now_ns) return NULL;
    p->healthy_ns += now_ns - p->looked_ns;
    return leader;
}

/* ------------------------------------------------------------------ sessions */

/* So much of true time goes by at most while the leader counts `ms`. */
static uint64_t longest_ns(const struct sim *sim, uint64_t ms)
{
    uint64_t slowest = MILLION - (uint64_t)sim->swarm.rate_ppm_max;
    return ms * MILLION / slowest * MS + MS;
}

void checks_client_died(struct sim_client *c)
{
    struct sim *sim = c->sim;
    struct checks_progress *p = &sim->checks.progress;
    if (c->core.session.id == 0 || p->dead_count == CHECK_DEAD_MAX) return;
    uint64_t lease_ns = longest_ns(sim, c->ttl_ms) + DEAD_SLACK_MS * MS;
    p->dead[p->dead_count++] = (struct check_dead){
        .session = c->core.session.id,
        .lease_ns = lease_ns,
        .until_ns = p->healthy_ns + lease_ns,
    };
}

/* What a dead client had said comes late, or a copy of it: its session lives longer for that. */
void checks_session_asked(void *data, uint64_t session)
{
    struct sim *sim = data;
    struct checks_progress *p = &sim->checks.progress;
    for (uint32_t i = 0; i < p->dead_count; i++) {
        struct check_dead *d = &p->dead[i];
        if (d->session == session) d->until_ns = p->healthy_ns + d->lease_ns;
    }
}

static void look_at_dead(struct sim *sim)
{
    struct checks_progress *p = &sim->checks.progress;
    for (uint32_t i = p->dead_count; i > 0; i--) {
        struct check_dead *d = &p->dead[i - 1];
        bool alive = history_session_is_alive(&sim->history, d->session);
        if (alive && p->healthy_ns >= d->until_ns)
            sim_fail("session %" PRIu64 " lives on, though its client died and the cluster was "
                     "well for longer than its lease since then",
                     d->session);
        if (!alive) *d = p->dead[--p->dead_count];
    }
}

/* What was said on it last takes long on its way: leases may be shorter. */
static bool is_late(const struct sim *sim, const struct stream *s)
{
    uint64_t soon_ns = sim->trace.now_ns + WAY_MS_MAX * MS;
    return s->pipes[0].last_ns > soon_ns || s->pipes[1].last_ns > soon_ns;
}

static void look_at_client(struct sim *sim, const struct sim_node *leader, uint32_t index)
{
    const struct sim_client *c = &sim->clients[index];
    uint64_t *since_ns = &sim->checks.progress.client_since_ns[index];
    bool well = leader != NULL && c->alive && !c->paused && c->closing == 0 && c->stream != NULL &&
                c->core.link.state == LINK_READY && c->stream->ends[1].host == leader->index &&
                c->stream->ends[0].open && c->stream->ends[1].open &&
                reach(sim, c->host, leader->index) && !is_late(sim, c->stream) &&
                sim->network.clog_ns[c->host] <= sim->checks.progress.looked_ns;
    if (!well) {
        *since_ns = UINT64_MAX;
    } else if (*since_ns == UINT64_MAX) {
        *since_ns = sim->trace.now_ns;
    }
}

void checks_session_lost(const struct sim_client *c)
{
    const struct sim *sim = c->sim;
    uint64_t since_ns = sim->checks.progress.client_since_ns[c->index];
    uint64_t enough_ns = longest_ns(sim, c->ttl_ms) + LOST_SLACK_MS * MS;
    if (since_ns == UINT64_MAX || sim->trace.now_ns - since_ns < enough_ns) return;
    sim_fail("session %" PRIu64 " of client %u expired, though nothing has kept it from its leader "
             "for %" PRIu64 " ms",
             c->core.session.id, c->index + 1, (sim->trace.now_ns - since_ns) / MS);
}

/* ------------------------------------------------------------------ elections */

/* The voters that are well and all reach each other, if they are a majority; else 0. A bit each.
 */
static uint32_t find_majority(const struct sim *sim)
{
    uint32_t count = 0;
    uint32_t set = 0;
    for (uint32_t i = 0; i < sim->swarm.voter_count; i++) {
        if (!is_well(sim, &sim->nodes[i])) continue;
        for (uint32_t k = 0; k < i; k++) {
            if ((set >> k & 1) != 0 && !reach(sim, i, k)) return 0;
        }
        set |= (uint32_t)1 << i;
        count++;
    }
    return count * 2 > sim->swarm.voter_count ? set : 0;
}

static void look_for_leader(struct sim *sim)
{
    struct checks_progress *p = &sim->checks.progress;
    uint64_t now_ns = sim->trace.now_ns;
    uint32_t majority = find_majority(sim);
    bool leads = false;
    for (uint32_t i = 0; i < sim->swarm.node_count; i++)
        leads = leads || (sim->nodes[i].state == NODE_UP && sim->nodes[i].replica->leads);
    if (leads || majority == 0 || majority != p->majority) {
        p->majority = majority;
        p->majority_ns = now_ns;
        return;
    }
    uint64_t most_ms =
        LEADER_MS_MAX + (uint64_t)LEADER_ELECTIONS_MAX * sim->swarm.limits.election_ms;
    if (sim->swarm.ways.spike_ppm == 0 && now_ns - p->majority_ns > most_ms * MS)
        sim_fail("nobody leads, though a majority of the servers is up and connected for %" PRIu64
                 " ms",
                 (now_ns - p->majority_ns) / MS);
}

void checks_progress(struct sim *sim)
{
    const struct sim_node *leader = look_at_cluster(sim);
    look_at_dead(sim);
    for (uint32_t i = 0; i < sim->swarm.client_count; i++) look_at_client(sim, leader, i);
    look_for_leader(sim);
    sim->checks.progress.looked_ns = sim->trace.now_ns;
}
