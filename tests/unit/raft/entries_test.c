/* The ring of recent entries against a plain array: whatever is appended, cut and trimmed, what is
 * held is what was put in, and slices stay where they are. */
#include "raft/entries.h"

#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "tests/unit/cmocka_all.h"

enum { INDEX_MAX = 40000 };

struct model {
    uint8_t byte[INDEX_MAX];
    uint32_t size[INDEX_MAX];
    uint64_t term[INDEX_MAX];
    const uint8_t *at[INDEX_MAX]; /* where the data was when it was first seen */
};

static void check(const struct entries *e, const struct model *m, uint64_t index)
{
    struct log_entry got = entries_get(e, index);
    assert_true(got.index == index && got.term == m->term[index]);
    assert_int_equal(got.data.size, m->size[index]);
    assert_true(got.data.size == 0 || got.data.data == m->at[index]);
    for (size_t i = 0; i < got.data.size; i += 97) {
        assert_int_equal(got.data.data[i], m->byte[index]);
    }
}

/* Random appends, cuts and trims, with some entries larger than a chunk. */
static void test_the_ring_holds_what_was_put_in(void **state)
{
    (void)state;
    static uint8_t data[1500000];
    struct model *m = calloc(1, sizeof *m);
    struct entries e;
    struct prng p;
    prng_seed(&p, 3);
    entries_init(&e, 1, 3000000);
    uint64_t term = 1;
    for (int round = 0; round < 60000 && entries_last(&e) + 2 < INDEX_MAX; round++) {
        uint64_t dice = prng_below(&p, 100);
        if (dice < 80) {
            uint64_t index = entries_last(&e) + 1;
            size_t bound = prng_below(&p, 200) == 0 ? sizeof data : 3000;
            m->size[index] = (uint32_t)prng_below(&p, bound);
            m->byte[index] = (uint8_t)prng_next(&p);
            m->term[index] = term += prng_below(&p, 50) == 0;
            memset(data, m->byte[index], m->size[index]);
            struct log_entry entry = {index, term, LOG_COMMAND, {data, m->size[index]}};
            entries_append(&e, &entry);
            m->at[index] = entries_get(&e, index).data.data;
        } else if (dice < 85 && e.count > 0) {
            uint64_t back = prng_below(&p, e.count < 20 ? e.count : 20);
            entries_truncate(&e, entries_last(&e) - back);
            assert_true(entries_last(&e) + 1 >= e.first);
        } else if (dice < 95) {
            uint64_t floor = entries_last(&e) > 10 ? entries_last(&e) - 10 : 0;
            entries_trim(&e, floor);
            assert_true(e.bytes <= e.bytes_max || e.first == floor + 1 || floor == 0);
        } else if (e.count > 0) {
            for (int k = 0; k < 20; k++) check(&e, m, e.first + prng_below(&p, e.count));
            assert_true(e.first == 1 || entries_term(&e, e.first - 1) == m->term[e.first - 1]);
        }
    }
    assert_true(e.first > 1000);
    assert_int_equal(entries_term(&e, e.first - 2), m->term[e.first - 2]);
    entries_forget(&e, e.first - 1);
    assert_int_equal(entries_term(&e, e.first - 1), m->term[e.first - 1]);
    assert_int_equal(entries_term(&e, e.first - 2), 0);
    assert_false(entries_has(&e, entries_last(&e) + 1));
    entries_close(&e);
    free(m);
}

/* The last configuration at or below an index is found, and only there. */
static void test_the_last_change_is_found(void **state)
{
    (void)state;
    struct entries e;
    entries_init(&e, 5, 1000);
    for (uint64_t i = 5; i < 50; i++) {
        uint8_t type = i % 10 == 0 ? LOG_CHANGE : LOG_COMMAND;
        struct log_entry entry = {i, 1, type, {(const uint8_t *)"12345678", 8}};
        entries_append(&e, &entry);
    }
    assert_true(entries_last_change(&e, 49) == 40);
    assert_true(entries_last_change(&e, 1000) == 40);
    assert_true(entries_last_change(&e, 39) == 30);
    assert_true(entries_last_change(&e, 9) == 0);
    entries_reset(&e, 70, 3);
    assert_true(entries_last(&e) == 69 && entries_term(&e, 69) == 3 && e.bytes == 0);
    entries_close(&e);
}

/* What only the disk holds any more can be cut and appended to, and its terms are known. */
static void test_terms_reach_behind_the_ring(void **state)
{
    (void)state;
    struct entries e;
    entries_init(&e, 1, 1);
    for (uint64_t i = 1; i <= 40; i++) {
        struct log_entry entry = {i, 1 + i / 10, LOG_COMMAND, {(const uint8_t *)"12345678", 8}};
        entries_append(&e, &entry);
    }
    entries_trim(&e, 30);
    assert_true(e.first == 31 && terms_first(&e.terms) == 1);
    for (uint64_t i = 1; i <= 40; i++) assert_int_equal(entries_term(&e, i), 1 + i / 10);
    entries_truncate(&e, 15);
    assert_true(e.first == 15 && e.count == 0 && entries_last(&e) == 14);
    assert_true(entries_term(&e, 14) == 2 && entries_term(&e, 15) == 0);
    struct log_entry entry = {15, 9, LOG_COMMAND, {(const uint8_t *)"12345678", 8}};
    entries_append(&e, &entry);
    entries_forget(&e, 12);
    assert_true(entries_term(&e, 11) == 0 && entries_term(&e, 12) == 2);
    assert_true(entries_term(&e, 15) == 9 && entries_get(&e, 15).term == 9);
    entries_close(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_ring_holds_what_was_put_in),
        cmocka_unit_test(test_the_last_change_is_found),
        cmocka_unit_test(test_terms_reach_behind_the_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
