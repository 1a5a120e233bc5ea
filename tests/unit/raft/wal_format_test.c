/* The log's bytes: what is read back, and how each kind of damage is judged. */
#include "raft/wal_format.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "base/status.h"
#include "tests/unit/cmocka_all.h"

enum { SECTORS = 24, GROUPS = 4 };

static const uint8_t cluster[WAL_CLUSTER_ID_BYTES] = "0123456789abcde";

/* A segment with GROUPS groups in memory, and what was put in. */
struct fixture {
    uint8_t bytes[SECTORS * WAL_SECTOR_BYTES]; /* sectors 1 .. SECTORS */
    struct wal_tags tags;
    uint32_t start[GROUPS + 1]; /* first sector of each group; the end at last */
    uint32_t records;           /* written */
    struct buffer scratch;
    uint32_t seen;      /* records handed out by the scan */
    uint64_t last_seen; /* index of the last of them */
};

static int count_record(const struct wal_record *record, uint32_t sector, uint32_t chain,
                        void *data)
{
    (void)sector;
    (void)chain;
    struct fixture *f = data;
    f->seen += 1;
    assert_true(record->index == f->seen);
    for (size_t i = 0; i < record->data.size; i++) {
        assert_int_equal(record->data.data[i], (uint8_t)record->index);
    }
    f->last_seen = record->index;
    return HF_OK;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    buffer_init(&f->scratch, 1 << 20);
    f->tags = wal_tags_make(cluster, 7);
    /* group 0: one sector; 1: five; 2: three with many records; 3 (the last): six */
    static const uint32_t counts[GROUPS] = {1, 2, 30, 3};
    static const uint32_t sizes[GROUPS] = {40, 1100, 13, 900};
    struct wal_group g = {0};
    buffer_init(&g.bytes, 1 << 20);
    uint32_t sector = 1;
    uint32_t chain = 99;
    uint8_t data[2000];
    for (int i = 0; i < GROUPS; i++) {
        assert_int_equal(wal_group_begin(&g, f->tags, sector, chain), HF_OK);
        for (uint32_t k = 0; k < counts[i]; k++) {
            f->records += 1;
            memset(data, (int)f->records, sizeof data);
            struct wal_record r = {f->records, 3, LOG_COMMAND, slice_make(data, sizes[i])};
            assert_int_equal(wal_group_add(&g, &r), HF_OK);
        }
        assert_int_equal(wal_group_end(&g), HF_OK);
        memcpy(f->bytes + (sector - 1) * WAL_SECTOR_BYTES, g.bytes.data, g.bytes.size);
        f->start[i] = sector;
        sector += (uint32_t)(g.bytes.size / WAL_SECTOR_BYTES);
        chain = g.chain;
    }
    f->start[GROUPS] = sector;
    assert_true(sector + 4 < SECTORS);
    buffer_close(&g.bytes);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buffer_close(&f->scratch);
    free(f);
    return 0;
}

static enum wal_verdict scan(struct fixture *f, const uint8_t *bytes, uint32_t sectors, bool sealed,
                             struct wal_scan *out)
{
    f->seen = 0;
    f->last_seen = 0;
    *out = (struct wal_scan){
        .bytes = bytes,
        .first_sector = 1,
        .sectors = sectors,
        .sealed = sealed,
        .tags = f->tags,
        .chain = 99,
        .each = count_record,
        .data = f,
        .scratch = &f->scratch,
    };
    return wal_scan_run(out);
}

/* What was written is read back, in order, and the end is found. */
static void test_a_clean_segment_is_read_back(void **state)
{
    struct fixture *f = *state;
    struct wal_scan s;
    assert_int_equal(scan(f, f->bytes, SECTORS, false, &s), WAL_CLEAN);
    assert_int_equal(f->seen, f->records);
    assert_int_equal(s.end_sector, f->start[GROUPS]);
    assert_int_equal(scan(f, f->bytes, f->start[GROUPS] - 1, true, &s), WAL_CLEAN);
    assert_int_equal(f->seen, f->records);
}

/* A segment's tags are never near zero, nor near another sector's complement. */
static void test_tags_have_at_least_eight_bits_either_way(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < 100000; i++) {
        int bits = __builtin_popcount(wal_tag(f->tags, i));
        assert_true(bits >= 8 && bits <= 24);
    }
    assert_int_not_equal(wal_tag(f->tags, 1), wal_tag(wal_tags_make(cluster, 8), 1));
}

/* One flipped bit anywhere before the last group is refused; in the last group too, since it is
 * complete; in the zeros behind as well: nothing but a write of ours may be there. */
static void test_every_flipped_bit_is_seen(void **state)
{
    struct fixture *f = *state;
    uint8_t *copy = malloc(sizeof f->bytes);
    for (size_t bit = 0; bit < sizeof f->bytes * 8; bit++) {
        memcpy(copy, f->bytes, sizeof f->bytes);
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        struct wal_scan s;
        enum wal_verdict verdict = scan(f, copy, SECTORS, false, &s);
        if (verdict != WAL_ROT) fail_msg("bit %zu: %s", bit, wal_verdict_name(verdict));
        assert_true(f->seen <= f->records);
    }
    free(copy);
}

/* A flipped bit in what is left of a torn group is refused or cut with it; what was acknowledged
 * before stays. */
static void test_a_flipped_bit_in_a_torn_group_costs_nothing_durable(void **state)
{
    struct fixture *f = *state;
    uint32_t before = 33; /* records of the first three groups */
    uint8_t *copy = malloc(sizeof f->bytes);
    size_t from = (f->start[3] - 1) * (size_t)WAL_SECTOR_BYTES;
    size_t to = (f->start[4] - 1) * (size_t)WAL_SECTOR_BYTES;
    for (size_t bit = from * 8; bit < to * 8; bit++) {
        memcpy(copy, f->bytes, sizeof f->bytes);
        memset(copy + from + 2 * WAL_SECTOR_BYTES, 0, WAL_SECTOR_BYTES);
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        struct wal_scan s;
        enum wal_verdict verdict = scan(f, copy, SECTORS, false, &s);
        assert_true(verdict == WAL_ROT || verdict == WAL_TORN);
        assert_int_equal(f->seen, before);
    }
    free(copy);
}

/* Every subset of the last group's sectors that a crash can leave, but all of them: cut, and
 * everything before is there. */
static void test_any_torn_subset_of_the_last_group_is_cut(void **state)
{
    struct fixture *f = *state;
    uint32_t sectors = f->start[4] - f->start[3];
    assert_true(sectors >= 5);
    uint8_t *copy = malloc(sizeof f->bytes);
    for (uint32_t kept = 0; kept + 1 < 1U << sectors; kept++) {
        memcpy(copy, f->bytes, sizeof f->bytes);
        for (uint32_t i = 0; i < sectors; i++) {
            if ((kept >> i & 1) != 0) continue;
            memset(copy + (f->start[3] - 1 + i) * (size_t)WAL_SECTOR_BYTES, 0, WAL_SECTOR_BYTES);
        }
        struct wal_scan s;
        enum wal_verdict verdict = scan(f, copy, SECTORS, false, &s);
        assert_int_equal(verdict, kept == 0 ? WAL_CLEAN : WAL_TORN);
        assert_int_equal(f->seen, 33);
        assert_int_equal(s.end_sector, f->start[3]);
    }
    free(copy);
}

/* Any hole in an earlier group, of which the sync had returned, is a lost write. */
static void test_a_hole_before_a_later_group_is_a_lost_write(void **state)
{
    struct fixture *f = *state;
    uint8_t *copy = malloc(sizeof f->bytes);
    for (int group = 0; group < GROUPS - 1; group++) {
        uint32_t sectors = f->start[group + 1] - f->start[group];
        for (uint32_t lost = 1; lost < 1U << sectors; lost++) {
            memcpy(copy, f->bytes, sizeof f->bytes);
            for (uint32_t i = 0; i < sectors; i++) {
                if ((lost >> i & 1) == 0) continue;
                size_t at = (f->start[group] - 1 + i) * (size_t)WAL_SECTOR_BYTES;
                memset(copy + at, 0, WAL_SECTOR_BYTES);
            }
            struct wal_scan s;
            assert_int_equal(scan(f, copy, SECTORS, false, &s), WAL_LOST);
            assert_int_equal(s.bad_sector, f->start[group]);
        }
    }
    free(copy);
}

/* In a segment whose end is named by the next one, a missing last group is a lost write too. */
static void test_a_hole_in_a_sealed_segment_is_a_lost_write(void **state)
{
    struct fixture *f = *state;
    uint32_t end = f->start[GROUPS] - 1;
    size_t last = (f->start[3] - 1) * (size_t)WAL_SECTOR_BYTES;
    memset(f->bytes + last, 0, WAL_SECTOR_BYTES);
    struct wal_scan s;
    assert_int_equal(scan(f, f->bytes, end, true, &s), WAL_LOST);
}

/* A sector of another segment, or from another place, is not taken for our own. */
static void test_a_misplaced_sector_is_rot(void **state)
{
    struct fixture *f = *state;
    size_t from = (f->start[1] - 1 + 1) * (size_t)WAL_SECTOR_BYTES;
    size_t to = (f->start[1] - 1 + 2) * (size_t)WAL_SECTOR_BYTES;
    memcpy(f->bytes + to, f->bytes + from, WAL_SECTOR_BYTES);
    struct wal_scan s;
    assert_int_equal(scan(f, f->bytes, SECTORS, false, &s), WAL_ROT);
}

/* A group from another history, right in itself, does not join the chain. */
static void test_a_group_that_does_not_follow_is_rot(void **state)
{
    struct fixture *f = *state;
    struct wal_scan s;
    (void)scan(f, f->bytes, SECTORS, false, &s);
    s.chain = 98;
    assert_int_equal(wal_scan_run(&s), WAL_ROT);
}

/* Bytes that are not a log, of any kind, are judged without reading past them. */
static void test_random_bytes_are_judged(void **state)
{
    struct fixture *f = *state;
    struct prng p;
    prng_seed(&p, 11);
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[4 * WAL_SECTOR_BYTES];
        memcpy(bytes, f->bytes, sizeof bytes);
        for (int k = 0; k < 6; k++) {
            /* the tags stay, so that the walk gets past them */
            size_t at = prng_below(&p, sizeof bytes);
            if (at % WAL_SECTOR_BYTES >= WAL_TAG_BYTES) bytes[at] = (uint8_t)prng_next(&p);
        }
        uint8_t *exact = malloc(sizeof bytes);
        memcpy(exact, bytes, sizeof bytes);
        struct wal_scan s;
        (void)scan(f, exact, 4, false, &s);
        free(exact);
    }
}

/* A head comes back as it was, and every flipped bit of it is seen. */
static void test_a_head_is_read_back_or_refused(void **state)
{
    (void)state;
    struct wal_head head = {.segment = 5,
                            .next_index = 77,
                            .previous_bytes = 4096,
                            .chain = 3,
                            .segment_bytes = 1 << 26};
    memcpy(head.cluster_id, cluster, sizeof cluster);
    uint8_t bytes[WAL_SECTOR_BYTES];
    wal_head_encode(&head, bytes);
    struct wal_head back;
    assert_int_equal(wal_head_decode(bytes, &back), HF_OK);
    assert_memory_equal(back.cluster_id, cluster, sizeof cluster);
    assert_true(back.segment == 5 && back.next_index == 77);
    assert_true(back.previous_bytes == 4096 && back.chain == 3);
    assert_true(back.segment_bytes == 1 << 26);
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(wal_head_decode(bytes, &back), HF_ECORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(wal_head_decode(bytes, &back), HF_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_clean_segment_is_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tags_have_at_least_eight_bits_either_way, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_every_flipped_bit_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_flipped_bit_in_a_torn_group_costs_nothing_durable,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_any_torn_subset_of_the_last_group_is_cut, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_hole_before_a_later_group_is_a_lost_write, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_hole_in_a_sealed_segment_is_a_lost_write, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_misplaced_sector_is_rot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_group_that_does_not_follow_is_rot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random_bytes_are_judged, setup, teardown),
        cmocka_unit_test(test_a_head_is_read_back_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
