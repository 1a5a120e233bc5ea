/* The driver's beginning and end: libraft is made, told what is durable, and freed. */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "raft/configuration.h"
#include "raft/driver.h"
#include "raft/driver_private.h"

enum { CONFIGURATION_BYTES_MAX = 64 * 1024 };

/* ------------------------------------------------------------------ libraft's memory */

/* libraft has dozens of half-unwound paths for memory that it does not get. None is ever taken. */
static void *take(void *data, size_t size)
{
    (void)data;
    void *p = malloc(size);
    HF_ASSERT(p != NULL || size == 0);
    return p;
}

static void give(void *data, void *p)
{
    (void)data;
    free(p);
}

static void *take_zeroed(void *data, size_t count, size_t size)
{
    (void)data;
    void *p = calloc(count, size);
    HF_ASSERT(p != NULL || count == 0 || size == 0);
    return p;
}

static void *take_more(void *data, void *old, size_t size)
{
    (void)data;
    void *p = realloc(old, size);
    HF_ASSERT(p != NULL || size == 0);
    return p;
}

static void *take_aligned(void *data, size_t alignment, size_t size)
{
    (void)data;
    void *p = aligned_alloc(alignment, size);
    HF_ASSERT(p != NULL || size == 0);
    return p;
}

static void give_aligned(void *data, size_t alignment, void *p)
{
    (void)data;
    (void)alignment;
    free(p);
}

static struct raft_heap heap = {
    .malloc = take,
    .free = give,
    .calloc = take_zeroed,
    .realloc = take_more,
    .aligned_alloc = take_aligned,
    .aligned_free = give_aligned,
};

/* Before main, so that no two drivers race to do it. */
__attribute__((constructor)) static void set_heap(void)
{
    raft_heap_set(&heap);
}

/* ------------------------------------------------------------------ configurations */

void driver_configuration_set(struct driver_configuration *c, uint64_t index, struct slice bytes)
{
    c->index = index;
    if (bytes.data != NULL && bytes.data == c->bytes.data) return;
    buffer_clear(&c->bytes);
    int rv = buffer_append(&c->bytes, bytes.data, bytes.size);
    HF_ASSERT(rv == HF_OK); /* checked bytes are shorter than the bound */
}

void driver_configuration_decode(struct slice bytes, struct raft_configuration *c)
{
    struct raft_buffer buf = {.base = (void *)(uintptr_t)bytes.data, .len = bytes.size};
    int rv = raft_configuration_decode(&buf, c);
    HF_ASSERT(rv == 0); /* configuration_check() is stricter */
}

void driver_count_voters(struct driver *d)
{
    d->lone_voter = false;
    if (d->in_force.index == 0) return;
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    size_t count = configuration_decode(buffer_slice(&d->in_force.bytes), servers);
    size_t voters = 0;
    bool self = false;
    for (size_t i = 0; i < count; i++) {
        if (servers[i].role != SERVER_VOTER) continue;
        voters += 1;
        self |= servers[i].id == d->config.id;
    }
    d->lone_voter = self && voters == 1;
}

/* libraft makes a lone voter leader of the term that it is in. It may have led it before a crash
 * and sent entries to stand-bys that its own disk then lost: the same index and term would stand
 * for two entries. So it leads no term but a new one, voted for by itself. Both fields are public
 * in raft.h; libraft reads them afresh in each step. */
int driver_open_lone_term(struct driver *d)
{
    struct raft *r = &d->raft;
    if (!d->lone_voter || r->state == RAFT_LEADER) return HF_OK;
    if (d->started && d->durable_index < entries_last(d->entries)) return HF_OK;
    uint64_t term = d->term + 1;
    int rv = d->config.ports.persist_term_vote(d->config.ports.data, term, d->config.id);
    if (rv != HF_OK) return driver_fault(d, rv, "term and vote could not be saved");
    d->term = r->current_term = term;
    d->voted_for = r->voted_for = d->config.id;
    d->changed = true;
    return HF_OK;
}

/* ------------------------------------------------------------------ start and end */

int driver_new(const struct driver_config *config, struct driver **driver)
{
    if (config->id == 0 || config->address == NULL || config->address[0] == '\0') return HF_EINVAL;
    if (config->heartbeat_ms == 0) return HF_EINVAL;
    if (config->election_ms / 5 < config->heartbeat_ms) return HF_EINVAL;
    HF_ASSERT(config->entries != NULL);
    HF_ASSERT(config->ports.apply != NULL && config->ports.append != NULL);

    struct driver *d = calloc(1, sizeof *d);
    if (d == NULL) return HF_ENOMEM;
    d->config = *config;
    d->entries = config->entries;
    buffer_init(&d->in_force.bytes, CONFIGURATION_BYTES_MAX);
    buffer_init(&d->committed.bytes, CONFIGURATION_BYTES_MAX);
    int rv = raft_init(&d->raft, NULL, NULL, config->id, config->address);
    HF_ASSERT(rv == 0); /* it fails for memory only, which our allocators do not let it */
    d->config.address = d->raft.address;
    d->raft.tracer = NULL;
    raft_seed(&d->raft, config->seed);
    raft_set_heartbeat_timeout(&d->raft, config->heartbeat_ms);
    raft_set_election_timeout(&d->raft, config->election_ms);
    raft_set_max_inflight_entries(&d->raft, DRIVER_INFLIGHT_MAX);
    raft_set_pre_vote(&d->raft, true);
    *driver = d;
    return HF_OK;
}

void driver_free(struct driver *d)
{
    if (d == NULL) return;
    raft_close(&d->raft, NULL);
    buffer_close(&d->in_force.bytes);
    buffer_close(&d->committed.bytes);
    free(d);
}

/* What the disk says must be a log that this driver can have written. */
static int check_log(struct driver *d, uint64_t term, const struct driver_mark *mark)
{
    const struct entries *e = d->entries;
    uint64_t last = entries_last(e);
    if (e->first > mark->index + 1) {
        return driver_fault(d, HF_ECORRUPT, "the log begins behind the store's mark");
    }
    if (last < mark->index) {
        return driver_fault(d, HF_ECORRUPT, "the log ends before the store's mark");
    }
    uint64_t at_mark = mark->index == 0 ? 0 : entries_term(e, mark->index);
    if (at_mark != 0 && at_mark != mark->term) {
        return driver_fault(d, HF_ECORRUPT, "the log's term at the store's mark is another");
    }
    if (mark->index != 0 && !configuration_check(mark->configuration)) {
        return driver_fault(d, HF_ECORRUPT, "the store's configuration is damaged");
    }
    uint64_t term_before = 0;
    for (size_t i = 0; i < e->terms.count; i++) {
        if (e->terms.runs[i].term < term_before || e->terms.runs[i].term > term) {
            return driver_fault(d, HF_ECORRUPT,
                                "a term in the log is above the vote file's, or falls");
        }
        term_before = e->terms.runs[i].term;
    }
    for (uint64_t i = e->first; i <= last; i++) {
        struct log_entry entry = entries_get(e, i);
        if (entry.type == LOG_CHANGE && !configuration_check(entry.data)) {
            return driver_fault(d, HF_ECORRUPT, "a configuration in the log is damaged");
        }
    }
    bool bare = mark->index == 0 && e->count > 0;
    if (bare && (e->first != 1 || entries_get(e, 1).type != LOG_CHANGE)) {
        return driver_fault(d, HF_ECORRUPT, "the log's first entry is no configuration");
    }
    return HF_OK;
}

/* As libraft restores them: the last one in the log counts as uncommitted, the one before it (or
 * the mark's) as committed; the first entry of all is committed by definition. */
static void restore_configurations(struct driver *d, const struct driver_mark *mark)
{
    const struct entries *e = d->entries;
    if (mark->index != 0) {
        driver_configuration_set(&d->in_force, mark->configuration_index, mark->configuration);
        driver_configuration_set(&d->committed, mark->configuration_index, mark->configuration);
    }
    uint64_t last = entries_last_change(e, entries_last(e));
    if (last != 0 && last > d->in_force.index) {
        uint64_t before = last > e->first ? entries_last_change(e, last - 1) : 0;
        if (before > d->committed.index) {
            driver_configuration_set(&d->committed, before, entries_get(e, before).data);
        }
        driver_configuration_set(&d->in_force, last, entries_get(e, last).data);
        if (last == 1) driver_configuration_set(&d->committed, 1, entries_get(e, 1).data);
    }
    driver_count_voters(d);
}

/* An entry as libraft wants it at the start: of those that only the disk holds nothing but the
 * term, as it is not asked for more. */
static struct raft_entry restored(const struct entries *e, uint64_t index, void *batch)
{
    struct raft_entry restored = {
        .term = entries_term(e, index),
        .type = RAFT_COMMAND,
        .batch = batch, /* stays ours: libraft frees it on an error only, which is fatal */
    };
    if (!entries_has(e, index)) return restored;
    struct log_entry entry = entries_get(e, index);
    restored.type = (enum raft_entry_type)entry.type;
    restored.buf.base = (void *)(uintptr_t)entry.data.data;
    restored.buf.len = entry.data.size;
    return restored;
}

static int feed_start(struct driver *d, const struct driver_mark *mark)
{
    const struct entries *e = d->entries;
    struct raft_snapshot_metadata metadata = {
        .index = mark->index,
        .term = mark->term,
        .configuration_index = mark->configuration_index,
    };
    if (mark->index != 0) driver_configuration_decode(mark->configuration, &metadata.configuration);
    /* A term that is known without its entry (at the store's mark) is no entry. */
    uint64_t first = terms_first(&e->terms);
    if (first == mark->index) first = mark->index + 1;
    size_t count = (size_t)(entries_last(e) + 1 - first);
    if (count > UINT32_MAX) return driver_fault(d, HF_ETOOLARGE, "the log has too many entries");
    struct raft_entry *batch = calloc(count + 1, sizeof *batch);
    HF_ASSERT(batch != NULL);
    for (size_t i = 0; i < count; i++) batch[i] = restored(e, first + i, batch);
    struct raft_event event = {.type = RAFT_START};
    event.start.term = d->term;
    event.start.voted_for = d->voted_for;
    event.start.metadata = mark->index != 0 ? &metadata : NULL;
    event.start.start_index = first;
    event.start.entries = batch;
    event.start.n_entries = (unsigned)count;
    int rv = driver_step(d, &event, NULL);
    free(batch);
    return rv;
}

int driver_start(struct driver *d, uint64_t now_ms, uint64_t term, uint64_t voted_for,
                 const struct driver_mark *mark)
{
    HF_ASSERT(!d->started);
    d->now_ms = now_ms;
    d->term = term;
    d->voted_for = voted_for;
    d->durable_index = entries_last(d->entries);
    d->applied_index = mark->index;
    d->commit_index = mark->index;
    d->mark_index = mark->index;
    d->mark_term = mark->term;
    int rv = check_log(d, term, mark);
    if (rv != HF_OK) return rv;
    restore_configurations(d, mark);
    rv = driver_open_lone_term(d);
    if (rv != HF_OK) return rv;
    d->started = true;
    rv = feed_start(d, mark);
    return rv == HF_OK ? driver_settle(d) : rv;
}
