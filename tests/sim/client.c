/* See the header. */
#include "tests/sim/client.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/status.h"
#include "tests/sim/failure.h"
#include "tests/sim/sim.h"

enum {
    SERVERS_BYTES = 512,
    STEPS_MAX = 64, /* in one event: a client that does not come to rest is broken */
    CLOSE_MS = 5000,
    NS_PER_MS = 1000000,
    MARGIN_MS = 20,
    DRIFT_PPM = 10000,
};

static uint64_t true_now(const struct sim_client *c)
{
    return c->sim->trace.now_ns;
}

uint64_t client_now(const struct sim_client *c)
{
    return sim_clock_local(&c->clock, true_now(c));
}

static void draw(void *out, size_t bytes, void *data)
{
    struct sim_client *c = data;
    uint8_t *p = out;
    for (size_t i = 0; i < bytes; i++) p[i] = (uint8_t)(prng_next(&c->secrets) >> 56);
}

uint32_t client_task_count(const struct sim_client *c)
{
    return c->sim->swarm.task_count + (c->sim->calm ? 1 : 0);
}

void client_calm(struct sim_client *c)
{
    if (!c->alive) return;
    uint32_t last = client_task_count(c) - 1;
    task_init(&c->tasks[last], c, last);
    client_wake(c, true_now(c));
}

/* ------------------------------------------------------------------ lives */

void client_init(struct sim_client *c, struct sim *sim, uint32_t index)
{
    c->sim = sim;
    c->index = index;
    c->host = SIM_NODES_MAX + index;
    c->wake_ns = UINT64_MAX;
    prng_seed(&c->random, swarm_seed(sim->seed, PURPOSE_CLIENT, index));
    prng_seed(&c->secrets, swarm_seed(sim->seed, PURPOSE_SECRETS, index));
}

static void list_servers(const struct sim *sim, char *out, size_t bytes)
{
    size_t size = 0;
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        int more =
            snprintf(out + size, bytes - size, "%s%s", i > 0 ? "," : "", sim->nodes[i].address);
        HF_ASSERT(more > 0 && (size_t)more < bytes - size);
        size += (size_t)more;
    }
}

void client_start(struct sim_client *c)
{
    HF_ASSERT(!c->alive);
    char servers[SERVERS_BYTES];
    char name[16];
    const struct swarm *w = &c->sim->swarm;
    list_servers(c->sim, servers, sizeof servers);
    c->life++;
    snprintf(name, sizeof name, "c%u.%u", c->index + 1, (unsigned)(c->life % 10000));
    c->ttl_ms = w->ttl_ms_min + prng_below(&c->random, w->ttl_ms_max - w->ttl_ms_min + 1);
    struct core_config config = {
        .servers = servers,
        .name = slice_of(name),
        .ttl_ms = c->ttl_ms,
        .margin_ms = MARGIN_MS,
        .drift_ppm = DRIFT_PPM,
        .random_cb = draw,
        .random_data = c,
        .history = recording_sink(c->sim),
    };
    int rv = core_init(&c->core, &config);
    HF_ASSERT(rv == HF_OK);
    c->alive = true;
    c->paused = false;
    c->stream = NULL;
    c->epoch = 0;
    c->closing = 0;
    c->close_call = NULL;
    c->wake_ns = UINT64_MAX;
    for (uint32_t i = 0; i < client_task_count(c); i++) task_init(&c->tasks[i], c, i);
    network_host_up(&c->sim->network, c->host);
    trace_line(&c->sim->trace, 'c', c->index + 1, "starts", "ttl %" PRIu64, c->ttl_ms);
    client_wake(c, true_now(c));
}

void client_die(struct sim_client *c)
{
    HF_ASSERT(c->alive);
    trace_line(&c->sim->trace, 'c', c->index + 1, "ends", "%s", c->closing ? "closed" : "killed");
    checks_client_died(c);
    for (uint32_t i = 0; i < client_task_count(c); i++) task_drop(&c->tasks[i]);
    network_host_down(&c->sim->network, c->host, false);
    c->stream = NULL;
    core_close(&c->core);
    c->alive = false;
    c->paused = false;
    c->wake_ns = UINT64_MAX;
}

void client_close(struct sim_client *c)
{
    if (c->alive) client_die(c);
}

void client_pause(struct sim_client *c, bool paused)
{
    HF_ASSERT(c->alive);
    c->paused = paused;
    if (!paused) client_wake(c, true_now(c));
}

/* ------------------------------------------------------------------ the connection */

static void close_stream(struct sim_client *c)
{
    if (c->stream != NULL) network_close(&c->sim->network, c->stream, 0, false);
    c->stream = NULL;
}

static uint32_t find_server(const struct sim_client *c, const char *target)
{
    const struct sim *sim = c->sim;
    for (uint32_t i = 0; i < sim->swarm.node_count; i++) {
        if (strcmp(sim->nodes[i].address, target) == 0) return i;
    }
    sim_fail("client %u is sent to '%s'", c->index + 1, target);
}

/* Make the stream what the core wants, and send. \return true: something was done. */
static bool follow(struct sim_client *c)
{
    struct core *core = &c->core;
    if (c->epoch != core->link.epoch) {
        close_stream(c);
        c->epoch = core->link.epoch;
        if (core->link.state == LINK_CONNECTING)
            c->stream = network_dial(&c->sim->network, c->host, find_server(c, core_target(core)),
                                     STREAM_CLIENT, c);
        return true;
    }
    if (core->out.size == 0 || c->stream == NULL || !c->stream->ends[0].connected) return false;
    size_t sent = network_send(&c->sim->network, c->stream, 0, buffer_slice(&core->out));
    buffer_consume(&core->out, sent);
    if (sent == 0) return false;
    core_drained(core, client_now(c));
    return true;
}

void client_hang_up(struct sim_client *c, uint64_t late_ns)
{
    uint64_t *clog_ns = &c->sim->network.clog_ns[c->host];
    uint64_t before_ns = *clog_ns;
    if (c->core.link.state != LINK_READY || c->epoch != c->core.link.epoch) return;
    HF_ASSERT(c->stream != NULL);
    if (true_now(c) + late_ns > before_ns) *clog_ns = true_now(c) + late_ns;
    (void)follow(c);
    *clog_ns = before_ns;
    close_stream(c);
    core_disconnected(&c->core, c->epoch, client_now(c));
}

static void read_stream(struct sim_client *c)
{
    struct stream_end *e = network_next_ready(&c->sim->network, c->host);
    if (e == NULL) return;
    HF_ASSERT(e->stream == c->stream && e->which == 0);
    if (e->connected && c->core.link.state == LINK_CONNECTING && !e->ended)
        core_connected(&c->core, c->epoch, client_now(c));
    struct slice bytes = network_peek(&c->sim->network, c->stream, 0);
    if (bytes.size > 0) {
        core_received(&c->core, c->epoch, bytes, client_now(c));
        network_consume(&c->sim->network, c->stream, 0, bytes.size);
    }
    if (e->ended && c->stream->pipes[0].arrived == 0)
        core_disconnected(&c->core, c->epoch, client_now(c));
}

/* ------------------------------------------------------------------ steps */

static void close_session(struct sim_client *c)
{
    static const struct msg_empty nothing;
    c->closing = 2;
    c->core.closing = true;
    if (c->core.session.phase == SESSION_NONE ||
        core_call_new(&c->core, OP_CODE_CLOSE, &nothing, &c->close_call) != HF_OK) {
        c->closing = 3;
        return;
    }
    uint64_t now_ns = client_now(c);
    c->close_call->fate = FATE_REPEAT;
    core_submit(&c->core, c->close_call, now_ns + (uint64_t)CLOSE_MS * NS_PER_MS, now_ns);
}

/* Nothing was done, and nothing will be. */
static bool was_refused(const struct call *call)
{
    return status_kind(call->verdict) != STATUS_ANSWER && status_reply_class(call->verdict) == 1;
}

static bool take_finished(struct sim_client *c)
{
    struct call *call = core_take_finished(&c->core);
    if (call == NULL) return false;
    if (was_refused(call)) copier_refused(&c->sim->copier, c->core.session.id, call->seq);
    if (call == c->close_call) {
        core_detach(&c->core, call);
        c->closing = 3;
        return true;
    }
    HF_ASSERT(call->waiter != NULL);
    task_finished(call->waiter, call);
    return true;
}

static bool tell_loss(struct sim_client *c)
{
    struct grant_loss loss;
    if (!core_take_loss(&c->core, &loss)) return false;
    trace_line(&c->sim->trace, 'c', c->index + 1, "lost", "token %" PRIu64 "%s reason %d",
               loss.token, loss.locally ? " locally" : "", loss.reason);
    return true;
}

static bool tell_asked(struct sim_client *c)
{
    struct grant_asked asked;
    if (!core_take_asked(&c->core, &asked, client_now(c))) return false;
    trace_line(&c->sim->trace, 'c', c->index + 1, "asked back",
               "token %" PRIu64 " left %" PRIu64 " ms", asked.token, asked.left_ms);
    for (uint32_t i = 0; i < client_task_count(c); i++) task_asked(&c->tasks[i], asked.token);
    return true;
}

static bool run_tasks(struct sim_client *c)
{
    bool any = false;
    for (uint32_t i = 0; i < client_task_count(c); i++) {
        struct sim_task *t = &c->tasks[i];
        if (t->wake_ns > client_now(c) || c->closing != 0) continue;
        task_run(t);
        any = true;
    }
    if (c->closing == 1) close_session(c);
    return any;
}

static void step(struct sim_client *c)
{
    read_stream(c);
    for (unsigned i = 0; i < STEPS_MAX; i++) {
        bool any = c->core.wake_ns <= client_now(c);
        if (any) core_tick(&c->core, client_now(c));
        while (take_finished(c)) any = true;
        while (tell_loss(c)) any = true;
        while (tell_asked(c)) any = true;
        any = run_tasks(c) || any;
        any = follow(c) || any;
        for (uint32_t t = 0; t < client_task_count(c); t++) task_note_session(&c->tasks[t]);
        if (c->closing == 3) return;
        if (!any) return;
    }
    sim_fail("client %u does not come to rest", c->index + 1);
}

void client_wake(struct sim_client *c, uint64_t at_ns)
{
    if (!c->alive) return;
    if (at_ns < true_now(c)) at_ns = true_now(c);
    if (c->wake_ns <= at_ns) return;
    c->wake_ns = at_ns;
    struct event event = {.at_ns = at_ns, .kind = EVENT_CLIENT, .target = c->index};
    event.stamp = ++c->wake_stamp;
    events_push(&c->sim->events, event);
}

void client_event(struct sim_client *c, const struct event *event)
{
    if (!c->alive || event->stamp != c->wake_stamp || c->wake_ns != event->at_ns) return;
    c->wake_ns = UINT64_MAX;
    if (c->paused) return; /* client_pause() wakes it again */
    step(c);
    if (c->closing == 3) {
        client_die(c);
        sim_rebirth(c->sim, c->index, 0);
        return;
    }
    uint64_t wake_ns = c->core.wake_ns;
    for (uint32_t i = 0; i < client_task_count(c); i++) {
        if (c->tasks[i].wake_ns < wake_ns && c->closing == 0) wake_ns = c->tasks[i].wake_ns;
    }
    if (!list_empty(&c->sim->network.ready[c->host])) wake_ns = 0;
    client_wake(c, sim_clock_true(&c->clock, wake_ns));
}
