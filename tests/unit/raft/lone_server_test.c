/* Directory, vote file, log and driver together, as a server with one voter uses them, on a disk
 * that crashes: what was applied once is applied again, the same, after every restart. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "raft/configuration.h"
#include "raft/directory.h"
#include "raft/driver.h"
#include "raft/wal.h"
#include "tests/sim/disk.h"
#include "tests/unit/cmocka_all.h"

enum { INDEX_MAX = 20000, SEGMENT_BYTES = 8192 };

struct server {
    struct sim_disk disk;
    struct vote vote;
    struct wal *wal;
    struct entries entries;
    struct driver *driver;
    uint64_t now_ms;
    uint64_t applied;          /* by this incarnation */
    uint64_t applied_max;      /* ever */
    uint64_t terms[INDEX_MAX]; /* of what was applied, by index */
    uint8_t types[INDEX_MAX];
    uint8_t first_bytes[INDEX_MAX];
    struct driver_mark mark;    /* the store's, durable */
    uint8_t configuration[256]; /* mark.configuration's bytes */
    uint64_t terms_seen;        /* the highest */
    uint8_t salt;
    bool ended; /* a fault: the process must end */
    unsigned restarts;
};

static int persist(void *data, uint64_t term, uint64_t voted_for)
{
    struct server *s = data;
    uint64_t mark = s->vote.state.log_index_min;
    return vote_save(&s->vote, term, voted_for, s->applied > mark ? s->applied : mark);
}

static int append(void *data, const struct log_entry *entries, size_t count)
{
    struct server *s = data;
    for (size_t i = 0; i < count; i++) {
        int rv = wal_append(s->wal, &entries[i]);
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

static int truncate_log(void *data, uint64_t index)
{
    struct server *s = data;
    return wal_truncate(s->wal, index);
}

static void send_message(void *data, const struct message *m)
{
    (void)data;
    (void)m;
    fail_msg("a lone server has nobody to talk to");
}

/* An index that was applied before must bring the same entry again. */
static int apply(void *data, const struct log_entry *entry)
{
    struct server *s = data;
    uint64_t i = entry->index;
    assert_true(i == s->applied + 1 && i < INDEX_MAX);
    assert_true(i <= wal_durable_index(s->wal)); /* one voter: nothing else can have committed it */
    s->applied = i;
    uint8_t first = entry->data.data[0];
    if (i <= s->applied_max) {
        assert_true(s->terms[i] == entry->term && s->types[i] == entry->type);
        assert_int_equal(s->first_bytes[i], first);
        return HF_OK;
    }
    s->applied_max = i;
    s->terms[i] = entry->term;
    s->types[i] = entry->type;
    s->first_bytes[i] = first;
    return HF_OK;
}

static struct slice lone_configuration(struct buffer *out)
{
    struct configuration_server self = {1, "127.0.0.1:7421", SERVER_VOTER};
    buffer_init(out, 256);
    assert_int_equal(configuration_encode(&self, 1, out), HF_OK);
    return buffer_slice(out);
}

static void make(struct server *s, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    sim_disk_init(&s->disk, seed);
    s->now_ms = 1;
    struct buffer out;
    struct refusal why;
    struct directory_settings settings = {
        .cluster_id = "the lone cluster",
        .node_id = 1,
        .incarnation = 99,
        .configuration = lone_configuration(&out),
        .segment_bytes = SEGMENT_BYTES,
    };
    assert_int_equal(directory_make(&s->disk.disk, &settings, &why), HF_OK);
    buffer_close(&out);
}

static void start(struct server *s)
{
    struct refusal why = {""};
    struct directory_expected expected = {.node_id = 1};
    if (directory_open(&s->disk.disk, &expected, &s->vote, &why) != HF_OK) fail_msg("%s", why.text);
    struct wal_config config = {.segment_bytes = SEGMENT_BYTES};
    config.segment_min = s->vote.state.log_segment_min;
    memcpy(config.cluster_id, s->vote.state.cluster_id, sizeof config.cluster_id);
    entries_init(&s->entries, 1, 16384);
    int rv = wal_open(&s->disk.disk, &config, s->mark.index + 1, 20, &s->entries, &s->wal, &why);
    if (rv == HF_EIO) { /* an injected one */
        s->ended = true;
        return;
    }
    if (rv != HF_OK) fail_msg("%s", why.text);
    rv = directory_check_log(&s->vote, wal_last_index(s->wal), s->mark.index, &why);
    if (rv != HF_OK) fail_msg("%s", why.text);
    struct driver_config driver_config = {
        .id = 1,
        .address = "127.0.0.1:7421",
        .seed = s->restarts,
        .election_ms = DRIVER_ELECTION_MS_DEFAULT,
        .heartbeat_ms = DRIVER_HEARTBEAT_MS_DEFAULT,
        .entries = &s->entries,
        .ports = {persist, append, truncate_log, send_message, apply, NULL, s},
    };
    assert_int_equal(driver_new(&driver_config, &s->driver), HF_OK);
    s->applied = s->mark.index;
    s->mark.configuration.data = s->configuration;
    s->ended = false;
    rv = driver_start(s->driver, s->now_ms, s->vote.state.term, s->vote.state.voted_for, &s->mark);
    if (rv == HF_EIO) { /* an injected one */
        s->ended = true;
        return;
    }
    assert_int_equal(rv, HF_OK);
    assert_int_equal(driver_state(s->driver), DRIVER_LEADER);
    assert_true(driver_term(s->driver) > s->terms_seen);
    s->terms_seen = driver_term(s->driver);
    assert_true(s->applied >= s->applied_max); /* nothing that was applied is gone */
}

static void end(struct server *s)
{
    driver_free(s->driver);
    s->driver = NULL;
    wal_close(s->wal);
    s->wal = NULL;
    vote_close(&s->vote);
    entries_close(&s->entries);
}

static void step_job(struct server *s, enum wal_lane lane)
{
    struct wal_job *job = wal_job_take(s->wal, lane);
    if (job == NULL) return;
    if (prng_below(&s->disk.random, 60) == 0) s->disk.sync_fails_in = 1;
    if (prng_below(&s->disk.random, 60) == 0) s->disk.write_fails_in = 1;
    wal_job_run(&s->disk.disk, job);
    s->disk.sync_fails_in = s->disk.write_fails_in = 0;
    if (wal_job_done(s->wal, job) != HF_OK) {
        s->ended = true;
        return;
    }
    uint64_t newest = wal_newest_segment(s->wal);
    if (newest > s->vote.state.log_segment_min)
        assert_int_equal(vote_save_segment(&s->vote, newest), HF_OK);
    uint64_t durable = wal_durable_index(s->wal);
    assert_int_equal(driver_persisted(s->driver, s->now_ms, durable), HF_OK);
}

static void step_submit(struct server *s)
{
    uint8_t data[900];
    memset(data, ++s->salt, sizeof data);
    size_t size = 1 + prng_below(&s->disk.random, sizeof data);
    uint64_t index;
    int rv = driver_submit(s->driver, s->now_ms, slice_make(data, size), &index);
    if (rv == HF_ETOOBUSY) return;
    assert_int_equal(rv, HF_OK);
    assert_true(index == wal_last_index(s->wal));
}

/* The store becomes durable at what is applied; the log's beginning may go. */
static void step_mark(struct server *s)
{
    if (s->applied <= s->mark.index) return;
    struct slice configuration;
    s->mark.index = s->applied;
    s->mark.term = s->terms[s->applied];
    s->mark.configuration_index = driver_configuration(s->driver, &configuration);
    memcpy(s->configuration, configuration.data, configuration.size);
    s->mark.configuration = slice_make(s->configuration, configuration.size);
    uint32_t trailing = (uint32_t)prng_below(&s->disk.random, 30);
    assert_int_equal(driver_compact(s->driver, s->now_ms, &s->mark, trailing), HF_OK);
    if (s->applied > trailing) wal_remove_before(s->wal, s->applied - trailing + 1);
}

static void run(struct server *s, unsigned steps)
{
    start(s);
    for (unsigned i = 0; i < steps; i++) {
        struct prng *p = &s->disk.random;
        s->now_ms += prng_below(p, 10);
        switch (s->ended ? 99 : prng_below(p, 10)) {
        case 0:
        case 1:
        case 2:
        case 3: step_submit(s); break;
        case 4:
        case 5:
        case 6: step_job(s, WAL_LANE_WRITE); break;
        case 7: step_job(s, WAL_LANE_BACKGROUND); break;
        case 8: assert_int_equal(driver_tick(s->driver, s->now_ms), HF_OK); break;
        case 9:
            if (prng_below(p, 8) == 0) step_mark(s);
            if (prng_below(p, 20) == 0) s->ended = true;
            break;
        default:
            end(s);
            s->restarts += 1;
            if (prng_below(p, 3) == 0) {
                sim_disk_kill(&s->disk);
            } else {
                sim_disk_crash(&s->disk);
            }
            if (prng_below(p, 10) == 0) s->disk.sync_fails_in = 3;
            start(s);
            s->disk.sync_fails_in = 0;
        }
    }
    end(s);
}

/* Thousands of restarts: terms rise, and no applied entry is ever lost or changed. */
static void test_nothing_applied_is_lost_over_random_crashes(void **state)
{
    (void)state;
    struct server *s = malloc(sizeof *s);
    unsigned restarts = 0;
    uint64_t applied = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        make(s, seed);
        run(s, 12000);
        restarts += s->restarts;
        applied += s->applied_max;
        sim_disk_close(&s->disk);
    }
    free(s);
    assert_true(restarts > 1000);
    assert_true(applied > 20000);
}

/* ------------------------------------------------------------------ the directory */

/* The power goes somewhere in the making; made again, it is whole. */
static void test_an_interrupted_make_is_made_again(void **state)
{
    (void)state;
    struct buffer out;
    struct refusal why;
    struct directory_settings settings = {
        .cluster_id = "cluster one",
        .node_id = 2,
        .configuration = lone_configuration(&out),
        .segment_bytes = SEGMENT_BYTES,
    };
    unsigned interrupted = 0;
    for (uint64_t n = 1; n < 120; n++) {
        struct sim_disk disk;
        sim_disk_init(&disk, n);
        if (n % 2 == 0)
            disk.sync_fails_in = n / 8 + 1;
        else
            disk.write_fails_in = n / 8 + 1;
        int rv = directory_make(&disk.disk, &settings, &why);
        disk.sync_fails_in = disk.write_fails_in = 0;
        bool exists;
        if (rv != HF_OK) {
            interrupted += 1;
            sim_disk_crash(&disk);
            assert_int_equal(directory_exists(&disk.disk, &exists), HF_OK);
            if (!exists) {
                settings.cluster_id[0] += 1; /* the next attempt draws another id */
                assert_int_equal(directory_make(&disk.disk, &settings, &why), HF_OK);
            }
        }
        struct vote v;
        struct directory_expected expected = {0};
        assert_int_equal(directory_open(&disk.disk, &expected, &v, &why), HF_OK);
        struct wal *w;
        struct entries e;
        entries_init(&e, 1, 4096);
        struct wal_config config = {.segment_bytes = SEGMENT_BYTES};
        memcpy(config.cluster_id, v.state.cluster_id, sizeof config.cluster_id);
        assert_int_equal(wal_open(&disk.disk, &config, 1, 0, &e, &w, &why), HF_OK);
        assert_true(wal_last_index(w) == 1 && entries_get(&e, 1).type == LOG_CHANGE);
        wal_close(w);
        entries_close(&e);
        vote_close(&v);
        sim_disk_close(&disk);
    }
    buffer_close(&out);
    assert_true(interrupted > 20);
}

/* An empty directory, another cluster's, another server's, a used one: each has its sentence. */
static void test_a_directory_that_is_not_ours_is_refused(void **state)
{
    (void)state;
    struct server *s = malloc(sizeof *s);
    struct refusal why;
    struct vote v;
    struct sim_disk empty;
    sim_disk_init(&empty, 1);
    struct directory_expected expected = {.node_id = 1};
    assert_int_equal(directory_open(&empty.disk, &expected, &v, &why), HF_ENOTFOUND);
    assert_non_null(strstr(why.text, "is empty"));
    sim_disk_close(&empty);

    make(s, 1);
    expected.node_id = 2;
    assert_int_equal(directory_open(&s->disk.disk, &expected, &v, &why), HF_EINVAL);
    assert_non_null(strstr(why.text, "belongs to server 1, not to 2"));
    expected = (struct directory_expected){.knows_cluster = true, .cluster_id = "other"};
    assert_int_equal(directory_open(&s->disk.disk, &expected, &v, &why), HF_EINVAL);
    assert_non_null(strstr(why.text, "another cluster"));

    struct directory_settings settings = {.node_id = 1, .segment_bytes = SEGMENT_BYTES};
    assert_int_equal(directory_make(&s->disk.disk, &settings, &why), HF_EEXIST);
    sim_disk_lose(&s->disk, VOTE_FILE_NAME);
    assert_int_equal(directory_make(&s->disk.disk, &settings, &why), HF_EEXIST);
    assert_non_null(strstr(why.text, "lost its vote"));
    expected = (struct directory_expected){0};
    assert_int_equal(directory_open(&s->disk.disk, &expected, &v, &why), HF_ENOTFOUND);
    assert_non_null(strstr(why.text, "forgotten its votes"));
    sim_disk_close(&s->disk);
    free(s);
}

/* A log that ends before what was committed here is an old copy. */
static void test_a_log_older_than_the_vote_is_refused(void **state)
{
    (void)state;
    struct vote v = {.state = {.node_id = 1, .log_index_min = 50}};
    struct refusal why;
    assert_int_equal(directory_check_log(&v, 50, 0, &why), HF_OK);
    assert_int_equal(directory_check_log(&v, 10, 50, &why), HF_OK);
    assert_int_equal(directory_check_log(&v, 49, 49, &why), HF_ECORRUPT);
    assert_non_null(strstr(why.text, "ends at entry 49"));
}

int main(void)
{
    log_set_level(LOG_ERROR + 1); /* torn groups and injected faults are wanted */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_applied_is_lost_over_random_crashes),
        cmocka_unit_test(test_an_interrupted_make_is_made_again),
        cmocka_unit_test(test_a_directory_that_is_not_ours_is_refused),
        cmocka_unit_test(test_a_log_older_than_the_vote_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
