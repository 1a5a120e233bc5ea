/* The log: after any crash it holds what was acknowledged and nothing that was never appended;
 * after any damage it refuses. The model test drives it through random appends, cuts, crashes and
 * reopenings; the others do one thing each. */
#include "raft/wal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "tests/sim/disk.h"
#include "tests/unit/cmocka_all.h"

enum { OPS_MAX = 4000, LOG_MAX = 3000 };

static const struct wal_config config_small = {
    .cluster_id = "one cluster id.",
    .segment_bytes = 4096,
    .may_create = true,
};

/* The bytes of an entry follow from three numbers, so that a test can tell any from any other. */
static size_t fill(uint8_t *out, uint64_t index, uint64_t term, uint64_t salt)
{
    struct prng p;
    prng_seed(&p, index * 1000003 + term * 17 + salt);
    size_t size = prng_below(&p, 4) == 0 ? prng_below(&p, 3000) : prng_below(&p, 60);
    for (size_t i = 0; i < size; i++) out[i] = (uint8_t)prng_next(&p);
    return size;
}

static void append(struct wal *w, uint64_t term, uint64_t salt)
{
    uint8_t data[3000];
    struct log_entry e = {.index = wal_last_index(w) + 1, .term = term, .type = LOG_COMMAND};
    e.data = slice_make(data, fill(data, e.index, term, salt));
    assert_int_equal(wal_append(w, &e), HF_OK);
}

static void check_entry(const struct log_entry *e, uint64_t index, uint64_t term, uint64_t salt)
{
    uint8_t data[3000];
    size_t size = fill(data, index, term, salt);
    assert_true(e->index == index);
    assert_true(e->term == term);
    assert_int_equal(e->type, LOG_COMMAND);
    assert_int_equal(e->data.size, size);
    if (size > 0) assert_memory_equal(e->data.data, data, size);
}

/* ------------------------------------------------------------------ the model */

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

/* ------------------------------------------------------------------ one thing each */

struct log {
    struct sim_disk disk;
    struct wal *wal;
    struct entries entries;
    struct refusal why;
};

static int open_log_from(struct log *l, const struct wal_config *config, uint64_t from)
{
    l->why.text[0] = '\0';
    l->wal = NULL;
    return wal_open(&l->disk.disk, config, from, 0, &l->entries, &l->wal, &l->why);
}

static int setup(void **state)
{
    struct log *l = calloc(1, sizeof *l);
    sim_disk_init(&l->disk, 5);
    entries_init(&l->entries, 1, 1 << 30);
    assert_int_equal(open_log_from(l, &config_small, 1), HF_OK);
    assert_int_equal(wal_run_all(l->wal), HF_OK);
    *state = l;
    return 0;
}

static int teardown(void **state)
{
    struct log *l = *state;
    wal_close(l->wal);
    entries_close(&l->entries);
    sim_disk_close(&l->disk);
    free(l);
    return 0;
}

static void append_synced(struct log *l, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        append(l->wal, 1, 0);
        assert_int_equal(wal_run_all(l->wal), HF_OK);
    }
}

static void close_log(struct log *l)
{
    wal_close(l->wal);
    l->wal = NULL;
}

/* While one write is in flight the next entries gather; each group is one write and one sync. */
static void test_entries_that_wait_share_one_write_and_one_sync(void **state)
{
    struct log *l = *state;
    append(l->wal, 1, 0);
    struct wal_job *job = wal_job_take(l->wal, WAL_LANE_WRITE);
    assert_non_null(job);
    uint8_t byte = 1;
    for (uint64_t i = 2; i <= 30; i++) {
        struct log_entry e = {i, 1, LOG_COMMAND, {&byte, 1}};
        assert_int_equal(wal_append(l->wal, &e), HF_OK);
    }
    assert_null(wal_job_take(l->wal, WAL_LANE_WRITE));
    wal_job_run(&l->disk.disk, job);
    assert_true(wal_durable_index(l->wal) == 0);
    assert_int_equal(wal_job_done(l->wal, job), HF_OK);
    assert_true(wal_durable_index(l->wal) == 1);
    uint64_t writes = l->disk.write_count;
    uint64_t syncs = l->disk.sync_count;
    job = wal_job_take(l->wal, WAL_LANE_WRITE);
    wal_job_run(&l->disk.disk, job);
    assert_int_equal(wal_job_done(l->wal, job), HF_OK);
    assert_true(wal_durable_index(l->wal) == 30);
    assert_int_equal(l->disk.write_count - writes, 1);
    assert_int_equal(l->disk.sync_count - syncs, 1);
    assert_int_equal(wal_pending_bytes(l->wal), 0);
}

/* A failed write or sync is told, and told as a fault. */
static void test_a_failed_write_or_sync_is_a_fault(void **state)
{
    struct log *l = *state;
    append(l->wal, 1, 0);
    l->disk.write_fails_in = 1;
    assert_int_equal(wal_run_all(l->wal), HF_EIO);
    close_log(l);
    assert_int_equal(open_log_from(l, &config_small, 1), HF_OK);
    append(l->wal, 1, 0);
    l->disk.sync_fails_in = 1;
    assert_int_equal(wal_run_all(l->wal), HF_EIO);
}

/* No space for the next spare: the log goes on in what it has, says that it has no room before
 * that is used up, and recovers. */
static void test_no_space_for_a_spare_is_weather(void **state)
{
    struct log *l = *state;
    l->disk.bytes_max = l->disk.bytes;
    assert_true(wal_has_room(l->wal));
    uint64_t durable = 0;
    while (wal_has_room(l->wal)) {
        append_synced(l, 1);
        durable = wal_durable_index(l->wal);
        assert_true(durable == wal_last_index(l->wal));
        assert_true(durable < 1000);
    }
    append(l->wal, 1, 0); /* one that was on its way */
    assert_int_equal(wal_run_all(l->wal), HF_OK);
    l->disk.bytes_max = UINT64_MAX / 2;
    wal_prepare_retry(l->wal);
    assert_int_equal(wal_run_all(l->wal), HF_OK);
    assert_true(wal_has_room(l->wal));
    append_synced(l, 20);
    assert_true(wal_durable_index(l->wal) == durable + 21);
}

/* A group in flight that is cut before its write is done does not count. */
static void test_a_cut_takes_entries_out_of_a_write_in_flight(void **state)
{
    struct log *l = *state;
    append_synced(l, 3);
    append(l->wal, 1, 0);
    append(l->wal, 1, 0);
    struct wal_job *job = wal_job_take(l->wal, WAL_LANE_WRITE);
    assert_int_equal(wal_truncate(l->wal, 5), HF_OK);
    append(l->wal, 2, 9);
    wal_job_run(&l->disk.disk, job);
    assert_int_equal(wal_job_done(l->wal, job), HF_OK);
    assert_true(wal_durable_index(l->wal) == 4);
    assert_int_equal(wal_run_all(l->wal), HF_OK);
    assert_true(wal_durable_index(l->wal) == 5);
    close_log(l);
    assert_int_equal(open_log_from(l, &config_small, 1), HF_OK);
    struct log_entry e = entries_get(&l->entries, 5);
    check_entry(&e, 5, 2, 9);
}

/* Segments are removed once nothing in them is needed, oldest first, and what is left opens. */
static void test_old_segments_are_removed(void **state)
{
    struct log *l = *state;
    append_synced(l, 200);
    uint64_t before = wal_disk_bytes(l->wal);
    wal_remove_before(l->wal, 180);
    assert_int_equal(wal_run_all(l->wal), HF_OK);
    assert_true(wal_disk_bytes(l->wal) < before / 2);
    assert_true(wal_first_index(l->wal) > 1 && wal_first_index(l->wal) <= 180);
    close_log(l);
    assert_int_equal(open_log_from(l, &config_small, 180), HF_OK);
    assert_true(l->entries.first <= 180 && entries_last(&l->entries) == 200);
    close_log(l);
    assert_int_equal(open_log_from(l, &config_small, 20), HF_ECORRUPT);
    assert_non_null(strstr(l->why.text, "gap"));
}

/* A trail before what is needed is loaded as far as it reaches. */
static void test_a_trail_is_loaded(void **state)
{
    struct log *l = *state;
    append_synced(l, 100);
    close_log(l);
    assert_int_equal(wal_open(&l->disk.disk, &config_small, 90, 30, &l->entries, &l->wal, &l->why),
                     HF_OK);
    assert_true(l->entries.first == 60 && entries_last(&l->entries) == 100);
    assert_true(entries_term(&l->entries, 59) == 1);
    close_log(l);
    assert_int_equal(wal_open(&l->disk.disk, &config_small, 101, 0, &l->entries, &l->wal, &l->why),
                     HF_OK);
    assert_true(l->entries.first == 101 && l->entries.count == 0);
    assert_true(entries_term(&l->entries, 100) == 1);
}

/* A store ahead of its log gets an empty ring, and the log begins anew behind the store. */
static void test_a_store_ahead_of_its_log_resets_it(void **state)
{
    struct log *l = *state;
    append_synced(l, 10);
    close_log(l);
    assert_int_equal(open_log_from(l, &config_small, 15), HF_OK);
    assert_true(wal_last_index(l->wal) == 10 && l->entries.first == 15);
    assert_int_equal(wal_reset(l->wal, 15), HF_OK);
    assert_true(wal_durable_index(l->wal) == 0);
    assert_int_equal(wal_run_all(l->wal), HF_OK);
    assert_true(wal_durable_index(l->wal) == 14);
    append_synced(l, 3);
    close_log(l);
    assert_int_equal(open_log_from(l, &config_small, 15), HF_OK);
    assert_true(wal_last_index(l->wal) == 17 && l->entries.count == 3);
}

static uint64_t segments(struct log *l, uint64_t *first)
{
    uint64_t count = 0;
    *first = 0;
    for (uint64_t i = 1; i < 200; i++) {
        char name[32];
        uint64_t bytes;
        snprintf(name, sizeof name, "wal-%016lx", (unsigned long)i);
        if (sim_disk_bytes(&l->disk, name, &bytes) == NULL) continue;
        if (*first == 0) *first = i;
        count += 1;
    }
    return count;
}

/* One bit, anywhere in any file of the log: refused, or it was in a part that is dead. */
static void test_a_flipped_bit_is_refused_or_harmless(void **state)
{
    struct log *l = *state;
    append_synced(l, 60);
    close_log(l);
    uint64_t first;
    uint64_t count = segments(l, &first);
    assert_true(count >= 4);
    unsigned refused = 0, harmless = 0;
    for (uint64_t s = first; s < first + count; s++) {
        char name[32];
        snprintf(name, sizeof name, "wal-%016lx", (unsigned long)s);
        uint64_t size;
        uint8_t *bytes = sim_disk_bytes(&l->disk, name, &size);
        for (size_t at = 0; at < size; at += 3) {
            uint8_t mask = (uint8_t)(1U << at % 8);
            bytes[at] ^= mask;
            int rv = open_log_from(l, &config_small, 1);
            if (rv == HF_OK) {
                harmless += 1;
                assert_true(wal_last_index(l->wal) == 60 && l->entries.count == 60);
                for (uint64_t i = 1; i <= 60; i++) {
                    struct log_entry e = entries_get(&l->entries, i);
                    check_entry(&e, i, 1, 0);
                }
            } else {
                refused += 1;
                assert_true(rv == HF_ECORRUPT);
                assert_non_null(strstr(l->why.text, "must not vote"));
                assert_non_null(strstr(l->why.text, name));
            }
            close_log(l);
            bytes[at] ^= mask;
        }
    }
    assert_true(refused > harmless);
}

/* A segment that is gone, in the middle or the head of one: refused, by name. */
static void test_a_missing_segment_is_refused(void **state)
{
    struct log *l = *state;
    append_synced(l, 60);
    close_log(l);
    uint64_t size;
    uint8_t head[512];
    uint8_t *bytes = sim_disk_bytes(&l->disk, "wal-0000000000000002", &size);
    memcpy(head, bytes, sizeof head);
    memset(bytes, 0, sizeof head);
    assert_int_equal(open_log_from(l, &config_small, 1), HF_ECORRUPT);
    assert_non_null(strstr(l->why.text, "head of the log's file wal-0000000000000002"));
    memcpy(bytes, head, sizeof head);
    sim_disk_lose(&l->disk, "wal-0000000000000002");
    assert_int_equal(open_log_from(l, &config_small, 1), HF_ECORRUPT);
    assert_non_null(strstr(l->why.text, "wal-0000000000000002 is missing"));
}

/* A synced group that is gone: refused as a lost write, although all checks of the rest are
 * right. */
static void test_a_lost_write_is_refused(void **state)
{
    struct log *l = *state;
    uint8_t byte = 7;
    for (uint64_t i = 1; i <= 5; i++) {
        struct log_entry e = {i, 1, LOG_COMMAND, {&byte, 1}};
        assert_int_equal(wal_append(l->wal, &e), HF_OK);
        assert_int_equal(wal_run_all(l->wal), HF_OK);
    }
    close_log(l);
    uint64_t size;
    uint8_t *bytes = sim_disk_bytes(&l->disk, "wal-0000000000000001", &size);
    memset(bytes + 3 * 512, 0, 512); /* entry 3 */
    assert_int_equal(open_log_from(l, &config_small, 1), HF_ECORRUPT);
    assert_non_null(strstr(l->why.text, "missing at offset 1536"));
}

/* Another cluster's log, and no log at all, are told apart from damage. */
static void test_a_strange_or_missing_log_is_refused(void **state)
{
    struct log *l = *state;
    append_synced(l, 3);
    close_log(l);
    struct wal_config other = config_small;
    other.cluster_id[0] ^= 1;
    assert_int_equal(open_log_from(l, &other, 1), HF_EINVAL);
    assert_non_null(strstr(l->why.text, "another cluster"));
    assert_int_equal(wal_erase(&l->disk.disk), HF_OK);
    struct wal_config only = config_small;
    only.may_create = false;
    assert_int_equal(open_log_from(l, &only, 1), HF_ENOTFOUND);
    assert_int_equal(open_log_from(l, &config_small, 1), HF_OK);
}

/* A log goes on with segments of another length, and the old spare is dropped. */
static void test_the_segment_size_may_change_between_starts(void **state)
{
    struct log *l = *state;
    append_synced(l, 30);
    close_log(l);
    struct wal_config bigger = config_small;
    bigger.segment_bytes = 16384;
    assert_int_equal(open_log_from(l, &bigger, 1), HF_OK);
    assert_int_equal(wal_run_all(l->wal), HF_OK);
    append_synced(l, 30);
    close_log(l);
    assert_int_equal(open_log_from(l, &config_small, 1), HF_OK);
    assert_true(wal_last_index(l->wal) == 60);
}

int main(void)
{
    log_set_level(LOG_ERROR); /* each torn group is warned of */
#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_log_survives_random_crashes),
        EACH(test_entries_that_wait_share_one_write_and_one_sync),
        EACH(test_a_failed_write_or_sync_is_a_fault),
        EACH(test_no_space_for_a_spare_is_weather),
        EACH(test_a_cut_takes_entries_out_of_a_write_in_flight),
        EACH(test_old_segments_are_removed),
        EACH(test_a_trail_is_loaded),
        EACH(test_a_store_ahead_of_its_log_resets_it),
        EACH(test_a_flipped_bit_is_refused_or_harmless),
        EACH(test_a_missing_segment_is_refused),
        EACH(test_a_lost_write_is_refused),
        EACH(test_a_strange_or_missing_log_is_refused),
        EACH(test_the_segment_size_may_change_between_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
