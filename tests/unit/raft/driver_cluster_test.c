/* Three drivers on links that lose messages and disks that lose what was not synced: they agree on
 * every applied entry, elect at most one leader a term, and go on once the faults end. Virtual
 * time in steps of a millisecond; a seed gives the same run. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/prng.h"
#include "base/status.h"
#include "raft/configuration.h"
#include "raft/driver.h"
#include "tests/unit/cmocka_all.h"

enum { NODES = 3, LINK_MAX = 512, INDEX_MAX = 30000, WRITES_MAX = 4096, TERM_MAX = 5000 };

struct kept {
    uint64_t term;
    uint64_t value;
    uint8_t type;
};

struct write {
    uint64_t due_ms;
    uint64_t last; /* entries up to here become durable; lowered by a truncation */
};

struct envelope {
    uint64_t due_ms;
    struct message message;
    struct log_entry *entries;
    uint8_t *bytes;
};

struct link {
    struct envelope queue[LINK_MAX];
    unsigned head, count;
    bool cut;
};

struct cluster;

struct node {
    struct cluster *cluster;
    unsigned id;
    bool up;
    uint64_t back_ms;
    struct driver *driver;
    struct entries entries;
    struct kept log[INDEX_MAX]; /* as written; up to `durable` it survives */
    uint64_t last, durable;
    struct write writes[WRITES_MAX];
    unsigned write_head, write_count;
    uint64_t term, vote; /* durable */
    uint64_t applied;
    uint64_t agreed; /* durable and once applied: nobody will ever need to send it again */
};

struct cluster {
    struct node nodes[NODES + 1];
    struct link links[NODES + 1][NODES + 1];
    struct prng random;
    uint64_t now_ms;
    bool calm; /* no faults */
    struct slice configuration;
    struct buffer configuration_bytes;
    struct kept truth[INDEX_MAX]; /* what was applied, by index */
    uint64_t truth_last;
    unsigned leader_of[TERM_MAX];
    unsigned crashes, elections, submitted;
};

static uint64_t value_of(const struct log_entry *entry)
{
    return entry->type == LOG_CHANGE ? entry->data.size : get_u64(entry->data.data);
}

/* ------------------------------------------------------------------ ports */

static int persist(void *data, uint64_t term, uint64_t vote)
{
    struct node *n = data;
    assert_true(term > n->term || (term == n->term && (n->vote == 0 || n->vote == vote)));
    n->term = term;
    n->vote = vote;
    return HF_OK;
}

static int append(void *data, const struct log_entry *entries, size_t count)
{
    struct node *n = data;
    for (size_t i = 0; i < count; i++) {
        assert_true(entries[i].index == n->last + 1 && n->last + 1 < INDEX_MAX);
        n->last += 1;
        n->log[n->last] = (struct kept){entries[i].term, value_of(&entries[i]), entries[i].type};
    }
    assert_true(n->write_count < WRITES_MAX);
    struct write *w = &n->writes[(n->write_head + n->write_count++) % WRITES_MAX];
    *w = (struct write){n->cluster->now_ms + 1 + prng_below(&n->cluster->random, 6), n->last};
    return HF_OK;
}

static int truncate_log(void *data, uint64_t index)
{
    struct node *n = data;
    assert_true(index > n->applied && index <= n->last);
    n->last = index - 1;
    if (n->durable > n->last) n->durable = n->last;
    for (unsigned i = 0; i < n->write_count; i++) {
        struct write *w = &n->writes[(n->write_head + i) % WRITES_MAX];
        if (w->last > n->last) w->last = n->last;
    }
    return HF_OK;
}

static void send_message(void *data, const struct message *m)
{
    struct node *n = data;
    struct cluster *c = n->cluster;
    struct link *l = &c->links[n->id][m->peer];
    if (l->cut || l->count == LINK_MAX) return;
    if (!c->calm && prng_below(&c->random, 100) < 3) return;
    struct envelope *e = &l->queue[(l->head + l->count) % LINK_MAX];
    *e = (struct envelope){.due_ms = c->now_ms + 1 + prng_below(&c->random, 8), .message = *m};
    e->message.peer = n->id;
    e->message.address = n->id == 1 ? "n1" : n->id == 2 ? "n2" : "n3";
    l->count += 1;
    if (m->type != MESSAGE_APPEND || m->append.count == 0) return;
    assert_non_null(m->append.entries);
    size_t bytes = 0;
    for (uint32_t i = 0; i < m->append.count; i++) bytes += m->append.entries[i].data.size;
    e->entries = calloc(m->append.count, sizeof *e->entries);
    e->bytes = malloc(bytes);
    uint8_t *at = e->bytes;
    for (uint32_t i = 0; i < m->append.count; i++) {
        e->entries[i] = m->append.entries[i];
        memcpy(at, e->entries[i].data.data, e->entries[i].data.size);
        e->entries[i].data.data = at;
        at += e->entries[i].data.size;
    }
    e->message.append.entries = e->entries;
}

static int apply(void *data, const struct log_entry *entry)
{
    struct node *n = data;
    struct cluster *c = n->cluster;
    assert_true(entry->index == n->applied + 1);
    struct kept kept = {entry->term, value_of(entry), entry->type};
    if (entry->index > c->truth_last) {
        assert_true(entry->index == c->truth_last + 1);
        c->truth[entry->index] = kept;
        c->truth_last = entry->index;
    }
    const struct kept *truth = &c->truth[entry->index];
    assert_true(truth->term == kept.term && truth->value == kept.value);
    assert_true(truth->type == kept.type);
    n->applied = entry->index;
    return HF_OK;
}

/* ------------------------------------------------------------------ nodes */

static void boot(struct cluster *c, unsigned id)
{
    struct node *n = &c->nodes[id];
    n->cluster = c;
    n->id = id;
    n->last = n->durable;
    n->write_count = 0;
    n->applied = 0;
    n->up = true;
    entries_init(&n->entries, 1, 1 << 28);
    for (uint64_t i = 1; i <= n->last; i++) {
        uint8_t bytes[8];
        put_u64(bytes, n->log[i].value);
        struct log_entry e = {i, n->log[i].term, n->log[i].type, {bytes, sizeof bytes}};
        if (e.type == LOG_CHANGE) e.data = c->configuration;
        entries_append(&n->entries, &e);
    }
    struct driver_config config = {
        .id = id,
        .address = id == 1   ? "n1"
                   : id == 2 ? "n2"
                             : "n3",
        .seed = (uint32_t)prng_next(&c->random),
        .election_ms = DRIVER_ELECTION_MS_DEFAULT,
        .heartbeat_ms = DRIVER_HEARTBEAT_MS_DEFAULT,
        .entries = &n->entries,
        .ports = {persist, append, truncate_log, send_message, apply, NULL, n},
    };
    assert_int_equal(driver_new(&config, &n->driver), HF_OK);
    struct driver_mark none = {0};
    assert_int_equal(driver_start(n->driver, c->now_ms, n->term, n->vote, &none), HF_OK);
}

static void drop(struct envelope *e)
{
    free(e->entries);
    free(e->bytes);
    *e = (struct envelope){0};
}

static void crash(struct cluster *c, unsigned id)
{
    struct node *n = &c->nodes[id];
    if (!n->up) return;
    c->crashes += 1;
    driver_free(n->driver);
    entries_close(&n->entries);
    n->up = false;
    n->back_ms = c->now_ms + 50 + prng_below(&c->random, 1500);
    for (unsigned k = 1; k <= NODES; k++) {
        struct link *l = &c->links[id][k]; /* what it had sent is lost with its connections */
        for (; l->count > 0; l->count -= 1, l->head = (l->head + 1) % LINK_MAX) {
            drop(&l->queue[l->head]);
        }
    }
}

static unsigned leader(struct cluster *c)
{
    unsigned best = 0;
    for (unsigned i = 1; i <= NODES; i++) {
        struct node *n = &c->nodes[i];
        if (!n->up || driver_state(n->driver) != DRIVER_LEADER) continue;
        uint64_t term = driver_term(n->driver);
        assert_true(term < TERM_MAX);
        if (c->leader_of[term] == 0) c->elections += 1;
        assert_true(c->leader_of[term] == 0 || c->leader_of[term] == i);
        c->leader_of[term] = i;
        if (best == 0 || term > driver_term(c->nodes[best].driver)) best = i;
    }
    return best;
}

static void deliver(struct cluster *c, struct link *l, struct node *to)
{
    while (l->count > 0 && l->queue[l->head].due_ms <= c->now_ms) {
        struct envelope e = l->queue[l->head];
        l->head = (l->head + 1) % LINK_MAX;
        l->count -= 1;
        if (to->up) assert_int_equal(driver_receive(to->driver, c->now_ms, &e.message), HF_OK);
        drop(&e);
    }
}

static void step_node(struct cluster *c, struct node *n)
{
    if (!n->up) {
        if (c->now_ms >= n->back_ms) boot(c, n->id);
        return;
    }
    while (n->write_count > 0 && n->writes[n->write_head].due_ms <= c->now_ms) {
        uint64_t last = n->writes[n->write_head].last;
        n->write_head = (n->write_head + 1) % WRITES_MAX;
        n->write_count -= 1;
        if (last > n->durable) n->durable = last;
        assert_int_equal(driver_persisted(n->driver, c->now_ms, n->durable), HF_OK);
    }
    for (unsigned k = 1; k <= NODES; k++) deliver(c, &c->links[k][n->id], n);
    if (c->now_ms >= driver_next_timeout(n->driver)) {
        assert_int_equal(driver_tick(n->driver, c->now_ms), HF_OK);
    }
}

static void step_faults(struct cluster *c)
{
    uint64_t dice = prng_below(&c->random, 4000);
    if (dice < 5) crash(c, 1 + (unsigned)prng_below(&c->random, NODES));
    if (dice >= 5 && dice < 10) {
        unsigned one = 1 + (unsigned)prng_below(&c->random, NODES);
        for (unsigned k = 1; k <= NODES; k++) c->links[one][k].cut = c->links[k][one].cut = true;
    }
    if (dice >= 10 && dice < 30) {
        for (unsigned i = 1; i <= NODES; i++) {
            for (unsigned k = 1; k <= NODES; k++) c->links[i][k].cut = false;
        }
    }
}

/* The followers' logs are compacted as far as all have them, so that no image is needed. */
static void compact(struct cluster *c)
{
    uint64_t index = UINT64_MAX;
    for (unsigned i = 1; i <= NODES; i++) {
        struct node *n = &c->nodes[i];
        uint64_t agreed = n->applied < n->durable ? n->applied : n->durable;
        if (agreed > n->agreed) n->agreed = agreed;
        if (n->agreed < index) index = n->agreed;
    }
    for (unsigned i = 1; i <= NODES; i++) {
        struct node *n = &c->nodes[i];
        if (!n->up || n->applied < index || index < 2) continue;
        struct driver_mark mark = {index, c->truth[index].term, 1, c->configuration};
        assert_int_equal(driver_compact(n->driver, c->now_ms, &mark, 0), HF_OK);
    }
}

static void step(struct cluster *c)
{
    c->now_ms += 1;
    if (!c->calm) step_faults(c);
    for (unsigned i = 1; i <= NODES; i++) step_node(c, &c->nodes[i]);
    unsigned lead = leader(c);
    if (lead != 0 && prng_below(&c->random, 3) == 0) {
        uint8_t bytes[8];
        put_u64(bytes, ++c->submitted);
        uint64_t index;
        struct slice data = {bytes, sizeof bytes};
        int rv = driver_submit(c->nodes[lead].driver, c->now_ms, data, &index);
        assert_true(rv == HF_OK || rv == HF_ENOTLEADER);
    }
    if (prng_below(&c->random, 500) == 0) compact(c);
}

static void run(struct cluster *c, uint64_t seed)
{
    memset(c, 0, sizeof *c);
    prng_seed(&c->random, seed);
    struct configuration_server servers[NODES] = {
        {1, "n1", SERVER_VOTER}, {2, "n2", SERVER_VOTER}, {3, "n3", SERVER_VOTER}};
    buffer_init(&c->configuration_bytes, 4096);
    assert_int_equal(configuration_encode(servers, NODES, &c->configuration_bytes), HF_OK);
    c->configuration = buffer_slice(&c->configuration_bytes);
    for (unsigned i = 1; i <= NODES; i++) {
        struct node *n = &c->nodes[i];
        n->log[1] = (struct kept){1, c->configuration.size, LOG_CHANGE};
        n->durable = 1;
        n->term = 1;
        boot(c, i);
    }
    while (c->now_ms < 30000) step(c);
    c->calm = true;
    for (unsigned i = 1; i <= NODES; i++) {
        for (unsigned k = 1; k <= NODES; k++) c->links[i][k].cut = false;
        c->nodes[i].back_ms = 0;
    }
    uint64_t before = c->truth_last;
    while (c->now_ms < 36000) step(c);
    unsigned lead = leader(c);
    assert_true(lead != 0 && driver_is_ready(c->nodes[lead].driver));
    assert_true(c->truth_last > before + 500);
    for (unsigned i = 1; i <= NODES; i++) {
        struct node *n = &c->nodes[i];
        assert_true(n->up && n->applied + 100 > c->truth_last);
    }
    for (unsigned i = 1; i <= NODES; i++) crash(c, i);
    buffer_close(&c->configuration_bytes);
}

/* Half a minute of faults, then six seconds of calm, for each seed. */
static void test_three_drivers_agree_under_faults(void **state)
{
    (void)state;
    struct cluster *c = malloc(sizeof *c);
    unsigned elections = 0;
    unsigned crashes = 0;
    uint64_t applied = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        run(c, seed);
        elections += c->elections;
        crashes += c->crashes;
        applied += c->truth_last;
    }
    free(c);
    assert_true(elections > 100 && crashes > 100);
    assert_true(applied > 50000);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_drivers_agree_under_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
