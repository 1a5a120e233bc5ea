/* The vote file: nothing that was saved is forgotten, and nothing damaged is believed. */
#include "raft/vote.h"

#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "tests/sim/disk.h"
#include "tests/unit/cmocka_all.h"

static const struct vote_state first = {
    .cluster_id = "a cluster's id.",
    .node_id = 3,
    .incarnation = 0x1122334455667788,
    .term = 1,
    .log_segment_min = 1,
};

static void make(struct sim_disk *d, uint64_t seed)
{
    sim_disk_init(d, seed);
    assert_int_equal(vote_make(&d->disk, &first), HF_OK);
}

/* What was made and saved is read back; a second make is refused. */
static void test_a_saved_vote_is_read_back(void **state)
{
    (void)state;
    struct sim_disk d;
    struct vote v;
    struct refusal why;
    make(&d, 1);
    assert_int_equal(vote_make(&d.disk, &first), HF_EEXIST);
    uint64_t segment = first.log_segment_min;
    for (uint64_t term = 2; term < 9; term++) {
        assert_int_equal(vote_open(&v, &d.disk, &why), HF_OK);
        assert_true(v.state.term == term - 1);
        assert_true(v.state.node_id == 3 && v.state.incarnation == first.incarnation);
        assert_true(v.state.log_segment_min == segment);
        assert_int_equal(vote_save(&v, term, term % 4, term * 10), HF_OK);
        if (term % 2 == 0) assert_int_equal(vote_save_segment(&v, ++segment), HF_OK);
        vote_close(&v);
    }
    assert_int_equal(vote_open(&v, &d.disk, &why), HF_OK);
    assert_true(v.state.term == 8 && v.state.voted_for == 0 && v.state.log_index_min == 80);
    assert_true(v.state.log_segment_min == segment);
    assert_memory_equal(v.state.cluster_id, first.cluster_id, VOTE_CLUSTER_ID_BYTES);
    vote_close(&v);
    sim_disk_close(&d);
}

/* Power fails within a save, a thousand times: the vote before or the new one is in force, and
 * after a save that returned, the new one. */
static void test_no_acknowledged_vote_is_lost_in_a_crash(void **state)
{
    (void)state;
    struct sim_disk d;
    struct vote v;
    struct refusal why;
    make(&d, 2);
    uint64_t acked = 1;
    uint64_t tried = 1;
    for (int round = 0; round < 2000; round++) {
        assert_int_equal(vote_open(&v, &d.disk, &why), HF_OK);
        assert_true(v.state.term >= acked && v.state.term <= tried);
        acked = v.state.term;
        uint64_t saves = prng_below(&d.random, 3);
        for (uint64_t i = 0; i < saves; i++) {
            assert_int_equal(vote_save(&v, v.state.term + 1, 2, 0), HF_OK);
            acked = tried = v.state.term;
        }
        if (prng_below(&d.random, 2) == 0)
            d.sync_fails_in = 1;
        else
            d.write_fails_in = 1;
        tried = v.state.term + 1;
        assert_int_equal(vote_save(&v, tried, 1, 0), HF_EIO);
        vote_close(&v);
        if (prng_below(&d.random, 3) == 0)
            sim_disk_kill(&d);
        else
            sim_disk_crash(&d);
    }
    sim_disk_close(&d);
}

/* A flipped bit in one copy is survived by the other, with the newest vote still in force. */
static void test_rot_of_one_copy_is_survived(void **state)
{
    (void)state;
    struct sim_disk d;
    struct vote v;
    struct refusal why;
    make(&d, 3);
    assert_int_equal(vote_open(&v, &d.disk, &why), HF_OK);
    assert_int_equal(vote_save(&v, 2, 1, 0), HF_OK);
    assert_int_equal(vote_save(&v, 3, 2, 0), HF_OK);
    vote_close(&v);
    uint64_t size;
    for (size_t bit = 0; bit < 88 * 8; bit++) {
        for (size_t copy = 0; copy < 2; copy++) {
            for (size_t slot = 0; slot < 2; slot++) {
                uint8_t *bytes = sim_disk_bytes(&d, VOTE_FILE_NAME, &size);
                size_t at = slot * 4096 + copy * 512 + bit / 8;
                bytes[at] ^= (uint8_t)(1U << bit % 8);
                assert_int_equal(vote_open(&v, &d.disk, &why), HF_OK);
                assert_true(v.state.term == 3 && v.state.voted_for == 2);
                vote_close(&v);
                bytes[at] ^= (uint8_t)(1U << bit % 8);
            }
        }
    }
    sim_disk_close(&d);
}

/* A slot that lost both copies may have held the newest vote: no start, and a sentence. */
static void test_a_slot_with_both_copies_damaged_is_refused(void **state)
{
    (void)state;
    struct sim_disk d;
    struct vote v;
    struct refusal why;
    make(&d, 4);
    assert_int_equal(vote_open(&v, &d.disk, &why), HF_OK);
    assert_int_equal(vote_save(&v, 2, 1, 0), HF_OK);
    vote_close(&v);
    for (size_t slot = 0; slot < 2; slot++) {
        uint64_t size;
        uint8_t *bytes = sim_disk_bytes(&d, VOTE_FILE_NAME, &size);
        bytes[slot * 4096 + 60] ^= 1;
        bytes[slot * 4096 + 512 + 70] ^= 1;
        assert_int_equal(vote_open(&v, &d.disk, &why), HF_ECORRUPT);
        assert_non_null(strstr(why.text, "must not vote"));
        bytes[slot * 4096 + 60] ^= 1;
        bytes[slot * 4096 + 512 + 70] ^= 1;
    }
    sim_disk_close(&d);
}

/* A disk that acknowledges one of the two writes and does not make it, or makes it elsewhere in the
 * file, takes no vote back. */
static void test_a_lost_or_misdirected_write_takes_no_vote_back(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct sim_disk d;
        struct vote v;
        struct refusal why;
        make(&d, seed);
        d.remembers = true;
        assert_int_equal(vote_open(&v, &d.disk, &why), HF_OK);
        uint64_t term = 2 + seed % 3;
        for (uint64_t i = 2; i <= term; i++) assert_int_equal(vote_save(&v, i, i + 3, 0), HF_OK);
        vote_close(&v);
        sim_disk_crash(&d);
        assert_string_equal(sim_disk_forget(&d, seed % 2 == 0), VOTE_FILE_NAME);
        int rv = vote_open(&v, &d.disk, &why); /* a misdirected one may have hit the other slot */
        assert_true(rv == HF_OK || rv == HF_ECORRUPT);
        if (rv == HF_OK) assert_true(v.state.term == term && v.state.voted_for == term + 3);
        vote_close(&v);
        sim_disk_close(&d);
    }
}

/* An empty or a missing file is no vote of zero. */
static void test_a_blank_or_missing_file_is_refused(void **state)
{
    (void)state;
    struct sim_disk d;
    struct vote v;
    struct refusal why;
    make(&d, 5);
    uint64_t size;
    memset(sim_disk_bytes(&d, VOTE_FILE_NAME, &size), 0, VOTE_FILE_BYTES);
    assert_int_equal(vote_open(&v, &d.disk, &why), HF_ECORRUPT);
    sim_disk_lose(&d, VOTE_FILE_NAME);
    assert_int_equal(vote_open(&v, &d.disk, &why), HF_ENOTFOUND);
    sim_disk_close(&d);
}

int main(void)
{
    log_set_level(LOG_ERROR); /* the warnings are wanted, by the thousand they are noise */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_saved_vote_is_read_back),
        cmocka_unit_test(test_no_acknowledged_vote_is_lost_in_a_crash),
        cmocka_unit_test(test_rot_of_one_copy_is_survived),
        cmocka_unit_test(test_a_slot_with_both_copies_damaged_is_refused),
        cmocka_unit_test(test_a_lost_or_misdirected_write_takes_no_vote_back),
        cmocka_unit_test(test_a_blank_or_missing_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
