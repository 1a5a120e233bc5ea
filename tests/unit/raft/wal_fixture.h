/* What the tests of the log share: small segments, and entries whose bytes follow from their index,
 * term and a salt, so that a test can tell any from any other. */
#ifndef TESTS_UNIT_RAFT_WAL_FIXTURE_H
#define TESTS_UNIT_RAFT_WAL_FIXTURE_H

#include "base/prng.h"
#include "base/status.h"
#include "raft/wal.h"
#include "tests/unit/cmocka_all.h"

static const struct wal_config config_small = {
    .cluster_id = "one cluster id.",
    .segment_bytes = 4096,
    .may_create = true,
};

/* The bytes of an entry follow from three numbers, so that a test can tell any from any other. */
static inline size_t fill(uint8_t *out, uint64_t index, uint64_t term, uint64_t salt)
{
    struct prng p;
    prng_seed(&p, index * 1000003 + term * 17 + salt);
    size_t size = prng_below(&p, 4) == 0 ? prng_below(&p, 3000) : prng_below(&p, 60);
    for (size_t i = 0; i < size; i++) out[i] = (uint8_t)prng_next(&p);
    return size;
}

static inline void append(struct wal *w, uint64_t term, uint64_t salt)
{
    uint8_t data[3000];
    struct log_entry e = {.index = wal_last_index(w) + 1, .term = term, .type = LOG_COMMAND};
    e.data = slice_make(data, fill(data, e.index, term, salt));
    assert_int_equal(wal_append(w, &e), HF_OK);
}

static inline void check_entry(const struct log_entry *e, uint64_t index, uint64_t term,
                               uint64_t salt)
{
    uint8_t data[3000];
    size_t size = fill(data, index, term, salt);
    assert_true(e->index == index);
    assert_true(e->term == term);
    assert_int_equal(e->type, LOG_COMMAND);
    assert_int_equal(e->data.size, size);
    if (size > 0) assert_memory_equal(e->data.data, data, size);
}

#endif
