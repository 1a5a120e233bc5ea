/* A process killed at any moment, in the middle of a flush too, leaves the state of exactly one
 * mark: the last one reported done, or the one that was under way. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"
#include "storage/store_memory.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/storage/store_fixture.h"

enum { KILLS = 40, KEYS = 4000, CHANGES = 400 };

/* What entry number `index` does: a function of the number alone. */
static void apply(struct store *s, uint64_t index)
{
    struct prng prng;
    prng_seed(&prng, index);
    for (unsigned i = 0; i < CHANGES; i++) random_change(s, NULL, &prng, KEYS);
}

static struct store_mark mark_of(uint64_t index)
{
    return (struct store_mark){.index = index, .term = index / 2, .configuration_index = index / 3};
}

/* The child: apply, flush, report, for ever; changes go on while a generation waits. */
static void run(const struct store_dir *dir, int report)
{
    struct store *s = store_dir_open(dir);
    for (uint64_t index = store_mark(s)->index + 1;; index++) {
        apply(s, index);
        struct store_mark mark = mark_of(index);
        if (store_checkpoint(s, &mark) != HF_OK) _exit(1);
        if (store_flush_run(s) != HF_OK) _exit(2);
        if (write(report, &index, sizeof index) != sizeof index) _exit(3);
        if (store_flush_done(s) != HF_OK) _exit(4);
    }
}

/* Start a child, kill it after a while. \return the last index that it reported durable. */
static uint64_t run_and_kill(const struct store_dir *dir, struct prng *prng)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(pipe_fds[0]);
        run(dir, pipe_fds[1]);
        _exit(5);
    }
    close(pipe_fds[1]);
    uint64_t index;
    assert_int_equal(read(pipe_fds[0], &index, sizeof index), sizeof index); /* it is at work */
    struct timespec wait = {.tv_nsec = (long)prng_below(prng, 30000000)};
    nanosleep(&wait, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status)); /* it did not end by itself */
    uint64_t last = index;
    while (read(pipe_fds[0], &index, sizeof index) == sizeof index) last = index;
    close(pipe_fds[0]);
    return last;
}

/* Forty kills of one store, each followed by a whole comparison with the entries applied anew. */
static void test_a_killed_process_leaves_one_of_two_states(void **state)
{
    (void)state;
    struct store_dir dir;
    struct prng prng;
    struct store *memory;
    uint64_t applied = 0;
    unsigned under_way = 0;
    prng_seed(&prng, 5);
    store_dir_make(&dir);
    store_close(store_dir_create(&dir));
    assert_int_equal(store_memory_open(&memory), HF_OK);
    for (unsigned i = 0; i < KILLS; i++) {
        uint64_t reported = run_and_kill(&dir, &prng);
        struct store *s = store_dir_open(&dir);
        uint64_t index = store_mark(s)->index;
        assert_true(index == reported || index == reported + 1);
        if (index > reported) under_way += 1;
        while (applied < index) apply(memory, ++applied);
        expect_same(s, memory, false);
        assert_int_equal(store_mark(s)->term, mark_of(index).term);
        assert_int_equal(store_mark(s)->configuration_index, mark_of(index).configuration_index);
        store_close(s);
    }
    print_message("%lu flushes, %u of %u kills between the commit and the report\n",
                  (unsigned long)applied, under_way, (unsigned)KILLS);
    assert_true(applied >= KILLS);
    store_close(memory);
    store_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_killed_process_leaves_one_of_two_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
