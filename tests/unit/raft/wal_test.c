/* The log, one thing each: groups, faults, cuts, removal, a trail, and damage of every kind, which
 * it refuses. wal_model_test drives it through random crashes. */
#include "raft/wal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "tests/sim/disk.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/raft/wal_fixture.h"

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

/* A start that needs a segment and finds no space says so, and leaves nothing in the way. */
static void test_a_start_without_space_says_so(void **state)
{
    struct log *l = *state;
    close_log(l);
    assert_int_equal(wal_erase(&l->disk.disk), HF_OK);
    uint64_t bytes_max = l->disk.bytes_max;
    l->disk.bytes_max = l->disk.bytes;
    assert_int_equal(open_log_from(l, &config_small, 1), HF_EDISKFULL);
    assert_non_null(strstr(l->why.text, "no space is left"));
    l->disk.bytes_max = bytes_max;
    assert_int_equal(open_log_from(l, &config_small, 1), HF_OK);
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

/* What a start did not load cannot be read any more: its segments go, or each start would leave
 * some behind. */
static void test_a_start_drops_what_it_did_not_load(void **state)
{
    struct log *l = *state;
    append_synced(l, 200);
    close_log(l);
    assert_int_equal(open_log_from(l, &config_small, 201), HF_OK);
    assert_int_equal(wal_run_all(l->wal), HF_OK);
    assert_true(wal_disk_bytes(l->wal) <= 3 * (uint64_t)config_small.segment_bytes);
    append_synced(l, 1);
    assert_true(wal_last_index(l->wal) == 201);
    close_log(l);
    assert_int_equal(open_log_from(l, &config_small, 201), HF_OK);
    assert_true(l->entries.count == 1);
}

/* The trail in front of an entry is told in whole segments, at least as long as asked for. */
static void test_a_trail_is_measured_in_segments(void **state)
{
    struct log *l = *state;
    append_synced(l, 200);
    uint64_t bytes = config_small.segment_bytes;
    assert_true(wal_trail_begin(l->wal, 200, 1000 * bytes) == 1);
    uint64_t own = wal_trail_begin(l->wal, 200, 0);
    uint64_t one = wal_trail_begin(l->wal, 200, bytes);
    uint64_t two = wal_trail_begin(l->wal, 200, bytes + 1);
    assert_true(own <= 200 && one < own && two < one && two > 1);
    uint64_t before = wal_disk_bytes(l->wal);
    wal_remove_before(l->wal, one);
    assert_int_equal(wal_run_all(l->wal), HF_OK);
    assert_true(wal_disk_bytes(l->wal) < before);
    assert_true(wal_first_index(l->wal) == one);
    assert_true(wal_trail_begin(l->wal, 200, bytes) == one);
    assert_true(wal_trail_begin(l->wal, 200, 1000 * bytes) == one);
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

/* The newest segment gone, with the spare behind it, leaves no gap. Who knows its number refuses,
 * also where the end before it is torn: a segment begun there would take the lost one's place. */
static void test_a_missing_newest_segment_is_refused_by_its_number(void **state)
{
    struct log *l = *state;
    static const uint8_t data[1000];
    for (uint64_t i = 1; i <= 2; i++) {
        struct log_entry e = {i, 1, LOG_COMMAND, {data, i == 1 ? 1 : sizeof data}};
        assert_int_equal(wal_append(l->wal, &e), HF_OK);
        assert_int_equal(wal_run_all(l->wal), HF_OK);
    }
    assert_true(wal_newest_segment(l->wal) == 1);
    close_log(l);
    uint64_t size;
    memset(sim_disk_bytes(&l->disk, "wal-0000000000000001", &size) + 3 * 512, 0, 512);
    struct wal_config config = config_small;
    config.may_create = false;
    config.segment_min = 1;
    assert_int_equal(open_log_from(l, &config, 1), HF_OK);
    assert_true(wal_last_index(l->wal) == 1 && wal_newest_segment(l->wal) == 2);
    assert_int_equal(wal_run_all(l->wal), HF_OK);
    assert_true(wal_newest_segment(l->wal) == 2); /* spares do not count */
    close_log(l);

    sim_disk_lose(&l->disk, "wal-0000000000000002");
    sim_disk_lose(&l->disk, "wal-0000000000000003");
    config.segment_min = 2;
    for (unsigned again = 0; again < 2; again++) {
        assert_int_equal(open_log_from(l, &config, 1), HF_ECORRUPT);
        assert_non_null(strstr(l->why.text, "wal-0000000000000002 is missing"));
    }
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
        EACH(test_entries_that_wait_share_one_write_and_one_sync),
        EACH(test_a_failed_write_or_sync_is_a_fault),
        EACH(test_no_space_for_a_spare_is_weather),
        EACH(test_a_start_without_space_says_so),
        EACH(test_a_cut_takes_entries_out_of_a_write_in_flight),
        EACH(test_old_segments_are_removed),
        EACH(test_a_start_drops_what_it_did_not_load),
        EACH(test_a_trail_is_measured_in_segments),
        EACH(test_a_trail_is_loaded),
        EACH(test_a_store_ahead_of_its_log_resets_it),
        EACH(test_a_flipped_bit_is_refused_or_harmless),
        EACH(test_a_missing_segment_is_refused),
        EACH(test_a_missing_newest_segment_is_refused_by_its_number),
        EACH(test_a_lost_write_is_refused),
        EACH(test_a_strange_or_missing_log_is_refused),
        EACH(test_the_segment_size_may_change_between_starts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
