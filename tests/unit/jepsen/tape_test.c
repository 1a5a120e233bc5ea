/* A client thread's tape: lines in order and whole, also round the ring's end and with the reader
 * behind; what a thread that was killed leaves, at whatever instruction it died: of each call one
 * line, no more and no less. */
#include "jepsen/run/tape.h"
#include "tests/unit/cmocka_all.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jepsen/run/child.h"

enum { LINES = 3000, KILLS = 60 };

static struct tape *tape;
static struct journal history;
static char path[] = "/tmp/tape_test.XXXXXX";

static struct journal_line make_line(uint64_t id)
{
    struct journal_line line = {.id = id,
                                .model = "lock",
                                .client = "c1t1",
                                .op = "acquire",
                                .key = "k",
                                .call_ns = 1000 + id,
                                .ret_ns = 2000 + id};
    snprintf(line.args, sizeof line.args, "\"ttl_ms\":1");
    return line;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/tape_test.XXXXXX");
    int fd = mkstemp(path);
    close(fd);
    tape = child_share(sizeof *tape);
    return fd >= 0 && tape != NULL && journal_open(&history, path) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    journal_close(&history);
    munmap(tape, sizeof *tape);
    return unlink(path);
}

/* Reads the history: each line whole, ids 1 to `count` in order. \return how many are unknown. */
static unsigned read_history(uint64_t count)
{
    char text[JOURNAL_LINE_BYTES];
    unsigned unknown = 0;
    uint64_t id = 0;
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(text, sizeof text, f) != NULL) {
        const char *at = strstr(text, "\"id\":");
        assert_non_null(at);
        assert_int_equal(strncmp(text, "{\"v\":2,", 7), 0);
        assert_int_equal(strcmp(text + strlen(text) - 2, "}\n"), 0);
        id += 1;
        assert_int_equal(strtoull(at + strlen("\"id\":"), NULL, 10), id);
        unknown += strstr(text, "\"outcome\":\"unknown\"") != NULL;
    }
    fclose(f);
    assert_int_equal(id, count);
    return unknown;
}

/* What is put comes out, whole and in order, though the ring is some times full and wraps. */
static void test_lines_come_out_in_order(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= LINES; id++) {
        struct journal_line line = make_line(id);
        tape_open_call(tape, &line);
        assert_true(tape_is_busy(tape));
        tape_put(tape, &line);
        assert_false(tape_is_busy(tape));
        if (id % 100 == 0) tape_take(tape, &history);
    }
    assert_true(atomic_load(&tape->written) > TAPE_BYTES);
    assert_false(tape_end(tape, &history));
    assert_int_equal(read_history(LINES), 0);
}

/* An open call of a dead thread is unknown, with the arguments of its call. */
static void test_open_call_is_unknown(void **state)
{
    (void)state;
    struct journal_line line = make_line(1);
    tape_open_call(tape, &line);
    assert_true(tape_end(tape, &history));
    assert_false(tape_is_busy(tape));
    assert_false(tape_end(tape, &history));
    assert_int_equal(read_history(1), 1);
}

/* A thread that died between its line and the end of its call was answered. */
static void test_line_that_was_put_counts(void **state)
{
    (void)state;
    struct journal_line line = make_line(1);
    tape_open_call(tape, &line);
    tape_put(tape, &line);
    atomic_store(&tape->call.id, 1);
    assert_false(tape_end(tape, &history));
    assert_int_equal(read_history(1), 0);
}

/* As fast as it can, until it is killed; it goes on where the one before it died. */
static int put_for_ever(void *data)
{
    (void)data;
    while (tape->ids < UINT64_MAX) {
        struct journal_line line = make_line(tape->ids + 1);
        tape_open_call(tape, &line); /* from here on the id is in the history */
        tape->ids += 1;
        tape_put(tape, &line);
    }
    return 0;
}

/* SIGKILL wherever it hits: of each call one whole line. */
static void test_killed_threads_leave_whole_histories(void **state)
{
    (void)state;
    struct child child = {.body = put_for_ever, .network = -1};
    uint64_t lines = 0;
    for (unsigned i = 0; i < KILLS; i++) {
        pid_t pid = child_start(&child);
        assert_true(pid > 0);
        for (unsigned ms = 0; ms < i % 7 || atomic_load(&tape->written) == 0; ms++) {
            tape_take(tape, &history);
            (void)poll(NULL, 0, 1);
        }
        child_kill(pid);
        (void)tape_end(tape, &history);
        tape->ids = lines = tape->id_taken;
    }
    assert_true(lines > KILLS);
    assert_true(read_history(lines) <= KILLS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines_come_out_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_open_call_is_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_line_that_was_put_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_killed_threads_leave_whole_histories, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
