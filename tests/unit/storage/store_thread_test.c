/* The loop goes on while another thread flushes and a third exports: for the thread sanitizer, and
 * for the eyes of the comparison with the memory store. */
#include <pthread.h>
#include <stdatomic.h>

#include "base/status.h"
#include "storage/store_memory.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/storage/store_fixture.h"

enum { KEYS = 3000, FLUSHES = 25 };

struct flusher {
    struct store *store;
    atomic_bool ended;
    int rv;
    uint64_t index; /* of the exported state */
};

static void *flush(void *data)
{
    struct flusher *f = data;
    f->rv = store_flush_run(f->store);
    atomic_store_explicit(&f->ended, true, memory_order_relaxed); /* the join is what orders */
    return NULL;
}

static int count_bytes(struct slice bytes, void *data)
{
    *(uint64_t *)data += bytes.size;
    return HF_OK;
}

/* An image of one of the two durable states, whichever the flush has reached. */
static void *export(void *data)
{
    struct flusher *f = data;
    uint64_t bytes = 0;
    f->rv = store_export(f->store, count_bytes, &bytes, &f->index);
    return NULL;
}

/* Changes, lookups and savepoints at the loop's own pace until the thread has ended. */
static void go_on(struct store *s, struct store *memory, struct prng *prng, struct flusher *f)
{
    unsigned steps = 0;
    while (!atomic_load_explicit(&f->ended, memory_order_relaxed) || steps < 50) {
        random_change(s, memory, prng, KEYS);
        if (steps % 8 == 0) expect_same_lookups(s, memory, prng, KEYS);
        if (steps % 16 == 0) {
            store_savepoint(s);
            random_change(s, NULL, prng, KEYS);
            assert_int_equal(store_rollback(s), HF_OK);
        }
        steps += 1;
    }
}

static void test_the_loop_goes_on_while_threads_flush_and_export(void **state)
{
    (void)state;
    struct store_dir dir;
    struct prng prng;
    struct store *memory;
    store_dir_make(&dir);
    prng_seed(&prng, 21);
    struct store *s = store_dir_create(&dir);
    assert_int_equal(store_memory_open(&memory), HF_OK);
    for (uint64_t i = 1; i <= FLUSHES; i++) {
        for (unsigned j = 0; j < 1000; j++) random_change(s, memory, &prng, KEYS);
        struct store_mark mark = {.index = i};
        assert_int_equal(store_checkpoint(s, &mark), HF_OK);
        struct flusher f = {.store = s};
        struct flusher e = {.store = s};
        pthread_t thread, exporter;
        assert_int_equal(pthread_create(&thread, NULL, flush, &f), 0);
        assert_int_equal(pthread_create(&exporter, NULL, export, &e), 0);
        go_on(s, memory, &prng, &f);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(pthread_join(exporter, NULL), 0);
        assert_int_equal(f.rv, HF_OK);
        assert_int_equal(e.rv, HF_OK);
        assert_true(e.index == i || e.index == i - 1);
        assert_int_equal(store_flush_done(s), HF_OK);
        expect_same(s, memory, false);
    }
    assert_int_equal(store_verify(s), HF_OK);
    store_close(s);
    store_close(memory);
    store_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_loop_goes_on_while_threads_flush_and_export),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
