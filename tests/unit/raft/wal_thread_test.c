/* The log's threads on a real directory: what they are handed becomes durable, in order, while the
 * loop goes on appending; a fault comes back; stop leaves nothing running. */
#include "raft/wal_thread.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/status.h"
#include "tests/unit/cmocka_all.h"

struct shell {
    char path[64];
    struct disk_posix disk;
    struct wal *wal;
    struct entries entries;
    struct wal_threads threads;
    int wake[2]; /* a pipe, for want of an event loop */
};

static const struct wal_config config = {
    .cluster_id = "threads",
    .segment_bytes = 256 * 1024,
    .may_create = true,
};

static void notify(void *data)
{
    struct shell *s = data;
    assert_int_equal(write(s->wake[1], "x", 1), 1);
}

static void await(struct shell *s)
{
    struct pollfd p = {.fd = s->wake[0], .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    char bytes[64];
    assert_true(read(s->wake[0], bytes, sizeof bytes) > 0);
}

static void open_shell(struct shell *s)
{
    struct refusal why = {""};
    entries_init(&s->entries, 1, 1 << 26);
    assert_int_equal(disk_posix_open(&s->disk, s->path, true), HF_OK);
    int rv = wal_open(&s->disk.disk, &config, 1, 0, &s->entries, &s->wal, &why);
    if (rv != HF_OK) fail_msg("%s", why.text);
    assert_int_equal(pipe(s->wake), 0);
    assert_int_equal(wal_threads_start(&s->threads, s->wal, &s->disk.disk, notify, s), HF_OK);
}

static void close_shell(struct shell *s)
{
    assert_int_equal(wal_threads_stop(&s->threads), HF_OK);
    wal_close(s->wal);
    entries_close(&s->entries);
    disk_posix_close(&s->disk);
    close(s->wake[0]);
    close(s->wake[1]);
}

static int setup(void **state)
{
    struct shell *s = calloc(1, sizeof *s);
    snprintf(s->path, sizeof s->path, "/tmp/holdfast-wal-XXXXXX");
    assert_non_null(mkdtemp(s->path));
    open_shell(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct shell *s = *state;
    close_shell(s);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", s->path);
    int rv = system(command);
    free(s);
    return rv;
}

static void append(struct shell *s, unsigned count)
{
    uint8_t data[700];
    for (unsigned i = 0; i < count; i++) {
        uint64_t index = wal_last_index(s->wal) + 1;
        memset(data, (int)index, sizeof data);
        struct log_entry e = {index, 1, LOG_COMMAND, {data, 1 + index % sizeof data}};
        assert_int_equal(wal_append(s->wal, &e), HF_OK);
    }
}

/* Thousands of entries through several segments, group by group, then again after a restart. */
static void test_entries_become_durable_in_order(void **state)
{
    struct shell *s = *state;
    uint64_t durable = 0;
    while (durable < 4000) {
        if (wal_last_index(s->wal) < 4000) append(s, 50);
        wal_threads_kick(&s->threads);
        await(s);
        assert_int_equal(wal_threads_poll(&s->threads), HF_OK);
        assert_true(wal_durable_index(s->wal) >= durable);
        durable = wal_durable_index(s->wal);
    }
    close_shell(s);
    open_shell(s);
    assert_true(s->entries.count == 4000 && wal_durable_index(s->wal) == 4000);
    for (uint64_t i = 1; i <= 4000; i++) {
        struct log_entry e = entries_get(&s->entries, i);
        assert_true(e.data.size == 1 + i % 700 && e.data.data[0] == (uint8_t)i);
    }
}

static void read_done(struct wal_read *read, int status, void *data)
{
    assert_int_equal(status, HF_OK);
    assert_true(read->count >= 1 && read->entries[0].index == read->first);
    *(bool *)data = true;
}

/* A read comes back while writes go on; both lanes work at once. */
static void test_a_read_runs_beside_the_writes(void **state)
{
    struct shell *s = *state;
    bool done = false;
    struct wal_read read = {.done_cb = read_done, .cb_data = &done};
    append(s, 100);
    bool asked = false;
    for (int round = 0; round < 2000 && !done; round++) {
        append(s, 3);
        if (!asked && wal_durable_index(s->wal) >= 10) {
            read.first = 5;
            assert_int_equal(wal_read(s->wal, &read), HF_OK);
            asked = true;
        }
        wal_threads_kick(&s->threads);
        await(s);
        assert_int_equal(wal_threads_poll(&s->threads), HF_OK);
    }
    assert_true(done);
    wal_read_close(&read);
}

/* Stopping with a write in flight waits for it. */
static void test_stop_waits_for_the_write_in_flight(void **state)
{
    struct shell *s = *state;
    append(s, 200);
    wal_threads_kick(&s->threads);
    close_shell(s);
    open_shell(s);
    assert_int_equal(s->entries.count, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_entries_become_durable_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_read_runs_beside_the_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_waits_for_the_write_in_flight, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
