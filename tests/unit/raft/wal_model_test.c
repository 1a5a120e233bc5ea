/* The log against a model: after any crash it holds what was acknowledged and nothing that was
 * never appended. Random appends, cuts, resets, crashes and reopenings; WAL_TEST_SEED=N runs one
 * seed. */
#include "raft/wal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "tests/sim/disk.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/raft/wal_fixture.h"

enum { OPS_MAX = 4000, LOG_MAX = 3000 };

enum op_kind { OP_APPEND, OP_TRUNCATE, OP_RESET };

struct op {
    enum op_kind kind;
    uint64_t index;
    uint64_t term;
    uint64_t salt;
};

/* A log as the model sees it: entries `first` .. `last`. */
struct state {
    uint64_t first;
    uint64_t last;
    uint64_t terms[LOG_MAX];
    uint64_t salts[LOG_MAX];
    size_t op[LOG_MAX]; /* which operation appended it, plus 1 */
};

struct model {
    struct sim_disk disk;
    struct wal *wal;
    struct entries entries;
    struct state base;      /* when the log was opened */
    struct state now;       /* with all operations since */
    struct op ops[OPS_MAX]; /* since the log was opened */
    size_t op_count;
    uint64_t keep; /* entries below may be gone */
    uint64_t salt;
    struct wal_read read;
    bool reading;
    unsigned long crashes, cuts, reads_done, reopened_with_less;
};

static void state_apply(struct state *s, const struct op *op, size_t nth)
{
    switch (op->kind) {
    case OP_APPEND:
        assert_true(op->index == s->last + 1 && op->index < LOG_MAX);
        s->last = op->index;
        s->terms[op->index] = op->term;
        s->salts[op->index] = op->salt;
        s->op[op->index] = nth + 1;
        break;
    case OP_TRUNCATE:
        s->last = op->index - 1;
        if (s->first > op->index) s->first = op->index;
        break;
    case OP_RESET:
        s->first = op->index;
        s->last = op->index - 1;
        break;
    }
}

static bool state_matches(const struct state *s, const struct model *m, uint64_t from)
{
    if (s->last != wal_last_index(m->wal)) return false;
    if (s->last + 1 < from) return m->entries.count == 0;
    if (entries_last(&m->entries) != s->last) return false;
    for (uint64_t i = m->entries.first; i <= s->last; i++) {
        if (i < s->first) continue;
        struct log_entry e = entries_get(&m->entries, i);
        uint8_t data[3000];
        size_t size = fill(data, i, s->terms[i], s->salts[i]);
        if (e.term != s->terms[i] || e.data.size != size) return false;
        if (size > 0 && memcmp(e.data.data, data, size) != 0) return false;
    }
    return true;
}

/* Operations that were acknowledged: up to the one that appended the last durable entry. */
static size_t acknowledged(const struct model *m)
{
    size_t acked = 0;
    uint64_t durable = wal_durable_index(m->wal);
    for (uint64_t i = m->now.first; i <= durable && i <= m->now.last; i++) {
        if (m->now.op[i] > acked) acked = m->now.op[i];
    }
    return acked;
}

static void reopen(struct model *m, size_t acked)
{
    uint64_t from = m->keep;
    uint64_t trail = prng_below(&m->disk.random, 2) * prng_below(&m->disk.random, 50);
    struct refusal why = {""};
    int rv = wal_open(&m->disk.disk, &config_small, from, trail, &m->entries, &m->wal, &why);
    if (rv != HF_OK) fail_msg("refused: %s", why.text);
    struct state s = m->base;
    for (size_t p = 0; p < acked; p++) state_apply(&s, &m->ops[p], p);
    size_t p = acked;
    while (!state_matches(&s, m, from)) {
        if (p == m->op_count) fail_msg("the reopened log is none that ever was");
        state_apply(&s, &m->ops[p], p);
        p += 1;
    }
    if (p < m->op_count) m->reopened_with_less += 1;
    assert_true(wal_durable_index(m->wal) == wal_last_index(m->wal));
    m->base = s;
    if (s.last + 1 < from) { /* the store is ahead */
        assert_int_equal(wal_reset(m->wal, from), HF_OK);
        assert_int_equal(wal_run_all(m->wal), HF_OK);
        m->base.first = from;
        m->base.last = from - 1;
    }
    memset(m->base.op, 0, sizeof m->base.op);
    m->now = m->base;
    m->op_count = 0;
}

static void perform(struct model *m, struct op op)
{
    if (op.kind == OP_APPEND) append(m->wal, op.term, op.salt);
    if (op.kind == OP_TRUNCATE) assert_int_equal(wal_truncate(m->wal, op.index), HF_OK);
    if (op.kind == OP_RESET) assert_int_equal(wal_reset(m->wal, op.index), HF_OK);
    state_apply(&m->now, &op, m->op_count);
    m->ops[m->op_count++] = op;
}

static void read_done(struct wal_read *read, int status, void *data)
{
    struct model *m = data;
    m->reading = false;
    if (status == HF_ENOTFOUND) return; /* cut or removed meanwhile */
    assert_int_equal(status, HF_OK);
    assert_true(read->count >= 1);
    m->reads_done += 1;
    for (size_t i = 0; i < read->count; i++) {
        uint64_t index = read->first + i;
        /* only of entries that are still the log's can the model say what they are */
        if (index < m->now.first || index > wal_durable_index(m->wal)) continue;
        check_entry(&read->entries[i], index, m->now.terms[index], m->now.salts[index]);
    }
}

static void step_read(struct model *m)
{
    uint64_t first = wal_first_index(m->wal);
    uint64_t durable = wal_durable_index(m->wal);
    if (m->reading || durable < first) return;
    m->read.first = first + prng_below(&m->disk.random, durable - first + 1);
    m->read.done_cb = read_done;
    m->read.cb_data = m;
    assert_int_equal(wal_read(m->wal, &m->read), HF_OK);
    m->reading = true;
}

/* One job of a lane, with the chance of a fault in it. False: the process must end. */
static bool step_job(struct model *m, enum wal_lane lane)
{
    struct wal_job *job = wal_job_take(m->wal, lane);
    if (job == NULL) return true;
    struct prng *p = &m->disk.random;
    if (prng_below(p, 40) == 0) m->disk.write_fails_in = 1 + prng_below(p, 2);
    if (prng_below(p, 40) == 0) m->disk.sync_fails_in = 1 + prng_below(p, 3);
    bool reading = m->reading;
    wal_job_run(&m->disk.disk, job);
    /* appends and cuts may come while a job is under way */
    if (reading == m->reading && prng_below(p, 2) == 0 && m->now.last + 1 < LOG_MAX) {
        perform(m, (struct op){OP_APPEND, m->now.last + 1, m->now.last / 9 + 1, ++m->salt});
    }
    if (!m->reading && prng_below(p, 6) == 0 && m->now.last >= m->keep &&
        m->now.last >= m->now.first) {
        perform(m, (struct op){.kind = OP_TRUNCATE, .index = m->now.last});
        m->cuts += 1;
    }
    bool well = wal_job_done(m->wal, job) == HF_OK;
    m->disk.write_fails_in = 0;
    m->disk.sync_fails_in = 0;
    return well;
}

static void step_op(struct model *m)
{
    struct prng *p = &m->disk.random;
    uint64_t dice = prng_below(p, 100);
    if (m->op_count + 2 >= OPS_MAX || m->now.last + 2 >= LOG_MAX) return;
    if (dice < 85) {
        perform(m, (struct op){OP_APPEND, m->now.last + 1, m->now.last / 9 + 1, ++m->salt});
    } else if (dice < 97 && !m->reading) {
        uint64_t low = m->keep > m->now.first ? m->keep : m->now.first;
        if (m->now.last < low) return;
        uint64_t back = prng_below(p, m->now.last - low + 1);
        if (back > 30) back = 30;
        perform(m, (struct op){.kind = OP_TRUNCATE, .index = m->now.last - back});
        m->cuts += 1;
    } else if (dice == 99 && prng_below(p, 30) == 0 && !m->reading) {
        perform(m, (struct op){.kind = OP_RESET, .index = m->now.last + 1 + prng_below(p, 5)});
        m->keep = m->now.first;
    }
}

/* The store's mark moves: what lies below may be removed. Never past what is durable. */
static void step_keep(struct model *m)
{
    uint64_t durable = wal_durable_index(m->wal);
    if (durable < m->keep + 5 || m->now.first > durable) return;
    m->keep += prng_below(&m->disk.random, durable - m->keep);
    wal_remove_before(m->wal, m->keep);
}

static void run_model(uint64_t seed, unsigned steps, struct model *m)
{
    memset(m, 0, sizeof *m);
    sim_disk_init(&m->disk, seed);
    entries_init(&m->entries, 1, 1 << 30);
    m->base.first = 1;
    m->keep = 1;
    m->now = m->base;
    reopen(m, 0);
    struct prng *p = &m->disk.random;
    for (unsigned i = 0; i < steps && m->now.last + 40 < LOG_MAX; i++) {
        bool well = true;
        switch (prng_below(p, 8)) {
        case 0:
        case 1:
        case 2: step_op(m); break;
        case 3:
        case 4: well = step_job(m, WAL_LANE_WRITE); break;
        case 5: well = step_job(m, WAL_LANE_BACKGROUND); break;
        case 6: step_read(m); break;
        case 7:
            if (prng_below(p, 10) == 0) step_keep(m);
            if (prng_below(p, 25) == 0) well = false;
            break;
        }
        if (well) continue;
        size_t acked = acknowledged(m);
        uint64_t count = m->now.last;
        assert_true(count < LOG_MAX);
        wal_close(m->wal);
        m->reading = false;
        m->crashes += 1;
        if (prng_below(p, 3) == 0) {
            sim_disk_kill(&m->disk);
        } else {
            sim_disk_crash(&m->disk);
        }
        reopen(m, acked);
    }
    wal_close(m->wal);
    wal_read_close(&m->read);
    entries_close(&m->entries);
    sim_disk_close(&m->disk);
}

/* Thousands of random operations with a crash every few dozen: each reopening finds the log after
 * some prefix of them that holds all that was acknowledged. */
static void test_the_log_survives_random_crashes(void **state)
{
    (void)state;
    struct model *m = malloc(sizeof *m);
    unsigned long crashes = 0, cuts = 0, reads = 0, less = 0;
    const char *only = getenv("WAL_TEST_SEED");
    uint64_t seeds = 60;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        if (only != NULL) seed = strtoull(only, NULL, 10);
        run_model(seed, 6000, m);
        crashes += m->crashes;
        cuts += m->cuts;
        reads += m->reads_done;
        less += m->reopened_with_less;
        if (only != NULL) break;
    }
    free(m);
    if (only != NULL) return;
    /* the run was worth its name */
    assert_true(crashes > 1000 && cuts > 1000 && reads > 500 && less > 200);
}

int main(void)
{
    log_set_level(LOG_ERROR); /* each torn group is warned of */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_log_survives_random_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
